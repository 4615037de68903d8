//! The client: one connection pool, one address, and the limits of each read.

use crate::{
    answer::{self, Refused},
    not_understood::NotUnderstood,
};
use domain::{
    delivery::secrets::ApiKey,
    ports::Answering,
    values::outcome::{ReadError, RetryableError},
};
use jiff::Timestamp;
use reading::{Readable, document};
use reqwest::{
    Response, StatusCode, Url,
    header::{self, HeaderMap},
    redirect,
};
use serde_json::Value;
use std::{error::Error as _, fmt, sync::Arc, time::Duration};

/// Limits on time and memory.
#[derive(Debug, Clone, Copy)]
pub struct Limits {
    /// For a connection.
    pub connect: Duration,
    /// For one resource or list, from the first byte sent to the last one received, including a
    /// second attempt and further pages.
    pub request: Duration,
    /// For one answer.
    pub bytes: usize,
}

impl Default for Limits {
    /// No event needs more than two rounds, 16 s in all, of fulfillment's 30 s. At Flex a checkout needs its session,
    /// lines and payments together, then perhaps the customer. A refund without details needs the refunds, then the
    /// checkout of its payment. A renewal needs its subscription, then customer and products together; in a few cases the
    /// subscription once more before. At Flint an order needs itself, then what its answer leaves out. Within a region
    /// and with keep-alive, an answer takes a fraction of a second; a slower request is better retried later. A sale with
    /// its lines is some 10 KB, so 2 MiB holds a cart of hundreds of lines.
    fn default() -> Self {
        Self {
            connect: Duration::from_secs(2),
            request: Duration::from_secs(8),
            bytes: 2 * 1024 * 1024,
        }
    }
}

