//! Making up for webhooks that never came: what the provider's lists tell, held against what is stored.
//!
//! Nothing here changes a row. What is missing becomes an event of our own that tells what its webhook would have
//! told, and goes the way of all events; [`is_missing`] is false once that event has had its effect.
//!
//! When an event of ours happened decides how its facts merge ([`stated_at`]): it must be newer than whatever it is to
//! replace, and no newer than it has to be where a receipt or an end is dated by it.

use crate::delivery::reference_state;
use crate::{
    access::subscription::{
        Bill, InvoiceChange, Item, MOST_INVOICES, Source, Subscription, SubscriptionFacts,
        SubscriptionStatus,
    },
    delivery::event::{Change, Unreadable},
    fulfillment::{
        read_set::{ReadSet, Snapshot},
        subscription::lacks_receipt,
    },
    sale::{order::Order, refund},
    values::{
        facts::whole_second,
        fingerprint::fingerprint,
        ids::{EventId, InvoiceId, OrderId},
        mode::Mode,
    },
};
use jiff::{SignedDuration, Timestamp};
use std::fmt;

/// What is younger is left to its webhook, which may be on its way, or be tried again.
pub const YOUNG: SignedDuration = SignedDuration::from_mins(15);

/// What a provider lists.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum What {
    /// Checkouts.
    Checkouts,
    /// Invoices of subscriptions.
    Invoices,
    /// Refunds.
    Refunds,
    /// Subscriptions, those that have ended perhaps among them.
    Subscriptions,
    /// Subscriptions that are cancelled.
    Ended,
}

impl What {
    /// All of them, in the order in which they are looked at.
    pub const ALL: [Self; 5] = [
        Self::Checkouts,
        Self::Invoices,
        Self::Refunds,
        Self::Subscriptions,
        Self::Ended,
    ];
}

impl fmt::Display for What {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Checkouts => "checkouts",
            Self::Invoices => "invoices",
            Self::Refunds => "refunds",
            Self::Subscriptions => "subscriptions",
            Self::Ended => "ended subscriptions",
        })
    }
}

/// Which page of a list is wanted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Ask<'a> {
    /// Of which list.
    pub what: What,
    /// How far back.
    pub since: Timestamp,
    /// Now.
    pub now: Timestamp,
    /// The page after this; without it the first one.
    pub after: Option<&'a str>,
}

/// A page of a list.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Page {
    /// What of it is of interest.
    pub listed: Vec<Listed>,
    /// How many things were on it.
    pub length: usize,
    /// After which the next page is, if there may be one.
    pub next: Option<String>,
}

/// One thing of a list that is of interest.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Listed {
    /// Understood.
    Found(Box<Found>),
    /// Not understood: it stops nobody else.
    Unreadable {
        /// Its id, where that can be read.
        id: Option<String>,
        /// The thing itself, as the provider tells it.
        object: Vec<u8>,
        /// What it lacks.
        why: Unreadable,
    },
}

/// One thing of a list, with what its webhook would have told.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Found {
    /// The provider's word for such a thing, such as `refund`.
    pub resource: &'static str,
    /// Its id.
    pub id: String,
    /// Live or test data, where told.
    pub mode: Option<Mode>,
    /// Since when there is such a thing, where told.
    pub created_at: Option<Timestamp>,
    /// When it came to be as it is, where the provider tells.
    pub since: Option<Timestamp>,
    /// Of a checkout: what has been received for it, where told.
    pub received: Option<Received>,
    /// The type of event that tells of it.
    pub event_type: &'static str,
    /// The thing itself, as the provider tells it.
    pub object: Vec<u8>,
    /// What such an event would mean.
    pub change: Change,
}

/// What has been received for a checkout.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Received {
    /// How much, in minor units.
    pub amount: i64,
    /// Whether that is all there is to pay.
    pub is_all: bool,
}

impl Found {
    /// Whether the provider says that all the money of a checkout is here.
    #[must_use]
    pub fn is_paid(&self) -> bool {
        self.received.is_some_and(|received| received.is_all)
    }

    /// Whether its webhook may still be on its way.
    #[must_use]
    pub fn is_young(&self, now: Timestamp) -> bool {
        let newest = self.created_at.max(self.since).filter(|at| *at <= now);
        newest.is_some_and(|at| now.duration_since(at) < YOUNG)
    }
}

