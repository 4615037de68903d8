//! The order of a paid renewal: what the subscription sells now, for the amount and the period of its invoice.

use crate::{
    access::{
        renewal::{Renewal, certified, covered, lines, totals},
        subscription::{Invoice, InvoiceChange, Standing, Subscription},
    },
    delivery::{answer::Answer, reference::Reference},
    fulfillment::{
        ParkReason, Stop,
        known::Case,
        of_other_currency,
        order::{self, Sold},
        read_set::ReadSet,
        subscription::{answered, learn_answer},
    },
    sale::{
        details::Details,
        order::{Order, OrderKind},
        payment::PaymentFacts,
        statement::{Customer, LineItem},
    },
    values::{
        facts::Fact,
        ids::{InvoiceId, OrderId, PaymentIntentId},
    },
};
use jiff::{SignedDuration, Timestamp};
use std::collections::BTreeMap;

/// An invoice whose payment never failed is paid within this time of its creation. A later event states when it was
/// retried.
const LONGEST_PAYMENT: SignedDuration = SignedDuration::from_hours(24);

/// The result of a paid invoice without an order.
pub(super) enum Due {
    /// It is the first one, cost nothing, or is of long ago.
    Nothing,
    /// The order of this renewal.
    Order(Box<Sold>),
    /// Its order, once this reason has passed.
    Later(ParkReason),
}

/// Finds what a paid invoice without an order makes due. The subscription learns what the provider was asked for.
pub(super) fn due(
    case: &Case<'_>,
    change: &InvoiceChange,
    learned: Subscription,
) -> Result<(Subscription, Due), Stop> {
    let id = &change.invoice_id;
    let invoice = learned.invoices.get(id);
    if invoice.is_none_or(|invoice| invoice.payment().is_none()) {
        return Ok((learned, Due::Nothing));
    }
    let learned = dated(case, id, learned)?;
    // With a filter, only the first order shows whose subscription it is.
    let is_of_unknown_shop = case.policy.shop.is_set() && learned.beginning.is_none();
    match learned.standing(id) {
        Standing::First => Ok((learned, Due::Nothing)),
        Standing::Renewal if !is_of_unknown_shop => order_due(case, change, learned),
        Standing::Renewal | Standing::Undecided => {
            Ok((learned, Due::Later(ParkReason::OrderUnknown("invoice"))))
        }
    }
}

/// The order of a renewal, by what the provider says that the subscription sells.
fn order_due(
    case: &Case<'_>,
    change: &InvoiceChange,
    mut learned: Subscription,
) -> Result<(Subscription, Due), Stop> {
    let reference = Reference::Renewal(change.subscription_id.clone());
    let fetched = case.known.fetched(&reference)?;
    let renewal = match &fetched.answer {
        Ok(Answer::Renewal(renewal)) => renewal,
        Ok(_) => return Ok((learned, Due::Later(ParkReason::NoSubject))),
        Err(park_reason) => return Ok((learned, Due::Later(park_reason.clone()))),
    };
    if learned.must_be_asked_for() {
        learn_answer(&mut learned, &renewal.change, fetched.asked_at);
    }
    let first = first_order(case, &learned)?;
    if let Some(park_reason) = in_other_currency(&learned, &change.invoice_id, first) {
        return Ok((learned, Due::Later(park_reason)));
    }
    let Some(sold) = sold(case, change, &learned, renewal, first)? else {
        return Ok((learned, Due::Nothing));
    };
    if let Some(period) = sold.order.period {
        learned.learn_period(period);
    }
    Ok((learned, Due::Order(Box::new(sold))))
}

/// The subscription with its time of creation, which is asked for if it decides what the invoice is.
fn dated(case: &Case<'_>, id: &InvoiceId, learned: Subscription) -> Result<Subscription, Stop> {
    if learned.standing(id) != Standing::Undecided || learned.created_at.is_some() {
        return Ok(learned);
    }
    // An answer that does not help is not kept: a try that finds nothing new writes nothing.
    let answered = answered(case, learned.clone())?;
    Ok(if answered.created_at.is_some() {
        answered
    } else {
        learned
    })
}

/// The order that the subscription began with, if it is known.
fn first_order<'a>(case: &Case<'a>, learned: &Subscription) -> Result<Option<&'a Order>, Stop> {
    let Some(beginning) = &learned.beginning else {
        return Ok(None);
    };
    let rows = case.known.rows(&ReadSet {
        first_order: Some(beginning.order_id.clone()),
        ..ReadSet::default()
    })?;
    Ok(rows.first_order.as_ref())
}

