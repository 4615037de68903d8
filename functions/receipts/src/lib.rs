//! The edge of receipts: one job in, one mail out, and the receipt marked.
//!
//! read → decide → render → claim → send → mark. Stopped between send and mark, the mail's fate is unknown once
//! the claim has ended; the policy (`ReceiptOnUnknown`) then decides.
//!
//! An order's receipt needs the order and nothing else. Later mails go to where the customer is reached now; a notice
//! is withdrawn when what it tells is not so any more. None goes to an address from which a mail came back for good, or
//! whose owner has complained.

pub mod templates;

use aws::batch::{Attempt, Worker, time_left};
use domain::{
    access::contact::Contact,
    delivery::job::ReceiptJob,
    fulfillment::subscription::still_so,
    ports::{Changed, Clock, Entitlements, Orders, Receipts as ReceiptRows, Suppressions},
    receipt::{
        OnUnknown, Receipt, ReceiptKind, ReceiptState, Step, feedback::AddressHash, next_step,
    },
    sale::order::Order,
    values::{
        ids::{MessageId, ReceiptId},
        outcome::{Outcome, RetryableError},
    },
};
use jiff::{SignedDuration, Timestamp};
use mail::{Email, Merchant, Templates, Unsendable, compose};
use mail::{Mailer, SendError};
use std::time::Duration;

/// What a claim lasts beyond the time that its attempt has: a claimant that was killed at its deadline must be
/// dead when somebody else may claim.
pub const CLAIM_MARGIN: Duration = Duration::from_secs(10);
/// The least time worth claiming and sending with: being throttled for a while, SES's answer, and a mark. Cut off
/// in the middle, the mail's fate would be unknown.
pub const LEAST_TIME: Duration = aws::mailer::ANSWER_WITHIN.saturating_add(Duration::from_secs(5));

/// How many records of a batch are worked on at once: one mail after another, since SES counts them by the second.
pub const AT_ONCE: usize = 1;
/// How often a mark is tried.
const MARK_TRIES: u32 = 3;

/// What receipts needs of the world.
#[derive(Debug)]
pub struct Receipts<R, O, E, K, M, C> {
    /// The receipt rows.
    pub rows: R,
    /// The orders.
    pub orders: O,
    /// The customers' names and addresses, and their subscriptions.
    pub entitlements: E,
    /// Which addresses are not written to any more.
    pub marks: K,
    /// SES.
    pub mailer: M,
    /// The time.
    pub clock: C,
    /// Who sells.
    pub merchant: Merchant,
    /// What a mail looks like.
    pub templates: Templates,
    /// What to do with a mail whose fate is unknown.
    pub on_unknown: OnUnknown,
}

/// Why no mail goes out.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Unsent {
    /// Nobody can send it as it is.
    #[error("{0}")]
    Failed(String),
    /// Its fate is unknown, and the policy is to hold it.
    #[error("the last mail's fate is unknown; held by policy")]
    Held,
    /// What it was to tell is not so any more.
    #[error("{0}")]
    Withdrawn(String),
    /// Its day has not come. Its row is found again on that day.
    #[error("not due yet")]
    NotDue,
}

/// A mail is out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sent {
    /// SES's id of it.
    pub message_id: MessageId,
    /// Whether an earlier mail may have gone out too.
    pub again: bool,
    /// Whether the mark was written. If not, somebody else has the claim by now, or SES's own report was here first.
    pub marked: bool,
}

/// What is to become of a receipt under its claim.
enum Verdict {
    /// Send this.
    Send(Box<Email>),
    /// Give up, for this reason.
    Fail(String),
    /// Withdraw it, for this reason.
    Withdraw(String),
}

/// How a job ended.
pub type Ended = Outcome<Sent, Unsent>;

