//! Invoices of a subscription: access for a period, and a receipt for each renewal.

use crate::{
    access::subscription::{InvoiceChange, InvoiceEvent, Subscription},
    delivery::{answer::Answer, event::Change, reference::Reference},
    fulfillment::{
        Decision, ParkReason, Stop,
        known::Case,
        notice::notices_of_failure,
        of_other_mode,
        read_set::{ReadSet, Snapshot},
        subscription::{asked, contradiction, entitlement_read_set, nothing_to_give, wait, write},
    },
    receipt::{Receipt, ReceiptKind},
    sale::{order::Order, payment::Link, shop::NotNeeded},
    values::ids::CustomerId,
};
use jiff::Timestamp;

/// Decides a change of an invoice for its subscription.
pub(super) fn decide(case: &Case<'_>, change: &InvoiceChange) -> Result<Decision, Stop> {
    if let Some(park_reason) = of_other_mode("invoice", change.mode, case.policy.mode) {
        return Err(park_reason.into());
    }
    let customer_id = customer_of(case, change)?;
    let rows = case.known.rows(&ReadSet {
        subscription: Some((customer_id.clone(), change.subscription_id.clone())),
        links: change.bill.payment_intent_id.iter().cloned().collect(),
        ..ReadSet::default()
    })?;
    if rows.subscription.as_ref().is_some_and(|row| row.other_shop) {
        return Err(Stop::NotNeeded(NotNeeded::OtherShop));
    }
    let learned = learned(case, change, &customer_id, rows.subscription.as_ref());
    let learned = asked(case, learned)?;
    let order_id = learned
        .beginning
        .as_ref()
        .map(|beginning| beginning.order_id.clone());
    let rows = case.known.rows(&ReadSet {
        order: order_id,
        ..entitlement_read_set(&learned)
    })?;
    if let Some(park_reason) = contradiction(&learned) {
        return Err(park_reason.into());
    }
    Ok(decide_learned(case, change, &learned, rows)?)
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
    rows: &Snapshot,
) -> Result<Decision, ParkReason> {
    let mut subscription = learned.clone();
    let order = rows.order.as_ref();
    let mut receipts = Vec::new();
    let mut waits = false;
    match change.event {
        InvoiceEvent::Paid => match renewal(change, &subscription, order) {
            Renewal::Not => {}
            Renewal::Unknown => waits = true,
            Renewal::Is(order, amount, paid_at) => {
                let kind = ReceiptKind::Invoice {
                    subscription_id: change.subscription_id.clone(),
                    invoice_id: change.invoice_id.clone(),
                    amount,
                    paid_at,
                    period_start: change.bill.period_start,
                    period_end: change.bill.period_end,
                };
                let receipt = Receipt::new(&order.order_id, kind, None, case.now)?;
                if let Some(invoice) = subscription.invoices.get_mut(&change.invoice_id) {
                    invoice.receipt_id = Some(receipt.receipt_id.clone());
                    receipts.push(receipt);
                }
            }
        },
        InvoiceEvent::PaymentFailed => {
            if let Some(order) = order {
                receipts.extend(notices_of_failure(case, &mut subscription, order)?);
            }
        }
    }
    let links = order.map_or_else(Vec::new, |order| {
        link(change, &subscription, order, rows, case.stated_at)
    });
    let written = write(case, subscription, receipts, links, rows);
    if waits {
        return Ok(wait(written, ParkReason::OrderUnknown("invoice")));
    }
    if let Some(park_reason) = nothing_to_give(case, learned) {
        return Ok(wait(written, park_reason));
    }
    Ok(written.map_or_else(
        || {
            let known = learned.invoices.get(&change.invoice_id);
            let unsent = known
                .into_iter()
                .flat_map(|invoice| [&invoice.receipt_id, &invoice.notice_id]);
            Decision::Nothing {
                unsent: unsent.flatten().cloned().collect(),
            }
        },
        Decision::Write,
    ))
}

/// The answer to the question if a paid invoice is a renewal without its receipt.
enum Renewal<'a> {
    /// It is the first one, cost nothing, is of long ago, or has its receipt.
    Not,
    /// The order that began the subscription is not known yet.
    Unknown,
    /// The order, the amount, and the time of the payment.
    Is(&'a Order, i64, Timestamp),
}

fn renewal<'a>(
    change: &InvoiceChange,
    subscription: &Subscription,
    order: Option<&'a Order>,
) -> Renewal<'a> {
    let Some(invoice) = subscription.invoices.get(&change.invoice_id) else {
        return Renewal::Not;
    };
    let (Some(amount), Some(paid_at)) = (
        invoice.bill.value.amount_paid.filter(|paid| *paid > 0),
        invoice.paid_at,
    ) else {
        return Renewal::Not;
    };
    if invoice.receipt_id.is_some() {
        return Renewal::Not;
    }
    let first = subscription
        .beginning
        .as_ref()
        .and_then(|beginning| beginning.invoice_id.as_ref());
    if first.or(subscription.born_with.as_ref()) == Some(&change.invoice_id) {
        return Renewal::Not;
    }
    let Some(order) = order else {
        return Renewal::Unknown;
    };
    let bill = &invoice.bill.value;
    if subscription.begins_with(
        &change.invoice_id,
        bill,
        &order.payment_intents,
        order.placed_at,
    ) {
        return Renewal::Not;
    }
    Renewal::Is(order, amount, paid_at)
}

/// True if a paid invoice is a renewal without its receipt: its event waited for the order, and did not come again.
#[must_use]
pub fn lacks_receipt(change: &InvoiceChange, subscription: &Subscription, order: &Order) -> bool {
    matches!(renewal(change, subscription, Some(order)), Renewal::Is(..))
}

/// The link from a renewal's payment to the order, by which its refunds find it. The first payment has one from the
/// checkout, and one that failed has nothing to refund.
fn link(
    change: &InvoiceChange,
    subscription: &Subscription,
    order: &Order,
    rows: &Snapshot,
    at: Timestamp,
) -> Vec<Link> {
    let is_first = subscription.begins_with(
        &change.invoice_id,
        &change.bill,
        &order.payment_intents,
        order.placed_at,
    );
    let (InvoiceEvent::Paid, false, Some(id)) =
        (change.event, is_first, &change.bill.payment_intent_id)
    else {
        return Vec::new();
    };
    let known = rows
        .links
        .get(id)
        .cloned()
        .unwrap_or_else(|| Link::new(id.clone()));
    if known.order_id.is_some() {
        return Vec::new();
    }
    let version = known.version + 1;
    vec![Link {
        version,
        order_id: Some(order.order_id.clone()),
        ..known.with(None, at)
    }]
}
