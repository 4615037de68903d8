//! A checkout: one order, and once it is paid for its stock movements and one receipt.

use crate::fulfillment::{
    Decision, ParkReason, Policy, of_other_mode,
    subscription::{notice_of_trial, notices_of_failure},
};
use crate::{
    access::subscription::{Beginning, Subscription},
    delivery::stored_event::StoredEvent,
    fulfillment::{
        commit::Commit,
        read_set::{ReadSet, Snapshot},
    },
    receipt::Receipt,
    sale::{
        checkout::{Capture, Checkout, CheckoutKind, CheckoutStatus, LineItem},
        merchant_reference::MerchantReference,
        order::{Order, OrderFunds, OrderLine, Shortfall},
        payment::{self, Link},
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

/// The rows that a checkout is decided on, but for the order itself. The shelves are among them, unless mapping rows
/// must tell which.
#[must_use]
pub fn read_set(checkout: &Checkout) -> ReadSet {
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

/// The shelves that it is decided on, once the mapping rows are read.
#[must_use]
pub fn stock_read_set(checkout: &Checkout, rows: &Snapshot) -> ReadSet {
    let skus = stock::skus(&checkout.lines, &rows.mapping);
    ReadSet {
        stock_levels: (!skus.is_empty()).then(|| (checkout.order_id.clone(), skus)),
        ..ReadSet::default()
    }
}

/// Whether a checkout that is not paid for was read too early: something was heard of its payments since.
#[must_use]
pub fn read_too_early(decision: &Decision, rows: &Snapshot, read_at: Timestamp) -> bool {
    let waits = match decision {
        Decision::Write(commit)
        | Decision::Wait {
            commit: Some(commit),
            ..
        } => !commit.fulfills(),
        Decision::Nothing { .. } | Decision::Wait { commit: None, .. } => true,
        Decision::Park(_) => false,
    };
    waits
        && rows
            .links
            .values()
            .any(|link| link.heard_at >= Some(whole_second(read_at)))
}

/// What is known of each payment: by the API now, by events before.
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

/// Where the money of a finished checkout is: what its payments say, where that is known, else what the session says.
fn funds(
    checkout: &Checkout,
    payments: &BTreeMap<PaymentIntentId, Fact<payment::PaymentFacts>>,
) -> OrderFunds {
    let received = checkout.received.unwrap_or_default() > 0;
    if checkout.received.unwrap_or_default() >= checkout.totals.total {
        // All of it, or there is nothing to pay: whatever has become of other tries.
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
    // A split cart's other card, or an earlier try, may be given up: what counts is that none is left.
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

/// Decides what a checkout means that has not been fulfilled. `rows` are those of [`read_set`] and [`stock_read_set`],
/// and the order if there is one; `completed` is whether the event says so.
///
/// The same arguments give the same answer, so a job may run at any time again.
#[must_use]
pub fn decide(
    event: &StoredEvent,
    completed: bool,
    checkout: &Checkout,
    rows: &Snapshot,
    policy: &Policy,
    now: Timestamp,
) -> Decision {
    if let Some(park_reason) = of_other_mode("checkout", Some(checkout.mode), policy.mode) {
        return Decision::Park(park_reason);
    }
    if let CheckoutKind::Other(kind) = &checkout.kind {
        return Decision::Park(ParkReason::ModeNotFulfilled(kind.clone()));
    }
    let payments = payments(checkout, rows, now);
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
        // Nothing was ever bought: a checkout that was left is no order.
        (CheckoutStatus::Expired, None) => return not_complete("expired"),
        (CheckoutStatus::Canceled, None) => return not_complete("canceled"),
        (CheckoutStatus::Open, _) => return not_complete("open"),
        (CheckoutStatus::Other(word), _) => return not_complete(word),
    };
    let decided = if funds == OrderFunds::Received {
        fulfill(event, checkout, payments, rows, policy, now)
    } else {
        wait(event, checkout, payments, funds, rows, now)
    };
    decided.unwrap_or_else(Decision::Park)
}

/// Decides what it means that a delayed payment has arrived. As [`decide`]; but while the provider's API does not know
/// of the money there is somebody to ask again.
#[must_use]
pub fn decide_paid(
    event: &StoredEvent,
    checkout: &Checkout,
    rows: &Snapshot,
    policy: &Policy,
    now: Timestamp,
) -> Decision {
    match decide(event, true, checkout, rows, policy, now) {
        Decision::Write(commit) if !commit.fulfills() => Decision::Wait {
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
    event: &StoredEvent,
    checkout: &Checkout,
    payments: BTreeMap<PaymentIntentId, Fact<payment::PaymentFacts>>,
    funds: OrderFunds,
    rows: &Snapshot,
    now: Timestamp,
) -> Result<Decision, ParkReason> {
    let bought = checkout
        .lines
        .iter()
        .map(|line| order_line(line, LineStock::Waiting))
        .collect();
    let order = Order {
        funds,
        ..order(event, checkout, payments, bought, rows)
    };
    if rows
        .order
        .as_ref()
        .is_some_and(|known| same_but_for_times(known, &order))
    {
        return Ok(Decision::Nothing { unsent: Vec::new() });
    }
    let links = links(&order, rows, now);
    written(Commit {
        order: Some(order),
        links,
        ..Commit::of(event.event_id.clone())
    })
}

/// Whether nothing but our having looked again is new.
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
    event: &StoredEvent,
    checkout: &Checkout,
    payments: BTreeMap<PaymentIntentId, Fact<payment::PaymentFacts>>,
    rows: &Snapshot,
    policy: &Policy,
    now: Timestamp,
) -> Result<Decision, ParkReason> {
    let receipt = Receipt::for_order(&checkout.order_id, now)?;
    let plan = stock::plan(
        &checkout.order_id,
        &checkout.lines,
        &rows.mapping,
        &rows.stock_levels,
        now,
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
    // Whoever gives one reference to so many orders does not number orders with it.
    let numbered = rows
        .reference
        .iter()
        .filter(|reference| reference.order_ids.len() < MerchantReference::MOST);
    let others = numbered.flat_map(|reference| &reference.order_ids);
    let order = Order {
        funds: OrderFunds::Received,
        fulfilled_at: Some(now),
        shortfalls,
        receipt_id: Some(receipt.receipt_id.clone()),
        same_reference: others
            .filter(|id| **id != checkout.order_id)
            .cloned()
            .collect(),
        ..order(event, checkout, payments, lines, rows)
    };
    let mut receipts = vec![receipt];
    let subscription = begun(checkout, &order, rows);
    let subscription = match subscription {
        Some(mut subscription) => {
            receipts.extend(notice_of_trial(&mut subscription, policy, now)?);
            receipts.extend(notices_of_failure(&mut subscription, &order, policy, now)?);
            subscription.version += 1;
            Some(subscription)
        }
        None => None,
    };
    written(Commit {
        links: links(&order, rows, now),
        reference: reference(&order, rows),
        subscription,
        receipts,
        deductions: plan.to_write,
        order: Some(order),
        ..Commit::of(event.event_id.clone())
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

/// An order of this checkout, in its next version: what both kinds have in common.
fn order(
    event: &StoredEvent,
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
    let placed_at = event
        .occurred_at
        .or(checkout.created_at)
        .unwrap_or(event.received_at);
    Order {
        order_id: checkout.order_id.clone(),
        version: known.map_or(1, |known| known.version + 1),
        provider: checkout.provider,
        client_reference_id: checkout.client_reference_id.clone(),
        mode: checkout.mode,
        // The first news of its completion dates the sale, not the money's arrival days later.
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

/// The links that lead from its payments to the order. Written with the order, each under its own condition, so that
/// news of a payment that come meanwhile are noticed.
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
fn begun(checkout: &Checkout, order: &Order, rows: &Snapshot) -> Option<Subscription> {
    let customer_id = checkout.customer.customer_id.clone()?;
    let id = checkout.subscription_id.clone()?;
    let known = rows.subscription.clone();
    let mut subscription =
        known.unwrap_or_else(|| Subscription::new(checkout.provider, customer_id, id));
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
    /// Whether a line has no SKU, which a person should mend.
    #[must_use]
    pub fn has_unmapped_lines(&self) -> bool {
        self.lines
            .iter()
            .any(|line| line.stock == LineStock::Unmapped)
    }
}

#[cfg(test)]
mod tests;
