//! The one transaction that carries a decision out.

use crate::access::contact::Contact;
use crate::access::entitlement::Entitlement;
use crate::access::subscription::Subscription;
use crate::announcement::Batch;
use crate::delivery::job::Handoff;
use crate::receipt::Receipt;
use crate::receipt::ReceiptKind;
use crate::resource::Resource;
use crate::sale::merchant_reference::MerchantReference;
use crate::sale::order::Alerts;
use crate::sale::order::Order;
use crate::sale::payment::Link;
use crate::sale::stock::Deduction;
use crate::sale::stock::Restock;
use crate::sale::stock::Uncounted;
use crate::values::ids::CustomerId;
use crate::values::ids::EventId;
use crate::values::ids::ReceiptId;
use std::fmt;
/// Everything that a decision writes: all of it, or none of it.
///
/// A row with a version is written only if it still has the version before. Version 1 is written only if there is no
/// row.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Commit {
    /// The event that caused it.
    pub event_id: EventId,
    /// True if this commit completes the event, which then becomes `committed`. If not, the event keeps its state and
    /// comes again.
    pub ends: bool,
    pub order: Option<Order>,
    /// From payments to the order.
    pub links: Vec<Link>,
    /// The row of the merchant's reference.
    pub reference: Option<MerchantReference>,
    pub subscription: Option<Subscription>,
    /// Subscriptions whose payment method was removed.
    pub charged: Vec<Subscription>,
    /// The access that follows from the subscription.
    pub entitlements: Vec<Entitlement>,
    pub contact: Option<Contact>,
    /// The customer whom the provider has deleted: all tables follow.
    pub erases: Option<CustomerId>,
    /// The customer who must not have been erased meanwhile: an erasure that has read the orders misses a new one.
    pub unless_erased: Option<CustomerId>,
    pub receipts: Vec<Receipt>,
    /// Rows that mirror other things of the provider.
    pub resources: Vec<Resource>,
    /// Stock movements that are not written yet.
    pub deductions: Vec<Deduction>,
    /// Goods that go back in stock.
    pub restocks: Vec<Restock>,
    /// Lines without a counter, which an alarm reports now and not again.
    pub uncounted: Vec<Uncounted>,
    pub fulfills: bool,
    pub alerts: Alerts,
    /// What the merchant's other systems learn of it.
    pub announced: Option<Batch>,
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
            charged: Vec::new(),
            entitlements: Vec::new(),
            contact: None,
            erases: None,
            unless_erased: None,
            receipts: Vec::new(),
            resources: Vec::new(),
            deductions: Vec::new(),
            restocks: Vec::new(),
            uncounted: Vec::new(),
            fulfills: false,
            alerts: Alerts::default(),
            announced: None,
        }
    }

    /// The same rows, and the event does not end with them.
    pub(super) fn unended(self) -> Box<Self> {
        Box::new(Self {
            ends: false,
            ..self
        })
    }

    /// The ids of the new receipts.
    #[must_use]
    pub fn receipt_ids(&self) -> Vec<ReceiptId> {
        self.receipts
            .iter()
            .map(|receipt: &Receipt| receipt.receipt_id.clone())
            .collect()
    }

    /// The messages for the next stage.
    #[must_use]
    pub fn outbox(&self) -> Vec<Handoff> {
        let ids = self.receipt_ids().into_iter();
        let receipts = ids.map(|receipt_id| Handoff::Receipt { receipt_id });
        let erases = self.erases.iter().cloned();
        let erasures = erases.map(|customer_id| Handoff::Erasure { customer_id });
        receipts.chain(erasures).collect()
    }
}

/// The parts of its line in the log, and on its order.
impl Commit {
    /// The written rows, except stock and receipts.
    fn row_parts(&self) -> Vec<String> {
        let mut parts = Vec::new();
        if let Some(order) = &self.order {
            let (lines, total) = (order.lines.len(), order.money(order.totals.total));
            if self.fulfills {
                parts.push(format!(
                    "fulfill {}: {lines} lines, {total}",
                    order.order_id
                ));
            } else {
                parts.push(format!("order {}: {}", order.order_id, order.state()));
            }
        }
        for subscription in self.subscription.iter().chain(&self.charged) {
            parts.push(format!("subscription {}", subscription.subscription_id));
        }
        for row in &self.entitlements {
            parts.push(format!(
                "access {} until {}",
                row.reason.as_str(),
                row.access_until
            ));
        }
        // An order states its movements of money by itself.
        for resource in self.resources.iter().filter(|_| self.order.is_none()) {
            let id = resource.id();
            let (kind, id) = id.parts();
            parts.push(format!("{kind} {id}"));
        }
        if self.contact.is_some() || self.erases.is_some() {
            parts.push("customer".to_owned());
        }
        if parts.is_empty() && !self.links.is_empty() {
            parts.push("payment noted, its order is not known yet".to_owned());
        }
        parts
    }

    /// Its effect on the order, for the list of events on the order's row. The row's other facts have the amounts.
    #[must_use]
    pub(super) fn done(&self) -> String {
        let state = self.order.as_ref().map(|order| order.state().to_string());
        let first = if self.fulfills {
            Some("fulfilled".to_owned())
        } else {
            state
        };
        let mail = |receipt: &Receipt| match &receipt.kind {
            ReceiptKind::Order => "receipt".to_owned(),
            kind => format!("{} mail", kind.name()),
        };
        let waits = (!self.ends).then(|| "event waits".to_owned());
        let parts = first.into_iter().chain(self.stock_parts());
        let parts = parts.chain(self.receipts.iter().map(mail));
        let parts: Vec<String> = parts.chain(self.alerts.words()).chain(waits).collect();
        parts.join(", ")
    }

    /// The stock movements, and what differs in a fulfilled order.
    fn stock_parts(&self) -> Vec<String> {
        let mut parts = Vec::new();
        let is_reserved = |take: &&Deduction| take.movement.is_reserved;
        let reserved = self.deductions.iter().filter(is_reserved);
        let sold = self.deductions.len() - reserved.clone().count();
        if self.fulfills || sold > 0 {
            parts.push(counted(sold, "stock movement"));
        }
        let taken: i64 = reserved.map(Deduction::taken).sum();
        if taken != 0 {
            let what = if taken > 0 { "reserved" } else { "released" };
            parts.push(format!("{} {what}", counted(taken.abs(), "piece")));
        }
        if let Some(order) = self.order.as_ref().filter(|_| self.fulfills) {
            let missing: i64 = order.shortfalls.iter().map(|short| short.missing).sum();
            if missing > 0 {
                parts.push(format!("{} short", counted(missing, "piece")));
            }
            if let Some(difference) = order.difference {
                parts.push(format!(
                    "lines differ from the total by {}",
                    order.money(difference)
                ));
            }
        }
        let back: i64 = self.restocks.iter().map(|back| back.pieces).sum();
        if back > 0 {
            parts.push(format!("{} back on the shelf", counted(back, "piece")));
        }
        parts
    }
}

fn counted<N: fmt::Display + Copy + PartialEq + From<u8>>(number: N, thing: &str) -> String {
    let ending = if number == N::from(1) { "" } else { "s" };
    format!("{number} {thing}{ending}")
}

/// For the log: ids, counts and amounts, and no product names. Beside an order, a product's name can reveal a person's
/// illness.
impl fmt::Display for Commit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let receipts = self.receipts.iter();
        let receipts = receipts.map(|receipt| format!("receipt {}", receipt.receipt_id));
        let parts = [self.row_parts(), self.stock_parts(), receipts.collect()];
        f.write_str(&parts.concat().join(", "))
    }
}
