//! `till event release`, `replay` and `drop`: one or several events.

use super::write::{confirmed, exit, note};
use crate::{
    Context,
    answers::{EventResult, EventWrite},
    args::WriteArgs,
    backend::Backend,
    danger::Danger,
    error::{Error, Exit},
    output::Answer,
    style::count,
};
use domain::values::{ids::EventId, outcome::RetryableError};
use operator::{
    events::{self, Again, Ask, Dropped, Left},
    note::Note,
};
use std::fmt::Write as _;

/// More events at once are a bulk action.
const FEW: usize = 10;

/// One of the three actions.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Action {
    Release,
    Replay,
    Drop,
}

impl Action {
    fn word(self) -> &'static str {
        match self {
            Self::Release => "release",
            Self::Replay => "replay",
            Self::Drop => "drop",
        }
    }
}

pub(super) async fn act<B: Backend>(
    on: &Context<'_, B>,
    action: Action,
    ids: &[String],
    args: &WriteArgs,
) -> Result<Answer, Error> {
    let ids = event_ids(on, ids)?;
    let note = note(on, args).await?;
    let mut plan = Vec::new();
    for id in &ids {
        plan.push(preview(on, action, id).await?);
    }
    let planned = plan.iter().filter(|item| item.done).count();
    if args.dry_run || planned == 0 {
        return answer(action, plan, &ids, true, false);
    }
    let danger = match action {
        Action::Drop => Danger::Irreversible,
        _ if planned > FEW => Danger::Bulk,
        _ => Danger::Harmless,
    };
    confirmed(on, danger, args, &plan_text(action, &plan), &note)?;
    let mut done = Vec::new();
    for id in &ids {
        if on.terminal.is_interrupted() {
            return answer(action, done, &ids, false, true);
        }
        done.push(carry_out(on, action, id, &note).await);
    }
    answer(action, done, &ids, false, false)
}

/// The ids of the arguments; `-` stands for those of stdin.
fn event_ids<B>(on: &Context<'_, B>, ids: &[String]) -> Result<Vec<EventId>, Error> {
    let mut texts: Vec<String> = Vec::new();
    for id in ids {
        if id == "-" {
            texts.extend(on.terminal.input().split_whitespace().map(str::to_owned));
        } else {
            texts.push(id.clone());
        }
    }
    let id = |text: String| {
        EventId::new(text.clone()).map_err(|error| Error::usage(format!("{text:?}: {error}")))
    };
    let mut ids = texts.into_iter().map(id).collect::<Result<Vec<_>, _>>()?;
    let mut seen = std::collections::BTreeSet::new();
    ids.retain(|id| seen.insert(id.clone()));
    if ids.is_empty() {
        return Err(Error::usage("no event is named"));
    }
    Ok(ids)
}

async fn preview<B: Backend>(
    on: &Context<'_, B>,
    action: Action,
    id: &EventId,
) -> Result<EventResult, Error> {
    let store = on.backend.store();
    let would = match action {
        Action::Release => again(events::preview(store, id, Ask::Release).await?),
        Action::Replay => again(events::preview(store, id, Ask::Replay).await?),
        Action::Drop => dropped(events::preview_drop(store, id).await?),
    };
    Ok(tried(id, would))
}

fn tried(id: &EventId, (text, done): (String, bool)) -> EventResult {
    EventResult {
        event_id: id.clone(),
        text,
        done,
    }
}

fn again(again: Again) -> (String, bool) {
    (again.to_string(), !matches!(again, Again::Left(_)))
}

fn dropped(dropped: Dropped) -> (String, bool) {
    (dropped.to_string(), !matches!(dropped, Dropped::Left(_)))
}

async fn carry_out<B: Backend>(
    on: &Context<'_, B>,
    action: Action,
    id: &EventId,
    note: &Note,
) -> EventResult {
    let store = on.backend.store();
    let result: Result<(String, bool), RetryableError> = match action {
        Action::Release => events::release(store, store, id, note).await.map(again),
        Action::Replay => events::replay(store, store, id, note).await.map(again),
        Action::Drop => events::drop_event(store, id, note).await.map(dropped),
    };
    let done = result.unwrap_or_else(|error| (format!("failed: {error}"), false));
    tried(id, done)
}

fn plan_text(action: Action, plan: &[EventResult]) -> String {
    let planned = plan.iter().filter(|item| item.done).count();
    let mut text = format!("Would {} {}:\n", action.word(), count(planned, "event"));
    for item in plan {
        let _ = writeln!(text, "  {}  {}", item.event_id, item.text);
    }
    text + match action {
        Action::Drop => "A dropped event has no effect. Handle its sale by hand.",
        Action::Release | Action::Replay => {
            "Each is decided again. Finished steps are not repeated, and no mail is sent twice."
        }
    }
}

/// The answer about the events that were tried, of all events that were named.
fn answer(
    action: Action,
    events: Vec<EventResult>,
    named: &[EventId],
    dry_run: bool,
    interrupted: bool,
) -> Result<Answer, Error> {
    let failed = events.iter().filter(|event| !event.done);
    let failed: Vec<EventId> = failed.map(|event| event.event_id.clone()).collect();
    let left: Vec<EventId> = named.iter().skip(events.len()).cloned().collect();
    let mut text = String::new();
    for event in &events {
        let _ = writeln!(text, "{}  {}", event.event_id, event.text);
    }
    let verb = if dry_run { "would change" } else { "changed" };
    let (done, unchanged) = (events.len() - failed.len(), failed.len());
    let done = count(done, "event");
    let _ = writeln!(text, "{done} {verb}, {unchanged} left unchanged.");
    let mut commands = Vec::new();
    if !left.is_empty() {
        let ids: Vec<&str> = left.iter().map(EventId::as_str).collect();
        let (verb, ids) = (action.word(), ids.join(" "));
        let command = format!("till event {verb} {ids} --why \"…\"");
        let _ = writeln!(text, "Stopped. To continue:\n  {command}");
        commands.push(command);
    }
    let exit = ending(&events, unchanged, interrupted);
    let data = EventWrite {
        action: action.word(),
        dry_run,
        events,
        failed,
        not_tried: left,
        commands,
    };
    Ok(Answer::of(&data, text)?.ending(exit))
}

/// The exit code. A failure is "not found" if no event is stored.
fn ending(events: &[EventResult], failed: usize, interrupted: bool) -> Exit {
    let unknown = Left::Unknown.to_string();
    match exit(failed, interrupted) {
        Exit::Failed if events.iter().all(|event| event.text == unknown) => Exit::NotFound,
        exit => exit,
    }
}
