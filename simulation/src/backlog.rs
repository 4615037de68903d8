//! A backlog: many events wait, and new ones keep coming. The functions are the real ones, on the ports in memory.
//! Lambda's pollers, the sending rate of SES and the duration of calls are modelled, in virtual time: run it on a
//! paused clock.
#![expect(
    clippy::expect_used,
    reason = "a story that cannot be set up must stop the test"
)]

use crate::later;
use aws::{
    batch::{self, Invocation, Rules, Worker},
    mailer::{Sorted, unless_throttled},
};
use aws_lambda_events::event::sqs::{SqsEvent, SqsMessage};
use domain::{
    delivery::{
        answer::Answer,
        reference::Reference,
        secrets::ApiKey,
        signature::{BadKey, Key, Refusal, Unverified},
    },
    ports::{Answering, Clock, Headers, Provider},
    upkeep::reconcile::{Ask, Found, Page},
    values::provider::ProviderPolicies,
};
use fulfillment::Fulfillment;
use kit::prelude::*;
use kit::{
    dice::Dice,
    drive::{HIDDEN_FOR, MOST_RECEIVES, POLICY, RECEIPT_RULES, RULES, WORKER_LASTS, merchant},
    fakes::{FixedKey, Message},
    sweeping::sweep_over,
};
use mail::Mailer;
use mail::{Email, Templates};
use providers::Providers;
use receipts::Receipts;
use std::{
    cell::{Cell, RefCell},
    collections::{HashMap, VecDeque},
    future::ready,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicUsize, Ordering},
    },
};
use tokio::time::{Instant, sleep};

/// How long a call to a table or a queue takes.
const CALL_LASTS: Duration = Duration::from_millis(8);
/// How long Flex takes to answer.
const FLEX_LASTS: Duration = Duration::from_millis(250);
/// The time of an answer of SES: short, so that only its rate limits the mails.
const SES_LASTS: Duration = Duration::from_millis(40);
/// How often a poller without messages asks again.
const POLLS_EVERY: Duration = Duration::from_millis(500);
/// Among how many of the oldest messages a queue chooses the next.
const SHUFFLED: usize = 100;
/// The number of concurrent requests of the real client for one sale: for the session, its lines and its payments.
/// If the session does not state the customer, a request for the customer follows these, so there are never more.
pub const ASKED_AT_ONCE: usize = 3;
/// The stock of each product.
pub const ON_HAND: i64 = 10_000_000;

/// The settings of a stack, the waiting events and the new ones.
#[derive(Debug, Clone, Copy)]
pub struct Setting {
    /// How many events wait. Flex does not know every twentieth.
    pub waiting: u64,
    /// How many come meanwhile, one each time so much has passed.
    pub new: (u64, Duration),
    /// `FulfillmentConcurrency`, and the size of its batches.
    pub fulfillment: (usize, usize),
    /// `ReceiptConcurrency`, and the size of its batches.
    pub receipts: (usize, usize),
    /// The mails that SES accepts in a second.
    pub mails_per_second: u32,
}

impl Setting {
    /// How many sales there are of which Flex knows.
    pub fn sold(&self) -> u64 {
        (1..=self.waiting + self.new.0)
            .filter(|n| self.is_known(*n))
            .count() as u64
    }

    fn is_known(&self, n: u64) -> bool {
        n > self.waiting || !n.is_multiple_of(20)
    }
}

#[derive(Debug, Clone, Default)]
pub struct Drained {
    /// How long it took until what had waited was fulfilled, but for what Flex knows nothing of.
    pub drained_in: Duration,
    /// How long it took until no event was left.
    pub ended_in: Duration,
    /// How long it took until the last mail was out.
    pub mailed_in: Duration,
    /// When each new event came and how long it waited, by the time since the beginning.
    pub waits: Vec<(Duration, Duration)>,
    /// The most requests that Flex had at one moment.
    pub most_requests: usize,
    /// The most mails that SES took within one second.
    pub most_mails: usize,
    /// How often SES said that a mail was one too many.
    pub throttled: usize,
    /// How many messages were received more than once, of both queues.
    pub again: usize,
    /// How many messages the sweep sent, beyond those that were there.
    pub swept: usize,
    /// The messages that both queues gave up on.
    pub given_up: Vec<String>,
}

