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
    routing::{MethodRouter, get},
};
use jiff::Timestamp;
use serde::Deserialize;
use serde_json::{Value, json};

pub(super) fn routes() -> Router<Shared<Data>> {
    Router::new()
        .route("/checkout/sessions", list("checkout_session", 10, sessions))
        .route("/checkout/sessions/{id}", one("checkout_session", session))
        .route("/checkout/sessions/{id}/line_items", get(line_items))
        .route("/customers/{id}", one("customer", customer))
        .route("/products/{id}", one("product", product))
        .route(
            "/payment_intents",
            list("payment_intent", 10, payment_intents),
        )
        .route("/subscriptions", list("subscription", 10, subscriptions))
        .route("/subscriptions/{id}", one("subscription", subscription))
        .route("/invoices", list("invoice", 20, invoices))
        .route("/refunds", list("refund", 20, refunds))
        .route("/disputes", list("dispute", 20, disputes))
}

/// The answer to an unknown path, in the shape of Flex's framework.
pub(super) async fn not_found() -> Response {
    (StatusCode::NOT_FOUND, Json(json!({"detail": "Not Found"}))).into_response()
}

/// A refusal, in one of the two shapes that Flex has.
enum Refused {
    /// The documented one (<https://docs.withflex.com/api-reference/introduction>).
    Error(StatusCode, String),
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
fn unknown(kind: &str) -> Refused {
    Refused::Error(StatusCode::NOT_FOUND, format!("{kind}_not_found"))
}

/// The caller of a request.
struct Caller {
    /// The key says which data the caller may see, and nothing else.
    test_mode: bool,
    /// The `expand_customer` of the query; anything but `true` expands nothing.
    expands: bool,
}

impl<S: Sync> FromRequestParts<S> for Caller {
    type Rejection = Refused;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Refused> {
        let header = parts
            .headers
            .get(header::AUTHORIZATION)
            .and_then(|value| value.to_str().ok());
        let query = parts.uri.query().unwrap_or_default();
        match header.and_then(|value| value.strip_prefix("Bearer ")) {
            Some(key) if key.starts_with("fsk_") => Ok(Self {
                test_mode: key.starts_with("fsk_test_"),
                expands: query.split('&').any(|pair| pair == "expand_customer=true"),
            }),
            _ => Err(Refused::Error(
                StatusCode::UNAUTHORIZED,
                "unauthorized".to_owned(),
            )),
        }
    }
}

/// A resource as the caller wants it: its customer expanded or not.
fn shown(data: &Data, resource: &Value, caller: &Caller) -> Value {
    let mut resource = resource.clone();
    if caller.expands
        && let Some(customer) = resource.get_mut("customer")
        && let Some(known) = customer
            .as_str()
            .and_then(|id| data.one("customer", id, caller.test_mode))
    {
        *customer = known.clone();
    }
    resource
}

/// The route of one resource, which answers with it under its kind's name.
fn one(
    kind: &'static str,
    find: fn(&Data, &str, &Caller) -> Option<Value>,
) -> MethodRouter<Shared<Data>> {
    get(
        move |State(state): State<Shared<Data>>, caller: Caller, Path(id): Path<String>| async move {
            let found = find(&lock(&state).data, &id, &caller);
            let found = found.ok_or_else(|| unknown(kind))?;
            Ok::<_, Refused>(Json(json!({kind: found})))
        },
    )
}

fn session(data: &Data, id: &str, caller: &Caller) -> Option<Value> {
    let session = data.one("checkout_session", id, caller.test_mode)?;
    Some(shown(data, session, caller))
}

async fn line_items(
    State(state): State<Shared<Data>>,
    caller: Caller,
    Path(id): Path<String>,
) -> Result<Json<Value>, Refused> {
    let data = &lock(&state).data;
    let session = data.one("checkout_session", &id, caller.test_mode);
    session.ok_or_else(|| unknown("checkout_session"))?;
    Ok(Json(json!({"line_items": data.line_items(&id)})))
}

fn customer(data: &Data, id: &str, caller: &Caller) -> Option<Value> {
    data.one("customer", id, caller.test_mode).cloned()
}

/// <https://docs.withflex.com/api-reference/products/get-product>
fn product(data: &Data, id: &str, _: &Caller) -> Option<Value> {
    data.product(id).cloned()
}

fn subscription(data: &Data, id: &str, caller: &Caller) -> Option<Value> {
    let subscription = data.one("subscription", id, caller.test_mode)?;
    Some(shown(data, subscription, caller))
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
    fn page(&self, found: Vec<Value>, id: &str, usual: usize) -> Result<Vec<Value>, Refused> {
        let Ok(limit @ 1..=100) = self.limit.as_deref().map_or(Ok(usual), str::parse::<usize>)
        else {
            return Err(Refused::Parameter("limit"));
        };
        let mut found = found.into_iter();
        if let Some(last) = &self.starting_after {
            // The page begins after the resource of that id.
            if !found.any(|resource| resource.get(id).is_some_and(|known| known == last)) {
                return Err(Refused::Parameter("starting_after"));
            }
        }
        Ok(found.take(limit).collect())
    }

    /// In Unix seconds, how old a sale may be: `interval` counts days. `None` if it is no such count.
    fn since(&self) -> Option<i64> {
        let Some(interval) = &self.interval else {
            return Some(i64::MIN);
        };
        let days = interval.parse().ok().filter(|days: &i64| *days >= 1)?;
        let seconds = days.saturating_mul(24 * 60 * 60);
        Some(Timestamp::now().as_second().saturating_sub(seconds))
    }
}

/// A filter is absent, or equals the member.
fn fits(resource: &Value, name: &str, wanted: Option<&String>) -> bool {
    wanted.is_none_or(|wanted| resource.get(name).is_some_and(|known| known == wanted))
}

/// The route of a list, which answers with a page of it, of `usual` resources if the query names no limit.
fn list(
    kind: &'static str,
    usual: usize,
    find: fn(&Data, &Wanted, &Caller) -> Vec<Value>,
) -> MethodRouter<Shared<Data>> {
    get(
        move |State(state): State<Shared<Data>>, caller: Caller, Query(wanted): Query<Wanted>| async move {
            wanted.since().ok_or(Refused::Parameter("interval"))?;
            let found = find(&lock(&state).data, &wanted, &caller);
            let page = wanted.page(found, &format!("{kind}_id"), usual)?;
            Ok::<_, Refused>(Json(json!({format!("{kind}s"): page})))
        },
    )
}

/// <https://docs.withflex.com/api-reference/checkout-sessions/list-checkout-sessions>
fn sessions(data: &Data, wanted: &Wanted, caller: &Caller) -> Vec<Value> {
    let since = wanted.since().unwrap_or(i64::MIN);
    let found = data.all("checkout_session", caller.test_mode);
    let found = found.filter(|session| {
        let created_at = session.get("created_at").and_then(Value::as_i64);
        let payment = wanted.payment_intent.as_deref();
        fits(
            session,
            "client_reference_id",
            wanted.client_reference_id.as_ref(),
        ) && created_at.is_none_or(|at| at >= since)
            && payment.is_none_or(|id| listed(session).contains(&id))
    });
    found.map(|session| shown(data, session, caller)).collect()
}

/// <https://docs.withflex.com/api-reference/payment-intents/list-payment-intents>
fn payment_intents(data: &Data, wanted: &Wanted, caller: &Caller) -> Vec<Value> {
    let of = wanted.checkout_session.as_ref();
    let sessions = data.all("checkout_session", caller.test_mode);
    let sessions = sessions.filter(|session| fits(session, "checkout_session_id", of));
    let found = sessions.flat_map(|session| data.payment_intents(session));
    let found = found.filter(|intent| is_of(intent, caller.test_mode));
    found.map(|intent| shown(data, &intent, caller)).collect()
}

/// <https://docs.withflex.com/api-reference/refunds/list-refunds>
fn refunds(data: &Data, wanted: &Wanted, caller: &Caller) -> Vec<Value> {
    let paid = wanted.checkout_session.as_deref().map(|id| {
        let session = data.one("checkout_session", id, caller.test_mode);
        session.map(listed).unwrap_or_default()
    });
    let found = data.all("refund", caller.test_mode).filter(|refund| {
        let payment = refund.get("payment_intent_id").and_then(Value::as_str);
        fits(refund, "payment_intent_id", wanted.payment_intent.as_ref())
            && paid
                .as_ref()
                .is_none_or(|paid| payment.is_some_and(|payment| paid.contains(&payment)))
    });
    found.cloned().collect()
}

/// <https://docs.withflex.com/disputes-api-guide>
fn disputes(data: &Data, _: &Wanted, caller: &Caller) -> Vec<Value> {
    data.all("dispute", caller.test_mode).cloned().collect()
}

/// <https://docs.withflex.com/api-reference/subscriptions/list-subscriptions>
fn subscriptions(data: &Data, wanted: &Wanted, caller: &Caller) -> Vec<Value> {
    let found = data.all("subscription", caller.test_mode);
    let found = found.filter(|subscription| {
        fits(subscription, "status", wanted.status.as_ref())
            && fits(subscription, "customer", wanted.customer.as_ref())
    });
    found.map(|one| shown(data, one, caller)).collect()
}

/// <https://docs.withflex.com/api-reference/invoices/list-invoices>
fn invoices(data: &Data, wanted: &Wanted, caller: &Caller) -> Vec<Value> {
    let found = data.all("invoice", caller.test_mode);
    let found = found.filter(|invoice| fits(invoice, "customer", wanted.customer.as_ref()));
    found.cloned().collect()
}
