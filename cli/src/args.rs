//! The arguments. Each command's help begins with an example.

mod event;
mod stock;

pub use event::{EventCommand, NewArgs, SendArgs, Wrapping};
pub use stock::{ImportArgs, ImportMode, MapArgs, StockCommand};

use crate::backend::{Function, Hop};
use clap::{Args, Parser, Subcommand, ValueEnum};

/// The events or messages a second, if nothing else is wanted.
pub const PACE: std::num::NonZeroU32 = std::num::NonZeroU32::new(5).unwrap();

const EXIT_CODES: &str = "\
Exit codes:
  0 done or found     1 failed, at least in part     2 invalid command
  3 not found         4 a person must act            5 not confirmed
  6 not available     7 not allowed                  130 stopped by Ctrl-C";

/// One command line for a stack of the payment bundle.
#[derive(Debug, Parser)]
#[command(name = "till", version, after_help = EXIT_CODES, max_term_width = 100)]
pub struct Cli {
    #[command(flatten)]
    pub options: Options,
    #[command(subcommand)]
    pub command: Command,
}

/// When to color.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, ValueEnum)]
pub enum Color {
    #[default]
    Auto,
    Always,
    Never,
}

/// The options of every command.
#[derive(Debug, Clone, Default, Args)]
#[expect(clippy::struct_excessive_bools, reason = "each is one flag")]
pub struct Options {
    /// The stack; else `TILL_STACK`, else the `stack_name` of samconfig.toml
    #[arg(long, global = true, value_name = "NAME")]
    pub stack: Option<String>,
    /// The environment of samconfig.toml
    #[arg(long, global = true, value_name = "NAME", default_value = "test")]
    pub config_env: String,
    /// The region of AWS
    #[arg(long, global = true)]
    pub region: Option<String>,
    /// The profile of AWS
    #[arg(long, global = true)]
    pub profile: Option<String>,
    /// Use the local stack of `make up`
    #[arg(long, global = true, conflicts_with_all = ["profile", "region"])]
    pub local: bool,
    /// Print one JSON object
    #[arg(long, global = true)]
    pub json: bool,
    /// Show personal data
    #[arg(long, global = true)]
    pub reveal: bool,
    /// Show no progress
    #[arg(long, short, global = true)]
    pub quiet: bool,
    #[arg(long, global = true, value_name = "WHEN", default_value = "auto")]
    pub color: Color,
}

/// The options of every write.
#[derive(Debug, Clone, Default, Args)]
pub struct WriteArgs {
    /// The reason, which the row keeps; asked if it is missing
    #[arg(long, value_name = "TEXT")]
    pub why: Option<String>,
    /// Your name; else that of the AWS session
    #[arg(long, value_name = "NAME")]
    pub by: Option<String>,
    /// Show what would happen, and change nothing
    #[arg(long)]
    pub dry_run: bool,
    /// Confirm the plan; on a live stack some commands also need --stack
    #[arg(long)]
    pub yes: bool,
}

/// A range of time.
#[derive(Debug, Clone, Default, Args)]
pub struct RangeArgs {
    /// 2h, 3d, "yesterday 22:00", 2026-03-03 or RFC 3339
    #[arg(long, value_name = "TIME")]
    pub since: Option<String>,
    /// As --since; now if it is missing
    #[arg(long, value_name = "TIME")]
    pub before: Option<String>,
}

