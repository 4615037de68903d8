//! What comes after a checkout, by its outcomes: from the signed delivery to the rows and the mails, over the ports in
//! memory.

use domain::{
    access::subscription::Reason,
    delivery::stored_event::EventState,
    ports::Clock as _,
    receipt::OnUnknown,
    sale::{
        checkout::{Capture, Checkout},
        dispute::DisputeStage,
        order::{Order, OrderFunds, OrderState},
        payment,
        restock::RestockPolicy,
    },
    values::{
        ids::{
            CustomerId, DisputeId, EventId, OrderId, PaymentIntentId, ProductId, ReceiptId,
            RefundId, SubscriptionId,
        },
        outcome::{Outcome, RetryableError},
    },
};
use jiff::Timestamp;
use kit::{
    drive::Bundle,
    life::Life,
    shop::{self, id, sample},
    story::{Delivery, End, ON_HAND, checkout, open_shop, purchase, sku},
};
use proptest::prelude::*;
use serde_json::{Value, json};

/// The shop, with the first checkout sold.
async fn sold() -> Bundle {
    let bundle = open_shop(OnUnknown::Resend);
    bundle.provider_has(&checkout(&purchase(1)));
    bundle.deliver(&completed("fevt_1"), false).await;
    bundle.drain().await;
    bundle
}

fn completed(event_id: &str) -> Delivery {
    Delivery::of(&purchase(1), event_id)
}

/// News of some type, in live mode.
fn change(kind: &str, event_id: &str, at: i64, name: &str, mut resource: Value) -> Delivery {
    resource["test_mode"] = json!(false);
    let body = shop::event(kind, event_id, at, name, &resource);
    Delivery {
        id: format!("msg_{event_id}"),
        body: String::from_utf8(body).unwrap(),
    }
}

/// A payment of the first purchase: the first or the second.
fn payment(n: usize) -> String {
    purchase(1).session["payment_intents"][n]
        .as_str()
        .unwrap()
        .to_owned()
}

fn refund(
    kind: &str,
    event_id: &str,
    at: i64,
    refund_id: &str,
    status: &str,
    amount: i64,
) -> Delivery {
    let mut refund = sample("refund.updated")["object"]["refund"].take();
    refund["refund_id"] = json!(refund_id);
    refund["payment_intent_id"] = json!(payment(1));
    refund["status"] = json!(status);
    refund["amount"] = json!(amount);
    refund["metadata"] = json!({});
    change(kind, event_id, at, "refund", refund)
}

fn dispute(event_id: &str, at: i64, kind: &str, status: &str) -> Delivery {
    let mut dispute = sample("charge.dispute.created")["object"]["dispute"].take();
    dispute["dispute_id"] = json!("fdsp_1");
    dispute["payment_intent_id"] = json!(payment(0));
    dispute["status"] = json!(status);
    change(
        &format!("charge.dispute.{kind}"),
        event_id,
        at,
        "dispute",
        dispute,
    )
}

fn order(bundle: &Bundle) -> Order {
    let id = OrderId::new(purchase(1).order_id()).unwrap();
    bundle.world.kept().orders[&id].clone()
}

fn state(bundle: &Bundle, event_id: &str) -> (EventState, Option<String>) {
    let kept = bundle.world.kept();
    let event = &kept.events[&EventId::new(event_id).unwrap()];
    (event.state, event.reason.clone())
}

fn receipts(bundle: &Bundle) -> Vec<String> {
    let end = End::of(&bundle.world.kept());
    assert_eq!((end.queued, end.dead_letters), (0, Vec::new()));
    end.mails.iter().map(ReceiptId::to_string).collect()
}

fn refund_id(text: &str) -> RefundId {
    RefundId::new(text).unwrap()
}

/// The provider's API knows of this payment of the first purchase.
fn provider_tells(bundle: &Bundle, n: usize, status: &str) {
    let mut kept = bundle.world.kept();
    let known = kept.checkouts.values_mut().next().unwrap();
    let facts = payment::PaymentFacts {
        status: status.into(),
        received: None,
        amount: Some(3497),
        card: None,
    };
    known
        .payments
        .insert(PaymentIntentId::new(payment(n)).unwrap(), facts);
}

