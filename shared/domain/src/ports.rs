//! The ports: the traits between the functions and AWS or the providers.
//!
//! Each trait has an adapter, and an implementation in memory for tests. One contract suite checks both
//! (`tests/it/contract.rs`). A lost race is a result and not an error. A [`RetryableError`] means that the result is
//! unknown.

pub mod admin;

use crate::values::outcome::ReadError;
use crate::{
    access::{contact::Contact, subscription::Subscription},
    announcement::{Batch, Entry, stock::AnnouncedLevel},
    delivery::{
        answer::Answer,
        event::Reading,
        job::Job,
        reference::Reference,
        secrets::{ApiKey, Keys},
        signature::{BadKey, Key, Refusal, Unverified},
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
    resource::{
        Resource, ResourceId,
        checkout_session::{CheckoutSession, SessionSale},
    },
    sale::{
        delivery_failure::DeliveryFailure,
        order::Order,
        stock::{Counter, Movement},
    },
    upkeep::{
        fill::Fill,
        privacy::CustomerRows,
        reconcile::{self, Ask, Page},
        sweep::{self, Backlog, Due},
    },
    values::{
        class::Class,
        ids::{
            CheckoutSessionId, CustomerId, EventId, OrderId, OwnerToken, ReceiptId, ReferenceState,
            Sku, SubscriptionId,
        },
        mode::Mode,
        note::{Noted, Notes},
        outcome::RetryableError,
        provider::{ProviderId, ProviderPolicies},
    },
};
use jiff::Timestamp;
use std::{collections::BTreeMap, fmt, pin::Pin, sync::Arc, time::Duration};

/// The time, for work that needs it more than once. Other code gets it as an argument.
pub trait Clock: fmt::Debug + Send + Sync {
    /// The current time.
    fn now(&self) -> Timestamp;
}

impl<C: Clock + ?Sized> Clock for Arc<C> {
    fn now(&self) -> Timestamp {
        (**self).now()
    }
}

/// The result of recording an event.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Recorded {
    First,
    /// The same body is stored already, in this state.
    Again(EventState),
    /// Other bytes are stored under the same id. Nothing changed.
    OtherBody {
        state: EventState,
        /// The stored bytes.
        body: Vec<u8>,
    },
}

/// The end of an event.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Settlement {
    Processed,
    /// The event needs nothing here.
    NotNeeded {
        /// For the operator, without personal data.
        reason: String,
    },
    /// A person must decide.
    Parked {
        class: Class,
        /// For the operator, without personal data.
        reason: String,
        announced: Option<Batch>,
    },
}

/// The Events table.
pub trait Events: Send + Sync {
    /// Stores an event unless its id is stored already, by one conditional write. A parked one has its announcement
    /// written with it ([`crate::announcement::event::recorded`]).
    fn record(
        &self,
        event: &StoredEvent,
    ) -> impl Future<Output = Result<Recorded, RetryableError>> + Send;
    /// Reads an event, strongly consistent.
    fn event(
        &self,
        id: &EventId,
    ) -> impl Future<Output = Result<Option<StoredEvent>, RetryableError>> + Send;
    /// Ends an unfinished event. It loses the race if the event has ended, or if a committed event should be parked.
    fn settle(
        &self,
        id: &EventId,
        settlement: &Settlement,
        now: Timestamp,
    ) -> impl Future<Output = Result<Changed, RetryableError>> + Send;
    /// Records a failed attempt on an unfinished event. After a lost answer, the attempt may count twice.
    fn note_failure(
        &self,
        id: &EventId,
        class: Class,
        reason: &str,
    ) -> impl Future<Output = Result<(), RetryableError>> + Send;
}

/// The return of an event to `stored`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reopening {
    pub event_id: EventId,
    /// The state that the operator saw.
    pub from: EventState,
    /// The type that this version reads from the body.
    pub event_type: Option<String>,
    /// The time that this version reads from the body.
    pub occurred_at: Option<Timestamp>,
    /// The notes that the operator saw, which must not have changed.
    pub seen: Notes,
    pub note: Noted,
    pub announced: Option<Batch>,
}

/// The events to find.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Search {
    /// `None` for all types.
    pub event_type: Option<String>,
    /// Inclusive, by the time of receipt.
    pub since: Timestamp,
    /// Exclusive, by the time of receipt.
    pub before: Timestamp,
}

