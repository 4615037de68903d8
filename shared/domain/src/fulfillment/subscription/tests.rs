use super::{decide, entitlement_read_set};
use crate::fulfillment::{
    Decision, ParkReason, Patience,
    testing::{End, *},
};
use crate::fulfillment::{
    known::{Case, Known},
    read_set::ReadSet,
    still_so,
};
use crate::{
    access::{
        contact,
        subscription::{Bill, InvoiceEvent, Reason, Source, Subscription, SubscriptionFacts},
    },
    delivery::event::{Change, Event},
    fulfillment::read_set::Snapshot,
    ports::Committed,
    receipt::ReceiptKind,
    sale::statement::{Sale, SaleKind},
    values::mode::Mode,
};
use jiff::SignedDuration;

const PERIOD: i64 = 30 * DAY;
const FIRST: (i64, i64) = (SALE, SALE + PERIOD);
const SECOND: (i64, i64) = (SALE + PERIOD, SALE + 2 * PERIOD);
const PRICE: i64 = 4999;

/// The sale that the subscription begins with. It names neither its invoice nor a payment.
fn sold() -> Sale {
    Sale {
        kind: SaleKind::Subscription,
        subscription_id: Some(id("fsub_1")),
        payment_intents: Vec::new(),
        ..sale(vec![line("gym", 1, PRICE, None)])
    }
}

/// A shop whose provider shows an active subscription, if it is asked.
fn shop() -> Shop {
    let mut shop = Shop::selling(sold());
    shop.api
        .subscriptions
        .insert(id("fsub_1"), snapshot("active", FIRST.1));
    shop
}

/// A shop with a subscription that has begun and is paid for.
fn begun() -> Shop {
    let mut shop = shop();
    assert_eq!(shop.tell(SALE, created("incomplete")), End::Done);
    assert_eq!(shop.tell(SALE, completed()), End::Done);
    assert_eq!(shop.tell(SALE + 1, paid("fin_1", FIRST)), End::Done);
    assert_eq!(shop.tell(SALE + 2, updated("active", FIRST.1)), End::Done);
    shop
}

fn created(status: &str) -> Change {
    subscription_change(
        "fsub_1",
        SubscriptionFacts {
            source: Source::Created,
            ..snapshot(status, FIRST.1)
        },
    )
}

fn updated(status: &str, period_end: i64) -> Change {
    subscription_change("fsub_1", snapshot(status, period_end))
}

fn deleted() -> Change {
    subscription_change(
        "fsub_1",
        SubscriptionFacts {
            source: Source::Deleted,
            ..snapshot("canceled", FIRST.1)
        },
    )
}

fn paid(invoice: &str, period: (i64, i64)) -> Change {
    costing(invoice, period, PRICE)
}

fn costing(invoice: &str, period: (i64, i64), amount: i64) -> Change {
    invoice_change(
        "fsub_1",
        invoice,
        InvoiceEvent::Paid,
        bill(InvoiceEvent::Paid, amount, period),
    )
}

fn failed(invoice: &str, period: (i64, i64)) -> Change {
    let event = InvoiceEvent::PaymentFailed;
    invoice_change("fsub_1", invoice, event, bill(event, PRICE, period))
}

/// Until when there is access to the gym, after the sale, and why.
fn access(shop: &Shop) -> (i64, Reason) {
    let row = shop.access("fprod_gym");
    assert_eq!(row.reason_text, row.reason.to_string());
    (row.access_until.as_second(), row.reason)
}

#[test]
fn a_creation_gives_access_only_when_it_is_active_or_in_its_trial() {
    for (status, reason) in [
        ("incomplete", Reason::NotPaidYet),
        ("incomplete_expired", Reason::NotPaidYet),
        ("past_due", Reason::PaymentFailed),
        ("unpaid", Reason::PaymentFailed),
        ("paused", Reason::Paused),
        ("canceled", Reason::CanceledButPaid),
        ("a word of next year", Reason::UnknownStatus),
    ] {
        let mut shop = shop();
        shop.tell(SALE, created(status));
        assert_eq!(access(&shop), (0, reason), "{status}");
    }
    for (status, reason) in [("active", Reason::Paid), ("trialing", Reason::Trial)] {
        let mut shop = shop();
        shop.tell(SALE, created(status));
        assert_eq!(access(&shop), (FIRST.1, reason), "{status}");
    }
}

