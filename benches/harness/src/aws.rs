//! Stubs of DynamoDB, SQS, Secrets Manager and Flex. They count the calls by action.
#![expect(
    clippy::indexing_slicing,
    reason = "indexing a `Value` gives null or makes the member"
)]

use crate::{
    Failure,
    delivery::webhook_secrets,
    flex,
    tls::{Authority, HOST, TlsListener},
};
use axum::{
    Router,
    body::Bytes,
    extract::{Request, State},
    http::{HeaderMap, StatusCode, header::CONTENT_TYPE},
    middleware::{Next, from_fn_with_state},
    response::{IntoResponse, Response},
    routing::get,
    serve::ListenerExt as _,
};
use md5::{Digest as _, Md5};
use serde_json::{Map, Value, json};
use std::{
    collections::{BTreeMap, HashMap},
    fmt::Write as _,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};
use tokio::net::TcpListener;

/// Calls by action.
pub(crate) type Calls = BTreeMap<String, u64>;

type Item = Map<String, Value>;

/// The keys of the tables, by the tables' names in the benchmark.
const KEYS: [(&str, &[&str]); 8] = [
    ("events", &["event_id"]),
    ("idempotency", &["id"]),
    ("orders", &["order_id"]),
    ("links", &["link"]),
    ("stock", &["sku", "entry"]),
    ("entitlements", &["customer_id", "entry"]),
    ("receipts", &["receipt_id"]),
    ("resources", &["resource_id"]),
];

#[derive(Debug, Default)]
struct World {
    /// By table and key.
    items: HashMap<(String, String), Item>,
    calls: Calls,
    /// Calls that wait for their answer.
    in_flight: usize,
    /// How often a call came while no other waited: sequential round trips.
    round_trips: u64,
    latency: Duration,
}

type Shared = Arc<Mutex<World>>;

fn lock(shared: &Shared) -> MutexGuard<'_, World> {
    shared.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The stubs behind one address.
#[derive(Debug, Clone)]
pub(crate) struct Aws {
    shared: Shared,
    /// For `AWS_ENDPOINT_URL`.
    pub(crate) url: String,
}

impl Aws {
    /// Starts the stubs on a free port, over TLS if there is an authority.
    pub(crate) async fn start(
        latency: Duration,
        authority: Option<&Authority>,
    ) -> Result<Self, Failure> {
        let shared = Shared::default();
        lock(&shared).latency = latency;
        let router = Router::new()
            .route("/v1/{*path}", get(flex::answer))
            .fallback(answer)
            .layer(from_fn_with_state(Arc::clone(&shared), counted))
            .with_state(Arc::clone(&shared));
        let tcp = TcpListener::bind("127.0.0.1:0").await?;
        let port = tcp.local_addr()?.port();
        let url = if let Some(authority) = authority {
            let listener = TlsListener::new(tcp, authority)?;
            tokio::spawn(async move { axum::serve(listener, router).await });
            format!("https://{HOST}:{port}")
        } else {
            let listener = tcp.tap_io(|stream| {
                let _ = stream.set_nodelay(true);
            });
            tokio::spawn(async move { axum::serve(listener, router).await });
            format!("http://127.0.0.1:{port}")
        };
        Ok(Self { shared, url })
    }

    /// Takes the counts since the last time.
    pub(crate) fn take_calls(&self) -> Calls {
        std::mem::take(&mut lock(&self.shared).calls)
    }

    /// Takes the count of sequential round trips since the last time.
    pub(crate) fn take_round_trips(&self) -> u64 {
        std::mem::take(&mut lock(&self.shared).round_trips)
    }

    /// Sets the time that each answer takes from now on.
    pub(crate) fn set_latency(&self, latency: Duration) {
        lock(&self.shared).latency = latency;
    }

    /// Marks all of intake's events as processed, as fulfillment would.
    pub(crate) fn process_events(&self) {
        for item in lock(&self.shared).items.values_mut() {
            if item.contains_key("event_id") {
                item.insert("state".to_owned(), json!({"S": "processed"}));
            }
        }
    }
}

/// Counts a call by its action, and waits for the latency.
async fn counted(State(shared): State<Shared>, request: Request, next: Next) -> Response {
    let latency = {
        let mut world = lock(&shared);
        *world.calls.entry(action(&request)).or_default() += 1;
        world.round_trips += u64::from(world.in_flight == 0);
        world.in_flight += 1;
        world.latency
    };
    if !latency.is_zero() {
        tokio::time::sleep(latency).await;
    }
    let response = next.run(request).await;
    lock(&shared).in_flight -= 1;
    response
}

fn action(request: &Request) -> String {
    let target = request.headers().get("x-amz-target");
    match target.and_then(|it| it.to_str().ok()?.rsplit('.').next()) {
        Some(action) => action.to_owned(),
        None => format!("Flex {}", request.method()),
    }
}

