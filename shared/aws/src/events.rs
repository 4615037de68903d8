//! The Events table: key `event_id`; sparse index `pending` over what is not done; `expires_at` (TTL) only on
//! what is, so that undone work is never forgotten.

use crate::{
    failure::{misshapen, past_conflicts, setback},
    guard::guarded,
};
use aws_sdk_dynamodb::{
    Client,
    error::SdkError,
    operation::put_item::PutItemError,
    types::{AttributeValue, ReturnValuesOnConditionCheckFailure, Update},
};
use domain::{
    delivery::Provider,
    event::{EventState, StoredEvent},
    ids::{DeliveryId, EventId, ReceiptId},
    outcome::Setback,
    ports::{self, Changed, Recorded, Settlement},
};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use std::{collections::HashMap, time::Duration};

const SERVICE: &str = "DynamoDB";
const TABLE: &str = "Events";

/// The Events table.
#[derive(Debug, Clone)]
pub struct Events {
    client: Client,
    table: String,
    retention: Duration,
}

/// An item as it lies in the table.
#[derive(Serialize, Deserialize)]
struct Item {
    event_id: EventId,
    provider: Provider,
    delivery_id: DeliveryId,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    event_type: Option<String>,
    #[serde(
        default,
        skip_serializing_if = "Option::is_none",
        with = "jiff::fmt::serde::timestamp::second::optional"
    )]
    occurred_at: Option<Timestamp>,
    #[serde(with = "jiff::fmt::serde::timestamp::second::required")]
    received_at: Timestamp,
    #[serde(with = "serde_bytes")]
    body: Vec<u8>,
    fingerprint: String,
    state: EventState,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    reason: Option<String>,
    #[serde(default)]
    attempts: u32,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    receipt_id: Option<ReceiptId>,
    /// Present while pending: the sparse index's key.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pending: Option<String>,
    /// Unix seconds, as TTL wants them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    expires_at: Option<i64>,
}

impl Item {
    fn of(event: &StoredEvent, retention: Duration) -> Self {
        Self {
            event_id: event.event_id.clone(),
            provider: event.provider,
            delivery_id: event.delivery_id.clone(),
            event_type: event.event_type.clone(),
            occurred_at: event.occurred_at,
            received_at: event.received_at,
            body: event.body.clone(),
            fingerprint: event.fingerprint.clone(),
            state: event.state,
            reason: event.reason.clone(),
            attempts: event.attempts,
            receipt_id: event.receipt_id.clone(),
            pending: event.state.is_pending().then(|| event.state.to_string()),
            expires_at: event.state.may_expire().then(|| expiry(event.received_at, retention)),
        }
    }

    fn into_event(self) -> StoredEvent {
        StoredEvent {
            event_id: self.event_id,
            provider: self.provider,
            delivery_id: self.delivery_id,
            event_type: self.event_type,
            occurred_at: self.occurred_at,
            received_at: self.received_at,
            body: self.body,
            fingerprint: self.fingerprint,
            state: self.state,
            reason: self.reason,
            attempts: self.attempts,
            receipt_id: self.receipt_id,
        }
    }
}

fn expiry(from: Timestamp, retention: Duration) -> i64 {
    from.as_second().saturating_add(i64::try_from(retention.as_secs()).unwrap_or(i64::MAX))
}

fn text(value: impl Into<String>) -> AttributeValue {
    AttributeValue::S(value.into())
}

/// The part of a transaction that makes a stored event `committed`: the effects and this, or neither.
pub(crate) fn committed(
    table: &str,
    id: &EventId,
    receipt_id: &ReceiptId,
) -> Result<Update, aws_sdk_dynamodb::error::BuildError> {
    Update::builder()
        .table_name(table)
        .key("event_id", text(id.as_str()))
        .update_expression(
            "SET #state = :committed, #pending = :committed, receipt_id = :receipt REMOVE #reason",
        )
        .condition_expression("#state = :stored")
        .expression_attribute_names("#state", "state")
        .expression_attribute_names("#pending", "pending")
        .expression_attribute_names("#reason", "reason")
        .expression_attribute_values(":committed", text(EventState::Committed.to_string()))
        .expression_attribute_values(":stored", text(EventState::Stored.to_string()))
        .expression_attribute_values(":receipt", text(receipt_id.as_str()))
        .build()
}

