//! A checkout: one order, and once it is paid for its stock movements and one receipt.

use crate::{
    access::subscription::{Beginning, Subscription},
    delivery::{answer::Answer, reference::Reference},
    fulfillment::{
        Decision, ParkReason, Stop,
        commit::Commit,
        known::{Case, Fetched, Need},
        notice::{notice_of_trial, notices_of_failure},
        of_other_mode,
        order::{Sold, bounded, links},
        other_shop,
        read_set::{ReadSet, Snapshot},
    },
    receipt::Receipt,
    sale::{
        amounts::{Closed, OrderFunds, PartPayment},
        checkout::{Checkout, CheckoutKind, CheckoutStatus},
        order::{Order, OrderKind},
        payment::{self, Link, PaymentChange, PaymentFacts},
    },
    values::{
        facts::{Fact, whole_second},
        ids::{OrderId, PaymentIntentId},
    },
};
use jiff::{SignedDuration, Timestamp};
use std::collections::BTreeMap;

/// The longest time between the creation of a checkout and its completion: the provider's sessions expire sooner.
const LONGEST_CHECKOUT: SignedDuration = SignedDuration::from_hours(24);
/// How often a checkout is fetched at most for one decision.
const READINGS: u32 = 3;

/// The rows that decide a checkout, except the order itself.
fn read_set(sold: &Sold) -> ReadSet {
    let customer_id = sold.customer.customer_id.clone();
    ReadSet {
        subscription: customer_id.zip(sold.subscription_id.clone()),
        ..sold.read_set()
    }
}

/// True if an unpaid checkout was read too early: an event about one of its payments came after the read.
fn read_too_early(decision: &Decision, rows: &Snapshot, read_at: Timestamp) -> bool {
    let waits = match decision {
        Decision::Write(commit)
        | Decision::Wait {
            commit: Some(commit),
            ..
        } => !commit.fulfills,
        Decision::Nothing { .. } | Decision::Wait { commit: None, .. } => true,
        Decision::Park(_) | Decision::NotNeeded { .. } => false,
    };
    waits
        && rows
            .links
            .values()
            .any(|link| link.heard_at >= Some(whole_second(read_at)))
}

/// The facts of a payment that the event states.
pub(super) fn stated_facts(case: &Case<'_>, change: &PaymentChange) -> Option<Fact<PaymentFacts>> {
    let facts = change.facts.clone();
    facts.map(|facts| facts.fact(case.stated_at))
}

/// The rows of a checkout with a change of one of its payments in them. The provider's API may not have the change: it
/// may lag behind its own events, or its payments could not be read.
fn noted(case: &Case<'_>, change: &PaymentChange, mut rows: Snapshot) -> Snapshot {
    let id = &change.payment_intent_id;
    let link = rows
        .links
        .remove(id)
        .unwrap_or_else(|| Link::new(id.clone()));
    rows.links.insert(
        id.clone(),
        link.with(stated_facts(case, change), case.stated_at),
    );
    rows
}

/// The facts of each payment: from the API's answer, and from earlier events.
fn payments(
    checkout: &Checkout,
    rows: &Snapshot,
    read_at: Timestamp,
) -> BTreeMap<PaymentIntentId, Fact<payment::PaymentFacts>> {
    let mut known = rows
        .order
        .as_ref()
        .map(|order| order.payments.clone())
        .unwrap_or_default();
    for id in &checkout.payment_intents {
        let mut facts = known.remove(id);
        payment::merge(
            &mut facts,
            rows.links.get(id).and_then(|link| link.facts.clone()),
        );
        payment::merge(
            &mut facts,
            checkout
                .payments
                .get(id)
                .map(|facts| facts.clone().fact(read_at)),
        );
        if let Some(facts) = facts {
            known.insert(id.clone(), facts);
        }
    }
    known
}

/// The change that an event states about a checkout.
#[derive(Debug, Clone, Copy)]
pub(super) enum About<'a> {
    /// A change of the checkout; it may say that the checkout is completed.
    Checkout { completed: bool },
    /// A change of one of its payments.
    Payment(&'a PaymentChange),
    /// A delayed payment has arrived.
    Paid,
}

