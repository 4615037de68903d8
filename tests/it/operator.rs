//! The operator's actions over the world in memory. Repeated, concurrent, stopped anywhere or days later,
//! each has the effect of one run. At the end, some of it on the deployed stack.

use domain::{
    ports::{Events, Queue, Search},
    upkeep::sweep::EVERY,
};
use feedback::notice::Notice;
use kit::prelude::*;
use kit::{life::Moment, ses::Taken, sweeping::sweep_over};
use operator::{
    close::{Closed, close},
    events::{Again, Bounds, Dropped, Left, Replayed, drop_event, release, replay, replay_range},
    list,
    note::Note,
    pace::Pace,
    redrive::{self, Redriven, redrive},
    resend::{self, Resent, resend},
};
use std::{num::NonZeroU32, sync::Mutex};

fn note(world: &World) -> Note {
    Note::new("ops", "it is mended", world.now()).unwrap()
}

fn fast() -> Pace {
    Pace::per_second(NonZeroU32::new(1_000_000).unwrap())
}

async fn released(bundle: &Bundle, id: &str) -> Again {
    let (world, id) = (&bundle.world, event_id(id));
    release(world, world, &id, &note(world)).await.unwrap()
}

async fn replayed(bundle: &Bundle, id: &str) -> Again {
    let (world, id) = (&bundle.world, event_id(id));
    replay(world, world, &id, &note(world)).await.unwrap()
}

async fn dropped(bundle: &Bundle, id: &str) -> Dropped {
    let (world, id) = (&bundle.world, event_id(id));
    drop_event(world, &id, &note(world)).await.unwrap()
}

const fn left(why: Left) -> Again {
    Again::Left(why)
}

const fn reopened(from: EventState) -> Again {
    Again::Reopened { from }
}

fn dropped_from(from: EventState) -> Dropped {
    Dropped::Now { from }
}

fn resent_from(from: ReceiptStatus) -> Resent {
    Resent::Now { from }
}

fn closed_from(from: ReceiptStatus) -> Closed {
    Closed::Now { from }
}

/// The shop, with the first sale's event parked as `fevt_1`: the provider said that it was not complete. Now it
/// does.
async fn parked() -> Bundle {
    let bundle = open_shop(OnUnknown::Resend);
    park(&bundle).await;
    bundle
}

async fn park(bundle: &Bundle) {
    let mut open = sale(&purchase(1));
    open.status = SaleStatus::Open;
    bundle.provider_has(&open);
    bundle.play(&Delivery::of(&purchase(1), "fevt_1")).await;
    assert_eq!(bundle.state("fevt_1"), Parked);
    bundle.provider_has(&sale(&purchase(1)));
}

fn stock(bundle: &Bundle) {
    for name in ["BRACE-M", "TOTE"] {
        bundle.world.kept().counters.insert(sku(name), 1000);
    }
}

/// This number of purchases, with the events `fevt_1` and so on. A thousand of each product are in stock.
async fn facts(bundle: &Bundle, count: u64) {
    stock(bundle);
    for n in 1..=count {
        bundle.sell(n).await;
    }
}

fn is_fulfilled_once(bundle: &Bundle) {
    let end = bundle.end();
    assert_eq!(end.orders.len(), 1);
    assert_eq!(end.mails.len(), 1);
    assert_eq!(end.movements.len(), 2);
    assert_eq!(end.counters[&sku("BRACE-M")], ON_HAND - 2);
    assert_eq!((end.queued, end.dead_letters), (0, Vec::new()));
    assert!(
        end.events.values().all(|event| *event == (Processed, None)),
        "{:?}",
        end.events
    );
}

/// The last note of a row.
fn last(notes: &Notes) -> String {
    notes.last().unwrap().to_string()
}

const NOW_FROM_PARKED: Again = reopened(Parked);
const ONCE_MORE: Again = Again::Queued { state: Stored };

#[tokio::test]
async fn a_parked_event_says_why_since_when_and_how_often() {
    let bundle = parked().await;
    let row = bundle.event("fevt_1");
    assert_eq!(row.class, Some(Class::NotComplete));
    let reason = "the sale is `open`, not complete";
    assert_eq!(row.reason.as_deref(), Some(reason));
    // Two failed, before the third was the last word.
    assert_eq!(row.attempts, 2);
    assert_eq!(row.received_at.as_second(), BEGIN);
}

#[tokio::test]
async fn releasing_twice_fulfills_once() {
    let bundle = parked().await;
    assert_eq!(released(&bundle, "fevt_1").await, NOW_FROM_PARKED);
    let row = bundle.event("fevt_1");
    assert_eq!((row.state, row.attempts), (Stored, 0));
    assert!(last(&row.notes).ends_with("ops released it: it is mended"));
    assert_eq!(released(&bundle, "fevt_1").await, ONCE_MORE);
    assert_eq!(bundle.world.kept().fulfillment_queue.len(), 2);
    bundle.drain_at_once().await;
    is_fulfilled_once(&bundle);
    let is_left = left(Left::NotParked(Processed));
    assert_eq!(released(&bundle, "fevt_1").await, is_left);
    assert_eq!(released(&bundle, "fevt_none").await, left(Left::Unknown));
    is_fulfilled_once(&bundle);
}

#[tokio::test]
async fn two_operators_release_one_event_at_once_and_it_is_fulfilled_once() {
    let bundle = parked().await;
    let done = tokio::join!(released(&bundle, "fevt_1"), released(&bundle, "fevt_1"));
    assert!(
        [(NOW_FROM_PARKED, ONCE_MORE), (ONCE_MORE, NOW_FROM_PARKED)].contains(&done),
        "{done:?}"
    );
    bundle.drain_at_once().await;
    is_fulfilled_once(&bundle);
}

#[tokio::test]
async fn a_released_event_that_is_doubtful_again_is_parked_again() {
    let bundle = parked().await;
    let mut expired = sale(&purchase(1));
    expired.status = SaleStatus::Expired;
    bundle.provider_has(&expired);
    released(&bundle, "fevt_1").await;
    bundle.drain().await;
    let row = bundle.event("fevt_1");
    assert_eq!(row.state, Parked);
    let reason = "the sale is `expired`, not complete";
    assert_eq!(row.reason.as_deref(), Some(reason));
    assert!(!row.notes.is_empty(), "somebody has tried");
    assert!(bundle.end().orders.is_empty());
}

/// How many calls `act` makes.
async fn calls_of<T>(begin: &impl AsyncFn() -> Bundle, act: &impl AsyncFn(&World) -> T) -> usize {
    let bundle = begin().await;
    let before = bundle.world.kept().calls.len();
    act(&bundle.world).await;
    bundle.world.kept().calls.len() - before
}

/// Every call of `act` fails, loses its answer, is sent twice, or is the last before the process dies. Then
/// `act` runs again, and the queues are worked off. Gives each end, and by what it was disturbed.
async fn disturbed<T>(
    begin: impl AsyncFn() -> Bundle,
    act: impl AsyncFn(&World) -> T,
) -> Vec<(End, String)> {
    let calls = calls_of(&begin, &act).await;
    assert!(calls > 1);
    let mut ends = Vec::new();
    for n in 0..calls {
        for fault in [FailBefore, FailAfter, StopBefore, StopAfter, Twice] {
            let bundle = begin().await;
            bundle.strike_next(n, fault);
            let _ = bundle.world.run(act(&bundle.world)).await;
            // Longer than a received message is hidden.
            bundle.world.pass(Duration::from_mins(2));
            act(&bundle.world).await;
            bundle.drain().await;
            ends.push((bundle.end(), format!("{fault:?} at call {n}")));
        }
    }
    ends
}

