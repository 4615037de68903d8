use super::*;
use domain::delivery::{
    Delivery,
    reference::Reference,
    stored_event::{EventState, StoredEvent},
};
use domain::values::{
    facts::Stamp,
    ids::{DeliveryId, OrderId},
    scope::NotOurs,
};
use jiff::Timestamp;
use proptest::prelude::*;
use rest::testing;
use serde_json::json;

fn of(body: &Value) -> Event {
    testing::event(read(body.to_string().as_bytes()))
}

fn why_not(body: &[u8]) -> Unreadable {
    testing::why_unreadable(read(body))
}

/// The vendor's sample of a merchant's event, with these members changed.
fn merchant(changed: Value) -> Value {
    let mut body = json!({
        "webhook_event_id": "whev_0001", "event_type": "order.updated", "payload_version": 1,
        "api_version": "2026-09-07", "mode": "test", "merchant_id": "mer_1",
        "created_at": "2026-01-01T00:00:00.123456Z", "request": null,
        "data": {"order_id": "ord_1", "resource_updated_at": "2026-01-01T00:00:00.000001Z"},
    });
    let Value::Object(changed) = changed else {
        panic!("{changed}")
    };
    body.as_object_mut().unwrap().extend(changed);
    body
}

/// The sample of an event for a partner's app, about one of its merchants.
fn partner(data: &Value) -> Value {
    json!({
        "webhook_event_id": "whev_0002", "event_type": "order.paid", "api_version": "2026-09-07",
        "created_at": "2026-01-01T00:00:00Z", "partner_app_id": "pa_1", "data": data,
    })
}

/// The meaning of the sample.
fn order() -> Change {
    Change::Fetch(Reference::Sale(OrderId::new("ord_1").unwrap()))
}

fn time(text: &str) -> Timestamp {
    text.parse().unwrap()
}

#[test]
fn a_merchants_event_states_its_account_its_time_and_its_things_stamp() {
    let event = of(&merchant(json!({})));
    let expected = Event {
        event_id: EventId::new("whev_0001").unwrap(),
        event_type: "order.updated".to_owned(),
        occurred_at: Some(time("2026-01-01T00:00:00.123456Z")),
        scope: Scope {
            mode: Some(Mode::Test),
            merchant_id: Some("mer_1".to_owned()),
            is_trial: false,
            is_for_partner: false,
        },
        stamp: Some(Stamp {
            version: 0,
            at: time("2026-01-01T00:00:00.000001Z"),
            rank: u8::MAX,
        }),
        change: order(),
    };
    assert_eq!(event, expected);
}

#[test]
fn a_synthetic_event_is_marked() {
    for test in [Some(true), Some(false), None] {
        let event = of(&merchant(json!({"test": test})));
        assert_eq!(event.scope.is_trial, test == Some(true), "{test:?}");
    }
}

#[test]
fn a_partners_event_is_marked_and_states_its_account_inside() {
    let data = json!({
        "order_id": "ord_1", "source_type": "installed_merchants", "merchant_id": "mer_2",
        "mode": "live", "environment_grant_id": "egrt_1", "partner_app_install_id": "pinst_1",
    });
    let event = of(&partner(&data));
    let expected = Scope {
        mode: Some(Mode::Live),
        merchant_id: Some("mer_2".to_owned()),
        is_trial: false,
        is_for_partner: true,
    };
    assert_eq!(event.scope, expected);
    assert!(matches!(event.change, Change::Sale { .. }));
    assert_eq!(
        event.scope.not_ours(Mode::Live, None),
        Some(NotOurs::Partner)
    );
    // Either mark is enough.
    let mut unnamed = partner(&data);
    unnamed.as_object_mut().unwrap().remove("partner_app_id");
    assert!(of(&unnamed).scope.is_for_partner);
    assert!(of(&partner(&json!({}))).scope.is_for_partner);
}

