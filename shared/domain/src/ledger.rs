//! The rows that a decision is taken on, read together, and those that it writes, all or none of them.

use crate::{
    contact::Contact,
    entitlement::Entitlement,
    ids::{CustomerId, EventId, OrderId, PaymentIntentId, ProductId, Sku, SubscriptionId},
    order::Order,
    payment::Link,
    receipt::Receipt,
    stock::{Mapping, Return, Shelf, Take, Unnamed},
    subscription::Subscription,
};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// Which rows to read.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Wanted {
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
    pub shelves: Option<(OrderId, Vec<Sku>)>,
}

/// The rows that there are, of those that were wanted.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Rows {
    /// The order.
    pub order: Option<Order>,
    /// The links.
    pub links: BTreeMap<PaymentIntentId, Link>,
    /// The reference.
    pub reference: Option<Reference>,
    /// The subscription.
    pub subscription: Option<Subscription>,
    /// The customer's access.
    pub entitlements: Vec<Entitlement>,
    /// The customer.
    pub contact: Option<Contact>,
    /// The mapping rows.
    pub mapping: Mapping,
    /// One for each SKU that was wanted, found or not.
    pub shelves: Vec<Shelf>,
}

impl Rows {
    /// These rows and others, read later: of what both have, the later reading.
    #[must_use]
    pub fn and(mut self, later: Self) -> Self {
        self.links.extend(later.links);
        self.mapping.extend(later.mapping);
        self.entitlements.extend(later.entitlements);
        self.shelves.extend(later.shelves);
        Self {
            order: later.order.or(self.order),
            reference: later.reference.or(self.reference),
            subscription: later.subscription.or(self.subscription),
            contact: later.contact.or(self.contact),
            ..self
        }
    }
}

/// Which paid orders there are under one reference of the merchant's: a row of the Links table.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Reference {
    /// The merchant's own reference.
    pub reference: String,
    /// Counts the changes, from 1.
    pub version: u64,
    /// The first of them: see [`Reference::MOST`].
    pub order_ids: Vec<OrderId>,
}

impl Reference {
    /// How many orders are kept. Whoever gives one reference to many orders does not number orders with it, and a row
    /// that every order writes would hold all of them up.
    pub const MOST: usize = 10;
}

/// Everything that a decision writes: all of it, or none of it.
///
/// A row that counts versions is written only if it still has the version before; version 1 only if there is none.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Commit {
    /// The event that brought the news.
    pub event_id: EventId,
    /// Whether that was all it asks for, so that it becomes `committed`. If not, it stays as it is and comes again.
    pub ends: bool,
    /// The order.
    pub order: Option<Order>,
    /// What leads to it.
    pub links: Vec<Link>,
    /// Under which reference.
    pub reference: Option<Reference>,
    /// The subscription.
    pub subscription: Option<Subscription>,
    /// The access that follows from it.
    pub entitlements: Vec<Entitlement>,
    /// How to write to the customer.
    pub contact: Option<Contact>,
    /// New receipts.
    pub receipts: Vec<Receipt>,
    /// Stock movements still to write.
    pub takes: Vec<Take>,
    /// Goods that go back.
    pub returns: Vec<Return>,
}

impl Commit {
    /// A commit that writes nothing but the event's state.
    #[must_use]
    pub fn of(event_id: EventId) -> Self {
        Self {
            event_id,
            ends: true,
            order: None,
            links: Vec::new(),
            reference: None,
            subscription: None,
            entitlements: Vec::new(),
            contact: None,
            receipts: Vec::new(),
            takes: Vec::new(),
            returns: Vec::new(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fulfillment::testing::{
        DAY, SALE, Shop, checkout, completed, id, line, snapshot, subscription_news,
    };

    #[test]
    fn of_rows_that_were_read_twice_the_later_reading_counts_and_nothing_read_once_is_lost() {
        let mut shop = Shop::selling(checkout(vec![line("brace", 1, 5000, Some("BRACE"))]));
        shop.tell(SALE, completed());
        shop.tell(
            SALE,
            subscription_news("fsub_1", snapshot("active", SALE + DAY)),
        );
        let order = shop.order().clone();
        let reference = Reference {
            reference: "order-1".to_owned(),
            order_ids: Vec::new(),
            version: 1,
        };
        let full = Rows {
            order: Some(order.clone()),
            reference: Some(reference),
            subscription: Some(shop.subscription("fsub_1").clone()),
            contact: Some(Contact::new(id("fcus_1"))),
            ..Rows::default()
        };
        assert_eq!(full.clone().and(Rows::default()), full);
        assert_eq!(Rows::default().and(full.clone()), full);
        let later = Rows {
            order: Some(Order {
                version: 9,
                ..order
            }),
            ..Rows::default()
        };
        assert_eq!(full.and(later).order.map(|order| order.version), Some(9));
    }
}
