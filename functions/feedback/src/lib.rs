//! Feedback records one report of SES on the receipt, its order and the address.
//!
//! suppress the address → read the receipt → settle → write → update the order
//!
//! Each write may happen twice, and a repeated report changes nothing. The message may come back after a stop at any
//! point.

pub mod config;
mod log;
pub mod notice;

use aws::batch::{Attempt, Worker};
use aws_lambda_events::event::sqs::SqsEvent;
use domain::{
    announcement,
    ports::{Changed, Clock, Orders, Receipts, Suppressions},
    receipt::{
        Receipt, ReceiptStatus,
        feedback::{ReceiptUpdate, Report, settle},
    },
    sale::delivery_failure::DeliveryFailure,
    values::{
        ids::{OrderId, ReceiptId},
        outcome::{Outcome, RetryableError},
    },
};
use notice::{NoReport, Notice, is_trial};
use std::sync::Arc;

/// The number of records of a batch that are worked on at the same time. Few, because the reports on one mail come
/// together and change the same row.
pub const AT_ONCE: usize = 5;
/// The number of tries when others change the same row.
const TRIES: u32 = 6;

/// Feedback over a store `S`.
#[derive(Debug)]
pub struct Feedback<S> {
    pub store: S,
    pub clock: Arc<dyn Clock>,
}

/// The result of a report.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Learned {
    /// The receipt's new status, if the report changed it.
    pub settled: Option<ReceiptStatus>,
    /// The delivery failure of the receipt, over all of its mails.
    pub delivery_failure: Option<DeliveryFailure>,
}

/// The reason why a report has no result.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Dropped {
    #[error(transparent)]
    NoReport(#[from] NoReport),
    /// The receipt belongs to another stack, or its table was restored to an earlier point. The row exists before its
    /// mail. The address is suppressed nevertheless.
    #[error("there is no such receipt")]
    NoReceipt,
}

/// The end of a notice.
pub type Ended = Outcome<Learned, Dropped>;

impl<S: Receipts + Orders + Suppressions> Feedback<S> {
    /// Records a notice.
    pub async fn take(&self, notice: &Notice) -> Ended {
        self.take_report(&notice.report()).await.0
    }

    /// The end of a report, and the receipt's delivery failure after it.
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
        // First, because no other mail may go to this address.
        if let Some(suppression) = report.suppression() {
            self.store.suppress(&suppression).await?;
        }
        for _ in 0..TRIES {
            let Some(before) = self.store.receipt(&report.receipt_id).await? else {
                return Ok((Outcome::Rejected(Dropped::NoReceipt), None));
            };
            if let Some(ended) = self.settle(before, report).await? {
                return Ok(ended);
            }
        }
        Err(RetryableError::Raced {
            what: "the receipt",
            tries: TRIES,
        })
    }

    /// Updates the receipt and its order. `None` if a lease or another report changed the receipt meanwhile.
    async fn settle(
        &self,
        before: Receipt,
        report: &Report,
    ) -> Result<Option<(Ended, Option<DeliveryFailure>)>, RetryableError> {
        let update = settle(&before, report);
        let (is_new, was) = (update.is_some(), before.state.status());
        let after = match update {
            Some(update) => {
                let after = updated(before.clone(), update.clone());
                let announced = announcement::receipt::changed(&before, &after, self.clock.now());
                let changed = self
                    .store
                    .update_mails(&before, &update, announced.as_ref());
                if changed.await? == Changed::Raced {
                    return Ok(None);
                }
                after
            }
            None => before,
        };
        // Even if the receipt is unchanged: an earlier attempt may have stopped between the two writes.
        let delivery_failure = if after.had_delivery_failure() {
            self.update_order(&after.order_id, &after.receipt_id)
                .await?
        } else {
            None
        };
        let status = after.state.status();
        let ended = if is_new {
            Outcome::Accepted(Learned {
                settled: (status != was).then_some(status),
                delivery_failure,
            })
        } else {
            Outcome::Duplicate
        };
        Ok(Some((ended, delivery_failure)))
    }

    /// Copies the receipt's delivery failure to its order.
    async fn update_order(
        &self,
        order_id: &OrderId,
        id: &ReceiptId,
    ) -> Result<Option<DeliveryFailure>, RetryableError> {
        for _ in 0..TRIES {
            let order = self.store.order(order_id).await?;
            // After the order. If the receipt changes after this read, one of the two writers finds the order changed by
            // the other and reads the receipt again.
            let receipt = self.store.receipt(id).await?;
            let delivery_failure = receipt.as_ref().and_then(Receipt::delivery_failure);
            let Some(order) = order else {
                return Ok(delivery_failure);
            };
            if order.delivery_failures.get(id).copied() == delivery_failure {
                return Ok(delivery_failure);
            }
            // Then both are read once more: the receipt may have changed before this write, by a writer who found nothing
            // to change here.
            let (Changed::Now | Changed::Raced) = self
                .store
                .keep_delivery_failure(&order, id, delivery_failure)
                .await?;
        }
        Err(RetryableError::Raced {
            what: "the order",
            tries: TRIES,
        })
    }
}

/// The receipt after an update.
fn updated(before: Receipt, update: ReceiptUpdate) -> Receipt {
    Receipt {
        mails: update.mails,
        state: update.state.unwrap_or(before.state),
        ..before
    }
}

impl<S: Receipts + Orders + Suppressions> Worker<Notice> for Feedback<S> {
    async fn work(&self, notice: &Notice, _: &Attempt) -> Result<(), RetryableError> {
        let started_at = self.clock.now();
        let report = notice.report();
        let (ended, delivery_failure) = self.take_report(&report).await;
        let took = self.clock.now().duration_since(started_at);
        log::log(notice, report.as_ref().ok(), &ended, delivery_failure, took);
        match ended {
            Outcome::Accepted(_) | Outcome::Duplicate | Outcome::Rejected(_) => Ok(()),
            Outcome::Retry(error) => Err(error),
        }
    }

    /// Does nothing: a report has no row. The log and the dead-letter queue have it.
    async fn failed(&self, _: &Notice, _: &RetryableError, _: &Attempt) {}
}

/// Removes the trial messages of SES from a batch. They are not JSON and would end in the dead-letter queue.
#[must_use]
pub fn without_trials(mut batch: SqsEvent) -> SqsEvent {
    batch.records.retain(|record| {
        let is_trial_message = record.body.as_deref().is_some_and(is_trial);
        if is_trial_message {
            tracing::info!(outcome = "validated", "SES validated its topic");
        }
        !is_trial_message
    });
    batch
}
