//! All tables but that of the events, read together, and the one transaction that ties them to it.

use crate::{
    entitlements, events,
    failure::{MOST_TRIES, classified, jitter, unbuildable},
    links, orders, receipts,
    row::{Attributes, Key, attributes},
    stock,
};
use aws_sdk_dynamodb::{
    Client,
    error::SdkError,
    operation::transact_write_items::TransactWriteItemsError,
    types::{KeysAndAttributes, TransactWriteItem},
};
use domain::{
    fulfillment::{
        commit::Commit,
        read_set::{ReadSet, Snapshot},
    },
    ports::{self, Committed},
    values::outcome::RetryableError,
};
use std::collections::{BTreeSet, HashMap};

const SERVICE: &str = "DynamoDB";

/// `TransactWriteItems` takes 100 actions
/// (<https://docs.aws.amazon.com/amazondynamodb/latest/APIReference/API_TransactWriteItems.html>).
pub const MOST_ACTIONS: usize = 100;
/// A movement and its counter.
const ACTIONS_A_MOVE: usize = 2;
/// How many movements go into a part that is not the last: there the check of the event is the only other action.
pub const MOVES_A_PART: usize = (MOST_ACTIONS - 1) / ACTIONS_A_MOVE;
/// `BatchGetItem` takes 100 keys, of all tables together.
const MOST_KEYS: usize = 100;

/// The names of the tables that a commit writes.
#[derive(Debug, Clone)]
pub struct Tables {
    /// Events.
    pub events: String,
    /// Orders.
    pub orders: String,
    /// Links.
    pub links: String,
    /// Stock.
    pub stock: String,
    /// Entitlements.
    pub entitlements: String,
    /// Receipts.
    pub receipts: String,
}

/// The ledger on DynamoDB.
#[derive(Debug, Clone)]
pub struct Ledger {
    client: Client,
    tables: Tables,
}

/// What a cancelled transaction means.
#[derive(Debug, PartialEq, Eq)]
enum Verdict {
    /// A condition failed: an answer.
    Raced,
    /// A conflict or a limit: the same may succeed in a moment.
    Again,
    /// Something that trying again will not mend.
    Broken(String),
}

/// Judges the reasons of a cancelled transaction, one by one. The reasons can be mixed: a failed condition
/// beside a conflict is an answer all the same, since the decision was taken on rows that have changed.
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

/// A movement and its counter change together.
type Move = [TransactWriteItem; ACTIONS_A_MOVE];

/// The movements that go first, in transactions of their own with `most` in each, so that the rest fits into the last
/// one, beside so many other actions.
#[must_use]
pub fn first_parts<M>(moves: &[M], others: usize, most: usize) -> (Vec<&[M]>, &[M]) {
    let fit_last = most.min(MOST_ACTIONS.saturating_sub(others) / ACTIONS_A_MOVE);
    let (first, last) = moves.split_at(moves.len().saturating_sub(fit_last));
    (first.chunks(most.max(1)).collect(), last)
}

impl Ledger {
    /// The ledger in these tables.
    #[must_use]
    pub fn new(client: Client, tables: Tables) -> Self {
        Self { client, tables }
    }

    /// The keys to read, each once: DynamoDB refuses a request that names one twice.
    fn keys(&self, read_set: &ReadSet) -> Vec<(&str, Key)> {
        let Tables {
            orders,
            links,
            stock,
            entitlements,
            ..
        } = &self.tables;
        let of = |table, keys: Vec<Key>| keys.into_iter().map(move |key| (table, key));
        let keys: BTreeSet<(&str, Key)> = of(orders.as_str(), orders::keys(read_set))
            .chain(of(links, links::keys(read_set)))
            .chain(of(stock, stock::keys(read_set)))
            .chain(of(entitlements, entitlements::keys(read_set)))
            .collect();
        keys.into_iter().collect()
    }

