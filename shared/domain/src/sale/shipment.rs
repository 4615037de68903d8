//! The fulfillment of an order as the provider or its operators carry it out: shipment, pick-up, digital delivery.

use crate::values::{
    facts::{Fact, Stated, merge_by, words},
    ids::{FulfillmentId, LineItemId, OrderId},
    mode::Mode,
};
use serde::{Deserialize, Serialize};
use serde_with::skip_serializing_none;
use std::collections::BTreeMap;

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
    /// Ready to be picked up, by the customer or by a carrier.
    Ready,
    /// It has left the merchant.
    Underway,
    Failed,
    Canceled,
    Completed,
}

words!(
    /// The way in which the goods reach the customer. The order of the variants has no meaning.
    Method {
        /// By a carrier.
        Shipment = "shipment",
        /// By a courier or the merchant.
        LocalDelivery = "local_delivery",
        /// The customer fetches them.
        Pickup = "pickup",
        Digital = "digital",
        Service = "service",
    }
);

/// A package of a fulfillment. It leads to the customer's address, so it is personal data.
#[skip_serializing_none]
#[derive(Debug, Clone, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Package {
    pub carrier: Option<String>,
    pub tracking_number: Option<String>,
    /// The page that follows it, as the provider states it: not proven to be an address.
    pub tracking_url: Option<String>,
}

/// The facts of a fulfillment.
#[skip_serializing_none]
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct FulfillmentFacts {
    pub progress: Progress,
    /// The state in the provider's word.
    pub word: String,
    pub method: Option<Method>,
    /// The units of the order's lines; empty if the provider states none.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub goods: BTreeMap<LineItemId, u32>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub packages: Vec<Package>,
}

impl FulfillmentFacts {
    /// True once goods that are sent have left the merchant, and while goods that are picked up wait for the customer.
    /// Without a known method there is nothing true to say about them.
    #[must_use]
    pub fn is_on_its_way(&self) -> bool {
        match &self.method {
            Some(Method::Shipment | Method::LocalDelivery) => {
                matches!(self.progress, Progress::Underway | Progress::Completed)
            }
            Some(Method::Pickup) => self.progress == Progress::Ready,
            Some(Method::Digital | Method::Service | Method::Other(_)) | None => false,
        }
    }

    /// The facts without personal data.
    #[must_use]
    pub fn erased(&self) -> Self {
        Self {
            packages: Vec::new(),
            ..self.clone()
        }
    }
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
