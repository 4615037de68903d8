//! The providers' secrets: one JSON document in Secrets Manager.
//!
//! ```json
//! {"flex": {"webhook_secrets": ["fwhsec_…", "whsec_…"], "api_key": "fsk_…"}}
//! ```
//!
//! Kept in the process for five minutes, and read anew when a signature or a key does not fit, but never more
//! than once a minute whatever is sent to us: a stranger must not be able to spend our money.

use crate::{SystemClock, failure::setback};
use aws_config::SdkConfig;
use aws_sdk_secretsmanager::Client;
use domain::{
    delivery::Provider,
    outcome::Setback,
    ports::{Clock, SigningKeys},
    secrets::Keys,
};
use jiff::Timestamp;
use serde::Deserialize;
use std::{collections::BTreeMap, fmt, sync::Arc, time::Duration};
use tokio::sync::Mutex;

/// How long a reading is good for.
pub const FRESH_FOR: Duration = Duration::from_mins(5);
/// The least time between two readings.
pub const REREAD_AFTER: Duration = Duration::from_mins(1);
/// The most time that a reading may take beside a request that is waiting for its answer.
const READ_WITHIN: Duration = Duration::from_secs(2);

/// One provider's part of the document, as text. Prints nothing.
#[derive(Clone, Default, Deserialize)]
pub struct ProviderSecrets {
    /// Signing secrets, as the provider's dashboard shows them. Two during a rotation.
    #[serde(default)]
    pub webhook_secrets: Vec<String>,
    /// The key for the provider's API.
    #[serde(default)]
    pub api_key: String,
}

impl fmt::Debug for ProviderSecrets {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ProviderSecrets(…)")
    }
}

/// The document: providers by name.
pub type Document = BTreeMap<String, ProviderSecrets>;

/// Turns the document into what a function needs, or says what is wrong with it (never quoting it).
pub type Read<T> = fn(&Document) -> Result<T, Vec<String>>;

/// Where the document lies.
pub trait Store: Send + Sync {
    /// Reads the whole text.
    fn fetch(&self) -> impl Future<Output = Result<String, Setback>> + Send;
}

/// The document in Secrets Manager.
#[derive(Debug, Clone)]
pub struct SecretsManager {
    client: Client,
    secret_id: String,
}

impl SecretsManager {
    /// The secret of that name or ARN.
    #[must_use]
    pub fn new(client: Client, secret_id: impl Into<String>) -> Self {
        Self { client, secret_id: secret_id.into() }
    }
}

impl Store for SecretsManager {
    async fn fetch(&self) -> Result<String, Setback> {
        let found = self
            .client
            .get_secret_value()
            .secret_id(&self.secret_id)
            .send()
            .await
            .map_err(|error| setback("Secrets Manager", &error))?;
        found.secret_string.ok_or_else(|| Setback::SetUp {
            service: "Secrets Manager",
            cause: "the secret holds bytes, not a JSON text".to_owned(),
        })
    }
}

/// Why the document gave nothing.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SecretsError {
    /// It could not be read.
    #[error(transparent)]
    Setback(#[from] Setback),
    /// It was read and is of no use.
    #[error("{}", .0.join("; "))]
    Wrong(Vec<String>),
}

impl From<SecretsError> for Setback {
    fn from(error: SecretsError) -> Self {
        match error {
            SecretsError::Setback(setback) => setback,
            SecretsError::Wrong(problems) => {
                Self::SetUp { service: "Secrets Manager", cause: problems.join("; ") }
            }
        }
    }
}

/// Opens the document in Secrets Manager under that name or ARN, for a process that has just started.
pub async fn open<T: Send + Sync>(
    config: &SdkConfig,
    secret_id: &str,
    read: Read<T>,
) -> Result<Cache<SecretsManager, T, SystemClock>, SecretsError> {
    Cache::open(SecretsManager::new(Client::new(config), secret_id), read, SystemClock).await
}

/// What was made of the document, kept for a while.
#[derive(Debug)]
pub struct Cache<S, T, C> {
    store: S,
    read: Read<T>,
    clock: C,
    held: Mutex<Held<T>>,
}

#[derive(Debug)]
struct Held<T> {
    value: Arc<T>,
    /// When the value was read.
    read_at: Timestamp,
    /// When a reading was last tried, well or not.
    tried_at: Timestamp,
}

impl<S: Store, T: Send + Sync, C: Clock> Cache<S, T, C> {
    /// Reads the document for the first time; without it nothing can work.
    pub async fn open(store: S, read: Read<T>, clock: C) -> Result<Self, SecretsError> {
        let value = Arc::new(fetch(&store, read).await?);
        let now = clock.now();
        Ok(Self { store, read, clock, held: Mutex::new(Held { value, read_at: now, tried_at: now }) })
    }

    /// What is held, read anew if it has aged. While the store is away, the old value serves on.
    pub async fn current(&self) -> Arc<T> {
        let mut held = self.held.lock().await;
        let now = self.clock.now();
        let aged = now.duration_since(held.read_at).unsigned_abs() >= FRESH_FOR;
        if aged && may_try(&held, now) {
            self.refresh(&mut held, now).await;
        }
        Arc::clone(&held.value)
    }

