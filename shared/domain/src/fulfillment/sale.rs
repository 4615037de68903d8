//! A sale: one order, and once it is paid for its stock movements and one receipt.

use crate::{
    access::subscription::{Beginning, Subscription},
    delivery::{answer::Answer, reference::Reference},
    fulfillment::{
        Decision, ParkReason, Stop,
        commit::Commit,
        known::{Case, Fetched, Need},
        notice::{notice_of_trial, notices_of_failure},
        of_other_mode,
        order::{self, Sold, bounded, links, reserves},
        other_shop,
        read_set::{ReadSet, Snapshot},
    },
    receipt::Receipt,
    resource::checkout_session::CheckoutSession,
    sale::{
        amounts::{Closed, OrderFunds, PartPayment},
        hold::Hold,
        order::{Order, OrderKind},
        payment::{self, Link, PaymentChange, PaymentFacts},
        reservation::Reservation,
        statement::{Sale, SaleKind, SaleStatus},
    },
    values::{
        facts::{Fact, whole_second},
        ids::{EventId, OrderId, PaymentIntentId},
    },
};
use jiff::{SignedDuration, Timestamp};
use std::collections::{BTreeMap, BTreeSet};

/// The longest time between the creation of a sale and its completion: the provider's sessions expire sooner.
const LONGEST_SALE: SignedDuration = SignedDuration::from_hours(24);
/// How often a sale is fetched at most for one decision.
const READINGS: u32 = 3;

/// The rows that decide a sale, except the order itself.
fn read_set(sold: &Sold) -> ReadSet {
    let customer_id = sold.order.customer.customer_id.clone();
    ReadSet {
        subscription: customer_id.zip(sold.order.subscription_id.clone()),
        ..sold.read_set()
    }
}

/// True if an unpaid sale was read too early: an event about one of its payments came after the read.
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
    let is_done = rows.order.as_ref().is_some_and(is_done);
    waits
        && !is_done
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

/// The rows of a sale with a change of one of its payments in them. The provider's API may not have the change: it
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
    sale: &Sale,
    rows: &Snapshot,
    read_at: Timestamp,
) -> BTreeMap<PaymentIntentId, Fact<payment::PaymentFacts>> {
    let mut known = rows
        .order
        .as_ref()
        .map(|order| order.payments.clone())
        .unwrap_or_default();
    for id in &sale.payment_intents {
        let mut facts = known.remove(id);
        payment::merge(
            &mut facts,
            rows.links.get(id).and_then(|link| link.facts.clone()),
        );
        payment::merge(
            &mut facts,
            sale.payments
                .get(id)
                .map(|facts| facts.clone().fact(read_at)),
        );
        if let Some(facts) = facts {
            known.insert(id.clone(), facts);
        }
    }
    known
}

/// The change that an event states about a sale.
#[derive(Debug, Clone, Copy)]
pub(super) enum About<'a> {
    /// A change of the sale; it may say that the sale is completed.
    Sale { completed: bool },
    /// A change of one of its payments.
    Payment(&'a PaymentChange),
    /// A delayed payment has arrived.
    Paid,
    /// Its state has changed, perhaps after it was fulfilled.
    State,
    /// One of its checkout sessions began or ended.
    Session(&'a CheckoutSession),
    /// The provider reports an exception.
    Exception,
}

impl About<'_> {
    /// True if the event states that the sale is completed.
    fn is_completed(self) -> bool {
        matches!(self, Self::Sale { completed: true } | Self::Paid)
    }

    /// True if no answer of the provider can add to the order. An event that asks a person is decided again.
    fn is_known(self, case: &Case<'_>, order: &Order) -> bool {
        match self {
            _ if asks(case, order) => false,
            Self::Sale { .. } | Self::Payment(_) | Self::Paid | Self::Session(_) => is_done(order),
            Self::State => case.stamp.is_some() && case.stamp < order.stamp,
            Self::Exception => false,
        }
    }
}

/// True if no answer of the provider can change the order's sale: it is fulfilled and paid.
pub(super) fn is_done(order: &Order) -> bool {
    order.fulfilled_at.is_some() && order.funds() != OrderFunds::Part
}

