//! The second look at each gap, and the events that recover those that stay.

use crate::{AT_ONCE, MAX_BODY_BYTES, Reconcile, ReconcileStore, Run};
use domain::{
    delivery::{
        Delivery,
        event::{Reading, Unreadable},
        job::FulfillmentJob,
        stored_event::{RECOVERED, StoredEvent},
    },
    ports::Recorded,
    upkeep::recovery::{Gap, List, Look, Remedy, look_again},
    values::{
        fingerprint::fingerprint, ids::DeliveryId, outcome::RetryableError, provider::ProviderId,
    },
};
use futures_util::{StreamExt, stream};

/// The result of recording a recovered event.
enum Recovered {
    Missing,
    Resumed,
    Waiting,
    SeenBefore,
}

impl<S: ReconcileStore> Reconcile<S> {
    /// Looks at each gap once more, and recovers those that stay.
    pub(crate) async fn recover(&self, run: &mut Run) -> Result<(), RetryableError> {
        let gaps = std::mem::take(&mut run.gaps);
        if gaps.is_empty() {
            return Ok(());
        }
        tokio::time::sleep(self.second_look).await;
        let (remedies, looked) = self.look_again(gaps, run).await?;
        let recovered = remedies.into_iter().map(|(gap, remedy)| async move {
            let recorded = self.record(&gap, &remedy).await;
            (gap.list, recorded)
        });
        let mut recovered = stream::iter(recovered).buffered(AT_ONCE);
        while let Some((list, recorded)) = recovered.next().await {
            let count = run.reconciled.of(&list);
            match recorded {
                Ok(Recovered::Missing) => count.missing += 1,
                Ok(Recovered::Resumed) => count.resumed += 1,
                Ok(Recovered::Waiting) => count.waiting += 1,
                Ok(Recovered::SeenBefore) => count.seen_before += 1,
                Err(error) => run.goes_on(error)?,
            }
        }
        looked
    }

    /// The gaps that stay. All are looked at before one is recorded, since an event changes the rows of others.
    async fn look_again(
        &self,
        gaps: Vec<Gap>,
        run: &mut Run,
    ) -> Result<(Vec<(Gap, Remedy)>, Result<(), RetryableError>), RetryableError> {
        let open = self.open_states(run).await?;
        let mut remedies = Vec::new();
        let mut looked = Ok(());
        let looks = gaps.into_iter().map(|gap| async {
            let stored = self.stored(&gap.found).await;
            (stored.map(|stored| look_again(&gap, &stored, &open)), gap)
        });
        let mut looks = stream::iter(looks).buffered(AT_ONCE);
        while let Some((look, gap)) = looks.next().await {
            match look {
                Ok(Look::Gone) => {}
                Ok(Look::Waits) => run.reconciled.of(&gap.list).waiting += 1,
                Ok(Look::Ended) => run.reconciled.of(&gap.list).seen_before += 1,
                Ok(Look::Stays(remedy)) => remedies.push((gap, remedy)),
                Err(error) => looked = run.goes_on(error),
            }
            if looked.is_err() {
                break;
            }
        }
        drop(looks);
        Ok((remedies, looked))
    }

    /// Records the event that a delivery should have brought, and queues it as intake does.
    async fn record(&self, gap: &Gap, remedy: &Remedy) -> Result<Recovered, RetryableError> {
        let id = &gap.list.provider;
        let Ok(provider) = self.providers.of(id) else {
            return Ok(Recovered::SeenBefore);
        };
        let Remedy {
            stated_at, waits, ..
        } = *remedy;
        let body = provider.recovered(&gap.found, &gap.event_id, stated_at, waits);
        let reading = provider.read(&body);
        let event = StoredEvent::first(&self.delivery(id, body, reading)?);
        match self.store.record(&event).await? {
            // Again: this attempt's own first try, whose answer was lost, since no event stated it a moment ago.
            Recorded::First => self.queue(event, remedy.resumes).await,
            Recorded::Again(state) if state == event.state => {
                self.queue(event, remedy.resumes).await
            }
            // Another body under one of our ids is the same gap, stated at another time.
            Recorded::Again(state) | Recorded::OtherBody { state, .. } if state.is_unfinished() => {
                Ok(Recovered::Waiting)
            }
            Recorded::Again(_) | Recorded::OtherBody { .. } => Ok(Recovered::SeenBefore),
        }
    }

    async fn queue(&self, event: StoredEvent, resumes: bool) -> Result<Recovered, RetryableError> {
        let StoredEvent {
            event_id, state, ..
        } = event;
        // Logged before anything can stop this run: the next run finds the event, and logs nothing.
        let recovered = if resumes {
            tracing::info!(outcome = "resumed", %event_id, "this is looked at once more");
            Recovered::Resumed
        } else {
            tracing::warn!(outcome = "missing", %event_id, "this is missing: no delivery brought it, or it had no effect");
            Recovered::Missing
        };
        // An event that is not understood waits for a person, as at intake. If this fails or is never reached, sweep
        // queues the event.
        if state.is_unfinished() {
            self.store.send(&FulfillmentJob::V1 { event_id }).await?;
        }
        Ok(recovered)
    }

    /// Keeps a thing that cannot be read as intake keeps an unreadable event: once, for a person. If it is too large for
    /// a row, only its id is kept.
    pub(crate) async fn keep_unreadable(
        &self,
        (list, id): (&List, Option<&str>),
        object: Vec<u8>,
        why: Unreadable,
        run: &mut Run,
    ) -> Result<(), RetryableError> {
        let (why, body) = match self.providers.of(&list.provider) {
            Ok(provider) if object.len() > MAX_BODY_BYTES => {
                (Unreadable::TooLarge, provider.stub(list.name, id))
            }
            _ => (why, object),
        };
        let reason = why.to_string();
        let reading = Reading::Unreadable(why);
        let event = StoredEvent::first(&self.delivery(&list.provider, body, reading)?);
        match self.store.record(&event).await {
            Ok(Recorded::First) => {
                run.reconciled.of(list).unreadable += 1;
                log_unreadable(id, &reason);
                Ok(())
            }
            Ok(_) => {
                run.reconciled.of(list).seen_before += 1;
                Ok(())
            }
            Err(error) => run.goes_on(error),
        }
    }

    fn delivery(
        &self,
        provider: &ProviderId,
        body: Vec<u8>,
        reading: Reading,
    ) -> Result<Delivery, RetryableError> {
        let delivery_id = DeliveryId::new(RECOVERED);
        Ok(Delivery {
            provider: provider.clone(),
            delivery_id: delivery_id.map_err(|bad| RetryableError::Fault(bad.to_string()))?,
            fingerprint: fingerprint(&body),
            body,
            received_at: self.clock.now(),
            reading,
        })
    }
}

fn log_unreadable(id: Option<&str>, reason: &str) {
    tracing::warn!(
        outcome = "unreadable",
        subject = id,
        reason,
        "a thing of the provider's lists cannot be read"
    );
}
