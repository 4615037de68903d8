//! Releases, replays or drops events.
//!
//! A released or replayed event returns to `stored` and is queued; fulfillment decides it like a
//! new event. Effects that are already committed are found done. If the park reason still holds,
//! the event is parked again.
//!
//! An event with a key `other-body:…` is a second body under the id of another event. Its release
//! means that its facts count too. They merge with the first event's facts, like facts of any two
//! events; no effect of the first is undone. Only [`release`] does that, for one event at a time,
//! because a time range does not prove that an operator has looked at the event. A range skips
//! parked events for the same reason: an operator may have handled them by hand.

use crate::{NAMED, TRIES, contended, names, note::Note, pace::Pace};
use domain::{
    announcement::event,
    delivery::{
        event::{Change, Reading},
        job::FulfillmentJob,
        stored_event::{EventState, StoredEvent},
    },
    ports::{Changed, EventAdmin, Events, Queue, Reopening, Search},
    values::{ids::EventId, note::Action, outcome::RetryableError},
};
use std::{collections::BTreeMap, fmt};

/// The result of a release or replay.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Again {
    /// The event is stored again, and queued.
    Reopened {
        /// The state before.
        from: EventState,
    },
    /// The event was unfinished and needed only a message; it has one more now.
    Queued { state: EventState },
    /// Unchanged, for this reason.
    Left(Left),
}

/// The reason why an event is left unchanged.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Left {
    /// There is no event with this id.
    Unknown,
    /// Only a parked event can be released.
    NotParked(EventState),
    /// Only a parked or stored event can be dropped.
    NotOpen(EventState),
    /// The effects are committed; only handoffs may be unsent.
    Committed,
    /// It waits for an operator, who may have handled it by hand. Release it, or include parked
    /// events.
    Parked,
    /// An operator dropped it. Replay it by id if it is needed after all.
    Dropped,
    /// A second body under a known id. Release it by its key if it counts too.
    OtherBody,
    /// This version does not act on such a body. Drop it if it is parked.
    NotActedOn,
    /// Other writers changed it on every attempt.
    Contended,
}

/// The result of dropping an event.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Dropped {
    /// Dropped by this call.
    Now {
        /// The state before.
        from: EventState,
    },
    /// Dropped earlier.
    Before,
    /// Unchanged, for this reason.
    Left(Left),
}

/// The kind of request for a new decision.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ask {
    /// An operator has looked at the park reason.
    Release,
    /// An operator has named the event.
    Replay,
    /// The event lies in a time range.
    Range {
        /// True if parked events are included.
        parked: bool,
    },
}

impl Ask {
    fn action(self) -> Action {
        match self {
            Self::Release => Action::Released,
            Self::Replay | Self::Range { .. } => Action::Replayed,
        }
    }
}

/// Plans a new decision: the event as it reads today, or `None` if it only needs a message.
fn plan(
    event: &StoredEvent,
    ask: Ask,
) -> Result<Option<Box<domain::delivery::event::Event>>, Left> {
    match (event.state, ask) {
        (EventState::Stored | EventState::Committed, _) => return Ok(None),
        (_, Ask::Range { .. }) if event.event_id.is_other_body() => return Err(Left::OtherBody),
        (EventState::Parked, Ask::Range { parked: false }) => return Err(Left::Parked),
        (EventState::Dropped, Ask::Range { .. }) => return Err(Left::Dropped),
        (EventState::Parked, Ask::Release) | (_, Ask::Replay | Ask::Range { .. }) => {}
        (state, Ask::Release) => return Err(Left::NotParked(state)),
    }
    match providers::read(&event.provider, &event.body) {
        Reading::Event(read) if !matches!(read.change, Change::NotNeeded | Change::Unhandled) => {
            Ok(Some(read))
        }
        Reading::Event(_) | Reading::Unreadable(_) => Err(Left::NotActedOn),
    }
}