#[test]
fn a_paid_invoice_gives_access_to_what_is_incomplete() {
    let mut shop = shop();
    shop.tell(SALE, created("incomplete"));
    shop.tell(SALE, completed());
    shop.tell(SALE + 1, paid("fin_1", FIRST));
    assert_eq!(access(&shop), (FIRST.1, Reason::Paid));
    shop.tell(SALE, created("incomplete"));
    assert_eq!(access(&shop), (FIRST.1, Reason::Paid));
}

#[test]
fn an_invoice_that_comes_before_anything_else_is_asked_about_and_gives_access_at_once() {
    let mut shop = shop();
    let waits = End::Waits(ParkReason::OrderUnknown("invoice"));
    assert_eq!(shop.tell(SALE + 1, paid("fin_1", FIRST)), waits);
    assert_eq!(access(&shop), (FIRST.1, Reason::Paid));
    assert!(shop.receipts().is_empty());
}

#[test]
fn a_renewal_that_comes_before_its_order_waits_for_its_receipt_and_not_for_access() {
    let mut shop = shop();
    shop.tell(SALE, created("active"));
    let event = facts("fevt_9", SALE + PERIOD, paid("fin_2", SECOND));
    assert_eq!(
        shop.deliver(&event),
        End::Waits(ParkReason::OrderUnknown("invoice"))
    );
    assert_eq!(access(&shop), (SECOND.1, Reason::Paid));
    let before = shop.tables.clone();
    assert_eq!(
        shop.deliver(&event),
        End::Waits(ParkReason::OrderUnknown("invoice"))
    );
    assert_eq!(
        shop.tables, before,
        "a try that finds nothing new writes nothing"
    );
    shop.tell(SALE, completed());
    assert_eq!(shop.deliver(&event), End::Done);
    assert_eq!(shop.receipts(), ["fcs_1-order", "fin_2-order"]);
}

#[test]
fn two_names_of_one_payment_give_one_receipt() {
    let mut shop = begun();
    for second in [SALE + PERIOD, SALE + PERIOD, SALE + PERIOD + 1] {
        assert_eq!(shop.tell(second, paid("fin_2", SECOND)), End::Done);
    }
    assert_eq!(shop.receipts(), ["fcs_1-order", "fin_2-order"]);
    assert_eq!(access(&shop), (SECOND.1, Reason::Paid));
    // The event under the other name finds the mail that may still be unsent.
    let event = facts("fevt_twin", SALE + PERIOD, paid("fin_2", SECOND));
    assert_eq!(
        shop.decide(&event),
        Decision::Nothing {
            unsent: vec![id("fin_2-order")]
        }
    );
}

#[test]
fn a_renewal_that_cost_nothing_has_no_receipt_and_gives_access() {
    let mut shop = begun();
    assert_eq!(
        shop.tell(SALE + PERIOD, costing("fin_2", SECOND, 0)),
        End::Done
    );
    assert_eq!(shop.receipts(), ["fcs_1-order"]);
    assert_eq!(access(&shop), (SECOND.1, Reason::Paid));
}

#[test]
fn an_invoice_that_cost_nothing_does_not_wait_for_its_order() {
    let mut shop = shop();
    assert_eq!(shop.tell(SALE, costing("fin_1", FIRST, 0)), End::Done);
}

/// The receipts of a shop whose first invoice comes before or after the order, with its creation in between.
fn receipts_of(
    sold: &Sale,
    born_with: Option<&str>,
    bill: &Bill,
    order_first: bool,
) -> Vec<String> {
    let mut shop = shop();
    shop.api.sales.insert(order_id(), sold.clone());
    let born = SubscriptionFacts {
        source: Source::Created,
        latest_invoice: born_with.map(id),
        ..snapshot("incomplete", FIRST.1)
    };
    let invoice = facts(
        "fevt_invoice",
        SALE + 1,
        invoice_change("fsub_1", "fin_1", InvoiceEvent::Paid, bill.clone()),
    );
    if order_first {
        shop.tell(SALE, completed());
    }
    let end = shop.deliver(&invoice);
    shop.tell(SALE, subscription_change("fsub_1", born));
    if !order_first {
        shop.tell(SALE, completed());
    }
    if let End::Waits(_) = end {
        assert_eq!(shop.deliver(&invoice), End::Done);
    }
    shop.receipts().into_iter().map(str::to_owned).collect()
}

