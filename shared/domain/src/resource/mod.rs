//! The rows that mirror a provider's things beside orders, entitlements and receipts.
//!
//! Each row is the merge of all facts seen ([`Resource::learn`]); reports are functions of rows. A field that a fact
//! omits keeps its value.

pub use crate::resource::id::{BadResourceId, ResourceId};

pub mod checkout_session;
pub mod id;
pub mod invoice;
pub mod journal;
pub mod latest;
pub mod merchant;
pub mod payment_method;
pub mod receivables;
pub mod recovery;
mod table;
pub mod transaction;

use crate::{
    resource::{
        checkout_session::{CheckoutSession, CheckoutSessionFacts},
        invoice::{Invoice, InvoiceFacts},
        merchant::{Merchant, MerchantFacts},
        payment_method::{PaymentMethod, PaymentMethodFacts},
        transaction::{Transaction, TransactionFacts},
    },
    values::{
        facts::Stated,
        ids::{CheckoutSessionId, InvoiceId, MerchantId, PaymentMethodId, TransactionId},
        provider::ProviderId,
    },
};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

/// The list of all balance transactions, by the time of the movement.
pub const JOURNAL: &str = "journal";
/// The list of invoices to be paid, by their dates.
pub const RECEIVABLES: &str = "receivables";
/// The list of checkout sessions that can be recovered, by their ends.
pub const RECOVERABLE: &str = "recoverable";

/// A change of a mirrored thing: its id and the stated facts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ResourceChange {
    Transaction {
        id: TransactionId,
        facts: Stated<TransactionFacts>,
    },
    Invoice {
        id: InvoiceId,
        facts: Box<Stated<InvoiceFacts>>,
    },
    PaymentMethod {
        id: PaymentMethodId,
        facts: Stated<PaymentMethodFacts>,
    },
    Merchant {
        id: MerchantId,
        facts: Box<Stated<MerchantFacts>>,
    },
    CheckoutSession {
        id: CheckoutSessionId,
        facts: Box<Stated<CheckoutSessionFacts>>,
    },
}

impl ResourceChange {
    /// The thing that changed.
    #[must_use]
    pub fn id(&self) -> ResourceId {
        match self {
            Self::Transaction { id, .. } => ResourceId::Transaction(id.clone()),
            Self::Invoice { id, .. } => ResourceId::Invoice(id.clone()),
            Self::PaymentMethod { id, .. } => ResourceId::PaymentMethod(id.clone()),
            Self::Merchant { id, .. } => ResourceId::Merchant(id.clone()),
            Self::CheckoutSession { id, .. } => ResourceId::CheckoutSession(id.clone()),
        }
    }
}

/// The row of a mirrored thing.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum Resource {
    Transaction(Box<Transaction>),
    Invoice(Box<Invoice>),
    PaymentMethod(Box<PaymentMethod>),
    Merchant(Box<Merchant>),
    CheckoutSession(Box<CheckoutSession>),
}

/// Evaluates one expression for the row of any kind.
macro_rules! each {
    ($resource:expr, $row:ident => $body:expr) => {
        match $resource {
            Resource::Transaction($row) => $body,
            Resource::Invoice($row) => $body,
            Resource::PaymentMethod($row) => $body,
            Resource::Merchant($row) => $body,
            Resource::CheckoutSession($row) => $body,
        }
    };
}

