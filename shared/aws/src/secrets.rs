//! The providers' secrets: JSON documents in Secrets Manager.
//!
//! Each provider has two, so that a function reads only the one that it needs: [`WebhookSecrets`] and [`ApiKeySecret`].
//!
//! A process keeps a secret for five minutes. It reads the secret again when a signature or a key does not fit. It does
//! so at most once per minute, because forged requests must not cause costs.

use crate::{SystemClock, failure::classified};
use aws_config::SdkConfig;
use aws_sdk_secretsmanager::Client;
use domain::{ports::Clock, values::outcome::RetryableError};
use jiff::Timestamp;
use serde::{Deserialize, de::DeserializeOwned};
use std::{fmt, sync::Arc, time::Duration};
use tokio::sync::Mutex;

/// A reading is fresh for this long.
pub const FRESH_FOR: Duration = Duration::from_mins(5);
/// The least time between two readings.
pub const REREAD_AFTER: Duration = Duration::from_mins(1);
/// The time limit of a reading while a request waits.
const READ_WITHIN: Duration = Duration::from_secs(2);

/// The JSON document of one secret.
///
/// An unknown member is an error: intake could read an API key beside the webhook secrets.
pub trait Document: DeserializeOwned {
    /// The document to write, for error texts.
    const SHAPE: &'static str;
}

/// A provider's webhook secrets. It cannot be printed.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct WebhookSecrets {
    /// Signing secrets, as the provider's dashboard shows them. Two during a rotation.
    pub webhook_secrets: Vec<String>,
}

impl Document for WebhookSecrets {
    const SHAPE: &'static str = r#"{"webhook_secrets":["…"]}"#;
}

/// The key for a provider's API. It cannot be printed.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ApiKeySecret {
    /// The key, as the provider's dashboard shows it.
    pub api_key: String,
}

impl Document for ApiKeySecret {
    const SHAPE: &'static str = r#"{"api_key":"…"}"#;
}

/// Parses a secret's text. The problems never quote it.
pub fn parse<D: Document>(text: &str) -> Result<D, Vec<String>> {
    // serde_json's message may quote the document; its position may not.
    serde_json::from_str(text).map_err(|error| {
        let (line, column) = (error.line(), error.column());
        vec![format!(
            "a secret is not the JSON document {} (line {line}, column {column})",
            D::SHAPE
        )]
    })
}

/// Makes a value from a secret's text. The problems never quote the text.
pub type Read<T> = Arc<dyn Fn(&str) -> Result<T, Vec<String>> + Send + Sync>;

/// The place that a secret's document is read from.
pub trait DocumentSource: Send + Sync {
    /// Reads the whole text.
    fn fetch(&self) -> impl Future<Output = Result<String, RetryableError>> + Send;
}

/// A document in Secrets Manager.
#[derive(Debug, Clone)]
pub struct SecretsManager {
    client: Client,
    secret_id: String,
}

impl SecretsManager {
    /// The secret of that name or ARN.
    #[must_use]
    pub fn new(client: Client, secret_id: impl Into<String>) -> Self {
        Self {
            client,
            secret_id: secret_id.into(),
        }
    }
}

impl DocumentSource for SecretsManager {
    async fn fetch(&self) -> Result<String, RetryableError> {
        let found = self
            .client
            .get_secret_value()
            .secret_id(&self.secret_id)
            .send()
            .await
            .map_err(|error| classified("Secrets Manager", &error))?;
        found.secret_string.ok_or_else(|| RetryableError::SetUp {
            service: "Secrets Manager",
            cause: "the secret holds bytes, not a JSON text".to_owned(),
        })
    }
}

/// The reason why a secret gave no value.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SecretsError {
    #[error(transparent)]
    Unavailable(#[from] RetryableError),
    /// The problems of its text.
    #[error("{}", .0.join("; "))]
    Wrong(Vec<String>),
}

