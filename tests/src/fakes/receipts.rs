//! The Receipts table, the suppressed addresses, and SES.

use super::{Kept, World};
use domain::{
    announcement::Batch,
    ports::{Changed, ReceiptAdmin, Receipts, Suppressions},
    receipt::{
        Receipt, ReceiptState,
        feedback::{AddressHash, ReceiptUpdate, Suppression},
    },
    testing::read_back,
    values::{
        ids::{MessageId, OwnerToken, ReceiptId},
        note::Noted,
        outcome::RetryableError,
    },
};
use jiff::Timestamp;
use mail::{Email, Mailer, SendError};

/// Changes a receipt if `guard` holds for it.
fn change(
    kept: &mut Kept,
    id: &ReceiptId,
    guard: impl Fn(&Receipt) -> bool,
    change: impl FnOnce(&mut Receipt),
    announced: Option<&Batch>,
) -> Changed {
    match kept.receipts.get_mut(id).filter(|receipt| guard(receipt)) {
        None => Changed::Raced,
        Some(receipt) => {
            change(receipt);
            kept.tables.announce(announced);
            Changed::Now
        }
    }
}

/// Changes a receipt if it still has the version that was seen.
fn change_seen(
    kept: &mut Kept,
    seen: &Receipt,
    changed: impl FnOnce(&mut Receipt),
    announced: Option<&Batch>,
) -> Changed {
    let is_seen = |receipt: &Receipt| receipt.version == seen.version;
    change(kept, &seen.receipt_id, is_seen, changed, announced)
}

fn set(receipt: &mut Receipt, state: &ReceiptState) {
    receipt.version += 1;
    receipt.attempts += u32::from(matches!(state, ReceiptState::Leased { .. }));
    receipt.state = read_back(state);
}

impl Receipts for World {
    async fn receipt(&self, id: &ReceiptId) -> Result<Option<Receipt>, RetryableError> {
        self.look_up("receipts.receipt", |kept| kept.receipts.get(id).cloned())
            .await
    }

    async fn acquire_lease(
        &self,
        seen: &Receipt,
        owner: &OwnerToken,
        lease_ends_at: Timestamp,
    ) -> Result<Changed, RetryableError> {
        let state = ReceiptState::Leased {
            owner: owner.clone(),
            lease_ends_at,
        };
        self.repeatable("receipts.claim", |kept| {
            change_seen(kept, seen, |receipt| set(receipt, &state), None)
        })
        .await
    }

    async fn hold(
        &self,
        seen: &Receipt,
        announced: Option<&Batch>,
    ) -> Result<Changed, RetryableError> {
        self.repeatable("receipts.hold", |kept| {
            change_seen(
                kept,
                seen,
                |receipt| set(receipt, &ReceiptState::Held),
                announced,
            )
        })
        .await
    }

    async fn end_lease(
        &self,
        id: &ReceiptId,
        owner: &OwnerToken,
        state: &ReceiptState,
        announced: Option<&Batch>,
    ) -> Result<Changed, RetryableError> {
        let guard = |receipt: &Receipt| matches!(&receipt.state, ReceiptState::Leased { owner: holder, .. } if holder == owner);
        self.repeatable("receipts.mark", |kept| {
            change(kept, id, guard, |receipt| set(receipt, state), announced)
        })
        .await
    }

    async fn update_mails(
        &self,
        seen: &Receipt,
        update: &ReceiptUpdate,
        announced: Option<&Batch>,
    ) -> Result<Changed, RetryableError> {
        self.repeatable("receipts.learn", |kept| {
            change_seen(
                kept,
                seen,
                |receipt| {
                    receipt.version += 1;
                    receipt.mails = read_back(&update.mails);
                    if let Some(state) = &update.state {
                        receipt.state = read_back(state);
                    }
                },
                announced,
            )
        })
        .await
    }
}

impl Suppressions for World {
    async fn suppression(
        &self,
        address: &AddressHash,
    ) -> Result<Option<Suppression>, RetryableError> {
        self.look_up("marks.address_mark", |kept| {
            kept.marks.get(address).cloned()
        })
        .await
    }

    async fn suppress(&self, suppression: &Suppression) -> Result<(), RetryableError> {
        self.repeatable("marks.set_mark", |kept| {
            let known = kept.marks.remove(&suppression.address);
            let merged = known.map_or_else(|| suppression.clone(), |known| known.and(suppression));
            kept.marks
                .insert(suppression.address.clone(), read_back(&merged));
        })
        .await
    }
}

impl ReceiptAdmin for World {
    async fn reopen_receipt(
        &self,
        seen: &Receipt,
        note: &Noted,
        now: Timestamp,
    ) -> Result<Changed, RetryableError> {
        self.repeatable("receipt_desk.reopen", |kept| {
            let reopened = seen.clone().reopened(note.clone(), now);
            let changed = change_seen(kept, seen, |receipt| *receipt = read_back(&reopened), None);
            if changed == Changed::Now {
                kept.swept.receipts.remove(&seen.receipt_id);
            }
            changed
        })
        .await
    }

    async fn close_receipt(
        &self,
        seen: &Receipt,
        note: &Noted,
        announced: Option<&Batch>,
    ) -> Result<Changed, RetryableError> {
        self.repeatable("receipt_desk.close", |kept| {
            let closed = seen.clone().closed(note.clone());
            change_seen(
                kept,
                seen,
                |receipt| *receipt = read_back(&closed),
                announced,
            )
        })
        .await
    }
}

impl Mailer for World {
    async fn send(&self, email: &Email) -> Result<MessageId, SendError> {
        let sent = self.call("mailer.send", |kept| {
            if let Some(fault) = kept.mail_faults.pop_front() {
                return Err(fault);
            }
            kept.mails.push(email.clone());
            MessageId::new(format!("ses-{}", kept.mails.len()))
                .map_err(|bad| SendError::Unknown(bad.to_string()))
        });
        match sent.await {
            Ok(sent) => sent,
            // If the answer of a call is lost, it is unknown if the mail was sent.
            Err(error) => Err(SendError::Unknown(error.to_string())),
        }
    }
}
