//! The test kit.

pub mod drive;
pub mod fakes;
