//! The reservation of an order that is not paid: the units that its checkout sessions keep for it.
//!
//! The units belong to the order. A session that replaces another one therefore needs no transfer: it keeps what is
//! reserved. Sessions and their ends only add up, so neither a cycle of successors nor the order of arrival matters.

use crate::{
    resource::checkout_session::{CheckoutSession, SessionEnd},
    sale::stock::{Deduction, Movement, StockLevel},
    values::ids::{CheckoutSessionId, OrderId, Sku},
};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};

/// What keeps units for an order, and of which SKUs.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Reservation {
    /// The known sessions; true for one that has ended without payment.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    sessions: BTreeMap<CheckoutSessionId, bool>,
    /// The SKUs of the reserved units. The numbers are in the movements.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub skus: BTreeSet<Sku>,
}

impl Reservation {
    /// True if neither a session nor a SKU is known.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.sessions.is_empty() && self.skus.is_empty()
    }

    /// True while a session that may be paid keeps the units.
    #[must_use]
    pub fn is_held(&self) -> bool {
        self.sessions.values().any(|has_ended| !has_ended)
    }

    /// The known sessions.
    pub fn sessions(&self) -> impl Iterator<Item = &CheckoutSessionId> {
        self.sessions.keys()
    }

    /// Merges the known sessions of another one.
    pub fn merge(&mut self, other: &Self) {
        for (id, has_ended) in &other.sessions {
            *self.sessions.entry(id.clone()).or_default() |= has_ended;
        }
    }

    /// Adds a session of which nothing else is known.
    pub fn add(&mut self, id: &CheckoutSessionId) {
        self.sessions.entry(id.clone()).or_default();
    }

    /// Merges the state of a session. A successor keeps the units from now on. A paid session keeps them until its order
    /// is fulfilled, and an unclear one until the order is paid or closed.
    pub fn learn(&mut self, session: &CheckoutSession) {
        let has_ended = match session.end() {
            SessionEnd::Open
            | SessionEnd::Paid
            | SessionEnd::PartlyPaid
            | SessionEnd::PaidElsewhere
            | SessionEnd::Unclear => false,
            SessionEnd::Superseded(successor) => {
                if let Some(id) = &successor {
                    self.add(id);
                }
                true
            }
            SessionEnd::Voided
            | SessionEnd::Repriced
            | SessionEnd::Abandoned
            | SessionEnd::ClosedByMerchant => true,
        };
        *self.sessions.entry(session.id.clone()).or_default() |= has_ended;
    }
}

/// Plans the writes after which `wanted` units of each SKU are reserved, and returns the SKUs with reserved units.
///
/// A counter that does not cover the wanted units gives none: an unpaid order has no shortfall. Sold units stay as they
/// are.
#[must_use]
pub fn plan(
    order_id: &OrderId,
    wanted: &BTreeMap<Sku, i64>,
    stock_levels: &[StockLevel],
    now: Timestamp,
) -> (Vec<Deduction>, BTreeSet<Sku>) {
    let (mut to_write, mut skus) = (Vec::new(), BTreeSet::new());
    for level in stock_levels {
        let seen = level.moved.as_ref();
        let is_sold = seen.is_some_and(|moved| !moved.is_reserved);
        let Some(on_hand) = level.on_hand.filter(|_| !is_sold) else {
            continue;
        };
        let held = seen.map_or(0, |moved| moved.deducted);
        let wanted = wanted.get(&level.sku).copied().unwrap_or_default();
        let is_covered = wanted <= on_hand.max(0).saturating_add(held);
        let units = if is_covered { wanted } else { 0 };
        if units > 0 {
            skus.insert(level.sku.clone());
        }
        if units != held {
            to_write.push(Deduction {
                movement: reserved(order_id, &level.sku, units, now),
                seen: seen.cloned(),
                on_hand,
            });
        }
    }
    (to_write, skus)
}

fn reserved(order_id: &OrderId, sku: &Sku, units: i64, now: Timestamp) -> Movement {
    Movement {
        sku: sku.clone(),
        order_id: order_id.clone(),
        quantity: units,
        deducted: units,
        restocked: 0,
        moved_at: now,
        is_open: false,
        is_reserved: true,
    }
}

#[cfg(test)]
mod tests;
