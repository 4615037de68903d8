//! The arguments of `till event`.

use super::WriteArgs;
use clap::{Args, Subcommand, ValueEnum};
use std::path::PathBuf;

#[derive(Debug, Subcommand)]
pub enum EventCommand {
    /// Show an event without its body
    Show { id: String },
    /// Write the signed bytes to a file; they hold personal data, and the event keeps who read them
    Body {
        id: String,
        /// The file; without it --reveal prints the bytes
        #[arg(long, value_name = "FILE")]
        out: Option<PathBuf>,
        #[command(flatten)]
        write: WriteArgs,
    },
    /// Check the signature of a delivery with the stack's secrets
    #[command(
        after_help = "The file is an event of API Gateway, as `till event new TYPE --as api-gateway` prints it."
    )]
    Verify { file: PathBuf },
    /// Decide parked events again, after their reason is gone
    #[command(
        after_help = "Examples:\n  till event release fevt_01K7… --why \"the checkout is complete\"\n  till events --class order_unknown --ids | till event release - --why \"orders have come\""
    )]
    Release {
        /// Events, or - for ids from stdin
        #[arg(required = true)]
        ids: Vec<String>,
        #[command(flatten)]
        write: WriteArgs,
    },
    /// Decide events in any state again
    Replay {
        #[arg(required = true)]
        ids: Vec<String>,
        #[command(flatten)]
        write: WriteArgs,
    },
    /// End parked or stored events without an effect
    Drop {
        #[arg(required = true)]
        ids: Vec<String>,
        #[command(flatten)]
        write: WriteArgs,
    },
    /// Print a sample event, ready for `sam local invoke -e -`
    #[command(
        after_help = "Examples:\n  till event new refund.created --set object.refund.amount=500\n  till event new checkout.session.completed --as api-gateway --sign | sam local invoke IntakeFunction -e -"
    )]
    New(NewArgs),
    /// Post a signed sample to the stack; never to a live one
    Send(SendArgs),
}

/// The envelope of the sample.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, ValueEnum)]
pub enum Wrapping {
    /// The body alone.
    #[default]
    Raw,
    /// An HTTP API's event.
    ApiGateway,
    /// A REST API's event.
    Rest,
    /// A batch of one message for fulfillment.
    Sqs,
}

#[derive(Debug, Args)]
pub struct NewArgs {
    /// An event type, or `list`
    pub event_type: String,
    #[arg(long, default_value = "flex")]
    pub provider: String,
    #[arg(long = "as", value_enum, default_value = "raw")]
    pub wrapping: Wrapping,
    /// Sign it; the secret is the local stack's, or asked, or read from stdin
    #[arg(long)]
    pub sign: bool,
    /// Set a member, such as object.refund.amount=500; may be repeated
    #[arg(long, value_name = "PATH=VALUE")]
    pub set: Vec<String>,
    /// The time of the event
    #[arg(long, value_name = "TIME")]
    pub at: Option<String>,
    /// Another event id; else that of the sample
    #[arg(long)]
    pub id: Option<String>,
}

#[derive(Debug, Args)]
pub struct SendArgs {
    /// Event types; may be several
    #[arg(required = true)]
    pub types: Vec<String>,
    #[arg(long, default_value = "flex")]
    pub provider: String,
    #[arg(long, value_name = "PATH=VALUE")]
    pub set: Vec<String>,
    #[arg(long, value_name = "TIME")]
    pub at: Option<String>,
    /// Send each this many times
    #[arg(long, default_value_t = 1)]
    pub times: usize,
    /// Send in another order, made from this number
    #[arg(long, value_name = "SEED", num_args = 0..=1, default_missing_value = "1")]
    pub shuffle: Option<u64>,
    /// Give each event a new id
    #[arg(long)]
    pub fresh: bool,
}
