//! A balance transaction: one movement of the merchant's balance.

use crate::{
    resource::latest::Latest,
    values::{
        facts::{Stamp, words},
        ids::{OrderId, PayoutId, TransactionId},
        mode::Mode,
        money::Currency,
        provider::ProviderId,
    },
};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_with::skip_serializing_none;
use std::collections::BTreeMap;

words!(
    /// The type of a movement. The order of the variants has no meaning.
    Movement {
        Payment = "payment",
        Refund = "refund",
        Dispute = "dispute",
        DisputeReversal = "dispute_reversal",
        Return = "return",
        Recovery = "recovery",
        Payout = "payout",
        PayoutFailure = "payout_failure",
        PayoutCancellation = "payout_cancellation",
        PayoutReversal = "payout_reversal",
        PayoutAdvance = "payout_advance",
        PayoutAdvanceFunding = "payout_advance_funding",
        ReserveHold = "reserve_hold",
        ReserveRelease = "reserve_release",
        PayoutHold = "payout_hold",
        PayoutHoldRelease = "payout_hold_release",
        Adjustment = "adjustment",
        /// The merchant pays the provider's own bill.
        MerchantBillingPayment = "merchant_billing_payment",
        MerchantBillingPaymentReversal = "merchant_billing_payment_reversal",
    }
);

words!(
    /// The status of a movement.
    TransactionStatus {
        Pending = "pending",
        Available = "available",
        Reserved = "reserved",
        Reversed = "reversed",
        /// It has no effect on the balance.
        Failed = "failed",
        /// Another transaction replaces it; it has no effect on the balance.
        Superseded = "superseded",
    }
);

/// The thing that caused a movement, in the provider's words.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Related {
    pub kind: String,
    pub id: String,
}

/// The facts of a transaction. Amounts are signed, in minor units of `currency`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TransactionFacts {
    pub mode: Option<Mode>,
    pub movement: Movement,
    pub status: TransactionStatus,
    pub currency: Currency,
    pub amount: i64,
    /// The fee as stated, with the provider's sign.
    pub fee: Option<i64>,
    /// The amount that the movement adds to the balance. If it is not stated, it follows from amount and fee.
    pub net: Option<i64>,
    pub occurred_at: Timestamp,
    pub available_at: Option<Timestamp>,
    pub order_id: Option<OrderId>,
    pub payout_id: Option<PayoutId>,
    pub related: Option<Related>,
}

/// The type and the amounts of a movement. Amounts are signed, in minor units of `currency`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Entry {
    pub movement: Movement,
    pub currency: Currency,
    pub amount: i64,
    /// Always `amount - net`: a charge is positive and a credit negative, whatever sign the provider uses.
    pub fee: i64,
    /// The amount that the movement adds to the balance.
    pub net: i64,
    /// True if the stated fee is not `amount - net`, in size or in sign.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub fee_disagrees: bool,
    pub occurred_at: Timestamp,
}

impl Entry {
    fn of(facts: &TransactionFacts) -> Self {
        let stated = facts.fee.unwrap_or(0);
        let net = facts
            .net
            .unwrap_or_else(|| facts.amount.saturating_sub(stated));
        let fee = facts.amount.saturating_sub(net);
        Self {
            movement: facts.movement.clone(),
            currency: facts.currency,
            amount: facts.amount,
            fee,
            net,
            fee_disagrees: facts.fee.is_some_and(|stated| stated != fee),
            occurred_at: facts.occurred_at,
        }
    }
}

/// The row of a transaction.
#[skip_serializing_none]
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Transaction {
    pub id: TransactionId,
    /// Counts writes, from 1.
    pub version: u64,
    pub provider: ProviderId,
    /// A row that any fact calls test is test.
    pub mode: Option<Mode>,
    /// The latest type and amounts; a known type takes precedence.
    #[serde(default, skip_serializing_if = "Latest::is_unknown")]
    pub entry: Latest<Entry>,
    /// The latest status; a known one takes precedence.
    #[serde(default, skip_serializing_if = "Latest::is_unknown")]
    pub status: Latest<TransactionStatus>,
    /// Each reported status with the time of its first report.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub history: BTreeMap<TransactionStatus, Timestamp>,
    #[serde(default, skip_serializing_if = "Latest::is_unknown")]
    pub available_at: Latest<Timestamp>,
    #[serde(default, skip_serializing_if = "Latest::is_unknown")]
    pub order_id: Latest<OrderId>,
    #[serde(default, skip_serializing_if = "Latest::is_unknown")]
    pub payout_id: Latest<PayoutId>,
    #[serde(default, skip_serializing_if = "Latest::is_unknown")]
    pub related: Latest<Related>,
}

