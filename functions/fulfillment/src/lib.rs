//! The edge of fulfillment: one job in; out come the rows that change, the goods that move and the mails that are owed.
//!
//! read → decide → commit → queue the receipts → mark the event. Stopped anywhere, the job's next delivery goes on
//! from what is stored.

mod gather;

use aws::batch::{Attempt, Worker};
use domain::{
    delivery::{
        event::{Change, Reading},
        job::{FulfillmentJob, ReceiptJob},
        stored_event::{EventState, StoredEvent},
    },
    fulfillment::{Decision, ParkReason, Patience, Policy, commit::Commit, committed, restored},
    ports::{
        Changed, Clock, Committed, Entitlements, Events, Ledger, ProviderApi, Queue, Receipts,
        Settlement,
    },
    sale::order::Alerts,
    values::{
        class::Class,
        ids::{EventId, ReceiptId},
        outcome::{Outcome, RetryableError},
        provider::Provider,
    },
};
use jiff::Timestamp;

/// How many records of a batch are worked on at once: all of them, since each spends its time waiting for Flex and for
/// `DynamoDB`.
pub const AT_ONCE: usize = 10;
/// How often a lost race is decided anew before the job goes back to the queue.
const TRIES: u32 = 3;
/// At which receive a doubt that may soon pass is taken for one that stays: by the template's default after five
/// minutes.
const PATIENCE: u32 = 3;

/// What fulfillment needs of the world.
#[derive(Debug)]
pub struct Fulfillment<E, L, N, R, Q, P, C> {
    /// The stored events.
    pub events: E,
    /// All other tables.
    pub ledger: L,
    /// Whose a subscription is.
    pub entitlements: N,
    /// The receipt rows.
    pub receipts: R,
    /// Where receipts wait to be sent.
    pub receipt_queue: Q,
    /// The provider's API.
    pub api: P,
    /// The time.
    pub clock: C,
    /// What the merchant has chosen.
    pub policy: Policy,
    /// How often the queue delivers a job before it gives up on it.
    pub most_receives: u32,
}

/// What was done.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Done {
    /// This is committed and its receipts are queued.
    Committed(Box<Commit>),
    /// An earlier attempt had committed and stopped; its receipts are queued now.
    PassedOn(Vec<ReceiptId>),
}

/// How a job ended.
pub type Ended = Outcome<Done, ParkReason>;

