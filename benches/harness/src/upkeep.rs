//! Measures sweep and reconcile over many rows.

use crate::{
    Failure,
    aws::Aws,
    delivery::{Signature, delivery, event_id, fulfillment_batch, order_id},
    lambda::{Expected, Function},
    processor::{Used, peak_memory_kib},
    subject::{Place, Subject},
};
use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};
use serde_json::json;
use std::{
    ops::Range,
    time::{Duration, Instant},
};

const LATENCIES_MS: [u64; 2] = [0, 10];
/// The number of the sample, and of the first row that is made from it.
const SAMPLE: u64 = 60_000_000;

/// A run over many rows.
#[derive(Debug, Deserialize, Serialize)]
pub(crate) struct Upkeep {
    pub(crate) function: String,
    pub(crate) rows: u64,
    pub(crate) latency_ms: u64,
    pub(crate) seconds: f64,
    pub(crate) processor_s: f64,
    /// Calls to AWS and Flex, by action.
    pub(crate) calls: Vec<(String, u64)>,
    pub(crate) peak_memory_mib: f64,
}

/// Measures a run of sweep over overdue events, and one of reconcile over sessions that all have their orders.
pub(crate) async fn measure(
    place: &Place<'_>,
    aws: &Aws,
    rows: u64,
) -> Result<Vec<Upkeep>, Failure> {
    let (intake, fulfillment) = (place.subject("intake")?, place.subject("fulfillment")?);
    let (sweep, reconcile) = (place.subject("sweep")?, place.subject("reconcile")?);
    aws.set_latency(Duration::ZERO);
    aws.world().clear();
    let accepted = Expected::Status(200);
    let [first, second] = [SAMPLE, SAMPLE + 1].map(|number| delivery(number, Signature::Good));
    let (mut intake, _) = Function::start(&intake, &first, accepted).await?;
    intake.invoke(&second, accepted).await?;
    let sold = fulfillment_batch(&[SAMPLE]);
    Function::start(&fulfillment, &sold, Expected::NoFailures).await?;
    let numbers = SAMPLE..SAMPLE + rows;
    copy(aws, "orders", order_id, (SAMPLE, numbers.clone()));
    aws.world().listed = numbers.collect();
    let mut measured = Vec::new();
    for latency_ms in LATENCIES_MS {
        let latency = Duration::from_millis(latency_ms);
        measured.push(run(&reconcile, aws, (rows, latency)).await?);
    }
    aws.world().listed.clear();
    for latency_ms in LATENCIES_MS {
        overdue(aws, SAMPLE + 1..SAMPLE + 1 + rows);
        let latency = Duration::from_millis(latency_ms);
        measured.push(run(&sweep, aws, (rows, latency)).await?);
    }
    aws.world().clear();
    Ok(measured)
}

/// Copies a row under the ids of other numbers.
fn copy(aws: &Aws, table: &str, id: fn(u64) -> String, (of, numbers): (u64, Range<u64>)) {
    let mut world = aws.world();
    let rows = world.tables.table_mut(table);
    let Some(sample) = rows.get(&id(of)) else {
        return;
    };
    let sample = serde_json::to_string(sample).unwrap_or_default();
    for number in numbers {
        let row = sample.replace(&format!("{of:020}"), &format!("{number:020}"));
        rows.insert(id(number), serde_json::from_str(&row).unwrap_or_default());
    }
}

/// Makes events that were stored an hour ago and never queued.
fn overdue(aws: &Aws, numbers: Range<u64>) {
    let at = Timestamp::now() - SignedDuration::from_hours(1);
    let mut world = aws.world();
    if let Some(sample) = (world.tables.table_mut("events")).get_mut(&event_id(numbers.start)) {
        let at = at.as_second().to_string();
        sample.insert("received_at".to_owned(), json!({"N": at}));
        sample.remove("swept_at");
        sample.remove("attempts");
    }
    drop(world);
    copy(aws, "events", event_id, (numbers.start, numbers));
}

/// One run of a scheduled function, in a new process.
async fn run(
    subject: &Subject,
    aws: &Aws,
    (rows, latency): (u64, Duration),
) -> Result<Upkeep, Failure> {
    aws.set_latency(latency);
    aws.take_calls();
    let began = Instant::now();
    let (function, _) = Function::start(subject, &json!({}), Expected::Nothing).await?;
    let seconds = began.elapsed().as_secs_f64();
    let used = Used::by(function.pid()?)?;
    let peak = peak_memory_kib(function.pid()?)?;
    function.end().await?;
    aws.set_latency(Duration::ZERO);
    Ok(Upkeep {
        function: subject.name.clone(),
        rows,
        latency_ms: u64::try_from(latency.as_millis()).unwrap_or_default(),
        seconds,
        processor_s: used.time.as_secs_f64(),
        calls: aws.take_calls().into_iter().collect(),
        peak_memory_mib: crate::measure::float(peak) / 1024.0,
    })
}
