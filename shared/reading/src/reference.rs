//! A related resource: its id or, if expanded, the resource.

use crate::{
    field::{Field, Kind},
    text,
    value::Readable,
};
use serde_json::Value;

/// A related resource.
#[derive(Debug, Clone, PartialEq)]
pub enum Reference<T> {
    Id(String),
    /// The expanded resource.
    Object(Box<T>),
}

impl<T> Reference<T> {
    /// The resource, if expanded.
    #[must_use]
    pub fn object(&self) -> Option<&T> {
        match self {
            Self::Id(_) => None,
            Self::Object(resource) => Some(resource),
        }
    }
}

impl<T: Readable> Readable for Reference<T> {
    fn read(value: Value) -> Option<Self> {
        match value {
            Value::String(id) => Some(Self::Id(id)),
            object => Some(Self::Object(Box::new(T::read(object)?))),
        }
    }
}

/// Something that names a resource: a text, a reference, or the resource itself.
pub trait Identified {
    /// The id without invisible characters; a blank one is absent.
    fn id(&self) -> Field<String>;
}

impl Identified for String {
    fn id(&self) -> Field<String> {
        match text::code(self) {
            id if id.is_empty() => Field::Absent,
            id => Field::Understood(id),
        }
    }
}

impl<T: Identified> Identified for Reference<T> {
    fn id(&self) -> Field<String> {
        match self {
            Self::Id(id) => id.id(),
            Self::Object(resource) => match resource.id() {
                // It is there, and does not say which one it is.
                Field::Absent => Field::NotUnderstood(Kind::Object),
                id => id,
            },
        }
    }
}

impl<T: Identified> Identified for Field<T> {
    fn id(&self) -> Field<String> {
        self.as_ref().then(Identified::id)
    }
}
