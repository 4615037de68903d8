//! A renewal: the recurring items of a subscription as the provider reports them now, and the rules that fit them to the
//! payment.

use crate::{
    access::subscription::{Bill, SubscriptionChange},
    sale::{
        columns::shares,
        details::Details,
        order::{Order, OrderLine, Period},
        statement::{Certification, Customer, LineItem, Totals},
    },
};
use jiff::{SignedDuration, Timestamp};

/// Two moments of one turn of a period are minutes apart; two turns are at least a day apart.
const CLOSE: SignedDuration = SignedDuration::from_hours(12);
/// A provider may write an item again while it renews.
const TURN: SignedDuration = SignedDuration::from_hours(1);
/// A letter of medical necessity is valid for a year.
const LETTER_LASTS: SignedDuration = SignedDuration::from_hours(365 * 24);

/// A subscription as it renews, read from the provider.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Renewal {
    /// The facts of the subscription.
    pub change: SubscriptionChange,
    pub customer: Customer,
    /// The details that the merchant needs to ship the goods.
    pub details: Details,
    /// The current period, if stated.
    pub period: Option<Period>,
    /// The items without those that are sold once.
    pub items: Vec<Recurring>,
}

/// A recurring item.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Recurring {
    /// The item as a line of the next order. Without a unit price its amounts are zero.
    pub line: LineItem,
    /// The last change of the item, if stated.
    pub changed_at: Option<Timestamp>,
}

/// The period that a payment covers; `None` if neither the invoice nor the subscription states it.
///
/// Some invoices carry the period that has passed, or an empty one
/// (<https://docs.stripe.com/api/invoices/object#invoice_object-period_end>). The subscription's current period counts
/// then, if it starts where the invoice's ends.
#[must_use]
pub fn covered(bill: &Bill, paid_at: Timestamp, current: Option<Period>) -> Option<Period> {
    let made_at = bill.created_at.unwrap_or(paid_at);
    let stated = bill.period_start.zip(bill.period_end);
    let stated = stated.map(|(start, end)| Period { start, end });
    let is_ahead =
        |period: &Period| period.start < period.end && period.end.duration_since(made_at) >= CLOSE;
    let turn = bill.period_end.or(bill.created_at);
    let begins = |now: &Period| {
        turn.map_or(now.start <= paid_at && paid_at < now.end, |turn| {
            now.start.duration_since(turn).abs() < CLOSE
        })
    };
    stated.filter(is_ahead).or(current.filter(begins))
}

/// The lines of a renewal that was paid with this amount. They never add up to more than the payment.
///
/// An item that changed after the payment may not be the one that was paid for. It is left out: a receipt must not name
/// or certify it.
#[must_use]
pub fn lines(items: &[Recurring], paid: i64, paid_at: Timestamp) -> Vec<LineItem> {
    let agrees = sum(items.iter().map(|item| &item.line)) == paid;
    let is_certain = |item: &&Recurring| {
        let since = item.changed_at.map(|at| at.duration_since(paid_at));
        since.is_none_or(|since| since <= SignedDuration::ZERO || agrees && since <= TURN)
    };
    let certain = items.iter().filter(is_certain);
    let mut lines: Vec<LineItem> = certain.map(|item| item.line.clone()).collect();
    if let [only] = lines.as_mut_slice()
        && only.unit_amount.is_none()
        && items.len() == 1
    {
        (only.amounts.subtotal, only.amounts.total) = (paid, paid);
    }
    let totals: Vec<i64> = lines.iter().map(|line| line.amounts.total).collect();
    for (line, share) in lines.iter_mut().zip(shares(&totals, paid)) {
        let discount = line.amounts.total.saturating_sub(share);
        line.amounts.discount = line.amounts.discount.saturating_add(discount);
        line.amounts.total = share;
    }
    lines
}

/// The totals of a renewal: the paid amount, and the discounts of the lines.
#[must_use]
pub fn totals(lines: &[LineItem], amount: i64) -> Totals {
    let discount = lines.iter().map(|line| line.amounts.discount);
    let discount = discount.fold(0, i64::saturating_add);
    Totals {
        subtotal: amount.saturating_add(discount),
        discount,
        total: amount,
        ..Totals::default()
    }
}

/// Certifies a line as the subscription's first order did, if that has the same product under the same word. The provider
/// states nothing about the purchase that a renewal is. A condition counts as met for a year.
pub fn certified(line: &mut LineItem, first: Option<&Order>, paid_at: Timestamp) {
    let (Some(first), Some(now)) = (first, &mut line.eligibility) else {
        return;
    };
    let is_same = |before: &&OrderLine| {
        let word = before.eligibility.as_ref().map(|before| &before.word);
        line.product_id.is_some() && before.product_id == line.product_id && word == Some(&now.word)
    };
    let before = first.lines.iter().find(is_same);
    let is_recent = paid_at.duration_since(first.placed_at) <= LETTER_LASTS;
    match (now.certification, before.map(OrderLine::is_eligible)) {
        (Certification::Conditional, Some(true)) if is_recent => {
            now.certification = Certification::Certified;
        }
        (Certification::Certified, Some(false)) => now.certification = Certification::Conditional,
        _ => {}
    }
}

fn sum<'a>(lines: impl IntoIterator<Item = &'a LineItem>) -> i64 {
    let totals = lines.into_iter().map(|line| line.amounts.total);
    totals.fold(0, i64::saturating_add)
}

#[cfg(test)]
mod tests;
