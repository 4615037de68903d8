//! Receipts by their outcomes: lease, send, record; the mails, their addresses, and the rows afterwards.

use aws::batch::Attempt;
use domain::{
    access::{
        contact,
        subscription::{InvoiceEvent, Source, SubscriptionFacts, SubscriptionStatus},
    },
    resource::{
        Resource, ResourceChange,
        invoice::{self, InvoiceFacts, InvoiceStatus},
    },
    sale::shipment::{FulfillmentFacts, Method, Progress},
    values::{
        facts::Fact,
        ids::{FulfillmentId, PaymentAttemptId},
    },
};
use kit::drive::TRY_LASTS;
use kit::prelude::*;
use mail::{Form, Sample};
use receipts::{Ended, LEASE_MARGIN, LEAST_TIME, Sent, Unsent};
use std::{fs, time::Duration};

/// The call that leases an order's receipt.
const CLAIMING: usize = 3;
/// The call that sends it.
const SENDING: usize = 4;

/// An order is committed and its receipt is unsent; nothing is queued.
async fn unsent(on_unknown: OnUnknown) -> Bundle {
    owed_to(on_unknown, Some("pat@example.com")).await
}

async fn owed_to(on_unknown: OnUnknown, email: Option<&str>) -> Bundle {
    let bundle = open_shop(on_unknown);
    let mut paid = sale(&purchase(1));
    paid.customer.email = email.map(str::to_owned);
    bundle.provider_has(&paid);
    bundle.take(&Delivery::of(&purchase(1), "fevt_1")).await;
    let event_id = event_id("fevt_1");
    let ended = bundle.fulfillment.fulfill(&event_id, 1).await;
    assert_matches!(ended, Outcome::Accepted(_));
    let mut kept = bundle.world.kept();
    assert!(kept.events.values().all(|event| event.state == Processed));
    kept.fulfillment_queue.clear();
    kept.calls.clear();
    drop(kept);
    bundle
}

fn id() -> ReceiptId {
    ReceiptId::new(format!("{}-order", purchase(1).order_id())).unwrap()
}

fn attempt(bundle: &Bundle, owner: &str) -> Attempt {
    let ends_at = bundle.world.now() + TRY_LASTS;
    Attempt {
        owner: OwnerToken::new(owner).unwrap(),
        receives: 1,
        is_last: false,
        ends_at,
    }
}

fn claim_lasts() -> Duration {
    TRY_LASTS + LEASE_MARGIN
}

async fn send(bundle: &Bundle, owner: &str) -> Ended {
    bundle.receipts.send(&id(), &attempt(bundle, owner)).await
}

fn fault_at(bundle: &Bundle, call: usize, fault: Fault) {
    bundle.strike(call, fault);
}

/// As [`send`], killed at that call.
async fn killed(bundle: &Bundle, owner: &str, call: usize, fault: Fault) {
    fault_at(bundle, call, fault);
    assert_eq!(bundle.world.run(send(bundle, owner)).await, None);
}

fn failed(reason: &str) -> Ended {
    Outcome::Rejected(Unsent::Failed(reason.to_owned()))
}

fn withdrawn(reason: &str) -> Ended {
    Outcome::Rejected(Unsent::Withdrawn(reason.to_owned()))
}

fn throttled() -> RetryableError {
    RetryableError::Away {
        service: "SES",
        cause: "Throttling".to_owned(),
        retry_after: None,
    }
}

fn busy(retry_after: Duration) -> Ended {
    Outcome::Retry(RetryableError::Leased { retry_after })
}

fn sent(ended: &Ended) -> &Sent {
    match ended {
        Outcome::Accepted(sent) => sent,
        ended => panic!("{ended:?}"),
    }
}

#[tokio::test]
async fn a_receipt_is_claimed_then_sent_then_marked() {
    let bundle = unsent(OnUnknown::Resend).await;
    let ended = send(&bundle, "a").await;
    assert_eq!((sent(&ended).again, sent(&ended).marked), (false, true));
    let calls = bundle.world.kept().calls.join(" ");
    assert_eq!(
        calls,
        "receipts.receipt orders.order marks.address_mark receipts.claim mailer.send receipts.mark"
    );
    let ReceiptState::Sent {
        message_id,
        sent_at,
    } = bundle.receipt(&id()).state
    else {
        panic!("{:?}", bundle.receipt(&id()))
    };
    assert_eq!(message_id.as_str(), "ses-1");
    assert_eq!(sent_at, bundle.world.now());
    assert_eq!(bundle.mailed_to(0), "pat@example.com");
    assert_eq!(bundle.receipt(&id()).attempts, 1);
}

