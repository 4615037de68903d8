//! A balance transaction: one movement in the provider's ledger.

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
    /// What the movement adds to the balance. If it is not stated, it follows from amount and fee.
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
    /// What the movement adds to the balance.
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
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Transaction {
    pub id: TransactionId,
    /// Counts writes, from 1.
    pub version: u64,
    pub provider: ProviderId,
    /// A row that any fact calls test is test.
    #[serde(default, skip_serializing_if = "Option::is_none")]
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
