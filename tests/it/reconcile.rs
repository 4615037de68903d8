//! Reconcile: lost webhooks become recovered events from the provider's lists, over the ports in memory and on the
//! deployed stack.

use domain::{
    access::subscription::{Reason, SubscriptionFacts},
    ports::{Commits as _, EventAdmin as _, Events as _, Receipts as _},
    sale::{
        dispute::{Dispute, DisputeStage},
        refund,
    },
    upkeep::recovery::{Count, List, Reconciled},
    values::facts::Fact,
};
use kit::{
    fakes::{Call, Fate, Turn},
    life::Moment,
    prelude::*,
    reconciling::reconcile_over,
    shop,
    story::payment_facts,
    sweeping::sweep_over,
};
use reconcile::MOST_GAPS;
use tokio::time::Instant;

/// Longer than all of a story.
const DAYS: i64 = 365;

fn at(text: &str) -> Timestamp {
    text.parse().unwrap()
}

/// When everything has happened.
fn the_end() -> Timestamp {
    at("2026-04-11T00:00:00Z")
}

/// A refund of the first payment of the `n`th purchase, in Flex's words.
fn refund_of(n: u64, status: &str) -> Value {
    let mut refund = sample("refund.updated")["object"]["refund"].take();
    refund["refund_id"] = json!(shop::id("fre", n));
    refund["payment_intent_id"] = purchase(n).session["payment_intents"][0].clone();
    refund["status"] = json!(status);
    refund["amount"] = json!(1000);
    refund["created_at"] = json!("2025-10-11T09:00:00Z");
    refund["metadata"] = json!({});
    refund
}

fn refund_news(n: u64, status: &str) -> refund::RefundChange {
    refund::RefundChange {
        mode: Some(Mode::Live),
        ..kit::story::refund_news(&refund_of(n, status))
    }
}

fn life(n: u64) -> Life {
    let mut life = Life::live(n);
    life.purchase.session["created_at"] = json!(at("2026-01-10T08:55:00Z").as_second());
    life
}

/// A shop that has sold so much; and every webhook of it, as Flex would have sent them.
fn season(purchases: u64, refunds: &[u64], lives: &[u64]) -> (Bundle, Vec<Delivery>) {
    let bundle = open_shop(OnUnknown::Resend);
    for name in ["BRACE-M", "TOTE"] {
        bundle.world.kept().counters.insert(sku(name), 10_000);
    }
    bundle.world.pass_until(the_end());
    let mut webhooks = Vec::new();
    for n in 1..=purchases {
        bundle.provider_has(&sale(&purchase(n)));
        webhooks.push(Delivery::of(&purchase(n), &format!("fevt_{n}")));
    }
    for n in refunds {
        bundle.provider_has_refunds(&[refund_news(*n, "succeeded")]);
        for (second, kind, status) in [(0, "created", "pending"), (60, "updated", "succeeded")] {
            let (at, id) = (1_760_173_200 + second, format!("fevt_{kind}_{n}"));
            let (kind, refund) = (format!("refund.{kind}"), refund_of(*n, status));
            webhooks.push(Delivery::live(&kind, &id, at, refund));
        }
    }
    for n in lives {
        let life = life(*n);
        bundle.provider_has_life(&life);
        bundle.provider_has_invoices_of(&life);
        webhooks.extend(life.moments.iter().map(Moment::delivery));
    }
    (bundle, webhooks)
}

/// The same shop after all its webhooks came and were handled.
async fn lived(purchases: u64, refunds: &[u64], lives: &[u64]) -> Bundle {
    let (bundle, webhooks) = season(purchases, refunds, lives);
    deliver(&bundle, &webhooks, |_| true).await;
    bundle.drain().await;
    bundle
}

/// Delivers the events that arrive, and handles them without passing time: an event that waits for another one still
/// waits.
async fn deliver(bundle: &Bundle, webhooks: &[Delivery], arrives: impl Fn(usize) -> bool) {
    for (_, webhook) in webhooks.iter().enumerate().filter(|(n, _)| arrives(*n)) {
        bundle.deliver(webhook, false).await;
    }
    while bundle.work_at_once().await {}
}

/// The state that must be the same, with webhooks or with lists: everything but times and events.
#[derive(Debug, PartialEq)]
struct Essence {
    end: End,
    access: BTreeMap<(CustomerId, ProductId), (Timestamp, Reason)>,
}

impl Essence {
    fn of(bundle: &Bundle) -> Self {
        let kept = bundle.world.kept();
        let events = End::of(&kept).events;
        let mut states = events.values().map(|(state, _)| state);
        assert!(!states.any(|state| state.is_unfinished()), "{events:?}");
        let access = kept
            .entitlements
            .iter()
            .map(|(key, row)| (key.clone(), (row.access_until, row.reason)));
        Self {
            end: End::of(&kept).without_events(),
            access: access.collect(),
        }
    }
}

fn parked(bundle: &Bundle) -> usize {
    let states = bundle.states();
    states.iter().filter(|state| **state == Parked).count()
}

fn list(name: &'static str) -> List {
    List {
        provider: kit::flex_id(),
        name,
    }
}

async fn run(bundle: &Bundle) -> Reconciled {
    bundle.reconcile(DAYS).await.unwrap().unwrap()
}

/// A second run finds nothing, and writes nothing.
async fn finds_nothing_more(bundle: &Bundle) {
    let before = bundle.world.kept().calls.len();
    let again = run(bundle).await;
    let Count {
        examined,
        missing,
        waiting,
        resumed,
        seen_before,
        unreadable,
    } = again.total();
    assert!(examined > 0);
    assert_eq!(
        (missing, waiting, resumed, seen_before, unreadable),
        (0, 0, 0, 0, 0),
        "{again}"
    );
    let kept = bundle.world.kept();
    let reads = ["api.list", "commits.read", "entitlements.customer_of"];
    let writes: Vec<_> = kept.calls[before..]
        .iter()
        .filter(|call| !reads.contains(call))
        .collect();
    assert_eq!(writes, Vec::<&&str>::new());
}

