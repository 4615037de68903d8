//! Standard Webhooks signatures: proof that a request comes from the provider and is fresh.
//!
//! The scheme is `v1` of <https://github.com/standard-webhooks/standard-webhooks>, as Svix carries
//! it (<https://docs.svix.com/receiving/verifying-payloads/how-manual>): HMAC-SHA256 over
//! `id.timestamp.body`, in base64, one or more in a list. The names of the three headers belong to
//! the provider's adapter.

use crate::values::ids::DeliveryId;
use base64::{
    Engine as _, alphabet,
    engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig, general_purpose::STANDARD},
};
use hmac::{Hmac, KeyInit as _, Mac as _};
use jiff::Timestamp;
use sha2::Sha256;
use std::{fmt, ops::RangeInclusive};

/// The largest accepted distance of a timestamp from our clock, in seconds, either way and
/// inclusive. The official libraries use the same figure
/// (<https://docs.svix.com/receiving/verifying-payloads/how-manual>).
pub const TOLERANCE_SECONDS: u64 = 300;

/// The most entries in a list of signatures. A rotation needs two; thousands are an attempt to cost
/// us time.
pub const MAX_SIGNATURES: usize = 32;

/// The length of a signing key in bytes
/// (<https://github.com/standard-webhooks/standard-webhooks/blob/main/spec/standard-webhooks.md>).
/// A shorter key could be guessed.
pub const KEY_BYTES: RangeInclusive<usize> = 24..=64;

/// The only version that counts. Other versions, such as `v1a` (ed25519), are skipped.
const VERSION: &str = "v1";

/// The length of an HMAC-SHA256 in bytes.
const MAC_BYTES: usize = 32;

/// Padding is optional, because a trailing `=` is easily lost when a secret is pasted. Trailing
/// bits are refused: no encoder leaves any, so such a text is truncated, and every delivery would
/// fail later instead.
const SECRET: GeneralPurpose = GeneralPurpose::new(
    &alphabet::STANDARD,
    GeneralPurposeConfig::new()
        .with_decode_padding_mode(DecodePaddingMode::Indifferent)
        .with_decode_allow_trailing_bits(false),
);

/// The reason why a text is not a key. Does not quote the text.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum BadKey {
    /// An empty key: anybody could sign with it.
    #[error("a webhook secret is empty: copy it from the provider's dashboard")]
    Empty,
    /// Not base64 in the standard alphabet, or truncated.
    #[error(
        "a webhook secret is not base64, or was cut short: copy all of it from the provider's dashboard"
    )]
    NotBase64,
    /// The length is outside the specification's limits.
    #[error(
        "a webhook secret has fewer than {} or more than {} bytes: copy all of it from the provider's dashboard",
        KEY_BYTES.start(),
        KEY_BYTES.end()
    )]
    Length,
    /// The provider's secrets start with this prefix.
    #[error(
        "a webhook secret does not start with `{0}`: copy all of it from the provider's dashboard"
    )]
    Prefix(&'static str),
    /// The provider's secrets have this length.
    #[error(
        "a webhook secret does not have {0} bytes: copy all of it from the provider's dashboard"
    )]
    OtherLength(usize),
}

/// A signing key. It has no readable `Debug` and no equality.
///
/// Invariant: every constructor ends in `Key::from_bytes`, so every key has [`KEY_BYTES`].
#[derive(Clone)]
pub struct Key(Hmac<Sha256>);

impl Key {
    /// Decodes the base64 part of a webhook secret, without its prefix. The decoded bytes are the
    /// key.
    pub fn from_base64(text: &str) -> Result<Self, BadKey> {
        let bytes = SECRET.decode(text).map_err(|_| BadKey::NotBase64)?;
        Self::from_bytes(&bytes)
    }

