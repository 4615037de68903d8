//! Stock belongs to the merchant: the provider only reports the sold items
//! (<https://docs.withflex.com/api-reference/checkout-sessions/get-line-items>: its line items are
//! read-only).
//!
//! Each order has one movement for each SKU, even if several lines share the SKU. A movement is a
//! once-marker: it is written together with its counter, or not at all, and never again.

use crate::{
    sale::{
        mapping::{self, Mapping, MappingKey, mapped},
        statement::LineItem,
    },
    values::ids::{OrderId, Sku},
};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_with::skip_serializing_none;
use std::collections::{BTreeMap, BTreeSet};

/// The effect of renewals on stock.
#[derive(Debug, Clone, Copy, PartialEq, Eq, strum::EnumString, strum::VariantNames)]
#[strum(serialize_all = "snake_case")]
pub enum RenewalStock {
    /// As of any order.
    Move,
    /// None: the merchant counts the goods of renewals by other means, or renewals send no goods.
    Never,
}

/// A counter as the merchant's row has it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Counter {
    pub sku: Sku,
    /// `None` for a SKU that is marked as not counted, that only an alarm has named, or whose count is not understood.
    pub on_hand: Option<i64>,
    pub untracked: bool,
    /// The level from which the counter is low, if the row has one.
    pub low_at: Option<i64>,
}

/// The stock level as read, for one SKU and one order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StockLevel {
    pub sku: Sku,
    /// The counter; `None` if the merchant does not count this SKU.
    pub on_hand: Option<i64>,
    /// True if the merchant marked this SKU as not counted.
    pub untracked: bool,
    /// True if an alarm has reported this SKU as uncounted.
    pub is_reported: bool,
    /// The order's movement, if it is already written.
    pub moved: Option<Movement>,
}

impl StockLevel {
    /// The order's movement, if its units are sold and not only reserved.
    #[must_use]
    pub fn sold(&self) -> Option<&Movement> {
        self.moved.as_ref().filter(|moved| !moved.is_reserved)
    }

    /// The units that the order has already taken from the counter.
    fn held(&self) -> i64 {
        self.moved.as_ref().map_or(0, |moved| moved.deducted)
    }
}

/// One order's movement of one SKU.
#[skip_serializing_none]
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Movement {
    pub sku: Sku,
    pub order_id: OrderId,
    /// The number of sold units.
    pub quantity: i64,
    /// The number of deducted units: less than `quantity` if the stock was short.
    pub deducted: i64,
    /// The number of restocked units, after refunds.
    pub restocked: i64,
    /// The time of the last restock.
    #[serde(default, with = "jiff::fmt::serde::timestamp::second::optional")]
    pub restocked_at: Option<Timestamp>,
    /// The number of restocked units before the last restock. Their times are not kept.
    #[serde(default)]
    pub restocked_earlier: i64,
    #[serde(with = "jiff::fmt::serde::timestamp::second::required")]
    pub moved_at: Timestamp,
    /// True while the order waits for missing units.
    #[serde(
        rename = "open",
        default,
        skip_serializing_if = "std::ops::Not::not",
        with = "open_word"
    )]
    pub is_open: bool,
    /// True while the order is not paid: see [`crate::sale::reservation`].
    #[serde(
        rename = "reserved",
        default,
        skip_serializing_if = "std::ops::Not::not"
    )]
    pub is_reserved: bool,
}

/// The key of open shortfalls in the sparse index `open`.
pub const OPEN_SHORTFALL: &str = "shortfall";

/// An open movement has the key of the index, any other has none.
mod open_word {
    use super::OPEN_SHORTFALL;
    use serde::{Deserialize, Deserializer, Serializer, de::IgnoredAny};

    #[expect(
        clippy::trivially_copy_pass_by_ref,
        reason = "serde passes a reference"
    )]
    pub(super) fn serialize<S: Serializer>(_: &bool, to: S) -> Result<S::Ok, S::Error> {
        to.serialize_str(OPEN_SHORTFALL)
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<bool, D::Error> {
        IgnoredAny::deserialize(from).map(|_| true)
    }
}

impl Movement {
    /// The number of units that are paid but not in stock.
    #[must_use]
    pub fn short(&self) -> i64 {
        self.quantity - self.deducted
    }

