//! One suite for each port of tables, of dead-letter queues and of the provider's API. Each runs on the world in memory
//! and on the deployed adapters: DynamoDB and SQS of the local stack, and Flex's client on the stand-in for Flex. The
//! queues of the simulation pass one with SQS (`messages`).
//!
//! The other ports keep nothing, so there is nothing to compare. The world only notes a sent job, a hidden message or a
//! mail, and its signing keys are set by the test. The tests `adapters::…` and, for the keys, `aws::secrets` cover
//! their adapters.

mod backlog;
mod rows;

use aws_sdk_dynamodb::types::AttributeValue;
use domain::{
    delivery::{answer::Answer, event::Change, reference::Reference},
    fulfillment::{
        self, Decision, Policy,
        known::{Case, Known, Need},
    },
    ports::{
        AnnouncementAdmin, Announcements, Backlogs, Commits, EntitlementAdmin, Entitlements,
        EventAdmin, Events, OpenRows, OrderAdmin, Orders, ReceiptAdmin, Receipts, ResourceAdmin,
        ResourceLists, Shortfalls, StockLevels, Suppressions,
        admin::{OrderSearch, StockAdmin},
    },
    receipt,
    resource::{Resource, payment_method::PaymentMethod},
    sale::{
        details::{Details, Metadata},
        mapping::{Grant, Mapping, MappingKey, MappingRow},
        payment::Link,
        statement::{Capture, Customer, Eligibility, LineItem, SaleKind, Totals},
        stock::{Deduction, Movement, Restock, StockLevel, Uncounted},
    },
    upkeep::fill::fills,
    upkeep::sweep::{EventBacklog, ReceiptBacklog},
    values::{
        ids::{LineItemId, PaymentMethodId, PriceId},
        money::Currency,
        provider::ProviderPolicies,
    },
};
use jiff::{ToSpan, civil::Date};
use kit::prelude::*;
use std::sync::atomic::{AtomicU64, Ordering};

/// Fills the stock, like a merchant.
trait Shelves {
    async fn put_counter(&self, sku: &Sku, on_hand: i64);
    async fn put_mapping(&self, from: &MappingKey, row: &MappingRow);
    async fn remove_counter(&self, sku: &Sku);
    async fn on_hand(&self, sku: &Sku) -> Option<i64>;
}

impl Shelves for World {
    async fn put_counter(&self, sku: &Sku, on_hand: i64) {
        self.kept().counters.insert(sku.clone(), on_hand);
    }
    async fn put_mapping(&self, from: &MappingKey, row: &MappingRow) {
        self.kept().mapping.insert(from.clone(), row.clone());
    }
    async fn remove_counter(&self, sku: &Sku) {
        self.kept().counters.remove(sku);
    }
    async fn on_hand(&self, sku: &Sku) -> Option<i64> {
        self.kept().counters.get(sku).copied()
    }
}

impl Shelves for kit::stack::StockTable {
    async fn put_counter(&self, sku: &Sku, on_hand: i64) {
        self.put_counter(sku, on_hand).await.unwrap();
    }
    async fn put_mapping(&self, from: &MappingKey, row: &MappingRow) {
        let text = |text: &str| AttributeValue::S(text.to_owned());
        let mut attributes = Vec::new();
        if row.is_not_understood {
            attributes.push(("untracked", text("yes")));
        }
        attributes.extend(
            row.maps_to
                .iter()
                .map(|sku| ("maps_to", text(sku.as_str()))),
        );
        attributes.extend(
            row.untracked
                .then(|| ("untracked", AttributeValue::Bool(true))),
        );
        if let Some(grant) = &row.grants {
            attributes.push(("grants", text(grant.name.as_str())));
            let days = grant.days.iter();
            attributes.extend(days.map(|days| ("days", AttributeValue::N(days.to_string()))));
        }
        self.put_mapping(from, &attributes).await.unwrap();
    }
    async fn remove_counter(&self, sku: &Sku) {
        self.remove_counter(sku).await.unwrap();
    }
    async fn on_hand(&self, sku: &Sku) -> Option<i64> {
        self.on_hand(sku).await.unwrap()
    }
}

/// All ports of the tables, as one.
trait Rows:
    Events
    + EventAdmin
    + OpenRows
    + Backlogs<EventBacklog>
    + Backlogs<ReceiptBacklog>
    + Orders
    + OrderAdmin
    + OrderSearch
    + Receipts
    + ReceiptAdmin
    + Entitlements
    + EntitlementAdmin
    + Commits
    + Suppressions
    + Shortfalls
    + StockAdmin
    + ResourceLists
    + ResourceAdmin
    + Announcements
    + AnnouncementAdmin
    + StockLevels
{
}

impl Rows for World {}
impl Rows for aws::Store {}

/// All ports on the same rows. Each method below the accessors is one call that must have an answer.
trait On {
    fn store(&self) -> &impl Rows;
    fn stock_levels(&self) -> &impl Shelves;

    async fn record(&self, event: &StoredEvent) -> Recorded {
        self.store().record(event).await.unwrap()
    }
    async fn event(&self, id: &EventId) -> Option<StoredEvent> {
        self.store().event(id).await.unwrap()
    }
    async fn settle(&self, id: &EventId, end: &Settlement, at: Timestamp) -> Changed {
        self.store().settle(id, end, at).await.unwrap()
    }
    async fn note_failure(&self, id: &EventId, class: Class, reason: &str) {
        let noted = self.store().note_failure(id, class, reason);
        noted.await.unwrap();
    }
    async fn drop_event(&self, id: &EventId, from: EventState, at: Timestamp) -> Changed {
        let seen = self.event(id).await.unwrap();
        let seen = StoredEvent {
            state: from,
            ..seen
        };
        let note = by_hand("a double");
        let dropped = self.store().drop_event(&seen, &note, None, at);
        dropped.await.unwrap()
    }
    async fn order(&self, id: &OrderId) -> Option<Order> {
        self.store().order(id).await.unwrap()
    }
    async fn read(&self, read_set: &ReadSet) -> Snapshot {
        self.store().read(read_set).await.unwrap()
    }
    async fn commit(&self, commit: &Commit) -> Committed {
        self.store().commit(commit).await.unwrap()
    }
    async fn receipt(&self, id: &ReceiptId) -> Option<Receipt> {
        self.store().receipt(id).await.unwrap()
    }
    /// A lease by that owner, until [`later`].
    async fn lease(&self, seen: &Receipt, by: &str) -> Changed {
        self.lease_until(seen, by, later()).await
    }
    async fn lease_until(&self, seen: &Receipt, by: &str, ends_at: Timestamp) -> Changed {
        let by = owner(by);
        self.store()
            .acquire_lease(seen, &by, ends_at)
            .await
            .unwrap()
    }
    async fn mark(&self, id: &ReceiptId, by: &str, state: &ReceiptState) -> Changed {
        let by = owner(by);
        self.store().end_lease(id, &by, state, None).await.unwrap()
    }
    async fn suppression(&self, address: &AddressHash) -> Option<Suppression> {
        self.store().suppression(address).await.unwrap()
    }
    async fn suppress(&self, suppression: &Suppression) {
        self.store().suppress(suppression).await.unwrap();
    }
    async fn hold(&self, seen: &Receipt) -> Changed {
        self.store().hold(seen, None).await.unwrap()
    }
    async fn reopen_receipt(&self, seen: &Receipt, why: &str) -> Changed {
        let note = by_hand(why);
        let reopened = self.store().reopen_receipt(seen, &note, later());
        reopened.await.unwrap()
    }
    /// The merchant counts that much of each.
    async fn stock(&self, skus: &[Sku], on_hand: i64) {
        for sku in skus {
            self.stock_levels().put_counter(sku, on_hand).await;
        }
    }
}

impl On for World {
    fn store(&self) -> &impl Rows {
        self
    }
    fn stock_levels(&self) -> &impl Shelves {
        self
    }
}

impl On for Ports {
    fn store(&self) -> &impl Rows {
        &self.store
    }
    fn stock_levels(&self) -> &impl Shelves {
        &self.stock_levels
    }
}

fn memory() -> World {
    World::at(now())
}

async fn dynamodb() -> Ports {
    Stack::named()
        .unwrap_or_else(|none| panic!("{none}"))
        .tables()
        .await
}

