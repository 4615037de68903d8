//! A fulfillment: how the goods of an order reach the buyer.

use super::{stated, stated_word};
use crate::wire;
use domain::{
    sale::shipment::{FulfillmentChange, FulfillmentFacts, Progress},
    values::{
        facts::Stated,
        ids::{FulfillmentId, OrderId},
        mode::Mode,
    },
};
use reading::{Identified, NotUnderstood, filled, known_word, needed_text, own_id};

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
    ("ready", Progress::Underway),
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
                method: stated_word(&fulfillment.kind, "type")?,
            },
        },
    })
}