async fn answer(State(shared): State<Shared>, headers: HeaderMap, body: Bytes) -> Response {
    let target = headers.get("x-amz-target").and_then(|it| it.to_str().ok());
    let action = target
        .unwrap_or_default()
        .rsplit('.')
        .next()
        .unwrap_or_default();
    let request: Value = serde_json::from_slice(&body).unwrap_or_default();
    let mut world = lock(&shared);
    let (status, answer) = match action {
        "PutItem" => put_item(&mut world, &request),
        "UpdateItem" => update_item(&mut world, &request),
        "GetItem" => get_item(&world, &request),
        "BatchGetItem" => batch_get_item(&world, &request),
        "TransactWriteItems" => transact(&mut world, &request),
        "SendMessage" => (
            StatusCode::OK,
            json!({
                "MD5OfMessageBody": md5(text(&request, "MessageBody")),
                "MessageId": "00000000-0000-4000-8000-000000000000",
            }),
        ),
        "GetSecretValue" => (
            StatusCode::OK,
            json!({
                "ARN": text(&request, "SecretId"),
                "Name": "webhooks",
                "VersionId": "00000000-0000-4000-8000-000000000000",
                "VersionStages": ["AWSCURRENT"],
                "SecretString": secret(text(&request, "SecretId")),
                "CreatedDate": 1_760_000_000,
            }),
        ),
        _ => (
            StatusCode::BAD_REQUEST,
            json!({"__type": "UnknownOperationException", "message": action}),
        ),
    };
    drop(world);
    let headers = [
        (CONTENT_TYPE.as_str(), "application/x-amz-json-1.0"),
        ("x-amzn-requestid", "00000000-0000-4000-8000-000000000000"),
    ];
    (status, headers, answer.to_string()).into_response()
}

fn text<'a>(request: &'a Value, name: &str) -> &'a str {
    request[name].as_str().unwrap_or_default()
}

fn secret(id: &str) -> String {
    match id {
        "api-key" => json!({"api_key": "fsk_test_bench"}).to_string(),
        _ => webhook_secrets(),
    }
}

/// The table and the key of an item.
fn place(table: &str, attributes: &Value) -> (String, String) {
    let names = KEYS.iter().find(|(name, _)| *name == table);
    let names = names.map_or(&[][..], |(_, names)| names);
    let values = names
        .iter()
        .filter_map(|name| attributes[*name]["S"].as_str());
    (table.to_owned(), values.collect::<Vec<_>>().join(" "))
}

/// All conditions here ask for a key that is not there.
fn put_item(world: &mut World, request: &Value) -> (StatusCode, Value) {
    let place = place(text(request, "TableName"), &request["Item"]);
    if request["ConditionExpression"].is_string()
        && let Some(there) = world.items.get(&place)
    {
        let mut answer = json!({
            "__type": "com.amazonaws.dynamodb.v20120810#ConditionalCheckFailedException",
            "message": "The conditional request failed",
        });
        if text(request, "ReturnValuesOnConditionCheckFailure") == "ALL_OLD" {
            answer["Item"] = Value::Object(there.clone());
        }
        return (StatusCode::BAD_REQUEST, answer);
    }
    let item = request["Item"].as_object().cloned().unwrap_or_default();
    world.items.insert(place, item);
    (StatusCode::OK, json!({}))
}

/// Carries out `SET` with plain values. Nothing here is read that other expressions write.
fn update_item(world: &mut World, request: &Value) -> (StatusCode, Value) {
    let place = place(text(request, "TableName"), &request["Key"]);
    let item = world.items.entry(place).or_default();
    let expression = text(request, "UpdateExpression");
    let settings = expression.split(" REMOVE ").next().unwrap_or_default();
    let settings = settings.strip_prefix("SET ").unwrap_or_default();
    for (name, value) in settings.split(',').filter_map(|part| part.split_once('=')) {
        let (name, value) = (name.trim(), value.trim());
        let name = request["ExpressionAttributeNames"][name]
            .as_str()
            .unwrap_or(name);
        let value = &request["ExpressionAttributeValues"][value];
        if !value.is_null() {
            item.insert(name.to_owned(), value.clone());
        }
    }
    (StatusCode::OK, json!({}))
}

fn get_item(world: &World, request: &Value) -> (StatusCode, Value) {
    let found = read(world, text(request, "TableName"), &request["Key"]);
    let answer = found.map_or_else(|| json!({}), |item| json!({"Item": item}));
    (StatusCode::OK, answer)
}

fn batch_get_item(world: &World, request: &Value) -> (StatusCode, Value) {
    let tables = request["RequestItems"].as_object().into_iter().flatten();
    let responses = tables.map(|(table, of_table)| {
        let keys = of_table["Keys"].as_array().into_iter().flatten();
        let found = keys.filter_map(|key| read(world, table, key));
        (table.clone(), Value::Array(found.collect()))
    });
    let responses: Map<_, _> = responses.collect();
    let answer = json!({"Responses": responses, "UnprocessedKeys": {}});
    (StatusCode::OK, answer)
}

/// An item by its key. There is stock of every SKU.
fn read(world: &World, table: &str, key: &Value) -> Option<Value> {
    if table == "stock" && key["entry"]["S"] == "counter" {
        let mut counter = key.clone();
        counter["on_hand"] = json!({"N": "1000000"});
        return Some(counter);
    }
    let item = world.items.get(&place(table, key))?;
    Some(Value::Object(item.clone()))
}

/// Carries out all actions. No other process writes these rows, so all conditions hold.
fn transact(world: &mut World, request: &Value) -> (StatusCode, Value) {
    for action in request["TransactItems"].as_array().into_iter().flatten() {
        let (put, update) = (&action["Put"], &action["Update"]);
        if let Some(item) = put["Item"].as_object() {
            let place = place(text(put, "TableName"), &put["Item"]);
            world.items.insert(place, item.clone());
        }
        if update.is_object() && text(update, "TableName") != "stock" {
            update_item(world, update);
        }
    }
    (StatusCode::OK, json!({}))
}

/// The SDKs of the peers check this hash.
fn md5(text: &str) -> String {
    let mut hexadecimal = String::new();
    for byte in Md5::digest(text.as_bytes()) {
        let _ = write!(hexadecimal, "{byte:02x}");
    }
    hexadecimal
}
