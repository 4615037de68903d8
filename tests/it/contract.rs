//! One suite for each port, run on the world in memory and on the real adapters alike: DynamoDB, SQS and SES of
//! the local stack. A fake that is not held to this may not be used.

use domain::{
    checkout::{Capture, Checkout, Customer, Eligibility, Kind, LineItem, Status, Totals},
    delivery::{Provider, fingerprint},
    event::{EventState, StoredEvent},
    fulfillment::{Commit, Decision, decide},
    ids::{DeliveryId, EventId, LineItemId, MessageId, OrderId, OwnerToken, ProductId, Sku},
    mode::Mode,
    money::Currency,
    ports::{Changed, Committed, Events, Ledger, Orders, Receipts, Recorded, Settlement},
    receipt::State,
    stock::{Mapping, Unnamed},
};
use futures_util::future::join_all;
use jiff::Timestamp;
use kit::{
    fakes::World,
    stack::{Ports, Stack},
};
use std::sync::atomic::{AtomicU64, Ordering};

/// Filling shelves, as a merchant does.
trait Shelves {
    async fn put_counter(&self, sku: &Sku, on_hand: i64);
    async fn put_mapping(&self, from: &Unnamed, sku: &Sku);
    async fn on_hand(&self, sku: &Sku) -> Option<i64>;
}

impl Shelves for World {
    async fn put_counter(&self, sku: &Sku, on_hand: i64) {
        self.kept().counters.insert(sku.clone(), on_hand);
    }
    async fn put_mapping(&self, from: &Unnamed, sku: &Sku) {
        self.kept().mapping.insert(from.clone(), sku.clone());
    }
    async fn on_hand(&self, sku: &Sku) -> Option<i64> {
        self.kept().counters.get(sku).copied()
    }
}

impl Shelves for kit::stack::StockTable {
    async fn put_counter(&self, sku: &Sku, on_hand: i64) {
        self.put_counter(sku, on_hand).await.unwrap();
    }
    async fn put_mapping(&self, from: &Unnamed, sku: &Sku) {
        self.put_mapping(from, sku).await.unwrap();
    }
    async fn on_hand(&self, sku: &Sku) -> Option<i64> {
        self.on_hand(sku).await.unwrap()
    }
}

/// Some ports, all on the same rows.
struct On<E, O, L, R, S> {
    events: E,
    orders: O,
    ledger: L,
    receipts: R,
    shelves: S,
}

fn memory() -> On<World, World, World, World, World> {
    let world = World::at(now());
    let w = || world.clone();
    On { events: w(), orders: w(), ledger: w(), receipts: w(), shelves: w() }
}

async fn dynamodb() -> On<
    aws::events::Events,
    aws::orders::Orders,
    aws::ledger::Ledger,
    aws::receipts::Receipts,
    kit::stack::StockTable,
> {
    let stack = Stack::named().unwrap_or_else(|none| panic!("{none}"));
    let Ports { events, orders, ledger, receipts, shelves } = stack.tables().await;
    On { events, orders, ledger, receipts, shelves }
}

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

on_both! {
    an_event_is_stored_once_and_comes_back_as_it_was,
    of_many_at_once_exactly_one_is_the_first,
    another_body_under_the_same_id_changes_nothing,
    an_event_ends_once,
    a_failure_is_noted_on_pending_events_only,
    a_commit_writes_all_of_it,
    of_many_commits_of_one_order_exactly_one_is_done,
    a_commit_on_a_changed_world_writes_nothing,
    the_last_pieces_go_to_whoever_is_first_and_never_below_zero,
    a_movement_is_never_made_twice,
    a_cart_too_big_for_one_transaction_is_committed_whole,
    mapping_rows_are_found,
    a_receipt_is_claimed_by_one,
    only_the_claimant_may_mark,
    a_held_receipt_stays_held,
}

fn now() -> Timestamp {
    Timestamp::from_second(1_760_090_010).unwrap()
}

fn unique(prefix: &str) -> String {
    static COUNT: AtomicU64 = AtomicU64::new(0);
    let nanos = Timestamp::now().as_nanosecond();
    format!("{prefix}_{nanos:x}_{}_{}", std::process::id(), COUNT.fetch_add(1, Ordering::Relaxed))
}