/// One page of a search. An empty page may not be the last one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Found {
    /// In the table's order, which has no meaning. The newest rows may be missing.
    pub events: Vec<StoredEvent>,
    /// Matching events of a newer version, which this version cannot read.
    pub unreadable: Vec<EventId>,
    /// The start of the next page; `None` at the end of the table.
    pub next: Option<EventId>,
}

/// The operators' actions on the Events table.
pub trait EventAdmin: Send + Sync {
    /// Sets an event back to `stored` with no attempts, if neither its state nor its notes changed.
    fn reopen_event(
        &self,
        reopening: &Reopening,
    ) -> impl Future<Output = Result<Changed, RetryableError>> + Send;
    /// Drops an event, if neither its state nor its notes changed.
    fn drop_event(
        &self,
        seen: &StoredEvent,
        note: &Noted,
        announced: Option<&Batch>,
        now: Timestamp,
    ) -> impl Future<Output = Result<Changed, RetryableError>> + Send;
    /// Replaces the body of an event by an empty one, if neither its state nor its notes changed.
    fn blank_event(
        &self,
        seen: &StoredEvent,
        note: &Noted,
    ) -> impl Future<Output = Result<Changed, RetryableError>> + Send;
    /// Adds a note to an event, if neither its state nor its notes changed.
    fn note_event(
        &self,
        seen: &StoredEvent,
        note: &Noted,
    ) -> impl Future<Output = Result<Changed, RetryableError>> + Send;
    /// Reads a bounded number of rows, after the event `after`. Any found event may be `after`.
    fn search(
        &self,
        search: &Search,
        after: Option<&EventId>,
    ) -> impl Future<Output = Result<Found, RetryableError>> + Send;
}

/// One page of the orders of a customer, in no meaningful order. An empty page may not be the last one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OrderPage {
    pub orders: Vec<Order>,
    /// The start of the next page; `None` at the end of the table.
    pub next: Option<OrderId>,
}

/// The operators' actions on the Orders table.
pub trait OrderAdmin: Send + Sync {
    /// Reads a bounded number of a customer's orders, after the order `after`, by an index that may lag behind the table.
    fn orders_of(
        &self,
        id: &CustomerId,
        after: Option<&OrderId>,
    ) -> impl Future<Output = Result<OrderPage, RetryableError>> + Send;
    /// Writes [`Order::erased`], guarded by the version that was read.
    fn erase_order(
        &self,
        seen: &Order,
    ) -> impl Future<Output = Result<Changed, RetryableError>> + Send;
}

/// The operators' actions on the Entitlements table.
pub trait EntitlementAdmin: Send + Sync {
    /// Reads all rows of a customer. There are no orders among them.
    fn rows_of(
        &self,
        id: &CustomerId,
    ) -> impl Future<Output = Result<CustomerRows, RetryableError>> + Send;
    /// Writes [`Contact::erased`], guarded by the version that was read. `seen` may be a new contact.
    fn erase_contact(
        &self,
        seen: &Contact,
    ) -> impl Future<Output = Result<Changed, RetryableError>> + Send;
}

/// The result of a commit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Committed {
    Now,
    /// A row of the decision changed: read and decide again.
    Raced,
}

/// The Orders table.
pub trait Orders: Send + Sync {
    /// Reads an order, strongly consistent.
    fn order(
        &self,
        id: &OrderId,
    ) -> impl Future<Output = Result<Option<Order>, RetryableError>> + Send;
    /// Sets or removes a receipt's delivery failure on its order, guarded by the version that was read.
    fn keep_delivery_failure(
        &self,
        seen: &Order,
        id: &ReceiptId,
        delivery_failure: Option<DeliveryFailure>,
    ) -> impl Future<Output = Result<Changed, RetryableError>> + Send;
}

/// The Entitlements table, for reading.
pub trait Entitlements: Send + Sync {
    /// Reads a subscription, strongly consistent.
    fn subscription(
        &self,
        customer_id: &CustomerId,
        id: &SubscriptionId,
    ) -> impl Future<Output = Result<Option<Subscription>, RetryableError>> + Send;
    /// The customer of a subscription, by an index that may lag behind the table.
    fn customer_of(
        &self,
        id: &SubscriptionId,
    ) -> impl Future<Output = Result<Option<CustomerId>, RetryableError>> + Send;
    /// Reads the contact of a customer, strongly consistent.
    fn contact(
        &self,
        customer_id: &CustomerId,
    ) -> impl Future<Output = Result<Option<Contact>, RetryableError>> + Send;
}

