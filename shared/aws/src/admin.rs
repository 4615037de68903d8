//! The operators' ports on the tables Stock and Orders.

use crate::{
    failure::classified,
    guard::guarded,
    row::{self, Attributes, Key, attributes, number, text},
    stock::{COUNTER, TABLE as STOCK, counter_key, mapping_key},
    store::{DYNAMODB, Store},
};
use aws_sdk_dynamodb::types::AttributeValue;
use domain::{
    ports::{
        Changed, OrderPage, StockRow,
        admin::{Counter, CounterPage, MapTo, OrderSearch, StockAdmin},
    },
    sale::{mapping::MappingKey, order::Order, stock::Movement},
    values::{
        ids::{OrderId, Sku},
        outcome::RetryableError,
    },
};
use serde::Deserialize;

const ORDERS: &str = "Orders";
/// The number of rows of a page of the Stock table.
const STOCK_ROWS: i32 = 1000;
/// The number of orders of a page: rows of some kilobytes.
const ORDER_ROWS: i32 = 200;

#[derive(Deserialize)]
struct CounterRow {
    sku: String,
    entry: String,
    on_hand: Option<i64>,
    #[serde(default)]
    untracked: bool,
}

#[derive(Deserialize)]
struct ItemKey {
    order_id: OrderId,
}

/// The place of an item by its key.
fn place(key: &Attributes) -> Option<StockRow> {
    let part = |name: &str| Some(key.get(name)?.as_s().ok()?.clone());
    Some(StockRow {
        sku: part("sku")?,
        entry: part("entry")?,
    })
}

impl StockAdmin for Store {
    async fn counter_page(&self, after: Option<&StockRow>) -> Result<CounterPage, RetryableError> {
        let start = after.map(|at| {
            attributes(Key::from([
                ("sku", at.sku.clone()),
                ("entry", at.entry.clone()),
            ]))
        });
        let scan = self.dynamodb.scan().table_name(&self.tables.stock);
        let found = scan
            .filter_expression("#entry = :counter")
            .expression_attribute_names("#entry", "entry")
            .expression_attribute_values(":counter", text(COUNTER))
            .limit(STOCK_ROWS)
            .set_exclusive_start_key(start)
            .send()
            .await
            .map_err(|error| classified(DYNAMODB, &error))?;
        let mut page = CounterPage {
            next: found.last_evaluated_key.as_ref().and_then(place),
            ..CounterPage::default()
        };
        for item in found.items.unwrap_or_default() {
            let row: CounterRow = row::from_item(STOCK, item)?;
            // A local store may ignore the filter.
            if row.entry == COUNTER
                && let Ok(sku) = Sku::new(&row.sku)
            {
                page.counters.push(Counter {
                    sku,
                    on_hand: row.on_hand,
                    untracked: row.untracked,
                });
            }
        }
        Ok(page)
    }

    async fn movements(&self, sku: &Sku, most: usize) -> Result<Vec<Movement>, RetryableError> {
        let query = self
            .dynamodb
            .query()
            .table_name(&self.tables.stock)
            .key_condition_expression("sku = :sku AND begins_with(#entry, :order)")
            .expression_attribute_names("#entry", "entry")
            .expression_attribute_values(":sku", text(sku.as_str()))
            .expression_attribute_values(":order", text("order#"))
            .consistent_read(true);
        let mut items = query.into_paginator().items().send();
        let mut movements = Vec::new();
        while movements.len() < most
            && let Some(item) = items.next().await
        {
            let item = item.map_err(|error| classified(DYNAMODB, &error))?;
            movements.push(row::from_item(STOCK, item)?);
        }
        Ok(movements)
    }

    async fn set_counter(
        &self,
        sku: &Sku,
        seen: Option<i64>,
        on_hand: i64,
    ) -> Result<Changed, RetryableError> {
        let update = self
            .update(&self.tables.stock, counter_key(sku))
            .update_expression("SET on_hand = :now REMOVE untracked, reported_by")
            .expression_attribute_values(":now", number(on_hand));
        guarded(match seen {
            Some(seen) => update
                .condition_expression("on_hand = :seen")
                .expression_attribute_values(":seen", number(seen)),
            None => update.condition_expression("attribute_not_exists(on_hand)"),
        })
        .await
    }

    async fn put_mapping(&self, of: &MappingKey, to: &MapTo) -> Result<(), RetryableError> {
        let mut item = attributes(mapping_key(of));
        let sku = to.sku.as_ref().map(|sku| text(sku.as_str()));
        item.extend(sku.map(|sku| ("maps_to".to_owned(), sku)));
        if to.untracked {
            item.insert("untracked".to_owned(), AttributeValue::Bool(true));
        }
        if let Some(grant) = &to.grants {
            item.insert("grants".to_owned(), text(grant.name.as_str()));
            item.extend(grant.days.map(|days| ("days".to_owned(), number(days))));
        }
        let put = self.dynamodb.put_item().table_name(&self.tables.stock);
        let put = put.set_item(Some(item)).send().await;
        put.map(drop).map_err(|error| classified(DYNAMODB, &error))
    }
}

impl OrderSearch for Store {
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
            ids.push(row::from_item::<ItemKey>(ORDERS, item)?.order_id);
        }
        Ok(ids)
    }

    async fn order_page(&self, after: Option<&OrderId>) -> Result<OrderPage, RetryableError> {
        let start = after.map(|id| attributes(Key::from([("order_id", id.to_string())])));
        let scan = self.dynamodb.scan().table_name(&self.tables.orders);
        let scan = scan.limit(ORDER_ROWS).set_exclusive_start_key(start);
        let found = scan.send().await;
        let found = found.map_err(|error| classified(DYNAMODB, &error))?;
        let next = found.last_evaluated_key;
        let next = next.map(|key| row::from_item::<ItemKey>(ORDERS, key));
        let orders = found.items.unwrap_or_default().into_iter();
        Ok(OrderPage {
            orders: orders
                .map(|item| row::from_item(ORDERS, item))
                .collect::<Result<_, _>>()?,
            next: next.transpose()?.map(|key| key.order_id),
        })
    }

    async fn correct_address(&self, seen: &Order, email: &str) -> Result<Changed, RetryableError> {
        let key = Key::from([("order_id", seen.order_id.to_string())]);
        let update = self
            .update(&self.tables.orders, key)
            .update_expression("SET customer.email = :email, version = version + :one")
            .condition_expression("version = :seen")
            .expression_attribute_values(":email", text(email))
            .expression_attribute_values(":one", number(1))
            .expression_attribute_values(":seen", number(seen.version));
        guarded(update).await
    }
}
