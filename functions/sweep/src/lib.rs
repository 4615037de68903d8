//! Sweep requeues overdue rows, queues mails on their day, and measures the open rows.
//!
//! For each row, sweep first notes on the row that it queues it, then queues it. Only one of two concurrent runs can
//! write the note, so only one message is sent. A run that could queue but not note would queue the same rows every time.
//! If a run stops between the two steps, the row is due again hours later. If the queue does not answer, sweep removes
//! the note.
//!
//! A row gets one message per interval ([`domain::upkeep::sweep::interval`]), and one more for each lost answer of the
//! queue. Extra messages do no harm: fulfillment and receipts ignore finished work.

pub mod config;
mod log;
mod shortfalls;

use crate::shortfalls::Filled;
use domain::{
    delivery::{
        job::{FulfillmentJob, Job, ReceiptJob},
        stored_event::EventState,
    },
    ports::{
        Answering, Backlogs, Clock, DeadLetters, OpenRows, Orders, Queue, Reserved, Shortfalls,
    },
    receipt::ReceiptStatus,
    sale::restock::RestockPolicy,
    upkeep::sweep::{
        Backlog, BacklogItem, Due, EventBacklog, Gauges, MOST_COUNTED, ReceiptBacklog,
        UNFULFILLED_AT, before, is_stalled, oldest_seconds, picked,
    },
    values::{
        ids::{EventId, ReceiptId},
        outcome::RetryableError,
    },
};
use futures_util::future::{join_all, try_join_all};
use jiff::{Timestamp, ToSpan, civil::Date, tz::Offset};
use std::{sync::Arc, time::Duration};

/// The number of days back that a run looks for mails with a day. A mail may miss its day because of an outage or too
/// many due mails; late is better than never.
pub const DAYS_BACK: i64 = 3;
/// The number of rows of a kind that are worked on at the same time.
const AT_ONCE: usize = 10;
/// After this many failed rows, a run leaves the rest of the kind to the next run. One bad row must not stop the run; an
/// unavailable service stops it soon.
const MOST_FAILURES: usize = 10;

/// The limits of a run, for each kind: stored, committed, unsent, leased, due.
#[derive(Debug, Clone, Copy)]
pub struct Limits {
    /// Rows read from each backlog.
    pub listed: usize,
    /// Rows tried. Each try is a conditional write, which is refused if the row is not due.
    pub tried: usize,
    pub queued: usize,
    /// The function has a minute; the rest is for the last rows and the log.
    pub lasts: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            listed: 100_000,
            tried: 5_000,
            queued: 500,
            lasts: Duration::from_secs(40),
        }
    }
}

/// Sweep over a store `S` and dead-letter queues `D`.
#[derive(Debug)]
pub struct Sweep<S, D> {
    pub store: S,
    /// Every dead-letter queue.
    pub dead_letters: [D; 3],
    pub clock: Arc<dyn Clock>,
    pub limits: Limits,
    /// The refunds that put goods back in stock: what they put back is not missing.
    pub restock: RestockPolicy,
}

/// The result of a run: the number of requeued rows of each kind, and more.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Swept {
    pub stored: usize,
    pub committed: usize,
    pub unsent: usize,
    pub leased: usize,
    pub due: usize,
    /// The filled shortfalls.
    pub filled: usize,
    /// The requeued rows that were queued before without effect and are long overdue.
    pub stalled: usize,
    /// The id of the event or receipt that is overdue longest of its kind.
    pub longest: Option<String>,
    /// A limit stopped the run; the next run continues.
    pub more: bool,
}

/// The result of a run for one kind.
#[derive(Debug, Default)]
struct Part {
    queued: usize,
    stalled: usize,
    longest: Option<String>,
    more: bool,
    failures: usize,
    failed: Option<RetryableError>,
}

/// The ports of sweep's store.
pub trait SweepStore:
    Backlogs<EventBacklog>
    + Backlogs<ReceiptBacklog>
    + OpenRows
    + Orders
    + Shortfalls
    + Queue<FulfillmentJob>
    + Queue<ReceiptJob>
{
}

impl<S> SweepStore for S where
    S: Backlogs<EventBacklog>
        + Backlogs<ReceiptBacklog>
        + OpenRows
        + Orders
        + Shortfalls
        + Queue<FulfillmentJob>
        + Queue<ReceiptJob>
{
}

