//! What a delivery's body says, and the row that keeps it.

use crate::{
    access::{contact, subscription},
    sale::{dispute, payment, refund},
    values::ids::{EventId, OrderId, PaymentIntentId},
};
use jiff::Timestamp;

/// What could be made of a verified body.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Reading {
    /// An event, of a type that we act on or not.
    Event(Box<Event>),
    /// Nothing, now or later.
    Unreadable(Unreadable),
}

/// Why a signed body can never be understood. A resend brings the same bytes, so it cannot help.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Unreadable {
    /// Not JSON at all, or not an object.
    #[error("the body is not a JSON object")]
    NotJson,
    /// A required member is missing, of the wrong type, or not an identifier.
    #[error("`{0}` is missing or malformed")]
    Member(&'static str),
    /// A thing of a list that no row can hold.
    #[error("it is larger than a row holds")]
    TooLarge,
}

/// An event in the core's words.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Event {
    /// The provider's id.
    pub event_id: EventId,
    /// The type as the provider spells it, aliases normalized.
    pub event_type: String,
    /// When it happened, by the provider's clock, where told.
    pub occurred_at: Option<Timestamp>,
    /// What it means to us.
    pub change: Change,
}

/// What an event means to us: facts, or something to look at. The provider's API then says what is true.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Change {
    /// Something happened to a checkout.
    Checkout {
        /// Which one.
        order_id: OrderId,
        /// Whether the event says that it is completed.
        completed: bool,
    },
    /// A delayed payment of a checkout has arrived.
    CheckoutPaid {
        /// Of which one.
        order_id: OrderId,
    },
    /// Something happened to a payment. Never makes an order.
    Payment(payment::PaymentChange),
    /// Something happened to a refund.
    Refund(refund::RefundChange),
    /// Money went back, and the event does not tell by which refunds.
    RefundsOf(RefundsOf),
    /// Something happened to a dispute.
    Dispute(dispute::DisputeChange),
    /// Something happened to a subscription.
    Subscription(subscription::SubscriptionChange),
    /// An invoice of a subscription was paid, or its payment failed.
    Invoice(subscription::InvoiceChange),
    /// A customer's name or address.
    Customer(contact::ContactChange),
    /// A type that we know and need nothing of: stored, counted, acknowledged.
    NotNeeded,
    /// A type that we do not know: stored, counted, acknowledged.
    Unhandled,
}

/// Whose refunds to read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum RefundsOf {
    /// All of a checkout.
    Checkout(OrderId),
    /// All of a payment.
    Payment(PaymentIntentId),
}

#[cfg(test)]
mod tests;
