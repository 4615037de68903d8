//! Keys, items and version conditions of all tables.

use crate::failure::unbuildable;
use aws_sdk_dynamodb::types::{AttributeValue, ConditionCheck, Put};
use domain::values::outcome::RetryableError;
use serde::{Serialize, de::DeserializeOwned};
use serde_dynamo::Deserializer;
use serde_path_to_error::Segment;
use std::{
    collections::{BTreeMap, HashMap},
    fmt::Display,
};

/// A row's key. All key attributes are texts.
pub(crate) type Key = BTreeMap<&'static str, String>;

/// An item's attributes.
pub(crate) type Attributes = HashMap<String, AttributeValue>;

/// A text attribute.
pub(crate) fn text(value: impl Into<String>) -> AttributeValue {
    AttributeValue::S(value.into())
}

/// A number attribute.
pub(crate) fn number(value: impl Display) -> AttributeValue {
    AttributeValue::N(value.to_string())
}

/// The attributes of a key.
pub(crate) fn attributes(key: Key) -> Attributes {
    key.into_iter()
        .map(|(name, value)| (name.to_owned(), text(value)))
        .collect()
}

/// The item of a row.
pub(crate) fn item<T: Serialize>(
    table: &'static str,
    row: &T,
) -> Result<Attributes, RetryableError> {
    serde_dynamo::to_item(row).map_err(|_| unwritable(table))
}

/// The attribute of a part of a row.
pub(crate) fn value<T: Serialize>(
    table: &'static str,
    part: &T,
) -> Result<AttributeValue, RetryableError> {
    serde_dynamo::to_attribute_value(part).map_err(|_| unwritable(table))
}

/// The row of an item.
pub(crate) fn from_item<T: DeserializeOwned>(
    table: &'static str,
    item: Attributes,
) -> Result<T, RetryableError> {
    let item = HashMap::from(serde_dynamo::Item::from(item));
    let item = Deserializer::from_attribute_value(serde_dynamo::AttributeValue::M(item));
    serde_path_to_error::deserialize(item).map_err(|error| misshapen(table, &error))
}

/// The error for a stored item that this version cannot read.
///
/// The text names the attribute and never shows its value: serde's own messages quote values.
fn misshapen(
    table: &'static str,
    error: &serde_path_to_error::Error<serde_dynamo::Error>,
) -> RetryableError {
    // Deeper segments may be keys of a map, and so data.
    let attribute = match error.path().iter().next() {
        Some(Segment::Map { key }) => format!("attribute `{key}`"),
        _ => missing(&error.inner().to_string())
            .unwrap_or("some attribute")
            .to_owned(),
    };
    RetryableError::Fault(format!(
        "an item of {table} does not have its shape: {attribute}"
    ))
}

/// The message of serde about a missing field. It names a field of our types, and no data.
fn missing(message: &str) -> Option<&str> {
    message.starts_with("missing field `").then_some(message)
}

/// The error for a row that cannot become an item.
fn unwritable(table: &'static str) -> RetryableError {
    RetryableError::Fault(format!("a row of {table} cannot be written as an item"))
}

/// The action that writes a new row.
pub(crate) fn first(table: &str, key: Key, item: Attributes) -> Result<Put, RetryableError> {
    // One attribute of the key is enough: an item has all of them.
    let name = key.first_key_value().map_or("", |(name, _)| *name);
    Put::builder()
        .table_name(table)
        .condition_expression("attribute_not_exists(#key)")
        .expression_attribute_names("#key", name)
        .set_item(Some(whole(key, item)))
        .build()
        .map_err(|error| unbuildable(&error))
}