/// The end of a release that nothing disturbs.
async fn undisturbed_release() -> End {
    let bundle = parked().await;
    assert_eq!(released(&bundle, "fevt_1").await, NOW_FROM_PARKED);
    bundle.drain().await;
    bundle.end()
}

#[tokio::test]
async fn a_release_that_is_stopped_anywhere_and_done_again_comes_to_the_same_end() {
    let act = async |world: &World| release(world, world, &event_id("fevt_1"), &note(world)).await;
    let undisturbed = undisturbed_release().await;
    for (end, what) in disturbed(parked, act).await {
        assert_eq!(end, undisturbed, "{what}");
    }
}

/// `act` fails or stops at any of its calls, and the operator leaves it at that; the sweep comes by the
/// clock, for so long. Gives each end, whether the row was changed, and by what it was disturbed.
async fn left_to_the_sweep<T>(
    begin: impl AsyncFn() -> Bundle,
    act: impl AsyncFn(&World) -> T,
    row: impl Fn(&Bundle) -> bool,
    lasts: Duration,
) -> Vec<(End, bool, String)> {
    let calls = calls_of(&begin, &act).await;
    let mut ends = Vec::new();
    for n in 0..calls {
        for fault in [FailBefore, FailAfter, StopBefore, StopAfter] {
            let bundle = begin().await;
            bundle.strike_next(n, fault);
            let _ = bundle.world.run(act(&bundle.world)).await;
            // The messages are lost, so that only the sweep is left.
            bundle.world.kept().fulfillment_queue.clear();
            bundle.world.kept().receipt_queue.clear();
            let changed = row(&bundle);
            let sweep = sweep_over(&bundle.world);
            let until = bundle.world.now() + lasts;
            while bundle.world.now() < until {
                bundle.world.pass(EVERY.unsigned_abs());
                sweep.run().await.unwrap();
                while bundle.work_at_once().await {}
            }
            ends.push((bundle.end(), changed, format!("{fault:?} at call {n}")));
        }
    }
    ends
}

/// In the row "an operator's change of a row" of ARCHITECTURE.md.
const SWEPT_WITHIN: Duration = Duration::from_mins(20);

#[tokio::test]
async fn a_release_that_is_stopped_anywhere_and_left_is_finished_by_the_sweep_or_was_never_begun() {
    let act = async |world: &World| release(world, world, &event_id("fevt_1"), &note(world)).await;
    let untouched = parked().await.end();
    let undisturbed = undisturbed_release().await;
    let is_reopened = |bundle: &Bundle| bundle.state("fevt_1") == Stored;
    let mut finished = 0;
    for (end, reopened, what) in left_to_the_sweep(parked, act, is_reopened, SWEPT_WITHIN).await {
        let expected = if reopened { &undisturbed } else { &untouched };
        assert_eq!(&end, expected, "{what}");
        finished += usize::from(reopened);
    }
    assert!(finished >= 4, "{finished}");
}

#[tokio::test]
async fn a_dropped_event_stays_dropped_whatever_comes() {
    let bundle = parked().await;
    assert_eq!(dropped(&bundle, "fevt_1").await, dropped_from(Parked));
    assert_eq!(dropped(&bundle, "fevt_1").await, Dropped::Before);
    let job = FulfillmentJob::V1 {
        event_id: event_id("fevt_1"),
    };
    Queue::send(&bundle.world, &job).await.unwrap();
    bundle.play(&Delivery::of(&purchase(1), "fevt_1")).await;
    let row = bundle.event("fevt_1");
    assert_eq!(row.state, EventState::Dropped);
    assert_eq!(row.class, Some(Class::NotComplete));
    assert!(last(&row.notes).ends_with("ops dropped it: it is mended"));
    assert!(bundle.end().orders.is_empty());

    let is_left = left(Left::NotParked(EventState::Dropped));
    assert_eq!(released(&bundle, "fevt_1").await, is_left);
    let tuesday = replayed_range(&bundle, &all_day(&bundle), bounds()).await;
    assert_eq!(tuesday.counts, BTreeMap::from([(left(Left::Dropped), 1)]));
    // A person who wants it after all names it.
    let reopened = reopened(EventState::Dropped);
    assert_eq!(replayed(&bundle, "fevt_1").await, reopened);
    bundle.drain().await;
    is_fulfilled_once(&bundle);
    let left = Dropped::Left(Left::NotOpen(Processed));
    assert_eq!(dropped(&bundle, "fevt_1").await, left);
}

#[tokio::test]
async fn an_event_is_dropped_or_worked_on_and_never_both() {
    let mut ends = BTreeSet::new();
    for head_start in 0..24 {
        let bundle = open_shop(OnUnknown::Resend);
        bundle.provider_has(&sale(&purchase(1)));
        bundle.take(&Delivery::of(&purchase(1), "fevt_1")).await;
        let drop = async {
            for _ in 0..head_start {
                tokio::task::yield_now().await;
            }
            dropped(&bundle, "fevt_1").await
        };
        let (dropped, _) = tokio::join!(drop, bundle.work_at_once());
        bundle.drain().await;
        let end = bundle.end();
        match dropped {
            Dropped::Now { .. } => {
                assert_eq!(bundle.state("fevt_1"), EventState::Dropped);
                assert_eq!(end.orders.len(), 0);
                assert_eq!(end.counters[&sku("TOTE")], ON_HAND);
            }
            _ => is_fulfilled_once(&bundle),
        }
        ends.insert(end.orders.len());
    }
    assert_eq!(ends.len(), 2, "it went either way");
}

#[tokio::test]
async fn committed_work_is_not_dropped_but_passed_on() {
    let bundle = open_shop(OnUnknown::Resend);
    facts(&bundle, 1).await;
    bundle.world.kept().fulfillment_queue.clear();
    bundle.strike_next(5, StopBefore);
    let id = event_id("fevt_1");
    let fulfilled = bundle.world.run(bundle.fulfillment.fulfill(&id, 1));
    assert_eq!(fulfilled.await, None);
    let state = EventState::Committed;
    assert_eq!(bundle.state("fevt_1"), state);
    let left = Dropped::Left(Left::Committed);
    assert_eq!(dropped(&bundle, "fevt_1").await, left);
    let queued = Again::Queued { state };
    assert_eq!(released(&bundle, "fevt_1").await, queued);
    bundle.drain().await;
    assert_eq!(bundle.state("fevt_1"), Processed);
    assert_eq!(bundle.mails(), 1);
}

/// An event of the second purchase under the id of the first one's.
async fn other_body(bundle: &Bundle) -> String {
    bundle.provider_has(&sale(&purchase(2)));
    let other = Delivery::of(&purchase(2), "fevt_1");
    bundle.take(&other).await;
    format!("other-body:{}", fingerprint(other.body.as_bytes()))
}

#[tokio::test]
async fn another_body_under_a_known_id_counts_when_a_person_names_it_and_never_for_a_range() {
    let bundle = open_shop(OnUnknown::Resend);
    facts(&bundle, 1).await;
    let beside = other_body(&bundle).await;
    bundle.drain().await;
    assert_eq!(bundle.event(&beside).class, Some(Class::OtherBody));
    let all = replayed_range(&bundle, &all_day(&bundle), bounds()).await;
    assert_eq!(all.counts[&left(Left::OtherBody)], 1);
    bundle.drain().await;
    assert_eq!(bundle.state(&beside), Parked);
    assert_eq!(bundle.end().orders.len(), 1);

    let first = bundle.event("fevt_1");
    assert_eq!(released(&bundle, &beside).await, NOW_FROM_PARKED);
    bundle.drain().await;
    let end = bundle.end();
    assert_eq!((bundle.state(&beside), end.orders.len()), (Processed, 2));
    assert_eq!(end.mails.len(), 2);
    // The first one stays what it is.
    assert_eq!(bundle.event("fevt_1"), first);
}

