//! Events once more: released, replayed, or dropped.
//!
//! An event goes back to `stored` and is queued; fulfillment decides it as if it had just come. What it has done already
//! it finds done. What is still doubtful is parked again.
//!
//! An event under `other-body:…` came under the id of another one, with another body. Fulfillment knows it by its own
//! key, so to release it means that its body counts as well: its facts merge with those of the first, as news of the
//! same things do, and nothing that the first has done is undone. Only [`release`] does that, one event at a time: no
//! range of time says that somebody has looked at it. Nor does one say so of what is parked, which a person may have dealt
//! with by hand.

use crate::{NAMED, TRIES, names, note::Note, pace::Pace};
use domain::{
    delivery::{
        event::{Change, Reading},
        job::FulfillmentJob,
        stored_event::{EventState, StoredEvent},
    },
    ports::{Changed, EventAdmin, Events, Queue, Reopening, Search},
    values::{ids::EventId, outcome::RetryableError, provider::Provider},
};
use std::{collections::BTreeMap, fmt};

/// What becomes, or would become, of an event that is to be decided anew.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Again {
    /// It is stored again, and queued.
    Reopened {
        /// Where it stood before.
        from: EventState,
    },
    /// It has not come to an end: it only needed a message, and has one more now.
    Queued {
        /// Where it stands.
        state: EventState,
    },
    /// Nothing is done about it.
    Left(Left),
}

/// Why an event is left as it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Left {
    /// There is none of that id.
    Unknown,
    /// Only what is parked is released.
    NotParked(EventState),
    /// Only what is parked or stored is dropped.
    NotOpen(EventState),
    /// Its effects are written: it only has to be passed on.
    Committed,
    /// It waits for a person, who may have done by hand what it asks for. Release it, or ask for what is parked as well.
    Parked,
    /// Somebody has dropped it. Replay it by its id if it is wanted after all.
    Dropped,
    /// Another body under an id that is taken. Release it by its own id if it counts as well.
    OtherBody,
    /// This version does nothing with such a body. Drop it if it is parked.
    NotActedOn,
    /// Somebody else changes it all the time.
    Contended,
}

/// What dropping an event came to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Dropped {
    /// It is dropped now.
    Now {
        /// Where it stood before.
        from: EventState,
    },
    /// Somebody had dropped it.
    Before,
    /// It is not dropped.
    Left(Left),
}

/// On whose word an event is decided anew.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Ask {
    /// A person has looked at what it is parked for.
    Release,
    /// A person has named it.
    Replay,
    /// It lies in a range of time.
    Range {
        /// Of which what is parked is wanted as well.
        parked: bool,
    },
}

impl Ask {
    fn word(self) -> &'static str {
        match self {
            Self::Release => "released it",
            Self::Replay | Self::Range { .. } => "replayed it",
        }
    }
}

/// What is to be done about an event as it is: its fate, and what it says, as it is read today.
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
    let reading = match event.provider {
        Provider::Flex => flex::read(&event.body),
    };
    match reading {
        Reading::Event(read) if !matches!(read.change, Change::NotNeeded | Change::Unhandled) => {
            Ok(Some(read))
        }
        Reading::Event(_) | Reading::Unreadable(_) => Err(Left::NotActedOn),
    }
}

/// Has a parked event decided anew.
///
/// Doing it twice, or by two operators at once, queues it twice, and what it stands for is done once.
pub async fn release(
    events: &(impl Events + EventAdmin),
    queue: &impl Queue<FulfillmentJob>,
    id: &EventId,
    note: &Note,
) -> Result<Again, RetryableError> {
    by_id(events, queue, id, Ask::Release, note).await
}

/// Has an event decided anew, wherever it stands: a processed one finds itself done, and one of a type that an older
/// version did not know is acted on.
pub async fn replay(
    events: &(impl Events + EventAdmin),
    queue: &impl Queue<FulfillmentJob>,
    id: &EventId,
    note: &Note,
) -> Result<Again, RetryableError> {
    by_id(events, queue, id, Ask::Replay, note).await
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

/// Carries out what is planned, and plans anew where somebody else was faster.
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
                    note: note.line(ask.word()),
                };
                let changed = events.reopen(&reopening).await?;
                (changed == Changed::Now).then_some(Again::Reopened { from })
            }
        };
        if let Some(done) = done {
            queue.send(&FulfillmentJob::V1 { event_id }).await?;
            return Ok(done);
        }
        let Some(now_there) = events.event(&event_id).await? else {
            return Ok(Again::Left(Left::Unknown));
        };
        event = now_there;
    }
    Ok(Again::Left(Left::Contended))
}

/// Drops an event that is parked, or that comes to no end: nothing comes of it, and the note says why.
///
/// It is kept as long as what is done. Whether it is dropped or worked on is decided by its row, so never both.
pub async fn drop_event(
    events: &(impl Events + EventAdmin),
    id: &EventId,
    note: &Note,
) -> Result<Dropped, RetryableError> {
    for _ in 0..TRIES {
        let Some(event) = events.event(id).await? else {
            return Ok(Dropped::Left(Left::Unknown));
        };
        let from = match event.state {
            state @ (EventState::Parked | EventState::Stored) => state,
            EventState::Dropped => return Ok(Dropped::Before),
            EventState::Committed => return Ok(Dropped::Left(Left::Committed)),
            state => return Ok(Dropped::Left(Left::NotOpen(state))),
        };
        if events
            .drop_event(id, from, &note.line("dropped it"), note.at())
            .await?
            == Changed::Now
        {
            return Ok(Dropped::Now { from });
        }
    }
    Ok(Dropped::Left(Left::Contended))
}