#[test]
fn the_first_invoice_has_no_receipt_beside_the_orders_by_whatever_it_is_known() {
    let far = (SALE + 5 * DAY, SALE + 35 * DAY);
    let by_time = bill(InvoiceEvent::Paid, PRICE, FIRST);
    let none = bill(InvoiceEvent::Paid, PRICE, far);
    let by_payment = Bill {
        payment_intent_id: Some(id("fpi_1")),
        ..none.clone()
    };
    let naming = Sale {
        invoice_id: Some(id("fin_1")),
        ..sold()
    };
    let paying = Sale {
        payment_intents: vec![id("fpi_1")],
        ..sold()
    };
    for order_first in [true, false] {
        for (way, receipts) in [
            ("the sale", receipts_of(&naming, None, &none, order_first)),
            (
                "the payment",
                receipts_of(&paying, None, &by_payment, order_first),
            ),
            (
                "the time",
                receipts_of(&sold(), None, &by_time, order_first),
            ),
        ] {
            assert_eq!(
                receipts,
                ["fcs_1-order"],
                "{way}, order first: {order_first}"
            );
        }
    }
    // The creation states it only from then on.
    assert_eq!(
        receipts_of(&sold(), Some("fin_1"), &none, false),
        ["fcs_1-order"]
    );
    assert_eq!(
        receipts_of(&sold(), None, &none, true),
        ["fcs_1-order", "fin_1-order"]
    );
}

#[test]
fn a_failed_renewal_ends_access_with_what_is_paid_for() {
    let mut shop = begun();
    shop.tell(SALE + PERIOD, updated("active", SECOND.1));
    assert_eq!(access(&shop), (SECOND.1, Reason::Paid));
    shop.tell(SALE + PERIOD, failed("fin_2", SECOND));
    assert_eq!(access(&shop), (FIRST.1, Reason::PaymentFailed));
    shop.tell(SALE + PERIOD + DAY, paid("fin_2", SECOND));
    assert_eq!(access(&shop), (SECOND.1, Reason::Paid));
}

#[test]
fn only_the_first_failure_sets_the_grace_clock() {
    let mut shop = begun();
    shop.policy.grace = SignedDuration::from_secs(3 * DAY);
    for n in 0..3 {
        shop.tell(SALE + PERIOD + n * DAY, failed("fin_2", SECOND));
        shop.tell(SALE + PERIOD + n * DAY, updated("past_due", SECOND.1));
        assert_eq!(access(&shop), (SALE + PERIOD + 3 * DAY, Reason::Grace));
    }
}

#[test]
fn access_is_never_written_by_a_subscription_that_has_changed_since_it_was_read() {
    let mut shop = begun();
    let stale = shop.subscription("fsub_1").clone();
    shop.tell(SALE + DAY, deleted());
    // An event without new facts. Its subscription was read before the end, and its access after it.
    let rows = Snapshot {
        subscription: Some(stale.clone()),
        entitlements: vec![shop.access("fprod_gym").clone()],
        ..Snapshot::default()
    };
    let event = facts("fevt_again", SALE + 2, updated("active", FIRST.1));
    let Change::Subscription(change) = &event.change else {
        panic!("{event:?}")
    };
    let mut known = Known::default();
    let key = (change.customer_id.clone(), change.subscription_id.clone());
    let read = ReadSet {
        subscription: Some(key),
        ..entitlement_read_set(&stale)
    };
    known.add_rows(read, rows);
    let case = Case {
        event: &stored(&event),
        scope: &crate::values::scope::Scope::UNSTATED,
        stamp: None,
        known: &known,
        policy: &shop.policy,
        provider: shop.provider,
        stated_at: at(SALE + 2),
        now: shop.now,
    };
    let decision = decide(&case, change).unwrap();
    assert_eq!(shop.tables.commit(&commit(decision)), Committed::Raced);
    assert_eq!(access(&shop), (SALE + DAY, Reason::Ended));
}

