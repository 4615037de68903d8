//! All that is known of Flex (<https://withflex.com>): headers, secrets, JSON shapes and endpoints.
//!
//! [`verify`] proves a delivery, [`read`] says what its body tells, [`Api`] reads what is true, and [`event`] tells of
//! it as a delivery would. All of them speak the words of `domain`; nobody else needs to know that Flex has others.

mod answer;
mod api;
mod envelope;
mod headers;
mod listing;
mod news;
pub mod secret;
mod time;
mod translate;
pub mod wire;

pub use api::{Api, BadSetUp, Limits};
pub use envelope::read;
pub use headers::verify;
pub use listing::{event, listed, stub};
pub use news::event_types;
pub use secret::key_mode;
pub use translate::{NotUnderstood, add_payments, checkout};

/// What the log calls it.
const SERVICE: &str = "Flex";
