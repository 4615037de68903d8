//! Logs: one JSON object per line on standard output. Its fields are at the top level, where metric filters find them.

use std::{
    env, fmt,
    panic::{self, PanicHookInfo},
};
use tracing::{Event, Subscriber, level_filters::LevelFilter};
use tracing_subscriber::{
    EnvFilter,
    fmt::{
        FmtContext, FormatEvent, FormatFields,
        format::{Format, Json, JsonFields, Writer},
    },
    registry::LookupSpan,
};

/// Our crates, which a finer level may apply to. Debug lines of libraries hold whole requests: bodies, mails, tokens.
const OURS: [&str; 7] = [
    "intake",
    "fulfillment",
    "receipts",
    "sweep",
    "reconcile",
    "feedback",
    "flex",
];

/// Starts logging at the level that `RUST_LOG` names (`info` without it), and logs a panic as one line.
///
/// `FUNCTION` is the name of this function in each line.
pub fn start() {
    let level = env::var("RUST_LOG")
        .ok()
        .and_then(|text| text.parse().ok())
        .unwrap_or(LevelFilter::INFO);
    tracing_subscriber::fmt()
        .fmt_fields(JsonFields::new())
        .event_format(Lines::of(&env::var("FUNCTION").unwrap_or_default()))
        .with_env_filter(filter(level))
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

/// Our crates at that level, and all others at `info` at most.
fn filter(level: LevelFilter) -> EnvFilter {
    let others = level.min(LevelFilter::INFO);
    let ours = OURS.iter().map(|name| format!("{name}={level}"));
    EnvFilter::new(
        std::iter::once(others.to_string())
            .chain(ours)
            .collect::<Vec<_>>()
            .join(","),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_finer_level_is_for_our_own_lines_only() {
        let directives = |level| {
            let mut directives: Vec<_> = filter(level)
                .to_string()
                .split(',')
                .map(str::to_owned)
                .collect();
            directives.sort();
            directives
        };
        let mut finest: Vec<_> = OURS.iter().map(|name| format!("{name}=trace")).collect();
        finest.push("info".to_owned());
        finest.sort();
        assert_eq!(directives(LevelFilter::TRACE), finest);
        assert!(directives(LevelFilter::WARN).contains(&"warn".to_owned()));
    }
}
