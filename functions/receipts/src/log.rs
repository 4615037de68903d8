//! The log line of a receipt job.

use crate::{Ended, Sent, Unsent};
use domain::values::{
    ids::ReceiptId,
    outcome::{Outcome, RetryableError},
};
use jiff::SignedDuration;

/// Writes the only line of a job. The batch logs a retry.
pub(crate) fn log(receipt_id: &ReceiptId, ended: &Ended, took: SignedDuration) {
    let duration_ms = u64::try_from(took.as_millis()).unwrap_or_default();
    match ended {
        Outcome::Accepted(Sent {
            message_id,
            again,
            marked,
        }) => {
            tracing::info!(outcome = "sent", %receipt_id, %message_id, again, marked, duration_ms, "receipt sent");
        }
        Outcome::Duplicate => {
            tracing::info!(outcome = "duplicate", %receipt_id, duration_ms, "nothing to do");
        }
        Outcome::Rejected(Unsent::Failed(reason)) => {
            tracing::warn!(outcome = "failed", %receipt_id, reason, duration_ms, "receipt cannot be sent");
        }
        Outcome::Rejected(unsent @ Unsent::Held) => {
            tracing::warn!(outcome = "held", %receipt_id, reason = %unsent, duration_ms, "receipt held for a person");
        }
        Outcome::Rejected(Unsent::Withdrawn(reason)) => {
            tracing::info!(outcome = "withdrawn", %receipt_id, reason, duration_ms, "outdated notice withdrawn");
        }
        Outcome::Rejected(unsent @ (Unsent::NotDue | Unsent::Waits)) => {
            tracing::info!(outcome = "not_due", %receipt_id, reason = %unsent, duration_ms, "left to sweep");
        }
        Outcome::Retry(RetryableError::Unknown { cause, .. }) => {
            tracing::warn!(outcome = "unknown", %receipt_id, reason = cause, duration_ms, "the outcome of the mail is unknown");
        }
        Outcome::Retry(_) => {}
    }
}
