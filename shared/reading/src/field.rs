//! A member with three values, because "absent" and "not understood" have different effects.

use crate::value::Readable;
use serde::{Deserialize, Deserializer};
use serde_json::Value;
use std::fmt;

/// A member of a resource.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum Field<T> {
    /// Missing, or null.
    #[default]
    Absent,
    Understood(T),
    /// A value of another kind, or one that no rule can read without guessing.
    NotUnderstood(Kind),
}

/// The kind of a value. Never the value itself, which may be personal.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    Null,
    Flag,
    Number,
    Text,
    List,
    Object,
}

/// The reason why a member cannot be used.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum NotUnderstood {
    #[error("`{0}` is missing")]
    Missing(&'static str),
    #[error("`{0}` is {1} that is not understood")]
    Malformed(&'static str, Kind),
}

impl NotUnderstood {
    /// The place of the member, such as `object.refund.amount`.
    #[must_use]
    pub fn place(self) -> &'static str {
        match self {
            Self::Missing(place) | Self::Malformed(place, _) => place,
        }
    }
}

impl<T> Field<T> {
    /// The value if understood. For a field that nothing needs.
    #[must_use]
    pub fn known(&self) -> Option<&T> {
        match self {
            Self::Understood(value) => Some(value),
            Self::Absent | Self::NotUnderstood(_) => None,
        }
    }

    /// The value, or `None` if absent. An error if it is there and not understood.
    pub fn optional(&self, place: &'static str) -> Result<Option<&T>, NotUnderstood> {
        match self {
            Self::Absent => Ok(None),
            Self::Understood(value) => Ok(Some(value)),
            Self::NotUnderstood(kind) => Err(NotUnderstood::Malformed(place, *kind)),
        }
    }

    /// The value, which must be there.
    pub fn required(&self, place: &'static str) -> Result<&T, NotUnderstood> {
        self.optional(place)?.ok_or(NotUnderstood::Missing(place))
    }

    /// The same field of a borrowed value.
    #[must_use]
    pub fn as_ref(&self) -> Field<&T> {
        match self {
            Self::Absent => Field::Absent,
            Self::Understood(value) => Field::Understood(value),
            Self::NotUnderstood(kind) => Field::NotUnderstood(*kind),
        }
    }

    /// The field of a value that this one contains, such as a member of an object.
    pub fn then<U>(self, part: impl FnOnce(T) -> Field<U>) -> Field<U> {
        match self {
            Self::Absent => Field::Absent,
            Self::Understood(value) => part(value),
            Self::NotUnderstood(kind) => Field::NotUnderstood(kind),
        }
    }
}

impl<T: Readable> Field<T> {
    /// Reads a value.
    #[must_use]
    pub fn of(value: Value) -> Self {
        let kind = Kind::of(&value);
        match (kind, T::read(value)) {
            (Kind::Null, _) => Self::Absent,
            (_, Some(value)) => Self::Understood(value),
            (kind, None) => Self::NotUnderstood(kind),
        }
    }
}

impl<'de, T: Readable> Deserialize<'de> for Field<T> {
    fn deserialize<D: Deserializer<'de>>(input: D) -> Result<Self, D::Error> {
        Value::deserialize(input).map(Self::of)
    }
}

/// A value that is copied, if stated.
pub fn stated<T: Copy>(field: &Field<T>, place: &'static str) -> Result<Option<T>, NotUnderstood> {
    field.optional(place).map(Option::<&T>::copied)
}

/// All elements of a list. Nulls are absent; one element that is not understood fails it.
pub fn each<'a, T>(
    list: &'a Field<Vec<Field<T>>>,
    place: &'static str,
) -> Result<Vec<&'a T>, NotUnderstood> {
    let elements = list.optional(place)?.into_iter().flatten();
    elements
        .filter_map(|element| element.optional(place).transpose())
        .collect()
}

/// The first understood one of members that state the same. A member that is not understood counts
/// only if no other is understood.
pub fn first<T>(
    members: impl IntoIterator<Item = Field<T>>,
    place: &'static str,
) -> Result<Option<T>, NotUnderstood> {
    let mut why = Ok(None);
    for member in members {
        match member {
            Field::Understood(value) => return Ok(Some(value)),
            Field::NotUnderstood(kind) if why.is_ok() => {
                why = Err(NotUnderstood::Malformed(place, kind));
            }
            Field::NotUnderstood(_) | Field::Absent => {}
        }
    }
    why
}

impl Kind {
    /// The kind of a value.
    #[must_use]
    pub fn of(value: &Value) -> Self {
        match value {
            Value::Null => Self::Null,
            Value::Bool(_) => Self::Flag,
            Value::Number(_) => Self::Number,
            Value::String(_) => Self::Text,
            Value::Array(_) => Self::List,
            Value::Object(_) => Self::Object,
        }
    }

    /// With its article, for messages.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Null => "a null",
            Self::Flag => "a flag",
            Self::Number => "a number",
            Self::Text => "a text",
            Self::List => "a list",
            Self::Object => "an object",
        }
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn absent_understood_and_not_understood_are_three_values() {
        let of = Field::<i64>::of;
        assert_eq!(of(json!(null)), Field::Absent);
        assert_eq!(of(json!(5)), Field::Understood(5));
        for (value, kind) in [
            (json!(true), Kind::Flag),
            (json!(0.5), Kind::Number),
            (json!("5"), Kind::Text),
            (json!([5]), Kind::List),
            (json!({}), Kind::Object),
        ] {
            let field = of(value);
            assert_eq!((field.known(), &field), (None, &Field::NotUnderstood(kind)));
            let why = NotUnderstood::Malformed("a.b", kind);
            assert_eq!(
                (field.optional("a.b"), field.required("a.b")),
                (Err(why), Err(why))
            );
        }
        assert_eq!(of(json!(null)).optional("a"), Ok(None));
        let missing = NotUnderstood::Missing("a");
        assert_eq!(of(json!(null)).required("a"), Err(missing));
    }

    #[test]
    fn the_reason_names_the_place_and_the_kind_and_no_value() {
        let field = Field::<i64>::of(json!("pat@example.com"));
        let why = field.required("object.refund.amount");
        assert_eq!(
            why.unwrap_err().to_string(),
            "`object.refund.amount` is a text that is not understood"
        );
    }

    #[test]
    fn of_members_that_state_the_same_one_that_is_understood_is_enough() {
        let of = |values: Vec<Value>| first(values.into_iter().map(Field::<i64>::of), "a");
        assert_eq!(
            of(vec![json!("x"), json!(null), json!(7), json!(8)]),
            Ok(Some(7))
        );
        assert_eq!(of(vec![json!(null)]), Ok(None));
        let why = NotUnderstood::Malformed("a", Kind::Text);
        assert_eq!(of(vec![json!(null), json!("x"), json!([])]), Err(why));
    }

    #[test]
    fn a_list_is_read_element_by_element() {
        let list = Field::<Vec<Field<i64>>>::of(json!([1, null, 2]));
        assert_eq!(each(&list, "a[]"), Ok(vec![&1, &2]));
        let list = Field::<Vec<Field<i64>>>::of(json!([1, "x"]));
        assert_eq!(list.known().map(Vec::len), Some(2));
        let why = NotUnderstood::Malformed("a[]", Kind::Text);
        assert_eq!(each(&list, "a[]"), Err(why));
    }
}
