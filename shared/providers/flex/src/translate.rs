//! Translates Flex's resources to the core's values.

pub(crate) mod contact;
pub(crate) mod details;
pub(crate) mod dispute;
mod line;
pub(crate) mod payment;
pub(crate) mod refund;
pub(crate) mod renewal;
pub(crate) mod status;
pub(crate) mod subscription;

pub use payment::add_payments;
pub(crate) use reading::{clipped, filled, known_text, named, needed_text, own_id, trimmed, word};
pub use rest::NotUnderstood;
pub(crate) use rest::unreadable;

use crate::wire::{self, Customer as WireCustomer, Fee, Reference, Session};
use domain::{
    sale::statement::{Capture, Customer, Sale, SaleKind, SaleStatus, Totals},
    values::{
        ids::{CustomerId, InvoiceId, OrderId, PaymentIntentId, SubscriptionId},
        mode::Mode,
        money::Currency,
    },
};
use reading::{Field, Identified, Kind, each, known_address, stated};
use std::collections::BTreeSet;

/// The longest `client_reference_id` that is kept. It is the key of an index, and DynamoDB refuses
/// keys over 2,048 bytes. Losing a reference is better than losing the order.
const MAX_REFERENCE_BYTES: usize = 1024;

/// Flex charges no smaller amount, in cents. A checkout over less is completed without a payment
/// (<https://docs.withflex.com/api-reference/checkout-sessions/confirm-checkout-session>).
const LEAST_CHARGE: i64 = 50;

/// Makes a checkout from a session, its lines, and its customer if read separately.
/// [`add_payments`] adds payments that were read separately.
pub fn sale(
    session: &Session,
    lines: &wire::LineItems,
    customer: Option<&WireCustomer>,
) -> Result<Sale, NotUnderstood> {
    let order_id = session.checkout_session_id.id();
    let subscription_id = session.subscription.id();
    Ok(Sale {
        order_id: own_id(order_id, OrderId::new, "checkout_session_id")?,
        stamp: None,
        is_unpaid: false,
        holds: BTreeSet::new(),
        client_reference_id: reference(session),
        status: status(needed_text(&session.status, "status")?),
        kind: kind(needed_text(&session.mode, "mode")?),
        capture: capture(filled(&session.capture_method, "capture_method")?),
        mode: mode(*session.test_mode.required("test_mode")?),
        created_at: stated(&session.created_at, "created_at")?,
        customer: who(session, customer)?,
        currency: currency(&session.currency, "currency")?,
        totals: totals(session)?,
        tax_included: filled(&session.tax_calculation_mode, "tax_calculation_mode")?
            == Some("inclusive"),
        least_charge: LEAST_CHARGE,
        received: stated(&session.amount_received, "amount_received")?,
        payment_intents: payment_intents(session)?,
        payments: payment::expanded(session),
        subscription_id: named([subscription_id], SubscriptionId::new, "subscription")?,
        invoice_id: named([session.invoice.id()], InvoiceId::new, "invoice")?,
        lines: line::line_items(lines, session)?,
        checkout_sessions: BTreeSet::new(),
        fulfilled_elsewhere: session
            .origin
            .as_str()
            .is_some_and(|word| word.trim() == SHOPIFY),
        details: details::details(session, customer),
    })
}

/// The merchant's reference. One that is not understood is like none: nothing else of the order
/// depends on it.
fn reference(session: &Session) -> Option<String> {
    let wire_reference = session.client_reference_id.known()?;
    let reference = Some(wire_reference.0.clone()).filter(|text| !text.is_empty())?;
    (reference.len() <= MAX_REFERENCE_BYTES).then_some(reference)
}

/// The origin of checkouts that Flex's app for Shopify makes. Shopify ships them, counts their goods
/// and sends their receipts.
pub(crate) const SHOPIFY: &str = "shopify";

/// Flex documents `open`, `complete` and `expired`
/// (<https://docs.withflex.com/developer-guides/webhooks/using-redirects>). A live integrator has
/// also seen `canceled`, and `paid`, which means the same for the money as `complete`.
fn status(word: &str) -> SaleStatus {
    match word {
        "complete" | "paid" => SaleStatus::Complete,
        "open" => SaleStatus::Open,
        "expired" => SaleStatus::Expired,
        "canceled" => SaleStatus::Canceled,
        other => SaleStatus::Other(clipped(other)),
    }
}

fn kind(word: &str) -> SaleKind {
    match word {
        "payment" => SaleKind::Payment,
        "subscription" => SaleKind::Subscription,
        "off_session" => SaleKind::OffSession,
        word if sells_nothing(word) => SaleKind::NoSale(word.to_owned()),
        other => SaleKind::Other(clipped(other)),
    }
}

