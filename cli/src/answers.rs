//! The data of the answers: a type for each name of a schema, from which the schema in `docs/schemas/till` is printed.

mod event;
mod mail;
mod order;
mod platform;
mod provider;
mod stock;

pub use event::*;
pub use mail::*;
pub use order::*;
pub use platform::*;
pub use provider::*;
pub use stock::*;

use crate::{
    backend::Stack,
    doctor::Report,
    order::{missing::Missing, view::OrderView},
    output::Warning,
    why::Why,
};
use domain::values::note::{Action, Noted, Notes};
use jiff::Timestamp;
use schemars::{JsonSchema, Schema, SchemaGenerator, generate::SchemaSettings, json_schema};
use serde::Serialize;
use serde_json::{Value, json};
use std::borrow::Cow;

/// The data of an answer.
pub trait Data: Serialize {
    /// The name and the version of its form, such as `till.order/1`.
    const SCHEMA: &'static str;
}

/// The form of a time: RFC 3339, in UTC.
#[derive(Debug)]
pub struct Time;

impl JsonSchema for Time {
    fn schema_name() -> Cow<'static, str> {
        "Time".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({"type": "string", "format": "date-time"})
    }
}

/// An operator's action on a row.
#[derive(Debug, Clone, Serialize, JsonSchema)]
pub struct Note {
    #[schemars(with = "Time")]
    pub at: Timestamp,
    /// The operator.
    pub by: String,
    /// Such as `released`, `resent` or `body_read`.
    #[schemars(with = "String")]
    pub did: Action,
    pub why: String,
}

/// The actions on a row, oldest first.
#[must_use]
pub fn notes(notes: &Notes) -> Vec<Note> {
    let note = |of: &Noted| Note {
        at: of.at,
        by: of.by.clone(),
        did: of.did,
        why: of.why.clone(),
    };
    notes.iter().map(note).collect()
}

/// A published schema.
#[derive(Debug, Clone)]
pub struct Published {
    /// Its name and version.
    pub name: &'static str,
    /// The whole object of `--json`.
    pub schema: Value,
}

/// The stack that an answer is about.
#[derive(Debug, Clone, Serialize, JsonSchema)]
pub struct StackName {
    pub name: String,
    pub region: String,
    /// `test` or `live`.
    pub mode: String,
    /// The version of the deployed bundle.
    pub version: Option<String>,
    /// True for the stack of `make up`.
    pub local: bool,
}

impl From<&Stack> for StackName {
    fn from(stack: &Stack) -> Self {
        Self {
            name: stack.name.clone(),
            region: stack.region.clone(),
            mode: stack.mode.to_string(),
            version: stack.version.clone(),
            local: stack.local,
        }
    }
}

/// An error, as `--json` prints it on stderr.
#[derive(Debug, Clone, Serialize, JsonSchema)]
pub struct Failure {
    pub schema: &'static str,
    /// The exit code of the process.
    pub exit: u8,
    /// What failed, and which thing. Holds no personal data and no secret.
    pub error: String,
    /// The repair, as a sentence or a command.
    pub cure: Option<String>,
}

impl Failure {
    /// The name and the version of its form.
    pub const SCHEMA: &'static str = "till.error/1";
}

const DRAFT: &str = "https://json-schema.org/draft/2020-12/schema";

/// The schema of a type as it is written.
fn part<T: JsonSchema>() -> Value {
    let settings = SchemaSettings::draft2020_12()
        .for_serialize()
        .with(|settings| settings.inline_subschemas = true);
    let mut schema = settings.into_generator().subschema_for::<T>().to_value();
    without_widths(&mut schema);
    schema
}

/// Removes the widths of integers, which are Rust's, and the defaults, which an output has not.
fn without_widths(schema: &mut Value) {
    match schema {
        Value::Object(members) => {
            members.remove("default");
            let is_width = |format: &Value| format.is_string() && format != "date-time";
            if members.get("format").is_some_and(is_width) {
                members.remove("format");
            }
            members.values_mut().for_each(without_widths);
        }
        Value::Array(parts) => parts.iter_mut().for_each(without_widths),
        _ => {}
    }
}

/// The schema of a whole answer: the envelope around its data.
fn envelope<T: Data + JsonSchema>(what: &str) -> Published {
    let schema = json!({
        "$schema": DRAFT,
        "title": T::SCHEMA,
        "description": what,
        "type": "object",
        "required": ["schema", "generated_at", "stack", "data", "partial", "warnings"],
        "properties": {
            "schema": {"const": T::SCHEMA},
            "generated_at": part::<Time>(),
            "stack": part::<Option<StackName>>(),
            "data": part::<T>(),
            "partial": {"type": "boolean", "description": "True if a limit cut the answer."},
            "warnings": part::<Vec<Warning>>(),
        },
    });
    Published {
        name: T::SCHEMA,
        schema,
    }
}

