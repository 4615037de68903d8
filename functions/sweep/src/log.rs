//! The two log lines of a run.

use crate::Swept;
use domain::{upkeep::sweep::Gauges, values::outcome::RetryableError};
use jiff::SignedDuration;

/// Writes the line of the requeued rows.
pub(crate) fn log(swept: &Swept, failed: Option<&RetryableError>, took: SignedDuration) {
    let duration_ms = u64::try_from(took.as_millis()).unwrap_or_default();
    let Swept {
        stored,
        committed,
        unsent,
        leased,
        due,
        filled,
        longest,
        more,
        ..
    } = swept;
    let (stalled, many) = (swept.stalled > 0, swept.stalled);
    let longest = longest.as_deref();
    match failed {
        None => {
            tracing::info!(
                outcome = "swept",
                stored,
                committed,
                unsent,
                leased,
                due,
                filled,
                stalled,
                stalled_rows = many,
                longest,
                more,
                duration_ms,
                "rows requeued"
            );
        }
        Some(error) => {
            tracing::warn!(outcome = "retry", reason = %error, stored, committed, unsent, leased, due, filled, stalled, stalled_rows = many, longest, more, duration_ms, "the next run retries");
        }
    }
}

/// Writes one line with a field per gauge of the template. The field of an unknown gauge is absent.
pub(crate) fn log_gauges(gauges: &Gauges, unknown: Option<&RetryableError>) {
    let Gauges {
        oldest_unfulfilled_seconds,
        stored,
        parked,
        held,
        failed,
        dead_letters,
    } = *gauges;
    let outcome = "measured";
    match unknown {
        None => {
            tracing::info!(
                outcome,
                oldest_unfulfilled_seconds,
                stored,
                parked,
                held,
                failed,
                dead_letters,
                "gauges"
            );
        }
        Some(error) => {
            tracing::warn!(outcome, reason = %error, oldest_unfulfilled_seconds, stored, parked, held, failed, dead_letters, "some gauges are unknown");
        }
    }
}
