//! The test kit.
#![expect(
    missing_docs,
    clippy::must_use_candidate,
    clippy::missing_panics_doc,
    reason = "a test kit: names that say everything need no more"
)]

pub mod announcing;
pub mod dice;
pub mod drive;
pub mod fakes;
pub mod flint_shop;
pub mod life;
pub mod play;
pub mod prelude;
pub mod reconciling;
pub mod schema;
pub mod ses;
pub mod shop;
pub mod shorthand;
pub mod signed;
pub mod sqs;
pub mod stack;
pub mod stand_in;
pub mod story;
pub mod subscriber;
pub mod sweeping;

/// Flex's name.
///
/// # Panics
///
/// Never: the name is good.
#[must_use]
#[expect(clippy::expect_used, reason = "a test kit")]
pub fn flex_id() -> domain::values::provider::ProviderId {
    "flex".parse().expect("a good name")
}

/// Asserts that a value matches a pattern, and prints the value if it does not.
#[macro_export]
macro_rules! assert_matches {
    ($value:expr, $($pattern:tt)+) => {
        match &$value {
            value => assert!(matches!(value, $($pattern)+), "{value:?}"),
        }
    };
}
