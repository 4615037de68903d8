//! Exports or erases a customer, or a guest by one order.
//!
//! The Orders table has an index by customer; it may lag a moment behind the table. Events have none: both actions read
//! that table whole, page by page. For a rare action, that is cheaper than an index. A checkout session is found by its
//! order or the order's invoice. Both are safe to repeat, and a repeated run goes on with what is left. The contact is
//! erased first, and stays so: facts that come later bring nothing back.

use crate::{MOST_PAGES, TRIES, contended, endless, names, note::Note, report};
use domain::{
    access::contact::Contact,
    delivery::stored_event::{EventState, StoredEvent},
    ports::{
        Changed, EntitlementAdmin, Entitlements, EventAdmin, Found, OrderAdmin, Orders,
        ResourceAdmin, ResourceLists, Search,
    },
    resource::{
        Resource,
        checkout_session::{CheckoutSession, SessionSale},
        payment_method::list_of,
    },
    upkeep::privacy::{CustomerRows, Marks},
    values::{
        ids::{CheckoutSessionId, CustomerId, EventId, OrderId},
        note::Action,
        outcome::RetryableError,
    },
};
use jiff::Timestamp;
use serde_json::{Value, json};
use std::fmt;

/// The person whose data is meant.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Person {
    /// A customer whom the provider knows.
    Customer(CustomerId),
    /// A guest, who has no customer id: the buyer of one order.
    Guest(OrderId),
}

/// Everything that the tables hold about a customer.
#[derive(Debug, Clone)]
pub struct Export {
    pub rows: CustomerRows,
    /// In no meaningful order.
    pub events: Vec<StoredEvent>,
}

impl Export {
    /// All of it as JSON, for the customer. Bodies are JSON where they can be read.
    #[must_use]
    pub fn to_json(&self) -> Value {
        let event = |event: &StoredEvent| {
            let body = serde_json::from_slice(&event.body)
                .unwrap_or_else(|_| Value::from(String::from_utf8_lossy(&event.body)));
            json!({
                "event_id": event.event_id,
                "type": event.event_type,
                "received_at": event.received_at.to_string(),
                "body": body,
            })
        };
        json!({
            "orders": self.rows.orders,
            "contact": self.rows.contact,
            "subscriptions": self.rows.subscriptions,
            "entitlements": self.rows.entitlements,
            "payment_methods": self.rows.payment_methods,
            "checkout_sessions": self.rows.checkout_sessions,
            "events": self.events.iter().map(event).collect::<Vec<_>>(),
        })
    }
}

/// The rows that a run has erased or, in a dry run, would erase.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Erased {
    pub dry_run: bool,
    pub orders: Vec<OrderId>,
    pub contact: bool,
    /// The checkout sessions that have no address of the buyer now.
    pub checkout_sessions: Vec<CheckoutSessionId>,
    /// The events whose bodies are blank now.
    pub events: Vec<EventId>,
    /// Events about the customer that still need their bodies: in work, or parked. Finish them, then erase again.
    pub open: Vec<EventId>,
    /// True if one of them is in work and ends without a person.
    pub in_work: bool,
    /// The last event that was read, if the run stopped before the end of the table.
    pub next: Option<EventId>,
}

/// The ports that an export needs.
pub trait Tables:
    Orders + Entitlements + ResourceLists + OrderAdmin + EntitlementAdmin + ResourceAdmin + EventAdmin
{
}

impl<
    T: Orders
        + Entitlements
        + ResourceLists
        + OrderAdmin
        + EntitlementAdmin
        + ResourceAdmin
        + EventAdmin,
> Tables for T
{
}

/// Reads everything about a person.
pub async fn export(tables: &impl Tables, person: &Person) -> Result<Export, RetryableError> {
    let rows = rows(tables, person).await?;
    let marks = marks(person, &rows);
    let (mut events, mut after) = (Vec::new(), None);
    for _ in 0..MOST_PAGES {
        let page = events_about(tables, &marks, after.as_ref()).await?;
        events.extend(page.events);
        after = page.next;
        if after.is_none() {
            return Ok(Export { rows, events });
        }
    }
    Err(endless("Events"))
}

