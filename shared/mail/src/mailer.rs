//! The port to SES.

use crate::Email;
use domain::values::ids::MessageId;
use domain::values::outcome::RetryableError;
/// Why a mail was not handed over, or may have been.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SendError {
    /// SES will never take this mail.
    #[error("refused for good: {0}")]
    Refused(String),
    /// Certainly not sent; later it may be.
    #[error(transparent)]
    NotSent(#[from] RetryableError),
    /// The answer was lost: it may be out, or not.
    #[error("no answer: {0}")]
    Unknown(String),
}

/// SES.
pub trait Mailer: Send + Sync {
    /// Hands a mail over, once: an adapter must not try again by itself, since SES cannot tell a second try.
    fn send(&self, email: &Email) -> impl Future<Output = Result<MessageId, SendError>> + Send;
}
