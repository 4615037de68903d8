//! A stub of Flex's API: every checkout session is the sample under another id.
#![expect(
    clippy::indexing_slicing,
    reason = "indexing a `Value` gives null or makes the member"
)]

use crate::delivery::{PAYMENT, SESSION};
use axum::{
    http::{Uri, header::CONTENT_TYPE},
    response::IntoResponse,
};
use serde_json::{Value, json};
use std::sync::LazyLock;

const LINE_ITEMS: &str = include_str!("../../../events/flex/api/line_items.json");
const PAYMENT_INTENTS: &str = include_str!("../../../events/flex/api/payment_intents.json");
/// The session's second payment.
const SECOND_PAYMENT: &str = "fpi_01K76N0000000000000000000Z";

/// The sample with its customer expanded, as fulfillment asks for it.
static EXPANDED: LazyLock<String> = LazyLock::new(|| {
    let read = |text: &str| serde_json::from_str::<Value>(text).unwrap_or_default();
    let mut session = read(include_str!("../../../events/flex/api/session.json"));
    let customer = read(include_str!("../../../events/flex/api/customer.json"));
    session["checkout_session"]["customer"] = customer["customer"].clone();
    session.to_string()
});

/// Answers to a session, its lines or its payments.
pub(crate) async fn answer(uri: Uri) -> impl IntoResponse {
    let text = uri.to_string();
    let number = text
        .find("fcs_")
        .and_then(|at| text.get(at + "fcs_01K76N".len()..)?.get(..20))
        .unwrap_or_default();
    let sample = if text.contains("/line_items") {
        LINE_ITEMS
    } else if text.contains("/payment_intents") {
        PAYMENT_INTENTS
    } else if text.contains("/checkout/sessions/") {
        EXPANDED.as_str()
    } else {
        &json!({"detail": "Not Found"}).to_string()
    };
    let body = sample
        .replace(SESSION, &format!("fcs_01K76N{number}"))
        .replace(PAYMENT, &format!("fpi_01K76N{number}"))
        .replace(SECOND_PAYMENT, &format!("fpi_01K76P{number}"));
    ([(CONTENT_TYPE, "application/json")], body)
}