#[tokio::test]
async fn half_of_all_webhooks_dropped_for_ever_are_made_up_for_and_a_second_run_does_nothing() {
    let (purchases, refunds, lives) = (24, [3, 4, 9, 10, 17, 24], [101, 102, 103, 104]);
    let expected = Essence::of(&lived(purchases, &refunds, &lives).await);
    // Each subscription renews twice.
    let orders = 24 + lives.len() + 2 * lives.len();
    assert_eq!(expected.end.orders.len(), orders);
    assert_eq!(expected.end.mails.len(), orders + refunds.len());
    assert!(
        expected
            .access
            .values()
            .all(|(_, reason)| *reason == Reason::Ended)
    );

    // Every other one, the other ones, some by a roll of dice, and all of them.
    let dice = |seed: u64| {
        move |n: usize| {
            (n as u64 + 1)
                .wrapping_mul(seed)
                .rotate_left(29)
                .is_multiple_of(2)
        }
    };
    let drops: Vec<Box<dyn Fn(usize) -> bool>> = vec![
        Box::new(|n| n % 2 == 0),
        Box::new(|n| n % 2 == 1),
        Box::new(dice(0x9E37_79B9_7F4A_7C15)),
        Box::new(dice(0xC2B2_AE3D_27D4_EB4F)),
        Box::new(dice(0x1656_67B1_9E37_79F9)),
        Box::new(|_| false),
    ];
    for (n, arrives) in drops.iter().enumerate() {
        let (bundle, webhooks) = season(purchases, &refunds, &lives);
        deliver(&bundle, &webhooks, arrives).await;
        let made_up = run(&bundle).await;
        bundle.drain().await;
        assert_eq!(Essence::of(&bundle), expected, "{n}: {made_up}");
        assert_eq!(parked(&bundle), 0);
        assert!(made_up.total().missing > 0, "{n}: {made_up}");
        finds_nothing_more(&bundle).await;
    }
}

/// True if no sale has its order. Renewals need none.
fn has_no_sale(bundle: &Bundle) -> bool {
    let kept = bundle.world.kept();
    kept.orders
        .values()
        .all(|order| order.kind == OrderKind::Renewal)
}

#[tokio::test]
async fn what_was_parked_before_its_order_was_made_up_for_has_its_effect_all_the_same() {
    let facts = lived(4, &[1, 2], &[101]).await;
    // No sale is delivered. Reconcile runs when every event that waits for one is parked.
    let (bundle, webhooks) = season(4, &[1, 2], &[101]);
    let is_sale_session = |n: usize| webhooks[n].body.contains("checkout.session.completed");
    deliver(&bundle, &webhooks, |n| !is_sale_session(n)).await;
    bundle.drain().await;
    assert!(parked(&bundle) > 2 && has_no_sale(&bundle));
    // The first run brings the undelivered orders. The other events of these orders were delivered.
    let first = run(&bundle).await;
    let of = |name: &'static str| first.counts[&list(name)].missing;
    assert_eq!(
        first.total().missing,
        of("checkouts") + of("payments"),
        "{first}"
    );
    bundle.drain().await;
    let second = run(&bundle).await.total();
    assert_eq!(
        (second.missing, second.resumed > 0),
        (0, true),
        "{second:?}"
    );
    bundle.drain().await;
    assert_eq!(Essence::of(&bundle), Essence::of(&facts));
    finds_nothing_more(&bundle).await;
}

/// A dispute of the first payment of the `n`th purchase, as Flex lists it.
fn listed_dispute(n: u64, status: &str) -> Value {
    let mut dispute = sample("charge.dispute.created")["object"]["dispute"].take();
    dispute["dispute_id"] = json!(shop::id("fdsp", n));
    dispute["payment_intent_id"] = purchase(n).session["payment_intents"][0].clone();
    dispute["status"] = json!(status);
    dispute["test_mode"] = json!(false);
    dispute
}

#[tokio::test]
async fn a_dispute_that_no_webhook_told_is_made_up_for() {
    let bundle = lived(2, &[], &[]).await;
    let disputed = ("disputes", listed_dispute(1, "lost"));
    bundle.world.kept().lists.odd.push(disputed);
    let made_up = run(&bundle).await;
    assert_eq!(made_up.counts[&list("disputes")].missing, 1, "{made_up}");
    bundle.drain().await;
    let order = bundle.order(1);
    let stages: Vec<_> = order.disputes.values().map(Dispute::stage).collect();
    assert_eq!(stages, [DisputeStage::Lost]);
    finds_nothing_more(&bundle).await;
}

#[tokio::test]
async fn a_payment_without_an_order_is_told_to_a_person_once() {
    let bundle = lived(2, &[], &[]).await;
    let mut payment = sample("payment_intent.succeeded")["object"]["payment_intent"].take();
    payment["payment_intent_id"] = json!("fpi_of_nobody");
    payment["invoice"] = Value::Null;
    payment["created_at"] = json!(the_end().to_string());
    payment["test_mode"] = json!(false);
    bundle.world.kept().lists.odd.push(("payments", payment));
    assert_eq!(run(&bundle).await.total().missing, 0, "it is young");
    bundle.world.pass(Duration::from_hours(1));
    let found = run(&bundle).await;
    assert_eq!(found.counts[&list("payments")].missing, 1, "{found}");
    bundle.drain().await;
    let listed = operator::list::parked(&bundle.world, 10).await.unwrap();
    assert_eq!(listed.len(), 1);
    assert_eq!(listed[0].class, Some(Class::OrderUnknown));
    for _ in 0..2 {
        let again = run(&bundle).await.total();
        assert_eq!((again.missing, again.waiting), (0, 1), "{again:?}");
        bundle.drain().await;
        assert_eq!(parked(&bundle), 1);
    }
}

