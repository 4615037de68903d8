//! A hosted checkout session: how it ended, and whether its sale can be recovered.

use crate::{
    resource::latest::Latest,
    values::{
        facts::{Stamp, earliest, words},
        ids::{CheckoutSessionId, InvoiceId, OrderId},
        mode::Mode,
        provider::ProviderId,
    },
};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_with::skip_serializing_none;
use std::fmt;

words!(
    /// The status of a session.
    SessionStatus {
        Open = "open",
        /// A part of the money was received.
        PartiallyPaid = "partially_paid",
        /// An end of the session. All ends weigh the same, and the latest stays.
        Expired = "expired",
        Closed = "closed",
        /// Its order or invoice changed, or another session replaced it.
        Invalidated = "invalidated",
        /// It takes precedence over all others.
        Paid = "paid",
    }
);

words!(
    /// The reason why a session ended. The order of the variants has no meaning.
    EndReason {
        Superseded = "superseded",
        OrderMutated = "order_mutated",
        InvoicePaidElsewhere = "invoice_paid_elsewhere",
        InvoiceVoided = "invoice_voided",
        InvoiceUncollectible = "invoice_uncollectible",
        InvoiceBalanceChanged = "invoice_balance_changed",
        PaymentSucceeded = "payment_succeeded",
        PaymentPartiallySucceeded = "payment_partially_succeeded",
        Expired = "expired",
        /// The merchant closed it.
        Api = "api",
    }
);

/// A buyer's address. Personal data: stored and mailed, never logged.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct ContactEmail(pub String);

impl fmt::Debug for ContactEmail {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ContactEmail(_)")
    }
}

/// The facts of a session.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct CheckoutSessionFacts {
    pub mode: Option<Mode>,
    pub status: Option<SessionStatus>,
    pub reason: Option<EndReason>,
    pub order_id: Option<OrderId>,
    pub invoice_id: Option<InvoiceId>,
    /// The session that replaces this one.
    pub successor: Option<CheckoutSessionId>,
    pub contact: Option<ContactEmail>,
    /// The time at which the contact must be forgotten.
    pub contact_until: Option<Timestamp>,
    pub expires_at: Option<Timestamp>,
    /// If it is omitted, a session with an end has ended at the time of the fact.
    pub ended_at: Option<Timestamp>,
}

/// The row of a session. It keeps no address of a page, because such addresses expire.
#[skip_serializing_none]
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CheckoutSession {
    pub id: CheckoutSessionId,
    /// Counts writes, from 1.
    pub version: u64,
    pub provider: ProviderId,
    /// A row that any fact calls test is test.
    pub mode: Option<Mode>,
    /// The latest status. `Paid` takes precedence, then the other ends, then a known word.
    #[serde(default, skip_serializing_if = "Latest::is_unknown")]
    pub status: Latest<SessionStatus>,
    /// The latest reason; a known one takes precedence.
    #[serde(default, skip_serializing_if = "Latest::is_unknown")]
    pub reason: Latest<EndReason>,
    #[serde(default, skip_serializing_if = "Latest::is_unknown")]
    pub order_id: Latest<OrderId>,
    #[serde(default, skip_serializing_if = "Latest::is_unknown")]
    pub invoice_id: Latest<InvoiceId>,
    #[serde(default, skip_serializing_if = "Latest::is_unknown")]
    pub successor: Latest<CheckoutSessionId>,
    #[serde(default, skip_serializing_if = "Latest::is_unknown")]
    pub contact: Latest<ContactEmail>,
    /// The earliest stated time at which the contact must be forgotten.
    pub contact_until: Option<Timestamp>,
    /// Permanent: no later fact brings the contact back.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub erased: bool,
    #[serde(default, skip_serializing_if = "Latest::is_unknown")]
    pub expires_at: Latest<Timestamp>,
    /// The earliest stated end.
    pub ended_at: Option<Timestamp>,
}

/// The sale that a session is for. Its text is the key of an index: `order#ord_1`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum SessionSale {
    Order(OrderId),
    Invoice(InvoiceId),
}

impl fmt::Display for SessionSale {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Order(id) => write!(f, "order#{id}"),
            Self::Invoice(id) => write!(f, "invoice#{id}"),
        }
    }
}

/// The end of a session.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SessionEnd {
    Open,
    Paid,
    /// A part of the money was received: neither converted nor abandoned.
    PartlyPaid,
    /// The buyer may be in a newer session, which is named if the provider states it.
    Superseded(Option<CheckoutSessionId>),
    /// Its invoice was paid in another way.
    PaidElsewhere,
    /// Its invoice was voided or written off.
    Voided,
    /// Its order or balance changed, so its price is stale.
    Repriced,
    Abandoned,
    ClosedByMerchant,
    /// The provider states no status or reason that is understood.
    Unclear,
}