    /// Read anew because what is held did not fit. `None` when the last try is less than a minute old, or fails.
    pub async fn reread(&self) -> Option<Arc<T>> {
        let mut held = self.held.lock().await;
        let now = self.clock.now();
        (may_try(&held, now) && self.refresh(&mut held, now).await).then(|| Arc::clone(&held.value))
    }

    async fn refresh(&self, held: &mut Held<T>, now: Timestamp) -> bool {
        held.tried_at = now;
        let fetched = tokio::time::timeout(READ_WITHIN, fetch(&self.store, self.read)).await;
        match fetched.unwrap_or(Err(SecretsError::Setback(Setback::OutOfTime))) {
            Ok(value) => {
                held.value = Arc::new(value);
                held.read_at = now;
                true
            }
            Err(error) => {
                tracing::error!(reason = %error, "the provider secrets cannot be read; the old ones serve on");
                false
            }
        }
    }
}

fn may_try<T>(held: &Held<T>, now: Timestamp) -> bool {
    now.duration_since(held.tried_at).unsigned_abs() >= REREAD_AFTER
}

async fn fetch<S: Store, T>(store: &S, read: Read<T>) -> Result<T, SecretsError> {
    let text = store.fetch().await?;
    // serde_json's message may quote the document; its position may not.
    let document: Document = serde_json::from_str(&text).map_err(|error| {
        SecretsError::Wrong(vec![format!(
            "the provider secrets are not the JSON document they should be (line {}, column {})",
            error.line(),
            error.column()
        )])
    })?;
    read(&document).map_err(SecretsError::Wrong)
}

/// Signing keys by provider, held and read anew by these rules.
impl<S: Store, C: Clock> SigningKeys for Cache<S, BTreeMap<Provider, Keys>, C> {
    async fn keys(&self, provider: Provider) -> Keys {
        self.current().await.get(&provider).cloned().unwrap_or_default()
    }

    async fn reread(&self, provider: Provider) -> Option<Keys> {
        self.reread().await.and_then(|keys| keys.get(&provider).cloned())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::{
        Mutex as Lock,
        atomic::{AtomicI64, AtomicUsize, Ordering},
    };

    #[derive(Debug, Default)]
    struct World {
        now: AtomicI64,
        fetches: AtomicUsize,
        text: Lock<Option<String>>,
    }

    impl Clock for World {
        fn now(&self) -> Timestamp {
            Timestamp::from_second(self.now.load(Ordering::SeqCst)).unwrap()
        }
    }

    impl Store for Arc<World> {
        async fn fetch(&self) -> Result<String, Setback> {
            self.fetches.fetch_add(1, Ordering::SeqCst);
            self.text.lock().unwrap().clone().ok_or(Setback::OutOfTime)
        }
    }

    fn api_key(document: &Document) -> Result<String, Vec<String>> {
        let key = document.get("flex").map(|flex| flex.api_key.clone()).unwrap_or_default();
        if key.is_empty() { Err(vec!["flex.api_key is empty".to_owned()]) } else { Ok(key) }
    }

    fn put(world: &World, key: &str) {
        *world.text.lock().unwrap() = Some(format!(r#"{{"flex":{{"api_key":"{key}"}}}}"#));
    }

    async fn opened(world: &Arc<World>) -> Cache<Arc<World>, String, Arc<World>> {
        put(world, "one");
        Cache::open(Arc::clone(world), api_key, Arc::clone(world)).await.unwrap()
    }

    #[tokio::test]
    async fn an_aged_value_is_read_anew_and_a_fresh_one_is_not() {
        let world = Arc::new(World::default());
        let cache = opened(&world).await;
        put(&world, "two");
        world.now.store(299, Ordering::SeqCst);
        assert_eq!(*cache.current().await, "one");
        world.now.store(300, Ordering::SeqCst);
        assert_eq!(*cache.current().await, "two");
        assert_eq!(world.fetches.load(Ordering::SeqCst), 2);
    }

    #[tokio::test]
    async fn a_mismatch_reads_anew_at_most_once_a_minute_whatever_is_sent() {
        let world = Arc::new(World::default());
        let cache = opened(&world).await;
        put(&world, "two");
        for second in 0..600 {
            world.now.store(second, Ordering::SeqCst);
            for _ in 0..20 {
                let _ = cache.reread().await;
                let _ = cache.current().await;
            }
        }
        assert_eq!(world.fetches.load(Ordering::SeqCst), 1 + 9);
    }

    #[tokio::test]
    async fn while_the_store_is_away_or_wrong_the_old_value_serves_on() {
        let world = Arc::new(World::default());
        let cache = opened(&world).await;
        *world.text.lock().unwrap() = None;
        world.now.store(1000, Ordering::SeqCst);
        assert_eq!(*cache.current().await, "one");
        world.now.store(2000, Ordering::SeqCst);
        put(&world, "");
        assert!(cache.reread().await.is_none());
        assert_eq!(*cache.current().await, "one");
    }

    #[tokio::test]
    async fn an_error_never_quotes_the_document() {
        let world = Arc::new(World::default());
        *world.text.lock().unwrap() = Some(r#"{"flex": "fwhsec_verysecret"}"#.to_owned());
        let error = Cache::open(Arc::clone(&world), api_key, Arc::clone(&world)).await.unwrap_err();
        assert!(!error.to_string().contains("verysecret"), "{error}");
        assert!(error.to_string().contains("line 1"), "{error}");
    }
}