#[tokio::test]
async fn where_every_webhook_came_nothing_is_missing() {
    finds_nothing_more(&lived(8, &[2, 3], &[101]).await).await;
}

#[tokio::test]
async fn a_run_that_fails_or_stops_anywhere_leaves_the_next_one_the_rest() {
    let expected = Essence::of(&lived(2, &[2], &[101]).await);
    let calls = {
        let (bundle, _) = season(2, &[2], &[101]);
        run(&bundle).await;
        bundle.world.kept().calls.len()
    };
    assert!(calls > 30, "{calls}");
    for fault in [FailBefore, FailAfter, StopBefore, StopAfter] {
        for n in 0..calls {
            let (bundle, _) = season(2, &[2], &[101]);
            bundle.strike(n, fault);
            match bundle.reconcile(DAYS).await {
                None => assert!(matches!(fault, StopBefore | StopAfter)),
                Some(ended) => assert!(
                    matches!(ended, Err(RetryableError::Away { .. })),
                    "{fault:?} at call {n}: nobody hears of it"
                ),
            }
            while bundle.work_at_once().await {}
            run(&bundle).await;
            while bundle.work_at_once().await {}
            // An event that was recorded and not queued is found by sweep, before what waits for its order is given up.
            bundle.world.pass(Duration::from_mins(16));
            sweep_over(&bundle.world).run().await.unwrap();
            bundle.drain().await;
            assert_eq!(Essence::of(&bundle), expected, "{fault:?} at call {n}");
            assert_eq!(parked(&bundle), 0, "{fault:?} at call {n}");
            finds_nothing_more(&bundle).await;
        }
    }
}

#[tokio::test]
async fn two_runs_at_once_come_to_the_same_as_one() {
    let facts = lived(3, &[2], &[101]).await;
    let (bundle, _) = season(3, &[2], &[101]);
    let (one, other) = tokio::join!(run(&bundle), run(&bundle));
    // Both may say of one that it was missing, and queue it.
    let found = bundle.world.kept().events.len();
    assert!(
        (found..=2 * found).contains(&(one.total().missing + other.total().missing)),
        "{one}; {other}"
    );
    bundle.drain_at_once().await;
    assert_eq!(Essence::of(&bundle), Essence::of(&facts));
    finds_nothing_more(&bundle).await;
}

#[tokio::test]
async fn one_bad_thing_stops_nobody_and_is_kept_once() {
    let (bundle, _) = season(3, &[2], &[]);
    let mut broken = refund_of(1, "succeeded");
    broken["amount"] = json!("a lot");
    broken["test_mode"] = json!(false);
    bundle.world.kept().lists.odd = vec![
        ("refunds", broken),
        ("checkouts", json!({"status": "complete"})),
        ("invoices", json!(7)),
    ];
    let first = run(&bundle).await;
    assert_eq!(
        (first.total().missing, first.total().unreadable),
        (4, 3),
        "{first}"
    );
    bundle.drain().await;
    assert_eq!(bundle.world.kept().orders.len(), 3);
    let again = run(&bundle).await.total();
    assert_eq!(
        (again.missing, again.unreadable, again.seen_before),
        (0, 0, 3)
    );
    let kept = bundle.world.kept();
    let unreadable = kept.events.values();
    let unreadable = unreadable.filter(|event| event.state == Unreadable);
    let reasons: Vec<_> = unreadable
        .filter_map(|event| event.reason.as_deref())
        .collect();
    assert_eq!(reasons.len(), 3);
    assert!(
        reasons.contains(&"`object.refund.amount` is a text that is not understood"),
        "{reasons:?}"
    );
}

#[tokio::test]
async fn what_is_young_too_old_or_of_the_other_mode_is_left_alone() {
    let bundle = open_shop(OnUnknown::Resend);
    bundle.world.pass_until(the_end());
    let now = the_end().as_second();
    for (n, age) in [(1, 14 * 60), (2, 16 * 60), (3, 71 * 3600), (4, 73 * 3600)] {
        let mut purchase = purchase(n);
        purchase.session["created_at"] = json!(now - age);
        bundle.provider_has(&sale(&purchase));
    }
    let mut test = purchase(5);
    test.session["test_mode"] = json!(true);
    test.session["created_at"] = json!(now - 3600);
    bundle.provider_has(&sale(&test));
    let made_up = bundle.reconcile(3).await.unwrap().unwrap();
    assert_eq!(made_up.total().missing, 2);
    bundle.drain().await;
    let orders: Vec<OrderId> = bundle.world.kept().orders.keys().cloned().collect();
    assert_eq!(
        orders,
        [2, 3].map(|n| OrderId::new(purchase(n).order_id()).unwrap())
    );
}

#[tokio::test]
async fn nobody_is_asked_where_nobody_looks_back() {
    let (bundle, _) = season(3, &[2], &[101]);
    assert_eq!(
        bundle.reconcile(0).await.unwrap().unwrap(),
        Reconciled::default()
    );
    assert_eq!(bundle.world.kept().calls, Vec::<&str>::new());
}

