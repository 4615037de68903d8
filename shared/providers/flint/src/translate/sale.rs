//! An order.

use super::{line, money::Amounts, payment, stated};
use crate::wire::{self, Order};
use domain::{
    sale::{
        details::{Address, Details, Metadata, MetadataLimit, PaymentMethod, Shipping},
        hold::Hold,
        payment::{PaymentFacts, PaymentStatus},
        statement::{Capture, Customer, Sale, SaleKind, SaleStatus, Totals},
    },
    values::{
        facts::{Stamp, Stated},
        ids::{CheckoutSessionId, CustomerId, OrderId, PaymentIntentId, RefundId, SubscriptionId},
        mode::Mode,
    },
};
use jiff::Timestamp;
use reading::{
    Field, Identified, Reference, clipped, each, filled, known_address, known_text, member, named,
    needed_text, own_id, text, word,
};
use rest::NotUnderstood;
use serde_json::{Map, Value};
use std::collections::{BTreeMap, BTreeSet};

pub(crate) fn id(order: &Order) -> Result<OrderId, reading::NotUnderstood> {
    own_id(order.order_id.id(), OrderId::new, "order_id")
}

/// The payments that an order names, expanded or not.
pub(crate) fn payment_ids(order: &Order) -> Result<Vec<PaymentIntentId>, reading::NotUnderstood> {
    let place = "payment_intents";
    let expanded = each(&order.payment_intents, place)?;
    let expanded = expanded.into_iter().map(Identified::id);
    let place = "payment_intent_ids";
    let listed = each(&order.payment_intent_ids, place)?;
    let listed = listed.into_iter().map(Identified::id);
    let mut all = Vec::new();
    for id in expanded.chain(listed) {
        let id = own_id(id, PaymentIntentId::new, place)?;
        if !all.contains(&id) {
            all.push(id);
        }
    }
    Ok(all)
}

/// The payments that an order has in full.
pub(crate) fn expanded(order: &Order) -> impl Iterator<Item = &wire::PaymentIntent> {
    let all = order.payment_intents.known().into_iter().flatten();
    all.filter_map(|payment| payment.known()?.object())
}

/// The refunds that an order names.
pub(crate) fn refund_ids(order: &Order) -> Result<BTreeSet<RefundId>, reading::NotUnderstood> {
    let place = "refund_ids";
    let ids = each(&order.refund_ids, place)?.into_iter();
    ids.map(|id| own_id(id.id(), RefundId::new, place))
        .collect()
}

/// The money of an order, in one word. The pair of members counts: a paid order is `closed`, and so is a canceled one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Paid {
    No,
    InPart,
    InFull,
    /// An unknown word: it neither fails nor grants.
    Other(String),
}

/// How far an order is paid.
pub(crate) fn paid(order: &Order) -> Result<Paid, reading::NotUnderstood> {
    let own = filled(&order.payment_status, "payment_status")?;
    // An older generation has no second member.
    let word = own.map_or_else(|| needed_text(&order.status, "payment_status"), Ok)?;
    Ok(match word {
        "unpaid" => Paid::No,
        "partially_paid" => Paid::InPart,
        "paid" => Paid::InFull,
        other => Paid::Other(reading::word(other)),
    })
}

/// The received amount, and credits that count like money.
pub(crate) fn received(order: &Order) -> Result<Option<i64>, reading::NotUnderstood> {
    let (amounts, total) = total(order)?;
    let Some(settlement) = order.settlement_amounts.optional("settlement_amounts")? else {
        return Ok(None);
    };
    let paid = amounts.stated(&settlement.paid_money, "settlement_amounts.paid_money")?;
    let place = "settlement_amounts.credit_money";
    let credit = amounts.or_none(&settlement.credit_money, place)?;
    let place = "settlement_amounts.outstanding_money";
    let outstanding = amounts.stated(&settlement.outstanding_money, place)?;
    // An order that is paid in full has received its total, in whatever way.
    let is_settled = self::paid(order)? == Paid::InFull && outstanding == Some(0);
    let settled = is_settled.then_some(total);
    Ok(paid.map(|paid| paid.saturating_add(credit)).max(settled))
}

