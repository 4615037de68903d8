use crate::fulfillment::known::Case;
use crate::fulfillment::known::Known;
use crate::fulfillment::{
    Decision, ParkReason, Policy,
    refund::stock_read_set,
    testing::{End, *},
};
use crate::{
    delivery::answer::UnclearRefund,
    delivery::event::{Change, Event, Unreadable},
    delivery::reference::Reference,
    sale::{
        dispute,
        order::{Alerts, Order, OrderFunds, OrderState},
        refund::Goods,
        restock::RestockPolicy,
        statement::{Capture, Sale},
    },
    values::{mode::Mode, money::Currency, provider::ProviderPolicies},
};
use std::collections::BTreeMap;

/// Two mats at 20.00 and a mug at 15.00.
fn sold() -> Sale {
    sale(vec![
        line("mats", 2, 4000, Some("MAT")),
        line("mug", 1, 1500, Some("MUG")),
    ])
}

/// A shop that has sold two mats and a mug, of ten each.
fn sold_out(restock: RestockPolicy) -> Shop {
    let mut shop = Shop::selling(sold());
    shop.policy.restock = restock;
    assert_eq!(shop.tell(SALE, completed()), End::Done);
    shop
}

fn on_hand(shop: &Shop) -> (i64, i64) {
    (shop.on_hand("MAT"), shop.on_hand("MUG"))
}

/// The stock after refunds of these amounts.
fn after_refunds(restock: RestockPolicy, amounts: &[i64]) -> (i64, i64) {
    let mut shop = sold_out(restock);
    for (n, amount) in (1_i64..).zip(amounts) {
        shop.tell(
            SALE + n,
            refunded(&format!("fre_{n}"), "succeeded", *amount),
        );
    }
    on_hand(&shop)
}

fn disputed(second: i64, status: &str) -> Event {
    facts(
        &format!("fevt_{second}"),
        second,
        Change::Dispute(dispute_news("fdsp_1", status, None)),
    )
}

#[test]
fn what_no_row_can_hold_is_parked() {
    let mut shop = sold_out(RestockPolicy::Never);
    let long = "x".repeat(400_000);
    shop.tables
        .orders
        .get_mut(&order_id())
        .unwrap()
        .customer
        .name = Some(long);
    let refund = facts("fevt_9", SALE + 1, refunded("fre_1", "succeeded", 1500));
    for event in [refund, disputed(SALE + 1, "needs_response")] {
        assert_eq!(
            shop.decide(&event),
            Decision::Park(ParkReason::TooLarge { lines: 2 }),
            "{event:?}"
        );
    }
}

#[test]
fn shelves_are_read_where_goods_may_come_back() {
    let shop = sold_out(RestockPolicy::Any);
    let wanted = |restock: RestockPolicy, order: &Order| {
        let policy = Policy {
            restock,
            ..policy()
        };
        let case = Case {
            event: &stored(&facts("fevt_1", SALE, completed())),
            scope: &crate::values::scope::Scope::UNSTATED,
            stamp: None,
            known: &Known::default(),
            policy: &policy,
            provider: ProviderPolicies::OURS,
            stated_at: at(SALE),
            now: at(SALE),
        };
        stock_read_set(&case, order)
            .stock_levels
            .map(|(_, skus)| skus)
    };
    assert_eq!(
        wanted(RestockPolicy::Any, shop.order()),
        Some(vec![sku("MAT"), sku("MUG")])
    );
    assert_eq!(wanted(RestockPolicy::Never, shop.order()), None);
    assert_eq!(
        wanted(
            RestockPolicy::Any,
            &Order {
                lines: Vec::new(),
                ..shop.order().clone()
            }
        ),
        None
    );
}

#[test]
fn news_of_a_payment_make_no_order() {
    let mut shop = Shop::selling(sold());
    assert_eq!(
        shop.tell(SALE, payment_change("fpi_1", Some(paid("succeeded", 5500)))),
        End::Done
    );
    assert!(shop.tables.orders.is_empty() && shop.receipts().is_empty());
    assert_eq!(on_hand(&shop), (10, 10));
}

