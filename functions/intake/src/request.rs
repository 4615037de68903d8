//! What a request must be before anything is spent on it: no call to any service has been made yet.

use domain::{
    delivery::signature,
    values::provider::{Provider, UnknownProvider},
};

/// A request as far as intake looks at it.
#[derive(Clone, Copy)]
pub struct Incoming<'a> {
    /// The HTTP method.
    pub method: &'a str,
    /// The `{provider}` of the path.
    pub provider: &'a str,
    /// Looks a header up by its lower-case name.
    pub header: &'a (dyn Fn(&str) -> Option<&'a str> + Sync),
    /// The body, decoded if the gateway had encoded it.
    pub body: &'a [u8],
}

/// Why a request is turned away. The log says it all; the sender learns the status alone.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// Nobody of that name sends to us.
    #[error(transparent)]
    Provider(#[from] UnknownProvider),
    /// Webhooks are posted.
    #[error("the method is not POST")]
    Method,
    /// Webhooks are JSON.
    #[error("the content type is not application/json")]
    ContentType,
    /// Larger than we keep.
    #[error("the body has {bytes} bytes, more than {max}")]
    TooLarge {
        /// How large.
        bytes: usize,
        /// How large it may be: the template's `MaxBodyBytes`.
        max: usize,
    },
    /// JSON is UTF-8 (RFC 8259, section 8.1).
    #[error("the body is not UTF-8")]
    NotUtf8,
    /// Not proven to be the provider's.
    #[error(transparent)]
    Signature(#[from] signature::Refusal),
}

/// Checks method, provider, content type, size and encoding.
pub fn check(incoming: &Incoming<'_>, max_body_bytes: usize) -> Result<Provider, Refusal> {
    let provider: Provider = incoming.provider.parse()?;
    if incoming.method != "POST" {
        return Err(Refusal::Method);
    }
    let content_type = (incoming.header)("content-type").unwrap_or_default();
    let essence = content_type.split(';').next().unwrap_or_default().trim();
    if !essence.eq_ignore_ascii_case("application/json") {
        return Err(Refusal::ContentType);
    }
    if incoming.body.len() > max_body_bytes {
        return Err(Refusal::TooLarge {
            bytes: incoming.body.len(),
            max: max_body_bytes,
        });
    }
    if std::str::from_utf8(incoming.body).is_err() {
        return Err(Refusal::NotUtf8);
    }
    Ok(provider)
}
