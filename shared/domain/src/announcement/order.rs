//! Announcements of an order.

use crate::{
    announcement::{Announcement, Cause, Change, Kind, State, fields},
    sale::{
        dispute::DisputeStage,
        hold::Hold,
        order::{Order, OrderKind, OrderLine, OrderState},
        refund::RefundStatus,
        shipment::Progress,
        stock::LineStock,
    },
    values::facts::whole_second,
};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_with::skip_serializing_none;
use std::collections::{BTreeMap, BTreeSet};

/// An order without personal data. Amounts are whole minor units of `currency`.
#[skip_serializing_none]
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct OrderSummary {
    pub order_id: String,
    /// The merchant's reference.
    pub client_reference_id: Option<String>,
    /// `sale` or `renewal`.
    #[cfg_attr(feature = "schema", schemars(with = "String"))]
    pub kind: OrderKind,
    /// `open`, `authorized`, `processing`, `failed`, `expired`, `canceled`, `held`, `partly_paid`, `paid`,
    /// `partly_refunded` or `refunded`.
    pub state: String,
    #[cfg_attr(feature = "schema", schemars(schema_with = "super::time"))]
    pub placed_at: Timestamp,
    /// The time when the goods were released, which happens once.
    #[cfg_attr(feature = "schema", schemars(schema_with = "super::time"))]
    pub released_at: Option<Timestamp>,
    pub currency: String,
    pub amounts: AmountsSummary,
    pub customer_id: Option<String>,
    pub subscription_id: Option<String>,
    pub invoice_id: Option<String>,
    /// Absent if the order has too many lines for an announcement: read the order's row.
    pub lines: Option<Vec<LineSummary>>,
    /// Units that are paid and were not in stock.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub shortfalls: Vec<ShortfallSummary>,
    /// The reasons to keep the goods back: `payment`, `inventory`, `refund`, `partial_refund` or `exception`.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    #[cfg_attr(feature = "schema", schemars(with = "Vec<String>"))]
    pub holds: BTreeSet<Hold>,
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub refunds: BTreeMap<String, RefundSummary>,
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub disputes: BTreeMap<String, DisputeSummary>,
    /// How the provider or its operators deliver the goods.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub fulfillments: BTreeMap<String, FulfillmentSummary>,
}

/// The amounts of an order. `ordered = due + released + waived`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct AmountsSummary {
    pub ordered: i64,
    pub due: i64,
    pub received: i64,
    /// Authorized and never captured.
    pub released: i64,
    /// Too small to be charged.
    pub waived: i64,
    pub refunded: i64,
}

/// A line of an order.
#[skip_serializing_none]
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct LineSummary {
    pub line_item_id: String,
    pub quantity: u32,
    pub unit_amount: Option<i64>,
    pub total: i64,
    pub sku: Option<String>,
    /// `counted`, `untracked`, `uncounted`, `unmapped`, `exempt`, or `waiting` until the order is paid.
    pub stock: String,
    pub product_id: Option<String>,
    pub price_id: Option<String>,
}

/// Units of a SKU that are paid and were not in stock.
#[skip_serializing_none]
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct ShortfallSummary {
    pub sku: String,
    /// The units that are still missing.
    pub missing: i64,
    #[cfg_attr(feature = "schema", schemars(schema_with = "super::time"))]
    pub filled_at: Option<Timestamp>,
}

/// A refund.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct RefundSummary {
    /// `pending`, `succeeded`, `failed`, `canceled`, or `unknown` for another word of the provider.
    #[cfg_attr(feature = "schema", schemars(with = "String"))]
    pub status: RefundStatus,
    pub amount: i64,
}

/// A dispute.
#[skip_serializing_none]
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct DisputeSummary {
    /// `open`, `won` or `lost`.
    pub stage: String,
    pub amount: i64,
    /// The reason in the provider's word.
    pub reason: Option<String>,
    /// The deadline for evidence.
    #[cfg_attr(feature = "schema", schemars(schema_with = "super::time"))]
    pub due_by: Option<Timestamp>,
}