/// All that has come on that day.
fn all_day(bundle: &Bundle) -> Search {
    let (now, day) = (bundle.world.now(), SignedDuration::from_hours(24));
    Search {
        event_type: None,
        since: now - day,
        before: now + day,
    }
}

fn bounds() -> Bounds {
    Bounds {
        dry_run: false,
        parked: false,
        events: 10_000,
        pages: 10_000,
        after: None,
    }
}

fn dry_bounds() -> Bounds {
    Bounds {
        dry_run: true,
        ..bounds()
    }
}

async fn replayed_range(bundle: &Bundle, search: &Search, bounds: Bounds) -> Replayed {
    let world = &bundle.world;
    replay_range(world, world, search, &bounds, &mut fast(), &note(world)).await
}

/// A Tuesday: purchases, one of them refunded, and a subscription's whole life. One event is parked, one
/// dropped, one unknown, one unreadable, and one under a taken id. All others are done.
async fn tuesday() -> Bundle {
    let bundle = parked().await;
    bundle.provider_has(&Sale {
        status: SaleStatus::Open,
        ..sale(&purchase(1))
    });
    let life = Life::live(99);
    bundle.provider_has_life(&life);
    let mut facts: Vec<Delivery> = Vec::new();
    for n in 2..=12 {
        bundle.provider_has(&sale(&purchase(n)));
        facts.push(Delivery::of(&purchase(n), &format!("fevt_{n}")));
    }
    let mut refund = sample("refund.updated")["object"]["refund"].take();
    refund["payment_intent_id"] = purchase(2).session["payment_intents"][1].clone();
    refund["status"] = json!("succeeded");
    let at = 1_760_100_000;
    facts.extend([
        Delivery::live("refund.updated", "fevt_r", at, refund),
        Delivery::live("some.new.type", "fevt_u", at, json!({})),
        Delivery {
            id: "msg_b".to_owned(),
            body: "hello".to_owned(),
        },
    ]);
    facts.extend(life.moments.iter().map(Moment::delivery));
    bundle.provider_has(&Sale {
        status: SaleStatus::Open,
        ..sale(&purchase(40))
    });
    facts.push(Delivery::of(&purchase(40), "fevt_40"));
    for delivery in &facts {
        bundle.take(delivery).await;
    }
    bundle.play(&Delivery::of(&purchase(3), "fevt_2")).await;
    assert_eq!(dropped(&bundle, "fevt_40").await, dropped_from(Parked));
    let all = [
        Processed,
        Parked,
        EventState::Dropped,
        Unhandled,
        Unreadable,
    ];
    let states = BTreeSet::from_iter(bundle.states());
    assert_eq!(states, BTreeSet::from(all));
    bundle
}

/// How many events are not replayed, by reason.
fn left_alone(replayed: &Replayed) -> BTreeMap<Left, usize> {
    let left = replayed
        .counts
        .iter()
        .filter_map(|(again, count)| match again {
            Again::Left(left) => Some((*left, *count)),
            _ => None,
        });
    left.collect()
}

#[tokio::test]
async fn a_replay_of_last_tuesday_changes_nothing_that_is_done() {
    let bundle = tuesday().await;
    let search = all_day(&bundle);
    bundle.world.pass(Duration::from_hours(24 * 7));
    let (before, events) = (bundle.end(), bundle.world.kept().events.len());
    assert_eq!((before.orders.len(), before.dead_letters.len()), (14, 0));
    for round in 0..2 {
        let replayed = replayed_range(&bundle, &search, bounds()).await;
        assert!(
            replayed.complete && replayed.stopped.is_none(),
            "{replayed}"
        );
        let left = left_alone(&replayed);
        let one_each = [Left::Parked, Left::Dropped, Left::OtherBody].map(|left| (left, 1));
        let expected: BTreeMap<_, _> = one_each
            .into_iter()
            .chain([(Left::NotActedOn, 2)])
            .collect();
        assert_eq!(left, expected, "round {round}");
        assert_eq!(replayed.replayed(), events - 5);
        bundle.drain().await;
        assert_eq!(bundle.end(), before, "round {round}");
    }
}

#[tokio::test]
async fn a_parked_event_is_replayed_with_others_only_where_that_is_asked_for() {
    let bundle = parked().await;
    // A person has sold it by hand meanwhile, and has not dropped the event.
    let alone = replayed_range(&bundle, &all_day(&bundle), bounds()).await;
    assert_eq!(alone.counts, BTreeMap::from([(left(Left::Parked), 1)]));
    assert_says(&alone, "1 unchanged: parked, for an operator to release");
    bundle.drain().await;
    assert_eq!(bundle.state("fevt_1"), Parked);
    assert_eq!(bundle.end().orders.len(), 0);

    let asked_for = Bounds {
        parked: true,
        ..bounds()
    };
    let dry = Bounds {
        dry_run: true,
        ..asked_for.clone()
    };
    let said = replayed_range(&bundle, &all_day(&bundle), dry).await;
    let done = replayed_range(&bundle, &all_day(&bundle), asked_for).await;
    assert_eq!(done.counts, BTreeMap::from([(NOW_FROM_PARKED, 1)]));
    assert_eq!(said.counts, done.counts);
    bundle.drain().await;
    is_fulfilled_once(&bundle);
}

#[tokio::test]
async fn two_operators_who_replay_the_same_tuesday_at_once_change_nothing_either() {
    let bundle = tuesday().await;
    let search = all_day(&bundle);
    let before = bundle.end();
    let replay = || replayed_range(&bundle, &search, bounds());
    let (one, two, _) = tokio::join!(replay(), replay(), bundle.work_at_once());
    assert!(one.complete && two.complete);
    bundle.drain_at_once().await;
    assert_eq!(bundle.end(), before);
}

#[tokio::test]
async fn what_an_older_version_did_not_know_is_acted_on() {
    let bundle = open_shop(OnUnknown::Resend);
    facts(&bundle, 2).await;
    bundle.world.kept().fulfillment_queue.clear();
    let occurred_at = bundle.event("fevt_1").occurred_at;
    assert!(occurred_at.is_some());
    for (id, state) in [("fevt_1", Unhandled), ("fevt_2", Unreadable)] {
        let mut kept = bundle.world.kept();
        let row = kept.events.get_mut(&event_id(id)).unwrap();
        *row = StoredEvent {
            state,
            event_type: None,
            occurred_at: None,
            ..row.clone()
        };
    }
    assert_eq!(replayed(&bundle, "fevt_1").await, reopened(Unhandled));
    let replayed = replayed_range(&bundle, &all_day(&bundle), bounds()).await;
    assert_eq!((replayed.replayed(), left_alone(&replayed).len()), (2, 0));
    let row = bundle.event("fevt_1");
    let event_type = Some("checkout.session.completed");
    assert_eq!(row.event_type.as_deref(), event_type);
    assert_eq!(row.occurred_at, occurred_at, "as it is read today");
    bundle.drain().await;
    assert_eq!(bundle.end().orders.len(), 2);
    assert_eq!(bundle.mails(), 2);
}

#[tokio::test]
async fn what_this_version_does_nothing_with_is_left() {
    let bundle = tuesday().await;
    for id in ["fevt_u", &format!("unreadable:{}", fingerprint(b"hello"))] {
        assert_eq!(replayed(&bundle, id).await, left(Left::NotActedOn));
    }
    assert_eq!(bundle.state("fevt_u"), Unhandled, "and not parked");
}