/// The stamp of an order's state, if it states its time.
pub(crate) fn stamp(order: &Order) -> Result<Option<Stamp>, reading::NotUnderstood> {
    let updated_at = stated(&order.updated_at, "updated_at")?;
    Ok(updated_at.map(Stamp::at))
}

fn total(order: &Order) -> Result<(Amounts, i64), reading::NotUnderstood> {
    let pricing = order.pricing_amounts.required("pricing_amounts")?;
    Amounts::of(&pricing.total_money, "pricing_amounts.total_money")
}

/// The parts of an order that were read.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Parts<'a> {
    pub(crate) order: &'a Order,
    /// Those that the order does not have in full.
    pub(crate) payments: &'a [wire::PaymentIntent],
    pub(crate) customer: Option<&'a wire::Customer>,
    pub(crate) mode: Mode,
    /// Our time, before the request: the stamp of an order that states none.
    pub(crate) asked_at: Timestamp,
}

/// Makes a sale of an order, its payments and its customer.
pub(crate) fn sale(parts: Parts<'_>) -> Result<Sale, NotUnderstood> {
    let order = parts.order;
    let intents: Vec<_> = expanded(order).chain(parts.payments).collect();
    let mut payments = BTreeMap::new();
    for intent in &intents {
        payments.insert(payment::id(intent)?, payment::facts(intent)?);
    }
    let (amounts, _) = total(order)?;
    let totals = totals(order, amounts)?;
    let paid = paid(order)?;
    let reference = order.external_reference_id.known();
    Ok(Sale {
        order_id: id(order)?,
        stamp: stamp(order)?.or(Some(Stamp::at(parts.asked_at))),
        client_reference_id: reference.map(|code| code.0.clone()),
        status: status(order, &paid)?,
        kind: kind(order, &intents)?,
        capture: capture(&payments),
        mode: parts.mode,
        created_at: stated(&order.created_at, "created_at")?,
        customer: who(parts, &intents)?,
        currency: amounts.currency,
        tax_included: is_tax_included(&totals),
        totals,
        // Flint publishes none.
        least_charge: 0,
        received: received(order)?,
        is_unpaid: paid == Paid::No,
        holds: holds(order)?,
        payment_intents: payment_ids(order)?,
        payments,
        subscription_id: subscription_id(order)?,
        invoice_id: None,
        lines: line::line_items(order, amounts)?,
        checkout_sessions: checkout_sessions(order),
        fulfilled_elsewhere: false,
        details: details(parts, &intents),
    })
}

/// The sessions that an order names. One that is not understood reserves nothing.
fn checkout_sessions(order: &Order) -> BTreeSet<CheckoutSessionId> {
    let all = order.checkout_session_ids.known().into_iter().flatten();
    all.filter_map(|id| CheckoutSessionId::new(id.known()?).ok())
        .collect()
}

fn totals(order: &Order, amounts: Amounts) -> Result<Totals, reading::NotUnderstood> {
    let pricing = order.pricing_amounts.required("pricing_amounts")?;
    let (_, total) = self::total(order)?;
    let charges = amounts.or_none(&pricing.charge_money, "pricing_amounts.charge_money")?;
    let place = "pricing_amounts.requested_tip_money";
    let tip = amounts.or_none(&pricing.requested_tip_money, place)?;
    let discount = amounts.or_none(&pricing.discount_money, "pricing_amounts.discount_money")?;
    let subtotal = amounts.stated(&pricing.subtotal_money, "pricing_amounts.subtotal_money")?;
    Ok(Totals {
        subtotal: subtotal.unwrap_or(total),
        // A deduction, whatever its sign.
        discount: discount.saturating_abs(),
        tax: amounts.or_none(&pricing.tax_money, "pricing_amounts.tax_money")?,
        shipping: 0,
        fees: charges.saturating_add(tip),
        total,
    })
}