    /// The units that came back after a moment.
    #[must_use]
    pub fn back_since(&self, since: Timestamp) -> BackSince {
        let last = self.restocked.saturating_sub(self.restocked_earlier);
        match self.restocked_at {
            Some(at) if at > since && self.moved_at > since => BackSince {
                units: self.restocked,
                unclear: 0,
            },
            Some(at) if at > since => BackSince {
                units: last,
                unclear: self.restocked_earlier,
            },
            Some(_) | None => BackSince::default(),
        }
    }
}

/// The units of a movement that came back after a moment.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct BackSince {
    pub units: i64,
    /// Units of earlier restocks, which may have come back before or after the moment.
    pub unclear: i64,
}

/// The effect of a line on stock.
#[skip_serializing_none]
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "stock", rename_all = "snake_case")]
pub enum LineStock {
    /// Counted under this SKU.
    Counted { sku: Sku },
    /// The merchant marked the product, the price or the SKU as not counted.
    Untracked { sku: Option<Sku> },
    /// The SKU has no counter: the merchant should add one, or mark the SKU as untracked.
    Uncounted { sku: Sku },
    /// The order is not paid yet, so nothing is moved.
    Waiting,
    /// Such sales are counted by other means: a renewal under `RenewalStock=never`, or any order of a provider that
    /// counts the goods.
    Exempt,
    /// Neither a mapping row nor the product names a SKU: the merchant should add a row.
    Unmapped,
}

/// The effect of an order on stock.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StockPlan {
    /// One entry for each line, in order.
    pub lines: Vec<LineStock>,
    /// All movements of the order, including those already written.
    pub movements: Vec<Movement>,
    /// The movements to write.
    pub to_write: Vec<Deduction>,
    /// The lines that an alarm has to report: those that are neither counted nor untracked.
    pub to_report: Vec<Uncounted>,
}

/// A SKU without a counter, or a product or price without a SKU. An alarm reports it once; then a
/// mark on its row keeps the alarm quiet until the merchant replaces the row.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Uncounted {
    Sku(Sku),
    Unmapped(MappingKey),
}

/// How many marks one commit writes at most: each is an action of the transaction. A later order
/// reports the rest.
const MOST_REPORTS: usize = 20;

/// A movement to write, with its condition.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Deduction {
    pub movement: Movement,
    /// The movement that it replaces, as read. Without one, the order must have no movement of the SKU.
    pub seen: Option<Movement>,
    /// The counter as read. If it covers the movement, any sufficient count satisfies the
    /// condition; if it is short, only exactly this count does.
    pub on_hand: i64,
}

impl Deduction {
    /// The units that leave the counter; negative if a smaller number stays reserved.
    #[must_use]
    pub fn taken(&self) -> i64 {
        let before = self.seen.as_ref().map_or(0, |seen| seen.deducted);
        self.movement.deducted.saturating_sub(before)
    }
}

/// Units to put back into stock. The condition is that the number of restocked units is still as
/// read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Restock {
    pub sku: Sku,
    pub order_id: OrderId,
    /// The number of restocked units as read.
    pub seen: i64,
    /// The number of units to restock now, at least 1.
    pub pieces: i64,
    /// The time that the movement keeps.
    pub at: Timestamp,
}

/// Plans the restocks until `back` units of each SKU are back. Never deducts again.
#[must_use]
pub fn restocks(
    stock_levels: &[StockLevel],
    back: &BTreeMap<Sku, i64>,
    now: Timestamp,
) -> Vec<Restock> {
    let moved = stock_levels
        .iter()
        .filter(|stock_level| stock_level.on_hand.is_some())
        .filter_map(StockLevel::sold);
    moved
        .filter_map(|movement| {
            let pieces = back.get(&movement.sku)?.saturating_sub(movement.restocked);
            (pieces > 0).then(|| Restock {
                sku: movement.sku.clone(),
                order_id: movement.order_id.clone(),
                seen: movement.restocked,
                pieces,
                at: now,
            })
        })
        .collect()
}

