//! The values that a template may print: a contract with every merchant who writes templates.
//!
//! All mails have the order and its customer. Each mail except the order's receipt also has one of
//! `renewal`, `refund`, `failed_refund`, `failed_payment`, `failed_invoice`, `shipment` and
//! `trial`, and always has it.
//!
//! Fields are added and never renamed or removed. Every text is one clean line of bounded length,
//! written for people. Each optional value is documented as such. Printing an absent value is an
//! error, found at start, so test it first: `{% if customer_name %}…{% endif %}`.
//!
//! No value states why an item is eligible: only the provider may know that.

use crate::{form::Form, merchant::Merchant, text};
use domain::{
    receipt::{Receipt, ReceiptKind},
    sale::{
        columns::{Column, Columns},
        order::{Order, OrderKind, OrderLine},
        payment,
        shipment::{FulfillmentFacts, Method, Package},
        statement::{Certification, Customer, Totals},
    },
    values::{
        facts::Fact,
        ids::{PaymentIntentId, RefundId},
        mode::Mode,
        provider::EligibilityPolicy,
    },
};
use jiff::{Timestamp, tz::TimeZone};
use serde::Serialize;

/// The marker of mails of test-mode orders. It must appear in subject, text and HTML.
pub const TEST_MARKER: &str = "TEST – no real payment";

/// The longest customer name, order number and invoice number, in characters.
const MAX_NAME: usize = 100;
/// The longest card name, in characters.
const MAX_CARD: usize = 30;
/// The longest name of a carrier, and the longest tracking number, in characters.
const MAX_TRACKING: usize = 60;
/// The longest link, in bytes: longer ones do not work everywhere.
const MAX_LINK: usize = 500;
/// The longest item description, in characters.
const MAX_DESCRIPTION: usize = 240;

/// All values that a template can print.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct View {
    pub merchant: MerchantView,
    pub receipt_id: String,
    /// The provider's id of the sale, or of a renewal's invoice.
    pub order_id: String,
    /// The merchant's order number; absent if the sale has none.
    pub order_number: Option<String>,
    /// Absent if the provider sent none.
    pub customer_name: Option<String>,
    /// The time of sale in the merchant's zone: `October 10, 2025, 5:53 AM EDT`.
    pub sold_at: String,
    /// The day of sale: `October 10, 2025`.
    pub sold_on: String,
    /// The ISO 4217 code: `USD`.
    pub currency: String,
    /// The lines of the order. Substantiation of an HSA/FSA expense requires description, quantity,
    /// amount and eligibility of each (<https://www.irs.gov/pub/irs-wd/202317020.pdf>).
    pub lines: Vec<LineView>,
    pub totals: TotalsView,
    /// The part of the amount paid for lines that the provider certifies as eligible; absent if the
    /// provider certifies none. Then the mail must not mention HSA/FSA.
    pub eligible: Option<Amount>,
    /// The rest of the amount paid; absent if the provider certifies no eligibility.
    pub other: Option<Amount>,
    /// The part of the amount paid that belongs to no line, such as shipping; counted in `other`.
    /// The lines' totals and this add up to the amount paid.
    pub not_itemized: Amount,
    /// True if a line's total differs from the provider's: less was paid than the lines cost, and the
    /// amount paid is spread over them in proportion.
    pub is_spread: bool,
    /// Number of payments: 2 for a cart split over two cards, 0 if unknown.
    pub payments: usize,
    /// The payments, if there are several and all amounts are known; else empty.
    pub payment_details: Vec<PaymentView>,
    /// The provider, which mails documents too: `Flex`.
    pub provider: String,
    /// In `renewal` only.
    pub renewal: Option<RenewalView>,
    /// In `refund` only.
    pub refund: Option<RefundView>,
    /// In `refund-failed` only.
    pub failed_refund: Option<FailedRefundView>,
    /// In `payment-failed` only.
    pub failed_payment: Option<FailedPaymentView>,
    /// In `invoice-payment-failed` only.
    pub failed_invoice: Option<FailedInvoiceView>,
    /// In `shipment` only.
    pub shipment: Option<ShipmentView>,
    /// In `trial-ends` only.
    pub trial: Option<TrialView>,
    /// For test-mode orders only.
    pub test: Option<TestView>,
}

