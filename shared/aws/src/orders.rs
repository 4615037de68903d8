//! The Orders table, with the key `order_id`, the sparse indexes `client_reference_id` and `customer_id`, and the index
//! `placed_day`.
//!
//! An item also has the derived attributes `state`, `disputed` and `dispute_lost`, for other readers of the table, and the
//! keys of the last two indexes. This code does not read them in items of the table.

use crate::{
    guard::{guarded, put_if},
    row::{self, Attributes, Key, number, text},
    store::{Store, page, rows},
};
use aws_sdk_dynamodb::types::{AttributeValue, ConditionCheck, Put};
use domain::{
    fulfillment::read_set::{ReadSet, Snapshot},
    ports::{
        self, Changed, OrderPage,
        admin::{OrderPlace, PlacedOn, PlacedPage},
    },
    sale::{delivery_failure::DeliveryFailure, order::Order},
    values::{
        ids::{CustomerId, OrderId, ReceiptId},
        note::Noted,
        outcome::RetryableError,
    },
};
use jiff::Timestamp;
use serde::Deserialize;
use std::cmp::Reverse;

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
/// The index by day, and its key.
const PLACED_DAY: &str = "placed_day";
/// The sort key of the index by day.
const PLACED_AT: &str = "placed_at";

/// An item's key.
#[derive(Deserialize)]
struct ItemKey {
    order_id: OrderId,
}

impl Store {
    /// The orders with these ids, at most a page of them.
    async fn orders_by_id(
        &self,
        ids: impl Iterator<Item = &OrderId>,
    ) -> Result<Vec<Order>, RetryableError> {
        let orders = self.items(&self.tables.orders, ids.map(key)).await?;
        let orders = orders.into_iter().map(|item| row::from_item(TABLE, item));
        orders.collect()
    }
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
        let (keys, next) = page::<ItemKey>(TABLE, query).await?;
        let next = next.map(|key| row::from_item::<ItemKey>(TABLE, key));
        Ok(OrderPage {
            orders: self
                .orders_by_id(keys.iter().map(|key| &key.order_id))
                .await?,
            next: next.transpose()?.map(|key| key.order_id),
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

/// An entry of the index by day.
#[derive(Deserialize)]
struct PlacedEntry {
    order_id: OrderId,
    #[serde(with = "jiff::fmt::serde::timestamp::second::required")]
    placed_at: Timestamp,
}

/// The first whole second that is not before this time. Rows have whole seconds.
fn whole_second(at: Timestamp) -> i64 {
    at.as_second() + i64::from(at.subsec_nanosecond() > 0)
}

/// The key of an entry of the index by day.
fn placed_key(of: &PlacedOn, place: &OrderPlace) -> Attributes {
    let mut start = row::attributes(key(&place.order_id));
    start.insert(PLACED_DAY.to_owned(), text(of.day.to_string()));
    let placed_at = number(place.placed_at.as_second());
    start.insert(PLACED_AT.to_owned(), placed_at);
    start
}

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
        let found: Vec<ItemKey> = rows(TABLE, query, most).await?;
        Ok(found.into_iter().map(|key| key.order_id).collect())
    }

    async fn placed_orders(&self, of: &PlacedOn) -> Result<PlacedPage, RetryableError> {
        let (since, before) = (whole_second(of.since), whole_second(of.before));
        if since >= before {
            return Ok(PlacedPage {
                orders: Vec::new(),
                next: None,
            });
        }
        let query = self
            .dynamodb
            .query()
            .table_name(&self.tables.orders)
            .index_name(PLACED_DAY)
            .key_condition_expression("placed_day = :day AND placed_at BETWEEN :since AND :last")
            .expression_attribute_values(":day", text(of.day.to_string()))
            .expression_attribute_values(":since", number(since))
            .expression_attribute_values(":last", number(before - 1))
            .scan_index_forward(false)
            .limit(ROWS_A_PAGE)
            .set_exclusive_start_key(of.after.as_ref().map(|place| placed_key(of, place)));
        let (entries, next) = page::<PlacedEntry>(TABLE, query).await?;
        let mut orders = self
            .orders_by_id(entries.iter().map(|entry| &entry.order_id))
            .await?;
        orders.sort_by_key(|order| Reverse((order.placed_at, order.order_id.clone())));
        let next = next.map(|key| row::from_item::<PlacedEntry>(TABLE, key));
        Ok(PlacedPage {
            orders,
            next: next.transpose()?.map(|entry| OrderPlace {
                order_id: entry.order_id,
                placed_at: entry.placed_at,
            }),
        })
    }

    async fn correct_address(
        &self,
        seen: &Order,
        email: &str,
        note: &Noted,
    ) -> Result<Changed, RetryableError> {
        let notes = row::value(TABLE, &seen.notes.with(note.clone()))?;
        let update = self
            .update(&self.tables.orders, key(&seen.order_id))
            .update_expression(
                "SET customer.email = :email, notes = :notes, version = version + :one",
            )
            .condition_expression("version = :seen")
            .expression_attribute_values(":email", text(email))
            .expression_attribute_values(":notes", notes)
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
    let day = order.placed_day().to_string();
    item.insert(PLACED_DAY.to_owned(), text(day));
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
