use super::*;
use domain::{delivery::job::FulfillmentJob, values::ids::EventId};
use std::sync::Mutex;

const RULES: Rules = Rules {
    retry_base: Duration::from_secs(15),
    most_receives: 5,
    at_once: 10,
};
const INVOCATION: Invocation<'_> = Invocation {
    request_id: "r",
    deadline_ms: 30_000,
};

/// A clock that always shows the beginning of the invocation.
#[derive(Debug)]
struct Beginning;

impl Clock for Beginning {
    fn now(&self) -> Timestamp {
        Timestamp::UNIX_EPOCH
    }
}

/// Acts by the event's id.
#[derive(Default)]
struct Told {
    done: Mutex<Vec<String>>,
    failed: Mutex<Vec<String>>,
}

impl Worker<FulfillmentJob> for Told {
    async fn work(&self, job: &FulfillmentJob, attempt: &Attempt) -> Result<(), RetryableError> {
        match &*job.subject() {
            "panic" => panic!("as told"),
            "index" => {
                let nothing: Vec<u8> = Vec::new();
                let _ = nothing[attempt.receives as usize];
            }
            "away" => {
                let retry_after = Some(Duration::from_secs(90));
                return Err(RetryableError::Away {
                    service: "Flex",
                    cause: "429".to_owned(),
                    retry_after,
                });
            }
            "never" => std::future::pending().await,
            subject => self.done.lock().unwrap().push(subject.to_owned()),
        }
        Ok(())
    }

    async fn failed(&self, job: &FulfillmentJob, error: &RetryableError, attempt: &Attempt) {
        let line = format!("{} ({}): {error}", job.subject(), attempt.receives);
        self.failed.lock().unwrap().push(line);
    }
}

#[derive(Default)]
struct Delays(Mutex<Vec<(String, u64)>>);

impl Delay for Delays {
    async fn delay(&self, receipt_handle: &str, by: Duration) -> Result<(), RetryableError> {
        self.0
            .lock()
            .unwrap()
            .push((receipt_handle.to_owned(), by.as_secs()));
        Ok(())
    }
}

fn record(n: usize, body: &str, receives: u32) -> SqsMessage {
    let mut record = SqsMessage::default();
    record.message_id = Some(format!("m{n}"));
    record.receipt_handle = Some(format!("h{n}"));
    record.body = Some(body.to_owned());
    record
        .attributes
        .insert("ApproximateReceiveCount".to_owned(), receives.to_string());
    record
}

fn job(n: usize, facts: &str) -> SqsMessage {
    let job = FulfillmentJob::V1 {
        event_id: EventId::new(facts).unwrap(),
    };
    record(n, &serde_json::to_string(&job).unwrap(), 1)
}

fn batch(records: Vec<SqsMessage>) -> SqsEvent {
    let mut event = SqsEvent::default();
    event.records = records;
    event
}

fn failures(answer: &SqsBatchResponse) -> Vec<String> {
    let failures = answer.batch_item_failures.iter();
    failures
        .map(|failure| failure.item_identifier.clone())
        .collect()
}

/// The result of a batch: the answer, and the subjects, failures and delays that the worker and the queue saw.
#[derive(Debug)]
struct Seen {
    answer: Result<Vec<String>, Nameless>,
    done: Vec<String>,
    failed: Vec<String>,
    delays: Vec<(String, u64)>,
}

async fn worked(records: Vec<SqsMessage>) -> Seen {
    worked_by(RULES, records).await
}

async fn worked_by(rules: Rules, records: Vec<SqsMessage>) -> Seen {
    let (worker, delays) = (Told::default(), Delays::default());
    let batch = batch(records);
    let answer = run(batch, INVOCATION, rules, &worker, &delays, &Beginning).await;
    Seen {
        answer: answer.map(|answer| failures(&answer)),
        done: worker.done.into_inner().unwrap(),
        failed: worker.failed.into_inner().unwrap(),
        delays: delays.0.into_inner().unwrap(),
    }
}

impl Seen {
    fn failures(&self) -> &[String] {
        self.answer.as_ref().unwrap()
    }
}

/// A job that was received that often.
fn received(n: usize, facts: &str, receives: u32) -> SqsMessage {
    let body = job(n, facts).body.unwrap();
    record(n, &body, receives)
}