/// The shop, and the first checkout completed but paid for otherwise than at once.
async fn unpaid(capture: Capture, status: &str) -> Bundle {
    let bundle = open_shop(OnUnknown::Resend);
    bundle.provider_has(&Checkout {
        capture,
        received: Some(0),
        ..checkout(&purchase(1))
    });
    for n in 0..2 {
        provider_tells(&bundle, n, status);
    }
    bundle.deliver(&completed("fevt_1"), false).await;
    bundle.drain().await;
    bundle
}

fn has_released_nothing(bundle: &Bundle) {
    let order = order(bundle);
    assert_eq!((order.fulfilled_at, order.receipt_id), (None, None));
    let kept = bundle.world.kept();
    assert_eq!(kept.counters[&sku("BRACE-M")], ON_HAND);
    assert!(kept.movements.is_empty() && kept.receipts.is_empty() && kept.mails.is_empty());
}

fn succeeded(event_id: &str, n: usize) -> Delivery {
    let mut intent = sample("payment_intent.succeeded")["object"]["payment_intent"].take();
    intent["payment_intent_id"] = json!(payment(n));
    change(
        "payment_intent.succeeded",
        event_id,
        1_760_090_100,
        "payment_intent",
        intent,
    )
}

#[tokio::test]
async fn a_payment_that_is_captured_later_releases_goods_and_receipt_then_and_once() {
    let bundle = unpaid(Capture::Manual, "requires_capture").await;
    assert_eq!(
        order(&bundle).state(),
        OrderState::Waiting(OrderFunds::Authorized)
    );
    has_released_nothing(&bundle);
    // The merchant captures: both payments say so, and the checkout's own event comes again under a new id.
    for n in 0..2 {
        provider_tells(&bundle, n, "succeeded");
    }
    for delivery in [
        succeeded("fevt_2", 0),
        succeeded("fevt_3", 1),
        completed("fevt_4"),
        succeeded("fevt_5", 0),
    ] {
        bundle.deliver(&delivery, false).await;
    }
    bundle.drain().await;
    assert_eq!(order(&bundle).state(), OrderState::Paid);
    assert_eq!(bundle.world.kept().counters[&sku("BRACE-M")], ON_HAND - 2);
    assert_eq!(
        receipts(&bundle),
        [format!("{}-order", purchase(1).order_id())]
    );
}

#[tokio::test]
async fn a_delayed_payment_is_a_state_of_its_order_until_the_money_is_here() {
    let bundle = unpaid(Capture::Automatic, "processing").await;
    assert_eq!(
        order(&bundle).state(),
        OrderState::Waiting(OrderFunds::Processing)
    );
    has_released_nothing(&bundle);
    for n in 0..2 {
        provider_tells(&bundle, n, "succeeded");
    }
    let session = purchase(1).session;
    let kind = "checkout.session.async_payment_succeeded";
    bundle
        .deliver(
            &change(kind, "fevt_2", 1_760_190_000, "checkout_session", session),
            false,
        )
        .await;
    bundle.drain().await;
    assert_eq!(
        (order(&bundle).state(), receipts(&bundle).len()),
        (OrderState::Paid, 1)
    );
}

#[tokio::test]
async fn a_payment_that_fails_or_runs_out_is_a_state_of_its_order_and_releases_nothing() {
    for (capture, before, kind, funds) in [
        (
            Capture::Automatic,
            "processing",
            "async_payment_failed",
            OrderFunds::Failed,
        ),
        (
            Capture::Manual,
            "requires_capture",
            "expired",
            OrderFunds::Expired,
        ),
    ] {
        let bundle = unpaid(capture, before).await;
        for n in 0..2 {
            provider_tells(&bundle, n, "canceled");
        }
        let session = purchase(1).session;
        let kind = format!("checkout.session.{kind}");
        bundle
            .deliver(
                &change(&kind, "fevt_2", 1_760_190_000, "checkout_session", session),
                false,
            )
            .await;
        bundle.drain().await;
        assert_eq!(order(&bundle).state(), OrderState::Waiting(funds));
        has_released_nothing(&bundle);
    }
}

