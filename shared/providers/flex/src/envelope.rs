//! The body of a delivery.
//!
//! Flex asks integrators to read permissively: unknown members and event types are not errors, and the list of types
//! may grow at any time (<https://docs.withflex.com/developer-guides/webhooks/events>).

use crate::{changes, time::timestamp};
use domain::{
    delivery::event::{Event, Reading, Unreadable},
    values::ids::{EventId, MAX_ID_LENGTH},
};
use serde_json::{Map, Value};
use std::borrow::Cow;

/// Reads the body of a verified delivery.
///
/// It needs no limits: intake caps the size, and `serde_json` stops at 128 levels of nesting.
#[must_use]
pub fn read(body: &[u8]) -> Reading {
    match event(body) {
        Ok(event) => Reading::Event(Box::new(event)),
        Err(why) => Reading::Unreadable(why),
    }
}

fn event(body: &[u8]) -> Result<Event, Unreadable> {
    let body: Map<String, Value> = serde_json::from_slice(body).map_err(|_| Unreadable::NotJson)?;
    let event = unwrapped(&body);
    let event_id = event
        .get("event_id")
        .and_then(Value::as_str)
        .and_then(|id| EventId::new(id).ok())
        .ok_or(Unreadable::Member("event_id"))?;
    let event_type = event
        .get("event_type")
        .and_then(Value::as_str)
        .filter(|kind| {
            (1..=MAX_ID_LENGTH).contains(&kind.len())
                && kind.bytes().all(|byte| byte.is_ascii_graphic())
        })
        .map(normalized)
        .ok_or(Unreadable::Member("event_type"))?;
    let change = changes::of(&event_type, event)?;
    // A wrapped event states only the time of its creation, which is the nearest one.
    let occurred_at = ["event_dt", "created_at"]
        .iter()
        .find_map(|name| timestamp(event.get(*name)?));
    Ok(Event {
        event_id,
        event_type: event_type.into_owned(),
        occurred_at,
        change,
    })
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
    use serde_json::json;

    fn of(body: &Value) -> Event {
        match read(body.to_string().as_bytes()) {
            Reading::Event(event) => *event,
            Reading::Unreadable(why) => panic!("{why}: {body}"),
        }
    }

    fn why_not(body: &[u8]) -> Unreadable {
        match read(body) {
            Reading::Unreadable(why) => why,
            Reading::Event(event) => panic!("{event:?}"),
        }
    }

    #[test]
    fn both_spellings_of_a_checkout_event_are_one() {
        let object = json!({"checkout_session": "fcs_1"});
        let spelled =
            |kind: &str| of(&json!({"event_id": "fevt_1", "event_type": kind, "object": object}));
        assert_eq!(
            spelled("checkout_session.completed"),
            spelled("checkout.session.completed")
        );
        assert_eq!(
            spelled("checkout_session.expired").event_type,
            "checkout.session.expired"
        );
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
        let at = |times: Value| {
            let mut body = json!({"event_id": "fevt_1", "event_type": "something.new"});
            body.as_object_mut()
                .unwrap()
                .extend(times.as_object().unwrap().clone());
            of(&body).occurred_at.map(Timestamp::as_second)
        };
        assert_eq!(at(json!({"event_dt": 5, "created_at": 7})), Some(5));
        assert_eq!(at(json!({"event_dt": "5"})), Some(5));
        assert_eq!(at(json!({"event_dt": "1970-01-01T00:00:05Z"})), Some(5));
        assert_eq!(
            at(json!({"event_dt": null, "created_at": "1970-01-01T00:00:07Z"})),
            Some(7)
        );
        assert_eq!(at(json!({"event_dt": "soon"})), None);
        assert_eq!(at(json!({})), None);
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
            r#"{"event_id":7}"#,
            r#"{"event_id":"","event_type":"a"}"#,
            r#"{"event":"fevt_1"}"#,
        ] {
            assert_eq!(
                why_not(body.as_bytes()),
                Unreadable::Member("event_id"),
                "{body}"
            );
        }
        let long = "a".repeat(256);
        for kind in [json!(null), json!(""), json!("two words"), json!(long)] {
            let body = json!({"event_id": "fevt_1", "event_type": kind}).to_string();
            assert_eq!(
                why_not(body.as_bytes()),
                Unreadable::Member("event_type"),
                "{body}"
            );
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
