//! `till reconcile` and `sweep`, which run a function now; `pause` and `resume`, which stop and start one.

use super::write::{confirmed, note};
use crate::{
    Context,
    args::{FlowArgs, WriteArgs},
    backend::{Backend, Flow, Function, LogLine, LogQuery},
    danger::Danger,
    error::{Error, Exit},
    output::Answer,
    style::wrapped,
    time,
};
use jiff::{Timestamp, ToSpan};
use serde_json::{Value, json};
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
    let schema = if function == Function::Sweep {
        "till.sweep/1"
    } else {
        "till.reconcile/1"
    };
    let note = note(on, args).await?;
    let plan = format!(
        "Runs {} now. It repeats no order, stock movement or mail.\nBy {}: {}",
        function.name(),
        note.by(),
        note.why()
    );
    if args.dry_run {
        let data = json!({"function": function.name(), "dry_run": true, "line": Value::Null});
        return Answer::new(schema, &data, format!("{plan}\nNothing changed.\n"));
    }
    confirmed(on, Danger::Harmless, args, &plan)?;
    let platform = on.backend.platform();
    on.terminal
        .progress(Some(&format!("{} runs", function.name())));
    let invoked = platform.invoke(function).await;
    on.terminal.progress(None);
    invoked?;
    let line = line_of_run(on, function, outcome).await?;
    let data = json!({
        "function": function.name(), "dry_run": false,
        "line": line.as_ref().map(|line| line.fields.clone()),
    });
    let text = match &line {
        Some(line) => format!("{} has run: {}\n", function.name(), fields(line)),
        None => format!(
            "{} has run. The log does not show its line yet: till logs --function {}\n",
            function.name(),
            function.name()
        ),
    };
    Answer::new(schema, &data, text)
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
            line.fields.get("function").and_then(Value::as_str) == Some(function.name())
                && line.fields.get("outcome").and_then(Value::as_str) == Some(outcome)
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

/// How long the work of a paused function keeps, and what happens then.
fn deadline(function: Function, now: Timestamp) -> (Option<Timestamp>, &'static str) {
    match function {
        Function::Intake => (
            Some(now + 28.hours()),
            "The provider redelivers for about 28 hours; reconcile recovers most of what it gives up.",
        ),
        Function::Fulfillment | Function::Receipts => (
            Some(now + (4 * 24).hours()),
            "After four days SQS deletes waiting messages; sweep requeues their rows within a day.",
        ),
        Function::Feedback => (
            Some(now + (14 * 24).hours()),
            "After fourteen days reports of SES are lost, and with them bounces.",
        ),
        Function::Sweep => (None, "Lost messages are not requeued while it is paused."),
        Function::Announcements => (
            None,
            "Announcements wait in their table, and are published once it works again.",
        ),
        Function::Reconcile => (
            None,
            "Missed webhooks are not recovered while it is paused.",
        ),
    }
}

pub(super) async fn pause<B: Backend>(
    on: &Context<'_, B>,
    args: &FlowArgs,
) -> Result<Answer, Error> {
    set_flow(on, args, false).await
}

pub(super) async fn resume<B: Backend>(
    on: &Context<'_, B>,
    args: &FlowArgs,
) -> Result<Answer, Error> {
    set_flow(on, args, true).await
}

async fn set_flow<B: Backend>(
    on: &Context<'_, B>,
    args: &FlowArgs,
    runs: bool,
) -> Result<Answer, Error> {
    let (function, name) = (args.function, args.function.name());
    let platform = on.backend.platform();
    let flow = platform.flow(function).await?;
    let is_so = flow == if runs { Flow::Running } else { Flow::Paused };
    let (until, consequence) = deadline(function, on.now);
    let mut plan = if runs {
        format!("{name} works again; what waits is worked off.")
    } else {
        format!("{name} stops. {consequence}")
    };
    if let (false, Some(until)) = (runs, until) {
        let _ = write!(
            plan,
            "\nResume before {}.",
            time::full(until, &on.stack.zone)
        );
    }
    let changes = !is_so && !args.write.dry_run;
    if changes {
        let note = note(on, &args.write).await?;
        let danger = if runs {
            Danger::Harmless
        } else {
            Danger::Irreversible
        };
        confirmed(
            on,
            danger,
            &args.write,
            &format!("{plan}\nBy {}: {}", note.by(), note.why()),
        )?;
        platform.set_flow(function, runs).await?;
    }
    let word = if runs { "running" } else { "paused" };
    let data = json!({
        "function": name, "dry_run": args.write.dry_run, "changed": changes, "flow": if changes || is_so { word } else { "unchanged" },
        "resume_before": until.filter(|_| !runs),
    });
    let end = match (is_so, changes) {
        (true, _) => format!("{name} is {word} already.\n"),
        (false, true) if runs => format!("{name} is running.\n"),
        (false, true) => format!("{name} is paused. To resume:  till resume {name}\n"),
        (false, false) => "Nothing changed.\n".to_owned(),
    };
    let schema = if runs {
        "till.resume/1"
    } else {
        "till.pause/1"
    };
    let plan: Vec<String> = plan
        .lines()
        .map(|line| wrapped(line, on.terminal.width(), 0))
        .collect();
    let text = if is_so {
        end
    } else {
        format!("{}\n{end}", plan.join("\n"))
    };
    Ok(Answer::new(schema, &data, text)?.ending(Exit::Done))
}
