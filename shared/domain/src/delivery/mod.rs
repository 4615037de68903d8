//! A delivery: a provider's request, proven to be the provider's.

pub mod answer;
pub mod event;
pub mod job;
pub mod reference;
pub mod reference_state;
pub mod secrets;
pub mod signature;
pub mod stored_event;

use crate::values::provider::ProviderId;
use crate::{
    delivery::event::Reading,
    values::ids::{DeliveryId, EventId, OTHER_BODY},
};
use jiff::Timestamp;

/// A verified delivery, ready to be stored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Delivery {
    /// Who sent it.
    pub provider: ProviderId,
    /// The carrier's message id.
    pub delivery_id: DeliveryId,
    /// The body, byte for byte as it was signed.
    pub body: Vec<u8>,
    /// See [`fingerprint`](crate::values::fingerprint).
    pub fingerprint: String,
    /// When it reached us.
    pub received_at: Timestamp,
    /// The result of reading the body.
    pub reading: Reading,
}

impl Delivery {
    /// The key under which it is stored: the event's id, or for a body that names none, the body's fingerprint.
    #[must_use]
    pub fn key(&self) -> EventId {
        match &self.reading {
            Reading::Event(event) => event.event_id.clone(),
            Reading::Unreadable(_) => EventId::of_body("unreadable", &self.fingerprint),
        }
    }

    /// The key beside the first one, for a second body under the same id. The same body finds the same key.
    #[must_use]
    pub fn key_beside(&self) -> EventId {
        EventId::of_body(OTHER_BODY, &self.fingerprint)
    }
}
