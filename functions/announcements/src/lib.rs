//! Publishes announcements on the event bus.
//!
//! The rows say what is to be published; a stream only wakes the function, and a schedule does the same each minute. So
//! an outage of any length loses nothing: what is not published stays in the index. A batch is marked after the bus has
//! all of it. A stop between the two publishes it twice, with the same ids.
//!
//! A counter is compared with its announced level when its row changes, and all of them once a day.

mod call;
pub mod config;
mod levels;
mod log;

pub use call::Call;

use domain::{
    announcement::{
        Announcement, Batch, Entry, MOST_ENTRY_BYTES, Published, State,
        personal::{Contact, has_contact},
    },
    ports::{Announcements, BatchPlace, Bus, Clock, Orders, StockLevels},
    values::{ids::OrderId, mode::Mode, outcome::RetryableError},
};
use futures_util::{StreamExt, stream};
use jiff::{SignedDuration, Timestamp};
use std::{sync::Arc, time::Duration};

/// `PutEvents` takes ten entries
/// (<https://docs.aws.amazon.com/eventbridge/latest/APIReference/API_PutEvents.html>).
const MOST_ENTRIES: usize = 10;
/// The number of rows that are read or marked at the same time.
const AT_ONCE: usize = 10;
/// The age from which the schedule publishes a batch. The stream's call publishes younger ones, in their order.
const REST: SignedDuration = SignedDuration::from_secs(60);
/// After this many batches that could not be published, a run leaves the rest to the next one.
const MOST_FAILURES: usize = 50;

/// The limits of a run.
#[derive(Debug, Clone, Copy)]
pub struct Limits {
    /// Batches read from the index at once.
    pub listed: usize,
    /// The function has a minute; the rest is for the last batches and the log.
    pub lasts: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            listed: 100,
            lasts: Duration::from_secs(40),
        }
    }
}

/// The announcer over a store `S` and a bus `B`.
#[derive(Debug)]
pub struct Announcer<S, B> {
    pub store: S,
    pub bus: B,
    pub clock: Arc<dyn Clock>,
    /// The mode of the stack.
    pub mode: Mode,
    /// True if a paid order's announcement has the customer's contact and address.
    pub announces_contacts: bool,
    pub limits: Limits,
}

/// The result of a run.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Ran {
    /// Published announcements.
    pub published: usize,
    /// Batches that stay for the next run: the bus refused an entry, or the row cannot be read.
    pub failed: usize,
    /// Counters whose level was announced.
    pub levels: usize,
    /// A limit stopped the run; the next one continues.
    pub more: bool,
    /// The age of the oldest batch that is not published; `None` if it was not measured.
    pub oldest_seconds: Option<u64>,
}

/// A batch, ready for the bus.
struct Ready {
    batch_id: String,
    entries: Vec<Entry>,
}

/// The ports of the announcer's store.
pub trait AnnouncerStore: Announcements + StockLevels + Orders {}

impl<S: Announcements + StockLevels + Orders> AnnouncerStore for S {}

impl<S: AnnouncerStore, B: Bus> Announcer<S, B> {
    /// Answers a call. A failure is an error only for a schedule: a stream would repeat the call, and the rows say the
    /// same to the next one.
    pub async fn answer(&self, call: &Call) -> Result<(), RetryableError> {
        let started_at = self.clock.now();
        let mut ran = Ran::default();
        let ended = self.run(call, started_at, &mut ran).await;
        // A stream may call each second; the schedule's measurement of each minute is enough.
        let measured = if call.is_of_a_stream() {
            Ok(())
        } else {
            self.oldest(&mut ran).await
        };
        let failed = ended.and(measured).err();
        log::log(
            &ran,
            failed.as_ref(),
            self.clock.now().duration_since(started_at),
        );
        match failed {
            Some(error) if !call.is_of_a_stream() => Err(error),
            _ => Ok(()),
        }
    }

    async fn run(
        &self,
        call: &Call,
        started_at: Timestamp,
        ran: &mut Ran,
    ) -> Result<(), RetryableError> {
        // A counter that cannot be read must not keep the batches from the bus.
        let levels = if call.all_counters {
            self.announce_all_levels(started_at, ran).await
        } else {
            self.announce_levels(call.counters(), ran).await
        };
        let rest = if call.is_of_a_stream() || call.all_counters {
            SignedDuration::ZERO
        } else {
            REST
        };
        let until = self.clock.now().saturating_sub(rest).unwrap_or(started_at);
        self.publish(until, started_at, ran).await.and(levels)
    }

    fn is_over(&self, started_at: Timestamp) -> bool {
        let lasted = self.clock.now().duration_since(started_at);
        lasted.unsigned_abs() >= self.limits.lasts
    }

    /// Publishes all batches that have their place until then, in their order.
    async fn publish(
        &self,
        until: Timestamp,
        started_at: Timestamp,
        ran: &mut Ran,
    ) -> Result<(), RetryableError> {
        let mut after: Option<BatchPlace> = None;
        loop {
            let listed = self.limits.listed;
            let page = self
                .store
                .unpublished(until, after.as_ref(), listed)
                .await?;
            let Some(last) = page.last().cloned() else {
                return Ok(());
            };
            let ready = self.read(&page, ran).await?;
            self.publish_all(&ready, ran).await?;
            if page.len() < listed {
                return Ok(());
            }
            if self.is_over(started_at) || ran.failed >= MOST_FAILURES {
                ran.more = true;
                return Ok(());
            }
            after = Some(last);
        }
    }

