//! The same controls over HTTP, for tests that run the stand-in as a separate process.

use super::{
    fault::Fault,
    state::{Data, Shared, lock},
};
use axum::{
    Json, Router,
    extract::State,
    http::StatusCode,
    routing::{MethodRouter, get, post, put},
};
use serde::Deserialize;
use serde_json::{Value, json};

/// The controls of every stand-in: faults, requests and a reset.
pub(super) fn controls<D: Clone + Default + Send + 'static>() -> Router<Shared<D>> {
    Router::new()
        .route("/faults", post(plan::<D>))
        .route("/requests", get(requests::<D>))
        .route("/reset", post(reset::<D>))
}

/// Flex's things, and the controls.
pub(super) fn routes() -> Router<Shared<Data>> {
    let kinds = ["subscription", "product", "invoice", "dispute", "refund"];
    let routes = controls().route("/sessions", put(put_session));
    kinds.into_iter().fold(routes, |routes, kind| {
        routes.route(&format!("/{kind}s"), keeps(kind))
    })
}

/// A resource has its id.
fn has(resource: &Value, id: &str) -> bool {
    resource.get(id).is_some_and(Value::is_string)
}

/// A session with what belongs to it: `{"session": {…}, "line_items": […], "payment_intents": […],
/// "customer": {…}}`.
#[derive(Deserialize)]
struct Bundle {
    session: Value,
    line_items: Option<Value>,
    payment_intents: Option<Value>,
    customer: Option<Value>,
}

async fn put_session(
    State(state): State<Shared<Data>>,
    Json(bundle): Json<Bundle>,
) -> Result<StatusCode, StatusCode> {
    let customer = bundle.customer.as_ref();
    let is_known = customer.is_none_or(|customer| has(customer, "customer_id"));
    let id = bundle.session.get("checkout_session_id");
    let Some(id) = id.and_then(Value::as_str).filter(|_| is_known) else {
        return Err(StatusCode::UNPROCESSABLE_ENTITY);
    };
    let data = &mut lock(&state).data;
    if let Some(lines) = bundle.line_items {
        data.put_line_items(id, lines);
    }
    if let Some(intents) = bundle.payment_intents {
        data.put_payment_intents(id, intents);
    }
    if let Some(customer) = bundle.customer {
        data.put("customer", customer);
    }
    data.put_session(bundle.session);
    Ok(StatusCode::NO_CONTENT)
}

/// A route that takes a resource in its wrapper, as the API gives it.
fn keeps(kind: &'static str) -> MethodRouter<Shared<Data>> {
    put(
        move |State(state): State<Shared<Data>>, Json(mut body): Json<Value>| async move {
            let resource = body.get_mut(kind).map(Value::take).unwrap_or_default();
            if !has(&resource, &format!("{kind}_id")) {
                return StatusCode::UNPROCESSABLE_ENTITY;
            }
            lock(&state).data.put(kind, resource);
            StatusCode::NO_CONTENT
        },
    )
}

/// A fault with the path that it is for: `{"path": "/v1/checkout/sessions/*", "status": 503, "times": 2}`.
#[derive(Deserialize)]
struct Plan {
    path: String,
    #[serde(flatten)]
    fault: Fault,
}

async fn plan<D: Clone + Default>(
    State(state): State<Shared<D>>,
    Json(plan): Json<Plan>,
) -> StatusCode {
    lock(&state).plan(&plan.path, plan.fault);
    StatusCode::NO_CONTENT
}

async fn requests<D>(State(state): State<Shared<D>>) -> Json<Value> {
    Json(json!({"requests": lock(&state).requests}))
}

async fn reset<D: Clone + Default>(State(state): State<Shared<D>>) -> StatusCode {
    lock(&state).reset();
    StatusCode::NO_CONTENT
}
