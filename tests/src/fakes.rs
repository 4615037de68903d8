//! The ports in memory: one world that keeps its state, counts every call, and can fail or stop at any of them.
//!
//! It behaves like the real services where the rules rely on it: conditions, all-or-nothing transactions, owners,
//! versions. The suites of `tests/it/contract.rs` hold it and the adapters to the same promises.

pub mod backlog;
pub mod behind;
mod listing;

pub use listing::Lists;

use aws::{
    ledger::{MOST_ACTIONS, MOVES_A_PART, first_parts},
    secrets::REREAD_AFTER,
};
use domain::{
    access::{
        contact::Contact,
        entitlement::Entitlement,
        subscription::{self, Subscription},
    },
    delivery::{
        answer::Answer,
        event::{Change, Reading},
        job::{FulfillmentJob, Job, ReceiptJob},
        reference::Reference,
        secrets::{ApiKey, Keys},
        signature::{BadKey, Key, Refusal, Unverified},
        stored_event::{EventState, StoredEvent},
    },
    fulfillment::{
        commit::Commit,
        read_set::{ReadSet, Snapshot},
    },
    ports::{
        Answering, ApiKeys, Changed, Clock, Committed, DeadLetter, DeadLetters, Delay,
        Entitlements, EventAdmin, Events, Found, Headers, Ledger, Orders, Provider, Queue,
        ReceiptAdmin, Receipts, Recorded, Reopening, Search, Settlement, SigningKeys, Suppressions,
    },
    receipt::{
        Receipt, ReceiptState,
        feedback::{AddressHash, ReceiptUpdate, Suppression},
    },
    sale::{
        checkout::Checkout,
        delivery_failure::DeliveryFailure,
        merchant_reference::MerchantReference,
        order::Order,
        payment::Link,
        refund,
        stock::{Deduction, Mapping, Movement, Restock, StockLevel},
    },
    upkeep::reconcile::{self, Ask, Page},
    values::{
        class::Class,
        facts::whole_second,
        ids::{
            CustomerId, EventId, MessageId, OrderId, OwnerToken, PaymentIntentId, ProductId,
            ReceiptId, RefundId, Sku, SubscriptionId,
        },
        mode::Mode,
        outcome::{ReadError, RetryableError},
        provider::ProviderId,
    },
};
use jiff::Timestamp;
use mail::Email;
use mail::{Mailer, SendError};
use providers::Providers;
use serde::{Serialize, de::DeserializeOwned};
use std::{
    cell::{Cell, RefCell},
    collections::{BTreeMap, BTreeSet, VecDeque},
    num::NonZeroUsize,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};
use tokio::{sync::Notify, time::Instant};

/// A fault at a call.
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
    /// It is throttled with a time to come again, and has no effect.
    Throttled,
    /// Another transaction on the same rows was in the way, up to the last try: it has no effect.
    Conflict,
    /// It has its effect, its answer is lost, and the SDK sends it again. The caller gets the second answer. This fault
    /// applies only if the real adapter leaves retries to the SDK.
    Twice,
}

/// The next step of a waiting call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Turn {
    /// It goes through, unless [`Kept::faults`] has something for it.
    Goes,
    /// It goes on waiting.
    Waits,
    /// The fault strikes.
    Strikes(Fault),
}

/// The effect of a call on the world.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Manner {
    /// It changes nothing.
    Reads,
    /// It may change something, and the SDK does not send it again.
    Writes,
    /// It may change something, and the SDK sends it again when its answer is lost.
    Repeats,
}

/// A call of a port.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Call {
    pub name: &'static str,
    pub manner: Manner,
}

/// Decides over every call of a world. It may change the world, such as the next answer of SES.
pub trait Fate: std::fmt::Debug + Send {
    /// The next step of this call.
    fn turn(&mut self, call: Call, kept: &mut Kept) -> Turn;
}

/// A message on a queue in memory.
#[derive(Debug, Clone)]
pub struct Message<J> {
    pub job: J,
    pub receives: u32,
    pub visible_at: Timestamp,
}

/// One of the three dead-letter queues.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Hop {
    /// Messages for fulfillment.
    Fulfillment,
    /// Messages for receipts.
    Receipts,
    /// Messages for feedback.
    Feedback,
}

/// A message that a queue in memory gave up on.
#[derive(Debug, Clone)]
pub struct Dead {
    pub hop: Hop,
    pub body: String,
    /// The failed job and its error, which SQS does not keep.
    pub why: String,
    /// The receives from the dead-letter queue.
    pub receives: u32,
    pub visible_at: Timestamp,
}

