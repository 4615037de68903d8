//! The meaning of an event by its type: one table for the code and for the documents.

use crate::{
    translate::{self, Missing, contact, dispute, payment, refund, subscription},
    wire::{self, Reference, Resource},
};
use domain::{
    access::{
        contact::ContactChange as CustomerNews,
        subscription::{InvoiceEvent, Source},
    },
    delivery::{
        event::{Change, Unreadable},
        reference,
    },
    sale::{
        dispute::DisputeFunds,
        payment::{PaymentChange as PaymentNews, PaymentStatus},
    },
    values::{
        ids::{CustomerId, OrderId, PaymentIntentId},
        mode::Mode,
    },
};
use serde_json::{Map, Value};

/// The rule for one event type.
#[derive(Debug, Clone)]
enum Handling {
    /// A change of a checkout; it may state the completion.
    Checkout { completed: bool },
    /// A delayed payment of a checkout has arrived.
    CheckoutPaid,
    /// A payment has succeeded.
    Payment,
    /// A change of a charge, and perhaps of a payment.
    Charge,
    /// A refund of a checkout.
    RefundsOfCheckout,
    /// A refund of a charge's payment.
    RefundsOfCharge,
    /// A change of a refund.
    Refund,
    /// A change of a dispute, perhaps of its money.
    Dispute(Option<DisputeFunds>),
    /// A change of a subscription.
    Subscription(Source),
    /// A change of an invoice.
    Invoice(InvoiceEvent),
    /// A change of a customer.
    Customer,
    /// The deletion of a customer.
    CustomerDeleted,
    /// No action.
    NotNeeded,
}

/// Every type that Flex is known to send. Its list names some
/// (<https://docs.withflex.com/developer-guides/webhooks/events>). Its guides name others
/// (<https://docs.withflex.com/developer-guides/integration/checkout/fulfillment>,
/// <https://docs.withflex.com/developer-guides/subscriptions/getting-started>,
/// <https://docs.withflex.com/developer-guides/integration/reimbursement>), and so does its API
/// (<https://docs.withflex.com/api-reference/events/retry-event>). A live integrator handles the rest: sessions that
/// expire, are paid with a delay or are refunded, and products.
const EVENT_TYPES: &[(&str, Handling)] = &[
    (
        "checkout.session.completed",
        Handling::Checkout { completed: true },
    ),
    (
        "checkout.session.expired",
        Handling::Checkout { completed: false },
    ),
    (
        "checkout.session.async_payment_succeeded",
        Handling::CheckoutPaid,
    ),
    (
        "checkout.session.async_payment_failed",
        Handling::Checkout { completed: false },
    ),
    ("checkout.session.refunded", Handling::RefundsOfCheckout),
    // Comes with the first keystroke in the payment form and proves nothing.
    ("payment_intent.created", Handling::NotNeeded),
    ("payment_intent.succeeded", Handling::Payment),
    ("charge.succeeded", Handling::Charge),
    ("charge.failed", Handling::Charge),
    ("charge.pending", Handling::Charge),
    ("charge.captured", Handling::Charge),
    ("charge.expired", Handling::Charge),
    ("charge.updated", Handling::Charge),
    ("charge.refunded", Handling::RefundsOfCharge),
    ("charge.refund.updated", Handling::Refund),
    ("refund.created", Handling::Refund),
    ("refund.updated", Handling::Refund),
    ("charge.dispute.created", Handling::Dispute(None)),
    ("charge.dispute.updated", Handling::Dispute(None)),
    ("charge.dispute.closed", Handling::Dispute(None)),
    (
        "charge.dispute.funds_withdrawn",
        Handling::Dispute(Some(DisputeFunds::Withdrawn)),
    ),
    (
        "charge.dispute.funds_reinstated",
        Handling::Dispute(Some(DisputeFunds::Reinstated)),
    ),
    (
        "customer.subscription.created",
        Handling::Subscription(Source::Created),
    ),
    (
        "customer.subscription.updated",
        Handling::Subscription(Source::Updated),
    ),
    (
        "customer.subscription.deleted",
        Handling::Subscription(Source::Deleted),
    ),
    // An unpaid invoice has no effect yet.
    ("invoice.created", Handling::NotNeeded),
    (
        "invoice.payment_succeeded",
        Handling::Invoice(InvoiceEvent::Paid),
    ),
    ("invoice.paid", Handling::Invoice(InvoiceEvent::Paid)),
    (
        "invoice.payment_failed",
        Handling::Invoice(InvoiceEvent::PaymentFailed),
    ),
    ("customer.created", Handling::Customer),
    ("customer.updated", Handling::Customer),
    ("customer.deleted", Handling::CustomerDeleted),
    // Medical events, which the product does not need.
    ("customer.consultation.attached", Handling::NotNeeded),
    ("consultation.approved", Handling::NotNeeded),
    ("consultation.expired", Handling::NotNeeded),
    ("product.updated", Handling::NotNeeded),
    ("account.updated", Handling::NotNeeded),
];

/// Every known event type, with its kind: `checkout`, `payment`, `refund`, `refunds`, `dispute`, `subscription`,
/// `invoice`, `customer` or `not_needed`. Any other type is stored and acknowledged.
///
/// [`crate::read`] uses the same table, so tests can compare documents with it.
pub fn event_types() -> impl Iterator<Item = (&'static str, &'static str)> {
    EVENT_TYPES.iter().map(|(name, handling)| {
        let word = match handling {
            Handling::Checkout { .. } | Handling::CheckoutPaid => "checkout",
            Handling::Payment | Handling::Charge => "payment",
            Handling::RefundsOfCheckout | Handling::RefundsOfCharge => "refunds",
            Handling::Refund => "refund",
            Handling::Dispute(_) => "dispute",
            Handling::Subscription(_) => "subscription",
            Handling::Invoice(_) => "invoice",
            Handling::Customer | Handling::CustomerDeleted => "customer",
            Handling::NotNeeded => "not_needed",
        };
        (*name, word)
    })
}