impl CheckoutSession {
    pub(super) fn new(id: CheckoutSessionId, provider: ProviderId) -> Self {
        Self {
            id,
            version: 0,
            provider,
            mode: None,
            status: Latest::default(),
            reason: Latest::default(),
            order_id: Latest::default(),
            invoice_id: Latest::default(),
            successor: Latest::default(),
            contact: Latest::default(),
            contact_until: None,
            erased: false,
            expires_at: Latest::default(),
            ended_at: None,
        }
    }

    pub(super) fn learn(&mut self, facts: &CheckoutSessionFacts, stamp: Stamp) {
        self.mode = self.mode.max(facts.mode);
        let status = facts.status.as_ref();
        self.status.learn_by(stamp, status, weight);
        self.reason
            .learn_by(stamp, facts.reason.as_ref(), EndReason::is_known);
        self.order_id.learn(stamp, facts.order_id.as_ref());
        self.invoice_id.learn(stamp, facts.invoice_id.as_ref());
        self.successor.learn(stamp, facts.successor.as_ref());
        if !self.erased {
            self.contact.learn(stamp, facts.contact.as_ref());
        }
        self.contact_until = earliest(self.contact_until, facts.contact_until);
        self.expires_at.learn(stamp, facts.expires_at.as_ref());
        let has_ended = status.is_some_and(|status| weight(status) >= END);
        let ended_at = facts.ended_at.or(has_ended.then_some(stamp.at));
        self.ended_at = earliest(self.ended_at, ended_at);
    }

    /// The end of the session.
    #[must_use]
    pub fn end(&self) -> SessionEnd {
        use EndReason as Reason;
        let successor = self.successor.get();
        match (self.status.get(), self.reason.get()) {
            (Some(SessionStatus::Paid), _) => SessionEnd::Paid,
            (Some(SessionStatus::PartiallyPaid), _) => SessionEnd::PartlyPaid,
            (Some(SessionStatus::Open), _) => SessionEnd::Open,
            (_, Some(Reason::InvoicePaidElsewhere)) => SessionEnd::PaidElsewhere,
            (_, Some(Reason::InvoiceVoided | Reason::InvoiceUncollectible)) => SessionEnd::Voided,
            (_, Some(Reason::Superseded)) => SessionEnd::Superseded(successor.cloned()),
            _ if successor.is_some() => SessionEnd::Superseded(successor.cloned()),
            (_, Some(Reason::OrderMutated | Reason::InvoiceBalanceChanged)) => SessionEnd::Repriced,
            (_, Some(Reason::Expired)) | (Some(SessionStatus::Expired), None) => {
                SessionEnd::Abandoned
            }
            (_, Some(Reason::Api)) | (Some(SessionStatus::Closed), None) => {
                SessionEnd::ClosedByMerchant
            }
            _ => SessionEnd::Unclear,
        }
    }

    /// True if the buyer can be brought back: abandoned, not replaced, with a contact or an order.
    #[must_use]
    pub fn is_recoverable(&self) -> bool {
        let is_reachable = !self.contact.is_unknown() || !self.order_id.is_unknown();
        self.end() == SessionEnd::Abandoned && is_reachable
    }

    /// The sale of the session: its order, else its invoice.
    #[must_use]
    pub fn sale(&self) -> Option<SessionSale> {
        let order = self.order_id.get().cloned().map(SessionSale::Order);
        order.or_else(|| self.invoice_id.get().cloned().map(SessionSale::Invoice))
    }

    /// The buyer's address, until it must be forgotten.
    #[must_use]
    pub fn contact_at(&self, now: Timestamp) -> Option<&ContactEmail> {
        let is_kept = self.contact_until.is_none_or(|until| now < until);
        self.contact.get().filter(|_| is_kept)
    }

    /// The row without the buyer's address, which no later fact brings back. The version stays.
    #[must_use]
    pub fn erased(&self) -> Self {
        Self {
            contact: Latest::default(),
            erased: true,
            ..self.clone()
        }
    }

    /// The place in the list of recoverable sessions.
    pub(super) fn listed_at(&self) -> Option<Timestamp> {
        self.ended_at.filter(|_| self.is_recoverable())
    }
}

/// The weight of an end other than `Paid`.
const END: u8 = 3;

fn weight(status: &SessionStatus) -> u8 {
    match status {
        SessionStatus::Paid => 4,
        SessionStatus::Expired | SessionStatus::Closed | SessionStatus::Invalidated => END,
        SessionStatus::PartiallyPaid => 2,
        SessionStatus::Open => 1,
        SessionStatus::Other(_) => 0,
    }
}

#[cfg(test)]
mod tests;
