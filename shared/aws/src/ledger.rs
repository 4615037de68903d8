//! The Stock table, and the one transaction that ties all tables together.

use crate::{
    events,
    failure::{MOST_TRIES, jitter, setback},
    orders, receipts,
    stock::{self, Attributes},
};
use aws_sdk_dynamodb::{
    Client,
    error::{BuildError, SdkError},
    operation::transact_write_items::TransactWriteItemsError,
    types::{KeysAndAttributes, TransactWriteItem},
};
use domain::{
    fulfillment::Commit,
    ids::{OrderId, Sku},
    outcome::Setback,
    ports::{self, Committed},
    stock::{Mapping, Shelf, Take, Unnamed},
};

const SERVICE: &str = "DynamoDB";

/// `TransactWriteItems` takes 100 actions
/// (<https://docs.aws.amazon.com/amazondynamodb/latest/APIReference/API_TransactWriteItems.html>).
const MOST_ACTIONS: usize = 100;
/// Order, receipt and event: what the last transaction of a commit holds beside movements.
const FIXED_ACTIONS: usize = 3;
/// A movement and its counter.
const ACTIONS_A_TAKE: usize = 2;
/// `BatchGetItem` takes 100 keys.
const MOST_KEYS: usize = 100;

/// The names of the tables that a commit writes.
#[derive(Debug, Clone)]
pub struct Tables {
    /// Events.
    pub events: String,
    /// Orders.
    pub orders: String,
    /// Stock.
    pub stock: String,
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

/// How many takes go first, in transactions of their own, so that the rest fits into the last one.
fn first_parts(takes: &[Take]) -> (Vec<&[Take]>, &[Take]) {
    let fit_last = (MOST_ACTIONS - FIXED_ACTIONS) / ACTIONS_A_TAKE;
    let (first, last) = takes.split_at(takes.len().saturating_sub(fit_last));
    (first.chunks(MOST_ACTIONS / ACTIONS_A_TAKE).collect(), last)
}

fn unbuildable(error: &BuildError) -> Setback {
    Setback::Fault(format!("a request could not be built: {error}"))
}

impl Ledger {
    /// The ledger in these tables.
    #[must_use]
    pub fn new(client: Client, tables: Tables) -> Self {
        Self { client, tables }
    }

    fn take_actions(&self, takes: &[Take]) -> Result<Vec<TransactWriteItem>, Setback> {
        let mut actions = Vec::with_capacity(takes.len() * ACTIONS_A_TAKE);
        for take in takes {
            let (put, update) =
                stock::take(&self.tables.stock, take)?.map_err(|error| unbuildable(&error))?;
            actions.push(TransactWriteItem::builder().put(put).build());
            actions.push(TransactWriteItem::builder().update(update).build());
        }
        Ok(actions)
    }

    async fn transact(&self, actions: Vec<TransactWriteItem>) -> Result<Committed, Setback> {
        for n in 1..=MOST_TRIES {
            let sent =
                self.client.transact_write_items().set_transact_items(Some(actions.clone())).send().await;
            let Err(error) = sent else { return Ok(Committed::Now) };
            let SdkError::ServiceError(refusal) = &error else { return Err(setback(SERVICE, &error)) };
            match refusal.err() {
                TransactWriteItemsError::TransactionCanceledException(cancelled) => {
                    match verdict(cancelled.cancellation_reasons().iter().map(|reason| reason.code())) {
                        Verdict::Raced => return Ok(Committed::Raced),
                        Verdict::Again => jitter(n).await,
                        Verdict::Broken(code) => {
                            return Err(Setback::SetUp { service: SERVICE, cause: code });
                        }
                    }
                }
                TransactWriteItemsError::TransactionInProgressException(_) => jitter(n).await,
                _ => return Err(setback(SERVICE, &error)),
            }
        }
        Err(Setback::Raced { what: "the transaction", tries: MOST_TRIES })
    }

