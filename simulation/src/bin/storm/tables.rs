//! Whole tables in their stored form, and an operator's work on dead letters and parked events.

use aws::{Store, queue::DeadLetters};

use aws_sdk_dynamodb::types::AttributeValue;
use domain::ports::Queue;
use kit::play::PlayError;
use kit::prelude::*;
use operator::{
    events::{Again, release},
    list::parked,
    note::Note,
    pace::Pace,
    redrive::{Bounds, redrive},
};
use serde::de::DeserializeOwned;
use std::{collections::HashMap, fmt, num::NonZeroU32};

/// The beginning of every poison message. It is no job, so that no redrive moves it.
pub(crate) const POISON: &str = "poison";

/// A row, or a part of one.
#[derive(Debug, Clone)]
pub(crate) struct Row(HashMap<String, AttributeValue>);

impl Row {
    pub(crate) fn text(&self, name: &str) -> &str {
        self.0
            .get(name)
            .and_then(|value| value.as_s().ok())
            .map_or("", String::as_str)
    }

    fn has(&self, name: &str) -> bool {
        self.0.contains_key(name)
    }

    pub(crate) fn number(&self, name: &str) -> i64 {
        let number = self.0.get(name).and_then(|value| value.as_n().ok());
        number
            .and_then(|number| number.parse().ok())
            .unwrap_or_default()
    }

    /// The row as the product reads it: an attribute of another name is an error, not a zero.
    pub(crate) fn read<T: DeserializeOwned>(&self) -> Result<T, PlayError> {
        serde_dynamo::from_item(self.0.clone()).map_err(failed)
    }
}

/// Why something was given up, or set aside, as its row has it.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Why {
    /// The type of the event, or the kind of the receipt.
    pub(crate) what: String,
    /// Without one nothing was noted since: processes were killed, if need be after a commit, which takes the
    /// word away. A receipt has none.
    pub(crate) class: Option<Class>,
    pub(crate) reason: String,
}

/// The operator's work.
#[derive(Debug, Default)]
pub(crate) struct Settled {
    /// How many dead letters were moved back.
    pub(crate) redriven: usize,
    /// Events and receipts that were unfinished when the queues were empty, by id.
    pub(crate) overdue: BTreeMap<String, Why>,
    /// The parked events that were released.
    pub(crate) released: BTreeMap<String, Why>,
}

impl fmt::Display for Why {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            what,
            class,
            reason,
        } = self;
        match class {
            Some(class) => write!(f, "{what}: {class}, {reason}"),
            None if reason.is_empty() => write!(f, "{what}: nothing was noted"),
            None => write!(f, "{what}: {reason}"),
        }
    }
}

/// How many of each.
pub(crate) fn counted<'a>(whys: impl IntoIterator<Item = &'a Why>) -> Vec<String> {
    let mut counts = BTreeMap::<_, usize>::new();
    for why in whys {
        *counts.entry(why).or_default() += 1;
    }
    counts
        .into_iter()
        .map(|(why, count)| format!("{count}× {why}"))
        .collect()
}

/// The tables and queues of a stack.
#[derive(Debug, Clone)]
pub(crate) struct Desk {
    stack: Stack,
    ports: Ports,
    dynamodb: aws_sdk_dynamodb::Client,
    sqs: aws_sdk_sqs::Client,
}

fn failed(error: impl std::fmt::Debug) -> PlayError {
    PlayError::Queue(format!("{error:?}"))
}

impl Desk {
    pub(crate) async fn at(stack: &Stack) -> Self {
        let config = stack.config().await;
        Self {
            stack: stack.clone(),
            ports: stack.tables().await,
            dynamodb: aws_sdk_dynamodb::Client::new(&config),
            sqs: aws_sdk_sqs::Client::new(&config),
        }
    }

    /// All rows of a table.
    pub(crate) async fn rows(&self, table: &str) -> Result<Vec<Row>, PlayError> {
        let pages = self
            .dynamodb
            .scan()
            .table_name(table)
            .consistent_read(true)
            .into_paginator()
            .items()
            .send();
        let items: Result<Vec<_>, _> = pages.collect().await;
        Ok(items.map_err(failed)?.into_iter().map(Row).collect())
    }

    /// How long a message stays hidden whose function died.
    pub(crate) async fn hide_for(&self, seconds: u32) -> Result<(), PlayError> {
        for queue in [&self.stack.queues.fulfillment, &self.stack.queues.receipt] {
            let set = self.sqs.set_queue_attributes().queue_url(queue);
            let name = aws_sdk_sqs::types::QueueAttributeName::VisibilityTimeout;
            set.attributes(name, seconds.to_string())
                .send()
                .await
                .map_err(failed)?;
        }
        Ok(())
    }

    /// Moves back what lies in the dead-letter queues, but for poison.
    pub(crate) async fn redrive(&self) -> Result<usize, PlayError> {
        let queues = &self.stack.queues;
        let (events, receipts) = (&queues.fulfillment_dead_letter, &queues.receipt_dead_letter);
        Ok(
            self.moved::<FulfillmentJob>(events).await?
                + self.moved::<ReceiptJob>(receipts).await?,
        )
    }

    async fn moved<J: Job>(&self, dead: &str) -> Result<usize, PlayError>
    where
        Store: Queue<J>,
    {
        let letters = DeadLetters::new(&self.stack.config().await, dead);
        let bounds = Bounds {
            dry_run: false,
            messages: usize::MAX,
            only: None,
        };
        let mut pace = Pace::per_second(NonZeroU32::MAX);
        let redriven = redrive(&letters, &self.ports.store, &bounds, &mut pace).await;
        match redriven.stopped {
            Some(error) => Err(error.into()),
            None => Ok(redriven.moved),
        }
    }

    /// The events and receipts that have come to no end, though nothing is on the queues: they were given up.
    pub(crate) async fn overdue(&self) -> Result<BTreeMap<String, Why>, PlayError> {
        let tables = &self.stack.tables;
        let why = |row: &Row, what: &str| Why {
            what: row.text(what).to_owned(),
            class: serde_json::from_value(row.text("class").into())
                .ok()
                .filter(|_| row.has("class")),
            reason: row.text("reason").to_owned(),
        };
        let (events, receipts) = (
            self.rows(&tables.events).await?,
            self.rows(&tables.receipts).await?,
        );
        let events = events
            .iter()
            .filter(|row| matches!(row.text("state"), "stored" | "committed"));
        let events = events.map(|row| (row.text("event_id").to_owned(), why(row, "event_type")));
        let receipts = receipts
            .iter()
            .filter(|row| matches!(row.text("state"), "unsent" | "leased"));
        let receipts = receipts.map(|row| (row.text("receipt_id").to_owned(), why(row, "kind")));
        Ok(events.chain(receipts).collect())
    }

    /// Releases all parked events.
    pub(crate) async fn release(&self) -> Result<BTreeMap<String, Why>, PlayError> {
        let events = &self.ports.store;
        let note = Note::new("storm", "all is well again", Timestamp::now()).map_err(failed)?;
        let mut released = BTreeMap::new();
        for row in parked(events, usize::MAX).await? {
            match release(events, events, &row.event_id, &note).await? {
                Again::Reopened { .. } | Again::Queued { .. } => {
                    let why = Why {
                        what: row.event_type.unwrap_or_default(),
                        class: row.class,
                        reason: row.reason.unwrap_or_default(),
                    };
                    released.insert(row.event_id.to_string(), why);
                }
                // It stays as it is, and the check says so.
                Again::Left(_) => {}
            }
        }
        Ok(released)
    }
}
