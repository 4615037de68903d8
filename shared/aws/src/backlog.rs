//! The open rows of Events and Receipts, by the sparse index `open` of each table.
//!
//! A run of sweep notes on a row that it queues the row again (`swept_at`), before it does. The update's condition is
//! that the row is due.

use crate::{
    failure::{classified, past_conflicts},
    guard::guarded,
    row::{self, Key, number, text},
    store::{DYNAMODB, Store},
};
use aws_sdk_dynamodb::{
    error::SdkError,
    operation::{
        query::builders::QueryFluentBuilder, update_item::builders::UpdateItemFluentBuilder,
    },
    types::{ReturnValue, Select},
};
use domain::{
    delivery::{reference_state::is_sale, stored_event::EventState},
    ports::{Backlogs, OpenRows, Reserved},
    receipt::ReceiptStatus,
    upkeep::sweep::{self, Due, EventBacklog, ReceiptBacklog},
    values::{
        ids::{EventId, ReceiptId, ReferenceState},
        outcome::RetryableError,
    },
};
use jiff::Timestamp;
use serde::{Deserialize, de::DeserializeOwned};

/// One table's index `open`.
struct Index<'a> {
    store: &'a Store,
    table: &'a str,
    /// For errors.
    name: &'static str,
    key: &'static str,
    /// The index's sort key.
    since: &'static str,
    /// The times before which a row is not ready, where it has them.
    not_before: &'static [&'static str],
}

/// An event's attributes in the index.
#[derive(Deserialize)]
struct IndexedEvent {
    event_id: EventId,
    #[serde(with = "jiff::fmt::serde::timestamp::second::required")]
    received_at: Timestamp,
    #[serde(default)]
    subject: Option<ReferenceState>,
}

/// A receipt's attributes in the index.
#[derive(Deserialize)]
struct IndexedReceipt {
    receipt_id: ReceiptId,
    #[serde(with = "jiff::fmt::serde::timestamp::second::required")]
    created_at: Timestamp,
}

/// The time at which a row was last queued again.
#[derive(Deserialize)]
struct Noted {
    #[serde(default, with = "jiff::fmt::serde::timestamp::second::optional")]
    swept_at: Option<Timestamp>,
}

impl From<IndexedEvent> for sweep::BacklogItem<EventId> {
    fn from(row: IndexedEvent) -> Self {
        Self {
            id: row.event_id,
            since: row.received_at,
        }
    }
}

impl From<IndexedReceipt> for sweep::BacklogItem<ReceiptId> {
    fn from(row: IndexedReceipt) -> Self {
        Self {
            id: row.receipt_id,
            since: row.created_at,
        }
    }
}

