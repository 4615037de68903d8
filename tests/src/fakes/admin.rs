//! The operators' ports on stock and orders.

use super::World;
use domain::{
    ports::{
        Changed,
        admin::{MapTo, OrderPlace, OrderSearch, PlacedOn, PlacedPage, StockAdmin},
    },
    sale::{
        counter_change::CounterChange,
        mapping::{MappingKey, MappingRow},
        order::Order,
        stock::Movement,
    },
    testing::read_back,
    values::{
        ids::{OrderId, Sku},
        note::Noted,
        outcome::RetryableError,
    },
};

/// The rows of a page: few, so that tests turn pages.
const ROWS_A_PAGE: usize = 3;

impl StockAdmin for World {
    async fn movements(&self, sku: &Sku, most: usize) -> Result<Vec<Movement>, RetryableError> {
        self.look_up("stock_desk.movements", |kept| {
            let rows = kept.movements.values();
            let of_sku = rows.filter(|movement| movement.sku == *sku);
            of_sku.take(most).cloned().collect()
        })
        .await
    }

    async fn change_counter(&self, change: &CounterChange) -> Result<Changed, RetryableError> {
        self.repeatable("stock_desk.change_counter", |kept| {
            let sku = &change.sku;
            let key = (sku.clone(), change.at);
            let is_kept = kept.counter_changes.contains_key(&key);
            if kept.counters.get(sku).copied() != change.before || is_kept {
                return Changed::Raced;
            }
            kept.counters.insert(sku.clone(), change.after);
            kept.counter_changes.insert(key, read_back(change));
            Changed::Now
        })
        .await
    }

    async fn counter_changes(
        &self,
        sku: &Sku,
        most: usize,
    ) -> Result<Vec<CounterChange>, RetryableError> {
        self.look_up("stock_desk.counter_changes", |kept| {
            let rows = kept.counter_changes.values().rev();
            let of_sku = rows.filter(|change| change.sku == *sku);
            of_sku.take(most).cloned().collect()
        })
        .await
    }

    async fn put_mapping(&self, of: &MappingKey, to: &MapTo) -> Result<(), RetryableError> {
        self.repeatable("stock_desk.put_mapping", |kept| {
            let to = to.clone();
            let row = MappingRow {
                maps_to: to.sku,
                untracked: to.untracked,
                grants: to.grants,
                ..MappingRow::default()
            };
            kept.mapping.insert(of.clone(), row);
        })
        .await
    }
}

impl OrderSearch for World {
    async fn orders_under(
        &self,
        reference: &str,
        most: usize,
    ) -> Result<Vec<OrderId>, RetryableError> {
        self.look_up("order_desk.orders_under", |kept| {
            let rows = kept.orders.values();
            let under =
                rows.filter(|order| order.client_reference_id.as_deref() == Some(reference));
            under
                .take(most)
                .map(|order| order.order_id.clone())
                .collect()
        })
        .await
    }

    async fn placed_orders(&self, of: &PlacedOn) -> Result<PlacedPage, RetryableError> {
        self.look_up("order_desk.placed_orders", |kept| {
            let place = |order: &Order| (order.placed_at, order.order_id.clone());
            let after = of.after.as_ref();
            let after = after.map(|after| (after.placed_at, after.order_id.clone()));
            let is_next = |order: &&Order| {
                order.placed_day() == of.day
                    && (of.since..of.before).contains(&order.placed_at)
                    && after.as_ref().is_none_or(|after| place(order) < *after)
            };
            let mut orders: Vec<Order> = kept.orders.values().filter(is_next).cloned().collect();
            orders.sort_by_key(|order| std::cmp::Reverse(place(order)));
            orders.truncate(ROWS_A_PAGE);
            let last = orders.last().filter(|_| orders.len() == ROWS_A_PAGE);
            let next = last.map(|order| OrderPlace {
                order_id: order.order_id.clone(),
                placed_at: order.placed_at,
            });
            PlacedPage { orders, next }
        })
        .await
    }

    async fn correct_address(
        &self,
        seen: &Order,
        email: &str,
        note: &Noted,
    ) -> Result<Changed, RetryableError> {
        self.repeatable("order_desk.correct_address", |kept| {
            let order = kept.orders.get_mut(&seen.order_id);
            let Some(order) = order.filter(|order| order.version == seen.version) else {
                return Changed::Raced;
            };
            order.version += 1;
            order.customer.email = Some(email.to_owned());
            order.notes = read_back(&order.notes.with(note.clone()));
            Changed::Now
        })
        .await
    }
}
