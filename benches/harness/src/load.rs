//! The whole flow under load: intake, fulfillment and receipts, with the queues between them.
//!
//! The stubs keep all rows, so that each order, movement, receipt and mail can be counted afterwards.
#![expect(
    clippy::indexing_slicing,
    reason = "indexing a `Value` gives null or makes the member"
)]

use crate::{
    Failure,
    aws::{Aws, Message},
    delivery::{
        Signature, batch, delivery, event_id, fulfillment_batch, message_id, order_id, receipt_id,
        receipts_batch,
    },
    dynamodb::ON_HAND,
    flex::Skus,
    lambda::{Expected, Function},
    measure::float,
    processor::Used,
    subject::{Place, Subject},
};
use futures_util::future::try_join_all;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::{
    cell::{Cell, RefCell},
    collections::VecDeque,
    ops::Range,
    time::{Duration, Instant},
};

/// Processes of intake, fulfillment and receipts. The last two are the template's defaults.
const PROCESSES: [usize; 3] = [4, 2, 2];
/// As in the template.
const BATCH_SIZES: [usize; 2] = [10, 5];
/// Every delivery of this number is a duplicate of an earlier one.
const DUPLICATE: u64 = 10;
/// Deliveries between two counts of the stubs' rows, which are removed then.
const ROUND: u64 = 10_000;
/// The template's `maxReceiveCount`.
const MOST_RECEIVES: u32 = 5;
/// Pieces of an order, by the beginning of the SKU.
const PIECES: [(&str, i64); 2] = [("BRACE-M", 2), ("TOTE", 1)];
/// A poller with no message asks again after this time.
const IDLE: Duration = Duration::from_millis(1);

/// Deliveries through the whole flow.
#[derive(Debug, Default, Deserialize, Serialize)]
pub(crate) struct Flow {
    pub(crate) deliveries: u64,
    pub(crate) duplicates: u64,
    pub(crate) orders: u64,
    pub(crate) seconds: f64,
    /// The processor time of all function processes, in seconds.
    pub(crate) processor_s: f64,
    pub(crate) ends: Ends,
}

/// The ends of all orders, counted in the stubs' rows.
#[derive(Debug, Default, Clone, Copy, Deserialize, Serialize)]
pub(crate) struct Ends {
    /// Events that are not processed, or have no order, no sent receipt or no mail.
    pub(crate) lost: u64,
    /// Orders more than events, movements that a counter has twice, and second mails.
    pub(crate) double: u64,
    /// Messages that reached the dead-letter queue.
    pub(crate) dead: u64,
    /// Messages that a function received more than once.
    pub(crate) again: u64,
}

/// Orders of one SKU, or of as many SKUs.
#[derive(Debug, Deserialize, Serialize)]
pub(crate) struct Shelf {
    /// All orders are of one SKU.
    pub(crate) is_hot: bool,
    pub(crate) latency_ms: u64,
    pub(crate) at_once: usize,
    pub(crate) orders: u64,
    pub(crate) seconds: f64,
    /// Transactions for each order.
    pub(crate) attempts: f64,
    pub(crate) ends: Ends,
}

/// The places from which functions take messages.
struct Pollers<'a> {
    aws: &'a Aws,
    /// Failed messages, with the time when they are visible again.
    hidden: RefCell<Vec<(Instant, &'static str, Message)>>,
    /// Messages that are still to be worked off, at least.
    left: Cell<u64>,
    dead: Cell<u64>,
    again: Cell<u64>,
}

