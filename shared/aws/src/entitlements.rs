//! The Entitlements table: key `customer_id` and `entry`. A customer's access to a product lies under
//! `product#<product id>`, the facts of a subscription under `subscription#<subscription id>`, name and address under
//! `contact`. Subscriptions alone carry `subscription_id`, the key of the sparse index of that name.
//!
//! `access_until` (Unix seconds), `reason`, `reason_text` and `granted_by` of a product's row are for the merchant's own
//! application to read.

use crate::{
    failure::classified,
    row::{self, Attributes, Key, attributes, text},
};
use aws_sdk_dynamodb::{Client, types::Put};
use domain::{
    access::{contact::Contact, entitlement::Entitlement, subscription::Subscription},
    fulfillment::read_set::{ReadSet, Snapshot},
    ports,
    values::{
        ids::{CustomerId, ProductId, SubscriptionId},
        outcome::RetryableError,
    },
};
use serde::{Deserialize, de::DeserializeOwned};

const SERVICE: &str = "DynamoDB";
const TABLE: &str = "Entitlements";
const SUBSCRIPTION: &str = "subscription#";
const PRODUCT: &str = "product#";
const CONTACT: &str = "contact";
const INDEX: &str = "subscription_id";

/// The Entitlements table.
#[derive(Debug, Clone)]
pub struct Entitlements {
    client: Client,
    table: String,
}

impl Entitlements {
    /// The table of that name.
    #[must_use]
    pub fn new(client: Client, table: impl Into<String>) -> Self {
        Self {
            client,
            table: table.into(),
        }
    }

    async fn get<T: DeserializeOwned>(&self, key: Key) -> Result<Option<T>, RetryableError> {
        let found = self
            .client
            .get_item()
            .table_name(&self.table)
            .set_key(Some(attributes(key)))
            .consistent_read(true)
            .send()
            .await
            .map_err(|error| classified(SERVICE, &error))?;
        found
            .item
            .map(|item| row::from_item(TABLE, item))
            .transpose()
    }
}

impl ports::Entitlements for Entitlements {
    async fn subscription(
        &self,
        customer_id: &CustomerId,
        id: &SubscriptionId,
    ) -> Result<Option<Subscription>, RetryableError> {
        self.get(subscription_key(customer_id, id)).await
    }

    async fn customer_of(&self, id: &SubscriptionId) -> Result<Option<CustomerId>, RetryableError> {
        let found = self
            .client
            .query()
            .table_name(&self.table)
            .index_name(INDEX)
            .key_condition_expression("#subscription_id = :id")
            .expression_attribute_names("#subscription_id", INDEX)
            .expression_attribute_values(":id", text(id.as_str()))
            .limit(1)
            .send()
            .await
            .map_err(|error| classified(SERVICE, &error))?;
        let first = found.items.and_then(|items| items.into_iter().next());
        let owner = first
            .map(|item| row::from_item::<Owner>(TABLE, item))
            .transpose()?;
        Ok(owner.map(|owner| owner.customer_id))
    }

    async fn contact(&self, customer_id: &CustomerId) -> Result<Option<Contact>, RetryableError> {
        self.get(contact_key(customer_id)).await
    }
}

/// What the index has of a row.
#[derive(Deserialize)]
struct Owner {
    customer_id: CustomerId,
}

fn key(customer_id: &CustomerId, entry: String) -> Key {
    Key::from([("customer_id", customer_id.to_string()), ("entry", entry)])
}

fn subscription_key(customer_id: &CustomerId, id: &SubscriptionId) -> Key {
    key(customer_id, format!("{SUBSCRIPTION}{id}"))
}

fn product_key(customer_id: &CustomerId, id: &ProductId) -> Key {
    key(customer_id, format!("{PRODUCT}{id}"))
}

fn contact_key(customer_id: &CustomerId) -> Key {
    key(customer_id, CONTACT.to_owned())
}

/// The keys to read.
pub(crate) fn keys(read_set: &ReadSet) -> Vec<Key> {
    let subscription = read_set
        .subscription
        .iter()
        .map(|(customer, id)| subscription_key(customer, id));
    let products = read_set
        .entitlements
        .iter()
        .map(|(customer, id)| product_key(customer, id));
    let contact = read_set.contact.iter().map(contact_key);
    subscription.chain(products).chain(contact).collect()
}

/// What tells the kinds of rows apart.
#[derive(Deserialize)]
struct Kind {
    entry: String,
}

/// Puts what was read by [`keys`] among the rows; entitlements in the order in which they were wanted.
pub(crate) fn found(
    read_set: &ReadSet,
    items: Vec<Attributes>,
    rows: &mut Snapshot,
) -> Result<(), RetryableError> {
    for item in items {
        let Kind { entry } = row::from_item(TABLE, item.clone())?;
        if entry == CONTACT {
            rows.contact = Some(row::from_item(TABLE, item)?);
        } else if entry.starts_with(SUBSCRIPTION) {
            rows.subscription = Some(row::from_item(TABLE, item)?);
        } else {
            rows.entitlements.push(row::from_item(TABLE, item)?);
        }
    }
    rows.entitlements.sort_by_key(|row: &Entitlement| {
        let is_row = |(customer, product): &(CustomerId, ProductId)| {
            *customer == row.customer_id && *product == row.product_id
        };
        read_set.entitlements.iter().position(is_row)
    });
    Ok(())
}

/// The part of a transaction that writes a subscription.
pub(crate) fn put_subscription(
    table: &str,
    subscription: &Subscription,
) -> Result<Put, RetryableError> {
    let key = subscription_key(&subscription.customer_id, &subscription.subscription_id);
    row::versioned(
        table,
        key,
        row::item(TABLE, subscription)?,
        subscription.version,
    )
}

/// The part of a transaction that writes a customer's access to a product.
pub(crate) fn put(table: &str, entitlement: &Entitlement) -> Result<Put, RetryableError> {
    let key = product_key(&entitlement.customer_id, &entitlement.product_id);
    row::versioned(
        table,
        key,
        row::item(TABLE, entitlement)?,
        entitlement.version,
    )
}

/// The part of a transaction that writes how to write to a customer.
pub(crate) fn put_contact(table: &str, contact: &Contact) -> Result<Put, RetryableError> {
    row::versioned(
        table,
        contact_key(&contact.customer_id),
        row::item(TABLE, contact)?,
        contact.version,
    )
}
