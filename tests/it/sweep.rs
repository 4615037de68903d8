//! Sweep over the world in memory: what lies undone is queued again, what is due is queued, and nothing else; and on
//! the deployed stack.

use domain::{
    ports::{Clock, Commits as _, Events as _, Receipts as _},
    upkeep::sweep::{EVERY, Gauges},
    values::ids::ReferenceState,
};
use kit::prelude::*;
use kit::sweeping::sweep_over;
use std::sync::atomic::{AtomicU64, Ordering};
use sweep::{Limits, Sweep, Swept};

/// An afternoon in New York, and the next day already by universal time.
fn now() -> Timestamp {
    "2026-03-03T00:30:00Z".parse().unwrap()
}

fn hours(count: i64) -> SignedDuration {
    SignedDuration::from_hours(count)
}

fn minutes(count: i64) -> SignedDuration {
    SignedDuration::from_mins(count)
}

/// An event that stands there and came so long ago.
fn event(n: usize, state: EventState, age: SignedDuration) -> StoredEvent {
    let purchase = purchase(u64::try_from(n).unwrap());
    let body = Delivery::of(&purchase, &format!("fevt_{n:04}"))
        .body
        .into_bytes();
    StoredEvent {
        event_id: EventId::new(format!("fevt_{n:04}")).unwrap(),
        provider: "flex".parse().unwrap(),
        delivery_id: domain::values::ids::DeliveryId::new(format!("msg_{n:04}")).unwrap(),
        event_type: Some("checkout.session.completed".to_owned()),
        subject: None,
        occurred_at: None,
        received_at: now() - age,
        fingerprint: fingerprint(&body),
        body,
        state,
        reason: None,
        class: None,
        attempts: 0,
        notes: Notes::default(),
        outbox: Vec::new(),
    }
}

/// A receipt that stands there and was committed so long ago.
fn receipt(n: usize, state: ReceiptState, age: SignedDuration) -> Receipt {
    let order_id = OrderId::new(format!("fcs_{n:04}")).unwrap();
    let receipt = Receipt::for_order(&order_id, now() - age).unwrap();
    let attempts = u32::from(matches!(state, ReceiptState::Leased { .. }));
    Receipt {
        state,
        attempts,
        version: 1 + u64::from(attempts),
        ..receipt
    }
}

fn unsent() -> ReceiptState {
    ReceiptState::Unsent { reason: None }
}

/// A lease that ended that long ago.
fn claimed(ended: SignedDuration) -> ReceiptState {
    leased_by("somebody", now() - ended)
}

/// The notice of a trial, due that many hours from now.
fn notice(n: usize, in_hours: i64) -> Receipt {
    let kind = ReceiptKind::TrialEnds {
        subscription_id: SubscriptionId::new(format!("fsub_{n:04}")).unwrap(),
        ends_at: now() + hours(in_hours + 72),
    };
    let due_at = now() + hours(in_hours);
    let order_id = OrderId::new(format!("fcs_{n:04}")).unwrap();
    Receipt::new(&order_id, kind, Some(due_at), now() - hours(24 * 14)).unwrap()
}

fn world_with(
    events: impl IntoIterator<Item = StoredEvent>,
    receipts: impl IntoIterator<Item = Receipt>,
) -> World {
    let world = World::at(now());
    let events = events
        .into_iter()
        .map(|event| (event.event_id.clone(), event));
    world.kept().events.extend(events);
    let receipts = receipts
        .into_iter()
        .map(|receipt| (receipt.receipt_id.clone(), receipt));
    world.kept().receipts.extend(receipts);
    world
}

/// The events and receipts that were queued, each in the order of its queue, which is empty after.
fn queued(world: &World) -> (Vec<EventId>, Vec<ReceiptId>) {
    let mut kept = world.kept();
    let events = std::mem::take(&mut kept.fulfillment_queue)
        .into_iter()
        .map(|message| EventId::new(message.job.subject()).unwrap());
    let events = events.collect();
    let receipts = std::mem::take(&mut kept.receipt_queue)
        .into_iter()
        .map(|message| {
            let ReceiptJob::V1 { receipt_id } = message.job;
            receipt_id
        });
    (events, receipts.collect())
}

/// A run of the sweep that must succeed.
async fn swept(world: &World) -> Swept {
    sweep_over(world).run().await.unwrap()
}