impl Drained {
    pub fn table(&self, setting: &Setting) -> String {
        let (drained_in, mailed_in) = (self.drained_in, self.mailed_in);
        let waits = self.waits.iter().map(|(_, waited)| *waited);
        let longest = waits.max().unwrap_or_default();
        let seconds = |lasts: Duration| format!("{:.0}", lasts.as_secs_f64());
        let per_second = |count: u64, lasts: Duration| {
            let tenths = count * 10_000 / u64::try_from(lasts.as_millis()).unwrap_or(1).max(1);
            format!("{}.{}", tenths / 10, tenths % 10)
        };
        let rows = [
            ("events that waited", setting.waiting.to_string()),
            ("new ones meanwhile", setting.new.0.to_string()),
            ("until what waited was fulfilled, s", seconds(drained_in)),
            ("  events a second", per_second(setting.waiting, drained_in)),
            ("until the last mail, s", seconds(mailed_in)),
            ("  mails a second", per_second(setting.sold(), mailed_in)),
            ("  at most, within one second", self.most_mails.to_string()),
            ("  SES's \"one too many\"", self.throttled.to_string()),
            ("longest wait of a new event, s", seconds(longest)),
            (
                "requests to Flex at one moment, at most",
                self.most_requests.to_string(),
            ),
            ("messages received again", self.again.to_string()),
            ("messages by the sweep", self.swept.to_string()),
            ("given up", self.given_up.len().to_string()),
        ];
        rows.map(|(what, count)| format!("{what:<40} {count:>12}"))
            .join("\n")
    }
}

/// Flex, which counts how many requests it has at once.
#[derive(Debug, Clone)]
struct Flex {
    world: World,
    now: Arc<AtomicUsize>,
    most: Arc<AtomicUsize>,
}

impl Flex {
    fn of(world: &World) -> Self {
        Self {
            world: world.clone(),
            now: Arc::default(),
            most: Arc::default(),
        }
    }

    async fn asked<T>(&self, answer: impl Future<Output = T>) -> T {
        let now = self.now.fetch_add(1, Ordering::Relaxed) + 1;
        self.most.fetch_max(now, Ordering::Relaxed);
        sleep(FLEX_LASTS).await;
        let answer = answer.await;
        self.now.fetch_sub(1, Ordering::Relaxed);
        answer
    }
}

impl Provider for Flex {
    fn policies(&self) -> ProviderPolicies {
        self.world.policies()
    }

    fn check<'body>(
        &self,
        headers: &Headers<'_>,
        body: &'body [u8],
        now: Timestamp,
    ) -> Result<Unverified<'body>, Refusal> {
        self.world.check(headers, body, now)
    }

    fn read(&self, body: &[u8]) -> Reading {
        self.world.read(body)
    }

    fn fetch<'a>(
        &'a self,
        key: &'a ApiKey,
        reference: &'a Reference,
        asked_at: Timestamp,
    ) -> Answering<'a, Result<Answer, ReadError>> {
        Box::pin(async move {
            let answer = self.asked(Provider::fetch(&self.world, key, reference, asked_at));
            if let Reference::Sale(_) = reference {
                let others = join_all((1..ASKED_AT_ONCE).map(|_| self.asked(ready(()))));
                return tokio::join!(answer, others).0;
            }
            answer.await
        })
    }

    fn lists(&self) -> &'static [&'static str] {
        self.world.lists()
    }

    fn list<'a>(&'a self, key: &'a ApiKey, ask: Ask<'a>) -> Answering<'a, Result<Page, ReadError>> {
        self.world.list(key, ask)
    }

    fn recovered(&self, found: &Found, id: &EventId, at: Timestamp, waits: bool) -> Vec<u8> {
        self.world.recovered(found, id, at, waits)
    }

    fn stub(&self, list: &str, id: Option<&str>) -> Vec<u8> {
        self.world.stub(list, id)
    }

    fn signing_key(&self, secret: &str) -> Result<Key, BadKey> {
        self.world.signing_key(secret)
    }

    fn key_mode(&self, key: &ApiKey) -> Option<Mode> {
        self.world.key_mode(key)
    }
}

