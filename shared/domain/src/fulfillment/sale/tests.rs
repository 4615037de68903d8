use super::*;
use crate::fulfillment::known::Known;
use crate::fulfillment::{
    Patience,
    testing::{commit, *},
};
use crate::sale::statement::Capture;
use crate::{
    delivery::event::Change,
    ports::Committed,
    sale::{
        details::Metadata,
        event_history::EventHistory,
        mapping::{MappingKey, MappingRow},
        merchant_reference::MerchantReference,
        order::{Alerts, OrderState, Shortfall},
        refund::Refund,
        stock::{LineStock, Movement, StockLevel},
    },
    values::{mode::Mode, provider::ProviderPolicies},
};
use proptest::prelude::*;

fn with_case<T>(ask: impl FnOnce(&Case<'_>) -> T) -> T {
    let event = stored(&facts("fevt_1", SALE, completed()));
    ask(&Case {
        event: &event,
        scope: &crate::values::scope::Scope::UNSTATED,
        stamp: None,
        known: &Known::default(),
        policy: &policy(),
        provider: ProviderPolicies::OURS,
        stated_at: at(SALE),
        now: at(NOW),
    })
}

fn decided(sale: &Sale, stock_levels: &[StockLevel]) -> Decision {
    let rows = Snapshot {
        stock_levels: stock_levels.to_vec(),
        ..Snapshot::default()
    };
    with_case(|case| decide_read(case, About::Sale { completed: true }, sale, &rows))
}

fn fulfilled(sale: &Sale, stock_levels: &[StockLevel]) -> (Order, Commit) {
    let commit = commit(decided(sale, stock_levels));
    let order = commit.order.clone().unwrap();
    assert!(order.fulfilled_at.is_some(), "{commit}");
    (order, commit)
}

#[test]
fn mapping_rows_and_stock_levels_are_read_at_once_unless_a_row_names_another_sku() {
    let lines = vec![line("a", 1, 3000, Some("MAT")), line("b", 1, 100, None)];
    let sale = with_case(|case| sold(case, &sale(lines)));
    let needed = read_set(&sale);
    assert_eq!(needed.mapping.len(), 4);
    assert_eq!(needed.stock_levels, Some((order_id(), vec![sku("MAT")])));
    let missing = |known: &Snapshot| sale.named_read_set(known).without(&needed);
    assert_eq!(missing(&Snapshot::default()), ReadSet::default());
    let row = MappingRow {
        maps_to: Some(sku("MUG")),
        ..MappingRow::default()
    };
    let known = Snapshot {
        mapping: [(MappingKey::Product(id("fprod_b")), row)].into(),
        ..Snapshot::default()
    };
    let mugs = Some((order_id(), vec![sku("MUG")]));
    assert_eq!(missing(&known).stock_levels, mugs);
}

#[test]
fn a_checkout_that_waits_was_read_too_early_if_its_payment_was_heard_of_since() {
    let sale = sale(vec![line("a", 1, 3000, Some("MAT"))]);
    let payment = sale.payment_intents[0].clone();
    let heard = |heard_at: i64| {
        let link = payment::Link {
            heard_at: Some(at(heard_at)),
            ..payment::Link::new(payment.clone())
        };
        Snapshot {
            links: [(payment.clone(), link)].into(),
            ..Snapshot::default()
        }
    };
    let waits = Decision::Nothing { unsent: Vec::new() };
    let early =
        |decision: &Decision, heard_at: i64| read_too_early(decision, &heard(heard_at), at(SALE));
    assert_eq!(
        [-1, 0, 1].map(|after| early(&waits, SALE + after)),
        [false, true, true]
    );
    assert!(!read_too_early(&waits, &Snapshot::default(), at(SALE)));
    let fulfills = decided(&sale, &[stock_level("MAT", 5)]);
    assert!(
        !early(&fulfills, SALE + 1) && !early(&Decision::Park(ParkReason::NoSubject), SALE + 1)
    );
}

#[test]
fn an_order_that_waits_is_written_when_something_is_new_and_has_its_receipt_when_its_money_is_here()
{
    let sale = |status: &str, received: i64| {
        let sale = with_payments(sale(vec![line("a", 1, 3000, Some("MAT"))]), &[status]);
        Sale {
            capture: Capture::Manual,
            received: Some(received),
            ..sale
        }
    };
    let mut shop = Shop::selling(sale("requires_capture", 0));
    shop.tell(SALE, completed());
    assert_eq!(
        (shop.order().funds(), &shop.order().receipt_id),
        (OrderFunds::Authorized, &None)
    );
    let look = |shop: &Shop| shop.decide(&facts("fevt_9", SALE + 60, completed()));
    assert_eq!(
        look(&shop),
        Decision::Nothing { unsent: Vec::new() },
        "nothing but the time is new"
    );
    let mut other = sale("requires_capture", 0);
    other
        .payments
        .values_mut()
        .for_each(|facts| facts.amount = Some(3001));
    shop.api.sales.insert(order_id(), other);
    assert!(
        matches!(look(&shop), Decision::Write(_)),
        "what is told of the payment is new"
    );
    shop.api.sales.insert(order_id(), sale("succeeded", 3000));
    shop.tell(SALE + 120, completed());
    assert_eq!(
        (shop.order().funds(), &shop.order().receipt_id),
        (OrderFunds::Received, &Some(id("fcs_1-order")))
    );
}

#[test]
fn a_paid_checkout_is_fulfilled() {
    let (order, commit) = fulfilled(
        &sale(vec![
            line("a", 2, 3000, Some("MAT")),
            line("b", 1, 1500, Some("MUG")),
        ]),
        &[stock_level("MAT", 5), stock_level("MUG", 1)],
    );
    assert_eq!(
        commit.to_string(),
        "fulfill fcs_1: 2 lines, $45.00, 2 stock movements, receipt fcs_1-order"
    );
    assert_eq!(order.placed_at, at(SALE));
    assert_eq!(order.difference, None);
    assert!(order.shortfalls.is_empty());
    assert!(commit.receipts.iter().all(Receipt::is_unfinished));
}

#[test]
fn two_lines_of_one_sku_are_one_movement() {
    let (_, commit) = fulfilled(
        &sale(vec![
            line("a", 2, 3000, Some("MAT")),
            line("b", 1, 1500, Some("MAT")),
        ]),
        &[stock_level("MAT", 5)],
    );
    let moved: Vec<_> = commit
        .deductions
        .iter()
        .map(|take| (take.movement.sku.as_str(), take.movement.deducted))
        .collect();
    assert_eq!(moved, [("MAT", 3)]);
}

#[test]
fn a_paid_order_that_meets_a_short_shelf_is_kept_with_its_shortfall() {
    let (order, commit) = fulfilled(
        &sale(vec![line("a", 3, 3000, Some("MAT"))]),
        &[stock_level("MAT", 1)],
    );
    assert_eq!(
        commit.to_string(),
        "fulfill fcs_1: 1 lines, $30.00, 1 stock movement, 2 pieces short, receipt fcs_1-order"
    );
    assert_eq!(
        order.shortfalls,
        [Shortfall {
            sku: sku("MAT"),
            missing: 2,
            filled_at: None,
        }]
    );
}

#[test]
fn what_is_not_counted_is_on_the_order_and_in_the_commit_to_be_reported() {
    let lines = vec![line("a", 1, 100, None), line("b", 1, 100, Some("EBOOK"))];
    let level = StockLevel {
        on_hand: None,
        ..stock_level("EBOOK", 0)
    };
    let (order, commit) = fulfilled(&sale(lines), &[level]);
    let sku = sku("EBOOK");
    assert_eq!(order.lines[0].stock, LineStock::Unmapped);
    assert_eq!(order.lines[1].stock, LineStock::Uncounted { sku });
    assert_eq!(commit.uncounted.len(), 2);
    assert!(commit.deductions.is_empty());
}

#[test]
fn a_movement_that_is_written_already_is_not_written_again() {
    let moved = Movement {
        sku: sku("MAT"),
        order_id: order_id(),
        quantity: 2,
        deducted: 1,
        restocked: 0,
        restocked_at: None,
        restocked_earlier: 0,
        is_open: true,
        is_reserved: false,
        moved_at: at(NOW - 60),
    };
    let stock_levels = [StockLevel {
        moved: Some(moved),
        ..stock_level("MAT", 0)
    }];
    let (order, commit) = fulfilled(&sale(vec![line("a", 2, 3000, Some("MAT"))]), &stock_levels);
    assert!(commit.deductions.is_empty());
    assert_eq!(
        order.shortfalls,
        [Shortfall {
            sku: sku("MAT"),
            missing: 1,
            filled_at: None,
        }]
    );
}

#[test]
fn lines_that_do_not_add_up_are_recorded_and_fulfilled() {
    let mut paid = sale(vec![line("a", 1, 5000, None)]);
    (paid.totals.total, paid.received) = (5499, Some(5499));
    assert_eq!(fulfilled(&paid, &[]).0.difference, Some(-499));
}

#[test]
fn what_is_doubtful_is_parked_with_a_reason() {
    let paid = || sale(vec![line("a", 1, 100, None)]);
    let doubts = [
        decided(
            &Sale {
                status: SaleStatus::Open,
                ..paid()
            },
            &[],
        ),
        decided(
            &Sale {
                kind: SaleKind::Other("setup".into()),
                ..paid()
            },
            &[],
        ),
        decided(
            &Sale {
                mode: Mode::Test,
                ..paid()
            },
            &[],
        ),
    ]
    .map(|decision| decision.to_string());
    assert_eq!(
        doubts,
        [
            "park: the sale is `open`, not complete",
            "park: sales of mode `setup` are not fulfilled",
            "park: a test-mode sale reached a live-mode stack",
        ]
    );
}

#[test]
fn a_captured_payment_a_free_order_and_a_waived_amount_are_fulfilled() {
    let paid = || sale(vec![line("a", 1, 100, None)]);
    let free = || sale(vec![line("a", 1, 0, None)]);
    for good in [
        Sale {
            capture: Capture::Manual,
            received: Some(100),
            ..paid()
        },
        Sale {
            capture: Capture::Manual,
            received: None,
            ..free()
        },
        Sale {
            received: Some(0),
            payment_intents: Vec::new(),
            ..sale(vec![line("a", 1, 30, None)])
        },
        Sale {
            kind: SaleKind::Subscription,
            ..paid()
        },
        Sale {
            kind: SaleKind::OffSession,
            ..paid()
        },
    ] {
        fulfilled(&good, &[]);
    }
}

#[test]
fn an_order_that_no_row_can_hold_is_parked_before_anything_is_written() {
    let lines = |count: usize| {
        (0..count)
            .map(|n| line(&format!("l{n}"), 1, 100, Some("MAT")))
            .collect::<Vec<_>>()
    };
    fulfilled(&sale(lines(200)), &[stock_level("MAT", 5)]);
    let decision = decided(&sale(lines(2_000)), &[stock_level("MAT", 5)]);
    assert_eq!(
        decision,
        Decision::Park(ParkReason::TooLarge { lines: 2_000 })
    );
}

proptest! {
    /// For any sale and any stock: no level falls below zero unless it was there before. Only sold goods are deducted,
    /// and shortfalls are recorded.
    #[test]
    fn stock_never_goes_below_zero_silently(
        sold in prop::collection::vec((0_u32..20, 0_usize..4), 0..12),
        counts in prop::collection::vec(-3_i64..15, 4),
    ) {
        let names = ["A", "B", "C", "D"];
        let lines: Vec<_> = sold.iter().enumerate()
            .map(|(n, (quantity, of))| line(&format!("l{n}"), *quantity, 100, Some(names[*of]))).collect();
        let stock_levels: Vec<_> = names.iter().zip(&counts).map(|(name, count)| stock_level(name, *count)).collect();
        let (order, commit) = fulfilled(&sale(lines), &stock_levels);
        for take in &commit.deductions {
            let of = names.iter().position(|name| *name == take.movement.sku.as_str()).unwrap();
            let wanted: i64 = sold.iter().filter(|(_, sku)| *sku == of).map(|(quantity, _)| i64::from(*quantity)).sum();
            prop_assert_eq!(take.on_hand, counts[of]);
            prop_assert_eq!(take.movement.quantity, wanted);
            prop_assert!(take.movement.deducted >= 0 && take.movement.deducted <= wanted);
            prop_assert!(take.on_hand - take.movement.deducted >= counts[of].min(0));
            let missing: i64 = order.shortfalls.iter()
                .filter(|short| short.sku == take.movement.sku).map(|short| short.missing).sum();
            prop_assert_eq!(take.movement.deducted + missing, wanted);
        }
    }
}

/// A sale over 55.00 with payments this far.
fn paying(capture: Capture, statuses: &[&str]) -> Sale {
    let sold = sale(vec![
        line("mats", 2, 4000, Some("MAT")),
        line("mug", 1, 1500, Some("MUG")),
    ]);
    with_payments(Sale { capture, ..sold }, statuses)
}

/// The state of such a sale's money.
fn funds_of(capture: Capture, statuses: &[&str]) -> OrderFunds {
    let mut shop = Shop::selling(paying(capture, statuses));
    shop.tell(SALE, completed());
    let order = shop.order();
    let is_released = (
        order.fulfilled_at.is_some(),
        shop.receipts().len(),
        shop.on_hand("MUG"),
    );
    let expected = if order.funds() == OrderFunds::Received {
        (true, 1, 9)
    } else {
        (false, 0, 10)
    };
    assert_eq!(
        is_released, expected,
        "goods and receipt go with the money: {statuses:?}"
    );
    assert!(
        order
            .lines
            .iter()
            .all(|line| (line.stock == LineStock::Waiting) != is_released.0)
    );
    order.funds()
}

#[test]
fn goods_and_receipt_go_when_the_money_is_received_and_not_before() {
    use Capture::{Automatic, Manual};
    let table: [(Capture, &[&str], OrderFunds); 16] = [
        (Automatic, &["succeeded"], OrderFunds::Received),
        (Automatic, &["processing"], OrderFunds::Processing),
        (Automatic, &["requires_payment_method"], OrderFunds::Failed),
        (Automatic, &["canceled"], OrderFunds::Failed),
        (Automatic, &["requires_action"], OrderFunds::Processing),
        (
            Automatic,
            &["requires_confirmation"],
            OrderFunds::Processing,
        ),
        (Automatic, &["a word of next year"], OrderFunds::Processing),
        (Manual, &["requires_capture"], OrderFunds::Authorized),
        (Manual, &["succeeded"], OrderFunds::Received),
        (Manual, &["canceled"], OrderFunds::Expired),
        // A split cart is paid for when both cards are.
        (Automatic, &["succeeded", "succeeded"], OrderFunds::Received),
        (
            Automatic,
            &["succeeded", "requires_capture"],
            OrderFunds::Part,
        ),
        (Automatic, &["succeeded", "processing"], OrderFunds::Part),
        (Automatic, &["canceled", "canceled"], OrderFunds::Failed),
        // An earlier try that was given up is no matter.
        (Automatic, &["canceled", "succeeded"], OrderFunds::Received),
        (
            Manual,
            &["canceled", "requires_capture"],
            OrderFunds::Authorized,
        ),
    ];
    for (capture, statuses, expected) in table {
        assert_eq!(funds_of(capture, statuses), expected, "{statuses:?}");
    }
}

#[test]
fn the_session_is_believed_where_nobody_tells_of_its_payments() {
    let paid = || Sale {
        received: None,
        ..paying(Capture::Automatic, &[])
    };
    fulfilled(&paid(), &[]);
    let held = Sale {
        capture: Capture::Manual,
        ..paid()
    };
    assert_eq!(
        commit(decided(&held, &[])).order.unwrap().funds(),
        OrderFunds::Authorized
    );
    fulfilled(
        &Sale {
            received: Some(5500),
            ..held.clone()
        },
        &[],
    );
    // More may be captured: only the payment tells.
    let part = Sale {
        received: Some(1500),
        ..held
    };
    assert_eq!(
        commit(decided(&part, &[])).order.unwrap().funds(),
        OrderFunds::Part
    );
}

/// A sale over 55.00, with this received by its only payment.
fn received(status: &str, received: i64) -> Sale {
    let mut sale = paying(Capture::Manual, &[status]);
    for facts in sale.payments.values_mut() {
        facts.received = Some(received);
    }
    Sale {
        received: Some(received),
        ..sale
    }
}

#[test]
fn a_final_partial_capture_is_paid_with_that_part() {
    let (order, _) = fulfilled(&received("succeeded", 4000), &[]);
    let amounts = order.amounts();
    assert_eq!(
        (amounts.received, amounts.released, order.totals.total),
        (4000, 1500, 5500)
    );
    assert_eq!(order.state(), OrderState::Paid);
}

#[test]
fn a_payment_that_is_not_understood_is_named_on_the_order_and_calls_a_person_once() {
    let mut sold = sale(vec![line("a", 1, 3000, Some("MAT"))]);
    sold.details.unclear_payments.insert(id("fpi_9"));
    let mut shop = Shop::selling(sold);
    assert_eq!(shop.tell(SALE, completed()), End::Done);
    let before = shop.order().clone();
    assert_eq!(before.details.unclear_payments, [id("fpi_9")].into());
    let is_told = |known: Option<&Order>| Alerts::between(known, shop.order()).payment_unclear;
    assert_eq!((is_told(None), is_told(Some(&before))), (true, false));
}

#[test]
fn a_partly_paid_order_waits_until_a_payment_event_brings_the_rest() {
    let mut shop = Shop::selling(received("requires_capture", 4000));
    let alerts = |shop: &Shop, before: Option<&Order>| Alerts::between(before, shop.order());
    assert_eq!(shop.tell(SALE, completed()), End::Done);
    assert_eq!(shop.order().state(), OrderState::PartlyPaid);
    assert!(alerts(&shop, None).partly_paid);
    let before = shop.order().clone();
    shop.tell(SALE + 1, payment_change("fpi_1", None));
    assert_eq!((shop.receipts().len(), shop.on_hand("MUG")), (0, 10));
    assert!(!alerts(&shop, Some(&before)).partly_paid, "alarmed once");
    shop.api
        .sales
        .insert(order_id(), received("succeeded", 5500));
    let all = payment_change("fpi_1", Some(paid("succeeded", 5500)));
    shop.tell(SALE + 2, all);
    assert_eq!(shop.order().state(), OrderState::Paid);
    assert_eq!(shop.receipts(), ["fcs_1-order"]);
    assert_eq!(shop.on_hand("MUG"), 9);
}

#[test]
fn a_partly_paid_order_is_released_if_the_merchant_wants_so_and_learns_of_the_rest() {
    let mut shop = Shop::selling(received("requires_capture", 4000));
    shop.policy.part_payment = PartPayment::Release;
    shop.tell(SALE, completed());
    let amounts = shop.order().amounts();
    assert_eq!((amounts.received, amounts.open()), (4000, 1500));
    assert_eq!(shop.order().state(), OrderState::PartlyPaid);
    assert_eq!(
        (shop.receipts(), shop.on_hand("MUG")),
        (vec!["fcs_1-order"], 9)
    );
    shop.api
        .sales
        .insert(order_id(), received("succeeded", 5500));
    shop.tell(SALE + 1, payment_change("fpi_1", None));
    assert_eq!(shop.order().state(), OrderState::Paid);
    assert_eq!(
        (shop.receipts(), shop.on_hand("MUG")),
        (vec!["fcs_1-order"], 9)
    );
}

#[test]
fn a_voided_authorization_is_no_refund_whenever_the_provider_reports_one() {
    for voided_first in [true, false] {
        let mut shop = Shop::selling(paying(Capture::Manual, &["requires_capture"]));
        shop.tell(SALE, completed());
        let void = |shop: &mut Shop| {
            let void = paying(Capture::Manual, &["canceled"]);
            shop.api.sales.insert(order_id(), void);
            shop.tell(SALE + 1, payment_change("fpi_1", None));
        };
        let refund = refunded("fre_1", "succeeded", 5500);
        if voided_first {
            void(&mut shop);
        } else {
            let waits = End::Waits(ParkReason::OrderUnknown("refund"));
            assert_eq!(shop.tell(SALE + 1, refund.clone()), waits);
            void(&mut shop);
        }
        assert_eq!(shop.tell(SALE + 1, refund), End::Done);
        let state = OrderState::Waiting(OrderFunds::Expired);
        assert_eq!(shop.order().state(), state);
        let amounts = shop.order().amounts();
        assert_eq!((amounts.released, amounts.refunded), (5500, 0));
        assert!(shop.receipts().is_empty());
    }
}

#[test]
fn a_refund_of_what_was_never_captured_has_no_mail_and_restocks_nothing() {
    let mut shop = Shop::selling(received("succeeded", 4000));
    shop.tell(SALE, completed());
    shop.tell(SALE + 1, refunded("fre_1", "succeeded", 1500));
    assert_eq!(shop.order().state(), OrderState::Paid);
    assert_eq!(
        (shop.receipts(), shop.on_hand("MUG")),
        (vec!["fcs_1-order"], 9)
    );
}

#[test]
fn a_partly_paid_order_that_is_paid_back_says_so() {
    let mut shop = Shop::selling(received("requires_capture", 4000));
    shop.tell(SALE, completed());
    assert_eq!(
        shop.tell(SALE + 1, refunded("fre_1", "succeeded", 4000)),
        End::Done
    );
    assert_eq!(shop.order().state(), OrderState::Refunded);
    assert_eq!(shop.receipts(), ["fre_1-refund"]);
}

#[test]
fn the_earliest_payment_dates_the_sale_and_a_retry_never_does() {
    let dated = |made_at: Option<i64>, event_at: i64| {
        let mut sale = paying(Capture::Automatic, &["succeeded"]);
        for facts in sale.payments.values_mut() {
            facts.made_at = made_at.map(at);
        }
        let mut shop = Shop::selling(sale);
        shop.tell(event_at, completed());
        shop.order().placed_at
    };
    for event_at in [SALE, SALE + 5 * DAY] {
        assert_eq!(dated(Some(SALE - 60), event_at), at(SALE - 60));
    }
    // Nothing dates the payment: the event does, or the sale that was created at `SALE - 100`.
    assert_eq!(dated(None, SALE), at(SALE));
    assert_eq!(dated(None, SALE + 5 * DAY), at(SALE - 100));
}

#[test]
fn all_of_the_money_is_all_of_it_whatever_became_of_other_tries() {
    let mut paid = paying(
        Capture::Automatic,
        &["processing", "requires_payment_method"],
    );
    paid.received = Some(5500);
    fulfilled(&paid, &[]);
}

#[test]
fn an_order_that_waits_is_fulfilled_once() {
    let mut shop = Shop::selling(paying(Capture::Manual, &["requires_capture"]));
    shop.tell(SALE, completed());
    assert_eq!(
        (shop.order().version, shop.order().state()),
        (1, OrderState::Waiting(OrderFunds::Authorized))
    );
    shop.tell(SALE + 1, completed());
    assert_eq!(shop.order().version, 1, "having looked again is no change");
    shop.api
        .sales
        .insert(order_id(), paying(Capture::Manual, &["succeeded"]));
    // Two events state the same change at the same time; the second one loses the race.
    let events = [
        facts("fevt_1", SALE + 2, changed()),
        facts("fevt_2", SALE + 2, completed()),
    ];
    let decisions = events.each_ref().map(|event| shop.decide(event));
    let [first, second] = decisions.map(|decision| shop.carry_out(decision).1);
    assert_eq!((first, second), (Committed::Now, Committed::Raced));
    shop.deliver(&events[1]);
    assert_eq!(
        (shop.order().version, shop.order().state()),
        (2, OrderState::Paid)
    );
    assert_eq!((shop.on_hand("MAT"), shop.on_hand("MUG")), (8, 9));
    assert_eq!(shop.receipts(), ["fcs_1-order"]);
    // The sale is when it was completed, not when the money came.
    assert_eq!(shop.order().placed_at, at(SALE));
}

#[test]
fn news_of_a_payment_that_come_meanwhile_are_noticed() {
    let mut shop = Shop::selling(paying(Capture::Manual, &["requires_capture"]));
    let completion = facts("fevt_1", SALE, completed());
    let early = shop.decide(&completion);
    shop.tell(
        SALE + 1,
        payment_change("fpi_1", Some(paid("succeeded", 5500))),
    );
    assert_eq!(shop.carry_out(early).1, Committed::Raced);
    shop.deliver(&completion);
    assert_eq!(shop.order().state(), OrderState::Paid);
}

#[test]
fn a_checkout_that_was_left_is_no_order_and_an_order_says_how_it_ended() {
    for (status, funds) in [
        (SaleStatus::Expired, OrderFunds::Expired),
        (SaleStatus::Canceled, OrderFunds::Canceled),
    ] {
        let left = Sale {
            status: status.clone(),
            ..paying(Capture::Manual, &["canceled"])
        };
        let mut shop = Shop::selling(left.clone());
        assert_eq!(shop.tell(SALE, changed()), End::Done);
        assert!(shop.tables.orders.is_empty());
        assert!(matches!(
            shop.tell(SALE, completed()),
            End::Parked(ParkReason::NotComplete(_))
        ));
        let mut shop = Shop::selling(paying(Capture::Manual, &["requires_capture"]));
        shop.tell(SALE, completed());
        shop.api.sales.insert(order_id(), left);
        assert_eq!(shop.tell(SALE + 1, changed()), End::Done);
        assert_eq!(
            shop.order().state(),
            OrderState::Waiting(funds),
            "{status:?}"
        );
    }
}

#[test]
fn a_status_that_we_do_not_know_neither_fulfills_nor_fails() {
    let strange = || Sale {
        status: SaleStatus::Other("a word of next year".into()),
        ..sale(vec![line("a", 1, 100, None)])
    };
    let mut shop = Shop::selling(strange());
    let park_reason = ParkReason::NotComplete("a word of next year".into());
    assert_eq!(shop.tell(SALE, completed()), End::Parked(park_reason));
    assert_eq!(shop.tell(SALE, changed()), End::Done);
    assert!(shop.tables.orders.is_empty());
    // Nor does it change an order that waits.
    let mut shop = Shop::selling(paying(Capture::Manual, &["requires_capture"]));
    shop.tell(SALE, completed());
    let before = shop.tables.clone();
    shop.api.sales.insert(order_id(), strange());
    shop.tell(SALE + 1, changed());
    assert_eq!(shop.tables, before);
}

#[test]
fn a_payments_word_that_we_do_not_know_changes_nothing_of_an_order_that_waits() {
    let mut shop = Shop::selling(paying(Capture::Manual, &["requires_capture"]));
    shop.tell(SALE, completed());
    shop.tell(
        SALE + 1,
        payment_change("fpi_1", Some(paid("a word of next year", 5500))),
    );
    assert_eq!(
        shop.order().state(),
        OrderState::Waiting(OrderFunds::Authorized)
    );
}

#[test]
fn that_a_delayed_payment_has_arrived_is_waited_for_until_the_provider_knows_it() {
    let arrived = || Change::SalePaid {
        order_id: order_id(),
    };
    let mut shop = Shop::selling(paying(Capture::Automatic, &["processing"]));
    assert_eq!(
        shop.tell(SALE + 1, arrived()),
        End::Waits(ParkReason::NotReceived)
    );
    assert_eq!(
        shop.order().state(),
        OrderState::Waiting(OrderFunds::Processing),
        "what is known is kept"
    );
    assert_eq!(
        shop.tell(SALE + 1, arrived()),
        End::Waits(ParkReason::NotReceived)
    );
    shop.api
        .sales
        .insert(order_id(), paying(Capture::Automatic, &["succeeded"]));
    assert_eq!(shop.tell(SALE + 1, arrived()), End::Done);
    assert_eq!(shop.order().state(), OrderState::Paid);
    assert_eq!(ParkReason::NotReceived.patience(), Patience::Short);
}

/// Another session under the same reference.
fn session(name: &str) -> Sale {
    Sale {
        order_id: id(name),
        payment_intents: Vec::new(),
        ..sale(vec![line("a", 1, 100, None)])
    }
}

fn tell_of(shop: &mut Shop, session: &Sale) {
    shop.api
        .sales
        .insert(session.order_id.clone(), session.clone());
    shop.tell(
        SALE,
        Change::Sale {
            order_id: session.order_id.clone(),
            completed: true,
        },
    );
}

#[test]
fn a_session_that_was_superseded_and_is_paid_is_an_order_found_by_its_reference() {
    let mut shop = Shop::new();
    let newer = Sale {
        status: SaleStatus::Open,
        ..session("fcs_newer")
    };
    shop.api.sales.insert(newer.order_id.clone(), newer);
    tell_of(&mut shop, &session("fcs_older"));
    let order = &shop.tables.orders[&id("fcs_older")];
    assert!(order.fulfilled_at.is_some() && order.same_reference.is_empty());
    assert_eq!(
        shop.tables.references["order-1042"].order_ids,
        [id("fcs_older")]
    );
}

#[test]
fn two_paid_sessions_of_one_reference_are_two_orders_and_shown() {
    let mut shop = Shop::new();
    for name in ["fcs_a", "fcs_b", "fcs_c"] {
        tell_of(&mut shop, &session(name));
    }
    let same = |name: &str| shop.tables.orders[&id(name)].same_reference.clone();
    assert_eq!((same("fcs_a"), same("fcs_b")), (vec![], vec![id("fcs_a")]));
    assert_eq!(same("fcs_c"), [id("fcs_a"), id("fcs_b")]);
    assert_eq!(
        shop.receipts(),
        ["fcs_a-order", "fcs_b-order", "fcs_c-order"]
    );
}

#[test]
fn of_two_sessions_that_are_paid_at_once_one_notices_the_other() {
    let mut shop = Shop::new();
    let events = ["fcs_a", "fcs_b"].map(|name| {
        shop.api.sales.insert(id(name), session(name));
        facts(
            name,
            SALE,
            Change::Sale {
                order_id: id(name),
                completed: true,
            },
        )
    });
    let decisions = events.each_ref().map(|event| shop.decide(event));
    let [first, second] = decisions.map(|decision| shop.carry_out(decision).1);
    assert_eq!((first, second), (Committed::Now, Committed::Raced));
    shop.deliver(&events[1]);
    assert_eq!(
        shop.tables.orders[&id("fcs_b")].same_reference,
        [id("fcs_a")]
    );
}

#[test]
fn a_reference_that_numbers_no_orders_holds_none_of_them_up() {
    let mut shop = Shop::new();
    for n in 0..MerchantReference::MOST + 2 {
        tell_of(&mut shop, &session(&format!("fcs_{n}")));
    }
    let row = &shop.tables.references["order-1042"];
    assert_eq!(
        (row.order_ids.len(), row.version),
        (MerchantReference::MOST, 10)
    );
    let last = &shop.tables.orders[&id(&format!("fcs_{}", MerchantReference::MOST + 1))];
    assert!(
        last.same_reference.is_empty(),
        "nobody has paid twice who pays for the twelfth time"
    );
}

#[test]
fn an_order_without_a_reference_has_no_row_for_it() {
    let mut shop = Shop::new();
    tell_of(
        &mut shop,
        &Sale {
            client_reference_id: None,
            ..session("fcs_a")
        },
    );
    assert!(shop.tables.references.is_empty());
}

#[test]
fn what_was_told_after_the_sale_outlives_another_look_at_the_checkout() {
    let mut shop = Shop::selling(paying(Capture::Manual, &["requires_capture"]));
    shop.tell(SALE, completed());
    let mut order = shop.order().clone();
    order.refunds.insert(
        id("fre_1"),
        Refund::new(refund_facts("fpi_1", "pending", 1).fact(at(SALE))),
    );
    shop.tables.orders.insert(order_id(), order);
    shop.api
        .sales
        .insert(order_id(), paying(Capture::Manual, &["succeeded"]));
    shop.tell(SALE + 1, changed());
    assert_eq!(
        (shop.order().refunds.len(), shop.order().state()),
        (1, OrderState::Paid)
    );
}

#[test]
fn a_merchants_notes_never_cost_the_order() {
    let notes = |bytes: usize| Metadata {
        entries: BTreeMap::from([("note".to_owned(), "x".repeat(bytes))]),
        cut: 0,
    };
    let sale = |of_lines: usize, of_sale: usize| {
        let mut sold = sale(vec![line("brace", 1, 5000, Some("BRACE"))]);
        sold.lines[0].metadata = notes(of_lines);
        sold.details.metadata = notes(of_sale);
        let mut shop = Shop::selling(sold);
        shop.tell(SALE, completed());
        let order = shop.order().clone();
        assert_eq!(
            (order.state(), order.bundle.as_str()),
            (OrderState::Paid, "0.0.0")
        );
        (order.lines[0].metadata.cut, order.details.metadata.cut)
    };
    assert_eq!(sale(1000, 8000), (0, 0));
    assert_eq!(sale(400_000, 8000), (1, 0));
    assert_eq!(sale(1000, 400_000), (1, 1));
}

#[test]
fn an_order_that_is_too_large_loses_its_list_of_events_first() {
    let mut shop = Shop::selling(sale(vec![line("brace", 1, 5000, Some("BRACE"))]));
    shop.tell(SALE, completed());
    let order = shop.order();
    let full = order.size_bound();
    let cut = order.clone().within(full - 1).unwrap();
    let bare = Order {
        event_history: EventHistory::default(),
        ..order.clone()
    };
    assert_eq!(order.clone().within(full).as_ref(), Some(order));
    assert_eq!(cut, bare);
}
