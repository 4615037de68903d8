//! The things of Flint's lists, stated in the way of its webhooks.
//!
//! Flint lists events that no delivery brought (`delivery_status=failed`). Such an event is recovered under its own id,
//! as its delivery would have stated it. The list may expire, and shows no event that the endpoint did not ask for. So
//! orders and subscriptions are listed as well.

use crate::{
    api::{Api, mode_of},
    changes,
    translate::{sale, subscription},
    wire,
};
use domain::{
    access::subscription::Source,
    delivery::{
        event::{Change, Reading, Unreadable},
        secrets::ApiKey,
    },
    sale::{details::MetadataLimit, shop::ShopMarks},
    upkeep::reconcile::{Ask, Found, Listed, Page, Received},
    values::{ids::EventId, mode::Mode, outcome::ReadError},
};
use futures_util::future::try_join_all;
use jiff::Timestamp;
use reading::{Kind, NotUnderstood, Readable, known_text, member};
use rest::{
    list::{created_at, id_of, is_past},
    unreadable,
};
use serde_json::{Map, Value, json};

const EVENTS: &str = "failed deliveries";
const ORDERS: &str = "orders";
const SUBSCRIPTIONS: &str = "subscriptions";

/// The lists to read, in this order.
pub(crate) const LISTS: [&str; 3] = [EVENTS, ORDERS, SUBSCRIPTIONS];

/// How many events are read at once.
const AT_ONCE: usize = 10;

/// The names in the request for a page and in its answer.
struct List {
    path: &'static str,
    /// Flint's name for one thing.
    resource: &'static str,
    /// The member with the id of one thing.
    id: &'static str,
}

impl List {
    fn of(list: &str) -> Self {
        let (path, resource, id) = match list {
            EVENTS => ("webhook-events", "webhook_event", "webhook_event_id"),
            ORDERS => ("orders", "order", "order_id"),
            _ => ("subscriptions", "subscription", "subscription_id"),
        };
        Self { path, resource, id }
    }
}

impl Api {
    /// Reads a page of a list.
    pub async fn list(&self, key: &ApiKey, ask: &Ask<'_>) -> Result<Page, ReadError> {
        let mode = mode_of(key)?;
        let list = List::of(ask.list);
        let mut url = self.client.url(&[list.path]);
        if ask.list == EVENTS {
            url.query_pairs_mut()
                .append_pair("delivery_status", "failed")
                .append_pair("created_after", &ask.since.to_string());
        }
        let (page, next) = self.page(key, &url, ask.after, ask.list).await?;
        // A page that names itself as the next one is the last.
        let next = next.filter(|next| Some(next.as_str()) != ask.after);
        let times = page.iter().map(created_at).collect();
        let is_past = ask.list == ORDERS && is_past(ask.since, times);
        let things = if ask.list == EVENTS {
            self.events(key, &page).await?
        } else {
            page.clone()
        };
        let listed = things.iter().filter_map(|thing| listed(ask, thing, mode));
        Ok(Page {
            listed: listed.collect(),
            length: page.len(),
            next: next.filter(|_| !is_past),
        })
    }

    /// The events of a page in full: the list leaves their payload out.
    async fn events(&self, key: &ApiKey, page: &[Value]) -> Result<Vec<Value>, ReadError> {
        let mut all = Vec::new();
        for some in page.chunks(AT_ONCE) {
            all.extend(try_join_all(some.iter().map(|listed| self.event(key, listed))).await?);
        }
        Ok(all)
    }

    /// An event in full. What needs no action, is not understood, or has expired, stays as listed.
    async fn event(&self, key: &ApiKey, listed: &Value) -> Result<Value, ReadError> {
        let event_type = listed.get("event_type").and_then(Value::as_str);
        let is_needed = event_type.is_some_and(changes::is_needed);
        let Some(id) = id_of(listed, List::of(EVENTS).id).filter(|_| is_needed) else {
            return Ok(listed.clone());
        };
        let url = self.client.url(&["webhook-events", &id]);
        match self
            .read::<Map<String, Value>>(key, url, "webhook_event")
            .await
        {
            Err(ReadError::Permanent { .. } | ReadError::NotUnderstood(_)) => Ok(listed.clone()),
            read => read.map(Value::Object),
        }
    }
}

/// One thing of a list. `None` if it is too old, or if nothing follows from it.
fn listed(ask: &Ask<'_>, thing: &Value, mode: Mode) -> Option<Listed> {
    let is_old = created_at(thing).is_some_and(|at| at < ask.since);
    if is_old && ask.list != SUBSCRIPTIONS {
        return None;
    }
    let found = match ask.list {
        EVENTS => event_found(ask, thing, mode),
        ORDERS => order_found(ask, thing, mode).map_err(unreadable),
        _ => subscription_found(ask, thing, mode).map_err(unreadable),
    };
    match found {
        Ok(found) => found.map(Box::new).map(Listed::Found),
        Err(why) => Some(Listed::Unreadable {
            id: id_of(thing, List::of(ask.list).id),
            object: thing.to_string().into_bytes(),
            why,
        }),
    }
}

/// A found thing, with what the things of all lists state.
fn found(
    ask: &Ask<'_>,
    thing: &Value,
    mode: Mode,
    event_type: &'static str,
    change: Change,
) -> Found {
    let list = List::of(ask.list);
    Found {
        resource: list.resource,
        id: id_of(thing, list.id).unwrap_or_default(),
        event_id: None,
        mode: Some(mode),
        created_at: created_at(thing),
        is_recent: created_at(thing).is_some_and(|at| at >= ask.since),
        since: None,
        stamp: None,
        received: None,
        marks: None,
        event_type,
        object: thing.to_string().into_bytes(),
        change,
    }
}