fn event() -> StoredEvent {
    let body = br#"{"any":"body"}"#.to_vec();
    StoredEvent {
        event_id: EventId::new(unique("fevt")).unwrap(),
        provider: Provider::Flex,
        delivery_id: DeliveryId::new("msg_1").unwrap(),
        event_type: Some("checkout.session.completed".into()),
        occurred_at: Some(now()),
        received_at: now(),
        fingerprint: fingerprint(&body),
        body,
        state: EventState::Stored,
        reason: None,
        attempts: 0,
        receipt_id: None,
    }
}

fn skus(count: usize) -> Vec<Sku> {
    (0..count).map(|_| Sku::new(unique("SKU")).unwrap()).collect()
}

/// A checkout of one piece of each SKU.
fn checkout(skus: &[Sku]) -> Checkout {
    let amounts = Totals { subtotal: 1000, total: 1000, ..Totals::default() };
    let line = |sku: &Sku| LineItem {
        line_item_id: LineItemId::new(unique("fli")).unwrap(),
        description: "A \"thing\" – with ünicode".into(),
        quantity: 1,
        unit_amount: Some(1000),
        amounts,
        eligibility: Some(Eligibility("a_new_kind".into())),
        product_id: Some(ProductId::new("fprod_1").unwrap()),
        price_id: None,
        sku: Some(sku.clone()),
    };
    let total = 1000 * i64::try_from(skus.len()).unwrap();
    Checkout {
        provider: Provider::Flex,
        order_id: OrderId::new(unique("fcs")).unwrap(),
        client_reference_id: Some("order-1042".into()),
        status: Status::Complete,
        kind: Kind::Payment,
        capture: Capture::Automatic,
        mode: Mode::Live,
        created_at: Some(now()),
        customer: Customer {
            customer_id: None,
            name: Some("Pat Doe".into()),
            email: Some("pat@example.com".into()),
        },
        currency: Currency::USD,
        totals: Totals { subtotal: total, total, ..Totals::default() },
        received: Some(total),
        payment_intents: Vec::new(),
        lines: skus.iter().map(line).collect(),
    }
}

async fn decided<L: Ledger>(ledger: &L, event: &StoredEvent, checkout: &Checkout) -> Commit {
    let skus: Vec<Sku> = checkout.lines.iter().filter_map(|line| line.sku.clone()).collect();
    let shelves = ledger.shelves(&checkout.order_id, &skus).await.unwrap();
    match decide(event, checkout, &Mapping::new(), &shelves, Mode::Live, now()) {
        Decision::Fulfill(commit) => *commit,
        Decision::Park(doubt) => panic!("{doubt}"),
    }
}

type AnyOn<E, O, L, R, S> = On<E, O, L, R, S>;

async fn an_event_is_stored_once_and_comes_back_as_it_was<E: Events, O, L, R, S>(on: &AnyOn<E, O, L, R, S>) {
    let event = event();
    assert_eq!(on.events.event(&event.event_id).await, Ok(None));
    assert_eq!(on.events.record(&event).await, Ok(Recorded::First));
    assert_eq!(on.events.record(&event).await, Ok(Recorded::Again(EventState::Stored)));
    assert_eq!(on.events.event(&event.event_id).await, Ok(Some(event.clone())));
    // Bytes that are no text, and nothing optional.
    let bare = StoredEvent {
        event_id: EventId::new(unique("fevt")).unwrap(),
        body: vec![0, 159, 146, 150, 255],
        event_type: None,
        occurred_at: None,
        state: EventState::Unreadable,
        reason: Some("the body is not a JSON object".into()),
        ..event
    };
    assert_eq!(on.events.record(&bare).await, Ok(Recorded::First));
    assert_eq!(on.events.event(&bare.event_id).await, Ok(Some(bare)));
}

async fn of_many_at_once_exactly_one_is_the_first<E: Events, O, L, R, S>(on: &AnyOn<E, O, L, R, S>) {
    let event = event();
    let recorded = join_all((0..64).map(|_| on.events.record(&event))).await;
    let firsts = recorded.iter().filter(|recorded| **recorded == Ok(Recorded::First)).count();
    let again =
        recorded.iter().filter(|recorded| **recorded == Ok(Recorded::Again(EventState::Stored))).count();
    assert_eq!((firsts, again), (1, 63));
}

