//! `till` over the world in memory: every command, as text and as JSON.
#![expect(
    unreachable_pub,
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::format_push_string,
    reason = "tests, and a desk that every module uses"
)]

mod aws_stub;
mod binary;
mod canary;
mod danger;
mod deployed;
mod desk;
mod develop;
mod doctor;
mod go_live;
mod operations;
mod order;
mod read;
mod rotate;
mod schemas;
mod terminal;
mod write;
