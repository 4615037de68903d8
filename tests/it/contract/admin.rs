//! The operator's actions on tables and dead-letter queues.

use super::{
    On, by_hand, committed, count, decided, dynamodb, event, in_time, later, memory, now, park,
    recorded, rows, sale, state_of, unique,
};
use domain::ports::{
    DeadLetters, EntitlementAdmin as _, Entitlements as _, EventAdmin as _, Events as _, Found,
    OpenRows as _, OrderAdmin as _, ReceiptAdmin as _, Reopening, Search,
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
    on.events()
        .reopen_event(&reopening(event, from))
        .await
        .unwrap()
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
        on.events().note_event(seen, &note).await.unwrap()
    };
    assert_eq!(add(&event, "one").await, Changed::Now);
    assert_eq!(add(&event, "stale").await, Changed::Raced);
    let seen = on.event(&event.event_id).await.unwrap();
    assert_eq!(add(&seen, "two").await, Changed::Now);
    let stale = [&event, &seen].map(|seen| reopening(seen, Parked));
    for reopening in stale {
        let reopened = on.events().reopen_event(&reopening).await;
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
    let blank = on.events().blank_event(&stored, &by_hand("erased")).await;
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
    assert_eq!(on.events().reopen_event(&reopening).await, Ok(Changed::Now));
    let stored = on.event(&event.event_id).await.unwrap();
    assert_eq!(stored.event_type.as_deref(), Some("a.type.of.today"));
    assert_eq!(stored.occurred_at, reopening.occurred_at);
    let commit = decided(on.commits(), &stored, &sale(&[])).await;
    assert_eq!(on.commit(&commit).await, Committed::Now);
    on.settle(&event.event_id, &Settlement::Processed, now())
        .await;
    assert_eq!(reopen(on, &stored, Processed).await, Changed::Now);
    assert_eq!(state_of(on, &event).await, Stored);
    let reopened = on.event(&event.event_id).await.unwrap();
    assert_eq!(
        reopened.event_type, stored.event_type,
        "kept where nothing else is said"
    );
}

async fn an_event_is_dropped_while_it_stands_where_it_stood(on: &impl On) {
    let event = parked(on).await;
    let drop = async |from| {
        let seen = StoredEvent {
            state: from,
            ..event.clone()
        };
        on.events()
            .drop_event(&seen, &by_hand("a double"), None, later())
            .await
    };
    assert_eq!(drop(Stored).await, Ok(Changed::Raced));
    assert_eq!(drop(Parked).await, Ok(Changed::Now));
    assert_eq!(drop(Parked).await, Ok(Changed::Raced));
    let dropped = StoredEvent {
        state: EventState::Dropped,
        notes: Notes::default().with(by_hand("a double")),
        ..event.clone()
    };
    assert_eq!(on.event(&event.event_id).await, Some(dropped.clone()));
    // A function that still works on it changes nothing.
    on.note_failure(&event.event_id, Class::Fault, "too late")
        .await;
    assert_eq!(
        on.settle(&event.event_id, &Settlement::Processed, now())
            .await,
        Changed::Raced
    );
    let commit = decided(on.commits(), &event, &sale(&[])).await;
    assert_eq!(on.commit(&commit).await, Committed::Raced);
    assert_eq!(on.event(&event.event_id).await, Some(dropped.clone()));
    assert_eq!(
        on.record(&event).await,
        Recorded::Again(EventState::Dropped)
    );
}

