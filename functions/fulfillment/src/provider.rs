//! The providers' APIs as one port: each read with its key, which may have been replaced since it was read.

use aws::secrets::{Cache, Document, Store};
use domain::{
    checkout::Checkout,
    delivery::Provider,
    ids::OrderId,
    mode::Mode,
    ports::{Checkouts, Clock, ReadError},
    secrets::ApiKey,
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

impl<S: Store, C: Clock> Checkouts for Providers<S, C> {
    async fn checkout(&self, provider: Provider, order_id: &OrderId) -> Result<Checkout, ReadError> {
        let keys = self.keys.current().await;
        match self.read(provider, &keys, order_id).await {
            // Perhaps the key has been rotated: one more try with a newer one, if there is one.
            Err(refused @ ReadError::KeyRefused { .. }) => match self.keys.reread().await {
                Some(newer) if newer != keys => self.read(provider, &newer, order_id).await,
                _ => Err(refused),
            },
            read => read,
        }
    }
}

impl<S: Store, C: Clock> Providers<S, C> {
    async fn read(
        &self,
        provider: Provider,
        keys: &ApiKeys,
        order_id: &OrderId,
    ) -> Result<Checkout, ReadError> {
        let key = keys.get(&provider).ok_or(ReadError::KeyRefused { status: 401 })?;
        match provider {
            Provider::Flex => self.flex.checkout(key, order_id).await,
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
