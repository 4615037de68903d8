//! Live money or test money: the two never mix.

use serde::{Deserialize, Serialize};
use std::{fmt, str::FromStr};

/// What a stack, an API key or a checkout deals in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Mode {
    /// Real payments by real people.
    Live,
    /// The provider's test mode.
    Test,
}

impl fmt::Display for Mode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Live => "live",
            Self::Test => "test",
        })
    }
}

/// The text is neither `live` nor `test`.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the mode must be `live` or `test`")]
pub struct BadMode;

impl FromStr for Mode {
    type Err = BadMode;

    fn from_str(text: &str) -> Result<Self, BadMode> {
        match text {
            "live" => Ok(Self::Live),
            "test" => Ok(Self::Test),
            _ => Err(BadMode),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mode_is_one_of_two_words() {
        for mode in [Mode::Live, Mode::Test] {
            assert_eq!(mode.to_string().parse(), Ok(mode));
        }
        assert_eq!(("live".parse(), "Live".parse::<Mode>()), (Ok(Mode::Live), Err(BadMode)));
    }
}
