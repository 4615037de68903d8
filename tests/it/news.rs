//! The events after a sale, by their outcomes: from the signed delivery to rows and mails, over the ports
//! in memory.

use domain::{
    access::subscription::Reason,
    sale::{dispute::DisputeStage, statement::Capture},
    values::ids::DisputeId,
};
use kit::{prelude::*, story::payment_facts, sweeping::sweep_over};
use proptest::prelude::*;

/// The shop, with the first sale sold.
async fn sold() -> Bundle {
    let bundle = open_shop(OnUnknown::Resend);
    bundle.provider_has(&sale(&purchase(1)));
    bundle.play(&completed("fevt_1")).await;
    bundle
}

fn completed(event_id: &str) -> Delivery {
    Delivery::of(&purchase(1), event_id)
}

/// A payment of the first purchase: the first or the second.
fn payment(n: usize) -> String {
    purchase(1).session["payment_intents"][n]
        .as_str()
        .unwrap()
        .to_owned()
}

/// An event of the sale itself.
fn of_session(kind: &str, event_id: &str) -> Delivery {
    let session = purchase(1).session;
    Delivery::live(kind, event_id, AFTER, session)
}

/// Some time after the sale.
const AFTER: i64 = 1_760_100_000;

/// The refund of the tote: it costs exactly as much.
fn refund(kind: &str, event_id: &str, at: i64, status: &str) -> Delivery {
    Delivery::live(kind, event_id, at, refunded("fre_1", 1825, status))
}

/// A refund of the second payment.
fn refunded(refund_id: &str, amount: i64, status: &str) -> Value {
    let mut refund = sample("refund.updated")["object"]["refund"].take();
    refund["refund_id"] = json!(refund_id);
    refund["payment_intent_id"] = json!(payment(1));
    refund["status"] = json!(status);
    refund["amount"] = json!(amount);
    refund["metadata"] = json!({});
    refund["test_mode"] = json!(false);
    refund
}

fn dispute(event_id: &str, at: i64, kind: &str, status: &str) -> Delivery {
    let mut dispute = sample("charge.dispute.created")["object"]["dispute"].take();
    dispute["dispute_id"] = json!("fdsp_1");
    dispute["payment_intent_id"] = json!(payment(0));
    dispute["status"] = json!(status);
    Delivery::live(&format!("charge.dispute.{kind}"), event_id, at, dispute)
}

fn state(bundle: &Bundle, event_id: &str) -> (EventState, Option<String>) {
    let event = bundle.event(event_id);
    (event.state, event.reason)
}

fn receipts(bundle: &Bundle) -> Vec<String> {
    let end = bundle.end();
    assert_eq!((end.queued, end.dead_letters), (0, Vec::new()));
    end.mails.iter().map(ReceiptId::to_string).collect()
}

/// The provider's API knows of this payment of the first purchase.
fn provider_tells(bundle: &Bundle, n: usize, status: &str) {
    let mut kept = bundle.world.kept();
    let known = kept.sales.values_mut().next().unwrap();
    let facts = payment_facts(status, &json!({"amount": 3497}));
    known
        .payments
        .insert(PaymentIntentId::new(payment(n)).unwrap(), facts);
}

/// The shop, and the first sale completed but paid for otherwise than at once.
async fn unpaid(capture: Capture, status: &str) -> Bundle {
    let bundle = open_shop(OnUnknown::Resend);
    bundle.provider_has(&Sale {
        capture,
        received: Some(0),
        ..sale(&purchase(1))
    });
    for n in 0..2 {
        provider_tells(&bundle, n, status);
    }
    bundle.play(&completed("fevt_1")).await;
    bundle
}

fn has_released_nothing(bundle: &Bundle) {
    let order = bundle.order(1);
    assert_eq!((order.fulfilled_at, order.receipt_id), (None, None));
    let kept = bundle.world.kept();
    assert_eq!(kept.counters[&sku("BRACE-M")], ON_HAND);
    assert!(kept.movements.is_empty() && kept.receipts.is_empty() && kept.mails.is_empty());
}