/// SES, with a sending rate: it rejects the mails above the rate of a second.
#[derive(Debug, Clone)]
struct Ses {
    world: World,
    per_second: usize,
    taken: Arc<Mutex<VecDeque<Instant>>>,
    most: Arc<AtomicUsize>,
    throttled: Arc<AtomicUsize>,
}

impl Ses {
    fn of(world: &World, per_second: u32) -> Self {
        Self {
            world: world.clone(),
            per_second: per_second as usize,
            taken: Arc::default(),
            most: Arc::default(),
            throttled: Arc::default(),
        }
    }

    fn has_room(&self) -> bool {
        let mut taken = self.taken.lock().unwrap_or_else(PoisonError::into_inner);
        while taken
            .front()
            .is_some_and(|first| first.elapsed() >= Duration::from_secs(1))
        {
            taken.pop_front();
        }
        let has_room = taken.len() < self.per_second;
        if has_room {
            taken.push_back(Instant::now());
            self.most.fetch_max(taken.len(), Ordering::Relaxed);
        } else {
            self.throttled.fetch_add(1, Ordering::Relaxed);
        }
        has_room
    }

    async fn hand_over(&self, email: &Email) -> Result<MessageId, Sorted> {
        sleep(SES_LASTS).await;
        if self.has_room() {
            return self.world.send(email).await.map_err(Sorted::End);
        }
        let throttled = RetryableError::Away {
            service: "SES",
            cause: "Throttling".to_owned(),
            retry_after: None,
        };
        Err(Sorted::Throttled(SendError::NotSent(throttled)))
    }
}

impl Mailer for Ses {
    async fn send(&self, email: &Email) -> Result<MessageId, SendError> {
        unless_throttled(|| self.hand_over(email)).await
    }
}

/// The pollers of one queue, as Lambda has them.
struct Pollers<'a, J, W> {
    world: &'a World,
    worker: &'a W,
    queue: fn(&mut Kept) -> &mut VecDeque<Message<J>>,
    hop: Hop,
    batches: (usize, usize),
    rules: Rules,
    dice: RefCell<Dice>,
    over: &'a Cell<bool>,
    again: &'a Cell<usize>,
    began: Instant,
    done: &'a RefCell<BTreeMap<String, Duration>>,
}