/// The resource of a list.
fn whole<T: Readable>(thing: &Value, place: &'static str) -> Result<T, NotUnderstood> {
    T::read(thing.clone()).ok_or(NotUnderstood::Malformed(place, Kind::of(thing)))
}

/// An order. Nothing follows from an unpaid one, unless its row waits and is older. An unknown word says nothing.
fn order_found(ask: &Ask<'_>, thing: &Value, mode: Mode) -> Result<Option<Found>, NotUnderstood> {
    let order: wire::Order = whole(thing, "order")?;
    let (event_type, received) = match sale::paid(&order)? {
        sale::Paid::InFull => ("order.paid", sale::received(&order)?),
        sale::Paid::InPart => ("order.partially_paid", sale::received(&order)?),
        sale::Paid::No => ("order.updated", None),
        sale::Paid::Other(_) => return Ok(None),
    };
    let created_at = *order.created_at.required("created_at")?;
    let change = Change::Sale {
        order_id: sale::id(&order)?,
        completed: event_type != "order.updated",
    };
    Ok(Some(Found {
        since: Some(created_at),
        stamp: sale::stamp(&order)?,
        received: received.map(|amount| Received {
            amount,
            is_all: event_type == "order.paid",
        }),
        marks: Some(marks(&order)),
        ..found(ask, thing, mode, event_type, change)
    }))
}

/// The marks that show the shop of an order.
fn marks(order: &wire::Order) -> ShopMarks {
    ShopMarks {
        origin: known_text(&order.origin).map(str::to_owned),
        metadata: sale::metadata(MetadataLimit::CHECKOUT, &order.metadata).entries,
        reference: order
            .external_reference_id
            .known()
            .map(|code| code.0.clone()),
        fulfilled_elsewhere: false,
    }
}

/// A subscription. `None` for one that ended before the period that reconcile looks at.
fn subscription_found(
    ask: &Ask<'_>,
    thing: &Value,
    mode: Mode,
) -> Result<Option<Found>, NotUnderstood> {
    let change = subscription::subscription(&whole(thing, "subscription")?, mode)?;
    let stamp = change.snapshot.at.map(|at| change.snapshot.stamp(at));
    let ended_at = change.snapshot.ended_at;
    let has_ended = change.snapshot.source == Source::Deleted;
    if has_ended && ended_at.is_some_and(|at| at < ask.since) {
        return Ok(None);
    }
    let event_type = if has_ended {
        "subscription.canceled"
    } else {
        "subscription.updated"
    };
    Ok(Some(Found {
        since: ended_at,
        stamp,
        ..found(ask, thing, mode, event_type, Change::Subscription(change))
    }))
}

/// An event that no delivery brought. `None` for one without effect.
///
/// If it is not understood with its payload, it is recovered nevertheless, and parked like its delivery.
fn event_found(ask: &Ask<'_>, thing: &Value, mode: Mode) -> Result<Option<Found>, Unreadable> {
    let malformed = Unreadable::Malformed("webhook_event", Kind::of(thing).as_str());
    let Some(members) = thing.as_object() else {
        return Err(malformed);
    };
    let (body, is_whole) = body_of(members);
    let body = Value::Object(body).to_string().into_bytes();
    let Reading::Event(event) = crate::read(&body) else {
        return Err(malformed);
    };
    let known = changes::event_types().find(|(name, _)| *name == event.event_type);
    let Some((event_type, _)) = known else {
        return Ok(None);
    };
    match event.change {
        Change::NotNeeded | Change::Unhandled => Ok(None),
        Change::NotUnderstood(why) if !is_whole => Err(why),
        change => Ok(Some(Found {
            event_id: Some(event.event_id),
            since: event.occurred_at,
            object: body,
            ..found(ask, thing, mode, event_type, change)
        })),
    }
}

/// The body that a delivery of the event would have had, and true if it has its payload. The payload can expire; then
/// the event still names its thing.
fn body_of(event: &Map<String, Value>) -> (Map<String, Value>, bool) {
    let payload = event.get("payload").and_then(Value::as_object);
    if let Some(envelope) = payload.filter(|payload| payload.contains_key("webhook_event_id")) {
        return (envelope.clone(), true);
    }
    let mut body = event.clone();
    let is_whole = payload.is_some() || body.contains_key("data");
    let text = |name| known_text(&member(event, name)).map(str::to_owned);
    let data = match (payload, text("resource_type"), text("resource_id")) {
        (Some(data), _, _) => Some(data.clone()),
        (None, Some(kind), Some(id)) => Some(Map::from_iter([(format!("{kind}_id"), json!(id))])),
        _ => None,
    };
    body.remove("payload");
    if let (false, Some(data)) = (body.contains_key("data"), data) {
        body.insert("data".to_owned(), Value::Object(data));
    }
    (body, is_whole)
}

/// The event that states a found thing, as Flint would have sent it, with this id and time. A listed event is that event
/// itself.
pub(crate) fn event(found: &Found, event_id: &EventId, at: Timestamp) -> Vec<u8> {
    if found.event_id.is_some() {
        return found.object.clone();
    }
    let id = format!("{}_id", found.resource);
    let mode = found.mode.map(|mode| mode.to_string());
    let body = json!({
        "webhook_event_id": event_id.as_str(), "event_type": found.event_type,
        "created_at": at.to_string(), "mode": mode, "data": {id: found.id},
    });
    body.to_string().into_bytes()
}

/// The stored body of a thing that is too large for a row: its id alone.
pub(crate) fn stub(list: &str, id: Option<&str>) -> Vec<u8> {
    let list = List::of(list);
    json!({"data": {list.id: id}}).to_string().into_bytes()
}

#[cfg(test)]
mod tests;
