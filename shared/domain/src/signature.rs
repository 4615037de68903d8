//! Standard Webhooks signatures: HMAC-SHA256 over `id.timestamp.body`.
use std::fmt;

/// A signing key: the decoded bytes of a webhook secret. Prints nothing.
#[derive(Clone, PartialEq, Eq)]
pub struct Key(Vec<u8>);

impl fmt::Debug for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Key(…)")
    }
}
