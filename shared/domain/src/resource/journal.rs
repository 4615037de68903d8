//! The journal of a period: what each movement added to the provider's balance.

use crate::{
    resource::{
        table::{Align, Table, date, money, zone_name},
        transaction::{Entry, Movement, Transaction, TransactionStatus},
    },
    values::{
        ids::{OrderId, PayoutId, TransactionId},
        money::Currency,
        provider::ProviderId,
    },
};
use jiff::{Timestamp, tz::TimeZone};
use std::{collections::BTreeMap, fmt::Write, ops::Range};

/// A group of movements, as a bookkeeper sums them up.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Group {
    Payments,
    Refunds,
    /// The fees of all movements, and the provider's bills.
    Fees,
    Disputes,
    Payouts,
    /// Reserves and holds: money that stays at the provider.
    Reserves,
    Other,
}

impl Group {
    /// The group of a movement's amount. Its fee is always in [`Group::Fees`].
    #[must_use]
    pub fn of(movement: &Movement) -> Self {
        match movement {
            Movement::Payment => Self::Payments,
            Movement::Refund | Movement::Return => Self::Refunds,
            Movement::MerchantBillingPayment | Movement::MerchantBillingPaymentReversal => {
                Self::Fees
            }
            Movement::Dispute | Movement::DisputeReversal => Self::Disputes,
            Movement::Payout
            | Movement::PayoutFailure
            | Movement::PayoutCancellation
            | Movement::PayoutReversal
            | Movement::PayoutAdvance
            | Movement::PayoutAdvanceFunding => Self::Payouts,
            Movement::ReserveHold
            | Movement::ReserveRelease
            | Movement::PayoutHold
            | Movement::PayoutHoldRelease => Self::Reserves,
            Movement::Recovery | Movement::Adjustment | Movement::Other(_) => Self::Other,
        }
    }

    fn name(self) -> &'static str {
        match self {
            Self::Payments => "payments",
            Self::Refunds => "refunds and returns",
            Self::Fees => "fees",
            Self::Disputes => "disputes",
            Self::Payouts => "payouts",
            Self::Reserves => "reserves and holds",
            Self::Other => "other",
        }
    }
}

/// A movement of the period.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Line {
    pub id: TransactionId,
    pub entry: Entry,
    pub status: Option<TransactionStatus>,
    /// True if the movement has no effect: it failed or was superseded.
    pub is_void: bool,
    /// The balance after this movement, in minor units.
    pub balance: i64,
    pub order_id: Option<OrderId>,
    pub payout_id: Option<PayoutId>,
}

/// The movements of one balance. Amounts are in minor units. Sums do not wrap: they stop at the greatest `i64`.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Book {
    /// The sum of all earlier movements.
    pub opening: i64,
    /// By time, then by id.
    pub lines: Vec<Line>,
    /// Amounts by group, and fees as what they take. Their sum is `closing - opening`.
    pub totals: BTreeMap<Group, i64>,
    pub closing: i64,
}

/// The journal of a period.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Journal {
    /// The end is not included.
    pub period: Range<Timestamp>,
    /// One book for each balance: each provider keeps one in each currency.
    pub books: BTreeMap<(ProviderId, Currency), Book>,
}

/// The journal of a period, from all movements before its end.
#[must_use]
pub fn journal<'a>(
    transactions: impl IntoIterator<Item = &'a Transaction>,
    period: Range<Timestamp>,
) -> Journal {
    let entries = transactions
        .into_iter()
        .filter_map(|row| Some((row, row.entry.get()?)));
    let mut entries: Vec<_> = entries
        .filter(|(_, entry)| entry.occurred_at < period.end)
        .collect();
    entries.sort_by_key(|(row, entry)| (entry.occurred_at, &row.id));
    let mut books: BTreeMap<_, Book> = BTreeMap::new();
    for (row, entry) in entries {
        let book = books.entry((row.provider.clone(), entry.currency));
        let is_earlier = entry.occurred_at < period.start;
        book.or_default().add(row, entry, is_earlier);
    }
    Journal { period, books }
}

