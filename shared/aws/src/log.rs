//! Logs: one JSON object per line on standard output. Its fields are at the top level, where metric filters find them.

use std::{
    env, fmt,
    panic::{self, PanicHookInfo},
};
use tracing::{Event, Subscriber, level_filters::LevelFilter};
use tracing_subscriber::{
    filter::Targets,
    fmt::{
        FmtContext, FormatEvent, FormatFields,
        format::{Format, Json, JsonFields, Writer},
    },
    layer::SubscriberExt,
    registry::LookupSpan,
    util::SubscriberInitExt,
};

/// Our crates that log, as the beginnings of their lines' targets. `aws::` is not the SDK's `aws_…`.
const OURS: [&str; 8] = [
    "announcements",
    "aws::",
    "feedback",
    "fulfillment",
    "intake",
    "receipts",
    "reconcile",
    "sweep",
];

/// Starts logging at the level that `RUST_LOG` names (`info` without it), and logs a panic as one line.
///
/// `FUNCTION` is the name of this function in each line.
pub fn start() {
    let level = env::var("RUST_LOG")
        .ok()
        .and_then(|text| text.parse().ok())
        .unwrap_or(LevelFilter::INFO);
    let lines = tracing_subscriber::fmt::layer()
        .fmt_fields(JsonFields::new())
        .event_format(Lines::of(&env::var("FUNCTION").unwrap_or_default()));
    tracing_subscriber::registry()
        .with(filter(level))
        .with(lines)
        .init();
    panic::set_hook(Box::new(panicked));
}

/// The format of the log: JSON with the function's name, because all functions share one log group.
#[derive(Debug)]
pub struct Lines {
    json: Format<Json>,
    /// As JSON, quotes included.
    function: String,
}

impl Lines {
    /// The format for the lines of one function.
    #[must_use]
    pub fn of(function: &str) -> Self {
        let json = tracing_subscriber::fmt::format()
            .json()
            .flatten_event(true)
            .with_current_span(false)
            .with_span_list(false)
            .with_target(false);
        let function = serde_json::Value::from(function).to_string();
        Self { json, function }
    }
}

impl<S, N> FormatEvent<S, N> for Lines
where
    S: Subscriber + for<'lookup> LookupSpan<'lookup>,
    N: for<'writer> FormatFields<'writer> + 'static,
{
    fn format_event(
        &self,
        context: &FmtContext<'_, S, N>,
        mut writer: Writer<'_>,
        event: &Event<'_>,
    ) -> fmt::Result {
        let mut line = String::new();
        self.json
            .format_event(context, Writer::new(&mut line), event)?;
        let members = line.strip_prefix('{').ok_or(fmt::Error)?;
        write!(writer, r#"{{"function":{},{members}"#, self.function)
    }
}

/// Logs the place of a panic, not its text, which may quote data.
pub fn panicked(panic: &PanicHookInfo<'_>) {
    let place = panic
        .location()
        .map(ToString::to_string)
        .unwrap_or_default();
    tracing::error!(outcome = "panic", place, "a fault of ours");
}

/// Our crates at that level, and libraries at `warn` at most. Their debug lines hold whole requests: bodies, mails, tokens.
/// The SDK's spans at `info` would take a part of the time of each call.
fn filter(level: LevelFilter) -> Targets {
    Targets::new()
        .with_default(level.min(LevelFilter::WARN))
        .with_targets(OURS.map(|name| (name, level)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use tracing::Level;

    #[test]
    fn a_finer_level_is_for_our_own_lines_only() {
        let targets = [
            ("intake", true),
            ("fulfillment::erasure", true),
            ("aws::secrets", true),
            ("announcements::publish", true),
            ("aws_sdk_dynamodb::operation::put_item", false),
            ("aws_smithy_runtime::client::orchestrator", false),
            ("hyper_util::client", false),
        ];
        for (target, is_ours) in targets {
            let shown = |least, level| filter(least).would_enable(target, &level);
            assert!(shown(LevelFilter::INFO, Level::WARN), "{target}");
            for level in [Level::INFO, Level::DEBUG, Level::TRACE] {
                assert_eq!(
                    shown(LevelFilter::TRACE, level),
                    is_ours,
                    "{target}, {level}"
                );
            }
            assert!(!shown(LevelFilter::INFO, Level::DEBUG), "{target}");
            assert!(!shown(LevelFilter::ERROR, Level::WARN), "{target}");
        }
    }
}
