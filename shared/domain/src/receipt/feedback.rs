//! Mail feedback: the reports that SES sends about a mail after it has accepted it.
//!
//! A report settles an unknown outcome and says if the mail arrived. Reports come late, twice, in
//! any order, or never. The row keeps the merge of all reports about each mail. The receipt's state
//! and its delivery failure are functions of that merge, so order and repetition do not matter.
//!
//! ```text
//!  any state ─┬─ SES has sent a mail ─────────────▶ sent
//!             ├─ SES accepted one and rejected it ▶ failed
//!             └─ else ────────────────────────────▶ unchanged
//! ```
//!
//! Mails from before an operator's request for another mail are past: reports about them settle
//! nothing.

use crate::receipt::{Receipt, ReceiptState};
use crate::sale::delivery_failure::DeliveryFailure;
use crate::values::{
    facts::{earliest, latest, whole_second},
    fingerprint::fingerprint,
    ids::{MessageId, ReceiptId},
    note::Noted,
};
use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};
use serde_with::skip_serializing_none;
use std::{collections::BTreeMap, fmt};

/// The message tag that holds the receipt id, encoded by [`tag_value`]. SES repeats it in every
/// report about the mail.
pub const TAG: &str = "receipt_id";

/// The mark of a tag value in base64url.
const ENCODED: &str = "b64_";

/// Encodes a receipt id as the value of a message tag.
///
/// A value takes letters, digits, `_` and `-`, 256 at most
/// (<https://docs.aws.amazon.com/ses/latest/APIReference/API_MessageTag.html>). An id of these
/// characters is its own value, so that support staff can read it. A provider's ids may have any
/// printable character, so another id is a mark and the id in base64url.
#[must_use]
pub fn tag_value(id: &ReceiptId) -> String {
    let id = id.as_str();
    let is_allowed = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-');
    if id.bytes().all(is_allowed) && !id.starts_with(ENCODED) {
        return id.to_owned();
    }
    format!("{ENCODED}{}", URL_SAFE_NO_PAD.encode(id))
}

/// Decodes the receipt id from the value of a message tag; `None` if [`tag_value`] did not make the
/// value.
#[must_use]
pub fn tagged_receipt(value: &str) -> Option<ReceiptId> {
    let id = match value.strip_prefix(ENCODED) {
        Some(encoded) => String::from_utf8(URL_SAFE_NO_PAD.decode(encoded).ok()?).ok()?,
        None => value.to_owned(),
    };
    ReceiptId::new(id).ok().filter(|id| tag_value(id) == value)
}

/// The recipient of a mail, as the SHA-256 of the address in lower case, in hex.
///
/// The hash hides the address from a reader of the row. It does not hide it from a reader who
/// guesses the address.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct AddressHash(String);

impl AddressHash {
    /// Hashes an address. The local part may be case-sensitive by standard, but is not in practice.
    /// Suppressing one mailbox too many is better than writing to a recipient who complained.
    #[must_use]
    pub fn of(address: &str) -> Self {
        Self(fingerprint(address.trim().to_lowercase().as_bytes()))
    }

    /// The hash in hex.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for AddressHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// The content of a report about one mail.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ReportKind {
    /// SES will try to deliver the mail.
    Sent,
    /// The recipient's server accepted the mail.
    Delivered,
    /// The mail bounced, or SES gave up after its retries.
    Bounced {
        /// True if the address is invalid, false if the failure may pass.
        permanent: bool,
    },
    /// A transient bounce or an automatic answer ("out of office"): SES does not distinguish them.
    MaybeBounced,
    /// SES accepted the mail and did not try: its account suppression list has the address.
    Suppressed,
    /// The recipient reported the mail as spam.
    Complained,
    /// SES found malicious content and did not send the mail.
    Rejected,
}

