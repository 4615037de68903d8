//! Live money or test money, never mixed.

use serde::{Deserialize, Serialize};
use std::{fmt, str::FromStr};

/// The mode of a stack, an API key or a sale.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Mode {
    /// Real payments.
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

/// A stack that holds rows of one mode was deployed in the other.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error(
    "this stack began with Mode={first} and is deployed with Mode={deployed}: \
     deploy it with Mode={first} again, and a second stack with Mode={deployed}"
)]
pub struct OtherMode {
    pub first: Mode,
    pub deployed: Mode,
}

impl Mode {
    /// Refuses a mode other than the stack's first: live orders would be fulfilled from test stock.
    /// `None` means that the stack has no rows yet.
    pub fn check(self, first: Option<Self>) -> Result<(), OtherMode> {
        match first {
            Some(first) if first != self => Err(OtherMode {
                first,
                deployed: self,
            }),
            _ => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stack_stays_in_its_first_mode() {
        for mode in [Mode::Live, Mode::Test] {
            assert_eq!((mode.check(None), mode.check(Some(mode))), (Ok(()), Ok(())));
        }
        let refused = Mode::Live.check(Some(Mode::Test)).unwrap_err();
        assert_eq!(
            refused,
            OtherMode {
                first: Mode::Test,
                deployed: Mode::Live
            }
        );
        assert!(
            refused
                .to_string()
                .contains("deploy it with Mode=test again, and a second stack with Mode=live")
        );
    }

    #[test]
    fn a_mode_is_one_of_two_words() {
        for mode in [Mode::Live, Mode::Test] {
            assert_eq!(mode.to_string().parse(), Ok(mode));
        }
        assert_eq!(
            ("live".parse(), "Live".parse::<Mode>()),
            (Ok(Mode::Live), Err(BadMode))
        );
    }
}
