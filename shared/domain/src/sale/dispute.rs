//! A dispute: a customer's bank asks the money of a payment back (<https://docs.withflex.com/disputes-api-guide>).

use crate::values::{
    facts::{Fact, merge, words},
    ids::{DisputeId, PaymentIntentId},
    mode::Mode,
    money::Currency,
};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

words!(
    /// How far a dispute is.
    DisputeStatus {
        /// An inquiry: no money has moved.
        WarningNeedsResponse = "warning_needs_response",
        /// An inquiry, answered.
        WarningUnderReview = "warning_under_review",
        /// Evidence is asked for, until its due date.
        NeedsResponse = "needs_response",
        /// The bank looks at the evidence.
        UnderReview = "under_review",
        /// An inquiry that came to nothing.
        WarningClosed = "warning_closed",
        /// The money is gone.
        Lost = "lost",
        /// The money stays, or is back.
        Won = "won",
    }
);

words!(
    /// What became of the disputed money.
    DisputeFunds {
        /// Taken from the merchant.
        Withdrawn = "withdrawn",
        /// Given back.
        Reinstated = "reinstated",
    }
);

/// Where a dispute stands for the merchant.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DisputeStage {
    /// Something may have to be done.
    Open,
    /// Closed for the merchant, or never more than an inquiry.
    Won,
    /// Closed against the merchant.
    Lost,
}

/// What is told of a dispute. Its order settles ties within a second: the status first, as declared above.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct DisputeFacts {
    /// How far it is.
    pub status: DisputeStatus,
    /// How much, in minor units of `currency`.
    pub amount: i64,
    /// The only resource for which Flex tells one.
    pub currency: Currency,
    /// Which payment is disputed.
    pub payment_intent_id: PaymentIntentId,
    /// Why, in the provider's word.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// Until when evidence is taken.
    #[serde(
        default,
        skip_serializing_if = "Option::is_none",
        with = "jiff::fmt::serde::timestamp::second::optional"
    )]
    pub due_by: Option<Timestamp>,
}

/// DisputeChange of a dispute.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DisputeChange {
    /// Of which.
    pub dispute_id: DisputeId,
    /// Live or test money, where told.
    pub mode: Option<Mode>,
    /// What is told.
    pub facts: DisputeFacts,
    /// What became of the money, if the news is about that.
    pub funds: Option<DisputeFunds>,
}

/// A dispute as merged, on its order's row.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Dispute {
    /// What was told last.
    pub facts: Fact<DisputeFacts>,
    /// What became of the money last.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub funds: Option<Fact<DisputeFunds>>,
}

impl Dispute {
    /// Merges news into what is known, if anything is.
    #[must_use]
    pub fn merged(
        known: Option<Self>,
        facts: Fact<DisputeFacts>,
        funds: Option<Fact<DisputeFunds>>,
    ) -> Self {
        let Some(mut known) = known else {
            return Self { facts, funds };
        };
        // A status that we do not know neither opens nor closes it.
        if (facts.value.status.is_known(), &facts)
            > (known.facts.value.status.is_known(), &known.facts)
        {
            known.facts = facts;
        }
        merge(&mut known.funds, funds);
        known
    }

    /// Where it stands.
    #[must_use]
    pub fn stage(&self) -> DisputeStage {
        self.facts.value.status.stage()
    }
}

impl DisputeStatus {
    /// Where a dispute of this status stands. A word that we do not know leaves it open: a person looks.
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