use backlog::{
    a_claim_is_swept_once_it_is_over, a_mail_for_a_later_day_is_taken_when_it_is_due,
    a_receipt_that_was_given_back_has_its_tries_first,
    a_row_that_was_queued_again_is_left_alone_for_its_interval,
    a_row_that_was_tried_in_vain_has_its_tries_first,
    an_event_lies_where_it_stands_until_it_has_ended, due_becomes,
    of_many_that_sweep_a_row_at_once_one_takes_it, of_too_many_that_lie_there_the_oldest_are_told,
    only_what_lies_there_is_taken, the_oldest_sale_is_found_among_other_events,
    what_an_event_tells_is_found_while_it_waits, what_is_given_back_is_there_for_the_next,
};

/// Runs one suite on both.
macro_rules! on_both {
    ($($suite:ident),+ $(,)?) => {$(
        mod $suite {
            #[tokio::test(flavor = "multi_thread")]
            async fn in_memory() {
                super::$suite(&super::memory()).await;
            }
            #[tokio::test(flavor = "multi_thread")]
            async fn on_dynamodb() {
                super::$suite(&super::dynamodb().await).await;
            }
        }
    )+};
}

mod admin;
mod announcements;
mod feedback;
mod messages;
mod mode;
mod operators;
mod planted;
mod provider;
pub(crate) mod resources;

on_both! {
    an_event_is_stored_once_and_comes_back_as_it_was,
    of_many_at_once_exactly_one_is_the_first,
    another_body_under_the_same_id_changes_nothing,
    an_event_ends_once,
    a_failure_is_noted_and_counted_on_pending_events_only,
    a_commit_writes_all_of_it,
    every_row_comes_back_as_it_was,
    our_times_are_kept_in_whole_seconds,
    every_kind_of_row_is_guarded_by_its_version,
    what_is_not_wanted_or_not_there_is_not_read,
    a_row_that_is_wanted_twice_is_read_once,
    a_commit_that_does_not_end_its_event_leaves_it,
    several_receipts_are_owed_together,
    a_receipt_that_is_there_already_refuses_all,
    of_many_commits_of_one_order_exactly_one_is_done,
    a_commit_on_a_changed_world_writes_nothing,
    an_order_whose_customer_is_erased_meanwhile_is_decided_again,
    the_last_pieces_go_to_whoever_is_first_and_never_below_zero,
    a_movement_is_never_made_twice,
    reserved_units_are_sold_or_go_back_once,
    no_part_of_a_big_commit_is_written_once_its_order_has_changed,
    more_mirrored_rows_than_a_transaction_holds_are_committed_whole,
    goods_go_back_once_and_never_more_than_were_taken,
    nothing_goes_back_where_nothing_was_taken_or_counted,
    a_cart_too_big_for_one_transaction_is_committed_whole,
    a_cart_too_big_for_one_transaction_moves_nothing_for_an_event_that_has_ended,
    what_no_transaction_can_hold_is_refused_whole,
    mapping_rows_are_found,
    what_is_not_counted_is_reported_once,
    a_shortfall_is_filled_once_and_then_no_longer_open,
    a_receipt_is_claimed_by_one,
    only_the_claimant_may_mark,
    a_held_receipt_stays_held,
    a_withdrawn_receipt_says_why,
    what_is_due_is_told_by_its_day_until_somebody_takes_it_up,
    of_too_many_that_lie_there_the_oldest_are_told,
    an_event_lies_where_it_stands_until_it_has_ended,
    of_many_that_sweep_a_row_at_once_one_takes_it,
    a_row_that_was_queued_again_is_left_alone_for_its_interval,
    a_row_that_was_tried_in_vain_has_its_tries_first,
    only_what_lies_there_is_taken,
    what_is_given_back_is_there_for_the_next,
    a_claim_is_swept_once_it_is_over,
    a_receipt_that_was_given_back_has_its_tries_first,
    a_mail_for_a_later_day_is_taken_when_it_is_due,
    what_an_event_tells_is_found_while_it_waits,
    the_oldest_sale_is_found_among_other_events,
    whose_a_subscription_is_can_be_found,
}

/// In a time to come, so that the sweep of the stack that this runs on leaves the suite's rows alone.
fn now() -> Timestamp {
    Timestamp::from_second(4_000_000_000).unwrap()
}

/// An action of an operator.
fn by_hand(why: &str) -> Noted {
    Noted {
        at: now(),
        by: "ops".to_owned(),
        did: Action::Released,
        why: why.to_owned(),
    }
}

fn unique(prefix: &str) -> String {
    static COUNT: AtomicU64 = AtomicU64::new(0);
    let nanos = Timestamp::now().as_nanosecond();
    format!(
        "{prefix}_{nanos:x}_{}_{}",
        std::process::id(),
        COUNT.fetch_add(1, Ordering::Relaxed)
    )
}

fn event() -> StoredEvent {
    let body = br#"{"any":"body"}"#.to_vec();
    StoredEvent {
        event_id: EventId::new(unique("fevt")).unwrap(),
        provider: kit::flex_id(),
        delivery_id: DeliveryId::new("msg_1").unwrap(),
        event_type: Some("checkout.session.completed".into()),
        subject: None,
        occurred_at: Some(now()),
        received_at: now(),
        fingerprint: fingerprint(&body),
        body,
        state: Stored,
        reason: None,
        class: None,
        attempts: 0,
        notes: Notes::default(),
        outbox: Vec::new(),
    }
}

/// Waits for an index, which may lag behind.
async fn in_time(what: &str, is_so: impl AsyncFn() -> bool) {
    let is_so = async || Ok(is_so().await.then_some(()));
    until(what, Duration::from_secs(10), is_so).await.unwrap();
}

/// Everything on all pages of a list, by what reads the page after a place: its things, and the next place.
async fn all_pages<T, P>(mut page: impl AsyncFnMut(Option<P>) -> (Vec<T>, Option<P>)) -> Vec<T> {
    let (mut all, mut after) = (Vec::new(), None);
    loop {
        let (some, next) = page(after).await;
        all.extend(some);
        after = next;
        if after.is_none() {
            return all;
        }
    }
}

/// How many of these answers are that one.
fn count<T: PartialEq>(answers: &[T], one: &T) -> usize {
    answers.iter().filter(|answer| *answer == one).count()
}

fn park(reason: &str) -> Settlement {
    Settlement::Parked {
        class: Class::NotComplete,
        reason: reason.to_owned(),
        announced: None,
    }
}

fn skus(count: usize) -> Vec<Sku> {
    (0..count)
        .map(|_| Sku::new(unique("SKU")).unwrap())
        .collect()
}

fn eligibility() -> Eligibility {
    Eligibility {
        certification: Certification::Unknown,
        word: "a_new_kind".into(),
    }
}

/// A sale of one piece of each SKU.
fn sale(skus: &[Sku]) -> Sale {
    let amounts = Totals {
        subtotal: 1000,
        total: 1000,
        ..Totals::default()
    };
    let line = |sku: &Sku| LineItem {
        line_item_id: LineItemId::new(unique("fli")).unwrap(),
        description: "A \"thing\" – with ünicode".into(),
        quantity: 1,
        unit_amount: Some(1000),
        amounts,
        eligibility: Some(eligibility()),
        product_id: Some(ProductId::new("fprod_1").unwrap()),
        price_id: None,
        sku: Some(sku.clone()),
        metadata: Metadata::default(),
    };
    let total = 1000 * i64::try_from(skus.len()).unwrap();
    Sale {
        order_id: OrderId::new(unique("fcs")).unwrap(),
        stamp: None,
        is_unpaid: false,
        holds: BTreeSet::new(),
        client_reference_id: Some(unique("order")),
        status: SaleStatus::Complete,
        kind: SaleKind::Payment,
        capture: Capture::Automatic,
        mode: Mode::Live,
        created_at: Some(now()),
        customer: Customer {
            customer_id: None,
            name: Some("Pat Doe".into()),
            email: Some("pat@example.com".into()),
        },
        currency: Currency::USD,
        totals: Totals {
            subtotal: total,
            total,
            ..Totals::default()
        },
        tax_included: false,
        least_charge: 0,
        received: Some(total),
        payment_intents: (0..2)
            .map(|_| PaymentIntentId::new(unique("fpi")).unwrap())
            .collect(),
        payments: BTreeMap::new(),
        subscription_id: None,
        invoice_id: None,
        lines: skus.iter().map(line).collect(),
        checkout_sessions: BTreeSet::new(),
        fulfilled_elsewhere: false,
        details: Details::default(),
    }
}

