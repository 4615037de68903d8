//! What operators ask of the tables and the dead-letter queues.

use super::{
    On, checkout, committed, decided, dynamodb, event, later, memory, now, owner, park, recorded,
    state_of, unique,
};
use domain::{
    delivery::stored_event::{EventState, StoredEvent},
    ports::{
        Changed, Committed, DeadLetters, EventAdmin, Events as _, Found, Ledger as _, ReceiptAdmin,
        Receipts as _, Recorded, Reopening, Search, Settlement, Waiting as _,
    },
    receipt::{ReceiptState, ReceiptStatus},
    values::{
        class::Class,
        ids::{EventId, ReceiptId},
        outcome::RetryableError,
    },
};
use futures_util::future::join_all;
use jiff::{SignedDuration, Timestamp};
use kit::{
    fakes::{Hop, World},
    play::{Play, until},
    stack::{Ports, Stack},
};
use std::{collections::BTreeSet, time::Duration};

/// The ports of this file, on the same rows as the others.
trait Desk: On {
    fn event_desk(&self) -> &impl EventAdmin;
    fn receipt_desk(&self) -> &impl ReceiptAdmin;
}

impl Desk for World {
    fn event_desk(&self) -> &impl EventAdmin {
        self
    }
    fn receipt_desk(&self) -> &impl ReceiptAdmin {
        self
    }
}

impl Desk for Ports {
    fn event_desk(&self) -> &impl EventAdmin {
        &self.events
    }
    fn receipt_desk(&self) -> &impl ReceiptAdmin {
        &self.receipts
    }
}

on_both! {
    an_event_goes_back_to_stored_while_it_stands_where_it_stood,
    of_many_who_reopen_an_event_one_does,
    what_is_reopened_can_be_committed_and_ends_again,
    an_event_is_dropped_while_it_stands_where_it_stood,
    what_waits_is_told_by_its_state_the_oldest_first,
    a_search_tells_all_that_match_whatever_the_pages,
    a_receipt_is_owed_again_for_who_has_seen_it_last,
    receipts_that_wait_are_told_by_where_they_stand,
}

/// Longer than an index lags behind.
const SOON: Duration = Duration::from_secs(10);
const MANY: usize = 1_000_000;

fn reopening(event: &StoredEvent, from: EventState) -> Reopening {
    let note = "by hand".to_owned();
    Reopening {
        event_id: event.event_id.clone(),
        from,
        event_type: None,
        occurred_at: None,
        note,
    }
}

/// A parked event, tried twice before.
async fn parked(on: &impl Desk) -> StoredEvent {
    let event = recorded(on).await;
    for reason in ["away", "away again"] {
        on.events()
            .note_failure(&event.event_id, Class::Away, reason)
            .await
            .unwrap();
    }
    on.events()
        .settle(&event.event_id, &park("doubtful"), now())
        .await
        .unwrap();
    on.events().event(&event.event_id).await.unwrap().unwrap()
}

async fn reopen(on: &impl Desk, event: &StoredEvent, from: EventState) -> Changed {
    on.event_desk()
        .reopen(&reopening(event, from))
        .await
        .unwrap()
}

async fn an_event_goes_back_to_stored_while_it_stands_where_it_stood(on: &impl Desk) {
    let event = parked(on).await;
    for wrong in [
        EventState::Stored,
        EventState::Processed,
        EventState::Dropped,
    ] {
        assert_eq!(reopen(on, &event, wrong).await, Changed::Raced);
    }
    assert_eq!(
        on.events().event(&event.event_id).await,
        Ok(Some(event.clone()))
    );
    assert_eq!(reopen(on, &event, EventState::Parked).await, Changed::Now);
    assert_eq!(reopen(on, &event, EventState::Parked).await, Changed::Raced);
    let again = StoredEvent {
        state: EventState::Stored,
        attempts: 0,
        note: Some("by hand".into()),
        ..event.clone()
    };
    assert_eq!(on.events().event(&event.event_id).await, Ok(Some(again)));

    let nobody = StoredEvent {
        event_id: EventId::new(unique("fevt")).unwrap(),
        ..event
    };
    assert_eq!(
        reopen(on, &nobody, EventState::Parked).await,
        Changed::Raced
    );
    assert_eq!(on.events().event(&nobody.event_id).await, Ok(None));
}

async fn of_many_who_reopen_an_event_one_does(on: &impl Desk) {
    let event = parked(on).await;
    let changed = join_all((0..20).map(|_| reopen(on, &event, EventState::Parked))).await;
    assert_eq!(
        changed
            .iter()
            .filter(|changed| **changed == Changed::Now)
            .count(),
        1
    );
}

