//! The things of Flex's lists, stated in the way of its webhooks.
//!
//! Flex cannot resend every lost webhook. It has no list of events, and resends a known event only if it still has it
//! (<https://docs.withflex.com/api-reference/events/retry-event>). A listed thing therefore becomes an event in the
//! usual envelope, with the thing as its object.

use crate::{
    changes,
    time::timestamp,
    translate::{self, first_id},
};
use domain::{
    delivery::event::{Change, Unreadable},
    upkeep::reconcile::{Ask, Found, Listed, Received},
    values::{ids::EventId, mode::Mode},
};
use jiff::{SignedDuration, Timestamp};
use serde_json::{Map, Value, json};
use std::collections::BTreeMap;

const CHECKOUTS: &str = "checkouts";
const INVOICES: &str = "invoices";
const REFUNDS: &str = "refunds";
const DISPUTES: &str = "disputes";
const SUBSCRIPTIONS: &str = "subscriptions";
const ENDED: &str = "ended subscriptions";
const PAYMENTS: &str = "payments";

/// The lists to read, in this order. The ended subscriptions have a list, because the list of all may omit them.
/// Payments come last: the other lists bring most of their orders.
pub(crate) const LISTS: [&str; 7] = [
    CHECKOUTS,
    INVOICES,
    REFUNDS,
    DISPUTES,
    SUBSCRIPTIONS,
    ENDED,
    PAYMENTS,
];

/// The names in the request for a page and in its answer.
pub(crate) struct List {
    pub(crate) path: &'static [&'static str],
    /// The member of the answer with the things.
    pub(crate) name: &'static str,
    /// Flex's name for one thing.
    resource: &'static str,
    /// The member with the id of one thing.
    pub(crate) id: &'static str,
}

impl List {
    pub(crate) fn of(list: &str) -> Self {
        match list {
            CHECKOUTS => Self {
                path: &["v1", "checkout", "sessions"],
                name: "checkout_sessions",
                resource: "checkout_session",
                id: "checkout_session_id",
            },
            INVOICES => Self {
                path: &["v1", "invoices"],
                name: "invoices",
                resource: "invoice",
                id: "invoice_id",
            },
            REFUNDS => Self {
                path: &["v1", "refunds"],
                name: "refunds",
                resource: "refund",
                id: "refund_id",
            },
            DISPUTES => Self {
                path: &["v1", "disputes"],
                name: "disputes",
                resource: "dispute",
                id: "dispute_id",
            },
            PAYMENTS => Self {
                path: &["v1", "payment_intents"],
                name: "payment_intents",
                resource: "payment_intent",
                id: "payment_intent_id",
            },
            _ => Self {
                path: &["v1", "subscriptions"],
                name: "subscriptions",
                resource: "subscription",
                id: "subscription_id",
            },
        }
    }

    /// The filter of a list. Checkouts have a filter by age, in days
    /// (<https://docs.withflex.com/api-reference/checkout-sessions/list-checkout-sessions>). No other list has one. A
    /// list of subscriptions without a filter may omit the cancelled ones, so a second request asks for these
    /// (<https://docs.withflex.com/api-reference/subscriptions/list-subscriptions>).
    pub(crate) fn filter(ask: &Ask<'_>) -> Option<(&'static str, String)> {
        match ask.list {
            CHECKOUTS => {
                let hours = ask.now.duration_since(ask.since).as_hours();
                // Rounded up: `listed` drops the older ones.
                Some(("interval", (hours / 24 + 1).to_string()))
            }
            ENDED => Some(("status", "canceled".to_owned())),
            _ => None,
        }
    }

    /// True if a list is read without an age limit. An old subscription can end today, and an old dispute be decided.
    pub(crate) fn is_ageless(list: &str) -> bool {
        matches!(list, DISPUTES | SUBSCRIPTIONS | ENDED)
    }
}

/// The length limit of a stored checkout, in bytes of JSON. A row holds somewhat more.
const LONG: usize = 250_000;

/// The time of a thing's creation, if it states one.
pub(crate) fn created_at(object: &Value) -> Option<Timestamp> {
    timestamp(object.get("created_at")?)
}

