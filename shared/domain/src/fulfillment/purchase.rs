//! The entitlements of an order: one-time access, written with the order whose facts give it.

use crate::{
    access::{
        entitlement::{Entitlement, merged},
        purchase::{access, names},
    },
    fulfillment::{
        known::Case,
        read_set::{ReadSet, Snapshot},
    },
    sale::order::Order,
    values::ids::{CustomerId, Grantor, ProductId},
};
use std::collections::BTreeSet;

/// The rows of a customer's access of these names.
pub(super) fn read_set(
    customer_id: Option<&CustomerId>,
    names: impl IntoIterator<Item = ProductId>,
) -> ReadSet {
    let names: BTreeSet<ProductId> = names.into_iter().collect();
    let key = |name: ProductId| Some((customer_id?.clone(), name));
    ReadSet {
        entitlements: names.into_iter().filter_map(key).collect(),
        ..ReadSet::default()
    }
}

/// The rows of the access that an order gives, if they are to change.
pub(super) fn entitlements(case: &Case<'_>, order: &Order, rows: &Snapshot) -> Vec<Entitlement> {
    let Some(customer_id) = &order.customer.customer_id else {
        return Vec::new();
    };
    let row = |name: ProductId| {
        let is_known = |row: &&Entitlement| row.product_id == name;
        let known = rows.entitlements.iter().find(is_known);
        let access = access(order, &name, case.policy.access);
        let grant = (Grantor::from(&order.order_id), access);
        let row = merged(known, customer_id, &name, grant);
        (known != Some(&row)).then_some(Entitlement {
            version: row.version + 1,
            ..row
        })
    };
    names(order).into_iter().filter_map(row).collect()
}

/// The access that a subscription gives, with the one-time access that its order gives. One row may hold both.
pub(super) fn together(
    mut rows: Vec<Entitlement>,
    of_order: Vec<Entitlement>,
    grantor: &Grantor,
) -> Vec<Entitlement> {
    for added in of_order {
        let same = rows
            .iter_mut()
            .find(|row| row.product_id == added.product_id);
        match (same, added.grants.get(grantor)) {
            (Some(row), Some(access)) => {
                let (customer_id, product_id) = (&added.customer_id, &added.product_id);
                *row = merged(
                    Some(row),
                    customer_id,
                    product_id,
                    (grantor.clone(), *access),
                );
            }
            _ => rows.push(added),
        }
    }
    rows
}
