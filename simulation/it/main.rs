//! The seeded simulation and the drain of a backlog.

// Tells clippy that the helpers beside the tests are tests as well.
#![cfg(test)]

mod backlog;
mod simulation;
