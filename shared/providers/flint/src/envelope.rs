//! The body of a delivery.
//!
//! Unknown members and event types are not errors. Flint's list of types grows, and an endpoint that names none of them
//! gets all.

use crate::{changes, data::time};
use domain::{
    delivery::event::{Change, Event, Reading, Unreadable},
    values::{ids::EventId, mode::Mode, scope::Scope},
};
use reading::{Field, Identified, Kind, NotUnderstood, document, member, own_id};
use rest::unreadable;
use serde_json::{Map, Value};

/// The layout of `data` that is known. A later one may give a member another meaning.
const PAYLOAD_VERSION: i64 = 1;

/// The source of an event about a merchant that installed a partner's app.
const INSTALLED: &str = "installed_merchants";

/// Reads the body of a verified delivery.
///
/// It needs no limits: intake caps the size, and [`document`] stops at 128 levels of nesting.
#[must_use]
pub fn read(body: &[u8]) -> Reading {
    match event(body) {
        Ok(event) => Reading::Event(Box::new(event)),
        Err(why) => Reading::Unreadable(why),
    }
}

fn event(body: &[u8]) -> Result<Event, Unreadable> {
    let Some(Value::Object(body)) = document(body) else {
        return Err(Unreadable::NotJson);
    };
    let name =
        |name| own_id(member::<String>(&body, name).id(), EventId::new, name).map_err(unreadable);
    let event_id = name("webhook_event_id")?;
    // A type has the form of an id: printable ASCII, and not too long for a row.
    let event_type = name("event_type")?;
    let event_type = changes::current_name(event_type.as_str());
    let data = member::<Map<String, Value>>(&body, "data");
    let bare = Map::new();
    let thing = data.known().unwrap_or(&bare);
    let is_for_partner = is_for_partner(&body, thing);
    let scope = scope(if is_for_partner { thing } else { &body }, &body);
    let occurred_at = time(&body, "created_at");
    let merchant_id = scope
        .as_ref()
        .ok()
        .and_then(|scope| scope.merchant_id.as_deref());
    let change = match changes::of(event_type, thing, merchant_id) {
        // Nothing needs the members of an event without effect.
        Ok(change @ (Change::NotNeeded | Change::Unhandled)) => change,
        read => understood(&body, &data, &scope)
            .and(read)
            .unwrap_or_else(|why| Change::NotUnderstood(unreadable(why))),
    };
    Ok(Event {
        event_id,
        event_type: event_type.to_owned(),
        occurred_at,
        stamp: changes::stamp(event_type, thing, occurred_at),
        change,
        scope: Scope {
            is_for_partner,
            ..scope.unwrap_or_default()
        },
    })
}

/// Checks the members that an event with an effect needs beside its thing.
fn understood(
    body: &Map<String, Value>,
    data: &Field<Map<String, Value>>,
    scope: &Result<Scope, NotUnderstood>,
) -> Result<(), NotUnderstood> {
    scope.as_ref().map_err(|why| *why)?;
    let version: Field<i64> = member(body, "payload_version");
    match version.optional("payload_version")? {
        Some(version) if *version != PAYLOAD_VERSION => {
            Err(NotUnderstood::Malformed("payload_version", Kind::Number))
        }
        _ => data.required("data").map(|_| ()),
    }
}

/// True if the event was sent to a partner's app. Such an event states its account in `data`.
fn is_for_partner(body: &Map<String, Value>, data: &Map<String, Value>) -> bool {
    let source: Field<String> = member(data, "source_type");
    body.get("partner_app_id").is_some_and(|id| !id.is_null())
        || source.known().is_some_and(|source| source == INSTALLED)
}

/// The account of an event, in the object that states it.
fn scope(account: &Map<String, Value>, body: &Map<String, Value>) -> Result<Scope, NotUnderstood> {
    let trial: Field<bool> = member(body, "test");
    let merchant_id: Field<String> = member::<String>(account, "merchant_id").id();
    Ok(Scope {
        mode: mode(&member(account, "mode"))?,
        merchant_id: merchant_id.optional("merchant_id")?.cloned(),
        is_trial: trial.optional("test")?.copied().unwrap_or_default(),
        is_for_partner: false,
    })
}

fn mode(word: &Field<String>) -> Result<Option<Mode>, NotUnderstood> {
    let Some(word) = word.optional("mode")? else {
        return Ok(None);
    };
    let mode = reading::text::code(word).parse();
    mode.map(Some)
        .map_err(|_| NotUnderstood::Malformed("mode", Kind::Text))
}

#[cfg(test)]
mod tests;
