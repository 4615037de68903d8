//! Translates Flint's resources to the core's values.

mod line;
mod money;
pub(crate) mod payment;
pub(crate) mod refund;
pub(crate) mod resource;
pub(crate) mod sale;
pub(crate) mod shipment;
pub(crate) mod subscription;

use reading::{Field, NotUnderstood, filled, stated, word};

/// A word that must be there, of an open set.
fn needed_word(field: &Field<String>, place: &'static str) -> Result<String, NotUnderstood> {
    reading::needed_text(field, place).map(word)
}

/// A word of an open set, if stated.
fn stated_word(
    field: &Field<String>,
    place: &'static str,
) -> Result<Option<String>, NotUnderstood> {
    Ok(filled(field, place)?.map(word))
}

#[cfg(test)]
mod tests;
