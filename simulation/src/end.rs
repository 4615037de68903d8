//! The end, held against the model.

use super::{
    check::{Seen, hold},
    flint_shop::{self, is_of_flint},
    journal::of_journal,
    model::{self, Trial},
    plan::{OrderFacts, Plan},
    reports::{self, Mailed},
};
use domain::{receipt::feedback::ReportKind, sale::payment};
use kit::prelude::*;

/// A trial's notice that is due this many seconds before its end is sent in time, whatever goes wrong.
const IN_TIME: i64 = 2 * 24 * 3_600;

/// The end of a shop, without our own times, versions and counts of attempts.
#[derive(Debug, PartialEq)]
pub struct End {
    rows: kit::story::End,
    access: BTreeMap<(CustomerId, ProductId), (Timestamp, String)>,
    contacts: Vec<Contact>,
    links: BTreeMap<PaymentIntentId, (Option<OrderId>, Option<payment::PaymentFacts>)>,
    references: BTreeMap<String, Vec<OrderId>>,
    marks: BTreeMap<AddressHash, Suppression>,
}

impl End {
    /// The current end. Events are no part of it: they may be forgotten.
    pub fn of(kept: &Kept) -> Self {
        let mut rows = kit::story::End::of(kept);
        rows.events.clear();
        for order in rows.orders.values_mut() {
            // The time of the last request to the provider is no difference.
            for refund in order.refunds.values_mut() {
                refund.facts.stamp.at = Timestamp::UNIX_EPOCH;
            }
            if order.fulfilled_at.is_some() {
                // The stamp and holds of an order that is out depend on the time of its last read.
                order.stamp = None;
                order.holds.clear();
            } else {
                // An order without money has no date of sale yet.
                order.placed_at = Timestamp::UNIX_EPOCH;
            }
        }
        // Which units an order keeps until it is paid depends on what was on the shelf when it was last read.
        for (key, moved) in kept.movements.iter().filter(|(_, moved)| moved.is_reserved) {
            rows.movements.remove(key);
            if let Some(order) = rows.orders.get_mut(&moved.order_id) {
                order.reservation.skus.clear();
            }
            *rows.counters.entry(moved.sku.clone()).or_default() += moved.deducted;
        }
        let access = kept.entitlements.iter();
        let access =
            access.map(|(key, row)| (key.clone(), (row.access_until, row.reason_text.clone())));
        let contacts = kept.contacts.values();
        let contacts = contacts.map(|row| Contact {
            version: 0,
            ..row.clone()
        });
        let links = kept.links.iter().map(|(id, row)| {
            let facts = row.facts.as_ref().map(|facts| facts.value.clone());
            (id.clone(), (row.order_id.clone(), facts))
        });
        let references = kept
            .references
            .iter()
            .map(|(text, row)| (text.clone(), row.order_ids.clone()));
        Self {
            rows,
            access: access.collect(),
            contacts: contacts.collect(),
            links: links.collect(),
            references: references.collect(),
            marks: kept.marks.clone(),
        }
    }

    /// The lines in which they differ when they are printed.
    pub fn differs_from(&self, other: &Self) -> String {
        let (ours, others) = (format!("{self:#?}"), format!("{other:#?}"));
        let without = |lines: &str, of: &str, sign: &str| {
            let mut left: Vec<&str> = of.lines().collect();
            let only = lines.lines().filter(|line| {
                let there = left.iter().position(|other| other == line);
                there.map(|n| left.swap_remove(n)).is_none()
            });
            only.fold(String::new(), |all, line| {
                format!("{all}\n  {sign} {}", line.trim())
            })
        };
        without(&ours, &others, "-") + &without(&others, &ours, "+")
    }
}

/// The end, held against the model. Nothing may be left to do.
pub fn end(kept: &Kept, plan: &Plan, seen: &Seen, mailed: &[Mailed]) -> Result<(), String> {
    of_events(kept, plan, seen)?;
    of_orders(kept, plan)?;
    flint_shop::end::end(kept, plan)?;
    of_journal(kept, plan)?;
    of_customers(kept, plan)?;
    of_references(kept, plan)?;
    of_mails(kept, plan, seen)?;
    of_reports(kept, mailed)
}

/// True if an event is not done.
pub(super) fn is_overdue(event: &StoredEvent) -> bool {
    event.state.is_unfinished() || event.state == EventState::Parked
}

