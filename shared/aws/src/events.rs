//! The Events table: key `event_id`; sparse index `pending` over what is not done, parked events among it; `expires_at`
//! (TTL) only on what is, so that undone work is never forgotten.

use crate::{
    failure::{classified, unbuildable},
    guard::{guarded, put_first},
    row::{self, Attributes, Key, attributes, number, text},
};
use aws_sdk_dynamodb::{
    Client,
    operation::query::builders::QueryFluentBuilder,
    types::{AttributeValue, ConditionCheck, Update},
};
use domain::delivery::reference_state;
use domain::{
    delivery::stored_event::{EventState, StoredEvent},
    ports::{self, Changed, Found, Recorded, Reopening, Search, Settlement},
    values::{
        class::Class,
        ids::{DeliveryId, EventId, ReceiptId, ReferenceState},
        outcome::RetryableError,
        provider::Provider,
    },
};
use jiff::Timestamp;
use serde::{Deserialize, Serialize, de::DeserializeOwned};
use std::time::Duration;

const SERVICE: &str = "DynamoDB";
const TABLE: &str = "Events";

/// How many rows a search looks at in one call: some seconds' worth, should none of them match.
const ROWS_A_PAGE: i32 = 500;

/// The Events table.
#[derive(Debug, Clone)]
pub struct Events {
    pub(crate) client: Client,
    pub(crate) table: String,
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
    #[serde(default, skip_serializing_if = "Option::is_none")]
    subject: Option<ReferenceState>,
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
    #[serde(default, skip_serializing_if = "Option::is_none")]
    class: Option<Class>,
    #[serde(default)]
    attempts: u32,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    note: Option<String>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    receipt_ids: Vec<ReceiptId>,
    /// What rows had when an event made one receipt at most. Still read, no longer written.
    #[serde(default, skip_serializing)]
    receipt_id: Option<ReceiptId>,
    /// Present until nobody has anything left to do, and on what was dropped: the sparse index's key.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    open: Option<String>,
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
            subject: event.subject.clone(),
            occurred_at: event.occurred_at,
            received_at: event.received_at,
            body: event.body.clone(),
            fingerprint: event.fingerprint.clone(),
            state: event.state,
            reason: event.reason.clone(),
            class: event.class,
            attempts: event.attempts,
            note: event.note.clone(),
            receipt_ids: event.receipt_ids.clone(),
            receipt_id: None,
            open: event.state.is_open().then(|| event.state.to_string()),
            expires_at: event
                .state
                .may_expire()
                .then(|| expiry(event.received_at, retention)),
        }
    }

    fn into_event(self) -> StoredEvent {
        StoredEvent {
            event_id: self.event_id,
            provider: self.provider,
            delivery_id: self.delivery_id,
            event_type: self.event_type,
            subject: self.subject,
            occurred_at: self.occurred_at,
            received_at: self.received_at,
            body: self.body,
            fingerprint: self.fingerprint,
            state: self.state,
            reason: self.reason,
            class: self.class,
            attempts: self.attempts,
            note: self.note,
            receipt_ids: self
                .receipt_ids
                .into_iter()
                .chain(self.receipt_id)
                .collect(),
        }
    }
}

fn expiry(from: Timestamp, retention: Duration) -> i64 {
    from.as_second()
        .saturating_add(i64::try_from(retention.as_secs()).unwrap_or(i64::MAX))
}

fn key(id: &EventId) -> Key {
    Key::from([("event_id", id.to_string())])
}

/// The event of an item.
pub(crate) fn read(item: Attributes) -> Result<StoredEvent, RetryableError> {
    row::from_item(TABLE, item).map(Item::into_event)
}

/// The part of a transaction that makes a stored event `committed`: the effects and this, or neither.
pub(crate) fn committed(
    table: &str,
    id: &EventId,
    receipt_ids: &[ReceiptId],
) -> Result<Update, RetryableError> {
    let receipts = receipt_ids.iter().map(|id| text(id.as_str())).collect();
    Update::builder()
        .table_name(table)
        .set_key(Some(attributes(key(id))))
        .update_expression(
            "SET #state = :committed, #open = :committed, receipt_ids = :receipts REMOVE #reason, #class",
        )
        .condition_expression("#state = :stored")
        .expression_attribute_names("#state", "state")
        .expression_attribute_names("#open", "open")
        .expression_attribute_names("#reason", "reason")
        .expression_attribute_names("#class", "class")
        .expression_attribute_values(":committed", text(EventState::Committed.to_string()))
        .expression_attribute_values(":stored", text(EventState::Stored.to_string()))
        .expression_attribute_values(":receipts", AttributeValue::L(receipts))
        .build()
        .map_err(|error| unbuildable(&error))
}

