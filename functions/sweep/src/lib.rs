//! The edge of sweep: queues again what lies undone, queues the mails whose day has come, and measures what waits.
//!
//! For each row: note it on the row, then queue it. Noted first, since of two runs at once one wins the note and sends
//! the one message; and since a run that could queue and not note would queue the same rows at every turn. Stopped
//! between the two, the row has its next turn hours later, and nothing is lost; a queue that does not answer has the
//! note taken back. So a row has one message an interval ([`domain::upkeep::sweep::interval`]), one more for each time that a
//! queue's answer was lost, and none of them does harm: fulfillment and receipts leave alone what is done.

use domain::{
    delivery::{
        job::{FulfillmentJob, Job, ReceiptJob},
        stored_event::EventState,
    },
    ports::{Backlogs, Clock, DeadLetters, Queue, Reserved, Sales, Waiting},
    receipt::ReceiptStatus,
    upkeep::sweep::{
        self, Backlog, Due, EventBacklog, Gauges, MOST_COUNTED, ReceiptBacklog, UNFULFILLED_AT,
        before, is_stalled, oldest_seconds, picked,
    },
    values::{
        ids::{EventId, ReceiptId},
        outcome::RetryableError,
    },
};
use futures_util::future::{join_all, try_join_all};
use jiff::{SignedDuration, Timestamp, ToSpan, civil::Date, tz::Offset};
use std::time::Duration;

/// How many days back a run looks for mails of a day: one that was not queued on its day, because a service was away
/// or too many were due, is sent late rather than never.
pub const DAYS_BACK: i64 = 3;
/// How many rows of a kind are worked on at the same time.
const AT_ONCE: usize = 10;
/// So many rows may fail before a run leaves the rest of their kind to the next: one alone must not stop it, and a
/// service that is away stops it soon.
const MOST_FAILURES: usize = 10;

/// What a run does at most, of each kind: stored, committed, unsent, leased, due.
#[derive(Debug, Clone, Copy)]
pub struct Limits {
    /// Rows read of each place in the index.
    pub listed: usize,
    /// Rows tried: each is a conditional write, refused where it is not the row's turn.
    pub tried: usize,
    /// Rows queued.
    pub queued: usize,
    /// How long all of it lasts. The function's minute but for the last rows and the log.
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

/// What sweep needs of the world.
#[derive(Debug)]
pub struct Sweep<E, R, F, M, D, C> {
    /// The events.
    pub events: E,
    /// The receipts.
    pub receipts: R,
    /// Where events are fulfilled from.
    pub fulfillment_queue: F,
    /// Where mails are sent from.
    pub receipt_queue: M,
    /// Every queue of messages that were given up.
    pub dead_letters: [D; 3],
    /// The time.
    pub clock: C,
    /// What a run does at most.
    pub limits: Limits,
}

/// What a run came to.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Swept {
    /// How many events were queued that nothing was committed for.
    pub stored: usize,
    /// How many that are committed and were not passed on.
    pub committed: usize,
    /// How many receipts that are owed.
    pub unsent: usize,
    /// How many that somebody leased and left.
    pub leased: usize,
    /// How many mails whose day has come.
    pub due: usize,
    /// How many of all those were queued before, in vain, and are undone for long.
    pub stalled: usize,
    /// The one of them that is undone for longest of its kind: an event's or a receipt's id.
    pub longest: Option<String>,
    /// Whether a limit kept the run from some rows. The next one goes on with them.
    pub more: bool,
}

/// What a run came to with one kind.
#[derive(Debug, Default)]
struct Part {
    queued: usize,
    stalled: usize,
    longest: Option<String>,
    more: bool,
    failures: usize,
    failed: Option<RetryableError>,
}

