//! What a template may use: a contract with every merchant who writes a template of their own.
//!
//! Fields are added and never renamed or removed. Every text is one clean line of bounded length, written for
//! people. A value that can be absent says so; printing an absent one is an error that is found at start, so ask
//! first: `{% if customer_name %}…{% endif %}`.
//!
//! Nothing in here says why an item is eligible: that is nobody's business but the provider's.

use super::{merchant::Merchant, text};
use crate::{
    checkout::Totals,
    delivery::Provider,
    mode::Mode,
    order::{Order, OrderLine},
    receipt::Receipt,
};
use jiff::{Timestamp, tz::TimeZone};
use serde::Serialize;

/// What marks the mail of a test-mode order. It must appear in subject, text and HTML.
pub const TEST_MARKER: &str = "TEST – no real payment";

/// The longest customer name and order number.
const MAX_NAME: usize = 100;
/// The longest description of an item.
const MAX_DESCRIPTION: usize = 240;

/// Everything a template can print.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct View {
    /// Who sells.
    pub merchant: MerchantView,
    /// The receipt's id.
    pub receipt_id: String,
    /// The provider's id of the checkout.
    pub order_id: String,
    /// The merchant's own number of the order; absent where the checkout was given none.
    pub order_number: Option<String>,
    /// Absent where the provider told none.
    pub customer_name: Option<String>,
    /// The moment of sale in the merchant's zone: `October 10, 2025, 5:53 AM EDT`.
    pub sold_at: String,
    /// Its day alone: `October 10, 2025`.
    pub sold_on: String,
    /// The three letters: `USD`.
    pub currency: String,
    /// What was bought, at least description, quantity, amount and eligibility each: what substantiation of an
    /// HSA/FSA expense asks for (<https://www.irs.gov/pub/irs-wd/202317020.pdf>).
    pub lines: Vec<LineView>,
    /// What the whole order came to.
    pub totals: TotalsView,
    /// What the eligible lines come to.
    pub eligible: Amount,
    /// What the other lines come to.
    pub other: Amount,
    /// The order's total without its lines' totals: nonzero where shipping or a fee belongs to no line.
    pub not_itemized: Amount,
    /// How many payments it took: 2 for a cart split over two cards. 0 where not told.
    pub payments: usize,
    /// Who took the payment and mails documents of its own: `Flex`.
    pub provider: String,
    /// Present on a test-mode order only.
    pub test: Option<TestView>,
}

/// Who sells.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct MerchantView {
    /// As customers know it.
    pub name: String,
    /// The postal address, line by line; at least one.
    pub address: Vec<String>,
    /// Where questions go.
    pub support_email: String,
}

/// One line of the order.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct LineView {
    /// What it is.
    pub description: String,
    /// How many.
    pub quantity: u32,
    /// The price of one; absent where the provider told none.
    pub unit_price: Option<String>,
    /// Before everything below.
    pub subtotal: Amount,
    /// What was taken off, with its minus: `-$5.00`.
    pub discount: Amount,
    /// Sales tax.
    pub tax: Amount,
    /// Shipping.
    pub shipping: Amount,
    /// Other fees.
    pub fee: Amount,
    /// What the customer paid for the line.
    pub total: Amount,
    /// Whether any of discount, tax, shipping and fee is nonzero.
    pub has_breakdown: bool,
    /// Whether HSA/FSA money may pay for it.
    pub eligible: bool,
    /// The same in words: `HSA/FSA eligible` or `Not eligible`.
    pub eligibility: &'static str,
}

/// What the whole order came to.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct TotalsView {
    /// Before everything below.
    pub subtotal: Amount,
    /// What was taken off, with its minus: `-$5.00`.
    pub discount: Amount,
    /// Sales tax.
    pub tax: Amount,
    /// Shipping.
    pub shipping: Amount,
    /// Other fees.
    pub fees: Amount,
    /// What the customer paid.
    pub total: Amount,
}

/// An amount: print its `text`, leave it out unless `nonzero`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Amount {
    /// As people write it: `$1,064.98`, `-$5.00`.
    pub text: String,
    /// Whether it is worth a row.
    pub nonzero: bool,
}

/// What marks the mail of a test-mode order.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct TestView {
    /// [`TEST_MARKER`].
    pub marker: String,
    /// Where it would have gone, as a sentence. Names the customer's address: the reader is the merchant.
    pub note: String,
}

