//! The Resources table, with the key `resource_id` and the sparse index `list`: a row for each thing that is mirrored.
//!
//! The index attributes `list` and `listed_at` are derived from the row. This code does not read them from an item.

use crate::{
    failure::classified,
    row::{self, Attributes, Key, attributes, text},
    store::{DYNAMODB, Store},
};
use aws_sdk_dynamodb::types::Put;
use domain::{
    fulfillment::read_set::{ReadSet, Snapshot},
    ports::{self, ResourcePage, ResourcePlace},
    resource::{Resource, ResourceId},
    values::outcome::RetryableError,
};
use jiff::Timestamp;
use std::collections::BTreeMap;

const TABLE: &str = "Resources";
/// The index, and its key.
const LIST: &str = "list";
/// The index's sort key.
const LISTED_AT: &str = "listed_at";
/// The number of rows of a page.
const ROWS_A_PAGE: i32 = 100;

impl ports::ResourceLists for Store {
    async fn resource(&self, id: &ResourceId) -> Result<Option<Resource>, RetryableError> {
        self.row((TABLE, &self.tables.resources), key(id)).await
    }

    async fn listed(
        &self,
        list: &str,
        before: Option<Timestamp>,
        after: Option<&ResourcePlace>,
    ) -> Result<ResourcePage, RetryableError> {
        let before = before.map_or_else(|| "~".to_owned(), sortable);
        let start = after.map(|place| {
            let mut start = key(&place.id);
            start.insert(LIST, list.to_owned());
            start.insert(LISTED_AT, sortable(place.listed_at));
            attributes(start)
        });
        let query = self
            .dynamodb
            .query()
            .table_name(&self.tables.resources)
            .index_name(LIST)
            .key_condition_expression("#list = :list AND #at < :before")
            .expression_attribute_names("#list", LIST)
            .expression_attribute_names("#at", LISTED_AT)
            .expression_attribute_values(":list", text(list))
            .expression_attribute_values(":before", text(before))
            .limit(ROWS_A_PAGE)
            .set_exclusive_start_key(start);
        let found = query.send().await;
        let found = found.map_err(|error| classified(DYNAMODB, &error))?;
        let has_more = found.last_evaluated_key.is_some();
        let items = found.items.unwrap_or_default().into_iter();
        let rows = items.map(|item| row::from_item::<Resource>(TABLE, item));
        let resources: Vec<Resource> = rows.collect::<Result<_, _>>()?;
        let end = resources.last().filter(|_| has_more);
        let next = end.and_then(|row| Some((row.id(), row.list()?.1)));
        let next = next.map(|(id, listed_at)| ResourcePlace { id, listed_at });
        Ok(ResourcePage { resources, next })
    }
}

/// A text that sorts like the time.
fn sortable(at: Timestamp) -> String {
    at.strftime("%Y-%m-%dT%H:%M:%S.%9fZ").to_string()
}

fn key(id: &ResourceId) -> Key {
    Key::from([("resource_id", id.key())])
}

/// The keys to read.
pub(crate) fn keys(read_set: &ReadSet) -> Vec<Key> {
    read_set.resources.iter().map(key).collect()
}

/// Adds the items of [`keys`] to the snapshot.
pub(crate) fn found(items: Vec<Attributes>, rows: &mut Snapshot) -> Result<(), RetryableError> {
    let found = items.into_iter().map(|item| {
        let resource: Resource = row::from_item(TABLE, item)?;
        Ok((resource.id(), resource))
    });
    rows.resources = found.collect::<Result<BTreeMap<_, _>, RetryableError>>()?;
    Ok(())
}

/// The action that writes a row.
pub(crate) fn put(table: &str, resource: &Resource) -> Result<Put, RetryableError> {
    let mut item = row::item(TABLE, resource)?;
    if let Some((list, listed_at)) = resource.list() {
        item.insert(LIST.to_owned(), text(list));
        item.insert(LISTED_AT.to_owned(), text(sortable(listed_at)));
    }
    row::versioned(table, key(&resource.id()), item, resource.version())
}
