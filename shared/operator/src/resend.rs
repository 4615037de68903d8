//! Sends a mail once more, at an operator's request.

use crate::{TRIES, contended, note::Note};
use domain::{
    delivery::job::ReceiptJob,
    ports::{Changed, Queue, ReceiptAdmin, Receipts},
    receipt::{Receipt, ReceiptState, ReceiptStatus},
    values::{ids::ReceiptId, note::Action, outcome::RetryableError},
};
use jiff::Timestamp;
use std::{fmt, time::Duration};

/// The result of a request to resend.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Resent {
    /// The receipt is unsent again, and queued.
    Now {
        /// The state before.
        from: ReceiptStatus,
    },
    /// The receipt was unsent already: it has one more message, and one mail goes out.
    Queued,
    /// Unchanged, for this reason.
    Left(Left),
}

/// The reason why a receipt is left unchanged.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Left {
    /// There is no receipt with this id.
    Unknown,
    /// Another attempt holds the lease.
    Claimed {
        /// The time until the lease ends.
        left: Duration,
    },
    /// The mail is due later.
    NotDue(Timestamp),
    /// The receipt changed since the operator saw it, perhaps by another resend. Look at it again.
    Changed {
        /// The current version.
        version: u64,
    },
}

/// The planned change of a receipt.
enum Plan {
    Queue,
    Reopen,
    Leave(Left),
}

fn plan(receipt: &Receipt, seen_version: u64, now: Timestamp) -> Plan {
    match &receipt.state {
        ReceiptState::Unsent { .. } => match receipt.due_at.filter(|due_at| *due_at > now) {
            Some(due_at) => Plan::Leave(Left::NotDue(due_at)),
            None => Plan::Queue,
        },
        ReceiptState::Leased { lease_ends_at, .. } if *lease_ends_at > now => {
            Plan::Leave(Left::Claimed {
                left: lease_ends_at.duration_since(now).unsigned_abs(),
            })
        }
        _ if receipt.version != seen_version => Plan::Leave(Left::Changed {
            version: receipt.version,
        }),
        ReceiptState::Leased { .. }
        | ReceiptState::Sent { .. }
        | ReceiptState::Failed { .. }
        | ReceiptState::Held
        | ReceiptState::Withdrawn { .. } => Plan::Reopen,
    }
}

/// The result that a resend would have now. Nothing changes.
pub async fn preview(
    receipts: &impl Receipts,
    id: &ReceiptId,
    seen_version: u64,
    now: Timestamp,
) -> Result<Resent, RetryableError> {
    let Some(receipt) = receipts.receipt(id).await? else {
        return Ok(Resent::Left(Left::Unknown));
    };
    Ok(match plan(&receipt, seen_version, now) {
        Plan::Leave(left) => Resent::Left(left),
        Plan::Queue => Resent::Queued,
        Plan::Reopen => Resent::Now {
            from: receipt.state.status(),
        },
    })
}

/// Sends a mail once more. **The customer gets another mail** if an earlier one was sent, or may
/// have been.
///
/// `seen_version` is the version that the operator saw. Two requests for it, repeated or
/// concurrent, send one mail: the second finds the receipt queued or changed.
///
/// The mail goes to the current address, which cannot be changed here: the order's for the receipt
/// of a live order, else the customer's. A notice that is no longer true is withdrawn again.
pub async fn resend(
    receipts: &(impl Receipts + ReceiptAdmin),
    queue: &impl Queue<ReceiptJob>,
    id: &ReceiptId,
    seen_version: u64,
    note: &Note,
) -> Result<Resent, RetryableError> {
    for _ in 0..TRIES {
        let Some(receipt) = receipts.receipt(id).await? else {
            return Ok(Resent::Left(Left::Unknown));
        };
        let done = match plan(&receipt, seen_version, note.at()) {
            Plan::Leave(left) => return Ok(Resent::Left(left)),
            Plan::Queue => Some(Resent::Queued),
            Plan::Reopen => {
                let changed = receipts
                    .reopen_receipt(&receipt, &note.did(Action::Resent), note.at())
                    .await?;
                let from = receipt.state.status();
                (changed == Changed::Now).then_some(Resent::Now { from })
            }
        };
        if let Some(done) = done {
            queue
                .send(&ReceiptJob::V1 {
                    receipt_id: id.clone(),
                })
                .await?;
            return Ok(done);
        }
    }
    Err(contended("the receipt"))
}

impl fmt::Display for Resent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Now { from } => {
                write!(f, "queued, was {from}: ")?;
                f.write_str(match from {
                    ReceiptStatus::Sent => "the customer gets another mail",
                    ReceiptStatus::Held | ReceiptStatus::Leased => {
                        "the customer gets a mail, and may have had one before"
                    }
                    ReceiptStatus::Failed => {
                        "it goes to the current address, and fails again if that is the same"
                    }
                    ReceiptStatus::Withdrawn => "it is withdrawn again if it is still not true",
                    ReceiptStatus::Unsent => "the customer gets a mail",
                })
            }
            Self::Queued => f.write_str("queued again: no mail has been sent yet"),
            Self::Left(left) => left.fmt(f),
        }
    }
}

impl fmt::Display for Left {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unknown => f.write_str("no such receipt"),
            Self::Claimed { left } => {
                write!(
                    f,
                    "unchanged: another attempt is sending it, for {} s at most",
                    left.as_secs()
                )
            }
            Self::NotDue(due_at) => write!(f, "unchanged: the mail is due at {due_at}"),
            Self::Changed { version } => {
                write!(
                    f,
                    "unchanged: the receipt has changed, to version {version}; look at it again"
                )
            }
        }
    }
}
