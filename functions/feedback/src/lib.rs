//! The edge of feedback: one report of SES's in; receipt, order and address say what it means.
//!
//! mark the address → read the receipt → settle → write → tell the order. Each write may be made twice, and whatever is
//! made of a report a second time changes nothing: stopped anywhere, the message comes back.

pub mod notice;

use aws::batch::{Attempt, Worker};
use aws_lambda_events::event::sqs::SqsEvent;
use domain::{
    ports::{Changed, Clock, DeliveryFailures, Orders, ReceiptUpdates, Receipts, Suppressions},
    receipt::{
        Receipt, ReceiptStatus,
        feedback::{Report, settle},
    },
    sale::delivery_failure::DeliveryFailure,
    values::{
        ids::{OrderId, ReceiptId},
        outcome::{Outcome, RetryableError},
    },
};
use jiff::SignedDuration;
use notice::{NoReport, Notice, is_trial};

/// How many records of a batch are worked on at once: reports of one mail come together and change one row, so not too
/// many.
pub const AT_ONCE: usize = 5;
/// How often a report is decided anew when somebody else changes the same row.
const TRIES: u32 = 6;

/// What feedback needs of the world.
#[derive(Debug)]
pub struct Feedback<R, O, M, C> {
    /// The receipt rows.
    pub receipts: R,
    /// The orders.
    pub orders: O,
    /// The marks of addresses.
    pub marks: M,
    /// The time.
    pub clock: C,
}

/// What a report has come to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Learned {
    /// Where the receipt stands now, if it stood elsewhere.
    pub settled: Option<ReceiptStatus>,
    /// What trouble there is with the receipt's mails, all in all.
    pub delivery_failure: Option<DeliveryFailure>,
}

/// Why nothing comes of a report.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Dropped {
    /// It is none that we have a use for.
    #[error(transparent)]
    NoReport(#[from] NoReport),
    /// There is no such receipt. Its row was there before its mail: another stack's, or a table that was put back to
    /// an earlier time. Its address is marked all the same.
    #[error("there is no such receipt")]
    NoReceipt,
}

/// How a notice ended.
pub type Ended = Outcome<Learned, Dropped>;

impl<R: Receipts + ReceiptUpdates, O: Orders + DeliveryFailures, M: Suppressions, C: Clock>
    Feedback<R, O, M, C>
{
    /// Learns what a notice tells.
    pub async fn take(&self, notice: &Notice) -> Ended {
        self.take_report(&notice.report()).await.0
    }

    /// The end of a notice that tells this, and what trouble there is with the receipt's mails then.
    async fn take_report(
        &self,
        report: &Result<Report, NoReport>,
    ) -> (Ended, Option<DeliveryFailure>) {
        match report {
            Ok(report) => self
                .learn(report)
                .await
                .unwrap_or_else(|error| (Outcome::Retry(error), None)),
            Err(none) => (Outcome::Rejected(none.clone().into()), None),
        }
    }

    async fn learn(
        &self,
        report: &Report,
    ) -> Result<(Ended, Option<DeliveryFailure>), RetryableError> {
        // First, since it must be so before any other mail of this customer's is sent.
        if let Some(mark) = report.mark() {
            self.marks.suppress(&mark).await?;
        }
        for _ in 0..TRIES {
            let Some(before) = self.receipts.receipt(&report.receipt_id).await? else {
                return Ok((Outcome::Rejected(Dropped::NoReceipt), None));
            };
            let update = settle(&before, report);
            if let Some(update) = &update
                && self.receipts.learn(&before, update).await? == Changed::Raced
            {
                // A claim, a mark, another report: what it means is decided anew.
                continue;
            }
            let is_new = update.is_some();
            let was = before.state.standing();
            let after = match update {
                Some(update) => {
                    let state = update.state.unwrap_or(before.state);
                    Receipt {
                        mails: update.mails,
                        state,
                        ..before
                    }
                }
                None => before,
            };
            // Even if nothing is new on the receipt: an earlier try may have come just so far.
            let delivery_failure = if after.had_delivery_failure() {
                self.tell(&after.order_id, &after.receipt_id).await?
            } else {
                None
            };
            let standing = after.state.standing();
            let learned = Learned {
                settled: (standing != was).then_some(standing),
                delivery_failure,
            };
            let ended = if is_new {
                Outcome::Accepted(learned)
            } else {
                Outcome::Duplicate
            };
            return Ok((ended, delivery_failure));
        }
        Err(RetryableError::Raced {
            what: "the receipt",
            tries: TRIES,
        })
    }

    /// Has the order say what trouble there is with a receipt's mails.
    async fn tell(
        &self,
        order_id: &OrderId,
        id: &ReceiptId,
    ) -> Result<Option<DeliveryFailure>, RetryableError> {
        for _ in 0..TRIES {
            let order = self.orders.order(order_id).await?;
            // After the order: whoever changes the receipt later than we read it here finds the order changed by us, or
            // has us find it changed.
            let receipt = self.receipts.receipt(id).await?;
            let delivery_failure = receipt.as_ref().and_then(Receipt::delivery_failure);
            let Some(order) = order else {
                return Ok(delivery_failure);
            };
            if order.delivery_failures.get(id).copied() == delivery_failure
                || self
                    .orders
                    .keep_delivery_failure(&order, id, delivery_failure)
                    .await?
                    == Changed::Now
            {
                return Ok(delivery_failure);
            }
        }
        Err(RetryableError::Raced {
            what: "the order",
            tries: TRIES,
        })
    }
}

