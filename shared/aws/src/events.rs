//! The Events table, with the key `event_id`.
//!
//! The sparse index `open` lists the events that are not finished, parked events included. Only finished events have
//! `expires_at` (TTL), so open work never expires.

mod admin;
mod item;

use crate::{
    failure::unbuildable,
    guard::{guarded, put_first},
    row::{self, Attributes, Key, attributes, number, text},
    store::Store,
};
use aws_sdk_dynamodb::{
    operation::update_item::builders::UpdateItemFluentBuilder,
    types::{ConditionCheck, TransactWriteItem, Update},
};
use domain::{
    announcement,
    delivery::job::Handoff,
    delivery::stored_event::{EventState, StoredEvent},
    ports::{self, Changed, Committed, Recorded, Settlement},
    values::{class::Class, ids::EventId, outcome::RetryableError},
};
use jiff::Timestamp;
use std::time::Duration;

const TABLE: &str = "Events";

pub(crate) fn expiry(from: Timestamp, retention: Duration) -> i64 {
    from.as_second()
        .saturating_add(i64::try_from(retention.as_secs()).unwrap_or(i64::MAX))
}

fn key(id: &EventId) -> Key {
    Key::from([("event_id", id.to_string())])
}

/// The event of an item.
fn read(item: Attributes) -> Result<StoredEvent, RetryableError> {
    row::from_item(TABLE, item).map(|item::Read(event)| event)
}

/// The action that makes a stored event `committed`, in the same transaction as the effects.
pub(crate) fn committed(
    table: &str,
    id: &EventId,
    outbox: &[Handoff],
) -> Result<Update, RetryableError> {
    Update::builder()
        .table_name(table)
        .set_key(Some(attributes(key(id))))
        .update_expression(
            "SET #state = :committed, #open = :committed, outbox = :outbox REMOVE #reason, #class",
        )
        .condition_expression("#state = :stored")
        .expression_attribute_names("#state", "state")
        .expression_attribute_names("#open", "open")
        .expression_attribute_names("#reason", "reason")
        .expression_attribute_names("#class", "class")
        .expression_attribute_values(":committed", text(EventState::Committed.to_string()))
        .expression_attribute_values(":stored", text(EventState::Stored.to_string()))
        .expression_attribute_values(":outbox", row::value(TABLE, &outbox)?)
        .build()
        .map_err(|error| unbuildable(&error))
}

/// The action that checks that an event is still stored.
pub(crate) fn still_stored(table: &str, id: &EventId) -> Result<ConditionCheck, RetryableError> {
    ConditionCheck::builder()
        .table_name(table)
        .set_key(Some(attributes(key(id))))
        .condition_expression("#state = :stored")
        .expression_attribute_names("#state", "state")
        .expression_attribute_values(":stored", text(EventState::Stored.to_string()))
        .build()
        .map_err(|error| unbuildable(&error))
}

/// The update with the new state of a settled event. A finished event expires at `expires_at`.
fn settled(
    update: UpdateItemFluentBuilder,
    settlement: &Settlement,
    expires_at: i64,
) -> UpdateItemFluentBuilder {
    match settlement {
        Settlement::Processed => update
            .update_expression(
                "SET #state = :processed, expires_at = :expiry REMOVE #open, #reason, #class",
            )
            .condition_expression("#state IN (:stored, :committed)")
            .expression_attribute_values(":processed", text(EventState::Processed.to_string()))
            .expression_attribute_values(":committed", text(EventState::Committed.to_string()))
            .expression_attribute_values(":expiry", number(expires_at)),
        Settlement::NotNeeded { reason } => update
            .update_expression(
                "SET #state = :not_needed, expires_at = :expiry, #reason = :reason REMOVE #open, #class",
            )
            .condition_expression("#state = :stored")
            .expression_attribute_values(":not_needed", text(EventState::NotNeeded.to_string()))
            .expression_attribute_values(":reason", text(reason))
            .expression_attribute_values(":expiry", number(expires_at)),
        Settlement::Parked { class, reason, .. } => update
            .update_expression(
                "SET #state = :parked, #open = :parked, #reason = :reason, #class = :class",
            )
            .condition_expression("#state = :stored")
            .expression_attribute_values(":parked", text(EventState::Parked.to_string()))
            .expression_attribute_values(":reason", text(reason))
            .expression_attribute_values(":class", text(class.as_str())),
    }
}

/// The result of recording an event whose id is stored.
fn there_already(event: &StoredEvent, there: StoredEvent) -> Recorded {
    if there.fingerprint == event.fingerprint {
        return Recorded::Again(there.state);
    }
    Recorded::OtherBody {
        state: there.state,
        body: there.body,
    }
}

impl ports::Events for Store {
    async fn record(&self, event: &StoredEvent) -> Result<Recorded, RetryableError> {
        let item = item::of(event, self.retention)?;
        let put = row::first(&self.tables.events, key(&event.event_id), item)?;
        let announced = announcement::event::recorded(event);
        if let Some(announce) = self.announce(announced.as_ref())? {
            let put = TransactWriteItem::builder().put(put.clone()).build();
            if self.transact(vec![put, announce]).await? == Committed::Now {
                return Ok(Recorded::First);
            }
            // It is stored. The refusal of the put below has its row, which a role without reads can get in no other way.
        }
        let there = put_first(&self.dynamodb, TABLE, put).await?;
        Ok(there.map_or(Recorded::First, |item::Read(there)| {
            there_already(event, there)
        }))
    }

    async fn event(&self, id: &EventId) -> Result<Option<StoredEvent>, RetryableError> {
        let item = self.item(&self.tables.events, key(id)).await?;
        item.map(read).transpose()
    }

    async fn settle(
        &self,
        id: &EventId,
        settlement: &Settlement,
        now: Timestamp,
    ) -> Result<Changed, RetryableError> {
        let update = self
            .update(&self.tables.events, key(id))
            .expression_attribute_names("#state", "state")
            .expression_attribute_names("#open", "open")
            .expression_attribute_names("#reason", "reason")
            .expression_attribute_names("#class", "class")
            .expression_attribute_values(":stored", text(EventState::Stored.to_string()));
        let update = settled(update, settlement, expiry(now, self.retention));
        let announced = match settlement {
            Settlement::Parked { announced, .. } => announced.as_ref(),
            Settlement::Processed | Settlement::NotNeeded { .. } => None,
        };
        self.guarded_with(update, announced).await
    }

    async fn note_failure(
        &self,
        id: &EventId,
        class: Class,
        reason: &str,
    ) -> Result<(), RetryableError> {
        let update = self
            .update(&self.tables.events, key(id))
            .update_expression(
                "SET #reason = :reason, #class = :class, attempts = if_not_exists(attempts, :none) + :one",
            )
            .condition_expression("#state IN (:stored, :committed)")
            .expression_attribute_names("#state", "state")
            .expression_attribute_names("#reason", "reason")
            .expression_attribute_names("#class", "class")
            .expression_attribute_values(":stored", text(EventState::Stored.to_string()))
            .expression_attribute_values(":committed", text(EventState::Committed.to_string()))
            .expression_attribute_values(":class", text(class.as_str()))
            .expression_attribute_values(":reason", text(reason))
            .expression_attribute_values(":none", number(0))
            .expression_attribute_values(":one", number(1));
        guarded(update).await.map(drop)
    }
}
