//! What the rules ask of the world.
//!
//! Each trait has an adapter and a stand-in in memory. Those of tables, of dead-letter queues and of the provider's API
//! pass one contract suite with their adapters (`tests/it/contract.rs`, which says how the others are held). A lost race
//! is an answer, not an error: only "I could not find out" is a [`RetryableError`].

use crate::values::outcome::ReadError;
use crate::{
    access::{
        contact::Contact,
        subscription::{self, Subscription},
    },
    delivery::{
        event::RefundsOf,
        job::Job,
        secrets::Keys,
        stored_event::{EventState, StoredEvent},
    },
    fulfillment::{
        commit::Commit,
        read_set::{ReadSet, Snapshot},
    },
    receipt::{
        Receipt, ReceiptState, ReceiptStatus,
        feedback::{AddressHash, ReceiptUpdate, Suppression},
    },
    sale::{checkout::Checkout, delivery_failure::DeliveryFailure, order::Order, refund},
    upkeep::{
        reconcile::{Ask, Page},
        sweep::{self, Backlog, Due},
    },
    values::{
        class::Class,
        ids::{
            CustomerId, EventId, OrderId, OwnerToken, PaymentIntentId, ReceiptId, ReferenceState,
            SubscriptionId,
        },
        mode::Mode,
        outcome::RetryableError,
        provider::Provider,
    },
};
use jiff::Timestamp;
use std::{sync::Arc, time::Duration};

/// The time. An argument everywhere else; a port where one piece of work needs it more than once.
pub trait Clock: Send + Sync {
    /// Now.
    fn now(&self) -> Timestamp;
}

impl<C: Clock> Clock for Arc<C> {
    fn now(&self) -> Timestamp {
        (**self).now()
    }
}

/// How recording went.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Recorded {
    /// Stored now, for the first time.
    First,
    /// The same body is there already, and stands like this.
    Again(EventState),
    /// Another body is there under the same id, and stands like this. Nothing was changed.
    OtherBody(EventState),
}

/// How an event ends.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Settlement {
    /// Nothing is left to do.
    Processed,
    /// A person must decide, for this reason.
    Parked {
        /// What kind of doubt it is.
        class: Class,
        /// For the operator; no personal data.
        reason: String,
    },
}

/// The Events table.
pub trait Events: Send + Sync {
    /// Stores an event unless its id is there already: one conditional write.
    fn record(
        &self,
        event: &StoredEvent,
    ) -> impl Future<Output = Result<Recorded, RetryableError>> + Send;
    /// Reads an event, strongly consistent.
    fn event(
        &self,
        id: &EventId,
    ) -> impl Future<Output = Result<Option<StoredEvent>, RetryableError>> + Send;
    /// Ends a pending event. An event that has already ended, or whose effects are committed and which is now
    /// to be parked, stays as it is: raced.
    fn settle(
        &self,
        id: &EventId,
        settlement: &Settlement,
        now: Timestamp,
    ) -> impl Future<Output = Result<Changed, RetryableError>> + Send;
    /// Notes on a pending event that one more attempt has failed, and why. Where an answer is lost it may count twice.
    fn note_failure(
        &self,
        id: &EventId,
        class: Class,
        reason: &str,
    ) -> impl Future<Output = Result<(), RetryableError>> + Send;
}

/// The Events table, by what its events tell.
pub trait ReferenceStates: Send + Sync {
    /// What the events tell that stand there, if that is listed ([`EventState::is_open`]), by the index: the oldest
    /// ones, so many at most.
    /// `None` of one whose row does not say.
    fn subjects(
        &self,
        state: EventState,
        most: usize,
    ) -> impl Future<Output = Result<Vec<Option<ReferenceState>>, RetryableError>> + Send;
}

/// What has an event decided anew.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reopening {
    /// Which.
    pub event_id: EventId,
    /// Where it stood when that was decided.
    pub from: EventState,
    /// Its type, as it is read today: an older version may not have known one.
    pub event_type: Option<String>,
    /// When it happened, likewise.
    pub occurred_at: Option<Timestamp>,
    /// When, who and why.
    pub note: String,
}

/// Which events to look for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Search {
    /// Of this type only.
    pub event_type: Option<String>,
    /// Received then or later.
    pub since: Timestamp,
    /// Received before.
    pub before: Timestamp,
}

