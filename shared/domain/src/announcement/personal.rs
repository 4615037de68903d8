//! The personal data of a paid order, which its announcement has when it is published.
//!
//! No stored announcement has it: the order's row is the only place, so erasing the order erases it here too.

use crate::{
    announcement::Kind,
    sale::{details::Shipping, order::Order},
};
use serde::{Deserialize, Serialize};
use serde_with::skip_serializing_none;

/// Where the goods go, and how to reach the customer.
#[skip_serializing_none]
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Contact {
    pub name: Option<String>,
    pub email: Option<String>,
    pub phone: Option<String>,
    /// The recipient, the postal address and the chosen option, as given.
    #[cfg_attr(
        feature = "schema",
        schemars(with = "Option<serde_json::Map<String, serde_json::Value>>")
    )]
    pub shipping: Option<Shipping>,
}

/// True for a kind whose announcement has a contact.
#[must_use]
pub fn has_contact(kind: Kind) -> bool {
    kind == Kind::OrderPaid
}

impl Contact {
    /// The contact of an order; `None` once it is erased.
    #[must_use]
    pub fn of(order: &Order) -> Option<Self> {
        let contact = Self {
            name: order.customer.name.clone(),
            email: order.customer.email.clone(),
            phone: order.details.phone.clone(),
            shipping: order.details.shipping.clone(),
        };
        (!order.is_erased).then_some(contact)
    }
}
