//! Feedback by its outcomes: a report of SES settles its receipt once, whenever and however often it comes.

use ::feedback::{
    Dropped, Ended, Learned,
    notice::{NoReport, Notice},
    without_trials,
};
use aws::batch::{self, Attempt};
use aws_lambda_events::event::sqs::{SqsBatchResponse, SqsEvent, SqsMessage};
use domain::{
    ports::{Orders as _, ReceiptAdmin as _, Receipts as _},
    sale::delivery_failure::DeliveryFailure,
};
use kit::prelude::*;
use kit::{
    drive::{RULES, TRY_LASTS},
    ses::{KINDS, Taken},
};
use receipts::{LEASE_MARGIN, Unsent};
use serde_json::{Value, json};
use std::time::Duration;

/// At which call an order's receipt is sent.
const SENDING: usize = 4;
const SOON: Duration = Duration::from_secs(90);

/// An order is committed and its receipt is unsent; nothing is queued.
async fn unsent(bundle: &Bundle, n: u64) -> Receipt {
    bundle.sell(n).await;
    let event_id = domain::values::ids::EventId::new(format!("fevt_{n}")).unwrap();
    assert_matches!(
        bundle.fulfillment.fulfill(&event_id, 1).await,
        Outcome::Accepted(_)
    );
    let mut kept = bundle.world.kept();
    kept.fulfillment_queue.clear();
    kept.calls.clear();
    let order_id = purchase(n).order_id().to_owned();
    kept.receipts
        .values()
        .find(|receipt| receipt.order_id.as_str() == order_id)
        .unwrap()
        .clone()
}

async fn send(bundle: &Bundle, id: &ReceiptId, owner: &str) -> receipts::Ended {
    let ends_at = bundle.world.now() + TRY_LASTS;
    let attempt = Attempt {
        owner: OwnerToken::new(owner).unwrap(),
        receives: 1,
        is_last: false,
        ends_at,
    };
    bundle.receipts.send(id, &attempt).await
}

/// Sent and marked: the mail, as SES knows it.
async fn sent(bundle: &Bundle, id: &ReceiptId, owner: &str) -> Taken {
    let ended = send(bundle, id, owner).await;
    assert_matches!(ended, Outcome::Accepted(_));
    taken(bundle, id)
}

/// Sent by a process that is killed before it marks the receipt.
async fn sent_and_not_marked(bundle: &Bundle, id: &ReceiptId) -> Taken {
    bundle.world.kept().calls.clear();
    bundle.strike(SENDING, StopAfter);
    assert_eq!(bundle.world.run(send(bundle, id, "a")).await, None);
    taken(bundle, id)
}

/// The last mail of a receipt, as SES knows it.
fn taken(bundle: &Bundle, id: &ReceiptId) -> Taken {
    let at = bundle.world.now();
    let kept = bundle.world.kept();
    let n = kept
        .mails
        .iter()
        .rposition(|mail| mail.receipt_id == *id)
        .unwrap();
    Taken {
        receipt_id: id.clone(),
        message_id: MessageId::new(format!("ses-{}", n + 1)).unwrap(),
        to: kept.mails[n].to.as_str().to_owned(),
        at,
    }
}

fn notice(facts: &Value) -> Notice {
    serde_json::from_value(facts.clone()).unwrap()
}

async fn tell(bundle: &Bundle, mail: &Taken, kind: &str) -> Ended {
    bundle.feedback.take(&notice(&mail.facts(kind))).await
}

/// An operator finds that mails do arrive there.
fn clear(bundle: &Bundle, mail: &Taken) {
    let (address, now) = (AddressHash::of(&mail.to), bundle.world.now());
    let mut kept = bundle.world.kept();
    kept.marks
        .entry(address.clone())
        .or_insert_with(|| Suppression::of(address))
        .cleared_at = Some(now);
}

/// An operator has it sent again.
async fn reopen(bundle: &Bundle, seen: &Receipt) {
    let world = &bundle.world;
    let note = operator_note(Action::Resent, world.now());
    let reopened = world.reopen_receipt(seen, &note, world.now()).await;
    assert_eq!(reopened, Ok(Changed::Now));
}

fn delivery_failure(bundle: &Bundle, receipt: &Receipt) -> Option<DeliveryFailure> {
    bundle.world.kept().orders[&receipt.order_id]
        .delivery_failures
        .get(&receipt.receipt_id)
        .copied()
}

