//! An order: lines, customer, amounts and stock.

pub use crate::sale::amounts::OrderFunds;
use crate::{
    sale::{
        amounts::{Amounts, Closed, Statements},
        delivery_failure::DeliveryFailure,
        details::{Details, Metadata},
        dispute::{Dispute, DisputeStage},
        event_history::EventHistory,
        hold::Hold,
        mapping::Grant,
        payment,
        refund::Refund,
        reservation::Reservation,
        shipment::FulfillmentFacts,
        statement::{Capture, Certification, Customer, Eligibility, Totals},
        stock::LineStock,
    },
    values::{
        facts::{Fact, Stamp},
        ids::{
            DisputeId, EventId, FulfillmentId, InvoiceId, LineItemId, OrderId, PaymentIntentId,
            PriceId, ProductId, ReceiptId, RefundId, Sku, SubscriptionId,
        },
        mode::Mode,
        money::{Currency, Money},
        note::Notes,
        provider::{EligibilityPolicy, ProviderId},
        size::json_size,
    },
};
use jiff::{Timestamp, civil::Date, tz::Offset};
use serde::{Deserialize, Serialize};
use serde_with::skip_serializing_none;
use std::{
    collections::{BTreeMap, BTreeSet},
    fmt,
};

/// The state of an order: a function of all merged facts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OrderState {
    /// Not paid yet.
    Waiting(OrderFunds),
    /// Paid, and kept back: see [`Order::active_holds`].
    Held,
    /// A part of the amount due is received.
    PartlyPaid,
    /// The amount due is received.
    Paid,
    /// Some of the money was refunded.
    PartlyRefunded,
    /// All of the money was refunded.
    Refunded,
}

impl fmt::Display for OrderState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Waiting(funds) => funds.fmt(f),
            Self::Held => f.write_str("held"),
            Self::PartlyPaid => f.write_str("partly_paid"),
            Self::Paid => f.write_str("paid"),
            Self::PartlyRefunded => f.write_str("partly_refunded"),
            Self::Refunded => f.write_str("refunded"),
        }
    }
}

/// The sale that made an order.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum OrderKind {
    /// A sale.
    #[default]
    Sale,
    /// A paid invoice of a running subscription.
    Renewal,
}

/// A period of a subscription.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Period {
    #[serde(with = "jiff::fmt::serde::timestamp::second::required")]
    pub start: Timestamp,
    /// The start of the next period.
    #[serde(with = "jiff::fmt::serde::timestamp::second::required")]
    pub end: Timestamp,
}