impl Index<'_> {
    /// The rows under the index key `open`, oldest first.
    fn query(&self, open: impl Into<String>) -> QueryFluentBuilder {
        self.store
            .dynamodb
            .query()
            .table_name(self.table)
            .index_name("open")
            .key_condition_expression("#open = :open")
            .expression_attribute_names("#open", "open")
            .expression_attribute_values(":open", text(open))
    }

    /// The rows of a query, `most` at most.
    async fn rows<Row: DeserializeOwned>(
        &self,
        query: QueryFluentBuilder,
        most: usize,
    ) -> Result<Vec<Row>, RetryableError> {
        let mut items = query.into_paginator().items().send();
        let mut rows = Vec::new();
        while rows.len() < most
            && let Some(item) = items.next().await
        {
            let item = item.map_err(|error| classified(DYNAMODB, &error))?;
            rows.push(row::from_item(self.name, item)?);
        }
        Ok(rows)
    }

    async fn overdue<Row: DeserializeOwned + Into<sweep::BacklogItem<Id>>, Id>(
        &self,
        open: String,
        until: Timestamp,
        most: usize,
    ) -> Result<Vec<sweep::BacklogItem<Id>>, RetryableError> {
        let query = self
            .query(open)
            .key_condition_expression("#open = :open AND #since <= :until")
            .expression_attribute_names("#since", self.since)
            .expression_attribute_values(":until", number(until.as_second()));
        let rows: Vec<Row> = self.rows(query, most).await?;
        Ok(rows.into_iter().map(Row::into).collect())
    }

    async fn count(&self, open: String, most: usize) -> Result<usize, RetryableError> {
        let query = self.query(open).select(Select::Count);
        let mut pages = query.into_paginator().send();
        let mut count = 0;
        while count < most
            && let Some(page) = pages.next().await
        {
            let page = page.map_err(|error| classified(DYNAMODB, &error))?;
            count += usize::try_from(page.count).unwrap_or_default();
        }
        Ok(count.min(most))
    }

    fn update(&self, id: &str) -> UpdateItemFluentBuilder {
        let key = Key::from([(self.key, id.to_owned())]);
        self.store.update(self.table, key)
    }

    /// That a row is ready since the time of that name or longer.
    fn ready(&self, time: &str) -> String {
        let others = self
            .not_before
            .iter()
            .map(|name| format!(" AND (attribute_not_exists({name}) OR {name} <= {time})"));
        format!("{} <= {time}{}", self.since, others.collect::<String>())
    }

    async fn take(&self, place: String, id: &str, turn: &Due) -> Result<Reserved, RetryableError> {
        let (rested, tried) = (self.ready(":rested"), self.ready(":tried"));
        let time = |at: Timestamp| number(at.as_second());
        let update = self
            .update(id)
            .update_expression("SET swept_at = :now")
            .condition_expression(format!(
                "#open = :place AND {rested} AND (swept_at <= :swept \
                 OR (attribute_not_exists(swept_at) AND (attempts <= :attempts OR ({tried}))))"
            ))
            .expression_attribute_names("#open", "open")
            .expression_attribute_values(":place", text(place))
            .expression_attribute_values(":now", time(turn.now))
            .expression_attribute_values(":rested", time(turn.rested))
            .expression_attribute_values(":tried", time(turn.tried))
            .expression_attribute_values(":swept", time(turn.swept))
            .expression_attribute_values(":attempts", number(turn.attempts))
            .return_values(ReturnValue::UpdatedOld);
        match past_conflicts(|| update.clone().send()).await {
            Ok(updated) => {
                let Noted { swept_at } =
                    row::from_item(self.name, updated.attributes.unwrap_or_default())?;
                Ok(Reserved::Now { before: swept_at })
            }
            Err(SdkError::ServiceError(refusal))
                if refusal.err().is_conditional_check_failed_exception() =>
            {
                Ok(Reserved::NotNow)
            }
            Err(error) => Err(classified(DYNAMODB, &error)),
        }
    }

    async fn give_back(
        &self,
        id: &str,
        taken_at: Timestamp,
        before: Option<Timestamp>,
    ) -> Result<(), RetryableError> {
        let update = self
            .update(id)
            .condition_expression("swept_at = :taken")
            .expression_attribute_values(":taken", number(taken_at.as_second()));
        let update = match before {
            None => update.update_expression("REMOVE swept_at"),
            Some(before) => update
                .update_expression("SET swept_at = :before")
                .expression_attribute_values(":before", number(before.as_second())),
        };
        guarded(update).await.map(drop)
    }
}

impl Store {
    fn open_event_index(&self) -> Index<'_> {
        Index {
            store: self,
            table: &self.tables.events,
            name: "Events",
            key: "event_id",
            since: "received_at",
            not_before: &[],
        }
    }

    fn open_receipt_index(&self) -> Index<'_> {
        Index {
            store: self,
            table: &self.tables.receipts,
            name: "Receipts",
            key: "receipt_id",
            since: "created_at",
            not_before: &["due_at", "lease_ends_at"],
        }
    }
}

fn event_place(place: EventBacklog) -> String {
    let state = match place {
        EventBacklog::Stored => EventState::Stored,
        EventBacklog::Committed => EventState::Committed,
    };
    state.to_string()
}

fn receipt_place(place: ReceiptBacklog) -> String {
    match place {
        ReceiptBacklog::Unsent => "unsent".to_owned(),
        ReceiptBacklog::Leased => "leased".to_owned(),
        ReceiptBacklog::Due(day) => crate::receipts::due(day),
    }
}

