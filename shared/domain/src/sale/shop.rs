//! The sales that need nothing here: those of another shop on the same account, and sales that
//! sell nothing.

use crate::{
    sale::statement::{Sale, SaleKind},
    values::scope::NotOurs,
};
use std::{collections::BTreeMap, str::FromStr};

/// The sales that belong to this shop: an account may serve several shops. Every condition
/// that is set must hold. A sale that another app fulfills belongs only if its origin is set.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ShopFilter {
    /// The source of the sale, in the provider's word.
    pub origin: Option<String>,
    /// A key and a value in the sale's metadata.
    pub metadata: Option<MetadataEntry>,
    /// The beginning of the merchant's reference.
    pub reference_prefix: Option<String>,
}

/// The marks that show the shop of a sale.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ShopMarks {
    pub origin: Option<String>,
    pub metadata: BTreeMap<String, String>,
    pub reference: Option<String>,
    /// True if the app that made the sale also fulfills it.
    pub fulfilled_elsewhere: bool,
}

/// One entry of a sale's metadata.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MetadataEntry {
    pub key: String,
    pub value: String,
}

/// The text is not `key=value`.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("an entry of the metadata must be `key=value`")]
pub struct BadMetadataEntry;

impl FromStr for MetadataEntry {
    type Err = BadMetadataEntry;

    fn from_str(text: &str) -> Result<Self, BadMetadataEntry> {
        let (key, value) = text.split_once('=').ok_or(BadMetadataEntry)?;
        if key.is_empty() || value.is_empty() {
            return Err(BadMetadataEntry);
        }
        Ok(Self {
            key: key.to_owned(),
            value: value.to_owned(),
        })
    }
}

/// The reason that a sale, or its event, needs nothing here.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NotNeeded {
    #[error("a sale of another shop")]
    OtherShop,
    /// The kind of the sale, in the provider's word.
    #[error("a sale of mode `{0}` sells nothing")]
    SellsNothing(String),
    #[error(transparent)]
    NotOurs(#[from] NotOurs),
}

impl ShopFilter {
    /// Takes every sale that no other app fulfills.
    pub const ALL: Self = Self {
        origin: None,
        metadata: None,
        reference_prefix: None,
    };

    /// True if a condition is set, so that the account serves other shops too.
    #[must_use]
    pub fn is_set(&self) -> bool {
        *self != Self::ALL
    }

    /// The reason that a sale needs nothing here, if it does not.
    #[must_use]
    pub fn not_needed(&self, sale: &Sale) -> Option<NotNeeded> {
        if let SaleKind::NoSale(word) = &sale.kind {
            return Some(NotNeeded::SellsNothing(word.clone()));
        }
        let marks = ShopMarks {
            origin: sale.details.origin.clone(),
            metadata: sale.details.metadata.entries.clone(),
            reference: sale.client_reference_id.clone(),
            fulfilled_elsewhere: sale.fulfilled_elsewhere,
        };
        (!self.takes(&marks)).then_some(NotNeeded::OtherShop)
    }

    /// True if a sale with these marks belongs to this shop.
    #[must_use]
    pub fn takes(&self, marks: &ShopMarks) -> bool {
        let by_origin = match &self.origin {
            Some(origin) => marks.origin.as_ref() == Some(origin),
            None => !marks.fulfilled_elsewhere,
        };
        let entry = self.metadata.as_ref();
        let by_metadata =
            entry.is_none_or(|entry| marks.metadata.get(&entry.key) == Some(&entry.value));
        let has_prefix = |prefix: &String| {
            let reference = marks.reference.as_ref();
            reference.is_some_and(|text| text.starts_with(prefix))
        };
        by_origin && by_metadata && self.reference_prefix.as_ref().is_none_or(has_prefix)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn filter(origin: &str, metadata: &str, prefix: &str) -> ShopFilter {
        let set = |text: &str| (!text.is_empty()).then(|| text.to_owned());
        ShopFilter {
            origin: set(origin),
            metadata: metadata.parse().ok(),
            reference_prefix: set(prefix),
        }
    }

    #[test]
    fn every_condition_that_is_set_must_hold() {
        // A sale of the origin `shopify` with the metadata `shop=one` and the reference `WEB-1`.
        let marks = ShopMarks {
            origin: Some("shopify".to_owned()),
            metadata: [("shop".to_owned(), "one".to_owned())].into(),
            reference: Some("WEB-1".to_owned()),
            fulfilled_elsewhere: false,
        };
        let elsewhere = ShopMarks {
            fulfilled_elsewhere: true,
            ..marks.clone()
        };
        for (filter, expected) in [
            (filter("", "", ""), true),
            (filter("shopify", "", ""), true),
            (filter("Shopify", "", ""), false),
            (filter("woocommerce", "", ""), false),
            (filter("", "shop=one", ""), true),
            (filter("", "shop=on", ""), false),
            (filter("", "brand=one", ""), false),
            (filter("", "", "WEB-"), true),
            (filter("", "", "POS-"), false),
            (filter("shopify", "shop=one", "WEB"), true),
            (filter("shopify", "shop=two", "WEB"), false),
        ] {
            assert_eq!(filter.takes(&marks), expected, "{filter:?}");
            let is_named = filter.origin.is_some();
            assert_eq!(filter.takes(&elsewhere), expected && is_named, "{filter:?}");
            let is_bare_taken = filter.takes(&ShopMarks::default());
            assert_eq!(is_bare_taken, filter == ShopFilter::ALL, "{filter:?}");
        }
    }

    #[test]
    fn a_metadata_entry_is_read_from_a_key_and_a_value() {
        let entry: MetadataEntry = "shop=a=b".parse().unwrap();
        assert_eq!((entry.key.as_str(), entry.value.as_str()), ("shop", "a=b"));
        for bad in ["", "shop", "=one", "shop="] {
            assert_eq!(bad.parse::<MetadataEntry>(), Err(BadMetadataEntry), "{bad}");
        }
    }
}
