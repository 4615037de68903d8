//! The providers' APIs as two ports, of single things and of lists: each read with its key, which may have been replaced since it was read.

use aws::secrets::{Cache, Document, Store};
use domain::{
    checkout::Checkout,
    delivery::Provider,
    event::RefundsOf,
    ids::{OrderId, PaymentIntentId, SubscriptionId},
    mode::Mode,
    ports::{Clock, Listing, ProviderApi, ReadError},
    reconcile::{Ask, Page},
    refund,
    secrets::ApiKey,
    subscription,
};
use std::collections::BTreeMap;

/// API keys by provider.
pub type ApiKeys = BTreeMap<Provider, ApiKey>;

/// The providers' APIs.
#[derive(Debug)]
pub struct Providers<S, C> {
    /// Flex's.
    pub flex: flex::Api,
    /// The keys, held for a while and read anew when one is refused.
    pub keys: Cache<S, ApiKeys, C>,
}

impl<S: Store, C: Clock> ProviderApi for Providers<S, C> {
    async fn checkout(&self, provider: Provider, order_id: &OrderId) -> Result<Checkout, ReadError> {
        let Self { flex, .. } = self;
        match provider {
            Provider::Flex => {
                self.with_key(provider, |key| async move { flex.checkout(&key, order_id).await }).await
            }
        }
    }

    async fn checkout_of(
        &self,
        provider: Provider,
        payment: &PaymentIntentId,
    ) -> Result<Option<OrderId>, ReadError> {
        let Self { flex, .. } = self;
        match provider {
            Provider::Flex => {
                self.with_key(provider, |key| async move { flex.checkout_of(&key, payment).await }).await
            }
        }
    }

    async fn refunds(&self, provider: Provider, of: &RefundsOf) -> Result<Vec<refund::News>, ReadError> {
        let Self { flex, .. } = self;
        match provider {
            Provider::Flex => {
                self.with_key(provider, |key| async move { flex.refunds(&key, of).await }).await
            }
        }
    }

    async fn subscription(
        &self,
        provider: Provider,
        id: &SubscriptionId,
    ) -> Result<subscription::News, ReadError> {
        let Self { flex, .. } = self;
        match provider {
            Provider::Flex => {
                self.with_key(provider, |key| async move { flex.subscription(&key, id).await }).await
            }
        }
    }
}

impl<S: Store, C: Clock> Listing for Providers<S, C> {
    async fn list(&self, provider: Provider, ask: Ask<'_>) -> Result<Page, ReadError> {
        let Self { flex, .. } = self;
        let ask = &ask;
        match provider {
            Provider::Flex => self.with_key(provider, |key| async move { flex.list(&key, ask).await }).await,
        }
    }
}

impl<S: Store, C: Clock> Providers<S, C> {
    /// Reads with the provider's key. If it is refused it may have been rotated: one more try with a newer one, if
    /// there is one.
    async fn with_key<T, F: Future<Output = Result<T, ReadError>>>(
        &self,
        provider: Provider,
        read: impl Fn(ApiKey) -> F,
    ) -> Result<T, ReadError> {
        let none = ReadError::KeyRefused { status: 401 };
        let keys = self.keys.current().await;
        let first = match keys.get(&provider) {
            Some(key) => read(key.clone()).await,
            None => Err(none.clone()),
        };
        let Err(refused @ ReadError::KeyRefused { .. }) = first else { return first };
        match self.keys.reread().await {
            Some(newer) if newer != keys => match newer.get(&provider) {
                Some(key) => read(key.clone()).await,
                None => Err(none),
            },
            _ => Err(refused),
        }
    }
}

/// Reads the API keys, or names all that is wrong. A key of the other mode could only ever read the other
/// mode's checkouts.
fn api_keys(document: &Document, stack: Mode) -> Result<ApiKeys, Vec<String>> {
    let provider = Provider::Flex;
    let text =
        document.get(&provider.to_string()).map(|secrets| secrets.api_key.as_str()).unwrap_or_default();
    let Some(key) = ApiKey::new(text) else {
        return Err(vec![format!(
            "the secret has no {provider}.api_key: copy it from the provider's dashboard"
        )]);
    };
    match flex::key_mode(&key) {
        None => Err(vec![format!("{provider}.api_key does not look like a key (fsk_… or fsk_test_…)")]),
        Some(mode) if mode != stack => {
            Err(vec![format!("{provider}.api_key is a {mode} key, and this stack's Mode is {stack}")])
        }
        Some(_) => Ok(BTreeMap::from([(provider, key)])),
    }
}

/// How the keys are read on a stack of that mode.
#[must_use]
pub fn read_keys(stack: Mode) -> aws::secrets::Read<ApiKeys> {
    match stack {
        Mode::Live => |document| api_keys(document, Mode::Live),
        Mode::Test => |document| api_keys(document, Mode::Test),
    }
}
