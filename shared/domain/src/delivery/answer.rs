//! The provider's answer to a reference.

use crate::{
    access::renewal::Renewal,
    delivery::event::Change,
    sale::{checkout::Checkout, refund::RefundChange},
    values::ids::OrderId,
};

/// The provider's answer to a [`Reference`](crate::delivery::reference::Reference).
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Answer {
    /// To `Reference::Checkout`.
    Checkout(Box<Checkout>),
    /// To `Reference::CheckoutOfPayment`; `None` for a payment without a checkout.
    CheckoutOfPayment(Option<OrderId>),
    /// To `Reference::RefundsOfCheckout` and `Reference::RefundsOfPayment`.
    Refunds(Vec<RefundChange>),
    /// To `Reference::Renewal`.
    Renewal(Box<Renewal>),
    /// To any other reference: the thing as an event with all facts would state it.
    Change(Box<Change>),
}