/// The rows of a decision, and the transaction that commits it.
pub trait Commits: Send + Sync {
    /// Reads rows, strongly consistent.
    fn read(
        &self,
        read_set: &ReadSet,
    ) -> impl Future<Output = Result<Snapshot, RetryableError>> + Send;
    /// Writes a commit if the rows of its decision did not change.
    ///
    /// A commit that is too large for one transaction writes some movements before. Each movement has a condition that
    /// deduplicates it, so a stop between two transactions loses nothing and doubles nothing.
    fn commit(
        &self,
        commit: &Commit,
    ) -> impl Future<Output = Result<Committed, RetryableError>> + Send;
}

/// The shortfalls in the Stock table.
pub trait Shortfalls: Send + Sync {
    /// The open movements, oldest first, `most` at most, by an index that may lag behind the table.
    fn open_shortfalls(
        &self,
        most: usize,
    ) -> impl Future<Output = Result<Vec<Movement>, RetryableError>> + Send;
    /// The counters that there are, strongly consistent.
    fn counters(
        &self,
        skus: &[Sku],
    ) -> impl Future<Output = Result<BTreeMap<Sku, i64>, RetryableError>> + Send;
    /// Changes movement, counter and order together, if the movement and the order are still as read and the counter
    /// covers the units.
    fn fill(&self, fill: &Fill) -> impl Future<Output = Result<Changed, RetryableError>> + Send;
}

/// The result of a conditional write.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Changed {
    Now,
    /// The row changed, or another attempt has its lease.
    Raced,
}

/// The Receipts table. A batch of announcements is written with the change, or not at all.
pub trait Receipts: Send + Sync {
    /// Reads a receipt, strongly consistent.
    fn receipt(
        &self,
        id: &ReceiptId,
    ) -> impl Future<Output = Result<Option<Receipt>, RetryableError>> + Send;
    /// Takes the lease of a receipt, guarded by the version that was read. Counts an attempt.
    fn acquire_lease(
        &self,
        seen: &Receipt,
        owner: &OwnerToken,
        lease_ends_at: Timestamp,
    ) -> impl Future<Output = Result<Changed, RetryableError>> + Send;
    /// Holds a receipt with an unknown outcome, guarded by the version that was read.
    fn hold(
        &self,
        seen: &Receipt,
        announced: Option<&Batch>,
    ) -> impl Future<Output = Result<Changed, RetryableError>> + Send;
    /// Ends the lease with a new state, if `owner` still holds the lease.
    fn end_lease(
        &self,
        id: &ReceiptId,
        owner: &OwnerToken,
        state: &ReceiptState,
        announced: Option<&Batch>,
    ) -> impl Future<Output = Result<Changed, RetryableError>> + Send;
    /// Writes the update that a report of SES makes, guarded by the version that was read.
    fn update_mails(
        &self,
        seen: &Receipt,
        update: &ReceiptUpdate,
        announced: Option<&Batch>,
    ) -> impl Future<Output = Result<Changed, RetryableError>> + Send;
}

/// The place of a row in a list.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ResourcePlace {
    pub id: ResourceId,
    pub listed_at: Timestamp,
}

/// One page of a list of mirrored things, oldest first.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ResourcePage {
    pub resources: Vec<Resource>,
    /// The last row, after which the next page starts; `None` at the end of the list.
    pub next: Option<ResourcePlace>,
}

/// The Resources table, for reading.
pub trait ResourceLists: Send + Sync {
    /// Reads a row, strongly consistent.
    fn resource(
        &self,
        id: &ResourceId,
    ) -> impl Future<Output = Result<Option<Resource>, RetryableError>> + Send;
    /// Reads a page of a list ([`Resource::list`]) up to a time, after a place, by an index that may lag behind the table.
    fn listed(
        &self,
        list: &str,
        before: Option<Timestamp>,
        after: Option<&ResourcePlace>,
    ) -> impl Future<Output = Result<ResourcePage, RetryableError>> + Send;
}

/// One page of the checkout sessions of a sale, in no meaningful order. An empty page may not be the last one.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct SessionPage {
    pub sessions: Vec<CheckoutSession>,
    /// The start of the next page; `None` at the end of the table.
    pub next: Option<CheckoutSessionId>,
}

