//! `till stock history`: sales, restocks and changes by hand in one order of time.

use super::{stock::sku, stock_write::undo_command};
use crate::{
    Context,
    answers::{ChangeByHand, StockEntry, StockHistory},
    backend::Backend,
    error::Error,
    output::Answer,
    table::{Column, table},
    time,
};
use domain::{
    sale::{counter_change::CounterChange, stock::Movement},
    values::ids::Sku,
};
use operator::stock::history::{self, Entry};

pub(super) async fn history<B: Backend>(
    on: &Context<'_, B>,
    name: &str,
    limit: usize,
) -> Result<Answer, Error> {
    let sku = sku(name)?;
    let all = history::history(on.backend.store(), &sku).await?;
    let start = all.len().saturating_sub(limit);
    let shown = all.get(start..).unwrap_or_default();
    let undo =
        history::last_change(&all).map(|change| (change, undo_command(&sku, -change.difference())));
    let data = StockHistory {
        sku: sku.to_string(),
        entries: shown.iter().map(entry).collect(),
        of: all.len(),
        undo: undo.as_ref().map(|(_, command)| command.clone()),
    };
    let mut text = text(on, &sku, shown, &data);
    if let Some((change, command)) = undo {
        let at = time::full(change.at, &on.stack.zone);
        text += &format!("To undo the {} of {at}:\n  {command}\n", change.kind);
    }
    Ok(Answer::of(&data, text)?.cut(shown.len() < all.len()))
}

fn entry(of: &Entry) -> StockEntry {
    let base = |kind: &str, units| StockEntry {
        at: of.at(),
        kind: kind.to_owned(),
        units,
        order_id: None,
        missing: None,
        restocked_earlier: None,
        by_hand: None,
    };
    match of {
        Entry::Moved(moved) => {
            let kind = if moved.is_reserved {
                "reservation"
            } else {
                "sale"
            };
            StockEntry {
                order_id: Some(moved.order_id.to_string()),
                missing: Some(moved.short()),
                ..base(kind, -moved.deducted)
            }
        }
        Entry::Restocked { of, .. } => StockEntry {
            order_id: Some(of.order_id.to_string()),
            restocked_earlier: Some(of.restocked_earlier),
            ..base("restock", of.restocked)
        },
        Entry::Changed(change) => StockEntry {
            by_hand: Some(ChangeByHand {
                before: change.before,
                after: change.after,
                counted_at: change.counted_at,
                by: change.by.clone(),
                why: change.why.clone(),
            }),
            ..base(&change.kind.to_string(), change.difference())
        },
    }
}

fn text<B>(on: &Context<'_, B>, sku: &Sku, shown: &[Entry], data: &StockHistory) -> String {
    let cells = |(shown, entry): (&Entry, &StockEntry)| {
        let says = match shown {
            Entry::Moved(moved) => sale(moved),
            Entry::Restocked { of, .. } => restock(of),
            Entry::Changed(change) => by_hand(on, change),
        };
        let units = match entry.units {
            0 => "0".to_owned(),
            units => format!("{units:+}"),
        };
        vec![
            time::full(entry.at, &on.stack.zone),
            entry.kind.clone(),
            units,
            says,
        ]
    };
    let rows: Vec<_> = shown.iter().zip(&data.entries).map(cells).collect();
    let head = [
        ("time", Column::Whole),
        ("what", Column::Whole),
        ("units", Column::Number),
        ("", Column::Text),
    ];
    if rows.is_empty() {
        return format!("No history of {sku}.\n");
    }
    let table = table(&head, &rows, on.terminal.width());
    format!("{table}\nShowing {} of {}.\n", rows.len(), data.of)
}

fn sale(moved: &Movement) -> String {
    match (moved.is_reserved, moved.short()) {
        (false, short) if short > 0 => format!("{}, {short} missing", moved.order_id),
        _ => moved.order_id.to_string(),
    }
}

fn restock(of: &Movement) -> String {
    match of.restocked_earlier {
        0 => of.order_id.to_string(),
        earlier => format!("{}, {earlier} of them earlier", of.order_id),
    }
}

fn by_hand<B>(on: &Context<'_, B>, change: &CounterChange) -> String {
    let CounterChange {
        before,
        after,
        counted_at,
        at,
        by,
        why,
        ..
    } = change;
    let from = before.map_or_else(|| "no counter".to_owned(), |before| before.to_string());
    let counted = counted_at.filter(|counted| counted != at);
    let counted = counted.map_or_else(String::new, |at| {
        format!(", counted {}", time::full(at, &on.stack.zone))
    });
    format!("{from} -> {after} by {by}: {why}{counted}")
}
