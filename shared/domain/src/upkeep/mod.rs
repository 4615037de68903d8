//! Finding work that was left over: overdue rows, and events that no delivery brought.

pub mod admin;
pub mod privacy;
pub mod reconcile;
pub mod recovery;
pub mod sweep;