    /// Reads items, by table; as many calls as their number asks for, none for none.
    async fn batch_get(
        &self,
        keys: Vec<(&str, Key)>,
    ) -> Result<HashMap<String, Vec<Attributes>>, RetryableError> {
        let mut found: HashMap<String, Vec<Attributes>> = HashMap::new();
        for keys in keys.chunks(MOST_KEYS) {
            let mut left: HashMap<String, Vec<Attributes>> = HashMap::new();
            for (table, key) in keys {
                left.entry((*table).to_owned())
                    .or_default()
                    .push(attributes(key.clone()));
            }
            let mut n = 0;
            while !left.is_empty() {
                if n > 0 {
                    jitter(n).await;
                }
                n += 1;
                if n > MOST_TRIES {
                    let cause = "keys left unread".to_owned();
                    return Err(RetryableError::Away {
                        service: SERVICE,
                        cause,
                        retry_after: None,
                    });
                }
                let requests = left.into_iter().map(|(table, keys)| {
                    let request = KeysAndAttributes::builder()
                        .set_keys(Some(keys))
                        .consistent_read(true);
                    request
                        .build()
                        .map(|request| (table, request))
                        .map_err(|error| unbuildable(&error))
                });
                let requests = requests.collect::<Result<_, RetryableError>>()?;
                let answer = self
                    .client
                    .batch_get_item()
                    .set_request_items(Some(requests))
                    .send()
                    .await;
                let answer = answer.map_err(|error| classified(SERVICE, &error))?;
                for (table, items) in answer.responses.into_iter().flatten() {
                    found.entry(table).or_default().extend(items);
                }
                let unread = answer.unprocessed_keys.into_iter().flatten();
                left = unread.map(|(table, unread)| (table, unread.keys)).collect();
            }
        }
        Ok(found)
    }

    /// What a commit writes beside stock.
    fn rows(&self, commit: &Commit) -> Result<Vec<TransactWriteItem>, RetryableError> {
        let Commit {
            event_id,
            order,
            links,
            reference,
            subscription,
            entitlements,
            contact,
            receipts,
            ..
        } = commit;
        let tables = &self.tables;
        let puts = order
            .iter()
            .map(|row| orders::put(&tables.orders, row))
            .chain(links.iter().map(|row| links::put(&tables.links, row)))
            .chain(
                reference
                    .iter()
                    .map(|row| links::put_reference(&tables.links, row)),
            )
            .chain(
                subscription
                    .iter()
                    .map(|row| entitlements::put_subscription(&tables.entitlements, row)),
            )
            .chain(
                entitlements
                    .iter()
                    .map(|row| entitlements::put(&tables.entitlements, row)),
            )
            .chain(
                contact
                    .iter()
                    .map(|row| entitlements::put_contact(&tables.entitlements, row)),
            )
            .chain(
                receipts
                    .iter()
                    .map(|row| receipts::put(&tables.receipts, row)),
            );
        let puts = puts.map(|put| Ok(TransactWriteItem::builder().put(put?).build()));
        let mut rows = puts.collect::<Result<Vec<_>, RetryableError>>()?;
        rows.push(if commit.ends {
            let event = events::committed(&tables.events, event_id, &commit.receipt_ids())?;
            TransactWriteItem::builder().update(event).build()
        } else {
            self.still_stored(commit)?
        });
        Ok(rows)
    }

    /// That the event stands where it stood when the decision was taken.
    fn still_stored(&self, commit: &Commit) -> Result<TransactWriteItem, RetryableError> {
        let check = events::still_stored(&self.tables.events, &commit.event_id)?;
        Ok(TransactWriteItem::builder().condition_check(check).build())
    }

