//! One SQS batch in, a partial answer out.
//!
//! Each record stands for itself: a body that is not ours, a panic, or running out of time fails that record
//! and no other. A failed record is left alone for a growing while before it is delivered again.

use aws_lambda_events::event::sqs::{SqsBatchResponse, SqsEvent, SqsMessage};
use domain::{
    ids::OwnerToken,
    job::Job,
    outcome::{Setback, back_off},
    ports::Delay,
};
use futures_util::{FutureExt, future::join_all};
use std::{any::Any, panic::AssertUnwindSafe, time::Duration};

/// Kept back from an invocation's time, to answer and to delay what has failed.
const RESERVE: Duration = Duration::from_secs(2);

/// One try at one message.
#[derive(Debug, Clone)]
pub struct Attempt {
    /// Unique for each try: who holds a claim.
    pub owner: OwnerToken,
    /// How often the message has been received, from 1.
    pub receives: u32,
    /// How long this try may take.
    pub time_left: Duration,
    /// Whether the queue gives up on the message after this try.
    pub last: bool,
}

/// What a function does with a job.
pub trait Worker<J: Job>: Sync {
    /// Works on a job: `Ok` when it has come to an end, well or not; a setback when it is worth asking again.
    fn work(&self, job: &J, attempt: &Attempt) -> impl Future<Output = Result<(), Setback>> + Send;
    /// Keeps on record that an attempt failed, as well as it can.
    fn failed(&self, job: &J, setback: &Setback, attempt: &Attempt) -> impl Future<Output = ()> + Send;
}

/// How failed messages are treated: the template's `RetryBaseSeconds` and `maxReceiveCount`.
#[derive(Debug, Clone, Copy)]
pub struct Retries {
    /// The first back-off.
    pub base: Duration,
    /// After how many receives the queue gives up.
    pub most_receives: u32,
}

/// A record cannot be named in the answer, so the whole batch must be delivered again.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("a failed record has no message id: the whole batch is to be delivered again")]
pub struct Nameless;

/// Works on all records of a batch at once.
///
/// An empty identifier in the answer would mean "the whole batch" to Lambda; where a failed record has no id,
/// that is said openly by an error.
pub async fn run<J: Job, W: Worker<J>>(
    event: SqsEvent,
    request_id: &str,
    time_left: Duration,
    retries: Retries,
    worker: &W,
    delay: &impl Delay,
) -> Result<SqsBatchResponse, Nameless> {
    let time_left = time_left.saturating_sub(RESERVE);
    let records = event.records.iter().map(|record| async move {
        match one(record, request_id, time_left, retries, worker).await {
            Ok(()) => Ok(None),
            Err((setback, receives)) => {
                let wait = back_off(retries.base, receives, setback.retry_after());
                leave_alone(record, wait, &setback, receives, delay).await;
                record.message_id.clone().filter(|id| !id.is_empty()).map(Some).ok_or(Nameless)
            }
        }
    });
    let mut response = SqsBatchResponse::default();
    for failed in join_all(records).await {
        if let Some(message_id) = failed? {
            response.add_failure(message_id);
        }
    }
    Ok(response)
}

async fn one<J: Job, W: Worker<J>>(
    record: &SqsMessage,
    request_id: &str,
    time_left: Duration,
    retries: Retries,
    worker: &W,
) -> Result<(), (Setback, u32)> {
    let receives = record
        .attributes
        .get("ApproximateReceiveCount")
        .and_then(|count| count.parse().ok())
        .unwrap_or(1_u32);
    let job: J = serde_json::from_str(record.body.as_deref().unwrap_or_default()).map_err(|error| {
        let at = format!("line {}, column {}", error.line(), error.column());
        (Setback::Fault(format!("the message is not a job that this version knows ({at})")), receives)
    })?;
    let message_id = record.message_id.as_deref().unwrap_or_default();
    let owner = OwnerToken::new(format!("{request_id}.{message_id}"))
        .map_err(|bad| (Setback::Fault(bad.to_string()), receives))?;
    let attempt = Attempt { owner, receives, time_left, last: receives >= retries.most_receives };
    let work = AssertUnwindSafe(worker.work(&job, &attempt)).catch_unwind();
    let setback = match tokio::time::timeout(time_left, work).await {
        Ok(Ok(Ok(()))) => return Ok(()),
        Ok(Ok(Err(setback))) => setback,
        Ok(Err(panic)) => Setback::Fault(panic_text(panic.as_ref())),
        Err(_) => Setback::OutOfTime,
    };
    let noting = AssertUnwindSafe(worker.failed(&job, &setback, &attempt)).catch_unwind();
    // Best effort, in the reserve: the queue's own count is what decides.
    let _ = tokio::time::timeout(RESERVE / 2, noting).await;
    Err((setback, receives))
}

/// A panic's text is our own (`unwrap` and the like are denied), but it may quote what it met: keep its kind.
fn panic_text(panic: &(dyn Any + Send)) -> String {
    let known = panic.is::<&'static str>() || panic.is::<String>();
    format!("a panic{}", if known { "; its place is in the log" } else { "" })
}

async fn leave_alone(
    record: &SqsMessage,
    wait: Duration,
    setback: &Setback,
    receives: u32,
    delay: &impl Delay,
) {
    let message_id = record.message_id.as_deref().unwrap_or_default();
    tracing::warn!(outcome = "retry", message_id, receives, wait_seconds = wait.as_secs(), reason = %setback, "will be tried again");
    let Some(handle) = &record.receipt_handle else { return };
    if let Err(setback) = delay.delay(handle, wait).await {
        // Then the queue's own visibility timeout is the back-off.
        tracing::warn!(message_id, reason = %setback, "the back-off could not be set");
    }
}

/// How long is left until a deadline in milliseconds since 1970, as Lambda gives it.
#[must_use]
pub fn time_left(deadline_ms: u64, now: jiff::Timestamp) -> Duration {
    let now = u64::try_from(now.as_millisecond()).unwrap_or_default();
    Duration::from_millis(deadline_ms.saturating_sub(now))
}

#[cfg(test)]
mod tests;
