//! The Orders table, with the key `order_id` and the sparse index `client_reference_id`.
//!
//! An item also has the derived attributes `state` and `disputed`, for other readers of the table. This code does not
//! read them.

use crate::{
    guard::guarded,
    row::{self, Attributes, Key, number, text},
    store::Store,
};
use aws_sdk_dynamodb::types::{AttributeValue, Put};
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

impl ports::Orders for Store {
    async fn order(&self, id: &OrderId) -> Result<Option<Order>, RetryableError> {
        self.row((TABLE, &self.tables.orders), key(id)).await
    }

    async fn keep_delivery_failure(
        &self,
        seen: &Order,
        id: &ReceiptId,
        delivery_failure: Option<DeliveryFailure>,
    ) -> Result<Changed, RetryableError> {
        let mut failures = seen.delivery_failures.clone();
        match delivery_failure {
            Some(delivery_failure) => failures.insert(id.clone(), delivery_failure),
            None => failures.remove(id),
        };
        let update = self
            .update(&self.tables.orders, key(&seen.order_id))
            .update_expression("SET version = version + :one, delivery_failures = :failures")
            .condition_expression("version = :seen")
            .expression_attribute_values(":one", number(1))
            .expression_attribute_values(":seen", number(seen.version))
            .expression_attribute_values(":failures", row::value(TABLE, &failures)?);
        guarded(update).await
    }
}

fn key(id: &OrderId) -> Key {
    Key::from([("order_id", id.to_string())])
}

/// The keys to read.
pub(crate) fn keys(read_set: &ReadSet) -> Vec<Key> {
    read_set.order.iter().map(key).collect()
}

/// Adds the items of [`keys`] to the snapshot.
pub(crate) fn found(items: Vec<Attributes>, rows: &mut Snapshot) -> Result<(), RetryableError> {
    for item in items {
        rows.order = Some(row::from_item(TABLE, item)?);
    }
    Ok(())
}

/// The action that writes an order.
pub(crate) fn put(table: &str, order: &Order) -> Result<Put, RetryableError> {
    let mut item = row::item(TABLE, order)?;
    item.insert("state".to_owned(), text(order.state().to_string()));
    item.insert(
        "disputed".to_owned(),
        AttributeValue::Bool(order.is_disputed()),
    );
    row::versioned(table, key(&order.order_id), item, order.version)
}