async fn limited(world: &World, limits: Limits) -> Swept {
    let sweep = Sweep {
        limits,
        ..sweep_over(world)
    };
    sweep.run().await.unwrap()
}

fn send(world: &World, id: &ReceiptId) {
    let message_id = MessageId::new("ses-1").unwrap();
    let sent = ReceiptState::Sent {
        message_id,
        sent_at: world.now(),
    };
    world.kept().receipts.get_mut(id).unwrap().state = sent;
}

/// One of each kind that is to be queued.
fn one_of_each() -> World {
    let events = [
        event(1, Stored, minutes(16)),
        event(2, EventState::Committed, minutes(16)),
    ];
    let receipts = [
        receipt(3, unsent(), minutes(16)),
        receipt(4, claimed(minutes(16)), hours(1)),
        notice(5, 0),
    ];
    world_with(events, receipts)
}

const ONE_OF_EACH: Swept = Swept {
    stored: 1,
    committed: 1,
    unsent: 1,
    leased: 1,
    due: 1,
    filled: 0,
    stalled: 0,
    longest: None,
    more: false,
};

#[tokio::test]
async fn what_lies_undone_is_queued_the_oldest_first_and_the_next_run_leaves_it_alone() {
    let world = one_of_each();
    let older = event(6, Stored, hours(24 * 400));
    world.kept().events.insert(older.event_id.clone(), older);
    let older = receipt(7, unsent(), hours(24 * 400));
    world
        .kept()
        .receipts
        .insert(older.receipt_id.clone(), older);
    let expected = Swept {
        stored: 2,
        unsent: 2,
        ..ONE_OF_EACH
    };
    assert_eq!(swept(&world).await, expected);
    let (events, receipts) = queued(&world);
    let position = |id: &str| events.iter().position(|known| known.as_str() == id);
    assert!(position("fevt_0006") < position("fevt_0001"), "{events:?}");
    assert_eq!(events.len(), 3);
    let position = |id: &str| receipts.iter().position(|known| known.as_str() == id);
    assert!(
        position("fcs_0007-order") < position("fcs_0003-order"),
        "{receipts:?}"
    );
    assert_eq!(receipts.len(), 4);
    for _ in 0..20 {
        world.pass(EVERY.unsigned_abs());
        assert_eq!(swept(&world).await, Swept::default());
    }
}

#[tokio::test]
async fn what_is_due_today_or_was_in_the_three_days_before_is_queued_the_oldest_first() {
    let of = |n: usize, in_hours| notice(n, in_hours).receipt_id;
    // Hours from half past midnight: this hour, late today, tomorrow, yesterday, three and four days ago.
    let notices = [(0, 0), (1, 23), (2, 24), (3, -1), (4, -72), (5, -73)];
    let world = world_with([], notices.map(|(n, hours)| notice(n, hours)));
    let expected = Swept {
        due: 3,
        ..Swept::default()
    };
    assert_eq!(swept(&world).await, expected);
    assert_eq!(queued(&world).1, [of(4, -72), of(3, -1), of(0, 0)]);
    world.pass(Duration::from_hours(23));
    let longest = Some(of(0, 0).to_string());
    let expected = Swept {
        due: 2,
        stalled: 1,
        longest,
        ..Swept::default()
    };
    assert_eq!(swept(&world).await, expected);
    assert_eq!(
        queued(&world).1,
        [of(0, 0), of(1, 23)],
        "its hour has come; and nobody took the other one up"
    );
}

#[tokio::test]
async fn what_is_fresh_or_has_a_message_of_its_own_is_left_alone() {
    let failed = |n, age| StoredEvent {
        attempts: 3,
        ..event(n, Stored, age)
    };
    let events = [
        event(1, Stored, minutes(14)),
        event(2, EventState::Committed, minutes(14)),
        failed(3, minutes(119)),
    ];
    let receipts = [
        receipt(4, unsent(), minutes(14)),
        receipt(5, claimed(minutes(14)), hours(24)),
        receipt(6, claimed(-minutes(1)), hours(24)),
        // Released after two leases: its message waits for the next try.
        Receipt {
            attempts: 2,
            version: 5,
            ..receipt(7, unsent(), minutes(119))
        },
    ];
    let world = world_with(events, receipts);
    assert_eq!(swept(&world).await, Swept::default());
    assert_eq!(queued(&world), (vec![], vec![]));
    assert!(world.kept().swept.events.is_empty() && world.kept().swept.receipts.is_empty());
    world.pass(Duration::from_mins(1));
    let expected = Swept {
        stored: 2,
        committed: 1,
        unsent: 2,
        leased: 1,
        ..Swept::default()
    };
    assert_eq!(
        swept(&world).await,
        expected,
        "a minute later it is their turn"
    );
}

