//! The merge of facts: late, twice and in any order, with one result.
//!
//! An event is turned into facts, and a stored row is the merge of all facts seen. Each merge is commutative,
//! associative and idempotent, so the order of arrival cannot matter. The newest fact wins ([`Fact`]), or the earliest
//! moment ([`earliest`]), or the latest one ([`latest`]).

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

/// A value that a newer fact replaces.
///
/// Providers state time in whole seconds. Two facts of one second are ordered by their values: the greater wins. Each
/// such type documents its order, which follows the life of the thing.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Fact<T> {
    /// The time of the fact, by the provider's clock. For a value from its API, the time of the read.
    #[serde(with = "jiff::fmt::serde::timestamp::second::required")]
    pub at: Timestamp,
    pub value: T,
}

impl<T: Ord> Fact<T> {
    /// A fact of that time, cut to whole seconds: it must compare the same before and after it is stored.
    pub fn new(at: Timestamp, value: T) -> Self {
        Self {
            at: whole_second(at),
            value,
        }
    }
}

/// Merges a newer or older fact into the known one.
pub fn merge<T: Ord>(known: &mut Option<Fact<T>>, change: Option<Fact<T>>) {
    // `None` is less than any `Some`.
    if change > *known {
        *known = change;
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

/// Cut to whole seconds, as rows keep it.
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

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(second).unwrap()
    }

    fn merged(all: &[Option<Fact<u8>>]) -> Option<Fact<u8>> {
        all.iter().fold(None, |mut known, change| {
            merge(&mut known, change.clone());
            known
        })
    }

    #[test]
    fn newer_news_win_and_within_a_second_the_greater_value() {
        let facts = |second, value| Some(Fact::new(at(second), value));
        assert_eq!(merged(&[facts(2, 1), facts(1, 9)]), facts(2, 1));
        assert_eq!(
            merged(&[facts(2, 1), facts(2, 9), facts(2, 3)]),
            facts(2, 9)
        );
    }

    #[test]
    fn a_moment_is_cut_to_its_second() {
        assert_eq!(
            Fact::new(at(5) + jiff::SignedDuration::from_millis(999), 0).at,
            at(5)
        );
    }

    proptest! {
        #[test]
        fn the_order_and_the_number_of_arrivals_do_not_matter(
            mut facts in prop::collection::vec((0_i64..4, 0_u8..4), 0..8),
            again in any::<prop::sample::Index>(),
        ) {
            let stamped = |facts: &[(i64, u8)]| {
                facts.iter().map(|(second, value)| Some(Fact::new(at(*second), *value))).collect::<Vec<_>>()
            };
            let expected = merged(&stamped(&facts));
            facts.reverse();
            if !facts.is_empty() {
                facts.push(facts[again.index(facts.len())]);
            }
            prop_assert_eq!(merged(&stamped(&facts)), expected);
        }
    }
}