/// Decides a change of a sale. A fulfilled and paid sale is done; any other is fetched from the provider.
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
    if let Some(order) = known.filter(|order| about.is_known(case, order)) {
        return Ok(Decision::Nothing {
            unsent: order.receipt_id.iter().cloned().collect(),
        });
    }
    let reference = Reference::Sale(order_id.clone());
    let fetched = case.known.fetched(&reference)?;
    let sale = answered(case, fetched)?;
    // Once more: an answer that is fetched again makes the rows be read again.
    let is_known = case.known.rows(&first)?.order.is_some();
    if let (false, Some(reason)) = (is_known, case.policy.shop.not_needed(&sale)) {
        return other_shop::decide(case, &sale, reason);
    }
    let sold = sold(case, &sale);
    let rows = case.known.rows(&read_set(&sold))?;
    let rows = case.known.rows(&sold.named_read_set(rows))?;
    let decision = decide_about(case, about, &sale, rows);
    if fetched.times < READINGS && read_too_early(&decision, rows, fetched.asked_at) {
        return Err(Need::Fetch(reference).into());
    }
    Ok(decision)
}

/// The sale of an answer, with its customer. Payments without a time have that of the request.
fn answered(case: &Case<'_>, fetched: &Fetched) -> Result<Sale, Stop> {
    let Answer::Sale(sale) = fetched.answer.clone()? else {
        return Err(ParkReason::NoSubject.into());
    };
    let mut sale = with_customer(case, *sale)?;
    for facts in sale.payments.values_mut() {
        facts.at.get_or_insert(fetched.asked_at);
    }
    Ok(sale)
}

/// The sale with its customer: a sale that starts a subscription may not name one.
fn with_customer(case: &Case<'_>, mut sale: Sale) -> Result<Sale, Stop> {
    if let (None, Some(id)) = (&sale.customer.customer_id, &sale.subscription_id) {
        sale.customer.customer_id = case.known.customer_of(id)?.cloned();
    }
    Ok(sale)
}

/// Decides the stated change about a sale that was fetched.
fn decide_about(case: &Case<'_>, about: About<'_>, sale: &Sale, rows: &Snapshot) -> Decision {
    let decision = match about {
        // The event says that the money is here, and the API does not know it yet.
        About::Sale { completed: true } if sale.is_unpaid => decide_paid(case, sale, rows),
        About::Sale { .. } | About::State | About::Session(_) => {
            decide_read(case, about, sale, rows)
        }
        About::Payment(change) => {
            let noted = noted(case, change, rows.clone());
            decide_read(case, about, sale, &noted)
        }
        About::Paid => decide_paid(case, sale, rows),
        About::Exception => return decide_exception(case, sale, rows),
    };
    let asks = |order: &Order| asks(case, order);
    let park_reason = ParkReason::OrderException(sale.order_id.clone());
    match decision {
        Decision::Write(commit) if commit.order.as_ref().is_some_and(asks) => Decision::Wait {
            commit: Some(commit.unended()),
            park_reason,
        },
        Decision::Nothing { .. } if rows.order.as_ref().is_some_and(asks) => {
            Decision::wait(park_reason)
        }
        decided => decided,
    }
}

/// Holds the order until a person releases the event, and decides it then.
fn decide_exception(case: &Case<'_>, sale: &Sale, rows: &Snapshot) -> Decision {
    let decision = decide_read(case, About::Exception, sale, rows);
    if is_released(case) {
        return decision;
    }
    let commit = match decision {
        Decision::Write(commit) => Some(commit.unended()),
        park @ Decision::Park(_) => return park,
        _ => None,
    };
    Decision::Wait {
        commit,
        park_reason: ParkReason::OrderException(sale.order_id.clone()),
    }
}

/// True if the event asks a person to decide about the order.
pub(super) fn asks(case: &Case<'_>, order: &Order) -> bool {
    order.exceptions.contains(&case.event.event_id)
}