#[tokio::test]
async fn what_has_ended_or_waits_for_a_person_is_left_alone() {
    let ended = [
        Processed,
        Parked,
        EventState::Dropped,
        NotNeeded,
        Unhandled,
        Unreadable,
    ];
    let reason = "the subscription has ended".to_owned();
    let states = [
        sent_as("ses-1", now()),
        ReceiptState::Failed {
            reason: reason.clone(),
        },
        ReceiptState::Held,
        ReceiptState::Withdrawn { reason },
    ];
    let of_orders = states
        .clone()
        .into_iter()
        .enumerate()
        .map(|(n, state)| receipt(n, state, hours(99)));
    let notices = states.into_iter().enumerate().map(|(n, state)| Receipt {
        state,
        ..notice(100 + n, 0)
    });
    let events = ended
        .into_iter()
        .enumerate()
        .map(|(n, state)| event(n, state, hours(99)));
    let world = world_with(events, of_orders.chain(notices));
    assert_eq!(swept(&world).await, Swept::default());
    assert_eq!(queued(&world), (vec![], vec![]));
}

#[tokio::test]
async fn two_runs_at_once_queue_each_row_once() {
    let world = world_with(
        (0..60).map(|n| event(n, Stored, hours(1))),
        (0..60).map(|n| {
            if n % 2 == 0 {
                receipt(n, unsent(), hours(1))
            } else {
                notice(n, 0)
            }
        }),
    );
    let (one, other) = (sweep_over(&world), sweep_over(&world));
    let (one, other) = tokio::join!(one.run(), other.run());
    let (one, other) = (one.unwrap(), other.unwrap());
    assert_eq!(one.stored + other.stored, 60);
    assert_eq!((one.unsent + other.unsent, one.due + other.due), (30, 30));
    let (mut events, mut receipts) = queued(&world);
    events.sort();
    receipts.sort();
    events.dedup();
    receipts.dedup();
    assert_eq!((events.len(), receipts.len()), (60, 60));
}

#[tokio::test]
async fn a_run_queues_no_more_than_it_may_and_the_next_goes_on() {
    let age = |n: usize| hours(2) + minutes(47 - i64::try_from(n).unwrap());
    let events = (0..47).map(|n| event(n, Stored, age(n)));
    let world = world_with(events, (0..27).map(|n| notice(n, -24)));
    let limits = Limits {
        queued: 20,
        ..Limits::default()
    };
    let run = async || limited(&world, limits).await;
    let expected = Swept {
        stored: 20,
        due: 20,
        more: true,
        ..Swept::default()
    };
    assert_eq!(run().await, expected);
    let (events, receipts) = queued(&world);
    assert_eq!(
        events,
        (0..20)
            .map(|n| event(n, Stored, hours(1)).event_id)
            .collect::<Vec<_>>()
    );
    for id in receipts {
        send(&world, &id);
    }
    let expected = Swept {
        stored: 20,
        due: 7,
        more: true,
        ..Swept::default()
    };
    assert_eq!(run().await, expected);
    let expected = Swept {
        stored: 7,
        ..Swept::default()
    };
    assert_eq!(run().await, expected);
    assert_eq!(run().await, Swept::default());
}

#[tokio::test]
async fn a_run_queues_no_more_mails_than_it_may_however_many_days_they_were_due_on() {
    // Three on each of four days.
    let notices: Vec<_> = (0..12)
        .map(|n| notice(n, 24 * (i64::try_from(n).unwrap() / 3) - 72))
        .collect();
    let world = world_with([], notices);
    let limits = Limits {
        tried: 10,
        queued: 5,
        ..Limits::default()
    };
    for run in 0..6 {
        let before = world.kept().calls.len();
        let swept = limited(&world, limits).await;
        assert!(
            swept.due <= 5 && (run > 1 || swept.due == 5 && swept.more),
            "run {run}: {swept:?}"
        );
        let tried = world.kept().calls[before..]
            .iter()
            .filter(|call| **call == "backlog.take_receipt")
            .count();
        assert!(tried <= 10, "run {run} tries {tried}");
        world.pass(EVERY.unsigned_abs());
    }
    assert_eq!(queued(&world).1.len(), 12);
}