#[tokio::test(start_paused = true)]
async fn a_webhook_that_was_on_its_way_is_not_missing() {
    let (bundle, webhooks) = season(2, &[], &[]);
    let mut reconcile = reconcile_over(&bundle.world, DAYS);
    reconcile.second_look = Duration::from_secs(20);
    let arrives = async {
        tokio::time::sleep(Duration::from_secs(5)).await;
        deliver(&bundle, &webhooks, |n| n == 0).await;
    };
    let (made_up, ()) = tokio::join!(reconcile.run(), arrives);
    assert_eq!(made_up.unwrap().total().missing, 1);
}

#[tokio::test(start_paused = true)]
async fn news_between_the_two_looks_are_not_replaced_by_what_was_listed_before_them() {
    let (bundle, webhooks) = season(1, &[], &[]);
    deliver(&bundle, &webhooks, |_| true).await;
    let plan = |pieces: u64| {
        let mut subscription = life(101).subscription;
        subscription["status"] = json!("active");
        subscription["items"][0]["quantity"] = json!(pieces);
        subscription
    };
    let updated = |pieces: u64, at: Timestamp| {
        let (kind, id) = ("customer.subscription.updated", format!("fevt_{pieces}"));
        Delivery::live(kind, &id, at.as_second(), plan(pieces))
    };
    let first = updated(1, the_end() - Duration::from_hours(1));
    deliver(&bundle, &[first], |_| true).await;
    // First two pieces, without a webhook, and a pending refund. Then three pieces, and a completed refund.
    bundle.provider_has_subscription(&plan(2));
    bundle.provider_has_refunds(&[refund_news(1, "pending")]);
    let mut reconcile = reconcile_over(&bundle.world, DAYS);
    reconcile.second_look = Duration::from_secs(20);
    let arrives = async {
        tokio::time::sleep(Duration::from_secs(5)).await;
        bundle.world.pass(Duration::from_secs(5));
        let now = bundle.world.now();
        let (kind, refund) = ("refund.updated", refund_of(1, "succeeded"));
        let refunded = Delivery::live(kind, "fevt_refund", now.as_second(), refund);
        deliver(&bundle, &[updated(3, now), refunded], |_| true).await;
    };
    let (made_up, ()) = tokio::join!(reconcile.run(), arrives);
    assert_eq!(made_up.unwrap().total().missing, 0);
    bundle.drain().await;
    bundle.provider_has_subscription(&plan(3));
    bundle.provider_has_refunds(&[refund_news(1, "succeeded")]);
    {
        let kept = bundle.world.kept();
        let row = kept.subscription_rows.values().next().unwrap();
        assert_eq!(row.snapshot.as_ref().unwrap().value.items[0].quantity, 3);
        let order = kept.orders.values().next().unwrap();
        let refunds = order
            .refunds
            .values()
            .map(|refund| refund.facts.value.status);
        assert_eq!(
            refunds.collect::<Vec<_>>(),
            [refund::RefundStatus::Succeeded]
        );
    }
    finds_nothing_more(&bundle).await;
}

/// Has a webhook's effect after the list of subscriptions was read, and before the first look at what it has.
#[derive(Debug)]
struct OvertakesTheList {
    lists: u32,
    began: (Timestamp, Instant),
    facts: Option<SubscriptionFacts>,
}

impl Fate for OvertakesTheList {
    fn turn(&mut self, call: Call, kept: &mut Kept) -> Turn {
        self.lists += u32::from(call.name == "api.list");
        if call.name == "commits.read" && self.lists == 5 {
            let row = kept.subscription_rows.values_mut().next();
            if let (Some(row), Some(facts)) = (row, self.facts.take()) {
                let now = self.began.0 + self.began.1.elapsed();
                (row.version, row.snapshot) = (row.version + 1, Some(Fact::new(now, facts)));
            }
        }
        Turn::Goes
    }
}

#[tokio::test(start_paused = true)]
async fn news_between_the_list_and_the_first_look_are_not_replaced_by_what_was_listed_before_them()
{
    let (bundle, webhooks) = season(1, &[], &[]);
    deliver(&bundle, &webhooks, |_| true).await;
    let mut listed = life(101).subscription;
    listed["status"] = json!("active");
    bundle.provider_has_subscription(&listed);
    let at = (the_end() - Duration::from_hours(1)).as_second();
    let kind = "customer.subscription.updated";
    let updated = Delivery::live(kind, "fevt_listed", at, listed);
    deliver(&bundle, &[updated], |_| true).await;
    bundle.drain().await;
    let facts = || {
        let kept = bundle.world.kept();
        let row = kept.subscription_rows.values().next().unwrap();
        row.snapshot.clone().unwrap().value
    };
    let known = facts();
    let newer = SubscriptionFacts {
        cancel_at_period_end: !known.cancel_at_period_end,
        ..known
    };
    bundle.world.run_on_timers(Duration::from_secs(2));
    let began = (bundle.world.now(), Instant::now());
    let overtakes = OvertakesTheList {
        lists: 0,
        began,
        facts: Some(newer.clone()),
    };
    bundle.world.decide_by(Some(Box::new(overtakes)));
    assert_eq!(run(&bundle).await.total().missing, 0);
    bundle.world.decide_by(None);
    bundle.drain().await;
    assert_eq!(facts(), newer);
}

#[tokio::test]
async fn what_an_earlier_run_has_found_is_queued_and_counted_once_and_what_is_lost_is_sweeps() {
    let (bundle, _) = season(2, &[], &[]);
    assert_eq!(run(&bundle).await.total().missing, 2);
    bundle.world.kept().fulfillment_queue.clear();
    let again = run(&bundle).await.total();
    assert_eq!((again.missing, again.waiting), (0, 2));
    assert_eq!(
        bundle.world.kept().fulfillment_queue.len(),
        0,
        "an hour later there is no second message"
    );
    bundle.world.pass(Duration::from_mins(16));
    sweep_over(&bundle.world).run().await.unwrap();
    bundle.drain().await;
    assert_eq!(bundle.world.kept().orders.len(), 2);
    finds_nothing_more(&bundle).await;
}

