//! Flex as one of the providers of a stack.

use crate::{Api, api, check, listing, read, secret};
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
        facts::whole_second,
        ids::EventId,
        mode::Mode,
        outcome::{ReadError, RetryableError},
        provider::ProviderPolicies,
    },
};
use jiff::Timestamp;
use std::sync::Arc;

/// Flex. Without an API it checks and reads deliveries, and fetches nothing.
#[derive(Debug)]
pub struct Flex {
    pub api: Option<Arc<dyn ProviderApi>>,
}

impl Flex {
    fn api(&self) -> Result<&dyn ProviderApi, ReadError> {
        self.api.as_deref().ok_or_else(|| {
            RetryableError::Fault("this function has no address of Flex's API".to_owned()).into()
        })
    }
}

impl Provider for Flex {
    fn policies(&self) -> ProviderPolicies {
        ProviderPolicies::OURS
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
        waits: bool,
    ) -> Vec<u8> {
        listing::event(found, event_id, stated_at, waits)
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
        Box::pin(async move {
            let answer = fetch(self, key, reference).await?;
            Ok(read_at(answer, asked_at))
        })
    }

    fn list<'a>(&'a self, key: &'a ApiKey, ask: Ask<'a>) -> Answering<'a, Result<Page, ReadError>> {
        Box::pin(async move { Self::list(self, key, &ask).await })
    }
}

/// Dates the facts of an answer. Flex's events state whole seconds: a fraction would make a read newer than an event of
/// the same second that it does not show yet.
#[must_use]
pub fn read_at(mut answer: Answer, asked_at: Timestamp) -> Answer {
    let at = whole_second(asked_at);
    match &mut answer {
        Answer::Sale(sale) => {
            let payments = sale.payments.values_mut();
            payments.for_each(|facts| facts.at = Some(at));
        }
        Answer::Refunds(refunds) => refunds
            .understood
            .iter_mut()
            .for_each(|refund| refund.facts.at = Some(at)),
        Answer::Change(change) => {
            if let Change::Subscription(change) = &mut **change {
                change.snapshot.at = Some(at);
            }
        }
        Answer::Renewal(renewal) => renewal.change.snapshot.at = Some(at),
        Answer::SaleOfPayment(_) => {}
    }
    answer
}

async fn fetch(api: &Api, key: &ApiKey, reference: &Reference) -> Result<Answer, ReadError> {
    match reference {
        Reference::Sale(id) => {
            let sale = api.sale(key, id).await?;
            Ok(Answer::Sale(Box::new(sale)))
        }
        Reference::SaleOfPayment(id) => api.sale_of(key, id).await.map(Answer::SaleOfPayment),
        Reference::RefundsOfSale(id) => {
            let refunds = api.refunds(key, api::RefundsOf::Sale(id)).await?;
            Ok(Answer::Refunds(refunds))
        }
        Reference::RefundsOfPayment(id) => {
            let refunds = api.refunds(key, api::RefundsOf::Payment(id)).await?;
            Ok(Answer::Refunds(refunds))
        }
        Reference::Subscription(id) => {
            let change = api.subscription(key, id).await?;
            Ok(Answer::Change(Box::new(Change::Subscription(change))))
        }
        Reference::Renewal(id) => {
            let renewal = api.renewal(key, id).await?;
            Ok(Answer::Renewal(Box::new(renewal)))
        }
        // Flex's events state these in full, so nothing asks for them.
        Reference::Payment(_)
        | Reference::Refund(_)
        | Reference::Fulfillment(_)
        | Reference::Resource(_) => {
            let what = format!("Flex is not asked for {reference}");
            Err(RetryableError::Fault(what).into())
        }
    }
}
