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
        Self {
            customer_id,
            version: 0,
            told: None,
            deleted: false,
        }
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fulfillment::testing::{SALE, at, id};

    fn told(second: i64, name: &str) -> Latest<Told> {
        let email = Some(format!("{name}@example.com"));
        Latest::new(
            at(second),
            Told {
                name: Some(name.to_owned()),
                email,
            },
        )
    }

    fn contact(news: &[Option<Latest<Told>>]) -> Contact {
        let mut contact = Contact::new(id("fcus_1"));
        for told in news {
            contact.learn(told.clone());
        }
        contact
    }

    fn over(contact: &Contact) -> Option<String> {
        let order = Customer {
            name: Some("order".into()),
            email: Some("order@example.com".into()),
            ..Customer::default()
        };
        contact
            .over(&order)
            .map(|customer| format!("{} <{}>", customer.name.unwrap(), customer.email.unwrap()))
    }

    #[test]
    fn the_newest_name_and_address_are_written_to() {
        let news = [told(SALE, "old"), told(SALE + 1, "new")].map(Some);
        let turned = [news[1].clone(), news[0].clone()];
        assert_eq!(contact(&news), contact(&turned));
        assert_eq!(
            over(&contact(&news)).as_deref(),
            Some("new <new@example.com>")
        );
    }

    #[test]
    fn what_was_never_told_is_known_from_the_order() {
        assert_eq!(
            over(&contact(&[])).as_deref(),
            Some("order <order@example.com>")
        );
        let nameless = Latest::new(
            at(SALE),
            Told {
                name: None,
                email: Some("new@example.com".into()),
            },
        );
        assert_eq!(
            over(&contact(&[Some(nameless)])).as_deref(),
            Some("order <new@example.com>")
        );
    }

    #[test]
    fn a_customer_who_is_deleted_is_forgotten_for_good() {
        for news in [
            [Some(told(SALE, "old")), None, Some(told(SALE + 9, "new"))],
            [None, Some(told(SALE, "old")), Some(told(SALE + 9, "new"))],
            [Some(told(SALE, "old")), Some(told(SALE + 9, "new")), None],
        ] {
            let contact = contact(&news);
            assert_eq!(
                (contact.deleted, &contact.told, over(&contact)),
                (true, &None, None)
            );
        }
    }
}
