//! The plan of a stock count: pure.
//!
//! A count is true at the moment of counting. Units that were sold since are subtracted and units that came back since are
//! added, so that a shop may count while it is open. A movement has the time of its last restock only: units of earlier
//! restocks, which may have been counted, are shown and not added.

use domain::{sale::stock::Movement, values::ids::Sku};
use jiff::Timestamp;

/// How the numbers of a file change the counters.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mode {
    /// Units that were counted.
    Set,
    /// Units that arrived.
    Add,
}

/// A row of a count: a SKU and its units.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Counted {
    /// The line of the file, from 1.
    pub row: u64,
    pub sku: Sku,
    pub units: i64,
}

/// The planned change of one counter.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Change {
    pub row: u64,
    pub sku: Sku,
    /// The counter now; `None` if there is none.
    pub current: Option<i64>,
    pub counted: i64,
    /// Units that were deducted since the count.
    pub sold_since: i64,
    /// Units that came back since the count, of any order.
    pub restocked_since: i64,
    /// Units that may have come back since the count or before it. They are not added.
    pub restocked_unclear: i64,
    /// Paid units that are still missing, of any order. The counted units may cover them.
    pub short: i64,
    /// The counter to write.
    pub new: i64,
}

impl Change {
    /// True if the counter has the new value already.
    #[must_use]
    pub fn is_none(&self) -> bool {
        self.current == Some(self.new)
    }
}

/// Plans the change of one counter from its movements.
#[must_use]
pub fn change(
    counted: &Counted,
    mode: Mode,
    counted_at: Timestamp,
    current: Option<i64>,
    movements: &[Movement],
) -> Change {
    let since = movements.iter().filter(|moved| moved.moved_at > counted_at);
    let back = movements.iter().map(|moved| moved.back_since(counted_at));
    let (base, sold_since, back) = match mode {
        Mode::Set => (0, since.map(|moved| moved.deducted).sum(), back.collect()),
        Mode::Add => (current.unwrap_or_default(), 0, Vec::new()),
    };
    let restocked_since = back.iter().map(|back| back.units).sum();
    Change {
        row: counted.row,
        sku: counted.sku.clone(),
        current,
        counted: counted.units,
        sold_since,
        restocked_since,
        restocked_unclear: back.iter().map(|back| back.unclear).sum(),
        short: movements.iter().map(Movement::short).sum(),
        new: base
            .saturating_add(counted.units)
            .saturating_sub(sold_since)
            .saturating_add(restocked_since),
    }
}

/// A row of a file that cannot be used.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rejected {
    pub row: u64,
    pub why: String,
}

/// The names of the two columns.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Columns {
    pub sku: String,
    pub units: String,
}

impl Default for Columns {
    fn default() -> Self {
        Self {
            sku: "sku".to_owned(),
            units: "on_hand".to_owned(),
        }
    }
}

/// Reads one row: the texts of its two columns.
pub fn row(row: u64, sku: &str, units: &str) -> Result<Counted, Rejected> {
    let rejected = |why: String| Rejected { row, why };
    if sku != sku.trim() {
        return Err(rejected(format!(
            "SKU {sku:?} begins or ends in a space. Did you mean {:?}?",
            sku.trim()
        )));
    }
    let sku = Sku::new(sku).map_err(|error| rejected(error.to_string()))?;
    let units = units
        .trim()
        .parse::<i64>()
        .map_err(|_| rejected(format!("{:?} is not a whole number", units.trim())))?;
    Ok(Counted { row, sku, units })
}

/// Rejects the rows that name a SKU of an earlier row.
#[must_use]
pub fn without_twins(rows: Vec<Counted>) -> (Vec<Counted>, Vec<Rejected>) {
    let mut good: Vec<Counted> = Vec::new();
    let mut rejected = Vec::new();
    for row in rows {
        match good.iter().find(|known| known.sku == row.sku) {
            Some(first) => rejected.push(Rejected {
                row: row.row,
                why: format!("SKU {} is in row {} already", row.sku, first.row),
            }),
            None => good.push(row),
        }
    }
    (good, rejected)
}

#[cfg(test)]
mod tests {
    use super::*;
    use domain::values::ids::OrderId;

    fn moved(second: i64, deducted: i64, restocked: i64, quantity: i64) -> Movement {
        Movement {
            sku: Sku::new("GEL").unwrap(),
            order_id: OrderId::new(format!("fcs_{second}")).unwrap(),
            quantity,
            deducted,
            restocked,
            restocked_at: (restocked > 0).then(|| Timestamp::from_second(second + 5).unwrap()),
            restocked_earlier: 0,
            moved_at: Timestamp::from_second(second).unwrap(),
            is_open: quantity > deducted,
            is_reserved: false,
        }
    }

    fn planned(mode: Mode, current: Option<i64>) -> Change {
        let counted = row(2, "GEL", "9").unwrap();
        let movements = [moved(90, 4, 0, 4), moved(110, 2, 1, 2), moved(120, 1, 0, 3)];
        let at = Timestamp::from_second(100).unwrap();
        change(&counted, mode, at, current, &movements)
    }

    #[test]
    fn a_count_loses_what_was_sold_since_and_gains_what_came_back() {
        let change = planned(Mode::Set, Some(4));
        assert_eq!(
            (change.sold_since, change.restocked_since, change.short),
            (3, 1, 2)
        );
        assert_eq!((change.new, change.is_none()), (7, false));
        assert!(planned(Mode::Set, Some(7)).is_none());
        assert_eq!(planned(Mode::Set, None).new, 7);
    }

    #[test]
    fn units_of_an_earlier_sale_are_back_by_the_time_of_their_restock() {
        let counted = row(2, "GEL", "9").unwrap();
        let at = Timestamp::from_second(100).unwrap();
        let parts = Movement {
            restocked_earlier: 1,
            ..moved(97, 4, 3, 4)
        };
        // Back at 95 and 102; at 102 in its second part.
        for (movement, since, unclear, new) in [
            (moved(90, 4, 3, 4), 0, 0, 9),
            (moved(97, 4, 3, 4), 3, 0, 12),
            (parts, 2, 1, 11),
        ] {
            let change = change(&counted, Mode::Set, at, Some(9), &[movement]);
            let found = (change.restocked_since, change.restocked_unclear, change.new);
            assert_eq!(found, (since, unclear, new));
        }
    }

    #[test]
    fn an_arrival_is_added_to_the_counter() {
        assert_eq!(planned(Mode::Add, Some(4)).new, 13);
        assert_eq!(planned(Mode::Add, None).new, 9);
    }

    #[test]
    fn a_bad_row_names_its_problem() {
        for (sku, units, why) in [
            ("GEL ", "1", "Did you mean \"GEL\"?"),
            ("", "1", "empty"),
            ("GEL", "1.5", "not a whole number"),
            ("GEL", "", "not a whole number"),
        ] {
            let rejected = row(7, sku, units).unwrap_err();
            assert!(rejected.why.contains(why), "{rejected:?}");
            assert_eq!(rejected.row, 7);
        }
        let twice = vec![row(2, "GEL", "1").unwrap(), row(3, "GEL", "2").unwrap()];
        let (good, rejected) = without_twins(twice);
        assert_eq!((good.len(), rejected.len()), (1, 1));
    }
}
