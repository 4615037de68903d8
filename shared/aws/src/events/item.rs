//! An event as an item of the table.

use super::expiry;
use domain::{
    delivery::{
        job::Handoff,
        stored_event::{EventState, StoredEvent},
    },
    values::{
        class::Class,
        ids::{DeliveryId, EventId, ReferenceState},
        note::Notes,
        provider::ProviderId,
    },
};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use std::time::Duration;

/// An item of the table.
#[derive(Serialize, Deserialize)]
pub(super) struct Item {
    event_id: EventId,
    provider: ProviderId,
    delivery_id: DeliveryId,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    event_type: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    subject: Option<ReferenceState>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    occurred_at: Option<Timestamp>,
    #[serde(with = "jiff::fmt::serde::timestamp::second::required")]
    received_at: Timestamp,
    #[serde(with = "serde_bytes")]
    pub(super) body: Vec<u8>,
    pub(super) fingerprint: String,
    pub(super) state: EventState,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    reason: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    class: Option<Class>,
    #[serde(default)]
    attempts: u32,
    #[serde(default, skip_serializing_if = "Notes::is_empty")]
    notes: Notes,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    outbox: Vec<Handoff>,
    /// The key of the sparse index, on open and dropped events.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    open: Option<String>,
    /// In Unix seconds, as TTL requires.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    expires_at: Option<i64>,
}

impl Item {
    pub(super) fn of(event: &StoredEvent, retention: Duration) -> Self {
        Self {
            event_id: event.event_id.clone(),
            provider: event.provider.clone(),
            delivery_id: event.delivery_id.clone(),
            event_type: event.event_type.clone(),
            subject: event.subject.clone(),
            occurred_at: event.occurred_at,
            received_at: event.received_at,
            body: event.body.clone(),
            fingerprint: event.fingerprint.clone(),
            state: event.state,
            reason: event.reason.clone(),
            class: event.class,
            attempts: event.attempts,
            notes: event.notes.clone(),
            outbox: event.outbox.clone(),
            open: event.state.is_open().then(|| event.state.to_string()),
            expires_at: event
                .state
                .may_expire()
                .then(|| expiry(event.received_at, retention)),
        }
    }

    pub(super) fn into_event(self) -> StoredEvent {
        StoredEvent {
            event_id: self.event_id,
            provider: self.provider,
            delivery_id: self.delivery_id,
            event_type: self.event_type,
            subject: self.subject,
            occurred_at: self.occurred_at,
            received_at: self.received_at,
            body: self.body,
            fingerprint: self.fingerprint,
            state: self.state,
            reason: self.reason,
            class: self.class,
            attempts: self.attempts,
            notes: self.notes,
            outbox: self.outbox,
        }
    }
}
