//! The changes of the last seconds: an index may show the old state.

use kit::fakes::behind::Before;
use kit::prelude::*;
use std::collections::VecDeque;

/// How far an index is behind its table at most.
pub const MOST: Duration = Duration::from_secs(5);
/// The calls that read overdue or parked rows by an index.
pub const READS: [&str; 8] = [
    "event_desk.waiting",
    "events.subjects",
    "receipt_desk.waiting",
    "backlog.claimed",
    "backlog.committed",
    "backlog.due",
    "backlog.pending",
    "backlog.stored",
];

/// The rows before each change, with its time.
#[derive(Debug, Default)]
pub struct Recent {
    events: VecDeque<(Timestamp, EventId, Option<EventState>)>,
    receipts: VecDeque<(Timestamp, ReceiptId, Option<Receipt>)>,
}

impl Recent {
    /// An event stood there until now.
    pub fn event(&mut self, now: Timestamp, id: &EventId, was: Option<EventState>) {
        self.events.push_back((now, id.clone(), was));
        self.events.retain(|(at, ..)| is_recent(*at, now));
    }

    /// A receipt was like that until now.
    pub fn receipt(&mut self, now: Timestamp, id: &ReceiptId, was: Option<Receipt>) {
        self.receipts.push_back((now, id.clone(), was));
        self.receipts.retain(|(at, ..)| is_recent(*at, now));
    }

    /// The earlier states of the rows that have changed since then, as an outdated index shows them.
    pub fn before(&self, then: Timestamp) -> Before {
        let mut before = Before::default();
        for (_, id, was) in self.events.iter().filter(|(at, ..)| *at > then) {
            before.events.entry(id.clone()).or_insert(*was);
        }
        for (_, id, was) in self.receipts.iter().filter(|(at, ..)| *at > then) {
            before
                .receipts
                .entry(id.clone())
                .or_insert_with(|| was.clone());
        }
        before
    }
}

fn is_recent(at: Timestamp, now: Timestamp) -> bool {
    now.duration_since(at).unsigned_abs() <= MOST
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_index_shows_a_row_as_it_was_before_all_that_it_has_not_heard_of() {
        let at = |second| Timestamp::from_second(second).unwrap();
        let id = EventId::new("fevt_1").unwrap();
        let mut recent = Recent::default();
        recent.event(at(1), &id, None);
        recent.event(at(3), &id, Some(EventState::Stored));
        let shown = |then| recent.before(at(then)).events.remove(&id);
        assert_eq!(shown(0), Some(None));
        assert_eq!(shown(2), Some(Some(EventState::Stored)));
        assert_eq!(shown(3), None);
        recent.event(at(60), &id, Some(EventState::Processed));
        assert_eq!(
            recent.before(at(0)).events.remove(&id),
            Some(Some(EventState::Processed))
        );
    }
}
