//! The announcements of a commit, from the rows as read and as written.

use crate::{
    announcement::{Announcement, Batch, Cause, access, event, order, resource},
    fulfillment::{commit::Commit, known::Case, read_set::Snapshot},
};

/// The announcements of a commit. An event that no delivery brought is announced when it ends.
pub(super) fn announced(case: &Case<'_>, rows: &Snapshot, commit: &Commit) -> Option<Batch> {
    let because = Cause {
        at: case.now,
        provider: Some(&case.event.provider),
        event_id: Some(&case.event.event_id),
    };
    let missed = event::missed(case.event, case.now);
    let mut all = if commit.ends { missed } else { Vec::new() };
    all.extend(of_commit(rows, commit, because));
    Batch::new(all, case.now)
}

fn of_commit(before: &Snapshot, commit: &Commit, cause: Cause<'_>) -> Vec<Announcement> {
    let mut all = Vec::new();
    if let Some(order) = &commit.order {
        all.extend(order::changed(before.order.as_ref(), order, cause));
    }
    for row in &commit.entitlements {
        let mut known = before.entitlements.iter();
        // The later of two readings.
        let known = known.rfind(|known| {
            (&known.customer_id, &known.product_id) == (&row.customer_id, &row.product_id)
        });
        all.extend(access::changed(known, row, cause));
    }
    for resource in &commit.resources {
        let known = before.resources.get(&resource.id());
        all.extend(resource::changed(known, resource, cause));
    }
    all
}
