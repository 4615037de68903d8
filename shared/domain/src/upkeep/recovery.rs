//! The two looks at a listed thing that no event has brought, and the result of a run.

use crate::{
    delivery::reference_state::reference_state,
    fulfillment::read_set::Snapshot,
    upkeep::reconcile::{
        Found, event_id, goes_on, is_asked_again, is_missing, is_overtaken, order_that_waits,
        stated_at,
    },
    values::{
        ids::{EventId, ReferenceState},
        provider::ProviderId,
    },
};
use jiff::Timestamp;
use std::{
    collections::{BTreeMap, BTreeSet},
    fmt,
};

/// One list of one provider.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct List {
    pub provider: ProviderId,
    /// One of [`crate::ports::Provider::lists`].
    pub name: &'static str,
}

/// The results for the things of one list.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Count {
    /// Compared with the stored rows.
    pub examined: usize,
    /// Missing for the first time: no delivery brought them.
    pub missing: usize,
    /// An unfinished or parked event states them already.
    pub waiting: usize,
    /// Stated once more, which is no gap: a parked event can go on now, or an order has a part of its money.
    pub resumed: usize,
    /// Ended before and still missing: an operator dropped the event or decides, or nothing follows from it.
    pub seen_before: usize,
    pub unreadable: usize,
}

impl Count {
    fn and(self, other: Self) -> Self {
        Self {
            examined: self.examined + other.examined,
            missing: self.missing + other.missing,
            waiting: self.waiting + other.waiting,
            resumed: self.resumed + other.resumed,
            seen_before: self.seen_before + other.seen_before,
            unreadable: self.unreadable + other.unreadable,
        }
    }
}

/// The result of a run.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Reconciled {
    pub counts: BTreeMap<List, Count>,
    /// There was more than a run takes. The next run starts at the first page again.
    pub more: bool,
}

impl Reconciled {
    /// All lists together.
    #[must_use]
    pub fn total(&self) -> Count {
        let counts = self.counts.values().copied();
        counts.fold(Count::default(), Count::and)
    }

    /// The count of one list, to add to.
    pub fn of(&mut self, list: &List) -> &mut Count {
        self.counts.entry(list.clone()).or_default()
    }
}

/// For the log, missing of examined: `flex sales 3/40, flex refunds 0/2`.
impl fmt::Display for Reconciled {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let part = |(list, count): (&List, &Count)| {
            let List { provider, name } = list;
            format!("{provider} {name} {}/{}", count.missing, count.examined)
        };
        let parts: Vec<_> = self.counts.iter().map(part).collect();
        f.write_str(&parts.join(", "))
    }
}

/// The rows that a found thing is compared with.
#[derive(Debug)]
pub enum Stored {
    /// The rows of a thing, and those that they lead to.
    Rows(Box<Snapshot>),
    /// For a listed event: true if the Events table has it.
    Event { is_stored: bool },
}

/// A thing that was missing at the first look.
#[derive(Debug)]
pub struct Gap {
    pub list: List,
    pub found: Box<Found>,
    /// When the list was read.
    pub read_at: Timestamp,
    /// The event that recovers it. The id contains the version of the row at the first look.
    pub event_id: EventId,
}

/// The result of the second look at a gap.
#[derive(Debug, PartialEq, Eq)]
pub enum Look {
    /// No gap any more.
    Gone,
    /// An event that states it waits.
    Waits,
    /// An event that states it has ended.
    Ended,
    /// Still a gap.
    Stays(Remedy),
}

/// How to recover a gap.
#[derive(Debug, PartialEq, Eq)]
pub struct Remedy {
    pub stated_at: Timestamp,
    /// No gap: the delivery came, and was parked or has left an order that waits.
    pub resumes: bool,
    /// An order waits for its money.
    pub waits: bool,
}

/// The states that open events state.
#[derive(Debug, Default)]
pub struct OpenStates {
    pub unfinished: BTreeSet<ReferenceState>,
    pub parked: BTreeSet<ReferenceState>,
    /// An operator may have done their work by hand.
    pub dropped: BTreeSet<ReferenceState>,
}

impl OpenStates {
    /// The reason to leave a gap alone: an event states it already.
    #[must_use]
    pub fn look(&self, found: &Found, rows: &Snapshot) -> Option<Look> {
        let state = reference_state(&found.change)?;
        let waits = self.parked.contains(&state) && !goes_on(&found.change, rows);
        if waits || self.unfinished.contains(&state) {
            return Some(Look::Waits);
        }
        self.dropped.contains(&state).then_some(Look::Ended)
    }
}

/// True if reconcile must make an event for a found thing: it is missing, or must be fetched again.
fn is_stated(found: &Found, rows: &Snapshot) -> bool {
    is_missing(found, rows) || is_asked_again(found, rows)
}

/// True if a listed thing is a gap at the first look. If the row is newer than the list, there is no gap.
#[must_use]
pub fn is_gap(found: &Found, stored: &Stored, read_at: Timestamp, now: Timestamp) -> bool {
    match stored {
        Stored::Event { is_stored } => !is_stored,
        Stored::Rows(rows) => is_stated(found, rows) && !is_overtaken(found, rows, read_at, now),
    }
}

/// The second look. If the row has changed since the first one, there is no gap. The listed thing may be older than the
/// change, and must not replace it. The next run lists it again.
#[must_use]
pub fn look_again(gap: &Gap, stored: &Stored, open: &OpenStates) -> Look {
    let Gap { found, read_at, .. } = gap;
    let rows = match stored {
        Stored::Rows(rows) => rows,
        Stored::Event { is_stored: true } => return Look::Gone,
        Stored::Event { is_stored: false } => {
            return Look::Stays(Remedy {
                stated_at: found.since.unwrap_or(*read_at),
                resumes: false,
                waits: false,
            });
        }
    };
    if !is_stated(found, rows) || event_id(found, rows, *read_at) != gap.event_id {
        return Look::Gone;
    }
    if let Some(look) = open.look(found, rows) {
        return look;
    }
    let state = reference_state(&found.change);
    let is_parked = state.is_some_and(|state| open.parked.contains(&state));
    Look::Stays(Remedy {
        stated_at: stated_at(found, rows, *read_at),
        resumes: is_parked || is_asked_again(found, rows),
        waits: order_that_waits(rows).is_some(),
    })
}

#[cfg(test)]
mod tests;
