//! Reads from a provider's API over HTTP: the client, its limits, and the errors of its answers.
//!
//! The same for each provider; a [`Dialect`] has what differs. The paths, shapes and words of an API stay in the
//! provider's adapter.

mod answer;
mod client;
pub mod list;
mod not_understood;
#[cfg(feature = "testing")]
pub mod testing;

pub use client::{
    BadSetUp, Client, Dialect, InMemory, Limits, asked_for, resource, unless_refused,
};
pub use not_understood::{NotUnderstood, in_answer, unreadable};
pub use reqwest::{Url, header::HeaderMap};
