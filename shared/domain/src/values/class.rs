//! The class of an event's problem: one word beside the reason's text, to sort and count by.

use crate::values::outcome::RetryableError;
use serde::{Deserialize, Serialize};

/// The class of the last retryable error or of the park reason. Rows keep the word, so words are
/// added and never changed.
#[derive(
    Debug,
    Clone,
    Copy,
    PartialEq,
    Eq,
    PartialOrd,
    Ord,
    Hash,
    Serialize,
    Deserialize,
    strum::Display,
    strum::IntoStaticStr,
    strum::VariantArray,
)]
#[serde(rename_all = "snake_case")]
#[strum(serialize_all = "snake_case")]
pub enum Class {
    /// A service did not answer; a retry may succeed.
    Away,
    /// A service refuses our set-up: an operator must fix it and retry.
    SetUp,
    /// Another writer changed the same rows or holds the lease; a retry may succeed.
    Contended,
    /// The row that the job names is not stored.
    Missing,
    /// A mail may have been sent.
    MailUnknown,
    /// The time limit ran out.
    OutOfTime,
    /// The provider may be behind; a retry may succeed.
    TooEarly,
    /// Our code failed: a developer must fix it, then retry.
    Fault,
    /// The provider reports an incomplete sale.
    NotComplete,
    /// No rule fulfills this kind of sale.
    NotFulfilled,
    /// Test money on a live stack, or the reverse.
    OtherMode,
    /// Money in another currency than its order's.
    OtherCurrency,
    /// The body does not name its thing.
    NoSubject,
    /// The order or its payment has not arrived.
    OrderUnknown,
    /// The provider reported an exception of an order.
    Exception,
    /// The provider has no such refund.
    NoRefund,
    /// The provider's API contradicts the reported end.
    Contradicted,
    /// The provider refuses the read.
    NotRead,
    /// More data than a row holds.
    TooLarge,
    /// An identifier cannot be stored.
    BadId,
    /// A second body came with the id of an earlier event.
    OtherBody,
    /// The body is not understood.
    Unreadable,
    /// A word from a newer version.
    #[serde(other)]
    Other,
}

impl Class {
    /// The word in rows and logs.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        self.into()
    }
}

impl From<&RetryableError> for Class {
    fn from(error: &RetryableError) -> Self {
        match error {
            RetryableError::Away { .. } => Self::Away,
            RetryableError::SetUp { .. } => Self::SetUp,
            RetryableError::Raced { .. } | RetryableError::Leased { .. } => Self::Contended,
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
    use strum::VariantArray as _;

    #[test]
    fn the_word_of_a_row_is_the_word_of_the_log_and_a_newer_one_is_read() {
        for &class in Class::VARIANTS {
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
