//! The meaning of an event by its type: one table for the code and for the documents.

use crate::{
    data::{inner, thing, time},
    translate,
};
use domain::{
    delivery::{
        event::{Change, Unreadable},
        reference::Reference,
    },
    resource::ResourceId,
    values::{
        facts::Stamp,
        ids::{
            CheckoutSessionId, DisputeId, FulfillmentId, InvoiceId, MerchantId, OrderId,
            PaymentIntentId, PaymentMethodId, RefundId, SubscriptionId, TransactionId,
        },
    },
};
use jiff::Timestamp;
use reading::{Field, Kind, NotUnderstood, member};
use serde_json::{Map, Value};

/// The rule for one event type: the thing to read from the API.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Handling {
    /// An order.
    Order,
    /// An order of which all money is received.
    OrderPaid,
    /// An order with an exception whose end no event states.
    OrderException,
    /// The refunds of an order.
    OrderRefunded,
    /// A payment intent.
    Payment,
    /// An external hold on the fulfillment of a payment's order.
    Hold,
    /// A refund.
    Refund,
    /// A dispute. Flint publishes no shape of it.
    Dispute,
    /// A subscription.
    Subscription,
    /// An invoice.
    Invoice,
    /// A fulfillment of an order.
    Fulfillment,
    /// A movement on the merchant's balance.
    BalanceTransaction,
    /// A saved payment method.
    PaymentMethod,
    /// The end of a saved payment method.
    PaymentMethodRemoved,
    /// The readiness of a merchant.
    Merchant,
    /// A capability of the merchant to whom the event is sent.
    Capability,
    /// A checkout session.
    CheckoutSession,
    /// No action.
    NotNeeded,
}

