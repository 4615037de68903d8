//! Reads the rows of a decision together, and writes its commit in one transaction with the event.

mod read;

use crate::{
    entitlements::{self, put_contact, put_subscription},
    events,
    failure::{MOST_TRIES, classified, jitter},
    links, orders, receipts, resources, stock,
    store::{DYNAMODB, Store},
};
use aws_sdk_dynamodb::{
    error::SdkError, operation::transact_write_items::TransactWriteItemsError,
    types::TransactWriteItem,
};
use domain::{
    fulfillment::{
        commit::Commit,
        read_set::{ReadSet, Snapshot},
    },
    ports::{self, Changed, Committed},
    values::outcome::RetryableError,
};

/// `TransactWriteItems` takes 100 actions
/// (<https://docs.aws.amazon.com/amazondynamodb/latest/APIReference/API_TransactWriteItems.html>).
pub const MOST_ACTIONS: usize = 100;
/// A movement and its counter.
const ACTIONS_A_MOVE: usize = 2;
/// The checks in a transaction before the last one: of the event and of the order.
const CHECKS: usize = 2;
/// The number of movements in a transaction before the last one.
pub const MOVES_A_PART: usize = (MOST_ACTIONS - CHECKS) / ACTIONS_A_MOVE;
/// The meaning of a cancelled transaction.
#[derive(Debug, PartialEq, Eq)]
enum Verdict {
    /// A condition failed.
    Raced,
    /// A conflict or a limit: the same transaction may succeed soon.
    Again,
    /// A retry does not help.
    Broken(String),
}

/// Judges the reasons of a cancelled transaction. A failed condition decides even beside a conflict, because the rows of
/// the decision have changed.
fn verdict<'a>(reasons: impl IntoIterator<Item = Option<&'a str>>) -> Verdict {
    let mut verdict = Verdict::Again;
    for reason in reasons {
        match reason {
            Some("ConditionalCheckFailed") => return Verdict::Raced,
            None
            | Some(
                "None"
                | "TransactionConflict"
                | "ThrottlingError"
                | "ProvisionedThroughputExceeded"
                | "RequestLimitExceeded",
            ) => {}
            Some(other) => verdict = Verdict::Broken(other.to_owned()),
        }
    }
    verdict
}

/// Judges a transaction that failed because of its actions. Any other failure stays an error.
fn verdict_on(error: &SdkError<TransactWriteItemsError>) -> Result<Verdict, RetryableError> {
    let SdkError::ServiceError(refusal) = error else {
        return Err(classified(DYNAMODB, error));
    };
    match refusal.err() {
        TransactWriteItemsError::TransactionCanceledException(cancelled) => {
            let reasons = cancelled.cancellation_reasons().iter();
            Ok(verdict(reasons.map(|reason| reason.code())))
        }
        TransactWriteItemsError::TransactionInProgressException(_) => Ok(Verdict::Again),
        _ => Err(classified(DYNAMODB, error)),
    }
}

/// A movement and its counter change together.
type Move = [TransactWriteItem; ACTIONS_A_MOVE];

/// Splits the movements into first transactions of `most` each, and the rest, which fits into the last transaction
/// beside `others` other actions.
#[must_use]
pub fn first_parts<M>(moves: &[M], others: usize, most: usize) -> (Vec<&[M]>, &[M]) {
    let fit_last = most.min(MOST_ACTIONS.saturating_sub(others) / ACTIONS_A_MOVE);
    let (first, last) = moves.split_at(moves.len().saturating_sub(fit_last));
    (first.chunks(most.max(1)).collect(), last)
}

