//! The payment providers of a stack.
//!
//! This is the only place that says which providers there are. A new provider adds a crate beside `flex`, one arm to
//! [`connected`] and one to `provider`, and its name to [`KNOWN`]; the template adds a route and two secrets.

use aws::{
    SystemClock,
    client::SdkConfig,
    secrets::{self, ApiKeySecret, Cache, DocumentSource, SecretsManager, WebhookSecrets},
    settings::Settings,
};
use domain::{
    delivery::{
        answer::Answer,
        event::{Reading, Unreadable},
        reference::Reference,
        secrets::{ApiKey, Keys},
    },
    ports::{Answering, ApiKeys, Clock, Provider, ProviderApi},
    upkeep::reconcile::{Ask, Page},
    values::{
        mode::Mode,
        outcome::{ReadError, RetryableError},
        provider::{Party, ProviderId, UnknownProvider},
    },
};
use jiff::Timestamp;
use rest::{BadSetUp, Limits};
use std::{
    collections::BTreeMap,
    fmt,
    sync::{Arc, LazyLock},
};

/// The names of the providers that the product knows.
pub const KNOWN: [&str; 2] = ["flex", "flint"];

/// The address of a provider's API, and the settings of a stack for the provider.
#[derive(Debug, Clone)]
pub struct Connection {
    pub base_url: String,
    /// The largest answer, in bytes; `None` for the provider's default.
    pub max_bytes: Option<usize>,
    /// Whether this stack mails receipts; `None` for the provider's default.
    pub receipts: Option<bool>,
}

/// The provider of that name, with its API. The error states the reason.
pub fn connected(name: &str, to: &Connection) -> Result<Arc<dyn Provider>, String> {
    let mut limits = Limits::default();
    limits.bytes = to.max_bytes.unwrap_or(limits.bytes);
    let api: Result<Arc<dyn ProviderApi>, BadSetUp> = match name {
        "flex" => flex::Api::with_limits(&to.base_url, limits).map(|api| Arc::new(api) as _),
        "flint" => flint::Api::with_limits(&to.base_url, limits).map(|api| Arc::new(api) as _),
        _ => return Err(UnknownProvider.to_string()),
    };
    let api = api.map_err(|error| error.to_string())?;
    provider(name, Some(api), to.receipts)
}

/// The provider of that name, which checks and reads deliveries and fetches nothing. A function that needs no more links
/// no client of an API.
pub fn unconnected(name: &str) -> Result<Arc<dyn Provider>, String> {
    provider(name, None, None)
}

fn provider(
    name: &str,
    api: Option<Arc<dyn ProviderApi>>,
    receipts: Option<bool>,
) -> Result<Arc<dyn Provider>, String> {
    match name {
        "flex" => Ok(Arc::new(flex::Flex { api })),
        "flint" => {
            let receipts = match receipts {
                Some(true) => Party::Us,
                Some(false) | None => Party::Provider,
            };
            Ok(Arc::new(flint::Flint { api, receipts }))
        }
        _ => Err(UnknownProvider.to_string()),
    }
}

/// Reads a verified body of a provider that the product knows.
#[must_use]
pub fn read(id: &ProviderId, body: &[u8]) -> Reading {
    static READERS: LazyLock<Providers> = LazyLock::new(|| {
        let named = |name: &str| Some((name.parse().ok()?, unconnected(name).ok()?));
        let known = KNOWN.iter().filter_map(|name| named(name));
        known.fold(Providers::default(), |all, (id, provider)| {
            all.with(id, provider, None)
        })
    });
    READERS.read(id, body)
}

/// The providers of one stack, each with its API key, where a function may read it.
#[derive(Debug, Clone, Default)]
pub struct Providers(BTreeMap<ProviderId, Entry>);

#[derive(Debug, Clone)]
struct Entry {
    provider: Arc<dyn Provider>,
    keys: Option<Arc<dyn ApiKeys>>,
}

