//! Which goods go back to stock after refunds.

use crate::sale::order::Order;
use crate::sale::refund::Goods;
use crate::sale::refund::Refund;
use crate::sale::refund::RefundFacts;
use crate::sale::stock::LineStock;
use crate::sale::stock::Movement;
use crate::values::ids::Sku;
use std::{collections::BTreeMap, str::FromStr};

/// Which refunds put goods back on the shelf.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RestockPolicy {
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
pub struct BadRestockPolicy;

impl FromStr for RestockPolicy {
    type Err = BadRestockPolicy;

    fn from_str(text: &str) -> Result<Self, BadRestockPolicy> {
        match text {
            "never" => Ok(Self::Never),
            "full" => Ok(Self::Full),
            "any" => Ok(Self::Any),
            _ => Err(BadRestockPolicy),
        }
    }
}

/// How many pieces of each SKU should be back on the shelf, after all that is known: a function of the order's
/// refunds and never of what arrived when. Never more than were taken.
///
/// A provider does not say which lines a partial refund is for. Under [`RestockPolicy::Any`] the merchant's own word counts
/// (metadata `restock`), else the one line that costs exactly as much, whole or a piece of it. Where neither tells,
/// nothing is guessed.
#[must_use]
pub fn goods_back(
    order: &Order,
    policy: RestockPolicy,
    movements: &[Movement],
) -> BTreeMap<Sku, i64> {
    let refunds: Vec<&Refund> = order
        .own_refunds()
        .filter(|refund| refund.succeeded)
        .collect();
    let paid_back = refunds.iter().fold(0_i64, |sum, refund| {
        sum.saturating_add(refund.facts.value.amount)
    });
    // Of an order that cost nothing, nothing can be paid back.
    let whole = order.paid() > 0 && paid_back >= order.paid();
    let named = || {
        let goods = refunds
            .iter()
            .flat_map(|refund| goods(order, &refund.facts.value));
        goods.fold(BTreeMap::<Sku, i64>::new(), |mut back, goods| {
            let pieces = back.entry(goods.sku).or_default();
            *pieces = pieces.saturating_add(goods.quantity.into());
            back
        })
    };
    let back = match policy {
        RestockPolicy::Full | RestockPolicy::Any if whole => None,
        RestockPolicy::Any => Some(named()),
        RestockPolicy::Never | RestockPolicy::Full => return BTreeMap::new(),
    };
    movements
        .iter()
        .map(|movement| {
            let pieces = back.as_ref().map_or(movement.deducted, |back| {
                back.get(&movement.sku)
                    .copied()
                    .unwrap_or_default()
                    .clamp(0, movement.deducted)
            });
            (movement.sku.clone(), pieces)
        })
        .collect()
}

/// What a partial refund is for: the merchant's word, else the one line that costs exactly as much.
fn goods(order: &Order, facts: &RefundFacts) -> Vec<Goods> {
    if !facts.goods.is_empty() {
        return facts.goods.clone();
    }
    let counted = || {
        order.lines.iter().filter_map(|line| match &line.stock {
            LineStock::Counted { sku } => Some((sku, line)),
            LineStock::Untracked { .. } | LineStock::Waiting | LineStock::Unmapped => None,
        })
    };
    let only = |mut found: Vec<Goods>| if found.len() == 1 { found.pop() } else { None };
    let whole = counted()
        .filter(|(_, line)| line.amounts.total == facts.amount)
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
            quantity > 1 && facts.amount.checked_mul(quantity) == Some(line.amounts.total)
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

    #[test]
    fn a_policy_is_read_by_its_word() {
        assert_eq!("never".parse(), Ok(RestockPolicy::Never));
        assert_eq!("full".parse(), Ok(RestockPolicy::Full));
        assert_eq!("any".parse(), Ok(RestockPolicy::Any));
        for word in ["", "Any", "partial", "full "] {
            assert_eq!(
                word.parse::<RestockPolicy>(),
                Err(BadRestockPolicy),
                "{word:?}"
            );
        }
    }
}
