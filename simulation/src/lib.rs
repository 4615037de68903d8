//! The seeded simulation: the real edges and rules on the ports in memory, with every possible fault.
//!
//! One seed makes a shop's months ([`plan`]), the weather ([`faults`]) and the order in which everything runs. Each
//! invocation is a future that is polled one step at a time. A process can therefore be killed or frozen at any await
//! point, and continue hours after its time was over. After every step the rows are compared with their earlier state.
//! At the end they are compared with a model that knows no events ([`check`], [`end`], [`model`]). Nothing depends on
//! the machine's clock.
#![expect(
    missing_docs,
    clippy::must_use_candidate,
    clippy::missing_panics_doc,
    reason = "a test kit: names that say everything need no more"
)]

pub mod addresses;
pub mod backlog;
pub mod check;
pub mod end;
pub mod faults;
pub mod flint_shop;
pub mod journal;
pub mod lag;
pub mod model;
mod panics;
pub mod patience;
pub mod plan;
pub mod reports;
mod run;
pub mod stats;

use faults::{Faults, Weather};
use flint_shop::api::FlintApi;
use kit::flint_shop::FLINT_SECRET;
use kit::prelude::*;
use kit::{
    announcing::{AnnouncerOver, announcer_over},
    dice::Dice,
    reconciling::reconcile_over,
    sweeping::{SweepOver, sweep_over},
};
use plan::Plan;
use reconcile::Reconcile;
use run::Run;
use stats::Stats;
use std::{
    num::NonZeroUsize,
    panic::{AssertUnwindSafe, catch_unwind},
};
use tokio::runtime::Runtime;

/// The time so much later.
fn later(at: Timestamp, by: Duration) -> Timestamp {
    at.saturating_add(by).unwrap_or(Timestamp::MAX)
}

/// A seed under which something does not hold.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("seed {seed}: {what}\n  replay: cargo run -p simulation --bin simulate -- --seed {seed}")]
pub struct Broken {
    pub seed: u64,
    pub what: String,
}

/// The functions and a runtime that owns their timers, for any number of runs.
#[derive(Debug)]
pub struct Stage {
    bundle: Bundle,
    sweep: SweepOver,
    announcer: AnnouncerOver,
    reconcile: Reconcile<World>,
    /// The API of the second provider.
    flint: FlintApi,
    runtime: Runtime,
}

impl Default for Stage {
    #[expect(clippy::expect_used, reason = "a test kit")]
    fn default() -> Self {
        let world = World::default();
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_time()
            .start_paused(true)
            .build();
        let bundle = Bundle::over(&world, Mode::Live, OnUnknown::Resend);
        Self {
            bundle,
            sweep: sweep_over(&world),
            announcer: announcer_over(&world),
            // No list forgets in a story.
            reconcile: reconcile_over(&world, 4_000),
            flint: FlintApi::of(&world),
            runtime: runtime.expect("a runtime"),
        }
    }
}

impl Stage {
    /// Runs the story of a seed.
    pub fn run(&mut self, seed: u64) -> Result<Stats, Broken> {
        self.run_loudly(seed, false)
    }

    /// Runs the story of a seed, and tells every step if `loud`. A panic breaks the seed, wherever it was caught: the
    /// edges turn one into a failed message, which a later try may hide.
    pub fn run_loudly(&mut self, seed: u64, loud: bool) -> Result<Stats, Broken> {
        panics::listen();
        let stats = catch_unwind(AssertUnwindSafe(|| self.tell(seed, loud)));
        let panics = panics::heard();
        if !panics.is_empty() || stats.is_err() {
            // A panic may have left this one broken.
            *self = Self::default();
        }
        match stats {
            Ok(stats) if panics.is_empty() => stats.map_err(|what| Broken { seed, what }),
            _ => Err(Broken {
                seed,
                what: format!("a panic: {}", panics.join("\n")),
            }),
        }
    }

    /// The shop sells through both providers.
    #[expect(clippy::expect_used, reason = "a test kit")]
    fn open_at_flint(&mut self, plan: &Plan) {
        self.flint.begin_again(plan.flint.expands);
        let world = &self.bundle.world;
        let key = ::flint::secret::key(FLINT_SECRET).expect("a secret");
        world.kept().keys.push(key);
        let receipts = plan.flint.receipts;
        let providers = self.flint.beside(world.providers(), receipts);
        self.bundle.intake.providers = providers.clone();
        self.bundle.fulfillment.providers = providers.clone();
        self.reconcile.providers = providers;
    }

    fn tell(&mut self, seed: u64, loud: bool) -> Result<Stats, String> {
        let plan = Plan::of(seed);
        self.bundle.begin_again();
        self.open_at_flint(&plan);
        self.bundle.fulfillment.policy = plan.policy.clone();
        self.bundle.receipts.on_unknown = plan.on_unknown;
        {
            let mut kept = self.bundle.world.kept();
            kept.counters.clone_from(&plan.stock_levels);
            kept.mapping.clone_from(&plan.mapping);
            // In some shops the tables do things that DynamoDB permits but rarely does. A batch of reads has rows of
            // two moments, or a long cart is committed in parts.
            kept.tears_reads = seed.is_multiple_of(2);
            kept.moves_a_part = NonZeroUsize::new(1).filter(|_| seed.is_multiple_of(3));
        }
        let weather = Weather::of(&mut Dice::of(seed, 2));
        let faults = Faults::new(Dice::of(seed, 3), weather.clone());
        self.bundle.world.decide_by(Some(Box::new(faults.clone())));
        let stats = {
            let mut run = Run::new(&*self, &plan, weather, faults, Dice::of(seed, 4), loud);
            run.play().map(|()| run.stats)
        };
        self.bundle.world.decide_by(None);
        stats
    }
}