/// A stored event.
async fn recorded(on: &impl On) -> StoredEvent {
    let event = event();
    assert_eq!(on.record(&event).await, Recorded::First);
    event
}

const POLICY: Policy = Policy {
    restock: RestockPolicy::Any,
    ..kit::drive::POLICY
};

async fn decided(on: &impl On, event: &StoredEvent, sale: &Sale) -> Commit {
    decided_at(on, event, sale, now()).await
}

/// The decision about a completed sale, on the rows behind this port.
async fn decided_at(on: &impl On, event: &StoredEvent, sale: &Sale, at: Timestamp) -> Commit {
    let change = Change::Sale {
        order_id: sale.order_id.clone(),
        completed: true,
    };
    let mut known = Known::default();
    let answer = Answer::Sale(Box::new(sale.clone()));
    known.add_answer(Reference::Sale(sale.order_id.clone()), at, Ok(answer));
    loop {
        let case = Case {
            event,
            scope: &domain::values::scope::Scope::UNSTATED,
            stamp: None,
            known: &known,
            policy: &POLICY,
            provider: ProviderPolicies::OURS,
            stated_at: event.stated_at(),
            now: at,
        };
        match fulfillment::decide(&case, &change) {
            Ok(Decision::Write(commit)) => return *commit,
            Err(Need::Rows(read_set)) => {
                let rows = on.read(&read_set).await;
                known.add_rows(*read_set, rows);
            }
            other => panic!("{other:?}"),
        }
    }
}

fn order_of(commit: &Commit) -> Order {
    commit.order.clone().unwrap()
}

/// The stock levels of these SKUs, with an order's movement of each.
async fn shelves_of(on: &impl On, commit: &Commit, skus: &[Sku]) -> Vec<StockLevel> {
    let stock_levels = Some((order_of(commit).order_id, skus.to_vec()));
    on.read(&ReadSet {
        stock_levels,
        ..ReadSet::default()
    })
    .await
    .stock_levels
}

/// The state of an event after its commit.
fn ended(committed: Committed) -> EventState {
    match committed {
        Committed::Now => EventState::Committed,
        Committed::Raced => Stored,
    }
}

async fn state_of(on: &impl On, event: &StoredEvent) -> EventState {
    on.event(&event.event_id).await.unwrap().state
}

async fn an_event_is_stored_once_and_comes_back_as_it_was(on: &impl On) {
    let event = event();
    assert_eq!(on.event(&event.event_id).await, None);
    assert_eq!(on.record(&event).await, Recorded::First);
    assert_eq!(on.record(&event).await, Recorded::Again(Stored));
    assert_eq!(on.event(&event.event_id).await, Some(event.clone()));
    // Bytes that are no text, and nothing optional.
    let bare = StoredEvent {
        event_id: EventId::new(unique("fevt")).unwrap(),
        body: vec![0, 159, 146, 150, 255],
        event_type: None,
        occurred_at: None,
        state: Unreadable,
        reason: Some("the body is not a JSON object".into()),
        class: Some(Class::Unreadable),
        notes: Notes::default().with(by_hand("by hand")),
        ..event
    };
    assert_eq!(on.record(&bare).await, Recorded::First);
    assert_eq!(on.event(&bare.event_id).await, Some(bare));
}

async fn of_many_at_once_exactly_one_is_the_first(on: &impl On) {
    let event = event();
    let recorded = join_all((0..64).map(|_| on.store().record(&event))).await;
    let again = Ok(Recorded::Again(Stored));
    assert_eq!(count(&recorded, &Ok(Recorded::First)), 1);
    assert_eq!(count(&recorded, &again), 63);
}

async fn another_body_under_the_same_id_changes_nothing(on: &impl On) {
    let first = recorded(on).await;
    let other = StoredEvent {
        body: b"{}".to_vec(),
        fingerprint: fingerprint(b"{}"),
        ..first.clone()
    };
    let there = Recorded::OtherBody {
        state: Stored,
        body: first.body.clone(),
    };
    assert_eq!(on.record(&other).await, there);
    assert_eq!(on.event(&first.event_id).await, Some(first));
}

async fn an_event_ends_once(on: &impl On) {
    let (processed, parked) = (event(), event());
    let park = park("doubtful");
    for event in [&processed, &parked] {
        on.record(event).await;
    }
    let (one, two) = (&processed.event_id, &parked.event_id);
    on.settle(one, &Settlement::Processed, now()).await;
    on.settle(one, &park, now()).await;
    on.settle(two, &park, now()).await;
    on.settle(two, &Settlement::Processed, now()).await;
    let ended = StoredEvent {
        state: Processed,
        ..processed
    };
    assert_eq!(on.event(&ended.event_id).await, Some(ended.clone()));
    assert_eq!(on.record(&ended).await, Recorded::Again(Processed));
    let ended = StoredEvent {
        state: Parked,
        reason: Some("doubtful".into()),
        class: Some(Class::NotComplete),
        ..parked
    };
    assert_eq!(on.event(&ended.event_id).await, Some(ended));
    // The end of a missing row creates nothing.
    let nobody = EventId::new(unique("fevt")).unwrap();
    on.settle(&nobody, &Settlement::Processed, now()).await;
    assert_eq!(on.event(&nobody).await, None);
}

#[tokio::test]
async fn only_what_has_ended_is_forgotten() {
    let stack = Stack::named().unwrap();
    let events = stack.tables().await.store;
    let of =
        async |event: &StoredEvent| kit::stack::expires_at(&stack, event.event_id.as_str()).await;
    let ninety_days = 90 * 24 * 3600;
    let [processed, parked, unhandled] =
        [Stored, Stored, Unhandled].map(|state| StoredEvent { state, ..event() });
    for event in [&processed, &parked, &unhandled] {
        events.record(event).await.unwrap();
    }
    assert_eq!((of(&processed).await, of(&parked).await), (None, None));
    assert_eq!(of(&unhandled).await, Some(now().as_second() + ninety_days));
    for (event, end) in [
        (&parked, park("doubtful")),
        (&processed, Settlement::Processed),
    ] {
        let settled = events.settle(&event.event_id, &end, later()).await;
        assert_eq!(settled, Ok(Changed::Now));
    }
    assert_eq!(of(&parked).await, None, "a person has still to decide");
    let since_the_end = later().as_second() + ninety_days;
    assert_eq!(of(&processed).await, Some(since_the_end));
}

async fn a_failure_is_noted_and_counted_on_pending_events_only(on: &impl On) {
    let event = recorded(on).await;
    // By as many messages as there are: each fails for the first time, and it is the second failure.
    for (class, reason) in [
        (Class::Contended, "a row of its"),
        (Class::Away, "Flex is away: 503"),
    ] {
        on.note_failure(&event.event_id, class, reason).await;
    }
    let noted = StoredEvent {
        reason: Some("Flex is away: 503".into()),
        class: Some(Class::Away),
        attempts: 2,
        ..event
    };
    assert_eq!(on.event(&noted.event_id).await, Some(noted.clone()));
    on.settle(&noted.event_id, &Settlement::Processed, now())
        .await;
    on.note_failure(&noted.event_id, Class::Fault, "too late")
        .await;
    let ended = StoredEvent {
        state: Processed,
        reason: None,
        class: None,
        ..noted
    };
    assert_eq!(on.event(&ended.event_id).await, Some(ended));
}

