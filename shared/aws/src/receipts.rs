//! The Receipts table: key `receipt_id`; sparse index `pending` over what is still owed or waits for a person. What is to be sent on a later
//! day lies there under `due#<day>` (UTC) until somebody takes it up.

use crate::{
    failure::classified,
    guard::guarded,
    row::{self, Attributes, Key, attributes, number, text},
};
use aws_sdk_dynamodb::{
    Client,
    operation::update_item::builders::UpdateItemFluentBuilder,
    types::{AttributeValue, Put},
};
use domain::{
    ports::{self, Changed},
    receipt::{Receipt, ReceiptState, ReceiptStatus, feedback::ReceiptUpdate},
    values::{
        ids::{OwnerToken, ReceiptId},
        outcome::RetryableError,
    },
};
use jiff::{Timestamp, civil::Date, tz::Offset};
use serde::Deserialize;

const SERVICE: &str = "DynamoDB";
const TABLE: &str = "Receipts";

/// What a state may bring along. A change sets those of the new state and removes the others.
const STATE_ATTRIBUTES: [&str; 6] = [
    "state",
    "reason",
    "owner",
    "lease_ends_at",
    "message_id",
    "sent_at",
];

/// The Receipts table.
#[derive(Debug, Clone)]
pub struct Receipts {
    pub(crate) client: Client,
    pub(crate) table: String,
}

impl Receipts {
    /// The table of that name.
    #[must_use]
    pub fn new(client: Client, table: impl Into<String>) -> Self {
        Self {
            client,
            table: table.into(),
        }
    }

    /// An update to `state`, without its condition.
    fn change(
        &self,
        id: &ReceiptId,
        state: &ReceiptState,
        more: &str,
    ) -> Result<UpdateItemFluentBuilder, RetryableError> {
        let mut given = row::item(TABLE, state)?;
        // Whoever changes it has taken it up: from then on it is owed like any other, whenever it was due.
        given.extend(open(state, None));
        let mut update = self
            .client
            .update_item()
            .table_name(&self.table)
            .set_key(Some(attributes(key(id))))
            .expression_attribute_values(":one", number(1));
        let (mut set, mut remove) = (vec!["version = version + :one".to_owned()], Vec::new());
        for name in STATE_ATTRIBUTES.into_iter().chain(["open"]) {
            update = update.expression_attribute_names(format!("#{name}"), name);
            if let Some(value) = given.remove(name) {
                set.push(format!("#{name} = :{name}"));
                update = update.expression_attribute_values(format!(":{name}"), value);
            } else {
                remove.push(format!("#{name}"));
            }
        }
        Ok(update.update_expression(format!(
            "SET {}{more} REMOVE {}",
            set.join(", "),
            remove.join(", ")
        )))
    }
}

fn key(id: &ReceiptId) -> Key {
    Key::from([("receipt_id", id.to_string())])
}

/// The index's key: under which name a receipt is found while a mail is owed, or a person has to look at it.
fn open(state: &ReceiptState, due_at: Option<Timestamp>) -> Option<(String, AttributeValue)> {
    let name = match (state.standing(), due_at) {
        (ReceiptStatus::Unsent, Some(due_at)) => due(Offset::UTC.to_datetime(due_at).date()),
        (standing, _) if standing.is_waiting() => standing.to_string(),
        _ => return None,
    };
    Some(("open".to_owned(), text(name)))
}

/// The index's key for what is to be sent on that day.
pub(crate) fn due(day: Date) -> String {
    format!("due#{day}")
}

/// The receipt of an item.
pub(crate) fn read(item: Attributes) -> Result<Receipt, RetryableError> {
    row::from_item(TABLE, item)
}

/// The part of a transaction that writes a receipt for the first time.
pub(crate) fn put(table: &str, receipt: &Receipt) -> Result<Put, RetryableError> {
    let mut item = row::item(TABLE, receipt)?;
    item.extend(open(&receipt.state, receipt.due_at));
    row::first(table, key(&receipt.receipt_id), item)
}

fn seen_version(update: UpdateItemFluentBuilder, seen: &Receipt) -> UpdateItemFluentBuilder {
    update
        .condition_expression("version = :seen")
        .expression_attribute_values(":seen", number(seen.version))
}

impl ports::Receipts for Receipts {
    async fn receipt(&self, id: &ReceiptId) -> Result<Option<Receipt>, RetryableError> {
        let found = self
            .client
            .get_item()
            .table_name(&self.table)
            .set_key(Some(attributes(key(id))))
            .consistent_read(true)
            .send()
            .await
            .map_err(|error| classified(SERVICE, &error))?;
        found.item.map(read).transpose()
    }