/// The report has settled the receipt as sent.
fn settled() -> Ended {
    Outcome::Accepted(Learned {
        settled: Some(ReceiptStatus::Sent),
        delivery_failure: None,
    })
}

fn held() -> receipts::Ended {
    Outcome::Rejected(Unsent::Held)
}

fn is_sent(bundle: &Bundle, id: &ReceiptId) -> bool {
    matches!(bundle.receipt(id).state, ReceiptState::Sent { .. })
}

const BOUNCED: Option<DeliveryFailure> = Some(DeliveryFailure::Bounced);
const UNSENT: ReceiptState = ReceiptState::Unsent { reason: None };

fn is_suppressed(bundle: &Bundle, mail: &Taken) -> bool {
    let address = AddressHash::of(&mail.to);
    bundle.world.kept().marks.contains_key(&address)
}

fn noted(delivery_failure: Option<DeliveryFailure>) -> Ended {
    Outcome::Accepted(Learned {
        settled: None,
        delivery_failure,
    })
}

#[tokio::test]
async fn a_mail_that_was_sent_and_never_marked_is_settled_by_feedback_and_not_mailed_again() {
    for policy in [OnUnknown::Resend, OnUnknown::Hold] {
        for kind in ["send", "delivery"] {
            let bundle = open_shop(policy);
            let id = unsent(&bundle, 1).await.receipt_id;
            let mail = sent_and_not_marked(&bundle, &id).await;
            assert_matches!(bundle.receipt(&id).state, ReceiptState::Leased { .. });
            assert_eq!(tell(&bundle, &mail, kind).await, settled());
            let sent = ReceiptState::Sent {
                message_id: mail.message_id.clone(),
                sent_at: mail.at,
            };
            assert_eq!(bundle.receipt(&id).state, sent);
            // The message that the killed process had comes back, again and again.
            bundle.drain().await;
            bundle.world.pass(Duration::from_hours(24));
            assert_eq!(send(&bundle, &id, "b").await, Outcome::Duplicate);
            assert_eq!((bundle.receipt(&id).state, bundle.mails()), (sent, 1));
        }
    }
}

#[tokio::test]
async fn feedback_that_comes_after_the_claim_has_ended_is_in_time_until_somebody_sends_again() {
    let bundle = open_shop(OnUnknown::Resend);
    let id = unsent(&bundle, 1).await.receipt_id;
    let mail = sent_and_not_marked(&bundle, &id).await;
    bundle
        .world
        .pass(TRY_LASTS + LEASE_MARGIN + Duration::from_mins(5));
    assert_eq!(tell(&bundle, &mail, "send").await, settled());
    assert_eq!(send(&bundle, &id, "b").await, Outcome::Duplicate);
    assert_eq!(bundle.mails(), 1);
}

#[tokio::test]
async fn without_feedback_the_policy_decides_and_feedback_is_right_in_the_end() {
    let bundle = open_shop(OnUnknown::Hold);
    let id = unsent(&bundle, 1).await.receipt_id;
    let mail = sent_and_not_marked(&bundle, &id).await;
    bundle.world.pass(TRY_LASTS + LEASE_MARGIN);
    assert_eq!(send(&bundle, &id, "b").await, held());
    assert_eq!(tell(&bundle, &mail, "delivery").await, settled());

    let bundle = open_shop(OnUnknown::Resend);
    let id = unsent(&bundle, 1).await.receipt_id;
    let first = sent_and_not_marked(&bundle, &id).await;
    bundle.world.pass(TRY_LASTS + LEASE_MARGIN);
    assert!(matches!(
        send(&bundle, &id, "b").await,
        Outcome::Accepted(_)
    ));
    let second = taken(&bundle, &id);
    let before = bundle.receipt(&id).state;
    for mail in [&first, &second] {
        let _ = tell(&bundle, mail, "send").await;
        assert_eq!(tell(&bundle, mail, "delivery").await, noted(None));
    }
    assert_eq!((bundle.receipt(&id).state, bundle.mails()), (before, 2));
}

