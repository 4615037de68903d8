//! Drives the three functions over the [`World`] in memory, as Lambda and SQS would: deliveries in, queues
//! drained, failed messages delivered again after their back-off, until nothing is left to do.

use crate::fakes::{Hop, Message, World};
use aws::batch::{Attempt, Invocation, RESERVE, Rules, Worker};
use domain::{
    fulfillment::Policy,
    ids::OwnerToken,
    job::Job,
    mode::Mode,
    outcome::{Setback, back_off},
    ports::Clock,
    receipt::{
        OnUnknown,
        mail::{Merchant, Settings, Templates},
    },
    refund::Restock,
};
use feedback::Feedback;
use fulfillment::Fulfillment;
use futures_util::future::join_all;
use intake::Intake;
use jiff::{SignedDuration, Timestamp};
use receipts::Receipts;
use std::{
    collections::VecDeque,
    sync::atomic::{AtomicU32, Ordering},
    time::Duration,
};

/// As in the template: `maxReceiveCount`.
pub const MOST_RECEIVES: u32 = 5;
/// As in the template: `RetryBaseSeconds`.
pub const RETRY_BASE: Duration = Duration::from_secs(15);

/// Both together, for `aws::batch::run`.
pub const RULES: Rules = Rules { retry_base: RETRY_BASE, most_receives: MOST_RECEIVES, at_once: 10 };
/// How long one try may take: the functions' thirty seconds but for the reserve.
pub const TRY_LASTS: Duration = Duration::from_secs(30).saturating_sub(RESERVE);

/// As the template's defaults are.
pub const POLICY: Policy = Policy {
    mode: Mode::Live,
    restock: Restock::Never,
    grace: SignedDuration::ZERO,
    payment_failed_mail: false,
    trial_ends_mail: false,
};

