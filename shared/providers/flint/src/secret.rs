//! Webhook secrets and API keys, as Flint's dashboard shows them.

use domain::{
    delivery::{
        secrets::ApiKey,
        signature::{BadKey, Key},
    },
    values::mode::Mode,
};

const PREFIX: &str = "whsec_";
/// Each of Flint's secrets has this length. A text of another length was cut short or changed.
const BYTES: usize = 32;

/// Makes the signing key from a webhook secret: `whsec_`, then padded base64 of 32 bytes.
pub fn key(secret: &str) -> Result<Key, BadKey> {
    // Pasting into a console may add a line break.
    let secret = secret.trim();
    if secret.is_empty() {
        return Err(BadKey::Empty);
    }
    let base64 = secret.strip_prefix(PREFIX);
    Key::of_length(base64.ok_or(BadKey::Prefix(PREFIX))?, BYTES)
}

/// The mode of a key: `flint_test_…` or `flint_live_…`; `None` if it is not a Flint key.
///
/// <https://developers.withflintpay.com/docs/guides/sandboxes>
#[must_use]
pub fn key_mode(key: &ApiKey) -> Option<Mode> {
    let of = |prefix: &str| key.reveal().starts_with(prefix);
    let live = of("flint_live_").then_some(Mode::Live);
    live.or_else(|| of("flint_test_").then_some(Mode::Test))
}

#[cfg(test)]
mod tests {
    use super::*;
    use domain::delivery::signature::sign;
    use jiff::Timestamp;

    /// The bytes 00 to 1f.
    const SECRET: &str = "whsec_AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=";

    #[test]
    fn a_secret_has_its_prefix_its_padding_and_32_bytes() {
        let signature = |secret: &str| {
            sign(
                &key(secret).unwrap(),
                "whev_1",
                Timestamp::UNIX_EPOCH,
                b"{}",
            )
        };
        let exact = signature(SECRET);
        assert_eq!(signature(&format!(" {SECRET}\n")), exact);
        let bare = SECRET.strip_prefix(PREFIX).unwrap();
        let without_padding = SECRET.strip_suffix('=').unwrap();
        // 40 characters of base64 have 30 bytes.
        let start = SECRET.split_at(PREFIX.len() + 40).0;
        for (secret, why) in [
            ("", BadKey::Empty),
            (" \n", BadKey::Empty),
            (bare, BadKey::Prefix(PREFIX)),
            ("flint_live_0", BadKey::Prefix(PREFIX)),
            ("fwhsec_AAAA", BadKey::Prefix(PREFIX)),
            (PREFIX, BadKey::Empty),
            ("whsec_!", BadKey::NotBase64),
            ("whsec_whsec_AAAA", BadKey::NotBase64),
            (without_padding, BadKey::NotBase64),
            (start, BadKey::OtherLength(32)),
            (&format!("{start}HA=="), BadKey::OtherLength(32)),
            (&format!("{start}HB0e"), BadKey::OtherLength(32)),
        ] {
            assert_eq!(key(secret).unwrap_err(), why, "{secret:?}");
        }
    }

    #[test]
    fn a_refused_secret_is_never_quoted_and_its_cure_is() {
        for secret in ["AAECAwQF", "whsec_AAECAwQF", "whsec_AAECAwQ"] {
            let why = key(secret).unwrap_err().to_string();
            assert!(!why.contains("AAEC"), "{why}");
            assert!(why.contains("copy all of it"), "{why}");
        }
    }

    #[test]
    fn the_prefix_of_a_key_is_its_mode() {
        let mode = |text| key_mode(&ApiKey::new(text).unwrap());
        assert_eq!(mode("flint_test_0"), Some(Mode::Test));
        assert_eq!(mode("flint_live_0"), Some(Mode::Live));
        for other in ["flint_0", "flint_tes", "fsk_test_0", "Flint_live_0"] {
            assert_eq!(mode(other), None, "{other}");
        }
    }
}
