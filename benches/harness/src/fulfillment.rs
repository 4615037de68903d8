//! Measures fulfillment and receipts: batches of 1 and of 10, with AWS and Flex at 0 and at 10 ms.

use crate::{
    Failure,
    aws::Aws,
    delivery::{Signature, delivery, fulfillment_batch, receipts_batch},
    lambda::{Expected, Function},
    measure::{Billed, Spread, float, log_length},
    processor::{Used, peak_memory_kib},
    subject::{Place, Subject},
};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::{ops::RangeInclusive, time::Duration};

const BATCHES: [usize; 2] = [1, 10];
const LATENCIES_MS: [u64; 2] = [0, 10];
/// Batches before the measured ones.
const WARM_UP: usize = 10;

/// Batches of one size at one latency.
#[derive(Debug, Deserialize, Serialize)]
pub(crate) struct Batches {
    pub(crate) function: String,
    pub(crate) size: usize,
    pub(crate) latency_ms: u64,
    /// The figure of a whole batch.
    pub(crate) latency: Spread,
    /// In milliseconds for each record.
    pub(crate) processor_ms: f64,
    /// Calls to AWS and Flex for each record, by action.
    pub(crate) calls: Vec<(String, f64)>,
    /// How often a batch waits for at least one answer while no other is waited for. For a batch of 1, these are the
    /// sequential round trips of a record.
    pub(crate) round_trips: f64,
    pub(crate) peak_memory_mib: f64,
    /// For each record.
    pub(crate) billed: Billed,
}

type MakesBatch = fn(&[u64]) -> Value;

/// Measures `orders` orders for each size and latency, and then their receipts. Intake stores the events first.
pub(crate) async fn measure(
    place: &Place<'_>,
    aws: &Aws,
    orders: usize,
) -> Result<Vec<Batches>, Failure> {
    let intake = place.subject("intake")?;
    let functions: [(Subject, MakesBatch); 2] = [
        (place.subject("fulfillment")?, fulfillment_batch),
        (place.subject("receipts")?, receipts_batch),
    ];
    let mut measured = Vec::new();
    // No other measurement has these events.
    let mut numbers = 2_000_000..=u64::MAX;
    aws.set_latency(Duration::ZERO);
    let accepted = Expected::Status(200);
    let first = delivery(numbers.next().unwrap_or_default(), Signature::Good);
    let (mut intake, _) = Function::start(&intake, &first, accepted).await?;
    for latency_ms in LATENCIES_MS {
        for size in BATCHES {
            let mut given = Vec::new();
            for _ in 0..=WARM_UP + orders.div_ceil(size) {
                given.push(stored(&mut intake, &mut numbers, size).await?);
            }
            for (function, batch) in &functions {
                aws.set_latency(Duration::from_millis(latency_ms));
                let events: Vec<_> = given.iter().map(|numbers| batch(numbers)).collect();
                measured.push(Batches {
                    latency_ms,
                    ..of_function(function, aws, &events, size).await?
                });
                aws.set_latency(Duration::ZERO);
            }
        }
    }
    measured.sort_by(|one, other| one.function.cmp(&other.function));
    Ok(measured)
}

/// Measures one function with these batches. The first ones are the start and the warm-up.
async fn of_function(
    subject: &Subject,
    aws: &Aws,
    events: &[Value],
    size: usize,
) -> Result<Batches, Failure> {
    let expected = Expected::NoFailures;
    let mut events = events.iter();
    let first = events.next().unwrap_or(&Value::Null);
    let (mut function, _) = Function::start(subject, first, expected).await?;
    for event in events.by_ref().take(WARM_UP) {
        function.invoke(event, expected).await?;
    }
    aws.take_calls();
    aws.take_round_trips();
    aws.take_units();
    let log_before = log_length(subject);
    let before = Used::by(function.pid()?)?;
    let mut latencies = Vec::new();
    for event in events {
        latencies.push(function.invoke(event, expected).await?);
    }
    let used = Used::by(function.pid()?)?.since(before);
    let peak = peak_memory_kib(function.pid()?)?;
    function.end().await?;
    let (batches, calls) = (float(latencies.len()), aws.take_calls().into_iter());
    let handled = batches * float(size);
    Ok(Batches {
        function: subject.name.clone(),
        size,
        latency_ms: 0,
        latency: Spread::of(latencies),
        processor_ms: used.time.as_secs_f64() * 1e3 / handled,
        calls: calls
            .map(|(action, calls)| (action, float(calls) / handled))
            .collect(),
        round_trips: float(aws.take_round_trips()) / batches,
        peak_memory_mib: float(peak) / 1024.0,
        billed: Billed::by(subject, aws, log_before, handled),
    })
}

/// The numbers of new events that intake has stored.
async fn stored(
    intake: &mut Function<'_>,
    numbers: &mut RangeInclusive<u64>,
    count: usize,
) -> Result<Vec<u64>, Failure> {
    let numbers: Vec<u64> = numbers.by_ref().take(count).collect();
    for number in &numbers {
        let event = delivery(*number, Signature::Good);
        intake.invoke(&event, Expected::Status(200)).await?;
    }
    Ok(numbers)
}