async fn a_commit_writes_all_of_it(on: &impl On) {
    let (event, skus) = (recorded(on).await, skus(2));
    on.stock_levels().put_counter(&skus[0], 5).await;
    on.stock_levels().put_counter(&skus[1], 0).await;
    let commit = decided(on, &event, &sale(&skus)).await;
    assert_eq!(on.commit(&commit).await, Committed::Now);

    let order = order_of(&commit);
    assert_eq!(on.order(&order.order_id).await, Some(order.clone()));
    assert_eq!(on.read(&rows::read_set(&commit)).await, rows::rows(&commit));
    assert_eq!(
        (commit.links.len(), commit.receipts.len()),
        (2, 1),
        "both payments, one receipt"
    );
    let receipt = &commit.receipts[0];
    assert_eq!(on.receipt(&receipt.receipt_id).await, Some(receipt.clone()));
    let event = on.event(&event.event_id).await.unwrap();
    assert_eq!(event.state, EventState::Committed);
    assert_eq!(event.outbox, commit.outbox());
    let levels = shelves_of(on, &commit, &skus).await;
    let on_hand: Vec<_> = levels.iter().map(|level| level.on_hand).collect();
    assert_eq!(on_hand, [Some(4), Some(0)]);
    let moved = commit.deductions.iter().map(|take| &take.movement);
    let moved: Vec<_> = moved.collect();
    for level in &levels {
        assert!(moved.contains(&level.moved.as_ref().unwrap()), "{level:?}");
    }
    // A committed event is not parked any more, and is still to be marked.
    for (end, settled) in [
        (park("too late"), Changed::Raced),
        (Settlement::Processed, Changed::Now),
    ] {
        assert_eq!(on.settle(&event.event_id, &end, now()).await, settled);
    }
}

async fn every_row_comes_back_as_it_was(on: &impl On) {
    let full = rows::full(recorded(on).await.event_id);
    assert_eq!(on.commit(&full).await, Committed::Now);
    assert_eq!(on.read(&rows::read_set(&full)).await, rows::rows(&full));
    // A value that the next version lacks is gone.
    let bare = rows::bare(&full, &recorded(on).await.event_id);
    assert_eq!(on.commit(&bare).await, Committed::Now);
    assert_eq!(on.read(&rows::read_set(&bare)).await, rows::rows(&bare));
    // Some at a time, in whichever order.
    let mut some = ReadSet {
        order: None,
        links: Vec::new(),
        contact: None,
        ..rows::read_set(&full)
    };
    some.entitlements.reverse();
    let mut expected = Snapshot {
        order: None,
        links: BTreeMap::new(),
        contact: None,
        ..rows::rows(&bare)
    };
    expected.entitlements.reverse();
    assert_eq!(on.read(&some).await, expected);
}

async fn our_times_are_kept_in_whole_seconds(on: &impl On) {
    let precise = now() + Duration::from_millis(999);
    let event = StoredEvent {
        occurred_at: Some(precise),
        received_at: precise,
        ..event()
    };
    on.record(&event).await;
    let facts = on.event(&event.event_id).await.unwrap();
    // The provider's time orders facts, so no part of it is lost.
    let expected = (Some(precise), now());
    assert_eq!((facts.occurred_at, facts.received_at), expected);

    let sale = sale(&[]);
    let commit = decided_at(on, &event, &sale, precise).await;
    assert_eq!(on.commit(&commit).await, Committed::Now);
    let order = on.order(&sale.order_id).await.unwrap();
    assert_eq!((order.placed_at, order.fulfilled_at), (now(), Some(now())));
    let id = &commit.receipts[0].receipt_id;
    let receipt = on.receipt(id).await.unwrap();
    assert_eq!(receipt.created_at, now());
    on.lease_until(&receipt, "a", precise).await;
    let state = leased_by("a", now());
    assert_eq!(on.receipt(id).await.unwrap().state, state);
}

async fn every_kind_of_row_is_guarded_by_its_version(on: &impl On) {
    let all = rows::full(event().event_id);
    for (name, only) in rows::KINDS {
        // Skipped, first, again, skipped, next, again.
        for (version, expected) in [
            (2, Committed::Raced),
            (1, Committed::Now),
            (1, Committed::Raced),
            (3, Committed::Raced),
            (2, Committed::Now),
            (2, Committed::Raced),
        ] {
            let event = recorded(on).await;
            let commit = only(rows::of_version(&all, &event.event_id, version));
            let what = format!("{name}, version {version}");
            assert_eq!(on.commit(&commit).await, expected, "{what}");
            assert_eq!(state_of(on, &event).await, ended(expected), "{what}");
        }
        let last = only(rows::of_version(&all, &all.event_id, 2));
        let read = on.read(&rows::read_set(&last)).await;
        assert_eq!(read, rows::rows(&last), "{name}");
    }
    // One that does not hold refuses all.
    let fresh = rows::full(recorded(on).await.event_id);
    let spoilt = Commit {
        contact: all.contact,
        ..fresh.clone()
    };
    assert_eq!(on.commit(&spoilt).await, Committed::Raced);
    assert_eq!(on.read(&rows::read_set(&fresh)).await, Snapshot::default());
    assert_eq!(on.commit(&fresh).await, Committed::Now);
}

async fn what_is_not_wanted_or_not_there_is_not_read(on: &impl On) {
    assert_eq!(on.read(&ReadSet::default()).await, Snapshot::default());
    let all = rows::full(event().event_id);
    let nowhere = ReadSet {
        stock_levels: Some((order_of(&all).order_id, skus(1))),
        ..rows::read_set(&all)
    };
    let sku = nowhere.stock_levels.clone().unwrap().1.remove(0);
    let stock_levels = vec![StockLevel {
        sku,
        on_hand: None,
        untracked: false,
        is_reported: false,
        moved: None,
    }];
    let expected = Snapshot {
        stock_levels,
        ..Snapshot::default()
    };
    assert_eq!(on.read(&nowhere).await, expected);
}

async fn a_row_that_is_wanted_twice_is_read_once(on: &impl On) {
    let full = rows::full(recorded(on).await.event_id);
    on.commit(&full).await;
    let mut twice = rows::read_set(&full);
    twice.links.extend(twice.links.clone());
    assert_eq!(on.read(&twice).await, rows::rows(&full));
}

async fn a_commit_that_does_not_end_its_event_leaves_it(on: &impl On) {
    let event = recorded(on).await;
    on.note_failure(&event.event_id, Class::TooEarly, "perhaps too early")
        .await;
    let noted = on.store().event(&event.event_id).await;
    let first = Commit {
        ends: false,
        ..rows::full(event.event_id.clone())
    };
    assert_eq!(on.commit(&first).await, Committed::Now);
    assert_eq!(on.read(&rows::read_set(&first)).await, rows::rows(&first));
    assert_eq!(on.store().event(&event.event_id).await, noted);
    // Its order has come. Then it has ended, and writes no more rows.
    let second = rows::of_version(&first, &event.event_id, 2);
    let second = Commit {
        ends: true,
        ..second
    };
    assert_eq!(on.commit(&second).await, Committed::Now);
    assert_eq!(state_of(on, &event).await, EventState::Committed);
    for ends in [true, false] {
        let third = Commit {
            ends,
            ..rows::of_version(&first, &event.event_id, 3)
        };
        assert_eq!(on.commit(&third).await, Committed::Raced);
    }
    let nobody = Commit {
        ends: false,
        ..rows::full(EventId::new(unique("fevt")).unwrap())
    };
    assert_eq!(on.commit(&nobody).await, Committed::Raced);
}

async fn several_receipts_are_owed_together(on: &impl On) {
    let event = recorded(on).await;
    let receipts = rows::receipts(&OrderId::new(unique("fcs")).unwrap());
    let commit = Commit {
        receipts: receipts.clone(),
        ..Commit::of(event.event_id.clone())
    };
    assert_eq!(on.commit(&commit).await, Committed::Now);
    let ended = StoredEvent {
        state: EventState::Committed,
        outbox: commit.outbox(),
        ..event
    };
    assert_eq!(on.event(&ended.event_id).await, Some(ended));
    for (n, receipt) in receipts.into_iter().enumerate() {
        let id = receipt.receipt_id.clone();
        assert_eq!(on.receipt(&id).await, Some(receipt.clone()));
        // Its content stays when its state changes.
        let owner = format!("owner-{n}");
        assert_eq!(on.lease(&receipt, &owner).await, Changed::Now);
        let state = sent_as("ses-1", now());
        assert_eq!(on.mark(&id, &owner, &state).await, Changed::Now);
        let sent = Receipt {
            version: 3,
            attempts: 1,
            state,
            ..receipt
        };
        assert_eq!(on.receipt(&id).await, Some(sent));
    }
}

