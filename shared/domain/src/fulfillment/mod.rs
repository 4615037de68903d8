//! Decides what a change does: the rows that it writes, the goods that it moves, the mails that it makes due.
//!
//! Each decision is a function of the event and of the rows as read. Before an irreversible step, it also needs the
//! answer of the provider's API. It returns a value that can be printed; the caller carries it out.

mod announced;
mod checkout_session;
pub mod commit;
mod contact;
mod dispute;
mod dunning;
mod invoice;
pub mod known;
mod movements;
mod notice;
mod order;
mod other_shop;
mod payment;
mod payment_method;
mod purchase;
pub mod read_set;
mod refund;
mod renewal;
mod resource;
mod sale;
mod shipment;
mod subscription;

pub use dunning::invoice_mail;
pub use notice::{MailNeed, refund_mail, still_so};
pub use shipment::shipment_mail;

use crate::{
    access::purchase::AccessPolicies,
    delivery::{
        answer::{Answer, UnclearRefund},
        event::{Change, Unreadable},
        reference::Reference,
    },
    fulfillment::{
        commit::Commit,
        known::{Case, Need},
        read_set::ReadSet,
        sale::About,
    },
    sale::{
        amounts::PartPayment,
        event_history::DecidedEvent,
        order::{Alerts, Order},
        refund::RefundChange,
        restock::RestockPolicy,
        shop::{NotNeeded, ShopFilter},
        stock::RenewalStock,
    },
    values::{
        class::Class,
        ids::{BadId, CheckoutSessionId, OrderId, PaymentIntentId, ReceiptId, RefundId},
        mode::Mode,
        money::Currency,
        outcome::{ReadError, RetryableError},
    },
};
use jiff::SignedDuration;
use std::fmt;

/// The merchant's choices.
#[derive(Debug, Clone, PartialEq, Eq)]
#[expect(
    clippy::struct_excessive_bools,
    reason = "each is a parameter of its own, and all combinations are valid"
)]
pub struct Policy {
    /// The mode of this stack.
    pub mode: Mode,
    /// The merchant whose events are this stack's, if an account has several.
    pub merchant_id: Option<String>,
    /// The sales that belong to this shop.
    pub shop: ShopFilter,
    /// The refunds that put goods back in stock.
    pub restock: RestockPolicy,
    /// The merchant's choice about a partly paid order.
    pub part_payment: PartPayment,
    /// Decides whether one-time access outlives its money.
    pub access: AccessPolicies,
    /// The effect of renewals on stock.
    pub renewal_stock: RenewalStock,
    /// True if an open checkout session reserves the goods of its order.
    pub reserve_stock: bool,
    /// The time that access lasts after a renewal's payment first fails.
    pub grace: SignedDuration,
    /// True if a failed payment of a renewal or an invoice causes a mail.
    pub payment_failed_mail: bool,
    /// True if goods that the provider reports as sent, or as ready to be picked up, cause a mail.
    pub shipment_mail: bool,
    /// True if the end of a trial causes a mail.
    pub trial_ends_mail: bool,
    /// The version of this bundle, which each order names.
    pub bundle: &'static str,
}

/// The result of the rules for one event.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Decision {
    Write(Box<Commit>),
    /// The event changes nothing. A receipt for the same facts may still be unsent.
    Nothing {
        /// The receipts of an earlier event that stated the same facts.
        unsent: Vec<ReceiptId>,
    },
    /// Write the facts, if there are any, and look again later: another event has to come first.
    Wait {
        /// It does not end the event.
        commit: Option<Box<Commit>>,
        /// The reason to park the event if the other event never comes.
        park_reason: ParkReason,
    },
    /// Let a person decide.
    Park(ParkReason),
    /// The sale needs nothing here.
    NotNeeded {
        /// Marks its payments and subscription. It does not end the event.
        commit: Option<Box<Commit>>,
        reason: NotNeeded,
    },
}

