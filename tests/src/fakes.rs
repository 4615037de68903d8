//! The ports in memory: one world that keeps its state, counts every call, and can be told to fail or to stop
//! at any of them.
//!
//! It behaves as the real services do where the rules rely on it (conditions, all-or-nothing transactions,
//! owners, versions); `tests/it/contract.rs` holds it and the adapters to the same promises.

use domain::{
    checkout::Checkout,
    delivery::Provider,
    event::{EventState, StoredEvent},
    fulfillment::Commit,
    ids::{EventId, MessageId, OrderId, OwnerToken, ReceiptId, Sku},
    job::{FulfillmentJob, Job, ReceiptJob},
    order::Order,
    outcome::Setback,
    ports::{
        Changed, Checkouts, Clock, Committed, Events, Ledger, Mailer, Orders, Queue, ReadError, Receipts,
        Recorded, SendError, Settlement, SigningKeys,
    },
    receipt::{Receipt, State, mail::Email},
    secrets::Keys,
    stock::{Mapping, Movement, Shelf, Unnamed},
};
use jiff::Timestamp;
use std::{
    collections::{BTreeMap, VecDeque},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};
use tokio::sync::Notify;

/// What happens at a call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// It fails and has no effect.
    FailBefore,
    /// It has its effect, and the answer is lost.
    FailAfter,
    /// The process stops before it has any effect.
    StopBefore,
    /// The process stops right after its effect.
    StopAfter,
}

/// A message on a queue in memory.
#[derive(Debug, Clone)]
pub struct Message<J> {
    /// What it holds.
    pub job: J,
    /// How often it has been received.
    pub receives: u32,
    /// From when on it can be received.
    pub visible_at: Timestamp,
}

/// Everything that is kept.
#[derive(Debug, Default)]
pub struct Kept {
    /// The Events table.
    pub events: BTreeMap<EventId, StoredEvent>,
    /// The Orders table.
    pub orders: BTreeMap<OrderId, Order>,
    /// The Stock table's counters.
    pub counters: BTreeMap<Sku, i64>,
    /// The Stock table's movements.
    pub movements: BTreeMap<(Sku, OrderId), Movement>,
    /// The Stock table's mapping rows.
    pub mapping: Mapping,
    /// The Receipts table.
    pub receipts: BTreeMap<ReceiptId, Receipt>,
    /// The fulfillment queue.
    pub fulfillment_queue: VecDeque<Message<FulfillmentJob>>,
    /// The receipt queue.
    pub receipt_queue: VecDeque<Message<ReceiptJob>>,
    /// What both queues gave up on.
    pub dead_letters: Vec<String>,
    /// The mails that SES took.
    pub mails: Vec<Email>,
    /// What SES answers next, instead of taking a mail.
    pub mail_faults: VecDeque<SendError>,
    /// What the provider's API knows.
    pub checkouts: BTreeMap<OrderId, Checkout>,
    /// What the provider's API answers next, instead of what it knows.
    pub read_faults: VecDeque<ReadError>,
    /// The signing keys.
    pub keys: Keys,
    /// What a rereading finds; `None` when it may not be done.
    pub newer_keys: Option<Keys>,
    /// The name of every port call so far.
    pub calls: Vec<&'static str>,
    /// At which call (from 0) something happens.
    pub faults: BTreeMap<usize, Fault>,
    now: Timestamp,
}

/// The world in memory. A clone is another handle on the same one.
#[derive(Debug, Clone, Default)]
pub struct World {
    kept: Arc<Mutex<Kept>>,
    stopped: Arc<Notify>,
}

impl World {
    /// An empty world at that time.
    #[must_use]
    pub fn at(now: Timestamp) -> Self {
        let world = Self::default();
        world.kept().now = now;
        world
    }

    /// What is kept, to look at or to set up.
    pub fn kept(&self) -> MutexGuard<'_, Kept> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Lets time pass.
    pub fn pass(&self, by: Duration) {
        let mut kept = self.kept();
        kept.now = kept.now.saturating_add(by).unwrap_or(Timestamp::MAX);
    }

    /// Lets time pass until then, if it is still to come.
    pub fn pass_until(&self, then: Timestamp) {
        let mut kept = self.kept();
        kept.now = kept.now.max(then);
    }

    /// Runs a piece of work until it ends, or until the process "stops" in one of its calls: `None`.
    pub async fn run<T>(&self, work: impl Future<Output = T>) -> Option<T> {
        tokio::select! {
            biased;
            done = work => Some(done),
            () = self.stopped.notified() => None,
        }
    }

