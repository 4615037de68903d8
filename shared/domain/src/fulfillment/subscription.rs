//! A subscription's own events and its invoices: facts merged, access derived, renewals receipted.

use crate::fulfillment::{Decision, ParkReason, Policy, of_other_mode};
use crate::{
    access::{
        entitlement::{Entitlement, granted},
        subscription::{
            Invoice, InvoiceChange, InvoiceEvent, Source, Subscription, SubscriptionChange,
            SubscriptionStatus,
        },
    },
    delivery::stored_event::StoredEvent,
    fulfillment::{
        commit::Commit,
        read_set::{ReadSet, Snapshot},
    },
    receipt::{Receipt, ReceiptKind},
    sale::{order::Order, payment::Link},
    values::{
        facts::Fact,
        ids::{CustomerId, InvoiceId, ProductId},
    },
};
use jiff::{SignedDuration, Timestamp};

/// How long before its end a customer is told of it.
const TRIAL_NOTICE: SignedDuration = SignedDuration::from_hours(3 * 24);

/// The rows of the access that a subscription has anything to do with.
#[must_use]
pub fn entitlement_read_set(subscription: &Subscription) -> ReadSet {
    let products = subscription.products.iter().cloned();
    let read_set = |product: ProductId| (subscription.customer_id.clone(), product);
    ReadSet {
        entitlements: products.map(read_set).collect(),
        ..ReadSet::default()
    }
}

/// The subscription with what an event tells of it.
#[must_use]
pub fn learned(
    event: &StoredEvent,
    change: &SubscriptionChange,
    known: Option<&Subscription>,
) -> Subscription {
    let mut subscription = known.cloned().unwrap_or_else(|| {
        Subscription::new(
            event.provider,
            change.customer_id.clone(),
            change.subscription_id.clone(),
        )
    });
    subscription.learn(event.stated_at(), change.snapshot.clone());
    subscription
}

/// The subscription with what an event tells of one of its invoices.
#[must_use]
pub fn learned_invoice(
    event: &StoredEvent,
    change: &InvoiceChange,
    customer_id: &CustomerId,
    known: Option<&Subscription>,
) -> Subscription {
    let mut subscription = known.cloned().unwrap_or_else(|| {
        Subscription::new(
            event.provider,
            customer_id.clone(),
            change.subscription_id.clone(),
        )
    });
    subscription.learn_invoice(
        event.stated_at(),
        &change.invoice_id,
        change.event,
        change.bill.clone(),
    );
    subscription
}

/// Whether the provider must be asked before this is written: facts contradict each other, or do not say enough.
#[must_use]
pub fn asks(subscription: &Subscription) -> bool {
    subscription.is_contradicted() || subscription.is_vague()
}

/// Decides what a subscription's own event means. `learned` has its facts, and those read from the provider where
/// [`asks`] said so; `rows` hold the subscription and the access as stored, and the order that it began with.
#[must_use]
pub fn decide(
    event: &StoredEvent,
    change: &SubscriptionChange,
    learned: &Subscription,
    rows: &Snapshot,
    policy: &Policy,
    now: Timestamp,
) -> Decision {
    if let Some(park_reason) = of_other_mode("subscription", change.mode, policy.mode) {
        return Decision::Park(park_reason);
    }
    if let Some(park_reason) = contradiction(learned) {
        return Decision::Park(park_reason);
    }
    let mut subscription = learned.clone();
    let receipts = match notice_of_trial(&mut subscription, policy, now) {
        Ok(receipt) => receipt.into_iter().collect(),
        Err(park_reason) => return Decision::Park(park_reason),
    };
    let written = write(event, subscription, receipts, Vec::new(), rows, policy);
    if let Some(park_reason) = nothing_to_give(learned, policy) {
        return wait(written, park_reason);
    }
    match written {
        Some(commit) => Decision::Write(commit),
        None => Decision::Nothing {
            unsent: learned.trial_notice_id.iter().cloned().collect(),
        },
    }
}

/// Decides what happened to an invoice means. As [`decide`]; `rows` hold the link of the invoice's payment as well.
#[must_use]
pub fn decide_invoice(
    event: &StoredEvent,
    change: &InvoiceChange,
    learned: &Subscription,
    rows: &Snapshot,
    policy: &Policy,
    now: Timestamp,
) -> Decision {
    if let Some(park_reason) = of_other_mode("invoice", change.mode, policy.mode) {
        return Decision::Park(park_reason);
    }
    if let Some(park_reason) = contradiction(learned) {
        return Decision::Park(park_reason);
    }
    about_invoice(event, change, learned, rows, policy, now).unwrap_or_else(Decision::Park)
}

