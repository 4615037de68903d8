//! Rules of sweep: the rows to requeue, and the time.
//!
//! A message can be lost. Intake may stop before it queues, with no redelivery after it; a queue
//! drops messages after four days; an operator may purge a dead-letter queue. The row and its index
//! entry remain. A job that waits for a retry still has a message, and requeueing it at every run
//! would multiply messages. Sweep therefore looks at a row only after a rest, and waits longer
//! after each requeue. The ages are 15 minutes, 2 ¼, 4 ½, 9, 18 and 36 hours, then daily. Sweep
//! stops when the row is finished or dropped by an operator.

use crate::{
    delivery::stored_event::EventState,
    values::{
        facts::whole_second,
        ids::{EventId, ReceiptId},
    },
};
use jiff::{SignedDuration, Timestamp, civil::Date, tz::Offset};
use std::fmt;

/// The rest of a row before the first requeue. It covers a whole first attempt and the two shortest
/// back-offs.
pub const REST: SignedDuration = SignedDuration::from_mins(15);
/// The duration of a job's attempts and back-offs: 81 minutes by the template's defaults. During
/// this time, a row that was attempted still has a retry message. With `RetryBaseSeconds` over ten
/// minutes, attempts take longer, and a row may temporarily have two messages.
pub const TRIES: SignedDuration = SignedDuration::from_hours(2);
/// The longest interval between two requeues of a row.
pub const SELDOM: SignedDuration = SignedDuration::from_hours(24);
/// The age from which an operator should hear of a row that an earlier sweep requeued without
/// effect.
pub const STALLED: SignedDuration = SignedDuration::from_hours(4);
/// The interval between runs of sweep, as in the template.
pub const EVERY: SignedDuration = SignedDuration::from_mins(5);

/// The limit of each gauge. A count that stops here still raises its alarm.
pub const MOST_COUNTED: usize = 10_000;
/// A paid order stays unfulfilled no longer than this unless an operator is needed: all attempts of
/// its job are over.
pub const UNFULFILLED: SignedDuration = TRIES;
/// The states of an event that waits for a retry or an operator; its order may be paid and not
/// fulfilled.
pub const UNFULFILLED_AT: [EventState; 2] = [EventState::Stored, EventState::Parked];

/// The measurements of one run of sweep. `None` means unknown: the service did not answer.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Gauges {
    /// The age of the oldest paid order that is not fulfilled; zero if there is none.
    pub oldest_unfulfilled_seconds: Option<u64>,
    /// Number of events that are stored and not processed.
    pub stored: Option<u64>,
    pub parked: Option<u64>,
    /// Number of held receipts.
    pub held: Option<u64>,
    /// Number of failed receipts.
    pub failed: Option<u64>,
    /// Number of messages in all dead-letter queues.
    pub dead_letters: Option<u64>,
}

/// The age of the oldest sale, in whole seconds; zero without a sale.
#[must_use]
pub fn oldest_seconds(since: impl IntoIterator<Item = Option<Timestamp>>, now: Timestamp) -> u64 {
    let ages = since
        .into_iter()
        .flatten()
        .map(|since| now.duration_since(since).as_secs());
    ages.max()
        .and_then(|age| u64::try_from(age).ok())
        .unwrap_or_default()
}

/// A part of a table's open index that sweep reads.
pub trait Backlog: Copy + fmt::Debug + Send + Sync {
    /// The id of its rows.
    type Id: Clone + fmt::Debug + fmt::Display + Send + Sync;

    /// The rest of a row before the first requeue.
    fn rest(self) -> SignedDuration {
        REST
    }

    /// If more attempts were made, a retry message is still queued; do not enqueue another.
    fn attempts(self) -> u32 {
        0
    }

    /// The time from which a row counts as overdue, if it entered the index at `since`.
    fn overdue_since(self, since: Timestamp) -> Timestamp {
        since
    }
}

/// The backlogs of events. Parked events are left to operators and reconcile.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum EventBacklog {
    /// Stored, and nothing committed.
    Stored,
    /// Committed, with handoffs that may be unsent.
    Committed,
}

impl Backlog for EventBacklog {
    type Id = EventId;
}

/// The backlogs of receipts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ReceiptBacklog {
    Unsent,
    /// Leased, perhaps by an attempt that has stopped.
    Leased,
    /// Due on this day (UTC). No message exists yet: sweep sends the first one.
    Due(Date),
}

impl Backlog for ReceiptBacklog {
    type Id = ReceiptId;

    fn rest(self) -> SignedDuration {
        match self {
            Self::Unsent | Self::Leased => REST,
            Self::Due(_) => SignedDuration::ZERO,
        }
    }

    fn attempts(self) -> u32 {
        match self {
            Self::Unsent | Self::Due(_) => 0,
            // The owner of the lease has counted its own attempt.
            Self::Leased => 1,
        }
    }

