//! The adapter for Flint (<https://withflintpay.com>): headers, secrets, JSON shapes and endpoints.
//!
//! A delivery's signature headers go to [`check`], its body goes to [`read`]. Flint's events are thin: they name a thing,
//! and the thing's facts come from the API. All return values of `domain`, so Flint's words stay in this crate.

mod api;
mod changes;
mod data;
mod envelope;
mod headers;
mod listing;
mod provider;
pub mod secret;
mod translate;
mod wire;

pub use api::Api;
pub use changes::{aliases, event_types, families};
pub use envelope::read;
pub use headers::check;
pub use provider::Flint;
pub use rest::{BadSetUp, HeaderMap, InMemory, Limits, Url};
pub use secret::key_mode;

/// The name in logs and errors.
const SERVICE: &str = "Flint";

#[cfg(test)]
mod any_value;
