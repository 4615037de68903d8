//! The Stock table, with the key `sku` and `entry`.
//!
//! A SKU has a counter (`entry` = `counter`) and movements (`entry` = `order#<order id>`). The changes of its counter by
//! hand (`entry` = `count#<time>`) alone have `expires_at`, the TTL. A mapping row has a
//! provider's product or price in `sku` (`product#<id>` or `price#<id>`) and `mapping` in `entry`. The merchant writes
//! counters (`on_hand`, `low_at`, or `untracked`) and mapping rows (`maps_to`, `untracked`, `grants`, `days`). `reported_by` names
//! the event whose alarm reported the row as uncounted; a row that the merchant puts again has no mark.

mod admin;
mod levels;

use crate::{
    failure::unbuildable,
    row::{self, Attributes, Key, attributes, number, text},
};
use aws_sdk_dynamodb::types::{AttributeValue, Put, Update};
use domain::{
    fulfillment::read_set::{ReadSet, Snapshot},
    sale::{
        mapping::{Grant, MappingKey, MappingRow},
        stock::{Deduction, Movement, Restock, StockLevel, Uncounted},
    },
    values::{
        ids::{EventId, OrderId, ProductId, Sku},
        outcome::RetryableError,
    },
};
use serde::Deserialize;
use serde_json::Value;

pub(crate) const TABLE: &str = "Stock";
const COUNTER: &str = "counter";
const MAPPING: &str = "mapping";

fn key(sku: impl Into<String>, entry: impl Into<String>) -> Key {
    Key::from([("sku", sku.into()), ("entry", entry.into())])
}

pub(crate) fn counter_key(sku: &Sku) -> Key {
    key(sku.as_str(), COUNTER)
}

pub(crate) fn movement_key(sku: &Sku, order_id: &OrderId) -> Key {
    key(sku.as_str(), movement_entry(order_id))
}

fn movement_entry(order_id: &OrderId) -> String {
    format!("order#{order_id}")
}

fn mapping_text(of: &MappingKey) -> String {
    match of {
        MappingKey::Product(id) => format!("product#{id}"),
        MappingKey::Price(id) => format!("price#{id}"),
    }
}

/// The key of a mapping row.
fn mapping_key(of: &MappingKey) -> Key {
    key(mapping_text(of), MAPPING)
}

/// The keys to read.
pub(crate) fn keys(read_set: &ReadSet) -> Vec<Key> {
    let mapping = read_set.mapping.iter().map(mapping_key);
    let stock_levels = read_set.stock_levels.iter().flat_map(|(order_id, skus)| {
        skus.iter()
            .flat_map(move |sku| [counter_key(sku), movement_key(sku, order_id)])
    });
    mapping.chain(stock_levels).collect()
}

/// A counter.
#[derive(Deserialize)]
pub(crate) struct Counter {
    pub(crate) sku: Sku,
    pub(crate) on_hand: Option<i64>,
}

#[derive(Deserialize)]
struct Row {
    sku: String,
    entry: String,
    on_hand: Option<i64>,
    #[serde(default)]
    maps_to: Value,
    #[serde(default)]
    untracked: Value,
    #[serde(default)]
    grants: Value,
    #[serde(default)]
    days: Value,
    #[serde(default)]
    reported_by: Value,
}

impl Row {
    /// The mapping row as the merchant wrote it. One attribute that is not understood must not stop the sale.
    fn mapping(&self) -> MappingRow {
        let maps_to = read(&self.maps_to, |text| Sku::new(text.as_str()?).ok());
        let untracked = read(&self.untracked, Value::as_bool);
        let name = read(&self.grants, |text| ProductId::new(text.as_str()?).ok());
        let days = read(&self.days, |days| days.as_u64()?.try_into().ok());
        let is_not_understood =
            maps_to.is_err() || untracked.is_err() || name.is_err() || days.is_err();
        let (name, days) = (name.ok().flatten(), days.ok().flatten());
        let grants = name.map(|name| Grant { name, days });
        MappingRow {
            maps_to: maps_to.ok().flatten(),
            untracked: untracked.ok().flatten().unwrap_or_default(),
            grants: grants.filter(|_| !is_not_understood),
            is_not_understood,
            is_reported: !self.reported_by.is_null(),
        }
    }
}

/// An attribute that a person wrote: absent, read, or not understood.
fn read<T>(attribute: &Value, read: impl Fn(&Value) -> Option<T>) -> Result<Option<T>, ()> {
    match attribute {
        Value::Null => Ok(None),
        value => read(value).map(Some).ok_or(()),
    }
}