impl Providers {
    /// These and one more.
    #[must_use]
    pub fn with(
        mut self,
        id: ProviderId,
        provider: Arc<dyn Provider>,
        keys: Option<Arc<dyn ApiKeys>>,
    ) -> Self {
        self.0.insert(id, Entry { provider, keys });
        self
    }

    /// The name as an id, if this stack has such a provider.
    pub fn named(&self, name: &str) -> Result<ProviderId, UnknownProvider> {
        let id: ProviderId = name.parse().map_err(|_| UnknownProvider)?;
        self.of(&id).map(|_| id)
    }

    /// The provider of that name.
    pub fn of(&self, id: &ProviderId) -> Result<&Arc<dyn Provider>, UnknownProvider> {
        let entry = self.0.get(id).ok_or(UnknownProvider)?;
        Ok(&entry.provider)
    }

    /// Every provider, by name.
    pub fn ids(&self) -> impl Iterator<Item = &ProviderId> {
        self.0.keys()
    }

    /// Reads a verified body.
    #[must_use]
    pub fn read(&self, id: &ProviderId, body: &[u8]) -> Reading {
        match self.of(id) {
            Ok(provider) => provider.read(body),
            Err(UnknownProvider) => Reading::Unreadable(Unreadable::Missing("provider")),
        }
    }

    /// Fetches a thing as it is now. `asked_at` is our time, before the request.
    pub async fn fetch(
        &self,
        id: &ProviderId,
        reference: &Reference,
        asked_at: Timestamp,
    ) -> Result<Answer, ReadError> {
        let (provider, keys) = self.keyed(id)?;
        let key = keys.current().await;
        let first = provider.fetch(&key, reference, asked_at).await;
        match newer_key(keys, &key, &first).await {
            Some(newer) => provider.fetch(&newer, reference, asked_at).await,
            None => first,
        }
    }

    /// Reads one page of a list.
    pub async fn list(&self, id: &ProviderId, ask: Ask<'_>) -> Result<Page, ReadError> {
        let (provider, keys) = self.keyed(id)?;
        let key = keys.current().await;
        let first = provider.list(&key, ask).await;
        match newer_key(keys, &key, &first).await {
            Some(newer) => provider.list(&newer, ask).await,
            None => first,
        }
    }

    fn keyed(&self, id: &ProviderId) -> Result<(&dyn Provider, &dyn ApiKeys), ReadError> {
        let entry = self.0.get(id);
        let keyed = entry.and_then(|entry| Some((&*entry.provider, &**entry.keys.as_ref()?)));
        keyed.ok_or_else(|| {
            let cause = format!("this function has no API key of provider `{id}`");
            let service = "the provider's API";
            RetryableError::SetUp { service, cause }.into()
        })
    }
}

/// The key to read with once more: a refused key may have been rotated.
async fn newer_key<T>(
    keys: &dyn ApiKeys,
    key: &ApiKey,
    first: &Result<T, ReadError>,
) -> Option<ApiKey> {
    let Err(ReadError::KeyRefused { .. }) = first else {
        return None;
    };
    keys.reread().await.filter(|newer| newer != key)
}

/// An API key in a secret that is read again by the rules of [`Cache`].
pub struct CachedKey<S, C>(pub Cache<S, ApiKey, C>);

impl<S, C> fmt::Debug for CachedKey<S, C> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("CachedKey(…)")
    }
}

impl<S: DocumentSource, C: Clock> ApiKeys for CachedKey<S, C> {
    fn current(&self) -> Answering<'_, ApiKey> {
        Box::pin(async { ApiKey::clone(&*self.0.current().await) })
    }

    fn reread(&self) -> Answering<'_, Option<ApiKey>> {
        Box::pin(async { self.0.reread().await.map(|key| ApiKey::clone(&key)) })
    }
}

