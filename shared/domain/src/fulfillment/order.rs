//! Makes the order of what was sold: lines, stock movements, links, merchant reference and receipt. A sale and a
//! renewal take this one path.

use crate::{
    fulfillment::{
        Decision, ParkReason,
        commit::Commit,
        known::{Case, Need},
        movements, purchase,
        read_set::{ReadSet, Snapshot},
    },
    receipt::Receipt,
    resource::{Resource, ResourceId},
    sale::{
        details::Details,
        event_history::EventHistory,
        mapping::{self, mapped},
        merchant_reference::MerchantReference,
        order::{Order, OrderKind, OrderLine, Shortfall},
        payment::Link,
        reservation::Reservation,
        statement::{Capture, Customer, LineItem, Totals},
        stock::{self, Deduction, LineStock, RenewalStock, StockPlan},
    },
    values::{
        ids::{CheckoutSessionId, OrderId, PaymentIntentId},
        mode::Mode,
        money::Currency,
        note::Notes,
        provider::{EligibilityPolicy, Party},
    },
};
use jiff::Timestamp;
use std::collections::{BTreeMap, BTreeSet};

/// The largest order that is written. A DynamoDB item holds 400 KB
/// (<https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/Constraints.html>); our sum is an upper bound.
const MAX_ORDER_BYTES: usize = 380_000;

/// Something that is sold once.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Sold {
    /// Its order in the first version, without lines. A stored order keeps an earlier date of sale.
    pub(super) order: Order,
    lines: Vec<LineItem>,
    /// See [`moves_stock`].
    moves_stock: bool,
    /// The party that records the movements of its money.
    movements: Party,
}

impl Sold {
    pub(super) fn new(case: &Case<'_>, order: Order, lines: Vec<LineItem>) -> Self {
        Self {
            moves_stock: moves_stock(case, order.kind),
            movements: case.provider.movements,
            order,
            lines,
        }
    }

    /// The rows that decide its order, except the order itself. The stock levels are those of the lines' own SKUs. Few
    /// mapping rows name another, so one read is usually enough: see [`Self::named_read_set`].
    pub(super) fn read_set(&self) -> ReadSet {
        ReadSet {
            links: self.order.payment_intents.clone(),
            contact: self.order.customer.customer_id.clone(),
            reference: self.order.client_reference_id.clone(),
            mapping: mapping::all_keys(&self.lines),
            resources: self.resources(),
            ..self.named_read_set(&Snapshot::default())
        }
    }

    /// The movements of its payments, and its sessions.
    fn resources(&self) -> Vec<ResourceId> {
        let mut all: Vec<_> = self.order.reservation.sessions().map(session).collect();
        if self.movements == Party::Us {
            all.extend(movements::of_payments(&self.order.payment_intents));
        }
        all
    }

    /// The rows that the mapping rows name: stock levels, and the customer's access.
    pub(super) fn named_read_set(&self, rows: &Snapshot) -> ReadSet {
        let mut skus = mapping::skus(self.counted(), &rows.mapping);
        let known = rows.order.iter().filter(|known| self.is_of(known));
        skus.extend(known.flat_map(|known| known.reservation.skus.iter().cloned()));
        let lines = self.lines.iter();
        let grants = lines.filter_map(|line| mapped(line, &rows.mapping).grants);
        let names = grants.map(|grant| grant.name.clone());
        ReadSet {
            stock_levels: (!skus.is_empty()).then(|| (self.order.order_id.clone(), skus)),
            ..purchase::read_set(self.order.customer.customer_id.as_ref(), names)
        }
    }

    fn is_of(&self, order: &Order) -> bool {
        order.order_id == self.order.order_id
    }

    /// The reservation of its order, with what the rows of its sessions state.
    fn reservation(&self, known: Option<&Order>, rows: &Snapshot) -> Reservation {
        let mut reservation =
            known.map_or_else(Reservation::default, |known| known.reservation.clone());
        reservation.merge(&self.order.reservation);
        for id in self.order.reservation.sessions() {
            if let Some(Resource::CheckoutSession(row)) = rows.resources.get(&session(id)) {
                reservation.learn(row);
            }
        }
        reservation
    }

    /// The unpaid order with the units that its sessions keep, and the movements that reserve or release them.
    pub(super) fn reserved(
        &self,
        case: &Case<'_>,
        mut order: Order,
        rows: &Snapshot,
    ) -> (Order, Vec<Deduction>) {
        let is_wanted = reserves(case, self.order.kind) && order.keeps_reservation();
        let lines = if is_wanted { self.counted() } else { &[] };
        let wanted = stock::units(lines, &rows.mapping, &rows.stock_levels);
        let (deductions, skus) =
            stock::reserve(&order.order_id, &wanted, &rows.stock_levels, case.now);
        order.reservation.skus = skus;
        (order, deductions)
    }

