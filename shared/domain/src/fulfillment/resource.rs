//! Things that the stack mirrors: the fetched facts merge into the row of the thing.

use crate::{
    fulfillment::{
        Decision, Stop, checkout_session, commit::Commit, dunning, known::Case, payment_method,
        read_set::ReadSet,
    },
    resource::{Resource, ResourceChange},
    values::ids::ReceiptId,
};

/// Decides a change of a mirrored thing.
pub(super) fn decide(case: &Case<'_>, change: &ResourceChange) -> Result<Decision, Stop> {
    let id = change.id();
    let rows = case.known.rows(&ReadSet {
        resources: vec![id.clone()],
        ..checkout_session::read_set(case, change)
    })?;
    let known = rows.resources.get(&id);
    let learned = Resource::learn(known, &case.event.provider, change, case.stated_at);
    let learned = checkout_session::asked(case, learned)?;
    let mut learned = checkout_session::without_erased_contact(case, learned)?;
    let notice = match &mut learned {
        Resource::Invoice(invoice) => dunning::notice(case, invoice)?,
        _ => None,
    };
    let row = learned.is_news(known).then(|| learned.clone().next());
    if let Resource::CheckoutSession(session) = &learned {
        return checkout_session::decide(case, session, row.as_ref());
    }
    let Some(row) = row else {
        return Ok(Decision::Nothing {
            unsent: unsent(&learned),
        });
    };
    let charged = match &learned {
        Resource::PaymentMethod(method) => payment_method::flagged(case, method)?,
        _ => Vec::new(),
    };
    Ok(Decision::write(Commit {
        charged,
        receipts: notice.into_iter().collect(),
        resources: vec![row],
        ..Commit::of(case.event.event_id.clone())
    }))
}

/// The receipts of an earlier event that stated the same facts.
fn unsent(learned: &Resource) -> Vec<ReceiptId> {
    match learned {
        Resource::Invoice(invoice) => invoice.notice_id.iter().cloned().collect(),
        _ => Vec::new(),
    }
}
