//! The delivery of an order's goods, as the provider reports it.

use crate::{
    fulfillment::{
        Decision, ParkReason, Stop, commit::Commit, known::Case, of_other_mode, read_set::ReadSet,
    },
    sale::shipment::{self, FulfillmentChange},
};

/// Decides a change of one delivery for its order, which comes first.
pub(super) fn decide(case: &Case<'_>, change: &FulfillmentChange) -> Result<Decision, Stop> {
    if let Some(park_reason) = of_other_mode("fulfillment", change.mode, case.policy.mode) {
        return Err(park_reason.into());
    }
    let rows = case.known.rows(&ReadSet::of_order(&change.order_id))?;
    let Some(known) = &rows.order else {
        return Ok(Decision::Wait {
            commit: None,
            park_reason: ParkReason::OrderUnknown("fulfillment"),
        });
    };
    let mut facts = known.fulfillments.get(&change.fulfillment_id).cloned();
    shipment::merge(&mut facts, change.facts.clone().fact(case.stated_at));
    if facts.as_ref() == known.fulfillments.get(&change.fulfillment_id) {
        return Ok(Decision::Nothing { unsent: Vec::new() });
    }
    let mut order = known.next();
    let facts = facts.map(|facts| (change.fulfillment_id.clone(), facts));
    order.fulfillments.extend(facts);
    Ok(Decision::write(Commit {
        order: Some(order),
        ..Commit::of(case.event.event_id.clone())
    }))
}