async fn another_body_under_the_same_id_changes_nothing<E: Events, O, L, R, S>(on: &AnyOn<E, O, L, R, S>) {
    let first = event();
    on.events.record(&first).await.unwrap();
    let other = StoredEvent { body: b"{}".to_vec(), fingerprint: fingerprint(b"{}"), ..first.clone() };
    assert_eq!(on.events.record(&other).await, Ok(Recorded::OtherBody(EventState::Stored)));
    assert_eq!(on.events.event(&first.event_id).await, Ok(Some(first)));
}

async fn an_event_ends_once<E: Events, O, L, R, S>(on: &AnyOn<E, O, L, R, S>) {
    let (processed, parked) = (event(), event());
    let park = Settlement::Parked { reason: "doubtful".into() };
    for event in [&processed, &parked] {
        on.events.record(event).await.unwrap();
    }
    let (one, two) = (&processed.event_id, &parked.event_id);
    on.events.settle(one, &Settlement::Processed, now()).await.unwrap();
    on.events.settle(one, &park, now()).await.unwrap();
    on.events.settle(two, &park, now()).await.unwrap();
    on.events.settle(two, &Settlement::Processed, now()).await.unwrap();
    let ended = StoredEvent { state: EventState::Processed, ..processed };
    assert_eq!(on.events.event(&ended.event_id).await, Ok(Some(ended.clone())));
    assert_eq!(on.events.record(&ended).await, Ok(Recorded::Again(EventState::Processed)));
    let ended = StoredEvent { state: EventState::Parked, reason: Some("doubtful".into()), ..parked };
    assert_eq!(on.events.event(&ended.event_id).await, Ok(Some(ended)));
    // Ending what is not there makes nothing.
    let nobody = EventId::new(unique("fevt")).unwrap();
    on.events.settle(&nobody, &Settlement::Processed, now()).await.unwrap();
    assert_eq!(on.events.event(&nobody).await, Ok(None));
}

#[tokio::test]
async fn only_what_has_ended_is_forgotten() {
    let stack = Stack::named().unwrap();
    let events = stack.tables().await.events;
    let of = async |event: &StoredEvent| kit::stack::expires_at(&stack, event.event_id.as_str()).await;
    let ninety_days = 90 * 24 * 3600;
    let (processed, parked, unhandled) =
        (event(), event(), StoredEvent { state: EventState::Unhandled, ..event() });
    for event in [&processed, &parked, &unhandled] {
        events.record(event).await.unwrap();
    }
    assert_eq!((of(&processed).await, of(&parked).await), (None, None));
    assert_eq!(of(&unhandled).await, Some(now().as_second() + ninety_days));
    let park = Settlement::Parked { reason: "doubtful".into() };
    events.settle(&parked.event_id, &park, later()).await.unwrap();
    events.settle(&processed.event_id, &Settlement::Processed, later()).await.unwrap();
    assert_eq!(of(&parked).await, None, "a person has still to decide");
    assert_eq!(
        of(&processed).await,
        Some(later().as_second() + ninety_days),
        "counted from the end of its work"
    );
}

async fn a_failure_is_noted_on_pending_events_only<E: Events, O, L, R, S>(on: &AnyOn<E, O, L, R, S>) {
    let event = event();
    on.events.record(&event).await.unwrap();
    on.events.note_failure(&event.event_id, "Flex is away: 503", 2).await.unwrap();
    let noted = StoredEvent { reason: Some("Flex is away: 503".into()), attempts: 2, ..event };
    assert_eq!(on.events.event(&noted.event_id).await, Ok(Some(noted.clone())));
    on.events.settle(&noted.event_id, &Settlement::Processed, now()).await.unwrap();
    on.events.note_failure(&noted.event_id, "too late", 3).await.unwrap();
    let ended = StoredEvent { state: EventState::Processed, reason: None, ..noted };
    assert_eq!(on.events.event(&ended.event_id).await, Ok(Some(ended)));
}