/// The merchant.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct MerchantView {
    /// The name that customers know.
    pub name: String,
    /// The postal address by lines, at least one.
    pub address: Vec<String>,
    pub support_email: String,
}

/// One line of the order.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct LineView {
    pub description: String,
    pub quantity: u32,
    /// The price of one unit; absent if the provider sent none.
    pub unit_price: Option<String>,
    /// Before discount, tax, shipping and fee.
    pub subtotal: Amount,
    /// With a minus sign: `-$5.00`.
    pub discount: Amount,
    /// The sales tax.
    pub tax: Amount,
    pub shipping: Amount,
    /// Other fees.
    pub fee: Amount,
    /// The line's share of what reduces the order as a whole, such as store credit: `-$60.00`.
    pub adjustment: Amount,
    /// True if `subtotal` includes `tax`. The column is subtotal, discount, tax unless included,
    /// shipping, fee, adjustment, total.
    pub tax_included: bool,
    /// The amount that the customer paid for the line.
    pub total: Amount,
    /// True if discount, tax, shipping, fee or adjustment is nonzero.
    pub has_breakdown: bool,
    /// True if the provider certifies that HSA/FSA money may pay for the line.
    pub eligible: bool,
    /// The same in words: `HSA/FSA eligible`, `Not eligible`, or `Not certified as HSA/FSA eligible`;
    /// absent if the provider certifies no eligibility.
    pub eligibility: Option<&'static str>,
}

/// The totals of the order. Subtotal, discount, tax unless included, shipping, fees and adjustment
/// add up to `ordered`; that, `not_charged`, `waived` and `open` add up to `total`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct TotalsView {
    /// Before discount, tax, shipping and fees.
    pub subtotal: Amount,
    /// With a minus sign: `-$5.00`.
    pub discount: Amount,
    /// The sales tax.
    pub tax: Amount,
    pub shipping: Amount,
    /// Other fees.
    pub fees: Amount,
    /// The part of `ordered` that the other parts do not explain.
    pub adjustment: Amount,
    /// True if `subtotal` includes `tax`.
    pub tax_included: bool,
    /// The order's total.
    pub ordered: Amount,
    /// True if `ordered` is not the amount paid.
    pub differs: bool,
    /// Authorized and not captured: `-$29.94`.
    pub not_charged: Amount,
    /// Too small to be charged: `-$0.30`.
    pub waived: Amount,
    /// Still due: `-$18.25`.
    pub open: Amount,
    /// The amount that the customer paid.
    pub total: Amount,
}

/// One of an order's payments.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct PaymentView {
    /// `Payment 1 (primary card)`, or `Payment 1` if the card is unknown.
    pub label: String,
    /// The provider's word for the card: `primary`; absent if unknown.
    pub card: Option<String>,
    pub amount: Amount,
}

/// A paid renewal. Lines, totals and date of the order are its own.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct RenewalView {
    pub amount: Amount,
    /// `November 10, 2025, 4:53 AM EST`.
    pub paid_at: String,
    /// `November 10, 2025`.
    pub paid_on: String,
    /// The period that the payment covers; absent if unknown.
    pub period: Option<PeriodView>,
}

/// A period in days of the merchant's zone.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct PeriodView {
    /// The first day: `November 10, 2025`.
    pub starts_on: String,
    /// The first day of the next period.
    pub ends_on: String,
}

/// A refund. Providers do not name the refunded item.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct RefundView {
    pub amount: Amount,
    /// `October 20, 2025, 9:53 AM EDT`.
    pub refunded_at: String,
    /// `October 20, 2025`.
    pub refunded_on: String,
    /// The effect on the order's payment; absent if the refund does not stand.
    pub totals: Option<RefundTotalsView>,
}

/// The state of an order's payment after all its refunds.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct RefundTotalsView {
    /// The amount originally paid.
    pub paid: Amount,
    /// The amount refunded so far, including this refund.
    pub refunded: Amount,
    /// The amount left.
    pub remaining: Amount,
}

/// A refund that failed after it succeeded.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct FailedRefundView {
    pub amount: Amount,
    /// The date on the refund's receipt: `October 20, 2025, 9:53 AM EDT`.
    pub refunded_at: String,
    /// `October 20, 2025`.
    pub refunded_on: String,
}

