//! The Stock table, with the key `sku` and `entry`.
//!
//! A SKU has a counter (`entry` = `counter`) and movements (`entry` = `order#<order id>`). A mapping row has a
//! provider's product or price in `sku` (`product#<id>` or `price#<id>`), `mapping` in `entry` and the SKU in `maps_to`.

use crate::{
    failure::unbuildable,
    row::{self, Attributes, Key, attributes, number},
};
use aws_sdk_dynamodb::types::{Put, Update};
use domain::{
    fulfillment::read_set::{ReadSet, Snapshot},
    sale::stock::{Deduction, Movement, Restock, StockLevel, Unnamed},
    values::{
        ids::{OrderId, Sku},
        outcome::RetryableError,
    },
};
use serde::Deserialize;

const TABLE: &str = "Stock";
const COUNTER: &str = "counter";
const MAPPING: &str = "mapping";

fn key(sku: impl Into<String>, entry: impl Into<String>) -> Key {
    Key::from([("sku", sku.into()), ("entry", entry.into())])
}

fn counter_key(sku: &Sku) -> Key {
    key(sku.as_str(), COUNTER)
}

fn movement_key(sku: &Sku, order_id: &OrderId) -> Key {
    key(sku.as_str(), movement_entry(order_id))
}

fn movement_entry(order_id: &OrderId) -> String {
    format!("order#{order_id}")
}

fn unnamed_text(unnamed: &Unnamed) -> String {
    match unnamed {
        Unnamed::Product(id) => format!("product#{id}"),
        Unnamed::Price(id) => format!("price#{id}"),
    }
}

/// The keys to read.
pub(crate) fn keys(read_set: &ReadSet) -> Vec<Key> {
    let mapping = read_set
        .mapping
        .iter()
        .map(|unnamed| key(unnamed_text(unnamed), MAPPING));
    let stock_levels = read_set.stock_levels.iter().flat_map(|(order_id, skus)| {
        skus.iter()
            .flat_map(move |sku| [counter_key(sku), movement_key(sku, order_id)])
    });
    mapping.chain(stock_levels).collect()
}

#[derive(Deserialize)]
struct Row {
    sku: String,
    entry: String,
    on_hand: Option<i64>,
    maps_to: Option<Sku>,
}

/// Adds the items of [`keys`] to the snapshot: a stock level for each SKU of the read set, found or not.
pub(crate) fn found(
    read_set: &ReadSet,
    items: Vec<Attributes>,
    rows: &mut Snapshot,
) -> Result<(), RetryableError> {
    let skus = read_set.stock_levels.iter().flat_map(|(_, skus)| skus);
    rows.stock_levels = skus
        .map(|sku| StockLevel {
            sku: sku.clone(),
            on_hand: None,
            moved: None,
        })
        .collect();
    let movement = read_set
        .stock_levels
        .as_ref()
        .map(|(order_id, _)| movement_entry(order_id));
    for item in items {
        let row: Row = row::from_item(TABLE, item.clone())?;
        if row.entry == MAPPING {
            let mut asked = read_set.mapping.iter();
            let unnamed = asked.find(|unnamed| unnamed_text(unnamed) == row.sku);
            rows.mapping.extend(unnamed.cloned().zip(row.maps_to));
            continue;
        }
        let mut levels = rows.stock_levels.iter_mut();
        let Some(stock_level) = levels.find(|level| level.sku.as_str() == row.sku) else {
            continue;
        };
        if row.entry == COUNTER {
            stock_level.on_hand = row.on_hand;
        } else if Some(row.entry) == movement {
            let moved: Movement = row::from_item(TABLE, item)?;
            stock_level.moved = Some(moved);
        }
    }
    Ok(())
}

/// The two actions of a deduction: put the movement, which deduplicates it, and reduce the counter.
pub(crate) fn take(table: &str, take: &Deduction) -> Result<(Put, Update), RetryableError> {
    let Deduction { movement, on_hand } = take;
    let key = movement_key(&movement.sku, &movement.order_id);
    let put = row::first(table, key, row::item(TABLE, movement)?)?;
    let counter = Update::builder()
        .table_name(table)
        .set_key(Some(attributes(counter_key(&movement.sku))))
        .update_expression("SET on_hand = on_hand - :taken")
        .expression_attribute_values(":taken", number(movement.deducted));
    let counter = if movement.short() > 0 {
        // The shortfall is right only for the count that was read.
        counter
            .condition_expression("on_hand = :seen")
            .expression_attribute_values(":seen", number(on_hand))
    } else {
        counter.condition_expression("on_hand >= :taken")
    };
    Ok((put, counter.build().map_err(|error| unbuildable(&error))?))
}

/// The two actions of a restock: update the movement, which counts the restocked pieces, and increase the counter.
pub(crate) fn put_back(table: &str, back: &Restock) -> Result<(Update, Update), RetryableError> {
    let Restock {
        sku,
        order_id,
        seen,
        pieces,
    } = back;
    let movement = Update::builder()
        .table_name(table)
        .set_key(Some(attributes(movement_key(sku, order_id))))
        .update_expression("SET #restocked = :back")
        .condition_expression("deducted >= :back AND #restocked = :seen")
        .expression_attribute_names("#restocked", "restocked")
        .expression_attribute_values(":seen", number(seen))
        .expression_attribute_values(":back", number(seen.saturating_add(*pieces)))
        .build();
    let counter = Update::builder()
        .table_name(table)
        .set_key(Some(attributes(counter_key(sku))))
        .update_expression("SET on_hand = on_hand + :pieces")
        .condition_expression("attribute_exists(on_hand)")
        .expression_attribute_values(":pieces", number(pieces))
        .build();
    let both = movement.and_then(|movement| counter.map(|counter| (movement, counter)));
    both.map_err(|error| unbuildable(&error))
}
