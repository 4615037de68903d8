//! The second provider of a shop: what happens at Flint, its API in memory, and what must come of it.
//!
//! Flint's things are JSON. The product's own client and translation read them, so only the network is left out.

pub mod api;
pub mod end;
pub mod plan;

/// True for an id of a thing of Flint's: the ids of Flex begin otherwise.
pub fn is_of_flint(id: &str) -> bool {
    ["ord_", "cus_fl_", "sub_fl_", "whev_", "pi_"]
        .iter()
        .any(|start| id.starts_with(start))
}