/// Everything that is kept.
#[derive(Debug, Default)]
pub struct Kept {
    /// The Events table.
    pub events: BTreeMap<EventId, StoredEvent>,
    /// Events whose rows a newer version has written in a way that this one cannot read.
    pub unreadable: BTreeSet<EventId>,
    /// The Orders table.
    pub orders: BTreeMap<OrderId, Order>,
    /// The Links table's payments.
    pub links: BTreeMap<PaymentIntentId, Link>,
    /// The Links table's references.
    pub references: BTreeMap<String, MerchantReference>,
    /// The Links table's marks of addresses.
    pub marks: BTreeMap<AddressHash, Suppression>,
    /// The Stock table's counters.
    pub counters: BTreeMap<Sku, i64>,
    /// The Stock table's movements.
    pub movements: BTreeMap<(Sku, OrderId), Movement>,
    /// The Stock table's mapping rows.
    pub mapping: Mapping,
    /// The Entitlements table's subscriptions; the provider's view of them is in [`Kept::subscriptions`].
    pub subscription_rows: BTreeMap<(CustomerId, SubscriptionId), Subscription>,
    /// The Entitlements table's access to products.
    pub entitlements: BTreeMap<(CustomerId, ProductId), Entitlement>,
    /// The Entitlements table's names and addresses.
    pub contacts: BTreeMap<CustomerId, Contact>,
    /// The Receipts table.
    pub receipts: BTreeMap<ReceiptId, Receipt>,
    /// The rows that sweep has queued again, with the times.
    pub swept: backlog::Swept,
    /// The fulfillment queue.
    pub fulfillment_queue: VecDeque<Message<FulfillmentJob>>,
    /// The receipt queue.
    pub receipt_queue: VecDeque<Message<ReceiptJob>>,
    /// The messages that the queues gave up on, by message id.
    pub dead_letters: BTreeMap<usize, Dead>,
    /// The number of messages ever given up on.
    pub given_up: usize,
    /// The mails that SES took.
    pub mails: Vec<Email>,
    /// The next answers of SES, instead of taking a mail.
    pub mail_faults: VecDeque<SendError>,
    /// The checkouts that the provider's API knows.
    pub checkouts: BTreeMap<OrderId, Checkout>,
    /// The refunds that it knows, of whatever payment.
    pub refunds: BTreeMap<RefundId, refund::RefundChange>,
    /// The subscriptions that it knows.
    pub subscriptions: BTreeMap<SubscriptionId, subscription::SubscriptionChange>,
    /// More things of its lists.
    pub lists: Lists,
    /// The next answers of the provider's API, instead of the true ones.
    pub read_faults: VecDeque<ReadError>,
    /// The signing keys.
    pub keys: Keys,
    /// The keys that the next read finds; `None` if there are no newer ones, or the read is refused.
    pub newer_keys: Option<Keys>,
    /// If true, the keys have aged, and the next request for them reads the store.
    pub keys_aged: bool,
    /// The time of the last such read.
    keys_read_at: Option<Timestamp>,
    /// The name of every port call so far.
    pub calls: Vec<&'static str>,
    /// The faults by the number of the call, from 0.
    pub faults: BTreeMap<usize, Fault>,
    /// The messages to hide, by their handles, and the durations.
    pub delays: Vec<(String, Duration)>,
    /// The number of movements in each transaction of a commit; without it as many as the adapter puts into one. A
    /// smaller number shows the state between two of them.
    pub moves_a_part: Option<NonZeroUsize>,
    /// True if a joint read has rows of two moments. A batch of DynamoDB may be like that: it is no snapshot.
    pub tears_reads: bool,
    /// True if the next read of the index misses the last writes.
    pub index_lags: Cell<bool>,
    /// The older state that the next read of the index shows.
    pub index_shows: RefCell<behind::Before>,
    /// The checkouts whose present state the provider's API does not show yet.
    pub late: BTreeMap<OrderId, behind::Late>,
    /// The number of its answers with an older state.
    pub old_answers: Cell<u64>,
    /// The duration of every call, if time passes by tokio's timers: see [`World::run_on_timers`].
    pub call_lasts: Duration,
    /// True if the current call is sent twice.
    repeats: bool,
    now: Timestamp,
    began: Option<Instant>,
}

impl Kept {
    fn now(&self) -> Timestamp {
        let passed = self.began.map_or(Duration::ZERO, |began| began.elapsed());
        self.now.saturating_add(passed).unwrap_or(Timestamp::MAX)
    }
}

/// The world in memory. A clone is another handle on the same one.
#[derive(Debug, Clone, Default)]
pub struct World {
    kept: Arc<Mutex<Kept>>,
    stopped: Arc<Notify>,
    fate: Arc<Mutex<Option<Box<dyn Fate>>>>,
}

impl World {
    /// An empty world at that time.
    #[must_use]
    pub fn at(now: Timestamp) -> Self {
        let world = Self::default();
        world.kept().now = now;
        world
    }

    /// The state, to look at or to set up.
    pub fn kept(&self) -> MutexGuard<'_, Kept> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// From now on time passes with tokio's timers, and every call takes this long.
    pub fn run_on_timers(&self, call_lasts: Duration) {
        let mut kept = self.kept();
        (kept.began, kept.call_lasts) = (Some(Instant::now()), call_lasts);
    }

    /// Lets time pass.
    pub fn pass(&self, by: Duration) {
        let mut kept = self.kept();
        kept.now = kept.now.saturating_add(by).unwrap_or(Timestamp::MAX);
    }

    /// Lets time pass until then, if that is in the future.
    pub fn pass_until(&self, then: Timestamp) {
        let mut kept = self.kept();
        kept.now = kept.now.max(then);
    }

    /// From now on, this decides over every call; `None` lets them all through.
    pub fn decide_by(&self, fate: Option<Box<dyn Fate>>) {
        *self.fate.lock().unwrap_or_else(PoisonError::into_inner) = fate;
    }

    /// The next step of a call.
    fn turn(&self, call: Call, kept: &mut Kept) -> Turn {
        let mut fate = self.fate.lock().unwrap_or_else(PoisonError::into_inner);
        fate.as_mut()
            .map_or(Turn::Goes, |fate| fate.turn(call, kept))
    }

    /// Runs a piece of work until it ends, or until the process "stops" in one of its calls: `None`.
    pub async fn run<T>(&self, work: impl Future<Output = T>) -> Option<T> {
        tokio::select! {
            biased;
            done = work => Some(done),
            () = self.stopped.notified() => None,
        }
    }

