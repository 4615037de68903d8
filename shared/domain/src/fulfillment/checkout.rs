//! A checkout: one order, and once it is paid for its stock movements and one receipt.

use crate::{
    access::subscription::{Beginning, Subscription},
    delivery::{answer::Answer, reference::Reference},
    fulfillment::{
        Decision, ParkReason, Stop,
        commit::Commit,
        known::{Case, Need},
        notice::{notice_of_trial, notices_of_failure},
        of_other_mode,
        read_set::{ReadSet, Snapshot},
    },
    receipt::Receipt,
    sale::{
        checkout::{Capture, Checkout, CheckoutKind, CheckoutStatus, LineItem},
        merchant_reference::MerchantReference,
        order::{Order, OrderFunds, OrderLine, Shortfall},
        payment::{self, Link, PaymentChange, PaymentFacts},
        stock::{self, LineStock},
    },
    values::{
        facts::{Fact, whole_second},
        ids::{OrderId, PaymentIntentId},
    },
};
use jiff::Timestamp;
use std::collections::BTreeMap;

/// The largest order that is written. A DynamoDB item holds 400 KB
/// (<https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/Constraints.html>); our sum is an upper bound.
pub(super) const MAX_ORDER_BYTES: usize = 380_000;
/// How often a checkout is fetched at most for one decision.
const READINGS: u32 = 3;

/// The rows that decide a checkout, except the order itself. The stock levels are among them, unless mapping rows must
/// name them first.
#[must_use]
pub(super) fn read_set(checkout: &Checkout) -> ReadSet {
    let customer_id = checkout.customer.customer_id.clone();
    let mapping = stock::unnamed(&checkout.lines);
    let stock_levels = if mapping.is_empty() {
        stock_read_set(checkout, &Snapshot::default()).stock_levels
    } else {
        None
    };
    ReadSet {
        links: checkout.payment_intents.clone(),
        reference: checkout.client_reference_id.clone(),
        subscription: customer_id.zip(checkout.subscription_id.clone()),
        mapping,
        stock_levels,
        ..ReadSet::default()
    }
}

/// The stock levels that decide it, once the mapping rows are read.
#[must_use]
pub(super) fn stock_read_set(checkout: &Checkout, rows: &Snapshot) -> ReadSet {
    let skus = stock::skus(&checkout.lines, &rows.mapping);
    ReadSet {
        stock_levels: (!skus.is_empty()).then(|| (checkout.order_id.clone(), skus)),
        ..ReadSet::default()
    }
}

/// True if an unpaid checkout was read too early: an event about one of its payments came after the read.
fn read_too_early(decision: &Decision, rows: &Snapshot, read_at: Timestamp) -> bool {
    let waits = match decision {
        Decision::Write(commit)
        | Decision::Wait {
            commit: Some(commit),
            ..
        } => !commit.fulfills,
        Decision::Nothing { .. } | Decision::Wait { commit: None, .. } => true,
        Decision::Park(_) => false,
    };
    waits
        && rows
            .links
            .values()
            .any(|link| link.heard_at >= Some(whole_second(read_at)))
}

/// The facts of a payment that the event states.
pub(super) fn stated_facts(case: &Case<'_>, change: &PaymentChange) -> Option<Fact<PaymentFacts>> {
    let facts = change.facts.clone();
    facts.map(|facts| Fact::new(case.stated_at, facts))
}

/// The rows of a checkout with a change of one of its payments in them. The provider's API may not have the change: it
/// may lag behind its own events, or its payments could not be read.
fn noted(case: &Case<'_>, change: &PaymentChange, mut rows: Snapshot) -> Snapshot {
    let id = &change.payment_intent_id;
    let link = rows
        .links
        .remove(id)
        .unwrap_or_else(|| Link::new(id.clone()));
    rows.links.insert(
        id.clone(),
        link.with(stated_facts(case, change), case.stated_at),
    );
    rows
}

