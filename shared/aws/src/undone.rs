//! What lies undone, by the sparse index `pending` of Events and Receipts. Who queues a row again notes it on the row
//! first (`swept_at`), by an update whose condition is that it is the row's turn.

use crate::{
    events::Events,
    failure::{past_conflicts, setback},
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
    event::EventState,
    ids::{EventId, ReceiptId},
    outcome::Setback,
    ports::{Taken, Undone, Waiting},
    receipt::Standing,
    sweep::{self, EventPlace, ReceiptPlace, Turn},
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

impl From<IndexedEvent> for sweep::Undone<EventId> {
    fn from(row: IndexedEvent) -> Self {
        Self {
            id: row.event_id,
            since: row.received_at,
        }
    }
}

impl From<IndexedReceipt> for sweep::Undone<ReceiptId> {
    fn from(row: IndexedReceipt) -> Self {
        Self {
            id: row.receipt_id,
            since: row.created_at,
        }
    }
}

impl Index<'_> {
    async fn undone<Row: DeserializeOwned + Into<sweep::Undone<Id>>, Id>(
        &self,
        place: String,
        until: Timestamp,
        most: usize,
    ) -> Result<Vec<sweep::Undone<Id>>, Setback> {
        let mut items = self
            .client
            .query()
            .table_name(self.table)
            .index_name("pending")
            .key_condition_expression("#pending = :place AND #since <= :until")
            .expression_attribute_names("#pending", "pending")
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
            let item = item.map_err(|error| setback(SERVICE, &error))?;
            rows.push(row::from_item::<Row>(self.name, item)?.into());
        }
        Ok(rows)
    }

    async fn count(&self, state: String, most: usize) -> Result<usize, Setback> {
        let mut pages = self
            .client
            .query()
            .table_name(self.table)
            .index_name("pending")
            .select(Select::Count)
            .key_condition_expression("#pending = :state")
            .expression_attribute_names("#pending", "pending")
            .expression_attribute_values(":state", text(state))
            .into_paginator()
            .send();
        let mut count = 0;
        while count < most
            && let Some(page) = pages.next().await
        {
            let page = page.map_err(|error| setback(SERVICE, &error))?;
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

    async fn take(&self, place: String, id: &str, turn: &Turn) -> Result<Taken, Setback> {
        let (rested, tried) = (self.ready(":rested"), self.ready(":tried"));
        let time = |at: Timestamp| number(at.as_second());
        let update = self
            .update(id)
            .update_expression("SET swept_at = :now")
            .condition_expression(format!(
                "#pending = :place AND {rested} AND (swept_at <= :swept \
                 OR (attribute_not_exists(swept_at) AND (attempts <= :attempts OR ({tried}))))"
            ))
            .expression_attribute_names("#pending", "pending")
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
                Ok(Taken::Now { before: swept_at })
            }
            Err(SdkError::ServiceError(refusal))
                if refusal.err().is_conditional_check_failed_exception() =>
            {
                Ok(Taken::NotNow)
            }
            Err(error) => Err(setback(SERVICE, &error)),
        }
    }

    async fn give_back(
        &self,
        id: &str,
        taken_at: Timestamp,
        before: Option<Timestamp>,
    ) -> Result<(), Setback> {
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
            not_before: &["due_at", "claim_ends_at"],
        }
    }
}

fn event_place(place: EventPlace) -> String {
    let state = match place {
        EventPlace::Stored => EventState::Stored,
        EventPlace::Committed => EventState::Committed,
    };
    state.to_string()
}

fn receipt_place(place: ReceiptPlace) -> String {
    match place {
        ReceiptPlace::Pending => "pending".to_owned(),
        ReceiptPlace::Claimed => "claimed".to_owned(),
        ReceiptPlace::Due(day) => crate::receipts::due(day),
    }
}

impl Undone<EventPlace> for Events {
    async fn undone(
        &self,
        place: EventPlace,
        until: Timestamp,
        most: usize,
    ) -> Result<Vec<sweep::Undone<EventId>>, Setback> {
        self.index()
            .undone::<IndexedEvent, _>(event_place(place), until, most)
            .await
    }

    async fn take(&self, place: EventPlace, id: &EventId, turn: &Turn) -> Result<Taken, Setback> {
        self.index()
            .take(event_place(place), id.as_str(), turn)
            .await
    }

    async fn give_back(
        &self,
        _: EventPlace,
        id: &EventId,
        taken_at: Timestamp,
        before: Option<Timestamp>,
    ) -> Result<(), Setback> {
        self.index().give_back(id.as_str(), taken_at, before).await
    }
}

impl Undone<ReceiptPlace> for Receipts {
    async fn undone(
        &self,
        place: ReceiptPlace,
        until: Timestamp,
        most: usize,
    ) -> Result<Vec<sweep::Undone<ReceiptId>>, Setback> {
        self.index()
            .undone::<IndexedReceipt, _>(receipt_place(place), until, most)
            .await
    }

    async fn take(
        &self,
        place: ReceiptPlace,
        id: &ReceiptId,
        turn: &Turn,
    ) -> Result<Taken, Setback> {
        self.index()
            .take(receipt_place(place), id.as_str(), turn)
            .await
    }

    async fn give_back(
        &self,
        _: ReceiptPlace,
        id: &ReceiptId,
        taken_at: Timestamp,
        before: Option<Timestamp>,
    ) -> Result<(), Setback> {
        self.index().give_back(id.as_str(), taken_at, before).await
    }
}

impl Waiting<EventState> for Events {
    async fn count(&self, state: EventState, most: usize) -> Result<usize, Setback> {
        self.index().count(state.to_string(), most).await
    }
}

impl Waiting<Standing> for Receipts {
    async fn count(&self, standing: Standing, most: usize) -> Result<usize, Setback> {
        self.index().count(standing.to_string(), most).await
    }
}
