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

/// The sales, restocks and changes by hand of a SKU, oldest first.
#[derive(Debug, Clone, Serialize, JsonSchema)]
pub struct StockHistory {
    pub sku: String,
    pub entries: Vec<StockEntry>,
    /// The number of all entries.
    pub of: usize,
    /// The command that undoes the last change by hand; `null` if there is none, or if it made the counter.
    pub undo: Option<String>,
}

/// An entry of the history.
#[derive(Debug, Clone, Serialize, JsonSchema)]
pub struct StockEntry {
    #[schemars(with = "Time")]
    pub at: Timestamp,
    /// `sale`, `reservation`, `restock`, `count`, `receive` or `import`.
    pub kind: String,
    /// The units that the counter gained; negative if it lost some.
    pub units: i64,
    /// The order of a sale, a reservation or a restock.
    pub order_id: Option<String>,
    /// The paid units of a sale that are missing.
    pub missing: Option<i64>,
    /// The units of a restock that came back before its time.
    pub restocked_earlier: Option<i64>,
    /// A count, an arrival or an import.
    pub by_hand: Option<ChangeByHand>,
}

/// A change of a counter by hand.
#[derive(Debug, Clone, Serialize, JsonSchema)]
pub struct ChangeByHand {
    /// The counter before; `null` if there was none.
    pub before: Option<i64>,
    pub after: i64,
    /// When the units were counted; `null` for units that arrived.
    #[schemars(with = "Option<Time>")]
    pub counted_at: Option<Timestamp>,
    /// The operator.
    pub by: String,
    pub why: String,
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
    /// Units that came back before the count or since. They are not added.
    pub restocked_unclear: i64,
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