impl<R: ReceiptRows, O: Orders, E: Entitlements, K: Suppressions, M: Mailer, C: Clock>
    Receipts<R, O, E, K, M, C>
{
    /// Sends the receipt, if it is to be sent now.
    pub async fn send(&self, id: &ReceiptId, attempt: &Attempt) -> Ended {
        self.try_send(id, attempt)
            .await
            .unwrap_or_else(Outcome::Retry)
    }

    async fn try_send(&self, id: &ReceiptId, attempt: &Attempt) -> Result<Ended, RetryableError> {
        let receipt = self
            .rows
            .receipt(id)
            .await?
            .ok_or(RetryableError::Missing {
                what: "the receipt",
            })?;
        let again = match next_step(&receipt, self.on_unknown, self.clock.now()) {
            Step::Done => return Ok(Outcome::Duplicate),
            Step::Wait(retry_after) => return Err(RetryableError::Claimed { retry_after }),
            Step::Hold => return self.hold(&receipt).await,
            Step::NotDue => return Ok(Outcome::Rejected(Unsent::NotDue)),
            Step::Send { again } => again,
        };
        let order = self
            .orders
            .order(&receipt.order_id)
            .await?
            .ok_or(RetryableError::Missing { what: "the order" })?;
        let verdict = self.judge(&receipt, &order, again).await?;
        if self.is_late(attempt) {
            return Err(RetryableError::OutOfTime);
        }
        let lease_ends_at = attempt
            .ends_at
            .saturating_add(CLAIM_MARGIN)
            .unwrap_or(Timestamp::MAX);
        match self
            .rows
            .claim(&receipt, &attempt.owner, lease_ends_at)
            .await
        {
            Ok(Changed::Now) => {}
            Ok(Changed::Raced) => {
                let raced = RetryableError::Raced {
                    what: "the receipt's claim",
                    tries: 1,
                };
                return Err(self.give_back(id, raced, attempt).await);
            }
            Err(error) => return Err(self.give_back(id, error, attempt).await),
        }
        if self.is_late(attempt) {
            return Err(self.give_back(id, RetryableError::OutOfTime, attempt).await);
        }
        match verdict {
            Verdict::Send(email) => self.hand_over(id, &email, again, attempt).await,
            Verdict::Fail(reason) => self.fail(id, reason, attempt).await,
            Verdict::Withdraw(reason) => self.withdraw(id, reason, attempt).await,
        }
    }

    /// What is to become of the receipt, by all that is known now.
    async fn judge(
        &self,
        receipt: &Receipt,
        order: &Order,
        again: bool,
    ) -> Result<Verdict, RetryableError> {
        if self.is_outdated(receipt, order).await? {
            let more = if again {
                ", and a mail may have gone out before"
            } else {
                ""
            };
            return Ok(Verdict::Withdraw(format!(
                "what it was to tell is not so any more{more}"
            )));
        }
        let contact = self.contact(receipt, order).await?;
        match compose(
            order,
            receipt,
            contact.as_ref(),
            &self.merchant,
            &self.templates,
        ) {
            Ok(email) => {
                let mark = self
                    .marks
                    .suppression(&AddressHash::of(email.to.as_str()))
                    .await?;
                match mark.and_then(|mark| mark.reason()) {
                    None => Ok(Verdict::Send(Box::new(email))),
                    // A merchant's own address for tests as well: a trial shows what customers will see, and SES
                    // counts every mail that comes back.
                    Some(reason) => Ok(Verdict::Fail(reason.to_owned())),
                }
            }
            Err(Unsendable::Template(fault)) => Err(RetryableError::Fault(fault.to_string())),
            Err(unsendable) => Ok(Verdict::Fail(unsendable.to_string())),
        }
    }

    /// Whether it is a notice of what is not so any more.
    async fn is_outdated(&self, receipt: &Receipt, order: &Order) -> Result<bool, RetryableError> {
        let (ReceiptKind::PaymentFailed {
            subscription_id, ..
        }
        | ReceiptKind::TrialEnds {
            subscription_id, ..
        }) = &receipt.kind
        else {
            return Ok(false);
        };
        if receipt.kind.is_too_late(self.clock.now()) {
            return Ok(true);
        }
        let subscription = match &order.customer.customer_id {
            Some(customer_id) => {
                self.entitlements
                    .subscription(customer_id, subscription_id)
                    .await?
            }
            None => None,
        };
        Ok(!still_so(&receipt.kind, subscription.as_ref()))
    }

    /// Where the customer is reached now. An order's receipt tells of the sale as it was and does not ask.
    async fn contact(
        &self,
        receipt: &Receipt,
        order: &Order,
    ) -> Result<Option<Contact>, RetryableError> {
        match (&receipt.kind, &order.customer.customer_id) {
            (ReceiptKind::Order, _) | (_, None) => Ok(None),
            (_, Some(customer_id)) => self.entitlements.contact(customer_id).await,
        }
    }

    fn is_late(&self, attempt: &Attempt) -> bool {
        time_left(attempt.ends_at, self.clock.now()) < LEAST_TIME
    }

    async fn hand_over(
        &self,
        id: &ReceiptId,
        email: &Email,
        again: bool,
        attempt: &Attempt,
    ) -> Result<Ended, RetryableError> {
        match self.mailer.send(email).await {
            Ok(message_id) => {
                let sent = ReceiptState::Sent {
                    message_id: message_id.clone(),
                    sent_at: self.clock.now(),
                };
                match self.mark(id, attempt, &sent).await {
                    Ok(marked) => Ok(Outcome::Accepted(Sent {
                        message_id,
                        again,
                        marked: marked == Changed::Now,
                    })),
                    Err(error) => {
                        // In the log at least, for whoever has to find out whether it went.
                        let cause = format!("sent as {message_id} and not marked: {error}");
                        Err(self.unknown(cause, attempt))
                    }
                }
            }
            Err(SendError::Refused(reason)) => self.fail(id, reason, attempt).await,
            Err(SendError::NotSent(error)) => {
                // Nothing went out, so the claim is given back and the next try need not wait for its end.
                Err(self.give_back(id, error, attempt).await)
            }
            Err(SendError::Unknown(cause)) => Err(self.unknown(cause, attempt)),
        }
    }

    /// Leaves the claim as it is: once it has ended, the policy decides.
    fn unknown(&self, cause: String, attempt: &Attempt) -> RetryableError {
        let retry_after = time_left(attempt.ends_at, self.clock.now()) + CLAIM_MARGIN;
        RetryableError::Unknown { cause, retry_after }
    }

    /// Suppressions, and if that fails tries again while there is time: what is known of a mail must not be forgotten over
    /// a passing outage.
    async fn mark(
        &self,
        id: &ReceiptId,
        attempt: &Attempt,
        state: &ReceiptState,
    ) -> Result<Changed, RetryableError> {
        for _ in 1..MARK_TRIES {
            match self.rows.mark(id, &attempt.owner, state).await {
                Err(_) if !time_left(attempt.ends_at, self.clock.now()).is_zero() => {}
                marked => return marked,
            }
        }
        self.rows.mark(id, &attempt.owner, state).await
    }

    /// Gives back a claim under which nothing went out, so that the next try need not wait for its end, and no
    /// policy takes it for a mail of unknown fate. It may be ours without our knowing: its answer was lost, or a
    /// second try of the SDK's met the first one's claim as if it were a rival's.
    async fn give_back(
        &self,
        id: &ReceiptId,
        error: RetryableError,
        attempt: &Attempt,
    ) -> RetryableError {
        let unsent = ReceiptState::Unsent {
            reason: Some(error.to_string()),
        };
        // As well as it can: where this fails too, the policy decides once the claim has ended.
        let _ = self.mark(id, attempt, &unsent).await;
        error
    }

    async fn fail(
        &self,
        id: &ReceiptId,
        reason: String,
        attempt: &Attempt,
    ) -> Result<Ended, RetryableError> {
        // Raced may be our own first try, whose answer was lost: said twice is better than never.
        let (Changed::Now | Changed::Raced) = self
            .mark(
                id,
                attempt,
                &ReceiptState::Failed {
                    reason: reason.clone(),
                },
            )
            .await?;
        Ok(Outcome::Rejected(Unsent::Failed(reason)))
    }

    async fn withdraw(
        &self,
        id: &ReceiptId,
        reason: String,
        attempt: &Attempt,
    ) -> Result<Ended, RetryableError> {
        // As for a failure.
        let (Changed::Now | Changed::Raced) = self
            .mark(
                id,
                attempt,
                &ReceiptState::Withdrawn {
                    reason: reason.clone(),
                },
            )
            .await?;
        Ok(Outcome::Rejected(Unsent::Withdrawn(reason)))
    }

    async fn hold(&self, receipt: &Receipt) -> Result<Ended, RetryableError> {
        if receipt.state == ReceiptState::Held {
            return Ok(Outcome::Rejected(Unsent::Held));
        }
        match self.rows.hold(receipt).await? {
            Changed::Now => Ok(Outcome::Rejected(Unsent::Held)),
            Changed::Raced => Err(RetryableError::Raced {
                what: "the receipt",
                tries: 1,
            }),
        }
    }
}

