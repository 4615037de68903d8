//! A sale as read from the provider's API, in the core's words.
//!
//! Amounts are whole minor units of `currency`. Enumerations are open: an unknown value is kept.

use crate::{
    sale::{
        details::{Details, Metadata},
        hold::Hold,
        payment,
    },
    values::{
        facts::{Stamp, Stated},
        ids::{
            CheckoutSessionId, CustomerId, InvoiceId, LineItemId, OrderId, PaymentIntentId,
            PriceId, ProductId, Sku, SubscriptionId,
        },
        mode::Mode,
        money::Currency,
    },
};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_with::skip_serializing_none;
use std::collections::{BTreeMap, BTreeSet};

/// The status of a sale.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SaleStatus {
    /// The shopper has finished: the sale is paid, authorized, or has a payment in progress.
    Complete,
    /// The shopper has not finished.
    Open,
    Expired,
    Canceled,
    /// Any other status, in the provider's word.
    Other(String),
}

/// The kind of a sale.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SaleKind {
    /// A one-time payment.
    Payment,
    /// The start of a subscription.
    Subscription,
    /// A later cycle of a subscription.
    Renewal,
    /// A payment without the shopper present.
    OffSession,
    /// No sale, in the provider's word.
    NoSale(String),
    /// Any other kind, in the provider's word.
    Other(String),
}

/// The time when the money is taken.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Capture {
    /// With the payment.
    #[default]
    Automatic,
    /// Later, by the merchant: until then the money is only authorized.
    Manual,
}

/// The customer who paid. Personal data: stored and mailed, never logged.
#[skip_serializing_none]
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Customer {
    /// The provider's id.
    pub customer_id: Option<CustomerId>,
    /// First and last name, as given.
    pub name: Option<String>,
    /// The address for the receipt.
    pub email: Option<String>,
}

/// The amounts of a sale or of one line.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Totals {
    /// Before discount, tax, shipping and fees.
    pub subtotal: i64,
    /// A positive number.
    pub discount: i64,
    /// The sales tax.
    pub tax: i64,
    pub shipping: i64,
    /// Other fees.
    #[serde(default)]
    pub fees: i64,
    /// The amount due from the customer.
    pub total: i64,
}

/// One line of a sale.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LineItem {
    /// The provider's id of the line.
    pub line_item_id: LineItemId,
    /// The description for receipts.
    pub description: String,
    pub quantity: u32,
    /// The price of one unit, if known.
    pub unit_amount: Option<i64>,
    pub amounts: Totals,
    /// `None` while the provider has not classified the line.
    pub eligibility: Option<Eligibility>,
    pub product_id: Option<ProductId>,
    pub price_id: Option<PriceId>,
    /// The merchant's stock keeping unit, if the product names one.
    pub sku: Option<Sku>,
    /// The merchant's metadata of the product and of the price.
    pub metadata: Metadata,
}

/// What the provider states about the HSA/FSA eligibility of this purchase of a line.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Certification {
    /// This purchase is eligible.
    Certified,
    /// The product is eligible under a condition, and nothing states that this purchase meets it.
    Conditional,
    /// Not eligible.
    NotEligible,
    /// The word is unknown: it certifies nothing.
    Unknown,
}

/// HSA/FSA eligibility of a line. The provider's word reveals why an item is eligible, which only
/// the provider may know. Only the certification may leave the Orders table.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Eligibility {
    pub certification: Certification,
    /// The provider's word, an open set.
    pub word: String,
}

/// A sale, read from the provider.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sale {
    /// The provider's id of the thing that is sold once.
    pub order_id: OrderId,
    /// Orders the states of this sale, if the provider states what does.
    pub stamp: Option<Stamp>,
    /// The merchant's reference, set when the session was created.
    pub client_reference_id: Option<String>,
    pub status: SaleStatus,
    pub kind: SaleKind,
    pub capture: Capture,
    /// Live or test money.
    pub mode: Mode,
    /// The creation of the session, if known.
    pub created_at: Option<Timestamp>,
    pub customer: Customer,
    /// The currency of all amounts.
    pub currency: Currency,
    pub totals: Totals,
    /// True if the prices include the tax.
    pub tax_included: bool,
    /// The provider charges no smaller amount.
    pub least_charge: i64,
    /// The received amount, if known. It may correctly be less than the total
    /// (<https://docs.withflex.com/api-reference/checkout-sessions/confirm-checkout-session>).
    pub received: Option<i64>,
    /// True while the provider says that nothing is paid.
    pub is_unpaid: bool,
    /// The provider's reasons to keep the goods back, except those of a single payment.
    pub holds: BTreeSet<Hold>,
    /// A split cart has two.
    pub payment_intents: Vec<PaymentIntentId>,
    /// The facts of each payment that could be read.
    pub payments: BTreeMap<PaymentIntentId, Stated<payment::PaymentFacts>>,
    /// The subscription that the sale started, if any.
    pub subscription_id: Option<SubscriptionId>,
    /// The first invoice of that subscription, if known.
    pub invoice_id: Option<InvoiceId>,
    pub lines: Vec<LineItem>,
    /// The hosted sessions in which the order can be paid, if the provider sells orders.
    pub checkout_sessions: BTreeSet<CheckoutSessionId>,
    /// True if the app that made the sale also ships it, counts its goods and sends its receipt.
    pub fulfilled_elsewhere: bool,
    pub details: Details,
}
