//! What waits: for a person, or for longer than it should.

use domain::{
    delivery::stored_event::{EventState, StoredEvent},
    ports::{Backlogs, DeadLetters, EventAdmin, Events, ReceiptAdmin, Receipts},
    receipt::{Receipt, ReceiptState, ReceiptStatus},
    upkeep::sweep::ReceiptBacklog,
    values::{
        class::Class,
        ids::{EventId, ReceiptId},
        outcome::RetryableError,
    },
};
use jiff::{Timestamp, ToSpan, tz::Offset};
use std::fmt;

/// How many days back mails are looked for that were to be sent on a day.
const DAYS_BACK: i64 = 90;

/// An event that waits, without its body, which holds personal data.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EventRow {
    /// Which.
    pub event_id: EventId,
    /// Of which type, where it could be read.
    pub event_type: Option<String>,
    /// Since when it is here.
    pub first_seen: Timestamp,
    /// Where it stands.
    pub state: EventState,
    /// What kind of doubt or failure it is in.
    pub class: Option<Class>,
    /// In its own words.
    pub reason: Option<String>,
    /// How often it was tried in vain.
    pub attempts: u32,
    /// What an operator did last about it.
    pub note: Option<String>,
}

impl From<StoredEvent> for EventRow {
    fn from(event: StoredEvent) -> Self {
        Self {
            event_id: event.event_id,
            event_type: event.event_type,
            first_seen: event.received_at,
            state: event.state,
            class: event.class,
            reason: event.reason,
            attempts: event.attempts,
            note: event.note,
        }
    }
}

/// A receipt that waits.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ReceiptRow {
    /// Which.
    pub receipt_id: ReceiptId,
    /// Its version, to name when it is sent again.
    pub version: u64,
    /// Since when it is owed.
    pub created_at: Timestamp,
    /// When it was to be sent, if that was not at once.
    pub due_at: Option<Timestamp>,
    /// Where it stands.
    pub standing: ReceiptStatus,
    /// Why.
    pub reason: Option<String>,
    /// How often it was claimed.
    pub attempts: u32,
    /// What an operator did last about it.
    pub note: Option<String>,
}

impl From<Receipt> for ReceiptRow {
    fn from(receipt: Receipt) -> Self {
        let standing = receipt.state.standing();
        let reason = match receipt.state {
            ReceiptState::Unsent { reason } => reason,
            ReceiptState::Failed { reason } | ReceiptState::Withdrawn { reason } => Some(reason),
            ReceiptState::Leased { .. } | ReceiptState::Sent { .. } | ReceiptState::Held => None,
        };
        Self {
            receipt_id: receipt.receipt_id,
            version: receipt.version,
            created_at: receipt.created_at,
            due_at: receipt.due_at,
            standing,
            reason,
            attempts: receipt.attempts,
            note: receipt.note,
        }
    }
}

/// All that waits.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Overview {
    /// Events that a person must decide, oldest first.
    pub parked: Vec<EventRow>,
    /// Events that came long ago and have not come to an end, oldest first.
    pub stuck: Vec<EventRow>,
    /// Mails that have been owed for long, oldest first.
    pub unsent: Vec<ReceiptRow>,
    /// Mails that a person must decide, oldest first.
    pub held: Vec<ReceiptRow>,
    /// Mails that nobody can send as they are, oldest first.
    pub failed: Vec<ReceiptRow>,
    /// The events and receipts among all those that this version cannot read, since a newer one has written them.
    pub unreadable: Vec<String>,
    /// About how many messages fulfillment gave up on.
    pub fulfillment_dead_letters: u64,
    /// About how many messages receipts gave up on.
    pub receipt_dead_letters: u64,
    /// About how many messages feedback gave up on.
    pub feedback_dead_letters: u64,
}