impl Backlogs<EventBacklog> for Store {
    async fn overdue(
        &self,
        place: EventBacklog,
        until: Timestamp,
        most: usize,
    ) -> Result<Vec<sweep::BacklogItem<EventId>>, RetryableError> {
        self.open_event_index()
            .overdue::<IndexedEvent, _>(event_place(place), until, most)
            .await
    }

    async fn take(
        &self,
        place: EventBacklog,
        id: &EventId,
        turn: &Due,
    ) -> Result<Reserved, RetryableError> {
        self.open_event_index()
            .take(event_place(place), id.as_str(), turn)
            .await
    }

    async fn give_back(
        &self,
        _: EventBacklog,
        id: &EventId,
        taken_at: Timestamp,
        before: Option<Timestamp>,
    ) -> Result<(), RetryableError> {
        self.open_event_index()
            .give_back(id.as_str(), taken_at, before)
            .await
    }
}

impl Backlogs<ReceiptBacklog> for Store {
    async fn overdue(
        &self,
        place: ReceiptBacklog,
        until: Timestamp,
        most: usize,
    ) -> Result<Vec<sweep::BacklogItem<ReceiptId>>, RetryableError> {
        self.open_receipt_index()
            .overdue::<IndexedReceipt, _>(receipt_place(place), until, most)
            .await
    }

    async fn take(
        &self,
        place: ReceiptBacklog,
        id: &ReceiptId,
        turn: &Due,
    ) -> Result<Reserved, RetryableError> {
        self.open_receipt_index()
            .take(receipt_place(place), id.as_str(), turn)
            .await
    }

    async fn give_back(
        &self,
        _: ReceiptBacklog,
        id: &ReceiptId,
        taken_at: Timestamp,
        before: Option<Timestamp>,
    ) -> Result<(), RetryableError> {
        self.open_receipt_index()
            .give_back(id.as_str(), taken_at, before)
            .await
    }
}

impl OpenRows for Store {
    async fn open_events(
        &self,
        state: EventState,
        most: usize,
    ) -> Result<Vec<EventId>, RetryableError> {
        let rows = self.indexed_events(state, most).await?;
        Ok(rows.into_iter().map(|row| row.event_id).collect())
    }

    async fn open_receipts(
        &self,
        status: ReceiptStatus,
        most: usize,
    ) -> Result<Vec<ReceiptId>, RetryableError> {
        let index = self.open_receipt_index();
        let query = index.query(status.to_string());
        let rows: Vec<IndexedReceipt> = index.rows(query, most).await?;
        Ok(rows.into_iter().map(|row| row.receipt_id).collect())
    }

    async fn count_events(&self, state: EventState, most: usize) -> Result<usize, RetryableError> {
        let index = self.open_event_index();
        index.count(state.to_string(), most).await
    }

    async fn count_receipts(
        &self,
        status: ReceiptStatus,
        most: usize,
    ) -> Result<usize, RetryableError> {
        let index = self.open_receipt_index();
        index.count(status.to_string(), most).await
    }

    async fn reference_states(
        &self,
        state: EventState,
        most: usize,
    ) -> Result<Vec<Option<ReferenceState>>, RetryableError> {
        let rows = self.indexed_events(state, most).await?;
        Ok(rows.into_iter().map(|row| row.subject).collect())
    }

    async fn oldest_sale(
        &self,
        state: EventState,
        most: usize,
    ) -> Result<Option<Timestamp>, RetryableError> {
        let index = self.open_event_index();
        let mut items = index
            .query(state.to_string())
            .into_paginator()
            .items()
            .send();
        for _ in 0..most {
            let Some(item) = items.next().await else {
                break;
            };
            let item = item.map_err(|error| classified(DYNAMODB, &error))?;
            let row: IndexedEvent = row::from_item(index.name, item)?;
            if row.subject.as_ref().is_some_and(is_sale) {
                return Ok(Some(row.received_at));
            }
        }
        Ok(None)
    }
}

impl Store {
    async fn indexed_events(
        &self,
        state: EventState,
        most: usize,
    ) -> Result<Vec<IndexedEvent>, RetryableError> {
        let index = self.open_event_index();
        let query = index.query(state.to_string());
        index.rows(query, most).await
    }
}
