//! One line of a checkout: description, amounts and SKU.

use super::{NotUnderstood, clipped, details, filled, named, or_none, own_id, sum};
use crate::wire::{LineItem as WireLine, LineItems, Price, Product, Reference, Session};
use domain::{
    sale::{
        details::MetadataLimit,
        statement::{Certification, Eligibility, LineItem, Totals},
    },
    values::ids::{LineItemId, PriceId, ProductId, Sku},
};
use reading::{Code, Field, Identified, Kind, code, each, stated, text};
use serde_json::Value;

/// All lines of a checkout. An order needs each of them, so one that is not understood fails all.
pub(super) fn line_items(
    lines: &LineItems,
    session: &Session,
) -> Result<Vec<LineItem>, NotUnderstood> {
    let mut all: Vec<LineItem> = Vec::new();
    for line in each(lines, "line_items")? {
        let line = line_item(line, session)?;
        // Counted twice, it would move goods twice.
        if all
            .iter()
            .any(|other| other.line_item_id == line.line_item_id)
        {
            return Err(NotUnderstood::Twice("line_items[].line_item_id"));
        }
        all.push(line);
    }
    Ok(all)
}

pub(super) fn line_item(line: &WireLine, session: &Session) -> Result<LineItem, NotUnderstood> {
    let price_place = "line_items[].price";
    let price = line.price.optional(price_place)?;
    let price = price.and_then(Reference::object);
    let product_place = "line_items[].price.product";
    let product_field = price.map_or(&Field::Absent, |price| &price.product);
    let product = product_field.optional(product_place)?;
    let product = product.and_then(Reference::object);
    let quantity_place = "line_items[].quantity";
    let quantity = *line.quantity.required(quantity_place)?;
    let malformed = |_| reading::NotUnderstood::Malformed(quantity_place, Kind::Number);
    let unit_amount = price.map_or(&Field::Absent, |price| &price.unit_amount);
    Ok(LineItem {
        line_item_id: own_id(
            line.line_item_id.id(),
            LineItemId::new,
            "line_items[].line_item_id",
        )?,
        description: description(line, product),
        quantity: quantity.try_into().map_err(malformed)?,
        unit_amount: stated(unit_amount, "line_items[].price.unit_amount")?,
        amounts: line_totals(line)?,
        eligibility: eligibility(line, product, session)?,
        product_id: named([product_field.id()], ProductId::new, product_place)?,
        price_id: named([line.price.id()], PriceId::new, price_place)?,
        sku: sku(price, product)?,
        metadata: details::metadata(
            MetadataLimit::LINE,
            [
                product.map(|product| &product.metadata),
                price.map(|price| &price.metadata),
            ],
        ),
    })
}

/// The eligibility of this purchase as Flex states it. The words name ways of being eligible
/// (<https://docs.withflex.com/product-prices/how-product-and-prices-work>), and the session may
/// deny them. A product's word alone needs the session's confirmation. A letter of medical necessity
/// is proven only if the eligible session does not require one any more.
fn eligibility(
    line: &WireLine,
    product: Option<&Product>,
    session: &Session,
) -> Result<Option<Eligibility>, NotUnderstood> {
    let own = filled(&line.eligibility, "line_items[].eligibility")?;
    let word = match (own, product) {
        (Some(word), _) => Some(word),
        (None, Some(product)) => {
            let place = "line_items[].price.product.hsa_fsa_eligibility";
            filled(&product.hsa_fsa_eligibility, place)?
        }
        (None, None) => None,
    };
    word.map(|word| {
        Ok(Eligibility {
            certification: certification(word, own.is_some(), session)?,
            word: clipped(word),
        })
    })
    .transpose()
}

fn certification(
    word: &str,
    is_own: bool,
    session: &Session,
) -> Result<Certification, NotUnderstood> {
    let confirmed = session.hsa_fsa_eligible.optional("hsa_fsa_eligible")? == Some(&true);
    let is_listed = confirmed || is_own && session.hsa_fsa_eligible == Field::Absent;
    let letter_required = session
        .letter_of_medical_necessity_required
        .optional("letter_of_medical_necessity_required")?;
    let has_letter = confirmed && letter_required == Some(&false);
    Ok(match word {
        "not_eligible" => Certification::NotEligible,
        "auto_substantiation" | "private_label" | "vision" if is_listed => Certification::Certified,
        "letter_of_medical_necessity" if has_letter => Certification::Certified,
        "auto_substantiation"
        | "private_label"
        | "vision"
        | "letter_of_medical_necessity"
        | "prescription"
        | "service" => Certification::Conditional,
        _ => Certification::Unknown,
    })
}

fn line_totals(line: &WireLine) -> Result<Totals, NotUnderstood> {
    let fee = stated(&line.amount_fee, "line_items[].amount_fee")?;
    Ok(Totals {
        subtotal: *line
            .amount_subtotal
            .required("line_items[].amount_subtotal")?,
        discount: or_none(&line.amount_discount, "line_items[].amount_discount")?,
        tax: or_none(&line.amount_tax, "line_items[].amount_tax")?,
        shipping: or_none(&line.amount_shipping, "line_items[].amount_shipping")?,
        fees: fee.map_or_else(|| sum(&line.fees, "line_items[].fees"), Ok)?,
        total: *line.amount_total.required("line_items[].amount_total")?,
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
    let name = texts.find_map(|text| text::name(text.known()?));
    clipped(name.as_deref().unwrap_or("Item"))
}

/// The merchant's SKU of the product: its reference, `sku` in the metadata, or a code on the box.
///
/// The first of them that is filled in decides. If it is not a valid SKU, no other is tried: the
/// merchant then maps the price or the product, or the line is recorded as unmapped. One that is not
/// understood is an error: it may name other goods.
fn sku(price: Option<&Price>, product: Option<&Product>) -> Result<Option<Sku>, NotUnderstood> {
    const PRICE: &str = "line_items[].price.metadata";
    const PRODUCT: &str = "line_items[].price.product.metadata";
    let mut named = None;
    if let Some(product) = product {
        let place = "line_items[].price.product.client_reference_id";
        named = code(&product.client_reference_id, place)?.map_or_else(
            || in_metadata(&product.metadata, PRODUCT),
            |code| Ok(Some(code)),
        )?;
    }
    if let (None, Some(price)) = (&named, price) {
        named = in_metadata(&price.metadata, PRICE)?;
    }
    if let (None, Some(product)) = (&named, product) {
        named = code(&product.upc_code, "line_items[].price.product.upc_code")?.map_or_else(
            || code(&product.gtin, "line_items[].price.product.gtin"),
            |code| Ok(Some(code)),
        )?;
    }
    Ok(named.and_then(|code| Sku::new(code).ok()))
}

fn in_metadata(
    metadata: &Value,
    place: &'static str,
) -> Result<Option<String>, reading::NotUnderstood> {
    let sku = details::entries(metadata).then(|entries| {
        let sku = entries.get("sku").cloned();
        Field::<Code>::of(sku.unwrap_or_default())
    });
    code(&sku, place)
}
