//! An invoice: the amount that a customer has to pay, its due date, and whether it must be collected.

use crate::{
    resource::latest::Latest,
    values::{
        facts::{Fact, Stated, earliest, words},
        ids::{CustomerId, InvoiceId, OrderId, PaymentAttemptId, ReceiptId, SubscriptionId},
        mode::Mode,
        money::Currency,
        provider::ProviderId,
    },
};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_with::skip_serializing_none;
use std::collections::{BTreeMap, btree_map::Entry};

words!(
    /// The status of an invoice.
    InvoiceStatus {
        /// Not issued: no receivable.
        Draft = "draft",
        /// Issued and collectible.
        Open = "open",
        PartiallyPaid = "partially_paid",
        /// The merchant has written the balance off.
        Uncollectible = "uncollectible",
        /// Closed by a credit.
        Credited = "credited",
        Void = "void",
        Paid = "paid",
    }
);

/// An attempt to pay an invoice.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Attempt {
    /// The status in the provider's word.
    pub status: String,
    /// True if the payment was refused. A canceled or expired attempt has not failed.
    pub failed: bool,
}

/// The facts of an invoice, with the invoice's version in their stamp. Amounts are in minor units of `currency`.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct InvoiceFacts {
    pub mode: Option<Mode>,
    pub number: Option<String>,
    pub status: Option<InvoiceStatus>,
    pub order_id: Option<OrderId>,
    pub customer_id: Option<CustomerId>,
    pub subscription_id: Option<SubscriptionId>,
    pub currency: Option<Currency>,
    pub total: Option<i64>,
    pub outstanding: Option<i64>,
    pub paid: Option<i64>,
    pub credited: Option<i64>,
    pub refunded: Option<i64>,
    pub due_at: Option<Timestamp>,
    pub issued_at: Option<Timestamp>,
    /// True while a condition such as missing stock blocks the collection; false if none does.
    pub blocked: Option<bool>,
    /// Attempts by id. Their stamps are independent of the stamp of the invoice.
    pub attempts: BTreeMap<PaymentAttemptId, Stated<Attempt>>,
}

/// The row of an invoice. Amounts are in minor units of `currency`.
#[skip_serializing_none]
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Invoice {
    pub id: InvoiceId,
    /// Counts writes, from 1. The invoice's own version is in the stamps.
    pub version: u64,
    pub provider: ProviderId,
    /// A row that any fact calls test is test.
    pub mode: Option<Mode>,
    #[serde(default, skip_serializing_if = "Latest::is_unknown")]
    pub number: Latest<String>,
    /// The latest status; a known one takes precedence.
    #[serde(default, skip_serializing_if = "Latest::is_unknown")]
    pub status: Latest<InvoiceStatus>,
    #[serde(default, skip_serializing_if = "Latest::is_unknown")]
    pub order_id: Latest<OrderId>,
    #[serde(default, skip_serializing_if = "Latest::is_unknown")]
    pub customer_id: Latest<CustomerId>,
    #[serde(default, skip_serializing_if = "Latest::is_unknown")]
    pub subscription_id: Latest<SubscriptionId>,
    #[serde(default, skip_serializing_if = "Latest::is_unknown")]
    pub currency: Latest<Currency>,
    #[serde(default, skip_serializing_if = "Latest::is_unknown")]
    pub total: Latest<i64>,
    #[serde(default, skip_serializing_if = "Latest::is_unknown")]
    pub outstanding: Latest<i64>,
    #[serde(default, skip_serializing_if = "Latest::is_unknown")]
    pub paid: Latest<i64>,
    #[serde(default, skip_serializing_if = "Latest::is_unknown")]
    pub credited: Latest<i64>,
    #[serde(default, skip_serializing_if = "Latest::is_unknown")]
    pub refunded: Latest<i64>,
    #[serde(default, skip_serializing_if = "Latest::is_unknown")]
    pub due_at: Latest<Timestamp>,
    #[serde(default, skip_serializing_if = "Latest::is_unknown")]
    pub issued_at: Latest<Timestamp>,
    #[serde(default, skip_serializing_if = "Latest::is_unknown")]
    pub blocked: Latest<bool>,
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub attempts: BTreeMap<PaymentAttemptId, Fact<Attempt>>,
    /// The first failure of a payment.
    pub failed_at: Option<Timestamp>,
    /// The notice of a failed payment that was made for this invoice. No fact changes it.
    pub notice_id: Option<ReceiptId>,
}

/// The state of the reminders of an invoice. `since` is the first reason: a failed payment or the due date.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Dunning {
    /// Nothing is due, or the invoice has ended.
    None,
    /// Due, but its collection is blocked.
    Suspended {
        since: Timestamp,
    },
    Due {
        since: Timestamp,
    },
}