#[tokio::test]
async fn a_second_job_sends_nothing() {
    let bundle = unsent(OnUnknown::Resend).await;
    let _ = send(&bundle, "a").await;
    let before = bundle.receipt(&id());
    assert_eq!(send(&bundle, "b").await, Outcome::Duplicate);
    assert_eq!((bundle.receipt(&id()), bundle.mails()), (before, 1));
}

#[tokio::test]
async fn of_many_attempts_at_once_one_sends() {
    let bundle = unsent(OnUnknown::Resend).await;
    let owners: Vec<_> = (0..64).map(|n| format!("owner-{n}")).collect();
    let ended = join_all(owners.iter().map(|owner| send(&bundle, owner))).await;
    let accepted = ended
        .iter()
        .filter(|ended| matches!(ended, Outcome::Accepted(_)))
        .count();
    assert_eq!((accepted, bundle.mails()), (1, 1));
    assert_matches!(bundle.receipt(&id()).state, ReceiptState::Sent { .. });
}

#[tokio::test]
async fn a_busy_claim_is_waited_for_and_no_longer() {
    let bundle = unsent(OnUnknown::Resend).await;
    killed(&bundle, "a", SENDING, StopBefore).await;
    bundle.world.pass(Duration::from_secs(8));
    let retry_after = claim_lasts().saturating_sub(Duration::from_secs(8));
    assert_eq!(send(&bundle, "b").await, busy(retry_after));
    assert_eq!(bundle.mails(), 0);
    bundle.world.pass(retry_after);
    assert!(sent(&send(&bundle, "b").await).again);
    assert_eq!(bundle.mails(), 1);
}

#[tokio::test]
async fn a_mail_that_is_out_and_unmarked_is_sent_again_under_resend() {
    let bundle = unsent(OnUnknown::Resend).await;
    killed(&bundle, "a", SENDING, StopAfter).await;
    assert_eq!(bundle.mails(), 1);
    bundle.world.pass(claim_lasts());
    assert!(sent(&send(&bundle, "b").await).again);
    assert_eq!(bundle.mails(), 2);
    assert_eq!(send(&bundle, "c").await, Outcome::Duplicate);
}

#[tokio::test]
async fn a_mail_that_is_out_and_unmarked_is_held_under_hold_and_never_sent() {
    let bundle = unsent(OnUnknown::Hold).await;
    killed(&bundle, "a", SENDING, StopAfter).await;
    bundle.world.pass(claim_lasts());
    assert_eq!(send(&bundle, "b").await, Outcome::Rejected(Unsent::Held));
    assert_eq!(bundle.receipt(&id()).state, ReceiptState::Held);
    bundle.world.pass(Duration::from_hours(24));
    assert_eq!(send(&bundle, "c").await, Outcome::Rejected(Unsent::Held));
    assert_eq!(bundle.mails(), 1);
}

#[tokio::test]
async fn that_a_mail_is_held_is_told_though_who_held_it_was_stopped_or_never_heard_so() {
    for fault in [Twice, FailAfter, StopAfter] {
        let bundle = unsent(OnUnknown::Hold).await;
        killed(&bundle, "a", SENDING, StopAfter).await;
        bundle.world.pass(claim_lasts());
        let after_reading = bundle.world.kept().calls.len() + 1;
        fault_at(&bundle, after_reading, fault);
        assert_ne!(
            bundle.world.run(send(&bundle, "b")).await,
            Some(Outcome::Rejected(Unsent::Held))
        );
        assert_eq!(bundle.receipt(&id()).state, ReceiptState::Held, "{fault:?}");
        assert_eq!(
            send(&bundle, "c").await,
            Outcome::Rejected(Unsent::Held),
            "{fault:?}"
        );
    }
}

#[tokio::test]
async fn a_lost_answer_keeps_the_claim_until_it_ends() {
    let bundle = unsent(OnUnknown::Resend).await;
    bundle.ses_answers(&SendError::Unknown("no answer in time".to_owned()), 1);
    let ended = send(&bundle, "a").await;
    let retry_after = claim_lasts();
    let unknown = RetryableError::Unknown {
        cause: "no answer in time".to_owned(),
        retry_after,
    };
    assert_eq!(ended, Outcome::Retry(unknown));
    assert_matches!(bundle.receipt(&id()).state, ReceiptState::Leased { .. });
    assert_eq!(send(&bundle, "b").await, busy(retry_after));
    bundle.world.pass(retry_after);
    assert!(sent(&send(&bundle, "b").await).again);
}

