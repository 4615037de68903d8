//! Drives the three functions over the [`World`] in memory, like Lambda and SQS. It delivers, drains the queues, and
//! redelivers failed messages after their back-off, until no work is left.

use crate::fakes::{Hop, Message, World};
use aws::batch::{self, Attempt, Invocation, RESERVE, Rules, Worker};
use aws_lambda_events::event::sqs::{SqsBatchResponse, SqsEvent, SqsMessage};
use domain::{
    access::purchase::AccessPolicies,
    delivery::job::Job,
    fulfillment::Policy,
    ports::{Clock, Delay},
    receipt::OnUnknown,
    sale::{amounts::PartPayment, restock::RestockPolicy, shop::ShopFilter, stock::RenewalStock},
    values::{mode::Mode, outcome::RetryableError},
};
use feedback::Feedback;
use fulfillment::Fulfillment;
use futures_util::future::join_all;
use intake::Intake;
use jiff::{SignedDuration, Timestamp};
use mail::{Merchant, Settings, Templates};
use receipts::Receipts;
use std::{
    collections::{HashMap, VecDeque},
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicU32, Ordering},
    },
    time::Duration,
};

/// As in the template: `maxReceiveCount`.
pub const MOST_RECEIVES: u32 = 5;
/// As in the template: `RetryBaseSeconds`.
pub const RETRY_BASE: Duration = Duration::from_mins(1);
/// As in the template: intake's `Timeout`.
pub const INTAKE_LASTS: Duration = Duration::from_secs(10);
/// As in the template: the `Timeout` of fulfillment, of receipts and of feedback.
pub const WORKER_LASTS: Duration = Duration::from_secs(30);
/// As in the template: sweep's `Timeout`.
pub const SWEEP_LASTS: Duration = Duration::from_mins(1);
/// As in the template: reconcile's `Timeout`.
pub const RECONCILE_LASTS: Duration = Duration::from_mins(5);
/// As in the template: the queues' `VisibilityTimeout`.
pub const HIDDEN_FOR: Duration = Duration::from_mins(3);
/// As in the template: fulfillment's `BatchSize`.
pub const JOBS_A_BATCH: usize = 10;
/// As in the template: receipts' `BatchSize`.
pub const RECEIPTS_A_BATCH: usize = 5;
/// As in the template: feedback's `BatchSize`.
pub const REPORTS_A_BATCH: usize = 10;

/// Fulfillment's handling of a batch.
pub const RULES: Rules = Rules {
    retry_base: RETRY_BASE,
    most_receives: MOST_RECEIVES,
    at_once: fulfillment::AT_ONCE,
};
/// Receipts' handling of a batch.
pub const RECEIPT_RULES: Rules = Rules {
    at_once: receipts::AT_ONCE,
    ..RULES
};
/// Feedback's handling of a batch.
pub const FEEDBACK_RULES: Rules = Rules {
    at_once: feedback::AT_ONCE,
    ..RULES
};
/// How long one try may take: the functions' time but for the reserve.
pub const TRY_LASTS: Duration = WORKER_LASTS.saturating_sub(RESERVE);

/// As the template's defaults are.
pub const POLICY: Policy = Policy {
    mode: Mode::Live,
    merchant_id: None,
    shop: ShopFilter::ALL,
    restock: RestockPolicy::Never,
    part_payment: PartPayment::Hold,
    access: AccessPolicies::KEEP,
    renewal_stock: RenewalStock::Move,
    reserve_stock: false,
    grace: SignedDuration::ZERO,
    payment_failed_mail: false,
    shipment_mail: false,
    trial_ends_mail: false,
    bundle: env!("CARGO_PKG_VERSION"),
};

/// The functions on one world.
#[derive(Debug)]
pub struct Bundle {
    /// The world of all functions.
    pub world: World,
    /// HTTP in.
    pub intake: Intake<World, World>,
    /// Events to orders.
    pub fulfillment: Fulfillment<World>,
    /// Receipts to mails.
    pub receipts: Receipts<World, World>,
    /// Reports of SES to receipts.
    pub feedback: Feedback<World>,
    /// The number of batches. No two have the same request id, so no two tries have the same owner token.
    requests: AtomicU32,
}

/// The example shop, as merchant.
///
/// # Panics
///
/// Never: its settings are good.
#[must_use]
#[expect(clippy::expect_used, reason = "a test kit")]
pub fn merchant() -> Merchant {
    Merchant::new(Settings {
        name: "Harbor & Pine Wellness",
        address: "12 Wharf Street|Portland, ME 04101",
        support_email: "support@harborandpine.example",
        sender: "receipts@harborandpine.example",
        time_zone: "America/New_York",
        test_recipient: None,
    })
    .expect("a good merchant")
}

