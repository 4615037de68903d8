//! Flint's webhook endpoints: made, read, given a new secret and deleted. Only the first and the third answer show a
//! secret.
#![expect(
    clippy::indexing_slicing,
    reason = "a member that is missing is null, and one that is set is added"
)]

use super::{
    data::{FlintData, Kind},
    routes::{Caller, Refused, answer, invalid, thing, unknown},
};
use crate::stand_in::state::{Shared, lock};
use axum::{
    Json, Router,
    extract::{Path, State},
    http::StatusCode,
    routing::{delete, post},
};
use base64::{Engine as _, engine::general_purpose::STANDARD};
use domain::values::fingerprint::fingerprint;
use serde_json::{Value, json};

const KIND: Kind = Kind::WebhookEndpoints;

pub(super) fn routes() -> Router<Shared<FlintData>> {
    let one = thing(KIND).merge(delete(remove));
    Router::new()
        .route("/webhook-endpoints", post(create))
        .route("/webhook-endpoints/{id}", one)
        .route("/webhook-endpoints/{id}/rotate-secret", post(rotate))
}

/// The secret of an endpoint after some rotations: text of the right form, and the same in each run.
fn secret(id: &str, rotations: usize) -> String {
    let bytes = &fingerprint(format!("{id}#{rotations}").as_bytes())[..32];
    format!("whsec_{}", STANDARD.encode(bytes))
}

/// The endpoint with its secret, as the caller sees it once.
fn shown(endpoint: &Value, secret: String) -> Json<Value> {
    let mut shown = endpoint.clone();
    shown["secret"] = Value::String(secret);
    answer(&shown)
}

async fn create(
    State(state): State<Shared<FlintData>>,
    Caller(mode): Caller,
    Json(asked): Json<Value>,
) -> Result<(StatusCode, Json<Value>), Refused> {
    if !(asked["url"].is_string() && asked["enabled_events"].is_array()) {
        return Err(invalid());
    }
    let data = &mut lock(&state).data;
    let id = format!("we_{}", data.all(mode, KIND).count() + 1);
    let endpoint = json!({
        "webhook_endpoint_id": id, "url": asked["url"], "enabled_events": asked["enabled_events"], "enabled": true,
        "description": asked["description"], "mode": mode,
    });
    data.put(mode, KIND, endpoint.clone());
    Ok((StatusCode::CREATED, shown(&endpoint, secret(&id, 0))))
}

async fn rotate(
    State(state): State<Shared<FlintData>>,
    Caller(mode): Caller,
    Path(id): Path<String>,
) -> Result<Json<Value>, Refused> {
    let state = &mut *lock(&state);
    let path = format!("/v1/webhook-endpoints/{id}/rotate-secret");
    let endpoint = state
        .data
        .get(mode, KIND, &id)
        .ok_or_else(|| unknown(KIND))?;
    Ok(shown(endpoint, secret(&id, state.requests_for(&path))))
}

async fn remove(
    State(state): State<Shared<FlintData>>,
    Caller(mode): Caller,
    Path(id): Path<String>,
) -> Result<StatusCode, Refused> {
    let removed = lock(&state).data.remove(mode, KIND, &id);
    removed
        .map(|_| StatusCode::NO_CONTENT)
        .ok_or_else(|| unknown(KIND))
}
