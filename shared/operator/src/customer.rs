//! Exports or erases a customer.
//!
//! Orders and events have no index by customer, so both actions read these tables whole, page by page. For an action that
//! is needed now and then, that is cheaper than an index. Both are safe to repeat, and a repeated run goes on with what is
//! left. The contact is erased first, and stays so: facts that come later bring nothing back.

use crate::{NAMED, TRIES, names, note::Note};
use domain::{
    access::contact::Contact,
    delivery::stored_event::{EventState, StoredEvent},
    ports::{Changed, EntitlementAdmin, Entitlements, EventAdmin, OrderAdmin, Orders, Search},
    upkeep::privacy::{CustomerRows, Marks},
    values::{
        ids::{CustomerId, EventId, OrderId},
        outcome::RetryableError,
    },
};
use jiff::Timestamp;
use serde_json::{Value, json};
use std::fmt;

/// The most pages of one table that a run reads: some millions of rows.
const MOST_PAGES: usize = 10_000;

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
            "events": self.events.iter().map(event).collect::<Vec<_>>(),
        })
    }
}

/// What a run has erased or, in a dry run, would erase.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Erased {
    pub dry_run: bool,
    pub orders: Vec<OrderId>,
    pub contact: bool,
    /// The events whose bodies are blank now.
    pub events: Vec<EventId>,
    /// Events about the customer that still need their bodies. Finish them, then erase again.
    pub open: Vec<EventId>,
}

/// The ports that an export needs.
pub trait Tables: Orders + Entitlements + OrderAdmin + EntitlementAdmin + EventAdmin {}

impl<T: Orders + Entitlements + OrderAdmin + EntitlementAdmin + EventAdmin> Tables for T {}

/// Reads everything about a customer.
pub async fn export(tables: &impl Tables, id: &CustomerId) -> Result<Export, RetryableError> {
    let rows = rows(tables, id).await?;
    let events = events(tables, &Marks::of(id, &rows)).await?;
    Ok(Export { rows, events })
}

/// Erases the personal data of a customer in all tables. Ids and amounts stay.
pub async fn erase(
    tables: &impl Tables,
    id: &CustomerId,
    dry_run: bool,
    note: &Note,
) -> Result<Erased, RetryableError> {
    let found = export(tables, id).await?;
    let is_open =
        |event: &&StoredEvent| event.state.is_unfinished() || event.state == EventState::Parked;
    let (open, ended): (Vec<_>, Vec<_>) = found.events.iter().partition(is_open);
    let ids = |events: &[&StoredEvent]| events.iter().map(|event| event.event_id.clone()).collect();
    let left = found.rows.orders.iter().filter(|order| !order.is_erased);
    let erased = Erased {
        dry_run,
        orders: left.map(|order| order.order_id.clone()).collect(),
        contact: found
            .rows
            .contact
            .as_ref()
            .is_none_or(|contact| !contact.erased),
        events: ids(&ended),
        open: ids(&open),
    };
    if !dry_run {
        erase_contact(tables, id).await?;
        for event in ended {
            let line = note.line("erased it");
            // A lost race means that the event was reopened: the next run finds it.
            let (Changed::Now | Changed::Raced) = tables
                .blank_event(&event.event_id, event.state, &line)
                .await?;
        }
        for order in &erased.orders {
            erase_order(tables, order).await?;
        }
    }
    Ok(erased)
}

/// The customer's rows.
async fn rows(tables: &impl Tables, id: &CustomerId) -> Result<CustomerRows, RetryableError> {
    let mut rows = tables.rows_of(id).await?;
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

/// The events about a customer whose bodies are not blank.
async fn events(tables: &impl Tables, marks: &Marks) -> Result<Vec<StoredEvent>, RetryableError> {
    let all = Search {
        event_type: None,
        since: Timestamp::UNIX_EPOCH,
        before: Timestamp::MAX,
    };
    let (mut events, mut after) = (Vec::new(), None);
    for _ in 0..MOST_PAGES {
        let found = tables.search(&all, after.as_ref()).await?;
        let about = found.events.into_iter();
        events.extend(about.filter(|event| marks.are_in(&event.body)));
        after = found.next;
        if after.is_none() {
            return Ok(events);
        }
    }
    Err(endless("Events"))
}

fn endless(table: &str) -> RetryableError {
    RetryableError::Fault(format!("{table} has more pages than a run reads"))
}

async fn erase_contact(tables: &impl Tables, id: &CustomerId) -> Result<(), RetryableError> {
    for _ in 0..TRIES {
        let known = tables.contact(id).await?;
        let contact = known.unwrap_or_else(|| Contact::new(id.clone()));
        if contact.erased || tables.erase_contact(&contact).await? == Changed::Now {
            return Ok(());
        }
    }
    Err(RetryableError::Raced {
        what: "the contact",
        tries: TRIES,
    })
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
    Err(RetryableError::Raced {
        what: "the order",
        tries: TRIES,
    })
}

impl fmt::Display for Erased {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            dry_run,
            orders,
            contact,
            events,
            open,
        } = self;
        let done = if *dry_run {
            "would be erased"
        } else {
            "erased"
        };
        write!(f, "{} orders {done}", orders.len())?;
        names(f, orders.get(..NAMED).unwrap_or(orders), orders.len())?;
        write!(f, "\n{} bodies of events {done}", events.len())?;
        if *contact {
            write!(f, "\nname and address {done}")?;
        }
        if !open.is_empty() {
            write!(
                f,
                "\n{} events are open: finish them, then erase again",
                open.len()
            )?;
            names(f, open.get(..NAMED).unwrap_or(open), open.len())?;
        }
        Ok(())
    }
}
