//! How it happens: the ports on DynamoDB, SQS, SES and Secrets Manager.
//!
//! A table's keys and conditions live in its own file ([`events`], [`orders`], [`links`], `stock`, [`entitlements`],
//! [`receipts`]) and nowhere else, but for what is left undone in them (`overdue`); [`ledger`] reads them together and ties them into one transaction. SDK errors are sorted once, in [`failure`].

mod backlog;
pub mod batch;
pub mod client;
pub mod entitlements;
pub mod events;
pub mod failure;
mod guard;
pub mod ledger;
pub mod links;
pub mod log;
pub mod mailer;
pub mod orders;
pub mod queue;
pub mod receipts;
mod row;
pub mod secrets;
pub mod settings;
mod stock;

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
