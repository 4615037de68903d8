//! Fills shortfalls: when a counter rises, the oldest paid orders get their missing units first.

use crate::{
    announcement::{self, Batch, Cause},
    sale::{
        order::{Order, OrderState},
        restock::{RestockPolicy, returned},
        stock::Movement,
    },
    values::ids::{OrderId, Sku},
};
use jiff::Timestamp;
use std::collections::BTreeMap;

/// One movement that changes: its missing units leave the counter, or are no longer wanted.
///
/// The movement, the counter and the order change together. The conditions are that the movement and
/// the order are still as read and that the counter covers the units. This fills no unit twice.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fill {
    /// The movement as read.
    pub seen: Movement,
    /// The units to deduct, none if the customer no longer waits for any.
    pub units: i64,
    /// True if nothing is missing afterwards.
    pub closes: bool,
    /// The order in its next version.
    pub order: Order,
    pub announced: Option<Batch>,
}

/// The number of units that an order still waits for: those sold, without those deducted and those
/// that refunds made unwanted.
///
/// Either of refund and fill may come first: the number of units that leave in all is the same.
#[must_use]
pub fn wanted(order: &Order, movement: &Movement, policy: RestockPolicy) -> i64 {
    if order.state() == OrderState::Refunded {
        return 0;
    }
    let back = returned(order, policy, std::slice::from_ref(movement));
    let back = back.get(&movement.sku).copied().unwrap_or_default();
    (movement.short() - back).max(0)
}

/// Plans the fills of open shortfalls, oldest first. A counter that does not cover a movement fills a
/// part of it. A later sale must not take the units that an earlier customer waits for.
#[must_use]
pub fn fills(
    open: &[Movement],
    orders: &BTreeMap<OrderId, Order>,
    counters: &BTreeMap<Sku, i64>,
    policy: RestockPolicy,
    now: Timestamp,
) -> Vec<Fill> {
    let mut open: Vec<&Movement> = open.iter().collect();
    open.sort_by_key(|movement| (movement.moved_at, &movement.order_id, &movement.sku));
    let mut counters = counters.clone();
    // Two fills of one order would both write its next version: the later one waits for the next run.
    let mut orders = orders.clone();
    let mut all = Vec::new();
    for movement in open {
        let (Some(order), Some(on_hand)) = (
            orders.get(&movement.order_id),
            counters.get_mut(&movement.sku),
        ) else {
            continue;
        };
        let wanted = wanted(order, movement, policy);
        let units = wanted.min((*on_hand).max(0));
        if units == 0 && wanted > 0 {
            continue;
        }
        *on_hand -= units;
        let left = wanted - units;
        let next = filled(order, &movement.sku, left, now);
        all.push(Fill {
            seen: movement.clone(),
            units,
            closes: left == 0,
            announced: announced(order, &next, now),
            order: next,
        });
        orders.remove(&movement.order_id);
    }
    all
}

/// The open movements that the counters may cover, oldest first: no more of a SKU than it has units.
#[must_use]
pub fn coverable(open: Vec<Movement>, counters: &BTreeMap<Sku, i64>) -> Vec<Movement> {
    let mut left = counters.clone();
    let may_cover = |movement: &Movement| match left.get_mut(&movement.sku) {
        Some(units) if *units > 0 => {
            *units -= movement.short();
            true
        }
        _ => false,
    };
    open.into_iter().filter(may_cover).collect()
}

/// The order in its next version, with `left` units of a SKU missing.
fn filled(order: &Order, sku: &Sku, left: i64, now: Timestamp) -> Order {
    let mut order = order.next();
    for shortfall in &mut order.shortfalls {
        if shortfall.sku == *sku {
            shortfall.missing = left;
            shortfall.filled_at = (left == 0).then_some(now);
        }
    }
    order
}

/// The announcements of a fill.
fn announced(before: &Order, after: &Order, now: Timestamp) -> Option<Batch> {
    let cause = Cause {
        at: now,
        provider: Some(&after.provider),
        event_id: None,
    };
    Batch::new(
        announcement::order::changed(Some(before), after, cause),
        now,
    )
}

#[cfg(test)]
mod tests;
