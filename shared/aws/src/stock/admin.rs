//! The Stock table, as operators use it.

use super::{TABLE, counter_key, key, mapping_key};
use crate::{
    failure::{classified, unbuildable},
    row::{self, attributes, number, text},
    store::{DYNAMODB, Store, rows},
};
use aws_sdk_dynamodb::types::{AttributeValue, TransactWriteItem, Update};
use domain::{
    ports::{
        Changed,
        admin::{MapTo, StockAdmin},
    },
    sale::{counter_change::CounterChange, mapping::MappingKey, stock::Movement},
    values::{ids::Sku, outcome::RetryableError},
};

const CHANGE: &str = "count#";

impl StockAdmin for Store {
    async fn movements(&self, sku: &Sku, most: usize) -> Result<Vec<Movement>, RetryableError> {
        let query = self
            .dynamodb
            .query()
            .table_name(&self.tables.stock)
            .key_condition_expression("sku = :sku AND begins_with(#entry, :order)")
            .expression_attribute_names("#entry", "entry")
            .expression_attribute_values(":sku", text(sku.as_str()))
            .expression_attribute_values(":order", text("order#"))
            .consistent_read(true);
        rows(TABLE, query, most).await
    }

    async fn change_counter(&self, change: &CounterChange) -> Result<Changed, RetryableError> {
        let table = &self.tables.stock;
        let mut item = row::item(TABLE, change)?;
        let expiry = number(change.expires_at().as_second());
        item.insert("expires_at".to_owned(), expiry);
        let entry = format!("{CHANGE}{:.6}", change.at);
        let kept = row::first(table, key(change.sku.as_str(), entry), item)?;
        let action = TransactWriteItem::builder;
        let actions = vec![
            action().update(set_counter(table, change)?).build(),
            action().put(kept).build(),
        ];
        self.change(actions).await
    }

    async fn counter_changes(
        &self,
        sku: &Sku,
        most: usize,
    ) -> Result<Vec<CounterChange>, RetryableError> {
        let query = self
            .dynamodb
            .query()
            .table_name(&self.tables.stock)
            .key_condition_expression("sku = :sku AND begins_with(#entry, :change)")
            .expression_attribute_names("#entry", "entry")
            .expression_attribute_values(":sku", text(sku.as_str()))
            .expression_attribute_values(":change", text(CHANGE))
            .scan_index_forward(false)
            .limit(i32::try_from(most).unwrap_or(i32::MAX).max(1))
            .consistent_read(true);
        rows(TABLE, query, most).await
    }

    async fn put_mapping(&self, of: &MappingKey, to: &MapTo) -> Result<(), RetryableError> {
        let mut item = attributes(mapping_key(of));
        let sku = to.sku.as_ref().map(|sku| text(sku.as_str()));
        item.extend(sku.map(|sku| ("maps_to".to_owned(), sku)));
        if to.untracked {
            item.insert("untracked".to_owned(), AttributeValue::Bool(true));
        }
        if let Some(grant) = &to.grants {
            item.insert("grants".to_owned(), text(grant.name.as_str()));
            item.extend(grant.days.map(|days| ("days".to_owned(), number(days))));
        }
        let put = self.dynamodb.put_item().table_name(&self.tables.stock);
        let put = put.set_item(Some(item)).send().await;
        put.map(drop).map_err(|error| classified(DYNAMODB, &error))
    }
}

/// The action that sets the counter, if it is as before the change.
fn set_counter(table: &str, change: &CounterChange) -> Result<Update, RetryableError> {
    let update = Update::builder()
        .table_name(table)
        .set_key(Some(attributes(counter_key(&change.sku))))
        .update_expression("SET on_hand = :now REMOVE untracked, reported_by")
        .expression_attribute_values(":now", number(change.after));
    let update = match change.before {
        Some(before) => update
            .condition_expression("on_hand = :before")
            .expression_attribute_values(":before", number(before)),
        None => update.condition_expression("attribute_not_exists(on_hand)"),
    };
    update.build().map_err(|error| unbuildable(&error))
}
