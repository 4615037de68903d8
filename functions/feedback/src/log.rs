//! The log line of a notice.

use crate::{Dropped, Ended, Learned, notice::NoReport, notice::Notice};
use domain::{
    receipt::feedback::Report, sale::delivery_failure::DeliveryFailure, values::outcome::Outcome,
};
use jiff::SignedDuration;

/// Writes the only line of a notice. The batch logs a retry.
pub(crate) fn log(
    notice: &Notice,
    report: Option<&Report>,
    ended: &Ended,
    failure: Option<DeliveryFailure>,
    took: SignedDuration,
) {
    let duration_ms = u64::try_from(took.as_millis()).unwrap_or_default();
    let message_id = notice.message_id();
    let receipt_id = report.map_or("", |report| report.receipt_id.as_str());
    let event = report.map_or(notice.event_type(), |report| report.kind.name());
    // For the alarm. Only a report of a failure counts, so that no later report raises the alarm again. A duplicate
    // does, because the first try may have stopped before its line.
    let delivery_failure =
        failure.is_some() && report.is_some_and(|report| report.kind.is_failure());
    let failure = failure.map(tracing::field::display);
    match ended {
        Outcome::Accepted(Learned { settled, .. }) => {
            let outcome = settled.map_or("noted", |_| "settled");
            let state = settled.map(tracing::field::display);
            tracing::info!(outcome, receipt_id, %message_id, event, state, failure, delivery_failure, duration_ms, "SES reported on a mail");
        }
        Outcome::Duplicate => {
            tracing::info!(outcome = "duplicate", receipt_id, %message_id, event, failure, delivery_failure, duration_ms, "known");
        }
        Outcome::Rejected(Dropped::NoReceipt) => {
            tracing::warn!(outcome = "unknown_receipt", receipt_id, %message_id, event, duration_ms, "no such receipt");
        }
        Outcome::Rejected(Dropped::NoReport(why)) => {
            let outcome = match why {
                NoReport::NotOurs => "not_ours",
                NoReport::NotNeeded => "ignored",
            };
            tracing::info!(outcome, %message_id, event, reason = %why, duration_ms, "nothing to do");
        }
        Outcome::Retry(_) => {}
    }
}
