//! A stand-in for Flint's API: the requests of fulfillment and reconcile, with Flint's envelopes, errors, pages and
//! headers. A key sees the data of its mode alone.

mod data;
mod endpoints;
mod routes;

use super::{
    Fault, admin, fault, serve,
    state::{self, Shared, State},
};
use axum::Router;
use data::FlintData;
pub use data::{Kind, Mode};
use serde_json::Value;
use std::{io, path::Path, sync::Arc};
use tokio::task::JoinHandle;

/// A running stand-in. It ends when this is dropped.
#[derive(Debug)]
pub struct FlintStandIn {
    /// Its address: the base URL of the API.
    pub url: String,
    state: Shared<FlintData>,
    server: JoinHandle<io::Result<()>>,
}

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
        let state: Shared<FlintData> = Arc::new(State::new(data).into());
        let routes = Router::new()
            .nest("/v1", routes::routes())
            .fallback(routes::not_found)
            .layer(axum::middleware::from_fn_with_state(
                Arc::clone(&state),
                fault::strike,
            ))
            .nest("/_stand-in", admin::controls().merge(routes::admin()))
            .with_state(Arc::clone(&state));
        let (url, server) = serve(port, None, routes).await?;
        Ok(Self { url, state, server })
    }

    /// Adds a thing, or replaces the one of its id.
    pub fn put(&self, mode: Mode, kind: Kind, thing: Value) {
        state::lock(&self.state).data.put(mode, kind, thing);
    }

    /// Makes the next requests for a path fail. In `path`, a segment `*` stands for any.
    pub fn fail_next(&self, path: &str, fault: Fault) {
        state::lock(&self.state).plan(path, fault);
    }

    /// Its requests so far, as `GET /v1/…?…`, in order.
    pub fn requests(&self) -> Vec<String> {
        state::lock(&self.state).requests.clone()
    }

    /// How often it was asked for a path. In `path`, a segment `*` stands for any.
    pub fn requests_for(&self, path: &str) -> usize {
        state::lock(&self.state).requests_for(path)
    }
}

impl Drop for FlintStandIn {
    fn drop(&mut self) {
        self.server.abort();
    }
}

#[cfg(test)]
mod tests;
