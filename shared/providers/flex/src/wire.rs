//! Flex's resources as its API and its events print them, reduced to the members that are used
//! here.
//!
//! The reference pages name and describe the members
//! (<https://docs.withflex.com/api-reference/checkout-sessions/get-checkout-session>,
//! <https://docs.withflex.com/api-reference/checkout-sessions/get-line-items>, and those named
//! below). Flex asks for permissive reading, so every member is a [`Field`]: it may be absent or of
//! another kind. The translation to our values, such as [`crate::sale`], decides which members
//! it needs. A new member gets a field here, of one of the types that [`reading`] lists.

use jiff::Timestamp;
pub use reading::Reference;
use reading::{Code, Field, Identified, Readable};
use serde::Deserialize;
use serde_json::Value;

/// The lines of a session, read one by one.
pub type LineItems = Field<Vec<Field<LineItem>>>;

/// A kind of resource, by Flex's names.
pub trait Resource: Readable + Identified {
    /// The member that holds the resource, in events and answers.
    const KEY: &'static str;
    /// The member that holds the resource's id.
    const ID: &'static str;
    /// The resource's place in an event.
    const PLACE: &'static str;
}

macro_rules! readable {
    ($($name:ident),+) => {
        $(impl Readable for $name {
            fn read(value: Value) -> Option<Self> {
                reading::object(value)
            }
        })+
    };
}

