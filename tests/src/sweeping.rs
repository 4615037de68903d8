//! The sweep over the world in memory.

use crate::fakes::{DeadLetterQueue, Hop, World};
use sweep::{Limits, Sweep};

/// The sweep over the world in memory.
pub type SweepOver<C = World> = Sweep<World, World, World, World, DeadLetterQueue, C>;

/// The sweep as it is scheduled.
#[must_use]
pub fn sweep_over(world: &World) -> SweepOver {
    let w = || world.clone();
    Sweep {
        events: w(),
        receipts: w(),
        fulfillment_queue: w(),
        receipt_queue: w(),
        dead_letters: [Hop::Fulfillment, Hop::Receipts, Hop::Feedback]
            .map(|hop| world.dead_letters(hop)),
        clock: w(),
        limits: Limits::default(),
    }
}
