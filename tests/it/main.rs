//! Integration tests.

// Tells clippy that the helpers beside the tests are tests as well.
#![cfg(test)]

mod access;
mod adapters;
mod announced;
mod announcements;
mod contract;
mod documents;
mod encryption;
mod events;
mod feedback;
mod flint;
mod flow;
mod fulfillment;
mod fuzz;
mod gateway;
mod golden;
mod intake;
mod interruption;
mod language;
mod local;
mod log;
mod missed_events;
mod news;
mod operator;
mod privacy;
mod receipts;
mod reconcile;
mod reports;
mod restore;
mod start;
mod structure;
mod sweep;
mod template;
mod third_provider;
mod tls;
mod toolchain;
