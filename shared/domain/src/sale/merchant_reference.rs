//! The paid orders under one of the merchant's own references.

use crate::values::ids::OrderId;
use serde::{Deserialize, Serialize};

/// Which paid orders there are under one reference of the merchant's: a row of the Links table.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct MerchantReference {
    /// The merchant's own reference.
    pub reference: String,
    /// Counts the changes, from 1.
    pub version: u64,
    /// The first of them: see [`MerchantReference::MOST`].
    pub order_ids: Vec<OrderId>,
}

impl MerchantReference {
    /// How many orders are kept. Whoever gives one reference to many orders does not number orders with it, and a row
    /// that every order writes would hold all of them up.
    pub const MOST: usize = 10;
}
