//! Announces the levels of counters that differ from what was announced.

use crate::{AT_ONCE, Announcer, AnnouncerStore, Ran};
use domain::{
    announcement::{Batch, stock},
    ports::{Bus, Changed},
    values::{ids::Sku, outcome::RetryableError},
};
use futures_util::future::join_all;
use jiff::Timestamp;

/// How often a lost race for an announced level is decided again.
const TRIES: u32 = 3;

impl<S: AnnouncerStore, B: Bus> Announcer<S, B> {
    /// Announces the levels of all counters that changed unseen.
    pub(crate) async fn announce_all_levels(
        &self,
        started_at: Timestamp,
        ran: &mut Ran,
    ) -> Result<(), RetryableError> {
        let mut after = None;
        loop {
            let page = self.store.counter_page(after.as_ref()).await?;
            for counters in page.counters.chunks(AT_ONCE) {
                let skus = counters.iter().map(|counter| counter.sku.clone());
                self.announce_levels(skus, ran).await?;
                if self.is_over(started_at) {
                    ran.more = true;
                    return Ok(());
                }
            }
            match page.next {
                Some(next) => after = Some(next),
                None => return Ok(()),
            }
        }
    }

    /// Announces the levels of these counters that differ from what was announced.
    pub(crate) async fn announce_levels(
        &self,
        skus: impl IntoIterator<Item = Sku>,
        ran: &mut Ran,
    ) -> Result<(), RetryableError> {
        let skus: Vec<Sku> = skus.into_iter().collect();
        let mut failed = None;
        for skus in skus.chunks(AT_ONCE) {
            for announced in join_all(skus.iter().map(|sku| self.announce_level(sku))).await {
                match announced {
                    Ok(announced) => ran.levels += usize::from(announced),
                    Err(error) => failed = Some(error),
                }
            }
        }
        failed.map_or(Ok(()), Err)
    }

    /// Writes the announcement of a counter's level; false if it was announced already.
    async fn announce_level(&self, sku: &Sku) -> Result<bool, RetryableError> {
        for _ in 0..TRIES {
            let (counter, announced) = self.store.level(sku).await?;
            let Some(counter) = counter else {
                return Ok(false);
            };
            let now = self.clock.now();
            let changed = stock::changed(announced.as_ref(), &counter, now);
            let Some((level, announcements)) = changed else {
                return Ok(false);
            };
            let Some(batch) = Batch::new(announcements, now) else {
                return Ok(false);
            };
            if self.store.announce_level(&level, &batch).await? == Changed::Now {
                return Ok(true);
            }
        }
        Err(RetryableError::Raced {
            what: "the announced level",
            tries: TRIES,
        })
    }
}