#[tokio::test]
async fn feedback_that_is_faster_than_the_mark_does_no_harm() {
    let bundle = open_shop(OnUnknown::Resend);
    let id = unsent(&bundle, 1).await.receipt_id;
    let mail = sent_and_not_marked(&bundle, &id).await;
    assert_eq!(tell(&bundle, &mail, "send").await, settled());
    let before = bundle.receipt(&id);
    let state = ReceiptState::Sent {
        message_id: mail.message_id.clone(),
        sent_at: bundle.world.now(),
    };
    let marked = bundle
        .world
        .end_lease(&id, &OwnerToken::new("a").unwrap(), &state, None)
        .await;
    assert_eq!(marked, Ok(Changed::Raced));
    assert_eq!(bundle.receipt(&id), before);
}

#[tokio::test]
async fn a_mail_that_ses_would_not_send_fails_its_receipt() {
    for kind in ["reject", "rendering-failure"] {
        let bundle = open_shop(OnUnknown::Resend);
        let receipt = unsent(&bundle, 1).await;
        let mail = sent(&bundle, &receipt.receipt_id, "a").await;
        let failed = Learned {
            settled: Some(ReceiptStatus::Failed),
            delivery_failure: Some(DeliveryFailure::Refused),
        };
        assert_eq!(tell(&bundle, &mail, kind).await, Outcome::Accepted(failed));
        assert_eq!(
            delivery_failure(&bundle, &receipt),
            Some(DeliveryFailure::Refused)
        );
        assert!(
            bundle.world.kept().marks.is_empty(),
            "the address is not to blame"
        );
    }
}

#[tokio::test]
async fn a_hard_bounce_or_a_complaint_stops_every_later_mail_to_that_address() {
    for (kind, word, reason) in [
        (
            "bounce",
            DeliveryFailure::Bounced,
            "an earlier mail to this address bounced permanently",
        ),
        (
            "complaint",
            DeliveryFailure::Complained,
            "the recipient complained of an earlier mail",
        ),
    ] {
        let bundle = open_shop(OnUnknown::Resend);
        let first = unsent(&bundle, 1).await;
        let mail = sent(&bundle, &first.receipt_id, "a").await;
        assert_eq!(tell(&bundle, &mail, "delivery").await, noted(None));
        assert_eq!(tell(&bundle, &mail, kind).await, noted(Some(word)));
        assert_eq!(
            delivery_failure(&bundle, &first),
            Some(word),
            "the order says so"
        );
        assert_eq!(
            delivery_failure(&bundle, &first).unwrap().to_string(),
            serde_json::to_value(word).unwrap().as_str().unwrap()
        );

        // The same person, however the address is spelled, and another one.
        let second = unsent(&bundle, 2).await;
        bundle
            .world
            .kept()
            .orders
            .get_mut(&second.order_id)
            .unwrap()
            .customer
            .email = Some(mail.to.to_uppercase());
        let failed = Outcome::Rejected(Unsent::Failed(reason.to_owned()));
        assert_eq!(send(&bundle, &second.receipt_id, "b").await, failed);
        assert_eq!(bundle.receipt(&second.receipt_id).state, failed_for(reason));
        let third = unsent(&bundle, 3).await;
        bundle.correct_address(&third.order_id, "sam@example.com");
        sent(&bundle, &third.receipt_id, "c").await;
        assert_eq!(bundle.mails(), 2);

        // A person finds the address to be good again, and the report comes once more.
        bundle.world.pass(Duration::from_hours(24));
        clear(&bundle, &mail);
        let _ = tell(&bundle, &mail, kind).await;
        let seen = bundle.receipt(&second.receipt_id);
        reopen(&bundle, &seen).await;
        sent(&bundle, &second.receipt_id, "d").await;
    }
}

#[tokio::test]
async fn a_mail_that_ses_took_and_did_not_send_for_its_own_list_is_no_complaint_of_it() {
    let bundle = open_shop(OnUnknown::Resend);
    let receipt = unsent(&bundle, 1).await;
    let mail = sent(&bundle, &receipt.receipt_id, "a").await;
    assert_eq!(tell(&bundle, &mail, "send").await, noted(None));
    assert_eq!(
        tell(&bundle, &mail, "complaint.suppressed").await,
        noted(BOUNCED)
    );
    assert_eq!(
        delivery_failure(&bundle, &receipt),
        BOUNCED,
        "it did not arrive"
    );
    let mark = bundle.world.kept().marks[&AddressHash::of(&mail.to)].clone();
    assert!(mark.bounced_at.is_some() && mark.complained_at.is_none());
}

