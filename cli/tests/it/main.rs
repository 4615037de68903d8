//! `till` over the world in memory: every command, as text and as JSON.
#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "tests"
)]

mod binary;
mod canary;
mod danger;
mod desk;
mod develop;
mod go_live;
mod operations;
mod order;
mod read;
mod write;
