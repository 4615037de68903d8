//! Identifiers as types, so that two kinds are never confused.

pub use crate::values::sku::Sku;

use serde::{Deserialize, Serialize};
use std::fmt;

/// The longest accepted identifier. Providers use about 30 characters; a DynamoDB sort key holds
/// 1,024 bytes.
pub const MAX_ID_LENGTH: usize = 255;
/// The longest receipt id. With a mark and in base64 it has 256 characters, the most that an SES message tag holds.
pub const MAX_RECEIPT_ID_LENGTH: usize = 189;
/// The longest id of a transaction: any other id with a suffix.
pub const MAX_TRANSACTION_ID_LENGTH: usize = MAX_ID_LENGTH + 8;

/// The reason why a text is not an identifier.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BadId {
    #[error("identifier is empty")]
    Empty,
    /// Longer than its type allows.
    #[error("identifier is longer than {0} characters")]
    TooLong(usize),
    /// A space, a control character, or a character outside ASCII.
    #[error("identifier has a character that is not printable ASCII")]
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
    /// The carrier's id of a message (`svix-id`, `msg_…`), the same on every redelivery.
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
    /// A customer of the provider (`fcus_…`).
    CustomerId
);
id!(
    /// A payment intent (`fpi_…`); a split cart has two.
    PaymentIntentId
);
id!(
    /// A refund (`fre_…`): the once-key of all effects of a refund.
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
    /// The source of a customer's access: a subscription, or an order for one-time access.
    Grantor
);
id!(
    /// An invoice of a subscription (`fin_…`): the once-key of a period's payment.
    InvoiceId
);
id!(
    /// An attempt to pay an invoice (`invpa_…`).
    PaymentAttemptId
);
id!(
    /// A balance transaction (`btxn_…`): one movement of the merchant's balance.
    TransactionId, MAX_TRANSACTION_ID_LENGTH
);
id!(
    /// A payout to the merchant's bank.
    PayoutId
);
id!(
    /// A saved payment method (`pm_…`).
    PaymentMethodId
);
id!(
    /// A merchant account at the provider (`mer_…`).
    MerchantId
);
id!(
    /// A hosted checkout session (`cs_…`) of a provider that sells orders.
    CheckoutSessionId
);
id!(
    /// A fulfillment of an order (`ful_…`).
    FulfillmentId
);
id!(
    /// A line of a sale (`fli_…`).
    LineItemId
);
id!(
    /// A product of the provider (`fprod_…`).
    ProductId
);
id!(
    /// A price of the provider (`fprice_…`); a change of the amount creates a new one.
    PriceId
);
id!(
    /// The id that SES gives an accepted mail.
    MessageId
);
id!(
    /// The thing and state that an event reports: `refund:fre_…:succeeded`. Two events with the
    /// same value are equivalent.
    ReferenceState
);
id!(
    /// The owner of a lease: unique for each attempt, so only the owner may mark.
    OwnerToken
);

/// The prefix of the key of a second body under a known event id.
pub(crate) const OTHER_BODY: &str = "other-body";

impl From<&SubscriptionId> for Grantor {
    fn from(id: &SubscriptionId) -> Self {
        Self(id.0.clone())
    }
}

impl From<&OrderId> for Grantor {
    fn from(id: &OrderId) -> Self {
        Self(id.0.clone())
    }
}

impl EventId {
    /// A key for a body without a usable id. Never exceeds the longest id.
    pub(crate) fn of_body(what: &'static str, fingerprint: &str) -> Self {
        Self(format!("{what}:{fingerprint}"))
    }

    /// True for the key of a second body under the id of another event.
    #[must_use]
    pub fn is_other_body(&self) -> bool {
        self.0.starts_with(OTHER_BODY) && self.0.as_bytes().get(OTHER_BODY.len()) == Some(&b':')
    }
}

impl From<&InvoiceId> for OrderId {
    /// A paid renewal is an order under the id of its invoice.
    fn from(invoice: &InvoiceId) -> Self {
        Self(invoice.0.clone())
    }
}

/// A provider that reports no balance transactions moves money once with each of these.
impl From<&PaymentIntentId> for TransactionId {
    fn from(id: &PaymentIntentId) -> Self {
        Self(format!("{id}-payment"))
    }
}

impl From<&RefundId> for TransactionId {
    fn from(id: &RefundId) -> Self {
        Self(format!("{id}-refund"))
    }
}

impl From<&DisputeId> for TransactionId {
    fn from(id: &DisputeId) -> Self {
        Self(format!("{id}-dispute"))
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
