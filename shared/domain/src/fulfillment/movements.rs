//! The movements of money of a provider that reports no balance transactions: orders record them in the same journal.
//!
//! Each payment, refund and dispute has one row, which is a function of its order. Facts merge into the order, so their
//! order of arrival changes no row. Fees are unknown.

use crate::{
    fulfillment::{
        Stop,
        known::Case,
        read_set::{ReadSet, Snapshot},
    },
    resource::{
        Resource, ResourceChange, ResourceId,
        transaction::{Movement, Related, TransactionFacts, TransactionStatus},
    },
    sale::{
        dispute::{Dispute, DisputeFunds, DisputeStage},
        order::Order,
    },
    values::{
        facts::{Stamp, whole_second},
        ids::{PaymentIntentId, TransactionId},
        money::Currency,
        provider::Party,
    },
};
use jiff::Timestamp;
use std::collections::BTreeMap;

/// The rows of these payments.
pub(super) fn of_payments(payments: &[PaymentIntentId]) -> Vec<ResourceId> {
    let row = |id| ResourceId::Transaction(TransactionId::from(id));
    payments.iter().map(row).collect()
}

/// The movements that differ between the order as stored and as it is to be written, as rows of version 0.
pub(super) fn news(case: &Case<'_>, order: Option<&Order>) -> Result<Vec<Resource>, Stop> {
    let Some(order) = order.filter(|_| case.provider.movements == Party::Us) else {
        return Ok(Vec::new());
    };
    let rows = case.known.rows(&ReadSet::of_order(&order.order_id))?;
    let is_same = |known: &&Order| known.order_id == order.order_id;
    let known = rows.order.as_ref().filter(is_same).map(all);
    Ok(changed(order, &known.unwrap_or_default(), all(order)))
}

/// The rows to read for the movements.
pub(super) fn read_set(news: &[Resource]) -> ReadSet {
    ReadSet {
        resources: news.iter().map(Resource::id).collect(),
        ..ReadSet::default()
    }
}

/// The movements that differ from their rows, as the next writes of them.
pub(super) fn rows(news: &[Resource], rows: &Snapshot) -> Vec<Resource> {
    let row = |row: &Resource| {
        let known = rows.resources.get(&row.id());
        let row = row.clone().in_version(known.map_or(0, Resource::version));
        (known != Some(&row)).then(|| row.next())
    };
    news.iter().filter_map(row).collect()
}

type Movements = BTreeMap<TransactionId, TransactionFacts>;

/// The rows of the movements that changed. One that is gone moved no money after all.
fn changed(order: &Order, known: &Movements, all: Movements) -> Vec<Resource> {
    let gone = known.iter().filter(|(id, _)| !all.contains_key(*id));
    let gone = gone.map(|(id, facts)| {
        let status = TransactionStatus::Failed;
        let facts = facts.clone();
        (id.clone(), TransactionFacts { status, ..facts })
    });
    let gone: Vec<_> = gone.collect();
    let news = all
        .into_iter()
        .filter(|(id, facts)| known.get(id) != Some(facts));
    let row = |(id, facts): (TransactionId, TransactionFacts)| {
        let at = facts.occurred_at;
        let facts = facts.into();
        Resource::learn(
            None,
            &order.provider,
            &ResourceChange::Transaction { id, facts },
            at,
        )
    };
    news.chain(gone).map(row).collect()
}

/// All movements of an order.
fn all(order: &Order) -> Movements {
    payments(order)
        .chain(refunds(order))
        .chain(disputes(order))
        .collect()
}

/// The payments that brought money.
fn payments(order: &Order) -> impl Iterator<Item = (TransactionId, TransactionFacts)> {
    let unread = unread(order);
    let own = order.payment_intents.iter();
    own.filter_map(move |id| {
        let money = match order.payments.get(id) {
            Some(fact) => Money {
                amount: fact.value.taken(),
                currency: fact.value.currency,
                at: occurred_at(fact.value.made_at, fact.stamp),
                is_void: false,
            },
            None => Money {
                amount: unread.filter(|(first, _)| *first == id)?.1,
                currency: order.currency,
                at: whole_second(order.placed_at),
                is_void: false,
            },
        };
        let related = ("payment_intent", id.as_str());
        let facts = money.facts(order, Movement::Payment, related);
        (money.amount > 0).then(|| (id.into(), facts))
    })
}

