//! Tables without borders: people copy from them. An id is never cut or split.

use crate::style::wrapped;
use comfy_table::{CellAlignment, ColumnConstraint, ContentArrangement, Table, presets::NOTHING};

/// A column of a table.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Column {
    /// An id or another text that stays whole.
    Whole,
    /// A text that may wrap.
    Text,
    /// A number.
    Number,
}

/// A table whose rows each have a reason under them, if there is one.
#[must_use]
pub fn with_reasons(
    head: &[(&str, Column)],
    rows: Vec<(Vec<String>, Option<&str>)>,
    width: usize,
) -> String {
    let (cells, reasons): (Vec<_>, Vec<_>) = rows.into_iter().unzip();
    let mut out = String::new();
    // The heading has none.
    let reasons = std::iter::once(None).chain(reasons);
    for (line, reason) in table(head, &cells, width).lines().zip(reasons) {
        out += &format!("{line}\n");
        if let Some(reason) = reason {
            out += &(wrapped(&format!("       {reason}"), width, 7) + "\n");
        }
    }
    out
}

/// A table as text, at most `width` columns wide unless the whole columns need more.
#[must_use]
pub fn table(head: &[(&str, Column)], rows: &[Vec<String>], width: usize) -> String {
    let mut table = Table::new();
    table
        .load_style(NOTHING)
        .set_content_arrangement(ContentArrangement::Dynamic)
        .set_width(u16::try_from(width).unwrap_or(u16::MAX));
    if head.iter().any(|(name, _)| !name.is_empty()) {
        table.set_header(head.iter().map(|(name, _)| *name));
    }
    table.add_rows(rows);
    for (n, (_, kind)) in head.iter().enumerate() {
        if let Some(column) = table.column_mut(n) {
            column.set_padding((0, 2));
            match kind {
                Column::Whole => {
                    column.set_constraint(ColumnConstraint::ContentWidth);
                }
                Column::Number => {
                    column.set_constraint(ColumnConstraint::ContentWidth);
                    column.set_cell_alignment(CellAlignment::Right);
                }
                Column::Text => {}
            }
        }
    }
    let lines: Vec<String> = table
        .lines()
        .map(|line| line.trim_end().to_owned())
        .collect();
    lines.join("\n") + "\n"
}
