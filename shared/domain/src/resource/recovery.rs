//! The sessions whose sale can be recovered, and the session in which a buyer is now.

use crate::{
    resource::{
        checkout_session::{CheckoutSession, ContactEmail},
        table::{Align, Table, date_time, zone_name},
    },
    values::ids::{CheckoutSessionId, InvoiceId, OrderId},
};
use jiff::{Timestamp, tz::TimeZone};
use std::collections::BTreeMap;

/// The most successors that [`follow`] takes. A buyer rarely opens more than two or three sessions.
const MAX_SUCCESSORS: usize = 8;

/// A session to bring a buyer back to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Recoverable {
    pub session_id: CheckoutSessionId,
    pub ended_at: Timestamp,
    pub order_id: Option<OrderId>,
    pub invoice_id: Option<InvoiceId>,
    /// `None` if the session has no contact, or its contact must be forgotten.
    pub contact: Option<ContactEmail>,
}

/// The sessions that can be recovered, the latest first.
#[must_use]
pub fn recoverable<'a>(
    sessions: impl IntoIterator<Item = &'a CheckoutSession>,
    now: Timestamp,
) -> Vec<Recoverable> {
    let sessions = sessions.into_iter().filter_map(|session| {
        Some(Recoverable {
            session_id: session.id.clone(),
            ended_at: session.listed_at()?,
            order_id: session.order_id.get().cloned(),
            invoice_id: session.invoice_id.get().cloned(),
            contact: session.contact_at(now).cloned(),
        })
    });
    let mut all: Vec<_> = sessions.collect();
    all.sort_by(|one, other| {
        let place = |line: &Recoverable| (line.ended_at, line.session_id.clone());
        place(other).cmp(&place(one))
    });
    all
}

/// The list as a table for people. It shows the buyers' addresses, so never log it.
#[must_use]
pub fn text(sessions: &[Recoverable], zone: &TimeZone) -> String {
    let mut table = Table::new(&[Align::Left; 4]);
    table.row(["Ended", "Session", "Sale", "Contact"].map(str::to_owned));
    for line in sessions {
        let order_id = line.order_id.as_ref().map(ToString::to_string);
        let invoice_id = line.invoice_id.as_ref().map(ToString::to_string);
        let contact = line.contact.as_ref().map(|contact| contact.0.clone());
        table.row([
            date_time(line.ended_at, zone),
            line.session_id.to_string(),
            order_id.or(invoice_id).unwrap_or_default(),
            contact.unwrap_or_default(),
        ]);
    }
    let zone = zone_name(zone);
    format!("Recoverable checkout sessions ({zone})\n\n{table}")
}

/// The end of a chain of successors.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Chain<'a> {
    /// The last session, which has no successor.
    Last(&'a CheckoutSession),
    /// A session that is not in the map: read it, then follow again.
    Missing(&'a CheckoutSessionId),
    /// The chain has a cycle, or more sessions than a buyer opens: a person has to look.
    Endless,
}

/// Follows the successors of a session, at most 8 of them.
#[must_use]
pub fn follow<'a>(
    sessions: &'a BTreeMap<CheckoutSessionId, CheckoutSession>,
    first: &'a CheckoutSessionId,
) -> Chain<'a> {
    let mut id = first;
    for _ in 0..=MAX_SUCCESSORS {
        let Some(session) = sessions.get(id) else {
            return Chain::Missing(id);
        };
        match session.successor.get() {
            None => return Chain::Last(session),
            Some(successor) => id = successor,
        }
    }
    Chain::Endless
}

#[cfg(test)]
mod tests;
