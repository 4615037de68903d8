//! Money: whole minor units and a currency, never a float.

use rusty_money::{Findable, Money as Formatted, iso};
use serde::{Deserialize, Serialize};
use std::{cmp::Ordering, fmt};

/// An ISO 4217 currency that can be printed, such as `USD`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Currency(&'static iso::Currency);

/// The text is not a currency's three-letter code.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("not an ISO 4217 currency code")]
pub struct BadCurrency;

impl Currency {
    /// United States dollar, the only currency that Flex sells in (its `WooCommerce` plugin hides
    /// itself in any other: <https://github.com/JoinFlexHealth/woocommerce>).
    pub const USD: Self = Self(iso::USD);

    /// Finds a currency by its code, in any case (`usd`, `USD`).
    pub fn new(code: &str) -> Result<Self, BadCurrency> {
        iso::Currency::find(&code.to_ascii_uppercase())
            .map(Self)
            .ok_or(BadCurrency)
    }

    /// The three-letter code in upper case.
    #[must_use]
    pub fn code(self) -> &'static str {
        self.0.iso_alpha_code
    }
}

impl PartialOrd for Currency {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Currency {
    fn cmp(&self, other: &Self) -> Ordering {
        self.code().cmp(other.code())
    }
}

impl TryFrom<String> for Currency {
    type Error = BadCurrency;
    fn try_from(code: String) -> Result<Self, BadCurrency> {
        Self::new(&code)
    }
}

impl From<Currency> for String {
    fn from(currency: Currency) -> Self {
        currency.code().to_owned()
    }
}

/// An amount that prints for people: `$1,064.98`, `-$5.00`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Money {
    /// Minor units: cents for USD.
    pub minor: i64,
    pub currency: Currency,
}

impl fmt::Display for Money {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        Formatted::from_minor(self.minor, self.currency.0).fmt(f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn money_reads_as_people_write_it() {
        let usd = |minor| {
            Money {
                minor,
                currency: Currency::USD,
            }
            .to_string()
        };
        assert_eq!(usd(106_498), "$1,064.98");
        assert_eq!(usd(5), "$0.05");
        assert_eq!(usd(-500), "-$5.00");
        assert_eq!(usd(0), "$0.00");
    }

    #[test]
    fn every_amount_has_a_text() {
        for minor in [i64::MIN, i64::MAX] {
            assert!(
                !Money {
                    minor,
                    currency: Currency::USD
                }
                .to_string()
                .is_empty()
            );
        }
    }

    #[test]
    fn a_currency_is_known_by_its_code() {
        assert_eq!(Currency::new("usd"), Ok(Currency::USD));
        assert_eq!(Currency::new("dollars"), Err(BadCurrency));
        assert_eq!(serde_json::to_string(&Currency::USD).unwrap(), "\"USD\"");
        assert!(Currency::new("cad").unwrap() < Currency::USD);
    }
}
