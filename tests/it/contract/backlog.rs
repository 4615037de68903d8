//! The backlog: listed by place, and each row taken once.

use super::{On, committed, count, event, in_time, later, notice, now, recorded, unsent};
use domain::{
    ports::{Backlogs as _, OpenRows as _, Reserved},
    upkeep::sweep::{Backlog, BacklogItem, Due, EventBacklog, REST, ReceiptBacklog, SELDOM, TRIES},
    values::ids::ReferenceState,
};
use jiff::civil::Date;
use kit::prelude::*;

/// More rows than any test has.
const MOST: usize = 100_000;
const FIRST: Reserved = Reserved::Now { before: None };
const SECOND: SignedDuration = SignedDuration::from_secs(1);

fn queued_before(at: Timestamp) -> Reserved {
    Reserved::Now { before: Some(at) }
}

fn turn<P: Backlog>(place: P, now: Timestamp) -> Due {
    Due::of(place, super::now(), now)
}

async fn take(on: &impl On, place: EventBacklog, id: &EventId, then: Timestamp) -> Reserved {
    let turn = turn(place, then);
    on.store().take(place, id, &turn).await.unwrap()
}

async fn take_receipt(
    on: &impl On,
    place: ReceiptBacklog,
    id: &ReceiptId,
    then: Timestamp,
) -> Reserved {
    let turn = turn(place, then);
    on.store().take(place, id, &turn).await.unwrap()
}

/// Waits until the index has these notices under that day, in this order.
pub(super) async fn due_becomes(on: &impl On, day: Date, expected: &[&Receipt]) {
    let row = |receipt: &&Receipt| BacklogItem {
        id: receipt.receipt_id.clone(),
        since: receipt.created_at,
    };
    let expected: Vec<_> = expected.iter().map(row).collect();
    in_time("the index knows what is due", async || {
        let (place, until) = (ReceiptBacklog::Due(day), now() + SELDOM);
        on.store().overdue(place, until, MOST).await.unwrap() == expected
    })
    .await;
}

pub(super) async fn of_too_many_that_lie_there_the_oldest_are_told(on: &impl On) {
    let day = super::day();
    let notices: Vec<_> = (0..7_i8)
        .map(|n| notice(day, 12, u64::from(n.unsigned_abs())))
        .collect();
    let newest_first: Vec<_> = notices.iter().rev().cloned().collect();
    unsent(on, &newest_first).await;
    due_becomes(on, day, &notices.iter().collect::<Vec<_>>()).await;
    let place = ReceiptBacklog::Due(day);
    let facts = async |until, most| {
        let rows = on.store().overdue(place, until, most).await.unwrap();
        rows.into_iter().map(|row| row.id).collect::<Vec<_>>()
    };
    let ids: Vec<_> = notices
        .iter()
        .map(|notice| notice.receipt_id.clone())
        .collect();
    assert_eq!(facts(now() + SELDOM, 5).await, ids[..5]);
    let early = facts(now() + SECOND * 2, 5).await;
    assert_eq!(early, ids[..3], "those of later are not asked for");
    assert_eq!(facts(now() - SECOND, 5).await, Vec::<ReceiptId>::new());
}

/// Waits until the index shows the event there.
async fn lies_at(on: &impl On, id: &EventId, place: Option<EventBacklog>) {
    let row = BacklogItem {
        id: id.clone(),
        since: now(),
    };
    in_time("the index knows where the event lies", async || {
        let mut found = None;
        for place in [EventBacklog::Stored, EventBacklog::Committed] {
            let rows = on.store().overdue(place, now(), MOST).await.unwrap();
            found = found.or(rows.contains(&row).then_some(place));
        }
        found == place
    })
    .await;
}

pub(super) async fn an_event_lies_where_it_stands_until_it_has_ended(on: &impl On) {
    let [done, parked] = [recorded(on).await.event_id, recorded(on).await.event_id];
    lies_at(on, &done, Some(EventBacklog::Stored)).await;
    on.commit(&Commit::of(done.clone())).await;
    lies_at(on, &done, Some(EventBacklog::Committed)).await;
    on.settle(&done, &Settlement::Processed, now()).await;
    lies_at(on, &done, None).await;
    on.settle(&parked, &super::park("a person decides"), now())
        .await;
    lies_at(on, &parked, None).await;
}

pub(super) async fn of_many_that_sweep_a_row_at_once_one_takes_it(on: &impl On) {
    let event = recorded(on).await;
    let (place, then) = (EventBacklog::Stored, now() + REST);
    let turn = turn(place, then);
    let deducted = join_all((0..16).map(|_| on.store().take(place, &event.event_id, &turn))).await;
    assert_eq!(count(&deducted, &Ok(FIRST)), 1, "{deducted:?}");
    assert_eq!(count(&deducted, &Ok(Reserved::NotNow)), 15, "{deducted:?}");
    let unchanged = on.event(&event.event_id).await;
    assert_eq!(unchanged, Some(event));
}

