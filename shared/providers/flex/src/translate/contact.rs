//! A customer's name and address.

use super::{clipped, filled};
use crate::wire::Customer;
use domain::access::contact::ContactFacts;

/// The contact facts of a customer.
pub(crate) fn facts(customer: &Customer) -> ContactFacts {
    ContactFacts {
        name: name(customer),
        email: filled(customer.email.as_deref()).map(clipped),
    }
}

/// First and last name, or the one that is present.
pub(super) fn name(customer: &Customer) -> Option<String> {
    let parts = [&customer.first_name, &customer.last_name];
    let parts: Vec<&str> = parts
        .into_iter()
        .filter_map(|part| filled(part.as_deref()))
        .collect();
    (!parts.is_empty()).then(|| clipped(&parts.join(" ")))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value, json};

    fn read(customer: Value) -> (Option<String>, Option<String>) {
        let ContactFacts { name, email } = facts(&serde_json::from_value(customer).unwrap());
        (name, email)
    }

    #[test]
    fn name_and_address_are_told_as_far_as_they_are_there() {
        let text = |text: &str| Some(text.to_owned());
        let whole = json!({"first_name": " Pat", "last_name": "Doe", "email": "pat@example.com ", "phone": "+1"});
        assert_eq!(read(whole), (text("Pat Doe"), text("pat@example.com")));
        assert_eq!(
            read(json!({"last_name": "Doe", "email": ""})),
            (text("Doe"), None)
        );
        assert_eq!(read(json!({"first_name": 7, "email": ["x"]})), (None, None));
        assert_eq!(read(json!({})), (None, None));
    }

    #[test]
    fn a_name_has_an_end() {
        assert_eq!(
            read(json!({"first_name": "x".repeat(900)}))
                .0
                .unwrap()
                .len(),
            500
        );
    }
}
