//! Stock belongs to the merchant: the provider only reports the sold items
//! (<https://docs.withflex.com/api-reference/checkout-sessions/get-line-items>: its line items are
//! read-only).
//!
//! Each order has one movement for each SKU, even if several lines share the SKU. A movement is a
//! once-marker: it is written together with its counter, or not at all, and never again.

use crate::{
    sale::checkout::LineItem,
    values::ids::{OrderId, PriceId, ProductId, Sku},
};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// The key of a mapping row, used only if the product names no SKU.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Unnamed {
    Product(ProductId),
    Price(PriceId),
}

/// The merchant's mapping rows from a provider's product or price to a SKU.
pub type Mapping = BTreeMap<Unnamed, Sku>;

/// The stock level as read, for one SKU and one order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StockLevel {
    pub sku: Sku,
    /// The counter; `None` if the merchant does not count this SKU.
    pub on_hand: Option<i64>,
    /// The order's movement, if it is already written.
    pub moved: Option<Movement>,
}

/// One order's movement of one SKU.
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
    #[serde(with = "jiff::fmt::serde::timestamp::second::required")]
    pub moved_at: Timestamp,
}

impl Movement {
    /// The number of units that are paid but not in stock.
    #[must_use]
    pub fn short(&self) -> i64 {
        self.quantity - self.deducted
    }
}

/// The effect of a line on stock.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "stock", rename_all = "snake_case")]
pub enum LineStock {
    /// Counted under this SKU.
    Counted { sku: Sku },
    /// The SKU is known, but the merchant does not count it.
    Untracked { sku: Sku },
    /// The order is not paid yet, so nothing is moved.
    Waiting,
    /// Neither the product nor a mapping row names a SKU: the merchant should add one.
    Unmapped,
}

/// The SKU of a line: named by the product, else by a mapping row for its price or its product.
///
/// The price comes first because it is more specific.
#[must_use]
pub fn sku_of<'a>(line: &'a LineItem, mapping: &'a Mapping) -> Option<&'a Sku> {
    line.sku
        .as_ref()
        .or_else(|| {
            line.price_id
                .as_ref()
                .and_then(|id| mapping.get(&Unnamed::Price(id.clone())))
        })
        .or_else(|| {
            line.product_id
                .as_ref()
                .and_then(|id| mapping.get(&Unnamed::Product(id.clone())))
        })
}

/// The mapping rows to read for these lines.
#[must_use]
pub fn unnamed(lines: &[LineItem]) -> Vec<Unnamed> {
    let mut wanted: Vec<Unnamed> = lines
        .iter()
        .filter(|line| line.sku.is_none())
        .flat_map(|line| {
            let price = line.price_id.clone().map(Unnamed::Price);
            let product = line.product_id.clone().map(Unnamed::Product);
            price.into_iter().chain(product)
        })
        .collect();
    wanted.sort();
    wanted.dedup();
    wanted
}

/// The SKUs to read for these lines.
#[must_use]
pub fn skus(lines: &[LineItem], mapping: &Mapping) -> Vec<Sku> {
    let mut wanted: Vec<Sku> = lines
        .iter()
        .filter_map(|line| sku_of(line, mapping).cloned())
        .collect();
    wanted.sort();
    wanted.dedup();
    wanted
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
}

/// A movement to write, with its condition.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Deduction {
    pub movement: Movement,
    /// The counter as read. If it covers the movement, any sufficient count satisfies the
    /// condition; if it is short, only exactly this count does.
    pub on_hand: i64,
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
}

/// Plans the restocks until `back` units of each SKU are back. Never deducts again.
#[must_use]
pub fn restocks(stock_levels: &[StockLevel], back: &BTreeMap<Sku, i64>) -> Vec<Restock> {
    let moved = stock_levels
        .iter()
        .filter(|stock_level| stock_level.on_hand.is_some())
        .filter_map(|stock_level| stock_level.moved.as_ref());
    moved
        .filter_map(|movement| {
            let pieces = back.get(&movement.sku)?.saturating_sub(movement.restocked);
            (pieces > 0).then(|| Restock {
                sku: movement.sku.clone(),
                order_id: movement.order_id.clone(),
                seen: movement.restocked,
                pieces,
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
    let shelf_of = |sku: &Sku| {
        stock_levels
            .iter()
            .find(|stock_level| stock_level.sku == *sku)
    };
    let mut sold: BTreeMap<&Sku, i64> = BTreeMap::new();
    let mut line_stock = Vec::with_capacity(lines.len());
    for line in lines {
        line_stock.push(match sku_of(line, mapping) {
            None => LineStock::Unmapped,
            Some(sku) => {
                let counted = shelf_of(sku).is_some_and(|stock_level| {
                    stock_level.on_hand.is_some() || stock_level.moved.is_some()
                });
                if counted {
                    let quantity = sold.entry(sku).or_default();
                    *quantity = quantity.saturating_add(i64::from(line.quantity));
                    LineStock::Counted { sku: sku.clone() }
                } else {
                    LineStock::Untracked { sku: sku.clone() }
                }
            }
        });
    }
    let mut movements = Vec::new();
    let mut to_write = Vec::new();
    for (sku, quantity) in sold {
        let Some(stock_level) = shelf_of(sku) else {
            continue;
        };
        if let Some(moved) = &stock_level.moved {
            movements.push(moved.clone());
        } else if let Some(on_hand) = stock_level.on_hand {
            let deducted = quantity.min(on_hand.max(0));
            let movement = Movement {
                sku: sku.clone(),
                order_id: order_id.clone(),
                quantity,
                deducted,
                restocked: 0,
                moved_at: now,
            };
            movements.push(movement.clone());
            to_write.push(Deduction { movement, on_hand });
        }
    }
    StockPlan {
        lines: line_stock,
        movements,
        to_write,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_back_already_does_not_go_back_again() {
        let sku = Sku::new("BRACE").unwrap();
        let movement = Movement {
            sku: sku.clone(),
            order_id: OrderId::new("fcs_1").unwrap(),
            quantity: 2,
            deducted: 2,
            moved_at: Timestamp::UNIX_EPOCH,
            restocked: 1,
        };
        let stock_levels = [StockLevel {
            sku: sku.clone(),
            on_hand: Some(8),
            moved: Some(movement),
        }];
        let pieces = |back| {
            let planned = restocks(&stock_levels, &BTreeMap::from([(sku.clone(), back)]));
            planned
                .iter()
                .map(|planned| planned.pieces)
                .collect::<Vec<_>>()
        };
        assert_eq!([pieces(0), pieces(1), pieces(2)], [vec![], vec![], vec![1]]);
    }
}
