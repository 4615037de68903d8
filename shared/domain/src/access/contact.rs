//! A customer's contact data after the sale: the latest name and address from the provider.

use crate::{
    sale::statement::Customer,
    values::{
        facts::{Fact, Stated, merge},
        ids::CustomerId,
        mode::Mode,
    },
};
use serde::{Deserialize, Serialize};
use serde_with::skip_serializing_none;

/// Contact data of a customer. Personal data: stored and mailed, never logged.
#[skip_serializing_none]
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct ContactFacts {
    pub name: Option<String>,
    pub email: Option<String>,
}

/// A change of a customer's contact data.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ContactChange {
    pub customer_id: CustomerId,
    /// Live or test, if the event says so.
    pub mode: Option<Mode>,
    /// `None` if the customer was deleted.
    pub facts: Option<Stated<ContactFacts>>,
}

/// The row of the Entitlements table that holds a customer's contact data.
#[skip_serializing_none]
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Contact {
    pub customer_id: CustomerId,
    /// Counts changes, from 1.
    pub version: u64,
    /// The latest facts; `None` once the customer is erased.
    pub facts: Option<Fact<ContactFacts>>,
    /// Permanent: the provider has deleted the customer, or an operator has erased them. No later fact or order keeps
    /// the customer's data.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub erased: bool,
}

impl Contact {
    /// A contact without facts.
    #[must_use]
    pub fn new(customer_id: CustomerId) -> Self {
        Self {
            customer_id,
            version: 0,
            facts: None,
            erased: false,
        }
    }

    /// Merges facts; `None` means that the customer was deleted.
    pub fn learn(&mut self, facts: Option<Fact<ContactFacts>>) {
        self.erased |= facts.is_none();
        if self.erased {
            self.facts = None;
        } else {
            merge(&mut self.facts, facts);
        }
    }

    /// The next version of the row, erased.
    #[must_use]
    pub fn erased(&self) -> Self {
        Self {
            version: self.version + 1,
            facts: None,
            erased: true,
            ..self.clone()
        }
    }

    /// The contact data for a mail: the latest facts, with the order's data as the fallback. `None`
    /// once the customer is erased.
    #[must_use]
    pub fn over(&self, order: &Customer) -> Option<Customer> {
        if self.erased {
            return None;
        }
        let mut customer = order.clone();
        if let Some(facts) = &self.facts {
            customer.name = facts.value.name.clone().or(customer.name);
            customer.email = facts.value.email.clone().or(customer.email);
        }
        Some(customer)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fulfillment::testing::{SALE, at, id};

    fn facts(second: i64, name: &str) -> Fact<ContactFacts> {
        let email = Some(format!("{name}@example.com"));
        Fact::new(
            at(second),
            ContactFacts {
                name: Some(name.to_owned()),
                email,
            },
        )
    }

    fn contact(change: &[Option<Fact<ContactFacts>>]) -> Contact {
        let mut contact = Contact::new(id("fcus_1"));
        for facts in change {
            contact.learn(facts.clone());
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
        let change = [facts(SALE, "old"), facts(SALE + 1, "new")].map(Some);
        let turned = [change[1].clone(), change[0].clone()];
        assert_eq!(contact(&change), contact(&turned));
        assert_eq!(
            over(&contact(&change)).as_deref(),
            Some("new <new@example.com>")
        );
    }

    #[test]
    fn what_was_never_told_is_known_from_the_order() {
        assert_eq!(
            over(&contact(&[])).as_deref(),
            Some("order <order@example.com>")
        );
        let nameless = Fact::new(
            at(SALE),
            ContactFacts {
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
        for change in [
            [Some(facts(SALE, "old")), None, Some(facts(SALE + 9, "new"))],
            [None, Some(facts(SALE, "old")), Some(facts(SALE + 9, "new"))],
            [Some(facts(SALE, "old")), Some(facts(SALE + 9, "new")), None],
        ] {
            let contact = contact(&change);
            assert_eq!(
                (contact.erased, &contact.facts, over(&contact)),
                (true, &None, None)
            );
        }
    }
}
