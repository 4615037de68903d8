//! The sparse index `open` of Events and Receipts.

use crate::{
    failure::classified,
    row::{self, Key, number, text},
    store::{DYNAMODB, Store, rows},
};
use aws_sdk_dynamodb::{
    operation::{
        query::builders::QueryFluentBuilder, update_item::builders::UpdateItemFluentBuilder,
    },
    types::Select,
};
use domain::{
    delivery::{reference_state::is_sale, stored_event::EventState},
    ports::OpenRows,
    receipt::ReceiptStatus,
    upkeep::sweep,
    values::{
        ids::{EventId, ReceiptId, ReferenceState},
        outcome::RetryableError,
    },
};
use jiff::Timestamp;
use serde::{Deserialize, de::DeserializeOwned};

/// One table's index `open`.
pub(crate) struct Index<'a> {
    store: &'a Store,
    table: &'a str,
    /// For errors.
    pub(crate) name: &'static str,
    key: &'static str,
    /// The index's sort key.
    pub(crate) since: &'static str,
    /// The times before which a row is not ready, where it has them.
    pub(crate) not_before: &'static [&'static str],
}

/// An event's attributes in the index.
#[derive(Deserialize)]
pub(crate) struct IndexedEvent {
    event_id: EventId,
    #[serde(with = "jiff::fmt::serde::timestamp::second::required")]
    received_at: Timestamp,
    #[serde(default)]
    subject: Option<ReferenceState>,
}

/// A receipt's attributes in the index.
#[derive(Deserialize)]
pub(crate) struct IndexedReceipt {
    receipt_id: ReceiptId,
    #[serde(with = "jiff::fmt::serde::timestamp::second::required")]
    created_at: Timestamp,
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

    pub(crate) async fn overdue<Row: DeserializeOwned + Into<sweep::BacklogItem<Id>>, Id>(
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
        let rows: Vec<Row> = rows(self.name, query, most).await?;
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

    pub(crate) fn update(&self, id: &str) -> UpdateItemFluentBuilder {
        let key = Key::from([(self.key, id.to_owned())]);
        self.store.update(self.table, key)
    }
}

impl Store {
    pub(crate) fn open_event_index(&self) -> Index<'_> {
        Index {
            store: self,
            table: &self.tables.events,
            name: "Events",
            key: "event_id",
            since: "received_at",
            not_before: &[],
        }
    }

    pub(crate) fn open_receipt_index(&self) -> Index<'_> {
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
        let rows: Vec<IndexedReceipt> = rows(index.name, query, most).await?;
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
        rows(index.name, query, most).await
    }
}
