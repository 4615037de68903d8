//! Counts instructions under valgrind. No neighbor's load disturbs a count.

use crate::{
    Failure,
    aws::Aws,
    delivery::{Signature, delivery},
    lambda::{Expected, Function},
    measure::float,
    subject::Subject,
};
use serde::{Deserialize, Serialize};
use std::path::{Path, PathBuf};

/// The second run has twice as many events: what the first run does only once falls out of the difference.
const EVENTS: u64 = 100;

/// Counts of instructions.
#[derive(Debug, Clone, Copy, Deserialize, Serialize)]
pub(crate) struct Instructions {
    /// From the start of the process to the first answer.
    pub(crate) start: f64,
    /// For one new event on a warm process.
    pub(crate) event: f64,
}

/// Counts a function's instructions in three runs: one event, then `EVENTS` more, then twice as many.
pub(crate) async fn count(subject: &Subject, aws: &Aws) -> Result<Instructions, Failure> {
    let [start, once, twice] = [
        run(subject, 0).await?,
        run(subject, EVENTS).await?,
        run(subject, 2 * EVENTS).await?,
    ];
    aws.take_calls();
    Ok(Instructions {
        start: float(start),
        event: float(twice.saturating_sub(once)) / float(EVENTS),
    })
}

async fn run(subject: &Subject, events: u64) -> Result<u64, Failure> {
    // Numbers that no other measurement has.
    let mut numbers = (1_000_000 + 1_000 * events)..;
    let mut event = || delivery(numbers.next().unwrap_or_default(), Signature::Good);
    let counted = subject.log.with_extension(format!("callgrind.{events}"));
    let mut under_valgrind = subject.clone();
    let binary = subject.command.0.display().to_string();
    under_valgrind.command = (
        PathBuf::from("valgrind"),
        vec![
            "--tool=callgrind".to_owned(),
            format!("--callgrind-out-file={}", counted.display()),
            binary,
        ],
    );
    let (mut function, _) =
        Function::start(&under_valgrind, &event(), Expected::Status(200)).await?;
    for _ in 0..events {
        function.invoke(&event(), Expected::Status(200)).await?;
    }
    function.end().await?;
    total(&counted)
}

/// The sum over all functions in callgrind's file.
fn total(counted: &Path) -> Result<u64, Failure> {
    let text = std::fs::read_to_string(counted)
        .map_err(|error| Failure::File(counted.to_owned(), error))?;
    let total = (text.lines()).find_map(|line| line.strip_prefix("totals: "));
    total
        .and_then(|count| count.trim().parse().ok())
        .ok_or_else(|| Failure::NoCount(counted.to_owned()))
}
