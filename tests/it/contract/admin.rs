//! The operator's actions on tables and dead-letter queues.

use super::{
    On, all_pages, by_hand, committed, count, decided, dynamodb, event, in_time, later, memory,
    now, park, recorded, rows, sale, state_of, unique,
};
use domain::ports::{
    DeadLetter, DeadLetters, EntitlementAdmin as _, Entitlements as _, EventAdmin as _,
    Events as _, OpenRows as _, OrderAdmin as _, ReceiptAdmin as _, Reopening, Search,
};
use domain::values::note::MOST_NOTES;
use kit::prelude::*;

on_both! {
    an_event_goes_back_to_stored_while_it_stands_where_it_stood,
    of_many_who_reopen_an_event_one_does,
    notes_are_added_to_those_that_were_seen,
    what_is_reopened_can_be_committed_and_ends_again,
    an_event_is_dropped_while_it_stands_where_it_stood,
    what_waits_is_told_by_its_state_the_oldest_first,
    a_search_tells_all_that_match_whatever_the_pages,
    a_receipt_is_owed_again_for_who_has_seen_it_last,
    receipts_that_wait_are_told_by_where_they_stand,
    a_customers_rows_are_found_and_each_is_erased_as_it_was_seen,
}

const MANY: usize = 1_000_000;

fn reopening(event: &StoredEvent, from: EventState) -> Reopening {
    let note = by_hand("by hand");
    Reopening {
        event_id: event.event_id.clone(),
        from,
        event_type: None,
        occurred_at: None,
        seen: event.notes.clone(),
        note,
        announced: None,
    }
}

/// A parked event, tried twice before.
async fn parked(on: &impl On) -> StoredEvent {
    let event = recorded(on).await;
    for reason in ["away", "away again"] {
        on.note_failure(&event.event_id, Class::Away, reason).await;
    }
    on.settle(&event.event_id, &park("doubtful"), now()).await;
    on.event(&event.event_id).await.unwrap()
}

async fn reopen(on: &impl On, event: &StoredEvent, from: EventState) -> Changed {
    let reopening = reopening(event, from);
    on.store().reopen_event(&reopening).await.unwrap()
}

async fn an_event_goes_back_to_stored_while_it_stands_where_it_stood(on: &impl On) {
    let event = parked(on).await;
    for wrong in [Stored, Processed, EventState::Dropped] {
        assert_eq!(reopen(on, &event, wrong).await, Changed::Raced);
    }
    assert_eq!(on.event(&event.event_id).await, Some(event.clone()));
    assert_eq!(reopen(on, &event, Parked).await, Changed::Now);
    assert_eq!(reopen(on, &event, Parked).await, Changed::Raced);
    let again = StoredEvent {
        state: Stored,
        attempts: 0,
        notes: Notes::default().with(by_hand("by hand")),
        ..event.clone()
    };
    assert_eq!(on.event(&event.event_id).await, Some(again));

    let nobody = StoredEvent {
        event_id: EventId::new(unique("fevt")).unwrap(),
        ..event
    };
    assert_eq!(reopen(on, &nobody, Parked).await, Changed::Raced);
    assert_eq!(on.event(&nobody.event_id).await, None);
}

/// The notes of an event, oldest first.
async fn notes(on: &impl On, event: &StoredEvent) -> Vec<String> {
    let event = on.event(&event.event_id).await.unwrap();
    event.notes.iter().map(|note| note.why.clone()).collect()
}