#[tokio::test]
async fn a_full_mailbox_is_told_of_and_written_to_again() {
    let bundle = open_shop(OnUnknown::Resend);
    let first = unsent(&bundle, 1).await;
    let mail = sent(&bundle, &first.receipt_id, "a").await;
    assert_eq!(
        tell(&bundle, &mail, "bounce.transient").await,
        noted(BOUNCED)
    );
    assert_eq!(delivery_failure(&bundle, &first), BOUNCED);
    let second = unsent(&bundle, 2).await;
    sent(&bundle, &second.receipt_id, "b").await;
    // Sent once more by a person, and arrived: the order has nothing to say any more.
    bundle.world.pass(Duration::from_hours(1));
    reopen(&bundle, &bundle.receipt(&first.receipt_id)).await;
    let again = sent(&bundle, &first.receipt_id, "c").await;
    assert_eq!(tell(&bundle, &again, "delivery").await, noted(None));
    assert_eq!(delivery_failure(&bundle, &first), None);
}

#[tokio::test]
async fn an_automatic_answer_is_no_trouble_and_a_mail_that_came_back_after_all_is() {
    for (kind, after) in [
        ("bounce.out-of-office", None),
        ("bounce.transient", BOUNCED),
    ] {
        let bundle = open_shop(OnUnknown::Resend);
        let receipt = unsent(&bundle, 1).await;
        let mail = sent(&bundle, &receipt.receipt_id, "a").await;
        assert_eq!(tell(&bundle, &mail, "delivery").await, noted(None));
        assert_eq!(tell(&bundle, &mail, kind).await, noted(after), "{kind}");
        assert_eq!(delivery_failure(&bundle, &receipt), after, "{kind}");
        assert!(
            bundle.world.kept().marks.is_empty(),
            "another mail may arrive"
        );
    }
}

#[tokio::test]
async fn what_comes_late_of_a_bounced_mail_does_not_stop_the_one_to_the_corrected_address() {
    let bundle = open_shop(OnUnknown::Hold);
    let receipt = unsent(&bundle, 1).await;
    let mail = sent_and_not_marked(&bundle, &receipt.receipt_id).await;
    let bounced = Learned {
        settled: Some(ReceiptStatus::Sent),
        delivery_failure: BOUNCED,
    };
    assert_eq!(
        tell(&bundle, &mail, "bounce").await,
        Outcome::Accepted(bounced)
    );
    bundle.correct_address(&receipt.order_id, "pat@new.example");
    reopen(&bundle, &bundle.receipt(&receipt.receipt_id)).await;
    for kind in ["send", "bounce", "send"] {
        let _ = tell(&bundle, &mail, kind).await;
        assert_eq!(bundle.receipt(&receipt.receipt_id).state, UNSENT, "{kind}");
    }
    sent(&bundle, &receipt.receipt_id, "b").await;
    assert_eq!(bundle.mailed_to(1), "pat@new.example");
}

#[tokio::test]
async fn what_comes_late_of_a_mail_that_nobody_knew_of_does_not_stop_the_one_that_a_person_asked_for()
 {
    for facts in ["send", "delivery", "bounce", "reject"] {
        let bundle = open_shop(OnUnknown::Hold);
        let id = unsent(&bundle, 1).await.receipt_id;
        let first = sent_and_not_marked(&bundle, &id).await;
        bundle.world.pass(TRY_LASTS + LEASE_MARGIN);
        assert_eq!(send(&bundle, &id, "b").await, held());
        let held = bundle.receipt(&id);
        assert!(held.mails.is_empty());
        reopen(&bundle, &held).await;
        assert!(
            matches!(tell(&bundle, &first, facts).await, Outcome::Accepted(_)),
            "{facts}"
        );
        assert_eq!(bundle.receipt(&id).state, UNSENT, "{facts}");
        // After a bounce, so that the address is written to.
        bundle.world.pass(Duration::from_hours(24));
        clear(&bundle, &first);
        assert!(
            matches!(send(&bundle, &id, "c").await, Outcome::Accepted(_)),
            "{facts}"
        );
        assert_eq!(bundle.mails(), 2);
    }
}

