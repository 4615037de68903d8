//! The measurements. The functions take turns, so that a neighbor's load meets all of them.

use crate::{
    Failure,
    aws::{Aws, Calls},
    callgrind::Instructions,
    delivery::{Signature, delivery},
    dynamodb::Units,
    lambda::{Expected, Function},
    processor::{Used, peak_memory_kib},
    subject::Subject,
};
use serde::{Deserialize, Serialize};
use std::{collections::BTreeMap, fs, path::Path, time::Duration};

/// How much is measured, for each function.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Plan {
    pub(crate) starts: usize,
    pub(crate) events: usize,
    pub(crate) warm_up: usize,
    pub(crate) rounds: usize,
}

/// Durations of one kind, in milliseconds.
#[derive(Debug, Default, Deserialize, Serialize)]
pub(crate) struct Spread {
    pub(crate) count: usize,
    pub(crate) p50: f64,
    pub(crate) p99: f64,
    pub(crate) least: f64,
}

impl Spread {
    pub(crate) fn of(mut samples: Vec<Duration>) -> Self {
        samples.sort_unstable();
        let last = samples.len().saturating_sub(1);
        let at = |percent: usize| {
            let index = (last * percent).div_ceil(100);
            samples.get(index).map_or(0.0, |it| it.as_secs_f64() * 1e3)
        };
        Self {
            count: samples.len(),
            p50: at(50),
            p99: at(99),
            least: at(0),
        }
    }
}

/// The billed capacity and log lines of an event.
#[derive(Debug, Default, Clone, Copy, Deserialize, Serialize)]
pub(crate) struct Billed {
    pub(crate) units: Units,
    /// The bytes of the function's log, without the platform's lines.
    pub(crate) log_bytes: f64,
}

impl Billed {
    /// The figures since the log had `log_before` bytes, for each of `events` events.
    pub(crate) fn by(subject: &Subject, aws: &Aws, log_before: u64, events: f64) -> Self {
        let Units { write, read } = aws.take_units();
        Self {
            units: Units {
                write: write / events,
                read: read / events,
            },
            log_bytes: float(log_length(subject) - log_before) / events,
        }
    }
}

/// The bytes that the function has logged.
pub(crate) fn log_length(subject: &Subject) -> u64 {
    fs::metadata(&subject.log).map_or(0, |log| log.len())
}

/// Events of one class, on a warm process.
#[derive(Debug, Default, Deserialize, Serialize)]
pub(crate) struct Warm {
    pub(crate) latency: Spread,
    /// The median of the rounds, in milliseconds per event.
    pub(crate) processor_ms: f64,
    /// How often its threads wait, per event.
    pub(crate) waits: f64,
    /// Calls to AWS per event, by action.
    pub(crate) calls: Vec<(String, f64)>,
    /// For each event of the last round.
    pub(crate) billed: Billed,
}

impl Warm {
    /// Calls per event.
    pub(crate) fn calls_per_event(&self) -> f64 {
        self.calls.iter().fold(0.0, |sum, (_, calls)| sum + calls)
    }
}

/// All figures of one function.
#[derive(Debug, Deserialize, Serialize)]
pub(crate) struct Measured {
    pub(crate) name: String,
    /// From the start of the process to the first request for an event.
    pub(crate) ready: Spread,
    /// From the start of the process to the first answer.
    pub(crate) first_answer: Spread,
    pub(crate) new: Warm,
    /// None if the function does not verify.
    pub(crate) duplicate: Option<Warm>,
    pub(crate) forged: Option<Warm>,
    /// The peak of the process with all these events, in MiB.
    pub(crate) peak_memory_mib: f64,
    /// In MB of a million bytes.
    pub(crate) code_mb: f64,
    pub(crate) zip_mb: f64,
    pub(crate) instructions: Option<Instructions>,
}

/// Numbers events. Each number is a new event.
#[derive(Debug, Default)]
struct Numbers(u64);

impl Numbers {
    fn next(&mut self) -> u64 {
        self.0 += 1;
        self.0
    }
}

/// The running process of a function, with its samples.
struct Runner<'a> {
    function: Function<'a>,
    samples: BTreeMap<Class, Samples>,
    /// Events that it has had and that may come again.
    seen: Vec<u64>,
}

#[derive(Debug, Default)]
struct Samples {
    latencies: Vec<Duration>,
    /// The time of each turn, in milliseconds per event.
    processor: Vec<f64>,
    waits: u64,
    calls: Calls,
    billed: Billed,
}

