//! One line of an order: description, amounts and SKU.

use super::money::Amounts;
use crate::wire;
use domain::{
    sale::{
        details::MetadataLimit,
        statement::{LineItem, Totals},
    },
    values::ids::{LineItemId, PriceId, ProductId, Sku},
};
use reading::{Code, Field, Identified, Kind, clipped, code, each, member, named, own_id, text};
use rest::NotUnderstood;

/// All lines of an order. An order needs each of them, so one that is not understood fails all.
pub(super) fn line_items(
    order: &wire::Order,
    amounts: Amounts,
) -> Result<Vec<LineItem>, NotUnderstood> {
    let mut all: Vec<LineItem> = Vec::new();
    order.line_items.required("line_items")?;
    for line in each(&order.line_items, "line_items")? {
        let line = line_item(line, amounts)?;
        let is_same = |other: &LineItem| other.line_item_id == line.line_item_id;
        if all.iter().any(is_same) {
            // Counted twice, it would move goods twice.
            return Err(NotUnderstood::Twice("line_items[].order_line_item_id"));
        }
        all.push(line);
    }
    Ok(all)
}

fn line_item(line: &wire::Line, amounts: Amounts) -> Result<LineItem, reading::NotUnderstood> {
    let place = "line_items[].quantity";
    let quantity = line.quantity.required(place)?.0;
    let malformed = |_| reading::NotUnderstood::Malformed(place, Kind::Number);
    let id = line.order_line_item_id.id();
    let product = line.product_id.id();
    let prices = [line.variant_id.id(), line.bundle_id.id()];
    Ok(LineItem {
        line_item_id: own_id(id, LineItemId::new, "line_items[].order_line_item_id")?,
        description: description(line),
        quantity: quantity.try_into().map_err(malformed)?,
        unit_amount: amounts.stated(&line.unit_price_money, "line_items[].unit_price_money")?,
        amounts: totals(line, amounts)?,
        eligibility: None,
        product_id: named([product], ProductId::new, "line_items[].product_id")?,
        // What is sold at one price: a variant of the product, or a bundle.
        price_id: named(prices, PriceId::new, "line_items[].variant_id")?,
        sku: sku(line)?,
        metadata: super::sale::metadata(MetadataLimit::LINE, &line.metadata),
    })
}

fn totals(line: &wire::Line, amounts: Amounts) -> Result<Totals, reading::NotUnderstood> {
    let subtotal = amounts.stated(&line.subtotal_money, "line_items[].subtotal_money")?;
    let place = "line_items[].base_subtotal_money";
    let base = amounts.or_none(&line.base_subtotal_money, place)?;
    let place = "line_items[].modifier_total_money";
    let modifiers = amounts.or_none(&line.modifier_total_money, place)?;
    let total = "line_items[].total_money";
    let missing = reading::NotUnderstood::Missing(total);
    Ok(Totals {
        subtotal: subtotal.unwrap_or(base.saturating_add(modifiers)),
        discount: amounts
            .or_none(&line.discount_money, "line_items[].discount_money")?
            .saturating_abs(),
        tax: amounts.or_none(&line.tax_money, "line_items[].tax_money")?,
        shipping: 0,
        fees: 0,
        total: amounts.stated(&line.total_money, total)?.ok_or(missing)?,
    })
}

/// The line's name, with the modifiers that Flint shows on receipts.
fn description(line: &wire::Line) -> String {
    let name = line.name.known().and_then(|name| text::name(name));
    let name = name.unwrap_or_else(|| "Item".to_owned());
    let modifiers = line.modifiers.known().into_iter().flatten();
    let shown = modifiers.filter_map(Field::known);
    let shown = shown.filter(|modifier| modifier.show_on_receipt.known() == Some(&true));
    let shown: Vec<_> = shown
        .filter_map(|modifier| text::name(modifier.name.known()?))
        .collect();
    if shown.is_empty() {
        clipped(&name)
    } else {
        clipped(&format!("{name} ({})", shown.join(", ")))
    }
}

/// The merchant's SKU: the line's own, else `sku` in its metadata. A code that is no valid SKU names no goods, and the
/// merchant's mapping decides. One that is not understood is an error: it may name other goods.
fn sku(line: &wire::Line) -> Result<Option<Sku>, reading::NotUnderstood> {
    let place = "line_items[].metadata";
    let in_metadata = || {
        let metadata = line.metadata.as_ref();
        metadata.then(|entries| member::<Code>(entries, "sku"))
    };
    let own = code(&line.sku, "line_items[].sku")?;
    let named = own.map_or_else(|| code(&in_metadata(), place), |code| Ok(Some(code)))?;
    Ok(named.and_then(|code| Sku::new(code).ok()))
}