#[tokio::test]
async fn a_throttled_mail_is_pending_again_and_sent_once() {
    let bundle = unsent(OnUnknown::Hold).await;
    let throttled = throttled();
    bundle.ses_answers(&SendError::NotSent(throttled.clone()), 1);
    assert_eq!(send(&bundle, "a").await, Outcome::Retry(throttled));
    assert_eq!(
        bundle.receipt(&id()).state,
        unsent_for("SES is away: Throttling")
    );
    // Nothing went out, so there is no wait, and nothing is sent "again".
    assert!(!sent(&send(&bundle, "b").await).again);
    assert_eq!((bundle.mails(), bundle.receipt(&id()).attempts), (1, 2));
}

#[tokio::test]
async fn an_outage_of_ses_is_waited_out_at_growing_intervals() {
    let bundle = unsent(OnUnknown::Hold).await;
    let throttled = throttled();
    bundle.ses_answers(&SendError::NotSent(throttled), 4);
    let started_at = bundle.world.now();
    bundle.drain().await;
    assert_eq!(
        bundle.world.now().duration_since(started_at).as_secs(),
        60 + 240 + 960 + 3_600
    );
    assert_eq!(bundle.mails(), 1);
    assert_eq!(bundle.world.kept().dead_letters.len(), 0);
}

#[tokio::test]
async fn a_refused_address_ends_as_failed_with_its_reason() {
    let bundle = unsent(OnUnknown::Resend).await;
    bundle.ses_answers(
        &SendError::Refused("SES will not take this address".to_owned()),
        1,
    );
    let reason = "SES will not take this address".to_owned();
    assert_eq!(send(&bundle, "a").await, failed(&reason));
    assert_eq!(bundle.receipt(&id()).state, ReceiptState::Failed { reason });
    assert_eq!(send(&bundle, "b").await, Outcome::Duplicate);
}

#[tokio::test]
async fn an_order_without_a_usable_address_ends_as_failed_and_ses_is_not_asked() {
    for (email, reason) in [
        (None, "the order has no e-mail address"),
        (Some(" "), "the order has no e-mail address"),
        (
            Some("pat at example"),
            "the customer's address is not a valid e-mail address",
        ),
    ] {
        let bundle = owed_to(OnUnknown::Resend, email).await;
        let ended = send(&bundle, "a").await;
        assert_eq!(ended, Outcome::Rejected(Unsent::Failed(reason.to_owned())));
        assert_eq!(
            bundle.receipt(&id()).state,
            ReceiptState::Failed {
                reason: reason.to_owned()
            }
        );
        assert!(!bundle.world.kept().calls.contains(&"mailer.send"));
    }
}

#[tokio::test]
async fn a_claim_whose_answer_is_lost_is_given_back() {
    let bundle = unsent(OnUnknown::Hold).await;
    fault_at(&bundle, CLAIMING, FailAfter);
    assert_matches!(
        send(&bundle, "a").await,
        Outcome::Retry(RetryableError::Away { .. })
    );
    assert!(
        matches!(
            bundle.receipt(&id()).state,
            ReceiptState::Unsent { reason: Some(_) }
        ),
        "{:?}",
        bundle.receipt(&id())
    );
    assert!(!sent(&send(&bundle, "b").await).again);
    assert_eq!(bundle.mails(), 1);
}

#[tokio::test]
async fn whoever_loses_the_claim_leaves_the_winners_alone() {
    let bundle = unsent(OnUnknown::Resend).await;
    let (a, b) = tokio::join!(send(&bundle, "a"), send(&bundle, "b"));
    let raced = Outcome::Retry(RetryableError::Raced {
        what: "the receipt's lease",
        tries: 1,
    });
    assert!([&a, &b].contains(&&raced), "{a:?} {b:?}");
    assert!(
        [&a, &b]
            .iter()
            .any(|ended| matches!(ended, Outcome::Accepted(sent) if sent.marked))
    );
    assert_eq!(bundle.mails(), 1);
}

/// A mailer whose caller is suspended in it. Meanwhile the lease ends, and another attempt leases and sends.
#[derive(Debug)]
struct Slow<'a>(&'a Bundle);

impl mail::Mailer for Slow<'_> {
    async fn send(&self, email: &mail::Email) -> Result<domain::values::ids::MessageId, SendError> {
        let sent = self.0.world.send(email).await;
        self.0.world.pass(claim_lasts());
        let ended = Box::pin(send(self.0, "b")).await;
        assert_matches!(&ended, Outcome::Accepted(sent) if sent.again && sent.marked);
        sent
    }
}

