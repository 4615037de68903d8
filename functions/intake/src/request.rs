//! Checks a request before the first call to any service.

use domain::{
    delivery::signature,
    values::provider::{ProviderId, UnknownProvider},
};
use providers::Providers;

/// The parts of a request that intake reads.
#[derive(Clone, Copy)]
pub struct Incoming<'a> {
    pub method: &'a str,
    /// The `{provider}` of the path.
    pub provider: &'a str,
    /// Finds a header by its lower-case name.
    pub header: &'a (dyn Fn(&str) -> Option<&'a str> + Sync),
    /// Decoded if the gateway encoded it.
    pub body: &'a [u8],
}

/// The reason why a request is refused. Only the log has it; the sender gets the status.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    #[error(transparent)]
    Provider(#[from] UnknownProvider),
    #[error("the method is not POST")]
    Method,
    #[error("the content type is not application/json")]
    ContentType,
    #[error("the body has {bytes} bytes, more than {max}")]
    TooLarge {
        bytes: usize,
        /// The template's `MaxBodyBytes`.
        max: usize,
    },
    #[error(transparent)]
    Signature(#[from] signature::Refusal),
}

/// Checks method, provider, content type and size.
pub fn check(
    incoming: &Incoming<'_>,
    providers: &Providers,
    max_body_bytes: usize,
) -> Result<ProviderId, Refusal> {
    let provider = providers.named(incoming.provider)?;
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
    Ok(provider)
}
