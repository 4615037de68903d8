//! The details that a merchant needs to ship and serve an order, beside its lines and its money.
//!
//! Everything is optional and limited in size: an order must fit a row whatever a merchant stores.

use crate::values::ids::PaymentIntentId;
use serde::{Deserialize, Serialize};
use serde_with::skip_serializing_none;
use std::collections::{BTreeMap, BTreeSet};

/// The details of a sale or an order. Amounts are minor units of its currency. Holds personal
/// data: stored, never logged.
#[skip_serializing_none]
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Details {
    /// The customer's phone number, as given.
    pub phone: Option<String>,
    pub shipping: Option<Shipping>,
    /// Coupons and promotions.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub discounts: Vec<Discount>,
    pub tax_rate: Option<TaxRate>,
    /// How each payment was made, if known.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub payment_methods: BTreeMap<PaymentIntentId, PaymentMethod>,
    /// Payments that the provider's answer has in a form that is not understood. The sale's own amounts count.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub unclear_payments: BTreeSet<PaymentIntentId>,
    /// The origin of the sale, in the provider's word, such as `shopify`.
    pub origin: Option<String>,
    /// The merchant's own notes on the sale.
    #[serde(default, skip_serializing_if = "Metadata::is_empty")]
    pub metadata: Metadata,
}

/// The address and the method of the shipment.
#[skip_serializing_none]
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Shipping {
    /// The recipient, if the provider names one.
    pub name: Option<String>,
    pub phone: Option<String>,
    pub address: Option<Address>,
    /// The provider's id of the chosen shipping rate.
    pub rate_id: Option<String>,
    /// The name of the chosen option.
    pub option: Option<String>,
    pub amount: Option<i64>,
}

/// A postal address, as given.
#[skip_serializing_none]
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Address {
    pub line1: Option<String>,
    pub line2: Option<String>,
    pub city: Option<String>,
    pub state: Option<String>,
    pub postal_code: Option<String>,
    pub country: Option<String>,
}

/// A coupon or a promotion.
#[skip_serializing_none]
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Discount {
    /// The provider's id of the coupon.
    pub coupon_id: Option<String>,
    /// The promotion's code, or else the provider's id of it.
    pub promotion: Option<String>,
    /// The coupon's name.
    pub name: Option<String>,
    /// A fixed amount off.
    pub amount_off: Option<i64>,
}

/// The tax that the merchant set on the sale.
#[skip_serializing_none]
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct TaxRate {
    pub rate_id: Option<String>,
    pub name: Option<String>,
    /// As written by the provider, such as `8.25`. Nothing is computed from it.
    pub percentage: Option<String>,
    pub amount: Option<i64>,
}

/// How a payment was made.
#[skip_serializing_none]
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct PaymentMethod {
    /// In the provider's word, such as `card`.
    pub kind: Option<String>,
    /// The card's brand, in the provider's word.
    pub brand: Option<String>,
    /// The last four digits.
    pub last4: Option<String>,
}

/// How much of a merchant's metadata is kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct MetadataLimit {
    pub entries: usize,
    /// Of all names and values.
    pub bytes: usize,
}

impl MetadataLimit {
    /// For a sale.
    pub const CHECKOUT: Self = Self {
        entries: 50,
        bytes: 8 * 1024,
    };
    /// For a line.
    pub const LINE: Self = Self {
        entries: 20,
        bytes: 1024,
    };
}

/// Names and values that a merchant has stored with the provider. May hold personal data.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Metadata {
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub entries: BTreeMap<String, String>,
    /// The number of entries that were left out, because of their number or size.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub cut: usize,
}

#[expect(
    clippy::trivially_copy_pass_by_ref,
    reason = "serde passes a reference"
)]
fn is_zero(cut: &usize) -> bool {
    *cut == 0
}

impl Metadata {
    /// The entries within the limit, by name. An entry is kept whole or left out: half a value
    /// could be taken for the whole.
    #[must_use]
    pub fn within(
        limit: MetadataLimit,
        entries: impl IntoIterator<Item = (String, String)>,
    ) -> Self {
        let all: BTreeMap<String, String> = entries.into_iter().collect();
        let mut kept = Self::default();
        let mut bytes = 0;
        for (name, value) in all {
            let size = name.len() + value.len();
            let fits = kept.entries.len() < limit.entries && bytes + size <= limit.bytes;
            if name.is_empty() || !fits {
                kept.cut += 1;
            } else {
                bytes += size;
                kept.entries.insert(name, value);
            }
        }
        kept
    }

    /// True if there never was any.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty() && self.cut == 0
    }

    /// Leaves all entries out.
    pub fn cut_all(&mut self) {
        self.cut += self.entries.len();
        self.entries.clear();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn of(limit: MetadataLimit, sizes: &[usize]) -> Metadata {
        let entry = |(n, size): (usize, &usize)| (format!("{n:03}"), "x".repeat(*size));
        Metadata::within(limit, sizes.iter().enumerate().map(entry))
    }

    #[test]
    fn a_value_that_is_too_long_is_left_out_whole_and_those_after_it_are_kept() {
        let kept = of(MetadataLimit::LINE, &[10, 2000, 10]);
        let names: Vec<_> = kept.entries.keys().map(String::as_str).collect();
        assert_eq!((names, kept.cut), (vec!["000", "002"], 1));
        let nameless = Metadata::within(MetadataLimit::LINE, [(String::new(), "x".to_owned())]);
        assert_eq!((nameless.entries.len(), nameless.cut), (0, 1));
        assert!(!nameless.is_empty() && Metadata::default().is_empty());
    }

    proptest! {
        #[test]
        fn what_is_kept_is_within_the_limit_and_the_rest_is_counted(
            sizes in prop::collection::vec(0_usize..400, 0..80),
        ) {
            for limit in [MetadataLimit::CHECKOUT, MetadataLimit::LINE] {
                let kept = of(limit, &sizes);
                let bytes: usize = kept.entries.iter().map(|(name, value)| name.len() + value.len()).sum();
                prop_assert!(kept.entries.len() <= limit.entries && bytes <= limit.bytes);
                prop_assert_eq!(kept.entries.len() + kept.cut, sizes.len());
            }
        }
    }
}