#[tokio::test]
async fn the_late_mark_of_a_claimant_that_was_thought_dead_is_refused() {
    let bundle = unsent(OnUnknown::Resend).await;
    let slow = receipts::Receipts {
        store: bundle.world.clone(),
        mailer: Slow(&bundle),
        clock: std::sync::Arc::new(bundle.world.clone()),
        merchant: kit::drive::merchant(),
        templates: mail::Templates::built_in().unwrap(),
        on_unknown: OnUnknown::Resend,
    };
    let ended = slow.send(&id(), &attempt(&bundle, "a")).await;
    assert!(!sent(&ended).marked, "{ended:?}");
    let ReceiptState::Sent { message_id, .. } = bundle.receipt(&id()).state else {
        panic!("{:?}", bundle.receipt(&id()))
    };
    assert_eq!(
        message_id.as_str(),
        "ses-2",
        "the row tells of the mail of its last claimant"
    );
}

#[tokio::test]
async fn an_attempt_without_the_time_to_send_does_not_begin() {
    let bundle = unsent(OnUnknown::Resend).await;
    let before = bundle.receipt(&id());
    let hurried = Attempt {
        ends_at: bundle.world.now() + LEAST_TIME.saturating_sub(Duration::from_millis(1)),
        ..attempt(&bundle, "a")
    };
    assert_eq!(
        bundle.receipts.send(&id(), &hurried).await,
        Outcome::Retry(RetryableError::OutOfTime)
    );
    assert_eq!((bundle.receipt(&id()), bundle.mails()), (before, 0));
    let enough = Attempt {
        ends_at: bundle.world.now() + LEAST_TIME,
        ..attempt(&bundle, "a")
    };
    assert_matches!(
        bundle.receipts.send(&id(), &enough).await,
        Outcome::Accepted(_)
    );
}

#[tokio::test]
async fn a_claim_outlives_the_attempt_that_made_it() {
    let bundle = unsent(OnUnknown::Resend).await;
    let deadline = bundle.world.now() + TRY_LASTS;
    killed(&bundle, "a", SENDING, StopBefore).await;
    let ReceiptState::Leased { lease_ends_at, .. } = bundle.receipt(&id()).state else {
        panic!("{:?}", bundle.receipt(&id()))
    };
    assert_eq!(lease_ends_at, deadline + LEASE_MARGIN);
}

#[tokio::test]
async fn a_receipt_or_an_order_that_is_not_there_is_tried_again() {
    let bundle = unsent(OnUnknown::Resend).await;
    bundle.world.kept().orders.clear();
    assert_eq!(
        send(&bundle, "a").await,
        Outcome::Retry(RetryableError::Missing { what: "the order" })
    );
    bundle.world.kept().receipts.clear();
    assert_eq!(
        send(&bundle, "a").await,
        Outcome::Retry(RetryableError::Missing {
            what: "the receipt"
        })
    );
}

const OUTDATED: &str = "the notice is outdated";

fn customer_id() -> CustomerId {
    CustomerId::new("fcus_1").unwrap()
}

fn subscription_id() -> SubscriptionId {
    SubscriptionId::new("fsub_1").unwrap()
}

fn invoice_id() -> InvoiceId {
    InvoiceId::new("fin_2").unwrap()
}

/// The receipt of a renewal's order, which is stored beside the sale.
fn renewal(bundle: &Bundle) -> ReceiptId {
    let mut kept = bundle.world.kept();
    let order = kept.orders.values().next().unwrap();
    let mut order = Order {
        order_id: OrderId::from(&invoice_id()),
        kind: OrderKind::Renewal,
        ..order.clone()
    };
    order.customer.customer_id = Some(customer_id());
    let receipt = Receipt::for_order(&order.order_id, order.placed_at).unwrap();
    let id = receipt.receipt_id.clone();
    kept.orders.insert(order.order_id.clone(), order);
    kept.receipts.insert(id.clone(), receipt);
    id
}

fn refund(bundle: &Bundle) -> ReceiptKind {
    let refund_id = RefundId::new("fre_1").unwrap();
    ReceiptKind::Refund {
        refund_id,
        amount: 500,
        refunded_at: bundle.world.now(),
    }
}

fn payment_failed() -> ReceiptKind {
    ReceiptKind::PaymentFailed {
        subscription_id: subscription_id(),
        invoice_id: invoice_id(),
        amount: Some(4999),
    }
}

/// A trial that ends that many hours from now.
fn trial_ends(bundle: &Bundle, hours: u64) -> ReceiptKind {
    let ends_at = bundle.world.now() + Duration::from_hours(hours);
    ReceiptKind::TrialEnds {
        subscription_id: subscription_id(),
        ends_at,
    }
}

