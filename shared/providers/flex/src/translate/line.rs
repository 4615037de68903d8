//! One line of a checkout: description, amounts and SKU.

use super::{NotUnderstood, amount, clipped, details, filled, id, or_none, required, sum};
use crate::wire::{LineItem as WireLine, Price, Product, Reference};
use domain::{
    sale::{
        checkout::{Eligibility, LineItem, Totals},
        details::MetadataLimit,
    },
    values::ids::{LineItemId, PriceId, ProductId, Sku},
};
use serde_json::Value;

pub(super) fn line_item(line: &WireLine) -> Result<LineItem, NotUnderstood> {
    let price_id = line.price.as_ref().and_then(Reference::id);
    let price = line.price.as_ref().and_then(Reference::object);
    let product = price.and_then(|price| price.product.as_ref());
    let product_id = product.and_then(Reference::id);
    let product = product.and_then(Reference::object);
    let eligibility = line
        .eligibility
        .as_deref()
        .or(product.and_then(|product| product.hsa_fsa_eligibility.as_deref()));
    Ok(LineItem {
        line_item_id: id(
            line.line_item_id.as_deref(),
            LineItemId::new,
            "line_items[].line_item_id",
        )?,
        description: description(line, product),
        quantity: line
            .quantity
            .as_u64()
            .and_then(|quantity| quantity.try_into().ok())
            .ok_or(NotUnderstood::Member("line_items[].quantity"))?,
        unit_amount: price.map_or(Ok(None), |price| {
            amount(&price.unit_amount, "line_items[].price.unit_amount")
        })?,
        amounts: line_totals(line)?,
        eligibility: filled(eligibility).map(|word| Eligibility(clipped(word))),
        product_id: filled(product_id).and_then(|text| ProductId::new(text).ok()),
        price_id: filled(price_id).and_then(|text| PriceId::new(text).ok()),
        sku: sku(price, product),
        metadata: details::metadata(
            MetadataLimit::LINE,
            [
                product.map(|product| &product.metadata),
                price.map(|price| &price.metadata),
            ],
        ),
    })
}

fn line_totals(line: &WireLine) -> Result<Totals, NotUnderstood> {
    let fee = amount(&line.amount_fee, "line_items[].amount_fee")?;
    Ok(Totals {
        subtotal: required(&line.amount_subtotal, "line_items[].amount_subtotal")?,
        discount: or_none(&line.amount_discount, "line_items[].amount_discount")?,
        tax: or_none(&line.amount_tax, "line_items[].amount_tax")?,
        shipping: or_none(&line.amount_shipping, "line_items[].amount_shipping")?,
        fees: fee.map_or_else(|| sum(line.fees.as_deref(), "line_items[].fees"), Ok)?,
        total: required(&line.amount_total, "line_items[].amount_total")?,
    })
}

/// The description for receipts. The merchant's receipt text comes first, then the product's name.
/// Substantiation requires the product that was sold, and a line's own text may be that of a price
/// ("Monthly").
fn description(line: &WireLine, product: Option<&Product>) -> String {
    let of_product = product
        .into_iter()
        .flat_map(|product| [&product.receipt_description, &product.name]);
    let mut texts = of_product.chain([&line.description]);
    clipped(
        texts
            .find_map(|text| filled(text.as_deref()))
            .unwrap_or("Item"),
    )
}

/// The merchant's SKU of the product: its reference, `sku` in the metadata, or a code on the box.
///
/// The first of them that is filled in decides. If it is not a valid SKU, no other is tried: the
/// line is then mapped by its product or price, or recorded as unmapped.
fn sku(price: Option<&Price>, product: Option<&Product>) -> Option<Sku> {
    let in_metadata = |metadata: &Value| metadata.get("sku").and_then(text);
    let named = product.and_then(|product| {
        text(&product.client_reference_id).or_else(|| in_metadata(&product.metadata))
    });
    let named = named.or_else(|| in_metadata(&price?.metadata));
    let named = named.or_else(|| {
        product.and_then(|product| text(&product.upc_code).or_else(|| text(&product.gtin)))
    });
    Sku::new(named?).ok()
}

/// A text, or a number without quotes, as codes are sometimes written.
fn text(value: &Value) -> Option<String> {
    match value {
        Value::String(text) => filled(Some(text)).map(str::to_owned),
        Value::Number(number) if number.is_u64() => Some(number.to_string()),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::Array(_) | Value::Object(_) => {
            None
        }
    }
}
