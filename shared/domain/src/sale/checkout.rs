//! A checkout as the provider's API tells it, in the core's words.
//!
//! Amounts are whole minor units of `currency`. Enumerations are open: a value that we do not know is kept.

use crate::{
    sale::payment,
    values::{
        ids::{
            CustomerId, InvoiceId, LineItemId, OrderId, PaymentIntentId, PriceId, ProductId, Sku,
            SubscriptionId,
        },
        mode::Mode,
        money::Currency,
        provider::Provider,
    },
};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// How far a checkout is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum CheckoutStatus {
    /// Finished by the shopper: paid for, or authorized, or with a payment on its way.
    Complete,
    /// The shopper is still at it.
    Open,
    /// It ran out.
    Expired,
    /// It was called off.
    Canceled,
    /// Anything else, in the provider's word.
    Other(String),
}

/// What kind of checkout it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum CheckoutKind {
    /// A one-time payment.
    Payment,
    /// The start of a subscription.
    Subscription,
    /// A payment without the shopper present.
    OffSession,
    /// Anything else, in the provider's word.
    Other(String),
}

/// When the money is taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Capture {
    /// With the payment.
    Automatic,
    /// Later, by the merchant: until then the money is only authorized.
    Manual,
}

/// Who paid. Personal data: stored and mailed, never logged.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Customer {
    /// The provider's id.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub customer_id: Option<CustomerId>,
    /// First and last name, as given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// Where the receipt goes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub email: Option<String>,
}

/// What the whole checkout came to.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Totals {
    /// Before discount, tax, shipping and fees.
    pub subtotal: i64,
    /// Taken off, as a positive number.
    pub discount: i64,
    /// Sales tax.
    pub tax: i64,
    /// Shipping.
    pub shipping: i64,
    /// Other fees.
    #[serde(default)]
    pub fees: i64,
    /// What the customer was asked for.
    pub total: i64,
}

/// One line as the provider tells it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LineItem {
    /// The provider's id of the line.
    pub line_item_id: LineItemId,
    /// What a receipt calls it.
    pub description: String,
    /// How many.
    pub quantity: u32,
    /// The price of one, where told.
    pub unit_amount: Option<i64>,
    /// The line's own amounts.
    pub amounts: Totals,
    /// HSA/FSA eligibility in the provider's word. `None` while unclassified.
    pub eligibility: Option<Eligibility>,
    /// The provider's product.
    pub product_id: Option<ProductId>,
    /// The provider's price.
    pub price_id: Option<PriceId>,
    /// Our stock keeping unit, where the product names it.
    pub sku: Option<Sku>,
}

/// HSA/FSA eligibility in the provider's word. An open set: why a thing is eligible is nobody's business but
/// the provider's, so only [`Eligibility::is_eligible`] may leave the Orders table.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Eligibility(pub String);

impl Eligibility {
    /// Every value but `not_eligible` names a way of being eligible
    /// (<https://docs.withflex.com/product-prices/how-product-and-prices-work>).
    #[must_use]
    pub fn is_eligible(&self) -> bool {
        self.0 != "not_eligible"
    }
}

/// A checkout, read from the provider.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Checkout {
    /// Whose.
    pub provider: Provider,
    /// The order's id: the provider's session id.
    pub order_id: OrderId,
    /// The merchant's own reference, as given when the session was made.
    pub client_reference_id: Option<String>,
    /// How far it is.
    pub status: CheckoutStatus,
    /// What kind it is.
    pub kind: CheckoutKind,
    /// When the money is taken.
    pub capture: Capture,
    /// Live or test money.
    pub mode: Mode,
    /// When the session was made, where told.
    pub created_at: Option<Timestamp>,
    /// Who paid.
    pub customer: Customer,
    /// Of all amounts.
    pub currency: Currency,
    /// What it came to.
    pub totals: Totals,
    /// What has been received, where told. May rightly be below the total
    /// (<https://docs.withflex.com/api-reference/checkout-sessions/confirm-checkout-session>).
    pub received: Option<i64>,
    /// The payments; a split cart has two.
    pub payment_intents: Vec<PaymentIntentId>,
    /// What is told of each payment, where that could be read.
    pub payments: BTreeMap<PaymentIntentId, payment::PaymentFacts>,
    /// The subscription that it began, if it did.
    pub subscription_id: Option<SubscriptionId>,
    /// That subscription's first invoice, where told.
    pub invoice_id: Option<InvoiceId>,
    /// What was bought.
    pub lines: Vec<LineItem>,
}
