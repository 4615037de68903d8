//! Fulfillment by its outcomes: what becomes of a job, what is stored, and what is queued after it.

use domain::{
    delivery::{
        job::{FulfillmentJob, ReceiptJob},
        stored_event::{EventState, StoredEvent},
    },
    fulfillment::{
        commit::Commit,
        read_set::{ReadSet, Snapshot},
    },
    ports::{Changed, Clock as _, Recorded, Settlement},
    receipt::{OnUnknown, Receipt},
    sale::{
        checkout::{Checkout, CheckoutKind, CheckoutStatus, Eligibility, LineItem},
        order::{Order, OrderLine, Shortfall},
        stock::{LineStock, Unnamed},
    },
    values::{
        class::Class,
        ids::{EventId, ReceiptId},
        mode::Mode,
        outcome::{Outcome, ReadError, RetryableError},
    },
};
use fulfillment::{Done, Ended};
use futures_util::future::join_all;
use jiff::Timestamp;
use kit::{
    drive::Bundle,
    fakes::{Fault, World},
    story::{Delivery, End, ON_HAND, checkout, open_shop, purchase, sku},
};
use std::{num::NonZeroUsize, sync::Arc, time::Duration};

/// The shop, and the first checkout's news taken in as `fevt_1`.
async fn facts(change: impl FnOnce(&mut Checkout)) -> Bundle {
    let bundle = open_shop(OnUnknown::Resend);
    let mut paid = checkout(&purchase(1));
    change(&mut paid);
    bundle.provider_has(&paid);
    bundle.deliver(&completed("fevt_1"), false).await;
    bundle
}

fn completed(event_id: &str) -> Delivery {
    Delivery::of(&purchase(1), event_id)
}

fn event_id(text: &str) -> EventId {
    EventId::new(text).unwrap()
}

async fn fulfill(bundle: &Bundle) -> Ended {
    bundle.fulfillment.fulfill(&event_id("fevt_1"), 1).await
}

fn order(bundle: &Bundle) -> Order {
    let kept = bundle.world.kept();
    let mut orders = kept.orders.values();
    let order = orders.next().unwrap().clone();
    assert_eq!(orders.next(), None);
    order
}

fn on_hand(bundle: &Bundle, name: &str) -> i64 {
    bundle.world.kept().counters[&sku(name)]
}

fn end(bundle: &Bundle) -> End {
    End::of(&bundle.world.kept())
}

fn events(bundle: &Bundle) -> Vec<EventState> {
    bundle
        .world
        .kept()
        .events
        .values()
        .map(|event| event.state)
        .collect()
}

#[tokio::test]
async fn a_paid_checkout_becomes_an_order_its_movements_and_a_receipt() {
    let bundle = facts(|_| {}).await;
    let ended = fulfill(&bundle).await;
    assert!(
        matches!(ended, Outcome::Accepted(Done::Committed(..))),
        "{ended:?}"
    );
    let order = order(&bundle);
    assert_eq!(order.order_id.as_str(), purchase(1).order_id());
    assert_eq!(order.client_reference_id.as_deref(), Some("order-1"));
    assert_eq!(order.totals.total, 6994);
    assert_eq!(order.payment_intents.len(), 2);
    assert_eq!(
        order
            .lines
            .iter()
            .map(OrderLine::is_eligible)
            .collect::<Vec<_>>(),
        [true, false]
    );
    assert_eq!((order.difference, order.shortfalls.len()), (None, 0));
    assert_eq!(
        (on_hand(&bundle, "BRACE-M"), on_hand(&bundle, "TOTE")),
        (ON_HAND - 2, ON_HAND - 1)
    );
    assert_eq!(bundle.world.kept().movements.len(), 2);
    assert_eq!(events(&bundle), [EventState::Processed]);
    let kept = bundle.world.kept();
    let queued: Vec<_> = kept
        .receipt_queue
        .iter()
        .map(|message| &message.job)
        .collect();
    assert_eq!(
        queued,
        [&ReceiptJob::V1 {
            receipt_id: order.receipt_id.unwrap()
        }]
    );
}

