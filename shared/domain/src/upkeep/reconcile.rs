//! Compares the provider's lists with the stored rows, and recovers events whose webhooks never came.
//!
//! Nothing here changes a row. A gap becomes a recovered event that states the same as its webhook, and takes the way
//! of all events. Once that event has had its effect, [`is_missing`] is false.
//!
//! The time of a recovered event decides how its facts merge ([`stated_at`]). It must be newer than the facts that it
//! replaces. If it dates a receipt or an end, it must not be newer than necessary.

use crate::delivery::reference_state;
use crate::{
    access::subscription::{
        Bill, InvoiceChange, Item, MOST_INVOICES, Source, Standing, Subscription,
        SubscriptionFacts, SubscriptionStatus,
    },
    delivery::{
        event::{Change, Unreadable},
        reference::Reference,
    },
    fulfillment::read_set::{ReadSet, Snapshot},
    sale::{
        amounts::OrderFunds,
        dispute::{Dispute, DisputeChange, DisputeFacts, DisputeStatus},
        order::Order,
        refund::{Refund, RefundFacts, RefundStatus},
        shop::ShopMarks,
    },
    values::{
        facts::{Stamp, whole_second},
        fingerprint::fingerprint,
        ids::{EventId, InvoiceId, OrderId, PaymentIntentId},
        mode::Mode,
    },
};
use jiff::{SignedDuration, Timestamp};

/// A younger thing is left to its webhook, which may still come or be retried.
pub const YOUNG: SignedDuration = SignedDuration::from_mins(15);

/// A younger payment without an order is left to its sale.
pub const UNORDERED: SignedDuration = SignedDuration::from_hours(1);

/// The page of a list to read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Ask<'a> {
    /// The list: one of [`crate::ports::Provider::lists`].
    pub list: &'static str,
    /// The oldest time to list.
    pub since: Timestamp,
    pub now: Timestamp,
    /// The cursor after which the page starts; without it the first page.
    pub after: Option<&'a str>,
}

/// A page of a list.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Page {
    /// The things on the page that reconcile compares.
    pub listed: Vec<Listed>,
    /// The number of all things on the page.
    pub length: usize,
    /// The cursor of the next page, if there may be one.
    pub next: Option<String>,
}

/// One thing of a list that reconcile compares.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Listed {
    Found(Box<Found>),
    /// Not understood. The other things of the list are compared nevertheless.
    Unreadable {
        /// Its id, if it can be read.
        id: Option<String>,
        /// The thing as the provider returned it.
        object: Vec<u8>,
        /// The reason.
        why: Unreadable,
    },
}

/// One thing of a list, with the facts that its webhook would state.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Found {
    /// The provider's word for such a thing, such as `refund`.
    pub resource: &'static str,
    pub id: String,
    /// The id of a listed event. Such an event is missing if it is not stored, whatever the rows of its thing are.
    pub event_id: Option<EventId>,
    /// Live or test data, if stated.
    pub mode: Option<Mode>,
    /// The time of its creation, if stated.
    pub created_at: Option<Timestamp>,
    /// True if it was certainly created in the period that reconcile looks at. An older dispute is compared only with an
    /// order that is there.
    pub is_recent: bool,
    /// The time of its present state, if the provider states it.
    pub since: Option<Timestamp>,
    /// The stamp of its last change, if the provider states it.
    pub stamp: Option<Stamp>,
    /// The money received for a sale, if stated.
    pub received: Option<Received>,
    /// The marks that show the shop of a sale.
    pub marks: Option<ShopMarks>,
    /// The type of the event that states it.
    pub event_type: &'static str,
    /// The thing as the provider returned it.
    pub object: Vec<u8>,
    /// The meaning of such an event.
    pub change: Change,
}

/// The money received for a sale.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Received {
    /// In minor units.
    pub amount: i64,
    /// True if nothing more is to pay.
    pub is_all: bool,
}

impl Found {
    /// True if the provider has received all money of a sale.
    #[must_use]
    pub fn is_paid(&self) -> bool {
        self.received.is_some_and(|received| received.is_all)
    }

