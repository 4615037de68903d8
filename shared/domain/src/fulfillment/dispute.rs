//! Disputes: a bank wants money back.

use crate::{
    access::purchase::names,
    fulfillment::{
        Decision, ParkReason, Stop,
        commit::Commit,
        known::Case,
        of_other_currency, of_other_mode,
        order::bounded,
        order_of_payment,
        purchase::{self, together},
        read_set::ReadSet,
        subscription::{entitlement_read_set, write},
    },
    sale::{
        dispute::{Dispute, DisputeChange},
        order::Order,
    },
    values::{facts::Fact, ids::Grantor},
};

/// Decides a change of a dispute for its order.
pub(super) fn decide(case: &Case<'_>, change: &DisputeChange) -> Result<Decision, Stop> {
    let order = order_of_payment(case, &change.facts.payment_intent_id, None)?;
    if let Some(park_reason) = of_other_mode("dispute", change.mode, case.policy.mode) {
        return Err(park_reason.into());
    }
    let Some(known) = order.filter(|order| order.fulfilled_at.is_some()) else {
        return Ok(Decision::wait(ParkReason::OrderUnknown("dispute")));
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
    let one_time = purchase::entitlements(case, &order, case.known.rows(&access)?);
    let of_subscription = of_subscription(case, &known, &order)?;
    if order.disputes == known.disputes && one_time.is_empty() && of_subscription.is_none() {
        return Ok(Decision::Nothing { unsent: Vec::new() });
    }
    let of_subscription = of_subscription.map(|facts| *facts);
    let commit = of_subscription.unwrap_or_else(|| Commit::of(case.event.event_id.clone()));
    let grantor = Grantor::from(&order.order_id);
    Ok(bounded(Commit {
        order: Some(order),
        entitlements: together(commit.entitlements, one_time, &grantor),
        ..commit
    })?)
}

/// The subscription that the order paid for, with its access, if the dispute is lost by this event, or not lost after
/// all.
fn of_subscription(
    case: &Case<'_>,
    known: &Order,
    order: &Order,
) -> Result<Option<Box<Commit>>, Stop> {
    let customer_id = order.customer.customer_id.clone();
    let key = customer_id.zip(order.subscription_id.clone());
    if key.is_none() || order.has_lost_dispute() == known.has_lost_dispute() {
        return Ok(None);
    }
    let rows = case.known.rows(&ReadSet {
        subscription: key,
        ..ReadSet::default()
    })?;
    let Some(mut subscription) = rows.subscription.clone() else {
        return Ok(None);
    };
    subscription.learn_dispute(&order.order_id, order.has_lost_dispute());
    let rows = case.known.rows(&entitlement_read_set(&subscription))?;
    Ok(write(case, subscription, Vec::new(), rows))
}