impl Store {
    /// The rows that a commit writes, except stock and mirrored things.
    fn rows(&self, commit: &Commit) -> Result<Vec<TransactWriteItem>, RetryableError> {
        let tables = &self.tables;
        let order = commit.order.iter();
        let subscriptions = commit.subscription.iter().chain(&commit.charged);
        let granted = commit.entitlements.iter();
        let puts = (order.map(|row| orders::put(&tables.orders, row)))
            .chain((commit.links.iter()).map(|row| links::put(&tables.links, row)))
            .chain((commit.reference.iter()).map(|row| links::put_reference(&tables.links, row)))
            .chain(subscriptions.map(|row| put_subscription(&tables.entitlements, row)))
            .chain(granted.map(|row| entitlements::put(&tables.entitlements, row)))
            .chain((commit.contact.iter()).map(|row| put_contact(&tables.entitlements, row)))
            .chain((commit.receipts.iter()).map(|row| receipts::put(&tables.receipts, row)));
        let puts = puts.map(|put| Ok(TransactWriteItem::builder().put(put?).build()));
        let mut rows = puts.collect::<Result<Vec<_>, RetryableError>>()?;
        for uncounted in &commit.uncounted {
            let report = stock::report(&tables.stock, uncounted, &commit.event_id)?;
            rows.push(TransactWriteItem::builder().update(report).build());
        }
        if let Some(id) = &commit.unless_erased {
            let check = entitlements::not_erased(&tables.entitlements, id)?;
            rows.push(TransactWriteItem::builder().condition_check(check).build());
        }
        rows.extend(self.announce(commit.announced.as_ref())?);
        rows.push(if commit.ends {
            let event = events::committed(&tables.events, &commit.event_id, &commit.outbox())?;
            TransactWriteItem::builder().update(event).build()
        } else {
            self.still_stored(commit)?
        });
        Ok(rows)
    }

    /// The rows of mirrored things.
    fn resource_rows(&self, commit: &Commit) -> Result<Vec<TransactWriteItem>, RetryableError> {
        let put = |row| resources::put(&self.tables.resources, row);
        let puts = commit.resources.iter().map(put);
        puts.map(|put| Ok(TransactWriteItem::builder().put(put?).build()))
            .collect()
    }

    /// The checks of each transaction before the last one: the event is still stored, and the order is still as read. The
    /// written rows thus belong to the order's next version.
    fn checks(&self, commit: &Commit) -> Result<Vec<TransactWriteItem>, RetryableError> {
        let order = commit.order.iter().map(|order| {
            let check = orders::unchanged(&self.tables.orders, order)?;
            Ok(TransactWriteItem::builder().condition_check(check).build())
        });
        order.chain([self.still_stored(commit)]).collect()
    }

    /// Checks that the event is still stored.
    fn still_stored(&self, commit: &Commit) -> Result<TransactWriteItem, RetryableError> {
        let check = events::still_stored(&self.tables.events, &commit.event_id)?;
        Ok(TransactWriteItem::builder().condition_check(check).build())
    }

    /// The movements of a commit. It has either deductions or restocks, so no counter is in one transaction twice, which
    /// DynamoDB would refuse.
    fn moves(&self, commit: &Commit) -> Result<Vec<Move>, RetryableError> {
        debug_assert!(
            commit.deductions.is_empty() || commit.restocks.is_empty(),
            "either a sale or a refund"
        );
        let action = TransactWriteItem::builder;
        let deductions = commit.deductions.iter().map(|take| {
            let (movement, counter) = stock::take(&self.tables.stock, take)?;
            Ok([
                action().put(movement).build(),
                action().update(counter).build(),
            ])
        });
        let restocks = commit.restocks.iter().map(|back| {
            let (movement, counter) = stock::put_back(&self.tables.stock, back)?;
            Ok([
                action().update(movement).build(),
                action().update(counter).build(),
            ])
        });
        deductions.chain(restocks).collect()
    }

    /// Sends a transaction. A failed condition is a result.
    pub(crate) async fn change(
        &self,
        actions: Vec<TransactWriteItem>,
    ) -> Result<Changed, RetryableError> {
        Ok(match self.transact(actions).await? {
            Committed::Now => Changed::Now,
            Committed::Raced => Changed::Raced,
        })
    }

