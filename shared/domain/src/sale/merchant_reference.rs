//! The paid orders that share one of the merchant's references.

use crate::values::ids::OrderId;
use serde::{Deserialize, Serialize};

/// The paid orders with one merchant reference: a row of the Links table.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct MerchantReference {
    pub reference: String,
    /// Counts changes, from 1.
    pub version: u64,
    /// The first orders, at most [`MerchantReference::MOST`].
    pub order_ids: Vec<OrderId>,
}

impl MerchantReference {
    /// The most orders that are kept. A reference that many orders share is not an order number,
    /// and a row that every order writes would delay all of them.
    pub const MOST: usize = 10;
}
