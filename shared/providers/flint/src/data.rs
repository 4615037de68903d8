//! The members of an event, read alone.

use domain::values::ids::BadId;
use jiff::Timestamp;
use reading::{Field, Identified, Kind, NotUnderstood, Readable, member, named};
use serde_json::{Map, Value};

/// A member of a member.
pub(crate) fn inner<T: Readable>(object: &Map<String, Value>, outer: &str, name: &str) -> Field<T> {
    member::<Map<String, Value>>(object, outer).then(|inner| member(&inner, name))
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
macro_rules! thing {
    ($thing:literal) => {
        $crate::data::Named {
            thing: $thing,
            id: concat!($thing, "_id"),
            place: concat!("data.", $thing, "_id"),
        }
    };
}
pub(crate) use thing;

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
        named([flat, nested], new, self.place)?.ok_or(NotUnderstood::Missing(self.place))
    }
}