/// Adds the items of [`keys`] to the snapshot: a stock level for each SKU of the read set, found or not.
pub(crate) fn found(
    read_set: &ReadSet,
    items: Vec<Attributes>,
    rows: &mut Snapshot,
) -> Result<(), RetryableError> {
    let skus = read_set.stock_levels.iter().flat_map(|(_, skus)| skus);
    rows.stock_levels = skus.map(without_rows).collect();
    let movement = read_set
        .stock_levels
        .as_ref()
        .map(|(order_id, _)| movement_entry(order_id));
    for item in items {
        let row: Row = row::from_item(TABLE, item.clone())?;
        if row.entry == MAPPING {
            let mut asked = read_set.mapping.iter();
            let of = asked.find(|of| mapping_text(of) == row.sku);
            rows.mapping.extend(of.cloned().zip(Some(row.mapping())));
            continue;
        }
        let mut levels = rows.stock_levels.iter_mut();
        let Some(stock_level) = levels.find(|level| level.sku.as_str() == row.sku) else {
            continue;
        };
        if row.entry == COUNTER {
            stock_level.on_hand = row.on_hand;
            stock_level.untracked = row.untracked == Value::Bool(true);
            stock_level.is_reported = !row.reported_by.is_null();
        } else if Some(row.entry) == movement {
            let moved: Movement = row::from_item(TABLE, item)?;
            stock_level.moved = Some(moved);
        }
    }
    Ok(())
}

/// The stock level of a SKU without rows.
fn without_rows(sku: &Sku) -> StockLevel {
    StockLevel {
        sku: sku.clone(),
        on_hand: None,
        untracked: false,
        is_reported: false,
        moved: None,
    }
}

/// The condition that a movement has the numbers that were read.
const AS_READ: &str = "deducted = :deducted AND restocked = :restocked";

/// The two actions of a deduction: put the movement, which deduplicates it, and reduce the counter. A movement that
/// replaces a reserved one changes the counter by the difference.
pub(crate) fn take(table: &str, take: &Deduction) -> Result<(Put, Update), RetryableError> {
    Ok((put_movement(table, take)?, reduce_counter(table, take)?))
}

/// The action that writes the movement, if the order has none or still has the one that was read.
fn put_movement(table: &str, take: &Deduction) -> Result<Put, RetryableError> {
    let Deduction { movement, seen, .. } = take;
    let key = movement_key(&movement.sku, &movement.order_id);
    let item = row::item(TABLE, movement)?;
    let Some(seen) = seen else {
        return row::first(table, key, item);
    };
    let put = Put::builder()
        .table_name(table)
        .set_item(Some(row::whole(key, item)))
        .expression_attribute_names("#reserved", "reserved")
        .expression_attribute_values(":deducted", number(seen.deducted))
        .expression_attribute_values(":restocked", number(seen.restocked));
    let put = if seen.is_reserved {
        put.condition_expression(format!("#reserved = :yes AND {AS_READ}"))
            .expression_attribute_values(":yes", AttributeValue::Bool(true))
    } else {
        put.condition_expression(format!("attribute_not_exists(#reserved) AND {AS_READ}"))
    };
    put.build().map_err(|error| unbuildable(&error))
}

/// The action that takes the units from the counter.
fn reduce_counter(table: &str, take: &Deduction) -> Result<Update, RetryableError> {
    let counter = Update::builder()
        .table_name(table)
        .set_key(Some(attributes(counter_key(&take.movement.sku))))
        .update_expression("SET on_hand = on_hand - :taken")
        .expression_attribute_values(":taken", number(take.taken()));
    let counter = if take.movement.short() > 0 {
        // The shortfall is right only for the count that was read.
        counter
            .condition_expression("on_hand = :seen")
            .expression_attribute_values(":seen", number(take.on_hand))
    } else {
        counter.condition_expression("on_hand >= :taken")
    };
    counter.build().map_err(|error| unbuildable(&error))
}

/// The action that marks what an alarm reports, if nothing has marked it before and no counter came meanwhile.
pub(crate) fn report(
    table: &str,
    uncounted: &Uncounted,
    event_id: &EventId,
) -> Result<Update, RetryableError> {
    let key = match uncounted {
        Uncounted::Sku(sku) => counter_key(sku),
        Uncounted::Unmapped(of) => mapping_key(of),
    };
    Update::builder()
        .table_name(table)
        .set_key(Some(attributes(key)))
        .update_expression("SET reported_by = :event")
        .condition_expression("attribute_not_exists(reported_by) AND attribute_not_exists(on_hand)")
        .expression_attribute_values(":event", text(event_id.as_str()))
        .build()
        .map_err(|error| unbuildable(&error))
}

/// The two actions of a restock: update the movement, which counts the restocked pieces, and increase the counter.
pub(crate) fn put_back(table: &str, back: &Restock) -> Result<(Update, Update), RetryableError> {
    let Restock {
        sku,
        order_id,
        seen,
        pieces,
        at,
    } = back;
    let movement = Update::builder()
        .table_name(table)
        .set_key(Some(attributes(movement_key(sku, order_id))))
        .update_expression("SET #restocked = :back, restocked_at = :at, restocked_earlier = :seen")
        .condition_expression("deducted >= :back AND #restocked = :seen")
        .expression_attribute_names("#restocked", "restocked")
        .expression_attribute_values(":seen", number(seen))
        .expression_attribute_values(":back", number(seen.saturating_add(*pieces)))
        .expression_attribute_values(":at", number(at.as_second()))
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
