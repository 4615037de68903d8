//! The Events table, as operators use it.

use super::{TABLE, expiry, key, read};
use crate::{
    failure::classified,
    guard::guarded,
    row::{self, attributes, number, text},
    store::{DYNAMODB, Store},
};
use aws_sdk_dynamodb::{
    operation::update_item::builders::UpdateItemFluentBuilder, primitives::Blob,
    types::AttributeValue,
};
use domain::{
    announcement::Batch,
    delivery::stored_event::{EventState, StoredEvent},
    ports::{self, Changed, Found, Reopening, Search},
    values::{
        ids::EventId,
        note::{Noted, Notes},
        outcome::RetryableError,
    },
};
use jiff::Timestamp;
use serde::Deserialize;

/// The number of rows that a search reads in one call, which takes some seconds.
const ROWS_A_PAGE: i32 = 500;

/// An item's key.
#[derive(Deserialize)]
struct ItemKey {
    event_id: EventId,
}

impl Store {
    /// An update of an event that adds a note, if the event has the seen state and notes.
    fn noted(
        &self,
        (id, from, seen): (&EventId, EventState, &Notes),
        note: &Noted,
    ) -> Result<UpdateItemFluentBuilder, RetryableError> {
        let update = self
            .update(&self.tables.events, key(id))
            .expression_attribute_names("#state", "state")
            .expression_attribute_values(":from", text(from.to_string()))
            .expression_attribute_values(":notes", row::value(TABLE, &seen.with(note.clone()))?);
        if seen.is_empty() {
            let condition = "#state = :from AND attribute_not_exists(notes)";
            return Ok(update.condition_expression(condition));
        }
        Ok(update
            .condition_expression("#state = :from AND notes = :seen")
            .expression_attribute_values(":seen", row::value(TABLE, seen)?))
    }
}

impl ports::EventAdmin for Store {
    async fn reopen_event(&self, reopening: &Reopening) -> Result<Changed, RetryableError> {
        let Reopening {
            event_id,
            from,
            event_type,
            occurred_at,
            seen,
            note,
            announced,
        } = reopening;
        let mut set =
            "SET #state = :stored, #open = :stored, attempts = :none, notes = :notes".to_owned();
        let mut update = self
            .noted((event_id, *from, seen), note)?
            .expression_attribute_names("#open", "open")
            .expression_attribute_values(":stored", text(EventState::Stored.to_string()))
            .expression_attribute_values(":none", number(0));
        if let Some(event_type) = event_type {
            set.push_str(", event_type = :type");
            update = update.expression_attribute_values(":type", text(event_type));
        }
        if let Some(occurred_at) = occurred_at {
            set.push_str(", occurred_at = :occurred");
            update = update.expression_attribute_values(":occurred", text(occurred_at.to_string()));
        }
        let update = update.update_expression(format!("{set} REMOVE expires_at, swept_at"));
        self.guarded_with(update, announced.as_ref()).await
    }

    async fn drop_event(
        &self,
        seen: &StoredEvent,
        note: &Noted,
        announced: Option<&Batch>,
        now: Timestamp,
    ) -> Result<Changed, RetryableError> {
        let update = self
            .noted((&seen.event_id, seen.state, &seen.notes), note)?
            .update_expression(
                "SET #state = :dropped, #open = :dropped, notes = :notes, expires_at = :expiry",
            )
            .expression_attribute_names("#open", "open")
            .expression_attribute_values(":dropped", text(EventState::Dropped.to_string()))
            .expression_attribute_values(":expiry", number(expiry(now, self.retention)));
        self.guarded_with(update, announced).await
    }

    async fn blank_event(
        &self,
        seen: &StoredEvent,
        note: &Noted,
    ) -> Result<Changed, RetryableError> {
        let update = self
            .noted((&seen.event_id, seen.state, &seen.notes), note)?
            .update_expression("SET body = :empty, notes = :notes")
            .expression_attribute_values(":empty", AttributeValue::B(Blob::new([])));
        guarded(update).await
    }

    async fn note_event(
        &self,
        seen: &StoredEvent,
        note: &Noted,
    ) -> Result<Changed, RetryableError> {
        let update = self.noted((&seen.event_id, seen.state, &seen.notes), note)?;
        guarded(update.update_expression("SET notes = :notes")).await
    }

    async fn search(
        &self,
        search: &Search,
        after: Option<&EventId>,
    ) -> Result<Found, RetryableError> {
        let mut filter = "received_at >= :since AND received_at < :before".to_owned();
        let mut scan = self
            .dynamodb
            .scan()
            .table_name(&self.tables.events)
            .limit(ROWS_A_PAGE)
            .set_exclusive_start_key(after.map(|id| attributes(key(id))))
            .expression_attribute_values(":since", number(search.since.as_second()))
            .expression_attribute_values(":before", number(search.before.as_second()));
        if let Some(event_type) = &search.event_type {
            filter.push_str(" AND event_type = :type");
            scan = scan.expression_attribute_values(":type", text(event_type));
        }
        let found = scan.filter_expression(filter).send().await;
        let found = found.map_err(|error| classified(DYNAMODB, &error))?;
        let next = found
            .last_evaluated_key
            .map(|key| row::from_item::<ItemKey>(TABLE, key))
            .transpose()?;
        let (mut events, mut unreadable) = (Vec::new(), Vec::new());
        for item in found.items.unwrap_or_default() {
            let key = row::from_item::<ItemKey>(TABLE, item.clone())?;
            match read(item) {
                Ok(event) => events.push(event),
                // One bad row must not hide the others.
                Err(_) => unreadable.push(key.event_id),
            }
        }
        Ok(Found {
            events,
            unreadable,
            next: next.map(|key| key.event_id),
        })
    }
}
