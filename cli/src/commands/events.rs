//! `till events`: lists of events that are not done.

use crate::{
    Context,
    answers::{EventLine, Events},
    args::{EventsArgs, RangeArgs},
    backend::Backend,
    error::Error,
    output::Answer,
    style::count,
    table::{Column, with_reasons},
    time,
};
use domain::{delivery::stored_event::EventState, values::class::Class};
use jiff::{Timestamp, ToSpan};
use operator::list::{self, EventRow};
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
    let (kind, class) = (args.event_type.as_deref(), args.class.as_deref());
    rows.retain(|row| {
        (kind.is_none() || row.event_type.as_deref() == kind)
            && (class.is_none() || row.class.map(Class::as_str) == class)
    });
    let data = Events {
        events: rows.iter().map(EventLine::from).collect(),
    };
    let text = if args.ids {
        rows.iter()
            .map(|row| format!("{}\n", row.event_id))
            .collect()
    } else {
        text(on, &rows)
    };
    let answer = Answer::of(&data, text)?.cut(is_cut);
    let answer = if args.ids { answer.raw() } else { answer };
    Ok(if is_cut {
        answer.warned("limit", "there may be more: raise --limit.")
    } else {
        answer
    })
}

fn text<B>(on: &Context<'_, B>, rows: &[EventRow]) -> String {
    if rows.is_empty() {
        return "No such events.\n".to_owned();
    }
    let mut out = list_text(rows, on.now, on.terminal.width());
    let mut classes: BTreeMap<&str, usize> = BTreeMap::new();
    for row in rows.iter().filter(|row| row.state == EventState::Parked) {
        let class = row.class.map_or("unknown", Class::as_str);
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
pub(super) fn list_text<'a>(rows: &'a [EventRow], now: Timestamp, width: usize) -> String {
    let head = [
        ("age", Column::Whole),
        ("event", Column::Whole),
        ("type", Column::Whole),
        ("tries", Column::Number),
    ];
    let line = |row: &'a EventRow| {
        let kind = row.event_type.as_deref().unwrap_or("unreadable");
        let cells = vec![
            time::age(row.first_seen, now),
            row.event_id.to_string(),
            kind.to_owned(),
            row.attempts.to_string(),
        ];
        (cells, row.reason.as_deref())
    };
    with_reasons(&head, rows.iter().map(line).collect(), width)
}
