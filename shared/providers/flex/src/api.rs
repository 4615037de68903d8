//! Flex's API: what is true. Reads only.

use crate::{
    SERVICE, answer,
    translate::{self, NotUnderstood},
    wire,
};
use domain::{checkout::Checkout, ids::OrderId, outcome::Setback, ports::ReadError, secrets::ApiKey};
use jiff::Timestamp;
use reqwest::{Client, Response, StatusCode, Url, header, redirect};
use serde::de::DeserializeOwned;
use serde_json::Value;
use std::{error::Error as _, time::Duration};

/// How long, and how much, we are ready to wait for and to hold.
#[derive(Debug, Clone, Copy)]
pub struct Limits {
    /// For a connection to be made.
    pub connect: Duration,
    /// For one resource, from the first byte sent to the last one received, a second try included.
    pub request: Duration,
    /// For one answer.
    pub bytes: usize,
}

impl Default for Limits {
    /// A checkout takes two rounds at most (session and lines together, then perhaps the customer), 16 s in all,
    /// which leaves fulfillment the better half of its 30 s. Within a region and with keep-alive an answer takes
    /// a fraction of a second; whoever takes longer is better asked again later. A session with its lines is some
    /// 10 KB, so 2 MiB is a cart of hundreds of lines and no memory to speak of.
    fn default() -> Self {
        Self { connect: Duration::from_secs(2), request: Duration::from_secs(8), bytes: 2 * 1024 * 1024 }
    }
}

/// Why a client cannot be made: a fault of the set-up, found at cold start.
#[derive(Debug, thiserror::Error)]
pub enum BadSetUp {
    /// The text is not `https://…` or `http://…`.
    #[error("the base URL of Flex's API is not an http or https URL")]
    BaseUrl,
    /// TLS or the network cannot be set up.
    #[error("no HTTP client can be made")]
    Client(#[source] reqwest::Error),
}

/// A client of Flex's API, to be made once and kept: it holds the connections.
#[derive(Debug, Clone)]
pub struct Api {
    http: Client,
    base: Url,
    limits: Limits,
}

impl Api {
    /// A client for the API at this address, such as `https://api.withflex.com`.
    pub fn new(base_url: &str) -> Result<Self, BadSetUp> {
        Self::with_limits(base_url, Limits::default())
    }

    /// A client with other limits than the usual ones, for tests.
    pub fn with_limits(base_url: &str, limits: Limits) -> Result<Self, BadSetUp> {
        let base = Url::parse(base_url).map_err(|_| BadSetUp::BaseUrl)?;
        if !matches!(base.scheme(), "https" | "http") {
            return Err(BadSetUp::BaseUrl);
        }
        // One TLS library is linked, and somebody must say so once in a process. If another client of this process
        // was quicker, it has said the same.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let http = Client::builder()
            .user_agent(concat!("flex-webhooks/", env!("CARGO_PKG_VERSION")))
            .connect_timeout(limits.connect)
            .redirect(redirect::Policy::none())
            // Trying again is decided here, where a test can see it.
            .retry(reqwest::retry::never())
            .build()
            .map_err(BadSetUp::Client)?;
        Ok(Self { http, base, limits })
    }

    /// Reads a checkout: the session with its customer, and its lines, at the same time.
    ///
    /// <https://docs.withflex.com/api-reference/checkout-sessions/get-checkout-session>,
    /// <https://docs.withflex.com/api-reference/checkout-sessions/get-line-items>
    pub async fn checkout(&self, key: &ApiKey, order_id: &OrderId) -> Result<Checkout, ReadError> {
        let mut session = self.url(&["v1", "checkout", "sessions", order_id.as_str()]);
        session.query_pairs_mut().append_pair("expand_customer", "true");
        let lines = self.url(&["v1", "checkout", "sessions", order_id.as_str(), "line_items"]);
        let (session, lines): (wire::Session, Vec<wire::LineItem>) = tokio::try_join!(
            self.read(key, session, "checkout_session"),
            self.read(key, lines, "line_items")
        )?;
        let customer = self.customer(key, &session).await?;
        let checkout = translate::checkout(&session, &lines, customer.as_ref())?;
        if checkout.order_id != *order_id {
            return Err(NotUnderstood::OtherSession.into());
        }
        Ok(checkout)
    }

