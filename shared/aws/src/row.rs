//! What rows of all tables have in common: their keys, their items, and the guard of those that count versions.

use crate::failure::{misshapen, unbuildable};
use aws_sdk_dynamodb::types::{AttributeValue, Put};
use domain::outcome::Setback;
use serde::{Serialize, de::DeserializeOwned};
use std::{
    collections::{BTreeMap, HashMap},
    fmt::Display,
};

/// A row's key. All of ours are texts.
pub(crate) type Key = BTreeMap<&'static str, String>;

/// An item's attributes.
pub(crate) type Attributes = HashMap<String, AttributeValue>;

/// A text, as an attribute has it.
pub(crate) fn text(value: impl Into<String>) -> AttributeValue {
    AttributeValue::S(value.into())
}

/// A number, as an attribute has it.
pub(crate) fn number(value: impl Display) -> AttributeValue {
    AttributeValue::N(value.to_string())
}

/// A key, as a request has it.
pub(crate) fn attributes(key: Key) -> Attributes {
    key.into_iter().map(|(name, value)| (name.to_owned(), text(value))).collect()
}

/// The item of a row.
pub(crate) fn item<T: Serialize>(table: &'static str, row: &T) -> Result<Attributes, Setback> {
    serde_dynamo::to_item(row).map_err(|error| misshapen(table, &error))
}

/// A part of a row, as an attribute has it.
pub(crate) fn value<T: Serialize>(table: &'static str, part: &T) -> Result<AttributeValue, Setback> {
    serde_dynamo::to_attribute_value(part).map_err(|error| misshapen(table, &error))
}

/// The row of an item.
pub(crate) fn from_item<T: DeserializeOwned>(table: &'static str, item: Attributes) -> Result<T, Setback> {
    serde_dynamo::from_item(item).map_err(|error| misshapen(table, &error))
}

/// The part of a transaction that writes a row for the first time.
pub(crate) fn first(table: &str, key: Key, item: Attributes) -> Result<Put, Setback> {
    // Any of the key's attributes will do: an item has all of them, or is not there.
    let name = key.first_key_value().map_or("", |(name, _)| *name);
    Put::builder()
        .table_name(table)
        .condition_expression("attribute_not_exists(#key)")
        .expression_attribute_names("#key", name)
        .set_item(Some(whole(key, item)))
        .build()
        .map_err(|error| unbuildable(&error))
}

/// The part of a transaction that writes a row that counts versions: if it still has the version before, or for the
/// first version, if there is no such row.
pub(crate) fn versioned(table: &str, key: Key, item: Attributes, version: u64) -> Result<Put, Setback> {
    if version <= 1 {
        return first(table, key, item);
    }
    Put::builder()
        .table_name(table)
        .condition_expression("version = :before")
        .expression_attribute_values(":before", number(version - 1))
        .set_item(Some(whole(key, item)))
        .build()
        .map_err(|error| unbuildable(&error))
}

fn whole(key: Key, mut item: Attributes) -> Attributes {
    item.extend(attributes(key));
    item
}