/// The operators' actions on the Resources table.
pub trait ResourceAdmin: Send + Sync {
    /// Reads a bounded number of a sale's sessions, after the session `after`, by an index that may lag behind the table.
    fn sessions_of(
        &self,
        sale: &SessionSale,
        after: Option<&CheckoutSessionId>,
    ) -> impl Future<Output = Result<SessionPage, RetryableError>> + Send;
    /// Writes [`CheckoutSession::erased`], guarded by the version that was read.
    fn erase_session(
        &self,
        seen: &CheckoutSession,
    ) -> impl Future<Output = Result<Changed, RetryableError>> + Send;
}

/// The suppressed addresses in the Links table.
pub trait Suppressions: Send + Sync {
    /// Reads the suppression of an address, strongly consistent.
    fn suppression(
        &self,
        address: &AddressHash,
    ) -> impl Future<Output = Result<Option<Suppression>, RetryableError>> + Send;
    /// Merges a suppression into the row of its address.
    fn suppress(
        &self,
        suppression: &Suppression,
    ) -> impl Future<Output = Result<(), RetryableError>> + Send;
}

/// The operators' actions on the Receipts table.
pub trait ReceiptAdmin: Send + Sync {
    /// Makes a receipt unsent again ([`Receipt::reopened`]), guarded by the version that was read.
    fn reopen_receipt(
        &self,
        seen: &Receipt,
        note: &Noted,
        now: Timestamp,
    ) -> impl Future<Output = Result<Changed, RetryableError>> + Send;
    /// Closes a receipt ([`Receipt::closed`]), guarded by the version that was read.
    fn close_receipt(
        &self,
        seen: &Receipt,
        note: &Noted,
        announced: Option<&Batch>,
    ) -> impl Future<Output = Result<Changed, RetryableError>> + Send;
}

/// The result of reserving an overdue row.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reserved {
    /// The note is on the row; the caller queues the row.
    Now {
        /// The earlier note.
        before: Option<Timestamp>,
    },
    /// The row is not overdue any more, or not due yet.
    NotNow,
}

/// The overdue rows of a table, by an index that may lag behind the table.
pub trait Backlogs<P: Backlog>: Send + Sync {
    /// The rows that are there since `until` or longer, oldest first, `most` at most.
    fn overdue(
        &self,
        place: P,
        until: Timestamp,
        most: usize,
    ) -> impl Future<Output = Result<Vec<sweep::BacklogItem<P::Id>>, RetryableError>> + Send;
    /// Notes on a row that it is queued again, if it is due ([`Due::has_come`]). Only one of two callers succeeds. Nothing
    /// else of the row changes, not even its version.
    fn take(
        &self,
        place: P,
        id: &P::Id,
        turn: &Due,
    ) -> impl Future<Output = Result<Reserved, RetryableError>> + Send;
    /// Replaces the note of `taken_at` by the note `before` it, because the row could not be queued. The next caller may
    /// reserve the row.
    fn give_back(
        &self,
        place: P,
        id: &P::Id,
        taken_at: Timestamp,
        before: Option<Timestamp>,
    ) -> impl Future<Output = Result<(), RetryableError>> + Send;
}

/// The open rows of Events and Receipts, oldest first, by an index that may lag behind its table.
///
/// The index lists an event while its state is open ([`EventState::is_open`]) and a receipt until its end. A mail for a
/// later day is not under its status, only in the backlog of its day. Each method looks at `most` rows at most.
pub trait OpenRows: Send + Sync {
    /// The events in that state.
    fn open_events(
        &self,
        state: EventState,
        most: usize,
    ) -> impl Future<Output = Result<Vec<EventId>, RetryableError>> + Send;
    /// The receipts with that status.
    fn open_receipts(
        &self,
        status: ReceiptStatus,
        most: usize,
    ) -> impl Future<Output = Result<Vec<ReceiptId>, RetryableError>> + Send;
    /// Counts the events in that state.
    fn count_events(
        &self,
        state: EventState,
        most: usize,
    ) -> impl Future<Output = Result<usize, RetryableError>> + Send;
    /// Counts the receipts with that status.
    fn count_receipts(
        &self,
        status: ReceiptStatus,
        most: usize,
    ) -> impl Future<Output = Result<usize, RetryableError>> + Send;
    /// The reference states of the events in that state; `None` for a row that has none.
    fn reference_states(
        &self,
        state: EventState,
        most: usize,
    ) -> impl Future<Output = Result<Vec<Option<ReferenceState>>, RetryableError>> + Send;
    /// The time at which the oldest sale ([`crate::delivery::reference_state::is_sale`]) in that state was received.
    fn oldest_sale(
        &self,
        state: EventState,
        most: usize,
    ) -> impl Future<Output = Result<Option<Timestamp>, RetryableError>> + Send;
}

