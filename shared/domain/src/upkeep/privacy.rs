//! Personal data: where the tables hold it, and what is left after a customer is erased.
//!
//! [`PERSONAL`] is the one list. `docs/privacy.md` shows it, and a test compares the two. Another test sends marked texts
//! through the product, and finds none of them outside this list.
//!
//! Ids and amounts stay: the books need them, and the provider has erased what they lead to.

use crate::{
    access::{contact::Contact, entitlement::Entitlement, subscription::Subscription},
    resource::{checkout_session::CheckoutSession, payment_method::PaymentMethod as SavedMethod},
    sale::{
        details::{Details, PaymentMethod, Shipping},
        order::Order,
        statement::Customer,
    },
    values::ids::CustomerId,
};
use std::collections::BTreeSet;

/// An attribute that holds personal data.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Personal {
    pub table: &'static str,
    /// The path in the row.
    pub attribute: &'static str,
    /// The kind of data.
    pub what: &'static str,
    /// The part that is left after a customer is erased.
    pub left: &'static str,
}

const fn personal(
    table: &'static str,
    attribute: &'static str,
    what: &'static str,
    left: &'static str,
) -> Personal {
    Personal {
        table,
        attribute,
        what,
        left,
    }
}

/// All personal data.
pub const PERSONAL: [Personal; 12] = [
    personal("Orders", "customer.name", "name", "nothing"),
    personal("Orders", "customer.email", "email address", "nothing"),
    personal("Orders", "details.phone", "phone number", "nothing"),
    personal(
        "Orders",
        "details.shipping",
        "recipient, phone number, postal address",
        "the shipping rate and its amount",
    ),
    personal(
        "Orders",
        "details.payment_methods",
        "last four digits of cards",
        "kind and brand",
    ),
    personal(
        "Orders",
        "details.metadata",
        "what the merchant stored with the sale",
        "the number of entries",
    ),
    personal(
        "Orders",
        "fulfillments",
        "carriers, numbers and links that follow packages",
        "progress, method and goods",
    ),
    personal(
        "Entitlements",
        "contact: facts.value.name",
        "name",
        "nothing",
    ),
    personal(
        "Entitlements",
        "contact: facts.value.email",
        "email address",
        "nothing",
    ),
    personal(
        "Events",
        "body",
        "all that the provider sent",
        "an empty body with the hash of the former one",
    ),
    personal(
        "Resources",
        "checkout_session: contact",
        "email address of a buyer",
        "nothing",
    ),
    personal(
        "Links",
        "address#…",
        "SHA-256 of a suppressed email address",
        "the hash: without it, mails could go to that address again",
    ),
];

impl Order {
    /// The order without personal data. It stays so.
    #[must_use]
    pub fn erased(&self) -> Self {
        let mut fulfillments = self.fulfillments.clone();
        for facts in fulfillments.values_mut() {
            facts.value = facts.value.erased();
        }
        Self {
            customer: self.customer.erased(),
            details: self.details.erased(),
            fulfillments,
            is_erased: true,
            ..self.clone()
        }
    }
}

impl Customer {
    /// The id alone.
    #[must_use]
    pub fn erased(&self) -> Self {
        Self {
            customer_id: self.customer_id.clone(),
            ..Self::default()
        }
    }
}

impl Details {
    /// The details that are not personal.
    #[must_use]
    pub fn erased(&self) -> Self {
        let shipping = self.shipping.as_ref().map(|shipping| Shipping {
            rate_id: shipping.rate_id.clone(),
            option: shipping.option.clone(),
            amount: shipping.amount,
            ..Shipping::default()
        });
        let methods = self.payment_methods.iter().map(|(id, method)| {
            let method = PaymentMethod {
                last4: None,
                ..method.clone()
            };
            (id.clone(), method)
        });
        let mut metadata = self.metadata.clone();
        metadata.cut_all();
        Self {
            phone: None,
            shipping,
            payment_methods: methods.collect(),
            metadata,
            ..self.clone()
        }
    }
}

/// The rows of a customer.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct CustomerRows {
    pub orders: Vec<Order>,
    pub subscriptions: Vec<Subscription>,
    pub entitlements: Vec<Entitlement>,
    pub contact: Option<Contact>,
    /// The methods that the provider keeps for later payments.
    pub payment_methods: Vec<SavedMethod>,
    /// The sessions of the orders.
    pub checkout_sessions: Vec<CheckoutSession>,
}

