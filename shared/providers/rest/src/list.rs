//! Lists that are read page by page.

use domain::values::ids::EventId;
use jiff::{SignedDuration, Timestamp};
use reading::{Field, Identified, Readable, named};
use serde_json::Value;

/// A member of a listed thing; absent if the thing is no object.
#[must_use]
pub fn member<T: Readable>(thing: &Value, name: &str) -> Field<T> {
    Field::of(thing.get(name).cloned().unwrap_or_default())
}

/// The time of a listed thing's creation, if it states one.
#[must_use]
pub fn created_at(thing: &Value) -> Option<Timestamp> {
    member(thing, "created_at").known().copied()
}

/// The id of a listed thing, if it is understood. `name` is the member that holds it.
#[must_use]
pub fn id_of(thing: &Value, name: &'static str) -> Option<String> {
    let id: Field<String> = member(thing, name);
    let id = named([id.id()], EventId::new, name);
    id.ok().flatten().map(String::from)
}

/// True if all things after a page are older than `since`, by the times of the page's things; `None` if one states none.
///
/// No reference states the order of the lists. The test therefore holds only if the page itself goes from newer to
/// older.
#[must_use]
pub fn is_past(since: Timestamp, times: Option<Vec<Timestamp>>) -> bool {
    // An hour allows for different clocks.
    let hour = SignedDuration::from_hours(1);
    let since = since.saturating_sub(hour).unwrap_or(since);
    times.is_some_and(|times| {
        times.is_sorted_by(|one, next| one >= next)
            && times.first() > times.last()
            && times.first().is_some_and(|newest| *newest < since)
    })
}
