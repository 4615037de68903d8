//! A stand-in for Flint's API: the requests of fulfillment and reconcile, with Flint's envelopes, errors, pages and
//! headers. A key sees the data of its mode alone.

mod data;
mod endpoints;
mod routes;

use super::{Running, admin, state};
use axum::Router;
use data::FlintData;
pub use data::{Kind, Mode};
use serde_json::Value;
use std::{io, path::Path};

/// The stand-in for Flint.
pub type FlintStandIn = Running<FlintData>;

impl FlintStandIn {
    /// Starts an empty one on a free port of this machine.
    pub async fn start() -> io::Result<Self> {
        Self::start_with(0, FlintData::default()).await
    }

    /// Starts one on a port (0: any free one) with the things of a seed file.
    pub async fn seeded(port: u16, seed: &Path) -> io::Result<Self> {
        Self::start_with(port, FlintData::seed(seed)?).await
    }

    async fn start_with(port: u16, data: FlintData) -> io::Result<Self> {
        let api = Router::new().nest("/v1", routes::routes());
        let api = api.fallback(routes::not_found);
        let controls = admin::controls().merge(routes::admin());
        Self::serve(port, None, data, api, controls).await
    }

    /// Adds a thing, or replaces the one of its id.
    pub fn put(&self, mode: Mode, kind: Kind, thing: Value) {
        state::lock(&self.state).data.put(mode, kind, thing);
    }
}

#[cfg(test)]
mod tests;
