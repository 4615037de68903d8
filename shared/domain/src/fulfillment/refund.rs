//! Refunds: money that goes back, goods that may go back to stock, and one receipt for each.

use crate::{
    access::purchase::names,
    delivery::{answer::Refunds, reference::Reference},
    fulfillment::{
        Decision, ParkReason, Stop,
        commit::Commit,
        known::Case,
        of_other_currency, of_other_mode,
        order::{bounded, released},
        order_of_payment, purchase,
        read_set::{ReadSet, Snapshot},
    },
    receipt::{Receipt, ReceiptKind},
    sale::{
        order::Order,
        refund::{Refund, RefundChange},
        restock::{RestockPolicy, goods_back},
        stock::{self, LineStock, Movement},
    },
    values::{
        ids::{OrderId, ReceiptId, RefundId, Sku},
        provider::Party,
    },
};

/// Decides a change of one refund for its order.
pub(super) fn decide(case: &Case<'_>, change: &RefundChange) -> Result<Decision, Stop> {
    let payment = &change.facts.payment_intent_id;
    let order = order_of_payment(case, payment, Some(change))?;
    decide_all(case, std::slice::from_ref(change), order)
}

/// Decides a fetched list of refunds. `reference` is the reference that was fetched. One that is
/// not understood does not hold up the others; then the event is parked.
pub(super) fn decide_list(
    case: &Case<'_>,
    reference: &Reference,
    refunds: &Refunds,
) -> Result<Decision, Stop> {
    let (order, listed) = of_reference(case, reference, &refunds.understood)?;
    let Some(unclear) = refunds.unclear.clone() else {
        return match listed.as_slice() {
            [] if refunds.understood.is_empty() => Ok(Decision::wait(ParkReason::NoRefund)),
            // The order does not know their payment yet.
            [] => Ok(Decision::wait(ParkReason::OrderUnknown("refund"))),
            listed => decide_all(case, listed, order),
        };
    };
    let park_reason = ParkReason::UnclearRefund(unclear);
    let commit = match decide_all(case, &listed, order)? {
        Decision::Write(commit) => Some(commit.unended()),
        waits @ Decision::Wait { .. } => return Ok(waits),
        _ => None,
    };
    Ok(Decision::Wait {
        commit,
        park_reason,
    })
}

/// The order of a list, and those of its refunds that are the order's.
fn of_reference(
    case: &Case<'_>,
    reference: &Reference,
    listed: &[RefundChange],
) -> Result<(Option<Order>, Vec<RefundChange>), Stop> {
    match reference {
        Reference::RefundsOfSale(order_id) => {
            let order = case.known.rows(&ReadSet::of_order(order_id))?.order.clone();
            // A list of another customer's refunds must never become this customer's mails.
            let own = order.as_ref().map(|order| order.payment_intents.as_slice());
            let is_own = |change: &&RefundChange| {
                own.is_none_or(|own| own.contains(&change.facts.payment_intent_id))
            };
            let listed: Vec<_> = listed.iter().filter(is_own).cloned().collect();
            Ok((order, listed))
        }
        Reference::RefundsOfPayment(payment) => {
            let is_of_renewal = |change: &&RefundChange| change.facts.invoice_id.is_some();
            let renewal = listed.iter().find(is_of_renewal).or(listed.first());
            let order = order_of_payment(case, payment, renewal)?;
            Ok((order, listed.to_vec()))
        }
        _ => Err(ParkReason::NoSubject.into()),
    }
}

fn decide_all(
    case: &Case<'_>,
    changes: &[RefundChange],
    order: Option<Order>,
) -> Result<Decision, Stop> {
    let other_mode = |change: &RefundChange| of_other_mode("refund", change.mode, case.policy.mode);
    if let Some(park_reason) = changes.iter().find_map(other_mode) {
        return Err(park_reason.into());
    }
    let Some(known) = order.filter(|order| takes(order, changes)) else {
        return Ok(Decision::wait(ParkReason::OrderUnknown("refund")));
    };
    let other_currency = |change: &RefundChange| {
        of_other_currency("refund", change.facts.value.currency, known.currency)
    };
    if let Some(park_reason) = changes.iter().find_map(other_currency) {
        return Err(park_reason.into());
    }
    let access = purchase::read_set(known.customer.customer_id.as_ref(), names(&known));
    let rows = case.known.rows(&stock_read_set(case, &known).and(access))?;
    let mut order = known.next();
    let receipts = merge(case, changes, &mut order)?;
    let restocks = restocks(case, &order, rows);
    let entitlements = purchase::entitlements(case, &order, rows);
    if order.refunds == known.refunds && restocks.is_empty() && entitlements.is_empty() {
        return Ok(Decision::Nothing {
            unsent: known_mails(&known, changes),
        });
    }
    let (order, deductions) = released(case, order)?;
    Ok(bounded(Commit {
        order: Some(order),
        deductions,
        entitlements,
        receipts,
        restocks,
        ..Commit::of(case.event.event_id.clone())
    })?)
}