/// The facts of each payment: from the API's answer of now, and from earlier events.
fn payments(
    checkout: &Checkout,
    rows: &Snapshot,
    now: Timestamp,
) -> BTreeMap<PaymentIntentId, Fact<payment::PaymentFacts>> {
    let mut known = rows
        .order
        .as_ref()
        .map(|order| order.payments.clone())
        .unwrap_or_default();
    for id in &checkout.payment_intents {
        let mut facts = known.remove(id);
        payment::merge(
            &mut facts,
            rows.links.get(id).and_then(|link| link.facts.clone()),
        );
        payment::merge(
            &mut facts,
            checkout
                .payments
                .get(id)
                .map(|facts| Fact::new(now, facts.clone())),
        );
        if let Some(facts) = facts {
            known.insert(id.clone(), facts);
        }
    }
    known
}

/// The state of a finished checkout's money: from its payments if they are known, else from the session.
fn funds(
    checkout: &Checkout,
    payments: &BTreeMap<PaymentIntentId, Fact<payment::PaymentFacts>>,
) -> OrderFunds {
    let received = checkout.received.unwrap_or_default() > 0;
    if checkout.received.unwrap_or_default() >= checkout.totals.total {
        // All of it, or there is nothing to pay. Other tries do not matter.
        return OrderFunds::Received;
    }
    let any = |read_set: fn(&payment::PaymentStatus) -> bool| {
        payments.values().any(|facts| read_set(&facts.value.status))
    };
    if any(|status| *status == payment::PaymentStatus::RequiresCapture) {
        return OrderFunds::Authorized;
    }
    if any(|status| *status == payment::PaymentStatus::Processing) {
        return OrderFunds::Processing;
    }
    if received || any(|status| *status == payment::PaymentStatus::Succeeded) {
        return OrderFunds::Received;
    }
    // A split cart's other card, or an earlier try, may be given up: only an open try matters.
    if !payments.is_empty() && payments.len() == checkout.payment_intents.len() {
        if payments
            .values()
            .all(|facts| facts.value.status == payment::PaymentStatus::Canceled)
        {
            return if checkout.capture == Capture::Manual {
                OrderFunds::Expired
            } else {
                OrderFunds::Failed
            };
        }
        if any(|status| *status == payment::PaymentStatus::RequiresPaymentMethod) {
            return OrderFunds::Failed;
        }
        // Words that we do not know: they neither fail nor grant.
        return OrderFunds::Processing;
    }
    match checkout.capture {
        Capture::Automatic => OrderFunds::Received,
        Capture::Manual => OrderFunds::Authorized,
    }
}

/// The change that an event states about a checkout.
#[derive(Debug, Clone, Copy)]
pub(super) enum About<'a> {
    /// A change of the checkout; it may say that the checkout is completed.
    Checkout { completed: bool },
    /// A change of one of its payments.
    Payment(&'a PaymentChange),
    /// A delayed payment has arrived.
    Paid,
}

/// Decides a change of a checkout. A fulfilled checkout is done; any other is fetched from the provider.
pub(super) fn decide(
    case: &Case<'_>,
    order_id: &OrderId,
    about: About<'_>,
) -> Result<Decision, Stop> {
    let first = ReadSet {
        // Read with the order, since a decision about either needs it.
        receipts: vec![Receipt::for_order(order_id, case.now)?.receipt_id],
        ..ReadSet::of_order(order_id)
    };
    let known = case.known.rows(&first)?.order.as_ref();
    if let Some(order) = known.filter(|order| order.fulfilled_at.is_some()) {
        return Ok(Decision::Nothing {
            unsent: order.receipt_id.iter().cloned().collect(),
        });
    }
    let reference = Reference::Checkout(order_id.clone());
    let fetched = case.known.fetched(&reference)?;
    let Answer::Checkout(checkout) = fetched.answer.clone()? else {
        return Err(ParkReason::NoSubject.into());
    };
    let checkout = with_customer(case, *checkout)?;
    // Once more: an answer that is fetched again makes the rows be read again.
    case.known.rows(&first)?;
    let needed = read_set(&checkout);
    let mut rows = case.known.rows(&needed)?;
    if !needed.mapping.is_empty() {
        rows = case.known.rows(&stock_read_set(&checkout, rows))?;
    }
    let decision = match about {
        About::Checkout { completed } => decide_read(case, completed, &checkout, rows),
        About::Payment(change) => {
            let noted = noted(case, change, rows.clone());
            decide_read(case, false, &checkout, &noted)
        }
        About::Paid => decide_paid(case, &checkout, rows),
    };
    if fetched.times < READINGS && read_too_early(&decision, rows, fetched.asked_at) {
        return Err(Need::Fetch(reference).into());
    }
    Ok(decision)
}

