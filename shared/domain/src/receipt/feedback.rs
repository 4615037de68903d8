//! Mail feedback: what SES tells of a mail after it has taken it.
//!
//! A report settles a mail whose fate was unknown, and says whether the mail arrived. Reports come late, twice and in any
//! order, or never. What is kept of each mail is the merge of all of them, and where the receipt stands and what trouble
//! there was with its mails follow from that, so that neither order nor number matters.
//!
//! ```text
//!  wherever it stands ─┬─ SES has let a mail out ──────────▶ sent
//!                      ├─ it took one and would not send it ▶ failed
//!                      └─ else ─────────────────────────────▶ where it stood
//! ```
//!
//! A mail of before somebody decided to send another is past: whatever is told of it, and however late, it settles
//! nothing any more.

use crate::receipt::{Receipt, ReceiptState};
use crate::sale::delivery_failure::DeliveryFailure;
use crate::values::{
    facts::{earliest, latest, whole_second},
    fingerprint::fingerprint,
    ids::{MessageId, ReceiptId},
};
use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};
use std::{collections::BTreeMap, fmt};

/// The message tag that holds the receipt id, as [`tag_value`] encodes it. SES repeats it in every report of the mail.
pub const TAG: &str = "receipt_id";

/// Encodes a receipt id as the value of a message tag.
///
/// A value takes letters, digits, `_` and `-`, 256 at most
/// (<https://docs.aws.amazon.com/ses/latest/APIReference/API_MessageTag.html>). A provider's ids may have any printable
/// character, so the value is the id in base64url.
#[must_use]
pub fn tag_value(id: &ReceiptId) -> String {
    URL_SAFE_NO_PAD.encode(id.as_str())
}

/// Decodes the receipt id from the value of a message tag; `None` if [`tag_value`] did not make the value.
#[must_use]
pub fn tagged_receipt(value: &str) -> Option<ReceiptId> {
    let bytes = URL_SAFE_NO_PAD.decode(value).ok()?;
    ReceiptId::new(String::from_utf8(bytes).ok()?).ok()
}

/// Whom a mail went to, without saying it: the SHA-256 of the address in small letters, in hex.
///
/// It hides an address from whoever reads a row, and not from whoever guesses the address.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct AddressHash(String);

impl AddressHash {
    /// The hash of an address. The part before the `@` may tell capitals apart, and nobody's does: better one mailbox
    /// too many is left alone than one that has complained is written to.
    #[must_use]
    pub fn of(address: &str) -> Self {
        Self(fingerprint(address.trim().to_lowercase().as_bytes()))
    }

    /// In hex.
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

/// What became of a mail.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ReportKind {
    /// SES will try to deliver it.
    Sent,
    /// The recipient's server has it.
    Delivered,
    /// It came back, or nobody took it to the end of SES's tries.
    Bounced {
        /// Whether the address is no good, and not just today.
        for_good: bool,
    },
    /// It came back for a while, or somebody's automatic answer did ("out of office"): SES does not tell them apart.
    MaybeBounced,
    /// SES took it and did not try: the address is on its own list of those that bounced or complained.
    Suppressed,
    /// The recipient calls it spam.
    Complained,
    /// SES found something harmful in it and did not send it.
    Rejected,
}

impl ReportKind {
    /// The word, as logs have it.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Sent => "sent",
            Self::Delivered => "delivered",
            Self::Bounced { for_good: true } => "bounced_for_good",
            Self::Bounced { for_good: false } => "bounced",
            Self::MaybeBounced => "maybe_bounced",
            Self::Suppressed => "suppressed",
            Self::Complained => "complained",
            Self::Rejected => "rejected",
        }
    }

    /// Whether it says by itself that the recipient may not have the mail, or does not want it.
    #[must_use]
    pub fn is_trouble(self) -> bool {
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

/// Why a receipt has failed whose mail SES took and did not let out.
const REFUSED: &str = "SES took the mail and would not send it";

/// One report of SES's about one mail of ours.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Report {
    /// Of which receipt the mail was.
    pub receipt_id: ReceiptId,
    /// SES's id of the mail.
    pub message_id: MessageId,
    /// When SES took it.
    pub sent_at: Timestamp,
    /// What became of it.
    pub kind: ReportKind,
    /// When.
    pub at: Timestamp,
    /// Whom it was for.
    pub address: Option<AddressHash>,
}