#[tokio::test]
async fn what_a_payment_announces_counts_even_while_the_providers_api_is_behind() {
    let bundle = unpaid(Capture::Manual, "requires_capture").await;
    for (n, event_id) in [(0, "fevt_2"), (1, "fevt_3")] {
        assert_eq!(
            order(&bundle).state(),
            OrderState::Waiting(OrderFunds::Authorized)
        );
        bundle.deliver(&succeeded(event_id, n), false).await;
        bundle.drain().await;
    }
    assert_eq!(
        (order(&bundle).state(), receipts(&bundle).len()),
        (OrderState::Paid, 1)
    );
}

#[tokio::test]
async fn a_delayed_payment_that_the_provider_does_not_know_yet_is_asked_for_again() {
    let bundle = unpaid(Capture::Automatic, "processing").await;
    let kind = "checkout.session.async_payment_succeeded";
    let paid = change(
        kind,
        "fevt_2",
        1_760_190_000,
        "checkout_session",
        purchase(1).session,
    );
    bundle.deliver(&paid, false).await;
    let early = bundle
        .fulfillment
        .fulfill(&EventId::new("fevt_2").unwrap(), 1)
        .await;
    assert!(
        matches!(early, Outcome::Retry(RetryableError::TooEarly(_))),
        "{early:?}"
    );
    for n in 0..2 {
        provider_tells(&bundle, n, "succeeded");
    }
    bundle.drain().await;
    assert_eq!(
        (order(&bundle).state(), receipts(&bundle).len()),
        (OrderState::Paid, 1)
    );
}

#[tokio::test]
async fn a_checkout_that_was_read_while_its_payment_was_announced_is_read_again() {
    let bundle = unpaid(Capture::Manual, "requires_capture").await;
    // The charge says only that there is something new, in the very second in which the checkout is read.
    let mut charge = sample("charge.captured")["object"]["charge"].take();
    charge["payment_intent"] = json!(payment(0));
    let reads = |bundle: &Bundle| {
        bundle
            .world
            .kept()
            .calls
            .iter()
            .filter(|call| **call == "api.checkout")
            .count()
    };
    let before = reads(&bundle);
    let at = bundle.world.now();
    let id = PaymentIntentId::new(payment(0)).unwrap();
    bundle.world.kept().links.get_mut(&id).unwrap().heard_at = Some(at);
    bundle
        .deliver(
            &change("charge.captured", "fevt_2", 1_760_090_100, "charge", charge),
            false,
        )
        .await;
    bundle.drain().await;
    assert!(reads(&bundle) > before + 1, "once is not enough");
}

#[tokio::test]
async fn a_renewals_refund_is_not_the_refund_of_an_order_that_cost_nothing() {
    let mut bundle = open_shop(OnUnknown::Resend);
    bundle.fulfillment.policy.restock = RestockPolicy::Any;
    let mut free = checkout(&purchase(1));
    free.totals.total = 0;
    free.received = Some(0);
    free.payment_intents.clear();
    bundle.provider_has(&free);
    bundle.deliver(&completed("fevt_1"), false).await;
    bundle.drain().await;
    let payment = PaymentIntentId::new("fpi_renewal").unwrap();
    let link = payment::Link {
        order_id: Some(free.order_id),
        version: 1,
        ..payment::Link::new(payment.clone())
    };
    bundle.world.kept().links.insert(payment, link);
    let mut refund = sample("refund.updated")["object"]["refund"].take();
    refund["payment_intent_id"] = json!("fpi_renewal");
    refund["invoice_id"] = json!("fin_renewal");
    refund["metadata"] = json!({});
    bundle
        .deliver(
            &change("refund.updated", "fevt_2", 1_760_100_000, "refund", refund),
            false,
        )
        .await;
    bundle.drain().await;
    assert_eq!(
        (order(&bundle).state(), order(&bundle).refunds.len()),
        (OrderState::Paid, 1)
    );
    assert_eq!(
        bundle.world.kept().counters[&sku("TOTE")],
        ON_HAND - 1,
        "nothing came back"
    );
}

