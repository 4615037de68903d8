//! The hash that compares bodies.

use sha2::{Digest, Sha256};
use std::fmt::Write as _;

/// Hashes a body, to compare two bodies with one id: SHA-256 of the bytes as received, in hex.
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_fingerprint_is_sha256_in_hex() {
        // FIPS 180-2, example B.1.
        assert_eq!(
            fingerprint(b"abc"),
            "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
        );
    }
}
