//! Answers about the providers: secrets, webhooks and checkouts.

use super::Time;
use jiff::Timestamp;
use schemars::JsonSchema;
use serde::Serialize;
use serde_json::{Map, Value};

/// The secrets of the stack.
#[derive(Debug, Clone, Serialize, JsonSchema)]
pub struct Secrets {
    pub secrets: Vec<SecretPrint>,
}

/// A secret by fingerprint.
#[derive(Debug, Clone, Serialize, JsonSchema)]
pub struct SecretPrint {
    pub name: &'static str,
    pub provider: &'static str,
    /// Two during a rotation, none if it is not set.
    pub fingerprints: Vec<String>,
    #[schemars(with = "Option<Time>")]
    pub changed_at: Option<Timestamp>,
}

/// A secret that was replaced.
#[derive(Debug, Clone, Serialize, JsonSchema)]
pub struct SecretPut {
    pub name: &'static str,
    pub dry_run: bool,
    pub text: String,
}

/// The addresses that providers deliver to.
#[derive(Debug, Clone, Serialize, JsonSchema)]
pub struct Webhooks {
    pub urls: Vec<WebhookUrl>,
    #[schemars(with = "Option<Time>")]
    pub last_delivery_at: Option<Timestamp>,
}

/// The address that a provider delivers to.
#[derive(Debug, Clone, Serialize, JsonSchema)]
pub struct WebhookUrl {
    pub provider: &'static str,
    pub url: Option<String>,
}

/// The endpoints that a provider knows.
#[derive(Debug, Clone, Serialize, JsonSchema)]
pub struct WebhookList {
    pub endpoints: Vec<Endpoint>,
}

/// An endpoint that a provider knows.
#[derive(Debug, Clone, Serialize, JsonSchema)]
pub struct Endpoint {
    pub id: String,
    pub url: String,
    pub enabled: Option<bool>,
    /// True if it delivers to this stack.
    pub this_stack: bool,
}

/// The event types to select.
#[derive(Debug, Clone, Serialize, JsonSchema)]
pub struct WebhookTypes {
    pub provider: String,
    pub types: Vec<&'static str>,
}

/// A new endpoint.
#[derive(Debug, Clone, Serialize, JsonSchema)]
pub struct WebhookCreate {
    pub provider: &'static str,
    pub url: String,
    pub dry_run: bool,
    pub created: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub id: Option<String>,
}

/// An endpoint that is deleted.
#[derive(Debug, Clone, Serialize, JsonSchema)]
pub struct WebhookDelete {
    pub provider: &'static str,
    pub id: String,
    pub dry_run: bool,
    pub deleted: bool,
}

/// A step of a rotation.
#[derive(Debug, Clone, Serialize, JsonSchema)]
pub struct WebhookRotate {
    pub provider: &'static str,
    /// `begin`, `wait` or `finish`.
    pub step: &'static str,
    /// True if the step is done; false in a dry run.
    pub done: bool,
    /// The secrets that intake accepts, the newest last.
    pub fingerprints: Vec<String>,
    /// The commands that continue.
    pub commands: Vec<String>,
}

/// A signed event without effect.
#[derive(Debug, Clone, Serialize, JsonSchema)]
pub struct WebhookTest {
    pub provider: &'static str,
    pub url: String,
    pub event_id: String,
    /// The status of the answer.
    pub status: u16,
    /// The state of the stored event; `null` if it is not stored.
    pub state: Option<String>,
}

/// A page to pay on.
#[derive(Debug, Clone, Serialize, JsonSchema)]
pub struct Checkout {
    pub checkout_session_id: String,
    pub url: String,
}

/// The items of a session, as Flex states them.
#[derive(Debug, Clone, Serialize, JsonSchema)]
pub struct LineItems {
    pub checkout_session_id: String,
    #[schemars(with = "Vec<Map<String, Value>>")]
    pub line_items: Vec<Value>,
}