    /// A call that changes nothing.
    async fn look_up<T>(
        &self,
        name: &'static str,
        found: impl FnOnce(&Kept) -> T,
    ) -> Result<T, RetryableError> {
        self.make(
            Call {
                name,
                manner: Manner::Reads,
            },
            |kept| found(kept),
        )
        .await
    }

    /// A call that may change something.
    async fn call<T>(
        &self,
        name: &'static str,
        effect: impl FnOnce(&mut Kept) -> T,
    ) -> Result<T, RetryableError> {
        self.make(
            Call {
                name,
                manner: Manner::Writes,
            },
            effect,
        )
        .await
    }

    /// One port call: counted, and disturbed if it is its turn.
    async fn make<T>(
        &self,
        call: Call,
        effect: impl FnOnce(&mut Kept) -> T,
    ) -> Result<T, RetryableError> {
        let name = call.name;
        let (fault, answer) = loop {
            // A suspension point, as every real call is one: calls of concurrent work interleave.
            let lasts = self.kept().call_lasts;
            if lasts.is_zero() {
                tokio::task::yield_now().await;
            } else {
                tokio::time::sleep(lasts).await;
            }
            let mut kept = self.kept();
            let turn = self.turn(call, &mut kept);
            if turn == Turn::Waits {
                continue;
            }
            let n = kept.calls.len();
            kept.calls.push(name);
            let fault = match turn {
                Turn::Strikes(fault) => Some(fault),
                Turn::Goes | Turn::Waits => kept.faults.remove(&n),
            };
            let has_effect = matches!(
                fault,
                None | Some(Fault::FailAfter | Fault::StopAfter | Fault::Twice)
            );
            kept.repeats = fault == Some(Fault::Twice);
            break (fault, has_effect.then(|| effect(&mut kept)));
        };
        match (fault, answer) {
            (None | Some(Fault::Twice), Some(answer)) => Ok(answer),
            (Some(Fault::Conflict), _) => Err(RetryableError::Raced {
                what: "the transaction",
                tries: 6,
            }),
            (Some(Fault::Throttled), _) => {
                let retry_after = Some(Duration::from_secs(40));
                Err(RetryableError::Away {
                    service: name,
                    cause: "throttled".to_owned(),
                    retry_after,
                })
            }
            (Some(Fault::StopBefore | Fault::StopAfter), _) => {
                self.stopped.notify_one();
                std::future::pending().await
            }
            _ => Err(RetryableError::Away {
                service: name,
                cause: "told to fail".to_owned(),
                retry_after: None,
            }),
        }
    }
}

impl World {
    /// A call that the SDK may send a second time, when its first answer is lost.
    async fn repeatable<T>(
        &self,
        name: &'static str,
        effect: impl Fn(&mut Kept) -> T,
    ) -> Result<T, RetryableError> {
        self.make(
            Call {
                name,
                manner: Manner::Repeats,
            },
            |kept| {
                let answer = effect(kept);
                if std::mem::take(&mut kept.repeats) {
                    effect(kept)
                } else {
                    answer
                }
            },
        )
        .await
    }
}

impl Clock for World {
    fn now(&self) -> Timestamp {
        self.kept().now()
    }
}

impl Events for World {
    async fn record(&self, event: &StoredEvent) -> Result<Recorded, RetryableError> {
        self.repeatable("events.record", |kept| {
            match kept.events.get(&event.event_id) {
                None => {
                    let row = StoredEvent {
                        occurred_at: event.occurred_at.map(whole_second),
                        received_at: whole_second(event.received_at),
                        ..event.clone()
                    };
                    kept.events.insert(event.event_id.clone(), row);
                    Recorded::First
                }
                Some(there) if there.fingerprint == event.fingerprint => {
                    Recorded::Again(there.state)
                }
                Some(there) => Recorded::OtherBody(there.state),
            }
        })
        .await
    }

    async fn event(&self, id: &EventId) -> Result<Option<StoredEvent>, RetryableError> {
        self.look_up("events.event", |kept| {
            if kept.unreadable.contains(id) {
                return Err(RetryableError::Fault(
                    "an item of Events does not have its shape".to_owned(),
                ));
            }
            Ok(kept.events.get(id).cloned())
        })
        .await?
    }

    async fn settle(
        &self,
        id: &EventId,
        settlement: &Settlement,
        _: Timestamp,
    ) -> Result<Changed, RetryableError> {
        self.repeatable("events.settle", |kept| {
            let Some(event) = kept.events.get_mut(id) else {
                return Changed::Raced;
            };
            match settlement {
                Settlement::Processed if event.state.is_unfinished() => {
                    event.state = EventState::Processed;
                    (event.reason, event.class) = (None, None);
                    Changed::Now
                }
                Settlement::Parked { class, reason } if event.state == EventState::Stored => {
                    event.state = EventState::Parked;
                    (event.reason, event.class) = (Some(reason.clone()), Some(*class));
                    Changed::Now
                }
                Settlement::Processed | Settlement::Parked { .. } => Changed::Raced,
            }
        })
        .await
    }

    async fn note_failure(
        &self,
        id: &EventId,
        class: Class,
        reason: &str,
    ) -> Result<(), RetryableError> {
        self.repeatable("events.note_failure", |kept| {
            if let Some(event) = kept
                .events
                .get_mut(id)
                .filter(|event| event.state.is_unfinished())
            {
                (event.reason, event.class) = (Some(reason.to_owned()), Some(class));
                event.attempts += 1;
            }
        })
        .await
    }
}

/// How many rows a search looks at: few, so that there are many pages.
const ROWS_A_PAGE: usize = 7;

