//! A customer's name and address.

use super::clipped;
use crate::wire::Customer;
use domain::access::contact::ContactFacts;
use reading::{NotUnderstood, known_address, text};

/// The contact facts of a customer. They are about the address, so it must be understood.
pub(crate) fn facts(customer: &Customer) -> Result<ContactFacts, NotUnderstood> {
    customer.email.optional("object.customer.email")?;
    Ok(ContactFacts {
        name: name(customer),
        email: known_address(&customer.email),
    })
}

/// First and last name, or the one that is present.
pub(super) fn name(customer: &Customer) -> Option<String> {
    let parts = [&customer.first_name, &customer.last_name];
    let parts: Vec<String> = parts
        .into_iter()
        .filter_map(|part| text::name(part.known()?))
        .collect();
    (!parts.is_empty()).then(|| clipped(&parts.join(" ")))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value, json};

    fn read(customer: Value) -> (Option<String>, Option<String>) {
        let customer = serde_json::from_value(customer).unwrap();
        let ContactFacts { name, email } = facts(&customer).unwrap();
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
        assert_eq!(read(json!({"first_name": 7, "email": " "})), (None, None));
        let customer = serde_json::from_value(json!({"email": ["x"]})).unwrap();
        let why = facts(&customer).unwrap_err();
        assert_eq!(why.place(), "object.customer.email");
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