    /// Decodes the base64 part of a webhook secret of a provider whose secrets all have this length in bytes. Here a
    /// missing padding is a part that was cut off.
    pub fn of_length(text: &str, length: usize) -> Result<Self, BadKey> {
        let bytes = STANDARD.decode(text).map_err(|_| BadKey::NotBase64)?;
        if !bytes.is_empty() && bytes.len() != length {
            return Err(BadKey::OtherLength(length));
        }
        Self::from_bytes(&bytes)
    }

    fn from_bytes(bytes: &[u8]) -> Result<Self, BadKey> {
        if bytes.is_empty() {
            return Err(BadKey::Empty);
        }
        if !KEY_BYTES.contains(&bytes.len()) {
            return Err(BadKey::Length);
        }
        Hmac::new_from_slice(bytes)
            .map(Self)
            .map_err(|_| BadKey::NotBase64)
    }

    fn mac(&self, id: &str, timestamp: &str, body: &[u8]) -> Hmac<Sha256> {
        // The signature covers the bytes as sent. A signature over re-serialized JSON would fail
        // for every sender that orders keys differently. The same holds for a timestamp that is
        // parsed and printed again.
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

/// A request's signature headers and body, as received and untrusted. No `Debug`, because a body is
/// personal data.
#[derive(Clone, Copy)]
pub struct Signed<'headers, 'body> {
    pub id: &'headers str,
    /// The time of this attempt, in Unix seconds as digits.
    pub timestamp: &'headers str,
    /// Entries of the form `version,base64`, separated by single spaces. Several headers may be
    /// joined by commas.
    pub signatures: &'headers str,
    /// The body as received.
    pub body: &'body [u8],
}

/// One of the three signature headers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, strum::Display)]
#[strum(serialize_all = "snake_case")]
pub enum Header {
    Id,
    Timestamp,
    Signature,
}

/// The side of our clock that a timestamp is on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, strum::Display)]
#[strum(serialize_all = "snake_case")]
pub enum Direction {
    /// An old request, perhaps a replay.
    Past,
    /// One of the two clocks is wrong.
    Future,
}

/// The reason why a request is not accepted as the provider's.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// The request has no complete family of signature headers.
    #[error("signature headers missing: no family of three is complete")]
    Missing,
    /// A header has a value that no provider sends.
    #[error("malformed {0} header")]
    Malformed(Header),
    /// The timestamp is too far from our clock.
    #[error(
        "timestamp {seconds} s in the {direction}: more than {TOLERANCE_SECONDS} s from our clock"
    )]
    Stale {
        direction: Direction,
        /// The distance from our clock.
        seconds: u64,
    },
    /// The signed id is not the id of the event in the body.
    #[error("the signed message id is not the id of the event in the body")]
    OtherId,
    /// No signature matches a key.
    #[error("no signature matches a webhook secret of this stack")]
    Forged,
}

impl Refusal {
    /// True if the request is malformed (HTTP 400). Every other refusal means that the sender has
    /// not proven its identity (HTTP 401).
    #[must_use]
    pub fn is_malformed(self) -> bool {
        match self {
            Self::Malformed(_) => true,
            Self::Missing | Self::Stale { .. } | Self::OtherId | Self::Forged => false,
        }
    }
}

/// A request with well-formed headers and a recent timestamp, not yet proven. `Debug` prints no
/// content.
///
/// Invariant: [`check`] is the only constructor.
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
/// It runs before [`Unverified::verify`], because keys may have to be fetched: a request that no
/// key can prove must not cause a fetch.
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
    /// Verifies that the holder of one of `keys` signed exactly this body with this id and
    /// timestamp.
    ///
    /// The body is hashed once for each key. Any `v1` entry by any key is enough, which allows
    /// rotation of secrets: <https://docs.svix.com/receiving/verifying-payloads/how-manual>.
    pub fn verify(&self, keys: &[Key]) -> Result<DeliveryId, Refusal> {
        self.verify_by(keys).map(|(delivery_id, _)| delivery_id)
    }

    /// As [`Unverified::verify`], with the index of the key that fits. It shows when a rotation is over.
    pub fn verify_by(&self, keys: &[Key]) -> Result<(DeliveryId, usize), Refusal> {
        let proven = keys.iter().position(|key| {
            let mac = key.mac(self.delivery_id.as_str(), &self.timestamp, self.body);
            // `verify_slice` compares in constant time.
            self.candidates
                .iter()
                .any(|candidate| mac.clone().verify_slice(candidate).is_ok())
        });
        let key = proven.ok_or(Refusal::Forged)?;
        Ok((self.delivery_id.clone(), key))
    }
}

