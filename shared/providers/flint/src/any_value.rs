//! Any JSON value at any place of an event: the same meaning, or a reason by name, and never another thing.

use domain::delivery::event::{Change, Event, Reading};
use rest::testing::places;
use serde_json::{Value, json};
use std::collections::BTreeMap;

fn event(body: &Value) -> Option<Event> {
    match crate::read(body.to_string().as_bytes()) {
        Reading::Event(event) => Some(*event),
        Reading::Unreadable(_) => None,
    }
}

/// An event of every type, with every member that a rule reads.
fn sample(event_type: &str) -> Value {
    let mut data = json!({
        "resource_updated_at": "2026-01-01T00:00:00.5Z", "observed_at": "2026-01-01T00:00:00Z", "version": 3,
        "payment_attempt_updated_at": "2026-01-01T00:00:00Z", "capability": "card_payments",
        "fulfillment_hold": {"status": "active", "updated_at": "2026-01-01T00:00:00Z"},
        "fulfillment": {"fulfillment_id": "x_1", "updated_at": "2026-01-01T00:00:00Z"},
        "order": {"order_id": "x_1"}, "line_items": [{"quantity": 1}],
    });
    for thing in [
        "order",
        "payment_intent",
        "refund",
        "dispute",
        "subscription",
        "invoice",
        "fulfillment",
        "balance_transaction",
        "payment_method",
        "merchant",
        "checkout_session",
    ] {
        data[format!("{thing}_id")] = json!("x_1");
    }
    json!({
        "webhook_event_id": "whev_1", "event_type": event_type, "payload_version": 1, "mode": "live",
        "merchant_id": "mer_1", "created_at": "2026-01-01T00:00:00Z", "test": false,
        "request": {"id": "req_1", "idempotency_key": "k"}, "data": data,
    })
}

const IDENTITY: [&str; 3] = ["", "/webhook_event_id", "/event_type"];

/// Checks an event with another value at one place.
fn check(sample: &Value, original: &Event, place: &str, value: &Value) {
    let mut mutant = sample.clone();
    *mutant.pointer_mut(place).unwrap() = value.clone();
    let Some(read) = event(&mutant) else {
        assert!(
            IDENTITY.contains(&place),
            "{place}: {value} loses the event"
        );
        return;
    };
    let is_parked = matches!(read.change, Change::NotUnderstood(_));
    let has_no_effect = is_parked || read.change == Change::NotNeeded;
    assert!(
        is_parked || read.change == original.change,
        "{place}: {value} makes {read:?}"
    );
    assert_eq!(read.event_id, original.event_id, "{place}: {value}");
    // Any text is the name of a merchant.
    let says_other = value.is_null() || (place == "/merchant_id" && value.is_string());
    let is_same = says_other || read.scope == original.scope;
    assert!(has_no_effect || is_same, "{place}: {value}");
}

#[test]
fn any_value_anywhere_in_an_event_has_the_same_meaning_or_a_reason() {
    let odd = [
        json!(null),
        json!(7.5),
        json!(1e300),
        json!("two words \u{fffd}"),
        json!([]),
        json!([{"x": 1}]),
        json!({"x": 1}),
    ];
    let mut cases = 0;
    // One type of each kind, and the hold, which has a stamp of another kind.
    let kinds: BTreeMap<_, _> = crate::event_types()
        .map(|(name, kind)| (kind, name))
        .collect();
    let hold = "payment_intent.fulfillment_hold.updated";
    for event_type in kinds.into_values().chain([hold]) {
        let sample = sample(event_type);
        let original = event(&sample).unwrap();
        let mut all = Vec::new();
        places(&sample, "", &mut all);
        for place in &all {
            for value in &odd {
                check(&sample, &original, place, value);
            }
        }
        cases += all.len() * odd.len();
    }
    assert!(cases > 3_000, "{cases}");
}