fn failure() -> Published {
    let mut schema = part::<Failure>();
    if let Some(members) = schema.as_object_mut() {
        members.insert("$schema".to_owned(), json!(DRAFT));
        members.insert("title".to_owned(), json!(Failure::SCHEMA));
    }
    if let Some(name) = schema.pointer_mut("/properties/schema") {
        *name = json!({"const": Failure::SCHEMA});
    }
    Published {
        name: Failure::SCHEMA,
        schema,
    }
}

/// Names the schema of each type, and lists them.
macro_rules! published {
    ($($schema:literal $data:ty: $what:literal;)*) => {
        $(impl Data for $data {
            const SCHEMA: &'static str = $schema;
        })*

        /// All schemas, by command, and that of errors.
        #[must_use]
        pub fn published() -> Vec<Published> {
            vec![$(envelope::<$data>($what),)* failure()]
        }
    };
}

published! {
    "till.order/1" OrderView: "till order ID";
    "till.order_list/1" OrderList: "till order ID, if the id leads to several orders";
    "till.order_missing/1" Missing: "till order ID, if there is no such order";
    "till.order_for_customer/1" OrderForCustomer: "till order ID --for-customer";
    "till.orders/1" Orders: "till orders";
    "till.access/1" Access: "till access ID";
    "till.status/1" Status: "till status";
    "till.why/1" Why: "till why ID";
    "till.events/1" Events: "till events";
    "till.event/1" Event: "till event show ID";
    "till.event_body/1" EventBody: "till event body ID";
    "till.event_write/1" EventWrite: "till event release, replay and drop";
    "till.event_send/1" EventSend: "till event send TYPE";
    "till.verify/1" Verified: "till event verify FILE";
    "till.sample/1" Sample: "till event new TYPE";
    "till.samples/1" Samples: "till event new list";
    "till.replay/1" Replay: "till replay";
    "till.redrive/1" Redrive: "till redrive QUEUE";
    "till.announce/1" Announce: "till announce";
    "till.mails/1" Mails: "till mail list";
    "till.mail/1" Mail: "till mail show ID";
    "till.mail_preview/1" MailPreview: "till mail preview ID";
    "till.mail_resend/1" MailResend: "till mail resend ID";
    "till.mail_close/1" MailClose: "till mail close ID";
    "till.mail_correct_address/1" MailCorrectAddress: "till mail correct-address ORDER";
    "till.mail_clear_address/1" MailClearAddress: "till mail clear-address";
    "till.stock_list/1" StockList: "till stock list";
    "till.stock/1" Stock: "till stock show SKU";
    "till.stock_history/1" StockHistory: "till stock history SKU";
    "till.stock_export/1" StockExport: "till stock export";
    "till.stock_import/1" StockImport: "till stock import, count and receive";
    "till.stock_map/1" StockMap: "till stock map KEY";
    "till.journal/1" Journal: "till journal PERIOD";
    "till.receivables/1" Receivables: "till receivables";
    "till.logs/1" Logs: "till logs";
    "till.watch/1" Watch: "till watch, after Ctrl-C";
    "till.reconcile/1" Reconcile: "till reconcile";
    "till.sweep/1" Sweep: "till sweep";
    "till.pause/1" Pause: "till pause FUNCTION";
    "till.resume/1" Resume: "till resume FUNCTION";
    "till.secrets/1" Secrets: "till secrets status";
    "till.secret_put/1" SecretPut: "till secrets put and rotate";
    "till.customer_counts/1" CustomerCounts: "till customer export ID, without --reveal";
    "till.customer_export/1" CustomerExport: "till customer export ID --reveal";
    "till.customer_erase/1" CustomerErase: "till customer erase ID";
    "till.doctor/1" Report: "till doctor";
    "till.setup/1" Setup: "till setup";
    "till.webhooks/1" Webhooks: "till webhooks show";
    "till.webhook_list/1" WebhookList: "till webhooks list";
    "till.webhook_types/1" WebhookTypes: "till webhooks types";
    "till.webhook_create/1" WebhookCreate: "till webhooks create";
    "till.webhook_delete/1" WebhookDelete: "till webhooks delete ID";
    "till.webhook_rotate/1" WebhookRotate: "till webhooks rotate";
    "till.webhook_test/1" WebhookTest: "till webhooks test";
    "till.checkout/1" Checkout: "till checkout create";
    "till.line_items/1" LineItems: "till line-items SESSION";
    "till.whoami/1" Whoami: "till whoami";
    "till.completions/1" Completions: "till completions SHELL";
    "till.man/1" ManPages: "till man DIR";
}
