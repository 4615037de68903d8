//! The few endpoints of AWS that the tests of the real program need, on one port of this machine. They hold a stack, its
//! events, a queue, a secret and a suppression list. A row is written only under its condition.

use axum::{
    Router,
    body::Bytes,
    extract::State,
    http::{HeaderMap, Method, StatusCode, Uri},
};
use kit::prelude::*;
use std::{
    net::SocketAddr,
    sync::{Arc, Mutex, MutexGuard, mpsc},
};
use tokio::{runtime::Runtime, sync::Notify};

/// The rows and messages.
#[derive(Debug, Default)]
pub struct Rows {
    /// Items of the table, by id.
    pub events: BTreeMap<String, Value>,
    /// The events of the queue's messages.
    pub queued: Vec<String>,
    /// The documents of the secrets.
    pub secrets: BTreeMap<String, String>,
    /// Every write, by operation.
    pub writes: Vec<String>,
    /// The message of this number waits for [`AwsStub::go_on`].
    holds_at: Option<usize>,
}

#[derive(Debug, Clone)]
struct Shared {
    rows: Arc<Mutex<Rows>>,
    is_held: mpsc::Sender<()>,
    go_on: Arc<Notify>,
}

/// A running stub. It ends with its runtime.
#[derive(Debug)]
pub struct AwsStub {
    pub address: SocketAddr,
    shared: Shared,
    held: mpsc::Receiver<()>,
    _runtime: Runtime,
}

impl AwsStub {
    /// A stack with that number of processed sales.
    pub fn with_events(number: usize) -> Self {
        let rows = Rows {
            events: (0..number).map(event).collect(),
            ..Rows::default()
        };
        let (is_held, held) = mpsc::channel();
        let shared = Shared {
            rows: Arc::new(Mutex::new(rows)),
            is_held,
            go_on: Arc::new(Notify::new()),
        };
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(2)
            .enable_all()
            .build()
            .unwrap();
        let routes = Router::new().fallback(answer).with_state(shared.clone());
        let listener = runtime
            .block_on(tokio::net::TcpListener::bind("127.0.0.1:0"))
            .unwrap();
        let address = listener.local_addr().unwrap();
        runtime.spawn(async move { axum::serve(listener, routes).await });
        Self {
            address,
            shared,
            held,
            _runtime: runtime,
        }
    }

    pub fn rows(&self) -> MutexGuard<'_, Rows> {
        self.shared.rows.lock().unwrap()
    }

    /// Keeps the message of this number back.
    pub fn hold_at(&self, number: usize) {
        self.rows().holds_at = Some(number);
    }

    /// Waits until that message has come.
    pub fn wait_for_it(&self) {
        self.held.recv_timeout(Duration::from_mins(1)).unwrap();
    }

    pub fn go_on(&self) {
        self.shared.go_on.notify_one();
    }
}

/// A processed sale as an item of the table.
fn event(number: usize) -> (String, Value) {
    let id = format!("fevt_{number:04}");
    let sample = concat!(
        env!("CARGO_MANIFEST_DIR"),
        "/../events/flex/checkout.session.completed.json"
    );
    let mut body: Value = serde_json::from_str(&std::fs::read_to_string(sample).unwrap()).unwrap();
    body["event_id"] = json!(id);
    let body = base64::Engine::encode(&base64::engine::general_purpose::STANDARD, body.to_string());
    let item = json!({
        "event_id": {"S": id}, "provider": {"S": "flex"}, "delivery_id": {"S": format!("msg_{number}")},
        "event_type": {"S": "checkout.session.completed"}, "received_at": {"N": "1772500000"},
        "body": {"B": body}, "fingerprint": {"S": "0"}, "state": {"S": "processed"}, "attempts": {"N": "0"},
    });
    (id, item)
}

async fn answer(
    State(shared): State<Shared>,
    method: Method,
    uri: Uri,
    headers: HeaderMap,
    body: Bytes,
) -> (StatusCode, String) {
    let target = headers
        .get("x-amz-target")
        .and_then(|value| value.to_str().ok());
    let text = String::from_utf8_lossy(&body).into_owned();
    let Some(operation) = target.and_then(|target| target.rsplit('.').next()) else {
        return (StatusCode::OK, xml_or_rest(&shared, &method, &uri, &text));
    };
    let input: Value = serde_json::from_str(&text).unwrap();
    if operation == "SendMessage" {
        return (StatusCode::OK, sent(&shared, &input).await);
    }
    match json_call(&mut shared.rows.lock().unwrap(), operation, &input) {
        Ok(output) => (StatusCode::OK, output.to_string()),
        Err(name) => (StatusCode::BAD_REQUEST, json!({"__type": name}).to_string()),
    }
}

/// The queue. The message that is held back counts once it goes on.
async fn sent(shared: &Shared, input: &Value) -> String {
    let is_held = {
        let mut rows = shared.rows.lock().unwrap();
        let is_held = rows.holds_at == Some(rows.queued.len() + 1);
        if is_held {
            rows.holds_at = None;
        }
        is_held
    };
    if is_held {
        shared.is_held.send(()).unwrap();
        shared.go_on.notified().await;
    }
    let job: Value = serde_json::from_str(input["MessageBody"].as_str().unwrap()).unwrap();
    let mut rows = shared.rows.lock().unwrap();
    rows.writes.push("SendMessage".to_owned());
    let id = job.as_object().unwrap().values().find_map(|value| {
        value
            .get("event_id")
            .or(Some(value))
            .and_then(Value::as_str)
            .filter(|id| id.starts_with("fevt_"))
    });
    rows.queued.push(id.unwrap().to_owned());
    json!({"MessageId": "m", "MD5OfMessageBody": "0"}).to_string()
}

