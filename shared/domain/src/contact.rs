//! How to write to a customer after the sale: what the provider said last of name and address.

use crate::{
    checkout::Customer,
    facts::{Latest, merge},
    ids::CustomerId,
    mode::Mode,
};
use serde::{Deserialize, Serialize};

/// What is told of a customer. Personal data: stored and mailed, never logged.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Told {
    /// First and last name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// The address.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub email: Option<String>,
}

/// News of a customer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct News {
    /// Of whom.
    pub customer_id: CustomerId,
    /// Live or test, where told.
    pub mode: Option<Mode>,
    /// What is told; `None` when the customer is deleted.
    pub told: Option<Told>,
}

/// The row of the Entitlements table that keeps a customer's name and address.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Contact {
    /// Whose.
    pub customer_id: CustomerId,
    /// Counts the changes, from 1.
    pub version: u64,
    /// What was told last; nothing once the customer is deleted.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub told: Option<Latest<Told>>,
    /// Whether the customer is deleted: for good, and name and address are forgotten here.
    #[serde(default)]
    pub deleted: bool,
}

impl Contact {
    /// A customer of whom nothing is stored.
    #[must_use]
    pub fn new(customer_id: CustomerId) -> Self {
        Self { customer_id, version: 0, told: None, deleted: false }
    }

    /// Merges news; `None` is the customer's deletion.
    pub fn learn(&mut self, told: Option<Latest<Told>>) {
        self.deleted |= told.is_none();
        if self.deleted {
            self.told = None;
        } else {
            merge(&mut self.told, told);
        }
    }

    /// Whom to write to: what was told last, else what the order knows. `None` once the customer is deleted.
    #[must_use]
    pub fn over(&self, order: &Customer) -> Option<Customer> {
        if self.deleted {
            return None;
        }
        let mut customer = order.clone();
        if let Some(told) = &self.told {
            customer.name = told.value.name.clone().or(customer.name);
            customer.email = told.value.email.clone().or(customer.email);
        }
        Some(customer)
    }
}