    /// One port call: counted, and disturbed if it is its turn.
    async fn call<T>(&self, name: &'static str, effect: impl FnOnce(&mut Kept) -> T) -> Result<T, Setback> {
        // A suspension point, as every real call is one: calls of concurrent work interleave.
        tokio::task::yield_now().await;
        let (fault, answer) = {
            let mut kept = self.kept();
            let n = kept.calls.len();
            kept.calls.push(name);
            let fault = kept.faults.remove(&n);
            let has_effect = !matches!(fault, Some(Fault::FailBefore | Fault::StopBefore));
            (fault, has_effect.then(|| effect(&mut kept)))
        };
        match (fault, answer) {
            (None, Some(answer)) => Ok(answer),
            (Some(Fault::StopBefore | Fault::StopAfter), _) => {
                self.stopped.notify_one();
                std::future::pending().await
            }
            _ => Err(Setback::Away { service: name, cause: "told to fail".to_owned(), retry_after: None }),
        }
    }
}

impl Clock for World {
    fn now(&self) -> Timestamp {
        self.kept().now
    }
}

impl Events for World {
    async fn record(&self, event: &StoredEvent) -> Result<Recorded, Setback> {
        self.call("events.record", |kept| match kept.events.get(&event.event_id) {
            None => {
                kept.events.insert(event.event_id.clone(), event.clone());
                Recorded::First
            }
            Some(there) if there.fingerprint == event.fingerprint => Recorded::Again(there.state),
            Some(there) => Recorded::OtherBody(there.state),
        })
        .await
    }

    async fn event(&self, id: &EventId) -> Result<Option<StoredEvent>, Setback> {
        self.call("events.event", |kept| kept.events.get(id).cloned()).await
    }

    async fn settle(&self, id: &EventId, settlement: &Settlement, _: Timestamp) -> Result<Changed, Setback> {
        self.call("events.settle", |kept| {
            let Some(event) = kept.events.get_mut(id) else { return Changed::Raced };
            match settlement {
                Settlement::Processed if event.state.is_pending() => {
                    event.state = EventState::Processed;
                    event.reason = None;
                    Changed::Now
                }
                Settlement::Parked { reason } if event.state == EventState::Stored => {
                    event.state = EventState::Parked;
                    event.reason = Some(reason.clone());
                    Changed::Now
                }
                Settlement::Processed | Settlement::Parked { .. } => Changed::Raced,
            }
        })
        .await
    }

    async fn note_failure(&self, id: &EventId, reason: &str, attempts: u32) -> Result<(), Setback> {
        self.call("events.note_failure", |kept| {
            if let Some(event) = kept.events.get_mut(id).filter(|event| event.state.is_pending()) {
                event.reason = Some(reason.to_owned());
                event.attempts = attempts;
            }
        })
        .await
    }
}

impl Orders for World {
    async fn order(&self, id: &OrderId) -> Result<Option<Order>, Setback> {
        self.call("orders.order", |kept| kept.orders.get(id).cloned()).await
    }
}

impl Ledger for World {
    async fn mapping(&self, wanted: &[Unnamed]) -> Result<Mapping, Setback> {
        let found = |kept: &mut Kept| {
            let found = wanted.iter().filter_map(|unnamed| kept.mapping.get_key_value(unnamed));
            found.map(|(unnamed, sku)| (unnamed.clone(), sku.clone())).collect()
        };
        self.call("ledger.mapping", found).await
    }

    async fn shelves(&self, order_id: &OrderId, skus: &[Sku]) -> Result<Vec<Shelf>, Setback> {
        let read = |kept: &Kept, sku: &Sku| Shelf {
            sku: sku.clone(),
            on_hand: kept.counters.get(sku).copied(),
            moved: kept.movements.get(&(sku.clone(), order_id.clone())).cloned(),
        };
        self.call("ledger.shelves", |kept| skus.iter().map(|sku| read(kept, sku)).collect()).await
    }

    async fn commit(&self, commit: &Commit) -> Result<Committed, Setback> {
        self.call("ledger.commit", |kept| apply(kept, commit)).await
    }
}

/// All of a commit, or nothing of it.
fn apply(kept: &mut Kept, commit: &Commit) -> Committed {
    let Commit { event_id, order, receipt, takes } = commit;
    let takes_hold = takes.iter().all(|take| {
        let movement = &take.movement;
        let counter = kept.counters.get(&movement.sku);
        let enough = match movement.short() {
            0 => counter.is_some_and(|count| *count >= movement.taken),
            _ => counter == Some(&take.on_hand),
        };
        enough && !kept.movements.contains_key(&(movement.sku.clone(), movement.order_id.clone()))
    });
    let free = !kept.orders.contains_key(&order.order_id) && !kept.receipts.contains_key(&receipt.receipt_id);
    let Some(event) = kept.events.get_mut(event_id).filter(|event| event.state == EventState::Stored) else {
        return Committed::Raced;
    };
    if !(takes_hold && free) {
        return Committed::Raced;
    }
    event.state = EventState::Committed;
    event.reason = None;
    event.receipt_id = Some(receipt.receipt_id.clone());
    kept.orders.insert(order.order_id.clone(), order.clone());
    kept.receipts.insert(receipt.receipt_id.clone(), receipt.clone());
    for take in takes {
        let movement = &take.movement;
        if let Some(count) = kept.counters.get_mut(&movement.sku) {
            *count -= movement.taken;
        }
        kept.movements.insert((movement.sku.clone(), movement.order_id.clone()), movement.clone());
    }
    Committed::Now
}

