//! Runs the seeded simulation: `--seeds N` stories, or as many as bring `--events N`; `--seed N` tells one of them
//! step by step.

use clap::Parser;
use simulation::{Broken, Stage, stats::Stats};
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
    #[arg(long, default_value_t = 1_000, value_parser = clap::value_parser!(u64).range(1..))]
    seeds: u64,
    /// The first of them.
    #[arg(long, default_value_t = 1)]
    from: u64,
    /// Run this one seed, and tell every step.
    #[arg(long)]
    seed: Option<u64>,
    /// Run until that many events are through, whatever the number of seeds.
    #[arg(long, value_parser = clap::value_parser!(u64).range(1..))]
    events: Option<u64>,
    /// Go on after a seed has failed.
    #[arg(long)]
    keep_going: bool,
}

/// The state that the threads share.
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
    let all = match arguments.seed {
        Some(seed) => match Stage::default().run_loudly(seed, true) {
            Ok(stats) => All {
                stats,
                ..All::default()
            },
            Err(failed) => {
                println!("{failed}");
                All {
                    broken: vec![failed],
                    ..All::default()
                }
            }
        },
        None => all(&arguments),
    };
    println!("{}", all.stats.table());
    println!("{:.1} s", begun.elapsed().as_secs_f64());
    if all.broken.is_empty() && all.lost == 0 && all.stats.seeds > 0 {
        println!("every invariant held: nothing lost, nothing double, nothing left undone");
        return ExitCode::SUCCESS;
    }
    println!(
        "{} seeds failed, {} threads were lost",
        all.broken.len(),
        all.lost
    );
    ExitCode::FAILURE
}

/// The results of all threads.
#[derive(Default)]
struct All {
    stats: Stats,
    broken: Vec<Broken>,
    /// How many threads panicked.
    lost: usize,
}

fn all(arguments: &Arguments) -> All {
    let shared = Shared::default();
    let threads = thread::available_parallelism().map_or(1, usize::from);
    let mut all = All::default();
    thread::scope(|scope| {
        let workers: Vec<_> = (0..threads)
            .map(|_| scope.spawn(|| work(arguments, &shared)))
            .collect();
        for worker in workers {
            match worker.join() {
                Ok((one, failed)) => {
                    all.stats.add(&one);
                    all.broken.extend(failed);
                }
                Err(_) => all.lost += 1,
            }
        }
    });
    all
}