impl ReportKind {
    /// The word in logs.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Sent => "sent",
            Self::Delivered => "delivered",
            Self::Bounced { permanent: true } => "bounced_permanently",
            Self::Bounced { permanent: false } => "bounced",
            Self::MaybeBounced => "maybe_bounced",
            Self::Suppressed => "suppressed",
            Self::Complained => "complained",
            Self::Rejected => "rejected",
        }
    }

    /// True if this report alone suggests a delivery failure or a complaint.
    #[must_use]
    pub fn is_failure(self) -> bool {
        match self {
            Self::Sent | Self::Delivered => false,
            Self::Bounced { .. }
            | Self::MaybeBounced
            | Self::Suppressed
            | Self::Complained
            | Self::Rejected => true,
        }
    }
}

/// Failure reason of a receipt whose mail SES accepted and then rejected.
const REFUSED: &str = "SES accepted the mail and then rejected it";

/// One report from SES about one mail.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Report {
    pub receipt_id: ReceiptId,
    /// The id that SES gave the mail.
    pub message_id: MessageId,
    /// The time when SES accepted the mail.
    pub sent_at: Timestamp,
    pub kind: ReportKind,
    /// The time of the reported occurrence.
    pub at: Timestamp,
    /// The recipient, if the report names one.
    pub address: Option<AddressHash>,
}

impl Report {
    /// The suppression that follows from the report, if any.
    #[must_use]
    pub fn suppression(&self) -> Option<Suppression> {
        let address = self.address.clone()?;
        let at = Some(whole_second(self.at));
        match self.kind {
            ReportKind::Bounced { permanent: true } | ReportKind::Suppressed => Some(Suppression {
                bounced_at: at,
                ..Suppression::of(address)
            }),
            ReportKind::Complained => Some(Suppression {
                complained_at: at,
                ..Suppression::of(address)
            }),
            ReportKind::Sent
            | ReportKind::Delivered
            | ReportKind::Bounced { permanent: false }
            | ReportKind::MaybeBounced
            | ReportKind::Rejected => None,
        }
    }
}

/// The suppression of an address: a row of the Links table. The latest bounce and complaint count,
/// unless an operator cleared the address later. A late or repeated report about a cleared failure
/// does not suppress the address again.
#[skip_serializing_none]
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Suppression {
    #[serde(rename = "address_hash")]
    pub address: AddressHash,
    /// The last permanent bounce.
    #[serde(default, with = "jiff::fmt::serde::timestamp::second::optional")]
    pub bounced_at: Option<Timestamp>,
    /// The last complaint.
    #[serde(default, with = "jiff::fmt::serde::timestamp::second::optional")]
    pub complained_at: Option<Timestamp>,
    /// The last time an operator declared the address good.
    #[serde(default, with = "jiff::fmt::serde::timestamp::second::optional")]
    pub cleared_at: Option<Timestamp>,
}

impl Suppression {
    /// An address without history.
    #[must_use]
    pub fn of(address: AddressHash) -> Self {
        Self {
            address,
            bounced_at: None,
            complained_at: None,
            cleared_at: None,
        }
    }

    /// The reason why no mail goes to the address, as receipts record it; `None` if the address is
    /// not suppressed.
    #[must_use]
    pub fn reason(&self) -> Option<&'static str> {
        // `None` orders before every time.
        if self.complained_at > self.cleared_at {
            Some("the recipient complained of an earlier mail")
        } else if self.bounced_at > self.cleared_at {
            Some("an earlier mail to this address bounced permanently")
        } else {
            None
        }
    }

    /// Merges two suppressions of the same address.
    #[must_use]
    pub fn and(self, other: &Self) -> Self {
        Self {
            bounced_at: latest(self.bounced_at, other.bounced_at),
            complained_at: latest(self.complained_at, other.complained_at),
            cleared_at: latest(self.cleared_at, other.cleared_at),
            ..self
        }
    }
}

