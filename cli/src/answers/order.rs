//! Answers about orders, customers and money.

use super::Time;
use crate::order::view::{AccessView, Amount, SubscriptionView};
use domain::{
    resource::{journal, receivables},
    values::{
        ids::{CheckoutSessionId, CustomerId, EventId, OrderId},
        provider::ProviderId,
    },
};
use jiff::Timestamp;
use schemars::JsonSchema;
use serde::Serialize;
use serde_json::Value;

/// The orders that an id leads to.
#[derive(Debug, Clone, Serialize, JsonSchema)]
pub struct OrderList {
    /// The kind of the id.
    pub via: &'static str,
    pub orders: Vec<String>,
}

/// A paragraph for the customer.
#[derive(Debug, Clone, Serialize, JsonSchema)]
pub struct OrderForCustomer {
    pub order_id: String,
    pub text: String,
}

/// Orders of a search.
#[derive(Debug, Clone, Serialize, JsonSchema)]
pub struct Orders {
    pub orders: Vec<OrderLine>,
    /// The rows that were read.
    pub read: usize,
    /// Where the search stopped: `--before` with this time reads on. `null` if the whole range was read.
    #[schemars(with = "Option<Time>")]
    pub stopped_at: Option<Timestamp>,
}

/// An order of a search.
#[derive(Debug, Clone, Serialize, JsonSchema)]
pub struct OrderLine {
    pub order_id: String,
    /// The merchant's order number.
    pub reference: Option<String>,
    #[schemars(with = "Time")]
    pub placed_at: Timestamp,
    pub state: String,
    pub disputed: bool,
    pub total: Amount,
    pub received: Amount,
    pub refunded: Amount,
}

/// A customer's access and subscriptions.
#[derive(Debug, Clone, Serialize, JsonSchema)]
pub struct Access {
    #[schemars(with = "String")]
    pub customer_id: CustomerId,
    pub access: Vec<AccessView>,
    pub subscriptions: Vec<SubscriptionView>,
}

/// The rows that hold data of a customer, in number.
#[derive(Debug, Clone, Copy, Serialize, JsonSchema)]
pub struct CustomerCounts {
    pub orders: usize,
    pub subscriptions: usize,
    pub entitlements: usize,
    pub payment_methods: usize,
    pub checkout_sessions: usize,
    pub events: usize,
}

/// Everything that the tables hold about a customer: rows as they are stored.
#[derive(Debug, Clone, Serialize, JsonSchema)]
pub struct CustomerExport(pub Value);

/// The data that was erased, or would be.
#[derive(Debug, Clone, Serialize, JsonSchema)]
pub struct CustomerErase {
    pub dry_run: bool,
    #[schemars(with = "Vec<String>")]
    pub orders: Vec<OrderId>,
    pub contact: bool,
    #[schemars(with = "Vec<String>")]
    pub checkout_sessions: Vec<CheckoutSessionId>,
    #[schemars(with = "Vec<String>")]
    pub events: Vec<EventId>,
    /// Events that still need their bodies.
    #[schemars(with = "Vec<String>")]
    pub open: Vec<EventId>,
    /// The last event that was read, if the run stopped.
    #[schemars(with = "Option<String>")]
    pub next: Option<EventId>,
    pub commands: Vec<String>,
}

/// The movements of the merchant's balances.
#[derive(Debug, Clone, Serialize, JsonSchema)]
pub struct Journal {
    #[schemars(with = "Time")]
    pub since: Timestamp,
    #[schemars(with = "Time")]
    pub before: Timestamp,
    pub books: Vec<ProviderBook>,
}

/// The movements of one balance.
#[derive(Debug, Clone, Serialize, JsonSchema)]
pub struct ProviderBook {
    #[schemars(with = "String")]
    pub provider: ProviderId,
    pub currency: &'static str,
    pub book: Book,
}

/// Movements in minor units.
#[derive(Debug, Clone, Serialize, JsonSchema)]
pub struct Book {
    /// The sum of all earlier movements.
    pub opening: i64,
    pub lines: Vec<BookLine>,
}

/// A movement, in minor units.
#[derive(Debug, Clone, Serialize, JsonSchema)]
pub struct BookLine {
    pub id: String,
    #[schemars(with = "Time")]
    pub occurred_at: Timestamp,
    pub movement: String,
    pub amount: i64,
    pub fee: i64,
    pub net: i64,
    /// The balance after it.
    pub balance: i64,
    /// True if it has no effect.
    pub void: bool,
    pub order_id: Option<String>,
    pub payout_id: Option<String>,
}

impl From<&journal::Book> for Book {
    fn from(book: &journal::Book) -> Self {
        let line = |line: &journal::Line| BookLine {
            id: line.id.to_string(),
            occurred_at: line.entry.occurred_at,
            movement: line.entry.movement.to_string(),
            amount: line.entry.amount,
            fee: line.entry.fee,
            net: line.entry.net,
            balance: line.balance,
            void: line.is_void,
            order_id: line.order_id.as_ref().map(ToString::to_string),
            payout_id: line.payout_id.as_ref().map(ToString::to_string),
        };
        Self {
            opening: book.opening,
            lines: book.lines.iter().map(line).collect(),
        }
    }
}

/// The invoices to be paid.
#[derive(Debug, Clone, Serialize, JsonSchema)]
pub struct Receivables {
    #[schemars(with = "Time")]
    pub at: Timestamp,
    /// The last day of each age, in days overdue; the fifth age has none.
    pub age_days: [i64; 4],
    pub debts: Vec<CurrencyDebts>,
    pub reminders: Vec<Reminder>,
}

/// The debts in one currency, in minor units by age.
#[derive(Debug, Clone, Serialize, JsonSchema)]
pub struct CurrencyDebts {
    pub currency: &'static str,
    pub total: [i64; 5],
    pub customers: Vec<CustomerDebts>,
}

/// The debts of one customer, in minor units by age.
#[derive(Debug, Clone, Serialize, JsonSchema)]
pub struct CustomerDebts {
    #[schemars(with = "Option<String>")]
    pub customer_id: Option<CustomerId>,
    pub ages: [i64; 5],
}

/// An invoice to remind a customer of.
#[derive(Debug, Clone, Serialize, JsonSchema)]
pub struct Reminder {
    pub invoice_id: String,
    pub number: Option<String>,
    pub customer_id: Option<String>,
    pub outstanding: Amount,
    #[schemars(with = "Time")]
    pub since: Timestamp,
    /// True while the collection is blocked.
    pub suspended: bool,
}

impl From<&receivables::Reminder> for Reminder {
    fn from(of: &receivables::Reminder) -> Self {
        Self {
            invoice_id: of.invoice_id.to_string(),
            number: of.number.clone(),
            customer_id: of.customer_id.as_ref().map(ToString::to_string),
            outstanding: Amount::new(of.outstanding, of.currency),
            since: of.since,
            suspended: of.is_suspended,
        }
    }
}
