//! What Flex's lists have, told as its webhooks would have told it.
//!
//! A webhook that never came cannot be asked for again: there is no list of events, and one that is known by its id is
//! resent only if Flex still has it (<https://docs.withflex.com/api-reference/events/retry-event>). So what a list has
//! becomes an event in the envelope that all of them come in, about the very object that it has.

use crate::{
    changes,
    time::timestamp,
    translate::{self, first_id},
};
use domain::{
    delivery::event::{Change, Unreadable},
    upkeep::reconcile::{Ask, Found, Listed, Received, What},
    values::{ids::EventId, mode::Mode},
};
use jiff::{SignedDuration, Timestamp};
use serde_json::{Map, Value, json};
use std::collections::BTreeMap;

/// The members of a list that a page is asked for and read by.
pub(crate) struct List {
    /// Where it is.
    pub(crate) path: &'static [&'static str],
    /// The member of the answer that holds it.
    pub(crate) name: &'static str,
    /// What Flex calls one of it.
    resource: &'static str,
    /// The member that holds the id of one.
    pub(crate) id: &'static str,
}

impl List {
    pub(crate) fn of(what: What) -> Self {
        match what {
            What::Checkouts => Self {
                path: &["v1", "checkout", "sessions"],
                name: "checkout_sessions",
                resource: "checkout_session",
                id: "checkout_session_id",
            },
            What::Invoices => Self {
                path: &["v1", "invoices"],
                name: "invoices",
                resource: "invoice",
                id: "invoice_id",
            },
            What::Refunds => Self {
                path: &["v1", "refunds"],
                name: "refunds",
                resource: "refund",
                id: "refund_id",
            },
            What::Subscriptions | What::Ended => Self {
                path: &["v1", "subscriptions"],
                name: "subscriptions",
                resource: "subscription",
                id: "subscription_id",
            },
        }
    }

    /// What narrows the list down. Checkouts have a filter by age, in days
    /// (<https://docs.withflex.com/api-reference/checkout-sessions/list-checkout-sessions>); no other list has one. Of
    /// subscriptions a list without a filter may leave out those that are cancelled, so these are asked for by
    /// themselves (<https://docs.withflex.com/api-reference/subscriptions/list-subscriptions>).
    pub(crate) fn filter(ask: &Ask<'_>) -> Option<(&'static str, String)> {
        match ask.what {
            What::Checkouts => {
                let hours = ask.now.duration_since(ask.since).as_hours();
                // Rounded up: what is too old is left out here.
                Some(("interval", (hours / 24 + 1).to_string()))
            }
            What::Ended => Some(("status", "canceled".to_owned())),
            What::Invoices | What::Refunds | What::Subscriptions => None,
        }
    }

    /// Whether all of a list is looked at, however old it is. A subscription of years ago can end today.
    pub(crate) fn is_ageless(what: What) -> bool {
        matches!(what, What::Subscriptions | What::Ended)
    }
}

/// Longer is no checkout that anybody has to read here, in bytes of JSON; a row holds somewhat more.
const LONG: usize = 250_000;

/// When a thing was made, where it tells.
pub(crate) fn created_at(object: &Value) -> Option<Timestamp> {
    timestamp(object.get("created_at")?)
}

/// What a thing of a list tells; `None` if it is of no interest: too old, or nothing that an order, a renewal or access
/// follows from.
#[must_use]
pub fn listed(ask: &Ask<'_>, object: &Value) -> Option<Listed> {
    let List { resource, id, .. } = List::of(ask.what);
    let text = |name: &str| object.get(name).and_then(Value::as_str).map(str::trim);
    let created_at = created_at(object);
    if !List::is_ageless(ask.what) && created_at.is_some_and(|at| at < ask.since) {
        return None;
    }
    let (event_type, since) = match ask.what {
        // As where a checkout is read: both words say that it is done.
        What::Checkouts if matches!(text("status"), Some("complete" | "paid")) => {
            ("checkout.session.completed", created_at)
        }
        What::Invoices if text("status") == Some("paid") => ("invoice.paid", created_at),
        What::Refunds => ("refund.updated", None),
        What::Subscriptions | What::Ended => match end(object, ask.now) {
            End::Not => ("customer.subscription.updated", None),
            // What is over for longer than anybody looks back is of no use to anybody.
            End::Over(Some(at)) if at < ask.since => return None,
            End::Over(at) => ("customer.subscription.deleted", at),
        },
        What::Checkouts | What::Invoices => return None,
    };
    let envelope = json!({"object": {resource: object}});
    let read = match created_at {
        // Years of them would be looked at as if they were new.
        None if matches!(ask.what, What::Invoices | What::Refunds) => {
            Some(Err(Unreadable::Member("created_at")))
        }
        _ => envelope
            .as_object()
            .map(|envelope| changes::of(event_type, envelope)),
    };
    let name = first_id([text(id)], EventId::new).map(String::from);
    let bytes = match object.to_string() {
        // Fulfillment reads the checkout itself: to know which one is enough.
        long if ask.what == What::Checkouts && long.len() > LONG => {
            let facts = ["status", "test_mode", id].map(|name| (name, object.get(name)));
            json!(BTreeMap::from(facts)).to_string()
        }
        text => text,
    };
    let bytes = bytes.into_bytes();
    Some(match (read, name) {
        // An invoice of no subscription.
        (Some(Ok(Change::NotNeeded)), _) => return None,
        (Some(Ok(change)), Some(name)) => Listed::Found(Box::new(Found {
            resource,
            id: name,
            mode: mode(object),
            created_at,
            since,
            received: received(object).filter(|_| ask.what == What::Checkouts),
            event_type,
            object: bytes,
            change,
        })),
        (Some(Err(why)), id) => Listed::Unreadable {
            id,
            object: bytes,
            why,
        },
        (Some(Ok(_)) | None, id) => Listed::Unreadable {
            id,
            object: bytes,
            why: Unreadable::Member("object"),
        },
    })
}