impl Report {
    /// What has to be remembered about the address, if anything.
    #[must_use]
    pub fn mark(&self) -> Option<Suppression> {
        let address = self.address.clone()?;
        let at = Some(whole_second(self.at));
        match self.kind {
            ReportKind::Bounced { for_good: true } | ReportKind::Suppressed => Some(Suppression {
                bounced_at: at,
                ..Suppression::of(address)
            }),
            ReportKind::Complained => Some(Suppression {
                complained_at: at,
                ..Suppression::of(address)
            }),
            ReportKind::Sent
            | ReportKind::Delivered
            | ReportKind::Bounced { for_good: false }
            | ReportKind::MaybeBounced
            | ReportKind::Rejected => None,
        }
    }
}

/// Why no mail goes to an address any more: a row of the Links table. The last of each counts, if nobody has cleared
/// the address since: a report that comes late or twice tells of what was cleared, and does not bring it back.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Suppression {
    /// Which address.
    #[serde(rename = "address_hash")]
    pub address: AddressHash,
    /// When a mail to it last came back for good.
    #[serde(
        default,
        skip_serializing_if = "Option::is_none",
        with = "jiff::fmt::serde::timestamp::second::optional"
    )]
    pub bounced_at: Option<Timestamp>,
    /// When its owner last complained.
    #[serde(
        default,
        skip_serializing_if = "Option::is_none",
        with = "jiff::fmt::serde::timestamp::second::optional"
    )]
    pub complained_at: Option<Timestamp>,
    /// When a person last found the address to be good again.
    #[serde(
        default,
        skip_serializing_if = "Option::is_none",
        with = "jiff::fmt::serde::timestamp::second::optional"
    )]
    pub cleared_at: Option<Timestamp>,
}

impl Suppression {
    /// Of an address of which nothing is known.
    #[must_use]
    pub fn of(address: AddressHash) -> Self {
        Self {
            address,
            bounced_at: None,
            complained_at: None,
            cleared_at: None,
        }
    }

    /// Why no mail goes there, for the row of a receipt that is not sent for it; none, if mails do go there.
    #[must_use]
    pub fn reason(&self) -> Option<&'static str> {
        // Never is before any moment.
        if self.complained_at > self.cleared_at {
            Some("the recipient complained of an earlier mail")
        } else if self.bounced_at > self.cleared_at {
            Some("an earlier mail to this address bounced for good")
        } else {
            None
        }
    }

    /// Merges what else is known of the same address.
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

/// All that is known of one mail of a receipt's: when each thing first happened.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct MailHistory {
    /// SES took it and meant to deliver it.
    #[serde(
        default,
        skip_serializing_if = "Option::is_none",
        with = "jiff::fmt::serde::timestamp::second::optional"
    )]
    pub sent_at: Option<Timestamp>,
    /// The recipient's server took it.
    #[serde(
        default,
        skip_serializing_if = "Option::is_none",
        with = "jiff::fmt::serde::timestamp::second::optional"
    )]
    pub delivered_at: Option<Timestamp>,
    /// It came back for good, or SES did not even try.
    #[serde(
        default,
        skip_serializing_if = "Option::is_none",
        with = "jiff::fmt::serde::timestamp::second::optional"
    )]
    pub bounced_at: Option<Timestamp>,
    /// It came back, and another may not.
    #[serde(
        default,
        skip_serializing_if = "Option::is_none",
        with = "jiff::fmt::serde::timestamp::second::optional"
    )]
    pub returned_at: Option<Timestamp>,
    /// It came back, or an automatic answer did.
    #[serde(
        default,
        skip_serializing_if = "Option::is_none",
        with = "jiff::fmt::serde::timestamp::second::optional"
    )]
    pub maybe_bounced_at: Option<Timestamp>,
    /// The recipient complained.
    #[serde(
        default,
        skip_serializing_if = "Option::is_none",
        with = "jiff::fmt::serde::timestamp::second::optional"
    )]
    pub complained_at: Option<Timestamp>,
    /// SES found something harmful in it.
    #[serde(
        default,
        skip_serializing_if = "Option::is_none",
        with = "jiff::fmt::serde::timestamp::second::optional"
    )]
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
            ReportKind::Bounced { for_good: true } | ReportKind::Suppressed => {
                (&mut self.bounced_at, at)
            }
            ReportKind::Bounced { for_good: false } => (&mut self.returned_at, at),
            ReportKind::MaybeBounced => (&mut self.maybe_bounced_at, at),
            ReportKind::Complained => (&mut self.complained_at, at),
            // When SES took it, as for `sent_at`: by either it is known which mail came first.
            ReportKind::Rejected => (&mut self.rejected_at, taken_at),
        };
        *fact = earliest(*fact, at);
        if report.kind != ReportKind::Rejected {
            self.sent_at = earliest(self.sent_at, taken_at);
        }
    }

    /// Whether SES took it and then did not let it out.
    fn is_refused(&self) -> bool {
        self.rejected_at.is_some()
    }

    /// Since when it is out.
    fn out_since(&self) -> Option<Timestamp> {
        self.sent_at.filter(|_| !self.is_refused())
    }

    /// Whether it came to its recipient, as far as anybody can tell: `None` while nobody can.
    fn verdict(&self) -> Option<Result<(), DeliveryFailure>> {
        if self.complained_at.is_some() {
            Some(Err(DeliveryFailure::Complained))
        } else if self.bounced_at.is_some() || self.returned_at.is_some() {
            // Also after it was delivered: a server may take a mail and find only then that it has no room for it.
            Some(Err(DeliveryFailure::Bounced))
        } else if self.is_refused() {
            Some(Err(DeliveryFailure::Refused))
        } else if self.delivered_at.is_some() {
            // So that what came back was an answer.
            Some(Ok(()))
        } else {
            self.maybe_bounced_at.map(|_| Err(DeliveryFailure::Bounced))
        }
    }

    /// When it was, for putting mails in order.
    fn moment(&self) -> Option<Timestamp> {
        earliest(self.sent_at, self.rejected_at)
    }
}

