//! When what lies undone is queued again.
//!
//! A message can be lost: intake dies before it queues and the sender gives up, a queue forgets after four days, a
//! dead-letter queue is emptied. The row knows better, and its index leads to it. A job that is merely waiting for its
//! next try has a message already; to queue it again at every look would multiply it. So a row is looked at only when it
//! has rested, and each time that it is queued again it is left alone for longer: at ages of 15 minutes, 2 ¼, 4 ½, 9, 18
//! and 36 hours, then daily, until it is done or an operator drops it.

use crate::{
    delivery::stored_event::EventState,
    values::{
        facts::whole_second,
        ids::{EventId, ReceiptId},
    },
};
use jiff::{SignedDuration, Timestamp, civil::Date, tz::Offset};
use std::fmt;

/// How long a row rests before the first look. All of a first try fits into it, and the two shortest back-offs.
pub const REST: SignedDuration = SignedDuration::from_mins(15);
/// What a job's tries take and the waits between them: 81 minutes by the template's defaults. So long a row that was
/// tried in vain has a message of its own. (With `RetryBaseSeconds` beyond ten minutes tries take longer, and a row may
/// for a while have two messages.)
pub const TRIES: SignedDuration = SignedDuration::from_hours(2);
/// What lies for days is tried once in so long.
pub const SELDOM: SignedDuration = SignedDuration::from_hours(24);
/// From this age on a person should hear of a row that an earlier sweep has queued in vain.
pub const STALLED: SignedDuration = SignedDuration::from_hours(4);
/// How often sweep runs, as in the template.
pub const EVERY: SignedDuration = SignedDuration::from_mins(5);

/// A gauge counts no further than this. A count that stops here still raises its alarm.
pub const MOST_COUNTED: usize = 10_000;
/// Longer than this, a paid order does not stay unfulfilled unless a person is needed: each try of its job is over.
pub const UNFULFILLED: SignedDuration = TRIES;
/// An event at such a state waits, for its tries or for a person, while its order may be paid and not fulfilled.
pub const UNFULFILLED_AT: [EventState; 2] = [EventState::Stored, EventState::Parked];

/// Each run of sweep measures these. `None` is unknown: the service did not answer.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Gauges {
    /// The age of the oldest paid order that is not fulfilled; zero if there is none.
    pub oldest_unfulfilled_seconds: Option<u64>,
    /// Events that are stored and not processed.
    pub stored: Option<u64>,
    /// Events that are parked.
    pub parked: Option<u64>,
    /// Receipts that are held.
    pub held: Option<u64>,
    /// Receipts that failed.
    pub failed: Option<u64>,
    /// Messages in all dead-letter queues.
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

/// Where a row lies in its table's index of what is undone.
pub trait Backlog: Copy + fmt::Debug + Send + Sync {
    /// What its rows are called by.
    type Id: Clone + fmt::Debug + fmt::Display + Send + Sync;

    /// How long a row rests before the first look.
    fn rest(self) -> SignedDuration {
        REST
    }

    /// With more attempts than these, a row was tried in vain, and whoever did has a message for it.
    fn attempts(self) -> u32 {
        0
    }

    /// Since when a row is undone that has been in the index since `since`.
    fn overdue_since(self, since: Timestamp) -> Timestamp {
        since
    }
}

/// Where undone events lie. Sweep leaves parked ones to a person and to reconcile.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum EventBacklog {
    /// Kept, and nothing committed.
    Stored,
    /// Committed, and perhaps not passed on.
    Committed,
}

impl Backlog for EventBacklog {
    type Id = EventId;
}

/// Where undone receipts lie.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ReceiptBacklog {
    /// To be sent.
    Unsent,
    /// Claimed, perhaps by somebody who is dead.
    Leased,
    /// To be sent on that day (UTC), and nobody has taken it up yet: what queues it is the sweep.
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
            // Whoever holds the claim has counted itself.
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

/// A row of an index.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BacklogItem<Id> {
    /// Which.
    pub id: Id,
    /// Since when it is there.
    pub since: Timestamp,
}

