//! Measures fulfillment: batches of 1 and of 10 completed checkouts, with AWS and Flex at 0 and at 10 ms.

use crate::{
    Failure,
    aws::Aws,
    delivery::{Signature, batch, delivery},
    lambda::{Expected, Function},
    measure::{Spread, float},
    processor::Used,
    subject::Place,
};
use serde::Serialize;
use std::{ops::RangeInclusive, time::Duration};

const BATCHES: [usize; 2] = [1, 10];
const LATENCIES_MS: [u64; 2] = [0, 10];
/// Batches before the measured ones.
const WARM_UP: usize = 10;

/// Batches of one size at one latency.
#[derive(Debug, Serialize)]
pub(crate) struct Batches {
    pub(crate) size: usize,
    pub(crate) latency_ms: u64,
    /// The figure of a whole batch.
    pub(crate) latency: Spread,
    /// In milliseconds for each order.
    pub(crate) processor_ms: f64,
    /// Calls to AWS and Flex for each order, by action.
    pub(crate) calls: Vec<(String, f64)>,
    /// How often a batch waits for at least one answer while no other is waited for. For a batch of 1, these are the
    /// sequential round trips of an order.
    pub(crate) round_trips: f64,
}

/// Measures `orders` orders for each size and latency. Intake stores the events first.
pub(crate) async fn measure(
    place: &Place<'_>,
    aws: &Aws,
    orders: usize,
) -> Result<Vec<Batches>, Failure> {
    let (intake, fulfillment) = (place.subject("intake")?, place.subject("fulfillment")?);
    let mut measured = Vec::new();
    // No other measurement has these events.
    let mut numbers = 2_000_000..=u64::MAX;
    aws.set_latency(Duration::ZERO);
    let accepted = Expected::Status(200);
    let first = delivery(numbers.next().unwrap_or_default(), Signature::Good);
    let (mut intake, _) = Function::start(&intake, &first, accepted).await?;
    for latency_ms in LATENCIES_MS {
        for size in BATCHES {
            let batches = orders.div_ceil(size);
            aws.set_latency(Duration::ZERO);
            let mut given = Vec::new();
            for _ in 0..=WARM_UP + batches {
                given.push(stored(&mut intake, &mut numbers, size).await?);
            }
            aws.set_latency(Duration::from_millis(latency_ms));
            let mut given = given.iter().map(|numbers| batch(numbers));
            let first = given.next().unwrap_or_default();
            let (mut function, _) =
                Function::start(&fulfillment, &first, Expected::NoFailures).await?;
            for event in given.by_ref().take(WARM_UP) {
                function.invoke(&event, Expected::NoFailures).await?;
            }
            aws.take_calls();
            aws.take_round_trips();
            let before = Used::by(function.pid()?)?;
            let mut latencies = Vec::new();
            for event in given {
                latencies.push(function.invoke(&event, Expected::NoFailures).await?);
            }
            let used = Used::by(function.pid()?)?.since(before);
            let handled = float(batches * size);
            let calls = aws.take_calls().into_iter();
            measured.push(Batches {
                size,
                latency_ms,
                latency: Spread::of(latencies),
                processor_ms: used.time.as_secs_f64() * 1e3 / handled,
                calls: calls
                    .map(|(action, calls)| (action, float(calls) / handled))
                    .collect(),
                round_trips: float(aws.take_round_trips()) / float(batches),
            });
            function.end().await?;
        }
    }
    Ok(measured)
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
