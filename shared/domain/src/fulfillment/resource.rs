//! Things that the stack mirrors: the fetched facts merge into the row of the thing.

use crate::{
    fulfillment::{Decision, Stop, commit::Commit, known::Case, read_set::ReadSet},
    resource::{Resource, ResourceChange},
};

/// Decides a change of a mirrored thing.
pub(super) fn decide(case: &Case<'_>, change: &ResourceChange) -> Result<Decision, Stop> {
    let id = change.id();
    let rows = case.known.rows(&ReadSet {
        resources: vec![id.clone()],
        ..ReadSet::default()
    })?;
    let known = rows.resources.get(&id);
    let learned = Resource::learn(known, &case.event.provider, change, case.stated_at);
    if !learned.is_news(known) {
        return Ok(Decision::Nothing { unsent: Vec::new() });
    }
    Ok(Decision::write(Commit {
        resources: vec![learned.next()],
        ..Commit::of(case.event.event_id.clone())
    }))
}
