//! The rows that a decision is taken on, read together, and those that it writes, all or none of them.

use crate::{
    access::{contact::Contact, entitlement::Entitlement, subscription::Subscription},
    receipt::Receipt,
    resource::{Resource, ResourceId},
    sale::{
        mapping::{Mapping, MappingKey},
        merchant_reference::MerchantReference,
        order::Order,
        payment::Link,
        stock::StockLevel,
    },
    values::ids::{
        CustomerId, OrderId, PaymentIntentId, ProductId, ReceiptId, Sku, SubscriptionId,
    },
};
use std::collections::BTreeMap;

/// The rows to read.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ReadSet {
    pub order: Option<OrderId>,
    /// The order that a subscription began with, beside that of its renewal.
    pub first_order: Option<OrderId>,
    /// The links from payments to their orders.
    pub links: Vec<PaymentIntentId>,
    /// The orders under a reference of the merchant.
    pub reference: Option<String>,
    pub subscription: Option<(CustomerId, SubscriptionId)>,
    /// The subscriptions that are charged to a payment method.
    pub charged: Vec<(CustomerId, SubscriptionId)>,
    /// A customer's access to products.
    pub entitlements: Vec<(CustomerId, ProductId)>,
    pub contact: Option<CustomerId>,
    /// The mapping rows of products and prices.
    pub mapping: Vec<MappingKey>,
    /// Counters, and an order's movement of each.
    pub stock_levels: Option<(OrderId, Vec<Sku>)>,
    pub receipts: Vec<ReceiptId>,
    pub resources: Vec<ResourceId>,
}

impl ReadSet {
    /// One order.
    #[must_use]
    pub fn of_order(id: &OrderId) -> Self {
        Self {
            order: Some(id.clone()),
            ..Self::default()
        }
    }

    /// Receipts.
    #[must_use]
    pub fn of_receipts(receipts: Vec<ReceiptId>) -> Self {
        Self {
            receipts,
            ..Self::default()
        }
    }

    /// These and others.
    #[must_use]
    pub fn and(mut self, other: Self) -> Self {
        self.links.extend(other.links);
        self.charged.extend(other.charged);
        self.entitlements.extend(other.entitlements);
        self.mapping.extend(other.mapping);
        self.receipts.extend(other.receipts);
        self.resources.extend(other.resources);
        Self {
            order: other.order.or(self.order),
            first_order: other.first_order.or(self.first_order),
            reference: other.reference.or(self.reference),
            subscription: other.subscription.or(self.subscription),
            contact: other.contact.or(self.contact),
            stock_levels: match (self.stock_levels, other.stock_levels) {
                (Some((of, mut skus)), Some((order_id, more))) if of == order_id => {
                    skus.extend(more);
                    Some((order_id, skus))
                }
                (before, later) => later.or(before),
            },
            ..self
        }
    }

    /// Those of these that are not in `read`.
    #[must_use]
    pub fn without(&self, read: &Self) -> Self {
        fn one<T: Clone + PartialEq>(needed: Option<&T>, read: Option<&T>) -> Option<T> {
            needed.filter(|needed| Some(*needed) != read).cloned()
        }
        fn some<T: Clone + PartialEq>(needed: &[T], read: &[T]) -> Vec<T> {
            needed
                .iter()
                .filter(|needed| !read.contains(needed))
                .cloned()
                .collect()
        }
        Self {
            order: one(self.order.as_ref(), read.order.as_ref()),
            first_order: one(self.first_order.as_ref(), read.first_order.as_ref()),
            links: some(&self.links, &read.links),
            reference: one(self.reference.as_ref(), read.reference.as_ref()),
            subscription: one(self.subscription.as_ref(), read.subscription.as_ref()),
            charged: some(&self.charged, &read.charged),
            entitlements: some(&self.entitlements, &read.entitlements),
            contact: one(self.contact.as_ref(), read.contact.as_ref()),
            mapping: some(&self.mapping, &read.mapping),
            stock_levels: self.stock_levels.as_ref().and_then(|(order_id, skus)| {
                let of_order = read.stock_levels.as_ref().filter(|(of, _)| of == order_id);
                let missing = some(skus, of_order.map_or(&[], |(_, skus)| skus));
                (!missing.is_empty()).then(|| (order_id.clone(), missing))
            }),
            receipts: some(&self.receipts, &read.receipts),
            resources: some(&self.resources, &read.resources),
        }
    }
}

/// The rows that there are, of those that were wanted.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Snapshot {
    /// The order.
    pub order: Option<Order>,
    /// The order that a subscription began with.
    pub first_order: Option<Order>,
    /// The links.
    pub links: BTreeMap<PaymentIntentId, Link>,
    /// The reference.
    pub reference: Option<MerchantReference>,
    /// The subscription.
    pub subscription: Option<Subscription>,
    /// The subscriptions that are charged to a payment method.
    pub charged: Vec<Subscription>,
    /// The customer's access.
    pub entitlements: Vec<Entitlement>,
    /// The customer.
    pub contact: Option<Contact>,
    /// The mapping rows.
    pub mapping: Mapping,
    /// One for each SKU that was wanted, found or not.
    pub stock_levels: Vec<StockLevel>,
    pub receipts: BTreeMap<ReceiptId, Receipt>,
    pub resources: BTreeMap<ResourceId, Resource>,
}

impl Snapshot {
    /// These rows and others, which were read later. A row in both comes from the later read.
    #[must_use]
    pub fn and(mut self, later: Self) -> Self {
        self.links.extend(later.links);
        self.charged.extend(later.charged);
        self.mapping.extend(later.mapping);
        self.entitlements.extend(later.entitlements);
        self.stock_levels.retain(|level| {
            later
                .stock_levels
                .iter()
                .all(|other| other.sku != level.sku)
        });
        self.stock_levels.extend(later.stock_levels);
        self.receipts.extend(later.receipts);
        self.resources.extend(later.resources);
        Self {
            order: later.order.or(self.order),
            first_order: later.first_order.or(self.first_order),
            reference: later.reference.or(self.reference),
            subscription: later.subscription.or(self.subscription),
            contact: later.contact.or(self.contact),
            ..self
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fulfillment::testing::{
        DAY, SALE, Shop, completed, id, line, sale, snapshot, subscription_change,
    };

    #[test]
    fn of_rows_that_were_read_twice_the_later_reading_counts_and_nothing_read_once_is_lost() {
        let mut shop = Shop::selling(sale(vec![line("brace", 1, 5000, Some("BRACE"))]));
        shop.tell(SALE, completed());
        shop.tell(
            SALE,
            subscription_change("fsub_1", snapshot("active", SALE + DAY)),
        );
        let order = shop.order().clone();
        let reference = MerchantReference {
            reference: "order-1".to_owned(),
            order_ids: Vec::new(),
            version: 1,
        };
        let full = Snapshot {
            order: Some(order.clone()),
            reference: Some(reference),
            subscription: Some(shop.subscription("fsub_1").clone()),
            contact: Some(Contact::new(id("fcus_1"))),
            ..Snapshot::default()
        };
        assert_eq!(full.clone().and(Snapshot::default()), full);
        assert_eq!(Snapshot::default().and(full.clone()), full);
        let later = Snapshot {
            order: Some(Order {
                version: 9,
                ..order
            }),
            ..Snapshot::default()
        };
        assert_eq!(full.and(later).order.map(|order| order.version), Some(9));
    }
}
