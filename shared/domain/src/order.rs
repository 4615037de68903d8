//! An order: what was bought, by whom, for how much, and what became of the stock.

use crate::{
    checkout::{Customer, Eligibility, Totals},
    delivery::Provider,
    ids::{LineItemId, OrderId, PaymentIntentId, PriceId, ProductId, ReceiptId, Sku},
    mode::Mode,
    money::{Currency, Money},
    stock::LineStock,
};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

/// The row of the Orders table. Amounts are whole minor units of `currency`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Order {
    /// The key: the provider's checkout session id.
    pub order_id: OrderId,
    /// Counts the changes, from 1: every later write is guarded by the version it read.
    pub version: u64,
    /// Who took the payment.
    pub provider: Provider,
    /// The merchant's own reference; searchable.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub client_reference_id: Option<String>,
    /// Live or test money.
    pub mode: Mode,
    /// The date of sale: when the checkout was completed, by the provider's clock.
    #[serde(with = "jiff::fmt::serde::timestamp::second::required")]
    pub placed_at: Timestamp,
    /// When we fulfilled it.
    #[serde(with = "jiff::fmt::serde::timestamp::second::required")]
    pub fulfilled_at: Timestamp,
    /// Who paid.
    pub customer: Customer,
    /// Of all amounts.
    pub currency: Currency,
    /// What it came to.
    pub totals: Totals,
    /// What had been received when it was fulfilled, where told.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub received: Option<i64>,
    /// The payments; a split cart has two.
    pub payment_intents: Vec<PaymentIntentId>,
    /// What was bought.
    pub lines: Vec<OrderLine>,
    /// The lines' totals minus the order's total, where they differ.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub difference: Option<i64>,
    /// Paid for and not on the shelf.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub shortfalls: Vec<Shortfall>,
    /// The receipt for it.
    pub receipt_id: ReceiptId,
}

/// One line of an order.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct OrderLine {
    /// The provider's id of the line.
    pub line_item_id: LineItemId,
    /// What a receipt calls it.
    pub description: String,
    /// How many.
    pub quantity: u32,
    /// The price of one, where told.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub unit_amount: Option<i64>,
    /// The line's own amounts.
    pub amounts: Totals,
    /// In the provider's word; see [`Eligibility`] for what may be shown.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub eligibility: Option<Eligibility>,
    /// The provider's product.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub product_id: Option<ProductId>,
    /// The provider's price.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub price_id: Option<PriceId>,
    /// What it means for stock.
    #[serde(flatten)]
    pub stock: LineStock,
}

impl OrderLine {
    /// Whether HSA/FSA money may pay for it. Unclassified counts as no: a receipt must not promise it.
    #[must_use]
    pub fn is_eligible(&self) -> bool {
        self.eligibility.as_ref().is_some_and(Eligibility::is_eligible)
    }
}

/// So many of a SKU were paid for and are not there.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Shortfall {
    /// Which SKU.
    pub sku: Sku,
    /// How many are missing.
    pub missing: i64,
}

impl Order {
    /// An amount of this order, for people.
    #[must_use]
    pub fn money(&self, minor: i64) -> Money {
        Money { minor, currency: self.currency }
    }

    /// An upper bound of the bytes that its row takes: names, numbers and braces included.
    #[must_use]
    pub fn size_bound(&self) -> usize {
        // Attribute names and numbers of one line come to some 300 bytes.
        const A_LINE: usize = 400;
        const THE_REST: usize = 4_000;
        let optional = |text: Option<&str>| text.map_or(0, str::len);
        let customer = optional(self.customer.name.as_deref()) + optional(self.customer.email.as_deref());
        let lines = self.lines.iter().map(|line| {
            let sku = match &line.stock {
                LineStock::Counted { sku } | LineStock::Untracked { sku } => sku.as_str().len(),
                LineStock::Unmapped => 0,
            };
            A_LINE
                + sku
                + line.description.len()
                + line.line_item_id.as_str().len()
                + optional(line.eligibility.as_ref().map(|word| word.0.as_str()))
                + optional(line.product_id.as_ref().map(ProductId::as_str))
                + optional(line.price_id.as_ref().map(PriceId::as_str))
        });
        let short = self.shortfalls.iter().map(|short| short.sku.as_str().len() + 50).sum::<usize>();
        let payments = self.payment_intents.iter().map(|id| id.as_str().len() + 10).sum::<usize>();
        THE_REST
            + customer
            + optional(self.client_reference_id.as_deref())
            + payments
            + short
            + lines.sum::<usize>()
    }

    /// What the eligible and the other lines come to, by their own totals.
    #[must_use]
    pub fn eligible_and_other(&self) -> (i64, i64) {
        self.lines.iter().fold((0, 0), |(eligible, other), line| {
            if line.is_eligible() {
                (eligible.saturating_add(line.amounts.total), other)
            } else {
                (eligible, other.saturating_add(line.amounts.total))
            }
        })
    }
}
