//! Translates Flex's resources to the core's values.

pub(crate) mod contact;
mod details;
pub(crate) mod dispute;
mod line;
pub(crate) mod payment;
pub(crate) mod refund;
pub(crate) mod subscription;

pub use payment::add_payments;

use crate::{
    time::timestamp,
    wire::{Customer as WireCustomer, Fee, LineItem as WireLine, Reference, Resource, Session},
};
use domain::{
    delivery::event::Unreadable,
    sale::checkout::{Capture, Checkout, CheckoutKind, CheckoutStatus, Customer, Totals},
    values::{
        ids::{CustomerId, InvoiceId, OrderId, PaymentIntentId, SubscriptionId},
        mode::Mode,
        money::Currency,
        outcome::ReadError,
    },
};
use serde_json::Value;

/// The longest `client_reference_id` that is kept. It is the key of an index, and DynamoDB refuses
/// keys over 2,048 bytes. Losing a reference is better than losing the order.
const MAX_REFERENCE_BYTES: usize = 1024;

/// The reason why an answer of Flex's is not understood. Names the member and never a value, which
/// may be personal.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum NotUnderstood {
    /// The answer is not JSON, or lacks the resource.
    #[error("the answer has no `{0}`")]
    Resource(&'static str),
    /// A required member is missing, or an amount is not a whole number.
    #[error("`{0}` is missing or malformed")]
    Member(&'static str),
    /// The answer is about another resource than requested.
    #[error("the answer is about another {0}")]
    Other(&'static str),
    /// The answer exceeds the limit.
    #[error("the answer is longer than {0} bytes")]
    TooLong(usize),
    /// The list has more pages than anything real.
    #[error("the list of {0} does not end")]
    Endless(&'static str),
}

impl From<NotUnderstood> for ReadError {
    fn from(why: NotUnderstood) -> Self {
        Self::NotUnderstood(why.to_string())
    }
}

/// A required member that is missing, by its place in an event (`object.refund.amount`). Names the
/// member and never a value, which may be personal.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Missing(pub(crate) &'static str);

impl From<Missing> for Unreadable {
    fn from(Missing(place): Missing) -> Self {
        Self::Member(place)
    }
}

/// In an answer of the API, the resource is not under `object`.
impl From<Missing> for NotUnderstood {
    fn from(Missing(place): Missing) -> Self {
        Self::Member(place.strip_prefix("object.").unwrap_or(place))
    }
}

/// Makes a checkout from a session, its lines, and its customer if read separately.
/// [`add_payments`] adds payments that were read separately.
pub fn checkout(
    session: &Session,
    lines: &[WireLine],
    customer: Option<&WireCustomer>,
) -> Result<Checkout, NotUnderstood> {
    let test_mode = session
        .test_mode
        .ok_or(NotUnderstood::Member("test_mode"))?;
    let reference = filled(session.client_reference_id.as_deref());
    let subscription = session.subscription.as_ref();
    Ok(Checkout {
        order_id: id(
            session.checkout_session_id.as_deref(),
            OrderId::new,
            "checkout_session_id",
        )?,
        client_reference_id: reference
            .filter(|text| text.len() <= MAX_REFERENCE_BYTES)
            .map(str::to_owned),
        status: status(filled(session.status.as_deref()).ok_or(NotUnderstood::Member("status"))?),
        kind: kind(filled(session.mode.as_deref()).ok_or(NotUnderstood::Member("mode"))?),
        capture: capture(session.capture_method.as_deref()),
        mode: mode(test_mode),
        created_at: timestamp(&session.created_at),
        customer: who(session, customer)?,
        currency: Currency::USD,
        totals: totals(session)?,
        received: amount(&session.amount_received, "amount_received")?,
        payment_intents: payment_intents(session)?,
        payments: payment::expanded(session),
        subscription_id: related(subscription, SubscriptionId::new, "subscription")?,
        invoice_id: related(session.invoice.as_ref(), InvoiceId::new, "invoice")?,
        lines: lines
            .iter()
            .map(line::line_item)
            .collect::<Result<_, _>>()?,
        details: details::details(session, customer),
    })
}

/// Flex documents `open`, `complete` and `expired`
/// (<https://docs.withflex.com/developer-guides/webhooks/using-redirects>). A live integrator has
/// also seen `canceled`, and `paid`, which means the same for the money as `complete`.
fn status(word: &str) -> CheckoutStatus {
    match word {
        "complete" | "paid" => CheckoutStatus::Complete,
        "open" => CheckoutStatus::Open,
        "expired" => CheckoutStatus::Expired,
        "canceled" => CheckoutStatus::Canceled,
        other => CheckoutStatus::Other(clipped(other)),
    }
}

fn kind(word: &str) -> CheckoutKind {
    match word {
        "payment" => CheckoutKind::Payment,
        "subscription" => CheckoutKind::Subscription,
        "off_session" => CheckoutKind::OffSession,
        other => CheckoutKind::Other(clipped(other)),
    }
}

/// An unknown method counts as manual: the order then waits until the money is received.
fn capture(word: Option<&str>) -> Capture {
    match word {
        None | Some("automatic") => Capture::Automatic,
        Some(_) => Capture::Manual,
    }
}

/// True if the session itself has an address for a receipt.
pub(crate) fn has_address(session: &Session) -> bool {
    own_address(session).is_some()
}

/// The merchant's default comes last, because the shopper may have changed it.
fn own_address(session: &Session) -> Option<&str> {
    filled(session.customer_email.as_deref()).or_else(|| {
        filled(
            session
                .defaults
                .as_ref()
                .and_then(|defaults| defaults.email.as_deref()),
        )
    })
}

/// The customer as read, else as expanded in the session, else the session's own members.
fn who(session: &Session, read: Option<&WireCustomer>) -> Result<Customer, NotUnderstood> {
    let named = session.customer.as_ref();
    let customer = read.or(named.and_then(Reference::object));
    let customer_id = named
        .and_then(Reference::id)
        .or(session.customer_id.as_deref());
    let email = filled(customer.and_then(|customer| customer.email.as_deref()))
        .or_else(|| own_address(session));
    Ok(Customer {
        customer_id: filled(customer_id)
            .map(|text| id(Some(text), CustomerId::new, "customer"))
            .transpose()?,
        name: customer.and_then(contact::name),
        email: email.map(clipped),
    })
}

fn totals(session: &Session) -> Result<Totals, NotUnderstood> {
    let details = session.total_details.clone().unwrap_or_default();
    Ok(Totals {
        subtotal: required(&session.amount_subtotal, "amount_subtotal")?,
        discount: or_none(&details.amount_discount, "total_details.amount_discount")?,
        tax: or_none(&details.amount_tax, "total_details.amount_tax")?,
        shipping: or_none(&details.amount_shipping, "total_details.amount_shipping")?,
        fees: sum(session.fees.as_deref(), "fees")?,
        total: required(&session.amount_total, "amount_total")?,
    })
}

fn payment_intents(session: &Session) -> Result<Vec<PaymentIntentId>, NotUnderstood> {
    named_intents(session)
        .filter_map(|text| filled(Some(text)))
        .try_fold(Vec::new(), |mut all, text| {
            let intent = id(Some(text), PaymentIntentId::new, "payment_intent")?;
            if !all.contains(&intent) {
                all.push(intent);
            }
            Ok(all)
        })
}

/// Newer sessions list their payments, older ones name one, and some do both.
fn named_intents(session: &Session) -> impl Iterator<Item = &str> {
    let listed = session
        .payment_intents
        .iter()
        .flatten()
        .chain(&session.payment_intent);
    listed
        .filter_map(Reference::id)
        .chain(session.payment_intent_id.as_deref())
}

/// The session that a payment belongs to.
///
/// Older sessions do not list all of their payments. If the answer has only one session, it is
/// accepted as the requested one.
pub(crate) fn session_of(
    sessions: &[Session],
    payment: &PaymentIntentId,
) -> Result<Option<OrderId>, NotUnderstood> {
    let names_it = |session: &&Session| named_intents(session).any(|id| id == payment.as_str());
    let found = sessions.iter().find(names_it).or(match sessions {
        [only] if only.payment_intents.iter().all(Vec::is_empty) => Some(only),
        _ => None,
    });
    let place = "checkout_sessions[].checkout_session_id";
    found
        .map(|session| id(session.checkout_session_id.as_deref(), OrderId::new, place))
        .transpose()
}

/// The id of a related resource, if the session names one.
fn related<T: Resource, I, E>(
    reference: Option<&Reference<T>>,
    new: impl Fn(String) -> Result<I, E>,
    member: &'static str,
) -> Result<Option<I>, NotUnderstood> {
    let text = filled(reference.and_then(Reference::id));
    text.map(|text| id(Some(text), new, member)).transpose()
}

pub(crate) fn mode(test_mode: bool) -> Mode {
    if test_mode { Mode::Test } else { Mode::Live }
}

fn filled(text: Option<&str>) -> Option<&str> {
    text.map(str::trim).filter(|text| !text.is_empty())
}

/// The longest text that is kept, in characters, because rows and log lines are limited.
const MAX_TEXT: usize = 500;

fn clipped(text: &str) -> String {
    text.chars().take(MAX_TEXT).collect()
}

/// The longest word that is kept, in characters. The longest known one, a dispute's reason, has 25.
const MAX_WORD: usize = 64;

/// A word of an open set, such as a status: kept, but limited in length.
fn word(text: &str) -> String {
    text.chars().take(MAX_WORD).collect()
}

/// The first valid identifier.
pub(crate) fn first_id<T, E>(
    texts: impl IntoIterator<Item = Option<impl Into<String>>>,
    new: impl Fn(String) -> Result<T, E>,
) -> Option<T> {
    texts
        .into_iter()
        .flatten()
        .find_map(|text| new(text.into()).ok())
}

/// An amount in whole cents, never negative.
fn cents(value: &Value) -> Option<i64> {
    value.as_i64().filter(|cents| *cents >= 0)
}

fn id<T, E>(
    text: Option<&str>,
    new: impl Fn(String) -> Result<T, E>,
    member: &'static str,
) -> Result<T, NotUnderstood> {
    text.and_then(|text| new(text.to_owned()).ok())
        .ok_or(NotUnderstood::Member(member))
}

/// An amount in whole cents; `None` if absent. A fraction or a text is an error: permissive reading
/// never guesses money.
fn amount(value: &Value, member: &'static str) -> Result<Option<i64>, NotUnderstood> {
    match value {
        Value::Null => Ok(None),
        value => value
            .as_i64()
            .map(Some)
            .ok_or(NotUnderstood::Member(member)),
    }
}

fn required(value: &Value, member: &'static str) -> Result<i64, NotUnderstood> {
    amount(value, member)?.ok_or(NotUnderstood::Member(member))
}

fn or_none(value: &Value, member: &'static str) -> Result<i64, NotUnderstood> {
    amount(value, member).map(Option::unwrap_or_default)
}

fn sum(fees: Option<&[Fee]>, member: &'static str) -> Result<i64, NotUnderstood> {
    fees.unwrap_or_default().iter().try_fold(0_i64, |sum, fee| {
        Ok(sum.saturating_add(or_none(&fee.amount, member)?))
    })
}

#[cfg(test)]
mod tests;