/// A row, where this version can read it. One that a newer version has written must not hide the others.
fn readable<T>(
    id: &impl fmt::Display,
    read: Result<Option<T>, RetryableError>,
    unreadable: &mut Vec<String>,
) -> Result<Option<T>, RetryableError> {
    match read {
        Err(RetryableError::Fault(_)) => {
            unreadable.push(id.to_string());
            Ok(None)
        }
        read => read,
    }
}

/// The events that stand there, oldest first. The index leads to them, their rows say whether it is still so: one read
/// for each.
async fn standing(
    events: &(impl Events + EventAdmin),
    state: EventState,
    most: usize,
    unreadable: &mut Vec<String>,
) -> Result<Vec<EventRow>, RetryableError> {
    let mut rows = Vec::new();
    for id in events.waiting(state, most).await? {
        let event = readable(&id, events.event(&id).await, unreadable)?;
        rows.extend(
            event
                .filter(|event| event.state == state)
                .map(EventRow::from),
        );
    }
    Ok(rows)
}

/// The events that a person must decide: the oldest, so many at most. What cannot be read is left out; [`overview`]
/// names it.
pub async fn parked(
    events: &(impl Events + EventAdmin),
    most: usize,
) -> Result<Vec<EventRow>, RetryableError> {
    standing(events, EventState::Parked, most, &mut Vec::new()).await
}

/// The events that came before then and have not come to an end: the oldest, so many at most of either state.
async fn stuck(
    events: &(impl Events + EventAdmin),
    before: Timestamp,
    most: usize,
    unreadable: &mut Vec<String>,
) -> Result<Vec<EventRow>, RetryableError> {
    let mut rows = standing(events, EventState::Stored, most, unreadable).await?;
    rows.extend(standing(events, EventState::Committed, most, unreadable).await?);
    rows.retain(|row| row.first_seen < before);
    rows.sort_by(|a, b| (a.first_seen, &a.event_id).cmp(&(b.first_seen, &b.event_id)));
    Ok(rows)
}

/// The receipts that stand there: the oldest, so many at most. What cannot be read is left out; [`overview`] names it.
pub async fn receipts(
    rows: &(impl Receipts + ReceiptAdmin),
    standing: ReceiptStatus,
    most: usize,
) -> Result<Vec<ReceiptRow>, RetryableError> {
    readable_receipts(rows, standing, most, &mut Vec::new()).await
}

async fn readable_receipts(
    receipts: &(impl Receipts + ReceiptAdmin),
    standing: ReceiptStatus,
    most: usize,
    unreadable: &mut Vec<String>,
) -> Result<Vec<ReceiptRow>, RetryableError> {
    let mut rows = Vec::new();
    for id in receipts.waiting(standing, most).await? {
        let receipt = readable(&id, receipts.receipt(&id).await, unreadable)?;
        let receipt = receipt.filter(|receipt| receipt.state.standing() == standing);
        rows.extend(receipt.map(ReceiptRow::from));
    }
    Ok(rows)
}

/// The mails that were to be sent on a day, before then, and that nobody has taken up: so many at most. After three days
/// sweep does not look for them any more.
async fn overdue(
    receipts: &(impl Receipts + Backlogs<ReceiptBacklog>),
    before: Timestamp,
    most: usize,
    unreadable: &mut Vec<String>,
) -> Result<Vec<ReceiptRow>, RetryableError> {
    let last = Offset::UTC.to_datetime(before).date();
    let mut rows = Vec::new();
    for back in (0..=DAYS_BACK).rev() {
        let place = ReceiptBacklog::Due(last.saturating_sub(back.days()));
        for row in receipts
            .overdue(place, before, most.saturating_sub(rows.len()))
            .await?
        {
            let receipt = readable(&row.id, receipts.receipt(&row.id).await, unreadable)?;
            let is_overdue = |receipt: &Receipt| {
                receipt.state.standing() == ReceiptStatus::Unsent && receipt.due_at < Some(before)
            };
            rows.extend(receipt.filter(is_overdue).map(ReceiptRow::from));
        }
        if rows.len() >= most {
            break;
        }
    }
    Ok(rows)
}