async fn a_commit_writes_all_of_it<E: Events, O: Orders, L: Ledger, R: Receipts, S: Shelves>(
    on: &AnyOn<E, O, L, R, S>,
) {
    let (event, skus) = (event(), skus(2));
    on.events.record(&event).await.unwrap();
    on.shelves.put_counter(&skus[0], 5).await;
    on.shelves.put_counter(&skus[1], 0).await;
    let commit = decided(&on.ledger, &event, &checkout(&skus)).await;
    assert_eq!(on.ledger.commit(&commit).await, Ok(Committed::Now));

    assert_eq!(on.orders.order(&commit.order.order_id).await, Ok(Some(commit.order.clone())));
    assert_eq!(on.receipts.receipt(&commit.receipt.receipt_id).await, Ok(Some(commit.receipt.clone())));
    let event = on.events.event(&event.event_id).await.unwrap().unwrap();
    assert_eq!(
        (event.state, event.receipt_id),
        (EventState::Committed, Some(commit.receipt.receipt_id.clone()))
    );
    let shelves = on.ledger.shelves(&commit.order.order_id, &skus).await.unwrap();
    let read: Vec<_> = shelves.iter().map(|shelf| (shelf.on_hand, shelf.moved.clone())).collect();
    let moved: Vec<_> = commit.takes.iter().map(|take| Some(take.movement.clone())).collect();
    assert_eq!(read.len(), 2);
    for (sku, (on_hand, moved_here)) in skus.iter().zip(read) {
        assert_eq!(on_hand, Some(if *sku == skus[0] { 4 } else { 0 }));
        assert!(moved.contains(&moved_here));
    }
    // A committed event is not parked any more, and is still to be marked.
    let park = Settlement::Parked { reason: "too late".into() };
    on.events.settle(&event.event_id, &park, now()).await.unwrap();
    assert_eq!(on.events.event(&event.event_id).await.unwrap().unwrap().state, EventState::Committed);
    on.events.settle(&event.event_id, &Settlement::Processed, now()).await.unwrap();
    assert_eq!(on.events.event(&event.event_id).await.unwrap().unwrap().state, EventState::Processed);
}

async fn of_many_commits_of_one_order_exactly_one_is_done<E: Events, O, L: Ledger, R, S: Shelves>(
    on: &AnyOn<E, O, L, R, S>,
) {
    let skus = skus(1);
    on.shelves.put_counter(&skus[0], 100).await;
    let checkout = checkout(&skus);
    let mut commits = Vec::new();
    for _ in 0..16 {
        let twin = event();
        on.events.record(&twin).await.unwrap();
        commits.push(decided(&on.ledger, &twin, &checkout).await);
    }
    let done = join_all(commits.iter().map(|commit| until_answered(&on.ledger, commit))).await;
    assert_eq!(done.iter().filter(|committed| **committed == Committed::Now).count(), 1);
    assert_eq!(on.shelves.on_hand(&skus[0]).await, Some(99));
}

/// Conflicts under so much contention may outlast the adapter's patience; the queue would bring the job again.
async fn until_answered<L: Ledger>(ledger: &L, commit: &Commit) -> Committed {
    for _ in 0..50 {
        if let Ok(committed) = ledger.commit(commit).await {
            return committed;
        }
    }
    panic!("no answer in fifty tries")
}

async fn a_commit_on_a_changed_world_writes_nothing<
    E: Events,
    O: Orders,
    L: Ledger,
    R: Receipts,
    S: Shelves,
>(
    on: &AnyOn<E, O, L, R, S>,
) {
    let (event, skus) = (event(), skus(2));
    on.events.record(&event).await.unwrap();
    on.shelves.put_counter(&skus[0], 1).await;
    on.shelves.put_counter(&skus[1], 0).await;
    let commit = decided(&on.ledger, &event, &checkout(&skus)).await;
    // The shelf that was short has been filled: short by one is no longer true.
    on.shelves.put_counter(&skus[1], 7).await;
    assert_eq!(on.ledger.commit(&commit).await, Ok(Committed::Raced));
    // The shelf that had enough has been emptied.
    on.shelves.put_counter(&skus[1], 0).await;
    on.shelves.put_counter(&skus[0], 0).await;
    assert_eq!(on.ledger.commit(&commit).await, Ok(Committed::Raced));
    // The event has been parked.
    on.shelves.put_counter(&skus[0], 1).await;
    let park = Settlement::Parked { reason: "meanwhile".into() };
    on.events.settle(&event.event_id, &park, now()).await.unwrap();
    assert_eq!(on.ledger.commit(&commit).await, Ok(Committed::Raced));

    assert_eq!(on.orders.order(&commit.order.order_id).await, Ok(None));
    assert_eq!(on.receipts.receipt(&commit.receipt.receipt_id).await, Ok(None));
    let shelves = on.ledger.shelves(&commit.order.order_id, &skus).await.unwrap();
    assert!(shelves.iter().all(|shelf| shelf.moved.is_none()));
}

