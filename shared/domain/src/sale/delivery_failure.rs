//! Why a customer may not have a mail.

use serde::{Deserialize, Serialize};
use std::fmt;

/// Why a customer may not have a receipt, as the order keeps it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum DeliveryFailure {
    /// It came back.
    Bounced,
    /// It arrived, and the recipient calls it spam.
    Complained,
    /// SES would not send it.
    Refused,
}

impl fmt::Display for DeliveryFailure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Bounced => "bounced",
            Self::Complained => "complained",
            Self::Refused => "refused",
        })
    }
}
