//! Receipts sends one mail per job and records the result on the receipt.
//!
//! read → decide → render → acquire the lease → send → end the lease
//!
//! If the function stops between the last two steps, the outcome of the mail is unknown when the lease ends. The policy
//! (`ReceiptOnUnknown`) then decides.
//!
//! The receipt of a sale needs only the order. Later mails, receipts of renewals too, go to the customer's current
//! address. An outdated notice is withdrawn. A suppressed address gets no mail.

pub mod config;
mod log;
pub mod templates;
mod verdict;

use aws::batch::{Attempt, Worker, time_left};
use domain::{
    announcement::{self, Batch},
    delivery::job::ReceiptJob,
    ports::{
        Changed, Clock, Entitlements, Orders, Receipts as ReceiptRows, ResourceLists, Suppressions,
    },
    receipt::{OnUnknown, Receipt, ReceiptState, Step, next_step},
    values::{
        ids::{MessageId, ReceiptId},
        outcome::{Outcome, RetryableError},
    },
};
use jiff::Timestamp;
use mail::{Email, Mailer, Merchant, SendError, Templates};
use std::{sync::Arc, time::Duration};
use verdict::Verdict;

/// The lease lasts this long beyond its attempt's deadline. The attempt must be dead before another one acquires the
/// lease.
pub const LEASE_MARGIN: Duration = Duration::from_secs(10);
/// The least time to acquire a lease and send in: some throttling, the answer of SES, and the end of the lease. With
/// less, the attempt may be cut off between them, and the outcome of the mail would be unknown.
pub const LEAST_TIME: Duration = aws::mailer::ANSWER_WITHIN.saturating_add(Duration::from_secs(5));
/// The number of records of a batch that are worked on at the same time. SES limits mails per second, so one.
pub const AT_ONCE: usize = 1;
/// A correction waits so long for the receipt that it corrects, which is sent within seconds.
const CORRECTION_WAITS: Duration = Duration::from_mins(1);
/// The number of tries to end a lease.
const END_TRIES: u32 = 3;

/// Receipts over a store `S` and a mailer `M`.
#[derive(Debug)]
pub struct Receipts<S, M> {
    pub store: S,
    pub mailer: M,
    pub clock: Arc<dyn Clock>,
    pub merchant: Merchant,
    pub templates: Templates,
    /// The policy for a mail with an unknown outcome.
    pub on_unknown: OnUnknown,
}

/// The ports of the store of receipts.
pub trait ReceiptStore: ReceiptRows + Orders + Entitlements + Suppressions + ResourceLists {}

impl<S: ReceiptRows + Orders + Entitlements + Suppressions + ResourceLists> ReceiptStore for S {}

/// The reason why no mail goes out.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Unsent {
    #[error("{0}")]
    Failed(String),
    #[error("the outcome of the last mail is unknown; held by policy")]
    Held,
    #[error("{0}")]
    Withdrawn(String),
    /// Sweep queues the receipt again on its day.
    #[error("not due yet")]
    NotDue,
    /// Sweep queues the receipt again until the other one has ended.
    #[error("waits for the receipt that it corrects")]
    Waits,
}

/// A mail that SES took.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sent {
    pub message_id: MessageId,
    /// An earlier mail may have gone out too.
    pub again: bool,
    /// The receipt is in state `sent`. If not, another attempt has the lease now, or the report of SES was first.
    pub marked: bool,
}

/// The end of a job.
pub type Ended = Outcome<Sent, Unsent>;

impl<S: ReceiptStore, M: Mailer> Receipts<S, M> {
    /// Sends the receipt if it is to be sent now.
    pub async fn send(&self, id: &ReceiptId, attempt: &Attempt) -> Ended {
        self.try_send(id, attempt)
            .await
            .unwrap_or_else(Outcome::Retry)
    }

