//! The merchant's mapping rows: what a provider's product or price is in the merchant's stock, and
//! which access its purchase gives.

use crate::{
    sale::statement::LineItem,
    values::ids::{PriceId, ProductId, Sku},
};
use serde::{Deserialize, Serialize};
use serde_with::skip_serializing_none;
use std::collections::BTreeMap;

/// The key of a mapping row.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum MappingKey {
    Product(ProductId),
    Price(PriceId),
}

/// The mapping rows that there are.
pub type Mapping = BTreeMap<MappingKey, MappingRow>;

/// A mapping row. The merchant writes it, so each attribute may be absent.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct MappingRow {
    /// The SKU that is counted.
    pub maps_to: Option<Sku>,
    /// True if nothing is counted, such as for a service.
    pub untracked: bool,
    /// The access that a purchase gives.
    pub grants: Option<Grant>,
    /// True if an attribute is not understood. Its lines are then unmapped.
    pub is_not_understood: bool,
    /// True if an alarm has reported a line of this product or price as unmapped.
    pub is_reported: bool,
}

/// One-time access: what one unit of a line gives.
#[skip_serializing_none]
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Grant {
    /// The name of the entitlement. It may be a provider's product.
    pub name: ProductId,
    /// How long one unit lasts; `None` for access without an end.
    pub days: Option<u32>,
}

/// The statements of the merchant's rows, and of the line itself, about a line.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Mapped<'a> {
    pub sku: Option<&'a Sku>,
    /// True if a row says that nothing is counted.
    pub untracked: bool,
    pub grants: Option<&'a Grant>,
}

/// Maps a line. The row of its price comes first because it is more specific, then the row of its
/// product, then the line's own SKU. The first row that has anything to say about stock decides
/// about stock, and the first that grants decides about access.
#[must_use]
pub fn mapped<'a>(line: &'a LineItem, mapping: &'a Mapping) -> Mapped<'a> {
    // Most shops have no mapping rows. A key is a copy, so none is made for them.
    let keys = if mapping.is_empty() {
        Vec::new()
    } else {
        keys(line)
    };
    let rows: Vec<&MappingRow> = keys.iter().filter_map(|key| mapping.get(key)).collect();
    let decides =
        |row: &&&MappingRow| row.maps_to.is_some() || row.untracked || row.is_not_understood;
    let of_stock = rows.iter().find(decides).copied();
    let own = || line.sku.as_ref();
    Mapped {
        sku: match of_stock {
            Some(row) if row.is_not_understood => None,
            Some(row) => row.maps_to.as_ref().or_else(own),
            None => own(),
        },
        untracked: of_stock.is_some_and(|row| row.untracked && !row.is_not_understood),
        grants: rows.iter().find_map(|row| row.grants.as_ref()),
    }
}

/// The keys of a line's mapping rows, the most specific first.
#[must_use]
pub fn keys(line: &LineItem) -> Vec<MappingKey> {
    let price = line.price_id.clone().map(MappingKey::Price);
    let product = line.product_id.clone().map(MappingKey::Product);
    price.into_iter().chain(product).collect()
}

/// The mapping rows to read for these lines.
#[must_use]
pub fn all_keys(lines: &[LineItem]) -> Vec<MappingKey> {
    let mut all: Vec<MappingKey> = lines.iter().flat_map(keys).collect();
    all.sort();
    all.dedup();
    all
}

/// The SKUs of these lines.
#[must_use]
pub fn skus(lines: &[LineItem], mapping: &Mapping) -> Vec<Sku> {
    let skus = lines.iter().filter_map(|line| mapped(line, mapping).sku);
    let mut all: Vec<Sku> = skus.cloned().collect();
    all.sort();
    all.dedup();
    all
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fulfillment::testing::{id, line, sku};

    fn to(name: &str) -> MappingRow {
        MappingRow {
            maps_to: Some(sku(name)),
            ..MappingRow::default()
        }
    }

    fn untracked() -> MappingRow {
        MappingRow {
            untracked: true,
            ..MappingRow::default()
        }
    }

    fn grants(name: &str, days: Option<u32>) -> MappingRow {
        MappingRow {
            grants: Some(Grant {
                name: id(name),
                days,
            }),
            ..MappingRow::default()
        }
    }

    fn not_understood() -> MappingRow {
        MappingRow {
            is_not_understood: true,
            ..to("HALF")
        }
    }

    #[test]
    fn the_price_decides_before_the_product_and_the_product_before_the_lines_own_words() {
        // A line's own SKU, the row of its price, that of its product; its SKU, and if it is untracked.
        let own = Some("OWN");
        for (own, price, product, expected) in [
            (
                own,
                Some(to("SIZE-M")),
                Some(to("ALL")),
                (Some("SIZE-M"), false),
            ),
            (own, None, Some(to("ALL")), (Some("ALL"), false)),
            (own, None, None, (Some("OWN"), false)),
            (None, None, None, (None, false)),
            (own, Some(untracked()), Some(to("ALL")), (Some("OWN"), true)),
            (
                own,
                Some(to("SIZE-M")),
                Some(untracked()),
                (Some("SIZE-M"), false),
            ),
            (None, Some(untracked()), None, (None, true)),
            (
                own,
                Some(grants("course", None)),
                Some(to("ALL")),
                (Some("ALL"), false),
            ),
            (
                own,
                Some(grants("course", None)),
                None,
                (Some("OWN"), false),
            ),
            (own, Some(not_understood()), Some(to("ALL")), (None, false)),
        ] {
            let line = line("a", 1, 100, own);
            let rows = [
                price.map(|row| (MappingKey::Price(id("fprice_a")), row)),
                product.map(|row| (MappingKey::Product(id("fprod_a")), row)),
            ];
            let mapping: Mapping = rows.into_iter().flatten().collect();
            let mapped = mapped(&line, &mapping);
            assert_eq!(
                (mapped.sku.map(Sku::as_str), mapped.untracked),
                expected,
                "{mapping:?}"
            );
        }
    }

    #[test]
    fn the_row_that_grants_need_not_be_the_one_that_maps() {
        let line = line("a", 1, 100, None);
        let mapping = Mapping::from([
            (MappingKey::Price(id("fprice_a")), to("BOX")),
            (
                MappingKey::Product(id("fprod_a")),
                grants("course", Some(30)),
            ),
        ]);
        let mapped = mapped(&line, &mapping);
        assert_eq!(mapped.sku, Some(&sku("BOX")));
        assert_eq!(mapped.grants.and_then(|grant| grant.days), Some(30));
    }

    #[test]
    fn lines_of_one_product_ask_for_its_row_once() {
        let size = |name: &str| LineItem {
            product_id: Some(id("fprod_brace")),
            ..line(name, 1, 100, Some("BRACE"))
        };
        let lines = [size("s"), size("m")];
        assert_eq!(all_keys(&lines).len(), 3);
        assert_eq!(skus(&lines, &Mapping::new()), [sku("BRACE")]);
    }
}