/// From now on the provider lists a refund of a payment of no sale that it knows. Gives the refund's webhook.
fn stray_refund(bundle: &Bundle) -> Delivery {
    let mut listed = refund_news(3, "succeeded");
    listed.facts.payment_intent_id = PaymentIntentId::new("fpi_stray").unwrap();
    bundle.provider_has_refunds(&[listed]);
    let mut refund = refund_of(3, "succeeded");
    refund["payment_intent_id"] = json!("fpi_stray");
    Delivery::live("refund.updated", "fevt_stray", 1_760_173_200, refund)
}

#[tokio::test]
async fn what_a_person_has_to_decide_is_counted_once_and_waits_for_the_person() {
    let (bundle, _) = season(1, &[], &[]);
    stray_refund(&bundle);
    assert_eq!(run(&bundle).await.total().missing, 2);
    bundle.drain().await;
    let id = format!("reconciled:refund:{}:succeeded:0", shop::id("fre", 3));
    assert_eq!((parked(&bundle), bundle.state(&id)), (1, Parked));
    let again = run(&bundle).await.total();
    assert_eq!((again.missing, again.waiting, again.seen_before), (0, 1, 0));
}

#[tokio::test]
async fn what_a_webhook_has_told_and_waits_or_is_parked_is_neither_missing_nor_told_again() {
    let (bundle, webhooks) = season(2, &[], &[101]);
    // The refund's event is parked, and none of the rest is handled: the backlog is long.
    bundle.play(&stray_refund(&bundle)).await;
    assert_eq!(parked(&bundle), 1);
    for webhook in &webhooks {
        bundle.take(webhook).await;
    }
    let before = bundle.world.kept().events.len();
    for _ in 0..2 {
        let found = run(&bundle).await.total();
        assert_eq!(
            (found.missing, found.resumed, found.seen_before),
            (0, 0, 0),
            "{found:?}"
        );
        assert!(found.waiting > 4, "{found:?}");
        assert_eq!(bundle.world.kept().events.len(), before);
        bundle.world.pass(Duration::from_hours(1));
    }
    bundle.drain().await;
    let left = run(&bundle).await.total();
    assert_eq!(
        (left.missing, left.waiting),
        (0, 1),
        "the one that a person decides on"
    );
}

/// Has a webhook come, be parked, and be dropped by a person.
async fn dropped(bundle: &Bundle, webhook: &Delivery, id: &str) {
    let (id, now) = (EventId::new(id).unwrap(), bundle.world.now());
    bundle.deliver(webhook, false).await;
    bundle.world.kept().fulfillment_queue.clear();
    let park_reason = Settlement::Parked {
        class: Class::NotRead,
        reason: "Flex will not tell".to_owned(),
        announced: None,
    };
    bundle.world.settle(&id, &park_reason, now).await.unwrap();
    let seen = bundle.event(id.as_str());
    let note = operator_note(Action::Dropped, now);
    let dropped = bundle.world.drop_event(&seen, &note, None, now).await;
    assert_eq!(dropped, Ok(Changed::Now), "{id}");
}

#[tokio::test]
async fn what_a_person_has_dropped_is_not_made_up_for() {
    let (bundle, webhooks) = season(1, &[], &[]);
    dropped(&bundle, &webhooks[0], "fevt_1").await;
    dropped(&bundle, &stray_refund(&bundle), "fevt_stray").await;
    for _ in 0..3 {
        let found = run(&bundle).await.total();
        assert_eq!(found.seen_before, 2, "{found:?}");
        let others = (found.missing, found.waiting, found.resumed);
        assert_eq!(others, (0, 0, 0), "{found:?}");
        bundle.drain().await;
        assert!(bundle.world.kept().orders.is_empty());
        assert_eq!(bundle.world.kept().events.len(), 2);
        bundle.world.pass(Duration::from_hours(1));
    }
}

#[tokio::test]
async fn however_many_wait_or_are_parked_no_other_is_kept_from_being_made_up_for() {
    let all = MOST_GAPS as u64 + 30;
    let (bundle, webhooks) = season(all, &[], &[]);
    // None of these is handled, and some of them were dropped by hand.
    for webhook in &webhooks[..MOST_GAPS + 20] {
        bundle.deliver(webhook, false).await;
    }
    for event in bundle.world.kept().events.values_mut().take(20) {
        event.state = EventState::Dropped;
    }
    let found = run(&bundle).await;
    let Count {
        missing,
        waiting,
        seen_before,
        ..
    } = found.total();
    assert_eq!(
        (missing, waiting, seen_before, found.more),
        (10, MOST_GAPS, 20, false),
        "{found}"
    );
}

#[tokio::test]
async fn a_gap_whose_answer_was_lost_is_counted_and_queued() {
    let calls = {
        let (bundle, _) = season(2, &[2], &[101]);
        run(&bundle).await;
        bundle.world.kept().calls.clone()
    };
    let records = calls
        .iter()
        .enumerate()
        .filter(|(_, call)| **call == "events.record");
    for (n, _) in records {
        let (bundle, _) = season(2, &[2], &[101]);
        bundle.strike(n, Twice);
        let found = run(&bundle).await.total();
        let kept = bundle.world.kept();
        assert!(kept.faults.is_empty());
        assert_eq!(
            (found.missing, kept.fulfillment_queue.len()),
            (kept.events.len(), kept.events.len())
        );
    }
}