#[tokio::test]
async fn the_receipt_is_queued_before_the_event_is_marked() {
    let bundle = facts(|_| {}).await;
    let so_far = bundle.world.kept().calls.len();
    let _ = fulfill(&bundle).await;
    let calls = bundle.world.kept().calls[so_far..].join(" ");
    assert_eq!(
        calls,
        "events.event ledger.read api.checkout ledger.read ledger.commit receipt_queue.send events.settle"
    );
}

#[tokio::test]
async fn a_second_job_for_an_ended_event_changes_nothing() {
    let bundle = facts(|_| {}).await;
    bundle.drain().await;
    let before = end(&bundle);
    assert_eq!(fulfill(&bundle).await, Outcome::Duplicate);
    assert_eq!(end(&bundle), before);
}

#[tokio::test]
async fn the_same_checkout_under_a_new_event_id_changes_nothing_and_sends_nothing() {
    let bundle = facts(|_| {}).await;
    bundle.drain().await;
    let before = end(&bundle);
    bundle.deliver(&completed("fevt_2"), false).await;
    bundle.drain().await;
    let mut after = end(&bundle);
    assert_eq!(
        after.events.remove(&event_id("fevt_2")),
        Some((EventState::Processed, None))
    );
    assert_eq!(after, before);
    assert_eq!(after.mails.len(), 1);
}

#[tokio::test]
async fn a_twin_whose_receipt_is_still_owed_has_it_queued() {
    let bundle = facts(|_| {}).await;
    // The first event's attempt commits, and stops before it queues the receipt.
    let at = bundle.world.kept().calls.len() + 5;
    // event, order, checkout, rows, commit; then the receipt's queue.
    bundle.world.kept().faults.insert(at, Fault::StopBefore);
    assert_eq!(bundle.world.run(fulfill(&bundle)).await, None);
    bundle.world.kept().fulfillment_queue.clear();
    bundle.deliver(&completed("fevt_2"), false).await;
    bundle.drain().await;
    assert_eq!(bundle.world.kept().mails.len(), 1);
    assert_eq!(
        events(&bundle),
        [EventState::Committed, EventState::Processed]
    );
    // The first event is passed on when its job comes again; its receipt is not sent again.
    let receipt_id = ReceiptId::new(format!("{}-order", purchase(1).order_id())).unwrap();
    assert_eq!(
        fulfill(&bundle).await,
        Outcome::Accepted(Done::PassedOn(vec![receipt_id]))
    );
    bundle.drain().await;
    assert_eq!(bundle.world.kept().mails.len(), 1);
    assert_eq!(
        events(&bundle),
        [EventState::Processed, EventState::Processed]
    );
}

/// One order, two movements, one mail, and nothing left to do.
fn counted_once(bundle: &Bundle, events: usize) {
    let end = end(bundle);
    assert_eq!(
        (end.orders.len(), end.movements.len(), end.receipts.len()),
        (1, 2, 1)
    );
    assert_eq!(
        (on_hand(bundle, "BRACE-M"), on_hand(bundle, "TOTE")),
        (ON_HAND - 2, ON_HAND - 1)
    );
    assert_eq!(end.mails.len(), 1);
    assert!(end.receipts.values().all(|state| *state == "sent"));
    assert_eq!(end.events.len(), events);
    assert!(
        end.events
            .values()
            .all(|event| *event == (EventState::Processed, None)),
        "{:?}",
        end.events
    );
    assert_eq!((end.queued, end.dead_letters), (0, Vec::new()));
}

/// A shop, and one whose tables do all that DynamoDB's may: rows that are read together are of two moments, and a cart
/// of two things is committed in two transactions.
fn shops() -> [Bundle; 2] {
    let [plain, harsh] = [(), ()].map(|()| open_shop(OnUnknown::Resend));
    harsh.world.kept().tears_reads = true;
    harsh.world.kept().moves_a_part = NonZeroUsize::new(1);
    [plain, harsh]
}