async fn notes_are_added_to_those_that_were_seen(on: &impl On) {
    let event = parked(on).await;
    let add = async |seen: &StoredEvent, why: &str| {
        let note = by_hand(why);
        on.store().note_event(seen, &note).await.unwrap()
    };
    assert_eq!(add(&event, "one").await, Changed::Now);
    assert_eq!(add(&event, "stale").await, Changed::Raced);
    let seen = on.event(&event.event_id).await.unwrap();
    assert_eq!(add(&seen, "two").await, Changed::Now);
    let stale = [&event, &seen].map(|seen| reopening(seen, Parked));
    for reopening in stale {
        let reopened = on.store().reopen_event(&reopening).await;
        assert_eq!(reopened, Ok(Changed::Raced));
    }
    let seen = on.event(&event.event_id).await.unwrap();
    assert_eq!(reopen(on, &seen, Parked).await, Changed::Now);
    let stored = on.event(&event.event_id).await.unwrap();
    let other_state = StoredEvent {
        state: Parked,
        ..stored.clone()
    };
    assert_eq!(add(&other_state, "stale").await, Changed::Raced);
    let blank = on.store().blank_event(&stored, &by_hand("erased")).await;
    assert_eq!(blank, Ok(Changed::Now));
    assert_eq!(notes(on, &event).await, ["one", "two", "by hand", "erased"]);
    for _ in 0..30 {
        let seen = on.event(&event.event_id).await.unwrap();
        assert_eq!(add(&seen, "more").await, Changed::Now);
    }
    assert_eq!(notes(on, &event).await, ["more"; MOST_NOTES]);
}

async fn of_many_who_reopen_an_event_one_does(on: &impl On) {
    let event = parked(on).await;
    let changed = join_all((0..20).map(|_| reopen(on, &event, Parked))).await;
    assert_eq!(count(&changed, &Changed::Now), 1);
}

async fn what_is_reopened_can_be_committed_and_ends_again(on: &impl On) {
    let event = StoredEvent {
        event_type: None,
        occurred_at: None,
        state: Unhandled,
        ..event()
    };
    assert_eq!(on.record(&event).await, Recorded::First);
    let reopening = Reopening {
        event_type: Some("a.type.of.today".into()),
        occurred_at: Some(Timestamp::from_millisecond(1_760_090_000_750).unwrap()),
        ..reopening(&event, Unhandled)
    };
    assert_eq!(on.store().reopen_event(&reopening).await, Ok(Changed::Now));
    let stored = on.event(&event.event_id).await.unwrap();
    assert_eq!(stored.event_type.as_deref(), Some("a.type.of.today"));
    assert_eq!(stored.occurred_at, reopening.occurred_at);
    let commit = decided(on, &stored, &sale(&[])).await;
    assert_eq!(on.commit(&commit).await, Committed::Now);
    on.settle(&event.event_id, &Settlement::Processed, now())
        .await;
    assert_eq!(reopen(on, &stored, Processed).await, Changed::Now);
    assert_eq!(state_of(on, &event).await, Stored);
    let reopened = on.event(&event.event_id).await.unwrap();
    let kept = "kept where nothing else is said";
    assert_eq!(reopened.event_type, stored.event_type, "{kept}");
}

async fn an_event_is_dropped_while_it_stands_where_it_stood(on: &impl On) {
    let event = parked(on).await;
    for (from, changed) in [
        (Stored, Changed::Raced),
        (Parked, Changed::Now),
        (Parked, Changed::Raced),
    ] {
        let seen = StoredEvent {
            state: from,
            ..event.clone()
        };
        let note = by_hand("a double");
        let dropped = on.store().drop_event(&seen, &note, None, later()).await;
        assert_eq!(dropped, Ok(changed), "from {from}");
    }
    let dropped = StoredEvent {
        state: EventState::Dropped,
        notes: Notes::default().with(by_hand("a double")),
        ..event.clone()
    };
    assert_eq!(on.event(&event.event_id).await, Some(dropped.clone()));
    // A function that still works on it changes nothing.
    on.note_failure(&event.event_id, Class::Fault, "too late")
        .await;
    let end = Settlement::Processed;
    let settled = on.settle(&event.event_id, &end, now()).await;
    assert_eq!(settled, Changed::Raced);
    let commit = decided(on, &event, &sale(&[])).await;
    assert_eq!(on.commit(&commit).await, Committed::Raced);
    assert_eq!(on.event(&event.event_id).await, Some(dropped));
    let again = Recorded::Again(EventState::Dropped);
    assert_eq!(on.record(&event).await, again);
}