impl EventAdmin for World {
    async fn reopen_event(&self, reopening: &Reopening) -> Result<Changed, RetryableError> {
        self.repeatable("event_desk.reopen", |kept| {
            let event = kept.events.get_mut(&reopening.event_id);
            let Some(event) = event.filter(|event| event.state == reopening.from) else {
                return Changed::Raced;
            };
            event.state = EventState::Stored;
            event.attempts = 0;
            event.note = Some(reopening.note.clone());
            event.event_type = reopening.event_type.clone().or(event.event_type.take());
            event.occurred_at = reopening
                .occurred_at
                .map(whole_second)
                .or(event.occurred_at);
            kept.swept.events.remove(&reopening.event_id);
            Changed::Now
        })
        .await
    }

    async fn drop_event(
        &self,
        id: &EventId,
        from: EventState,
        note: &str,
        _: Timestamp,
    ) -> Result<Changed, RetryableError> {
        self.repeatable("event_desk.drop_event", |kept| {
            let event = kept.events.get_mut(id);
            let Some(event) = event.filter(|event| event.state == from) else {
                return Changed::Raced;
            };
            event.state = EventState::Dropped;
            event.note = Some(note.to_owned());
            Changed::Now
        })
        .await
    }

    async fn search(
        &self,
        search: &Search,
        after: Option<&EventId>,
    ) -> Result<Found, RetryableError> {
        self.look_up("event_desk.search", |kept| {
            let looked_at =
                |event: &&StoredEvent| after.is_none_or(|after| event.event_id > *after);
            let mut rows = kept.events.values().filter(looked_at);
            let page: Vec<&StoredEvent> = rows.by_ref().take(ROWS_A_PAGE).collect();
            let is_wanted = |event: &&StoredEvent| {
                (search.since..search.before).contains(&event.received_at)
                    && (search.event_type.is_none() || search.event_type == event.event_type)
            };
            // As DynamoDB does it: a full page says where it ends, even if nothing comes after.
            let next = page
                .last()
                .filter(|_| page.len() == ROWS_A_PAGE)
                .map(|event| event.event_id.clone());
            let found = page.into_iter().filter(is_wanted).cloned();
            let (unreadable, events): (Vec<_>, Vec<_>) =
                found.partition(|event| kept.unreadable.contains(&event.event_id));
            Found {
                events,
                unreadable: unreadable.into_iter().map(|event| event.event_id).collect(),
                next,
            }
        })
        .await
    }
}

impl Orders for World {
    async fn order(&self, id: &OrderId) -> Result<Option<Order>, RetryableError> {
        self.look_up("orders.order", |kept| kept.orders.get(id).cloned())
            .await
    }

    async fn keep_delivery_failure(
        &self,
        seen: &Order,
        id: &ReceiptId,
        delivery_failure: Option<DeliveryFailure>,
    ) -> Result<Changed, RetryableError> {
        self.repeatable("orders.keep_trouble", |kept| {
            let order = kept.orders.get_mut(&seen.order_id);
            let Some(order) = order.filter(|order| order.version == seen.version) else {
                return Changed::Raced;
            };
            order.version += 1;
            match delivery_failure {
                Some(delivery_failure) => {
                    order.delivery_failures.insert(id.clone(), delivery_failure)
                }
                None => order.delivery_failures.remove(id),
            };
            Changed::Now
        })
        .await
    }
}

impl Entitlements for World {
    async fn subscription(
        &self,
        customer_id: &CustomerId,
        id: &SubscriptionId,
    ) -> Result<Option<Subscription>, RetryableError> {
        let key = (customer_id.clone(), id.clone());
        self.look_up("entitlements.subscription", |kept| {
            kept.subscription_rows.get(&key).cloned()
        })
        .await
    }

    async fn customer_of(&self, id: &SubscriptionId) -> Result<Option<CustomerId>, RetryableError> {
        let found = |kept: &Kept| {
            if kept.index_lags.take() {
                return None;
            }
            let mut keys = kept.subscription_rows.keys();
            keys.find(|(_, known)| known == id)
                .map(|(customer_id, _)| customer_id.clone())
        };
        self.look_up("entitlements.customer_of", found).await
    }

    async fn contact(&self, customer_id: &CustomerId) -> Result<Option<Contact>, RetryableError> {
        self.look_up("entitlements.contact", |kept| {
            kept.contacts.get(customer_id).cloned()
        })
        .await
    }
}

impl Ledger for World {
    async fn read(&self, read_set: &ReadSet) -> Result<Snapshot, RetryableError> {
        if is_nothing(read_set) {
            return Ok(Snapshot::default());
        }
        let early = self
            .look_up("ledger.read", |kept| rows(kept, read_set))
            .await?;
        if !self.kept().tears_reads {
            return Ok(early);
        }
        tokio::task::yield_now().await;
        let kept = self.kept();
        let late = rows(&kept, read_set);
        // By turns, which half is the older one.
        Ok(if kept.calls.len().is_multiple_of(2) {
            torn(early, late)
        } else {
            torn(late, early)
        })
    }

    async fn commit(&self, commit: &Commit) -> Result<Committed, RetryableError> {
        let rows = rows_of(commit);
        if rows > MOST_ACTIONS {
            return Err(RetryableError::Fault(format!(
                "{rows} rows do not fit into one transaction"
            )));
        }
        let most = self
            .kept()
            .moves_a_part
            .map_or(MOVES_A_PART, NonZeroUsize::get);
        for part in parts(commit, most) {
            if self
                .call("ledger.commit", |kept| apply(kept, &part))
                .await??
                == Committed::Raced
            {
                return Ok(Committed::Raced);
            }
        }
        Ok(Committed::Now)
    }
}

