//! Signed deliveries of a completed checkout, in API Gateway's envelope.
#![expect(
    clippy::indexing_slicing,
    reason = "indexing a `Value` gives null or makes the member"
)]

use base64::{Engine as _, prelude::BASE64_STANDARD};
use hmac::{Hmac, KeyInit as _, Mac as _};
use jiff::Timestamp;
use serde_json::{Value, json};
use sha2::Sha256;

const ENVELOPE: &str = include_str!("../../../events/intake.json");
const BODY: &str = include_str!("../../../events/flex/checkout.session.completed.json");
const BATCH: &str = include_str!("../../../events/fulfillment.json");
/// The ids in the sample.
const EVENT: &str = "fevt_01K76N0000000000000000000A";
pub(crate) const SESSION: &str = "fcs_01K76N0000000000000000000B";
pub(crate) const PAYMENT: &str = "fpi_01K76N0000000000000000000D";
/// Each order has its own customer and reference: orders that share them write the same rows.
pub(crate) const REFERENCE: &str = "\"order-1042\"";
pub(crate) const CUSTOMER: &str = "fcus_01K76N0000000000000000000C";
/// The secret's text without `fwhsec_`, in base64.
const KEY: &str = "Y2NhZDczMDYtNDEyYi0xMWVlLTg5MTItNGY4Y2E5ZmU1MmI4";

/// The document in Secrets Manager.
pub(crate) fn webhook_secrets() -> String {
    json!({"webhook_secrets": [format!("fwhsec_{KEY}")]}).to_string()
}

/// The signature of a delivery.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Signature {
    Good,
    Forged,
}

/// Makes the delivery of event `number`, signed now. The same number is the same event.
///
/// The `svix` packages of both peers check these signatures, so an error here is noticed.
pub(crate) fn delivery(number: u64, signature: Signature) -> Value {
    let body = BODY
        .replace(EVENT, &event_id(number))
        .replace(SESSION, &order_id(number))
        .replace(PAYMENT, &format!("fpi_01K76N{number:020}"))
        .replace(CUSTOMER, &format!("fcus_01K76N{number:020}"))
        .replace(REFERENCE, &format!("\"order-{number}\""));
    let (id, at) = (
        format!("msg_01K76N{number:020}"),
        Timestamp::now().as_second(),
    );
    let key = match signature {
        Signature::Good => KEY,
        Signature::Forged => "Zm9yZ2VkLWZvcmdlZC1mb3JnZWQtZm9yZ2VkLWZvcmdlZA==",
    };
    let key = BASE64_STANDARD.decode(key).unwrap_or_default();
    let mut envelope: Value = serde_json::from_str(ENVELOPE).unwrap_or_default();
    if let Ok(mut mac) = Hmac::<Sha256>::new_from_slice(&key) {
        mac.update(format!("{id}.{at}.{body}").as_bytes());
        let signed = BASE64_STANDARD.encode(mac.finalize().into_bytes());
        envelope["headers"]["svix-signature"] = json!(format!("v1,{signed}"));
    }
    envelope["headers"]["svix-id"] = json!(id);
    envelope["headers"]["svix-timestamp"] = json!(at.to_string());
    envelope["headers"]["content-length"] = json!(body.len().to_string());
    envelope["body"] = json!(body);
    envelope
}

/// The batch of fulfillment's queue with the jobs of these events.
pub(crate) fn fulfillment_batch(numbers: &[u64]) -> Value {
    batch(numbers.iter().map(|number| {
        let job = json!({"version": "1", "event_id": event_id(*number)});
        (*number, 1, job.to_string())
    }))
}

/// The batch of receipts' queue with the receipts of the orders that these events made.
pub(crate) fn receipts_batch(numbers: &[u64]) -> Value {
    batch(numbers.iter().map(|number| {
        let job = json!({"version": "1", "receipt_id": receipt_id(*number)});
        (*number, 1, job.to_string())
    }))
}

/// A batch of messages, each with its number, its count of receives, and its body.
pub(crate) fn batch(messages: impl Iterator<Item = (u64, u32, String)>) -> Value {
    let mut batch: Value = serde_json::from_str(BATCH).unwrap_or_default();
    let sample = batch["Records"][0].take();
    let records = messages.map(|(number, receives, body)| {
        let mut record = sample.clone();
        record["messageId"] = json!(message_id(number));
        record["receiptHandle"] = json!(message_id(number));
        record["attributes"]["ApproximateReceiveCount"] = json!(receives.to_string());
        record["body"] = json!(body);
        record
    });
    batch["Records"] = records.collect();
    batch
}

/// The id and the receipt handle of a message.
pub(crate) fn message_id(number: u64) -> String {
    format!("00000000-0000-4000-8000-{number:012}")
}

/// The order's id is its session's.
pub(crate) fn order_id(number: u64) -> String {
    format!("fcs_01K76N{number:020}")
}

pub(crate) fn receipt_id(number: u64) -> String {
    format!("{}-order", order_id(number))
}

pub(crate) fn event_id(number: u64) -> String {
    format!("fevt_01K76N{number:020}")
}
