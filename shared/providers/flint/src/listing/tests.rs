use super::*;
use domain::delivery::{event::Event, reference::Reference};
use rest::testing;

fn ask(list: &'static str) -> Ask<'static> {
    let time = |text: &str| text.parse().unwrap();
    Ask {
        list,
        since: time("2026-01-01T00:00:00Z"),
        now: time("2026-01-08T00:00:00Z"),
        after: None,
    }
}

fn found(list: &'static str, thing: &Value) -> Option<Box<Found>> {
    match listed(&ask(list), thing, Mode::Live)? {
        Listed::Found(found) => Some(found),
        Listed::Unreadable { why, .. } => panic!("{why}: {thing}"),
    }
}

/// The event that a found thing becomes, as it is read again.
fn recovered(found: &Found) -> Event {
    let event_id = EventId::new("reconciled:1").unwrap();
    let at = "2026-01-02T00:00:00Z".parse().unwrap();
    let event = testing::event(crate::read(&event(found, &event_id, at)));
    assert_eq!((&event.event_id, event.occurred_at), (&event_id, Some(at)));
    assert_eq!(event.scope.mode, Some(Mode::Live));
    event
}

fn order(payment_status: &str, created_at: &str) -> Value {
    let usd = |amount: i64| json!({"amount": amount, "currency": "USD"});
    json!({
        "order_id": "ord_1", "status": "open", "payment_status": payment_status, "created_at": created_at,
        "pricing_amounts": {"total_money": usd(500)},
        "settlement_amounts": {"paid_money": usd(200), "outstanding_money": usd(300)},
    })
}

const NEW: &str = "2026-01-02T00:00:00Z";
const OLD: &str = "2025-12-31T00:00:00Z";

#[test]
fn an_order_with_money_is_found_and_becomes_its_event() {
    let all = found(ORDERS, &order("paid", NEW)).unwrap();
    let id = "ord_1".to_owned();
    assert_eq!(
        (all.event_type, &all.id, all.is_paid()),
        ("order.paid", &id, true)
    );
    assert_eq!(recovered(&all).change, all.change);
    let part = found(ORDERS, &order("partially_paid", NEW)).unwrap();
    let received = Received {
        amount: 200,
        is_all: false,
    };
    assert_eq!(part.received, Some(received));
    let Change::Fetch(Reference::Sale(id)) = recovered(&part).change else {
        panic!()
    };
    assert_eq!(id.as_str(), "ord_1");
    assert_eq!(found(ORDERS, &order("paid", OLD)), None);
    assert_eq!(found(ORDERS, &order("a new word", NEW)), None);
}

#[test]
fn an_order_states_its_last_change_and_an_unpaid_one_is_no_sale_yet() {
    let mut changed = order("unpaid", NEW);
    changed["updated_at"] = json!("2026-01-03T00:00:00.000001Z");
    let found = found(ORDERS, &changed).unwrap();
    let whole: wire::Order = whole(&changed, "order").unwrap();
    assert_eq!(
        (found.stamp, found.stamp.is_some()),
        (sale::stamp(&whole).unwrap(), true)
    );
    assert_eq!((found.event_type, found.received), ("order.updated", None));
    assert!(matches!(
        found.change,
        Change::Sale {
            completed: false,
            ..
        }
    ));
    assert!(matches!(
        recovered(&found).change,
        Change::Fetch(Reference::Sale(_))
    ));
}

#[test]
fn a_subscription_is_found_however_old_unless_it_ended_before() {
    let of = |status: &str, canceled_at: &str| {
        found(
            SUBSCRIPTIONS,
            &json!({
                "subscription_id": "sub_1", "customer_id": "cus_1", "status": status, "created_at": OLD,
                "canceled_at": canceled_at,
            }),
        )
    };
    let active = of("active", OLD).unwrap();
    assert_eq!(active.event_type, "subscription.updated");
    let fetched = recovered(&active).change;
    assert!(matches!(fetched, Change::Fetch(Reference::Subscription(_))));
    let ended = of("canceled", NEW).unwrap();
    assert_eq!(ended.event_type, "subscription.canceled");
    assert_eq!(recovered(&ended).event_type, "subscription.canceled");
    assert_eq!(of("canceled", OLD), None);
}

#[test]
fn a_failed_delivery_stays_the_same_event_with_or_without_its_payload() {
    let listed = json!({
        "webhook_event_id": "whev_1", "event_type": "invoice.opened", "created_at": NEW, "mode": "live",
        "resource_type": "invoice", "resource_id": "inv_1",
    });
    let with = |name: &str, value: Value| {
        let mut event = listed.clone();
        event[name] = value;
        found(EVENTS, &event).unwrap()
    };
    let data = json!({"invoice_id": "inv_1", "version": 2});
    let envelope = json!({
        "webhook_event_id": "whev_1", "event_type": "invoice.opened", "created_at": NEW, "data": data,
    });
    for found in [
        found(EVENTS, &listed).unwrap(),
        with("payload", data.clone()),
        with("payload", envelope),
        with("data", data),
    ] {
        assert_eq!(
            (found.event_type, found.id.as_str()),
            ("invoice.issued", "whev_1")
        );
        let stated_at = "2026-01-05T00:00:00Z".parse().unwrap();
        let whev = found.event_id.clone().unwrap();
        assert_eq!(whev.as_str(), "whev_1");
        let event = testing::event(crate::read(&super::event(&found, &whev, stated_at)));
        assert_eq!((&event.event_id, event.occurred_at), (&whev, found.since));
        assert_eq!(event.change, found.change);
        let Change::Fetch(reference) = event.change else {
            panic!()
        };
        assert_eq!(reference.to_string(), "invoice inv_1");
    }
    for unneeded in ["customer.created", "something.new"] {
        let event =
            json!({"webhook_event_id": "whev_1", "event_type": unneeded, "created_at": NEW});
        assert_eq!(found(EVENTS, &event), None);
    }
}

#[test]
fn a_failed_delivery_that_is_not_understood_is_recovered_if_it_has_its_payload() {
    let mut event = json!({
        "webhook_event_id": "whev_1", "event_type": "dispute.created", "created_at": NEW,
    });
    match listed(&ask(EVENTS), &event, Mode::Live) {
        Some(Listed::Unreadable { id, .. }) => assert_eq!(id.as_deref(), Some("whev_1")),
        other => panic!("{other:?}"),
    }
    event["payload"] = json!({"dispute_id": "dp_1"});
    let found = found(EVENTS, &event).unwrap();
    assert!(matches!(found.change, Change::NotUnderstood(_)));
    let body: Value = serde_json::from_slice(&found.object).unwrap();
    assert_eq!(
        (&body["data"], body.get("payload")),
        (&event["payload"], None)
    );
}

#[test]
fn a_thing_that_is_not_understood_is_named_and_kept() {
    for (list, thing, name) in [
        (
            ORDERS,
            json!({"order_id": "ord_1", "payment_status": "paid", "created_at": NEW}),
            Some("ord_1"),
        ),
        (
            SUBSCRIPTIONS,
            json!({"subscription_id": "sub_1", "status": 7}),
            Some("sub_1"),
        ),
        (SUBSCRIPTIONS, json!("sub_1"), None),
        (EVENTS, json!(["whev_1"]), None),
    ] {
        match listed(&ask(list), &thing, Mode::Live) {
            Some(Listed::Unreadable { id, object, .. }) => {
                assert_eq!(
                    (id.as_deref(), object),
                    (name, thing.to_string().into_bytes())
                );
            }
            other => panic!("{other:?}"),
        }
    }
}

#[test]
fn a_thing_that_is_too_large_is_kept_by_its_id() {
    assert_eq!(
        stub(ORDERS, Some("ord_1")),
        br#"{"data":{"order_id":"ord_1"}}"#
    );
}