pub(super) async fn a_row_that_was_queued_again_is_left_alone_for_its_interval(on: &impl On) {
    let id = recorded(on).await.event_id;
    let place = EventBacklog::Stored;
    let [first, second, late] = [REST, REST + TRIES, SELDOM * 9].map(|after| now() + after);
    for (then, expected) in [
        (first - SECOND, Reserved::NotNow),
        (first, FIRST),
        (second - SECOND, Reserved::NotNow),
        (second, queued_before(first)),
        (late, queued_before(second)),
        (late + SELDOM - SECOND, Reserved::NotNow),
        (late + SELDOM, queued_before(late)),
    ] {
        assert_eq!(take(on, place, &id, then).await, expected, "at {then}");
    }
}

pub(super) async fn a_row_that_was_tried_in_vain_has_its_tries_first(on: &impl On) {
    let id = recorded(on).await.event_id;
    let place = EventBacklog::Stored;
    let take = async |then| take(on, place, &id, then).await;
    on.note_failure(&id, Class::TooEarly, "not yet").await;
    assert_eq!(take(now() + REST).await, Reserved::NotNow);
    assert_eq!(take(now() + TRIES - SECOND).await, Reserved::NotNow);
    assert_eq!(take(now() + TRIES).await, FIRST);
}

pub(super) async fn only_what_lies_there_is_taken(on: &impl On) {
    let late = now() + SELDOM * 9;
    let take = async |place, event: &StoredEvent| take(on, place, &event.event_id, late).await;
    let (stored, committed_event) = (EventBacklog::Stored, EventBacklog::Committed);
    let nobody = event();
    // It is not stored, and no row comes of it.
    assert_eq!(take(stored, &nobody).await, Reserved::NotNow);
    assert_eq!(on.event(&nobody.event_id).await, None);
    let done = recorded(on).await;
    assert_eq!(take(committed_event, &done).await, Reserved::NotNow);
    let commit = Commit::of(done.event_id.clone());
    assert_eq!(on.commit(&commit).await, Committed::Now);
    assert_eq!(take(stored, &done).await, Reserved::NotNow);
    assert_eq!(take(committed_event, &done).await, FIRST);
    on.settle(&done.event_id, &Settlement::Processed, now())
        .await;
    let parked = StoredEvent {
        state: Parked,
        ..event()
    };
    on.record(&parked).await;
    for event in [&done, &parked] {
        for place in [stored, committed_event] {
            assert_eq!(take(place, event).await, Reserved::NotNow, "{event:?}");
        }
    }
}

pub(super) async fn what_is_given_back_is_there_for_the_next(on: &impl On) {
    let id = recorded(on).await.event_id;
    let (place, then) = (EventBacklog::Stored, now() + REST);
    let take = async |then| take(on, place, &id, then).await;
    let give_back = async |then, before| {
        let given_back = on.store().give_back(place, &id, then, before);
        given_back.await.unwrap();
    };
    // It is not taken.
    give_back(then, None).await;
    assert_eq!(take(then).await, FIRST);
    // Another sweep has it.
    give_back(then - SECOND, None).await;
    assert_eq!(take(then).await, Reserved::NotNow);
    give_back(then, None).await;
    assert_eq!(take(then).await, FIRST);
    // The time of the earlier queueing is kept.
    let next = then + TRIES;
    assert_eq!(take(next).await, queued_before(then));
    give_back(next, Some(then)).await;
    assert_eq!(take(next).await, queued_before(then));
}

pub(super) async fn a_claim_is_swept_once_it_is_over(on: &impl On) {
    let seen = committed(on).await;
    let id = &seen.receipt_id;
    let place = ReceiptBacklog::Leased;
    let take = async |place, then| take_receipt(on, place, id, then).await;
    // It is not leased.
    assert_eq!(take(place, now() + SELDOM).await, Reserved::NotNow);
    assert_eq!(on.lease(&seen, "a").await, Changed::Now);
    let unsent = ReceiptBacklog::Unsent;
    assert_eq!(take(unsent, now() + SELDOM).await, Reserved::NotNow);
    assert_eq!(take(place, later() + REST - SECOND).await, Reserved::NotNow);
    assert_eq!(take(place, later() + REST).await, FIRST);
    let swept = on.receipt(id).await.unwrap();
    assert_eq!((swept.version, &swept.state), (2, &leased_by("a", later())));
    // An earlier reader can still lease it. The second lease has its own message.
    let ends_at = later() + REST * 2;
    assert_eq!(on.lease_until(&swept, "b", ends_at).await, Changed::Now);
    assert_eq!(take(place, ends_at + REST).await, Reserved::NotNow);
    let before = queued_before(later() + REST);
    assert_eq!(take(place, ends_at + SELDOM).await, before);
    let sent = sent_as("ses-1", now());
    assert_eq!(on.mark(id, "b", &sent).await, Changed::Now);
    for place in [place, unsent] {
        assert_eq!(take(place, now() + SELDOM * 9).await, Reserved::NotNow);
    }
}

