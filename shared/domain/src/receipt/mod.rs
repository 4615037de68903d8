//! A receipt: one mail for one order and kind, sent under a stated policy.
//!
//! SES takes no idempotency key, so a mail has four ends: sent, failed, held, or unknown. A receipt is claimed
//! before it is sent and marked after; only the claimant may mark.
//!
//! ```text
//!  claimed_at            claim ends
//!      │── render, send, mark ──│── unmarked: the mail's fate is unknown; the policy decides ──▶
//! ```

pub mod feedback;

use crate::values::ids::{
    BadId, InvoiceId, MessageId, OrderId, OwnerToken, ReceiptId, RefundId, SubscriptionId,
};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use std::{fmt, str::FromStr, time::Duration};

/// What a mail is for. Names what it tells of, and nobody: who gets it is known when it is sent.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum ReceiptKind {
    /// A receipt for a paid order.
    Order,
    /// A receipt for a paid renewal.
    Invoice {
        /// Of which subscription.
        subscription_id: SubscriptionId,
        /// For which invoice.
        invoice_id: InvoiceId,
        /// What was paid, in minor units of the order's currency.
        amount: i64,
        /// When it was paid.
        #[serde(with = "jiff::fmt::serde::timestamp::second::required")]
        paid_at: Timestamp,
        /// The period that was paid for.
        #[serde(
            default,
            skip_serializing_if = "Option::is_none",
            with = "jiff::fmt::serde::timestamp::second::optional"
        )]
        period_start: Option<Timestamp>,
        /// Its end.
        #[serde(
            default,
            skip_serializing_if = "Option::is_none",
            with = "jiff::fmt::serde::timestamp::second::optional"
        )]
        period_end: Option<Timestamp>,
    },
    /// A receipt for a refund.
    Refund {
        /// Which.
        refund_id: RefundId,
        /// How much went back, in minor units of the order's currency.
        amount: i64,
        /// When.
        #[serde(with = "jiff::fmt::serde::timestamp::second::required")]
        refunded_at: Timestamp,
    },
    /// A notice that a renewal could not be charged. Sent only while that is so.
    PaymentFailed {
        /// Of which subscription.
        subscription_id: SubscriptionId,
        /// Which invoice.
        invoice_id: InvoiceId,
        /// What is owed, in minor units of the order's currency, where told.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        amount: Option<i64>,
    },
    /// A notice that a trial ends. Sent only while that is so.
    TrialEnds {
        /// Of which subscription.
        subscription_id: SubscriptionId,
        /// When it ends.
        #[serde(with = "jiff::fmt::serde::timestamp::second::required")]
        ends_at: Timestamp,
    },
}

impl ReceiptKind {
    /// Its name, as rows, logs and mail tags have it.
    #[must_use]
    pub fn name(&self) -> &'static str {
        match self {
            Self::Order => "order",
            Self::Invoice { .. } => "invoice",
            Self::Refund { .. } => "refund",
            Self::PaymentFailed { .. } => "payment_failed",
            Self::TrialEnds { .. } => "trial_ends",
        }
    }

    /// Whether what it announces has come by now: then it is too late to announce it.
    #[must_use]
    pub fn is_too_late(&self, now: Timestamp) -> bool {
        matches!(self, Self::TrialEnds { ends_at, .. } if *ends_at <= now)
    }

    /// The subscription that it tells of, if it does.
    #[must_use]
    pub fn subscription_id(&self) -> Option<&SubscriptionId> {
        match self {
            Self::Order | Self::Refund { .. } => None,
            Self::Invoice {
                subscription_id, ..
            }
            | Self::PaymentFailed {
                subscription_id, ..
            }
            | Self::TrialEnds {
                subscription_id, ..
            } => Some(subscription_id),
        }
    }
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
    #[serde(flatten)]
    pub kind: ReceiptKind,
    /// Not to be sent before then.
    #[serde(
        default,
        skip_serializing_if = "Option::is_none",
        with = "jiff::fmt::serde::timestamp::second::optional"
    )]
    pub due_at: Option<Timestamp>,
    /// When it was committed.
    #[serde(with = "jiff::fmt::serde::timestamp::second::required")]
    pub created_at: Timestamp,
    /// How many claims there have been.
    pub attempts: u32,
    /// What an operator did last about it: when, who and why.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub note: Option<String>,
    /// Since when somebody wants another mail: what is told of earlier ones settles nothing any more.
    #[serde(
        default,
        skip_serializing_if = "Option::is_none",
        with = "jiff::fmt::serde::timestamp::second::optional"
    )]
    pub reopened_at: Option<Timestamp>,
    /// What SES told of its mails.
    #[serde(default, skip_serializing_if = "feedback::Mails::is_empty")]
    pub mails: feedback::Mails,
    /// Where it stands.
    #[serde(flatten)]
    pub state: ReceiptState,
}

