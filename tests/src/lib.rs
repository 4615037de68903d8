//! The test kit.

pub mod backlog;
pub mod drive;
pub mod fakes;
pub mod life;
pub mod play;
pub mod reconciling;
pub mod ses;
pub mod shop;
pub mod signed;
pub mod simulation;
pub mod stack;
pub mod stand_in;
pub mod story;
pub mod sweeping;
