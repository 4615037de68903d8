//! All that is known of Flex (<https://withflex.com>): headers, secrets, JSON shapes and endpoints.
//!
//! [`check`] takes a delivery's signature headers, [`read`] its body, [`Api`] reads what is true, and [`event`] makes
//! the event that would have announced it. All of them speak the words of `domain`; nobody else needs to know that Flex has others.

mod answer;
mod api;
mod changes;
mod envelope;
mod headers;
mod listing;
pub mod secret;
mod time;
mod translate;
pub mod wire;

pub use api::{Api, BadSetUp, Limits};
pub use changes::event_types;
pub use envelope::read;
pub use headers::check;
pub use listing::{event, listed, stub};
pub use secret::key_mode;
pub use translate::{NotUnderstood, add_payments, checkout};

/// What the log calls it.
const SERVICE: &str = "Flex";