/// The deletion is DynamoDB's: an ended event expires, an open one never does.
#[tokio::test]
async fn what_is_reopened_is_not_forgotten_and_what_is_dropped_is() {
    let stack = Stack::named().unwrap();
    let on = stack.tables().await;
    let expires_at =
        async |event: &StoredEvent| kit::stack::expires_at(&stack, event.event_id.as_str()).await;
    let event = recorded(&on).await;
    on.settle(&event.event_id, &Settlement::Processed, now())
        .await;
    assert!(expires_at(&event).await.is_some());
    assert_eq!(reopen(&on, &event, Processed).await, Changed::Now);
    assert_eq!(expires_at(&event).await, None);
    on.drop_event(&event.event_id, Stored, later()).await;
    let ninety_days = 90 * 24 * 3600;
    let expected = Some(later().as_second() + ninety_days);
    assert_eq!(expires_at(&event).await, expected);
}

async fn what_waits_is_told_by_its_state_the_oldest_first(on: &impl On) {
    let at = |seconds: i64| now() + SignedDuration::from_secs(seconds);
    let events: Vec<StoredEvent> = [50, 10, 30]
        .map(|seconds| StoredEvent {
            received_at: at(seconds),
            ..event()
        })
        .into();
    let mine: BTreeSet<EventId> = events.iter().map(|event| event.event_id.clone()).collect();
    let waiting = async |state, expected: &[&StoredEvent]| {
        let expected: Vec<_> = expected.iter().map(|event| &event.event_id).collect();
        in_time(&format!("the index knows what is {state}"), async || {
            let all = on.store().open_events(state, MANY).await.unwrap();
            let some = all.iter().filter(|id| mine.contains(*id));
            some.collect::<Vec<_>>() == expected
        })
        .await;
    };
    for event in &events {
        on.record(event).await;
    }
    let [last, first, second] = [&events[0], &events[1], &events[2]];
    waiting(Stored, &[first, second, last]).await;
    waiting(Parked, &[]).await;
    for event in &events {
        on.settle(&event.event_id, &park("doubtful"), now()).await;
    }
    waiting(Stored, &[]).await;
    waiting(Parked, &[first, second, last]).await;
    let two = on.store().open_events(Parked, 2).await.unwrap();
    assert_eq!(two.len(), 2);
    in_time("all that are parked are counted", async || {
        let listed = on.store().open_events(Parked, MANY).await.unwrap().len();
        on.store().count_events(Parked, MANY).await == Ok(listed)
    })
    .await;
    let counted = on.store().count_events(Parked, 2).await;
    assert_eq!(counted, Ok(2), "no further");

    reopen(on, first, Parked).await;
    on.drop_event(&second.event_id, Parked, now()).await;
    waiting(Parked, &[last]).await;
    waiting(Stored, &[first]).await;
    // No person needs to look at it, but reconcile must know it.
    waiting(EventState::Dropped, &[second]).await;
    on.settle(&first.event_id, &Settlement::Processed, now())
        .await;
    waiting(Stored, &[]).await;
    waiting(Processed, &[]).await;
}

/// Everything from there on, in the table's order.
async fn found(on: &impl On, search: &Search, mut start: Option<EventId>) -> Vec<StoredEvent> {
    all_pages(async |after: Option<EventId>| {
        let after = after.or(start.take());
        let found = on.store().search(search, after.as_ref()).await.unwrap();
        (found.events, found.next)
    })
    .await
}

/// A word of a newer version, where ours is read.
#[tokio::test]
async fn a_row_that_cannot_be_read_keeps_nobody_from_the_rest_on_dynamodb() {
    let stack = Stack::named().unwrap();
    let on = stack.tables().await;
    let event_type = unique("some.type");
    let [ours, newer] = [1, 2].map(|_| StoredEvent {
        event_type: Some(event_type.clone()),
        ..event()
    });
    for event in [&ours, &newer] {
        on.store.record(event).await.unwrap();
    }
    kit::stack::set_state(&stack, newer.event_id.as_str(), "a_state_to_come").await;
    let search = Search {
        event_type: Some(event_type),
        since: now(),
        before: later(),
    };
    let (mut events, mut unreadable, mut after) = (Vec::new(), Vec::new(), None);
    loop {
        let found = on.store.search(&search, after.as_ref()).await.unwrap();
        events.extend(found.events);
        unreadable.extend(found.unreadable);
        after = found.next;
        if after.is_none() {
            break;
        }
    }
    assert_eq!(events, vec![ours]);
    assert_eq!(unreadable, vec![newer.event_id.clone()]);
    let read = on.store.event(&newer.event_id).await;
    assert_matches!(read, Err(RetryableError::Fault(_)));
}

