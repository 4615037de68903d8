//! The reasons to keep the goods of a paid order back. The order is decided again when a reason ends.

use serde::{Deserialize, Serialize};

/// A reason to keep an order's goods and receipt back.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, strum::Display,
)]
#[serde(rename_all = "snake_case")]
#[strum(serialize_all = "snake_case")]
pub enum Hold {
    /// A bank or the provider holds a payment.
    Payment,
    /// The provider could not commit the goods of the paid order.
    Inventory,
    /// All money went back before the goods went out.
    Refund,
    /// A part of the money went back before the goods went out. A person decides whether they go.
    PartialRefund,
    /// The provider reported an exception whose end it does not report. A person ends it.
    Exception,
}

impl Hold {
    /// True for a reason that is none any more once the goods are out.
    #[must_use]
    pub fn ends_with_fulfillment(self) -> bool {
        matches!(self, Self::Refund | Self::PartialRefund)
    }
}
