//! Flint's routes, as far as fulfillment, reconcile and `till` use them.
#![expect(
    clippy::indexing_slicing,
    reason = "a member that is missing is null, and one that is set is added"
)]

use super::{
    data::{FlintData, Kind, Mode},
    endpoints,
};
use crate::stand_in::state::{Shared, lock};
use axum::{
    Json, Router,
    extract::{FromRequestParts, Path, Query, Request, State},
    http::{HeaderMap, HeaderValue, StatusCode, header, request::Parts},
    middleware::{self, Next},
    response::{IntoResponse, Response},
    routing::{MethodRouter, get, put},
};
use serde_json::{Value, json};

/// The version of the API that a request gets without a `Flint-Version`.
const VERSION: &str = "2026-09-07";

/// The merchant of every key.
const MERCHANT: &str = "mer_1";

pub(super) fn routes() -> Router<Shared<FlintData>> {
    let one = [
        ("/payment-intents/{id}", Kind::PaymentIntents),
        ("/refunds/{id}", Kind::Refunds),
        ("/customers/{id}", Kind::Customers),
        ("/subscriptions/{id}", Kind::Subscriptions),
        ("/invoices/{id}", Kind::Invoices),
        ("/payment-methods/{id}", Kind::PaymentMethods),
        ("/balance-transactions/{id}", Kind::BalanceTransactions),
        ("/merchants/{id}", Kind::Merchants),
        ("/checkout-sessions/{id}", Kind::CheckoutSessions),
        ("/fulfillments/{id}", Kind::Fulfillments),
        ("/webhook-events/{id}", Kind::WebhookEvents),
    ];
    let lists = [
        ("/orders", Kind::Orders),
        ("/payment-intents", Kind::PaymentIntents),
        ("/subscriptions", Kind::Subscriptions),
        ("/invoices", Kind::Invoices),
        ("/balance-transactions", Kind::BalanceTransactions),
        ("/capabilities", Kind::Capabilities),
        ("/webhook-events", Kind::WebhookEvents),
    ];
    let routes = endpoints::routes()
        .route("/orders/{id}", get(order))
        .route("/invoices/{id}/payment-attempts", get(attempts));
    let routes = (one.into_iter()).fold(routes, |all, (path, kind)| all.route(path, thing(kind)));
    let routes = (lists.into_iter()).fold(routes, |all, (path, kind)| all.route(path, list(kind)));
    routes.layer(middleware::from_fn(with_headers))
}

/// `PUT /_stand-in/{mode}/{kind}` with a thing.
pub(super) fn admin() -> Router<Shared<FlintData>> {
    Router::new().route("/{mode}/{kind}", put(keep))
}

async fn keep(
    State(state): State<Shared<FlintData>>,
    Path((mode, kind)): Path<(Mode, Kind)>,
    Json(thing): Json<Value>,
) -> StatusCode {
    if !thing.get(kind.id()).is_some_and(Value::is_string) {
        return StatusCode::UNPROCESSABLE_ENTITY;
    }
    lock(&state).data.put(mode, kind, thing);
    StatusCode::NO_CONTENT
}

/// A refusal: status, type, code, and whether a retry may help.
pub(super) struct Refused(StatusCode, &'static str, &'static str);

impl IntoResponse for Refused {
    fn into_response(self) -> Response {
        let Self(status, kind, code) = self;
        let error = json!({
            "type": kind, "code": code, "message": "refused by the stand-in", "error_source": "api",
            "doc_url": "https://developers.withflintpay.com/docs/errors", "request_id": "req_1",
            "remediation": {"next_steps": [], "retryable": false},
        });
        (status, Json(json!({"error": error}))).into_response()
    }
}

pub(super) async fn not_found() -> Refused {
    Refused(
        StatusCode::NOT_FOUND,
        "not_found_error",
        "RESOURCE_NOT_FOUND",
    )
}

pub(super) fn unknown(kind: Kind) -> Refused {
    let code = match kind {
        Kind::Orders => "ORDER_NOT_FOUND",
        _ => "RESOURCE_NOT_FOUND",
    };
    Refused(StatusCode::NOT_FOUND, "not_found_error", code)
}

pub(super) fn invalid() -> Refused {
    Refused(
        StatusCode::BAD_REQUEST,
        "validation_error",
        "INVALID_REQUEST",
    )
}

/// The mode of the caller's key.
fn mode_of(headers: &HeaderMap) -> Option<Mode> {
    let text = |name: &str| headers.get(name).and_then(|value| value.to_str().ok());
    let bearer = text("authorization").and_then(|value| value.strip_prefix("Bearer "));
    let key = bearer.or_else(|| text("x-api-key"))?;
    if key.starts_with("flint_test_") {
        Some(Mode::Test)
    } else {
        key.starts_with("flint_live_").then_some(Mode::Live)
    }
}

/// The caller's key: the mode of the data that it sees.
pub(super) struct Caller(pub(super) Mode);

impl<S: Sync> FromRequestParts<S> for Caller {
    type Rejection = Refused;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Refused> {
        let code = if parts.headers.contains_key(header::AUTHORIZATION) {
            "INVALID_API_KEY"
        } else {
            "AUTH_REQUIRED"
        };
        let refused = Refused(StatusCode::UNAUTHORIZED, "authentication_error", code);
        mode_of(&parts.headers).map(Self).ok_or(refused)
    }
}

