//! A refund: money that goes back. One effect for each refund, whatever overlapping events tell of it.
//!
//! Amounts come from the map of refunds by id, never from sums of events.

use crate::{
    facts::{Latest, words},
    ids::{InvoiceId, PaymentIntentId, ReceiptId, RefundId, Sku, SubscriptionId},
    mode::Mode,
    order::Order,
    stock::{LineStock, Movement},
};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use std::{collections::BTreeMap, str::FromStr};

words!(
    /// How far a refund is (<https://docs.withflex.com/api-reference/refunds/list-refunds>).
    Status {
        /// Asked for.
        Pending = "pending",
        /// Somebody has to do something first.
        RequiresAction = "requires_action",
        /// The money is on its way back.
        Succeeded = "succeeded",
        /// It came to nothing, perhaps after it had succeeded.
        Failed = "failed",
        /// It was called off.
        Canceled = "canceled",
    }
);

/// What is told of a refund. Its order settles ties within a second: the status first, as declared above.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Told {
    /// How far it is.
    pub status: Status,
    /// How much, in minor units.
    pub amount: i64,
    /// Which payment it is taken from.
    pub payment_intent_id: PaymentIntentId,
    /// Which goods came back, where the merchant has said so in the refund's metadata.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub goods: Vec<Goods>,
    /// The invoice of a subscription that is paid back, where told.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub invoice_id: Option<InvoiceId>,
    /// When it was made, where told: the date on its receipt, whichever event comes first.
    #[serde(
        default,
        skip_serializing_if = "Option::is_none",
        with = "jiff::fmt::serde::timestamp::second::optional"
    )]
    pub made_at: Option<Timestamp>,
}

/// So many pieces of a SKU.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Goods {
    /// Of which SKU.
    pub sku: Sku,
    /// How many.
    pub quantity: u32,
}

/// News of a refund.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct News {
    /// Of which.
    pub refund_id: RefundId,
    /// Live or test money, where told.
    pub mode: Option<Mode>,
    /// What is told.
    pub told: Told,
    /// The subscription whose invoice is paid back, where told.
    pub subscription_id: Option<SubscriptionId>,
}

/// A refund as merged, on its order's row.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Refund {
    /// What was told last.
    pub told: Latest<Told>,
    /// Whether it has ever succeeded: then its receipt is owed, once, even if it fails later.
    pub succeeded: bool,
    /// Its receipt, once committed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub receipt_id: Option<ReceiptId>,
}

impl Refund {
    /// A refund of which this is the first news.
    #[must_use]
    pub fn new(told: Latest<Told>) -> Self {
        Self {
            succeeded: told.value.status == Status::Succeeded,
            told,
            receipt_id: None,
        }
    }

    /// Merges news into it.
    pub fn merge(&mut self, told: Latest<Told>) {
        self.succeeded |= told.value.status == Status::Succeeded;
        // A status that we do not know neither makes it succeed nor undoes it.
        if (told.value.status.is_known(), &told) > (self.told.value.status.is_known(), &self.told) {
            self.told = told;
        }
    }

    /// Whether the money has gone back, as far as is known now.
    #[must_use]
    pub fn stands(&self) -> bool {
        self.told.value.status == Status::Succeeded
    }

    /// Whether it had succeeded and then did not: a person must see to it, since the customer was told.
    #[must_use]
    pub fn failed_after_all(&self) -> bool {
        self.succeeded && matches!(self.told.value.status, Status::Failed | Status::Canceled)
    }
}

/// Which refunds put goods back on the shelf.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Restock {
    /// None: the merchant counts returns by other means.
    Never,
    /// Those that pay back the whole order: all of its goods.
    Full,
    /// A partial one too, as far as it can be told what came back: see [`goods_back`].
    Any,
}

/// The text is none of `never`, `full` and `any`.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the policy must be `never`, `full` or `any`")]
pub struct BadRestock;

impl FromStr for Restock {
    type Err = BadRestock;

    fn from_str(text: &str) -> Result<Self, BadRestock> {
        match text {
            "never" => Ok(Self::Never),
            "full" => Ok(Self::Full),
            "any" => Ok(Self::Any),
            _ => Err(BadRestock),
        }
    }
}