/// Every type with a rule, under its current name: those of the export of API version 2026-09-07
/// (<https://github.com/flint-pay/flint-cli>), and newer ones of the SDKs (<https://github.com/flint-pay/flint-sdks>).
const EVENT_TYPES: &[(&str, Handling)] = &[
    ("payment_intent.succeeded", Handling::Payment),
    ("payment_intent.payment_failed", Handling::Payment),
    ("payment_intent.requires_action", Handling::Payment),
    ("payment_intent.requires_capture", Handling::Payment),
    ("payment_intent.processing", Handling::Payment),
    ("payment_intent.canceled", Handling::Payment),
    ("payment_intent.fulfillment_hold.updated", Handling::Hold),
    ("balance_transaction.created", Handling::BalanceTransaction),
    ("balance_transaction.updated", Handling::BalanceTransaction),
    // Each movement has its own event.
    ("balance.updated", Handling::NotNeeded),
    ("refund.created", Handling::Refund),
    ("refund.updated", Handling::Refund),
    ("refund.failed", Handling::Refund),
    ("dispute.created", Handling::Dispute),
    ("dispute.needs_response", Handling::Dispute),
    ("dispute.updated", Handling::Dispute),
    ("dispute.won", Handling::Dispute),
    ("dispute.lost", Handling::Dispute),
    ("dispute.closed", Handling::Dispute),
    ("dispute.prevented", Handling::Dispute),
    ("dispute.warning_closed", Handling::Dispute),
    ("order.created", Handling::Order),
    ("order.updated", Handling::Order),
    // Closed before it was fully paid. A paid order has the status `closed` and no such event.
    ("order.closed", Handling::Order),
    ("order.paid", Handling::OrderPaid),
    ("order.partially_paid", Handling::Order),
    ("order.payment_authorized", Handling::Order),
    ("order.payment_authorization_canceled", Handling::Order),
    ("order.payment_authorization_expired", Handling::Order),
    ("order.payment_captured", Handling::Order),
    ("order.refunded", Handling::OrderRefunded),
    ("order.inventory_exception.created", Handling::Order),
    ("order.inventory_exception.resolved", Handling::Order),
    ("order.inventory_action_required", Handling::OrderException),
    // In the guide on choosing events only, under this name only.
    (
        "order.reconciliation_exception.created",
        Handling::OrderException,
    ),
    ("order.fulfillment.created", Handling::Fulfillment),
    ("order.fulfillment.status_changed", Handling::Fulfillment),
    ("order.fulfillment.updated", Handling::Fulfillment),
    ("order.fulfillment.completed", Handling::Fulfillment),
    ("invoice.created", Handling::Invoice),
    ("invoice.issued", Handling::Invoice),
    ("invoice.issue_failed", Handling::Invoice),
    ("invoice.updated", Handling::Invoice),
    // Signals about the invoice's mail, which change no amount and no date.
    ("invoice.sent", Handling::NotNeeded),
    ("invoice.delivery_succeeded", Handling::NotNeeded),
    ("invoice.delivery_failed", Handling::NotNeeded),
    ("invoice.payment_processing", Handling::Invoice),
    ("invoice.payment_failed", Handling::Invoice),
    ("invoice.payment_attempt_canceled", Handling::Invoice),
    ("invoice.payment_attempt_expired", Handling::Invoice),
    ("invoice.collection_blocked", Handling::Invoice),
    ("invoice.collection_block_resolved", Handling::Invoice),
    ("invoice.partially_paid", Handling::Invoice),
    ("invoice.paid", Handling::Invoice),
    ("invoice.manual_payment_recorded", Handling::Invoice),
    ("invoice.manual_payment_reversed", Handling::Invoice),
    ("invoice.overdue", Handling::Invoice),
    ("invoice.reminder_due", Handling::Invoice),
    ("invoice.late_fee_due", Handling::Invoice),
    ("invoice.late_fee_assessed", Handling::Invoice),
    ("invoice.late_fee_waived", Handling::Invoice),
    ("invoice.marked_uncollectible", Handling::Invoice),
    ("invoice.credited", Handling::Invoice),
    ("invoice.voided", Handling::Invoice),
    ("invoice.refunded", Handling::Invoice),
    ("invoice.partially_refunded", Handling::Invoice),
    ("subscription.created", Handling::Subscription),
    ("subscription.activated", Handling::Subscription),
    ("subscription.payment_succeeded", Handling::Subscription),
    ("subscription.payment_failed", Handling::Subscription),
    ("subscription.past_due", Handling::Subscription),
    ("subscription.paused", Handling::Subscription),
    ("subscription.resumed", Handling::Subscription),
    ("subscription.canceled", Handling::Subscription),
    ("subscription.dunning_exhausted", Handling::Subscription),
    ("subscription.renewal_upcoming", Handling::Subscription),
    ("subscription.trial_ending", Handling::Subscription),
    ("subscription.updated", Handling::Subscription),
    (
        "subscription.cancellation_scheduled",
        Handling::Subscription,
    ),
    ("subscription.reactivated", Handling::Subscription),
    ("subscription.cycle_skipped", Handling::Subscription),
    ("payment_method.saved", Handling::PaymentMethod),
    ("payment_method.failed", Handling::PaymentMethod),
    ("payment_method.removed", Handling::PaymentMethodRemoved),
    ("merchant.readiness.updated", Handling::Merchant),
    ("capability.updated", Handling::Capability),
    ("checkout_session.completed", Handling::CheckoutSession),
    ("checkout_session.closed", Handling::CheckoutSession),
    ("checkout_session.expired", Handling::CheckoutSession),
    ("checkout_session.invalidated", Handling::CheckoutSession),
    ("custom_domain.status_changed", Handling::NotNeeded),
    ("merchant_billing_balance.updated", Handling::NotNeeded),
];

/// The older names in the guide on choosing events, each with the current one
/// (<https://developers.withflintpay.com/docs/guides/webhook-event-altitude>). The rename was no versioned change, so an
/// endpoint may send either.
const ALIASES: [(&str, &str); 2] = [
    // The old name says that some money came, not that all did. Only this one of the new names says the same.
    ("order.payment_succeeded", "order.payment_captured"),
    ("invoice.opened", "invoice.issued"),
];

/// The starts of all other types that are known and need no action. Each family has types that are not listed one by one
/// in public.
const FAMILIES: &[&str] = &[
    // Steps of a carrier; the fulfillment's own events state the result.
    "order.fulfillment.shipment.",
    "order.fulfillment.package.",
    "order.fulfillment.event.",
    // A retry ends in an event of its subscription.
    "subscription_payment_retry.",
    "subscription.delivery_",
    "customer.",
    "credit_note.",
    "payout",
    "return",
    "review.",
    "fraud_warning.",
    "report.",
    "inventory.",
    "delivery_",
    "gift_card",
    "merchant_subscription_invoice.",
    "partner_app.",
];

