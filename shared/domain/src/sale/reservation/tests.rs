use super::*;
use crate::fulfillment::testing::{NOW, at, order_id, sku, stock_level};
use crate::sale::stock::{Deduction, StockLevel, reserve, reserved};
use std::collections::BTreeMap;

/// A level of that counter, with these reserved units.
fn level(on_hand: i64, held: Option<i64>) -> StockLevel {
    let moved = held.map(|units| reserved(&order_id(), &sku("MAT"), units, at(NOW)));
    StockLevel {
        moved,
        ..stock_level("MAT", on_hand)
    }
}

#[test]
fn units_are_reserved_whole_or_not_at_all_and_the_counter_never_falls_below_zero() {
    for (on_hand, held, wanted, expected) in [
        (10, None, 3, Some(3)),
        (3, None, 3, Some(3)),
        (2, None, 3, None),
        (-1, None, 3, None),
        (10, Some(3), 3, None),
        (10, Some(0), 3, Some(3)),
        // An edit of the order.
        (1, Some(3), 4, Some(4)),
        (0, Some(3), 4, Some(0)),
        (0, Some(3), 2, Some(2)),
        (0, Some(3), 0, Some(0)),
        (0, None, 0, None),
    ] {
        let wanted = BTreeMap::from([(sku("MAT"), wanted)]);
        let (to_write, skus) = reserve(&order_id(), &wanted, &[level(on_hand, held)], at(NOW));
        let units = to_write.first().map(|write| write.movement.deducted);
        assert_eq!(units, expected, "{on_hand} {held:?} {wanted:?}");
        let left = units.or(held).unwrap_or_default();
        assert_eq!(skus.contains(&sku("MAT")), left > 0);
        let after = on_hand - to_write.first().map_or(0, Deduction::taken);
        assert!(after >= on_hand.min(0));
    }
}

#[test]
fn uncounted_goods_are_left_alone() {
    let uncounted = StockLevel {
        on_hand: None,
        ..level(0, Some(3))
    };
    let planned = reserve(&order_id(), &BTreeMap::new(), &[uncounted], at(NOW));
    assert_eq!(planned, (Vec::new(), BTreeSet::new()));
}

#[test]
fn what_an_interrupted_fulfillment_took_is_reserved_or_goes_back() {
    let mut sold = level(5, Some(3));
    sold.moved.as_mut().unwrap().is_reserved = false;
    for wanted in [0, 3, 4] {
        let all = BTreeMap::from([(sku("MAT"), wanted)]);
        let (to_write, _) = reserve(&order_id(), &all, std::slice::from_ref(&sold), at(NOW));
        let movement = &to_write[0].movement;
        assert_eq!((movement.deducted, movement.is_reserved), (wanted, true));
    }
}
