//! `till journal` and `till receivables`: the reports about money.

use crate::{
    Context,
    answers::{CurrencyDebts, CustomerDebts, Journal, ProviderBook, Receivables, Reminder},
    backend::Backend,
    error::Error,
    output::Answer,
};
use domain::{resource::receivables::Ages, values::ids::CustomerId};
use jiff::{Timestamp, tz::TimeZone};
use operator::report;
use std::ops::Range;

pub(super) async fn journal<B: Backend>(
    on: &Context<'_, B>,
    period: &str,
) -> Result<Answer, Error> {
    let zone = &on.stack.zone;
    let range = range(period, zone).ok_or_else(|| {
        Error::usage(format!("{period:?} is no month and no day"))
            .cured_by("Write 2026-03 or 2026-03-03")
    })?;
    let mut progress = |read: usize| on.terminal.progress(Some(&format!("{read} movements")));
    let found = report::journal(on.backend.store(), range, &mut progress).await;
    on.terminal.progress(None);
    let found = found?;
    let books = found
        .books
        .iter()
        .map(|((provider, currency), of)| ProviderBook {
            provider: provider.clone(),
            currency: currency.code(),
            book: of.into(),
        });
    let data = Journal {
        since: found.period.start,
        before: found.period.end,
        books: books.collect(),
    };
    let answer = Answer::of(&data, found.text(zone))?;
    Ok(if data.books.is_empty() {
        answer.warned(
            "none",
            "the stack mirrors balance transactions of Flint only.",
        )
    } else {
        answer
    })
}

/// The time of a period: a month as `2026-03`, or a day as `2026-03-03`.
fn range(period: &str, zone: &TimeZone) -> Option<Range<Timestamp>> {
    let range = if period.matches('-').count() == 1 {
        report::month(format!("{period}-01").parse().ok()?, zone)
    } else {
        report::day(period.parse().ok()?, zone)
    };
    range.ok()
}

pub(super) async fn receivables<B: Backend>(on: &Context<'_, B>) -> Result<Answer, Error> {
    let zone = on.stack.zone.clone();
    let mut progress = |read: usize| on.terminal.progress(Some(&format!("{read} invoices")));
    let report = report::receivables(on.backend.store(), on.now, zone, &mut progress).await;
    on.terminal.progress(None);
    let report = report?;
    let customer = |(id, of): (&Option<CustomerId>, &Ages)| CustomerDebts {
        customer_id: id.clone(),
        ages: of.0,
    };
    let debts = report.debts.iter().map(|(currency, debts)| CurrencyDebts {
        currency: currency.code(),
        total: debts.total.0,
        customers: debts.customers.iter().map(customer).collect(),
    });
    let data = Receivables {
        at: report.at,
        age_days: [0, 30, 60, 90],
        debts: debts.collect(),
        reminders: report.reminders.iter().map(Reminder::from).collect(),
    };
    Answer::of(&data, report.text())
}
