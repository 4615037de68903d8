//! The one transaction that carries a decision out.

use crate::access::contact::Contact;
use crate::access::entitlement::Entitlement;
use crate::access::subscription::Subscription;
use crate::receipt::Receipt;
use crate::receipt::ReceiptKind;
use crate::sale::merchant_reference::MerchantReference;
use crate::sale::order::Order;
use crate::sale::payment::Link;
use crate::sale::stock::Deduction;
use crate::sale::stock::Restock;
use crate::values::ids::EventId;
use crate::values::ids::ReceiptId;
use std::fmt;
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
    pub reference: Option<MerchantReference>,
    /// The subscription.
    pub subscription: Option<Subscription>,
    /// The access that follows from it.
    pub entitlements: Vec<Entitlement>,
    /// How to write to the customer.
    pub contact: Option<Contact>,
    /// New receipts.
    pub receipts: Vec<Receipt>,
    /// Stock movements still to write.
    pub deductions: Vec<Deduction>,
    /// Goods that go back.
    pub returns: Vec<Restock>,
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
            deductions: Vec::new(),
            returns: Vec::new(),
        }
    }
}

impl Commit {
    /// Whether it fulfills an order.
    #[must_use]
    pub fn fulfills(&self) -> bool {
        self.order.is_some()
            && self
                .receipts
                .iter()
                .any(|receipt| receipt.kind == ReceiptKind::Order)
    }

    /// The receipts that it makes owed.
    #[must_use]
    pub fn receipt_ids(&self) -> Vec<ReceiptId> {
        self.receipts
            .iter()
            .map(|receipt: &Receipt| receipt.receipt_id.clone())
            .collect()
    }
}

/// For the log: ids, counts and amounts, and no name of anything that was bought. Beside an order, the name of a thing
/// can tell what ails somebody.
impl fmt::Display for Commit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut parts = Vec::new();
        if let Some(order) = &self.order {
            let (lines, total) = (order.lines.len(), order.money(order.totals.total));
            if self.fulfills() {
                parts.push(format!(
                    "fulfill {}: {lines} lines, {total}",
                    order.order_id
                ));
            } else {
                parts.push(format!("order {}: {}", order.order_id, order.state()));
            }
        }
        if let Some(subscription) = &self.subscription {
            parts.push(format!("subscription {}", subscription.subscription_id));
        }
        for row in &self.entitlements {
            parts.push(format!(
                "access {} until {}",
                row.reason.as_str(),
                row.access_until
            ));
        }
        if self.contact.is_some() {
            parts.push("customer".to_owned());
        }
        if parts.is_empty() && !self.links.is_empty() {
            parts.push("payment noted, its order is not known yet".to_owned());
        }
        if self.fulfills() || !self.deductions.is_empty() {
            parts.push(format!("{} stock movements", self.deductions.len()));
        }
        if let Some(order) = self.order.as_ref().filter(|_| self.fulfills()) {
            let missing: i64 = order.shortfalls.iter().map(|short| short.missing).sum();
            if missing > 0 {
                parts.push(format!("{missing} pieces short"));
            }
            if let Some(difference) = order.difference {
                parts.push(format!(
                    "lines differ from the total by {}",
                    order.money(difference)
                ));
            }
        }
        let back: i64 = self.returns.iter().map(|back| back.pieces).sum();
        if back > 0 {
            parts.push(format!("{back} pieces back on the shelf"));
        }
        for receipt in &self.receipts {
            parts.push(format!("receipt {}", receipt.receipt_id));
        }
        f.write_str(&parts.join(", "))
    }
}
