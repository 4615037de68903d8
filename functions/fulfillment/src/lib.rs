//! The edge of fulfillment: one job in, one decision carried out.
//!
//! read → decide → commit → send the outbox → mark the event. If an attempt stops anywhere, the next delivery of the job
//! continues from what is stored.

pub mod config;
mod erasure;

use aws::batch::{Attempt, Worker};
use domain::{
    announcement,
    delivery::{
        event::{Change, Event, Reading},
        job::{FulfillmentJob, Handoff, ReceiptJob},
        stored_event::{EventState, StoredEvent},
    },
    fulfillment::{
        self, Decision, ParkReason, Patience, Policy,
        commit::Commit,
        known::{Case, Known, Need},
    },
    ports::{Changed, Clock, Commits, Committed, Events, Queue, Settlement},
    sale::{order::Alerts, shop::NotNeeded},
    values::{
        class::Class,
        ids::EventId,
        outcome::{Outcome, RetryableError},
        provider::ProviderPolicies,
    },
};
use jiff::Timestamp;
use operator::customer::Tables;
use providers::Providers;
use std::sync::Arc;

/// How many records of a batch run at once: all, since each spends its time waiting for the provider and `DynamoDB`.
pub const AT_ONCE: usize = 10;
/// How often a lost race is decided again before the job goes back to the queue.
const TRIES: u32 = 3;
/// How much a rule may ask for before its decision. No rule asks for more than ten things, three readings of a
/// sale included.
const MOST_NEEDS: u32 = 30;
/// The receive at which a reason that may pass soon counts as permanent: after five minutes by the template's default.
const PATIENCE: u32 = 3;

/// Fulfillment over a store `S`.
#[derive(Debug)]
pub struct Fulfillment<S> {
    pub store: S,
    pub providers: Providers,
    pub clock: Arc<dyn Clock>,
    pub policy: Policy,
    /// How often the queue delivers a job before the job moves to the dead-letter queue.
    pub most_receives: u32,
}

/// The ports of fulfillment's store.
pub trait FulfillmentStore:
    Events + Commits + Tables + Queue<FulfillmentJob> + Queue<ReceiptJob>
{
}

impl<S: Events + Commits + Tables + Queue<FulfillmentJob> + Queue<ReceiptJob>> FulfillmentStore
    for S
{
}

/// The result of a job.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Done {
    /// The commit is written and its outbox is sent.
    Committed(Box<Commit>),
    /// An earlier attempt committed and stopped; its outbox is sent now.
    HandedOff(Vec<Handoff>),
    /// The sale needs nothing here.
    NotNeeded(NotNeeded),
}

/// How a job ended.
pub type Ended = Outcome<Done, ParkReason>;