/// Some of what was looked for. It may be nothing, and yet not the end.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Found {
    /// In the table's order, which is none that means anything. What was written a moment ago may be missing.
    pub events: Vec<StoredEvent>,
    /// Those that match and cannot be read: a newer version has written them.
    pub unreadable: Vec<EventId>,
    /// Go on after this one; `None` at the end of the table.
    pub next: Option<EventId>,
}

/// The Events table, as an operator uses it.
pub trait EventAdmin: Send + Sync {
    /// Puts an event back to `stored`, its attempts counted anew, if it still stands where it stood.
    fn reopen(
        &self,
        reopening: &Reopening,
    ) -> impl Future<Output = Result<Changed, RetryableError>> + Send;
    /// Drops an event, if it still stands where it stood.
    fn drop_event(
        &self,
        id: &EventId,
        from: EventState,
        note: &str,
        now: Timestamp,
    ) -> impl Future<Output = Result<Changed, RetryableError>> + Send;
    /// The events in a state that is listed ([`EventState::is_open`]), by the index: the oldest ones, so many at most.
    fn waiting(
        &self,
        state: EventState,
        most: usize,
    ) -> impl Future<Output = Result<Vec<EventId>, RetryableError>> + Send;
    /// Looks through the table, a bounded number of rows a call. Going on after any event that was told tells of those
    /// behind it.
    fn search(
        &self,
        search: &Search,
        after: Option<&EventId>,
    ) -> impl Future<Output = Result<Found, RetryableError>> + Send;
}

/// How a commit went.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Committed {
    /// All of it is written.
    Now,
    /// Something that it was decided on has changed: read again, decide again.
    Raced,
}

/// The Orders table, for reading.
pub trait Orders: Send + Sync {
    /// Reads an order, strongly consistent.
    fn order(
        &self,
        id: &OrderId,
    ) -> impl Future<Output = Result<Option<Order>, RetryableError>> + Send;
}

/// The Entitlements table, for reading.
pub trait Entitlements: Send + Sync {
    /// Reads a subscription, strongly consistent.
    fn subscription(
        &self,
        customer_id: &CustomerId,
        id: &SubscriptionId,
    ) -> impl Future<Output = Result<Option<Subscription>, RetryableError>> + Send;
    /// Whose a subscription is, by the index: what was written a moment ago may be missing.
    fn customer_of(
        &self,
        id: &SubscriptionId,
    ) -> impl Future<Output = Result<Option<CustomerId>, RetryableError>> + Send;
    /// Reads how to write to a customer, strongly consistent.
    fn contact(
        &self,
        customer_id: &CustomerId,
    ) -> impl Future<Output = Result<Option<Contact>, RetryableError>> + Send;
}

/// All tables but that of the events: what a decision is taken on, and the transaction that ties them together.
pub trait Ledger: Send + Sync {
    /// Reads rows, strongly consistent.
    fn read(
        &self,
        read_set: &ReadSet,
    ) -> impl Future<Output = Result<Snapshot, RetryableError>> + Send;
    /// Writes all of a commit, under the conditions that it was decided on.
    ///
    /// One transaction as long as it fits into one; beyond that, some movements go first, each with its own
    /// once-marker, so that stopping in between loses and doubles nothing.
    fn commit(
        &self,
        commit: &Commit,
    ) -> impl Future<Output = Result<Committed, RetryableError>> + Send;
}

/// How a guarded change went.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Changed {
    /// Written.
    Now,
    /// The row is not as it was read, or not ours any more.
    Raced,
}

/// The Receipts table.
pub trait Receipts: Send + Sync {
    /// Reads a receipt, strongly consistent.
    fn receipt(
        &self,
        id: &ReceiptId,
    ) -> impl Future<Output = Result<Option<Receipt>, RetryableError>> + Send;
    /// Claims a receipt, guarded by the version that was read. Counts an attempt.
    fn claim(
        &self,
        seen: &Receipt,
        owner: &OwnerToken,
        lease_ends_at: Timestamp,
    ) -> impl Future<Output = Result<Changed, RetryableError>> + Send;
    /// Ends an unknown fate by holding it, guarded by the version that was read.
    fn hold(&self, seen: &Receipt) -> impl Future<Output = Result<Changed, RetryableError>> + Send;
    /// Suppressions a claimed receipt, if `owner` still holds the claim.
    fn mark(
        &self,
        id: &ReceiptId,
        owner: &OwnerToken,
        state: &ReceiptState,
    ) -> impl Future<Output = Result<Changed, RetryableError>> + Send;
}

