//! A thing at a provider that can be fetched.

use crate::resource::ResourceId;
use crate::values::ids::{FulfillmentId, OrderId, PaymentIntentId, RefundId, SubscriptionId};
use std::fmt;

/// The kind and the id of a thing to fetch from a provider's API.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Reference {
    /// A sale with its customer, lines and payments.
    Sale(OrderId),
    /// The sale in which a payment was made.
    SaleOfPayment(PaymentIntentId),
    /// All refunds of a sale.
    RefundsOfSale(OrderId),
    /// All refunds of a payment.
    RefundsOfPayment(PaymentIntentId),
    Payment(PaymentIntentId),
    Refund(RefundId),
    Subscription(SubscriptionId),
    /// A subscription with its recurring items and its customer.
    Renewal(SubscriptionId),
    /// One delivery of an order's goods.
    Fulfillment(FulfillmentId),
    /// A thing that is mirrored.
    Resource(ResourceId),
}

impl Reference {
    /// The kind and the id, as the log prints them.
    #[must_use]
    pub fn parts(&self) -> (&'static str, &str) {
        match self {
            Self::Sale(id) => ("sale", id.as_str()),
            Self::SaleOfPayment(id) => ("sale_of_payment", id.as_str()),
            Self::RefundsOfSale(id) => ("refunds_of_sale", id.as_str()),
            Self::RefundsOfPayment(id) => ("refunds_of_payment", id.as_str()),
            Self::Payment(id) => ("payment", id.as_str()),
            Self::Refund(id) => ("refund", id.as_str()),
            Self::Subscription(id) => ("subscription", id.as_str()),
            Self::Renewal(id) => ("renewal", id.as_str()),
            Self::Fulfillment(id) => ("fulfillment", id.as_str()),
            Self::Resource(id) => id.parts(),
        }
    }
}

impl fmt::Display for Reference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (kind, id) = self.parts();
        write!(f, "{kind} {id}")
    }
}
