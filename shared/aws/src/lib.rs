//! The ports on DynamoDB, SQS, SES, `EventBridge` and Secrets Manager.
//!
//! [`Store`] has all tables and queues. The keys and conditions of a table are only in the table's file: `events`,
//! `orders`, `links`, `stock`, `entitlements`, `receipts` and `announcements`. The files `index` and `backlog` are the only ones for the
//! index `open` and for sweep's notes. The transactions and the joint reads are in [`commits`]. The SDK errors are
//! sorted in [`failure`].

mod announcements;
mod backlog;
pub mod batch;
pub mod bus;
pub mod client;
pub mod commits;
mod entitlements;
mod events;
pub mod failure;
mod guard;
mod index;
pub mod links;
pub mod log;
pub mod mailer;
mod orders;
pub mod queue;
mod receipts;
mod resources;
mod row;
pub mod secrets;
pub mod settings;
mod shortfalls;
mod stock;
mod store;

pub use store::{Queues, Store, Tables};

use domain::ports::Clock;
use jiff::Timestamp;

/// The machine's clock.
#[derive(Debug, Clone, Copy, Default)]
pub struct SystemClock;

impl Clock for SystemClock {
    fn now(&self) -> Timestamp {
        Timestamp::now()
    }
}
