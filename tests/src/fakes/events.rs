//! The Events table.

use super::{Kept, World};
use domain::{
    announcement::{Batch, event},
    delivery::stored_event::{EventState, StoredEvent},
    ports::{Changed, EventAdmin, Events, Found, Recorded, Reopening, Search, Settlement},
    testing::read_back,
    values::{
        class::Class, facts::whole_second, ids::EventId, note::Noted, outcome::RetryableError,
    },
};
use jiff::Timestamp;

impl Events for World {
    async fn record(&self, event: &StoredEvent) -> Result<Recorded, RetryableError> {
        self.repeatable("events.record", |kept| {
            match kept.events.get(&event.event_id) {
                None => {
                    let row = StoredEvent {
                        received_at: whole_second(event.received_at),
                        ..event.clone()
                    };
                    kept.tables.announce(event::recorded(&row).as_ref());
                    kept.events.insert(event.event_id.clone(), row);
                    Recorded::First
                }
                Some(there) if there.fingerprint == event.fingerprint => {
                    Recorded::Again(there.state)
                }
                Some(there) => Recorded::OtherBody {
                    state: there.state,
                    body: there.body.clone(),
                },
            }
        })
        .await
    }

    async fn event(&self, id: &EventId) -> Result<Option<StoredEvent>, RetryableError> {
        self.look_up("events.event", |kept| {
            if kept.unreadable.contains(id) {
                return Err(RetryableError::Fault(
                    "an item of Events does not have its shape".to_owned(),
                ));
            }
            Ok(kept.events.get(id).cloned())
        })
        .await?
    }

    async fn settle(
        &self,
        id: &EventId,
        settlement: &Settlement,
        _: Timestamp,
    ) -> Result<Changed, RetryableError> {
        self.repeatable("events.settle", |kept| {
            let Some(event) = kept.events.get_mut(id) else {
                return Changed::Raced;
            };
            match settlement {
                Settlement::Processed if event.state.is_unfinished() => {
                    event.state = EventState::Processed;
                    (event.reason, event.class) = (None, None);
                    Changed::Now
                }
                Settlement::Parked {
                    class,
                    reason,
                    announced,
                } if event.state == EventState::Stored => {
                    event.state = EventState::Parked;
                    (event.reason, event.class) = (Some(reason.clone()), Some(*class));
                    kept.tables.announce(announced.as_ref());
                    Changed::Now
                }
                Settlement::NotNeeded { reason } if event.state == EventState::Stored => {
                    event.state = EventState::NotNeeded;
                    (event.reason, event.class) = (Some(reason.clone()), None);
                    Changed::Now
                }
                Settlement::Processed
                | Settlement::NotNeeded { .. }
                | Settlement::Parked { .. } => Changed::Raced,
            }
        })
        .await
    }

    async fn note_failure(
        &self,
        id: &EventId,
        class: Class,
        reason: &str,
    ) -> Result<(), RetryableError> {
        self.repeatable("events.note_failure", |kept| {
            if let Some(event) = kept
                .events
                .get_mut(id)
                .filter(|event| event.state.is_unfinished())
            {
                (event.reason, event.class) = (Some(reason.to_owned()), Some(class));
                event.attempts += 1;
            }
        })
        .await
    }
}

/// Changes an event and adds a note, if the event has the seen state and notes.
fn noted(
    kept: &mut Kept,
    seen: &StoredEvent,
    note: &Noted,
    change: impl FnOnce(&mut StoredEvent),
) -> Changed {
    let event = kept.events.get_mut(&seen.event_id);
    let is_seen = |event: &&mut StoredEvent| event.state == seen.state && event.notes == seen.notes;
    let Some(event) = event.filter(is_seen) else {
        return Changed::Raced;
    };
    change(event);
    event.notes = read_back(&event.notes.with(note.clone()));
    Changed::Now
}

/// How many rows a search looks at: few, so that there are many pages.
const ROWS_A_PAGE: usize = 7;

impl EventAdmin for World {
    async fn reopen_event(&self, reopening: &Reopening) -> Result<Changed, RetryableError> {
        self.repeatable("event_desk.reopen", |kept| {
            let event = kept.events.get_mut(&reopening.event_id);
            let is_seen = |event: &&mut StoredEvent| {
                event.state == reopening.from && event.notes == reopening.seen
            };
            let Some(event) = event.filter(is_seen) else {
                return Changed::Raced;
            };
            event.state = EventState::Stored;
            event.attempts = 0;
            event.notes = read_back(&event.notes.with(reopening.note.clone()));
            event.event_type = reopening.event_type.clone().or(event.event_type.take());
            event.occurred_at = reopening.occurred_at.or(event.occurred_at);
            kept.tables.announce(reopening.announced.as_ref());
            kept.swept.events.remove(&reopening.event_id);
            Changed::Now
        })
        .await
    }

    async fn drop_event(
        &self,
        seen: &StoredEvent,
        note: &Noted,
        announced: Option<&Batch>,
        _: Timestamp,
    ) -> Result<Changed, RetryableError> {
        self.repeatable("event_desk.drop_event", |kept| {
            let dropped = noted(kept, seen, note, |event| event.state = EventState::Dropped);
            if dropped == Changed::Now {
                kept.tables.announce(announced);
            }
            dropped
        })
        .await
    }

    async fn blank_event(
        &self,
        seen: &StoredEvent,
        note: &Noted,
    ) -> Result<Changed, RetryableError> {
        self.repeatable("event_desk.blank_event", |kept| {
            noted(kept, seen, note, |event| event.body.clear())
        })
        .await
    }

    async fn note_event(
        &self,
        seen: &StoredEvent,
        note: &Noted,
    ) -> Result<Changed, RetryableError> {
        self.repeatable("event_desk.note_event", |kept| {
            noted(kept, seen, note, |_| ())
        })
        .await
    }

    async fn search(
        &self,
        search: &Search,
        after: Option<&EventId>,
    ) -> Result<Found, RetryableError> {
        self.look_up("event_desk.search", |kept| {
            let looked_at =
                |event: &&StoredEvent| after.is_none_or(|after| event.event_id > *after);
            let mut rows = kept.events.values().filter(looked_at);
            let page: Vec<&StoredEvent> = rows.by_ref().take(ROWS_A_PAGE).collect();
            let is_wanted = |event: &&StoredEvent| {
                (search.since..search.before).contains(&event.received_at)
                    && (search.event_type.is_none() || search.event_type == event.event_type)
            };
            // As DynamoDB does it: a full page says where it ends, even if nothing comes after.
            let next = page
                .last()
                .filter(|_| page.len() == ROWS_A_PAGE)
                .map(|event| event.event_id.clone());
            let found = page.into_iter().filter(is_wanted).cloned();
            let (unreadable, events): (Vec<_>, Vec<_>) =
                found.partition(|event| kept.unreadable.contains(&event.event_id));
            Found {
                events,
                unreadable: unreadable.into_iter().map(|event| event.event_id).collect(),
                next,
            }
        })
        .await
    }
}
