//! The Links table, with the key `link`.
//!
//! A row links a payment to its order (`payment#<payment intent>`) or a merchant's reference to its paid orders
//! (`reference#<reference>`). A suppression is under `address#<hash of the address>`, the first mode of the stack under
//! `stack#mode`.

use crate::{
    guard::{guarded, put_first},
    row::{self, Attributes, Key, number, text},
    settings::Settings,
    store::Store,
};
use aws_sdk_dynamodb::types::Put;
use domain::{
    fulfillment::read_set::{ReadSet, Snapshot},
    ports::{self, Changed},
    receipt::feedback::{AddressHash, Suppression},
    sale::{merchant_reference::MerchantReference, payment::Link},
    values::{
        ids::PaymentIntentId,
        mode::{Mode, OtherMode},
        outcome::RetryableError,
    },
};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

const TABLE: &str = "Links";
const PAYMENT: &str = "payment#";
const REFERENCE: &str = "reference#";
const ADDRESS: &str = "address#";
const MODE: &str = "stack#mode";

impl Store {
    /// Keeps the latest time of one kind of event of an address.
    async fn keep_last(
        &self,
        address: &AddressHash,
        what: &str,
        at: Timestamp,
    ) -> Result<(), RetryableError> {
        let update = self
            .update(&self.tables.links, address_key(address))
            .update_expression("SET address_hash = :hash, #what = :at")
            .condition_expression("attribute_not_exists(#what) OR #what < :at")
            .expression_attribute_names("#what", what)
            .expression_attribute_values(":hash", text(address.as_str()))
            .expression_attribute_values(":at", number(at.as_second()));
        // If the condition fails, the row has a later time.
        guarded(update)
            .await
            .map(|(Changed::Now | Changed::Raced)| ())
    }
}

impl ports::Suppressions for Store {
    async fn suppression(
        &self,
        address: &AddressHash,
    ) -> Result<Option<Suppression>, RetryableError> {
        self.row((TABLE, &self.tables.links), address_key(address))
            .await
    }

    async fn suppress(&self, suppression: &Suppression) -> Result<(), RetryableError> {
        for (what, at) in [
            ("bounced_at", suppression.bounced_at),
            ("complained_at", suppression.complained_at),
            ("cleared_at", suppression.cleared_at),
        ] {
            if let Some(at) = at {
                self.keep_last(&suppression.address, what, at).await?;
            }
        }
        Ok(())
    }
}

/// The reason why a function must not start in its mode.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NoStart {
    /// The stack began in the other mode.
    #[error(transparent)]
    OtherMode(#[from] OtherMode),
    /// The first mode is not known.
    #[error(transparent)]
    Unavailable(#[from] RetryableError),
}

#[derive(Serialize, Deserialize)]
struct ModeRow {
    mode: Mode,
}

impl Store {
    /// Returns true if the stack has no first mode yet. Notes a problem if it has another one, or if it cannot be read.
    pub async fn may_begin_in_mode(&self, deployed: Mode, settings: &mut Settings<'_>) -> bool {
        // Without the table's name, the problem is noted already.
        if self.tables.links.is_empty() {
            return false;
        }
        settings.noted(self.check_mode(deployed).await) == Some(None)
    }

    /// The first mode of the stack. Refuses a mode other than the first.
    pub async fn check_mode(&self, deployed: Mode) -> Result<Option<Mode>, NoStart> {
        let first = self.first_mode().await?;
        deployed.check(first)?;
        Ok(first)
    }

    /// Makes `deployed` the first mode. Refuses it if the stack has another one.
    pub async fn begin_in_mode(&self, deployed: Mode) -> Result<(), NoStart> {
        let first = self.keep_first_mode(deployed).await?;
        Ok(deployed.check(Some(first))?)
    }

    /// The first mode, strongly consistent; `None` on a stack that has not begun.
    ///
    /// Reads a batch of one, because the functions' roles may read this table only so.
    pub async fn first_mode(&self) -> Result<Option<Mode>, RetryableError> {
        let key = [mode_key()].into_iter();
        let item = self.items(&self.tables.links, key).await?.pop();
        let row = item.map(|item| row::from_item::<ModeRow>(TABLE, item));
        Ok(row.transpose()?.map(|row| row.mode))
    }

    /// Keeps `mode` as the first mode unless there is one, and returns the first mode.
    pub async fn keep_first_mode(&self, mode: Mode) -> Result<Mode, RetryableError> {
        let item = row::item(TABLE, &ModeRow { mode })?;
        let put = row::first(&self.tables.links, mode_key(), item)?;
        let there: Option<ModeRow> = put_first(&self.dynamodb, TABLE, put).await?;
        Ok(there.map_or(mode, |row| row.mode))
    }
}

fn mode_key() -> Key {
    Key::from([("link", MODE.to_owned())])
}

fn address_key(address: &AddressHash) -> Key {
    Key::from([("link", format!("{ADDRESS}{address}"))])
}

fn payment_key(id: &PaymentIntentId) -> Key {
    Key::from([("link", format!("{PAYMENT}{id}"))])
}

fn reference_key(reference: &str) -> Key {
    Key::from([("link", format!("{REFERENCE}{reference}"))])
}

/// The keys to read.
pub(crate) fn keys(read_set: &ReadSet) -> Vec<Key> {
    let references = read_set
        .reference
        .iter()
        .map(|reference| reference_key(reference));
    read_set
        .links
        .iter()
        .map(payment_key)
        .chain(references)
        .collect()
}

/// The attribute that shows the kind of a row.
#[derive(Deserialize)]
struct Kind {
    link: String,
}

/// Adds the items of [`keys`] to the snapshot.
pub(crate) fn found(items: Vec<Attributes>, rows: &mut Snapshot) -> Result<(), RetryableError> {
    for item in items {
        let Kind { link } = row::from_item(TABLE, item.clone())?;
        if link.starts_with(REFERENCE) {
            rows.reference = Some(row::from_item(TABLE, item)?);
        } else {
            let link: Link = row::from_item(TABLE, item)?;
            rows.links.insert(link.payment_intent_id.clone(), link);
        }
    }
    Ok(())
}

/// The action that writes a payment's link.
pub(crate) fn put(table: &str, link: &Link) -> Result<Put, RetryableError> {
    row::versioned(
        table,
        payment_key(&link.payment_intent_id),
        row::item(TABLE, link)?,
        link.version,
    )
}

/// The action that writes a reference.
pub(crate) fn put_reference(
    table: &str,
    reference: &MerchantReference,
) -> Result<Put, RetryableError> {
    let key = reference_key(&reference.reference);
    row::versioned(table, key, row::item(TABLE, reference)?, reference.version)
}
