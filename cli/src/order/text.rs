//! An order as text.

use super::view::{Amount, LineView, MoneyView, OrderView};
use crate::{
    style::{bold, capitalized, labeled, wrapped},
    table::{Column, table},
    time,
};
use jiff::{Timestamp, tz::TimeZone};
use std::fmt::Write;

/// The column of the labels.
const LABEL: usize = 20;

/// The whole text.
#[must_use]
pub fn text(view: &OrderView, zone: &TimeZone, now: Timestamp, width: usize) -> String {
    let mut out = head(view, zone, width);
    out += &attention(view, zone, now, width);
    out += &lines(view, width);
    out += &facts(view, zone, width);
    out += &timeline(view, zone, width);
    out
}

fn head(view: &OrderView, zone: &TimeZone, width: usize) -> String {
    let name = match &view.reference {
        Some(reference) => format!("Order {}    {}", bold(reference), view.order_id),
        None => format!("Order {}", bold(&view.order_id)),
    };
    let money = &view.money;
    // `partly_refunded` as `Partly refunded.`
    let mut state = capitalized(&view.state.replace('_', " ")) + ".";
    if view.disputed {
        state += "  Disputed.";
    }
    let paid = if money.refunded.minor > 0 {
        let minor = money.received.minor - money.refunded.minor;
        let net = Amount::new(minor, money.received.currency);
        format!(
            "Paid {}, refunded {}, net {net}.",
            money.received, money.refunded
        )
    } else {
        format!("Paid {} of {}.", money.received, money.due)
    };
    let customer = match (&view.customer.email, &view.customer.customer_id) {
        _ if view.customer.erased => "Customer erased.".to_owned(),
        (Some(email), Some(id)) => format!("Customer {email}, {id}."),
        (Some(email), None) => format!("Customer {email}."),
        (None, Some(id)) => format!("Customer {id}."),
        (None, None) => "No customer.".to_owned(),
    };
    let placed = format!("Placed {}.", time::full(view.placed_at, zone));
    let text = wrapped(&format!("{state}  {paid}  {placed}  {customer}"), width, 0);
    format!("{name}\n{text}\n")
}

fn attention(view: &OrderView, zone: &TimeZone, now: Timestamp, width: usize) -> String {
    let mut out = String::new();
    for (n, item) in view.open_items.iter().enumerate() {
        let label = match (n, item.who) {
            (_, super::attention::Who::Wait) => "  Wait",
            (0, _) => "  Needs attention",
            _ => "",
        };
        let mut text = item.text.clone();
        if let Some(due) = item.due_by {
            let left = due.duration_since(now);
            let _ = write!(
                text,
                " Respond by {} ({}).",
                time::full(due, zone),
                if left.is_negative() {
                    "over".to_owned()
                } else {
                    time::length(left) + " left"
                }
            );
        }
        out += &format!("\n{}", labeled(label, LABEL, &text, width));
        for command in &item.commands {
            out += &format!("\n{:LABEL$}{command}", "");
        }
    }
    if out.is_empty() { out } else { out + "\n" }
}

fn lines(view: &OrderView, width: usize) -> String {
    let with_eligibility = view.lines.iter().any(|line| line.eligible.is_some());
    let mut head = vec![
        ("Lines", Column::Text),
        ("SKU", Column::Whole),
        ("qty", Column::Number),
        ("amount", Column::Number),
    ];
    if with_eligibility {
        head.push(("HSA/FSA", Column::Text));
    }
    head.push(("stock", Column::Text));
    let row = |line: &LineView| {
        let mut row = vec![
            line.description.clone(),
            line.sku.clone().unwrap_or_else(|| "–".to_owned()),
            line.quantity.to_string(),
            line.amount.to_string(),
        ];
        if with_eligibility {
            let eligible = line.eligible == Some(true);
            row.push(if eligible { "eligible" } else { "not eligible" }.to_owned());
        }
        row.push(stock(line));
        row
    };
    let rows: Vec<_> = view.lines.iter().map(row).collect();
    let sums = wrapped(&format!("{:LABEL$}{}", "", sums(&view.money)), width, LABEL);
    format!("\n{}{sums}\n", table(&head, &rows, width))
}

