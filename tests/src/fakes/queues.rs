//! The queues and their dead-letter queues.

use super::{Kept, World};
use domain::{
    delivery::job::{FulfillmentJob, Job, ReceiptJob},
    ports::{DeadLetter, DeadLetters, Delay, Queue},
    values::outcome::RetryableError,
};
use jiff::Timestamp;
use std::time::Duration;

/// A message on a queue in memory.
#[derive(Debug, Clone)]
pub struct Message<J> {
    pub job: J,
    pub receives: u32,
    pub visible_at: Timestamp,
}

/// One of the three dead-letter queues.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Hop {
    /// Messages for fulfillment.
    Fulfillment,
    /// Messages for receipts.
    Receipts,
    /// Messages for feedback.
    Feedback,
}

/// A message that a queue in memory gave up on.
#[derive(Debug, Clone)]
pub struct Dead {
    pub hop: Hop,
    pub body: String,
    /// The failed job and its error, which SQS does not keep.
    pub why: String,
    /// The receives from the dead-letter queue.
    pub receives: u32,
    pub visible_at: Timestamp,
}

impl Kept {
    /// The messages that both queues gave up on, and the errors, in their order.
    #[must_use]
    pub fn given_up(&self) -> Vec<String> {
        self.dead_letters
            .values()
            .map(|dead| dead.why.clone())
            .collect()
    }

    /// Gives a message up.
    pub fn give_up(&mut self, hop: Hop, body: String, why: String) {
        let dead = Dead {
            hop,
            body,
            why,
            receives: 0,
            visible_at: self.now(),
        };
        self.dead_letters.insert(self.given_up, dead);
        self.given_up += 1;
    }
}

/// A dead-letter queue of the world's.
#[derive(Debug, Clone)]
pub struct DeadLetterQueue {
    world: World,
    hop: Hop,
}

impl World {
    /// One of its dead-letter queues.
    #[must_use]
    pub fn dead_letters(&self, hop: Hop) -> DeadLetterQueue {
        DeadLetterQueue {
            world: self.clone(),
            hop,
        }
    }
}

impl DeadLetters for DeadLetterQueue {
    async fn depth(&self) -> Result<u64, RetryableError> {
        let here = |kept: &Kept| {
            kept.dead_letters
                .values()
                .filter(|dead| dead.hop == self.hop)
                .count()
        };
        self.world
            .look_up("dead_letters.depth", here)
            .await
            .map(|depth| depth as u64)
    }

    async fn receive(&self, hidden_for: Duration) -> Result<Vec<DeadLetter>, RetryableError> {
        self.world
            .repeatable("dead_letters.receive", |kept| {
                let now = kept.now();
                let visible = kept
                    .dead_letters
                    .iter_mut()
                    .filter(|(_, dead)| dead.hop == self.hop && dead.visible_at <= now);
                let received = visible.take(10).map(|(id, dead)| {
                    dead.receives += 1;
                    dead.visible_at = now.saturating_add(hidden_for).unwrap_or(Timestamp::MAX);
                    DeadLetter {
                        message_id: id.to_string(),
                        body: dead.body.clone(),
                        receipt_handle: format!("{id}.{}", dead.receives),
                    }
                });
                received.collect()
            })
            .await
    }

    async fn delete(&self, letter: &DeadLetter) -> Result<(), RetryableError> {
        self.world
            .repeatable("dead_letters.delete", |kept| {
                // Only the last receiver deletes it. SQS may be milder, and promises no more.
                kept.dead_letters
                    .retain(|id, dead| letter.receipt_handle != format!("{id}.{}", dead.receives));
            })
            .await
    }
}

fn message<J: Job + Clone>(job: &J, kept: &Kept) -> Message<J> {
    Message {
        job: job.clone(),
        receives: 0,
        visible_at: kept.now(),
    }
}

impl Queue<FulfillmentJob> for World {
    async fn send(&self, job: &FulfillmentJob) -> Result<(), RetryableError> {
        self.repeatable("fulfillment_queue.send", |kept| {
            let message = message(job, kept);
            kept.fulfillment_queue.push_back(message);
        })
        .await
    }
}

impl Queue<ReceiptJob> for World {
    async fn send(&self, job: &ReceiptJob) -> Result<(), RetryableError> {
        self.repeatable("receipt_queue.send", |kept| {
            let message = message(job, kept);
            kept.receipt_queue.push_back(message);
        })
        .await
    }
}

impl Delay for World {
    async fn delay(&self, receipt_handle: &str, by: Duration) -> Result<(), RetryableError> {
        self.repeatable("queue.delay", |kept| {
            kept.delays.push((receipt_handle.to_owned(), by));
        })
        .await
    }
}
