//! Finds orders by any id that leads to one, in a bounded number of reads.

use crate::{backend::Backend, error::Error};
use domain::{
    delivery::{
        event::{Change, Reading},
        reference::Reference,
        stored_event::StoredEvent,
    },
    fulfillment::read_set::ReadSet,
    ports::{
        Commits as _, Entitlements as _, Events as _, OrderAdmin as _, Orders as _,
        admin::OrderSearch as _,
    },
    sale::order::Order,
    values::ids::{CustomerId, EventId, OrderId, PaymentIntentId, ReceiptId, SubscriptionId},
};

/// The most orders that a search returns.
const MOST: usize = 20;
/// The most pages of a customer's orders.
const PAGES: usize = 10;

/// The orders that an id leads to.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Found {
    pub orders: Vec<OrderId>,
    /// The kind of the id, for people.
    pub via: &'static str,
}

impl Found {
    fn one(order: OrderId, via: &'static str) -> Self {
        Self::many(vec![order], via)
    }

    fn many(orders: Vec<OrderId>, via: &'static str) -> Self {
        Self { orders, via }
    }
}

/// Finds the orders of an id or of a merchant's reference.
pub async fn find<B: Backend>(backend: &B, text: &str) -> Result<Found, Error> {
    if let Some(found) = by_keys(backend, text).await? {
        return Ok(found);
    }
    let under = backend.store().orders_under(text, MOST).await?;
    if !under.is_empty() {
        return Ok(Found::many(under, "order number"));
    }
    if let Some(found) = by_event(backend, text).await? {
        return Ok(found);
    }
    by_customer(backend, text).await
}

/// One joint read: an order, a payment, a receipt or a reference.
async fn by_keys<B: Backend>(backend: &B, text: &str) -> Result<Option<Found>, Error> {
    let receipts = [
        "",
        "-order",
        "-refund",
        "-refund_failed",
        "-payment_failed",
        "-shipment",
    ];
    let receipts = receipts
        .iter()
        .filter_map(|end| ReceiptId::new(format!("{text}{end}")).ok());
    let payment = PaymentIntentId::new(text).ok();
    let read_set = ReadSet {
        order: OrderId::new(text).ok(),
        links: payment.iter().cloned().collect(),
        reference: Some(text.to_owned()),
        receipts: receipts.collect(),
        ..ReadSet::default()
    };
    let mut rows = backend.store().read(&read_set).await?;
    if let Some(order) = rows.order {
        return Ok(Some(Found::one(order.order_id, "order")));
    }
    let link = payment.and_then(|id| rows.links.remove(&id));
    if let Some(order_id) = link.and_then(|link| link.order_id) {
        return Ok(Some(Found::one(order_id, "payment")));
    }
    if let Some(receipt) = rows.receipts.into_values().next() {
        return Ok(Some(Found::one(receipt.order_id, "mail or refund")));
    }
    let orders = rows.reference.map(|row| row.order_ids).unwrap_or_default();
    Ok((!orders.is_empty()).then(|| Found::many(orders, "order number")))
}

async fn by_event<B: Backend>(backend: &B, text: &str) -> Result<Option<Found>, Error> {
    let Ok(id) = EventId::new(text) else {
        return Ok(None);
    };
    let Some(event) = backend.store().event(&id).await? else {
        return Ok(None);
    };
    let orders = orders_of_event(backend, &event).await?;
    Ok(Some(Found::many(orders, "event")))
}