/// The checkout with its customer: a checkout that starts a subscription may not name one.
fn with_customer(case: &Case<'_>, mut checkout: Checkout) -> Result<Checkout, Stop> {
    if let (None, Some(id)) = (&checkout.customer.customer_id, &checkout.subscription_id) {
        checkout.customer.customer_id = case.known.customer_of(id)?.cloned();
    }
    Ok(checkout)
}

/// Decides about a checkout as the provider's API has it. `rows` are those of [`read_set`] and [`stock_read_set`], and
/// the order if there is one; `completed` is whether the event says so.
pub(super) fn decide_read(
    case: &Case<'_>,
    completed: bool,
    checkout: &Checkout,
    rows: &Snapshot,
) -> Decision {
    if let Some(park_reason) = of_other_mode("checkout", Some(checkout.mode), case.policy.mode) {
        return Decision::Park(park_reason);
    }
    if let CheckoutKind::Other(kind) = &checkout.kind {
        return Decision::Park(ParkReason::ModeNotFulfilled(kind.clone()));
    }
    let payments = payments(checkout, rows, case.now);
    let not_complete = |word: &str| {
        if completed {
            Decision::Park(ParkReason::NotComplete(word.to_owned()))
        } else {
            Decision::Nothing { unsent: Vec::new() }
        }
    };
    let funds = match (&checkout.status, &rows.order) {
        (CheckoutStatus::Complete, _) => funds(checkout, &payments),
        (CheckoutStatus::Expired, Some(_)) => OrderFunds::Expired,
        (CheckoutStatus::Canceled, Some(_)) => OrderFunds::Canceled,
        // Nothing was ever bought: an abandoned checkout is no order.
        (CheckoutStatus::Expired, None) => return not_complete("expired"),
        (CheckoutStatus::Canceled, None) => return not_complete("canceled"),
        (CheckoutStatus::Open, _) => return not_complete("open"),
        (CheckoutStatus::Other(word), _) => return not_complete(word),
    };
    let decided = if funds == OrderFunds::Received {
        fulfill(case, checkout, payments, rows)
    } else {
        wait(case, checkout, payments, funds, rows)
    };
    decided.unwrap_or_else(Decision::Park)
}

/// Decides about a delayed payment that has arrived. As [`decide_read`], but if the provider's API does not know of the
/// money yet, the event waits.
fn decide_paid(case: &Case<'_>, checkout: &Checkout, rows: &Snapshot) -> Decision {
    match decide_read(case, true, checkout, rows) {
        Decision::Write(commit) if !commit.fulfills => Decision::Wait {
            commit: Some(Box::new(Commit {
                ends: false,
                ..*commit
            })),
            park_reason: ParkReason::NotReceived,
        },
        Decision::Nothing { .. } => Decision::Wait {
            commit: None,
            park_reason: ParkReason::NotReceived,
        },
        decided => decided,
    }
}

/// The order as it is not paid for yet.
fn wait(
    case: &Case<'_>,
    checkout: &Checkout,
    payments: BTreeMap<PaymentIntentId, Fact<payment::PaymentFacts>>,
    funds: OrderFunds,
    rows: &Snapshot,
) -> Result<Decision, ParkReason> {
    let bought = checkout
        .lines
        .iter()
        .map(|line| order_line(line, LineStock::Waiting))
        .collect();
    let order = Order {
        funds,
        ..order(case, checkout, payments, bought, rows)
    };
    if rows
        .order
        .as_ref()
        .is_some_and(|known| same_but_for_times(known, &order))
    {
        return Ok(Decision::Nothing { unsent: Vec::new() });
    }
    let links = links(&order, rows, case.now);
    written(Commit {
        order: Some(order),
        links,
        ..Commit::of(case.event.event_id.clone())
    })
}