impl Bundle {
    /// The functions over `world`, as a stack of that mode and policy.
    ///
    /// # Panics
    ///
    /// Never: the built-in templates are good.
    #[must_use]
    #[expect(clippy::expect_used, reason = "a test kit")]
    pub fn over(world: &World, mode: Mode, on_unknown: OnUnknown) -> Self {
        let w = || world.clone();
        Self {
            world: w(),
            intake: Intake {
                store: w(),
                providers: w().providers(),
                keys: w(),
                clock: Arc::new(w()),
                max_body_bytes: 262_144,
                time_limit: Duration::from_secs(8),
            },
            fulfillment: Fulfillment {
                store: w(),
                providers: w().providers(),
                clock: Arc::new(w()),
                policy: Policy { mode, ..POLICY },
                most_receives: MOST_RECEIVES,
            },
            receipts: Receipts {
                store: w(),
                mailer: w(),
                clock: Arc::new(w()),
                merchant: merchant(),
                templates: Templates::built_in().expect("good built-in templates"),
                on_unknown,
            },
            feedback: Feedback {
                store: w(),
                clock: Arc::new(w()),
            },
            requests: AtomicU32::new(0),
        }
    }

    /// Works both queues off, letting time pass to the next back-off's end, until they are empty.
    pub async fn drain(&self) {
        loop {
            let job = next(&mut self.world.kept().fulfillment_queue);
            if let Some(message) = job {
                self.receive(message, &self.fulfillment, Hop::Fulfillment, |kept| {
                    &mut kept.fulfillment_queue
                })
                .await;
                continue;
            }
            let Some(message) = next(&mut self.world.kept().receipt_queue) else {
                return;
            };
            self.receive(message, &self.receipts, Hop::Receipts, |kept| {
                &mut kept.receipt_queue
            })
            .await;
        }
    }

    /// Drains both queues like [`Bundle::drain`], but handles all messages that are visible at the same time at once.
    /// Not for worlds with a planned stop, which could hit any of the attempts.
    pub async fn drain_at_once(&self) {
        loop {
            if self.work_at_once().await {
                continue;
            }
            let next = {
                let kept = self.world.kept();
                let jobs = kept
                    .fulfillment_queue
                    .iter()
                    .map(|message| message.visible_at);
                let receipts = kept.receipt_queue.iter().map(|message| message.visible_at);
                jobs.chain(receipts).min()
            };
            let Some(next) = next else { return };
            self.world.pass_until(next);
        }
    }

    /// Handles all messages that are visible now, at once. No time passes, because that would end the leases of
    /// concurrent work. True if there were any messages.
    pub async fn work_at_once(&self) -> bool {
        let now = self.world.now();
        let (jobs, receipts) = {
            let mut kept = self.world.kept();
            (
                visible(&mut kept.fulfillment_queue, now),
                visible(&mut kept.receipt_queue, now),
            )
        };
        let any = !(jobs.is_empty() && receipts.is_empty());
        let jobs = jobs.into_iter().map(|message| {
            self.receive(message, &self.fulfillment, Hop::Fulfillment, |kept| {
                &mut kept.fulfillment_queue
            })
        });
        let receipts = receipts.into_iter().map(|message| {
            self.receive(message, &self.receipts, Hop::Receipts, |kept| {
                &mut kept.receipt_queue
            })
        });
        tokio::join!(join_all(jobs), join_all(receipts));
        any
    }