/// A delivery of goods, as the provider reports it.
#[skip_serializing_none]
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct FulfillmentSummary {
    /// `waiting`, `preparing`, `ready`, `underway`, `failed`, `canceled`, `completed`, or `unknown` for another word of
    /// the provider.
    #[cfg_attr(feature = "schema", schemars(with = "String"))]
    pub progress: Progress,
    /// `shipment`, `local_delivery`, `pickup`, `digital`, `service` or another word of the provider.
    pub method: Option<String>,
}

impl OrderSummary {
    /// The summary of an order's row.
    #[must_use]
    pub fn of(order: &Order) -> Self {
        let amounts = order.amounts();
        let text = |id: &dyn ToString| id.to_string();
        Self {
            order_id: order.order_id.to_string(),
            client_reference_id: order.client_reference_id.clone(),
            kind: order.kind,
            state: order.state().to_string(),
            placed_at: whole_second(order.placed_at),
            released_at: order.fulfilled_at.map(whole_second),
            currency: order.currency.code().to_owned(),
            amounts: AmountsSummary {
                ordered: amounts.ordered,
                due: amounts.due,
                received: amounts.received,
                released: amounts.released,
                waived: amounts.waived,
                refunded: amounts.refunded,
            },
            customer_id: order.customer.customer_id.as_ref().map(|id| text(id)),
            subscription_id: order.subscription_id.as_ref().map(|id| text(id)),
            invoice_id: order.invoice_id.as_ref().map(|id| text(id)),
            lines: Some(order.lines.iter().map(line).collect()),
            shortfalls: shortfalls(order),
            holds: order.active_holds(),
            refunds: refunds(order),
            disputes: disputes(order),
            fulfillments: fulfillments(order),
        }
    }

    /// Leaves the lines out. The rest of an order always fits.
    pub(super) fn omit_lines(&mut self) {
        self.lines = None;
    }

    /// True once the order is paid and its goods are released.
    fn is_paid(&self) -> bool {
        let states = [
            OrderState::Paid,
            OrderState::PartlyRefunded,
            OrderState::Refunded,
        ];
        self.released_at.is_some() && states.iter().any(|state| self.state == state.to_string())
    }

    fn is_canceled(&self) -> bool {
        matches!(self.state.as_str(), "canceled" | "expired")
    }

    fn waits(&self) -> bool {
        matches!(
            self.state.as_str(),
            "open" | "authorized" | "processing" | "failed"
        )
    }
}

fn line(line: &OrderLine) -> LineSummary {
    let (stock, sku) = match &line.stock {
        LineStock::Counted { sku } => ("counted", Some(sku)),
        LineStock::Untracked { sku } => ("untracked", sku.as_ref()),
        LineStock::Uncounted { sku } => ("uncounted", Some(sku)),
        LineStock::Waiting => ("waiting", None),
        LineStock::Exempt => ("exempt", None),
        LineStock::Unmapped => ("unmapped", None),
    };
    LineSummary {
        line_item_id: line.line_item_id.to_string(),
        quantity: line.quantity,
        unit_amount: line.unit_amount,
        total: line.amounts.total,
        sku: sku.map(ToString::to_string),
        stock: stock.to_owned(),
        product_id: line.product_id.as_ref().map(ToString::to_string),
        price_id: line.price_id.as_ref().map(ToString::to_string),
    }
}

fn shortfalls(order: &Order) -> Vec<ShortfallSummary> {
    let shortfalls = order.shortfalls.iter().map(|short| ShortfallSummary {
        sku: short.sku.to_string(),
        missing: short.missing,
        filled_at: short.filled_at.map(whole_second),
    });
    shortfalls.collect()
}

fn refunds(order: &Order) -> BTreeMap<String, RefundSummary> {
    let refunds = order.refunds.iter().map(|(id, refund)| {
        let summary = RefundSummary {
            status: refund.facts.value.status,
            amount: refund.facts.value.amount,
        };
        (id.to_string(), summary)
    });
    refunds.collect()
}

fn disputes(order: &Order) -> BTreeMap<String, DisputeSummary> {
    let disputes = order.disputes.iter().map(|(id, dispute)| {
        let facts = &dispute.facts.value;
        let summary = DisputeSummary {
            stage: stage(dispute.stage()).to_owned(),
            amount: facts.amount,
            reason: facts.reason.clone(),
            due_by: facts.due_by.map(whole_second),
        };
        (id.to_string(), summary)
    });
    disputes.collect()
}

