//! Some hundreds of seeds of the simulation: see `make simulate` for more.

use kit::simulation::{Broken, Stage, stats::Stats};
use std::{panic, thread};

/// How many seeds each of the tests runs.
const SEEDS: u64 = 120;

/// Runs some seeds, from that one on, on two threads: what they came to, or the first that breaks.
fn run_from(first: u64) -> Result<Stats, Broken> {
    let half = |first: u64| {
        let (mut stage, mut all) = (Stage::default(), Stats::default());
        for seed in first..first + SEEDS / 2 {
            all.add(&stage.run(seed)?);
        }
        Ok::<_, Broken>(all)
    };
    thread::scope(|scope| {
        let other = scope.spawn(|| half(first + SEEDS / 2));
        let mut all = half(first)?;
        all.add(&other.join().unwrap_or_else(|panic| panic::resume_unwind(panic))?);
        Ok(all)
    })
}

fn held_from(first: u64) -> Stats {
    run_from(first).unwrap_or_else(|broken| panic!("{broken}"))
}

#[test]
fn whatever_goes_wrong_nothing_is_lost_nothing_doubled_and_nothing_left_undone() {
    let stats = held_from(1);
    assert_eq!(stats.seeds, SEEDS);
    println!("{}", stats.table());
    // So that it never comes to hold because nothing goes wrong any more.
    for what in [
        "calls failed before",
        "answers lost",
        "writes sent twice by the SDK",
        "transactions in conflict",
        "processes killed",
        "processes frozen, and woken later",
        "processes ended by the platform, out of time",
        "messages delivered while worked on",
        "messages given up on, and redriven",
        "messages lost by a queue",
        "parked events, and released",
        "ended events forgotten",
        "a mail's fate is unknown, sent",
        "a mail's fate is unknown, not sent",
        "forgeries",
    ] {
        assert!(stats.struck.get(what).is_some_and(|count| *count > 0), "never: {what}");
    }
    assert!(stats.again > 0 && stats.held > 0, "{stats:?}");
}

#[test]
fn more_seeds_hold_as_well() {
    assert_eq!(held_from(1_000_001).seeds, SEEDS);
}

#[test]
fn a_seed_tells_one_story() {
    let (one, other) = (Stage::default().run(7), Stage::default().run(7));
    let (one, other) = (one.expect("it holds"), other.expect("it holds"));
    assert_eq!(format!("{one:?}"), format!("{other:?}"));
    let after_others = {
        let mut stage = Stage::default();
        stage.run(8).expect("it holds");
        stage.run(7).expect("it holds")
    };
    assert_eq!(format!("{one:?}"), format!("{after_others:?}"));
}