/// How far a replay goes in one run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Bounds {
    /// Only says what would be done.
    pub dry_run: bool,
    /// Decides anew what is parked as well, whatever somebody may have done about it by hand.
    pub parked: bool,
    /// So many events at most.
    pub events: usize,
    /// So many pages of the table at most. Each costs the reading of 500 rows, bodies and all, or of a megabyte if that is
    /// less: a gigabyte of events is about 131,000 read units.
    pub pages: usize,
    /// Goes on where an earlier run ended: its [`Replayed::cursor`].
    pub after: Option<EventId>,
}

/// What a replay of many came to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Replayed {
    /// Whether nothing was done, and this is what would be.
    pub dry_run: bool,
    /// What became of how many.
    pub counts: BTreeMap<Again, usize>,
    /// The first ones that are decided anew.
    pub first: Vec<EventId>,
    /// Those that this version cannot read, and left alone.
    pub unreadable: Vec<EventId>,
    /// Whether all of the table has been looked at.
    pub complete: bool,
    /// Where to go on if not: after this one, or at the beginning.
    pub cursor: Option<EventId>,
    /// What stopped it. What is counted was done all the same.
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

    /// How many events are decided anew.
    #[must_use]
    pub fn replayed(&self) -> usize {
        let again = self
            .counts
            .iter()
            .filter(|(again, _)| !matches!(again, Again::Left(_)));
        again.map(|(_, count)| count).sum()
    }
}

/// Has all events of a range of time, and perhaps of one type, decided anew: those that are done find themselves done.
///
/// What somebody has dropped, other bodies under an id that is taken, and unless it is asked for what is parked, are left
/// alone: that an event lies in a range does not say that somebody has looked at it. Reads the table from end to
/// end, in no order that means anything; a run that ends early says where the next one goes on.
pub async fn replay_range(
    events: &(impl Events + EventAdmin),
    queue: &impl Queue<FulfillmentJob>,
    search: &Search,
    bounds: &Bounds,
    pace: &mut Pace,
    note: &Note,
) -> Replayed {
    let mut replayed = Replayed {
        dry_run: bounds.dry_run,
        counts: BTreeMap::new(),
        first: Vec::new(),
        unreadable: Vec::new(),
        complete: false,
        cursor: bounds.after.clone(),
        stopped: None,
    };
    let run = run(events, queue, search, bounds, pace, note, &mut replayed).await;
    replayed.stopped = run.err();
    replayed
}

async fn run(
    events: &(impl Events + EventAdmin),
    queue: &impl Queue<FulfillmentJob>,
    search: &Search,
    bounds: &Bounds,
    pace: &mut Pace,
    note: &Note,
    replayed: &mut Replayed,
) -> Result<(), RetryableError> {
    let ask = Ask::Range {
        parked: bounds.parked,
    };
    let mut left = bounds.events;
    for _ in 0..bounds.pages {
        let found = events.search(search, replayed.cursor.as_ref()).await?;
        for event in found.events {
            if left == 0 {
                return Ok(());
            }
            left -= 1;
            let (id, state) = (event.event_id.clone(), event.state);
            let again = match plan(&event, ask) {
                Err(left) => Again::Left(left),
                Ok(None) if bounds.dry_run => Again::Queued { state },
                Ok(Some(_)) if bounds.dry_run => Again::Reopened { from: state },
                Ok(_) => {
                    pace.turn().await;
                    once_more(events, queue, event, ask, note).await?
                }
            };
            replayed.count(id, again);
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
            Self::Reopened { from } => write!(f, "decided anew, was {from}"),
            Self::Queued { state } => write!(f, "queued again, is {state}"),
            Self::Left(left) => left.fmt(f),
        }
    }
}

impl fmt::Display for Left {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unknown => f.write_str("no such event"),
            Self::NotParked(state) => write!(f, "left: it is {state}, not parked"),
            Self::NotOpen(state) => write!(f, "left: it is {state}, and that is its end"),
            Self::Committed => {
                f.write_str("left: its effects are written, replay it to pass them on")
            }
            Self::Parked => f.write_str("left: it is parked, for a person"),
            Self::Dropped => f.write_str("left: somebody has dropped it"),
            Self::OtherBody => {
                f.write_str("left: another body under an id that is taken, for a person")
            }
            Self::NotActedOn => f.write_str("left: this version does nothing with it"),
            Self::Contended => f.write_str("left: somebody else changes it all the time"),
        }
    }
}

impl fmt::Display for Dropped {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Now { from } => write!(f, "dropped, was {from}"),
            Self::Before => f.write_str("somebody had dropped it before"),
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
            names(
                f,
                self.unreadable.get(..NAMED).unwrap_or(&self.unreadable),
                self.unreadable.len(),
            )?;
        }
        if let Some(error) = &self.stopped {
            write!(f, "\nstopped: {error}")?;
        }
        match (&self.cursor, self.complete) {
            (_, true) => Ok(()),
            (Some(cursor), false) => write!(f, "\nthere may be more: go on after {cursor}"),
            (None, false) => f.write_str("\nthere may be more: go on from the beginning"),
        }
    }
}