/// The receipts and corrections that the order already has for these refunds.
fn known_mails(known: &Order, changes: &[RefundChange]) -> Vec<ReceiptId> {
    let refunds = changes
        .iter()
        .filter_map(|change| known.refunds.get(&change.refund_id));
    refunds
        .flat_map(|refund| [&refund.receipt_id, &refund.correction_id])
        .flatten()
        .cloned()
        .collect()
}

/// True if the order's money is known well enough to judge these refunds: it has received money, or the payments ended
/// without any. Else the order, or its payment, is still to come.
fn takes(order: &Order, changes: &[RefundChange]) -> bool {
    let is_void = |change: &RefundChange| {
        let payment = order.payments.get(&change.facts.payment_intent_id);
        payment.is_some_and(|facts| facts.value.is_void())
    };
    order.fulfilled_at.is_some() || order.paid() > 0 || changes.iter().all(is_void)
}

/// Merges the facts into the order's refunds, and returns the receipts that become due. A refund that only releases an
/// authorization has none.
fn merge(
    case: &Case<'_>,
    changes: &[RefundChange],
    order: &mut Order,
) -> Result<Vec<Receipt>, ParkReason> {
    for change in changes {
        let facts = change.facts.clone().fact(case.stated_at);
        order
            .refunds
            .entry(change.refund_id.clone())
            .and_modify(|refund| refund.merge(facts.clone()))
            .or_insert_with(|| Refund::new(facts.clone()));
    }
    let mut receipts = Vec::new();
    for change in changes {
        let paid_back = order.paid_back().get(&change.refund_id).copied();
        let Some(refund) = order.refunds.get_mut(&change.refund_id) else {
            continue;
        };
        let amount = paid_back.unwrap_or(refund.facts.value.amount);
        if amount > 0 {
            receipts.extend(mails(
                case,
                &order.order_id,
                &change.refund_id,
                refund,
                amount,
            )?);
        }
    }
    Ok(receipts)
}

/// The receipt of a refund that ever succeeded, and the correction of one that also failed. Both are due whatever came
/// first. When they are sent, the facts of that time decide whether they still hold. None, if the provider sends them.
fn mails(
    case: &Case<'_>,
    order_id: &OrderId,
    refund_id: &RefundId,
    refund: &mut Refund,
    amount: i64,
) -> Result<Vec<Receipt>, ParkReason> {
    if case.provider.receipts == Party::Provider {
        return Ok(Vec::new());
    }
    let refunded_at = refund.facts.value.made_at.unwrap_or(case.stated_at);
    let refund_id = || refund_id.clone();
    let mut mails = Vec::new();
    if refund.succeeded && refund.receipt_id.is_none() {
        let kind = ReceiptKind::Refund {
            refund_id: refund_id(),
            amount,
            refunded_at,
        };
        let receipt = Receipt::new(order_id, kind, None, case.now)?;
        refund.receipt_id = Some(receipt.receipt_id.clone());
        mails.push(receipt);
    }
    if refund.succeeded && refund.failed && refund.correction_id.is_none() {
        let kind = ReceiptKind::RefundFailed {
            refund_id: refund_id(),
            amount,
            refunded_at,
        };
        let correction = Receipt::new(order_id, kind, None, case.now)?;
        refund.correction_id = Some(correction.receipt_id.clone());
        mails.push(correction);
    }
    Ok(mails)
}

fn restocks(case: &Case<'_>, order: &Order, rows: &Snapshot) -> Vec<stock::Restock> {
    let moved = rows
        .stock_levels
        .iter()
        .filter_map(|level| level.moved.clone());
    let moved: Vec<Movement> = moved.collect();
    let back = goods_back(order, case.policy.restock, &moved);
    stock::restocks(&rows.stock_levels, &back, case.now)
}

/// The stock levels that a refund of this order needs.
pub(super) fn stock_read_set(case: &Case<'_>, order: &Order) -> ReadSet {
    let sku = |line: &crate::sale::order::OrderLine| match &line.stock {
        LineStock::Counted { sku } => Some(sku.clone()),
        LineStock::Untracked { .. }
        | LineStock::Uncounted { .. }
        | LineStock::Waiting
        | LineStock::Exempt
        | LineStock::Unmapped => None,
    };
    let mut skus: Vec<Sku> = order.lines.iter().filter_map(sku).collect();
    skus.sort();
    skus.dedup();
    let is_needed = case.policy.restock != RestockPolicy::Never && !skus.is_empty();
    ReadSet {
        stock_levels: is_needed.then(|| (order.order_id.clone(), skus)),
        ..ReadSet::default()
    }
}

#[cfg(test)]
mod tests;