fn stage(stage: DisputeStage) -> &'static str {
    match stage {
        DisputeStage::Open => "open",
        DisputeStage::Won => "won",
        DisputeStage::Lost => "lost",
    }
}

fn fulfillments(order: &Order) -> BTreeMap<String, FulfillmentSummary> {
    let fulfillments = order.fulfillments.iter().map(|(id, facts)| {
        let summary = FulfillmentSummary {
            progress: facts.value.progress,
            method: facts
                .value
                .method
                .as_ref()
                .map(|method| method.as_str().to_owned()),
        };
        (id.to_string(), summary)
    });
    fulfillments.collect()
}

/// The announcements of an order's change; none if its summary stays.
#[must_use]
pub fn changed(before: Option<&Order>, after: &Order, cause: Cause<'_>) -> Vec<Announcement> {
    let before = before.map(OrderSummary::of);
    let summary = OrderSummary::of(after);
    let Some(change) = change(before.as_ref(), &summary) else {
        return Vec::new();
    };
    let state = State::Order(Box::new(summary));
    cause.announce(after.order_id.as_str(), after.version, change, &state)
}

/// The kinds of a change; `None` if the state stays.
pub(super) fn change(before: Option<&OrderSummary>, after: &OrderSummary) -> Option<Change> {
    if before == Some(after) {
        return None;
    }
    let newly = |is_so: fn(&OrderSummary) -> bool| is_so(after) && !before.is_some_and(is_so);
    let other_state = before.is_none_or(|before| before.state != after.state);
    let paid = match after.kind {
        OrderKind::Sale => Kind::OrderPaid,
        OrderKind::Renewal => Kind::RenewalPaid,
    };
    let refunds = news(before, after, |order| &order.refunds);
    let disputes = news(before, after, |order| &order.disputes);
    let fulfillments = news(before, after, |order| &order.fulfillments);
    let is_open = |dispute: &&DisputeSummary| dispute.stage == stage(DisputeStage::Open);
    let is_now = |state: OrderState| other_state && after.state == state.to_string();
    let mut kinds = Kind::that_apply(&[
        (after.waits() && other_state, Kind::OrderWaiting),
        (is_now(OrderState::Held), Kind::OrderHeld),
        (is_now(OrderState::PartlyPaid), Kind::OrderPartPaid),
        (newly(OrderSummary::is_paid), paid),
        (has_new_shortfall(before, after), Kind::OrderShortfall),
        (has_filled(before, after), Kind::OrderShortfallFilled),
        (newly(OrderSummary::is_canceled), Kind::OrderCanceled),
        (!refunds.is_empty(), Kind::OrderRefunded),
        (disputes.iter().any(is_open), Kind::OrderDisputed),
        (!disputes.iter().all(is_open), Kind::DisputeClosed),
        (!fulfillments.is_empty(), Kind::FulfillmentStatusChanged),
    ]);
    if kinds.is_empty() {
        kinds.push(Kind::OrderChanged);
    }
    let changed = fields::changed(before, after);
    Some(Change { kinds, changed })
}

/// The parts that are new or changed.
fn news<'a, T: PartialEq>(
    before: Option<&OrderSummary>,
    after: &'a OrderSummary,
    of: fn(&OrderSummary) -> &BTreeMap<String, T>,
) -> Vec<&'a T> {
    let is_known =
        |id: &String, part: &T| before.is_some_and(|before| of(before).get(id) == Some(part));
    let parts = of(after).iter().filter(|(id, part)| !is_known(id, part));
    parts.map(|(_, part)| part).collect()
}

fn missing(order: Option<&OrderSummary>, sku: &str) -> i64 {
    let mut shortfalls = order.iter().flat_map(|order| &order.shortfalls);
    let short = shortfalls.find(|short| short.sku == sku);
    short.map_or(0, |short| short.missing)
}

fn has_new_shortfall(before: Option<&OrderSummary>, after: &OrderSummary) -> bool {
    let mut shortfalls = after.shortfalls.iter();
    shortfalls.any(|short| short.missing > missing(before, &short.sku))
}

fn has_filled(before: Option<&OrderSummary>, after: &OrderSummary) -> bool {
    let mut shortfalls = after.shortfalls.iter();
    shortfalls.any(|short| short.missing == 0 && missing(before, &short.sku) > 0)
}