    /// One delivery of one message, alone in its batch: deleted when handled, hidden for a while if not.
    async fn receive<J: Job + Clone, W: Worker<J>>(
        &self,
        mut message: Message<J>,
        worker: &W,
        hop: Hop,
        queue: impl Fn(&mut crate::fakes::Kept) -> &mut VecDeque<Message<J>>,
    ) {
        self.world.pass_until(message.visible_at);
        message.receives += 1;
        let request_id = format!("r{}", self.requests.fetch_add(1, Ordering::Relaxed));
        let rules = match hop {
            Hop::Fulfillment => RULES,
            Hop::Receipts => RECEIPT_RULES,
            Hop::Feedback => FEEDBACK_RULES,
        };
        let watched = Watched {
            worker,
            last: Mutex::default(),
        };
        let batch = batch::run(
            batch_of(&message, &request_id),
            self.invocation(&request_id),
            rules,
            &watched,
            &self.world,
            &self.world,
        );
        // On the heap: a batch holds all that a function may gather.
        let answered = self.world.run(Box::pin(batch)).await;
        if answered.as_ref().is_some_and(|answer| {
            answer
                .as_ref()
                .is_ok_and(|answer| answer.batch_item_failures.is_empty())
        }) {
            return;
        }
        let mut kept = self.world.kept();
        // The queue gives up on the next receive, even if the message was to be hidden.
        if message.receives >= MOST_RECEIVES {
            let last = watched
                .last
                .into_inner()
                .unwrap_or_else(PoisonError::into_inner);
            let why = last.map_or_else(|| "stopped".to_owned(), |error| error.to_string());
            kept.give_up(
                hop,
                body(&message.job),
                format!("{}: {why}", message.job.subject()),
            );
            return;
        }
        let hidden = kept
            .delays
            .iter()
            .rev()
            .find(|(handle, _)| *handle == request_id)
            .map(|(_, by)| *by);
        // Killed, or not to be hidden: the message comes back when its visibility timeout ends.
        let hidden = hidden.unwrap_or(HIDDEN_FOR);
        drop(kept);
        message.visible_at = self
            .world
            .now()
            .saturating_add(hidden)
            .unwrap_or(message.visible_at);
        queue(&mut self.world.kept()).push_back(message);
    }

    /// One invocation of a queue's function, by the code that Lambda runs.
    ///
    /// # Panics
    ///
    /// If a message of the batch has no name.
    #[expect(clippy::expect_used, reason = "a test kit")]
    pub async fn invoke<J: Job, W: Worker<J>>(
        &self,
        batch: SqsEvent,
        request_id: &str,
        worker: &W,
        delay: &impl Delay,
    ) -> SqsBatchResponse {
        let invocation = self.invocation(request_id);
        batch::run(batch, invocation, RULES, worker, delay, &self.world)
            .await
            .expect("every message has a name")
    }

    /// An invocation that begins now.
    #[must_use]
    pub fn invocation<'a>(&self, request_id: &'a str) -> Invocation<'a> {
        let deadline = self
            .world
            .now()
            .saturating_add(WORKER_LASTS)
            .unwrap_or(Timestamp::MAX);
        Invocation {
            request_id,
            deadline_ms: u64::try_from(deadline.as_millisecond()).unwrap_or_default(),
        }
    }
}

/// A worker that keeps the error of a failed try, which the queue never sees.
struct Watched<'a, W> {
    worker: &'a W,
    last: Mutex<Option<RetryableError>>,
}

impl<J: Job, W: Worker<J>> Worker<J> for Watched<'_, W> {
    async fn work(&self, job: &J, attempt: &Attempt) -> Result<(), RetryableError> {
        self.worker.work(job, attempt).await
    }

    async fn failed(&self, job: &J, error: &RetryableError, attempt: &Attempt) {
        *self.last.lock().unwrap_or_else(PoisonError::into_inner) = Some(error.clone());
        self.worker.failed(job, error, attempt).await;
    }
}

/// A batch of one record; its receipt handle is the request's id.
fn batch_of<J: Job>(message: &Message<J>, request_id: &str) -> SqsEvent {
    let mut record = SqsMessage::default();
    record.message_id = Some(message.job.subject().into_owned());
    record.receipt_handle = Some(request_id.to_owned());
    record.body = Some(body(&message.job));
    record.attributes = HashMap::from([(
        "ApproximateReceiveCount".to_owned(),
        message.receives.to_string(),
    )]);
    let mut event = SqsEvent::default();
    event.records = vec![record];
    event
}

/// A job as it travels.
#[expect(clippy::expect_used, reason = "a test kit")]
fn body<J: Job>(job: &J) -> String {
    serde_json::to_string(job).expect("a job that can be written")
}

/// The message that becomes visible first.
fn next<J>(queue: &mut VecDeque<Message<J>>) -> Option<Message<J>> {
    let first = queue
        .iter()
        .enumerate()
        .min_by_key(|(_, message)| message.visible_at)?
        .0;
    queue.remove(first)
}

/// Takes the messages that are visible by then.
fn visible<J>(queue: &mut VecDeque<Message<J>>, now: Timestamp) -> VecDeque<Message<J>> {
    let (visible, hidden) = std::mem::take(queue)
        .into_iter()
        .partition(|message| message.visible_at <= now);
    *queue = hidden;
    visible
}