pub(super) async fn a_receipt_that_was_given_back_has_its_tries_first(on: &impl On) {
    let [fresh, tried] = [committed(on).await, committed(on).await];
    let place = ReceiptBacklog::Unsent;
    let take =
        async |receipt: &Receipt, then| take_receipt(on, place, &receipt.receipt_id, then).await;
    on.lease(&tried, "a").await;
    let again = unsent_for("SES is away: Throttling");
    on.mark(&tried.receipt_id, "a", &again).await;
    assert_eq!(take(&fresh, now() + REST - SECOND).await, Reserved::NotNow);
    assert_eq!(take(&fresh, now() + REST).await, FIRST);
    assert_eq!(take(&tried, now() + TRIES - SECOND).await, Reserved::NotNow);
    assert_eq!(take(&tried, now() + TRIES).await, FIRST);
}

pub(super) async fn a_mail_for_a_later_day_is_taken_when_it_is_due(on: &impl On) {
    let day = super::day();
    let notice = notice(day, 12, 0);
    let (id, due_at) = (&notice.receipt_id, notice.due_at.unwrap());
    unsent(on, std::slice::from_ref(&notice)).await;
    let take = async |place: ReceiptBacklog, then| {
        let turn = Due::of(place, place.overdue_since(notice.created_at), then);
        on.store().take(place, id, &turn).await.unwrap()
    };
    let place = ReceiptBacklog::Due(day);
    let tomorrow = ReceiptBacklog::Due(day.tomorrow().unwrap());
    for (place, then, expected) in [
        (place, due_at - SECOND, Reserved::NotNow),
        (ReceiptBacklog::Unsent, due_at + SELDOM, Reserved::NotNow),
        (tomorrow, due_at + SELDOM, Reserved::NotNow),
        (place, due_at, FIRST),
        (place, due_at + REST, Reserved::NotNow),
    ] {
        assert_eq!(take(place, then).await, expected, "{place:?} at {then}");
    }
    // Once leased, it is unsent like any other.
    on.lease_until(&notice, "a", due_at + REST).await;
    let again = ReceiptState::Unsent { reason: None };
    on.mark(id, "a", &again).await;
    let then = due_at + SELDOM * 2;
    assert_eq!(take(place, then).await, Reserved::NotNow);
    let unsent = take(ReceiptBacklog::Unsent, then).await;
    assert_eq!(unsent, queued_before(due_at));
}

pub(super) async fn what_an_event_tells_is_found_while_it_waits(on: &impl On) {
    let subject = ReferenceState::new(super::unique("refund:fre")).unwrap();
    let event = StoredEvent {
        subject: Some(subject.clone()),
        ..event()
    };
    let stands_at = async |state: Option<EventState>| {
        for other in [Stored, EventState::Committed, Parked, Processed] {
            in_time("the index knows where the event stands", async || {
                let facts = on.store().reference_states(other, MOST).await.unwrap();
                facts.contains(&Some(subject.clone())) == (state == Some(other))
            })
            .await;
        }
    };
    on.record(&event).await;
    assert_eq!(on.event(&event.event_id).await, Some(event.clone()));
    stands_at(Some(Stored)).await;
    let one = on.store().reference_states(Stored, 1).await.unwrap();
    assert_eq!(one.len(), 1, "no more than asked for");
    on.settle(&event.event_id, &super::park("doubtful"), now())
        .await;
    stands_at(Some(Parked)).await;
    on.drop_event(&event.event_id, Parked, now()).await;
    stands_at(None).await;
}

/// Events older than any other test's.
pub(super) async fn the_oldest_sale_is_found_among_other_events(on: &impl On) {
    let parked = |subject: Option<&str>, received_at| StoredEvent {
        state: Parked,
        subject: subject.map(|resource| ReferenceState::new(super::unique(resource)).unwrap()),
        received_at: Timestamp::from_second(received_at).unwrap(),
        ..event()
    };
    let events = [
        parked(Some("refund:fre"), 1),
        parked(None, 2),
        parked(Some("sale:fcs"), 4),
        parked(Some("invoice:fin"), 3),
    ];
    for event in &events {
        on.record(event).await;
    }
    let becomes = async |most, expected: Option<&StoredEvent>| {
        in_time("the index knows the oldest sale", async || {
            let oldest = on.store().oldest_sale(Parked, most);
            oldest.await.unwrap() == expected.map(|event| event.received_at)
        })
        .await;
    };
    let [_, _, sale, invoice] = &events;
    becomes(MOST, Some(invoice)).await;
    becomes(3, Some(invoice)).await;
    becomes(2, None).await;
    on.drop_event(&invoice.event_id, Parked, now()).await;
    becomes(MOST, Some(sale)).await;
    for event in &events {
        on.drop_event(&event.event_id, Parked, now()).await;
    }
}
