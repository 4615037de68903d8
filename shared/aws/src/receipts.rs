//! The Receipts table, with the key `receipt_id`.
//!
//! The sparse index `open` lists the receipts that are not finished. A mail for a later day is there under `due#<day>`
//! (UTC) until its first attempt.

use crate::{
    guard::guarded,
    row::{self, Attributes, Key, number, text},
    store::Store,
};
use aws_sdk_dynamodb::{
    operation::update_item::builders::UpdateItemFluentBuilder,
    types::{AttributeValue, Put},
};
use domain::{
    announcement::Batch,
    fulfillment::read_set::{ReadSet, Snapshot},
    ports::{self, Changed},
    receipt::{Receipt, ReceiptState, ReceiptStatus, feedback::ReceiptUpdate},
    values::{
        ids::{OwnerToken, ReceiptId},
        note::Noted,
        outcome::RetryableError,
    },
};
use jiff::{Timestamp, civil::Date, tz::Offset};

const TABLE: &str = "Receipts";

/// The attributes of all states. A change sets those of the new state and removes the others.
const STATE_ATTRIBUTES: [&str; 6] = [
    "state",
    "reason",
    "owner",
    "lease_ends_at",
    "message_id",
    "sent_at",
];

impl Store {
    /// An update to `state`, without its condition.
    fn change_receipt(
        &self,
        id: &ReceiptId,
        state: &ReceiptState,
        more: &str,
    ) -> Result<UpdateItemFluentBuilder, RetryableError> {
        let mut given = row::item(TABLE, state)?;
        // After the first attempt, the index has the receipt under its status and not under its day.
        given.extend(open(state, None));
        let mut update = self
            .update(&self.tables.receipts, key(id))
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

/// The key of the index, while the receipt is not finished.
fn open(state: &ReceiptState, due_at: Option<Timestamp>) -> Option<(String, AttributeValue)> {
    let name = match (state.status(), due_at) {
        (ReceiptStatus::Unsent, Some(due_at)) => due(Offset::UTC.to_datetime(due_at).date()),
        (standing, _) if standing.is_waiting() => standing.to_string(),
        _ => return None,
    };
    Some(("open".to_owned(), text(name)))
}

/// The key of the index for the mails of a day.
pub(crate) fn due(day: Date) -> String {
    format!("due#{day}")
}

/// The keys to read.
pub(crate) fn keys(read_set: &ReadSet) -> Vec<Key> {
    read_set.receipts.iter().map(key).collect()
}

/// Adds the items of [`keys`] to the snapshot.
pub(crate) fn found(items: Vec<Attributes>, rows: &mut Snapshot) -> Result<(), RetryableError> {
    for item in items {
        let receipt: Receipt = row::from_item(TABLE, item)?;
        rows.receipts.insert(receipt.receipt_id.clone(), receipt);
    }
    Ok(())
}

/// The action that writes a new receipt.
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

impl ports::Receipts for Store {
    async fn receipt(&self, id: &ReceiptId) -> Result<Option<Receipt>, RetryableError> {
        self.row((TABLE, &self.tables.receipts), key(id)).await
    }

    async fn acquire_lease(
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
            self.change_receipt(&seen.receipt_id, &state, ", attempts = attempts + :one")?,
            seen,
        ))
        .await
    }

    async fn hold(
        &self,
        seen: &Receipt,
        announced: Option<&Batch>,
    ) -> Result<Changed, RetryableError> {
        let update = self.change_receipt(&seen.receipt_id, &ReceiptState::Held, "")?;
        self.guarded_with(seen_version(update, seen), announced)
            .await
    }

    async fn end_lease(
        &self,
        id: &ReceiptId,
        owner: &OwnerToken,
        state: &ReceiptState,
        announced: Option<&Batch>,
    ) -> Result<Changed, RetryableError> {
        let update = self
            .change_receipt(id, state, "")?
            .condition_expression("#state = :leased AND #owner = :me")
            .expression_attribute_values(":leased", text("leased"))
            .expression_attribute_values(":me", text(owner.as_str()));
        self.guarded_with(update, announced).await
    }

    async fn update_mails(
        &self,
        seen: &Receipt,
        update: &ReceiptUpdate,
        announced: Option<&Batch>,
    ) -> Result<Changed, RetryableError> {
        let statement = match &update.state {
            Some(state) => self.change_receipt(&seen.receipt_id, state, ", mails = :mails")?,
            // State and index key stay as they are.
            None => self
                .update(&self.tables.receipts, key(&seen.receipt_id))
                .update_expression("SET version = version + :one, mails = :mails")
                .expression_attribute_values(":one", number(1)),
        };
        let statement =
            statement.expression_attribute_values(":mails", row::value(TABLE, &update.mails)?);
        self.guarded_with(seen_version(statement, seen), announced)
            .await
    }
}

impl ports::ReceiptAdmin for Store {
    async fn reopen_receipt(
        &self,
        seen: &Receipt,
        note: &Noted,
        now: Timestamp,
    ) -> Result<Changed, RetryableError> {
        let again = seen.clone().reopened(note.clone(), now);
        let more = ", notes = :notes, mails = :mails, reopened_at = :reopened_at";
        let update = self.change_receipt(&again.receipt_id, &again.state, more)?;
        // The expression ends with the list to remove. Without `swept_at`, sweep treats the receipt as new.
        let expression = update.get_update_expression().clone().unwrap_or_default();
        let update = update
            .update_expression(format!("{expression}, swept_at"))
            .expression_attribute_values(":notes", row::value(TABLE, &again.notes)?)
            .expression_attribute_values(":mails", row::value(TABLE, &again.mails)?)
            .expression_attribute_values(
                ":reopened_at",
                number(again.reopened_at.unwrap_or(now).as_second()),
            );
        guarded(seen_version(update, seen)).await
    }

    async fn close_receipt(
        &self,
        seen: &Receipt,
        note: &Noted,
        announced: Option<&Batch>,
    ) -> Result<Changed, RetryableError> {
        let closed = seen.clone().closed(note.clone());
        let update = self.change_receipt(&closed.receipt_id, &closed.state, ", notes = :notes")?;
        let update =
            update.expression_attribute_values(":notes", row::value(TABLE, &closed.notes)?);
        self.guarded_with(seen_version(update, seen), announced)
            .await
    }
}
