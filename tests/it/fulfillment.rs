//! Fulfillment by its outcomes: the end of a job, the stored rows, and the messages after it.

use domain::delivery::job::Handoff;
use domain::sale::{
    order::{OrderLine, Shortfall},
    statement::{Eligibility, SaleKind},
};
use fulfillment::{Done, Ended};
use kit::fakes::{Call, Fate, Turn};
use kit::prelude::*;
use std::num::NonZeroUsize;

/// The shop, with the first sale's event taken in as `fevt_1`.
async fn facts(change: impl FnOnce(&mut Sale)) -> Bundle {
    let bundle = open_shop(OnUnknown::Resend);
    let mut paid = sale(&purchase(1));
    change(&mut paid);
    bundle.provider_has(&paid);
    bundle.take(&completed("fevt_1")).await;
    bundle
}

fn completed(event_id: &str) -> Delivery {
    Delivery::of(&purchase(1), event_id)
}

async fn fulfill(bundle: &Bundle) -> Ended {
    bundle.fulfillment.fulfill(&event_id("fevt_1"), 1).await
}

#[tokio::test]
async fn a_paid_checkout_becomes_an_order_its_movements_and_a_receipt() {
    let bundle = facts(|_| {}).await;
    let ended = fulfill(&bundle).await;
    assert_matches!(ended, Outcome::Accepted(Done::Committed(..)));
    let order = bundle.order(1);
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
    assert_eq!(bundle.on_hand("BRACE-M"), ON_HAND - 2);
    assert_eq!(bundle.on_hand("TOTE"), ON_HAND - 1);
    assert_eq!(bundle.world.kept().movements.len(), 2);
    assert_eq!(bundle.states(), [Processed]);
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
        "events.event commits.read api.sale commits.read commits.commit receipt_queue.send events.settle"
    );
}

#[tokio::test]
async fn a_second_job_for_an_ended_event_changes_nothing() {
    let bundle = facts(|_| {}).await;
    bundle.drain().await;
    let before = bundle.end();
    assert_eq!(fulfill(&bundle).await, Outcome::Duplicate);
    assert_eq!(bundle.end(), before);
}

#[tokio::test]
async fn the_same_checkout_under_a_new_event_id_changes_nothing_and_sends_nothing() {
    let bundle = facts(|_| {}).await;
    bundle.drain().await;
    let before = bundle.end();
    bundle.play(&completed("fevt_2")).await;
    let mut after = bundle.end();
    assert_eq!(
        after.events.remove(&event_id("fevt_2")),
        Some((Processed, None))
    );
    assert_eq!(after, before);
    assert_eq!(after.mails.len(), 1);
}

#[tokio::test]
async fn a_twin_whose_receipt_is_still_owed_has_it_queued() {
    let bundle = facts(|_| {}).await;
    // The first event's attempt commits, and stops before it queues the receipt.
    // event, order, sale, rows, commit; then the receipt's queue.
    bundle.strike_next(5, StopBefore);
    assert_eq!(bundle.world.run(fulfill(&bundle)).await, None);
    bundle.world.kept().fulfillment_queue.clear();
    bundle.play(&completed("fevt_2")).await;
    assert_eq!(bundle.mails(), 1);
    assert_eq!(bundle.states(), [EventState::Committed, Processed]);
    // The first event is passed on when its job comes again; its receipt is not sent again.
    let receipt_id = ReceiptId::new(format!("{}-order", purchase(1).order_id())).unwrap();
    assert_eq!(
        fulfill(&bundle).await,
        Outcome::Accepted(Done::HandedOff(vec![Handoff::Receipt { receipt_id }]))
    );
    bundle.drain().await;
    assert_eq!(bundle.mails(), 1);
    assert_eq!(bundle.states(), [Processed, Processed]);
}

/// One order, two movements, one mail, and nothing left to do.
fn counted_once(bundle: &Bundle, events: usize) {
    let end = bundle.end();
    assert_eq!(end.orders.len(), 1);
    assert_eq!(end.movements.len(), 2);
    assert_eq!(end.receipts.len(), 1);
    assert_eq!(bundle.on_hand("BRACE-M"), ON_HAND - 2);
    assert_eq!(bundle.on_hand("TOTE"), ON_HAND - 1);
    assert_eq!(end.mails.len(), 1);
    assert!(end.receipts.values().all(|state| *state == "sent"));
    assert_eq!(end.events.len(), events);
    assert!(
        end.events.values().all(|event| *event == (Processed, None)),
        "{:?}",
        end.events
    );
    assert_eq!((end.queued, end.dead_letters), (0, Vec::new()));
}