    /// Sends a transaction, again after a conflict.
    pub(crate) async fn transact(
        &self,
        actions: Vec<TransactWriteItem>,
    ) -> Result<Committed, RetryableError> {
        let mut turn = None;
        for n in 0..MOST_TRIES {
            if n > 0 {
                // The orders of a batch are often of one SKU. Tried one after the other, they do not cancel each other.
                if turn.is_none() {
                    turn = Some(self.turn.lock().await);
                }
                jitter(n).await;
            }
            let sent = self
                .dynamodb
                .transact_write_items()
                .set_transact_items(Some(actions.clone()))
                .send()
                .await;
            let Err(error) = sent else {
                return Ok(Committed::Now);
            };
            match verdict_on(&error)? {
                Verdict::Raced => return Ok(Committed::Raced),
                Verdict::Again => {}
                Verdict::Broken(cause) => {
                    let service = DYNAMODB;
                    return Err(RetryableError::SetUp { service, cause });
                }
            }
        }
        Err(RetryableError::Raced {
            what: "the transaction",
            tries: MOST_TRIES,
        })
    }
}

impl ports::Commits for Store {
    async fn read(&self, read_set: &ReadSet) -> Result<Snapshot, RetryableError> {
        self.snapshot(read_set).await
    }

    async fn commit(&self, commit: &Commit) -> Result<Committed, RetryableError> {
        let mut rows = self.rows(commit)?;
        if rows.len() > MOST_ACTIONS {
            return Err(RetryableError::Fault(format!(
                "{} rows do not fit into one transaction",
                rows.len()
            )));
        }
        let mut resources = self.resource_rows(commit)?;
        // An order of many refunds has many movements of money, each with the order's facts.
        let early = resources.split_off(resources.len().min(MOST_ACTIONS - rows.len()));
        rows.append(&mut resources);
        let moves = self.moves(commit)?;
        let (first, last) = first_parts(&moves, rows.len(), MOVES_A_PART);
        let early = early.chunks(MOST_ACTIONS - CHECKS).map(<[_]>::to_vec);
        for part in early.chain(first.into_iter().map(<[_]>::concat)) {
            // Another attempt or a person may have parked or dropped the event meanwhile, or changed the order.
            let checks = self.checks(commit)?;
            if self.transact([checks, part].concat()).await? == Committed::Raced {
                return Ok(Committed::Raced);
            }
        }
        self.transact([rows, last.concat()].concat()).await
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cancelled_transaction_is_judged_reason_by_reason() {
        let broken = |cause: &str| Verdict::Broken(cause.to_owned());
        let cases: [(&[&str], _); 9] = [
            (&["None", "ConditionalCheckFailed"], Verdict::Raced),
            (&["TransactionConflict", "None"], Verdict::Again),
            (&["ThrottlingError", "TransactionConflict"], Verdict::Again),
            (&["ProvisionedThroughputExceeded"], Verdict::Again),
            (
                &["TransactionConflict", "ConditionalCheckFailed"],
                Verdict::Raced,
            ),
            (
                &["ConditionalCheckFailed", "ThrottlingError"],
                Verdict::Raced,
            ),
            (&["None", "ValidationError"], broken("ValidationError")),
            (
                &["ItemCollectionSizeLimitExceeded", "TransactionConflict"],
                broken("ItemCollectionSizeLimitExceeded"),
            ),
            (&[], Verdict::Again),
        ];
        for (reasons, expected) in cases {
            let found = verdict(reasons.iter().copied().map(Some));
            assert_eq!(found, expected, "{reasons:?}");
        }
    }

    #[test]
    fn every_part_of_a_big_commit_fits_into_a_transaction() {
        let action = || TransactWriteItem::builder().build();
        for others in [1, 3, 4, 40, 99, 100] {
            for count in [0, 1, 48, 49, 98, 99, 148, 500] {
                let moves: Vec<Move> = (0..count).map(|_| [action(), action()]).collect();
                let (first, last) = first_parts(&moves, others, MOVES_A_PART);
                assert!(last.concat().len() + others <= MOST_ACTIONS);
                assert!(
                    first
                        .iter()
                        .all(|part| (1..=MOST_ACTIONS - CHECKS).contains(&part.concat().len()))
                );
                assert_eq!(first.concat().len() + last.len(), count);
                assert_eq!(
                    first.is_empty(),
                    count * ACTIONS_A_MOVE + others <= MOST_ACTIONS
                );
                let (first, last) = first_parts(&moves, others, 1);
                assert!(first.iter().all(|part| part.len() == 1) && last.len() <= 1);
                assert_eq!(first.len() + last.len(), count);
            }
        }
    }
}
