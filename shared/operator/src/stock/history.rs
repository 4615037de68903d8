//! The history of one SKU: sales, restocks and changes by hand in one order of time.

use domain::{
    ports::admin::StockAdmin,
    sale::{counter_change::CounterChange, stock::Movement},
    values::{ids::Sku, outcome::RetryableError},
};
use jiff::Timestamp;

/// The most changes by hand that are read for one SKU: the latest.
pub const MOST_CHANGES: usize = 10_000;

/// One entry of the history.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Entry {
    /// Units that an order took or reserved, at the time of the movement. A shortfall that sweep filled later is in it.
    Moved(Movement),
    /// Units of an order that came back, at the time of the last restock.
    Restocked { of: Movement, at: Timestamp },
    /// A count, an arrival or an import.
    Changed(CounterChange),
}

impl Entry {
    /// The time of the entry, in seconds.
    #[must_use]
    pub fn at(&self) -> Timestamp {
        match self {
            Self::Moved(moved) => moved.moved_at,
            Self::Restocked { at, .. } => *at,
            Self::Changed(change) => change.at,
        }
    }
}

/// The history of a SKU, oldest first.
pub async fn history(stock: &impl StockAdmin, sku: &Sku) -> Result<Vec<Entry>, RetryableError> {
    let movements = super::movements(stock, sku).await?;
    let changes = stock.counter_changes(sku, MOST_CHANGES).await?;
    Ok(merged(movements, changes))
}

/// The latest change by hand that had a counter before it.
#[must_use]
pub fn last_change(history: &[Entry]) -> Option<&CounterChange> {
    let change = |entry: &Entry| matches!(entry, Entry::Changed(_));
    match history.iter().rfind(|entry| change(entry)) {
        Some(Entry::Changed(change)) if change.before.is_some() => Some(change),
        _ => None,
    }
}

/// `changes` are the newest first.
fn merged(movements: Vec<Movement>, changes: Vec<CounterChange>) -> Vec<Entry> {
    let restocked = |moved: &Movement| {
        let at = moved.restocked_at?;
        let of = moved.clone();
        Some(Entry::Restocked { of, at })
    };
    let back: Vec<Entry> = movements.iter().filter_map(restocked).collect();
    let moved = movements.into_iter().map(Entry::Moved);
    let changes = changes.into_iter().rev().map(Entry::Changed);
    let mut all: Vec<Entry> = moved.chain(back).chain(changes).collect();
    all.sort_by_key(Entry::at);
    all
}

#[cfg(test)]
mod tests {
    use super::*;
    use domain::{sale::counter_change::ChangeKind, values::ids::OrderId};

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(second).unwrap()
    }

    fn moved(second: i64, restocked_at: Option<i64>) -> Movement {
        Movement {
            sku: Sku::new("GEL").unwrap(),
            order_id: OrderId::new(format!("fcs_{second}")).unwrap(),
            quantity: 2,
            deducted: 2,
            restocked: restocked_at.map_or(0, |_| 2),
            restocked_at: restocked_at.map(at),
            restocked_earlier: 0,
            moved_at: at(second),
            is_open: false,
            is_reserved: false,
        }
    }

    fn change(second: i64, before: Option<i64>) -> CounterChange {
        CounterChange {
            sku: Sku::new("GEL").unwrap(),
            kind: ChangeKind::Count,
            before,
            after: 9,
            counted_at: Some(at(second)),
            at: at(second),
            by: "ana".to_owned(),
            why: "yearly count".to_owned(),
        }
    }

    #[test]
    fn sales_restocks_and_changes_are_in_one_order_of_time() {
        let movements = vec![moved(10, Some(40)), moved(30, None)];
        let history = merged(movements, vec![change(50, Some(4)), change(20, None)]);
        let word = |entry: &Entry| match entry {
            Entry::Moved(_) => "moved",
            Entry::Restocked { .. } => "back",
            Entry::Changed(_) => "changed",
        };
        let found: Vec<_> = history
            .iter()
            .map(|of| (of.at().as_second(), word(of)))
            .collect();
        let expected = [
            (10, "moved"),
            (20, "changed"),
            (30, "moved"),
            (40, "back"),
            (50, "changed"),
        ];
        assert_eq!(found, expected);
        assert_eq!(last_change(&history).map(|of| of.at), Some(at(50)));
    }

    #[test]
    fn a_new_counter_has_no_change_to_undo() {
        let history = merged(vec![moved(10, None)], vec![change(20, None)]);
        assert_eq!(last_change(&history), None);
        assert_eq!(last_change(&[]), None);
    }
}
