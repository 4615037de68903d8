//! The writes of `till stock`.

use super::{
    stock::sku,
    stock_file::{csv, read_file},
    stock_plan::{answer, plan_text},
    write::{confirmed, exit, note, word},
};
use crate::{
    Context,
    args::{ImportMode, StockCommand, WriteArgs},
    backend::Backend,
    danger::Danger,
    error::{Error, Exit},
    output::Answer,
    time,
};
use domain::{
    ports::Shortfalls as _,
    sale::counter_change::ChangeKind,
    values::{ids::Sku, outcome::RetryableError},
};
use jiff::Timestamp;
use operator::{
    note::Note,
    stock::{
        self, Adjusted, Adjustment,
        plan::{self, Change, Counted, Mode, Rejected},
    },
};
use std::fmt::Write as _;

pub(super) async fn run<B: Backend>(
    on: &Context<'_, B>,
    command: &StockCommand,
) -> Result<Answer, Error> {
    match command {
        StockCommand::Import {
            file,
            counted_at,
            mode,
            columns,
            skip_bad,
            write,
        } => {
            let read = read_file(on, file, columns.as_deref())?;
            let counted_at = moment(on, counted_at.as_deref())?;
            let counts = of_file(read, *mode, counted_at, *skip_bad);
            import(on, counts, write).await
        }
        StockCommand::Count {
            sku: name,
            units,
            counted_at,
            write,
        } => {
            let counted_at = moment(on, counted_at.as_deref())?;
            let counts = one(name, *units, ChangeKind::Count, counted_at)?;
            import(on, counts, write).await
        }
        StockCommand::Receive {
            sku: name,
            units,
            write,
        } => {
            let counts = one(name, *units, ChangeKind::Receive, on.now)?;
            import(on, counts, write).await
        }
        StockCommand::Map { .. } => super::stock_map::map(on, command).await,
        StockCommand::List { .. }
        | StockCommand::Show { .. }
        | StockCommand::History { .. }
        | StockCommand::Export => Err(Error::usage("not a write")),
    }
}

fn moment<B>(on: &Context<'_, B>, text: Option<&str>) -> Result<Timestamp, Error> {
    let at = match text {
        Some(text) => time::read(text, &on.stack.zone, on.now)?,
        None => on.now,
    };
    if at > on.now {
        return Err(Error::usage("the count is in the future"));
    }
    Ok(at)
}

/// Counts to write.
pub(super) struct Counts {
    pub(super) good: Vec<Counted>,
    pub(super) rejected: Vec<Rejected>,
    pub(super) mode: Mode,
    pub(super) counted_at: Timestamp,
    pub(super) skip_bad: bool,
    pub(super) kind: ChangeKind,
    pub(super) danger: Danger,
}

/// The counts of a file, by its good rows and its rejected ones.
fn of_file(
    (good, rejected): (Vec<Counted>, Vec<Rejected>),
    mode: ImportMode,
    counted_at: Timestamp,
    skip_bad: bool,
) -> Counts {
    Counts {
        good,
        rejected,
        mode: match mode {
            ImportMode::Set => Mode::Set,
            ImportMode::Add => Mode::Add,
        },
        counted_at,
        skip_bad,
        kind: ChangeKind::Import,
        danger: Danger::Bulk,
    }
}

/// The count of one SKU.
fn one(name: &str, units: i64, kind: ChangeKind, counted_at: Timestamp) -> Result<Counts, Error> {
    let counted = Counted {
        row: 1,
        sku: sku(name)?,
        units,
    };
    Ok(Counts {
        good: vec![counted],
        rejected: Vec::new(),
        mode: match kind {
            ChangeKind::Receive => Mode::Add,
            ChangeKind::Count | ChangeKind::Import => Mode::Set,
        },
        counted_at,
        skip_bad: false,
        kind,
        danger: Danger::Harmless,
    })
}

/// The change of each counter, by its present value and its movements since the count.
async fn planned<B: Backend>(on: &Context<'_, B>, counts: &Counts) -> Result<Vec<Change>, Error> {
    let store = on.backend.store();
    let skus = counts.good.iter().map(|counted| counted.sku.clone());
    let mut current = store.counters(&skus.collect::<Vec<Sku>>()).await?;
    let mut changes = Vec::new();
    for counted in &counts.good {
        let movements = stock::movements(store, &counted.sku).await?;
        let known = current.remove(&counted.sku);
        changes.push(plan::change(
            counted,
            counts.mode,
            counts.counted_at,
            known,
            &movements,
        ));
    }
    Ok(changes)
}