/// An event of a payment's own, in which its whole share is received if it succeeds.
fn intent(kind: &str, event_id: &str, n: usize) -> Delivery {
    let kind = format!("payment_intent.{kind}");
    let mut intent = sample(&kind)["object"]["payment_intent"].take();
    intent["payment_intent_id"] = json!(payment(n));
    if kind.ends_with("succeeded") {
        (intent["amount"], intent["amount_received"]) = (json!(3497), json!(3497));
    }
    Delivery::live(&kind, event_id, 1_760_090_100, intent)
}

fn succeeded(event_id: &str, n: usize) -> Delivery {
    intent("succeeded", event_id, n)
}

#[tokio::test]
async fn an_authorization_that_is_released_ends_its_order_by_the_payments_own_event() {
    let bundle = unpaid(Capture::Manual, "requires_capture").await;
    for (event_id, n) in [("fevt_2", 0), ("fevt_3", 1)] {
        provider_tells(&bundle, n, "canceled");
        bundle.play(&intent("canceled", event_id, n)).await;
    }
    let expired = OrderState::Waiting(OrderFunds::Expired);
    assert_eq!(bundle.order(1).state(), expired);
    has_released_nothing(&bundle);
}

#[tokio::test]
async fn a_payment_that_is_captured_later_releases_goods_and_receipt_then_and_once() {
    let bundle = unpaid(Capture::Manual, "requires_capture").await;
    assert_eq!(
        bundle.order(1).state(),
        OrderState::Waiting(OrderFunds::Authorized)
    );
    has_released_nothing(&bundle);
    // The merchant captures: both payments say so, and the sale's own event comes again under a new id.
    for n in 0..2 {
        provider_tells(&bundle, n, "succeeded");
    }
    for delivery in [
        succeeded("fevt_2", 0),
        succeeded("fevt_3", 1),
        completed("fevt_4"),
        succeeded("fevt_5", 0),
    ] {
        bundle.take(&delivery).await;
    }
    bundle.drain().await;
    assert_eq!(bundle.order(1).state(), OrderState::Paid);
    assert_eq!(bundle.on_hand("BRACE-M"), ON_HAND - 2);
    assert_eq!(
        receipts(&bundle),
        [format!("{}-order", purchase(1).order_id())]
    );
}

#[tokio::test]
async fn a_delayed_payment_is_a_state_of_its_order_until_the_money_is_here() {
    let bundle = unpaid(Capture::Automatic, "processing").await;
    assert_eq!(
        bundle.order(1).state(),
        OrderState::Waiting(OrderFunds::Processing)
    );
    has_released_nothing(&bundle);
    for n in 0..2 {
        provider_tells(&bundle, n, "succeeded");
    }
    let kind = "checkout.session.async_payment_succeeded";
    bundle.play(&of_session(kind, "fevt_2")).await;
    assert_eq!(bundle.order(1).state(), OrderState::Paid);
    assert_eq!(receipts(&bundle).len(), 1);
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
        let kind = format!("checkout.session.{kind}");
        bundle.play(&of_session(&kind, "fevt_2")).await;
        assert_eq!(bundle.order(1).state(), OrderState::Waiting(funds));
        has_released_nothing(&bundle);
    }
}

#[tokio::test]
async fn what_a_payment_announces_counts_even_while_the_providers_api_is_behind() {
    let bundle = unpaid(Capture::Manual, "requires_capture").await;
    for (n, event_id, before) in [
        (0, "fevt_2", OrderState::Waiting(OrderFunds::Authorized)),
        (1, "fevt_3", OrderState::PartlyPaid),
    ] {
        assert_eq!(bundle.order(1).state(), before);
        bundle.play(&succeeded(event_id, n)).await;
    }
    assert_eq!(bundle.order(1).state(), OrderState::Paid);
    assert_eq!(receipts(&bundle).len(), 1);
}