impl<S: SweepStore, D: DeadLetters> Sweep<S, D> {
    /// Requeues rows and measures the gauges, with one log line for each. A failure of one kind, row or gauge does not
    /// stop the others; the run fails at its end.
    pub async fn run(&self) -> Result<Swept, RetryableError> {
        let started_at = self.clock.now();
        // Concurrently, because neither may delay the other.
        // The depth of nested futures is limited.
        let fills: Answering<'_, Filled> = Box::pin(self.fill_shortfalls(started_at));
        let ((mut swept, failed), (gauges, unknown), shortfalls) =
            futures_util::join!(self.sweep(started_at), self.measure(started_at), fills);
        swept.filled = shortfalls.filled;
        let failed = failed.or(shortfalls.failed);
        log::log_gauges(&gauges, unknown.as_ref());
        log::log(
            &swept,
            failed.as_ref(),
            self.clock.now().duration_since(started_at),
        );
        failed.or(unknown).map_or(Ok(swept), Err)
    }

    /// Measures the gauges. The error is the first reason why a gauge is unknown.
    pub async fn measure(&self, now: Timestamp) -> (Gauges, Option<RetryableError>) {
        let events = |state| self.store.count_events(state, MOST_COUNTED);
        let receipts = |status| self.store.count_receipts(status, MOST_COUNTED);
        let oldest = UNFULFILLED_AT.map(|state| self.store.oldest_sale(state, MOST_COUNTED));
        let (stored, parked, held, failed, since, depths) = futures_util::join!(
            events(EventState::Stored),
            events(EventState::Parked),
            receipts(ReceiptStatus::Held),
            receipts(ReceiptStatus::Failed),
            try_join_all(oldest),
            try_join_all(self.dead_letters.iter().map(DeadLetters::depth)),
        );
        let mut unknown = None;
        let oldest_unfulfilled_seconds =
            known(since, &mut unknown).map(|since| oldest_seconds(since, now));
        let mut count = |counted| known(counted, &mut unknown).map(|count| count as u64);
        let (stored, parked, held, failed) =
            (count(stored), count(parked), count(held), count(failed));
        let dead_letters = known(depths, &mut unknown).map(|depths| depths.iter().sum());
        (
            Gauges {
                oldest_unfulfilled_seconds,
                stored,
                parked,
                held,
                failed,
                dead_letters,
            },
            unknown,
        )
    }

    async fn sweep(&self, now: Timestamp) -> (Swept, Option<RetryableError>) {
        let event = |id: &EventId| FulfillmentJob::V1 {
            event_id: id.clone(),
        };
        let receipt = |id: &ReceiptId| ReceiptJob::V1 {
            receipt_id: id.clone(),
        };
        let events = |place| self.kind(vec![place], event, now);
        let receipts = |places| self.kind(places, receipt, now);
        // Concurrently: a kind with many rows must not use the time of the others.
        let (stored, committed, unsent, leased, due) = futures_util::join!(
            events(EventBacklog::Stored),
            events(EventBacklog::Committed),
            receipts(vec![ReceiptBacklog::Unsent]),
            receipts(vec![ReceiptBacklog::Leased]),
            receipts(days(now).map(ReceiptBacklog::Due).collect()),
        );
        let mut swept = Swept {
            stored: stored.queued,
            committed: committed.queued,
            unsent: unsent.queued,
            leased: leased.queued,
            due: due.queued,
            ..Swept::default()
        };
        let mut all = Part::default();
        for part in [stored, committed, unsent, leased, due] {
            all.add(part);
        }
        (swept.stalled, swept.longest, swept.more) = (all.stalled, all.longest, all.more);
        (swept, all.failed)
    }

    /// Requeues rows of one kind. The limits are for all of its backlogs together.
    async fn kind<B: Backlog, J: Job>(
        &self,
        backlogs: Vec<B>,
        job: impl Fn(&B::Id) -> J,
        now: Timestamp,
    ) -> Part
    where
        S: Backlogs<B> + Queue<J>,
    {
        let limits = self.limits;
        let ends_at = now.saturating_add(limits.lasts).unwrap_or(Timestamp::MAX);
        let mut part = Part::default();
        let overdue = self.overdue(backlogs, now, &mut part).await;
        part.more |= overdue.len() > limits.tried;
        let mut left = picked(overdue.len(), limits.tried, limits.queued, now)
            .filter_map(|n| overdue.get(n))
            .peekable();
        while left.peek().is_some() {
            let may_queue = limits.queued.saturating_sub(part.queued);
            if may_queue == 0 || part.failures >= MOST_FAILURES || self.clock.now() >= ends_at {
                part.more = true;
                break;
            }
            let some = left.by_ref().take(AT_ONCE.min(may_queue));
            let requeued = some.map(|(backlog, row)| {
                let job = job(&row.id);
                async move {
                    let reserved = requeue(&self.store, *backlog, row, &job, now).await;
                    (*backlog, row, reserved)
                }
            });
            for (backlog, row, reserved) in join_all(requeued).await {
                part.count(backlog, row, reserved, now);
            }
        }
        part
    }