#[derive(Debug, Subcommand)]
pub enum Command {
    /// Explain one order: state, money, stock, mails, and what to do
    #[command(
        after_help = "Examples:\n  till order 1047\n  till order fre_01K7… --for-customer\n  till order --email"
    )]
    Order(OrderArgs),
    /// List orders
    Orders(OrdersArgs),
    /// Say whether payments become orders, and what waits for a person
    Status(StatusArgs),
    /// Explain why an event or a mail is not done
    #[command(after_help = "Example:\n  till why fevt_01K7…")]
    Why {
        /// An event, a receipt, or any id of an order
        id: String,
    },
    /// List events that are not done
    Events(EventsArgs),
    /// Show, release, drop, replay or make events
    #[command(subcommand)]
    Event(EventCommand),
    /// Replay the events of a time range
    #[command(
        after_help = "Example:\n  till replay --since \"yesterday 22:00\" --before \"today 06:00\" --dry-run"
    )]
    Replay(ReplayArgs),
    /// Requeue the messages of a dead-letter queue
    Redrive(RedriveArgs),
    /// Show, preview or resend mails
    #[command(subcommand)]
    Mail(MailCommand),
    /// Show, count and map stock
    #[command(subcommand)]
    Stock(StockCommand),
    /// Show a customer's access and subscriptions
    Access {
        /// A customer or a subscription
        id: String,
    },
    /// Print the journal of a month or a day
    #[command(alias = "ledger")]
    Journal {
        /// A month such as 2026-03, or a day such as 2026-03-03
        period: String,
    },
    /// Print the invoices to be paid, by age
    Receivables,
    /// Print log lines as sentences
    Logs(LogsArgs),
    /// Follow the log
    Watch,
    /// Publish announcements again, for a system that lost them
    Announce(AnnounceArgs),
    /// Look for missed webhooks now
    Reconcile(WriteArgs),
    /// Requeue overdue work now
    Sweep(WriteArgs),
    /// Stop a function; its work waits
    Pause(FlowArgs),
    /// Let a function work again
    Resume(FlowArgs),
    /// Show or replace the providers' secrets
    #[command(subcommand)]
    Secrets(SecretsCommand),
    /// Export or erase a customer's data
    #[command(subcommand)]
    Customer(CustomerCommand),
    /// Check the stack, and name the cure of each failure
    Doctor(DoctorArgs),
    /// Set the stack up, step by step
    Setup(WriteArgs),
    /// Show, list, create or delete the provider's webhook endpoints
    #[command(subcommand)]
    Webhooks(WebhooksCommand),
    /// Make a page to pay on with the test card
    #[command(subcommand)]
    Checkout(CheckoutCommand),
    /// Print the line items of a checkout session, from Flex
    LineItems {
        /// The checkout session
        session: String,
    },
    /// Name the caller, the account and the stack
    Whoami,
    /// Print a completion script
    #[command(
        after_help = "Example:\n  till completions bash > ~/.local/share/bash-completion/completions/till"
    )]
    Completions {
        /// The shell
        shell: clap_complete::Shell,
    },
    /// Write a man page of each command into a folder
    #[command(after_help = "Example:\n  till man ~/.local/share/man/man1")]
    Man {
        /// The folder, which is made if it is missing
        dir: std::path::PathBuf,
    },
}

#[derive(Debug, Args)]
pub struct OrderArgs {
    /// Any id that leads to an order, or the merchant's reference
    #[arg(required_unless_present = "email")]
    pub id: Option<String>,
    /// Ask for the customer's address, and find the orders at the provider
    #[arg(long, conflicts_with = "id")]
    pub email: bool,
    /// Add the deliveries from the log
    #[arg(long)]
    pub logs: bool,
    /// Print a paragraph for the customer
    #[arg(long)]
    pub for_customer: bool,
}

#[derive(Debug, Args)]
pub struct OrdersArgs {
    #[command(flatten)]
    pub range: RangeArgs,
    /// Only this state, such as paid or `partly_refunded`
    #[arg(long)]
    pub state: Option<String>,
    /// Only orders with an open dispute
    #[arg(long)]
    pub disputed: bool,
    /// Only orders with missing units
    #[arg(long)]
    pub short: bool,
    /// Only orders with an undelivered mail
    #[arg(long)]
    pub mail_trouble: bool,
    /// Stop after this many orders, with the rest of the second
    #[arg(long, default_value_t = 50)]
    pub limit: usize,
    /// The most reads of the index: one for each day, and for each 100 orders
    #[arg(long, default_value_t = 100)]
    pub pages: usize,
}

#[derive(Debug, Args)]
pub struct StatusArgs {
    /// End with 0 even if something waits for a person
    #[arg(long)]
    pub exit_zero: bool,
}

#[derive(Debug, Args)]
pub struct EventsArgs {
    /// Events that wait for a person; this is the default
    #[arg(long)]
    pub parked: bool,
    /// Unfinished events that are older than fifteen minutes
    #[arg(long, conflicts_with = "parked")]
    pub stuck: bool,
    /// Only this type
    #[arg(long = "type", value_name = "TYPE")]
    pub event_type: Option<String>,
    /// Only this class of reason, such as `order_unknown`
    #[arg(long)]
    pub class: Option<String>,
    /// Print only ids, one a line
    #[arg(long)]
    pub ids: bool,
    /// The most events
    #[arg(long, default_value_t = 100)]
    pub limit: usize,
}