impl Transaction {
    pub(super) fn new(id: TransactionId, provider: ProviderId) -> Self {
        Self {
            id,
            version: 0,
            provider,
            mode: None,
            entry: Latest::default(),
            status: Latest::default(),
            history: BTreeMap::new(),
            available_at: Latest::default(),
            order_id: Latest::default(),
            payout_id: Latest::default(),
            related: Latest::default(),
        }
    }

    pub(super) fn learn(&mut self, facts: &TransactionFacts, stamp: Stamp) {
        self.mode = self.mode.max(facts.mode);
        self.entry
            .learn_by(stamp, Some(&Entry::of(facts)), |entry| {
                entry.movement.is_known()
            });
        self.status
            .learn_by(stamp, Some(&facts.status), TransactionStatus::is_known);
        let first = self.history.entry(facts.status.clone()).or_insert(stamp.at);
        *first = stamp.at.min(*first);
        self.available_at.learn(stamp, facts.available_at.as_ref());
        self.order_id.learn(stamp, facts.order_id.as_ref());
        self.payout_id.learn(stamp, facts.payout_id.as_ref());
        self.related.learn(stamp, facts.related.as_ref());
    }

    /// The time of the movement.
    #[must_use]
    pub fn occurred_at(&self) -> Option<Timestamp> {
        self.entry.get().map(|entry| entry.occurred_at)
    }

    /// True if the movement has no effect on the balance.
    #[must_use]
    pub fn is_void(&self) -> bool {
        matches!(
            self.status.get(),
            Some(TransactionStatus::Failed | TransactionStatus::Superseded)
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::resource::testing::{noon, payment, transaction};

    #[test]
    fn the_fee_is_what_the_amount_loses_and_a_disagreement_is_seen() {
        for ((amount, fee, net), expected) in [
            ((10_000, Some(175), Some(9_825)), (175, 9_825, false)),
            // The sign of an older version of the provider's API.
            ((10_000, Some(-175), Some(9_825)), (175, 9_825, true)),
            ((10_000, Some(170), Some(9_825)), (175, 9_825, true)),
            ((-10_000, Some(-175), Some(-9_825)), (-175, -9_825, false)),
            ((10_000, None, Some(9_825)), (175, 9_825, false)),
            ((10_000, Some(175), None), (175, 9_825, false)),
            ((10_000, None, None), (0, 10_000, false)),
            ((10_000, Some(0), Some(10_000)), (0, 10_000, false)),
        ] {
            let entry = Entry::of(&TransactionFacts {
                fee,
                net,
                ..payment(1, amount)
            });
            let seen = (entry.fee, entry.net, entry.fee_disagrees);
            assert_eq!(seen, expected, "{amount} {fee:?} {net:?}");
        }
    }

    #[test]
    fn a_status_is_kept_with_its_first_report() {
        let mut row = transaction("btxn_1", payment(1, 100));
        for (day, word) in [(9, "available"), (5, "pending"), (7, "failed"), (10, "new")] {
            let facts = TransactionFacts {
                status: word.into(),
                ..payment(1, 100)
            };
            let stamp = Stamp::at(noon(3, day));
            row.learn(&facts, stamp);
        }
        let history: Vec<_> = row
            .history
            .iter()
            .map(|(word, at)| (word.as_str(), *at))
            .collect();
        let expected = [("new", 10), ("pending", 5), ("available", 1), ("failed", 7)];
        assert_eq!(history, expected.map(|(word, day)| (word, noon(3, day))));
        assert_eq!(row.status.get(), Some(&TransactionStatus::Available));
    }

    #[test]
    fn a_failed_or_superseded_movement_has_no_effect() {
        for (word, is_void) in [
            ("pending", false),
            ("available", false),
            ("reserved", false),
            ("reversed", false),
            ("failed", true),
            ("superseded", true),
            ("new", false),
        ] {
            let facts = TransactionFacts {
                status: word.into(),
                ..payment(1, 100)
            };
            assert_eq!(transaction("btxn_1", facts).is_void(), is_void, "{word}");
        }
    }
}