#[test]
fn what_is_told_of_a_payment_before_its_order_is_on_the_order() {
    let mut sold = sold();
    sold.payment_intents = vec![id("fpi_1"), id("fpi_2")];
    let mut shop = Shop::selling(sold);
    shop.tell(
        SALE - 2,
        payment_change("fpi_1", Some(paid("succeeded", 4000))),
    );
    shop.tell(SALE, completed());
    shop.tell(
        SALE + 1,
        payment_change("fpi_2", Some(paid("succeeded", 1500))),
    );
    let facts = |order: &Order, name: &str| order.payments[&id(name)].value.received;
    assert_eq!(
        (facts(shop.order(), "fpi_1"), facts(shop.order(), "fpi_2")),
        (Some(4000), Some(1500))
    );
    assert_eq!(shop.receipts(), ["fcs_1-order"]);
}

#[test]
fn that_a_payment_succeeded_is_for_good() {
    let mut shop = sold_out(RestockPolicy::Any);
    shop.tell(
        SALE + 1,
        payment_change("fpi_1", Some(paid("succeeded", 5500))),
    );
    let before = shop.tables.clone();
    for late in [
        "requires_payment_method",
        "processing",
        "canceled",
        "a word of next year",
    ] {
        shop.tell(SALE + 2, payment_change("fpi_1", Some(paid(late, 5500))));
    }
    assert_eq!(shop.tables, before);
}

#[test]
fn a_renewals_payment_is_none_of_the_orders() {
    let mut shop = sold_out(RestockPolicy::Any);
    let mut renewal = crate::sale::payment::Link::new(id("fpi_9"));
    renewal.order_id = Some(order_id());
    shop.tables.links.insert(id("fpi_9"), renewal);
    let before = shop.tables.clone();
    assert_eq!(
        shop.tell(
            SALE + 1,
            payment_change("fpi_9", Some(paid("succeeded", 1)))
        ),
        End::Done
    );
    assert_eq!(shop.tables, before);
}

#[test]
fn news_of_a_charge_are_worth_another_look_at_an_order_that_waits() {
    let held = with_payments(
        Sale {
            capture: Capture::Manual,
            ..sold()
        },
        &["requires_capture"],
    );
    let mut shop = Shop::selling(held);
    shop.tell(SALE, completed());
    assert_eq!(
        shop.order().state(),
        OrderState::Waiting(OrderFunds::Authorized)
    );
    shop.api.sales.insert(order_id(), sold());
    shop.tell(SALE + 1, payment_change("fpi_1", None));
    assert_eq!(shop.order().state(), OrderState::Paid);
    assert_eq!(shop.receipts(), ["fcs_1-order"]);
}

#[test]
fn a_payment_is_taken_at_its_word_where_the_provider_does_not_tell_of_payments() {
    let held = Sale {
        capture: Capture::Manual,
        received: None,
        ..sold()
    };
    let mut shop = Shop::selling(held);
    shop.tell(SALE, completed());
    assert_eq!(
        shop.order().state(),
        OrderState::Waiting(OrderFunds::Authorized)
    );
    shop.tell(
        SALE + 1,
        payment_change("fpi_1", Some(paid("succeeded", 5500))),
    );
    assert_eq!(shop.order().state(), OrderState::Paid);
}

#[test]
fn a_refund_is_an_effect_once_whatever_tells_of_it() {
    let mut shop = sold_out(RestockPolicy::Any);
    shop.tell(SALE + 1, refunded("fre_1", "pending", 1500));
    assert_eq!(
        (shop.order().state(), shop.receipts()),
        (OrderState::Paid, vec!["fcs_1-order"])
    );
    shop.tell(SALE + 2, refunded("fre_1", "succeeded", 1500));
    assert_eq!(on_hand(&shop), (8, 10));
    assert_eq!(shop.order().state(), OrderState::PartlyRefunded);
    shop.api.refunds = vec![refund_news(
        "fre_1",
        refund_facts("fpi_1", "succeeded", 1500),
    )];
    for overlapping in [
        refunded("fre_1", "succeeded", 1500),
        Change::Fetch(Reference::RefundsOfPayment(id("fpi_1"))),
        Change::Fetch(Reference::RefundsOfSale(order_id())),
    ] {
        assert_eq!(shop.tell(SALE + 3, overlapping), End::Done);
    }
    assert_eq!((on_hand(&shop), shop.order().refunded()), ((8, 10), 1500));
    assert_eq!(shop.receipts(), ["fcs_1-order", "fre_1-refund"]);
}

