//! Runs the seeded simulation: `--seeds N` stories, or as many as bring `--events N`; `--seed N` tells one of them
//! step by step.

use clap::Parser;
use kit::simulation::{Broken, Stage, stats::Stats};
use std::{
    process::ExitCode,
    sync::atomic::{AtomicBool, AtomicU64, Ordering},
    thread,
    time::Instant,
};

/// The seeded simulation.
#[derive(Debug, Parser)]
struct Arguments {
    /// How many seeds to run.
    #[arg(long, default_value_t = 1_000)]
    seeds: u64,
    /// The first of them.
    #[arg(long, default_value_t = 1)]
    from: u64,
    /// Run this one seed, and tell every step.
    #[arg(long)]
    seed: Option<u64>,
    /// Run until so many events are through, however many seeds that takes.
    #[arg(long)]
    events: Option<u64>,
    /// Go on after a seed has failed.
    #[arg(long)]
    keep_going: bool,
}

/// What all threads together came to.
#[derive(Default)]
struct Shared {
    next: AtomicU64,
    events: AtomicU64,
    stop: AtomicBool,
}

/// Runs seeds, each taken by one thread, until there are enough.
fn work(arguments: &Arguments, shared: &Shared) -> (Stats, Vec<Broken>) {
    let (mut stage, mut stats, mut broken) = (Stage::default(), Stats::default(), Vec::new());
    while !shared.stop.load(Ordering::Relaxed) {
        let nth = shared.next.fetch_add(1, Ordering::Relaxed);
        let enough = match arguments.events {
            Some(events) => shared.events.load(Ordering::Relaxed) >= events,
            None => nth >= arguments.seeds,
        };
        if enough {
            break;
        }
        match stage.run(arguments.from + nth) {
            Ok(one) => {
                shared.events.fetch_add(one.events, Ordering::Relaxed);
                stats.add(&one);
            }
            Err(failed) => {
                println!("{failed}");
                broken.push(failed);
                shared.stop.store(!arguments.keep_going, Ordering::Relaxed);
            }
        }
    }
    (stats, broken)
}

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    let begun = Instant::now();
    let (stats, broken) = match arguments.seed {
        Some(seed) => match Stage::default().run_loudly(seed, true) {
            Ok(stats) => (stats, Vec::new()),
            Err(failed) => {
                println!("{failed}");
                (Stats::default(), vec![failed])
            }
        },
        None => all(&arguments),
    };
    println!("{}", stats.table());
    println!("{:.1} s", begun.elapsed().as_secs_f64());
    if broken.is_empty() {
        println!("every invariant held: nothing lost, nothing double, nothing left undone");
        return ExitCode::SUCCESS;
    }
    println!("{} seeds failed", broken.len());
    ExitCode::FAILURE
}

fn all(arguments: &Arguments) -> (Stats, Vec<Broken>) {
    let shared = Shared::default();
    let threads = thread::available_parallelism().map_or(1, usize::from);
    let (mut stats, mut broken) = (Stats::default(), Vec::new());
    thread::scope(|scope| {
        let workers: Vec<_> = (0..threads).map(|_| scope.spawn(|| work(arguments, &shared))).collect();
        for worker in workers {
            if let Ok((one, failed)) = worker.join() {
                stats.add(&one);
                broken.extend(failed);
            }
        }
    });
    (stats, broken)
}
