//! Decides what a paid checkout means: one order, its stock movements, one receipt.

use crate::{
    checkout::{Capture, Checkout, Kind, LineItem, Status},
    event::{EventState, StoredEvent},
    ids::{BadId, EventId, ReceiptId},
    mode::Mode,
    order::{Order, OrderLine, Shortfall},
    ports::ReadError,
    receipt::Receipt,
    stock::{self, LineStock, Mapping, Shelf, Take},
};
use jiff::Timestamp;
use std::fmt;

/// Everything that fulfilling an order writes: all of it, or none of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Commit {
    /// The event that brought the news: becomes `committed`.
    pub event_id: EventId,
    /// The order, new.
    pub order: Order,
    /// Its receipt, new and pending.
    pub receipt: Receipt,
    /// The stock movements still to write.
    pub takes: Vec<Take>,
}

/// What the stored rows alone say about a pending event, before the provider is asked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Screening {
    /// Its effects are committed, by an attempt that stopped before it queued the receipt: pass that on.
    PassOn(ReceiptId),
    /// Another event has fulfilled this order; its receipt may still be owed.
    AlreadyFulfilled(ReceiptId),
    /// Nothing has happened yet: ask the provider.
    ReadOn,
}

/// Screens a pending event against what is stored.
#[must_use]
pub fn screen(event: &StoredEvent, order: Option<&Order>) -> Screening {
    match (event.state, &event.receipt_id, order) {
        (EventState::Committed, Some(receipt_id), _) => Screening::PassOn(receipt_id.clone()),
        (_, _, Some(order)) => Screening::AlreadyFulfilled(order.receipt_id.clone()),
        (_, _, None) => Screening::ReadOn,
    }
}

/// What to do with a checkout that nobody has fulfilled yet.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Decision {
    /// Fulfill it.
    Fulfill(Box<Commit>),
    /// Let a person decide.
    Park(Doubt),
}

/// Why a person must decide. Each is kept on the stored event, logged and alarmed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Doubt {
    /// The event says completed, the provider's API says otherwise.
    #[error("the checkout is `{0}`, not complete")]
    NotComplete(String),
    /// A kind of checkout that sells nothing we know how to fulfill.
    #[error("checkouts of mode `{0}` are not fulfilled")]
    ModeNotFulfilled(String),
    /// Test money on a live stack, or live money on a test stack.
    #[error("a {checkout}-mode checkout reached a {stack}-mode stack")]
    OtherMode {
        /// The checkout's.
        checkout: Mode,
        /// Ours.
        stack: Mode,
    },
    /// The money is authorized, not received.
    #[error("the payment is to be captured by hand and has not been received")]
    NotCaptured,
    /// The stored body does not say which checkout it is about.
    #[error("the event does not name a checkout")]
    NoCheckout,
    /// The provider will not tell us about it.
    #[error("{0}")]
    NotTold(ReadError),
    /// More than a row holds. Nothing of it has been written.
    #[error("an order of {lines} lines does not fit into a row")]
    TooLarge {
        /// How many lines it has.
        lines: usize,
    },
    /// An identifier in the answer cannot be stored.
    #[error("{0}")]
    BadId(#[from] BadId),
}

impl Doubt {
    /// Whether waiting a little may settle it: the provider's announcement can be ahead of what its API tells, and
    /// a wrong address or a gateway's error page looks like an unknown checkout.
    #[must_use]
    pub fn may_pass(&self) -> bool {
        match self {
            Self::NotComplete(_) | Self::NotTold(ReadError::NotUnderstood(_)) => true,
            Self::NotTold(ReadError::Permanent { status, .. }) => *status == 404,
            Self::NotTold(ReadError::KeyRefused { .. } | ReadError::Transient(_))
            | Self::ModeNotFulfilled(_)
            | Self::OtherMode { .. }
            | Self::NotCaptured
            | Self::NoCheckout
            | Self::TooLarge { .. }
            | Self::BadId(_) => false,
        }
    }
}

/// The largest order that is written. A DynamoDB item holds 400 KB
/// (<https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/Constraints.html>); our sum is an upper bound.
const MAX_ORDER_BYTES: usize = 380_000;