fn mode(object: &Value) -> Option<Mode> {
    object
        .get("test_mode")
        .and_then(Value::as_bool)
        .map(translate::mode)
}

/// What a session says was received for it. Only newer ones tell.
fn received(session: &Value) -> Option<Received> {
    let amount = |name: &str| session.get(name).and_then(Value::as_i64);
    let received = amount("amount_received")?;
    let is_all = amount("amount_total").map_or(received > 0, |total| received >= total);
    Some(Received {
        amount: received,
        is_all,
    })
}

/// Whether a subscription is over.
enum End {
    Not,
    /// Since then, where that can be told.
    Over(Option<Timestamp>),
}

/// One that is cancelled with the end of its period ends then, whenever that was asked for; else when it was cancelled,
/// or, where nobody says when, with its last period at the latest.
/// The reference names `cancel_at` alone
/// (<https://docs.withflex.com/api-reference/subscriptions/list-subscriptions>); whatever is there is read.
fn end(subscription: &Value, now: Timestamp) -> End {
    if subscription
        .get("status")
        .and_then(Value::as_str)
        .map(str::trim)
        != Some("canceled")
    {
        return End::Not;
    }
    let at = |name: &str| subscription.get(name).and_then(timestamp);
    let with_period = subscription
        .get("cancel_at_period_end")
        .and_then(Value::as_bool)
        == Some(true);
    let period_end = at("current_period_end");
    let planned = at("cancel_at").or_else(|| period_end.filter(|_| with_period));
    let facts = at("ended_at").or(planned).or_else(|| at("canceled_at"));
    // A time to come was not waited for; and none has ended after its last period.
    End::Over(
        facts
            .filter(|at| *at <= now)
            .or_else(|| period_end.filter(|at| *at <= now)),
    )
}

/// The event that tells of what was found, as Flex would have sent it: under this id, and as of that time. `waits` is
/// whether there is an order that waits for it.
#[must_use]
pub fn event(found: &Found, event_id: &EventId, at: Timestamp, waits: bool) -> Vec<u8> {
    // What has arrived and the API does not know of yet is waited for, and then a person's; a completion would have
    // nothing more to say.
    let event_type = if waits && found.is_paid() {
        "checkout.session.async_payment_succeeded"
    } else {
        found.event_type
    };
    let object = serde_json::from_slice(&found.object).unwrap_or(Value::Null);
    let mut resources = Map::new();
    resources.insert(found.resource.to_owned(), object);
    let event = json!({
        "event_id": event_id.as_str(),
        "event_type": event_type,
        "event_dt": at.as_second(),
        "object": resources,
    });
    event.to_string().into_bytes()
}

/// What is kept of a thing that no row can hold: which one it is.
#[must_use]
pub fn stub(what: What, id: Option<&str>) -> Vec<u8> {
    let list = List::of(what);
    json!({"object": {list.resource: {list.id: id}}})
        .to_string()
        .into_bytes()
}

/// Whether everything on a page is older than anybody looks back, and so is what comes after it. No reference says in
/// which order lists are, so that this holds only where the page itself goes from newer to older.
pub(crate) fn is_past(ask: &Ask<'_>, page: &[Value]) -> bool {
    // Clocks differ.
    let since = ask
        .since
        .saturating_sub(SignedDuration::from_hours(1))
        .unwrap_or(ask.since);
    let times: Option<Vec<Timestamp>> = page.iter().map(created_at).collect();
    !List::is_ageless(ask.what)
        && times.is_some_and(|times| {
            times.is_sorted_by(|one, next| one >= next)
                && times.first() > times.last()
                && times.first().is_some_and(|newest| *newest < since)
        })
}

#[cfg(test)]
mod tests;