async fn a_receipt_that_is_there_already_refuses_all(on: &impl On) {
    let (first, second) = (recorded(on).await, recorded(on).await);
    let receipts = rows::receipts(&OrderId::new(unique("fcs")).unwrap());
    let one = Commit {
        receipts: receipts[..1].to_vec(),
        ..Commit::of(first.event_id)
    };
    assert_eq!(on.commit(&one).await, Committed::Now);
    let both = Commit {
        receipts: receipts[..2].to_vec(),
        ..Commit::of(second.event_id.clone())
    };
    assert_eq!(on.commit(&both).await, Committed::Raced);
    assert_eq!(on.receipt(&receipts[1].receipt_id).await, None);
    assert_eq!(state_of(on, &second).await, Stored);
}

async fn of_many_commits_of_one_order_exactly_one_is_done(on: &impl On) {
    let skus = skus(1);
    on.stock_levels().put_counter(&skus[0], 100).await;
    let sale = sale(&skus);
    let mut commits = Vec::new();
    for _ in 0..16 {
        let twin = recorded(on).await;
        commits.push(decided(on, &twin, &sale).await);
    }
    let done = join_all(commits.iter().map(|commit| until_answered(on, commit))).await;
    assert_eq!(count(&done, &Committed::Now), 1);
    assert_eq!(on.stock_levels().on_hand(&skus[0]).await, Some(99));
}

/// Conflicts under so much contention may outlast the adapter's patience; the queue would bring the job again.
async fn until_answered(on: &impl On, commit: &Commit) -> Committed {
    for _ in 0..50 {
        if let Ok(committed) = on.store().commit(commit).await {
            return committed;
        }
    }
    panic!("no answer in fifty tries")
}

async fn a_commit_on_a_changed_world_writes_nothing(on: &impl On) {
    let (event, skus) = (recorded(on).await, skus(2));
    on.stock(&skus[..1], 1).await;
    on.stock(&skus[1..], 0).await;
    let commit = decided(on, &event, &sale(&skus)).await;
    // The shelf that was short has been filled: short by one is no longer true.
    on.stock(&skus[1..], 7).await;
    assert_eq!(on.commit(&commit).await, Committed::Raced);
    // The shelf that had enough has been emptied.
    on.stock(&skus, 0).await;
    assert_eq!(on.commit(&commit).await, Committed::Raced);
    // The event has been parked.
    on.stock(&skus[..1], 1).await;
    on.settle(&event.event_id, &park("meanwhile"), now()).await;
    assert_eq!(on.commit(&commit).await, Committed::Raced);

    assert_eq!(on.order(&order_of(&commit).order_id).await, None);
    assert_eq!(on.read(&rows::read_set(&commit)).await, Snapshot::default());
    assert_eq!(on.receipt(&commit.receipts[0].receipt_id).await, None);
    let stock_levels = shelves_of(on, &commit, &skus).await;
    assert!(stock_levels.iter().all(|level| level.moved.is_none()));
}

async fn an_order_whose_customer_is_erased_meanwhile_is_decided_again(on: &impl On) {
    let event = recorded(on).await;
    let customer_id = CustomerId::new(unique("fcus")).unwrap();
    let mut sale = sale(&[]);
    sale.customer.customer_id = Some(customer_id.clone());
    let commit = decided(on, &event, &sale).await;
    assert_eq!(commit.unless_erased.as_ref(), Some(&customer_id));
    // The erasure has read the orders, and this one is not among them.
    let nobody = Contact::new(customer_id);
    let erased = on.store().erase_contact(&nobody).await;
    assert_eq!(erased, Ok(Changed::Now));
    assert_eq!(on.commit(&commit).await, Committed::Raced);
    assert_eq!(on.order(&sale.order_id).await, None);
    let again = decided(on, &event, &sale).await;
    assert!(order_of(&again).is_erased && again.unless_erased.is_none());
    assert_eq!(on.commit(&again).await, Committed::Now);
}

async fn the_last_pieces_go_to_whoever_is_first_and_never_below_zero(on: &impl On) {
    let skus = skus(1);
    on.stock_levels().put_counter(&skus[0], 5).await;
    let buy = async || {
        let event = recorded(on).await;
        let sale = sale(&skus);
        loop {
            let commit = decided(on, &event, &sale).await;
            if until_answered(on, &commit).await == Committed::Now {
                return commit.deductions[0].movement.clone();
            }
        }
    };
    let movements = join_all((0..12).map(|_| buy())).await;
    let sum = |of: fn(&Movement) -> i64| movements.iter().map(of).sum::<i64>();
    assert_eq!(sum(|movement| movement.deducted), 5);
    assert_eq!(sum(Movement::short), 7);
    assert_eq!(on.stock_levels().on_hand(&skus[0]).await, Some(0));
}

async fn a_movement_is_never_made_twice(on: &impl On) {
    let (event, skus) = (recorded(on).await, skus(1));
    on.stock_levels().put_counter(&skus[0], 5).await;
    let sale = sale(&skus);
    let commit = decided(on, &event, &sale).await;
    assert_eq!(on.commit(&commit).await, Committed::Now);
    assert_eq!(on.commit(&commit).await, Committed::Raced);
    // The event, the order and the receipt would each have refused that. A part of a long cart comes without them, for
    // an event that may still move goods. In a part, only the movement shows that it is made.
    let twin = recorded(on).await;
    let part = Commit {
        deductions: commit.deductions.clone(),
        ends: false,
        ..Commit::of(twin.event_id.clone())
    };
    assert_eq!(on.commit(&part).await, Committed::Raced);
    assert_eq!(state_of(on, &twin).await, Stored);
    assert_eq!(on.stock_levels().on_hand(&skus[0]).await, Some(4));
    let levels = shelves_of(on, &commit, &skus).await;
    let moved = levels[0].moved.as_ref().map(|movement| movement.deducted);
    assert_eq!(moved, Some(1), "the movement is read back");
}

async fn reserved_units_are_sold_or_go_back_once(on: &impl On) {
    let (event, skus) = (recorded(on).await, skus(1));
    on.stock_levels().put_counter(&skus[0], 5).await;
    let commit = decided(on, &event, &sale(&skus)).await;
    let sold = commit.deductions[0].movement.clone();
    let reserved = |units| Movement {
        quantity: units,
        deducted: units,
        is_reserved: true,
        ..sold.clone()
    };
    let [none, two, three] = [0, 2, 3].map(reserved);
    for (seen, movement, committed, on_hand) in [
        (None, &two, Committed::Now, 3),
        (None, &two, Committed::Raced, 3),
        (Some(&two), &three, Committed::Now, 2),
        (Some(&two), &none, Committed::Raced, 2),
        (Some(&three), &none, Committed::Now, 5),
        (Some(&three), &none, Committed::Raced, 5),
        (Some(&none), &two, Committed::Now, 3),
        (Some(&two), &sold, Committed::Now, 4),
        (Some(&two), &none, Committed::Raced, 4),
        (Some(&sold), &none, Committed::Now, 5),
        (Some(&sold), &none, Committed::Raced, 5),
    ] {
        let deduction = Deduction {
            movement: movement.clone(),
            seen: seen.cloned(),
            on_hand: 5,
        };
        let take = Commit {
            deductions: vec![deduction],
            ..Commit::of(recorded(on).await.event_id)
        };
        assert_eq!(on.commit(&take).await, committed, "{take:?}");
        assert_eq!(on.stock_levels().on_hand(&skus[0]).await, Some(on_hand));
    }
    let levels = shelves_of(on, &commit, &skus).await;
    assert_eq!(levels[0].moved, Some(none));
}

async fn no_part_of_a_big_commit_is_written_once_its_order_has_changed(on: &impl On) {
    let (event, skus) = (recorded(on).await, skus(60));
    on.stock(&skus, 5).await;
    let commit = decided(on, &event, &sale(&skus)).await;
    let meanwhile = Commit {
        order: commit.order.clone(),
        ..Commit::of(recorded(on).await.event_id)
    };
    assert_eq!(on.commit(&meanwhile).await, Committed::Now);
    assert_eq!(on.commit(&commit).await, Committed::Raced);
    for sku in &skus {
        assert_eq!(on.stock_levels().on_hand(sku).await, Some(5));
    }
}

