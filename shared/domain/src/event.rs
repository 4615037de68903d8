//! What a delivery's body says, and the row that keeps it.

use crate::{
    delivery::{Delivery, Provider},
    ids::{DeliveryId, EventId, OrderId, ReceiptId},
};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use std::fmt;

/// What could be made of a verified body.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Reading {
    /// An event, of a type that we act on or not.
    Event(Event),
    /// Nothing, now or later.
    Unreadable(Unreadable),
}

/// Why a signed body can never be understood. A resend brings the same bytes, so it cannot help.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Unreadable {
    /// Not JSON at all, or not an object.
    #[error("the body is not a JSON object")]
    NotJson,
    /// A required member is missing, of the wrong type, or not an identifier.
    #[error("`{0}` is missing or malformed")]
    Member(&'static str),
}

/// An event in the core's words.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Event {
    /// The provider's id.
    pub event_id: EventId,
    /// The type as the provider spells it, aliases normalized.
    pub event_type: String,
    /// When it happened, by the provider's clock, where told.
    pub occurred_at: Option<Timestamp>,
    /// What it means to us.
    pub news: News,
}

/// What an event tells us to look at. The provider's API then says what is true.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum News {
    /// A checkout was completed.
    CheckoutCompleted {
        /// Which one.
        order_id: OrderId,
    },
    /// A type that we do nothing with (yet): stored, counted, acknowledged.
    Unhandled,
}

/// Where a stored event stands.
///
/// ```text
/// stored ──▶ committed ──▶ processed
///    └─────▶ parked                     (an operator releases: back to stored, or drops)
/// unhandled, unreadable                 (ends at intake)
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum EventState {
    /// Kept, and to be worked on.
    Stored,
    /// Its effects are committed; the receipt may not be queued yet.
    Committed,
    /// Nothing is left to do.
    Processed,
    /// Doubtful: a person decides.
    Parked,
    /// Of a type that we do nothing with.
    Unhandled,
    /// Can never be understood.
    Unreadable,
}

impl EventState {
    /// Whether fulfillment still has something to do with it.
    #[must_use]
    pub fn is_pending(self) -> bool {
        match self {
            Self::Stored | Self::Committed => true,
            Self::Processed | Self::Parked | Self::Unhandled | Self::Unreadable => false,
        }
    }

    /// Whether the row may be forgotten once its retention has passed. Undone work never is.
    #[must_use]
    pub fn may_expire(self) -> bool {
        match self {
            Self::Processed | Self::Unhandled | Self::Unreadable => true,
            Self::Stored | Self::Committed | Self::Parked => false,
        }
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
    /// When it happened, where told.
    pub occurred_at: Option<Timestamp>,
    /// When we first received it.
    pub received_at: Timestamp,
    /// The bytes that were signed.
    pub body: Vec<u8>,
    /// See [`crate::delivery::fingerprint`].
    pub fingerprint: String,
    /// Where it stands.
    pub state: EventState,
    /// Why it is parked or unreadable, or why the last attempt failed.
    pub reason: Option<String>,
    /// How many attempts have failed.
    pub attempts: u32,
    /// The receipt to queue, once committed.
    pub receipt_id: Option<ReceiptId>,
}

impl StoredEvent {
    /// The row for a delivery that is seen for the first time.
    #[must_use]
    pub fn first(delivery: &Delivery) -> Self {
        let (state, reason, event) = match &delivery.reading {
            Reading::Event(event) => match event.news {
                News::CheckoutCompleted { .. } => (EventState::Stored, None, Some(event)),
                News::Unhandled => (EventState::Unhandled, None, Some(event)),
            },
            Reading::Unreadable(why) => (EventState::Unreadable, Some(why.to_string()), None),
        };
        Self {
            event_id: delivery.key(),
            provider: delivery.provider,
            delivery_id: delivery.delivery_id.clone(),
            event_type: event.map(|event| event.event_type.clone()),
            occurred_at: event.and_then(|event| event.occurred_at),
            received_at: delivery.received_at,
            body: delivery.body.clone(),
            fingerprint: delivery.fingerprint.clone(),
            state,
            reason,
            attempts: 0,
            receipt_id: None,
        }
    }

    /// The row beside the first one, for another body under the same id: parked, never merged.
    #[must_use]
    pub fn beside(delivery: &Delivery) -> Self {
        Self {
            event_id: delivery.key_beside(),
            state: EventState::Parked,
            reason: Some(format!("another body came under the id {} of an earlier event", delivery.key())),
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
            Self::Unhandled => "unhandled",
            Self::Unreadable => "unreadable",
        })
    }
}