/// The order is this customer's, and a receipt of that kind is unsent beside its own.
fn owe(bundle: &Bundle, kind: ReceiptKind, due_in: Option<Duration>) -> ReceiptId {
    let now = bundle.world.now();
    let mut kept = bundle.world.kept();
    let order = kept.orders.values_mut().next().unwrap();
    order.customer.customer_id = Some(customer_id());
    let receipt = Receipt::new(
        &order.order_id,
        kind,
        due_in.map(|due_in| now + due_in),
        now,
    )
    .unwrap();
    let id = receipt.receipt_id.clone();
    kept.receipts.insert(id.clone(), receipt);
    id
}

fn has_no_id(bundle: &Bundle) {
    bundle
        .world
        .kept()
        .orders
        .values_mut()
        .next()
        .unwrap()
        .customer
        .customer_id = None;
}

/// The last event about the customer: this address, or deleted.
fn knows(bundle: &Bundle, email: Option<&str>) {
    let facts = email.map(|email| contact::ContactFacts {
        name: None,
        email: Some(email.to_owned()),
    });
    let mut contact = Contact::new(customer_id());
    contact.learn(facts.map(|facts| Fact::new(bundle.world.now(), facts)));
    bundle.world.kept().contacts.insert(customer_id(), contact);
}

/// A subscription in that state, whose second invoice could not be charged.
fn subscribes(
    bundle: &Bundle,
    status: SubscriptionStatus,
    trial_end: Option<&ReceiptKind>,
) -> Subscription {
    let now = bundle.world.now();
    let mut subscription =
        Subscription::new("flex".parse().unwrap(), customer_id(), subscription_id());
    let trial_end = trial_end.map(|kind| match kind {
        ReceiptKind::TrialEnds { ends_at, .. } => *ends_at,
        kind => panic!("{kind:?}"),
    });
    let snapshot = SubscriptionFacts {
        source: Source::Updated,
        status,
        cancel_at_period_end: false,
        period_end: None,
        trial_end,
        items: vec![],
        latest_invoice: None,
        created_at: None,
        paid_through: None,
        suspended_at: None,
        payment_method_id: None,
        ended_at: None,
    };
    subscription.learn(now, snapshot);
    subscription.learn_invoice(
        now,
        &invoice_id(),
        InvoiceEvent::PaymentFailed,
        kit::story::bill(),
    );
    keep(bundle, &subscription);
    subscription
}

fn keep(bundle: &Bundle, subscription: &Subscription) {
    let key = (customer_id(), subscription_id());
    bundle
        .world
        .kept()
        .subscription_rows
        .insert(key, subscription.clone());
}

async fn send_of(bundle: &Bundle, id: &ReceiptId, owner: &str) -> Ended {
    bundle.receipts.send(id, &attempt(bundle, owner)).await
}

fn state(bundle: &Bundle, id: &ReceiptId) -> ReceiptState {
    bundle.world.kept().receipts[id].state.clone()
}

fn calls(bundle: &Bundle) -> String {
    std::mem::take(&mut bundle.world.kept().calls).join(" ")
}

#[tokio::test]
async fn what_follows_a_sale_is_sent_to_where_the_customer_is_reached_now() {
    let refunded = |bundle: &Bundle| owe(bundle, refund(bundle), None);
    for (unsent_of, subject) in [
        (
            renewal as fn(&Bundle) -> ReceiptId,
            "Receipt for your renewal",
        ),
        (refunded, "Your refund"),
    ] {
        let bundle = unsent(OnUnknown::Hold).await;
        let id = unsent_of(&bundle);
        knows(&bundle, Some("pat@new.example"));
        let ended = send_of(&bundle, &id, "a").await;
        assert!(sent(&ended).marked);
        assert_eq!(
            calls(&bundle),
            "receipts.receipt orders.order entitlements.contact marks.address_mark receipts.claim mailer.send receipts.mark"
        );
        let mail = bundle.world.kept().mails[0].clone();
        assert_eq!((mail.to.as_str(), mail.receipt_id), ("pat@new.example", id));
        assert!(mail.subject.starts_with(subject), "{}", mail.subject);
        // The sale's own receipt goes to the buyer's address.
        let _ = send(&bundle, "b").await;
        assert_eq!(bundle.mailed_to(1), "pat@example.com");
    }
}

#[tokio::test]
async fn a_customer_of_whom_no_news_came_is_reached_as_at_the_sale() {
    let bundle = unsent(OnUnknown::Hold).await;
    let id = owe(&bundle, refund(&bundle), None);
    assert!(sent(&send_of(&bundle, &id, "a").await).marked);
    assert_eq!(bundle.mailed_to(0), "pat@example.com");

    // A customer without an id causes no request.
    let refunded = ReceiptKind::Refund {
        refund_id: RefundId::new("fre_2").unwrap(),
        amount: 500,
        refunded_at: bundle.world.now(),
    };
    let id = owe(&bundle, refunded, None);
    has_no_id(&bundle);
    assert!(sent(&send_of(&bundle, &id, "a").await).marked);
    assert_eq!(bundle.mailed_to(1), "pat@example.com");
}