/// How many actions a commit is beside its movements: a row each, and the event.
fn rows_of(commit: &Commit) -> usize {
    let Commit {
        order,
        links,
        reference,
        subscription,
        entitlements,
        contact,
        receipts,
        ..
    } = commit;
    let lists = links.len() + entitlements.len() + receipts.len();
    let singles = [
        order.is_some(),
        reference.is_some(),
        subscription.is_some(),
        contact.is_some(),
    ]
    .map(usize::from);
    lists + singles.iter().sum::<usize>() + 1
}

/// The transactions of a commit, as the adapter makes them. Movements that do not fit into the last one go first, while
/// the event is still stored.
fn parts(commit: &Commit, most: usize) -> Vec<Commit> {
    let deductions = commit.deductions.iter().map(|take| (Some(take), None));
    let moves: Vec<_> = deductions
        .chain(commit.restocks.iter().map(|back| (None, Some(back))))
        .collect();
    let (first, last) = first_parts(&moves, rows_of(commit), most);
    let part = |moves: &[(Option<&Deduction>, Option<&Restock>)], rest: Commit| Commit {
        deductions: moves.iter().filter_map(|(take, _)| take.cloned()).collect(),
        restocks: moves.iter().filter_map(|(_, back)| back.cloned()).collect(),
        ..rest
    };
    let only_moves = || Commit {
        ends: false,
        ..Commit::of(commit.event_id.clone())
    };
    let last = part(last, commit.clone());
    first
        .into_iter()
        .map(|moves| part(moves, only_moves()))
        .chain([last])
        .collect()
}

/// True if no row is to be read, so that no call is made.
fn is_nothing(read_set: &ReadSet) -> bool {
    let ReadSet {
        order,
        links,
        reference,
        subscription,
        entitlements,
        contact,
        mapping,
        stock_levels,
        receipts,
    } = read_set;
    receipts.is_empty()
        && order.is_none()
        && links.is_empty()
        && reference.is_none()
        && subscription.is_none()
        && entitlements.is_empty()
        && contact.is_none()
        && mapping.is_empty()
        && stock_levels
            .as_ref()
            .is_none_or(|(_, skus)| skus.is_empty())
}

/// The existing rows of a read set.
fn rows(kept: &Kept, read_set: &ReadSet) -> Snapshot {
    let links = read_set
        .links
        .iter()
        .filter_map(|id| kept.links.get_key_value(id));
    let mapping = read_set
        .mapping
        .iter()
        .filter_map(|unnamed| kept.mapping.get_key_value(unnamed));
    let stock_level = |order_id: &OrderId, sku: &Sku| StockLevel {
        sku: sku.clone(),
        on_hand: kept.counters.get(sku).copied(),
        moved: kept
            .movements
            .get(&(sku.clone(), order_id.clone()))
            .cloned(),
    };
    let stock_levels = read_set
        .stock_levels
        .iter()
        .flat_map(|(order_id, skus)| skus.iter().map(move |sku| stock_level(order_id, sku)));
    Snapshot {
        order: read_set
            .order
            .as_ref()
            .and_then(|id| kept.orders.get(id))
            .cloned(),
        links: links.map(|(id, link)| (id.clone(), link.clone())).collect(),
        reference: read_set
            .reference
            .as_ref()
            .and_then(|text| kept.references.get(text))
            .cloned(),
        subscription: read_set
            .subscription
            .as_ref()
            .and_then(|key| kept.subscription_rows.get(key))
            .cloned(),
        entitlements: read_set
            .entitlements
            .iter()
            .filter_map(|key| kept.entitlements.get(key).cloned())
            .collect(),
        contact: read_set
            .contact
            .as_ref()
            .and_then(|id| kept.contacts.get(id))
            .cloned(),
        mapping: mapping
            .map(|(unnamed, sku)| (unnamed.clone(), sku.clone()))
            .collect(),
        stock_levels: stock_levels.collect(),
        receipts: read_set
            .receipts
            .iter()
            .filter_map(|id| kept.receipts.get_key_value(id))
            .map(|(id, receipt)| (id.clone(), receipt.clone()))
            .collect(),
    }
}

/// Half of the rows at one moment, and half at another; a counter and its movement are two.
fn torn(one: Snapshot, other: Snapshot) -> Snapshot {
    let stock_levels = one.stock_levels.into_iter().zip(other.stock_levels);
    Snapshot {
        links: one.links,
        subscription: one.subscription,
        contact: one.contact,
        stock_levels: stock_levels
            .map(|(one, other)| StockLevel {
                on_hand: other.on_hand,
                ..one
            })
            .collect(),
        ..other
    }
}