/// A queue of one kind of job.
pub trait Queue<J: Job>: Send + Sync {
    /// Sends a job. After success, the queue does not lose it.
    fn send(&self, job: &J) -> impl Future<Output = Result<(), RetryableError>> + Send;
}

/// A message in a dead-letter queue.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DeadLetter {
    /// The same for each receive.
    pub message_id: String,
    /// Possibly not a job.
    pub body: String,
    /// The handle to delete the message, different for each receive.
    pub receipt_handle: String,
}

/// A dead-letter queue.
pub trait DeadLetters: Send + Sync {
    /// The approximate number of messages, hidden ones included.
    fn depth(&self) -> impl Future<Output = Result<u64, RetryableError>> + Send;
    /// Receives ten messages at most and hides them for `hidden_for`, which is zero for a look.
    fn receive(
        &self,
        hidden_for: Duration,
    ) -> impl Future<Output = Result<Vec<DeadLetter>, RetryableError>> + Send;
    /// Deletes a received message, unless it is deleted or was received again.
    fn delete(
        &self,
        letter: &DeadLetter,
    ) -> impl Future<Output = Result<(), RetryableError>> + Send;
}

/// The back-off of a failed message.
pub trait Delay: Send + Sync {
    /// Hides the message for `by`, from now.
    fn delay(
        &self,
        receipt_handle: &str,
        by: Duration,
    ) -> impl Future<Output = Result<(), RetryableError>> + Send;
}

/// The place of a batch among the batches that are not published.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct BatchPlace {
    /// See [`Batch::place`].
    pub place: i64,
    pub batch_id: String,
}

/// One page of a search for batches. An empty page may not be the last one.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct BatchPage {
    /// In no meaningful order.
    pub batches: Vec<BatchPlace>,
    /// The start of the next page; `None` at the end of the table.
    pub next: Option<String>,
}

/// The Announcements table.
pub trait Announcements: Send + Sync {
    /// The batches that are not published and have their place until `until`, in their order after `after`: `most` of them,
    /// or all that there are. An index lists them, which may lag behind the table.
    fn unpublished(
        &self,
        until: Timestamp,
        after: Option<&BatchPlace>,
        most: usize,
    ) -> impl Future<Output = Result<Vec<BatchPlace>, RetryableError>> + Send;
    /// Reads a batch, strongly consistent; `None` if it is published.
    fn unpublished_batch(
        &self,
        id: &str,
    ) -> impl Future<Output = Result<Option<Batch>, RetryableError>> + Send;
    /// Marks a batch as published. It expires after the retention.
    fn mark_published(
        &self,
        id: &str,
        now: Timestamp,
    ) -> impl Future<Output = Result<(), RetryableError>> + Send;
}

/// The operators' actions on the Announcements table.
pub trait AnnouncementAdmin: Send + Sync {
    /// Reads a bounded number of published batches since then, after the batch `after`.
    fn published_since(
        &self,
        since: Timestamp,
        after: Option<&str>,
    ) -> impl Future<Output = Result<BatchPage, RetryableError>> + Send;
    /// Makes a published batch unpublished again.
    fn publish_again(
        &self,
        id: &str,
    ) -> impl Future<Output = Result<Changed, RetryableError>> + Send;
}

/// The key of a row of the Stock table: SKU and entry.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct StockRow {
    pub sku: String,
    pub entry: String,
}

/// One page of the counters, in no meaningful order. An empty page may not be the last one.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct CounterPage {
    pub counters: Vec<Counter>,
    /// The last row, after which the next page starts; `None` at the end of the table.
    pub next: Option<StockRow>,
}

/// The counters in the Stock table, and their announced levels.
pub trait StockLevels: Send + Sync {
    /// Reads a counter and its announced level, strongly consistent.
    fn level(
        &self,
        sku: &Sku,
    ) -> impl Future<Output = Result<(Option<Counter>, Option<AnnouncedLevel>), RetryableError>> + Send;
    /// Writes the next announced level with its batch, if the level before is still the announced one.
    fn announce_level(
        &self,
        level: &AnnouncedLevel,
        batch: &Batch,
    ) -> impl Future<Output = Result<Changed, RetryableError>> + Send;
    /// Reads a bounded number of rows after the row `after`, movements included, and returns the counters among them.
    fn counter_page(
        &self,
        after: Option<&StockRow>,
    ) -> impl Future<Output = Result<CounterPage, RetryableError>> + Send;
}

