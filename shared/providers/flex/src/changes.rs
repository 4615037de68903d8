//! The meaning of an event by its type: one table for the code and for the documents.

use crate::{
    translate::{self, contact, dispute, payment, refund, subscription},
    wire::{self, Reference, Resource},
};
use domain::{
    access::{
        contact::ContactChange as CustomerNews,
        subscription::{InvoiceEvent, Source},
    },
    delivery::{event::Change, reference},
    sale::{dispute::DisputeFunds, payment::PaymentChange as PaymentNews},
    values::{
        ids::{CustomerId, OrderId, PaymentIntentId},
        mode::Mode,
    },
};
use reading::{Field, Identified, Kind, NotUnderstood};
use serde_json::{Map, Value};

/// The rule for one event type.
#[derive(Debug, Clone)]
enum Handling {
    /// A change of a checkout; it may state the completion.
    Sale { completed: bool },
    /// A delayed payment of a checkout has arrived.
    SalePaid,
    /// A payment has this status, if its object states none.
    Payment(&'static str),
    /// A change of a charge, and perhaps of a payment.
    Charge,
    /// A refund of a checkout.
    RefundsOfSale,
    /// A refund of a charge's payment.
    RefundsOfCharge,
    /// A change of a refund.
    Refund,
    /// A change of a dispute, perhaps of its money.
    Dispute(Option<DisputeFunds>),
    /// The end of a dispute, whatever its status.
    DisputeClosed,
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
        Handling::Sale { completed: true },
    ),
    (
        "checkout.session.expired",
        Handling::Sale { completed: false },
    ),
    (
        "checkout.session.async_payment_succeeded",
        Handling::SalePaid,
    ),
    (
        "checkout.session.async_payment_failed",
        Handling::Sale { completed: false },
    ),
    ("checkout.session.refunded", Handling::RefundsOfSale),
    // Comes with the first keystroke in the payment form and proves nothing.
    ("payment_intent.created", Handling::NotNeeded),
    ("payment_intent.succeeded", Handling::Payment("succeeded")),
    ("payment_intent.canceled", Handling::Payment("canceled")),
    (
        "payment_intent.payment_failed",
        Handling::Payment("requires_payment_method"),
    ),
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
    ("charge.dispute.closed", Handling::DisputeClosed),
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
            Handling::Sale { .. } | Handling::SalePaid => "checkout",
            Handling::Payment(_) | Handling::Charge => "payment",
            Handling::RefundsOfSale | Handling::RefundsOfCharge => "refunds",
            Handling::Refund => "refund",
            Handling::Dispute(_) | Handling::DisputeClosed => "dispute",
            Handling::Subscription(_) => "subscription",
            Handling::Invoice(_) => "invoice",
            Handling::Customer | Handling::CustomerDeleted => "customer",
            Handling::NotNeeded => "not_needed",
        };
        (*name, word)
    })
}

/// The meaning of an event of this type. If the type has a rule, every member that the rule needs must be understood.
pub(crate) fn of(event_type: &str, event: &Map<String, Value>) -> Result<Change, NotUnderstood> {
    let Some((_, handling)) = EVENT_TYPES.iter().find(|(name, _)| *name == event_type) else {
        return Ok(Change::Unhandled);
    };
    Ok(match handling {
        Handling::Sale { completed } => Change::Sale {
            order_id: order_id(event)?,
            completed: *completed,
        },
        Handling::SalePaid => Change::SalePaid {
            order_id: order_id(event)?,
        },
        Handling::Payment(word) => payment_of(event, word)?,
        Handling::Charge => charged(event)?,
        Handling::RefundsOfSale => {
            Change::Fetch(reference::Reference::RefundsOfSale(order_id(event)?))
        }
        Handling::RefundsOfCharge => {
            let (id, _) = charge(event)?.ok_or(NotUnderstood::Missing(CHARGED))?;
            Change::Fetch(reference::Reference::RefundsOfPayment(id))
        }
        Handling::Refund => Change::Refund(refund::refund(&*whole(event)?)?),
        Handling::Dispute(funds) => {
            Change::Dispute(dispute::dispute(&*whole(event)?, *funds, false)?)
        }
        Handling::DisputeClosed => Change::Dispute(dispute::dispute(&*whole(event)?, None, true)?),
        Handling::Subscription(source) => {
            Change::Subscription(subscription::subscription(&*whole(event)?, *source)?)
        }
        Handling::Invoice(what) => subscription::invoice(&*whole(event)?, *what)?
            .map_or(Change::NotNeeded, Change::Invoice),
        Handling::Customer => customer(event)?,
        Handling::CustomerDeleted => customer_deleted(event)?,
        Handling::NotNeeded => Change::NotNeeded,
    })
}

