//! What lies undone, and what has been queued again of it.

use super::{Kept, World};
use domain::{
    event::{EventState, StoredEvent},
    facts::whole_second,
    ids::{EventId, ReceiptId, Subject},
    outcome::Setback,
    ports::{Sales, Subjects, Taken, Undone, Waiting},
    receipt::{Receipt, Standing, State},
    reconcile::is_sale,
    sweep::{self, EventPlace, ReceiptPlace, Turn},
};
use jiff::{Timestamp, tz::Offset};
use std::collections::BTreeMap;

/// When rows were queued again last: what the tables keep on them.
#[derive(Debug, Clone, Default)]
pub struct Swept {
    /// Events.
    pub events: BTreeMap<EventId, Timestamp>,
    /// Receipts.
    pub receipts: BTreeMap<ReceiptId, Timestamp>,
}

fn lies_at(state: EventState) -> Option<EventPlace> {
    match state {
        EventState::Stored => Some(EventPlace::Stored),
        EventState::Committed => Some(EventPlace::Committed),
        _ => None,
    }
}

/// Where a receipt lies, and since when it is ready.
fn receipt_lies_at(receipt: &Receipt) -> Option<(ReceiptPlace, Timestamp)> {
    let due_at = receipt
        .due_at
        .map_or(receipt.created_at, |due_at| due_at.max(receipt.created_at));
    match (&receipt.state, receipt.due_at) {
        // Once somebody has taken it up it is owed like any other, whenever it was due. Whoever does counts a version.
        (State::Pending { .. }, Some(due_at)) if receipt.version == 1 => Some((
            ReceiptPlace::Due(Offset::UTC.to_datetime(due_at).date()),
            due_at,
        )),
        (State::Pending { .. }, _) => Some((ReceiptPlace::Pending, due_at)),
        (State::Claimed { claim_ends_at, .. }, _) => {
            Some((ReceiptPlace::Claimed, due_at.max(*claim_ends_at)))
        }
        _ => None,
    }
}

fn oldest<Id: Ord + Clone>(
    rows: impl Iterator<Item = (Timestamp, Id)>,
    until: Timestamp,
    most: usize,
) -> Vec<sweep::Undone<Id>> {
    let mut rows: Vec<_> = rows.filter(|(since, _)| *since <= until).collect();
    rows.sort();
    rows.into_iter()
        .take(most)
        .map(|(since, id)| sweep::Undone { id, since })
        .collect()
}

fn take<Id: Ord + Clone>(
    swept: &mut BTreeMap<Id, Timestamp>,
    id: &Id,
    ready_at: Timestamp,
    attempts: u32,
    turn: &Turn,
) -> Taken {
    let before = swept.get(id).copied();
    if !turn.has_come(ready_at, attempts, before) {
        return Taken::NotNow;
    }
    swept.insert(id.clone(), turn.now);
    Taken::Now { before }
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

impl Subjects for World {
    async fn subjects(
        &self,
        state: EventState,
        most: usize,
    ) -> Result<Vec<Option<Subject>>, Setback> {
        self.look_up("events.subjects", |kept| {
            let stands_there = |shown: EventState| shown == state && state.is_listed();
            let events = kept
                .indexed_events()
                .filter(|(_, shown)| stands_there(*shown));
            let mut events: Vec<&StoredEvent> = events.map(|(event, _)| event).collect();
            events.sort_by_key(|event| event.received_at);
            events
                .iter()
                .take(most)
                .map(|event| event.subject.clone())
                .collect()
        })
        .await
    }
}

impl Waiting<EventState> for World {
    async fn count(&self, state: EventState, most: usize) -> Result<usize, Setback> {
        self.look_up("waiting.events", |kept| {
            let there = kept
                .indexed_events()
                .filter(|(_, shown)| *shown == state && state.is_listed());
            there.take(most).count()
        })
        .await
    }
}

impl Waiting<Standing> for World {
    async fn count(&self, standing: Standing, most: usize) -> Result<usize, Setback> {
        self.look_up("waiting.receipts", |kept| {
            kept.indexed_receipts()
                .filter(|receipt| kept_under(receipt) == Some(standing))
                .take(most)
                .count()
        })
        .await
    }
}

/// The index's key of a receipt, unless that is a day.
pub(super) fn kept_under(receipt: &Receipt) -> Option<Standing> {
    let is_due = matches!(receipt_lies_at(receipt), Some((ReceiptPlace::Due(_), _)));
    Some(receipt.state.standing()).filter(|standing| standing.is_waiting() && !is_due)
}

impl Sales for World {
    async fn oldest_sale(
        &self,
        state: EventState,
        most: usize,
    ) -> Result<Option<Timestamp>, Setback> {
        self.look_up("sales.oldest", |kept| {
            let events = kept
                .indexed_events()
                .filter(|(_, shown)| *shown == state && state.is_listed());
            let mut events: Vec<_> = events.map(|(event, _)| event).collect();
            events.sort_by_key(|event| event.received_at);
            let mut events = events.into_iter().take(most);
            let sale = events.find(|event| event.subject.as_ref().is_some_and(is_sale));
            sale.map(|event| event.received_at)
        })
        .await
    }
}

impl Undone<EventPlace> for World {
    async fn undone(
        &self,
        place: EventPlace,
        until: Timestamp,
        most: usize,
    ) -> Result<Vec<sweep::Undone<EventId>>, Setback> {
        let name = match place {
            EventPlace::Stored => "undone.stored",
            EventPlace::Committed => "undone.committed",
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

    async fn take(&self, place: EventPlace, id: &EventId, turn: &Turn) -> Result<Taken, Setback> {
        self.repeatable("undone.take_event", |Kept { events, swept, .. }| {
            let there = events
                .get(id)
                .filter(|event| lies_at(event.state) == Some(place));
            there.map_or(Taken::NotNow, |event| {
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
        _: EventPlace,
        id: &EventId,
        taken_at: Timestamp,
        before: Option<Timestamp>,
    ) -> Result<(), Setback> {
        self.repeatable("undone.give_back_event", |kept| {
            give_back(&mut kept.swept.events, id, taken_at, before);
        })
        .await
    }
}

impl Undone<ReceiptPlace> for World {
    async fn undone(
        &self,
        place: ReceiptPlace,
        until: Timestamp,
        most: usize,
    ) -> Result<Vec<sweep::Undone<ReceiptId>>, Setback> {
        let name = match place {
            ReceiptPlace::Pending => "undone.pending",
            ReceiptPlace::Claimed => "undone.claimed",
            ReceiptPlace::Due(_) => "undone.due",
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
        place: ReceiptPlace,
        id: &ReceiptId,
        turn: &Turn,
    ) -> Result<Taken, Setback> {
        self.repeatable(
            "undone.take_receipt",
            |Kept {
                 receipts, swept, ..
             }| {
                let Some(receipt) = receipts.get(id) else {
                    return Taken::NotNow;
                };
                match receipt_lies_at(receipt) {
                    Some((there, ready_at)) if there == place => {
                        take(&mut swept.receipts, id, ready_at, receipt.attempts, turn)
                    }
                    _ => Taken::NotNow,
                }
            },
        )
        .await
    }

    async fn give_back(
        &self,
        _: ReceiptPlace,
        id: &ReceiptId,
        taken_at: Timestamp,
        before: Option<Timestamp>,
    ) -> Result<(), Setback> {
        self.repeatable("undone.give_back_receipt", |kept| {
            give_back(&mut kept.swept.receipts, id, taken_at, before);
        })
        .await
    }
}
