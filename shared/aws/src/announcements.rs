//! The Announcements table, with the key `batch_id` and the sparse index `open`.
//!
//! A batch of announcements is written in the transaction of its change. It is `open` until it is published; then it
//! has `expires_at` (TTL), so nothing unpublished expires.

use crate::{
    failure::{classified, unbuildable},
    guard::{guarded, update_of},
    row::{self, Attributes, Key, attributes, number, text},
    store::{DYNAMODB, Store, page},
};
use aws_sdk_dynamodb::{
    operation::update_item::builders::UpdateItemFluentBuilder,
    types::{Put, TransactWriteItem},
};
use domain::{
    announcement::Batch,
    ports::{self, BatchPage, BatchPlace, Changed},
    values::outcome::RetryableError,
};
use jiff::Timestamp;
use serde::Deserialize;

const TABLE: &str = "Announcements";
/// The key of the index.
const OPEN: &str = "unpublished";
/// The number of rows that a search reads in one call.
const ROWS_A_PAGE: i32 = 500;

fn key(id: &str) -> Key {
    Key::from([("batch_id", id.to_owned())])
}

/// An item's attributes in the index.
#[derive(Deserialize)]
struct Place {
    batch_id: String,
    place: i64,
}

impl From<Place> for BatchPlace {
    fn from(Place { batch_id, place }: Place) -> Self {
        Self { place, batch_id }
    }
}

/// The action that writes a batch. Its id has a version of its thing, which the same transaction guards.
fn put(table: &str, batch: &Batch) -> Result<Put, RetryableError> {
    let mut item = row::item(TABLE, batch)?;
    item.insert("open".to_owned(), text(OPEN));
    let put = Put::builder().table_name(table).set_item(Some(item));
    put.build().map_err(|error| unbuildable(&error))
}

impl Store {
    /// The action that writes a batch, if there is one.
    pub(crate) fn announce(
        &self,
        batch: Option<&Batch>,
    ) -> Result<Option<TransactWriteItem>, RetryableError> {
        let put = batch.map(|batch| put(&self.tables.announcements, batch));
        let put = put.transpose()?;
        Ok(put.map(|put| TransactWriteItem::builder().put(put).build()))
    }

    /// Sends an update, together with its batch of announcements if it has one. A failed condition is a result.
    pub(crate) async fn guarded_with(
        &self,
        update: UpdateItemFluentBuilder,
        announced: Option<&Batch>,
    ) -> Result<Changed, RetryableError> {
        let Some(announce) = self.announce(announced)? else {
            return guarded(update).await;
        };
        self.change(vec![update_of(&update)?, announce]).await
    }
}

impl ports::Announcements for Store {
    async fn unpublished(
        &self,
        until: Timestamp,
        after: Option<&BatchPlace>,
        most: usize,
    ) -> Result<Vec<BatchPlace>, RetryableError> {
        let start = after.map(|after| {
            let mut start = attributes(key(&after.batch_id));
            start.insert("open".to_owned(), text(OPEN));
            start.insert("place".to_owned(), number(after.place));
            start
        });
        let query = self
            .dynamodb
            .query()
            .table_name(&self.tables.announcements)
            .index_name("open")
            .key_condition_expression("#open = :open AND #place <= :until")
            .expression_attribute_names("#open", "open")
            .expression_attribute_names("#place", "place")
            .expression_attribute_values(":open", text(OPEN))
            .expression_attribute_values(":until", number(until.as_microsecond()))
            .limit(i32::try_from(most).unwrap_or(i32::MAX))
            .set_exclusive_start_key(start);
        let (places, _) = page::<Place>(TABLE, query).await?;
        Ok(places.into_iter().map(BatchPlace::from).collect())
    }

    async fn unpublished_batch(&self, id: &str) -> Result<Option<Batch>, RetryableError> {
        let item = self.item(&self.tables.announcements, key(id)).await?;
        let item = item.filter(|item: &Attributes| item.contains_key("open"));
        item.map(|item| row::from_item(TABLE, item)).transpose()
    }

    async fn mark_published(&self, id: &str, now: Timestamp) -> Result<(), RetryableError> {
        let expiry = crate::events::expiry(now, self.retention);
        let update = self
            .update(&self.tables.announcements, key(id))
            .update_expression("SET expires_at = :expiry REMOVE #open")
            .condition_expression("attribute_exists(#open)")
            .expression_attribute_names("#open", "open")
            .expression_attribute_values(":expiry", number(expiry));
        guarded(update).await.map(drop)
    }
}

impl ports::AnnouncementAdmin for Store {
    async fn published_since(
        &self,
        since: Timestamp,
        after: Option<&str>,
    ) -> Result<BatchPage, RetryableError> {
        let scan = self
            .dynamodb
            .scan()
            .table_name(&self.tables.announcements)
            .limit(ROWS_A_PAGE)
            .set_exclusive_start_key(after.map(|id| attributes(key(id))))
            .filter_expression("#place >= :since AND attribute_not_exists(#open)")
            .projection_expression("batch_id, #place")
            .expression_attribute_names("#place", "place")
            .expression_attribute_names("#open", "open")
            .expression_attribute_values(":since", number(since.as_microsecond()));
        let found = scan.send().await;
        let found = found.map_err(|error| classified(DYNAMODB, &error))?;
        let items = found.items.unwrap_or_default().into_iter();
        let place = |item| row::from_item::<Place>(TABLE, item).map(BatchPlace::from);
        let next = found.last_evaluated_key.and_then(|key| {
            let id = key.get("batch_id")?.as_s().ok()?;
            Some(id.clone())
        });
        Ok(BatchPage {
            batches: items.map(place).collect::<Result<_, _>>()?,
            next,
        })
    }

    async fn publish_again(&self, id: &str) -> Result<Changed, RetryableError> {
        let update = self
            .update(&self.tables.announcements, key(id))
            .update_expression("SET #open = :open REMOVE expires_at")
            .condition_expression("attribute_exists(batch_id) AND attribute_not_exists(#open)")
            .expression_attribute_names("#open", "open")
            .expression_attribute_values(":open", text(OPEN));
        guarded(update).await
    }
}
