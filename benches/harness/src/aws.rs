//! Stubs of DynamoDB, SQS and Secrets Manager. They count the calls by action.
#![expect(
    clippy::indexing_slicing,
    reason = "indexing a `Value` gives null or makes the member"
)]

use crate::{
    Failure,
    delivery::webhook_secrets,
    tls::{Authority, HOST, TlsListener},
};
use axum::{
    Router,
    body::Bytes,
    extract::State,
    http::{HeaderMap, StatusCode, header::CONTENT_TYPE},
    response::{IntoResponse, Response},
    serve::ListenerExt as _,
};
use md5::{Digest as _, Md5};
use serde_json::{Map, Value, json};
use std::{
    collections::{BTreeMap, HashMap},
    fmt::Write as _,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};
use tokio::net::TcpListener;

/// Calls by action.
pub(crate) type Calls = BTreeMap<String, u64>;

type Item = Map<String, Value>;

#[derive(Debug, Default)]
struct World {
    /// By table and key.
    items: HashMap<(String, String), Item>,
    calls: Calls,
}

#[derive(Debug)]
struct Shared {
    world: Mutex<World>,
    latency: Duration,
}

impl Shared {
    fn world(&self) -> std::sync::MutexGuard<'_, World> {
        self.world.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The stubs behind one address.
#[derive(Debug, Clone)]
pub(crate) struct Aws {
    shared: Arc<Shared>,
    /// For `AWS_ENDPOINT_URL`.
    pub(crate) url: String,
}

impl Aws {
    /// Starts the stubs on a free port, over TLS if there is an authority.
    pub(crate) async fn start(
        latency: Duration,
        authority: Option<&Authority>,
    ) -> Result<Self, Failure> {
        let shared = Arc::new(Shared {
            world: Mutex::default(),
            latency,
        });
        let router = Router::new()
            .fallback(answer)
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
        std::mem::take(&mut self.shared.world().calls)
    }

    /// Marks all of intake's events as processed, as fulfillment would.
    pub(crate) fn process_events(&self) {
        for item in self.shared.world().items.values_mut() {
            if item.contains_key("event_id") {
                item.insert("state".to_owned(), json!({"S": "processed"}));
            }
        }
    }
}

async fn answer(State(shared): State<Arc<Shared>>, headers: HeaderMap, body: Bytes) -> Response {
    if !shared.latency.is_zero() {
        tokio::time::sleep(shared.latency).await;
    }
    let target = headers.get("x-amz-target").and_then(|it| it.to_str().ok());
    let action = target
        .unwrap_or_default()
        .rsplit('.')
        .next()
        .unwrap_or_default();
    let request: Value = serde_json::from_slice(&body).unwrap_or_default();
    let mut world = shared.world();
    *world.calls.entry(action.to_owned()).or_default() += 1;
    let (status, answer) = match action {
        "PutItem" => put_item(&mut world, &request),
        "UpdateItem" => update_item(&mut world, &request),
        "GetItem" => get_item(&world, &request),
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
                "SecretString": webhook_secrets(),
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

/// The table and the key of an item: the Events table's, or the idempotency libraries'.
fn place(request: &Value, attributes: &Value) -> (String, String) {
    let key = ["event_id", "id"]
        .into_iter()
        .find_map(|name| attributes[name]["S"].as_str());
    (
        text(request, "TableName").to_owned(),
        key.unwrap_or_default().to_owned(),
    )
}

/// All conditions here ask for a key that is not there.
fn put_item(world: &mut World, request: &Value) -> (StatusCode, Value) {
    let place = place(request, &request["Item"]);
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

/// Carries out `SET` with plain values. The idempotency libraries write nothing else.
fn update_item(world: &mut World, request: &Value) -> (StatusCode, Value) {
    let item = world
        .items
        .entry(place(request, &request["Key"]))
        .or_default();
    let expression = text(request, "UpdateExpression");
    let settings = expression.strip_prefix("SET ").unwrap_or(expression);
    for (name, value) in settings.split(',').filter_map(|part| part.split_once('=')) {
        let (name, value) = (name.trim(), value.trim());
        let name = request["ExpressionAttributeNames"][name]
            .as_str()
            .unwrap_or(name);
        let value = &request["ExpressionAttributeValues"][value];
        item.insert(name.to_owned(), value.clone());
    }
    (StatusCode::OK, json!({}))
}

fn get_item(world: &World, request: &Value) -> (StatusCode, Value) {
    let item = world.items.get(&place(request, &request["Key"]));
    let answer = item.map_or_else(|| json!({}), |item| json!({"Item": item}));
    (StatusCode::OK, answer)
}

/// The SDKs of the peers check this hash.
fn md5(text: &str) -> String {
    let mut hexadecimal = String::new();
    for byte in Md5::digest(text.as_bytes()) {
        let _ = write!(hexadecimal, "{byte:02x}");
    }
    hexadecimal
}
