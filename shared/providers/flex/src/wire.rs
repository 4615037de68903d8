//! Flex's resources as its API prints them, as far as an order needs them.
//!
//! From the reference pages (<https://docs.withflex.com/api-reference/checkout-sessions/get-checkout-session>,
//! <https://docs.withflex.com/api-reference/checkout-sessions/get-line-items>). Flex asks for permissive reading, so
//! every member may be missing, null or of another type; [`crate::checkout`] says which of them an order cannot do
//! without. Amounts stay raw JSON until then, because an amount that cannot be read must not become none.

use serde::{Deserialize, Deserializer, de::DeserializeOwned};
use serde_json::Value;

/// A related resource: its id, or, expanded, the resource itself
/// (<https://docs.withflex.com/expanding-resources>).
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(untagged)]
pub enum Reference<T> {
    /// The id alone.
    Id(String),
    /// All of it.
    Object(Box<T>),
}

/// A checkout session.
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
#[serde(default)]
#[expect(missing_docs, reason = "the members are Flex's, and named and described by its reference pages")]
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
}

/// Parts of a session's total. Null when there are none.
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
#[serde(default)]
#[expect(missing_docs, reason = "the members are Flex's, and named and described by its reference pages")]
pub struct TotalDetails {
    pub amount_discount: Value,
    pub amount_tax: Value,
    pub amount_shipping: Value,
}

/// A fee on a session or a line.
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
#[serde(default)]
#[expect(missing_docs, reason = "the members are Flex's, and named and described by its reference pages")]
pub struct Fee {
    pub amount: Value,
}

/// What the merchant filled in for the shopper, who may have changed it.
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
#[serde(default)]
#[expect(missing_docs, reason = "the members are Flex's, and named and described by its reference pages")]
pub struct Defaults {
    #[serde(deserialize_with = "lenient")]
    pub email: Option<String>,
}

/// A customer (<https://docs.withflex.com/api-reference/customers/get-customer>).
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
#[serde(default)]
#[expect(missing_docs, reason = "the members are Flex's, and named and described by its reference pages")]
pub struct Customer {
    #[serde(deserialize_with = "lenient")]
    pub customer_id: Option<String>,
    #[serde(deserialize_with = "lenient")]
    pub first_name: Option<String>,
    #[serde(deserialize_with = "lenient")]
    pub last_name: Option<String>,
    #[serde(deserialize_with = "lenient")]
    pub email: Option<String>,
}

/// A payment intent (<https://docs.withflex.com/api-reference/payment-intents/get-payment-intent>).
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
#[serde(default)]
#[expect(missing_docs, reason = "the members are Flex's, and named and described by its reference pages")]
pub struct PaymentIntent {
    #[serde(deserialize_with = "lenient")]
    pub payment_intent_id: Option<String>,
}

/// A line of a session.
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
#[serde(default)]
#[expect(missing_docs, reason = "the members are Flex's, and named and described by its reference pages")]
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
#[expect(missing_docs, reason = "the members are Flex's, and named and described by its reference pages")]
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
#[expect(missing_docs, reason = "the members are Flex's, and named and described by its reference pages")]
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

/// Takes what has the expected type; anything else counts as missing.
fn lenient<'de, D: Deserializer<'de>, T: DeserializeOwned>(input: D) -> Result<Option<T>, D::Error> {
    Value::deserialize(input).map(|value| serde_json::from_value(value).ok())
}