/// True if every condition of a commit holds.
fn holds(kept: &Kept, commit: &Commit) -> bool {
    /// No row has version 0, so the first version comes after no row.
    fn follows(version: u64, known: Option<u64>) -> bool {
        known.unwrap_or_default() + 1 == version
    }
    let event = kept.events.get(&commit.event_id);
    let takes_hold = commit.deductions.iter().all(|take| {
        let movement = &take.movement;
        let counter = kept.counters.get(&movement.sku);
        let enough = match movement.short() {
            0 => counter.is_some_and(|count| *count >= movement.deducted),
            _ => counter == Some(&take.on_hand),
        };
        enough
            && !kept
                .movements
                .contains_key(&(movement.sku.clone(), movement.order_id.clone()))
    });
    let returns_hold = commit.restocks.iter().all(|back| {
        let movement = kept
            .movements
            .get(&(back.sku.clone(), back.order_id.clone()));
        let fits = |movement: &Movement| {
            movement.restocked == back.seen
                && back.seen.saturating_add(back.pieces) <= movement.deducted
        };
        movement.is_some_and(fits) && kept.counters.contains_key(&back.sku)
    });
    let order = |row: &Order| {
        follows(
            row.version,
            kept.orders.get(&row.order_id).map(|row| row.version),
        )
    };
    let link = |row: &Link| {
        follows(
            row.version,
            kept.links
                .get(&row.payment_intent_id)
                .map(|row| row.version),
        )
    };
    let reference = |row: &MerchantReference| {
        follows(
            row.version,
            kept.references.get(&row.reference).map(|row| row.version),
        )
    };
    let subscription = |row: &Subscription| {
        let known = kept
            .subscription_rows
            .get(&(row.customer_id.clone(), row.subscription_id.clone()));
        follows(row.version, known.map(|row| row.version))
    };
    let entitlement = |row: &Entitlement| {
        let known = kept
            .entitlements
            .get(&(row.customer_id.clone(), row.product_id.clone()));
        follows(row.version, known.map(|row| row.version))
    };
    let contact = |row: &Contact| {
        follows(
            row.version,
            kept.contacts.get(&row.customer_id).map(|row| row.version),
        )
    };
    event.is_some_and(|event| event.state == EventState::Stored)
        && commit.order.iter().all(order)
        && commit.links.iter().all(link)
        && commit.reference.iter().all(reference)
        && commit.subscription.iter().all(subscription)
        && commit.entitlements.iter().all(entitlement)
        && commit.contact.iter().all(contact)
        && commit
            .receipts
            .iter()
            .all(|row| !kept.receipts.contains_key(&row.receipt_id))
        && takes_hold
        && returns_hold
}

/// A row as it is read back: its times, for example, are cut to whole seconds.
#[expect(
    clippy::expect_used,
    reason = "a test kit: a row that cannot be stored must stop the test"
)]
fn stored<T: Serialize + DeserializeOwned>(row: &T) -> T {
    let stored = serde_json::to_value(row).expect("a row that can be written");
    serde_json::from_value(stored).expect("a row that can be read")
}

/// The most that an item may hold
/// (<https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/Constraints.html#limits-items>).
const MOST_BYTES: usize = 400 * 1024;

/// True if `DynamoDB` accepts the transaction, whatever is stored: it names no item twice, and none is too big.
fn is_taken(commit: &Commit) -> bool {
    fn once<K: Ord>(mut keys: impl Iterator<Item = K>) -> bool {
        let mut seen = BTreeSet::new();
        keys.all(|key| seen.insert(key))
    }
    // JSON is a little longer than an item.
    fn fit<'a, T: Serialize + 'a>(rows: impl IntoIterator<Item = &'a T>) -> bool {
        rows.into_iter()
            .all(|row| serde_json::to_string(row).is_ok_and(|row| row.len() <= MOST_BYTES))
    }
    let counters = commit
        .deductions
        .iter()
        .map(|take| &take.movement.sku)
        .chain(commit.restocks.iter().map(|back| &back.sku));
    once(counters)
        && once(commit.links.iter().map(|row| &row.payment_intent_id))
        && once(
            commit
                .entitlements
                .iter()
                .map(|row| (&row.customer_id, &row.product_id)),
        )
        && once(commit.receipts.iter().map(|row| &row.receipt_id))
        && fit(&commit.order)
        && fit(&commit.links)
        && fit(&commit.reference)
        && fit(&commit.subscription)
        && fit(&commit.entitlements)
        && fit(&commit.contact)
        && fit(&commit.receipts)
}

/// All of a transaction, or nothing of it.
fn apply(kept: &mut Kept, commit: &Commit) -> Result<Committed, RetryableError> {
    if !is_taken(commit) {
        return Err(RetryableError::SetUp {
            service: "DynamoDB",
            cause: "ValidationException".to_owned(),
        });
    }
    if !holds(kept, commit) {
        return Ok(Committed::Raced);
    }
    if let Some(event) = kept
        .events
        .get_mut(&commit.event_id)
        .filter(|_| commit.ends)
    {
        event.state = EventState::Committed;
        (event.reason, event.class) = (None, None);
        event.outbox = commit.outbox();
    }
    kept.orders.extend(
        commit
            .order
            .iter()
            .map(|row| (row.order_id.clone(), stored(row))),
    );
    kept.links.extend(
        commit
            .links
            .iter()
            .map(|row| (row.payment_intent_id.clone(), stored(row))),
    );
    kept.references.extend(
        commit
            .reference
            .iter()
            .map(|row| (row.reference.clone(), stored(row))),
    );
    kept.subscription_rows
        .extend(commit.subscription.iter().map(|row| {
            (
                (row.customer_id.clone(), row.subscription_id.clone()),
                stored(row),
            )
        }));
    kept.entitlements
        .extend(commit.entitlements.iter().map(|row| {
            (
                (row.customer_id.clone(), row.product_id.clone()),
                stored(row),
            )
        }));
    kept.contacts.extend(
        commit
            .contact
            .iter()
            .map(|row| (row.customer_id.clone(), stored(row))),
    );
    kept.receipts.extend(
        commit
            .receipts
            .iter()
            .map(|row| (row.receipt_id.clone(), stored(row))),
    );
    for take in &commit.deductions {
        let movement = &take.movement;
        if let Some(count) = kept.counters.get_mut(&movement.sku) {
            *count -= movement.deducted;
        }
        kept.movements.insert(
            (movement.sku.clone(), movement.order_id.clone()),
            stored(movement),
        );
    }
    for back in &commit.restocks {
        if let Some(count) = kept.counters.get_mut(&back.sku) {
            *count += back.pieces;
        }
        if let Some(movement) = kept
            .movements
            .get_mut(&(back.sku.clone(), back.order_id.clone()))
        {
            movement.restocked += back.pieces;
        }
    }
    Ok(Committed::Now)
}