async fn the_last_pieces_go_to_whoever_is_first_and_never_below_zero<
    E: Events,
    O,
    L: Ledger,
    R,
    S: Shelves,
>(
    on: &AnyOn<E, O, L, R, S>,
) {
    let skus = skus(1);
    on.shelves.put_counter(&skus[0], 5).await;
    let buy = async || {
        let event = event();
        on.events.record(&event).await.unwrap();
        let checkout = checkout(&skus);
        loop {
            let commit = decided(&on.ledger, &event, &checkout).await;
            if until_answered(&on.ledger, &commit).await == Committed::Now {
                return commit.takes[0].movement.clone();
            }
        }
    };
    let movements = join_all((0..12).map(|_| buy())).await;
    assert_eq!(movements.iter().map(|movement| movement.taken).sum::<i64>(), 5);
    assert_eq!(movements.iter().map(domain::stock::Movement::short).sum::<i64>(), 7);
    assert_eq!(on.shelves.on_hand(&skus[0]).await, Some(0));
}

async fn a_movement_is_never_made_twice<E: Events, O, L: Ledger, R, S: Shelves>(on: &AnyOn<E, O, L, R, S>) {
    let (event, skus) = (event(), skus(1));
    on.events.record(&event).await.unwrap();
    on.shelves.put_counter(&skus[0], 5).await;
    let checkout = checkout(&skus);
    let commit = decided(&on.ledger, &event, &checkout).await;
    assert_eq!(on.ledger.commit(&commit).await, Ok(Committed::Now));
    assert_eq!(on.ledger.commit(&commit).await, Ok(Committed::Raced));
    assert_eq!(on.shelves.on_hand(&skus[0]).await, Some(4));
    let again = decided(&on.ledger, &event, &checkout).await;
    assert!(again.takes.is_empty(), "what is moved is read back and not planned again");
}

async fn a_cart_too_big_for_one_transaction_is_committed_whole<
    E: Events,
    O: Orders,
    L: Ledger,
    R,
    S: Shelves,
>(
    on: &AnyOn<E, O, L, R, S>,
) {
    let (event, skus) = (event(), skus(120));
    on.events.record(&event).await.unwrap();
    for sku in &skus {
        on.shelves.put_counter(sku, 3).await;
    }
    let commit = decided(&on.ledger, &event, &checkout(&skus)).await;
    assert_eq!(on.ledger.commit(&commit).await, Ok(Committed::Now));
    assert_eq!(on.orders.order(&commit.order.order_id).await, Ok(Some(commit.order.clone())));
    let shelves = on.ledger.shelves(&commit.order.order_id, &skus).await.unwrap();
    assert!(shelves.iter().all(|shelf| shelf.on_hand == Some(2) && shelf.moved.is_some()));
    assert_eq!(shelves.len(), 120);
}

async fn mapping_rows_are_found<E, O, L: Ledger, R, S: Shelves>(on: &AnyOn<E, O, L, R, S>) {
    let product = Unnamed::Product(ProductId::new(unique("fprod")).unwrap());
    let other = Unnamed::Product(ProductId::new(unique("fprod")).unwrap());
    let sku = skus(1).remove(0);
    on.shelves.put_mapping(&product, &sku).await;
    let found = on.ledger.mapping(&[product.clone(), other]).await.unwrap();
    assert_eq!(found, Mapping::from([(product, sku)]));
    assert_eq!(on.ledger.mapping(&[]).await, Ok(Mapping::new()));
}

