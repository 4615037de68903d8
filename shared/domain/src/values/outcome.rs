//! The four results of any piece of work, and the two families of errors.

use std::time::Duration;

/// The result of a piece of work: one vocabulary for answers, logs, metrics and alarms.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome<Done, Reason> {
    /// Done now, by this attempt.
    Accepted(Done),
    /// Done before; nothing was changed.
    Duplicate,
    /// Impossible as requested, now or later. Data worth keeping is stored.
    Rejected(Reason),
    /// Not done; a later attempt may succeed.
    Retry(RetryableError),
}

/// A service is away, it is too early, or a race was lost too often. It never means that the input is wrong.
///
/// Its text goes to logs and onto stored rows. It names services and causes, never a person or a secret.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum RetryableError {
    /// A service did not answer, or is temporarily unable to.
    #[error("{service} is away: {cause}")]
    Away {
        /// Its name, such as `DynamoDB` or `Flex`.
        service: &'static str,
        /// The message of the service or of the network.
        cause: String,
        /// The wait that it asked for.
        retry_after: Option<Duration>,
    },
    /// A service refuses *us*: credentials, permissions or set-up, which an operator must repair.
    #[error("{service} refuses our set-up: {cause}")]
    SetUp {
        service: &'static str,
        /// The message of the service.
        cause: String,
    },
    /// Another writer changed the same rows at every try.
    #[error("lost the race for {what} {tries} times")]
    Raced {
        /// The contended rows.
        what: &'static str,
        tries: u32,
    },
    /// The object that the job names is not stored, or not yet.
    #[error("{what} is not stored")]
    Missing {
        /// The kind of the object.
        what: &'static str,
    },
    /// Another attempt holds the lease.
    #[error("leased by another attempt")]
    Leased {
        /// The rest of its lease.
        retry_after: Duration,
    },
    /// The mail may have gone out. The lease stays until it ends; then the policy decides.
    #[error("the outcome of the mail is unknown: {cause}")]
    Unknown {
        /// The error of the send.
        cause: String,
        /// The rest of the lease.
        retry_after: Duration,
    },
    /// The time allowed for this piece of work ran out.
    #[error("out of time")]
    OutOfTime,
    /// The provider's answer may be behind: too early to park.
    #[error("perhaps too early: {0}")]
    TooEarly(String),
    /// A defect of our code, such as a panic or a message that does not parse. A developer must look.
    #[error("fault in this bundle: {0}")]
    Fault(String),
}

impl RetryableError {
    /// The least time to wait before another try, if the cause names one.
    #[must_use]
    pub fn retry_after(&self) -> Option<Duration> {
        match self {
            Self::Away { retry_after, .. } => *retry_after,
            Self::Leased { retry_after } | Self::Unknown { retry_after, .. } => Some(*retry_after),
            Self::SetUp { .. }
            | Self::Raced { .. }
            | Self::Missing { .. }
            | Self::OutOfTime
            | Self::TooEarly(_)
            | Self::Fault(_) => None,
        }
    }
}

/// The reason that a read from the provider failed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ReadError {
    /// The provider refuses our API key.
    #[error("the provider answers {status} to our API key")]
    KeyRefused {
        /// 401 or 403.
        status: u16,
    },
    /// The provider refuses the request, now and later.
    #[error("the provider answers {status}{}", code.as_deref().map(|code| format!(" ({code})")).unwrap_or_default())]
    Permanent {
        status: u16,
        /// The provider's error code, if stated.
        code: Option<String>,
    },
    /// The answer is a success, but its content is not understood.
    #[error("the provider's answer is not understood: {0}")]
    NotUnderstood(String),
    /// A later attempt may succeed.
    #[error(transparent)]
    Transient(#[from] RetryableError),
}

/// The delay before a failed message is retried: the base, four times as long with every receive, at most an hour. It
/// is never less than the wait that the cause asked for. The cap applies to it too: a hostile `retry-after` must
/// not park a paid order.
///
/// `receives` counts from 1. With a base of a minute, five receives span an hour and twenty minutes. A shorter outage
/// needs no person's attention.
#[must_use]
pub fn back_off(base: Duration, receives: u32, asked: Option<Duration>) -> Duration {
    const MOST: Duration = Duration::from_hours(1);
    let grown = base.saturating_mul(4_u32.saturating_pow(receives.saturating_sub(1)));
    grown.max(asked.unwrap_or_default()).min(MOST)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_back_off_grows_fourfold_up_to_an_hour() {
        let base = Duration::from_secs(15);
        let waits: Vec<u64> = [1, 2, 3, 4, 5, 40]
            .map(|n| back_off(base, n, None).as_secs())
            .to_vec();
        assert_eq!(waits, [15, 60, 240, 960, 3600, 3600]);
    }

    #[test]
    fn what_knows_when_to_come_again_says_so() {
        let retry_after = Duration::from_secs(7);
        let away = |retry_after| RetryableError::Away {
            service: "Flex",
            cause: "503".to_owned(),
            retry_after,
        };
        for facts in [
            away(Some(retry_after)),
            RetryableError::Leased { retry_after },
            RetryableError::Unknown {
                cause: "no answer".to_owned(),
                retry_after,
            },
        ] {
            assert_eq!(facts.retry_after(), Some(retry_after), "{facts}");
        }
        for untold in [
            away(None),
            RetryableError::OutOfTime,
            RetryableError::TooEarly("open".to_owned()),
        ] {
            assert_eq!(untold.retry_after(), None, "{untold}");
        }
    }

    #[test]
    fn a_wait_that_was_asked_for_is_kept_within_reason() {
        let base = Duration::from_secs(15);
        assert_eq!(
            back_off(base, 1, Some(Duration::from_secs(90))).as_secs(),
            90
        );
        assert_eq!(
            back_off(base, 1, Some(Duration::from_secs(1))).as_secs(),
            15
        );
        assert_eq!(
            back_off(base, 1, Some(Duration::from_secs(999_999))).as_secs(),
            3600
        );
    }
}
