//! Flex's API: what is true. Reads only.

use crate::{
    SERVICE, answer,
    listing::{self, List},
    translate::{self, NotUnderstood},
    wire,
};
use domain::{
    access::subscription::{self, Source},
    delivery::{event::RefundsOf, secrets::ApiKey},
    sale::{checkout::Checkout, refund},
    upkeep::reconcile::{Ask, Page},
    values::{
        ids::{EventId, OrderId, PaymentIntentId, RefundId, SubscriptionId},
        outcome::{ReadError, RetryableError},
    },
};
use jiff::Timestamp;
use reqwest::{Client, Response, StatusCode, Url, header, redirect};
use serde::de::DeserializeOwned;
use serde_json::Value;
use std::{collections::BTreeSet, error::Error as _, time::Duration};

/// The largest page of a list that can be asked for
/// (<https://docs.withflex.com/api-reference/checkout-sessions/list-checkout-sessions>).
const PAGE: usize = 100;
/// How many pages of refunds are read: a thousand refunds are not those of one order.
const MOST_PAGES: usize = 10;

/// How long, and how much, we are ready to wait for and to hold.
#[derive(Debug, Clone, Copy)]
pub struct Limits {
    /// For a connection to be made.
    pub connect: Duration,
    /// For one resource or list, from the first byte sent to the last one received, a second try and further pages
    /// included.
    pub request: Duration,
    /// For one answer.
    pub bytes: usize,
}

