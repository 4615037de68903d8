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
        .route("/subscriptions", put(put_subscription))
        .route("/invoices", put(put_invoice))
        .route("/refunds", put(put_refund))
        .route("/faults", post(plan))
        .route("/requests", get(requests))
        .route("/reset", post(reset))
}

/// Whether a resource has the id that it is known by.
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
    State(state): State<Shared>,
    Json(bundle): Json<Bundle>,
) -> Result<StatusCode, StatusCode> {
    let id = bundle
        .session
        .get("checkout_session_id")
        .and_then(Value::as_str);
    let Some(id) = id.filter(|_| {
        bundle
            .customer
            .as_ref()
            .is_none_or(|customer| has(customer, "customer_id"))
    }) else {
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
        data.put_customer(customer);
    }
    data.put_session(bundle.session);
    Ok(StatusCode::NO_CONTENT)
}

/// A subscription in its wrapper, as the API gives it.
#[derive(Deserialize)]
struct Subscribed {
    subscription: Value,
}

async fn put_subscription(
    State(state): State<Shared>,
    Json(Subscribed { subscription }): Json<Subscribed>,
) -> Result<StatusCode, StatusCode> {
    if !has(&subscription, "subscription_id") {
        return Err(StatusCode::UNPROCESSABLE_ENTITY);
    }
    lock(&state).data.put_subscription(subscription);
    Ok(StatusCode::NO_CONTENT)
}

/// An invoice in its wrapper, as the API gives it.
#[derive(Deserialize)]
struct Invoiced {
    invoice: Value,
}

async fn put_invoice(
    State(state): State<Shared>,
    Json(Invoiced { invoice }): Json<Invoiced>,
) -> Result<StatusCode, StatusCode> {
    if !has(&invoice, "invoice_id") {
        return Err(StatusCode::UNPROCESSABLE_ENTITY);
    }
    lock(&state).data.put_invoice(invoice);
    Ok(StatusCode::NO_CONTENT)
}

/// A refund, and of which session it is if its payment intent does not say so.
#[derive(Deserialize)]
struct Refunded {
    refund: Value,
    checkout_session: Option<String>,
}

async fn put_refund(
    State(state): State<Shared>,
    Json(Refunded {
        refund,
        checkout_session,
    }): Json<Refunded>,
) -> Result<StatusCode, StatusCode> {
    if !has(&refund, "refund_id") {
        return Err(StatusCode::UNPROCESSABLE_ENTITY);
    }
    lock(&state).data.put_refund(refund, checkout_session);
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
