//! Messages on a queue: our jobs, and SES's reports. Any other message may be there too.

use super::{
    Tally, hold, in_time,
    mutation::{JOBS, NOTICES, crossbred, text_of},
};
use aws::batch::{Attempt, Worker};
use domain::receipt::feedback::settle;
use feedback::notice::{NoReport, Notice};
use kit::prelude::*;
use kit::{ses::Taken, sqs::batch_of};
use proptest::{prelude::*, test_runner::TestCaseResult};
use std::{
    sync::atomic::{AtomicUsize, Ordering},
    time::Instant,
};
use tokio::runtime::{Builder, Runtime};

/// The outcomes of a mail in SES's words, and two that have no use here.
const TYPES: [&str; 8] = [
    "Send",
    "Delivery",
    "Bounce",
    "Complaint",
    "Reject",
    "Rendering Failure",
    "Open",
    "DeliveryDelay",
];

pub(super) fn runtime() -> Runtime {
    Builder::new_current_thread().enable_time().build().unwrap()
}

/// A shop with one sale that is done, so that its jobs are well done at once.
pub(super) fn sold(runtime: &Runtime) -> (Bundle, Receipt) {
    let bundle = open_shop(OnUnknown::Resend);
    runtime.block_on(async {
        bundle.provider_has(&sale(&purchase(1)));
        bundle.play(&Delivery::of(&purchase(1), "fevt_1")).await;
    });
    let receipt = bundle.receipt(&bundle.order(1).receipt_id.unwrap());
    (bundle, receipt)
}

/// A watched worker: elsewhere a panic is only a failed record.
struct Watched<'a, W> {
    worker: &'a W,
    begun: AtomicUsize,
    ended: AtomicUsize,
}

impl<J: Job, W: Worker<J>> Worker<J> for Watched<'_, W> {
    async fn work(&self, job: &J, attempt: &Attempt) -> Result<(), RetryableError> {
        self.begun.fetch_add(1, Ordering::Relaxed);
        let worked = self.worker.work(job, attempt).await;
        self.ended.fetch_add(1, Ordering::Relaxed);
        worked
    }

    async fn failed(&self, job: &J, error: &RetryableError, attempt: &Attempt) {
        self.worker.failed(job, error, attempt).await;
    }
}

/// Works on a batch whose first message is good. Beside any other message it succeeds. A foreign message
/// fails, and nothing panics.
fn worked<J: Job, W: Worker<J>>(
    (bundle, worker): (&Bundle, &W),
    runtime: &Runtime,
    good: &str,
    others: &[Vec<u8>],
    tally: &Tally,
) -> TestCaseResult {
    let started_at = Instant::now();
    let mut bodies = vec![good.to_owned()];
    bodies.extend(
        others
            .iter()
            .map(|body| String::from_utf8_lossy(body).into_owned()),
    );
    let read: Vec<bool> = bodies
        .iter()
        .map(|body| serde_json::from_str::<J>(body).is_ok())
        .collect();
    let watched = Watched {
        worker,
        begun: AtomicUsize::new(0),
        ended: AtomicUsize::new(0),
    };
    let batch = batch_of(bodies.clone());
    let response = runtime.block_on(bundle.invoke(batch, "fuzz", &watched, &bundle.world));
    // A long run must not fill its own memory.
    bundle.world.kept().calls.clear();
    bundle.world.kept().delays.clear();
    prop_assert_eq!(
        watched.begun.into_inner(),
        watched.ended.into_inner(),
        "a worker has panicked"
    );
    let failed = response
        .batch_item_failures
        .into_iter()
        .map(|failure| failure.item_identifier);
    let failed: BTreeSet<String> = failed.collect();
    for (n, read) in read.iter().enumerate() {
        let has_failed = failed.contains(&format!("m{n}"));
        prop_assert!(n > 0 || !has_failed, "the good message has failed");
        prop_assert!(
            *read || has_failed,
            "{} is none of ours and has not failed",
            bodies[n]
        );
        tally.count(match (read, has_failed) {
            (false, _) => "not ours",
            (true, true) => "in vain",
            (true, false) => "done",
        });
    }
    in_time(started_at)
}