impl Events {
    /// `retention` is counted from the end of an event's work.
    #[must_use]
    pub fn new(client: Client, table: impl Into<String>, retention: Duration) -> Self {
        Self { client, table: table.into(), retention }
    }
}

impl ports::Events for Events {
    async fn record(&self, event: &StoredEvent) -> Result<Recorded, Setback> {
        let item: HashMap<String, AttributeValue> = serde_dynamo::to_item(Item::of(event, self.retention))
            .map_err(|error| misshapen(TABLE, &error))?;
        let put = self
            .client
            .put_item()
            .table_name(&self.table)
            .set_item(Some(item))
            .condition_expression("attribute_not_exists(event_id)")
            // A refusal brings the item along, so that a duplicate costs no second read.
            .return_values_on_condition_check_failure(ReturnValuesOnConditionCheckFailure::AllOld);
        match past_conflicts(|| put.clone().send()).await {
            Ok(_) => Ok(Recorded::First),
            Err(SdkError::ServiceError(refusal)) if refusal.err().is_conditional_check_failed_exception() => {
                let PutItemError::ConditionalCheckFailedException(refusal) = refusal.into_err() else {
                    return Err(Setback::Fault("a refused condition without its type".to_owned()));
                };
                let there: Item = serde_dynamo::from_item(refusal.item.unwrap_or_default())
                    .map_err(|error| misshapen(TABLE, &error))?;
                Ok(if there.fingerprint == event.fingerprint {
                    Recorded::Again(there.state)
                } else {
                    Recorded::OtherBody(there.state)
                })
            }
            Err(error) => Err(setback(SERVICE, &error)),
        }
    }

    async fn event(&self, id: &EventId) -> Result<Option<StoredEvent>, Setback> {
        let found = self
            .client
            .get_item()
            .table_name(&self.table)
            .key("event_id", text(id.as_str()))
            .consistent_read(true)
            .send()
            .await
            .map_err(|error| setback(SERVICE, &error))?;
        found
            .item
            .map(serde_dynamo::from_item::<_, Item>)
            .transpose()
            .map(|item| item.map(Item::into_event))
            .map_err(|error| misshapen(TABLE, &error))
    }

    async fn settle(
        &self,
        id: &EventId,
        settlement: &Settlement,
        now: Timestamp,
    ) -> Result<Changed, Setback> {
        let update = self
            .client
            .update_item()
            .table_name(&self.table)
            .key("event_id", text(id.as_str()))
            .expression_attribute_names("#state", "state")
            .expression_attribute_names("#pending", "pending")
            .expression_attribute_names("#reason", "reason")
            .expression_attribute_values(":stored", text(EventState::Stored.to_string()));
        let update = match settlement {
            Settlement::Processed => update
                .update_expression("SET #state = :processed, expires_at = :expiry REMOVE #pending, #reason")
                .condition_expression("#state IN (:stored, :committed)")
                .expression_attribute_values(":processed", text(EventState::Processed.to_string()))
                .expression_attribute_values(":committed", text(EventState::Committed.to_string()))
                .expression_attribute_values(
                    ":expiry",
                    AttributeValue::N(expiry(now, self.retention).to_string()),
                ),
            Settlement::Parked { reason } => update
                .update_expression("SET #state = :parked, #reason = :reason REMOVE #pending")
                .condition_expression("#state = :stored")
                .expression_attribute_values(":parked", text(EventState::Parked.to_string()))
                .expression_attribute_values(":reason", text(reason)),
        };
        guarded(update).await
    }

    async fn note_failure(&self, id: &EventId, reason: &str, attempts: u32) -> Result<(), Setback> {
        let update = self
            .client
            .update_item()
            .table_name(&self.table)
            .key("event_id", text(id.as_str()))
            .update_expression("SET #reason = :reason, attempts = :attempts")
            .condition_expression("attribute_exists(#pending)")
            .expression_attribute_names("#reason", "reason")
            .expression_attribute_names("#pending", "pending")
            .expression_attribute_values(":reason", text(reason))
            .expression_attribute_values(":attempts", AttributeValue::N(attempts.to_string()));
        guarded(update).await.map(drop)
    }
}