#[tokio::test]
async fn sixty_four_deliveries_of_one_event_at_once_count_once() {
    for bundle in shops() {
        bundle.provider_has(&checkout(&purchase(1)));
        let delivery = completed("fevt_1");
        join_all((0..64).map(|_| bundle.deliver(&delivery, false))).await;
        assert_eq!(bundle.world.kept().fulfillment_queue.len(), 64);
        bundle.drain_at_once().await;
        counted_once(&bundle, 1);
    }
}

#[tokio::test]
async fn sixty_four_events_of_one_checkout_at_once_count_once() {
    for bundle in shops() {
        bundle.provider_has(&checkout(&purchase(1)));
        let twins: Vec<_> = (0..64).map(|n| completed(&format!("fevt_{n}"))).collect();
        join_all(twins.iter().map(|twin| bundle.deliver(twin, false))).await;
        bundle.drain_at_once().await;
        counted_once(&bundle, 64);
    }
}

/// From the request to the mail, each on a task of its own.
async fn at_once_on_threads(bundle: Bundle, deliveries: Vec<Delivery>) -> Arc<Bundle> {
    let bundle = Arc::new(bundle);
    bundle.provider_has(&checkout(&purchase(1)));
    let tasks = deliveries.into_iter().map(|delivery| {
        let bundle = Arc::clone(&bundle);
        tokio::spawn(async move {
            bundle.deliver(&delivery, false).await;
            while bundle.work_at_once().await {}
        })
    });
    for done in join_all(tasks).await {
        done.unwrap();
    }
    // What lost a race is hidden for a while.
    bundle.drain_at_once().await;
    bundle
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn sixty_four_deliveries_of_one_event_on_threads_count_once() {
    for shop in shops() {
        let bundle = at_once_on_threads(shop, vec![completed("fevt_1"); 64]).await;
        counted_once(&bundle, 1);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn sixty_four_events_of_one_checkout_on_threads_count_once() {
    for shop in shops() {
        let twins = (0..64).map(|n| completed(&format!("fevt_{n}"))).collect();
        let bundle = at_once_on_threads(shop, twins).await;
        counted_once(&bundle, 64);
    }
}

#[tokio::test]
async fn the_last_piece_goes_to_one_of_two_orders_and_the_other_is_short() {
    for bundle in shops() {
        the_last_piece_goes_to_one_of_two(&bundle).await;
    }
}

async fn the_last_piece_goes_to_one_of_two(bundle: &Bundle) {
    bundle.world.kept().counters.insert(sku("TOTE"), 1);
    for n in 1..=2 {
        bundle.provider_has(&checkout(&purchase(n)));
        bundle
            .deliver(&Delivery::of(&purchase(n), &format!("fevt_{n}")), false)
            .await;
    }
    bundle.drain_at_once().await;
    let kept = bundle.world.kept();
    assert_eq!(kept.counters[&sku("TOTE")], 0);
    let mut shortfalls: Vec<_> = kept
        .orders
        .values()
        .map(|order| order.shortfalls.as_slice())
        .collect();
    shortfalls.sort_by_key(|shortfalls| shortfalls.len());
    assert_eq!(
        shortfalls,
        [
            &[][..],
            &[Shortfall {
                sku: sku("TOTE"),
                missing: 1
            }]
        ]
    );
    assert_eq!(kept.mails.len(), 2);
}

#[tokio::test]
async fn a_paid_order_that_meets_an_empty_shelf_is_kept_with_its_shortfall() {
    let bundle = facts(|_| {}).await;
    bundle.world.kept().counters.insert(sku("BRACE-M"), 0);
    bundle.drain().await;
    assert_eq!(
        order(&bundle).shortfalls,
        [Shortfall {
            sku: sku("BRACE-M"),
            missing: 2
        }]
    );
    assert_eq!(
        (on_hand(&bundle, "BRACE-M"), on_hand(&bundle, "TOTE")),
        (0, ON_HAND - 1)
    );
    assert_eq!(bundle.world.kept().mails.len(), 1);
}

#[tokio::test]
async fn a_thing_without_a_counter_is_recorded_as_untracked() {
    let bundle = facts(|_| {}).await;
    bundle.world.kept().counters.remove(&sku("TOTE"));
    bundle.drain().await;
    let stock: Vec<_> = order(&bundle)
        .lines
        .into_iter()
        .map(|line| line.stock)
        .collect();
    assert_eq!(
        stock,
        [
            LineStock::Counted {
                sku: sku("BRACE-M")
            },
            LineStock::Untracked { sku: sku("TOTE") }
        ]
    );
    assert_eq!(bundle.world.kept().movements.len(), 1);
}

#[tokio::test]
async fn a_line_without_a_sku_is_recorded_as_unmapped_and_fulfilled() {
    let bundle = facts(|paid| paid.lines[1].sku = None).await;
    bundle.drain().await;
    assert_eq!(order(&bundle).lines[1].stock, LineStock::Unmapped);
    assert_eq!(bundle.world.kept().mails.len(), 1);
}

#[tokio::test]
async fn a_mapping_row_names_the_sku_where_the_product_does_not() {
    let bundle = facts(|paid| paid.lines[1].sku = None).await;
    let product = checkout(&purchase(1)).lines[1].product_id.clone().unwrap();
    bundle
        .world
        .kept()
        .mapping
        .insert(Unnamed::Product(product), sku("TOTE"));
    bundle.drain().await;
    assert_eq!(
        order(&bundle).lines[1].stock,
        LineStock::Counted { sku: sku("TOTE") }
    );
    assert_eq!(on_hand(&bundle, "TOTE"), ON_HAND - 1);
}

#[tokio::test]
async fn two_lines_of_one_thing_are_one_movement() {
    let bundle = facts(|paid| {
        let more = LineItem {
            line_item_id: domain::values::ids::LineItemId::new("fli_more").unwrap(),
            ..paid.lines[0].clone()
        };
        paid.lines.push(more);
    })
    .await;
    bundle.drain().await;
    assert_eq!(on_hand(&bundle, "BRACE-M"), ON_HAND - 4);
    assert_eq!(bundle.world.kept().movements.len(), 2);
}

#[tokio::test]
async fn lines_that_do_not_add_up_are_recorded_and_fulfilled() {
    let bundle = facts(|paid| paid.totals.total += 100).await;
    bundle.drain().await;
    assert_eq!(order(&bundle).difference, Some(-100));
}

#[tokio::test]
async fn a_word_of_the_providers_that_we_do_not_know_survives_into_the_order() {
    let word = Eligibility("something_new".to_owned());
    let bundle = facts(|paid| paid.lines[0].eligibility = Some(word.clone())).await;
    bundle.drain().await;
    assert_eq!(order(&bundle).lines[0].eligibility, Some(word));
}

/// Works it off and expects it to be parked for this reason, with nothing else changed.
async fn parked(change: impl FnOnce(&mut Checkout), fault: Option<ReadError>, reason: &str) {
    let bundle = facts(change).await;
    bundle.world.kept().read_faults.extend(fault);
    let before = end(&bundle);
    let ended = bundle.fulfillment.fulfill(&event_id("fevt_1"), 3).await;
    assert!(
        matches!(&ended, Outcome::Rejected(park_reason) if park_reason.to_string() == reason),
        "{ended:?}"
    );
    let mut after = end(&bundle);
    let event = after
        .events
        .insert(event_id("fevt_1"), (EventState::Stored, None));
    assert_eq!(event, Some((EventState::Parked, Some(reason.to_owned()))));
    assert_eq!(after, before, "{reason}");
    // It stays parked, whoever delivers it again.
    bundle.deliver(&completed("fevt_1"), false).await;
    bundle.drain().await;
    assert_eq!(
        (events(&bundle), end(&bundle).orders.len()),
        (vec![EventState::Parked], 0)
    );
}

#[tokio::test]
async fn whatever_is_doubtful_is_parked_with_its_reason_and_has_no_effect() {
    parked(
        |paid| paid.status = CheckoutStatus::Other("open".into()),
        None,
        "the checkout is `open`, not complete",
    )
    .await;
    parked(
        |paid| paid.kind = CheckoutKind::Other("setup".into()),
        None,
        "checkouts of mode `setup` are not fulfilled",
    )
    .await;
    parked(
        |paid| paid.mode = Mode::Test,
        None,
        "a test-mode checkout reached a live-mode stack",
    )
    .await;
}

#[tokio::test]
async fn what_the_provider_may_yet_tell_is_given_the_time() {
    let bundle = facts(|paid| paid.status = CheckoutStatus::Other("open".into())).await;
    let too_early = RetryableError::TooEarly("the checkout is `open`, not complete".to_owned());
    assert_eq!(fulfill(&bundle).await, Outcome::Retry(too_early));
    assert_eq!(events(&bundle), [EventState::Stored]);
    // Its API has caught up with its announcement.
    bundle.provider_has(&checkout(&purchase(1)));
    bundle.drain().await;
    assert_eq!(events(&bundle), [EventState::Processed]);
    assert_eq!(bundle.world.kept().mails.len(), 1);
}

#[tokio::test]
async fn a_race_lost_while_parking_is_gone_on_with() {
    let bundle = facts(|_| {}).await;
    // Another attempt commits between our read and our parking.
    bundle
        .world
        .kept()
        .read_faults
        .push_back(ReadError::Permanent {
            status: 422,
            code: None,
        });
    let Bundle {
        world, fulfillment, ..
    } = &bundle;
    let ours = fulfillment::Fulfillment {
        events: Interloper {
            world: world.clone(),
        },
        ledger: world.clone(),
        entitlements: world.clone(),
        receipts: world.clone(),
        receipt_queue: world.clone(),
        api: world.clone(),
        clock: world.clone(),
        policy: fulfillment.policy,
        most_receives: fulfillment.most_receives,
    };
    let ended = ours.fulfill(&event_id("fevt_1"), 1).await;
    assert!(
        matches!(ended, Outcome::Accepted(Done::PassedOn(..))),
        "{ended:?}"
    );
    assert_eq!(events(&bundle), [EventState::Processed]);
    assert_eq!(bundle.world.kept().receipt_queue.len(), 1);
}

/// An Events table on which another attempt has just committed whenever ours wants to park.
struct Interloper {
    world: World,
}

impl domain::ports::Events for Interloper {
    async fn record(&self, event: &StoredEvent) -> Result<Recorded, RetryableError> {
        domain::ports::Events::record(&self.world, event).await
    }
    async fn event(&self, id: &EventId) -> Result<Option<StoredEvent>, RetryableError> {
        domain::ports::Events::event(&self.world, id).await
    }
    async fn settle(
        &self,
        id: &EventId,
        settlement: &Settlement,
        now: Timestamp,
    ) -> Result<Changed, RetryableError> {
        if let Settlement::Parked { .. } = settlement {
            let mut kept = self.world.kept();
            let event = kept.events.get_mut(id).unwrap();
            event.state = EventState::Committed;
            event.receipt_ids = vec![ReceiptId::new("fcs_x-order").unwrap()];
        }
        domain::ports::Events::settle(&self.world, id, settlement, now).await
    }
    async fn note_failure(
        &self,
        id: &EventId,
        class: Class,
        reason: &str,
    ) -> Result<(), RetryableError> {
        domain::ports::Events::note_failure(&self.world, id, class, reason).await
    }
}

#[tokio::test]
async fn what_the_provider_will_never_tell_is_parked() {
    let permanent = |status, code: Option<&str>| ReadError::Permanent {
        status,
        code: code.map(str::to_owned),
    };
    for (fault, reason) in [
        (
            permanent(404, Some("not_found")),
            "the provider answers 404 (not_found)",
        ),
        (permanent(422, None), "the provider answers 422"),
        (
            ReadError::NotUnderstood("`status` is missing".to_owned()),
            "the provider's answer is not understood: `status` is missing",
        ),
    ] {
        parked(|_| {}, Some(fault), reason).await;
    }
}

fn away(seconds: Option<u64>) -> RetryableError {
    let retry_after = seconds.map(Duration::from_secs);
    RetryableError::Away {
        service: "Flex",
        cause: "HTTP 429".to_owned(),
        retry_after,
    }
}

#[tokio::test]
async fn an_outage_of_the_provider_is_waited_out() {
    let bundle = facts(|_| {}).await;
    bundle
        .world
        .kept()
        .read_faults
        .extend(vec![ReadError::Transient(away(None)); 3]);
    let started_at = bundle.world.now();
    bundle.drain().await;
    counted_once(&bundle, 1);
    let waited = bundle.world.now().duration_since(started_at);
    assert_eq!(waited.as_secs(), 60 + 240 + 960);
    assert_eq!(bundle.world.kept().events[&event_id("fevt_1")].attempts, 3);
}

#[tokio::test]
async fn the_wait_that_the_provider_asks_for_is_kept() {
    let bundle = facts(|_| {}).await;
    bundle
        .world
        .kept()
        .read_faults
        .push_back(ReadError::Transient(away(Some(90))));
    let started_at = bundle.world.now();
    bundle.drain().await;
    counted_once(&bundle, 1);
    assert_eq!(bundle.world.now().duration_since(started_at).as_secs(), 90);
}

#[tokio::test]
async fn a_failed_attempt_leaves_its_reason_on_the_event() {
    let bundle = facts(|_| {}).await;
    bundle
        .world
        .kept()
        .read_faults
        .extend(vec![ReadError::KeyRefused { status: 401 }; 5]);
    bundle.drain().await;
    let kept = bundle.world.kept();
    let reason = "the provider's API refuses our set-up: our API key is answered with 401";
    assert_eq!(kept.given_up(), [format!("fevt_1: {reason}")]);
    let event = &kept.events[&event_id("fevt_1")];
    assert_eq!((event.state, event.attempts), (EventState::Stored, 5));
    assert_eq!(
        (event.reason.as_deref(), event.class),
        (Some(reason), Some(Class::SetUp))
    );
    assert!(kept.orders.is_empty());
}

#[tokio::test]
async fn a_job_from_the_dead_letter_queue_is_fulfilled_days_later() {
    let bundle = facts(|_| {}).await;
    bundle
        .world
        .kept()
        .read_faults
        .extend(vec![ReadError::KeyRefused { status: 401 }; 5]);
    bundle.drain().await;
    bundle.world.pass(Duration::from_hours(24 * 10));
    let job = FulfillmentJob::V1 {
        event_id: event_id("fevt_1"),
    };
    domain::ports::Queue::send(&bundle.world, &job)
        .await
        .unwrap();
    bundle.world.kept().dead_letters.clear();
    bundle.drain().await;
    counted_once(&bundle, 1);
}

#[tokio::test]
async fn a_job_whose_event_is_not_there_is_tried_again() {
    let bundle = open_shop(OnUnknown::Resend);
    assert_eq!(
        fulfill(&bundle).await,
        Outcome::Retry(RetryableError::Missing { what: "the event" })
    );
}

#[tokio::test]
async fn an_event_that_names_nothing_is_parked() {
    let bundle = facts(|_| {}).await;
    bundle
        .world
        .kept()
        .events
        .get_mut(&event_id("fevt_1"))
        .unwrap()
        .body = b"{}".to_vec();
    let ended = fulfill(&bundle).await;
    assert_eq!(
        ended,
        Outcome::Rejected(domain::fulfillment::ParkReason::NoSubject)
    );
    assert_eq!(events(&bundle), [EventState::Parked]);
}

/// A ledger where somebody else takes the last pieces between every reading and writing, so many times.
#[derive(Debug)]
struct Contended {
    world: kit::fakes::World,
    rivals: std::sync::atomic::AtomicU32,
}

impl domain::ports::Ledger for Contended {
    async fn read(&self, read_set: &ReadSet) -> Result<Snapshot, RetryableError> {
        self.world.read(read_set).await
    }

    async fn commit(&self, commit: &Commit) -> Result<domain::ports::Committed, RetryableError> {
        use std::sync::atomic::Ordering::SeqCst;
        if self
            .rivals
            .fetch_update(SeqCst, SeqCst, |left| left.checked_sub(1))
            .is_ok()
        {
            *self.world.kept().counters.get_mut(&sku("BRACE-M")).unwrap() -= 1;
        }
        self.world.commit(commit).await
    }
}

/// How it ends with three braces on the shelf, two of them sold, and so many rivals for them.
async fn contended(rivals: u32) -> (Bundle, Ended) {
    let bundle = facts(|_| {}).await;
    // Short by one from the start, so that every change of the counter matters.
    bundle.world.kept().counters.insert(sku("BRACE-M"), 1);
    let w = || bundle.world.clone();
    let fulfillment = fulfillment::Fulfillment {
        events: w(),
        ledger: Contended {
            world: w(),
            rivals: rivals.into(),
        },
        entitlements: w(),
        receipts: w(),
        receipt_queue: w(),
        api: w(),
        clock: w(),
        policy: bundle.fulfillment.policy,
        most_receives: bundle.fulfillment.most_receives,
    };
    let ended = fulfillment.fulfill(&event_id("fevt_1"), 1).await;
    (bundle, ended)
}

#[tokio::test]
async fn a_lost_race_is_read_and_decided_again() {
    let (bundle, ended) = contended(1).await;
    assert!(
        matches!(ended, Outcome::Accepted(Done::Committed(..))),
        "{ended:?}"
    );
    assert_eq!(
        order(&bundle).shortfalls,
        [Shortfall {
            sku: sku("BRACE-M"),
            missing: 2
        }]
    );
    let kept = bundle.world.kept();
    let times = |name| kept.calls.iter().filter(|call| **call == name).count();
    assert_eq!(
        (
            times("ledger.commit"),
            times("ledger.read"),
            times("api.checkout")
        ),
        (2, 4, 2)
    );
}

#[tokio::test]
async fn three_lost_races_go_back_to_the_queue() {
    let (bundle, ended) = contended(3).await;
    assert_eq!(
        ended,
        Outcome::Retry(RetryableError::Raced {
            what: "the rows",
            tries: 3
        })
    );
    assert_eq!(events(&bundle), [EventState::Stored]);
    assert!(bundle.world.kept().orders.is_empty());
    // The queue brings it back, and the rivals are gone.
    bundle.drain().await;
    assert_eq!(bundle.world.kept().orders.len(), 1);
}

#[tokio::test]
async fn a_test_checkout_on_a_test_stack_is_fulfilled_and_only_the_merchant_hears_of_it() {
    let shop = open_shop(OnUnknown::Resend);
    let bundle = Bundle::over(&shop.world, Mode::Test, OnUnknown::Resend);
    bundle.provider_has(&Checkout {
        mode: Mode::Test,
        ..checkout(&purchase(1))
    });
    bundle.deliver(&completed("fevt_1"), false).await;
    bundle.drain().await;
    let kept = bundle.world.kept();
    let to: Vec<_> = kept.mails.iter().map(|mail| mail.to.as_str()).collect();
    assert_eq!(to, ["support@harborandpine.example"]);
    assert!(
        kept.receipts
            .values()
            .all(|receipt: &Receipt| !receipt.is_unfinished())
    );
}
