//! The body of a delivery.
//!
//! Flex asks integrators to read permissively: unknown members and event types are not errors, and the list of types
//! may grow at any time (<https://docs.withflex.com/developer-guides/webhooks/events>).

use crate::{changes, translate};
use domain::{
    delivery::event::{Change, Event, Reading, Unreadable},
    values::{facts::whole_second, ids::EventId, scope::Scope},
};
use jiff::Timestamp;
use reading::{Identified, NotUnderstood, document, member};
use serde_json::{Map, Value};
use std::borrow::Cow;

/// Reads the body of a verified delivery.
///
/// It needs no limits: intake caps the size, and [`document`] stops at 128 levels of nesting.
#[must_use]
pub fn read(body: &[u8]) -> Reading {
    match event(body) {
        Ok(event) => Reading::Event(Box::new(event)),
        Err(why) => Reading::Unreadable(why),
    }
}

fn event(body: &[u8]) -> Result<Event, Unreadable> {
    let Some(Value::Object(body)) = document(body) else {
        return Err(Unreadable::NotJson);
    };
    let event = unwrapped(&body);
    let name = |name| translate::own_id(member::<String>(event, name).id(), EventId::new, name);
    let event_id = name("event_id").map_err(translate::unreadable)?;
    // A type has the form of an id: printable ASCII, and not too long for a row.
    let event_type = name("event_type").map_err(translate::unreadable)?;
    let event_type = normalized(event_type.as_str()).into_owned();
    let occurred_at = occurred_at(event);
    let change = match changes::of(&event_type, event) {
        // Nothing needs the time of an event without effect.
        Ok(change @ (Change::NotNeeded | Change::Unhandled)) => change,
        read => read
            .and_then(|change| occurred_at.map(|_| change))
            .unwrap_or_else(|why| Change::NotUnderstood(translate::unreadable(why))),
    };
    Ok(Event {
        event_id,
        event_type,
        occurred_at: occurred_at.unwrap_or_default(),
        scope: Scope::UNSTATED,
        stamp: None,
        change,
    })
}

/// A wrapped event states only the time of its creation, which is the nearest one. Flex's numbers are whole seconds, and
/// so is every time of an event: a text with a fraction is the same moment.
fn occurred_at(event: &Map<String, Value>) -> Result<Option<Timestamp>, NotUnderstood> {
    let times = ["event_dt", "created_at"].map(|name| member(event, name));
    Ok(reading::first(times, "event_dt")?.map(whole_second))
}

/// Flex's API shows a stored event wrapped as `{"event": {…}}`
/// (<https://docs.withflex.com/api-reference/events/retry-event.md>). No known delivery is wrapped; accepting both
/// costs a line.
fn unwrapped(body: &Map<String, Value>) -> &Map<String, Value> {
    match body.get("event") {
        Some(Value::Object(event)) if !body.contains_key("event_type") => event,
        _ => body,
    }
}