/// The reason that a person must decide. Each is stored on the event, logged and alarmed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ParkReason {
    /// The event says completed; the provider's API says otherwise.
    #[error("the sale is `{0}`, not complete")]
    NotComplete(String),
    /// A sale of a mode that no rule fulfills.
    #[error("sales of mode `{0}` are not fulfilled")]
    ModeNotFulfilled(String),
    /// Test money on a live stack, or live money on a test stack.
    #[error("a {facts}-mode {what} reached a {stack}-mode stack")]
    OtherMode {
        /// The kind of object.
        what: &'static str,
        /// The mode of the object.
        facts: Mode,
        stack: Mode,
    },
    /// Money in another currency than its order's. Nothing is converted.
    #[error("a {what} in {} is about an order in {}", .stated.code(), .order.code())]
    OtherCurrency {
        /// The kind of object.
        what: &'static str,
        stated: Currency,
        order: Currency,
    },
    /// The stored body does not name its subject.
    #[error("the event does not name what it is about")]
    NoSubject,
    /// The event announces the money; the provider's API does not confirm it.
    #[error("the payment is announced as received, and the provider does not have it")]
    NotReceived,
    /// A subscription is paid for, and neither events nor the API name its product.
    #[error("no product is named for the paid subscription")]
    NoProduct,
    /// A member of the event that has an effect is not understood.
    #[error("{0}")]
    NotUnderstood(Unreadable),
    /// The provider reported an exception, or a part of the money went back too early. Only a person ends it.
    #[error(
        "order {0} has an exception or a partial refund: resolve or accept it, then release this event"
    )]
    OrderException(OrderId),
    /// A checkout session has ended, and neither its event nor the API states a reason that is understood.
    #[error(
        "checkout session {0} ended for an unknown reason: check its order, then release this event"
    )]
    UnclearSession(CheckoutSessionId),
    /// The order, or its payment, has not come.
    #[error("no paid order is known for this {0}")]
    OrderUnknown(&'static str),
    /// The provider lists a refund that is not understood. Those beside it are written.
    #[error("a listed refund{} is not understood: {}", in_brackets(.0.refund_id.as_ref()), .0.why)]
    UnclearRefund(UnclearRefund),
    /// The event announces a refund; the provider's API lists none.
    #[error("the provider reports no refund")]
    NoRefund,
    /// The event ends a subscription that the provider's API shows as alive.
    #[error("the subscription has ended, by this event, and is `{0}`, by the provider's API")]
    Contradicted(String),
    /// The provider's answer cannot be read.
    #[error("{0}")]
    NotRead(ReadError),
    /// The order exceeds the size of a row. No part of it is written.
    #[error("an order of {lines} lines does not fit into a row")]
    TooLarge {
        /// The lines of the order.
        lines: usize,
    },
    /// An identifier in the answer cannot be stored.
    #[error("{0}")]
    BadId(#[from] BadId),
}

fn in_brackets(id: Option<&RefundId>) -> String {
    id.map(|id| format!(" ({id})")).unwrap_or_default()
}

/// The time to wait before a park reason parks the event.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Patience {
    /// Waiting cannot help.
    None,
    /// Some minutes: the provider's announcement can be ahead of its API.
    Short,
    /// As long as the queue delivers: another event has to come first, and events come late.
    Long,
}

impl ParkReason {
    /// The time that waiting may help. A wrong address or a gateway's error page looks like an unknown sale.
    #[must_use]
    pub fn patience(&self) -> Patience {
        match self {
            Self::NotComplete(_)
            | Self::NotReceived
            | Self::NoProduct
            | Self::NoRefund
            | Self::UnclearRefund(_)
            | Self::Contradicted(_)
            | Self::NotRead(ReadError::NotUnderstood(_)) => Patience::Short,
            Self::NotRead(ReadError::Permanent { status, .. }) if *status == 404 => Patience::Short,
            Self::OrderUnknown(_) => Patience::Long,
            Self::NotRead(_)
            | Self::ModeNotFulfilled(_)
            | Self::OtherMode { .. }
            | Self::OtherCurrency { .. }
            | Self::NoSubject
            | Self::OrderException(_)
            | Self::UnclearSession(_)
            | Self::NotUnderstood(_)
            | Self::TooLarge { .. }
            | Self::BadId(_) => Patience::None,
        }
    }
}