impl Pollers<'_> {
    fn new(aws: &Aws, left: u64) -> Pollers<'_> {
        Pollers {
            aws,
            hidden: RefCell::default(),
            left: Cell::new(left),
            dead: Cell::new(0),
            again: Cell::new(0),
        }
    }

    /// Takes visible messages of a queue.
    fn take(&self, queue: &'static str, most: usize) -> Vec<Message> {
        let now = Instant::now();
        let mut world = self.aws.world();
        let waiting = world.queues.entry(queue.to_owned()).or_default();
        let mut hidden = self.hidden.borrow_mut();
        while let Some(n) = hidden
            .iter()
            .position(|(visible, of, _)| *of == queue && *visible <= now)
        {
            waiting.push_back(hidden.swap_remove(n).2);
        }
        let count = most.min(waiting.len());
        let mut taken: Vec<_> = waiting.drain(..count).collect();
        for message in &mut taken {
            message.receives += 1;
            if message.receives == 2 {
                self.again.set(self.again.get() + 1);
            }
        }
        taken
    }

    /// Hides a failed message, or gives it up.
    fn failed(&self, queue: &'static str, message: Message) {
        if message.receives >= MOST_RECEIVES {
            self.dead.set(self.dead.get() + 1);
            return;
        }
        let by = self.aws.world().hidden.remove(&message_id(message.number));
        let visible = Instant::now() + by.unwrap_or_default();
        self.hidden.borrow_mut().push((visible, queue, message));
    }

    /// Polls a queue as Lambda does, until no work is left anywhere.
    async fn poll(
        &self,
        function: &mut Function<'_>,
        (queue, size): (&'static str, usize),
        ends_work: bool,
    ) -> Result<(), Failure> {
        while self.left.get() > 0 {
            let messages = self.take(queue, size);
            if messages.is_empty() {
                tokio::time::sleep(IDLE).await;
                continue;
            }
            let records = messages.iter();
            let event = batch(records.map(|it| (it.number, it.receives, it.body.clone())));
            let (_, answer) = function.ask(&event, Expected::Batch).await?;
            let failures = answer["batchItemFailures"].as_array();
            let failures = failures.into_iter().flatten();
            let failures: Vec<_> = failures.map(|it| &it["itemIdentifier"]).collect();
            for message in messages {
                let id = Value::from(message_id(message.number));
                let has_failed = failures.contains(&&id);
                let is_last = has_failed && message.receives >= MOST_RECEIVES;
                if has_failed {
                    self.failed(queue, message);
                }
                if is_last || (ends_work && !has_failed) {
                    self.left.set(self.left.get().saturating_sub(1));
                }
            }
        }
        Ok(())
    }

    fn ends(&self, numbers: Range<u64>, skus: Skus, has_receipts: bool) -> Ends {
        let (lost, double) = count(self.aws, numbers, skus, has_receipts);
        Ends {
            lost,
            double,
            dead: self.dead.get(),
            again: self.again.get(),
        }
    }
}

/// Counts lost and doubled orders in the stubs' rows, which it removes.
fn count(aws: &Aws, numbers: Range<u64>, skus: Skus, has_receipts: bool) -> (u64, u64) {
    let mut world = aws.world();
    let (mut lost, mut double) = (0, 0);
    let orders = world.tables.table("orders").count();
    let events = numbers.end - numbers.start;
    double += u64::try_from(orders)
        .unwrap_or_default()
        .saturating_sub(events);
    let mut sold = 0;
    for number in numbers {
        let has = |table: &str, key: &str, state: &str| {
            let found = world.tables.item(&(table.to_owned(), key.to_owned()));
            found.is_some_and(|item| state.is_empty() || item["state"]["S"] == state)
        };
        let is_sold =
            has("events", &event_id(number), "processed") && has("orders", &order_id(number), "");
        let is_sent = !has_receipts || has("receipts", &receipt_id(number), "sent");
        lost += u64::from(!(is_sold && is_sent));
        sold += i64::from(is_sold);
        if skus == Skus::Spread {
            for (sku, pieces) in PIECES {
                let key = ("stock".to_owned(), format!("{sku}-{number:020} counter"));
                double += (taken(world.tables.item(&key)) - pieces).unsigned_abs();
            }
        }
    }
    if skus == Skus::Same {
        for (sku, pieces) in PIECES {
            let key = ("stock".to_owned(), format!("{sku} counter"));
            double += (taken(world.tables.item(&key)) - pieces * sold).unsigned_abs();
        }
    }
    double += world.mails.values().map(|mails| mails - 1).sum::<u64>();
    if has_receipts {
        let mails = u64::try_from(world.mails.len()).unwrap_or_default();
        lost += events.saturating_sub(mails);
    }
    world.clear();
    (lost, double)
}