#[test]
fn a_deletion_ends_access_at_once_and_for_good() {
    let mut shop = begun();
    shop.api
        .subscriptions
        .insert(id("fsub_1"), snapshot("canceled", FIRST.1));
    assert_eq!(shop.tell(SALE + DAY, deleted()), End::Done);
    assert_eq!(access(&shop), (SALE + DAY, Reason::Ended));
    shop.tell(SALE + 2 * DAY, updated("active", FIRST.1));
    assert_eq!(access(&shop), (SALE + DAY, Reason::Ended));
}

#[test]
fn to_be_canceled_keeps_access_to_the_end_of_the_period() {
    let mut shop = begun();
    let leaves = SubscriptionFacts {
        cancel_at_period_end: true,
        ..snapshot("active", FIRST.1)
    };
    shop.tell(SALE + DAY, subscription_change("fsub_1", leaves));
    assert_eq!(access(&shop), (FIRST.1, Reason::CancelsAtPeriodEnd));
    shop.tell(SALE + 2 * DAY, updated("canceled", FIRST.1));
    assert_eq!(access(&shop), (FIRST.1, Reason::CanceledButPaid));
}

#[test]
fn a_deletion_that_everything_speaks_against_takes_nothing_and_is_left_to_a_person() {
    let mut shop = begun();
    shop.tell(SALE + PERIOD, paid("fin_2", SECOND));
    let before = shop.tables.clone();
    let park_reason = ParkReason::Contradicted("active".to_owned());
    assert_eq!(park_reason.patience(), Patience::Short);
    assert_eq!(shop.tell(SALE + DAY, deleted()), End::Parked(park_reason));
    assert_eq!(shop.tables, before);
}

#[test]
fn a_deletion_that_only_our_facts_speak_against_is_settled_by_the_provider() {
    let mut shop = begun();
    shop.tell(SALE + PERIOD, paid("fin_2", SECOND));
    shop.api
        .subscriptions
        .insert(id("fsub_1"), snapshot("canceled", FIRST.1));
    assert_eq!(shop.tell(SALE + DAY, deleted()), End::Done);
    assert_eq!(access(&shop), (SALE + DAY, Reason::Ended));
    // A payment after the end is a contradiction as well, and the provider's word stands.
    assert_eq!(
        shop.tell(SALE + 3 * PERIOD, paid("fin_3", SECOND)),
        End::Done
    );
    assert_eq!(access(&shop), (SALE + DAY, Reason::Ended));
}

#[test]
fn a_payment_after_the_end_of_what_the_provider_says_is_alive_is_left_to_a_person() {
    let mut shop = begun();
    shop.tell(SALE + DAY, deleted());
    let parked = End::Parked(ParkReason::Contradicted("active".to_owned()));
    assert_eq!(shop.tell(SALE + PERIOD, paid("fin_2", SECOND)), parked);
}

#[test]
fn a_change_of_plan_moves_access_from_one_product_to_the_other() {
    let mut shop = begun();
    let pool = SubscriptionFacts {
        items: vec![item("fprod_pool")],
        ..snapshot("active", FIRST.1)
    };
    shop.tell(SALE + DAY, subscription_change("fsub_1", pool));
    assert_eq!(access(&shop), (0, Reason::NotInPlan));
    let row = shop.access("fprod_pool");
    assert_eq!((row.access_until, row.reason), (at(FIRST.1), Reason::Paid));
    // A late event from before the change moves nothing back.
    shop.tell(SALE + 3, updated("active", FIRST.1));
    assert_eq!(access(&shop), (0, Reason::NotInPlan));
    // A renewal extends the present plan.
    shop.tell(SALE + PERIOD, paid("fin_2", SECOND));
    assert_eq!(
        (access(&shop).0, shop.access("fprod_pool").access_until),
        (0, at(SECOND.1))
    );
}

#[test]
fn of_two_subscriptions_for_one_product_the_longer_one_gives_access() {
    let mut shop = begun();
    let other = |status, period_end| subscription_change("fsub_2", snapshot(status, period_end));
    shop.api
        .subscriptions
        .insert(id("fsub_2"), snapshot("active", SECOND.1));
    shop.tell(SALE, other("active", SECOND.1));
    let row = shop.access("fprod_gym");
    assert_eq!(
        (row.access_until, row.granted_by.as_str()),
        (at(SECOND.1), "fsub_2")
    );
    // The end of one leaves the other.
    shop.tell(
        SALE + DAY,
        subscription_change(
            "fsub_2",
            SubscriptionFacts {
                source: Source::Deleted,
                ..snapshot("canceled", SECOND.1)
            },
        ),
    );
    assert_eq!(access(&shop), (FIRST.1, Reason::Paid));
    assert_eq!(shop.access("fprod_gym").granted_by.as_str(), "fsub_1");
    assert_eq!(shop.access("fprod_gym").grants.len(), 2);
}