    /// True if its webhook, or the order of a payment, may still come.
    #[must_use]
    pub fn is_young(&self, now: Timestamp) -> bool {
        let changed_at = self.stamp.map(|stamp| stamp.at);
        let times = [self.created_at, self.since, changed_at];
        let newest = times.into_iter().flatten().max().filter(|at| *at <= now);
        let young = match self.change {
            Change::Payment(_) => UNORDERED,
            _ => YOUNG,
        };
        newest.is_some_and(|at| now.duration_since(at) < young)
    }
}

/// The rows to compare it with, except the order that they lead to.
#[must_use]
pub fn read_set(change: &Change) -> ReadSet {
    match change {
        Change::Sale { order_id, .. } => ReadSet {
            order: Some(order_id.clone()),
            ..ReadSet::default()
        },
        Change::Refund(change) => links_of(&change.facts.payment_intent_id),
        Change::Dispute(change) => links_of(&change.facts.payment_intent_id),
        Change::Payment(change) => links_of(&change.payment_intent_id),
        Change::Subscription(change) => {
            let key = (change.customer_id.clone(), change.subscription_id.clone());
            ReadSet {
                subscription: Some(key),
                ..ReadSet::default()
            }
        }
        Change::Invoice(change) => {
            let customer_id = change.customer_id.clone();
            let key = customer_id.map(|customer_id| (customer_id, change.subscription_id.clone()));
            ReadSet {
                subscription: key,
                ..ReadSet::of_order(&OrderId::from(&change.invoice_id))
            }
        }
        Change::SalePaid { .. }
        | Change::Fetch(_)
        | Change::Exception { .. }
        | Change::Fulfillment(_)
        | Change::Resource(_)
        | Change::Customer(_)
        | Change::NotUnderstood(_)
        | Change::NotNeeded
        | Change::Unhandled => ReadSet::default(),
    }
}

fn links_of(payment: &PaymentIntentId) -> ReadSet {
    ReadSet {
        links: vec![payment.clone()],
        ..ReadSet::default()
    }
}

/// The order that these rows lead to. A refund or a dispute finds it by the link of its payment, a refund else by its
/// invoice.
#[must_use]
pub fn order_to_read(change: &Change, rows: &Snapshot) -> Option<OrderId> {
    let linked = || rows.links.values().find_map(|link| link.order_id.clone());
    match change {
        Change::Refund(change) => {
            linked().or_else(|| change.facts.invoice_id.as_ref().map(OrderId::from))
        }
        Change::Dispute(_) => linked(),
        _ => None,
    }
}

/// True if the stored rows lack the state that the provider lists. Of a listed event the rows show nothing: see
/// [`crate::upkeep::recovery::Stored`].
///
/// - A sale: its order is missing. Or the order waits, and the provider has received more money than the order
///   knows, or all of it. Or the order is not fulfilled, and the provider has changed it since.
/// - An invoice: its payment is missing, or it is a renewal without an order.
/// - A refund, a dispute or a subscription: the stored facts differ.
/// - A payment: it has no order.
#[must_use]
pub fn is_missing(found: &Found, rows: &Snapshot) -> bool {
    if is_of_other_shop(rows) {
        return false;
    }
    match &found.change {
        Change::Sale { completed, .. } => match &rows.order {
            None => *completed,
            Some(order) => {
                *completed && waits_for_what_is_here(found, rows) || has_changed(found, order)
            }
        },
        Change::Refund(change) => {
            let order = rows.order.as_ref();
            let known = order.and_then(|order| order.refunds.get(&change.refund_id));
            is_other_refund(known, &change.facts)
        }
        Change::Invoice(change) => rows.subscription.as_ref().is_none_or(|known| {
            !is_paid(known, change) || rows.order.is_none() && is_renewal(known, change)
        }),
        Change::Subscription(change) => is_other(rows.subscription.as_ref(), &change.snapshot),
        Change::Dispute(change) => match &rows.order {
            Some(order) => is_other_dispute(order.disputes.get(&change.dispute_id), &change.facts),
            None => found.is_recent,
        },
        Change::Payment(change) => {
            let link = rows.links.get(&change.payment_intent_id);
            link.is_none_or(|link| link.order_id.is_none())
        }
        Change::SalePaid { .. }
        | Change::Fetch(_)
        | Change::Exception { .. }
        | Change::Fulfillment(_)
        | Change::Resource(_)
        | Change::Customer(_)
        | Change::NotUnderstood(_)
        | Change::NotNeeded
        | Change::Unhandled => false,
    }
}