/// The action that writes a version of a row, if the table has the version before it. The first version needs a table
/// without the row.
pub(crate) fn versioned(
    table: &str,
    key: Key,
    item: Attributes,
    version: u64,
) -> Result<Put, RetryableError> {
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

/// The check that a table has the version of a row before this one.
pub(crate) fn before(
    table: &str,
    key: Key,
    version: u64,
) -> Result<ConditionCheck, RetryableError> {
    let name = key.first_key_value().map_or("", |(name, _)| *name);
    let check = ConditionCheck::builder().table_name(table);
    let check = if version <= 1 {
        check
            .condition_expression("attribute_not_exists(#key)")
            .expression_attribute_names("#key", name)
    } else {
        check
            .condition_expression("version = :before")
            .expression_attribute_values(":before", number(version - 1))
    };
    let check = check.set_key(Some(attributes(key)));
    check.build().map_err(|error| unbuildable(&error))
}

/// The item with its key.
pub(crate) fn whole(key: Key, mut item: Attributes) -> Attributes {
    item.extend(attributes(key));
    item
}

#[cfg(test)]
mod tests {
    use super::*;
    use domain::{
        receipt::{Receipt, ReceiptKind},
        values::ids::OrderId,
    };
    use jiff::Timestamp;
    use serde::Deserialize;

    const CANARY: &str = "canary.mailbox@example.com";

    /// A row with everything that serde quotes when it fails.
    #[derive(Debug, Serialize, Deserialize)]
    struct Row {
        count: u64,
        when: Timestamp,
        kind: Word,
        inner: BTreeMap<String, Inner>,
    }

    #[derive(Debug, Serialize, Deserialize)]
    struct Inner {
        id: OrderId,
    }

    #[derive(Debug, Serialize, Deserialize)]
    enum Word {
        Known,
    }

    fn row() -> Row {
        let inner = Inner {
            id: OrderId::new("fcs_1").unwrap(),
        };
        let inner = BTreeMap::from([(CANARY.to_owned(), inner)]);
        Row {
            count: 1,
            when: Timestamp::UNIX_EPOCH,
            kind: Word::Known,
            inner,
        }
    }

    /// The texts of the errors when each attribute in turn is missing or has another value.
    fn errors<T: Serialize + DeserializeOwned>(row: &T) -> Vec<(String, String)> {
        let canary = || text(CANARY);
        let map = |value| AttributeValue::M(HashMap::from([(CANARY.to_owned(), value)]));
        let good = item("Rows", row).unwrap();
        let mut errors = Vec::new();
        for name in good.keys() {
            let changed = [
                None,
                Some(canary()),
                Some(AttributeValue::N(CANARY.to_owned())),
                Some(AttributeValue::L(vec![canary()])),
                Some(map(canary())),
                Some(map(AttributeValue::M(HashMap::from([(
                    "id".to_owned(),
                    canary(),
                )])))),
                Some(map(AttributeValue::M(HashMap::new()))),
            ];
            for value in changed {
                let mut bad = good.clone();
                match value {
                    Some(value) => bad.insert(name.clone(), value),
                    None => bad.remove(name),
                };
                let read = from_item::<T>("Rows", bad);
                errors.extend(read.err().map(|error| (name.clone(), error.to_string())));
            }
        }
        errors
    }

    #[test]
    fn an_unreadable_item_names_its_attribute_and_shows_no_value() {
        let errors = errors(&row());
        assert!(errors.len() > 20, "{errors:?}");
        for (name, error) in errors {
            assert!(error.contains(&format!("`{name}`")), "{name}: {error}");
            assert!(!error.contains("canary"), "{name}: {error}");
        }
    }

    /// Its flattened parts have no path.
    #[test]
    fn an_unreadable_receipt_shows_no_value() {
        let order_id = OrderId::new("fcs_1").unwrap();
        let receipt =
            Receipt::new(&order_id, ReceiptKind::Order, None, Timestamp::UNIX_EPOCH).unwrap();
        let errors = errors(&receipt);
        assert!(errors.len() > 20, "{errors:?}");
        assert!(
            errors.iter().all(|(_, error)| !error.contains("canary")),
            "{errors:?}"
        );
    }
}
