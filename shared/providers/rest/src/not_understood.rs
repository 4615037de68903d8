//! The reasons why an answer is not understood.

use domain::{delivery::event::Unreadable, values::outcome::ReadError};

/// The reason why an answer is not understood. Names the member and never a value, which
/// may be personal.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum NotUnderstood {
    /// The answer is not JSON, or lacks the resource.
    #[error("the answer has no `{0}`")]
    Resource(&'static str),
    /// A required member is missing, or one that has an effect is not understood.
    #[error(transparent)]
    Member(reading::NotUnderstood),
    /// The answer is about another resource than requested.
    #[error("the answer is about another {0}")]
    Other(&'static str),
    /// The list names one thing twice.
    #[error("the answer has one of `{0}` twice")]
    Twice(&'static str),
    /// The answer exceeds the limit.
    #[error("the answer is longer than {0} bytes")]
    TooLong(usize),
    /// The list has more pages than anything real.
    #[error("the list of {0} does not end")]
    Endless(&'static str),
}

impl From<NotUnderstood> for ReadError {
    fn from(why: NotUnderstood) -> Self {
        Self::NotUnderstood(why.to_string())
    }
}

/// An event has its resource under `object` or `data`; an answer of the API has not.
impl From<reading::NotUnderstood> for NotUnderstood {
    fn from(why: reading::NotUnderstood) -> Self {
        Self::Member(in_answer(why))
    }
}

/// The reason with the place that the member has in an answer.
#[must_use]
pub fn in_answer(why: reading::NotUnderstood) -> reading::NotUnderstood {
    use reading::NotUnderstood::{Malformed, Missing};
    let short = |place: &'static str| {
        let prefixes = ["object.", "data."].into_iter();
        let mut rest = prefixes.filter_map(|prefix| place.strip_prefix(prefix));
        rest.next().unwrap_or(place)
    };
    match why {
        Missing(place) => Missing(short(place)),
        Malformed(place, kind) => Malformed(short(place), kind),
    }
}

/// The reason in the core's words.
#[must_use]
pub fn unreadable(why: reading::NotUnderstood) -> Unreadable {
    match why {
        reading::NotUnderstood::Missing(place) => Unreadable::Missing(place),
        reading::NotUnderstood::Malformed(place, kind) => {
            Unreadable::Malformed(place, kind.as_str())
        }
    }
}