/// The pieces that a counter has lost.
fn taken(counter: Option<&crate::expression::Item>) -> i64 {
    let on_hand = counter.and_then(|it| it["on_hand"]["N"].as_str()?.parse::<i64>().ok());
    on_hand.map_or(0, |on_hand| ON_HAND - on_hand)
}

/// Starts processes of a function, each with an event.
async fn started(
    subject: &Subject,
    count: usize,
    (event, expected): (impl Fn() -> Value, Expected),
) -> Result<Vec<Function<'_>>, Failure> {
    let mut functions = Vec::new();
    for _ in 0..count {
        functions.push(Function::start(subject, &event(), expected).await?.0);
    }
    Ok(functions)
}

/// Sends deliveries through the whole flow, each tenth of which is a duplicate.
pub(crate) async fn flow(place: &Place<'_>, aws: &Aws, deliveries: u64) -> Result<Flow, Failure> {
    let [intake, fulfillment, receipts] =
        ["intake", "fulfillment", "receipts"].map(|name| place.subject(name));
    let (intake, fulfillment, receipts) = (intake?, fulfillment?, receipts?);
    // No other measurement has these events.
    let mut numbers = 10_000_000..;
    let mut next = || numbers.next().unwrap_or_default();
    let [intakes, fulfillments, senders] = PROCESSES;
    let accepted = Expected::Status(200);
    let first = Cell::new(next());
    let new = || delivery(first.replace(first.get() + 1), Signature::Good);
    let mut intakes = started(&intake, intakes, (new, accepted)).await?;
    let empty = || fulfillment_batch(&[]);
    let mut fulfillments = started(&fulfillment, fulfillments, (empty, Expected::Batch)).await?;
    let empty = || receipts_batch(&[]);
    let mut senders = started(&receipts, senders, (empty, Expected::Batch)).await?;
    let pids: Result<Vec<_>, _> = (intakes.iter().chain(&fulfillments).chain(&senders))
        .map(Function::pid)
        .collect();
    let pids = pids?;
    let used = || -> Result<Duration, Failure> {
        let used = pids.iter().map(|pid| Used::by(*pid).map(|it| it.time));
        Ok(used.sum::<Result<Duration, _>>()?)
    };
    aws.world().clear();
    aws.world().keeps_messages = true;
    let mut flow = Flow::default();
    let mut number = 20_000_000;
    while flow.deliveries < deliveries {
        let sent = ROUND.min(deliveries - flow.deliveries);
        let begin = number;
        let given: Vec<_> = (1..=sent)
            .map(|n| {
                if n % DUPLICATE == 0 {
                    // The delivery before, or one that has long been processed.
                    return begin.max(number - 1 - (n / DUPLICATE) % 50);
                }
                number += 1;
                number - 1
            })
            .collect();
        let orders = number - begin;
        let pollers = Pollers::new(aws, orders);
        let given = RefCell::new(given.into_iter());
        let (used_before, clock) = (used()?, Instant::now());
        let takes = intakes.iter_mut().map(async |function| {
            loop {
                let number = given.borrow_mut().next();
                let Some(number) = number else {
                    return Ok::<_, Failure>(());
                };
                let event = delivery(number, Signature::Good);
                function.invoke(&event, accepted).await?;
            }
        });
        let [jobs, mails] = BATCH_SIZES;
        let fulfills = fulfillments
            .iter_mut()
            .map(|function| pollers.poll(function, ("fulfillment", jobs), false));
        let sends = senders
            .iter_mut()
            .map(|function| pollers.poll(function, ("receipts", mails), true));
        futures_util::try_join!(
            try_join_all(takes),
            try_join_all(fulfills),
            try_join_all(sends)
        )?;
        // Duplicates of unfinished events may still wait in the first queue.
        drain(&pollers, fulfillments.first_mut(), "fulfillment").await?;
        drain(&pollers, senders.first_mut(), "receipts").await?;
        flow.seconds += clock.elapsed().as_secs_f64();
        flow.processor_s += used()?.saturating_sub(used_before).as_secs_f64();
        flow.deliveries += sent;
        flow.orders += orders;
        flow.duplicates += sent - orders;
        flow.ends += pollers.ends(begin..number, Skus::Spread, true);
        eprintln!("{} of {deliveries} deliveries", flow.deliveries);
    }
    aws.world().keeps_messages = false;
    Ok(flow)
}

