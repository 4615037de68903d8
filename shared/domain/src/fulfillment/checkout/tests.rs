use super::{
    super::testing::{commit, *},
    *,
};
use crate::{
    ids::ProductId,
    mode::Mode,
    stock::{Mapping, Movement, Shelf, Unnamed},
};
use proptest::prelude::*;

fn decided(checkout: &Checkout, shelves: &[Shelf]) -> Decision {
    let event = stored(&told("fevt_1", SALE, completed()));
    let rows = Rows { shelves: shelves.to_vec(), ..Rows::default() };
    decide(&event, true, checkout, &rows, &policy(), at(NOW))
}

fn fulfilled(checkout: &Checkout, shelves: &[Shelf]) -> (Order, Commit) {
    let commit = commit(decided(checkout, shelves));
    let order = commit.order.clone().unwrap();
    assert!(order.fulfilled_at.is_some(), "{commit}");
    (order, commit)
}

#[test]
fn a_paid_checkout_is_fulfilled() {
    let (order, commit) = fulfilled(
        &checkout(vec![line("a", 2, 3000, Some("MAT")), line("b", 1, 1500, Some("MUG"))]),
        &[shelf("MAT", 5), shelf("MUG", 1)],
    );
    assert_eq!(commit.to_string(), "fulfill fcs_1: 2 lines, $45.00, 2 stock movements, receipt fcs_1-order");
    assert_eq!(order.placed_at, at(SALE));
    assert_eq!(order.difference, None);
    assert!(order.shortfalls.is_empty());
    assert!(commit.receipts.iter().all(Receipt::is_owed));
}

#[test]
fn two_lines_of_one_sku_are_one_movement() {
    let (_, commit) = fulfilled(
        &checkout(vec![line("a", 2, 3000, Some("MAT")), line("b", 1, 1500, Some("MAT"))]),
        &[shelf("MAT", 5)],
    );
    let moved: Vec<_> =
        commit.takes.iter().map(|take| (take.movement.sku.as_str(), take.movement.taken)).collect();
    assert_eq!(moved, [("MAT", 3)]);
}

#[test]
fn a_paid_order_that_meets_a_short_shelf_is_kept_with_its_shortfall() {
    let (order, commit) = fulfilled(&checkout(vec![line("a", 3, 3000, Some("MAT"))]), &[shelf("MAT", 1)]);
    assert_eq!(
        commit.to_string(),
        "fulfill fcs_1: 1 lines, $30.00, 1 stock movements, 2 pieces short, receipt fcs_1-order"
    );
    assert_eq!(order.shortfalls, [Shortfall { sku: sku("MAT"), missing: 2 }]);
}

#[test]
fn a_line_without_a_sku_is_recorded_as_unmapped() {
    let (order, _) = fulfilled(&checkout(vec![line("a", 1, 100, None)]), &[]);
    assert_eq!(order.lines[0].stock, LineStock::Unmapped);
    assert!(order.has_unmapped_lines());
}

#[test]
fn a_sku_without_a_counter_is_recorded_as_untracked() {
    let uncounted = Shelf { sku: sku("EBOOK"), on_hand: None, moved: None };
    let (order, commit) = fulfilled(&checkout(vec![line("a", 1, 100, Some("EBOOK"))]), &[uncounted]);
    assert_eq!(order.lines[0].stock, LineStock::Untracked { sku: sku("EBOOK") });
    assert!(commit.takes.is_empty());
}

#[test]
fn a_mapping_row_names_the_sku_where_the_product_does_not() {
    let lines = vec![line("a", 1, 100, None), line("b", 1, 100, Some("MUG"))];
    let mapping = Mapping::from([
        (Unnamed::Product(ProductId::new("fprod_a").unwrap()), sku("BY-PRODUCT")),
        (Unnamed::Price(id("fprice_b")), sku("IGNORED")),
    ]);
    assert_eq!(stock::sku_of(&lines[0], &mapping), Some(&sku("BY-PRODUCT")));
    assert_eq!(stock::sku_of(&lines[1], &mapping), Some(&sku("MUG")));
    assert_eq!(stock::unnamed(&lines).len(), 2);
}