async fn a_search_tells_all_that_match_whatever_the_pages(on: &impl On) {
    let event_type = unique("some.type");
    let at = |seconds: i64| now() + SignedDuration::from_secs(seconds);
    let mine: Vec<StoredEvent> = (0..20)
        .map(|n| StoredEvent {
            event_type: Some(event_type.clone()).filter(|_| n % 2 == 0),
            received_at: at(n),
            ..event()
        })
        .collect();
    for event in &mine {
        on.record(event).await;
    }
    let search = Search {
        event_type: Some(event_type),
        since: at(4),
        before: at(16),
    };
    let all = found(on, &search, None).await;
    let mut seconds: Vec<_> = all.iter().map(|event| event.received_at).collect();
    seconds.sort();
    // From the first second on, before the last.
    assert_eq!(seconds, [4, 6, 8, 10, 12, 14].map(at));
    assert!(all.iter().all(|event| mine.contains(event)), "whole rows");
    for (n, event) in all.iter().enumerate() {
        let behind = found(on, &search, Some(event.event_id.clone())).await;
        assert_eq!(behind, all[n + 1..], "behind number {n}");
    }
    let of_any_type = Search {
        event_type: None,
        ..search
    };
    let mut of_any_type = found(on, &of_any_type, None).await;
    of_any_type.retain(|event| mine.contains(event));
    assert_eq!(of_any_type.len(), 12);
}

async fn a_receipt_is_owed_again_for_who_has_seen_it_last(on: &impl On) {
    let seen = committed(on).await;
    let id = &seen.receipt_id;
    on.lease(&seen, "a").await;
    let reopened = on.reopen_receipt(&seen, "too late").await;
    assert_eq!(reopened, Changed::Raced, "somebody sends it");
    let failed = failed_for("SES will not take this address");
    on.mark(id, "a", &failed).await;
    let failed = on.receipt(id).await.unwrap();
    let reopen = |_| on.reopen_receipt(&failed, "mended");
    let reopened = join_all((0..10).map(reopen)).await;
    assert_eq!(count(&reopened, &Changed::Now), 1);
    let unsent = on.receipt(id).await.unwrap();
    assert_eq!(unsent.version, 4);
    assert_eq!(unsent.attempts, 1);
    assert_eq!(unsent.notes.last(), Some(&by_hand("mended")));
    assert_eq!(unsent.reopened_at, Some(later()));
    assert_eq!(unsent.state, ReceiptState::Unsent { reason: None });
    // The note outlives what comes of it.
    on.lease(&unsent, "b").await;
    on.mark(id, "b", &withdrawn_for("over")).await;
    let withdrawn = on.receipt(id).await.unwrap();
    assert_eq!(withdrawn.notes.last(), Some(&by_hand("mended")));
}

/// Waits until the index has the receipt where it stands, and nowhere else.
pub(super) async fn stands(on: &impl On, id: &ReceiptId, at: ReceiptStatus) {
    use ReceiptStatus::{Failed, Held, Leased, Unsent};
    in_time(&format!("the index knows that it is {at}"), async || {
        let mut found = Vec::new();
        for status in [Unsent, Leased, Failed, Held] {
            let waiting = on.store().open_receipts(status, MANY).await.unwrap();
            if waiting.contains(id) {
                found.push(status);
            }
        }
        found == Vec::from_iter(Some(at).filter(|at| at.is_waiting()))
    })
    .await;
}

