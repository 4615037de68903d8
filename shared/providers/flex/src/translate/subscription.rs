//! A subscription and its invoices.

use super::{cents, currency, mode_of, named, needed_text, own_id, word};
use crate::wire::{self, Price, Reference};
use domain::{
    access::subscription::{
        Bill, InvoiceChange, InvoiceEvent, Item, Source, SubscriptionChange, SubscriptionFacts,
        SubscriptionStatus,
    },
    sale::order::Period,
    values::{
        facts::Stated,
        ids::{CustomerId, InvoiceId, PaymentIntentId, PriceId, ProductId, SubscriptionId},
    },
};
use reading::{Field, Identified, Kind, NotUnderstood, each, stated};

/// Translates a subscription that came from this source.
pub(crate) fn subscription(
    subscription: &wire::Subscription,
    source: Source,
) -> Result<SubscriptionChange, NotUnderstood> {
    const ID: &str = "object.subscription.subscription_id";
    const CUSTOMER: &str = "object.subscription.customer";
    let customers = [subscription.customer.id(), subscription.customer_id.id()];
    Ok(SubscriptionChange {
        subscription_id: own_id(subscription.subscription_id.id(), SubscriptionId::new, ID)?,
        customer_id: named(customers, CustomerId::new, CUSTOMER)?
            .ok_or(NotUnderstood::Missing(CUSTOMER))?,
        mode: mode_of(&subscription.test_mode, "object.subscription.test_mode")?,
        snapshot: ranked(facts(subscription, source)?),
    })
}

fn facts(
    subscription: &wire::Subscription,
    source: Source,
) -> Result<SubscriptionFacts, NotUnderstood> {
    let status = needed_text(&subscription.status, "object.subscription.status")?;
    Ok(SubscriptionFacts {
        source,
        status: SubscriptionStatus::from(word(status)),
        cancel_at_period_end: ends_with_period(subscription)?,
        period_end: stated(
            &subscription.current_period_end,
            "object.subscription.current_period_end",
        )?,
        trial_end: stated(&subscription.trial_end, "object.subscription.trial_end")?,
        items: items(subscription)?,
        latest_invoice: named(
            [subscription.latest_invoice.id()],
            InvoiceId::new,
            "object.subscription.latest_invoice",
        )?,
        created_at: stated(&subscription.created_at, "object.subscription.created_at")?,
        paid_through: None,
        suspended_at: None,
        payment_method_id: None,
        ended_at: None,
    })
}

/// Ranks the facts of one second: by source, then by status. A read is older than an update of its
/// second.
fn ranked(facts: SubscriptionFacts) -> Stated<SubscriptionFacts> {
    let source = match facts.source {
        Source::Created => 0,
        Source::Read => 1,
        Source::Updated => 2,
        Source::Deleted => 3,
    };
    let place = facts.status.place();
    Stated::ranked(source * 16 + place, facts)
}

fn ends_with_period(subscription: &wire::Subscription) -> Result<bool, NotUnderstood> {
    let period_end = subscription.current_period_end.known();
    let place = "object.subscription.cancel_at";
    let cancel_at = subscription.cancel_at.optional(place)?;
    // An end date at or before the period's end has the same effect.
    let ends = cancel_at.is_some_and(|cancel_at| Some(cancel_at) <= period_end);
    let place = "object.subscription.cancel_at_period_end";
    let with_period = stated(&subscription.cancel_at_period_end, place)?;
    Ok(ends || with_period.unwrap_or_default())
}

/// The current period.
pub(super) fn period(subscription: &wire::Subscription) -> Option<Period> {
    let start = *subscription.current_period_start.known()?;
    let end = *subscription.current_period_end.known()?;
    (start < end).then_some(Period { start, end })
}

/// The items that are given in full. A bare id says nothing of its product.
fn items(subscription: &wire::Subscription) -> Result<Vec<Item>, NotUnderstood> {
    each(&subscription.items, "object.subscription.items")?
        .into_iter()
        .filter_map(Reference::object)
        .map(item)
        .collect()
}

fn item(item: &wire::SubscriptionItem) -> Result<Item, NotUnderstood> {
    const PRICE: &str = "object.subscription.items[].price";
    const PRODUCT: &str = "object.subscription.items[].price.product";
    const QUANTITY: &str = "object.subscription.items[].quantity";
    let price: Option<&Price> = item.price.optional(PRICE)?.and_then(Reference::object);
    let product = price.map_or(&Field::Absent, |price| &price.product);
    let quantity = stated(&item.quantity, QUANTITY)?.unwrap_or(1);
    Ok(Item {
        product_id: named([product.id()], ProductId::new, PRODUCT)?,
        price_id: named([item.price.id()], PriceId::new, PRICE)?,
        quantity: quantity
            .try_into()
            .map_err(|_| NotUnderstood::Malformed(QUANTITY, Kind::Number))?,
    })
}

/// Translates an invoice with this occurrence; `None` if it has no subscription.
pub(crate) fn invoice(
    invoice: &wire::Invoice,
    event: InvoiceEvent,
) -> Result<Option<InvoiceChange>, NotUnderstood> {
    const ID: &str = "object.invoice.invoice_id";
    const SUBSCRIPTION: &str = "object.invoice.subscription";
    let subscriptions = [invoice.subscription.id(), invoice.subscription_id.id()];
    let customers = [invoice.customer.id(), invoice.customer_id.id()];
    let Some(subscription_id) = named(subscriptions, SubscriptionId::new, SUBSCRIPTION)? else {
        return Ok(None);
    };
    Ok(Some(InvoiceChange {
        invoice_id: own_id(invoice.invoice_id.id(), InvoiceId::new, ID)?,
        subscription_id,
        customer_id: named(customers, CustomerId::new, "object.invoice.customer")?,
        mode: mode_of(&invoice.test_mode, "object.invoice.test_mode")?,
        event,
        bill: bill(invoice)?.into(),
    }))
}

fn bill(invoice: &wire::Invoice) -> Result<Bill, NotUnderstood> {
    let payments = [invoice.payment_intent.id(), invoice.payment_intent_id.id()];
    let start = stated(&invoice.period_start, "object.invoice.period_start")?;
    let end = stated(&invoice.period_end, "object.invoice.period_end")?;
    // The invoice's own period may be the one that has passed; its lines state what they are for.
    let (start, end) = match period_of_lines(invoice) {
        Some(period) => (Some(period.start), Some(period.end)),
        None => (start, end),
    };
    Ok(Bill {
        currency: currency(&invoice.currency, "object.invoice.currency")?,
        amount_paid: cents(&invoice.amount_paid, "object.invoice.amount_paid")?,
        amount_due: cents(&invoice.amount_due, "object.invoice.amount_due")?,
        payment_intent_id: named(
            payments,
            PaymentIntentId::new,
            "object.invoice.payment_intent",
        )?,
        period_start: start,
        period_end: end,
        created_at: stated(&invoice.created_at, "object.invoice.created_at")?,
    })
}

/// The period of an invoice's lines that ends last: a line for a change of plan ends with it, one that is sold once has
/// none.
fn period_of_lines(invoice: &wire::Invoice) -> Option<Period> {
    let spans = invoice.lines.known()?.0.iter();
    let spans = spans.filter_map(|line| line.known()?.period.known());
    let periods = spans.filter_map(|span| {
        let (start, end) = (*span.start.known()?, *span.end.known()?);
        (start < end).then_some(Period { start, end })
    });
    periods.max_by_key(|period| (period.end, std::cmp::Reverse(period.start)))
}

#[cfg(test)]
mod tests;