impl<J: Job + Clone, W: Worker<J>> Pollers<'_, J, W> {
    async fn run(&self) {
        join_all((0..self.batches.0).map(|poller| self.poll(poller))).await;
    }

    async fn poll(&self, poller: usize) {
        while !self.over.get() {
            let batch = self.receive();
            if batch.is_empty() {
                sleep(POLLS_EVERY).await;
            } else {
                self.work(poller, batch).await;
            }
        }
    }

    /// Some of the oldest visible messages: a standard queue promises no order, and roughly keeps one.
    fn receive(&self) -> Vec<Message<J>> {
        let now = self.world.now();
        let mut dice = self.dice.borrow_mut();
        let mut kept = self.world.kept();
        let queue = (self.queue)(&mut kept);
        let mut batch = Vec::new();
        while batch.len() < self.batches.1 {
            let mut visible = (0..queue.len()).filter(|n| queue[*n].visible_at <= now);
            let skipped = dice.place(SHUFFLED.min(queue.len()));
            let first = visible.next();
            let place = visible.take(skipped).last().or(first);
            let Some(mut message) = place.and_then(|place| queue.remove(place)) else {
                break;
            };
            message.receives += 1;
            let again = usize::from(message.receives > 1);
            self.again.set(self.again.get() + again);
            batch.push(message);
        }
        batch
    }

    async fn work(&self, poller: usize, batch: Vec<Message<J>>) {
        let handle = |n: usize| format!("{:?}-{poller}-{n}", self.hop);
        let mut event = SqsEvent::default();
        for (n, message) in batch.iter().enumerate() {
            let mut record = SqsMessage::default();
            record.message_id = Some(handle(n));
            record.receipt_handle = Some(handle(n));
            record.body = serde_json::to_string(&message.job).ok();
            let receives = message.receives.to_string();
            record.attributes = HashMap::from([("ApproximateReceiveCount".to_owned(), receives)]);
            event.records.push(record);
        }
        let began = self.world.now();
        let deadline = later(began, WORKER_LASTS).as_millisecond();
        let invocation = Invocation {
            request_id: &format!("{:?}-{poller}-{}", self.hop, began.as_nanosecond()),
            deadline_ms: u64::try_from(deadline).unwrap_or_default(),
        };
        let (rules, worker, w) = (self.rules, self.worker, self.world);
        let answer = batch::run(event, invocation, rules, worker, w, w).await;
        let failed = answer.expect("every message has an id").batch_item_failures;
        let now = self.world.now();
        let mut kept = self.world.kept();
        let mut delays: BTreeMap<String, Duration> = kept
            .delays
            .extract_if(.., |(handle, _)| {
                handle.starts_with(&format!("{:?}-{poller}-", self.hop))
            })
            .collect();
        for (n, mut message) in batch.into_iter().enumerate() {
            let mut failed = failed.iter();
            let subject = || message.job.subject().into_owned();
            if !failed.any(|failure| failure.item_identifier == handle(n)) {
                let mut done = self.done.borrow_mut();
                done.entry(subject()).or_insert(self.began.elapsed());
            } else if message.receives >= MOST_RECEIVES {
                let body = serde_json::to_string(&message.job).expect("a job that can be written");
                kept.give_up(self.hop, body, subject());
            } else {
                let hidden = delays.remove(&handle(n)).unwrap_or(HIDDEN_FOR);
                message.visible_at = later(now, hidden);
                (self.queue)(&mut kept).push_back(message);
            }
        }
    }
}

