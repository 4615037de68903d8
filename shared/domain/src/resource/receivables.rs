//! Receivables: the outstanding amounts of customers by age, and the invoices to remind them of.

use crate::{
    resource::{
        invoice::{Dunning, Invoice},
        table::{Align, Table, date, money, zone_name},
    },
    values::{
        ids::{CustomerId, InvoiceId},
        money::Currency,
    },
};
use jiff::{Timestamp, tz::TimeZone};
use std::{collections::BTreeMap, fmt::Write};

/// The last day of each age but the last: not overdue, 1 to 30 days, 31 to 60, 61 to 90.
const LAST_DAYS: [i32; 4] = [0, 30, 60, 90];

/// Outstanding amounts in minor units by age: not overdue, then 1 to 30, 31 to 60, 61 to 90 and more days overdue. Sums
/// do not wrap: they stop at the greatest `i64`.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Ages(pub [i64; 5]);

impl Ages {
    /// The sum of all ages.
    #[must_use]
    pub fn total(self) -> i64 {
        self.0.into_iter().fold(0, i64::saturating_add)
    }

    fn add(&mut self, days: i32, amount: i64) {
        let age = LAST_DAYS.iter().take_while(|last| days > **last).count();
        if let Some(sum) = self.0.get_mut(age) {
            *sum = sum.saturating_add(amount);
        }
    }
}

/// The receivables in one currency.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Debts {
    /// `None` for invoices without a customer.
    pub customers: BTreeMap<Option<CustomerId>, Ages>,
    pub total: Ages,
}

/// An invoice to remind a customer of.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reminder {
    pub invoice_id: InvoiceId,
    pub number: Option<String>,
    pub customer_id: Option<CustomerId>,
    /// In minor units of `currency`.
    pub outstanding: i64,
    pub currency: Currency,
    /// The first reason: a failed payment or the due date.
    pub since: Timestamp,
    /// True while the collection is blocked: do not remind.
    pub is_suspended: bool,
}

/// The receivables at one moment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Receivables {
    pub at: Timestamp,
    pub zone: TimeZone,
    pub debts: BTreeMap<Currency, Debts>,
    /// The oldest reason first.
    pub reminders: Vec<Reminder>,
    /// Issued invoices that are not counted, because their amount or currency is unknown.
    pub unclear: Vec<InvoiceId>,
}

/// The receivables at that moment. The calendar of `zone` counts the days; the due date itself is not overdue, and an
/// invoice without a due date never is.
#[must_use]
pub fn receivables<'a>(
    invoices: impl IntoIterator<Item = &'a Invoice>,
    at: Timestamp,
    zone: TimeZone,
) -> Receivables {
    let mut debts: BTreeMap<_, Debts> = BTreeMap::new();
    let (mut reminders, mut unclear) = (Vec::new(), Vec::new());
    for invoice in invoices {
        if invoice.is_unclear() {
            unclear.push(invoice.id.clone());
            continue;
        }
        let Some((outstanding, currency)) = outstanding(invoice) else {
            continue;
        };
        let days = days_overdue(invoice, at, &zone);
        let customer_id = invoice.customer_id.get().cloned();
        let debts = debts.entry(currency).or_default();
        debts.total.add(days, outstanding);
        let customer = debts.customers.entry(customer_id).or_default();
        customer.add(days, outstanding);
        reminders.extend(reminder(invoice, at, outstanding, currency));
    }
    reminders
        .sort_by(|one, other| (one.since, &one.invoice_id).cmp(&(other.since, &other.invoice_id)));
    unclear.sort();
    Receivables {
        at,
        zone,
        debts,
        reminders,
        unclear,
    }
}

/// The amount that the customer has to pay.
fn outstanding(invoice: &Invoice) -> Option<(i64, Currency)> {
    let amount = invoice.outstanding.get().zip(invoice.currency.get());
    let amount = amount.filter(|_| invoice.is_receivable());
    amount.map(|(outstanding, currency)| (*outstanding, *currency))
}

fn days_overdue(invoice: &Invoice, at: Timestamp, zone: &TimeZone) -> i32 {
    let today = zone.to_datetime(at).date();
    let due_at = invoice.due_at.get();
    let days = due_at.map(|due_at| today - zone.to_datetime(*due_at).date());
    days.map_or(0, |days| days.get_days())
}

fn reminder(
    invoice: &Invoice,
    at: Timestamp,
    outstanding: i64,
    currency: Currency,
) -> Option<Reminder> {
    let (since, is_suspended) = match invoice.dunning(at) {
        Dunning::None => return None,
        Dunning::Suspended { since } => (since, true),
        Dunning::Due { since } => (since, false),
    };
    Some(Reminder {
        invoice_id: invoice.id.clone(),
        number: invoice.number.get().cloned(),
        customer_id: invoice.customer_id.get().cloned(),
        outstanding,
        currency,
        since,
        is_suspended,
    })
}

/// The name of a customer in a table.
fn name(customer_id: Option<&CustomerId>) -> String {
    customer_id.map_or("no customer".to_owned(), ToString::to_string)
}

impl Receivables {
    /// The receivables as tables for people.
    #[must_use]
    pub fn text(&self) -> String {
        let (date, zone) = (date(self.at, &self.zone), zone_name(&self.zone));
        let mut text = format!("Receivables on {date} ({zone})\n");
        // Writing to a text cannot fail.
        for (currency, debts) in &self.debts {
            let _ = write!(text, "\n{}\n\n{}", currency.code(), debts.table(*currency));
        }
        if !self.reminders.is_empty() {
            let _ = write!(text, "\nReminders\n\n{}", self.reminder_table());
        }
        if !self.unclear.is_empty() {
            text.push_str("\nNot counted, because the amount or its currency is unknown:\n");
        }
        for id in &self.unclear {
            let _ = writeln!(text, "{id}");
        }
        text
    }

    fn reminder_table(&self) -> Table<6> {
        use Align::{Left, Right};
        let mut table = Table::new(&[Left, Left, Left, Left, Right, Left]);
        let titles = ["Since", "Invoice", "Number", "Customer", "Outstanding", ""];
        table.row(titles.map(str::to_owned));
        for line in &self.reminders {
            let state = if line.is_suspended {
                "suspended: collection is blocked"
            } else {
                "due"
            };
            table.row([
                date(line.since, &self.zone),
                line.invoice_id.to_string(),
                line.number.clone().unwrap_or_default(),
                name(line.customer_id.as_ref()),
                money(line.outstanding, line.currency),
                state.to_owned(),
            ]);
        }
        table
    }
}

impl Debts {
    fn table(&self, currency: Currency) -> Table<7> {
        use Align::{Left, Right};
        let mut table = Table::new(&[Left, Right, Right, Right, Right, Right, Right]);
        table.row(
            [
                "Customer",
                "Not overdue",
                "1-30 days",
                "31-60 days",
                "61-90 days",
                "Over 90 days",
                "Total",
            ]
            .map(str::to_owned),
        );
        let row = |name: String, ages: Ages| {
            let [current, first, second, third, older] =
                ages.0.map(|amount| money(amount, currency));
            let total = money(ages.total(), currency);
            [name, current, first, second, third, older, total]
        };
        for (customer_id, ages) in &self.customers {
            table.row(row(name(customer_id.as_ref()), *ages));
        }
        table.row(row("Total".to_owned(), self.total));
        table
    }
}

#[cfg(test)]
mod tests;