/// Flex's guides spell checkout events with an underscore in lists of events and with a dot in payloads
/// (<https://docs.withflex.com/developer-guides/integration/checkout/fulfillment>). The dotted one is on the wire.
fn normalized(event_type: &str) -> Cow<'_, str> {
    match event_type.strip_prefix("checkout_session.") {
        Some(what) => Cow::Owned(format!("checkout.session.{what}")),
        None => Cow::Borrowed(event_type),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use domain::delivery::event::Change;
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

    #[test]
    fn both_spellings_of_a_checkout_event_are_one() {
        let object = json!({"checkout_session": "fcs_1"});
        let spelled =
            |kind: &str| of(&json!({"event_id": "fevt_1", "event_type": kind, "object": object}));
        for what in ["completed", "expired"] {
            let dotted = spelled(&format!("checkout.session.{what}"));
            assert_eq!(spelled(&format!("checkout_session.{what}")), dotted);
            assert_eq!(dotted.event_type, format!("checkout.session.{what}"));
        }
    }

    #[test]
    fn a_body_may_be_written_in_any_way() {
        let plain = br#"{"event_id":"fevt_1","event_type":"checkout.session.expired","object":{"checkout_session":"fcs_1"}}"#;
        let odd = b"\xef\xbb\xbf{\"object\":{\"checkout_session\":\"fcs_1\\u200b\",\"note\":\"\\ud83d \xff\",\"n\":1e999},\
            \"event_type\":\" checkout.session.expired\",\"event_id\":\"\\u0066evt_1\"}";
        assert_eq!(read(odd), read(plain));
    }

    #[test]
    fn a_wrapped_event_is_the_same_event() {
        let bare = json!({
            "event_id": "fevt_1", "event_type": "checkout.session.completed", "test_mode": true,
            "created_at": "2025-10-10T09:53:21Z", "object": {"checkout_session": "fcs_1"},
        });
        assert_eq!(of(&json!({"event": bare})), of(&bare));
        assert!(of(&bare).occurred_at.is_some());
    }

    #[test]
    fn a_type_that_we_do_not_know_is_kept_by_name() {
        let event = of(&json!({"event_id": "fevt_1", "event_type": "something.new"}));
        assert_eq!(
            (event.event_type.as_str(), event.change),
            ("something.new", Change::Unhandled)
        );
    }

    #[test]
    fn the_time_is_the_events_own_where_told() {
        for (times, second) in [
            (json!({"event_dt": 5, "created_at": 7}), Some(5)),
            (json!({"event_dt": "5"}), Some(5)),
            (json!({"event_dt": "1970-01-01T00:00:05Z"}), Some(5)),
            (
                json!({"event_dt": null, "created_at": "1970-01-01T00:00:07Z"}),
                Some(7),
            ),
            (
                json!({"event_dt": "soon", "created_at": 1_760_090_001_000_i64}),
                Some(1_760_090_001),
            ),
            (json!({"event_dt": "soon"}), None),
            (json!({}), None),
        ] {
            let mut body = times.clone();
            body["event_id"] = json!("fevt_1");
            body["event_type"] = json!("something.new");
            let occurred_at = of(&body).occurred_at;
            assert_eq!(occurred_at.map(Timestamp::as_second), second, "{times}");
        }
    }

    #[test]
    fn a_time_that_orders_facts_is_understood_or_the_event_is_not() {
        let of = |kind: &str| {
            let object = json!({"checkout_session": "fcs_1", "customer": "fcus_1"});
            of(
                &json!({"event_id": "fevt_1", "event_type": kind, "event_dt": "soon", "object": object}),
            )
        };
        let why = Unreadable::Malformed("event_dt", "a text");
        assert_eq!(
            of("checkout.session.completed").change,
            Change::NotUnderstood(why)
        );
        assert_eq!(of("customer.created").change, Change::NotNeeded);
        assert_eq!(of("something.new").change, Change::Unhandled);
    }

    #[test]
    fn a_body_that_names_no_event_is_unreadable() {
        for body in [
            &b""[..],
            b"hello",
            b"[]",
            b"null",
            b"\xff\xfe",
            b"{\"event_id\":\"fevt_1\"",
        ] {
            assert_eq!(why_not(body), Unreadable::NotJson, "{body:?}");
        }
        for body in [
            "{}",
            r#"{"event_id":"","event_type":"a"}"#,
            r#"{"event":"fevt_1"}"#,
        ] {
            let why = Unreadable::Missing("event_id");
            assert_eq!(why_not(body.as_bytes()), why, "{body}");
        }
        let number = Unreadable::Malformed("event_id", "a number");
        assert_eq!(why_not(br#"{"event_id":7}"#), number);
        let long = "a".repeat(256);
        let missing = Unreadable::Missing("event_type");
        let malformed = Unreadable::Malformed("event_type", "a text");
        for (kind, why) in [
            (json!(null), &missing),
            (json!(""), &missing),
            (json!("two words"), &malformed),
            (json!(long), &malformed),
        ] {
            let body = json!({"event_id": "fevt_1", "event_type": kind}).to_string();
            assert_eq!(why_not(body.as_bytes()), *why, "{body}");
        }
    }

    #[test]
    fn nesting_without_end_is_refused_and_not_followed() {
        let deep = [vec![b'['; 200_000], vec![b']'; 200_000]].concat();
        let body = [
            &br#"{"event_id":"fevt_1","event_type":"a","object":"#[..],
            &deep,
            b"}",
        ]
        .concat();
        assert_eq!(why_not(&body), Unreadable::NotJson);
    }

    proptest! {
        #[test]
        fn no_body_makes_it_panic(body in prop::collection::vec(any::<u8>(), 0..200)) {
            let _ = read(&body);
        }
    }
}
