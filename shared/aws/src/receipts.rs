//! The Receipts table: key `receipt_id`; sparse index `pending` over what is still owed.

use crate::{
    failure::{misshapen, setback},
    guard::guarded,
};
use aws_sdk_dynamodb::{
    Client,
    error::BuildError,
    operation::update_item::builders::UpdateItemFluentBuilder,
    types::{AttributeValue, Put},
};
use domain::{
    ids::{OwnerToken, ReceiptId},
    outcome::Setback,
    ports::{self, Changed},
    receipt::{Receipt, State},
};
use jiff::Timestamp;
use std::collections::HashMap;

const SERVICE: &str = "DynamoDB";
const TABLE: &str = "Receipts";

/// What a state may bring along. A change sets those of the new state and removes the others.
const STATE_ATTRIBUTES: [&str; 6] = ["state", "reason", "owner", "claim_ends_at", "message_id", "sent_at"];

/// The Receipts table.
#[derive(Debug, Clone)]
pub struct Receipts {
    client: Client,
    table: String,
}

impl Receipts {
    /// The table of that name.
    #[must_use]
    pub fn new(client: Client, table: impl Into<String>) -> Self {
        Self { client, table: table.into() }
    }

    /// An update to `state`, without its condition.
    fn change(&self, id: &ReceiptId, state: &State, more: &str) -> Result<UpdateItemFluentBuilder, Setback> {
        let mut given: HashMap<String, AttributeValue> =
            serde_dynamo::to_item(state).map_err(|error| misshapen(TABLE, &error))?;
        if let Some(pending) = pending(state) {
            given.insert("pending".to_owned(), pending);
        }
        let mut update = self
            .client
            .update_item()
            .table_name(&self.table)
            .key("receipt_id", AttributeValue::S(id.to_string()))
            .expression_attribute_values(":one", AttributeValue::N("1".to_owned()));
        let (mut set, mut remove) = (vec!["version = version + :one".to_owned()], Vec::new());
        for name in STATE_ATTRIBUTES.into_iter().chain(["pending"]) {
            update = update.expression_attribute_names(format!("#{name}"), name);
            if let Some(value) = given.remove(name) {
                set.push(format!("#{name} = :{name}"));
                update = update.expression_attribute_values(format!(":{name}"), value);
            } else {
                remove.push(format!("#{name}"));
            }
        }
        Ok(update.update_expression(format!("SET {}{more} REMOVE {}", set.join(", "), remove.join(", "))))
    }
}

fn pending(state: &State) -> Option<AttributeValue> {
    match state {
        State::Pending { .. } => Some(AttributeValue::S("pending".to_owned())),
        State::Claimed { .. } => Some(AttributeValue::S("claimed".to_owned())),
        State::Sent { .. } | State::Failed { .. } | State::Held => None,
    }
}

/// The item of a receipt.
pub(crate) fn item(receipt: &Receipt) -> Result<HashMap<String, AttributeValue>, Setback> {
    let mut item: HashMap<String, AttributeValue> =
        serde_dynamo::to_item(receipt).map_err(|error| misshapen(TABLE, &error))?;
    if let Some(pending) = pending(&receipt.state) {
        item.insert("pending".to_owned(), pending);
    }
    Ok(item)
}

/// The part of a transaction that writes a receipt for the first time.
pub(crate) fn first(table: &str, item: HashMap<String, AttributeValue>) -> Result<Put, BuildError> {
    Put::builder()
        .table_name(table)
        .set_item(Some(item))
        .condition_expression("attribute_not_exists(receipt_id)")
        .build()
}

fn seen_version(update: UpdateItemFluentBuilder, seen: &Receipt) -> UpdateItemFluentBuilder {
    update
        .condition_expression("version = :seen")
        .expression_attribute_values(":seen", AttributeValue::N(seen.version.to_string()))
}

impl ports::Receipts for Receipts {
    async fn receipt(&self, id: &ReceiptId) -> Result<Option<Receipt>, Setback> {
        let found = self
            .client
            .get_item()
            .table_name(&self.table)
            .key("receipt_id", AttributeValue::S(id.to_string()))
            .consistent_read(true)
            .send()
            .await
            .map_err(|error| setback(SERVICE, &error))?;
        found.item.map(serde_dynamo::from_item).transpose().map_err(|error| misshapen(TABLE, &error))
    }

    async fn claim(
        &self,
        seen: &Receipt,
        owner: &OwnerToken,
        claim_ends_at: Timestamp,
    ) -> Result<Changed, Setback> {
        let state = State::Claimed { owner: owner.clone(), claim_ends_at };
        guarded(seen_version(self.change(&seen.receipt_id, &state, ", attempts = attempts + :one")?, seen))
            .await
    }

    async fn hold(&self, seen: &Receipt) -> Result<Changed, Setback> {
        guarded(seen_version(self.change(&seen.receipt_id, &State::Held, "")?, seen)).await
    }

    async fn mark(&self, id: &ReceiptId, owner: &OwnerToken, state: &State) -> Result<Changed, Setback> {
        let update = self
            .change(id, state, "")?
            .condition_expression("#state = :claimed AND #owner = :me")
            .expression_attribute_values(":claimed", AttributeValue::S("claimed".to_owned()))
            .expression_attribute_values(":me", AttributeValue::S(owner.to_string()));
        guarded(update).await
    }
}