#[test]
fn a_partners_event_is_never_parked_and_reaches_fulfillment_which_alarms() {
    for data in [
        json!({}),
        json!(null),
        json!([]),
        json!({"order_id": 7, "mode": 7}),
        json!({"order_id": "ord_1"}),
    ] {
        let body = partner(&data).to_string().into_bytes();
        let delivery = Delivery {
            provider: "flint".parse().unwrap(),
            delivery_id: DeliveryId::new("whev_1").unwrap(),
            fingerprint: String::new(),
            received_at: Timestamp::UNIX_EPOCH,
            reading: read(&body),
            body,
        };
        let stored = StoredEvent::first(&delivery);
        assert_eq!(stored.state, EventState::Stored, "{data}");
    }
}

#[test]
fn the_older_envelope_lacks_members() {
    let body = json!({
        "webhook_event_id": "whev_1", "event_type": "order.payment_succeeded", "mode": "live",
        "merchant_id": "mer_1", "created_at": "2025-07-01T00:00:00Z", "payload_version": 1,
        "data": {"order_id": "ord_1", "payment_intent_id": "pi_1", "status": "paid"},
    });
    let event = of(&body);
    assert_eq!(event.event_type, "order.payment_captured");
    assert_eq!(event.change, order());
}

#[test]
fn a_later_layout_waits_for_a_person() {
    let with = |version: Value| of(&merchant(json!({"payload_version": version}))).change;
    for version in [json!(2), json!(0), json!(99)] {
        let why = Unreadable::Malformed("payload_version", "a number");
        assert_eq!(with(version), Change::NotUnderstood(why));
    }
    assert_eq!(with(json!(1.0)), order());
    assert_eq!(with(json!(null)), order());
    let later = json!({"payload_version": 2, "event_type": "something.new"});
    assert_eq!(of(&merchant(later)).change, Change::Unhandled);
}

#[test]
fn an_account_that_is_not_understood_waits_for_a_person() {
    for (name, value, kind) in [
        ("mode", json!("staging"), "a text"),
        ("mode", json!(true), "a flag"),
        ("merchant_id", json!(7), "a number"),
        ("test", json!("yes"), "a text"),
        ("data", json!("ord_1"), "a text"),
    ] {
        let why = Unreadable::Malformed(name, kind);
        let change = of(&merchant(json!({name: value}))).change;
        assert_eq!(change, Change::NotUnderstood(why));
        let unneeded = merchant(json!({name: value, "event_type": "customer.created"}));
        assert_eq!(of(&unneeded).change, Change::NotNeeded);
    }
    let without = of(&merchant(json!({"data": null}))).change;
    let missing = Unreadable::Missing("data");
    assert_eq!(without, Change::NotUnderstood(missing));
}

#[test]
fn a_time_that_is_not_understood_costs_only_itself() {
    let event = of(&merchant(json!({
        "created_at": "soon", "data": {"order_id": "ord_1", "resource_updated_at": "soon"},
    })));
    assert_eq!((event.occurred_at, event.stamp), (None, None));
    assert_eq!(event.change, order());
}

#[test]
fn a_type_that_is_unknown_is_kept_by_name() {
    let event = of(&merchant(json!({"event_type": "something.new"})));
    assert_eq!(
        (event.event_type.as_str(), event.change),
        ("something.new", Change::Unhandled)
    );
}

#[test]
fn a_body_that_names_no_event_is_unreadable() {
    for body in [
        &b""[..],
        b"hello",
        b"[]",
        b"null",
        b"\xff\xfe",
        b"{\"webhook_event_id\":\"w\"",
    ] {
        assert_eq!(why_not(body), Unreadable::NotJson, "{body:?}");
    }
    let (missing, malformed) = (Unreadable::Missing, Unreadable::Malformed);
    let two_words = json!({"webhook_event_id": "whev_1", "event_type": "two words"});
    let typeless = json!({"webhook_event_id": "whev_1"});
    for (body, why) in [
        (json!({}), missing("webhook_event_id")),
        (json!({"webhook_event_id": ""}), missing("webhook_event_id")),
        (
            json!({"webhook_event_id": 7}),
            malformed("webhook_event_id", "a number"),
        ),
        (typeless, missing("event_type")),
        (two_words, malformed("event_type", "a text")),
    ] {
        assert_eq!(why_not(body.to_string().as_bytes()), why, "{body}");
    }
}

proptest! {
    #[test]
    fn no_body_makes_it_panic(body in prop::collection::vec(any::<u8>(), 0..200)) {
        let _ = read(&body);
    }
}
