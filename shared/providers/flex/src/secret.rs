//! Webhook secrets and API keys, as Flex's dashboard shows them.

use domain::{
    delivery::{
        secrets::ApiKey,
        signature::{BadKey, Key},
    },
    values::mode::Mode,
};

/// The prefixes in Flex's documentation
/// (<https://docs.withflex.com/developer-guides/webhooks/verifying-webhooks.md>): its own, and
/// Svix's, which carries its webhooks. `_` is not in the base64 alphabet, so a prefix is never part
/// of the key.
const PREFIXES: [&str; 2] = ["fwhsec_", "whsec_"];

/// Makes the signing key from a webhook secret, with or without its prefix.
pub fn key(secret: &str) -> Result<Key, BadKey> {
    // Pasting into a console may add a line break.
    let secret = secret.trim();
    let base64 = PREFIXES
        .iter()
        .find_map(|prefix| secret.strip_prefix(prefix))
        .unwrap_or(secret);
    Key::from_base64(base64)
}

/// The mode of a key: `fsk_test_…` or `fsk_…`; `None` if it is not a Flex key.
///
/// <https://docs.withflex.com/api-reference/introduction>
#[must_use]
pub fn key_mode(key: &ApiKey) -> Option<Mode> {
    // The test prefix starts with the live prefix, so it is checked first.
    if key.reveal().starts_with("fsk_test_") {
        Some(Mode::Test)
    } else if key.reveal().starts_with("fsk_") {
        Some(Mode::Live)
    } else {
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use domain::delivery::signature::sign;
    use jiff::Timestamp;

    /// From Flex's page on verifying webhooks, with a signature computed by hand over its decoded
    /// bytes.
    const BASE64: &str = "Y2NhZDczMDYtNDEyYi0xMWVlLTg5MTItNGY4Y2E5ZmU1MmI4";

    #[test]
    fn a_prefix_makes_no_difference() {
        let signature =
            |secret: &str| sign(&key(secret).unwrap(), "msg_1", Timestamp::UNIX_EPOCH, b"{}");
        let bare = signature(BASE64);
        for prefix in ["fwhsec_", "whsec_"] {
            assert_eq!(signature(&format!("{prefix}{BASE64}")), bare, "{prefix}");
        }
        assert_eq!(signature(&format!(" fwhsec_{BASE64}\n")), bare);
    }

    #[test]
    fn a_prefix_alone_is_no_secret() {
        for secret in ["", " ", "whsec_", "fwhsec_"] {
            assert_eq!(key(secret).unwrap_err(), BadKey::Empty, "{secret:?}");
        }
    }

    #[test]
    fn one_prefix_is_taken_off_and_no_other_one() {
        for secret in [
            "whsec_whsec_AAAA",
            "fwhsec_whsec_AAAA",
            "whpk_AAAA",
            "fsk_test_AAAA",
        ] {
            assert_eq!(key(secret).unwrap_err(), BadKey::NotBase64, "{secret}");
        }
    }

    #[test]
    fn a_test_key_is_told_from_a_live_one() {
        let mode = |text| key_mode(&ApiKey::new(text).unwrap());
        assert_eq!(mode("fsk_test_0"), Some(Mode::Test));
        assert_eq!(mode("fsk_0"), Some(Mode::Live));
        assert_eq!(mode("fsk_tes"), Some(Mode::Live));
        assert_eq!(mode("sk_test_0"), None);
    }
}