/// Queues a parked event for a new decision.
///
/// Two releases, repeated or concurrent, queue it twice; its effects still happen once.
pub async fn release(
    events: &(impl Events + EventAdmin),
    queue: &impl Queue<FulfillmentJob>,
    id: &EventId,
    note: &Note,
) -> Result<Again, RetryableError> {
    by_id(events, queue, id, Ask::Release, note).await
}

/// Queues an event in any state for a new decision. A processed event finds its effects done; an
/// event of a type that an older version did not know is acted on.
pub async fn replay(
    events: &(impl Events + EventAdmin),
    queue: &impl Queue<FulfillmentJob>,
    id: &EventId,
    note: &Note,
) -> Result<Again, RetryableError> {
    by_id(events, queue, id, Ask::Replay, note).await
}

/// The result that a release or replay of this event would have now. Nothing changes.
pub async fn preview(
    events: &impl Events,
    id: &EventId,
    ask: Ask,
) -> Result<Again, RetryableError> {
    Ok(match events.event(id).await? {
        Some(event) => would(&event, ask),
        None => Again::Left(Left::Unknown),
    })
}

/// The result that dropping this event would have now. Nothing changes.
pub async fn preview_drop(events: &impl Events, id: &EventId) -> Result<Dropped, RetryableError> {
    let event = events.event(id).await?;
    Ok(droppable(event.as_ref()).map_or_else(|end| end, |(_, from)| Dropped::Now { from }))
}

/// The event and the state from which it can be dropped, or the reason why it cannot.
fn droppable(event: Option<&StoredEvent>) -> Result<(&StoredEvent, EventState), Dropped> {
    let event = event.ok_or(Dropped::Left(Left::Unknown))?;
    match event.state {
        state @ (EventState::Parked | EventState::Stored) => Ok((event, state)),
        EventState::Dropped => Err(Dropped::Before),
        EventState::Committed => Err(Dropped::Left(Left::Committed)),
        state => Err(Dropped::Left(Left::NotOpen(state))),
    }
}

async fn by_id(
    events: &(impl Events + EventAdmin),
    queue: &impl Queue<FulfillmentJob>,
    id: &EventId,
    ask: Ask,
    note: &Note,
) -> Result<Again, RetryableError> {
    match events.event(id).await? {
        Some(event) => once_more(events, queue, event, ask, note).await,
        None => Ok(Again::Left(Left::Unknown)),
    }
}

/// Carries out the plan, and plans again if another writer changed the row.
async fn once_more(
    events: &(impl Events + EventAdmin),
    queue: &impl Queue<FulfillmentJob>,
    mut event: StoredEvent,
    ask: Ask,
    note: &Note,
) -> Result<Again, RetryableError> {
    for _ in 0..TRIES {
        let (event_id, from) = (event.event_id.clone(), event.state);
        let done = match plan(&event, ask) {
            Err(left) => return Ok(Again::Left(left)),
            Ok(None) => Some(Again::Queued { state: from }),
            Ok(Some(read)) => {
                let reopening = Reopening {
                    event_id: event_id.clone(),
                    from,
                    event_type: Some(read.event_type),
                    occurred_at: read.occurred_at,
                    seen: event.notes.clone(),
                    note: note.did(ask.action()),
                    announced: event::released(&event, note.at()),
                };
                let changed = events.reopen_event(&reopening).await?;
                (changed == Changed::Now).then_some(Again::Reopened { from })
            }
        };
        if let Some(done) = done {
            queue.send(&FulfillmentJob::V1 { event_id }).await?;
            return Ok(done);
        }
        let Some(current) = events.event(&event_id).await? else {
            return Ok(Again::Left(Left::Unknown));
        };
        event = current;
    }
    Ok(Again::Left(Left::Contended))
}

