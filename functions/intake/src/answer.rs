//! The table of answers: one row a class.

use crate::request::Refusal;
use domain::{delivery::stored_event::StoredEvent, values::outcome::RetryableError};
use std::time::Duration;

/// How a request ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Answer {
    /// Proven, and kept like this.
    Kept(Kept, Box<StoredEvent>),
    /// Turned away; nothing was stored.
    Refused(Refusal),
    /// Not now: the sender is to come again.
    Unavailable(RetryableError),
}

/// How a proven delivery was kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kept {
    /// Stored now, and queued.
    Accepted,
    /// Stored and done before.
    Duplicate,
    /// Stored before and not done yet: queued again.
    QueuedAgain,
    /// Stored now; of a type that we know and need nothing of.
    NotNeeded,
    /// Stored now; of a type that we do not know.
    Unhandled,
    /// Stored; nobody can ever understand it.
    Unreadable,
    /// Stored beside an earlier one with the same id and another body; parked.
    Conflict,
}

/// How many seconds a sender is asked to wait. Svix takes it as a floor within its own schedule
/// (<https://docs.svix.com/retries>), so a short one costs nothing.
const RETRY_AFTER: &str = "30";

/// The least that an HTTP answer needs. Bodies are empty: a stranger learns nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Reply {
    /// The HTTP status.
    pub status: u16,
    /// One header, where the class has one.
    pub header: Option<(&'static str, &'static str)>,
}

impl Answer {
    /// What the sender is told.
    #[must_use]
    pub fn reply(&self) -> Reply {
        let plain = |status| Reply {
            status,
            header: None,
        };
        match self {
            Self::Kept(kept, _) => match kept {
                Kept::Accepted
                | Kept::Duplicate
                | Kept::QueuedAgain
                | Kept::NotNeeded
                | Kept::Unhandled
                | Kept::Conflict => plain(200),
                // The sender's own way to stop resending one message
                // (<https://docs.svix.com/receiving/delivery-control>); harmless where it is not understood.
                Kept::Unreadable => Reply {
                    status: 200,
                    header: Some(("webhook-delivery", "abort-message")),
                },
            },
            Self::Refused(refusal) => match refusal {
                Refusal::Provider(_) => plain(404),
                Refusal::Method => Reply {
                    status: 405,
                    header: Some(("allow", "POST")),
                },
                Refusal::ContentType => plain(415),
                Refusal::TooLarge { .. } => plain(413),
                Refusal::NotUtf8 => plain(400),
                Refusal::Signature(why) if why.is_malformed() => plain(400),
                // Never an abort header here: the key may be one that we have not loaded yet.
                Refusal::Signature(_) => plain(401),
            },
            Self::Unavailable(_) => Reply {
                status: 503,
                header: Some(("retry-after", RETRY_AFTER)),
            },
        }
    }

    /// The class in one word, for logs, metric filters and alarms.
    #[must_use]
    pub fn outcome(&self) -> &'static str {
        match self {
            Self::Kept(kept, _) => match kept {
                Kept::Accepted => "accepted",
                Kept::Duplicate | Kept::QueuedAgain => "duplicate",
                Kept::NotNeeded => "not_needed",
                Kept::Unhandled => "unhandled",
                Kept::Unreadable => "unreadable",
                Kept::Conflict => "conflict",
            },
            Self::Refused(_) => "refused",
            Self::Unavailable(_) => "unavailable",
        }
    }

    /// Writes the one line that the log keeps of a request: no body, no header, no person.
    pub fn log(&self, took: Duration) {
        let (outcome, status) = (self.outcome(), self.reply().status);
        let duration_ms = u64::try_from(took.as_millis()).unwrap_or(u64::MAX);
        match self {
            Self::Kept(kept, event) => {
                let (provider, event_id, delivery_id) =
                    (event.provider, &event.event_id, &event.delivery_id);
                let event_type = event.event_type.as_deref().unwrap_or_default();
                let reason = event.reason.as_deref().unwrap_or_default();
                match kept {
                    Kept::Unreadable | Kept::Conflict => {
                        tracing::warn!(outcome, status, %provider, %event_id, %delivery_id, event_type, reason, duration_ms, "delivery kept for a person");
                    }
                    Kept::Accepted
                    | Kept::Duplicate
                    | Kept::QueuedAgain
                    | Kept::NotNeeded
                    | Kept::Unhandled => {
                        let queued_again = *kept == Kept::QueuedAgain;
                        tracing::info!(outcome, status, %provider, %event_id, %delivery_id, event_type, queued_again, duration_ms, "delivery kept");
                    }
                }
            }
            Self::Refused(refusal) => {
                tracing::warn!(outcome, status, reason = %refusal, duration_ms, "request refused");
            }
            Self::Unavailable(error) => {
                tracing::error!(outcome, status, reason = %error, duration_ms, "delivery not taken; the sender is to come again");
            }
        }
    }
}
