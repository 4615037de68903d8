//! One SQS batch in, a partial answer out.
//!
//! Records are independent: a foreign body, a panic or a timeout fails only its record. A failed record is hidden for a
//! growing back-off before it is redelivered.

use crate::settings::Settings;
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

/// The part of an invocation's time that is kept for noting and hiding failed records, and for the answer.
pub const RESERVE: Duration = Duration::from_secs(3);
/// The time limit for noting or hiding one record.
const ASIDE: Duration = Duration::from_secs(1);
/// The time that is kept for the answer.
const ANSWER: Duration = Duration::from_millis(300);

/// One try at one message.
#[derive(Debug, Clone)]
pub struct Attempt {
    /// The owner of a lease, unique for each try.
    pub owner: OwnerToken,
    /// Counts from 1.
    pub receives: u32,
    /// True if the queue gives the message up when this attempt fails.
    pub is_last: bool,
    pub ends_at: Timestamp,
}

/// A function's work on a job.
pub trait Worker<J: Job>: Sync {
    /// Works on a job. `Ok` ends the job, successful or not.
    fn work(
        &self,
        job: &J,
        attempt: &Attempt,
    ) -> impl Future<Output = Result<(), RetryableError>> + Send;
    /// Records a failed attempt, on a best-effort basis.
    fn failed(
        &self,
        job: &J,
        error: &RetryableError,
        attempt: &Attempt,
    ) -> impl Future<Output = ()> + Send;
}

/// The rules for a batch, among them the template's `RetryBaseSeconds` and `maxReceiveCount`.
#[derive(Debug, Clone, Copy)]
pub struct Rules {
    /// The first back-off of a failed record.
    pub retry_base: Duration,
    /// After this many receives, the queue moves a message to the dead-letter queue.
    pub most_receives: u32,
    /// The number of records that are worked on at the same time.
    pub at_once: usize,
}

impl Rules {
    /// Reads the rules from the settings of a function that works on `at_once` records at the same time.
    pub fn read(settings: &mut Settings<'_>, at_once: usize) -> Option<Self> {
        let retry_base = settings
            .parsed("RETRY_BASE_SECONDS")
            .map(Duration::from_secs);
        let most_receives = settings.parsed("MAX_RECEIVES");
        Some(Self {
            retry_base: retry_base?,
            most_receives: most_receives?,
            at_once,
        })
    }
}

/// The invocation that brought a batch.
#[derive(Debug, Clone, Copy)]
pub struct Invocation<'a> {
    pub request_id: &'a str,
    /// In milliseconds since 1970, as Lambda gives it.
    pub deadline_ms: u64,
}

/// A failed record has no id that the answer could name, so the whole batch must be redelivered.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("a failed record has no message id: the whole batch must be redelivered")]
pub struct Nameless;

/// The deadlines that leave time for the answer.
#[derive(Clone, Copy)]
struct Times {
    work: Timestamp,
    asides: Timestamp,
}

impl Times {
    /// The current time limit for noting or hiding.
    fn aside(self, clock: &impl Clock) -> Duration {
        ASIDE.min(time_left(self.asides, clock.now()))
    }
}

/// The failure of a record.
struct Failed {
    error: RetryableError,
    receives: u32,
    /// The job's subject, for the log.
    subject: Option<String>,
}

/// Works on the records of a batch, independently of each other.
///
/// A failed record without an id is an error, because Lambda reads an empty identifier in the answer as "the whole
/// batch".
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
    let work = |record| async move {
        let failed = one(record, invocation.request_id, rules, times, worker, clock).await;
        let Err(failed) = failed else {
            return Ok(None);
        };
        back_off_from(record, &failed, rules, delay, times.aside(clock)).await;
        let id = record.message_id.clone().filter(|id| !id.is_empty());
        id.map(Some).ok_or(Nameless)
    };
    // Collected, because the compiler cannot prove otherwise that this future is `Send`.
    let records: Vec<_> = event.records.iter().map(work).collect();
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
    rules: Rules,
    times: Times,
    worker: &W,
    clock: &impl Clock,
) -> Result<(), Failed> {
    let receives = receives_of(record);
    let failed = |error| Failed {
        error,
        receives,
        subject: None,
    };
    let job: J = read_job(record).map_err(failed)?;
    let message_id = record.message_id.as_deref().unwrap_or_default();
    let owner = OwnerToken::new(format!("{request_id}.{message_id}"))
        .map_err(|bad| failed(RetryableError::Fault(bad.to_string())))?;
    let attempt = Attempt {
        owner,
        receives,
        is_last: receives >= rules.most_receives,
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
    // Best effort, in the reserve: the queue's count decides.
    let _ = tokio::time::timeout(times.aside(clock), noting).await;
    Err(Failed {
        error,
        receives,
        subject: Some(job.subject().into_owned()),
    })
}

/// The number of receives, from 1.
fn receives_of(record: &SqsMessage) -> u32 {
    let count = record.attributes.get("ApproximateReceiveCount");
    count.and_then(|count| count.parse().ok()).unwrap_or(1)
}

fn read_job<J: Job>(record: &SqsMessage) -> Result<J, RetryableError> {
    let body = record.body.as_deref().unwrap_or_default();
    serde_json::from_str(body).map_err(|error| {
        let at = format!("line {}, column {}", error.line(), error.column());
        RetryableError::Fault(format!(
            "the message is not a job that this version knows ({at})"
        ))
    })
}

/// Hides a failed message for a while, and writes the only line about its failure.
async fn back_off_from(
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
        // Visible now, so that the queue moves it now.
        hide(record, Duration::ZERO, delay, within).await;
        return;
    }
    let wait = back_off(rules.retry_base, *receives, error.retry_after());
    let wait_seconds = wait.as_secs();
    tracing::warn!(outcome = "retry", subject, message_id, receives, wait_seconds, reason = %error, "will be retried");
    hide(record, wait, delay, within).await;
}

async fn hide(record: &SqsMessage, wait: Duration, delay: &impl Delay, within: Duration) {
    let Some(handle) = &record.receipt_handle else {
        return;
    };
    match tokio::time::timeout(within, delay.delay(handle, wait)).await {
        Ok(Ok(())) => {}
        // The queue's visibility timeout is the back-off then.
        Ok(Err(error)) => tracing::warn!(reason = %error, "the back-off could not be set"),
        Err(_) => tracing::warn!(
            reason = "no answer in time",
            "the back-off could not be set"
        ),
    }
}

/// The time left until then, or zero.
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