/// Reads a provider's API key from the text of its secret, or names all that is wrong, never quoting it. A key of the
/// other mode could only ever read the other mode's data.
pub fn read_api_key(
    provider: &dyn Provider,
    name: &str,
    text: &str,
    stack: Mode,
) -> Result<ApiKey, Vec<String>> {
    let secret = secret_name(name, "ApiKey");
    let Some(key) = ApiKey::new(&secrets::parse::<ApiKeySecret>(text)?.api_key) else {
        return Err(vec![format!(
            "{secret} has no api_key: copy it from the provider's dashboard"
        )]);
    };
    match provider.key_mode(&key) {
        None => Err(vec![format!(
            "{secret} does not look like an API key of {name}"
        )]),
        Some(mode) if mode != stack => Err(vec![format!(
            "{secret} is a {mode} key, and this stack's Mode is {stack}"
        )]),
        Some(_) => Ok(key),
    }
}

/// Reads a provider's signing keys from the text of its secret, or names all that is wrong, never quoting it. Without a
/// key no delivery could be verified, so an empty list is wrong too.
pub fn read_signing_keys(
    provider: &dyn Provider,
    name: &str,
    text: &str,
) -> Result<Keys, Vec<String>> {
    let secret = secret_name(name, "WebhookSecrets");
    let secrets = secrets::parse::<WebhookSecrets>(text)?.webhook_secrets;
    if secrets.is_empty() {
        return Err(vec![format!(
            "{secret} has no webhook_secrets: copy the signing secret of the webhook endpoint there"
        )]);
    }
    let (mut keys, mut problems) = (Keys::new(), Vec::new());
    for (n, text) in secrets.iter().enumerate() {
        match provider.signing_key(text) {
            Ok(key) => keys.push(key),
            Err(why) => problems.push(format!("{secret}, webhook_secrets[{n}]: {why}")),
        }
    }
    if problems.is_empty() {
        Ok(keys)
    } else {
        Err(problems)
    }
}

/// The template's name of a provider's secret: `FlexApiKey`.
fn secret_name(provider: &str, what: &str) -> String {
    let (first, rest) = provider.split_at(provider.len().min(1));
    format!("{}{rest}{what}", first.to_uppercase())
}

/// The signing keys of one provider in Secrets Manager.
pub type CachedKeys = Cache<SecretsManager, Keys, SystemClock>;

/// Opens every provider that has a secret for its webhooks, and notes all problems in `settings`.
pub async fn open_webhooks(
    settings: &mut Settings<'_>,
    config: &SdkConfig,
) -> (Providers, BTreeMap<ProviderId, CachedKeys>) {
    let (mut providers, mut keys) = (Providers::default(), BTreeMap::new());
    for (name, arn) in with_secret(settings, "WEBHOOK_SECRETS_ARN") {
        let (Some(provider), Ok(id)) = (
            settings.noted(unconnected(name)),
            name.parse::<ProviderId>(),
        ) else {
            continue;
        };
        let of = Arc::clone(&provider);
        let read: secrets::Read<Keys> =
            Arc::new(move |text: &str| read_signing_keys(&*of, name, text));
        if let Some(opened) = settings.noted(secrets::open(config, &arn, read).await) {
            keys.insert(id.clone(), opened);
            providers = providers.with(id, provider, None);
        }
    }
    (providers, keys)
}

/// Opens every provider that has a secret for its API, and notes all problems in `settings`. `max_bytes` is the largest
/// answer.
pub async fn open_apis(
    settings: &mut Settings<'_>,
    config: &SdkConfig,
    mode: Option<Mode>,
    max_bytes: Option<usize>,
) -> Providers {
    let mut providers = Providers::default();
    let secrets = with_secret(settings, "API_KEY_ARN");
    if secrets.is_empty() {
        // Named together with the missing secret.
        missing(settings, "API_BASE_URL");
    }
    for (name, arn) in secrets {
        let base_url = settings.text(&setting(name, "API_BASE_URL"));
        let receipts = setting(name, "RECEIPTS");
        let receipts = settings
            .optional(&receipts)
            .and_then(|_| settings.switch(&receipts));
        let connection = base_url.map(|base_url| Connection {
            base_url,
            max_bytes,
            receipts,
        });
        let connected = connection.and_then(|connection| {
            let tried = connected(name, &connection);
            settings.noted(tried)
        });
        let keys = match mode {
            Some(mode) => open_key(settings, config, (name, &arn), mode).await,
            None => None,
        };
        if let (Some(provider), Some(keys), Ok(id)) = (connected, keys, name.parse()) {
            providers = providers.with(id, provider, Some(keys));
        }
    }
    providers
}

