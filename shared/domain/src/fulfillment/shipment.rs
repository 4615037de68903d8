//! The delivery of an order's goods, as the provider reports it, and the mail about it.

use crate::{
    fulfillment::{
        Decision, MailNeed, ParkReason, Stop, commit::Commit, known::Case, of_other_mode,
        read_set::ReadSet,
    },
    receipt::{Receipt, ReceiptKind},
    sale::{
        order::Order,
        shipment::{self, FulfillmentChange, FulfillmentFacts},
    },
    values::{facts::Fact, ids::FulfillmentId, provider::Party},
};

/// Decides a change of one delivery for its order, which comes first.
///
/// The mail is made by the change that shows the goods on their way. Its id is that of the fulfillment and a receipt that
/// exists is not written again, so a fulfillment has one mail at most.
pub(super) fn decide(case: &Case<'_>, change: &FulfillmentChange) -> Result<Decision, Stop> {
    if let Some(park_reason) = of_other_mode("fulfillment", change.mode, case.policy.mode) {
        return Err(park_reason.into());
    }
    let rows = case.known.rows(&ReadSet::of_order(&change.order_id))?;
    let Some(order) = &rows.order else {
        return Ok(Decision::wait(ParkReason::OrderUnknown("fulfillment")));
    };
    let id = &change.fulfillment_id;
    let known = order.fulfillments.get(id);
    let learned = learned(case, order, change);
    let mail = mail(case, order, id, learned.as_ref())?;
    if learned.as_ref() == known {
        let unsent = mail.into_iter().map(|mail| mail.receipt_id).collect();
        return Ok(Decision::Nothing { unsent });
    }
    // A later change of goods that are on their way makes no mail: the shop may have wanted none at the time.
    let is_first = !known.is_some_and(|facts| facts.value.is_on_its_way());
    let mut order = order.next();
    order
        .fulfillments
        .extend(learned.map(|facts| (id.clone(), facts)));
    Ok(Decision::write(Commit {
        order: Some(order),
        receipts: mail.filter(|_| is_first).into_iter().collect(),
        ..Commit::of(case.event.event_id.clone())
    }))
}

/// The known facts with those of the change. A late fact brings no personal data back to an erased order.
fn learned(
    case: &Case<'_>,
    order: &Order,
    change: &FulfillmentChange,
) -> Option<Fact<FulfillmentFacts>> {
    let mut facts = order.fulfillments.get(&change.fulfillment_id).cloned();
    let mut stated = change.facts.clone().fact(case.stated_at);
    if order.is_erased {
        stated.value = stated.value.erased();
    }
    shipment::merge(&mut facts, stated);
    facts
}

/// The mail about goods that are on their way. The order's own state does not count: the provider sends the
/// goods, and they are out.
fn mail(
    case: &Case<'_>,
    order: &Order,
    id: &FulfillmentId,
    facts: Option<&Fact<FulfillmentFacts>>,
) -> Result<Option<Receipt>, Stop> {
    let is_wanted = case.policy.shipment_mail && case.provider.receipts == Party::Us;
    if !is_wanted || order.is_erased || shipment_mail(facts) != MailNeed::Due {
        return Ok(None);
    }
    let kind = ReceiptKind::Shipment {
        fulfillment_id: id.clone(),
    };
    Ok(Some(Receipt::new(&order.order_id, kind, None, case.now)?))
}

/// Decides about the mail of a fulfillment when it is sent. It was committed with the order's row, so without facts a table
/// was restored, and the state of the goods is unknown.
#[must_use]
pub fn shipment_mail(facts: Option<&Fact<FulfillmentFacts>>) -> MailNeed {
    if facts.is_some_and(|facts| facts.value.is_on_its_way()) {
        MailNeed::Due
    } else {
        MailNeed::NotNeeded
    }
}

#[cfg(test)]
mod tests;