/// Drops an event that is parked or unfinished: it has no effects, and the note states the reason.
///
/// It is kept as long as a processed event. The row decides between dropping and processing, so
/// never both happen.
pub async fn drop_event(
    events: &(impl Events + EventAdmin),
    id: &EventId,
    note: &Note,
) -> Result<Dropped, RetryableError> {
    for _ in 0..TRIES {
        let event = events.event(id).await?;
        let (seen, from) = match droppable(event.as_ref()) {
            Ok(droppable) => droppable,
            Err(end) => return Ok(end),
        };
        let announced = event::dropped(seen, note.at());
        let noted = note.did(Action::Dropped);
        let dropped = events.drop_event(seen, &noted, announced.as_ref(), note.at());
        if dropped.await? == Changed::Now {
            return Ok(Dropped::Now { from });
        }
    }
    Ok(Dropped::Left(Left::Contended))
}

/// Reads an event with its body, which holds personal data, and leaves a note about that first; `None` if there is none.
pub async fn read_body(
    events: &(impl Events + EventAdmin),
    id: &EventId,
    note: &Note,
) -> Result<Option<StoredEvent>, RetryableError> {
    for _ in 0..TRIES {
        let Some(event) = events.event(id).await? else {
            return Ok(None);
        };
        let noted = note.did(Action::BodyRead);
        if events.note_event(&event, &noted).await? == Changed::Now {
            return Ok(Some(event));
        }
    }
    Err(contended("the event"))
}

/// The limits of one replay run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Bounds {
    /// Only reports the plan.
    pub dry_run: bool,
    /// Includes parked events, even if an operator handled them by hand.
    pub parked: bool,
    /// The most events.
    pub events: usize,
    /// The most pages of the table. Each page reads 500 rows with their bodies, or a megabyte if
    /// that is less: a gigabyte of events costs about 131,000 read units.
    pub pages: usize,
    /// Continues where an earlier run ended: its [`Replayed::cursor`].
    pub after: Option<EventId>,
}

/// The result of a replay run.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Replayed {
    /// True if nothing was changed and the numbers show the plan.
    pub dry_run: bool,
    /// Number of events by result.
    pub counts: BTreeMap<Again, usize>,
    /// The first replayed events.
    pub first: Vec<EventId>,
    /// Events from a newer version, which this version cannot read and skipped.
    pub unreadable: Vec<EventId>,
    /// True if the whole table was read.
    pub complete: bool,
    /// Otherwise the place to continue: after this event, or from the beginning.
    pub cursor: Option<EventId>,
    /// The error that stopped the run. The counted events were handled before it.
    pub stopped: Option<RetryableError>,
}

impl Replayed {
    fn count(&mut self, id: EventId, again: Again) {
        *self.counts.entry(again).or_default() += 1;
        if self.first.len() < NAMED && !matches!(again, Again::Left(_)) {
            self.first.push(id.clone());
        }
        self.cursor = Some(id);
    }

    /// Number of replayed events.
    #[must_use]
    pub fn replayed(&self) -> usize {
        let again = self
            .counts
            .iter()
            .filter(|(again, _)| !matches!(again, Again::Left(_)));
        again.map(|(_, count)| count).sum()
    }
}

/// Queues all events of a time range, optionally of one type, for a new decision. Processed events
/// find their effects done.
///
/// Dropped events and second bodies are skipped, and so are parked events unless included. A time
/// range does not prove that an operator has looked at an event. The run reads the whole table, in
/// no meaningful order. A run that ends early reports where the next one continues.
pub async fn replay_range(
    events: &(impl Events + EventAdmin),
    queue: &impl Queue<FulfillmentJob>,
    search: &Search,
    bounds: &Bounds,
    pace: &mut Pace,
    note: &Note,
) -> Replayed {
    replay_until(events, queue, search, bounds, pace, note, &mut |_| false).await
}

/// As [`replay_range`], until `is_over` says so, which is asked after each event.
pub async fn replay_until(
    events: &(impl Events + EventAdmin),
    queue: &impl Queue<FulfillmentJob>,
    search: &Search,
    bounds: &Bounds,
    pace: &mut Pace,
    note: &Note,
    is_over: &mut (dyn FnMut(&Replayed) -> bool + Send),
) -> Replayed {
    let mut replayed = Replayed {
        dry_run: bounds.dry_run,
        cursor: bounds.after.clone(),
        ..Replayed::default()
    };
    let ports = (events, queue);
    let run = run(ports, search, bounds, pace, note, is_over, &mut replayed);
    replayed.stopped = run.await.err();
    replayed
}

