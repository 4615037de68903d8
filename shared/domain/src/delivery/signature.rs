//! Standard Webhooks signatures: is this request the provider's, and is it fresh?
//!
//! The scheme is `v1` of <https://github.com/standard-webhooks/standard-webhooks>, as Svix carries it
//! (<https://docs.svix.com/receiving/verifying-payloads/how-manual>): HMAC-SHA256 over `id.timestamp.body`,
//! in base64, one or more of them in a list. Which headers carry the three parts is a provider's own affair.

use crate::values::ids::DeliveryId;
use base64::{
    Engine as _, alphabet,
    engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig, general_purpose::STANDARD},
};
use hmac::{Hmac, KeyInit as _, Mac as _};
use jiff::Timestamp;
use sha2::Sha256;
use std::{fmt, ops::RangeInclusive};

/// How far a timestamp may lie from our clock, either way and inclusive, in seconds: the figure of the official
/// libraries (<https://docs.svix.com/receiving/verifying-payloads/how-manual>).
pub const TOLERANCE_SECONDS: u64 = 300;

/// The most entries that a list of signatures may have. A rotation takes two; a header of thousands is an
/// attempt to keep us busy.
pub const MAX_SIGNATURES: usize = 32;

/// How many bytes a signing key has
/// (<https://github.com/standard-webhooks/standard-webhooks/blob/main/spec/standard-webhooks.md>).
/// Anybody could guess a shorter one.
pub const KEY_BYTES: RangeInclusive<usize> = 24..=64;

/// The version whose entries count. `v1a` (ed25519) and whatever may come are skipped.
const VERSION: &str = "v1";

/// The size of an HMAC-SHA256.
const MAC_BYTES: usize = 32;

/// Padding is optional, because a trailing `=` is easily lost when a secret is pasted. Left-over bits are not:
/// no encoder leaves any, so such a text was cut short, and every delivery would fail later instead of now.
const SECRET: GeneralPurpose = GeneralPurpose::new(
    &alphabet::STANDARD,
    GeneralPurposeConfig::new()
        .with_decode_padding_mode(DecodePaddingMode::Indifferent)
        .with_decode_allow_trailing_bits(false),
);

/// Why a text is not a key. Says nothing of the text itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum BadKey {
    /// Nothing there: anybody could sign with that.
    #[error("a webhook secret is empty: copy it from the provider's dashboard")]
    Empty,
    /// Not base64 in the standard alphabet, or cut short.
    #[error(
        "a webhook secret is not base64, or was cut short: copy all of it from the provider's dashboard"
    )]
    NotBase64,
    /// Not of the length that the specification demands.
    #[error(
        "a webhook secret has fewer than {} or more than {} bytes: copy all of it from the provider's dashboard",
        KEY_BYTES.start(),
        KEY_BYTES.end()
    )]
    Length,
}

/// A signing key, ready to sign. Prints nothing, and cannot be compared.
///
/// Invariant: [`Key::from_base64`] is the only way to make one, so every key has [`KEY_BYTES`].
#[derive(Clone)]
pub struct Key(Hmac<Sha256>);

impl Key {
    /// Takes the base64 part of a webhook secret, its prefix already removed. The decoded bytes are the key.
    pub fn from_base64(text: &str) -> Result<Self, BadKey> {
        let bytes = SECRET.decode(text).map_err(|_| BadKey::NotBase64)?;
        if bytes.is_empty() {
            return Err(BadKey::Empty);
        }
        if !KEY_BYTES.contains(&bytes.len()) {
            return Err(BadKey::Length);
        }
        Hmac::new_from_slice(&bytes)
            .map(Self)
            .map_err(|_| BadKey::NotBase64)
    }

    fn mac(&self, id: &str, timestamp: &str, body: &[u8]) -> Hmac<Sha256> {
        // The signature covers the bytes as sent. Parsing first and signing the re-serialized JSON would fail
        // for every sender that orders keys differently; so would a timestamp read and printed again.
        [id.as_bytes(), b".", timestamp.as_bytes(), b".", body]
            .into_iter()
            .fold(self.0.clone(), Hmac::chain_update)
    }
}

impl fmt::Debug for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Key(…)")
    }
}

/// A request's three headers and its body, as received and not to be trusted. Prints nothing: a body is personal.
#[derive(Clone, Copy)]
pub struct Signed<'headers, 'body> {
    /// The message's id.
    pub id: &'headers str,
    /// The time of this attempt: Unix seconds in digits.
    pub timestamp: &'headers str,
    /// The list: `version,base64` separated by single spaces.
    pub signatures: &'headers str,
    /// The body, byte for byte.
    pub body: &'body [u8],
}

/// One of the three headers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Header {
    /// The message's id.
    Id,
    /// The time of the attempt.
    Timestamp,
    /// The list of signatures.
    Signature,
}

/// Which side of our clock a timestamp is on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Direction {
    /// Behind it: an old request, perhaps replayed.
    Past,
    /// Ahead of it: one of the two clocks is wrong.
    Future,
}