/// All that waits: what needs a person, and what came before then and should have come to an end.
pub async fn overview(
    events: &(impl Events + EventAdmin),
    rows: &(impl Receipts + ReceiptAdmin + Backlogs<ReceiptBacklog>),
    [fulfillment, mails, feedback]: [&impl DeadLetters; 3],
    before: Timestamp,
    most: usize,
) -> Result<Overview, RetryableError> {
    let mut unreadable = Vec::new();
    let mut unsent = readable_receipts(rows, ReceiptStatus::Unsent, most, &mut unreadable).await?;
    unsent.extend(readable_receipts(rows, ReceiptStatus::Leased, most, &mut unreadable).await?);
    unsent.retain(|row| row.created_at < before);
    unsent.extend(overdue(rows, before, most, &mut unreadable).await?);
    unsent.sort_by(|a, b| (a.created_at, &a.receipt_id).cmp(&(b.created_at, &b.receipt_id)));
    Ok(Overview {
        parked: standing(events, EventState::Parked, most, &mut unreadable).await?,
        stuck: stuck(events, before, most, &mut unreadable).await?,
        unsent,
        held: readable_receipts(rows, ReceiptStatus::Held, most, &mut unreadable).await?,
        failed: readable_receipts(rows, ReceiptStatus::Failed, most, &mut unreadable).await?,
        unreadable,
        fulfillment_dead_letters: fulfillment.depth().await?,
        receipt_dead_letters: mails.depth().await?,
        feedback_dead_letters: feedback.depth().await?,
    })
}

impl fmt::Display for EventRow {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            event_id,
            event_type,
            first_seen,
            state,
            class,
            reason,
            attempts,
            note,
        } = self;
        let event_type = event_type.as_deref().unwrap_or("no type");
        write!(f, "{event_id} {event_type} since {first_seen:.0}: {state}")?;
        if let Some(class) = class {
            write!(f, " ({class})")?;
        }
        if *attempts > 0 {
            write!(f, " after {attempts} attempts")?;
        }
        why(f, reason.as_deref(), note.as_deref())
    }
}

impl fmt::Display for ReceiptRow {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            receipt_id,
            version,
            created_at,
            due_at,
            standing,
            reason,
            attempts,
            note,
        } = self;
        write!(f, "{receipt_id} version {version} since {created_at:.0}")?;
        if let Some(due_at) = due_at {
            write!(f, ", due {due_at:.0}")?;
        }
        write!(f, ": {standing}")?;
        if *attempts > 0 {
            write!(f, " after {attempts} attempts")?;
        }
        why(f, reason.as_deref(), note.as_deref())
    }
}

fn why(f: &mut fmt::Formatter<'_>, reason: Option<&str>, note: Option<&str>) -> fmt::Result {
    if let Some(reason) = reason {
        write!(f, ", {reason}")?;
    }
    match note {
        Some(note) => write!(f, " [{note}]"),
        None => Ok(()),
    }
}

impl fmt::Display for Overview {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fn block<T: fmt::Display>(
            f: &mut fmt::Formatter<'_>,
            title: &str,
            rows: &[T],
        ) -> fmt::Result {
            writeln!(f, "{title}: {}", rows.len())?;
            rows.iter().try_for_each(|row| writeln!(f, "  {row}"))
        }
        block(f, "events parked for a person", &self.parked)?;
        block(f, "events that come to no end", &self.stuck)?;
        block(f, "mails owed for long", &self.unsent)?;
        block(f, "mails held for a person", &self.held)?;
        block(f, "mails that cannot be sent", &self.failed)?;
        block(f, "rows that a newer version has written", &self.unreadable)?;
        writeln!(
            f,
            "dead letters of fulfillment: {}",
            self.fulfillment_dead_letters
        )?;
        writeln!(f, "dead letters of receipts: {}", self.receipt_dead_letters)?;
        write!(
            f,
            "dead letters of feedback: {}",
            self.feedback_dead_letters
        )
    }
}
