//! One stack's tables and queues, as one value that implements the ports.
//!
//! Each table's keys and expressions are in the table's own file.

use crate::{
    failure::classified,
    row::{self, Attributes, Key, attributes},
};
use aws_config::SdkConfig;
use aws_sdk_dynamodb::operation::{
    query::builders::QueryFluentBuilder, update_item::builders::UpdateItemFluentBuilder,
};
use domain::values::outcome::RetryableError;
use serde::de::DeserializeOwned;
use std::{sync::Arc, time::Duration};
use tokio::sync::Mutex;

pub(crate) const DYNAMODB: &str = "DynamoDB";
pub(crate) const SQS: &str = "SQS";

/// The names of the tables. A function sets only those that it uses.
#[derive(Debug, Clone, Default)]
pub struct Tables {
    pub events: String,
    pub orders: String,
    pub links: String,
    pub stock: String,
    pub entitlements: String,
    pub receipts: String,
    pub resources: String,
    pub announcements: String,
}

impl Tables {
    /// All tables, each with the name that `name` gives for its own.
    #[must_use]
    pub fn named(name: impl Fn(&str) -> String) -> Self {
        Self {
            events: name("events"),
            orders: name("orders"),
            links: name("links"),
            stock: name("stock"),
            entitlements: name("entitlements"),
            receipts: name("receipts"),
            resources: name("resources"),
            announcements: name("announcements"),
        }
    }
}

/// The URLs of the queues. A function sets only those that it uses.
#[derive(Debug, Clone, Default)]
pub struct Queues {
    pub fulfillment: String,
    pub receipts: String,
    /// The queue that invokes the function.
    pub source: String,
}

/// The tables and queues of one stack.
#[derive(Debug, Clone)]
pub struct Store {
    pub(crate) dynamodb: aws_sdk_dynamodb::Client,
    pub(crate) sqs: aws_sdk_sqs::Client,
    pub(crate) tables: Tables,
    pub(crate) queues: Queues,
    pub(crate) retention: Duration,
    /// Held by the one transaction of this process that is tried again after a conflict.
    pub(crate) turn: Arc<Mutex<()>>,
}

impl Store {
    /// A store that keeps ended events forever.
    #[must_use]
    pub fn new(config: &SdkConfig, tables: Tables, queues: Queues) -> Self {
        Self {
            dynamodb: aws_sdk_dynamodb::Client::new(config),
            sqs: aws_sdk_sqs::Client::new(config),
            tables,
            queues,
            retention: Duration::MAX,
            turn: Arc::default(),
        }
    }

    /// The same store. It keeps an ended event for `retention` after its end.
    #[must_use]
    pub fn with_retention(self, retention: Duration) -> Self {
        Self { retention, ..self }
    }

    /// Reads an item, strongly consistent.
    pub(crate) async fn item(
        &self,
        table: &str,
        key: Key,
    ) -> Result<Option<Attributes>, RetryableError> {
        let get = self
            .dynamodb
            .get_item()
            .table_name(table)
            .set_key(Some(attributes(key)));
        let found = get.consistent_read(true).send().await;
        Ok(found.map_err(|error| classified(DYNAMODB, &error))?.item)
    }

    /// Reads a row, strongly consistent. `name` is for errors.
    pub(crate) async fn row<T: DeserializeOwned>(
        &self,
        (name, table): (&'static str, &str),
        key: Key,
    ) -> Result<Option<T>, RetryableError> {
        let item = self.item(table, key).await?;
        item.map(|item| row::from_item(name, item)).transpose()
    }

    /// An update of one item, without its expressions.
    pub(crate) fn update(&self, table: &str, key: Key) -> UpdateItemFluentBuilder {
        self.dynamodb
            .update_item()
            .table_name(table)
            .set_key(Some(attributes(key)))
    }
}

/// The rows of a query, `most` at most. `name` is for errors.
pub(crate) async fn rows<T: DeserializeOwned>(
    name: &'static str,
    query: QueryFluentBuilder,
    most: usize,
) -> Result<Vec<T>, RetryableError> {
    let mut items = query.into_paginator().items().send();
    let mut rows = Vec::new();
    while rows.len() < most
        && let Some(item) = items.next().await
    {
        let item = item.map_err(|error| classified(DYNAMODB, &error))?;
        rows.push(row::from_item(name, item)?);
    }
    Ok(rows)
}

/// One page of a query: its rows, and the key after which the next page begins. `name` is for errors.
pub(crate) async fn page<T: DeserializeOwned>(
    name: &'static str,
    query: QueryFluentBuilder,
) -> Result<(Vec<T>, Option<Attributes>), RetryableError> {
    let found = query.send().await;
    let found = found.map_err(|error| classified(DYNAMODB, &error))?;
    let items = found.items.unwrap_or_default().into_iter();
    let rows = items.map(|item| row::from_item(name, item));
    Ok((rows.collect::<Result<_, _>>()?, found.last_evaluated_key))
}
