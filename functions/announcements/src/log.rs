//! The log lines of a run.

use crate::Ran;
use domain::values::outcome::RetryableError;
use jiff::SignedDuration;

/// Writes the lines of a run. A gauge that could not be measured has no line.
pub(crate) fn log(ran: &Ran, failed: Option<&RetryableError>, took: SignedDuration) {
    let duration_ms = u64::try_from(took.as_millis()).unwrap_or_default();
    let Ran {
        published,
        failed: batches_failed,
        levels,
        more,
        oldest_seconds,
    } = *ran;
    if let Some(oldest_unpublished_seconds) = oldest_seconds {
        tracing::info!(outcome = "measured", oldest_unpublished_seconds, "gauges");
    }
    match failed {
        None => {
            tracing::info!(
                outcome = "announced",
                published,
                batches_failed,
                levels,
                more,
                duration_ms,
                "announcements published"
            );
        }
        Some(error) => {
            tracing::warn!(outcome = "retry", reason = %error, published, batches_failed, levels, more, duration_ms, "the next run retries");
        }
    }
}

/// Writes the line of a batch that this version cannot read.
pub(crate) fn unreadable(batch_id: &str, reason: &str) {
    tracing::error!(
        outcome = "announcement_unreadable",
        batch_id,
        reason,
        "a batch of announcements cannot be read"
    );
}
