//! The reservation of an order that is not paid: the units that its checkout sessions keep for it.
//!
//! The units belong to the order. A session that replaces another one therefore needs no transfer: it keeps what is
//! reserved. Sessions and their ends only add up, so neither a cycle of successors nor the order of arrival matters.

use crate::{
    resource::checkout_session::{CheckoutSession, SessionEnd},
    values::ids::{CheckoutSessionId, Sku},
};
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};

/// The sessions that keep units for an order, and the SKUs of the units.
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

#[cfg(test)]
mod tests;