/// Where a receipt stands.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "state", rename_all = "snake_case")]
pub enum ReceiptState {
    /// To be sent.
    Unsent {
        /// Why the last attempt failed, if there was one. Certainly nothing went out.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        reason: Option<String>,
    },
    /// Somebody is sending it.
    Leased {
        /// Who.
        owner: OwnerToken,
        /// Until when. Afterwards, unmarked, the mail's fate is unknown.
        #[serde(with = "jiff::fmt::serde::timestamp::second::required")]
        lease_ends_at: Timestamp,
    },
    /// SES has it.
    Sent {
        /// SES's id of the message.
        message_id: MessageId,
        /// When it was handed over.
        #[serde(with = "jiff::fmt::serde::timestamp::second::required")]
        sent_at: Timestamp,
    },
    /// It cannot be sent as it is: there is no address, or one that SES will not take or that is not written to any more;
    /// or SES took the mail and would not send it.
    Failed {
        /// Why, without the address.
        reason: String,
    },
    /// Its fate is unknown and the policy is not to risk a second mail: a person decides.
    Held,
    /// Never sent: its subject is not true any more, or a person closed it.
    Withdrawn {
        /// Why.
        reason: String,
    },
}

/// Where a receipt stands, in one word.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum ReceiptStatus {
    /// See [`ReceiptState::Unsent`].
    Unsent,
    /// See [`ReceiptState::Leased`].
    Leased,
    /// See [`ReceiptState::Sent`].
    Sent,
    /// See [`ReceiptState::Failed`].
    Failed,
    /// See [`ReceiptState::Held`].
    Held,
    /// See [`ReceiptState::Withdrawn`].
    Withdrawn,
}

impl ReceiptStatus {
    /// The word, as rows have it.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Unsent => "unsent",
            Self::Leased => "leased",
            Self::Sent => "sent",
            Self::Failed => "failed",
            Self::Held => "held",
            Self::Withdrawn => "withdrawn",
        }
    }

    /// Whether somebody has still something to do about it: we, or a person.
    #[must_use]
    pub fn is_waiting(self) -> bool {
        match self {
            Self::Unsent | Self::Leased | Self::Failed | Self::Held => true,
            Self::Sent | Self::Withdrawn => false,
        }
    }
}

impl fmt::Display for ReceiptStatus {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl ReceiptState {
    /// In one word.
    #[must_use]
    pub fn standing(&self) -> ReceiptStatus {
        match self {
            Self::Unsent { .. } => ReceiptStatus::Unsent,
            Self::Leased { .. } => ReceiptStatus::Leased,
            Self::Sent { .. } => ReceiptStatus::Sent,
            Self::Failed { .. } => ReceiptStatus::Failed,
            Self::Held => ReceiptStatus::Held,
            Self::Withdrawn { .. } => ReceiptStatus::Withdrawn,
        }
    }
}

impl Receipt {
    /// The receipt as a person closes it, who reached the customer another way.
    #[must_use]
    pub fn closed(self, note: &str) -> Self {
        let state = ReceiptState::Withdrawn {
            reason: "closed by an operator".to_owned(),
        };
        Self {
            version: self.version + 1,
            note: Some(note.to_owned()),
            state,
            ..self
        }
    }

