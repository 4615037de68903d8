//! Reports from the rows that mirror a provider's things: journal, receivables, recoverable sessions, payment methods, and
//! a merchant's readiness.
//!
//! The lists are read by an index that may lag a moment behind the table. Each report reads its list whole, page by page,
//! and states after each page the number of rows so far.

use crate::{MOST_PAGES, endless};
use domain::{
    ports::ResourceLists,
    resource::{
        JOURNAL, RECEIVABLES, RECOVERABLE, Resource, ResourceId,
        checkout_session::CheckoutSession,
        invoice::Invoice,
        journal::{Journal, journal as journal_of},
        merchant::{Merchant, Readiness},
        payment_method::{PaymentMethod, list_of},
        receivables::{Receivables, receivables as receivables_of},
        recovery::{Recoverable, recoverable as recoverable_of},
        transaction::Transaction,
    },
    values::{
        ids::{CustomerId, MerchantId},
        outcome::RetryableError,
    },
};
use jiff::{Timestamp, ToSpan, civil::Date, tz::TimeZone};
use std::{collections::BTreeMap, fmt, ops::Range};

/// Gets the number of rows that are read so far.
pub type Progress<'a> = dyn FnMut(usize) + Send + 'a;

/// That day of the calendar, from midnight to midnight in that zone.
///
/// # Errors
///
/// If the next day is not in the calendar.
pub fn day(date: Date, zone: &TimeZone) -> Result<Range<Timestamp>, jiff::Error> {
    between(date, date.checked_add(1.day())?, zone)
}

/// The month of that date, from midnight to midnight in that zone.
///
/// # Errors
///
/// If the next month is not in the calendar.
pub fn month(date: Date, zone: &TimeZone) -> Result<Range<Timestamp>, jiff::Error> {
    let first = date.first_of_month();
    between(first, first.checked_add(1.month())?, zone)
}

fn between(from: Date, to: Date, zone: &TimeZone) -> Result<Range<Timestamp>, jiff::Error> {
    let midnight = |date: Date| zone.to_timestamp(date.at(0, 0, 0, 0));
    Ok(midnight(from)?..midnight(to)?)
}

/// All rows of a list before that time, by id. A row that moves in the list while it is read counts once, as it was read
/// last.
pub(crate) async fn all(
    lists: &impl ResourceLists,
    list: &str,
    before: Option<Timestamp>,
    progress: &mut Progress<'_>,
) -> Result<Vec<Resource>, RetryableError> {
    let (mut rows, mut after) = (BTreeMap::new(), None);
    for _ in 0..MOST_PAGES {
        let page = lists.listed(list, before, after.as_ref()).await?;
        let page_rows = page.resources.into_iter();
        rows.extend(page_rows.map(|row| (row.id(), row)));
        progress(rows.len());
        after = page.next;
        if after.is_none() {
            return Ok(rows.into_values().collect());
        }
    }
    Err(endless("Resources"))
}

/// The journal of a period: see [`day`] and [`month`]. Every earlier transaction is read too, for the opening balance.
pub async fn journal(
    lists: &impl ResourceLists,
    period: Range<Timestamp>,
    progress: &mut Progress<'_>,
) -> Result<Journal, RetryableError> {
    let rows = all(lists, JOURNAL, Some(period.end), progress).await?;
    let transactions: Vec<Transaction> = rows.into_iter().filter_map(transaction).collect();
    Ok(journal_of(&transactions, period))
}

/// The receivables at that moment, from the invoices as they are known now.
pub async fn receivables(
    lists: &impl ResourceLists,
    at: Timestamp,
    zone: TimeZone,
    progress: &mut Progress<'_>,
) -> Result<Receivables, RetryableError> {
    let rows = all(lists, RECEIVABLES, None, progress).await?;
    let invoices: Vec<Invoice> = rows.into_iter().filter_map(invoice).collect();
    Ok(receivables_of(&invoices, at, zone))
}

/// The checkout sessions that can be recovered, the latest first.
pub async fn recoverable(
    lists: &impl ResourceLists,
    now: Timestamp,
    progress: &mut Progress<'_>,
) -> Result<Vec<Recoverable>, RetryableError> {
    let rows = all(lists, RECOVERABLE, None, progress).await?;
    let sessions: Vec<CheckoutSession> = rows.into_iter().filter_map(session).collect();
    Ok(recoverable_of(&sessions, now))
}

/// The payment methods of a customer, the oldest first.
pub async fn payment_methods(
    lists: &impl ResourceLists,
    id: &CustomerId,
    progress: &mut Progress<'_>,
) -> Result<Vec<PaymentMethod>, RetryableError> {
    let rows = all(lists, &list_of(id), None, progress).await?;
    let mut methods: Vec<PaymentMethod> = rows.into_iter().filter_map(payment_method).collect();
    methods.sort_by_key(|method| method.first_seen);
    Ok(methods)
}

/// The readiness of a merchant: whether it can take payments, and its open tasks.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MerchantReport {
    pub merchant_id: MerchantId,
    pub can_take_payments: bool,
    /// The readiness of payments as the provider states it.
    pub payments: Option<Readiness>,
    /// In the provider's words, the most urgent first.
    pub missing: Vec<String>,
}

impl From<&Merchant> for MerchantReport {
    fn from(merchant: &Merchant) -> Self {
        Self {
            merchant_id: merchant.id.clone(),
            can_take_payments: merchant.can_take_payments(),
            payments: merchant.payments.get().cloned(),
            missing: merchant.missing(),
        }
    }
}

/// The report about a merchant; `None` if no event has named it.
pub async fn merchant(
    lists: &impl ResourceLists,
    id: &MerchantId,
) -> Result<Option<MerchantReport>, RetryableError> {
    let row = lists.resource(&ResourceId::Merchant(id.clone())).await?;
    Ok(match row {
        Some(Resource::Merchant(merchant)) => Some(MerchantReport::from(&*merchant)),
        _ => None,
    })
}

/// One function for each kind: the row, if it is of that kind.
macro_rules! only {
    ($($name:ident: $kind:ident($row:ty);)+) => {
        $(fn $name(row: Resource) -> Option<$row> {
            match row {
                Resource::$kind(row) => Some(*row),
                _ => None,
            }
        })+
    };
}

only! {
    transaction: Transaction(Transaction);
    invoice: Invoice(Invoice);
    session: CheckoutSession(CheckoutSession);
    payment_method: PaymentMethod(PaymentMethod);
}

impl fmt::Display for MerchantReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let can = if self.can_take_payments {
            "can"
        } else {
            "cannot"
        };
        write!(f, "merchant {} {can} take payments", self.merchant_id)?;
        if let Some(Readiness { status, reason }) = &self.payments {
            write!(f, ": payments are {status}")?;
            if let Some(reason) = reason {
                write!(f, " ({reason})")?;
            }
        }
        for text in &self.missing {
            write!(f, "\nmissing: {text}")?;
        }
        Ok(())
    }
}
