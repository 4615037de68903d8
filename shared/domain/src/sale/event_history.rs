//! The events that changed an order, in the order in which they were decided.
//!
//! The list is about arrival: two arrivals of the same events end in equal facts and in different lists. No rule reads
//! it, and no announcement shows it.

use crate::values::ids::EventId;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_with::skip_serializing_none;

/// The number of events that are kept: the latest ones.
pub const MOST_EVENTS: usize = 50;
/// The longest type of an event, in characters.
const LONGEST_TYPE: usize = 64;
/// The longest text of a decision, in characters.
const LONGEST_TEXT: usize = 120;

/// One event, with its decision.
#[skip_serializing_none]
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct DecidedEvent {
    pub event_id: EventId,
    /// The provider's type of the event.
    #[serde(rename = "type")]
    pub event_type: Option<String>,
    /// The time of the decision.
    #[serde(with = "jiff::fmt::serde::timestamp::second::required")]
    pub at: Timestamp,
    /// What the commit did, without personal data and product names.
    pub done: String,
}

/// The latest events that changed an order, oldest first.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct EventHistory(Vec<DecidedEvent>);

impl EventHistory {
    /// Adds an event. The oldest one goes if there are too many.
    pub fn push(&mut self, event: DecidedEvent) {
        let cut = |text: String, most| text.chars().take(most).collect();
        self.0.push(DecidedEvent {
            event_type: event.event_type.map(|text| cut(text, LONGEST_TYPE)),
            done: cut(event.done, LONGEST_TEXT),
            ..event
        });
        let surplus = self.0.len().saturating_sub(MOST_EVENTS);
        self.0.drain(..surplus);
    }

    /// The events, oldest first.
    pub fn iter(&self) -> impl Iterator<Item = &DecidedEvent> {
        self.0.iter()
    }

    /// True without any event.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Forgets all events, for a row that is too large otherwise.
    pub fn cut_all(&mut self) {
        self.0.clear();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        fulfillment::testing::{NOW, at, id},
        values::{ids::MAX_ID_LENGTH, size::json_size},
    };

    #[test]
    fn the_list_keeps_the_latest_events_and_stays_small() {
        let mut history = EventHistory::default();
        assert!(history.is_empty());
        for n in 0..MOST_EVENTS + 7 {
            history.push(DecidedEvent {
                event_id: id(&format!("{n:0>MAX_ID_LENGTH$}")),
                event_type: Some("t".repeat(1000)),
                at: at(NOW),
                done: "d".repeat(1000),
            });
        }
        let ids: Vec<_> = history.iter().map(|event| event.event_id.clone()).collect();
        assert_eq!(ids.len(), MOST_EVENTS);
        assert_eq!(ids[0], id(&format!("{:0>MAX_ID_LENGTH$}", 7)));
        assert!(json_size(&history) < 26_000, "{}", json_size(&history));
    }
}
