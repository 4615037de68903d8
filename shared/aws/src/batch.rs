//! One SQS batch in, a partial answer out.
//!
//! Each record stands for itself: a body that is not ours, a panic, or running out of time fails that record
//! and no other. A failed record is left alone for a growing while before it is delivered again.

use aws_lambda_events::event::sqs::{SqsBatchResponse, SqsEvent, SqsMessage};
use domain::{
    delivery::job::Job,
    ports::{Clock, Delay},
    values::{
        ids::OwnerToken,
        outcome::{RetryableError, back_off},
    },
};
use futures_util::{FutureExt, StreamExt, stream};
use jiff::Timestamp;
use std::{panic::AssertUnwindSafe, time::Duration};

/// Kept back from an invocation's time, to note and to hide what has failed, and to answer.
pub const RESERVE: Duration = Duration::from_secs(3);
/// The most that noting or hiding one record may take.
const ASIDE: Duration = Duration::from_secs(1);
/// Kept back for the answer itself.
const ANSWER: Duration = Duration::from_millis(300);

/// One try at one message.
#[derive(Debug, Clone)]
pub struct Attempt {
    /// Unique for each try: who holds a claim.
    pub owner: OwnerToken,
    /// How often the message has been received, from 1.
    pub receives: u32,
    /// When this try is cut off.
    pub ends_at: Timestamp,
}

/// What a function does with a job.
pub trait Worker<J: Job>: Sync {
    /// Works on a job: `Ok` when it has come to an end, well or not; a setback when it is worth asking again.
    fn work(
        &self,
        job: &J,
        attempt: &Attempt,
    ) -> impl Future<Output = Result<(), RetryableError>> + Send;
    /// Keeps on record that an attempt failed, as well as it can.
    fn failed(
        &self,
        job: &J,
        error: &RetryableError,
        attempt: &Attempt,
    ) -> impl Future<Output = ()> + Send;
}

/// How a batch is worked off: the template's `RetryBaseSeconds` and `maxReceiveCount` among it.
#[derive(Debug, Clone, Copy)]
pub struct Rules {
    /// The first back-off of a failed record.
    pub retry_base: Duration,
    /// After how many receives the queue gives up on a message.
    pub most_receives: u32,
    /// How many records are worked on at the same time.
    pub at_once: usize,
}

/// The invocation that a batch came with.
#[derive(Debug, Clone, Copy)]
pub struct Invocation<'a> {
    /// Its id.
    pub request_id: &'a str,
    /// When the platform ends it, in milliseconds since 1970, as Lambda says.
    pub deadline_ms: u64,
}

/// A record cannot be named in the answer, so the whole batch must be delivered again.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("a failed record has no message id: the whole batch is to be delivered again")]
pub struct Nameless;

/// When what must be over, so that the answer is out before the platform ends the invocation.
#[derive(Clone, Copy)]
struct Times {
    work: Timestamp,
    asides: Timestamp,
}

impl Times {
    /// How long noting or hiding may take now.
    fn aside(self, clock: &impl Clock) -> Duration {
        ASIDE.min(time_left(self.asides, clock.now()))
    }
}

/// Why a record failed, and of what.
struct Failed {
    error: RetryableError,
    receives: u32,
    subject: Option<String>,
}

/// Works on the records of a batch, each apart from the others.
///
/// An empty identifier in the answer would mean "the whole batch" to Lambda; where a failed record has no id,
/// that is said openly by an error.
pub async fn run<J: Job, W: Worker<J>>(
    event: SqsEvent,
    invocation: Invocation<'_>,
    rules: Rules,
    worker: &W,
    delay: &impl Delay,
    clock: &impl Clock,
) -> Result<SqsBatchResponse, Nameless> {
    let deadline = i64::try_from(invocation.deadline_ms).unwrap_or(i64::MAX);
    let ends_at = Timestamp::from_millisecond(deadline).unwrap_or(Timestamp::MAX);
    let times = Times {
        work: ends_at.saturating_sub(RESERVE).unwrap_or(Timestamp::MIN),
        asides: ends_at.saturating_sub(ANSWER).unwrap_or(Timestamp::MIN),
    };
    // Collected, or else nobody could tell that this future may be sent to another thread.
    let records: Vec<_> = event
        .records
        .iter()
        .map(|record| async move {
            match one(record, invocation.request_id, times, worker, clock).await {
                Ok(()) => Ok(None),
                Err(failed) => {
                    leave_alone(record, &failed, rules, delay, times.aside(clock)).await;
                    record
                        .message_id
                        .clone()
                        .filter(|id| !id.is_empty())
                        .map(Some)
                        .ok_or(Nameless)
                }
            }
        })
        .collect();
    let ended: Vec<_> = stream::iter(records)
        .buffered(rules.at_once.max(1))
        .collect()
        .await;
    let mut response = SqsBatchResponse::default();
    for failed in ended {
        if let Some(message_id) = failed? {
            response.add_failure(message_id);
        }
    }
    Ok(response)
}

