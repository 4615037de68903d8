use super::*;
use crate::{
    checkout::{Customer, Eligibility, Totals},
    delivery::Provider,
    ids::{DeliveryId, LineItemId, OrderId, PriceId, ProductId, Sku},
    money::Currency,
    stock::{Movement, Unnamed},
};
use proptest::prelude::*;

fn at(second: i64) -> Timestamp {
    Timestamp::from_second(second).unwrap()
}

const NOW: i64 = 1_760_090_010;

fn order_id() -> OrderId {
    OrderId::new("fcs_1").unwrap()
}

fn sku(text: &str) -> Sku {
    Sku::new(text).unwrap()
}

fn event() -> StoredEvent {
    StoredEvent {
        event_id: EventId::new("fevt_1").unwrap(),
        provider: Provider::Flex,
        delivery_id: DeliveryId::new("msg_1").unwrap(),
        event_type: Some("checkout.session.completed".into()),
        occurred_at: Some(at(1_760_090_001)),
        received_at: at(1_760_090_005),
        body: Vec::new(),
        fingerprint: String::new(),
        state: EventState::Stored,
        reason: None,
        attempts: 0,
        receipt_id: None,
    }
}

fn line(id: &str, quantity: u32, total: i64, of: Option<&str>) -> LineItem {
    LineItem {
        line_item_id: LineItemId::new(id).unwrap(),
        description: id.to_owned(),
        quantity,
        unit_amount: Some(total / i64::from(quantity.max(1))),
        amounts: Totals { subtotal: total, total, ..Totals::default() },
        eligibility: Some(Eligibility("auto_substantiation".into())),
        product_id: Some(ProductId::new(format!("fprod_{id}")).unwrap()),
        price_id: Some(PriceId::new(format!("fprice_{id}")).unwrap()),
        sku: of.map(sku),
    }
}

fn checkout(lines: Vec<LineItem>) -> Checkout {
    let total = lines.iter().map(|line| line.amounts.total).sum();
    Checkout {
        provider: Provider::Flex,
        order_id: order_id(),
        client_reference_id: Some("order-1042".into()),
        status: Status::Complete,
        kind: Kind::Payment,
        capture: Capture::Automatic,
        mode: Mode::Live,
        created_at: Some(at(1_760_089_900)),
        customer: Customer::default(),
        currency: Currency::USD,
        totals: Totals { subtotal: total, total, ..Totals::default() },
        received: Some(total),
        payment_intents: Vec::new(),
        lines,
    }
}

fn shelf(of: &str, on_hand: i64) -> Shelf {
    Shelf { sku: sku(of), on_hand: Some(on_hand), moved: None }
}

fn decided(checkout: &Checkout, shelves: &[Shelf]) -> Decision {
    decide(&event(), checkout, &Mapping::new(), shelves, Mode::Live, at(NOW))
}

fn commit(decision: Decision) -> Commit {
    match decision {
        Decision::Fulfill(commit) => *commit,
        Decision::Park(doubt) => panic!("parked: {doubt}"),
    }
}

#[test]
fn a_paid_checkout_is_fulfilled() {
    let decision = decided(
        &checkout(vec![line("a", 2, 3000, Some("MAT")), line("b", 1, 1500, Some("MUG"))]),
        &[shelf("MAT", 5), shelf("MUG", 1)],
    );
    assert_eq!(
        decision.to_string(),
        "fulfill fcs_1: 2 lines, $45.00, 2 stock movements, receipt fcs_1-order"
    );
    let commit = commit(decision);
    assert_eq!(commit.order.placed_at, at(1_760_090_001));
    assert_eq!(commit.order.difference, None);
    assert!(commit.order.shortfalls.is_empty());
    assert!(commit.receipt.is_owed());
}

#[test]
fn two_lines_of_one_sku_are_one_movement() {
    let commit = commit(decided(
        &checkout(vec![line("a", 2, 3000, Some("MAT")), line("b", 1, 1500, Some("MAT"))]),
        &[shelf("MAT", 5)],
    ));
    let moved: Vec<_> =
        commit.takes.iter().map(|take| (take.movement.sku.as_str(), take.movement.taken)).collect();
    assert_eq!(moved, [("MAT", 3)]);
}

#[test]
fn a_paid_order_that_meets_a_short_shelf_is_kept_with_its_shortfall() {
    let decision = decided(&checkout(vec![line("a", 3, 3000, Some("MAT"))]), &[shelf("MAT", 1)]);
    assert_eq!(
        decision.to_string(),
        "fulfill fcs_1: 1 lines, $30.00, 1 stock movements (2 pieces short), receipt fcs_1-order"
    );
    let order = commit(decision).order;
    assert_eq!(order.shortfalls, [Shortfall { sku: sku("MAT"), missing: 2 }]);
}

#[test]
fn a_line_without_a_sku_is_recorded_as_unmapped() {
    let order = commit(decided(&checkout(vec![line("a", 1, 100, None)]), &[])).order;
    assert_eq!(order.lines[0].stock, LineStock::Unmapped);
    assert!(order.has_unmapped_lines());
}

#[test]
fn a_sku_without_a_counter_is_recorded_as_untracked() {
    let uncounted = Shelf { sku: sku("EBOOK"), on_hand: None, moved: None };
    let commit = commit(decided(&checkout(vec![line("a", 1, 100, Some("EBOOK"))]), &[uncounted]));
    assert_eq!(commit.order.lines[0].stock, LineStock::Untracked { sku: sku("EBOOK") });
    assert!(commit.takes.is_empty());
}