#[tokio::test]
async fn a_deleted_customer_is_not_written_to() {
    let bundle = unsent(OnUnknown::Resend).await;
    let id = owe(&bundle, refund(&bundle), None);
    knows(&bundle, None);
    let reason = "the customer has been deleted".to_owned();
    assert_eq!(send_of(&bundle, &id, "a").await, failed(&reason));
    assert_eq!(state(&bundle, &id), ReceiptState::Failed { reason });
    assert_eq!(bundle.mails(), 0);
}

#[tokio::test]
async fn a_notice_is_sent_while_it_is_so() {
    let bundle = unsent(OnUnknown::Resend).await;
    let ends = trial_ends(&bundle, 72);
    for (kind, status) in [
        (payment_failed(), SubscriptionStatus::PastDue),
        (ends.clone(), SubscriptionStatus::Trialing),
    ] {
        let id = owe(&bundle, kind, None);
        subscribes(&bundle, status, Some(&ends));
        assert!(sent(&send_of(&bundle, &id, "a").await).marked);
        assert_eq!(
            calls(&bundle),
            "receipts.receipt orders.order entitlements.subscription entitlements.contact marks.address_mark \
             receipts.claim mailer.send receipts.mark"
        );
    }
    assert_eq!(bundle.mails(), 2);
}

#[tokio::test]
async fn a_notice_of_what_is_not_so_any_more_is_withdrawn() {
    let bundle = unsent(OnUnknown::Hold).await;
    let ends = trial_ends(&bundle, 72);
    let failed = owe(&bundle, payment_failed(), None);
    let trial = owe(&bundle, ends.clone(), None);
    let mut subscription = subscribes(&bundle, SubscriptionStatus::Active, Some(&ends));
    subscription.learn_invoice(
        bundle.world.now(),
        &invoice_id(),
        InvoiceEvent::Paid,
        kit::story::bill(),
    );
    keep(&bundle, &subscription);
    for id in [failed, trial] {
        let reason = OUTDATED.to_owned();
        assert_eq!(send_of(&bundle, &id, "a").await, withdrawn(&reason));
        assert_eq!(
            calls(&bundle),
            "receipts.receipt orders.order entitlements.subscription receipts.claim receipts.mark"
        );
        assert_eq!(state(&bundle, &id), ReceiptState::Withdrawn { reason });
        assert_eq!(send_of(&bundle, &id, "b").await, Outcome::Duplicate);
        assert_eq!(calls(&bundle), "receipts.receipt");
    }
    assert_eq!(bundle.mails(), 0);
}

#[tokio::test]
async fn a_notice_whose_subscription_is_not_known_or_whose_day_is_over_is_withdrawn() {
    let bundle = unsent(OnUnknown::Resend).await;
    let id = owe(&bundle, payment_failed(), None);
    assert_eq!(send_of(&bundle, &id, "a").await, withdrawn(OUTDATED));

    let bundle = unsent(OnUnknown::Resend).await;
    let id = owe(&bundle, payment_failed(), None);
    subscribes(&bundle, SubscriptionStatus::PastDue, None);
    has_no_id(&bundle);
    assert_eq!(send_of(&bundle, &id, "a").await, withdrawn(OUTDATED));

    // After the trial's end the notice is outdated.
    let bundle = unsent(OnUnknown::Resend).await;
    let ends = trial_ends(&bundle, 72);
    let id = owe(&bundle, ends.clone(), None);
    subscribes(&bundle, SubscriptionStatus::Trialing, Some(&ends));
    bundle.world.pass(Duration::from_hours(72));
    assert_eq!(send_of(&bundle, &id, "a").await, withdrawn(OUTDATED));
    assert_eq!(bundle.mails(), 0);
}

/// An issued invoice whose payment failed, with these facts beside.
fn invoices(bundle: &Bundle, more: InvoiceFacts) {
    let now = bundle.world.now();
    let attempt = invoice::Attempt {
        status: "failed".to_owned(),
        failed: true,
    };
    let facts = InvoiceFacts {
        status: Some(more.status.unwrap_or(InvoiceStatus::Open)),
        outstanding: Some(4999),
        attempts: [(PaymentAttemptId::new("invpa_1").unwrap(), attempt.into())].into(),
        ..more
    };
    let change = ResourceChange::Invoice {
        id: invoice_id(),
        facts: Box::new(facts.into()),
    };
    let row = Resource::learn(None, &"flint".parse().unwrap(), &change, now).next();
    bundle.world.kept().tables.resources.insert(row.id(), row);
}

