use super::*;
use crate::delivery::Delivery;
use crate::delivery::reference::Reference;
use crate::delivery::stored_event::EventState;
use crate::delivery::stored_event::StoredEvent;
use crate::values::class::Class;
use crate::values::ids::DeliveryId;
use crate::values::ids::PaymentIntentId;

fn delivery(reading: Reading) -> Delivery {
    Delivery {
        provider: "flex".parse().unwrap(),
        delivery_id: DeliveryId::new("msg_1").unwrap(),
        body: b"{}".to_vec(),
        fingerprint: "44136fa3".to_owned(),
        received_at: Timestamp::UNIX_EPOCH,
        reading,
    }
}

fn facts(change: Change) -> Reading {
    let event_id = EventId::new("fevt_1").unwrap();
    Reading::Event(Box::new(Event {
        event_id,
        event_type: "any".to_owned(),
        occurred_at: None,
        scope: crate::values::scope::Scope::UNSTATED,
        stamp: None,
        change,
    }))
}

#[test]
fn where_an_event_stands_says_what_is_left_to_do_and_whether_it_may_be_forgotten() {
    let all = [
        (EventState::Stored, "stored", true, false),
        (EventState::Committed, "committed", true, false),
        (EventState::Processed, "processed", false, true),
        (EventState::Parked, "parked", false, false),
        (EventState::Dropped, "dropped", false, true),
        (EventState::NotNeeded, "not_needed", false, true),
        (EventState::Unhandled, "unhandled", false, true),
        (EventState::Unreadable, "unreadable", false, true),
    ];
    for (state, word, is_unfinished, may_expire) in all {
        assert_eq!(state.to_string(), word);
        assert_eq!(
            serde_json::to_string(&state).unwrap(),
            format!("\"{word}\""),
            "as rows have it"
        );
        assert_eq!(
            (state.is_unfinished(), state.may_expire()),
            (is_unfinished, may_expire),
            "{word}"
        );
        let is_open = !may_expire || state == EventState::Dropped;
        assert_eq!(state.is_open(), is_open, "{word}");
    }
}

#[test]
fn what_an_event_tells_decides_where_it_begins() {
    let customer = Change::Fetch(Reference::RefundsOfPayment(
        PaymentIntentId::new("fpi_1").unwrap(),
    ));
    for (reading, state) in [
        (facts(customer), EventState::Stored),
        (facts(Change::NotNeeded), EventState::NotNeeded),
        (facts(Change::Unhandled), EventState::Unhandled),
    ] {
        let first = StoredEvent::first(&delivery(reading));
        assert_eq!(
            (first.event_id.as_str(), first.state, first.class),
            ("fevt_1", state, None)
        );
    }
}

#[test]
fn a_second_body_under_a_known_id_is_parked_under_a_key_of_its_own() {
    let beside = StoredEvent::beside(&delivery(facts(Change::NotNeeded)));
    assert!(beside.event_id.is_other_body(), "{}", beside.event_id);
    assert_eq!(
        (beside.state, beside.class),
        (EventState::Parked, Some(Class::OtherBody))
    );
    assert!(
        beside
            .reason
            .is_some_and(|reason| reason.contains("fevt_1"))
    );
}
