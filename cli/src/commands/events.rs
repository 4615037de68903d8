//! `till events`: lists of events that are not done.

use crate::{
    Context,
    args::{EventsArgs, RangeArgs},
    backend::Backend,
    error::Error,
    output::Answer,
    style::count,
    table::{Column, table},
    time,
};
use domain::delivery::stored_event::EventState;
use jiff::{Timestamp, ToSpan};
use operator::list::{self, EventRow};
use serde_json::{Value, json};
use std::{collections::BTreeMap, fmt::Write};

/// An event that is unfinished for longer than this is late.
pub(super) const LATE_AFTER_MINUTES: i64 = 15;

/// The range of a command; from the epoch to now if it is not stated.
pub(super) fn range<B>(
    on: &Context<'_, B>,
    args: &RangeArgs,
) -> Result<(Timestamp, Timestamp), Error> {
    let read = |text: &Option<String>, default| match text {
        Some(text) => time::read(text, &on.stack.zone, on.now),
        None => Ok(default),
    };
    let since = read(&args.since, Timestamp::UNIX_EPOCH)?;
    let before = read(&args.before, on.now)?;
    if since >= before {
        return Err(Error::usage("--since is not before --before"));
    }
    Ok((since, before))
}

pub(super) async fn events<B: Backend>(
    on: &Context<'_, B>,
    args: &EventsArgs,
) -> Result<Answer, Error> {
    let store = on.backend.store();
    let mut rows = if args.stuck {
        let before = on.now - LATE_AFTER_MINUTES.minutes();
        list::stuck(store, before, args.limit).await?
    } else {
        list::parked(store, args.limit).await?
    };
    let is_cut = rows.len() >= args.limit;
    rows.retain(|row| {
        let class = row.class.map(domain::values::class::Class::as_str);
        args.event_type
            .as_deref()
            .is_none_or(|wanted| row.event_type.as_deref() == Some(wanted))
            && args
                .class
                .as_deref()
                .is_none_or(|wanted| class == Some(wanted))
    });
    let data = json!({"events": rows.iter().map(to_json).collect::<Vec<Value>>()});
    let text = if args.ids {
        rows.iter()
            .map(|row| format!("{}\n", row.event_id))
            .collect()
    } else {
        text(on, &rows)
    };
    let answer = Answer::new("till.events/1", &data, text)?.cut(is_cut);
    let answer = if args.ids { answer.raw() } else { answer };
    Ok(if is_cut {
        answer.warned("limit", "there may be more: raise --limit.")
    } else {
        answer
    })
}

/// An event as JSON.
pub(super) fn to_json(row: &EventRow) -> Value {
    json!({
        "event_id": row.event_id,
        "event_type": row.event_type,
        "received_at": row.first_seen,
        "state": row.state,
        "class": row.class,
        "reason": row.reason,
        "attempts": row.attempts,
        "notes": row.notes,
    })
}

fn text<B>(on: &Context<'_, B>, rows: &[EventRow]) -> String {
    if rows.is_empty() {
        return "No such events.\n".to_owned();
    }
    let mut out = list_text(rows, on.now, on.terminal.width());
    let mut classes: BTreeMap<&str, usize> = BTreeMap::new();
    for row in rows.iter().filter(|row| row.state == EventState::Parked) {
        let class = row
            .class
            .map_or("unknown", domain::values::class::Class::as_str);
        *classes.entry(class).or_default() += 1;
    }
    for (class, number) in &classes {
        let _ = writeln!(
            out,
            "\n{} of class {class}:\n  till events --class {class} --ids | till event release - --why \"…\"",
            count(*number, "event")
        );
    }
    out
}

/// The events as lines: the id, then what is known about it.
pub(super) fn list_text(rows: &[EventRow], now: Timestamp, width: usize) -> String {
    let head = [
        ("age", Column::Whole),
        ("event", Column::Whole),
        ("type", Column::Whole),
        ("tries", Column::Number),
    ];
    let mut out = String::new();
    let cells = |row: &EventRow| {
        vec![
            time::age(row.first_seen, now),
            row.event_id.to_string(),
            row.event_type
                .clone()
                .unwrap_or_else(|| "unreadable".to_owned()),
            row.attempts.to_string(),
        ]
    };
    let whole = table(&head, &rows.iter().map(cells).collect::<Vec<_>>(), width);
    let mut lines = whole.lines();
    out += &format!("{}\n", lines.next().unwrap_or_default());
    for (line, row) in lines.zip(rows) {
        out += &format!("{line}\n");
        if let Some(reason) = &row.reason {
            out += &(crate::style::wrapped(&format!("       {reason}"), width, 7) + "\n");
        }
    }
    out
}