#[test]
fn no_message_keeps_fulfillment_from_the_others_of_its_batch() {
    let runtime = runtime();
    let (bundle, _) = sold(&runtime);
    let good = r#"{"version":"1","event_id":"fevt_1"}"#;
    hold(
        10,
        prop::collection::vec(text_of(&JOBS), 0..6),
        &["not ours", "in vain", "done"],
        |others, tally| {
            worked(
                (&bundle, &bundle.fulfillment),
                &runtime,
                good,
                &others,
                tally,
            )
        },
    );
}

#[test]
fn no_message_keeps_receipts_from_the_others_of_its_batch() {
    let runtime = runtime();
    let (bundle, receipt) = sold(&runtime);
    let good = format!(r#"{{"version":"1","receipt_id":"{}"}}"#, receipt.receipt_id);
    hold(
        10,
        prop::collection::vec(text_of(&JOBS), 0..6),
        &["not ours", "in vain", "done"],
        |others, tally| worked((&bundle, &bundle.receipts), &runtime, &good, &others, tally),
    );
}

#[test]
fn no_message_keeps_feedback_from_the_others_of_its_batch() {
    let runtime = runtime();
    let (bundle, receipt) = sold(&runtime);
    let deducted = Taken {
        receipt_id: receipt.receipt_id.clone(),
        message_id: domain::values::ids::MessageId::new("ses-1").unwrap(),
        to: "pat@example.com".to_owned(),
        at: receipt.created_at,
    };
    let good = deducted.facts("delivery").to_string();
    hold(
        10,
        prop::collection::vec(text_of(&NOTICES), 0..6),
        &["not ours", "done"],
        |others, tally| worked((&bundle, &bundle.feedback), &runtime, &good, &others, tally),
    );
}

/// Changed reports of SES, some about foreign mails, some of types that have no use here.
fn notice() -> impl Strategy<Value = Vec<u8>> {
    let facts = (
        crossbred(&NOTICES),
        prop::sample::select(&TYPES[..]),
        prop::bool::weighted(0.2),
    );
    let facts = facts.prop_map(|(mut facts, event_type, is_of_another)| {
        if let Some(known) = facts.get_mut("eventType") {
            *known = event_type.into();
        }
        if let Some(tags) = facts.pointer_mut("/mail/tags").filter(|_| is_of_another) {
            *tags = serde_json::json!({"of": ["somebody else"]});
        }
        facts.to_string().into_bytes()
    });
    prop_oneof![text_of(&NOTICES), facts]
}

#[test]
fn no_notice_of_ses_s_makes_its_reader_panic_and_none_is_printed_with_an_address() {
    let (_, receipt) = sold(&runtime());
    let expected = [
        "a report",
        "news",
        "a marked address",
        "not ours",
        "not needed",
        "no notice",
    ];
    hold(1, notice(), &expected, |text, tally| {
        let started_at = Instant::now();
        let Ok(notice) = serde_json::from_slice::<Notice>(&text) else {
            tally.count("no notice");
            return Ok(());
        };
        let printed = format!("{notice:?}");
        prop_assert!(!printed.contains("pat@example.com"), "{printed}");
        match notice.report() {
            Err(NoReport::NotOurs) => tally.count("not ours"),
            Err(NoReport::NotNeeded) => tally.count("not needed"),
            Ok(report) => {
                tally.count("a report");
                if report.suppression().is_some() {
                    tally.count("a marked address");
                }
                if let Some(update) = settle(&receipt, &report) {
                    tally.count("news");
                    let state = update.state.unwrap_or_else(|| receipt.state.clone());
                    let learned = Receipt {
                        mails: update.mails,
                        state,
                        ..receipt.clone()
                    };
                    prop_assert_eq!(
                        settle(&learned, &report),
                        None,
                        "the same report is news twice"
                    );
                    let _ = (
                        learned.delivery_failure(),
                        learned.reopened(operator_note(Action::Resent, report.at), report.at),
                    );
                }
            }
        }
        in_time(started_at)
    });
}