/// Erases the personal data of a person in all tables. Ids and amounts stay.
pub async fn erase(
    tables: &impl Tables,
    person: &Person,
    dry_run: bool,
    note: &Note,
) -> Result<Erased, RetryableError> {
    if dry_run {
        let found = export(tables, person).await?;
        let mut erased = Erased {
            dry_run,
            ..to_erase(person, &found.rows)
        };
        erased.add(&found.events);
        return Ok(erased);
    }
    erase_until(tables, person, None, None, note, || false).await
}

/// Erases until `is_over`, which is asked after each page of the Events table: each run reads one at least. `after` is
/// [`Erased::next`] of the run before. The event `asked_by` waits for the erasure, and is left to the caller.
pub async fn erase_until(
    tables: &impl Tables,
    person: &Person,
    mut after: Option<EventId>,
    asked_by: Option<&EventId>,
    note: &Note,
    is_over: impl Fn() -> bool + Send,
) -> Result<Erased, RetryableError> {
    let rows = rows(tables, person).await?;
    let mut erased = to_erase(person, &rows);
    if let Person::Customer(id) = person {
        erase_contact(tables, id).await?;
    }
    erase_sessions(tables, &rows).await?;
    for order in &erased.orders {
        erase_order(tables, order).await?;
    }
    let marks = marks(person, &rows);
    for _ in 0..MOST_PAGES {
        let mut page = events_about(tables, &marks, after.as_ref()).await?;
        page.events
            .retain(|event| Some(&event.event_id) != asked_by);
        erased.add(&page.events);
        for event in page.events.iter().filter(|event| !is_open(event)) {
            // A lost race means that a person acted on the event: the next run finds it.
            let (Changed::Now | Changed::Raced) =
                tables.blank_event(event, &note.did(Action::Erased)).await?;
        }
        after = page.next;
        if after.is_none() || is_over() {
            erased.next = after;
            return Ok(erased);
        }
    }
    Err(endless("Events"))
}

/// True if the event needs its body.
fn is_open(event: &StoredEvent) -> bool {
    event.state.is_unfinished() || event.state == EventState::Parked
}

/// The rows that hold data to erase.
fn to_erase(person: &Person, rows: &CustomerRows) -> Erased {
    let left = rows.orders.iter().filter(|order| !order.is_erased);
    let contact = rows.contact.as_ref();
    let sessions = rows.checkout_sessions.iter();
    let sessions = sessions.filter(|session| !session.erased);
    Erased {
        orders: left.map(|order| order.order_id.clone()).collect(),
        contact: matches!(person, Person::Customer(_))
            && contact.is_none_or(|contact| !contact.erased),
        checkout_sessions: sessions.map(|session| session.id.clone()).collect(),
        ..Erased::default()
    }
}

impl Erased {
    /// Notes events about the person.
    fn add(&mut self, events: &[StoredEvent]) {
        let (open, ended): (Vec<_>, Vec<_>) = events.iter().partition(|event| is_open(event));
        self.in_work |= open.iter().any(|event| event.state.is_unfinished());
        let id = |event: &StoredEvent| event.event_id.clone();
        self.open.extend(open.into_iter().map(id));
        self.events.extend(ended.into_iter().map(id));
    }
}

/// The person's rows.
async fn rows(tables: &impl Tables, person: &Person) -> Result<CustomerRows, RetryableError> {
    let mut rows = match person {
        Person::Customer(id) => rows_of_customer(tables, id).await?,
        Person::Guest(order_id) => CustomerRows {
            orders: tables.order(order_id).await?.into_iter().collect(),
            ..CustomerRows::default()
        },
    };
    rows.checkout_sessions = sessions(tables, &rows).await?;
    Ok(rows)
}

async fn rows_of_customer(
    tables: &impl Tables,
    id: &CustomerId,
) -> Result<CustomerRows, RetryableError> {
    let mut rows = tables.rows_of(id).await?;
    for resource in report::all(tables, &list_of(id), None, &mut |_| ()).await? {
        if let Resource::PaymentMethod(method) = resource {
            rows.payment_methods.push(*method);
        }
    }
    let mut after = None;
    for _ in 0..MOST_PAGES {
        let page = tables.orders_of(id, after.as_ref()).await?;
        rows.orders.extend(page.orders);
        after = page.next;
        if after.is_none() {
            return Ok(rows);
        }
    }
    Err(endless("Orders"))
}

