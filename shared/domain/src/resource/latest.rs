//! The latest stated value of one field.

use crate::values::facts::{Fact, Stamp, merge_by};
use serde::{Deserialize, Serialize};

/// A field of a row whose facts may each state it or omit it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Latest<T>(Option<Fact<T>>);

impl<T> Default for Latest<T> {
    fn default() -> Self {
        Self(None)
    }
}

impl<T> Latest<T> {
    /// The value; `None` if no fact has stated it.
    #[must_use]
    pub fn get(&self) -> Option<&T> {
        self.0.as_ref().map(|fact| &fact.value)
    }

    /// The stamp of the value.
    #[must_use]
    pub fn stamp(&self) -> Option<Stamp> {
        self.0.as_ref().map(|fact| fact.stamp)
    }

    /// True if no fact has stated the value.
    #[must_use]
    pub fn is_unknown(&self) -> bool {
        self.0.is_none()
    }
}

impl<T: Ord + Clone> Latest<T> {
    /// Merges a value, if the fact with this stamp states one. The greater stamp stays.
    pub(super) fn learn(&mut self, stamp: Stamp, value: Option<&T>) {
        self.learn_by(stamp, value, |_| ());
    }

    /// Merges a value, if stated. The one with more weight stays, else the one with the greater stamp.
    pub(super) fn learn_by<W: Ord>(
        &mut self,
        stamp: Stamp,
        value: Option<&T>,
        weight: impl Fn(&T) -> W,
    ) {
        let value = value.cloned();
        merge_by(
            &mut self.0,
            value.map(|value| Fact { stamp, value }),
            weight,
        );
    }
}