/// The meaning of an event of this type. If the type has a rule, every member that the rule needs must be there.
pub(crate) fn of(event_type: &str, event: &Map<String, Value>) -> Result<Change, Unreadable> {
    let Some((_, handling)) = EVENT_TYPES.iter().find(|(name, _)| *name == event_type) else {
        return Ok(Change::Unhandled);
    };
    Ok(match handling {
        Handling::Checkout { completed } => Change::Checkout {
            order_id: order_id(event)?,
            completed: *completed,
        },
        Handling::CheckoutPaid => Change::CheckoutPaid {
            order_id: order_id(event)?,
        },
        Handling::Payment => {
            let intent = resource::<wire::PaymentIntent>(event)?;
            // The type states the success, even if the object is a bare id.
            let bare = wire::PaymentIntent::default();
            let object = intent.object().unwrap_or(&bare);
            Change::Payment(PaymentNews {
                payment_intent_id: own_id(&intent, PaymentIntentId::new)?,
                mode: object.test_mode.map(translate::mode),
                facts: payment::facts(object, Some(PaymentStatus::Succeeded)),
            })
        }
        Handling::Charge => charge(event).map_or(Change::NotNeeded, |(payment_intent_id, mode)| {
            Change::Payment(PaymentNews {
                payment_intent_id,
                mode,
                facts: None,
            })
        }),
        Handling::RefundsOfCheckout => {
            Change::Fetch(reference::Reference::RefundsOfCheckout(order_id(event)?))
        }
        Handling::RefundsOfCharge => {
            let (id, _) = charge(event).ok_or(Missing("object.charge.payment_intent"))?;
            Change::Fetch(reference::Reference::RefundsOfPayment(id))
        }
        Handling::Refund => Change::Refund(refund::refund(&*whole(event)?)?),
        Handling::Dispute(funds) => {
            Change::Dispute(dispute::dispute(&*whole(event)?, funds.clone())?)
        }
        Handling::Subscription(source) => {
            Change::Subscription(subscription::subscription(&*whole(event)?, *source)?)
        }
        Handling::Invoice(what) => subscription::invoice(&*whole(event)?, *what)?
            .map_or(Change::NotNeeded, Change::Invoice),
        Handling::Customer => customer(event)?,
        Handling::CustomerDeleted => {
            let customer = resource::<wire::Customer>(event)?;
            Change::Customer(CustomerNews {
                customer_id: own_id(&customer, CustomerId::new)?,
                mode: customer
                    .object()
                    .and_then(|customer| customer.test_mode)
                    .map(translate::mode),
                facts: None,
            })
        }
        Handling::NotNeeded => Change::NotNeeded,
    })
}

/// The resource under `object`. All printed deliveries have it inside a member named after it; that member may also be
/// the bare id. The prose of the event list has `object` as the resource itself.
fn resource<T: Resource>(event: &Map<String, Value>) -> Result<Reference<T>, Unreadable> {
    let object = event
        .get("object")
        .and_then(Value::as_object)
        .ok_or(Unreadable::Member("object"))?;
    let whole = |resource: &Map<String, Value>| {
        T::deserialize(resource)
            .ok()
            .map(|resource| Reference::Object(Box::new(resource)))
    };
    let resource = match object.get(T::KEY) {
        Some(Value::String(id)) => Some(Reference::Id(id.clone())),
        Some(Value::Object(resource)) => whole(resource),
        None if object.contains_key(T::ID) => whole(object),
        Some(_) | None => None,
    };
    resource.ok_or(Unreadable::Member(T::PLACE))
}

/// The resource under `object`; its id alone is not enough.
fn whole<T: Resource>(event: &Map<String, Value>) -> Result<Box<T>, Unreadable> {
    match resource(event)? {
        Reference::Object(resource) => Ok(resource),
        Reference::Id(_) => Err(Unreadable::Member(T::PLACE)),
    }
}

/// The id of the resource under `object`.
fn own_id<T: Resource, I, E>(
    resource: &Reference<T>,
    new: impl Fn(String) -> Result<I, E>,
) -> Result<I, Unreadable> {
    translate::first_id([resource.id()], new).ok_or(Unreadable::Member(T::PLACE))
}

fn order_id(event: &Map<String, Value>) -> Result<OrderId, Unreadable> {
    own_id(&resource::<wire::Session>(event)?, OrderId::new)
}

/// The payment that a charge tried, if the charge names one.
fn charge(event: &Map<String, Value>) -> Option<(PaymentIntentId, Option<Mode>)> {
    let charge: Box<wire::Charge> = whole(event).ok()?;
    let intent = charge.payment_intent.as_ref().and_then(Reference::id);
    let id = translate::first_id(
        [intent, charge.payment_intent_id.as_deref()],
        PaymentIntentId::new,
    )?;
    Some((id, charge.test_mode.map(translate::mode)))
}

/// A bare id has no facts of a customer to store.
fn customer(event: &Map<String, Value>) -> Result<Change, Unreadable> {
    let customer = resource::<wire::Customer>(event)?;
    let customer_id = own_id(&customer, CustomerId::new)?;
    Ok(customer.object().map_or(Change::NotNeeded, |customer| {
        let mode = customer.test_mode.map(translate::mode);
        Change::Customer(CustomerNews {
            customer_id,
            mode,
            facts: Some(contact::facts(customer)),
        })
    }))
}

#[cfg(test)]
mod tests;
