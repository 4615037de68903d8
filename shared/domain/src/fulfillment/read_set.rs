//! The rows that a decision is taken on, read together, and those that it writes, all or none of them.

use crate::sale::merchant_reference::MerchantReference;
use crate::{
    access::{contact::Contact, entitlement::Entitlement, subscription::Subscription},
    sale::{
        order::Order,
        payment::Link,
        stock::{Mapping, StockLevel, Unnamed},
    },
    values::ids::{CustomerId, OrderId, PaymentIntentId, ProductId, Sku, SubscriptionId},
};
use std::collections::BTreeMap;

/// Which rows to read.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ReadSet {
    /// An order.
    pub order: Option<OrderId>,
    /// What leads from payments to their orders.
    pub links: Vec<PaymentIntentId>,
    /// Which orders there are under a reference of the merchant's.
    pub reference: Option<String>,
    /// A subscription.
    pub subscription: Option<(CustomerId, SubscriptionId)>,
    /// A customer's access to products.
    pub entitlements: Vec<(CustomerId, ProductId)>,
    /// How to write to a customer.
    pub contact: Option<CustomerId>,
    /// The mapping rows of products and prices.
    pub mapping: Vec<Unnamed>,
    /// Counters, and what an order has moved of each.
    pub stock_levels: Option<(OrderId, Vec<Sku>)>,
}

/// The rows that there are, of those that were wanted.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Snapshot {
    /// The order.
    pub order: Option<Order>,
    /// The links.
    pub links: BTreeMap<PaymentIntentId, Link>,
    /// The reference.
    pub reference: Option<MerchantReference>,
    /// The subscription.
    pub subscription: Option<Subscription>,
    /// The customer's access.
    pub entitlements: Vec<Entitlement>,
    /// The customer.
    pub contact: Option<Contact>,
    /// The mapping rows.
    pub mapping: Mapping,
    /// One for each SKU that was wanted, found or not.
    pub stock_levels: Vec<StockLevel>,
}

impl Snapshot {
    /// These rows and others, read later: of what both have, the later reading.
    #[must_use]
    pub fn and(mut self, later: Self) -> Self {
        self.links.extend(later.links);
        self.mapping.extend(later.mapping);
        self.entitlements.extend(later.entitlements);
        self.stock_levels.extend(later.stock_levels);
        Self {
            order: later.order.or(self.order),
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
        DAY, SALE, Shop, checkout, completed, id, line, snapshot, subscription_change,
    };

    #[test]
    fn of_rows_that_were_read_twice_the_later_reading_counts_and_nothing_read_once_is_lost() {
        let mut shop = Shop::selling(checkout(vec![line("brace", 1, 5000, Some("BRACE"))]));
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
