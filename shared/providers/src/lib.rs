//! The providers' APIs as two ports, of single things and of lists. Each is read with its key, which may have been
//! replaced since it was read.

use aws::secrets::{self, ApiKeySecret, Cache, Store};
use domain::{
    access::subscription,
    delivery::{event::RefundsOf, secrets::ApiKey},
    ports::{Clock, Listing, ProviderApi},
    sale::{checkout::Checkout, refund},
    upkeep::reconcile::{Ask, Page},
    values::{
        ids::{OrderId, PaymentIntentId, SubscriptionId},
        mode::Mode,
        outcome::ReadError,
        provider::Provider,
    },
};

/// The providers' APIs.
#[derive(Debug)]
pub struct Providers<S, C> {
    /// Flex's.
    pub flex: flex::Api,
    /// Flex's key, held for a while and read again when it is refused.
    pub flex_key: Cache<S, ApiKey, C>,
}

impl<S: Store, C: Clock> ProviderApi for Providers<S, C> {
    async fn checkout(
        &self,
        provider: Provider,
        order_id: &OrderId,
    ) -> Result<Checkout, ReadError> {
        let Self { flex, flex_key } = self;
        match provider {
            Provider::Flex => {
                with_key(flex_key, |key| async move {
                    flex.checkout(&key, order_id).await
                })
                .await
            }
        }
    }

    async fn checkout_of(
        &self,
        provider: Provider,
        payment: &PaymentIntentId,
    ) -> Result<Option<OrderId>, ReadError> {
        let Self { flex, flex_key } = self;
        match provider {
            Provider::Flex => {
                with_key(flex_key, |key| async move {
                    flex.checkout_of(&key, payment).await
                })
                .await
            }
        }
    }

    async fn refunds(
        &self,
        provider: Provider,
        of: &RefundsOf,
    ) -> Result<Vec<refund::RefundChange>, ReadError> {
        let Self { flex, flex_key } = self;
        match provider {
            Provider::Flex => {
                with_key(flex_key, |key| async move { flex.refunds(&key, of).await }).await
            }
        }
    }

    async fn subscription(
        &self,
        provider: Provider,
        id: &SubscriptionId,
    ) -> Result<subscription::SubscriptionChange, ReadError> {
        let Self { flex, flex_key } = self;
        match provider {
            Provider::Flex => {
                with_key(
                    flex_key,
                    |key| async move { flex.subscription(&key, id).await },
                )
                .await
            }
        }
    }
}

impl<S: Store, C: Clock> Listing for Providers<S, C> {
    async fn list(&self, provider: Provider, ask: Ask<'_>) -> Result<Page, ReadError> {
        let Self { flex, flex_key } = self;
        let ask = &ask;
        match provider {
            Provider::Flex => {
                with_key(flex_key, |key| async move { flex.list(&key, ask).await }).await
            }
        }
    }
}

/// Reads with a provider's key. If it is refused it may have been rotated: one more try with a newer one, if there is
/// one.
async fn with_key<S: Store, C: Clock, T, F: Future<Output = Result<T, ReadError>>>(
    held: &Cache<S, ApiKey, C>,
    read: impl Fn(ApiKey) -> F,
) -> Result<T, ReadError> {
    let key = held.current().await;
    let first = read(ApiKey::clone(&key)).await;
    let Err(ReadError::KeyRefused { .. }) = first else {
        return first;
    };
    match held.reread().await {
        Some(newer) if newer != key => read(ApiKey::clone(&newer)).await,
        _ => first,
    }
}

/// Reads Flex's API key, or says what is wrong. A key of the other mode could only ever read the other mode's
/// checkouts.
fn flex_key(text: &str, stack: Mode) -> Result<ApiKey, Vec<String>> {
    let Some(key) = ApiKey::new(&secrets::parse::<ApiKeySecret>(text)?.api_key) else {
        return Err(vec![
            "FlexApiKey has no api_key: copy it from the provider's dashboard".to_owned(),
        ]);
    };
    match flex::key_mode(&key) {
        None => Err(vec![
            "FlexApiKey does not look like a key (fsk_… or fsk_test_…)".to_owned(),
        ]),
        Some(mode) if mode != stack => Err(vec![format!(
            "FlexApiKey is a {mode} key, and this stack's Mode is {stack}"
        )]),
        Some(_) => Ok(key),
    }
}

/// How Flex's key is read on a stack of that mode.
#[must_use]
pub fn read_flex_key(stack: Mode) -> secrets::Read<ApiKey> {
    match stack {
        Mode::Live => |text| flex_key(text, Mode::Live),
        Mode::Test => |text| flex_key(text, Mode::Test),
    }
}