async fn what_is_reopened_can_be_committed_and_ends_again(on: &impl Desk) {
    let event = StoredEvent {
        event_type: None,
        occurred_at: None,
        state: EventState::Unhandled,
        ..event()
    };
    assert_eq!(on.events().record(&event).await, Ok(Recorded::First));
    let reopening = Reopening {
        event_type: Some("a.type.of.today".into()),
        occurred_at: Some(Timestamp::from_millisecond(1_760_090_000_750).unwrap()),
        ..reopening(&event, EventState::Unhandled)
    };
    assert_eq!(on.event_desk().reopen(&reopening).await, Ok(Changed::Now));
    let stored = on.events().event(&event.event_id).await.unwrap().unwrap();
    assert_eq!(stored.event_type.as_deref(), Some("a.type.of.today"));
    assert_eq!(
        stored.occurred_at,
        Some(Timestamp::from_second(1_760_090_000).unwrap())
    );
    let commit = decided(on.ledger(), &stored, &checkout(&[])).await;
    assert_eq!(on.ledger().commit(&commit).await, Ok(Committed::Now));
    on.events()
        .settle(&event.event_id, &Settlement::Processed, now())
        .await
        .unwrap();
    assert_eq!(
        reopen(on, &event, EventState::Processed).await,
        Changed::Now
    );
    assert_eq!(state_of(on, &event).await, EventState::Stored);
    let reopened = on.events().event(&event.event_id).await.unwrap().unwrap();
    assert_eq!(
        reopened.event_type, stored.event_type,
        "kept where nothing else is said"
    );
}

async fn an_event_is_dropped_while_it_stands_where_it_stood(on: &impl Desk) {
    let event = parked(on).await;
    let drop = async |from| {
        on.event_desk()
            .drop_event(&event.event_id, from, "a double", later())
            .await
    };
    assert_eq!(drop(EventState::Stored).await, Ok(Changed::Raced));
    assert_eq!(drop(EventState::Parked).await, Ok(Changed::Now));
    assert_eq!(drop(EventState::Parked).await, Ok(Changed::Raced));
    let dropped = StoredEvent {
        state: EventState::Dropped,
        note: Some("a double".into()),
        ..event.clone()
    };
    assert_eq!(
        on.events().event(&event.event_id).await,
        Ok(Some(dropped.clone()))
    );
    // Whoever has it in hand still comes to nothing.
    on.events()
        .note_failure(&event.event_id, Class::Fault, "too late")
        .await
        .unwrap();
    assert_eq!(
        on.events()
            .settle(&event.event_id, &Settlement::Processed, now())
            .await,
        Ok(Changed::Raced)
    );
    let commit = decided(on.ledger(), &event, &checkout(&[])).await;
    assert_eq!(on.ledger().commit(&commit).await, Ok(Committed::Raced));
    assert_eq!(
        on.events().event(&event.event_id).await,
        Ok(Some(dropped.clone()))
    );
    assert_eq!(
        on.events().record(&event).await,
        Ok(Recorded::Again(EventState::Dropped))
    );
}

/// TTL is DynamoDB's business: what is done is forgotten, what is to be done never.
#[tokio::test]
async fn what_is_reopened_is_not_forgotten_and_what_is_dropped_is() {
    let stack = Stack::named().unwrap();
    let on = stack.tables().await;
    let expires_at =
        async |event: &StoredEvent| kit::stack::expires_at(&stack, event.event_id.as_str()).await;
    let event = recorded(&on).await;
    on.events
        .settle(&event.event_id, &Settlement::Processed, now())
        .await
        .unwrap();
    assert!(expires_at(&event).await.is_some());
    assert_eq!(
        reopen(&on, &event, EventState::Processed).await,
        Changed::Now
    );
    assert_eq!(expires_at(&event).await, None);
    on.events
        .drop_event(&event.event_id, EventState::Stored, "a double", later())
        .await
        .unwrap();
    assert_eq!(
        expires_at(&event).await,
        Some(later().as_second() + 90 * 24 * 3600)
    );
}

