//! `till replay`: the events of a time range.

use super::{
    events::range,
    write::{confirmed, exit, next_text, note, word},
};
use crate::{
    Context,
    answers::ReplayCount,
    args::{PACE, ReplayArgs},
    backend::Backend,
    danger::Danger,
    error::Error,
    output::Answer,
    time,
};
use domain::{ports::Search, values::ids::EventId};
use operator::{
    events::{Again, Bounds, Replayed, replay_until},
    note::Note,
    pace::Pace,
};
use std::fmt::Write as _;

pub(super) async fn replay<B: Backend>(
    on: &Context<'_, B>,
    args: &ReplayArgs,
) -> Result<Answer, Error> {
    if args.range.since.is_none() {
        return Err(Error::usage("a replay needs --since"));
    }
    let (since, before) = range(on, &args.range)?;
    let after = args.after.as_deref().map(EventId::new);
    let search = Search {
        event_type: args.event_type.clone(),
        since,
        before,
    };
    let bounds = Bounds {
        dry_run: args.write.dry_run,
        parked: args.include_parked,
        events: args.limit,
        pages: args.pages,
        after: after.transpose()?,
    };
    let note = note(on, &args.write).await?;
    if !args.write.dry_run {
        // The plan is the same run, up to the write.
        let dry = Bounds {
            dry_run: true,
            ..bounds.clone()
        };
        let planned = run(on, &search, &dry, args, &note).await;
        let plan = format!(
            "{}\nReplay is idempotent: it repeats no order, stock movement or mail.",
            summary(on, &search, &planned)
        );
        confirmed(on, Danger::Bulk, &args.write, &plan, &note)?;
    }
    let done = run(on, &search, &bounds, args, &note).await;
    answer(on, &search, args, &done)
}

async fn run<B: Backend>(
    on: &Context<'_, B>,
    search: &Search,
    bounds: &Bounds,
    args: &ReplayArgs,
    note: &Note,
) -> Replayed {
    let store = on.backend.store();
    let mut pace = Pace::per_second(args.pace);
    let mut is_over = |so_far: &Replayed| {
        let progress = if bounds.dry_run {
            let seen: usize = so_far.counts.values().sum();
            format!("{seen} events looked at")
        } else {
            format!("{} events", so_far.replayed())
        };
        on.terminal.progress(Some(&progress));
        on.terminal.is_interrupted()
    };
    let done = replay_until(store, store, search, bounds, &mut pace, note, &mut is_over).await;
    on.terminal.progress(None);
    done
}

fn summary<B>(on: &Context<'_, B>, search: &Search, done: &Replayed) -> String {
    let zone = &on.stack.zone;
    format!(
        "Events from {} to {}\n             {} to {}\n\n{done}",
        time::full(search.since, zone),
        time::full(search.before, zone),
        search.since,
        search.before
    )
}

/// The command that goes on where this run ended.
fn command<B>(on: &Context<'_, B>, search: &Search, args: &ReplayArgs, done: &Replayed) -> String {
    // Resolved times, so that it does the same tomorrow.
    let mut command = format!(
        "till replay --since {} --before {}",
        search.since, search.before
    );
    if let Some(kind) = &args.event_type {
        let _ = write!(command, " --type {}", word(kind));
    }
    if args.include_parked {
        command += " --include-parked";
    }
    if args.limit != 100 {
        let _ = write!(command, " --limit {}", args.limit);
    }
    if args.pace != PACE {
        let _ = write!(command, " --pace {}", args.pace);
    }
    if let Some(cursor) = done
        .cursor
        .as_ref()
        .filter(|_| !done.complete && !done.dry_run)
    {
        let _ = write!(command, " --after {cursor}");
    }
    let _ = write!(command, " --stack {} --why \"…\"", on.stack.name);
    command
}

fn answer<B>(
    on: &Context<'_, B>,
    search: &Search,
    args: &ReplayArgs,
    done: &Replayed,
) -> Result<Answer, Error> {
    let interrupted = on.terminal.is_interrupted() && !done.complete;
    let commands = if done.dry_run || !done.complete {
        vec![command(on, search, args, done)]
    } else {
        Vec::new()
    };
    let text = summary(on, search, done) + "\n" + &next_text(&commands, done.dry_run);
    let count = |(again, number): (&Again, &usize)| ReplayCount {
        result: again.to_string(),
        count: *number,
    };
    let data = crate::answers::Replay {
        dry_run: done.dry_run,
        since: search.since,
        before: search.before,
        replayed: done.replayed(),
        counts: done.counts.iter().map(count).collect(),
        first: done.first.clone(),
        unreadable: done.unreadable.clone(),
        complete: done.complete,
        cursor: done.cursor.clone(),
        stopped: done.stopped.as_ref().map(ToString::to_string),
        commands,
    };
    let contended = done
        .counts
        .get(&Again::Left(operator::events::Left::Contended));
    let failed = usize::from(done.stopped.is_some()) + contended.copied().unwrap_or_default();
    Ok(Answer::of(&data, text)?
        .ending(exit(failed, interrupted))
        .cut(!done.complete))
}