#[tokio::test]
async fn nothing_is_ever_fulfilled_on_a_payment_alone() {
    let bundle = open_shop(OnUnknown::Resend);
    bundle.provider_has(&checkout(&purchase(1)));
    for (n, event_id) in [(0, "fevt_1"), (1, "fevt_2"), (0, "fevt_3")] {
        bundle.deliver(&succeeded(event_id, n), false).await;
    }
    bundle.drain().await;
    let kept = bundle.world.kept();
    assert!(kept.orders.is_empty() && kept.receipts.is_empty() && kept.movements.is_empty());
    assert_eq!(
        kept.calls
            .iter()
            .filter(|call| call.starts_with("api."))
            .count(),
        0,
        "nobody is asked"
    );
}

#[tokio::test]
async fn what_a_payment_said_before_its_order_is_on_the_order() {
    let bundle = open_shop(OnUnknown::Resend);
    bundle.provider_has(&checkout(&purchase(1)));
    bundle.deliver(&succeeded("fevt_1", 1), false).await;
    bundle.deliver(&completed("fevt_2"), false).await;
    bundle.deliver(&succeeded("fevt_3", 0), false).await;
    bundle.drain().await;
    assert_eq!(
        order(&bundle).payments.len(),
        2,
        "both payments of the split cart"
    );
    assert_eq!(receipts(&bundle).len(), 1);
}

#[tokio::test]
async fn overlapping_news_of_one_refund_have_one_effect() {
    let mut bundle = sold().await;
    bundle.fulfillment.policy.restock = RestockPolicy::Any;
    for delivery in [
        refund(
            "refund.updated",
            "fevt_3",
            1_760_100_010,
            "fre_1",
            "succeeded",
            1825,
        ),
        refund(
            "refund.created",
            "fevt_2",
            1_760_100_000,
            "fre_1",
            "pending",
            1825,
        ),
        refund(
            "charge.refund.updated",
            "fevt_4",
            1_760_100_010,
            "fre_1",
            "succeeded",
            1825,
        ),
        refund(
            "refund.updated",
            "fevt_5",
            1_760_100_010,
            "fre_1",
            "succeeded",
            1825,
        ),
    ] {
        bundle.deliver(&delivery, false).await;
    }
    bundle.drain().await;
    let order = order(&bundle);
    assert_eq!(
        (order.state(), order.refunded()),
        (OrderState::PartlyRefunded, 1825)
    );
    // It costs exactly as much as the tote.
    let kept = bundle.world.kept();
    assert_eq!(
        (kept.counters[&sku("TOTE")], kept.counters[&sku("BRACE-M")]),
        (ON_HAND, ON_HAND - 2)
    );
    drop(kept);
    assert_eq!(
        receipts(&bundle),
        [
            format!("{}-order", order.order_id),
            "fre_1-refund".to_owned()
        ]
    );
}

#[tokio::test]
async fn a_refund_that_fails_has_no_receipt_and_moves_no_goods() {
    let mut bundle = sold().await;
    bundle.fulfillment.policy.restock = RestockPolicy::Any;
    bundle
        .deliver(
            &refund("refund.created", "fevt_2", 1, "fre_1", "pending", 1825),
            false,
        )
        .await;
    bundle
        .deliver(
            &refund("refund.updated", "fevt_3", 2, "fre_1", "failed", 1825),
            false,
        )
        .await;
    bundle.drain().await;
    assert_eq!(order(&bundle).state(), OrderState::Paid);
    assert_eq!(order(&bundle).refunds.len(), 1);
    assert_eq!(bundle.world.kept().counters[&sku("TOTE")], ON_HAND - 1);
    assert_eq!(receipts(&bundle).len(), 1);
}

#[tokio::test]
async fn refunds_that_an_event_does_not_name_are_read_from_the_provider() {
    let bundle = sold().await;
    let facts = |id: &str| {
        let delivery = refund("refund.updated", "fevt_x", 1, id, "succeeded", 1000);
        let domain::delivery::event::Reading::Event(event) = flex::read(delivery.body.as_bytes())
        else {
            panic!()
        };
        let domain::delivery::event::Change::Refund(change) = event.change else {
            panic!()
        };
        change
    };
    bundle.provider_has_refunds(&[facts("fre_1"), facts("fre_2")]);
    let mut charge = sample("charge.refunded")["object"]["charge"].take();
    charge["payment_intent"] = json!(payment(1));
    bundle
        .deliver(
            &change("charge.refunded", "fevt_2", 1_760_100_000, "charge", charge),
            false,
        )
        .await;
    let session = purchase(1).session;
    let kind = "checkout.session.refunded";
    bundle
        .deliver(
            &change(kind, "fevt_3", 1_760_100_000, "checkout_session", session),
            false,
        )
        .await;
    bundle.drain().await;
    assert_eq!(order(&bundle).refunded(), 2000);
    assert_eq!(receipts(&bundle).len(), 3);
}