impl<E, L, N, R, Q, P, C> Fulfillment<E, L, N, R, Q, P, C>
where
    E: Events,
    L: Ledger,
    N: Entitlements,
    R: Receipts,
    Q: Queue<ReceiptJob>,
    P: ProviderApi,
    C: Clock,
{
    /// Carries out what a stored event means. `receives` counts how often the job has come, from 1.
    pub async fn fulfill(&self, event_id: &EventId, receives: u32) -> Ended {
        self.try_fulfill(event_id, receives)
            .await
            .unwrap_or_else(Outcome::Retry)
    }

    async fn try_fulfill(
        &self,
        event_id: &EventId,
        receives: u32,
    ) -> Result<Ended, RetryableError> {
        let mut written = Vec::new();
        for _ in 0..TRIES {
            let event = self
                .events
                .event(event_id)
                .await?
                .ok_or(RetryableError::Missing { what: "the event" })?;
            if !event.state.is_unfinished() {
                return Ok(Outcome::Duplicate);
            }
            if let Some(receipt_ids) = committed(&event) {
                self.pass_on(&event, receipt_ids).await?;
                return Ok(Outcome::Accepted(Done::PassedOn(receipt_ids.to_vec())));
            }
            let gathered = match news_of(&event) {
                // On the heap: of all that can be gathered, most is never in use at once.
                Some(change) => Box::pin(self.gather(&event, &change)).await?,
                None => gathered_doubt(),
            };
            let ended = match gathered.decision {
                Decision::Write(mut commit) => {
                    commit
                        .receipts
                        .retain(|receipt| !written.contains(&receipt.receipt_id));
                    commit.receipts =
                        restored::owed_before(&event, commit.receipts, self.clock.now());
                    let receipt_ids = commit.receipt_ids();
                    let ended = self.commit(&event, commit, gathered.order.as_ref()).await?;
                    if ended.is_none() {
                        written.extend(self.written(receipt_ids).await?);
                    }
                    ended
                }
                Decision::Nothing { ref unsent } => self.end(&event, unsent, &gathered).await?,
                Decision::Wait {
                    commit,
                    park_reason,
                } => self.wait(&event, commit, park_reason, receives).await?,
                Decision::Park(park_reason) => self.park(&event, park_reason, receives).await?,
            };
            if let Some(ended) = ended {
                return Ok(ended);
            }
        }
        Err(RetryableError::Raced {
            what: "the rows",
            tries: TRIES,
        })
    }

    /// Commits, queues the receipts, marks the event; `None` when the race is lost.
    async fn commit(
        &self,
        event: &StoredEvent,
        commit: Box<Commit>,
        known: Option<&domain::sale::order::Order>,
    ) -> Result<Option<Ended>, RetryableError> {
        if self.ledger.commit(&commit).await? == Committed::Raced {
            return Ok(None);
        }
        // At once: whoever stops between here and the end must not take along what a person should hear.
        let alerts = commit
            .order
            .as_ref()
            .map(|order| Alerts::between(known, order))
            .unwrap_or_default();
        log_commit(event, &commit, alerts, self.clock.now());
        self.pass_on(event, &commit.receipt_ids()).await?;
        Ok(Some(Outcome::Accepted(Done::Committed(commit))))
    }

    /// Writes what is known already, so that nobody waits for it, and leaves the rest to a later try.
    async fn wait(
        &self,
        event: &StoredEvent,
        commit: Option<Box<Commit>>,
        park_reason: ParkReason,
        receives: u32,
    ) -> Result<Option<Ended>, RetryableError> {
        if let Some(commit) = commit
            && self.ledger.commit(&commit).await? == Committed::Raced
        {
            return Ok(None);
        }
        self.park(event, park_reason, receives).await
    }

    /// Queues the receipts of a commit, then marks the event. Stopped between the two, they are queued twice, and
    /// claimed once.
    async fn pass_on(
        &self,
        event: &StoredEvent,
        receipt_ids: &[ReceiptId],
    ) -> Result<(), RetryableError> {
        self.queue(receipt_ids).await?;
        // If it is marked already, so much the better.
        self.events
            .settle(&event.event_id, &Settlement::Processed, self.clock.now())
            .await
            .map(drop)
    }

    async fn queue(&self, receipt_ids: &[ReceiptId]) -> Result<(), RetryableError> {
        for receipt_id in receipt_ids {
            self.receipt_queue
                .send(&ReceiptJob::V1 {
                    receipt_id: receipt_id.clone(),
                })
                .await?;
        }
        Ok(())
    }

    /// Those of the receipts that there are. Mostly a race is lost to somebody who has done the same, and the next look
    /// finds that done. But where the order's row is gone and the receipt's is not (a table was put back to an earlier
    /// point), the receipt would keep the order from being written for ever. It is left alone: it is owed, or was sent.
    async fn written(&self, receipt_ids: Vec<ReceiptId>) -> Result<Vec<ReceiptId>, RetryableError> {
        let mut written = Vec::new();
        for receipt_id in receipt_ids {
            if self.receipts.receipt(&receipt_id).await?.is_some() {
                written.push(receipt_id);
            }
        }
        Ok(written)
    }

    /// Ends an event that tells nothing new. "Already known" must never swallow a receipt that is still owed, nor one
    /// whose row is gone. `None` when somebody else has changed the same rows.
    async fn end(
        &self,
        event: &StoredEvent,
        receipt_ids: &[ReceiptId],
        gathered: &gather::Gathered,
    ) -> Result<Option<Ended>, RetryableError> {
        let (order, subscription) = (gathered.order.as_ref(), gathered.subscription.as_ref());
        let (mut unsent, mut lost) = (Vec::new(), Vec::new());
        for receipt_id in receipt_ids {
            match self.receipts.receipt(receipt_id).await? {
                Some(receipt) if receipt.is_unfinished() => unsent.push(receipt_id.clone()),
                Some(_) => {}
                None => lost.extend(restored::receipt(
                    receipt_id,
                    order,
                    subscription,
                    self.clock.now(),
                )),
            }
        }
        if !lost.is_empty() {
            self.queue(&unsent).await?;
            let commit = Commit {
                receipts: lost,
                ..Commit::of(event.event_id.clone())
            };
            return self.commit(event, Box::new(commit), None).await;
        }
        self.pass_on(event, &unsent).await?;
        Ok(Some(Outcome::Duplicate))
    }

    /// Parks an event, unless its doubt may pass and has not been given the time; `None` when somebody else has
    /// come to another end with it meanwhile.
    async fn park(
        &self,
        event: &StoredEvent,
        park_reason: ParkReason,
        receives: u32,
    ) -> Result<Option<Ended>, RetryableError> {
        let reason = park_reason.to_string();
        let patience = match park_reason.patience() {
            Patience::None => 0,
            Patience::Short => PATIENCE.min(self.most_receives),
            Patience::Long => self.most_receives,
        };
        if receives < patience {
            return Err(RetryableError::TooEarly(reason));
        }
        let settlement = Settlement::Parked {
            class: Class::from(&park_reason),
            reason,
        };
        if self
            .events
            .settle(&event.event_id, &settlement, self.clock.now())
            .await?
            == Changed::Now
        {
            return Ok(Some(Outcome::Rejected(park_reason)));
        }
        // Perhaps it was we who parked it, and the answer was lost.
        let now = self.events.event(&event.event_id).await?;
        let is_parked = now.is_some_and(|event| event.state == EventState::Parked);
        Ok(is_parked.then_some(Outcome::Rejected(park_reason)))
    }
}