/// A committed receipt.
async fn committed<E: Events, O, L: Ledger, R, S>(on: &AnyOn<E, O, L, R, S>) -> domain::receipt::Receipt {
    let event = event();
    on.events.record(&event).await.unwrap();
    let commit = decided(&on.ledger, &event, &checkout(&[])).await;
    assert_eq!(on.ledger.commit(&commit).await, Ok(Committed::Now));
    commit.receipt
}

fn owner(name: &str) -> OwnerToken {
    OwnerToken::new(name).unwrap()
}

fn later() -> Timestamp {
    Timestamp::from_second(now().as_second() + 60).unwrap()
}

async fn a_receipt_is_claimed_by_one<E: Events, O, L: Ledger, R: Receipts, S>(on: &AnyOn<E, O, L, R, S>) {
    let seen = committed(on).await;
    let owners: Vec<OwnerToken> = (0..20).map(|n| owner(&format!("owner-{n}"))).collect();
    let claims = join_all(owners.iter().map(|owner| on.receipts.claim(&seen, owner, later()))).await;
    assert_eq!(claims.iter().filter(|claim| **claim == Ok(Changed::Now)).count(), 1);
    let claimed = on.receipts.receipt(&seen.receipt_id).await.unwrap().unwrap();
    assert_eq!((claimed.version, claimed.attempts), (2, 1));
    let winner = claims.iter().position(|claim| *claim == Ok(Changed::Now)).unwrap();
    assert_eq!(claimed.state, State::Claimed { owner: owners[winner].clone(), claim_ends_at: later() });
    // Whoever has read the claim may claim anew: whether it is over is the rules' business.
    assert_eq!(on.receipts.claim(&claimed, &owner("next"), later()).await, Ok(Changed::Now));
    assert_eq!(on.receipts.claim(&claimed, &owner("third"), later()).await, Ok(Changed::Raced));
}

async fn only_the_claimant_may_mark<E: Events, O, L: Ledger, R: Receipts, S>(on: &AnyOn<E, O, L, R, S>) {
    let seen = committed(on).await;
    let id = &seen.receipt_id;
    let sent = State::Sent { message_id: MessageId::new("ses-1").unwrap(), sent_at: now() };
    assert_eq!(on.receipts.mark(id, &owner("nobody"), &sent).await, Ok(Changed::Raced));
    on.receipts.claim(&seen, &owner("a"), later()).await.unwrap();
    assert_eq!(on.receipts.mark(id, &owner("b"), &sent).await, Ok(Changed::Raced));
    let again = State::Pending { reason: Some("SES is away: Throttling".into()) };
    assert_eq!(on.receipts.mark(id, &owner("a"), &again).await, Ok(Changed::Now));
    let pending = on.receipts.receipt(id).await.unwrap().unwrap();
    assert_eq!(pending.state, again);
    on.receipts.claim(&pending, &owner("b"), later()).await.unwrap();
    assert_eq!(on.receipts.mark(id, &owner("a"), &sent).await, Ok(Changed::Raced), "its claim is given back");
    assert_eq!(on.receipts.mark(id, &owner("b"), &sent).await, Ok(Changed::Now));
    assert_eq!(on.receipts.mark(id, &owner("b"), &again).await, Ok(Changed::Raced), "sent is the end");
    let ended = on.receipts.receipt(id).await.unwrap().unwrap();
    assert_eq!((ended.state, ended.attempts), (sent, 2));
}

async fn a_held_receipt_stays_held<E: Events, O, L: Ledger, R: Receipts, S>(on: &AnyOn<E, O, L, R, S>) {
    let seen = committed(on).await;
    on.receipts.claim(&seen, &owner("a"), later()).await.unwrap();
    assert_eq!(on.receipts.hold(&seen).await, Ok(Changed::Raced), "it has been claimed since");
    let claimed = on.receipts.receipt(&seen.receipt_id).await.unwrap().unwrap();
    assert_eq!(on.receipts.hold(&claimed).await, Ok(Changed::Now));
    let failed = State::Failed { reason: "late".into() };
    assert_eq!(on.receipts.mark(&seen.receipt_id, &owner("a"), &failed).await, Ok(Changed::Raced));
    assert_eq!(on.receipts.receipt(&seen.receipt_id).await.unwrap().unwrap().state, State::Held);
}