macro_rules! resource {
    ($name:ident, $key:literal, $id:ident) => {
        readable!($name);

        impl Resource for $name {
            const KEY: &'static str = $key;
            const ID: &'static str = stringify!($id);
            const PLACE: &'static str = concat!("object.", $key);
        }

        impl Identified for $name {
            fn id(&self) -> Field<String> {
                self.$id.id()
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

readable!(
    TotalDetails,
    Fee,
    Defaults,
    EvidenceDetails,
    SubscriptionItem,
    InvoiceLine,
    Span,
    LineItem
);

/// A checkout session.
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
#[serde(default)]
pub struct Session {
    pub checkout_session_id: Field<String>,
    pub client_reference_id: Field<Code>,
    pub status: Field<String>,
    pub mode: Field<String>,
    pub capture_method: Field<String>,
    pub test_mode: Field<bool>,
    pub created_at: Field<Timestamp>,
    pub currency: Field<String>,
    pub amount_total: Field<i64>,
    pub amount_subtotal: Field<i64>,
    pub amount_received: Field<i64>,
    pub total_details: Field<TotalDetails>,
    pub fees: Field<Vec<Field<Fee>>>,
    pub tax_calculation_mode: Field<String>,
    pub hsa_fsa_eligible: Field<bool>,
    pub letter_of_medical_necessity_required: Field<bool>,
    pub customer: Field<Reference<Customer>>,
    pub customer_id: Field<String>,
    pub customer_email: Field<String>,
    pub customer_details: Field<Customer>,
    pub defaults: Field<Defaults>,
    pub payment_intents: Field<Vec<Field<Reference<PaymentIntent>>>>,
    pub payment_intent: Field<Reference<PaymentIntent>>,
    pub payment_intent_id: Field<String>,
    pub subscription: Field<Reference<Subscription>>,
    pub invoice: Field<Reference<Invoice>>,
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
    pub amount_discount: Field<i64>,
    pub amount_tax: Field<i64>,
    pub amount_shipping: Field<i64>,
}

/// A fee on a session or a line.
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
#[serde(default)]
pub struct Fee {
    pub amount: Field<i64>,
}

/// Values that the merchant filled in and the shopper may change.
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
#[serde(default)]
pub struct Defaults {
    pub email: Field<String>,
    pub phone: Value,
}

/// A customer (<https://docs.withflex.com/api-reference/customers/get-customer>).
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
#[serde(default)]
pub struct Customer {
    pub customer_id: Field<String>,
    pub first_name: Field<String>,
    pub last_name: Field<String>,
    pub email: Field<String>,
    pub phone: Value,
    pub shipping: Value,
    pub test_mode: Field<bool>,
}

/// A payment intent (<https://docs.withflex.com/api-reference/payment-intents/get-payment-intent>).
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
#[serde(default)]
pub struct PaymentIntent {
    pub payment_intent_id: Field<String>,
    pub status: Field<String>,
    pub currency: Field<String>,
    pub amount: Field<i64>,
    pub amount_received: Field<i64>,
    pub amount_capturable: Field<i64>,
    pub created_at: Field<Timestamp>,
    pub payment_card_type: Field<String>,
    /// An id or, if expanded, an object.
    pub payment_method: Value,
    pub test_mode: Field<bool>,
}

/// A charge: one attempt of a payment. Flex's reference has no page for it, so only the reference
/// to its payment is read.
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
#[serde(default)]
pub struct Charge {
    pub charge_id: Field<String>,
    pub payment_intent: Field<Reference<PaymentIntent>>,
    pub payment_intent_id: Field<String>,
    pub test_mode: Field<bool>,
}

/// A refund (<https://docs.withflex.com/api-reference/refunds/list-refunds>). The merchant sets its
/// metadata when requesting it (<https://docs.withflex.com/api-refund-best-practices>).
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
#[serde(default)]
pub struct Refund {
    pub refund_id: Field<String>,
    pub payment_intent_id: Field<String>,
    pub payment_intent: Field<Reference<PaymentIntent>>,
    pub amount: Field<i64>,
    pub currency: Field<String>,
    pub created_at: Field<Timestamp>,
    pub status: Field<String>,
    pub metadata: Value,
    pub subscription_id: Field<String>,
    pub invoice_id: Field<String>,
    pub test_mode: Field<bool>,
}

/// A dispute (<https://docs.withflex.com/api-reference/disputes/get-dispute>).
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
#[serde(default)]
pub struct Dispute {
    pub dispute_id: Field<String>,
    pub payment_intent_id: Field<String>,
    pub payment_intent: Field<Reference<PaymentIntent>>,
    pub amount: Field<i64>,
    pub currency: Field<String>,
    pub status: Field<String>,
    pub reason: Field<String>,
    pub evidence_details: Field<EvidenceDetails>,
    pub test_mode: Field<bool>,
}

/// The state of a dispute's evidence.
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
#[serde(default)]
pub struct EvidenceDetails {
    pub due_by: Field<Timestamp>,
}

/// A subscription (<https://docs.withflex.com/api-reference/subscriptions/get-subscription>).
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
#[serde(default)]
pub struct Subscription {
    pub subscription_id: Field<String>,
    pub customer: Field<Reference<Customer>>,
    pub customer_id: Field<String>,
    pub status: Field<String>,
    pub items: Field<Vec<Field<Reference<SubscriptionItem>>>>,
    pub latest_invoice: Field<Reference<Invoice>>,
    pub cancel_at_period_end: Field<bool>,
    pub created_at: Field<Timestamp>,
    pub cancel_at: Field<Timestamp>,
    pub current_period_start: Field<Timestamp>,
    pub current_period_end: Field<Timestamp>,
    pub trial_end: Field<Timestamp>,
    pub test_mode: Field<bool>,
}

/// One item of a subscription.
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
#[serde(default)]
pub struct SubscriptionItem {
    pub subscription_item_id: Field<String>,
    pub created_at: Field<Timestamp>,
    pub updated_at: Field<Timestamp>,
    pub price: Field<Reference<Price>>,
    pub quantity: Field<i64>,
}

/// An invoice (<https://docs.withflex.com/api-reference/invoices/get-invoice>).
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
#[serde(default)]
pub struct Invoice {
    pub invoice_id: Field<String>,
    pub subscription: Field<Reference<Subscription>>,
    pub subscription_id: Field<String>,
    pub customer: Field<Reference<Customer>>,
    pub customer_id: Field<String>,
    pub payment_intent: Field<Reference<PaymentIntent>>,
    pub payment_intent_id: Field<String>,
    pub currency: Field<String>,
    pub amount_paid: Field<i64>,
    pub amount_due: Field<i64>,
    pub created_at: Field<Timestamp>,
    pub period_start: Field<Timestamp>,
    pub period_end: Field<Timestamp>,
    pub lines: Field<InvoiceLines>,
    pub test_mode: Field<bool>,
}

/// The lines of an invoice: a list, or an object with the list in it. Flex does not document them; card networks'
/// processors have them (<https://docs.stripe.com/api/invoices/object#invoice_object-lines>).
#[derive(Debug, Clone, Default, PartialEq)]
pub struct InvoiceLines(pub Vec<Field<InvoiceLine>>);

impl Readable for InvoiceLines {
    fn read(value: Value) -> Option<Self> {
        let list = match value {
            Value::Object(mut object) => object.remove("data")?,
            list => list,
        };
        Vec::read(list).map(Self)
    }
}

/// One line of an invoice.
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
#[serde(default)]
pub struct InvoiceLine {
    pub period: Field<Span>,
}

/// The period of a line.
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
#[serde(default)]
pub struct Span {
    pub start: Field<Timestamp>,
    pub end: Field<Timestamp>,
}

/// A line of a session.
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
#[serde(default)]
pub struct LineItem {
    pub line_item_id: Field<String>,
    pub description: Field<String>,
    pub quantity: Field<i64>,
    pub amount_subtotal: Field<i64>,
    pub amount_discount: Field<i64>,
    pub amount_tax: Field<i64>,
    pub amount_shipping: Field<i64>,
    pub amount_fee: Field<i64>,
    pub amount_total: Field<i64>,
    pub fees: Field<Vec<Field<Fee>>>,
    pub eligibility: Field<String>,
    pub price: Field<Reference<Price>>,
}

/// A price (<https://docs.withflex.com/api-reference/prices/list-prices>).
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
#[serde(default)]
pub struct Price {
    pub price_id: Field<String>,
    pub unit_amount: Field<i64>,
    /// `one_time` or `recurring`.
    #[serde(rename = "type")]
    pub kind: Field<String>,
    pub hsa_fsa_eligibility: Field<String>,
    pub metadata: Value,
    pub product: Field<Reference<Product>>,
}

/// A product (<https://docs.withflex.com/api-reference/products/create-product>).
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
#[serde(default)]
pub struct Product {
    pub product_id: Field<String>,
    pub name: Field<String>,
    pub receipt_description: Field<String>,
    pub hsa_fsa_eligibility: Field<String>,
    pub client_reference_id: Field<Code>,
    pub upc_code: Field<Code>,
    pub gtin: Field<Code>,
    pub metadata: Value,
}
