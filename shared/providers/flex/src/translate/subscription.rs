//! A subscription and its invoices.

use super::{Missing, cents, filled, first_id, mode, word};
use crate::{
    time::timestamp,
    wire::{self, Reference},
};
use domain::{
    access::subscription::{
        Bill, InvoiceChange, InvoiceEvent, Item, Source, SubscriptionChange, SubscriptionFacts,
        SubscriptionStatus,
    },
    values::ids::{CustomerId, InvoiceId, PaymentIntentId, PriceId, ProductId, SubscriptionId},
};

/// Translates a subscription that came from this source.
pub(crate) fn subscription(
    subscription: &wire::Subscription,
    source: Source,
) -> Result<SubscriptionChange, Missing> {
    let customer = subscription.customer.as_ref().and_then(Reference::id);
    let status =
        filled(subscription.status.as_deref()).ok_or(Missing("object.subscription.status"))?;
    Ok(SubscriptionChange {
        subscription_id: first_id(
            [subscription.subscription_id.as_deref()],
            SubscriptionId::new,
        )
        .ok_or(Missing("object.subscription"))?,
        customer_id: first_id(
            [customer, subscription.customer_id.as_deref()],
            CustomerId::new,
        )
        .ok_or(Missing("object.subscription.customer"))?,
        mode: subscription.test_mode.map(mode),
        snapshot: SubscriptionFacts {
            source,
            status: SubscriptionStatus::from(word(status)),
            cancel_at_period_end: ends_with_period(subscription),
            period_end: timestamp(&subscription.current_period_end),
            trial_end: timestamp(&subscription.trial_end),
            items: subscription
                .items
                .iter()
                .flatten()
                .filter_map(Reference::object)
                .map(item)
                .collect(),
            latest_invoice: first_id(
                [subscription.latest_invoice.as_ref().and_then(Reference::id)],
                InvoiceId::new,
            ),
        },
    })
}

fn ends_with_period(subscription: &wire::Subscription) -> bool {
    let period_end = timestamp(&subscription.current_period_end);
    let cancel_at = timestamp(&subscription.cancel_at);
    // An end date at or before the period's end has the same effect.
    let ends = cancel_at.is_some_and(|cancel_at| Some(cancel_at) <= period_end);
    ends || subscription.cancel_at_period_end.unwrap_or_default()
}

fn item(item: &wire::SubscriptionItem) -> Item {
    let price = item.price.as_ref();
    let product = price
        .and_then(Reference::object)
        .and_then(|price| price.product.as_ref());
    let quantity = item
        .quantity
        .as_u64()
        .and_then(|quantity| quantity.try_into().ok());
    Item {
        product_id: first_id([product.and_then(Reference::id)], ProductId::new),
        price_id: first_id([price.and_then(Reference::id)], PriceId::new),
        quantity: quantity.unwrap_or(1),
    }
}

/// Translates an invoice with this occurrence; `None` if it has no subscription.
pub(crate) fn invoice(
    invoice: &wire::Invoice,
    event: InvoiceEvent,
) -> Result<Option<InvoiceChange>, Missing> {
    let subscription = invoice.subscription.as_ref();
    let named = [
        subscription.and_then(Reference::id),
        invoice.subscription_id.as_deref(),
    ]
    .map(filled);
    if named == [None, None] && subscription.and_then(Reference::object).is_none() {
        return Ok(None);
    }
    let customer = invoice.customer.as_ref().and_then(Reference::id);
    let payment = invoice.payment_intent.as_ref().and_then(Reference::id);
    Ok(Some(InvoiceChange {
        invoice_id: first_id([invoice.invoice_id.as_deref()], InvoiceId::new)
            .ok_or(Missing("object.invoice"))?,
        subscription_id: first_id(named, SubscriptionId::new)
            .ok_or(Missing("object.invoice.subscription"))?,
        customer_id: first_id([customer, invoice.customer_id.as_deref()], CustomerId::new),
        mode: invoice.test_mode.map(mode),
        event,
        bill: Bill {
            amount_paid: cents(&invoice.amount_paid),
            amount_due: cents(&invoice.amount_due),
            payment_intent_id: first_id(
                [payment, invoice.payment_intent_id.as_deref()],
                PaymentIntentId::new,
            ),
            period_start: timestamp(&invoice.period_start),
            period_end: timestamp(&invoice.period_end),
        },
    }))
}

#[cfg(test)]
mod tests;