/// All orders of some things.
fn orders_of(things: &[&'static str]) -> Vec<Vec<&'static str>> {
    let [first, rest @ ..] = things else {
        return vec![vec![]];
    };
    let mut all = Vec::new();
    for order in orders_of(rest) {
        for place in 0..=order.len() {
            let mut order = order.clone();
            order.insert(place, first);
            all.push(order);
        }
    }
    all
}

#[tokio::test]
async fn in_any_order_and_twice_there_is_one_end() {
    let mut ends = Vec::new();
    for facts in orders_of(&[
        "send",
        "delivery",
        "bounce",
        "complaint",
        "bounce.transient",
    ]) {
        let bundle = open_shop(OnUnknown::Hold);
        let receipt = unsent(&bundle, 1).await;
        let mail = sent_and_not_marked(&bundle, &receipt.receipt_id).await;
        for kind in facts.iter().chain(&facts) {
            let ended = tell(&bundle, &mail, kind).await;
            assert!(
                matches!(ended, Outcome::Accepted(_) | Outcome::Duplicate),
                "{facts:?}: {ended:?}"
            );
        }
        let kept = bundle.world.kept();
        let row = kept.receipts[&receipt.receipt_id].clone();
        let order = kept.orders[&receipt.order_id].clone();
        ends.push((
            row.state,
            row.mails,
            order.delivery_failures,
            kept.marks.clone(),
        ));
    }
    assert_eq!(ends.len(), 120);
    ends.dedup();
    assert_eq!(ends.len(), 1, "{ends:#?}");
}

#[tokio::test]
async fn all_at_once_come_to_the_same_end() {
    let bundle = open_shop(OnUnknown::Hold);
    let receipt = unsent(&bundle, 1).await;
    let mail = sent_and_not_marked(&bundle, &receipt.receipt_id).await;
    let facts: Vec<Notice> = ["send", "delivery", "bounce"]
        .map(|kind| notice(&mail.facts(kind)))
        .into();
    let ended =
        futures_util::future::join_all(facts.iter().map(|notice| bundle.feedback.take(notice)))
            .await;
    assert!(
        ended
            .iter()
            .all(|ended| matches!(ended, Outcome::Accepted(_))),
        "{ended:?}"
    );
    assert!(is_sent(&bundle, &receipt.receipt_id));
    assert_eq!(delivery_failure(&bundle, &receipt), BOUNCED);
}

#[tokio::test]
async fn stopped_or_failed_anywhere_a_report_is_learned_whole_the_next_time() {
    let calls = {
        let bundle = open_shop(OnUnknown::Hold);
        let id = unsent(&bundle, 1).await.receipt_id;
        let mail = sent_and_not_marked(&bundle, &id).await;
        bundle.world.kept().calls.clear();
        let _ = tell(&bundle, &mail, "bounce").await;
        std::mem::take(&mut bundle.world.kept().calls)
    };
    assert_eq!(
        calls,
        [
            "marks.set_mark",
            "receipts.receipt",
            "receipts.learn",
            "orders.order",
            "receipts.receipt",
            "orders.keep_trouble",
            "orders.order",
            "receipts.receipt"
        ]
    );
    for call in 0..calls.len() {
        for fault in [
            FailBefore, FailAfter, StopBefore, StopAfter, Conflict, Throttled, Twice,
        ] {
            let bundle = open_shop(OnUnknown::Hold);
            let receipt = unsent(&bundle, 1).await;
            let mail = sent_and_not_marked(&bundle, &receipt.receipt_id).await;
            bundle.world.kept().calls.clear();
            bundle.strike(call, fault);
            let _ = bundle.world.run(tell(&bundle, &mail, "bounce")).await;
            let ended = tell(&bundle, &mail, "bounce").await;
            assert!(
                matches!(ended, Outcome::Accepted(_) | Outcome::Duplicate),
                "{call} {fault:?}: {ended:?}"
            );
            assert!(is_sent(&bundle, &receipt.receipt_id), "{call} {fault:?}");
            assert_eq!(
                delivery_failure(&bundle, &receipt),
                BOUNCED,
                "{call} {fault:?}"
            );
            assert!(is_suppressed(&bundle, &mail), "{call} {fault:?}");
        }
    }
}

#[tokio::test]
async fn a_report_of_an_unknown_receipt_is_dropped_and_its_address_remembered() {
    let bundle = open_shop(OnUnknown::Hold);
    let mail = Taken {
        receipt_id: ReceiptId::new("fcs_other-order").unwrap(),
        message_id: MessageId::new("ses-1").unwrap(),
        to: "pat@example.com".to_owned(),
        at: bundle.world.now(),
    };
    for kind in KINDS {
        assert_eq!(
            tell(&bundle, &mail, kind).await,
            Outcome::Rejected(Dropped::NoReceipt),
            "{kind}"
        );
    }
    assert_eq!(bundle.world.kept().marks.len(), 1);
    assert!(bundle.world.kept().receipts.is_empty() && bundle.world.kept().orders.is_empty());
}

#[tokio::test]
async fn what_is_not_ours_or_not_needed_is_dropped_and_asks_nobody() {
    let bundle = open_shop(OnUnknown::Hold);
    let id = unsent(&bundle, 1).await.receipt_id;
    let mail = sent_and_not_marked(&bundle, &id).await;
    bundle.world.kept().calls.clear();
    let mut strange = mail.facts("bounce");
    strange["mail"]["tags"]
        .as_object_mut()
        .unwrap()
        .remove("receipt_id");
    let mut opened = mail.facts("send");
    opened["eventType"] = json!("Open");
    for (facts, why) in [(strange, NoReport::NotOurs), (opened, NoReport::NotNeeded)] {
        assert_eq!(
            bundle.feedback.take(&notice(&facts)).await,
            Outcome::Rejected(why.into())
        );
    }
    assert_eq!(bundle.world.kept().calls, [""; 0]);
}

fn batch(bodies: &[String]) -> SqsEvent {
    let mut event = SqsEvent::default();
    for (n, body) in bodies.iter().enumerate() {
        let mut record = SqsMessage::default();
        record.message_id = Some(format!("m{n}"));
        record.receipt_handle = Some(format!("h{n}"));
        record.body = Some(body.clone());
        event.records.push(record);
    }
    event
}

fn failures(response: &SqsBatchResponse) -> Vec<&str> {
    response
        .batch_item_failures
        .iter()
        .map(|failure| failure.item_identifier.as_str())
        .collect()
}

#[tokio::test]
async fn what_is_no_report_fails_alone_and_a_trial_of_the_topic_not_at_all() {
    let bundle = open_shop(OnUnknown::Hold);
    let id = unsent(&bundle, 1).await.receipt_id;
    let mail = sent_and_not_marked(&bundle, &id).await;
    let bodies = [
        "no JSON".to_owned(),
        "Successfully validated SNS topic for Amazon SES event publishing.".to_owned(),
        mail.facts("send").to_string(),
        json!({"eventType": "Bounce"}).to_string(),
        mail.facts("delivery").to_string(),
    ];
    let event = without_trials(batch(&bodies));
    let invocation = bundle.invocation("r1");
    let response = batch::run(
        event,
        invocation,
        RULES,
        &bundle.feedback,
        &bundle.world,
        &bundle.world,
    )
    .await
    .unwrap();
    assert_eq!(failures(&response), ["m0", "m3"]);
    assert!(is_sent(&bundle, &id));
}

#[test]
fn the_sample_for_a_container_is_one_of_the_samples() {
    let text = include_str!("../../events/feedback.json");
    let event: SqsEvent = serde_json::from_str(text).unwrap();
    let facts: Value = serde_json::from_str(event.records[0].body.as_deref().unwrap()).unwrap();
    let sample: Value =
        serde_json::from_str(include_str!("../../events/ses/delivery.json")).unwrap();
    assert_eq!(facts, sample);
}

/// A new purchase is sold on the deployed stack, and its receipt sent.
async fn sold(play: &Play) -> Receipt {
    let number = u64::try_from(Timestamp::now().as_microsecond()).unwrap();
    let mut purchase = Purchase::numbered(number);
    for line in purchase.line_items.as_array_mut().unwrap() {
        line["price"]["product"]["client_reference_id"] = json!(format!("SKU-{number}"));
    }
    play.sell(&purchase).await.unwrap();
    play.takes(&purchase.completed(&format!("fevt_{number}")))
        .await;
    play.sent_receipt(purchase.order_id(), SOON).await
}

async fn receipt_until(
    play: &Play,
    id: &ReceiptId,
    what: &str,
    is_so: impl Fn(&Receipt) -> bool,
) -> Receipt {
    until(what, SOON, async || {
        Ok(play
            .tables
            .store
            .receipt(id)
            .await?
            .filter(|receipt| is_so(receipt)))
    })
    .await
    .unwrap()
}

#[tokio::test]
async fn on_the_deployed_stack_reports_on_the_queue_settle_a_receipt_and_tell_its_order() {
    let play = play().await;
    let receipt = sold(&play).await;
    let ReceiptState::Sent { message_id, .. } = receipt.state.clone() else {
        panic!("{receipt:?}")
    };
    // Unmarked, as if its process had died after the send.
    let seen = &receipt;
    let now = Timestamp::now();
    assert_eq!(
        play.tables
            .store
            .reopen_receipt(seen, &operator_note(Action::Resent, now), now)
            .await,
        Ok(Changed::Now)
    );
    let pending = play
        .tables
        .store
        .receipt(&receipt.receipt_id)
        .await
        .unwrap()
        .unwrap();
    let owner = OwnerToken::new("a-process-that-died").unwrap();
    let claimed = play
        .tables
        .store
        .acquire_lease(&pending, &owner, Timestamp::now())
        .await;
    assert_eq!(claimed, Ok(Changed::Now));

    let to = format!("{}@example.com", receipt.order_id.as_str().to_lowercase());
    let mail = Taken {
        receipt_id: receipt.receipt_id.clone(),
        message_id: MessageId::new(format!("{message_id}-2")).unwrap(),
        to: to.clone(),
        at: pending.reopened_at.unwrap(),
    };
    let queue = &play.stack.queues.feedback;
    play.put_message(queue, &mail.facts("send").to_string())
        .await
        .unwrap();
    let settled = receipt_until(
        &play,
        &receipt.receipt_id,
        "the receipt is settled",
        |receipt| matches!(receipt.state, ReceiptState::Sent { .. }),
    )
    .await;
    assert_eq!(
        settled.state,
        ReceiptState::Sent {
            message_id: mail.message_id.clone(),
            sent_at: mail.at
        }
    );

    for kind in ["bounce", "delivery", "bounce", "send"] {
        play.put_message(queue, &mail.facts(kind).to_string())
            .await
            .unwrap();
    }
    let facts = receipt_until(&play, &receipt.receipt_id, "all is learned", |receipt| {
        let fate = &receipt.mails[&mail.message_id];
        fate.bounced_at.is_some() && fate.delivered_at.is_some()
    })
    .await;
    assert_eq!(facts.state, settled.state);
    let order_id: &OrderId = &receipt.order_id;
    until("the order says so", SOON, async || {
        let order = play.tables.store.order(order_id).await?;
        let delivery_failure =
            order.and_then(|order| order.delivery_failures.get(&receipt.receipt_id).copied());
        Ok(delivery_failure
            .filter(|delivery_failure| *delivery_failure == DeliveryFailure::Bounced))
    })
    .await
    .unwrap();
    let mark = domain::ports::Suppressions::suppression(&play.tables.store, &AddressHash::of(&to))
        .await
        .unwrap()
        .unwrap();
    assert!(mark.bounced_at.is_some() && mark.complained_at.is_none());
    // Twice or late, nothing is left to learn; and nothing was mailed again.
    assert_eq!(
        play.mails(receipt.order_id.as_str()).await.unwrap().len(),
        1
    );
}

#[tokio::test]
async fn on_the_deployed_stack_what_is_no_report_ends_in_the_dead_letter_queue_alone() {
    let play = play().await;
    let queue = &play.stack.queues.feedback;
    let before = play
        .depth(&play.stack.queues.feedback_dead_letter)
        .await
        .unwrap();
    play.put_message(
        queue,
        "Successfully validated SNS topic for Amazon SES event publishing.",
    )
    .await
    .unwrap();
    play.put_message(queue, "no JSON").await.unwrap();
    until(
        "the dead-letter queue has it",
        Duration::from_mins(4),
        async || {
            let depth = play.depth(&play.stack.queues.feedback_dead_letter).await?;
            Ok((depth > before).then_some(()))
        },
    )
    .await
    .unwrap();
    // Otherwise the trial might have failed, and wait for another try.
    until("nothing waits", SOON, async || {
        Ok((play.depth(queue).await? == 0).then_some(()))
    })
    .await
    .unwrap();
    assert_eq!(
        play.depth(&play.stack.queues.feedback_dead_letter)
            .await
            .unwrap(),
        before + 1
    );
}