/// True for a session that saves a card, or that only asks for a letter about a purchase elsewhere
/// (<https://docs.withflex.com/developer-guides/integration/reimbursement>).
pub(crate) fn sells_nothing(mode: &str) -> bool {
    matches!(mode, "setup" | "reimbursement")
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

/// The session's own address. The newest of the shopper's comes first: the one that Flex asked for,
/// then that of a guest. The merchant's default comes last, because the shopper may have changed it.
fn own_address(session: &Session) -> Option<String> {
    let of_guest = session.customer_details.known().map(|guest| &guest.email);
    let default = session.defaults.known().map(|defaults| &defaults.email);
    [Some(&session.customer_email), of_guest, default]
        .into_iter()
        .flatten()
        .find_map(known_address)
}

/// The customer as read, else as expanded in the session, else the session's own members. An
/// address or a name that is not understood is like none: the next one counts, and without any
/// address the receipt fails with a reason while the goods go out.
fn who(session: &Session, read: Option<&WireCustomer>) -> Result<Customer, NotUnderstood> {
    let expanded = session.customer.known().and_then(Reference::object);
    let customer = read.or(expanded);
    let guest = session.customer_details.known();
    // A guest may be given by name or address, without an id.
    let is_guest = |customer: &&WireCustomer| {
        known_address(&customer.email).is_some() || contact::name(customer).is_some()
    };
    let given = expanded.filter(is_guest);
    let own = given.map_or_else(|| session.customer.id(), Identified::id);
    let ids = [own, session.customer_id.id()];
    let email = customer.and_then(|customer| known_address(&customer.email));
    let name = customer.and_then(contact::name);
    Ok(Customer {
        customer_id: named(ids, CustomerId::new, "customer")?,
        name: name.or_else(|| guest.and_then(contact::name)),
        email: email.or_else(|| own_address(session)),
    })
}

fn totals(session: &Session) -> Result<Totals, NotUnderstood> {
    let none = wire::TotalDetails::default();
    let details = session.total_details.optional("total_details")?;
    let details = details.unwrap_or(&none);
    Ok(Totals {
        subtotal: *session.amount_subtotal.required("amount_subtotal")?,
        discount: or_none(&details.amount_discount, "total_details.amount_discount")?,
        tax: or_none(&details.amount_tax, "total_details.amount_tax")?,
        shipping: or_none(&details.amount_shipping, "total_details.amount_shipping")?,
        fees: sum(&session.fees, "fees")?,
        total: *session.amount_total.required("amount_total")?,
    })
}

/// Newer sessions list their payments, older ones name one, and some do both.
fn payment_intents(session: &Session) -> Result<Vec<PaymentIntentId>, reading::NotUnderstood> {
    let listed = each(&session.payment_intents, "payment_intents")?;
    let one = named(
        [session.payment_intent.id(), session.payment_intent_id.id()],
        PaymentIntentId::new,
        "payment_intent",
    )?;
    let mut all = Vec::new();
    for listed in listed {
        let id = own_id(listed.id(), PaymentIntentId::new, "payment_intents[]")?;
        if !all.contains(&id) {
            all.push(id);
        }
    }
    all.extend(one.filter(|id| !all.contains(id)));
    Ok(all)
}

/// The session that a payment belongs to. A session that is not understood is another's: it names no
/// payment.
///
/// Older sessions do not list all of their payments. If the answer has only one session, it is
/// accepted as the requested one.
pub(crate) fn session_of(
    sessions: &[Field<Session>],
    payment: &PaymentIntentId,
) -> Result<Option<OrderId>, NotUnderstood> {
    let names_it = |session: &&Session| {
        payment_intents(session).is_ok_and(|payments| payments.contains(payment))
    };
    let found = sessions.iter().filter_map(Field::known).find(names_it);
    let only = match sessions {
        [only] => Some(only.required("checkout_sessions[]")?),
        _ => None,
    };
    let names_none = |session: &&Session| session.payment_intents.known().is_none_or(Vec::is_empty);
    let place = "checkout_sessions[].checkout_session_id";
    found
        .or(only.filter(names_none))
        .map(|session| own_id(session.checkout_session_id.id(), OrderId::new, place))
        .transpose()
        .map_err(NotUnderstood::from)
}

pub(crate) fn mode(test_mode: bool) -> Mode {
    if test_mode { Mode::Test } else { Mode::Live }
}

/// The mode of a resource that may leave it out.
pub(crate) fn mode_of(
    test_mode: &Field<bool>,
    place: &'static str,
) -> Result<Option<Mode>, reading::NotUnderstood> {
    Ok(stated(test_mode, place)?.map(mode))
}

/// The currency of an amount. Flex documents one for disputes alone and sells in US dollars
/// (<https://github.com/JoinFlexHealth/woocommerce>), so a resource without one is in dollars. One
/// that is stated and unknown is never taken for dollars.
fn currency(
    field: &Field<String>,
    place: &'static str,
) -> Result<Currency, reading::NotUnderstood> {
    match filled(field, place)? {
        None => Ok(Currency::USD),
        Some(code) => {
            Currency::new(code).map_err(|_| reading::NotUnderstood::Malformed(place, Kind::Text))
        }
    }
}

/// An amount in whole cents, which is never negative; `None` if absent. A fraction or a text is an error: permissive
/// reading never guesses money.
fn cents(field: &Field<i64>, place: &'static str) -> Result<Option<i64>, reading::NotUnderstood> {
    match stated(field, place)? {
        Some(..0) => Err(reading::NotUnderstood::Malformed(place, Kind::Number)),
        cents => Ok(cents),
    }
}

fn needed_cents(field: &Field<i64>, place: &'static str) -> Result<i64, reading::NotUnderstood> {
    cents(field, place)?.ok_or(reading::NotUnderstood::Missing(place))
}

fn or_none(field: &Field<i64>, place: &'static str) -> Result<i64, reading::NotUnderstood> {
    stated(field, place).map(Option::unwrap_or_default)
}

fn sum(fees: &Field<Vec<Field<Fee>>>, place: &'static str) -> Result<i64, reading::NotUnderstood> {
    each(fees, place)?.into_iter().try_fold(0_i64, |sum, fee| {
        Ok(sum.saturating_add(or_none(&fee.amount, place)?))
    })
}

#[cfg(test)]
mod tests;