/// Changes a receipt if `guard` holds for it.
fn change(
    kept: &mut Kept,
    id: &ReceiptId,
    guard: impl Fn(&Receipt) -> bool,
    state: &ReceiptState,
) -> Changed {
    match kept.receipts.get_mut(id).filter(|receipt| guard(receipt)) {
        None => Changed::Raced,
        Some(receipt) => {
            receipt.version += 1;
            receipt.attempts += u32::from(matches!(state, ReceiptState::Leased { .. }));
            receipt.state = stored(state);
            Changed::Now
        }
    }
}

impl Receipts for World {
    async fn receipt(&self, id: &ReceiptId) -> Result<Option<Receipt>, RetryableError> {
        self.look_up("receipts.receipt", |kept| kept.receipts.get(id).cloned())
            .await
    }

    async fn acquire_lease(
        &self,
        seen: &Receipt,
        owner: &OwnerToken,
        lease_ends_at: Timestamp,
    ) -> Result<Changed, RetryableError> {
        let state = ReceiptState::Leased {
            owner: owner.clone(),
            lease_ends_at,
        };
        let guard = |receipt: &Receipt| receipt.version == seen.version;
        self.repeatable("receipts.claim", |kept| {
            change(kept, &seen.receipt_id, guard, &state)
        })
        .await
    }

    async fn hold(&self, seen: &Receipt) -> Result<Changed, RetryableError> {
        let guard = |receipt: &Receipt| receipt.version == seen.version;
        self.repeatable("receipts.hold", |kept| {
            change(kept, &seen.receipt_id, guard, &ReceiptState::Held)
        })
        .await
    }

    async fn end_lease(
        &self,
        id: &ReceiptId,
        owner: &OwnerToken,
        state: &ReceiptState,
    ) -> Result<Changed, RetryableError> {
        let guard = |receipt: &Receipt| matches!(&receipt.state, ReceiptState::Leased { owner: holder, .. } if holder == owner);
        self.repeatable("receipts.mark", |kept| change(kept, id, guard, state))
            .await
    }

    async fn update_mails(
        &self,
        seen: &Receipt,
        update: &ReceiptUpdate,
    ) -> Result<Changed, RetryableError> {
        self.repeatable("receipts.learn", |kept| {
            let receipt = kept.receipts.get_mut(&seen.receipt_id);
            let Some(receipt) = receipt.filter(|receipt| receipt.version == seen.version) else {
                return Changed::Raced;
            };
            receipt.version += 1;
            receipt.mails = stored(&update.mails);
            if let Some(state) = &update.state {
                receipt.state = stored(state);
            }
            Changed::Now
        })
        .await
    }
}

impl Suppressions for World {
    async fn suppression(
        &self,
        address: &AddressHash,
    ) -> Result<Option<Suppression>, RetryableError> {
        self.look_up("marks.address_mark", |kept| {
            kept.marks.get(address).cloned()
        })
        .await
    }

    async fn suppress(&self, suppression: &Suppression) -> Result<(), RetryableError> {
        self.repeatable("marks.set_mark", |kept| {
            let known = kept.marks.remove(&suppression.address);
            let merged = known.map_or_else(|| suppression.clone(), |known| known.and(suppression));
            kept.marks
                .insert(suppression.address.clone(), stored(&merged));
        })
        .await
    }
}

impl ReceiptAdmin for World {
    async fn reopen_receipt(
        &self,
        seen: &Receipt,
        note: &str,
        now: Timestamp,
    ) -> Result<Changed, RetryableError> {
        self.repeatable("receipt_desk.reopen", |kept| {
            let receipt = kept.receipts.get_mut(&seen.receipt_id);
            let Some(receipt) = receipt.filter(|receipt| receipt.version == seen.version) else {
                return Changed::Raced;
            };
            *receipt = stored(&seen.clone().reopened(note, now));
            kept.swept.receipts.remove(&seen.receipt_id);
            Changed::Now
        })
        .await
    }

    async fn close_receipt(&self, seen: &Receipt, note: &str) -> Result<Changed, RetryableError> {
        self.repeatable("receipt_desk.close", |kept| {
            let receipt = kept.receipts.get_mut(&seen.receipt_id);
            let Some(receipt) = receipt.filter(|receipt| receipt.version == seen.version) else {
                return Changed::Raced;
            };
            *receipt = stored(&seen.clone().closed(note));
            Changed::Now
        })
        .await
    }
}

impl Kept {
    /// The messages that both queues gave up on, and the errors, in their order.
    #[must_use]
    pub fn given_up(&self) -> Vec<String> {
        self.dead_letters
            .values()
            .map(|dead| dead.why.clone())
            .collect()
    }

    /// Gives a message up.
    pub fn give_up(&mut self, hop: Hop, body: String, why: String) {
        let dead = Dead {
            hop,
            body,
            why,
            receives: 0,
            visible_at: self.now(),
        };
        self.dead_letters.insert(self.given_up, dead);
        self.given_up += 1;
    }
}

/// A dead-letter queue of the world's.
#[derive(Debug, Clone)]
pub struct DeadLetterQueue {
    world: World,
    hop: Hop,
}

impl World {
    /// One of its dead-letter queues.
    #[must_use]
    pub fn dead_letters(&self, hop: Hop) -> DeadLetterQueue {
        DeadLetterQueue {
            world: self.clone(),
            hop,
        }
    }
}