#[tokio::test]
async fn of_what_no_row_can_hold_it_is_kept_which_it_is() {
    let (bundle, _) = season(0, &[], &[]);
    let mut long = refund_of(1, "succeeded");
    long["reason"] = json!("x".repeat(400_000));
    long["test_mode"] = json!(false);
    bundle.world.kept().lists.odd = vec![("refunds", long)];
    let first = run(&bundle).await.total();
    assert_eq!((first.unreadable, first.seen_before), (1, 0));
    let again = run(&bundle).await.total();
    assert_eq!((again.unreadable, again.seen_before), (0, 1));
    let kept = bundle.world.kept();
    let [event] = kept.events.values().collect::<Vec<_>>()[..] else {
        panic!("{:?}", kept.events.len())
    };
    let body = String::from_utf8(event.body.clone()).unwrap();
    assert!(
        body.contains(&shop::id("fre", 1)) && body.len() < 100,
        "{body}"
    );
    assert_eq!(
        event.reason.as_deref(),
        Some("it is larger than a row holds")
    );
}

#[tokio::test]
async fn what_waits_and_tells_something_else_of_the_same_thing_makes_up_for_nothing() {
    let (bundle, webhooks) = season(1, &[1], &[]);
    // The last of three webhooks is lost; the refund's first one waits for the order.
    deliver(&bundle, &webhooks, |n| {
        webhooks[n].body.contains("refund.created")
    })
    .await;
    let found = run(&bundle).await.total();
    assert_eq!((found.missing, found.waiting), (2, 0), "{found:?}");
    bundle.drain().await;
    run(&bundle).await;
    bundle.drain().await;
    finds_nothing_more(&bundle).await;
}

#[tokio::test]
async fn a_state_that_comes_back_is_made_up_for_again() {
    let bundle = open_shop(OnUnknown::Resend);
    bundle.world.pass_until(the_end());
    let life = life(101);
    bundle.provider_has(&sale(&life.purchase));
    for (status, cancels) in [
        ("active", false),
        ("active", true),
        ("past_due", false),
        ("active", false),
    ] {
        let mut subscription = life.subscription.clone();
        subscription["status"] = json!(status);
        subscription["cancel_at_period_end"] = json!(cancels);
        bundle.provider_has_subscription(&subscription);
        bundle.world.pass(Duration::from_hours(1));
        let made_up = run(&bundle).await;
        assert_eq!(
            made_up.counts[&list("subscriptions")].missing,
            1,
            "{status}: {made_up}"
        );
        bundle.drain().await;
        finds_nothing_more(&bundle).await;
    }
}

#[tokio::test]
async fn a_list_that_cannot_be_read_now_stops_no_other_and_a_key_that_is_refused_all() {
    let (bundle, _) = season(2, &[], &[101]);
    let too_slow = || RetryableError::Away {
        service: "Flex",
        cause: "no answer in time".into(),
        retry_after: None,
    };
    bundle.provider_answers(&ReadError::Transient(too_slow()), 1);
    assert_eq!(bundle.reconcile(DAYS).await.unwrap(), Err(too_slow()));
    bundle.drain().await;
    assert!(
        has_no_sale(&bundle),
        "the sales are those that could not be read"
    );
    assert_eq!(bundle.world.kept().subscription_rows.len(), 1);

    let (bundle, _) = season(2, &[], &[101]);
    bundle.provider_answers(&ReadError::KeyRefused { status: 401 }, 1);
    let refused = bundle.reconcile(DAYS).await.unwrap();
    assert_matches!(refused, Err(RetryableError::SetUp { .. }));
    assert_eq!(bundle.world.kept().calls, ["api.list"]);
}

#[tokio::test]
async fn a_list_that_is_refused_stops_no_other_and_somebody_hears_of_it() {
    let (bundle, _) = season(2, &[], &[101]);
    // The first of them.
    let refused = ReadError::Permanent {
        status: 422,
        code: None,
    };
    bundle.provider_answers(&refused, 1);
    let Err(RetryableError::SetUp { cause, .. }) = bundle.reconcile(DAYS).await.unwrap() else {
        panic!("nobody hears of it")
    };
    assert!(
        cause.contains("the list of checkouts") && cause.contains("422"),
        "{cause}"
    );
    bundle.drain().await;
    assert!(has_no_sale(&bundle));
    assert_eq!(
        bundle.world.kept().subscription_rows.len(),
        1,
        "what the other lists have is made up for"
    );
}