/// The checkout sessions of the orders.
async fn sessions(
    tables: &impl Tables,
    rows: &CustomerRows,
) -> Result<Vec<CheckoutSession>, RetryableError> {
    let mut sessions = Vec::new();
    for order in &rows.orders {
        let sale = SessionSale::Order(order.order_id.clone());
        let invoice = order.invoice_id.clone().map(SessionSale::Invoice);
        for sale in [Some(sale), invoice].iter().flatten() {
            sessions_of(tables, sale, &mut sessions).await?;
        }
    }
    Ok(sessions)
}

/// Adds the sessions of one sale.
async fn sessions_of(
    tables: &impl Tables,
    sale: &SessionSale,
    sessions: &mut Vec<CheckoutSession>,
) -> Result<(), RetryableError> {
    let mut after = None;
    for _ in 0..MOST_PAGES {
        let page = tables.sessions_of(sale, after.as_ref()).await?;
        sessions.extend(page.sessions);
        after = page.next;
        if after.is_none() {
            return Ok(());
        }
    }
    Err(endless("Resources"))
}

fn marks(person: &Person, rows: &CustomerRows) -> Marks {
    match person {
        Person::Customer(id) => Marks::of(Some(id), rows),
        Person::Guest(_) => Marks::of(None, rows),
    }
}

/// One page of the events about a person whose bodies are not blank.
async fn events_about(
    tables: &impl Tables,
    marks: &Marks,
    after: Option<&EventId>,
) -> Result<Found, RetryableError> {
    let all = Search {
        event_type: None,
        since: Timestamp::UNIX_EPOCH,
        before: Timestamp::MAX,
    };
    let mut found = tables.search(&all, after).await?;
    found.events.retain(|event| marks.are_in(&event.body));
    Ok(found)
}

async fn erase_contact(tables: &impl Tables, id: &CustomerId) -> Result<(), RetryableError> {
    for _ in 0..TRIES {
        let known = tables.contact(id).await?;
        let contact = known.unwrap_or_else(|| Contact::new(id.clone()));
        if contact.erased || tables.erase_contact(&contact).await? == Changed::Now {
            return Ok(());
        }
    }
    Err(contended("the contact"))
}

/// Erases the sessions among the rows. After a lost race, all are read once more.
async fn erase_sessions(tables: &impl Tables, rows: &CustomerRows) -> Result<(), RetryableError> {
    let mut known = rows.checkout_sessions.clone();
    for _ in 0..TRIES {
        let mut is_raced = false;
        for session in known.iter().filter(|session| !session.erased) {
            is_raced |= tables.erase_session(session).await? == Changed::Raced;
        }
        if !is_raced {
            return Ok(());
        }
        known = sessions(tables, rows).await?;
    }
    Err(contended("a checkout session"))
}

async fn erase_order(tables: &impl Tables, id: &OrderId) -> Result<(), RetryableError> {
    for _ in 0..TRIES {
        match tables.order(id).await? {
            Some(order) if !order.is_erased => {
                if tables.erase_order(&order).await? == Changed::Now {
                    return Ok(());
                }
            }
            _ => return Ok(()),
        }
    }
    Err(contended("the order"))
}

impl fmt::Display for Erased {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            dry_run,
            orders,
            contact,
            checkout_sessions,
            events,
            open,
            in_work: _,
            next,
        } = self;
        let done = if *dry_run {
            "would be erased"
        } else {
            "erased"
        };
        write!(f, "{} orders {done}", orders.len())?;
        names(f, orders, orders.len())?;
        write!(f, "\n{} bodies of events {done}", events.len())?;
        if *contact {
            write!(f, "\nname and address {done}")?;
        }
        if !checkout_sessions.is_empty() {
            write!(f, "\n{} checkout sessions {done}", checkout_sessions.len())?;
        }
        if !open.is_empty() {
            write!(
                f,
                "\n{} events are open: finish them, then erase again",
                open.len()
            )?;
            names(f, open, open.len())?;
        }
        if let Some(next) = next {
            write!(f, "\nstopped after event {next}: erase again")?;
        }
        Ok(())
    }
}