/// The rows that it is compared with, but for the order that they lead to.
#[must_use]
pub fn read_set(change: &Change) -> ReadSet {
    match change {
        Change::Checkout { order_id, .. } => ReadSet {
            order: Some(order_id.clone()),
            ..ReadSet::default()
        },
        Change::Refund(change) => ReadSet {
            links: vec![change.facts.payment_intent_id.clone()],
            ..ReadSet::default()
        },
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
                ..ReadSet::default()
            }
        }
        Change::CheckoutPaid { .. }
        | Change::Payment(_)
        | Change::RefundsOf(_)
        | Change::Dispute(_)
        | Change::Customer(_)
        | Change::NotNeeded
        | Change::Unhandled => ReadSet::default(),
    }
}

/// The order that these rows lead to: of a refund by its payment's link; of an invoice that has no receipt by its
/// subscription, since it may be owed one.
#[must_use]
pub fn order_to_read(change: &Change, rows: &Snapshot) -> Option<OrderId> {
    match change {
        Change::Refund(_) => rows.links.values().find_map(|link| link.order_id.clone()),
        Change::Invoice(change) => {
            let known = rows.subscription.as_ref()?;
            let invoice = known.invoices.get(&change.invoice_id)?;
            let beginning = known
                .beginning
                .as_ref()
                .filter(|_| invoice.receipt_id.is_none())?;
            Some(beginning.order_id.clone())
        }
        _ => None,
    }
}

/// Whether what is stored lacks what the provider tells.
///
/// Of a checkout the order; of an order that waits the money, if the provider has more of it than the order knows, and
/// once it has all, the goods and the receipt. An order that waits for money it has not been told of is not missing
/// anything. Of an invoice that it is paid; and once its order is known, the receipt of a renewal.
#[must_use]
pub fn is_missing(found: &Found, rows: &Snapshot) -> bool {
    match &found.change {
        Change::Checkout { completed, .. } => {
            *completed && (rows.order.is_none() || waits_for_what_is_here(found, rows))
        }
        Change::Refund(change) => {
            let known = rows
                .order
                .as_ref()
                .and_then(|order| order.refunds.get(&change.refund_id));
            known.is_none_or(|known| {
                let (known, facts) = (&known.facts.value, &change.facts);
                // A word that we do not know replaces none that we know.
                let tells = matches!(known.status, refund::RefundStatus::Other(_))
                    || !matches!(facts.status, refund::RefundStatus::Other(_));
                tells && (&known.status, known.amount) != (&facts.status, facts.amount)
            })
        }
        Change::Invoice(change) => rows.subscription.as_ref().is_none_or(|known| {
            !is_paid(known, change)
                || rows
                    .order
                    .as_ref()
                    .is_some_and(|order| lacks_receipt(change, known, order))
        }),
        Change::Subscription(change) => is_other(rows.subscription.as_ref(), &change.snapshot),
        Change::CheckoutPaid { .. }
        | Change::Payment(_)
        | Change::RefundsOf(_)
        | Change::Dispute(_)
        | Change::Customer(_)
        | Change::NotNeeded
        | Change::Unhandled => false,
    }
}

/// The order, if it waits for its money.
#[must_use]
pub fn order_that_waits(rows: &Snapshot) -> Option<&Order> {
    rows.order
        .as_ref()
        .filter(|order| order.fulfilled_at.is_none())
}

fn waits_for_what_is_here(found: &Found, rows: &Snapshot) -> bool {
    order_that_waits(rows)
        .zip(found.received)
        .is_some_and(|(order, received)| {
            received.is_all || received.amount > order.received.unwrap_or_default()
        })
}

/// Whether an order knows of a part of its money, and waits for the rest. Nothing is missing; but if the rest is given
/// up, no list says so, and whether what is here is all there will be only the provider can tell: it is asked once a
/// day.
#[must_use]
pub fn is_asked_again(found: &Found, rows: &Snapshot) -> bool {
    let part = found
        .received
        .filter(|received| !received.is_all && received.amount > 0);
    matches!(
        found.change,
        Change::Checkout {
            completed: true,
            ..
        }
    ) && order_that_waits(rows)
        .zip(part)
        .is_some_and(|(order, part)| order.received.unwrap_or_default() >= part.amount)
}

/// Whether what is stored was told after the list was read: then it is the list that is behind, and the next run lists the
/// thing anew. What was told of a time still to come is told by another clock than ours, and no sign of that.
#[must_use]
pub fn is_overtaken(found: &Found, rows: &Snapshot, read_at: Timestamp, now: Timestamp) -> bool {
    let stated_at = match &found.change {
        Change::Refund(change) => {
            let known = rows
                .order
                .as_ref()
                .and_then(|order| order.refunds.get(&change.refund_id));
            known.map(|known| known.facts.at)
        }
        Change::Subscription(_) => {
            let known = rows
                .subscription
                .as_ref()
                .and_then(|known| known.snapshot.as_ref());
            known.map(|known| known.at)
        }
        _ => None,
    };
    // Within one second nobody can tell which was first.
    stated_at.is_some_and(|at| whole_second(read_at) < at && at <= now)
}

