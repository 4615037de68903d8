//! Answers about events.

use super::{Note, Time};
use crate::backend::LogLine;
use domain::{
    delivery::stored_event::EventState,
    values::{
        class::Class,
        ids::{DeliveryId, EventId, OrderId},
        provider::ProviderId,
    },
};
use jiff::Timestamp;
use operator::list::EventRow;
use schemars::JsonSchema;
use serde::Serialize;
use serde_json::Value;

/// Events of a list.
#[derive(Debug, Clone, Serialize, JsonSchema)]
pub struct Events {
    pub events: Vec<EventLine>,
}

/// An event of a list.
#[derive(Debug, Clone, Serialize, JsonSchema)]
pub struct EventLine {
    #[schemars(with = "String")]
    pub event_id: EventId,
    /// `null` if the type could not be read.
    pub event_type: Option<String>,
    #[schemars(with = "Time")]
    pub received_at: Timestamp,
    #[schemars(with = "String")]
    pub state: EventState,
    /// The class of the park reason or of the last error.
    #[schemars(with = "Option<String>")]
    pub class: Option<Class>,
    pub reason: Option<String>,
    /// Failed attempts.
    pub attempts: u32,
    /// The last actions of operators, oldest first.
    pub notes: Vec<Note>,
}

impl From<&EventRow> for EventLine {
    fn from(row: &EventRow) -> Self {
        Self {
            event_id: row.event_id.clone(),
            event_type: row.event_type.clone(),
            received_at: row.first_seen,
            state: row.state,
            class: row.class,
            reason: row.reason.clone(),
            attempts: row.attempts,
            notes: super::notes(&row.notes),
        }
    }
}

/// One event without its body.
#[derive(Debug, Clone, Serialize, JsonSchema)]
pub struct Event {
    #[schemars(with = "String")]
    pub event_id: EventId,
    #[schemars(with = "String")]
    pub provider: ProviderId,
    pub event_type: Option<String>,
    #[schemars(with = "String")]
    pub delivery_id: DeliveryId,
    /// True if reconcile made it for a delivery that never came.
    pub recovered: bool,
    #[schemars(with = "Option<Time>")]
    pub occurred_at: Option<Timestamp>,
    #[schemars(with = "Time")]
    pub received_at: Timestamp,
    #[schemars(with = "String")]
    pub state: EventState,
    #[schemars(with = "Option<String>")]
    pub class: Option<Class>,
    pub reason: Option<String>,
    pub attempts: u32,
    /// The last actions of operators, oldest first.
    pub notes: Vec<Note>,
    /// Messages for the next stage that are not sent yet.
    pub outbox: Vec<String>,
    pub body_bytes: usize,
    /// The SHA-256 of the body.
    pub fingerprint: String,
    #[schemars(with = "Vec<String>")]
    pub orders: Vec<OrderId>,
}

/// The signed bytes of an event: in a file, or here.
#[derive(Debug, Clone, Serialize, JsonSchema)]
pub struct EventBody {
    #[schemars(with = "String")]
    pub event_id: EventId,
    pub bytes: usize,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub file: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub body: Option<String>,
}

/// The result of a release, a replay or a drop.
#[derive(Debug, Clone, Serialize, JsonSchema)]
pub struct EventWrite {
    /// `release`, `replay` or `drop`.
    pub action: &'static str,
    pub dry_run: bool,
    pub events: Vec<EventResult>,
    #[schemars(with = "Vec<String>")]
    pub failed: Vec<EventId>,
    /// The events that Ctrl-C left.
    #[schemars(with = "Vec<String>")]
    pub not_tried: Vec<EventId>,
    /// The commands that continue.
    pub commands: Vec<String>,
}

/// The result for one event.
#[derive(Debug, Clone, Serialize, JsonSchema)]
pub struct EventResult {
    #[schemars(with = "String")]
    pub event_id: EventId,
    /// True if it changed, or would.
    pub done: bool,
    pub text: String,
}

/// Samples that were posted.
#[derive(Debug, Clone, Serialize, JsonSchema)]
pub struct EventSend {
    pub url: String,
    pub sent: Vec<SentEvent>,
}

/// A sample that was posted.
#[derive(Debug, Clone, Serialize, JsonSchema)]
pub struct SentEvent {
    pub event_type: String,
    pub event_id: String,
    /// The status of the answer.
    pub status: u16,
}

/// Whether a delivery would verify here.
#[derive(Debug, Clone, Serialize, JsonSchema)]
pub struct Verified {
    pub provider: String,
    /// The signing secrets of the stack.
    pub secrets: usize,
    pub verifies: bool,
    /// Why the signature is refused.
    pub signature: Option<String>,
    /// Why the time is refused.
    pub time: Option<String>,
    pub verdict: &'static str,
}

/// A sample: an event of the provider, or the payload of a function.
#[derive(Debug, Clone, Serialize, JsonSchema)]
pub struct Sample(pub Value);

/// The names of the samples.
#[derive(Debug, Clone, Serialize, JsonSchema)]
pub struct Samples {
    pub names: Vec<&'static str>,
}

/// A replay of a time range.
#[derive(Debug, Clone, Serialize, JsonSchema)]
pub struct Replay {
    pub dry_run: bool,
    #[schemars(with = "Time")]
    pub since: Timestamp,
    #[schemars(with = "Time")]
    pub before: Timestamp,
    pub replayed: usize,
    /// The events by result.
    pub counts: Vec<ReplayCount>,
    #[schemars(with = "Vec<String>")]
    pub first: Vec<EventId>,
    /// Events that a newer version wrote.
    #[schemars(with = "Vec<String>")]
    pub unreadable: Vec<EventId>,
    /// True if the whole table was read.
    pub complete: bool,
    /// The place to continue at.
    #[schemars(with = "Option<String>")]
    pub cursor: Option<EventId>,
    /// The error that stopped the run.
    pub stopped: Option<String>,
    /// The commands that run it, or continue.
    pub commands: Vec<String>,
}

/// The number of events with one result.
#[derive(Debug, Clone, Serialize, JsonSchema)]
pub struct ReplayCount {
    pub result: String,
    pub count: usize,
}

/// Dead letters that were requeued.
#[derive(Debug, Clone, Serialize, JsonSchema)]
pub struct Redrive {
    /// `fulfillment`, `receipts` or `feedback`.
    pub queue: &'static str,
    pub dry_run: bool,
    pub moved: usize,
    /// The first ids among them.
    pub first: Vec<String>,
    /// Messages that are not understood.
    pub not_ours: usize,
    /// Messages that name another id.
    pub others: usize,
    /// The approximate number of messages now.
    pub depth: Option<u64>,
    /// The error that stopped the run.
    pub stopped: Option<String>,
    pub commands: Vec<String>,
}

/// Announcements that are published again.
#[derive(Debug, Clone, Serialize, JsonSchema)]
pub struct Announce {
    pub dry_run: bool,
    pub batches: usize,
    /// The place to continue at.
    pub cursor: Option<String>,
    /// The error that stopped the run.
    pub stopped: Option<String>,
    /// The command that continues.
    pub commands: Option<String>,
}

/// Lines of the log.
#[derive(Debug, Clone, Serialize, JsonSchema)]
pub struct Logs {
    #[schemars(with = "Time")]
    pub since: Timestamp,
    #[schemars(with = "Time")]
    pub before: Timestamp,
    pub lines: Vec<LogLine>,
}

/// The end of a watch.
#[derive(Debug, Clone, Serialize, JsonSchema)]
pub struct Watch {
    #[schemars(with = "Option<Time>")]
    pub last_line_at: Option<Timestamp>,
}
