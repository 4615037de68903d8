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
enum Action {
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

pub(super) async fn release<B: Backend>(
    on: &Context<'_, B>,
    ids: &[String],
    args: &WriteArgs,
) -> Result<Answer, Error> {
    act(on, Action::Release, ids, args).await
}

pub(super) async fn replay<B: Backend>(
    on: &Context<'_, B>,
    ids: &[String],
    args: &WriteArgs,
) -> Result<Answer, Error> {
    act(on, Action::Replay, ids, args).await
}

pub(super) async fn drop<B: Backend>(
    on: &Context<'_, B>,
    ids: &[String],
    args: &WriteArgs,
) -> Result<Answer, Error> {
    act(on, Action::Drop, ids, args).await
}

/// The result for one event, or the planned one.
struct Item {
    id: EventId,
    text: String,
    /// True if it changed, or would.
    done: bool,
}

async fn act<B: Backend>(
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
        return answer(action, &plan, &ids, true, false);
    }
    let danger = match action {
        Action::Drop => Danger::Irreversible,
        _ if planned > FEW => Danger::Bulk,
        _ => Danger::Harmless,
    };
    let text = plan_text(action, &plan, &note);
    confirmed(on, danger, args, &text)?;
    let mut done = Vec::new();
    for id in &ids {
        if on.terminal.is_interrupted() {
            return answer(action, &done, &ids, false, true);
        }
        done.push(carry_out(on, action, id, &note).await);
    }
    answer(action, &done, &ids, false, false)
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
) -> Result<Item, Error> {
    let store = on.backend.store();
    let (text, done) = match action {
        Action::Release => again(events::preview(store, id, Ask::Release).await?),
        Action::Replay => again(events::preview(store, id, Ask::Replay).await?),
        Action::Drop => dropped(events::preview_drop(store, id).await?),
    };
    Ok(Item {
        id: id.clone(),
        text,
        done,
    })
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
) -> Item {
    let store = on.backend.store();
    let result: Result<(String, bool), RetryableError> = match action {
        Action::Release => events::release(store, store, id, note).await.map(again),
        Action::Replay => events::replay(store, store, id, note).await.map(again),
        Action::Drop => events::drop_event(store, id, note).await.map(dropped),
    };
    let (text, done) = result.unwrap_or_else(|error| (format!("failed: {error}"), false));
    Item {
        id: id.clone(),
        text,
        done,
    }
}

fn plan_text(action: Action, plan: &[Item], note: &Note) -> String {
    let planned = plan.iter().filter(|item| item.done).count();
    let mut text = format!("Would {} {}:\n", action.word(), count(planned, "event"));
    for item in plan {
        let _ = writeln!(text, "  {}  {}", item.id, item.text);
    }
    let effect = match action {
        Action::Drop => "A dropped event has no effect. Handle its sale by hand.",
        Action::Release | Action::Replay => {
            "Each is decided again. Finished steps are not repeated, and no mail is sent twice."
        }
    };
    let _ = writeln!(text, "{effect}\nBy {}: {}", note.by(), note.why());
    text
}

fn answer(
    action: Action,
    items: &[Item],
    ids: &[EventId],
    dry_run: bool,
    interrupted: bool,
) -> Result<Answer, Error> {
    let failed: Vec<EventId> = items
        .iter()
        .filter(|item| !item.done)
        .map(|item| item.id.clone())
        .collect();
    let left: Vec<EventId> = ids.iter().skip(items.len()).cloned().collect();
    let done = items.len() - failed.len();
    let mut text = String::new();
    for item in items {
        let _ = writeln!(text, "{}  {}", item.id, item.text);
    }
    let verb = if dry_run { "would change" } else { "changed" };
    let _ = writeln!(
        text,
        "{} {verb}, {} left unchanged.",
        count(done, "event"),
        failed.len()
    );
    let commands: Vec<String> = if left.is_empty() {
        Vec::new()
    } else {
        let ids: Vec<String> = left.iter().map(ToString::to_string).collect();
        vec![format!(
            "till event {} {} --why \"…\"",
            action.word(),
            ids.join(" ")
        )]
    };
    for command in &commands {
        let _ = writeln!(text, "Stopped. To continue:\n  {command}");
    }
    let result = |item: &Item| EventResult {
        event_id: item.id.clone(),
        done: item.done,
        text: item.text.clone(),
    };
    let number_failed = failed.len();
    let data = EventWrite {
        action: action.word(),
        dry_run,
        events: items.iter().map(result).collect(),
        failed,
        not_tried: left,
        commands,
    };
    let all_unknown = !items.is_empty()
        && items
            .iter()
            .all(|item| item.text == Left::Unknown.to_string());
    let exit = match exit(number_failed, interrupted) {
        Exit::Failed if all_unknown => Exit::NotFound,
        exit => exit,
    };
    Ok(Answer::of(&data, text)?.ending(exit))
}
