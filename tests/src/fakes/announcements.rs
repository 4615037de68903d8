//! The Announcements table, the announced levels, and the bus.

use super::World;
use domain::{
    announcement::{Batch, Entry, stock::AnnouncedLevel},
    ports::{
        AnnouncementAdmin, Announcements, BatchPage, BatchPlace, Bus, Changed, CounterPage,
        StockLevels, StockRow,
    },
    sale::stock::Counter,
    values::{ids::Sku, outcome::RetryableError},
};
use jiff::Timestamp;
use std::ops::Bound;

/// The number of rows that one call reads: few, so that there are several pages.
const ROWS_A_PAGE: usize = 7;

impl Announcements for World {
    async fn unpublished(
        &self,
        until: Timestamp,
        after: Option<&BatchPlace>,
        most: usize,
    ) -> Result<Vec<BatchPlace>, RetryableError> {
        self.look_up("announcements.unpublished", |kept| {
            let open = kept.batches.values().filter(|(_, published)| !published);
            let place = |(batch, _): &(Batch, bool)| BatchPlace {
                place: batch.place,
                batch_id: batch.batch_id.clone(),
            };
            let mut open: Vec<BatchPlace> = open.map(place).collect();
            open.retain(|place| {
                place.place <= until.as_microsecond() && after.is_none_or(|after| place > after)
            });
            open.sort();
            open.truncate(most);
            open
        })
        .await
    }

    async fn unpublished_batch(&self, id: &str) -> Result<Option<Batch>, RetryableError> {
        self.look_up("announcements.batch", |kept| {
            if kept.unreadable_batches.contains(id) {
                return Err(RetryableError::Fault(
                    "an item of Announcements does not have its shape".to_owned(),
                ));
            }
            let found = kept.batches.get(id).filter(|(_, published)| !published);
            Ok(found.map(|(batch, _)| batch.clone()))
        })
        .await?
    }

    async fn mark_published(&self, id: &str, _: Timestamp) -> Result<(), RetryableError> {
        self.repeatable("announcements.mark", |kept| {
            if let Some((_, published)) = kept.batches.get_mut(id) {
                *published = true;
            }
        })
        .await
    }
}

impl AnnouncementAdmin for World {
    async fn published_since(
        &self,
        since: Timestamp,
        after: Option<&str>,
    ) -> Result<BatchPage, RetryableError> {
        self.look_up("announcement_desk.published_since", |kept| {
            let start = after.map_or(Bound::Unbounded, Bound::Excluded);
            let rows = kept.batches.range::<str, _>((start, Bound::Unbounded));
            let page: Vec<_> = rows.take(ROWS_A_PAGE).collect();
            let last = page.last().filter(|_| page.len() == ROWS_A_PAGE);
            let next = last.map(|(id, _)| (*id).clone());
            let is_found = |(batch, published): &&(Batch, bool)| {
                *published && batch.place >= since.as_microsecond()
            };
            let found = page.iter().map(|(_, row)| *row).filter(is_found);
            BatchPage {
                batches: found
                    .map(|(batch, _)| BatchPlace {
                        place: batch.place,
                        batch_id: batch.batch_id.clone(),
                    })
                    .collect(),
                next,
            }
        })
        .await
    }

    async fn publish_again(&self, id: &str) -> Result<Changed, RetryableError> {
        self.repeatable("announcement_desk.publish_again", |kept| {
            match kept.batches.get_mut(id).filter(|(_, published)| *published) {
                Some((_, published)) => {
                    *published = false;
                    Changed::Now
                }
                None => Changed::Raced,
            }
        })
        .await
    }
}

impl StockLevels for World {
    async fn level(
        &self,
        sku: &Sku,
    ) -> Result<(Option<Counter>, Option<AnnouncedLevel>), RetryableError> {
        self.look_up("stock.level", |kept| {
            let counter = kept.counters.get(sku).map(|on_hand| Counter {
                sku: sku.clone(),
                on_hand: Some(*on_hand),
                untracked: false,
                low_at: kept.low_at.get(sku).copied(),
            });
            (counter, kept.announced_levels.get(sku).cloned())
        })
        .await
    }

    async fn announce_level(
        &self,
        level: &AnnouncedLevel,
        batch: &Batch,
    ) -> Result<Changed, RetryableError> {
        self.repeatable("stock.announce_level", |kept| {
            if kept.tables.announce_level(level, batch) {
                Changed::Now
            } else {
                Changed::Raced
            }
        })
        .await
    }

    async fn counter_page(&self, after: Option<&StockRow>) -> Result<CounterPage, RetryableError> {
        self.look_up("stock.counter_page", |kept| {
            let rows = kept.counters.iter();
            let rows = rows.filter(|(sku, _)| after.is_none_or(|at| sku.as_str() > &*at.sku));
            let counters: Vec<Counter> = rows
                .take(ROWS_A_PAGE)
                .map(|(sku, on_hand)| Counter {
                    sku: sku.clone(),
                    on_hand: Some(*on_hand),
                    untracked: false,
                    low_at: kept.low_at.get(sku).copied(),
                })
                .collect();
            let last = counters.last().filter(|_| counters.len() == ROWS_A_PAGE);
            let next = last.map(|counter| StockRow {
                sku: counter.sku.to_string(),
                entry: "counter".to_owned(),
            });
            CounterPage { counters, next }
        })
        .await
    }
}

impl Bus for World {
    async fn publish(&self, entries: &[Entry]) -> Result<Vec<Option<String>>, RetryableError> {
        self.call("bus.publish", |kept| {
            let mut answers = Vec::new();
            for entry in entries {
                if kept.refused_entries > 0 {
                    kept.refused_entries -= 1;
                    answers.push(Some("InternalFailure".to_owned()));
                } else {
                    kept.published.push(entry.clone());
                    answers.push(None);
                }
            }
            answers
        })
        .await
    }
}
