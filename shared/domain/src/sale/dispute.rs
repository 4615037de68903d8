//! A dispute: a customer's bank reclaims the money of a payment
//! (<https://docs.withflex.com/disputes-api-guide>).

use crate::values::{
    facts::{Fact, Stated, merge},
    ids::{DisputeId, PaymentIntentId},
    mode::Mode,
    money::Currency,
};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

/// The status of a dispute. The order of the variants has no meaning.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum DisputeStatus {
    /// The provider's word is unknown: it neither opens nor closes the dispute.
    Unknown,
    /// An open inquiry: no money has moved.
    Inquiry,
    /// An inquiry that was closed without a consequence.
    InquiryClosed,
    /// The bank expects or reviews evidence.
    Open,
    /// The merchant keeps the money or gets it back.
    Won,
    /// The merchant loses the money.
    Lost,
}

/// The last movement of the disputed money. The order of the variants has no meaning.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum DisputeFunds {
    /// Taken from the merchant.
    Withdrawn,
    /// Returned to the merchant.
    Reinstated,
}

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

/// The facts of a dispute.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct DisputeFacts {
    pub status: DisputeStatus,
    /// The status in the provider's word.
    pub word: String,
    /// In minor units of `currency`.
    pub amount: i64,
    pub currency: Currency,
    pub payment_intent_id: PaymentIntentId,
    /// The reason in the provider's word.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// The deadline for evidence.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub due_by: Option<Timestamp>,
}

/// A change of a dispute.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DisputeChange {
    pub dispute_id: DisputeId,
    /// Live or test money, if the event says so.
    pub mode: Option<Mode>,
    pub facts: Stated<DisputeFacts>,
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
        let is_known = |facts: &DisputeFacts| facts.status != DisputeStatus::Unknown;
        known.facts.merge(facts, is_known);
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
    pub fn stage(self) -> DisputeStage {
        match self {
            Self::Won | Self::InquiryClosed => DisputeStage::Won,
            Self::Lost => DisputeStage::Lost,
            Self::Unknown | Self::Inquiry | Self::Open => DisputeStage::Open,
        }
    }
}
