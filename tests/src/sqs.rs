//! A standard queue of SQS: at least once, in no order, hidden while in work, given up after too many receives.

use crate::{
    dice::Dice,
    drive::{HIDDEN_FOR, MOST_RECEIVES},
};
use aws_lambda_events::event::sqs::{SqsEvent, SqsMessage};
use jiff::Timestamp;
use serde::Serialize;
use std::{collections::HashMap, time::Duration};

/// A batch of these messages as Lambda gets it: the first one has the id `m0`.
pub fn batch_of(bodies: impl IntoIterator<Item = String>) -> SqsEvent {
    let mut batch = SqsEvent::default();
    for (n, body) in bodies.into_iter().enumerate() {
        let mut record = SqsMessage::default();
        record.message_id = Some(format!("m{n}"));
        record.receipt_handle = Some(format!("h{n}"));
        record.body = Some(body);
        batch.records.push(record);
    }
    batch
}

#[derive(Debug, Clone)]
struct Held {
    id: u64,
    body: String,
    receives: u32,
    visible_at: Timestamp,
    handle: u64,
}

/// A message that is given up on.
#[derive(Debug, Clone)]
pub struct Spent {
    pub id: String,
    pub body: String,
}

#[derive(Debug, Default)]
pub struct Sqs {
    name: &'static str,
    held: Vec<Held>,
    spent: Vec<Spent>,
    next: u64,
}

/// By which a message that was received is named.
#[derive(Debug, Clone)]
pub struct Received {
    pub id: String,
    pub handle: String,
}

impl Sqs {
    pub fn named(name: &'static str) -> Self {
        Self {
            name,
            ..Self::default()
        }
    }

    pub fn send(&mut self, job: &impl Serialize, now: Timestamp) {
        self.send_as_is(serde_json::to_string(job).unwrap_or_default(), now);
    }

    /// Takes a message that is written already.
    pub fn send_as_is(&mut self, body: String, now: Timestamp) {
        self.next += 1;
        self.held.push(Held {
            id: self.next,
            body,
            receives: 0,
            visible_at: now,
            handle: 0,
        });
    }

    /// There is a message to receive.
    pub fn has_some(&self, now: Timestamp) -> bool {
        self.held.iter().any(|held| held.visible_at <= now)
    }

    /// When the next message can be received.
    pub fn next_at(&self) -> Option<Timestamp> {
        self.held.iter().map(|held| held.visible_at).min()
    }

    /// Hands out some messages, in any order, each hidden from then on; now and then one that stays visible.
    pub fn receive(
        &mut self,
        now: Timestamp,
        most: usize,
        dice: &mut Dice,
        duplicates: u64,
    ) -> (Vec<Received>, Vec<SqsMessage>) {
        let (name, mut received, mut messages) = (self.name, Vec::new(), Vec::new());
        let (spent, left): (Vec<Held>, Vec<Held>) = std::mem::take(&mut self.held)
            .into_iter()
            .partition(|held: &Held| held.visible_at <= now && held.receives >= MOST_RECEIVES);
        self.held = left;
        let spent = spent.into_iter().map(|held| Spent {
            id: format!("m{}", held.id),
            body: held.body,
        });
        self.spent.extend(spent);
        let count = 1 + dice.place(most);
        while messages.len() < count {
            let mut visible: Vec<&mut Held> = self
                .held
                .iter_mut()
                .filter(|held| held.visible_at <= now && held.receives < MOST_RECEIVES)
                .collect();
            let place = dice.place(visible.len());
            let Some(held) = visible.get_mut(place) else {
                break;
            };
            self.next += 1;
            held.receives += 1;
            held.handle = self.next;
            let hidden = if dice.rarely(duplicates) {
                dice.between(Duration::from_millis(1), Duration::from_secs(20))
            } else {
                HIDDEN_FOR
            };
            held.visible_at = now.saturating_add(hidden).unwrap_or(now);
            let (id, handle) = (format!("m{}", held.id), format!("{name}-{}", held.handle));
            let mut message = SqsMessage::default();
            message.message_id = Some(id.clone());
            message.receipt_handle = Some(handle.clone());
            message.body = Some(held.body.clone());
            message.attributes = HashMap::from([(
                "ApproximateReceiveCount".to_owned(),
                held.receives.to_string(),
            )]);
            received.push(Received { id, handle });
            messages.push(message);
        }
        (received, messages)
    }

    /// Takes a message off, by its newest handle; by an older one, perhaps.
    pub fn delete(&mut self, received: &Received, dice: &mut Dice) {
        let (name, old_works) = (self.name, dice.percent(50));
        let is_it = |held: &Held| {
            let is_newest = format!("{name}-{}", held.handle) == received.handle;
            format!("m{}", held.id) == received.id && (is_newest || old_works)
        };
        self.held.retain(|held| !is_it(held));
    }

    /// Hides a message from now on, if the handle is its newest one and its time is not over: SQS answers
    /// `MessageNotInflight` then.
    pub fn hide(&mut self, handle: &str, by: Duration, now: Timestamp) {
        let name = self.name;
        let held = self
            .held
            .iter_mut()
            .find(|held| format!("{name}-{}", held.handle) == handle);
        let held = held.filter(|held| held.visible_at > now);
        if let Some(held) = held {
            held.visible_at = now.saturating_add(by).unwrap_or(now);
        }
    }

    /// The bodies of all messages.
    pub fn bodies(&self) -> impl Iterator<Item = &str> {
        self.held.iter().map(|held| held.body.as_str())
    }

    /// Takes the messages for the dead-letter queue.
    pub fn spent(&mut self) -> impl Iterator<Item = String> {
        self.given_up().into_iter().map(|spent| spent.body)
    }

    /// The same, with the messages' ids.
    pub fn given_up(&mut self) -> Vec<Spent> {
        std::mem::take(&mut self.spent)
    }

    /// Loses a message that was received.
    pub fn lose(&mut self, received: &Received) {
        let name = self.name;
        self.held
            .retain(|held| format!("{name}-{}", held.handle) != received.handle);
    }
}