fn about_invoice(
    event: &StoredEvent,
    change: &InvoiceChange,
    learned: &Subscription,
    rows: &Snapshot,
    policy: &Policy,
    now: Timestamp,
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
                let receipt = Receipt::new(&order.order_id, kind, None, now)?;
                if let Some(invoice) = subscription.invoices.get_mut(&change.invoice_id) {
                    invoice.receipt_id = Some(receipt.receipt_id.clone());
                    receipts.push(receipt);
                }
            }
        },
        InvoiceEvent::PaymentFailed => {
            if let Some(order) = order {
                receipts.extend(notices_of_failure(&mut subscription, order, policy, now)?);
            }
        }
    }
    let links = order.map_or_else(Vec::new, |order| {
        link(change, &subscription, order, rows, event.stated_at())
    });
    let written = write(event, subscription, receipts, links, rows, policy);
    if waits {
        return Ok(wait(written, ParkReason::OrderUnknown("invoice")));
    }
    if let Some(park_reason) = nothing_to_give(learned, policy) {
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

/// Whether a paid invoice is a renewal that is owed a receipt.
enum Renewal<'a> {
    /// It is the first one, cost nothing, is of long ago, or has its receipt.
    Not,
    /// That is known once the order is that the subscription began with.
    Unknown,
    /// It is: of the subscription that began with this order, so much, paid then.
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

/// Whether a paid invoice is a renewal without its receipt: news of it waited for the order, and nobody brought them
/// again.
pub(crate) fn lacks_receipt(
    change: &InvoiceChange,
    subscription: &Subscription,
    order: &Order,
) -> bool {
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

/// Writes what is known and waits for the rest. What a commit that does not end the event makes owed would never be
/// queued: receipts are left to the try that ends it.
fn wait(written: Option<Box<Commit>>, park_reason: ParkReason) -> Decision {
    let facts = written.filter(|commit| commit.receipts.is_empty());
    Decision::Wait {
        commit: facts.map(|commit| {
            Box::new(Commit {
                ends: false,
                ..*commit
            })
        }),
        park_reason,
    }
}

/// A deletion that everything else speaks against, the provider's API among it.
fn contradiction(learned: &Subscription) -> Option<ParkReason> {
    let Fact { at, value: facts } = learned.snapshot.as_ref()?;
    let lives = facts.source == Source::Read
        && matches!(
            facts.status,
            SubscriptionStatus::Trialing | SubscriptionStatus::Active
        );
    let ended_before = learned.ended_at.is_some_and(|ended_at| ended_at < *at);
    (lives && ended_before).then(|| ParkReason::Contradicted(facts.status.to_string()))
}

/// Access that is paid for and to nothing: after the provider was asked, somebody has to look.
fn nothing_to_give(learned: &Subscription, policy: &Policy) -> Option<ParkReason> {
    let paid = learned.access(policy.grace).until.is_some();
    (paid && learned.current_products().is_empty()).then_some(ParkReason::NoProduct)
}

/// The notice that a trial ends, once it is known when and which order it belongs to.
pub(super) fn notice_of_trial(
    subscription: &mut Subscription,
    policy: &Policy,
    now: Timestamp,
) -> Result<Option<Receipt>, ParkReason> {
    let ends_at = trial_ends_at(subscription).filter(|ends_at| *ends_at > now);
    let (true, Some(ends_at), Some(beginning)) =
        (policy.trial_ends_mail, ends_at, &subscription.beginning)
    else {
        return Ok(None);
    };
    let kind = ReceiptKind::TrialEnds {
        subscription_id: subscription.subscription_id.clone(),
        ends_at,
    };
    let receipt = Receipt::new(
        &beginning.order_id,
        kind,
        Some(notice_due_at(ends_at, now)),
        now,
    )?;
    // One notice for each end: a trial that is extended has another, and the first one is withdrawn on its day.
    if subscription.trial_notice_id.as_ref() == Some(&receipt.receipt_id) {
        return Ok(None);
    }
    subscription.trial_notice_id = Some(receipt.receipt_id.clone());
    Ok(Some(receipt))
}

/// When a customer is told that a trial ends then.
pub(super) fn notice_due_at(ends_at: Timestamp, now: Timestamp) -> Timestamp {
    ends_at.saturating_sub(TRIAL_NOTICE).unwrap_or(now).max(now)
}

/// When the trial ends that a subscription is in and that turns into a payment.
pub(super) fn trial_ends_at(subscription: &Subscription) -> Option<Timestamp> {
    let Fact { value: facts, .. } = subscription.snapshot.as_ref()?;
    let runs = facts.status == SubscriptionStatus::Trialing
        && !facts.cancel_at_period_end
        && subscription.ended_at.is_none();
    facts.trial_end.filter(|_| runs)
}

/// The notices that renewals could not be charged, while that is so: of each invoice that has none, once the order is
/// known. Whatever comes first, the failure or the order, the other one brings the notice.
pub(super) fn notices_of_failure(
    subscription: &mut Subscription,
    order: &Order,
    policy: &Policy,
    now: Timestamp,
) -> Result<Vec<Receipt>, ParkReason> {
    if !policy.payment_failed_mail {
        return Ok(Vec::new());
    }
    let is_unfinished = |(id, invoice): &(&InvoiceId, &Invoice)| {
        let fails =
            invoice.failed_at.is_some() && invoice.paid_at.is_none() && invoice.notice_id.is_none();
        // The first payment is made in the checkout, where the shopper sees how it goes.
        fails
            && !subscription.begins_with(
                id,
                &invoice.bill.value,
                &order.payment_intents,
                order.placed_at,
            )
    };
    let unsent = subscription.invoices.iter().filter(is_unfinished);
    let unsent: Vec<(InvoiceId, Option<i64>)> = unsent
        .map(|(id, invoice)| (id.clone(), invoice.bill.value.amount_due))
        .collect();
    let mut notices = Vec::new();
    for (invoice_id, amount) in unsent {
        let kind = ReceiptKind::PaymentFailed {
            subscription_id: subscription.subscription_id.clone(),
            invoice_id: invoice_id.clone(),
            amount,
        };
        let notice = Receipt::new(&order.order_id, kind, None, now)?;
        if let Some(invoice) = subscription.invoices.get_mut(&invoice_id) {
            invoice.notice_id = Some(notice.receipt_id.clone());
        }
        notices.push(notice);
    }
    Ok(notices)
}

/// Whether what a notice tells is still so. A receipt tells what has happened, which stays so.
#[must_use]
pub fn still_so(kind: &ReceiptKind, subscription: Option<&Subscription>) -> bool {
    match (kind, subscription) {
        (ReceiptKind::Order | ReceiptKind::Invoice { .. } | ReceiptKind::Refund { .. }, _) => true,
        (ReceiptKind::PaymentFailed { .. } | ReceiptKind::TrialEnds { .. }, None) => false,
        (ReceiptKind::PaymentFailed { invoice_id, .. }, Some(subscription)) => {
            let invoice = subscription.invoices.get(invoice_id);
            subscription.ended_at.is_none()
                && invoice.is_some_and(|invoice| invoice.paid_at.is_none())
        }
        (ReceiptKind::TrialEnds { ends_at, .. }, Some(subscription)) => {
            trial_ends_at(subscription) == Some(*ends_at)
        }
    }
}

/// The commit of a subscription with the access that follows from it; `None` if nothing is new.
fn write(
    event: &StoredEvent,
    subscription: Subscription,
    receipts: Vec<Receipt>,
    links: Vec<Link>,
    rows: &Snapshot,
    policy: &Policy,
) -> Option<Box<Commit>> {
    let access = |product: &ProductId| {
        let known = rows
            .entitlements
            .iter()
            .find(|row| row.product_id == *product);
        let row = granted(known, &subscription, product, policy.grace);
        (known != Some(&row)).then_some(Entitlement {
            version: row.version + 1,
            ..row
        })
    };
    let entitlements: Vec<Entitlement> = subscription.products.iter().filter_map(access).collect();
    let known = rows.subscription.as_ref();
    if known == Some(&subscription)
        && entitlements.is_empty()
        && links.is_empty()
        && receipts.is_empty()
    {
        return None;
    }
    // Beside the access that follows from it, it is written even if nothing of it is new: its version is the condition
    // that it is still what was read, and not, since then, another event's to give or take access by.
    let subscription =
        (known != Some(&subscription) || !entitlements.is_empty()).then(|| Subscription {
            version: subscription.version + 1,
            ..subscription
        });
    let event_id = event.event_id.clone();
    Some(Box::new(Commit {
        links,
        subscription,
        entitlements,
        receipts,
        ..Commit::of(event_id)
    }))
}

#[cfg(test)]
mod tests;
