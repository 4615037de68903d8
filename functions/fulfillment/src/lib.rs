//! The edge of fulfillment: one job in, one order, its stock movements and one receipt out.
//!
//! read → decide → commit → queue the receipt → mark the event. Stopped anywhere, the job's next delivery goes
//! on from what is stored.

pub mod provider;

use aws::batch::{Attempt, Worker};
use domain::{
    checkout::Checkout,
    delivery::Provider,
    event::{EventState, News, Reading, StoredEvent},
    fulfillment::{Commit, Decision, Doubt, Screening, decide, screen},
    ids::{EventId, OrderId, ReceiptId},
    job::{FulfillmentJob, ReceiptJob},
    mode::Mode,
    outcome::{Outcome, Setback},
    ports::{
        Changed, Checkouts, Clock, Committed, Events, Ledger, Orders, Queue, ReadError, Receipts, Settlement,
    },
    stock,
};

/// How often a lost race is decided anew before the job goes back to the queue.
const TRIES: u32 = 3;
/// At which receive a doubt that may pass is taken for one that stays: by the template's default after five minutes.
const PATIENCE: u32 = 3;

/// What fulfillment needs of the world.
#[derive(Debug)]
pub struct Fulfillment<E, O, L, R, Q, P, C> {
    /// The stored events.
    pub events: E,
    /// The orders.
    pub orders: O,
    /// The stock, and the transaction over all tables.
    pub ledger: L,
    /// The receipt rows.
    pub receipts: R,
    /// Where receipts wait to be sent.
    pub receipt_queue: Q,
    /// The provider's API.
    pub checkouts: P,
    /// The time.
    pub clock: C,
    /// What this stack deals in.
    pub mode: Mode,
}

/// What was done.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Done {
    /// The order is committed and its receipt queued.
    Fulfilled(Box<Commit>),
    /// An earlier attempt had committed and stopped; its receipt is queued now.
    PassedOn(ReceiptId),
}

/// How a job ended.
pub type Ended = Outcome<Done, Doubt>;

impl<E, O, L, R, Q, P, C> Fulfillment<E, O, L, R, Q, P, C>
where
    E: Events,
    O: Orders,
    L: Ledger,
    R: Receipts,
    Q: Queue<ReceiptJob>,
    P: Checkouts,
    C: Clock,
{
    /// Fulfills what a stored event brought news of. `receives` counts how often the job has come, from 1.
    pub async fn fulfill(&self, event_id: &EventId, receives: u32) -> Ended {
        self.try_fulfill(event_id, receives).await.unwrap_or_else(Outcome::Retry)
    }

    async fn try_fulfill(&self, event_id: &EventId, receives: u32) -> Result<Ended, Setback> {
        let mut known: Option<Checkout> = None;
        for _ in 0..TRIES {
            let event = self.events.event(event_id).await?.ok_or(Setback::Missing { what: "the event" })?;
            if !event.state.is_pending() {
                return Ok(Outcome::Duplicate);
            }
            let Some(order_id) = checkout_of(&event) else {
                match self.park(&event, Doubt::NoCheckout, receives).await? {
                    Some(ended) => return Ok(ended),
                    None => continue,
                }
            };
            let order = self.orders.order(&order_id).await?;
            match screen(&event, order.as_ref()) {
                Screening::PassOn(receipt_id) => {
                    self.pass_on(&event, &receipt_id).await?;
                    return Ok(Outcome::Accepted(Done::PassedOn(receipt_id)));
                }
                Screening::AlreadyFulfilled(receipt_id) => {
                    self.pass_on_if_owed(&event, &receipt_id).await?;
                    return Ok(Outcome::Duplicate);
                }
                Screening::ReadOn => {}
            }
            let decision = match self.read(&mut known, event.provider, &order_id).await? {
                Ok(checkout) => self.decide(&event, checkout).await?,
                Err(doubt) => Decision::Park(doubt),
            };
            let ended = match decision {
                Decision::Park(doubt) => self.park(&event, doubt, receives).await?,
                Decision::Fulfill(commit) => self.commit(&event, commit).await?,
            };
            if let Some(ended) = ended {
                return Ok(ended);
            }
        }
        Err(Setback::Raced { what: "the order", tries: TRIES })
    }

    /// Reads the checkout from its provider; a lost race does not need it read again.
    async fn read<'a>(
        &self,
        known: &'a mut Option<Checkout>,
        provider: Provider,
        order_id: &OrderId,
    ) -> Result<Result<&'a Checkout, Doubt>, Setback> {
        if known.is_none() {
            match self.checkouts.checkout(provider, order_id).await {
                Ok(checkout) => *known = Some(checkout),
                Err(ReadError::Transient(setback)) => return Err(setback),
                Err(ReadError::KeyRefused { status }) => {
                    let cause = format!("our API key is answered with {status}");
                    return Err(Setback::SetUp { service: "the provider's API", cause });
                }
                Err(error @ (ReadError::Permanent { .. } | ReadError::NotUnderstood(_))) => {
                    return Ok(Err(Doubt::NotTold(error)));
                }
            }
        }
        known.as_ref().map(Ok).ok_or_else(|| Setback::Fault("a checkout was read and is gone".to_owned()))
    }

    async fn decide(&self, event: &StoredEvent, checkout: &Checkout) -> Result<Decision, Setback> {
        let unnamed = stock::unnamed(&checkout.lines);
        let mapping =
            if unnamed.is_empty() { stock::Mapping::new() } else { self.ledger.mapping(&unnamed).await? };
        let skus = stock::skus(&checkout.lines, &mapping);
        let shelves =
            if skus.is_empty() { Vec::new() } else { self.ledger.shelves(&checkout.order_id, &skus).await? };
        Ok(decide(event, checkout, &mapping, &shelves, self.mode, self.clock.now()))
    }

    /// Commits, queues the receipt, marks the event; `None` when the race is lost.
    async fn commit(&self, event: &StoredEvent, commit: Box<Commit>) -> Result<Option<Ended>, Setback> {
        match self.ledger.commit(&commit).await? {
            Committed::Raced => Ok(None),
            Committed::Now => {
                self.pass_on(event, &commit.receipt.receipt_id).await?;
                Ok(Some(Outcome::Accepted(Done::Fulfilled(commit))))
            }
        }
    }

    /// Queues the receipt of a committed order, then marks the event. Stopped between the two, the receipt is
    /// queued twice, and claimed once.
    async fn pass_on(&self, event: &StoredEvent, receipt_id: &ReceiptId) -> Result<(), Setback> {
        self.receipt_queue.send(&ReceiptJob::V1 { receipt_id: receipt_id.clone() }).await?;
        self.mark(event).await
    }

    /// Marks an event as processed. If it is already, so much the better.
    async fn mark(&self, event: &StoredEvent) -> Result<(), Setback> {
        let settled = self.events.settle(&event.event_id, &Settlement::Processed, self.clock.now());
        settled.await.map(drop)
    }

    /// Ends an event whose order another event has fulfilled. "Already paid" must never swallow a receipt that
    /// is still owed.
    async fn pass_on_if_owed(&self, event: &StoredEvent, receipt_id: &ReceiptId) -> Result<(), Setback> {
        let receipt = self.receipts.receipt(receipt_id).await?;
        if receipt.is_some_and(|receipt| receipt.is_owed()) {
            return self.pass_on(event, receipt_id).await;
        }
        self.mark(event).await
    }

    /// Parks an event, unless its doubt may pass and has not been given the time; `None` when somebody else has
    /// come to another end with it meanwhile.
    async fn park(&self, event: &StoredEvent, doubt: Doubt, receives: u32) -> Result<Option<Ended>, Setback> {
        let reason = doubt.to_string();
        if doubt.may_pass() && receives < PATIENCE {
            return Err(Setback::TooEarly(reason));
        }
        let settlement = Settlement::Parked { reason };
        if self.events.settle(&event.event_id, &settlement, self.clock.now()).await? == Changed::Now {
            return Ok(Some(Outcome::Rejected(doubt)));
        }
        // Perhaps it was we who parked it, and the answer was lost.
        let now = self.events.event(&event.event_id).await?;
        let is_parked = now.is_some_and(|event| event.state == EventState::Parked);
        Ok(is_parked.then_some(Outcome::Rejected(doubt)))
    }
}