async fn one<J: Job, W: Worker<J>>(
    record: &SqsMessage,
    request_id: &str,
    times: Times,
    worker: &W,
    clock: &impl Clock,
) -> Result<(), Failed> {
    let receives = record
        .attributes
        .get("ApproximateReceiveCount")
        .and_then(|count| count.parse().ok())
        .unwrap_or(1_u32);
    let failed = |error| Failed {
        error,
        receives,
        subject: None,
    };
    let job: J =
        serde_json::from_str(record.body.as_deref().unwrap_or_default()).map_err(|error| {
            let at = format!("line {}, column {}", error.line(), error.column());
            failed(RetryableError::Fault(format!(
                "the message is not a job that this version knows ({at})"
            )))
        })?;
    let message_id = record.message_id.as_deref().unwrap_or_default();
    let owner = OwnerToken::new(format!("{request_id}.{message_id}"))
        .map_err(|bad| failed(RetryableError::Fault(bad.to_string())))?;
    let attempt = Attempt {
        owner,
        receives,
        ends_at: times.work,
    };
    let work = AssertUnwindSafe(worker.work(&job, &attempt)).catch_unwind();
    let error = match tokio::time::timeout(time_left(times.work, clock.now()), work).await {
        Ok(Ok(Ok(()))) => return Ok(()),
        Ok(Ok(Err(error))) => error,
        Ok(Err(_)) => RetryableError::Fault("a panic; its place is in the log".to_owned()),
        Err(_) => RetryableError::OutOfTime,
    };
    let noting = AssertUnwindSafe(worker.failed(&job, &error, &attempt)).catch_unwind();
    // Best effort, in the reserve: the queue's own count is what decides.
    let _ = tokio::time::timeout(times.aside(clock), noting).await;
    Err(Failed {
        error,
        receives,
        subject: Some(job.subject().into_owned()),
    })
}

/// Hides a failed message for a while, and writes the one line that the log keeps of its failure.
async fn leave_alone(
    record: &SqsMessage,
    failed: &Failed,
    rules: Rules,
    delay: &impl Delay,
    within: Duration,
) {
    let Failed {
        error,
        receives,
        subject,
    } = failed;
    let message_id = record.message_id.as_deref().unwrap_or_default();
    let subject = subject.as_deref().unwrap_or_default();
    if *receives >= rules.most_receives {
        tracing::error!(outcome = "dead_letter", subject, message_id, receives, reason = %error, "given up");
        // Visible at once, so that the queue moves it on at once.
        hide(record, Duration::ZERO, delay, within).await;
        return;
    }
    let wait = back_off(rules.retry_base, *receives, error.retry_after());
    let wait_seconds = wait.as_secs();
    tracing::warn!(outcome = "retry", subject, message_id, receives, wait_seconds, reason = %error, "will be tried again");
    hide(record, wait, delay, within).await;
}

async fn hide(record: &SqsMessage, wait: Duration, delay: &impl Delay, within: Duration) {
    let Some(handle) = &record.receipt_handle else {
        return;
    };
    match tokio::time::timeout(within, delay.delay(handle, wait)).await {
        Ok(Ok(())) => {}
        // Then the queue's own visibility timeout is the back-off.
        Ok(Err(error)) => tracing::warn!(reason = %error, "the back-off could not be set"),
        Err(_) => tracing::warn!(
            reason = "no answer in time",
            "the back-off could not be set"
        ),
    }
}

/// How long is left until then; nothing if it has passed.
#[must_use]
pub fn time_left(until: Timestamp, now: Timestamp) -> Duration {
    let left = until.duration_since(now);
    if left.is_positive() {
        left.unsigned_abs()
    } else {
        Duration::ZERO
    }
}

#[cfg(test)]
mod tests;