/// True if only the times of the facts are new.
fn same_but_for_times(known: &Order, order: &Order) -> bool {
    let facts = |order: &Order| {
        let payments = order.payments.iter();
        payments
            .map(|(id, facts)| (id.clone(), facts.value.clone()))
            .collect::<Vec<_>>()
    };
    let bare = |order: &Order| Order {
        version: 0,
        payments: BTreeMap::new(),
        ..order.clone()
    };
    facts(known) == facts(order) && bare(known) == bare(order)
}

fn fulfill(
    case: &Case<'_>,
    checkout: &Checkout,
    payments: BTreeMap<PaymentIntentId, Fact<payment::PaymentFacts>>,
    rows: &Snapshot,
) -> Result<Decision, ParkReason> {
    let receipt = Receipt::for_order(&checkout.order_id, case.now)?;
    let plan = stock::plan(
        &checkout.order_id,
        &checkout.lines,
        &rows.mapping,
        &rows.stock_levels,
        case.now,
    );
    let shortfalls = plan
        .movements
        .iter()
        .filter(|movement| movement.short() > 0)
        .map(|movement| Shortfall {
            sku: movement.sku.clone(),
            missing: movement.short(),
        })
        .collect();
    let lines = checkout
        .lines
        .iter()
        .zip(plan.lines)
        .map(|(line, stock)| order_line(line, stock))
        .collect();
    // A reference with this many orders does not number orders.
    let numbered = rows
        .reference
        .iter()
        .filter(|reference| reference.order_ids.len() < MerchantReference::MOST);
    let others = numbered.flat_map(|reference| &reference.order_ids);
    let order = Order {
        funds: OrderFunds::Received,
        fulfilled_at: Some(case.now),
        shortfalls,
        receipt_id: Some(receipt.receipt_id.clone()),
        same_reference: others
            .filter(|id| **id != checkout.order_id)
            .cloned()
            .collect(),
        ..order(case, checkout, payments, lines, rows)
    };
    let mut receipts = vec![receipt];
    let subscription = begun(case, checkout, &order, rows);
    let subscription = match subscription {
        Some(mut subscription) => {
            receipts.extend(notice_of_trial(case, &mut subscription)?);
            receipts.extend(notices_of_failure(case, &mut subscription, &order)?);
            subscription.version += 1;
            Some(subscription)
        }
        None => None,
    };
    written(Commit {
        links: links(&order, rows, case.now),
        reference: reference(&order, rows),
        subscription,
        receipts,
        deductions: plan.to_write,
        order: Some(order),
        fulfills: true,
        ..Commit::of(case.event.event_id.clone())
    })
}

fn written(commit: Commit) -> Result<Decision, ParkReason> {
    match &commit.order {
        Some(order) if order.size_bound() > MAX_ORDER_BYTES => Err(ParkReason::TooLarge {
            lines: order.lines.len(),
        }),
        _ => Ok(Decision::Write(Box::new(commit))),
    }
}