#[tokio::test]
async fn a_delayed_payment_that_the_provider_does_not_know_yet_is_asked_for_again() {
    let bundle = unpaid(Capture::Automatic, "processing").await;
    let kind = "checkout.session.async_payment_succeeded";
    let paid = of_session(kind, "fevt_2");
    bundle.take(&paid).await;
    let early = bundle.fulfillment.fulfill(&event_id("fevt_2"), 1).await;
    assert_matches!(early, Outcome::Retry(RetryableError::TooEarly(_)));
    for n in 0..2 {
        provider_tells(&bundle, n, "succeeded");
    }
    bundle.drain().await;
    assert_eq!(bundle.order(1).state(), OrderState::Paid);
    assert_eq!(receipts(&bundle).len(), 1);
}

#[tokio::test]
async fn a_checkout_that_was_read_while_its_payment_was_announced_is_read_again() {
    let bundle = unpaid(Capture::Manual, "requires_capture").await;
    // The charge says only that there is something new, in the very second in which the sale is read.
    let mut charge = sample("charge.captured")["object"]["charge"].take();
    charge["payment_intent"] = json!(payment(0));
    let reads = || {
        let kept = bundle.world.kept();
        kept.calls
            .iter()
            .filter(|call| **call == "api.sale")
            .count()
    };
    let before = reads();
    let at = bundle.world.now();
    let id = PaymentIntentId::new(payment(0)).unwrap();
    bundle.world.kept().links.get_mut(&id).unwrap().heard_at = Some(at);
    let captured = Delivery::live("charge.captured", "fevt_2", 1_760_090_100, charge);
    bundle.play(&captured).await;
    assert!(reads() > before + 1, "once is not enough");
}

#[tokio::test]
async fn nothing_is_ever_fulfilled_on_a_payment_alone() {
    let bundle = open_shop(OnUnknown::Resend);
    bundle.provider_has(&sale(&purchase(1)));
    for (n, event_id) in [(0, "fevt_1"), (1, "fevt_2"), (0, "fevt_3")] {
        bundle.take(&succeeded(event_id, n)).await;
    }
    bundle.drain().await;
    let kept = bundle.world.kept();
    assert!(kept.orders.is_empty() && kept.receipts.is_empty() && kept.movements.is_empty());
    let mut calls = kept.calls.iter();
    assert!(
        !calls.any(|call| call.starts_with("api.")),
        "nobody is asked"
    );
}

#[tokio::test]
async fn what_a_payment_said_before_its_order_is_on_the_order() {
    let bundle = open_shop(OnUnknown::Resend);
    bundle.provider_has(&sale(&purchase(1)));
    bundle.take(&succeeded("fevt_1", 1)).await;
    bundle.take(&completed("fevt_2")).await;
    bundle.play(&succeeded("fevt_3", 0)).await;
    assert_eq!(
        bundle.order(1).payments.len(),
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
        refund("refund.updated", "fevt_3", AFTER + 10, "succeeded"),
        refund("refund.created", "fevt_2", AFTER, "pending"),
        refund("charge.refund.updated", "fevt_4", AFTER + 10, "succeeded"),
        refund("refund.updated", "fevt_5", AFTER + 10, "succeeded"),
    ] {
        bundle.take(&delivery).await;
    }
    bundle.drain().await;
    let order = bundle.order(1);
    assert_eq!(order.state(), OrderState::PartlyRefunded);
    assert_eq!(order.refunded(), 1825);
    assert_eq!(bundle.on_hand("TOTE"), ON_HAND);
    assert_eq!(bundle.on_hand("BRACE-M"), ON_HAND - 2);
    let own = format!("{}-order", order.order_id);
    assert_eq!(receipts(&bundle), [own.as_str(), "fre_1-refund"]);
}