impl From<SecretsError> for RetryableError {
    fn from(error: SecretsError) -> Self {
        match error {
            SecretsError::Unavailable(error) => error,
            SecretsError::Wrong(problems) => Self::SetUp {
                service: "Secrets Manager",
                cause: problems.join("; "),
            },
        }
    }
}

/// Opens the secret with that name or ARN at the start of a process.
pub async fn open<T: Send + Sync>(
    config: &SdkConfig,
    secret_id: &str,
    read: Read<T>,
) -> Result<Cache<SecretsManager, T, SystemClock>, SecretsError> {
    Cache::open(
        SecretsManager::new(Client::new(config), secret_id),
        read,
        SystemClock,
    )
    .await
}

/// A value from a secret, kept for a while.
pub struct Cache<S, T, C> {
    store: S,
    read: Read<T>,
    clock: C,
    held: Mutex<Held<T>>,
}

impl<S, T, C> fmt::Debug for Cache<S, T, C> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Cache(…)")
    }
}

#[derive(Debug)]
struct Held<T> {
    value: Arc<T>,
    read_at: Timestamp,
    /// The last try, successful or not.
    tried_at: Timestamp,
}

impl<S: DocumentSource, T: Send + Sync, C: Clock> Cache<S, T, C> {
    /// Reads the secret for the first time.
    pub async fn open(store: S, read: Read<T>, clock: C) -> Result<Self, SecretsError> {
        let value = Arc::new(fetch(&store, &read).await?);
        let now = clock.now();
        Ok(Self {
            store,
            read,
            clock,
            held: Mutex::new(Held {
                value,
                read_at: now,
                tried_at: now,
            }),
        })
    }

    /// The value, read again if it is old. If the store is unavailable, the old value stays in use.
    pub async fn current(&self) -> Arc<T> {
        let mut held = self.held.lock().await;
        let now = self.clock.now();
        let aged = now.duration_since(held.read_at).unsigned_abs() >= FRESH_FOR;
        if aged && may_try(&held, now) {
            self.refresh(&mut held, now).await;
        }
        Arc::clone(&held.value)
    }

    /// The value, read again because the old one did not fit. `None` if the last try is less than a minute old or fails.
    pub async fn reread(&self) -> Option<Arc<T>> {
        let mut held = self.held.lock().await;
        let now = self.clock.now();
        (may_try(&held, now) && self.refresh(&mut held, now).await).then(|| Arc::clone(&held.value))
    }

    async fn refresh(&self, held: &mut Held<T>, now: Timestamp) -> bool {
        held.tried_at = now;
        let fetched = tokio::time::timeout(READ_WITHIN, fetch(&self.store, &self.read)).await;
        match fetched.unwrap_or(Err(SecretsError::Unavailable(RetryableError::OutOfTime))) {
            Ok(value) => {
                held.value = Arc::new(value);
                held.read_at = now;
                true
            }
            Err(error) => {
                tracing::error!(
                    secret_refresh_failed = true,
                    reason = %error,
                    "a secret was not read again; the old value stays in use"
                );
                false
            }
        }
    }
}

fn may_try<T>(held: &Held<T>, now: Timestamp) -> bool {
    now.duration_since(held.tried_at).unsigned_abs() >= REREAD_AFTER
}