/// Every event is done, and the plan or reconcile announced it.
fn of_events(kept: &Kept, plan: &Plan, seen: &Seen) -> Result<(), String> {
    let overdue = kept.events.values().find(|event| is_overdue(event));
    hold!(overdue.is_none(), "I1: undone: {overdue:?}");
    let webhooks = plan.moments.iter();
    let webhooks = webhooks.filter_map(|moment| moment.webhook.as_ref());
    let planned: BTreeSet<&str> = webhooks.map(|webhook| webhook.event_id.as_str()).collect();
    let is_made_up = |id: &EventId| seen.reconciled && id.as_str().starts_with("reconciled:");
    let is_strange = |id: &&EventId| !planned.contains(id.as_str()) && !is_made_up(id);
    let strange = kept.events.keys().find(is_strange);
    hold!(strange.is_none(), "I4: nobody told of {strange:?}");
    Ok(())
}

/// Every planned order is there, with its movements, and no other.
fn of_orders(kept: &Kept, plan: &Plan) -> Result<(), String> {
    let own = kept.orders.keys().filter(|id| !is_of_flint(id.as_str()));
    let (found, planned) = (own.count(), plan.orders.len());
    hold!(found == planned, "I1: {found} orders of {planned}");
    for facts in &plan.orders {
        let mut orders = kept.orders.values();
        let Some(order) = orders.find(|order| order.order_id.as_str() == facts.id) else {
            return Err(format!("I1: no order {}", facts.id));
        };
        of_order(kept, plan, facts, order)?;
    }
    let is_paid = |order: &&OrderFacts| order.funds == OrderFunds::Received;
    let paid = plan.orders.iter().filter(is_paid);
    let moved: usize = paid.map(|order| order.goods.len()).sum();
    let own = kept.movements.keys();
    let found = own.filter(|(_, id)| !is_of_flint(id.as_str())).count();
    hold!(found == moved, "I2: {found} movements");
    Ok(())
}

/// Everybody has the access that they paid for, and is written to where they are.
fn of_customers(kept: &Kept, plan: &Plan) -> Result<(), String> {
    let own = kept.entitlements.iter();
    let own = own.filter(|((customer, _), _)| !is_of_flint(customer.as_str()));
    let access = own.map(|((customer, product), row)| {
        let until = row.access_until.as_second();
        let key = (customer.to_string(), product.to_string());
        (key, (until, row.reason))
    });
    let (known, expected) = (access.collect::<BTreeMap<_, _>>(), model::access(plan));
    hold!(
        known == expected,
        "access is {known:?}, not {expected:?}\n{:#?}",
        plan.lives
    );
    for (customer, (_, address)) in &plan.addresses {
        let mut contacts = kept.contacts.values();
        let contact = contacts.find(|contact| contact.customer_id.as_str() == customer);
        let known = contact.and_then(|contact| contact.facts.as_ref()?.value.email.as_deref());
        let is_there = !plan.deleted.contains(customer);
        let expected = is_there.then_some(address.as_str());
        hold!(
            known == expected,
            "{customer} is written to at {known:?}, not {expected:?}"
        );
    }
    let deleted = kept.contacts.values().filter(|contact| contact.erased);
    let (deleted, expected) = (
        deleted.count(),
        plan.deleted.iter().collect::<BTreeSet<_>>(),
    );
    hold!(
        deleted == expected.len(),
        "I1: {deleted} customers are deleted, not {}",
        expected.len()
    );
    for order in kept.orders.values() {
        let customer = order.customer.customer_id.as_ref();
        let is_deleted =
            customer.is_some_and(|id| expected.iter().any(|gone| *gone == id.as_str()));
        hold!(
            order.is_erased == is_deleted,
            "I1: {} has the data of a deleted customer, or lacks that of another",
            order.order_id
        );
    }
    Ok(())
}

/// Each payment leads to its order; and a reference to all orders of it, each of which names those before it.
fn of_references(kept: &Kept, plan: &Plan) -> Result<(), String> {
    for order in &plan.orders {
        for payment in &order.payments {
            let mut links = kept.links.iter();
            let link = links.find(|(id, _)| id.as_str() == payment);
            let leads_to = link.and_then(|(_, link)| Some(link.order_id.as_ref()?.as_str()));
            hold!(
                leads_to == Some(&order.id),
                "{payment} leads to {leads_to:?}, not to {}",
                order.id
            );
        }
    }
    let mut expected: BTreeMap<&str, BTreeSet<&str>> = BTreeMap::new();
    let is_bought = |order: &&OrderFacts| order.funds == OrderFunds::Received && !order.renews;
    for order in plan.orders.iter().filter(is_bought) {
        let orders = expected.entry(&order.reference).or_default();
        orders.insert(&order.id);
    }
    let of = |row: &Vec<OrderId>| row.iter().map(OrderId::to_string).collect::<BTreeSet<_>>();
    for (reference, orders) in &expected {
        let known = kept.references.get(*reference);
        let known = known.map(|row| of(&row.order_ids)).unwrap_or_default();
        hold!(
            known.iter().eq(orders.iter()),
            "{reference} has {known:?}, not {orders:?}"
        );
        let mut before: Vec<BTreeSet<String>> = kept
            .orders
            .values()
            .filter(|order| orders.contains(order.order_id.as_str()))
            .map(|order| {
                let mut all = of(&order.same_reference);
                all.insert(order.order_id.to_string());
                all
            })
            .collect();
        before.sort_by_key(BTreeSet::len);
        let grows = before.iter().enumerate().all(|(n, all)| all.len() == n + 1);
        let nested = before
            .windows(2)
            .all(|two| matches!(two, [less, more] if less.is_subset(more)));
        hold!(
            grows && nested,
            "I2: the orders of {reference} name {before:?}"
        );
    }
    hold!(
        kept.references.len() == expected.len(),
        "{} references",
        kept.references.len()
    );
    Ok(())
}

