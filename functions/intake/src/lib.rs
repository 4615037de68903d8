//! The edge of intake: an HTTP request in, a stored and queued delivery, an answer out.
//!
//! check → verify → record → queue → answer. Everything that can be refused is refused before DynamoDB or SQS
//! hears of it. `200` means that the delivery is stored and, where there is work to do, that the queue has it.

pub mod answer;
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
        fingerprint::fingerprint, ids::DeliveryId, outcome::RetryableError, provider::Provider,
    },
};
use request::Incoming;
use std::time::Duration;

/// What intake needs of the world.
#[derive(Debug)]
pub struct Intake<E, Q, K, C> {
    /// Where deliveries are kept.
    pub events: E,
    /// Where fulfillment waits for work.
    pub queue: Q,
    /// What providers sign with.
    pub keys: K,
    /// The time.
    pub clock: C,
    /// The largest body taken, in bytes.
    pub max_body_bytes: usize,
    /// How long storing and queueing may take: shorter than the function's time, so that an outage becomes a
    /// `503` and not a killed process.
    pub time_limit: Duration,
}

impl<E: Events, Q: Queue<FulfillmentJob>, K: SigningKeys, C: Clock> Intake<E, Q, K, C> {
    /// Takes in one request.
    pub async fn take(&self, incoming: &Incoming<'_>) -> Answer {
        let provider = match request::check(incoming, self.max_body_bytes) {
            Ok(provider) => provider,
            Err(refusal) => return Answer::Refused(refusal),
        };
        let work = async {
            match self.verify(provider, incoming).await {
                Ok(delivery_id) => {
                    self.keep(&self.delivery(provider, delivery_id, incoming.body))
                        .await
                }
                Err(refusal) => Ok(Answer::Refused(refusal.into())),
            }
        };
        match tokio::time::timeout(self.time_limit, work).await {
            Ok(Ok(answer)) => answer,
            Ok(Err(error)) => Answer::Unavailable(error),
            Err(_) => Answer::Unavailable(RetryableError::OutOfTime),
        }
    }

    /// Checks the headers, then verifies against the cached keys; if none fits, once more against newly read keys.
    ///
    /// The keys come last: asking for them may read Secrets Manager.
    async fn verify(
        &self,
        provider: Provider,
        incoming: &Incoming<'_>,
    ) -> Result<DeliveryId, signature::Refusal> {
        let unverified = match provider {
            Provider::Flex => flex::check(incoming.header, incoming.body, self.clock.now())?,
        };
        match unverified.verify(&self.keys.keys(provider).await) {
            Err(signature::Refusal::Forged) => match self.keys.reread(provider).await {
                Some(keys) => unverified.verify(&keys),
                None => Err(signature::Refusal::Forged),
            },
            verified => verified,
        }
    }

    fn delivery(&self, provider: Provider, delivery_id: DeliveryId, body: &[u8]) -> Delivery {
        let reading = match provider {
            Provider::Flex => flex::read(body),
        };
        Delivery {
            provider,
            delivery_id,
            fingerprint: fingerprint(body),
            body: body.to_vec(),
            received_at: self.clock.now(),
            reading,
        }
    }

    /// Stores, then queues what there is to do. What was stored before and is not done is queued again: the
    /// one who stored it may have stopped before the queue had it.
    async fn keep(&self, delivery: &Delivery) -> Result<Answer, RetryableError> {
        let event = StoredEvent::first(delivery);
        let recorded = self.events.record(&event).await?;
        let state = match recorded {
            Recorded::First => event.state,
            Recorded::Again(state) | Recorded::OtherBody(state) => state,
        };
        if state.is_unfinished() {
            self.queue
                .send(&FulfillmentJob::V1 {
                    event_id: event.event_id.clone(),
                })
                .await?;
        }
        if let Recorded::OtherBody(_) = recorded {
            let beside = StoredEvent::beside(delivery);
            self.events.record(&beside).await?;
            return Ok(Answer::Kept(Kept::Conflict, Box::new(beside)));
        }
        let kept = match (recorded, &delivery.reading, event.state) {
            (Recorded::Again(state), Reading::Event(_), _) if state.is_unfinished() => {
                Kept::QueuedAgain
            }
            (Recorded::Again(_), Reading::Event(_), _) => Kept::Duplicate,
            // Said again with every resend: the sender must hear that it is hopeless.
            (_, Reading::Unreadable(_), _) => Kept::Unreadable,
            (_, Reading::Event(_), EventState::NotNeeded) => Kept::NotNeeded,
            (_, Reading::Event(_), EventState::Unhandled) => Kept::Unhandled,
            (_, Reading::Event(_), _) => Kept::Accepted,
        };
        Ok(Answer::Kept(kept, Box::new(event)))
    }
}
