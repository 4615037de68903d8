//! Every provider's signing keys, each from its own secret.

use aws::secrets::{self, Cache, Store, WebhookSecrets};
use domain::{
    delivery::secrets::Keys,
    ports::{Clock, SigningKeys},
    values::provider::Provider,
};

/// The signing keys, held for a while and read again by the rules of [`Cache`].
#[derive(Debug)]
pub struct Secrets<S, C> {
    /// Flex's.
    pub flex: Cache<S, Keys, C>,
}

impl<S: Store, C: Clock> Secrets<S, C> {
    fn of(&self, provider: Provider) -> &Cache<S, Keys, C> {
        match provider {
            Provider::Flex => &self.flex,
        }
    }
}

impl<S: Store, C: Clock> SigningKeys for Secrets<S, C> {
    async fn keys(&self, provider: Provider) -> Keys {
        Keys::clone(&*self.of(provider).current().await)
    }

    async fn reread(&self, provider: Provider) -> Option<Keys> {
        self.of(provider)
            .reread()
            .await
            .map(|keys| Keys::clone(&keys))
    }
}

/// Reads Flex's signing keys, or names all that is wrong. Without a key no delivery could be verified, so an empty list
/// is wrong too.
pub fn flex_keys(text: &str) -> Result<Keys, Vec<String>> {
    let secrets = secrets::parse::<WebhookSecrets>(text)?.webhook_secrets;
    if secrets.is_empty() {
        return Err(vec![
            "FlexWebhookSecrets has no webhook_secrets: copy the signing secret of the webhook endpoint there"
                .to_owned(),
        ]);
    }
    let (mut keys, mut problems) = (Keys::new(), Vec::new());
    for (n, secret) in secrets.iter().enumerate() {
        match flex::secret::key(secret) {
            Ok(key) => keys.push(key),
            Err(why) => problems.push(format!("FlexWebhookSecrets, webhook_secrets[{n}]: {why}")),
        }
    }
    if problems.is_empty() {
        Ok(keys)
    } else {
        Err(problems)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    /// The document with these secrets.
    fn read(secrets: &[&str]) -> Result<usize, Vec<String>> {
        flex_keys(&json!({ "webhook_secrets": secrets }).to_string()).map(|keys| keys.len())
    }

    #[test]
    fn two_secrets_count_at_once() {
        let both = [
            "fwhsec_Y2NhZDczMDYtNDEyYi0xMWVlLTg5MTItNGY4Y2E5ZmU1MmI4",
            "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw",
        ];
        assert_eq!(read(&both), Ok(2));
    }

    #[test]
    fn a_secret_that_can_never_verify_is_named_without_being_quoted() {
        assert!(read(&[]).unwrap_err()[0].contains("has no webhook_secrets"));
        assert!(flex_keys("{}").is_err());
        let problems = read(&["", "fwhsec_", "fwhsec_!bad!"]).unwrap_err();
        assert_eq!(problems.len(), 3);
        assert!(
            problems.iter().all(|problem| !problem.contains("!bad!")),
            "{problems:?}"
        );
    }

    #[test]
    fn a_secret_of_23_or_65_bytes_is_refused_and_one_of_24_or_64_is_not() {
        // 4 characters a 3 bytes.
        let of_23_bytes = "fwhsec_QUJDREVGR0hJSktMTU5PUFFSU1RVVlc=";
        let of_24_bytes = "fwhsec_QUJDREVGR0hJSktMTU5PUFFSU1RVVldY";
        let of_64_bytes = format!("whsec_{}QQ==", "QUJD".repeat(21));
        let of_65_bytes = format!("whsec_{}QUI=", "QUJD".repeat(21));
        assert_eq!(read(&[of_24_bytes, &of_64_bytes]), Ok(2));
        let problems = read(&[of_24_bytes, of_23_bytes, &of_65_bytes]).unwrap_err();
        let wrong = "a webhook secret has fewer than 24 or more than 64 bytes: \
                     copy all of it from the provider's dashboard";
        let expected = [1, 2].map(|n| format!("FlexWebhookSecrets, webhook_secrets[{n}]: {wrong}"));
        assert_eq!(problems, expected);
    }
}
