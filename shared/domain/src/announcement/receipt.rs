//! Announcements of a mail.

use crate::{
    announcement::{Batch, Cause, Change, Kind, State, fields},
    receipt::{Receipt, ReceiptStatus},
    sale::delivery_failure::DeliveryFailure,
};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_with::skip_serializing_none;

/// The outcome of a receipt. It names no recipient. A receipt that is to be sent again keeps the outcome of its last
/// mail until the next one.
#[skip_serializing_none]
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct ReceiptOutcome {
    pub receipt_id: String,
    pub order_id: String,
    /// `order`, `refund`, `refund_failed`, `payment_failed`, `invoice_payment_failed`, `shipment` or `trial_ends`.
    pub kind: String,
    /// `sent`, `failed`, `held` or `withdrawn`.
    pub status: String,
    /// True if the recipient's server accepted the last mail.
    pub is_delivered: bool,
    /// `bounced`, `complained` or `refused`, if the delivery failed.
    #[cfg_attr(feature = "schema", schemars(with = "Option<String>"))]
    pub delivery_failure: Option<DeliveryFailure>,
}

impl ReceiptOutcome {
    /// The outcome of a receipt; `None` while it waits for its mail.
    #[must_use]
    pub fn of(receipt: &Receipt) -> Option<Self> {
        let status = receipt.state.status();
        match status {
            ReceiptStatus::Unsent | ReceiptStatus::Leased => return None,
            ReceiptStatus::Sent
            | ReceiptStatus::Failed
            | ReceiptStatus::Held
            | ReceiptStatus::Withdrawn => {}
        }
        Some(Self {
            receipt_id: receipt.receipt_id.to_string(),
            order_id: receipt.order_id.to_string(),
            kind: receipt.kind.name().to_owned(),
            status: status.to_string(),
            is_delivered: receipt.last_delivery() == Some(Ok(())),
            delivery_failure: receipt.last_delivery().and_then(Result::err),
        })
    }
}

/// The announcements of a receipt's change, which makes the next version of its row; none if its outcome stays.
#[must_use]
pub fn changed(before: &Receipt, after: &Receipt, at: Timestamp) -> Option<Batch> {
    let (was, is) = (ReceiptOutcome::of(before), ReceiptOutcome::of(after));
    let is = is.filter(|is| was.as_ref() != Some(is))?;
    let newly = |is_so: fn(&ReceiptOutcome) -> bool| is_so(&is) && !was.as_ref().is_some_and(is_so);
    let other = was.as_ref().is_none_or(|was| was.status != is.status);
    let mut kinds = Kind::that_apply(&[
        (other && is.status == "sent", Kind::ReceiptSent),
        (other && is.status == "failed", Kind::ReceiptFailed),
        (other && is.status == "held", Kind::ReceiptHeld),
        (other && is.status == "withdrawn", Kind::ReceiptWithdrawn),
        (
            newly(|receipt| receipt.delivery_failure.is_some()),
            Kind::ReceiptBounced,
        ),
        (
            newly(|receipt| receipt.is_delivered && receipt.delivery_failure.is_none()),
            Kind::ReceiptDelivered,
        ),
    ]);
    if kinds.is_empty() {
        kinds.push(if is.delivery_failure.is_some() {
            Kind::ReceiptBounced
        } else {
            Kind::ReceiptSent
        });
    }
    let changed = fields::changed(was.as_ref(), &is);
    let cause = Cause {
        at,
        provider: before.provider.as_ref(),
        event_id: None,
    };
    let id = is.receipt_id.clone();
    let change = Change { kinds, changed };
    let all = cause.announce(&id, before.version + 1, change, &State::Receipt(is));
    Batch::new(all, at)
}