/// The resource under `object`. All printed deliveries have it inside a member named after it; that member may also be
/// the bare id. The prose of the event list has `object` as the resource itself.
fn resource<T: Resource>(event: &Map<String, Value>) -> Result<Reference<T>, NotUnderstood> {
    let object = match event.get("object") {
        Some(Value::Object(object)) => object,
        None | Some(Value::Null) => return Err(NotUnderstood::Missing("object")),
        Some(other) => return Err(NotUnderstood::Malformed("object", Kind::of(other))),
    };
    let own = match object.get(T::KEY) {
        None | Some(Value::Null) if object.contains_key(T::ID) => Value::Object(object.clone()),
        own => own.cloned().unwrap_or_default(),
    };
    match Field::of(own) {
        Field::Understood(resource) => Ok(resource),
        Field::Absent => Err(NotUnderstood::Missing(T::PLACE)),
        Field::NotUnderstood(kind) => Err(NotUnderstood::Malformed(T::PLACE, kind)),
    }
}

/// The resource under `object`; its id alone is not enough.
fn whole<T: Resource>(event: &Map<String, Value>) -> Result<Box<T>, NotUnderstood> {
    match resource(event)? {
        Reference::Object(resource) => Ok(resource),
        Reference::Id(_) => Err(NotUnderstood::Malformed(T::PLACE, Kind::Text)),
    }
}

/// The id of the resource under `object`.
fn own_id<T: Resource, I, E>(
    resource: &Reference<T>,
    new: impl Fn(String) -> Result<I, E>,
) -> Result<I, NotUnderstood> {
    translate::own_id(resource.id(), new, T::PLACE)
}

fn order_id(event: &Map<String, Value>) -> Result<OrderId, NotUnderstood> {
    own_id(&resource::<wire::Session>(event)?, OrderId::new)
}

/// The type states the status, even if the object is a bare id.
fn payment_of(event: &Map<String, Value>, word: &'static str) -> Result<Change, NotUnderstood> {
    let intent = resource::<wire::PaymentIntent>(event)?;
    let bare = wire::PaymentIntent::default();
    let object = intent.object().unwrap_or(&bare);
    Ok(Change::Payment(PaymentNews {
        payment_intent_id: own_id(&intent, PaymentIntentId::new)?,
        order_id: None,
        mode: translate::mode_of(&object.test_mode, "object.payment_intent.test_mode")?,
        facts: payment::facts(object, Some(word))?,
    }))
}

/// The place of a charge's payment.
const CHARGED: &str = "object.charge.payment_intent";

/// The payment that a charge tried, if the charge names one. A bare id names none.
fn charge(
    event: &Map<String, Value>,
) -> Result<Option<(PaymentIntentId, Option<Mode>)>, NotUnderstood> {
    let charge = match resource::<wire::Charge>(event) {
        Ok(Reference::Object(charge)) => charge,
        Ok(Reference::Id(_)) | Err(NotUnderstood::Missing(_)) => return Ok(None),
        Err(why) => return Err(why),
    };
    let payments = [charge.payment_intent.id(), charge.payment_intent_id.id()];
    let id = translate::named(payments, PaymentIntentId::new, CHARGED)?;
    let mode = translate::mode_of(&charge.test_mode, "object.charge.test_mode")?;
    Ok(id.map(|id| (id, mode)))
}

/// A charge states only that its payment has changed.
fn charged(event: &Map<String, Value>) -> Result<Change, NotUnderstood> {
    let payment = |(payment_intent_id, mode)| {
        Change::Payment(PaymentNews {
            payment_intent_id,
            order_id: None,
            mode,
            facts: None,
        })
    };
    Ok(charge(event)?.map_or(Change::NotNeeded, payment))
}

/// A bare id has no facts of a customer to store.
fn customer(event: &Map<String, Value>) -> Result<Change, NotUnderstood> {
    let customer = resource::<wire::Customer>(event)?;
    let customer_id = own_id(&customer, CustomerId::new)?;
    let Some(customer) = customer.object() else {
        return Ok(Change::NotNeeded);
    };
    Ok(Change::Customer(CustomerNews {
        customer_id,
        mode: customer_mode(Some(customer))?,
        facts: Some(contact::facts(customer)?.into()),
    }))
}

/// A deletion takes all facts of the customer.
fn customer_deleted(event: &Map<String, Value>) -> Result<Change, NotUnderstood> {
    let customer = resource::<wire::Customer>(event)?;
    Ok(Change::Customer(CustomerNews {
        customer_id: own_id(&customer, CustomerId::new)?,
        mode: customer_mode(customer.object())?,
        facts: None,
    }))
}

fn customer_mode(customer: Option<&wire::Customer>) -> Result<Option<Mode>, NotUnderstood> {
    let test_mode = customer.map_or(&Field::Absent, |customer| &customer.test_mode);
    translate::mode_of(test_mode, "object.customer.test_mode")
}

#[cfg(test)]
mod tests;
