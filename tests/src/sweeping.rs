//! The sweep over the world in memory.

use crate::fakes::{DeadLetterQueue, Hop, World};
use domain::sale::restock::RestockPolicy;
use std::sync::Arc;
use sweep::{Limits, Sweep};

/// The sweep over the world in memory.
pub type SweepOver = Sweep<World, DeadLetterQueue>;

/// The sweep as it is scheduled.
pub fn sweep_over(world: &World) -> SweepOver {
    Sweep {
        store: world.clone(),
        dead_letters: [Hop::Fulfillment, Hop::Receipts, Hop::Feedback]
            .map(|hop| world.dead_letters(hop)),
        clock: Arc::new(world.clone()),
        limits: Limits::default(),
        restock: RestockPolicy::Any,
    }
}