/// True if no answer of the provider can change the order's sale: it is fulfilled and paid.
pub(super) fn is_done(order: &Order) -> bool {
    order.fulfilled_at.is_some() && order.funds() != OrderFunds::Part
}

/// Decides a change of a checkout. A fulfilled and paid checkout is done; any other is fetched from the provider.
pub(super) fn decide(
    case: &Case<'_>,
    order_id: &OrderId,
    about: About<'_>,
) -> Result<Decision, Stop> {
    let first = ReadSet {
        // Read with the order, since a decision about either needs it.
        receipts: vec![Receipt::for_order(order_id, case.now)?.receipt_id],
        ..ReadSet::of_order(order_id)
    };
    let known = case.known.rows(&first)?.order.as_ref();
    if let Some(order) = known.filter(|order| is_done(order)) {
        return Ok(Decision::Nothing {
            unsent: order.receipt_id.iter().cloned().collect(),
        });
    }
    let reference = Reference::Checkout(order_id.clone());
    let fetched = case.known.fetched(&reference)?;
    let checkout = answered(case, fetched)?;
    // Once more: an answer that is fetched again makes the rows be read again.
    let is_known = case.known.rows(&first)?.order.is_some();
    if let (false, Some(reason)) = (is_known, case.policy.shop.not_needed(&checkout)) {
        return other_shop::decide(case, &checkout, reason);
    }
    let sold = sold(case, &checkout);
    let rows = case.known.rows(&read_set(&sold))?;
    let rows = case.known.rows(&sold.named_read_set(rows))?;
    let decision = decide_about(case, about, &checkout, rows);
    if fetched.times < READINGS && read_too_early(&decision, rows, fetched.asked_at) {
        return Err(Need::Fetch(reference).into());
    }
    Ok(decision)
}

/// The checkout of an answer, with its customer. Payments without a time have that of the request.
fn answered(case: &Case<'_>, fetched: &Fetched) -> Result<Checkout, Stop> {
    let Answer::Checkout(checkout) = fetched.answer.clone()? else {
        return Err(ParkReason::NoSubject.into());
    };
    let mut checkout = with_customer(case, *checkout)?;
    for facts in checkout.payments.values_mut() {
        facts.at.get_or_insert(fetched.asked_at);
    }
    Ok(checkout)
}

/// The checkout with its customer: a checkout that starts a subscription may not name one.
fn with_customer(case: &Case<'_>, mut checkout: Checkout) -> Result<Checkout, Stop> {
    if let (None, Some(id)) = (&checkout.customer.customer_id, &checkout.subscription_id) {
        checkout.customer.customer_id = case.known.customer_of(id)?.cloned();
    }
    Ok(checkout)
}

/// Decides the stated change about a checkout that was fetched.
fn decide_about(
    case: &Case<'_>,
    about: About<'_>,
    checkout: &Checkout,
    rows: &Snapshot,
) -> Decision {
    match about {
        About::Checkout { completed } => decide_read(case, completed, checkout, rows),
        About::Payment(change) => {
            let noted = noted(case, change, rows.clone());
            decide_read(case, false, checkout, &noted)
        }
        About::Paid => decide_paid(case, checkout, rows),
    }
}

/// Decides about a checkout as the provider's API has it. `rows` are those of [`read_set`], the stock levels, and
/// the order if there is one; `completed` is whether the event says so.
pub(super) fn decide_read(
    case: &Case<'_>,
    completed: bool,
    checkout: &Checkout,
    rows: &Snapshot,
) -> Decision {
    if let Some(park_reason) = of_other_mode("checkout", Some(checkout.mode), case.policy.mode) {
        return Decision::Park(park_reason);
    }
    if let CheckoutKind::Other(kind) = &checkout.kind {
        return Decision::Park(ParkReason::ModeNotFulfilled(kind.clone()));
    }
    let payments = payments(checkout, rows, case.now);
    let closed = match closed(&checkout.status, rows.order.is_some()) {
        Ok(closed) => closed,
        Err(word) if completed => return Decision::Park(ParkReason::NotComplete(word.to_owned())),
        Err(_) => return Decision::Nothing { unsent: Vec::new() },
    };
    if let Some(known) = rows
        .order
        .as_ref()
        .filter(|order| order.fulfilled_at.is_some())
    {
        return more_money(case, checkout, payments, known);
    }
    let sold = Sold {
        placed_at: date_of_sale(case, checkout, &payments),
        payments,
        closed,
        ..sold(case, checkout)
    };
    fulfill_or_wait(case, &sold, rows).unwrap_or_else(Decision::Park)
}

