//! `till reconcile` and `sweep`: run a function now.

use super::write::{confirmed, note};
use crate::{
    Context,
    answers::{Reconcile, Run, Sweep},
    args::WriteArgs,
    backend::{Backend, Function, LogLine, LogQuery},
    danger::Danger,
    error::Error,
    output::Answer,
};
use jiff::ToSpan;
use serde_json::Value;
use std::fmt::Write as _;

pub(super) async fn reconcile<B: Backend>(
    on: &Context<'_, B>,
    args: &WriteArgs,
) -> Result<Answer, Error> {
    run(on, Function::Reconcile, "reconciled", args).await
}

pub(super) async fn sweep<B: Backend>(
    on: &Context<'_, B>,
    args: &WriteArgs,
) -> Result<Answer, Error> {
    run(on, Function::Sweep, "swept", args).await
}

/// How long the log may take to show the line of a run.
const LOG_TAKES_SECONDS: u64 = 15;

async fn run<B: Backend>(
    on: &Context<'_, B>,
    function: Function,
    outcome: &str,
    args: &WriteArgs,
) -> Result<Answer, Error> {
    let note = note(on, args).await?;
    let plan = format!(
        "Runs {} now. It repeats no order, stock movement or mail.\nBy {}: {}",
        function.name(),
        note.by(),
        note.why()
    );
    if args.dry_run {
        return answer(function, true, None, format!("{plan}\nNothing changed.\n"));
    }
    confirmed(on, Danger::Harmless, args, &plan)?;
    let line = invoked(on, function, outcome).await?;
    let text = said(function, line.as_ref());
    answer(function, false, line.map(|line| line.fields), text)
}

/// Runs sweep or reconcile without a question, and says what the log says.
pub(crate) async fn run_function<B: Backend>(
    on: &Context<'_, B>,
    function: Function,
) -> Result<String, Error> {
    let outcome = if function == Function::Sweep {
        "swept"
    } else {
        "reconciled"
    };
    let line = invoked(on, function, outcome).await?;
    Ok(said(function, line.as_ref()).trim_end().to_owned())
}

async fn invoked<B: Backend>(
    on: &Context<'_, B>,
    function: Function,
    outcome: &str,
) -> Result<Option<LogLine>, Error> {
    on.terminal
        .progress(Some(&format!("{} runs", function.name())));
    let invoked = on.backend.platform().invoke(function).await;
    on.terminal.progress(None);
    invoked?;
    line_of_run(on, function, outcome).await
}

fn said(function: Function, line: Option<&LogLine>) -> String {
    match line {
        Some(line) => format!("{} has run: {}\n", function.name(), fields(line)),
        None => format!(
            "{} has run. The log does not show its line yet: till logs --function {}\n",
            function.name(),
            function.name()
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

async fn line_of_run<B: Backend>(
    on: &Context<'_, B>,
    function: Function,
    outcome: &str,
) -> Result<Option<LogLine>, Error> {
    let platform = on.backend.platform();
    for _ in 0..LOG_TAKES_SECONDS / 3 {
        let query = LogQuery {
            gateway: false,
            pattern: format!(
                "{{ ($.function = \"{}\") && ($.outcome = \"{outcome}\") }}",
                function.name()
            ),
            since: on.now - 2.seconds(),
            before: on.now + 15.minutes(),
            most: 100,
        };
        let lines = platform.log_lines(&query).await?;
        let is_it = |line: &LogLine| {
            line.text("function") == Some(function.name()) && line.text("outcome") == Some(outcome)
        };
        if let Some(line) = lines.into_iter().rfind(is_it) {
            return Ok(Some(line));
        }
        platform.wait(3).await?;
    }
    Ok(None)
}

/// The numbers of a line, without those that say nothing.
fn fields(line: &LogLine) -> String {
    let mut text = String::new();
    for (name, value) in line.fields.as_object().into_iter().flatten() {
        let is_quiet = [
            "function",
            "outcome",
            "message",
            "level",
            "timestamp",
            "duration_ms",
        ]
        .contains(&&**name);
        if is_quiet || value.is_null() || *value == Value::Bool(false) {
            continue;
        }
        let _ = write!(text, "{name}={value} ");
    }
    text.trim_end().to_owned()
}