#[test]
fn a_refund_that_comes_to_nothing_changes_nothing_but_its_own_state() {
    for status in [
        "pending",
        "requires_action",
        "failed",
        "canceled",
        "a word of next year",
    ] {
        let mut shop = sold_out(RestockPolicy::Any);
        shop.tell(SALE + 1, refunded("fre_1", status, 5500));
        assert_eq!(
            (shop.order().state(), shop.order().refunded()),
            (OrderState::Paid, 0),
            "{status}"
        );
        assert_eq!(shop.order().refunds[&id("fre_1")].facts.value.word, status);
        assert_eq!(
            (on_hand(&shop), shop.receipts()),
            ((8, 9), vec!["fcs_1-order"]),
            "{status}"
        );
    }
}

#[test]
fn a_word_that_we_do_not_know_does_not_undo_a_refund() {
    let mut shop = sold_out(RestockPolicy::Any);
    shop.tell(SALE + 1, refunded("fre_1", "succeeded", 5500));
    shop.tell(SALE + 2, refunded("fre_1", "a word of next year", 5500));
    assert_eq!(shop.order().state(), OrderState::Refunded);
}

#[test]
fn a_refund_that_succeeded_and_then_failed_is_alarmed_and_no_longer_counted() {
    let mut shop = sold_out(RestockPolicy::Any);
    shop.tell(SALE + 1, refunded("fre_1", "succeeded", 1500));
    let before = shop.order().clone();
    shop.tell(SALE + 2, refunded("fre_1", "failed", 1500));
    let order = shop.order();
    assert!(Alerts::between(Some(&before), order).refund_failed);
    assert_eq!((order.state(), order.refunded()), (OrderState::Paid, 0));
    // Once: the next event finds it known.
    assert_eq!(Alerts::between(Some(order), order), Alerts::default());
    // The mug is back, and the mail is sent. Neither is undone, and neither happens again. One mail corrects the other.
    let mails = vec!["fcs_1-order", "fre_1-refund", "fre_1-refund_failed"];
    assert_eq!((on_hand(&shop), shop.receipts()), ((8, 10), mails.clone()));
    shop.tell(SALE + 3, refunded("fre_1", "succeeded", 1500));
    assert_eq!((on_hand(&shop), shop.receipts()), ((8, 10), mails.clone()));
}

#[test]
fn a_refund_that_only_ever_failed_is_no_alarm() {
    let mut shop = sold_out(RestockPolicy::Any);
    let before = shop.order().clone();
    shop.tell(SALE + 1, refunded("fre_1", "failed", 1500));
    assert_eq!(
        Alerts::between(Some(&before), shop.order()),
        Alerts::default()
    );
}

#[test]
fn goods_come_back_by_policy() {
    assert_eq!(after_refunds(RestockPolicy::Never, &[5500]), (8, 9));
    assert_eq!(after_refunds(RestockPolicy::Full, &[5500]), (10, 10));
    assert_eq!(after_refunds(RestockPolicy::Full, &[1500]), (8, 9));
    assert_eq!(after_refunds(RestockPolicy::Full, &[1500, 4000]), (10, 10));
    assert_eq!(after_refunds(RestockPolicy::Any, &[5500]), (10, 10));
    assert_eq!(after_refunds(RestockPolicy::Any, &[1500]), (8, 10));
}

#[test]
fn a_partial_refund_brings_back_the_line_or_the_piece_that_costs_as_much() {
    assert_eq!(after_refunds(RestockPolicy::Any, &[4000]), (10, 9));
    assert_eq!(after_refunds(RestockPolicy::Any, &[2000]), (9, 9));
    assert_eq!(after_refunds(RestockPolicy::Any, &[2000, 2000]), (10, 9));
}

#[test]
fn what_a_partial_refund_is_for_is_never_guessed() {
    assert_eq!(after_refunds(RestockPolicy::Any, &[1234]), (8, 9));
    // A line and a piece of another that cost the same are no guess: the line. Two lines that do are one.
    let twins = || {
        sale(vec![
            line("a", 1, 1500, Some("MAT")),
            line("b", 1, 1500, Some("MUG")),
        ])
    };
    let mut shop = Shop::selling(twins());
    shop.tell(SALE, completed());
    shop.tell(SALE + 1, refunded("fre_1", "succeeded", 1500));
    assert_eq!(on_hand(&shop), (9, 9));
}