    fn overdue_since(self, since: Timestamp) -> Timestamp {
        match self {
            Self::Unsent | Self::Leased => since,
            Self::Due(day) => Offset::UTC
                .to_timestamp(day.at(0, 0, 0, 0))
                .unwrap_or(since)
                .max(since),
        }
    }
}

/// A row of a backlog.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BacklogItem<Id> {
    pub id: Id,
    /// The time when the row entered the index.
    pub since: Timestamp,
}

/// The interval after a requeue of a row of this age: half its age, at least [`TRIES`] and at most
/// [`SELDOM`].
#[must_use]
pub fn interval(age: SignedDuration) -> SignedDuration {
    (age / 2).clamp(TRIES, SELDOM)
}

/// True if an operator should hear of a row of this age. `again` means that an earlier requeue had
/// no effect. A first requeue needs no operator at any age, because it probably repairs the row.
#[must_use]
pub fn is_stalled(age: SignedDuration, again: bool) -> bool {
    again && age >= STALLED
}

/// The times that decide if a row is requeued in this run. All are whole seconds, as on rows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Due {
    /// The time of the run, which the row records.
    pub now: Timestamp,
    /// Requeue only a row that has been ready since this time or earlier.
    pub rested: Timestamp,
    /// A row with more attempts than this may still have a retry message.
    pub attempts: u32,
    /// Requeue such a row only if it has been ready since this time or earlier.
    pub tried: Timestamp,
    /// Requeue a row again only if its last requeue was at this time or earlier.
    pub swept: Timestamp,
}

impl Due {
    /// The times for a row of this backlog that is overdue since `overdue_since`.
    #[must_use]
    pub fn of<B: Backlog>(backlog: B, overdue_since: Timestamp, now: Timestamp) -> Self {
        let now = whole_second(now);
        Self {
            now,
            rested: before(now, backlog.rest()),
            attempts: backlog.attempts(),
            tried: before(now, TRIES),
            swept: before(now, interval(now.duration_since(overdue_since))),
        }
    }

    /// True if a row is to be requeued. `ready_at` is the time when it was committed or due, or
    /// when its lease ended; `swept_at` is the time of its last requeue.
    #[must_use]
    pub fn has_come(
        &self,
        ready_at: Timestamp,
        attempts: u32,
        swept_at: Option<Timestamp>,
    ) -> bool {
        ready_at <= self.rested
            && match swept_at {
                Some(swept_at) => swept_at <= self.swept,
                None => attempts <= self.attempts || ready_at <= self.tried,
            }
    }
}

/// The time `by` before `now`.
#[must_use]
pub fn before(now: Timestamp, by: SignedDuration) -> Timestamp {
    now.saturating_sub(by).unwrap_or(Timestamp::MIN)
}

