use super::*;
use crate::{
    delivery::event::Change,
    fulfillment::testing::{
        End, NOW, SALE, Shop, at, completed, facts, id, line, order_id, refund_facts, refund_news,
        refunded, sale, sku,
    },
    sale::statement::Sale,
};
use jiff::SignedDuration;
use proptest::prelude::*;

/// An order of `quantity` mats at 1000 cents each.
fn of_mats(name: &str, quantity: u32) -> Sale {
    let number = name.trim_start_matches("fcs_");
    Sale {
        order_id: id(name),
        payment_intents: vec![id(&format!("fpi_{number}"))],
        client_reference_id: None,
        ..sale(vec![line(
            "mat",
            quantity,
            1000 * i64::from(quantity),
            Some("MAT"),
        )])
    }
}

/// A shop with `on_hand` mats that has sold each of these quantities, a minute apart.
fn sold(on_hand: i64, quantities: &[u32]) -> Shop {
    let mut shop = Shop::new();
    shop.tables.counters.insert(sku("MAT"), on_hand);
    for (n, quantity) in (1..).zip(quantities) {
        let name = format!("fcs_{n}");
        shop.api.sales.insert(id(&name), of_mats(&name, *quantity));
        let change = Change::Sale {
            order_id: id(&name),
            completed: true,
        };
        assert_eq!(
            shop.deliver(&facts(&format!("fevt_{n}"), SALE + n, change)),
            End::Done
        );
        shop.now += SignedDuration::from_mins(1);
    }
    shop
}

/// Runs the rule once and writes its fills.
fn sweep(shop: &mut Shop) -> Vec<Fill> {
    let open: Vec<Movement> = shop
        .tables
        .movements
        .values()
        .filter(|row| row.is_open)
        .cloned()
        .collect();
    let fills = fills(
        &open,
        &shop.tables.orders,
        &shop.tables.counters,
        shop.policy.restock,
        shop.now,
    );
    for fill in &fills {
        assert!(
            shop.tables.fill(fill),
            "{fill:?} was planned on the rows as they are"
        );
        assert!(!shop.tables.fill(fill), "{fill:?} is written once");
    }
    fills
}

fn missing(shop: &Shop, order: &str) -> (i64, bool) {
    let shortfall = &shop.tables.orders[&id::<OrderId>(order)].shortfalls[0];
    (shortfall.missing, shortfall.filled_at.is_some())
}

#[test]
fn the_oldest_shortfall_is_filled_first_and_closed_once() {
    let mut shop = sold(1, &[2, 3, 1]);
    assert_eq!(sweep(&mut shop), [], "nothing came");
    shop.tables.counters.insert(sku("MAT"), 3);
    assert_eq!(sweep(&mut shop).len(), 2);
    assert_eq!(missing(&shop, "fcs_1"), (0, true));
    assert_eq!(missing(&shop, "fcs_2"), (1, false));
    assert_eq!(missing(&shop, "fcs_3"), (1, false));
    assert_eq!((shop.on_hand("MAT"), sweep(&mut shop).len()), (0, 0));
    shop.tables.counters.insert(sku("MAT"), 5);
    assert_eq!(sweep(&mut shop).len(), 2);
    assert_eq!(
        (missing(&shop, "fcs_2"), missing(&shop, "fcs_3")),
        ((0, true), (0, true))
    );
    assert_eq!((shop.on_hand("MAT"), sweep(&mut shop).len()), (3, 0));
}

#[test]
fn a_refunded_order_waits_for_nothing() {
    let mut shop = sold(0, &[2]);
    shop.tables.counters.insert(sku("MAT"), 0);
    shop.tell(SALE + 9, refunded("fre_1", "succeeded", 2000));
    let fills = sweep(&mut shop);
    assert_eq!((fills[0].units, fills[0].closes), (0, true));
    assert_eq!(missing(&shop, "fcs_1"), (0, true));
    shop.tables.counters.insert(sku("MAT"), 5);
    assert_eq!((sweep(&mut shop).len(), shop.on_hand("MAT")), (0, 5));
}

