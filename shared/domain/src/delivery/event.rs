//! The body of a delivery as the core reads it.

use crate::{
    access::{contact, subscription},
    delivery::reference::Reference,
    resource::ResourceChange,
    sale::{dispute, payment, refund, shipment},
    values::{
        facts::Stamp,
        ids::{EventId, OrderId},
        scope::Scope,
    },
};
use jiff::Timestamp;

/// The result of reading a verified body.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Reading {
    /// An event of any type, also of one without a rule.
    Event(Box<Event>),
    /// No event, now or later.
    Unreadable(Unreadable),
}

/// The reason that a signed body, or a part of it, is not understood. A resend brings the same bytes, so it cannot help.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Unreadable {
    /// Not JSON at all, or not an object.
    #[error("the body is not a JSON object")]
    NotJson,
    /// A required member is missing.
    #[error("`{0}` is missing")]
    Missing(&'static str),
    /// A member that has an effect is not understood: its place and the kind of its value.
    #[error("`{0}` is {1} that is not understood")]
    Malformed(&'static str, &'static str),
    /// The provider does not publish the facts of such a thing.
    #[error("the provider does not publish the facts of a {0}: see its dashboard")]
    Unpublished(&'static str),
    /// A thing of a list that no row can hold.
    #[error("it is larger than a row holds")]
    TooLarge,
}

/// An event in the core's words.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Event {
    pub event_id: EventId,
    /// The type as the provider spells it, aliases normalized.
    pub event_type: String,
    /// When it happened, by the provider's clock, if stated.
    pub occurred_at: Option<Timestamp>,
    pub scope: Scope,
    /// The stamp of its thing, if a thin event states one. An older one than the row's needs no fetch.
    pub stamp: Option<Stamp>,
    /// Its meaning to the core.
    pub change: Change,
}

/// The meaning of an event: facts, or a thing whose facts the provider's API states.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Change {
    /// A change of a sale.
    Sale {
        order_id: OrderId,
        /// True if the event states the completion.
        completed: bool,
    },
    /// A delayed payment of a sale has arrived.
    SalePaid {
        order_id: OrderId,
    },
    /// A change of a payment. It never makes an order.
    Payment(payment::PaymentChange),
    /// The provider reports an exception about an order, and never its end.
    Exception {
        order_id: OrderId,
    },
    Fulfillment(shipment::FulfillmentChange),
    Refund(refund::RefundChange),
    Dispute(dispute::DisputeChange),
    Subscription(subscription::SubscriptionChange),
    /// A subscription's invoice was paid, or its payment failed.
    Invoice(subscription::InvoiceChange),
    /// A thing that is mirrored.
    Resource(Box<ResourceChange>),
    /// A customer's name or address.
    Customer(contact::ContactChange),
    /// A thing changed, and the event does not state how: fetch it.
    Fetch(Reference),
    /// A known type, with a member that has an effect and is not understood: a person decides.
    NotUnderstood(Unreadable),
    /// A known type that needs no action: stored, counted, acknowledged.
    NotNeeded,
    /// An unknown type: stored, counted, acknowledged.
    Unhandled,
}

#[cfg(test)]
mod tests;
