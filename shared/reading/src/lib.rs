//! The tolerant reader of what payment providers send, in webhooks and in answers of their APIs.
//!
//! It accepts whatever is legal or can be read without guessing, and knows no provider and no rule.
//!
//! - [`document()`] makes JSON of bytes: a byte order mark, half a surrogate pair and a number beyond
//!   all ranges do not fail it.
//! - [`Field`] is a member of a resource: absent, understood or not understood. A field that nothing
//!   needs is asked with [`Field::known`], any other with [`Field::optional`] or
//!   [`Field::required`], which name the member's place. Null is absent.
//! - The types of fields: `String` for words and free text, [`Code`] for SKUs and references,
//!   `i64` for whole numbers, `bool`, `Timestamp`, `Map<String, Value>`, `Vec<Field<T>>` for lists
//!   that are read element by element ([`each`]), [`Reference`] for an id or its expanded object,
//!   and every structure of [`structures!`].
//! - [`member()`] reads one member; [`named`], [`own_id`], [`needed_text`] and [`known_word`] read an id, a text or a word
//!   in it.
//! - [`text`] cleans texts by their use: [`text::code`] for ids and SKUs, [`text::name`] for names
//!   of people and products, [`text::address`] for e-mail addresses.

mod document;
mod field;
mod member;
mod reference;
pub mod text;
mod value;

pub use document::{document, same};
pub use field::{Field, Kind, NotUnderstood, each, first, stated};
pub use member::{
    Known, clipped, code, filled, known_address, known_text, known_word, member, named,
    needed_text, own_id, trimmed, word,
};
pub use reference::{Identified, Reference};
pub use value::{Code, Readable, object, timestamp, whole};