fn invoice_payment_failed() -> ReceiptKind {
    ReceiptKind::InvoicePaymentFailed {
        invoice_id: invoice_id(),
        number: None,
        amount: Some(4999),
    }
}

#[tokio::test]
async fn a_notice_of_an_invoice_is_sent_while_its_payment_fails() {
    let bundle = unsent(OnUnknown::Resend).await;
    let id = owe(&bundle, invoice_payment_failed(), None);
    knows(&bundle, Some("pat@new.example"));
    invoices(&bundle, InvoiceFacts::default());
    assert!(sent(&send_of(&bundle, &id, "a").await).marked);
    assert_eq!(
        calls(&bundle),
        "receipts.receipt orders.order resources.resource entitlements.contact marks.address_mark \
         receipts.claim mailer.send receipts.mark"
    );
    assert_eq!(bundle.mailed_to(0), "pat@new.example");
}

#[tokio::test]
async fn a_notice_of_an_invoice_that_is_paid_blocked_or_lost_is_withdrawn() {
    let paid = InvoiceFacts {
        status: Some(InvoiceStatus::Paid),
        ..InvoiceFacts::default()
    };
    let blocked = InvoiceFacts {
        blocked: Some(true),
        ..InvoiceFacts::default()
    };
    for facts in [Some(paid), Some(blocked), None] {
        let bundle = unsent(OnUnknown::Resend).await;
        let id = owe(&bundle, invoice_payment_failed(), None);
        if let Some(facts) = facts {
            invoices(&bundle, facts);
        }
        assert_eq!(send_of(&bundle, &id, "a").await, withdrawn(OUTDATED));
        assert_eq!(state(&bundle, &id), withdrawn_for(OUTDATED));
        assert_eq!(bundle.mails(), 0);
    }
}

/// The goods of the order with the state of their shipment.
fn ships(bundle: &Bundle, progress: Progress) {
    let facts = FulfillmentFacts {
        progress,
        word: format!("{progress:?}"),
        method: Some(Method::Shipment),
        goods: BTreeMap::new(),
        packages: Vec::new(),
    };
    let fact = Fact::new(bundle.world.now(), facts);
    let mut kept = bundle.world.kept();
    let order = kept.tables.orders.values_mut().next().unwrap();
    order.fulfillments = [(fulfillment_id(), fact)].into();
}

fn fulfillment_id() -> FulfillmentId {
    FulfillmentId::new("ful_1").unwrap()
}

fn shipment() -> ReceiptKind {
    ReceiptKind::Shipment {
        fulfillment_id: fulfillment_id(),
    }
}

#[tokio::test]
async fn a_notice_of_a_shipment_is_sent_while_the_goods_are_on_their_way() {
    let bundle = unsent(OnUnknown::Resend).await;
    let id = owe(&bundle, shipment(), None);
    ships(&bundle, Progress::Underway);
    assert!(sent(&send_of(&bundle, &id, "a").await).marked);
    assert_eq!(bundle.mails(), 1);
}

#[tokio::test]
async fn a_notice_of_a_shipment_that_is_canceled_failed_or_lost_is_withdrawn() {
    for progress in [Some(Progress::Canceled), Some(Progress::Failed), None] {
        let bundle = unsent(OnUnknown::Resend).await;
        let id = owe(&bundle, shipment(), None);
        if let Some(progress) = progress {
            ships(&bundle, progress);
        }
        assert_eq!(send_of(&bundle, &id, "a").await, withdrawn(OUTDATED));
        assert_eq!(state(&bundle, &id), withdrawn_for(OUTDATED));
        assert_eq!(bundle.mails(), 0);
    }
}

#[tokio::test]
async fn a_withdrawal_needs_the_claim_like_a_mail() {
    let bundle = unsent(OnUnknown::Resend).await;
    let id = owe(&bundle, payment_failed(), None);
    let ended = join_all((0..16).map(|n| {
        let (bundle, id) = (&bundle, &id);
        async move { send_of(bundle, id, &format!("owner-{n}")).await }
    }))
    .await;
    let withdrawn = ended
        .iter()
        .filter(|ended| matches!(ended, Outcome::Rejected(Unsent::Withdrawn(_))));
    assert_eq!((withdrawn.count(), bundle.mails()), (1, 0));
    assert_eq!(state(&bundle, &id), withdrawn_for(OUTDATED));
}

