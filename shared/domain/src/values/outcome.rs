//! The four ends of any piece of work, and the two families of bad news.

use std::time::Duration;

/// How a piece of work ended. One vocabulary for answers, logs, metrics and alarms.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome<Done, Reason> {
    /// Done, now, by us.
    Accepted(Done),
    /// Done before; nothing was changed.
    Duplicate,
    /// Cannot be done as asked, now or later; whatever deserves keeping has been kept.
    Rejected(Reason),
    /// Not done, but worth asking again.
    Retry(RetryableError),
}

/// The world is away, it is too early, or a race was lost too often. Never "the input is wrong".
///
/// Its text goes to logs and onto stored rows: it names services and causes, never a person or a secret.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum RetryableError {
    /// A service did not answer, or answered that it cannot now.
    #[error("{service} is away: {cause}")]
    Away {
        /// Which one, such as `DynamoDB` or `Flex`.
        service: &'static str,
        /// What it or the network said.
        cause: String,
        /// How long it asked us to wait.
        retry_after: Option<Duration>,
    },
    /// A service refuses *us*: credentials, permissions or set-up, which an operator must mend.
    #[error("{service} refuses our set-up: {cause}")]
    SetUp {
        /// Which one.
        service: &'static str,
        /// What it said.
        cause: String,
    },
    /// Somebody else changed the same rows every time we tried.
    #[error("lost the race for {what} {tries} times")]
    Raced {
        /// The contended thing.
        what: &'static str,
        /// How often.
        tries: u32,
    },
    /// What the job names is not there (yet).
    #[error("{what} is not stored")]
    Missing {
        /// The missing thing.
        what: &'static str,
    },
    /// Another attempt holds the claim.
    #[error("leased by another attempt")]
    Claimed {
        /// How long its claim lasts.
        retry_after: Duration,
    },
    /// Mail may or may not have gone out; the claim stays until its deadline, then the policy decides.
    #[error("the mail's fate is unknown: {cause}")]
    Unknown {
        /// What happened while sending.
        cause: String,
        /// How long the claim lasts.
        retry_after: Duration,
    },
    /// The time allowed for this piece of work ran out.
    #[error("out of time")]
    OutOfTime,
    /// What the provider says may only be its being behind: too early to park.
    #[error("perhaps too early: {0}")]
    TooEarly(String),
    /// Our own code failed (a panic, a message of ours that does not parse): for a developer.
    #[error("a fault of ours: {0}")]
    Fault(String),
}

impl RetryableError {
    /// The least time to wait before another try, where the cause names one.
    #[must_use]
    pub fn retry_after(&self) -> Option<Duration> {
        match self {
            Self::Away { retry_after, .. } => *retry_after,
            Self::Claimed { retry_after } | Self::Unknown { retry_after, .. } => Some(*retry_after),
            Self::SetUp { .. }
            | Self::Raced { .. }
            | Self::Missing { .. }
            | Self::OutOfTime
            | Self::TooEarly(_)
            | Self::Fault(_) => None,
        }
    }
}

/// Why something could not be read from the provider.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ReadError {
    /// The provider does not accept our API key.
    #[error("the provider answers {status} to our API key")]
    KeyRefused {
        /// 401 or 403.
        status: u16,
    },
    /// It will not answer this, now or later.
    #[error("the provider answers {status}{}", code.as_deref().map(|code| format!(" ({code})")).unwrap_or_default())]
    Permanent {
        /// The HTTP status.
        status: u16,
        /// Its own code for it, where told.
        code: Option<String>,
    },
    /// It answers well, and we do not understand it.
    #[error("the provider's answer is not understood: {0}")]
    NotUnderstood(String),
    /// Not now.
    #[error(transparent)]
    Transient(#[from] RetryableError),
}

/// How long to leave a failed message alone: the base, four times as long with every receive, at most an hour, and
/// never less than what the cause asked for (itself capped: a hostile `retry-after` must not park a paid order).
///
/// `receives` counts from 1. With a base of a minute, five receives span an hour and twenty minutes: an outage
/// shorter than that costs nobody's attention.
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
            RetryableError::Claimed { retry_after },
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
