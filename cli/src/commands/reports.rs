//! `till journal` and `till receivables`: the reports about money.

use crate::{
    Context,
    answers::{CurrencyDebts, CustomerDebts, Journal, ProviderBook, Receivables, Reminder},
    backend::Backend,
    error::Error,
    output::Answer,
};
use domain::{resource::receivables::Ages, values::ids::CustomerId};
use jiff::civil::Date;
use operator::report;

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
