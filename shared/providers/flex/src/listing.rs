//! The things of Flex's lists, stated in the way of its webhooks.
//!
//! Flex cannot resend every lost webhook. It has no list of events, and resends a known event only if it still has it
//! (<https://docs.withflex.com/api-reference/events/retry-event>). A listed thing therefore becomes an event in the
//! usual envelope, with the thing as its object.

use crate::{
    changes,
    translate::{self, details::metadata},
    wire::{Dispute, Invoice, PaymentIntent, Reference, Refund, Resource, Session, Subscription},
};
use domain::{
    delivery::event::Change,
    sale::{details::MetadataLimit, dispute::DisputeStage, shop::ShopMarks},
    upkeep::reconcile::{Ask, Found, Listed, Received},
    values::ids::{EventId, InvoiceId},
};
use jiff::Timestamp;
use reading::{Field, Identified, Kind, NotUnderstood, stated};
use rest::list::{self, created_at, id_of, member};
use serde_json::{Map, Value, json};
use std::collections::BTreeMap;

const CHECKOUTS: &str = "checkouts";
const INVOICES: &str = "invoices";
const REFUNDS: &str = "refunds";
const DISPUTES: &str = "disputes";
const PAYMENTS: &str = "payments";
const SUBSCRIPTIONS: &str = "subscriptions";
const ENDED: &str = "ended subscriptions";

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
            CHECKOUTS => Self::new::<Session>(&["checkout", "sessions"], "checkout_sessions"),
            INVOICES => Self::new::<Invoice>(&["invoices"], "invoices"),
            REFUNDS => Self::new::<Refund>(&["refunds"], "refunds"),
            DISPUTES => Self::new::<Dispute>(&["disputes"], "disputes"),
            PAYMENTS => Self::new::<PaymentIntent>(&["payment_intents"], "payment_intents"),
            _ => Self::new::<Subscription>(&["subscriptions"], "subscriptions"),
        }
    }

    fn new<T: Resource>(path: &'static [&'static str], name: &'static str) -> Self {
        Self {
            path,
            name,
            resource: T::KEY,
            id: T::ID,
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

/// True for a paid invoice that leaves out its subscription. A null says that it has none.
pub(crate) fn is_unnamed(ask: &Ask<'_>, invoice: &Value) -> bool {
    let names = ["subscription", "subscription_id"];
    ask.list == INVOICES
        && names.iter().all(|name| invoice.get(*name).is_none())
        && created_at(invoice).is_some_and(|at| at >= ask.since)
        && matches!(state(ask, invoice), Ok(Some(_)))
}

/// One thing of a list. `None` if it is too old, or if no order, renewal or access follows from it.
#[must_use]
pub fn listed(ask: &Ask<'_>, object: &Value) -> Option<Listed> {
    let list = List::of(ask.list);
    let is_old = created_at(object).is_some_and(|at| at < ask.since);
    if !List::is_ageless(ask.list) && is_old {
        return None;
    }
    match found(ask, &list, object) {
        Ok(found) => found.map(Box::new).map(Listed::Found),
        Err(why) => Some(Listed::Unreadable {
            id: id_of(object, list.id),
            object: body(ask, &list, object),
            why: translate::unreadable(why),
        }),
    }
}

fn found(ask: &Ask<'_>, list: &List, object: &Value) -> Result<Option<Found>, NotUnderstood> {
    let kind = Kind::of(object);
    if kind != Kind::Object {
        return Err(NotUnderstood::Malformed(list.resource, kind));
    }
    let Some((event_type, since)) = state(ask, object)? else {
        return Ok(None);
    };
    if matches!(ask.list, INVOICES | REFUNDS | PAYMENTS) {
        // Otherwise years of them would be compared as if they were new.
        member::<Timestamp>(object, "created_at").required("created_at")?;
    }
    let envelope = Map::from_iter([("object".to_owned(), json!({list.resource: object}))]);
    let change = changes::of(event_type, &envelope)?;
    if change == Change::NotNeeded {
        return if is_unnamed(ask, object) {
            Err(NotUnderstood::Missing("object.invoice.subscription"))
        } else {
            Ok(None)
        };
    }
    let test_mode: Field<bool> = member(object, "test_mode");
    let is_checkout = ask.list == CHECKOUTS;
    Ok(Some(Found {
        resource: list.resource,
        id: id_of(object, list.id).ok_or(NotUnderstood::Missing(list.id))?,
        event_id: None,
        mode: test_mode.known().copied().map(translate::mode),
        created_at: created_at(object),
        is_recent: created_at(object).is_some_and(|at| at >= ask.since),
        since,
        stamp: None,
        received: if is_checkout { received(object)? } else { None },
        marks: is_checkout.then(|| marks(object)),
        event_type,
        object: body(ask, list, object),
        change,
    }))
}

/// The type of the event that states a thing's state, and the time of that state if stated. `None`
/// if nothing follows from the state.
fn state(
    ask: &Ask<'_>,
    object: &Value,
) -> Result<Option<(&'static str, Option<Timestamp>)>, NotUnderstood> {
    let status: Field<String> = member(object, "status");
    let status = translate::trimmed(status.required("status")?);
    let mode = object.get("mode").and_then(Value::as_str).map(str::trim);
    Ok(match ask.list {
        CHECKOUTS if mode.is_some_and(translate::sells_nothing) => None,
        // As in the read of a checkout, both words mean completed.
        CHECKOUTS if matches!(status, "complete" | "paid") => {
            Some(("checkout.session.completed", created_at(object)))
        }
        INVOICES if status == "paid" => Some(("invoice.paid", created_at(object))),
        REFUNDS => Some(("refund.updated", None)),
        DISPUTES => Some((dispute_event(status), None)),
        // A renewal's payment belongs to its invoice, which another list has.
        PAYMENTS if status == "succeeded" && !is_of_invoice(object)? => {
            Some(("payment_intent.succeeded", created_at(object)))
        }
        SUBSCRIPTIONS | ENDED if status == "canceled" => match end(object, ask.now)? {
            // It ended before the period that reconcile looks at.
            Some(at) if at < ask.since => None,
            at => Some(("customer.subscription.deleted", at)),
        },
        SUBSCRIPTIONS | ENDED => Some(("customer.subscription.updated", None)),
        _ => None,
    })
}

/// The type that a webhook about a dispute with this status would have. An unknown word closes nothing.
fn dispute_event(status: &str) -> &'static str {
    match translate::status::dispute(status, None).known.stage() {
        DisputeStage::Won | DisputeStage::Lost => "charge.dispute.closed",
        DisputeStage::Open => "charge.dispute.updated",
    }
}

