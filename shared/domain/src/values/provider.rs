//! The name of a payment provider.

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
