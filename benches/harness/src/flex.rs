//! A stub of Flex's API: every checkout session is the sample under another id.
#![expect(
    clippy::indexing_slicing,
    reason = "indexing a `Value` gives null or makes the member"
)]

use crate::delivery::{CUSTOMER, PAYMENT, REFERENCE, SESSION};
use axum::{
    http::{Uri, header::CONTENT_TYPE},
    response::{IntoResponse, Response},
};
use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};
use std::sync::LazyLock;

/// The SKUs of the orders.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Skus {
    /// Each order has its own.
    #[default]
    Spread,
    /// All orders have those of the sample.
    Same,
}

/// The sessions of a page.
const PAGE: usize = 100;
/// The SKUs in the sample.
const SAMPLE_SKUS: [&str; 2] = ["BRACE-M", "TOTE"];

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

/// The number in a session's id.
fn number(text: &str) -> Option<&str> {
    let at = text.find("fcs_")?;
    text.get(at + "fcs_01K76N".len()..)?.get(..20)
}

/// True if Flex is asked for a page of all sessions.
pub(crate) fn is_list_of_sessions(uri: &Uri) -> bool {
    uri.path() == "/v1/checkout/sessions"
}

/// The page of these sessions after the one that the request names.
pub(crate) fn page(uri: &Uri, listed: &[u64]) -> Vec<u64> {
    let after = uri.query().and_then(number).and_then(|it| it.parse().ok());
    let after = listed
        .iter()
        .filter(|it| after.is_none_or(|after| **it > after));
    after.take(PAGE).copied().collect()
}

/// Answers to a session, its lines or its payments, or with the page of all sessions that has these.
pub(crate) fn answer(uri: &Uri, skus: Skus, listed: Option<Vec<u64>>) -> Response {
    let text = uri.to_string();
    let number = number(&text).unwrap_or_default();
    let sample = match uri.path().rsplit('/').next().unwrap_or_default() {
        _ if listed.is_some() => return json(list(&listed.unwrap_or_default())),
        "line_items" => LINE_ITEMS,
        "payment_intents" if !number.is_empty() => PAYMENT_INTENTS,
        name @ ("payment_intents" | "invoices" | "refunds" | "disputes" | "subscriptions") => {
            return json(json!({name: []}).to_string());
        }
        _ => EXPANDED.as_str(),
    };
    let mut body = of_number(sample, number);
    if skus == Skus::Spread {
        for sku in SAMPLE_SKUS {
            let own = format!("\"{sku}-{number}\"");
            body = body.replace(&format!("\"{sku}\""), &own);
        }
    }
    json(body)
}

/// The sample under the ids of this number.
fn of_number(sample: &str, number: &str) -> String {
    sample
        .replace(SESSION, &format!("fcs_01K76N{number}"))
        .replace(PAYMENT, &format!("fpi_01K76N{number}"))
        .replace(SECOND_PAYMENT, &format!("fpi_01K76P{number}"))
        .replace(CUSTOMER, &format!("fcus_01K76N{number}"))
        .replace(REFERENCE, &format!("\"order-{number}\""))
}

fn json(body: String) -> Response {
    ([(CONTENT_TYPE, "application/json")], body).into_response()
}

/// Sessions that were completed an hour ago, as Flex lists them.
fn list(numbers: &[u64]) -> String {
    let mut session: Value = serde_json::from_str(&EXPANDED).unwrap_or_default();
    let mut session = session["checkout_session"].take();
    let at = Timestamp::now() - SignedDuration::from_hours(1);
    session["created_at"] = json!(at.as_second());
    let sample = session.to_string();
    let sessions = numbers
        .iter()
        .map(|number| of_number(&sample, &format!("{number:020}")));
    let sessions: Vec<_> = sessions.collect();
    format!(r#"{{"checkout_sessions": [{}]}}"#, sessions.join(","))
}