#[tokio::test]
async fn a_refund_that_fails_has_no_receipt_and_moves_no_goods() {
    let mut bundle = sold().await;
    bundle.fulfillment.policy.restock = RestockPolicy::Any;
    bundle
        .take(&refund("refund.created", "fevt_2", AFTER, "pending"))
        .await;
    bundle
        .play(&refund("refund.updated", "fevt_3", AFTER + 1, "failed"))
        .await;
    assert_eq!(bundle.order(1).state(), OrderState::Paid);
    assert_eq!(bundle.order(1).refunds.len(), 1);
    assert_eq!(bundle.on_hand("TOTE"), ON_HAND - 1);
    assert_eq!(receipts(&bundle).len(), 1);
}

#[tokio::test]
async fn a_refund_that_fails_after_it_succeeded_is_corrected_once_if_its_mail_is_out() {
    let bundle = sold().await;
    let succeeded = refund("refund.updated", "fevt_2", AFTER, "succeeded");
    let failed = |id: &str| refund("refund.updated", id, AFTER + 1, "failed");
    bundle.play(&succeeded).await;
    for id in ["fevt_3", "fevt_4"] {
        bundle.play(&failed(id)).await;
    }
    assert_eq!(bundle.order(1).state(), OrderState::Paid);
    let order = format!("{}-order", bundle.order(1).order_id);
    let sent = ["fre_1-refund", "fre_1-refund_failed"];
    assert_eq!(receipts(&bundle), [&[order.as_str()], &sent[..]].concat());

    // The success comes late: neither is mailed.
    let bundle = sold().await;
    bundle.take(&failed("fevt_3")).await;
    bundle.take(&succeeded).await;
    bundle.drain().await;
    assert_eq!(receipts(&bundle), [order]);
    for id in sent {
        let receipt = bundle.receipt(&ReceiptId::new(id).unwrap());
        let status = receipt.state.status();
        assert_eq!(status, ReceiptStatus::Withdrawn, "{id}");
    }
}

#[tokio::test]
async fn a_correction_waits_for_the_receipt_that_it_corrects_without_failing() {
    let bundle = sold().await;
    let state = |id: &str| bundle.receipt(&ReceiptId::new(id).unwrap()).state.status();
    let (receipt, correction) = ("fre_1-refund", "fre_1-refund_failed");
    bundle
        .take(&refund("refund.updated", "fevt_2", AFTER, "succeeded"))
        .await;
    bundle.work_at_once().await;
    bundle.world.kept().receipt_queue.clear();
    bundle
        .play(&refund("refund.updated", "fevt_3", AFTER + 1, "failed"))
        .await;
    let both = || [receipt, correction].map(state);
    assert_eq!(both(), [ReceiptStatus::Unsent; 2]);
    assert!(bundle.world.kept().given_up().is_empty());
    // Sweep finds both. The refund's receipt is not true any more, and the correction has nothing to correct.
    for _ in 0..2 {
        bundle.world.pass(Duration::from_hours(3));
        sweep_over(&bundle.world).run().await.unwrap();
        bundle.drain().await;
    }
    assert_eq!(both(), [ReceiptStatus::Withdrawn; 2]);
    assert_eq!(bundle.mails(), 1);
}

#[tokio::test]
async fn a_closed_dispute_is_over_whatever_its_word_and_lost_only_by_that_word() {
    for (word, is_lost) in [
        ("prevented", false),
        ("a word of next year", false),
        ("needs_response", false),
        ("lost", true),
    ] {
        let bundle = sold().await;
        let opened = dispute("fevt_2", AFTER, "created", "needs_response");
        bundle.play(&opened).await;
        assert!(bundle.order(1).is_disputed());
        let closed = dispute("fevt_3", AFTER + 1, "closed", word);
        bundle.play(&closed).await;
        let order = bundle.order(1);
        let ends = (order.is_disputed(), order.has_lost_dispute());
        assert_eq!(ends, (false, is_lost), "{word}");
        assert_eq!(order.state(), OrderState::Paid);
    }
}