impl Default for Limits {
    /// No event needs more than two rounds, 16 s in all: of a checkout its session, lines and payments together, then
    /// perhaps the customer; of a refund that the event does not tell, the refunds, then whose the payment is; of an
    /// invoice that names no customer, its subscription twice. That leaves fulfillment the rest of its 30 s. Within a
    /// region and with keep-alive an answer takes a fraction of a second; whoever takes longer is better asked again
    /// later. A session with its lines is some 10 KB, so 2 MiB is a cart of hundreds of lines and no memory to speak
    /// of.
    fn default() -> Self {
        Self {
            connect: Duration::from_secs(2),
            request: Duration::from_secs(8),
            bytes: 2 * 1024 * 1024,
        }
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

    /// Reads a checkout: the session with its customer, its lines, and its payments, at the same time.
    ///
    /// <https://docs.withflex.com/api-reference/checkout-sessions/get-checkout-session>,
    /// <https://docs.withflex.com/api-reference/checkout-sessions/get-line-items>,
    /// <https://docs.withflex.com/api-reference/payment-intents/list-payment-intents>
    pub async fn checkout(&self, key: &ApiKey, order_id: &OrderId) -> Result<Checkout, ReadError> {
        let mut session = self.url(&["v1", "checkout", "sessions", order_id.as_str()]);
        session
            .query_pairs_mut()
            .append_pair("expand_customer", "true");
        let lines = self.url(&[
            "v1",
            "checkout",
            "sessions",
            order_id.as_str(),
            "line_items",
        ]);
        let (session, lines, payments): (wire::Session, Vec<wire::LineItem>, _) = tokio::try_join!(
            self.read(key, session, "checkout_session"),
            self.read(key, lines, "line_items"),
            self.payments(key, order_id)
        )?;
        let customer = self.customer(key, &session).await?;
        let mut checkout = translate::checkout(&session, &lines, customer.as_ref())?;
        if checkout.order_id != *order_id {
            return Err(NotUnderstood::Other("session").into());
        }
        translate::add_payments(&mut checkout, &payments);
        Ok(checkout)
    }

    /// Reads what is told of a checkout's payments. That is knowledge on top of the session's, so an order does not
    /// wait for it where Flex will not tell, or tells in a way that we do not understand.
    async fn payments(
        &self,
        key: &ApiKey,
        order_id: &OrderId,
    ) -> Result<Vec<wire::PaymentIntent>, ReadError> {
        let url = self.list_of(
            &["v1", "payment_intents"],
            ("checkout_session", order_id.as_str()),
        );
        match self.read(key, url, "payment_intents").await {
            Err(ReadError::Permanent { .. } | ReadError::NotUnderstood(_)) => Ok(Vec::new()),
            read => read,
        }
    }

    /// Finds the checkout that a payment was made in; `None` if there is none. No member of a payment names it
    /// (<https://docs.withflex.com/expanding-resources>,
    /// <https://docs.withflex.com/api-reference/checkout-sessions/list-checkout-sessions>).
    pub async fn checkout_of(
        &self,
        key: &ApiKey,
        payment: &PaymentIntentId,
    ) -> Result<Option<OrderId>, ReadError> {
        let url = self.list_of(
            &["v1", "checkout", "sessions"],
            ("payment_intent", payment.as_str()),
        );
        let sessions: Vec<wire::Session> = match self.read(key, url, "checkout_sessions").await {
            // There is no such payment for this key.
            Err(ReadError::Permanent { status: 404, .. }) => return Ok(None),
            read => read?,
        };
        Ok(translate::session_of(&sessions, payment)?)
    }

    /// Reads all refunds of a checkout or of a payment
    /// (<https://docs.withflex.com/api-reference/refunds/list-refunds>).
    pub async fn refunds(
        &self,
        key: &ApiKey,
        of: &RefundsOf,
    ) -> Result<Vec<refund::RefundChange>, ReadError> {
        let wanted = match of {
            RefundsOf::Checkout(order_id) => ("checkout_session", order_id.as_str()),
            RefundsOf::Payment(id) => ("payment_intent", id.as_str()),
        };
        let mut refunds = self.in_time(self.pages(key, wanted)).await?;
        // Should the parameter not have been heard: nobody else's.
        if let RefundsOf::Payment(id) = of {
            refunds.retain(|refund| refund.facts.payment_intent_id == *id);
        }
        Ok(refunds)
    }

    /// Reads a list of refunds page by page. No member says that there is more, so a full page may be followed by
    /// another one.
    async fn pages(
        &self,
        key: &ApiKey,
        wanted: (&str, &str),
    ) -> Result<Vec<refund::RefundChange>, ReadError> {
        let mut all: Vec<refund::RefundChange> = Vec::new();
        for _ in 0..MOST_PAGES {
            let mut url = self.list_of(&["v1", "refunds"], wanted);
            if let Some(last) = all.last() {
                url.query_pairs_mut()
                    .append_pair("starting_after", last.refund_id.as_str());
            }
            let page: Vec<wire::Refund> = self.read(key, url, "refunds").await?;
            let is_full = page.len() >= PAGE;
            let known: BTreeSet<RefundId> =
                all.iter().map(|refund| refund.refund_id.clone()).collect();
            for refund in &page {
                let refund = translate::refund::refund(refund).map_err(NotUnderstood::from)?;
                if !known.contains(&refund.refund_id) {
                    all.push(refund);
                }
            }
            // A page that brings nothing new is the same page again.
            if !is_full || all.len() == known.len() {
                return Ok(all);
            }
        }
        Err(NotUnderstood::Endless("refunds").into())
    }

    /// Reads a subscription (<https://docs.withflex.com/api-reference/subscriptions/get-subscription>), which the
    /// reference shows both wrapped in its name and bare.
    pub async fn subscription(
        &self,
        key: &ApiKey,
        id: &SubscriptionId,
    ) -> Result<subscription::SubscriptionChange, ReadError> {
        const NAME: &str = "subscription";
        let url = self.url(&["v1", "subscriptions", id.as_str()]);
        let mut body = self.answer(key, url, NAME).await?;
        let subscription: wire::Subscription =
            resource(body.get_mut(NAME).map(Value::take).or(Some(body)), NAME)?;
        let change = translate::subscription::subscription(&subscription, Source::Read)
            .map_err(NotUnderstood::from)?;
        if change.subscription_id != *id {
            return Err(NotUnderstood::Other(NAME).into());
        }
        Ok(change)
    }

    /// Reads a page of a list. No member says that there is more, so a full page may be followed by another one
    /// (<https://docs.withflex.com/api-reference/checkout-sessions/list-checkout-sessions>).
    pub async fn list(&self, key: &ApiKey, ask: &Ask<'_>) -> Result<Page, ReadError> {
        let List { path, name, id, .. } = List::of(ask.what);
        let mut url = self.url(path);
        url.query_pairs_mut()
            .extend_pairs(List::filter(ask))
            .append_pair("limit", &PAGE.to_string())
            .extend_pairs(ask.after.map(|last| ("starting_after", last)));
        let page: Vec<Value> = self.read(key, url, name).await?;
        let is_full = page.len() >= PAGE;
        // One thing without an id must not end the list.
        let id_of = |object: &Value| translate::first_id([object.get(id)?.as_str()], EventId::new);
        let last = page.iter().rev().find_map(id_of);
        if is_full && last.is_none() {
            return Err(NotUnderstood::Member(id).into());
        }
        // A page that ends where the one before did is the same page again.
        let goes_on = is_full
            && last.as_ref().map(EventId::as_str) != ask.after
            && !listing::is_past(ask, &page);
        Ok(Page {
            listed: page
                .iter()
                .filter_map(|object| listing::listed(ask, object))
                .collect(),
            length: page.len(),
            next: last.filter(|_| goes_on).map(String::from),
        })
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
        match self
            .read(key, self.url(&["v1", "customers", id]), "customer")
            .await
        {
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

    /// The address of a list of what belongs to something, a page of it as large as can be had.
    fn list_of(&self, segments: &[&str], (of, id): (&str, &str)) -> Url {
        let mut url = self.url(segments);
        url.query_pairs_mut()
            .append_pair(of, id)
            .append_pair("limit", &PAGE.to_string());
        url
    }

    /// Reads a resource, which Flex wraps in its name.
    async fn read<T: DeserializeOwned>(
        &self,
        key: &ApiKey,
        url: Url,
        name: &'static str,
    ) -> Result<T, ReadError> {
        let mut body = self.answer(key, url, name).await?;
        Ok(resource(body.get_mut(name).map(Value::take), name)?)
    }

    /// Reads an answer that is to hold a resource.
    async fn answer(&self, key: &ApiKey, url: Url, name: &'static str) -> Result<Value, ReadError> {
        let body = self.in_time(self.get(key, url)).await?;
        Ok(serde_json::from_slice(&body).map_err(|_| NotUnderstood::Resource(name))?)
    }

    async fn in_time<T>(
        &self,
        work: impl Future<Output = Result<T, ReadError>>,
    ) -> Result<T, ReadError> {
        let in_time = tokio::time::timeout(self.limits.request, work).await;
        in_time.map_err(|_| away("no answer in time".to_owned()))?
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
        self.http
            .get(url)
            .bearer_auth(key.reveal())
            .header(header::ACCEPT, "application/json")
            .send()
            .await
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

fn resource<T: DeserializeOwned>(
    body: Option<Value>,
    name: &'static str,
) -> Result<T, NotUnderstood> {
    let body = body.ok_or(NotUnderstood::Resource(name))?;
    serde_json::from_value(body).map_err(|_| NotUnderstood::Resource(name))
}

fn away(cause: String) -> RetryableError {
    RetryableError::Away {
        service: SERVICE,
        cause,
        retry_after: None,
    }
}

/// What the network said, down to the innermost cause. Without the address, which adds nothing, and never with a
/// body or a header.
fn cause(error: reqwest::Error) -> RetryableError {
    if error.is_builder() {
        return RetryableError::SetUp {
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
