//! The log says what became of everything, and nothing about anybody.

mod words;

use crate::gateway::{Post, answer};
use aws::{
    batch::{Attempt, Worker},
    settings::Settings,
};
use aws_lambda_events::event::sqs::SqsEvent;
use domain::{
    delivery::{answer::UnclearRefund, event},
    ports::{Delay, Queue},
};
use kit::{
    drive::RULES,
    fakes::Message,
    prelude::*,
    ses::Taken,
    signed::signed_as,
    sqs::batch_of,
    story::{SECRET, refund_news},
    sweeping::sweep_over,
};
use mail::Merchant;
use std::{
    borrow::Cow,
    io,
    sync::{Arc, Mutex},
};
use tracing_subscriber::{
    fmt::{MakeWriter, format::JsonFields},
    util::SubscriberInitExt as _,
};

/// Lines in memory.
#[derive(Debug, Clone, Default)]
struct Lines(Arc<Mutex<Vec<u8>>>);

impl io::Write for Lines {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().extend(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl MakeWriter<'_> for Lines {
    type Writer = Self;
    fn make_writer(&self) -> Self {
        self.clone()
    }
}

/// Everything about a person or a secret that goes through; none of it may come out.
const CANARIES: [&str; 9] = [
    "canary.mailbox@example.com",
    "Canaria",
    "Serinus",
    "+15555550142",
    "42 Birdcage Walk",
    "canary-seed for the pancreas",
    "canary-note",
    "Y2NhZDczMDYtNDEyYi0xMWVlLTg5MTItNGY4Y2E5ZmU1MmI4",
    "v1,",
];

/// A purchase by the canary.
fn purchase_of_the_canary(n: u64) -> Purchase {
    let mut purchase = purchase(n);
    let customer = &mut purchase.customer;
    customer["first_name"] = json!("Canaria");
    customer["last_name"] = json!("Serinus");
    customer["email"] = json!("canary.mailbox@example.com");
    customer["phone"] = json!("+15555550142");
    customer["shipping"]["line1"] = json!("42 Birdcage Walk");
    purchase.session["customer_email"] = json!("canary.mailbox@example.com");
    purchase.session["defaults"]["email"] = json!("canary.mailbox@example.com");
    purchase.session["metadata"] = json!({"note": "canary-note"});
    for line in purchase.line_items.as_array_mut().unwrap() {
        line["description"] = json!("canary-seed for the pancreas");
        line["price"]["product"]["name"] = json!("canary-seed for the pancreas");
        line["price"]["product"]["receipt_description"] = json!("canary-seed for the pancreas");
    }
    purchase
}

struct NoDelay;

impl Delay for NoDelay {
    async fn delay(&self, _: &str, _: Duration) -> Result<(), RetryableError> {
        Err(RetryableError::OutOfTime)
    }
}

/// A batch of messages as SQS delivers it, with one foreign body.
fn batch<J: Job>(messages: impl IntoIterator<Item = Message<J>>) -> SqsEvent {
    let bodies = messages
        .into_iter()
        .map(|message| serde_json::to_string(&message.job).unwrap());
    let strange = "{\"version\":\"canary-note\"}".to_owned();
    batch_of(bodies.chain([strange]))
}

/// One invocation of each queue's function, by the same code that Lambda runs.
async fn work(bundle: &Bundle, request_id: &str) {
    let jobs = batch(std::mem::take(&mut bundle.world.kept().fulfillment_queue));
    let (fulfillment, receipts) = (&bundle.fulfillment, &bundle.receipts);
    bundle.invoke(jobs, request_id, fulfillment, &NoDelay).await;
    let jobs = batch(std::mem::take(&mut bundle.world.kept().receipt_queue));
    bundle.invoke(jobs, request_id, receipts, &NoDelay).await;
}

async fn post(bundle: &Bundle, delivery: &Delivery) {
    let _ = answer(bundle, &Post::signed(bundle, delivery).to_http_api()).await;
}

/// Everything that can happen to the canary's purchases.
async fn everything() {
    let bundle = open_shop(OnUnknown::Hold);
    let delivery = |n: u64| Delivery::of(&purchase_of_the_canary(n), &format!("fevt_{n}"));
    for n in 1..=7 {
        bundle.provider_has(&sale(&purchase_of_the_canary(n)));
    }
    // Refused, in every way that looks at a header or the body.
    let Delivery { id, body } = delivery(1);
    let other = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";
    let good = Post::signed(&bundle, &delivery(1));
    let forged = signed_as(&id, other, &body, bundle.world.now());
    let _ = answer(&bundle, &Post::with(forged, body.as_bytes()).to_http_api()).await;
    for (name, value) in [
        ("svix-signature", "v1,canary-note"),
        ("svix-timestamp", "canary-note"),
        ("svix-timestamp", "1"),
        ("svix-id", "canary-note.1"),
        ("content-type", "canary-note"),
    ] {
        let odd = good.clone().header(name, Some(value));
        let _ = answer(&bundle, &odd.to_http_api()).await;
    }
    let odd = Post {
        provider: "canary-note",
        ..good
    };
    let _ = answer(&bundle, &odd.to_http_api()).await;
    // Unreadable, of an unknown type, under an id that another body has, with the table away.
    let odd = |id: &str, body: Value| Delivery {
        id: id.to_owned(),
        body: body.to_string(),
    };
    post(&bundle, &odd("msg_1", json!("canary.mailbox@example.com"))).await;
    let body = json!({"event_id": "canary.mailbox@example.com Serinus"});
    post(&bundle, &odd("msg_2", body)).await;
    post(&bundle, &odd("msg_3", json!({"event_id": "fevt_x", "event_type": "customer.enchanted", "object": {"email": "canary.mailbox@example.com"}}))).await;
    post(&bundle, &delivery(1)).await;
    let mut changed = purchase_of_the_canary(1);
    changed.session["amount_total"] = json!(1);
    post(&bundle, &Delivery::of(&changed, "fevt_1")).await;
    bundle.strike_next(0, FailBefore);
    post(&bundle, &delivery(2)).await;
    // Fulfilled and sent; short; parked; the provider away; each one's duplicate.
    work(&bundle, "r1").await;
    post(&bundle, &delivery(1)).await;
    bundle.world.kept().counters.clear();
    for n in 2..=6 {
        post(&bundle, &delivery(n)).await;
    }
    let not_told = ReadError::Permanent {
        status: 422,
        code: None,
    };
    let away = RetryableError::Away {
        service: "Flex",
        cause: "HTTP 503".to_owned(),
        retry_after: None,
    };
    bundle.world.kept().read_faults.extend([
        not_told,
        ReadError::Transient(away.clone()),
        ReadError::KeyRefused { status: 401 },
    ]);
    let refused = SendError::Refused("SES will not take this address".to_owned());
    let unknown = SendError::Unknown("no answer in time".to_owned());
    bundle.world.kept().mail_faults.extend([refused, unknown]);
    work(&bundle, "r2").await;
    // An invalid address, and the one whose mail has an unknown outcome.
    let mut nowhere = sale(&purchase_of_the_canary(7));
    nowhere.customer.email = Some("canary.mailbox@example.com Serinus".to_owned());
    bundle.provider_has(&nowhere);
    post(&bundle, &delivery(7)).await;
    work(&bundle, "r3").await;
    bundle.world.pass(Duration::from_hours(1));
    let unsent: Vec<_> = {
        let kept = bundle.world.kept();
        let unsent = kept.receipts.values().filter(|row| row.is_unfinished());
        unsent.map(|row| row.receipt_id.clone()).collect()
    };
    for receipt_id in unsent {
        let job = ReceiptJob::V1 { receipt_id };
        Queue::send(&bundle.world, &job).await.unwrap();
    }
    work(&bundle, "r4").await;
    after_the_sale(&bundle).await;
    what_ses_tells(&bundle).await;
    // A sale without a webhook, and an unreadable refund.
    bundle.provider_has(&sale(&purchase_of_the_canary(8)));
    let odd = json!({"refund_id": "fre_x", "amount": "canary-note", "reason": "Serinus", "test_mode": false});
    bundle.world.kept().lists.odd.push(("refunds", odd));
    let made_up = bundle.reconcile(365).await.unwrap().unwrap().total();
    assert!(
        made_up.missing > 0 && made_up.unreadable == 1,
        "{made_up:?}"
    );
    work(&bundle, "r6").await;
    // Committed by an attempt that died before it could pass the receipt on.
    let event_id = event_id("fevt_1");
    if let Some(event) = bundle.world.kept().events.get_mut(&event_id) {
        event.state = EventState::Committed;
    }
    let job = FulfillmentJob::V1 { event_id };
    Queue::send(&bundle.world, &job).await.unwrap();
    work(&bundle, "r7").await;
    notices(&bundle).await;
    announced(&bundle).await;
    // The deletion's first job ends the event, and the second one erases the customer.
    let customer = purchase_of_the_canary(1).customer;
    let gone = Delivery::live("customer.deleted", "fevt_gone", 1_768_200_000, customer);
    post(&bundle, &gone).await;
    work(&bundle, "r8").await;
    work(&bundle, "r9").await;
    given_up(&bundle).await;
    cannot_start();
    // The canary did go through: its own mail has all of it that a receipt shows.
    let kept = bundle.world.kept();
    assert_eq!(kept.mails[0].to.as_str(), CANARIES[0]);
    assert!(kept.mails[0].text.contains("canary-seed for the pancreas"));
}

/// The customer's new name, a refund and a dispute of the first purchase, and an event that is not needed.
async fn after_the_sale(bundle: &Bundle) {
    let paid = purchase_of_the_canary(1);
    let payment = paid.session["payment_intents"][0].clone();
    let change = |kind: &str, name: &str, change: &dyn Fn(&mut Value)| {
        let mut event = sample(kind);
        let resource = &mut event["object"][name];
        resource["test_mode"] = json!(false);
        change(resource);
        Delivery {
            id: format!("msg_{}", kind.replace('.', "_")),
            body: event.to_string(),
        }
    };
    let of_payment = |resource: &mut Value| {
        resource["payment_intent_id"] = payment.clone();
        resource["metadata"] = json!({"note": "canary-note"});
    };
    let renamed = |resource: &mut Value| *resource = paid.customer.clone();
    for delivery in [
        change("customer.updated", "customer", &renamed),
        change("refund.updated", "refund", &of_payment),
        change("charge.dispute.created", "dispute", &of_payment),
        change("product.updated", "product", &|_| {}),
    ] {
        post(bundle, &delivery).await;
    }
    work(bundle, "r5").await;
}

/// A notice that is no longer true, a notice for a later day, and a sweep.
async fn notices(bundle: &Bundle) {
    let order_id = {
        let kept = bundle.world.kept();
        let mut orders = kept.orders.values();
        let order = orders.find(|order| order.customer.customer_id.is_some());
        order.unwrap().order_id.clone()
    };
    let now = bundle.world.now();
    let subscription_id = SubscriptionId::new("fsub_1").unwrap();
    let invoice_id = InvoiceId::new("fin_1").unwrap();
    let failed = ReceiptKind::PaymentFailed {
        subscription_id: subscription_id.clone(),
        invoice_id,
        amount: None,
    };
    let ends = ReceiptKind::TrialEnds {
        subscription_id,
        ends_at: now + Duration::from_hours(72),
    };
    for (kind, due_at) in [(failed, None), (ends, Some(now + Duration::from_hours(24)))] {
        let receipt = Receipt::new(&order_id, kind, due_at, now).unwrap();
        let receipt_id = receipt.receipt_id.clone();
        {
            let mut kept = bundle.world.kept();
            kept.receipts.insert(receipt_id.clone(), receipt);
        }
        let job = ReceiptJob::V1 { receipt_id };
        Queue::send(&bundle.world, &job).await.unwrap();
    }
    work(bundle, "r8").await;
    sweep_over(&bundle.world).run().await.unwrap();
}

/// Announcements, one of which cannot be read.
async fn announced(bundle: &Bundle) {
    bundle.world.pass(Duration::from_mins(2));
    let first = bundle.world.kept().batches.keys().next().cloned();
    bundle.world.kept().unreadable_batches.extend(first);
    let announcer = kit::announcing::announcer_over(&bundle.world);
    announcer
        .answer(&announcements::Call::default())
        .await
        .unwrap();
}

/// Panics on every job, with the canary in the text.
struct Panics;

impl Worker<Raw> for Panics {
    async fn work(&self, _: &Raw, _: &Attempt) -> Result<(), RetryableError> {
        panic!("{}", CANARIES[0])
    }