#[tokio::test]
async fn only_the_type_and_the_time_that_are_asked_for_are_replayed() {
    let bundle = tuesday().await;
    let all = all_day(&bundle);
    let at = bundle.event("fevt_r").received_at;
    let next = at + SignedDuration::from_secs(1);
    for (since, before, found) in [
        (all.since, all.before, &[event_id("fevt_r")][..]),
        (at, next, &[event_id("fevt_r")]),
        (all.since, at, &[]),
        (next, all.before, &[]),
    ] {
        let search = Search {
            event_type: Some("refund.updated".into()),
            since,
            before,
        };
        let refunds = replayed_range(&bundle, &search, dry_bounds()).await;
        assert_eq!(refunds.replayed(), found.len(), "{since} to {before}");
        assert_eq!(refunds.first, found, "{since} to {before}");
    }
}

/// The whole state, except the calls.
fn kept(bundle: &Bundle) -> String {
    let kept = bundle.world.kept();
    let dead: Vec<_> = kept
        .dead_letters
        .values()
        .map(|dead| (&dead.body, dead.visible_at))
        .collect();
    let queues = (&kept.fulfillment_queue, &kept.receipt_queue);
    format!(
        "{:?} {:?} {:?} {queues:?} {dead:?}",
        kept.events, kept.receipts, kept.orders
    )
}

#[tokio::test]
async fn a_dry_run_writes_nothing_and_says_what_the_run_then_does() {
    let bundle = tuesday().await;
    given_up(&bundle, 5).await;
    let before = kept(&bundle);
    let search = all_day(&bundle);
    let said = replayed_range(&bundle, &search, dry_bounds()).await;
    for part in [
        "events would be replayed: fevt_",
        "reopened, was processed",
        ", …",
    ] {
        assert_says(&said, part);
    }
    let seen = redriven(&bundle, dry_letters()).await;
    assert_eq!((seen.moved, seen.depth), (5, Some(5)));
    let text = "5 messages would be moved, of the first few: fevt_";
    assert!(seen.to_string().starts_with(text), "{seen}");
    assert_eq!(kept(&bundle), before);

    let done = replayed_range(&bundle, &search, bounds()).await;
    assert_eq!((done.counts, done.first), (said.counts, said.first));
    let done = redriven(&bundle, letters()).await;
    assert_eq!(done.moved, 5);
    assert_eq!(done.first, seen.first);
    assert_eq!(done.depth, Some(0));
}

#[tokio::test]
async fn a_replay_that_is_cut_short_goes_on_where_it_ended() {
    let bundle = tuesday().await;
    let search = all_day(&bundle);
    let whole = replayed_range(&bundle, &search, dry_bounds()).await;
    for (events, pages) in [(1, 100), (3, 100), (5, 2), (100, 1), (7, 1)] {
        let (mut counts, mut after, mut runs) = (BTreeMap::new(), None, 0);
        loop {
            let bounds = Bounds {
                events,
                pages,
                after,
                ..dry_bounds()
            };
            let some = replayed_range(&bundle, &search, bounds).await;
            assert!(some.counts.values().sum::<usize>() <= events);
            for (again, count) in some.counts {
                *counts.entry(again).or_insert(0) += count;
            }
            (after, runs) = (some.cursor, runs + 1);
            if some.complete {
                break;
            }
        }
        assert!(runs > 2);
        let what = format!("{events} events and {pages} pages at once");
        assert_eq!(counts, whole.counts, "{what}");
    }
}

