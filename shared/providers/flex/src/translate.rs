//! From Flex's words to ours.

mod line;

use crate::{
    time::timestamp,
    wire::{Customer as WireCustomer, Fee, LineItem as WireLine, PaymentIntent, Reference, Session},
};
use domain::{
    checkout::{Capture, Checkout, Customer, Kind, Status, Totals},
    delivery::Provider,
    ids::{CustomerId, OrderId, PaymentIntentId},
    mode::Mode,
    money::Currency,
    ports::ReadError,
};
use serde_json::Value;

/// The longest `client_reference_id` that we keep: it is the key of an index, and DynamoDB refuses keys beyond
/// 2,048 bytes. Losing a reference is better than losing the order.
const MAX_REFERENCE_BYTES: usize = 1024;

/// Why an answer of Flex's is not understood. Names the place and never a value, since values may be personal.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum NotUnderstood {
    /// Not JSON, or not an object with the resource in it.
    #[error("the answer has no `{0}`")]
    Resource(&'static str),
    /// An order cannot do without it, or it is an amount and no whole number.
    #[error("`{0}` is missing or malformed")]
    Member(&'static str),
    /// Another session than the one that was asked for.
    #[error("the answer is about another session")]
    OtherSession,
    /// More than we are ready to hold.
    #[error("the answer is longer than {0} bytes")]
    TooLong(usize),
}

impl From<NotUnderstood> for ReadError {
    fn from(why: NotUnderstood) -> Self {
        Self::NotUnderstood(why.to_string())
    }
}

/// Makes a checkout from a session and its lines, and from its customer where that was read separately.
pub fn checkout(
    session: &Session,
    lines: &[WireLine],
    customer: Option<&WireCustomer>,
) -> Result<Checkout, NotUnderstood> {
    let test_mode = session.test_mode.ok_or(NotUnderstood::Member("test_mode"))?;
    let reference = filled(session.client_reference_id.as_deref());
    Ok(Checkout {
        provider: Provider::Flex,
        order_id: id(session.checkout_session_id.as_deref(), OrderId::new, "checkout_session_id")?,
        client_reference_id: reference.filter(|text| text.len() <= MAX_REFERENCE_BYTES).map(str::to_owned),
        status: status(filled(session.status.as_deref()).ok_or(NotUnderstood::Member("status"))?),
        kind: kind(filled(session.mode.as_deref()).ok_or(NotUnderstood::Member("mode"))?),
        capture: capture(session.capture_method.as_deref()),
        mode: if test_mode { Mode::Test } else { Mode::Live },
        created_at: timestamp(&session.created_at),
        customer: who(session, customer)?,
        currency: Currency::USD,
        totals: totals(session)?,
        received: amount(&session.amount_received, "amount_received")?,
        payment_intents: payment_intents(session)?,
        lines: lines.iter().map(line::line_item).collect::<Result<_, _>>()?,
    })
}

/// `complete` is the word (<https://docs.withflex.com/developer-guides/webhooks/using-redirects>); a live integrator
/// has met `paid` too, which says the same of the money.
fn status(word: &str) -> Status {
    match word {
        "complete" | "paid" => Status::Complete,
        other => Status::Other(clipped(other)),
    }
}

fn kind(word: &str) -> Kind {
    match word {
        "payment" => Kind::Payment,
        "subscription" => Kind::Subscription,
        "off_session" => Kind::OffSession,
        other => Kind::Other(clipped(other)),
    }
}

/// A method that we do not know is taken as manual: then an order waits for the money to be there.
fn capture(word: Option<&str>) -> Capture {
    match word {
        None | Some("automatic") => Capture::Automatic,
        Some(_) => Capture::Manual,
    }
}

/// Whether a session says by itself where a receipt is to go.
pub(crate) fn has_address(session: &Session) -> bool {
    own_address(session).is_some()
}

/// What the merchant filled in comes last: the shopper may have changed it.
fn own_address(session: &Session) -> Option<&str> {
    filled(session.customer_email.as_deref())
        .or_else(|| filled(session.defaults.as_ref().and_then(|defaults| defaults.email.as_deref())))
}

/// The customer as read, else as expanded in the session, else the session's own hints.
fn who(session: &Session, read: Option<&WireCustomer>) -> Result<Customer, NotUnderstood> {
    let expanded = match &session.customer {
        Some(Reference::Object(customer)) => Some(customer.as_ref()),
        Some(Reference::Id(_)) | None => None,
    };
    let customer = read.or(expanded);
    let customer_id = match &session.customer {
        Some(Reference::Id(id)) => Some(id.as_str()),
        Some(Reference::Object(customer)) => customer.customer_id.as_deref(),
        None => session.customer_id.as_deref(),
    };
    let name = customer
        .into_iter()
        .flat_map(|customer| [&customer.first_name, &customer.last_name])
        .filter_map(|part| filled(part.as_deref()))
        .collect::<Vec<_>>()
        .join(" ");
    let email =
        filled(customer.and_then(|customer| customer.email.as_deref())).or_else(|| own_address(session));
    Ok(Customer {
        customer_id: filled(customer_id)
            .map(|text| id(Some(text), CustomerId::new, "customer"))
            .transpose()?,
        name: filled(Some(&name)).map(clipped),
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

/// Newer sessions list their payments, older ones name one, and some do both.
fn payment_intents(session: &Session) -> Result<Vec<PaymentIntentId>, NotUnderstood> {
    let listed = session.payment_intents.iter().flatten();
    let ids = listed
        .chain(&session.payment_intent)
        .filter_map(intent_id)
        .chain(session.payment_intent_id.as_deref());
    ids.filter_map(|text| filled(Some(text))).try_fold(Vec::new(), |mut all, text| {
        let intent = id(Some(text), PaymentIntentId::new, "payment_intent")?;
        if !all.contains(&intent) {
            all.push(intent);
        }
        Ok(all)
    })
}

fn intent_id(intent: &Reference<PaymentIntent>) -> Option<&str> {
    match intent {
        Reference::Id(id) => Some(id),
        Reference::Object(intent) => intent.payment_intent_id.as_deref(),
    }
}

fn filled(text: Option<&str>) -> Option<&str> {
    text.map(str::trim).filter(|text| !text.is_empty())
}

/// The longest text of Flex's that we keep, in characters: rows and log lines have an end.
const MAX_TEXT: usize = 500;

fn clipped(text: &str) -> String {
    text.chars().take(MAX_TEXT).collect()
}

fn id<T, E>(
    text: Option<&str>,
    new: impl Fn(String) -> Result<T, E>,
    member: &'static str,
) -> Result<T, NotUnderstood> {
    text.and_then(|text| new(text.to_owned()).ok()).ok_or(NotUnderstood::Member(member))
}

/// An amount of whole cents; `None` where there is none. A fraction or a text is an error: guessing at money is not
/// reading permissively.
fn amount(value: &Value, member: &'static str) -> Result<Option<i64>, NotUnderstood> {
    match value {
        Value::Null => Ok(None),
        value => value.as_i64().map(Some).ok_or(NotUnderstood::Member(member)),
    }
}

fn required(value: &Value, member: &'static str) -> Result<i64, NotUnderstood> {
    amount(value, member)?.ok_or(NotUnderstood::Member(member))
}

fn or_none(value: &Value, member: &'static str) -> Result<i64, NotUnderstood> {
    amount(value, member).map(Option::unwrap_or_default)
}

fn sum(fees: Option<&[Fee]>, member: &'static str) -> Result<i64, NotUnderstood> {
    fees.unwrap_or_default()
        .iter()
        .try_fold(0_i64, |sum, fee| Ok(sum.saturating_add(or_none(&fee.amount, member)?)))
}

#[cfg(test)]
mod tests;
