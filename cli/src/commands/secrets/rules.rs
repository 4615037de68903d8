//! The forms of secrets: names, documents, checks and fingerprints. Pure.

use crate::{args::SecretKind, backend::SecretText, error::Error};
use domain::{
    delivery::secrets::ApiKey,
    values::{fingerprint::fingerprint, mode::Mode},
};
use serde_json::Value;

/// The name of a secret in the template.
pub(crate) fn name(provider: &str, kind: SecretKind) -> &'static str {
    match (provider, kind) {
        ("flint", SecretKind::ApiKey) => "FlintApiKey",
        ("flint", SecretKind::Webhook) => "FlintWebhookSecrets",
        (_, SecretKind::ApiKey) => "FlexApiKey",
        (_, SecretKind::Webhook) => "FlexWebhookSecrets",
    }
}

/// The value, if it is one. People paste quotes too.
pub(super) fn cleaned(value: String) -> Result<String, Error> {
    if value.is_empty() {
        return Err(Error::usage("no value was typed"));
    }
    if value.contains(|letter: char| letter.is_whitespace() || letter == '"' || letter == '\'') {
        return Err(
            Error::usage("the value has quotes or spaces inside").cured_by("Paste only the value.")
        );
    }
    Ok(value)
}

/// A fingerprint: the kind and the first digits of the SHA-256. It shows nothing of the value.
#[must_use]
pub(crate) fn print(value: &str) -> String {
    const KINDS: [&str; 7] = [
        "fsk_test_",
        "fsk_",
        "fwhsec_",
        "whsec_",
        "flint_test_",
        "flint_live_",
        "flint_",
    ];
    let kind = KINDS
        .iter()
        .find(|kind| value.starts_with(**kind))
        .copied()
        .unwrap_or_default();
    let hash = fingerprint(value.as_bytes());
    format!("{kind} {}", hash.get(..8).unwrap_or_default())
        .trim()
        .to_owned()
}

/// Checks an API key against the provider and the mode of the stack.
pub(crate) fn check_key(provider: &str, value: &str, mode: Mode) -> Result<(), Error> {
    if value.contains("whsec_") {
        return Err(Error::usage("this is a signing secret, not an API key")
            .cured_by("till secrets put webhook"));
    }
    let adapter = providers::unconnected(provider).map_err(Error::usage)?;
    let key = ApiKey::new(value).ok_or_else(|| Error::usage("this is no API key"))?;
    match adapter.key_mode(&key) {
        None => Err(Error::usage(format!(
            "this does not look like an API key of {provider}"
        ))),
        Some(of) if of != mode => Err(Error::usage(format!(
            "this is a {of} key, and the stack is {mode}"
        ))
        .cured_by(format!("Create a {mode} key in the provider's dashboard."))),
        Some(_) => Ok(()),
    }
}

pub(super) fn check_webhook(provider: &str, value: &str) -> Result<(), Error> {
    if value.starts_with("fsk_") || value.starts_with("flint_") {
        return Err(Error::usage("this is an API key, not a signing secret")
            .cured_by("till secrets put api-key"));
    }
    let adapter = providers::unconnected(provider).map_err(Error::usage)?;
    let key = adapter.signing_key(value);
    key.map(drop)
        .map_err(|error| Error::usage(format!("the signing secret is wrong: {error}")))
}

/// The webhook secrets in a document; none if it has another form.
pub(crate) fn webhook_secrets(document: &SecretText) -> Vec<String> {
    let value: Value = serde_json::from_str(&document.text).unwrap_or_default();
    let list = value.get("webhook_secrets").and_then(Value::as_array);
    let texts = list.into_iter().flatten().filter_map(Value::as_str);
    texts.map(str::to_owned).collect()
}

/// The API key in a document.
pub(crate) fn api_key(document: &SecretText) -> Option<String> {
    let value: Value = serde_json::from_str(&document.text).ok()?;
    Some(value.get("api_key")?.as_str()?.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_fingerprint_shows_the_kind_and_nothing_of_the_value() {
        let print = print("fsk_test_verysecret");
        assert!(
            print.starts_with("fsk_test_ ") && !print.contains("secret"),
            "{print}"
        );
        assert_eq!(print.len(), "fsk_test_ ".len() + 8);
    }

    #[test]
    fn swapped_and_foreign_values_are_named() {
        let key = |value| check_key("flex", value, Mode::Live).unwrap_err().what;
        assert!(key("fwhsec_AAAA").contains("signing secret"));
        assert!(key("fsk_test_1").contains("test key"));
        assert!(key("sk_live_1").contains("does not look like"));
        assert!(check_key("flex", "fsk_1", Mode::Live).is_ok());
        let webhook = |value| check_webhook("flex", value).map_err(|error| error.what);
        assert!(webhook("fsk_1").unwrap_err().contains("API key"));
        assert!(webhook("whsec_!").is_err());
        assert!(webhook("whsec_Y2NhZDczMDYtNDEyYi0xMWVlLTg5MTItNGY4Y2E5ZmU1MmI4").is_ok());
        for bad in ["", "  ", "\"fsk_1\"", "fsk_ 1"] {
            assert!(cleaned(bad.to_owned()).is_err(), "{bad}");
        }
    }
}
