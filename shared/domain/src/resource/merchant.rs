//! A merchant's readiness: whether it can take payments and receive payouts, and what it must still do.

use crate::{
    resource::latest::Latest,
    values::{
        facts::{Stamp, Stated, words},
        ids::MerchantId,
        mode::Mode,
        provider::ProviderId,
    },
};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_with::skip_serializing_none;
use std::collections::{BTreeMap, BTreeSet};

words!(
    /// The readiness of one ability. The order of the variants has no meaning.
    ReadinessStatus {
        NotRequested = "not_requested",
        NotAvailable = "not_available",
        Pending = "pending",
        Blocked = "blocked",
        /// The only status that enables anything.
        Ready = "ready",
    }
);

/// The readiness of payments or payouts.
#[skip_serializing_none]
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Readiness {
    pub status: ReadinessStatus,
    /// The reason in the provider's word.
    pub reason: Option<String>,
}

/// A demand of the provider on the merchant, in the provider's words.
#[skip_serializing_none]
#[derive(Debug, Clone, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(default)]
pub struct Requirements {
    #[serde(skip_serializing_if = "BTreeSet::is_empty")]
    pub past_due: BTreeSet<String>,
    #[serde(skip_serializing_if = "BTreeSet::is_empty")]
    pub currently_due: BTreeSet<String>,
    #[serde(skip_serializing_if = "BTreeSet::is_empty")]
    pub eventually_due: BTreeSet<String>,
    #[serde(skip_serializing_if = "BTreeSet::is_empty")]
    pub pending_verification: BTreeSet<String>,
    pub disabled_reason: Option<String>,
    pub deadline: Option<Timestamp>,
}

/// A capability of the merchant.
#[skip_serializing_none]
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Capability {
    /// The domain in the provider's word, such as `payments`.
    pub domain: Option<String>,
    pub status: ReadinessStatus,
}

/// The facts of a merchant, with the time of the observation in their stamp.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct MerchantFacts {
    pub mode: Option<Mode>,
    pub payments: Option<Readiness>,
    pub payouts: Option<Readiness>,
    pub requirements: Option<Requirements>,
    /// The types of the merchant's next actions. Their addresses expire, so no row keeps them.
    pub next_actions: Option<BTreeSet<String>>,
    /// Capabilities by name. Their stamps are independent of the stamp of the merchant.
    pub capabilities: BTreeMap<String, Stated<Capability>>,
}

/// The row of a merchant.
#[skip_serializing_none]
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Merchant {
    pub id: MerchantId,
    /// Counts writes, from 1.
    pub version: u64,
    pub provider: ProviderId,
    /// A row that any fact calls test is test.
    pub mode: Option<Mode>,
    /// The latest readiness; a known status takes precedence.
    #[serde(default, skip_serializing_if = "Latest::is_unknown")]
    pub payments: Latest<Readiness>,
    /// The latest readiness of payments with an unknown status.
    pub unclear_payments: Option<Stamp>,
    /// The latest readiness; a known status takes precedence.
    #[serde(default, skip_serializing_if = "Latest::is_unknown")]
    pub payouts: Latest<Readiness>,
    #[serde(default, skip_serializing_if = "Latest::is_unknown")]
    pub requirements: Latest<Requirements>,
    #[serde(default, skip_serializing_if = "Latest::is_unknown")]
    pub next_actions: Latest<BTreeSet<String>>,
    /// The latest fact of each capability; a known status takes precedence.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub capabilities: BTreeMap<String, Latest<Capability>>,
}

impl Merchant {
    pub(super) fn new(id: MerchantId, provider: ProviderId) -> Self {
        Self {
            id,
            version: 0,
            provider,
            mode: None,
            payments: Latest::default(),
            unclear_payments: None,
            payouts: Latest::default(),
            requirements: Latest::default(),
            next_actions: Latest::default(),
            capabilities: BTreeMap::new(),
        }
    }