impl<R: ReceiptRows, O: Orders, E: Entitlements, K: Suppressions, M: Mailer, C: Clock>
    Worker<ReceiptJob> for Receipts<R, O, E, K, M, C>
{
    async fn work(&self, job: &ReceiptJob, attempt: &Attempt) -> Result<(), RetryableError> {
        let ReceiptJob::V1 { receipt_id } = job;
        let started_at = self.clock.now();
        let ended = self.send(receipt_id, attempt).await;
        log(
            receipt_id,
            &ended,
            self.clock.now().duration_since(started_at),
        );
        match ended {
            Outcome::Accepted(_) | Outcome::Duplicate | Outcome::Rejected(_) => Ok(()),
            Outcome::Retry(error) => Err(error),
        }
    }

    async fn failed(&self, _: &ReceiptJob, _: &RetryableError, _: &Attempt) {
        // A receipt's row says by its state what became of it; there is nothing to add.
    }
}

/// Writes the one line that the log keeps of a job. A retry has its line from the batch.
fn log(receipt_id: &ReceiptId, ended: &Ended, took: SignedDuration) {
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
            tracing::info!(outcome = "withdrawn", %receipt_id, reason, duration_ms, "nothing to tell any more");
        }
        Outcome::Rejected(Unsent::NotDue) => {
            tracing::info!(outcome = "not_due", %receipt_id, duration_ms, "its day has not come");
        }
        Outcome::Retry(RetryableError::Unknown { cause, .. }) => {
            tracing::warn!(outcome = "unknown", %receipt_id, reason = cause, duration_ms, "the mail's fate is unknown");
        }
        Outcome::Retry(_) => {}
    }
}