/// The reason to park the invoice if its money is of another currency than the subscription's first order.
fn in_other_currency(
    learned: &Subscription,
    id: &InvoiceId,
    first: Option<&Order>,
) -> Option<ParkReason> {
    let bill = &learned.invoices.get(id)?.bill.value;
    of_other_currency("invoice", bill.currency, first?.currency)
}

/// The sale that a renewal is; `None` if nothing was paid.
fn sold(
    case: &Case<'_>,
    change: &InvoiceChange,
    learned: &Subscription,
    renewal: &Renewal,
    first: Option<&Order>,
) -> Result<Option<Sold>, Stop> {
    let invoice = learned.invoices.get(&change.invoice_id);
    let Some((invoice, (amount, paid_at))) =
        invoice.and_then(|invoice| Some((invoice, invoice.payment()?)))
    else {
        return Ok(None);
    };
    let bill = &invoice.bill.value;
    let payments = payments(case, bill.payment_intent_id.as_ref())?;
    let placed_at = date_of_sale(invoice, paid_at, &payments);
    let lines = certified_lines(renewal, first, amount, paid_at);
    let order = Order {
        customer: customer(learned, renewal, first),
        totals: totals(&lines, amount),
        received: Some(amount),
        payment_intents: bill.payment_intent_id.iter().cloned().collect(),
        subscription_id: Some(change.subscription_id.clone()),
        invoice_id: Some(change.invoice_id.clone()),
        details: details(renewal, first),
        payments,
        period: covered(bill, paid_at, renewal.period),
        ..order::first(
            case,
            OrderId::from(&change.invoice_id),
            OrderKind::Renewal,
            change.mode.unwrap_or(case.policy.mode),
            bill.currency,
            placed_at,
        )
    };
    Ok(Some(Sold::new(case, order, lines)))
}

/// The lines of a renewal, as eligible as in the first order.
fn certified_lines(
    renewal: &Renewal,
    first: Option<&Order>,
    amount: i64,
    paid_at: Timestamp,
) -> Vec<LineItem> {
    let mut lines = lines(&renewal.items, amount, paid_at);
    for line in &mut lines {
        certified(line, first, paid_at);
    }
    lines
}

/// The facts of the invoice's payment that came before the order.
fn payments(
    case: &Case<'_>,
    id: Option<&PaymentIntentId>,
) -> Result<BTreeMap<PaymentIntentId, Fact<PaymentFacts>>, Stop> {
    let rows = case.known.rows(&ReadSet {
        links: id.into_iter().cloned().collect(),
        ..ReadSet::default()
    })?;
    let facts = id.and_then(|id| Some((id.clone(), rows.links.get(id)?.facts.clone()?)));
    Ok(facts.into_iter().collect())
}

/// The date of sale: the earliest report of the payment. If no attempt failed and the report is long after the invoice, the
/// payment's beginning, else the invoice's.
fn date_of_sale(
    invoice: &Invoice,
    paid_at: Timestamp,
    payments: &BTreeMap<PaymentIntentId, Fact<PaymentFacts>>,
) -> Timestamp {
    let begun = payments.values().filter_map(|facts| facts.value.made_at);
    let begun = begun.min().or(invoice.bill.value.created_at);
    begun
        .filter(|begun| {
            invoice.failed_at.is_none() && paid_at.duration_since(*begun) > LONGEST_PAYMENT
        })
        .unwrap_or(paid_at)
}

/// The customer as the provider has them now, else as in the first order: a guest's address may be on that sale only.
fn customer(learned: &Subscription, renewal: &Renewal, first: Option<&Order>) -> Customer {
    let before = first.map(|order| order.customer.clone());
    let before = before.unwrap_or_default();
    let now = renewal.customer.clone();
    Customer {
        customer_id: Some(learned.customer_id.clone()),
        name: now.name.or(before.name),
        email: now.email.or(before.email),
    }
}

/// The destination of the goods: as the provider has it now, else as in the first order. The price of that order's
/// shipping is its own.
fn details(renewal: &Renewal, first: Option<&Order>) -> Details {
    let before = first.map(|order| order.details.clone()).unwrap_or_default();
    let now = renewal.details.clone();
    let mut shipping = now.shipping.or(before.shipping);
    if let Some(shipping) = &mut shipping {
        shipping.amount = None;
    }
    Details {
        phone: now.phone.or(before.phone),
        shipping,
        ..now
    }
}