/// Changes a receipt if `guard` holds for it.
fn change(kept: &mut Kept, id: &ReceiptId, guard: impl Fn(&Receipt) -> bool, state: &State) -> Changed {
    match kept.receipts.get_mut(id).filter(|receipt| guard(receipt)) {
        None => Changed::Raced,
        Some(receipt) => {
            receipt.version += 1;
            receipt.attempts += u32::from(matches!(state, State::Claimed { .. }));
            receipt.state = state.clone();
            Changed::Now
        }
    }
}

impl Receipts for World {
    async fn receipt(&self, id: &ReceiptId) -> Result<Option<Receipt>, Setback> {
        self.call("receipts.receipt", |kept| kept.receipts.get(id).cloned()).await
    }

    async fn claim(
        &self,
        seen: &Receipt,
        owner: &OwnerToken,
        claim_ends_at: Timestamp,
    ) -> Result<Changed, Setback> {
        let state = State::Claimed { owner: owner.clone(), claim_ends_at };
        let guard = |receipt: &Receipt| receipt.version == seen.version;
        self.call("receipts.claim", |kept| change(kept, &seen.receipt_id, guard, &state)).await
    }

    async fn hold(&self, seen: &Receipt) -> Result<Changed, Setback> {
        let guard = |receipt: &Receipt| receipt.version == seen.version;
        self.call("receipts.hold", |kept| change(kept, &seen.receipt_id, guard, &State::Held)).await
    }

    async fn mark(&self, id: &ReceiptId, owner: &OwnerToken, state: &State) -> Result<Changed, Setback> {
        let guard = |receipt: &Receipt| matches!(&receipt.state, State::Claimed { owner: holder, .. } if holder == owner);
        self.call("receipts.mark", |kept| change(kept, id, guard, state)).await
    }
}

fn message<J: Job + Clone>(job: &J, kept: &Kept) -> Message<J> {
    Message { job: job.clone(), receives: 0, visible_at: kept.now }
}

impl Queue<FulfillmentJob> for World {
    async fn send(&self, job: &FulfillmentJob) -> Result<(), Setback> {
        self.call("fulfillment_queue.send", |kept| {
            let message = message(job, kept);
            kept.fulfillment_queue.push_back(message);
        })
        .await
    }
}

impl Queue<ReceiptJob> for World {
    async fn send(&self, job: &ReceiptJob) -> Result<(), Setback> {
        self.call("receipt_queue.send", |kept| {
            let message = message(job, kept);
            kept.receipt_queue.push_back(message);
        })
        .await
    }
}

impl Mailer for World {
    async fn send(&self, email: &Email) -> Result<MessageId, SendError> {
        let sent = self.call("mailer.send", |kept| {
            if let Some(fault) = kept.mail_faults.pop_front() {
                return Err(fault);
            }
            kept.mails.push(email.clone());
            MessageId::new(format!("ses-{}", kept.mails.len()))
                .map_err(|bad| SendError::Unknown(bad.to_string()))
        });
        match sent.await {
            Ok(sent) => sent,
            // Nobody can tell whether a call whose answer is lost has sent the mail.
            Err(setback) => Err(SendError::Unknown(setback.to_string())),
        }
    }
}

impl Checkouts for World {
    async fn checkout(&self, _: Provider, order_id: &OrderId) -> Result<Checkout, ReadError> {
        self.call("checkouts.checkout", |kept| {
            let unknown =
                ReadError::Permanent { status: 404, code: Some("checkout_session_not_found".to_owned()) };
            match kept.read_faults.pop_front() {
                Some(fault) => Err(fault),
                None => kept.checkouts.get(order_id).cloned().ok_or(unknown),
            }
        })
        .await?
    }
}

impl SigningKeys for World {
    async fn keys(&self, _: Provider) -> Keys {
        // Not counted: keys come from the process's own memory.
        self.kept().keys.clone()
    }

    async fn reread(&self, _: Provider) -> Option<Keys> {
        let reread = self.call("keys.reread", |kept| {
            let newer = kept.newer_keys.take()?;
            kept.keys.clone_from(&newer);
            Some(newer)
        });
        // A store that does not answer has no newer keys to offer.
        reread.await.ok().flatten()
    }
}