impl<E, R, F, M, D, C> Sweep<E, R, F, M, D, C>
where
    E: Backlogs<EventBacklog> + Waiting<EventState> + Sales,
    R: Backlogs<ReceiptBacklog> + Waiting<ReceiptStatus>,
    F: Queue<FulfillmentJob>,
    M: Queue<ReceiptJob>,
    D: DeadLetters,
    C: Clock,
{
    /// Queues what is to be queued, measures what waits, and logs one line for each. A failure of one kind, one row or
    /// one gauge does not keep the others; the run fails at its end.
    pub async fn run(&self) -> Result<Swept, RetryableError> {
        let started_at = self.clock.now();
        // Side by side: gauges must not wait for a backlog, nor rows for a gauge that does not answer.
        let ((swept, failed), (gauges, unknown)) =
            futures_util::join!(self.sweep(started_at), self.measure(started_at));
        log_gauges(&gauges, unknown.as_ref());
        log(
            &swept,
            failed.as_ref(),
            self.clock.now().duration_since(started_at),
        );
        failed.or(unknown).map_or(Ok(swept), Err)
    }

    /// Measures what waits, and returns the first reason why a gauge is unknown.
    pub async fn measure(&self, now: Timestamp) -> (Gauges, Option<RetryableError>) {
        let events = |state| self.events.count(state, MOST_COUNTED);
        let receipts = |standing| self.receipts.count(standing, MOST_COUNTED);
        let oldest = UNFULFILLED_AT.map(|state| self.events.oldest_sale(state, MOST_COUNTED));
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
        let events = |place| {
            self.kind(
                &self.events,
                vec![place],
                &self.fulfillment_queue,
                event,
                now,
            )
        };
        let receipts =
            |places| self.kind(&self.receipts, places, &self.receipt_queue, receipt, now);
        // Side by side: a kind of which much lies there must not use up the time of the others.
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

    /// Queues what is of one kind, wherever it lies: the limits are those of all its places together.
    async fn kind<P: Backlog, U: Backlogs<P>, Q: Queue<J>, J: Job>(
        &self,
        rows: &U,
        places: Vec<P>,
        queue: &Q,
        job: impl Fn(&P::Id) -> J,
        now: Timestamp,
    ) -> Part {
        let Limits {
            listed,
            tried,
            queued,
            lasts,
        } = self.limits;
        let ends_at = now.saturating_add(lasts).unwrap_or(Timestamp::MAX);
        let mut part = Part::default();
        let mut overdue = Vec::new();
        for place in places {
            match rows.overdue(place, before(now, place.rest()), listed).await {
                Ok(there) => {
                    part.more |= there.len() >= listed;
                    overdue.extend(there.into_iter().map(|row| (place, row)));
                }
                Err(error) => _ = part.failed.get_or_insert(error),
            }
        }
        part.more |= overdue.len() > tried;
        let mut left = picked(overdue.len(), tried, queued, now)
            .filter_map(|n| overdue.get(n))
            .peekable();
        while left.peek().is_some() {
            let may_queue = queued.saturating_sub(part.queued);
            if may_queue == 0 || part.failures >= MOST_FAILURES || self.clock.now() >= ends_at {
                part.more = true;
                break;
            }
            let some = left.by_ref().take(AT_ONCE.min(may_queue));
            let again = some.map(|(place, row)| {
                let job = job(&row.id);
                async move {
                    (
                        *place,
                        row,
                        queue_again(rows, *place, row, queue, &job, now).await,
                    )
                }
            });
            for (place, row, queued) in join_all(again).await {
                part.count(place, row, queued, now);
            }
        }
        part
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

/// Queues a row if it is its turn: whether it was, and if so, when it had been queued again before.
async fn queue_again<P: Backlog, J: Job>(
    rows: &impl Backlogs<P>,
    place: P,
    row: &sweep::BacklogItem<P::Id>,
    queue: &impl Queue<J>,
    job: &J,
    now: Timestamp,
) -> Result<Reserved, RetryableError> {
    let turn = Due::of(place, place.overdue_since(row.since), now);
    let (failed, before) = match rows.take(place, &row.id, &turn).await {
        Ok(Reserved::NotNow) => return Ok(Reserved::NotNow),
        Ok(Reserved::Now { before }) => match queue.send(job).await {
            Ok(()) => return Ok(Reserved::Now { before }),
            Err(error) => (error, before),
        },
        // It may have been noted all the same, over what nobody has told us.
        Err(error) => (error, None),
    };
    // In vain, it has its turn hours later.
    let _ = rows.give_back(place, &row.id, turn.now, before).await;
    Err(failed)
}

impl Part {
    fn count<P: Backlog>(
        &mut self,
        place: P,
        row: &sweep::BacklogItem<P::Id>,
        queued: Result<Reserved, RetryableError>,
        now: Timestamp,
    ) {
        match queued {
            Ok(Reserved::NotNow) => {}
            Ok(Reserved::Now { before }) => {
                self.queued += 1;
                if is_stalled(
                    now.duration_since(place.overdue_since(row.since)),
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

/// The days that a run looks at, the first one first: what has waited longest goes first.
fn days(now: Timestamp) -> impl Iterator<Item = Date> {
    let today = Offset::UTC.to_datetime(now).date();
    (0..=DAYS_BACK)
        .rev()
        .map(move |back| today.saturating_sub(back.days()))
}

fn log(swept: &Swept, failed: Option<&RetryableError>, took: SignedDuration) {
    let duration_ms = u64::try_from(took.as_millis()).unwrap_or_default();
    let Swept {
        stored,
        committed,
        unsent,
        leased,
        due,
        longest,
        more,
        ..
    } = swept;
    let (stalled, many) = (swept.stalled > 0, swept.stalled);
    let longest = longest.as_deref();
    match failed {
        None => {
            tracing::info!(
                outcome = "swept",
                stored,
                committed,
                unsent,
                leased,
                due,
                stalled,
                stalled_rows = many,
                longest,
                more,
                duration_ms,
                "queued again"
            );
        }
        Some(error) => {
            tracing::warn!(outcome = "retry", reason = %error, stored, committed, unsent, leased, due, stalled, stalled_rows = many, longest, more, duration_ms, "the next run tries again");
        }
    }
}

/// One line, whose fields are the template's gauges. A field is absent if its value is unknown.
fn log_gauges(gauges: &Gauges, unknown: Option<&RetryableError>) {
    let Gauges {
        oldest_unfulfilled_seconds,
        stored,
        parked,
        held,
        failed,
        dead_letters,
    } = *gauges;
    let outcome = "measured";
    match unknown {
        None => {
            tracing::info!(
                outcome,
                oldest_unfulfilled_seconds,
                stored,
                parked,
                held,
                failed,
                dead_letters,
                "what waits"
            );
        }
        Some(error) => {
            tracing::warn!(outcome, reason = %error, oldest_unfulfilled_seconds, stored, parked, held, failed, dead_letters, "some gauges are unknown");
        }
    }
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