/// The Receipts table, as what SES tells of mails changes it.
pub trait ReceiptUpdates: Send + Sync {
    /// Writes what a report has taught, guarded by the version that was read.
    fn learn(
        &self,
        seen: &Receipt,
        update: &ReceiptUpdate,
    ) -> impl Future<Output = Result<Changed, RetryableError>> + Send;
}

/// The Orders table, as what SES tells of mails changes it.
pub trait DeliveryFailures: Send + Sync {
    /// Keeps on an order what trouble there is with a mail of its, or that there is none, guarded by the version that
    /// was read.
    fn keep_delivery_failure(
        &self,
        seen: &Order,
        id: &ReceiptId,
        delivery_failure: Option<DeliveryFailure>,
    ) -> impl Future<Output = Result<Changed, RetryableError>> + Send;
}

/// The Links table's marks: which addresses are not written to any more, and why.
pub trait Suppressions: Send + Sync {
    /// Reads the mark of an address, strongly consistent.
    fn suppression(
        &self,
        address: &AddressHash,
    ) -> impl Future<Output = Result<Option<Suppression>, RetryableError>> + Send;
    /// Merges a mark into what is known of its address.
    fn suppress(
        &self,
        mark: &Suppression,
    ) -> impl Future<Output = Result<(), RetryableError>> + Send;
}

/// The Links table's row of the mode that this stack began in.
pub trait FirstMode: Send + Sync {
    /// Reads it, strongly consistent; `None` on a stack that has not begun.
    fn first(&self) -> impl Future<Output = Result<Option<Mode>, RetryableError>> + Send;
    /// Keeps this mode as the first unless there is a first one, and returns the first.
    fn begin(&self, mode: Mode) -> impl Future<Output = Result<Mode, RetryableError>> + Send;
}

/// The Receipts table, as an operator uses it.
pub trait ReceiptAdmin: Send + Sync {
    /// Makes a receipt owed again ([`Receipt::reopened`]), guarded by the version that was read.
    fn reopen(
        &self,
        seen: &Receipt,
        note: &str,
        now: Timestamp,
    ) -> impl Future<Output = Result<Changed, RetryableError>> + Send;
    /// Closes a receipt ([`Receipt::closed`]), guarded by the version that was read.
    fn close(
        &self,
        seen: &Receipt,
        note: &str,
    ) -> impl Future<Output = Result<Changed, RetryableError>> + Send;
    /// The receipts that stand there, if that is not the end, by the index: the oldest ones, so many at most. Mails for
    /// a later day are not among them.
    fn waiting(
        &self,
        standing: ReceiptStatus,
        most: usize,
    ) -> impl Future<Output = Result<Vec<ReceiptId>, RetryableError>> + Send;
}

/// How taking a row that lies undone went.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reserved {
    /// It is noted on the row, and ours to queue.
    Now {
        /// When it was queued again before, if it was.
        before: Option<Timestamp>,
    },
    /// It is not there any more, or its turn has not come.
    NotNow,
}

/// What lies undone, by a table's index, which may lag behind the table.
pub trait Backlogs<P: Backlog>: Send + Sync {
    /// The rows that are there since `until` or longer: the oldest ones, in their order, `most` at most.
    fn overdue(
        &self,
        place: P,
        until: Timestamp,
        most: usize,
    ) -> impl Future<Output = Result<Vec<sweep::BacklogItem<P::Id>>, RetryableError>> + Send;
    /// Notes on a row, as it is now, that it is queued again, if its turn has come ([`Due::has_come`]): of two who
    /// try, one does. Changes nothing else of it, its version included.
    fn take(
        &self,
        place: P,
        id: &P::Id,
        turn: &Due,
    ) -> impl Future<Output = Result<Reserved, RetryableError>> + Send;
    /// Takes back what was noted at `taken_at`, since the row could not be queued, and notes again what was noted
    /// `before`: whoever comes next may take it, and is told what we were told.
    fn give_back(
        &self,
        place: P,
        id: &P::Id,
        taken_at: Timestamp,
        before: Option<Timestamp>,
    ) -> impl Future<Output = Result<(), RetryableError>> + Send;
}