/// Every event type with a rule, by its current name, with its kind: `order`, `payment`, `refund`, `dispute`,
/// `subscription`, `invoice`, `fulfillment`, `balance_transaction`, `payment_method`, `merchant`, `checkout_session` or
/// `not_needed`. A type of [`families`] needs nothing, and any other type is stored and acknowledged.
///
/// [`crate::read`] uses the same table, so tests can compare documents with it.
pub fn event_types() -> impl Iterator<Item = (&'static str, &'static str)> {
    EVENT_TYPES.iter().map(|(name, handling)| {
        let word = match handling {
            Handling::Order
            | Handling::OrderPaid
            | Handling::OrderException
            | Handling::OrderRefunded => "order",
            Handling::Payment | Handling::Hold => "payment",
            Handling::Refund => "refund",
            Handling::Dispute => "dispute",
            Handling::Subscription => "subscription",
            Handling::Invoice => "invoice",
            Handling::Fulfillment => "fulfillment",
            Handling::BalanceTransaction => "balance_transaction",
            Handling::PaymentMethod | Handling::PaymentMethodRemoved => "payment_method",
            Handling::Merchant | Handling::Capability => "merchant",
            Handling::CheckoutSession => "checkout_session",
            Handling::NotNeeded => "not_needed",
        };
        (*name, word)
    })
}

/// The older names of event types, each with the current one.
pub fn aliases() -> impl Iterator<Item = (&'static str, &'static str)> {
    ALIASES.into_iter()
}

/// The starts of the names of types that need no action.
pub fn families() -> impl Iterator<Item = &'static str> {
    FAMILIES.iter().copied()
}

/// The current name of an event type; an unknown one stays.
pub(crate) fn current_name(event_type: &str) -> &str {
    let current = aliases().find(|(alias, _)| *alias == event_type);
    current.map_or(event_type, |(_, current)| current)
}

/// True if events of this type have an effect, under whatever name.
pub(crate) fn is_needed(event_type: &str) -> bool {
    let handling = handling(current_name(event_type));
    handling.is_some_and(|handling| handling != Handling::NotNeeded)
}

/// The rule of a type, by its current name; `None` for an unknown one.
fn handling(event_type: &str) -> Option<Handling> {
    let known = EVENT_TYPES.iter().find(|(name, _)| *name == event_type);
    known.map(|(_, handling)| *handling).or_else(|| {
        let is_known = families().any(|start| event_type.starts_with(start));
        is_known.then_some(Handling::NotNeeded)
    })
}

/// The meaning of an event of this type. If the type has a rule, the id of its thing must be understood. `merchant_id` is
/// the merchant to whom the event is sent.
///
/// An event rarely states its thing's facts, and its words for a state are not the thing's own. The API states them.
pub(crate) fn of(
    event_type: &str,
    data: &Map<String, Value>,
    merchant_id: Option<&str>,
) -> Result<Change, NotUnderstood> {
    let Some(handling) = handling(event_type) else {
        return Ok(Change::Unhandled);
    };
    Ok(match handling {
        Handling::NotNeeded => Change::NotNeeded,
        Handling::OrderPaid => Change::Sale {
            order_id: order_id(data)?,
            completed: true,
        },
        Handling::OrderException => Change::Exception {
            order_id: order_id(data)?,
        },
        Handling::Dispute => {
            thing!("dispute").id_in(data, DisputeId::new)?;
            Change::NotUnderstood(Unreadable::Unpublished("dispute"))
        }
        Handling::PaymentMethodRemoved => removed(data)?,
        _ => Change::Fetch(reference(handling, data, merchant_id)?),
    })
}

/// The order of an event.
fn order_id(data: &Map<String, Value>) -> Result<OrderId, NotUnderstood> {
    thing!("order").id_in(data, OrderId::new)
}