#[test]
fn a_word_that_is_not_understood_brings_nothing_back_and_calls_a_person_once() {
    let mut shop = sold_out(RestockPolicy::Any);
    let before = (shop.order().clone(), on_hand(&shop));
    // By its amount alone, the refund would be the mug's.
    let mut facts = refund_facts("fpi_1", "succeeded", 1500);
    facts.goods_unclear = true;
    shop.tell(SALE + 1, Change::Refund(refund_news("fre_1", facts)));
    assert_eq!(on_hand(&shop), before.1);
    let is_told = |known: &Order| Alerts::between(Some(known), shop.order()).restock_unclear;
    assert_eq!((is_told(&before.0), is_told(shop.order())), (true, false));
}

#[test]
fn the_merchants_word_says_what_came_back() {
    let mut shop = sold_out(RestockPolicy::Any);
    let goods = vec![
        Goods {
            sku: sku("MAT"),
            quantity: 1,
        },
        Goods {
            sku: sku("NO-SUCH"),
            quantity: 3,
        },
    ];
    let mut facts = refund_facts("fpi_1", "succeeded", 1500);
    facts.goods = goods;
    shop.tell(SALE + 1, Change::Refund(refund_news("fre_1", facts)));
    assert_eq!(
        on_hand(&shop),
        (9, 9),
        "the amount is the mug's, and it was a mat"
    );
}

#[test]
fn no_more_comes_back_than_was_taken() {
    assert_eq!(
        after_refunds(RestockPolicy::Any, &[1500, 1500, 1500]),
        (8, 10)
    );
    let mut shop = Shop::selling(sold());
    shop.tables.counters.insert(sku("MAT"), 1);
    shop.tell(SALE, completed());
    assert_eq!(shop.on_hand("MAT"), 0);
    shop.tell(SALE + 1, refunded("fre_1", "succeeded", 5500));
    assert_eq!(
        on_hand(&shop),
        (1, 10),
        "of the two mats that were sold, one was there"
    );
}

#[test]
fn what_the_merchant_does_not_count_does_not_come_back() {
    let mut shop = Shop::selling(sold());
    shop.tables.counters.remove(&sku("MUG"));
    shop.tell(SALE, completed());
    shop.tell(SALE + 1, refunded("fre_1", "succeeded", 5500));
    assert_eq!(shop.tables.counters, BTreeMap::from([(sku("MAT"), 10)]));
    // Goods that the merchant no longer counts do not go back either.
    let mut shop = sold_out(RestockPolicy::Any);
    shop.tables.counters.remove(&sku("MUG"));
    assert_eq!(
        shop.tell(SALE + 1, refunded("fre_1", "succeeded", 1500)),
        End::Done
    );
    assert_eq!(shop.tables.counters, BTreeMap::from([(sku("MAT"), 8)]));
}

#[test]
fn a_refund_or_a_dispute_waits_for_its_order() {
    for (what, change) in [
        ("refund", refunded("fre_1", "succeeded", 5500)),
        (
            "dispute",
            Change::Dispute(dispute_news("fdsp_1", "lost", None)),
        ),
    ] {
        let mut shop = Shop::selling(sold());
        let event = facts("fevt_1", SALE - 1, change);
        assert_eq!(
            shop.deliver(&event),
            End::Waits(ParkReason::OrderUnknown(what))
        );
        assert!(shop.tables.orders.is_empty());
        shop.tell(SALE, completed());
        assert_eq!(shop.deliver(&event), End::Done);
        assert_eq!(
            shop.order().refunds.len() + shop.order().disputes.len(),
            1,
            "{what}"
        );
    }
}

#[test]
fn a_refund_or_a_dispute_waits_for_its_orders_money() {
    let mut shop = Shop::selling(with_payments(sold(), &["processing"]));
    shop.tell(SALE, completed());
    let waits = |what| End::Waits(ParkReason::OrderUnknown(what));
    assert_eq!(
        shop.tell(SALE + 1, refunded("fre_1", "succeeded", 5500)),
        waits("refund")
    );
    assert_eq!(
        shop.deliver(&disputed(SALE + 1, "needs_response")),
        waits("dispute")
    );
}

