//! A checkout session beside its row: the units that it keeps for its order, and ends that only a person understands.
//!
//! A session never fulfills. It adds itself, or its end, to the reservation of its order, and both rows are written
//! together. See [`crate::sale::reservation`].

use crate::{
    delivery::{answer::Answer, event::Change, reference::Reference},
    fulfillment::{
        Decision, ParkReason, Stop,
        commit::Commit,
        known::Case,
        order::{released, reserves},
        read_set::ReadSet,
        sale::{self, About},
    },
    resource::{
        Resource, ResourceChange,
        checkout_session::{CheckoutSession, SessionEnd, SessionSale},
    },
    sale::order::OrderKind,
    values::ids::OrderId,
};

/// The order of a stated session, if sessions reserve stock.
pub(super) fn read_set(case: &Case<'_>, change: &ResourceChange) -> ReadSet {
    let order = match change {
        ResourceChange::CheckoutSession { facts, .. } if reserves(case, OrderKind::Sale) => {
            facts.order_id.clone()
        }
        _ => None,
    };
    ReadSet {
        order,
        ..ReadSet::default()
    }
}

/// The row without the address of a buyer whose order is erased: a late fact must not bring it back.
pub(super) fn without_erased_contact(case: &Case<'_>, row: Resource) -> Result<Resource, Stop> {
    let Resource::CheckoutSession(session) = &row else {
        return Ok(row);
    };
    let Some(SessionSale::Order(order_id)) = session.sale() else {
        return Ok(row);
    };
    if session.contact.is_unknown() {
        return Ok(row);
    }
    let rows = case.known.rows(&ReadSet {
        order: Some(order_id),
        ..ReadSet::default()
    })?;
    let order = rows.order.as_ref();
    Ok(if order.is_some_and(|order| order.is_erased) {
        Resource::CheckoutSession(Box::new(session.erased()))
    } else {
        row
    })
}

/// The session with the provider's own facts, if the known ones are not understood.
pub(super) fn asked(case: &Case<'_>, learned: Resource) -> Result<Resource, Stop> {
    let is_unclear = |row: &Resource| matches!(row, Resource::CheckoutSession(row) if row.end() == SessionEnd::Unclear);
    if !is_unclear(&learned) || sale::is_released(case) {
        return Ok(learned);
    }
    let fetched = case.known.fetched(&Reference::Resource(learned.id()))?;
    let Ok(Answer::Change(change)) = &fetched.answer else {
        return Ok(learned);
    };
    Ok(match &**change {
        Change::Resource(change) if change.id() == learned.id() => {
            let provider = &case.event.provider;
            Resource::learn(Some(&learned), provider, change, fetched.asked_at)
        }
        _ => learned,
    })
}

/// Decides about a session as merged. `row` is the write of its row, if there is news.
pub(super) fn decide(
    case: &Case<'_>,
    session: &CheckoutSession,
    row: Option<&Resource>,
) -> Result<Decision, Stop> {
    let decision = with_row(case, reserve(case, session)?, row);
    let is_unclear = session.end() == SessionEnd::Unclear;
    if !is_unclear || sale::is_released(case) {
        return Ok(decision);
    }
    let commit = match decision {
        Decision::Write(commit) => Some(commit.unended()),
        Decision::Wait { commit, .. } => commit,
        _ => None,
    };
    let park_reason = ParkReason::UnclearSession(session.id.clone());
    Ok(Decision::Wait {
        commit,
        park_reason,
    })
}

/// The decision with the row of the session. Whatever becomes of the order, the row is written.
fn with_row(case: &Case<'_>, decision: Decision, row: Option<&Resource>) -> Decision {
    let of_row = || Commit::of(case.event.event_id.clone());
    let added = |commit: Commit| Commit {
        resources: commit.resources.iter().chain(row).cloned().collect(),
        ..commit
    };
    match decision {
        Decision::Write(commit) => Decision::write(added(*commit)),
        Decision::Wait {
            commit,
            park_reason,
        } => {
            let commit = commit.map(|commit| *commit);
            let has_any = commit.is_some() || row.is_some();
            Decision::Wait {
                commit: has_any.then(|| added(commit.unwrap_or_else(of_row)).unended()),
                park_reason,
            }
        }
        Decision::Park(park_reason) => Decision::Wait {
            commit: row.is_some().then(|| added(of_row()).unended()),
            park_reason,
        },
        Decision::Nothing { .. } | Decision::NotNeeded { .. } if row.is_some() => {
            Decision::write(added(of_row()))
        }
        nothing @ Decision::Nothing { .. } => nothing,
        Decision::NotNeeded { .. } => Decision::Nothing { unsent: Vec::new() },
    }
}

/// Decides about the order of a session, if sessions reserve stock.
fn reserve(case: &Case<'_>, session: &CheckoutSession) -> Result<Decision, Stop> {
    let nothing = Decision::Nothing { unsent: Vec::new() };
    let order_id = session.order_id.get();
    let Some(order_id) = order_id.filter(|_| reserves(case, OrderKind::Sale)) else {
        return Ok(nothing);
    };
    let rows = case.known.rows(&ReadSet::of_order(order_id))?;
    let known = rows.order.as_ref();
    let Some(known) = known.filter(|order| order.order_id == *order_id) else {
        return of_sale(case, session, order_id);
    };
    let mut order = known.next();
    order.reservation.learn(session);
    let kept = &order.reservation;
    if known.fulfilled_at.is_some() || *kept == known.reservation {
        return Ok(nothing);
    }
    if !order.keeps_reservation() {
        let (order, deductions) = released(case, order)?;
        return Ok(Decision::write(Commit {
            order: Some(order),
            deductions,
            ..Commit::of(case.event.event_id.clone())
        }));
    }
    if kept.skus.is_empty() {
        // Only the sale names the goods.
        return of_sale(case, session, order_id);
    }
    Ok(Decision::write(Commit {
        order: Some(order),
        ..Commit::of(case.event.event_id.clone())
    }))
}

/// Decides the sale of a session. If it cannot be decided, a person sees why.
fn of_sale(
    case: &Case<'_>,
    session: &CheckoutSession,
    order_id: &OrderId,
) -> Result<Decision, Stop> {
    // The stamp is the session's.
    let case = &Case {
        stamp: None,
        ..*case
    };
    match sale::decide(case, order_id, About::Session(session)) {
        Err(Stop::Park(park_reason)) => Ok(Decision::Park(park_reason)),
        Err(Stop::NotNeeded(_)) => Ok(Decision::Nothing { unsent: Vec::new() }),
        decided => decided,
    }
}

#[cfg(test)]
mod tests;
