//! What an earlier event has done, and whose row is gone all the same: somebody has put a table back to an earlier point
//! in time. What other tables still know is written once more.

use super::Decision;
use crate::{
    event::StoredEvent,
    ids::{OrderId, OwnerToken, ReceiptId, Sku},
    ledger::{Commit, Rows, Wanted},
    order::{Order, Shortfall},
    receipt::{Kind, Receipt, State},
    stock::{LineStock, Movement, Take},
    subscription::Subscription,
};
use jiff::Timestamp;
use std::collections::BTreeMap;

/// How many pieces of each SKU an order has sold.
fn sold(order: &Order) -> BTreeMap<&Sku, i64> {
    let mut sold = BTreeMap::new();
    for line in &order.lines {
        if let LineStock::Counted { sku } = &line.stock {
            let pieces: &mut i64 = sold.entry(sku).or_default();
            *pieces = pieces.saturating_add(line.quantity.into());
        }
    }
    sold
}

/// The shelves that a fulfilled order has taken from.
#[must_use]
pub fn wanted_shelves(order: &Order) -> Wanted {
    let skus: Vec<Sku> = sold(order).into_keys().cloned().collect();
    Wanted {
        shelves: (!skus.is_empty()).then(|| (order.order_id.clone(), skus)),
        ..Wanted::default()
    }
}

/// Decides what it means that an order, fulfilled before, is told to be complete: nothing, unless a movement of its is
/// gone, and with it what its counter had gone down by. As many are taken as then, or as there are.
#[must_use]
pub fn decide(event: &StoredEvent, order: &Order, rows: &Rows, now: Timestamp) -> Decision {
    let sold = sold(order);
    let mut shortfalls = order.shortfalls.clone();
    let mut takes = Vec::new();
    for shelf in rows.shelves.iter().filter(|shelf| shelf.moved.is_none()) {
        let (Some(on_hand), Some(quantity)) = (shelf.on_hand, sold.get(&shelf.sku).copied()) else {
            continue;
        };
        let known = shortfalls
            .iter()
            .find(|short| short.sku == shelf.sku)
            .map_or(0, |short| short.missing);
        let pieces = quantity.saturating_sub(known).clamp(0, on_hand.max(0));
        let movement = Movement {
            sku: shelf.sku.clone(),
            order_id: order.order_id.clone(),
            quantity,
            taken: pieces,
            returned: 0,
            moved_at: now,
        };
        if movement.short() > known {
            shortfalls.retain(|short| short.sku != shelf.sku);
            shortfalls.push(Shortfall {
                sku: shelf.sku.clone(),
                missing: movement.short(),
            });
        }
        takes.push(Take { movement, on_hand });
    }
    if takes.is_empty() {
        return Decision::Nothing {
            owed: order.receipt_id.iter().cloned().collect(),
        };
    }
    let order = (shortfalls != order.shortfalls).then(|| Order {
        version: order.version + 1,
        shortfalls,
        ..order.clone()
    });
    Decision::Write(Box::new(Commit {
        order,
        takes,
        ..Commit::of(event.event_id.clone())
    }))
}

/// The receipt of that id, which the order or the subscription says there is, as a new row. Whether its mail went out,
/// nobody knows any more: it is one of unknown fate, and the policy decides. What was to be sent later is sent then.
#[must_use]
pub fn receipt(
    id: &ReceiptId,
    order: Option<&Order>,
    subscription: Option<&Subscription>,
    now: Timestamp,
) -> Option<Receipt> {
    let (order_id, kind) = order
        .and_then(|order| Some((order.order_id.clone(), of_order(id, order)?)))
        .or_else(|| subscription.and_then(|subscription| of_subscription(id, subscription)))?;
    let due_at = match kind {
        Kind::TrialEnds { ends_at, .. } => Some(super::subscription::notice_due_at(ends_at, now)),
        _ => None,
    };
    let receipt = Receipt::new(&order_id, kind, due_at, now)
        .ok()
        .filter(|receipt| receipt.receipt_id == *id)?;
    Some(of_unknown_fate(receipt, now))
}

/// What an event makes owed that it has made owed before: its row is gone, and the order's with it. As [`receipt`]s are.
#[must_use]
pub fn owed_before(event: &StoredEvent, receipts: Vec<Receipt>, now: Timestamp) -> Vec<Receipt> {
    let again = |receipt: Receipt| {
        if event.receipt_ids.contains(&receipt.receipt_id) {
            of_unknown_fate(receipt, now)
        } else {
            receipt
        }
    };
    receipts.into_iter().map(again).collect()
}

fn of_unknown_fate(receipt: Receipt, now: Timestamp) -> Receipt {
    match OwnerToken::new("restored") {
        Ok(owner) if receipt.due_at <= Some(now) => Receipt {
            state: State::Claimed {
                owner,
                claim_ends_at: now,
            },
            ..receipt
        },
        _ => receipt,
    }
}

fn of_order(id: &ReceiptId, order: &Order) -> Option<Kind> {
    if order.receipt_id.as_ref() == Some(id) {
        return Some(Kind::Order);
    }
    let (refund_id, refund) = order
        .refunds
        .iter()
        .find(|(_, refund)| refund.receipt_id.as_ref() == Some(id))?;
    let told = &refund.told.value;
    let refunded_at = told.made_at.unwrap_or(refund.told.at);
    Some(Kind::Refund {
        refund_id: refund_id.clone(),
        amount: told.amount,
        refunded_at,
    })
}

fn of_subscription(id: &ReceiptId, subscription: &Subscription) -> Option<(OrderId, Kind)> {
    let order_id = subscription.beginning.as_ref()?.order_id.clone();
    let subscription_id = subscription.subscription_id.clone();
    if subscription.trial_notice_id.as_ref() == Some(id) {
        let ends_at = super::subscription::trial_ends_at(subscription)?;
        return Some((
            order_id,
            Kind::TrialEnds {
                subscription_id,
                ends_at,
            },
        ));
    }
    let kind = subscription
        .invoices
        .iter()
        .find_map(|(invoice_id, invoice)| {
            let (bill, invoice_id) = (&invoice.bill.value, invoice_id.clone());
            if invoice.notice_id.as_ref() == Some(id) {
                let subscription_id = subscription_id.clone();
                return Some(Kind::PaymentFailed {
                    subscription_id,
                    invoice_id,
                    amount: bill.amount_due,
                });
            }
            invoice.receipt_id.as_ref().filter(|known| *known == id)?;
            Some(Kind::Invoice {
                subscription_id: subscription_id.clone(),
                invoice_id,
                amount: bill.amount_paid?,
                paid_at: invoice.paid_at?,
                period_start: bill.period_start,
                period_end: bill.period_end,
            })
        })?;
    Some((order_id, kind))
}
