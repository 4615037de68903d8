//! The three signature headers of a request.

use domain::delivery::signature::{self, Refusal, Signed, Unverified};
use jiff::Timestamp;
use std::borrow::Cow;

/// The three headers of one family.
struct Family {
    id: &'static str,
    timestamp: &'static str,
    signature: &'static str,
}

/// In order of preference. The first family is documented by Flex
/// (<https://docs.withflex.com/developer-guides/webhooks/verifying-webhooks.md>), the second by the
/// specification (<https://github.com/standard-webhooks/standard-webhooks>). Flex sent the third
/// before September 2025, and its plugin still reads it
/// (<https://github.com/JoinFlexHealth/woocommerce>).
const FAMILIES: [Family; 3] = [
    Family {
        id: "svix-id",
        timestamp: "svix-timestamp",
        signature: "svix-signature",
    },
    Family {
        id: "webhook-id",
        timestamp: "webhook-timestamp",
        signature: "webhook-signature",
    },
    Family {
        id: "flex-event-id",
        timestamp: "flex-timestamp",
        signature: "flex-signature",
    },
];

/// Checks the signature headers of a delivery; [`Unverified::verify`] then verifies them against
/// Flex's keys.
///
/// `header` looks a header up by its lower-case name. The first complete family must verify; the
/// others are ignored. Values are never mixed between families, and all of them are signed. A
/// second family can therefore neither help a forger nor give a genuine delivery another id.
/// Families may name different ids: the old one carried the event's id, the new one carries the
/// message's id.
pub fn check<'headers, 'body>(
    header: impl Fn(&str) -> Option<&'headers str>,
    body: &'body [u8],
    now: Timestamp,
) -> Result<Unverified<'body>, Refusal> {
    let (id, timestamp, signatures) = FAMILIES
        .iter()
        .find_map(|family| {
            Some((
                header(family.id)?,
                header(family.timestamp)?,
                header(family.signature)?,
            ))
        })
        .ok_or(Refusal::Missing)?;
    let signatures = versioned(signatures);
    signature::check(
        &Signed {
            id,
            timestamp,
            signatures: &signatures,
            body,
        },
        now,
    )
}

/// Adds the version, because the oldest family sent one signature without it.
fn versioned(signatures: &str) -> Cow<'_, str> {
    if signatures.is_empty() || signatures.contains([',', ' ']) {
        Cow::Borrowed(signatures)
    } else {
        Cow::Owned(format!("v1,{signatures}"))
    }
}

#[cfg(test)]
mod tests;
