//! Decides what news mean: which rows change, which goods move, which mails are owed.
//!
//! Each decision is a function of the event, of the rows as read and, where something cannot be undone, of what the
//! provider's API says. It returns a value that can be printed; the caller carries it out.

pub mod after_sale;
pub mod checkout;
pub mod restored;
pub mod subscription;

use crate::{
    contact::{self, Contact},
    event::{EventState, StoredEvent},
    facts::Latest,
    ids::{BadId, ReceiptId},
    ledger::{Commit, Rows},
    mode::Mode,
    ports::ReadError,
    receipt::{Kind, Receipt},
    refund::Restock,
};
use jiff::SignedDuration;
use std::fmt;

/// What the merchant has chosen.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Policy {
    /// What this stack deals in.
    pub mode: Mode,
    /// Which refunds put goods back on the shelf.
    pub restock: Restock,
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
        owed: Vec<ReceiptId>,
    },
    /// Write what is known, if there is something, and look again later: something else has to come first.
    Wait {
        /// Does not end the event.
        commit: Option<Box<Commit>>,
        /// What is missing: a person decides if it never comes.
        doubt: Doubt,
    },
    /// Let a person decide.
    Park(Doubt),
}

/// Why a person must decide. Each is kept on the stored event, logged and alarmed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Doubt {
    /// The event says completed, the provider's API says otherwise.
    #[error("the checkout is `{0}`, not complete")]
    NotComplete(String),
    /// A kind of checkout that sells nothing we know how to fulfill.
    #[error("checkouts of mode `{0}` are not fulfilled")]
    ModeNotFulfilled(String),
    /// Test money on a live stack, or live money on a test stack.
    #[error("a {told}-mode {what} reached a {stack}-mode stack")]
    OtherMode {
        /// What came.
        what: &'static str,
        /// Its mode.
        told: Mode,
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

impl Doubt {
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

/// What a pending event's row alone says: its effects are committed, by an attempt that stopped before it queued
/// these receipts.
#[must_use]
pub fn committed(event: &StoredEvent) -> Option<&[ReceiptId]> {
    (event.state == EventState::Committed).then_some(&event.receipt_ids)
}

/// Doubts that what is told belongs here. What does not tell its mode came by an endpoint whose secret is of one mode.
pub(crate) fn of_other_mode(what: &'static str, told: Option<Mode>, stack: Mode) -> Option<Doubt> {
    told.filter(|told| *told != stack)
        .map(|told| Doubt::OtherMode { what, told, stack })
}

/// Decides what news of a customer mean.
#[must_use]
pub fn customer(
    event: &StoredEvent,
    news: &contact::News,
    rows: &Rows,
    policy: &Policy,
) -> Decision {
    if let Some(doubt) = of_other_mode("customer", news.mode, policy.mode) {
        return Decision::Park(doubt);
    }
    let known = rows
        .contact
        .clone()
        .unwrap_or_else(|| Contact::new(news.customer_id.clone()));
    let mut contact = known.clone();
    contact.learn(
        news.told
            .clone()
            .map(|told| Latest::new(event.told_at(), told)),
    );
    if contact == known {
        return Decision::Nothing { owed: Vec::new() };
    }
    contact.version += 1;
    Decision::Write(Box::new(Commit {
        contact: Some(contact),
        ..Commit::of(event.event_id.clone())
    }))
}

impl Commit {
    /// Whether it fulfills an order.
    #[must_use]
    pub fn fulfills(&self) -> bool {
        self.order.is_some()
            && self
                .receipts
                .iter()
                .any(|receipt| receipt.kind == Kind::Order)
    }

    /// The receipts that it makes owed.
    #[must_use]
    pub fn receipt_ids(&self) -> Vec<ReceiptId> {
        self.receipts
            .iter()
            .map(|receipt: &Receipt| receipt.receipt_id.clone())
            .collect()
    }
}

/// For the log: ids, counts and amounts, and no name of anything that was bought. Beside an order, the name of a thing
/// can tell what ails somebody.
impl fmt::Display for Commit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut parts = Vec::new();
        if let Some(order) = &self.order {
            let (lines, total) = (order.lines.len(), order.money(order.totals.total));
            if self.fulfills() {
                parts.push(format!(
                    "fulfill {}: {lines} lines, {total}",
                    order.order_id
                ));
            } else {
                parts.push(format!("order {}: {}", order.order_id, order.state()));
            }
        }
        if let Some(subscription) = &self.subscription {
            parts.push(format!("subscription {}", subscription.subscription_id));
        }
        for row in &self.entitlements {
            parts.push(format!(
                "access {} until {}",
                row.reason.as_str(),
                row.access_until
            ));
        }
        if self.contact.is_some() {
            parts.push("customer".to_owned());
        }
        if parts.is_empty() && !self.links.is_empty() {
            parts.push("payment noted, its order is not known yet".to_owned());
        }
        if self.fulfills() || !self.takes.is_empty() {
            parts.push(format!("{} stock movements", self.takes.len()));
        }
        if let Some(order) = self.order.as_ref().filter(|_| self.fulfills()) {
            let missing: i64 = order.shortfalls.iter().map(|short| short.missing).sum();
            if missing > 0 {
                parts.push(format!("{missing} pieces short"));
            }
            if let Some(difference) = order.difference {
                parts.push(format!(
                    "lines differ from the total by {}",
                    order.money(difference)
                ));
            }
        }
        let back: i64 = self.returns.iter().map(|back| back.pieces).sum();
        if back > 0 {
            parts.push(format!("{back} pieces back on the shelf"));
        }
        for receipt in &self.receipts {
            parts.push(format!("receipt {}", receipt.receipt_id));
        }
        f.write_str(&parts.join(", "))
    }
}

impl fmt::Display for Decision {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Write(commit) => commit.fmt(f),
            Self::Nothing { .. } => f.write_str("nothing to do"),
            Self::Wait {
                commit: None,
                doubt,
            } => write!(f, "wait: {doubt}"),
            Self::Wait {
                commit: Some(commit),
                doubt,
            } => write!(f, "{commit}, then wait: {doubt}"),
            Self::Park(doubt) => write!(f, "park: {doubt}"),
        }
    }
}

#[cfg(test)]
mod any_order;
#[cfg(test)]
pub(crate) mod testing;
#[cfg(test)]
mod tests;
