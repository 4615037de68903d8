//! The provider's API.

use super::{Kept, World, call::Manner};
use domain::{
    delivery::{
        answer::{Answer, Refunds},
        event::{Change, Reading},
        reference::Reference,
        secrets::ApiKey,
        signature::{BadKey, Key, Refusal, Unverified},
    },
    ports::{Answering, ApiKeys, Headers, Provider},
    sale::statement::Sale,
    upkeep::reconcile::{self, Ask, Page},
    values::{
        ids::{EventId, PaymentIntentId},
        mode::Mode,
        outcome::ReadError,
        provider::ProviderPolicies,
    },
};
use jiff::Timestamp;
use providers::Providers;
use std::sync::Arc;

impl World {
    /// One question to a provider's API, as `api.…`: it may answer something else.
    pub async fn ask<T>(
        &self,
        name: &'static str,
        knows: impl FnOnce(&Kept) -> Result<T, ReadError>,
    ) -> Result<T, ReadError> {
        let answer = |kept: &mut Kept| match kept.read_faults.pop_front() {
            Some(fault) => Err(fault),
            None => knows(kept),
        };
        self.make(Manner::Reads.of(name), answer).await?
    }
}

fn not_found(code: &str) -> ReadError {
    ReadError::Permanent {
        status: 404,
        code: Some(code.to_owned()),
    }
}

impl World {
    async fn fetch(&self, reference: &Reference) -> Result<Answer, ReadError> {
        match reference {
            Reference::Sale(id) => {
                let unknown = not_found("checkout_session_not_found");
                let found = |kept: &Kept| kept.answer(id).cloned().ok_or(unknown);
                let sale = self.ask("api.sale", found).await?;
                Ok(Answer::Sale(Box::new(sale)))
            }
            Reference::SaleOfPayment(payment) => {
                let found = |kept: &Kept| {
                    let is_of = |sale: &&Sale| sale.payment_intents.contains(payment);
                    let of = kept.all_listed().find(is_of);
                    Ok(of.map(|sale| sale.order_id.clone()))
                };
                let order_id = self.ask("api.sale_of", found).await?;
                Ok(Answer::SaleOfPayment(order_id))
            }
            Reference::RefundsOfSale(id) => {
                let is_of = |kept: &Kept, payment: &PaymentIntentId| {
                    let sale = kept.listed(id);
                    sale.is_some_and(|sale| sale.payment_intents.contains(payment))
                };
                self.refunds(is_of).await
            }
            Reference::RefundsOfPayment(id) => {
                self.refunds(|_: &Kept, payment: &PaymentIntentId| payment == id)
                    .await
            }
            Reference::Subscription(id) => {
                let unknown = not_found("subscription_not_found");
                let found = |kept: &Kept| kept.subscriptions.get(id).cloned().ok_or(unknown);
                let change = self.ask("api.subscription", found).await?;
                Ok(Answer::Change(Box::new(Change::Subscription(change))))
            }
            Reference::Renewal(id) => {
                let unknown = not_found("subscription_not_found");
                let found = |kept: &Kept| kept.renewal(id).ok_or(unknown);
                let renewal = self.ask("api.renewal", found).await?;
                Ok(Answer::Renewal(Box::new(renewal)))
            }
            _ => Err(not_found("not_asked_for")),
        }
    }

    async fn refunds(
        &self,
        is_of: impl Fn(&Kept, &PaymentIntentId) -> bool + Send,
    ) -> Result<Answer, ReadError> {
        let found = |kept: &Kept| {
            let refunds = kept.refunds.values();
            let of = refunds.filter(|refund| is_of(kept, &refund.facts.payment_intent_id));
            let understood = of.cloned().collect();
            Ok(Refunds {
                understood,
                unclear: kept.unclear_refund.clone(),
            })
        };
        Ok(Answer::Refunds(self.ask("api.refunds", found).await?))
    }

    /// Flex, with this world behind its API.
    #[must_use]
    pub fn providers(&self) -> Providers {
        let key: Arc<dyn ApiKeys> = Arc::new(FixedKey);
        Providers::default().with(crate::flex_id(), Arc::new(self.clone()), Some(key))
    }
}

/// An API key that is never refused.
#[derive(Debug)]
pub struct FixedKey;

#[expect(clippy::expect_used, reason = "a test kit")]
impl ApiKeys for FixedKey {
    fn current(&self) -> Answering<'_, ApiKey> {
        Box::pin(async { ApiKey::new("fsk_key").expect("a key") })
    }

    fn reread(&self) -> Answering<'_, Option<ApiKey>> {
        Box::pin(async { None })
    }
}

const FLEX: flex::Flex = flex::Flex { api: None };

impl Provider for World {
    fn policies(&self) -> ProviderPolicies {
        FLEX.policies()
    }

    fn check<'body>(
        &self,
        headers: &Headers<'_>,
        body: &'body [u8],
        now: Timestamp,
    ) -> Result<Unverified<'body>, Refusal> {
        FLEX.check(headers, body, now)
    }

    fn read(&self, body: &[u8]) -> Reading {
        FLEX.read(body)
    }

    fn fetch<'a>(
        &'a self,
        _: &'a ApiKey,
        reference: &'a Reference,
        asked_at: Timestamp,
    ) -> Answering<'a, Result<Answer, ReadError>> {
        Box::pin(async move {
            let answer = World::fetch(self, reference).await?;
            Ok(flex::read_at(answer, asked_at))
        })
    }

    fn lists(&self) -> &'static [&'static str] {
        FLEX.lists()
    }

    fn list<'a>(&'a self, _: &'a ApiKey, ask: Ask<'a>) -> Answering<'a, Result<Page, ReadError>> {
        Box::pin(self.page(ask))
    }

    fn recovered(
        &self,
        found: &reconcile::Found,
        event_id: &EventId,
        stated_at: Timestamp,
        waits: bool,
    ) -> Vec<u8> {
        FLEX.recovered(found, event_id, stated_at, waits)
    }

    fn stub(&self, list: &str, id: Option<&str>) -> Vec<u8> {
        FLEX.stub(list, id)
    }

    fn signing_key(&self, secret: &str) -> Result<Key, BadKey> {
        FLEX.signing_key(secret)
    }

    fn key_mode(&self, key: &ApiKey) -> Option<Mode> {
        FLEX.key_mode(key)
    }
}
