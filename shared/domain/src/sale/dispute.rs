//! A dispute: a customer's bank reclaims the money of a payment
//! (<https://docs.withflex.com/disputes-api-guide>).

use crate::values::{
    facts::{Fact, merge, words},
    ids::{DisputeId, PaymentIntentId},
    mode::Mode,
    money::Currency,
};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

words!(
    /// The status of a dispute.
    DisputeStatus {
        /// An inquiry: no money has moved.
        WarningNeedsResponse = "warning_needs_response",
        /// An inquiry, answered.
        WarningUnderReview = "warning_under_review",
        /// The bank expects evidence by the due date.
        NeedsResponse = "needs_response",
        /// The bank reviews the evidence.
        UnderReview = "under_review",
        /// An inquiry without a consequence.
        WarningClosed = "warning_closed",
        /// The merchant loses the money.
        Lost = "lost",
        /// The merchant keeps the money or gets it back.
        Won = "won",
    }
);

words!(
    /// The last movement of the disputed money.
    DisputeFunds {
        /// Taken from the merchant.
        Withdrawn = "withdrawn",
        /// Returned to the merchant.
        Reinstated = "reinstated",
    }
);

/// The stage of a dispute for the merchant.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DisputeStage {
    /// The merchant may have to act.
    Open,
    /// Closed for the merchant, or never more than an inquiry.
    Won,
    /// Closed against the merchant.
    Lost,
}

/// The facts of a dispute. The field order settles ties within a second: the status first, as
/// declared above.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct DisputeFacts {
    pub status: DisputeStatus,
    /// In minor units of `currency`.
    pub amount: i64,
    /// Disputes are the only resource for which Flex names a currency.
    pub currency: Currency,
    pub payment_intent_id: PaymentIntentId,
    /// The reason in the provider's word.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// The deadline for evidence.
    #[serde(
        default,
        skip_serializing_if = "Option::is_none",
        with = "jiff::fmt::serde::timestamp::second::optional"
    )]
    pub due_by: Option<Timestamp>,
}

/// A change of a dispute.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DisputeChange {
    pub dispute_id: DisputeId,
    /// Live or test money, if the event says so.
    pub mode: Option<Mode>,
    pub facts: DisputeFacts,
    /// The movement of the money, if the event reports one.
    pub funds: Option<DisputeFunds>,
}

/// A dispute as merged, on its order's row.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Dispute {
    /// The latest facts; facts with a known status take precedence.
    pub facts: Fact<DisputeFacts>,
    /// The latest movement of the money.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub funds: Option<Fact<DisputeFunds>>,
}

impl Dispute {
    /// Merges new facts into the known dispute, if there is one.
    #[must_use]
    pub fn merged(
        known: Option<Self>,
        facts: Fact<DisputeFacts>,
        funds: Option<Fact<DisputeFunds>>,
    ) -> Self {
        let Some(mut known) = known else {
            return Self { facts, funds };
        };
        // An unknown status neither opens nor closes the dispute.
        if (facts.value.status.is_known(), &facts)
            > (known.facts.value.status.is_known(), &known.facts)
        {
            known.facts = facts;
        }
        merge(&mut known.funds, funds);
        known
    }

    /// The current stage.
    #[must_use]
    pub fn stage(&self) -> DisputeStage {
        self.facts.value.status.stage()
    }
}

impl DisputeStatus {
    /// The stage for this status. An unknown word leaves the dispute open, so that a person looks
    /// at it.
    #[must_use]
    pub fn stage(&self) -> DisputeStage {
        match self {
            Self::Won | Self::WarningClosed => DisputeStage::Won,
            Self::Lost => DisputeStage::Lost,
            Self::Other(_)
            | Self::WarningNeedsResponse
            | Self::WarningUnderReview
            | Self::NeedsResponse
            | Self::UnderReview => DisputeStage::Open,
        }
    }
}