#[tokio::test]
async fn a_claim_on_a_notice_is_not_withdrawn_from_under_its_holder() {
    let bundle = unsent(OnUnknown::Resend).await;
    let id = owe(&bundle, payment_failed(), None);
    let mut subscription = subscribes(&bundle, SubscriptionStatus::PastDue, None);
    // Stopped right before the mail: its outcome is unknown.
    fault_at(&bundle, 6, StopBefore);
    assert_eq!(bundle.world.run(send_of(&bundle, &id, "a")).await, None);
    subscription.learn_invoice(
        bundle.world.now(),
        &invoice_id(),
        InvoiceEvent::Paid,
        kit::story::bill(),
    );
    keep(&bundle, &subscription);
    let retry_after = claim_lasts();
    assert_eq!(send_of(&bundle, &id, "b").await, busy(retry_after));
    bundle.world.pass(retry_after);
    let reason = format!("{OUTDATED}, and a mail may have gone out before");
    assert_eq!(send_of(&bundle, &id, "b").await, withdrawn(&reason));
    assert_eq!(state(&bundle, &id), ReceiptState::Withdrawn { reason });
    assert_eq!(bundle.mails(), 0);
}

#[tokio::test]
async fn nothing_is_claimed_before_all_is_known_that_it_takes() {
    for call in 0..5 {
        let bundle = unsent(OnUnknown::Hold).await;
        let id = owe(&bundle, payment_failed(), None);
        subscribes(&bundle, SubscriptionStatus::PastDue, None);
        fault_at(&bundle, call, FailBefore);
        assert!(
            matches!(
                send_of(&bundle, &id, "a").await,
                Outcome::Retry(RetryableError::Away { .. })
            ),
            "{call}"
        );
        assert_eq!(state(&bundle, &id), ReceiptState::Unsent { reason: None });
        assert!(!sent(&send_of(&bundle, &id, "b").await).again);
    }
}

#[tokio::test]
async fn a_mail_for_a_later_day_is_left_alone_until_then() {
    let bundle = unsent(OnUnknown::Resend).await;
    let day = Duration::from_hours(24);
    let ends = trial_ends(&bundle, 48);
    let id = owe(&bundle, ends.clone(), Some(day));
    subscribes(&bundle, SubscriptionStatus::Trialing, Some(&ends));
    bundle.world.kept().receipt_queue.clear();
    let row = || bundle.receipt(&id);
    let before = row();
    assert_eq!(
        send_of(&bundle, &id, "a").await,
        Outcome::Rejected(Unsent::NotDue)
    );
    assert_eq!(calls(&bundle), "receipts.receipt");
    assert_eq!(row(), before);

    // A message that comes too early is done with: the row is found again by its day.
    let job = ReceiptJob::V1 {
        receipt_id: id.clone(),
    };
    domain::ports::Queue::send(&bundle.world, &job)
        .await
        .unwrap();
    bundle.drain().await;
    assert_eq!(bundle.mails(), 0);
    assert!(bundle.world.kept().receipt_queue.is_empty());
    assert!(bundle.world.kept().dead_letters.is_empty());

    bundle.world.pass(day);
    domain::ports::Queue::send(&bundle.world, &job)
        .await
        .unwrap();
    bundle.drain().await;
    assert_matches!(state(&bundle, &id), ReceiptState::Sent { .. });
    assert_eq!(bundle.mails(), 1);
}

#[test]
fn a_merchants_templates_are_found_in_the_folder_of_their_mail() {
    let folder = std::env::temp_dir().join(format!("receipts-own-{}", std::process::id()));
    for (subfolder, word) in [
        ("", "Sale"),
        ("renewal", "Renewal"),
        ("payment-failed", "Failure"),
    ] {
        fs::create_dir_all(folder.join(subfolder)).unwrap();
        let subject = format!("{{{{ test.marker if test else '{word}' }}}}");
        fs::write(folder.join(subfolder).join("subject.txt"), subject).unwrap();
    }
    let templates = receipts::templates::load(&folder);
    fs::write(
        folder.join("renewal").join("body.txt"),
        "Dear customer,\n{{ nope }}",
    )
    .unwrap();
    let bad = receipts::templates::load(&folder).unwrap_err().to_string();
    fs::remove_dir_all(&folder).unwrap();
    assert_eq!(bad, "template renewal/body.txt, line 2: undefined value");

    let templates = templates.unwrap();
    let subject = |form| templates.preview(form, Sample::Full).unwrap().subject;
    assert_eq!(
        [Form::Receipt, Form::Renewal, Form::PaymentFailed].map(subject),
        ["Sale", "Renewal", "Failure"]
    );
    assert!(subject(Form::Refund).starts_with("Your refund"));
    // No folder, no templates of one's own.
    assert!(receipts::templates::load(&folder).is_ok());
}