    async fn overdue<B: Backlog>(
        &self,
        backlogs: Vec<B>,
        now: Timestamp,
        part: &mut Part,
    ) -> Vec<(B, BacklogItem<B::Id>)>
    where
        S: Backlogs<B>,
    {
        let mut overdue = Vec::new();
        for backlog in backlogs {
            let until = before(now, backlog.rest());
            let found =
                Backlogs::<B>::overdue(&self.store, backlog, until, self.limits.listed).await;
            match found {
                Ok(rows) => {
                    part.more |= rows.len() >= self.limits.listed;
                    overdue.extend(rows.into_iter().map(|row| (backlog, row)));
                }
                Err(error) => _ = part.failed.get_or_insert(error),
            }
        }
        overdue
    }
}

/// The measured value; on a failure the first reason is kept.
fn known<T>(
    measured: Result<T, RetryableError>,
    unknown: &mut Option<RetryableError>,
) -> Option<T> {
    measured
        .map_err(|error| _ = unknown.get_or_insert(error))
        .ok()
}

/// Queues a row if it is due.
async fn requeue<B: Backlog, J: Job>(
    store: &(impl Backlogs<B> + Queue<J>),
    backlog: B,
    row: &BacklogItem<B::Id>,
    job: &J,
    now: Timestamp,
) -> Result<Reserved, RetryableError> {
    let due = Due::of(backlog, backlog.overdue_since(row.since), now);
    let (failed, before) = match store.take(backlog, &row.id, &due).await {
        Ok(Reserved::NotNow) => return Ok(Reserved::NotNow),
        Ok(Reserved::Now { before }) => match store.send(job).await {
            Ok(()) => return Ok(Reserved::Now { before }),
            Err(error) => (error, before),
        },
        // The note may be on the row, and the answer with the earlier note is lost.
        Err(error) => (error, None),
    };
    // If this fails too, the row is due hours later.
    let _ = store.give_back(backlog, &row.id, due.now, before).await;
    Err(failed)
}

impl Part {
    fn count<B: Backlog>(
        &mut self,
        backlog: B,
        row: &BacklogItem<B::Id>,
        reserved: Result<Reserved, RetryableError>,
        now: Timestamp,
    ) {
        match reserved {
            Ok(Reserved::NotNow) => {}
            Ok(Reserved::Now { before }) => {
                self.queued += 1;
                if is_stalled(
                    now.duration_since(backlog.overdue_since(row.since)),
                    before.is_some(),
                ) {
                    self.stalled += 1;
                    self.longest.get_or_insert_with(|| row.id.to_string());
                }
            }
            Err(error) => {
                self.failures += 1;
                self.failed.get_or_insert(error);
            }
        }
    }

    fn add(&mut self, other: Self) {
        self.queued += other.queued;
        self.stalled += other.stalled;
        self.longest = self.longest.take().or(other.longest);
        self.more |= other.more;
        self.failures += other.failures;
        self.failed = self.failed.take().or(other.failed);
    }
}

/// The days that a run looks at, oldest first.
fn days(now: Timestamp) -> impl Iterator<Item = Date> {
    let today = Offset::UTC.to_datetime(now).date();
    (0..=DAYS_BACK)
        .rev()
        .map(move |back| today.saturating_sub(back.days()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_run_looks_at_today_and_the_three_days_before_by_universal_time() {
        let days = |now: &str| {
            days(now.parse().unwrap())
                .map(|day| day.to_string())
                .collect::<Vec<_>>()
        };
        let expected = ["2026-02-26", "2026-02-27", "2026-02-28", "2026-03-01"];
        assert_eq!(days("2026-03-01T00:00:00Z"), expected);
        assert_eq!(days("2026-03-01T23:59:59Z"), expected);
        // Elsewhere it is the second of March already; the days of due mails are those of universal time.
        assert_eq!(days("2026-03-02T00:30:00+09:00"), expected);
    }
}
