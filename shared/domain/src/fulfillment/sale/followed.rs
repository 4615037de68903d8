//! Orders of a provider that states no facts in its events: each event is a reason to fetch the order.

use crate::{
    delivery::{
        event::{Change, Event},
        reference::Reference,
    },
    fulfillment::{ParkReason, testing::*},
    sale::{
        amounts::PartPayment,
        hold::Hold,
        order::OrderState,
        payment::PaymentStatus,
        statement::{Sale, SaleStatus},
    },
    values::{
        facts::Stamp,
        ids::PaymentIntentId,
        note::{Action, Noted},
    },
};
use proptest::prelude::*;
use std::collections::BTreeSet;

/// The stamp of the order's state of that second.
fn stamp(second: i64) -> Stamp {
    Stamp::at(at(SALE + second))
}

/// The order without a payment.
fn unpaid() -> Sale {
    Sale {
        received: Some(0),
        is_unpaid: true,
        payment_intents: Vec::new(),
        payments: std::collections::BTreeMap::new(),
        stamp: Some(stamp(0)),
        ..sale(vec![line("a", 1, 3000, Some("MAT"))])
    }
}

/// The paid order in its state of that second, with these reasons to keep it back.
fn paid(second: i64, holds: &[Hold]) -> Sale {
    Sale {
        received: Some(3000),
        is_unpaid: false,
        holds: holds.iter().copied().collect(),
        stamp: Some(stamp(second)),
        ..unpaid()
    }
}

/// A thin event about the state of that second.
fn news(name: &str, second: i64) -> Event {
    Event {
        stamp: Some(stamp(second)),
        ..facts(
            name,
            SALE + second,
            Change::Fetch(Reference::Sale(order_id())),
        )
    }
}

fn shop() -> Shop {
    let mut shop = Shop::selling(unpaid());
    shop.deliver(&news("evt_0", 0));
    shop
}

fn has(shop: &mut Shop, sale: Sale) {
    shop.api.sales.insert(order_id(), sale);
}

#[test]
fn an_order_is_stored_before_its_payment_and_fulfilled_once_with_it() {
    let mut shop = shop();
    assert_eq!(shop.order().state().to_string(), "open");
    has(&mut shop, paid(1, &[]));
    for name in ["evt_1", "evt_2", "evt_1"] {
        shop.deliver(&news(name, 1));
    }
    assert_eq!(shop.order().state(), OrderState::Paid);
    assert_eq!((shop.on_hand("MAT"), shop.receipts().len()), (9, 1));
}

#[test]
fn an_unpaid_order_of_nothing_is_not_taken_for_paid() {
    let mut sale = unpaid();
    sale.totals.total = 0;
    sale.lines.clear();
    let mut shop = Shop::selling(sale);
    shop.deliver(&news("evt_0", 0));
    assert_eq!(shop.order().state().to_string(), "open");
    assert!(shop.receipts().is_empty());
}

#[test]
fn an_order_that_is_closed_unpaid_is_canceled_and_a_paid_one_is_not() {
    let mut shop = shop();
    let closed = Sale {
        status: SaleStatus::Canceled,
        stamp: Some(stamp(1)),
        ..unpaid()
    };
    has(&mut shop, closed);
    shop.deliver(&news("evt_1", 1));
    assert_eq!(shop.order().state().to_string(), "canceled");
    assert_eq!((shop.on_hand("MAT"), shop.receipts().len()), (10, 0));
}

#[test]
fn an_order_that_is_closed_with_a_part_of_its_money_is_an_order_that_a_person_sees() {
    let mut shop = Shop::selling(Sale {
        status: SaleStatus::Canceled,
        received: Some(1000),
        ..paid(1, &[])
    });
    let news = news("evt_1", 1);
    assert!(commit(shop.decide(&news)).alerts.partly_paid);
    assert_eq!(shop.deliver(&news), End::Done);
    assert_eq!(shop.order().state(), OrderState::PartlyPaid);
    assert_eq!((shop.on_hand("MAT"), shop.receipts().len()), (10, 0));
    // Without money it was never an order.
    let closed = Sale {
        status: SaleStatus::Canceled,
        ..unpaid()
    };
    let mut shop = Shop::selling(closed);
    shop.deliver(&news);
    assert!(shop.tables.orders.is_empty());
}

