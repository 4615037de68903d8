//! Plain values that every other room uses.

pub mod class;
pub mod facts;
pub mod fingerprint;
pub mod ids;
pub mod mode;
pub mod money;
pub mod note;
pub mod outcome;
pub mod provider;
pub mod scope;
pub mod size;
pub mod sku;
