//! Which three headers of a request are the signature.

use domain::delivery::signature::{self, Refusal, Signed, Unverified};
use jiff::Timestamp;
use std::borrow::Cow;

/// The three headers of one family.
struct Family {
    id: &'static str,
    timestamp: &'static str,
    signature: &'static str,
}

/// In order of preference: what Flex documents
/// (<https://docs.withflex.com/developer-guides/webhooks/verifying-webhooks.md>), the specification's own names
/// (<https://github.com/standard-webhooks/standard-webhooks>), and what Flex sent before September 2025, which its
/// own plugin still reads (<https://github.com/JoinFlexHealth/woocommerce>).
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

/// Checks the signature headers of a delivery; [`Unverified::verify`] then verifies them against Flex's keys.
///
/// `header` looks a header up by its lower-case name. The first family that is there in full is the one that must
/// verify; the others are not looked at. Nothing is taken from two families, and what is taken is what was signed,
/// so a second family can neither help a forger nor lend a genuine delivery another id. That the families name
/// different ids is no reason to refuse: the old one carried the event's id, the new one carries the message's.
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

/// The oldest family sent one bare signature without its version.
fn versioned(signatures: &str) -> Cow<'_, str> {
    if signatures.is_empty() || signatures.contains([',', ' ']) {
        Cow::Borrowed(signatures)
    } else {
        Cow::Owned(format!("v1,{signatures}"))
    }
}

#[cfg(test)]
mod tests;