/// The merged reports about one mail: the earliest time of each occurrence.
#[skip_serializing_none]
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct MailHistory {
    /// SES accepted the mail for delivery.
    #[serde(default, with = "jiff::fmt::serde::timestamp::second::optional")]
    pub sent_at: Option<Timestamp>,
    /// The recipient's server accepted the mail.
    #[serde(default, with = "jiff::fmt::serde::timestamp::second::optional")]
    pub delivered_at: Option<Timestamp>,
    /// A permanent bounce, or a suppression by SES.
    #[serde(default, with = "jiff::fmt::serde::timestamp::second::optional")]
    pub bounced_at: Option<Timestamp>,
    /// A transient bounce.
    #[serde(default, with = "jiff::fmt::serde::timestamp::second::optional")]
    pub returned_at: Option<Timestamp>,
    /// A bounce or an automatic answer.
    #[serde(default, with = "jiff::fmt::serde::timestamp::second::optional")]
    pub maybe_bounced_at: Option<Timestamp>,
    #[serde(default, with = "jiff::fmt::serde::timestamp::second::optional")]
    pub complained_at: Option<Timestamp>,
    /// SES found malicious content.
    #[serde(default, with = "jiff::fmt::serde::timestamp::second::optional")]
    pub rejected_at: Option<Timestamp>,
}

impl MailHistory {
    /// Merges a report.
    fn learn(&mut self, report: &Report) {
        let (at, taken_at) = (
            Some(whole_second(report.at)),
            Some(whole_second(report.sent_at)),
        );
        let (fact, at) = match report.kind {
            ReportKind::Sent => (&mut self.sent_at, taken_at),
            ReportKind::Delivered => (&mut self.delivered_at, at),
            ReportKind::Bounced { permanent: true } | ReportKind::Suppressed => {
                (&mut self.bounced_at, at)
            }
            ReportKind::Bounced { permanent: false } => (&mut self.returned_at, at),
            ReportKind::MaybeBounced => (&mut self.maybe_bounced_at, at),
            ReportKind::Complained => (&mut self.complained_at, at),
            // Like `sent_at`, the time when SES accepted the mail: both give the order of the
            // mails.
            ReportKind::Rejected => (&mut self.rejected_at, taken_at),
        };
        *fact = earliest(*fact, at);
        if report.kind != ReportKind::Rejected {
            self.sent_at = earliest(self.sent_at, taken_at);
        }
    }

    /// True if SES accepted the mail and did not send it.
    fn is_refused(&self) -> bool {
        self.rejected_at.is_some()
    }

    /// The time when the mail was sent, if it was.
    fn out_since(&self) -> Option<Timestamp> {
        self.sent_at.filter(|_| !self.is_refused())
    }

    /// `Ok` if the mail arrived, `Err` if delivery failed, `None` if nothing is known yet.
    fn verdict(&self) -> Option<Result<(), DeliveryFailure>> {
        if self.complained_at.is_some() {
            Some(Err(DeliveryFailure::Complained))
        } else if self.bounced_at.is_some() || self.returned_at.is_some() {
            // Also after a delivery: a server may accept a mail and then find the mailbox full.
            Some(Err(DeliveryFailure::Bounced))
        } else if self.is_refused() {
            Some(Err(DeliveryFailure::Refused))
        } else if self.delivered_at.is_some() {
            // The mail arrived, so the possible bounce was an automatic answer.
            Some(Ok(()))
        } else {
            self.maybe_bounced_at.map(|_| Err(DeliveryFailure::Bounced))
        }
    }

    /// The time that orders mails.
    fn moment(&self) -> Option<Timestamp> {
        earliest(self.sent_at, self.rejected_at)
    }
}

/// The merged reports about a receipt's mails, usually one mail.
pub type Mails = BTreeMap<MessageId, MailHistory>;

/// The change that SES feedback makes to a receipt's row.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ReceiptUpdate {
    /// The merged reports, including the new one.
    pub mails: Mails,
    /// The new state, if it differs.
    pub state: Option<ReceiptState>,
}

