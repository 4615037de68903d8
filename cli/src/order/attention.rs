//! The open problems of an order, who must act, and the command or step that helps. Pure.

mod mails;

pub use mails::mail_name;

use super::{
    gather::Rows,
    view::{Amount, Known},
};
use crate::answers::Time;
use crate::style::{capitalized, count};
use domain::{
    delivery::stored_event::EventState,
    sale::{
        dispute::{Dispute, DisputeStage},
        order::{Order, OrderLine, OrderState},
        stock::{LineStock, Movement},
    },
    values::{
        ids::{DisputeId, Sku},
        provider::ProviderId,
    },
};
use jiff::Timestamp;
use schemars::JsonSchema;
use serde::Serialize;
use std::collections::BTreeSet;

/// Who must act.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Who {
    /// Someone at the shop.
    Person,
    /// The customer.
    Customer,
    /// The software: wait.
    Wait,
}

/// An open problem.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
pub struct Item {
    /// `mail`, `dispute`, `stock`, `refund`, `payment`, `order` or `event`.
    pub what: &'static str,
    pub id: String,
    pub who: Who,
    /// One word for scripts.
    pub class: String,
    pub text: String,
    /// The deadline, if there is one.
    #[schemars(with = "Option<Time>")]
    pub due_by: Option<Timestamp>,
    /// Complete commands, in their order.
    pub commands: Vec<String>,
}

fn item(what: &'static str, id: &impl ToString, class: &str, text: impl Into<String>) -> Item {
    Item {
        what,
        id: id.to_string(),
        who: Who::Person,
        class: class.to_owned(),
        text: text.into(),
        due_by: None,
        commands: Vec::new(),
    }
}

impl Item {
    fn by(self, who: Who) -> Self {
        Self { who, ..self }
    }

    fn then(mut self, command: impl Into<String>) -> Self {
        self.commands.push(command.into());
        self
    }
}

/// The provider's name, as people write it.
#[must_use]
pub fn provider_name(id: &ProviderId) -> String {
    capitalized(&id.to_string())
}

/// The open problems, the most urgent first.
#[must_use]
pub fn items(known: Known<'_>, now: Timestamp) -> Vec<Item> {
    let rows = known.rows;
    let mut items = disputes(rows);
    items.extend(refunds(rows));
    items.extend(known.open.iter().map(event));
    items.extend(
        rows.receipts
            .iter()
            .filter_map(|receipt| mails::mail(rows, receipt, now)),
    );
    items.extend(goods(rows));
    items.extend(order(rows));
    items
}

fn disputes(rows: &Rows) -> Vec<Item> {
    let provider = provider_name(&rows.order.provider);
    let disputes = rows.order.disputes.iter();
    disputes
        .filter_map(|(id, of)| dispute(id, of, &provider))
        .collect()
}

/// The problem of a dispute, unless it is won.
fn dispute(id: &DisputeId, dispute: &Dispute, provider: &str) -> Option<Item> {
    let facts = &dispute.facts.value;
    let amount = Amount::new(facts.amount, facts.currency);
    if dispute.is_unclear() {
        let text = format!(
            "The dispute of {amount} is closed by the unknown status `{}`, and the money is gone. Look in \
             {provider}'s dashboard who won.",
            facts.word
        );
        return Some(item("dispute", id, "dispute_unclear", text));
    }
    match dispute.stage() {
        DisputeStage::Open => {
            let text = format!(
                "A bank reclaims {amount}. Respond in {provider}'s dashboard, or accept it and refund nothing else."
            );
            Some(Item {
                due_by: facts.due_by,
                ..item("dispute", id, "dispute_open", text)
            })
        }
        DisputeStage::Lost => {
            let text = format!(
                "The dispute of {amount} is lost: the money is gone. Stock and mails are unchanged."
            );
            Some(item("dispute", id, "dispute_lost", text))
        }
        DisputeStage::Won => None,
    }
}

fn refunds(rows: &Rows) -> Vec<Item> {
    let failed = rows.order.refunds.iter();
    let failed = failed.filter(|(_, refund)| refund.failed_after_all());
    let mut items: Vec<Item> = failed
        .map(|(id, _)| {
            let text = "The customer got a notice of this refund, and it failed afterwards. Pay back another way.";
            item("refund", id, "refund_failed", text)
        })
        .collect();
    let unclear = rows.order.refunds.iter();
    let unclear =
        unclear.filter(|(_, refund)| refund.succeeded && refund.facts.value.goods_unclear);
    items.extend(unclear.map(|(id, _)| {
        let text = "The goods in this refund's metadata are not understood, so nothing is restocked. Count what came back.";
        item("refund", id, "restock_unclear", text).then("till stock receive SKU UNITS")
    }));
    items
}

