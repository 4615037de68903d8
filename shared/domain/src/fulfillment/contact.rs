//! A customer's name and address.

use crate::{
    access::contact::{Contact, ContactChange},
    fulfillment::{Decision, Stop, commit::Commit, known::Case, of_other_mode, read_set::ReadSet},
};

/// Decides a change of a customer.
pub(super) fn decide(case: &Case<'_>, change: &ContactChange) -> Result<Decision, Stop> {
    let rows = case.known.rows(&ReadSet {
        contact: Some(change.customer_id.clone()),
        ..ReadSet::default()
    })?;
    if let Some(park_reason) = of_other_mode("customer", change.mode, case.policy.mode) {
        return Err(park_reason.into());
    }
    let known = rows.contact.clone();
    let known = known.unwrap_or_else(|| Contact::new(change.customer_id.clone()));
    let mut contact = known.clone();
    let facts = change.facts.clone();
    contact.learn(facts.map(|facts| facts.fact(case.stated_at)));
    // Also if the contact is erased, since another attempt may have written it. Only an event that asks for the erasure
    // is kept until it is done.
    let is_deletion = change.facts.is_none();
    let erases = is_deletion.then(|| change.customer_id.clone());
    let is_new = contact != known;
    if !is_new && !is_deletion {
        return Ok(Decision::Nothing { unsent: Vec::new() });
    }
    contact.version += 1;
    Ok(Decision::write(Commit {
        contact: is_new.then_some(contact),
        erases,
        ..Commit::of(case.event.event_id.clone())
    }))
}