/// Merges a report into a receipt; `None` if it adds nothing. Pure: the caller writes, guarded by
/// the version it read.
#[must_use]
pub fn settle(receipt: &Receipt, report: &Report) -> Option<ReceiptUpdate> {
    let mut mails = known(receipt);
    mails
        .entry(report.message_id.clone())
        .or_default()
        .learn(report);
    let state = state(receipt, &mails);
    (state.is_some() || mails != receipt.mails).then_some(ReceiptUpdate { mails, state })
}

/// The known mails, including the one that the receipt's state names.
fn known(receipt: &Receipt) -> Mails {
    let mut mails = receipt.mails.clone();
    if let ReceiptState::Sent {
        message_id,
        sent_at,
    } = &receipt.state
    {
        let history = mails.entry(message_id.clone()).or_default();
        history.sent_at = earliest(history.sent_at, Some(whole_second(*sent_at)));
    }
    mails
}

/// The state that follows from the mails, if it differs from the receipt's state.
fn state(receipt: &Receipt, mails: &Mails) -> Option<ReceiptState> {
    // A mail of the same second counts: an operator does not reopen a receipt within a second of
    // its last mail.
    let current = || {
        mails
            .iter()
            .filter(|(_, history)| history.moment() >= receipt.reopened_at)
    };
    let last_out = current()
        .filter_map(|(message_id, history)| history.out_since().map(|since| (since, message_id)))
        .max();
    let new_state = match last_out {
        // An attempt that holds or wants the lease finds the receipt done.
        Some((sent_at, message_id)) => ReceiptState::Sent {
            message_id: message_id.clone(),
            sent_at,
        },
        None if current().any(|(_, history)| history.is_refused()) => ReceiptState::Failed {
            reason: REFUSED.to_owned(),
        },
        None => return None,
    };
    (new_state != receipt.state).then_some(new_state)
}

impl Receipt {
    /// Reopens the receipt for another mail. Earlier mails are past, even those that this process
    /// does not know yet.
    #[must_use]
    pub fn reopened(self, note: Noted, now: Timestamp) -> Self {
        let mails = known(&self);
        // Our clock may be behind SES's clock; a mail that is known to be sent is still past.
        let last = mails.values().filter_map(MailHistory::moment).max();
        let after_last = last.and_then(|last| last.checked_add(SignedDuration::from_secs(1)).ok());
        Self {
            version: self.version + 1,
            notes: self.notes.with(note),
            reopened_at: latest(Some(whole_second(now)), after_last),
            mails,
            state: ReceiptState::Unsent { reason: None },
            ..self
        }
    }

    /// The delivery failure of the latest mail with a known outcome; `None` if it arrived.
    #[must_use]
    pub fn delivery_failure(&self) -> Option<DeliveryFailure> {
        let verdicts = self.mails.iter().filter_map(|(message_id, history)| {
            history
                .verdict()
                .map(|verdict| (history.moment(), message_id, verdict))
        });
        verdicts
            .max_by_key(|(moment, message_id, _)| (*moment, *message_id))?
            .2
            .err()
    }

    /// The delivery of the last mail since the receipt was last reopened: arrived or failed; `None` if nothing is known.
    #[must_use]
    pub fn last_delivery(&self) -> Option<Result<(), DeliveryFailure>> {
        let verdicts = self.mails.iter().filter_map(|(message_id, history)| {
            let moment = history.moment();
            let is_past = self.reopened_at.is_some() && moment < self.reopened_at;
            let verdict = history.verdict().filter(|_| !is_past)?;
            Some((moment, message_id, verdict))
        });
        let last = verdicts.max_by_key(|(moment, message_id, _)| (*moment, *message_id));
        last.map(|(_, _, verdict)| verdict)
    }

    /// True if any mail ever had a failure; then the order's copy needs an update.
    #[must_use]
    pub fn had_delivery_failure(&self) -> bool {
        self.mails.values().any(|history| {
            history.maybe_bounced_at.is_some()
                || history.verdict().is_some_and(|verdict| verdict.is_err())
        })
    }
}

#[cfg(test)]
mod tests;