impl<S: FulfillmentStore> Fulfillment<S> {
    /// Decides the event of a job and carries the decision out. `receives` counts the deliveries of the job, from 1.
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
        for _ in 0..TRIES {
            let missing = RetryableError::Missing { what: "the event" };
            let event = self.store.event(event_id).await?.ok_or(missing)?;
            if !event.state.is_unfinished() {
                return Ok(Outcome::Duplicate);
            }
            if let Some(handoffs) = event.unsent() {
                self.hand_off(&event, handoffs).await?;
                return Ok(Outcome::Accepted(Done::HandedOff(handoffs.to_vec())));
            }
            // On the heap: the future has room for every kind of read, and an attempt needs few of them.
            let decision = Box::pin(self.decide(&event)).await?;
            if let Some(ended) = self.act(&event, decision, receives).await? {
                return Ok(ended);
            }
        }
        Err(RetryableError::Raced {
            what: "the rows",
            tries: TRIES,
        })
    }

    /// Reads rows and answers until the rule decides.
    async fn decide(&self, event: &StoredEvent) -> Result<Decision, RetryableError> {
        let Some((read, provider)) = self.read_event(event) else {
            return Ok(Decision::Park(ParkReason::NoSubject));
        };
        let mut known = Known::default();
        for _ in 0..MOST_NEEDS {
            let case = Case {
                event,
                scope: &read.scope,
                stamp: read.stamp,
                known: &known,
                policy: &self.policy,
                provider,
                stated_at: event.stated_at(),
                now: self.clock.now(),
            };
            match fulfillment::decide(&case, &read.change) {
                Ok(decision) => return Ok(decision),
                Err(need) => self.read(event, need, &mut known).await?,
            }
        }
        let what = format!("no decision after {MOST_NEEDS} readings");
        Err(RetryableError::Fault(what))
    }

    /// A stored event as read, and its provider's policies; `None` if it states nothing to act on.
    fn read_event(&self, event: &StoredEvent) -> Option<(Box<Event>, ProviderPolicies)> {
        let provider = self.providers.of(&event.provider).ok()?;
        match provider.read(&event.body) {
            Reading::Event(event) => match event.change {
                Change::NotNeeded | Change::Unhandled => None,
                _ => Some((event, provider.policies())),
            },
            Reading::Unreadable(_) => None,
        }
    }

    async fn read(
        &self,
        event: &StoredEvent,
        need: Need,
        known: &mut Known,
    ) -> Result<(), RetryableError> {
        match need {
            Need::Rows(read_set) => {
                let rows = self.store.read(&read_set).await?;
                known.add_rows(*read_set, rows);
            }
            Need::CustomerOf(id) => {
                let customer = self.store.customer_of(&id).await?;
                known.add_customer(id, customer);
            }
            Need::Fetch(reference) => {
                // Before the request: a change that is announced while the provider answers may not be in the answer.
                let asked_at = self.clock.now();
                let fetched = self
                    .providers
                    .fetch(&event.provider, &reference, asked_at)
                    .await;
                let answer = match fetched {
                    Ok(answer) => Ok(answer),
                    Err(error) => Err(ParkReason::from_read_error(error)?),
                };
                known.add_answer(reference, asked_at, answer);
            }
        }
        Ok(())
    }

    /// Carries a decision out; `None` after a lost race.
    async fn act(
        &self,
        event: &StoredEvent,
        decision: Decision,
        receives: u32,
    ) -> Result<Option<Ended>, RetryableError> {
        match decision {
            Decision::Write(commit) => self.commit(event, commit).await,
            Decision::Nothing { unsent } => {
                let handoff = |receipt_id| Handoff::Receipt { receipt_id };
                let handoffs: Vec<_> = unsent.into_iter().map(handoff).collect();
                self.hand_off(event, &handoffs).await?;
                Ok(Some(Outcome::Duplicate))
            }
            Decision::Wait {
                commit: Some(commit),
                ..
            }
            | Decision::NotNeeded {
                commit: Some(commit),
                ..
            } if !self.keep(event, &commit).await? => Ok(None),
            Decision::NotNeeded { reason, .. } => self.end_unneeded(event, reason).await,
            Decision::Wait { park_reason, .. } | Decision::Park(park_reason) => {
                self.park(event, park_reason, receives).await
            }
        }
    }

    /// Writes facts that do not end the event; false after a lost race. Sweep sends their receipts.
    async fn keep(&self, event: &StoredEvent, commit: &Commit) -> Result<bool, RetryableError> {
        if self.store.commit(commit).await? == Committed::Raced {
            return Ok(false);
        }
        // The next attempt finds these facts known, so only this one can call a person.
        if commit.alerts != Alerts::default() {
            log_commit(event, commit, self.clock.now());
        }
        Ok(true)
    }

    /// Commits, sends the outbox, marks the event; `None` after a lost race.
    async fn commit(
        &self,
        event: &StoredEvent,
        commit: Box<Commit>,
    ) -> Result<Option<Ended>, RetryableError> {
        if self.store.commit(&commit).await? == Committed::Raced {
            return Ok(None);
        }
        // At once, before a stop can lose the log line that a person may need.
        log_commit(event, &commit, self.clock.now());
        self.hand_off(event, &commit.outbox()).await?;
        Ok(Some(Outcome::Accepted(Done::Committed(commit))))
    }

    /// Sends messages to the next stage, then marks the event. After a stop between the two, the messages are sent
    /// twice, and each receipt is leased once. No row keeps an erasure, so its job marks the event at its
    /// end. Until then sweep finds the event and queues it again.
    async fn hand_off(
        &self,
        event: &StoredEvent,
        handoffs: &[Handoff],
    ) -> Result<(), RetryableError> {
        for handoff in handoffs {
            match handoff.clone() {
                Handoff::Receipt { receipt_id } => {
                    self.store.send(&ReceiptJob::V1 { receipt_id }).await?;
                }
                Handoff::Erasure { customer_id } => {
                    let job = FulfillmentJob::EraseV1 {
                        event_id: event.event_id.clone(),
                        customer_id,
                        after: None,
                    };
                    self.store.send(&job).await?;
                }
            }
        }
        let is_erasure = |handoff: &Handoff| matches!(handoff, Handoff::Erasure { .. });
        if handoffs.iter().any(is_erasure) {
            return Ok(());
        }
        // If another attempt has marked it, nothing is left to do.
        self.store
            .settle(&event.event_id, &Settlement::Processed, self.clock.now())
            .await
            .map(drop)
    }

    /// Ends an event that needs nothing here; `None` if another attempt has ended it in another way.
    async fn end_unneeded(
        &self,
        event: &StoredEvent,
        reason: NotNeeded,
    ) -> Result<Option<Ended>, RetryableError> {
        let settlement = Settlement::NotNeeded {
            reason: reason.to_string(),
        };
        let now = self.clock.now();
        if self.store.settle(&event.event_id, &settlement, now).await? == Changed::Now {
            return Ok(Some(Outcome::Accepted(Done::NotNeeded(reason))));
        }
        // This attempt may have ended it, and the answer was lost.
        let stored = self.store.event(&event.event_id).await?;
        let has_ended = stored.is_some_and(|event| event.state == EventState::NotNeeded);
        Ok(has_ended.then_some(Outcome::Duplicate))
    }

    /// Parks an event, unless its reason may pass and had no time to; `None` if another attempt has ended the event
    /// in another way.
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
        let (class, now) = (Class::from(&park_reason), self.clock.now());
        let settlement = Settlement::Parked {
            class,
            reason,
            announced: announcement::event::parked(event, class, now),
        };
        if self.store.settle(&event.event_id, &settlement, now).await? == Changed::Now {
            return Ok(Some(Outcome::Rejected(park_reason)));
        }
        // This attempt may have parked it, and the answer was lost.
        let stored = self.store.event(&event.event_id).await?;
        let is_parked = stored.is_some_and(|event| event.state == EventState::Parked);
        Ok(is_parked.then_some(Outcome::Rejected(park_reason)))
    }
}