impl From<&ParkReason> for Class {
    fn from(park_reason: &ParkReason) -> Self {
        match park_reason {
            ParkReason::NotComplete(_) | ParkReason::NotReceived => Self::NotComplete,
            ParkReason::ModeNotFulfilled(_) => Self::NotFulfilled,
            ParkReason::OtherMode { .. } => Self::OtherMode,
            ParkReason::OtherCurrency { .. } => Self::OtherCurrency,
            ParkReason::NoSubject => Self::NoSubject,
            ParkReason::NotUnderstood(_)
            | ParkReason::UnclearRefund(_)
            | ParkReason::UnclearSession(_) => Self::Unreadable,
            ParkReason::OrderUnknown(_) => Self::OrderUnknown,
            ParkReason::OrderException(_) => Self::Exception,
            ParkReason::NoRefund => Self::NoRefund,
            ParkReason::Contradicted(_) => Self::Contradicted,
            ParkReason::NotRead(_) | ParkReason::NoProduct => Self::NotRead,
            ParkReason::TooLarge { .. } => Self::TooLarge,
            ParkReason::BadId(_) => Self::BadId,
        }
    }
}

/// The park reason for an object of the other mode. An object without a mode passes: its endpoint's secret is of one
/// mode.
pub(crate) fn of_other_mode(
    what: &'static str,
    facts: Option<Mode>,
    stack: Mode,
) -> Option<ParkReason> {
    facts
        .filter(|facts| *facts != stack)
        .map(|facts| ParkReason::OtherMode { what, facts, stack })
}

/// The park reason for money in another currency than its order's.
pub(crate) fn of_other_currency(
    what: &'static str,
    stated: Currency,
    order: Currency,
) -> Option<ParkReason> {
    (stated != order).then_some(ParkReason::OtherCurrency {
        what,
        stated,
        order,
    })
}

/// The reason that a rule stops before its decision.
#[derive(Debug)]
enum Stop {
    Need(Need),
    Park(ParkReason),
    NotNeeded(NotNeeded),
}

impl From<Need> for Stop {
    fn from(need: Need) -> Self {
        Self::Need(need)
    }
}

impl From<ParkReason> for Stop {
    fn from(park_reason: ParkReason) -> Self {
        Self::Park(park_reason)
    }
}

impl From<BadId> for Stop {
    fn from(bad: BadId) -> Self {
        Self::Park(bad.into())
    }
}

/// Decides a change, or names the next read.
///
/// The same arguments give the same answer, so a job may run again at any time.
pub fn decide(case: &Case<'_>, change: &Change) -> Result<Decision, Need> {
    match decide_change(case, change).and_then(|decision| with_receipts(case, decision)) {
        Ok(decision) => Ok(decision),
        Err(Stop::Park(park_reason)) => Ok(Decision::Park(park_reason)),
        Err(Stop::NotNeeded(reason)) => Ok(Decision::NotNeeded {
            commit: None,
            reason,
        }),
        Err(Stop::Need(need)) => Err(need),
    }
}

fn decide_change(case: &Case<'_>, change: &Change) -> Result<Decision, Stop> {
    let merchant_id = case.policy.merchant_id.as_deref();
    if let Some(reason) = case.scope.not_ours(case.policy.mode, merchant_id) {
        return Err(Stop::NotNeeded(reason.into()));
    }
    match change {
        Change::Sale {
            order_id,
            completed,
        } => {
            let completed = *completed;
            sale::decide(case, order_id, About::Sale { completed })
        }
        Change::SalePaid { order_id } => sale::decide(case, order_id, About::Paid),
        Change::Payment(change) => payment::decide(case, change),
        Change::Exception { order_id } => sale::decide(case, order_id, About::Exception),
        Change::Fulfillment(change) => shipment::decide(case, change),
        Change::Resource(change) => resource::decide(case, change),
        Change::Refund(change) => refund::decide(case, change),
        Change::Dispute(change) => dispute::decide(case, change),
        Change::Subscription(change) => subscription::decide(case, change),
        Change::Invoice(change) => invoice::decide(case, change),
        Change::Customer(change) => contact::decide(case, change),
        Change::Fetch(reference) => decide_fetched(case, reference),
        Change::NotUnderstood(why) => Err(ParkReason::NotUnderstood(why.clone()).into()),
        Change::NotNeeded | Change::Unhandled => Err(ParkReason::NoSubject.into()),
    }
}