/// How a checkout ended without completion, if it did. The error is the word of one that makes no order yet.
fn closed(status: &CheckoutStatus, has_order: bool) -> Result<Option<Closed>, &str> {
    match (status, has_order) {
        (CheckoutStatus::Complete, _) => Ok(None),
        (CheckoutStatus::Expired, true) => Ok(Some(Closed::Expired)),
        (CheckoutStatus::Canceled, true) => Ok(Some(Closed::Canceled)),
        // Nothing was ever bought: an abandoned checkout is no order.
        (CheckoutStatus::Expired, false) => Err("expired"),
        (CheckoutStatus::Canceled, false) => Err("canceled"),
        (CheckoutStatus::Open, _) => Err("open"),
        (CheckoutStatus::Other(word), _) => Err(word),
    }
}

/// Fulfills the order once its money releases it; until then the order waits.
fn fulfill_or_wait(case: &Case<'_>, sold: &Sold, rows: &Snapshot) -> Result<Decision, ParkReason> {
    let order = sold.unpaid(case, rows);
    let is_released = match order.funds() {
        OrderFunds::Received => true,
        OrderFunds::Part => {
            case.policy.part_payment == PartPayment::Release && sold.closed.is_none()
        }
        _ => false,
    };
    if is_released {
        fulfill(case, sold, rows)
    } else {
        wait(case, order, rows)
    }
}

/// Decides about a delayed payment that has arrived. As [`decide_read`], but if the provider's API does not know of the
/// money yet, the event waits.
fn decide_paid(case: &Case<'_>, checkout: &Checkout, rows: &Snapshot) -> Decision {
    let has_no_money = |commit: &Commit| {
        let order = commit.order.as_ref();
        order.is_some_and(|order| order.paid() == 0 && order.fulfilled_at.is_none())
    };
    match decide_read(case, true, checkout, rows) {
        Decision::Write(commit) if has_no_money(&commit) => Decision::Wait {
            commit: Some(Box::new(Commit {
                ends: false,
                ..*commit
            })),
            park_reason: ParkReason::NotReceived,
        },
        Decision::Nothing { .. } if rows.order.as_ref().is_none_or(|order| order.paid() == 0) => {
            Decision::Wait {
                commit: None,
                park_reason: ParkReason::NotReceived,
            }
        }
        decided => decided,
    }
}

/// The order as it is not paid for yet.
fn wait(case: &Case<'_>, order: Order, rows: &Snapshot) -> Result<Decision, ParkReason> {
    if rows
        .order
        .as_ref()
        .is_some_and(|known| same_but_for_times(known, &order))
    {
        return Ok(Decision::Nothing { unsent: Vec::new() });
    }
    let links = links(&order, rows, case.now);
    bounded(Commit {
        order: Some(order),
        links,
        ..Commit::of(case.event.event_id.clone())
    })
}

/// A partly paid order that was released, with the money that came since. Its receipt is not sent again.
fn more_money(
    case: &Case<'_>,
    checkout: &Checkout,
    payments: BTreeMap<PaymentIntentId, Fact<payment::PaymentFacts>>,
    known: &Order,
) -> Decision {
    let order = Order {
        received: known.received.max(checkout.received),
        payments,
        ..known.next()
    };
    if same_but_for_times(known, &order) {
        return Decision::Nothing {
            unsent: known.receipt_id.iter().cloned().collect(),
        };
    }
    Decision::write(Commit {
        order: Some(order),
        ..Commit::of(case.event.event_id.clone())
    })
}

