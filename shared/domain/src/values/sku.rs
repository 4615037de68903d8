//! The merchant's stock keeping unit.

use serde::{Deserialize, Serialize};
use std::fmt;

/// The longest SKU in bytes. A SKU is part of DynamoDB keys, and a sort key holds 1,024 bytes
/// (<https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/Constraints.html>). The rest
/// is for a prefix.
pub const MAX_SKU_BYTES: usize = 1_000;

/// The merchant's stock keeping unit: printable text of any language. Case counts.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Sku(String);

/// The reason why a text is not a SKU.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BadSku {
    #[error("a SKU is empty")]
    Empty,
    /// Longer than [`MAX_SKU_BYTES`].
    #[error("a SKU is longer than {MAX_SKU_BYTES} bytes")]
    TooLong,
    /// Two SKUs that look the same would be counted apart.
    #[error("a SKU has an invisible character")]
    Invisible,
}

impl Sku {
    /// Takes 1 to [`MAX_SKU_BYTES`] bytes of printable text, without the spaces around it.
    pub fn new(text: impl AsRef<str>) -> Result<Self, BadSku> {
        let text = text.as_ref().trim();
        if text.is_empty() {
            return Err(BadSku::Empty);
        }
        if text.len() > MAX_SKU_BYTES {
            return Err(BadSku::TooLong);
        }
        if text.chars().any(is_invisible) {
            return Err(BadSku::Invisible);
        }
        Ok(Self(text.to_owned()))
    }

    /// The text without the spaces around it.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// True for a character that is not printed: Unicode's categories Cc, Cf, Zl and Zp
/// (<https://www.unicode.org/reports/tr44/#General_Category_Values>).
fn is_invisible(character: char) -> bool {
    character.is_control()
        || matches!(
            character,
            '\u{ad}'
                | '\u{600}'..='\u{605}'
                | '\u{61c}'
                | '\u{6dd}'
                | '\u{70f}'
                | '\u{890}'..='\u{891}'
                | '\u{8e2}'
                | '\u{180e}'
                | '\u{200b}'..='\u{200f}'
                | '\u{2028}'..='\u{202e}'
                | '\u{2060}'..='\u{2064}'
                | '\u{2066}'..='\u{206f}'
                | '\u{feff}'
                | '\u{fff9}'..='\u{fffb}'
                | '\u{110bd}'
                | '\u{110cd}'
                | '\u{13430}'..='\u{1343f}'
                | '\u{1bca0}'..='\u{1bca3}'
                | '\u{1d173}'..='\u{1d17a}'
                | '\u{e0001}'
                | '\u{e0020}'..='\u{e007f}'
        )
}

impl fmt::Display for Sku {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl TryFrom<String> for Sku {
    type Error = BadSku;

    fn try_from(text: String) -> Result<Self, BadSku> {
        Self::new(text)
    }
}

impl From<Sku> for String {
    fn from(sku: Sku) -> Self {
        sku.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sku_is_any_printable_text_that_a_key_can_hold() {
        for good in [
            "BRACE M",
            "a",
            "Größe 42 / blau",
            "膝サポーター",
            "#1: \"M\"",
            &"é".repeat(500),
        ] {
            assert_eq!(Sku::new(good).map(String::from).as_deref(), Ok(good));
        }
        assert_eq!(Sku::new("\t BRACE M \u{a0}\n").unwrap().as_str(), "BRACE M");
    }

    #[test]
    fn an_empty_long_or_invisible_text_is_no_sku() {
        for empty in ["", " ", "\u{a0}\t"] {
            assert_eq!(Sku::new(empty), Err(BadSku::Empty));
        }
        assert_eq!(Sku::new("a".repeat(1_001)), Err(BadSku::TooLong));
        for bad in [
            "a\u{0}b",
            "a\nb",
            "a\u{200b}",
            "\u{feff}a",
            "a\u{ad}b",
            "a\u{2028}b",
            "a\u{202e}b",
        ] {
            assert_eq!(Sku::new(bad), Err(BadSku::Invisible), "{bad:?}");
        }
    }
}