#[tokio::test]
async fn a_poison_record_fails_alone_among_ten() {
    for poison in [
        "not json",
        "",
        "{}",
        r#"{"version":"9","event_id":"x"}"#,
        r#"{"version":"1","event_id":""}"#,
        "[1]",
    ] {
        let mut records: Vec<_> = (0..9).map(|n| job(n, &format!("e{n}"))).collect();
        records.insert(4, record(99, poison, 1));
        let seen = worked(records).await;
        assert_eq!(seen.failures(), ["m99"], "{poison}");
        assert_eq!(seen.done.len(), 9);
        assert_eq!(seen.delays, [("h99".to_owned(), 15)]);
    }
}

#[tokio::test]
async fn a_panic_is_that_records_alone() {
    let subjects = ["a", "panic", "b", "index", "c"];
    let records = subjects.iter().enumerate();
    let seen = worked(records.map(|(n, subject)| job(n, subject)).collect()).await;
    assert_eq!(seen.failures(), ["m1", "m3"]);
    assert_eq!(seen.done, ["a", "b", "c"]);
    assert_eq!(seen.failed.len(), 2);
}

#[tokio::test(start_paused = true)]
async fn a_record_that_takes_too_long_fails_alone_and_in_time() {
    let seen = worked(vec![job(1, "never"), job(2, "a")]).await;
    assert_eq!(seen.failures(), ["m1"]);
    assert_eq!(seen.failed, ["never (1): out of time"]);
}

#[tokio::test]
async fn when_all_fail_all_are_named_and_nothing_is_thrown() {
    let seen = worked(vec![job(1, "panic"), job(2, "away")]).await;
    assert_eq!(seen.failures(), ["m1", "m2"]);
}

#[tokio::test]
async fn the_wait_grows_with_the_receives_and_honours_what_was_asked_for() {
    let seen = worked(vec![received(1, "panic", 4), job(2, "away")]).await;
    assert_eq!(seen.delays, [("h1".to_owned(), 960), ("h2".to_owned(), 90)]);
    let panic = "panic (4): fault in this bundle: a panic; its place is in the log".to_owned();
    assert!(seen.failed.contains(&panic), "{seen:?}");
}

#[tokio::test]
async fn a_failed_record_without_an_id_fails_the_batch_openly_and_never_as_an_empty_identifier() {
    let nameless = |id, subject| {
        let mut nameless = job(1, subject);
        nameless.message_id = id;
        nameless
    };
    for id in [None, Some(String::new())] {
        let seen = worked(vec![nameless(id, "panic"), job(2, "a")]).await;
        assert_eq!(seen.answer, Err(Nameless));
    }
    let seen = worked(vec![nameless(None, "a")]).await;
    assert!(seen.failures().is_empty(), "success needs no name");
}

#[tokio::test]
async fn the_last_failure_hands_the_message_over_to_the_dead_letter_queue_at_once() {
    let seen = worked(vec![received(1, "away", 5)]).await;
    assert_eq!(seen.failures(), ["m1"]);
    assert_eq!(seen.delays, [("h1".to_owned(), 0)]);
}

#[tokio::test]
async fn records_are_worked_on_in_turn_where_the_rules_say_so() {
    let one_by_one = Rules {
        at_once: 1,
        ..RULES
    };
    let records = vec![job(1, "a"), job(2, "panic"), job(3, "b")];
    let seen = worked_by(one_by_one, records).await;
    assert_eq!(seen.failures(), ["m2"]);
    assert_eq!(seen.done, ["a", "b"]);
}

/// A queue that does not answer.
struct Deaf;

impl Delay for Deaf {
    async fn delay(&self, _: &str, _: Duration) -> Result<(), RetryableError> {
        std::future::pending().await
    }
}

/// The time of tokio's paused clock.
#[derive(Debug)]
struct Ticking(tokio::time::Instant);

impl Clock for Ticking {
    fn now(&self) -> Timestamp {
        Timestamp::UNIX_EPOCH + self.0.elapsed()
    }
}

#[tokio::test(start_paused = true)]
async fn a_queue_that_does_not_answer_cannot_hold_up_the_answer() {
    for at_once in [10, 1] {
        let worker = Told::default();
        let began = tokio::time::Instant::now();
        let subjects = ["a", "panic", "never", "panic", "never"];
        let records = subjects.iter().enumerate();
        let records = batch(records.map(|(n, subject)| job(n, subject)).collect());
        let rules = Rules { at_once, ..RULES };
        let clock = Ticking(began);
        let answer = run(records, INVOCATION, rules, &worker, &Deaf, &clock).await;
        assert_eq!(failures(&answer.unwrap()), ["m1", "m2", "m3", "m4"]);
        assert!(
            began.elapsed() < Duration::from_millis(29_800),
            "{at_once}: {:?}",
            began.elapsed()
        );
    }
}
