//! The announcer over the world in memory.

use crate::fakes::World;
use announcements::{Announcer, Call, Limits};
use domain::values::mode::Mode;
use std::sync::Arc;

/// The announcer over the world in memory.
pub type AnnouncerOver = Announcer<World, World>;

/// The announcer as the template's defaults are.
pub fn announcer_over(world: &World) -> AnnouncerOver {
    Announcer {
        store: world.clone(),
        bus: world.clone(),
        clock: Arc::new(world.clone()),
        mode: Mode::Live,
        announces_contacts: true,
        limits: Limits::default(),
    }
}

/// A call of a stream with these keys of the Stock table.
///
/// # Panics
///
/// Never: the call is good.
#[must_use]
#[expect(clippy::expect_used, reason = "a test kit")]
pub fn counted(skus: &[&str]) -> Call {
    let record = |sku: &&str| {
        let keys = serde_json::json!({"sku": {"S": sku}, "entry": {"S": "counter"}});
        serde_json::json!({"eventName": "MODIFY", "dynamodb": {"Keys": keys}})
    };
    let records: Vec<_> = skus.iter().map(record).collect();
    serde_json::from_value(serde_json::json!({"Records": records})).expect("a call")
}
