//! Flex's resources as its API and its events print them, reduced to the members that are used
//! here.
//!
//! The reference pages name and describe the members
//! (<https://docs.withflex.com/api-reference/checkout-sessions/get-checkout-session>,
//! <https://docs.withflex.com/api-reference/checkout-sessions/get-line-items>, and those named
//! below). Flex asks for permissive reading, so every member may be missing, null or of another
//! type. The translation to our values, such as [`crate::checkout`], decides which members are
//! required. Amounts and times stay raw JSON until then, because an unreadable amount must not
//! count as absent.

use serde::{Deserialize, Deserializer, de::DeserializeOwned};
use serde_json::Value;

/// A related resource: its id or, if expanded, the resource
/// (<https://docs.withflex.com/expanding-resources>).
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(untagged)]
pub enum Reference<T> {
    Id(String),
    /// The expanded resource.
    Object(Box<T>),
}

impl<T> Reference<T> {
    /// The resource, if expanded.
    #[must_use]
    pub fn object(&self) -> Option<&T> {
        match self {
            Self::Id(_) => None,
            Self::Object(resource) => Some(resource),
        }
    }
}

impl<T: Resource> Reference<T> {
    /// The id, in either form.
    #[must_use]
    pub fn id(&self) -> Option<&str> {
        match self {
            Self::Id(id) => Some(id),
            Self::Object(resource) => resource.id(),
        }
    }
}

/// A kind of resource, by Flex's names.
pub trait Resource: DeserializeOwned {
    /// The member that holds the resource, in events and answers.
    const KEY: &'static str;
    /// The member that holds the resource's id.
    const ID: &'static str;
    /// The resource's place in an event.
    const PLACE: &'static str;

    /// The resource's id.
    fn id(&self) -> Option<&str>;
}

macro_rules! resource {
    ($name:ident, $key:literal, $id:ident) => {
        impl Resource for $name {
            const KEY: &'static str = $key;
            const ID: &'static str = stringify!($id);
            const PLACE: &'static str = concat!("object.", $key);

            fn id(&self) -> Option<&str> {
                self.$id.as_deref()
            }
        }
    };
}

resource!(Session, "checkout_session", checkout_session_id);
resource!(Customer, "customer", customer_id);
resource!(PaymentIntent, "payment_intent", payment_intent_id);
resource!(Charge, "charge", charge_id);
resource!(Refund, "refund", refund_id);
resource!(Dispute, "dispute", dispute_id);
resource!(Subscription, "subscription", subscription_id);
resource!(Invoice, "invoice", invoice_id);
resource!(Price, "price", price_id);
resource!(Product, "product", product_id);

/// A checkout session.
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
#[serde(default)]
pub struct Session {
    #[serde(deserialize_with = "lenient")]
    pub checkout_session_id: Option<String>,
    #[serde(deserialize_with = "lenient")]
    pub client_reference_id: Option<String>,
    #[serde(deserialize_with = "lenient")]
    pub status: Option<String>,
    #[serde(deserialize_with = "lenient")]
    pub mode: Option<String>,
    #[serde(deserialize_with = "lenient")]
    pub capture_method: Option<String>,
    #[serde(deserialize_with = "lenient")]
    pub test_mode: Option<bool>,
    pub created_at: Value,
    pub amount_total: Value,
    pub amount_subtotal: Value,
    pub amount_received: Value,
    #[serde(deserialize_with = "lenient")]
    pub total_details: Option<TotalDetails>,
    #[serde(deserialize_with = "lenient")]
    pub fees: Option<Vec<Fee>>,
    #[serde(deserialize_with = "lenient")]
    pub customer: Option<Reference<Customer>>,
    #[serde(deserialize_with = "lenient")]
    pub customer_id: Option<String>,
    #[serde(deserialize_with = "lenient")]
    pub customer_email: Option<String>,
    #[serde(deserialize_with = "lenient")]
    pub defaults: Option<Defaults>,
    #[serde(deserialize_with = "lenient")]
    pub payment_intents: Option<Vec<Reference<PaymentIntent>>>,
    #[serde(deserialize_with = "lenient")]
    pub payment_intent: Option<Reference<PaymentIntent>>,
    #[serde(deserialize_with = "lenient")]
    pub payment_intent_id: Option<String>,
    #[serde(deserialize_with = "lenient")]
    pub subscription: Option<Reference<Subscription>>,
    #[serde(deserialize_with = "lenient")]
    pub invoice: Option<Reference<Invoice>>,
    // What the merchant ships and serves an order with. No decision depends on these.
    pub shipping_details: Value,
    pub shipping_options: Value,
    pub discounts: Value,
    pub tax_rate: Value,
    pub origin: Value,
    pub metadata: Value,
}