impl Samples {
    fn sum(mut self) -> Warm {
        let events = float(self.latencies.len());
        self.processor.sort_unstable_by(f64::total_cmp);
        let median = self.processor.get(self.processor.len() / 2);
        Warm {
            processor_ms: median.copied().unwrap_or(0.0),
            billed: self.billed,
            waits: float(self.waits) / events,
            calls: (self.calls.into_iter())
                .map(|(action, calls)| (action, float(calls) / events))
                .collect(),
            latency: Spread::of(self.latencies),
        }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Class {
    New,
    Duplicate,
    Forged,
}

/// Measures all functions.
pub(crate) async fn all(
    subjects: &[Subject],
    aws: &Aws,
    plan: &Plan,
) -> Result<Vec<Measured>, Failure> {
    let mut numbers = Numbers::default();
    let starts = cold(subjects, plan, &mut numbers).await?;
    let mut runners = Vec::new();
    for subject in subjects {
        let first = delivery(numbers.next(), Signature::Good);
        let (function, _) = Function::start(subject, &first, Expected::Status(200)).await?;
        runners.push(Runner {
            function,
            samples: BTreeMap::new(),
            seen: Vec::new(),
        });
    }
    for (subject, runner) in subjects.iter().zip(&mut runners) {
        for _ in 0..plan.warm_up {
            let event = delivery(numbers.next(), Signature::Good);
            runner
                .function
                .invoke(&event, Expected::Status(200))
                .await?;
        }
        eprintln!("{} is warm", subject.name);
    }
    let events = plan.events.div_ceil(plan.rounds);
    for round in 1..=plan.rounds {
        for (subject, runner) in subjects.iter().zip(&mut runners) {
            let on = (aws, subject);
            turn(runner, (Class::New, events), on, &mut numbers).await?;
            if subject.verifies {
                aws.process_events();
                let few = events.div_ceil(5);
                turn(runner, (Class::Duplicate, few), on, &mut numbers).await?;
                turn(runner, (Class::Forged, few), on, &mut numbers).await?;
            }
        }
        eprintln!("round {round} of {}", plan.rounds);
    }
    let mut measured = Vec::new();
    for ((subject, runner), (ready, first_answer)) in subjects.iter().zip(runners).zip(starts) {
        measured.push(sum(subject, runner, (ready, first_answer))?);
    }
    Ok(measured)
}

/// Starts each function many times, in turns.
async fn cold(
    subjects: &[Subject],
    plan: &Plan,
    numbers: &mut Numbers,
) -> Result<Vec<(Spread, Spread)>, Failure> {
    let mut samples = vec![(Vec::new(), Vec::new()); subjects.len()];
    // The first start of each reads its files from the disk and is not counted.
    for round in 0..=plan.starts {
        for (subject, (ready, answered)) in subjects.iter().zip(&mut samples) {
            let event = delivery(numbers.next(), Signature::Good);
            let (function, start) = Function::start(subject, &event, Expected::Status(200)).await?;
            function.end().await?;
            if round > 0 {
                ready.push(start.ready);
                answered.push(start.answered);
            }
        }
    }
    eprintln!("{} cold starts each", plan.starts);
    let spreads = samples.into_iter();
    Ok(spreads
        .map(|(ready, answered)| (Spread::of(ready), Spread::of(answered)))
        .collect())
}

/// One turn of one function: `count` events of a class.
async fn turn(
    runner: &mut Runner<'_>,
    (class, count): (Class, usize),
    (aws, subject): (&Aws, &Subject),
    numbers: &mut Numbers,
) -> Result<(), Failure> {
    let (signature, expected) = match class {
        Class::New | Class::Duplicate => (Signature::Good, Expected::Status(200)),
        Class::Forged => (Signature::Forged, Expected::Status(401)),
    };
    let mut events = Vec::with_capacity(count);
    for _ in 0..count {
        let number = match class {
            Class::Duplicate => runner.seen.pop().unwrap_or_default(),
            Class::New | Class::Forged => numbers.next(),
        };
        if class == Class::New {
            runner.seen.push(number);
        }
        events.push(delivery(number, signature));
    }
    let pid = runner.function.pid()?;
    let samples = runner.samples.entry(class).or_default();
    aws.take_calls();
    aws.take_units();
    let log_before = log_length(subject);
    let before = Used::by(pid)?;
    for event in &events {
        let took = runner.function.invoke(event, expected).await?;
        samples.latencies.push(took);
    }
    let used = Used::by(pid)?.since(before);
    let per_event = used.time.as_secs_f64() * 1e3 / float(count);
    samples.processor.push(per_event);
    samples.billed = Billed::by(subject, aws, log_before, float(count));
    samples.waits += used.waits;
    for (action, calls) in aws.take_calls() {
        *samples.calls.entry(action).or_default() += calls;
    }
    Ok(())
}

fn sum(
    subject: &Subject,
    mut runner: Runner<'_>,
    (ready, first_answer): (Spread, Spread),
) -> Result<Measured, Failure> {
    let peak = peak_memory_kib(runner.function.pid()?)?;
    let mut warm = |class| runner.samples.remove(&class).map(Samples::sum);
    Ok(Measured {
        name: subject.name.clone(),
        ready,
        first_answer,
        new: warm(Class::New).unwrap_or_default(),
        duplicate: warm(Class::Duplicate),
        forged: warm(Class::Forged),
        peak_memory_mib: float(peak) / 1024.0,
        code_mb: float(size(&subject.folder)?) / 1e6,
        zip_mb: float(size(&subject.zip)?) / 1e6,
        instructions: None,
    })
}

/// The bytes of a file, or of all files of a folder that the zip has.
fn size(path: &Path) -> Result<u64, Failure> {
    let failed = |error| Failure::File(path.to_owned(), error);
    let here = fs::symlink_metadata(path).map_err(failed)?;
    if !here.is_dir() {
        return Ok(here.len());
    }
    let mut bytes = 0;
    for entry in fs::read_dir(path).map_err(failed)? {
        let path = entry.map_err(failed)?.path();
        if !path.ends_with("__pycache__") {
            bytes += size(&path)?;
        }
    }
    Ok(bytes)
}

/// A count as a number to divide by. Counts here are far below 2^52.
#[expect(clippy::cast_precision_loss, reason = "counts are small")]
pub(crate) fn float(count: impl TryInto<u64>) -> f64 {
    count.try_into().unwrap_or(u64::MAX) as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_spread_names_the_middle_and_the_slowest_hundredth() {
        let spread = Spread::of((1..=201).map(Duration::from_millis).collect());
        assert!((spread.p50 - 101.0).abs() < 1e-9, "{spread:?}");
        assert!((spread.p99 - 199.0).abs() < 1e-9, "{spread:?}");
        assert!(Spread::of(Vec::new()).p99.abs() < 1e-9);
    }
}