/// The reports of SES have their effects.
fn of_reports(kept: &Kept, mailed: &[Mailed]) -> Result<(), String> {
    let marks = kept
        .marks
        .iter()
        .map(|(of, mark)| (of.clone(), (mark.bounced_at, mark.complained_at)));
    let (marks, expected) = (marks.collect::<BTreeMap<_, _>>(), reports::marks(mailed));
    hold!(
        marks == expected,
        "the marks are {marks:?}, not {expected:?}"
    );
    let troubles = reports::troubles(mailed);
    for order in kept.orders.values() {
        let is_of = |id: &ReceiptId| {
            kept.receipts
                .get(id)
                .is_some_and(|row| row.order_id == order.order_id)
        };
        let expected: BTreeMap<_, _> = troubles
            .clone()
            .into_iter()
            .filter(|(id, _)| is_of(id))
            .collect();
        let known = &order.delivery_failures;
        hold!(
            *known == expected,
            "order {} tells of {known:?}, not {expected:?}",
            order.order_id
        );
    }
    for mail in mailed {
        let id = &mail.taken.receipt_id;
        let state = kept.receipts.get(id).map(|row| &row.state);
        let is_sent = matches!(state, Some(ReceiptState::Sent { .. }));
        hold!(
            is_sent || !mail.is_out(),
            "I1: SES told that a mail of {id} is out, and it is {state:?}"
        );
        let is_held = matches!(state, Some(ReceiptState::Held));
        // Also when the only reports say that it was not sent.
        hold!(
            !is_held || mail.incomplete,
            "I1: {id} is held though SES told all there was to tell"
        );
    }
    Ok(())
}

fn of_order(kept: &Kept, plan: &Plan, facts: &OrderFacts, order: &Order) -> Result<(), String> {
    let id = &facts.id;
    let (state, expected) = (order.state(), model::state(facts));
    hold!(
        state == expected,
        "I1: order {id} is {state}, not {expected}"
    );
    hold!(
        order.totals.total == facts.total,
        "order {id} is of {}, not {}",
        order.totals.total,
        facts.total
    );
    let payments: BTreeMap<_, _> = order
        .payments
        .iter()
        .map(|(id, facts)| (id.as_str(), facts.value.word.as_str()))
        .collect();
    let expected: BTreeMap<_, _> = facts
        .statuses
        .iter()
        .map(|(id, status)| (id.as_str(), *status))
        .collect();
    hold!(
        payments == expected,
        "order {id} has the payments {payments:?}, not {expected:?}"
    );
    hold!(
        order.refunded() == model::refunded(facts),
        "order {id}: {} went back",
        order.refunded()
    );
    let refunds: BTreeMap<_, _> = order
        .refunds
        .iter()
        .map(|(id, refund)| {
            (
                id.as_str(),
                (refund.facts.value.word.as_str(), refund.succeeded),
            )
        })
        .collect();
    let expected: BTreeMap<_, _> = facts
        .refunds
        .iter()
        .map(|refund| (refund.id.as_str(), (refund.status, refund.succeeded)))
        .collect();
    hold!(
        refunds == expected,
        "I1: order {id} has the refunds {refunds:?}, not {expected:?}"
    );
    let disputes: BTreeMap<_, _> = order
        .disputes
        .iter()
        .map(|(id, dispute)| (id.as_str(), dispute.facts.value.word.as_str()))
        .collect();
    let expected: BTreeMap<_, _> = facts
        .disputes
        .iter()
        .map(|(id, status)| (id.as_str(), *status))
        .collect();
    hold!(
        disputes == expected,
        "I1: order {id} has the disputes {disputes:?}, not {expected:?}"
    );
    for (sku, bought) in &facts.goods {
        let moved = kept
            .movements
            .values()
            .find(|moved| moved.sku == *sku && moved.order_id == order.order_id);
        let Some(moved) = moved else {
            hold!(
                facts.funds != OrderFunds::Received,
                "I1: order {id} moved no {sku}"
            );
            continue;
        };
        hold!(
            moved.quantity == *bought,
            "I2: order {id} sold {bought} {sku}, not {}",
            moved.quantity
        );
        let short = order
            .shortfalls
            .iter()
            .filter(|short| short.sku == *sku)
            .map(|short| short.missing);
        let missing = if moved.is_open { moved.short() } else { 0 };
        hold!(
            missing == short.sum::<i64>(),
            "I5: what order {id} lacks of {sku} is not on record"
        );
        let back = model::restocked(facts, plan.policy.restock, sku, moved);
        hold!(
            moved.restocked == back,
            "order {id}: {} {sku} are back, not {back}",
            moved.restocked
        );
    }
    Ok(())
}

