//! The reason why a customer may lack a mail.

use serde::{Deserialize, Serialize};

/// The failure of a receipt's delivery, as the order keeps it.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, strum::Display,
)]
#[serde(rename_all = "snake_case")]
#[strum(serialize_all = "snake_case")]
pub enum DeliveryFailure {
    /// The mail bounced.
    Bounced,
    /// The mail arrived, and the recipient reported it as spam.
    Complained,
    /// SES rejected the mail.
    Refused,
}
