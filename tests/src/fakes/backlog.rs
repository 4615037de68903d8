//! The overdue rows, and the ones that sweep has queued again.

use super::{Kept, World};
use domain::{
    delivery::{
        reference_state::is_sale,
        stored_event::{EventState, StoredEvent},
    },
    ports::{Backlogs, OpenRows, Reserved},
    receipt::{Receipt, ReceiptState, ReceiptStatus},
    upkeep::sweep::{self, Due, EventBacklog, ReceiptBacklog},
    values::{
        facts::whole_second,
        ids::{EventId, ReceiptId, ReferenceState},
        outcome::RetryableError,
    },
};
use jiff::{Timestamp, tz::Offset};
use std::{borrow::Cow, collections::BTreeMap};

/// The times at which rows were queued again, as the tables keep them.
#[derive(Debug, Clone, Default)]
pub struct Swept {
    pub events: BTreeMap<EventId, Timestamp>,
    pub receipts: BTreeMap<ReceiptId, Timestamp>,
}

fn lies_at(state: EventState) -> Option<EventBacklog> {
    match state {
        EventState::Stored => Some(EventBacklog::Stored),
        EventState::Committed => Some(EventBacklog::Committed),
        _ => None,
    }
}

/// The backlog of a receipt, and the time since when it is ready.
fn receipt_lies_at(receipt: &Receipt) -> Option<(ReceiptBacklog, Timestamp)> {
    let due_at = receipt
        .due_at
        .map_or(receipt.created_at, |due_at| due_at.max(receipt.created_at));
    match (&receipt.state, receipt.due_at) {
        // After the first attempt, a receipt is due like any other, whatever its due date. The attempt counts a
        // version.
        (ReceiptState::Unsent { .. }, Some(due_at)) if receipt.version == 1 => Some((
            ReceiptBacklog::Due(Offset::UTC.to_datetime(due_at).date()),
            due_at,
        )),
        (ReceiptState::Unsent { .. }, _) => Some((ReceiptBacklog::Unsent, due_at)),
        (ReceiptState::Leased { lease_ends_at, .. }, _) => {
            Some((ReceiptBacklog::Leased, due_at.max(*lease_ends_at)))
        }
        _ => None,
    }
}

fn oldest<Id: Ord + Clone>(
    rows: impl Iterator<Item = (Timestamp, Id)>,
    until: Timestamp,
    most: usize,
) -> Vec<sweep::BacklogItem<Id>> {
    let mut rows: Vec<_> = rows.filter(|(since, _)| *since <= until).collect();
    rows.sort();
    rows.into_iter()
        .take(most)
        .map(|(since, id)| sweep::BacklogItem { id, since })
        .collect()
}

fn take<Id: Ord + Clone>(
    swept: &mut BTreeMap<Id, Timestamp>,
    id: &Id,
    ready_at: Timestamp,
    attempts: u32,
    turn: &Due,
) -> Reserved {
    let before = swept.get(id).copied();
    if !turn.has_come(ready_at, attempts, before) {
        return Reserved::NotNow;
    }
    swept.insert(id.clone(), turn.now);
    Reserved::Now { before }
}

fn give_back<Id: Ord + Clone>(
    swept: &mut BTreeMap<Id, Timestamp>,
    id: &Id,
    taken_at: Timestamp,
    before: Option<Timestamp>,
) {
    if swept.get(id) == Some(&whole_second(taken_at)) {
        swept.remove(id);
        swept.extend(before.map(|before| (id.clone(), before)));
    }
}

/// The index's key of a receipt, unless that is a day.
pub(super) fn kept_under(receipt: &Receipt) -> Option<ReceiptStatus> {
    let is_due = matches!(receipt_lies_at(receipt), Some((ReceiptBacklog::Due(_), _)));
    Some(receipt.state.status()).filter(|standing| standing.is_waiting() && !is_due)
}

/// The open events that the index shows in a state, the oldest first.
fn open_events(kept: &Kept, state: EventState) -> Vec<&StoredEvent> {
    let shown = kept.indexed_events();
    let open = shown.filter(|(_, shown)| *shown == state && state.is_open());
    let mut open: Vec<_> = open.map(|(event, _)| event).collect();
    open.sort_by_key(|event| (event.received_at, &event.event_id));
    open
}

impl OpenRows for World {
    async fn open_events(
        &self,
        state: EventState,
        most: usize,
    ) -> Result<Vec<EventId>, RetryableError> {
        self.look_up("event_desk.waiting", |kept| {
            let open = open_events(kept, state).into_iter().take(most);
            open.map(|event| event.event_id.clone()).collect()
        })
        .await
    }

    async fn open_receipts(
        &self,
        status: ReceiptStatus,
        most: usize,
    ) -> Result<Vec<ReceiptId>, RetryableError> {
        let is_open = |receipt: &Cow<'_, Receipt>| kept_under(receipt) == Some(status);
        self.look_up("receipt_desk.waiting", |kept| {
            let mut open: Vec<_> = kept.indexed_receipts().filter(is_open).collect();
            open.sort_by_key(|receipt| (receipt.created_at, receipt.receipt_id.clone()));
            let open = open.into_iter().take(most);
            open.map(|receipt| receipt.receipt_id.clone()).collect()
        })
        .await
    }