/// True if a person has released the event.
pub(super) fn is_released(case: &Case<'_>) -> bool {
    let mut notes = case.event.notes.iter();
    notes.any(|note| note.did.decides_again())
}

/// The reasons to keep the goods back that a person has waived, by releasing an event about the order.
fn waived(case: &Case<'_>, sale: &Sale, known: Option<&Order>) -> BTreeSet<Hold> {
    let mut waived = known.map(|order| order.waived.clone()).unwrap_or_default();
    if is_released(case) && sale.holds.contains(&Hold::PartialRefund) {
        waived.insert(Hold::PartialRefund);
    }
    waived
}

/// The events that ask a person to decide about the order, and that no person has released.
///
/// An event about an exception asks, and so does the first event after a partial refund that came before the goods went
/// out.
fn exceptions(
    case: &Case<'_>,
    about: About<'_>,
    sale: &Sale,
    known: Option<&Order>,
) -> BTreeSet<EventId> {
    let mut exceptions = known
        .map(|order| order.exceptions.clone())
        .unwrap_or_default();
    let hold = Hold::PartialRefund;
    let is_decided =
        known.is_some_and(|known| known.fulfilled_at.is_some() || known.waived.contains(&hold));
    let asks = match about {
        About::Exception => true,
        About::State | About::Sale { .. } | About::Payment(_) | About::Paid => {
            !is_decided && exceptions.is_empty() && sale.holds.contains(&hold)
        }
        // It is not decided again when nothing is new about the session.
        About::Session(_) => false,
    };
    if is_released(case) {
        exceptions.remove(&case.event.event_id);
    } else if asks {
        exceptions.insert(case.event.event_id.clone());
    }
    exceptions
}

/// Decides about a sale as the provider's API has it. `rows` are those of [`read_set`], the stock levels, and
/// the order if there is one.
pub(super) fn decide_read(
    case: &Case<'_>,
    about: About<'_>,
    sale: &Sale,
    rows: &Snapshot,
) -> Decision {
    if let Some(park_reason) = not_served(case, sale) {
        return Decision::Park(park_reason);
    }
    if is_behind(sale, rows) {
        return Decision::Nothing { unsent: Vec::new() };
    }
    let payments = payments(sale, rows, case.now);
    let known = rows.order.as_ref();
    // An event that calls an ended sale completed is contradicted, whatever was paid: a person decides.
    let is_order = known.is_some() || has_money(sale) && !about.is_completed();
    let closed = match closed(&sale.status, is_order) {
        Ok(closed) => closed,
        Err(word) if about.is_completed() => {
            return Decision::Park(ParkReason::NotComplete(word.to_owned()));
        }
        Err(_) => return Decision::Nothing { unsent: Vec::new() },
    };
    if let Some(known) = known.filter(|known| known.fulfilled_at.is_some()) {
        return more_facts(case, about, sale, payments, (known, rows));
    }
    let mut sold = sold(case, sale);
    sold.order = Order {
        reservation: reservation_about(case, about, sale),
        placed_at: date_of_sale(case, sale, &payments),
        payments,
        closed,
        waived: waived(case, sale, known),
        exceptions: exceptions(case, about, sale, known),
        ..sold.order
    };
    fulfill_or_wait(case, &sold, rows).unwrap_or_else(Decision::Park)
}

/// The reason to park a sale that this stack does not serve.
fn not_served(case: &Case<'_>, sale: &Sale) -> Option<ParkReason> {
    let other_kind = match &sale.kind {
        SaleKind::Other(kind) => Some(ParkReason::ModeNotFulfilled(kind.clone())),
        _ => None,
    };
    of_other_mode("sale", Some(sale.mode), case.policy.mode).or(other_kind)
}

/// True if the answer is older than the row: it comes from a part of the provider that lags.
fn is_behind(sale: &Sale, rows: &Snapshot) -> bool {
    let known = rows.order.as_ref().and_then(|order| order.stamp);
    sale.stamp.is_some() && sale.stamp < known
}

