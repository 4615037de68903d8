//! `till announce`: publishes announcements again, for a system that lost them.

use super::write::{confirmed, exit, note};
use crate::{
    Context, answers::Announce, args::AnnounceArgs, backend::Backend, danger::Danger, error::Error,
    output::Answer, style::count, time,
};
use operator::announce::{Announced, Bounds, announce};

pub(super) async fn again<B: Backend>(
    on: &Context<'_, B>,
    args: &AnnounceArgs,
) -> Result<Answer, Error> {
    let since = time::read(&args.since, &on.stack.zone, on.now)?;
    let mut bounds = Bounds {
        dry_run: true,
        since,
        batches: args.limit,
        after: args.after.clone(),
    };
    let note = note(on, &args.write).await?;
    let store = on.backend.store();
    let planned = announce(store, &bounds).await;
    if args.write.dry_run || planned.batches == 0 {
        return answer(on, args, &planned);
    }
    let plan = format!(
        "Publishes {} since {} again, with the same ids.",
        batches(planned.batches),
        time::full(since, &on.stack.zone)
    );
    confirmed(on, Danger::Bulk, &args.write, &plan, &note)?;
    bounds.dry_run = false;
    let done = announce(store, &bounds).await;
    answer(on, args, &done)
}

fn batches(number: usize) -> String {
    count(number, "batch").replace("batchs", "batches")
}

fn answer<B>(on: &Context<'_, B>, args: &AnnounceArgs, done: &Announced) -> Result<Answer, Error> {
    let verb = if done.dry_run {
        "would be published again"
    } else {
        "are published again within a minute"
    };
    let mut text = format!("{} {verb}.\n", batches(done.batches));
    if let Some(error) = &done.stopped {
        text += &format!("stopped: {error}\n");
    }
    // A dry run that is complete has no cursor.
    let command = done.cursor.as_ref().map(|cursor| {
        let since = &args.since;
        format!(
            "till announce --since \"{since}\" --after {cursor} --stack {} --why \"…\"",
            on.stack.name
        )
    });
    if let Some(command) = &command {
        text += &format!("There may be more. To continue:\n  {command}\n");
    }
    let data = Announce {
        dry_run: done.dry_run,
        batches: done.batches,
        cursor: done.cursor.clone(),
        stopped: done.stopped.as_ref().map(ToString::to_string),
        commands: command,
    };
    let failed = usize::from(done.stopped.is_some());
    let is_cut = done.cursor.is_some();
    Ok(Answer::of(&data, text)?
        .ending(exit(failed, false))
        .cut(is_cut))
}
