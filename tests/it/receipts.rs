//! Receipts by their outcomes: claim, send, mark; what goes out, and what the row says afterwards.

use aws::batch::Attempt;
use domain::{
    event::EventState,
    ids::{OwnerToken, ReceiptId},
    outcome::{Outcome, Setback},
    ports::{Changed, Clock as _, Receipts as _, SendError},
    receipt::{OnUnknown, Receipt, State},
};
use futures_util::future::join_all;
use kit::{
    drive::{Bundle, TRY_LASTS},
    fakes::Fault,
    story::{Delivery, checkout, open_shop, purchase},
};
use receipts::{CLAIM_MARGIN, Ended, LEAST_TIME, Sent, Unsent};
use std::time::Duration;

/// An order is committed and its receipt is pending; nothing is queued.
async fn owed(on_unknown: OnUnknown) -> Bundle {
    owed_to(on_unknown, Some("pat@example.com")).await
}

async fn owed_to(on_unknown: OnUnknown, email: Option<&str>) -> Bundle {
    let bundle = open_shop(on_unknown);
    let mut paid = checkout(&purchase(1));
    paid.customer.email = email.map(str::to_owned);
    bundle.provider_has(&paid);
    bundle.deliver(&Delivery::of(&purchase(1), "fevt_1"), false).await;
    let event_id = domain::ids::EventId::new("fevt_1").unwrap();
    let ended = bundle.fulfillment.fulfill(&event_id, 1).await;
    assert!(matches!(ended, Outcome::Accepted(_)), "{ended:?}");
    let mut kept = bundle.world.kept();
    assert!(kept.events.values().all(|event| event.state == EventState::Processed));
    kept.fulfillment_queue.clear();
    kept.calls.clear();
    drop(kept);
    bundle
}

fn id() -> ReceiptId {
    ReceiptId::new(format!("{}-order", purchase(1).order_id())).unwrap()
}

fn row(bundle: &Bundle) -> Receipt {
    bundle.world.kept().receipts[&id()].clone()
}

fn attempt(bundle: &Bundle, owner: &str) -> Attempt {
    let ends_at = bundle.world.now() + TRY_LASTS;
    Attempt { owner: OwnerToken::new(owner).unwrap(), receives: 1, ends_at }
}

fn claim_lasts() -> Duration {
    TRY_LASTS + CLAIM_MARGIN
}

async fn send(bundle: &Bundle, owner: &str) -> Ended {
    bundle.receipts.send(&id(), &attempt(bundle, owner)).await
}

fn fault_at(bundle: &Bundle, call: usize, fault: Fault) {
    bundle.world.kept().faults.insert(call, fault);
}

/// As [`send`], killed at that call.
async fn killed(bundle: &Bundle, owner: &str, call: usize, fault: Fault) {
    fault_at(bundle, call, fault);
    assert_eq!(bundle.world.run(send(bundle, owner)).await, None);
}

fn sent(ended: &Ended) -> &Sent {
    match ended {
        Outcome::Accepted(sent) => sent,
        ended => panic!("{ended:?}"),
    }
}

fn mails(bundle: &Bundle) -> usize {
    bundle.world.kept().mails.len()
}

#[tokio::test]
async fn a_receipt_is_claimed_then_sent_then_marked() {
    let bundle = owed(OnUnknown::Resend).await;
    let ended = send(&bundle, "a").await;
    assert_eq!((sent(&ended).again, sent(&ended).marked), (false, true));
    let calls = bundle.world.kept().calls.join(" ");
    assert_eq!(calls, "receipts.receipt orders.order receipts.claim mailer.send receipts.mark");
    let State::Sent { message_id, sent_at } = row(&bundle).state else { panic!("{:?}", row(&bundle)) };
    assert_eq!((message_id.as_str(), sent_at), ("ses-1", bundle.world.now()));
    assert_eq!(bundle.world.kept().mails[0].to.as_str(), "pat@example.com");
    assert_eq!(row(&bundle).attempts, 1);
}

#[tokio::test]
async fn a_second_job_sends_nothing() {
    let bundle = owed(OnUnknown::Resend).await;
    let _ = send(&bundle, "a").await;
    let before = row(&bundle);
    assert_eq!(send(&bundle, "b").await, Outcome::Duplicate);
    assert_eq!((row(&bundle), mails(&bundle)), (before, 1));
}

#[tokio::test]
async fn of_many_attempts_at_once_one_sends() {
    let bundle = owed(OnUnknown::Resend).await;
    let owners: Vec<_> = (0..64).map(|n| format!("owner-{n}")).collect();
    let ended = join_all(owners.iter().map(|owner| send(&bundle, owner))).await;
    let accepted = ended.iter().filter(|ended| matches!(ended, Outcome::Accepted(_))).count();
    assert_eq!((accepted, mails(&bundle)), (1, 1));
    assert!(matches!(row(&bundle).state, State::Sent { .. }));
}