/// The part of a transaction that leaves an event as it is: the effects, while it is stored.
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

impl Events {
    /// `retention` is counted from the end of an event's work.
    #[must_use]
    pub fn new(client: Client, table: impl Into<String>, retention: Duration) -> Self {
        Self {
            client,
            table: table.into(),
            retention,
        }
    }
}

impl ports::Events for Events {
    async fn record(&self, event: &StoredEvent) -> Result<Recorded, RetryableError> {
        let item = row::item(TABLE, &Item::of(event, self.retention))?;
        let put = self
            .client
            .put_item()
            .table_name(&self.table)
            .set_item(Some(item))
            .condition_expression("attribute_not_exists(event_id)");
        let there: Option<Item> = put_first(TABLE, put).await?;
        Ok(match there {
            None => Recorded::First,
            Some(there) if there.fingerprint == event.fingerprint => Recorded::Again(there.state),
            Some(there) => Recorded::OtherBody(there.state),
        })
    }

    async fn event(&self, id: &EventId) -> Result<Option<StoredEvent>, RetryableError> {
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

    async fn settle(
        &self,
        id: &EventId,
        settlement: &Settlement,
        now: Timestamp,
    ) -> Result<Changed, RetryableError> {
        let update = self
            .client
            .update_item()
            .table_name(&self.table)
            .set_key(Some(attributes(key(id))))
            .expression_attribute_names("#state", "state")
            .expression_attribute_names("#open", "open")
            .expression_attribute_names("#reason", "reason")
            .expression_attribute_names("#class", "class")
            .expression_attribute_values(":stored", text(EventState::Stored.to_string()));
        let update = match settlement {
            Settlement::Processed => update
                .update_expression(
                    "SET #state = :processed, expires_at = :expiry REMOVE #open, #reason, #class",
                )
                .condition_expression("#state IN (:stored, :committed)")
                .expression_attribute_values(":processed", text(EventState::Processed.to_string()))
                .expression_attribute_values(":committed", text(EventState::Committed.to_string()))
                .expression_attribute_values(":expiry", number(expiry(now, self.retention))),
            Settlement::Parked { class, reason } => update
                .update_expression(
                    "SET #state = :parked, #open = :parked, #reason = :reason, #class = :class",
                )
                .condition_expression("#state = :stored")
                .expression_attribute_values(":parked", text(EventState::Parked.to_string()))
                .expression_attribute_values(":reason", text(reason))
                .expression_attribute_values(":class", text(class.as_str())),
        };
        guarded(update).await
    }

    async fn note_failure(
        &self,
        id: &EventId,
        class: Class,
        reason: &str,
    ) -> Result<(), RetryableError> {
        let update = self
            .client
            .update_item()
            .table_name(&self.table)
            .set_key(Some(attributes(key(id))))
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

/// What the index has of an event.
#[derive(Deserialize)]
struct Indexed {
    event_id: EventId,
}

/// What the index has of what an event tells.
#[derive(Deserialize)]
struct Told {
    #[serde(default)]
    subject: Option<ReferenceState>,
}

/// The index's attributes that tell a sale and its age.
#[derive(Deserialize)]
struct Sale {
    #[serde(with = "jiff::fmt::serde::timestamp::second::required")]
    received_at: Timestamp,
    #[serde(default)]
    subject: Option<ReferenceState>,
}

impl Events {
    /// The index's rows at that state, the oldest first.
    fn query(&self, state: EventState) -> QueryFluentBuilder {
        self.client
            .query()
            .table_name(&self.table)
            .index_name("open")
            .key_condition_expression("#open = :state")
            .expression_attribute_names("#open", "open")
            .expression_attribute_values(":state", text(state.to_string()))
    }

    /// What the index has of the events that stand there: the oldest ones, so many at most.
    async fn indexed<Row: DeserializeOwned>(
        &self,
        state: EventState,
        most: usize,
    ) -> Result<Vec<Row>, RetryableError> {
        let mut items = self.query(state).into_paginator().items().send();
        let mut rows = Vec::new();
        while rows.len() < most
            && let Some(item) = items.next().await
        {
            let item = item.map_err(|error| classified(SERVICE, &error))?;
            rows.push(row::from_item(TABLE, item)?);
        }
        Ok(rows)
    }
}

impl ports::ReferenceStates for Events {
    async fn subjects(
        &self,
        state: EventState,
        most: usize,
    ) -> Result<Vec<Option<ReferenceState>>, RetryableError> {
        let indexed: Vec<Told> = self.indexed(state, most).await?;
        Ok(indexed.into_iter().map(|row| row.subject).collect())
    }
}

impl ports::Sales for Events {
    async fn oldest_sale(
        &self,
        state: EventState,
        most: usize,
    ) -> Result<Option<Timestamp>, RetryableError> {
        let mut items = self.query(state).into_paginator().items().send();
        for _ in 0..most {
            let Some(item) = items.next().await else {
                break;
            };
            let item = item.map_err(|error| classified(SERVICE, &error))?;
            let Sale {
                received_at,
                subject,
            } = row::from_item(TABLE, item)?;
            if subject.as_ref().is_some_and(reference_state::is_sale) {
                return Ok(Some(received_at));
            }
        }
        Ok(None)
    }
}

impl ports::EventAdmin for Events {
    async fn reopen(&self, reopening: &Reopening) -> Result<Changed, RetryableError> {
        let Reopening {
            event_id,
            from,
            event_type,
            occurred_at,
            note,
        } = reopening;
        let mut set =
            "SET #state = :stored, #open = :stored, attempts = :none, note = :note".to_owned();
        let mut update = self
            .client
            .update_item()
            .table_name(&self.table)
            .set_key(Some(attributes(key(event_id))))
            .condition_expression("#state = :from")
            .expression_attribute_names("#state", "state")
            .expression_attribute_names("#open", "open")
            .expression_attribute_values(":from", text(from.to_string()))
            .expression_attribute_values(":stored", text(EventState::Stored.to_string()))
            .expression_attribute_values(":none", number(0))
            .expression_attribute_values(":note", text(note));
        if let Some(event_type) = event_type {
            set.push_str(", event_type = :type");
            update = update.expression_attribute_values(":type", text(event_type));
        }
        if let Some(occurred_at) = occurred_at {
            set.push_str(", occurred_at = :occurred");
            update =
                update.expression_attribute_values(":occurred", number(occurred_at.as_second()));
        }
        guarded(update.update_expression(format!("{set} REMOVE expires_at, swept_at"))).await
    }

    async fn drop_event(
        &self,
        id: &EventId,
        from: EventState,
        note: &str,
        now: Timestamp,
    ) -> Result<Changed, RetryableError> {
        let update = self
            .client
            .update_item()
            .table_name(&self.table)
            .set_key(Some(attributes(key(id))))
            .update_expression(
                "SET #state = :dropped, #open = :dropped, note = :note, expires_at = :expiry",
            )
            .condition_expression("#state = :from")
            .expression_attribute_names("#state", "state")
            .expression_attribute_names("#open", "open")
            .expression_attribute_values(":from", text(from.to_string()))
            .expression_attribute_values(":dropped", text(EventState::Dropped.to_string()))
            .expression_attribute_values(":note", text(note))
            .expression_attribute_values(":expiry", number(expiry(now, self.retention)));
        guarded(update).await
    }

    async fn waiting(
        &self,
        state: EventState,
        most: usize,
    ) -> Result<Vec<EventId>, RetryableError> {
        let indexed: Vec<Indexed> = self.indexed(state, most).await?;
        Ok(indexed.into_iter().map(|row| row.event_id).collect())
    }

    async fn search(
        &self,
        search: &Search,
        after: Option<&EventId>,
    ) -> Result<Found, RetryableError> {
        let Search {
            event_type,
            since,
            before,
        } = search;
        let filter = "received_at >= :since AND received_at < :before";
        let mut scan = self
            .client
            .scan()
            .table_name(&self.table)
            .limit(ROWS_A_PAGE)
            .set_exclusive_start_key(after.map(|id| attributes(key(id))))
            .expression_attribute_values(":since", number(since.as_second()))
            .expression_attribute_values(":before", number(before.as_second()));
        scan = match event_type {
            None => scan.filter_expression(filter),
            Some(event_type) => scan
                .filter_expression(format!("{filter} AND event_type = :type"))
                .expression_attribute_values(":type", text(event_type)),
        };
        let found = scan
            .send()
            .await
            .map_err(|error| classified(SERVICE, &error))?;
        let next = found
            .last_evaluated_key
            .map(|key| row::from_item::<Indexed>(TABLE, key))
            .transpose()?;
        let (mut events, mut unreadable) = (Vec::new(), Vec::new());
        for item in found.items.unwrap_or_default() {
            let key = row::from_item::<Indexed>(TABLE, item.clone())?;
            match read(item) {
                Ok(event) => events.push(event),
                // It must not keep us from the others.
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
