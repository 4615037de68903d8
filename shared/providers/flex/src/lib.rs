//! The adapter for Flex (<https://withflex.com>): headers, secrets, JSON shapes and endpoints.
//!
//! A delivery's signature headers go to [`check`], its body goes to [`read`]. The current state
//! comes from [`Api`]; [`event`] makes the event that would have announced it. All return values of
//! `domain`, so Flex's words stay in this crate.

mod api;
mod changes;
mod envelope;
mod headers;
mod invoices;
mod listing;
mod provider;
pub mod secret;
mod translate;
pub mod wire;

pub use api::{Api, RefundsOf};
pub use changes::event_types;
pub use envelope::read;
pub use headers::check;
pub use listing::{event, listed, stub};
pub use provider::{Flex, read_at};
pub use rest::{BadSetUp, Limits};
pub use secret::key_mode;
pub use translate::{NotUnderstood, add_payments, sale};

/// The name in logs and errors.
const SERVICE: &str = "Flex";

#[cfg(test)]
mod any_value;