/// How many pieces of each SKU should be back on the shelf, after all that is known: a function of the order's
/// refunds and never of what arrived when. Never more than were taken.
///
/// A provider does not say which lines a partial refund is for. Under [`Restock::Any`] the merchant's own word counts
/// (metadata `restock`), else the one line that costs exactly as much, whole or a piece of it. Where neither tells,
/// nothing is guessed.
#[must_use]
pub fn goods_back(order: &Order, policy: Restock, movements: &[Movement]) -> BTreeMap<Sku, i64> {
    let refunds: Vec<&Refund> = order
        .own_refunds()
        .filter(|refund| refund.succeeded)
        .collect();
    let paid_back = refunds.iter().fold(0_i64, |sum, refund| {
        sum.saturating_add(refund.told.value.amount)
    });
    // Of an order that cost nothing, nothing can be paid back.
    let whole = order.paid() > 0 && paid_back >= order.paid();
    let named = || {
        let goods = refunds
            .iter()
            .flat_map(|refund| goods(order, &refund.told.value));
        goods.fold(BTreeMap::<Sku, i64>::new(), |mut back, goods| {
            let pieces = back.entry(goods.sku).or_default();
            *pieces = pieces.saturating_add(goods.quantity.into());
            back
        })
    };
    let back = match policy {
        Restock::Full | Restock::Any if whole => None,
        Restock::Any => Some(named()),
        Restock::Never | Restock::Full => return BTreeMap::new(),
    };
    movements
        .iter()
        .map(|movement| {
            let pieces = back.as_ref().map_or(movement.taken, |back| {
                back.get(&movement.sku)
                    .copied()
                    .unwrap_or_default()
                    .clamp(0, movement.taken)
            });
            (movement.sku.clone(), pieces)
        })
        .collect()
}

/// What a partial refund is for: the merchant's word, else the one line that costs exactly as much.
fn goods(order: &Order, told: &Told) -> Vec<Goods> {
    if !told.goods.is_empty() {
        return told.goods.clone();
    }
    let counted = || {
        order.lines.iter().filter_map(|line| match &line.stock {
            LineStock::Counted { sku } => Some((sku, line)),
            LineStock::Untracked { .. } | LineStock::Waiting | LineStock::Unmapped => None,
        })
    };
    let only = |mut found: Vec<Goods>| if found.len() == 1 { found.pop() } else { None };
    let whole = counted()
        .filter(|(_, line)| line.amounts.total == told.amount)
        .map(|(sku, line)| Goods {
            sku: sku.clone(),
            quantity: line.quantity,
        });
    let whole: Vec<Goods> = whole.collect();
    if !whole.is_empty() {
        return only(whole).into_iter().collect();
    }
    let piece = counted()
        .filter(|(_, line)| {
            let quantity = i64::from(line.quantity);
            quantity > 1 && told.amount.checked_mul(quantity) == Some(line.amounts.total)
        })
        .map(|(sku, _)| Goods {
            sku: sku.clone(),
            quantity: 1,
        });
    only(piece.collect()).into_iter().collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fulfillment::testing::{SALE, at, refund_told};

    fn refund(told: &[(i64, &str)]) -> Refund {
        let latest = |(second, status): &(i64, &str)| {
            Latest::new(at(*second), refund_told("fpi_1", status, 100))
        };
        let mut refund = Refund::new(latest(&told[0]));
        told[1..].iter().for_each(|told| refund.merge(latest(told)));
        refund
    }

    #[test]
    fn a_policy_is_read_by_its_word() {
        assert_eq!("never".parse(), Ok(Restock::Never));
        assert_eq!("full".parse(), Ok(Restock::Full));
        assert_eq!("any".parse(), Ok(Restock::Any));
        for word in ["", "Any", "partial", "full "] {
            assert_eq!(word.parse::<Restock>(), Err(BadRestock), "{word:?}");
        }
    }

    #[test]
    fn that_it_went_through_is_remembered_whenever_it_is_told() {
        for told in [
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
            let refund = refund(&told);
            assert!(refund.succeeded && !refund.stands() && refund.failed_after_all());
        }
        let refund = refund(&[(SALE, "pending"), (SALE + 1, "canceled")]);
        assert!(!refund.succeeded && !refund.stands() && !refund.failed_after_all());
    }

    #[test]
    fn within_one_second_the_state_that_comes_later_in_a_life_is_newer() {
        for pair in [
            "pending",
            "requires_action",
            "succeeded",
            "failed",
            "canceled",
        ]
        .windows(2)
        {
            for told in [[pair[0], pair[1]], [pair[1], pair[0]]] {
                assert_eq!(
                    refund(&told.map(|status| (SALE, status)))
                        .told
                        .value
                        .status
                        .as_str(),
                    pair[1]
                );
            }
        }
    }
}