async fn what_waits_is_told_by_its_state_the_oldest_first(on: &impl Desk) {
    let at = |seconds: i64| now() + SignedDuration::from_secs(seconds);
    let events: Vec<StoredEvent> = [50, 10, 30]
        .map(|seconds| StoredEvent {
            received_at: at(seconds),
            ..event()
        })
        .into();
    let mine: BTreeSet<EventId> = events.iter().map(|event| event.event_id.clone()).collect();
    let waiting = async |state, expected: &[&StoredEvent]| {
        let expected: Vec<_> = expected
            .iter()
            .map(|event| event.event_id.clone())
            .collect();
        let is_so = async || {
            let all = on.event_desk().waiting(state, MANY).await?;
            let some: Vec<_> = all.into_iter().filter(|id| mine.contains(id)).collect();
            Ok((some == expected).then_some(()))
        };
        until(&format!("the index knows what is {state}"), SOON, is_so)
            .await
            .unwrap();
    };
    for event in &events {
        on.events().record(event).await.unwrap();
    }
    let [last, first, second] = [&events[0], &events[1], &events[2]];
    waiting(EventState::Stored, &[first, second, last]).await;
    waiting(EventState::Parked, &[]).await;
    for event in &events {
        on.events()
            .settle(&event.event_id, &park("doubtful"), now())
            .await
            .unwrap();
    }
    waiting(EventState::Stored, &[]).await;
    waiting(EventState::Parked, &[first, second, last]).await;
    assert_eq!(
        on.event_desk()
            .waiting(EventState::Parked, 2)
            .await
            .unwrap()
            .len(),
        2
    );
    let are_counted = async || {
        let listed = on
            .event_desk()
            .waiting(EventState::Parked, MANY)
            .await?
            .len();
        Ok((on.events().count(EventState::Parked, MANY).await? == listed).then_some(()))
    };
    until("all that are parked are counted", SOON, are_counted)
        .await
        .unwrap();
    assert_eq!(
        on.events().count(EventState::Parked, 2).await,
        Ok(2),
        "no further than asked for"
    );

    reopen(on, first, EventState::Parked).await;
    on.event_desk()
        .drop_event(&second.event_id, EventState::Parked, "a double", now())
        .await
        .unwrap();
    waiting(EventState::Parked, &[last]).await;
    waiting(EventState::Stored, &[first]).await;
    // It waits for nobody, and reconcile must know of it.
    waiting(EventState::Dropped, &[second]).await;
    on.events()
        .settle(&first.event_id, &Settlement::Processed, now())
        .await
        .unwrap();
    waiting(EventState::Stored, &[]).await;
    waiting(EventState::Processed, &[]).await;
}

/// Everything from there on, in the table's order.
async fn found(
    on: &impl Desk,
    search: &Search,
    mut after: Option<EventId>,
) -> Result<Vec<StoredEvent>, RetryableError> {
    let mut all = Vec::new();
    loop {
        let Found { events, next, .. } = on.event_desk().search(search, after.as_ref()).await?;
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
        on.events.record(event).await.unwrap();
    }
    kit::stack::set_state(&stack, newer.event_id.as_str(), "a_state_to_come").await;
    let search = Search {
        event_type: Some(event_type),
        since: now(),
        before: later(),
    };
    let (mut events, mut unreadable, mut after) = (Vec::new(), Vec::new(), None);
    loop {
        let found = on.events.search(&search, after.as_ref()).await.unwrap();
        events.extend(found.events);
        unreadable.extend(found.unreadable);
        after = found.next;
        if after.is_none() {
            break;
        }
    }
    assert_eq!(
        (events, unreadable),
        (vec![ours], vec![newer.event_id.clone()])
    );
    let read = on.events.event(&newer.event_id).await;
    assert!(matches!(read, Err(RetryableError::Fault(_))), "{read:?}");
}