#[test]
fn access_that_is_paid_for_and_to_nothing_is_waited_for() {
    let mut shop = shop();
    let nothing = SubscriptionFacts {
        items: Vec::new(),
        ..snapshot("active", FIRST.1)
    };
    shop.api.subscriptions.insert(id("fsub_1"), nothing.clone());
    let change = subscription_change("fsub_1", nothing);
    assert_eq!(shop.tell(SALE, change), End::Waits(ParkReason::NoProduct));
    assert_eq!(ParkReason::NoProduct.patience(), Patience::Short);
}

#[test]
fn the_provider_is_asked_of_what_is_vague_or_contradicted_and_else_not() {
    let shop = begun();
    assert!(!shop.subscription("fsub_1").must_be_asked_for());
    let unknown = Subscription::new("flex".parse().unwrap(), id("fcus_1"), id("fsub_9"));
    assert!(unknown.must_be_asked_for());
    let mut contradicted = shop.subscription("fsub_1").clone();
    contradicted.ended_at = Some(at(SALE));
    assert!(contradicted.must_be_asked_for());
}

#[test]
fn news_of_the_other_mode_are_left_to_a_person() {
    let mut shop = shop();
    let other = |what| {
        End::Parked(ParkReason::OtherMode {
            what,
            facts: Mode::Test,
            stack: Mode::Live,
        })
    };
    let Change::Subscription(change) = created("active") else {
        unreachable!()
    };
    let change = crate::access::subscription::SubscriptionChange {
        mode: Some(Mode::Test),
        ..change
    };
    assert_eq!(
        shop.tell(SALE, Change::Subscription(change)),
        other("subscription")
    );
    let Change::Invoice(change) = paid("fin_1", FIRST) else {
        unreachable!()
    };
    let change = crate::access::subscription::InvoiceChange {
        mode: Some(Mode::Test),
        ..change
    };
    assert_eq!(shop.tell(SALE, Change::Invoice(change)), other("invoice"));
    let facts = contact::ContactFacts {
        name: None,
        email: None,
    };
    let change = contact::ContactChange {
        customer_id: id("fcus_1"),
        mode: Some(Mode::Test),
        facts: Some(facts.into()),
    };
    assert_eq!(shop.tell(SALE, Change::Customer(change)), other("customer"));
}

/// A shop that mails notices, with a subscription in its trial.
fn trying() -> (Shop, i64) {
    let trial_end = NOW + 10 * DAY;
    let mut shop = shop();
    shop.policy.trial_ends_mail = true;
    shop.policy.payment_failed_mail = true;
    shop.tell(SALE, subscription_change("fsub_1", trial(trial_end)));
    (shop, trial_end)
}

fn trial(trial_end: i64) -> SubscriptionFacts {
    SubscriptionFacts {
        trial_end: Some(at(trial_end)),
        ..snapshot("trialing", trial_end)
    }
}

/// The mails that would go out now.
fn sent(shop: &Shop) -> Vec<&str> {
    let subscription = shop.subscription("fsub_1");
    let receipts = shop.tables.receipts.values();
    let so = receipts.filter(|receipt| still_so(&receipt.kind, Some(subscription)));
    so.map(|receipt| receipt.receipt_id.as_str()).collect()
}

#[test]
fn that_a_trial_ends_is_mailed_three_days_before_once_the_order_is_known() {
    let (mut shop, trial_end) = trying();
    assert!(shop.receipts().is_empty());
    shop.tell(SALE, completed());
    let notice = format!("fsub_1-trial_ends-{trial_end}");
    assert_eq!(shop.receipts(), ["fcs_1-order", notice.as_str()]);
    assert_eq!(
        shop.tables.receipts[&id(&notice)].due_at,
        Some(at(trial_end - 3 * DAY))
    );
    shop.tell(SALE + 1, subscription_change("fsub_1", trial(trial_end)));
    assert_eq!(shop.receipts().len(), 2);
}

