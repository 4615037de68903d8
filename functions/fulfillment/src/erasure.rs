//! The erasure of a customer whom the provider has deleted.
//!
//! A job reads the Events table for a while, and then queues the job that goes on. No table is too large.

use crate::{Fulfillment, FulfillmentStore};
use aws::batch::{Attempt, time_left};
use domain::{
    delivery::{job::FulfillmentJob, stored_event::EventState},
    ports::{Changed, Settlement},
    values::{
        ids::{CustomerId, EventId},
        note::Action,
        outcome::RetryableError,
    },
};
use jiff::SignedDuration;
use operator::{
    customer::{self, Erased, Person},
    note::Note,
};
use std::time::Duration;

/// A job reads no further page when less time is left: some seconds for the page, and some for its writes.
const LEAST_TIME: Duration = Duration::from_secs(12);

impl<S: FulfillmentStore> Fulfillment<S> {
    /// Erases a customer, from the event `after` on.
    pub(crate) async fn erase(
        &self,
        event_id: &EventId,
        customer_id: &CustomerId,
        after: Option<&EventId>,
        attempt: &Attempt,
    ) -> Result<(), RetryableError> {
        let started_at = self.clock.now();
        let note = Note::new("fulfillment", event_id.as_str(), started_at)
            .map_err(|bad| RetryableError::Fault(bad.to_string()))?;
        let is_over = || time_left(attempt.ends_at, self.clock.now()) < LEAST_TIME;
        let person = Person::Customer(customer_id.clone());
        let erased = customer::erase_until(
            &self.store,
            &person,
            after.cloned(),
            Some(event_id),
            &note,
            is_over,
        )
        .await?;
        let took = self.clock.now().duration_since(started_at);
        log(event_id, &erased, took);
        if erased.in_work && !attempt.is_last {
            // Such an event ends within seconds. Until then it needs its body, and may write personal data.
            return Err(RetryableError::Raced {
                what: "an event about the customer",
                tries: 1,
            });
        }
        let Some(next) = erased.next else {
            return self.end(event_id, &note).await;
        };
        let job = FulfillmentJob::EraseV1 {
            event_id: event_id.clone(),
            customer_id: customer_id.clone(),
            after: Some(next),
        };
        self.store.send(&job).await
    }

    /// Marks the event that asked for an erasure, now that it is done, and takes its body.
    async fn end(&self, event_id: &EventId, note: &Note) -> Result<(), RetryableError> {
        self.store
            .settle(event_id, &Settlement::Processed, self.clock.now())
            .await?;
        let event = self.store.event(event_id).await?;
        let ended = event.filter(|event| event.state == EventState::Processed);
        if let Some(event) = ended {
            // A lost race means that an operator has reopened the event: it ends with another erasure.
            let (Changed::Now | Changed::Raced) = self
                .store
                .blank_event(&event, &note.did(Action::Erased))
                .await?;
        }
        Ok(())
    }
}

/// Writes the line of a job. `open` events keep their bodies until a person has finished them and erases again.
fn log(event_id: &EventId, erased: &Erased, took: SignedDuration) {
    let duration_ms = u64::try_from(took.as_millis()).unwrap_or_default();
    let (orders, bodies, open) = (erased.orders.len(), erased.events.len(), erased.open.len());
    let more = erased.next.is_some();
    tracing::info!(outcome = "erased", %event_id, orders, bodies, open, more, duration_ms, "customer erased");
}
