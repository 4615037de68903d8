//! Closes a receipt that waits for a person, because the customer has it or gets it another way.

use crate::{TRIES, note::Note};
use domain::{
    ports::{Changed, ReceiptAdmin, Receipts},
    receipt::ReceiptStatus,
    values::{ids::ReceiptId, outcome::RetryableError},
};
use std::fmt;

/// The result of closing a receipt.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Closed {
    /// It is withdrawn, and its alarm ends if it was the last one.
    Now {
        /// Its state before.
        from: ReceiptStatus,
    },
    /// There is no receipt of that id.
    Unknown,
    /// It does not wait for a person.
    NotWaiting(ReceiptStatus),
    /// It is not as the operator saw it: look at it again.
    Changed {
        /// Its version now.
        version: u64,
    },
}

/// Closes a held or failed receipt, unless it changed since the operator saw it (`seen_version`).
pub async fn close(
    receipts: &(impl Receipts + ReceiptAdmin),
    id: &ReceiptId,
    seen_version: u64,
    note: &Note,
) -> Result<Closed, RetryableError> {
    for _ in 0..TRIES {
        let Some(receipt) = receipts.receipt(id).await? else {
            return Ok(Closed::Unknown);
        };
        let from = receipt.state.standing();
        match from {
            ReceiptStatus::Held | ReceiptStatus::Failed => {}
            ReceiptStatus::Unsent
            | ReceiptStatus::Leased
            | ReceiptStatus::Sent
            | ReceiptStatus::Withdrawn => {
                return Ok(Closed::NotWaiting(from));
            }
        }
        if receipt.version != seen_version {
            return Ok(Closed::Changed {
                version: receipt.version,
            });
        }
        if receipts.close(&receipt, &note.line("closed it")).await? == Changed::Now {
            return Ok(Closed::Now { from });
        }
    }
    Err(RetryableError::Raced {
        what: "the receipt",
        tries: TRIES,
    })
}

impl fmt::Display for Closed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Now { from } => write!(f, "closed, was {from}: it is never sent"),
            Self::Unknown => f.write_str("no such receipt"),
            Self::NotWaiting(standing) => write!(f, "left: it is {standing}, not held or failed"),
            Self::Changed { version } => {
                write!(
                    f,
                    "left: it has changed since it was looked at, to version {version}"
                )
            }
        }
    }
}