impl<S: FulfillmentStore> Worker<FulfillmentJob> for Fulfillment<S> {
    async fn work(&self, job: &FulfillmentJob, attempt: &Attempt) -> Result<(), RetryableError> {
        let event_id = match job {
            FulfillmentJob::V1 { event_id } => event_id,
            FulfillmentJob::EraseV1 {
                event_id,
                customer_id,
                after,
            } => {
                return self
                    .erase(event_id, customer_id, after.as_ref(), attempt)
                    .await;
            }
        };
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
        let (FulfillmentJob::V1 { event_id } | FulfillmentJob::EraseV1 { event_id, .. }) = job;
        let reason = error.to_string();
        if let Err(error) = self
            .store
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
        Outcome::Accepted(Done::HandedOff(handoffs)) => {
            let receipts = handoffs.len();
            tracing::info!(outcome = "passed_on", %event_id, receipts, duration_ms, "receipts queued for an earlier attempt");
        }
        Outcome::Accepted(Done::NotNeeded(NotNeeded::NotOurs(reason))) if reason.is_mistake() => {
            tracing::warn!(outcome = "not_ours", %event_id, %reason, duration_ms, "an event of another account");
        }
        Outcome::Accepted(Done::NotNeeded(reason)) => {
            tracing::info!(outcome = "not_needed", %event_id, %reason, duration_ms, "nothing to do here");
        }
        Outcome::Duplicate => {
            tracing::info!(outcome = "duplicate", %event_id, duration_ms, "nothing to do");
        }
        Outcome::Rejected(park_reason) => {
            tracing::warn!(outcome = "parked", %event_id, reason = %park_reason, duration_ms, "event parked for a person");
        }
        // A commit has its line from where it is written, a retry from the batch.
        Outcome::Accepted(Done::Committed(_)) | Outcome::Retry(_) => {}
    }
}

/// Logs a commit. `age_ms` is the time since the event reached us.
fn log_commit(event: &StoredEvent, commit: &Commit, now: Timestamp) {
    let (event_id, decision) = (&event.event_id, commit.to_string());
    let age_ms =
        u64::try_from(now.duration_since(event.received_at).as_millis()).unwrap_or_default();
    let Alerts {
        dispute_opened,
        dispute_lost,
        dispute_unclear,
        refund_failed,
        partly_paid,
        payment_unclear,
        restock_unclear,
        held: order_held,
    } = commit.alerts;
    match &commit.order {
        Some(order) if commit.fulfills => {
            let (shortfall, amounts_differ, uncounted) = (
                !order.shortfalls.is_empty(),
                order.difference.is_some(),
                !commit.uncounted.is_empty(),
            );
            let uncounted_lines = order.uncounted_lines();
            let lacks_customer = order.lacks_customer();
            let second_order = !order.same_reference.is_empty();
            let eligibility_unknown = order.has_unknown_eligibility();
            tracing::info!(outcome = "fulfilled", %event_id, order_id = %order.order_id, shortfall, amounts_differ, uncounted, uncounted_lines, lacks_customer, second_order, partly_paid, payment_unclear, eligibility_unknown, age_ms, decision, "order fulfilled");
        }
        Some(order) => {
            tracing::info!(outcome = "applied", %event_id, order_id = %order.order_id, dispute_opened, dispute_lost, dispute_unclear, refund_failed, partly_paid, payment_unclear, restock_unclear, order_held, age_ms, decision, "order changed");
        }
        None => tracing::info!(outcome = "applied", %event_id, age_ms, decision, "event applied"),
    }
}