/// The row of the Orders table. Amounts are whole minor units of `currency`.
#[skip_serializing_none]
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Order {
    /// The key: the provider's id of the thing that is sold once. It is the checkout session of a sale, and the invoice of
    /// a renewal.
    pub order_id: OrderId,
    #[serde(default)]
    pub kind: OrderKind,
    /// Counts changes, from 1; each later write is guarded by the version it read.
    pub version: u64,
    pub provider: ProviderId,
    /// The policy for HSA/FSA eligibility on its receipts.
    pub eligibility: EligibilityPolicy,
    /// The merchant's reference; searchable.
    pub client_reference_id: Option<String>,
    /// Live or test money.
    pub mode: Mode,
    /// The date of sale: the completion of the sale, by the provider's clock.
    #[serde(with = "jiff::fmt::serde::timestamp::second::required")]
    pub placed_at: Timestamp,
    /// The time when stock was moved and the receipt committed, which happens once.
    #[serde(default, with = "jiff::fmt::serde::timestamp::second::optional")]
    pub fulfilled_at: Option<Timestamp>,
    pub customer: Customer,
    /// The currency of all amounts.
    pub currency: Currency,
    pub totals: Totals,
    /// True if the prices include the tax.
    #[serde(default)]
    pub tax_included: bool,
    /// The received amount as the provider states it for the whole order; see [`Order::amounts`].
    pub received: Option<i64>,
    /// True while the provider says that nothing is paid.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub is_unpaid: bool,
    /// Orders the states that the provider states of the order, if it states what does.
    pub stamp: Option<Stamp>,
    /// The provider's reasons to keep the goods back, except those of a single payment.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub holds: BTreeSet<Hold>,
    /// The reasons that a person has waived.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub waived: BTreeSet<Hold>,
    /// The events that reported an exception which no person has ended yet.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub exceptions: BTreeSet<EventId>,
    #[serde(default)]
    pub capture: Capture,
    /// For a sale that ended without completion.
    pub closed: Option<Closed>,
    /// The provider charges no smaller amount.
    #[serde(default)]
    pub least_charge: i64,
    /// A split cart has two.
    pub payment_intents: Vec<PaymentIntentId>,
    pub lines: Vec<OrderLine>,
    /// The lines' totals minus the order's total, if they differ.
    pub difference: Option<i64>,
    /// Paid but not in stock.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub shortfalls: Vec<Shortfall>,
    /// The receipt, once the order is fulfilled; `None` if the provider sends it.
    pub receipt_id: Option<ReceiptId>,
    /// The latest facts of each payment.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub payments: BTreeMap<PaymentIntentId, Fact<payment::PaymentFacts>>,
    /// All refunds, in any status.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub refunds: BTreeMap<RefundId, Refund>,
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub disputes: BTreeMap<DisputeId, Dispute>,
    /// How the provider or its operators deliver the goods.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub fulfillments: BTreeMap<FulfillmentId, Fact<FulfillmentFacts>>,
    /// The subscription that started with this order, or that it renews.
    pub subscription_id: Option<SubscriptionId>,
    /// The invoice: of a sale the subscription's first, if the sale names it.
    pub invoice_id: Option<InvoiceId>,
    /// The period that a renewal pays for, if known.
    pub period: Option<Period>,
    /// Other paid orders with the same merchant reference at the time of fulfillment. A person
    /// should look at them, because a shopper may have paid twice.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub same_reference: Vec<OrderId>,
    /// The delivery failures of this order's mails.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub delivery_failures: BTreeMap<ReceiptId, DeliveryFailure>,
    /// The units that are kept for the order until it is paid.
    #[serde(default, skip_serializing_if = "Reservation::is_empty")]
    pub reservation: Reservation,
    /// The details that the merchant needs to ship and serve the order.
    #[serde(default)]
    pub details: Details,
    /// True once the customer's personal data is erased. It stays so.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub is_erased: bool,
    /// The operators' latest actions.
    #[serde(default, skip_serializing_if = "Notes::is_empty")]
    pub notes: Notes,
    /// The latest events that changed it. It depends on their arrival, and no rule reads it.
    #[serde(default, skip_serializing_if = "EventHistory::is_empty")]
    pub event_history: EventHistory,
    /// The version of the bundle that wrote this version of the row.
    #[serde(default)]
    pub bundle: String,
}

/// One line of an order.
#[skip_serializing_none]
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct OrderLine {
    /// The provider's id of the line.
    pub line_item_id: LineItemId,
    /// The description for receipts.
    pub description: String,
    pub quantity: u32,
    /// The price of one unit, if known.
    pub unit_amount: Option<i64>,
    pub amounts: Totals,
    /// `None` while the provider has not classified the line, and always if it certifies no eligibility.
    pub eligibility: Option<Eligibility>,
    pub product_id: Option<ProductId>,
    pub price_id: Option<PriceId>,
    #[serde(flatten)]
    pub stock: LineStock,
    /// The merchant's metadata of the product and of the price.
    #[serde(default, skip_serializing_if = "Metadata::is_empty")]
    pub metadata: Metadata,
    /// The one-time access that each unit gives.
    pub grants: Option<Grant>,
}

impl OrderLine {
    /// True if the provider certifies that HSA/FSA money may pay for the line. Unclassified counts as
    /// no: a receipt must not promise eligibility.
    #[must_use]
    pub fn is_eligible(&self) -> bool {
        let certification = |eligibility: &Eligibility| eligibility.certification;
        self.eligibility.as_ref().map(certification) == Some(Certification::Certified)
    }
}

/// Units of a SKU that were paid but not in stock.
#[skip_serializing_none]
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Shortfall {
    pub sku: Sku,
    /// The number of units that are still missing.
    pub missing: i64,
    /// The time when the last missing unit was deducted.
    #[serde(default, with = "jiff::fmt::serde::timestamp::second::optional")]
    pub filled_at: Option<Timestamp>,
}

/// New facts that need a person at once.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[expect(
    clippy::struct_excessive_bools,
    reason = "each is an independent flag of one log line"
)]
pub struct Alerts {
    pub dispute_opened: bool,
    pub dispute_lost: bool,
    /// A dispute is closed by an unknown status, and its money is gone.
    pub dispute_unclear: bool,
    /// A refund failed after it had succeeded.
    pub refund_failed: bool,
    /// A part of the amount due was received.
    pub partly_paid: bool,
    /// A payment is not understood.
    pub payment_unclear: bool,
    /// The goods of a refund that succeeded are not understood.
    pub restock_unclear: bool,
    /// A reason to keep the goods back is new.
    pub held: bool,
}