#[test]
fn a_movement_that_is_written_already_is_not_written_again() {
    let moved = Movement {
        sku: sku("MAT"),
        order_id: order_id(),
        quantity: 2,
        taken: 1,
        returned: 0,
        moved_at: at(NOW - 60),
    };
    let shelves = [Shelf { sku: sku("MAT"), on_hand: Some(0), moved: Some(moved) }];
    let (order, commit) = fulfilled(&checkout(vec![line("a", 2, 3000, Some("MAT"))]), &shelves);
    assert!(commit.takes.is_empty());
    assert_eq!(order.shortfalls, [Shortfall { sku: sku("MAT"), missing: 1 }]);
}

#[test]
fn lines_that_do_not_add_up_are_recorded_and_fulfilled() {
    let mut paid = checkout(vec![line("a", 1, 5000, None)]);
    paid.totals.total = 5499;
    assert_eq!(fulfilled(&paid, &[]).0.difference, Some(-499));
}

#[test]
fn what_is_doubtful_is_parked_with_a_reason() {
    let paid = || checkout(vec![line("a", 1, 100, None)]);
    let doubts = [
        decided(&Checkout { status: Status::Open, ..paid() }, &[]),
        decided(&Checkout { kind: Kind::Other("setup".into()), ..paid() }, &[]),
        decided(&Checkout { mode: Mode::Test, ..paid() }, &[]),
    ]
    .map(|decision| decision.to_string());
    assert_eq!(
        doubts,
        [
            "park: the checkout is `open`, not complete",
            "park: checkouts of mode `setup` are not fulfilled",
            "park: a test-mode checkout reached a live-mode stack",
        ]
    );
}

#[test]
fn a_captured_payment_a_free_order_and_a_part_payment_are_fulfilled() {
    let paid = || checkout(vec![line("a", 1, 100, None)]);
    let free = || checkout(vec![line("a", 1, 0, None)]);
    for good in [
        Checkout { capture: Capture::Manual, received: Some(100), ..paid() },
        Checkout { capture: Capture::Manual, received: None, ..free() },
        Checkout { received: Some(40), ..paid() },
        Checkout { kind: Kind::Subscription, ..paid() },
        Checkout { kind: Kind::OffSession, ..paid() },
    ] {
        fulfilled(&good, &[]);
    }
}

#[test]
fn an_order_that_no_row_can_hold_is_parked_before_anything_is_written() {
    let lines =
        |count: usize| (0..count).map(|n| line(&format!("l{n}"), 1, 100, Some("MAT"))).collect::<Vec<_>>();
    fulfilled(&checkout(lines(200)), &[shelf("MAT", 5)]);
    let decision = decided(&checkout(lines(2_000)), &[shelf("MAT", 5)]);
    assert_eq!(decision, Decision::Park(Doubt::TooLarge { lines: 2_000 }));
}

proptest! {
    /// Whatever is sold from whatever shelves: no shelf goes below zero unless it was there before, nothing is
    /// taken that was not sold, and what is missing is on record.
    #[test]
    fn stock_never_goes_below_zero_silently(
        sold in prop::collection::vec((0_u32..20, 0_usize..4), 0..12),
        counts in prop::collection::vec(-3_i64..15, 4),
    ) {
        let names = ["A", "B", "C", "D"];
        let lines: Vec<_> = sold.iter().enumerate()
            .map(|(n, (quantity, of))| line(&format!("l{n}"), *quantity, 100, Some(names[*of]))).collect();
        let shelves: Vec<_> = names.iter().zip(&counts).map(|(name, count)| shelf(name, *count)).collect();
        let (order, commit) = fulfilled(&checkout(lines), &shelves);
        for take in &commit.takes {
            let of = names.iter().position(|name| *name == take.movement.sku.as_str()).unwrap();
            let wanted: i64 = sold.iter().filter(|(_, sku)| *sku == of).map(|(quantity, _)| i64::from(*quantity)).sum();
            prop_assert_eq!(take.on_hand, counts[of]);
            prop_assert_eq!(take.movement.quantity, wanted);
            prop_assert!(take.movement.taken >= 0 && take.movement.taken <= wanted);
            prop_assert!(take.on_hand - take.movement.taken >= counts[of].min(0));
            let missing: i64 = order.shortfalls.iter()
                .filter(|short| short.sku == take.movement.sku).map(|short| short.missing).sum();
            prop_assert_eq!(take.movement.taken + missing, wanted);
        }
    }
}