/// The thing to fetch for an event of this rule.
fn reference(
    handling: Handling,
    data: &Map<String, Value>,
    merchant_id: Option<&str>,
) -> Result<Reference, NotUnderstood> {
    Ok(match handling {
        Handling::Order => Reference::Sale(order_id(data)?),
        Handling::OrderRefunded => Reference::RefundsOfSale(order_id(data)?),
        Handling::Payment | Handling::Hold => {
            Reference::Payment(thing!("payment_intent").id_in(data, PaymentIntentId::new)?)
        }
        Handling::Refund => Reference::Refund(thing!("refund").id_in(data, RefundId::new)?),
        Handling::Subscription => {
            Reference::Subscription(thing!("subscription").id_in(data, SubscriptionId::new)?)
        }
        Handling::Fulfillment => {
            Reference::Fulfillment(thing!("fulfillment").id_in(data, FulfillmentId::new)?)
        }
        _ => Reference::Resource(resource(handling, data, merchant_id)?),
    })
}

/// The mirrored thing of an event.
fn resource(
    handling: Handling,
    data: &Map<String, Value>,
    merchant_id: Option<&str>,
) -> Result<ResourceId, NotUnderstood> {
    Ok(match handling {
        Handling::Invoice => ResourceId::Invoice(thing!("invoice").id_in(data, InvoiceId::new)?),
        Handling::BalanceTransaction => {
            let thing = thing!("balance_transaction");
            ResourceId::Transaction(thing.id_in(data, TransactionId::new)?)
        }
        Handling::CheckoutSession => {
            let thing = thing!("checkout_session");
            ResourceId::CheckoutSession(thing.id_in(data, CheckoutSessionId::new)?)
        }
        Handling::Merchant => {
            ResourceId::Merchant(thing!("merchant").id_in(data, MerchantId::new)?)
        }
        // The event names the capability alone.
        Handling::Capability => {
            let place = "merchant_id";
            let id = merchant_id.ok_or(NotUnderstood::Missing(place))?;
            let malformed = |_| NotUnderstood::Malformed(place, Kind::Text);
            ResourceId::Merchant(MerchantId::new(id).map_err(malformed)?)
        }
        _ => ResourceId::PaymentMethod(payment_method(data)?),
    })
}

fn payment_method(data: &Map<String, Value>) -> Result<PaymentMethodId, NotUnderstood> {
    thing!("payment_method").id_in(data, PaymentMethodId::new)
}

fn removed(data: &Map<String, Value>) -> Result<Change, NotUnderstood> {
    let change = translate::resource::removed(payment_method(data)?);
    Ok(Change::Resource(Box::new(change)))
}

/// The event announces a fact of its time whose rank it does not state. It is older than a known fact only by its time.
const LAST: u8 = u8::MAX;

/// The stamp of the event's thing, if the event states one: the same as the thing's own stamp in the API. A stamp that is
/// not understood is none, so that the thing is read.
pub(crate) fn stamp(
    event_type: &str,
    data: &Map<String, Value>,
    occurred_at: Option<Timestamp>,
) -> Option<Stamp> {
    let updated_at = time(data, "resource_updated_at");
    let inner_at = |outer| inner(data, outer, "updated_at").known().copied();
    let at = match handling(event_type)? {
        Handling::Hold => inner_at("fulfillment_hold"),
        Handling::Fulfillment => inner_at("fulfillment"),
        Handling::Merchant => time(data, "observed_at"),
        Handling::Capability => time(data, "observed_at").or(updated_at),
        Handling::Invoice => {
            let version: Field<i64> = member(data, "version");
            let attempt_at = time(data, "payment_attempt_updated_at");
            return Some(Stamp {
                version: u64::try_from(*version.known()?).ok()?,
                at: updated_at.max(attempt_at).or(occurred_at)?,
                rank: LAST,
            });
        }
        // Nothing in these orders the states of a movement.
        Handling::BalanceTransaction | Handling::NotNeeded => None,
        Handling::Order
        | Handling::OrderPaid
        | Handling::OrderException
        | Handling::OrderRefunded
        | Handling::PaymentMethodRemoved
        | Handling::Payment
        | Handling::Refund
        | Handling::Dispute
        | Handling::Subscription
        | Handling::PaymentMethod
        | Handling::CheckoutSession => updated_at,
    };
    Some(Stamp {
        rank: LAST,
        ..Stamp::at(at?)
    })
}

#[cfg(test)]
mod tests;