    /// A new receipt about an order. Its id is the same however often it is asked for: that of what it tells of, and
    /// its kind.
    pub fn new(
        order_id: &OrderId,
        kind: ReceiptKind,
        due_at: Option<Timestamp>,
        now: Timestamp,
    ) -> Result<Self, BadId> {
        let name = kind.name();
        let receipt_id = match &kind {
            ReceiptKind::Order => ReceiptId::new(format!("{order_id}-{name}")),
            ReceiptKind::Invoice { invoice_id, .. }
            | ReceiptKind::PaymentFailed { invoice_id, .. } => {
                ReceiptId::new(format!("{invoice_id}-{name}"))
            }
            ReceiptKind::Refund { refund_id, .. } => ReceiptId::new(format!("{refund_id}-{name}")),
            ReceiptKind::TrialEnds {
                subscription_id,
                ends_at,
            } => ReceiptId::new(format!("{subscription_id}-{name}-{}", ends_at.as_second())),
        }?;
        Ok(Self {
            receipt_id,
            version: 1,
            order_id: order_id.clone(),
            kind,
            due_at,
            created_at: now,
            attempts: 0,
            note: None,
            reopened_at: None,
            mails: feedback::Mails::new(),
            state: ReceiptState::Unsent { reason: None },
        })
    }

    /// The receipt of a newly committed order.
    pub fn for_order(order_id: &OrderId, now: Timestamp) -> Result<Self, BadId> {
        Self::new(order_id, ReceiptKind::Order, None, now)
    }

    /// Whether a mail is still owed.
    #[must_use]
    pub fn is_unfinished(&self) -> bool {
        match self.state {
            ReceiptState::Unsent { .. } | ReceiptState::Leased { .. } => true,
            ReceiptState::Sent { .. }
            | ReceiptState::Failed { .. }
            | ReceiptState::Held
            | ReceiptState::Withdrawn { .. } => false,
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
    /// Its fate is unknown: hold it. One that is held already is told of once more: whoever held it may have been
    /// stopped before it could tell.
    Hold,
    /// Its day has not come: it is queued again when it has.
    NotDue,
    /// Nothing is left to do.
    Done,
}

/// Decides what to do with a receipt. Pure: the caller acts, guarded by the version it read.
#[must_use]
pub fn next_step(receipt: &Receipt, policy: OnUnknown, now: Timestamp) -> Step {
    match &receipt.state {
        ReceiptState::Unsent { .. } if receipt.due_at > Some(now) => Step::NotDue,
        ReceiptState::Unsent { .. } => Step::Send { again: false },
        ReceiptState::Leased { lease_ends_at, .. } => {
            let left = lease_ends_at.duration_since(now);
            if left.is_positive() {
                return Step::Wait(left.unsigned_abs());
            }
            match policy {
                OnUnknown::Resend => Step::Send { again: true },
                OnUnknown::Hold => Step::Hold,
            }
        }
        ReceiptState::Held => Step::Hold,
        ReceiptState::Sent { .. }
        | ReceiptState::Failed { .. }
        | ReceiptState::Withdrawn { .. } => Step::Done,
    }
}

impl fmt::Display for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Send { again: false } => f.write_str("send"),
            Self::Send { again: true } => {
                f.write_str("send again: the last mail's fate is unknown")
            }
            Self::Wait(left) => write!(
                f,
                "wait {} s for another attempt's claim to end",
                left.as_secs()
            ),
            Self::Hold => f.write_str("hold: the last mail's fate is unknown"),
            Self::NotDue => f.write_str("not due yet"),
            Self::Done => f.write_str("nothing to do"),
        }
    }
}

#[cfg(test)]
mod tests;
