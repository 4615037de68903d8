//! Answers about stock.

use super::Time;
use jiff::Timestamp;
use schemars::JsonSchema;
use serde::Serialize;

/// The counters.
#[derive(Debug, Clone, Serialize, JsonSchema)]
pub struct StockList {
    pub counters: Vec<Counter>,
}

/// A counter.
#[derive(Debug, Clone, Serialize, JsonSchema)]
pub struct Counter {
    pub sku: String,
    /// The units; `null` without a counter.
    pub on_hand: Option<i64>,
    /// True if the SKU is sold without a count.
    pub untracked: bool,
}

/// One SKU.
#[derive(Debug, Clone, Serialize, JsonSchema)]
pub struct Stock {
    pub sku: String,
    pub on_hand: Option<i64>,
    /// Units that are paid and missing.
    pub missing: i64,
    /// The orders that wait for them.
    pub waiting_orders: Vec<String>,
}

/// The movements of a SKU.
#[derive(Debug, Clone, Serialize, JsonSchema)]
pub struct StockHistory {
    pub sku: String,
    pub movements: Vec<StockMovement>,
    /// The number of all movements.
    pub of: usize,
}

/// The movement of an order.
#[derive(Debug, Clone, Serialize, JsonSchema)]
pub struct StockMovement {
    pub order_id: String,
    #[schemars(with = "Time")]
    pub moved_at: Timestamp,
    pub quantity: i64,
    pub deducted: i64,
    pub restocked: i64,
    pub missing: i64,
    /// True for a reservation.
    pub reserved: bool,
}

/// The counters, as import accepts them.
#[derive(Debug, Clone, Serialize, JsonSchema)]
pub struct StockExport {
    pub counters: Vec<Counted>,
}

/// The units of a SKU.
#[derive(Debug, Clone, Serialize, JsonSchema)]
pub struct Counted {
    pub sku: String,
    pub on_hand: i64,
}

/// An import, a count or an arrival.
#[derive(Debug, Clone, Serialize, JsonSchema)]
pub struct StockImport {
    pub dry_run: bool,
    #[schemars(with = "Time")]
    pub counted_at: Timestamp,
    pub changes: Vec<StockChange>,
    pub rejected: Vec<RejectedRow>,
    /// Empty in a dry run.
    pub results: Vec<StockResult>,
}

/// A counter and its new value.
#[derive(Debug, Clone, Serialize, JsonSchema)]
pub struct StockChange {
    /// The row of the file.
    pub row: u64,
    pub sku: String,
    pub current: Option<i64>,
    pub counted: i64,
    pub sold_since: i64,
    pub restocked_since: i64,
    pub missing: i64,
    pub new: i64,
}

/// A row of the file that is invalid.
#[derive(Debug, Clone, Serialize, JsonSchema)]
pub struct RejectedRow {
    pub row: u64,
    pub why: String,
}

/// The result for a SKU.
#[derive(Debug, Clone, Serialize, JsonSchema)]
pub struct StockResult {
    pub sku: String,
    pub done: bool,
    pub text: String,
}

/// A mapping of a product or a price.
#[derive(Debug, Clone, Serialize, JsonSchema)]
pub struct StockMap {
    pub key: String,
    pub dry_run: bool,
    pub text: String,
}