/// Decides about a thing that the event names and does not describe, by the provider's answer.
fn decide_fetched(case: &Case<'_>, reference: &Reference) -> Result<Decision, Stop> {
    if let Reference::Sale(order_id) = reference {
        return sale::decide(case, order_id, About::State);
    }
    if is_stale(case, reference)? {
        return Ok(Decision::Nothing { unsent: Vec::new() });
    }
    let fetched = case.known.fetched(reference)?;
    let case = &Case {
        stated_at: fetched.asked_at,
        ..*case
    };
    match fetched.answer.clone()? {
        Answer::Refunds(refunds) => refund::decide_list(case, reference, &refunds),
        Answer::Change(change) if !matches!(*change, Change::Fetch(_)) => {
            decide_change(case, &change)
        }
        Answer::SaleOfPayment(Some(order_id)) => sale::decide(case, &order_id, About::State),
        Answer::SaleOfPayment(None) => Err(ParkReason::OrderUnknown("payment").into()),
        Answer::Change(_) | Answer::Sale(_) | Answer::Renewal(_) => {
            Err(ParkReason::NoSubject.into())
        }
    }
}

/// True if the row has newer facts than the event announces. With equal stamps the thing is fetched again.
fn is_stale(case: &Case<'_>, reference: &Reference) -> Result<bool, Stop> {
    let Some(announced) = case.stamp else {
        return Ok(false);
    };
    let known = match reference {
        Reference::Payment(id) => {
            let rows = case.known.rows(&ReadSet {
                links: vec![id.clone()],
                ..ReadSet::default()
            })?;
            let facts = rows.links.get(id).and_then(|link| link.facts.as_ref());
            facts.map(|facts| facts.stamp)
        }
        Reference::Subscription(id) => {
            let Some(customer_id) = case.known.customer_of(id)? else {
                return Ok(false);
            };
            let rows = case.known.rows(&ReadSet {
                subscription: Some((customer_id.clone(), id.clone())),
                ..ReadSet::default()
            })?;
            let snapshot = rows.subscription.as_ref();
            let snapshot = snapshot.and_then(|row| row.snapshot.as_ref());
            snapshot.map(|facts| facts.stamp)
        }
        _ => None,
    };
    let is_stale = known.is_some_and(|known| announced < known);
    match reference {
        Reference::Payment(id) if is_stale => Ok(!asks_a_person(case, id)?),
        _ => Ok(is_stale),
    }
}

/// True if the event has asked a person about the order of this payment: it is decided again, and waits for that.
fn asks_a_person(case: &Case<'_>, id: &PaymentIntentId) -> Result<bool, Stop> {
    let rows = case.known.rows(&ReadSet {
        links: vec![id.clone()],
        ..ReadSet::default()
    })?;
    let Some(order_id) = rows.links.get(id).and_then(|link| link.order_id.as_ref()) else {
        return Ok(false);
    };
    let rows = case.known.rows(&ReadSet::of_order(order_id))?;
    let order = rows.order.as_ref();
    Ok(order.is_some_and(|order| sale::asks(case, order)))
}

/// The decision with its receipts as they are stored. If nothing is to be written, receipts that are not sent are queued
/// again.
fn with_receipts(case: &Case<'_>, decision: Decision) -> Result<Decision, Stop> {
    match decision {
        Decision::Write(commit) => Ok(Decision::Write(to_write(case, commit)?)),
        Decision::Wait {
            commit: Some(commit),
            park_reason,
        } => Ok(Decision::Wait {
            commit: Some(to_write(case, commit)?),
            park_reason,
        }),
        Decision::Nothing { mut unsent } => {
            let rows = case.known.rows(&ReadSet::of_receipts(unsent.clone()))?;
            let is_unfinished = |id: &ReceiptId| {
                let receipt = rows.receipts.get(id);
                receipt.is_some_and(crate::receipt::Receipt::is_unfinished)
            };
            unsent.retain(is_unfinished);
            Ok(Decision::Nothing { unsent })
        }
        decision @ (Decision::Wait { .. } | Decision::Park(_) | Decision::NotNeeded { .. }) => {
            Ok(decision)
        }
    }
}