impl View {
    /// What the templates see of an order.
    pub(super) fn new(order: &Order, receipt: &Receipt, merchant: &Merchant) -> Self {
        let amount = |minor| amount(order, minor);
        let (eligible, other) = order.eligible_and_other();
        let itemized = eligible.saturating_add(other);
        Self {
            merchant: MerchantView {
                name: merchant.name.clone(),
                address: merchant.address.clone(),
                support_email: merchant.support_email.to_string(),
            },
            receipt_id: receipt.receipt_id.to_string(),
            order_id: order.order_id.to_string(),
            order_number: text::clean_some(order.client_reference_id.as_deref(), MAX_NAME),
            customer_name: text::clean_some(order.customer.name.as_deref(), MAX_NAME),
            sold_at: moment(order.placed_at, &merchant.time_zone),
            sold_on: day(order.placed_at, &merchant.time_zone),
            currency: order.currency.code().to_owned(),
            lines: order.lines.iter().map(|line| LineView::new(order, line)).collect(),
            totals: TotalsView {
                subtotal: amount(order.totals.subtotal),
                discount: amount(order.totals.discount.saturating_neg()),
                tax: amount(order.totals.tax),
                shipping: amount(order.totals.shipping),
                fees: amount(order.totals.fees),
                total: amount(order.totals.total),
            },
            eligible: amount(eligible),
            other: amount(other),
            not_itemized: amount(order.totals.total.saturating_sub(itemized)),
            payments: order.payment_intents.len(),
            provider: match order.provider {
                Provider::Flex => "Flex".to_owned(),
            },
            test: match order.mode {
                Mode::Live => None,
                Mode::Test => Some(TestView::new(order.customer.email.as_deref())),
            },
        }
    }
}

impl LineView {
    fn new(order: &Order, line: &OrderLine) -> Self {
        let Totals { subtotal, discount, tax, shipping, fees, total } = line.amounts;
        let amount = |minor| amount(order, minor);
        let eligible = line.is_eligible();
        Self {
            description: text::clean_some(Some(&line.description), MAX_DESCRIPTION)
                .unwrap_or_else(|| "Item without a description".to_owned()),
            quantity: line.quantity,
            unit_price: line.unit_amount.map(|minor| order.money(minor).to_string()),
            subtotal: amount(subtotal),
            discount: amount(discount.saturating_neg()),
            tax: amount(tax),
            shipping: amount(shipping),
            fee: amount(fees),
            total: amount(total),
            has_breakdown: [discount, tax, shipping, fees].iter().any(|&minor| minor != 0),
            eligible,
            eligibility: if eligible { "HSA/FSA eligible" } else { "Not eligible" },
        }
    }
}

impl TestView {
    pub(super) fn new(email: Option<&str>) -> Self {
        let note = match text::clean_some(email, MAX_NAME) {
            Some(email) => format!("In live mode this receipt would have gone to {email}."),
            None => "In live mode this receipt would have gone nowhere: the order has no email address."
                .to_owned(),
        };
        Self { marker: TEST_MARKER.to_owned(), note }
    }
}

fn amount(order: &Order, minor: i64) -> Amount {
    Amount { text: order.money(minor).to_string(), nonzero: minor != 0 }
}

fn day(at: Timestamp, zone: &TimeZone) -> String {
    at.to_zoned(zone.clone()).strftime("%B %-d, %Y").to_string()
}

fn moment(at: Timestamp, zone: &TimeZone) -> String {
    let zoned = at.to_zoned(zone.clone());
    let abbreviation = zoned.strftime("%Z").to_string();
    // Zones without a name of their own have only an offset, `-03`, which alone reads as a range of hours.
    let utc = if abbreviation.starts_with(['+', '-']) { "UTC" } else { "" };
    format!("{} {utc}{abbreviation}", zoned.strftime("%B %-d, %Y, %-I:%M %p"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use jiff::tz::TimeZoneDatabase;

    #[test]
    fn a_moment_is_written_in_the_merchants_zone() {
        let moment_in = |zone| {
            let zone = TimeZoneDatabase::bundled().get(zone).unwrap();
            moment("2025-10-10T09:53:00Z".parse().unwrap(), &zone)
        };
        assert_eq!(moment_in("America/New_York"), "October 10, 2025, 5:53 AM EDT");
        assert_eq!(moment_in("America/Sao_Paulo"), "October 10, 2025, 6:53 AM UTC-03");
        assert_eq!(moment_in("UTC"), "October 10, 2025, 9:53 AM UTC");
        assert_eq!(moment_in("Pacific/Kiritimati"), "October 10, 2025, 11:53 PM UTC+14");
    }
}
