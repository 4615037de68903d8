//! Disputes: a bank wants money back.

use crate::{
    access::purchase::names,
    fulfillment::{
        Decision, ParkReason, Stop, commit::Commit, known::Case, of_other_currency, of_other_mode,
        order::bounded, order_of_payment, purchase,
    },
    sale::dispute::{Dispute, DisputeChange},
    values::facts::Fact,
};

/// Decides a change of a dispute for its order.
pub(super) fn decide(case: &Case<'_>, change: &DisputeChange) -> Result<Decision, Stop> {
    let order = order_of_payment(case, &change.facts.payment_intent_id, None)?;
    if let Some(park_reason) = of_other_mode("dispute", change.mode, case.policy.mode) {
        return Err(park_reason.into());
    }
    let Some(known) = order.filter(|order| order.fulfilled_at.is_some()) else {
        return Ok(Decision::Wait {
            commit: None,
            park_reason: ParkReason::OrderUnknown("dispute"),
        });
    };
    let stated = change.facts.value.currency;
    if let Some(park_reason) = of_other_currency("dispute", stated, known.currency) {
        return Err(park_reason.into());
    }
    let mut order = known.next();
    let facts = change.facts.clone().fact(case.stated_at);
    let stamp = facts.stamp;
    let funds = change.funds.map(|value| Fact { stamp, value });
    let known_dispute = order.disputes.remove(&change.dispute_id);
    let dispute = Dispute::merged(known_dispute, facts, change.closed, funds);
    order.disputes.insert(change.dispute_id.clone(), dispute);
    let access = purchase::read_set(order.customer.customer_id.as_ref(), names(&order));
    let entitlements = purchase::entitlements(case, &order, case.known.rows(&access)?);
    if order.disputes == known.disputes && entitlements.is_empty() {
        return Ok(Decision::Nothing { unsent: Vec::new() });
    }
    Ok(bounded(Commit {
        order: Some(order),
        entitlements,
        ..Commit::of(case.event.event_id.clone())
    })?)
}