/// Which checkout a stored event is about.
fn checkout_of(event: &StoredEvent) -> Option<OrderId> {
    let reading = match event.provider {
        Provider::Flex => flex::read(&event.body),
    };
    match reading {
        Reading::Event(event) => match event.news {
            News::CheckoutCompleted { order_id } => Some(order_id),
            News::Unhandled => None,
        },
        Reading::Unreadable(_) => None,
    }
}

impl<E, O, L, R, Q, P, C> Worker<FulfillmentJob> for Fulfillment<E, O, L, R, Q, P, C>
where
    E: Events,
    O: Orders,
    L: Ledger,
    R: Receipts,
    Q: Queue<ReceiptJob>,
    P: Checkouts,
    C: Clock,
{
    async fn work(&self, job: &FulfillmentJob, attempt: &Attempt) -> Result<(), Setback> {
        let FulfillmentJob::V1 { event_id } = job;
        let started_at = self.clock.now();
        let ended = self.fulfill(event_id, attempt.receives).await;
        log(event_id, &ended, self.clock.now().duration_since(started_at));
        match ended {
            Outcome::Accepted(_) | Outcome::Duplicate | Outcome::Rejected(_) => Ok(()),
            Outcome::Retry(setback) => Err(setback),
        }
    }

    async fn failed(&self, job: &FulfillmentJob, setback: &Setback, attempt: &Attempt) {
        let FulfillmentJob::V1 { event_id } = job;
        let reason = setback.to_string();
        if let Err(setback) = self.events.note_failure(event_id, &reason, attempt.receives).await {
            tracing::warn!(%event_id, reason = %setback, "the failure could not be noted on the event");
        }
    }
}

/// Writes the one line that the log keeps of a job. A retry has its line from the batch.
fn log(event_id: &EventId, ended: &Ended, took: jiff::SignedDuration) {
    let duration_ms = u64::try_from(took.as_millis()).unwrap_or_default();
    match ended {
        Outcome::Accepted(Done::Fulfilled(commit)) => {
            let order = &commit.order;
            let decision = Decision::Fulfill(commit.clone()).to_string();
            let (shortfall, amounts_differ, unmapped) =
                (!order.shortfalls.is_empty(), order.difference.is_some(), order.has_unmapped_lines());
            tracing::info!(outcome = "fulfilled", %event_id, order_id = %order.order_id, shortfall, amounts_differ, unmapped, duration_ms, decision, "order fulfilled");
        }
        Outcome::Accepted(Done::PassedOn(receipt_id)) => {
            tracing::info!(outcome = "passed_on", %event_id, %receipt_id, duration_ms, "receipt queued for an earlier attempt");
        }
        Outcome::Duplicate => tracing::info!(outcome = "duplicate", %event_id, duration_ms, "nothing to do"),
        Outcome::Rejected(doubt) => {
            tracing::warn!(outcome = "parked", %event_id, reason = %doubt, duration_ms, "event parked for a person");
        }
        Outcome::Retry(_) => {}
    }
}