/// Drains a backlog without any check. The returned world has the result.
pub async fn drain(setting: Setting) -> (Bundle, Drained) {
    let bundle = backlogged(&setting).await;
    let world = bundle.world.clone();
    world.run_on_timers(CALL_LASTS);
    let began = Instant::now();
    let flex = Flex::of(&world);
    let ses = Ses::of(&world, setting.mails_per_second);
    let (fulfillment, receipts, sweep) = (
        fulfillment(&world, &flex),
        receipts(&world, &ses),
        sweep_over(&world),
    );
    let (over, again) = (Cell::new(false), Cell::new(0));
    let (fulfilled, mailed): (RefCell<BTreeMap<String, Duration>>, _) = Default::default();
    let jobs = Pollers {
        world: &world,
        worker: &fulfillment,
        queue: |kept: &mut Kept| -> &mut VecDeque<Message<FulfillmentJob>> {
            &mut kept.fulfillment_queue
        },
        hop: Hop::Fulfillment,
        batches: setting.fulfillment,
        rules: RULES,
        dice: RefCell::new(Dice::of(1, 1)),
        over: &over,
        began,
        again: &again,
        done: &fulfilled,
    };
    let mails = Pollers {
        world: &world,
        worker: &receipts,
        queue: |kept: &mut Kept| -> &mut VecDeque<Message<ReceiptJob>> { &mut kept.receipt_queue },
        hop: Hop::Receipts,
        batches: setting.receipts,
        rules: RECEIPT_RULES,
        dice: RefCell::new(Dice::of(1, 2)),
        over: &over,
        began,
        again: &again,
        done: &mailed,
    };
    let sweeps = async {
        let mut swept = 0;
        while !over.get() {
            sleep(Duration::from_mins(5)).await;
            let run = sweep.run().await.expect("nothing fails here");
            swept += run.stored + run.committed + run.unsent + run.leased + run.due;
        }
        swept
    };
    let all = setting.waiting + setting.new.0;
    let story = async {
        let mut new = Vec::new();
        for n in setting.waiting + 1..=all {
            sleep(setting.new.1).await;
            arrive(&bundle, n, setting.is_known(n)).await;
            new.push((event_id(n), began.elapsed()));
        }
        until(began, || fulfilled.borrow().len() as u64 == all).await;
        let ended_in = began.elapsed();
        until(began, || world.kept().mails.len() as u64 >= setting.sold()).await;
        let mailed_in = began.elapsed();
        // The sweep's extra messages are handled too.
        until(began, || world.kept().receipt_queue.is_empty()).await;
        sleep(WORKER_LASTS).await;
        over.set(true);
        (new, ended_in, mailed_in)
    };
    let ((new, ended_in, mailed_in), swept, (), ()) =
        tokio::join!(story, sweeps, jobs.run(), mails.run());
    let done = fulfilled.borrow();
    let done_in = |id: &str| done.get(id).copied().unwrap_or_default();
    let old = (1..=setting.waiting).filter(|n| setting.is_known(*n));
    let drained = Drained {
        drained_in: old.map(|n| done_in(&event_id(n))).max().unwrap_or_default(),
        ended_in,
        mailed_in,
        waits: new
            .iter()
            .map(|(id, came)| (*came, done_in(id).saturating_sub(*came)))
            .collect(),
        most_requests: flex.most.load(Ordering::Relaxed),
        most_mails: ses.most.load(Ordering::Relaxed),
        throttled: ses.throttled.load(Ordering::Relaxed),
        again: again.get(),
        swept,
        given_up: world.kept().given_up(),
    };
    drop(done);
    (bundle, drained)
}

/// The shop, and the waiting events.
async fn backlogged(setting: &Setting) -> Bundle {
    let bundle = open_shop(OnUnknown::Resend);
    for name in ["BRACE-M", "TOTE"] {
        bundle.world.kept().counters.insert(sku(name), ON_HAND);
    }
    for n in 1..=setting.waiting {
        arrive(&bundle, n, setting.is_known(n)).await;
    }
    bundle
}

fn fulfillment(world: &World, flex: &Flex) -> Fulfillment<World> {
    Fulfillment {
        store: world.clone(),
        providers: Providers::default().with(
            kit::flex_id(),
            Arc::new(flex.clone()),
            Some(Arc::new(FixedKey)),
        ),
        clock: Arc::new(world.clone()),
        policy: POLICY,
        most_receives: MOST_RECEIVES,
    }
}

fn receipts(world: &World, ses: &Ses) -> Receipts<World, Ses> {
    Receipts {
        store: world.clone(),
        mailer: ses.clone(),
        clock: Arc::new(world.clone()),
        merchant: merchant(),
        templates: Templates::built_in().expect("good built-in templates"),
        on_unknown: OnUnknown::Resend,
    }
}

fn event_id(n: u64) -> String {
    format!("fevt_{n:07}")
}

/// A sale is paid for, and intake has received its event.
async fn arrive(bundle: &Bundle, n: u64, is_known: bool) {
    let purchase = purchase(n);
    if is_known {
        bundle.provider_has(&sale(&purchase));
    }
    let answer = bundle.post(&Delivery::of(&purchase, &event_id(n))).await;
    assert_eq!(answer.map(|answer| answer.reply().status), Some(200));
}

async fn until(began: Instant, is_so: impl Fn() -> bool) {
    while !is_so() {
        sleep(POLLS_EVERY).await;
        assert!(
            began.elapsed() < Duration::from_hours(24 * 14),
            "it never comes to its end"
        );
    }
}
