//! Invoices of a subscription: access for a period, and an order for each paid renewal.

use crate::{
    access::subscription::{InvoiceChange, InvoiceEvent, Subscription},
    delivery::{answer::Answer, event::Change, reference::Reference},
    fulfillment::{
        Decision, ParkReason, Stop,
        known::Case,
        notice::notices_of_failure,
        of_other_mode,
        order::bounded,
        purchase::together,
        read_set::{ReadSet, Snapshot},
        renewal::{self, Due},
        subscription::{asked, contradiction, entitlement_read_set, nothing_to_give, wait, write},
    },
    sale::{order::Order, shop::NotNeeded},
    values::ids::{CustomerId, Grantor, OrderId, ReceiptId},
};

/// Decides a change of an invoice for its subscription.
pub(super) fn decide(case: &Case<'_>, change: &InvoiceChange) -> Result<Decision, Stop> {
    if let Some(park_reason) = of_other_mode("invoice", change.mode, case.policy.mode) {
        return Err(park_reason.into());
    }
    let customer_id = customer_of(case, change)?;
    let rows = case.known.rows(&ReadSet {
        subscription: Some((customer_id.clone(), change.subscription_id.clone())),
        links: change.bill.payment_intent_id.iter().cloned().collect(),
        ..ReadSet::of_order(&OrderId::from(&change.invoice_id))
    })?;
    if rows.subscription.as_ref().is_some_and(|row| row.other_shop) {
        return Err(Stop::NotNeeded(NotNeeded::OtherShop));
    }
    let mut learned = learned(case, change, &customer_id, rows.subscription.as_ref());
    let mut due = Due::Nothing;
    if change.event == InvoiceEvent::Paid && rows.order.is_none() {
        (learned, due) = renewal::due(case, change, learned)?;
    }
    if !matches!(due, Due::Order(_)) {
        learned = asked(case, learned)?;
    }
    let rows = case.known.rows(&entitlement_read_set(&learned))?;
    if let Some(park_reason) = contradiction(&learned) {
        return Err(park_reason.into());
    }
    if let Due::Order(sold) = &due {
        let rows = case.known.rows(&sold.read_set())?;
        case.known.rows(&sold.named_read_set(rows))?;
    }
    Ok(decide_learned(case, change, &learned, &due, rows)?)
}

/// The customer of an invoice: as stated, as stored, or as the provider says.
fn customer_of(case: &Case<'_>, change: &InvoiceChange) -> Result<CustomerId, Stop> {
    if let Some(customer_id) = &change.customer_id {
        return Ok(customer_id.clone());
    }
    let id = &change.subscription_id;
    if let Some(customer_id) = case.known.customer_of(id)? {
        return Ok(customer_id.clone());
    }
    let fetched = case.known.fetched(&Reference::Subscription(id.clone()))?;
    match fetched.answer.clone()? {
        Answer::Change(change) => match *change {
            Change::Subscription(change) => Ok(change.customer_id),
            _ => Err(ParkReason::NoSubject.into()),
        },
        _ => Err(ParkReason::NoSubject.into()),
    }
}

/// The subscription with the facts of one of its invoices.
fn learned(
    case: &Case<'_>,
    change: &InvoiceChange,
    customer_id: &CustomerId,
    known: Option<&Subscription>,
) -> Subscription {
    let new = || {
        let id = change.subscription_id.clone();
        Subscription::new(case.event.provider.clone(), customer_id.clone(), id)
    };
    let mut subscription = known.cloned().unwrap_or_else(new);
    let bill = change.bill.clone();
    subscription.learn_invoice(case.stated_at, &change.invoice_id, change.event, bill);
    subscription
}

fn decide_learned(
    case: &Case<'_>,
    change: &InvoiceChange,
    learned: &Subscription,
    due: &Due,
    rows: &Snapshot,
) -> Result<Decision, ParkReason> {
    let mut subscription = learned.clone();
    let mut notices = Vec::new();
    if change.event == InvoiceEvent::PaymentFailed {
        notices = notices_of_failure(case, &mut subscription)?;
    }
    let facts = write(case, subscription, notices, rows);
    if let Due::Later(park_reason) = due {
        return Ok(wait(facts, park_reason.clone()));
    }
    if let Some(park_reason) = nothing_to_give(case, learned) {
        return Ok(wait(facts, park_reason));
    }
    if let Due::Order(sold) = due {
        let mut made = sold.fulfilled(case, rows)?;
        if let Some(facts) = facts {
            let grantor = Grantor::from(&sold.order.order_id);
            made.subscription = facts.subscription;
            made.resources.extend(facts.resources);
            made.entitlements = together(facts.entitlements, made.entitlements, &grantor);
        }
        return bounded(made);
    }
    Ok(facts.map_or_else(
        || Decision::Nothing {
            unsent: unsent(change, learned, rows.order.as_ref()),
        },
        Decision::Write,
    ))
}

/// The receipts of an earlier event about the same invoice.
fn unsent(change: &InvoiceChange, learned: &Subscription, order: Option<&Order>) -> Vec<ReceiptId> {
    let receipt = order.and_then(|order| order.receipt_id.clone());
    let invoice = learned.invoices.get(&change.invoice_id);
    let notice = invoice.and_then(|invoice| invoice.notice_id.clone());
    receipt.into_iter().chain(notice).collect()
}

#[cfg(test)]
mod tests;
