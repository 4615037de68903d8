//! The timeline of an order, from the times on its rows and, if asked, from the log. Pure.

use super::{
    attention::{mail_name, provider_name},
    gather::Rows,
    view::{Amount, Known},
};
use crate::answers::Time;
use crate::backend::LogLine;
use domain::{
    delivery::stored_event::{EventState, StoredEvent},
    receipt::{Receipt, ReceiptState},
    sale::{
        dispute::DisputeFunds,
        event_history::DecidedEvent,
        order::OrderKind,
        payment::PaymentStatus,
        stock::{Movement, StockLevel},
    },
    values::note::{Noted, Notes},
};
use jiff::Timestamp;
use schemars::JsonSchema;
use serde::Serialize;

/// Something that happened.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
pub struct Entry {
    #[schemars(with = "Time")]
    pub at: Timestamp,
    /// `Flex`, `Flint`, `intake`, `till` (the functions), `mail`, `SES`, or a person's name.
    pub actor: String,
    /// One word for scripts.
    pub what: &'static str,
    pub text: String,
    /// An event or a mail.
    pub id: Option<String>,
    /// `row` or `log`.
    pub source: &'static str,
}

fn entry(at: Timestamp, actor: &str, what: &'static str, text: impl Into<String>) -> Entry {
    Entry {
        at,
        actor: actor.to_owned(),
        what,
        text: text.into(),
        id: None,
        source: "row",
    }
}

impl Entry {
    fn of(self, id: &impl ToString) -> Self {
        Self {
            id: Some(id.to_string()),
            ..self
        }
    }
}

/// Everything that the rows and the log know, oldest first.
#[must_use]
pub fn timeline(known: Known<'_>) -> Vec<Entry> {
    let rows = known.rows;
    let mut all = sale(rows);
    all.extend(decided(rows));
    all.extend(noted(&rows.order.notes, "the order"));
    all.extend(refunds(rows));
    all.extend(disputes(rows));
    all.extend(shipments(rows));
    all.extend(rows.receipts.iter().flat_map(mails));
    all.extend(known.open.iter().flat_map(event));
    let log = known.log.iter().filter_map(log_line);
    all.extend(log.filter(|entry| !is_on_row(entry, rows)));
    all.sort_by_key(|entry| entry.at);
    all.dedup();
    squashed(all)
}

fn sale(rows: &Rows) -> Vec<Entry> {
    let order = &rows.order;
    let provider = provider_name(&order.provider);
    let total = order.money(order.totals.total);
    let (what, text) = match order.kind {
        OrderKind::Sale => ("sale_completed", format!("sale of {total} completed")),
        OrderKind::Renewal => ("invoice_paid", format!("invoice of {total} paid")),
    };
    let mut all = vec![entry(order.placed_at, &provider, what, text)];
    for (id, facts) in &order.payments {
        if facts.value.status != PaymentStatus::Received {
            let text = match &facts.value.failure {
                Some(code) => format!("payment is {} ({code})", facts.value.word),
                None => format!("payment is {}", facts.value.word),
            };
            all.push(entry(facts.stamp.at, &provider, "payment", text).of(id));
        }
    }
    if let Some(at) = order.fulfilled_at {
        all.push(entry(at, "till", "fulfilled", fulfilled(rows)));
    }
    for short in &order.shortfalls {
        if let Some(at) = short.filled_at {
            let text = format!("missing units of {} deducted", short.sku);
            all.push(entry(at, "till", "shortfall_filled", text));
        }
    }
    all
}

/// The events that changed the order, with the effect of each.
fn decided(rows: &Rows) -> Vec<Entry> {
    let events = rows.order.event_history.iter();
    let entry = |event: &DecidedEvent| {
        let kind = event.event_type.as_deref().unwrap_or("event");
        let text = format!("{kind}: {}", event.done);
        entry(event.at, "till", "decided", text).of(&event.event_id)
    };
    events.map(entry).collect()
}

/// True for a decision in the log that the row has as well.
fn is_on_row(entry: &Entry, rows: &Rows) -> bool {
    let mut events = rows.order.event_history.iter();
    let is_commit = entry.text.starts_with("applied") || entry.text.starts_with("fulfilled");
    entry.what == "decided"
        && is_commit
        && events.any(|event| entry.id.as_deref() == Some(event.event_id.as_str()))
}

fn fulfilled(rows: &Rows) -> String {
    let moved = rows.levels.iter().filter_map(StockLevel::sold);
    let part = |moved: &Movement| {
        let short = moved.short();
        let missing = if short > 0 {
            format!(", {short} missing")
        } else {
            String::new()
        };
        format!("{}: {} deducted{missing}", moved.sku, moved.deducted)
    };
    let parts: Vec<String> = moved.map(part).collect();
    if parts.is_empty() {
        "order fulfilled".to_owned()
    } else {
        format!("order fulfilled; {}", parts.join("; "))
    }
}

fn refunds(rows: &Rows) -> Vec<Entry> {
    let provider = provider_name(&rows.order.provider);
    let all = rows.order.refunds.iter();
    all.map(|(id, refund)| {
        let facts = &refund.facts.value;
        let amount = Amount::new(facts.amount, facts.currency);
        let at = facts.made_at.unwrap_or(refund.facts.stamp.at);
        let text = format!("refund of {amount}: {}", facts.word);
        entry(at, &provider, "refund", text).of(id)
    })
    .collect()
}