#[derive(Debug, Args)]
pub struct ReplayArgs {
    #[command(flatten)]
    pub range: RangeArgs,
    /// Only this type
    #[arg(long = "type", value_name = "TYPE")]
    pub event_type: Option<String>,
    /// Also events that wait for a person
    #[arg(long)]
    pub include_parked: bool,
    /// The most events
    #[arg(long, default_value_t = 100)]
    pub limit: usize,
    /// The most events a second
    #[arg(long, default_value_t = PACE)]
    pub pace: std::num::NonZeroU32,
    /// The most pages of the table to read
    #[arg(long, default_value_t = 1000)]
    pub pages: usize,
    /// Continue after this event
    #[arg(long, value_name = "EVENT")]
    pub after: Option<String>,
    #[command(flatten)]
    pub write: WriteArgs,
}

#[derive(Debug, Args)]
pub struct AnnounceArgs {
    /// The changes from this time on
    #[arg(long, value_name = "TIME")]
    pub since: String,
    /// The most batches
    #[arg(long, default_value_t = 1000)]
    pub limit: usize,
    /// Continue after this batch
    #[arg(long, value_name = "BATCH")]
    pub after: Option<String>,
    #[command(flatten)]
    pub write: WriteArgs,
}

#[derive(Debug, Args)]
pub struct RedriveArgs {
    pub queue: Hop,
    /// Only messages that name this event or receipt; may be repeated
    #[arg(long, value_name = "ID")]
    pub only: Vec<String>,
    /// The most messages
    #[arg(long, default_value_t = 100)]
    pub limit: usize,
    /// The most messages a second
    #[arg(long, default_value_t = PACE)]
    pub pace: std::num::NonZeroU32,
    #[command(flatten)]
    pub write: WriteArgs,
}

#[derive(Debug, Subcommand)]
pub enum MailCommand {
    /// List mails that are not done
    List {
        /// Only this status: unsent, leased, held or failed
        #[arg(long)]
        status: Option<String>,
        /// The most mails of each status
        #[arg(long, default_value_t = 100)]
        limit: usize,
    },
    /// Show one mail with all feedback
    Show { id: String },
    /// Print the mail as it would be sent now, with the built-in templates
    Preview {
        id: String,
        /// Print the HTML part
        #[arg(long)]
        html: bool,
    },
    /// Send a mail again: the customer gets another one
    Resend(MailArgs),
    /// Close a held or failed mail: it is not sent
    Close(MailArgs),
    /// Replace the address of an order; the new one is asked, or read from stdin
    CorrectAddress {
        order: String,
        #[command(flatten)]
        write: WriteArgs,
    },
    /// End the suppression of an address; it is asked, or read from stdin
    ClearAddress(ClearArgs),
}

#[derive(Debug, Args)]
pub struct MailArgs {
    pub id: String,
    /// The version that you saw
    #[arg(long)]
    pub version: Option<u64>,
    #[command(flatten)]
    pub write: WriteArgs,
}

#[derive(Debug, Args)]
pub struct ClearArgs {
    /// Clear the address of this order
    pub order: Option<String>,
    /// Also remove it from SES's list for the account
    #[arg(long)]
    pub ses: bool,
    /// The customer asked for mail after a complaint
    #[arg(long)]
    pub customer_asked: bool,
    #[command(flatten)]
    pub write: WriteArgs,
}

#[derive(Debug, Args)]
pub struct LogsArgs {
    /// Only lines that name this id
    pub id: Option<String>,
    /// Only lines of this function; may be repeated
    #[arg(long)]
    pub function: Vec<Function>,
    /// Lines with this outcome, such as parked; may be repeated
    #[arg(long, value_name = "WORD")]
    pub outcome: Vec<String>,
    /// Lines on which this field is true, such as shortfall; may be repeated
    #[arg(long, value_name = "NAME")]
    pub field: Vec<String>,
    /// The gateway's log instead: requests that were answered with a 4xx or a 5xx
    #[arg(long, conflicts_with_all = ["function", "outcome", "field"])]
    pub gateway: bool,
    #[command(flatten)]
    pub range: RangeArgs,
    /// The most lines
    #[arg(long, default_value_t = 100)]
    pub limit: usize,
}

