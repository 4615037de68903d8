//! The sweep over the world in memory.

use crate::fakes::World;
use sweep::{Limits, Sweep};

/// The sweep as it is scheduled.
#[must_use]
pub fn sweep_over(world: &World) -> Sweep<World, World, World, World, World> {
    let w = || world.clone();
    let limits = Limits::default();
    Sweep { events: w(), receipts: w(), fulfillment_queue: w(), receipt_queue: w(), clock: w(), limits }
}
