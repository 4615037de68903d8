//! The members of an event, read alone.

use domain::values::ids::BadId;
use jiff::Timestamp;
use reading::{Field, Identified, Kind, NotUnderstood, Readable};
use serde_json::{Map, Value};

/// A member of an object.
pub(crate) fn member<T: Readable>(object: &Map<String, Value>, name: &str) -> Field<T> {
    Field::of(object.get(name).cloned().unwrap_or_default())
}

/// A member of a member.
pub(crate) fn inner<T: Readable>(object: &Map<String, Value>, outer: &str, name: &str) -> Field<T> {
    member::<Map<String, Value>>(object, outer).then(|inner| member(&inner, name))
}

/// The id that a field holds, which must be there.
pub(crate) fn own_id<I>(
    id: &Field<String>,
    new: impl Fn(String) -> Result<I, BadId>,
    place: &'static str,
) -> Result<I, NotUnderstood> {
    let id = id.id();
    new(id.required(place)?.clone()).map_err(|_| NotUnderstood::Malformed(place, Kind::Text))
}

/// A time, if it is stated and understood.
pub(crate) fn time(object: &Map<String, Value>, name: &str) -> Option<Timestamp> {
    member(object, name).known().copied()
}

/// The names of an event's thing.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Named {
    /// The member that would hold the thing.
    pub(crate) thing: &'static str,
    /// The member that holds its id.
    pub(crate) id: &'static str,
    /// The place of the id in an event.
    pub(crate) place: &'static str,
}

/// The names of a thing, by its first word.
macro_rules! named {
    ($thing:literal) => {
        $crate::data::Named {
            thing: $thing,
            id: concat!($thing, "_id"),
            place: concat!("data.", $thing, "_id"),
        }
    };
}
pub(crate) use named;

impl Named {
    /// The id of the thing in an event's data.
    ///
    /// The export has it in `data` itself. The vendor's sample reads it from an object in `data`. Both are accepted, unless
    /// they name two things (<https://github.com/flint-pay/examples>).
    pub(crate) fn id_in<I: PartialEq>(
        self,
        data: &Map<String, Value>,
        new: impl Fn(String) -> Result<I, BadId>,
    ) -> Result<I, NotUnderstood> {
        let flat: Field<String> = member(data, self.id);
        let nested: Field<String> = inner(data, self.thing, self.id);
        let (flat, nested) = (flat.id(), nested.id());
        if let (Field::Understood(flat), Field::Understood(nested)) = (&flat, &nested)
            && flat != nested
        {
            return Err(NotUnderstood::Malformed(self.place, Kind::Text));
        }
        let first = reading::first([flat, nested], self.place)?;
        let id = first.map_or(Field::Absent, Field::Understood);
        own_id(&id, new, self.place)
    }
}
