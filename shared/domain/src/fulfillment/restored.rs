//! What an earlier event has done, and whose row is gone all the same: somebody has put a table back to an earlier point
//! in time. What other tables still know is written once more.

use crate::fulfillment::Decision;
use crate::{
    access::subscription::Subscription,
    delivery::stored_event::StoredEvent,
    fulfillment::{
        commit::Commit,
        read_set::{ReadSet, Snapshot},
    },
    receipt::{Receipt, ReceiptKind, ReceiptState},
    sale::{
        order::{Order, Shortfall},
        stock::{Deduction, LineStock, Movement},
    },
    values::ids::{OrderId, OwnerToken, ReceiptId, Sku},
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
pub fn stock_read_set(order: &Order) -> ReadSet {
    let skus: Vec<Sku> = sold(order).into_keys().cloned().collect();
    ReadSet {
        stock_levels: (!skus.is_empty()).then(|| (order.order_id.clone(), skus)),
        ..ReadSet::default()
    }
}

/// Decides what it means that an order, fulfilled before, is told to be complete: nothing, unless a movement of its is
/// gone, and with it what its counter had gone down by. As many are taken as then, or as there are.
#[must_use]
pub fn decide(event: &StoredEvent, order: &Order, rows: &Snapshot, now: Timestamp) -> Decision {
    let sold = sold(order);
    let mut shortfalls = order.shortfalls.clone();
    let mut deductions = Vec::new();
    for stock_level in rows
        .stock_levels
        .iter()
        .filter(|stock_level| stock_level.moved.is_none())
    {
        let (Some(on_hand), Some(quantity)) =
            (stock_level.on_hand, sold.get(&stock_level.sku).copied())
        else {
            continue;
        };
        let known = shortfalls
            .iter()
            .find(|short| short.sku == stock_level.sku)
            .map_or(0, |short| short.missing);
        let pieces = quantity.saturating_sub(known).clamp(0, on_hand.max(0));
        let movement = Movement {
            sku: stock_level.sku.clone(),
            order_id: order.order_id.clone(),
            quantity,
            deducted: pieces,
            restocked: 0,
            moved_at: now,
        };
        if movement.short() > known {
            shortfalls.retain(|short| short.sku != stock_level.sku);
            shortfalls.push(Shortfall {
                sku: stock_level.sku.clone(),
                missing: movement.short(),
            });
        }
        deductions.push(Deduction { movement, on_hand });
    }
    if deductions.is_empty() {
        return Decision::Nothing {
            unsent: order.receipt_id.iter().cloned().collect(),
        };
    }
    let order = (shortfalls != order.shortfalls).then(|| Order {
        version: order.version + 1,
        shortfalls,
        ..order.clone()
    });
    Decision::Write(Box::new(Commit {
        order,
        deductions,
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
        ReceiptKind::TrialEnds { ends_at, .. } => {
            Some(super::subscription::notice_due_at(ends_at, now))
        }
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
            state: ReceiptState::Leased {
                owner,
                lease_ends_at: now,
            },
            ..receipt
        },
        _ => receipt,
    }
}

fn of_order(id: &ReceiptId, order: &Order) -> Option<ReceiptKind> {
    if order.receipt_id.as_ref() == Some(id) {
        return Some(ReceiptKind::Order);
    }
    let (refund_id, refund) = order
        .refunds
        .iter()
        .find(|(_, refund)| refund.receipt_id.as_ref() == Some(id))?;
    let facts = &refund.facts.value;
    let refunded_at = facts.made_at.unwrap_or(refund.facts.at);
    Some(ReceiptKind::Refund {
        refund_id: refund_id.clone(),
        amount: facts.amount,
        refunded_at,
    })
}

fn of_subscription(id: &ReceiptId, subscription: &Subscription) -> Option<(OrderId, ReceiptKind)> {
    let order_id = subscription.beginning.as_ref()?.order_id.clone();
    let subscription_id = subscription.subscription_id.clone();
    if subscription.trial_notice_id.as_ref() == Some(id) {
        let ends_at = super::subscription::trial_ends_at(subscription)?;
        return Some((
            order_id,
            ReceiptKind::TrialEnds {
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
                return Some(ReceiptKind::PaymentFailed {
                    subscription_id,
                    invoice_id,
                    amount: bill.amount_due,
                });
            }
            invoice.receipt_id.as_ref().filter(|known| *known == id)?;
            Some(ReceiptKind::Invoice {
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