    /// Reads the batches of a page, and makes the entries of those that are not published.
    async fn read(&self, page: &[BatchPlace], ran: &mut Ran) -> Result<Vec<Ready>, RetryableError> {
        let read = stream::iter(page).map(|place| self.ready(&place.batch_id));
        let read: Vec<_> = read.buffered(AT_ONCE).collect().await;
        let mut ready = Vec::new();
        for (place, batch) in page.iter().zip(read) {
            match batch {
                Ok(batch) => ready.extend(batch),
                Err(RetryableError::Fault(reason)) => {
                    // It waits for a person, and keeps no other from the bus.
                    log::unreadable(&place.batch_id, &reason);
                    ran.failed += 1;
                }
                Err(error) => return Err(error),
            }
        }
        Ok(ready)
    }

    /// Reads a batch and makes its entries; `None` if it is published.
    async fn ready(&self, id: &str) -> Result<Option<Ready>, RetryableError> {
        let Some(batch) = self.store.unpublished_batch(id).await? else {
            return Ok(None);
        };
        let Batch {
            batch_id,
            announcements,
            ..
        } = batch;
        let mut entries = Vec::with_capacity(announcements.len());
        for announcement in announcements {
            let contact = self.contact(&announcement).await?;
            let published = Published {
                mode: self.mode,
                contact,
                announcement,
            };
            let entry = published.entry();
            entries.push(entry.map_err(|error| RetryableError::Fault(error.to_string()))?);
        }
        Ok(Some(Ready { batch_id, entries }))
    }

    /// The contact of a paid order, if it is to be announced.
    async fn contact(
        &self,
        announcement: &Announcement,
    ) -> Result<Option<Contact>, RetryableError> {
        let State::Order(order) = &announcement.state else {
            return Ok(None);
        };
        if !self.announces_contacts || !has_contact(announcement.kind) {
            return Ok(None);
        }
        let Ok(id) = OrderId::new(order.order_id.clone()) else {
            return Ok(None);
        };
        let order = self.store.order(&id).await?;
        Ok(order.as_ref().and_then(Contact::of))
    }

    /// Publishes batches and marks those that the bus has in whole.
    async fn publish_all(&self, ready: &[Ready], ran: &mut Ran) -> Result<(), RetryableError> {
        let entries: Vec<Entry> = ready
            .iter()
            .flat_map(|batch| batch.entries.clone())
            .collect();
        let mut refused = Vec::with_capacity(entries.len());
        let mut stopped = None;
        for part in parts(&entries) {
            match self.bus.publish(part).await {
                Ok(answers) => refused.extend(answers.iter().map(Option::is_some)),
                Err(error) => {
                    stopped = Some(error);
                    break;
                }
            }
        }
        let mut answers = refused.into_iter();
        let mut whole = Vec::new();
        for batch in ready {
            let answers: Vec<bool> = answers.by_ref().take(batch.entries.len()).collect();
            ran.published += answers.iter().filter(|refused| !**refused).count();
            if answers.len() == batch.entries.len() && !answers.contains(&true) {
                whole.push(batch.batch_id.as_str());
            } else if stopped.is_none() {
                ran.failed += 1;
            }
        }
        let now = self.clock.now();
        let marked = stream::iter(whole).map(|id| self.store.mark_published(id, now));
        let marked: Vec<_> = marked.buffered(AT_ONCE).collect().await;
        let marked: Result<(), _> = marked.into_iter().collect();
        stopped.map_or(Ok(()), Err).and(marked)
    }

    /// Measures the age of the oldest batch that is not published.
    async fn oldest(&self, ran: &mut Ran) -> Result<(), RetryableError> {
        let now = self.clock.now();
        let oldest = self.store.unpublished(now, None, 1).await?;
        let age = oldest
            .first()
            .map(|oldest| now.as_microsecond() - oldest.place);
        let seconds = u64::try_from(age.unwrap_or_default() / 1_000_000);
        ran.oldest_seconds = Some(seconds.unwrap_or_default());
        Ok(())
    }
}

/// The entries in calls of ten at most, and of no more bytes than one call may have.
fn parts(entries: &[Entry]) -> Vec<&[Entry]> {
    let (mut parts, mut rest) = (Vec::new(), entries);
    while !rest.is_empty() {
        let mut bytes = 0;
        let fit = rest.iter().take(MOST_ENTRIES).take_while(|entry| {
            bytes += size(entry);
            bytes <= MOST_ENTRY_BYTES
        });
        // One that is too large alone goes alone, and the bus refuses it.
        let (part, others) = rest.split_at(fit.count().max(1));
        parts.push(part);
        rest = others;
    }
    parts
}

/// The bytes of an entry: detail, type, source and time
/// (<https://docs.aws.amazon.com/eventbridge/latest/userguide/eb-putevent-size.html>).
fn size(entry: &Entry) -> usize {
    entry.detail.len() + entry.kind.as_str().len() + 64
}

#[cfg(test)]
mod tests {
    use super::*;
    use domain::announcement::Kind;

    fn entry(bytes: usize) -> Entry {
        Entry {
            kind: Kind::OrderPaid,
            id: String::new(),
            occurred_at: Timestamp::UNIX_EPOCH,
            detail: "x".repeat(bytes),
        }
    }

    #[test]
    fn a_call_of_the_bus_has_ten_entries_and_256_kilobytes_at_most() {
        for (sizes, expected) in [
            (vec![], vec![]),
            (vec![100; 25], vec![10, 10, 5]),
            (vec![100_000; 5], vec![2, 2, 1]),
            (vec![10, 300_000, 10], vec![1, 1, 1]),
        ] {
            let entries: Vec<Entry> = sizes.into_iter().map(entry).collect();
            let parts: Vec<usize> = parts(&entries).iter().map(|part| part.len()).collect();
            assert_eq!(parts, expected);
        }
    }
}
