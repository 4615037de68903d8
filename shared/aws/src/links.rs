//! The Links table: key `link`. What leads from a payment to its order lies under `payment#<payment intent>`, the paid
//! orders of one of the merchant's references under `reference#<reference>`, and why no mail goes to an address under
//! `address#<hash of the address>`. The mode that the stack began in lies under `stack#mode`.

use crate::{
    failure::{classified, unbuildable},
    guard::{guarded, put_first},
    row::{self, Attributes, Key, attributes, number, text},
};
use aws_sdk_dynamodb::{
    Client,
    types::{KeysAndAttributes, Put},
};
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

const SERVICE: &str = "DynamoDB";
const TABLE: &str = "Links";
const PAYMENT: &str = "payment#";
const REFERENCE: &str = "reference#";
const ADDRESS: &str = "address#";
const MODE: &str = "stack#mode";

/// The Links table's marks of addresses.
#[derive(Debug, Clone)]
pub struct Marks {
    client: Client,
    table: String,
}

impl Marks {
    /// Those in the table of that name.
    #[must_use]
    pub fn new(client: Client, table: impl Into<String>) -> Self {
        Self {
            client,
            table: table.into(),
        }
    }

    /// Keeps when something last happened to an address.
    async fn keep_last(
        &self,
        address: &AddressHash,
        what: &str,
        at: Timestamp,
    ) -> Result<(), RetryableError> {
        let update = self
            .client
            .update_item()
            .table_name(&self.table)
            .set_key(Some(attributes(address_key(address))))
            .update_expression("SET address_hash = :hash, #what = :at")
            .condition_expression("attribute_not_exists(#what) OR #what < :at")
            .expression_attribute_names("#what", what)
            .expression_attribute_values(":hash", text(address.as_str()))
            .expression_attribute_values(":at", number(at.as_second()));
        // Raced: it happened later as well.
        guarded(update)
            .await
            .map(|(Changed::Now | Changed::Raced)| ())
    }
}

impl ports::Suppressions for Marks {
    async fn suppression(
        &self,
        address: &AddressHash,
    ) -> Result<Option<Suppression>, RetryableError> {
        let found = self
            .client
            .get_item()
            .table_name(&self.table)
            .set_key(Some(attributes(address_key(address))))
            .consistent_read(true)
            .send()
            .await
            .map_err(|error| classified(SERVICE, &error))?;
        found
            .item
            .map(|item| row::from_item(TABLE, item))
            .transpose()
    }

    async fn suppress(&self, mark: &Suppression) -> Result<(), RetryableError> {
        for (what, at) in [
            ("bounced_at", mark.bounced_at),
            ("complained_at", mark.complained_at),
            ("cleared_at", mark.cleared_at),
        ] {
            if let Some(at) = at {
                self.keep_last(&mark.address, what, at).await?;
            }
        }
        Ok(())
    }
}

/// The mode that the stack began in.
#[derive(Debug, Clone)]
pub struct FirstMode {
    client: Client,
    table: String,
}

/// Why a function must not start in its mode.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NoStart {
    /// The stack began in the other one.
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

impl FirstMode {
    /// The one in the table of that name.
    #[must_use]
    pub fn new(client: Client, table: impl Into<String>) -> Self {
        Self {
            client,
            table: table.into(),
        }
    }

    /// Refuses a mode other than the first, and returns the first.
    pub async fn check(&self, deployed: Mode) -> Result<Option<Mode>, NoStart> {
        let first = ports::FirstMode::first(self).await?;
        deployed.check(first)?;
        Ok(first)
    }

    /// Makes a mode the first, or refuses it if another one is.
    pub async fn claim(&self, deployed: Mode) -> Result<(), NoStart> {
        let first = ports::FirstMode::begin(self, deployed).await?;
        Ok(deployed.check(Some(first))?)
    }
}

impl ports::FirstMode for FirstMode {
    /// A batch of one: this is how the functions' roles may read the table.
    async fn first(&self) -> Result<Option<Mode>, RetryableError> {
        let key = KeysAndAttributes::builder()
            .keys(attributes(mode_key()))
            .consistent_read(true)
            .build();
        let key = key.map_err(|error| unbuildable(&error))?;
        let answer = self
            .client
            .batch_get_item()
            .request_items(&self.table, key)
            .send()
            .await;
        let answer = answer.map_err(|error| classified(SERVICE, &error))?;
        if answer
            .unprocessed_keys
            .is_some_and(|unread| !unread.is_empty())
        {
            let cause = "keys left unread".to_owned();
            return Err(RetryableError::Away {
                service: SERVICE,
                cause,
                retry_after: None,
            });
        }
        let found = answer
            .responses
            .into_iter()
            .flatten()
            .flat_map(|(_, items)| items)
            .next();
        Ok(found
            .map(|item| row::from_item::<ModeRow>(TABLE, item))
            .transpose()?
            .map(|row| row.mode))
    }

    async fn begin(&self, mode: Mode) -> Result<Mode, RetryableError> {
        let mut item = row::item(TABLE, &ModeRow { mode })?;
        item.extend(attributes(mode_key()));
        let put = self
            .client
            .put_item()
            .table_name(&self.table)
            .set_item(Some(item))
            .condition_expression("attribute_not_exists(link)");
        let there: Option<ModeRow> = put_first(TABLE, put).await?;
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

/// What tells the two kinds of rows apart.
#[derive(Deserialize)]
struct Kind {
    link: String,
}

/// Puts what was read by [`keys`] among the rows.
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

/// The part of a transaction that writes a payment's link.
pub(crate) fn put(table: &str, link: &Link) -> Result<Put, RetryableError> {
    row::versioned(
        table,
        payment_key(&link.payment_intent_id),
        row::item(TABLE, link)?,
        link.version,
    )
}

/// The part of a transaction that writes a reference.
pub(crate) fn put_reference(
    table: &str,
    reference: &MerchantReference,
) -> Result<Put, RetryableError> {
    let key = reference_key(&reference.reference);
    row::versioned(table, key, row::item(TABLE, reference)?, reference.version)
}
