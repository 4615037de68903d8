//! The Entitlements table, with the key `customer_id` and `entry`.
//!
//! A row is an entitlement (`product#<product id>`), a subscription (`subscription#<subscription id>`) or the customer's
//! contact (`contact`). Only subscriptions have `subscription_id`, the key of the sparse index of that name.
//!
//! The merchant's application reads `access_until` (Unix seconds), `reason`, `reason_text` and `granted_by` of an
//! entitlement.

use crate::{
    failure::{classified, unbuildable},
    guard::guarded,
    row::{self, Attributes, Key, attributes, number, text},
    store::{DYNAMODB, Store, page},
};
use aws_sdk_dynamodb::types::{AttributeValue, ConditionCheck, Put};
use domain::{
    access::{contact::Contact, entitlement::Entitlement, subscription::Subscription},
    fulfillment::read_set::{ReadSet, Snapshot},
    ports::{self, Changed},
    upkeep::privacy::CustomerRows,
    values::{
        ids::{CustomerId, ProductId, SubscriptionId},
        outcome::RetryableError,
    },
};
use serde::Deserialize;

const TABLE: &str = "Entitlements";
const SUBSCRIPTION: &str = "subscription#";
const PRODUCT: &str = "product#";
const CONTACT: &str = "contact";
const INDEX: &str = "subscription_id";

impl ports::Entitlements for Store {
    async fn subscription(
        &self,
        customer_id: &CustomerId,
        id: &SubscriptionId,
    ) -> Result<Option<Subscription>, RetryableError> {
        let key = subscription_key(customer_id, id);
        self.row((TABLE, &self.tables.entitlements), key).await
    }

    async fn customer_of(&self, id: &SubscriptionId) -> Result<Option<CustomerId>, RetryableError> {
        let query = self
            .dynamodb
            .query()
            .table_name(&self.tables.entitlements)
            .index_name(INDEX)
            .key_condition_expression("#subscription_id = :id")
            .expression_attribute_names("#subscription_id", INDEX)
            .expression_attribute_values(":id", text(id.as_str()))
            .limit(1);
        let (mut owners, _) = page::<Owner>(TABLE, query).await?;
        Ok(owners.pop().map(|owner| owner.customer_id))
    }

    async fn contact(&self, customer_id: &CustomerId) -> Result<Option<Contact>, RetryableError> {
        let key = contact_key(customer_id);
        self.row((TABLE, &self.tables.entitlements), key).await
    }
}

impl ports::EntitlementAdmin for Store {
    async fn rows_of(&self, id: &CustomerId) -> Result<CustomerRows, RetryableError> {
        let (mut rows, mut after) = (Snapshots::default(), None);
        loop {
            let query = self
                .dynamodb
                .query()
                .table_name(&self.tables.entitlements)
                .key_condition_expression("customer_id = :id")
                .expression_attribute_values(":id", text(id.as_str()))
                .consistent_read(true)
                .set_exclusive_start_key(after)
                .send();
            let found = query.await.map_err(|error| classified(DYNAMODB, &error))?;
            for item in found.items.unwrap_or_default() {
                rows.add(item)?;
            }
            after = found.last_evaluated_key;
            if after.is_none() {
                return Ok(rows.0);
            }
        }
    }

    async fn erase_contact(&self, seen: &Contact) -> Result<Changed, RetryableError> {
        let update = self
            .update(&self.tables.entitlements, contact_key(&seen.customer_id))
            .update_expression("SET version = :next, erased = :yes REMOVE facts")
            .condition_expression(if seen.version == 0 {
                "attribute_not_exists(version)"
            } else {
                "version = :seen"
            })
            .expression_attribute_values(":next", number(seen.version + 1))
            .expression_attribute_values(":yes", AttributeValue::Bool(true));
        guarded(if seen.version == 0 {
            update
        } else {
            update.expression_attribute_values(":seen", number(seen.version))
        })
        .await
    }
}

/// The rows of one customer, added one by one.
#[derive(Default)]
struct Snapshots(CustomerRows);

impl Snapshots {
    fn add(&mut self, item: Attributes) -> Result<(), RetryableError> {
        let Kind { entry } = row::from_item(TABLE, item.clone())?;
        let rows = &mut self.0;
        if entry == CONTACT {
            rows.contact = Some(row::from_item(TABLE, item)?);
        } else if entry.starts_with(SUBSCRIPTION) {
            rows.subscriptions.push(row::from_item(TABLE, item)?);
        } else {
            rows.entitlements.push(row::from_item(TABLE, item)?);
        }
        Ok(())
    }
}

/// A row's attributes in the index.
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
    let subscriptions = read_set.subscription.iter().chain(&read_set.charged);
    let subscriptions = subscriptions.map(|(customer, id)| subscription_key(customer, id));
    let products = read_set
        .entitlements
        .iter()
        .map(|(customer, id)| product_key(customer, id));
    let contact = read_set.contact.iter().map(contact_key);
    subscriptions.chain(products).chain(contact).collect()
}

/// The attribute that shows the kind of a row.
#[derive(Deserialize)]
struct Kind {
    entry: String,
}

/// Adds the items of [`keys`] to the snapshot, entitlements in the order of the read set.
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
            let row: Subscription = row::from_item(TABLE, item)?;
            let key = (row.customer_id.clone(), row.subscription_id.clone());
            if read_set.charged.contains(&key) {
                rows.charged.push(row.clone());
            }
            if read_set.subscription.as_ref() == Some(&key) {
                rows.subscription = Some(row);
            }
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

/// The action that writes a subscription.
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

/// The action that writes an entitlement.
pub(crate) fn put(table: &str, entitlement: &Entitlement) -> Result<Put, RetryableError> {
    let key = product_key(&entitlement.customer_id, &entitlement.product_id);
    row::versioned(
        table,
        key,
        row::item(TABLE, entitlement)?,
        entitlement.version,
    )
}

/// The check that a customer is not erased.
pub(crate) fn not_erased(table: &str, id: &CustomerId) -> Result<ConditionCheck, RetryableError> {
    ConditionCheck::builder()
        .table_name(table)
        .set_key(Some(attributes(contact_key(id))))
        .condition_expression("attribute_not_exists(erased) OR erased = :no")
        .expression_attribute_values(":no", AttributeValue::Bool(false))
        .build()
        .map_err(|error| unbuildable(&error))
}

/// The action that writes a contact.
pub(crate) fn put_contact(table: &str, contact: &Contact) -> Result<Put, RetryableError> {
    row::versioned(
        table,
        contact_key(&contact.customer_id),
        row::item(TABLE, contact)?,
        contact.version,
    )
}
