//! The Stock table, as operators use it.

use super::{TABLE, counter_key, mapping_key};
use crate::{
    failure::classified,
    guard::guarded,
    row::{self, attributes, number, text},
    store::{DYNAMODB, Store},
};
use aws_sdk_dynamodb::types::AttributeValue;
use domain::{
    ports::{
        Changed,
        admin::{MapTo, StockAdmin},
    },
    sale::{mapping::MappingKey, stock::Movement},
    values::{ids::Sku, outcome::RetryableError},
};

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
        let mut items = query.into_paginator().items().send();
        let mut movements = Vec::new();
        while movements.len() < most
            && let Some(item) = items.next().await
        {
            let item = item.map_err(|error| classified(DYNAMODB, &error))?;
            movements.push(row::from_item(TABLE, item)?);
        }
        Ok(movements)
    }

    async fn set_counter(
        &self,
        sku: &Sku,
        seen: Option<i64>,
        on_hand: i64,
    ) -> Result<Changed, RetryableError> {
        let update = self
            .update(&self.tables.stock, counter_key(sku))
            .update_expression("SET on_hand = :now REMOVE untracked, reported_by")
            .expression_attribute_values(":now", number(on_hand));
        guarded(match seen {
            Some(seen) => update
                .condition_expression("on_hand = :seen")
                .expression_attribute_values(":seen", number(seen)),
            None => update.condition_expression("attribute_not_exists(on_hand)"),
        })
        .await
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
