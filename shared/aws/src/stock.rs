//! The Stock table: key `sku` and `entry`. Beside a SKU's counter (`entry` = `counter`) lie its movements
//! (`entry` = `order#<order id>`). A mapping row has a provider's product or price where the SKU would be
//! (`product#<id>` or `price#<id>`), `entry` = `mapping` and the SKU in `maps_to`.

use crate::failure::misshapen;
use aws_sdk_dynamodb::{
    error::BuildError,
    types::{AttributeValue, Put, Update},
};
use domain::{
    ids::{OrderId, Sku},
    outcome::Setback,
    stock::{Movement, Shelf, Take, Unnamed},
};
use serde::Deserialize;
use std::collections::HashMap;

const TABLE: &str = "Stock";
const COUNTER: &str = "counter";
const MAPPING: &str = "mapping";

/// An item's attributes.
pub(crate) type Attributes = HashMap<String, AttributeValue>;

fn key(sku: &str, entry: &str) -> Attributes {
    HashMap::from([
        ("sku".to_owned(), AttributeValue::S(sku.to_owned())),
        ("entry".to_owned(), AttributeValue::S(entry.to_owned())),
    ])
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

/// The keys to read for some SKUs and one order.
pub(crate) fn shelf_keys(order_id: &OrderId, skus: &[Sku]) -> Vec<Attributes> {
    let entry = movement_entry(order_id);
    skus.iter().flat_map(|sku| [key(sku.as_str(), COUNTER), key(sku.as_str(), &entry)]).collect()
}

/// The keys to read for some products and prices.
pub(crate) fn mapping_keys(wanted: &[Unnamed]) -> Vec<Attributes> {
    wanted.iter().map(|unnamed| key(&unnamed_text(unnamed), MAPPING)).collect()
}

#[derive(Deserialize)]
struct Row {
    sku: String,
    entry: String,
    on_hand: Option<i64>,
    maps_to: Option<Sku>,
}

fn row(item: &Attributes) -> Result<Row, Setback> {
    serde_dynamo::from_item(item.clone()).map_err(|error| misshapen(TABLE, &error))
}

/// Puts together what was read by [`shelf_keys`].
pub(crate) fn shelves(order_id: &OrderId, skus: &[Sku], items: &[Attributes]) -> Result<Vec<Shelf>, Setback> {
    let entry = movement_entry(order_id);
    let mut shelves: Vec<Shelf> =
        skus.iter().map(|sku| Shelf { sku: sku.clone(), on_hand: None, moved: None }).collect();
    for item in items {
        let row = row(item)?;
        let Some(shelf) = shelves.iter_mut().find(|shelf| shelf.sku.as_str() == row.sku) else { continue };
        if row.entry == COUNTER {
            shelf.on_hand = row.on_hand;
        } else if row.entry == entry {
            let movement: Movement =
                serde_dynamo::from_item(item.clone()).map_err(|error| misshapen(TABLE, &error))?;
            shelf.moved = Some(movement);
        }
    }
    Ok(shelves)
}

/// Puts together what was read by [`mapping_keys`].
pub(crate) fn mapping(wanted: &[Unnamed], items: &[Attributes]) -> Result<domain::stock::Mapping, Setback> {
    let mut mapping = domain::stock::Mapping::new();
    for item in items {
        let row = row(item)?;
        let unnamed = wanted.iter().find(|unnamed| unnamed_text(unnamed) == row.sku);
        if let (Some(unnamed), Some(sku)) = (unnamed, row.maps_to) {
            mapping.insert(unnamed.clone(), sku);
        }
    }
    Ok(mapping)
}

/// The two parts of a transaction that move stock: the movement, which is its own once-marker, and the counter.
pub(crate) fn take(table: &str, take: &Take) -> Result<Result<(Put, Update), BuildError>, Setback> {
    let Take { movement, on_hand } = take;
    let mut item: Attributes = serde_dynamo::to_item(movement).map_err(|error| misshapen(TABLE, &error))?;
    item.extend(key(movement.sku.as_str(), &movement_entry(&movement.order_id)));
    let put = Put::builder()
        .table_name(table)
        .set_item(Some(item))
        .condition_expression("attribute_not_exists(entry)")
        .build();
    let number = |value: i64| AttributeValue::N(value.to_string());
    let counter = Update::builder()
        .table_name(table)
        .set_key(Some(key(movement.sku.as_str(), COUNTER)))
        .update_expression("SET on_hand = on_hand - :taken")
        .expression_attribute_values(":taken", number(movement.taken));
    let counter = if movement.short() > 0 {
        // Short by so many is only true of the very count that was read.
        counter.condition_expression("on_hand = :seen").expression_attribute_values(":seen", number(*on_hand))
    } else {
        counter.condition_expression("on_hand >= :taken")
    };
    Ok(put.and_then(|put| counter.build().map(|counter| (put, counter))))
}
