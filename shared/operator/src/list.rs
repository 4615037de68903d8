//! Lists open work: events and receipts that wait for an operator, or for too long. Lists orders by time.

mod placed;

pub use placed::{PlacedOrders, PlacedSearch, placed};

use domain::{
    delivery::stored_event::{EventState, StoredEvent},
    ports::{Backlogs, DeadLetters, Events, OpenRows, Receipts},
    receipt::{Receipt, ReceiptState, ReceiptStatus},
    upkeep::sweep::ReceiptBacklog,
    values::{
        class::Class,
        ids::{EventId, ReceiptId},
        note::{Noted, Notes},
        outcome::RetryableError,
    },
};
use jiff::{Timestamp, ToSpan, tz::Offset};
use std::fmt;

/// The number of past days whose due mails are searched.
const DAYS_BACK: i64 = 90;

/// An open event without its body, which holds personal data.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EventRow {
    pub event_id: EventId,
    /// `None` if the type could not be read.
    pub event_type: Option<String>,
    /// The time of arrival.
    pub first_seen: Timestamp,
    pub state: EventState,
    /// The class of the park reason or of the last error.
    pub class: Option<Class>,
    /// The text of the park reason or of the last error.
    pub reason: Option<String>,
    /// Number of failed attempts.
    pub attempts: u32,
    /// The operators' latest actions.
    pub notes: Notes,
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
            notes: event.notes,
        }
    }
}

/// An open receipt.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ReceiptRow {
    pub receipt_id: ReceiptId,
    /// The version, which a resend or a close must name.
    pub version: u64,
    /// The time of the commit.
    pub created_at: Timestamp,
    /// The due time, if the mail was due later than its commit.
    pub due_at: Option<Timestamp>,
    pub status: ReceiptStatus,
    /// The reason of the last failed attempt, the failure or the withdrawal.
    pub reason: Option<String>,
    /// Number of leases.
    pub attempts: u32,
    /// The operators' latest actions.
    pub notes: Notes,
}

impl From<Receipt> for ReceiptRow {
    fn from(receipt: Receipt) -> Self {
        let status = receipt.state.status();
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
            status,
            reason,
            attempts: receipt.attempts,
            notes: receipt.notes,
        }
    }
}

/// All open work.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Overview {
    /// Events that an operator must decide, oldest first.
    pub parked: Vec<EventRow>,
    /// Old events that are not processed, oldest first.
    pub stuck: Vec<EventRow>,
    /// Mails that are overdue, oldest first.
    pub unsent: Vec<ReceiptRow>,
    /// Mails that an operator must decide, oldest first.
    pub held: Vec<ReceiptRow>,
    /// Mails that cannot be sent, oldest first.
    pub failed: Vec<ReceiptRow>,
    /// Events and receipts from a newer version, which this version cannot read.
    pub unreadable: Vec<String>,
    /// Approximate number of messages in fulfillment's dead-letter queue.
    pub fulfillment_dead_letters: u64,
    /// Approximate number of messages in receipts' dead-letter queue.
    pub receipt_dead_letters: u64,
    /// Approximate number of messages in feedback's dead-letter queue.
    pub feedback_dead_letters: u64,
}

/// The row, if this version can read it. A row from a newer version must not hide the others.
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

/// The events in this state, oldest first. The index finds them and each row is read, because the
/// index may lag.
async fn in_state(
    events: &(impl Events + OpenRows),
    state: EventState,
    most: usize,
    unreadable: &mut Vec<String>,
) -> Result<Vec<EventRow>, RetryableError> {
    let mut rows = Vec::new();
    for id in events.open_events(state, most).await? {
        let event = readable(&id, events.event(&id).await, unreadable)?;
        rows.extend(
            event
                .filter(|event| event.state == state)
                .map(EventRow::from),
        );
    }
    Ok(rows)
}

/// The oldest events that an operator must decide, at most `most`. Unreadable rows are omitted;
/// [`overview`] names them.
pub async fn parked(
    events: &(impl Events + OpenRows),
    most: usize,
) -> Result<Vec<EventRow>, RetryableError> {
    in_state(events, EventState::Parked, most, &mut Vec::new()).await
}

/// The unfinished events that arrived before `before`, oldest first, at most `most` for each state. Unreadable rows are
/// omitted; [`overview`] names them.
pub async fn stuck(
    events: &(impl Events + OpenRows),
    before: Timestamp,
    most: usize,
) -> Result<Vec<EventRow>, RetryableError> {
    stuck_rows(events, before, most, &mut Vec::new()).await
}