/// The commit as it is written: with the receipts that do not exist, the movements of money, the version that writes
/// it, and what a person must hear of. A receipt that exists is not written again: the order's row may have been restored to an earlier point.
fn to_write(case: &Case<'_>, mut commit: Box<Commit>) -> Result<Box<Commit>, Stop> {
    let receipts = ReadSet::of_receipts(commit.receipt_ids());
    let money = movements::news(case, commit.order.as_ref())?;
    let rows = case
        .known
        .rows(&receipts.and(movements::read_set(&money)))?;
    commit.resources.extend(movements::rows(&money, rows));
    commit
        .receipts
        .retain(|receipt| !rows.receipts.contains_key(&receipt.receipt_id));
    if let Some(order) = &mut commit.order {
        case.policy.bundle.clone_into(&mut order.bundle);
        commit.alerts = Alerts::between(rows.order.as_ref(), order);
        // A commit writes the contact's row, or checks it. An erasure has found an order whose row names the customer.
        let known = rows.order.as_ref();
        let known = known.filter(|known| known.order_id == order.order_id);
        let known = known.and_then(|known| known.customer.customer_id.clone());
        let customer_id = order.customer.customer_id.clone();
        let has_data = !order.is_erased && commit.contact.is_none() && known != customer_id;
        commit.unless_erased = customer_id.filter(|_| has_data);
    }
    let done = commit.done();
    if let Some(order) = &mut commit.order {
        order.event_history.push(DecidedEvent {
            event_id: case.event.event_id.clone(),
            event_type: case.event.event_type.clone(),
            at: case.now,
            done,
        });
    }
    for receipt in &mut commit.receipts {
        receipt.provider = Some(case.event.provider.clone());
    }
    commit.announced = announced::announced(case, rows, &commit);
    Ok(commit)
}

/// The order of a payment: by its link, else by the provider's answer. Else by the invoice of its refund, whose id a
/// renewal has as an order. If the provider does not answer, the order may still come.
fn order_of_payment(
    case: &Case<'_>,
    payment: &PaymentIntentId,
    refund: Option<&RefundChange>,
) -> Result<Option<Order>, Stop> {
    let links = ReadSet {
        links: vec![payment.clone()],
        ..ReadSet::default()
    };
    let link = case.known.rows(&links)?.links.get(payment);
    if link.is_some_and(|link| link.other_shop) {
        return Err(Stop::NotNeeded(NotNeeded::OtherShop));
    }
    let mut order_id = link.and_then(|link| link.order_id.clone());
    if order_id.is_none() {
        if let Some(id) = refund.and_then(|change| change.subscription_id.as_ref()) {
            other_shop::stop_if_marked(case, id)?;
        }
        let reference = Reference::SaleOfPayment(payment.clone());
        if let Ok(Answer::SaleOfPayment(found)) = &case.known.fetched(&reference)?.answer {
            order_id.clone_from(found);
        }
    }
    let invoice = refund.and_then(|change| change.facts.invoice_id.as_ref());
    let Some(id) = order_id.clone().or_else(|| invoice.map(OrderId::from)) else {
        return Ok(None);
    };
    let order = case.known.rows(&ReadSet::of_order(&id))?.order.clone();
    if let (None, Some(sale)) = (&order, &order_id) {
        other_shop::stop_if_other(case, sale)?;
    }
    Ok(order)
}

impl Decision {
    fn write(commit: Commit) -> Self {
        Self::Write(Box::new(commit))
    }

    /// Waits, and writes no facts.
    fn wait(park_reason: ParkReason) -> Self {
        Self::Wait {
            commit: None,
            park_reason,
        }
    }
}

impl ParkReason {
    /// Why a person must decide, if the provider's API refuses. An error that may pass is returned as such.
    pub fn from_read_error(error: ReadError) -> Result<Self, RetryableError> {
        match error {
            ReadError::Transient(error) => Err(error),
            ReadError::KeyRefused { status } => Err(RetryableError::SetUp {
                service: "the provider's API",
                cause: format!("it answers our API key with {status}"),
            }),
            error @ (ReadError::Permanent { .. } | ReadError::NotUnderstood(_)) => {
                Ok(Self::NotRead(error))
            }
        }
    }
}

impl fmt::Display for Decision {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Write(commit) => commit.fmt(f),
            Self::Nothing { .. } => f.write_str("nothing to do"),
            Self::Wait {
                commit: None,
                park_reason,
            } => write!(f, "wait: {park_reason}"),
            Self::Wait {
                commit: Some(commit),
                park_reason,
            } => write!(f, "{commit}, then wait: {park_reason}"),
            Self::Park(park_reason) => write!(f, "park: {park_reason}"),
            Self::NotNeeded { reason, .. } => write!(f, "not needed: {reason}"),
        }
    }
}

#[cfg(test)]
mod any_order;
#[cfg(test)]
pub(crate) mod testing;
#[cfg(test)]
mod tests;
