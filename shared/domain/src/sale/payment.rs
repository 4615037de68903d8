//! A payment: one payment intent of a checkout. A split cart has two.
//!
//! A payment never makes an order: only a completed checkout does. What is told of a payment before its order is
//! known is kept on a link row, which is how refunds and disputes find their order as well.

use crate::values::{
    facts::{Fact, latest, words},
    ids::{OrderId, PaymentIntentId},
    mode::Mode,
};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

words!(
    /// How far a payment is (<https://docs.withflex.com/api-reference/payment-intents/get-payment-intent>).
    PaymentStatus {
        /// No card yet, or the last one was declined.
        RequiresPaymentMethod = "requires_payment_method",
        /// Not yet confirmed.
        RequiresConfirmation = "requires_confirmation",
        /// The shopper has to do something.
        RequiresAction = "requires_action",
        /// Under way: delayed methods stay here for days.
        Processing = "processing",
        /// Authorized; the money has not moved.
        RequiresCapture = "requires_capture",
        /// Given up, or its authorization has run out.
        Canceled = "canceled",
        /// The money is received.
        Succeeded = "succeeded",
    }
);

/// What is told of a payment. Amounts are minor units of the order's currency.
///
/// Its order settles ties within a second: the status first, as declared above.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct PaymentFacts {
    /// How far it is.
    pub status: PaymentStatus,
    /// What was received.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub received: Option<i64>,
    /// What it is for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub amount: Option<i64>,
    /// Which card of a split cart, in the provider's word (`primary`).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub card: Option<String>,
}

/// Merges what was told of a payment. That it succeeded, or else that it was canceled, is for good, whenever it is
/// told; anything else is replaced by newer news, but not by a status that we do not know.
pub fn merge(known: &mut Option<Fact<PaymentFacts>>, change: Option<Fact<PaymentFacts>>) {
    fn weight(facts: Option<&Fact<PaymentFacts>>) -> (u8, Option<&Fact<PaymentFacts>>) {
        let finality = match facts.map(|facts| &facts.value.status) {
            Some(PaymentStatus::Succeeded) => 3,
            Some(PaymentStatus::Canceled) => 2,
            Some(status) if status.is_known() => 1,
            _ => 0,
        };
        (finality, facts)
    }
    if weight(change.as_ref()) > weight(known.as_ref()) {
        *known = change;
    }
}

/// PaymentChange of a payment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PaymentChange {
    /// Of which.
    pub payment_intent_id: PaymentIntentId,
    /// Live or test money, where told.
    pub mode: Option<Mode>,
    /// What is told. PaymentChange of a charge tells nothing of the payment but that it is worth another look.
    pub facts: Option<PaymentFacts>,
}

/// A row of the Links table: what leads from a payment to its order, and what was told of it so far.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Link {
    /// The payment.
    pub payment_intent_id: PaymentIntentId,
    /// Counts the changes, from 1.
    pub version: u64,
    /// Its order, once that is known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub order_id: Option<OrderId>,
    /// What was told of it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub facts: Option<Fact<PaymentFacts>>,
    /// When we heard of it last, by our clock, whatever the news: whoever has read the checkout before that may have
    /// read too early.
    #[serde(
        default,
        skip_serializing_if = "Option::is_none",
        with = "jiff::fmt::serde::timestamp::second::optional"
    )]
    pub heard_at: Option<Timestamp>,
}

impl Link {
    /// A link of which nothing is stored.
    #[must_use]
    pub fn new(payment_intent_id: PaymentIntentId) -> Self {
        Self {
            payment_intent_id,
            version: 0,
            order_id: None,
            facts: None,
            heard_at: None,
        }
    }

    /// Merges news into it.
    #[must_use]
    pub fn with(mut self, facts: Option<Fact<PaymentFacts>>, at: Timestamp) -> Self {
        merge(&mut self.facts, facts);
        self.heard_at = latest(self.heard_at, Some(crate::values::facts::whole_second(at)));
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
            merge(&mut known, Some(Fact::new(at(*second), paid(status, 100))));
            known
        })
    }

    fn status(all: &[(i64, &str)]) -> String {
        merged(all).unwrap().value.status.to_string()
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
