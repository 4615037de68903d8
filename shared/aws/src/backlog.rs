//! What lies undone, by the sparse index `pending` of Events and Receipts. Who queues a row again notes it on the row
//! first (`swept_at`), by an update whose condition is that it is the row's turn.

use crate::{
    events::Events,
    failure::{classified, past_conflicts},
    guard::guarded,
    receipts::Receipts,
    row::{self, attributes, number, text},
};
use aws_sdk_dynamodb::{
    Client,
    error::SdkError,
    operation::update_item::builders::UpdateItemFluentBuilder,
    types::{ReturnValue, Select},
};
use domain::{
    delivery::stored_event::EventState,
    ports::{Backlogs, Reserved, Waiting},
    receipt::ReceiptStatus,
    upkeep::sweep::{self, Due, EventBacklog, ReceiptBacklog},
    values::{
        ids::{EventId, ReceiptId},
        outcome::RetryableError,
    },
};
use jiff::Timestamp;
use serde::{Deserialize, de::DeserializeOwned};

const SERVICE: &str = "DynamoDB";

/// A table's index of what is undone.
struct Index<'a> {
    client: &'a Client,
    table: &'a str,
    /// For errors.
    name: &'static str,
    key: &'static str,
    /// The index's sort key.
    since: &'static str,
    /// What else keeps a row from being ready until then, where it has it.
    not_before: &'static [&'static str],
}

/// What the index has of an event.
#[derive(Deserialize)]
struct IndexedEvent {
    event_id: EventId,
    #[serde(with = "jiff::fmt::serde::timestamp::second::required")]
    received_at: Timestamp,
}

/// What the index has of a receipt.
#[derive(Deserialize)]
struct IndexedReceipt {
    receipt_id: ReceiptId,
    #[serde(with = "jiff::fmt::serde::timestamp::second::required")]
    created_at: Timestamp,
}

/// What a row has of when it was queued again.
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
    async fn overdue<Row: DeserializeOwned + Into<sweep::BacklogItem<Id>>, Id>(
        &self,
        place: String,
        until: Timestamp,
        most: usize,
    ) -> Result<Vec<sweep::BacklogItem<Id>>, RetryableError> {
        let mut items = self
            .client
            .query()
            .table_name(self.table)
            .index_name("open")
            .key_condition_expression("#open = :place AND #since <= :until")
            .expression_attribute_names("#open", "open")
            .expression_attribute_names("#since", self.since)
            .expression_attribute_values(":place", text(place))
            .expression_attribute_values(":until", number(until.as_second()))
            .into_paginator()
            .items()
            .send();
        let mut rows = Vec::new();
        while rows.len() < most
            && let Some(item) = items.next().await
        {
            let item = item.map_err(|error| classified(SERVICE, &error))?;
            rows.push(row::from_item::<Row>(self.name, item)?.into());
        }
        Ok(rows)
    }

    async fn count(&self, state: String, most: usize) -> Result<usize, RetryableError> {
        let mut pages = self
            .client
            .query()
            .table_name(self.table)
            .index_name("open")
            .select(Select::Count)
            .key_condition_expression("#open = :state")
            .expression_attribute_names("#open", "open")
            .expression_attribute_values(":state", text(state))
            .into_paginator()
            .send();
        let mut count = 0;
        while count < most
            && let Some(page) = pages.next().await
        {
            let page = page.map_err(|error| classified(SERVICE, &error))?;
            count += usize::try_from(page.count).unwrap_or_default();
        }
        Ok(count.min(most))
    }

    fn update(&self, id: &str) -> UpdateItemFluentBuilder {
        self.client
            .update_item()
            .table_name(self.table)
            .set_key(Some(attributes([(self.key, id.to_owned())].into())))
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
            Err(error) => Err(classified(SERVICE, &error)),
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

impl Events {
    fn index(&self) -> Index<'_> {
        Index {
            client: &self.client,
            table: &self.table,
            name: "Events",
            key: "event_id",
            since: "received_at",
            not_before: &[],
        }
    }
}

impl Receipts {
    fn index(&self) -> Index<'_> {
        Index {
            client: &self.client,
            table: &self.table,
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

impl Backlogs<EventBacklog> for Events {
    async fn overdue(
        &self,
        place: EventBacklog,
        until: Timestamp,
        most: usize,
    ) -> Result<Vec<sweep::BacklogItem<EventId>>, RetryableError> {
        self.index()
            .overdue::<IndexedEvent, _>(event_place(place), until, most)
            .await
    }

    async fn take(
        &self,
        place: EventBacklog,
        id: &EventId,
        turn: &Due,
    ) -> Result<Reserved, RetryableError> {
        self.index()
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
        self.index().give_back(id.as_str(), taken_at, before).await
    }
}

impl Backlogs<ReceiptBacklog> for Receipts {
    async fn overdue(
        &self,
        place: ReceiptBacklog,
        until: Timestamp,
        most: usize,
    ) -> Result<Vec<sweep::BacklogItem<ReceiptId>>, RetryableError> {
        self.index()
            .overdue::<IndexedReceipt, _>(receipt_place(place), until, most)
            .await
    }

    async fn take(
        &self,
        place: ReceiptBacklog,
        id: &ReceiptId,
        turn: &Due,
    ) -> Result<Reserved, RetryableError> {
        self.index()
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
        self.index().give_back(id.as_str(), taken_at, before).await
    }
}

impl Waiting<EventState> for Events {
    async fn count(&self, state: EventState, most: usize) -> Result<usize, RetryableError> {
        self.index().count(state.to_string(), most).await
    }
}

impl Waiting<ReceiptStatus> for Receipts {
    async fn count(&self, standing: ReceiptStatus, most: usize) -> Result<usize, RetryableError> {
        self.index().count(standing.to_string(), most).await
    }
}
