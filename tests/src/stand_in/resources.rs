//! Flex's own routes, as far as fulfillment and reconciliation use them.

use super::state::{Data, Shared, lock};
use axum::{
    Json, Router,
    extract::{FromRequestParts, Path, Query, State},
    http::{StatusCode, header, request::Parts},
    response::{IntoResponse, Response},
    routing::get,
};
use serde::Deserialize;
use serde_json::{Value, json};
use std::convert::Infallible;

pub(super) fn routes() -> Router<Shared> {
    Router::new()
        .route("/checkout/sessions", get(sessions))
        .route("/checkout/sessions/{id}", get(session))
        .route("/checkout/sessions/{id}/line_items", get(line_items))
        .route("/customers/{id}", get(customer))
}

/// What an unknown path is answered with: the shape of the framework that Flex's own errors show.
pub(super) async fn not_found() -> Response {
    (StatusCode::NOT_FOUND, Json(json!({"detail": "Not Found"}))).into_response()
}

/// A refusal in the documented shape (<https://docs.withflex.com/api-reference/introduction>).
struct Refused(StatusCode, &'static str);

impl IntoResponse for Refused {
    fn into_response(self) -> Response {
        (self.0, Json(json!({"error": {"code": self.1, "message": "refused by the stand-in"}})))
            .into_response()
    }
}

/// The shape in which Flex reports a parameter that is not as it should be, seen by its own plugin
/// (<https://github.com/JoinFlexHealth/woocommerce>).
fn invalid(parameter: &str) -> Response {
    let detail = json!([{"loc": ["query", parameter], "msg": "not valid", "type": "value_error"}]);
    (StatusCode::UNPROCESSABLE_ENTITY, Json(json!({"detail": detail}))).into_response()
}

/// The caller's key: says which data it may see, and nothing else.
struct Caller {
    test_mode: bool,
}

impl<S: Sync> FromRequestParts<S> for Caller {
    type Rejection = Refused;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Refused> {
        let header = parts.headers.get(header::AUTHORIZATION).and_then(|value| value.to_str().ok());
        match header.and_then(|value| value.strip_prefix("Bearer ")) {
            Some(key) if key.starts_with("fsk_") => Ok(Self { test_mode: key.starts_with("fsk_test_") }),
            _ => Err(Refused(StatusCode::UNAUTHORIZED, "unauthorized")),
        }
    }
}

/// The `expand_customer` of a query; anything but `true` expands nothing.
struct Expand(bool);

impl<S: Sync> FromRequestParts<S> for Expand {
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Infallible> {
        let query = parts.uri.query().unwrap_or_default();
        Ok(Self(query.split('&').any(|pair| pair == "expand_customer=true")))
    }
}

/// A session as the caller wants it: its customer expanded or not.
fn shown(data: &Data, session: &Value, caller: &Caller, expand: &Expand) -> Value {
    let mut session = session.clone();
    if expand.0
        && let Some(customer) = session.get_mut("customer")
        && let Some(known) = customer.as_str().and_then(|id| data.customer(id, caller.test_mode))
    {
        *customer = known.clone();
    }
    session
}

async fn session(
    State(state): State<Shared>,
    caller: Caller,
    expand: Expand,
    Path(id): Path<String>,
) -> Result<Json<Value>, Refused> {
    let data = &lock(&state).data;
    let session = data
        .session(&id, caller.test_mode)
        .ok_or(Refused(StatusCode::NOT_FOUND, "checkout_session_not_found"))?;
    Ok(Json(json!({"checkout_session": shown(data, session, &caller, &expand)})))
}

async fn line_items(
    State(state): State<Shared>,
    caller: Caller,
    Path(id): Path<String>,
) -> Result<Json<Value>, Refused> {
    let data = &lock(&state).data;
    data.session(&id, caller.test_mode)
        .ok_or(Refused(StatusCode::NOT_FOUND, "checkout_session_not_found"))?;
    Ok(Json(json!({"line_items": data.line_items(&id)})))
}

async fn customer(
    State(state): State<Shared>,
    caller: Caller,
    Path(id): Path<String>,
) -> Result<Json<Value>, Refused> {
    let data = &lock(&state).data;
    let customer =
        data.customer(&id, caller.test_mode).ok_or(Refused(StatusCode::NOT_FOUND, "customer_not_found"))?;
    Ok(Json(json!({"customer": customer})))
}

/// How sessions are asked for (<https://docs.withflex.com/api-reference/checkout-sessions/list-checkout-sessions>).
#[derive(Deserialize)]
struct Wanted {
    client_reference_id: Option<String>,
    payment_intent: Option<String>,
    limit: Option<String>,
    starting_after: Option<String>,
}

impl Wanted {
    fn fits(&self, session: &Value) -> bool {
        let is = |name: &str, wanted: &str| session.get(name).and_then(Value::as_str) == Some(wanted);
        let pays = |wanted: &str| {
            let listed = session.get("payment_intents").and_then(Value::as_array).into_iter().flatten();
            is("payment_intent", wanted) || listed.into_iter().any(|intent| intent == wanted)
        };
        self.client_reference_id.as_deref().is_none_or(|wanted| is("client_reference_id", wanted))
            && self.payment_intent.as_deref().is_none_or(pays)
    }
}

async fn sessions(
    State(state): State<Shared>,
    caller: Caller,
    expand: Expand,
    Query(wanted): Query<Wanted>,
) -> Result<Response, Refused> {
    let Ok(limit @ 1..=100) = wanted.limit.as_deref().map_or(Ok(10), str::parse::<usize>) else {
        return Ok(invalid("limit"));
    };
    let data = &lock(&state).data;
    let mut found = data.sessions(caller.test_mode).peekable();
    if let Some(last) = &wanted.starting_after {
        // The page begins after the session of that id.
        if !found.any(|session| session.get("checkout_session_id").is_some_and(|id| id == last)) {
            return Ok(invalid("starting_after"));
        }
    }
    let page: Vec<Value> = found
        .filter(|session| wanted.fits(session))
        .take(limit)
        .map(|session| shown(data, session, &caller, &expand))
        .collect();
    Ok(Json(json!({"checkout_sessions": page})).into_response())
}