/// Parts of a session's total; null if there are none.
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
#[serde(default)]
pub struct TotalDetails {
    pub amount_discount: Value,
    pub amount_tax: Value,
    pub amount_shipping: Value,
}

/// A fee on a session or a line.
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
#[serde(default)]
pub struct Fee {
    pub amount: Value,
}

/// Values that the merchant filled in and the shopper may change.
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
#[serde(default)]
pub struct Defaults {
    #[serde(deserialize_with = "lenient")]
    pub email: Option<String>,
    pub phone: Value,
}

/// A customer (<https://docs.withflex.com/api-reference/customers/get-customer>).
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
#[serde(default)]
pub struct Customer {
    #[serde(deserialize_with = "lenient")]
    pub customer_id: Option<String>,
    #[serde(deserialize_with = "lenient")]
    pub first_name: Option<String>,
    #[serde(deserialize_with = "lenient")]
    pub last_name: Option<String>,
    #[serde(deserialize_with = "lenient")]
    pub email: Option<String>,
    pub phone: Value,
    pub shipping: Value,
    #[serde(deserialize_with = "lenient")]
    pub test_mode: Option<bool>,
}

/// A payment intent (<https://docs.withflex.com/api-reference/payment-intents/get-payment-intent>).
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
#[serde(default)]
pub struct PaymentIntent {
    #[serde(deserialize_with = "lenient")]
    pub payment_intent_id: Option<String>,
    #[serde(deserialize_with = "lenient")]
    pub status: Option<String>,
    pub amount: Value,
    pub amount_received: Value,
    #[serde(deserialize_with = "lenient")]
    pub payment_card_type: Option<String>,
    /// An id or, if expanded, an object.
    pub payment_method: Value,
    #[serde(deserialize_with = "lenient")]
    pub test_mode: Option<bool>,
}

/// A charge: one attempt of a payment. Flex's reference has no page for it, so only the reference
/// to its payment is read.
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
#[serde(default)]
pub struct Charge {
    #[serde(deserialize_with = "lenient")]
    pub charge_id: Option<String>,
    #[serde(deserialize_with = "lenient")]
    pub payment_intent: Option<Reference<PaymentIntent>>,
    #[serde(deserialize_with = "lenient")]
    pub payment_intent_id: Option<String>,
    #[serde(deserialize_with = "lenient")]
    pub test_mode: Option<bool>,
}

/// A refund (<https://docs.withflex.com/api-reference/refunds/list-refunds>). The merchant sets its
/// metadata when requesting it (<https://docs.withflex.com/api-refund-best-practices>).
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
#[serde(default)]
pub struct Refund {
    #[serde(deserialize_with = "lenient")]
    pub refund_id: Option<String>,
    #[serde(deserialize_with = "lenient")]
    pub payment_intent_id: Option<String>,
    #[serde(deserialize_with = "lenient")]
    pub payment_intent: Option<Reference<PaymentIntent>>,
    pub amount: Value,
    pub created_at: Value,
    #[serde(deserialize_with = "lenient")]
    pub status: Option<String>,
    pub metadata: Value,
    #[serde(deserialize_with = "lenient")]
    pub subscription_id: Option<String>,
    #[serde(deserialize_with = "lenient")]
    pub invoice_id: Option<String>,
    #[serde(deserialize_with = "lenient")]
    pub test_mode: Option<bool>,
}

/// A dispute (<https://docs.withflex.com/api-reference/disputes/get-dispute>).
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
#[serde(default)]
pub struct Dispute {
    #[serde(deserialize_with = "lenient")]
    pub dispute_id: Option<String>,
    #[serde(deserialize_with = "lenient")]
    pub payment_intent_id: Option<String>,
    #[serde(deserialize_with = "lenient")]
    pub payment_intent: Option<Reference<PaymentIntent>>,
    pub amount: Value,
    #[serde(deserialize_with = "lenient")]
    pub currency: Option<String>,
    #[serde(deserialize_with = "lenient")]
    pub status: Option<String>,
    #[serde(deserialize_with = "lenient")]
    pub reason: Option<String>,
    #[serde(deserialize_with = "lenient")]
    pub evidence_details: Option<EvidenceDetails>,
    #[serde(deserialize_with = "lenient")]
    pub test_mode: Option<bool>,
}

