//! The end at Flint, held against what happened there.

use super::{
    is_of_flint,
    plan::{Fate, FlintLife, FlintOrder, FlintPlan, FlintTransaction},
};
use crate::{check::hold, plan::Plan};
use domain::{
    resource::{Resource, ResourceId},
    sale::stock::{Movement, RenewalStock},
};
use kit::prelude::*;

/// The end of Flint's orders, subscriptions and mirrored things.
pub fn end(kept: &Kept, plan: &Plan) -> Result<(), String> {
    let flint = &plan.flint;
    for facts in &flint.orders {
        of_order(kept, plan, facts)?;
    }
    let orders = kept.orders.keys().filter(|id| is_of_flint(id.as_str()));
    let is_planned = |id: &&OrderId| flint.orders.iter().any(|facts| facts.id == id.as_str());
    let strange = { orders }.find(|id| !is_planned(id));
    hold!(strange.is_none(), "I4: Flint has no order {strange:?}");
    for facts in &flint.lives {
        of_life(kept, plan, facts)?;
    }
    for facts in &flint.transactions {
        of_transaction(kept, facts)?;
    }
    let rows = kept.resources.values();
    let is_booked = |row: &&Resource| matches!(row, Resource::Transaction(row) if row.provider.as_str() == "flint");
    let (rows, booked) = (rows.filter(is_booked).count(), flint.transactions.len());
    hold!(rows == booked, "I2: {rows} rows of {booked} transactions");
    of_things(kept, flint)
}

/// True if the goods went out, false if they must not have; `None` if it depends on whether they went before a refund.
fn is_out(plan: &Plan, facts: &FlintOrder) -> Option<bool> {
    match facts.fate {
        Fate::Closed | Fate::Abandoned | Fate::Open => Some(false),
        Fate::PartlyPaid => Some(plan.policy.part_payment == PartPayment::Release),
        // A person releases an order of which a part of the money went back.
        _ if is_refunded(facts) => None,
        _ => Some(true),
    }
}

/// True if all of its money went back.
fn is_refunded(facts: &FlintOrder) -> bool {
    let mut refunds = facts.refunds.iter();
    refunds.any(|refund| refund.succeeded && refund.amount == facts.total)
}

fn state(facts: &FlintOrder) -> OrderState {
    let refunds = facts.refunds.iter().filter(|refund| refund.succeeded);
    match (facts.fate, refunds.map(|refund| refund.amount).sum::<i64>()) {
        (Fate::Closed, _) => OrderState::Waiting(OrderFunds::Canceled),
        (Fate::Abandoned | Fate::Open, _) => OrderState::Waiting(OrderFunds::Open),
        (Fate::PartlyPaid, _) => OrderState::PartlyPaid,
        (_, 0) => OrderState::Paid,
        (_, back) if back < facts.total => OrderState::PartlyRefunded,
        _ => OrderState::Refunded,
    }
}

fn of_order(kept: &Kept, plan: &Plan, facts: &FlintOrder) -> Result<(), String> {
    let id = &facts.id;
    let mut orders = kept.orders.values();
    let Some(order) = orders.find(|order| order.order_id.as_str() == id) else {
        // Nothing was ever bought, if it was closed before it was first read.
        hold!(facts.fate == Fate::Closed, "I1: no order {id}: {facts:?}");
        return Ok(());
    };
    let (found, expected) = (order.state(), state(facts));
    hold!(
        found == expected,
        "I1: order {id} is {found}, not {expected}: {:?}",
        facts.fate
    );
    hold!(
        order.paid() == facts.paid,
        "order {id} has {}, not {}",
        order.paid(),
        facts.paid
    );
    let went = order.fulfilled_at.is_some();
    let expected = is_out(plan, facts);
    hold!(
        expected.is_none_or(|expected| expected == went),
        "I1: order {id} is out: {went}, {:?}",
        facts.fate
    );
    hold!(
        order.exceptions.is_empty(),
        "I1: order {id} has the exceptions {:?}",
        order.exceptions
    );
    let known = order.payments.keys().map(PaymentIntentId::as_str);
    hold!(
        known.clone().collect::<BTreeSet<_>>()
            == facts.payments.iter().map(String::as_str).collect(),
        "order {id} has the payments {:?}, not {:?}",
        known.collect::<Vec<_>>(),
        facts.payments
    );
    let refunds = order.refunds.iter();
    let refunds = refunds.map(|(id, refund)| (id.as_str(), refund.facts.value.word.as_str()));
    let expected = facts.refunds.iter();
    let expected = expected.map(|refund| (refund.id.as_str(), refund.status));
    hold!(
        refunds.clone().eq(expected),
        "I1: order {id} has the refunds {:?}",
        refunds.collect::<Vec<_>>()
    );
    of_goods(kept, plan, facts, went)
}