    async fn count_events(&self, state: EventState, most: usize) -> Result<usize, RetryableError> {
        let count = |kept: &Kept| open_events(kept, state).len().min(most);
        self.look_up("waiting.events", count).await
    }

    async fn count_receipts(
        &self,
        status: ReceiptStatus,
        most: usize,
    ) -> Result<usize, RetryableError> {
        self.look_up("waiting.receipts", |kept| {
            let open = kept.indexed_receipts();
            let open = open.filter(|receipt| kept_under(receipt) == Some(status));
            open.take(most).count()
        })
        .await
    }

    async fn reference_states(
        &self,
        state: EventState,
        most: usize,
    ) -> Result<Vec<Option<ReferenceState>>, RetryableError> {
        self.look_up("events.subjects", |kept| {
            let open = open_events(kept, state).into_iter().take(most);
            open.map(|event| event.subject.clone()).collect()
        })
        .await
    }

    async fn oldest_sale(
        &self,
        state: EventState,
        most: usize,
    ) -> Result<Option<Timestamp>, RetryableError> {
        self.look_up("sales.oldest", |kept| {
            let mut open = open_events(kept, state).into_iter().take(most);
            let sale = open.find(|event| event.subject.as_ref().is_some_and(is_sale));
            sale.map(|event| event.received_at)
        })
        .await
    }
}

impl Backlogs<EventBacklog> for World {
    async fn overdue(
        &self,
        place: EventBacklog,
        until: Timestamp,
        most: usize,
    ) -> Result<Vec<sweep::BacklogItem<EventId>>, RetryableError> {
        let name = match place {
            EventBacklog::Stored => "backlog.stored",
            EventBacklog::Committed => "backlog.committed",
        };
        self.look_up(name, |kept| {
            let there = kept
                .indexed_events()
                .filter(|(_, shown)| lies_at(*shown) == Some(place));
            oldest(
                there.map(|(event, _)| (event.received_at, event.event_id.clone())),
                until,
                most,
            )
        })
        .await
    }

    async fn take(
        &self,
        place: EventBacklog,
        id: &EventId,
        turn: &Due,
    ) -> Result<Reserved, RetryableError> {
        self.repeatable("backlog.take_event", |Kept { events, swept, .. }| {
            let there = events
                .get(id)
                .filter(|event| lies_at(event.state) == Some(place));
            there.map_or(Reserved::NotNow, |event| {
                take(
                    &mut swept.events,
                    id,
                    event.received_at,
                    event.attempts,
                    turn,
                )
            })
        })
        .await
    }

    async fn give_back(
        &self,
        _: EventBacklog,
        id: &EventId,
        taken_at: Timestamp,
        before: Option<Timestamp>,
    ) -> Result<(), RetryableError> {
        self.repeatable("backlog.give_back_event", |kept| {
            give_back(&mut kept.swept.events, id, taken_at, before);
        })
        .await
    }
}

impl Backlogs<ReceiptBacklog> for World {
    async fn overdue(
        &self,
        place: ReceiptBacklog,
        until: Timestamp,
        most: usize,
    ) -> Result<Vec<sweep::BacklogItem<ReceiptId>>, RetryableError> {
        let name = match place {
            ReceiptBacklog::Unsent => "backlog.pending",
            ReceiptBacklog::Leased => "backlog.claimed",
            ReceiptBacklog::Due(_) => "backlog.due",
        };
        self.look_up(name, |kept| {
            let lies_here = |receipt: &Receipt| {
                receipt_lies_at(receipt).is_some_and(|(there, _)| there == place)
            };
            let there = kept.indexed_receipts().filter(|receipt| lies_here(receipt));
            oldest(
                there.map(|receipt| (receipt.created_at, receipt.receipt_id.clone())),
                until,
                most,
            )
        })
        .await
    }

    async fn take(
        &self,
        place: ReceiptBacklog,
        id: &ReceiptId,
        turn: &Due,
    ) -> Result<Reserved, RetryableError> {
        self.repeatable("backlog.take_receipt", |kept| {
            let Some(receipt) = kept.receipts.get(id) else {
                return Reserved::NotNow;
            };
            let attempts = receipt.attempts;
            match receipt_lies_at(receipt) {
                Some((there, ready_at)) if there == place => {
                    take(&mut kept.swept.receipts, id, ready_at, attempts, turn)
                }
                _ => Reserved::NotNow,
            }
        })
        .await
    }

    async fn give_back(
        &self,
        _: ReceiptBacklog,
        id: &ReceiptId,
        taken_at: Timestamp,
        before: Option<Timestamp>,
    ) -> Result<(), RetryableError> {
        self.repeatable("backlog.give_back_receipt", |kept| {
            give_back(&mut kept.swept.receipts, id, taken_at, before);
        })
        .await
    }
}
