//! The rows and answers that an attempt has read, and the next ones that a rule needs.
//!
//! A rule is a function from [`Case`] to a decision. If it needs a row or an answer that was not read yet, it returns a
//! [`Need`]. The caller reads that, adds it, and calls the rule again. Rules stay pure this way, and each states in one
//! place its reads and its decision.

use crate::{
    delivery::{answer::Answer, reference::Reference, stored_event::StoredEvent},
    fulfillment::{
        ParkReason, Policy,
        read_set::{ReadSet, Snapshot},
    },
    values::{
        facts::Stamp,
        ids::{CustomerId, SubscriptionId},
        provider::ProviderPolicies,
        scope::Scope,
    },
};
use jiff::Timestamp;
use std::collections::BTreeMap;

/// The next read of a rule, before it can decide.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Need {
    /// These rows.
    Rows(Box<ReadSet>),
    /// The customer of a subscription, by the index.
    CustomerOf(SubscriptionId),
    /// The provider's answer. It may be one that was fetched before: then it was read too early.
    Fetch(Reference),
}

/// An answer of the provider.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fetched {
    /// When it was asked for, by our clock.
    pub asked_at: Timestamp,
    /// How often it was fetched in this attempt.
    pub times: u32,
    /// The answer, or why a person must decide.
    pub answer: Result<Answer, ParkReason>,
}

/// Everything that one attempt has read so far.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Known {
    read: ReadSet,
    rows: Snapshot,
    customers: BTreeMap<SubscriptionId, Option<CustomerId>>,
    fetched: BTreeMap<Reference, Fetched>,
}

impl Known {
    /// Adds rows that were read.
    pub fn add_rows(&mut self, read: ReadSet, rows: Snapshot) {
        self.read = std::mem::take(&mut self.read).and(read);
        self.rows = std::mem::take(&mut self.rows).and(rows);
    }

    /// Adds the customer of a subscription, if there is one.
    pub fn add_customer(&mut self, id: SubscriptionId, customer: Option<CustomerId>) {
        self.customers.insert(id, customer);
    }

    /// Adds an answer of the provider. If it was asked for again, the rows are read again as well, and so is a customer
    /// who was not found: all have to be of the same time.
    pub fn add_answer(
        &mut self,
        reference: Reference,
        asked_at: Timestamp,
        answer: Result<Answer, ParkReason>,
    ) {
        let times = self
            .fetched
            .get(&reference)
            .map_or(0, |before| before.times)
            + 1;
        if times > 1 {
            (self.read, self.rows) = (ReadSet::default(), Snapshot::default());
            self.customers.retain(|_, found| found.is_some());
        }
        let fetched = Fetched {
            asked_at,
            times,
            answer,
        };
        self.fetched.insert(reference, fetched);
    }

    /// The rows read so far, if all of `needed` are among them.
    pub fn rows(&self, needed: &ReadSet) -> Result<&Snapshot, Need> {
        let missing = needed.without(&self.read);
        if missing == ReadSet::default() {
            Ok(&self.rows)
        } else {
            Err(Need::Rows(Box::new(missing)))
        }
    }

    /// The customer of a subscription.
    pub fn customer_of(&self, id: &SubscriptionId) -> Result<Option<&CustomerId>, Need> {
        let known = self.customers.get(id);
        known
            .map(Option::as_ref)
            .ok_or_else(|| Need::CustomerOf(id.clone()))
    }

    /// The provider's answer.
    pub fn fetched(&self, reference: &Reference) -> Result<&Fetched, Need> {
        let known = self.fetched.get(reference);
        known.ok_or_else(|| Need::Fetch(reference.clone()))
    }
}

/// One event to decide about, with everything that is known.
#[derive(Debug, Clone, Copy)]
pub struct Case<'a> {
    pub event: &'a StoredEvent,
    /// The mode and the merchant that the event states.
    pub scope: &'a Scope,
    /// The stamp of its thing, if the event states one and no facts.
    pub stamp: Option<Stamp>,
    pub known: &'a Known,
    pub policy: &'a Policy,
    /// The policies of the event's provider.
    pub provider: ProviderPolicies,
    /// The time that the facts of the change are stamped with.
    pub stated_at: Timestamp,
    pub now: Timestamp,
}