/// True if the total is complete without the tax.
fn is_tax_included(totals: &Totals) -> bool {
    let without_tax = totals.subtotal.saturating_sub(totals.discount);
    totals.tax > 0 && without_tax.saturating_add(totals.fees) == totals.total
}

/// An unpaid order that is closed was canceled. Any other exists, and its money decides.
fn status(order: &Order, paid: &Paid) -> Result<SaleStatus, reading::NotUnderstood> {
    let word = filled(&order.status, "status")?;
    Ok(match (paid, word) {
        (Paid::No | Paid::InPart, Some("closed")) => SaleStatus::Canceled,
        (Paid::No | Paid::InPart | Paid::InFull, _) => SaleStatus::Complete,
        (Paid::Other(word), _) => SaleStatus::Other(word.clone()),
    })
}

/// A cycle of a subscription is an order. Its payment says whether it is the first one, else its number.
fn kind(
    order: &Order,
    intents: &[&wire::PaymentIntent],
) -> Result<SaleKind, reading::NotUnderstood> {
    if subscription_id(order)?.is_none() {
        return Ok(SaleKind::Payment);
    }
    let flows = intents
        .iter()
        .filter_map(|intent| known_text(&intent.payment_flow));
    let flows: BTreeSet<_> = flows.collect();
    let cycle = order.subscription_cycle.known().map(|cycle| cycle.0);
    Ok(match (cycle, known_text(&order.origin)) {
        _ if flows.contains("subscription_initial") => SaleKind::Subscription,
        _ if flows.contains("subscription_renewal") => SaleKind::Renewal,
        (Some(..=1), _) => SaleKind::Subscription,
        (Some(_), _) | (None, Some("subscription")) => SaleKind::Renewal,
        (None, _) => SaleKind::Subscription,
    })
}

fn subscription_id(order: &Order) -> Result<Option<SubscriptionId>, reading::NotUnderstood> {
    let id = order.subscription_id.id();
    named([id], SubscriptionId::new, "subscription_id")
}

/// Flint states no method of capture. A payment that waits for a capture shows it.
fn capture(payments: &BTreeMap<PaymentIntentId, Stated<PaymentFacts>>) -> Capture {
    let mut all = payments.values();
    if all.any(|facts| facts.status == PaymentStatus::Authorized) {
        Capture::Manual
    } else {
        Capture::Automatic
    }
}

/// The order's reasons to keep the goods back. An unknown word is a reason: it must not release goods.
fn holds(order: &Order) -> Result<BTreeSet<Hold>, reading::NotUnderstood> {
    let place = "inventory_exception_status";
    let inventory = filled(&order.inventory_exception_status, place)?;
    let inventory = inventory.filter(|word| !matches!(*word, "none" | "resolved"));
    let refund = filled(&order.refund_status, "refund_status")?.filter(|word| *word != "none");
    let refund = refund.map(|word| match word {
        "refunded" => Hold::Refund,
        _ => Hold::PartialRefund,
    });
    let inventory = inventory.map(|_| Hold::Inventory);
    Ok(inventory.into_iter().chain(refund).collect())
}

/// The customer. The address that the buyer gave for this order comes first, then the customer's, then the payment's.
fn who(
    parts: Parts<'_>,
    intents: &[&wire::PaymentIntent],
) -> Result<Customer, reading::NotUnderstood> {
    let customer = customer(parts);
    let ids = [
        parts.order.customer_id.id(),
        parts.order.customer.id(),
        customer.map_or(Field::Absent, Identified::id),
    ];
    let given = parts.order.buyer_contact.known();
    let given = given.map(|contact| &contact.email);
    let of_customer = customer.map(|customer| &customer.email);
    let of_payments = intents.iter().map(|intent| &intent.receipt_email);
    let mut emails = given.into_iter().chain(of_customer).chain(of_payments);
    Ok(Customer {
        customer_id: named(ids, CustomerId::new, "customer_id")?,
        name: customer.and_then(name),
        email: emails.find_map(known_address),
    })
}

