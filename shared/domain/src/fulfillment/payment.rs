//! Payments that are announced by themselves. A payment never makes an order; only a sale does.
//!
//! If reconcile finds a payment that has had no order for an hour, its sale is asked for and decided. Without one,
//! a person decides.

use crate::{
    delivery::{answer::Answer, reference::Reference},
    fulfillment::{
        Decision, ParkReason, Stop,
        commit::Commit,
        known::Case,
        of_other_mode,
        read_set::{ReadSet, Snapshot},
        sale::{self, About, stated_facts},
    },
    sale::{
        order::Order,
        payment::{self, Link, PaymentChange},
        shop::NotNeeded,
    },
};

/// Decides a change of a payment for its order, or keeps its facts on the link until the order is known.
pub(super) fn decide(case: &Case<'_>, change: &PaymentChange) -> Result<Decision, Stop> {
    if let Some(park_reason) = of_other_mode("payment", change.mode, case.policy.mode) {
        return Err(park_reason.into());
    }
    let id = &change.payment_intent_id;
    let rows = case.known.rows(&ReadSet {
        links: vec![id.clone()],
        ..ReadSet::default()
    })?;
    if rows.links.get(id).is_some_and(|link| link.other_shop) {
        return Err(Stop::NotNeeded(NotNeeded::OtherShop));
    }
    let linked = rows.links.get(id).and_then(|link| link.order_id.as_ref());
    let Some(order_id) = linked.or(change.order_id.as_ref()) else {
        return if case.event.is_recovered() {
            without_order(case, change)
        } else {
            Ok(before_order(case, change, rows))
        };
    };
    let Some(order) = &case.known.rows(&ReadSet::of_order(order_id))?.order else {
        return Ok(before_order(case, change, rows));
    };
    if !sale::is_done(order) {
        // The order waits for money: perhaps this is it.
        return sale::decide(case, order_id, About::Payment(change));
    }
    Ok(with_facts(case, change, order))
}

/// Merges the stated facts into the payment of an order that is done.
fn with_facts(case: &Case<'_>, change: &PaymentChange, order: &Order) -> Decision {
    let id = &change.payment_intent_id;
    let known = order.payments.get(id);
    let mut merged = known.cloned();
    payment::merge(&mut merged, stated_facts(case, change));
    match merged.filter(|_| order.payment_intents.contains(id)) {
        Some(facts) if Some(&facts) != known => {
            let mut order = order.next();
            order.payments.insert(id.clone(), facts);
            Decision::write(Commit {
                order: Some(order),
                ..Commit::of(case.event.event_id.clone())
            })
        }
        _ => Decision::Nothing {
            unsent: order.receipt_id.iter().cloned().collect(),
        },
    }
}

/// Decides the sale of a payment that has had no order for long.
fn without_order(case: &Case<'_>, change: &PaymentChange) -> Result<Decision, Stop> {
    let reference = Reference::SaleOfPayment(change.payment_intent_id.clone());
    match &case.known.fetched(&reference)?.answer {
        Ok(Answer::SaleOfPayment(Some(order_id))) => {
            sale::decide(case, order_id, About::Sale { completed: true })
        }
        _ => Ok(Decision::wait(ParkReason::OrderUnknown("payment"))),
    }
}

/// Keeps the facts of a payment on its link: the order comes later.
fn before_order(case: &Case<'_>, change: &PaymentChange, rows: &Snapshot) -> Decision {
    let id = &change.payment_intent_id;
    let known = rows
        .links
        .get(id)
        .cloned()
        .unwrap_or_else(|| Link::new(id.clone()));
    let facts = stated_facts(case, change);
    let says_more = facts.is_some();
    let link = known.clone().with(facts, case.now);
    if says_more && link.facts == known.facts {
        return Decision::Nothing { unsent: Vec::new() };
    }
    Decision::write(Commit {
        links: vec![Link {
            version: known.version + 1,
            ..link
        }],
        ..Commit::of(case.event.event_id.clone())
    })
}