    /// What a commit moves. A sale takes out and a refund puts back, so no counter is moved twice in one commit, which
    /// DynamoDB would refuse.
    fn moves(&self, commit: &Commit) -> Result<Vec<Move>, RetryableError> {
        debug_assert!(
            commit.deductions.is_empty() || commit.returns.is_empty(),
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
        let returns = commit.returns.iter().map(|back| {
            let (movement, counter) = stock::put_back(&self.tables.stock, back)?;
            Ok([
                action().update(movement).build(),
                action().update(counter).build(),
            ])
        });
        deductions.chain(returns).collect()
    }

    async fn transact(&self, actions: Vec<TransactWriteItem>) -> Result<Committed, RetryableError> {
        for n in 0..MOST_TRIES {
            if n > 0 {
                jitter(n).await;
            }
            let sent = self
                .client
                .transact_write_items()
                .set_transact_items(Some(actions.clone()))
                .send()
                .await;
            let Err(error) = sent else {
                return Ok(Committed::Now);
            };
            let SdkError::ServiceError(refusal) = &error else {
                return Err(classified(SERVICE, &error));
            };
            match refusal.err() {
                TransactWriteItemsError::TransactionCanceledException(cancelled) => {
                    match verdict(
                        cancelled
                            .cancellation_reasons()
                            .iter()
                            .map(|reason| reason.code()),
                    ) {
                        Verdict::Raced => return Ok(Committed::Raced),
                        Verdict::Again => {}
                        Verdict::Broken(code) => {
                            return Err(RetryableError::SetUp {
                                service: SERVICE,
                                cause: code,
                            });
                        }
                    }
                }
                TransactWriteItemsError::TransactionInProgressException(_) => {}
                _ => return Err(classified(SERVICE, &error)),
            }
        }
        Err(RetryableError::Raced {
            what: "the transaction",
            tries: MOST_TRIES,
        })
    }
}

impl ports::Ledger for Ledger {
    async fn read(&self, read_set: &ReadSet) -> Result<Snapshot, RetryableError> {
        let mut found = self.batch_get(self.keys(read_set)).await?;
        let mut of = |table: &str| found.remove(table).unwrap_or_default();
        let mut rows = Snapshot::default();
        orders::found(of(&self.tables.orders), &mut rows)?;
        links::found(of(&self.tables.links), &mut rows)?;
        stock::found(read_set, of(&self.tables.stock), &mut rows)?;
        entitlements::found(read_set, of(&self.tables.entitlements), &mut rows)?;
        Ok(rows)
    }

    async fn commit(&self, commit: &Commit) -> Result<Committed, RetryableError> {
        let rows = self.rows(commit)?;
        if rows.len() > MOST_ACTIONS {
            return Err(RetryableError::Fault(format!(
                "{} rows do not fit into one transaction",
                rows.len()
            )));
        }
        let moves = self.moves(commit)?;
        let (first, last) = first_parts(&moves, rows.len(), MOVES_A_PART);
        for part in first {
            // Or else goods would leave the shelf for an event that somebody has dropped or parked meanwhile.
            let event = self.still_stored(commit)?;
            if self.transact([vec![event], part.concat()].concat()).await? == Committed::Raced {
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
        let of = |reasons: &[&'static str]| verdict(reasons.iter().map(|reason| Some(*reason)));
        assert_eq!(of(&["None", "ConditionalCheckFailed"]), Verdict::Raced);
        assert_eq!(of(&["TransactionConflict", "None"]), Verdict::Again);
        assert_eq!(
            of(&["ThrottlingError", "TransactionConflict"]),
            Verdict::Again
        );
        assert_eq!(of(&["ProvisionedThroughputExceeded"]), Verdict::Again);
        assert_eq!(
            of(&["TransactionConflict", "ConditionalCheckFailed"]),
            Verdict::Raced
        );
        assert_eq!(
            of(&["ConditionalCheckFailed", "ThrottlingError"]),
            Verdict::Raced
        );
        assert_eq!(
            of(&["None", "ValidationError"]),
            Verdict::Broken("ValidationError".to_owned())
        );
        assert_eq!(
            of(&["ItemCollectionSizeLimitExceeded", "TransactionConflict"]),
            Verdict::Broken("ItemCollectionSizeLimitExceeded".to_owned())
        );
        assert_eq!(of(&[]), Verdict::Again);
    }

    #[test]
    fn every_part_of_a_big_commit_fits_into_a_transaction() {
        let action = || TransactWriteItem::builder().build();
        for others in [1, 3, 4, 40, 99, 100] {
            for count in [0, 1, 48, 49, 98, 99, 148, 500] {
                let moves: Vec<Move> = (0..count).map(|_| [action(), action()]).collect();
                let (first, last) = first_parts(&moves, others, MOVES_A_PART);
                assert!(last.concat().len() + others <= MOST_ACTIONS);
                // Beside the check of the event.
                assert!(
                    first
                        .iter()
                        .all(|part| (1..MOST_ACTIONS).contains(&part.concat().len()))
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