/// True if money was received for a sale, by its own amount or by its payments.
fn has_money(sale: &Sale) -> bool {
    let mut payments = sale.payments.values();
    sale.received > Some(0) || payments.any(|facts| facts.value.taken() > 0)
}

/// How a sale ended without completion, if it did. The error is the word of one that makes no order yet.
fn closed(status: &SaleStatus, is_order: bool) -> Result<Option<Closed>, &str> {
    match (status, is_order) {
        (SaleStatus::Complete, _) => Ok(None),
        (SaleStatus::Expired, true) => Ok(Some(Closed::Expired)),
        (SaleStatus::Canceled, true) => Ok(Some(Closed::Canceled)),
        // Nothing was ever bought: an abandoned sale is no order.
        (SaleStatus::Expired, false) => Err("expired"),
        (SaleStatus::Canceled, false) => Err("canceled"),
        (SaleStatus::Open, _) => Err("open"),
        (SaleStatus::Other(word), _) => Err(word),
    }
}

/// Fulfills the order once its money releases it; until then the order waits.
fn fulfill_or_wait(case: &Case<'_>, sold: &Sold, rows: &Snapshot) -> Result<Decision, ParkReason> {
    let order = sold.unpaid(case, rows);
    let is_released = match order.funds() {
        _ if !order.active_holds().is_empty() => false,
        OrderFunds::Received => true,
        OrderFunds::Part => {
            case.policy.part_payment == PartPayment::Release && sold.order.closed.is_none()
        }
        _ => false,
    };
    if is_released {
        fulfill(case, sold, rows)
    } else {
        wait(case, sold, order, rows)
    }
}

/// Decides about a delayed payment that has arrived. As [`decide_read`], but if the provider's API does not know of the
/// money yet, the event waits.
fn decide_paid(case: &Case<'_>, sale: &Sale, rows: &Snapshot) -> Decision {
    let has_no_money = |commit: &Commit| {
        let order = commit.order.as_ref();
        order.is_some_and(|order| order.paid() == 0 && order.fulfilled_at.is_none())
    };
    match decide_read(case, About::Paid, sale, rows) {
        Decision::Write(commit) if has_no_money(&commit) => Decision::Wait {
            commit: Some(commit.unended()),
            park_reason: ParkReason::NotReceived,
        },
        Decision::Nothing { .. } if rows.order.as_ref().is_none_or(|order| order.paid() == 0) => {
            Decision::wait(ParkReason::NotReceived)
        }
        decided => decided,
    }
}

/// The order as it is not paid for yet, with the units that its sessions keep. A newer stamp alone is written too:
/// reconcile compares it with the list.
fn wait(
    case: &Case<'_>,
    sold: &Sold,
    order: Order,
    rows: &Snapshot,
) -> Result<Decision, ParkReason> {
    let (order, deductions) = sold.reserved(case, order, rows);
    let known = rows.order.as_ref();
    let is_same =
        known.is_some_and(|known| same_but_for_times(known, &order) && known.stamp >= order.stamp);
    if is_same && deductions.is_empty() {
        return Ok(Decision::Nothing { unsent: Vec::new() });
    }
    let links = links(&order, rows, case.now);
    bounded(Commit {
        order: Some(order),
        links,
        deductions,
        ..Commit::of(case.event.event_id.clone())
    })
}