fn disputes(rows: &Rows) -> Vec<Entry> {
    let provider = provider_name(&rows.order.provider);
    let mut all = Vec::new();
    for (id, dispute) in &rows.order.disputes {
        let facts = &dispute.facts.value;
        let amount = Amount::new(facts.amount, facts.currency);
        let text = format!("dispute of {amount}: {}", facts.word);
        all.push(entry(dispute.facts.stamp.at, &provider, "dispute", text).of(id));
        if let Some(funds) = &dispute.funds {
            let text = match funds.value {
                DisputeFunds::Withdrawn => "disputed money withdrawn",
                DisputeFunds::Reinstated => "disputed money returned",
            };
            all.push(entry(funds.stamp.at, &provider, "dispute_funds", text).of(id));
        }
    }
    all
}

fn shipments(rows: &Rows) -> Vec<Entry> {
    let provider = provider_name(&rows.order.provider);
    let all = rows.order.fulfillments.iter();
    all.map(|(id, facts)| {
        let text = format!("delivery of goods: {}", facts.value.word);
        entry(facts.stamp.at, &provider, "shipment", text).of(id)
    })
    .collect()
}

/// The history of a receipt's mails.
#[must_use]
pub fn mails(receipt: &Receipt) -> Vec<Entry> {
    let (id, name) = (&receipt.receipt_id, mail_name(receipt));
    let mut all = Vec::new();
    let mut add = |at: Option<Timestamp>, actor, what, text: &str| {
        all.extend(at.map(|at| entry(at, actor, what, format!("{name} {text}")).of(id)));
    };
    for of in receipt.mails.values() {
        add(of.sent_at, "mail", "mail_sent", "sent");
        let maybe = "bounced, or an automatic answer";
        for (at, what, text) in [
            (of.delivered_at, "mail_delivered", "delivered"),
            (of.bounced_at, "mail_bounced", "bounced (permanent)"),
            (of.returned_at, "mail_bounced", "bounced"),
            (of.maybe_bounced_at, "mail_bounced", maybe),
            (of.complained_at, "mail_complained", "reported as spam"),
            (of.rejected_at, "mail_rejected", "rejected"),
        ] {
            add(at, "SES", what, text);
        }
    }
    if receipt.mails.is_empty() {
        let (made, now) = (receipt.created_at, receipt.state.status());
        let (at, what, text) = match &receipt.state {
            ReceiptState::Sent { sent_at, .. } => (*sent_at, "mail_sent", "sent".to_owned()),
            ReceiptState::Withdrawn { reason } => {
                (made, "mail_withdrawn", format!("withdrawn: {reason}"))
            }
            _ => (made, "mail_queued", format!("queued, now {now}")),
        };
        add(Some(at), "mail", what, &text);
    }
    let noted = noted(&receipt.notes, &format!("the {name}"));
    all.extend(noted.into_iter().map(|entry| entry.of(id)));
    all
}

/// The actions of people on a row.
fn noted(notes: &Notes, thing: &str) -> Vec<Entry> {
    let action = |note: &Noted| {
        let text = format!("{}: {}", note.did.on(thing), note.why);
        entry(note.at, &note.by, "operator", text)
    };
    notes.iter().map(action).collect()
}

/// The arrival of an event, and the actions on it.
#[must_use]
pub fn event(event: &StoredEvent) -> Vec<Entry> {
    let kind = event.event_type.as_deref().unwrap_or("an unreadable event");
    let text = match event.state {
        EventState::Parked => format!("{kind} received, now parked"),
        state => format!("{kind} received, now {state}"),
    };
    let mut all =
        vec![entry(event.received_at, "intake", "delivery_received", text).of(&event.event_id)];
    let noted = noted(&event.notes, "the event");
    all.extend(noted.into_iter().map(|entry| entry.of(&event.event_id)));
    all
}

/// A line of the log, as an entry: deliveries, duplicates and decisions.
fn log_line(line: &LogLine) -> Option<Entry> {
    let field = |name: &str| line.text(name);
    let (function, outcome) = (field("function")?, field("outcome")?);
    let (actor, what, text) = match (function, outcome) {
        ("intake", "accepted") => (
            "intake",
            "delivery_received",
            "delivery received".to_owned(),
        ),
        ("intake", "duplicate") => (
            "intake",
            "delivery_repeated",
            "repeated delivery ignored".to_owned(),
        ),
        ("fulfillment", "duplicate") => ("till", "duplicate", "nothing left to do".to_owned()),
        ("fulfillment", "applied" | "fulfilled" | "parked" | "retry") => {
            let reason = field("reason").or(field("decision")).unwrap_or_default();
            let text = format!("{outcome}: {reason}");
            (
                "till",
                "decided",
                text.trim_end_matches([' ', ':']).to_owned(),
            )
        }
        _ => return None,
    };
    let id = field("event_id").or(field("subject")).map(str::to_owned);
    Some(Entry {
        id,
        source: "log",
        ..entry(line.at, actor, what, text)
    })
}

/// Repetitions of one entry as one, with their number.
fn squashed(all: Vec<Entry>) -> Vec<Entry> {
    let mut kept: Vec<(Entry, usize)> = Vec::new();
    for entry in all {
        match kept.last_mut() {
            Some((last, times))
                if (last.what, &last.id, &last.text) == (entry.what, &entry.id, &entry.text)
                    && entry.source == "log" =>
            {
                *times += 1;
            }
            _ => kept.push((entry, 1)),
        }
    }
    let text = |(entry, times): (Entry, usize)| match times {
        1 => entry,
        times => Entry {
            text: format!("{} ({times} times)", entry.text),
            ..entry
        },
    };
    kept.into_iter().map(text).collect()
}
