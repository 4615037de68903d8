//! The Resources table, with the key `resource_id` and the sparse indexes `list` and `sale`: a row for each thing that is
//! mirrored.
//!
//! The index attributes `list`, `listed_at` and `sale` are derived from the row, and so are a merchant's
//! `can_take_payments` and `missing`, for the shop's own application. This code does not read them from an item.

use crate::{
    guard::put_if,
    row::{self, Attributes, Key, attributes, text},
    store::{Store, page},
};
use aws_sdk_dynamodb::types::{AttributeValue, Put};
use domain::{
    fulfillment::read_set::{ReadSet, Snapshot},
    ports::{self, Changed, ResourcePage, ResourcePlace, SessionPage},
    resource::{
        Resource, ResourceId,
        checkout_session::{CheckoutSession, SessionSale},
    },
    values::{ids::CheckoutSessionId, outcome::RetryableError},
};
use jiff::Timestamp;
use serde::Deserialize;
use std::collections::BTreeMap;

const TABLE: &str = "Resources";
/// The index, and its key.
const LIST: &str = "list";
/// The index's sort key.
const LISTED_AT: &str = "listed_at";
/// The index by the sale of a session, and its key.
const SALE: &str = "sale";
/// The number of rows of a page: as many as one call can get by key.
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
        let (resources, more) = page::<Resource>(TABLE, query).await?;
        let end = resources.last().filter(|_| more.is_some());
        let next = end.and_then(|row| Some((row.id(), row.list()?.1)));
        let next = next.map(|(id, listed_at)| ResourcePlace { id, listed_at });
        Ok(ResourcePage { resources, next })
    }
}

/// An item's key.
#[derive(Deserialize)]
struct ItemKey {
    resource_id: String,
}

impl ItemKey {
    fn id(&self) -> Result<ResourceId, RetryableError> {
        let bad = |bad| RetryableError::Fault(format!("a key of {TABLE} is not understood: {bad}"));
        self.resource_id.parse().map_err(bad)
    }
}

impl ports::ResourceAdmin for Store {
    async fn sessions_of(
        &self,
        sale: &SessionSale,
        after: Option<&CheckoutSessionId>,
    ) -> Result<SessionPage, RetryableError> {
        let start = after.map(|after| {
            let mut start = key(&ResourceId::CheckoutSession(after.clone()));
            start.insert(SALE, sale.to_string());
            attributes(start)
        });
        let query = self
            .dynamodb
            .query()
            .table_name(&self.tables.resources)
            .index_name(SALE)
            .key_condition_expression("#sale = :sale")
            .expression_attribute_names("#sale", SALE)
            .expression_attribute_values(":sale", text(sale.to_string()))
            .limit(ROWS_A_PAGE)
            .set_exclusive_start_key(start);
        let (keys, next) = page::<ItemKey>(TABLE, query).await?;
        let ids = keys.iter().map(ItemKey::id);
        let sessions = self.sessions(&ids.collect::<Result<Vec<_>, _>>()?).await?;
        let next = next.map(|key| row::from_item::<ItemKey>(TABLE, key)?.id());
        let next = match next.transpose()? {
            Some(ResourceId::CheckoutSession(id)) => Some(id),
            _ => None,
        };
        Ok(SessionPage { sessions, next })
    }

    async fn erase_session(&self, seen: &CheckoutSession) -> Result<Changed, RetryableError> {
        let erased = Resource::CheckoutSession(Box::new(seen.erased())).next();
        put_if(&self.dynamodb, put(&self.tables.resources, &erased)?).await
    }
}

impl Store {
    /// The sessions among these things.
    async fn sessions(&self, ids: &[ResourceId]) -> Result<Vec<CheckoutSession>, RetryableError> {
        let keys = ids.iter().map(key);
        let mut sessions = Vec::new();
        for item in self.items(&self.tables.resources, keys).await? {
            if let Resource::CheckoutSession(row) = row::from_item(TABLE, item)? {
                sessions.push(*row);
            }
        }
        Ok(sessions)
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
    if let Resource::CheckoutSession(session) = resource {
        let sale = session.sale();
        item.extend(sale.map(|sale| (SALE.to_owned(), text(sale.to_string()))));
    }
    if let Resource::Merchant(merchant) = resource {
        let can = AttributeValue::Bool(merchant.can_take_payments());
        let missing = merchant.missing().into_iter().map(text).collect();
        item.insert("can_take_payments".to_owned(), can);
        item.insert("missing".to_owned(), AttributeValue::L(missing));
    }
    row::versioned(table, key(&resource.id()), item, resource.version())
}
