//! An order: what was bought, by whom, for how much, and what became of the stock.

use crate::{
    sale::{
        checkout::{Customer, Eligibility, Totals},
        delivery_failure::DeliveryFailure,
        dispute::{Dispute, DisputeStage},
        payment,
        refund::Refund,
        stock::LineStock,
    },
    values::{
        facts::Fact,
        ids::{
            DisputeId, InvoiceId, LineItemId, OrderId, PaymentIntentId, PriceId, ProductId,
            ReceiptId, RefundId, Sku, SubscriptionId,
        },
        mode::Mode,
        money::{Currency, Money},
        provider::Provider,
    },
};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use std::{collections::BTreeMap, fmt};

/// Where the money of an order is. Goods are released and the receipt is sent when it is received, not before.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum OrderFunds {
    /// Here.
    #[default]
    Received,
    /// Held on the customer's card, to be captured by the merchant.
    Authorized,
    /// On its way: delayed methods take days.
    Processing,
    /// The payment has failed.
    Failed,
    /// The authorization or the checkout has run out.
    Expired,
    /// Called off.
    Canceled,
}

/// Where an order stands: a function of everything that is known of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OrderState {
    /// Not paid for (yet).
    Waiting(OrderFunds),
    /// Paid for and released.
    Paid,
    /// Some of the money has gone back.
    PartlyRefunded,
    /// All of it has.
    Refunded,
}

impl fmt::Display for OrderFunds {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Received => "received",
            Self::Authorized => "authorized",
            Self::Processing => "processing",
            Self::Failed => "failed",
            Self::Expired => "expired",
            Self::Canceled => "canceled",
        })
    }
}

impl fmt::Display for OrderState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Waiting(funds) => funds.fmt(f),
            Self::Paid => f.write_str("paid"),
            Self::PartlyRefunded => f.write_str("partly_refunded"),
            Self::Refunded => f.write_str("refunded"),
        }
    }
}

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
    /// Where its money is.
    #[serde(default)]
    pub funds: OrderFunds,
    /// When we fulfilled it: stock is moved and the receipt committed, once.
    #[serde(
        default,
        skip_serializing_if = "Option::is_none",
        with = "jiff::fmt::serde::timestamp::second::optional"
    )]
    pub fulfilled_at: Option<Timestamp>,
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
    /// The receipt for it, once it is fulfilled.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub receipt_id: Option<ReceiptId>,
    /// What was told of each payment.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub payments: BTreeMap<PaymentIntentId, Fact<payment::PaymentFacts>>,
    /// What has gone back, or was to.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub refunds: BTreeMap<RefundId, Refund>,
    /// What a bank wants back.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub disputes: BTreeMap<DisputeId, Dispute>,
    /// The subscription that began with it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub subscription_id: Option<SubscriptionId>,
    /// That subscription's first invoice, where the checkout tells it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub invoice_id: Option<InvoiceId>,
    /// Other paid orders under the same reference of the merchant's, at the time when this one was fulfilled: a person
    /// should look, since a shopper may have paid twice.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub same_reference: Vec<OrderId>,
    /// Which of its mails a customer may not have, and why not.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub delivery_failures: BTreeMap<ReceiptId, DeliveryFailure>,
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
        self.eligibility
            .as_ref()
            .is_some_and(Eligibility::is_eligible)
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

/// What a person should hear of at once, when it is new.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Alerts {
    /// A dispute was opened.
    pub dispute_opened: bool,
    /// A dispute was lost.
    pub dispute_lost: bool,
    /// A refund that the customer was told of has failed.
    pub refund_failed: bool,
}

impl Alerts {
    /// What is new in `order` over what was known of it.
    #[must_use]
    pub fn between(known: Option<&Order>, order: &Order) -> Self {
        let stage_of = |id| {
            known
                .and_then(|known| known.disputes.get(id))
                .map(Dispute::stage)
        };
        let newly = |wanted: DisputeStage| {
            order
                .disputes
                .iter()
                .any(|(id, now)| now.stage() == wanted && stage_of(id) != Some(wanted))
        };
        let had_failed = |id| {
            known
                .and_then(|known| known.refunds.get(id))
                .is_some_and(Refund::failed_after_all)
        };
        Self {
            dispute_opened: newly(DisputeStage::Open),
            dispute_lost: newly(DisputeStage::Lost),
            refund_failed: order
                .refunds
                .iter()
                .any(|(id, now)| now.failed_after_all() && !had_failed(id)),
        }
    }
}

impl Order {
    /// Where it stands.
    #[must_use]
    pub fn state(&self) -> OrderState {
        if self.fulfilled_at.is_none() {
            return OrderState::Waiting(self.funds);
        }
        match self.refunded() {
            ..=0 => OrderState::Paid,
            back if back < self.paid() => OrderState::PartlyRefunded,
            _ => OrderState::Refunded,
        }
    }

    /// What was paid for it, in minor units: what was received, where that is told.
    #[must_use]
    pub fn paid(&self) -> i64 {
        self.received
            .filter(|received| *received > 0)
            .unwrap_or(self.totals.total)
    }

    /// The refunds of this order's own payments. Those of its subscription's later invoices are kept on it as well,
    /// and are another matter.
    pub fn own_refunds(&self) -> impl Iterator<Item = &Refund> {
        self.refunds.values().filter(|refund| {
            let facts = &refund.facts.value;
            let of_another_invoice =
                facts.invoice_id.is_some() && facts.invoice_id != self.invoice_id;
            // A checkout that cost nothing, the start of a trial, has no payment: nothing of it can go back.
            self.payment_intents.contains(&facts.payment_intent_id)
                || (self.payment_intents.is_empty() && self.paid() > 0 && !of_another_invoice)
        })
    }

    /// What has gone back of its own payments and stays there, in minor units.
    #[must_use]
    pub fn refunded(&self) -> i64 {
        let standing = self.own_refunds().filter(|refund| refund.stands());
        standing.fold(0, |sum, refund| {
            sum.saturating_add(refund.facts.value.amount)
        })
    }

    /// Whether a dispute is open.
    #[must_use]
    pub fn is_disputed(&self) -> bool {
        self.disputes
            .values()
            .any(|dispute| dispute.stage() == DisputeStage::Open)
    }

    /// An amount of this order, for people.
    #[must_use]
    pub fn money(&self, minor: i64) -> Money {
        Money {
            minor,
            currency: self.currency,
        }
    }

    /// An upper bound of the bytes that its row takes. DynamoDB counts names, values and a byte or three for each
    /// (<https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/CapacityUnitCalculations.html>), and JSON
    /// takes more than that to say the same.
    #[must_use]
    pub fn size_bound(&self) -> usize {
        serde_json::to_vec(self).map_or(usize::MAX, |json| json.len())
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_order_waits_for_its_money_in_the_words_that_rows_have() {
        for funds in [
            OrderFunds::Received,
            OrderFunds::Authorized,
            OrderFunds::Processing,
            OrderFunds::Failed,
            OrderFunds::Expired,
            OrderFunds::Canceled,
        ] {
            assert_eq!(
                serde_json::to_string(&funds).unwrap(),
                format!("\"{funds}\"")
            );
            assert_eq!(OrderState::Waiting(funds).to_string(), funds.to_string());
        }
    }
}