/// A plain shop, and one on harsh tables: a read mixes two moments, and a cart of two things is committed in
/// two transactions.
fn shops() -> [Bundle; 2] {
    let [plain, harsh] = [(), ()].map(|()| open_shop(OnUnknown::Resend));
    harsh.world.kept().tears_reads = true;
    harsh.world.kept().moves_a_part = NonZeroUsize::new(1);
    [plain, harsh]
}

#[tokio::test]
async fn sixty_four_deliveries_of_one_event_at_once_count_once() {
    for bundle in shops() {
        bundle.provider_has(&sale(&purchase(1)));
        let delivery = completed("fevt_1");
        join_all((0..64).map(|_| bundle.take(&delivery))).await;
        assert_eq!(bundle.world.kept().fulfillment_queue.len(), 64);
        bundle.drain_at_once().await;
        counted_once(&bundle, 1);
    }
}

#[tokio::test]
async fn sixty_four_events_of_one_checkout_at_once_count_once() {
    for bundle in shops() {
        bundle.provider_has(&sale(&purchase(1)));
        let twins: Vec<_> = (0..64).map(|n| completed(&format!("fevt_{n}"))).collect();
        join_all(twins.iter().map(|twin| bundle.take(twin))).await;
        bundle.drain_at_once().await;
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
        bundle.sell(n).await;
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
                missing: 1,
                filled_at: None,
            }]
        ]
    );
    assert_eq!(kept.mails.len(), 2);
}

#[tokio::test]
async fn lines_that_do_not_add_up_are_recorded_and_fulfilled() {
    let bundle = facts(|paid| paid.totals.total += 100).await;
    bundle.drain().await;
    assert_eq!(bundle.order(1).difference, Some(-100));
}

#[tokio::test]
async fn a_word_of_the_providers_that_we_do_not_know_survives_into_the_order() {
    let word = Eligibility {
        certification: Certification::Unknown,
        word: "something_new".to_owned(),
    };
    let bundle = facts(|paid| paid.lines[0].eligibility = Some(word.clone())).await;
    bundle.drain().await;
    assert_eq!(bundle.order(1).lines[0].eligibility, Some(word));
}

/// Works it off and expects it to be parked for this reason, with nothing else changed.
async fn parked(change: impl FnOnce(&mut Sale), fault: Option<ReadError>, reason: &str) {
    let bundle = facts(change).await;
    bundle.world.kept().read_faults.extend(fault);
    let before = bundle.end();
    let ended = bundle.fulfillment.fulfill(&event_id("fevt_1"), 3).await;
    assert_matches!(&ended, Outcome::Rejected(park_reason) if park_reason.to_string() == reason);
    let mut after = bundle.end();
    let event = after.events.insert(event_id("fevt_1"), (Stored, None));
    assert_eq!(event, Some((Parked, Some(reason.to_owned()))));
    assert_eq!(after, before, "{reason}");
    // It stays parked when it is delivered again.
    bundle.play(&completed("fevt_1")).await;
    assert_eq!(bundle.states(), vec![Parked]);
    assert_eq!(bundle.end().orders.len(), 0);
}

#[tokio::test]
async fn whatever_is_doubtful_is_parked_with_its_reason_and_has_no_effect() {
    parked(
        |paid| paid.status = SaleStatus::Other("open".into()),
        None,
        "the sale is `open`, not complete",
    )
    .await;
    parked(
        |paid| paid.kind = SaleKind::Other("setup".into()),
        None,
        "sales of mode `setup` are not fulfilled",
    )
    .await;
    parked(
        |paid| paid.mode = Mode::Test,
        None,
        "a test-mode sale reached a live-mode stack",
    )
    .await;
}

#[tokio::test]
async fn what_the_provider_may_yet_tell_is_given_the_time() {
    let bundle = facts(|paid| paid.status = SaleStatus::Other("open".into())).await;
    let too_early = RetryableError::TooEarly("the sale is `open`, not complete".to_owned());
    assert_eq!(fulfill(&bundle).await, Outcome::Retry(too_early));
    assert_eq!(bundle.states(), [Stored]);
    // Its API has caught up with its announcement.
    bundle.provider_has(&sale(&purchase(1)));
    bundle.drain().await;
    assert_eq!(bundle.states(), [Processed]);
    assert_eq!(bundle.mails(), 1);
}

#[tokio::test]
async fn a_race_lost_while_parking_is_gone_on_with() {
    let bundle = facts(|_| {}).await;
    // Another attempt commits between our read and our parking.
    bundle.provider_answers(
        &ReadError::Permanent {
            status: 422,
            code: None,
        },
        1,
    );
    bundle.world.decide_by(Some(Box::new(Interloper)));
    let ended = fulfill(&bundle).await;
    assert!(
        matches!(ended, Outcome::Accepted(Done::HandedOff(..))),
        "{ended:?}"
    );
    assert_eq!(bundle.states(), [Processed]);
    assert_eq!(bundle.world.kept().receipt_queue.len(), 1);
}

