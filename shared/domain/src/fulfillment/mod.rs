//! Decides what news mean: which rows change, which goods move, which mails are owed.
//!
//! Each decision is a function of the event, of the rows as read and, where something cannot be undone, of what the
//! provider's API says. It returns a value that can be printed; the caller carries it out.

pub mod after_sale;
pub mod checkout;
pub mod commit;
pub mod read_set;
pub mod restored;
pub mod subscription;

use crate::values::class::Class;
use crate::{
    access::contact::{self, Contact},
    delivery::stored_event::{EventState, StoredEvent},
    fulfillment::{commit::Commit, read_set::Snapshot},
    sale::restock::RestockPolicy,
    values::{
        facts::Fact,
        ids::{BadId, ReceiptId},
        mode::Mode,
        outcome::ReadError,
    },
};
use jiff::SignedDuration;
use std::fmt;

/// What the merchant has chosen.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Policy {
    /// What this stack deals in.
    pub mode: Mode,
    /// Which refunds put goods back on the shelf.
    pub restock: RestockPolicy,
    /// How long access lasts after a renewal's payment has first failed.
    pub grace: SignedDuration,
    /// Whether to mail that a renewal could not be charged.
    pub payment_failed_mail: bool,
    /// Whether to mail that a trial ends.
    pub trial_ends_mail: bool,
}

/// What to do about an event.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Decision {
    /// Write this.
    Write(Box<Commit>),
    /// Nothing has changed; these receipts may still be owed.
    Nothing {
        /// Of an earlier event that told the same.
        unsent: Vec<ReceiptId>,
    },
    /// Write what is known, if there is something, and look again later: something else has to come first.
    Wait {
        /// Does not end the event.
        commit: Option<Box<Commit>>,
        /// What is missing: a person decides if it never comes.
        park_reason: ParkReason,
    },
    /// Let a person decide.
    Park(ParkReason),
}

/// Why a person must decide. Each is kept on the stored event, logged and alarmed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ParkReason {
    /// The event says completed, the provider's API says otherwise.
    #[error("the checkout is `{0}`, not complete")]
    NotComplete(String),
    /// A kind of checkout that sells nothing we know how to fulfill.
    #[error("checkouts of mode `{0}` are not fulfilled")]
    ModeNotFulfilled(String),
    /// Test money on a live stack, or live money on a test stack.
    #[error("a {facts}-mode {what} reached a {stack}-mode stack")]
    OtherMode {
        /// What came.
        what: &'static str,
        /// Its mode.
        facts: Mode,
        /// Ours.
        stack: Mode,
    },
    /// The stored body does not say what it is about.
    #[error("the event does not name what it is about")]
    NoSubject,
    /// The event says that the money is received, the provider's API says otherwise.
    #[error("the payment is announced as received, and the provider does not have it")]
    NotReceived,
    /// A subscription is paid for, and nobody says which product it is for.
    #[error("nobody tells which product the subscription is for")]
    NoProduct,
    /// The order, or its payment, has not come.
    #[error("no paid order is known for this {0}")]
    OrderUnknown(&'static str),
    /// The event says that money went back, the provider's API knows of none.
    #[error("the provider tells of no refund")]
    NoRefund,
    /// The event ends a subscription that other events and the provider's API say is alive.
    #[error("the subscription has ended, by this event, and is `{0}`, by the provider's API")]
    Contradicted(String),
    /// The provider will not tell us about it.
    #[error("{0}")]
    NotTold(ReadError),
    /// More than a row holds. Nothing of it has been written.
    #[error("an order of {lines} lines does not fit into a row")]
    TooLarge {
        /// How many lines it has.
        lines: usize,
    },
    /// An identifier in the answer cannot be stored.
    #[error("{0}")]
    BadId(#[from] BadId),
}

/// How long to wait for a doubt to pass.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Patience {
    /// It will not pass.
    None,
    /// Some minutes: the provider's announcement can be ahead of what its API tells.
    Short,
    /// As long as the queue delivers: another event has to come first, and events come late.
    Long,
}