#[tokio::test]
async fn rows_that_nobody_can_mend_keep_no_other_from_its_turn() {
    // Nothing works these off; a run may try ten rows and queue four of them.
    let world = world_with((0..60).map(|n| event(n, Stored, hours(24 * 30))), []);
    let newest = event(99, Stored, hours(1));
    world
        .kept()
        .events
        .insert(newest.event_id.clone(), newest.clone());
    let limits = Limits {
        tried: 10,
        queued: 4,
        ..Limits::default()
    };
    for _ in 0..24 * 12 {
        limited(&world, limits).await;
        world.pass(EVERY.unsigned_abs());
    }
    let (events, _) = queued(&world);
    assert!(events.contains(&newest.event_id));
    for n in 0..60 {
        let id = event(n, Stored, hours(1)).event_id;
        let times = events.iter().filter(|known| **known == id).count();
        assert!(
            (1..=2).contains(&times),
            "{id} was queued {times} times within a day"
        );
    }
}

/// A clock that advances by a second at each look.
#[derive(Debug, Default)]
struct Ticking(AtomicU64);

impl Clock for Ticking {
    fn now(&self) -> Timestamp {
        now() + Duration::from_secs(self.0.fetch_add(1, Ordering::Relaxed))
    }
}

#[tokio::test]
async fn a_run_ends_in_time_and_says_that_there_is_more() {
    let world = world_with((0..1_000).map(|n| event(n, Stored, hours(1))), []);
    let limits = Limits {
        queued: 1_000,
        lasts: Duration::from_secs(10),
        ..Limits::default()
    };
    let sweep = Sweep {
        clock: std::sync::Arc::new(Ticking::default()),
        limits,
        ..sweep_over(&world)
    };
    let swept = sweep.run().await.unwrap();
    assert!(
        swept.more && swept.stored > 0 && swept.stored <= 100,
        "{swept:?}"
    );
}

#[tokio::test]
async fn what_was_queued_in_vain_for_hours_is_stalled_and_what_is_found_for_the_first_time_is_not()
{
    let world = world_with(
        [
            event(1, Stored, minutes(15)),
            event(2, Stored, hours(24 * 9)),
        ],
        [receipt(3, unsent(), minutes(20))],
    );
    let expected = Swept {
        stored: 2,
        unsent: 1,
        ..Swept::default()
    };
    assert_eq!(swept(&world).await, expected);
    world.pass(Duration::from_hours(2));
    let expected = Swept {
        stored: 1,
        unsent: 1,
        ..Swept::default()
    };
    assert_eq!(
        swept(&world).await,
        expected,
        "nobody needs to hear of it yet"
    );
    world.pass(Duration::from_mins(150));
    let expected = Swept {
        stored: 1,
        unsent: 1,
        stalled: 2,
        longest: Some("fevt_0001".to_owned()),
        ..Swept::default()
    };
    assert_eq!(swept(&world).await, expected);
}

#[tokio::test]
async fn a_queue_that_is_away_costs_no_row_its_turn() {
    let sends: Vec<usize> = {
        let world = one_of_each();
        swept(&world).await;
        let kept = world.kept();
        (0..kept.calls.len())
            .filter(|n| kept.calls[*n].ends_with("_queue.send"))
            .collect()
    };
    assert_eq!(sends.len(), 5);
    for n in sends {
        let world = one_of_each();
        world.kept().faults.insert(n, FailBefore);
        let Err(RetryableError::Away { .. }) = sweep_over(&world).run().await else {
            panic!("nobody hears of it")
        };
        assert_eq!(
            messages(&world).len(),
            4,
            "the others are queued all the same"
        );
        swept(&world).await;
        assert_eq!(messages(&world).len(), 1, "it is queued by the next run");
    }
}

