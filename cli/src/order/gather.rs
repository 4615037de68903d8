//! Reads the rows of an order: two calls, whatever the order holds.

use crate::{backend::Backend, error::Error};
use domain::{
    access::{entitlement::Entitlement, subscription::Subscription},
    delivery::stored_event::{EventState, StoredEvent},
    fulfillment::read_set::{ReadSet, Snapshot},
    ports::{Commits as _, Events, OpenRows, Orders as _},
    receipt::Receipt,
    sale::{
        order::{Order, OrderLine},
        stock::{LineStock, StockLevel},
    },
    values::ids::{OrderId, ProductId, ReceiptId, Sku},
};
use std::collections::BTreeSet;

/// The rows of an order.
#[derive(Debug, Clone)]
pub struct Rows {
    pub order: Order,
    /// By id.
    pub receipts: Vec<Receipt>,
    pub levels: Vec<StockLevel>,
    pub subscription: Option<Subscription>,
    pub entitlements: Vec<Entitlement>,
}

/// Reads an order with everything that belongs to it; `None` if there is no such order.
pub async fn gather<B: Backend>(backend: &B, id: &OrderId) -> Result<Option<Rows>, Error> {
    let Some(order) = backend.store().order(id).await? else {
        return Ok(None);
    };
    let rows = backend.store().read(&read_set(&order)).await?;
    let mut more = Snapshot::default();
    // The products of a plan are known once the subscription is read.
    let planned = rows.subscription.as_ref().map(|row| row.products.clone());
    if let (Some(products), Some(customer)) = (planned, &order.customer.customer_id) {
        let key = |product: ProductId| (customer.clone(), product);
        let read_set = ReadSet {
            entitlements: products.into_iter().map(key).collect(),
            ..ReadSet::default()
        };
        more = backend.store().read(&read_set).await?;
    }
    let mut entitlements = rows.entitlements;
    for row in more.entitlements {
        if !entitlements.contains(&row) {
            entitlements.push(row);
        }
    }
    Ok(Some(Rows {
        receipts: rows.receipts.into_values().collect(),
        levels: rows.stock_levels,
        subscription: rows.subscription,
        entitlements,
        order,
    }))
}

fn read_set(order: &Order) -> ReadSet {
    let skus: BTreeSet<Sku> = order.lines.iter().filter_map(sku).cloned().collect();
    let customer = order.customer.customer_id.clone();
    let subscription = customer.clone().zip(order.subscription_id.clone());
    let granted = order.lines.iter().filter_map(|line| line.grants.as_ref());
    let granted = granted.filter_map(|grant| Some((customer.clone()?, grant.name.clone())));
    let granted: BTreeSet<_> = granted.collect();
    ReadSet {
        receipts: receipt_ids(order),
        stock_levels: (!skus.is_empty())
            .then(|| (order.order_id.clone(), skus.into_iter().collect())),
        subscription,
        entitlements: granted.into_iter().collect(),
        ..ReadSet::default()
    }
}

/// The SKU of a line, if it has one.
#[must_use]
pub fn sku(line: &OrderLine) -> Option<&Sku> {
    match &line.stock {
        LineStock::Counted { sku } | LineStock::Uncounted { sku } => Some(sku),
        LineStock::Untracked { sku } => sku.as_ref(),
        LineStock::Waiting | LineStock::Exempt | LineStock::Unmapped => None,
    }
}

/// The ids that the mails of an order can have. A notice that a trial ends has its own, on the subscription.
#[must_use]
pub fn receipt_ids(order: &Order) -> Vec<ReceiptId> {
    let mut texts = vec![format!("{}-order", order.order_id)];
    texts.extend(
        order
            .invoice_id
            .iter()
            .map(|id| format!("{id}-payment_failed")),
    );
    for id in order.refunds.keys() {
        texts.extend([format!("{id}-refund"), format!("{id}-refund_failed")]);
    }
    texts.extend(order.fulfillments.keys().map(|id| format!("{id}-shipment")));
    let derived = texts.into_iter().filter_map(|id| ReceiptId::new(id).ok());
    let named = order.delivery_failures.keys().cloned();
    let all: BTreeSet<ReceiptId> = derived.chain(named).collect();
    all.into_iter().collect()
}

/// The most open events of each state that are searched.
const OPEN_EVENTS: usize = 50;

/// The unfinished and parked events whose bodies name one of these texts.
pub async fn open_events(
    events: &(impl Events + OpenRows),
    texts: &[&str],
) -> Result<Vec<StoredEvent>, Error> {
    let mut found = Vec::new();
    for state in [
        EventState::Parked,
        EventState::Stored,
        EventState::Committed,
    ] {
        for id in events.open_events(state, OPEN_EVENTS).await? {
            let event = events.event(&id).await?;
            found.extend(event.filter(|event| names(&event.body, texts)));
        }
    }
    Ok(found)
}

/// True if the body has one of the texts as a whole JSON string.
fn names(body: &[u8], texts: &[&str]) -> bool {
    texts.iter().any(|text| {
        let quoted = format!("\"{text}\"");
        body.windows(quoted.len())
            .any(|part| part == quoted.as_bytes())
    })
}
