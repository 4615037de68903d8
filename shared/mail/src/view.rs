//! What a template may use: a contract with every merchant who writes a template of their own.
//!
//! All mails see the order and its customer; of `renewal`, `refund`, `failed_payment` and `trial`, each mail but the
//! order's receipt has the one that it tells of, for certain.
//!
//! Fields are added and never renamed or removed. Every text is one clean line of bounded length, written for
//! people. A value that can be absent says so; printing an absent one is an error that is found at start, so ask
//! first: `{% if customer_name %}…{% endif %}`.
//!
//! Nothing in here says why an item is eligible: that is nobody's business but the provider's.

use crate::{merchant::Merchant, templates::Form, text};
use domain::{
    receipt::{Receipt, ReceiptKind},
    sale::{
        checkout::{Customer, Totals},
        order::{Order, OrderLine},
        payment,
    },
    values::{
        facts::Fact,
        ids::{PaymentIntentId, RefundId},
        mode::Mode,
        provider::Provider,
    },
};
use jiff::{Timestamp, tz::TimeZone};
use serde::Serialize;

/// What marks the mail of a test-mode order. It must appear in subject, text and HTML.
pub const TEST_MARKER: &str = "TEST – no real payment";

/// The longest customer name and order number.
const MAX_NAME: usize = 100;
/// The longest name of a card.
const MAX_CARD: usize = 30;
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
    /// Each of several payments. Empty for a single one, and unless all of their amounts are told.
    pub payment_details: Vec<PaymentView>,
    /// Who took the payment and mails documents of its own: `Flex`.
    pub provider: String,
    /// The renewal that was paid: in `renewal` only.
    pub renewal: Option<RenewalView>,
    /// The refund: in `refund` only.
    pub refund: Option<RefundView>,
    /// The payment that failed: in `payment-failed` only.
    pub failed_payment: Option<FailedPaymentView>,
    /// The trial that ends: in `trial-ends` only.
    pub trial: Option<TrialView>,
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

/// One of an order's payments.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct PaymentView {
    /// Which: `Payment 1 (primary card)`, or `Payment 1` where the card is not told.
    pub label: String,
    /// Which card, in the provider's word: `primary`; absent where not told.
    pub card: Option<String>,
    /// What it paid.
    pub amount: Amount,
}

/// A renewal that was paid. The lines are those of the order that the subscription began with: what they are called
/// and whether they are eligible holds for the renewal, their amounts do not.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct RenewalView {
    /// What was paid.
    pub amount: Amount,
    /// The moment: `November 10, 2025, 4:53 AM EST`.
    pub paid_at: String,
    /// Its day alone.
    pub paid_on: String,
    /// What it pays for; absent where not told.
    pub period: Option<PeriodView>,
}

/// A stretch of time, in days of the merchant's zone.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct PeriodView {
    /// Its first day: `November 10, 2025`.
    pub starts_on: String,
    /// The day on which the next one begins.
    pub ends_on: String,
}

/// A refund. Of which item is not told: a provider does not say.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct RefundView {
    /// What went back.
    pub amount: Amount,
    /// The moment: `October 20, 2025, 9:53 AM EDT`.
    pub refunded_at: String,
    /// Its day alone.
    pub refunded_on: String,
    /// What it leaves of the order's payment; absent where it does not count towards that, such as the refund of a
    /// renewal.
    pub totals: Option<RefundTotalsView>,
}

/// What an order's refunds leave, all of them together.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct RefundTotalsView {
    /// What was paid at first.
    pub paid: Amount,
    /// What has gone back of it so far, this refund included.
    pub refunded: Amount,
    /// What is left.
    pub remaining: Amount,
}

/// A payment that failed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct FailedPaymentView {
    /// What is owed; absent where not told.
    pub amount: Option<Amount>,
}

/// A trial that ends.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct TrialView {
    /// The moment: `October 24, 2025, 5:53 AM EDT`.
    pub ends_at: String,
    /// Its day alone.
    pub ends_on: String,
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
    /// What the templates see of an order, written to `customer`.
    pub(super) fn new(
        order: &Order,
        receipt: &Receipt,
        customer: &Customer,
        merchant: &Merchant,
    ) -> Self {
        let amount = |minor| amount(order, minor);
        let zone = &merchant.time_zone;
        let payments = payments(order);
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
            customer_name: text::clean_some(customer.name.as_deref(), MAX_NAME),
            sold_at: moment(order.placed_at, zone),
            sold_on: day(order.placed_at, zone),
            currency: order.currency.code().to_owned(),
            lines: order
                .lines
                .iter()
                .map(|line| LineView::new(order, line))
                .collect(),
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
            payments: payments.len(),
            payment_details: payment_details(order, &payments),
            provider: match order.provider {
                Provider::Flex => "Flex".to_owned(),
            },
            renewal: RenewalView::new(order, &receipt.kind, zone),
            refund: RefundView::new(order, &receipt.kind, zone),
            failed_payment: match receipt.kind {
                ReceiptKind::PaymentFailed { amount: unsent, .. } => Some(FailedPaymentView {
                    amount: unsent.filter(|unsent| *unsent > 0).map(amount),
                }),
                _ => None,
            },
            trial: match receipt.kind {
                ReceiptKind::TrialEnds { ends_at, .. } => Some(TrialView {
                    ends_at: moment(ends_at, zone),
                    ends_on: day(ends_at, zone),
                }),
                _ => None,
            },
            test: match order.mode {
                Mode::Live => None,
                Mode::Test => Some(TestView::new(
                    Form::of(&receipt.kind),
                    customer.email.as_deref(),
                )),
            },
        }
    }
}

