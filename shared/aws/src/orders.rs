//! The Orders table, with the key `order_id` and the sparse indexes `client_reference_id` and `customer_id`.
//!
//! An item also has the derived attributes `state`, `disputed` and `dispute_lost`, for other readers of the table, and the key of
//! the second index. This code does not read them.

use crate::{
    failure::classified,
    guard::{guarded, put_if},
    row::{self, Attributes, Key, number, text},
    store::{DYNAMODB, Store},
};
use aws_sdk_dynamodb::types::{AttributeValue, ConditionCheck, Put};
use domain::{
    fulfillment::read_set::{ReadSet, Snapshot},
    ports::{self, Changed, OrderPage},
    sale::{delivery_failure::DeliveryFailure, order::Order},
    values::{
        ids::{CustomerId, OrderId, ReceiptId},
        outcome::RetryableError,
    },
};
use serde::Deserialize;

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

/// The number of orders of a page: as many as one call can get by key.
const ROWS_A_PAGE: i32 = 100;
/// The index by customer, and its key.
const CUSTOMER_ID: &str = "customer_id";

/// An item's key.
#[derive(Deserialize)]
struct ItemKey {
    order_id: OrderId,
}

impl ports::OrderAdmin for Store {
    async fn orders_of(
        &self,
        id: &CustomerId,
        after: Option<&OrderId>,
    ) -> Result<OrderPage, RetryableError> {
        let start = after.map(|after| {
            row::attributes(Key::from([
                (CUSTOMER_ID, id.to_string()),
                ("order_id", after.to_string()),
            ]))
        });
        let query = self
            .dynamodb
            .query()
            .table_name(&self.tables.orders)
            .index_name(CUSTOMER_ID)
            .key_condition_expression("customer_id = :id")
            .expression_attribute_values(":id", text(id.as_str()))
            .limit(ROWS_A_PAGE)
            .set_exclusive_start_key(start);
        let found = query.send().await;
        let found = found.map_err(|error| classified(DYNAMODB, &error))?;
        let listed = |item| row::from_item::<ItemKey>(TABLE, item).map(|listed| listed.order_id);
        let items = found.items.unwrap_or_default().into_iter();
        let ids: Vec<OrderId> = items.map(listed).collect::<Result<_, _>>()?;
        let keys = ids.iter().map(|id| (self.tables.orders.as_str(), key(id)));
        let mut orders = self.batch_get(keys.collect()).await?;
        let orders = orders.remove(&self.tables.orders).unwrap_or_default();
        let orders = orders.into_iter().map(|item| row::from_item(TABLE, item));
        Ok(OrderPage {
            orders: orders.collect::<Result<_, _>>()?,
            next: found.last_evaluated_key.map(listed).transpose()?,
        })
    }

    async fn erase_order(&self, seen: &Order) -> Result<Changed, RetryableError> {
        let erased = Order {
            version: seen.version + 1,
            ..seen.erased()
        };
        put_if(&self.dynamodb, put(&self.tables.orders, &erased)?).await
    }
}

/// The number of orders of a page of the whole table: rows of some kilobytes.
const SCANNED_ROWS: i32 = 200;

impl ports::admin::OrderSearch for Store {
    async fn orders_under(
        &self,
        reference: &str,
        most: usize,
    ) -> Result<Vec<OrderId>, RetryableError> {
        let query = self
            .dynamodb
            .query()
            .table_name(&self.tables.orders)
            .index_name("client_reference_id")
            .key_condition_expression("client_reference_id = :reference")
            .expression_attribute_values(":reference", text(reference));
        let mut items = query.into_paginator().items().send();
        let mut ids = Vec::new();
        while ids.len() < most
            && let Some(item) = items.next().await
        {
            let item = item.map_err(|error| classified(DYNAMODB, &error))?;
            ids.push(row::from_item::<ItemKey>(TABLE, item)?.order_id);
        }
        Ok(ids)
    }

    async fn order_page(&self, after: Option<&OrderId>) -> Result<OrderPage, RetryableError> {
        let start = after.map(|id| row::attributes(key(id)));
        let scan = self.dynamodb.scan().table_name(&self.tables.orders);
        let scan = scan.limit(SCANNED_ROWS).set_exclusive_start_key(start);
        let found = scan.send().await;
        let found = found.map_err(|error| classified(DYNAMODB, &error))?;
        let next = found.last_evaluated_key;
        let next = next.map(|key| row::from_item::<ItemKey>(TABLE, key));
        let orders = found.items.unwrap_or_default().into_iter();
        Ok(OrderPage {
            orders: orders
                .map(|item| row::from_item(TABLE, item))
                .collect::<Result<_, _>>()?,
            next: next.transpose()?.map(|key| key.order_id),
        })
    }

    async fn correct_address(&self, seen: &Order, email: &str) -> Result<Changed, RetryableError> {
        let update = self
            .update(&self.tables.orders, key(&seen.order_id))
            .update_expression("SET customer.email = :email, version = version + :one")
            .condition_expression("version = :seen")
            .expression_attribute_values(":email", text(email))
            .expression_attribute_values(":one", number(1))
            .expression_attribute_values(":seen", number(seen.version));
        guarded(update).await
    }
}

fn key(id: &OrderId) -> Key {
    Key::from([("order_id", id.to_string())])
}

/// The keys to read.
pub(crate) fn keys(read_set: &ReadSet) -> Vec<Key> {
    let both = read_set.order.iter().chain(&read_set.first_order);
    both.map(key).collect()
}

/// Adds the items of [`keys`] to the snapshot.
pub(crate) fn found(
    read_set: &ReadSet,
    items: Vec<Attributes>,
    rows: &mut Snapshot,
) -> Result<(), RetryableError> {
    for item in items {
        let order: Order = row::from_item(TABLE, item)?;
        if Some(&order.order_id) == read_set.first_order.as_ref() {
            rows.first_order = Some(order.clone());
        }
        if Some(&order.order_id) == read_set.order.as_ref() {
            rows.order = Some(order);
        }
    }
    Ok(())
}

/// The check that the order is as it was when its next version was decided.
pub(crate) fn unchanged(table: &str, next: &Order) -> Result<ConditionCheck, RetryableError> {
    row::before(table, key(&next.order_id), next.version)
}

/// The action that writes an order.
pub(crate) fn put(table: &str, order: &Order) -> Result<Put, RetryableError> {
    let mut item = row::item(TABLE, order)?;
    item.insert("state".to_owned(), text(order.state().to_string()));
    if let Some(id) = &order.customer.customer_id {
        item.insert(CUSTOMER_ID.to_owned(), text(id.as_str()));
    }
    item.insert(
        "disputed".to_owned(),
        AttributeValue::Bool(order.is_disputed()),
    );
    item.insert(
        "dispute_lost".to_owned(),
        AttributeValue::Bool(order.has_lost_dispute()),
    );
    row::versioned(table, key(&order.order_id), item, order.version)
}
