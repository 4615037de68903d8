//! The fulfillment of an order as the provider or its operators carry it out: shipment, pick-up, digital delivery.

use crate::values::{
    facts::{Fact, Stated, merge_by},
    ids::{FulfillmentId, OrderId},
    mode::Mode,
};
use serde::{Deserialize, Serialize};

/// The progress of a fulfillment. A later variant is further; an ended one moves no more.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Progress {
    /// The provider's word is unknown.
    Unknown,
    /// Not begun, or waiting.
    Waiting,
    /// In preparation.
    Preparing,
    /// On its way, or ready for the customer.
    Underway,
    Failed,
    Canceled,
    Completed,
}

/// The facts of a fulfillment.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct FulfillmentFacts {
    pub progress: Progress,
    /// The state in the provider's word.
    pub word: String,
    /// The way of delivery, in the provider's word.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub method: Option<String>,
}

/// A change of a fulfillment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FulfillmentChange {
    pub fulfillment_id: FulfillmentId,
    pub order_id: OrderId,
    /// Live or test data, if stated.
    pub mode: Option<Mode>,
    pub facts: Stated<FulfillmentFacts>,
}

/// Merges facts of a fulfillment. Newer facts replace older ones, but an unknown state never replaces a known one.
pub fn merge(known: &mut Option<Fact<FulfillmentFacts>>, change: Fact<FulfillmentFacts>) {
    merge_by(known, Some(change), |facts| {
        facts.progress != Progress::Unknown
    });
}
