//! `till reconcile` and `sweep`: run a function now.

use super::{
    logs::details,
    status::lines_of,
    write::{confirmed, note, signed},
};
use crate::{
    Context,
    answers::{Reconcile, Run, Sweep},
    args::WriteArgs,
    backend::{Backend, Function, LogLine},
    danger::Danger,
    error::Error,
    output::Answer,
};
use jiff::ToSpan;
use serde_json::Value;

/// How long the log may take to show the line of a run.
const LOG_TAKES_SECONDS: u64 = 15;

/// Runs sweep or reconcile.
pub(super) async fn run<B: Backend>(
    on: &Context<'_, B>,
    function: Function,
    args: &WriteArgs,
) -> Result<Answer, Error> {
    let note = note(on, args).await?;
    let name = function.name();
    let plan = format!("Runs {name} now. It repeats no order, stock movement or mail.");
    if args.dry_run {
        let text = format!("{}\nNothing changed.\n", signed(&plan, &note));
        return answer(function, true, None, text);
    }
    confirmed(on, Danger::Harmless, args, &plan, &note)?;
    let line = invoked(on, function).await?;
    let text = said(function, line.as_ref());
    answer(function, false, line.map(|line| line.fields), text)
}

/// Runs sweep or reconcile without a question, and says what the log says.
pub(crate) async fn run_function<B: Backend>(
    on: &Context<'_, B>,
    function: Function,
) -> Result<String, Error> {
    let line = invoked(on, function).await?;
    Ok(said(function, line.as_ref()).trim_end().to_owned())
}

async fn invoked<B: Backend>(
    on: &Context<'_, B>,
    function: Function,
) -> Result<Option<LogLine>, Error> {
    on.terminal
        .progress(Some(&format!("{} runs", function.name())));
    let invoked = on.backend.platform().invoke(function).await;
    on.terminal.progress(None);
    invoked?;
    line_of_run(on, function).await
}

fn said(function: Function, line: Option<&LogLine>) -> String {
    let name = function.name();
    match line {
        Some(line) => format!("{name} has run: {}\n", details(line).join(" ")),
        None => format!(
            "{name} has run. The log does not show its line yet: till logs --function {name}\n"
        ),
    }
}

fn answer(
    function: Function,
    dry_run: bool,
    line: Option<Value>,
    text: String,
) -> Result<Answer, Error> {
    let run = Run {
        function: function.name(),
        dry_run,
        line,
    };
    if function == Function::Sweep {
        Answer::of(&Sweep(run), text)
    } else {
        Answer::of(&Reconcile(run), text)
    }
}

/// The line that a run of sweep or reconcile leaves in the log, if it comes in time.
async fn line_of_run<B: Backend>(
    on: &Context<'_, B>,
    function: Function,
) -> Result<Option<LogLine>, Error> {
    let outcome = match function {
        Function::Sweep => "swept",
        _ => "reconciled",
    };
    let time = on.now - 2.seconds()..on.now + 15.minutes();
    for _ in 0..LOG_TAKES_SECONDS / 3 {
        let mut lines = lines_of(on, Some(function.name()), &[outcome], &time).await?;
        if let Some(line) = lines.pop() {
            return Ok(Some(line));
        }
        on.backend.platform().wait(3).await?;
    }
    Ok(None)
}
