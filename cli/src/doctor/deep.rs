//! Checks that take long or leave a trace: they run with `--deep`, or by their own name.

use super::{Check, Seen, check};
use crate::{
    Context,
    backend::{Backend, LogQuery},
    commands::test_webhook,
    error::{Error, Exit},
};
use jiff::ToSpan;
use serde_json::Value;

pub(super) fn checks<B: Backend>() -> Vec<Check<B>> {
    vec![
        check!("webhook.signed", ["webhook.url"], signed).deep(),
        check!("logs.privacy", ["aws.credentials"], privacy).deep(),
    ]
}

/// Posts a signed event without effect to each provider's URL, and waits until it is stored.
async fn signed<B: Backend>(on: &Context<'_, B>) -> Result<Seen, Error> {
    for provider in on.stack.providers() {
        let tested = test_webhook(on, provider).await?;
        if tested.exit != Exit::Done {
            return Ok(Seen::fail(
                format!("a signed event of {provider} is not verified and stored"),
                format!("till webhooks test --provider {provider} names the stage."),
            ));
        }
    }
    Ok(Seen::ok("a signed event is verified and stored"))
}

/// The lines that are looked at.
const LINES: usize = 1000;

async fn privacy<B: Backend>(on: &Context<'_, B>) -> Result<Seen, Error> {
    let query = LogQuery {
        gateway: false,
        pattern: String::new(),
        since: on.now - 24.hours(),
        before: on.now,
        most: LINES,
    };
    let lines = on.backend.platform().log_lines(&query).await?;
    let found = lines
        .iter()
        .filter(|line| has_address(&line.fields))
        .count();
    Ok(match found {
        0 => Seen::ok(format!("no address in {} lines", lines.len())),
        found => Seen::fail(
            format!("{found} of {} lines hold an address", lines.len()),
            "This is a defect of the bundle: report it (SECURITY.md), without the lines.",
        ),
    })
}

/// True if a text in it has an address.
fn has_address(value: &Value) -> bool {
    match value {
        Value::String(text) => {
            let is_address = |word: &str| {
                let parts = word.split_once('@');
                parts.is_some_and(|(name, domain)| !name.is_empty() && domain.contains('.'))
            };
            text.split(|letter: char| letter.is_whitespace() || "<>\"',;()=".contains(letter))
                .any(is_address)
        }
        Value::Array(all) => all.iter().any(has_address),
        Value::Object(members) => members.values().any(has_address),
        Value::Null | Value::Bool(_) | Value::Number(_) => false,
    }
}
