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

/// A running stand-in. It ends when this is dropped.
#[derive(Debug)]
pub struct StandIn {
    /// Its address: the base URL for `flex::Api`.
    pub url: String,
    state: Shared<Data>,
    server: JoinHandle<io::Result<()>>,
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
        let state: Shared<Data> = Arc::new(State::new(data).into());
        let routes = Router::new()
            .nest("/v1", resources::routes())
            .fallback(resources::not_found)
            .layer(axum::middleware::from_fn_with_state(
                Arc::clone(&state),
                fault::strike,
            ))
            .nest("/_stand-in", admin::routes())
            .with_state(Arc::clone(&state));
        let (url, server) = serve(port, tls, routes).await?;
        Ok(Self { url, state, server })
    }

    /// Adds a session, or replaces the one of its id. A customer inside it is kept as a customer.
    pub fn put_session(&self, session: Value) {
        state::lock(&self.state).data.put_session(session);
    }

    /// Sets the lines of a session: an array.
    pub fn put_line_items(&self, session_id: &str, line_items: Value) {
        state::lock(&self.state)
            .data
            .put_line_items(session_id, line_items);
    }

    /// Says what a session's payment intents are: an array. Without it they are made from the session: paid, as far
    /// as the session is.
    pub fn put_payment_intents(&self, session_id: &str, payment_intents: Value) {
        state::lock(&self.state)
            .data
            .put_payment_intents(session_id, payment_intents);
    }

    /// Adds a subscription, or replaces the one of its id.
    pub fn put_subscription(&self, subscription: Value) {
        state::lock(&self.state).data.put_subscription(subscription);
    }

    /// Adds an invoice, or replaces the one of its id.
    pub fn put_invoice(&self, invoice: Value) {
        state::lock(&self.state).data.put_invoice(invoice);
    }

    /// Adds a refund, or replaces the one of its id. Its session is the one that was paid by its payment intent.
    pub fn put_refund(&self, refund: Value) {
        state::lock(&self.state).data.put_refund(refund, None);
    }

    /// Adds a customer, or replaces the one of its id.
    pub fn put_customer(&self, customer: Value) {
        state::lock(&self.state).data.put_customer(customer);
    }

    /// Adds all that belongs to a purchase.
    pub fn put_purchase(&self, purchase: &crate::shop::Purchase) {
        self.put_customer(purchase.customer.clone());
        self.put_line_items(purchase.order_id(), purchase.line_items.clone());
        self.put_session(purchase.session.clone());
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

    /// Makes it as it was when it started: no faults, no memory, and the seed's sales alone.
    pub fn reset(&self) {
        state::lock(&self.state).reset();
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

impl Drop for StandIn {
    fn drop(&mut self) {
        self.server.abort();
    }
}

#[cfg(test)]
mod tests;
