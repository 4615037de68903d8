//! After the sale: payments that are announced by themselves, refunds, disputes.

use crate::fulfillment::{Decision, ParkReason, Policy, checkout::MAX_ORDER_BYTES, of_other_mode};
use crate::sale::restock;
use crate::{
    delivery::stored_event::StoredEvent,
    fulfillment::{
        commit::Commit,
        read_set::{ReadSet, Snapshot},
    },
    receipt::{Receipt, ReceiptKind},
    sale::{
        dispute::{self, Dispute},
        order::Order,
        payment::{self, Link},
        refund::{self, Refund},
        restock::goods_back,
        stock::{self, LineStock, Movement},
    },
    values::{
        facts::Fact,
        ids::{PaymentIntentId, Sku},
    },
};
use jiff::Timestamp;

/// What to do about news of a payment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum AboutPayment {
    /// This.
    Decided(Decision),
    /// Its order waits for money: look at the checkout again.
    LookAgain,
}

/// Decides what news of a payment mean: nothing by itself, since only a checkout makes an order. `rows` are the
/// payment's link, and the order if the link names one.
#[must_use]
pub fn payment(
    event: &StoredEvent,
    change: &payment::PaymentChange,
    rows: &Snapshot,
    policy: &Policy,
    now: Timestamp,
) -> AboutPayment {
    if let Some(park_reason) = of_other_mode("payment", change.mode, policy.mode) {
        return AboutPayment::Decided(Decision::Park(park_reason));
    }
    let id = &change.payment_intent_id;
    let facts = change
        .facts
        .clone()
        .map(|facts| Fact::new(event.stated_at(), facts));
    let nothing = |unsent| AboutPayment::Decided(Decision::Nothing { unsent });
    let Some(order) = &rows.order else {
        let known = rows
            .links
            .get(id)
            .cloned()
            .unwrap_or_else(|| Link::new(id.clone()));
        let says_more = facts.is_some();
        let link = known.clone().with(facts, now);
        if says_more && link.facts == known.facts {
            return nothing(Vec::new());
        }
        let link = Link {
            version: known.version + 1,
            ..link
        };
        let commit = Commit {
            links: vec![link],
            ..Commit::of(event.event_id.clone())
        };
        return AboutPayment::Decided(Decision::Write(Box::new(commit)));
    };
    if order.fulfilled_at.is_none() {
        return AboutPayment::LookAgain;
    }
    let known = order.payments.get(id).cloned();
    let mut merged = known.clone();
    payment::merge(&mut merged, facts);
    match merged.filter(|_| order.payment_intents.contains(id)) {
        Some(facts) if Some(&facts) != known.as_ref() => {
            let mut order = next(order);
            order.payments.insert(id.clone(), facts);
            let commit = Commit {
                order: Some(order),
                ..Commit::of(event.event_id.clone())
            };
            AboutPayment::Decided(Decision::Write(Box::new(commit)))
        }
        _ => nothing(order.receipt_id.iter().cloned().collect()),
    }
}

/// The rows that a checkout is decided on, with the news of one of its payments in them. What was announced is not
/// lost where the provider's API does not tell of it: because it is behind, or because payments could not be read.
#[must_use]
pub fn noted(event: &StoredEvent, change: &payment::PaymentChange, mut rows: Snapshot) -> Snapshot {
    let id = &change.payment_intent_id;
    let facts = change
        .facts
        .clone()
        .map(|facts| Fact::new(event.stated_at(), facts));
    let link = rows
        .links
        .remove(id)
        .unwrap_or_else(|| Link::new(id.clone()));
    rows.links
        .insert(id.clone(), link.with(facts, event.stated_at()));
    rows
}

/// The shelves that a refund of this order is decided on.
#[must_use]
pub fn stock_read_set(order: &Order, policy: &Policy) -> ReadSet {
    let mut skus: Vec<Sku> = order
        .lines
        .iter()
        .filter_map(|line| match &line.stock {
            LineStock::Counted { sku } => Some(sku.clone()),
            LineStock::Untracked { .. } | LineStock::Waiting | LineStock::Unmapped => None,
        })
        .collect();
    skus.sort();
    skus.dedup();
    let read_set = policy.restock != restock::RestockPolicy::Never && !skus.is_empty();
    ReadSet {
        stock_levels: read_set.then(|| (order.order_id.clone(), skus)),
        ..ReadSet::default()
    }
}