impl Alerts {
    /// The alerts in words, for the list of events on the order's row.
    pub fn words(self) -> impl Iterator<Item = String> {
        let all = [
            (self.dispute_opened, "dispute opened"),
            (self.dispute_lost, "dispute lost"),
            (self.dispute_unclear, "dispute unclear"),
            (self.refund_failed, "refund failed"),
            (self.payment_unclear, "payment unclear"),
            (self.restock_unclear, "restock unclear"),
        ];
        let new = all.into_iter().filter(|(is_new, _)| *is_new);
        new.map(|(_, word)| word.to_owned())
    }

    /// The alerts that are new in `order` compared with `known`.
    #[must_use]
    pub fn between(known: Option<&Order>, order: &Order) -> Self {
        let newly_disputed = |is_so: fn(&Dispute) -> bool| {
            let was_so = |id| {
                known
                    .and_then(|known| known.disputes.get(id))
                    .is_some_and(is_so)
            };
            let mut disputes = order.disputes.iter();
            disputes.any(|(id, now)| is_so(now) && !was_so(id))
        };
        let newly_refunded = |is_so: fn(&Refund) -> bool| {
            let was_so = |id| {
                known
                    .and_then(|known| known.refunds.get(id))
                    .is_some_and(is_so)
            };
            let mut refunds = order.refunds.iter();
            refunds.any(|(id, now)| is_so(now) && !was_so(id))
        };
        let holds = known.map(Order::active_holds).unwrap_or_default();
        let none = BTreeSet::new();
        let known_unclear = known.map_or(&none, |known| &known.details.unclear_payments);
        Self {
            dispute_opened: newly_disputed(|dispute| dispute.stage() == DisputeStage::Open),
            dispute_lost: newly_disputed(|dispute| dispute.stage() == DisputeStage::Lost),
            dispute_unclear: newly_disputed(Dispute::is_unclear),
            refund_failed: newly_refunded(Refund::failed_after_all),
            partly_paid: order.funds() == OrderFunds::Part
                && known.is_none_or(|known| known.funds() != OrderFunds::Part),
            payment_unclear: !order.details.unclear_payments.is_subset(known_unclear),
            held: !order.active_holds().is_subset(&holds),
            restock_unclear: newly_refunded(|refund| {
                refund.succeeded && refund.facts.value.goods_unclear
            }),
        }
    }
}

impl Order {
    /// The order in its next version.
    #[must_use]
    pub fn next(&self) -> Self {
        Self {
            version: self.version + 1,
            ..self.clone()
        }
    }

