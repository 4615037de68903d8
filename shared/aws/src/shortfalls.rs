//! Open shortfalls: the movements in the sparse index `open` of the Stock table.

use crate::{
    failure::unbuildable,
    orders,
    row::{self, number, text},
    stock::{self, TABLE},
    store::{Store, rows},
};
use aws_sdk_dynamodb::types::{TransactWriteItem, Update};
use domain::{
    ports::{self, Changed},
    sale::stock::{Movement, OPEN_SHORTFALL},
    upkeep::fill::Fill,
    values::{ids::Sku, outcome::RetryableError},
};
use std::collections::BTreeMap;

impl ports::Shortfalls for Store {
    async fn open_shortfalls(&self, most: usize) -> Result<Vec<Movement>, RetryableError> {
        let query = self
            .dynamodb
            .query()
            .table_name(&self.tables.stock)
            .index_name("open")
            .key_condition_expression("#open = :open")
            .expression_attribute_names("#open", "open")
            .expression_attribute_values(":open", text(OPEN_SHORTFALL));
        rows(TABLE, query, most).await
    }

    async fn counters(&self, skus: &[Sku]) -> Result<BTreeMap<Sku, i64>, RetryableError> {
        let keys = skus.iter().map(stock::counter_key);
        let mut counters = BTreeMap::new();
        for item in self.items(&self.tables.stock, keys).await? {
            let stock::Counter { sku, on_hand } = row::from_item(TABLE, item)?;
            counters.extend(on_hand.map(|on_hand| (sku, on_hand)));
        }
        Ok(counters)
    }

    async fn fill(&self, fill: &Fill) -> Result<Changed, RetryableError> {
        let table = &self.tables.stock;
        let action = TransactWriteItem::builder;
        let mut actions = vec![
            action().update(movement(table, fill)?).build(),
            action()
                .put(orders::put(&self.tables.orders, &fill.order)?)
                .build(),
        ];
        if fill.units > 0 {
            actions.push(action().update(counter(table, fill)?).build());
        }
        actions.extend(self.announce(fill.announced.as_ref())?);
        self.change(actions).await
    }
}

/// The action that adds the units to the movement. Once nothing is missing, the movement leaves the index.
fn movement(table: &str, fill: &Fill) -> Result<Update, RetryableError> {
    let seen = &fill.seen;
    let closes = if fill.closes { " REMOVE #open" } else { "" };
    Update::builder()
        .table_name(table)
        .set_key(Some(row::attributes(stock::movement_key(
            &seen.sku,
            &seen.order_id,
        ))))
        .update_expression(format!("SET deducted = :deducted{closes}"))
        .condition_expression("deducted = :seen AND restocked = :restocked AND #open = :open")
        .expression_attribute_names("#open", "open")
        .expression_attribute_values(":open", text(OPEN_SHORTFALL))
        .expression_attribute_values(":deducted", number(seen.deducted + fill.units))
        .expression_attribute_values(":seen", number(seen.deducted))
        .expression_attribute_values(":restocked", number(seen.restocked))
        .build()
        .map_err(|error| unbuildable(&error))
}

/// The action that takes the units from the counter.
fn counter(table: &str, fill: &Fill) -> Result<Update, RetryableError> {
    Update::builder()
        .table_name(table)
        .set_key(Some(row::attributes(stock::counter_key(&fill.seen.sku))))
        .update_expression("SET on_hand = on_hand - :units")
        .condition_expression("on_hand >= :units")
        .expression_attribute_values(":units", number(fill.units))
        .build()
        .map_err(|error| unbuildable(&error))
}
