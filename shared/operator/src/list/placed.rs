//! Lists orders by the time of their sale, newest first, by reading days of an index.

use domain::{
    ports::admin::{OrderPlace, OrderSearch, PlacedOn},
    sale::order::Order,
    values::outcome::RetryableError,
};
use jiff::{Timestamp, ToSpan, civil::Date, tz::Offset};

/// The bounds of a search.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PlacedSearch {
    pub since: Timestamp,
    /// The end of the range, which is not part of it.
    pub before: Timestamp,
    /// The most reads of the index. A day needs one at least, also a day without orders.
    pub reads: usize,
    /// The number of orders after which the search stops. Orders of one second are never separated, so there can be
    /// more.
    pub most: usize,
}

/// The result of a search.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PlacedOrders {
    /// Newest first.
    pub orders: Vec<Order>,
    /// The number of orders that were read.
    pub read: usize,
    /// The end of the range that was not searched; `None` if all of it was. A next search starts `before` it.
    pub stopped_at: Option<Timestamp>,
}

/// Searches the orders that were placed in a range. `progress` gets the number of orders after each read, and stops the
/// search with true.
pub async fn placed(
    orders: &impl OrderSearch,
    search: &PlacedSearch,
    is_wanted: &(dyn Fn(&Order) -> bool + Sync),
    progress: &mut (dyn FnMut(usize) -> bool + Send),
) -> Result<PlacedOrders, RetryableError> {
    let mut found = PlacedOrders {
        orders: Vec::new(),
        read: 0,
        stopped_at: Some(search.before),
    };
    // The end is no part of the range: at midnight the range ends with the day before.
    let last = search.before.saturating_sub(1.nanosecond());
    let mut of = PlacedOn {
        day: day_of(last.unwrap_or(search.before)),
        since: search.since,
        before: search.before,
        after: None,
    };
    for _ in 0..search.reads {
        let page = orders.placed_orders(&of).await?;
        if found.add_until_full(page.orders, search.most, is_wanted) {
            return Ok(found);
        }
        if page.next.is_none() && of.day <= day_of(search.since) {
            found.stopped_at = None;
            return Ok(found);
        }
        found.stopped_at = Some(end_of_read(of.day, page.next.as_ref()));
        if page.next.is_none() {
            of.day = of.day.saturating_sub(1.day());
        }
        of.after = page.next;
        if progress(found.read) {
            break;
        }
    }
    Ok(found)
}

impl PlacedOrders {
    /// Adds the wanted orders of a page. True if it stops in the page, because there are enough.
    fn add_until_full(
        &mut self,
        page: Vec<Order>,
        most: usize,
        is_wanted: &(dyn Fn(&Order) -> bool + Sync),
    ) -> bool {
        self.read += page.len();
        for order in page {
            // The rest of a second is found with its beginning.
            let last = self.orders.last().map(|last| last.placed_at);
            if self.orders.len() >= most && last != Some(order.placed_at) {
                self.stopped_at = last;
                return true;
            }
            if is_wanted(&order) {
                self.orders.push(order);
            }
        }
        false
    }
}

fn day_of(at: Timestamp) -> Date {
    Offset::UTC.to_datetime(at).date()
}

/// The end of the range that is still to be searched. A second that was read in part is searched again.
fn end_of_read(day: Date, next: Option<&OrderPlace>) -> Timestamp {
    let start_of_day = || Offset::UTC.to_timestamp(day.at(0, 0, 0, 0)).ok();
    let end = match next {
        Some(place) => place.placed_at.checked_add(1.second()).ok(),
        None => start_of_day(),
    };
    end.unwrap_or(Timestamp::UNIX_EPOCH)
}
