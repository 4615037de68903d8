//! The ports in memory: one world that keeps its state, counts every call, and can fail or stop at any of them.
//!
//! It behaves like the real services where the rules rely on it: conditions, all-or-nothing transactions, owners,
//! versions. The suites of `tests/it/contract.rs` hold it and the adapters to the same promises.

mod admin;
mod announcements;
pub mod backlog;
pub mod behind;
mod call;
mod commits;
mod events;
mod keys;
mod listing;
mod provider;
mod queues;
mod receipts;
mod renewal;
mod shortfalls;

pub use call::{Call, Fate, Fault, Manner, Turn};
pub use listing::Lists;
pub use provider::FixedKey;
pub use queues::{Dead, DeadLetterQueue, Hop, Message};

use domain::{
    access::subscription,
    announcement::Entry,
    delivery::{
        answer::UnclearRefund,
        job::{FulfillmentJob, ReceiptJob},
        secrets::Keys,
        stored_event::StoredEvent,
    },
    ports::Clock,
    receipt::feedback::{AddressHash, Suppression},
    sale::{refund, statement::Sale},
    testing::Tables,
    values::{
        ids::{EventId, OrderId, RefundId, SubscriptionId},
        outcome::ReadError,
    },
};
use jiff::Timestamp;
use mail::{Email, SendError};
use std::{
    cell::{Cell, RefCell},
    collections::{BTreeMap, BTreeSet, VecDeque},
    num::NonZeroUsize,
    ops::{Deref, DerefMut},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};
use tokio::{sync::Notify, time::Instant};

/// Everything that is kept.
#[derive(Debug, Default)]
pub struct Kept {
    /// The Events table.
    pub events: BTreeMap<EventId, StoredEvent>,
    /// Events whose rows a newer version has written in a way that this one cannot read.
    pub unreadable: BTreeSet<EventId>,
    /// The tables that a commit writes to. The provider's view of a subscription is in [`Kept::subscriptions`].
    pub tables: Tables,
    /// The Links table's marks of addresses.
    pub marks: BTreeMap<AddressHash, Suppression>,
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
    /// Batches of announcements that a newer version has written in a way that this one cannot read.
    pub unreadable_batches: BTreeSet<String>,
    /// The entries that the bus has, in their order.
    pub published: Vec<Entry>,
    /// How many of the next entries the bus refuses, each with its own answer.
    pub refused_entries: usize,
    /// The mails that SES took.
    pub mails: Vec<Email>,
    /// The next answers of SES, instead of taking a mail.
    pub mail_faults: VecDeque<SendError>,
    /// The sales that the provider's API knows.
    pub sales: BTreeMap<OrderId, Sale>,
    /// The refunds that it knows, of whatever payment.
    pub refunds: BTreeMap<RefundId, refund::RefundChange>,
    /// The one that is not understood in each of its lists of refunds.
    pub unclear_refund: Option<UnclearRefund>,
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
    /// The sales whose present state the provider's API does not show yet.
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

impl Deref for Kept {
    type Target = Tables;

    fn deref(&self) -> &Tables {
        &self.tables
    }
}

impl DerefMut for Kept {
    fn deref_mut(&mut self) -> &mut Tables {
        &mut self.tables
    }
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
}

impl Clock for World {
    fn now(&self) -> Timestamp {
        self.kept().now()
    }
}