/// True if a refund differs from its stored facts. An unknown word never replaces a known one.
fn is_other_refund(known: Option<&Refund>, facts: &RefundFacts) -> bool {
    known.is_none_or(|known| {
        let known = &known.facts.value;
        let tells = known.status == RefundStatus::Unknown || facts.status != RefundStatus::Unknown;
        tells && (&known.word, known.amount) != (&facts.word, facts.amount)
    })
}

/// True if a dispute differs from its stored facts. An unknown word never replaces a known one.
fn is_other_dispute(known: Option<&Dispute>, facts: &DisputeFacts) -> bool {
    known.is_none_or(|known| {
        let known = &known.facts.value;
        let is_known = |facts: &DisputeFacts| facts.status != DisputeStatus::Unknown;
        let tells = is_known(facts) || !is_known(known);
        tells && (&known.word, known.amount) != (&facts.word, facts.amount)
    })
}

/// True if fulfillment has marked the payment or the subscription as another shop's.
fn is_of_other_shop(rows: &Snapshot) -> bool {
    rows.links.values().any(|link| link.other_shop)
        || rows
            .subscription
            .as_ref()
            .is_some_and(|known| known.other_shop)
}

/// The order, if it waits for its money, or for the rest of it.
#[must_use]
pub fn order_that_waits(rows: &Snapshot) -> Option<&Order> {
    rows.order
        .as_ref()
        .filter(|order| order.fulfilled_at.is_none() || order.funds() == OrderFunds::Part)
}

fn waits_for_what_is_here(found: &Found, rows: &Snapshot) -> bool {
    order_that_waits(rows)
        .zip(found.received)
        .is_some_and(|(order, received)| {
            received.is_all && !waits_for_no_money(order) || received.amount > order.paid()
        })
}

/// True if an order has its money, and something else keeps its goods back.
fn waits_for_no_money(order: &Order) -> bool {
    order.funds() == OrderFunds::Received && !order.active_holds().is_empty()
}

/// True if the provider has changed an order after the state on its row. A fulfilled order has its money, and its later
/// changes have other rules.
fn has_changed(found: &Found, order: &Order) -> bool {
    order.fulfilled_at.is_none() && found.stamp > order.stamp
}

/// True if an order has a part of its money and waits for the rest. Nothing is missing. But no list shows if the rest
/// is given up, so the provider is asked once a day. A list with the times of changes shows it.
#[must_use]
pub fn is_asked_again(found: &Found, rows: &Snapshot) -> bool {
    let part = found
        .received
        .filter(|received| !received.is_all && received.amount > 0)
        .filter(|_| found.stamp.is_none());
    matches!(
        found.change,
        Change::Sale {
            completed: true,
            ..
        }
    ) && order_that_waits(rows)
        .zip(part)
        .is_some_and(|(order, part)| order.paid() >= part.amount)
}

/// True if the stored facts are newer than the read of the list. The list is then behind, and the next run lists the
/// thing again. A time in the future comes from another clock and proves nothing.
#[must_use]
pub fn is_overtaken(found: &Found, rows: &Snapshot, read_at: Timestamp, now: Timestamp) -> bool {
    let stated_at = match &found.change {
        Change::Refund(change) => {
            let known = rows
                .order
                .as_ref()
                .and_then(|order| order.refunds.get(&change.refund_id));
            known.map(|known| known.facts.stamp.at)
        }
        Change::Dispute(change) => dispute_of(rows, change).map(|known| known.facts.stamp.at),
        Change::Subscription(_) => {
            let known = rows
                .subscription
                .as_ref()
                .and_then(|known| known.snapshot.as_ref());
            known.map(|known| known.stamp.at)
        }
        _ => None,
    };
    // The order of two moments within one second is unknown.
    stated_at.is_some_and(|at| whole_second(read_at) < at && at <= now)
}