/// The state of a dispute's evidence.
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
#[serde(default)]
pub struct EvidenceDetails {
    pub due_by: Value,
}

/// A subscription (<https://docs.withflex.com/api-reference/subscriptions/get-subscription>).
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
#[serde(default)]
pub struct Subscription {
    #[serde(deserialize_with = "lenient")]
    pub subscription_id: Option<String>,
    #[serde(deserialize_with = "lenient")]
    pub customer: Option<Reference<Customer>>,
    #[serde(deserialize_with = "lenient")]
    pub customer_id: Option<String>,
    #[serde(deserialize_with = "lenient")]
    pub status: Option<String>,
    #[serde(deserialize_with = "lenient")]
    pub items: Option<Vec<Reference<SubscriptionItem>>>,
    #[serde(deserialize_with = "lenient")]
    pub latest_invoice: Option<Reference<Invoice>>,
    #[serde(deserialize_with = "lenient")]
    pub cancel_at_period_end: Option<bool>,
    pub cancel_at: Value,
    pub current_period_end: Value,
    pub trial_end: Value,
    #[serde(deserialize_with = "lenient")]
    pub test_mode: Option<bool>,
}

/// One item of a subscription.
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
#[serde(default)]
pub struct SubscriptionItem {
    #[serde(deserialize_with = "lenient")]
    pub price: Option<Reference<Price>>,
    pub quantity: Value,
}

/// An invoice (<https://docs.withflex.com/api-reference/invoices/get-invoice>).
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
#[serde(default)]
pub struct Invoice {
    #[serde(deserialize_with = "lenient")]
    pub invoice_id: Option<String>,
    #[serde(deserialize_with = "lenient")]
    pub subscription: Option<Reference<Subscription>>,
    #[serde(deserialize_with = "lenient")]
    pub subscription_id: Option<String>,
    #[serde(deserialize_with = "lenient")]
    pub customer: Option<Reference<Customer>>,
    #[serde(deserialize_with = "lenient")]
    pub customer_id: Option<String>,
    #[serde(deserialize_with = "lenient")]
    pub payment_intent: Option<Reference<PaymentIntent>>,
    #[serde(deserialize_with = "lenient")]
    pub payment_intent_id: Option<String>,
    pub amount_paid: Value,
    pub amount_due: Value,
    pub period_start: Value,
    pub period_end: Value,
    #[serde(deserialize_with = "lenient")]
    pub test_mode: Option<bool>,
}

/// A line of a session.
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
#[serde(default)]
pub struct LineItem {
    #[serde(deserialize_with = "lenient")]
    pub line_item_id: Option<String>,
    #[serde(deserialize_with = "lenient")]
    pub description: Option<String>,
    pub quantity: Value,
    pub amount_subtotal: Value,
    pub amount_discount: Value,
    pub amount_tax: Value,
    pub amount_shipping: Value,
    pub amount_fee: Value,
    pub amount_total: Value,
    #[serde(deserialize_with = "lenient")]
    pub fees: Option<Vec<Fee>>,
    #[serde(deserialize_with = "lenient")]
    pub eligibility: Option<String>,
    #[serde(deserialize_with = "lenient")]
    pub price: Option<Reference<Price>>,
}

/// A price (<https://docs.withflex.com/api-reference/prices/list-prices>).
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
#[serde(default)]
pub struct Price {
    #[serde(deserialize_with = "lenient")]
    pub price_id: Option<String>,
    pub unit_amount: Value,
    pub metadata: Value,
    #[serde(deserialize_with = "lenient")]
    pub product: Option<Reference<Product>>,
}

/// A product (<https://docs.withflex.com/api-reference/products/create-product>).
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
#[serde(default)]
pub struct Product {
    #[serde(deserialize_with = "lenient")]
    pub product_id: Option<String>,
    #[serde(deserialize_with = "lenient")]
    pub name: Option<String>,
    #[serde(deserialize_with = "lenient")]
    pub receipt_description: Option<String>,
    #[serde(deserialize_with = "lenient")]
    pub hsa_fsa_eligibility: Option<String>,
    pub client_reference_id: Value,
    pub upc_code: Value,
    pub gtin: Value,
    pub metadata: Value,
}

/// Reads a value of the expected type; any other type counts as missing.
fn lenient<'de, D: Deserializer<'de>, T: DeserializeOwned>(
    input: D,
) -> Result<Option<T>, D::Error> {
    Value::deserialize(input).map(|value| serde_json::from_value(value).ok())
}
