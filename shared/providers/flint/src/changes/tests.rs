use super::*;
use reading::Kind;
use serde_json::json;
use std::collections::BTreeSet;

/// The names of the guide on choosing events.
const GUIDE: [&str; 41] = [
    "payment_intent.succeeded",
    "payment_intent.payment_failed",
    "payment_intent.requires_action",
    "balance_transaction.created",
    "balance_transaction.updated",
    "order.created",
    "order.updated",
    "order.closed",
    "order.payment_succeeded",
    "order.inventory_exception.created",
    "order.inventory_exception.resolved",
    "order.reconciliation_exception.created",
    "order.fulfillment.status_changed",
    "invoice.created",
    "invoice.opened",
    "invoice.updated",
    "invoice.payment_failed",
    "invoice.payment_attempt_canceled",
    "invoice.payment_attempt_expired",
    "invoice.collection_blocked",
    "invoice.collection_block_resolved",
    "invoice.paid",
    "invoice.voided",
    "invoice.sent",
    "subscription.created",
    "subscription.activated",
    "subscription.payment_succeeded",
    "subscription.payment_failed",
    "subscription.past_due",
    "subscription.paused",
    "subscription.resumed",
    "subscription.canceled",
    "payment_method.saved",
    "payment_method.failed",
    "payment_method.removed",
    "merchant.readiness.updated",
    "capability.updated",
    "checkout_session.completed",
    "checkout_session.closed",
    "checkout_session.expired",
    "checkout_session.invalidated",
];

fn data(value: &Value) -> Map<String, Value> {
    value.as_object().unwrap().clone()
}

fn change(event_type: &str, value: &Value) -> Result<Change, NotUnderstood> {
    of(event_type, &data(value), None)
}

fn order(id: &str, completed: bool) -> Change {
    let order_id = OrderId::new(id).unwrap();
    Change::Sale {
        order_id,
        completed,
    }
}

#[test]
fn every_name_of_the_guide_has_a_rule() {
    for name in GUIDE {
        assert!(handling(current_name(name)).is_some(), "{name}");
    }
}

#[test]
fn a_type_is_listed_once_under_one_current_name() {
    let mut names: Vec<_> = event_types().map(|(name, _)| name).collect();
    names.extend(aliases().map(|(alias, _)| alias));
    let different: BTreeSet<_> = names.iter().collect();
    assert_eq!(different.len(), names.len());
    for name in names {
        let is_of_family = families().any(|start| name.starts_with(start));
        assert!(!is_of_family, "{name}");
    }
}

#[test]
fn an_older_name_is_the_same_event() {
    let expected = [
        ("order.payment_succeeded", "order.payment_captured"),
        ("invoice.opened", "invoice.issued"),
    ];
    assert_eq!(aliases().collect::<Vec<_>>(), expected);
    for (alias, current) in expected {
        assert_eq!(current_name(alias), current);
        assert_eq!(current_name(current), current);
    }
}

#[test]
fn only_a_paid_order_is_stated_as_complete() {
    let value = json!({"order_id": "ord_1", "payment_status": "paid", "status": "closed"});
    let orders = event_types().filter(|(_, kind)| *kind == "order");
    for (name, _) in orders {
        let expected = order("ord_1", name == "order.paid");
        assert_eq!(change(name, &value), Ok(expected), "{name}");
    }
}

#[test]
fn an_id_is_in_the_data_or_in_its_thing_and_never_in_both_differently() {
    let nested = |id: Value| json!({"order": {"order_id": id}});
    let both =
        |flat: Value, nested: Value| json!({"order_id": flat, "order": {"order_id": nested}});
    let of = |value: &Value| change("order.paid", value);
    for value in [
        json!({"order_id": "ord_1"}),
        json!({"order_id": " ord_1\u{200b}"}),
        nested(json!("ord_1")),
        both(json!("ord_1"), json!("ord_1")),
        both(json!(null), json!("ord_1")),
        both(json!(7), json!("ord_1")),
        both(json!("ord_1"), json!([])),
        json!({"order_id": "ord_1", "order": "ord_1"}),
    ] {
        assert_eq!(of(&value), Ok(order("ord_1", true)), "{value}");
    }
    let place = "data.order_id";
    for (value, why) in [
        (json!({}), NotUnderstood::Missing(place)),
        (json!({"order_id": ""}), NotUnderstood::Missing(place)),
        (nested(json!(null)), NotUnderstood::Missing(place)),
        (
            json!({"order_id": 7}),
            NotUnderstood::Malformed(place, Kind::Number),
        ),
        (
            json!({"order_id": "a b"}),
            NotUnderstood::Malformed(place, Kind::Text),
        ),
        (
            both(json!("ord_1"), json!("ord_2")),
            NotUnderstood::Malformed(place, Kind::Text),
        ),
    ] {
        assert_eq!(of(&value), Err(why), "{value}");
    }
}

#[test]
fn other_families_need_nothing_and_an_unknown_type_is_kept() {
    for name in [
        "customer.created",
        "payouts.paid",
        "return_resolution.created",
        "invoice.sent",
    ] {
        assert_eq!(change(name, &json!({})), Ok(Change::NotNeeded), "{name}");
    }
    for name in [
        "something.new",
        "order.something_new",
        "Order.paid",
        "order",
    ] {
        assert_eq!(change(name, &json!({})), Ok(Change::Unhandled), "{name}");
    }
}

#[test]
fn the_stamp_is_the_member_that_orders_a_things_states() {
    let time = |second| Timestamp::from_second(second).unwrap();
    let value = data(&json!({
        "resource_updated_at": 1, "fulfillment_hold": {"updated_at": 2}, "fulfillment": {"updated_at": 3},
        "observed_at": 4, "payment_attempt_updated_at": 5, "version": 7,
    }));
    let of = |name: &str| stamp(name, &value, Some(time(9)));
    let at = |version, second| {
        let at = time(second);
        Some(Stamp {
            version,
            at,
            rank: 0,
        })
    };
    for (name, expected) in [
        ("order.updated", at(0, 1)),
        ("payment_intent.succeeded", at(0, 1)),
        ("payment_intent.fulfillment_hold.updated", at(0, 2)),
        ("order.fulfillment.updated", at(0, 3)),
        ("merchant.readiness.updated", at(0, 4)),
        ("capability.updated", at(0, 4)),
        ("invoice.paid", at(7, 5)),
        ("subscription.updated", at(0, 1)),
        ("balance_transaction.updated", None),
        ("customer.updated", None),
        ("something.new", None),
    ] {
        assert_eq!(of(name), expected, "{name}");
    }
    let version = data(&json!({"version": 7}));
    assert_eq!(stamp("invoice.sent", &version, None), None);
    assert_eq!(stamp("invoice.paid", &version, Some(time(9))), at(7, 9));
    for odd in [json!({"version": -1}), json!({"version": "7"}), json!({})] {
        assert_eq!(
            stamp("invoice.paid", &data(&odd), Some(time(9))),
            None,
            "{odd}"
        );
    }
}