/// A failed payment of a renewal.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct FailedPaymentView {
    /// The amount due; absent if unknown.
    pub amount: Option<Amount>,
}

/// An invoice whose payment failed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct FailedInvoiceView {
    /// The invoice's number; absent if it has none.
    pub number: Option<String>,
    /// The amount due; absent if it is in another currency than the order.
    pub amount: Option<Amount>,
}

/// Goods that were sent, or that wait for the customer.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ShipmentView {
    /// True if the customer picks the goods up; they are ready.
    pub is_pickup: bool,
    /// The goods; empty if the provider does not state them all.
    pub goods: Vec<GoodsView>,
    /// The packages with a carrier, a number or a link.
    pub packages: Vec<PackageView>,
}

/// A part of the order.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct GoodsView {
    pub description: String,
    pub quantity: u32,
    /// Both: `2 × Acupressure mat`.
    pub text: String,
}

impl GoodsView {
    pub(super) fn new(description: String, quantity: u32) -> Self {
        Self {
            text: format!("{quantity} × {description}"),
            description,
            quantity,
        }
    }
}

/// A package. At least one value is present.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct PackageView {
    /// Absent if unknown.
    pub carrier: Option<String>,
    /// Absent if unknown.
    pub tracking_number: Option<String>,
    /// An https address; absent if the provider states none.
    pub tracking_url: Option<String>,
}

/// A trial that ends.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct TrialView {
    /// `October 24, 2025, 5:53 AM EDT`.
    pub ends_at: String,
    /// `October 24, 2025`.
    pub ends_on: String,
}

/// An amount: print `text`, and omit it unless `nonzero`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Amount {
    /// Formatted: `$1,064.98`, `-$5.00`.
    pub text: String,
    pub nonzero: bool,
}

/// The marker of a test-mode mail.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct TestView {
    /// [`TEST_MARKER`].
    pub marker: String,
    /// A sentence with the recipient in live mode. It names the customer's address, because the
    /// merchant reads it.
    pub note: String,
}

impl View {
    /// The values for an order's mail to `customer`.
    pub(super) fn new(
        order: &Order,
        receipt: &Receipt,
        customer: &Customer,
        merchant: &Merchant,
    ) -> Self {
        let amount = |minor| amount(order, minor);
        let zone = &merchant.time_zone;
        let (payments, columns) = (payments(order), Columns::new(order));
        let stated =
            |minor| (order.eligibility == EligibilityPolicy::Stated).then(|| amount(minor));
        Self {
            merchant: MerchantView::new(merchant),
            receipt_id: receipt.receipt_id.to_string(),
            order_id: order.order_id.to_string(),
            order_number: text::clean_some(order.client_reference_id.as_deref(), MAX_NAME),
            customer_name: text::clean_some(customer.name.as_deref(), MAX_NAME),
            sold_at: moment(order.placed_at, zone),
            sold_on: day(order.placed_at, zone),
            currency: order.currency.code().to_owned(),
            lines: lines(order, &columns),
            totals: TotalsView::new(order, &columns),
            eligible: stated(columns.eligible),
            other: stated(columns.other),
            not_itemized: amount(columns.unassigned),
            is_spread: columns.are_spread(),
            payments: payments.len(),
            payment_details: payment_details(order, &payments, columns.paid),
            provider: title(order.provider.as_str()),
            renewal: RenewalView::new(order, &receipt.kind, zone),
            refund: RefundView::new(order, &receipt.kind, zone),
            failed_refund: FailedRefundView::new(order, &receipt.kind, zone),
            failed_payment: FailedPaymentView::new(order, &receipt.kind),
            failed_invoice: FailedInvoiceView::new(order, &receipt.kind),
            shipment: ShipmentView::new(order, &receipt.kind),
            trial: TrialView::new(&receipt.kind, zone),
            test: (order.mode == Mode::Test)
                .then(|| TestView::new(Form::of(&receipt.kind, order), customer.email.as_deref())),
        }
    }
}

/// The name of a provider for people: `Flex`.
fn title(name: &str) -> String {
    let mut letters = name.chars();
    let first = letters.next().map(|letter| letter.to_ascii_uppercase());
    first.into_iter().chain(letters).collect()
}

impl MerchantView {
    fn new(merchant: &Merchant) -> Self {
        Self {
            name: merchant.name.clone(),
            address: merchant.address.clone(),
            support_email: merchant.support_email.to_string(),
        }
    }
}

