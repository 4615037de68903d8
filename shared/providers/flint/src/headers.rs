//! The signature headers of a request.

use domain::delivery::signature::{self, Refusal, Signed, Unverified};
use jiff::Timestamp;

/// Checks the signature headers of a delivery; [`Unverified::verify`] then verifies them against Flint's keys.
///
/// `header` looks a header up by its lower-case name. Flint also signs in an older way (`X-Flint-Signature`). The
/// older signature proves nothing here: it does not cover the event's id, so it could be sent again under another id.
///
/// <https://developers.withflintpay.com/docs/guides/webhook-events-catalog>
pub fn check<'headers, 'body>(
    header: impl Fn(&str) -> Option<&'headers str>,
    body: &'body [u8],
    now: Timestamp,
) -> Result<Unverified<'body>, Refusal> {
    let needed = |name| header(name).ok_or(Refusal::Missing);
    let signed = Signed {
        id: needed("webhook-id")?,
        timestamp: needed("webhook-timestamp")?,
        signatures: needed("webhook-signature")?,
        body,
    };
    signature::check(&signed, now)
}

#[cfg(test)]
mod tests;
