//! The merge of facts: late, twice and in any order, with one result.
//!
//! An event is turned into facts, and a stored row is the merge of all facts seen. Each merge is commutative,
//! associative and idempotent, so the order of arrival cannot matter. The fact with the greatest stamp wins ([`Fact`]),
//! or the earliest moment ([`earliest`]), or the latest one ([`latest`]).

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use std::ops::{Deref, DerefMut};

/// The value that orders two facts of one thing: by version, then by time, then by rank.
///
/// Only a provider's adapter makes it ([`Stated`]), because only the adapter knows what the provider counts. A provider
/// states versions for all facts of a kind or for none of them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Stamp {
    /// The version of the thing; 0 if the provider counts none. It comes first: no clock is as reliable.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub version: u64,
    /// The time of the fact, as precise as stated. For a value from the provider's API, the time of the read.
    pub at: Timestamp,
    /// Orders facts of one time, such as the statuses of a thing that pass within a second.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub rank: u8,
}

impl Stamp {
    /// The stamp of a fact that has only a time.
    #[must_use]
    pub fn at(at: Timestamp) -> Self {
        Self {
            version: 0,
            at,
            rank: 0,
        }
    }
}

fn is_zero<N: Default + PartialEq>(number: &N) -> bool {
    *number == N::default()
}

/// A value that a newer fact replaces.
///
/// Two values with one stamp are ordered by themselves. That order has no meaning; it only makes the merge independent
/// of the order of arrival.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Fact<T> {
    pub stamp: Stamp,
    pub value: T,
}

impl<T> Fact<T> {
    /// A fact with neither version nor rank.
    pub fn new(at: Timestamp, value: T) -> Self {
        Stated::from(value).fact(at)
    }
}

impl<T: Ord> Fact<T> {
    /// Merges another fact. The one with more weight stays, else the one with the greater stamp.
    pub fn merge<W: Ord>(&mut self, change: Self, weight: impl Fn(&T) -> W) {
        if (weight(&change.value), &change) > (weight(&self.value), &*self) {
            *self = change;
        }
    }
}

/// Merges a fact, if there is one, into the known one.
pub fn merge<T: Ord>(known: &mut Option<Fact<T>>, change: Option<Fact<T>>) {
    merge_by(known, change, |_| ());
}

/// Merges a fact, if there is one, into the known one. The one with more weight stays, else the one with the greater
/// stamp.
pub fn merge_by<T: Ord, W: Ord>(
    known: &mut Option<Fact<T>>,
    change: Option<Fact<T>>,
    weight: impl Fn(&T) -> W,
) {
    match (known, change) {
        (Some(known), Some(change)) => known.merge(change, weight),
        (known @ None, change) => *known = change,
        (Some(_), None) => {}
    }
}

/// A value as a provider states it, with the parts of its stamp that the provider's adapter knows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Stated<T> {
    /// The value's own time, if the provider states one. Otherwise it is the time of the event or of the read.
    pub at: Option<Timestamp>,
    /// See [`Stamp::version`].
    pub version: u64,
    /// See [`Stamp::rank`].
    pub rank: u8,
    pub value: T,
}

impl<T> Stated<T> {
    /// A value with this rank among those of one time.
    pub fn ranked(rank: u8, value: T) -> Self {
        Self {
            at: None,
            version: 0,
            rank,
            value,
        }
    }

    /// The stamp of a value from an event or a read of this time.
    #[must_use]
    pub fn stamp(&self, at: Timestamp) -> Stamp {
        Stamp {
            version: self.version,
            at: self.at.unwrap_or(at),
            rank: self.rank,
        }
    }

    /// The fact from an event or a read of this time.
    #[must_use]
    pub fn fact(self, at: Timestamp) -> Fact<T> {
        Fact {
            stamp: self.stamp(at),
            value: self.value,
        }
    }
}

/// A value that needs neither version nor rank.
impl<T> From<T> for Stated<T> {
    fn from(value: T) -> Self {
        Self::ranked(0, value)
    }
}

impl<T> Deref for Stated<T> {
    type Target = T;
    fn deref(&self) -> &T {
        &self.value
    }
}

impl<T> DerefMut for Stated<T> {
    fn deref_mut(&mut self) -> &mut T {
        &mut self.value
    }
}

/// The earlier of two moments, if there are any.
#[must_use]
pub fn earliest(a: Option<Timestamp>, b: Option<Timestamp>) -> Option<Timestamp> {
    match (a, b) {
        (Some(a), Some(b)) => Some(a.min(b)),
        (a, b) => a.or(b),
    }
}

/// The later of two moments, if there are any.
#[must_use]
pub fn latest(a: Option<Timestamp>, b: Option<Timestamp>) -> Option<Timestamp> {
    a.max(b)
}

