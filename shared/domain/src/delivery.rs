//! A delivery: a provider's request, proven to be the provider's.

use crate::{
    event::Reading,
    ids::{DeliveryId, EventId, OTHER_BODY},
};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use std::{fmt, fmt::Write as _, str::FromStr};

/// Who sends.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Provider {
    /// withflex.com: HSA/FSA checkout.
    Flex,
}

impl fmt::Display for Provider {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Flex => "flex",
        })
    }
}

/// No provider of that name.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("no such provider")]
pub struct UnknownProvider;

impl FromStr for Provider {
    type Err = UnknownProvider;

    fn from_str(text: &str) -> Result<Self, UnknownProvider> {
        match text {
            "flex" => Ok(Self::Flex),
            _ => Err(UnknownProvider),
        }
    }
}

/// The hash by which two bodies under one id are compared: SHA-256 of the bytes as received, in hex.
#[must_use]
pub fn fingerprint(body: &[u8]) -> String {
    Sha256::digest(body)
        .iter()
        .fold(String::with_capacity(64), |mut text, byte| {
            // Writing to a String cannot fail.
            let _ = write!(text, "{byte:02x}");
            text
        })
}

/// A verified delivery, ready to be stored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Delivery {
    /// Who sent it.
    pub provider: Provider,
    /// The carrier's message id.
    pub delivery_id: DeliveryId,
    /// The body, byte for byte as it was signed.
    pub body: Vec<u8>,
    /// See [`fingerprint`].
    pub fingerprint: String,
    /// When it reached us.
    pub received_at: Timestamp,
    /// What the body says.
    pub reading: Reading,
}

impl Delivery {
    /// The key under which it is stored: the event's id, or for a body that names none, the body's fingerprint.
    #[must_use]
    pub fn key(&self) -> EventId {
        match &self.reading {
            Reading::Event(event) => event.event_id.clone(),
            Reading::Unreadable(_) => EventId::of_body("unreadable", &self.fingerprint),
        }
    }

    /// The key beside the first one, for a second body under the same id. The same body finds the same key.
    #[must_use]
    pub fn key_beside(&self) -> EventId {
        EventId::of_body(OTHER_BODY, &self.fingerprint)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_provider_is_known_by_its_name() {
        assert_eq!("flex".parse(), Ok(Provider::Flex));
        assert_eq!(Provider::Flex.to_string(), "flex");
        assert_eq!("Flex".parse::<Provider>(), Err(UnknownProvider));
    }

    #[test]
    fn the_fingerprint_is_sha256_in_hex() {
        // FIPS 180-2, example B.1.
        assert_eq!(
            fingerprint(b"abc"),
            "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
        );
    }
}
