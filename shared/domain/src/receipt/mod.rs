//! A receipt: one mail for one order and kind, sent under a stated policy.
//!
//! SES takes no idempotency key, so a mail has four outcomes: sent, failed, held, or unknown. An
//! attempt leases the receipt, sends the mail, then marks the receipt. Only the owner of the lease
//! may mark.
//!
//! ```text
//!  leased                lease ends
//!      │── render, send, mark ──│── unmarked: outcome unknown, the policy decides ──▶
//! ```

pub mod feedback;

use crate::values::{
    ids::{
        BadId, FulfillmentId, InvoiceId, MessageId, OrderId, OwnerToken, ReceiptId, RefundId,
        SubscriptionId,
    },
    note::{Noted, Notes},
    provider::ProviderId,
};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_with::skip_serializing_none;
use std::{fmt, time::Duration};

/// The purpose of a mail. It names no recipient: the address is read when the mail is sent.
#[skip_serializing_none]
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum ReceiptKind {
    /// The receipt of an order, a sale or a renewal.
    Order,
    /// A receipt for a refund.
    Refund {
        refund_id: RefundId,
        /// In minor units of the order's currency.
        amount: i64,
        #[serde(with = "jiff::fmt::serde::timestamp::second::required")]
        refunded_at: Timestamp,
    },
    /// A correction: a refund that had succeeded has failed. Withdrawn if the customer never heard of the refund, or
    /// if it succeeded after all.
    RefundFailed {
        refund_id: RefundId,
        /// In minor units of the order's currency.
        amount: i64,
        #[serde(with = "jiff::fmt::serde::timestamp::second::required")]
        refunded_at: Timestamp,
    },
    /// A notice that a renewal could not be charged. Withdrawn if no longer true.
    PaymentFailed {
        subscription_id: SubscriptionId,
        invoice_id: InvoiceId,
        /// The amount due, in minor units of the order's currency, if known.
        amount: Option<i64>,
    },
    /// A notice that a payment of an invoice failed. Withdrawn if no longer true.
    InvoicePaymentFailed {
        invoice_id: InvoiceId,
        /// The merchant's number of the invoice.
        number: Option<String>,
        /// The amount due, in minor units of the order's currency; absent if the invoice has another currency.
        amount: Option<i64>,
    },
    /// A notice that goods were sent or wait for the customer. Withdrawn if no longer true.
    Shipment { fulfillment_id: FulfillmentId },
    /// A notice that a trial ends. Withdrawn if no longer true.
    TrialEnds {
        subscription_id: SubscriptionId,
        #[serde(with = "jiff::fmt::serde::timestamp::second::required")]
        ends_at: Timestamp,
    },
}

impl ReceiptKind {
    /// The name in rows, logs and mail tags.
    #[must_use]
    pub fn name(&self) -> &'static str {
        match self {
            Self::Order => "order",
            Self::Refund { .. } => "refund",
            Self::RefundFailed { .. } => "refund_failed",
            Self::PaymentFailed { .. } => "payment_failed",
            Self::InvoicePaymentFailed { .. } => "invoice_payment_failed",
            Self::Shipment { .. } => "shipment",
            Self::TrialEnds { .. } => "trial_ends",
        }
    }

    /// True for an announcement whose moment has passed.
    #[must_use]
    pub fn is_too_late(&self, now: Timestamp) -> bool {
        matches!(self, Self::TrialEnds { ends_at, .. } if *ends_at <= now)
    }

    /// The subscription that the mail is about, if any.
    #[must_use]
    pub fn subscription_id(&self) -> Option<&SubscriptionId> {
        match self {
            Self::Order
            | Self::Refund { .. }
            | Self::RefundFailed { .. }
            | Self::InvoicePaymentFailed { .. }
            | Self::Shipment { .. } => None,
            Self::PaymentFailed {
                subscription_id, ..
            }
            | Self::TrialEnds {
                subscription_id, ..
            } => Some(subscription_id),
        }
    }
}

/// The row of the Receipts table. It names the order and holds no personal data.
#[skip_serializing_none]
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Receipt {
    pub receipt_id: ReceiptId,
    /// Counts changes, from 1; each lease is guarded by the version it read.
    pub version: u64,
    pub order_id: OrderId,
    /// The provider of the event that caused it.
    pub provider: Option<ProviderId>,
    #[serde(flatten)]
    pub kind: ReceiptKind,
    /// Do not send earlier.
    #[serde(default, with = "jiff::fmt::serde::timestamp::second::optional")]
    pub due_at: Option<Timestamp>,
    /// The time of the commit.
    #[serde(with = "jiff::fmt::serde::timestamp::second::required")]
    pub created_at: Timestamp,
    /// Number of leases so far.
    pub attempts: u32,
    /// The operators' latest actions.
    #[serde(default, skip_serializing_if = "Notes::is_empty")]
    pub notes: Notes,
    /// The time of the last request for another mail. Reports about earlier mails settle nothing.
    #[serde(default, with = "jiff::fmt::serde::timestamp::second::optional")]
    pub reopened_at: Option<Timestamp>,
    /// The merged SES reports, by mail.
    #[serde(default, skip_serializing_if = "feedback::Mails::is_empty")]
    pub mails: feedback::Mails,
    #[serde(flatten)]
    pub state: ReceiptState,
}

