//! A fulfillment: how the goods of an order reach the buyer.

use super::{stated, stated_word};
use crate::wire;
use domain::{
    sale::shipment::{FulfillmentChange, FulfillmentFacts, Method, Package, Progress},
    values::{
        facts::Stated,
        ids::{FulfillmentId, LineItemId, OrderId},
        mode::Mode,
    },
};
use reading::{
    Field, Identified, NotUnderstood, clipped, filled, known_text, known_word, needed_text, own_id,
};
use std::collections::BTreeMap;

/// In the order of a fulfillment's life.
const STATE: [(&str, Progress); 14] = [
    ("pending", Progress::Waiting),
    ("on_hold", Progress::Waiting),
    ("scheduled", Progress::Waiting),
    ("accepted", Progress::Preparing),
    ("preparing", Progress::Preparing),
    ("in_progress", Progress::Preparing),
    ("picked", Progress::Preparing),
    ("packed", Progress::Preparing),
    ("ready", Progress::Ready),
    ("dispatched", Progress::Underway),
    ("no_show", Progress::Failed),
    ("failed", Progress::Failed),
    ("canceled", Progress::Canceled),
    ("completed", Progress::Completed),
];

/// Translates a fulfillment.
pub(crate) fn fulfillment(
    fulfillment: &wire::Fulfillment,
    mode: Mode,
) -> Result<FulfillmentChange, NotUnderstood> {
    let status = filled(&fulfillment.status, "status")?;
    let state = status.map_or_else(|| needed_text(&fulfillment.state, "status"), Ok)?;
    let state = known_word(&STATE, state, Progress::Unknown);
    let id = fulfillment.fulfillment_id.id();
    Ok(FulfillmentChange {
        fulfillment_id: own_id(id, FulfillmentId::new, "fulfillment_id")?,
        order_id: own_id(fulfillment.order_id.id(), OrderId::new, "order_id")?,
        mode: Some(mode),
        facts: Stated {
            at: stated(&fulfillment.updated_at, "updated_at")?,
            version: 0,
            rank: state.rank,
            value: FulfillmentFacts {
                progress: state.known,
                word: state.word,
                method: stated_word(&fulfillment.kind, "type")?.map(Method::from),
                goods: goods(fulfillment).unwrap_or_default(),
                packages: packages(fulfillment),
            },
        },
    })
}

/// All goods, or none if one of them is not understood: only a mail depends on them.
fn goods(fulfillment: &wire::Fulfillment) -> Option<BTreeMap<LineItemId, u32>> {
    let mut all = BTreeMap::new();
    for goods in fulfillment.line_items.known()? {
        let goods = goods.known()?;
        let id = LineItemId::new(goods.order_line_item_id.known()?).ok()?;
        let quantity = u32::try_from(goods.quantity.known()?.0).ok()?;
        let known: &mut u32 = all.entry(id).or_default();
        *known = known.saturating_add(quantity);
    }
    Some(all)
}

/// The most packages that are kept, because rows are limited.
const MOST_PACKAGES: usize = 20;

/// The packages that can be followed. Only a mail depends on them.
fn packages(fulfillment: &wire::Fulfillment) -> Vec<Package> {
    let packages = fulfillment.packages.known().into_iter().flatten();
    let local = fulfillment.local_delivery_details.known();
    let all = packages.filter_map(Field::known).chain(local);
    let is_coming = |package: &&wire::Package| {
        !matches!(known_text(&package.status), Some("voided" | "returned"))
    };
    let text = |field: &Field<String>| known_text(field).map(clipped);
    let all = all.filter(is_coming).map(|package| Package {
        carrier: text(&package.carrier),
        tracking_number: text(&package.tracking_number),
        tracking_url: text(&package.tracking_url),
    });
    all.filter(|package| *package != Package::default())
        .take(MOST_PACKAGES)
        .collect()
}
