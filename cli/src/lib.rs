//! `till`: the command line of a stack, for the merchant's engineers and for support.
//!
//! A command is a function over a [`backend::Backend`]: it reads and writes through ports, and returns an
//! [`output::Answer`] with data and text. Arguments are parsed in [`args`]; only [`output`] writes to stdout. Writes are
//! functions of `shared/operator`; [`danger`] decides which of them need a confirmation.

#![expect(
    clippy::format_push_string,
    clippy::format_collect,
    reason = "texts of some lines: a `write!` whose result is ignored says less"
)]

pub mod answers;
pub mod args;
pub mod backend;
pub mod commands;
pub mod danger;
pub mod doctor;
pub mod error;
pub mod live;
pub mod manual;
pub mod mask;
pub mod order;
pub mod output;
pub mod samples;
pub mod style;
pub mod table;
pub mod terminal;
pub mod time;
pub mod why;

use args::Cli;
use backend::{Backend, Stack};
use error::Error;
use jiff::Timestamp;
use output::Answer;
use terminal::Terminal;

/// Everything that a command needs beside its own arguments.
#[derive(Debug)]
pub struct Context<'a, B> {
    pub backend: &'a B,
    pub stack: &'a Stack,
    pub terminal: &'a dyn Terminal,
    pub options: &'a args::Options,
    pub now: Timestamp,
}

/// Runs a command that needs a stack.
pub async fn run<B: Backend>(cli: &Cli, on: &Context<'_, B>) -> Result<Answer, Error> {
    // On the heap: the future has room for every command.
    Box::pin(commands::run(&cli.command, on)).await
}