/// Whether an invoice is known to be paid, or was, before newer ones took its place on the row.
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

/// Whether a subscription is not what is stored of it.
fn is_other(known: Option<&Subscription>, facts: &SubscriptionFacts) -> bool {
    if facts.source == Source::Deleted {
        return known.is_none_or(|known| known.ended_at.is_none());
    }
    match (
        known.and_then(|known| known.snapshot.as_ref()),
        &facts.status,
    ) {
        // What never began has nothing that could be missing.
        (None, SubscriptionStatus::Incomplete | SubscriptionStatus::IncompleteExpired) => false,
        (None, _) => true,
        // A word that we do not know replaces none that we know.
        (Some(known), SubscriptionStatus::Other(_))
            if !matches!(known.value.status, SubscriptionStatus::Other(_)) =>
        {
            false
        }
        (Some(known), _) => differs(&known.value, facts),
    }
}

/// Whether what is told differs in what access or a notice depends on. What a list leaves out, since it shows less than
/// an event does, is no difference; nor is the newest invoice, which changes days before it is paid and is told by
/// itself.
fn differs(known: &SubscriptionFacts, facts: &SubscriptionFacts) -> bool {
    fn unlike<T: PartialEq>(known: Option<&T>, facts: Option<&T>) -> bool {
        known
            .zip(facts)
            .is_some_and(|(known, facts)| known != facts)
    }
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

/// Whether what an event told that was parked beside such rows has something to go on by now: the list says that it is
/// so, which the provider perhaps would not tell before; but for a refund whose order is still not there.
#[must_use]
pub fn goes_on(change: &Change, rows: &Snapshot) -> bool {
    rows.order.is_some() || !matches!(change, Change::Refund(_))
}

/// The id of the event that makes up for a webhook: the same whenever the same state is found beside the same row. So a
/// second run records nothing new; and a state that comes back after another one is news again. `read_at` is when the
/// provider told of it.
#[must_use]
pub fn event_id(found: &Found, rows: &Snapshot, read_at: Timestamp) -> EventId {
    let version = match &found.change {
        Change::Invoice(_) | Change::Subscription(_) => {
            rows.subscription.as_ref().map(|row| row.version)
        }
        _ => rows.order.as_ref().map(|order| order.version),
    };
    let state = reference_state::state_of(&found.change).unwrap_or_default();
    // An order that waits stays in its version while its money comes in parts.
    let received = found.received.filter(|_| rows.order.is_some());
    let received = received
        .map(|received| format!("-{}", received.amount))
        .unwrap_or_default();
    let asked = if is_asked_again(found, rows) {
        read_at.strftime("-%F").to_string()
    } else {
        String::new()
    };
    let (resource, id, version) = (found.resource, &found.id, version.unwrap_or_default());
    let name = format!("{resource}:{id}:{state}{received}{asked}:{version}");
    // An id or a word that is none of ours makes it too long, or has characters that no id has.
    EventId::new(format!("reconciled:{name}"))
        .unwrap_or_else(|_| EventId::of_body("reconciled", &fingerprint(name.as_bytes())))
}

/// When what was found became so, for the merge of facts: `read_at` is when the provider was asked.
///
/// - A checkout was completed within the hour after it was made: its own time dates the sale.
/// - A refund and a subscription are what they are now, whatever was announced before: the time of the reading.
/// - An invoice was paid soon after it was made, and after whatever else was told of it: its own time dates the renewal.
/// - A subscription that has ended did so when the provider says; else by now.
///
/// Where two clocks disagree, what was read is a second newer than what it replaces.
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
            after(known.map(|known| known.facts.at), read_at)
        }
        Change::Subscription(change) if change.snapshot.source != Source::Deleted => {
            let known = subscription.and_then(|known| known.snapshot.as_ref());
            after(known.map(|known| known.at), read_at)
        }
        Change::Invoice(change) => {
            let known = subscription.and_then(|known| known.invoices.get(&change.invoice_id));
            after(
                known.map(|known| known.bill.at),
                found.since.unwrap_or(read_at),
            )
        }
        _ => found.since.unwrap_or(read_at),
    }
}

#[cfg(test)]
mod tests;