/// The order's payments, but for those that are known to have come to nothing.
fn payments(order: &Order) -> Vec<(&PaymentIntentId, Option<&payment::PaymentFacts>)> {
    let facts = |id| order.payments.get(id).map(|Fact { value, .. }| value);
    let all = order.payment_intents.iter().map(|id| (id, facts(id)));
    all.filter(|(_, facts)| {
        facts.is_none_or(|facts| facts.status != payment::PaymentStatus::Canceled)
    })
    .collect()
}

fn payment_details(
    order: &Order,
    payments: &[(&PaymentIntentId, Option<&payment::PaymentFacts>)],
) -> Vec<PaymentView> {
    if payments.len() < 2 {
        return Vec::new();
    }
    let views = payments
        .iter()
        .zip(1..)
        .map(|((_, facts), number)| PaymentView::new(order, (*facts)?, number));
    // Some of several would read as all of them.
    views.collect::<Option<_>>().unwrap_or_default()
}

impl PaymentView {
    /// `None` unless it is told what was received.
    fn new(order: &Order, facts: &payment::PaymentFacts, number: u32) -> Option<Self> {
        let asked = facts
            .amount
            .filter(|_| facts.status == payment::PaymentStatus::Succeeded);
        let received = facts.received.filter(|received| *received > 0).or(asked)?;
        let card = facts.card.as_deref().map(|card| card.replace('_', " "));
        let card = text::clean_some(card.as_deref(), MAX_CARD);
        let label = card.as_deref().map_or_else(
            || format!("Payment {number}"),
            |card| format!("Payment {number} ({card} card)"),
        );
        Some(Self {
            label,
            card,
            amount: amount(order, received),
        })
    }
}

impl RenewalView {
    fn new(order: &Order, kind: &ReceiptKind, zone: &TimeZone) -> Option<Self> {
        let ReceiptKind::Invoice {
            amount: paid,
            paid_at,
            period_start,
            period_end,
            ..
        } = *kind
        else {
            return None;
        };
        let period = period_start
            .zip(period_end)
            .filter(|(start, end)| start < end);
        Some(Self {
            amount: amount(order, paid),
            paid_at: moment(paid_at, zone),
            paid_on: day(paid_at, zone),
            period: period.map(|(start, end)| PeriodView {
                starts_on: day(start, zone),
                ends_on: day(end, zone),
            }),
        })
    }
}

impl RefundView {
    fn new(order: &Order, kind: &ReceiptKind, zone: &TimeZone) -> Option<Self> {
        let ReceiptKind::Refund {
            refund_id,
            amount: back,
            refunded_at,
        } = kind
        else {
            return None;
        };
        Some(Self {
            amount: amount(order, *back),
            refunded_at: moment(*refunded_at, zone),
            refunded_on: day(*refunded_at, zone),
            totals: RefundTotalsView::new(order, refund_id),
        })
    }
}

impl RefundTotalsView {
    /// `None` unless this refund counts among the order's own.
    fn new(order: &Order, id: &RefundId) -> Option<Self> {
        let this = order.refunds.get(id).filter(|refund| refund.stands())?;
        order.own_refunds().find(|own| *own == this)?;
        let (paid, refunded) = (order.paid(), order.refunded());
        Some(Self {
            paid: amount(order, paid),
            refunded: amount(order, refunded),
            remaining: amount(order, paid.saturating_sub(refunded).max(0)),
        })
    }
}

impl LineView {
    fn new(order: &Order, line: &OrderLine) -> Self {
        let Totals {
            subtotal,
            discount,
            tax,
            shipping,
            fees,
            total,
        } = line.amounts;
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
            has_breakdown: [discount, tax, shipping, fees]
                .iter()
                .any(|&minor| minor != 0),
            eligible,
            eligibility: if eligible {
                "HSA/FSA eligible"
            } else {
                "Not eligible"
            },
        }
    }
}

impl TestView {
    pub(super) fn new(form: Form, email: Option<&str>) -> Self {
        let what = match form {
            Form::Receipt | Form::Renewal => "receipt",
            Form::Refund | Form::PaymentFailed | Form::TrialEnds => "email",
        };
        let note = match text::clean_some(email, MAX_NAME) {
            Some(email) => format!("In live mode this {what} would have gone to {email}."),
            None => {
                format!(
                    "In live mode this {what} would have gone nowhere: the order has no email address."
                )
            }
        };
        Self {
            marker: TEST_MARKER.to_owned(),
            note,
        }
    }
}

fn amount(order: &Order, minor: i64) -> Amount {
    Amount {
        text: order.money(minor).to_string(),
        nonzero: minor != 0,
    }
}

fn day(at: Timestamp, zone: &TimeZone) -> String {
    at.to_zoned_datetime(zone.clone())
        .strftime("%B %-d, %Y")
        .to_string()
}

fn moment(at: Timestamp, zone: &TimeZone) -> String {
    let zoned = at.to_zoned_datetime(zone.clone());
    let abbreviation = zoned.strftime("%Z").to_string();
    // Zones without a name of their own have only an offset, `-03`, which alone reads as a range of hours.
    let utc = if abbreviation.starts_with(['+', '-']) {
        "UTC"
    } else {
        ""
    };
    format!(
        "{} {utc}{abbreviation}",
        zoned.strftime("%B %-d, %Y, %-I:%M %p")
    )
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
        assert_eq!(
            moment_in("America/New_York"),
            "October 10, 2025, 5:53 AM EDT"
        );
        assert_eq!(
            moment_in("America/Sao_Paulo"),
            "October 10, 2025, 6:53 AM UTC-03"
        );
        assert_eq!(moment_in("UTC"), "October 10, 2025, 9:53 AM UTC");
        assert_eq!(
            moment_in("Pacific/Kiritimati"),
            "October 10, 2025, 11:53 PM UTC+14"
        );
    }
}
