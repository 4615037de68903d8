//! The backend of the commands: one stack with its tables and queues, and the services around it.
//!
//! [`crate::live`] has it on AWS. Tests have one in memory.

use crate::error::Error;
use domain::{
    delivery::job::{FulfillmentJob, ReceiptJob},
    ports::{
        Answering, Backlogs, Commits, DeadLetters, EntitlementAdmin, Entitlements, EventAdmin,
        Events, OpenRows, OrderAdmin, Orders, Queue, ReceiptAdmin, Receipts, ResourceAdmin,
        ResourceLists, Shortfalls, Suppressions,
        admin::{OrderSearch, StockAdmin},
    },
    upkeep::sweep::ReceiptBacklog,
    values::{mode::Mode, outcome::RetryableError},
};
use jiff::{Timestamp, tz::TimeZone};
use serde_json::{Value, json};
use std::{collections::BTreeMap, fmt, pin::Pin};

/// All ports of a stack's tables and work queues.
pub trait Store:
    Events
    + EventAdmin
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
    + Suppressions
    + Queue<FulfillmentJob>
    + Queue<ReceiptJob>
{
}

impl<
    T: Events
        + EventAdmin
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
        + Suppressions
        + Queue<FulfillmentJob>
        + Queue<ReceiptJob>,
> Store for T
{
}

/// One of the three queues with a dead-letter queue.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum Hop {
    Fulfillment,
    Receipts,
    Feedback,
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
    /// All of them.
    pub const ALL: [Self; 7] = [
        Self::Intake,
        Self::Fulfillment,
        Self::Receipts,
        Self::Feedback,
        Self::Sweep,
        Self::Reconcile,
        Self::Announcements,
    ];

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

/// A stack as CloudFormation describes it.
#[derive(Debug, Clone)]
pub struct Stack {
    pub name: String,
    pub region: String,
    pub mode: Mode,
    /// The bundle's version; `None` on a stack that does not state it.
    pub version: Option<String>,
    /// CloudFormation's word.
    pub status: String,
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
    /// The part of each envelope that names the stack.
    #[must_use]
    pub fn to_json(&self) -> Value {
        json!({
            "name": self.name,
            "region": self.region,
            "mode": self.mode.to_string(),
            "version": self.version,
            "local": self.local,
        })
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

/// One line of a function's log.
#[derive(Debug, Clone, PartialEq)]
pub struct LogLine {
    pub at: Timestamp,
    /// The line's fields; a text that is not JSON is under `message`.
    pub fields: Value,
}

/// Which lines of the log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LogQuery {
    /// True for the gateway's log, false for that of the functions.
    pub gateway: bool,
    /// A pattern of CloudWatch Logs; empty for all lines.
    pub pattern: String,
    pub since: Timestamp,
    pub before: Timestamp,
    /// The most lines, the first ones.
    pub most: usize,
}

/// Whether a function works.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Flow {
    Running,
    Paused,
    /// A change is in progress.
    Changing,
}

/// A secret's text. Prints nothing.
#[derive(Clone, PartialEq, Eq)]
pub struct SecretText {
    pub text: String,
    /// The version of the document, to notice another writer.
    pub version: String,
    pub changed_at: Option<Timestamp>,
}

impl fmt::Debug for SecretText {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SecretText(…)")
    }
}

/// An alarm of the stack.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Alarm {
    /// The name in the template.
    pub name: String,
    /// `OK`, `ALARM` or `INSUFFICIENT_DATA`.
    pub state: String,
    pub since: Option<Timestamp>,
    /// False if the alarm notifies no one.
    pub notifies: bool,
}

/// A caller of AWS.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Identity {
    pub account: String,
    pub arn: String,
}

/// The state of mail sending in the account.
#[derive(Debug, Clone, PartialEq)]
pub struct MailAccount {
    /// False in SES's sandbox.
    pub production: bool,
    pub sending: bool,
    /// SES's word, such as `HEALTHY`.
    pub enforcement: String,
    pub sent_last_day: f64,
    pub most_a_day: f64,
}

/// A request to a provider's API. The key is added by the platform and never shown.
#[derive(Debug, Clone, PartialEq)]
pub struct ApiRequest {
    pub provider: &'static str,
    /// `GET`, `POST` or `DELETE`.
    pub method: &'static str,
    /// With its leading slash.
    pub path: String,
    pub body: Option<Value>,
}

/// The answer of a provider's API. The body may hold secrets and personal data: it prints nothing.
#[derive(Clone, PartialEq)]
pub struct ApiAnswer {
    pub status: u16,
    pub body: Value,
}

impl fmt::Debug for ApiAnswer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ApiAnswer({})", self.status)
    }
}

/// The future of a method of the platform.
pub type Asked<'a, T> = Pin<Box<dyn Future<Output = Result<T, Error>> + Send + 'a>>;

/// The services around the tables: identity, log, functions, alarms, secrets, mail, and the providers' APIs.
pub trait Platform: fmt::Debug + Send + Sync {
    /// Who calls AWS.
    fn identity(&self) -> Asked<'_, Identity>;
    /// Lines of a log, oldest first.
    fn log_lines<'a>(&'a self, query: &'a LogQuery) -> Asked<'a, Vec<LogLine>>;
    /// Runs a function now and waits for its end.
    fn invoke(&self, function: Function) -> Asked<'_, ()>;
    /// Whether a function works.
    fn flow(&self, function: Function) -> Asked<'_, Flow>;
    /// Lets a function work, or stops it.
    fn set_flow(&self, function: Function, runs: bool) -> Asked<'_, ()>;
    /// The alarms of the stack.
    fn alarms(&self) -> Asked<'_, Vec<Alarm>>;
    /// A secret by its name in the template; `None` if it has no value.
    fn secret<'a>(&'a self, name: &'a str) -> Asked<'a, Option<SecretText>>;
    /// Writes a secret.
    fn put_secret<'a>(&'a self, name: &'a str, text: &'a str) -> Asked<'a, ()>;
    /// Whether SES has verified an address or a domain; `None` if SES does not know it.
    fn is_verified<'a>(&'a self, identity: &'a str) -> Asked<'a, Option<bool>>;
    /// The state of mail sending.
    fn mail_account(&self) -> Asked<'_, MailAccount>;
    /// Removes an address from SES's list. `false` if it was not on the list.
    fn unsuppress<'a>(&'a self, email: &'a str) -> Asked<'a, bool>;
    /// The subscriptions of the alarms' topic: the number of confirmed and of unconfirmed ones.
    fn subscriptions<'a>(&'a self, topic: &'a str) -> Asked<'a, (usize, usize)>;
    /// Calls a provider's API with the stack's key.
    fn call_provider(&self, request: ApiRequest) -> Asked<'_, ApiAnswer>;
    /// Posts a body to an address, and returns the status.
    fn post<'a>(
        &'a self,
        url: &'a str,
        headers: &'a [(String, String)],
        body: &'a [u8],
    ) -> Asked<'a, u16>;
    /// Waits.
    fn wait(&self, seconds: u64) -> Asked<'_, ()>;
}

/// One stack, as commands use it.
pub trait Backend: fmt::Debug + Send + Sync {
    type Store: Store;
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