/// The state of a receipt.
#[skip_serializing_none]
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "state", rename_all = "snake_case")]
pub enum ReceiptState {
    /// Waits to be sent.
    Unsent {
        /// Reason of the last failed attempt, if any. No mail was sent.
        reason: Option<String>,
    },
    /// An attempt is sending the mail.
    Leased {
        owner: OwnerToken,
        /// After this time without a mark, the outcome is unknown.
        #[serde(with = "jiff::fmt::serde::timestamp::second::required")]
        lease_ends_at: Timestamp,
    },
    /// SES has accepted the mail.
    Sent {
        message_id: MessageId,
        #[serde(with = "jiff::fmt::serde::timestamp::second::required")]
        sent_at: Timestamp,
    },
    /// Cannot be sent: the address is missing, invalid or suppressed, or SES accepted the mail and
    /// then rejected it.
    Failed {
        /// Names no address.
        reason: String,
    },
    /// The outcome is unknown and the policy forbids a second mail; an operator decides.
    Held,
    /// Will not be sent: the content is no longer true, or an operator closed the receipt.
    Withdrawn { reason: String },
}

/// The name of a [`ReceiptState`].
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, strum::Display, strum::IntoStaticStr,
)]
#[strum(serialize_all = "snake_case")]
pub enum ReceiptStatus {
    Unsent,
    Leased,
    Sent,
    Failed,
    Held,
    Withdrawn,
}

impl ReceiptStatus {
    /// The word in rows.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        self.into()
    }

    /// True if the mail is unfinished or an operator must decide.
    #[must_use]
    pub fn is_waiting(self) -> bool {
        match self {
            Self::Unsent | Self::Leased | Self::Failed | Self::Held => true,
            Self::Sent | Self::Withdrawn => false,
        }
    }
}

impl ReceiptState {
    /// The state without its data.
    #[must_use]
    pub fn status(&self) -> ReceiptStatus {
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
    /// Closes the receipt: an operator has reached the customer in another way.
    #[must_use]
    pub fn closed(self, note: Noted) -> Self {
        let state = ReceiptState::Withdrawn {
            reason: "closed by an operator".to_owned(),
        };
        Self {
            version: self.version + 1,
            notes: self.notes.with(note),
            state,
            ..self
        }
    }

    /// Creates a receipt for an order. The id is deterministic: the id of the thing plus the kind.
    pub fn new(
        order_id: &OrderId,
        kind: ReceiptKind,
        due_at: Option<Timestamp>,
        now: Timestamp,
    ) -> Result<Self, BadId> {
        let name = kind.name();
        let receipt_id = match &kind {
            ReceiptKind::Order => ReceiptId::new(format!("{order_id}-{name}")),
            // One id for both kinds, so an invoice never has two notices.
            ReceiptKind::PaymentFailed { invoice_id, .. }
            | ReceiptKind::InvoicePaymentFailed { invoice_id, .. } => {
                ReceiptId::new(format!("{invoice_id}-payment_failed"))
            }
            ReceiptKind::Refund { refund_id, .. } | ReceiptKind::RefundFailed { refund_id, .. } => {
                ReceiptId::new(format!("{refund_id}-{name}"))
            }
            ReceiptKind::Shipment { fulfillment_id } => {
                ReceiptId::new(format!("{fulfillment_id}-{name}"))
            }
            ReceiptKind::TrialEnds {
                subscription_id,
                ends_at,
            } => ReceiptId::new(format!("{subscription_id}-{name}-{}", ends_at.as_second())),
        }?;
        Ok(Self {
            receipt_id,
            version: 1,
            order_id: order_id.clone(),
            provider: None,
            kind,
            due_at,
            created_at: now,
            attempts: 0,
            notes: Notes::default(),
            reopened_at: None,
            mails: feedback::Mails::new(),
            state: ReceiptState::Unsent { reason: None },
        })
    }

    /// The receipt of a newly committed order.
    pub fn for_order(order_id: &OrderId, now: Timestamp) -> Result<Self, BadId> {
        Self::new(order_id, ReceiptKind::Order, None, now)
    }

    /// True until the mail is sent or given up.
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

/// The policy for a mail whose outcome is unknown.
#[derive(Debug, Clone, Copy, PartialEq, Eq, strum::EnumString, strum::VariantNames)]
#[strum(serialize_all = "snake_case")]
pub enum OnUnknown {
    /// Send it again: the customer may get two mails.
    Resend,
    /// Hold it for an operator: the customer may get no mail until then.
    Hold,
}

/// The next step for a receipt.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Step {
    /// Lease the receipt and send the mail.
    Send {
        /// True if an earlier mail may have been sent.
        again: bool,
    },
    /// Another attempt holds the lease; retry when it ends.
    Wait(Duration),
    /// The outcome is unknown: hold the receipt. A held receipt is reported once more, because the
    /// attempt that held it may have stopped before its report.
    Hold,
    /// Too early; sweep queues the receipt again when it is due.
    NotDue,
    Done,
}

/// Returns the next step for a receipt. Pure: the caller acts, guarded by the version it read.
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
                f.write_str("send again: the last mail may have been sent")
            }
            Self::Wait(left) => write!(
                f,
                "wait {} s until the lease of another attempt ends",
                left.as_secs()
            ),
            Self::Hold => f.write_str("hold: the last mail may have been sent"),
            Self::NotDue => f.write_str("not due yet"),
            Self::Done => f.write_str("nothing to do"),
        }
    }
}

#[cfg(test)]
mod tests;
