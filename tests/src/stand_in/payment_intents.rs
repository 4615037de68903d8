//! The payment intents of a session about which nothing was said but the session itself.

use jiff::Timestamp;
use serde_json::{Value, json};

/// The ids of a session's payment intents: two where the cart was split.
pub(super) fn listed<'a>(session: &'a Value) -> Vec<&'a str> {
    // An id, or, expanded, the intent itself.
    let id = |intent: &'a Value| {
        intent
            .as_str()
            .or_else(|| intent.get("payment_intent_id")?.as_str())
    };
    let many = session
        .get("payment_intents")
        .and_then(Value::as_array)
        .into_iter()
        .flatten();
    let mut ids: Vec<&str> = many.filter_map(id).collect();
    if let Some(first) = session
        .get("payment_intent")
        .and_then(id)
        .filter(|first| !ids.contains(first))
    {
        ids.insert(0, first);
    }
    ids
}

/// The payment intents of a completed session, in the shape of
/// <https://docs.withflex.com/api-reference/payment-intents/get-payment-intent>: they share what the session came to,
/// and what of it was received. Without received money, the session's capture method gives the status.
pub(super) fn made_from(session: &Value) -> Vec<Value> {
    let text = |name: &str| session.get(name).and_then(Value::as_str);
    if text("status") != Some("complete") {
        return Vec::new();
    }
    let amount = |name: &str| session.get(name).and_then(Value::as_i64);
    let total = amount("amount_total").unwrap_or_default();
    let received = amount("amount_received").unwrap_or(total);
    let status = match text("capture_method") {
        _ if received > 0 || total == 0 => "succeeded",
        Some("manual") => "requires_capture",
        _ => "processing",
    };
    let created_at = amount("created_at").and_then(|second| Timestamp::from_second(second).ok());
    let ids = listed(session);
    let parts = i64::try_from(ids.len()).unwrap_or(i64::MAX);
    let intent = |(nth, id): (usize, &&str)| {
        // The first one takes the remainder.
        let share = |of: i64| of / parts + if nth == 0 { of % parts } else { 0 };
        json!({
            "payment_intent_id": id,
            "amount": share(total),
            "amount_capturable": if status == "requires_capture" { share(total) } else { 0 },
            "amount_received": share(received),
            "application_fee_amount": 0,
            "customer": session.get("customer"),
            "transfer_data": null,
            "status": status,
            "latest_charge": null,
            "created_at": created_at,
            "invoice": session.get("invoice"),
            "client_secret": null,
            "capture_method": text("capture_method").unwrap_or("automatic"),
            "metadata": {},
            "payment_method": null,
            "test_mode": session.get("test_mode"),
            "transfer_group": null,
            "payment_card_type": if nth == 0 { "primary" } else { "secondary" },
            "letter_fee_amount": 0,
            "transaction_fee": 0,
            "last_payment_error": null,
        })
    };
    ids.iter().enumerate().map(intent).collect()
}
