//! `till status`: do payments become orders, and what waits for a person?

use super::{events, mail};
use crate::{
    Context,
    answers::{Alarms, DeadLetterCounts, EventLine, MailLine, Status},
    args::StatusArgs,
    backend::{Alarm, Backend, Hop, LogLine, LogQuery},
    error::{Error, Exit},
    output::Answer,
    style::{count, red},
    time,
};
use jiff::{Timestamp, ToSpan};
use operator::list::{self, Overview};
use std::{fmt::Write as _, ops::Range};

/// The outcomes of intake after a signature that verified.
pub(crate) const DELIVERED: [&str; 5] =
    ["accepted", "duplicate", "not_needed", "unhandled", "parked"];

/// The most rows of each kind.
const MOST: usize = 100;

pub(super) async fn status<B: Backend>(
    on: &Context<'_, B>,
    args: &StatusArgs,
) -> Result<Answer, Error> {
    let backend = on.backend;
    let letters = Hop::ALL.map(|hop| backend.letters(hop));
    let before = on.now - events::LATE_AFTER_MINUTES.minutes();
    let store = backend.store();
    let overview = list::overview(store, store, letters, before, MOST).await?;
    let health = health(on).await;
    let data = data(&overview, &health);
    let text = text(on, &overview, &health);
    let has_letters = dead_letters(&overview).iter().any(|(_, depth)| *depth > 0);
    let is_open = (waiting(&overview) > 0 || has_letters) && !args.exit_zero;
    let mut answer = Answer::of(&data, text)?.ending_if(is_open, Exit::Attention);
    for error in &health.errors {
        answer = answer.warned("unknown", error.clone());
    }
    Ok(answer)
}

/// The number of things that wait for a person.
fn waiting(overview: &Overview) -> usize {
    overview.parked.len() + overview.held.len() + overview.failed.len()
}