fn is_of_invoice(payment: &Value) -> Result<bool, NotUnderstood> {
    let invoice: Field<Reference<Invoice>> = member(payment, "invoice");
    let id = translate::named([invoice.id()], InvoiceId::new, "invoice")?;
    Ok(id.is_some())
}

/// The thing as it is stored.
fn body(ask: &Ask<'_>, list: &List, object: &Value) -> Vec<u8> {
    let text = match object.to_string() {
        // Fulfillment reads the checkout from the API, so its id is enough.
        long if ask.list == CHECKOUTS && long.len() > LONG => {
            let facts = ["status", "test_mode", list.id].map(|name| (name, object.get(name)));
            json!(BTreeMap::from(facts)).to_string()
        }
        text => text,
    };
    text.into_bytes()
}

/// The marks that show the shop of a session.
fn marks(session: &Value) -> ShopMarks {
    let text = |name: &str| {
        let text = session.get(name)?.as_str()?.trim();
        (!text.is_empty()).then(|| text.to_owned())
    };
    let metadata = metadata(MetadataLimit::CHECKOUT, [session.get("metadata")]);
    ShopMarks {
        origin: text("origin"),
        metadata: metadata.entries,
        reference: text("client_reference_id"),
        fulfilled_elsewhere: text("origin").as_deref() == Some(translate::SHOPIFY),
    }
}

/// The received money that a session states. Only newer sessions state it.
fn received(session: &Value) -> Result<Option<Received>, NotUnderstood> {
    let received: Field<i64> = member(session, "amount_received");
    let total: Field<i64> = member(session, "amount_total");
    let Some(amount) = stated(&received, "amount_received")? else {
        return Ok(None);
    };
    let total = stated(&total, "amount_total")?;
    Ok(Some(Received {
        amount,
        is_all: total.map_or(amount > 0, |total| amount >= total),
    }))
}

/// The end of a cancelled subscription, if its time can be determined. One that is cancelled at the end of its period
/// ends then, whatever the time of the request. Any other ends at its cancellation. If no time is stated, it ended with
/// its last period at the latest.
///
/// The reference names `cancel_at` alone (<https://docs.withflex.com/api-reference/subscriptions/list-subscriptions>).
/// The code reads all of these members, if they are there.
fn end(subscription: &Value, now: Timestamp) -> Result<Option<Timestamp>, NotUnderstood> {
    let at = |name| stated(&member(subscription, name), name);
    let place = "cancel_at_period_end";
    let with_period = stated(&member(subscription, place), place)? == Some(true);
    let period_end = at("current_period_end")?;
    let planned = at("cancel_at")?.or_else(|| period_end.filter(|_| with_period));
    let facts = at("ended_at")?.or(planned).or(at("canceled_at")?);
    // Flex did not wait for a future time, and no subscription ends after its last period.
    let is_past = |at: &Timestamp| *at <= now;
    Ok(facts.filter(is_past).or_else(|| period_end.filter(is_past)))
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

/// True if all things from this page on are older than the period of reconcile.
pub(crate) fn is_past(ask: &Ask<'_>, page: &[Value]) -> bool {
    !List::is_ageless(ask.list) && list::is_past(ask.since, page.iter().map(created_at).collect())
}

#[cfg(test)]
pub(crate) mod tests;
