//! Secrets that a provider and the stack share.

use crate::delivery::signature::Key;
use std::fmt;

/// An API key. `Debug` prints no content.
#[derive(Clone, PartialEq, Eq)]
pub struct ApiKey(String);

impl ApiKey {
    /// Trims the text; `None` if nothing is left.
    #[must_use]
    pub fn new(text: &str) -> Option<Self> {
        let text = text.trim();
        (!text.is_empty()).then(|| Self(text.to_owned()))
    }

    /// The key, for the one place that sends it.
    #[must_use]
    pub fn reveal(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for ApiKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ApiKey(…)")
    }
}

/// The accepted signing keys of a provider: two during a rotation.
pub type Keys = Vec<Key>;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_is_told_to_whom_it_is_revealed_and_printed_for_nobody() {
        let key = ApiKey::new(" flex_live_key\n").unwrap();
        assert_eq!(
            (key.reveal(), format!("{key:?}").as_str()),
            ("flex_live_key", "ApiKey(…)")
        );
        assert_eq!(ApiKey::new(" \n"), None);
    }
}
