//! The announced levels of counters in the Stock table: rows with the entry `announced` beside the counter. The
//! merchant may replace a counter's row at any time, so its announced level is a row by itself.

use crate::{
    failure::classified,
    row::{self, attributes, text},
    stock::{self, COUNTER, TABLE},
    store::{DYNAMODB, Store},
};
use aws_sdk_dynamodb::types::{AttributeValue, TransactWriteItem};
use domain::{
    announcement::{
        Batch,
        stock::{AnnouncedLevel, Counter},
    },
    ports::{self, Changed, SkuPage, StockRow},
    values::{ids::Sku, outcome::RetryableError},
};
use serde::Deserialize;

const ANNOUNCED: &str = "announced";
/// The number of rows that a search reads in one call: as many as a call can, because most are no counters.
const ROWS_A_PAGE: i32 = 5_000;

/// An item's key.
#[derive(Deserialize)]
struct ItemKey {
    sku: Sku,
}

impl ports::StockLevels for Store {
    async fn level(
        &self,
        sku: &Sku,
    ) -> Result<(Option<Counter>, Option<AnnouncedLevel>), RetryableError> {
        let table = self.tables.stock.as_str();
        let announced_key = stock::key(sku.as_str(), ANNOUNCED);
        let keys = [stock::counter_key(sku), announced_key].map(|key| (table, key));
        let mut found = self.batch_get(keys.into()).await?;
        let (mut counter, mut announced) = (None, None);
        for item in found.remove(table).unwrap_or_default() {
            if item.get("entry").and_then(|entry| entry.as_s().ok()) == Some(&ANNOUNCED.to_owned())
            {
                announced = Some(row::from_item(TABLE, item)?);
            } else {
                // A person wrote it. One that is not understood has no level.
                counter = level(sku, &item);
            }
        }
        Ok((counter, announced))
    }

    async fn announce_level(
        &self,
        level: &AnnouncedLevel,
        batch: &Batch,
    ) -> Result<Changed, RetryableError> {
        let key = stock::key(level.sku.as_str(), ANNOUNCED);
        let item = row::item(TABLE, level)?;
        let put = row::versioned(&self.tables.stock, key, item, level.version)?;
        let put = TransactWriteItem::builder().put(put).build();
        let announce = self.announce(Some(batch))?;
        self.change([put].into_iter().chain(announce).collect())
            .await
    }

    async fn counted(&self, after: Option<&StockRow>) -> Result<SkuPage, RetryableError> {
        let start = after.map(|row| attributes(stock::key(row.sku.as_str(), row.entry.as_str())));
        let scan = self
            .dynamodb
            .scan()
            .table_name(&self.tables.stock)
            .limit(ROWS_A_PAGE)
            .set_exclusive_start_key(start)
            .filter_expression("entry = :counter")
            .projection_expression("sku")
            .expression_attribute_values(":counter", text(COUNTER));
        let found = scan.send().await;
        let found = found.map_err(|error| classified(DYNAMODB, &error))?;
        let items = found.items.unwrap_or_default().into_iter();
        // A SKU that this version cannot read must not hide the others.
        let skus = items.filter_map(|item| row::from_item::<ItemKey>(TABLE, item).ok());
        let text_of = |key: &row::Attributes, name: &str| key.get(name)?.as_s().ok().cloned();
        let next = found.last_evaluated_key.and_then(|key| {
            Some(StockRow {
                sku: text_of(&key, "sku")?,
                entry: text_of(&key, "entry")?,
            })
        });
        Ok(SkuPage {
            skus: skus.map(|item| item.sku).collect(),
            next,
        })
    }
}

/// The counter as a person wrote it.
fn level(sku: &Sku, item: &row::Attributes) -> Option<Counter> {
    let whole = |name: &str| match item.get(name) {
        Some(AttributeValue::N(number)) => number.parse().ok(),
        _ => None,
    };
    Some(Counter {
        sku: sku.clone(),
        on_hand: whole("on_hand")?,
        low_at: whole("low_at"),
    })
}
