//! The goods that go back into stock after refunds.

use crate::sale::order::Order;
use crate::sale::refund::Goods;
use crate::sale::refund::RefundFacts;
use crate::sale::stock::LineStock;
use crate::sale::stock::Movement;
use crate::values::ids::Sku;
use std::collections::BTreeMap;

/// The refunds that restock goods.
#[derive(Debug, Clone, Copy, PartialEq, Eq, strum::EnumString, strum::VariantNames)]
#[strum(serialize_all = "snake_case")]
pub enum RestockPolicy {
    /// No refund: the merchant counts returned goods by other means.
    Never,
    /// Refunds of the whole order: all of its goods.
    Full,
    /// Partial refunds too, if the returned goods are known: see [`goods_back`].
    Any,
}

/// The number of units of each SKU that should be back in stock: those that came back, without those
/// that never left. It is a function of the order's refunds and not of the order of arrival, and
/// never exceeds the deducted number.
#[must_use]
pub fn goods_back(
    order: &Order,
    policy: RestockPolicy,
    movements: &[Movement],
) -> BTreeMap<Sku, i64> {
    let mut back = returned(order, policy, movements);
    for movement in movements {
        if let Some(units) = back.get_mut(&movement.sku) {
            *units = (*units - movement.short()).max(0);
        }
    }
    back
}

/// The number of sold units of each SKU that refunds made unwanted, at most all of them.
///
/// Providers do not name the lines of a partial refund. Under [`RestockPolicy::Any`] the merchant's
/// metadata (`restock`) decides, else the only line whose total, or whose price of one unit, equals
/// the amount. If neither decides, nothing is restocked.
#[must_use]
pub fn returned(
    order: &Order,
    policy: RestockPolicy,
    movements: &[Movement],
) -> BTreeMap<Sku, i64> {
    let paid_back = order
        .paid_back()
        .values()
        .fold(0_i64, |sum, amount| sum.saturating_add(*amount));
    // An order that cost nothing has nothing to refund.
    let whole = order.paid() > 0 && paid_back >= order.paid();
    let back = match policy {
        RestockPolicy::Full | RestockPolicy::Any if whole => None,
        RestockPolicy::Any => Some(partial(order)),
        RestockPolicy::Never | RestockPolicy::Full => return BTreeMap::new(),
    };
    movements
        .iter()
        .map(|movement| {
            let pieces = back.as_ref().map_or(movement.quantity, |back| {
                back.get(&movement.sku)
                    .copied()
                    .unwrap_or_default()
                    .clamp(0, movement.quantity)
            });
            (movement.sku.clone(), pieces)
        })
        .collect()
}

/// The goods of all partial refunds.
fn partial(order: &Order) -> BTreeMap<Sku, i64> {
    let back = order.paid_back();
    // A refund that only releases an authorization brings no goods back.
    let refunds = order.refunds.iter().filter(|(id, refund)| {
        let is_real = |amount: &i64| *amount > 0 || refund.facts.value.amount == 0;
        back.get(id).is_some_and(is_real)
    });
    let goods = refunds.flat_map(|(_, refund)| goods(order, &refund.facts.value));
    goods.fold(BTreeMap::new(), |mut back, goods| {
        let pieces: &mut i64 = back.entry(goods.sku).or_default();
        *pieces = pieces.saturating_add(goods.quantity.into());
        back
    })
}

/// The goods of a partial refund: the merchant's metadata, else the only line that costs exactly as
/// much.
fn goods(order: &Order, facts: &RefundFacts) -> Vec<Goods> {
    if !facts.goods.is_empty() || facts.goods_unclear {
        return facts.goods.clone();
    }
    let counted = || {
        order.lines.iter().filter_map(|line| match &line.stock {
            LineStock::Counted { sku } => Some((sku, line)),
            LineStock::Untracked { .. }
            | LineStock::Uncounted { .. }
            | LineStock::Waiting
            | LineStock::Exempt
            | LineStock::Unmapped => None,
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
