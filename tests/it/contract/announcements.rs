//! Batches of announcements, and the announced levels of counters.

use super::{
    On, Rows, Shelves as _, all_pages, dynamodb, in_time, later, memory, now, recorded, skus,
};
use domain::{
    announcement::{
        Batch,
        event::parked,
        stock::{AnnouncedLevel, changed},
    },
    ports::{AnnouncementAdmin as _, Announcements as _, BatchPlace, StockLevels as _, StockRow},
    sale::stock::Counter,
};
use kit::prelude::*;

on_both! {
    a_batch_is_listed_until_it_is_published_and_may_be_published_again,
    a_change_that_loses_its_race_announces_nothing,
    an_event_that_is_parked_at_once_is_announced_and_stored_once,
    a_level_is_announced_after_the_one_before_it,
}

/// Batches of other tests lie there too.
const MANY: usize = 1_000;

/// Parks the event together with a batch.
async fn parks(on: &impl On, event: &StoredEvent) -> (Changed, Batch) {
    let batch = parked(event, Class::NotComplete, now()).unwrap();
    let settlement = Settlement::Parked {
        class: Class::NotComplete,
        reason: "a person decides".to_owned(),
        announced: Some(batch.clone()),
    };
    (on.settle(&event.event_id, &settlement, now()).await, batch)
}

/// Waits until the index lists the batch, or no longer does.
async fn listed(ports: &impl Rows, batch: &Batch, expected: bool) {
    let place = BatchPlace {
        place: batch.place,
        batch_id: batch.batch_id.clone(),
    };
    in_time("the index of batches", async || {
        let (mut after, mut found) = (None, false);
        loop {
            let page = ports.unpublished(now(), after.as_ref(), MANY).await;
            let page = page.unwrap();
            assert!(page.is_sorted_by_key(|place| place.place));
            found |= page.contains(&place);
            match page.last().cloned() {
                Some(last) => after = Some(last),
                None => return found == expected,
            }
        }
    })
    .await;
}

async fn a_batch_is_listed_until_it_is_published_and_may_be_published_again(on: &impl On) {
    let event = recorded(on).await;
    let (changed, batch) = parks(on, &event).await;
    assert_eq!(changed, Changed::Now);
    let ports = on.store();
    let id = batch.batch_id.as_str();
    let stored = async || ports.unpublished_batch(id).await.unwrap();
    assert_eq!(stored().await, Some(batch.clone()));
    listed(ports, &batch, true).await;
    let early = now() - SignedDuration::from_secs(1);
    let before = ports.unpublished(early, None, MANY).await.unwrap();
    assert!(before.iter().all(|place| place.batch_id != id));
    assert_eq!(ports.publish_again(id).await, Ok(Changed::Raced));
    for _ in 0..2 {
        ports.mark_published(id, later()).await.unwrap();
        assert_eq!(stored().await, None);
    }
    listed(ports, &batch, false).await;
    let mut found = all_pages(async |after: Option<String>| {
        let page = ports.published_since(now(), after.as_deref()).await;
        let page = page.unwrap();
        (page.batches, page.next)
    })
    .await;
    found.retain(|place| place.batch_id == id);
    assert_eq!(found.len(), 1);
    assert_eq!(ports.publish_again(id).await, Ok(Changed::Now));
    assert_eq!(ports.publish_again(id).await, Ok(Changed::Raced));
    assert_eq!(stored().await, Some(batch.clone()));
    listed(ports, &batch, true).await;
    assert_eq!(ports.publish_again("nobody").await, Ok(Changed::Raced));
    ports.mark_published("nobody", now()).await.unwrap();
}

async fn a_change_that_loses_its_race_announces_nothing(on: &impl On) {
    let event = recorded(on).await;
    on.settle(&event.event_id, &Settlement::Processed, now())
        .await;
    let (changed, batch) = parks(on, &event).await;
    assert_eq!(changed, Changed::Raced);
    let found = on.store().unpublished_batch(&batch.batch_id).await;
    assert_eq!(found, Ok(None));
}

async fn an_event_that_is_parked_at_once_is_announced_and_stored_once(on: &impl On) {
    let event = StoredEvent {
        state: Parked,
        class: Some(Class::Unreadable),
        reason: Some("a member is not understood".to_owned()),
        ..super::event()
    };
    let batch = domain::announcement::event::recorded(&event).unwrap();
    let stored = async || {
        let found = on.store().unpublished_batch(&batch.batch_id).await;
        found.unwrap()
    };
    assert_eq!(on.record(&event).await, Recorded::First);
    assert_eq!(stored().await, Some(batch.clone()));
    assert_eq!(on.record(&event).await, Recorded::Again(Parked));
    let body = b"other".to_vec();
    let other = StoredEvent {
        fingerprint: fingerprint(&body),
        body,
        ..event.clone()
    };
    let there = Recorded::OtherBody {
        state: Parked,
        body: event.body.clone(),
    };
    assert_eq!(on.record(&other).await, there);
}

async fn a_level_is_announced_after_the_one_before_it(on: &impl On) {
    let sku = &skus(1)[0];
    let ports = on.store();
    assert_eq!(ports.level(sku).await, Ok((None, None)));
    on.stock_levels().put_counter(sku, 7).await;
    let counter = Counter {
        sku: sku.clone(),
        on_hand: Some(7),
        untracked: false,
        low_at: None,
    };
    let next = |known: Option<&AnnouncedLevel>, on_hand| {
        let counter = Counter {
            on_hand: Some(on_hand),
            ..counter.clone()
        };
        let (level, announcements) = changed(known, &counter, now()).unwrap();
        (level, Batch::new(announcements, now()).unwrap())
    };
    let (first, batch) = next(None, 7);
    for expected in [Changed::Now, Changed::Raced] {
        let announced = ports.announce_level(&first, &batch).await;
        assert_eq!(announced, Ok(expected));
    }
    let read = ports.level(sku).await.unwrap();
    assert_eq!(read, (Some(counter.clone()), Some(first.clone())));
    let found = ports.unpublished_batch(&batch.batch_id).await;
    assert_eq!(found, Ok(Some(batch)));
    let (second, batch) = next(Some(&first), 3);
    let announced = ports.announce_level(&second, &batch).await;
    assert_eq!(announced, Ok(Changed::Now));
    // The merchant replaces the counter's row; the announced level stays.
    on.stock_levels().put_counter(sku, 9).await;
    let (counter, announced) = ports.level(sku).await.unwrap();
    assert_eq!(counter.and_then(|counter| counter.on_hand), Some(9));
    assert_eq!(announced, Some(second));
    let mut found = all_pages(async |after: Option<StockRow>| {
        let page = ports.counter_page(after.as_ref()).await.unwrap();
        (page.counters, page.next)
    })
    .await;
    found.retain(|other| other.sku == *sku);
    assert_eq!(found.len(), 1, "the counter alone");
}