async fn more_mirrored_rows_than_a_transaction_holds_are_committed_whole(on: &impl On) {
    let row = |_| {
        let id = PaymentMethodId::new(unique("pm")).unwrap();
        let row = PaymentMethod::new(id, "flex".parse().unwrap());
        Resource::PaymentMethod(Box::new(row)).next()
    };
    let commit = Commit {
        resources: (0..250).map(row).collect(),
        ..Commit::of(recorded(on).await.event_id)
    };
    assert_eq!(on.commit(&commit).await, Committed::Now);
    let rows = commit.resources.iter().map(|row| (row.id(), row.clone()));
    let rows: BTreeMap<_, _> = rows.collect();
    let read_set = ReadSet {
        resources: rows.keys().cloned().collect(),
        ..ReadSet::default()
    };
    assert_eq!(on.read(&read_set).await.resources, rows);
}

/// A sale of two pieces of one SKU, of which there were five; and what puts some of them back.
async fn sold(on: &impl On) -> (Sku, Commit) {
    let (event, sku) = (recorded(on).await, skus(1).remove(0));
    on.stock_levels().put_counter(&sku, 5).await;
    let mut sale = sale(std::slice::from_ref(&sku));
    sale.lines[0].quantity = 2;
    let commit = decided(on, &event, &sale).await;
    assert_eq!(on.commit(&commit).await, Committed::Now);
    (sku, commit)
}

async fn restocked(on: &impl On, back: Restock) -> Committed {
    let event = recorded(on).await;
    let commit = Commit {
        restocks: vec![back],
        ..Commit::of(event.event_id.clone())
    };
    let committed = on.commit(&commit).await;
    assert_eq!(state_of(on, &event).await, ended(committed));
    committed
}

async fn goods_go_back_once_and_never_more_than_were_taken(on: &impl On) {
    let (sku, commit) = sold(on).await;
    let order_id = order_of(&commit).order_id;
    let stock_level = async || {
        let mut levels = shelves_of(on, &commit, std::slice::from_ref(&sku)).await;
        let level = levels.remove(0);
        (level.on_hand.unwrap(), level.moved.unwrap())
    };
    let (on_hand, moved) = stock_level().await;
    assert_eq!((on_hand, moved.deducted, moved.restocked), (3, 2, 0));
    for (seen, pieces, expected) in [
        (1, 1, Committed::Raced),
        (0, 3, Committed::Raced),
        (0, 1, Committed::Now),
        (0, 1, Committed::Raced),
        (1, 2, Committed::Raced),
        (1, 1, Committed::Now),
        (1, 1, Committed::Raced),
        (2, 1, Committed::Raced),
    ] {
        let back = put_back(&sku, &order_id, seen, pieces);
        assert_eq!(restocked(on, back).await, expected, "{pieces} after {seen}");
    }
    let (on_hand, back) = stock_level().await;
    assert_eq!(on_hand, 5);
    let expected = Movement {
        restocked: 2,
        restocked_at: Some(restocked_at()),
        restocked_earlier: 1,
        ..moved
    };
    assert_eq!(back, expected);
}

/// The open shortfall of a SKU, once the index shows it as often as expected.
async fn open_shortfalls(on: &impl On, sku: &Sku, expected: usize) -> Vec<Movement> {
    let found = async || {
        let mut open = on.store().open_shortfalls(100_000).await.unwrap();
        open.retain(|movement| movement.sku == *sku);
        Ok((open.len() == expected).then_some(open))
    };
    until("the index follows", Duration::from_secs(20), found)
        .await
        .unwrap()
}

async fn a_shortfall_is_filled_once_and_then_no_longer_open(on: &impl On) {
    let (event, sku) = (recorded(on).await, skus(1).remove(0));
    on.stock_levels().put_counter(&sku, 1).await;
    let mut sale = sale(std::slice::from_ref(&sku));
    sale.lines[0].quantity = 3;
    let commit = decided(on, &event, &sale).await;
    assert_eq!(on.commit(&commit).await, Committed::Now);
    let order_id = order_of(&commit).order_id;
    let counters = on.store().counters(std::slice::from_ref(&sku)).await;
    assert_eq!(counters, Ok(BTreeMap::from([(sku.clone(), 0)])));
    for (arrived, left, still_open) in [(1, 1, 1), (5, 0, 0)] {
        let open = open_shortfalls(on, &sku, 1).await;
        let order = on.order(&order_id).await.unwrap();
        let orders = BTreeMap::from([(order_id.clone(), order)]);
        let counters = BTreeMap::from([(sku.clone(), arrived)]);
        let fills = fills(&open, &orders, &counters, RestockPolicy::Any, now());
        let [fill] = &fills[..] else {
            panic!("{fills:?}")
        };
        // Too few units, then enough; then everything has changed.
        on.stock_levels().put_counter(&sku, 0).await;
        assert_eq!(on.store().fill(fill).await, Ok(Changed::Raced));
        on.stock_levels().put_counter(&sku, arrived).await;
        assert_eq!(on.store().fill(fill).await, Ok(Changed::Now));
        assert_eq!(on.store().fill(fill).await, Ok(Changed::Raced));
        let order = on.order(&order_id).await.unwrap();
        assert_eq!(order, fill.order);
        assert_eq!(order.shortfalls[0].missing, left);
        let on_hand = on.stock_levels().on_hand(&sku).await;
        assert_eq!(on_hand, Some(arrived - fill.units));
        open_shortfalls(on, &sku, still_open).await;
    }
}

async fn nothing_goes_back_where_nothing_was_taken_or_counted(on: &impl On) {
    let (sku, commit) = sold(on).await;
    let order_id = order_of(&commit).order_id;
    let other = OrderId::new(unique("fcs")).unwrap();
    let back = async |order_id| restocked(on, put_back(&sku, order_id, 0, 1)).await;
    assert_eq!(back(&other).await, Committed::Raced);
    assert_eq!(on.stock_levels().on_hand(&sku).await, Some(3));
    // The merchant no longer counts it.
    on.stock_levels().remove_counter(&sku).await;
    assert_eq!(back(&order_id).await, Committed::Raced);
    let stock_level = shelves_of(on, &commit, &[sku]).await.remove(0);
    assert_eq!(stock_level.on_hand, None);
    assert_eq!(stock_level.moved.unwrap().restocked, 0);
}

async fn a_cart_too_big_for_one_transaction_is_committed_whole(on: &impl On) {
    let (event, skus) = (recorded(on).await, skus(120));
    on.stock(&skus, 3).await;
    let commit = decided(on, &event, &sale(&skus)).await;
    assert_eq!(on.commit(&commit).await, Committed::Now);
    let order = order_of(&commit);
    assert_eq!(on.order(&order.order_id).await, Some(order.clone()));
    let stock_levels = shelves_of(on, &commit, &skus).await;
    assert!(
        stock_levels
            .iter()
            .all(|level| level.on_hand == Some(2) && level.moved.is_some())
    );
    assert_eq!(stock_levels.len(), 120);

    // And all of it goes back.
    let order = Order {
        version: 2,
        ..order
    };
    let refund = Commit {
        order: Some(order.clone()),
        ..all_back(&skus, &order.order_id, recorded(on).await.event_id)
    };
    assert_eq!(on.commit(&refund).await, Committed::Now);
    assert_eq!(on.order(&order.order_id).await, Some(order));
    let back = |stock_level: &StockLevel| {
        stock_level.on_hand == Some(3) && stock_level.moved.as_ref().unwrap().restocked == 1
    };
    assert!(shelves_of(on, &commit, &skus).await.iter().all(back));
}