impl ParkReason {
    /// How long waiting may help. A wrong address or a gateway's error page looks like an unknown checkout.
    #[must_use]
    pub fn patience(&self) -> Patience {
        match self {
            Self::NotComplete(_)
            | Self::NotReceived
            | Self::NoProduct
            | Self::NoRefund
            | Self::Contradicted(_)
            | Self::NotTold(ReadError::NotUnderstood(_)) => Patience::Short,
            Self::NotTold(ReadError::Permanent { status, .. }) if *status == 404 => Patience::Short,
            Self::OrderUnknown(_) => Patience::Long,
            Self::NotTold(_)
            | Self::ModeNotFulfilled(_)
            | Self::OtherMode { .. }
            | Self::NoSubject
            | Self::TooLarge { .. }
            | Self::BadId(_) => Patience::None,
        }
    }
}

impl From<&ParkReason> for Class {
    fn from(park_reason: &ParkReason) -> Self {
        match park_reason {
            ParkReason::NotComplete(_) | ParkReason::NotReceived => Self::NotComplete,
            ParkReason::ModeNotFulfilled(_) => Self::NotFulfilled,
            ParkReason::OtherMode { .. } => Self::OtherMode,
            ParkReason::NoSubject => Self::NoSubject,
            ParkReason::OrderUnknown(_) => Self::OrderUnknown,
            ParkReason::NoRefund => Self::NoRefund,
            ParkReason::Contradicted(_) => Self::Contradicted,
            ParkReason::NotTold(_) | ParkReason::NoProduct => Self::NotTold,
            ParkReason::TooLarge { .. } => Self::TooLarge,
            ParkReason::BadId(_) => Self::BadId,
        }
    }
}

/// What a pending event's row alone says: its effects are committed, by an attempt that stopped before it queued
/// these receipts.
#[must_use]
pub fn committed(event: &StoredEvent) -> Option<&[ReceiptId]> {
    (event.state == EventState::Committed).then_some(&event.receipt_ids)
}

/// Doubts that what is told belongs here. What does not tell its mode came by an endpoint whose secret is of one mode.
pub(crate) fn of_other_mode(
    what: &'static str,
    facts: Option<Mode>,
    stack: Mode,
) -> Option<ParkReason> {
    facts
        .filter(|facts| *facts != stack)
        .map(|facts| ParkReason::OtherMode { what, facts, stack })
}

/// Decides what news of a customer mean.
#[must_use]
pub fn customer(
    event: &StoredEvent,
    change: &contact::ContactChange,
    rows: &Snapshot,
    policy: &Policy,
) -> Decision {
    if let Some(park_reason) = of_other_mode("customer", change.mode, policy.mode) {
        return Decision::Park(park_reason);
    }
    let known = rows
        .contact
        .clone()
        .unwrap_or_else(|| Contact::new(change.customer_id.clone()));
    let mut contact = known.clone();
    contact.learn(
        change
            .facts
            .clone()
            .map(|facts| Fact::new(event.stated_at(), facts)),
    );
    if contact == known {
        return Decision::Nothing { unsent: Vec::new() };
    }
    contact.version += 1;
    Decision::Write(Box::new(Commit {
        contact: Some(contact),
        ..Commit::of(event.event_id.clone())
    }))
}

impl fmt::Display for Decision {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Write(commit) => commit.fmt(f),
            Self::Nothing { .. } => f.write_str("nothing to do"),
            Self::Wait {
                commit: None,
                park_reason,
            } => write!(f, "wait: {park_reason}"),
            Self::Wait {
                commit: Some(commit),
                park_reason,
            } => write!(f, "{commit}, then wait: {park_reason}"),
            Self::Park(park_reason) => write!(f, "park: {park_reason}"),
        }
    }
}

#[cfg(test)]
mod any_order;
#[cfg(test)]
pub(crate) mod testing;
#[cfg(test)]
mod tests;
