//! `till`: parses the arguments, finds the stack, runs the command and prints the answer.

use clap::Parser;
use jiff::Timestamp;
use std::process::ExitCode;
use till::{
    Context,
    args::{Cli, Color, Command, EventCommand},
    backend::Stack,
    error::Error,
    live::{Found, Live, find},
    manual,
    output::{self, Answer},
    run, samples,
    terminal::{Console, Interrupt},
};

#[tokio::main]
async fn main() -> ExitCode {
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        Err(error) => return unparsed(&error),
    };
    match cli.options.color {
        Color::Auto => {}
        Color::Always => anstream::ColorChoice::Always.write_global(),
        Color::Never => anstream::ColorChoice::Never.write_global(),
    }
    let interrupt = Interrupt::default();
    tokio::spawn(on_ctrl_c(interrupt.clone()));
    let terminal = Console::new(interrupt, cli.options.quiet || cli.options.json);
    let now = Timestamp::now();
    match Box::pin(answered(&cli, &terminal, now)).await {
        Ok((answer, stack)) => {
            output::print(&answer, stack.as_ref(), cli.options.json, now);
            ExitCode::from(answer.exit.code())
        }
        Err(error) => {
            output::print_error(&error, cli.options.json);
            ExitCode::from(error.exit.code())
        }
    }
}

/// The end of a command line that is not understood, or asks for help.
fn unparsed(error: &clap::Error) -> ExitCode {
    // Nothing was parsed, so the words themselves say whether a script reads this.
    let wants_json = std::env::args_os()
        .take_while(|word| word != "--")
        .any(|word| word == "--json");
    if !error.use_stderr() || !wants_json {
        error.exit();
    }
    let text = error.render().to_string();
    // The paragraph that says what is wrong; usage and hints follow it.
    let what: Vec<&str> = text
        .lines()
        .map(str::trim)
        .take_while(|line| !line.is_empty())
        .collect();
    let what = what.join(" ");
    let error = Error::usage(what.trim_start_matches("error: ")).cured_by("till --help");
    output::print_error(&error, true);
    ExitCode::from(error.exit.code())
}

/// The answer, and the stack that it is about.
async fn answered(
    cli: &Cli,
    terminal: &Console,
    now: Timestamp,
) -> Result<(Answer, Option<Stack>), Error> {
    if let Some(answer) = manual::command(&cli.command) {
        return Ok((answer?, None));
    }
    // A sample needs a stack only for the secret of the local one.
    if let Command::Event(EventCommand::New(args)) = &cli.command
        && !(cli.options.local && args.sign)
    {
        let answer = samples::command(args, terminal, now, None, None)?;
        return Ok((answer, None));
    }
    let Found { config, stack } = Box::pin(find(&cli.options)).await?;
    let backend = Live::new(&config, &stack);
    let on = Context {
        backend: &backend,
        stack: &stack,
        terminal,
        options: &cli.options,
        now,
    };
    let answer = run(cli, &on).await?;
    Ok((answer, Some(stack)))
}

/// The first Ctrl-C lets the current item finish, the second ends the process.
async fn on_ctrl_c(interrupt: Interrupt) {
    while tokio::signal::ctrl_c().await.is_ok() {
        if interrupt.set() {
            std::process::exit(130);
        }
        eprintln!("stopping after the current item; press Ctrl-C again to stop at once");
    }
}