/// The ids and addresses by which the body of an event shows that it is about a customer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Marks(BTreeSet<String>);

impl Marks {
    /// The ids and addresses of a customer, or of a guest, and of these rows.
    #[must_use]
    pub fn of(id: Option<&CustomerId>, rows: &CustomerRows) -> Self {
        let mut marks: BTreeSet<String> = id.iter().map(ToString::to_string).collect();
        for order in &rows.orders {
            marks.insert(order.order_id.to_string());
            marks.extend(order.payment_intents.iter().map(ToString::to_string));
            marks.extend(order.refunds.keys().map(ToString::to_string));
            marks.extend(order.disputes.keys().map(ToString::to_string));
            marks.extend(order.subscription_id.iter().map(ToString::to_string));
            marks.extend(order.invoice_id.iter().map(ToString::to_string));
            marks.extend(order.customer.email.clone());
        }
        for subscription in &rows.subscriptions {
            marks.insert(subscription.subscription_id.to_string());
            marks.extend(subscription.invoices.keys().map(ToString::to_string));
        }
        for session in &rows.checkout_sessions {
            marks.insert(session.id.to_string());
            marks.extend(session.contact.get().map(|contact| contact.0.clone()));
        }
        let methods = rows.payment_methods.iter();
        marks.extend(methods.map(|method| method.id.to_string()));
        let facts = rows
            .contact
            .as_ref()
            .and_then(|contact| contact.facts.as_ref());
        marks.extend(facts.and_then(|facts| facts.value.email.clone()));
        Self(marks)
    }

    /// True if a body has one of them as a whole word.
    #[must_use]
    pub fn are_in(&self, body: &[u8]) -> bool {
        let body = String::from_utf8_lossy(body);
        let is_part = |letter: char| letter.is_ascii_alphanumeric() || matches!(letter, '_' | '-');
        let is_whole = |(at, mark): (usize, &str)| {
            let before = body.get(..at).and_then(|text| text.chars().next_back());
            let after = body
                .get(at + mark.len()..)
                .and_then(|text| text.chars().next());
            !before.is_some_and(is_part) && !after.is_some_and(is_part)
        };
        let mut marks = self.0.iter().filter(|mark| !mark.is_empty());
        marks.any(|mark| body.match_indices(mark.as_str()).any(is_whole))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fulfillment::testing::{SALE, Shop, completed, id, line, sale};

    fn sold() -> Order {
        let mut sold = sale(vec![line("brace", 1, 5000, Some("BRACE"))]);
        sold.customer.name = Some("Pat Doe".to_owned());
        sold.customer.email = Some("pat@example.com".to_owned());
        sold.details.phone = Some("+1555".to_owned());
        let mut shop = Shop::selling(sold);
        shop.tell(SALE, completed());
        shop.order().clone()
    }

    #[test]
    fn an_erased_order_has_its_ids_and_amounts_and_is_erased_once() {
        let (order, erased) = (sold(), sold().erased());
        assert_eq!(erased.customer.customer_id, order.customer.customer_id);
        assert_eq!(
            (erased.customer.name.clone(), erased.details.phone.clone()),
            (None, None)
        );
        assert_eq!((erased.totals, &erased.lines), (order.totals, &order.lines));
        assert_eq!(erased.erased(), erased);
    }

    #[test]
    fn an_event_is_about_a_customer_if_it_has_an_id_or_the_address_as_a_whole() {
        let rows = CustomerRows {
            orders: vec![sold()],
            ..CustomerRows::default()
        };
        let marks = Marks::of(Some(&id("fcus_1")), &rows);
        for (body, expected) in [
            (r#"{"customer": "fcus_1"}"#, true),
            (r#"{"customer": "fcus_10"}"#, false),
            (r#"{"id": "x_fcus_1"}"#, false),
            (r#"{"payment_intent": "fpi_1"}"#, true),
            (r#"{"email": "pat@example.com"}"#, true),
            (r#"{"email": "sam@example.com"}"#, false),
            ("", false),
        ] {
            assert_eq!(marks.are_in(body.as_bytes()), expected, "{body}");
        }
    }
}
