//! The state of one thing in the tables, as one line. Both stores have it: the world in memory and the deployed tables.

use domain::{
    ports::{Commits, Receipts},
    resource::{Resource, ResourceId, checkout_session::SessionEnd},
};
use kit::prelude::*;

/// What the tables show of a subject, such as `order ord_1001`; `none` without a row.
pub(super) async fn shown(store: &(impl Commits + Receipts), subject: &str) -> String {
    let parts: Vec<&str> = subject.split(' ').collect();
    let shown = match parts.as_slice() {
        ["order", id] => order(store, id).await.map(|order| order_line(&order)),
        ["moved", id, sku] => moved(store, id, sku).await,
        ["refund", of, id] => {
            let order = order(store, of).await;
            let id = RefundId::new(*id).unwrap();
            order.and_then(|order| Some(order.refunds.get(&id)?.facts.value.word.clone()))
        }
        ["fulfillment", of, id] => {
            let order = order(store, of).await;
            let id = domain::values::ids::FulfillmentId::new(*id).unwrap();
            order.and_then(|order| Some(order.fulfillments.get(&id)?.value.word.clone()))
        }
        ["payment", id] => payment(store, id).await,
        ["access", customer, product] => access(store, customer, product).await,
        ["charged", customer, id] => charged(store, customer, id).await,
        ["receipt", id] => {
            let id = ReceiptId::new(*id).unwrap();
            let receipt = store.receipt(&id).await.unwrap();
            receipt.map(|receipt| match receipt.state {
                ReceiptState::Sent { .. } => "sent".to_owned(),
                other => format!("{other:?}"),
            })
        }
        [key] => resource(store, key).await,
        _ => panic!("{subject}"),
    };
    shown.unwrap_or_else(|| "none".to_owned())
}

async fn read(store: &impl Commits, read_set: ReadSet) -> Snapshot {
    store.read(&read_set).await.unwrap()
}

async fn order(store: &impl Commits, id: &str) -> Option<Order> {
    let read_set = ReadSet::of_order(&OrderId::new(id).unwrap());
    read(store, read_set).await.order
}

fn order_line(order: &Order) -> String {
    let holds: Vec<_> = order
        .active_holds()
        .iter()
        .map(ToString::to_string)
        .collect();
    match holds.join(", ") {
        none if none.is_empty() => order.state().to_string(),
        holds => format!("{} ({holds})", order.state()),
    }
}

async fn moved(store: &impl Commits, order_id: &str, sku: &str) -> Option<String> {
    let key = (
        OrderId::new(order_id).unwrap(),
        vec![Sku::new(sku).unwrap()],
    );
    let read_set = ReadSet {
        stock_levels: Some(key),
        ..ReadSet::default()
    };
    let levels = read(store, read_set).await.stock_levels;
    let moved = levels.into_iter().find_map(|level| level.moved)?;
    Some(format!("{} out, {} back", moved.deducted, moved.restocked))
}

/// The status of a payment, on its order if there is one, else on its link.
async fn payment(store: &impl Commits, id: &str) -> Option<String> {
    let id = PaymentIntentId::new(id).unwrap();
    let read_set = ReadSet {
        links: vec![id.clone()],
        ..ReadSet::default()
    };
    let link = read(store, read_set).await.links.remove(&id)?;
    let facts = match &link.order_id {
        Some(order_id) => order(store, order_id.as_str()).await?.payments.remove(&id),
        None => link.facts,
    };
    facts.map(|facts| facts.value.word)
}

async fn access(store: &impl Commits, customer: &str, product: &str) -> Option<String> {
    let key = (
        CustomerId::new(customer).unwrap(),
        ProductId::new(product).unwrap(),
    );
    let read_set = ReadSet {
        entitlements: vec![key],
        ..ReadSet::default()
    };
    let row = read(store, read_set)
        .await
        .entitlements
        .into_iter()
        .next()?;
    Some(format!(
        "{} until {}",
        row.reason.as_str(),
        row.access_until
    ))
}

/// The payment method of a subscription.
async fn charged(store: &impl Commits, customer: &str, id: &str) -> Option<String> {
    let key = (
        CustomerId::new(customer).unwrap(),
        SubscriptionId::new(id).unwrap(),
    );
    let read_set = ReadSet {
        subscription: Some(key),
        ..ReadSet::default()
    };
    let row = read(store, read_set).await.subscription?;
    let method = row.payment_method?.value.to_string();
    Some(if row.payment_method_removed {
        format!("{method}, which is removed")
    } else {
        method
    })
}

async fn resource(store: &impl Commits, key: &str) -> Option<String> {
    let id: ResourceId = key.parse().unwrap();
    let read_set = ReadSet {
        resources: vec![id.clone()],
        ..ReadSet::default()
    };
    let row = read(store, read_set).await.resources.remove(&id)?;
    Some(resource_line(&row))
}

fn resource_line(row: &Resource) -> String {
    match row {
        Resource::Transaction(row) => {
            let entry = row.entry.get().unwrap();
            let status = row.status.get().unwrap();
            format!("{status}: {} - {} = {}", entry.amount, entry.fee, entry.net)
        }
        Resource::Invoice(row) => {
            let attempts = row.attempts.values();
            let attempts = attempts.map(|attempt| format!(", attempt {}", attempt.value.status));
            let blocked = if row.blocked.get() == Some(&true) {
                ", blocked"
            } else {
                ""
            };
            let (status, outstanding) = (row.status.get().unwrap(), row.outstanding.get().unwrap());
            format!(
                "{status}: {outstanding}{blocked}{}",
                attempts.collect::<String>()
            )
        }
        Resource::PaymentMethod(row) => match row.status.get() {
            Some(status) => status.to_string(),
            None => "no status".to_owned(),
        },
        Resource::Merchant(row) => {
            let payouts = &row.payouts.get().unwrap().status;
            let can = row.can_take_payments();
            format!(
                "takes payments: {can}, payouts {payouts}, missing {}",
                row.missing().join(", ")
            )
        }
        Resource::CheckoutSession(row) => match row.end() {
            SessionEnd::Superseded(Some(by)) => format!("superseded by {by}"),
            end => format!("{end:?}"),
        },
    }
}
