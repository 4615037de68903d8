//! After the sale: payments that are announced by themselves, refunds, disputes.

use super::{Decision, Doubt, Policy, checkout::MAX_ORDER_BYTES, of_other_mode};
use crate::{
    dispute::{self, Dispute},
    event::StoredEvent,
    facts::Latest,
    ids::{PaymentIntentId, Sku},
    ledger::{Commit, Rows, Wanted},
    order::Order,
    payment::{self, Link},
    receipt::{Kind, Receipt},
    refund::{self, Refund, goods_back},
    stock::{self, LineStock, Movement},
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
    news: &payment::News,
    rows: &Rows,
    policy: &Policy,
    now: Timestamp,
) -> AboutPayment {
    if let Some(doubt) = of_other_mode("payment", news.mode, policy.mode) {
        return AboutPayment::Decided(Decision::Park(doubt));
    }
    let id = &news.payment_intent_id;
    let told = news
        .told
        .clone()
        .map(|told| Latest::new(event.told_at(), told));
    let nothing = |owed| AboutPayment::Decided(Decision::Nothing { owed });
    let Some(order) = &rows.order else {
        let known = rows
            .links
            .get(id)
            .cloned()
            .unwrap_or_else(|| Link::new(id.clone()));
        let says_more = told.is_some();
        let link = known.clone().with(told, now);
        if says_more && link.told == known.told {
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
    payment::merge(&mut merged, told);
    match merged.filter(|_| order.payment_intents.contains(id)) {
        Some(told) if Some(&told) != known.as_ref() => {
            let mut order = next(order);
            order.payments.insert(id.clone(), told);
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
pub fn noted(event: &StoredEvent, news: &payment::News, mut rows: Rows) -> Rows {
    let id = &news.payment_intent_id;
    let told = news
        .told
        .clone()
        .map(|told| Latest::new(event.told_at(), told));
    let link = rows
        .links
        .remove(id)
        .unwrap_or_else(|| Link::new(id.clone()));
    rows.links
        .insert(id.clone(), link.with(told, event.told_at()));
    rows
}

/// The shelves that a refund of this order is decided on.
#[must_use]
pub fn wanted_shelves(order: &Order, policy: &Policy) -> Wanted {
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
    let wanted = policy.restock != refund::Restock::Never && !skus.is_empty();
    Wanted {
        shelves: wanted.then(|| (order.order_id.clone(), skus)),
        ..Wanted::default()
    }
}

/// Decides what news of refunds mean for their order. `rows` hold the order, if it is known, and the shelves of
/// [`wanted_shelves`].
#[must_use]
pub fn refunds(
    event: &StoredEvent,
    told_at: Timestamp,
    news: &[refund::News],
    rows: &Rows,
    policy: &Policy,
    now: Timestamp,
) -> Decision {
    if let Some(doubt) = news
        .iter()
        .find_map(|news| of_other_mode("refund", news.mode, policy.mode))
    {
        return Decision::Park(doubt);
    }
    let Some(known) = rows
        .order
        .as_ref()
        .filter(|order| order.fulfilled_at.is_some())
    else {
        return Decision::Wait {
            commit: None,
            doubt: Doubt::OrderUnknown("refund"),
        };
    };
    refunded(event, told_at, news, known, rows, policy, now).unwrap_or_else(Decision::Park)
}

fn refunded(
    event: &StoredEvent,
    told_at: Timestamp,
    news: &[refund::News],
    known: &Order,
    rows: &Rows,
    policy: &Policy,
    now: Timestamp,
) -> Result<Decision, Doubt> {
    let mut order = next(known);
    let mut receipts = Vec::new();
    for news in news {
        let told = Latest::new(told_at, news.told.clone());
        let refund = order
            .refunds
            .entry(news.refund_id.clone())
            .and_modify(|refund| refund.merge(told.clone()))
            .or_insert_with(|| Refund::new(told.clone()));
        if refund.succeeded && refund.receipt_id.is_none() {
            let kind = Kind::Refund {
                refund_id: news.refund_id.clone(),
                amount: refund.told.value.amount,
                refunded_at: refund.told.value.made_at.unwrap_or(told_at),
            };
            let receipt = Receipt::new(&known.order_id, kind, None, now)?;
            refund.receipt_id = Some(receipt.receipt_id.clone());
            receipts.push(receipt);
        }
    }
    let moved: Vec<Movement> = rows
        .shelves
        .iter()
        .filter_map(|shelf| shelf.moved.clone())
        .collect();
    let returns = stock::returns(&rows.shelves, &goods_back(&order, policy.restock, &moved));
    if order.refunds == known.refunds && returns.is_empty() {
        let mine = |id| {
            known
                .refunds
                .get(id)
                .and_then(|refund| refund.receipt_id.clone())
        };
        return Ok(Decision::Nothing {
            owed: news
                .iter()
                .filter_map(|news| mine(&news.refund_id))
                .collect(),
        });
    }
    if order.size_bound() > MAX_ORDER_BYTES {
        return Err(Doubt::TooLarge {
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
    news: &dispute::News,
    rows: &Rows,
    policy: &Policy,
) -> Decision {
    if let Some(doubt) = of_other_mode("dispute", news.mode, policy.mode) {
        return Decision::Park(doubt);
    }
    let Some(known) = rows
        .order
        .as_ref()
        .filter(|order| order.fulfilled_at.is_some())
    else {
        return Decision::Wait {
            commit: None,
            doubt: Doubt::OrderUnknown("dispute"),
        };
    };
    let mut order = next(known);
    let told = Latest::new(event.told_at(), news.told.clone());
    let funds = news
        .funds
        .clone()
        .map(|funds| Latest::new(event.told_at(), funds));
    let dispute = Dispute::merged(order.disputes.remove(&news.dispute_id), told, funds);
    order.disputes.insert(news.dispute_id.clone(), dispute);
    if order.disputes == known.disputes {
        return Decision::Nothing { owed: Vec::new() };
    }
    if order.size_bound() > MAX_ORDER_BYTES {
        return Decision::Park(Doubt::TooLarge {
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
pub fn payment_of(news: &[refund::News]) -> Option<&PaymentIntentId> {
    news.first().map(|news| &news.told.payment_intent_id)
}

#[cfg(test)]
mod tests;