async fn a_search_tells_all_that_match_whatever_the_pages(on: &impl Desk) {
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
        on.events().record(event).await.unwrap();
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

async fn a_receipt_is_owed_again_for_who_has_seen_it_last(on: &impl Desk) {
    let seen = committed(on).await;
    let id = &seen.receipt_id;
    on.receipts()
        .claim(&seen, &owner("a"), later())
        .await
        .unwrap();
    assert_eq!(
        on.receipt_desk().reopen(&seen, "too late", now()).await,
        Ok(Changed::Raced),
        "somebody sends it"
    );
    let failed = ReceiptState::Failed {
        reason: "SES will not take this address".into(),
    };
    on.receipts().mark(id, &owner("a"), &failed).await.unwrap();
    let failed = on.receipts().receipt(id).await.unwrap().unwrap();
    let reopened =
        join_all((0..10).map(|_| on.receipt_desk().reopen(&failed, "mended", later()))).await;
    assert_eq!(
        reopened
            .iter()
            .filter(|changed| **changed == Ok(Changed::Now))
            .count(),
        1
    );
    let unsent = on.receipts().receipt(id).await.unwrap().unwrap();
    assert_eq!(
        (unsent.version, unsent.attempts, unsent.note.as_deref()),
        (4, 1, Some("mended"))
    );
    assert_eq!(
        (unsent.reopened_at, &unsent.state),
        (Some(later()), &ReceiptState::Unsent { reason: None })
    );
    // The note outlives what comes of it.
    on.receipts()
        .claim(&unsent, &owner("b"), later())
        .await
        .unwrap();
    on.receipts()
        .mark(
            id,
            &owner("b"),
            &ReceiptState::Withdrawn {
                reason: "over".into(),
            },
        )
        .await
        .unwrap();
    assert_eq!(
        on.receipts()
            .receipt(id)
            .await
            .unwrap()
            .unwrap()
            .note
            .as_deref(),
        Some("mended")
    );
}

async fn receipts_that_wait_are_told_by_where_they_stand(on: &impl Desk) {
    let receipt = committed(on).await;
    let id: &ReceiptId = &receipt.receipt_id;
    let stands = async |at: ReceiptStatus| {
        let is_so = async || {
            let mut found = Vec::new();
            for standing in [
                ReceiptStatus::Unsent,
                ReceiptStatus::Leased,
                ReceiptStatus::Failed,
                ReceiptStatus::Held,
            ] {
                if on
                    .receipt_desk()
                    .waiting(standing, MANY)
                    .await?
                    .contains(id)
                {
                    found.push(standing);
                }
            }
            let expected: Vec<_> = Some(at).filter(|at| at.is_waiting()).into_iter().collect();
            Ok((found == expected).then_some(()))
        };
        until(&format!("the index knows that it is {at}"), SOON, is_so)
            .await
            .unwrap();
    };
    let counted = async |at: ReceiptStatus| {
        let is_so = async || {
            let listed = on.receipt_desk().waiting(at, MANY).await?.len();
            Ok((listed > 0 && on.receipts().count(at, MANY).await? == listed).then_some(()))
        };
        until(&format!("all that are {at} are counted"), SOON, is_so)
            .await
            .unwrap();
        assert_eq!(
            on.receipts().count(at, 1).await,
            Ok(1),
            "no further than asked for"
        );
    };
    stands(ReceiptStatus::Unsent).await;
    on.receipts()
        .claim(&receipt, &owner("a"), later())
        .await
        .unwrap();
    stands(ReceiptStatus::Leased).await;
    let claimed = on.receipts().receipt(id).await.unwrap().unwrap();
    on.receipts().hold(&claimed).await.unwrap();
    stands(ReceiptStatus::Held).await;
    counted(ReceiptStatus::Held).await;
    let held = on.receipts().receipt(id).await.unwrap().unwrap();
    on.receipt_desk()
        .reopen(&held, "it did not come", now())
        .await
        .unwrap();
    stands(ReceiptStatus::Unsent).await;
    let unsent = on.receipts().receipt(id).await.unwrap().unwrap();
    on.receipts()
        .claim(&unsent, &owner("b"), later())
        .await
        .unwrap();
    on.receipts()
        .mark(
            id,
            &owner("b"),
            &ReceiptState::Failed {
                reason: "no".into(),
            },
        )
        .await
        .unwrap();
    stands(ReceiptStatus::Failed).await;
    counted(ReceiptStatus::Failed).await;
    let failed = on.receipts().receipt(id).await.unwrap().unwrap();
    assert_eq!(
        on.receipt_desk().close(&held, "too late").await,
        Ok(Changed::Raced)
    );
    assert_eq!(
        on.receipt_desk().close(&failed, "sent by post").await,
        Ok(Changed::Now)
    );
    stands(ReceiptStatus::Withdrawn).await;
    let closed = on.receipts().receipt(id).await.unwrap().unwrap();
    assert_eq!(closed, failed.closed("sent by post"));
    on.receipt_desk()
        .reopen(&closed, "mended", now())
        .await
        .unwrap();
    let unsent = on.receipts().receipt(id).await.unwrap().unwrap();
    on.receipts()
        .claim(&unsent, &owner("c"), later())
        .await
        .unwrap();
    on.receipts()
        .mark(
            id,
            &owner("c"),
            &ReceiptState::Withdrawn {
                reason: "over".into(),
            },
        )
        .await
        .unwrap();
    stands(ReceiptStatus::Withdrawn).await;
}

/// A queue that holds what was given up on.
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
    let play = Play::on_named_stack().await.unwrap();
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
    let play = Play::on_named_stack().await.unwrap();
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