#[tokio::test]
async fn a_replay_that_fails_says_where_and_what_it_has_done() {
    let bundle = tuesday().await;
    let search = all_day(&bundle);
    let before = bundle.end();
    let calls = {
        let so_far = bundle.world.kept().calls.len();
        replayed_range(&bundle, &search, bounds()).await;
        bundle.world.kept().calls.len() - so_far
    };
    bundle.drain().await;
    for n in 0..calls {
        for fault in [FailBefore, FailAfter, Twice] {
            bundle.strike_next(n, fault);
            let first = replayed_range(&bundle, &search, bounds()).await;
            let what = format!("{fault:?} at {n}");
            let has_stopped = first.stopped.is_some();
            assert_eq!(has_stopped, fault != Twice, "{what}: {first}");
            if has_stopped {
                let after = first.cursor.clone();
                let rest = replayed_range(&bundle, &search, Bounds { after, ..bounds() }).await;
                assert!(rest.complete);
                let both = first.counts.values().chain(rest.counts.values());
                let both: usize = both.sum();
                assert_eq!(both, before.events.len(), "{what}: each once");
            }
            bundle.drain().await;
            assert_eq!(bundle.end(), before, "{what}");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_replay_and_a_redrive_keep_their_pace() {
    let bundle = open_shop(OnUnknown::Resend);
    given_up(&bundle, 9).await;
    let slow = || Pace::per_second(NonZeroU32::new(2).unwrap());
    let world = &bundle.world;
    let began = tokio::time::Instant::now();
    let (search, bounds, note) = (all_day(&bundle), bounds(), note(world));
    let mut pace = slow();
    let replayed = replay_range(world, world, &search, &bounds, &mut pace, &note).await;
    assert_eq!(replayed.replayed(), 9);
    assert_eq!(began.elapsed().as_millis(), 4000);
    let began = tokio::time::Instant::now();
    let dead = world.dead_letters(Hop::Fulfillment);
    let moved = redrive::<FulfillmentJob>(&dead, world, &letters(), &mut slow())
        .await
        .moved;
    assert_eq!((moved, began.elapsed().as_millis()), (9, 4000));
}

/// This number of further purchases, from the hundredth on. Their messages are given up on: the provider refuses our
/// key.
async fn given_up(bundle: &Bundle, count: usize) {
    stock(bundle);
    for n in 100..100 + u64::try_from(count).unwrap() {
        bundle.sell(n).await;
    }
    let refused = vec![ReadError::KeyRefused { status: 401 }; 5 * count];
    bundle.world.kept().read_faults.extend(refused);
    bundle.drain().await;
    assert_eq!(bundle.world.kept().dead_letters.len(), count);
}

fn letters() -> redrive::Bounds {
    redrive::Bounds {
        dry_run: false,
        messages: 10_000,
        only: None,
    }
}

fn dry_letters() -> redrive::Bounds {
    redrive::Bounds {
        dry_run: true,
        ..letters()
    }
}

async fn redriven(bundle: &Bundle, bounds: redrive::Bounds) -> Redriven {
    let letters = bundle.world.dead_letters(Hop::Fulfillment);
    redrive::<FulfillmentJob>(&letters, &bundle.world, &bounds, &mut fast()).await
}

#[tokio::test]
async fn two_operators_redrive_one_queue_at_once() {
    let bundle = open_shop(OnUnknown::Resend);
    given_up(&bundle, 25).await;
    let (one, two) = tokio::join!(redriven(&bundle, letters()), redriven(&bundle, letters()));
    assert!(one.moved > 0 && two.moved > 0, "they share the work");
    assert_eq!(one.moved + two.moved, 25);
    assert_eq!((one.stopped, two.stopped), (None, None));
    assert!(bundle.world.kept().dead_letters.is_empty());
    bundle.drain_at_once().await;
    let end = bundle.end();
    assert_eq!((end.orders.len(), end.mails.len(), end.queued), (25, 25, 0));
    assert_eq!(end.counters[&sku("BRACE-M")], 1000 - 2 * 25);
}

/// F26. Finished events may have expired meanwhile. Some sales came again under other ids, and are done.
#[tokio::test]
async fn dead_letters_redriven_days_later_in_any_order_by_two_operators_are_done_once() {
    for (seed, ttl) in (0..12).flat_map(|seed| [(seed, false), (seed, true)]) {
        let bundle = open_shop(OnUnknown::Resend);
        given_up(&bundle, 14).await;
        for n in [101, 104, 105] {
            let twin = Delivery::of(&purchase(n), &format!("fevt_twin_{n}"));
            bundle.deliver(&twin, true).await;
            bundle.drain().await;
        }
        // Delivered again as well: done, and its message is still in the dead-letter queue.
        for n in [103, 104] {
            bundle.sell(n).await;
        }
        bundle.drain().await;
        bundle.world.pass(Duration::from_hours(24 * 9));
        shuffle(&bundle, seed);
        let gone = if ttl {
            forget(&bundle)
        } else {
            BTreeSet::new()
        };
        let six = redrive::Bounds {
            messages: 6,
            ..letters()
        };
        let (..) = tokio::join!(redriven(&bundle, six), redriven(&bundle, letters()));
        bundle.world.pass(Duration::from_hours(24 * 2));
        bundle.drain_at_once().await;
        redriven(&bundle, letters()).await;
        bundle.drain_at_once().await;
        let (end, what) = (bundle.end(), format!("{seed} {ttl}"));
        let counts = (end.orders.len(), end.mails.len(), end.queued);
        assert_eq!(counts, (14, 14, 0), "{what}");
        assert_eq!(end.counters[&sku("BRACE-M")], 1000 - 2 * 14, "{what}");
        let mut states = bundle.states().into_iter();
        assert!(states.all(|state| state == Processed), "{what}");
        // A message whose event has expired names no open work. It stays there until it expires too.
        let left: BTreeSet<String> = end.dead_letters.into_iter().collect();
        let expected: BTreeSet<String> = gone
            .iter()
            .filter(|id| !id.contains("twin"))
            .map(|id| format!("{id}: the event is not stored"))
            .collect();
        assert_eq!(left, expected, "{what}");
    }
}

/// Puts the dead letters into another order.
fn shuffle(bundle: &Bundle, seed: usize) {
    let mut kept = bundle.world.kept();
    let mut letters: Vec<_> = std::mem::take(&mut kept.dead_letters)
        .into_values()
        .collect();
    let count = letters.len();
    for n in 0..count {
        letters.swap(n, (n * 7 + seed * 5 + 3) % count);
    }
    kept.dead_letters = letters.into_iter().enumerate().collect();
}

/// Forgets all events that may be, long before their time.
fn forget(bundle: &Bundle) -> BTreeSet<String> {
    let mut kept = bundle.world.kept();
    let gone = kept
        .events
        .extract_if(.., |_, event| event.state.may_expire());
    gone.map(|(id, _)| id.to_string()).collect()
}

#[tokio::test]
async fn a_redrive_that_is_stopped_anywhere_loses_nothing_and_doubles_nothing() {
    let begin = async || {
        let bundle = open_shop(OnUnknown::Resend);
        given_up(&bundle, 3).await;
        bundle
    };
    let act = async |world: &World| {
        let dead = world.dead_letters(Hop::Fulfillment);
        redrive::<FulfillmentJob>(&dead, world, &letters(), &mut fast()).await
    };
    for (end, what) in disturbed(begin, act).await {
        let counts = (end.orders.len(), end.mails.len(), end.queued);
        assert_eq!(counts, (3, 3, 0), "{what}");
        assert_eq!(end.counters[&sku("TOTE")], 1000 - 3, "{what}");
        assert!(end.dead_letters.is_empty(), "{what}");
    }
}

#[tokio::test]
async fn a_message_that_is_not_ours_is_left_where_it_is() {
    let bundle = open_shop(OnUnknown::Resend);
    given_up(&bundle, 2).await;
    let receipt_job = r#"{"version":"1","receipt_id":"fcs_1-order"}"#;
    for body in [
        "poison",
        receipt_job,
        r#"{"version":"9","event_id":"fevt_1"}"#,
    ] {
        let mut kept = bundle.world.kept();
        kept.give_up(Hop::Fulfillment, body.to_owned(), String::new());
    }
    let done = redriven(&bundle, letters()).await;
    assert_eq!((done.moved, done.not_ours, done.depth), (2, 3, Some(3)));
    assert_eq!(done.stopped, None);
    assert_says(&done, "3 left: not understood, for an operator to delete");
    assert_eq!(bundle.world.kept().fulfillment_queue.len(), 2);
}

#[tokio::test]
async fn a_redrive_takes_no_more_and_nothing_else_than_it_is_asked_for() {
    let bundle = open_shop(OnUnknown::Resend);
    given_up(&bundle, 15).await;
    let only = Some(BTreeSet::from(
        ["fevt_102", "fevt_113", "fevt_none"].map(str::to_owned),
    ));
    let done = redriven(&bundle, redrive::Bounds { only, ..letters() }).await;
    assert_eq!((done.moved, done.others, done.depth), (2, 13, Some(13)));
    assert_eq!(done.first, ["fevt_102", "fevt_113"]);
    bundle.world.pass(Duration::from_mins(2));
    let four = redrive::Bounds {
        messages: 4,
        ..letters()
    };
    let done = redriven(&bundle, four).await;
    assert_eq!((done.moved, done.others, done.depth), (4, 0, Some(9)));
}

/// Older messages that the run leaves come again before unseen ones.
#[tokio::test(start_paused = true)]
async fn a_redrive_that_lasts_longer_than_what_it_leaves_is_hidden_sees_all_the_same() {
    let name = |n: usize| format!("fevt_{}", 100 + n);
    // A message a second, the first ten of them left; and a few of many, where the queue is slow to answer.
    let all_but_ten: BTreeSet<String> = (10..100).map(name).collect();
    let few = BTreeSet::from([31, 93, 149].map(name));
    for (count, only, call_lasts) in [(100, all_but_ten, 0), (150, few, 7)] {
        let bundle = open_shop(OnUnknown::Resend);
        given_up(&bundle, count).await;
        bundle.world.run_on_timers(Duration::from_secs(call_lasts));
        let dead = bundle.world.dead_letters(Hop::Fulfillment);
        let wanted = only.len();
        let bounds = redrive::Bounds {
            only: Some(only.clone()),
            ..letters()
        };
        let began = tokio::time::Instant::now();
        let mut slow = Pace::per_second(NonZeroU32::MIN);
        let done = redrive::<FulfillmentJob>(&dead, &bundle.world, &bounds, &mut slow).await;
        assert!(began.elapsed() > Duration::from_secs(80));
        assert_eq!(done.moved, wanted);
        assert_eq!(done.others, count - wanted);
        assert_eq!(done.stopped, None);
        assert_eq!(done.depth, Some(u64::try_from(count - wanted).unwrap()));
        let kept = bundle.world.kept();
        let moved = kept.fulfillment_queue.iter();
        let moved = moved.map(|message| message.job.subject().into_owned());
        assert_eq!(moved.collect::<BTreeSet<_>>(), only);
    }
}

#[tokio::test]
async fn the_receipt_queue_is_redriven_in_the_same_way() {
    let bundle = open_shop(OnUnknown::Hold);
    facts(&bundle, 1).await;
    let refused = domain::values::outcome::RetryableError::SetUp {
        service: "SES",
        cause: "not verified".to_owned(),
    };
    bundle.ses_answers(&SendError::NotSent(refused), 5);
    bundle.drain().await;
    assert_eq!(bundle.end().dead_letters.len(), 1);
    let dead = bundle.world.dead_letters(Hop::Receipts);
    let done = redrive::<ReceiptJob>(&dead, &bundle.world, &letters(), &mut fast()).await;
    assert_eq!(done.moved, 1);
    assert_eq!(done.first, vec![receipt_id(1).to_string()]);
    bundle.drain().await;
    assert_eq!(bundle.mails(), 1);
    assert_eq!(bundle.end().dead_letters.len(), 0);
}

/// The feedback queue.
#[derive(Default)]
struct Reports(Mutex<Vec<Notice>>);

impl Queue<Notice> for Reports {
    async fn send(&self, report: &Notice) -> Result<(), RetryableError> {
        self.0.lock().unwrap().push(report.clone());
        Ok(())
    }
}

#[tokio::test]
async fn the_feedback_queue_is_redriven_in_the_same_way() {
    let bundle = open_shop(OnUnknown::Hold);
    facts(&bundle, 1).await;
    bundle.ses_answers(&no_answer(), 1);
    bundle.drain().await;
    assert_eq!(standing(&bundle), ReceiptStatus::Held);
    let mail = Taken {
        receipt_id: receipt_id(1),
        message_id: MessageId::new("ses-1").unwrap(),
        to: "pat@example.com".to_owned(),
        at: bundle.world.now(),
    };
    for body in [mail.facts("send").to_string(), "poison".to_owned()] {
        let mut kept = bundle.world.kept();
        kept.give_up(Hop::Feedback, body, "in vain".to_owned());
    }
    let (dead, reports) = (bundle.world.dead_letters(Hop::Feedback), Reports::default());
    let done = redrive::<Notice>(&dead, &reports, &letters(), &mut fast()).await;
    assert_eq!((done.moved, done.not_ours, done.depth), (1, 1, Some(1)));
    assert_eq!(done.first, [receipt_id(1).to_string()]);
    assert!(!done.to_string().contains("pat"), "nothing personal");
    let reports = std::mem::take(&mut *reports.0.lock().unwrap());
    for report in &reports {
        assert_matches!(bundle.feedback.take(report).await, Outcome::Accepted(_));
    }
    // It is read as SES wrote it.
    assert_eq!(standing(&bundle), ReceiptStatus::Sent);
}

fn no_answer() -> SendError {
    SendError::Unknown("no answer".to_owned())
}

fn receipt_id(n: u64) -> ReceiptId {
    ReceiptId::new(format!("{}-order", purchase(n).order_id())).unwrap()
}

fn version(bundle: &Bundle) -> u64 {
    bundle.receipt(&receipt_id(1)).version
}

fn standing(bundle: &Bundle) -> ReceiptStatus {
    bundle.receipt(&receipt_id(1)).state.status()
}

async fn resent(bundle: &Bundle, seen_version: u64) -> Resent {
    let (world, id) = (&bundle.world, receipt_id(1));
    let resent = resend(world, world, &id, seen_version, &note(world)).await;
    resent.unwrap()
}

/// The shop with the first sale sold and its receipt sent.
async fn sent() -> Bundle {
    let bundle = open_shop(OnUnknown::Resend);
    facts(&bundle, 1).await;
    bundle.drain().await;
    assert_eq!(bundle.mails(), 1);
    bundle
}

#[tokio::test]
async fn a_mail_is_sent_once_more_for_each_time_that_it_is_asked_for() {
    let bundle = sent().await;
    let seen = version(&bundle);
    let now = resent_from(ReceiptStatus::Sent);
    assert_eq!(resent(&bundle, seen).await, now);
    let text = "queued, was sent: the customer gets another mail";
    assert_eq!(now.to_string(), text);
    assert_eq!(resent(&bundle, seen).await, Resent::Queued, "asked twice");
    bundle.drain().await;
    assert_eq!(bundle.mails(), 2);
    assert_eq!(standing(&bundle), ReceiptStatus::Sent);
    let notes = bundle.receipt(&receipt_id(1)).notes;
    assert_says(&last(&notes), "ops had it sent again");
    // Asked a third time, later; then asked for another one.
    let version = version(&bundle);
    let changed = Resent::Left(resend::Left::Changed { version });
    assert_eq!(resent(&bundle, seen).await, changed);
    assert_eq!(resent(&bundle, version).await, now);
    bundle.drain().await;
    assert_eq!(bundle.mails(), 3);
}

#[tokio::test]
async fn two_operators_who_have_one_mail_sent_again_send_one() {
    let bundle = sent().await;
    let seen = version(&bundle);
    tokio::join!(resent(&bundle, seen), resent(&bundle, seen));
    bundle.drain_at_once().await;
    assert_eq!(bundle.mails(), 2);
}

#[tokio::test]
async fn a_resend_that_is_stopped_anywhere_and_done_again_sends_one_mail() {
    let act = async |world: &World| resend(world, world, &receipt_id(1), 3, &note(world)).await;
    for (end, what) in disturbed(sent, act).await {
        assert_eq!((end.mails.len(), end.queued), (2, 0), "{what}");
    }
}

#[tokio::test]
async fn a_resend_that_is_stopped_anywhere_and_left_is_finished_by_the_sweep_or_was_never_begun() {
    let act = async |world: &World| resend(world, world, &receipt_id(1), 3, &note(world)).await;
    let is_unfinished = |bundle: &Bundle| standing(bundle) == ReceiptStatus::Unsent;
    let two_hours = Duration::from_hours(2);
    // A tried mail has its tries first, for two hours after its commit.
    for (age, within) in [
        (two_hours, SWEPT_WITHIN),
        (Duration::ZERO, two_hours + EVERY.unsigned_abs()),
    ] {
        let begin = async || {
            let bundle = sent().await;
            bundle.world.pass(age);
            bundle
        };
        let mut finished = 0;
        for (end, reopened, what) in left_to_the_sweep(begin, act, is_unfinished, within).await {
            let what = format!("{what}, {age:?} old");
            let mails = 1 + usize::from(reopened);
            assert_eq!((end.mails.len(), end.queued), (mails, 0), "{what}");
            let mut words = end.receipts.values();
            assert!(words.all(|word| *word == "sent"), "{what}");
            finished += usize::from(reopened);
        }
        assert!(finished >= 4, "{finished}");
    }
}

#[tokio::test]
async fn a_mail_that_somebody_sends_is_left_until_the_claim_has_ended() {
    let bundle = open_shop(OnUnknown::Hold);
    facts(&bundle, 1).await;
    bundle.work_at_once().await;
    bundle.world.kept().receipt_queue.clear();
    let lease_ends_at = bundle.world.now() + SignedDuration::from_secs(30);
    bundle.change_receipt(&receipt_id(1), |row| {
        row.state = leased_by("somebody", lease_ends_at);
    });
    let left = Resent::Left(resend::Left::Claimed {
        left: Duration::from_secs(30),
    });
    assert_eq!(resent(&bundle, 1).await, left);
    bundle.world.pass(Duration::from_secs(31));
    let now = resent_from(ReceiptStatus::Leased);
    assert_eq!(resent(&bundle, 1).await, now);
    assert_says(&now, "may have had one before");
    bundle.drain().await;
    assert_eq!(bundle.mails(), 1);
    assert_eq!(standing(&bundle), ReceiptStatus::Sent);
}

#[tokio::test]
async fn a_failed_mail_goes_to_the_address_that_is_known_now() {
    let bundle = open_shop(OnUnknown::Resend);
    facts(&bundle, 1).await;
    let refused = SendError::Refused("SES will not take this address".to_owned());
    bundle.ses_answers(&refused, 1);
    bundle.drain().await;
    assert_eq!(standing(&bundle), ReceiptStatus::Failed);
    let listed = list::receipts(&bundle.world, ReceiptStatus::Failed, 10)
        .await
        .unwrap();
    let text = "failed after 1 attempts, SES will not take this address";
    let line = listed[0].to_string();
    assert!(line.ends_with(text), "{line}");
    bundle.correct_address(&bundle.order(1).order_id, "new@example.com");
    let again = resent(&bundle, listed[0].version).await;
    assert_eq!(again, resent_from(ReceiptStatus::Failed));
    bundle.drain().await;
    assert_eq!(bundle.mailed_to(0), "new@example.com");
}

#[tokio::test]
async fn a_closed_receipt_waits_for_nobody_and_is_not_sent() {
    let bundle = open_shop(OnUnknown::Hold);
    facts(&bundle, 1).await;
    bundle.work_at_once().await;
    let world = &bundle.world;
    let closed = async |version| {
        let closed = close(world, &receipt_id(1), version, &note(world)).await;
        closed.unwrap()
    };
    assert_eq!(closed(1).await, Closed::NotWaiting(ReceiptStatus::Unsent));
    bundle.ses_answers(&no_answer(), 1);
    bundle.drain().await;
    assert_eq!(standing(&bundle), ReceiptStatus::Held);
    let held = version(&bundle);
    assert_eq!(closed(held - 1).await, Closed::Changed { version: held });
    assert_eq!(closed(held).await, closed_from(ReceiptStatus::Held));
    let over = Closed::NotWaiting(ReceiptStatus::Withdrawn);
    assert_eq!(closed(held + 1).await, over);
    bundle.drain().await;
    assert_eq!(standing(&bundle), ReceiptStatus::Withdrawn);
    assert_eq!(bundle.mails(), 0);
    for waiting in [ReceiptStatus::Held, ReceiptStatus::Failed] {
        let listed = list::receipts(world, waiting, 10).await.unwrap();
        assert!(listed.is_empty(), "{waiting}");
    }
    let none = close(world, &receipt_id(7), 1, &note(world)).await;
    assert_eq!(none, Ok(Closed::Unknown));
}

#[tokio::test]
async fn a_held_mail_is_sent_when_a_person_says_so_and_an_unknown_one_is_none() {
    let bundle = open_shop(OnUnknown::Hold);
    facts(&bundle, 1).await;
    bundle.ses_answers(&no_answer(), 1);
    bundle.drain().await;
    assert_eq!(standing(&bundle), ReceiptStatus::Held);
    assert_eq!(bundle.mails(), 0);
    let again = resent(&bundle, version(&bundle)).await;
    assert_eq!(again, resent_from(ReceiptStatus::Held));
    bundle.drain().await;
    assert_eq!(standing(&bundle), ReceiptStatus::Sent);
    assert_eq!(bundle.mails(), 1);
    let world = &bundle.world;
    let none = resend(world, world, &receipt_id(7), 1, &note(world)).await;
    assert_eq!(none, Ok(Resent::Left(resend::Left::Unknown)));
}

#[tokio::test]
async fn a_mail_for_a_later_day_waits_for_it() {
    let bundle = sent().await;
    let due_at = bundle.world.now() + SignedDuration::from_hours(24);
    bundle.change_receipt(&receipt_id(1), |row| {
        (row.state, row.due_at) = (ReceiptState::Unsent { reason: None }, Some(due_at));
    });
    let left = resend::Left::NotDue(due_at);
    assert_eq!(resent(&bundle, version(&bundle)).await, Resent::Left(left));
    assert!(bundle.world.kept().receipt_queue.is_empty());
}

#[tokio::test]
async fn what_waits_is_listed_the_oldest_first_with_its_class_and_reason() {
    let bundle = tuesday().await;
    given_up(&bundle, 2).await;
    bundle.world.pass(Duration::from_hours(30));
    let young = Delivery::of(&purchase(77), "fevt_young");
    bundle.take(&young).await;
    let states = [
        ReceiptState::Held,
        unsent_for("SES is away"),
        sent_as("ses-1", Timestamp::UNIX_EPOCH),
    ];
    for (n, state) in (2..).zip(states) {
        bundle.change_receipt(&receipt_id(n), |row| row.state = state);
    }
    let world = &bundle.world;
    world
        .kept()
        .give_up(Hop::Feedback, "{}".to_owned(), "in vain".to_owned());
    let dead = [Hop::Fulfillment, Hop::Receipts, Hop::Feedback].map(|hop| world.dead_letters(hop));
    let before = world.now() - SignedDuration::from_hours(4);
    let all = list::overview(world, world, dead.each_ref(), before, 100).await;
    let all = all.unwrap();
    let names = |rows: &[list::EventRow]| {
        let names = rows.iter().map(|row| row.event_id.to_string());
        names.collect::<Vec<_>>()
    };
    let beside = format!(
        "other-body:{}",
        fingerprint(Delivery::of(&purchase(3), "fevt_2").body.as_bytes())
    );
    assert_eq!(names(&all.parked), ["fevt_1".to_owned(), beside]);
    // The young one is not stuck.
    assert_eq!(names(&all.stuck), ["fevt_100", "fevt_101"]);
    let dead_letters = (all.fulfillment_dead_letters, all.receipt_dead_letters);
    assert_eq!(dead_letters, (2, 0));
    let receipts = (all.unsent.len(), all.held.len(), all.failed.len());
    assert_eq!(receipts, (1, 1, 0));
    let text = all.to_string();
    for part in [
        "events parked for an operator: 2",
        "fevt_1 checkout.session.completed since 2025-10-10T09:53:30Z: parked (not_complete) after 2 attempts, \
         the sale is `open`, not complete",
        "(other_body), another body came under the id fevt_2 of an earlier event",
        "stored (set_up) after 5 attempts, the provider's API refuses our set-up: it answers our API key with 401",
        "unsent after 1 attempts, SES is away",
        "dead letters of fulfillment: 2",
        "dead letters of feedback: 1",
    ] {
        assert_says(&text, part);
    }
    // Nothing personal.
    assert!(!text.contains("pat@") && !text.contains("Pat"), "{text}");
    let one = list::parked(world, 1).await.unwrap();
    assert_eq!(one.len(), 1);
}

/// A shop with orders that were placed that many seconds before the story.
async fn placed_orders(seconds: &[i64]) -> Bundle {
    let bundle = tuesday().await;
    let mut kept = bundle.world.kept();
    let order = kept.orders.values().next().unwrap().clone();
    kept.orders.clear();
    for (n, seconds) in seconds.iter().enumerate() {
        let order_id = OrderId::new(format!("fcs_{n}")).unwrap();
        let row = Order {
            order_id: order_id.clone(),
            placed_at: Timestamp::from_second(BEGIN - seconds).unwrap(),
            ..order.clone()
        };
        kept.orders.insert(order_id, row);
    }
    drop(kept);
    bundle
}

#[tokio::test]
async fn orders_are_listed_by_time_within_bounds_and_the_next_search_continues() {
    const DAY: i64 = 86_400;
    let ago = [9 * DAY, 3 * DAY, 3 * DAY, 70, 5, 5, 3, 0];
    let bundle = placed_orders(&ago).await;
    let world = &bundle.world;
    let since = Timestamp::from_second(BEGIN - 5 * DAY).unwrap();
    let wanted: Vec<i64> = ago.into_iter().rev().filter(|ago| *ago < 5 * DAY).collect();
    for (reads, most) in [(100, 50), (100, 1), (100, 2), (1, 50), (2, 3), (1, 1)] {
        let (mut found, mut before) = (BTreeMap::new(), Some(world.now()));
        for _ in 0..50 {
            let Some(end) = before else { break };
            let search = list::PlacedSearch {
                since,
                before: end,
                reads,
                most,
            };
            let part = list::placed(world, &search, &|_| true, &mut |_| false).await;
            let part = part.unwrap();
            // One more at most, of the same second.
            assert!(part.orders.len() <= most + 1, "{reads} {most}");
            found.extend(part.orders.into_iter().map(|order| {
                let place = std::cmp::Reverse(order.placed_at);
                ((place, order.order_id), order.placed_at)
            }));
            assert!(part.stopped_at < before);
            before = part.stopped_at;
        }
        assert_eq!(before, None, "{reads} {most}");
        let found: Vec<i64> = found.values().map(|at| BEGIN - at.as_second()).collect();
        assert_eq!(found, wanted, "{reads} {most}");
    }
    let search = list::PlacedSearch {
        since: Timestamp::UNIX_EPOCH,
        before: world.now(),
        reads: 100,
        most: 50,
    };
    let is_old = |order: &Order| order.placed_at < since;
    let stopped = list::placed(world, &search, &is_old, &mut |_| true).await;
    assert_eq!(stopped.unwrap().orders, []);
    let all = list::placed(world, &search, &is_old, &mut |_| false).await;
    let all = all.unwrap();
    assert_eq!((all.orders.len(), all.read), (1, ago.len()));
    assert!(all.stopped_at.is_some(), "the bound of reads came first");
}

#[tokio::test]
async fn a_mail_whose_day_was_missed_is_listed() {
    let bundle = sent().await;
    let world = &bundle.world;
    world.pass(Duration::from_hours(24 * 30));
    let due_at = world.now() - SignedDuration::from_hours(24 * 5);
    bundle.change_receipt(&receipt_id(1), |row| {
        (row.state, row.due_at) = (ReceiptState::Unsent { reason: None }, Some(due_at));
        (row.version, row.attempts) = (1, 0);
    });
    let dead = world.dead_letters(Hop::Receipts);
    let all = async |before| {
        let all = list::overview(world, world, [&dead; 3], before, 100).await;
        all.unwrap()
    };
    let listed = all(world.now()).await;
    assert_eq!(listed.unsent.len(), 1);
    assert_eq!(listed.unsent[0].due_at, Some(due_at));
    assert_says(&listed, &format!(", due {due_at:.0}: unsent"));
    assert!(all(due_at).await.unsent.is_empty(), "its time had not come");
}

#[tokio::test]
async fn a_row_that_a_newer_version_has_written_hides_no_other() {
    let bundle = parked().await;
    facts(&bundle, 4).await;
    bundle.drain().await;
    let world = &bundle.world;
    world.kept().unreadable = [event_id("fevt_1"), event_id("fevt_3")].into();
    let replayed = replayed_range(&bundle, &all_day(&bundle), bounds()).await;
    assert!(
        replayed.complete && replayed.stopped.is_none(),
        "{replayed}"
    );
    assert_eq!((replayed.replayed(), replayed.unreadable.len()), (2, 2));
    let text = "2 left: written by a newer version: fevt_1, fevt_3";
    assert_says(&replayed, text);

    let fourth = event_id("fevt_4");
    world.kept().events.get_mut(&fourth).unwrap().state = Parked;
    let dead = world.dead_letters(Hop::Fulfillment);
    let all = list::overview(world, world, [&dead; 3], world.now(), 100)
        .await
        .unwrap();
    assert_eq!(all.parked.len(), 1);
    assert_eq!(all.unreadable.clone(), vec!["fevt_1".to_owned()]);
    assert_says(&all, "rows from a newer version: 1\n  fevt_1");
    assert_eq!(list::parked(world, 100).await.unwrap(), all.parked);
}

/// Generous: the machine may be busy with other things.
const SOON: Duration = Duration::from_secs(90);

fn now() -> Note {
    Note::new("ops", "tests", Timestamp::now()).unwrap()
}

#[tokio::test]
async fn a_parked_event_is_released_on_the_deployed_stack() {
    let play = play().await;
    let (n, queue) = (number(), play.fulfillment_queue());
    let event = id("fevt", n);
    let mut purchase = Purchase::numbered(n);
    purchase.session["status"] = json!("open");
    play.sell(&purchase).await.unwrap();
    play.takes(&purchase.completed(&event)).await;
    let parked = play.until_event(&event, Parked, 3 * SOON).await.unwrap();
    assert_eq!(parked.class, Some(Class::NotComplete));
    let listed = until("it is listed", SOON, async || {
        let rows = list::parked(&play.tables.store, 100_000).await?;
        Ok(rows.into_iter().find(|row| row.event_id.as_str() == event))
    });
    assert_eq!(listed.await.unwrap().reason, parked.reason);

    purchase.session["status"] = json!("complete");
    play.sell(&purchase).await.unwrap();
    let events = &play.tables.store;
    let (key, note) = (event_id(&event), now());
    let release_it = || release(events, &queue, &key, &note);
    let two = tokio::join!(release_it(), release_it());
    assert!([&two.0, &two.1].contains(&&Ok(NOW_FROM_PARKED)), "{two:?}");
    play.until_event(&event, Processed, SOON).await.unwrap();
    let order = play.order(purchase.order_id()).await.unwrap().unwrap();
    assert_eq!(order.version, 1);
    let one_mail = async || Ok((play.mails(purchase.order_id()).await?.len() == 1).then_some(()));
    until("one mail is out", SOON, one_mail).await.unwrap();
    let is_left = left(Left::NotParked(Processed));
    assert_eq!(release_it().await, Ok(is_left));

    // And once more, as a whole day would be: nothing changes.
    let replayed = replay(events, &queue, &key, &note).await;
    assert_eq!(replayed, Ok(reopened(Processed)));
    play.until_event(&event, Processed, SOON).await.unwrap();
    let after = play.order(purchase.order_id()).await.unwrap();
    assert_eq!(after, Some(order));
    assert_eq!(play.mails(purchase.order_id()).await.unwrap().len(), 1);
}

/// On a separate dead-letter queue: other tests watch the stack's.
#[tokio::test]
async fn a_dead_letter_is_redriven_on_the_deployed_stack() {
    let play = play().await;
    let (n, queue) = (number(), play.fulfillment_queue());
    let (url, letters) = play.queue_of_its_own().await.unwrap();
    let purchase = Purchase::numbered(n);
    play.sell(&purchase).await.unwrap();
    let body = purchase.completed(&id("fevt", n));
    // Stored, and its message given up on.
    let Reading::Event(read) = flex::read(&body) else {
        panic!("an event")
    };
    let delivery = domain::delivery::Delivery {
        provider: "flex".parse().unwrap(),
        delivery_id: DeliveryId::new("msg_1").unwrap(),
        fingerprint: fingerprint(&body),
        body,
        received_at: Timestamp::now(),
        reading: Reading::Event(read),
    };
    let row = StoredEvent::first(&delivery);
    Events::record(&play.tables.store, &row).await.unwrap();
    let job = FulfillmentJob::V1 {
        event_id: row.event_id.clone(),
    };
    for body in ["poison", &serde_json::to_string(&job).unwrap()] {
        play.put_message(&url, body).await.unwrap();
    }
    let dry = dry_letters();
    let seen = redrive::<FulfillmentJob>(&letters, &queue, &dry, &mut fast()).await;
    assert_eq!((seen.depth, seen.stopped), (Some(2), None));
    let done = redrive::<FulfillmentJob>(&letters, &queue, &self::letters(), &mut fast()).await;
    let counts = (done.moved, done.not_ours, done.depth);
    assert_eq!(counts, (1, 1, Some(1)), "{done}");
    let id = row.event_id.as_str();
    play.until_event(id, Processed, SOON).await.unwrap();
    assert!(play.order(purchase.order_id()).await.unwrap().is_some());
}