async fn a_cart_too_big_for_one_transaction_moves_nothing_for_an_event_that_has_ended(
    on: &impl On,
) {
    let (event, skus) = (recorded(on).await, skus(120));
    on.stock(&skus, 3).await;
    let sale = decided(on, &event, &sale(&skus)).await;
    let stock_levels = async || -> BTreeSet<_> {
        let levels = shelves_of(on, &sale, &skus).await.into_iter();
        let restocked = |moved: Movement| moved.restocked;
        levels
            .map(|level| (level.on_hand, level.moved.map(restocked)))
            .collect()
    };
    // Between reading and writing, an operator drops the event.
    let dropped = on.drop_event(&event.event_id, Stored, now()).await;
    assert_eq!(dropped, Changed::Now);
    assert_eq!(on.commit(&sale).await, Committed::Raced);
    assert_eq!(stock_levels().await, BTreeSet::from([(Some(3), None)]));

    // The same of what goes back, and of an event that is parked.
    let sale = Commit {
        event_id: recorded(on).await.event_id,
        ..sale.clone()
    };
    assert_eq!(on.commit(&sale).await, Committed::Now);
    let refund = recorded(on).await.event_id;
    let back = all_back(&skus, &order_of(&sale).order_id, refund.clone());
    on.settle(&refund, &park("meanwhile"), now()).await;
    assert_eq!(on.commit(&back).await, Committed::Raced);
    assert_eq!(stock_levels().await, BTreeSet::from([(Some(2), Some(0))]));
}

async fn what_no_transaction_can_hold_is_refused_whole(on: &impl On) {
    let event = recorded(on).await;
    let full = Commit {
        receipts: Vec::new(),
        ..rows::full(event.event_id.clone())
    };
    let link = || Link {
        version: 1,
        ..Link::new(PaymentIntentId::new(unique("fpi")).unwrap())
    };
    let links = |count| Commit {
        links: (0..count).map(|_| link()).collect(),
        ..Commit::of(event.event_id.clone())
    };
    let of_lines = |bytes| {
        let mut order = order_of(&full);
        order.lines[0].description = "x".repeat(bytes);
        Commit {
            order: Some(order),
            ..full.clone()
        }
    };
    let twice = rows::receipts(&order_of(&full).order_id).swap_remove(0);
    let twice = Commit {
        receipts: vec![twice.clone(), twice],
        ..full.clone()
    };
    for (what, commit) in [
        ("an item twice", twice),
        ("a row of more than 400 KB", of_lines(410_000)),
    ] {
        let refused = on.store().commit(&commit).await;
        let Err(RetryableError::SetUp { service, .. }) = refused else {
            panic!("{what}: {refused:?}")
        };
        assert_eq!(service, "DynamoDB", "{what}");
    }
    // The event is one of the hundred.
    assert_matches!(
        on.store().commit(&links(100)).await,
        Err(RetryableError::Fault(_))
    );
    assert_eq!(on.read(&rows::read_set(&full)).await, Snapshot::default());
    assert_eq!(state_of(on, &event).await, Stored);

    let fits = Commit {
        ends: false,
        ..of_lines(380_000)
    };
    assert_eq!(on.commit(&fits).await, Committed::Now);
    assert_eq!(on.commit(&links(99)).await, Committed::Now);
}

fn put_back(sku: &Sku, order_id: &OrderId, seen: i64, pieces: i64) -> Restock {
    Restock {
        sku: sku.clone(),
        order_id: order_id.clone(),
        seen,
        pieces,
        at: restocked_at(),
    }
}

/// Puts one piece of each back.
fn all_back(skus: &[Sku], order_id: &OrderId, event_id: EventId) -> Commit {
    let restocks = skus.iter().map(|sku| put_back(sku, order_id, 0, 1));
    Commit {
        restocks: restocks.collect(),
        ..Commit::of(event_id)
    }
}

fn restocked_at() -> Timestamp {
    Timestamp::from_second(1_760_200_000).unwrap()
}

async fn mapping_rows_are_found(on: &impl On) {
    let product = || MappingKey::Product(ProductId::new(unique("fprod")).unwrap());
    let row = MappingRow::default();
    let grant = |days| Grant {
        name: ProductId::new("course").unwrap(),
        days,
    };
    let rows = Mapping::from([
        (
            MappingKey::Price(PriceId::new(unique("fprice")).unwrap()),
            MappingRow {
                maps_to: Some(Sku::new("Größe M").unwrap()),
                grants: Some(grant(None)),
                ..row.clone()
            },
        ),
        (
            product(),
            MappingRow {
                untracked: true,
                grants: Some(grant(Some(30))),
                ..row.clone()
            },
        ),
        (
            product(),
            MappingRow {
                is_not_understood: true,
                ..row
            },
        ),
    ]);
    for (key, row) in &rows {
        on.stock_levels().put_mapping(key, row).await;
    }
    let read_set = ReadSet {
        mapping: rows.keys().cloned().chain([product()]).collect(),
        ..ReadSet::default()
    };
    let expected = Snapshot {
        mapping: rows,
        ..Snapshot::default()
    };
    assert_eq!(on.read(&read_set).await, expected);
}

/// What is not counted: reported by the first commit, and by no other before the merchant acts.
async fn what_is_not_counted_is_reported_once(on: &impl On) {
    let skus = skus(1);
    let product = MappingKey::Product(ProductId::new(unique("fprod")).unwrap());
    let uncounted = vec![
        Uncounted::Sku(skus[0].clone()),
        Uncounted::Unmapped(product.clone()),
    ];
    let read_set = ReadSet {
        mapping: vec![product.clone()],
        stock_levels: Some((OrderId::new("fcs_1").unwrap(), skus.clone())),
        ..ReadSet::default()
    };
    let report = async || Commit {
        uncounted: uncounted.clone(),
        ..Commit::of(recorded(on).await.event_id)
    };
    let are_reported = async || {
        let found = on.read(&read_set).await;
        let row = found.mapping.get(&product);
        let level = found.stock_levels[0].is_reported;
        (level, row.is_some_and(|row| row.is_reported))
    };
    assert_eq!(are_reported().await, (false, false));
    assert_eq!(on.commit(&report().await).await, Committed::Now);
    assert_eq!(are_reported().await, (true, true));
    assert_eq!(on.commit(&report().await).await, Committed::Raced);
    on.stock_levels().put_counter(&skus[0], 1).await;
    assert_eq!(on.commit(&report().await).await, Committed::Raced);
}

/// A committed receipt.
async fn committed(on: &impl On) -> Receipt {
    let event = recorded(on).await;
    let mut commit = decided(on, &event, &sale(&[])).await;
    assert_eq!(on.commit(&commit).await, Committed::Now);
    commit.receipts.remove(0)
}

fn owner(name: &str) -> OwnerToken {
    OwnerToken::new(name).unwrap()
}

fn later() -> Timestamp {
    Timestamp::from_second(now().as_second() + 60).unwrap()
}

async fn a_receipt_is_claimed_by_one(on: &impl On) {
    let seen = committed(on).await;
    let owners: Vec<String> = (0..20).map(|n| format!("owner-{n}")).collect();
    let claims = join_all(owners.iter().map(|owner| on.lease(&seen, owner))).await;
    assert_eq!(count(&claims, &Changed::Now), 1);
    let claimed = on.receipt(&seen.receipt_id).await.unwrap();
    assert_eq!((claimed.version, claimed.attempts), (2, 1));
    let winner = claims.iter().position(|claim| *claim == Changed::Now);
    let winner = &owners[winner.unwrap()];
    assert_eq!(claimed.state, leased_by(winner, later()));
    // A reader of the lease may take a new one: the rules decide whether the old one is over.
    assert_eq!(on.lease(&claimed, "next").await, Changed::Now);
    assert_eq!(on.lease(&claimed, "third").await, Changed::Raced);
}

async fn only_the_claimant_may_mark(on: &impl On) {
    let seen = committed(on).await;
    let id = &seen.receipt_id;
    let sent = sent_as("ses-1", now());
    assert_eq!(on.mark(id, "nobody", &sent).await, Changed::Raced);
    on.lease(&seen, "a").await;
    assert_eq!(on.mark(id, "b", &sent).await, Changed::Raced);
    let again = unsent_for("SES is away: Throttling");
    assert_eq!(on.mark(id, "a", &again).await, Changed::Now);
    let pending = on.receipt(id).await.unwrap();
    assert_eq!(pending.state, again);
    on.lease(&pending, "b").await;
    for (what, by, state, changed) in [
        ("its claim is given back", "a", &sent, Changed::Raced),
        ("it has the claim", "b", &sent, Changed::Now),
        ("sent is the end", "b", &again, Changed::Raced),
    ] {
        assert_eq!(on.mark(id, by, state).await, changed, "{what}");
    }
    let ended = on.receipt(id).await.unwrap();
    assert_eq!((ended.state, ended.attempts), (sent, 2));
}