/// Decides what news of refunds mean for their order. `rows` hold the order, if it is known, and the shelves of
/// [`stock_read_set`].
#[must_use]
pub fn refunds(
    event: &StoredEvent,
    stated_at: Timestamp,
    change: &[refund::RefundChange],
    rows: &Snapshot,
    policy: &Policy,
    now: Timestamp,
) -> Decision {
    if let Some(park_reason) = change
        .iter()
        .find_map(|change| of_other_mode("refund", change.mode, policy.mode))
    {
        return Decision::Park(park_reason);
    }
    let Some(known) = rows
        .order
        .as_ref()
        .filter(|order| order.fulfilled_at.is_some())
    else {
        return Decision::Wait {
            commit: None,
            park_reason: ParkReason::OrderUnknown("refund"),
        };
    };
    refunded(event, stated_at, change, known, rows, policy, now).unwrap_or_else(Decision::Park)
}

fn refunded(
    event: &StoredEvent,
    stated_at: Timestamp,
    change: &[refund::RefundChange],
    known: &Order,
    rows: &Snapshot,
    policy: &Policy,
    now: Timestamp,
) -> Result<Decision, ParkReason> {
    let mut order = next(known);
    let mut receipts = Vec::new();
    for change in change {
        let facts = Fact::new(stated_at, change.facts.clone());
        let refund = order
            .refunds
            .entry(change.refund_id.clone())
            .and_modify(|refund| refund.merge(facts.clone()))
            .or_insert_with(|| Refund::new(facts.clone()));
        if refund.succeeded && refund.receipt_id.is_none() {
            let kind = ReceiptKind::Refund {
                refund_id: change.refund_id.clone(),
                amount: refund.facts.value.amount,
                refunded_at: refund.facts.value.made_at.unwrap_or(stated_at),
            };
            let receipt = Receipt::new(&known.order_id, kind, None, now)?;
            refund.receipt_id = Some(receipt.receipt_id.clone());
            receipts.push(receipt);
        }
    }
    let moved: Vec<Movement> = rows
        .stock_levels
        .iter()
        .filter_map(|stock_level| stock_level.moved.clone())
        .collect();
    let returns = stock::returns(
        &rows.stock_levels,
        &goods_back(&order, policy.restock, &moved),
    );
    if order.refunds == known.refunds && returns.is_empty() {
        let mine = |id| {
            known
                .refunds
                .get(id)
                .and_then(|refund| refund.receipt_id.clone())
        };
        return Ok(Decision::Nothing {
            unsent: change
                .iter()
                .filter_map(|change| mine(&change.refund_id))
                .collect(),
        });
    }
    if order.size_bound() > MAX_ORDER_BYTES {
        return Err(ParkReason::TooLarge {
            lines: order.lines.len(),
        });
    }
    let commit = Commit {
        order: Some(order),
        receipts,
        returns,
        ..Commit::of(event.event_id.clone())
    };
    Ok(Decision::Write(Box::new(commit)))
}

/// Decides what news of a dispute mean for its order.
#[must_use]
pub fn dispute(
    event: &StoredEvent,
    change: &dispute::DisputeChange,
    rows: &Snapshot,
    policy: &Policy,
) -> Decision {
    if let Some(park_reason) = of_other_mode("dispute", change.mode, policy.mode) {
        return Decision::Park(park_reason);
    }
    let Some(known) = rows
        .order
        .as_ref()
        .filter(|order| order.fulfilled_at.is_some())
    else {
        return Decision::Wait {
            commit: None,
            park_reason: ParkReason::OrderUnknown("dispute"),
        };
    };
    let mut order = next(known);
    let facts = Fact::new(event.stated_at(), change.facts.clone());
    let funds = change
        .funds
        .clone()
        .map(|funds| Fact::new(event.stated_at(), funds));
    let dispute = Dispute::merged(order.disputes.remove(&change.dispute_id), facts, funds);
    order.disputes.insert(change.dispute_id.clone(), dispute);
    if order.disputes == known.disputes {
        return Decision::Nothing { unsent: Vec::new() };
    }
    if order.size_bound() > MAX_ORDER_BYTES {
        return Decision::Park(ParkReason::TooLarge {
            lines: order.lines.len(),
        });
    }
    Decision::Write(Box::new(Commit {
        order: Some(order),
        ..Commit::of(event.event_id.clone())
    }))
}

/// The order in its next version.
fn next(order: &Order) -> Order {
    Order {
        version: order.version + 1,
        ..order.clone()
    }
}

/// The payment that a refund or a dispute is about.
#[must_use]
pub fn payment_of(change: &[refund::RefundChange]) -> Option<&PaymentIntentId> {
    change.first().map(|change| &change.facts.payment_intent_id)
}

#[cfg(test)]
mod tests;
