//! Counts, arrivals and mapping of stock.
//!
//! Every change of a counter is a difference, written only if the counter is as read. A sale between the reading and the
//! write changes the counter and not the difference, so the change is planned again and stays right.

pub mod plan;

use crate::{MOST_PAGES, TRIES, endless};
use domain::{
    ports::{Changed, Shortfalls, StockLevels, admin::StockAdmin},
    sale::stock::{Counter, Movement},
    values::{ids::Sku, outcome::RetryableError},
};
use std::fmt;

/// The most movements that are read for one SKU.
pub const MOST_MOVEMENTS: usize = 10_000;

/// The result of a change of one counter.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Adjusted {
    Now {
        from: Option<i64>,
        to: i64,
    },
    /// The counter has the wanted value already.
    Unchanged(i64),
    /// The counter appeared or vanished since the plan was made: plan again.
    Changed,
    /// Other writers changed it on every attempt.
    Contended,
    /// The write was refused, and the counter has the wanted value: an earlier attempt may have written it.
    Unclear(i64),
}

/// Changes a counter by the difference between `to` and `seen`, or creates it with `to`.
pub async fn adjust(
    stock: &(impl StockAdmin + Shortfalls),
    sku: &Sku,
    seen: Option<i64>,
    to: i64,
) -> Result<Adjusted, RetryableError> {
    let Some(mut from) = seen else {
        return Ok(match stock.set_counter(sku, None, to).await? {
            Changed::Now => Adjusted::Now { from: None, to },
            Changed::Raced => Adjusted::Changed,
        });
    };
    let difference = to.saturating_sub(from);
    if difference == 0 {
        return Ok(Adjusted::Unchanged(to));
    }
    for _ in 0..TRIES {
        let to = from.saturating_add(difference);
        if stock.set_counter(sku, Some(from), to).await? == Changed::Now {
            return Ok(Adjusted::Now {
                from: Some(from),
                to,
            });
        }
        let Some(now) = counter(stock, sku).await? else {
            return Ok(Adjusted::Changed);
        };
        if now == to {
            return Ok(Adjusted::Unclear(now));
        }
        from = now;
    }
    Ok(Adjusted::Contended)
}

/// The counter of a SKU, strongly consistent.
pub async fn counter(stock: &impl Shortfalls, sku: &Sku) -> Result<Option<i64>, RetryableError> {
    let mut found = stock.counters(std::slice::from_ref(sku)).await?;
    Ok(found.remove(sku))
}

/// All counters, by SKU. `progress` gets their number after each page. The whole table is read.
pub async fn counters(
    stock: &impl StockLevels,
    progress: &mut (dyn FnMut(usize) + Send),
) -> Result<Vec<Counter>, RetryableError> {
    let (mut all, mut after) = (Vec::new(), None);
    for _ in 0..MOST_PAGES {
        let page = stock.counter_page(after.as_ref()).await?;
        all.extend(page.counters);
        progress(all.len());
        after = page.next;
        if after.is_none() {
            all.sort_by(|a: &Counter, b| a.sku.cmp(&b.sku));
            return Ok(all);
        }
    }
    Err(endless("Stock"))
}

/// The movements of a SKU, oldest first.
pub async fn history(stock: &impl StockAdmin, sku: &Sku) -> Result<Vec<Movement>, RetryableError> {
    let mut movements = stock.movements(sku, MOST_MOVEMENTS).await?;
    movements.sort_by(|a, b| (a.moved_at, &a.order_id).cmp(&(b.moved_at, &b.order_id)));
    Ok(movements)
}

impl fmt::Display for Adjusted {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Now {
                from: Some(from),
                to,
            } => write!(f, "{from} -> {to}"),
            Self::Now { from: None, to } => write!(f, "new counter, {to}"),
            Self::Unchanged(now) => write!(f, "unchanged, {now}"),
            Self::Changed => f.write_str("not written: a counter was added or removed meanwhile"),
            Self::Contended => f.write_str("not written: other writers change it too often"),
            Self::Unclear(now) => {
                write!(f, "unclear: it is {now} now; check it before you try again")
            }
        }
    }
}
