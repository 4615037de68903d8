//! Counts, arrivals and mapping of stock.
//!
//! Every change of a counter is a difference, written only if the counter is as read. A sale between the reading and the
//! write changes the counter and not the difference, so the change is planned again and stays right. Each change is kept
//! beside its counter: [`history`] shows it.

pub mod history;
pub mod plan;

use crate::{MOST_PAGES, TRIES, endless, note::Note};
use domain::{
    ports::{Changed, Shortfalls, StockLevels, admin::StockAdmin},
    sale::{
        counter_change::{ChangeKind, CounterChange},
        stock::{Counter, Movement},
    },
    values::{ids::Sku, outcome::RetryableError},
};
use jiff::{SignedDuration, Timestamp};
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

/// A wanted change of one counter.
#[derive(Debug, Clone, Copy)]
pub struct Adjustment<'a> {
    pub sku: &'a Sku,
    /// The counter as the plan read it; `None` if there was none.
    pub seen: Option<i64>,
    /// The counter after the change.
    pub to: i64,
    pub kind: ChangeKind,
    /// When the units were counted; `None` for units that arrived.
    pub counted_at: Option<Timestamp>,
    pub note: &'a Note,
}

impl Adjustment<'_> {
    /// The change as the row beside the counter keeps it. Each attempt has another microsecond, because a change may
    /// have the first one already.
    fn change(&self, before: Option<i64>, after: i64, attempt: u32) -> CounterChange {
        let later = SignedDuration::from_micros(attempt.into());
        let at = self.note.at();
        CounterChange {
            sku: self.sku.clone(),
            kind: self.kind,
            before,
            after,
            counted_at: self.counted_at,
            at: at.saturating_add(later).unwrap_or(at),
            by: self.note.by().to_owned(),
            why: self.note.why().to_owned(),
        }
    }
}

/// Changes a counter by the difference between `to` and `seen`, or creates it with `to`.
pub async fn adjust(
    stock: &(impl StockAdmin + Shortfalls),
    wanted: Adjustment<'_>,
) -> Result<Adjusted, RetryableError> {
    let Adjustment { sku, seen, to, .. } = wanted;
    let Some(mut from) = seen else {
        let change = wanted.change(None, to, 0);
        return Ok(match stock.change_counter(&change).await? {
            Changed::Now => Adjusted::Now { from: None, to },
            Changed::Raced => Adjusted::Changed,
        });
    };
    let difference = to.saturating_sub(from);
    if difference == 0 {
        return Ok(Adjusted::Unchanged(to));
    }
    for attempt in 0..TRIES {
        let to = from.saturating_add(difference);
        let change = wanted.change(Some(from), to, attempt);
        if stock.change_counter(&change).await? == Changed::Now {
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

/// The movements of a SKU, by their orders' ids.
pub async fn movements(
    stock: &impl StockAdmin,
    sku: &Sku,
) -> Result<Vec<Movement>, RetryableError> {
    stock.movements(sku, MOST_MOVEMENTS).await
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