/// Why a request is not taken for the provider's.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// No family of signature headers is there in full.
    #[error("the signature headers are missing")]
    Missing,
    /// A header is there, and cannot be what a provider sends.
    #[error("the {0} header is malformed")]
    Malformed(Header),
    /// Signed too long ago, or in the future.
    #[error("the timestamp is {seconds} s in the {direction}")]
    Stale {
        /// Which way.
        direction: Direction,
        /// How far.
        seconds: u64,
    },
    /// None of the signatures is by one of our keys.
    #[error("no signature is by a key of ours")]
    Forged,
}

impl Refusal {
    /// Whether the request is not even well formed (HTTP 400). Every other refusal is a matter of proof: the
    /// sender has not shown who it is (HTTP 401).
    #[must_use]
    pub fn is_malformed(self) -> bool {
        match self {
            Self::Malformed(_) => true,
            Self::Missing | Self::Stale { .. } | Self::Forged => false,
        }
    }
}

/// A request whose headers are well formed and recent. Nothing proves yet who signed it. Prints nothing.
///
/// Invariant: [`check`] is the only way to make one.
pub struct Unverified<'body> {
    delivery_id: DeliveryId,
    timestamp: String,
    body: &'body [u8],
    candidates: Vec<[u8; MAC_BYTES]>,
}

impl fmt::Debug for Unverified<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Unverified(…)")
    }
}

/// Checks everything that needs no key: id, timestamp and the list of signatures.
///
/// It comes before [`Unverified::verify`] because keys may have to be fetched: a request that no key could prove must
/// not cause that.
pub fn check<'body>(
    signed: &Signed<'_, 'body>,
    now: Timestamp,
) -> Result<Unverified<'body>, Refusal> {
    let delivery_id = check_id(signed.id)?;
    check_timestamp(signed.timestamp, now)?;
    let candidates = candidates(signed.signatures)?;
    if candidates.is_empty() {
        return Err(Refusal::Forged);
    }
    Ok(Unverified {
        delivery_id,
        timestamp: signed.timestamp.to_owned(),
        body: signed.body,
        candidates,
    })
}

impl Unverified<'_> {
    /// Verifies that the holder of one of `keys` signed exactly this body under this id and timestamp.
    ///
    /// The body is hashed once for each key. Any `v1` entry by any of the keys will do, which is how secrets rotate:
    /// <https://docs.svix.com/receiving/verifying-payloads/how-manual>.
    pub fn verify(&self, keys: &[Key]) -> Result<DeliveryId, Refusal> {
        let proven = keys.iter().any(|key| {
            let mac = key.mac(self.delivery_id.as_str(), &self.timestamp, self.body);
            // `verify_slice` takes the same time wherever the two differ.
            self.candidates
                .iter()
                .any(|candidate| mac.clone().verify_slice(candidate).is_ok())
        });
        if proven {
            Ok(self.delivery_id.clone())
        } else {
            Err(Refusal::Forged)
        }
    }
}

/// Signs as a provider does, giving one entry of the list.
///
/// For the test kit and the stand-in: the functions themselves sign nothing.
#[must_use]
pub fn sign(key: &Key, id: &str, timestamp: Timestamp, body: &[u8]) -> String {
    let mac = key.mac(id, &timestamp.as_second().to_string(), body);
    format!("{VERSION},{}", STANDARD.encode(mac.finalize().into_bytes()))
}

/// The specification forbids a `.` in ids, and for a reason: it separates the signed parts, so with one a genuine
/// `a` + `1` + `2.{}` could be presented as `a.1` + `2` + `{}` and still be signed.
fn check_id(id: &str) -> Result<DeliveryId, Refusal> {
    let malformed = Refusal::Malformed(Header::Id);
    if id.contains('.') {
        return Err(malformed);
    }
    DeliveryId::new(id).map_err(|_| malformed)
}

fn check_timestamp(text: &str, now: Timestamp) -> Result<(), Refusal> {
    let malformed = Refusal::Malformed(Header::Timestamp);
    // `parse` alone would let `+7` pass, which is not what any provider signs.
    if text.is_empty() || !text.bytes().all(|byte| byte.is_ascii_digit()) {
        return Err(malformed);
    }
    let then: i64 = text.parse().map_err(|_| malformed)?;
    let now = now.as_second();
    let seconds = now.abs_diff(then);
    if seconds <= TOLERANCE_SECONDS {
        return Ok(());
    }
    Err(Refusal::Stale {
        direction: if then < now {
            Direction::Past
        } else {
            Direction::Future
        },
        seconds,
    })
}

/// The decoded `v1` entries. Other entries are skipped, so that a provider may add other schemes beside it.
fn candidates(list: &str) -> Result<Vec<[u8; MAC_BYTES]>, Refusal> {
    if list.is_empty() || list.split(' ').nth(MAX_SIGNATURES).is_some() {
        return Err(Refusal::Malformed(Header::Signature));
    }
    // Strict decoding gives each signature a single spelling, so comparing bytes is comparing texts.
    Ok(list
        .split(' ')
        .filter_map(|entry| entry.split_once(','))
        .filter(|(version, _)| *version == VERSION)
        .filter_map(|(_, text)| STANDARD.decode(text).ok()?.try_into().ok())
        .collect())
}

impl fmt::Display for Header {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Id => "id",
            Self::Timestamp => "timestamp",
            Self::Signature => "signature",
        })
    }
}

impl fmt::Display for Direction {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Past => "past",
            Self::Future => "future",
        })
    }
}

#[cfg(test)]
mod tests;