#[tokio::test]
async fn refunds_that_an_event_does_not_name_are_read_from_the_provider() {
    let bundle = sold().await;
    let facts = |id: &str| kit::story::refund_news(&refunded(id, 1000, "succeeded"));
    bundle.provider_has_refunds(&[facts("fre_1"), facts("fre_2")]);
    let mut charge = sample("charge.refunded")["object"]["charge"].take();
    charge["payment_intent"] = json!(payment(1));
    let refunded = Delivery::live("charge.refunded", "fevt_2", AFTER, charge);
    bundle.take(&refunded).await;
    let kind = "checkout.session.refunded";
    bundle.play(&of_session(kind, "fevt_3")).await;
    assert_eq!(bundle.order(1).refunded(), 2000);
    assert_eq!(receipts(&bundle).len(), 3);
}

#[tokio::test]
async fn a_refund_and_a_dispute_before_their_order_wait_for_it() {
    let bundle = open_shop(OnUnknown::Resend);
    bundle
        .take(&refund("refund.updated", "fevt_2", AFTER, "succeeded"))
        .await;
    bundle
        .take(&dispute("fevt_3", AFTER, "created", "needs_response"))
        .await;
    let early = bundle.fulfillment.fulfill(&event_id("fevt_2"), 1).await;
    assert_matches!(early, Outcome::Retry(RetryableError::TooEarly(_)));
    // The order comes late, by minutes.
    bundle.provider_has(&sale(&purchase(1)));
    bundle.play(&completed("fevt_1")).await;
    let order = bundle.order(1);
    assert_eq!((order.refunded(), order.disputes.len()), (1825, 1));
    assert_eq!(receipts(&bundle).len(), 2);
    for event_id in ["fevt_1", "fevt_2", "fevt_3"] {
        assert_eq!(state(&bundle, event_id).0, Processed);
    }
}

#[tokio::test]
async fn news_whose_order_never_comes_are_parked_and_not_lost() {
    let life = Life::live(9);
    // The provider knows both sales, and their own events never come.
    let bundle = shop_of(&life);
    bundle.provider_has(&sale(&purchase(1)));
    let renewal = life.moments[3].delivery();
    for delivery in [
        refund("refund.updated", "fevt_2", AFTER, "succeeded"),
        dispute("fevt_3", AFTER, "created", "needs_response"),
        renewal.clone(),
    ] {
        bundle.take(&delivery).await;
    }
    bundle.drain().await;
    assert!(bundle.world.kept().dead_letters.is_empty());
    for (event_id, what) in [("fevt_2", "refund"), ("fevt_3", "dispute")] {
        let reason = format!("no paid order is known for this {what}");
        assert_eq!(state(&bundle, event_id), (Parked, Some(reason)));
    }
    // A renewal needs no first order: its subscription says that it began long before.
    assert_eq!(state(&bundle, &life.moments[3].event_id), (Processed, None));
    // The paid access was granted at once.
    assert_eq!(
        access(&bundle, &life).map(|(until, _)| until),
        Some(at("2026-03-10T09:00:00Z"))
    );
}

#[tokio::test]
async fn a_dispute_is_on_its_order_with_its_due_date_until_it_is_over() {
    let bundle = sold().await;
    bundle
        .take(&dispute("fevt_3", 1_760_200_200, "updated", "under_review"))
        .await;
    let created = dispute("fevt_2", 1_760_200_000, "created", "needs_response");
    bundle.play(&created).await;
    let id = DisputeId::new("fdsp_1").unwrap();
    assert!(bundle.order(1).is_disputed());
    assert!(bundle.order(1).disputes[&id].facts.value.due_by.is_some());
    bundle
        .play(&dispute("fevt_4", 1_760_300_000, "closed", "won"))
        .await;
    assert_eq!(bundle.order(1).disputes[&id].stage(), DisputeStage::Won);
    assert!(!bundle.order(1).is_disputed());
}