    /// Its order in the next version, while the money is not received.
    pub(super) fn unpaid(&self, case: &Case<'_>, rows: &Snapshot) -> Order {
        let waiting = self.lines.iter().map(|_| LineStock::Waiting);
        self.draft(case, waiting, rows)
    }

    /// The commit that fulfills it: the order with its links and merchant reference, the deductions, and the receipt
    /// unless the provider sends it.
    pub(super) fn fulfilled(&self, case: &Case<'_>, rows: &Snapshot) -> Result<Commit, ParkReason> {
        let receipt = match case.provider.receipts {
            Party::Us => Some(Receipt::for_order(&self.order.order_id, case.now)?),
            Party::Provider => None,
        };
        let mut plan = stock::plan(
            &self.order.order_id,
            self.counted(),
            &rows.mapping,
            &rows.stock_levels,
            case.now,
        );
        // Without an effect on stock, the plan has no lines.
        plan.lines.resize(self.lines.len(), LineStock::Exempt);
        let draft = self.draft(case, plan.lines.clone(), rows);
        let order = Order {
            // Facts of a payment that come later must not take back what was received.
            received: Some(draft.paid()),
            fulfilled_at: Some(case.now),
            shortfalls: shortfalls(&plan),
            receipt_id: receipt.as_ref().map(|receipt| receipt.receipt_id.clone()),
            same_reference: self.same_reference(rows),
            // The reserved units are sold now.
            reservation: Reservation::default(),
            ..draft
        };
        Ok(Commit {
            links: links(&order, rows, case.now),
            reference: reference(&order, rows),
            receipts: receipt.into_iter().collect(),
            entitlements: purchase::entitlements(case, &order, rows),
            deductions: plan.to_write,
            uncounted: plan.to_report,
            order: Some(order),
            fulfills: true,
            ..Commit::of(case.event.event_id.clone())
        })
    }

    /// The lines that move stock.
    fn counted(&self) -> &[LineItem] {
        if self.moves_stock { &self.lines } else { &[] }
    }

    /// The other orders under its merchant reference. A reference with too many orders does not number orders.
    fn same_reference(&self, rows: &Snapshot) -> Vec<OrderId> {
        let numbered = rows
            .reference
            .iter()
            .filter(|reference| reference.order_ids.len() < MerchantReference::MOST);
        let others = numbered.flat_map(|reference| &reference.order_ids);
        others
            .filter(|id| **id != self.order.order_id)
            .cloned()
            .collect()
    }

    /// The lines' totals minus the total, if they differ.
    fn difference(&self) -> Option<i64> {
        let totals = self.lines.iter().map(|line| line.amounts.total);
        let sum = totals.fold(0_i64, i64::saturating_add);
        let difference = sum.saturating_sub(self.order.totals.total);
        (difference != 0).then_some(difference)
    }

    /// The common part of unpaid and fulfilled orders. `stock` has an entry for each line.
    fn draft(
        &self,
        case: &Case<'_>,
        stock: impl IntoIterator<Item = LineStock>,
        rows: &Snapshot,
    ) -> Order {
        let lines = self.lines.iter().zip(stock);
        let eligibility = case.provider.eligibility;
        let lines = lines.map(|(line, stock)| order_line(line, stock, eligibility, rows));
        let first = Order {
            lines: lines.collect(),
            difference: self.difference(),
            ..self.order.clone()
        };
        let known = rows.order.as_ref();
        let reservation = self.reservation(known, rows);
        let order = match known {
            Some(known) => following(known, first),
            None => first,
        };
        let order = Order {
            reservation,
            ..order
        };
        // Erasing is final: what the provider still states about the customer is not stored.
        let is_erased = rows.contact.as_ref().is_some_and(|contact| contact.erased);
        if is_erased || known.is_some_and(|known| known.is_erased) {
            order.erased()
        } else {
            order
        }
    }
}

/// The order of something that is sold, without goods and money.
pub(super) fn first(
    case: &Case<'_>,
    order_id: OrderId,
    kind: OrderKind,
    mode: Mode,
    currency: Currency,
    placed_at: Timestamp,
) -> Order {
    Order {
        order_id,
        kind,
        version: 1,
        provider: case.event.provider.clone(),
        eligibility: case.provider.eligibility,
        client_reference_id: None,
        mode,
        placed_at,
        fulfilled_at: None,
        customer: Customer::default(),
        currency,
        totals: Totals::default(),
        tax_included: false,
        received: None,
        is_unpaid: false,
        stamp: None,
        holds: BTreeSet::new(),
        waived: BTreeSet::new(),
        exceptions: BTreeSet::new(),
        capture: Capture::default(),
        closed: None,
        least_charge: 0,
        payment_intents: Vec::new(),
        lines: Vec::new(),
        difference: None,
        shortfalls: Vec::new(),
        receipt_id: None,
        payments: BTreeMap::new(),
        refunds: BTreeMap::new(),
        disputes: BTreeMap::new(),
        fulfillments: BTreeMap::new(),
        reservation: Reservation::default(),
        subscription_id: None,
        invoice_id: None,
        period: None,
        same_reference: Vec::new(),
        delivery_failures: BTreeMap::new(),
        details: Details::default(),
        is_erased: false,
        notes: Notes::default(),
        event_history: EventHistory::default(),
        bundle: case.policy.bundle.to_owned(),
    }
}

