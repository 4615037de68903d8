//! The name of a payment provider, and what it does itself.

use crate::values::ids::BadId;
use serde::{Deserialize, Serialize};
use std::{fmt, str::FromStr};

/// The longest name of a provider.
const MAX_LENGTH: usize = 32;

/// The name of a payment provider, as in the path of its webhook: small letters, digits and `_`.
///
/// Only `shared/providers` says which providers there are.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct ProviderId(String);

impl ProviderId {
    /// The name.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for ProviderId {
    type Err = BadId;

    fn from_str(text: &str) -> Result<Self, BadId> {
        let is_allowed =
            |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'_';
        match text.len() {
            0 => Err(BadId::Empty),
            1..=MAX_LENGTH if text.bytes().all(is_allowed) => Ok(Self(text.to_owned())),
            1..=MAX_LENGTH => Err(BadId::Character),
            _ => Err(BadId::TooLong(MAX_LENGTH)),
        }
    }
}

impl TryFrom<String> for ProviderId {
    type Error = BadId;

    fn try_from(text: String) -> Result<Self, BadId> {
        text.parse()
    }
}

impl From<ProviderId> for String {
    fn from(id: ProviderId) -> Self {
        id.0
    }
}

impl fmt::Display for ProviderId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// The party that does a part of the work on a sale.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Party {
    Us,
    Provider,
}

/// The effect of HSA/FSA eligibility on receipts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum EligibilityPolicy {
    /// The provider certifies it, so receipts state it: for each line, and as sums.
    Stated,
    /// The provider knows no HSA/FSA, so receipts omit it.
    Omitted,
}

/// The relation between the ids of a provider's deliveries and of its events.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DeliveryIds {
    /// The carrier gives each message an id of another kind.
    Carrier,
    /// The signed header carries the event's id, which the body must repeat.
    Event,
}

/// The bytes of a redelivery.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Redelivery {
    /// The same event has the same content. Another one under its id is a conflict.
    Same,
    /// The provider may encode the event again, in another version of its API.
    Reencoded,
}

/// The tasks that a provider does itself, and its certificates. It decides what fulfillment makes of the provider's events.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ProviderPolicies {
    pub eligibility: EligibilityPolicy,
    /// The sender of receipts and notices. If it is the provider, fulfillment makes no mail.
    pub receipts: Party,
    /// The party that counts the goods. If it is the provider, no order moves stock.
    pub stock: Party,
    /// The party that records the movements of money. If it is the provider, its balance transactions are the only ones;
    /// otherwise orders make them.
    pub movements: Party,
    pub delivery_ids: DeliveryIds,
    pub redelivery: Redelivery,
}

impl ProviderPolicies {
    /// For a provider that certifies eligibility and leaves all work to us.
    pub const OURS: Self = Self {
        eligibility: EligibilityPolicy::Stated,
        receipts: Party::Us,
        stock: Party::Us,
        movements: Party::Us,
        delivery_ids: DeliveryIds::Carrier,
        redelivery: Redelivery::Same,
    };
}

/// No provider of this stack has that name.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("no such provider")]
pub struct UnknownProvider;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_provider_has_a_short_name_in_small_letters() {
        assert_eq!("flex".parse::<ProviderId>().unwrap().to_string(), "flex");
        for (text, why) in [
            ("", BadId::Empty),
            ("Flex", BadId::Character),
            ("fl-ex", BadId::Character),
            ("é", BadId::Character),
        ] {
            assert_eq!(text.parse::<ProviderId>(), Err(why), "{text:?}");
        }
        let long = "a".repeat(33);
        assert_eq!(long.parse::<ProviderId>(), Err(BadId::TooLong(32)));
    }
}