/// The event bus.
pub trait Bus: Send + Sync {
    /// Publishes ten entries at most. There is an answer for each: `None`, or the reason why the bus does not have it.
    fn publish(
        &self,
        entries: &[Entry],
    ) -> impl Future<Output = Result<Vec<Option<String>>, RetryableError>> + Send;
}

/// The future of a method of a trait that is used as a trait object.
pub type Answering<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;

/// Looks a header up by its lower-case name.
pub type Headers<'a> = dyn Fn(&str) -> Option<&'a str> + Sync + 'a;

/// The client of one provider's API. It is a separate object, so that a function that only takes deliveries in links
/// no client.
pub trait ProviderApi: fmt::Debug + Send + Sync {
    /// As [`Provider::fetch`].
    fn fetch<'a>(
        &'a self,
        key: &'a ApiKey,
        reference: &'a Reference,
        asked_at: Timestamp,
    ) -> Answering<'a, Result<Answer, ReadError>>;

    /// As [`Provider::list`].
    fn list<'a>(&'a self, key: &'a ApiKey, ask: Ask<'a>) -> Answering<'a, Result<Page, ReadError>>;
}

/// Everything that the product knows of one payment provider: its signatures, bodies, words, endpoints and lists.
///
/// A trait object, so that a stack may serve any set of providers.
pub trait Provider: fmt::Debug + Send + Sync {
    /// The provider's policies.
    fn policies(&self) -> ProviderPolicies;

    /// Checks the signature headers of a request; [`Unverified::verify`] then verifies them against the keys.
    fn check<'body>(
        &self,
        headers: &Headers<'_>,
        body: &'body [u8],
        now: Timestamp,
    ) -> Result<Unverified<'body>, Refusal>;

    /// Reads a verified body.
    fn read(&self, body: &[u8]) -> Reading;

    /// Fetches a thing as it is now. `asked_at` is our time, before the request.
    fn fetch<'a>(
        &'a self,
        key: &'a ApiKey,
        reference: &'a Reference,
        asked_at: Timestamp,
    ) -> Answering<'a, Result<Answer, ReadError>>;

    /// The lists in which reconcile looks for events that no delivery brought, in the order to read them.
    fn lists(&self) -> &'static [&'static str];

    /// Reads one page of a list, in the provider's order.
    fn list<'a>(&'a self, key: &'a ApiKey, ask: Ask<'a>) -> Answering<'a, Result<Page, ReadError>>;

    /// The body of the event that a missed delivery would have brought. `waits`: an order waits for its money.
    fn recovered(
        &self,
        found: &reconcile::Found,
        event_id: &EventId,
        stated_at: Timestamp,
        waits: bool,
    ) -> Vec<u8>;

    /// The body that stands for a listed thing that is too large to keep.
    fn stub(&self, list: &str, id: Option<&str>) -> Vec<u8>;

    /// Makes the signing key from a webhook secret as the provider's dashboard shows it.
    fn signing_key(&self, secret: &str) -> Result<Key, BadKey>;

    /// The mode of an API key; `None` for a text that is no API key of this provider.
    fn key_mode(&self, key: &ApiKey) -> Option<Mode>;
}

/// The API key of one provider, held for a while.
pub trait ApiKeys: fmt::Debug + Send + Sync {
    /// The key as known.
    fn current(&self) -> Answering<'_, ApiKey>;
    /// The key read again because it was refused. `None` if the last reading is less than a minute old or fails.
    fn reread(&self) -> Answering<'_, Option<ApiKey>>;
}

/// The signing keys that a provider may use now.
///
/// Either call may read the store, so ask only for a request that a key could prove.
pub trait SigningKeys: Send + Sync {
    /// The keys as known: read from the store when they have aged, never more often. There are always some: without
    /// any, nothing would have started.
    fn keys(&self, provider: &ProviderId) -> impl Future<Output = Keys> + Send;
    /// The keys, read again because a signature matched none: `None` when the last try is less than a minute old,
    /// whatever is asked, or when the store does not answer.
    fn reread(&self, provider: &ProviderId) -> impl Future<Output = Option<Keys>> + Send;
}