async fn receipts_that_wait_are_told_by_where_they_stand(on: &impl On) {
    let receipt = committed(on).await;
    let id: &ReceiptId = &receipt.receipt_id;
    let counted = async |at: ReceiptStatus| {
        in_time("all of them are counted", async || {
            let listed = on.store().open_receipts(at, MANY).await.unwrap().len();
            listed > 0 && on.store().count_receipts(at, MANY).await == Ok(listed)
        })
        .await;
        let counted = on.store().count_receipts(at, 1).await;
        assert_eq!(counted, Ok(1), "no further");
    };
    stands(on, id, ReceiptStatus::Unsent).await;
    on.lease(&receipt, "a").await;
    stands(on, id, ReceiptStatus::Leased).await;
    let claimed = on.receipt(id).await.unwrap();
    on.hold(&claimed).await;
    stands(on, id, ReceiptStatus::Held).await;
    counted(ReceiptStatus::Held).await;
    let held = on.receipt(id).await.unwrap();
    on.reopen_receipt(&held, "it did not come").await;
    stands(on, id, ReceiptStatus::Unsent).await;
    let unsent = on.receipt(id).await.unwrap();
    on.lease(&unsent, "b").await;
    on.mark(id, "b", &failed_for("no")).await;
    stands(on, id, ReceiptStatus::Failed).await;
    counted(ReceiptStatus::Failed).await;
    let failed = on.receipt(id).await.unwrap();
    for (seen, why, changed) in [
        (&held, "too late", Changed::Raced),
        (&failed, "sent by post", Changed::Now),
    ] {
        let closed = on.store().close_receipt(seen, &by_hand(why), None).await;
        assert_eq!(closed, Ok(changed), "{why}");
    }
    stands(on, id, ReceiptStatus::Withdrawn).await;
    let closed = on.receipt(id).await.unwrap();
    assert_eq!(closed, failed.closed(by_hand("sent by post")));
    on.reopen_receipt(&closed, "mended").await;
    let unsent = on.receipt(id).await.unwrap();
    on.lease(&unsent, "c").await;
    on.mark(id, "c", &withdrawn_for("over")).await;
    stands(on, id, ReceiptStatus::Withdrawn).await;
}

/// A queue of given-up messages.
trait Grave {
    async fn bury(&self, body: &str);
    async fn pass(&self, by: Duration);
    fn letters(&self) -> &impl DeadLetters;
}

struct InMemory(World, kit::fakes::DeadLetterQueue);

impl Grave for InMemory {
    async fn bury(&self, body: &str) {
        for (hop, body) in [
            (Hop::Receipts, body),
            (Hop::Fulfillment, "on the other queue"),
        ] {
            let why = "in vain".to_owned();
            self.0.kept().give_up(hop, body.to_owned(), why);
        }
    }
    async fn pass(&self, by: Duration) {
        self.0.pass(by);
    }
    fn letters(&self) -> &impl DeadLetters {
        &self.1
    }
}

struct OnSqs(Play, String, aws::queue::DeadLetters);

impl Grave for OnSqs {
    async fn bury(&self, body: &str) {
        self.0.put_message(&self.1, body).await.unwrap();
    }
    async fn pass(&self, by: Duration) {
        tokio::time::sleep(by).await;
    }
    fn letters(&self) -> &impl DeadLetters {
        &self.2
    }
}

#[tokio::test]
async fn dead_letters_are_hidden_until_they_are_deleted_in_memory() {
    let world = memory();
    let letters = world.dead_letters(Hop::Receipts);
    dead_letters_are_hidden_until_they_are_deleted(&InMemory(world, letters)).await;
}

#[tokio::test]
async fn dead_letters_are_hidden_until_they_are_deleted_on_sqs() {
    let play = play().await;
    let (url, letters) = play.queue_of_its_own().await.unwrap();
    dead_letters_are_hidden_until_they_are_deleted(&OnSqs(play, url, letters)).await;
}

fn bodies(letters: &[DeadLetter]) -> BTreeSet<&str> {
    letters.iter().map(|letter| letter.body.as_str()).collect()
}

