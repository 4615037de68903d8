//! A saved payment method: whether a renewal can be charged to it.

use crate::{
    resource::latest::Latest,
    values::{
        facts::{Stamp, earliest, words},
        ids::{CustomerId, PaymentMethodId, SubscriptionId},
        mode::Mode,
        provider::ProviderId,
    },
};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_with::skip_serializing_none;
use std::collections::BTreeMap;

/// The most subscriptions that a row names. Its removal flags them all in one transaction.
pub const MOST_SUBSCRIPTIONS: usize = 50;

words!(
    /// The status of a payment method.
    PaymentMethodStatus {
        /// Its set-up has not ended.
        Pending = "pending",
        Active = "active",
        Expired = "expired",
        /// Its set-up failed: it was never usable.
        Failed = "failed",
        /// Terminal, in any order of arrival.
        Removed = "removed",
    }
);

words!(
    /// How a payment method can be charged. The order of the variants has no meaning.
    Usage {
        /// Only while the customer is present.
        OnSession = "on_session",
        /// Also without the customer, as a renewal needs it.
        OffSession = "off_session",
    }
);

/// The list of a customer's payment methods, by the times of their first facts.
#[must_use]
pub fn list_of(customer_id: &CustomerId) -> String {
    format!("payment_methods#{customer_id}")
}

/// The facts of a payment method.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct PaymentMethodFacts {
    pub mode: Option<Mode>,
    pub customer_id: Option<CustomerId>,
    /// The type in the provider's word, such as `card`.
    pub method: Option<String>,
    pub status: Option<PaymentMethodStatus>,
    pub usage: Option<Usage>,
    pub failure_code: Option<String>,
}

/// The row of a payment method. A failed set-up changes only its row, never the customer's other methods.
#[skip_serializing_none]
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PaymentMethod {
    pub id: PaymentMethodId,
    /// Counts writes, from 1.
    pub version: u64,
    pub provider: ProviderId,
    /// A row that any fact calls test is test.
    pub mode: Option<Mode>,
    /// The time of the earliest fact.
    pub first_seen: Option<Timestamp>,
    #[serde(default, skip_serializing_if = "Latest::is_unknown")]
    pub customer_id: Latest<CustomerId>,
    /// The type in the provider's word, such as `card`.
    #[serde(default, skip_serializing_if = "Latest::is_unknown")]
    pub method: Latest<String>,
    /// The latest status. A removal takes precedence, then a known word.
    #[serde(default, skip_serializing_if = "Latest::is_unknown")]
    pub status: Latest<PaymentMethodStatus>,
    /// The latest usage; a known one takes precedence.
    #[serde(default, skip_serializing_if = "Latest::is_unknown")]
    pub usage: Latest<Usage>,
    #[serde(default, skip_serializing_if = "Latest::is_unknown")]
    pub failure_code: Latest<String>,
    /// The subscriptions that were ever charged to it, with their customers, at most [`MOST_SUBSCRIPTIONS`]. A later
    /// one sees a removal with its next event.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub subscriptions: BTreeMap<SubscriptionId, CustomerId>,
}

impl PaymentMethod {
    /// A row of version 0 without facts.
    #[must_use]
    pub fn new(id: PaymentMethodId, provider: ProviderId) -> Self {
        Self {
            id,
            version: 0,
            provider,
            mode: None,
            first_seen: None,
            customer_id: Latest::default(),
            method: Latest::default(),
            status: Latest::default(),
            usage: Latest::default(),
            failure_code: Latest::default(),
            subscriptions: BTreeMap::new(),
        }
    }

    pub(super) fn learn(&mut self, facts: &PaymentMethodFacts, stamp: Stamp) {
        let weight = |status: &PaymentMethodStatus| {
            (*status == PaymentMethodStatus::Removed, status.is_known())
        };
        self.mode = self.mode.max(facts.mode);
        self.first_seen = earliest(self.first_seen, Some(stamp.at));
        self.customer_id.learn(stamp, facts.customer_id.as_ref());
        self.method.learn(stamp, facts.method.as_ref());
        self.status.learn_by(stamp, facts.status.as_ref(), weight);
        self.usage
            .learn_by(stamp, facts.usage.as_ref(), Usage::is_known);
        self.failure_code.learn(stamp, facts.failure_code.as_ref());
    }

    /// True if a renewal can be charged to it. A saved method alone is no proof.
    #[must_use]
    pub fn is_usable_off_session(&self) -> bool {
        self.status.get() == Some(&PaymentMethodStatus::Active)
            && self.usage.get() == Some(&Usage::OffSession)
    }

    /// True once it was removed.
    #[must_use]
    pub fn is_removed(&self) -> bool {
        self.status.get() == Some(&PaymentMethodStatus::Removed)
    }

    /// The row with one more subscription, if it is new and there is room.
    #[must_use]
    pub fn charged_by(&self, id: &SubscriptionId, customer_id: &CustomerId) -> Option<Self> {
        let has_room = self.subscriptions.len() < MOST_SUBSCRIPTIONS;
        if self.subscriptions.contains_key(id) || !has_room {
            return None;
        }
        let mut row = self.clone();
        row.subscriptions.insert(id.clone(), customer_id.clone());
        Some(row)
    }

    /// The list of its customer's methods, and its place there.
    pub(super) fn list(&self) -> Option<(String, Timestamp)> {
        let customer_id = self.customer_id.get()?;
        Some((list_of(customer_id), self.first_seen?))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{fulfillment::testing::id, resource::testing::noon};

    fn method(all: &[(&str, &str)]) -> PaymentMethod {
        let mut method = PaymentMethod::new(id("pm_1"), "acme".parse().unwrap());
        for (day, (status, usage)) in (1..).zip(all) {
            let facts = PaymentMethodFacts {
                status: Some((*status).into()),
                usage: Some((*usage).into()),
                ..PaymentMethodFacts::default()
            };
            let stamp = Stamp::at(noon(3, day));
            method.learn(&facts, stamp);
        }
        method
    }

    #[test]
    fn a_renewal_is_charged_only_to_an_active_method_for_off_session_use() {
        for (all, is_usable) in [
            (vec![("active", "off_session")], true),
            (vec![("active", "on_session")], false),
            (vec![("active", "new")], false),
            (vec![("pending", "off_session")], false),
            (vec![("expired", "off_session")], false),
            (vec![("failed", "off_session")], false),
            (vec![("new", "off_session")], false),
            (vec![("pending", "off_session"), ("active", "new")], true),
            (
                vec![("active", "off_session"), ("failed", "off_session")],
                false,
            ),
        ] {
            assert_eq!(method(&all).is_usable_off_session(), is_usable, "{all:?}");
        }
    }

    #[test]
    fn a_removed_method_stays_removed() {
        let removed = method(&[("removed", "off_session"), ("active", "off_session")]);
        assert!(!removed.is_usable_off_session());
        assert_eq!(removed.status.get(), Some(&PaymentMethodStatus::Removed));
    }
}
