//! Intake takes in an HTTP request, stores and queues its delivery, and answers.
//!
//! check → verify → record → queue → answer. All refusals come before the first call to DynamoDB or SQS. `200` means
//! that the delivery is stored and, if it needs work, queued.

pub mod answer;
pub mod config;
pub mod http;
pub mod request;
pub mod secrets;

use answer::{Answer, Kept};
use domain::{
    delivery::{
        Delivery,
        event::Reading,
        job::FulfillmentJob,
        signature,
        stored_event::{EventState, StoredEvent},
    },
    ports::{Clock, Events, Queue, Recorded, SigningKeys},
    values::{
        fingerprint::fingerprint,
        ids::DeliveryId,
        outcome::RetryableError,
        provider::{DeliveryIds, ProviderId, ProviderPolicies, Redelivery},
    },
};
use providers::Providers;
use request::Incoming;
use std::{sync::Arc, time::Duration};

/// Intake over a store `S` and the providers' signing keys `K`.
#[derive(Debug)]
pub struct Intake<S, K> {
    pub store: S,
    pub providers: Providers,
    pub keys: K,
    pub clock: Arc<dyn Clock>,
    pub max_body_bytes: usize,
    /// For storing and queueing. Shorter than the function's timeout, so an outage causes a `503` and not a killed
    /// process.
    pub time_limit: Duration,
}

impl<S: Events + Queue<FulfillmentJob>, K: SigningKeys> Intake<S, K> {
    /// Takes in one request.
    pub async fn take(&self, incoming: &Incoming<'_>) -> Answer {
        let provider = match request::check(incoming, &self.providers, self.max_body_bytes) {
            Ok(provider) => provider,
            Err(refusal) => return Answer::Refused(refusal),
        };
        let work = async {
            let verified = self.verify(&provider, incoming).await;
            let delivery = |(id, key)| Ok((self.delivery(&provider, id, incoming.body)?, key));
            match verified.and_then(delivery) {
                Ok((delivery, key)) => self.keep(&delivery, key).await,
                Err(refusal) => Ok(Answer::Refused(refusal.into())),
            }
        };
        match tokio::time::timeout(self.time_limit, work).await {
            Ok(Ok(answer)) => answer,
            Ok(Err(error)) => Answer::Unavailable(error),
            Err(_) => Answer::Unavailable(RetryableError::OutOfTime),
        }
    }

    /// Checks the headers, then verifies with the cached keys. If none fits, verifies with newly read keys.
    ///
    /// The keys come last, because they may need a call to Secrets Manager. Returns the index of the key that fits too.
    async fn verify(
        &self,
        provider: &ProviderId,
        incoming: &Incoming<'_>,
    ) -> Result<(DeliveryId, usize), signature::Refusal> {
        let of = self
            .providers
            .of(provider)
            .map_err(|_| signature::Refusal::Missing)?;
        let unverified = of.check(incoming.header, incoming.body, self.clock.now())?;
        match unverified.verify_by(&self.keys.keys(provider).await) {
            Err(signature::Refusal::Forged) => match self.keys.reread(provider).await {
                Some(keys) => unverified.verify_by(&keys),
                None => Err(signature::Refusal::Forged),
            },
            verified => verified,
        }
    }

    /// The verified delivery. Only the message id is signed beside the body: if it has to be the event's id, it is.
    fn delivery(
        &self,
        provider: &ProviderId,
        delivery_id: DeliveryId,
        body: &[u8],
    ) -> Result<Delivery, signature::Refusal> {
        let reading = self.providers.read(provider, body);
        if let (DeliveryIds::Event, Reading::Event(event)) =
            (self.policies(provider)?.delivery_ids, &reading)
            && event.event_id.as_str() != delivery_id.as_str()
        {
            return Err(signature::Refusal::OtherId);
        }
        Ok(Delivery {
            provider: provider.clone(),
            delivery_id,
            fingerprint: fingerprint(body),
            body: body.to_vec(),
            received_at: self.clock.now(),
            reading,
        })
    }

    fn policies(&self, provider: &ProviderId) -> Result<ProviderPolicies, signature::Refusal> {
        let of = self.providers.of(provider);
        of.map(|provider| provider.policies())
            .map_err(|_| signature::Refusal::Missing)
    }

    fn may_be_reencoded(&self, provider: &ProviderId) -> bool {
        let policies = self.policies(provider);
        policies.is_ok_and(|policies| policies.redelivery == Redelivery::Reencoded)
    }

    /// Stores the delivery, then queues its work. An unfinished event is queued again, because the first attempt may have
    /// stopped between the two.
    async fn keep(&self, delivery: &Delivery, key: usize) -> Result<Answer, RetryableError> {
        let event = StoredEvent::first(delivery);
        let recorded = match self.store.record(&event).await? {
            // The same event, spelled in another way: the sender has made its JSON again.
            Recorded::OtherBody { state, body }
                if self.may_be_reencoded(&delivery.provider)
                    || reading::same(&body, &delivery.body) =>
            {
                Recorded::Again(state)
            }
            recorded => recorded,
        };
        let state = match recorded {
            Recorded::First => event.state,
            Recorded::Again(state) | Recorded::OtherBody { state, .. } => state,
        };
        if state.is_unfinished() {
            let event_id = event.event_id.clone();
            self.store.send(&FulfillmentJob::V1 { event_id }).await?;
        }
        if let Recorded::OtherBody { .. } = recorded {
            let beside = StoredEvent::beside(delivery);
            self.store.record(&beside).await?;
            return Ok(Answer::Kept(Kept::Conflict, Box::new(beside), key));
        }
        let kept = match (recorded, &delivery.reading, event.state) {
            (Recorded::Again(state), Reading::Event(_), _) if state.is_unfinished() => {
                Kept::QueuedAgain
            }
            (Recorded::Again(_), Reading::Event(_), _) => Kept::Duplicate,
            // Also for each resend, so that the sender stops.
            (_, Reading::Unreadable(_), _) => Kept::Unreadable,
            (_, Reading::Event(_), EventState::Parked) => Kept::Parked,
            (_, Reading::Event(_), EventState::NotNeeded) => Kept::NotNeeded,
            (_, Reading::Event(_), EventState::Unhandled) => Kept::Unhandled,
            (_, Reading::Event(_), _) => Kept::Accepted,
        };
        Ok(Answer::Kept(kept, Box::new(event), key))
    }
}
