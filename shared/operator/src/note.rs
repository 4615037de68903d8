//! The note that an action leaves on a row: time, operator and reason.

use domain::values::note::{Action, Noted};
use jiff::Timestamp;

/// The longest operator name and the longest reason, in characters.
pub const LONGEST: usize = 300;

/// The operator of an action, and the reason.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Note {
    by: String,
    why: String,
    at: Timestamp,
}

/// An operator or a reason that is empty, too long, or not one line.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("a note needs an operator and a reason, each one line of 1 to {LONGEST} characters")]
pub struct BadNote;

impl Note {
    /// Takes the operator and the reason. Rows keep them and they are printed: they must name no
    /// customer.
    pub fn new(by: &str, why: &str, now: Timestamp) -> Result<Self, BadNote> {
        let one_line = |text: &str| {
            let text = text.trim();
            let fits = (1..=LONGEST).contains(&text.chars().count())
                && !text.chars().any(char::is_control);
            fits.then(|| text.to_owned()).ok_or(BadNote)
        };
        Ok(Self {
            by: one_line(by)?,
            why: one_line(why)?,
            at: now,
        })
    }

    /// The note as rows keep it.
    #[must_use]
    pub fn did(&self, did: Action) -> Noted {
        let Self { by, why, at } = self.clone();
        Noted { at, by, did, why }
    }

    /// The operator.
    #[must_use]
    pub fn by(&self) -> &str {
        &self.by
    }

    /// The reason.
    #[must_use]
    pub fn why(&self) -> &str {
        &self.why
    }

    /// The time of the action.
    pub(crate) fn at(&self) -> Timestamp {
        self.at
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_note_is_one_line_that_says_when_who_and_why() {
        let now: Timestamp = "2026-03-03T09:30:00.25Z".parse().unwrap();
        let note = Note::new(" ops ", "the order has come", now).unwrap();
        assert_eq!(
            note.did(Action::Released).to_string(),
            "2026-03-03T09:30:00Z ops released it: the order has come"
        );
        for (by, why) in [
            ("", "because"),
            ("ops", "  "),
            ("ops", "two\nlines"),
            ("ops", &"x".repeat(301)),
        ] {
            assert_eq!(Note::new(by, why, now), Err(BadNote), "{by:?} {why:?}");
        }
    }
}