impl Resource {
    /// Merges a change into the known row of its thing, or starts a row of version 0. `at` is the time of the event or
    /// of the read. The result equals `known` if nothing is new; the version stays. A known row of another thing counts
    /// as none.
    #[must_use]
    pub fn learn(
        known: Option<&Self>,
        provider: &ProviderId,
        change: &ResourceChange,
        at: Timestamp,
    ) -> Self {
        let mut row = match known {
            Some(known) if known.id() == change.id() => known.clone(),
            _ => Self::new(change.id(), provider.clone()),
        };
        match (&mut row, change) {
            (Self::Transaction(row), ResourceChange::Transaction { facts, .. }) => {
                row.learn(facts, facts.stamp(at));
            }
            (Self::Invoice(row), ResourceChange::Invoice { facts, .. }) => row.learn(facts, at),
            (Self::PaymentMethod(row), ResourceChange::PaymentMethod { facts, .. }) => {
                row.learn(facts, facts.stamp(at));
            }
            (Self::Merchant(row), ResourceChange::Merchant { facts, .. }) => row.learn(facts, at),
            (Self::CheckoutSession(row), ResourceChange::CheckoutSession { facts, .. }) => {
                row.learn(facts, facts.stamp(at));
            }
            // Row and change have one id, so one kind.
            _ => {}
        }
        row
    }

    /// A row of version 0 without facts.
    fn new(id: ResourceId, provider: ProviderId) -> Self {
        match id {
            ResourceId::Transaction(id) => Self::Transaction(Transaction::new(id, provider).into()),
            ResourceId::Invoice(id) => Self::Invoice(Invoice::new(id, provider).into()),
            ResourceId::PaymentMethod(id) => {
                Self::PaymentMethod(PaymentMethod::new(id, provider).into())
            }
            ResourceId::Merchant(id) => Self::Merchant(Merchant::new(id, provider).into()),
            ResourceId::CheckoutSession(id) => {
                Self::CheckoutSession(CheckoutSession::new(id, provider).into())
            }
        }
    }

    /// True if this row, learned from `known`, must be written.
    ///
    /// A merchant is observed again and again without a change, so stamps alone are no reason to write its row. An older
    /// observation that arrives later can then win over the one that was not written. Therefore, merge a fresh read of
    /// the merchant together with each event.
    #[must_use]
    pub fn is_news(&self, known: Option<&Self>) -> bool {
        match (self, known) {
            (Self::Merchant(row), Some(Self::Merchant(known))) => row.is_news(known),
            (row, known) => Some(row) != known,
        }
    }

    /// The thing.
    #[must_use]
    pub fn id(&self) -> ResourceId {
        match self {
            Self::Transaction(row) => ResourceId::Transaction(row.id.clone()),
            Self::Invoice(row) => ResourceId::Invoice(row.id.clone()),
            Self::PaymentMethod(row) => ResourceId::PaymentMethod(row.id.clone()),
            Self::Merchant(row) => ResourceId::Merchant(row.id.clone()),
            Self::CheckoutSession(row) => ResourceId::CheckoutSession(row.id.clone()),
        }
    }

    /// Counts the writes of the row, from 1; 0 if it was never written.
    #[must_use]
    pub fn version(&self) -> u64 {
        each!(self, row => row.version)
    }

    /// The provider that the thing belongs to.
    #[must_use]
    pub fn provider(&self) -> &ProviderId {
        each!(self, row => &row.provider)
    }

    /// The row as the next write of it.
    #[must_use]
    pub fn next(mut self) -> Self {
        each!(&mut self, row => row.version += 1);
        self
    }

    /// The row as one that was written so often.
    #[must_use]
    pub fn in_version(mut self, version: u64) -> Self {
        each!(&mut self, row => row.version = version);
        self
    }

    /// The list that shows the row, and its place there; `None` if no list shows it.
    #[must_use]
    pub fn list(&self) -> Option<(String, Timestamp)> {
        match self {
            Self::Transaction(row) => row.occurred_at().map(|at| (JOURNAL.to_owned(), at)),
            Self::Invoice(row) => row.listed_at().map(|at| (RECEIVABLES.to_owned(), at)),
            Self::PaymentMethod(row) => row.list(),
            Self::Merchant(_) => None,
            Self::CheckoutSession(row) => row.listed_at().map(|at| (RECOVERABLE.to_owned(), at)),
        }
    }
}

#[cfg(test)]
mod testing;
#[cfg(test)]
mod tests;