    /// Reads the customer if the session names one without telling more
    /// (<https://docs.withflex.com/api-reference/customers/get-customer>).
    ///
    /// A customer that Flex does not know any more leaves the name off the receipt, and perhaps the receipt without
    /// an address, which is a trouble of its own and no reason to keep the goods. An answer that we do not understand
    /// may be a gateway's: it counts only where the session itself says where the receipt is to go.
    async fn customer(
        &self,
        key: &ApiKey,
        session: &wire::Session,
    ) -> Result<Option<wire::Customer>, ReadError> {
        let id = match &session.customer {
            Some(wire::Reference::Object(_)) => return Ok(None),
            Some(wire::Reference::Id(id)) => id,
            None => match &session.customer_id {
                Some(id) => id,
                None => return Ok(None),
            },
        };
        match self.read(key, self.url(&["v1", "customers", id]), "customer").await {
            Ok(customer) => Ok(Some(customer)),
            Err(ReadError::Permanent { .. }) => Ok(None),
            Err(ReadError::NotUnderstood(_)) if translate::has_address(session) => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// The address of a resource. Each segment is encoded: an id is somebody else's text.
    fn url(&self, segments: &[&str]) -> Url {
        let mut url = self.base.clone();
        // Only addresses such as `mailto:` have no path, and `with_limits` takes none of those.
        if let Ok(mut path) = url.path_segments_mut() {
            path.pop_if_empty().extend(segments);
        }
        url
    }

    /// Reads a resource, which Flex wraps in its name.
    async fn read<T: DeserializeOwned>(
        &self,
        key: &ApiKey,
        url: Url,
        resource: &'static str,
    ) -> Result<T, ReadError> {
        let body = tokio::time::timeout(self.limits.request, self.get(key, url))
            .await
            .map_err(|_| away("no answer in time".to_owned()))??;
        let mut body: Value = serde_json::from_slice(&body).map_err(|_| NotUnderstood::Resource(resource))?;
        let resource_body =
            body.get_mut(resource).map(Value::take).ok_or(NotUnderstood::Resource(resource))?;
        Ok(serde_json::from_value(resource_body).map_err(|_| NotUnderstood::Resource(resource))?)
    }

    async fn get(&self, key: &ApiKey, url: Url) -> Result<Vec<u8>, ReadError> {
        let response = match self.send(key, url.clone()).await {
            // The connection broke before an answer. That is what happens to one that was kept open while Lambda
            // had the function frozen, so it is worth a second try on the spot; a read does no harm twice.
            Err(error) if error.is_request() && !error.is_timeout() => self.send(key, url).await,
            other => other,
        };
        let response = response.map_err(cause)?;
        let status = response.status();
        if status == StatusCode::OK {
            return self.body(response).await;
        }
        let retry_after = response
            .headers()
            .get(header::RETRY_AFTER)
            .and_then(|wait| answer::retry_after(wait.to_str().ok()?, Timestamp::now()));
        let body = if answer::has_code(status.as_u16()) {
            self.body(response).await.unwrap_or_default()
        } else {
            Vec::new()
        };
        Err(answer::refused(status.as_u16(), retry_after, &body))
    }

    async fn send(&self, key: &ApiKey, url: Url) -> Result<Response, reqwest::Error> {
        self.http.get(url).bearer_auth(key.reveal()).header(header::ACCEPT, "application/json").send().await
    }

    /// Reads a body piece by piece, so that one without end is dropped when it is too long and not when we are out
    /// of memory.
    async fn body(&self, mut response: Response) -> Result<Vec<u8>, ReadError> {
        let mut body = Vec::new();
        while let Some(chunk) = response.chunk().await.map_err(cause)? {
            if body.len() + chunk.len() > self.limits.bytes {
                return Err(NotUnderstood::TooLong(self.limits.bytes).into());
            }
            body.extend_from_slice(&chunk);
        }
        Ok(body)
    }
}

fn away(cause: String) -> Setback {
    Setback::Away { service: SERVICE, cause, retry_after: None }
}

/// What the network said, down to the innermost cause. Without the address, which adds nothing, and never with a
/// body or a header.
fn cause(error: reqwest::Error) -> Setback {
    if error.is_builder() {
        return Setback::SetUp {
            service: SERVICE,
            cause: "the API key does not fit into a header".to_owned(),
        };
    }
    let error = error.without_url();
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        text = format!("{text}: {cause}");
        source = cause.source();
    }
    away(text)
}