#[tokio::test]
async fn two_paid_checkouts_of_one_reference_are_shown_and_never_merged() {
    let bundle = open_shop(OnUnknown::Resend);
    for n in 1..=2 {
        let mut purchase = purchase(n);
        purchase.session["client_reference_id"] = json!("cart-7");
        bundle.provider_has(&sale(&purchase));
        bundle
            .take(&Delivery::of(&purchase, &format!("fevt_{n}")))
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

/// The shop, whose provider knows a life from its beginning to its end.
fn shop_of(life: &Life) -> Bundle {
    let bundle = open_shop(OnUnknown::Resend);
    bundle.provider_has_life(life);
    bundle
}

/// The access that the merchant's application reads.
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
    let life = Life::live(9);
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
    for (moment, (until, reason)) in life.moments.iter().zip(expected) {
        bundle.play(&moment.delivery()).await;
        let now = access(&bundle, &life);
        assert_eq!(now, Some((at(until), reason)), "{}", moment.what);
    }
    let [second, third] = [1, 2].map(|month| life.invoice_id(month));
    let paid = [life.purchase.order_id(), &second, &third];
    let mut wanted = paid.map(|id| format!("{id}-order"));
    wanted.sort();
    assert_eq!(
        receipts(&bundle),
        wanted,
        "the first invoice is covered by the order's receipt"
    );
}

#[tokio::test]
async fn a_renewal_before_the_first_order_gives_access_and_its_receipt_at_once() {
    let life = Life::live(9);
    let bundle = shop_of(&life);
    for n in [0, 3] {
        bundle.play(&life.moments[n].delivery()).await;
    }
    assert_eq!(
        access(&bundle, &life),
        Some((at("2026-03-10T09:00:00Z"), Reason::Paid))
    );
    let renewal = format!("{}-order", life.invoice_id(1));
    assert_eq!(receipts(&bundle), [renewal]);
    bundle.play(&life.moments[1].delivery()).await;
    assert_eq!(receipts(&bundle).len(), 2);
}

#[tokio::test]
async fn a_contradicted_end_is_asked_for_and_parked_if_the_provider_knows_better() {
    let life = Life::live(9);
    for (status, parks) in [("active", true), ("canceled", false)] {
        let bundle = shop_of(&life);
        let mut subscription = life.subscription.clone();
        subscription["status"] = json!(status);
        bundle.provider_has_subscription(&subscription);
        // Everything but the end, then an end before the last payment.
        for moment in &life.moments[..9] {
            bundle.play(&moment.delivery()).await;
        }
        let before = access(&bundle, &life);
        let mut ended = subscription.clone();
        ended["status"] = json!("canceled");
        let early = at("2026-03-01T00:00:00Z").as_second();
        let kind = "customer.subscription.deleted";
        let delivery = Delivery::live(kind, "fevt_end", early, ended);
        bundle.play(&delivery).await;
        let expected = if parks { Parked } else { Processed };
        assert_eq!(state(&bundle, "fevt_end").0, expected, "{status}");
        assert_eq!(access(&bundle, &life) == before, parks, "{status}");
    }
}

#[tokio::test]
async fn a_status_that_nobody_knows_neither_fails_nor_grants() {
    let life = Life::live(9);
    let bundle = shop_of(&life);
    bundle.take(&life.moments[0].delivery()).await;
    bundle.take(&life.moments[1].delivery()).await;
    let mut strange = life.subscription.clone();
    strange["status"] = json!("enchanted");
    let later = at("2026-01-10T09:00:02Z").as_second();
    let kind = "customer.subscription.updated";
    let delivery = Delivery::live(kind, "fevt_s", later, strange.clone());
    bundle.play(&delivery).await;
    assert_eq!(state(&bundle, "fevt_s").0, Processed);
    assert_eq!(
        access(&bundle, &life),
        Some((Timestamp::UNIX_EPOCH, Reason::NotPaidYet))
    );
    bundle.play(&life.moments[2].delivery()).await;
    assert_eq!(
        access(&bundle, &life).unwrap().0,
        at("2026-02-10T09:00:00Z"),
        "what is paid for is given"
    );
    // An unknown type is stored and acknowledged.
    let kind = "customer.subscription.enchanted";
    let delivery = Delivery::live(kind, "fevt_t", later, strange);
    bundle.play(&delivery).await;
    assert_eq!(state(&bundle, "fevt_t").0, Unhandled);
}

#[tokio::test]
async fn news_that_do_not_say_what_a_subscription_is_for_take_nothing_away() {
    let life = Life::live(9);
    let bundle = shop_of(&life);
    for n in 0..3 {
        bundle.take(&life.moments[n].delivery()).await;
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
    let kind = "customer.subscription.updated";
    let delivery = Delivery::live(kind, "fevt_b", later, bare);
    bundle.play(&delivery).await;
    assert_eq!(access(&bundle, &life), before);
}

#[tokio::test]
async fn a_renewal_is_mailed_to_the_newest_address_and_to_nobody_once_the_customer_is_deleted() {
    let life = Life::live(9);
    let bundle = shop_of(&life);
    for n in 0..3 {
        bundle.take(&life.moments[n].delivery()).await;
    }
    bundle.drain().await;
    let mut customer = life.purchase.customer.clone();
    customer["email"] = json!("new.address@example.com");
    let at = 1_768_100_000;
    let updated = Delivery::live("customer.updated", "fevt_c", at, customer.clone());
    bundle.take(&updated).await;
    bundle.play(&life.moments[3].delivery()).await;
    let to = bundle.world.kept().mails.last().unwrap().to.to_string();
    assert_eq!(to, "new.address@example.com");
    let deleted = Delivery::live("customer.deleted", "fevt_d", at + 100_000, customer);
    bundle.play(&deleted).await;
    bundle.play(&life.moments[6].delivery()).await;
    let end = bundle.end();
    assert_eq!(end.mails.len(), 2);
    let last = ReceiptId::new(format!("{}-order", life.invoice_id(2))).unwrap();
    assert_eq!(end.receipts[&last], "withdrawn", "its row says why");
}

#[tokio::test]
async fn test_money_on_a_live_stack_is_parked_whatever_it_is_about() {
    let bundle = sold().await;
    let before = bundle.end();
    for kind in [
        "refund.updated",
        "charge.dispute.created",
        "customer.subscription.created",
        "invoice.paid",
    ] {
        // The samples are of test mode.
        let mut event = sample(kind);
        let id = format!("fevt_{}", kind.replace('.', "_"));
        event["event_id"] = json!(id);
        let body = event.to_string().into_bytes();
        bundle.play(&Delivery::with_body(&id, body)).await;
        let (state, reason) = state(&bundle, &id);
        assert_eq!(state, Parked, "{kind}");
        let reason = reason.unwrap();
        assert!(reason.contains("test-mode"), "{kind}: {reason}");
    }
    let after = bundle.end();
    assert_eq!(after.orders, before.orders);
    assert_eq!(after.receipts, before.receipts);
    assert_eq!(after.mails, before.mails);
}

/// The end of a life whose events come in that order.
async fn facts(life: &Life, order: &[usize]) -> (Option<(Timestamp, Reason)>, Vec<String>, usize) {
    let bundle = shop_of(life);
    for n in order {
        bundle.take(&life.moments[*n].delivery()).await;
        if n % 3 == 0 {
            // No time passes: what waits for the order would wait for hours.
            while bundle.work_at_once().await {}
        }
    }
    bundle.drain().await;
    let states = bundle.states().into_iter();
    let parked = states.filter(|state| *state != Processed).count();
    (access(&bundle, life), receipts(&bundle), parked)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn a_life_told_in_any_order_and_twice_comes_to_one_end_and_one_set_of_receipts(
        order in Just([(0..10).collect::<Vec<usize>>(), (0..10).collect()].concat()).prop_shuffle(),
    ) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
        let life = Life::live(9);
        let (expected, end) = runtime.block_on(async {
            (facts(&life, &(0..10).collect::<Vec<_>>()).await, facts(&life, &order).await)
        });
        prop_assert_eq!(end, expected);
    }
}
