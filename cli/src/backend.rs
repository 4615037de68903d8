//! The backend of the commands: one stack with its tables and queues, and the services around it.
//!
//! [`crate::live`] has it on AWS. Tests have one in memory.

mod platform;

pub use platform::{
    Alarm, ApiAnswer, ApiRequest, Asked, Flow, Identity, LogLine, LogQuery, MailAccount, Platform,
    SecretText, is_plain,
};

use domain::{
    delivery::job::{FulfillmentJob, ReceiptJob},
    ports::{
        AnnouncementAdmin, Answering, Backlogs, Commits, DeadLetters, EntitlementAdmin,
        Entitlements, EventAdmin, Events, OpenRows, OrderAdmin, Orders, Queue, ReceiptAdmin,
        Receipts, ResourceAdmin, ResourceLists, Shortfalls, StockLevels, Suppressions,
        admin::{OrderSearch, StockAdmin},
    },
    upkeep::sweep::ReceiptBacklog,
    values::{mode::Mode, outcome::RetryableError},
};
use jiff::{SignedDuration, Timestamp, tz::TimeZone};
use std::{collections::BTreeMap, fmt};

/// One of the three queues with a dead-letter queue.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum Hop {
    Fulfillment,
    Receipts,
    Feedback,
}

impl Hop {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Fulfillment, Self::Receipts, Self::Feedback];

    /// The name of the queue, and of the function that it feeds.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Fulfillment => "fulfillment",
            Self::Receipts => "receipts",
            Self::Feedback => "feedback",
        }
    }
}

/// One of the functions.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, clap::ValueEnum)]
pub enum Function {
    Intake,
    Fulfillment,
    Receipts,
    Feedback,
    Sweep,
    Reconcile,
    Announcements,
}

impl Function {
    /// The name in log lines.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Intake => "intake",
            Self::Fulfillment => "fulfillment",
            Self::Receipts => "receipts",
            Self::Feedback => "feedback",
            Self::Sweep => "sweep",
            Self::Reconcile => "reconcile",
            Self::Announcements => "announcements",
        }
    }

    /// The name in the template.
    #[must_use]
    pub fn logical_id(self) -> &'static str {
        match self {
            Self::Intake => "IntakeFunction",
            Self::Fulfillment => "FulfillmentFunction",
            Self::Receipts => "ReceiptsFunction",
            Self::Feedback => "FeedbackFunction",
            Self::Sweep => "SweepFunction",
            Self::Reconcile => "ReconcileFunction",
            Self::Announcements => "AnnouncementsFunction",
        }
    }
}

/// A stack as `CloudFormation` describes it.
#[derive(Debug, Clone)]
pub struct Stack {
    pub name: String,
    pub region: String,
    pub mode: Mode,
    /// The bundle's version; `None` on a stack that does not state it.
    pub version: Option<String>,
    /// The word of `CloudFormation`.
    pub status: String,
    /// When the stack was first deployed, if AWS says so.
    pub created_at: Option<Timestamp>,
    /// The time zone of the merchant.
    pub zone: TimeZone,
    pub parameters: BTreeMap<String, String>,
    pub outputs: BTreeMap<String, String>,
    /// Physical ids, by the names of the template.
    pub resources: BTreeMap<String, String>,
    /// True for the stack of `make up`.
    pub local: bool,
}

impl Stack {
    /// True on the first day after the first deployment: what runs daily may not have run yet.
    #[must_use]
    pub fn is_younger_than_a_day(&self, now: Timestamp) -> bool {
        self.created_at
            .is_some_and(|at| now.duration_since(at) < SignedDuration::from_hours(24))
    }

    /// A parameter, if it is set.
    #[must_use]
    pub fn parameter(&self, name: &str) -> Option<&str> {
        let value = self.parameters.get(name).map(String::as_str);
        value.filter(|value| !value.is_empty())
    }

    /// A number among the parameters.
    #[must_use]
    pub fn number(&self, name: &str, default: i64) -> i64 {
        let value = self.parameter(name);
        value
            .and_then(|value| value.parse().ok())
            .unwrap_or(default)
    }

    /// The providers that the stack serves.
    #[must_use]
    pub fn providers(&self) -> Vec<&'static str> {
        match self.parameter("Provider") {
            Some("flint") => vec!["flint"],
            Some("both") => vec!["flex", "flint"],
            _ => vec!["flex"],
        }
    }

    /// The address that this provider sends its webhooks to.
    #[must_use]
    pub fn webhook_url(&self, provider: &str) -> Option<&str> {
        let output = if provider == "flint" {
            "FlintWebhookUrl"
        } else {
            "WebhookUrl"
        };
        self.outputs.get(output).map(String::as_str)
    }

    /// The address of this provider's API.
    #[must_use]
    pub fn api_url(&self, provider: &str) -> &str {
        let (parameter, default) = if provider == "flint" {
            ("FlintApiBaseUrl", "https://api.withflintpay.com")
        } else {
            ("FlexApiBaseUrl", "https://api.withflex.com")
        };
        self.parameter(parameter).unwrap_or(default)
    }
}

/// One stack, as commands use it.
pub trait Backend: fmt::Debug + Send + Sync {
    /// All ports of the tables and work queues.
    type Store: Events
        + EventAdmin
        + AnnouncementAdmin
        + OpenRows
        + Orders
        + OrderAdmin
        + OrderSearch
        + Commits
        + Entitlements
        + EntitlementAdmin
        + Receipts
        + ReceiptAdmin
        + Backlogs<ReceiptBacklog>
        + ResourceLists
        + ResourceAdmin
        + Shortfalls
        + StockAdmin
        + StockLevels
        + Suppressions
        + Queue<FulfillmentJob>
        + Queue<ReceiptJob>;
    type Letters: DeadLetters;

    /// The tables and work queues.
    fn store(&self) -> &Self::Store;
    /// A dead-letter queue.
    fn letters(&self, hop: Hop) -> &Self::Letters;
    /// Sends a report of SES to feedback's queue.
    fn send_report<'a>(&'a self, body: &'a str) -> Answering<'a, Result<(), RetryableError>>;
    /// The services around them.
    fn platform(&self) -> &dyn Platform;
}