async fn dead_letters_are_hidden_until_they_are_deleted(grave: &impl Grave) {
    let letters = grave.letters();
    let hidden = Duration::from_secs(3);
    assert_eq!(letters.receive(hidden).await, Ok(Vec::new()));
    let all = BTreeSet::from(["one", "two", "{\"three\":\"ünicode\"}"]);
    for body in &all {
        grave.bury(body).await;
    }
    let seen = letters.receive(Duration::ZERO).await.unwrap();
    assert_eq!(bodies(&seen), all, "to look hides nothing");
    let received = letters.receive(hidden).await.unwrap();
    assert_eq!(bodies(&received), all);
    let hidden_now = letters.receive(hidden).await;
    assert_eq!(hidden_now, Ok(Vec::new()), "hidden from everybody");
    assert_eq!(letters.depth().await, Ok(3), "and counted");
    letters.delete(&received[0]).await.unwrap();
    letters.delete(&received[0]).await.unwrap();
    grave.pass(hidden + Duration::from_secs(1)).await;
    let again = letters.receive(hidden).await.unwrap();
    assert_eq!(bodies(&again), bodies(&received[1..]));
    let ids = |letters: &[DeadLetter]| {
        let ids = letters.iter().map(|letter| letter.message_id.clone());
        ids.collect::<BTreeSet<_>>()
    };
    assert_eq!(ids(&again), ids(&received[1..]), "known by their ids");
    for letter in &again {
        letters.delete(letter).await.unwrap();
    }
    assert_eq!(letters.depth().await, Ok(0));
}

#[tokio::test]
async fn a_queue_with_many_dead_letters_gives_ten_at_once() {
    let world = memory();
    let letters = world.dead_letters(Hop::Fulfillment);
    let play = play().await;
    let (url, on_sqs) = play.queue_of_its_own().await.unwrap();
    for n in 0..12 {
        world
            .kept()
            .give_up(Hop::Fulfillment, n.to_string(), "in vain".to_owned());
        play.put_message(&url, &n.to_string()).await.unwrap();
    }
    let minute = Duration::from_mins(1);
    let (first, second) = (
        letters.receive(minute).await.unwrap(),
        letters.receive(minute).await.unwrap(),
    );
    assert_eq!((first.len(), second.len()), (10, 2));
    let mut count = 0;
    for _ in 0..5 {
        let some = on_sqs.receive(minute).await.unwrap().len();
        assert!(some <= 10);
        count += some;
    }
    assert_eq!(count, 12);
}

async fn a_customers_rows_are_found_and_each_is_erased_as_it_was_seen(on: &impl On) {
    let event = recorded(on).await;
    let mut full = rows::full(event.event_id.clone());
    full.order.as_mut().unwrap().is_erased = false;
    assert_eq!(on.commit(&full).await, Committed::Now);
    let order = full.order.unwrap();
    let id = order.customer.customer_id.clone().unwrap();
    let found = all_pages(async |after: Option<OrderId>| {
        let page = on.store().orders_of(&id, after.as_ref()).await.unwrap();
        (page.orders, page.next)
    });
    assert_eq!(found.await, std::slice::from_ref(&order));
    let rows = on.store().rows_of(&id).await.unwrap();
    let counts = (rows.subscriptions.len(), rows.entitlements.len());
    assert_eq!(counts, (1, full.entitlements.len()));
    assert_eq!(rows.contact, full.contact);

    for expected in [Changed::Now, Changed::Raced] {
        assert_eq!(on.store().erase_order(&order).await, Ok(expected));
    }
    let erased = Order {
        version: order.version + 1,
        ..order.erased()
    };
    assert_eq!(on.order(&order.order_id).await, Some(erased));
    let nobody = Contact::new(CustomerId::new(unique("fcus")).unwrap());
    for contact in [rows.contact.unwrap(), nobody] {
        for expected in [Changed::Now, Changed::Raced] {
            let erased = on.store().erase_contact(&contact).await;
            assert_eq!(erased, Ok(expected));
        }
        let found = on.store().contact(&contact.customer_id).await;
        assert_eq!(found, Ok(Some(contact.erased())));
    }
    let ended = StoredEvent {
        state: Processed,
        ..on.event(&event.event_id).await.unwrap()
    };
    let note = by_hand("erased");
    let blanked = async || on.store().blank_event(&ended, &note).await;
    assert_eq!(blanked().await, Ok(Changed::Raced));
    on.settle(&event.event_id, &Settlement::Processed, now())
        .await;
    assert_eq!(blanked().await, Ok(Changed::Now));
    let blank = on.event(&event.event_id).await.unwrap();
    assert_eq!(blank.body, b"");
    assert_eq!(blank.fingerprint, event.fingerprint);
}