    pub(super) fn learn(&mut self, facts: &Stated<MerchantFacts>, at: Timestamp) {
        let stamp = facts.stamp(at);
        let is_known = |readiness: &Readiness| readiness.status.is_known();
        self.mode = self.mode.max(facts.mode);
        let payments = facts.payments.as_ref();
        self.payments.learn_by(stamp, payments, is_known);
        let is_unclear = payments.is_some_and(|payments| !is_known(payments));
        self.unclear_payments = self.unclear_payments.max(is_unclear.then_some(stamp));
        self.payouts
            .learn_by(stamp, facts.payouts.as_ref(), is_known);
        self.requirements.learn(stamp, facts.requirements.as_ref());
        self.next_actions.learn(stamp, facts.next_actions.as_ref());
        for (name, stated) in &facts.capabilities {
            let known = self.capabilities.entry(name.clone()).or_default();
            known.learn_by(stated.stamp(at), Some(&stated.value), |capability| {
                capability.status.is_known()
            });
        }
    }

    /// True only if the latest statement about payments is that they are ready. A later statement that is not
    /// understood is no permission.
    #[must_use]
    pub fn can_take_payments(&self) -> bool {
        let is_ready = |readiness: &Readiness| readiness.status == ReadinessStatus::Ready;
        self.payments.get().is_some_and(is_ready) && !self.is_unclear()
    }

    /// True if the latest statement about payments has an unknown status.
    fn is_unclear(&self) -> bool {
        self.unclear_payments > self.payments.stamp()
    }

    /// The merchant's open tasks, the most urgent first: requirements past due, currently due, in verification.
    #[must_use]
    pub fn missing(&self) -> Vec<String> {
        let mut missing = Vec::new();
        let Some(requirements) = self.requirements.get() else {
            return missing;
        };
        let lists = [
            &requirements.past_due,
            &requirements.currently_due,
            &requirements.pending_verification,
        ];
        for text in lists.into_iter().flatten() {
            if !missing.contains(text) {
                missing.push(text.clone());
            }
        }
        missing
    }

    /// True if more than stamps differs from the known row.
    pub(super) fn is_news(&self, known: &Self) -> bool {
        self.values() != known.values()
    }

    /// The row without stamps.
    fn values(&self) -> impl PartialEq {
        let capabilities = self.capabilities.iter();
        let capabilities: Vec<_> = capabilities
            .map(|(name, latest)| (name.clone(), latest.get().cloned()))
            .collect();
        (
            (self.mode, self.is_unclear()),
            self.payments.get().cloned(),
            self.payouts.get().cloned(),
            self.requirements.get().cloned(),
            self.next_actions.get().cloned(),
            capabilities,
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{fulfillment::testing::id, resource::testing::noon};

    fn merchant(all: &[MerchantFacts]) -> Merchant {
        let mut merchant = Merchant::new(id("mer_1"), "acme".parse().unwrap());
        for (day, facts) in (1..).zip(all) {
            merchant.learn(&facts.clone().into(), noon(3, day));
        }
        merchant
    }

    fn payments(word: &str) -> MerchantFacts {
        MerchantFacts {
            payments: Some(Readiness {
                status: word.into(),
                reason: None,
            }),
            ..MerchantFacts::default()
        }
    }

    #[test]
    fn only_a_merchant_whose_payments_are_ready_takes_payments() {
        for (words, can) in [
            (vec!["ready"], true),
            (vec!["blocked"], false),
            (vec!["pending"], false),
            (vec!["not_available"], false),
            (vec!["not_requested"], false),
            (vec!["new"], false),
            (vec![], false),
            (vec!["blocked", "ready"], true),
            (vec!["ready", "blocked"], false),
            // The known word stays, but it is no permission after an unknown one.
            (vec!["ready", "new"], false),
            (vec!["new", "ready"], true),
        ] {
            let all: Vec<_> = words.iter().map(|word| payments(word)).collect();
            assert_eq!(merchant(&all).can_take_payments(), can, "{words:?}");
        }
    }

    #[test]
    fn what_is_missing_is_listed_once_with_the_most_urgent_first() {
        let texts = |all: &[&str]| all.iter().map(|text| (*text).to_owned()).collect();
        let facts = MerchantFacts {
            requirements: Some(Requirements {
                past_due: texts(&["tax id"]),
                currently_due: texts(&["bank account", "tax id"]),
                eventually_due: texts(&["website"]),
                pending_verification: texts(&["address"]),
                ..Requirements::default()
            }),
            ..MerchantFacts::default()
        };
        let merchant = merchant(&[facts]);
        assert_eq!(merchant.missing(), ["tax id", "bank account", "address"]);
    }
}