/// Opens the secret of an API key. It is checked even if the address is wrong, so that both problems are named.
async fn open_key(
    settings: &mut Settings<'_>,
    config: &SdkConfig,
    (name, arn): (&'static str, &str),
    mode: Mode,
) -> Option<Arc<dyn ApiKeys>> {
    let of = settings.noted(unconnected(name))?;
    let read: secrets::Read<ApiKey> =
        Arc::new(move |text: &str| read_api_key(&*of, name, text, mode));
    let opened = settings.noted(secrets::open(config, arn, read).await)?;
    Some(Arc::new(CachedKey(opened)))
}

/// The providers whose secret is set. A stack needs one at least.
fn with_secret(settings: &mut Settings<'_>, what: &str) -> Vec<(&'static str, String)> {
    let found = |name: &'static str| Some((name, settings.optional(&setting(name, what))?));
    let found: Vec<_> = KNOWN.into_iter().filter_map(found).collect();
    if found.is_empty() {
        missing(settings, what);
    }
    found
}

/// Notes that a setting is missing for each provider: any of them is enough.
fn missing(settings: &mut Settings<'_>, what: &str) {
    let [first, others @ ..] = KNOWN.map(|name| setting(name, what));
    let others = others.join(" or ");
    settings.problem(format!("the setting {first} is missing, or {others}"));
}

fn setting(provider: &str, what: &str) -> String {
    format!("{}_{what}", provider.to_uppercase())
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn keys(text: &str) -> Result<Keys, Vec<String>> {
        read_signing_keys(&*unconnected("flex").unwrap(), "flex", text)
    }

    /// The document with these secrets.
    fn read(secrets: &[&str]) -> Result<usize, Vec<String>> {
        keys(&json!({ "webhook_secrets": secrets }).to_string()).map(|keys| keys.len())
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
        assert!(keys("{}").is_err());
        let problems = read(&["", "fwhsec_", "fwhsec_!bad!"]).unwrap_err();
        assert_eq!(problems.len(), 3);
        assert!(
            problems.iter().all(|problem| !problem.contains("!bad!")),
            "{problems:?}"
        );
    }

    #[test]
    fn a_flint_secret_of_another_length_is_named_without_being_quoted() {
        let flint = unconnected("flint").unwrap();
        let read = |secret: &str| {
            let text = json!({ "webhook_secrets": [secret] }).to_string();
            read_signing_keys(&*flint, "flint", &text).map(|keys| keys.len())
        };
        let of_32_bytes = "whsec_AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=";
        assert_eq!(read(of_32_bytes), Ok(1));
        let wrong = "FlintWebhookSecrets, webhook_secrets[0]: a webhook secret does not have 32 bytes: \
                     copy all of it from the provider's dashboard";
        let of_24_bytes = "whsec_QUJDREVGR0hJSktMTU5PUFFSU1RVVldY";
        assert_eq!(read(of_24_bytes), Err(vec![wrong.to_owned()]));
    }

    #[test]
    fn a_provider_that_sends_receipts_leaves_them_to_this_stack_if_it_is_set_so() {
        let receipts = |name, receipts| {
            let connection = Connection {
                base_url: "https://api.example.com".to_owned(),
                max_bytes: None,
                receipts,
            };
            let provider = connected(name, &connection).unwrap();
            provider.policies().receipts
        };
        assert_eq!(receipts("flint", None), Party::Provider);
        assert_eq!(receipts("flint", Some(false)), Party::Provider);
        assert_eq!(receipts("flint", Some(true)), Party::Us);
        assert_eq!(receipts("flex", None), Party::Us);
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