    async fn failed(&self, _: &Raw, _: &RetryableError, _: &Attempt) {}
}

/// A panic and a message that fails for the last time.
async fn given_up(bundle: &Bundle) {
    let mut last = batch([message(json!({"note": "canary-note"}))]);
    for record in &mut last.records {
        record.attributes.insert(
            "ApproximateReceiveCount".to_owned(),
            RULES.most_receives.to_string(),
        );
    }
    // Each test has its own thread. A panic of another one is not for this log.
    let (thread, others) = (
        std::thread::current().id(),
        Arc::new(std::panic::take_hook()),
    );
    let rest = Arc::clone(&others);
    std::panic::set_hook(Box::new(move |panic| {
        if std::thread::current().id() == thread {
            aws::log::panicked(panic);
        } else {
            rest(panic);
        }
    }));
    bundle.invoke(last, "r9", &Panics, &NoDelay).await;
    std::panic::set_hook(Box::new(move |panic| others(panic)));
}

/// A function whose every setting is the canary's.
fn cannot_start() {
    let source = |_: &str| Some("canary-note".to_owned());
    let mut settings = Settings::from(&source);
    let canary = CANARIES[0];
    settings.parsed::<u64>("RETRY_BASE_SECONDS");
    settings.parsed::<Mode>("MODE");
    settings.parsed::<OnUnknown>("RECEIPT_ON_UNKNOWN");
    settings.parsed::<RestockPolicy>("RESTOCK");
    settings.switch("TRIAL_ENDS_MAIL");
    settings.noted(flex::Api::new("canary-note"));
    settings.noted(Merchant::new(mail::Settings {
        name: "",
        address: "",
        support_email: "canary-note",
        sender: "Serinus",
        time_zone: canary,
        test_recipient: Some("Canaria"),
    }));
    let problems = settings.finish(|| Some(())).unwrap_err();
    assert_eq!(problems.0.len(), 7, "{problems}");
}

/// SES feedback on the canary's mails, on an unknown one, and on a foreign one.
async fn what_ses_tells(bundle: &Bundle) {
    let mail = |receipt_id: &str| Taken {
        receipt_id: ReceiptId::new(receipt_id).unwrap(),
        message_id: MessageId::new("ses-1").unwrap(),
        to: CANARIES[0].to_owned(),
        at: bundle.world.now(),
    };
    let held = {
        let kept = bundle.world.kept();
        let mut rows = kept.receipts.values();
        let held = rows.find(|row| row.state == ReceiptState::Held);
        held.unwrap().receipt_id.clone()
    };
    let held = mail(held.as_str());
    let mut not_ours = held.facts("bounce");
    not_ours["mail"]["tags"] = json!({"note": ["canary-note"]});
    let mut opened = held.facts("send");
    opened["eventType"] = json!("Open");
    let facts = [
        held.facts("send"),
        held.facts("bounce"),
        held.facts("bounce"),
        mail("fcs_none-order").facts("complaint"),
        not_ours,
        opened,
        json!("Successfully validated SNS topic canary-note"),
    ];
    let mut batch_of_reports = batch(facts.map(message));
    // The trial of the topic is no JSON.
    batch_of_reports.records[6].body =
        Some("Successfully validated SNS topic canary-note".to_owned());
    let reports = feedback::without_trials(batch_of_reports);
    let worker = &bundle.feedback;
    bundle.invoke(reports, "r6", worker, &NoDelay).await;
}

/// A message as it is.
#[derive(serde::Serialize, serde::Deserialize)]
struct Raw(Value);

impl Job for Raw {
    fn subject(&self) -> Cow<'_, str> {
        "".into()
    }
}