impl TotalsView {
    fn new(order: &Order, columns: &Columns) -> Self {
        let amount = |minor| amount(order, minor);
        let Column {
            parts,
            tax_included,
            adjustment,
        } = columns.order;
        Self {
            subtotal: amount(parts.subtotal),
            discount: amount(parts.discount.saturating_neg()),
            tax: amount(parts.tax),
            shipping: amount(parts.shipping),
            fees: amount(parts.fees),
            adjustment: amount(adjustment),
            tax_included,
            ordered: amount(parts.total),
            differs: parts.total != columns.paid,
            not_charged: amount(columns.released.saturating_neg()),
            waived: amount(columns.waived.saturating_neg()),
            open: amount(columns.open.saturating_neg()),
            total: amount(columns.paid),
        }
    }
}

impl FailedRefundView {
    fn new(order: &Order, kind: &ReceiptKind, zone: &TimeZone) -> Option<Self> {
        let ReceiptKind::RefundFailed {
            amount: back,
            refunded_at,
            ..
        } = *kind
        else {
            return None;
        };
        Some(Self {
            amount: amount(order, back),
            refunded_at: moment(refunded_at, zone),
            refunded_on: day(refunded_at, zone),
        })
    }
}

impl FailedPaymentView {
    fn new(order: &Order, kind: &ReceiptKind) -> Option<Self> {
        let ReceiptKind::PaymentFailed { amount: due, .. } = *kind else {
            return None;
        };
        Some(Self {
            amount: amount_due(order, due),
        })
    }
}

impl FailedInvoiceView {
    fn new(order: &Order, kind: &ReceiptKind) -> Option<Self> {
        let ReceiptKind::InvoicePaymentFailed {
            number,
            amount: due,
            ..
        } = kind
        else {
            return None;
        };
        Some(Self {
            number: text::clean_some(number.as_deref(), MAX_NAME),
            amount: amount_due(order, *due),
        })
    }
}

impl ShipmentView {
    fn new(order: &Order, kind: &ReceiptKind) -> Option<Self> {
        let ReceiptKind::Shipment { fulfillment_id } = kind else {
            return None;
        };
        let facts = order.fulfillments.get(fulfillment_id);
        let facts = facts.map(|facts| &facts.value);
        let packages = facts.iter().flat_map(|facts| &facts.packages);
        Some(Self {
            is_pickup: facts.is_some_and(|facts| facts.method == Some(Method::Pickup)),
            goods: facts
                .and_then(|facts| goods(order, facts))
                .unwrap_or_default(),
            packages: packages.filter_map(PackageView::new).collect(),
        })
    }
}

/// The goods of a fulfillment. Show all or none: a partial list looks complete.
fn goods(order: &Order, facts: &FulfillmentFacts) -> Option<Vec<GoodsView>> {
    let all = facts.goods.iter().map(|(id, quantity)| {
        let line = order.lines.iter().find(|line| line.line_item_id == *id)?;
        let description = text::clean_some(Some(&line.description), MAX_DESCRIPTION)?;
        Some(GoodsView::new(description, *quantity))
    });
    all.collect()
}

impl PackageView {
    fn new(package: &Package) -> Option<Self> {
        let clean = |stated: &Option<String>| text::clean_some(stated.as_deref(), MAX_TRACKING);
        let view = Self {
            carrier: clean(&package.carrier),
            tracking_number: clean(&package.tracking_number),
            tracking_url: package.tracking_url.clone().filter(|link| is_link(link)),
        };
        let is_empty =
            view.carrier.is_none() && view.tracking_number.is_none() && view.tracking_url.is_none();
        (!is_empty).then_some(view)
    }
}

/// True if a text of the provider's can be a link: https, of one line, and without a character that could disguise it.
fn is_link(text: &str) -> bool {
    text.len() <= MAX_LINK
        && text.bytes().all(|byte| byte.is_ascii_graphic())
        && text
            .strip_prefix("https://")
            .is_some_and(|rest| !rest.is_empty())
}

impl TrialView {
    fn new(kind: &ReceiptKind, zone: &TimeZone) -> Option<Self> {
        let ReceiptKind::TrialEnds { ends_at, .. } = *kind else {
            return None;
        };
        Some(Self {
            ends_at: moment(ends_at, zone),
            ends_on: day(ends_at, zone),
        })
    }
}