#[tokio::test]
async fn a_refund_and_a_dispute_before_their_order_wait_for_it() {
    let bundle = open_shop(OnUnknown::Resend);
    bundle
        .deliver(
            &refund(
                "refund.updated",
                "fevt_2",
                1_760_100_000,
                "fre_1",
                "succeeded",
                1825,
            ),
            false,
        )
        .await;
    bundle
        .deliver(
            &dispute("fevt_3", 1_760_100_000, "created", "needs_response"),
            false,
        )
        .await;
    let early = bundle
        .fulfillment
        .fulfill(&EventId::new("fevt_2").unwrap(), 1)
        .await;
    assert!(
        matches!(early, Outcome::Retry(RetryableError::TooEarly(_))),
        "{early:?}"
    );
    // The order comes late, by minutes.
    bundle.provider_has(&checkout(&purchase(1)));
    bundle.deliver(&completed("fevt_1"), false).await;
    bundle.drain().await;
    let order = order(&bundle);
    assert_eq!((order.refunded(), order.disputes.len()), (1825, 1));
    assert_eq!(receipts(&bundle).len(), 2);
    for event_id in ["fevt_1", "fevt_2", "fevt_3"] {
        assert_eq!(state(&bundle, event_id).0, EventState::Processed);
    }
}

#[tokio::test]
async fn news_whose_order_never_comes_are_parked_and_not_lost() {
    let life = Life::of(9);
    // The provider knows of both checkouts, and nobody ever brings the news of them.
    let bundle = shop_of(&life);
    bundle.provider_has(&checkout(&purchase(1)));
    let renewal = live(&life, 3);
    for delivery in [
        refund(
            "refund.updated",
            "fevt_2",
            1_760_100_000,
            "fre_1",
            "succeeded",
            1825,
        ),
        dispute("fevt_3", 1_760_100_000, "created", "needs_response"),
        renewal.clone(),
    ] {
        bundle.deliver(&delivery, false).await;
    }
    bundle.drain().await;
    assert!(bundle.world.kept().dead_letters.is_empty());
    let parked = |what: &str| {
        (
            EventState::Parked,
            Some(format!("no paid order is known for this {what}")),
        )
    };
    assert_eq!(state(&bundle, "fevt_2"), parked("refund"));
    assert_eq!(state(&bundle, "fevt_3"), parked("dispute"));
    assert_eq!(state(&bundle, &life.moments[3].event_id), parked("invoice"));
    // What the invoice paid for was given at once, all the same.
    assert_eq!(
        access(&bundle, &life).map(|(until, _)| until),
        Some(at("2026-03-10T09:00:00Z"))
    );
}

#[tokio::test]
async fn a_dispute_is_on_its_order_with_its_due_date_until_it_is_over() {
    let bundle = sold().await;
    bundle
        .deliver(
            &dispute("fevt_3", 1_760_200_200, "updated", "under_review"),
            false,
        )
        .await;
    bundle
        .deliver(
            &dispute("fevt_2", 1_760_200_000, "created", "needs_response"),
            false,
        )
        .await;
    bundle.drain().await;
    let id = DisputeId::new("fdsp_1").unwrap();
    assert!(order(&bundle).is_disputed());
    assert!(order(&bundle).disputes[&id].facts.value.due_by.is_some());
    bundle
        .deliver(&dispute("fevt_4", 1_760_300_000, "closed", "won"), false)
        .await;
    bundle.drain().await;
    assert_eq!(order(&bundle).disputes[&id].stage(), DisputeStage::Won);
    assert!(!order(&bundle).is_disputed());
}

