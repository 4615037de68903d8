//! An event as an item of the table.

use super::{TABLE, expiry};
use crate::row::{self, Attributes, number, text};
use domain::{
    delivery::{
        job::Handoff,
        stored_event::{EventState, StoredEvent},
    },
    values::{
        class::Class,
        ids::{DeliveryId, EventId, ReferenceState},
        note::Notes,
        outcome::RetryableError,
        provider::ProviderId,
    },
};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use std::time::Duration;

/// How serde writes and reads an event.
#[derive(Serialize, Deserialize)]
#[serde(remote = "StoredEvent")]
struct Item {
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
    body: Vec<u8>,
    fingerprint: String,
    state: EventState,
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
}

/// An event to write.
#[derive(Serialize)]
#[serde(transparent)]
struct Written<'a>(#[serde(with = "Item")] &'a StoredEvent);

/// An event to read.
#[derive(Deserialize)]
#[serde(transparent)]
pub(super) struct Read(#[serde(with = "Item")] pub(super) StoredEvent);

/// The item of an event. Open events have the key of the sparse index, ended events their expiry in Unix seconds.
pub(super) fn of(event: &StoredEvent, retention: Duration) -> Result<Attributes, RetryableError> {
    let mut item = row::item(TABLE, &Written(event))?;
    if event.state.is_open() {
        item.insert("open".to_owned(), text(event.state.to_string()));
    }
    if event.state.may_expire() {
        let expires_at = number(expiry(event.received_at, retention));
        item.insert("expires_at".to_owned(), expires_at);
    }
    Ok(item)
}
