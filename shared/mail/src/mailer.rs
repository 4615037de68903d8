//! The port to SES.

use crate::Email;
use domain::values::ids::MessageId;
use domain::values::outcome::RetryableError;

/// The reason why a mail was not sent, or may not have been.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SendError {
    /// SES will never accept this mail.
    #[error("refused permanently: {0}")]
    Refused(String),
    /// The mail was certainly not sent; a retry may succeed.
    #[error(transparent)]
    NotSent(#[from] RetryableError),
    /// The answer was lost; the mail may have been sent.
    #[error("no answer: {0}")]
    Unknown(String),
}

/// SES.
pub trait Mailer: Send + Sync {
    /// Sends a mail, once. An adapter must not retry: SES cannot deduplicate a second request.
    fn send(&self, email: &Email) -> impl Future<Output = Result<MessageId, SendError>> + Send;
}
