//! Answers about mails.

use super::{Note, Time};
use crate::order::timeline::Entry;
use domain::values::ids::{OrderId, ReceiptId};
use jiff::Timestamp;
use operator::list::ReceiptRow;
use schemars::JsonSchema;
use serde::Serialize;

/// Mails of a list.
#[derive(Debug, Clone, Serialize, JsonSchema)]
pub struct Mails {
    pub mails: Vec<MailLine>,
}

/// A mail of a list.
#[derive(Debug, Clone, Serialize, JsonSchema)]
pub struct MailLine {
    #[schemars(with = "String")]
    pub receipt_id: ReceiptId,
    pub status: &'static str,
    /// The version, which a resend or a close names.
    pub version: u64,
    #[schemars(with = "Time")]
    pub created_at: Timestamp,
    #[schemars(with = "Option<Time>")]
    pub due_at: Option<Timestamp>,
    pub reason: Option<String>,
    pub attempts: u32,
    /// The last actions of operators, oldest first.
    pub notes: Vec<Note>,
}

impl From<&ReceiptRow> for MailLine {
    fn from(row: &ReceiptRow) -> Self {
        Self {
            receipt_id: row.receipt_id.clone(),
            status: row.status.as_str(),
            version: row.version,
            created_at: row.created_at,
            due_at: row.due_at,
            reason: row.reason.clone(),
            attempts: row.attempts,
            notes: super::notes(&row.notes),
        }
    }
}

/// One mail with all feedback.
#[derive(Debug, Clone, Serialize, JsonSchema)]
pub struct Mail {
    #[schemars(with = "String")]
    pub receipt_id: ReceiptId,
    #[schemars(with = "String")]
    pub order_id: OrderId,
    pub kind: &'static str,
    pub status: &'static str,
    pub version: u64,
    #[schemars(with = "Time")]
    pub created_at: Timestamp,
    #[schemars(with = "Option<Time>")]
    pub due_at: Option<Timestamp>,
    #[schemars(with = "Option<Time>")]
    pub reopened_at: Option<Timestamp>,
    pub attempts: u32,
    /// The bounce, the complaint or the reject.
    pub failure: Option<String>,
    /// The last actions of operators, oldest first.
    pub notes: Vec<Note>,
    /// The ids of SES.
    pub message_ids: Vec<String>,
    pub history: Vec<Entry>,
}

/// A mail as it would be sent now.
#[derive(Debug, Clone, Serialize, JsonSchema)]
pub struct MailPreview {
    #[schemars(with = "String")]
    pub receipt_id: ReceiptId,
    /// True if name and address are hidden.
    pub masked: bool,
    pub from: String,
    pub to: String,
    pub subject: String,
    pub text: String,
    pub html: String,
}

/// A mail that is sent again.
#[derive(Debug, Clone, Serialize, JsonSchema)]
pub struct MailResend {
    #[schemars(with = "String")]
    pub receipt_id: ReceiptId,
    pub dry_run: bool,
    pub queued: bool,
    /// The version before the change.
    pub version: u64,
    pub text: String,
}

/// A mail that is not sent.
#[derive(Debug, Clone, Serialize, JsonSchema)]
pub struct MailClose {
    #[schemars(with = "String")]
    pub receipt_id: ReceiptId,
    pub dry_run: bool,
    pub closed: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub text: Option<String>,
}

/// A corrected address.
#[derive(Debug, Clone, Serialize, JsonSchema)]
pub struct MailCorrectAddress {
    #[schemars(with = "String")]
    pub order_id: OrderId,
    pub dry_run: bool,
    pub corrected: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub text: Option<String>,
}

/// A suppression that ended.
#[derive(Debug, Clone, Serialize, JsonSchema)]
pub struct MailClearAddress {
    /// Masked.
    pub address: String,
    pub dry_run: bool,
    pub cleared: bool,
    /// Whether SES's list had it; `null` if SES was not asked.
    pub removed_at_ses: Option<bool>,
    pub text: String,
}