/// The customer as expanded in the order, else as read.
fn customer(parts: Parts<'_>) -> Option<&wire::Customer> {
    let expanded = parts.order.customer.known().and_then(Reference::object);
    expanded.or(parts.customer)
}

fn name(customer: &wire::Customer) -> Option<String> {
    let name = text::name(customer.name.known()?)?;
    Some(clipped(&name))
}

/// What a merchant needs to ship the goods. What is not understood is left out: no decision depends on it.
fn details(parts: Parts<'_>, intents: &[&wire::PaymentIntent]) -> Details {
    let order = parts.order;
    let given = order.buyer_contact.known();
    let given = given.and_then(|contact| known_text(&contact.phone));
    let phone = || known_text(&customer(parts)?.phone);
    let methods = intents.iter().filter_map(|intent| method(intent));
    Details {
        phone: given.or_else(phone).map(clipped),
        shipping: order.delivery_destination.known().and_then(shipping),
        discounts: Vec::new(),
        tax_rate: None,
        payment_methods: methods.collect(),
        unclear_payments: BTreeSet::new(),
        origin: known_text(&order.origin).map(word),
        metadata: metadata(MetadataLimit::CHECKOUT, &order.metadata),
    }
}

/// The entries of some metadata.
pub(crate) fn metadata(limit: MetadataLimit, all: &Field<Map<String, Value>>) -> Metadata {
    let entries = all.known().into_iter().flatten();
    let texts = entries.filter_map(|(name, value)| {
        let text = value.as_str()?;
        Some((name.clone(), text.to_owned()))
    });
    Metadata::within(limit, texts)
}

/// Flint publishes no shape of a destination. The usual names are read, in it or in its `address`.
fn shipping(to: &Map<String, Value>) -> Option<Shipping> {
    let address = to.get("address").and_then(Value::as_object).unwrap_or(to);
    let own = |name| part(to, &[name]);
    let of = |names: &[&str]| part(address, names);
    let address = Address {
        line1: of(&["line1", "address_line_1", "street"]),
        line2: of(&["line2", "address_line_2"]),
        city: of(&["city", "locality"]),
        state: of(&["state", "region"]),
        postal_code: of(&["postal_code"]),
        country: of(&["country", "country_code"]),
    };
    let shipping = Shipping {
        name: own("name").or_else(|| own("recipient_name")),
        phone: own("phone"),
        address: (address != Address::default()).then_some(address),
        ..Shipping::default()
    };
    (shipping != Shipping::default()).then_some(shipping)
}

/// The first of these members that is a text.
fn part(of: &Map<String, Value>, names: &[&str]) -> Option<String> {
    let texts = names.iter().map(|name| member::<String>(of, name));
    texts
        .into_iter()
        .find_map(|field| known_text(&field).map(clipped))
}

/// How a payment was made, if it states that.
fn method(intent: &wire::PaymentIntent) -> Option<(PaymentIntentId, PaymentMethod)> {
    let source = intent.payment_source.known()?;
    let card = source
        .get("card")
        .and_then(Value::as_object)
        .unwrap_or(source);
    let is_last4 =
        |digits: &String| digits.len() == 4 && digits.bytes().all(|byte| byte.is_ascii_digit());
    let method = PaymentMethod {
        kind: part(source, &["type"]).as_deref().map(word),
        brand: part(card, &["brand"]).as_deref().map(word),
        // Nothing longer: it could be a whole number of a card.
        last4: part(card, &["last4"]).filter(is_last4),
    };
    let id = payment::id(intent).ok()?;
    (method != PaymentMethod::default()).then_some((id, method))
}
