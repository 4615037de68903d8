//! The reason why a customer may lack a mail.

use serde::{Deserialize, Serialize};
use std::fmt;

/// The failure of a receipt's delivery, as the order keeps it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum DeliveryFailure {
    /// The mail bounced.
    Bounced,
    /// The mail arrived, and the recipient reported it as spam.
    Complained,
    /// SES rejected the mail.
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
