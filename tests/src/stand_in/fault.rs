//! Faults on request.

use super::{
    connection::Cut,
    state::{Shared, lock},
};
use axum::{
    extract::{ConnectInfo, Request, State},
    http::{HeaderValue, StatusCode, header},
    middleware::Next,
    response::{IntoResponse as _, Response},
};
use serde::Deserialize;
use std::time::Duration;

/// A way to fail. Everything left at its default, it fails nothing.
#[derive(Debug, Clone, Deserialize)]
#[serde(default)]
pub struct Fault {
    /// The status to answer with; without one the request is answered as if nothing were wrong.
    pub status: Option<u16>,
    pub body: String,
    /// The `retry-after` header to answer with.
    pub retry_after: Option<String>,
    /// How long to wait before anything else.
    pub delay_ms: u64,
    /// Hang up instead of answering.
    pub drop_connection: bool,
    /// How many requests it is for.
    pub times: u32,
}

impl Default for Fault {
    fn default() -> Self {
        Self {
            status: None,
            body: String::new(),
            retry_after: None,
            delay_ms: 0,
            drop_connection: false,
            times: 1,
        }
    }
}

impl Fault {
    /// An answer of that status, without a body.
    pub fn status(status: u16) -> Self {
        Self {
            status: Some(status),
            ..Self::default()
        }
    }

    /// A connection that is dropped without an answer.
    pub fn dropped() -> Self {
        Self {
            drop_connection: true,
            ..Self::default()
        }
    }

    /// An answer that is right, and late.
    pub fn late(delay: Duration) -> Self {
        Self {
            delay_ms: u64::try_from(delay.as_millis()).unwrap_or(u64::MAX),
            ..Self::default()
        }
    }

    /// The same for that many requests.
    #[must_use]
    pub fn times(self, times: u32) -> Self {
        Self { times, ..self }
    }
}

/// Notes a request down, and lets the fault strike that is planned for it.
pub(super) async fn strike<D: Clone + Default>(
    State(state): State<Shared<D>>,
    ConnectInfo(cut): ConnectInfo<Cut>,
    request: Request,
    next: Next,
) -> Response {
    let fault = {
        let mut state = lock(&state);
        state
            .requests
            .push(format!("{} {}", request.method(), request.uri()));
        state.fault_for(request.uri().path())
    };
    let Some(fault) = fault else {
        return next.run(request).await;
    };
    tokio::time::sleep(Duration::from_millis(fault.delay_ms)).await;
    if fault.drop_connection {
        cut.now();
    }
    let Some(status) = fault.status else {
        return next.run(request).await;
    };
    let status = StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    let mut response = (status, fault.body).into_response();
    if let Some(wait) = fault
        .retry_after
        .and_then(|wait| HeaderValue::from_str(&wait).ok())
    {
        response.headers_mut().insert(header::RETRY_AFTER, wait);
    }
    response
}
