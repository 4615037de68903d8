//! The same steering over HTTP, for tests that run the stand-in as a process of its own.

use super::{
    fault::Fault,
    state::{Shared, lock},
};
use axum::{
    Json, Router,
    extract::State,
    http::StatusCode,
    routing::{get, post, put},
};
use serde::Deserialize;
use serde_json::{Value, json};

pub(super) fn routes() -> Router<Shared> {
    Router::new()
        .route("/sessions", put(put_session))
        .route("/faults", post(plan))
        .route("/requests", get(requests))
        .route("/reset", post(reset))
}

/// A session with what belongs to it: `{"session": {…}, "line_items": […], "customer": {…}}`.
#[derive(Deserialize)]
struct Bundle {
    session: Value,
    line_items: Option<Value>,
    customer: Option<Value>,
}

async fn put_session(
    State(state): State<Shared>,
    Json(bundle): Json<Bundle>,
) -> Result<StatusCode, StatusCode> {
    let has = |resource: &Value, id: &str| resource.get(id).is_some_and(Value::is_string);
    let customer = bundle.customer.as_ref();
    if !has(&bundle.session, "checkout_session_id")
        || customer.is_some_and(|customer| !has(customer, "customer_id"))
    {
        return Err(StatusCode::UNPROCESSABLE_ENTITY);
    }
    let data = &mut lock(&state).data;
    if let (Some(lines), Some(id)) =
        (bundle.line_items, bundle.session.get("checkout_session_id").and_then(Value::as_str))
    {
        data.put_line_items(id, lines);
    }
    if let Some(customer) = bundle.customer {
        data.put_customer(customer);
    }
    data.put_session(bundle.session);
    Ok(StatusCode::NO_CONTENT)
}

/// A fault with the path that it is for: `{"path": "/v1/checkout/sessions/*", "status": 503, "times": 2}`.
#[derive(Deserialize)]
struct Plan {
    path: String,
    #[serde(flatten)]
    fault: Fault,
}

async fn plan(State(state): State<Shared>, Json(plan): Json<Plan>) -> StatusCode {
    lock(&state).plan(&plan.path, plan.fault);
    StatusCode::NO_CONTENT
}

async fn requests(State(state): State<Shared>) -> Json<Value> {
    Json(json!({"requests": lock(&state).requests}))
}

async fn reset(State(state): State<Shared>) -> StatusCode {
    lock(&state).reset();
    StatusCode::NO_CONTENT
}
