//! Reads the rows of a decision together.

use crate::{
    entitlements,
    failure::{MOST_TRIES, classified, jitter, unbuildable},
    links, orders, receipts, resources,
    row::{Attributes, Key, attributes},
    stock,
    store::{DYNAMODB, Store, Tables},
};
use aws_sdk_dynamodb::types::KeysAndAttributes;
use domain::{
    fulfillment::read_set::{ReadSet, Snapshot},
    values::outcome::RetryableError,
};
use std::collections::{BTreeSet, HashMap};

/// `BatchGetItem` takes 100 keys, over all tables.
const MOST_KEYS: usize = 100;

impl Store {
    /// Reads the rows of a read set.
    pub(super) async fn snapshot(&self, read_set: &ReadSet) -> Result<Snapshot, RetryableError> {
        let mut found = self.batch_get(self.keys(read_set)).await?;
        let mut of = |table: &str| found.remove(table).unwrap_or_default();
        let mut rows = Snapshot::default();
        orders::found(read_set, of(&self.tables.orders), &mut rows)?;
        links::found(of(&self.tables.links), &mut rows)?;
        stock::found(read_set, of(&self.tables.stock), &mut rows)?;
        entitlements::found(read_set, of(&self.tables.entitlements), &mut rows)?;
        receipts::found(of(&self.tables.receipts), &mut rows)?;
        resources::found(of(&self.tables.resources), &mut rows)?;
        Ok(rows)
    }

    /// The keys to read, without duplicates, which DynamoDB refuses.
    fn keys(&self, read_set: &ReadSet) -> Vec<(&str, Key)> {
        let Tables {
            orders,
            links,
            stock,
            entitlements,
            receipts,
            resources,
            ..
        } = &self.tables;
        let of = |table, keys: Vec<Key>| keys.into_iter().map(move |key| (table, key));
        let keys: BTreeSet<(&str, Key)> = of(orders.as_str(), orders::keys(read_set))
            .chain(of(links, links::keys(read_set)))
            .chain(of(stock, stock::keys(read_set)))
            .chain(of(entitlements, entitlements::keys(read_set)))
            .chain(of(receipts, receipts::keys(read_set)))
            .chain(of(resources, resources::keys(read_set)))
            .collect();
        keys.into_iter().collect()
    }

    /// Reads items of one table, in as few calls as possible.
    pub(crate) async fn items(
        &self,
        table: &str,
        keys: impl Iterator<Item = Key>,
    ) -> Result<Vec<Attributes>, RetryableError> {
        let keys = keys.map(|key| (table, key)).collect();
        let mut found = self.batch_get(keys).await?;
        Ok(found.remove(table).unwrap_or_default())
    }

    /// Reads items by table, in as few calls as possible.
    async fn batch_get(
        &self,
        keys: Vec<(&str, Key)>,
    ) -> Result<HashMap<String, Vec<Attributes>>, RetryableError> {
        let mut found: HashMap<String, Vec<Attributes>> = HashMap::new();
        for keys in keys.chunks(MOST_KEYS) {
            let mut left: HashMap<String, Vec<Attributes>> = HashMap::new();
            for (table, key) in keys {
                let of_table = left.entry((*table).to_owned()).or_default();
                of_table.push(attributes(key.clone()));
            }
            for n in 0..MOST_TRIES {
                if n > 0 {
                    jitter(n).await;
                }
                left = self.batch_get_some(left, &mut found).await?;
                if left.is_empty() {
                    break;
                }
            }
            if !left.is_empty() {
                return Err(RetryableError::Away {
                    service: DYNAMODB,
                    cause: "keys left unread".to_owned(),
                    retry_after: None,
                });
            }
        }
        Ok(found)
    }

    /// One call for the keys by table. Returns the keys that DynamoDB left unread.
    async fn batch_get_some(
        &self,
        keys: HashMap<String, Vec<Attributes>>,
        found: &mut HashMap<String, Vec<Attributes>>,
    ) -> Result<HashMap<String, Vec<Attributes>>, RetryableError> {
        let mut batch = self.dynamodb.batch_get_item();
        for (table, keys) in keys {
            let of_table = KeysAndAttributes::builder().set_keys(Some(keys));
            let of_table = of_table.consistent_read(true).build();
            batch = batch.request_items(table, of_table.map_err(|error| unbuildable(&error))?);
        }
        let answer = batch.send().await;
        let answer = answer.map_err(|error| classified(DYNAMODB, &error))?;
        for (table, items) in answer.responses.into_iter().flatten() {
            found.entry(table).or_default().extend(items);
        }
        let unread = answer.unprocessed_keys.into_iter().flatten();
        Ok(unread.map(|(table, unread)| (table, unread.keys)).collect())
    }
}