fn event(event: &domain::delivery::stored_event::StoredEvent) -> Item {
    let id = &event.event_id;
    let kind = event.event_type.as_deref().unwrap_or("an unreadable event");
    let reason = event.reason.as_deref().unwrap_or("no reason is noted");
    if event.state == EventState::Parked {
        let class = event
            .class
            .map_or("parked", domain::values::class::Class::as_str);
        let text = format!("{kind} waits for a person: {reason}.");
        return item("event", id, class, text).then(format!("till why {id}"));
    }
    let text = match &event.reason {
        Some(reason) => format!("{kind} is not done yet: {reason}. It is retried."),
        None => format!("{kind} is not done yet."),
    };
    item("event", id, "stored", text)
        .by(Who::Wait)
        .then(format!("till why {id}"))
}

fn goods(rows: &Rows) -> Vec<Item> {
    let order = &rows.order;
    let missing = |sku: &Sku| {
        let level = rows.levels.iter().find(|level| level.sku == *sku)?;
        level.sold().map(Movement::short)
    };
    let open = order
        .shortfalls
        .iter()
        .filter(|short| short.filled_at.is_none());
    let mut items: Vec<Item> = open
        .map(|short| {
            let units = missing(&short.sku).unwrap_or(short.missing);
            let text = format!(
                "{} of {} paid for and not in stock. Agree with the customer: a later delivery, or a refund. Sweep \
                 fills it once the counter covers it.",
                count(usize::try_from(units).unwrap_or_default(), "unit"),
                short.sku
            );
            item("stock", &short.sku, "shortfall", text)
                .then(format!("till stock receive {} UNITS", short.sku))
        })
        .collect();
    items.extend(uncounted(order));
    items
}

/// The lines without a stock movement: those of a SKU without a counter, and those of a product without a SKU.
fn uncounted(order: &Order) -> Vec<Item> {
    let sku = |line: &OrderLine| match &line.stock {
        LineStock::Uncounted { sku } => Some(sku.clone()),
        _ => None,
    };
    let skus: BTreeSet<Sku> = order.lines.iter().filter_map(sku).collect();
    let mut items: Vec<Item> = skus
        .iter()
        .map(|sku| {
            let text = format!(
                "{sku} has no counter, so this sale was not deducted. Count what is left now."
            );
            item("stock", sku, "uncounted", text).then(format!("till stock count {sku} UNITS"))
        })
        .collect();
    let is_unmapped = |line: &&OrderLine| matches!(line.stock, LineStock::Unmapped);
    let unmapped = order.lines.iter().filter(is_unmapped).count();
    if unmapped > 0 {
        let text = format!(
            "{} without a SKU. Map the product to one, then count what is left.",
            count(unmapped, "line")
        );
        items.push(item("stock", &order.order_id, "unmapped", text).then("till stock map KEY SKU"));
    }
    items
}

/// The holds of an order that is paid and not fulfilled, as one problem.
fn held(order: &Order) -> Option<Item> {
    let holds = order.active_holds();
    if order.fulfilled_at.is_some() || holds.is_empty() {
        return None;
    }
    let words: Vec<String> = holds.iter().map(ToString::to_string).collect();
    let text = format!(
        "Paid and kept back: {}. Ship nothing. Solve it in {}'s dashboard; its next event decides the order again.",
        words.join(", "),
        provider_name(&order.provider)
    );
    Some(item("order", &order.order_id, "held", text))
}

fn order(rows: &Rows) -> Vec<Item> {
    let order = &rows.order;
    let (id, provider) = (&order.order_id, provider_name(&order.provider));
    let mut items: Vec<Item> = held(order).into_iter().collect();
    if order.state() == OrderState::PartlyPaid {
        let text = format!(
            "A part of the amount due is received. Capture or cancel the rest at {provider}."
        );
        items.push(item("payment", id, "partly_paid", text));
    }
    for payment in &order.details.unclear_payments {
        let text = format!(
            "{provider} lists this payment in a form that is not understood. Compare it with the dashboard."
        );
        items.push(item("payment", payment, "payment_unclear", text));
    }
    if let Some(difference) = order.difference {
        let text = format!(
            "The lines differ from the payment by {}. Compare it with {provider}'s dashboard.",
            order.money(difference)
        );
        items.push(item("order", id, "amounts_differ", text));
    }
    for other in &order.same_reference {
        let text = format!(
            "Order {other} has the same order number and is paid too. Did the customer pay twice?"
        );
        items.push(item("order", other, "second_order", text).then(format!("till order {other}")));
    }
    if order.lacks_customer() {
        let text = format!("The order grants access, and {provider} names no customer to have it.");
        items.push(item("order", id, "lacks_customer", text));
    }
    items
}
