use crate::{
    delivery::{
        event::{Change, Event},
        reference::Reference,
    },
    fulfillment::{ParkReason, testing::*},
    resource::{
        Resource, ResourceChange, ResourceId,
        checkout_session::{CheckoutSessionFacts, ContactEmail, SessionEnd},
    },
    sale::{
        hold::Hold,
        order::OrderState,
        statement::{Sale, SaleStatus},
    },
    values::facts::Stamp,
};
use proptest::prelude::*;

const STOCK: i64 = 10;
const UNITS: i64 = 3;
/// The time of each step of a history.
const SECONDS: [i64; 4] = [0, 1, 2, 3];

fn stamp(second: i64) -> Stamp {
    Stamp::at(at(SALE + second))
}

/// The unpaid order of three mats in its state of that second.
fn unpaid(second: i64) -> Sale {
    Sale {
        received: Some(0),
        is_unpaid: true,
        payment_intents: Vec::new(),
        stamp: Some(stamp(second)),
        ..sale(vec![line("a", 3, 3000, Some("MAT"))])
    }
}

fn paid(second: i64) -> Sale {
    Sale {
        received: Some(3000),
        is_unpaid: false,
        ..unpaid(second)
    }
}

fn closed(second: i64) -> Sale {
    Sale {
        status: SaleStatus::Canceled,
        ..unpaid(second)
    }
}

/// A session of the order, with the reason of its end and its successor, if there are any.
fn facts_of(status: &str, reason: &str, successor: &str) -> CheckoutSessionFacts {
    CheckoutSessionFacts {
        status: Some(status.into()),
        reason: (!reason.is_empty()).then(|| reason.into()),
        successor: (!successor.is_empty()).then(|| id(successor)),
        order_id: Some(order_id()),
        ..CheckoutSessionFacts::default()
    }
}

fn session(name: &str) -> ResourceId {
    ResourceId::CheckoutSession(id(name))
}

/// The provider has this state of a session.
fn has(shop: &mut Shop, name: &str, facts: CheckoutSessionFacts) {
    let change = ResourceChange::CheckoutSession {
        id: id(name),
        facts: Box::new(facts.into()),
    };
    shop.api.resources.insert(session(name), change);
}

fn has_sale(shop: &mut Shop, sale: Sale) {
    shop.api.sales.insert(order_id(), sale);
}

/// A thin event about a session.
fn news_of(name: &str, second: i64) -> Event {
    let change = Change::Fetch(Reference::Resource(session(name)));
    facts(&format!("evt_{name}_{second}"), SALE + second, change)
}

/// A thin event about the order.
fn news(second: i64) -> Event {
    let change = Change::Fetch(Reference::Sale(order_id()));
    Event {
        stamp: Some(stamp(second)),
        ..facts(&format!("evt_order_{second}"), SALE + second, change)
    }
}

fn told(shop: &mut Shop, name: &str, second: i64, facts: CheckoutSessionFacts) -> End {
    has(shop, name, facts);
    shop.deliver(&news_of(name, second))
}

/// A shop that reserves, with the stored unpaid order.
fn shop() -> Shop {
    let mut shop = Shop::selling(unpaid(0));
    shop.policy.reserve_stock = true;
    shop.deliver(&news(0));
    shop
}

/// As [`shop`], with an open session.
fn open() -> Shop {
    let mut shop = shop();
    told(&mut shop, "cs_a", 1, facts_of("open", "", ""));
    assert_eq!(shop.on_hand("MAT"), STOCK - UNITS);
    shop
}

