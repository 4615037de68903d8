//! The signing keys of each provider, from the provider's secret.

use aws::secrets::{Cache, DocumentSource};
use domain::{
    delivery::secrets::Keys,
    ports::{Clock, SigningKeys},
    values::provider::ProviderId,
};
use std::collections::BTreeMap;

/// The signing keys by provider, held for a while and read again by the rules of [`Cache`].
#[derive(Debug)]
pub struct Secrets<S, C>(pub BTreeMap<ProviderId, Cache<S, Keys, C>>);

impl<S: DocumentSource, C: Clock> SigningKeys for Secrets<S, C> {
    async fn keys(&self, provider: &ProviderId) -> Keys {
        match self.0.get(provider) {
            Some(held) => Keys::clone(&*held.current().await),
            // No key fits no signature.
            None => Keys::new(),
        }
    }

    async fn reread(&self, provider: &ProviderId) -> Option<Keys> {
        let held = self.0.get(provider)?;
        held.reread().await.map(|keys| Keys::clone(&keys))
    }
}