#[tokio::test]
async fn what_was_queued_in_vain_for_hours_is_stalled_though_a_queue_was_away_meanwhile() {
    let world = world_with([event(1, Stored, hours(24 * 9))], []);
    let sweep = sweep_over(&world);
    assert_eq!(sweep.run().await.unwrap().stored, 1);
    world.pass(Duration::from_hours(24));
    let send = {
        let calls = &world.kept().calls;
        calls.len()
            + calls
                .iter()
                .position(|call| *call == "fulfillment_queue.send")
                .unwrap()
    };
    world.kept().faults.insert(send, FailBefore);
    sweep.run().await.unwrap_err();
    assert_eq!(sweep.run().await.unwrap().stalled, 1);
}

/// The queued ids, sorted. The queues are empty after.
fn messages(world: &World) -> Vec<String> {
    let (events, receipts) = queued(world);
    let events = events.iter().map(ToString::to_string);
    let mut ids: Vec<String> = events
        .chain(receipts.iter().map(ToString::to_string))
        .collect();
    ids.sort();
    ids
}

#[tokio::test]
async fn wherever_a_run_fails_or_stops_nothing_is_lost_and_nothing_is_queued_thrice() {
    let (all, calls) = {
        let world = one_of_each();
        swept(&world).await;
        (messages(&world), world.kept().calls.len())
    };
    assert_eq!(all.len(), 5);
    for n in 0..calls {
        for fault in FAULTS {
            let world = one_of_each();
            world.kept().faults.insert(n, fault);
            let ended = world.run(sweep_over(&world).run()).await;
            assert!(
                ended.is_none_or(|ended| ended.is_err()),
                "call {n}, {fault:?}: nobody hears of it"
            );
            for _ in 0..12 {
                swept(&world).await;
                world.pass(EVERY.unsigned_abs());
            }
            let mut ids = messages(&world);
            for id in &all {
                let times = ids.iter().filter(|known| *known == id).count();
                let most = if fault == FailAfter { 2 } else { 1 };
                assert!(times <= most, "call {n}, {fault:?}: {id} {times} times");
            }
            // A row that a stopped run had noted has its next turn two hours later.
            world.pass(Duration::from_hours(1));
            swept(&world).await;
            ids.extend(messages(&world));
            ids.sort();
            ids.dedup();
            assert_eq!(ids, all, "call {n}, {fault:?}");
        }
    }
}

const FAULTS: [Fault; 4] = [FailBefore, FailAfter, StopBefore, StopAfter];

/// Sales and other events, receipts and dead letters, of which some wait.
fn waiting_world() -> World {
    let of = |n, state, age, resource: &str| StoredEvent {
        subject: Some(ReferenceState::new(format!("{resource}:{n}:complete")).unwrap()),
        ..event(n, state, age)
    };
    let events = [
        of(1, Stored, minutes(3), "sale"),
        of(2, Stored, hours(9), "refund"),
        of(3, Parked, hours(5), "invoice"),
        event(4, Parked, hours(8)),
        event(5, Parked, hours(7)),
        of(6, EventState::Committed, hours(20), "sale"),
        of(7, EventState::Dropped, hours(20), "sale"),
    ];
    let failed = failed_for("SES will not take the address");
    let receipts = [
        receipt(1, ReceiptState::Held, hours(1)),
        receipt(2, ReceiptState::Held, hours(2)),
        receipt(3, failed, hours(3)),
        receipt(4, unsent(), hours(4)),
    ];
    let world = world_with(events, receipts);
    for hop in [
        Hop::Fulfillment,
        Hop::Receipts,
        Hop::Receipts,
        Hop::Feedback,
    ] {
        world
            .kept()
            .give_up(hop, "{}".to_owned(), "in vain".to_owned());
    }
    world
}

const WAITING: Gauges = Gauges {
    oldest_unfulfilled_seconds: Some(5 * 60 * 60),
    stored: Some(2),
    parked: Some(3),
    held: Some(2),
    failed: Some(1),
    dead_letters: Some(4),
};

#[tokio::test]
async fn each_run_measures_what_waits() {
    assert_eq!(
        sweep_over(&waiting_world()).measure(now()).await,
        (WAITING, None)
    );
    let nothing = Some(0);
    let empty = Gauges {
        oldest_unfulfilled_seconds: nothing,
        stored: nothing,
        parked: nothing,
        held: nothing,
        failed: nothing,
        dead_letters: nothing,
    };
    assert_eq!(
        sweep_over(&World::at(now())).measure(now()).await,
        (empty, None)
    );
}