/// What a stored event tells; `None` if it says nothing to act on after all: it was stored by another version.
fn news_of(event: &StoredEvent) -> Option<Change> {
    let reading = match event.provider {
        Provider::Flex => flex::read(&event.body),
    };
    match reading {
        Reading::Event(event) => match event.change {
            Change::NotNeeded | Change::Unhandled => None,
            change => Some(change),
        },
        Reading::Unreadable(_) => None,
    }
}

fn gathered_doubt() -> gather::Gathered {
    Decision::Park(ParkReason::NoSubject).into()
}

impl<E, L, N, R, Q, P, C> Worker<FulfillmentJob> for Fulfillment<E, L, N, R, Q, P, C>
where
    E: Events,
    L: Ledger,
    N: Entitlements,
    R: Receipts,
    Q: Queue<ReceiptJob>,
    P: ProviderApi,
    C: Clock,
{
    async fn work(&self, job: &FulfillmentJob, attempt: &Attempt) -> Result<(), RetryableError> {
        let FulfillmentJob::V1 { event_id } = job;
        let started_at = self.clock.now();
        let ended = self.fulfill(event_id, attempt.receives).await;
        log(
            event_id,
            &ended,
            self.clock.now().duration_since(started_at),
        );
        match ended {
            Outcome::Accepted(_) | Outcome::Duplicate | Outcome::Rejected(_) => Ok(()),
            Outcome::Retry(error) => Err(error),
        }
    }

    async fn failed(&self, job: &FulfillmentJob, error: &RetryableError, _: &Attempt) {
        let FulfillmentJob::V1 { event_id } = job;
        let reason = error.to_string();
        if let Err(error) = self
            .events
            .note_failure(event_id, error.into(), &reason)
            .await
        {
            tracing::warn!(%event_id, reason = %error, "the failure could not be noted on the event");
        }
    }
}

/// Writes the one line that the log keeps of a job.
fn log(event_id: &EventId, ended: &Ended, took: jiff::SignedDuration) {
    let duration_ms = u64::try_from(took.as_millis()).unwrap_or_default();
    match ended {
        Outcome::Accepted(Done::PassedOn(receipt_ids)) => {
            let receipts = receipt_ids.len();
            tracing::info!(outcome = "passed_on", %event_id, receipts, duration_ms, "receipts queued for an earlier attempt");
        }
        Outcome::Duplicate => {
            tracing::info!(outcome = "duplicate", %event_id, duration_ms, "nothing to do")
        }
        Outcome::Rejected(park_reason) => {
            tracing::warn!(outcome = "parked", %event_id, reason = %park_reason, duration_ms, "event parked for a person");
        }
        // A commit has its line from where it is written, a retry from the batch.
        Outcome::Accepted(Done::Committed(_)) | Outcome::Retry(_) => {}
    }
}

/// Writes the line of a commit, when it is written. `age_ms` is what has passed since the event reached us.
fn log_commit(event: &StoredEvent, commit: &Commit, alerts: Alerts, now: Timestamp) {
    let (event_id, decision) = (&event.event_id, commit.to_string());
    let age_ms =
        u64::try_from(now.duration_since(event.received_at).as_millis()).unwrap_or_default();
    let Alerts {
        dispute_opened,
        dispute_lost,
        refund_failed,
    } = alerts;
    match &commit.order {
        Some(order) if commit.fulfills() => {
            let (shortfall, amounts_differ, unmapped) = (
                !order.shortfalls.is_empty(),
                order.difference.is_some(),
                order.has_unmapped_lines(),
            );
            let second_order = !order.same_reference.is_empty();
            tracing::info!(outcome = "fulfilled", %event_id, order_id = %order.order_id, shortfall, amounts_differ, unmapped, second_order, age_ms, decision, "order fulfilled");
        }
        Some(order) => {
            tracing::info!(outcome = "applied", %event_id, order_id = %order.order_id, dispute_opened, dispute_lost, refund_failed, age_ms, decision, "order changed");
        }
        None => tracing::info!(outcome = "applied", %event_id, age_ms, decision, "news applied"),
    }
}
