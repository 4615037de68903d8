//! A receipt: one mail for one order and kind, sent under a stated policy.
//!
//! SES takes no idempotency key, so a mail has four ends: sent, failed, held, or unknown. A receipt is claimed
//! before it is sent and marked after; only the claimant may mark.
//!
//! ```text
//!  claimed_at            claim ends
//!      │── render, send, mark ──│── unmarked: the mail's fate is unknown; the policy decides ──▶
//! ```

pub mod mail;

use crate::ids::{BadId, MessageId, OrderId, OwnerToken, ReceiptId};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use std::{fmt, str::FromStr, time::Duration};

/// What a receipt is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Kind {
    /// A paid order.
    Order,
}

/// The row of the Receipts table. It names the order and holds no personal data.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Receipt {
    /// The key.
    pub receipt_id: ReceiptId,
    /// Counts the changes, from 1: every claim is guarded by the version it read.
    pub version: u64,
    /// For which order.
    pub order_id: OrderId,
    /// What it is for.
    pub kind: Kind,
    /// When it was committed.
    #[serde(with = "jiff::fmt::serde::timestamp::second::required")]
    pub created_at: Timestamp,
    /// How many claims there have been.
    pub attempts: u32,
    /// Where it stands.
    #[serde(flatten)]
    pub state: State,
}

/// Where a receipt stands.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "state", rename_all = "snake_case")]
pub enum State {
    /// To be sent.
    Pending {
        /// Why the last attempt failed, if there was one. Certainly nothing went out.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        reason: Option<String>,
    },
    /// Somebody is sending it.
    Claimed {
        /// Who.
        owner: OwnerToken,
        /// Until when. Afterwards, unmarked, the mail's fate is unknown.
        #[serde(with = "jiff::fmt::serde::timestamp::second::required")]
        claim_ends_at: Timestamp,
    },
    /// SES has it.
    Sent {
        /// SES's id of the message.
        message_id: MessageId,
        /// When it was handed over.
        #[serde(with = "jiff::fmt::serde::timestamp::second::required")]
        sent_at: Timestamp,
    },
    /// Nobody can send it as it is: no address, or one that SES will never take.
    Failed {
        /// Why, without the address.
        reason: String,
    },
    /// Its fate is unknown and the policy is not to risk a second mail: a person decides.
    Held,
}

impl Receipt {
    /// The receipt of a newly committed order.
    pub fn for_order(order_id: &OrderId, now: Timestamp) -> Result<Self, BadId> {
        Ok(Self {
            receipt_id: Self::id_for_order(order_id)?,
            version: 1,
            order_id: order_id.clone(),
            kind: Kind::Order,
            created_at: now,
            attempts: 0,
            state: State::Pending { reason: None },
        })
    }

    /// The id of an order's receipt: the same however often it is asked for.
    pub fn id_for_order(order_id: &OrderId) -> Result<ReceiptId, BadId> {
        ReceiptId::new(format!("{order_id}-order"))
    }

    /// Whether a mail is still owed.
    #[must_use]
    pub fn is_owed(&self) -> bool {
        match self.state {
            State::Pending { .. } | State::Claimed { .. } => true,
            State::Sent { .. } | State::Failed { .. } | State::Held => false,
        }
    }
}

/// What to do with a mail whose fate is unknown.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OnUnknown {
    /// Send it again: the customer may get two.
    Resend,
    /// Hold it for a person: the customer may get none until then.
    Hold,
}

/// The text is neither `resend` nor `hold`.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the policy must be `resend` or `hold`")]
pub struct BadPolicy;

impl FromStr for OnUnknown {
    type Err = BadPolicy;

    fn from_str(text: &str) -> Result<Self, BadPolicy> {
        match text {
            "resend" => Ok(Self::Resend),
            "hold" => Ok(Self::Hold),
            _ => Err(BadPolicy),
        }
    }
}

/// What to do with a receipt now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Step {
    /// Claim it and send it.
    Send {
        /// Whether an earlier mail may have gone out.
        again: bool,
    },
    /// Another attempt has it; come back when its claim has ended.
    Wait(Duration),
    /// Its fate is unknown: hold it.
    Hold,
    /// Nothing is left to do.
    Done,
}

/// Decides what to do with a receipt. Pure: the caller acts, guarded by the version it read.
#[must_use]
pub fn next_step(receipt: &Receipt, policy: OnUnknown, now: Timestamp) -> Step {
    match &receipt.state {
        State::Pending { .. } => Step::Send { again: false },
        State::Claimed { claim_ends_at, .. } => {
            let left = claim_ends_at.duration_since(now);
            if left.is_positive() {
                return Step::Wait(left.unsigned_abs());
            }
            match policy {
                OnUnknown::Resend => Step::Send { again: true },
                OnUnknown::Hold => Step::Hold,
            }
        }
        State::Sent { .. } | State::Failed { .. } | State::Held => Step::Done,
    }
}

impl fmt::Display for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Send { again: false } => f.write_str("send"),
            Self::Send { again: true } => f.write_str("send again: the last mail's fate is unknown"),
            Self::Wait(left) => write!(f, "wait {} s for another attempt's claim to end", left.as_secs()),
            Self::Hold => f.write_str("hold: the last mail's fate is unknown"),
            Self::Done => f.write_str("nothing to do"),
        }
    }
}

#[cfg(test)]
mod tests;