fn message(body: Value) -> Message<Raw> {
    Message {
        job: Raw(body),
        receives: 0,
        visible_at: Timestamp::UNIX_EPOCH,
    }
}

/// The lines that a story logs.
async fn logged(story: impl Future<Output = ()>) -> String {
    let lines = Lines::default();
    let subscriber = tracing_subscriber::fmt()
        .fmt_fields(JsonFields::new())
        .event_format(aws::log::Lines::of("all"))
        .with_max_level(tracing_subscriber::filter::LevelFilter::TRACE)
        .with_writer(lines.clone());
    // With one subscriber, `tracing` lets the first thread that meets a line decide for all threads, and other
    // tests' threads have no subscriber. With two it asks each thread.
    let second = tracing_subscriber::registry().set_default();
    let logging = subscriber.set_default();
    story.await;
    drop((logging, second));
    String::from_utf8(lines.0.lock().unwrap().clone()).unwrap()
}

/// Sells and sends one mail, and returns for each report about it whether it rings the alarm.
async fn rings(facts: &[&str]) -> Vec<(String, bool)> {
    let lines = logged(async {
        let bundle = open_shop(OnUnknown::Hold);
        bundle.provider_has(&sale(&purchase(1)));
        post(&bundle, &Delivery::of(&purchase(1), "fevt_1")).await;
        work(&bundle, "r1").await;
        let receipt_id = bundle.world.kept().mails[0].receipt_id.clone();
        let mail = Taken {
            receipt_id,
            message_id: MessageId::new("ses-1").unwrap(),
            to: "pat@example.com".to_owned(),
            at: bundle.world.now(),
        };
        for kind in facts {
            let reports = batch([message(mail.facts(kind))]);
            let worker = &bundle.feedback;
            bundle.invoke(reports, "r2", worker, &NoDelay).await;
        }
    })
    .await;
    let lines = lines
        .lines()
        .map(|line| serde_json::from_str::<Value>(line).unwrap());
    lines
        .filter_map(|line| {
            Some((
                line["outcome"].as_str()?.to_owned(),
                line["delivery_failure"].as_bool()?,
            ))
        })
        .collect()
}