/// One thing of a list. `None` if it is too old, or if no order, renewal or access follows from it.
#[must_use]
pub fn listed(ask: &Ask<'_>, object: &Value) -> Option<Listed> {
    let List { resource, id, .. } = List::of(ask.list);
    let text = |name: &str| object.get(name).and_then(Value::as_str).map(str::trim);
    let created_at = created_at(object);
    if !List::is_ageless(ask.list) && created_at.is_some_and(|at| at < ask.since) {
        return None;
    }
    let (event_type, since) = match ask.list {
        // As in the read of a checkout, both words mean completed.
        CHECKOUTS if matches!(text("status"), Some("complete" | "paid")) => {
            ("checkout.session.completed", created_at)
        }
        INVOICES if text("status") == Some("paid") => ("invoice.paid", created_at),
        REFUNDS => ("refund.updated", None),
        DISPUTES => (dispute_event(text("status")), None),
        // A renewal's payment belongs to its invoice, which another list has.
        PAYMENTS if text("status") == Some("succeeded") && !is_of_invoice(object) => {
            ("payment_intent.succeeded", created_at)
        }
        SUBSCRIPTIONS | ENDED => match end(object, ask.now) {
            End::Not => ("customer.subscription.updated", None),
            // It ended before the period that reconcile looks at.
            End::Over(Some(at)) if at < ask.since => return None,
            End::Over(at) => ("customer.subscription.deleted", at),
        },
        _ => return None,
    };
    let envelope = json!({"object": {resource: object}});
    let read = match created_at {
        // Otherwise years of them would be compared as if they were new.
        None if matches!(ask.list, INVOICES | REFUNDS | PAYMENTS) => {
            Some(Err(Unreadable::Member("created_at")))
        }
        _ => envelope
            .as_object()
            .map(|envelope| changes::of(event_type, envelope)),
    };
    let name = first_id([text(id)], EventId::new).map(String::from);
    let bytes = match object.to_string() {
        // Fulfillment reads the checkout from the API, so its id is enough.
        long if ask.list == CHECKOUTS && long.len() > LONG => {
            let facts = ["status", "test_mode", id].map(|name| (name, object.get(name)));
            json!(BTreeMap::from(facts)).to_string()
        }
        text => text,
    };
    let bytes = bytes.into_bytes();
    Some(match (read, name) {
        // An invoice without a subscription.
        (Some(Ok(Change::NotNeeded)), _) => return None,
        (Some(Ok(change)), Some(name)) => Listed::Found(Box::new(Found {
            resource,
            id: name,
            mode: mode(object),
            created_at,
            is_recent: created_at.is_some_and(|at| at >= ask.since),
            since,
            received: received(object).filter(|_| ask.list == CHECKOUTS),
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

/// The type that a webhook about a dispute with this status would have. An unknown word closes nothing.
fn dispute_event(status: Option<&str>) -> &'static str {
    match status {
        Some("won" | "lost" | "warning_closed") => "charge.dispute.closed",
        _ => "charge.dispute.updated",
    }
}

fn is_of_invoice(payment: &Value) -> bool {
    payment
        .get("invoice")
        .is_some_and(|invoice| !invoice.is_null())
}

fn mode(object: &Value) -> Option<Mode> {
    object
        .get("test_mode")
        .and_then(Value::as_bool)
        .map(translate::mode)
}

/// The received money that a session states. Only newer sessions state it.
fn received(session: &Value) -> Option<Received> {
    let amount = |name: &str| session.get(name).and_then(Value::as_i64);
    let received = amount("amount_received")?;
    let is_all = amount("amount_total").map_or(received > 0, |total| received >= total);
    Some(Received {
        amount: received,
        is_all,
    })
}

/// The end of a subscription.
enum End {
    Not,
    /// Its time, if it can be determined.
    Over(Option<Timestamp>),
}

/// The end of a cancelled subscription. One that is cancelled at the end of its period ends then, whatever the time of
/// the request. Any other ends at its cancellation. If no time is stated, it ended with its last period at the latest.
///
/// The reference names `cancel_at` alone (<https://docs.withflex.com/api-reference/subscriptions/list-subscriptions>).
/// The code reads all of these members, if they are there.
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
    // Flex did not wait for a future time, and no subscription ends after its last period.
    End::Over(
        facts
            .filter(|at| *at <= now)
            .or_else(|| period_end.filter(|at| *at <= now)),
    )
}

/// The event that states a found thing, as Flex would have sent it, with this id and time. `waits` is true if an order
/// waits for the thing.
#[must_use]
pub fn event(found: &Found, event_id: &EventId, at: Timestamp, waits: bool) -> Vec<u8> {
    // This type waits until the API shows the money, and then parks the event. A completion would change nothing.
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

/// The stored body of a thing that is too large for a row: its id alone.
#[must_use]
pub fn stub(list: &str, id: Option<&str>) -> Vec<u8> {
    let list = List::of(list);
    json!({"object": {list.resource: {list.id: id}}})
        .to_string()
        .into_bytes()
}

/// True if all things from this page on are older than the period of reconcile. No reference states the order of the
/// lists. The test therefore holds only if the page itself goes from newer to older.
pub(crate) fn is_past(ask: &Ask<'_>, page: &[Value]) -> bool {
    // An hour allows for different clocks.
    let since = ask
        .since
        .saturating_sub(SignedDuration::from_hours(1))
        .unwrap_or(ask.since);
    let times: Option<Vec<Timestamp>> = page.iter().map(created_at).collect();
    !List::is_ageless(ask.list)
        && times.is_some_and(|times| {
            times.is_sorted_by(|one, next| one >= next)
                && times.first() > times.last()
                && times.first().is_some_and(|newest| *newest < since)
        })
}

#[cfg(test)]
mod tests;