#[test]
fn that_there_is_no_refund_to_read_is_waited_for() {
    let mut shop = sold_out(RestockPolicy::Any);
    let waits = End::Waits(ParkReason::NoRefund);
    assert_eq!(
        shop.tell(
            SALE + 1,
            Change::Fetch(Reference::RefundsOfPayment(id("fpi_1")))
        ),
        waits
    );
}

#[test]
fn a_listed_refund_of_a_payment_that_the_order_does_not_know_yet_waits_for_the_order() {
    let mut shop = sold_out(RestockPolicy::Any);
    let sale = shop.api.sales.get_mut(&order_id()).unwrap();
    sale.payment_intents.push(id("fpi_later"));
    let facts = refund_facts("fpi_later", "succeeded", 1500);
    shop.api.refunds = vec![refund_news("fre_1", facts)];
    let read = Change::Fetch(Reference::RefundsOfSale(order_id()));
    let waits = End::Waits(ParkReason::OrderUnknown("refund"));
    assert_eq!(shop.tell(SALE + 1, read), waits);
    assert_eq!(shop.order().refunded(), 0);
}

#[test]
fn a_listed_refund_that_is_not_understood_holds_up_no_other() {
    let mut shop = sold_out(RestockPolicy::Any);
    let unclear = UnclearRefund {
        refund_id: Some(id("fre_9")),
        why: Unreadable::Missing("refund.amount"),
    };
    shop.api.unclear_refund = Some(unclear.clone());
    let read = || Change::Fetch(Reference::RefundsOfSale(order_id()));
    let waits = End::Waits(ParkReason::UnclearRefund(unclear));
    // Nothing beside it, then one, then the same again.
    assert_eq!(shop.tell(SALE + 1, read()), waits);
    let good = refund_news("fre_1", refund_facts("fpi_1", "succeeded", 1500));
    shop.api.refunds = vec![good];
    for second in 2..4 {
        assert_eq!(shop.tell(SALE + second, read()), waits);
        assert_eq!(shop.order().refunded(), 1500);
    }
    assert_eq!(shop.receipts(), ["fcs_1-order", "fre_1-refund"]);
    shop.api.refunds[0] = refund_news("fre_1", refund_facts("fpi_1", "failed", 1500));
    let Decision::Wait {
        commit: Some(commit),
        ..
    } = shop.decide(&facts("fevt_4", SALE + 4, read()))
    else {
        panic!("it waits with facts")
    };
    assert!(commit.alerts.refund_failed);
    assert_eq!(commit.order.unwrap().bundle, shop.policy.bundle);
    let expected = "a listed refund (fre_9) is not understood: `refund.amount` is missing";
    let End::Waits(park_reason) = waits else {
        unreachable!()
    };
    assert_eq!(park_reason.to_string(), expected);
}

#[test]
fn money_in_another_currency_than_its_orders_is_parked() {
    let mut shop = sold_out(RestockPolicy::Any);
    let before = shop.order().clone();
    let parked = |what| {
        End::Parked(ParkReason::OtherCurrency {
            what,
            stated: Currency::new("EUR").unwrap(),
            order: Currency::USD,
        })
    };
    let mut refund = refund_news("fre_1", refund_facts("fpi_1", "succeeded", 1500));
    refund.facts.value.currency = Currency::new("EUR").unwrap();
    let mut dispute = dispute_news("fdsp_1", "needs_response", None);
    dispute.facts.value.currency = Currency::new("EUR").unwrap();
    let end = shop.tell(SALE + 1, Change::Refund(refund));
    assert_eq!(end, parked("refund"));
    let end = shop.tell(SALE + 1, Change::Dispute(dispute));
    assert_eq!(end, parked("dispute"));
    assert_eq!(*shop.order(), before);
}

#[test]
fn a_dispute_is_open_until_it_is_closed() {
    let mut shop = sold_out(RestockPolicy::Any);
    for (second, status, open) in [
        (SALE + 1, "needs_response", true),
        (SALE + 2, "under_review", true),
        (SALE + 3, "a word of next year", true),
        (SALE + 4, "won", false),
        (SALE + 3, "under_review", false),
        (SALE + 5, "a word of next year", false),
    ] {
        shop.deliver(&disputed(second, status));
        assert_eq!(shop.order().is_disputed(), open, "{status}");
    }
    assert_eq!(
        shop.order().disputes[&id("fdsp_1")].facts.value.due_by,
        Some(at(SALE + 10 * DAY))
    );
    // A dispute does not change the state of the payment.
    assert_eq!(shop.order().state(), OrderState::Paid);
}

