//! What intake needs of the secrets document: every provider's signing keys.

use aws::secrets::Document;
use domain::{delivery::Provider, secrets::Keys};
use std::collections::BTreeMap;

/// Reads the signing keys, or names all that is wrong. Without a key nothing could ever be verified, so an empty
/// list is wrong too.
pub fn signing_keys(document: &Document) -> Result<BTreeMap<Provider, Keys>, Vec<String>> {
    let provider = Provider::Flex;
    let secrets = document.get(&provider.to_string()).cloned().unwrap_or_default();
    let mut problems = Vec::new();
    if secrets.webhook_secrets.is_empty() {
        problems.push(format!("the secret has no {provider}.webhook_secrets: copy the signing secret of the webhook endpoint there"));
    }
    let mut keys = Keys::new();
    for (n, secret) in secrets.webhook_secrets.iter().enumerate() {
        match flex::secret::key(secret) {
            Ok(key) => keys.push(key),
            Err(why) => problems.push(format!("{provider}.webhook_secrets[{n}]: {why}")),
        }
    }
    if problems.is_empty() { Ok(BTreeMap::from([(provider, keys)])) } else { Err(problems) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Result<usize, Vec<String>> {
        let document: Document = serde_json::from_str(text).unwrap();
        signing_keys(&document).map(|keys| keys[&Provider::Flex].len())
    }

    #[test]
    fn two_secrets_count_at_once() {
        let both = r#"{"flex":{"webhook_secrets":["fwhsec_Y2NhZDczMDYtNDEyYi0xMWVlLTg5MTItNGY4Y2E5ZmU1MmI4","whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"]}}"#;
        assert_eq!(read(both), Ok(2));
    }

    #[test]
    fn what_can_never_verify_is_named_without_being_quoted() {
        assert!(read("{}").unwrap_err()[0].contains("no flex.webhook_secrets"));
        assert!(read(r#"{"flex":{"webhook_secrets":[]}}"#).is_err());
        let problems = read(r#"{"flex":{"webhook_secrets":["", "fwhsec_", "fwhsec_!bad!"]}}"#).unwrap_err();
        assert_eq!(problems.len(), 3);
        assert!(problems.iter().all(|problem| !problem.contains("!bad!")), "{problems:?}");
    }
}
