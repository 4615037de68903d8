//! `till redrive`: the messages of a dead-letter queue.

use super::write::{confirmed, exit, next_text, note, word};
use crate::{
    Context,
    answers::Redrive,
    args::{PACE, RedriveArgs},
    backend::{Backend, Hop},
    danger::Danger,
    error::Error,
    output::Answer,
};
use domain::{
    delivery::job::{FulfillmentJob, Job, ReceiptJob},
    ports::Queue,
    values::outcome::RetryableError,
};
use operator::{
    pace::Pace,
    redrive::{Bounds, Redriven, redrive_until},
};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::{borrow::Cow, fmt::Write as _};

/// More messages at once are a bulk action.
const FEW: u64 = 10;

/// A report of SES about a mail, moved unchanged.
#[derive(Debug, Serialize, Deserialize)]
#[serde(try_from = "Value")]
struct Report(Value);

impl TryFrom<Value> for Report {
    type Error = &'static str;

    fn try_from(value: Value) -> Result<Self, Self::Error> {
        let is_report = value.get("mail").is_some_and(Value::is_object);
        if is_report {
            Ok(Self(value))
        } else {
            Err("no report of SES")
        }
    }
}

impl Job for Report {
    /// The receipt that the mail's tag names.
    fn subject(&self) -> Cow<'_, str> {
        let tag = self
            .0
            .pointer("/mail/tags/receipt_id/0")
            .and_then(Value::as_str);
        let id = tag.and_then(domain::receipt::feedback::tagged_receipt);
        id.map_or(Cow::Borrowed("a report without a receipt"), |id| {
            Cow::Owned(id.to_string())
        })
    }
}

/// Feedback's queue.
struct Reports<'a, B>(&'a B);

impl<B: Backend> Queue<Report> for Reports<'_, B> {
    async fn send(&self, report: &Report) -> Result<(), RetryableError> {
        self.0.send_report(&report.0.to_string()).await
    }
}

pub(super) async fn redrive<B: Backend>(
    on: &Context<'_, B>,
    args: &RedriveArgs,
) -> Result<Answer, Error> {
    let note = note(on, &args.write).await?;
    let mut bounds = Bounds {
        dry_run: true,
        messages: args.limit,
        only: (!args.only.is_empty()).then(|| args.only.iter().cloned().collect()),
    };
    let planned = run(on, args, &bounds).await;
    if args.write.dry_run || planned.depth == Some(0) {
        return answer(on, args, &planned);
    }
    let depth = planned.depth.unwrap_or(u64::MAX);
    let is_bulk = depth > FEW && args.limit as u64 > FEW && args.only.is_empty();
    let danger = if is_bulk {
        Danger::Bulk
    } else {
        Danger::Harmless
    };
    let plan = format!("{planned}\nEach message gets five more tries. Fix its cause first.");
    confirmed(on, danger, &args.write, &plan, &note)?;
    bounds.dry_run = false;
    let done = run(on, args, &bounds).await;
    answer(on, args, &done)
}

async fn run<B: Backend>(on: &Context<'_, B>, args: &RedriveArgs, bounds: &Bounds) -> Redriven {
    let letters = on.backend.letters(args.queue);
    let store = on.backend.store();
    let mut pace = Pace::per_second(args.pace);
    let mut is_over = |so_far: &Redriven| {
        on.terminal
            .progress(Some(&format!("{} messages", so_far.moved)));
        on.terminal.is_interrupted()
    };
    let over = &mut is_over;
    let done = match args.queue {
        Hop::Fulfillment => {
            redrive_until::<FulfillmentJob>(letters, store, bounds, &mut pace, over).await
        }
        Hop::Receipts => redrive_until::<ReceiptJob>(letters, store, bounds, &mut pace, over).await,
        Hop::Feedback => {
            let reports = Reports(on.backend);
            redrive_until::<Report>(letters, &reports, bounds, &mut pace, over).await
        }
    };
    on.terminal.progress(None);
    done
}

/// The command that runs the redrive, or continues it.
fn command<B>(on: &Context<'_, B>, args: &RedriveArgs) -> String {
    let mut command = format!("till redrive {}", args.queue.name());
    for id in &args.only {
        let _ = write!(command, " --only {}", word(id));
    }
    if args.pace != PACE {
        let _ = write!(command, " --pace {}", args.pace);
    }
    let _ = write!(command, " --stack {} --why \"…\"", on.stack.name);
    command
}

fn answer<B>(on: &Context<'_, B>, args: &RedriveArgs, done: &Redriven) -> Result<Answer, Error> {
    let name = args.queue.name();
    let rest = done
        .depth
        .is_some_and(|depth| depth > (done.not_ours + done.others) as u64);
    let commands = if rest || done.stopped.is_some() {
        vec![command(on, args)]
    } else {
        Vec::new()
    };
    let mut text = format!("Dead letters of {name}: {done}\n");
    text += &next_text(&commands, done.dry_run);
    if done.not_ours > 0 {
        text += "Delete messages that are not understood by hand in the SQS console; they would fail again.\n";
    }
    let data = Redrive {
        queue: name,
        dry_run: done.dry_run,
        moved: done.moved,
        first: done.first.clone(),
        not_ours: done.not_ours,
        others: done.others,
        depth: done.depth,
        stopped: done.stopped.as_ref().map(ToString::to_string),
        commands,
    };
    let interrupted = on.terminal.is_interrupted();
    let failed = usize::from(done.stopped.is_some());
    Ok(Answer::of(&data, text)?.ending(exit(failed, interrupted)))
}