/// A released order with the facts that came since: the rest of its money, or a reason to keep its goods back. Its
/// receipt is not sent again.
fn more_facts(
    case: &Case<'_>,
    about: About<'_>,
    sale: &Sale,
    payments: BTreeMap<PaymentIntentId, Fact<payment::PaymentFacts>>,
    (known, rows): (&Order, &Snapshot),
) -> Decision {
    let is_new = |id: &&PaymentIntentId| !known.payment_intents.contains(id);
    let new = sale.payment_intents.iter().filter(is_new);
    let order = Order {
        received: known.received.max(sale.received),
        payment_intents: known.payment_intents.iter().chain(new).cloned().collect(),
        is_unpaid: sale.is_unpaid,
        stamp: sale.stamp,
        holds: sale.holds.clone(),
        exceptions: exceptions(case, about, sale, Some(known)),
        payments,
        ..known.next()
    };
    if same_but_for_times(known, &order) {
        return Decision::Nothing {
            unsent: known.receipt_id.iter().cloned().collect(),
        };
    }
    let mut links = links(&order, rows, case.now);
    links.retain(|link| !known.payment_intents.contains(&link.payment_intent_id));
    Decision::write(Commit {
        order: Some(order),
        links,
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
        stamp: None,
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
/// it is long after the sale's creation: a retried event states the time of its retry.
fn date_of_sale(
    case: &Case<'_>,
    sale: &Sale,
    payments: &BTreeMap<PaymentIntentId, Fact<payment::PaymentFacts>>,
) -> Timestamp {
    let own = payments.values().map(|facts| &facts.value);
    let paying = own.filter(|facts| facts.status != payment::PaymentStatus::Canceled);
    if let Some(paid_at) = paying.filter_map(|facts| facts.made_at).min() {
        return paid_at;
    }
    let stated_at = case.event.occurred_at.unwrap_or(case.event.received_at);
    match sale.created_at {
        Some(created_at) if stated_at.duration_since(created_at) > LONGEST_SALE => created_at,
        _ => stated_at,
    }
}

/// The subscription that began with this sale, knowing so. Its access does not change: that is the invoices' and
/// its own events' to give.
fn begun(case: &Case<'_>, sold: &Sold, order: &Order, rows: &Snapshot) -> Option<Subscription> {
    if sold.order.kind == OrderKind::Renewal {
        return None;
    }
    let customer_id = sold.order.customer.customer_id.clone()?;
    let id = sold.order.subscription_id.clone()?;
    let known = rows.subscription.clone();
    let mut subscription =
        known.unwrap_or_else(|| Subscription::new(case.event.provider.clone(), customer_id, id));
    subscription.learn_beginning(Beginning {
        order_id: sold.order.order_id.clone(),
        invoice_id: sold.order.invoice_id.clone(),
        placed_at: order.placed_at,
        payment_intents: sold.order.payment_intents.clone(),
    });
    Some(subscription)
}

fn kind(sale: &Sale) -> OrderKind {
    match sale.kind {
        SaleKind::Renewal => OrderKind::Renewal,
        _ => OrderKind::Sale,
    }
}

/// The sessions that the sale names, if they reserve stock.
fn reservation(case: &Case<'_>, sale: &Sale) -> Reservation {
    let mut reservation = Reservation::default();
    if reserves(case, kind(sale)) {
        let sessions = sale.checkout_sessions.iter();
        sessions.for_each(|id| reservation.add(id));
    }
    reservation
}

/// The sessions that the sale and the event name.
fn reservation_about(case: &Case<'_>, about: About<'_>, sale: &Sale) -> Reservation {
    let mut reservation = reservation(case, sale);
    if let About::Session(session) = about {
        reservation.learn(session);
    }
    reservation
}

/// The goods of the sale, with its money. Its payments are known only with the rows: see [`payments`].
fn sold(case: &Case<'_>, sale: &Sale) -> Sold {
    let placed_at = date_of_sale(case, sale, &BTreeMap::new());
    let id = sale.order_id.clone();
    let order = Order {
        client_reference_id: sale.client_reference_id.clone(),
        customer: sale.customer.clone(),
        totals: sale.totals,
        tax_included: sale.tax_included,
        received: sale.received,
        is_unpaid: sale.is_unpaid,
        stamp: sale.stamp,
        holds: sale.holds.clone(),
        capture: sale.capture,
        least_charge: sale.least_charge,
        payment_intents: sale.payment_intents.clone(),
        subscription_id: sale.subscription_id.clone(),
        invoice_id: sale.invoice_id.clone(),
        details: sale.details.clone(),
        reservation: reservation(case, sale),
        ..order::first(case, id, kind(sale), sale.mode, sale.currency, placed_at)
    };
    Sold::new(case, order, sale.lines.clone())
}

#[cfg(test)]
mod followed;
#[cfg(test)]
mod tests;
