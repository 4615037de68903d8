//! A receipt as a mail.

/// A mail (placeholder until rendering lands).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Email {}
