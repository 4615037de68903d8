//! Logs: one JSON object a line on standard output, its fields at the top level, where metric filters find them.

use std::{
    env,
    panic::{self, PanicHookInfo},
};
use tracing::level_filters::LevelFilter;
use tracing_subscriber::EnvFilter;

/// Ours, which a finer level may apply to. Libraries' own debug lines hold requests whole: bodies, mails, tokens.
const OURS: [&str; 7] = [
    "intake",
    "fulfillment",
    "receipts",
    "sweep",
    "reconcile",
    "feedback",
    "flex",
];

/// Starts logging at the level that `RUST_LOG` names (`info` without it), and makes panics one line as well.
pub fn start() {
    let level = env::var("RUST_LOG")
        .ok()
        .and_then(|text| text.parse().ok())
        .unwrap_or(LevelFilter::INFO);
    tracing_subscriber::fmt()
        .json()
        .flatten_event(true)
        .with_current_span(false)
        .with_span_list(false)
        .with_target(false)
        .with_env_filter(filter(level))
        .init();
    panic::set_hook(Box::new(panicked));
}

/// Logs the place of a panic, and not its text: that may quote data.
pub fn panicked(panic: &PanicHookInfo<'_>) {
    let place = panic
        .location()
        .map(ToString::to_string)
        .unwrap_or_default();
    tracing::error!(outcome = "panic", place, "a fault of ours");
}

/// Everything at that level, but nothing of other people's beyond `info`.
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