/// Another attempt that commits right before ours parks.
#[derive(Debug)]
struct Interloper;

impl Fate for Interloper {
    fn turn(&mut self, call: Call, kept: &mut Kept) -> Turn {
        let event = kept.events.get_mut(&event_id("fevt_1")).unwrap();
        if call.name == "events.settle" && event.state == EventState::Stored {
            event.state = EventState::Committed;
            let receipt_id = ReceiptId::new("fcs_x-order").unwrap();
            event.outbox = vec![Handoff::Receipt { receipt_id }];
        }
        Turn::Goes
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
    bundle.provider_answers(&ReadError::Transient(away(None)), 3);
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
    bundle.provider_answers(&ReadError::Transient(away(Some(90))), 1);
    let started_at = bundle.world.now();
    bundle.drain().await;
    counted_once(&bundle, 1);
    assert_eq!(bundle.world.now().duration_since(started_at).as_secs(), 90);
}

#[tokio::test]
async fn a_failed_attempt_leaves_its_reason_on_the_event() {
    let bundle = facts(|_| {}).await;
    bundle.provider_answers(&ReadError::KeyRefused { status: 401 }, 5);
    bundle.drain().await;
    let kept = bundle.world.kept();
    let reason = "the provider's API refuses our set-up: it answers our API key with 401";
    assert_eq!(kept.given_up(), [format!("fevt_1: {reason}")]);
    let event = &kept.events[&event_id("fevt_1")];
    assert_eq!((event.state, event.attempts), (Stored, 5));
    assert_eq!(event.reason.as_deref(), Some(reason));
    assert_eq!(event.class, Some(Class::SetUp));
    assert!(kept.orders.is_empty());
}

#[tokio::test]
async fn a_job_from_the_dead_letter_queue_is_fulfilled_days_later() {
    let bundle = facts(|_| {}).await;
    bundle.provider_answers(&ReadError::KeyRefused { status: 401 }, 5);
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
    assert_eq!(bundle.states(), [Parked]);
}

/// Rivals who take the last pieces between every read and write, up to this number of times.
#[derive(Debug)]
struct Rivals(u32);

impl Fate for Rivals {
    fn turn(&mut self, call: Call, kept: &mut Kept) -> Turn {
        if call.name == "commits.commit" && self.0 > 0 {
            self.0 -= 1;
            *kept.counters.get_mut(&sku("BRACE-M")).unwrap() -= 1;
        }
        Turn::Goes
    }
}

/// The outcome with that many rivals for the last brace.
async fn contended(rivals: u32) -> (Bundle, Ended) {
    let bundle = facts(|_| {}).await;
    // Short by one from the start, so that every change of the counter matters.
    bundle.world.kept().counters.insert(sku("BRACE-M"), 1);
    bundle.world.decide_by(Some(Box::new(Rivals(rivals))));
    let ended = fulfill(&bundle).await;
    (bundle, ended)
}

#[tokio::test]
async fn a_lost_race_is_read_and_decided_again() {
    let (bundle, ended) = contended(1).await;
    assert_matches!(ended, Outcome::Accepted(Done::Committed(..)));
    assert_eq!(
        bundle.order(1).shortfalls,
        [Shortfall {
            sku: sku("BRACE-M"),
            missing: 2,
            filled_at: None,
        }]
    );
    let kept = bundle.world.kept();
    let times = |name| kept.calls.iter().filter(|call| **call == name).count();
    assert_eq!(times("commits.commit"), 2);
    assert_eq!(times("commits.read"), 4);
    assert_eq!(times("api.sale"), 2);
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
    assert_eq!(bundle.states(), [Stored]);
    assert!(bundle.world.kept().orders.is_empty());
    // The queue brings it back, and the rivals are gone.
    bundle.drain().await;
    assert_eq!(bundle.world.kept().orders.len(), 1);
}

#[tokio::test]
async fn a_test_checkout_on_a_test_stack_is_fulfilled_and_only_the_merchant_hears_of_it() {
    let shop = open_shop(OnUnknown::Resend);
    let bundle = Bundle::over(&shop.world, Mode::Test, OnUnknown::Resend);
    bundle.provider_has(&Sale {
        mode: Mode::Test,
        ..sale(&purchase(1))
    });
    bundle.play(&completed("fevt_1")).await;
    let kept = bundle.world.kept();
    let to: Vec<_> = kept.mails.iter().map(|mail| mail.to.as_str()).collect();
    assert_eq!(to, ["support@harborandpine.example"]);
    assert!(
        kept.receipts
            .values()
            .all(|receipt: &Receipt| !receipt.is_unfinished())
    );
}