impl Book {
    /// Adds the next movement.
    fn add(&mut self, row: &Transaction, entry: &Entry, is_earlier: bool) {
        let is_void = row.is_void();
        if !is_void {
            self.closing = self.closing.saturating_add(entry.net);
        }
        if is_earlier {
            self.opening = self.closing;
            return;
        }
        if !is_void {
            self.sum_up(Group::of(&entry.movement), entry.amount);
            self.sum_up(Group::Fees, entry.fee.saturating_neg());
        }
        self.lines.push(Line {
            id: row.id.clone(),
            entry: entry.clone(),
            status: row.status.get().cloned(),
            is_void,
            balance: self.closing,
            order_id: row.order_id.get().cloned(),
            payout_id: row.payout_id.get().cloned(),
        });
    }

    fn sum_up(&mut self, group: Group, amount: i64) {
        let total = self.totals.entry(group).or_default();
        *total = total.saturating_add(amount);
    }

    fn lines(&self, currency: Currency, zone: &TimeZone) -> Table<9> {
        use Align::{Left, Right};
        let mut table = Table::new(&[Left, Left, Left, Left, Right, Right, Right, Right, Left]);
        table.row(
            [
                "Date",
                "Transaction",
                "Type",
                "Status",
                "Amount",
                "Fee",
                "Net",
                "Balance",
                "Belongs to",
            ]
            .map(str::to_owned),
        );
        let balance = |name: &str, minor| {
            let mut cells = <[String; 9]>::default();
            let [_, first, .., balance, _] = &mut cells;
            name.clone_into(first);
            *balance = money(minor, currency);
            cells
        };
        table.row(balance("opening balance", self.opening));
        for line in &self.lines {
            table.row(line.cells(currency, zone));
        }
        table.row(balance("closing balance", self.closing));
        table
    }

    fn totals(&self, currency: Currency) -> Table<2> {
        let mut table = Table::new(&[Align::Left, Align::Right]);
        for (group, total) in &self.totals {
            table.row([group.name().to_owned(), money(*total, currency)]);
        }
        let change = self.closing.saturating_sub(self.opening);
        table.row(["change of balance".to_owned(), money(change, currency)]);
        table
    }
}

impl Line {
    fn cells(&self, currency: Currency, zone: &TimeZone) -> [String; 9] {
        let entry = &self.entry;
        let mut status = self.status.as_ref().map(ToString::to_string);
        if self.is_void {
            status = status.map(|status| format!("{status}, void"));
        }
        let mark = if entry.fee_disagrees { "*" } else { "" };
        let balance = (!self.is_void).then(|| money(self.balance, currency));
        let order_id = self.order_id.as_ref().map(ToString::to_string);
        let payout_id = self.payout_id.as_ref().map(ToString::to_string);
        [
            date(entry.occurred_at, zone),
            self.id.to_string(),
            entry.movement.to_string(),
            status.unwrap_or_default(),
            money(entry.amount, currency),
            format!("{mark}{}", money(entry.fee, currency)),
            money(entry.net, currency),
            balance.unwrap_or_default(),
            order_id.or(payout_id).unwrap_or_default(),
        ]
    }
}

impl Journal {
    /// The journal as tables for people, with the dates of that zone.
    #[must_use]
    pub fn text(&self, zone: &TimeZone) -> String {
        let (from, to) = (date(self.period.start, zone), date(self.period.end, zone));
        let zone_name = zone_name(zone);
        let mut text = format!("Journal from {from} until {to}, not included ({zone_name})\n");
        for ((provider, currency), book) in &self.books {
            let (lines, totals) = (book.lines(*currency, zone), book.totals(*currency));
            let code = currency.code();
            // Writing to a text cannot fail.
            let _ = write!(text, "\n{provider}, {code}\n\n{lines}\n{totals}");
        }
        let mut lines = self.books.values().flat_map(|book| &book.lines);
        if lines.any(|line| line.entry.fee_disagrees) {
            text.push_str("\n* The provider states another fee than amount minus net.\n");
        }
        text
    }
}

#[cfg(test)]
mod tests;
