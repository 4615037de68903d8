//! The open shortfalls of the Stock table.

use super::World;
use domain::{
    ports::{Changed, Shortfalls},
    sale::stock::Movement,
    upkeep::fill::Fill,
    values::{ids::Sku, outcome::RetryableError},
};
use std::collections::BTreeMap;

impl Shortfalls for World {
    async fn open_shortfalls(&self, most: usize) -> Result<Vec<Movement>, RetryableError> {
        self.look_up("stock.open_shortfalls", |kept| {
            let open = kept.movements.values().filter(|movement| movement.is_open);
            let mut open: Vec<Movement> = open.cloned().collect();
            open.sort_by_key(|movement| movement.moved_at);
            open.truncate(most);
            open
        })
        .await
    }

    async fn counters(&self, skus: &[Sku]) -> Result<BTreeMap<Sku, i64>, RetryableError> {
        self.look_up("stock.counters", |kept| {
            let found = skus
                .iter()
                .filter_map(|sku| kept.counters.get_key_value(sku));
            found
                .map(|(sku, on_hand)| (sku.clone(), *on_hand))
                .collect()
        })
        .await
    }

    async fn fill(&self, fill: &Fill) -> Result<Changed, RetryableError> {
        self.repeatable("stock.fill", |kept| {
            if kept.tables.fill(fill) {
                Changed::Now
            } else {
                Changed::Raced
            }
        })
        .await
    }
}
