//! A stand-in for Flex's API in tests and on the local stack.
//!
//! It answers the requests of fulfillment and reconcile (<https://docs.withflex.com/api-reference/introduction>):
//! sessions, line items, customers, payment intents, subscriptions, invoices and refunds. It separates test and live
//! data, gives ids where Flex does, and has Flex's shapes of errors. A test can make it fail, dawdle or hang up. It
//! records its requests. It takes no payments.

mod admin;
mod authority;
mod connection;
mod fault;
mod flint;
mod payment_intents;
mod resources;
mod state;

pub use authority::{Authority, Flaw, TlsError};
pub use fault::Fault;
pub use flint::{FlintStandIn, Kind, Mode};

use axum::Router;
use connection::{Connections, Cut};
use serde_json::Value;
use state::{Data, Shared, State};
use std::{io, path::Path, sync::Arc};
use tokio::{net::TcpListener, task::JoinHandle};
use tokio_rustls::TlsAcceptor;

/// A running stand-in with its data. It ends when this is dropped.
#[derive(Debug)]
pub struct Running<D> {
    /// Its address: the base URL of the API.
    pub url: String,
    state: Shared<D>,
    server: JoinHandle<io::Result<()>>,
}

/// The stand-in for Flex.
pub type StandIn = Running<Data>;

impl<D: Clone + Default + Send + 'static> Running<D> {
    /// Serves the API and the controls of a stand-in on a port (0: any free one).
    async fn serve(
        port: u16,
        tls: Option<TlsAcceptor>,
        data: D,
        api: Router<Shared<D>>,
        controls: Router<Shared<D>>,
    ) -> io::Result<Self> {
        let state: Shared<D> = Arc::new(State::new(data).into());
        let strike = axum::middleware::from_fn_with_state(Arc::clone(&state), fault::strike);
        let routes = api.layer(strike).nest("/_stand-in", controls);
        let (url, server) = serve(port, tls, routes.with_state(Arc::clone(&state))).await?;
        Ok(Self { url, state, server })
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

impl StandIn {
    /// Starts an empty one on a free port of this machine.
    pub async fn start() -> io::Result<Self> {
        Self::start_with(0, Data::default(), None).await
    }

    /// Starts one on a port (0: any free one) with the sales of a seed file.
    pub async fn seeded(port: u16, seed: &Path) -> io::Result<Self> {
        Self::start_with(port, Data::seed(seed)?, None).await
    }

    /// Starts an empty one that speaks TLS, with a certificate of this authority.
    pub async fn over_tls(authority: &Authority, flaw: Flaw) -> io::Result<Self> {
        let tls = authority.acceptor(flaw).map_err(io::Error::other)?;
        Self::start_with(0, Data::default(), Some(tls)).await
    }

    async fn start_with(port: u16, data: Data, tls: Option<TlsAcceptor>) -> io::Result<Self> {
        let api = Router::new().nest("/v1", resources::routes());
        let api = api.fallback(resources::not_found);
        Self::serve(port, tls, data, api, admin::routes()).await
    }

    /// Adds a resource of a kind, by the API's name for one, or replaces the one of its id. A refund is of the session
    /// that was paid by its payment intent.
    pub fn put(&self, kind: &str, resource: Value) {
        state::lock(&self.state).data.put(kind, resource);
    }

    /// Adds all that belongs to a purchase. A customer inside the session is kept as a customer.
    pub fn put_purchase(&self, purchase: &crate::shop::Purchase) {
        let data = &mut state::lock(&self.state).data;
        data.put("customer", purchase.customer.clone());
        data.put_line_items(purchase.order_id(), purchase.line_items.clone());
        data.put_session(purchase.session.clone());
    }

    /// Says what a session's payment intents are: an array. Without it they are made from the session: paid, as far
    /// as the session is.
    #[cfg(test)]
    fn put_payment_intents(&self, session_id: &str, payment_intents: Value) {
        let data = &mut state::lock(&self.state).data;
        data.put_payment_intents(session_id, payment_intents);
    }
}

/// Serves routes on a port (0: any free one), and returns the address.
async fn serve(
    port: u16,
    tls: Option<TlsAcceptor>,
    routes: Router,
) -> io::Result<(String, JoinHandle<io::Result<()>>)> {
    let listener = TcpListener::bind(("127.0.0.1", port)).await?;
    let address = listener.local_addr()?;
    let url = match &tls {
        None => format!("http://{address}"),
        Some(_) => format!("https://{}:{}", authority::HOST, address.port()),
    };
    let service = routes.into_make_service_with_connect_info::<Cut>();
    let connections = Connections { listener, tls };
    let server = tokio::spawn(async move { axum::serve(connections, service).await });
    Ok((url, server))
}

impl<D> Drop for Running<D> {
    fn drop(&mut self) {
        self.server.abort();
    }
}

#[cfg(test)]
mod tests;