/// True if only the times of the facts are new.
fn same_but_for_times(known: &Order, order: &Order) -> bool {
    let facts = |order: &Order| {
        let payments = order.payments.iter();
        payments
            .map(|(id, facts)| (id.clone(), facts.value.clone()))
            .collect::<Vec<_>>()
    };
    let bare = |order: &Order| Order {
        version: 0,
        bundle: String::new(),
        payments: BTreeMap::new(),
        ..order.clone()
    };
    facts(known) == facts(order) && bare(known) == bare(order)
}

/// The fulfilled order, and the subscription that began with it.
fn fulfill(case: &Case<'_>, sold: &Sold, rows: &Snapshot) -> Result<Decision, ParkReason> {
    let mut commit = sold.fulfilled(case, rows)?;
    let order = commit.order.as_ref();
    if let Some(mut subscription) = order.and_then(|order| begun(case, sold, order, rows)) {
        let trial = notice_of_trial(case, &mut subscription)?;
        let failures = notices_of_failure(case, &mut subscription)?;
        commit.receipts.extend(trial.into_iter().chain(failures));
        subscription.version += 1;
        commit.subscription = Some(subscription);
    }
    bounded(commit)
}

/// The date of sale: the beginning of the earliest payment that was not given up. Without one, the event's time, unless
/// it is long after the checkout's creation: a retried event states the time of its retry.
fn date_of_sale(
    case: &Case<'_>,
    checkout: &Checkout,
    payments: &BTreeMap<PaymentIntentId, Fact<payment::PaymentFacts>>,
) -> Timestamp {
    let own = payments.values().map(|facts| &facts.value);
    let paying = own.filter(|facts| facts.status != payment::PaymentStatus::Canceled);
    if let Some(paid_at) = paying.filter_map(|facts| facts.made_at).min() {
        return paid_at;
    }
    let stated_at = case.event.occurred_at.unwrap_or(case.event.received_at);
    match checkout.created_at {
        Some(created_at) if stated_at.duration_since(created_at) > LONGEST_CHECKOUT => created_at,
        _ => stated_at,
    }
}

/// The subscription that began with this checkout, knowing so. Its access does not change: that is the invoices' and
/// its own events' to give.
fn begun(case: &Case<'_>, sold: &Sold, order: &Order, rows: &Snapshot) -> Option<Subscription> {
    let customer_id = sold.customer.customer_id.clone()?;
    let id = sold.subscription_id.clone()?;
    let known = rows.subscription.clone();
    let mut subscription =
        known.unwrap_or_else(|| Subscription::new(case.event.provider.clone(), customer_id, id));
    subscription.learn_beginning(Beginning {
        order_id: sold.order_id.clone(),
        invoice_id: sold.invoice_id.clone(),
        placed_at: order.placed_at,
        payment_intents: sold.payment_intents.clone(),
    });
    Some(subscription)
}

/// The sale that a checkout is. Its payments are known only with the rows: see [`payments`].
fn sold(case: &Case<'_>, checkout: &Checkout) -> Sold {
    Sold {
        order_id: checkout.order_id.clone(),
        kind: OrderKind::Sale,
        client_reference_id: checkout.client_reference_id.clone(),
        mode: checkout.mode,
        placed_at: date_of_sale(case, checkout, &BTreeMap::new()),
        customer: checkout.customer.clone(),
        currency: checkout.currency,
        totals: checkout.totals,
        tax_included: checkout.tax_included,
        received: checkout.received,
        capture: checkout.capture,
        closed: None,
        least_charge: checkout.least_charge,
        payment_intents: checkout.payment_intents.clone(),
        payments: BTreeMap::new(),
        lines: checkout.lines.clone(),
        subscription_id: checkout.subscription_id.clone(),
        invoice_id: checkout.invoice_id.clone(),
        details: checkout.details.clone(),
        period: None,
        moves_stock: true,
    }
}

#[cfg(test)]
mod tests;
