//! `till event new`: a sample of every event type, changed, wrapped and signed as asked.

pub mod list;
pub mod sign;
mod wrap;

use crate::{
    answers::{Sample, Samples},
    args::{NewArgs, Wrapping},
    backend::Stack,
    error::Error,
    output::Answer,
    terminal::Terminal,
    time,
};
use jiff::{Timestamp, tz::TimeZone};
use serde_json::{Value, json};
use std::collections::BTreeMap;

/// The samples of a provider.
///
/// # Errors
///
/// For an unknown provider.
pub fn of(provider: &str) -> Result<list::List, Error> {
    match provider {
        "flex" => Ok(list::FLEX),
        "flint" => Ok(list::FLINT),
        _ => {
            Err(Error::usage(format!("no provider {provider:?}")).cured_by("It is flex or flint."))
        }
    }
}

/// The event types of a provider, each with its kind. A type of the kind `not_needed` has no effect.
///
/// # Errors
///
/// For an unknown provider.
pub fn types(provider: &str) -> Result<Vec<(&'static str, &'static str)>, Error> {
    match provider {
        "flex" => Ok(flex::event_types().collect()),
        "flint" => Ok(flint::event_types().collect()),
        _ => of(provider).map(|_| Vec::new()),
    }
}

/// The sample of a type.
///
/// # Errors
///
/// For an unknown type; the cure lists near ones.
pub fn sample(provider: &str, event_type: &str) -> Result<Value, Error> {
    let all = of(provider)?;
    let found = all.iter().find(|(name, _)| *name == event_type);
    let (_, text) = found.ok_or_else(|| {
        let first = event_type.split('.').next().unwrap_or_default();
        let near: Vec<&str> = all
            .iter()
            .map(|(name, _)| *name)
            .filter(|name| name.starts_with(first))
            .collect();
        let cure = if near.is_empty() {
            "till event new list".to_owned()
        } else {
            near.join(", ")
        };
        Error::usage(format!("no sample of {event_type:?}")).cured_by(cure)
    })?;
    serde_json::from_str(text)
        .map_err(|_| Error::usage(format!("the sample {event_type} is not JSON")))
}

/// The member of an event that has its id.
pub(crate) fn id_member(provider: &str) -> &'static str {
    if provider == "flint" {
        "webhook_event_id"
    } else {
        "event_id"
    }
}

/// An id of `till` itself, with this end. Its events prove nothing about the provider.
pub(crate) fn own_id(provider: &str, end: &str) -> String {
    let prefix = if provider == "flint" { "whev" } else { "fevt" };
    format!("{prefix}_till{end}")
}

/// Changes of a sample.
#[derive(Debug, Clone, Default)]
pub struct Changes<'a> {
    pub set: &'a [String],
    pub at: Option<Timestamp>,
    pub id: Option<&'a str>,
}

/// The sample with these changes. A path that the sample does not have is an error: a typing mistake would change nothing.
///
/// # Errors
///
/// For an unknown path.
pub fn changed(provider: &str, mut event: Value, changes: &Changes<'_>) -> Result<Value, Error> {
    if let Some(text) = changes.id {
        put(&mut event, id_member(provider), json!(text))?;
    }
    if let Some(time) = changes.at {
        let (member, value) = if provider == "flint" {
            ("created_at", json!(format!("{time:.0}")))
        } else {
            ("event_dt", json!(time.as_second()))
        };
        put(&mut event, member, value)?;
    }
    for change in changes.set {
        let (path, value) = change
            .split_once('=')
            .ok_or_else(|| Error::usage(format!("{change:?} is not PATH=VALUE")))?;
        let value = serde_json::from_str(value).unwrap_or_else(|_| json!(value));
        put(&mut event, path, value)?;
    }
    Ok(event)
}

fn put(event: &mut Value, path: &str, value: Value) -> Result<(), Error> {
    let pointer = format!("/{}", path.replace('.', "/"));
    let place = event.pointer_mut(&pointer);
    let place = place.ok_or_else(|| {
        Error::usage(format!("the sample has no member {path}"))
            .cured_by("Print it without --set first.")
    })?;
    *place = value;
    Ok(())
}

/// The body as it is sent and signed.
#[must_use]
pub fn body(event: &Value) -> String {
    serde_json::to_string_pretty(event).unwrap_or_default() + "\n"
}

/// `till event new`. Signed by `secret`, the local stack's, or by a typed one.
///
/// # Errors
///
/// For an unknown type, path or secret.
pub fn command(
    args: &NewArgs,
    terminal: &dyn Terminal,
    now: Timestamp,
    stack: Option<&Stack>,
    secret: Option<String>,
) -> Result<Answer, Error> {
    if args.event_type == "list" {
        return names(&args.provider);
    }
    let function = list::FUNCTIONS
        .iter()
        .find(|(name, _)| *name == args.event_type);
    if let Some((_, text)) = function {
        let data: Value = serde_json::from_str(text).unwrap_or_default();
        return Ok(Answer::of(&Sample(data), (*text).to_owned())?.raw());
    }
    let zone = stack.map_or(TimeZone::UTC, |stack| stack.zone.clone());
    let at = args.at.as_ref().map(|text| time::read(text, &zone, now));
    let changes = Changes {
        set: &args.set,
        at: at.transpose()?,
        id: args.id.as_deref(),
    };
    let event = changed(
        &args.provider,
        sample(&args.provider, &args.event_type)?,
        &changes,
    )?;
    let body = body(&event);
    let secret = if args.sign {
        Some(secret.map_or_else(|| typed(terminal), Ok)?)
    } else {
        None
    };
    let headers = sign::headers(&args.provider, &event, &body, secret.as_deref(), now)?;
    delivered(args, event, body, &headers, now)
}

/// The answer with an event: as its body, with its headers, or as the payload of a function.
fn delivered(
    args: &NewArgs,
    event: Value,
    body: String,
    headers: &[(String, String)],
    now: Timestamp,
) -> Result<Answer, Error> {
    let data = match args.wrapping {
        Wrapping::Raw if args.sign => {
            let headers: BTreeMap<_, _> = headers.iter().cloned().collect();
            json!({"headers": headers, "body": body})
        }
        Wrapping::Raw => return Ok(Answer::of(&Sample(event), body)?.raw()),
        Wrapping::ApiGateway => wrap::http(&args.provider, headers, &body, now),
        Wrapping::Rest => wrap::rest(&args.provider, headers, &body),
        Wrapping::Sqs => wrap::sqs(&args.provider, &event),
    };
    let text = serde_json::to_string_pretty(&data).unwrap_or_default() + "\n";
    Ok(Answer::of(&Sample(data), text)?.raw())
}

fn names(provider: &str) -> Result<Answer, Error> {
    let names: Vec<&str> = of(provider)?.iter().map(|(name, _)| *name).collect();
    let text = names.join("\n") + "\n";
    Ok(Answer::of(&Samples { names }, text)?.raw())
}

/// A signing secret that is typed, or piped into stdin. It is never an argument.
fn typed(terminal: &dyn Terminal) -> Result<String, Error> {
    let secret = terminal.typed("Signing secret (hidden):");
    if secret.is_empty() {
        return Err(Error::usage("no signing secret").cured_by("Type it, or pipe it into stdin."));
    }
    Ok(secret)
}