/// True if an invoice is known as paid, or was, before newer ones took its place on the row.
fn is_paid(known: &Subscription, change: &InvoiceChange) -> bool {
    fn age<'a>(id: &'a InvoiceId, bill: &Bill) -> (Option<Timestamp>, &'a InvoiceId) {
        (bill.period_end.map(whole_second), id)
    }
    if let Some(invoice) = known.invoices.get(&change.invoice_id) {
        return invoice.paid_at.is_some();
    }
    let mine = age(&change.invoice_id, &change.bill);
    let is_oldest = known
        .invoices
        .iter()
        .all(|(id, invoice)| mine < age(id, &invoice.bill.value));
    known.invoices.len() >= MOST_INVOICES && is_oldest && mine.0 <= known.paid_through
}

/// True if an invoice is known as the payment of a renewal.
fn is_renewal(known: &Subscription, change: &InvoiceChange) -> bool {
    let invoice = known.invoices.get(&change.invoice_id);
    let is_paid = invoice.is_some_and(|invoice| invoice.payment().is_some());
    is_paid && known.standing(&change.invoice_id) == Standing::Renewal
}

/// True if a subscription differs from its stored facts.
fn is_other(known: Option<&Subscription>, facts: &SubscriptionFacts) -> bool {
    if facts.source == Source::Deleted {
        return known.is_none_or(|known| known.ended_at.is_none());
    }
    match (
        known.and_then(|known| known.snapshot.as_ref()),
        &facts.status,
    ) {
        // A subscription that never began cannot be missing.
        (None, SubscriptionStatus::Incomplete | SubscriptionStatus::IncompleteExpired) => false,
        (None, _) => true,
        // An unknown word never replaces a known one.
        (Some(known), SubscriptionStatus::Other(_))
            if !matches!(known.value.status, SubscriptionStatus::Other(_)) =>
        {
            false
        }
        (Some(known), _) => differs(&known.value, facts),
    }
}

/// True if facts differ in anything that access or a notice depends on. A list shows less than an event, so a value
/// that it omits is no difference. The newest invoice is not compared: it changes days before its payment and has its
/// own events.
fn differs(known: &SubscriptionFacts, facts: &SubscriptionFacts) -> bool {
    fn unlike<T: PartialEq>(known: Option<&T>, facts: Option<&T>) -> bool {
        known
            .zip(facts)
            .is_some_and(|(known, facts)| known != facts)
    }
    // A provider may state a time with its fraction in one place and without in another.
    let at = |facts: Option<Timestamp>| facts.map(whole_second);
    let is_later = |known: Option<Timestamp>, facts: Option<Timestamp>| {
        facts.is_some() && at(known) != at(facts)
    };
    let another = |(known, facts): (&Item, &Item)| {
        known.quantity != facts.quantity
            || unlike(known.price_id.as_ref(), facts.price_id.as_ref())
            || unlike(known.product_id.as_ref(), facts.product_id.as_ref())
    };
    known.status != facts.status
        || known.cancel_at_period_end != facts.cancel_at_period_end
        || is_later(known.period_end, facts.period_end)
        || is_later(known.trial_end, facts.trial_end)
        || !facts.items.is_empty() && known.items.len() != facts.items.len()
        || known.items.iter().zip(&facts.items).any(another)
}

/// The thing that a listed event and a listed thing may both be about. An event that is recovered makes its thing be
/// read, so the next run compares the thing.
#[must_use]
pub fn subject(change: &Change) -> Option<Reference> {
    match change {
        Change::Sale { order_id, .. }
        | Change::SalePaid { order_id }
        | Change::Exception { order_id } => Some(Reference::Sale(order_id.clone())),
        Change::Subscription(change) => {
            Some(Reference::Subscription(change.subscription_id.clone()))
        }
        Change::Fetch(reference) => Some(reference.clone()),
        _ => None,
    }
}

