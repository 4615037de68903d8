//! Finding work that was left over: overdue rows, open shortfalls, and events that no delivery brought.

pub mod fill;
pub mod privacy;
pub mod reconcile;
pub mod recovery;
pub mod sweep;
