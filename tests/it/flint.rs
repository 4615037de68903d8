//! Flint's events through the functions: the samples under `events/flint`, the levels of one payment's events, and what
//! intake refuses or ends.

mod levels;
mod not_ours;
pub(crate) mod samples;
mod shown;

use kit::{flint_shop::flint_samples, prelude::*};
use std::fs;

/// A sample of an event, by the name of its file.
fn sample(name: &str) -> Value {
    let file = flint_samples().join(format!("{name}.json"));
    let text = fs::read_to_string(&file).unwrap_or_else(|error| panic!("{name}: {error}"));
    serde_json::from_str(&text).unwrap()
}

/// The sample as another event of the same content.
fn again(sample: &Value, suffix: &str) -> Value {
    let mut event = sample.clone();
    let id = id(sample);
    event["webhook_event_id"] = json!(format!("{id}-{suffix}"));
    event
}

/// The id of an event.
fn id(event: &Value) -> &str {
    event["webhook_event_id"].as_str().unwrap()
}