#[tokio::test]
async fn a_gauge_that_is_unknown_hides_no_other_and_keeps_no_row_from_its_turn() {
    let known = |gauges: Gauges| {
        let Gauges {
            oldest_unfulfilled_seconds,
            stored,
            parked,
            held,
            failed,
            dead_letters,
        } = gauges;
        [
            oldest_unfulfilled_seconds,
            stored,
            parked,
            held,
            failed,
            dead_letters,
        ]
    };
    let calls = {
        let world = waiting_world();
        sweep_over(&world).measure(now()).await;
        world.kept().calls.len()
    };
    assert_eq!(
        calls,
        4 + 2 + 3,
        "counts, oldest sales and dead-letter queues"
    );
    for n in 0..calls {
        let world = waiting_world();
        world.kept().faults.insert(n, FailBefore);
        let (gauges, unknown) = sweep_over(&world).measure(now()).await;
        assert!(unknown.is_some(), "call {n}");
        let pairs = known(gauges).into_iter().zip(known(WAITING));
        let (same, other): (Vec<_>, Vec<_>) =
            pairs.partition(|(gauge, expected)| gauge == expected);
        assert_eq!((same.len(), other.len()), (5, 1), "call {n}: {gauges:?}");
        assert_eq!(other[0].0, None, "call {n}");
    }
    // The whole run: overdue rows are queued even if a gauge is unknown, and the run fails at its end.
    let world = one_of_each();
    swept(&world).await;
    let (all, calls) = (messages(&world), world.kept().calls.clone());
    let gauges = calls.iter().enumerate().filter(|(_, call)| {
        ["waiting.", "sales.", "dead_letters."]
            .iter()
            .any(|gauge| call.starts_with(gauge))
    });
    for (n, call) in gauges {
        let world = one_of_each();
        world.kept().faults.insert(n, FailBefore);
        assert!(sweep_over(&world).run().await.is_err(), "{call}");
        assert_eq!(messages(&world), all, "{call}");
    }
}

/// Every function works, once, on every message that it gets at once.
async fn work(bundle: &Bundle) {
    while bundle.work_at_once().await {}
}

/// The sweep as it comes by the clock, and each time twice at once, for so long. How many messages it made, and after
/// how long what they did was done.
async fn sweep_for(bundle: &Bundle, long: Duration) -> (usize, Duration) {
    let (one, other) = (sweep_over(&bundle.world), sweep_over(&bundle.world));
    let (began, mut before) = (bundle.world.now(), bundle.end());
    let (mut messages, mut took) = (0, Duration::ZERO);
    for _ in 0..long.as_secs() / EVERY.as_secs().unsigned_abs() {
        let (one, other) = tokio::join!(one.run(), other.run());
        for swept in [one.unwrap(), other.unwrap()] {
            messages += swept.stored + swept.committed + swept.unsent + swept.leased + swept.due;
        }
        work(bundle).await;
        let after = bundle.end();
        if after != before {
            (before, took) = (
                after,
                bundle.world.now().duration_since(began).unsigned_abs(),
            );
        }
        bundle.world.pass(EVERY.unsigned_abs());
    }
    (messages, took)
}

/// The time from a fault to the story's end, by the table of stops in ARCHITECTURE.md.
fn within(call: &str, fault: Fault) -> Duration {
    const OF_INTAKE: [&str; 2] = ["events.record", "fulfillment_queue.send"];
    const UNDER_A_CLAIM: [&str; 3] = ["receipts.claim", "mailer.send", "receipts.mark"];
    // A row that is a quarter of an hour old is found by the next run.
    let found = Duration::from_mins(15) + EVERY.unsigned_abs();
    if matches!(fault, FailBefore | FailAfter) && !OF_INTAKE.contains(&call) {
        // A failure is noted, and its message would have come again meanwhile.
        Duration::from_hours(2) + EVERY.unsigned_abs()
    } else if UNDER_A_CLAIM.contains(&call) {
        found + Duration::from_secs(40)
    } else {
        found
    }
}

