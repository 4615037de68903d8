//! `till order`: everything about one order, from any id that leads to it.

pub mod attention;
pub mod customer;
pub mod find;
pub mod gather;
pub mod missing;
pub mod text;
pub mod timeline;
pub mod view;
