//! Announcements of events that a person has to decide about, and of events that no delivery brought.

use crate::{
    announcement::{Announcement, Batch, Cause, Change, Kind, State},
    delivery::stored_event::{EventState, StoredEvent},
    values::{class::Class, facts::whole_second},
};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_with::skip_serializing_none;

/// A provider's event. It has no body.
#[skip_serializing_none]
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct EventSummary {
    pub event_id: String,
    pub event_type: Option<String>,
    /// `parked`, `released` or `dropped`; `recovered` for one that no delivery brought.
    pub state: String,
    #[cfg_attr(feature = "schema", schemars(schema_with = "super::time"))]
    pub received_at: Timestamp,
    /// The class of the reason to park it.
    #[cfg_attr(feature = "schema", schemars(with = "Option<String>"))]
    pub class: Option<Class>,
}

/// The announcement that an event is parked. For an event that no delivery brought, that comes first.
#[must_use]
pub fn parked(event: &StoredEvent, class: Class, at: Timestamp) -> Option<Batch> {
    let mut all = missed(event, at);
    let parked = announce(event, Kind::EventParked, "parked", Some(class), at);
    all.extend(parked);
    Batch::new(all, at)
}

/// The announcement that is written with a new event: of one that is parked at once.
#[must_use]
pub fn recorded(event: &StoredEvent) -> Option<Batch> {
    let class = event.class.filter(|_| event.state == EventState::Parked)?;
    parked(event, class, event.received_at)
}

/// The announcement that a person returned an event to its work.
#[must_use]
pub fn released(event: &StoredEvent, at: Timestamp) -> Option<Batch> {
    let released = announce(event, Kind::EventReleased, "released", None, at);
    Batch::new(released, at)
}

/// The announcement that a person ended an event.
#[must_use]
pub fn dropped(event: &StoredEvent, at: Timestamp) -> Option<Batch> {
    let dropped = announce(event, Kind::EventDropped, "dropped", event.class, at);
    Batch::new(dropped, at)
}

/// The announcement of an event that no delivery brought; none for another event.
#[must_use]
pub fn missed(event: &StoredEvent, at: Timestamp) -> Vec<Announcement> {
    if !event.is_recovered() {
        return Vec::new();
    }
    announce(event, Kind::DeliveryMissed, "recovered", None, at)
}

/// An event's row has no version. The second of the change takes its place.
fn announce(
    event: &StoredEvent,
    kind: Kind,
    state: &str,
    class: Option<Class>,
    at: Timestamp,
) -> Vec<Announcement> {
    let cause = Cause {
        at,
        provider: Some(&event.provider),
        event_id: Some(&event.event_id),
    };
    let summary = EventSummary {
        event_id: event.event_id.to_string(),
        event_type: event.event_type.clone(),
        state: state.to_owned(),
        received_at: whole_second(event.received_at),
        class,
    };
    let change = Change {
        kinds: vec![kind],
        changed: vec!["state".to_owned()],
    };
    let version = u64::try_from(at.as_second()).unwrap_or_default();
    let id = summary.event_id.clone();
    cause.announce(&id, version, change, &State::Event(summary))
}
