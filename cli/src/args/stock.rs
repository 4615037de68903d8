//! The arguments of `till stock`.

use super::WriteArgs;
use clap::{Args, Subcommand, ValueEnum};

/// How a file's numbers change the counters.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, ValueEnum)]
pub enum ImportMode {
    /// Units that were counted.
    #[default]
    Set,
    /// Units that arrived.
    Add,
}

#[derive(Debug, Subcommand)]
pub enum StockCommand {
    /// List the counters
    List {
        /// Only counters below this number
        #[arg(long, value_name = "NUMBER")]
        below: Option<i64>,
    },
    /// Show one counter
    Show { sku: String },
    /// Show sales, restocks and counts of a SKU in the order of time
    History {
        sku: String,
        /// The most entries, the last ones
        #[arg(long, default_value_t = 50)]
        limit: usize,
    },
    /// Set counters from a CSV file
    #[command(
        after_help = "Example:\n  till stock import count.csv --counted-at \"today 07:30\" --why \"yearly count\""
    )]
    Import(ImportArgs),
    /// Print the counters as CSV that import accepts
    Export,
    /// Set the counter of one SKU to the counted units
    Count {
        sku: String,
        units: i64,
        /// When the units were counted
        #[arg(long, value_name = "TIME")]
        counted_at: Option<String>,
        #[command(flatten)]
        write: WriteArgs,
    },
    /// Add arrived units to a counter
    Receive {
        sku: String,
        /// Such as 10; a negative number takes units away
        #[arg(allow_negative_numbers = true)]
        units: i64,
        #[command(flatten)]
        write: WriteArgs,
    },
    /// Say what a product or a price of the provider is in your stock
    Map(MapArgs),
}

#[derive(Debug, Args)]
pub struct ImportArgs {
    /// The file, or - for stdin; its columns are `sku` and `on_hand`
    pub file: String,
    /// When the units were counted; sales since then are subtracted, restocks are added
    #[arg(long, value_name = "TIME")]
    pub counted_at: Option<String>,
    #[arg(long, value_enum, default_value = "set")]
    pub mode: ImportMode,
    /// Other names of the columns, such as `sku=Art,on_hand=Qty`
    #[arg(long)]
    pub columns: Option<String>,
    /// Write the valid rows although others are rejected
    #[arg(long)]
    pub skip_bad: bool,
    #[command(flatten)]
    pub write: WriteArgs,
}

#[derive(Debug, Args)]
pub struct MapArgs {
    /// product#ID or price#ID; Flex's prefixes need no kind
    pub key: String,
    /// The SKU
    #[arg(required_unless_present_any = ["untracked", "grants"])]
    pub sku: Option<String>,
    /// It is not counted
    #[arg(long, conflicts_with = "sku")]
    pub untracked: bool,
    /// Each unit gives access to this product
    #[arg(long, value_name = "PRODUCT")]
    pub grants: Option<String>,
    /// How many days that access lasts
    #[arg(long, requires = "grants")]
    pub days: Option<u32>,
    #[command(flatten)]
    pub write: WriteArgs,
}
