//! When an event may be given to a person: said once more, and apart from the rules.

use super::{
    check::hold,
    flint_shop::plan::FlintOrder,
    plan::{OrderFacts, Plan},
};
use kit::prelude::*;
use std::rc::Rc;

/// An invocation of fulfillment that ended events.
#[derive(Debug, Clone, Default)]
pub struct Attempt {
    pub began_at: Timestamp,
    /// How often the message of each event had come by then.
    pub receives: Rc<BTreeMap<EventId, u32>>,
    /// The provider's API or an index has misled it.
    pub misled: bool,
}

/// The least number of receives before an event is parked, and the least time that it has waited by then without
/// faults. `None`: no story has a reason for it.
fn least(class: Class) -> Option<(u32, SignedDuration)> {
    match class {
        // Another event has to come first, and events come late: as often as the queue delivers.
        Class::OrderUnknown => Some((5, SignedDuration::from_mins(1 + 4 + 16 + 60))),
        // The provider announces a change before its API shows it.
        // A refund of a list may be one that the API talked nonsense about.
        Class::Unreadable
        | Class::NotComplete
        | Class::NoRefund
        | Class::Contradicted
        | Class::NotRead => Some((3, SignedDuration::from_mins(1 + 4))),
        // No event states its end.
        Class::Exception => Some((1, SignedDuration::ZERO)),
        // All money is real, all bodies can be read, and nothing is too large.
        _ => None,
    }
}

/// Checks that an event may be parked now. `fulfilled` has when each order was first seen to be.
pub fn of_parked(
    event: &StoredEvent,
    attempt: &Attempt,
    plan: &Plan,
    fulfilled: impl Fn(&str) -> Option<Timestamp>,
    now: Timestamp,
    is_fair: bool,
) -> Result<(), String> {
    let (id, reason) = (&event.event_id, &event.reason);
    let Some((class, (receives, wait))) =
        event.class.and_then(|class| Some((class, least(class)?)))
    else {
        return Err(format!(
            "{id} is parked, and no story has a reason for it: {reason:?}"
        ));
    };
    let came = attempt.receives.get(id).copied().unwrap_or_default();
    hold!(
        came >= receives,
        "{id} is parked at receive {came}, not {receives}: {reason:?}"
    );
    let waited = now.duration_since(event.received_at);
    hold!(
        !is_fair || waited >= wait,
        "{id} is parked after {waited}, not {wait}: {reason:?}"
    );
    if attempt.misled || class == Class::Exception {
        return Ok(());
    }
    hold!(
        class == Class::OrderUnknown,
        "{id} is parked though all is as announced: {reason:?}"
    );
    let Some(order_id) = order_of(event, plan) else {
        return Err(format!("{id} is parked, and is about no order: {reason:?}"));
    };
    // An order may know its first payment, and not yet the refunded one.
    let mut of_flint = plan.flint.orders.iter();
    let comes_in_parts = of_flint.any(|order| order.id == order_id && order.payments.len() > 1);
    let since = fulfilled(order_id).filter(|_| !comes_in_parts);
    let is_early = since.is_none_or(|since| since >= attempt.began_at);
    hold!(
        is_early,
        "{id} is parked though its order {order_id} was there since {since:?}: {reason:?}"
    );
    Ok(())
}

/// The order that an event is about: its body names one of its payments, or else the subscription that it began. A
/// renewal is another order than the first.
fn order_of<'a>(event: &StoredEvent, plan: &'a Plan) -> Option<&'a str> {
    let body = String::from_utf8_lossy(&event.body);
    let names = |id: &str| body.contains(&format!("\"{id}\""));
    let mut of_flint = plan.flint.orders.iter();
    let is_named = |order: &&FlintOrder| {
        names(&order.id) || order.refunds.iter().any(|refund| names(&refund.id))
    };
    if let Some(order) = of_flint.find(is_named) {
        return Some(&order.id);
    }
    let is_paid_so = |order: &&OrderFacts| order.payments.iter().any(|id| names(id));
    let by_payment = plan.orders.iter().find(is_paid_so);
    let order = by_payment.or_else(|| {
        let life = plan.lives.iter().find(|life| names(&life.id))?;
        let first = life.order.as_deref()?;
        plan.orders.iter().find(|order| order.id == first)
    });
    order.map(|order| order.id.as_str())
}