fn lines(order: &Order, columns: &Columns) -> Vec<LineView> {
    let lines = order.lines.iter().zip(&columns.lines);
    lines
        .map(|(line, column)| LineView::new(order, line, column))
        .collect()
}

/// The order's payments, except those known to be canceled.
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
    paid: i64,
) -> Vec<PaymentView> {
    let received = payments
        .iter()
        .filter_map(|(_, facts)| facts.map(payment::PaymentFacts::taken));
    // Payments that do not add up to the amount paid would look like a mistake.
    if payments.len() < 2 || received.fold(0_i64, i64::saturating_add) != paid {
        return Vec::new();
    }
    let views = payments
        .iter()
        .zip(1..)
        .map(|((_, facts), number)| PaymentView::new(order, (*facts)?, number));
    // Show all payments or none: a partial list looks complete.
    views.collect::<Option<_>>().unwrap_or_default()
}

impl PaymentView {
    /// `None` if the received amount is unknown.
    fn new(order: &Order, facts: &payment::PaymentFacts, number: u32) -> Option<Self> {
        let received = Some(facts.taken()).filter(|received| *received > 0)?;
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
        let is_renewal = *kind == ReceiptKind::Order && order.kind == OrderKind::Renewal;
        is_renewal.then(|| Self {
            amount: amount(order, order.paid()),
            paid_at: moment(order.placed_at, zone),
            paid_on: day(order.placed_at, zone),
            period: order.period.map(|period| PeriodView {
                starts_on: day(period.start, zone),
                ends_on: day(period.end, zone),
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
    /// `None` unless the refund counts towards the order's payment.
    fn new(order: &Order, id: &RefundId) -> Option<Self> {
        order.refunds.get(id).filter(|refund| refund.stands())?;
        let (paid, refunded) = (order.paid(), order.refunded());
        Some(Self {
            paid: amount(order, paid),
            refunded: amount(order, refunded),
            remaining: amount(order, paid.saturating_sub(refunded).max(0)),
        })
    }
}

impl LineView {
    fn new(order: &Order, line: &OrderLine, column: &Column) -> Self {
        let Totals {
            subtotal,
            discount,
            tax,
            shipping,
            fees,
            total,
        } = column.parts;
        let amount = |minor| amount(order, minor);
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
            adjustment: amount(column.adjustment),
            tax_included: column.tax_included,
            total: amount(total),
            has_breakdown: [discount, tax, shipping, fees, column.adjustment]
                .iter()
                .any(|&minor| minor != 0),
            eligible: line.is_eligible(),
            eligibility: (order.eligibility == EligibilityPolicy::Stated).then(|| words(line)),
        }
    }
}

/// The eligibility of a line in words. They must not tell why an item is or may become eligible.
fn words(line: &OrderLine) -> &'static str {
    let certification = line.eligibility.as_ref().map(|word| word.certification);
    match certification {
        Some(Certification::Certified) => "HSA/FSA eligible",
        Some(Certification::NotEligible) => "Not eligible",
        Some(Certification::Conditional | Certification::Unknown) | None => {
            "Not certified as HSA/FSA eligible"
        }
    }
}

impl TestView {
    pub(super) fn new(form: Form, email: Option<&str>) -> Self {
        let what = match form {
            Form::Receipt | Form::Renewal => "receipt",
            Form::Refund
            | Form::RefundFailed
            | Form::PaymentFailed
            | Form::InvoicePaymentFailed
            | Form::Shipment
            | Form::TrialEnds => "email",
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

/// The amount due; `None` if it is unknown or nothing is due.
fn amount_due(order: &Order, due: Option<i64>) -> Option<Amount> {
    let due = due.filter(|due| *due > 0)?;
    Some(amount(order, due))
}

fn day(at: Timestamp, zone: &TimeZone) -> String {
    at.to_zoned_datetime(zone.clone())
        .strftime("%B %-d, %Y")
        .to_string()
}

fn moment(at: Timestamp, zone: &TimeZone) -> String {
    let zoned = at.to_zoned_datetime(zone.clone());
    let abbreviation = zoned.strftime("%Z").to_string();
    // Zones without an abbreviation have only an offset, `-03`, which reads like a range of
    // hours.
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