/// The reason why a client cannot be created: a wrong set-up, found at cold start.
#[derive(Debug, thiserror::Error)]
pub enum BadSetUp {
    /// The base URL does not start with `https://` or `http://`.
    #[error("base URL of {0}'s API is not an http or https URL")]
    BaseUrl(&'static str),
    /// TLS or the network cannot be set up.
    #[error("cannot create an HTTP client")]
    Client(#[source] reqwest::Error),
}

/// The differences between the APIs of two providers.
#[derive(Debug, Clone, Copy)]
pub struct Dialect {
    /// The provider's name in logs and errors.
    pub service: &'static str,
    /// The user agent of our requests.
    pub user_agent: &'static str,
    /// The first segment of each path.
    pub root: &'static str,
    /// More headers of each request.
    pub headers: &'static [(&'static str, &'static str)],
    /// Checks the headers of a successful answer to a request with this key.
    pub check: fn(&ApiKey, &HeaderMap) -> Result<(), RetryableError>,
    /// The place of a flag in an error's body: true if the same request may succeed later.
    pub retryable: Option<&'static str>,
}

/// Answers requests in the place of the network: an API in memory, for simulations.
pub trait InMemory: fmt::Debug + Send + Sync {
    /// The answer to a `GET` of this address: its headers and its body.
    fn get<'a>(&'a self, url: &'a Url) -> Answering<'a, Result<(HeaderMap, Vec<u8>), ReadError>>;
}

/// The way to the API.
#[derive(Debug, Clone)]
enum Way {
    Http(reqwest::Client),
    InMemory(Arc<dyn InMemory>),
}

/// A client of a provider's API. Create it once and keep it, because it holds the connections.
#[derive(Debug, Clone)]
pub struct Client {
    way: Way,
    base: Url,
    limits: Limits,
    dialect: Dialect,
}

impl Client {
    /// Creates a client for the API at this address.
    pub fn new(base_url: &str, limits: Limits, dialect: Dialect) -> Result<Self, BadSetUp> {
        let base = base(base_url, dialect)?;
        // rustls requires one call per process that selects the linked TLS library. An error means
        // that another client of this process has made the same call.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let http = reqwest::Client::builder()
            .user_agent(dialect.user_agent)
            .connect_timeout(limits.connect)
            .redirect(redirect::Policy::none())
            // Retries are decided here, where a test can observe them.
            .retry(reqwest::retry::never())
            .build()
            .map_err(BadSetUp::Client)?;
        Ok(Self {
            way: Way::Http(http),
            base,
            limits,
            dialect,
        })
    }

    /// Creates a client for an API in memory.
    pub fn in_memory(api: Arc<dyn InMemory>, dialect: Dialect) -> Result<Self, BadSetUp> {
        Ok(Self {
            way: Way::InMemory(api),
            base: base("https://api.in-memory.invalid", dialect)?,
            limits: Limits::default(),
            dialect,
        })
    }

    /// The URL of a resource. Each segment is encoded, because ids are foreign text.
    #[must_use]
    pub fn url(&self, segments: &[&str]) -> Url {
        let mut url = self.base.clone();
        // Only URLs such as `mailto:` have no path, and `new` refuses those.
        if let Ok(mut path) = url.path_segments_mut() {
            path.pop_if_empty().push(self.dialect.root).extend(segments);
        }
        url
    }

    /// Reads an answer as JSON. `name` is the resource in it.
    pub async fn answer(
        &self,
        key: &ApiKey,
        url: Url,
        name: &'static str,
    ) -> Result<Value, ReadError> {
        let (_, body) = self.whole_answer(key, url, name).await?;
        Ok(body)
    }

    /// Reads an answer as JSON, with its headers.
    pub async fn whole_answer(
        &self,
        key: &ApiKey,
        url: Url,
        name: &'static str,
    ) -> Result<(HeaderMap, Value), ReadError> {
        let (headers, body) = self.in_time(self.get(key, url)).await?;
        let body = document(&body).ok_or(NotUnderstood::Resource(name))?;
        Ok((headers, body))
    }

    /// Does some work within the time of one request.
    pub async fn in_time<T>(
        &self,
        work: impl Future<Output = Result<T, ReadError>>,
    ) -> Result<T, ReadError> {
        let in_time = tokio::time::timeout(self.limits.request, work).await;
        in_time.map_err(|_| self.away("no answer in time".to_owned()))?
    }

    async fn get(&self, key: &ApiKey, url: Url) -> Result<(HeaderMap, Vec<u8>), ReadError> {
        let http = match &self.way {
            Way::Http(http) => http,
            Way::InMemory(api) => {
                let (headers, body) = api.get(&url).await?;
                (self.dialect.check)(key, &headers)?;
                return Ok((headers, body));
            }
        };
        let response = match self.send(http, key, url.clone()).await {
            // The connection broke before an answer. Lambda may have frozen the function while the
            // connection was kept open, so one immediate retry is worthwhile. Reads are safe to
            // repeat.
            Err(error) if error.is_request() && !error.is_timeout() => {
                self.send(http, key, url).await
            }
            other => other,
        };
        let response = response.map_err(|error| self.cause(error))?;
        if response.status() != StatusCode::OK {
            return Err(self.refused(response).await);
        }
        let headers = response.headers().clone();
        (self.dialect.check)(key, &headers)?;
        Ok((headers, self.body(response).await?))
    }

    /// The error that an answer other than 200 means.
    async fn refused(&self, response: Response) -> ReadError {
        let status = response.status().as_u16();
        let retry_after = response
            .headers()
            .get(header::RETRY_AFTER)
            .and_then(|wait| answer::retry_after(wait.to_str().ok()?, Timestamp::now()));
        let body = if answer::has_code(status) || self.dialect.retryable.is_some() {
            self.body(response).await.unwrap_or_default()
        } else {
            Vec::new()
        };
        let place = self.dialect.retryable;
        let answer = Refused {
            retry_after,
            retryable: place.and_then(|place| answer::flag(&body, place)),
            body: &body,
        };
        answer::refused(self.dialect.service, status, answer)
    }

    async fn send(
        &self,
        http: &reqwest::Client,
        key: &ApiKey,
        url: Url,
    ) -> Result<Response, reqwest::Error> {
        let request = http
            .get(url)
            .bearer_auth(key.reveal())
            .header(header::ACCEPT, "application/json");
        let headers = self.dialect.headers.iter();
        headers
            .fold(request, |request, (name, value)| {
                request.header(*name, *value)
            })
            .send()
            .await
    }

    /// Reads a body in chunks, so an endless body is dropped at the limit, before memory runs out.
    async fn body(&self, mut response: Response) -> Result<Vec<u8>, ReadError> {
        let mut body = Vec::new();
        while let Some(chunk) = response.chunk().await.map_err(|error| self.cause(error))? {
            if body.len() + chunk.len() > self.limits.bytes {
                return Err(NotUnderstood::TooLong(self.limits.bytes).into());
            }
            body.extend_from_slice(&chunk);
        }
        Ok(body)
    }

    fn away(&self, cause: String) -> RetryableError {
        RetryableError::Away {
            service: self.dialect.service,
            cause,
            retry_after: None,
        }
    }

    /// The network error down to its innermost cause, without the URL, which adds nothing, and never
    /// with a body or header.
    fn cause(&self, error: reqwest::Error) -> RetryableError {
        if error.is_builder() {
            return RetryableError::SetUp {
                service: self.dialect.service,
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
        self.away(text)
    }
}

/// The address of an API.
fn base(url: &str, dialect: Dialect) -> Result<Url, BadSetUp> {
    match Url::parse(url) {
        Ok(base) if matches!(base.scheme(), "https" | "http") => Ok(base),
        _ => Err(BadSetUp::BaseUrl(dialect.service)),
    }
}

/// Refuses an answer about another thing than requested.
pub fn asked_for<T, E>(
    read: Result<T, E>,
    is_asked_for: impl FnOnce(&T) -> bool,
    name: &'static str,
) -> Result<T, NotUnderstood>
where
    NotUnderstood: From<E>,
{
    let read = read?;
    if is_asked_for(&read) {
        Ok(read)
    } else {
        Err(NotUnderstood::Other(name))
    }
}

/// Reads a thing that may be missing: `None` if the provider refuses permanently.
pub fn unless_refused<T>(read: Result<T, ReadError>) -> Result<Option<T>, ReadError> {
    match read {
        Err(ReadError::Permanent { .. }) => Ok(None),
        read => read.map(Some),
    }
}

/// The resource under this member of an answer, by its name for errors.
pub fn resource<T: Readable>(
    mut answer: Value,
    member: &str,
    name: &'static str,
) -> Result<T, NotUnderstood> {
    let value = answer.get_mut(member).map(Value::take);
    value.and_then(T::read).ok_or(NotUnderstood::Resource(name))
}