/// The rows that wait, by a table's index, which may lag behind the table.
pub trait Waiting<S>: Send + Sync {
    /// Counts the rows at that state, if the index lists it. Stops at `most`.
    fn count(
        &self,
        state: S,
        most: usize,
    ) -> impl Future<Output = Result<usize, RetryableError>> + Send;
}

/// The Events table, by the sales among its events.
pub trait Sales: Send + Sync {
    /// When the oldest sale ([`crate::delivery::reference_state::is_sale`]) at that state was received, by the index. Looks at `most` events.
    fn oldest_sale(
        &self,
        state: EventState,
        most: usize,
    ) -> impl Future<Output = Result<Option<Timestamp>, RetryableError>> + Send;
}

/// A queue of one kind of job.
pub trait Queue<J: Job>: Send + Sync {
    /// Hands a job over. Afterwards it is the queue's to lose, and it does not.
    fn send(&self, job: &J) -> impl Future<Output = Result<(), RetryableError>> + Send;
}

/// A message that a queue has given up on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DeadLetter {
    /// Its id, the same each time that it is received.
    pub message_id: String,
    /// What it says, perhaps not to us.
    pub body: String,
    /// What it is deleted by, another one each time that it is received.
    pub receipt_handle: String,
}

/// A dead-letter queue.
pub trait DeadLetters: Send + Sync {
    /// About how many messages it holds, those hidden for the moment among them.
    fn depth(&self) -> impl Future<Output = Result<u64, RetryableError>> + Send;
    /// Receives some messages, ten at most, and hides them from everybody for so long; not at all, to look only.
    fn receive(
        &self,
        hidden_for: Duration,
    ) -> impl Future<Output = Result<Vec<DeadLetter>, RetryableError>> + Send;
    /// Deletes a message that was received, if it is still there and nobody else has received it since.
    fn delete(
        &self,
        letter: &DeadLetter,
    ) -> impl Future<Output = Result<(), RetryableError>> + Send;
}

/// Leaving a failed message alone for a while.
pub trait Delay: Send + Sync {
    /// Hides the message for `by` from now on.
    fn delay(
        &self,
        receipt_handle: &str,
        by: Duration,
    ) -> impl Future<Output = Result<(), RetryableError>> + Send;
}

/// The provider's API: what is true.
pub trait ProviderApi: Send + Sync {
    /// Reads a checkout with its customer, lines and payments.
    fn checkout(
        &self,
        provider: Provider,
        order_id: &OrderId,
    ) -> impl Future<Output = Result<Checkout, ReadError>> + Send;
    /// Which checkout a payment was made in, if in any.
    fn checkout_of(
        &self,
        provider: Provider,
        payment: &PaymentIntentId,
    ) -> impl Future<Output = Result<Option<OrderId>, ReadError>> + Send;
    /// Reads all refunds of a checkout or a payment.
    fn refunds(
        &self,
        provider: Provider,
        of: &RefundsOf,
    ) -> impl Future<Output = Result<Vec<refund::RefundChange>, ReadError>> + Send;
    /// Reads a subscription.
    fn subscription(
        &self,
        provider: Provider,
        id: &SubscriptionId,
    ) -> impl Future<Output = Result<subscription::SubscriptionChange, ReadError>> + Send;
}

/// The provider's lists: all there is of some kind, whatever was announced.
pub trait Listing: Send + Sync {
    /// Reads a page of a list, in the provider's order.
    fn list(
        &self,
        provider: Provider,
        ask: Ask<'_>,
    ) -> impl Future<Output = Result<Page, ReadError>> + Send;
}

/// The signing keys that a provider may use now.
///
/// Either call may read the store, so ask only for a request that a key could prove.
pub trait SigningKeys: Send + Sync {
    /// The keys as known: read from the store when they have aged, never more often. There are always some: without
    /// any, nothing would have started.
    fn keys(&self, provider: Provider) -> impl Future<Output = Keys> + Send;
    /// The keys read anew because a signature matched none: `None` when the last try is less than a minute old,
    /// whatever is asked, or when the store does not answer.
    fn reread(&self, provider: Provider) -> impl Future<Output = Option<Keys>> + Send;
}
