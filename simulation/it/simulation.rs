//! Some hundreds of seeds of the simulation: see `make simulate` for more.

use simulation::{Broken, Stage, faults::COUNTED, stats::Stats};
use std::{collections::BTreeSet, panic, thread};

/// Enough seeds to meet every kind of fault.
const SEEDS: u64 = 240;

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
        all.add(
            &other
                .join()
                .unwrap_or_else(|panic| panic::resume_unwind(panic))?,
        );
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
    // Otherwise the test could hold because a fault no longer happens, or happens without being counted.
    let struck: BTreeSet<&str> = stats
        .struck
        .iter()
        .filter(|(_, count)| **count > 0)
        .map(|(what, _)| *what)
        .collect();
    assert_eq!(struck, BTreeSet::from(COUNTED));
    assert!(stats.again > 0 && stats.held > 0, "{stats:?}");
}

#[test]
fn a_seed_tells_one_story() {
    let mut others = Stage::default();
    for seed in 1..=10 {
        let one = Stage::default().run(seed).expect("it holds");
        let other = others.run(seed).expect("it holds");
        assert_eq!(format!("{one:?}"), format!("{other:?}"), "after others");
    }
    let (one, other) = (
        others.run(1).expect("it holds"),
        others.run(2).expect("it holds"),
    );
    assert_ne!(one.story, other.story);
}
