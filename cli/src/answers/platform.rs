//! Answers about the stack: what waits, runs of functions, and the caller.

use super::{EventLine, MailLine, Time};
use jiff::Timestamp;
use schemars::JsonSchema;
use serde::Serialize;
use serde_json::{Map, Value};

/// Whether payments become orders, and what waits for a person.
#[derive(Debug, Clone, Serialize, JsonSchema)]
pub struct Status {
    #[schemars(with = "Option<Time>")]
    pub last_delivery_at: Option<Timestamp>,
    #[schemars(with = "Option<Time>")]
    pub last_reconcile_at: Option<Timestamp>,
    #[schemars(with = "Option<Time>")]
    pub last_sweep_at: Option<Timestamp>,
    /// `null` if they are unknown.
    pub alarms: Option<Alarms>,
    pub parked: Vec<EventLine>,
    pub stuck: Vec<EventLine>,
    pub held: Vec<MailLine>,
    pub failed: Vec<MailLine>,
    pub unsent: Vec<MailLine>,
    /// Rows that a newer version wrote.
    pub unreadable: Vec<String>,
    pub dead_letters: DeadLetterCounts,
}

/// The alarms of the stack.
#[derive(Debug, Clone, Serialize, JsonSchema)]
pub struct Alarms {
    pub total: usize,
    pub ringing: Vec<String>,
}

/// The approximate depth of each dead-letter queue.
#[derive(Debug, Clone, Copy, Serialize, JsonSchema)]
pub struct DeadLetterCounts {
    pub fulfillment: u64,
    pub receipts: u64,
    pub feedback: u64,
}

/// A run of a function.
#[derive(Debug, Clone, Serialize, JsonSchema)]
pub struct Run {
    pub function: &'static str,
    pub dry_run: bool,
    /// The fields of its log line; `null` if the log does not show it yet.
    #[schemars(with = "Option<Map<String, Value>>")]
    pub line: Option<Value>,
}

/// A run of reconcile.
#[derive(Debug, Clone, Serialize, JsonSchema)]
#[serde(transparent)]
pub struct Reconcile(pub Run);

/// A run of sweep.
#[derive(Debug, Clone, Serialize, JsonSchema)]
#[serde(transparent)]
pub struct Sweep(pub Run);

/// A function that stops or works again.
#[derive(Debug, Clone, Serialize, JsonSchema)]
pub struct FlowChange {
    pub function: &'static str,
    pub dry_run: bool,
    pub changed: bool,
    /// `running`, `paused` or `unchanged`.
    pub flow: &'static str,
    /// The time when waiting work begins to be lost.
    #[schemars(with = "Option<Time>")]
    pub resume_before: Option<Timestamp>,
}

/// A function that stops.
#[derive(Debug, Clone, Serialize, JsonSchema)]
#[serde(transparent)]
pub struct Pause(pub FlowChange);

/// A function that works again.
#[derive(Debug, Clone, Serialize, JsonSchema)]
#[serde(transparent)]
pub struct Resume(pub FlowChange);

/// The steps of a setup.
#[derive(Debug, Clone, Serialize, JsonSchema)]
pub struct Setup {
    pub steps: Vec<SetupStep>,
    /// The steps that are not done.
    pub open: usize,
}

/// A step and its end.
#[derive(Debug, Clone, Serialize, JsonSchema)]
pub struct SetupStep {
    pub name: String,
    pub done: bool,
    pub text: String,
    /// The rest, by hand.
    pub next: String,
}

/// The caller and the stack.
#[derive(Debug, Clone, Serialize, JsonSchema)]
pub struct Whoami {
    pub account: String,
    pub arn: String,
    /// The word of `CloudFormation`.
    pub stack_status: String,
    pub providers: Vec<&'static str>,
    pub till_version: &'static str,
}

/// A completion script.
#[derive(Debug, Clone, Serialize, JsonSchema)]
pub struct Completions {
    pub shell: String,
    pub script: String,
}

/// The man pages that were written.
#[derive(Debug, Clone, Serialize, JsonSchema)]
pub struct ManPages {
    pub dir: String,
    /// The names of the files.
    pub files: Vec<String>,
}