fn of_mails(kept: &Kept, plan: &Plan, seen: &Seen) -> Result<(), String> {
    let expected = model::mails(plan);
    for id in expected.unsent.keys() {
        hold!(
            kept.receipts.keys().any(|known| known.as_str() == id),
            "I1: no receipt {id}"
        );
    }
    for (id, trial) in &expected.trials {
        let order = expected.order(id).unwrap_or_default();
        of_trial(kept, seen, id, order, trial)?;
    }
    let mut sent: BTreeMap<&ReceiptId, usize> = BTreeMap::new();
    for mail in &kept.mails {
        *sent.entry(&mail.receipt_id).or_default() += 1;
    }
    for (id, receipt) in &kept.receipts {
        let is_unfinished = expected.unsent.contains_key(id.as_str());
        let Some(order) = expected.order(id.as_str()) else {
            return Err(format!("I2: nobody is owed {id}"));
        };
        hold!(
            receipt.order_id.as_str() == order,
            "{id} is about {}, not {order}",
            receipt.order_id
        );
        let mails = sent.remove(id).unwrap_or_default();
        let takeovers = seen.takeovers.get(id).copied().unwrap_or_default();
        let most = match plan.on_unknown {
            OnUnknown::Resend => 1 + takeovers,
            OnUnknown::Hold => 1,
        };
        hold!(
            mails <= most,
            "I2: {mails} mails of {id}, after {takeovers} claims ran out"
        );
        match &receipt.state {
            ReceiptState::Sent { .. } => hold!(mails > 0, "I1: {id} is marked and was never sent"),
            ReceiptState::Held => hold!(
                plan.on_unknown == OnUnknown::Hold,
                "{id} is held against the policy"
            ),
            ReceiptState::Withdrawn { .. } => {
                let order = kept.orders.get(&receipt.order_id);
                let is_erased = order.is_some_and(|order| order.is_erased);
                hold!(!is_unfinished || is_erased, "I1: {id} was withdrawn");
            }
            ReceiptState::Failed { .. } => {
                let order = kept.orders.get(&receipt.order_id);
                let customer = order.and_then(|order| order.customer.customer_id.as_ref());
                let is_deleted =
                    |id: &CustomerId| plan.deleted.iter().any(|deleted| deleted == id.as_str());
                let nobody = customer.is_some_and(is_deleted);
                let reports = seen.reports.get(id).map(Vec::as_slice).unwrap_or_default();
                let mut kinds = reports.iter().map(|report| report.kind);
                let not_let_out = kinds.any(|kind| kind == ReportKind::Rejected);
                let has_reason =
                    seen.refused.contains(id) || seen.marked.contains(id) || not_let_out || nobody;
                hold!(has_reason, "I1: {id} failed");
            }
            overdue @ (ReceiptState::Unsent { .. } | ReceiptState::Leased { .. }) => {
                return Err(format!("I1: {id} is still {overdue:?}"));
            }
        }
    }
    hold!(sent.is_empty(), "I2: mails of nothing: {sent:?}");
    Ok(())
}

/// If the shop knew a trial and its order while it ran, there is a notice. If it knew them longer than any fault lasts,
/// only its address can have stopped the notice.
fn of_trial(kept: &Kept, seen: &Seen, id: &str, order: &str, trial: &Trial) -> Result<(), String> {
    let order = OrderId::new(order).ok();
    let life = SubscriptionId::new(trial.subscription.as_str()).ok();
    let ordered = order.and_then(|id| seen.fulfilled.get(&id));
    let begun = life.and_then(|id| seen.told_of.get(&id));
    let (Some(ordered), Some(begun)) = (ordered, begun) else {
        return Ok(());
    };
    let known_at = *ordered.max(begun);
    let left = trial.ends_at - known_at.as_second();
    let notice = ReceiptId::new(id).ok();
    let notice = notice.and_then(|id| Some(&kept.receipts.get(&id)?.state));
    hold!(
        notice.is_some() || left <= 0,
        "I1: no notice {id}, though all was known at {known_at}"
    );
    let withdrawn = matches!(notice, Some(ReceiptState::Withdrawn { .. }));
    hold!(
        !withdrawn || left < IN_TIME,
        "I1: {id} was withdrawn, though all was known at {known_at}"
    );
    Ok(())
}
