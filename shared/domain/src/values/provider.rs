//! The payment providers.

use serde::{Deserialize, Serialize};
use std::{fmt, str::FromStr};

/// Who sends.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Provider {
    /// withflex.com: HSA/FSA checkout.
    Flex,
}

impl fmt::Display for Provider {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Flex => "flex",
        })
    }
}

/// No provider of that name.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("no such provider")]
pub struct UnknownProvider;

impl FromStr for Provider {
    type Err = UnknownProvider;

    fn from_str(text: &str) -> Result<Self, UnknownProvider> {
        match text {
            "flex" => Ok(Self::Flex),
            _ => Err(UnknownProvider),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_provider_is_known_by_its_name() {
        assert_eq!("flex".parse(), Ok(Provider::Flex));
        assert_eq!(Provider::Flex.to_string(), "flex");
        assert_eq!("Flex".parse::<Provider>(), Err(UnknownProvider));
    }
}
