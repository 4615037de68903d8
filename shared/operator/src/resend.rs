//! A mail once more, because a person wants it.

use crate::{TRIES, note::Note};
use domain::{
    delivery::job::ReceiptJob,
    ports::{Changed, Queue, ReceiptAdmin, Receipts},
    receipt::{Receipt, ReceiptState, ReceiptStatus},
    values::{ids::ReceiptId, outcome::RetryableError},
};
use jiff::Timestamp;
use std::{fmt, time::Duration};

/// What asking for a mail once more came to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Resent {
    /// It is owed again, and queued.
    Now {
        /// Where it stood before.
        from: ReceiptStatus,
    },
    /// It was owed already: it has one more message now, and one mail goes out.
    Owed,
    /// Nothing is done about it.
    Left(Left),
}

/// Why a receipt is left as it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Left {
    /// There is none of that id.
    Unknown,
    /// Somebody is sending it.
    Claimed {
        /// How long they may take.
        left: Duration,
    },
    /// Its day has not come.
    NotDue(Timestamp),
    /// It is not as it was seen: somebody else may have had it sent. Look at it again.
    Changed {
        /// Its version now.
        version: u64,
    },
}

/// What is to be done about a receipt as it is.
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

/// Has a mail sent once more. **The customer gets another one** if one has gone out, or may have.
///
/// `seen_version` is that of the row which the operator has looked at: who asks twice, or at the same time as somebody
/// else, gets one mail sent and is told that the row has changed.
///
/// It goes to the address that is known now. That is the order's for the receipt of a live order, else the customer's;
/// it cannot be changed here. A notice of what is not so any more is withdrawn again.
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
            Plan::Queue => Some(Resent::Owed),
            Plan::Reopen => {
                let changed = receipts
                    .reopen(&receipt, &note.line("had it sent again"), note.at())
                    .await?;
                let from = receipt.state.standing();
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
    Err(RetryableError::Raced {
        what: "the receipt",
        tries: TRIES,
    })
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
                        "it goes to the address of the order or the customer as it is now, and fails again if that is \
                         the same"
                    }
                    ReceiptStatus::Withdrawn => "it is withdrawn again if what it tells is still not so",
                    ReceiptStatus::Unsent => "the customer gets a mail",
                })
            }
            Self::Owed => f.write_str("queued once more: it had not gone out yet"),
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
                    "left: somebody is sending it, for {} s at most",
                    left.as_secs()
                )
            }
            Self::NotDue(due_at) => write!(f, "left: it is to be sent at {due_at}"),
            Self::Changed { version } => {
                write!(
                    f,
                    "left: it has changed since it was looked at, to version {version}"
                )
            }
        }
    }
}