/// The sums of an order; those of zero are left out.
fn sums(money: &MoneyView) -> String {
    let mut sums = format!("subtotal {}", money.subtotal);
    for (name, amount, sign) in [
        ("discount", money.discount, "-"),
        ("tax", money.tax, ""),
        ("shipping", money.shipping, ""),
        ("fees", money.fees, ""),
    ] {
        if amount.minor != 0 {
            let _ = write!(sums, "  {name} {sign}{amount}");
        }
    }
    let _ = write!(sums, "  total {}", money.total);
    sums
}

fn stock(line: &LineView) -> String {
    let stock = &line.stock;
    match (&*stock.state, stock.deducted) {
        ("counted", Some(deducted)) => {
            let mut text = format!("{deducted} deducted");
            if let Some(back) = stock.restocked.filter(|back| *back > 0) {
                let _ = write!(text, ", {back} back");
            }
            if let Some(short) = stock.shortfall.filter(|short| *short > 0) {
                let _ = write!(text, ", {short} missing");
            }
            text
        }
        ("counted", None) => "not deducted yet".to_owned(),
        ("uncounted", _) => "not counted: no counter".to_owned(),
        ("unmapped", _) => "not counted: no SKU mapped".to_owned(),
        ("untracked", _) => "not tracked".to_owned(),
        ("waiting", _) => "waits for payment".to_owned(),
        ("exempt", _) => "counted elsewhere".to_owned(),
        (other, _) => other.to_owned(),
    }
}

fn facts(view: &OrderView, zone: &TimeZone, width: usize) -> String {
    let mut out = String::new();
    for payment in &view.payments {
        let status = payment.status.as_deref().unwrap_or_default();
        let text = format!("{}  {status}", payment.payment_id);
        let text = text.trim_end();
        out += &(labeled("Payment", LABEL, text, width) + "\n");
    }
    if let Some(row) = &view.subscription {
        let status = row.status.as_deref().unwrap_or("unknown");
        let mut text = format!("{}  {status}", row.subscription_id);
        if let Some(until) = row.paid_through {
            let _ = write!(text, ", paid until {}", time::day(until, zone));
        }
        out += &(labeled("Subscription", LABEL, &text, width) + "\n");
    }
    for row in &view.access {
        out += &(access(row, zone, width) + "\n");
    }
    if out.is_empty() {
        out
    } else {
        format!("\n{out}")
    }
}

/// One line about access.
#[must_use]
pub fn access(row: &super::view::AccessView, zone: &TimeZone, width: usize) -> String {
    let end = if row.until.as_second() >= domain::access::purchase::WITHOUT_END {
        "without an end".to_owned()
    } else if row.until == Timestamp::UNIX_EPOCH {
        "never".to_owned()
    } else if row.active {
        format!("until {}", time::full(row.until, zone))
    } else {
        format!("ended {}", time::full(row.until, zone))
    };
    let text = format!("{}  {end}: {}", row.product_id, row.text);
    labeled("Access", LABEL, &text, width)
}

fn timeline(view: &OrderView, zone: &TimeZone, width: usize) -> String {
    let mut out = String::new();
    let mut last = String::new();
    let widest = view
        .timeline
        .iter()
        .map(|entry| entry.actor.chars().count());
    let actor = widest.max().unwrap_or_default().clamp(6, 16) + 2;
    for entry in &view.timeline {
        let day = time::day(entry.at, zone);
        if day != last {
            let _ = write!(out, "\n{day}\n");
            last = day;
        }
        let start = format!("  {}  {:actor$}", time::second(entry.at, zone), entry.actor);
        let indent = start.chars().count();
        out += &wrapped(&format!("{start}{}", entry.text), width, indent);
        if let Some(id) = &entry.id {
            // On a separate line, so that it is never cut.
            let _ = write!(out, "\n{:indent$}{id}", "");
        }
        out.push('\n');
    }
    out
}