impl Invoice {
    pub(super) fn new(id: InvoiceId, provider: ProviderId) -> Self {
        Self {
            id,
            version: 0,
            provider,
            mode: None,
            number: Latest::default(),
            status: Latest::default(),
            order_id: Latest::default(),
            customer_id: Latest::default(),
            subscription_id: Latest::default(),
            currency: Latest::default(),
            total: Latest::default(),
            outstanding: Latest::default(),
            paid: Latest::default(),
            credited: Latest::default(),
            refunded: Latest::default(),
            due_at: Latest::default(),
            issued_at: Latest::default(),
            blocked: Latest::default(),
            attempts: BTreeMap::new(),
            failed_at: None,
            notice_id: None,
        }
    }

    pub(super) fn learn(&mut self, facts: &Stated<InvoiceFacts>, at: Timestamp) {
        let stamp = facts.stamp(at);
        self.mode = self.mode.max(facts.mode);
        self.number.learn(stamp, facts.number.as_ref());
        self.status
            .learn_by(stamp, facts.status.as_ref(), InvoiceStatus::is_known);
        self.order_id.learn(stamp, facts.order_id.as_ref());
        self.customer_id.learn(stamp, facts.customer_id.as_ref());
        let subscription_id = facts.subscription_id.as_ref();
        self.subscription_id.learn(stamp, subscription_id);
        self.currency.learn(stamp, facts.currency.as_ref());
        self.total.learn(stamp, facts.total.as_ref());
        self.outstanding.learn(stamp, facts.outstanding.as_ref());
        self.paid.learn(stamp, facts.paid.as_ref());
        self.credited.learn(stamp, facts.credited.as_ref());
        self.refunded.learn(stamp, facts.refunded.as_ref());
        self.due_at.learn(stamp, facts.due_at.as_ref());
        self.issued_at.learn(stamp, facts.issued_at.as_ref());
        self.blocked.learn(stamp, facts.blocked.as_ref());
        for (id, attempt) in &facts.attempts {
            self.learn_attempt(id, attempt.clone().fact(at));
        }
    }

    fn learn_attempt(&mut self, id: &PaymentAttemptId, attempt: Fact<Attempt>) {
        let failed_at = attempt.value.failed.then_some(attempt.stamp.at);
        self.failed_at = earliest(self.failed_at, failed_at);
        match self.attempts.entry(id.clone()) {
            Entry::Vacant(place) => {
                place.insert(attempt);
            }
            Entry::Occupied(mut known) => known.get_mut().merge(attempt, |_| ()),
        }
    }

    /// True if the customer has to pay: the invoice is issued, not ended, and an amount is outstanding. A mail that was
    /// sent is no proof of it.
    #[must_use]
    pub fn is_receivable(&self) -> bool {
        self.is_issued() && self.outstanding.get().is_some_and(|amount| *amount > 0)
    }

    /// True if the invoice is issued and has not ended.
    fn is_issued(&self) -> bool {
        let status = self.status.get();
        status.is_some_and(|status| {
            matches!(status, InvoiceStatus::Open | InvoiceStatus::PartiallyPaid)
        })
    }

    /// True if the invoice is issued and the amount or its currency is unknown: no report can count it.
    #[must_use]
    pub fn is_unclear(&self) -> bool {
        let is_unknown = self.outstanding.is_unknown() || self.currency.is_unknown();
        self.is_issued() && is_unknown
    }

    /// True if a payment has failed, an amount is still to be paid, and nothing blocks its collection.
    #[must_use]
    pub fn payment_fails(&self) -> bool {
        let is_blocked = self.blocked.get() == Some(&true);
        self.failed_at.is_some() && self.is_receivable() && !is_blocked
    }

    /// The state of the reminders now.
    #[must_use]
    pub fn dunning(&self, now: Timestamp) -> Dunning {
        let due_at = self.due_at.get().copied().filter(|due_at| *due_at <= now);
        let since = earliest(self.failed_at, due_at);
        match since.filter(|_| self.is_receivable()) {
            None => Dunning::None,
            Some(since) if self.blocked.get() == Some(&true) => Dunning::Suspended { since },
            Some(since) => Dunning::Due { since },
        }
    }

    /// The place in the list of receivables, which also shows unclear invoices. Without a date it is the time of the
    /// status, so that no receivable is missing.
    pub(super) fn listed_at(&self) -> Option<Timestamp> {
        let date = self.due_at.get().or(self.issued_at.get()).copied();
        let date = date.or_else(|| self.status.stamp().map(|stamp| stamp.at));
        date.filter(|_| self.is_receivable() || self.is_unclear())
    }
}

#[cfg(test)]
mod tests;