    async fn claim(
        &self,
        seen: &Receipt,
        owner: &OwnerToken,
        lease_ends_at: Timestamp,
    ) -> Result<Changed, RetryableError> {
        let state = ReceiptState::Leased {
            owner: owner.clone(),
            lease_ends_at,
        };
        guarded(seen_version(
            self.change(&seen.receipt_id, &state, ", attempts = attempts + :one")?,
            seen,
        ))
        .await
    }

    async fn hold(&self, seen: &Receipt) -> Result<Changed, RetryableError> {
        guarded(seen_version(
            self.change(&seen.receipt_id, &ReceiptState::Held, "")?,
            seen,
        ))
        .await
    }

    async fn mark(
        &self,
        id: &ReceiptId,
        owner: &OwnerToken,
        state: &ReceiptState,
    ) -> Result<Changed, RetryableError> {
        let update = self
            .change(id, state, "")?
            .condition_expression("#state = :leased AND #owner = :me")
            .expression_attribute_values(":leased", text("leased"))
            .expression_attribute_values(":me", text(owner.as_str()));
        guarded(update).await
    }
}

impl ports::ReceiptUpdates for Receipts {
    async fn learn(
        &self,
        seen: &Receipt,
        update: &ReceiptUpdate,
    ) -> Result<Changed, RetryableError> {
        let statement = match &update.state {
            Some(state) => self.change(&seen.receipt_id, state, ", mails = :mails")?,
            // It stands where it stood, and in the index where it was.
            None => self
                .client
                .update_item()
                .table_name(&self.table)
                .set_key(Some(attributes(key(&seen.receipt_id))))
                .update_expression("SET version = version + :one, mails = :mails")
                .expression_attribute_values(":one", number(1)),
        };
        let statement =
            statement.expression_attribute_values(":mails", row::value(TABLE, &update.mails)?);
        guarded(seen_version(statement, seen)).await
    }
}

/// What the index has of a receipt.
#[derive(Deserialize)]
struct Indexed {
    receipt_id: ReceiptId,
}

impl Receipts {
    /// What lies in the index under that name: the oldest ones, so many at most.
    async fn indexed(&self, name: &str, most: usize) -> Result<Vec<ReceiptId>, RetryableError> {
        let mut items = self
            .client
            .query()
            .table_name(&self.table)
            .index_name("open")
            .key_condition_expression("#open = :name")
            .expression_attribute_names("#open", "open")
            .expression_attribute_values(":name", text(name))
            .into_paginator()
            .items()
            .send();
        let mut ids = Vec::new();
        while ids.len() < most
            && let Some(item) = items.next().await
        {
            let item = item.map_err(|error| classified(SERVICE, &error))?;
            ids.push(row::from_item::<Indexed>(TABLE, item)?.receipt_id);
        }
        Ok(ids)
    }
}

impl ports::ReceiptAdmin for Receipts {
    async fn reopen(
        &self,
        seen: &Receipt,
        note: &str,
        now: Timestamp,
    ) -> Result<Changed, RetryableError> {
        let again = seen.clone().reopened(note, now);
        let more = ", note = :note, mails = :mails, reopened_at = :reopened_at";
        let update = self.change(&again.receipt_id, &again.state, more)?;
        // It ends with what is removed; without this as well, sweep would not look at it as at a new one.
        let expression = update.get_update_expression().clone().unwrap_or_default();
        let update = update
            .update_expression(format!("{expression}, swept_at"))
            .expression_attribute_values(":note", text(note))
            .expression_attribute_values(":mails", row::value(TABLE, &again.mails)?)
            .expression_attribute_values(
                ":reopened_at",
                number(again.reopened_at.unwrap_or(now).as_second()),
            );
        guarded(seen_version(update, seen)).await
    }

    async fn close(&self, seen: &Receipt, note: &str) -> Result<Changed, RetryableError> {
        let closed = seen.clone().closed(note);
        let update = self.change(&closed.receipt_id, &closed.state, ", note = :note")?;
        guarded(seen_version(
            update.expression_attribute_values(":note", text(note)),
            seen,
        ))
        .await
    }

    async fn waiting(
        &self,
        standing: ReceiptStatus,
        most: usize,
    ) -> Result<Vec<ReceiptId>, RetryableError> {
        self.indexed(&standing.to_string(), most).await
    }
}