    /// The statements about the order's money.
    fn statements(&self) -> Statements<'_> {
        Statements {
            ordered: self.totals.total,
            received: self.received,
            is_unpaid: self.is_unpaid,
            capture: self.capture,
            closed: self.closed,
            least_charge: self.least_charge,
            payment_intents: &self.payment_intents,
            payments: &self.payments,
            refunds: self.refunds.iter().collect(),
            disputes: &self.disputes,
        }
    }

    /// The day of the sale in UTC, by which an index lists all orders.
    #[must_use]
    pub fn placed_day(&self) -> Date {
        Offset::UTC.to_datetime(self.placed_at).date()
    }

    /// The amounts of the order, by [the rule about money](crate::sale::amounts).
    #[must_use]
    pub fn amounts(&self) -> Amounts {
        self.statements().amounts()
    }

    /// The state of the order's money.
    #[must_use]
    pub fn funds(&self) -> OrderFunds {
        self.amounts().funds
    }

    /// The reasons to keep the goods back: the provider's, those of its payments, and exceptions. A refund is none once
    /// the goods are out, and a reason that a person has waived is none.
    #[must_use]
    pub fn active_holds(&self) -> BTreeSet<Hold> {
        let own = self.payment_intents.iter();
        let mut payments = own.filter_map(|id| self.payments.get(id));
        let payment = payments.any(|facts| facts.value.is_held);
        let payment = payment.then_some(Hold::Payment);
        let exception = (!self.exceptions.is_empty()).then_some(Hold::Exception);
        let is_out = self.fulfilled_at.is_some();
        let holds = self.holds.iter().copied();
        let holds = holds.filter(|hold| !(is_out && hold.ends_with_fulfillment()));
        let holds = holds.filter(|hold| !self.waived.contains(hold));
        holds.chain(payment).chain(exception).collect()
    }

    /// True while the units that its checkout sessions keep may still become its goods.
    #[must_use]
    pub fn keeps_reservation(&self) -> bool {
        self.fulfilled_at.is_none()
            && self.reservation.is_held()
            && self.closed.is_none()
            && self.state() != OrderState::Refunded
    }

    /// The state of the order.
    #[must_use]
    pub fn state(&self) -> OrderState {
        let Amounts {
            funds,
            received,
            refunded,
            ..
        } = self.amounts();
        match funds {
            OrderFunds::Received | OrderFunds::Part if refunded > 0 && refunded >= received => {
                OrderState::Refunded
            }
            OrderFunds::Received if refunded > 0 => OrderState::PartlyRefunded,
            OrderFunds::Received
                if self.fulfilled_at.is_none() && !self.active_holds().is_empty() =>
            {
                OrderState::Held
            }
            OrderFunds::Received => OrderState::Paid,
            OrderFunds::Part => OrderState::PartlyPaid,
            funds => OrderState::Waiting(funds),
        }
    }

    /// The received amount in minor units.
    #[must_use]
    pub fn paid(&self) -> i64 {
        self.amounts().received
    }

    /// The refunded amount in minor units, without refunds that failed.
    #[must_use]
    pub fn refunded(&self) -> i64 {
        self.amounts().refunded
    }

    /// For each refund of the order's own payments that ever succeeded, the amount that goes back to
    /// the customer; 0 for one that only releases an authorization.
    #[must_use]
    pub fn paid_back(&self) -> BTreeMap<&RefundId, i64> {
        self.statements().paid_back()
    }

    /// True if the provider states the eligibility of a line in an unknown word, which certifies
    /// nothing.
    #[must_use]
    pub fn has_unknown_eligibility(&self) -> bool {
        let mut words = self
            .lines
            .iter()
            .filter_map(|line| line.eligibility.as_ref());
        words.any(|word| word.certification == Certification::Unknown)
    }

    /// True if a dispute is open.
    #[must_use]
    pub fn is_disputed(&self) -> bool {
        self.disputes
            .values()
            .any(|dispute| dispute.stage() == DisputeStage::Open)
    }

    /// The number of lines whose goods left without being counted.
    #[must_use]
    pub fn uncounted_lines(&self) -> usize {
        let is_uncounted = |line: &&OrderLine| match line.stock {
            LineStock::Uncounted { .. } | LineStock::Unmapped => true,
            LineStock::Counted { .. }
            | LineStock::Untracked { .. }
            | LineStock::Waiting
            | LineStock::Exempt => false,
        };
        self.lines.iter().filter(is_uncounted).count()
    }

    /// True if the order grants access and the provider names no customer to have it.
    #[must_use]
    pub fn lacks_customer(&self) -> bool {
        self.customer.customer_id.is_none() && self.lines.iter().any(|line| line.grants.is_some())
    }

    /// True if a dispute is lost.
    #[must_use]
    pub fn has_lost_dispute(&self) -> bool {
        self.disputes
            .values()
            .any(|dispute| dispute.stage() == DisputeStage::Lost)
    }

    /// An amount of this order, to print.
    #[must_use]
    pub fn money(&self, minor: i64) -> Money {
        Money {
            minor,
            currency: self.currency,
        }
    }

    /// An upper bound of the row's size in bytes. DynamoDB counts names, values and up to three
    /// bytes of overhead each
    /// (<https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/CapacityUnitCalculations.html>).
    /// JSON needs more for the same content.
    #[must_use]
    pub fn size_bound(&self) -> usize {
        json_size(self)
    }

    /// The order with less history and metadata, if it exceeds this size otherwise: neither may cost the order. The
    /// history goes first, because no other part depends on it. The lines' metadata is next, because the sale's describes
    /// the order. `None` if it is still too large.
    #[must_use]
    pub fn within(mut self, most: usize) -> Option<Self> {
        if self.size_bound() <= most {
            return Some(self);
        }
        self.event_history.cut_all();
        if self.size_bound() <= most {
            return Some(self);
        }
        let lines = self.lines.iter_mut();
        lines.for_each(|line| line.metadata.cut_all());
        if self.size_bound() <= most {
            return Some(self);
        }
        self.details.metadata.cut_all();
        (self.size_bound() <= most).then_some(self)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_order_waits_for_its_money_in_the_words_that_rows_have() {
        for funds in [
            OrderFunds::Received,
            OrderFunds::Part,
            OrderFunds::Open,
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