/// The dead-letter queues, each with its messages.
fn dead_letters(overview: &Overview) -> [(&'static str, u64); 3] {
    [
        ("fulfillment", overview.fulfillment_dead_letters),
        ("receipts", overview.receipt_dead_letters),
        ("feedback", overview.feedback_dead_letters),
    ]
}

/// The statements of the log and the alarms. Each part may be unknown.
struct Health {
    last_delivery: Option<LogLine>,
    last_reconcile: Option<LogLine>,
    last_sweep: Option<LogLine>,
    alarms: Option<Vec<Alarm>>,
    errors: Vec<String>,
}

async fn health<B: Backend>(on: &Context<'_, B>) -> Health {
    let mut errors = Vec::new();
    let mut line = |result: Result<Option<LogLine>, Error>, what: &str| match result {
        Ok(line) => line,
        Err(error) => {
            errors.push(format!("{what} is unknown: {error}"));
            None
        }
    };
    let last_delivery = line(last(on, "intake", &DELIVERED).await, "the last delivery");
    let last_reconcile = line(
        last(on, "reconcile", &["reconciled"]).await,
        "the last reconcile",
    );
    let last_sweep = line(last(on, "sweep", &["swept"]).await, "the last sweep");
    let alarms = on.backend.platform().alarms().await;
    let alarms = alarms
        .map_err(|error| errors.push(format!("the alarms are unknown: {error}")))
        .ok();
    Health {
        last_delivery,
        last_reconcile,
        last_sweep,
        alarms,
        errors,
    }
}

/// The newest line of a function with one of these outcomes, within a day. Short windows come first, because the log is
/// read from its beginning.
pub(crate) async fn last<B: Backend>(
    on: &Context<'_, B>,
    function: &str,
    outcomes: &[&str],
) -> Result<Option<LogLine>, Error> {
    last_of(on, function, outcomes, |_| true).await
}

/// As [`last`], of the lines that are wanted.
pub(super) async fn last_of<B: Backend>(
    on: &Context<'_, B>,
    function: &str,
    outcomes: &[&str],
    is_wanted: impl Fn(&LogLine) -> bool + Send + Sync,
) -> Result<Option<LogLine>, Error> {
    for minutes in [15, 120, 1440] {
        let time = on.now - i64::from(minutes).minutes()..on.now + 1.minute();
        let lines = lines_of(on, Some(function), outcomes, &time).await?;
        if let Some(line) = lines.into_iter().rfind(&is_wanted) {
            return Ok(Some(line));
        }
    }
    Ok(None)
}

/// The lines of a time with one of these outcomes, oldest first; of one function, or of all.
pub(crate) async fn lines_of<B: Backend>(
    on: &Context<'_, B>,
    function: Option<&str>,
    outcomes: &[&str],
    time: &Range<Timestamp>,
) -> Result<Vec<LogLine>, Error> {
    let any = outcomes.iter();
    let any: Vec<String> = any.map(|of| format!("($.outcome = \"{of}\")")).collect();
    let any = any.join(" || ");
    let query = LogQuery {
        gateway: false,
        pattern: match function {
            Some(function) => format!("{{ ($.function = \"{function}\") && ({any}) }}"),
            None => format!("{{ {any} }}"),
        },
        since: time.start,
        before: time.end,
        most: 10_000,
    };
    let mut lines = on.backend.platform().log_lines(&query).await?;
    // The local AWS ignores patterns.
    lines.retain(|line| {
        let outcome = line.text("outcome").unwrap_or_default();
        outcomes.contains(&outcome) && (function.is_none() || line.text("function") == function)
    });
    Ok(lines)
}

/// The names of the alarms in alarm.
pub(crate) fn ringing(alarms: &[Alarm]) -> Vec<String> {
    let ringing = alarms.iter().filter(|alarm| alarm.state == "ALARM");
    ringing.map(|alarm| alarm.name.clone()).collect()
}

fn data(overview: &Overview, health: &Health) -> Status {
    let at = |line: &Option<LogLine>| line.as_ref().map(|line| line.at);
    let alarms = health.alarms.as_ref().map(|alarms| Alarms {
        total: alarms.len(),
        ringing: ringing(alarms),
    });
    let events = |rows: &[list::EventRow]| rows.iter().map(EventLine::from).collect();
    let mails = |rows: &[list::ReceiptRow]| rows.iter().map(MailLine::from).collect();
    Status {
        last_delivery_at: at(&health.last_delivery),
        last_reconcile_at: at(&health.last_reconcile),
        last_sweep_at: at(&health.last_sweep),
        alarms,
        parked: events(&overview.parked),
        stuck: events(&overview.stuck),
        held: mails(&overview.held),
        failed: mails(&overview.failed),
        unsent: mails(&overview.unsent),
        unreadable: overview.unreadable.clone(),
        dead_letters: DeadLetterCounts {
            fulfillment: overview.fulfillment_dead_letters,
            receipts: overview.receipt_dead_letters,
            feedback: overview.feedback_dead_letters,
        },
    }
}

fn text<B>(on: &Context<'_, B>, overview: &Overview, health: &Health) -> String {
    let mut out = health_text(health, on.now);
    let waiting = waiting(overview);
    let verb = if waiting == 1 { "waits" } else { "wait" };
    let _ = writeln!(out, "\n{} {verb} for a person", count(waiting, "thing"));
    let (now, width) = (on.now, on.terminal.width());
    let events =
        |rows: &[list::EventRow]| (!rows.is_empty()).then(|| events::list_text(rows, now, width));
    let mails =
        |rows: &[list::ReceiptRow]| (!rows.is_empty()).then(|| mail::list_text(rows, now, width));
    for (head, list) in [
        ("Parked events  (till why ID)", events(&overview.parked)),
        ("Held mails  (till why ID)", mails(&overview.held)),
        ("Failed mails  (till why ID)", mails(&overview.failed)),
        ("Late events", events(&overview.stuck)),
        ("Late mails", mails(&overview.unsent)),
    ] {
        out += &list.map_or_else(String::new, |list| format!("\n{head}\n{list}"));
    }
    for (queue, depth) in dead_letters(overview) {
        if depth > 0 {
            let letters = count(usize::try_from(depth).unwrap_or_default(), "dead letter");
            out += &format!("\n{letters} of {queue}:  till redrive {queue} --dry-run\n");
        }
    }
    if !overview.unreadable.is_empty() {
        let _ = writeln!(
            out,
            "\n{} written by a newer version: upgrade till to read them.",
            count(overview.unreadable.len(), "row")
        );
    }
    out
}

fn health_text(health: &Health, now: Timestamp) -> String {
    let ago = |line: &Option<LogLine>| match line {
        Some(line) => format!("{} ago", time::age(line.at, now)),
        None => "none within a day".to_owned(),
    };
    let delivery = health.last_delivery.as_ref();
    let kind = delivery.and_then(|line| line.text("event_type"));
    let kind = kind.map_or_else(String::new, |kind| format!(" ({kind})"));
    let reconcile = health.last_reconcile.as_ref();
    let missing = reconcile.and_then(|line| line.fields.get("missing")?.as_u64());
    let missing = match missing.map(|missing| usize::try_from(missing).unwrap_or_default()) {
        None => String::new(),
        Some(0) => ": no missing event".to_owned(),
        Some(missing) => format!(": {} recovered", count(missing, "missing event")),
    };
    let mut out = format!(
        "Webhooks      last delivery {}{kind}\nReconcile     {}{missing}\nSweep         {}\n",
        ago(&health.last_delivery),
        ago(&health.last_reconcile),
        ago(&health.last_sweep)
    );
    if let Some(alarms) = &health.alarms {
        let ringing = ringing(alarms);
        let (number, all) = (ringing.len(), alarms.len());
        let names = if ringing.is_empty() {
            String::new()
        } else {
            format!(": {}", red(&ringing.join(", ")))
        };
        let _ = writeln!(out, "Alarms        {number} of {all} in alarm{names}");
    }
    out
}