#[test]
fn a_hold_keeps_the_goods_back_until_it_ends() {
    for hold in [Hold::Inventory, Hold::Refund, Hold::Payment] {
        let mut shop = shop();
        let mut held = paid(1, &[hold]);
        if hold == Hold::Payment {
            held = with_payments(paid(1, &[]), &["succeeded"]);
            let payments = held.payments.values_mut();
            payments.for_each(|facts| {
                facts.is_held = true;
                facts.at = Some(at(SALE + 1));
            });
        }
        has(&mut shop, held.clone());
        let decision = shop.decide(&news("evt_1", 1));
        assert!(commit(decision).alerts.held, "{hold}");
        shop.deliver(&news("evt_1", 1));
        assert_eq!(shop.order().state(), OrderState::Held, "{hold}");
        assert_eq!((shop.on_hand("MAT"), shop.receipts().len()), (10, 0));
        let mut released = Sale {
            holds: BTreeSet::new(),
            stamp: Some(stamp(2)),
            ..held
        };
        for facts in released.payments.values_mut() {
            facts.is_held = false;
            facts.at = Some(at(SALE + 2));
        }
        has(&mut shop, released);
        shop.deliver(&news("evt_2", 2));
        assert_eq!(shop.order().state(), OrderState::Paid, "{hold}");
        assert_eq!((shop.on_hand("MAT"), shop.receipts().len()), (9, 1));
    }
}

#[test]
fn a_hold_on_a_fulfilled_order_calls_a_person_and_moves_nothing() {
    let mut shop = shop();
    has(&mut shop, paid(1, &[]));
    shop.deliver(&news("evt_1", 1));
    has(&mut shop, paid(2, &[Hold::Inventory]));
    let late = news("evt_2", 2);
    assert!(commit(shop.decide(&late)).alerts.held);
    shop.deliver(&late);
    assert_eq!(shop.order().state(), OrderState::Paid);
    assert_eq!((shop.on_hand("MAT"), shop.receipts().len()), (9, 1));
}

#[test]
fn an_exception_holds_the_order_until_a_person_releases_its_event() {
    let mut shop = Shop::selling(paid(1, &[]));
    let exception = facts(
        "evt_e",
        SALE,
        Change::Exception {
            order_id: order_id(),
        },
    );
    let parked = End::Waits(ParkReason::OrderException(order_id()));
    assert_eq!(shop.deliver(&exception), parked);
    shop.deliver(&news("evt_1", 1));
    assert_eq!(shop.order().state(), OrderState::Held);
    assert!(shop.receipts().is_empty());
    let mut looked_at = stored(&exception);
    looked_at.notes = looked_at.notes.with(Noted {
        did: Action::BodyRead,
        ..released("to see it")
    });
    let decision = shop.decide_row(&looked_at, &exception);
    assert_eq!(shop.carry_out(decision).0, parked);
    assert_eq!(release(&mut shop, &exception), End::Done);
    assert_eq!(shop.order().state(), OrderState::Paid);
    assert_eq!((shop.on_hand("MAT"), shop.receipts().len()), (9, 1));
}

/// A person releases an event.
fn release(shop: &mut Shop, event: &Event) -> End {
    let mut row = stored(event);
    row.notes = row.notes.with(released("counted by hand"));
    let decision = shop.decide_row(&row, event);
    shop.carry_out(decision).0
}

#[test]
fn a_partial_refund_before_the_goods_are_out_asks_a_person_once() {
    let mut shop = shop();
    has(&mut shop, paid(2, &[Hold::PartialRefund]));
    let parked = End::Waits(ParkReason::OrderException(order_id()));
    let first = news("evt_1", 1);
    for _ in 0..2 {
        assert_eq!(shop.deliver(&first), parked);
    }
    assert_eq!(shop.deliver(&news("evt_2", 2)), End::Done, "asked already");
    assert_eq!((shop.on_hand("MAT"), shop.receipts().len()), (10, 0));
    assert_eq!(release(&mut shop, &first), End::Done);
    assert!(shop.order().exceptions.is_empty());
    assert_eq!((shop.on_hand("MAT"), shop.receipts().len()), (9, 1));
    assert_eq!(shop.deliver(&news("evt_3", 2)), End::Done);
    assert!(shop.order().active_holds().is_empty());
}

#[test]
fn a_payment_event_that_asks_a_person_waits_although_its_payment_is_known_now() {
    let mut shop = shop();
    let refunded = with_payments(paid(3, &[Hold::PartialRefund]), &["succeeded"]);
    let intent = refunded.payment_intents[0].clone();
    has(&mut shop, refunded.clone());
    let Change::Payment(mut change) = payment_change(intent.as_str(), None) else {
        panic!("a payment")
    };
    change.order_id = Some(order_id());
    change.facts = refunded.payments.get(&intent).cloned();
    shop.api.payments.insert(intent.clone(), change);
    let event = Event {
        stamp: Some(stamp(1)),
        ..facts("evt_1", SALE + 1, Change::Fetch(Reference::Payment(intent)))
    };
    for _ in 0..3 {
        let parked = End::Waits(ParkReason::OrderException(order_id()));
        assert_eq!(shop.deliver(&event), parked);
    }
    assert_eq!(release(&mut shop, &event), End::Done);
    assert_eq!(shop.receipts().len(), 1);
}