/// What went out was taken once, and nothing is kept for an order that cannot be paid any more, or is paid.
fn of_goods(kept: &Kept, plan: &Plan, facts: &FlintOrder, went: bool) -> Result<(), String> {
    let id = &facts.id;
    let moves = !facts.renews || plan.policy.renewal_stock == RenewalStock::Move;
    let is_own = |moved: &&Movement| moved.order_id.as_str() == id;
    let own = || kept.movements.values().filter(is_own);
    let sold = own().filter(|moved| !moved.is_reserved);
    let sold: BTreeMap<_, _> = sold
        .map(|moved| (moved.sku.clone(), moved.quantity))
        .collect();
    let expected = if went && moves {
        facts.goods.clone()
    } else {
        BTreeMap::new()
    };
    hold!(
        sold == expected,
        "I2: order {id} moved {sold:?}, not {expected:?}: {:?}",
        facts.fate
    );
    let mut reserved = own().filter(|moved| moved.is_reserved && moved.deducted > 0);
    let is_waiting = !went && matches!(facts.fate, Fate::Open | Fate::PartlyPaid);
    let may_keep = is_waiting && plan.flint.reserves && !facts.sessions.is_empty();
    hold!(
        may_keep || reserved.next().is_none(),
        "I5: a reservation leaks: order {id}, {:?}: {:?}",
        facts.fate,
        own().collect::<Vec<_>>()
    );
    let is_restocked = is_refunded(facts) && plan.policy.restock != RestockPolicy::Never;
    for moved in own().filter(|moved| !moved.is_reserved) {
        let back = if is_restocked { moved.deducted } else { 0 };
        hold!(
            moved.restocked == back,
            "order {id}: {} {} are back, not {back}",
            moved.restocked,
            moved.sku
        );
    }
    Ok(())
}

/// The access follows from the last state. Until when a period that is not paid gave access before depends on what was
/// read then.
fn of_life(kept: &Kept, plan: &Plan, facts: &FlintLife) -> Result<(), String> {
    let id = &facts.id;
    let mut rows = kept.subscription_rows.values();
    let row = rows.find(|row| row.subscription_id.as_str() == id);
    let snapshot = row.and_then(|row| row.snapshot.as_ref());
    let status = snapshot.map(|snapshot| snapshot.value.status.to_string());
    hold!(
        status.as_deref() == Some(facts.status),
        "{id} is {status:?}, not {}",
        facts.status
    );
    let mut access = kept.entitlements.values();
    let access = access.find(|row| {
        row.customer_id.as_str() == facts.customer && row.product_id.as_str() == facts.product
    });
    let until = access.map(|row| row.access_until.as_second());
    let stopped_at = facts.stopped_at.unwrap_or(i64::MAX);
    let follows = match (facts.status, until) {
        ("active", until) => until == Some(facts.paid_until),
        (_, None) => false,
        ("past_due", Some(until)) => {
            let grace = plan.policy.grace.as_secs();
            until <= facts.paid_until.max(stopped_at.saturating_add(grace))
        }
        (_, Some(until)) => until <= facts.paid_until.min(stopped_at),
    };
    hold!(follows, "{facts:?} gives access until {until:?}");
    Ok(())
}

fn of_transaction(kept: &Kept, facts: &FlintTransaction) -> Result<(), String> {
    let mut rows = kept.resources.values();
    let row = rows.find_map(|row| match row {
        Resource::Transaction(row) if row.id.as_str() == facts.id => Some(row),
        _ => None,
    });
    let entry = row.and_then(|row| Some((row.status.get()?.as_str(), row.entry.get()?)));
    let known = entry.map(|(status, entry)| (status, entry.amount, entry.fee, entry.net));
    let net = facts.amount - facts.fee;
    hold!(
        known == Some((facts.status, facts.amount, facts.fee, net)),
        "I1: the transaction is {known:?}, not {facts:?}"
    );
    Ok(())
}

/// The mirrored things are as they were last. One that no event was about is unknown.
fn of_things(kept: &Kept, flint: &FlintPlan) -> Result<(), String> {
    let rows = kept.resources.iter();
    let known: BTreeMap<String, String> = rows
        .filter_map(|(id, row)| {
            let kind = match id {
                ResourceId::CheckoutSession(_) => "checkout-sessions",
                ResourceId::Invoice(_) => "invoices",
                ResourceId::PaymentMethod(_) => "payment-methods",
                _ => return None,
            };
            let status = match row {
                Resource::CheckoutSession(row) => row.status.get()?.to_string(),
                Resource::Invoice(row) => row.status.get()?.to_string(),
                Resource::PaymentMethod(row) => row.status.get()?.to_string(),
                _ => return None,
            };
            Some((format!("{kind}/{}", id.parts().1), status))
        })
        .collect();
    for (path, expected) in &flint.things {
        let status = known.get(path).map(String::as_str);
        let is_untold = *expected == "open" && path.starts_with("checkout-sessions/");
        hold!(
            status == Some(*expected) || is_untold && status.is_none(),
            "I1: {path} is {status:?}, not {expected}"
        );
    }
    Ok(())
}
