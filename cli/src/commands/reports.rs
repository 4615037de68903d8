//! `till journal` and `till receivables`: the reports about money.

use crate::{Context, backend::Backend, error::Error, output::Answer};
use domain::resource::{journal::Book, receivables::Ages};
use jiff::civil::Date;
use operator::report;
use serde_json::{Value, json};

pub(super) async fn journal<B: Backend>(
    on: &Context<'_, B>,
    period: &str,
) -> Result<Answer, Error> {
    let zone = &on.stack.zone;
    let bad = || {
        Error::usage(format!("{period:?} is no month and no day"))
            .cured_by("Write 2026-03 or 2026-03-03")
    };
    let is_month = period.matches('-').count() == 1;
    let first: Date = if is_month {
        format!("{period}-01")
    } else {
        period.to_owned()
    }
    .parse()
    .map_err(|_| bad())?;
    let range = if is_month {
        report::month(first, zone)
    } else {
        report::day(first, zone)
    };
    let range = range.map_err(|_| bad())?;
    let mut progress = |read: usize| on.terminal.progress(Some(&format!("{read} movements")));
    let found = report::journal(on.backend.store(), range, &mut progress).await;
    on.terminal.progress(None);
    let found = found?;
    let book = |book: &Book| {
        let lines = book.lines.iter().map(|line| {
            json!({
                "id": line.id, "occurred_at": line.entry.occurred_at, "movement": line.entry.movement.to_string(),
                "amount": line.entry.amount, "fee": line.entry.fee, "net": line.entry.net,
                "balance": line.balance, "void": line.is_void, "order_id": line.order_id, "payout_id": line.payout_id,
            })
        });
        json!({"opening": book.opening, "lines": lines.collect::<Vec<Value>>()})
    };
    let books: Vec<Value> = found
        .books
        .iter()
        .map(|((provider, currency), of)| {
            json!({"provider": provider, "currency": currency.code(), "book": book(of)})
        })
        .collect();
    let data = json!({"since": found.period.start, "before": found.period.end, "books": books});
    let answer = Answer::new("till.journal/1", &data, found.text(zone))?;
    Ok(if books.is_empty() {
        answer.warned(
            "none",
            "the stack mirrors balance transactions of Flint only.",
        )
    } else {
        answer
    })
}

pub(super) async fn receivables<B: Backend>(on: &Context<'_, B>) -> Result<Answer, Error> {
    let zone = on.stack.zone.clone();
    let mut progress = |read: usize| on.terminal.progress(Some(&format!("{read} invoices")));
    let report = report::receivables(on.backend.store(), on.now, zone, &mut progress).await;
    on.terminal.progress(None);
    let report = report?;
    let ages = |ages: &Ages| json!(ages.0);
    let debts: Vec<Value> = report
        .debts
        .iter()
        .map(|(currency, debts)| {
            let customers = debts.customers.iter();
            let customers = customers.map(|(id, of)| json!({"customer_id": id, "ages": ages(of)}));
            json!({
                "currency": currency.code(), "total": ages(&debts.total),
                "customers": customers.collect::<Vec<Value>>(),
            })
        })
        .collect();
    let reminders: Vec<Value> = report
        .reminders
        .iter()
        .map(|of| {
            json!({
                "invoice_id": of.invoice_id, "number": of.number, "customer_id": of.customer_id,
                "outstanding": {"minor": of.outstanding, "currency": of.currency.code()},
                "since": of.since, "suspended": of.is_suspended,
            })
        })
        .collect();
    let data = json!({"at": report.at, "age_days": [0, 30, 60, 90], "debts": debts, "reminders": reminders});
    Answer::new("till.receivables/1", &data, report.text())
}
