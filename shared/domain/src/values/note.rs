//! The operators' actions on a row, as the row keeps them.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use std::fmt;

/// The number of actions that a row keeps: the latest ones.
pub const MOST_NOTES: usize = 20;

/// An action on a row.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Action {
    /// A parked event is decided again.
    Released,
    /// An event in any state is decided again.
    Replayed,
    Dropped,
    /// A mail goes out again.
    Resent,
    /// A mail that waits is ended without sending.
    Closed,
    /// The body of an event is erased.
    Erased,
    /// The body of an event was read: it holds personal data.
    BodyRead,
    /// An order has another address.
    AddressCorrected,
}

impl Action {
    /// True if the event is decided again, so that it may do what only a person allows.
    #[must_use]
    pub fn decides_again(self) -> bool {
        match self {
            Self::Released | Self::Replayed => true,
            Self::Dropped
            | Self::Resent
            | Self::Closed
            | Self::Erased
            | Self::BodyRead
            | Self::AddressCorrected => false,
        }
    }

    /// The action on a thing, in words.
    #[must_use]
    pub fn on(self, thing: &str) -> String {
        match self {
            Self::Released => format!("released {thing}"),
            Self::Replayed => format!("replayed {thing}"),
            Self::Dropped => format!("dropped {thing}"),
            Self::Resent => format!("had {thing} sent again"),
            Self::Closed => format!("closed {thing}"),
            Self::Erased => format!("erased {thing}"),
            Self::BodyRead => format!("read the body of {thing}"),
            Self::AddressCorrected => format!("corrected the address of {thing}"),
        }
    }
}

/// One action on a row.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Noted {
    #[serde(with = "jiff::fmt::serde::timestamp::second::required")]
    pub at: Timestamp,
    /// The operator.
    pub by: String,
    pub did: Action,
    /// The reason, without personal data.
    pub why: String,
}

impl fmt::Display for Noted {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { at, by, did, why } = self;
        write!(f, "{at:.0} {by} {}: {why}", did.on("it"))
    }
}

/// The latest actions on a row, oldest first. Entries are only added.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Notes(Vec<Noted>);

impl Notes {
    /// The notes with another one. The oldest goes if there are too many.
    #[must_use]
    pub fn with(&self, note: Noted) -> Self {
        let surplus = (self.0.len() + 1).saturating_sub(MOST_NOTES);
        let kept = self.0.iter().skip(surplus).cloned();
        Self(kept.chain([note]).collect())
    }

    /// The notes, oldest first.
    pub fn iter(&self) -> impl Iterator<Item = &Noted> {
        self.0.iter()
    }

    /// The last one.
    #[must_use]
    pub fn last(&self) -> Option<&Noted> {
        self.0.last()
    }

    /// True without any note.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_row_keeps_its_latest_notes_in_their_order() {
        let note = |second| Noted {
            at: Timestamp::from_second(second).unwrap(),
            by: "ana".to_owned(),
            did: Action::Released,
            why: "the order has come".to_owned(),
        };
        let most = i64::try_from(MOST_NOTES).unwrap();
        let notes = (0..most + 3).fold(Notes::default(), |notes, n| notes.with(note(n)));
        let times: Vec<i64> = notes.iter().map(|note| note.at.as_second()).collect();
        assert_eq!(times, (3..most + 3).collect::<Vec<_>>());
        assert_eq!(
            notes.last().unwrap().to_string(),
            "1970-01-01T00:00:22Z ana released it: the order has come"
        );
    }
}
