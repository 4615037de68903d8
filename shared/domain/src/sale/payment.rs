//! A payment: one payment intent of a sale. A split cart has two.
//!
//! A payment never creates an order: only a completed sale does. Facts of a payment without a
//! known order are kept on a link row. Refunds and disputes find their order by the same row.

use crate::values::{
    facts::{Fact, Stated, latest, merge_by, whole_second},
    ids::{OrderId, PaymentIntentId},
    mode::Mode,
    money::Currency,
};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_with::skip_serializing_none;

/// The status of a payment. The order of the variants has no meaning.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum PaymentStatus {
    /// The provider's word is unknown: it neither fails nor grants.
    Unknown,
    /// Begun; the shopper has to act.
    Open,
    /// There is no means of payment yet, or the last one was declined.
    Failed,
    /// In progress: delayed methods stay here for days.
    Processing,
    /// Authorized; the money has not moved.
    Authorized,
    /// Canceled, or the authorization expired.
    Canceled,
    /// The money is received.
    Received,
}

/// The facts of a payment. Amounts are minor units of `currency`.
#[skip_serializing_none]
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct PaymentFacts {
    pub status: PaymentStatus,
    /// The status in the provider's word.
    pub word: String,
    pub currency: Currency,
    /// The received amount.
    pub received: Option<i64>,
    /// The amount due.
    pub amount: Option<i64>,
    /// The authorized amount that may still be captured.
    pub capturable: Option<i64>,
    /// The beginning of the payment by the provider's clock: it dates the sale.
    #[serde(default, with = "jiff::fmt::serde::timestamp::second::optional")]
    pub made_at: Option<Timestamp>,
    /// The card of a split cart, in the provider's word (`primary`).
    pub card: Option<String>,
    /// The provider's code of the last failure.
    pub failure: Option<String>,
    /// True while a bank or the provider holds the payment: see [`crate::sale::hold::Hold::Payment`].
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub is_held: bool,
}

impl PaymentFacts {
    /// Facts that state only the status and the currency.
    #[must_use]
    pub fn bare(status: PaymentStatus, word: &str, currency: Currency) -> Self {
        Self {
            status,
            word: word.to_owned(),
            currency,
            received: None,
            amount: None,
            capturable: None,
            made_at: None,
            card: None,
            failure: None,
            is_held: false,
        }
    }
}

/// Merges facts of a payment. Success is permanent, then cancellation, in any order of arrival.
/// Otherwise newer facts replace older ones, but an unknown status never replaces a known one.
pub fn merge(known: &mut Option<Fact<PaymentFacts>>, change: Option<Fact<PaymentFacts>>) {
    merge_by(known, change, |facts| match facts.status {
        PaymentStatus::Received => 3,
        PaymentStatus::Canceled => 2,
        PaymentStatus::Unknown => 0,
        PaymentStatus::Open
        | PaymentStatus::Failed
        | PaymentStatus::Processing
        | PaymentStatus::Authorized => 1,
    });
}

/// A change of a payment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PaymentChange {
    pub payment_intent_id: PaymentIntentId,
    /// The order, if the payment names it.
    pub order_id: Option<OrderId>,
    /// Live or test money, if the event says so.
    pub mode: Option<Mode>,
    /// `None` for the change of a charge, which only means that the payment should be read again.
    pub facts: Option<Stated<PaymentFacts>>,
}

/// A row of the Links table: it leads from a payment to its order, and keeps the payment's facts.
#[skip_serializing_none]
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Link {
    pub payment_intent_id: PaymentIntentId,
    /// Counts changes, from 1.
    pub version: u64,
    /// The order, once known.
    pub order_id: Option<OrderId>,
    /// True for a payment of another shop: whatever happens to it needs nothing here.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub other_shop: bool,
    /// The latest facts.
    pub facts: Option<Fact<PaymentFacts>>,
    /// The time of the last event about this payment, by our clock. A read of the sale before
    /// this time may be out of date.
    #[serde(default, with = "jiff::fmt::serde::timestamp::second::optional")]
    pub heard_at: Option<Timestamp>,
}

impl Link {
    /// A link without facts.
    #[must_use]
    pub fn new(payment_intent_id: PaymentIntentId) -> Self {
        Self {
            payment_intent_id,
            version: 0,
            order_id: None,
            other_shop: false,
            facts: None,
            heard_at: None,
        }
    }

    /// Merges facts.
    #[must_use]
    pub fn with(mut self, facts: Option<Fact<PaymentFacts>>, at: Timestamp) -> Self {
        merge(&mut self.facts, facts);
        self.heard_at = latest(self.heard_at, Some(whole_second(at)));
        self
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fulfillment::testing::{SALE, at, id, paid};
    use proptest::prelude::*;

    fn merged(all: &[(i64, &str)]) -> Option<Fact<PaymentFacts>> {
        all.iter().fold(None, |mut known, (second, status)| {
            merge(&mut known, Some(paid(status, 100).fact(at(*second))));
            known
        })
    }

    fn status(all: &[(i64, &str)]) -> String {
        merged(all).unwrap().value.word
    }

    #[test]
    fn that_it_succeeded_or_else_was_canceled_is_for_good() {
        for late in [
            "requires_payment_method",
            "processing",
            "a word of next year",
            "canceled",
        ] {
            assert_eq!(
                status(&[(SALE, "succeeded"), (SALE + 1, late)]),
                "succeeded"
            );
            assert_eq!(
                status(&[(SALE + 1, late), (SALE, "succeeded")]),
                "succeeded"
            );
        }
        assert_eq!(
            status(&[(SALE, "canceled"), (SALE + 1, "processing")]),
            "canceled"
        );
        assert_eq!(
            status(&[(SALE, "canceled"), (SALE + 1, "succeeded")]),
            "succeeded"
        );
    }

    #[test]
    fn else_newer_news_replace_older_ones() {
        let facts = [
            (SALE, "requires_payment_method"),
            (SALE + 1, "processing"),
            (SALE, "requires_capture"),
        ];
        assert_eq!(status(&facts), "processing");
        assert_eq!(
            status(&[(SALE, "requires_capture"), (SALE, "processing")]),
            "requires_capture"
        );
    }

    #[test]
    fn a_status_that_we_do_not_know_replaces_none_that_we_do() {
        assert_eq!(
            status(&[
                (SALE, "requires_capture"),
                (SALE + 1, "a word of next year")
            ]),
            "requires_capture"
        );
        assert_eq!(
            status(&[
                (SALE + 1, "a word of next year"),
                (SALE, "requires_capture")
            ]),
            "requires_capture"
        );
    }

    #[test]
    fn a_link_keeps_when_it_was_heard_of_last() {
        let link = Link::new(id("fpi_1"))
            .with(None, at(SALE + 1))
            .with(None, at(SALE));
        assert_eq!(link.heard_at, Some(at(SALE + 1)));
        assert_eq!((link.facts, link.order_id), (None, None));
    }

    proptest! {
        #[test]
        fn the_order_and_the_number_of_arrivals_do_not_matter(
            facts in prop::collection::vec(
                (0_i64..3, prop::sample::select(vec![
                    "requires_payment_method", "processing", "requires_capture", "canceled", "succeeded", "?", "!",
                ])),
                1..7,
            ),
            seed in prop::collection::vec(any::<u32>(), 14),
        ) {
            let mut twice: Vec<_> = facts.iter().chain(&facts).copied().zip(seed).collect();
            twice.sort_by_key(|(_, place)| *place);
            let twice: Vec<_> = twice.into_iter().map(|(facts, _)| facts).collect();
            prop_assert_eq!(merged(&twice), merged(&facts));
        }
    }
}
