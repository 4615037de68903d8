//! Flex's own routes, as far as fulfillment and reconciliation use them.

use super::{
    payment_intents::listed,
    state::{Data, Shared, is_of, lock},
};
use axum::{
    Json, Router,
    extract::{FromRequestParts, Path, Query, State},
    http::{StatusCode, header, request::Parts},
    response::{IntoResponse, Response},
    routing::get,
};
use jiff::Timestamp;
use serde::Deserialize;
use serde_json::{Value, json};
use std::convert::Infallible;

pub(super) fn routes() -> Router<Shared<Data>> {
    Router::new()
        .route("/checkout/sessions", get(sessions))
        .route("/checkout/sessions/{id}", get(session))
        .route("/checkout/sessions/{id}/line_items", get(line_items))
        .route("/customers/{id}", get(customer))
        .route("/products/{id}", get(product))
        .route("/payment_intents", get(payment_intents))
        .route("/subscriptions", get(subscriptions))
        .route("/subscriptions/{id}", get(subscription))
        .route("/invoices", get(invoices))
        .route("/refunds", get(refunds))
        .route("/disputes", get(disputes))
}

/// The answer to an unknown path, in the shape of Flex's framework.
pub(super) async fn not_found() -> Response {
    (StatusCode::NOT_FOUND, Json(json!({"detail": "Not Found"}))).into_response()
}

