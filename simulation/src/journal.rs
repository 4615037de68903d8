//! The journal at the end: it adds up, and it is the money of the orders.

use crate::{check::hold, flint_shop::is_of_flint, plan::Plan};
use domain::{
    resource::{
        Resource,
        journal::{Book, journal},
    },
    sale::dispute::{Dispute, DisputeFunds, DisputeStage},
};
use kit::prelude::*;

/// The journal of everything adds up. That of Flex is the money of its orders, that of Flint the sum of its
/// transactions with an effect.
pub fn of_journal(kept: &Kept, plan: &Plan) -> Result<(), String> {
    for order in kept.orders.values() {
        of_flex(kept, order)?;
    }
    let rows = kept.resources.values().filter_map(|row| match row {
        Resource::Transaction(row) => Some(&**row),
        _ => None,
    });
    let journal = journal(rows, Timestamp::MIN..Timestamp::MAX);
    let mut closing: BTreeMap<(&str, &str), i64> = BTreeMap::new();
    for ((provider, currency), book) in &journal.books {
        adds_up(book)?;
        closing.insert((provider.as_str(), currency.code()), book.closing);
    }
    let mut expected: BTreeMap<(&str, &str), i64> = BTreeMap::new();
    for order in kept.orders.values() {
        if !is_of_flint(order.order_id.as_str()) {
            let sum = expected.entry(("flex", order.currency.code()));
            *sum.or_default() += money(order);
        }
    }
    let all = plan.flint.transactions.iter();
    let counted = all.filter(|facts| facts.status != "failed");
    let sum = counted.map(|facts| facts.amount - facts.fee).sum();
    expected.insert(("flint", "USD"), sum);
    // A book without money is none.
    closing.retain(|_, sum| *sum != 0);
    expected.retain(|_, sum| *sum != 0);
    hold!(
        closing == expected,
        "the journal comes to {closing:?}, not {expected:?}"
    );
    Ok(())
}

/// The transactions of an order of Flex come to its money.
fn of_flex(kept: &Kept, order: &Order) -> Result<(), String> {
    let rows = kept.resources.values().filter_map(|row| match row {
        Resource::Transaction(row) if row.order_id.get() == Some(&order.order_id) => Some(row),
        _ => None,
    });
    let rows = rows.filter(|row| !row.is_void());
    let sum: i64 = rows
        .filter_map(|row| row.entry.get().map(|entry| entry.net))
        .sum();
    let is_flex = !is_of_flint(order.order_id.as_str());
    hold!(
        !is_flex || sum == money(order),
        "the transactions of order {} come to {sum}, not {}: {:?}, received {:?}, {:#?}, {:#?}, {:#?}",
        order.order_id,
        money(order),
        order.kind,
        order.received,
        order.payments,
        order.refunds,
        order.disputes
    );
    Ok(())
}

/// The groups and the balances of the lines come to the same.
fn adds_up(book: &Book) -> Result<(), String> {
    let totals: i64 = book.totals.values().sum();
    let lines = book.lines.iter().filter(|line| !line.is_void);
    let sum: i64 = lines.map(|line| line.entry.net).sum();
    let last = book.lines.last().map_or(0, |line| line.balance);
    hold!(
        book.opening == 0 && [totals, sum, last] == [book.closing; 3],
        "a book does not add up: {totals}, {sum}, {last}, {}",
        book.closing
    );
    Ok(())
}

/// The money that an order has brought: received, without what went back to the customer or was taken by a dispute.
fn money(order: &Order) -> i64 {
    let taken = order.disputes.values().filter(|dispute| has_taken(dispute));
    let taken: i64 = taken.map(|dispute| dispute.facts.value.amount).sum();
    order.paid() - order.refunded() - taken
}

fn has_taken(dispute: &Dispute) -> bool {
    match &dispute.funds {
        Some(funds) => funds.value == DisputeFunds::Withdrawn,
        None => dispute.stage() == DisputeStage::Lost,
    }
}
