//! Flint as one of the providers of a stack.

use crate::{Api, check, listing, read, secret};
use domain::{
    delivery::{
        answer::Answer,
        event::{Change, Reading},
        reference::Reference,
        secrets::ApiKey,
        signature::{BadKey, Key, Refusal, Unverified},
    },
    ports::{Answering, Headers, Provider, ProviderApi},
    upkeep::reconcile::{Ask, Found, Page},
    values::{
        ids::EventId,
        mode::Mode,
        outcome::{ReadError, RetryableError},
        provider::{DeliveryIds, EligibilityPolicy, Party, ProviderPolicies, Redelivery},
    },
};
use jiff::Timestamp;
use std::sync::Arc;

/// Flint. Without an API it checks and reads deliveries, and fetches nothing.
#[derive(Debug)]
pub struct Flint {
    pub api: Option<Arc<dyn ProviderApi>>,
    /// The sender of receipts. Flint sends its own, so ours would be a second one, unless the merchant turned those off.
    pub receipts: Party,
}

impl Flint {
    fn api(&self) -> Result<&dyn ProviderApi, ReadError> {
        self.api.as_deref().ok_or_else(|| {
            RetryableError::Fault("this function has no address of Flint's API".to_owned()).into()
        })
    }
}

impl Provider for Flint {
    fn policies(&self) -> ProviderPolicies {
        ProviderPolicies {
            eligibility: EligibilityPolicy::Omitted,
            receipts: self.receipts,
            stock: Party::Us,
            movements: Party::Provider,
            delivery_ids: DeliveryIds::Event,
            redelivery: Redelivery::Reencoded,
        }
    }

    fn check<'body>(
        &self,
        headers: &Headers<'_>,
        body: &'body [u8],
        now: Timestamp,
    ) -> Result<Unverified<'body>, Refusal> {
        check(headers, body, now)
    }

    fn read(&self, body: &[u8]) -> Reading {
        read(body)
    }

    fn fetch<'a>(
        &'a self,
        key: &'a ApiKey,
        reference: &'a Reference,
        asked_at: Timestamp,
    ) -> Answering<'a, Result<Answer, ReadError>> {
        Box::pin(async move { self.api()?.fetch(key, reference, asked_at).await })
    }

    fn lists(&self) -> &'static [&'static str] {
        &listing::LISTS
    }

    fn list<'a>(&'a self, key: &'a ApiKey, ask: Ask<'a>) -> Answering<'a, Result<Page, ReadError>> {
        Box::pin(async move { self.api()?.list(key, ask).await })
    }

    fn recovered(
        &self,
        found: &Found,
        event_id: &EventId,
        stated_at: Timestamp,
        _waits: bool,
    ) -> Vec<u8> {
        listing::event(found, event_id, stated_at)
    }

    fn stub(&self, list: &str, id: Option<&str>) -> Vec<u8> {
        listing::stub(list, id)
    }

    fn signing_key(&self, secret: &str) -> Result<Key, BadKey> {
        secret::key(secret)
    }

    fn key_mode(&self, key: &ApiKey) -> Option<Mode> {
        secret::key_mode(key)
    }
}

impl ProviderApi for Api {
    fn fetch<'a>(
        &'a self,
        key: &'a ApiKey,
        reference: &'a Reference,
        asked_at: Timestamp,
    ) -> Answering<'a, Result<Answer, ReadError>> {
        Box::pin(fetch(self, key, reference, asked_at))
    }

    fn list<'a>(&'a self, key: &'a ApiKey, ask: Ask<'a>) -> Answering<'a, Result<Page, ReadError>> {
        Box::pin(async move { Self::list(self, key, &ask).await })
    }
}

async fn fetch(
    api: &Api,
    key: &ApiKey,
    reference: &Reference,
    asked_at: Timestamp,
) -> Result<Answer, ReadError> {
    let change = match reference {
        Reference::Sale(id) => {
            let sale = api.sale(key, id, asked_at).await?;
            return Ok(Answer::Sale(Box::new(sale)));
        }
        Reference::SaleOfPayment(id) => {
            return api.sale_of(key, id).await.map(Answer::SaleOfPayment);
        }
        Reference::RefundsOfSale(id) => {
            return api.refunds(key, id).await.map(Answer::Refunds);
        }
        Reference::RefundsOfPayment(id) => {
            return api.refunds_of_payment(key, id).await.map(Answer::Refunds);
        }
        Reference::Payment(id) => Change::Payment(api.payment(key, id).await?),
        Reference::Refund(id) => Change::Refund(api.refund(key, id).await?),
        Reference::Subscription(id) => Change::Subscription(api.subscription(key, id).await?),
        Reference::Fulfillment(id) => Change::Fulfillment(api.fulfillment(key, id).await?),
        Reference::Resource(id) => Change::Resource(Box::new(api.resource(key, id).await?)),
        // A cycle of a subscription is an order, so nothing asks for this.
        Reference::Renewal(_) => {
            let what = format!("Flint is not asked for {reference}");
            return Err(RetryableError::Fault(what).into());
        }
    };
    Ok(Answer::Change(Box::new(change)))
}