/// The indexes that a run handles out of `count` rows, the oldest first, if it may handle `most`.
/// If there are more, half are the oldest rows. The other half starts `step` rows further on each
/// run, so old rows that are not due cannot block the others.
pub fn picked(
    count: usize,
    most: usize,
    step: usize,
    now: Timestamp,
) -> impl Iterator<Item = usize> {
    let oldest = if count <= most {
        count
    } else {
        most.div_ceil(2)
    };
    let rest = count.saturating_sub(oldest);
    let run = usize::try_from(now.as_second() / EVERY.as_secs()).unwrap_or_default();
    let start = run.wrapping_mul(step).checked_rem(rest).unwrap_or_default();
    let others = (0..rest.min(most.saturating_sub(oldest)))
        .map(move |n| oldest + (start + n).checked_rem(rest).unwrap_or_default());
    (0..oldest).chain(others)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::BTreeSet;

    const NOW: Timestamp = Timestamp::UNIX_EPOCH;

    fn ages_at_which_it_is_swept(attempts: u32, until: SignedDuration) -> Vec<i64> {
        let mut swept_at = None;
        let mut ages = Vec::new();
        for run in 0..until.as_secs() / EVERY.as_secs() {
            let now = NOW + EVERY * i32::try_from(run).unwrap();
            if Due::of(EventBacklog::Stored, NOW, now).has_come(NOW, attempts, swept_at) {
                swept_at = Some(now);
                ages.push(now.duration_since(NOW).as_mins());
            }
        }
        ages
    }

    #[test]
    fn what_stays_undone_is_queued_again_ever_more_seldom_and_never_given_up() {
        let days = |n: i64| SignedDuration::from_hours(24 * n);
        let first = [15, 135, 270, 540, 1080, 2160];
        let daily = (0..5).map(|n| 3600 + 1440 * n);
        let expected: Vec<i64> = first.into_iter().chain(daily).collect();
        assert_eq!(ages_at_which_it_is_swept(0, days(7)), expected);
    }

    #[test]
    fn a_claim_has_counted_itself_and_a_place_begins_when_its_row_came_or_its_day() {
        let day = Date::constant(1970, 1, 3);
        let backlogs = [
            ReceiptBacklog::Unsent,
            ReceiptBacklog::Leased,
            ReceiptBacklog::Due(day),
        ];
        assert_eq!(backlogs.map(Backlog::attempts), [0, 1, 0]);
        let since = NOW + SignedDuration::from_hours(1);
        let day = NOW + SignedDuration::from_hours(48);
        assert_eq!(
            backlogs.map(|backlog| backlog.overdue_since(since)),
            [since, since, day]
        );
        assert_eq!(EventBacklog::Stored.overdue_since(since), since);
    }

    #[test]
    fn what_was_tried_in_vain_has_its_tries_first() {
        assert_eq!(
            ages_at_which_it_is_swept(1, SignedDuration::from_hours(6)),
            [120, 240]
        );
    }

    #[test]
    fn a_claim_that_its_only_claimant_left_is_taken_up_as_if_it_was_never_tried() {
        let due = Due::of(ReceiptBacklog::Leased, NOW, NOW + REST);
        assert!(due.has_come(NOW, 1, None));
        assert!(!due.has_come(NOW, 2, None));
        assert!(
            !due.has_come(NOW + SignedDuration::from_secs(1), 1, None),
            "the lease ended later"
        );
    }

    #[test]
    fn a_mail_for_a_later_day_is_queued_when_it_is_due_and_ages_from_that_day_on() {
        let day = jiff::civil::date(1970, 1, 15);
        let due_at = "1970-01-15T09:00:00Z".parse().unwrap();
        let backlog = ReceiptBacklog::Due(day);
        let since = backlog.overdue_since(NOW);
        let due = |now| Due::of(backlog, since, now);
        assert!(!due(due_at - SignedDuration::from_secs(1)).has_come(due_at, 0, None));
        assert!(due(due_at).has_come(due_at, 0, None));
        assert!(!due(due_at + SignedDuration::from_hours(4)).has_come(due_at, 0, Some(due_at)));
        assert!(due(due_at + SignedDuration::from_hours(9)).has_come(due_at, 0, Some(due_at)));
    }

    #[test]
    fn an_order_is_as_old_as_the_oldest_event_and_never_negative() {
        let at = |seconds| Some(NOW + SignedDuration::from_secs(seconds));
        assert_eq!(oldest_seconds([None, None], NOW), 0);
        assert_eq!(oldest_seconds([at(-60), None, at(-7200)], NOW), 7200);
        assert_eq!(
            oldest_seconds([at(5)], NOW),
            0,
            "another machine's clock is ahead"
        );
    }

    #[test]
    fn only_what_was_queued_again_in_vain_is_stalled() {
        assert!(!is_stalled(STALLED, false));
        assert!(!is_stalled(STALLED - SignedDuration::from_secs(1), true));
        assert!(is_stalled(STALLED, true));
    }

    proptest! {
        #[test]
        fn within_the_tries_of_a_job_a_row_is_queued_again_once_at_most(
            attempts in 0_u32..9,
            ready in 0_i64..400_000,
            swept in proptest::option::of(0_i64..400_000),
            now in 0_i64..400_000,
        ) {
            let at = |seconds| Timestamp::from_second(seconds).unwrap();
            let due = Due::of(ReceiptBacklog::Unsent, at(0), at(now));
            if due.has_come(at(ready), attempts, swept.map(at)) {
                prop_assert!(now - ready >= REST.as_secs());
                prop_assert!(swept.is_none_or(|swept| now - swept >= TRIES.as_secs()));
                prop_assert!(!due.has_come(at(ready), attempts, Some(due.now)));
            }
        }

        #[test]
        fn a_run_tries_no_row_twice_and_no_more_than_it_may(
            count in 0_usize..500, most in 1_usize..100, step in 1_usize..50, run in 0_i64..10_000,
        ) {
            let now = NOW + EVERY * i32::try_from(run).unwrap();
            let rows: Vec<_> = picked(count, most, step, now).collect();
            prop_assert_eq!(rows.len(), count.min(most));
            prop_assert!(rows.iter().all(|row| *row < count));
            prop_assert_eq!(rows.iter().collect::<BTreeSet<_>>().len(), rows.len());
            prop_assert!(rows.first().is_none_or(|row| *row == 0), "the oldest first");
        }

        #[test]
        fn no_row_waits_for_ever_behind_older_ones(
            count in 1_usize..500, most in 2_usize..100, step in 1_usize..50, from in 0_i64..10_000,
        ) {
            let step = step.min(most / 2);
            // In the moving half, a run surely reaches the first `step` rows.
            let reached = |run: i64| {
                let now = NOW + EVERY * i32::try_from(from + run).unwrap();
                let oldest = if count <= most { count } else { most.div_ceil(2) };
                picked(count, most, step, now).take(oldest + step).collect::<Vec<_>>()
            };
            let runs = i64::try_from(count.div_ceil(step)).unwrap();
            let all: BTreeSet<_> = (0..=runs).flat_map(reached).collect();
            prop_assert_eq!(all, (0..count).collect());
        }
    }
}
