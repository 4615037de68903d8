//! The Links table: key `link`. What leads from a payment to its order lies under `payment#<payment intent>`, the paid
//! orders of one of the merchant's references under `reference#<reference>`.

use crate::row::{self, Attributes, Key};
use aws_sdk_dynamodb::types::Put;
use domain::{
    ids::PaymentIntentId,
    ledger::{Reference, Rows, Wanted},
    outcome::Setback,
    payment::Link,
};
use serde::Deserialize;

const TABLE: &str = "Links";
const PAYMENT: &str = "payment#";
const REFERENCE: &str = "reference#";

fn payment_key(id: &PaymentIntentId) -> Key {
    Key::from([("link", format!("{PAYMENT}{id}"))])
}

fn reference_key(reference: &str) -> Key {
    Key::from([("link", format!("{REFERENCE}{reference}"))])
}

/// The keys to read.
pub(crate) fn keys(wanted: &Wanted) -> Vec<Key> {
    let references = wanted.reference.iter().map(|reference| reference_key(reference));
    wanted.links.iter().map(payment_key).chain(references).collect()
}

/// What tells the two kinds of rows apart.
#[derive(Deserialize)]
struct Kind {
    link: String,
}

/// Puts what was read by [`keys`] among the rows.
pub(crate) fn found(items: Vec<Attributes>, rows: &mut Rows) -> Result<(), Setback> {
    for item in items {
        let Kind { link } = row::from_item(TABLE, item.clone())?;
        if link.starts_with(REFERENCE) {
            rows.reference = Some(row::from_item(TABLE, item)?);
        } else {
            let link: Link = row::from_item(TABLE, item)?;
            rows.links.insert(link.payment_intent_id.clone(), link);
        }
    }
    Ok(())
}

/// The part of a transaction that writes a payment's link.
pub(crate) fn put(table: &str, link: &Link) -> Result<Put, Setback> {
    row::versioned(table, payment_key(&link.payment_intent_id), row::item(TABLE, link)?, link.version)
}

/// The part of a transaction that writes a reference.
pub(crate) fn put_reference(table: &str, reference: &Reference) -> Result<Put, Setback> {
    let key = reference_key(&reference.reference);
    row::versioned(table, key, row::item(TABLE, reference)?, reference.version)
}