fn end_of(shop: &Shop, name: &str) -> SessionEnd {
    match &shop.tables.resources[&session(name)] {
        Resource::CheckoutSession(row) => row.end(),
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_refund_of_all_money_releases_what_is_kept_for_an_order_that_never_went_out() {
    for (amount, expected) in [(3000, STOCK), (1000, STOCK - UNITS)] {
        let mut shop = open();
        let held = Sale {
            holds: [Hold::Inventory].into(),
            payment_intents: vec![id("fpi_1")],
            ..paid(2)
        };
        has_sale(&mut shop, held);
        shop.deliver(&news(2));
        assert_eq!(shop.on_hand("MAT"), STOCK - UNITS, "paid, and held");
        for second in 3..5 {
            let refund = refund_news("fre_1", refund_facts("fpi_1", "succeeded", amount));
            shop.tell(SALE + second, Change::Refund(refund));
        }
        assert_eq!(shop.on_hand("MAT"), expected, "{amount}");
    }
}

#[test]
fn an_open_session_reserves_its_goods_once_and_its_end_releases_them_once() {
    let mut shop = open();
    for second in 2..5 {
        told(&mut shop, "cs_a", second, facts_of("open", "", ""));
    }
    assert_eq!(shop.on_hand("MAT"), STOCK - UNITS);
    for second in 5..8 {
        told(
            &mut shop,
            "cs_a",
            second,
            facts_of("expired", "expired", ""),
        );
    }
    assert_eq!(shop.on_hand("MAT"), STOCK);
    assert!(shop.order().reservation.skus.is_empty());
}

#[test]
fn nothing_is_reserved_unless_the_merchant_asks_for_it() {
    let mut shop = shop();
    shop.policy.reserve_stock = false;
    told(&mut shop, "cs_a", 1, facts_of("open", "", ""));
    assert_eq!(shop.on_hand("MAT"), STOCK);
    assert_eq!(end_of(&shop, "cs_a"), SessionEnd::Open);
    assert!(shop.order().reservation.is_empty());
}

#[test]
fn reserved_goods_are_sold_with_the_payment_and_do_not_move_again() {
    let mut shop = open();
    has_sale(&mut shop, paid(2));
    shop.deliver(&news(2));
    told(
        &mut shop,
        "cs_a",
        3,
        facts_of("paid", "payment_succeeded", ""),
    );
    told(&mut shop, "cs_b", 4, facts_of("expired", "expired", ""));
    assert_eq!(shop.order().state(), OrderState::Paid);
    assert_eq!(shop.on_hand("MAT"), STOCK - UNITS);
    let [movement] = &shop.tables.movements.values().collect::<Vec<_>>()[..] else {
        panic!("one movement");
    };
    assert_eq!((movement.deducted, movement.is_reserved), (UNITS, false));
}

#[test]
fn goods_that_were_released_are_deducted_with_a_late_payment() {
    let mut shop = open();
    told(&mut shop, "cs_a", 2, facts_of("expired", "expired", ""));
    has_sale(&mut shop, paid(3));
    shop.deliver(&news(3));
    assert_eq!(shop.on_hand("MAT"), STOCK - UNITS);
}

#[test]
fn each_end_keeps_or_releases_what_is_reserved() {
    for (status, reason, is_kept) in [
        ("paid", "payment_succeeded", true),
        ("partially_paid", "payment_partially_succeeded", true),
        // Its order is paid in another way.
        ("invalidated", "invoice_paid_elsewhere", true),
        ("invalidated", "a reason of next year", true),
        ("expired", "expired", false),
        ("closed", "api", false),
        ("invalidated", "order_mutated", false),
        ("invalidated", "invoice_balance_changed", false),
        ("invalidated", "invoice_voided", false),
        ("invalidated", "invoice_uncollectible", false),
        ("invalidated", "superseded", false),
    ] {
        let mut shop = open();
        told(&mut shop, "cs_a", 2, facts_of(status, reason, ""));
        let left = if is_kept { STOCK - UNITS } else { STOCK };
        assert_eq!(shop.on_hand("MAT"), left, "{status}, {reason}");
    }
}

#[test]
fn a_successor_keeps_what_is_reserved_and_chains_and_cycles_end() {
    let mut shop = open();
    let superseded = |by| facts_of("invalidated", "superseded", by);
    for (second, (name, by)) in (2..).zip([("cs_a", "cs_b"), ("cs_b", "cs_c")]) {
        told(&mut shop, name, second, superseded(by));
        assert_eq!(shop.on_hand("MAT"), STOCK - UNITS, "{name}");
        assert_eq!(end_of(&shop, name), SessionEnd::Superseded(Some(id(by))));
    }
    told(&mut shop, "cs_c", 4, superseded("cs_a"));
    assert_eq!(shop.on_hand("MAT"), STOCK);
}

#[test]
fn the_order_keeps_its_goods_while_another_session_is_open() {
    let mut shop = open();
    told(&mut shop, "cs_b", 2, facts_of("open", "", ""));
    told(&mut shop, "cs_a", 3, facts_of("expired", "expired", ""));
    assert_eq!(shop.on_hand("MAT"), STOCK - UNITS);
    told(&mut shop, "cs_b", 4, facts_of("expired", "expired", ""));
    assert_eq!(shop.on_hand("MAT"), STOCK);
}

#[test]
fn sessions_that_the_order_names_reserve_unless_they_have_ended() {
    for (status, expected) in [("open", STOCK - UNITS), ("expired", STOCK)] {
        let mut shop = Shop::selling(unpaid(0));
        shop.policy.reserve_stock = true;
        has_sale(
            &mut shop,
            Sale {
                checkout_sessions: [id("cs_a")].into(),
                ..unpaid(0)
            },
        );
        // Without an order, only its row is written.
        shop.policy.reserve_stock = false;
        told(&mut shop, "cs_a", 0, facts_of(status, "", ""));
        shop.policy.reserve_stock = true;
        shop.deliver(&news(1));
        assert_eq!(shop.on_hand("MAT"), expected, "{status}");
    }
}

#[test]
fn a_closed_order_gives_its_goods_back() {
    let mut shop = open();
    has_sale(&mut shop, closed(2));
    shop.deliver(&news(2));
    assert_eq!(shop.on_hand("MAT"), STOCK);
    told(&mut shop, "cs_b", 3, facts_of("open", "", ""));
    assert_eq!(shop.on_hand("MAT"), STOCK);
}

#[test]
fn an_edit_of_the_order_reserves_what_it_sells_now() {
    let mut shop = open();
    shop.tables.counters.insert(sku("MUG"), STOCK);
    has_sale(
        &mut shop,
        Sale {
            lines: vec![line("b", 2, 3000, Some("MUG"))],
            ..unpaid(2)
        },
    );
    shop.deliver(&news(2));
    assert_eq!(
        (shop.on_hand("MAT"), shop.on_hand("MUG")),
        (STOCK, STOCK - 2)
    );
    has_sale(&mut shop, paid(3));
    shop.deliver(&news(3));
    assert_eq!(
        (shop.on_hand("MAT"), shop.on_hand("MUG")),
        (STOCK - UNITS, STOCK)
    );
}

#[test]
fn a_low_counter_reserves_nothing_and_only_a_paid_order_falls_short() {
    let mut shop = shop();
    shop.tables.counters.insert(sku("MAT"), UNITS - 1);
    told(&mut shop, "cs_a", 1, facts_of("open", "", ""));
    assert_eq!(shop.on_hand("MAT"), UNITS - 1);
    assert!(shop.order().shortfalls.is_empty());
    has_sale(&mut shop, paid(2));
    shop.deliver(&news(2));
    assert_eq!((shop.on_hand("MAT"), shop.order().shortfalls.len()), (0, 1));
}

#[test]
fn an_unknown_reason_is_fetched_and_then_held_for_a_person() {
    let parked = End::Waits(ParkReason::UnclearSession(id("cs_a")));
    let unclear = facts_of("invalidated", "a reason of next year", "");
    let stated = Change::Resource(
        ResourceChange::CheckoutSession {
            id: id("cs_a"),
            facts: Box::new(unclear.clone().into()),
        }
        .into(),
    );
    let event = facts("evt_a", SALE + 1, stated);
    // The API knows more than the event.
    let mut shop = Shop::new();
    has(
        &mut shop,
        "cs_a",
        facts_of("invalidated", "order_mutated", ""),
    );
    assert_eq!(shop.deliver(&event), End::Done);
    assert_eq!(end_of(&shop, "cs_a"), SessionEnd::Repriced);
    // Or no more.
    let mut shop = Shop::new();
    has(&mut shop, "cs_a", unclear);
    for event in [&event, &news_of("cs_a", 2), &event] {
        assert_eq!(shop.deliver(event), parked);
        assert_eq!(end_of(&shop, "cs_a"), SessionEnd::Unclear);
    }
    let mut row = stored(&event);
    row.notes = row.notes.with(released("the buyer paid in the shop"));
    let decision = shop.decide_row(&row, &event);
    assert_eq!(shop.carry_out(decision).0, End::Done);
}

#[test]
fn a_session_of_an_order_that_cannot_be_read_waits_with_its_row_written() {
    let mut shop = shop();
    shop.tables.orders.clear();
    shop.api.sales.clear();
    let end = told(&mut shop, "cs_a", 1, facts_of("open", "", ""));
    assert!(matches!(end, End::Waits(ParkReason::NotRead(_))), "{end:?}");
    assert_eq!(end_of(&shop, "cs_a"), SessionEnd::Open);
}

/// The end of the order.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Fate {
    Paid,
    Closed,
    Open,
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    /// The provider goes on while deliveries come late, in any order and repeatedly.
    #[test]
    fn in_any_order_the_counter_ends_as_the_stock_without_the_sold_units(
        fate in prop::sample::select(vec![Fate::Paid, Fate::Closed, Fate::Open]),
        reason in prop::sample::select(vec!["expired", "api", "invoice_voided", "order_mutated"]),
        named in any::<bool>(),
        places in prop::collection::vec((any::<u32>(), 0_usize..3), 12),
        paces in 1_usize..5,
    ) {
        let last = match fate {
            Fate::Paid => facts_of("paid", "payment_succeeded", ""),
            Fate::Closed | Fate::Open => facts_of("invalidated", reason, ""),
        };
        let final_sale = match fate {
            Fate::Paid => paid(3),
            Fate::Closed => closed(3),
            Fate::Open => unpaid(3),
        };
        let naming = |sale: Sale| Sale {
            checkout_sessions: if named { [id("cs_a"), id("cs_b")].into() } else { [].into() },
            ..sale
        };
        let a = [facts_of("open", "", ""), facts_of("invalidated", "superseded", "cs_b")];
        let b = [facts_of("open", "", ""), last];
        let sales = [unpaid(1), unpaid(2), final_sale].map(naming);
        // The state of the provider at each step: the order, and either session.
        let states = [(0, 0, 0), (1, 1, 0), (1, 1, 1), (2, 1, 1)];
        let mut shop = Shop::new();
        shop.policy.reserve_stock = true;
        shop.tables.counters.insert(sku("MAT"), STOCK);
        let events = |step: usize| [news(SECONDS[states[step].0 + 1]), news_of("cs_a", SECONDS[step]), news_of("cs_b", SECONDS[step])];
        let mut coming: Vec<_> = places.iter().enumerate().map(|(n, (place, which))| (*place, n % 4, *which)).collect();
        coming.sort_unstable();
        let ends = [(0, 3, 0), (0, 3, 1), (0, 3, 2)];
        for (n, (_, step, which)) in coming.iter().copied().chain(ends).enumerate() {
            let now = if n >= coming.len() { 3 } else { (n / paces).min(3) };
            let (of_order, of_a, of_b) = states[now];
            has_sale(&mut shop, sales[of_order].clone());
            has(&mut shop, "cs_a", a[of_a].clone());
            has(&mut shop, "cs_b", b[of_b].clone());
            shop.deliver(&events(step)[which]);
            prop_assert!([STOCK, STOCK - UNITS].contains(&shop.on_hand("MAT")));
        }
        let sold = if fate == Fate::Paid { UNITS } else { 0 };
        prop_assert_eq!(shop.on_hand("MAT"), STOCK - sold);
        prop_assert!(shop.order().reservation.skus.is_empty());
        let is_reserved = shop.tables.movements.values().any(|row| row.is_reserved && row.deducted > 0);
        prop_assert!(!is_reserved);
    }
}

#[test]
fn a_session_of_an_erased_order_keeps_no_contact_and_another_one_does() {
    for is_erased in [true, false] {
        let mut shop = Shop::selling(sale(vec![line("brace", 1, 5000, None)]));
        shop.tell(SALE, completed());
        let order = shop.tables.orders.get_mut(&order_id()).unwrap();
        order.is_erased = is_erased;
        for second in 1..=2 {
            let facts = CheckoutSessionFacts {
                order_id: Some(order_id()),
                contact: Some(ContactEmail("pat@example.com".to_owned())),
                ..CheckoutSessionFacts::default()
            };
            let change = ResourceChange::CheckoutSession {
                id: id("cs_1"),
                facts: Box::new(facts.into()),
            };
            shop.tell(SALE + second, Change::Resource(Box::new(change)));
            let Resource::CheckoutSession(session) = &shop.tables.resources[&session("cs_1")]
            else {
                panic!("a session")
            };
            assert_eq!(session.contact.is_unknown(), is_erased);
            assert_eq!(session.erased, is_erased);
            assert_eq!(session.order_id.get(), Some(&order_id()));
        }
    }
}