/// The result that a request would have now.
fn would(event: &StoredEvent, ask: Ask) -> Again {
    let state = event.state;
    match plan(event, ask) {
        Err(left) => Again::Left(left),
        Ok(None) => Again::Queued { state },
        Ok(Some(_)) => Again::Reopened { from: state },
    }
}

async fn run(
    (events, queue): (&(impl Events + EventAdmin), &impl Queue<FulfillmentJob>),
    search: &Search,
    bounds: &Bounds,
    pace: &mut Pace,
    note: &Note,
    is_over: &mut (dyn FnMut(&Replayed) -> bool + Send),
    replayed: &mut Replayed,
) -> Result<(), RetryableError> {
    let parked = bounds.parked;
    let ask = Ask::Range { parked };
    let mut left = bounds.events;
    for _ in 0..bounds.pages {
        let found = events.search(search, replayed.cursor.as_ref()).await?;
        for event in found.events {
            if left == 0 {
                return Ok(());
            }
            left -= 1;
            let id = event.event_id.clone();
            let mut again = would(&event, ask);
            if !bounds.dry_run && !matches!(again, Again::Left(_)) {
                pace.turn().await;
                again = once_more(events, queue, event, ask, note).await?;
            }
            replayed.count(id, again);
            if is_over(replayed) {
                return Ok(());
            }
        }
        replayed.unreadable.extend(found.unreadable);
        let Some(next) = found.next else {
            replayed.complete = true;
            return Ok(());
        };
        replayed.cursor = Some(next);
    }
    Ok(())
}

impl fmt::Display for Again {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Reopened { from } => write!(f, "reopened, was {from}"),
            Self::Queued { state } => write!(f, "queued again, is {state}"),
            Self::Left(left) => left.fmt(f),
        }
    }
}

impl fmt::Display for Left {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unknown => f.write_str("no such event"),
            Self::NotParked(state) => write!(f, "unchanged: the event is {state}, not parked"),
            Self::NotOpen(state) => write!(f, "unchanged: the event is already {state}"),
            Self::Committed => {
                f.write_str("unchanged: its effects are committed; replay it to send its handoffs")
            }
            Self::Parked => f.write_str("unchanged: parked, for an operator to release"),
            Self::Dropped => f.write_str("unchanged: dropped by an operator"),
            Self::OtherBody => {
                f.write_str("unchanged: a second body under a known id, for an operator to release")
            }
            Self::NotActedOn => f.write_str("unchanged: this version does not act on it"),
            Self::Contended => {
                f.write_str("unchanged: other writers change it too often; try again")
            }
        }
    }
}

impl fmt::Display for Dropped {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Now { from } => write!(f, "dropped, was {from}"),
            Self::Before => f.write_str("dropped before"),
            Self::Left(left) => left.fmt(f),
        }
    }
}

impl fmt::Display for Replayed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let replayed = self.replayed();
        write!(
            f,
            "{replayed} events {}",
            if self.dry_run {
                "would be replayed"
            } else {
                "replayed"
            }
        )?;
        names(f, &self.first, replayed)?;
        for (again, count) in &self.counts {
            write!(f, "\n  {count} {again}")?;
        }
        if !self.unreadable.is_empty() {
            write!(
                f,
                "\n  {} left: written by a newer version",
                self.unreadable.len()
            )?;
            names(f, &self.unreadable, self.unreadable.len())?;
        }
        if let Some(error) = &self.stopped {
            write!(f, "\nstopped: {error}")?;
        }
        match (&self.cursor, self.complete) {
            (_, true) => Ok(()),
            (Some(cursor), false) => write!(f, "\nthere may be more: continue after {cursor}"),
            (None, false) => f.write_str("\nthere may be more: continue from the beginning"),
        }
    }
}
