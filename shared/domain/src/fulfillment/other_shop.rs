//! Sales that need nothing here. Their payments and subscription are marked, so that later events about them are
//! recognized without a question to the provider.

use crate::{
    access::subscription::Subscription,
    delivery::{answer::Answer, reference::Reference},
    fulfillment::{
        Decision, Stop,
        commit::Commit,
        known::Case,
        read_set::{ReadSet, Snapshot},
    },
    sale::{payment::Link, shop::NotNeeded, statement::Sale},
    values::ids::{OrderId, PaymentIntentId, SubscriptionId},
};

/// The rows that are marked.
fn read_set(sale: &Sale) -> ReadSet {
    let customer_id = sale.customer.customer_id.clone();
    ReadSet {
        links: sale.payment_intents.clone(),
        subscription: customer_id.zip(sale.subscription_id.clone()),
        ..ReadSet::default()
    }
}

/// Decides about a sale that needs nothing here.
pub(super) fn decide(case: &Case<'_>, sale: &Sale, reason: NotNeeded) -> Result<Decision, Stop> {
    let rows = case.known.rows(&read_set(sale))?;
    let links: Vec<Link> = sale
        .payment_intents
        .iter()
        .filter_map(|id| marked(rows, id))
        .collect();
    let subscription = subscription(case, sale, rows);
    let is_new = !links.is_empty() || subscription.is_some();
    let commit = is_new.then(|| {
        Commit {
            links,
            subscription,
            ..Commit::of(case.event.event_id.clone())
        }
        .unended()
    });
    Ok(Decision::NotNeeded { commit, reason })
}

fn marked(rows: &Snapshot, id: &PaymentIntentId) -> Option<Link> {
    let known = rows.links.get(id).cloned();
    let known = known.unwrap_or_else(|| Link::new(id.clone()));
    (!known.other_shop).then(|| Link {
        version: known.version + 1,
        other_shop: true,
        ..known
    })
}

fn subscription(case: &Case<'_>, sale: &Sale, rows: &Snapshot) -> Option<Subscription> {
    let customer_id = sale.customer.customer_id.clone()?;
    let id = sale.subscription_id.clone()?;
    let known = rows.subscription.clone();
    let known =
        known.unwrap_or_else(|| Subscription::new(case.event.provider.clone(), customer_id, id));
    (!known.other_shop).then(|| Subscription {
        version: known.version + 1,
        other_shop: true,
        ..known
    })
}

/// Stops at a thing of a subscription that is marked.
pub(super) fn stop_if_marked(case: &Case<'_>, id: &SubscriptionId) -> Result<(), Stop> {
    let Some(customer_id) = case.known.customer_of(id)? else {
        return Ok(());
    };
    let rows = case.known.rows(&ReadSet {
        subscription: Some((customer_id.clone(), id.clone())),
        ..ReadSet::default()
    })?;
    let is_marked = rows.subscription.as_ref().is_some_and(|row| row.other_shop);
    if is_marked {
        return Err(Stop::NotNeeded(NotNeeded::OtherShop));
    }
    Ok(())
}

/// Stops at a thing whose sale has no order here and is of another shop.
pub(super) fn stop_if_other(case: &Case<'_>, order_id: &OrderId) -> Result<(), Stop> {
    let fetched = case.known.fetched(&Reference::Sale(order_id.clone()))?;
    let Ok(Answer::Sale(sale)) = &fetched.answer else {
        return Ok(());
    };
    match case.policy.shop.not_needed(sale) {
        Some(reason) => Err(Stop::NotNeeded(reason)),
        None => Ok(()),
    }
}

#[cfg(test)]
mod tests;
