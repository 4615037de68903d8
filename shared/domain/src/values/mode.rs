//! Live money or test money, never mixed.

use serde::{Deserialize, Serialize};

/// The mode of a stack, an API key or a sale.
#[derive(
    Debug,
    Clone,
    Copy,
    PartialEq,
    Eq,
    PartialOrd,
    Ord,
    Serialize,
    Deserialize,
    strum::Display,
    strum::EnumString,
    strum::VariantNames,
)]
#[serde(rename_all = "lowercase")]
#[strum(serialize_all = "snake_case")]
pub enum Mode {
    /// Real payments.
    Live,
    /// The provider's test mode.
    Test,
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
}