/// Works off what is left in a queue.
async fn drain(
    pollers: &Pollers<'_>,
    function: Option<&mut Function<'_>>,
    queue: &'static str,
) -> Result<(), Failure> {
    let Some(function) = function else {
        return Ok(());
    };
    let is_left = || {
        let world = pollers.aws.world();
        let waiting = world.queues.get(queue).map_or(0, VecDeque::len);
        let hidden = pollers.hidden.borrow();
        let hidden = hidden.iter().filter(|(_, of, _)| *of == queue).count();
        u64::try_from(waiting + hidden).unwrap_or_default()
    };
    while is_left() > 0 {
        pollers.left.set(is_left());
        pollers.poll(function, (queue, 10), true).await?;
    }
    Ok(())
}

/// Fulfills orders of one SKU, or of as many SKUs, with batches of 10 in several processes.
pub(crate) async fn shelf(
    place: &Place<'_>,
    aws: &Aws,
    (is_hot, orders, latency_ms, processes): (bool, u64, u64, usize),
) -> Result<Shelf, Failure> {
    let (intake, fulfillment) = (place.subject("intake")?, place.subject("fulfillment")?);
    let skus = if is_hot { Skus::Same } else { Skus::Spread };
    let size = BATCH_SIZES[0];
    aws.set_latency(Duration::ZERO);
    let accepted = Expected::Status(200);
    let begin = 50_000_000;
    let first = delivery(begin - 1, Signature::Good);
    let (mut intake, _) = Function::start(&intake, &first, accepted).await?;
    let empty = || fulfillment_batch(&[]);
    let mut functions = started(&fulfillment, processes, (empty, Expected::Batch)).await?;
    {
        let mut world = aws.world();
        world.clear();
        (world.keeps_messages, world.skus) = (true, skus);
    }
    for number in begin..begin + orders {
        let event = delivery(number, Signature::Good);
        intake.invoke(&event, accepted).await?;
    }
    aws.set_latency(Duration::from_millis(latency_ms));
    aws.take_calls();
    let pollers = Pollers::new(aws, orders);
    let clock = Instant::now();
    let polls = functions
        .iter_mut()
        .map(|function| pollers.poll(function, ("fulfillment", size), true));
    try_join_all(polls).await?;
    let seconds = clock.elapsed().as_secs_f64();
    let attempts = aws.take_calls().remove("TransactWriteItems");
    let ends = pollers.ends(begin..begin + orders, skus, false);
    aws.set_latency(Duration::ZERO);
    let mut world = aws.world();
    (world.keeps_messages, world.skus) = (false, Skus::Spread);
    Ok(Shelf {
        is_hot,
        latency_ms,
        at_once: processes * size,
        orders,
        seconds,
        attempts: float(attempts.unwrap_or_default()) / float(orders),
        ends,
    })
}

impl std::ops::AddAssign for Ends {
    fn add_assign(&mut self, other: Self) {
        self.lost += other.lost;
        self.double += other.double;
        self.dead += other.dead;
        self.again += other.again;
    }
}