/// Signs like a provider and returns one entry of the list.
///
/// For the test kit and the stand-in: the functions sign nothing.
#[must_use]
pub fn sign(key: &Key, id: &str, timestamp: Timestamp, body: &[u8]) -> String {
    let mac = key.mac(id, &timestamp.as_second().to_string(), body);
    format!("{VERSION},{}", STANDARD.encode(mac.finalize().into_bytes()))
}

/// Checks the message id. The specification forbids `.`, because it separates the signed parts. A
/// genuine `a` + `1` + `2.{}` could be replayed as `a.1` + `2` + `{}` with the same signature.
fn check_id(id: &str) -> Result<DeliveryId, Refusal> {
    let malformed = Refusal::Malformed(Header::Id);
    if id.contains('.') {
        return Err(malformed);
    }
    DeliveryId::new(id).map_err(|_| malformed)
}

fn check_timestamp(text: &str, now: Timestamp) -> Result<(), Refusal> {
    let malformed = Refusal::Malformed(Header::Timestamp);
    // `parse` alone would accept `+7`, which no provider signs.
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

/// Decodes the `v1` entries. Other entries are skipped, so a provider may add other schemes.
fn candidates(list: &str) -> Result<Vec<[u8; MAC_BYTES]>, Refusal> {
    let entries = entries(list);
    if list.is_empty() || entries.len() > MAX_SIGNATURES {
        return Err(Refusal::Malformed(Header::Signature));
    }
    // Strict decoding gives each signature one spelling, so comparing bytes equals comparing texts.
    Ok(entries
        .into_iter()
        .filter_map(|entry| entry.split_once(','))
        .filter(|(version, _)| *version == VERSION)
        .filter_map(|(_, text)| STANDARD.decode(text).ok()?.try_into().ok())
        .collect())
}

/// The entries of one list, or of several that a gateway has joined to `v1,…,v1,…` or `v1,…, v1,…`
/// (RFC 9110, section 5.3). No base64 contains a comma. One entry more than allowed is enough.
fn entries(list: &str) -> Vec<&str> {
    let mut entries = Vec::new();
    let mut parts = list.split(' ').peekable();
    while let Some(part) = parts.next().filter(|_| entries.len() <= MAX_SIGNATURES) {
        let first = part.strip_suffix(',').filter(|_| parts.peek().is_some());
        let mut rest = first.unwrap_or(part);
        while let Some((entry, next)) = joined(rest).filter(|_| entries.len() <= MAX_SIGNATURES) {
            entries.push(entry);
            rest = next;
        }
        entries.push(rest);
    }
    entries
}

/// The first entry, if a comma and the version of another entry follow it.
fn joined(text: &str) -> Option<(&str, &str)> {
    let of_version = |(comma, _): &(usize, &str)| {
        let next = text.get(comma + 1..).and_then(|next| next.split_once(','));
        next.is_some_and(|(version, _)| is_version(version))
    };
    // The comma of the first entry itself comes before.
    let (comma, _) = text.match_indices(',').skip(1).find(of_version)?;
    Some((text.get(..comma)?, text.get(comma + 1..)?))
}

/// True for `v1`, `v1a` and versions to come, which no base64 of a signature can be taken for.
fn is_version(text: &str) -> bool {
    text.len() <= 4
        && text.strip_prefix('v').is_some_and(|number| {
            number.starts_with(|c: char| c.is_ascii_digit())
                && number.bytes().all(|byte| byte.is_ascii_alphanumeric())
        })
}

#[cfg(test)]
mod tests;