#[tokio::test]
async fn two_paid_checkouts_of_one_reference_are_shown_and_never_merged() {
    let bundle = open_shop(OnUnknown::Resend);
    for n in 1..=2 {
        let mut purchase = purchase(n);
        purchase.session["client_reference_id"] = json!("cart-7");
        bundle.provider_has(&checkout(&purchase));
        bundle
            .deliver(&Delivery::of(&purchase, &format!("fevt_{n}")), false)
            .await;
    }
    bundle.drain_at_once().await;
    let kept = bundle.world.kept();
    assert_eq!(kept.orders.len(), 2);
    let mut shown: Vec<_> = kept
        .orders
        .values()
        .map(|order| order.same_reference.len())
        .collect();
    shown.sort_unstable();
    assert_eq!(shown, [0, 1], "the second one names the first");
    assert_eq!(kept.mails.len(), 2);
}

fn at(text: &str) -> Timestamp {
    text.parse().unwrap()
}

/// A moment of a life, in live mode.
fn live(life: &Life, n: usize) -> Delivery {
    let moment = &life.moments[n];
    let mut event: Value = serde_json::from_slice(&moment.body).unwrap();
    for resource in event["object"].as_object_mut().unwrap().values_mut() {
        resource["test_mode"] = json!(false);
    }
    Delivery {
        id: format!("msg_{}", moment.event_id),
        body: event.to_string(),
    }
}

/// The shop, whose provider knows a life from its beginning to its end.
fn shop_of(life: &Life) -> Bundle {
    let bundle = open_shop(OnUnknown::Resend);
    let mut purchase = life.purchase.clone();
    purchase.session["test_mode"] = json!(false);
    bundle.provider_has(&checkout(&purchase));
    let mut subscription = life.subscription.clone();
    subscription["test_mode"] = json!(false);
    bundle.provider_has_subscription(&subscription);
    bundle
}

/// What the merchant's application reads of a life.
fn access(bundle: &Bundle, life: &Life) -> Option<(Timestamp, Reason)> {
    let key = (
        CustomerId::new(life.customer_id()).unwrap(),
        ProductId::new(life.product_id()).unwrap(),
    );
    bundle
        .world
        .kept()
        .entitlements
        .get(&key)
        .map(|row| (row.access_until, row.reason))
}

#[tokio::test]
async fn access_follows_a_subscription_from_its_first_payment_to_its_end() {
    let life = Life::of(9);
    let mut bundle = shop_of(&life);
    bundle.fulfillment.policy.grace = jiff::SignedDuration::from_hours(7 * 24);
    let expected = [
        ("1970-01-01T00:00:00Z", Reason::NotPaidYet),
        ("1970-01-01T00:00:00Z", Reason::NotPaidYet),
        ("2026-02-10T09:00:00Z", Reason::Paid),
        ("2026-03-10T09:00:00Z", Reason::Paid),
        ("2026-03-17T10:00:00Z", Reason::Grace),
        ("2026-03-17T10:00:00Z", Reason::Grace),
        ("2026-04-10T09:00:00Z", Reason::Paid),
        ("2026-04-10T09:00:00Z", Reason::Paid),
        ("2026-04-10T09:00:00Z", Reason::CancelsAtPeriodEnd),
        ("2026-04-10T09:00:00Z", Reason::Ended),
    ];
    for (n, (until, reason)) in expected.into_iter().enumerate() {
        bundle.deliver(&live(&life, n), false).await;
        bundle.drain().await;
        let now = access(&bundle, &life);
        let what = life.moments[n].what;
        assert_eq!(now, Some((at(until), reason)), "{what}");
    }
    let invoices = [1, 2].map(|month| format!("{}-invoice", life.invoice_id(month)));
    let mut wanted = [
        vec![format!("{}-order", life.purchase.order_id())],
        invoices.to_vec(),
    ]
    .concat();
    wanted.sort();
    assert_eq!(
        receipts(&bundle),
        wanted,
        "the first invoice is covered by the order's receipt"
    );
}