/// True if a parked event with this change can now continue beside these rows. The list confirms the change, which the
/// provider's API may not have shown before. A refund, a dispute
/// or a payment still needs its order.
#[must_use]
pub fn goes_on(change: &Change, rows: &Snapshot) -> bool {
    let needs_order = matches!(
        change,
        Change::Refund(_) | Change::Dispute(_) | Change::Payment(_)
    );
    rows.order.is_some() || !needs_order
}

fn dispute_of<'a>(rows: &'a Snapshot, change: &DisputeChange) -> Option<&'a Dispute> {
    rows.order.as_ref()?.disputes.get(&change.dispute_id)
}

/// The id of the recovered event: the same for the same state beside the same row. A second run therefore records
/// nothing new, and a state that returns after another one gets a new id. `read_at` is the time of the provider's
/// answer. A listed event keeps its own id, so that a later delivery is a duplicate.
#[must_use]
pub fn event_id(found: &Found, rows: &Snapshot, read_at: Timestamp) -> EventId {
    if let Some(id) = &found.event_id {
        return id.clone();
    }
    let version = match &found.change {
        Change::Invoice(_) | Change::Subscription(_) => {
            rows.subscription.as_ref().map(|row| row.version)
        }
        _ => rows.order.as_ref().map(|order| order.version),
    };
    let state = reference_state::state_of(&found.change).unwrap_or_default();
    // The version of a waiting order stays the same while its money comes in parts.
    let received = found.received.filter(|_| rows.order.is_some());
    let received = received
        .map(|received| format!("-{}", received.amount))
        .unwrap_or_default();
    let asked = if is_asked_again(found, rows) {
        read_at.strftime("-%F").to_string()
    } else {
        String::new()
    };
    // An order's version stays the same if its change needs nothing.
    let changed = rows.order.as_ref().zip(found.stamp);
    let changed = changed.filter(|(order, _)| has_changed(found, order));
    let changed = changed
        .map(|(_, stamp)| format!("-at{}", stamp.at.as_microsecond()))
        .unwrap_or_default();
    let (resource, id, version) = (found.resource, &found.id, version.unwrap_or_default());
    let name = format!("{resource}:{id}:{state}{received}{asked}{changed}:{version}");
    // An unknown id or word can make it too long, or contain characters that no id has.
    EventId::new(format!("reconciled:{name}"))
        .unwrap_or_else(|_| EventId::of_body("reconciled", &fingerprint(name.as_bytes())))
}

/// The time of the found state, for the merge of facts. `read_at` is the time of the request to the provider.
///
/// - A sale is completed within the hour after its creation: its own time dates the sale.
/// - A refund, a dispute and a subscription have their present state, whatever events said before: the time of the read.
/// - An invoice is paid soon after its creation, and after its other events: its own time dates the renewal.
/// - A subscription has ended at the time that the provider states, else at the time of the read.
///
/// If two clocks disagree, a fact that was read is one second newer than the one that it replaces.
#[must_use]
pub fn stated_at(found: &Found, rows: &Snapshot, read_at: Timestamp) -> Timestamp {
    let after = |known: Option<Timestamp>, at: Timestamp| {
        let next = known.and_then(|known| known.checked_add(SignedDuration::from_secs(1)).ok());
        next.map_or(at, |next| next.max(at))
    };
    let subscription = rows.subscription.as_ref();
    match &found.change {
        Change::Refund(change) => {
            let known = rows
                .order
                .as_ref()
                .and_then(|order| order.refunds.get(&change.refund_id));
            after(known.map(|known| known.facts.stamp.at), read_at)
        }
        Change::Dispute(change) => after(
            dispute_of(rows, change).map(|known| known.facts.stamp.at),
            read_at,
        ),
        Change::Subscription(change) if change.snapshot.source != Source::Deleted => {
            let known = subscription.and_then(|known| known.snapshot.as_ref());
            after(known.map(|known| known.stamp.at), read_at)
        }
        Change::Invoice(change) => {
            let known = subscription.and_then(|known| known.invoices.get(&change.invoice_id));
            after(
                known.map(|known| known.bill.stamp.at),
                found.since.unwrap_or(read_at),
            )
        }
        _ => found.since.unwrap_or(read_at),
    }
}

#[cfg(test)]
mod tests;