#[test]
fn that_a_trial_ends_is_not_said_of_one_that_is_extended_left_or_over() {
    let (mut shop, trial_end) = trying();
    shop.tell(SALE, completed());
    shop.tell(
        SALE + 1,
        subscription_change("fsub_1", trial(trial_end + DAY)),
    );
    assert_eq!(
        sent(&shop),
        [
            "fcs_1-order",
            &format!("fsub_1-trial_ends-{}", trial_end + DAY)
        ]
    );
    let leaves = SubscriptionFacts {
        cancel_at_period_end: true,
        ..trial(trial_end + DAY)
    };
    shop.tell(SALE + 2, subscription_change("fsub_1", leaves));
    assert_eq!(sent(&shop), ["fcs_1-order"]);
}

#[test]
fn that_a_trial_has_ended_is_no_news() {
    let (mut shop, _) = trying();
    shop.now = at(NOW + 10 * DAY);
    shop.tell(SALE, completed());
    assert_eq!(shop.receipts(), ["fcs_1-order"]);
}

#[test]
fn notices_are_off_unless_they_are_asked_for() {
    let (mut shop, _) = trying();
    shop.policy = policy();
    shop.tell(SALE, completed());
    shop.tell(SALE + PERIOD, failed("fin_2", SECOND));
    assert_eq!(shop.receipts(), ["fcs_1-order"]);
}

#[test]
fn a_failed_renewal_is_mailed_once_whichever_comes_first_it_or_the_order() {
    let orders: [fn(&mut Shop); 2] = [
        |shop| {
            shop.tell(SALE, completed());
            shop.tell(SALE + PERIOD, failed("fin_2", SECOND));
        },
        |shop| {
            assert_eq!(shop.tell(SALE + PERIOD, failed("fin_2", SECOND)), End::Done);
            shop.tell(SALE, completed());
        },
    ];
    for order in orders {
        let mut shop = shop();
        shop.policy.payment_failed_mail = true;
        shop.tell(SALE, created("active"));
        order(&mut shop);
        shop.tell(SALE + PERIOD + DAY, failed("fin_2", SECOND));
        assert_eq!(sent(&shop), ["fcs_1-order", "fin_2-payment_failed"]);
        // Paid after all: a notice that was not sent yet is never sent.
        shop.tell(SALE + PERIOD + 2 * DAY, paid("fin_2", SECOND));
        assert_eq!(sent(&shop), ["fcs_1-order", "fin_2-order"]);
    }
}

#[test]
fn a_first_payment_that_fails_is_not_mailed() {
    let mut shop = shop();
    shop.policy.payment_failed_mail = true;
    shop.tell(SALE, created("incomplete"));
    shop.tell(SALE, failed("fin_1", FIRST));
    shop.tell(SALE, completed());
    shop.tell(SALE, failed("fin_1", FIRST));
    assert_eq!(shop.receipts(), ["fcs_1-order"]);
}

#[test]
fn a_notice_is_withdrawn_with_its_subscription_and_a_receipt_never() {
    let mut shop = begun();
    shop.policy.payment_failed_mail = true;
    shop.tell(SALE + PERIOD, failed("fin_2", SECOND));
    assert_eq!(sent(&shop), ["fcs_1-order", "fin_2-payment_failed"]);
    shop.api
        .subscriptions
        .insert(id("fsub_1"), snapshot("canceled", FIRST.1));
    shop.tell(SALE + PERIOD + DAY, deleted());
    assert_eq!(sent(&shop), ["fcs_1-order"]);
    let notice = &shop.tables.receipts[&id("fin_2-payment_failed")].kind;
    assert!(!still_so(notice, None) && still_so(&ReceiptKind::Order, None));
}

#[test]
fn the_link_from_checkout_to_subscription_is_kept_whichever_comes_first() {
    let events: [Event; 2] = [
        facts("fevt_1", SALE, completed()),
        facts("fevt_2", SALE, created("active")),
    ];
    for order in [[0, 1], [1, 0]] {
        let mut shop = shop();
        for n in order {
            shop.deliver(&events[n]);
        }
        let beginning = shop.subscription("fsub_1").beginning.clone().unwrap();
        assert_eq!(beginning.order_id, order_id());
        assert_eq!(shop.order().subscription_id, Some(id("fsub_1")));
        assert_eq!(access(&shop), (FIRST.1, Reason::Paid));
    }
}