#[tokio::test]
async fn a_busy_claim_is_waited_for_and_no_longer() {
    let bundle = owed(OnUnknown::Resend).await;
    killed(&bundle, "a", 3, Fault::StopBefore).await;
    bundle.world.pass(Duration::from_secs(8));
    let retry_after = claim_lasts().saturating_sub(Duration::from_secs(8));
    assert_eq!(send(&bundle, "b").await, Outcome::Retry(Setback::Claimed { retry_after }));
    assert_eq!(mails(&bundle), 0);
    bundle.world.pass(retry_after);
    assert!(sent(&send(&bundle, "b").await).again);
    assert_eq!(mails(&bundle), 1);
}

#[tokio::test]
async fn a_mail_that_is_out_and_unmarked_is_sent_again_under_resend() {
    let bundle = owed(OnUnknown::Resend).await;
    killed(&bundle, "a", 3, Fault::StopAfter).await;
    assert_eq!(mails(&bundle), 1);
    bundle.world.pass(claim_lasts());
    assert!(sent(&send(&bundle, "b").await).again);
    assert_eq!(mails(&bundle), 2);
    assert_eq!(send(&bundle, "c").await, Outcome::Duplicate);
}

#[tokio::test]
async fn a_mail_that_is_out_and_unmarked_is_held_under_hold_and_never_sent() {
    let bundle = owed(OnUnknown::Hold).await;
    killed(&bundle, "a", 3, Fault::StopAfter).await;
    bundle.world.pass(claim_lasts());
    assert_eq!(send(&bundle, "b").await, Outcome::Rejected(Unsent::Held));
    assert_eq!(row(&bundle).state, State::Held);
    bundle.world.pass(Duration::from_hours(24));
    assert_eq!(send(&bundle, "c").await, Outcome::Duplicate);
    assert_eq!(mails(&bundle), 1);
}

#[tokio::test]
async fn a_lost_answer_keeps_the_claim_until_it_ends() {
    let bundle = owed(OnUnknown::Resend).await;
    bundle.world.kept().mail_faults.push_back(SendError::Unknown("no answer in time".to_owned()));
    let ended = send(&bundle, "a").await;
    let retry_after = claim_lasts();
    let unknown = Setback::Unknown { cause: "no answer in time".to_owned(), retry_after };
    assert_eq!(ended, Outcome::Retry(unknown));
    assert!(matches!(row(&bundle).state, State::Claimed { .. }));
    assert_eq!(send(&bundle, "b").await, Outcome::Retry(Setback::Claimed { retry_after }));
    bundle.world.pass(retry_after);
    assert!(sent(&send(&bundle, "b").await).again);
}

#[tokio::test]
async fn a_throttled_mail_is_pending_again_and_sent_once() {
    let bundle = owed(OnUnknown::Hold).await;
    let throttled = Setback::Away { service: "SES", cause: "Throttling".to_owned(), retry_after: None };
    bundle.world.kept().mail_faults.push_back(SendError::NotSent(throttled.clone()));
    assert_eq!(send(&bundle, "a").await, Outcome::Retry(throttled));
    assert_eq!(row(&bundle).state, State::Pending { reason: Some("SES is away: Throttling".to_owned()) });
    // Nothing went out, so nobody need wait, and nothing is sent "again".
    assert!(!sent(&send(&bundle, "b").await).again);
    assert_eq!((mails(&bundle), row(&bundle).attempts), (1, 2));
}

#[tokio::test]
async fn an_outage_of_ses_is_waited_out_at_growing_intervals() {
    let bundle = owed(OnUnknown::Hold).await;
    let throttled = Setback::Away { service: "SES", cause: "Throttling".to_owned(), retry_after: None };
    bundle.world.kept().mail_faults.extend(vec![SendError::NotSent(throttled); 4]);
    let started_at = bundle.world.now();
    bundle.drain().await;
    assert_eq!(bundle.world.now().duration_since(started_at).as_secs(), 15 + 60 + 240 + 960);
    assert_eq!((mails(&bundle), bundle.world.kept().dead_letters.len()), (1, 0));
}

#[tokio::test]
async fn a_refused_address_ends_as_failed_with_its_reason() {
    let bundle = owed(OnUnknown::Resend).await;
    bundle
        .world
        .kept()
        .mail_faults
        .push_back(SendError::Refused("SES will not take this address".to_owned()));
    let reason = "SES will not take this address".to_owned();
    assert_eq!(send(&bundle, "a").await, Outcome::Rejected(Unsent::Failed(reason.clone())));
    assert_eq!(row(&bundle).state, State::Failed { reason });
    assert_eq!(send(&bundle, "b").await, Outcome::Duplicate);
}

#[tokio::test]
async fn an_order_without_a_usable_address_ends_as_failed_and_ses_is_not_asked() {
    for (email, reason) in [
        (None, "the order has no e-mail address"),
        (Some(" "), "the order has no e-mail address"),
        (Some("pat at example"), "the customer's address is not a valid e-mail address"),
    ] {
        let bundle = owed_to(OnUnknown::Resend, email).await;
        let ended = send(&bundle, "a").await;
        assert_eq!(ended, Outcome::Rejected(Unsent::Failed(reason.to_owned())));
        assert_eq!(row(&bundle).state, State::Failed { reason: reason.to_owned() });
        assert!(!bundle.world.kept().calls.contains(&"mailer.send"));
    }
}