async fn stuck_rows(
    events: &(impl Events + OpenRows),
    before: Timestamp,
    most: usize,
    unreadable: &mut Vec<String>,
) -> Result<Vec<EventRow>, RetryableError> {
    let mut rows = in_state(events, EventState::Stored, most, unreadable).await?;
    rows.extend(in_state(events, EventState::Committed, most, unreadable).await?);
    rows.retain(|row| row.first_seen < before);
    rows.sort_by(|a, b| (a.first_seen, &a.event_id).cmp(&(b.first_seen, &b.event_id)));
    Ok(rows)
}

/// The oldest receipts in this state, at most `most`. Unreadable rows are omitted; [`overview`]
/// names them.
pub async fn receipts(
    rows: &(impl Receipts + OpenRows),
    status: ReceiptStatus,
    most: usize,
) -> Result<Vec<ReceiptRow>, RetryableError> {
    readable_receipts(rows, status, most, &mut Vec::new()).await
}

async fn readable_receipts(
    receipts: &(impl Receipts + OpenRows),
    status: ReceiptStatus,
    most: usize,
    unreadable: &mut Vec<String>,
) -> Result<Vec<ReceiptRow>, RetryableError> {
    let mut rows = Vec::new();
    for id in receipts.open_receipts(status, most).await? {
        let receipt = readable(&id, receipts.receipt(&id).await, unreadable)?;
        let receipt = receipt.filter(|receipt| receipt.state.status() == status);
        rows.extend(receipt.map(ReceiptRow::from));
    }
    Ok(rows)
}

/// Mails that were due before `before` and never attempted, at most `most`. Sweep stops looking for
/// them after three days.
async fn overdue(
    receipts: &(impl Receipts + Backlogs<ReceiptBacklog>),
    before: Timestamp,
    most: usize,
    unreadable: &mut Vec<String>,
) -> Result<Vec<ReceiptRow>, RetryableError> {
    let last = Offset::UTC.to_datetime(before).date();
    let mut rows = Vec::new();
    for back in (0..=DAYS_BACK).rev() {
        let backlog = ReceiptBacklog::Due(last.saturating_sub(back.days()));
        for row in receipts
            .overdue(backlog, before, most.saturating_sub(rows.len()))
            .await?
        {
            let receipt = readable(&row.id, receipts.receipt(&row.id).await, unreadable)?;
            let is_overdue = |receipt: &Receipt| {
                receipt.state.status() == ReceiptStatus::Unsent && receipt.due_at < Some(before)
            };
            rows.extend(receipt.filter(is_overdue).map(ReceiptRow::from));
        }
        if rows.len() >= most {
            break;
        }
    }
    Ok(rows)
}

/// All open work: everything that needs an operator, and everything from before `before` that is
/// unfinished.
pub async fn overview(
    events: &(impl Events + OpenRows),
    rows: &(impl Receipts + OpenRows + Backlogs<ReceiptBacklog>),
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
        parked: in_state(events, EventState::Parked, most, &mut unreadable).await?,
        stuck: stuck_rows(events, before, most, &mut unreadable).await?,
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
            notes,
        } = self;
        let event_type = event_type.as_deref().unwrap_or("no type");
        write!(f, "{event_id} {event_type} since {first_seen:.0}: {state}")?;
        if let Some(class) = class {
            write!(f, " ({class})")?;
        }
        if *attempts > 0 {
            write!(f, " after {attempts} attempts")?;
        }
        why(f, reason.as_deref(), notes.last())
    }
}

impl fmt::Display for ReceiptRow {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            receipt_id,
            version,
            created_at,
            due_at,
            status,
            reason,
            attempts,
            notes,
        } = self;
        write!(f, "{receipt_id} version {version} since {created_at:.0}")?;
        if let Some(due_at) = due_at {
            write!(f, ", due {due_at:.0}")?;
        }
        write!(f, ": {status}")?;
        if *attempts > 0 {
            write!(f, " after {attempts} attempts")?;
        }
        why(f, reason.as_deref(), notes.last())
    }
}

fn why(f: &mut fmt::Formatter<'_>, reason: Option<&str>, note: Option<&Noted>) -> fmt::Result {
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
        block(f, "events parked for an operator", &self.parked)?;
        block(f, "events overdue", &self.stuck)?;
        block(f, "mails overdue", &self.unsent)?;
        block(f, "mails held for an operator", &self.held)?;
        block(f, "mails that cannot be sent", &self.failed)?;
        block(f, "rows from a newer version", &self.unreadable)?;
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