async fn a_held_receipt_stays_held(on: &impl On) {
    let seen = committed(on).await;
    let id = &seen.receipt_id;
    on.lease(&seen, "a").await;
    assert_eq!(on.hold(&seen).await, Changed::Raced, "it has been claimed");
    let claimed = on.receipt(id).await.unwrap();
    assert_eq!(on.hold(&claimed).await, Changed::Now);
    let failed = failed_for("late");
    assert_eq!(on.mark(id, "a", &failed).await, Changed::Raced);
    assert_eq!(on.receipt(id).await.unwrap().state, ReceiptState::Held);
}

async fn a_withdrawn_receipt_says_why(on: &impl On) {
    let seen = committed(on).await;
    let id = &seen.receipt_id.clone();
    on.lease(&seen, "a").await;
    let state = withdrawn_for("the payment has been made since");
    assert_eq!(on.mark(id, "a", &state).await, Changed::Now);
    let withdrawn = Receipt {
        version: 3,
        attempts: 1,
        state,
        ..seen
    };
    assert_eq!(on.receipt(id).await, Some(withdrawn));
    let held = ReceiptState::Held;
    assert_eq!(on.mark(id, "a", &held).await, Changed::Raced);
}

/// A day to come on which no other test's mail is due.
fn day() -> Date {
    let days = Timestamp::now().as_nanosecond() % 2_000_000;
    jiff::civil::date(2100, 1, 1).saturating_add(i64::try_from(days).unwrap().days())
}

/// A notice that is due at that hour of the day, committed some seconds later than others.
fn notice(day: Date, hour: i8, seconds: u64) -> Receipt {
    let due_at = day
        .at(hour, 59, 59, 0)
        .to_zoned_datetime(jiff::tz::TimeZone::UTC)
        .unwrap()
        .timestamp();
    let subscription_id = SubscriptionId::new(unique("fsub")).unwrap();
    let kind = receipt::ReceiptKind::TrialEnds {
        subscription_id,
        ends_at: later(),
    };
    let order_id = OrderId::new("fcs_1").unwrap();
    Receipt::new(
        &order_id,
        kind,
        Some(due_at),
        now() + Duration::from_secs(seconds),
    )
    .unwrap()
}

async fn unsent(on: &impl On, receipts: &[Receipt]) {
    let event_id = recorded(on).await.event_id;
    let commit = Commit {
        receipts: receipts.to_vec(),
        ..Commit::of(event_id)
    };
    assert_eq!(on.commit(&commit).await, Committed::Now);
}

async fn what_is_due_is_told_by_its_day_until_somebody_takes_it_up(on: &impl On) {
    let day = day();
    let next = day.tomorrow().unwrap();
    let [late, early, first, at_midnight] = [
        notice(day, 23, 30),
        notice(day, 0, 20),
        notice(day, 12, 10),
        notice(next, 0, 0),
    ];
    let at_once = Receipt {
        due_at: None,
        ..notice(day, 12, 0)
    };
    let all = [&late, &early, &at_once, &at_midnight, &first].map(Clone::clone);
    unsent(on, &all).await;
    due_becomes(on, day, &[&first, &early, &late]).await;
    due_becomes(on, next, &[&at_midnight]).await;
    due_becomes(on, next.tomorrow().unwrap(), &[]).await;
    assert_eq!(on.receipt(&early.receipt_id).await, Some(early.clone()));

    on.lease(&early, "a").await;
    due_becomes(on, day, &[&first, &late]).await;
    // Given back, it is queued, and unsent like any other.
    let again = unsent_for("SES is away: Throttling");
    on.mark(&early.receipt_id, "a", &again).await;
    on.hold(&late).await;
    due_becomes(on, day, &[&first]).await;
}

async fn whose_a_subscription_is_can_be_found(on: &impl On) {
    let full = rows::full(recorded(on).await.event_id);
    let subscription = full.subscription.clone().unwrap();
    let (customer_id, id) = (&subscription.customer_id, &subscription.subscription_id);
    let rows = async |customer_id| {
        let subscription = on.store().subscription(customer_id, id).await.unwrap();
        (subscription, on.store().contact(customer_id).await.unwrap())
    };
    assert_eq!(on.store().customer_of(id).await, Ok(None));
    assert_eq!(rows(customer_id).await, (None, None));
    on.commit(&full).await;
    let find = async || Ok(on.store().customer_of(id).await.unwrap());
    let found = until("the index knows", Duration::from_secs(10), find)
        .await
        .unwrap();
    assert_eq!(found, *customer_id);
    let expected = (full.subscription, full.contact);
    assert_eq!(rows(customer_id).await, expected);
    let stranger = CustomerId::new(unique("fcus")).unwrap();
    assert_eq!(rows(&stranger).await, (None, None));
}

/// The attributes that other systems read in the tables.
#[tokio::test]
async fn items_say_what_their_readers_need() {
    let stack = Stack::named().unwrap();
    let on = stack.tables().await;
    let full = Commit {
        receipts: vec![notice(jiff::civil::date(2099, 12, 31), 1, 0)],
        ..rows::full(recorded(&on).await.event_id)
    };
    assert_eq!(on.commit(&full).await, Committed::Now);
    let text = |text: &str| AttributeValue::S(text.to_owned());
    let number = |number: i64| AttributeValue::N(number.to_string());
    let client = aws_sdk_dynamodb::Client::new(&stack.config().await);
    let read = async |table: &str, key: &[(&str, &str)]| {
        let get = client.get_item().table_name(table).consistent_read(true);
        let get = key
            .iter()
            .fold(get, |get, (name, value)| get.key(*name, text(value)));
        get.send().await.unwrap().item.unwrap()
    };

    let order = order_of(&full);
    let key = [("order_id", order.order_id.as_str())];
    let item = read(&stack.tables.orders, &key).await;
    assert_eq!(item["state"], text("partly_paid"));
    assert_eq!(item["disputed"], AttributeValue::Bool(true));

    let row = &full.entitlements[0];
    let entry = format!("product#{}", row.product_id);
    let key = [
        ("customer_id", row.customer_id.as_str()),
        ("entry", entry.as_str()),
    ];
    let item = read(&stack.tables.entitlements, &key).await;
    assert_eq!(item["access_until"], number(later().as_second()));
    assert_eq!(item["reason"], text("cancels_at_period_end"));
    assert_eq!(item["reason_text"], text(&row.reason_text));
    assert_eq!(item["granted_by"], text(row.granted_by.as_str()));
    assert!(
        !item.contains_key("subscription_id"),
        "or it would be in the subscriptions' index"
    );
    let contact = read(&stack.tables.entitlements, &[key[0], ("entry", "contact")]).await;
    assert!(!contact.contains_key("subscription_id"));
    let entry = format!("subscription#{}", row.granted_by);
    let item = read(&stack.tables.entitlements, &[key[0], ("entry", &entry)]).await;
    assert_eq!(item["subscription_id"], text(row.granted_by.as_str()));

    let link = format!("payment#{}", order.payment_intents[0]);
    let item = read(&stack.tables.links, &[("link", &link)]).await;
    assert_eq!(item["order_id"], text(order.order_id.as_str()));
    let link = format!("reference#{}", order.client_reference_id.unwrap());
    let item = read(&stack.tables.links, &[("link", &link)]).await;
    assert!(item.contains_key("order_ids"));

    let notice = &full.receipts[0];
    let id = notice.receipt_id.as_str();
    let pending = async || {
        let item = read(&stack.tables.receipts, &[("receipt_id", id)]).await;
        item.get("open").cloned()
    };
    assert_eq!(pending().await, Some(text("due#2099-12-31")));
    on.lease(notice, "a").await;
    assert_eq!(pending().await, Some(text("leased")));
    let again = ReceiptState::Unsent { reason: None };
    on.mark(&notice.receipt_id, "a", &again).await;
    assert_eq!(pending().await, Some(text("unsent")));
    let given_back = Receipt {
        version: 3,
        attempts: 1,
        ..notice.clone()
    };
    on.hold(&given_back).await;
    assert_eq!(pending().await, Some(text("held")));
}