#[tokio::test]
async fn a_claim_whose_answer_is_lost_is_given_back() {
    let bundle = owed(OnUnknown::Hold).await;
    fault_at(&bundle, 2, Fault::FailAfter);
    assert!(matches!(send(&bundle, "a").await, Outcome::Retry(Setback::Away { .. })));
    assert!(matches!(row(&bundle).state, State::Pending { reason: Some(_) }), "{:?}", row(&bundle));
    assert!(!sent(&send(&bundle, "b").await).again);
    assert_eq!(mails(&bundle), 1);
}

#[tokio::test]
async fn whoever_loses_the_claim_leaves_the_winners_alone() {
    let bundle = owed(OnUnknown::Resend).await;
    let (a, b) = tokio::join!(send(&bundle, "a"), send(&bundle, "b"));
    let raced = Outcome::Retry(Setback::Raced { what: "the receipt's claim", tries: 1 });
    assert!([&a, &b].contains(&&raced), "{a:?} {b:?}");
    assert!([&a, &b].iter().any(|ended| matches!(ended, Outcome::Accepted(sent) if sent.marked)));
    assert_eq!(mails(&bundle), 1);
}

/// A mailer whose caller falls asleep in it: meanwhile the claim ends, and another attempt claims and sends.
#[derive(Debug)]
struct Slow<'a>(&'a Bundle);

impl domain::ports::Mailer for Slow<'_> {
    async fn send(&self, email: &domain::receipt::mail::Email) -> Result<domain::ids::MessageId, SendError> {
        let sent = self.0.world.send(email).await;
        self.0.world.pass(claim_lasts());
        let ended = Box::pin(send(self.0, "b")).await;
        assert!(matches!(&ended, Outcome::Accepted(sent) if sent.again && sent.marked), "{ended:?}");
        sent
    }
}

#[tokio::test]
async fn the_late_mark_of_a_claimant_that_was_thought_dead_is_refused() {
    let bundle = owed(OnUnknown::Resend).await;
    let slow = receipts::Receipts {
        rows: bundle.world.clone(),
        orders: bundle.world.clone(),
        mailer: Slow(&bundle),
        clock: bundle.world.clone(),
        merchant: kit::drive::merchant(),
        templates: domain::receipt::mail::Templates::built_in().unwrap(),
        on_unknown: OnUnknown::Resend,
    };
    let ended = slow.send(&id(), &attempt(&bundle, "a")).await;
    assert!(!sent(&ended).marked, "{ended:?}");
    let State::Sent { message_id, .. } = row(&bundle).state else { panic!("{:?}", row(&bundle)) };
    assert_eq!(message_id.as_str(), "ses-2", "the row tells of the mail of its last claimant");
}

#[tokio::test]
async fn nobody_but_the_claimant_may_mark() {
    let bundle = owed(OnUnknown::Resend).await;
    killed(&bundle, "a", 3, Fault::StopBefore).await;
    let before = row(&bundle);
    for stranger in ["b", "A", "a."] {
        let owner = OwnerToken::new(stranger).unwrap();
        let marked = bundle.world.mark(&id(), &owner, &State::Held).await;
        assert_eq!(marked, Ok(Changed::Raced));
    }
    assert_eq!(row(&bundle), before);
}

#[tokio::test]
async fn an_attempt_without_the_time_to_send_does_not_begin() {
    let bundle = owed(OnUnknown::Resend).await;
    let before = row(&bundle);
    let hurried = Attempt {
        ends_at: bundle.world.now() + LEAST_TIME.saturating_sub(Duration::from_millis(1)),
        ..attempt(&bundle, "a")
    };
    assert_eq!(bundle.receipts.send(&id(), &hurried).await, Outcome::Retry(Setback::OutOfTime));
    assert_eq!((row(&bundle), mails(&bundle)), (before, 0));
    let enough = Attempt { ends_at: bundle.world.now() + LEAST_TIME, ..attempt(&bundle, "a") };
    assert!(matches!(bundle.receipts.send(&id(), &enough).await, Outcome::Accepted(_)));
}

#[tokio::test]
async fn a_claim_outlives_the_attempt_that_made_it() {
    let bundle = owed(OnUnknown::Resend).await;
    let deadline = bundle.world.now() + TRY_LASTS;
    killed(&bundle, "a", 3, Fault::StopBefore).await;
    let State::Claimed { claim_ends_at, .. } = row(&bundle).state else { panic!("{:?}", row(&bundle)) };
    assert_eq!(claim_ends_at, deadline + CLAIM_MARGIN);
}

#[tokio::test]
async fn a_receipt_or_an_order_that_is_not_there_is_tried_again() {
    let bundle = owed(OnUnknown::Resend).await;
    bundle.world.kept().orders.clear();
    assert_eq!(send(&bundle, "a").await, Outcome::Retry(Setback::Missing { what: "the order" }));
    bundle.world.kept().receipts.clear();
    assert_eq!(send(&bundle, "a").await, Outcome::Retry(Setback::Missing { what: "the receipt" }));
}
