//! Feedback by its outcomes: a report of SES settles its receipt once, whenever and however often it comes.

use ::feedback::{
    Dropped, Ended, Learned,
    notice::{NoReport, Notice},
    without_trials,
};
use aws::batch::Attempt;
use aws_lambda_events::event::sqs::SqsEvent;
use domain::{
    ports::{Orders as _, ReceiptAdmin as _, Receipts as _, Suppressions as _},
    sale::delivery_failure::DeliveryFailure,
};
use kit::prelude::*;
use kit::{
    drive::TRY_LASTS,
    ses::{KINDS, Taken},
    sqs::batch_of,
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
    let event_id = event_id(&format!("fevt_{n}"));
    let ended = bundle.fulfillment.fulfill(&event_id, 1).await;
    assert_matches!(ended, Outcome::Accepted(_));
    let mut kept = bundle.world.kept();
    kept.fulfillment_queue.clear();
    kept.calls.clear();
    drop(kept);
    bundle.receipt(&bundle.order(n).receipt_id.unwrap())
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

fn is_taken(ended: &Ended) -> bool {
    matches!(ended, Outcome::Accepted(_))
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
            let sent = sent_as(mail.message_id.as_str(), mail.at);
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
    let second = sent(&bundle, &id, "b").await;
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
    let state = sent_as(mail.message_id.as_str(), bundle.world.now());
    let owner = OwnerToken::new("a").unwrap();
    let marked = bundle.world.end_lease(&id, &owner, &state, None).await;
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
        let refused = Some(DeliveryFailure::Refused);
        assert_eq!(delivery_failure(&bundle, &receipt), refused);
        // The address is not to blame.
        assert!(bundle.world.kept().marks.is_empty(), "{kind}");
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
        let failure = delivery_failure(&bundle, &first);
        assert_eq!(failure, Some(word), "the order says so");
        assert_eq!(json!(word), json!(word.to_string()));

        // The same person, however the address is spelled, and another one.
        let second = unsent(&bundle, 2).await;
        bundle.correct_address(&second.order_id, &mail.to.to_uppercase());
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
    let told = tell(&bundle, &mail, "complaint.suppressed").await;
    assert_eq!(told, noted(BOUNCED), "it did not arrive");
    assert_eq!(delivery_failure(&bundle, &receipt), BOUNCED);
    let mark = bundle.world.kept().marks[&AddressHash::of(&mail.to)].clone();
    assert!(mark.bounced_at.is_some() && mark.complained_at.is_none());
}

#[tokio::test]
async fn a_full_mailbox_is_told_of_and_written_to_again() {
    let bundle = open_shop(OnUnknown::Resend);
    let first = unsent(&bundle, 1).await;
    let mail = sent(&bundle, &first.receipt_id, "a").await;
    let told = tell(&bundle, &mail, "bounce.transient").await;
    assert_eq!(told, noted(BOUNCED));
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
        // Another mail may arrive.
        assert!(bundle.world.kept().marks.is_empty(), "{kind}");
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
    let told = tell(&bundle, &mail, "bounce").await;
    assert_eq!(told, Outcome::Accepted(bounced));
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
        assert!(is_taken(&tell(&bundle, &first, facts).await), "{facts}");
        assert_eq!(bundle.receipt(&id).state, UNSENT, "{facts}");
        // After a bounce, so that the address is written to.
        bundle.world.pass(Duration::from_hours(24));
        clear(&bundle, &first);
        sent(&bundle, &id, "c").await;
        assert_eq!(bundle.mails(), 2, "{facts}");
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
    let ended = join_all(facts.iter().map(|notice| bundle.feedback.take(notice))).await;
    assert!(ended.iter().all(is_taken), "{ended:?}");
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
            let what = format!("{call} {fault:?}");
            let is_done = is_taken(&ended) || ended == Outcome::Duplicate;
            assert!(is_done, "{what}: {ended:?}");
            assert!(is_sent(&bundle, &receipt.receipt_id), "{what}");
            assert_eq!(delivery_failure(&bundle, &receipt), BOUNCED, "{what}");
            assert!(is_suppressed(&bundle, &mail), "{what}");
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
        let told = tell(&bundle, &mail, kind).await;
        assert_eq!(told, Outcome::Rejected(Dropped::NoReceipt), "{kind}");
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
    let tags = strange["mail"]["tags"].as_object_mut().unwrap();
    tags.remove("receipt_id");
    let mut opened = mail.facts("send");
    opened["eventType"] = json!("Open");
    for (facts, why) in [(strange, NoReport::NotOurs), (opened, NoReport::NotNeeded)] {
        let ended = bundle.feedback.take(&notice(&facts)).await;
        assert_eq!(ended, Outcome::Rejected(why.into()));
    }
    assert_eq!(bundle.world.kept().calls, [""; 0]);
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
    let reports = without_trials(batch_of(bodies));
    let response = bundle.invoke(reports, "r1", &bundle.feedback, &bundle.world);
    let failures = response.await.batch_item_failures;
    let failed: Vec<_> = failures.iter().map(|one| &one.item_identifier).collect();
    assert_eq!(failed, ["m0", "m3"]);
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
    let number = number();
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
        let receipt = play.tables.store.receipt(id).await?;
        Ok(receipt.filter(|receipt| is_so(receipt)))
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
    let (store, now) = (&play.tables.store, Timestamp::now());
    let note = operator_note(Action::Resent, now);
    let reopened = store.reopen_receipt(&receipt, &note, now).await;
    assert_eq!(reopened, Ok(Changed::Now));
    let pending = store.receipt(&receipt.receipt_id).await.unwrap().unwrap();
    let owner = OwnerToken::new("a-process-that-died").unwrap();
    let claimed = store.acquire_lease(&pending, &owner, now).await;
    assert_eq!(claimed, Ok(Changed::Now));

    let to = format!("{}@example.com", receipt.order_id.as_str().to_lowercase());
    let mail = Taken {
        receipt_id: receipt.receipt_id.clone(),
        message_id: MessageId::new(format!("{message_id}-2")).unwrap(),
        to: to.clone(),
        at: pending.reopened_at.unwrap(),
    };
    let queue = &play.stack.queues.feedback;
    let report = async |kind| {
        let report = mail.facts(kind).to_string();
        play.put_message(queue, &report).await.unwrap();
    };
    report("send").await;
    let settled = play.sent_receipt(receipt.order_id.as_str(), SOON).await;
    assert_eq!(settled.state, sent_as(mail.message_id.as_str(), mail.at));

    for kind in ["bounce", "delivery", "bounce", "send"] {
        report(kind).await;
    }
    let facts = receipt_until(&play, &receipt.receipt_id, "all is learned", |receipt| {
        let fate = &receipt.mails[&mail.message_id];
        fate.bounced_at.is_some() && fate.delivered_at.is_some()
    })
    .await;
    assert_eq!(facts.state, settled.state);
    let order_id: &OrderId = &receipt.order_id;
    until("the order says so", SOON, async || {
        let order = store.order(order_id).await?;
        let failure =
            order.and_then(|order| order.delivery_failures.get(&receipt.receipt_id).copied());
        Ok((failure == BOUNCED).then_some(()))
    })
    .await
    .unwrap();
    let mark = store.suppression(&AddressHash::of(&to)).await;
    let mark = mark.unwrap().unwrap();
    assert!(mark.bounced_at.is_some() && mark.complained_at.is_none());
    // Twice or late, nothing is left to learn; and nothing was mailed again.
    let mails = play.mails(receipt.order_id.as_str()).await.unwrap();
    assert_eq!(mails.len(), 1);
}

#[tokio::test]
async fn on_the_deployed_stack_what_is_no_report_ends_in_the_dead_letter_queue_alone() {
    let play = play().await;
    let queue = &play.stack.queues.feedback;
    let dead = &play.stack.queues.feedback_dead_letter;
    let before = play.depth(dead).await.unwrap();
    let trial = "Successfully validated SNS topic for Amazon SES event publishing.";
    for body in [trial, "no JSON"] {
        play.put_message(queue, body).await.unwrap();
    }
    let minutes = Duration::from_mins(4);
    until("the dead-letter queue has it", minutes, async || {
        Ok((play.depth(dead).await? > before).then_some(()))
    })
    .await
    .unwrap();
    // Otherwise the trial might have failed, and wait for another try.
    until("nothing waits", SOON, async || {
        Ok((play.depth(queue).await? == 0).then_some(()))
    })
    .await
    .unwrap();
    assert_eq!(play.depth(dead).await.unwrap(), before + 1);
}