    async fn try_send(&self, id: &ReceiptId, attempt: &Attempt) -> Result<Ended, RetryableError> {
        let found = self.store.receipt(id).await?;
        let receipt = found.ok_or(RetryableError::Missing {
            what: "the receipt",
        })?;
        let again = match next_step(&receipt, self.on_unknown, self.clock.now()) {
            Step::Done => return Ok(Outcome::Duplicate),
            Step::Wait(retry_after) => return Err(RetryableError::Leased { retry_after }),
            Step::Hold => return self.hold(&receipt).await,
            Step::NotDue => return Ok(Outcome::Rejected(Unsent::NotDue)),
            Step::Send { again } => again,
        };
        let found = self.store.order(&receipt.order_id).await?;
        let order = found.ok_or(RetryableError::Missing { what: "the order" })?;
        let verdict = self.judge(&receipt, &order, again).await?;
        if let Verdict::Wait = verdict {
            return wait(attempt);
        }
        if self.is_late(attempt) {
            return Err(RetryableError::OutOfTime);
        }
        if let Err(error) = self.acquire_lease(&receipt, attempt).await {
            return Err(self.release(&receipt, error, attempt).await);
        }
        self.carry_out(&receipt, verdict, again, attempt).await
    }

    /// Sends the mail or ends the receipt without it, under the lease.
    async fn carry_out(
        &self,
        seen: &Receipt,
        verdict: Verdict,
        again: bool,
        attempt: &Attempt,
    ) -> Result<Ended, RetryableError> {
        match verdict {
            Verdict::Send(email) => self.hand_over(seen, &email, again, attempt).await,
            Verdict::Fail(reason) => {
                let state = ReceiptState::Failed {
                    reason: reason.clone(),
                };
                self.reject(seen, &state, Unsent::Failed(reason), attempt)
                    .await
            }
            Verdict::Withdraw(reason) => {
                let state = ReceiptState::Withdrawn {
                    reason: reason.clone(),
                };
                self.reject(seen, &state, Unsent::Withdrawn(reason), attempt)
                    .await
            }
            Verdict::Wait => wait(attempt),
        }
    }

    fn is_late(&self, attempt: &Attempt) -> bool {
        time_left(attempt.ends_at, self.clock.now()) < LEAST_TIME
    }

    /// Acquires the lease. Even after an error, the attempt may hold it.
    async fn acquire_lease(
        &self,
        receipt: &Receipt,
        attempt: &Attempt,
    ) -> Result<(), RetryableError> {
        let ends_at = attempt
            .ends_at
            .saturating_add(LEASE_MARGIN)
            .unwrap_or(Timestamp::MAX);
        let owner = &attempt.owner;
        match self.store.acquire_lease(receipt, owner, ends_at).await? {
            Changed::Now if self.is_late(attempt) => Err(RetryableError::OutOfTime),
            Changed::Now => Ok(()),
            Changed::Raced => Err(RetryableError::Raced {
                what: "the receipt's lease",
                tries: 1,
            }),
        }
    }

    async fn hand_over(
        &self,
        seen: &Receipt,
        email: &Email,
        again: bool,
        attempt: &Attempt,
    ) -> Result<Ended, RetryableError> {
        let message_id = match self.mailer.send(email).await {
            Ok(message_id) => message_id,
            Err(SendError::Refused(reason)) => {
                let state = ReceiptState::Failed {
                    reason: reason.clone(),
                };
                let unsent = Unsent::Failed(reason);
                return self.reject(seen, &state, unsent, attempt).await;
            }
            Err(SendError::NotSent(error)) => return Err(self.release(seen, error, attempt).await),
            Err(SendError::Unknown(cause)) => return Err(self.unknown(cause, attempt)),
        };
        let sent = ReceiptState::Sent {
            message_id: message_id.clone(),
            sent_at: self.clock.now(),
        };
        match self.end_lease(seen, attempt, &sent).await {
            Ok(changed) => Ok(Outcome::Accepted(Sent {
                message_id,
                again,
                marked: changed == Changed::Now,
            })),
            // The log at least has the message id, for the person who must find out whether the mail went out.
            Err(error) => {
                let cause = format!("sent as {message_id} and not recorded: {error}");
                Err(self.unknown(cause, attempt))
            }
        }
    }

    /// Keeps the lease: when it ends, the policy decides.
    fn unknown(&self, cause: String, attempt: &Attempt) -> RetryableError {
        let retry_after = time_left(attempt.ends_at, self.clock.now()) + LEASE_MARGIN;
        RetryableError::Unknown { cause, retry_after }
    }

