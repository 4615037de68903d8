//! How it happens: the ports on DynamoDB, SQS, SES and Secrets Manager.
//!
//! A table's keys and conditions live in its own file ([`events`], [`orders`], [`stock`], [`receipts`]) and
//! nowhere else; [`ledger`] ties them into one transaction. SDK errors are sorted once, in [`failure`].

pub mod batch;
pub mod client;
pub mod events;
pub mod failure;
mod guard;
pub mod ledger;
pub mod log;
pub mod mailer;

pub mod orders;
pub mod queue;
pub mod receipts;
pub mod secrets;
pub mod settings;
pub mod stock;

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