#[tokio::test]
async fn a_report_rings_where_it_tells_of_trouble_that_there_is_and_its_duplicate_by_the_same_rule()
{
    for (facts, expected) in [
        (
            &["bounce", "bounce", "send"][..],
            &[("noted", true), ("duplicate", true), ("duplicate", false)][..],
        ),
        (
            &["delivery", "bounce.out-of-office", "bounce.out-of-office"],
            &[("noted", false), ("noted", false), ("duplicate", false)],
        ),
        (
            &[
                "delivery",
                "bounce.transient",
                "bounce.transient",
                "delivery",
            ],
            &[
                ("noted", false),
                ("noted", true),
                ("duplicate", true),
                ("duplicate", false),
            ],
        ),
    ] {
        let rung = rings(facts).await;
        let rung: Vec<_> = rung
            .iter()
            .map(|(outcome, rings)| (outcome.as_str(), *rings))
            .collect();
        assert_eq!(rung, expected, "{facts:?}");
    }
}

#[tokio::test]
async fn the_log_tells_every_outcome_and_nothing_personal_or_secret() {
    let text = Box::pin(logged(everything())).await;
    // The canaries are in the secret as well, or this would prove little.
    assert!(CANARIES.iter().any(|canary| SECRET.contains(canary)));
    for line in text.lines() {
        // The functions share one log group.
        assert!(line.starts_with(r#"{"function":"all","#), "{line}");
        for canary in CANARIES {
            assert!(!line.contains(canary), "{canary:?} is in the log: {line}");
        }
    }
    let logged: BTreeSet<String> = text
        .lines()
        .map(|line| serde_json::from_str::<Value>(line).unwrap())
        .filter_map(|line| line["outcome"].as_str().map(str::to_owned))
        .collect();
    assert_eq!(logged, words::of_the_code());
}

#[tokio::test]
async fn a_refund_that_fails_beside_one_that_is_not_understood_calls_a_person_once() {
    let bundle = open_shop(OnUnknown::Hold);
    let sold = purchase(1);
    bundle.provider_has(&sale(&sold));
    post(&bundle, &Delivery::of(&sold, "fevt_1")).await;
    work(&bundle, "r1").await;
    bundle.world.kept().unclear_refund = Some(UnclearRefund {
        refund_id: None,
        why: event::Unreadable::Missing("refund.amount"),
    });
    let mut event = sample("checkout.session.refunded");
    event["object"]["checkout_session"] = json!(sold.order_id());
    let refunded = Delivery {
        id: "msg_2".to_owned(),
        body: event.to_string(),
    };
    let text = Box::pin(logged(async {
        for (attempt, status) in ["succeeded", "failed", "failed"].into_iter().enumerate() {
            let mut refund = sample("refund.updated")["object"]["refund"].take();
            refund["payment_intent_id"] = sold.session["payment_intents"][0].clone();
            refund["status"] = json!(status);
            refund["test_mode"] = json!(false);
            bundle.provider_has_refunds(&[refund_news(&refund)]);
            post(&bundle, &refunded).await;
            work(&bundle, &format!("r{}", attempt + 2)).await;
        }
    }))
    .await;
    let calls = |line: &&str| line.contains(r#""refund_failed":true"#);
    assert_eq!(text.lines().filter(calls).count(), 1, "{text}");
}

/// Each gauge of the template reads a number from the line of sweep or of announcements.
#[tokio::test]
async fn every_gauge_of_the_template_is_a_number_in_the_line_of_a_sweep() {
    let bundle = open_shop(OnUnknown::Hold);
    let lines = logged(async {
        sweep_over(&bundle.world).run().await.unwrap();
        announced(&bundle).await;
    })
    .await;
    let lines = lines
        .lines()
        .map(|line| serde_json::from_str::<Value>(line).unwrap());
    let lines: Vec<Value> = lines.filter(|line| line["outcome"] == "measured").collect();
    for (metric, field) in crate::template::GAUGES {
        let has = |line: &Value| line[field].is_u64();
        assert!(lines.iter().any(has), "{metric} reads {field}: {lines:?}");
    }
}