async fn fetch<S: DocumentSource, T>(store: &S, read: &Read<T>) -> Result<T, SecretsError> {
    read(&store.fetch().await?).map_err(SecretsError::Wrong)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::{
        Mutex as Lock,
        atomic::{AtomicI64, AtomicUsize, Ordering},
    };
    use tracing_subscriber::util::SubscriberInitExt as _;

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

    impl DocumentSource for Arc<World> {
        async fn fetch(&self) -> Result<String, RetryableError> {
            self.fetches.fetch_add(1, Ordering::SeqCst);
            self.text
                .lock()
                .unwrap()
                .clone()
                .ok_or(RetryableError::OutOfTime)
        }
    }

    fn api_key(text: &str) -> Result<String, Vec<String>> {
        let key = parse::<ApiKeySecret>(text)?.api_key;
        if key.is_empty() {
            Err(vec!["api_key is empty".to_owned()])
        } else {
            Ok(key)
        }
    }

    fn put(world: &World, key: &str) {
        *world.text.lock().unwrap() = Some(format!(r#"{{"api_key":"{key}"}}"#));
    }

    async fn opened(world: &Arc<World>) -> Cache<Arc<World>, String, Arc<World>> {
        put(world, "one");
        Cache::open(Arc::clone(world), Arc::new(api_key), Arc::clone(world))
            .await
            .unwrap()
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

    /// The lines that `work` logs, in the functions' format.
    async fn logged(work: impl Future<Output = ()>) -> String {
        #[derive(Clone, Default)]
        struct Lines(Arc<Lock<Vec<u8>>>);
        impl std::io::Write for Lines {
            fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
                self.0.lock().unwrap().extend(bytes);
                Ok(bytes.len())
            }
            fn flush(&mut self) -> std::io::Result<()> {
                Ok(())
            }
        }
        let lines = Lines::default();
        let writer = lines.clone();
        let subscriber = tracing_subscriber::fmt()
            .json()
            .flatten_event(true)
            .with_writer(move || writer.clone());
        // With one subscriber alone, `tracing` asks the thread that meets a line first whether anybody listens. The
        // other tests' threads have no subscriber. With two it asks the subscribers.
        let second = tracing_subscriber::registry().set_default();
        let logging = subscriber.set_default();
        work.await;
        drop((logging, second));
        String::from_utf8(lines.0.lock().unwrap().clone()).unwrap()
    }

    #[tokio::test]
    async fn a_failed_refresh_is_logged_in_the_field_that_the_alarm_counts() {
        let world = Arc::new(World::default());
        let cache = opened(&world).await;
        let lines = logged(async {
            // Away, then wrong, then good.
            for (second, text) in [
                (300, None),
                (360, Some("{}")),
                (420, Some(r#"{"api_key":"two"}"#)),
            ] {
                *world.text.lock().unwrap() = text.map(str::to_owned);
                world.now.store(second, Ordering::SeqCst);
                let _ = cache.current().await;
            }
        })
        .await;
        let lines: Vec<serde_json::Value> = lines
            .lines()
            .map(|line| serde_json::from_str(line).unwrap())
            .collect();
        let facts: Vec<_> = lines
            .iter()
            .map(|line| (&line["secret_refresh_failed"], line["reason"].as_str()))
            .collect();
        let failed = serde_json::Value::Bool(true);
        let wrong = r#"a secret is not the JSON document {"api_key":"…"} (line 1, column 2)"#;
        assert_eq!(
            facts,
            [(&failed, Some("out of time")), (&failed, Some(wrong))]
        );
        assert_eq!(*cache.current().await, "two");
    }

    #[tokio::test]
    async fn an_error_never_quotes_the_document() {
        let world = Arc::new(World::default());
        for text in [
            r#"{"api_key": ["fsk_verysecret"]}"#,
            r#"{"fsk_verysecret": ""}"#,
            "fsk_verysecret",
        ] {
            *world.text.lock().unwrap() = Some(text.to_owned());
            let error = Cache::open(Arc::clone(&world), Arc::new(api_key), Arc::clone(&world))
                .await
                .unwrap_err();
            let error = error.to_string();
            assert!(!error.contains("verysecret"), "{error}");
            assert!(
                error.contains(ApiKeySecret::SHAPE) && error.contains("line 1"),
                "{error}"
            );
        }
    }

    #[test]
    fn a_document_holds_its_own_purpose_only() {
        assert!(parse::<WebhookSecrets>(r#"{"webhook_secrets":["whsec_1","whsec_2"]}"#).is_ok());
        assert!(parse::<ApiKeySecret>(r#"{"api_key":"fsk_1"}"#).is_ok());
        let both = r#"{"webhook_secrets":["whsec_1"],"api_key":"fsk_1"}"#;
        assert!(parse::<WebhookSecrets>(both).is_err() && parse::<ApiKeySecret>(both).is_err());
    }
}