/// The orders that an event is about, as far as its body and the links say.
pub async fn orders_of_event<B: Backend>(
    backend: &B,
    event: &StoredEvent,
) -> Result<Vec<OrderId>, Error> {
    let Reading::Event(read) = providers::read(&event.provider, &event.body) else {
        return Ok(Vec::new());
    };
    match subject(&read.change) {
        Subject::Order(id) => {
            let order = backend.store().order(&id).await?;
            Ok(order.into_iter().map(|order| order.order_id).collect())
        }
        Subject::Payment(id) => {
            let read_set = ReadSet {
                links: vec![id],
                ..ReadSet::default()
            };
            let links = backend.store().read(&read_set).await?.links;
            Ok(links
                .into_values()
                .filter_map(|link| link.order_id)
                .collect())
        }
        Subject::Subscription(id) => of_subscription(backend, &id).await,
        Subject::None => Ok(Vec::new()),
    }
}

/// The thing that leads from a change to its order.
enum Subject {
    Order(OrderId),
    Payment(PaymentIntentId),
    Subscription(SubscriptionId),
    None,
}

fn subject(change: &Change) -> Subject {
    match change {
        Change::Sale { order_id, .. }
        | Change::SalePaid { order_id }
        | Change::Exception { order_id }
        | Change::Fetch(Reference::Sale(order_id) | Reference::RefundsOfSale(order_id)) => {
            Subject::Order(order_id.clone())
        }
        Change::Fulfillment(change) => Subject::Order(change.order_id.clone()),
        Change::Payment(change) => match &change.order_id {
            Some(order_id) => Subject::Order(order_id.clone()),
            None => Subject::Payment(change.payment_intent_id.clone()),
        },
        Change::Refund(change) => Subject::Payment(change.facts.value.payment_intent_id.clone()),
        Change::Dispute(change) => Subject::Payment(change.facts.value.payment_intent_id.clone()),
        Change::Subscription(change) => Subject::Subscription(change.subscription_id.clone()),
        Change::Fetch(
            Reference::SaleOfPayment(id) | Reference::RefundsOfPayment(id) | Reference::Payment(id),
        ) => Subject::Payment(id.clone()),
        Change::Fetch(Reference::Subscription(id) | Reference::Renewal(id)) => {
            Subject::Subscription(id.clone())
        }
        Change::Invoice(change) => Subject::Subscription(change.subscription_id.clone()),
        Change::Fetch(
            Reference::Refund(_) | Reference::Fulfillment(_) | Reference::Resource(_),
        )
        | Change::Resource(_)
        | Change::Customer(_)
        | Change::NotUnderstood(_)
        | Change::NotNeeded
        | Change::Unhandled => Subject::None,
    }
}

async fn by_customer<B: Backend>(backend: &B, text: &str) -> Result<Found, Error> {
    if let Ok(id) = SubscriptionId::new(text) {
        let orders = of_subscription(backend, &id).await?;
        if !orders.is_empty() {
            return Ok(Found::many(orders, "subscription"));
        }
    }
    let Ok(id) = CustomerId::new(text) else {
        return Ok(Found::default());
    };
    let orders = of_customer(backend, &id, |_| true).await?;
    Ok(Found::many(orders, "customer"))
}

async fn of_subscription<B: Backend>(
    backend: &B,
    id: &SubscriptionId,
) -> Result<Vec<OrderId>, Error> {
    let Some(customer) = backend.store().customer_of(id).await? else {
        return Ok(Vec::new());
    };
    of_customer(backend, &customer, |order| {
        order.subscription_id.as_ref() == Some(id)
    })
    .await
}

/// The orders of a customer, the newest first.
pub async fn of_customer<B: Backend>(
    backend: &B,
    id: &CustomerId,
    is_wanted: impl Fn(&Order) -> bool,
) -> Result<Vec<OrderId>, Error> {
    let (mut found, mut after) = (Vec::new(), None);
    for _ in 0..PAGES {
        let page = backend.store().orders_of(id, after.as_ref()).await?;
        found.extend(page.orders.into_iter().filter(&is_wanted));
        after = page.next;
        if after.is_none() {
            break;
        }
    }
    found.sort_by_key(|order| std::cmp::Reverse(order.placed_at));
    found.truncate(MOST);
    Ok(found.into_iter().map(|order| order.order_id).collect())
}