impl<R: Receipts + ReceiptUpdates, O: Orders + DeliveryFailures, M: Suppressions, C: Clock>
    Worker<Notice> for Feedback<R, O, M, C>
{
    async fn work(&self, notice: &Notice, _: &Attempt) -> Result<(), RetryableError> {
        let started_at = self.clock.now();
        let report = notice.report();
        let (ended, delivery_failure) = self.take_report(&report).await;
        let took = self.clock.now().duration_since(started_at);
        log(notice, report.as_ref().ok(), &ended, delivery_failure, took);
        match ended {
            Outcome::Accepted(_) | Outcome::Duplicate | Outcome::Rejected(_) => Ok(()),
            Outcome::Retry(error) => Err(error),
        }
    }

    async fn failed(&self, _: &Notice, _: &RetryableError, _: &Attempt) {
        // A report has no row of its own to note it on: the log and the dead-letter queue have it.
    }
}

/// A batch without SES's trials of the topic, which are no JSON and would end in the dead-letter queue.
#[must_use]
pub fn without_trials(mut batch: SqsEvent) -> SqsEvent {
    batch.records.retain(|record| {
        let is_trial = record.body.as_deref().is_some_and(is_trial);
        if is_trial {
            tracing::info!(outcome = "validated", "SES has tried out its topic");
        }
        !is_trial
    });
    batch
}

/// Writes the one line that the log keeps of a notice. A retry has its line from the batch.
fn log(
    notice: &Notice,
    report: Option<&Report>,
    ended: &Ended,
    delivery_failure: Option<DeliveryFailure>,
    took: SignedDuration,
) {
    let duration_ms = u64::try_from(took.as_millis()).unwrap_or_default();
    let message_id = notice.message_id();
    let receipt_id = report.map_or("", |report| report.receipt_id.as_str());
    let event = report.map_or(notice.event_type(), |report| report.kind.name());
    // For an alarm: there is trouble, and the report at hand tells of it, so that no later one tells of it again but its
    // own duplicate. That does, rather than nobody: the first try may have stopped before it could.
    let mail_trouble =
        delivery_failure.is_some() && report.is_some_and(|report| report.kind.is_trouble());
    let delivery_failure = delivery_failure.map(tracing::field::display);
    match ended {
        Outcome::Accepted(Learned { settled, .. }) => {
            let outcome = if settled.is_some() {
                "settled"
            } else {
                "noted"
            };
            let standing = settled.map(tracing::field::display);
            tracing::info!(
                outcome, receipt_id, %message_id, event, standing, delivery_failure, mail_trouble, duration_ms,
                "SES has told of a mail"
            );
        }
        Outcome::Duplicate => {
            tracing::info!(
                outcome = "duplicate", receipt_id, %message_id, event, delivery_failure, mail_trouble, duration_ms, "known"
            );
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
