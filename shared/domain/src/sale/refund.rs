//! A refund: money that goes back. Each refund takes effect once, even if several events report it.
//!
//! Amounts come from the map of refunds by id, never from sums of events.

use crate::values::{
    facts::{Fact, Stated},
    ids::{InvoiceId, PaymentIntentId, ReceiptId, RefundId, Sku, SubscriptionId},
    mode::Mode,
    money::Currency,
};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_with::skip_serializing_none;

/// The status of a refund. The order of the variants has no meaning.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RefundStatus {
    /// The provider's word is unknown: it neither completes nor reverts the refund.
    Unknown,
    /// Requested, or waiting for someone to act.
    Pending,
    /// The money is on its way back.
    Succeeded,
    /// It failed, perhaps after a success.
    Failed,
    Canceled,
}

/// The facts of a refund.
#[skip_serializing_none]
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct RefundFacts {
    pub status: RefundStatus,
    /// The status in the provider's word.
    pub word: String,
    /// In minor units of `currency`.
    pub amount: i64,
    pub currency: Currency,
    pub payment_intent_id: PaymentIntentId,
    /// The returned goods, if the merchant names them in the refund's metadata.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub goods: Vec<Goods>,
    /// True if the metadata names goods in a form that is not understood: none go back, and a person decides.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub goods_unclear: bool,
    /// The refunded invoice of a subscription, if known.
    pub invoice_id: Option<InvoiceId>,
    /// The creation of the refund, if known. It is the date on the receipt, so the order of events
    /// does not matter.
    pub made_at: Option<Timestamp>,
}

/// Units of a SKU.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Goods {
    pub sku: Sku,
    pub quantity: u32,
}

/// A change of a refund.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RefundChange {
    pub refund_id: RefundId,
    /// Live or test money, if the event says so.
    pub mode: Option<Mode>,
    pub facts: Stated<RefundFacts>,
    /// The subscription of the refunded invoice, if known.
    pub subscription_id: Option<SubscriptionId>,
}

/// A refund as merged, on its order's row.
#[skip_serializing_none]
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Refund {
    /// The latest facts; facts with a known status take precedence.
    pub facts: Fact<RefundFacts>,
    /// True if the refund ever succeeded: its receipt is then sent once, even if the refund fails
    /// later.
    pub succeeded: bool,
    /// True if the refund ever failed or was canceled. With a success, its correction is sent once.
    #[serde(default)]
    pub failed: bool,
    /// The receipt, once committed.
    pub receipt_id: Option<ReceiptId>,
    /// The correction of the receipt, once committed.
    pub correction_id: Option<ReceiptId>,
}

impl Refund {
    /// A refund with its first facts.
    #[must_use]
    pub fn new(facts: Fact<RefundFacts>) -> Self {
        Self {
            succeeded: facts.value.status == RefundStatus::Succeeded,
            failed: is_failure(&facts.value),
            facts,
            receipt_id: None,
            correction_id: None,
        }
    }

    /// Merges facts.
    pub fn merge(&mut self, facts: Fact<RefundFacts>) {
        self.succeeded |= facts.value.status == RefundStatus::Succeeded;
        self.failed |= is_failure(&facts.value);
        let is_known = |facts: &RefundFacts| facts.status != RefundStatus::Unknown;
        self.facts.merge(facts, is_known);
    }

    /// True if the money has gone back, by the latest facts.
    #[must_use]
    pub fn stands(&self) -> bool {
        self.facts.value.status == RefundStatus::Succeeded
    }

    /// True if the refund failed after a success. A person must handle it, because the customer was
    /// notified of the refund.
    #[must_use]
    pub fn failed_after_all(&self) -> bool {
        self.succeeded && is_failure(&self.facts.value)
    }
}

fn is_failure(facts: &RefundFacts) -> bool {
    matches!(facts.status, RefundStatus::Failed | RefundStatus::Canceled)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fulfillment::testing::{SALE, at, refund_facts};

    fn refund(facts: &[(i64, &str)]) -> Refund {
        let latest =
            |(second, status): &(i64, &str)| refund_facts("fpi_1", status, 100).fact(at(*second));
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
}
