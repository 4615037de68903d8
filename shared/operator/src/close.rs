//! Closes a receipt that waits for an operator, because the customer has it or gets it another way.

use crate::{TRIES, contended, note::Note};
use domain::{
    announcement,
    ports::{Changed, ReceiptAdmin, Receipts},
    receipt::ReceiptStatus,
    values::{ids::ReceiptId, note::Action, outcome::RetryableError},
};
use std::fmt;

/// The result of closing a receipt.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Closed {
    /// The receipt is withdrawn. Its alarm ends if it was the last one.
    Now {
        /// The state before.
        from: ReceiptStatus,
    },
    /// There is no receipt with this id.
    Unknown,
    /// The receipt is not held or failed.
    NotWaiting(ReceiptStatus),
    /// The receipt changed since the operator saw it: look at it again.
    Changed {
        /// The current version.
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
        let from = receipt.state.status();
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
        let noted = note.did(Action::Closed);
        let closed = receipt.clone().closed(noted.clone());
        let announced = announcement::receipt::changed(&receipt, &closed, note.at());
        let closed = receipts.close_receipt(&receipt, &noted, announced.as_ref());
        if closed.await? == Changed::Now {
            return Ok(Closed::Now { from });
        }
    }
    Err(contended("the receipt"))
}

impl fmt::Display for Closed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Now { from } => write!(f, "closed, was {from}: no mail is sent"),
            Self::Unknown => f.write_str("no such receipt"),
            Self::NotWaiting(state) => {
                write!(f, "unchanged: the receipt is {state}, not held or failed")
            }
            Self::Changed { version } => {
                write!(
                    f,
                    "unchanged: the receipt has changed, to version {version}; look at it again"
                )
            }
        }
    }
}