    async fn batch_get(&self, keys: &[Attributes]) -> Result<Vec<Attributes>, Setback> {
        let mut found = Vec::new();
        for keys in keys.chunks(MOST_KEYS) {
            let mut left = keys.to_vec();
            let mut n = 0;
            while !left.is_empty() {
                if n > 0 {
                    jitter(n).await;
                }
                n += 1;
                if n > MOST_TRIES {
                    let cause = "keys left unread".to_owned();
                    return Err(Setback::Away { service: SERVICE, cause, retry_after: None });
                }
                let request = KeysAndAttributes::builder()
                    .set_keys(Some(left))
                    .consistent_read(true)
                    .build()
                    .map_err(|error| unbuildable(&error))?;
                let mut answer = self
                    .client
                    .batch_get_item()
                    .request_items(&self.tables.stock, request)
                    .send()
                    .await
                    .map_err(|error| setback(SERVICE, &error))?;
                found.extend(answer.responses.take().into_iter().flatten().flat_map(|(_, items)| items));
                left = answer
                    .unprocessed_keys
                    .take()
                    .into_iter()
                    .flatten()
                    .flat_map(|(_, unread)| unread.keys)
                    .collect();
            }
        }
        Ok(found)
    }
}

impl ports::Ledger for Ledger {
    async fn mapping(&self, wanted: &[Unnamed]) -> Result<Mapping, Setback> {
        stock::mapping(wanted, &self.batch_get(&stock::mapping_keys(wanted)).await?)
    }

    async fn shelves(&self, order_id: &OrderId, skus: &[Sku]) -> Result<Vec<Shelf>, Setback> {
        stock::shelves(order_id, skus, &self.batch_get(&stock::shelf_keys(order_id, skus)).await?)
    }

    async fn commit(&self, commit: &Commit) -> Result<Committed, Setback> {
        let (first, last) = first_parts(&commit.takes);
        for part in first {
            if self.transact(self.take_actions(part)?).await? == Committed::Raced {
                return Ok(Committed::Raced);
            }
        }
        let order = orders::first(&self.tables.orders, orders::item(&commit.order)?)
            .map_err(|error| unbuildable(&error))?;
        let receipt = receipts::first(&self.tables.receipts, receipts::item(&commit.receipt)?)
            .map_err(|error| unbuildable(&error))?;
        let event = events::committed(&self.tables.events, &commit.event_id, &commit.receipt.receipt_id)
            .map_err(|error| unbuildable(&error))?;
        let mut actions = vec![
            TransactWriteItem::builder().put(order).build(),
            TransactWriteItem::builder().put(receipt).build(),
            TransactWriteItem::builder().update(event).build(),
        ];
        actions.extend(self.take_actions(last)?);
        self.transact(actions).await
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use domain::stock::Movement;
    use jiff::Timestamp;

    #[test]
    fn a_cancelled_transaction_is_judged_reason_by_reason() {
        let of = |reasons: &[&'static str]| verdict(reasons.iter().map(|reason| Some(*reason)));
        assert_eq!(of(&["None", "ConditionalCheckFailed"]), Verdict::Raced);
        assert_eq!(of(&["TransactionConflict", "None"]), Verdict::Again);
        assert_eq!(of(&["ThrottlingError", "TransactionConflict"]), Verdict::Again);
        assert_eq!(of(&["ProvisionedThroughputExceeded"]), Verdict::Again);
        assert_eq!(of(&["TransactionConflict", "ConditionalCheckFailed"]), Verdict::Raced);
        assert_eq!(of(&["ConditionalCheckFailed", "ThrottlingError"]), Verdict::Raced);
        assert_eq!(of(&["None", "ValidationError"]), Verdict::Broken("ValidationError".to_owned()));
        assert_eq!(
            of(&["ItemCollectionSizeLimitExceeded", "TransactionConflict"]),
            Verdict::Broken("ItemCollectionSizeLimitExceeded".to_owned())
        );
        assert_eq!(of(&[]), Verdict::Again);
    }

    #[test]
    fn every_part_of_a_big_commit_fits_into_a_transaction() {
        let take = |n: usize| Take {
            movement: Movement {
                sku: Sku::new(format!("S{n}")).unwrap(),
                order_id: OrderId::new("fcs_1").unwrap(),
                quantity: 1,
                taken: 1,
                moved_at: Timestamp::UNIX_EPOCH,
            },
            on_hand: 1,
        };
        for count in [0, 1, 48, 49, 98, 99, 148, 500] {
            let takes: Vec<Take> = (0..count).map(take).collect();
            let (first, last) = first_parts(&takes);
            assert!(last.len() * ACTIONS_A_TAKE + FIXED_ACTIONS <= MOST_ACTIONS);
            assert!(first.iter().all(|part| part.len() * ACTIONS_A_TAKE <= MOST_ACTIONS && !part.is_empty()));
            assert_eq!(first.iter().map(|part| part.len()).sum::<usize>() + last.len(), count);
            assert_eq!(first.is_empty(), count <= 48);
        }
    }
}