/// How long a row of that age is left alone after it was queued again: half its age, but never less than a job's tries
/// take, nor more than a day.
#[must_use]
pub fn interval(age: SignedDuration) -> SignedDuration {
    (age / 2).clamp(TRIES, SELDOM)
}

/// Whether a person should hear of a row of that age that is queued again now; `again` says that it was before, and in
/// vain. What is queued for the first time, however old, needs nobody: most likely that repairs it.
#[must_use]
pub fn is_stalled(age: SignedDuration, again: bool) -> bool {
    again && age >= STALLED
}

/// The times that decide whether it is a row's turn. All are whole seconds, as rows have them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Due {
    /// The time of the run, which goes onto the row.
    pub now: Timestamp,
    /// It must be ready since then or longer.
    pub rested: Timestamp,
    /// With more attempts than these it was tried in vain.
    pub attempts: u32,
    /// Tried in vain, it must be ready since then or longer.
    pub tried: Timestamp,
    /// Queued again before, that must have been then or earlier.
    pub swept: Timestamp,
}

impl Due {
    /// For a row of that place that is undone since then.
    #[must_use]
    pub fn of<P: Backlog>(place: P, overdue_since: Timestamp, now: Timestamp) -> Self {
        let now = whole_second(now);
        Self {
            now,
            rested: before(now, place.rest()),
            attempts: place.attempts(),
            tried: before(now, TRIES),
            swept: before(now, interval(now.duration_since(overdue_since))),
        }
    }

    /// Whether it is the turn of a row that is ready (committed, due, its claim over) since then, has had so many
    /// attempts and was last queued again then, if ever.
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

/// So long before `now`.
#[must_use]
pub fn before(now: Timestamp, by: SignedDuration) -> Timestamp {
    now.saturating_sub(by).unwrap_or(Timestamp::MIN)
}

/// Which of `count` rows, the oldest first, a run tries that tries `most`: all if they are few enough. Else half of
/// them the oldest, and the other half further on from run to run by `step` rows, so that old rows whose turn has not
/// come cannot keep the rest from theirs.
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
        let places = [
            ReceiptBacklog::Unsent,
            ReceiptBacklog::Leased,
            ReceiptBacklog::Due(day),
        ];
        assert_eq!(places.map(Backlog::attempts), [0, 1, 0]);
        let since = NOW + SignedDuration::from_hours(1);
        let day = NOW + SignedDuration::from_hours(48);
        assert_eq!(
            places.map(|place| place.overdue_since(since)),
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
        let turn = Due::of(ReceiptBacklog::Leased, NOW, NOW + REST);
        assert!(turn.has_come(NOW, 1, None));
        assert!(!turn.has_come(NOW, 2, None));
        assert!(
            !turn.has_come(NOW + SignedDuration::from_secs(1), 1, None),
            "the claim ended later"
        );
    }

    #[test]
    fn a_mail_for_a_later_day_is_queued_when_it_is_due_and_ages_from_that_day_on() {
        let day = jiff::civil::date(1970, 1, 15);
        let due_at = "1970-01-15T09:00:00Z".parse().unwrap();
        let place = ReceiptBacklog::Due(day);
        let since = place.overdue_since(NOW);
        let turn = |now| Due::of(place, since, now);
        assert!(!turn(due_at - SignedDuration::from_secs(1)).has_come(due_at, 0, None));
        assert!(turn(due_at).has_come(due_at, 0, None));
        assert!(!turn(due_at + SignedDuration::from_hours(4)).has_come(due_at, 0, Some(due_at)));
        assert!(turn(due_at + SignedDuration::from_hours(9)).has_come(due_at, 0, Some(due_at)));
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
            let turn = Due::of(ReceiptBacklog::Unsent, at(0), at(now));
            if turn.has_come(at(ready), attempts, swept.map(at)) {
                prop_assert!(now - ready >= REST.as_secs());
                prop_assert!(swept.is_none_or(|swept| now - swept >= TRIES.as_secs()));
                prop_assert!(!turn.has_come(at(ready), attempts, Some(turn.now)));
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
            // Of the half that moves on, its first `step` rows are what a run is sure to reach.
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
