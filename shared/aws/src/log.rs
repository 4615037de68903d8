//! Logs: one JSON object a line on standard output, its fields at the top level, where metric filters find them.

use tracing_subscriber::EnvFilter;

/// Starts logging. `RUST_LOG` sets the level; without it, `info`.
pub fn start() {
    let filter = EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new("info"));
    tracing_subscriber::fmt()
        .json()
        .flatten_event(true)
        .with_current_span(false)
        .with_span_list(false)
        .with_target(false)
        .with_env_filter(filter)
        .init();
}