#[tokio::test]
async fn an_invoice_before_its_order_gives_access_at_once_and_its_receipt_later() {
    let life = Life::of(9);
    let bundle = shop_of(&life);
    bundle.deliver(&live(&life, 0), false).await;
    bundle.deliver(&live(&life, 3), false).await;
    for n in [0, 3] {
        let ended = bundle
            .fulfillment
            .fulfill(&EventId::new(life.moments[n].event_id.clone()).unwrap(), 1)
            .await;
        assert_eq!(
            matches!(ended, Outcome::Retry(RetryableError::TooEarly(_))),
            n == 3,
            "{ended:?}"
        );
    }
    assert_eq!(
        access(&bundle, &life),
        Some((at("2026-03-10T09:00:00Z"), Reason::Paid))
    );
    assert!(bundle.world.kept().receipts.is_empty());
    bundle.deliver(&live(&life, 1), false).await;
    bundle.drain().await;
    assert_eq!(receipts(&bundle).len(), 2);
}

#[tokio::test]
async fn a_contradicted_end_is_asked_for_and_parked_if_the_provider_knows_better() {
    let life = Life::of(9);
    for (status, parks) in [("active", true), ("canceled", false)] {
        let bundle = shop_of(&life);
        let mut subscription = life.subscription.clone();
        subscription["test_mode"] = json!(false);
        subscription["status"] = json!(status);
        bundle.provider_has_subscription(&subscription);
        // Everything but the end, then an end before the last payment.
        for n in 0..9 {
            bundle.deliver(&live(&life, n), false).await;
            bundle.drain().await;
        }
        let before = access(&bundle, &life);
        let mut ended = subscription.clone();
        ended["status"] = json!("canceled");
        let early = at("2026-03-01T00:00:00Z").as_second();
        let delivery = change(
            "customer.subscription.deleted",
            "fevt_end",
            early,
            "subscription",
            ended,
        );
        bundle.deliver(&delivery, false).await;
        bundle.drain().await;
        let expected = if parks {
            EventState::Parked
        } else {
            EventState::Processed
        };
        assert_eq!(state(&bundle, "fevt_end").0, expected, "{status}");
        assert_eq!(access(&bundle, &life) == before, parks, "{status}");
    }
}

#[tokio::test]
async fn a_status_that_nobody_knows_neither_fails_nor_grants() {
    let life = Life::of(9);
    let bundle = shop_of(&life);
    bundle.deliver(&live(&life, 0), false).await;
    bundle.deliver(&live(&life, 1), false).await;
    let mut strange = life.subscription.clone();
    strange["status"] = json!("enchanted");
    let later = at("2026-01-10T09:00:02Z").as_second();
    let delivery = change(
        "customer.subscription.updated",
        "fevt_s",
        later,
        "subscription",
        strange.clone(),
    );
    bundle.deliver(&delivery, false).await;
    bundle.drain().await;
    assert_eq!(state(&bundle, "fevt_s").0, EventState::Processed);
    assert_eq!(
        access(&bundle, &life),
        Some((Timestamp::UNIX_EPOCH, Reason::NotPaidYet))
    );
    bundle.deliver(&live(&life, 2), false).await;
    bundle.drain().await;
    assert_eq!(
        access(&bundle, &life).unwrap().0,
        at("2026-02-10T09:00:00Z"),
        "what is paid for is given"
    );
    // An unknown type is stored and acknowledged.
    let delivery = change(
        "customer.subscription.enchanted",
        "fevt_t",
        later,
        "subscription",
        strange,
    );
    bundle.deliver(&delivery, false).await;
    bundle.drain().await;
    assert_eq!(state(&bundle, "fevt_t").0, EventState::Unhandled);
}

#[tokio::test]
async fn news_that_do_not_say_what_a_subscription_is_for_take_nothing_away() {
    let life = Life::of(9);
    let bundle = shop_of(&life);
    for n in 0..3 {
        bundle.deliver(&live(&life, n), false).await;
    }
    bundle.drain().await;
    let before = access(&bundle, &life);
    assert_eq!(before, Some((at("2026-02-10T09:00:00Z"), Reason::Paid)));
    let mut bare = life.subscription.clone();
    bare["status"] = json!("active");
    bare["items"] = json!([]);
    bare["cancel_at_period_end"] = json!(false);
    bare["current_period_end"] = json!("2026-02-10T09:00:00Z");
    let later = at("2026-01-20T09:00:00Z").as_second();
    bundle
        .deliver(
            &change(
                "customer.subscription.updated",
                "fevt_b",
                later,
                "subscription",
                bare,
            ),
            false,
        )
        .await;
    bundle.drain().await;
    assert_eq!(access(&bundle, &life), before);
}