/// All that is known of a receipt's mails: mostly one.
pub type Mails = BTreeMap<MessageId, MailHistory>;

/// What a report changes on a receipt's row.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ReceiptUpdate {
    /// All that is now known of its mails.
    pub mails: Mails,
    /// Where it stands now, if elsewhere than before.
    pub state: Option<ReceiptState>,
}

/// What a report changes; nothing, if it tells nothing new. Pure: the caller writes it, guarded by the version it read.
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

/// What is known of a receipt's mails, the one that its state names among them.
fn known(receipt: &Receipt) -> Mails {
    let mut mails = receipt.mails.clone();
    if let ReceiptState::Sent {
        message_id,
        sent_at,
    } = &receipt.state
    {
        let fate = mails.entry(message_id.clone()).or_default();
        fate.sent_at = earliest(fate.sent_at, Some(whole_second(*sent_at)));
    }
    mails
}

/// Where a receipt stands by what is known of its mails, if elsewhere than before.
fn state(receipt: &Receipt, mails: &Mails) -> Option<ReceiptState> {
    // A mail of the very second counts: somebody who asks for another does not do so within a second of the last.
    let current = || {
        mails
            .iter()
            .filter(|(_, fate)| fate.moment() >= receipt.reopened_at)
    };
    let last_out = current()
        .filter_map(|(message_id, fate)| fate.out_since().map(|since| (since, message_id)))
        .max();
    let standing = match last_out {
        // Whoever claims it now or wants to claim it finds it done.
        Some((sent_at, message_id)) => ReceiptState::Sent {
            message_id: message_id.clone(),
            sent_at,
        },
        None if current().any(|(_, fate)| fate.is_refused()) => ReceiptState::Failed {
            reason: REFUSED.to_owned(),
        },
        None => return None,
    };
    (standing != receipt.state).then_some(standing)
}

impl Receipt {
    /// The receipt once somebody has decided to send another mail: what was sent before is past, also where nobody
    /// here knows of it yet.
    #[must_use]
    pub fn reopened(self, note: &str, now: Timestamp) -> Self {
        let mails = known(&self);
        // That clock may be behind SES's: what is known to have gone out is past all the same.
        let last = mails.values().filter_map(MailHistory::moment).max();
        let after_last = last.and_then(|last| last.checked_add(SignedDuration::from_secs(1)).ok());
        Self {
            version: self.version + 1,
            note: Some(note.to_owned()),
            reopened_at: latest(Some(whole_second(now)), after_last),
            mails,
            state: ReceiptState::Unsent { reason: None },
            ..self
        }
    }

    /// What trouble there is with its mails: that of the last one of which anybody can tell whether it arrived.
    #[must_use]
    pub fn delivery_failure(&self) -> Option<DeliveryFailure> {
        let verdicts = self.mails.iter().filter_map(|(message_id, fate)| {
            fate.verdict()
                .map(|verdict| (fate.moment(), message_id, verdict))
        });
        verdicts
            .max_by_key(|(moment, message_id, _)| (*moment, *message_id))?
            .2
            .err()
    }

    /// Whether there ever was any: then the order has to be looked at.
    #[must_use]
    pub fn had_delivery_failure(&self) -> bool {
        self.mails.values().any(|fate| {
            fate.maybe_bounced_at.is_some()
                || fate.verdict().is_some_and(|verdict| verdict.is_err())
        })
    }
}

#[cfg(test)]
mod tests;
