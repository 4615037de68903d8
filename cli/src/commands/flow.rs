//! `till pause` and `resume`: stops and starts a function.

use super::write::agreed;
use crate::{
    Context,
    answers::{FlowChange, Pause, Resume},
    args::FlowArgs,
    backend::{Backend, Flow, Function},
    danger::Danger,
    error::Error,
    output::Answer,
    style::wrapped,
    time,
};
use jiff::{Timestamp, ToSpan};

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

/// Pauses a function, or resumes it.
pub(super) async fn set_flow<B: Backend>(
    on: &Context<'_, B>,
    args: &FlowArgs,
    runs: bool,
) -> Result<Answer, Error> {
    let platform = on.backend.platform();
    let flow = platform.flow(args.function).await?;
    let is_so = flow == if runs { Flow::Running } else { Flow::Paused };
    let plan = plan(on, args.function, runs);
    let changes = !is_so && !args.write.dry_run;
    if changes {
        let danger = if runs {
            Danger::Harmless
        } else {
            Danger::Irreversible
        };
        agreed(on, danger, &args.write, &plan).await?;
        platform.set_flow(args.function, runs).await?;
    }
    answer(on, args, runs, is_so, changes, &plan)
}

fn plan<B>(on: &Context<'_, B>, function: Function, runs: bool) -> String {
    let name = function.name();
    if runs {
        return format!("{name} works again; what waits is worked off.");
    }
    let (until, consequence) = deadline(function, on.now);
    let until = until.map_or_else(String::new, |until| {
        format!("\nResume before {}.", time::full(until, &on.stack.zone))
    });
    format!("{name} stops. {consequence}{until}")
}

fn answer<B>(
    on: &Context<'_, B>,
    args: &FlowArgs,
    runs: bool,
    is_so: bool,
    changes: bool,
    plan: &str,
) -> Result<Answer, Error> {
    let name = args.function.name();
    let word = if runs { "running" } else { "paused" };
    let (until, _) = deadline(args.function, on.now);
    let data = FlowChange {
        function: name,
        dry_run: args.write.dry_run,
        changed: changes,
        flow: if changes || is_so { word } else { "unchanged" },
        resume_before: until.filter(|_| !runs),
    };
    let end = match (is_so, changes) {
        (true, _) => format!("{name} is {word} already.\n"),
        (false, true) if runs => format!("{name} is running.\n"),
        (false, true) => format!("{name} is paused. To resume:  till resume {name}\n"),
        (false, false) => "Nothing changed.\n".to_owned(),
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
    if runs {
        Answer::of(&Resume(data), text)
    } else {
        Answer::of(&Pause(data), text)
    }
}
