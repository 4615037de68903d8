//! A refund: money that goes back. One effect for each refund, whatever overlapping events tell of it.
//!
//! Amounts come from the map of refunds by id, never from sums of events.

use crate::values::{
    facts::{Fact, words},
    ids::{InvoiceId, PaymentIntentId, ReceiptId, RefundId, Sku, SubscriptionId},
    mode::Mode,
};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

words!(
    /// How far a refund is (<https://docs.withflex.com/api-reference/refunds/list-refunds>).
    RefundStatus {
        /// Asked for.
        Pending = "pending",
        /// Somebody has to do something first.
        RequiresAction = "requires_action",
        /// The money is on its way back.
        Succeeded = "succeeded",
        /// It came to nothing, perhaps after it had succeeded.
        Failed = "failed",
        /// It was called off.
        Canceled = "canceled",
    }
);

/// What is told of a refund. Its order settles ties within a second: the status first, as declared above.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct RefundFacts {
    /// How far it is.
    pub status: RefundStatus,
    /// How much, in minor units.
    pub amount: i64,
    /// Which payment it is taken from.
    pub payment_intent_id: PaymentIntentId,
    /// Which goods came back, where the merchant has said so in the refund's metadata.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub goods: Vec<Goods>,
    /// The invoice of a subscription that is paid back, where told.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub invoice_id: Option<InvoiceId>,
    /// When it was made, where told: the date on its receipt, whichever event comes first.
    #[serde(
        default,
        skip_serializing_if = "Option::is_none",
        with = "jiff::fmt::serde::timestamp::second::optional"
    )]
    pub made_at: Option<Timestamp>,
}

/// So many pieces of a SKU.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Goods {
    /// Of which SKU.
    pub sku: Sku,
    /// How many.
    pub quantity: u32,
}

/// RefundChange of a refund.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RefundChange {
    /// Of which.
    pub refund_id: RefundId,
    /// Live or test money, where told.
    pub mode: Option<Mode>,
    /// What is told.
    pub facts: RefundFacts,
    /// The subscription whose invoice is paid back, where told.
    pub subscription_id: Option<SubscriptionId>,
}

/// A refund as merged, on its order's row.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Refund {
    /// What was told last.
    pub facts: Fact<RefundFacts>,
    /// Whether it has ever succeeded: then its receipt is owed, once, even if it fails later.
    pub succeeded: bool,
    /// Its receipt, once committed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub receipt_id: Option<ReceiptId>,
}

impl Refund {
    /// A refund of which this is the first news.
    #[must_use]
    pub fn new(facts: Fact<RefundFacts>) -> Self {
        Self {
            succeeded: facts.value.status == RefundStatus::Succeeded,
            facts,
            receipt_id: None,
        }
    }

    /// Merges news into it.
    pub fn merge(&mut self, facts: Fact<RefundFacts>) {
        self.succeeded |= facts.value.status == RefundStatus::Succeeded;
        // A status that we do not know neither makes it succeed nor undoes it.
        if (facts.value.status.is_known(), &facts)
            > (self.facts.value.status.is_known(), &self.facts)
        {
            self.facts = facts;
        }
    }

    /// Whether the money has gone back, as far as is known now.
    #[must_use]
    pub fn stands(&self) -> bool {
        self.facts.value.status == RefundStatus::Succeeded
    }

    /// Whether it had succeeded and then did not: a person must see to it, since the customer was told.
    #[must_use]
    pub fn failed_after_all(&self) -> bool {
        self.succeeded
            && matches!(
                self.facts.value.status,
                RefundStatus::Failed | RefundStatus::Canceled
            )
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fulfillment::testing::{SALE, at, refund_told};

    fn refund(facts: &[(i64, &str)]) -> Refund {
        let latest = |(second, status): &(i64, &str)| {
            Fact::new(at(*second), refund_told("fpi_1", status, 100))
        };
        let mut refund = Refund::new(latest(&facts[0]));
        facts[1..]
            .iter()
            .for_each(|facts| refund.merge(latest(facts)));
        refund
    }

    #[test]
    fn that_it_went_through_is_remembered_whenever_it_is_told() {
        for facts in [
            [
                (SALE, "pending"),
                (SALE + 1, "succeeded"),
                (SALE + 2, "failed"),
            ],
            [
                (SALE + 2, "failed"),
                (SALE + 1, "succeeded"),
                (SALE, "pending"),
            ],
            [
                (SALE + 1, "succeeded"),
                (SALE + 2, "failed"),
                (SALE, "pending"),
            ],
        ] {
            let refund = refund(&facts);
            assert!(refund.succeeded && !refund.stands() && refund.failed_after_all());
        }
        let refund = refund(&[(SALE, "pending"), (SALE + 1, "canceled")]);
        assert!(!refund.succeeded && !refund.stands() && !refund.failed_after_all());
    }

    #[test]
    fn within_one_second_the_state_that_comes_later_in_a_life_is_newer() {
        for pair in [
            "pending",
            "requires_action",
            "succeeded",
            "failed",
            "canceled",
        ]
        .windows(2)
        {
            for facts in [[pair[0], pair[1]], [pair[1], pair[0]]] {
                assert_eq!(
                    refund(&facts.map(|status| (SALE, status)))
                        .facts
                        .value
                        .status
                        .as_str(),
                    pair[1]
                );
            }
        }
    }
}
