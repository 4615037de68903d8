//! The writes of `till stock`.

use super::{
    stock::sku,
    stock_file::{csv, read_file},
    stock_plan::{answer, plan_text},
    write::{agreed, exit, word},
};
use crate::{
    Context,
    answers::StockResult,
    args::{ImportArgs, ImportMode, WriteArgs},
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

/// Sets counters from a file, or adds to them.
pub(super) async fn import<B: Backend>(
    on: &Context<'_, B>,
    args: &ImportArgs,
) -> Result<Answer, Error> {
    let (good, rejected) = read_file(on, &args.file, args.columns.as_deref())?;
    let counts = Counts {
        good,
        rejected,
        mode: match args.mode {
            ImportMode::Set => Mode::Set,
            ImportMode::Add => Mode::Add,
        },
        counted_at: moment(on, args.counted_at.as_deref())?,
        skip_bad: args.skip_bad,
        kind: ChangeKind::Import,
        danger: Danger::Bulk,
    };
    change(on, counts, &args.write).await
}

/// Sets the counter of one SKU, or adds to it.
pub(super) async fn one<B: Backend>(
    on: &Context<'_, B>,
    (name, units): (&str, i64),
    kind: ChangeKind,
    counted_at: Option<&str>,
    args: &WriteArgs,
) -> Result<Answer, Error> {
    let counted = Counted {
        row: 1,
        sku: sku(name)?,
        units,
    };
    let counts = Counts {
        good: vec![counted],
        rejected: Vec::new(),
        mode: match kind {
            ChangeKind::Receive => Mode::Add,
            ChangeKind::Count | ChangeKind::Import => Mode::Set,
        },
        counted_at: moment(on, counted_at)?,
        skip_bad: false,
        kind,
        danger: Danger::Harmless,
    };
    change(on, counts, args).await
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

async fn change<B: Backend>(
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
        return Ok(answer(&counts, &changes, Vec::new(), true, text)?.ending(Exit::Usage));
    }
    if args.dry_run || changes.iter().all(Change::is_none) {
        let text = format!("{text}Nothing changed.\n");
        return answer(&counts, &changes, Vec::new(), true, text);
    }
    let note = agreed(on, counts.danger, args, &text).await?;
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
        results.push(outcome(&change.sku, done));
    }
    text += "\n";
    for of in &results {
        let _ = writeln!(text, "{}  {}", of.sku, of.text);
    }
    let failed = results.iter().filter(|of| !of.done).count();
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
    let done = answer(counts, changes, results, false, text)?;
    Ok(done.ending(exit(failed, left > 0)))
}

/// The line about a change. It is done if the counter has the wanted value.
fn outcome(sku: &Sku, done: Result<Adjusted, RetryableError>) -> StockResult {
    StockResult {
        sku: sku.to_string(),
        done: matches!(done, Ok(Adjusted::Now { .. } | Adjusted::Unchanged(_))),
        text: done.map_or_else(|error| format!("failed: {error}"), |done| done.to_string()),
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