/// The three functions on one world.
#[derive(Debug)]
pub struct Bundle {
    /// What they share.
    pub world: World,
    /// HTTP in.
    pub intake: Intake<World, World, World, World>,
    /// Events to orders.
    pub fulfillment: Fulfillment<World, World, World, World, World, World, World>,
    /// Receipts to mails.
    pub receipts: Receipts<World, World, World, World, World, World>,
    /// What SES tells of mails.
    pub feedback: Feedback<World, World, World, World>,
    /// How many attempts there have been: no two have the same owner token.
    attempts: AtomicU32,
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
                events: w(),
                queue: w(),
                keys: w(),
                clock: w(),
                max_body_bytes: 262_144,
                time_limit: Duration::from_secs(8),
            },
            fulfillment: Fulfillment {
                events: w(),
                ledger: w(),
                entitlements: w(),
                receipts: w(),
                receipt_queue: w(),
                api: w(),
                clock: w(),
                policy: Policy { mode, ..POLICY },
                most_receives: MOST_RECEIVES,
            },
            receipts: Receipts {
                rows: w(),
                orders: w(),
                entitlements: w(),
                marks: w(),
                mailer: w(),
                clock: w(),
                merchant: merchant(),
                templates: Templates::built_in().expect("good built-in templates"),
                on_unknown,
            },
            feedback: Feedback { receipts: w(), orders: w(), marks: w(), clock: w() },
            attempts: AtomicU32::new(0),
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
            let Some(message) = next(&mut self.world.kept().receipt_queue) else { return };
            self.receive(message, &self.receipts, Hop::Receipts, |kept| &mut kept.receipt_queue).await;
        }
    }

    /// Works off both queues as [`Bundle::drain`] does, but all messages that are visible at the same time at once.
    /// Not for worlds that are told to stop: a stop would hit any of the attempts.
    pub async fn drain_at_once(&self) {
        loop {
            if self.work_at_once().await {
                continue;
            }
            let next = {
                let kept = self.world.kept();
                let jobs = kept.fulfillment_queue.iter().map(|message| message.visible_at);
                let receipts = kept.receipt_queue.iter().map(|message| message.visible_at);
                jobs.chain(receipts).min()
            };
            let Some(next) = next else { return };
            self.world.pass_until(next);
        }
    }

    /// Works on all messages that are visible now, at once, and lets no time pass: it would pass for everybody else
    /// who is at work, and end their claims. Whether there were any.
    pub async fn work_at_once(&self) -> bool {
        let now = self.world.now();
        let (jobs, receipts) = {
            let mut kept = self.world.kept();
            (visible(&mut kept.fulfillment_queue, now), visible(&mut kept.receipt_queue, now))
        };
        let any = !(jobs.is_empty() && receipts.is_empty());
        let jobs = jobs.into_iter().map(|message| {
            self.receive(message, &self.fulfillment, Hop::Fulfillment, |kept| &mut kept.fulfillment_queue)
        });
        let receipts = receipts.into_iter().map(|message| {
            self.receive(message, &self.receipts, Hop::Receipts, |kept| &mut kept.receipt_queue)
        });
        tokio::join!(join_all(jobs), join_all(receipts));
        any
    }

    /// One delivery of one message: deleted when worked off, hidden for a while when not.
    async fn receive<J: Job + Clone, W: Worker<J>>(
        &self,
        mut message: Message<J>,
        worker: &W,
        hop: Hop,
        queue: impl Fn(&mut crate::fakes::Kept) -> &mut VecDeque<Message<J>>,
    ) {
        self.world.pass_until(message.visible_at);
        message.receives += 1;
        let attempt = self.attempt(message.job.subject(), message.receives);
        let failed = async {
            let setback = worker.work(&message.job, &attempt).await.err()?;
            worker.failed(&message.job, &setback, &attempt).await;
            Some(setback)
        };
        let setback = match self.world.run(failed).await {
            Some(None) => return,
            Some(Some(setback)) => setback,
            // Killed: the message comes back when its visibility timeout ends.
            None => Setback::Claimed { retry_after: Duration::from_mins(3) },
        };
        if message.receives >= MOST_RECEIVES {
            let why = format!("{}: {setback}", message.job.subject());
            self.world.kept().give_up(hop, body(&message.job), why);
            return;
        }
        let wait = back_off(RETRY_BASE, message.receives, setback.retry_after());
        message.visible_at = self.world.now().saturating_add(wait).unwrap_or(message.visible_at);
        queue(&mut self.world.kept()).push_back(message);
    }

    /// An invocation that begins now.
    #[must_use]
    pub fn invocation<'a>(&self, request_id: &'a str) -> Invocation<'a> {
        let deadline = self.world.now().as_millisecond() + 30_000;
        Invocation { request_id, deadline_ms: u64::try_from(deadline).unwrap_or_default() }
    }

    /// A try at a message, as Lambda's invocation for it makes one.
    ///
    /// # Panics
    ///
    /// When `subject` is no identifier.
    #[expect(clippy::expect_used, reason = "a test kit")]
    pub fn attempt(&self, subject: &str, receives: u32) -> Attempt {
        let n = self.attempts.fetch_add(1, Ordering::Relaxed);
        let owner = OwnerToken::new(format!("{subject}.{receives}.{n}")).expect("an identifier");
        let ends_at = self.world.now().saturating_add(TRY_LASTS).expect("a time");
        Attempt { owner, receives, ends_at }
    }
}

/// A job as it travels.
#[expect(clippy::expect_used, reason = "a test kit")]
fn body<J: Job>(job: &J) -> String {
    serde_json::to_string(job).expect("a job that can be written")
}

/// The message that becomes visible first.
fn next<J>(queue: &mut VecDeque<Message<J>>) -> Option<Message<J>> {
    let first = queue.iter().enumerate().min_by_key(|(_, message)| message.visible_at)?.0;
    queue.remove(first)
}

/// Takes the messages that are visible by then.
fn visible<J>(queue: &mut VecDeque<Message<J>>, now: Timestamp) -> VecDeque<Message<J>> {
    let (visible, hidden) = std::mem::take(queue).into_iter().partition(|message| message.visible_at <= now);
    *queue = hidden;
    visible
}