#[derive(Debug, Args)]
pub struct FlowArgs {
    pub function: Function,
    #[command(flatten)]
    pub write: WriteArgs,
}

#[derive(Debug, Subcommand)]
pub enum SecretsCommand {
    /// Show which secrets there are, by fingerprint
    Status,
    /// Replace an API key or the webhook secrets; the value is asked, or read from stdin
    Put {
        #[arg(value_enum)]
        kind: SecretKind,
        #[arg(long, default_value = "flex")]
        provider: String,
        #[command(flatten)]
        write: WriteArgs,
    },
    /// Add a new webhook secret beside the old one, or end the rotation
    Rotate {
        #[arg(long, default_value = "flex")]
        provider: String,
        /// Remove the old secret: deliveries with the new one have come
        #[arg(long)]
        finish: bool,
        /// Finish although the newest delivery was signed by the old secret
        #[arg(long, requires = "finish")]
        anyway: bool,
        #[command(flatten)]
        write: WriteArgs,
    },
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum SecretKind {
    ApiKey,
    Webhook,
}

#[derive(Debug, Subcommand)]
pub enum CustomerCommand {
    /// Print everything that the tables hold about a customer, for the customer
    Export {
        /// A customer, or with --guest an order
        id: String,
        /// The buyer of one order, without a customer id
        #[arg(long)]
        guest: bool,
    },
    /// Erase a customer's personal data; ids and amounts stay
    Erase {
        id: String,
        #[arg(long)]
        guest: bool,
        #[command(flatten)]
        write: WriteArgs,
    },
}

#[derive(Debug, Args)]
pub struct DoctorArgs {
    /// Only these checks or groups
    pub checks: Vec<String>,
    /// Also checks that take long or leave a trace
    #[arg(long)]
    pub deep: bool,
    /// Offer the harmless fixes, one by one, and check again
    #[arg(long)]
    pub fix: bool,
    /// Confirm all fixes
    #[arg(long, requires = "fix")]
    pub yes: bool,
    /// End with 4 from this severity on
    #[arg(long, value_name = "SEVERITY", default_value = "fail")]
    pub fail_on: FailOn,
}

/// The severity of a finding.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum FailOn {
    Fail,
    Warn,
}

#[derive(Debug, Subcommand)]
pub enum WebhooksCommand {
    /// Print the URL to register, and the last delivery
    Show,
    /// Print the event types to select, one a line
    Types {
        #[arg(long, default_value = "flex")]
        provider: String,
        /// Also types that are acknowledged without effect
        #[arg(long)]
        all: bool,
    },
    /// Register the stack's URL through the provider's API, and store the signing secret
    Create {
        #[arg(long, default_value = "flex")]
        provider: String,
        #[command(flatten)]
        write: WriteArgs,
    },
    /// List the endpoints that Flint knows; Flex has no list
    List,
    /// Delete an endpoint through the provider's API: nothing is delivered to it any more
    Delete {
        /// The provider's id of the endpoint
        id: String,
        #[arg(long, default_value = "flex")]
        provider: String,
        #[command(flatten)]
        write: WriteArgs,
    },
    /// Replace the signing secret of an endpoint, step by step: run it again until it says that it is over
    Rotate(RotateArgs),
    /// Post a signed event without effect to the stack, and wait until it is stored
    Test {
        #[arg(long, default_value = "flex")]
        provider: String,
    },
}

#[derive(Debug, Args)]
pub struct RotateArgs {
    #[arg(long, default_value = "flex")]
    pub provider: String,
    /// The endpoint at Flint, if several have the stack's URL
    #[arg(long, value_name = "ID")]
    pub endpoint: Option<String>,
    /// Remove the old secret although no delivery was verified by the new one alone
    #[arg(long)]
    pub anyway: bool,
    #[command(flatten)]
    pub write: WriteArgs,
}

#[derive(Debug, Subcommand)]
pub enum CheckoutCommand {
    /// Create a checkout session at Flex, in test mode only
    #[command(
        after_help = "Example:\n  till checkout create --price fprice_… --quantity 2 --reference 1047"
    )]
    Create {
        /// A price of Flex
        #[arg(long)]
        price: String,
        #[arg(long, default_value_t = 1)]
        quantity: u32,
        /// Your order number
        #[arg(long)]
        reference: Option<String>,
        /// The page to which the shopper returns
        #[arg(long, default_value = "https://example.com/thanks")]
        success_url: String,
    },
}
