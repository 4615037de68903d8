//! The reference: what a shop must come to, by what happened at the provider's alone.
//!
//! Written apart from the rules and without them: it knows neither events nor merges, neither attempts nor rows.

use super::{
    flint_shop::plan::FlintPlan,
    plan::{LifeFacts, OrderFacts, Plan, RefundFacts},
};
use domain::{access::subscription::Reason, sale::stock::Movement, values::provider::Party};
use kit::prelude::*;

/// The mails of a shop, by the ids of their rows, each with the order that it is about.
#[derive(Debug, Default)]
pub struct Mails {
    /// Due: only a policy or an address may stop them.
    pub unsent: BTreeMap<String, String>,
    /// Notices of what may not be so any more when they would be sent.
    pub may_be: BTreeMap<String, String>,
    /// Notices of trials that are not called off: due if the shop knew in time.
    pub trials: BTreeMap<String, Trial>,
}

/// A trial that runs to its end.
#[derive(Debug)]
pub struct Trial {
    pub subscription: String,
    /// When it ends, in seconds since 1970.
    pub ends_at: i64,
}

impl Mails {
    /// The order that a mail is about.
    pub fn order(&self, id: &str) -> Option<&str> {
        self.unsent
            .get(id)
            .or_else(|| self.may_be.get(id))
            .map(String::as_str)
    }
}

pub fn state(order: &OrderFacts) -> OrderState {
    if order.funds != OrderFunds::Received {
        return OrderState::Waiting(order.funds);
    }
    match refunded(order) {
        0 => OrderState::Paid,
        back if back < order.total => OrderState::PartlyRefunded,
        _ => OrderState::Refunded,
    }
}

/// The amount that was refunded.
pub fn refunded(order: &OrderFacts) -> i64 {
    let refunds = order.refunds.iter();
    refunds
        .filter(|refund| refund.status == "succeeded")
        .map(|refund| refund.amount)
        .sum()
}

/// How many pieces of what was taken for an order are back on the shelf.
pub fn restocked(order: &OrderFacts, restock: RestockPolicy, sku: &Sku, moved: &Movement) -> i64 {
    let refunds = order.refunds.iter();
    let went: Vec<&RefundFacts> = refunds.filter(|refund| refund.succeeded).collect();
    let whole =
        !went.is_empty() && went.iter().map(|refund| refund.amount).sum::<i64>() >= order.total;
    let named: i64 = went.iter().filter_map(|refund| refund.goods.get(sku)).sum();
    match restock {
        RestockPolicy::Full | RestockPolicy::Any if whole => moved.deducted,
        // What never left cannot come back.
        RestockPolicy::Any => (named.min(moved.quantity) - moved.short()).max(0),
        RestockPolicy::Never | RestockPolicy::Full => 0,
    }
}

/// The mails of all that happened.
pub fn mails(plan: &Plan) -> Mails {
    let mut mails = Mails::default();
    let is_paid = |order: &&OrderFacts| order.funds == OrderFunds::Received;
    for order in plan.orders.iter().filter(is_paid) {
        let receipt = (format!("{}-order", order.id), order.id.clone());
        mails.unsent.extend([receipt]);
        for refund in order.refunds.iter().filter(|refund| refund.succeeded) {
            let receipt = (format!("{}-refund", refund.id), order.id.clone());
            if matches!(refund.status, "failed" | "canceled") {
                let correction = (format!("{}-refund_failed", refund.id), order.id.clone());
                mails.may_be.extend([receipt, correction]);
            } else {
                mails.unsent.extend([receipt]);
            }
        }
    }
    if plan.flint.receipts == Party::Us {
        of_flint(&plan.flint, &mut mails);
    }
    for life in &plan.lives {
        let order = || life.order.clone().unwrap_or_default();
        for invoice in life.invoices.iter().filter(|invoice| !invoice.first) {
            if plan.policy.payment_failed_mail && invoice.failed_at.is_some() {
                let stands = !invoice.paid && life.ended_at.is_none();
                let notices = if stands {
                    &mut mails.unsent
                } else {
                    &mut mails.may_be
                };
                notices.insert(format!("{}-payment_failed", invoice.id), order());
            }
        }
        if let Some(trial_end) = life.trial_end.filter(|_| plan.policy.trial_ends_mail) {
            let id = format!("{}-trial_ends-{trial_end}", life.id);
            mails.may_be.insert(id.clone(), order());
            if life.left_at.is_none_or(|left_at| left_at >= trial_end) {
                mails.trials.insert(
                    id,
                    Trial {
                        subscription: life.id.clone(),
                        ends_at: trial_end,
                    },
                );
            }
        }
    }
    mails
}

/// The mails about orders at Flint, if Flint sends none.
fn of_flint(flint: &FlintPlan, mails: &mut Mails) {
    for order in flint.orders.iter().filter(|order| order.paid > 0) {
        let receipt = (format!("{}-order", order.id), order.id.clone());
        let succeeded = order.refunds.iter().filter(|refund| refund.succeeded);
        // A refund may come before the goods go out, and a part of the money may release them.
        if order.is_paid() && succeeded.clone().count() == 0 {
            mails.unsent.extend([receipt]);
        } else {
            mails.may_be.extend([receipt]);
        }
        let refunds = succeeded.map(|refund| (format!("{}-refund", refund.id), order.id.clone()));
        mails.unsent.extend(refunds);
    }
}

/// Until when a subscription gives access, in seconds since 1970, and why.
pub fn gives(life: &LifeFacts, grace: i64) -> (Option<i64>, Reason) {
    let paid = life
        .invoices
        .iter()
        .filter(|invoice| invoice.paid)
        .map(|invoice| invoice.end)
        .max();
    let failing = life
        .invoices
        .iter()
        .filter(|invoice| !invoice.paid)
        .filter_map(|invoice| invoice.failed_at)
        .min();
    let had = paid.max(life.trial_end);
    match (life.ended_at, life.status, failing) {
        (Some(ended_at), ..) => (paid.map(|paid| paid.min(ended_at)), Reason::Ended),
        (_, "incomplete" | "incomplete_expired", _) => (None, Reason::NotPaidYet),
        (_, "unpaid", _) => (paid, Reason::PaymentFailed),
        (_, "past_due", Some(since)) if grace > 0 && Some(since + grace) > had => {
            (Some(since + grace), Reason::Grace)
        }
        (_, "past_due", _) => (had, Reason::PaymentFailed),
        (_, "trialing", _) => (life.trial_end, Reason::Trial),
        _ if life.cancels => (Some(life.period_end), Reason::CancelsAtPeriodEnd),
        _ => (Some(life.period_end), Reason::Paid),
    }
}

/// Until when each customer has access to each product.
pub fn access(plan: &Plan) -> BTreeMap<(String, String), (i64, Reason)> {
    let mut best: BTreeMap<(String, String), (Option<i64>, &str, Reason)> = BTreeMap::new();
    for life in &plan.lives {
        let (until, reason) = gives(life, plan.policy.grace.as_secs());
        let row = best
            .entry((life.customer.clone(), life.product.clone()))
            .or_insert((until, &life.id, reason));
        if (until, life.id.as_str()) > (row.0, row.1) {
            *row = (until, &life.id, reason);
        }
    }
    best.into_iter()
        .map(|(key, (until, _, reason))| (key, (until.unwrap_or_default(), reason)))
        .collect()
}