/// Plans the movements of an order. Counters never go below zero: missing units are recorded as
/// short.
#[must_use]
pub fn plan(
    order_id: &OrderId,
    lines: &[LineItem],
    mapping: &Mapping,
    stock_levels: &[StockLevel],
    now: Timestamp,
) -> StockPlan {
    let lines: Vec<(&LineItem, LineStock)> = lines
        .iter()
        .map(|line| (line, line_stock(line, mapping, stock_levels)))
        .collect();
    let mut movements = Vec::new();
    let mut to_write = Vec::new();
    for (sku, quantity) in sold(&lines) {
        let Some(stock_level) = level_of(stock_levels, sku) else {
            continue;
        };
        if let Some(moved) = stock_level.sold() {
            movements.push(moved.clone());
        } else if let Some(on_hand) = stock_level.on_hand {
            let free = on_hand.max(0).saturating_add(stock_level.held());
            let movement = movement(order_id, sku, quantity, free, now);
            movements.push(movement.clone());
            to_write.push(Deduction {
                movement,
                seen: stock_level.moved.clone(),
                on_hand,
            });
        }
    }
    to_write.extend(no_longer_reserved(order_id, &movements, stock_levels, now));
    let to_report = to_report(&lines, mapping, stock_levels);
    StockPlan {
        lines: lines.into_iter().map(|(_, stock)| stock).collect(),
        movements,
        to_write,
        to_report,
    }
}

/// Plans the writes after which `wanted` units of each SKU are reserved, and returns the SKUs with reserved units.
///
/// A counter that does not cover the wanted units gives none: an unpaid order has no shortfall. Units that the order has
/// as sold are those of a fulfillment that was interrupted, so they count as reserved.
#[must_use]
pub fn reserve(
    order_id: &OrderId,
    wanted: &BTreeMap<Sku, i64>,
    stock_levels: &[StockLevel],
    now: Timestamp,
) -> (Vec<Deduction>, BTreeSet<Sku>) {
    let (mut to_write, mut skus) = (Vec::new(), BTreeSet::new());
    for level in stock_levels {
        let Some(on_hand) = level.on_hand else {
            continue;
        };
        let held = level.held();
        let wanted = wanted.get(&level.sku).copied().unwrap_or_default();
        let is_covered = wanted <= on_hand.max(0).saturating_add(held);
        let units = if is_covered { wanted } else { 0 };
        if units > 0 {
            skus.insert(level.sku.clone());
        }
        if units != held || level.sold().is_some() {
            to_write.push(Deduction {
                movement: reserved(order_id, &level.sku, units, now),
                seen: level.moved.clone(),
                on_hand,
            });
        }
    }
    (to_write, skus)
}

pub(super) fn reserved(order_id: &OrderId, sku: &Sku, units: i64, now: Timestamp) -> Movement {
    Movement {
        sku: sku.clone(),
        order_id: order_id.clone(),
        quantity: units,
        deducted: units,
        restocked: 0,
        restocked_at: None,
        restocked_earlier: 0,
        moved_at: now,
        is_open: false,
        is_reserved: true,
    }
}

/// The reserved units of goods that the order does not sell after all go back to their counters.
fn no_longer_reserved(
    order_id: &OrderId,
    movements: &[Movement],
    stock_levels: &[StockLevel],
    now: Timestamp,
) -> Vec<Deduction> {
    let is_sold = |sku: &Sku| movements.iter().any(|movement| movement.sku == *sku);
    let others = stock_levels.iter().filter(|level| !is_sold(&level.sku));
    let others: Vec<StockLevel> = others.cloned().collect();
    reserve(order_id, &BTreeMap::new(), &others, now).0
}

/// The number of units of each counted SKU that these lines sell.
#[must_use]
pub fn units(
    lines: &[LineItem],
    mapping: &Mapping,
    stock_levels: &[StockLevel],
) -> BTreeMap<Sku, i64> {
    let with_stock = |line| (line, line_stock(line, mapping, stock_levels));
    let lines: Vec<_> = lines.iter().map(with_stock).collect();
    let units = sold(&lines).into_iter();
    units
        .map(|(sku, quantity)| (sku.clone(), quantity))
        .collect()
}

/// The number of sold units of each counted SKU.
fn sold<'a>(lines: &'a [(&LineItem, LineStock)]) -> BTreeMap<&'a Sku, i64> {
    let mut sold = BTreeMap::new();
    for (line, stock) in lines {
        if let LineStock::Counted { sku } = stock {
            let quantity: &mut i64 = sold.entry(sku).or_default();
            *quantity = quantity.saturating_add(i64::from(line.quantity));
        }
    }
    sold
}

/// A new movement: of the free units at most.
fn movement(order_id: &OrderId, sku: &Sku, quantity: i64, free: i64, now: Timestamp) -> Movement {
    Movement {
        sku: sku.clone(),
        order_id: order_id.clone(),
        quantity,
        deducted: quantity.min(free),
        restocked: 0,
        restocked_at: None,
        restocked_earlier: 0,
        moved_at: now,
        is_open: quantity > free,
        is_reserved: false,
    }
}