/// Cut to whole seconds, as rows keep the times of this stack's clock.
#[must_use]
pub fn whole_second(at: Timestamp) -> Timestamp {
    Timestamp::from_second(at.as_second()).unwrap_or(at)
}

/// An open set of words. The known words are in the order of the thing's life. Any other word comes before them,
/// because an unknown word must never outrank a known one.
macro_rules! words {
    ($(#[$doc:meta])* $name:ident { $($(#[$word_doc:meta])* $word:ident = $text:literal,)+ }) => {
        $(#[$doc])*
        #[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, serde::Serialize, serde::Deserialize)]
        #[serde(from = "String", into = "String")]
        pub enum $name {
            /// An unknown word: it neither fails nor grants.
            Other(String),
            $($(#[$word_doc])* $word,)+
        }

        impl $name {
            /// True if the word is known. A fact with an unknown word never replaces one with a known word, however new
            /// it is.
            #[must_use]
            pub fn is_known(&self) -> bool {
                !matches!(self, Self::Other(_))
            }

            /// The provider's word.
            #[must_use]
            pub fn as_str(&self) -> &str {
                match self {
                    Self::Other(word) => word,
                    $(Self::$word => $text,)+
                }
            }
        }

        impl From<&str> for $name {
            fn from(word: &str) -> Self {
                match word {
                    $($text => Self::$word,)+
                    other => Self::Other(other.to_owned()),
                }
            }
        }

        impl From<String> for $name {
            fn from(word: String) -> Self {
                Self::from(word.as_str())
            }
        }

        impl From<$name> for String {
            fn from(word: $name) -> Self {
                word.as_str().to_owned()
            }
        }

        impl std::fmt::Display for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str(self.as_str())
            }
        }
    };
}
pub(crate) use words;

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    type Parts = (u64, i64, u8, u8);

    fn fact((version, millis, rank, value): Parts) -> Fact<u8> {
        let at = Timestamp::from_millisecond(millis).unwrap();
        let stated = Stated {
            at: Some(at),
            version,
            rank,
            value,
        };
        stated.fact(Timestamp::UNIX_EPOCH)
    }

    fn merged(all: &[Parts], weight: impl Fn(&u8) -> bool + Copy) -> Option<Fact<u8>> {
        all.iter().fold(None, |mut known, parts| {
            merge_by(&mut known, Some(fact(*parts)), weight);
            known
        })
    }

    #[test]
    fn version_then_time_then_rank_decide_and_then_the_value() {
        for (older, newer) in [
            ((1, 9_000, 9, 9), (2, 0, 0, 0)),
            ((1, 5_001, 9, 9), (1, 5_002, 0, 0)),
            ((1, 5_000, 1, 9), (1, 5_000, 2, 0)),
            ((1, 5_000, 1, 0), (1, 5_000, 1, 9)),
        ] {
            for all in [[older, newer], [newer, older]] {
                assert_eq!(merged(&all, |_| true), Some(fact(newer)));
            }
        }
    }

    #[test]
    fn more_weight_stays_however_old_it_is() {
        let all = [(1, 0, 0, 7), (2, 9_000, 9, 0)];
        assert_eq!(merged(&all, |value| *value > 0), Some(fact(all[0])));
    }

    #[test]
    fn a_stamp_is_the_same_after_it_is_stored() {
        let stamp = Stamp {
            version: 3,
            at: Timestamp::new(5, 123_456_789).unwrap(),
            rank: 2,
        };
        let row = serde_json::to_string(&stamp).unwrap();
        assert_eq!(serde_json::from_str::<Stamp>(&row).unwrap(), stamp);
        let second = Stated::from(0).fact(Timestamp::from_second(5).unwrap());
        let row = serde_json::to_string(&second.stamp).unwrap();
        assert_eq!(row, r#"{"at":"1970-01-01T00:00:05Z"}"#);
    }

    proptest! {
        #[test]
        fn the_order_and_the_number_of_arrivals_do_not_matter(
            facts in prop::collection::vec((0_u64..2, 0_i64..3, 0_u8..3, 0_u8..3), 1..7),
            places in prop::collection::vec(any::<u32>(), 14),
        ) {
            let mut twice: Vec<_> = facts.iter().chain(&facts).copied().zip(places).collect();
            twice.sort_by_key(|(_, place)| *place);
            let twice: Vec<_> = twice.into_iter().map(|(parts, _)| parts).collect();
            let is_known = |value: &u8| *value > 0;
            prop_assert_eq!(merged(&twice, is_known), merged(&facts, is_known));
            // Associative: two parts that were merged alone.
            let (one, other) = twice.split_at(twice.len() / 2);
            let mut known = merged(one, is_known);
            merge_by(&mut known, merged(other, is_known), is_known);
            prop_assert_eq!(known, merged(&facts, is_known));
        }
    }
}