#[test]
fn a_refund_of_what_is_missing_puts_nothing_back_and_is_not_filled() {
    let mut shop = sold(1, &[2]);
    shop.tell(SALE + 9, refunded("fre_1", "succeeded", 1000));
    assert_eq!(
        shop.on_hand("MAT"),
        0,
        "the one that left stays with the customer"
    );
    shop.tables.counters.insert(sku("MAT"), 5);
    sweep(&mut shop);
    assert_eq!(
        (missing(&shop, "fcs_1"), shop.on_hand("MAT")),
        ((0, true), 5)
    );
}

#[test]
fn an_order_with_two_shortfalls_has_them_filled_one_after_the_other() {
    let mut shop = Shop::new();
    let lines = vec![
        line("mat", 1, 1000, Some("MAT")),
        line("mug", 1, 1000, Some("MUG")),
    ];
    shop.tables.counters = [(sku("MAT"), 0), (sku("MUG"), 0)].into();
    shop.api.sales.insert(order_id(), sale(lines));
    shop.tell(SALE, completed());
    shop.tables.counters = [(sku("MAT"), 1), (sku("MUG"), 1)].into();
    assert_eq!(
        (
            sweep(&mut shop).len(),
            sweep(&mut shop).len(),
            sweep(&mut shop).len()
        ),
        (1, 1, 0)
    );
    assert!(
        shop.order()
            .shortfalls
            .iter()
            .all(|short| short.missing == 0)
    );
    assert!(shop.tables.counters.values().all(|count| *count == 0));
}

/// An act of the world: goods arrive, a sale, a partial refund of an order, a run of sweep.
#[derive(Debug, Clone)]
enum Act {
    Arrive(i64),
    Refund(usize, u32),
    Sweep,
}

fn act() -> impl Strategy<Value = Act> {
    prop_oneof![
        (1_i64..4).prop_map(Act::Arrive),
        (0_usize..4, 1_u32..3).prop_map(|(order, units)| Act::Refund(order, units)),
        Just(Act::Sweep),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, ..ProptestConfig::default() })]
    #[test]
    fn no_unit_is_lost_or_filled_twice_and_none_goes_below_zero(
        quantities in prop::collection::vec(1_u32..4, 4),
        at_first in 0_i64..6,
        acts in prop::collection::vec(act(), 1..12),
    ) {
        let mut shop = sold(at_first, &quantities);
        let mut arrived = at_first;
        let mut refunds = 0;
        let acts: Vec<Act> = acts.into_iter().chain((0..4).map(|_| Act::Sweep)).collect();
        for (n, act) in acts.into_iter().enumerate() {
            match act {
                Act::Arrive(units) => {
                    *shop.tables.counters.get_mut(&sku("MAT")).unwrap() += units;
                    arrived += units;
                }
                Act::Refund(order, units) => {
                    refunds += 1;
                    let mut facts = refund_facts(&format!("fpi_{}", order + 1), "succeeded", 1);
                    facts.goods = vec![crate::sale::refund::Goods { sku: sku("MAT"), quantity: units }];
                    let change = Change::Refund(refund_news(&format!("fre_{refunds}"), facts));
                    shop.deliver(&crate::fulfillment::testing::facts(
                        &format!("fevt_r{refunds}"), SALE + 100 + i64::try_from(n).unwrap(), change));
                }
                Act::Sweep => { sweep(&mut shop); }
            }
            let on_hand = shop.on_hand("MAT");
            let out: i64 = shop.tables.movements.values().map(|row| row.deducted - row.restocked).sum();
            prop_assert!(on_hand >= 0);
            prop_assert_eq!(on_hand + out, arrived, "units are conserved");
            for row in shop.tables.movements.values() {
                prop_assert!(row.deducted <= row.quantity && row.restocked <= row.deducted);
            }
        }
        for (order_id, order) in &shop.tables.orders {
            let row = &shop.tables.movements[&(sku("MAT"), order_id.clone())];
            let wanted = wanted(order, row, shop.policy.restock);
            prop_assert!(wanted == 0 || shop.on_hand("MAT") == 0, "nobody waits beside full shelves");
            let known = order.shortfalls.first().map_or(0, |short| short.missing);
            prop_assert!(row.is_open || known == 0);
            let back = returned(order, shop.policy.restock, std::slice::from_ref(row));
            let kept = row.deducted - row.restocked;
            let due = row.quantity - back[&sku("MAT")];
            prop_assert!(kept == due || (kept < due && shop.on_hand("MAT") == 0), "{} of {}", kept, due);
        }
        let _ = at(NOW);
    }
}
