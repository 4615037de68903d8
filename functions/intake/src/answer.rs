//! The answer to each class of request.

use crate::request::Refusal;
use domain::{delivery::stored_event::StoredEvent, values::outcome::RetryableError};
use std::time::Duration;

/// The end of a request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Answer {
    /// The delivery is verified, by the key of that index, and stored.
    Kept(Kept, Box<StoredEvent>, usize),
    /// Nothing was stored.
    Refused(Refusal),
    /// The sender should retry.
    Unavailable(RetryableError),
}

/// The state of a verified delivery.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kept {
    /// Stored and queued.
    Accepted,
    /// Stored and finished before.
    Duplicate,
    /// Stored before and not finished: queued again.
    QueuedAgain,
    /// Stored. Its known type needs no work.
    NotNeeded,
    /// Stored. Its type is unknown.
    Unhandled,
    /// Stored and parked. A member that has an effect is not understood.
    Parked,
    /// Stored. Its body cannot be read.
    Unreadable,
    /// Stored and parked beside an earlier event with the same id and another body.
    Conflict,
}

/// In seconds. Svix uses it as a minimum within its schedule (<https://docs.svix.com/retries>), so a short time costs
/// nothing.
const RETRY_AFTER: &str = "30";

/// An HTTP answer without a body, so that strangers learn nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Reply {
    pub status: u16,
    pub header: Option<(&'static str, &'static str)>,
}

impl Answer {
    /// The HTTP answer to the sender.
    #[must_use]
    pub fn reply(&self) -> Reply {
        let plain = |status| Reply {
            status,
            header: None,
        };
        match self {
            Self::Kept(kept, ..) => match kept {
                Kept::Accepted
                | Kept::Duplicate
                | Kept::QueuedAgain
                | Kept::NotNeeded
                | Kept::Unhandled
                | Kept::Parked
                | Kept::Conflict => plain(200),
                // Stops the resends of this message (<https://docs.svix.com/receiving/delivery-control>). Other senders
                // ignore it.
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
                Refusal::Signature(why) if why.is_malformed() => plain(400),
                // Without an abort header: the key may be a new one that this process has not read yet.
                Refusal::Signature(_) => plain(401),
            },
            Self::Unavailable(_) => Reply {
                status: 503,
                header: Some(("retry-after", RETRY_AFTER)),
            },
        }
    }

    /// The class as one word, for logs, metric filters and alarms.
    #[must_use]
    pub fn outcome(&self) -> &'static str {
        match self {
            Self::Kept(kept, ..) => match kept {
                Kept::Accepted => "accepted",
                Kept::Duplicate | Kept::QueuedAgain => "duplicate",
                Kept::NotNeeded => "not_needed",
                Kept::Unhandled => "unhandled",
                Kept::Parked => "parked",
                Kept::Unreadable => "unreadable",
                Kept::Conflict => "conflict",
            },
            Self::Refused(_) => "refused",
            Self::Unavailable(_) => "unavailable",
        }
    }

    /// Writes the only log line of a request, without body, headers and personal data.
    pub fn log(&self, took: Duration) {
        let (outcome, status) = (self.outcome(), self.reply().status);
        let duration_ms = u64::try_from(took.as_millis()).unwrap_or(u64::MAX);
        match self {
            Self::Kept(kept, event, key) => {
                let (provider, event_id, delivery_id) =
                    (&event.provider, &event.event_id, &event.delivery_id);
                let event_type = event.event_type.as_deref().unwrap_or_default();
                let reason = event.reason.as_deref().unwrap_or_default();
                match kept {
                    Kept::Parked | Kept::Unreadable | Kept::Conflict => {
                        tracing::warn!(outcome, status, %provider, %event_id, %delivery_id, event_type, reason, key, duration_ms, "delivery kept for a person");
                    }
                    Kept::Accepted
                    | Kept::Duplicate
                    | Kept::QueuedAgain
                    | Kept::NotNeeded
                    | Kept::Unhandled => {
                        let queued_again = *kept == Kept::QueuedAgain;
                        tracing::info!(outcome, status, %provider, %event_id, %delivery_id, event_type, queued_again, key, duration_ms, "delivery kept");
                    }
                }
            }
            Self::Refused(refusal) => {
                tracing::warn!(outcome, status, reason = %refusal, duration_ms, "request refused");
            }
            Self::Unavailable(error) => {
                tracing::error!(outcome, status, reason = %error, duration_ms, "delivery not stored; the sender should retry");
            }
        }
    }
}