#[tokio::test(start_paused = true)]
async fn a_list_without_end_keeps_no_other_from_its_share_of_the_time() {
    let (bundle, _) = season(400, &[1], &[101]);
    bundle.world.run_on_timers(Duration::from_secs(2));
    let mut reconcile = reconcile_over(&bundle.world, DAYS);
    reconcile.reading_time = Duration::from_secs(100);
    let found = reconcile.run().await.unwrap();
    let examined = |what| found.counts[&list(what)].examined;
    assert!(
        found.more && (1..401).contains(&examined("checkouts")),
        "{found}"
    );
    for what in ["invoices", "refunds", "subscriptions"] {
        assert!(examined(what) > 0, "{what}: {found}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_page_that_took_minutes_is_left_to_the_next_run() {
    let (bundle, _) = season(1, &[], &[]);
    let mut reconcile = reconcile_over(&bundle.world, DAYS);
    reconcile.reading_time = Duration::from_hours(1);
    for (seconds, is_used) in [(90, false), (2, true)] {
        bundle.world.run_on_timers(Duration::from_secs(seconds));
        let found = reconcile.run().await.unwrap();
        let is_found = found.total().missing > 0;
        assert_eq!((is_found, found.more), (is_used, !is_used), "{found}");
    }
}

#[tokio::test]
async fn what_a_run_leaves_is_the_next_ones() {
    let all = MOST_GAPS as u64 + 30;
    let (bundle, _) = season(all, &[], &[]);
    let first = run(&bundle).await;
    assert!(first.more && first.total().missing >= MOST_GAPS, "{first}");
    bundle.drain_at_once().await;
    let second = run(&bundle).await;
    assert_eq!(
        first.total().missing + second.total().missing,
        usize::try_from(all).unwrap()
    );
    assert!(!second.more);
}

#[tokio::test]
async fn a_payment_that_arrived_later_releases_its_order_and_one_that_has_not_is_no_gap() {
    let bundle = open_shop(OnUnknown::Resend);
    bundle.world.pass_until(the_end());
    let mut held = sale(&purchase(1));
    held.capture = domain::sale::statement::Capture::Manual;
    held.received = Some(0);
    bundle.provider_has(&held);
    deliver(&bundle, &[Delivery::of(&purchase(1), "fevt_1")], |_| true).await;
    let state = || bundle.order(1).state();
    assert_ne!(state(), OrderState::Paid);
    finds_nothing_more(&bundle).await;
    // It is captured, without an event.
    held.received = Some(held.totals.total);
    bundle.provider_has(&held);
    bundle.world.pass(Duration::from_hours(1));
    assert_eq!(run(&bundle).await.total().missing, 1);
    let types: Vec<_> = {
        let kept = bundle.world.kept();
        let types = kept.events.values().map(|event| event.event_type.clone());
        types.flatten().collect()
    };
    assert!(
        types.contains(&"checkout.session.async_payment_succeeded".to_owned()),
        "what Flex's API does not know of yet is waited for: {types:?}"
    );
    bundle.drain().await;
    assert_eq!(state(), OrderState::Paid);
    assert_eq!(bundle.on_hand("BRACE-M"), ON_HAND - 2);
    finds_nothing_more(&bundle).await;
}

#[tokio::test]
async fn money_that_comes_in_parts_releases_its_order_though_nobody_tells_of_the_last_one() {
    for rest in ["succeeded", "canceled"] {
        let bundle = open_shop(OnUnknown::Resend);
        bundle.world.pass_until(the_end());
        let mut cart = sale(&purchase(1));
        cart.capture = domain::sale::statement::Capture::Manual;
        let pays = |word: &str| match word {
            "canceled" => payment_facts(word, &json!({"amount": 1000})),
            _ => payment_facts(word, &json!({})),
        };
        let later = PaymentIntentId::new("fpi_later").unwrap();
        cart.payment_intents.truncate(1);
        cart.payment_intents.push(later.clone());
        cart.payments = BTreeMap::from([
            (cart.payment_intents[0].clone(), pays("succeeded")),
            (later.clone(), pays("requires_capture")),
        ]);
        let all = cart.totals.total;
        cart.received = Some(0);
        bundle.provider_has(&cart);
        deliver(&bundle, &[Delivery::of(&purchase(1), "fevt_1")], |_| true).await;
        let state = || bundle.order(1).state();
        let found = async || {
            let found = run(&bundle).await.total();
            bundle.drain().await;
            (found.missing, found.resumed, found.seen_before)
        };
        assert_eq!(found().await, (0, 0, 0));
        // The first part comes, also without an event.
        cart.received = Some(all - 1000);
        bundle.provider_has(&cart);
        assert_eq!(found().await, (1, 0, 0));
        // Now it is known, and whether more will come is asked once a day.
        assert_eq!(found().await, (0, 1, 0));
        assert_eq!(found().await, (0, 0, 1));
        assert_ne!(state(), OrderState::Paid);
        let is_given_up = rest == "canceled";
        cart.payments.insert(later, pays(rest));
        cart.received = Some(if is_given_up { all - 1000 } else { all });
        bundle.provider_has(&cart);
        bundle.world.pass(Duration::from_hours(24));
        let expected = if is_given_up { (0, 1, 0) } else { (1, 0, 0) };
        assert_eq!(found().await, expected);
        assert_eq!(state(), OrderState::Paid);
        finds_nothing_more(&bundle).await;
    }
}

#[tokio::test]
async fn the_sale_is_dated_by_its_checkout_and_the_refund_by_itself() {
    let (bundle, _) = season(1, &[1], &[]);
    run(&bundle).await;
    bundle.drain().await;
    let order = bundle.order(1);
    assert_eq!(Some(order.placed_at), sale(&purchase(1)).created_at);
    let made_at = Some(at("2025-10-11T09:00:00Z"));
    let mut refunds = order.refunds.values();
    assert!(refunds.all(|refund| refund.facts.value.made_at == made_at));
    let now = bundle.world.now();
    assert!(order.fulfilled_at.is_some_and(|at| at <= now));
}

/// How long anything may take on the deployed stack.
const SOON: Duration = Duration::from_secs(90);

/// Purchases of things of their own, made a while ago, and none of them younger than what is left to webhooks.
async fn sales(play: &Play, first: u64, count: u64) -> Vec<Purchase> {
    let made_at = Timestamp::now().as_second() - 20 * 60;
    let mut sales = Vec::new();
    for n in first..first + count {
        let mut purchase = Purchase::numbered(n);
        purchase.session["created_at"] = json!(made_at);
        for (line, name) in ["BRACE", "TOTE"].into_iter().enumerate() {
            let name = format!("{name}-{n}");
            let stock_levels = &play.tables.stock_levels;
            stock_levels.put_counter(&sku(&name), 10).await.unwrap();
            purchase.line_items[line]["price"]["product"]["client_reference_id"] = json!(name);
        }
        play.sell(&purchase).await.unwrap();
        sales.push(purchase);
    }
    sales
}

/// A subscription that began then, with its sale and its first invoice, as Flex's API shows them.
async fn subscribed(play: &Play, n: u64) -> (Purchase, Value) {
    let now = Timestamp::now();
    let (began, ends) = (
        now - Duration::from_mins(20),
        now + Duration::from_hours(24 * 30),
    );
    let (customer, product) = (shop::id("fcus", n), shop::id("fprod", n));
    let mut purchase = Purchase::subscription(n);
    purchase.session["created_at"] = json!(began.as_second());
    purchase.session["customer"] = json!(customer);
    purchase.customer["customer_id"] = json!(customer);
    play.sell(&purchase).await.unwrap();
    let mut subscription = shop::subscription(n);
    subscription["customer"] = json!(customer);
    subscription["created_at"] = json!(began.to_string());
    subscription["current_period_start"] = json!(began.to_string());
    subscription["current_period_end"] = json!(ends.to_string());
    subscription["items"][0]["price"]["product"] = json!(product);
    play.knows_subscription(&subscription).await.unwrap();
    let mut invoice = sample("invoice.paid")["object"]["invoice"].take();
    invoice["invoice_id"] = json!(shop::id("fin", n));
    invoice["subscription"] = subscription["subscription_id"].clone();
    // The list may leave the customer out. Reconcile and fulfillment then find it by the subscription.
    invoice["customer"] = Value::Null;
    invoice["payment_intent"] = purchase.session["payment_intent"].clone();
    invoice["created_at"] = json!(began.to_string());
    invoice["period_start"] = json!(began.to_string());
    invoice["period_end"] = json!(ends.to_string());
    play.knows_invoice(&invoice).await.unwrap();
    (purchase, subscription)
}

async fn is_sent(play: &Play, receipt_id: &str) {
    let id = ReceiptId::new(receipt_id).unwrap();
    until(&format!("{receipt_id} is sent"), SOON, async || {
        let receipt = play.tables.store.receipt(&id).await?;
        Ok(receipt.filter(|receipt| matches!(receipt.state, ReceiptState::Sent { .. })))
    })
    .await
    .unwrap();
}

#[tokio::test]
async fn half_of_the_webhooks_of_the_deployed_stack_are_made_up_for() {
    let play = play().await;
    let number = number();
    let sales = sales(&play, number, 6).await;
    let subscriber = number + 100;
    let (begun, subscription) = subscribed(&play, subscriber).await;
    let mut refund = refund_of(1, "succeeded");
    let refund_id = shop::id("fre", number);
    refund["refund_id"] = json!(refund_id);
    refund["payment_intent_id"] = sales[1].session["payment_intents"][0].clone();
    refund["created_at"] = json!((Timestamp::now() - Duration::from_mins(16)).to_string());
    play.knows_refund(&refund).await.unwrap();
    // Every other webhook arrives; none of the subscription's, and none of the refund's.
    let arrives = |n: u64| n.is_multiple_of(2);
    for (n, sale) in (0..).zip(&sales).filter(|(n, _)| arrives(*n)) {
        let event_id = shop::id("fevt", number + n);
        play.takes(&sale.completed(&event_id)).await;
        play.until_event(&event_id, Processed, SOON).await.unwrap();
    }
    assert_eq!(play.invoke("reconcile").await.unwrap(), "null");
    play.until_idle(SOON).await.unwrap();

    for sale in sales.iter().chain([&begun]) {
        play.sent_receipt(sale.order_id(), SOON).await;
    }
    is_sent(&play, &format!("{refund_id}-refund")).await;
    let (customer, product) = (shop::id("fcus", subscriber), shop::id("fprod", subscriber));
    let read_set = ReadSet {
        entitlements: vec![(
            CustomerId::new(customer).unwrap(),
            ProductId::new(product).unwrap(),
        )],
        ..ReadSet::default()
    };
    let rows = play.tables.store.read(&read_set).await.unwrap();
    let access = rows.entitlements;
    let ends = subscription["current_period_end"].as_str().unwrap();
    assert_eq!(access[0].access_until.as_second(), at(ends).as_second());
    assert_eq!(access[0].reason, Reason::Paid);

    // Once more: nothing is recorded, queued or sent.
    let made_up_for = async |sale: &Purchase| {
        let id = |version: u64| {
            let sale = sale.order_id();
            format!("reconciled:checkout_session:{sale}:complete:{version}")
        };
        let mut count = 0;
        for version in 0..3 {
            count += usize::from(play.event(&id(version)).await.unwrap().is_some());
        }
        let order = play.order(sale.order_id()).await.unwrap().unwrap();
        (count, order.version)
    };
    let mut before = Vec::new();
    for (n, sale) in (0..).zip(&sales) {
        let (count, version) = made_up_for(sale).await;
        assert_eq!(
            count,
            usize::from(!arrives(n)),
            "{n}: webhooks that came have no second event"
        );
        before.push((count, version));
    }
    assert_eq!(play.invoke("reconcile").await.unwrap(), "null");
    play.until_idle(SOON).await.unwrap();
    for (sale, before) in sales.iter().zip(before) {
        assert_eq!(made_up_for(sale).await, before);
        let on_hand = [("BRACE", 8), ("TOTE", 9)];
        let n = sale.session["client_reference_id"]
            .as_str()
            .unwrap()
            .replace("order-", "");
        for (name, left) in on_hand {
            let sku = sku(&format!("{name}-{n}"));
            let back = if sale.order_id() == sales[1].order_id() {
                10
            } else {
                left
            };
            let count = play.tables.stock_levels.on_hand(&sku).await;
            let count = count.unwrap().unwrap();
            assert!((left..=back).contains(&count), "{name} of {n}: {count}");
        }
        let receipts = play.mails(sale.order_id()).await.unwrap();
        let refunds = usize::from(sale.order_id() == sales[1].order_id());
        assert_eq!(receipts.len(), 1 + refunds, "{n}");
    }
}
