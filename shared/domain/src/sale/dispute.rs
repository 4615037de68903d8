//! A dispute: a customer's bank reclaims the money of a payment
//! (<https://docs.withflex.com/disputes-api-guide>).

use crate::values::{
    facts::{Fact, Stamp, Stated, merge},
    ids::{DisputeId, PaymentIntentId},
    mode::Mode,
    money::Currency,
};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_with::skip_serializing_none;

/// The status of a dispute. The order of the variants has no meaning.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum DisputeStatus {
    /// The provider's word is unknown: it neither opens nor closes the dispute.
    Unknown,
    /// An open inquiry: no money has moved.
    Inquiry,
    /// An inquiry that was closed without a consequence, or a dispute that was prevented.
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
    /// Closed without a statement that the merchant lost, or never more than an inquiry.
    Won,
    /// Closed against the merchant.
    Lost,
}

/// The facts of a dispute.
#[skip_serializing_none]
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
    pub reason: Option<String>,
    /// The deadline for evidence.
    pub due_by: Option<Timestamp>,
}

/// A change of a dispute.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DisputeChange {
    pub dispute_id: DisputeId,
    /// Live or test money, if the event says so.
    pub mode: Option<Mode>,
    pub facts: Stated<DisputeFacts>,
    /// True if the event reports the end, whatever its status.
    pub closed: bool,
    /// The movement of the money, if the event reports one.
    pub funds: Option<DisputeFunds>,
}

/// A dispute as merged, on its order's row.
#[skip_serializing_none]
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Dispute {
    /// The latest facts; facts with a known status take precedence.
    pub facts: Fact<DisputeFacts>,
    /// The latest report of the end, whatever its status.
    pub closed: Option<Stamp>,
    /// The latest movement of the money.
    pub funds: Option<Fact<DisputeFunds>>,
}

impl Dispute {
    /// Merges new facts into the known dispute, if there is one. `closed` is true if they report the end.
    #[must_use]
    pub fn merged(
        known: Option<Self>,
        facts: Fact<DisputeFacts>,
        closed: bool,
        funds: Option<Fact<DisputeFunds>>,
    ) -> Self {
        // Nothing of the same moment comes after the end.
        let closed = closed.then_some(Stamp {
            rank: u8::MAX,
            ..facts.stamp
        });
        let Some(mut known) = known else {
            return Self {
                facts,
                closed,
                funds,
            };
        };
        let is_known = |facts: &DisputeFacts| facts.status != DisputeStatus::Unknown;
        known.facts.merge(facts, is_known);
        known.closed = known.closed.max(closed);
        merge(&mut known.funds, funds);
        known
    }

    /// The current stage. The end counts whatever its status: it is against the merchant only if a status says so.
    #[must_use]
    pub fn stage(&self) -> DisputeStage {
        match self.facts.value.status.stage() {
            DisputeStage::Open if self.is_closed() => DisputeStage::Won,
            stage => stage,
        }
    }

    /// True if the end was reported and no known status came later: the provider may open a dispute again.
    fn is_closed(&self) -> bool {
        let is_unknown = self.facts.value.status == DisputeStatus::Unknown;
        self.closed
            .is_some_and(|closed| is_unknown || closed > self.facts.stamp)
    }

    /// True if a person has to find out who won. The dispute is closed by a status that does not say it, and the money
    /// is gone.
    #[must_use]
    pub fn is_unclear(&self) -> bool {
        let is_open = self.facts.value.status.stage() == DisputeStage::Open;
        let is_gone = |funds: &Fact<_>| funds.value == DisputeFunds::Withdrawn;
        is_open && self.is_closed() && self.funds.as_ref().is_some_and(is_gone)
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fulfillment::testing::{SALE, at, dispute_news};

    /// An event: its second, its word, whether it reports the end, and the movement of the money.
    type Told = (i64, &'static str, bool, Option<DisputeFunds>);

    const TAKEN: Option<DisputeFunds> = Some(DisputeFunds::Withdrawn);
    const BACK: Option<DisputeFunds> = Some(DisputeFunds::Reinstated);

    fn merged(all: &[Told]) -> Dispute {
        let next = |known, (second, word, closed, funds): &Told| {
            let facts = dispute_news("fdsp_1", word, *funds).facts;
            let facts = facts.fact(at(SALE + second));
            let stamp = facts.stamp;
            let funds = funds.map(|value| Fact { stamp, value });
            Some(Dispute::merged(known, facts, *closed, funds))
        };
        all.iter().fold(None, next).unwrap()
    }

    #[test]
    fn a_closed_dispute_is_closed_whatever_its_word_and_lost_only_if_a_word_says_so() {
        use DisputeStage::{Lost, Open, Won};
        let opened = (0, "needs_response", false, None);
        for (rest, stage, unclear) in [
            (vec![], Open, false),
            (vec![(1, "prevented", false, None)], Won, false),
            (vec![(1, "new", false, None)], Open, false),
            (vec![(1, "new", true, None)], Won, false),
            (vec![(1, "needs_response", true, None)], Won, false),
            (vec![(1, "warning_closed", true, None)], Won, false),
            (vec![(1, "won", true, None)], Won, false),
            (vec![(1, "lost", true, None)], Lost, false),
            // The money is gone, and no word says why.
            (vec![(1, "new", true, TAKEN)], Won, true),
            (
                vec![(1, "new", true, None), (2, "new", false, TAKEN)],
                Won,
                true,
            ),
            (
                vec![(1, "new", true, TAKEN), (2, "new", false, BACK)],
                Won,
                false,
            ),
            (
                vec![(1, "new", true, TAKEN), (2, "won", false, None)],
                Won,
                false,
            ),
            // A known word is kept, whichever comes first.
            (
                vec![(1, "new", true, TAKEN), (2, "lost", false, None)],
                Lost,
                false,
            ),
            (
                vec![(1, "lost", false, TAKEN), (2, "new", true, None)],
                Lost,
                false,
            ),
            // A later word opens it again, an unknown one does not.
            (
                vec![(1, "new", true, None), (2, "under_review", false, None)],
                Open,
                false,
            ),
            (
                vec![(1, "new", true, None), (2, "new", false, None)],
                Won,
                false,
            ),
            // Within a second, the end is last.
            (vec![(0, "new", true, None)], Won, false),
            (
                vec![
                    (0, "under_review", false, None),
                    (0, "needs_response", true, None),
                ],
                Won,
                false,
            ),
        ] {
            let news = [vec![opened], rest].concat();
            let back = news.iter().rev().copied().collect();
            for news in [news.clone(), back, [&news[..], &news[..]].concat()] {
                let dispute = merged(&news);
                assert_eq!(
                    (dispute.stage(), dispute.is_unclear()),
                    (stage, unclear),
                    "{news:?}"
                );
            }
        }
        // All that is known of it is unknown words.
        let news = [
            (0, "new", false, None),
            (1, "new", true, None),
            (2, "new", false, None),
        ];
        assert_eq!(merged(&news).stage(), Won);
    }
}
