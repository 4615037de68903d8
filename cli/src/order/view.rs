//! An order as `till order` shows it: the data of the JSON, from which the text is made.

mod parts;

use super::{
    attention::{self, Item},
    gather::Rows,
    timeline::{self, Entry},
};
use crate::answers::Time;
use crate::backend::LogLine;
use domain::{
    access::entitlement::Entitlement,
    delivery::stored_event::StoredEvent,
    values::money::{Currency, Money},
};
use jiff::Timestamp;
pub(crate) use parts::subscription;
use parts::{customer, disputes, line, mail, money, payments, refunds};
use schemars::JsonSchema;
use serde::Serialize;

/// An amount, not formatted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, JsonSchema)]
pub struct Amount {
    /// Minor units.
    pub minor: i64,
    #[serde(serialize_with = "code")]
    #[schemars(with = "String")]
    pub currency: Currency,
}

impl Amount {
    /// An amount of a currency.
    #[must_use]
    pub fn new(minor: i64, currency: Currency) -> Self {
        Self { minor, currency }
    }
}

#[expect(
    clippy::trivially_copy_pass_by_ref,
    reason = "serde passes a reference"
)]
fn code<S: serde::Serializer>(currency: &Currency, to: S) -> Result<S::Ok, S::Error> {
    to.serialize_str(currency.code())
}

impl std::fmt::Display for Amount {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { minor, currency } = *self;
        Money { minor, currency }.fmt(f)
    }
}

#[derive(Debug, Clone, Serialize, JsonSchema)]
pub struct OrderView {
    pub order_id: String,
    pub provider: String,
    pub kind: &'static str,
    pub reference: Option<String>,
    pub state: String,
    pub disputed: bool,
    pub holds: Vec<String>,
    #[schemars(with = "Time")]
    pub placed_at: Timestamp,
    #[schemars(with = "Option<Time>")]
    pub fulfilled_at: Option<Timestamp>,
    pub customer: CustomerView,
    pub money: MoneyView,
    pub payments: Vec<PaymentView>,
    pub lines: Vec<LineView>,
    pub refunds: Vec<RefundView>,
    pub disputes: Vec<DisputeView>,
    pub mails: Vec<MailView>,
    pub access: Vec<AccessView>,
    pub subscription: Option<SubscriptionView>,
    pub open_items: Vec<Item>,
    pub timeline: Vec<Entry>,
}

#[derive(Debug, Clone, Serialize, JsonSchema)]
pub struct CustomerView {
    pub customer_id: Option<String>,
    pub name: Option<String>,
    pub email: Option<String>,
    /// True if name and address are masked.
    pub masked: bool,
    pub erased: bool,
}

#[derive(Debug, Clone, Serialize, JsonSchema)]
pub struct MoneyView {
    pub subtotal: Amount,
    pub discount: Amount,
    pub tax: Amount,
    pub shipping: Amount,
    pub fees: Amount,
    pub total: Amount,
    pub due: Amount,
    pub received: Amount,
    pub refunded: Amount,
}

#[derive(Debug, Clone, Serialize, JsonSchema)]
pub struct PaymentView {
    pub payment_id: String,
    pub status: Option<String>,
}

#[derive(Debug, Clone, Serialize, JsonSchema)]
pub struct LineView {
    pub line_item_id: String,
    pub description: String,
    pub sku: Option<String>,
    pub quantity: u32,
    pub amount: Amount,
    /// `None` if the provider certifies no eligibility.
    pub eligible: Option<bool>,
    pub stock: StockView,
}

#[derive(Debug, Clone, Serialize, JsonSchema)]
pub struct StockView {
    /// The word of the row: `counted`, `untracked`, `uncounted`, `waiting`, `exempt` or `unmapped`.
    pub state: String,
    /// Units of all lines with this SKU.
    pub deducted: Option<i64>,
    pub restocked: Option<i64>,
    pub shortfall: Option<i64>,
}

#[derive(Debug, Clone, Serialize, JsonSchema)]
pub struct RefundView {
    pub refund_id: String,
    pub status: String,
    pub amount: Amount,
    #[schemars(with = "Option<Time>")]
    pub made_at: Option<Timestamp>,
}

#[derive(Debug, Clone, Serialize, JsonSchema)]
pub struct DisputeView {
    pub dispute_id: String,
    pub status: String,
    /// `open`, `won` or `lost`.
    pub stage: &'static str,
    pub amount: Amount,
    pub reason: Option<String>,
    #[schemars(with = "Option<Time>")]
    pub due_by: Option<Timestamp>,
}

#[derive(Debug, Clone, Serialize, JsonSchema)]
pub struct MailView {
    pub receipt_id: String,
    pub kind: &'static str,
    pub status: String,
    pub version: u64,
    /// The outcome of the latest mail: `bounced`, `complained` or `refused`.
    pub failure: Option<String>,
    pub reason: Option<String>,
}

#[derive(Debug, Clone, Serialize, JsonSchema)]
pub struct AccessView {
    pub product_id: String,
    #[schemars(with = "Time")]
    pub until: Timestamp,
    pub active: bool,
    pub reason: String,
    pub text: String,
}

#[derive(Debug, Clone, Serialize, JsonSchema)]
pub struct SubscriptionView {
    pub subscription_id: String,
    pub status: Option<String>,
    #[schemars(with = "Option<Time>")]
    pub paid_through: Option<Timestamp>,
    #[schemars(with = "Option<Time>")]
    pub ended_at: Option<Timestamp>,
    pub products: Vec<String>,
}

/// The rows and lines about an order.
#[derive(Debug, Clone, Copy)]
pub struct Known<'a> {
    pub rows: &'a Rows,
    /// Events about the order that are not done.
    pub open: &'a [StoredEvent],
    /// Lines of the log about the order.
    pub log: &'a [LogLine],
}

/// The view of an order.
#[must_use]
pub fn view(known: Known<'_>, reveal: bool, now: Timestamp) -> OrderView {
    let rows = known.rows;
    let order = &rows.order;
    let amount = |minor| Amount::new(minor, order.currency);
    let holds = order.active_holds();
    let lines = order.lines.iter().map(|of| line(of, rows, amount));
    let access = rows.entitlements.iter().map(|row| access(row, now));
    OrderView {
        order_id: order.order_id.to_string(),
        provider: order.provider.to_string(),
        kind: match order.kind {
            domain::sale::order::OrderKind::Sale => "sale",
            domain::sale::order::OrderKind::Renewal => "renewal",
        },
        reference: order.client_reference_id.clone(),
        state: order.state().to_string(),
        disputed: order.is_disputed(),
        holds: holds.iter().map(ToString::to_string).collect(),
        placed_at: order.placed_at,
        fulfilled_at: order.fulfilled_at,
        customer: customer(rows, reveal),
        money: money(rows, amount),
        payments: payments(rows),
        lines: lines.collect(),
        refunds: refunds(rows),
        disputes: disputes(rows),
        mails: rows.receipts.iter().map(mail).collect(),
        access: access.collect(),
        subscription: rows.subscription.as_ref().map(subscription),
        open_items: attention::items(known, now),
        timeline: timeline::timeline(known),
    }
}

/// A customer's access to a product.
#[must_use]
pub fn access(row: &Entitlement, now: Timestamp) -> AccessView {
    AccessView {
        product_id: row.product_id.to_string(),
        until: row.access_until,
        active: row.access_until > now,
        reason: row.reason.as_str().to_owned(),
        text: row.reason_text.clone(),
    }
}