impl DeadLetters for DeadLetterQueue {
    async fn depth(&self) -> Result<u64, RetryableError> {
        let here = |kept: &Kept| {
            kept.dead_letters
                .values()
                .filter(|dead| dead.hop == self.hop)
                .count()
        };
        self.world
            .look_up("dead_letters.depth", here)
            .await
            .map(|depth| depth as u64)
    }

    async fn receive(&self, hidden_for: Duration) -> Result<Vec<DeadLetter>, RetryableError> {
        self.world
            .repeatable("dead_letters.receive", |kept| {
                let now = kept.now();
                let visible = kept
                    .dead_letters
                    .iter_mut()
                    .filter(|(_, dead)| dead.hop == self.hop && dead.visible_at <= now);
                let received = visible.take(10).map(|(id, dead)| {
                    dead.receives += 1;
                    dead.visible_at = now.saturating_add(hidden_for).unwrap_or(Timestamp::MAX);
                    DeadLetter {
                        message_id: id.to_string(),
                        body: dead.body.clone(),
                        receipt_handle: format!("{id}.{}", dead.receives),
                    }
                });
                received.collect()
            })
            .await
    }

    async fn delete(&self, letter: &DeadLetter) -> Result<(), RetryableError> {
        self.world
            .repeatable("dead_letters.delete", |kept| {
                // Only the last receiver deletes it. SQS may be milder, and promises no more.
                kept.dead_letters
                    .retain(|id, dead| letter.receipt_handle != format!("{id}.{}", dead.receives));
            })
            .await
    }
}

fn message<J: Job + Clone>(job: &J, kept: &Kept) -> Message<J> {
    Message {
        job: job.clone(),
        receives: 0,
        visible_at: kept.now(),
    }
}

impl Queue<FulfillmentJob> for World {
    async fn send(&self, job: &FulfillmentJob) -> Result<(), RetryableError> {
        self.repeatable("fulfillment_queue.send", |kept| {
            let message = message(job, kept);
            kept.fulfillment_queue.push_back(message);
        })
        .await
    }
}

impl Queue<ReceiptJob> for World {
    async fn send(&self, job: &ReceiptJob) -> Result<(), RetryableError> {
        self.repeatable("receipt_queue.send", |kept| {
            let message = message(job, kept);
            kept.receipt_queue.push_back(message);
        })
        .await
    }
}

impl Delay for World {
    async fn delay(&self, receipt_handle: &str, by: Duration) -> Result<(), RetryableError> {
        self.repeatable("queue.delay", |kept| {
            kept.delays.push((receipt_handle.to_owned(), by));
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
            // If the answer of a call is lost, it is unknown if the mail was sent.
            Err(error) => Err(SendError::Unknown(error.to_string())),
        }
    }
}

impl World {
    /// One question to the provider's API: it may answer something else.
    async fn ask<T>(
        &self,
        name: &'static str,
        knows: impl FnOnce(&Kept) -> Result<T, ReadError>,
    ) -> Result<T, ReadError> {
        self.make(
            Call {
                name,
                manner: Manner::Reads,
            },
            |kept| match kept.read_faults.pop_front() {
                Some(fault) => Err(fault),
                None => knows(kept),
            },
        )
        .await?
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
            Reference::Checkout(id) => {
                let unknown = not_found("checkout_session_not_found");
                let found = |kept: &Kept| kept.answer(id).cloned().ok_or(unknown);
                let checkout = self.ask("api.checkout", found).await?;
                Ok(Answer::Checkout(Box::new(checkout)))
            }
            Reference::CheckoutOfPayment(payment) => {
                let found = |kept: &Kept| {
                    let is_of = |checkout: &&Checkout| checkout.payment_intents.contains(payment);
                    let of = kept.all_listed().find(is_of);
                    Ok(of.map(|checkout| checkout.order_id.clone()))
                };
                let order_id = self.ask("api.checkout_of", found).await?;
                Ok(Answer::CheckoutOfPayment(order_id))
            }
            Reference::RefundsOfCheckout(id) => {
                let is_of = |kept: &Kept, payment: &PaymentIntentId| {
                    let checkout = kept.listed(id);
                    checkout.is_some_and(|checkout| checkout.payment_intents.contains(payment))
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
            Ok(of.cloned().collect())
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
    ) -> Answering<'a, Result<Answer, ReadError>> {
        Box::pin(World::fetch(self, reference))
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

impl SigningKeys for World {
    async fn keys(&self, _: &ProviderId) -> Keys {
        // Only a reading is a call: keys that have not aged come from the process's own memory.
        if std::mem::take(&mut self.kept().keys_aged) {
            let now = self.now();
            self.kept().keys_read_at = Some(now);
            let read = self.call("keys.read", |kept| {
                if let Some(newer) = kept.newer_keys.take() {
                    kept.keys = newer;
                }
            });
            // While the store does not answer, the old keys stay in use.
            let _ = read.await;
        }
        self.kept().keys.clone()
    }

    async fn reread(&self, _: &ProviderId) -> Option<Keys> {
        let now = self.now();
        let read_at = self.kept().keys_read_at;
        if read_at.is_some_and(|then| now.duration_since(then).unsigned_abs() < REREAD_AFTER) {
            return None;
        }
        let reread = self.call("keys.reread", |kept| {
            let newer = kept.newer_keys.take()?;
            kept.keys.clone_from(&newer);
            Some(newer)
        });
        // A store that does not answer has no newer keys to offer.
        reread.await.ok().flatten()
    }
}
