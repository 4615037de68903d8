//! Stock is ours: the provider only tells what was sold
//! (<https://docs.withflex.com/api-reference/checkout-sessions/get-line-items>: its line items are read-only).
//!
//! One movement for each order and SKU, however many lines share the SKU. A movement is its own once-marker: it
//! is written with its counter, or not at all, and never again.

use crate::{
    sale::checkout::LineItem,
    values::ids::{OrderId, PriceId, ProductId, Sku},
};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// What a line is of, for the mapping rows: used only where the product names no SKU itself.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Unnamed {
    /// By the provider's product.
    Product(ProductId),
    /// By the provider's price.
    Price(PriceId),
}

/// The merchant's explicit rows from a provider's product or price to a SKU.
pub type Mapping = BTreeMap<Unnamed, Sku>;

/// Stock as read, for one SKU and one order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StockLevel {
    /// Which SKU.
    pub sku: Sku,
    /// How many are there; `None` where the merchant keeps no counter for it.
    pub on_hand: Option<i64>,
    /// What this order has already moved, if it has.
    pub moved: Option<Movement>,
}

/// One order's movement of one SKU.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Movement {
    /// Which SKU.
    pub sku: Sku,
    /// For which order.
    pub order_id: OrderId,
    /// How many were sold.
    pub quantity: i64,
    /// How many the counter went down by: less than `quantity` when the shelf was short.
    pub deducted: i64,
    /// How many of those are back on the shelf, after refunds.
    #[serde(default)]
    pub restocked: i64,
    /// When.
    #[serde(with = "jiff::fmt::serde::timestamp::second::required")]
    pub moved_at: Timestamp,
}

impl Movement {
    /// How many were paid for and are not there.
    #[must_use]
    pub fn short(&self) -> i64 {
        self.quantity - self.deducted
    }
}

/// What a line means for stock.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "stock", rename_all = "snake_case")]
pub enum LineStock {
    /// Counted under this SKU.
    Counted {
        /// Which.
        sku: Sku,
    },
    /// The SKU is known and the merchant keeps no counter for it.
    Untracked {
        /// Which.
        sku: Sku,
    },
    /// The order is not paid for yet, so nothing is moved.
    Waiting,
    /// Neither the product nor a mapping row names a SKU: a person should add one.
    Unmapped,
}

/// The SKU of a line: named by the product itself, else by a mapping row for its price or its product.
///
/// The price goes first because it is the narrower of the two.
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

/// The mapping rows worth reading for these lines.
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

/// The SKUs worth reading for these lines.
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

/// What an order does to the shelves.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StockPlan {
    /// For each line in turn.
    pub lines: Vec<LineStock>,
    /// All movements of the order, those already written among them.
    pub movements: Vec<Movement>,
    /// Those still to write, each with the count that was read.
    pub to_write: Vec<Deduction>,
}

/// A movement to write, and the condition under which it is right.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Deduction {
    /// What to write.
    pub movement: Movement,
    /// The counter as read. Enough: any count that is still enough will do. Short: only this very count.
    pub on_hand: i64,
}

/// Goods to put back on the shelf, and the condition under which it is right: that as many are back as was read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Restock {
    /// Which SKU.
    pub sku: Sku,
    /// Of which order.
    pub order_id: OrderId,
    /// How many were back when it was read.
    pub seen: i64,
    /// How many go back now; more than none.
    pub pieces: i64,
}

/// Plans what goes back on the shelves until as much is back as `back` says. Never takes anything out again.
#[must_use]
pub fn returns(stock_levels: &[StockLevel], back: &BTreeMap<Sku, i64>) -> Vec<Restock> {
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

/// Plans the movements of an order. Never below zero: what the shelf lacks is recorded as short.
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
            let planned = returns(&stock_levels, &BTreeMap::from([(sku.clone(), back)]));
            planned
                .iter()
                .map(|planned| planned.pieces)
                .collect::<Vec<_>>()
        };
        assert_eq!([pieces(0), pieces(1), pieces(2)], [vec![], vec![], vec![1]]);
    }
}
