//! What kind of trouble an event is in: one word beside the reason's text, to sort and to count by.

use crate::values::outcome::RetryableError;
use serde::{Deserialize, Serialize};
use std::fmt;

/// The kind of the last failure, or of the doubt that an event is parked for. Rows keep the word, so a word is never
/// changed, only added.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Class {
    /// A service did not answer: trying again mends it.
    Away,
    /// A service refuses our set-up: an operator must mend it, then try again.
    SetUp,
    /// Somebody else changed the same rows, or holds the claim: trying again mends it.
    Contended,
    /// What the job names is not stored.
    Missing,
    /// A mail may or may not have gone out.
    MailUnknown,
    /// It took too long.
    OutOfTime,
    /// The provider may only be behind: trying again may mend it.
    TooEarly,
    /// Our own code failed: a developer must mend it, then try again.
    Fault,
    /// The provider says that the checkout is not complete.
    NotComplete,
    /// A kind of checkout that nobody knows how to fulfill.
    NotFulfilled,
    /// Test money on a live stack, or the reverse.
    OtherMode,
    /// The body does not say what it is about.
    NoSubject,
    /// The order, or its payment, has not come.
    OrderUnknown,
    /// The provider knows of no refund.
    NoRefund,
    /// The provider's API contradicts an end.
    Contradicted,
    /// The provider will not tell us about it.
    NotTold,
    /// More than a row holds.
    TooLarge,
    /// An identifier cannot be stored.
    BadId,
    /// Another body came under the id of an earlier event.
    OtherBody,
    /// The body cannot be understood.
    Unreadable,
    /// A word of a newer version.
    #[serde(other)]
    Other,
}

impl Class {
    /// The word, as rows and logs have it.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Away => "away",
            Self::SetUp => "set_up",
            Self::Contended => "contended",
            Self::Missing => "missing",
            Self::MailUnknown => "mail_unknown",
            Self::OutOfTime => "out_of_time",
            Self::TooEarly => "too_early",
            Self::Fault => "fault",
            Self::NotComplete => "not_complete",
            Self::NotFulfilled => "not_fulfilled",
            Self::OtherMode => "other_mode",
            Self::NoSubject => "no_subject",
            Self::OrderUnknown => "order_unknown",
            Self::NoRefund => "no_refund",
            Self::Contradicted => "contradicted",
            Self::NotTold => "not_told",
            Self::TooLarge => "too_large",
            Self::BadId => "bad_id",
            Self::OtherBody => "other_body",
            Self::Unreadable => "unreadable",
            Self::Other => "other",
        }
    }
}

impl fmt::Display for Class {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl From<&RetryableError> for Class {
    fn from(error: &RetryableError) -> Self {
        match error {
            RetryableError::Away { .. } => Self::Away,
            RetryableError::SetUp { .. } => Self::SetUp,
            RetryableError::Raced { .. } | RetryableError::Claimed { .. } => Self::Contended,
            RetryableError::Missing { .. } => Self::Missing,
            RetryableError::Unknown { .. } => Self::MailUnknown,
            RetryableError::OutOfTime => Self::OutOfTime,
            RetryableError::TooEarly(_) => Self::TooEarly,
            RetryableError::Fault(_) => Self::Fault,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_word_of_a_row_is_the_word_of_the_log_and_a_newer_one_is_read() {
        let all = [
            Class::Away,
            Class::SetUp,
            Class::Contended,
            Class::Missing,
            Class::MailUnknown,
            Class::OutOfTime,
            Class::TooEarly,
            Class::Fault,
            Class::NotComplete,
            Class::NotFulfilled,
            Class::OtherMode,
            Class::NoSubject,
            Class::OrderUnknown,
            Class::NoRefund,
            Class::Contradicted,
            Class::NotTold,
            Class::TooLarge,
            Class::BadId,
            Class::OtherBody,
            Class::Unreadable,
            Class::Other,
        ];
        for class in all {
            let word = serde_json::to_string(&class).unwrap();
            assert_eq!(word, format!("\"{class}\""));
            assert_eq!(serde_json::from_str::<Class>(&word).unwrap(), class);
        }
        assert_eq!(
            serde_json::from_str::<Class>("\"a_word_to_come\"").unwrap(),
            Class::Other
        );
    }
}
