//! The row of the Events table.

use crate::delivery::Delivery;
use crate::delivery::event::Change;
use crate::delivery::event::Reading;
use crate::delivery::reference_state::reference_state;
use crate::values::class::Class;
use crate::values::ids::DeliveryId;
use crate::values::ids::EventId;
use crate::values::ids::ReceiptId;
use crate::values::ids::ReferenceState;
use crate::values::provider::Provider;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use std::fmt;

/// Where a stored event stands.
///
/// ```text
/// stored ──▶ committed ──▶ processed
///    └─────▶ parked ──▶ dropped         (an operator drops it)
/// not_needed, unhandled, unreadable     (ends at intake)
/// ```
///
/// An operator can have any of those that have ended, and a parked one, decided anew: back to stored.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum EventState {
    /// Kept, and to be worked on.
    Stored,
    /// Its effects are committed; the receipt may not be queued yet.
    Committed,
    /// Nothing is left to do.
    Processed,
    /// Doubtful: a person decides, or reconcile retries it once its thing is listed.
    Parked,
    /// A person has decided that nothing comes of it.
    Dropped,
    /// Of a type that we know and need nothing of.
    NotNeeded,
    /// Of a type that we do not know.
    Unhandled,
    /// Can never be understood.
    Unreadable,
}

impl EventState {
    /// Whether fulfillment still has something to do with it.
    #[must_use]
    pub fn is_unfinished(self) -> bool {
        match self {
            Self::Stored | Self::Committed => true,
            Self::Processed
            | Self::Parked
            | Self::Dropped
            | Self::NotNeeded
            | Self::Unhandled
            | Self::Unreadable => false,
        }
    }

    /// Whether the row may be forgotten once its retention has passed. Undone work never is.
    #[must_use]
    pub fn may_expire(self) -> bool {
        match self {
            Self::Processed
            | Self::Dropped
            | Self::NotNeeded
            | Self::Unhandled
            | Self::Unreadable => true,
            Self::Stored | Self::Committed | Self::Parked => false,
        }
    }

    /// Whether the table's index lists it: what is not done, and what a person has dropped, which reconcile must not
    /// take for missing.
    #[must_use]
    pub fn is_open(self) -> bool {
        !self.may_expire() || self == Self::Dropped
    }
}

/// The row of the Events table: a delivery with its fate.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoredEvent {
    /// The key; see [`Delivery::key`].
    pub event_id: EventId,
    /// Who sent it.
    pub provider: Provider,
    /// The carrier's id of the first delivery.
    pub delivery_id: DeliveryId,
    /// The type, where the body could be read.
    pub event_type: Option<String>,
    /// What it tells, if a list of the provider's may tell the same; `None` on rows of an older version.
    pub subject: Option<ReferenceState>,
    /// When it happened, where told.
    pub occurred_at: Option<Timestamp>,
    /// When we first received it.
    pub received_at: Timestamp,
    /// The bytes that were signed.
    pub body: Vec<u8>,
    /// See [`crate::values::fingerprint::fingerprint`].
    pub fingerprint: String,
    /// Where it stands.
    pub state: EventState,
    /// Why it is parked or unreadable, or why the last attempt failed.
    pub reason: Option<String>,
    /// The kind of that; `None` where there is no reason, or on rows of an older version.
    pub class: Option<Class>,
    /// How many attempts have failed since it was stored, or since an operator had it decided anew.
    pub attempts: u32,
    /// What an operator did last about it: when, who and why.
    pub note: Option<String>,
    /// The receipts to queue, once committed.
    pub receipt_ids: Vec<ReceiptId>,
}

impl StoredEvent {
    /// When what it tells was so: by the provider's clock, or where that is not told, by ours.
    #[must_use]
    pub fn stated_at(&self) -> Timestamp {
        self.occurred_at.unwrap_or(self.received_at)
    }

    /// The row for a delivery that is seen for the first time.
    #[must_use]
    pub fn first(delivery: &Delivery) -> Self {
        let (state, reason, event) = match &delivery.reading {
            Reading::Event(event) => match event.change {
                Change::NotNeeded => (EventState::NotNeeded, None, Some(event)),
                Change::Unhandled => (EventState::Unhandled, None, Some(event)),
                _ => (EventState::Stored, None, Some(event)),
            },
            Reading::Unreadable(why) => (EventState::Unreadable, Some(why.to_string()), None),
        };
        Self {
            event_id: delivery.key(),
            provider: delivery.provider,
            delivery_id: delivery.delivery_id.clone(),
            event_type: event.map(|event| event.event_type.clone()),
            subject: event.and_then(|event| reference_state(&event.change)),
            occurred_at: event.and_then(|event| event.occurred_at),
            received_at: delivery.received_at,
            body: delivery.body.clone(),
            fingerprint: delivery.fingerprint.clone(),
            state,
            class: reason.is_some().then_some(Class::Unreadable),
            reason,
            attempts: 0,
            note: None,
            receipt_ids: Vec::new(),
        }
    }

    /// The row beside the first one, for another body under the same id: parked, never merged.
    #[must_use]
    pub fn beside(delivery: &Delivery) -> Self {
        Self {
            event_id: delivery.key_beside(),
            state: EventState::Parked,
            class: Some(Class::OtherBody),
            reason: Some(format!(
                "another body came under the id {} of an earlier event",
                delivery.key()
            )),
            ..Self::first(delivery)
        }
    }
}

impl fmt::Display for EventState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Stored => "stored",
            Self::Committed => "committed",
            Self::Processed => "processed",
            Self::Parked => "parked",
            Self::Dropped => "dropped",
            Self::NotNeeded => "not_needed",
            Self::Unhandled => "unhandled",
            Self::Unreadable => "unreadable",
        })
    }
}
