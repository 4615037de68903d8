//! Plain-text tables for people, and how they show dates and amounts.

use crate::values::money::{Currency, Money};
use jiff::{Timestamp, tz::TimeZone};
use std::fmt;

/// The space between two columns.
const GAP: &str = "  ";

#[derive(Debug, Clone, Copy)]
pub(super) enum Align {
    Left,
    Right,
}

/// Rows of cells. Each column is as wide as its widest cell.
#[derive(Debug)]
pub(super) struct Table<const N: usize> {
    columns: [Align; N],
    rows: Vec<[String; N]>,
}

impl<const N: usize> Table<N> {
    pub(super) fn new(columns: &[Align; N]) -> Self {
        Self {
            columns: *columns,
            rows: Vec::new(),
        }
    }

    pub(super) fn row(&mut self, cells: [String; N]) {
        self.rows.push(cells);
    }
}

impl<const N: usize> fmt::Display for Table<N> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut widths = [0; N];
        for cells in &self.rows {
            for (width, cell) in widths.iter_mut().zip(cells) {
                *width = cell.chars().count().max(*width);
            }
        }
        for cells in &self.rows {
            let cells = cells.iter().zip(widths).zip(self.columns);
            let cells: Vec<_> = cells
                .map(|((cell, width), align)| match align {
                    Align::Left => format!("{cell:<width$}"),
                    Align::Right => format!("{cell:>width$}"),
                })
                .collect();
            writeln!(f, "{}", cells.join(GAP).trim_end())?;
        }
        Ok(())
    }
}

/// `2026-03-31`, as the calendar of that zone has it.
pub(super) fn date(at: Timestamp, zone: &TimeZone) -> String {
    zone.to_datetime(at).date().to_string()
}

/// `2026-03-31 09:30`.
pub(super) fn date_time(at: Timestamp, zone: &TimeZone) -> String {
    zone.to_datetime(at).strftime("%Y-%m-%d %H:%M").to_string()
}

/// The name of a zone, such as `Europe/Vienna`.
pub(super) fn zone_name(zone: &TimeZone) -> String {
    zone.iana_name().unwrap_or("another zone").to_owned()
}

/// `$1,064.98`.
pub(super) fn money(minor: i64, currency: Currency) -> String {
    Money { minor, currency }.to_string()
}
