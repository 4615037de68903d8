//! The ports that only operators use: stock counts, searches for orders, and corrections of an order.

use crate::{
    ports::Changed,
    sale::{
        counter_change::CounterChange,
        mapping::{Grant, MappingKey},
        order::Order,
        stock::Movement,
    },
    values::{
        ids::{OrderId, Sku},
        note::Noted,
        outcome::RetryableError,
    },
};
use jiff::{Timestamp, civil::Date};

/// The new content of a mapping row.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct MapTo {
    /// The SKU that is counted.
    pub sku: Option<Sku>,
    /// True if nothing is counted.
    pub untracked: bool,
    /// The access that each unit gives.
    pub grants: Option<Grant>,
}

/// The operators' actions on the Stock table.
pub trait StockAdmin: Send + Sync {
    /// The movements of a SKU, strongly consistent, `most` at most, in the order of their orders' ids.
    fn movements(
        &self,
        sku: &Sku,
        most: usize,
    ) -> impl Future<Output = Result<Vec<Movement>, RetryableError>> + Send;
    /// Sets a counter if it is still as before the change, and keeps the change beside it: both, or neither. A kept
    /// change of the same SKU and microsecond refuses it too.
    fn change_counter(
        &self,
        change: &CounterChange,
    ) -> impl Future<Output = Result<Changed, RetryableError>> + Send;
    /// The latest changes of a SKU's counter by hand, strongly consistent, newest first, `most` at most.
    fn counter_changes(
        &self,
        sku: &Sku,
        most: usize,
    ) -> impl Future<Output = Result<Vec<CounterChange>, RetryableError>> + Send;
    /// Replaces the mapping row of a product or a price.
    fn put_mapping(
        &self,
        of: &MappingKey,
        to: &MapTo,
    ) -> impl Future<Output = Result<(), RetryableError>> + Send;
}

/// The orders of one day that were placed at a time of this range.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PlacedOn {
    /// In UTC; see [`Order::placed_day`].
    pub day: Date,
    pub since: Timestamp,
    /// The end of the range, which is not part of it.
    pub before: Timestamp,
    /// The last order of the page before.
    pub after: Option<OrderPlace>,
}

/// The place of an order in the index by day.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OrderPlace {
    pub order_id: OrderId,
    pub placed_at: Timestamp,
}

/// One page of the orders of a day, newest first.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PlacedPage {
    pub orders: Vec<Order>,
    /// The start of the next page; `None` at the end of the day.
    pub next: Option<OrderPlace>,
}

/// The operators' searches for orders, and the corrections of one.
pub trait OrderSearch: Send + Sync {
    /// The orders under a merchant's reference, paid or not, by an index that may lag behind the table; `most` at most.
    fn orders_under(
        &self,
        reference: &str,
        most: usize,
    ) -> impl Future<Output = Result<Vec<OrderId>, RetryableError>> + Send;
    /// Reads a bounded number of orders of one day, newest first, by an index that may lag behind the table.
    fn placed_orders(
        &self,
        of: &PlacedOn,
    ) -> impl Future<Output = Result<PlacedPage, RetryableError>> + Send;
    /// Replaces the address of an order and adds a note, guarded by the version that was read.
    fn correct_address(
        &self,
        seen: &Order,
        email: &str,
        note: &Noted,
    ) -> impl Future<Output = Result<Changed, RetryableError>> + Send;
}