#[tokio::test]
async fn a_renewal_is_mailed_to_the_newest_address_and_to_nobody_once_the_customer_is_deleted() {
    let life = Life::of(9);
    let bundle = shop_of(&life);
    for n in 0..3 {
        bundle.deliver(&live(&life, n), false).await;
    }
    bundle.drain().await;
    let mut customer = life.purchase.customer.clone();
    customer["email"] = json!("new.address@example.com");
    bundle
        .deliver(
            &change(
                "customer.updated",
                "fevt_c",
                1_768_100_000,
                "customer",
                customer.clone(),
            ),
            false,
        )
        .await;
    bundle.deliver(&live(&life, 3), false).await;
    bundle.drain().await;
    let to = bundle.world.kept().mails.last().unwrap().to.to_string();
    assert_eq!(to, "new.address@example.com");
    bundle
        .deliver(
            &change(
                "customer.deleted",
                "fevt_d",
                1_768_200_000,
                "customer",
                customer,
            ),
            false,
        )
        .await;
    bundle.drain().await;
    bundle.deliver(&live(&life, 6), false).await;
    bundle.drain().await;
    let end = End::of(&bundle.world.kept());
    assert_eq!(end.mails.len(), 2);
    let last = ReceiptId::new(format!("{}-invoice", life.invoice_id(2))).unwrap();
    assert_eq!(end.receipts[&last], "failed", "its row says why");
}

#[tokio::test]
async fn test_money_on_a_live_stack_is_parked_whatever_it_is_about() {
    let bundle = sold().await;
    let before = End::of(&bundle.world.kept());
    for (n, kind) in [
        "refund.updated",
        "charge.dispute.created",
        "customer.subscription.created",
        "invoice.paid",
    ]
    .into_iter()
    .enumerate()
    {
        // The samples are of test mode.
        let mut event = sample(kind);
        event["event_id"] = json!(format!("fevt_t{n}"));
        let delivery = Delivery {
            id: format!("msg_t{n}"),
            body: event.to_string(),
        };
        bundle.deliver(&delivery, false).await;
        bundle.drain().await;
        let (state, reason) = state(&bundle, &format!("fevt_t{n}"));
        assert_eq!(state, EventState::Parked, "{kind}");
        assert!(
            reason.is_some_and(|reason| reason.contains("test-mode")),
            "{kind}"
        );
    }
    let after = End::of(&bundle.world.kept());
    assert_eq!(
        (after.orders, after.receipts, after.mails),
        (before.orders, before.receipts, before.mails)
    );
}

/// The end of a life, told in that order.
async fn facts(life: &Life, order: &[usize]) -> (Option<(Timestamp, Reason)>, Vec<String>, usize) {
    let bundle = shop_of(life);
    for n in order {
        bundle.deliver(&live(life, *n), false).await;
        if n % 3 == 0 {
            // No time passes: what waits for the order would wait for hours.
            while bundle.work_at_once().await {}
        }
    }
    bundle.drain().await;
    let parked = bundle
        .world
        .kept()
        .events
        .values()
        .filter(|event| event.state != EventState::Processed)
        .count();
    (access(&bundle, life), receipts(&bundle), parked)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn a_life_told_in_any_order_and_twice_comes_to_one_end_and_one_set_of_receipts(
        order in Just([(0..10).collect::<Vec<usize>>(), (0..10).collect()].concat()).prop_shuffle(),
    ) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
        let life = Life::of(9);
        let (expected, end) = runtime.block_on(async {
            (facts(&life, &(0..10).collect::<Vec<_>>()).await, facts(&life, &order).await)
        });
        prop_assert_eq!(end, expected);
    }
}

#[test]
fn the_ids_of_a_life_are_its_own() {
    let (one, two) = (Life::of(9), Life::of(10));
    assert_ne!(one.moments[3].event_id, two.moments[3].event_id);
    assert_ne!(one.subscription_id(), two.subscription_id());
    assert!(
        SubscriptionId::new(one.subscription_id()).is_ok()
            && refund_id(&id("fre", 1)).as_str().len() == 30
    );
}
