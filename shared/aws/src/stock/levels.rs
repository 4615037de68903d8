//! The counters of the Stock table, and their announced levels: rows with the entry `announced` beside the counter. The
//! merchant may replace a counter's row at any time, so its announced level is a row by itself.

use super::{COUNTER, TABLE, counter_key, key};
use crate::{
    failure::classified,
    row::{self, Attributes, attributes, text},
    store::{DYNAMODB, Store},
};
use aws_sdk_dynamodb::types::{AttributeValue, TransactWriteItem};
use domain::{
    announcement::{Batch, stock::AnnouncedLevel},
    ports::{self, Changed, CounterPage, StockRow},
    sale::stock::Counter,
    values::{ids::Sku, outcome::RetryableError},
};

const ANNOUNCED: &str = "announced";
/// The number of rows that a search reads in one call: as many as a call can, because most are no counters.
const ROWS_A_PAGE: i32 = 5_000;

impl ports::StockLevels for Store {
    async fn level(
        &self,
        sku: &Sku,
    ) -> Result<(Option<Counter>, Option<AnnouncedLevel>), RetryableError> {
        let keys = [counter_key(sku), key(sku.as_str(), ANNOUNCED)].into_iter();
        let (mut known, mut announced) = (None, None);
        let is_announced = Some(&text(ANNOUNCED));
        for item in self.items(&self.tables.stock, keys).await? {
            if item.get("entry") == is_announced {
                announced = Some(row::from_item(TABLE, item)?);
            } else {
                known = counter(&item);
            }
        }
        Ok((known, announced))
    }

    async fn announce_level(
        &self,
        level: &AnnouncedLevel,
        batch: &Batch,
    ) -> Result<Changed, RetryableError> {
        let key = key(level.sku.as_str(), ANNOUNCED);
        let item = row::item(TABLE, level)?;
        let put = row::versioned(&self.tables.stock, key, item, level.version)?;
        let put = TransactWriteItem::builder().put(put).build();
        let announce = self.announce(Some(batch))?;
        self.change([put].into_iter().chain(announce).collect())
            .await
    }

    async fn counter_page(&self, after: Option<&StockRow>) -> Result<CounterPage, RetryableError> {
        let start = after.map(|row| attributes(key(row.sku.as_str(), row.entry.as_str())));
        let scan = self
            .dynamodb
            .scan()
            .table_name(&self.tables.stock)
            .limit(ROWS_A_PAGE)
            .set_exclusive_start_key(start)
            .filter_expression("entry = :counter")
            .expression_attribute_values(":counter", text(COUNTER));
        let found = scan.send().await;
        let found = found.map_err(|error| classified(DYNAMODB, &error))?;
        Ok(CounterPage {
            counters: found.items().iter().filter_map(counter).collect(),
            next: found.last_evaluated_key().and_then(place),
        })
    }
}

/// The place of an item by its key.
fn place(key: &Attributes) -> Option<StockRow> {
    let part = |name: &str| key.get(name)?.as_s().ok().cloned();
    Some(StockRow {
        sku: part("sku")?,
        entry: part("entry")?,
    })
}

/// The counter as a person wrote it: an attribute that is not understood is absent, and hides no other counter. `None` if
/// its SKU is none.
fn counter(item: &Attributes) -> Option<Counter> {
    let whole = |name: &str| item.get(name)?.as_n().ok()?.parse().ok();
    Some(Counter {
        sku: Sku::new(item.get("sku")?.as_s().ok()?).ok()?,
        on_hand: whole("on_hand"),
        untracked: item.get("untracked") == Some(&AttributeValue::Bool(true)),
        low_at: whole("low_at"),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::row::number;

    #[test]
    fn an_attribute_that_is_not_understood_hides_no_counter() {
        let item = |attributes: &[(&str, AttributeValue)]| {
            let sku = ("sku".to_owned(), text("MAT"));
            let others = attributes.iter().cloned();
            let others = others.map(|(name, value)| (name.to_owned(), value));
            others.chain([sku]).collect::<Attributes>()
        };
        let read = |attributes: &[_]| {
            let counter = counter(&item(attributes)).unwrap();
            (counter.on_hand, counter.untracked, counter.low_at)
        };
        let low_at = ("low_at", number(2));
        assert_eq!(
            read(&[("on_hand", number(7)), low_at.clone()]),
            (Some(7), false, Some(2))
        );
        assert_eq!(
            read(&[("on_hand", text("seven")), low_at]),
            (None, false, Some(2))
        );
        let untracked = AttributeValue::Bool(true);
        assert_eq!(read(&[("untracked", untracked)]), (None, true, None));
        assert_eq!(counter(&Attributes::new()), None);
    }
}