#[test]
fn a_mapping_row_names_the_sku_where_the_product_does_not() {
    let lines = vec![line("a", 1, 100, None), line("b", 1, 100, Some("MUG"))];
    let mapping = Mapping::from([
        (Unnamed::Product(ProductId::new("fprod_a").unwrap()), sku("BY-PRODUCT")),
        (Unnamed::Price(PriceId::new("fprice_b").unwrap()), sku("IGNORED")),
    ]);
    assert_eq!(stock::sku_of(&lines[0], &mapping), Some(&sku("BY-PRODUCT")));
    assert_eq!(stock::sku_of(&lines[1], &mapping), Some(&sku("MUG")));
    assert_eq!(stock::unnamed(&lines).len(), 2);
}

#[test]
fn a_movement_that_is_written_already_is_not_written_again() {
    let moved =
        Movement { sku: sku("MAT"), order_id: order_id(), quantity: 2, taken: 1, moved_at: at(NOW - 60) };
    let shelves = [Shelf { sku: sku("MAT"), on_hand: Some(0), moved: Some(moved) }];
    let commit = commit(decided(&checkout(vec![line("a", 2, 3000, Some("MAT"))]), &shelves));
    assert!(commit.takes.is_empty());
    assert_eq!(commit.order.shortfalls, [Shortfall { sku: sku("MAT"), missing: 1 }]);
}

#[test]
fn lines_that_do_not_add_up_are_recorded_and_fulfilled() {
    let mut paid = checkout(vec![line("a", 1, 5000, None)]);
    paid.totals.total = 5499;
    assert_eq!(commit(decided(&paid, &[])).order.difference, Some(-499));
}

#[test]
fn what_is_doubtful_is_parked_with_a_reason() {
    let paid = || checkout(vec![line("a", 1, 100, None)]);
    let doubts = [
        decided(&Checkout { status: Status::Other("open".into()), ..paid() }, &[]),
        decided(&Checkout { kind: Kind::Other("setup".into()), ..paid() }, &[]),
        decided(&Checkout { mode: Mode::Test, ..paid() }, &[]),
        decided(&Checkout { capture: Capture::Manual, received: Some(0), ..paid() }, &[]),
        decided(&Checkout { capture: Capture::Manual, received: None, ..paid() }, &[]),
    ]
    .map(|decision| decision.to_string());
    assert_eq!(
        doubts,
        [
            "park: the checkout is `open`, not complete",
            "park: checkouts of mode `setup` are not fulfilled",
            "park: a test-mode checkout reached a live-mode stack",
            "park: the payment is to be captured by hand and has not been received",
            "park: the payment is to be captured by hand and has not been received",
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
        assert!(matches!(decided(&good, &[]), Decision::Fulfill(_)));
    }
}

#[test]
fn an_order_that_no_row_can_hold_is_parked_before_anything_is_written() {
    let lines =
        |count: usize| (0..count).map(|n| line(&format!("l{n}"), 1, 100, Some("MAT"))).collect::<Vec<_>>();
    assert!(matches!(decided(&checkout(lines(200)), &[shelf("MAT", 5)]), Decision::Fulfill(_)));
    let decision = decided(&checkout(lines(2_000)), &[shelf("MAT", 5)]);
    assert_eq!(decision, Decision::Park(Doubt::TooLarge { lines: 2_000 }));
}

#[test]
fn only_what_the_provider_may_yet_tell_otherwise_is_worth_waiting_for() {
    let told = |status| Doubt::NotTold(ReadError::Permanent { status, code: None });
    assert!(Doubt::NotComplete("open".into()).may_pass());
    assert!(told(404).may_pass());
    assert!(Doubt::NotTold(ReadError::NotUnderstood("no `checkout_session`".into())).may_pass());
    for stays in [told(422), Doubt::ModeNotFulfilled("setup".into()), Doubt::NotCaptured, Doubt::NoCheckout] {
        assert!(!stays.may_pass(), "{stays}");
    }
}

#[test]
fn screening_follows_the_event_and_the_order() {
    let order = commit(decided(&checkout(vec![line("a", 1, 100, None)]), &[])).order;
    let receipt_id = order.receipt_id.clone();
    let with = |state, receipt_id| StoredEvent { state, receipt_id, ..event() };
    assert_eq!(screen(&event(), None), Screening::ReadOn);
    assert_eq!(screen(&event(), Some(&order)), Screening::AlreadyFulfilled(receipt_id.clone()));
    let committed = with(EventState::Committed, Some(receipt_id.clone()));
    assert_eq!(screen(&committed, Some(&order)), Screening::PassOn(receipt_id));
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
        let commit = commit(decided(&checkout(lines), &shelves));
        for take in &commit.takes {
            let of = names.iter().position(|name| *name == take.movement.sku.as_str()).unwrap();
            let wanted: i64 = sold.iter().filter(|(_, sku)| *sku == of).map(|(quantity, _)| i64::from(*quantity)).sum();
            prop_assert_eq!(take.on_hand, counts[of]);
            prop_assert_eq!(take.movement.quantity, wanted);
            prop_assert!(take.movement.taken >= 0 && take.movement.taken <= wanted);
            prop_assert!(take.on_hand - take.movement.taken >= counts[of].min(0));
            let missing: i64 = commit.order.shortfalls.iter()
                .filter(|short| short.sku == take.movement.sku).map(|short| short.missing).sum();
            prop_assert_eq!(take.movement.taken + missing, wanted);
        }
    }
}