/// Adds the headers of each answer.
async fn with_headers(request: Request, next: Next) -> Response {
    let version = request.headers().get("flint-version").cloned();
    let version = version.unwrap_or(HeaderValue::from_static(VERSION));
    let mode = match mode_of(request.headers()) {
        Some(Mode::Live) => Some("live"),
        Some(Mode::Test) => Some("test"),
        None => None,
    };
    let mut response = next.run(request).await;
    let headers = response.headers_mut();
    headers.insert("flint-version", version);
    headers.insert("x-request-id", HeaderValue::from_static("req_1"));
    headers.insert("flint-merchant-id", HeaderValue::from_static(MERCHANT));
    if let Some(mode) = mode {
        headers.insert("flint-mode", HeaderValue::from_static(mode));
    }
    response
}

pub(super) fn answer(data: &Value) -> Json<Value> {
    Json(json!({"data": data, "request_id": "req_1"}))
}

pub(super) fn thing(kind: Kind) -> MethodRouter<Shared<FlintData>> {
    get(
        move |State(state): State<Shared<FlintData>>,
              Caller(mode): Caller,
              Path(id): Path<String>| async move {
            let found = lock(&state).data.get(mode, kind, &id).map(answer);
            found.ok_or_else(|| unknown(kind))
        },
    )
}

/// The parameters of a query, in order. One may be repeated.
type Parameters = Vec<(String, String)>;

/// The values of a parameter.
fn values<'a>(query: &'a Parameters, name: &'a str) -> impl Iterator<Item = &'a str> {
    let named = query.iter().filter(move |(known, _)| known == name);
    named.map(|(_, value)| value.as_str())
}

/// An order, with its customer and its payment intents if it is to be expanded.
async fn order(
    State(state): State<Shared<FlintData>>,
    Caller(mode): Caller,
    Path(id): Path<String>,
    Query(query): Query<Parameters>,
) -> Result<Json<Value>, Refused> {
    let data = &lock(&state).data;
    let order = data
        .get(mode, Kind::Orders, &id)
        .ok_or_else(|| unknown(Kind::Orders))?;
    let mut order = order.clone();
    let is_wanted = |name: &str| values(&query, "expand").any(|wanted| wanted == name);
    if is_wanted("customer") {
        let id = order["customer_id"].as_str().unwrap_or_default();
        if let Some(customer) = data.get(mode, Kind::Customers, id) {
            order["customer"] = customer.clone();
        }
    }
    if is_wanted("payment_intents") {
        let ids = order["payment_intent_ids"].as_array().cloned();
        let ids = ids.unwrap_or_default();
        let intents = ids
            .iter()
            .filter_map(|id| data.get(mode, Kind::PaymentIntents, id.as_str()?));
        order["payment_intents"] = intents.cloned().collect();
    }
    Ok(answer(&order))
}

async fn attempts(
    State(state): State<Shared<FlintData>>,
    Caller(mode): Caller,
    Path(id): Path<String>,
    Query(query): Query<Parameters>,
) -> Result<Json<Value>, Refused> {
    let data = &lock(&state).data;
    let attempts = data.all(mode, Kind::PaymentAttempts);
    page(
        &query,
        attempts.filter(|attempt| attempt["invoice_id"] == id),
    )
}

fn list(kind: Kind) -> MethodRouter<Shared<FlintData>> {
    get(
        move |State(state): State<Shared<FlintData>>,
              Caller(mode): Caller,
              Query(query): Query<Parameters>| async move {
            let data = &lock(&state).data;
            let fits = |thing: &&Value| {
                let wants = |name: &str, wanted: &str| thing[name] == *wanted;
                ["delivery_status", "event_type", "customer_id", "order_id"]
                    .iter()
                    .all(|name| values(&query, name).all(|value| wants(name, value)))
                    && is_between(thing, &query)
            };
            page(&query, data.all(mode, kind).filter(fits))
        },
    )
}

/// True if the thing was created in the wanted time.
fn is_between(thing: &Value, query: &Parameters) -> bool {
    let at = thing["created_at"].as_str();
    let at = at.and_then(|at| at.parse::<jiff::Timestamp>().ok());
    let bound = |name: &str| {
        let wanted = values(query, name).next()?.parse().ok();
        wanted.filter(|_: &jiff::Timestamp| at.is_some())
    };
    bound("created_after").is_none_or(|after| at > Some(after))
        && bound("created_before").is_none_or(|before| at < Some(before))
}

/// A page of a list. A token holds the query that it continues and the place where it does.
fn page<'a>(
    query: &Parameters,
    found: impl Iterator<Item = &'a Value>,
) -> Result<Json<Value>, Refused> {
    let size = values(query, "page_size").next();
    let Ok(size @ 1..=100) = size.map_or(Ok(20), str::parse::<usize>) else {
        return Err(invalid());
    };
    let rest_of_query = query.iter().filter(|(name, _)| name != "page_token");
    let continued = format!("{:?}", rest_of_query.collect::<Vec<_>>());
    let start = match values(query, "page_token").next() {
        None => 0,
        Some(token) => {
            let (at, of) = token.split_once(' ').ok_or_else(invalid)?;
            let at = at.parse().ok().filter(|_| of == continued);
            at.ok_or_else(invalid)?
        }
    };
    let rest: Vec<&Value> = found.skip(start).collect();
    let page: Vec<_> = rest.iter().take(size).copied().map(listed).collect();
    let mut body = json!({"data": page, "request_id": "req_1"});
    if rest.len() > size {
        body["next_page_token"] = json!(format!("{} {continued}", start + size));
    }
    Ok(Json(body))
}

/// A thing as a list has it: the payload of an event is only in the answer about that event.
fn listed(thing: &Value) -> Value {
    let mut thing = thing.clone();
    if let Some(members) = thing.as_object_mut() {
        members.remove("payload");
    }
    thing
}