/// An order of this checkout, in its next version: the common part of waiting and fulfilled orders.
fn order(
    case: &Case<'_>,
    checkout: &Checkout,
    payments: BTreeMap<PaymentIntentId, Fact<payment::PaymentFacts>>,
    lines: Vec<OrderLine>,
    rows: &Snapshot,
) -> Order {
    let known = rows.order.as_ref();
    let sum = checkout
        .lines
        .iter()
        .fold(0_i64, |sum, line| sum.saturating_add(line.amounts.total));
    let difference = sum.saturating_sub(checkout.totals.total);
    let placed_at = case
        .event
        .occurred_at
        .or(checkout.created_at)
        .unwrap_or(case.event.received_at);
    Order {
        order_id: checkout.order_id.clone(),
        version: known.map_or(1, |known| known.version + 1),
        provider: case.event.provider.clone(),
        client_reference_id: checkout.client_reference_id.clone(),
        mode: checkout.mode,
        // The first event of its completion dates the sale, not the money's arrival days later.
        placed_at: known.map_or(placed_at, |known| known.placed_at),
        funds: OrderFunds::default(),
        fulfilled_at: None,
        customer: checkout.customer.clone(),
        currency: checkout.currency,
        totals: checkout.totals,
        received: checkout.received,
        payment_intents: checkout.payment_intents.clone(),
        lines,
        difference: (difference != 0).then_some(difference),
        shortfalls: Vec::new(),
        receipt_id: None,
        payments,
        refunds: known.map(|known| known.refunds.clone()).unwrap_or_default(),
        disputes: known
            .map(|known| known.disputes.clone())
            .unwrap_or_default(),
        subscription_id: checkout.subscription_id.clone(),
        invoice_id: checkout.invoice_id.clone(),
        same_reference: Vec::new(),
        delivery_failures: known
            .map(|known| known.delivery_failures.clone())
            .unwrap_or_default(),
    }
}

/// The links that lead from its payments to the order. Each is written with the order, under its own condition. The
/// condition fails if an event about the payment comes in between.
fn links(order: &Order, rows: &Snapshot, now: Timestamp) -> Vec<Link> {
    let link = |id: &PaymentIntentId| {
        let known = rows
            .links
            .get(id)
            .cloned()
            .unwrap_or_else(|| Link::new(id.clone()));
        let facts = order.payments.get(id).cloned();
        Link {
            version: known.version + 1,
            order_id: Some(order.order_id.clone()),
            ..known.with(facts, now)
        }
    };
    order.payment_intents.iter().map(link).collect()
}

/// The reference's row with this order in it; `None` where there is nothing to add.
fn reference(order: &Order, rows: &Snapshot) -> Option<MerchantReference> {
    let text = order.client_reference_id.as_ref()?;
    let mut row = rows.reference.clone().unwrap_or_else(|| MerchantReference {
        reference: text.clone(),
        version: 0,
        order_ids: Vec::new(),
    });
    if row.order_ids.len() >= MerchantReference::MOST || row.order_ids.contains(&order.order_id) {
        return None;
    }
    row.order_ids.push(order.order_id.clone());
    row.version += 1;
    Some(row)
}

/// The subscription that began with this checkout, knowing so. Its access does not change: that is the invoices' and
/// its own events' to give.
fn begun(
    case: &Case<'_>,
    checkout: &Checkout,
    order: &Order,
    rows: &Snapshot,
) -> Option<Subscription> {
    let customer_id = checkout.customer.customer_id.clone()?;
    let id = checkout.subscription_id.clone()?;
    let known = rows.subscription.clone();
    let mut subscription =
        known.unwrap_or_else(|| Subscription::new(case.event.provider.clone(), customer_id, id));
    let order_id: OrderId = order.order_id.clone();
    subscription.learn_beginning(Beginning {
        order_id,
        invoice_id: checkout.invoice_id.clone(),
    });
    Some(subscription)
}

fn order_line(line: &LineItem, stock: LineStock) -> OrderLine {
    OrderLine {
        line_item_id: line.line_item_id.clone(),
        description: line.description.clone(),
        quantity: line.quantity,
        unit_amount: line.unit_amount,
        amounts: line.amounts,
        eligibility: line.eligibility.clone(),
        product_id: line.product_id.clone(),
        price_id: line.price_id.clone(),
        stock,
    }
}

impl Order {
    /// True if a line has no SKU. A person should then add the mapping row.
    #[must_use]
    pub fn has_unmapped_lines(&self) -> bool {
        self.lines
            .iter()
            .any(|line| line.stock == LineStock::Unmapped)
    }
}

#[cfg(test)]
mod tests;
