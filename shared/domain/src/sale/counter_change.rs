//! A change of a counter by hand, as a row beside the counter keeps it.

use crate::values::ids::Sku;
use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};
use serde_with::skip_serializing_none;

/// How long a change is kept, in days: a yearly count still finds the one before it. Without an end, a shop that imports
/// its counts each night would add a row for each SKU and night for ever.
pub const KEPT_DAYS: i64 = 400;

/// What changed a counter.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, strum::Display)]
#[serde(rename_all = "snake_case")]
#[strum(serialize_all = "snake_case")]
pub enum ChangeKind {
    /// One SKU was counted.
    Count,
    /// Units of one SKU arrived, or were taken away.
    Receive,
    /// A file of counts or of arrived units.
    Import,
}

/// A change of a counter by hand.
#[skip_serializing_none]
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CounterChange {
    pub sku: Sku,
    pub kind: ChangeKind,
    /// The counter before; `None` if there was none.
    pub before: Option<i64>,
    /// The counter after.
    pub after: i64,
    /// When the units were counted; `None` for units that arrived.
    #[serde(default, with = "jiff::fmt::serde::timestamp::second::optional")]
    pub counted_at: Option<Timestamp>,
    /// The time of the change.
    #[serde(with = "jiff::fmt::serde::timestamp::second::required")]
    pub at: Timestamp,
    /// The operator.
    pub by: String,
    /// The reason, without personal data.
    pub why: String,
}

impl CounterChange {
    /// The units that the counter gained; negative if it lost some.
    #[must_use]
    pub fn difference(&self) -> i64 {
        self.after.saturating_sub(self.before.unwrap_or_default())
    }

    /// The time from which the row may be deleted.
    #[must_use]
    pub fn expires_at(&self) -> Timestamp {
        let kept = SignedDuration::from_hours(KEPT_DAYS * 24);
        self.at.saturating_add(kept).unwrap_or(Timestamp::MAX)
    }
}
