//! Members of a resource: the ids, words and texts in them.

use crate::{
    field::{Field, Kind, NotUnderstood, first},
    text,
    value::{Code, Readable},
};
use serde_json::{Map, Value};

/// A member of an object.
#[must_use]
pub fn member<T: Readable>(object: &Map<String, Value>, name: &str) -> Field<T> {
    Field::of(object.get(name).cloned().unwrap_or_default())
}

/// A text without surrounding space; a blank one is absent.
pub fn filled<'a>(
    field: &'a Field<String>,
    place: &'static str,
) -> Result<Option<&'a str>, NotUnderstood> {
    let text = field.optional(place)?.map(|text| trimmed(text));
    Ok(text.filter(|text| !text.is_empty()))
}

/// A word without surrounding space and invisible characters.
#[must_use]
pub fn trimmed(text: &str) -> &str {
    text.trim_matches(|c: char| c.is_whitespace() || text::is_invisible(c))
}

/// A text that nothing depends on.
#[must_use]
pub fn known_text(field: &Field<String>) -> Option<&str> {
    filled(field, "").ok().flatten()
}

/// An e-mail address as mail systems spell it, if it is understood.
#[must_use]
pub fn known_address(field: &Field<String>) -> Option<String> {
    text::address(field.known()?).map(|address| clipped(&address))
}

/// A text that must be there.
pub fn needed_text<'a>(
    field: &'a Field<String>,
    place: &'static str,
) -> Result<&'a str, NotUnderstood> {
    filled(field, place)?.ok_or(NotUnderstood::Missing(place))
}

/// The longest text that is kept, in characters, because rows and log lines are limited.
const MAX_TEXT: usize = 500;

/// The start of a text, as long as a row keeps it.
#[must_use]
pub fn clipped(text: &str) -> String {
    text.chars().take(MAX_TEXT).collect()
}

/// The longest word that is kept, in characters. The longest known one, a dispute's reason, has 25.
const MAX_WORD: usize = 64;

/// A word of an open set, such as a status: kept, but limited in length.
#[must_use]
pub fn word(text: &str) -> String {
    text.chars().take(MAX_WORD).collect()
}

/// The id that members name which state the same: the first that is understood.
pub fn named<T, E>(
    members: impl IntoIterator<Item = Field<String>>,
    new: impl Fn(String) -> Result<T, E>,
    place: &'static str,
) -> Result<Option<T>, NotUnderstood> {
    let id = |text| new(text).map_or(Field::NotUnderstood(Kind::Text), Field::Understood);
    let ids = members.into_iter().map(|member| member.then(id));
    first(ids, place)
}

/// An id that must be there.
pub fn own_id<T, E>(
    member: Field<String>,
    new: impl Fn(String) -> Result<T, E>,
    place: &'static str,
) -> Result<T, NotUnderstood> {
    named([member], new, place)?.ok_or(NotUnderstood::Missing(place))
}

/// A code that is not blank.
pub fn code(field: &Field<Code>, place: &'static str) -> Result<Option<String>, NotUnderstood> {
    let code = field.optional(place)?.map(|code| code.0.clone());
    Ok(code.filter(|code| !code.is_empty()))
}

/// A known word of a list, with its place.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Known<S> {
    pub known: S,
    /// The word as stated, limited in length.
    pub word: String,
    /// The word's place in the list, from 1; 0 for an unknown word.
    pub rank: u8,
}

/// Looks a word up in a list in the order of a thing's life.
pub fn known_word<S: Copy>(list: &[(&str, S)], text: &str, unknown: S) -> Known<S> {
    let known = (1..).zip(list).find(|(_, (known, _))| *known == text);
    let (rank, known) = known.map_or((0, unknown), |(rank, (_, status))| (rank, *status));
    Known {
        known,
        word: word(text),
        rank,
    }
}
