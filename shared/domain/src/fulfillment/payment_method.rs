//! A payment method and the subscriptions that are charged to it.
//!
//! The row of the method names its subscriptions, so its removal finds and flags them. A subscription reads the row of
//! its method, so a later fact finds the removal. Both rows are written under their versions: neither misses the other.

use crate::{
    access::subscription::Subscription,
    fulfillment::{
        Stop,
        known::Case,
        read_set::{ReadSet, Snapshot},
    },
    resource::{Resource, ResourceId, payment_method::PaymentMethod},
    values::ids::PaymentMethodId,
};

/// The row of a subscription's method, if the provider states one.
pub(super) fn read_set(subscription: &Subscription) -> ReadSet {
    let method = subscription.payment_method.iter();
    ReadSet {
        resources: method.map(|fact| resource_id(&fact.value)).collect(),
        ..ReadSet::default()
    }
}

fn resource_id(id: &PaymentMethodId) -> ResourceId {
    ResourceId::PaymentMethod(id.clone())
}

/// Flags the subscription if its method was removed. Returns the method's row, if it does not name the subscription.
pub(super) fn charge(
    case: &Case<'_>,
    subscription: &mut Subscription,
    rows: &Snapshot,
) -> Option<Resource> {
    let id = &subscription.payment_method.as_ref()?.value;
    let method = match rows.resources.get(&resource_id(id)) {
        Some(Resource::PaymentMethod(row)) => (**row).clone(),
        _ => PaymentMethod::new(id.clone(), case.event.provider.clone()),
    };
    subscription.payment_method_removed = method.is_removed();
    let row = method.charged_by(&subscription.subscription_id, &subscription.customer_id)?;
    Some(Resource::PaymentMethod(row.into()).next())
}

/// The subscriptions that lose their method by its removal, flagged.
pub(super) fn flagged(case: &Case<'_>, method: &PaymentMethod) -> Result<Vec<Subscription>, Stop> {
    if !method.is_removed() || method.subscriptions.is_empty() {
        return Ok(Vec::new());
    }
    let keys = method.subscriptions.iter();
    let rows = case.known.rows(&ReadSet {
        charged: keys
            .map(|(id, customer_id)| (customer_id.clone(), id.clone()))
            .collect(),
        ..ReadSet::default()
    })?;
    let is_charged = |row: &&Subscription| {
        let id = row.payment_method.as_ref().map(|fact| &fact.value);
        id == Some(&method.id) && !row.payment_method_removed
    };
    let lose = rows.charged.iter().filter(is_charged);
    Ok(lose
        .map(|row| Subscription {
            version: row.version + 1,
            payment_method_removed: true,
            ..row.clone()
        })
        .collect())
}

#[cfg(test)]
mod tests;