/// True if such an order moves stock: the provider does not count its goods, and the merchant does not by other means.
fn moves_stock(case: &Case<'_>, kind: OrderKind) -> bool {
    case.provider.stock == Party::Us
        && match kind {
            OrderKind::Sale => true,
            OrderKind::Renewal => case.policy.renewal_stock == RenewalStock::Move,
        }
}

/// True if the checkout sessions of such an order reserve its goods.
pub(super) fn reserves(case: &Case<'_>, kind: OrderKind) -> bool {
    case.policy.reserve_stock && kind == OrderKind::Sale && moves_stock(case, kind)
}

/// The order without reserved units that it keeps no longer, and the movements that give them back.
pub(super) fn released(case: &Case<'_>, mut order: Order) -> Result<(Order, Vec<Deduction>), Need> {
    if order.keeps_reservation() || order.reservation.skus.is_empty() {
        return Ok((order, Vec::new()));
    }
    let skus = std::mem::take(&mut order.reservation.skus);
    let rows = case.known.rows(&ReadSet {
        stock_levels: Some((order.order_id.clone(), skus.into_iter().collect())),
        ..ReadSet::default()
    })?;
    let none = BTreeMap::new();
    let (deductions, _) = stock::reserve(&order.order_id, &none, &rows.stock_levels, case.now);
    Ok((order, deductions))
}

fn session(id: &CheckoutSessionId) -> ResourceId {
    ResourceId::CheckoutSession(id.clone())
}

/// The order in the version after the known one, which other events have added to.
fn following(known: &Order, order: Order) -> Order {
    Order {
        version: known.version + 1,
        placed_at: known.placed_at.min(order.placed_at),
        refunds: known.refunds.clone(),
        disputes: known.disputes.clone(),
        fulfillments: known.fulfillments.clone(),
        delivery_failures: known.delivery_failures.clone(),
        notes: known.notes.clone(),
        event_history: known.event_history.clone(),
        ..order
    }
}

/// A write, unless its order exceeds the size of a row.
pub(super) fn bounded(mut commit: Commit) -> Result<Decision, ParkReason> {
    if let Some(order) = commit.order.take() {
        let lines = order.lines.len();
        let order = order.within(MAX_ORDER_BYTES);
        commit.order = Some(order.ok_or(ParkReason::TooLarge { lines })?);
    }
    Ok(Decision::write(commit))
}

/// The links that lead from its payments to the order. Each is written with the order, under its own condition. The
/// condition fails if an event about the payment comes in between.
pub(super) fn links(order: &Order, rows: &Snapshot, now: Timestamp) -> Vec<Link> {
    let link = |id: &PaymentIntentId| {
        let known = rows
            .links
            .get(id)
            .cloned()
            .unwrap_or_else(|| Link::new(id.clone()));
        let facts = order.payments.get(id).cloned();
        Link {
            version: known.version + 1,
            order_id: Some(order.order_id.clone()),
            ..known.with(facts, now)
        }
    };
    order.payment_intents.iter().map(link).collect()
}

/// The reference's row with this order in it; `None` where there is nothing to add.
fn reference(order: &Order, rows: &Snapshot) -> Option<MerchantReference> {
    let text = order.client_reference_id.as_ref()?;
    let mut row = rows.reference.clone().unwrap_or_else(|| MerchantReference {
        reference: text.clone(),
        version: 0,
        order_ids: Vec::new(),
    });
    if row.order_ids.len() >= MerchantReference::MOST || row.order_ids.contains(&order.order_id) {
        return None;
    }
    row.order_ids.push(order.order_id.clone());
    row.version += 1;
    Some(row)
}

fn shortfalls(plan: &StockPlan) -> Vec<Shortfall> {
    let short = plan
        .movements
        .iter()
        .filter(|movement| movement.short() > 0);
    short
        .map(|movement| Shortfall {
            sku: movement.sku.clone(),
            missing: movement.short(),
            filled_at: None,
        })
        .collect()
}

fn order_line(
    line: &LineItem,
    stock: LineStock,
    eligibility: EligibilityPolicy,
    rows: &Snapshot,
) -> OrderLine {
    let stated = line.eligibility.as_ref();
    OrderLine {
        line_item_id: line.line_item_id.clone(),
        description: line.description.clone(),
        quantity: line.quantity,
        unit_amount: line.unit_amount,
        amounts: line.amounts,
        eligibility: stated
            .filter(|_| eligibility == EligibilityPolicy::Stated)
            .cloned(),
        product_id: line.product_id.clone(),
        price_id: line.price_id.clone(),
        stock,
        metadata: line.metadata.clone(),
        grants: mapped(line, &rows.mapping).grants.cloned(),
    }
}