/// Whether a checkout may be fulfilled on this stack at all.
fn doubt(checkout: &Checkout, stack: Mode) -> Option<Doubt> {
    if checkout.mode != stack {
        return Some(Doubt::OtherMode { checkout: checkout.mode, stack });
    }
    if let Status::Other(status) = &checkout.status {
        return Some(Doubt::NotComplete(status.clone()));
    }
    if let Kind::Other(kind) = &checkout.kind {
        return Some(Doubt::ModeNotFulfilled(kind.clone()));
    }
    let unpaid = checkout.totals.total > 0 && checkout.received.unwrap_or_default() <= 0;
    (checkout.capture == Capture::Manual && unpaid).then_some(Doubt::NotCaptured)
}

/// Decides what a checkout means. The same arguments give the same answer, so a job may run at any time again.
#[must_use]
pub fn decide(
    event: &StoredEvent,
    checkout: &Checkout,
    mapping: &Mapping,
    shelves: &[Shelf],
    stack: Mode,
    now: Timestamp,
) -> Decision {
    if let Some(doubt) = doubt(checkout, stack) {
        return Decision::Park(doubt);
    }
    let receipt = match Receipt::for_order(&checkout.order_id, now) {
        Ok(receipt) => receipt,
        Err(bad) => return Decision::Park(bad.into()),
    };
    let plan = stock::plan(&checkout.order_id, &checkout.lines, mapping, shelves, now);
    let sum = checkout.lines.iter().fold(0_i64, |sum, line| sum.saturating_add(line.amounts.total));
    let difference = sum.saturating_sub(checkout.totals.total);
    let shortfalls = plan
        .movements
        .iter()
        .filter(|movement| movement.short() > 0)
        .map(|movement| Shortfall { sku: movement.sku.clone(), missing: movement.short() })
        .collect();
    let order = Order {
        order_id: checkout.order_id.clone(),
        version: 1,
        provider: checkout.provider,
        client_reference_id: checkout.client_reference_id.clone(),
        mode: checkout.mode,
        placed_at: event.occurred_at.or(checkout.created_at).unwrap_or(event.received_at),
        fulfilled_at: now,
        customer: checkout.customer.clone(),
        currency: checkout.currency,
        totals: checkout.totals,
        received: checkout.received,
        payment_intents: checkout.payment_intents.clone(),
        lines: checkout.lines.iter().zip(plan.lines).map(|(line, stock)| order_line(line, stock)).collect(),
        difference: (difference != 0).then_some(difference),
        shortfalls,
        receipt_id: receipt.receipt_id.clone(),
    };
    if order.size_bound() > MAX_ORDER_BYTES {
        return Decision::Park(Doubt::TooLarge { lines: order.lines.len() });
    }
    Decision::Fulfill(Box::new(Commit {
        event_id: event.event_id.clone(),
        order,
        receipt,
        takes: plan.to_write,
    }))
}

fn order_line(line: &LineItem, stock: LineStock) -> OrderLine {
    OrderLine {
        line_item_id: line.line_item_id.clone(),
        description: line.description.clone(),
        quantity: line.quantity,
        unit_amount: line.unit_amount,
        amounts: line.amounts,
        eligibility: line.eligibility.clone(),
        product_id: line.product_id.clone(),
        price_id: line.price_id.clone(),
        stock,
    }
}

impl Order {
    /// Whether a line has no SKU, which a person should mend.
    #[must_use]
    pub fn has_unmapped_lines(&self) -> bool {
        self.lines.iter().any(|line| line.stock == LineStock::Unmapped)
    }
}

impl fmt::Display for Decision {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Fulfill(commit) => {
                let Commit { order, takes, .. } = &**commit;
                write!(
                    f,
                    "fulfill {}: {} lines, {}",
                    order.order_id,
                    order.lines.len(),
                    order.money(order.totals.total)
                )?;
                // No SKU: beside an order, the name of a thing can tell what ails somebody.
                write!(f, ", {} stock movements", takes.len())?;
                let missing: i64 = order.shortfalls.iter().map(|short| short.missing).sum();
                if missing > 0 {
                    write!(f, " ({missing} pieces short)")?;
                }
                if let Some(difference) = order.difference {
                    write!(f, ", lines differ from the total by {}", order.money(difference))?;
                }
                write!(f, ", receipt {}", order.receipt_id)
            }
            Self::Park(doubt) => write!(f, "park: {doubt}"),
        }
    }
}

#[cfg(test)]
mod tests;