fn json_call(rows: &mut Rows, operation: &str, input: &Value) -> Result<Value, &'static str> {
    let id = || input["Key"]["event_id"]["S"].as_str().unwrap_or_default();
    match operation {
        "GetItem" => Ok(rows
            .events
            .get(id())
            .map_or_else(|| json!({}), |item| json!({"Item": item}))),
        "Scan" => Ok(scan(rows, input)),
        "TransactWriteItems" => {
            // The row, and the batch of its announcements, which no test reads.
            let update = &input["TransactItems"][0]["Update"];
            let id = update["Key"]["event_id"]["S"].as_str().unwrap();
            let values = &update["ExpressionAttributeValues"];
            let item = rows.events.get_mut(id).unwrap();
            if item["state"] != values[":from"] {
                return Err("TransactionCanceledException");
            }
            item["state"] = values[":stored"].clone();
            rows.writes.push("TransactWriteItems".to_owned());
            Ok(json!({}))
        }
        "GetSecretValue" => match rows.secrets.get(input["SecretId"].as_str().unwrap()) {
            Some(text) => Ok(json!({"SecretString": text, "VersionId": text.len().to_string()})),
            None => Err("ResourceNotFoundException"),
        },
        "PutSecretValue" => {
            let text = |name: &str| input[name].as_str().unwrap().to_owned();
            rows.secrets.insert(text("SecretId"), text("SecretString"));
            rows.writes.push(operation.to_owned());
            Ok(json!({}))
        }
        _ => Err("UnknownOperationException"),
    }
}

/// One page of the table, in the order of ids.
fn scan(rows: &Rows, input: &Value) -> Value {
    let after = input["ExclusiveStartKey"]["event_id"]["S"]
        .as_str()
        .unwrap_or_default();
    let limit = usize::try_from(input["Limit"].as_u64().unwrap()).unwrap();
    let rest: Vec<&Value> = rows
        .events
        .iter()
        .filter(|(id, _)| id.as_str() > after)
        .map(|(_, item)| item)
        .collect();
    let page = &rest[..limit.min(rest.len())];
    let mut output = json!({"Items": page, "Count": page.len(), "ScannedCount": page.len()});
    if page.len() < rest.len() {
        output["LastEvaluatedKey"] = json!({"event_id": page.last().unwrap()["event_id"]});
    }
    output
}

const NAMED: [(&str, &str); 4] = [
    ("LinksTable", "links"),
    ("EventsTable", "events"),
    ("FlexApiKey", "key"),
    ("FlexWebhookSecrets", "webhooks"),
];

fn xml_or_rest(shared: &Shared, method: &Method, uri: &Uri, form: &str) -> String {
    if uri.path().starts_with("/v2/email/suppression/addresses/") && *method == Method::DELETE {
        shared
            .rows
            .lock()
            .unwrap()
            .writes
            .push("DeleteSuppressedDestination".to_owned());
        return "{}".to_owned();
    }
    let field = |name: &str| {
        let mut fields = form.split('&').filter_map(|pair| pair.split_once('='));
        fields
            .find(|(known, _)| *known == name)
            .map_or("", |(_, value)| value)
    };
    let stack = field("StackName");
    let mode = stack.rsplit('-').next().unwrap();
    match field("Action") {
        "GetCallerIdentity" => "<GetCallerIdentityResponse><GetCallerIdentityResult>\
            <Arn>arn:aws:sts::471100000000:assumed-role/support/ana</Arn><UserId>A</UserId>\
            <Account>471100000000</Account></GetCallerIdentityResult></GetCallerIdentityResponse>"
            .to_owned(),
        "DescribeStacks" => format!(
            "<DescribeStacksResponse><DescribeStacksResult><Stacks><member><StackName>{stack}</StackName>\
             <CreationTime>2026-01-01T00:00:00Z</CreationTime><StackStatus>UPDATE_COMPLETE</StackStatus><Parameters>\
             <member><ParameterKey>Mode</ParameterKey><ParameterValue>{mode}</ParameterValue></member></Parameters>\
             </member></Stacks></DescribeStacksResult></DescribeStacksResponse>"
        ),
        "ListStackResources" => {
            let one = |(logical, physical): &(&str, &str)| {
                format!(
                    "<member><LogicalResourceId>{logical}</LogicalResourceId><PhysicalResourceId>{physical}\
                     </PhysicalResourceId><ResourceType>A</ResourceType><ResourceStatus>CREATE_COMPLETE</ResourceStatus>\
                     <LastUpdatedTimestamp>2026-01-01T00:00:00Z</LastUpdatedTimestamp></member>"
                )
            };
            let queue = format!("http://{}/queue", "stub");
            let mut all: String = NAMED.iter().map(one).collect();
            all += &one(&("FulfillmentQueue", &queue));
            format!(
                "<ListStackResourcesResponse><ListStackResourcesResult><StackResourceSummaries>{all}\
                 </StackResourceSummaries></ListStackResourcesResult></ListStackResourcesResponse>"
            )
        }
        _ => String::new(),
    }
}
