//! The commands, one file for each noun.

mod access;
mod announce;
mod checkout;
mod customer;
mod event;
mod event_write;
mod events;
mod flow;
mod logs;
mod mail;
mod mail_write;
mod order;
mod orders;
mod redrive;
mod replay;
mod reports;
mod run_now;
mod secrets;
mod send;
mod setup;
mod status;
mod stock;
mod stock_file;
mod stock_history;
mod stock_map;
mod stock_plan;
mod stock_write;
mod verify;
mod webhook_rotate;
mod webhook_test;
mod webhooks;
mod whoami;
mod write;

pub(crate) use run_now::run_function;
pub(crate) use secrets::{api_key, check_key, name as secret_name, webhook_secrets};
pub(crate) use status::{DELIVERED, last as last_line, lines_of, ringing as ringing_alarms};
pub(crate) use webhook_test::test as test_webhook;

use crate::{
    Context,
    args::Command,
    backend::{Backend, Function},
    error::Error,
    manual,
    output::Answer,
};

/// Runs a command.
pub async fn run<B: Backend>(command: &Command, on: &Context<'_, B>) -> Result<Answer, Error> {
    match command {
        Command::Order(args) => order::order(on, args).await,
        Command::Orders(args) => orders::orders(on, args).await,
        Command::Status(args) => status::status(on, args).await,
        Command::Why { id } => event::why(on, id).await,
        Command::Events(args) => events::events(on, args).await,
        Command::Event(command) => event::run(on, command).await,
        Command::Replay(args) => replay::replay(on, args).await,
        Command::Redrive(args) => redrive::redrive(on, args).await,
        Command::Mail(command) => mail::run(on, command).await,
        Command::Stock(command) => stock::run(on, command).await,
        Command::Access { id } => access::access(on, id).await,
        Command::Journal { period } => reports::journal(on, period).await,
        Command::Receivables => reports::receivables(on).await,
        Command::Logs(args) => logs::logs(on, args).await,
        Command::Watch => logs::watch(on).await,
        Command::Announce(args) => announce::again(on, args).await,
        Command::Reconcile(args) => run_now::run(on, Function::Reconcile, args).await,
        Command::Sweep(args) => run_now::run(on, Function::Sweep, args).await,
        Command::Pause(args) => flow::set_flow(on, args, false).await,
        Command::Resume(args) => flow::set_flow(on, args, true).await,
        Command::Secrets(command) => secrets::run(on, command).await,
        Command::Customer(command) => customer::run(on, command).await,
        Command::Whoami => whoami::whoami(on).await,
        Command::Doctor(args) => crate::doctor::doctor(on, args).await,
        Command::Setup(args) => setup::setup(on, args).await,
        Command::Webhooks(command) => webhooks::run(on, command).await,
        Command::Checkout(command) => checkout::create(on, command).await,
        Command::LineItems { session } => checkout::line_items(on, session).await,
        Command::Completions { shell } => manual::completions(*shell),
        Command::Man { dir } => manual::man(dir),
    }
}