async fn import<B: Backend>(
    on: &Context<'_, B>,
    counts: Counts,
    args: &WriteArgs,
) -> Result<Answer, Error> {
    let changes = planned(on, &counts).await?;
    let text = plan_text(on, &counts, &changes);
    let stops = !counts.rejected.is_empty() && !counts.skip_bad;
    if stops {
        let text = format!(
            "{text}Nothing changed. Fix the file, or write only the valid rows with --skip-bad.\n"
        );
        return Ok(answer(&counts, &changes, &[], true, text)?.ending(Exit::Usage));
    }
    if args.dry_run || changes.iter().all(Change::is_none) {
        let text = format!("{text}Nothing changed.\n");
        return answer(&counts, &changes, &[], true, text);
    }
    let note = note(on, args).await?;
    let plan = format!("{text}By {}: {}", note.by(), note.why());
    confirmed(on, counts.danger, args, &plan)?;
    write(on, &counts, &changes, &note, text).await
}

async fn write<B: Backend>(
    on: &Context<'_, B>,
    counts: &Counts,
    changes: &[Change],
    note: &Note,
    mut text: String,
) -> Result<Answer, Error> {
    let (mut results, mut undo) = (Vec::new(), Vec::new());
    for change in changes.iter().filter(|change| !change.is_none()) {
        if on.terminal.is_interrupted() {
            break;
        }
        let done = stock::adjust(on.backend.store(), adjustment(counts, change, note)).await;
        if let Ok(Adjusted::Now { from: Some(_), .. }) = done {
            undo.push((&change.sku, change.current.unwrap_or_default() - change.new));
        }
        let (line, is_done) = outcome(done);
        results.push((change.sku.clone(), line, is_done));
    }
    text += "\n";
    for (sku, line, _) in &results {
        let _ = writeln!(text, "{sku}  {line}");
    }
    let failed = results.iter().filter(|(_, _, is_done)| !is_done).count();
    let planned = changes.iter().filter(|change| !change.is_none()).count();
    let (written, left) = (results.len() - failed, planned - results.len());
    let _ = writeln!(
        text,
        "{written} written, {failed} failed, {left} not tried."
    );
    text += &undo_text(&undo)?;
    if failed + left > 0 {
        text += "To continue, run the same command again: it plans from the present counters.\n";
    }
    let done = answer(counts, changes, &results, false, text)?;
    Ok(done.ending(exit(failed, left > 0)))
}

/// The line about a change, and whether the counter has the wanted value.
fn outcome(done: Result<Adjusted, RetryableError>) -> (String, bool) {
    match done {
        Ok(done @ (Adjusted::Now { .. } | Adjusted::Unchanged(_))) => (done.to_string(), true),
        Ok(done) => (done.to_string(), false),
        Err(error) => (format!("failed: {error}"), false),
    }
}

fn adjustment<'a>(counts: &Counts, change: &'a Change, note: &'a Note) -> Adjustment<'a> {
    Adjustment {
        sku: &change.sku,
        seen: change.current,
        to: change.new,
        kind: counts.kind,
        counted_at: match counts.mode {
            Mode::Set => Some(counts.counted_at),
            Mode::Add => None,
        },
        note,
    }
}

/// How to undo changes: by differences, so that sales since then stay subtracted.
fn undo_text(undo: &[(&Sku, i64)]) -> Result<String, Error> {
    Ok(match undo {
        [] => String::new(),
        [(sku, units)] => format!("To undo:  {}\n", undo_command(sku, *units)),
        many => format!(
            "To undo, put these lines into a file and import it with --mode add:\n{}\n",
            csv(many)?.trim_end()
        ),
    })
}

/// The command that changes a counter by this difference.
pub(super) fn undo_command(sku: &Sku, units: i64) -> String {
    format!(
        "till stock receive {} {units} --why \"undone\"",
        word(sku.as_str())
    )
}