#[test]
fn what_became_of_disputed_money_is_kept_by_its_own_time() {
    let mut shop = sold_out(RestockPolicy::Any);
    let tell = |shop: &mut Shop, second, funds| {
        shop.tell(
            second,
            Change::Dispute(dispute_news("fdsp_1", "needs_response", funds)),
        );
    };
    tell(&mut shop, SALE + 3, Some(dispute::DisputeFunds::Reinstated));
    tell(&mut shop, SALE + 1, Some(dispute::DisputeFunds::Withdrawn));
    tell(&mut shop, SALE + 4, None);
    let funds = shop.order().disputes[&id("fdsp_1")].funds.clone();
    assert_eq!(funds.unwrap().value, dispute::DisputeFunds::Reinstated);
}

#[test]
fn a_dispute_that_is_opened_or_lost_is_alarmed_once() {
    let mut shop = sold_out(RestockPolicy::Any);
    let alarms = [
        (SALE + 1, "warning_needs_response", (true, false)),
        (SALE + 2, "needs_response", (false, false)),
        (SALE + 3, "lost", (false, true)),
        (SALE + 3, "lost", (false, false)),
        (SALE + 4, "won", (false, false)),
    ];
    for (second, status, (opened, lost)) in alarms {
        let before = shop.order().clone();
        shop.deliver(&disputed(second, status));
        let expected = Alerts {
            dispute_opened: opened,
            dispute_lost: lost,
            ..Alerts::default()
        };
        assert_eq!(
            Alerts::between(Some(&before), shop.order()),
            expected,
            "{status}"
        );
    }
}

#[test]
fn news_of_the_other_mode_are_left_to_a_person() {
    let mut shop = sold_out(RestockPolicy::Any);
    let other = |what| {
        End::Parked(ParkReason::OtherMode {
            what,
            facts: Mode::Test,
            stack: Mode::Live,
        })
    };
    let Change::Payment(payment) = payment_change("fpi_1", None) else {
        unreachable!()
    };
    let payment = crate::sale::payment::PaymentChange {
        mode: Some(Mode::Test),
        ..payment
    };
    assert_eq!(shop.tell(SALE, Change::Payment(payment)), other("payment"));
    let refund = refund_news("fre_1", refund_facts("fpi_1", "succeeded", 1));
    let refund = crate::sale::refund::RefundChange {
        mode: Some(Mode::Test),
        ..refund
    };
    assert_eq!(shop.tell(SALE, Change::Refund(refund)), other("refund"));
    let dispute = dispute::DisputeChange {
        mode: Some(Mode::Test),
        ..dispute_news("fdsp_1", "lost", None)
    };
    assert_eq!(shop.tell(SALE, Change::Dispute(dispute)), other("dispute"));
}

#[test]
fn a_split_cart_is_one_order_with_both_payments() {
    let mut shop = Shop::selling(with_payments(sold(), &["succeeded", "succeeded"]));
    shop.tell(
        SALE - 1,
        payment_change("fpi_2", Some(paid("succeeded", 2750))),
    );
    shop.tell(SALE, completed());
    shop.tell(
        SALE + 1,
        payment_change("fpi_1", Some(paid("succeeded", 2750))),
    );
    assert_eq!(shop.order().payments.len(), 2);
    // A refund of either card is the order's.
    shop.tell(
        SALE + 2,
        Change::Refund(refund_news(
            "fre_1",
            refund_facts("fpi_1", "succeeded", 2750),
        )),
    );
    shop.tell(
        SALE + 3,
        Change::Refund(refund_news(
            "fre_2",
            refund_facts("fpi_2", "succeeded", 2750),
        )),
    );
    assert_eq!(
        (shop.order().state(), on_hand(&shop)),
        (OrderState::Refunded, (10, 10))
    );
    assert_eq!(
        shop.receipts(),
        ["fcs_1-order", "fre_1-refund", "fre_2-refund"]
    );
}
