//! Identifiers as types, so that one is never taken for another.

use serde::{Deserialize, Serialize};
use std::fmt;

/// The longest identifier we take. Providers' are about 30 characters; a DynamoDB sort key holds 1,024 bytes.
pub const MAX_ID_LENGTH: usize = 255;
/// The longest receipt id: base64 makes 256 characters of it, the most that an SES message tag holds.
pub const MAX_RECEIPT_ID_LENGTH: usize = 192;

/// Why a text is not an identifier.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BadId {
    /// Nothing there.
    #[error("an identifier is empty")]
    Empty,
    /// Longer than its type allows.
    #[error("an identifier is longer than {0} characters")]
    TooLong(usize),
    /// A space, a control character, or something beyond ASCII.
    #[error("an identifier has a character that is not printable ASCII")]
    Character,
}

fn checked(text: String, most: usize) -> Result<String, BadId> {
    if text.is_empty() {
        return Err(BadId::Empty);
    }
    if text.len() > most {
        return Err(BadId::TooLong(most));
    }
    if !text.bytes().all(|byte| byte.is_ascii_graphic()) {
        return Err(BadId::Character);
    }
    Ok(text)
}

macro_rules! id {
    ($(#[$doc:meta])* $name:ident) => {
        id!($(#[$doc])* $name, MAX_ID_LENGTH);
    };
    ($(#[$doc:meta])* $name:ident, $most:ident) => {
        $(#[$doc])*
        #[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
        #[serde(try_from = "String", into = "String")]
        pub struct $name(String);

        impl $name {
            #[doc = concat!("Takes 1 to [`", stringify!($most), "`] printable ASCII characters without spaces; case counts.")]
            pub fn new(text: impl Into<String>) -> Result<Self, BadId> {
                checked(text.into(), $most).map(Self)
            }

            /// The text as given.
            #[must_use]
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }

        impl TryFrom<String> for $name {
            type Error = BadId;
            fn try_from(text: String) -> Result<Self, BadId> {
                Self::new(text)
            }
        }

        impl From<$name> for String {
            fn from(id: $name) -> Self {
                id.0
            }
        }
    };
}

id!(
    /// The provider's id of an event (`fevt_…`): layer one of "once".
    EventId
);
id!(
    /// The carrier's id of a message (`svix-id`, `msg_…`): the same on every resend of that message.
    DeliveryId
);
id!(
    /// The order: the provider's checkout session id (`fcs_…`), layer two of "once".
    OrderId
);
id!(
    /// A receipt: one for each order and kind.
    ReceiptId, MAX_RECEIPT_ID_LENGTH
);
id!(
    /// The merchant's stock keeping unit.
    Sku
);
id!(
    /// The provider's customer (`fcus_…`).
    CustomerId
);
id!(
    /// A payment intent (`fpi_…`); a split cart has two.
    PaymentIntentId
);
id!(
    /// A refund (`fre_…`): the once-key of everything that a refund does.
    RefundId
);
id!(
    /// A dispute (`fdsp_…`), which a bank opens on a payment.
    DisputeId
);
id!(
    /// A subscription (`fsub_…`).
    SubscriptionId
);
id!(
    /// An invoice of a subscription (`fin_…`): the once-key of a period's payment.
    InvoiceId
);
id!(
    /// A line of a checkout (`fli_…`).
    LineItemId
);
id!(
    /// The provider's product (`fprod_…`).
    ProductId
);
id!(
    /// The provider's price (`fprice_…`); replaced by a new one whenever its amount changes.
    PriceId
);
id!(
    /// The mail provider's id of an accepted message.
    MessageId
);
id!(
    /// What an event tells, of what: `refund:fre_…:succeeded`. Two events of one subject tell the same.
    ReferenceState
);
id!(
    /// Who holds a claim: unique for each attempt, so that only the claimant may mark.
    OwnerToken
);

/// What the key of a second body under a known id begins with.
pub(crate) const OTHER_BODY: &str = "other-body";

impl EventId {
    /// A key of our own, for a body that has no id to be stored under: never longer than an id may be.
    pub(crate) fn of_body(what: &'static str, fingerprint: &str) -> Self {
        Self(format!("{what}:{fingerprint}"))
    }

    /// Whether it is the key of a second body under the id of another event.
    #[must_use]
    pub fn is_other_body(&self) -> bool {
        self.0.starts_with(OTHER_BODY) && self.0.as_bytes().get(OTHER_BODY.len()) == Some(&b':')
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_identifier_is_short_printable_ascii() {
        assert_eq!(EventId::new(""), Err(BadId::Empty));
        assert_eq!(EventId::new("a".repeat(256)), Err(BadId::TooLong(255)));
        for bad in ["a b", "a\n", "é", "a\u{0}"] {
            assert_eq!(EventId::new(bad), Err(BadId::Character), "{bad:?}");
        }
        assert_eq!(
            EventId::new("fevt_01HW6AXK8QPNABRXQZAN5F882A")
                .map(String::from)
                .as_deref(),
            Ok("fevt_01HW6AXK8QPNABRXQZAN5F882A")
        );
    }

    #[test]
    fn the_key_of_a_second_body_is_told_from_an_id() {
        assert!(EventId::of_body(OTHER_BODY, "2cf24dba").is_other_body());
        for id in [
            "fevt_1",
            "other-body",
            "other-bodyguard",
            "unreadable:2cf24dba",
        ] {
            assert!(!EventId::new(id).unwrap().is_other_body(), "{id}");
        }
    }

    #[test]
    fn a_stored_identifier_is_checked_when_read() {
        assert!(serde_json::from_str::<OrderId>("\"fcs_1\"").is_ok());
        assert!(serde_json::from_str::<OrderId>("\"\"").is_err());
    }
}