/// The sender delivers once and never again, a call fails or the process dies at it, and the messages are lost.
#[tokio::test]
async fn whatever_message_is_lost_where_the_sweep_brings_the_story_to_its_end_in_time() {
    let paid = purchase(1);
    let delivery = Delivery::of(&paid, "fevt_1");
    // The time of the next sweep: at once, or just before it would find a lease or another row.
    let next_runs = [
        Duration::ZERO,
        Duration::from_secs(36),
        Duration::from_secs(299),
    ];
    for (policy, next_run) in [OnUnknown::Resend, OnUnknown::Hold]
        .into_iter()
        .flat_map(|policy| next_runs.map(|next| (policy, next)))
    {
        let bundle = open_shop(policy);
        let tell = async |fault: Option<(usize, Fault)>| {
            bundle.begin_again();
            bundle.provider_has(&sale(&paid));
            bundle.world.kept().faults.extend(fault);
            bundle.post(&delivery).await;
            work(&bundle).await;
            bundle.world.pass(next_run);
        };
        tell(None).await;
        let undisturbed = bundle.end();
        let calls = bundle.world.kept().calls.clone();
        let nothing = (0, Duration::ZERO);
        assert_eq!(
            sweep_for(&bundle, Duration::from_hours(30)).await,
            nothing,
            "there is nothing to do"
        );
        assert_eq!(bundle.end(), undisturbed);

        let (mut repaired, mut longest) = (0, Duration::ZERO);
        for (at, call) in calls.iter().enumerate() {
            for fault in FAULTS {
                tell(Some((at, fault))).await;
                let what = format!("{fault:?} at {call}, {policy:?}, swept after {next_run:?}");
                {
                    let mut kept = bundle.world.kept();
                    kept.fulfillment_queue.clear();
                    kept.receipt_queue.clear();
                    if kept.events.is_empty() {
                        assert_eq!(at, 0, "{what}");
                        continue;
                    }
                }
                let lost = bundle.end();
                let (messages, took) = sweep_for(&bundle, Duration::from_hours(3)).await;
                assert!(messages <= 2, "{what}: {messages} messages");
                assert!(next_run + took <= within(call, fault), "{what}: {took:?}");
                repaired += usize::from(messages > 0);
                if matches!(fault, StopBefore | StopAfter) {
                    longest = longest.max(next_run + took);
                }
                let mut end = bundle.end();
                // Some of these faults leave an unknown outcome: the policy has decided.
                let mails = end.mails.len();
                let held =
                    policy == OnUnknown::Hold && end.receipts.values().any(|word| *word == "held");
                if held {
                    assert!(mails <= 1, "{what}");
                    end.receipts.clone_from(&undisturbed.receipts);
                } else {
                    assert!((1..=2).contains(&mails), "{what}: {mails} mails");
                    assert!(mails == 1 || policy == OnUnknown::Resend, "{what}");
                }
                end.mails.clone_from(&undisturbed.mails);
                assert_eq!(end, undisturbed, "{what}, which had left {lost:#?}");

                if !next_run.is_zero() {
                    continue;
                }
                let end = bundle.end();
                assert_eq!(
                    sweep_for(&bundle, Duration::from_hours(30)).await,
                    nothing,
                    "{what}"
                );
                assert_eq!(bundle.end(), end, "{what}: once more changes nothing");
            }
        }
        assert!(repaired >= 20, "{repaired} were repaired");
        assert!(
            longest > Duration::from_mins(15),
            "nothing is found before its first turn: {longest:?}"
        );
    }
}

#[tokio::test]
async fn a_job_in_its_back_off_is_not_multiplied() {
    let paid = purchase(1);
    let bundle = open_shop(OnUnknown::Resend);
    // The provider knows nothing of it, whenever it is asked: tried five times, then parked.
    bundle.post(&Delivery::of(&paid, "fevt_1")).await;
    let mut most = 0;
    let one = sweep_over(&bundle.world);
    for _ in 0..24 {
        one.run().await.unwrap();
        most = most.max(bundle.world.kept().fulfillment_queue.len());
        work(&bundle).await;
        bundle.world.pass(EVERY.unsigned_abs());
    }
    assert_eq!(most, 1);
}

/// Generous: the machine may be busy with other things.
const SOON: Duration = Duration::from_secs(90);