/// The received money that no known payment brought, with the first payment of which nothing is known. The sale or the
/// invoice states such money, and perhaps no event ever describes its payment.
fn unread(order: &Order) -> Option<(&PaymentIntentId, i64)> {
    let mut own = order.payment_intents.iter();
    let first = own.find(|id| !order.payments.contains_key(*id))?;
    let own = order.payment_intents.iter();
    let known = own.filter_map(|id| order.payments.get(id));
    let known = known.fold(0_i64, |sum, fact| sum.saturating_add(fact.value.taken()));
    Some((first, order.paid().saturating_sub(known)))
}

/// The refunds that ever succeeded, each with the amount that goes back to the customer. One that only releases an
/// authorization moves nothing.
fn refunds(order: &Order) -> impl Iterator<Item = (TransactionId, TransactionFacts)> {
    order.paid_back().into_iter().filter_map(|(id, amount)| {
        let refund = order.refunds.get(id)?;
        let facts = &refund.facts.value;
        let money = Money {
            amount: amount.saturating_neg(),
            currency: facts.currency,
            at: occurred_at(facts.made_at, refund.facts.stamp),
            is_void: refund.failed_after_all(),
        };
        let related = ("refund", id.as_str());
        Some((id.into(), money.facts(order, Movement::Refund, related)))
    })
}

/// The disputes that took money, or that gave it back since.
fn disputes(order: &Order) -> impl Iterator<Item = (TransactionId, TransactionFacts)> {
    order.disputes.iter().filter_map(|(id, dispute)| {
        let facts = &dispute.facts.value;
        let (is_void, stamp) = taken_by(dispute)?;
        let money = Money {
            amount: facts.amount.saturating_neg(),
            currency: facts.currency,
            at: occurred_at(None, stamp),
            is_void,
        };
        let related = ("dispute", id.as_str());
        Some((id.into(), money.facts(order, Movement::Dispute, related)))
    })
}

/// True if a dispute's money is back, with the stamp of its last movement; `None` if none has moved. Without a report
/// of the money, a lost dispute has taken it.
fn taken_by(dispute: &Dispute) -> Option<(bool, Stamp)> {
    match &dispute.funds {
        Some(funds) => Some((funds.value == DisputeFunds::Reinstated, funds.stamp)),
        None if dispute.stage() == DisputeStage::Lost => Some((false, dispute.facts.stamp)),
        None => None,
    }
}

/// Rows keep such times in whole seconds. A movement has the same time whether its order was just read or not.
fn occurred_at(made_at: Option<Timestamp>, stamp: Stamp) -> Timestamp {
    whole_second(made_at.unwrap_or(stamp.at))
}

/// Money that moved, in minor units of `currency`.
struct Money {
    amount: i64,
    currency: Currency,
    at: Timestamp,
    is_void: bool,
}

impl Money {
    fn facts(
        &self,
        order: &Order,
        movement: Movement,
        (kind, id): (&str, &str),
    ) -> TransactionFacts {
        let status = if self.is_void {
            TransactionStatus::Failed
        } else {
            TransactionStatus::Available
        };
        TransactionFacts {
            mode: Some(order.mode),
            movement,
            status,
            currency: self.currency,
            amount: self.amount,
            fee: None,
            net: None,
            occurred_at: self.at,
            available_at: None,
            order_id: Some(order.order_id.clone()),
            payout_id: None,
            related: Some(Related {
                kind: kind.to_owned(),
                id: id.to_owned(),
            }),
        }
    }
}

#[cfg(test)]
mod tests;