#[test]
fn an_order_that_a_part_of_its_money_released_learns_of_the_later_payment() {
    let mut shop = shop();
    shop.policy.part_payment = PartPayment::Release;
    let part = |ids: &[&str], received: i64, second: i64| Sale {
        payment_intents: ids.iter().map(|text| id(text)).collect(),
        received: Some(received),
        ..paid(second, &[])
    };
    has(&mut shop, part(&["pi_1"], 1000, 1));
    shop.deliver(&news("evt_1", 1));
    assert_eq!(shop.order().state(), OrderState::PartlyPaid);
    has(&mut shop, part(&["pi_1", "pi_2"], 3000, 2));
    for name in ["evt_2", "evt_3"] {
        shop.deliver(&news(name, 2));
    }
    let order = shop.order();
    assert_eq!(order.state(), OrderState::Paid);
    assert_eq!(order.payment_intents, [id("pi_1"), id("pi_2")]);
    let link = &shop.tables.links[&id::<PaymentIntentId>("pi_2")];
    assert_eq!(
        link.order_id,
        Some(order_id()),
        "its refund finds the order"
    );
    assert_eq!((shop.on_hand("MAT"), shop.receipts().len()), (9, 1));
}

#[test]
fn an_order_that_is_announced_as_paid_waits_for_an_api_that_lags() {
    let mut shop = shop();
    let waits = End::Waits(ParkReason::NotReceived);
    assert_eq!(shop.tell(SALE + 1, completed()), waits);
    has(&mut shop, paid(1, &[]));
    assert_eq!(shop.tell(SALE + 1, completed()), End::Done);
    assert_eq!(shop.order().state(), OrderState::Paid);
}

#[test]
fn a_refund_after_the_goods_are_out_is_no_reason_to_hold_them() {
    let mut shop = shop();
    has(&mut shop, paid(1, &[]));
    shop.deliver(&news("evt_1", 1));
    has(&mut shop, paid(2, &[Hold::Refund]));
    assert!(!commit(shop.decide(&news("evt_2", 2))).alerts.held);
}

#[test]
fn an_older_event_is_not_even_fetched_and_one_of_the_same_time_is() {
    let mut shop = shop();
    has(&mut shop, paid(2, &[]));
    shop.deliver(&news("evt_2", 2));
    let before = shop.tables.clone();
    shop.api.sales.clear();
    assert_eq!(shop.deliver(&news("evt_1", 1)), End::Done);
    assert!(matches!(
        shop.deliver(&news("evt_3", 2)),
        End::Parked(ParkReason::NotRead(_))
    ));
    assert_eq!(shop.tables, before);
}

#[test]
fn an_answer_that_is_older_than_the_row_changes_nothing() {
    let mut shop = shop();
    has(&mut shop, paid(2, &[Hold::Inventory]));
    shop.deliver(&news("evt_2", 2));
    let before = shop.tables.clone();
    has(&mut shop, paid(1, &[]));
    assert_eq!(shop.deliver(&news("evt_3", 3)), End::Done);
    assert_eq!(shop.tables, before);
}

#[test]
fn a_failed_payment_shows_on_its_order() {
    let mut shop = shop();
    let failed = with_payments(
        Sale {
            stamp: Some(stamp(1)),
            payment_intents: sale(Vec::new()).payment_intents,
            ..unpaid()
        },
        &["requires_payment_method"],
    );
    let intent = failed.payment_intents[0].clone();
    let mut failed = failed;
    let known = failed.payments.get_mut(&intent).unwrap();
    known.failure = Some("card_declined".to_owned());
    has(&mut shop, failed.clone());
    let Change::Payment(mut change) = payment_change(intent.as_str(), None) else {
        panic!("a payment")
    };
    change.order_id = Some(order_id());
    change.facts = failed.payments.get(&intent).cloned();
    shop.tell(SALE + 1, Change::Payment(change));
    let facts = &shop.order().payments[&intent].value;
    assert_eq!(facts.status, PaymentStatus::Failed);
    assert_eq!(facts.failure.as_deref(), Some("card_declined"));
    assert_eq!(shop.order().state().to_string(), "failed");
}

proptest! {
    #[test]
    fn events_that_are_late_or_repeated_end_as_the_provider_does(
        places in prop::collection::vec(any::<u32>(), 8),
    ) {
        let states = [paid(1, &[Hold::Inventory]), paid(2, &[]), paid(3, &[Hold::Inventory]), paid(4, &[])];
        let mut coming: Vec<_> = (1..=4).cycle().zip(&places).collect();
        coming.sort_by_key(|(_, place)| **place);
        let mut shop = shop();
        for (n, (second, _)) in coming.into_iter().enumerate() {
            // The provider goes on while the deliveries come.
            has(&mut shop, states[(n / 2).min(3)].clone());
            shop.deliver(&news(&format!("evt_{n}"), second));
        }
        // The last fetch may have come before the last state; its own delivery comes again.
        has(&mut shop, states[3].clone());
        shop.deliver(&news("evt_last", 4));
        prop_assert_eq!(shop.order().state(), OrderState::Paid);
        prop_assert_eq!((shop.on_hand("MAT"), shop.receipts().len()), (9, 1));
        prop_assert!(shop.order().active_holds().is_empty());
    }
}
