//! The services around the tables.

use super::Function;
use crate::{answers::Time, error::Error};
use jiff::Timestamp;
use schemars::JsonSchema;
use serde::Serialize;
use serde_json::Value;
use std::{collections::BTreeMap, fmt, pin::Pin};

/// A line of the log.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
pub struct LogLine {
    #[schemars(with = "Time")]
    pub at: Timestamp,
    /// The fields of the line; a text that is not JSON is under `message`.
    #[schemars(with = "BTreeMap<String, Value>")]
    pub fields: Value,
}

impl LogLine {
    /// A text among the fields.
    #[must_use]
    pub fn text(&self, name: &str) -> Option<&str> {
        self.fields.get(name)?.as_str()
    }
}

/// Which lines of the log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LogQuery {
    /// True for the gateway's log, false for that of the functions.
    pub gateway: bool,
    /// A pattern of `CloudWatch` Logs; empty for all lines.
    pub pattern: String,
    pub since: Timestamp,
    pub before: Timestamp,
    /// The most lines, the first ones.
    pub most: usize,
}

/// The state of a function.
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

impl ApiRequest {
    /// A request.
    #[must_use]
    pub fn new(
        provider: &'static str,
        method: &'static str,
        path: impl Into<String>,
        body: Option<Value>,
    ) -> Self {
        Self {
            provider,
            method,
            path: path.into(),
            body,
        }
    }
}

/// True for an id that is safe in a path.
#[must_use]
pub fn is_plain(id: &str) -> bool {
    let is_safe = |byte: u8| byte.is_ascii_alphanumeric() || b"_-".contains(&byte);
    !id.is_empty() && id.bytes().all(is_safe)
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
    /// The state of a function.
    fn flow(&self, function: Function) -> Asked<'_, Flow>;
    /// Lets a function work, or stops it.
    fn set_flow(&self, function: Function, runs: bool) -> Asked<'_, ()>;
    /// The alarms of the stack.
    fn alarms(&self) -> Asked<'_, Vec<Alarm>>;
    /// Turns the actions of alarms on, by their names in the template.
    fn enable_alarms<'a>(&'a self, names: &'a [String]) -> Asked<'a, ()>;
    /// A secret by its name in the template; `None` if it has no value.
    fn secret<'a>(&'a self, name: &'a str) -> Asked<'a, Option<SecretText>>;
    /// Writes a secret.
    fn put_secret<'a>(&'a self, name: &'a str, text: &'a str) -> Asked<'a, ()>;
    /// True if SES has verified an address or a domain; `None` if SES does not know it.
    fn is_verified<'a>(&'a self, identity: &'a str) -> Asked<'a, Option<bool>>;
    /// Asks SES to verify an address, which gets a mail with a link. Asking again changes nothing.
    fn verify<'a>(&'a self, address: &'a str) -> Asked<'a, ()>;
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