#[tokio::test]
async fn what_was_stored_an_hour_ago_and_never_queued_is_processed_on_the_deployed_stack() {
    let play = play().await;
    let number = u64::try_from(Timestamp::now().as_microsecond()).unwrap() * 1000 + 777;
    let purchase = Purchase::numbered(number);
    play.sell(&purchase).await.unwrap();
    let (event_id, body) = (id("fevt", number), purchase.completed(&id("fevt", number)));
    let lost = StoredEvent {
        event_id: EventId::new(event_id.as_str()).unwrap(),
        received_at: Timestamp::now() - hours(1),
        fingerprint: fingerprint(&body),
        body,
        ..event(0, Stored, hours(1))
    };
    play.tables.store.record(&lost).await.unwrap();
    // Fresh, and none of the sweep's business yet.
    let fresh_id = format!("{event_id}-fresh");
    let fresh = EventId::new(fresh_id.as_str()).unwrap();
    let fresh = StoredEvent {
        event_id: fresh,
        received_at: Timestamp::now(),
        ..lost
    };
    play.tables.store.record(&fresh).await.unwrap();

    let (one, other) = tokio::join!(play.invoke("sweep"), play.invoke("sweep"));
    assert_eq!(one.unwrap().as_str(), "null");
    assert_eq!(other.unwrap().as_str(), "null");
    play.until_event(&event_id, Processed, SOON).await.unwrap();
    let order = play.order(purchase.order_id()).await.unwrap().unwrap();
    let receipt_id = order.receipt_id.unwrap();
    let is_sent = async || {
        let receipt = play.tables.store.receipt(&receipt_id).await?;
        Ok(receipt.filter(|receipt| matches!(receipt.state, ReceiptState::Sent { .. })))
    };
    let sent = until("the receipt is sent", SOON, is_sent).await.unwrap();
    assert_eq!(play.invoke("sweep").await.unwrap(), "null");
    play.until_idle(SOON).await.unwrap();
    assert_eq!(
        play.tables.store.receipt(&receipt_id).await,
        Ok(Some(sent)),
        "nothing is left to do"
    );
    assert_eq!(play.mails(purchase.order_id()).await.unwrap().len(), 1);
    assert_eq!(play.event(&fresh_id).await.unwrap().unwrap().state, Stored);

    a_receipt_whose_message_was_lost_is_taken_up(&play, &order.order_id, &fresh_id).await;
}

#[tokio::test]
async fn a_counter_that_rises_fills_the_shortfall_of_a_paid_order_once() {
    let bundle = open_shop(OnUnknown::Resend);
    let paid = sale(&purchase(1));
    bundle.provider_has(&paid);
    bundle.take(&Delivery::of(&purchase(1), "fevt_1")).await;
    let tote = Sku::new("TOTE").unwrap();
    bundle.world.kept().counters.insert(tote.clone(), 0);
    bundle.drain().await;
    assert_eq!(swept(&bundle.world).await.filled, 0);
    bundle.world.kept().counters.insert(tote.clone(), 3);
    assert_eq!(swept(&bundle.world).await.filled, 1);
    let shortfall = bundle.order(1).shortfalls.remove(0);
    assert_eq!(shortfall.missing, 0);
    assert!(shortfall.filled_at.is_some());
    assert_eq!(bundle.world.kept().counters[&tote], 2);
    assert_eq!(swept(&bundle.world).await.filled, 0);
}

/// Commits a notice with the event that was stored, and queues nothing.
async fn a_receipt_whose_message_was_lost_is_taken_up(
    play: &Play,
    order_id: &OrderId,
    event_id: &str,
) {
    let kind = ReceiptKind::TrialEnds {
        subscription_id: SubscriptionId::new(event_id.replace("fevt", "fsub")).unwrap(),
        ends_at: Timestamp::now() + hours(72),
    };
    let notice = Receipt::new(order_id, kind, None, Timestamp::now() - hours(1)).unwrap();
    let event_id = EventId::new(event_id).unwrap();
    let commit = Commit {
        receipts: vec![notice.clone()],
        ..Commit::of(event_id.clone())
    };
    assert_eq!(play.tables.store.commit(&commit).await, Ok(Committed::Now));
    let settled = play
        .tables
        .store
        .settle(&event_id, &Settlement::Processed, Timestamp::now())
        .await;
    assert_eq!(settled, Ok(Changed::Now));

    assert_eq!(play.invoke("sweep").await.unwrap(), "null");
    // The order has no such subscription, so receipts takes the notice up and withdraws it.
    let is_withdrawn = async || {
        let receipt = play.tables.store.receipt(&notice.receipt_id).await?;
        Ok(receipt.filter(|receipt| matches!(receipt.state, ReceiptState::Withdrawn { .. })))
    };
    until("the notice is withdrawn", SOON, is_withdrawn)
        .await
        .unwrap();
}