/// The deletion is DynamoDB's: an ended event expires, an open one never does.
#[tokio::test]
async fn what_is_reopened_is_not_forgotten_and_what_is_dropped_is() {
    let stack = Stack::named().unwrap();
    let on = stack.tables().await;
    let expires_at =
        async |event: &StoredEvent| kit::stack::expires_at(&stack, event.event_id.as_str()).await;
    let event = recorded(&on).await;
    on.store
        .settle(&event.event_id, &Settlement::Processed, now())
        .await
        .unwrap();
    assert!(expires_at(&event).await.is_some());
    assert_eq!(reopen(&on, &event, Processed).await, Changed::Now);
    assert_eq!(expires_at(&event).await, None);
    let stored = on.event(&event.event_id).await.unwrap();
    on.store
        .drop_event(&stored, &by_hand("a double"), None, later())
        .await
        .unwrap();
    assert_eq!(
        expires_at(&event).await,
        Some(later().as_second() + 90 * 24 * 3600)
    );
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
            let all = on.events().open_events(state, MANY).await.unwrap();
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
    let parked = Parked;
    let two = on.events().open_events(parked, 2).await.unwrap();
    assert_eq!(two.len(), 2);
    in_time("all that are parked are counted", async || {
        let listed = on.events().open_events(parked, MANY).await.unwrap().len();
        on.events().count_events(parked, MANY).await == Ok(listed)
    })
    .await;
    assert_eq!(
        on.events().count_events(parked, 2).await,
        Ok(2),
        "no further"
    );

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
async fn found(
    on: &impl On,
    search: &Search,
    mut after: Option<EventId>,
) -> Result<Vec<StoredEvent>, RetryableError> {
    let mut all = Vec::new();
    loop {
        let Found { events, next, .. } = on.events().search(search, after.as_ref()).await?;
        all.extend(events);
        let Some(next) = next else { return Ok(all) };
        after = Some(next);
    }
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
    let all = found(on, &search, None).await.unwrap();
    let mut seconds: Vec<_> = all.iter().map(|event| event.received_at).collect();
    seconds.sort();
    assert_eq!(
        seconds,
        [4, 6, 8, 10, 12, 14].map(at),
        "from the first second on, before the last"
    );
    assert!(all.iter().all(|event| mine.contains(event)), "whole rows");
    for (n, event) in all.iter().enumerate() {
        let behind = found(on, &search, Some(event.event_id.clone()))
            .await
            .unwrap();
        assert_eq!(behind, all[n + 1..], "behind number {n}");
    }
    let of_any_type = found(
        on,
        &Search {
            event_type: None,
            ..search
        },
        None,
    )
    .await
    .unwrap();
    assert_eq!(
        of_any_type
            .iter()
            .filter(|event| mine.contains(event))
            .count(),
        12
    );
}

async fn a_receipt_is_owed_again_for_who_has_seen_it_last(on: &impl On) {
    let seen = committed(on).await;
    let id = &seen.receipt_id;
    on.lease(&seen, "a").await;
    assert_eq!(
        on.receipts()
            .reopen_receipt(&seen, &by_hand("too late"), now())
            .await,
        Ok(Changed::Raced),
        "somebody sends it"
    );
    let failed = failed_for("SES will not take this address");
    on.mark(id, "a", &failed).await;
    let failed = on.receipt(id).await.unwrap();
    let note = by_hand("mended");
    let reopen = |_| on.receipts().reopen_receipt(&failed, &note, later());
    let reopened = join_all((0..10).map(reopen)).await;
    assert_eq!(count(&reopened, &Ok(Changed::Now)), 1);
    let unsent = on.receipt(id).await.unwrap();
    assert_eq!(unsent.version, 4);
    assert_eq!(unsent.attempts, 1);
    assert_eq!(unsent.notes.last(), Some(&by_hand("mended")));
    assert_eq!(unsent.reopened_at, Some(later()));
    assert_eq!(unsent.state, ReceiptState::Unsent { reason: None });
    // The note outlives what comes of it.
    on.lease(&unsent, "b").await;
    on.mark(id, "b", &withdrawn_for("over")).await;
    assert_eq!(
        on.receipt(id).await.unwrap().notes.last(),
        Some(&by_hand("mended"))
    );
}

/// Waits until the index has the receipt where it stands, and nowhere else.
pub(super) async fn stands(on: &impl On, id: &ReceiptId, at: ReceiptStatus) {
    use ReceiptStatus::{Failed, Held, Leased, Unsent};
    in_time(&format!("the index knows that it is {at}"), async || {
        let mut found = Vec::new();
        for status in [Unsent, Leased, Failed, Held] {
            let waiting = on.receipts().open_receipts(status, MANY).await.unwrap();
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
            let listed = on.receipts().open_receipts(at, MANY).await.unwrap().len();
            listed > 0 && on.receipts().count_receipts(at, MANY).await == Ok(listed)
        })
        .await;
        assert_eq!(
            on.receipts().count_receipts(at, 1).await,
            Ok(1),
            "no further"
        );
    };
    stands(on, id, ReceiptStatus::Unsent).await;
    on.lease(&receipt, "a").await;
    stands(on, id, ReceiptStatus::Leased).await;
    let claimed = on.receipt(id).await.unwrap();
    on.hold(&claimed).await;
    stands(on, id, ReceiptStatus::Held).await;
    counted(ReceiptStatus::Held).await;
    let held = on.receipt(id).await.unwrap();
    on.receipts()
        .reopen_receipt(&held, &by_hand("it did not come"), now())
        .await
        .unwrap();
    stands(on, id, ReceiptStatus::Unsent).await;
    let unsent = on.receipt(id).await.unwrap();
    on.lease(&unsent, "b").await;
    on.mark(id, "b", &failed_for("no")).await;
    stands(on, id, ReceiptStatus::Failed).await;
    counted(ReceiptStatus::Failed).await;
    let failed = on.receipt(id).await.unwrap();
    assert_eq!(
        on.receipts()
            .close_receipt(&held, &by_hand("too late"), None)
            .await,
        Ok(Changed::Raced)
    );
    assert_eq!(
        on.receipts()
            .close_receipt(&failed, &by_hand("sent by post"), None)
            .await,
        Ok(Changed::Now)
    );
    stands(on, id, ReceiptStatus::Withdrawn).await;
    let closed = on.receipt(id).await.unwrap();
    assert_eq!(closed, failed.closed(by_hand("sent by post")));
    on.receipts()
        .reopen_receipt(&closed, &by_hand("mended"), now())
        .await
        .unwrap();
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
        self.0
            .kept()
            .give_up(Hop::Receipts, body.to_owned(), "in vain".to_owned());
        self.0.kept().give_up(
            Hop::Fulfillment,
            "on the other queue".to_owned(),
            "in vain".to_owned(),
        );
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

async fn dead_letters_are_hidden_until_they_are_deleted(grave: &impl Grave) {
    let letters = grave.letters();
    let hidden = Duration::from_secs(3);
    assert_eq!(letters.receive(hidden).await, Ok(Vec::new()));
    for body in ["one", "two", "{\"three\":\"ünicode\"}"] {
        grave.bury(body).await;
    }
    let bodies = async |hidden_for| {
        let received = letters.receive(hidden_for).await.unwrap();
        received
            .into_iter()
            .map(|letter| letter.body)
            .collect::<BTreeSet<_>>()
    };
    let all = BTreeSet::from(["one", "two", "{\"three\":\"ünicode\"}"].map(str::to_owned));
    assert_eq!(bodies(Duration::ZERO).await, all, "to look hides nothing");
    let received = letters.receive(hidden).await.unwrap();
    assert_eq!(
        received
            .iter()
            .map(|letter| letter.body.clone())
            .collect::<BTreeSet<_>>(),
        all
    );
    assert_eq!(
        letters.receive(hidden).await,
        Ok(Vec::new()),
        "hidden from everybody"
    );
    assert_eq!(letters.depth().await, Ok(3), "and counted");
    letters.delete(&received[0]).await.unwrap();
    letters.delete(&received[0]).await.unwrap();
    grave.pass(hidden + Duration::from_secs(1)).await;
    let left: BTreeSet<_> = received[1..]
        .iter()
        .map(|letter| letter.body.clone())
        .collect();
    let again = letters.receive(hidden).await.unwrap();
    assert_eq!(
        again
            .iter()
            .map(|letter| letter.body.clone())
            .collect::<BTreeSet<_>>(),
        left
    );
    let ids = |letters: &[domain::ports::DeadLetter]| {
        letters
            .iter()
            .map(|letter| letter.message_id.clone())
            .collect::<BTreeSet<_>>()
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
    let (mut found, mut after) = (Vec::new(), None);
    loop {
        let page = on.orders().orders_of(&id, after.as_ref()).await.unwrap();
        found.extend(page.orders);
        after = page.next;
        if after.is_none() {
            break;
        }
    }
    assert_eq!(found, std::slice::from_ref(&order));
    let rows = on.entitlements().rows_of(&id).await.unwrap();
    let counts = (rows.subscriptions.len(), rows.entitlements.len());
    assert_eq!(counts, (1, full.entitlements.len()));
    assert_eq!(rows.contact, full.contact);

    for expected in [Changed::Now, Changed::Raced] {
        assert_eq!(on.orders().erase_order(&order).await, Ok(expected));
    }
    let erased = Order {
        version: order.version + 1,
        ..order.erased()
    };
    assert_eq!(on.order(&order.order_id).await, Some(erased));
    let nobody = Contact::new(CustomerId::new(unique("fcus")).unwrap());
    for contact in [rows.contact.unwrap(), nobody] {
        for expected in [Changed::Now, Changed::Raced] {
            assert_eq!(
                on.entitlements().erase_contact(&contact).await,
                Ok(expected)
            );
        }
        let found = on.entitlements().contact(&contact.customer_id).await;
        assert_eq!(found, Ok(Some(contact.erased())));
    }
    let ended = StoredEvent {
        state: Processed,
        ..on.event(&event.event_id).await.unwrap()
    };
    let blanked = on.events().blank_event(&ended, &by_hand("erased")).await;
    assert_eq!(blanked, Ok(Changed::Raced));
    on.settle(&event.event_id, &Settlement::Processed, now())
        .await;
    let blanked = on.events().blank_event(&ended, &by_hand("erased")).await;
    assert_eq!(blanked, Ok(Changed::Now));
    let blank = on.event(&event.event_id).await.unwrap();
    assert_eq!(
        (blank.body, blank.fingerprint),
        (Vec::new(), event.fingerprint)
    );
}
