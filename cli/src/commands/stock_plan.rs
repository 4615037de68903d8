//! The plan of a stock count, as text and as JSON.

use super::stock_write::Counts;
use crate::{
    Context,
    answers::{RejectedRow, StockChange, StockImport, StockResult},
    error::Error,
    output::Answer,
    style::count,
    table::{Column, table},
    time,
};
use operator::stock::plan::{Change, Mode, Rejected};
use std::fmt::Write as _;

pub(super) fn plan_text<B>(on: &Context<'_, B>, counts: &Counts, changes: &[Change]) -> String {
    let mut text = match counts.mode {
        Mode::Set => format!(
            "Counted at {}\n\n",
            time::full(counts.counted_at, &on.stack.zone)
        ),
        Mode::Add => "Units to add\n\n".to_owned(),
    };
    if !changes.is_empty() {
        text += &changes_table(changes, on.terminal.width());
    }
    let units = |number: i64| count(usize::try_from(number).unwrap_or_default(), "unit");
    for change in changes.iter().filter(|change| change.short > 0) {
        let _ = writeln!(
            text,
            "{}: {} paid and missing. Sweep fills them from the new counter; were they counted as gone?",
            change.sku,
            units(change.short)
        );
    }
    for change in changes.iter().filter(|change| change.restocked_unclear > 0) {
        let _ = writeln!(
            text,
            "{}: {} came back in parts, before the count or since. They are not added; did you count them?",
            change.sku,
            units(change.restocked_unclear)
        );
    }
    if !counts.rejected.is_empty() {
        text += "\nRejected rows:\n";
        for bad in &counts.rejected {
            let _ = writeln!(text, "  row {}  {}", bad.row, bad.why);
        }
    }
    text
}

/// The planned changes as a table, one row for each SKU.
fn changes_table(changes: &[Change], width: usize) -> String {
    let head = [
        ("row", Column::Number),
        ("SKU", Column::Whole),
        ("now", Column::Number),
        ("units", Column::Number),
        ("sold since", Column::Number),
        ("back since", Column::Number),
        ("new", Column::Number),
        ("", Column::Text),
    ];
    let cells = |change: &Change| {
        let difference = match change.current {
            None => "new counter".to_owned(),
            Some(current) if current == change.new => "no change".to_owned(),
            Some(current) => format!("{:+}", change.new - current),
        };
        let current = change.current.map(|number| number.to_string());
        vec![
            change.row.to_string(),
            change.sku.to_string(),
            current.unwrap_or_else(|| "–".to_owned()),
            change.counted.to_string(),
            change.sold_since.to_string(),
            change.restocked_since.to_string(),
            change.new.to_string(),
            difference,
        ]
    };
    table(&head, &changes.iter().map(cells).collect::<Vec<_>>(), width)
}

pub(super) fn answer(
    counts: &Counts,
    changes: &[Change],
    results: Vec<StockResult>,
    dry_run: bool,
    text: String,
) -> Result<Answer, Error> {
    let change = |of: &Change| StockChange {
        row: of.row,
        sku: of.sku.to_string(),
        current: of.current,
        counted: of.counted,
        sold_since: of.sold_since,
        restocked_since: of.restocked_since,
        restocked_unclear: of.restocked_unclear,
        missing: of.short,
        new: of.new,
    };
    let rejected = |bad: &Rejected| RejectedRow {
        row: bad.row,
        why: bad.why.clone(),
    };
    let data = StockImport {
        dry_run,
        counted_at: counts.counted_at,
        changes: changes.iter().map(change).collect(),
        rejected: counts.rejected.iter().map(rejected).collect(),
        results,
    };
    Answer::of(&data, text)
}
