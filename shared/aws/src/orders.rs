//! The Orders table: key `order_id`; sparse index `client_reference_id`.
//!
//! Beside the order itself an item has what readers of the table would have to work out: `state`, where it stands, and
//! `disputed`. Both follow from the rest and are not read back.

use crate::{
    failure::classified,
    guard::guarded,
    row::{self, Attributes, Key, attributes, number, text},
};
use aws_sdk_dynamodb::{
    Client,
    types::{AttributeValue, Put},
};
use domain::{
    fulfillment::read_set::{ReadSet, Snapshot},
    ports::{self, Changed},
    sale::{delivery_failure::DeliveryFailure, order::Order},
    values::{
        ids::{OrderId, ReceiptId},
        outcome::RetryableError,
    },
};

const TABLE: &str = "Orders";

/// The Orders table.
#[derive(Debug, Clone)]
pub struct Orders {
    client: Client,
    table: String,
}

impl Orders {
    /// The table of that name.
    #[must_use]
    pub fn new(client: Client, table: impl Into<String>) -> Self {
        Self {
            client,
            table: table.into(),
        }
    }
}

impl ports::Orders for Orders {
    async fn order(&self, id: &OrderId) -> Result<Option<Order>, RetryableError> {
        let found = self
            .client
            .get_item()
            .table_name(&self.table)
            .set_key(Some(attributes(key(id))))
            .consistent_read(true)
            .send()
            .await
            .map_err(|error| classified("DynamoDB", &error))?;
        found.item.map(read).transpose()
    }
}

impl ports::DeliveryFailures for Orders {
    async fn keep_delivery_failure(
        &self,
        seen: &Order,
        id: &ReceiptId,
        delivery_failure: Option<DeliveryFailure>,
    ) -> Result<Changed, RetryableError> {
        let mut troubles = seen.delivery_failures.clone();
        match delivery_failure {
            Some(delivery_failure) => troubles.insert(id.clone(), delivery_failure),
            None => troubles.remove(id),
        };
        let update = self
            .client
            .update_item()
            .table_name(&self.table)
            .set_key(Some(attributes(key(&seen.order_id))))
            .update_expression("SET version = version + :one, delivery_failures = :troubles")
            .condition_expression("version = :seen")
            .expression_attribute_values(":one", number(1))
            .expression_attribute_values(":seen", number(seen.version))
            .expression_attribute_values(":troubles", row::value(TABLE, &troubles)?);
        guarded(update).await
    }
}

fn key(id: &OrderId) -> Key {
    Key::from([("order_id", id.to_string())])
}

/// The order of an item.
pub(crate) fn read(item: Attributes) -> Result<Order, RetryableError> {
    row::from_item(TABLE, item)
}

/// The keys to read.
pub(crate) fn keys(read_set: &ReadSet) -> Vec<Key> {
    read_set.order.iter().map(key).collect()
}

/// Puts what was read by [`keys`] among the rows.
pub(crate) fn found(items: Vec<Attributes>, rows: &mut Snapshot) -> Result<(), RetryableError> {
    for item in items {
        rows.order = Some(read(item)?);
    }
    Ok(())
}

/// The part of a transaction that writes an order.
pub(crate) fn put(table: &str, order: &Order) -> Result<Put, RetryableError> {
    let mut item = row::item(TABLE, order)?;
    item.insert("state".to_owned(), text(order.state().to_string()));
    item.insert(
        "disputed".to_owned(),
        AttributeValue::Bool(order.is_disputed()),
    );
    row::versioned(table, key(&order.order_id), item, order.version)
}
