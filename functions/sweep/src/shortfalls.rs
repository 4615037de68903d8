//! Fills shortfalls whose counters have risen, by a restock or by the merchant's hand.

use crate::{MOST_FAILURES, Sweep, SweepStore};
use domain::{
    ports::{Changed, DeadLetters},
    sale::{order::Order, stock::Movement},
    upkeep::fill::{Fill, coverable, fills},
    values::{
        ids::{OrderId, Sku},
        outcome::RetryableError,
    },
};
use jiff::Timestamp;
use std::collections::{BTreeMap, BTreeSet};

/// The result of filling.
#[derive(Debug, Default)]
pub(crate) struct Filled {
    pub(crate) filled: usize,
    pub(crate) failed: Option<RetryableError>,
}

impl<S: SweepStore, D: DeadLetters> Sweep<S, D> {
    /// Fills open shortfalls, oldest first. The next run continues after a limit or a failure.
    pub(crate) async fn fill_shortfalls(&self, now: Timestamp) -> Filled {
        let mut filled = Filled::default();
        let planned = match self.planned_fills(now).await {
            Ok(planned) => planned,
            Err(error) => {
                filled.failed = Some(error);
                return filled;
            }
        };
        let mut failures = 0;
        for fill in planned {
            match self.store.fill(&fill).await {
                Ok(Changed::Now) => filled.filled += 1,
                Ok(Changed::Raced) => {}
                Err(error) => {
                    failures += 1;
                    filled.failed.get_or_insert(error);
                }
            }
            if failures >= MOST_FAILURES {
                break;
            }
        }
        filled
    }

    async fn planned_fills(&self, now: Timestamp) -> Result<Vec<Fill>, RetryableError> {
        let open = self.store.open_shortfalls(self.limits.listed).await?;
        if open.is_empty() {
            return Ok(Vec::new());
        }
        let skus: BTreeSet<Sku> = open.iter().map(|movement| movement.sku.clone()).collect();
        let skus: Vec<Sku> = skus.into_iter().collect();
        let counters = self.store.counters(&skus).await?;
        let mut open = coverable(open, &counters);
        open.truncate(self.limits.queued);
        let orders = self.orders_of(&open).await?;
        Ok(fills(&open, &orders, &counters, self.restock, now))
    }

    async fn orders_of(
        &self,
        open: &[Movement],
    ) -> Result<BTreeMap<OrderId, Order>, RetryableError> {
        let ids: BTreeSet<&OrderId> = open.iter().map(|movement| &movement.order_id).collect();
        let mut orders = BTreeMap::new();
        for id in ids {
            if let Some(order) = self.store.order(id).await? {
                orders.insert(id.clone(), order);
            }
        }
        Ok(orders)
    }
}
