//! A dispute: a customer's bank asks the money of a payment back (<https://docs.withflex.com/disputes-api-guide>).

use crate::{
    facts::{Latest, merge, words},
    ids::{DisputeId, PaymentIntentId},
    mode::Mode,
    money::Currency,
};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

words!(
    /// How far a dispute is.
    Status {
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
    Funds {
        /// Taken from the merchant.
        Withdrawn = "withdrawn",
        /// Given back.
        Reinstated = "reinstated",
    }
);

/// Where a dispute stands for the merchant.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stage {
    /// Something may have to be done.
    Open,
    /// Closed for the merchant, or never more than an inquiry.
    Won,
    /// Closed against the merchant.
    Lost,
}

/// What is told of a dispute. Its order settles ties within a second: the status first, as declared above.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Told {
    /// How far it is.
    pub status: Status,
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

/// News of a dispute.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct News {
    /// Of which.
    pub dispute_id: DisputeId,
    /// Live or test money, where told.
    pub mode: Option<Mode>,
    /// What is told.
    pub told: Told,
    /// What became of the money, if the news is about that.
    pub funds: Option<Funds>,
}

/// A dispute as merged, on its order's row.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Dispute {
    /// What was told last.
    pub told: Latest<Told>,
    /// What became of the money last.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub funds: Option<Latest<Funds>>,
}

impl Dispute {
    /// Merges news into what is known, if anything is.
    #[must_use]
    pub fn merged(known: Option<Self>, told: Latest<Told>, funds: Option<Latest<Funds>>) -> Self {
        let Some(mut known) = known else {
            return Self { told, funds };
        };
        // A status that we do not know neither opens nor closes it.
        if (told.value.status.is_known(), &told) > (known.told.value.status.is_known(), &known.told)
        {
            known.told = told;
        }
        merge(&mut known.funds, funds);
        known
    }

    /// Where it stands.
    #[must_use]
    pub fn stage(&self) -> Stage {
        self.told.value.status.stage()
    }
}

impl Status {
    /// Where a dispute of this status stands. A word that we do not know leaves it open: a person looks.
    #[must_use]
    pub fn stage(&self) -> Stage {
        match self {
            Self::Won | Self::WarningClosed => Stage::Won,
            Self::Lost => Stage::Lost,
            Self::Other(_)
            | Self::WarningNeedsResponse
            | Self::WarningUnderReview
            | Self::NeedsResponse
            | Self::UnderReview => Stage::Open,
        }
    }
}