fn level_of<'a>(stock_levels: &'a [StockLevel], sku: &Sku) -> Option<&'a StockLevel> {
    stock_levels.iter().find(|level| level.sku == *sku)
}

/// The effect of one line. What a sale has already moved stays counted.
fn line_stock(line: &LineItem, mapping: &Mapping, stock_levels: &[StockLevel]) -> LineStock {
    let mapped = mapped(line, mapping);
    let level = mapped.sku.and_then(|sku| level_of(stock_levels, sku));
    let is_moved = level.is_some_and(|level| level.sold().is_some());
    let is_counted = level.is_some_and(|level| level.on_hand.is_some());
    let untracked = mapped.untracked || level.is_some_and(|level| level.untracked);
    match mapped.sku {
        Some(sku) if is_moved || (is_counted && !untracked) => {
            LineStock::Counted { sku: sku.clone() }
        }
        // Access is not a thing on a shelf.
        sku if untracked || mapped.grants.is_some() => LineStock::Untracked { sku: sku.cloned() },
        Some(sku) => LineStock::Uncounted { sku: sku.clone() },
        None => LineStock::Unmapped,
    }
}

/// The lines to report that no alarm has reported yet.
fn to_report(
    lines: &[(&LineItem, LineStock)],
    mapping: &Mapping,
    stock_levels: &[StockLevel],
) -> Vec<Uncounted> {
    let uncounted = lines.iter().filter_map(|(line, stock)| match stock {
        LineStock::Uncounted { sku } => {
            let is_reported = level_of(stock_levels, sku).is_some_and(|level| level.is_reported);
            (!is_reported).then(|| Uncounted::Sku(sku.clone()))
        }
        LineStock::Unmapped => {
            let mut keys = mapping::keys(line);
            let is_reported =
                |key: &MappingKey| mapping.get(key).is_some_and(|row| row.is_reported);
            // The product's row, which covers all of its prices.
            let key = keys.pop()?;
            let is_new = !is_reported(&key) && !keys.iter().any(is_reported);
            is_new.then_some(Uncounted::Unmapped(key))
        }
        LineStock::Counted { .. }
        | LineStock::Untracked { .. }
        | LineStock::Waiting
        | LineStock::Exempt => None,
    });
    let mut all: Vec<Uncounted> = uncounted.collect();
    all.sort();
    all.dedup();
    all.truncate(MOST_REPORTS);
    all
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        fulfillment::testing::{NOW, at, id, line, order_id, sku, stock_level},
        sale::mapping::{Grant, MappingRow},
    };

    fn planned(lines: &[LineItem], mapping: &Mapping, levels: &[StockLevel]) -> StockPlan {
        plan(&order_id(), lines, mapping, levels, at(NOW))
    }

    fn uncounted(name: &str) -> StockLevel {
        StockLevel {
            on_hand: None,
            ..stock_level(name, 0)
        }
    }

    #[test]
    fn a_line_is_counted_untracked_uncounted_or_unmapped() {
        let row = |row: MappingRow| Mapping::from([(MappingKey::Product(id("fprod_a")), row)]);
        let (none, own) = (Mapping::new(), Some("A"));
        let untracked = row(MappingRow {
            untracked: true,
            ..MappingRow::default()
        });
        let grants = row(MappingRow {
            grants: Some(Grant {
                name: id("course"),
                days: None,
            }),
            ..MappingRow::default()
        });
        let marked = StockLevel {
            untracked: true,
            ..uncounted("A")
        };
        let a = || sku("A");
        for (own, mapping, level, expected) in [
            (
                own,
                &none,
                stock_level("A", 3),
                LineStock::Counted { sku: a() },
            ),
            (
                own,
                &none,
                uncounted("A"),
                LineStock::Uncounted { sku: a() },
            ),
            (own, &none, marked, LineStock::Untracked { sku: Some(a()) }),
            (
                own,
                &untracked,
                stock_level("A", 3),
                LineStock::Untracked { sku: Some(a()) },
            ),
            (
                own,
                &grants,
                stock_level("A", 3),
                LineStock::Counted { sku: a() },
            ),
            (
                own,
                &grants,
                uncounted("A"),
                LineStock::Untracked { sku: Some(a()) },
            ),
            (
                None,
                &untracked,
                uncounted("A"),
                LineStock::Untracked { sku: None },
            ),
            (
                None,
                &grants,
                uncounted("A"),
                LineStock::Untracked { sku: None },
            ),
            (None, &none, uncounted("A"), LineStock::Unmapped),
        ] {
            let plan = planned(&[line("a", 1, 100, own)], mapping, &[level]);
            let is_report = matches!(expected, LineStock::Uncounted { .. } | LineStock::Unmapped);
            assert_eq!(plan.lines, [expected]);
            assert_eq!(
                plan.to_report.len(),
                usize::from(is_report),
                "{:?}",
                plan.lines
            );
        }
    }

    #[test]
    fn sizes_that_share_a_product_and_its_barcode_are_counted_by_their_prices() {
        let size = |name: &str, quantity| LineItem {
            product_id: Some(id("fprod_brace")),
            ..line(name, quantity, 2499, Some("0850001234567"))
        };
        let to = |of: &str| MappingRow {
            maps_to: Some(sku(of)),
            ..MappingRow::default()
        };
        let mapping = Mapping::from([
            (MappingKey::Price(id("fprice_s")), to("BRACE-S")),
            (MappingKey::Price(id("fprice_m")), to("BRACE-M")),
        ]);
        let levels = [stock_level("BRACE-S", 10), stock_level("BRACE-M", 10)];
        let plan = planned(&[size("s", 1), size("m", 2)], &mapping, &levels);
        let moved = |movement: &Movement| (movement.sku.to_string(), movement.deducted);
        let moved: Vec<_> = plan.movements.iter().map(moved).collect();
        assert_eq!(
            moved,
            [("BRACE-M".to_owned(), 2), ("BRACE-S".to_owned(), 1)]
        );
    }

    #[test]
    fn what_is_not_counted_is_reported_once_for_each_sku_or_product() {
        let lines = [
            line("a", 1, 100, Some("A")),
            line("b", 1, 100, Some("A")),
            line("c", 1, 100, None),
        ];
        let (mut level, mut mapping) = (uncounted("A"), Mapping::new());
        let product = MappingKey::Product(id("fprod_c"));
        let first = planned(&lines, &mapping, std::slice::from_ref(&level));
        assert_eq!(
            first.to_report,
            [
                Uncounted::Sku(sku("A")),
                Uncounted::Unmapped(product.clone())
            ]
        );
        level.is_reported = true;
        let reported = MappingRow {
            is_reported: true,
            ..MappingRow::default()
        };
        mapping.insert(product, reported);
        assert_eq!(planned(&lines, &mapping, &[level]).to_report, []);
        let many: Vec<_> = (0..90)
            .map(|n| line(&n.to_string(), 1, 100, None))
            .collect();
        let plan = planned(&many, &Mapping::new(), &[]);
        assert_eq!(plan.to_report.len(), MOST_REPORTS);
    }

    #[test]
    fn what_is_back_already_does_not_go_back_again() {
        let sku = sku("BRACE");
        let movement = Movement {
            sku: sku.clone(),
            order_id: order_id(),
            quantity: 2,
            deducted: 2,
            moved_at: Timestamp::UNIX_EPOCH,
            is_open: false,
            is_reserved: false,
            restocked: 1,
            restocked_at: Some(at(NOW)),
            restocked_earlier: 0,
        };
        let stock_levels = [StockLevel {
            moved: Some(movement),
            ..stock_level("BRACE", 8)
        }];
        let pieces = |back| {
            let back = BTreeMap::from([(sku.clone(), back)]);
            let planned = restocks(&stock_levels, &back, at(NOW));
            planned
                .iter()
                .map(|planned| planned.pieces)
                .collect::<Vec<_>>()
        };
        assert_eq!([pieces(0), pieces(1), pieces(2)], [vec![], vec![], vec![1]]);
    }

    #[test]
    fn units_came_back_since_a_moment_by_the_time_of_the_last_restock() {
        let moved = |moved_at, restocked, restocked_at: Option<i64>, restocked_earlier| Movement {
            restocked,
            restocked_at: restocked_at.map(at),
            restocked_earlier,
            ..movement(&order_id(), &sku("A"), 4, 4, at(moved_at))
        };
        for (movement, units, unclear) in [
            (moved(90, 0, None, 0), 0, 0),
            (moved(90, 3, Some(100), 1), 0, 0),
            (moved(90, 3, Some(101), 0), 3, 0),
            (moved(90, 3, Some(101), 1), 2, 1),
            (moved(101, 3, Some(102), 1), 3, 0),
        ] {
            let back = movement.back_since(at(100));
            assert_eq!((back.units, back.unclear), (units, unclear), "{movement:?}");
        }
    }
}