    /// Ends the lease with a new state. Retries while there is time, because a short outage must not lose the result of
    /// a mail.
    async fn end_lease(
        &self,
        seen: &Receipt,
        attempt: &Attempt,
        state: &ReceiptState,
    ) -> Result<Changed, RetryableError> {
        let id = &seen.receipt_id;
        let announced = self.announced(&under_lease(seen), state);
        let announced = announced.as_ref();
        for _ in 1..END_TRIES {
            let ended = self.store.end_lease(id, &attempt.owner, state, announced);
            match ended.await {
                Err(_) if !time_left(attempt.ends_at, self.clock.now()).is_zero() => {}
                ended => return ended,
            }
        }
        let ended = self.store.end_lease(id, &attempt.owner, state, announced);
        ended.await
    }

    /// The announcements of a receipt's new state.
    fn announced(&self, before: &Receipt, state: &ReceiptState) -> Option<Batch> {
        let after = Receipt {
            state: state.clone(),
            ..before.clone()
        };
        announcement::receipt::changed(before, &after, self.clock.now())
    }

    /// Releases a lease under which no mail went out. The next attempt need not wait, and the policy does not treat the
    /// mail as one with an unknown outcome.
    ///
    /// The attempt may hold the lease without knowing it. Its answer was lost, or a retry of the SDK met the lease of
    /// the first try.
    async fn release(
        &self,
        seen: &Receipt,
        error: RetryableError,
        attempt: &Attempt,
    ) -> RetryableError {
        let unsent = ReceiptState::Unsent {
            reason: Some(error.to_string()),
        };
        // If this fails too, the policy decides when the lease ends.
        let _ = self.end_lease(seen, attempt, &unsent).await;
        error
    }

    /// Ends the lease and the receipt without a mail.
    async fn reject(
        &self,
        seen: &Receipt,
        state: &ReceiptState,
        unsent: Unsent,
        attempt: &Attempt,
    ) -> Result<Ended, RetryableError> {
        // A lost race may be our own first try, whose answer was lost. Two log lines are better than none.
        let (Changed::Now | Changed::Raced) = self.end_lease(seen, attempt, state).await?;
        Ok(Outcome::Rejected(unsent))
    }

    async fn hold(&self, receipt: &Receipt) -> Result<Ended, RetryableError> {
        if receipt.state == ReceiptState::Held {
            return Ok(Outcome::Rejected(Unsent::Held));
        }
        let announced = self.announced(receipt, &ReceiptState::Held);
        match self.store.hold(receipt, announced.as_ref()).await? {
            Changed::Now => Ok(Outcome::Rejected(Unsent::Held)),
            Changed::Raced => Err(RetryableError::Raced {
                what: "the receipt",
                tries: 1,
            }),
        }
    }
}

/// The receipt as this attempt's lease has made it: its state announces nothing, and its version is one further.
fn under_lease(seen: &Receipt) -> Receipt {
    Receipt {
        version: seen.version + 1,
        state: ReceiptState::Unsent { reason: None },
        ..seen.clone()
    }
}

/// Retries a correction that waits for the receipt that it corrects. After the last retry sweep goes on: nothing about
/// the correction is wrong, so a person need not look at it.
fn wait(attempt: &Attempt) -> Result<Ended, RetryableError> {
    if attempt.is_last {
        return Ok(Outcome::Rejected(Unsent::Waits));
    }
    Err(RetryableError::Leased {
        retry_after: CORRECTION_WAITS,
    })
}

impl<S: ReceiptStore, M: Mailer> Worker<ReceiptJob> for Receipts<S, M> {
    async fn work(&self, job: &ReceiptJob, attempt: &Attempt) -> Result<(), RetryableError> {
        let ReceiptJob::V1 { receipt_id } = job;
        let started_at = self.clock.now();
        let ended = self.send(receipt_id, attempt).await;
        let took = self.clock.now().duration_since(started_at);
        log::log(receipt_id, &ended, took);
        match ended {
            Outcome::Accepted(_) | Outcome::Duplicate | Outcome::Rejected(_) => Ok(()),
            Outcome::Retry(error) => Err(error),
        }
    }

    /// Does nothing: the receipt's state has the reason already.
    async fn failed(&self, _: &ReceiptJob, _: &RetryableError, _: &Attempt) {}
}