/// A refusal, in one of the two shapes that Flex has.
enum Refused {
    /// The documented one (<https://docs.withflex.com/api-reference/introduction>).
    Error(StatusCode, &'static str),
    /// For a parameter that is not as it should be: seen by Flex's own plugin
    /// (<https://github.com/JoinFlexHealth/woocommerce>).
    Parameter(&'static str),
}

impl IntoResponse for Refused {
    fn into_response(self) -> Response {
        let (status, body) = match self {
            Self::Error(status, code) => (
                status,
                json!({"error": {"code": code, "message": "refused by the stand-in"}}),
            ),
            Self::Parameter(name) => (
                StatusCode::UNPROCESSABLE_ENTITY,
                json!({"detail": [{"loc": ["query", name], "msg": "not valid", "type": "value_error"}]}),
            ),
        };
        (status, Json(body)).into_response()
    }
}

/// A resource is missing, or hidden from the caller.
fn unknown(code: &'static str) -> Refused {
    Refused::Error(StatusCode::NOT_FOUND, code)
}

/// The caller's key: says which data it may see, and nothing else.
struct Caller {
    test_mode: bool,
}

impl<S: Sync> FromRequestParts<S> for Caller {
    type Rejection = Refused;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Refused> {
        let header = parts
            .headers
            .get(header::AUTHORIZATION)
            .and_then(|value| value.to_str().ok());
        match header.and_then(|value| value.strip_prefix("Bearer ")) {
            Some(key) if key.starts_with("fsk_") => Ok(Self {
                test_mode: key.starts_with("fsk_test_"),
            }),
            _ => Err(Refused::Error(StatusCode::UNAUTHORIZED, "unauthorized")),
        }
    }
}

/// The `expand_customer` of a query; anything but `true` expands nothing.
struct Expand(bool);

impl<S: Sync> FromRequestParts<S> for Expand {
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Infallible> {
        let query = parts.uri.query().unwrap_or_default();
        Ok(Self(
            query.split('&').any(|pair| pair == "expand_customer=true"),
        ))
    }
}

/// A resource as the caller wants it: its customer expanded or not.
fn shown(data: &Data, resource: &Value, caller: &Caller, expand: &Expand) -> Value {
    let mut resource = resource.clone();
    if expand.0
        && let Some(customer) = resource.get_mut("customer")
        && let Some(known) = customer
            .as_str()
            .and_then(|id| data.customer(id, caller.test_mode))
    {
        *customer = known.clone();
    }
    resource
}

async fn session(
    State(state): State<Shared<Data>>,
    caller: Caller,
    expand: Expand,
    Path(id): Path<String>,
) -> Result<Json<Value>, Refused> {
    let data = &lock(&state).data;
    let session = data
        .session(&id, caller.test_mode)
        .ok_or(unknown("checkout_session_not_found"))?;
    Ok(Json(
        json!({"checkout_session": shown(data, session, &caller, &expand)}),
    ))
}

async fn line_items(
    State(state): State<Shared<Data>>,
    caller: Caller,
    Path(id): Path<String>,
) -> Result<Json<Value>, Refused> {
    let data = &lock(&state).data;
    data.session(&id, caller.test_mode)
        .ok_or(unknown("checkout_session_not_found"))?;
    Ok(Json(json!({"line_items": data.line_items(&id)})))
}

async fn customer(
    State(state): State<Shared<Data>>,
    caller: Caller,
    Path(id): Path<String>,
) -> Result<Json<Value>, Refused> {
    let data = &lock(&state).data;
    let customer = data
        .customer(&id, caller.test_mode)
        .ok_or(unknown("customer_not_found"))?;
    Ok(Json(json!({"customer": customer})))
}

/// <https://docs.withflex.com/api-reference/products/get-product>
async fn product(
    State(state): State<Shared<Data>>,
    _: Caller,
    Path(id): Path<String>,
) -> Result<Json<Value>, Refused> {
    let data = &lock(&state).data;
    let product = data.product(&id).ok_or(unknown("product_not_found"))?;
    Ok(Json(json!({"product": product})))
}

async fn subscription(
    State(state): State<Shared<Data>>,
    caller: Caller,
    expand: Expand,
    Path(id): Path<String>,
) -> Result<Json<Value>, Refused> {
    let data = &lock(&state).data;
    let subscription = data
        .subscription(&id, caller.test_mode)
        .ok_or(unknown("subscription_not_found"))?;
    Ok(Json(
        json!({"subscription": shown(data, subscription, &caller, &expand)}),
    ))
}

/// How a list is asked for. No list knows all of these; those that it does not know change nothing.
#[derive(Deserialize)]
struct Wanted {
    client_reference_id: Option<String>,
    payment_intent: Option<String>,
    checkout_session: Option<String>,
    customer: Option<String>,
    status: Option<String>,
    interval: Option<String>,
    limit: Option<String>,
    starting_after: Option<String>,
}

impl Wanted {
    /// The part of a list that is asked for. `id` names the member that holds the id of one of its resources.
    fn page(
        &self,
        found: impl Iterator<Item = Value>,
        id: &str,
        usual: usize,
    ) -> Result<Vec<Value>, Refused> {
        let Ok(limit @ 1..=100) = self.limit.as_deref().map_or(Ok(usual), str::parse::<usize>)
        else {
            return Err(Refused::Parameter("limit"));
        };
        let mut found = found;
        if let Some(last) = &self.starting_after {
            // The page begins after the resource of that id.
            if !found.any(|resource| resource.get(id).is_some_and(|known| known == last)) {
                return Err(Refused::Parameter("starting_after"));
            }
        }
        Ok(found.take(limit).collect())
    }
}

impl Wanted {
    /// In Unix seconds, how old a sale may be: `interval` counts days.
    fn since(&self) -> Result<i64, Refused> {
        let Some(interval) = &self.interval else {
            return Ok(i64::MIN);
        };
        let Ok(days @ 1..) = interval.parse::<i64>() else {
            return Err(Refused::Parameter("interval"));
        };
        Ok(Timestamp::now()
            .as_second()
            .saturating_sub(days.saturating_mul(24 * 60 * 60)))
    }
}

/// A filter is absent, or equals the member.
fn fits(resource: &Value, name: &str, wanted: Option<&str>) -> bool {
    wanted.is_none_or(|wanted| resource.get(name).is_some_and(|known| known == wanted))
}

/// <https://docs.withflex.com/api-reference/checkout-sessions/list-checkout-sessions>
async fn sessions(
    State(state): State<Shared<Data>>,
    caller: Caller,
    expand: Expand,
    Query(wanted): Query<Wanted>,
) -> Result<Json<Value>, Refused> {
    let data = &lock(&state).data;
    let reference = wanted.client_reference_id.as_deref();
    let since = wanted.since()?;
    let found = data.sessions(caller.test_mode).filter(|session| {
        fits(session, "client_reference_id", reference)
            && session
                .get("created_at")
                .and_then(Value::as_i64)
                .is_none_or(|at| at >= since)
            && wanted
                .payment_intent
                .as_deref()
                .is_none_or(|id| listed(session).contains(&id))
    });
    let found = found.map(|session| shown(data, session, &caller, &expand));
    Ok(Json(
        json!({"checkout_sessions": wanted.page(found, "checkout_session_id", 10)?}),
    ))
}

/// <https://docs.withflex.com/api-reference/payment-intents/list-payment-intents>
async fn payment_intents(
    State(state): State<Shared<Data>>,
    caller: Caller,
    expand: Expand,
    Query(wanted): Query<Wanted>,
) -> Result<Json<Value>, Refused> {
    let data = &lock(&state).data;
    let session_id = wanted.checkout_session.as_deref();
    let sessions = data
        .sessions(caller.test_mode)
        .filter(|session| fits(session, "checkout_session_id", session_id));
    let found = sessions
        .flat_map(|session| data.payment_intents(session))
        .filter(|intent| is_of(intent, caller.test_mode))
        .map(|intent| shown(data, &intent, &caller, &expand));
    Ok(Json(
        json!({"payment_intents": wanted.page(found, "payment_intent_id", 10)?}),
    ))
}

/// <https://docs.withflex.com/api-reference/refunds/list-refunds>
async fn refunds(
    State(state): State<Shared<Data>>,
    caller: Caller,
    Query(wanted): Query<Wanted>,
) -> Result<Json<Value>, Refused> {
    let data = &lock(&state).data;
    let found = data
        .refunds(wanted.checkout_session.as_deref(), caller.test_mode)
        .filter(|refund| {
            fits(
                refund,
                "payment_intent_id",
                wanted.payment_intent.as_deref(),
            )
        })
        .cloned();
    Ok(Json(
        json!({"refunds": wanted.page(found, "refund_id", 20)?}),
    ))
}

/// <https://docs.withflex.com/disputes-api-guide>
async fn disputes(
    State(state): State<Shared<Data>>,
    caller: Caller,
    Query(wanted): Query<Wanted>,
) -> Result<Json<Value>, Refused> {
    let data = &lock(&state).data;
    let found = data.disputes(caller.test_mode).cloned();
    Ok(Json(
        json!({"disputes": wanted.page(found, "dispute_id", 20)?}),
    ))
}

/// <https://docs.withflex.com/api-reference/subscriptions/list-subscriptions>
async fn subscriptions(
    State(state): State<Shared<Data>>,
    caller: Caller,
    expand: Expand,
    Query(wanted): Query<Wanted>,
) -> Result<Json<Value>, Refused> {
    let data = &lock(&state).data;
    let found = data
        .subscriptions(caller.test_mode)
        .filter(|subscription| {
            fits(subscription, "status", wanted.status.as_deref())
                && fits(subscription, "customer", wanted.customer.as_deref())
        })
        .map(|subscription| shown(data, subscription, &caller, &expand));
    Ok(Json(
        json!({"subscriptions": wanted.page(found, "subscription_id", 10)?}),
    ))
}

/// <https://docs.withflex.com/api-reference/invoices/list-invoices>
async fn invoices(
    State(state): State<Shared<Data>>,
    caller: Caller,
    Query(wanted): Query<Wanted>,
) -> Result<Json<Value>, Refused> {
    let data = &lock(&state).data;
    let customer = wanted.customer.as_deref();
    let found = data
        .invoices(caller.test_mode)
        .filter(|invoice| fits(invoice, "customer", customer))
        .cloned();
    Ok(Json(
        json!({"invoices": wanted.page(found, "invoice_id", 20)?}),
    ))
}
