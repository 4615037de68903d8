//! Stubs of DynamoDB, SQS, SES, Secrets Manager and Flex. They count the calls by action.

use crate::{
    Failure,
    delivery::webhook_secrets,
    dynamodb::{self, Place, Tables, text},
    flex::{self, Skus},
    tls::{Authority, HOST, TlsListener},
};
use axum::{
    Router,
    body::Bytes,
    extract::{Request, State},
    http::{HeaderMap, Method, StatusCode, Uri, header::CONTENT_TYPE},
    middleware::{Next, from_fn_with_state},
    response::{IntoResponse, Response},
    routing::get,
    serve::ListenerExt as _,
};
use md5::{Digest as _, Md5};
use serde_json::{Value, json};
use std::{
    collections::{BTreeMap, HashMap, VecDeque},
    fmt::Write as _,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};
use tokio::net::TcpListener;

/// Calls by action.
pub(crate) type Calls = BTreeMap<String, u64>;

/// A message of a queue.
#[derive(Debug)]
pub(crate) struct Message {
    /// Unique in a run.
    pub(crate) number: u64,
    pub(crate) body: String,
    /// How often a function has received it.
    pub(crate) receives: u32,
}

/// All that the stubs hold.
#[derive(Debug, Default)]
pub(crate) struct World {
    pub(crate) tables: Tables,
    calls: Calls,
    /// Calls that wait for their answer.
    in_flight: usize,
    /// How often a call came while no other waited: sequential round trips.
    round_trips: u64,
    latency: Duration,
    /// Transactions that were cancelled because another one was in flight.
    pub(crate) conflicts: u64,
    /// By the last part of the queue's URL.
    pub(crate) queues: HashMap<String, VecDeque<Message>>,
    /// False if messages are counted and not kept.
    pub(crate) keeps_messages: bool,
    messages: u64,
    /// How long a failed message stays hidden, by its receipt handle.
    pub(crate) hidden: HashMap<String, Duration>,
    /// Mails by the tag that names their receipt.
    pub(crate) mails: HashMap<String, u64>,
    pub(crate) skus: Skus,
    /// The numbers of the sessions that Flex lists.
    pub(crate) listed: Vec<u64>,
}

type Shared = Arc<Mutex<World>>;

fn lock(shared: &Shared) -> MutexGuard<'_, World> {
    shared.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The stubs. Over TLS, DynamoDB and SQS have addresses of their own, as on AWS, so that each needs a connection.
#[derive(Debug, Clone)]
pub(crate) struct Aws {
    shared: Shared,
    /// For `AWS_ENDPOINT_URL`.
    pub(crate) url: String,
    pub(crate) dynamodb_url: Option<String>,
    pub(crate) sqs_url: Option<String>,
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
            .route("/v1/{*path}", get(of_flex))
            .fallback(answer)
            .layer(from_fn_with_state(Arc::clone(&shared), counted))
            .with_state(Arc::clone(&shared));
        let url = served(router.clone(), authority).await?;
        let (mut dynamodb_url, mut sqs_url) = (None, None);
        if authority.is_some() {
            dynamodb_url = Some(served(router.clone(), authority).await?);
            sqs_url = Some(served(router, authority).await?);
        }
        Ok(Self {
            shared,
            url,
            dynamodb_url,
            sqs_url,
        })
    }

    /// All that the stubs hold. Nothing is answered while the guard lives.
    pub(crate) fn world(&self) -> MutexGuard<'_, World> {
        lock(&self.shared)
    }

    /// Takes the counts since the last time.
    pub(crate) fn take_calls(&self) -> Calls {
        std::mem::take(&mut self.world().calls)
    }

    /// Takes the billed capacity since the last time.
    pub(crate) fn take_units(&self) -> dynamodb::Units {
        std::mem::take(&mut self.world().tables.units)
    }

    /// Takes the count of sequential round trips since the last time.
    pub(crate) fn take_round_trips(&self) -> u64 {
        std::mem::take(&mut self.world().round_trips)
    }

    /// Sets the time that each answer takes from now on.
    pub(crate) fn set_latency(&self, latency: Duration) {
        self.world().latency = latency;
    }

    /// Marks all of intake's events as processed, as fulfillment would.
    pub(crate) fn process_events(&self) {
        for item in self.world().tables.table_mut("events").values_mut() {
            item.insert("state".to_owned(), json!({"S": "processed"}));
        }
    }
}

/// Serves the stubs on a free port. Returns the address.
async fn served(router: Router, authority: Option<&Authority>) -> Result<String, Failure> {
    let tcp = TcpListener::bind("127.0.0.1:0").await?;
    let port = tcp.local_addr()?.port();
    if let Some(authority) = authority {
        let listener = TlsListener::new(tcp, authority)?;
        tokio::spawn(async move { axum::serve(listener, router).await });
        return Ok(format!("https://{HOST}:{port}"));
    }
    let listener = tcp.tap_io(|stream| {
        let _ = stream.set_nodelay(true);
    });
    tokio::spawn(async move { axum::serve(listener, router).await });
    Ok(format!("http://127.0.0.1:{port}"))
}

/// Counts a call by its action, and waits for the latency. A transaction waits later, with its items busy.
async fn counted(State(shared): State<Shared>, request: Request, next: Next) -> Response {
    let action = action(&request);
    let is_transaction = action == "TransactWriteItems";
    let latency = {
        let mut world = lock(&shared);
        *world.calls.entry(action).or_default() += 1;
        world.round_trips += u64::from(world.in_flight == 0);
        world.in_flight += 1;
        world.latency
    };
    if !latency.is_zero() && !is_transaction {
        tokio::time::sleep(latency).await;
    }
    let response = next.run(request).await;
    lock(&shared).in_flight -= 1;
    response
}

/// The service's name of an action. SES has it in the body of a form, and the functions use one of SES's actions.
fn action(request: &Request) -> String {
    let target = request.headers().get("x-amz-target");
    match target.and_then(|it| it.to_str().ok()?.rsplit('.').next()) {
        Some(action) => action.to_owned(),
        None if request.method() == Method::POST => SEND_MAIL.to_owned(),
        None => format!("Flex {}", request.method()),
    }
}

const SEND_MAIL: &str = "SendRawEmail";

async fn of_flex(State(shared): State<Shared>, uri: Uri) -> impl IntoResponse {
    let (skus, listed) = {
        let world = lock(&shared);
        let is_list = flex::is_list_of_sessions(&uri);
        let listed = is_list.then(|| flex::page(&uri, &world.listed));
        (world.skus, listed)
    };
    flex::answer(&uri, skus, listed)
}

async fn answer(State(shared): State<Shared>, headers: HeaderMap, body: Bytes) -> Response {
    let target = headers.get("x-amz-target").and_then(|it| it.to_str().ok());
    let Some(action) = target.and_then(|it| it.rsplit('.').next()) else {
        return send_mail(&mut lock(&shared), &body);
    };
    let request: Value = serde_json::from_slice(&body).unwrap_or_default();
    let (status, answer) = if action == "TransactWriteItems" {
        transact(&shared, &request).await
    } else {
        let mut world = lock(&shared);
        let of_dynamodb = world.tables.answer(action, &request);
        of_dynamodb.unwrap_or_else(|| world.answer(action, &request))
    };
    let headers = [
        (CONTENT_TYPE.as_str(), "application/x-amz-json-1.0"),
        ("x-amzn-requestid", "00000000-0000-4000-8000-000000000000"),
    ];
    (status, headers, answer.to_string()).into_response()
}

/// The items of a transaction are busy while this lives. A client may give up meanwhile.
struct Busy<'a>(&'a Shared, Vec<Place>);

impl Drop for Busy<'_> {
    fn drop(&mut self) {
        lock(self.0).tables.end(&self.1);
    }
}

/// DynamoDB works on a transaction for the latency. Meanwhile no other one may have its items.
async fn transact(shared: &Shared, request: &Value) -> dynamodb::Answer {
    let (begun, latency) = {
        let mut world = lock(shared);
        let begun = world.tables.begin(request);
        world.conflicts += u64::from(begun.is_err());
        (begun, world.latency)
    };
    let begun = begun.map(|places| Busy(shared, places));
    if !latency.is_zero() {
        tokio::time::sleep(latency).await;
    }
    match begun {
        Ok(_busy) => lock(shared).tables.transact(request),
        Err(answer) => answer,
    }
}

impl World {
    /// Removes all rows, messages and mails.
    pub(crate) fn clear(&mut self) {
        self.tables = Tables::default();
        self.queues.clear();
        self.hidden.clear();
        self.mails.clear();
        self.conflicts = 0;
    }

    /// Answers for SQS and Secrets Manager.
    fn answer(&mut self, action: &str, request: &Value) -> dynamodb::Answer {
        let answer = match action {
            "SendMessage" => {
                let body = text(request, "MessageBody");
                let queue = text(request, "QueueUrl").rsplit('/').next();
                self.send(queue.unwrap_or_default(), body);
                json!({
                    "MD5OfMessageBody": md5(body),
                    "MessageId": "00000000-0000-4000-8000-000000000000",
                })
            }
            "ChangeMessageVisibility" => {
                let seconds = request["VisibilityTimeout"].as_u64();
                let hidden = Duration::from_secs(seconds.unwrap_or_default());
                let handle = text(request, "ReceiptHandle").to_owned();
                self.hidden.insert(handle, hidden);
                json!({})
            }
            "GetQueueAttributes" => json!({"Attributes": {"ApproximateNumberOfMessages": "0"}}),
            "GetSecretValue" => json!({
                "ARN": text(request, "SecretId"),
                "Name": "webhooks",
                "VersionId": "00000000-0000-4000-8000-000000000000",
                "VersionStages": ["AWSCURRENT"],
                "SecretString": secret(text(request, "SecretId")),
                "CreatedDate": 1_760_000_000,
            }),
            _ => {
                let answer = json!({"__type": "UnknownOperationException", "message": action});
                return (StatusCode::BAD_REQUEST, answer);
            }
        };
        (StatusCode::OK, answer)
    }

    fn send(&mut self, queue: &str, body: &str) {
        if self.keeps_messages {
            self.messages += 1;
            let message = Message {
                number: self.messages,
                body: body.to_owned(),
                receives: 0,
            };
            let queue = self.queues.entry(queue.to_owned()).or_default();
            queue.push_back(message);
        }
    }
}

/// SES's answer to `SendRawEmail`. The first tag of a mail names its receipt.
fn send_mail(world: &mut World, form: &[u8]) -> Response {
    let form = String::from_utf8_lossy(form);
    let tag = form
        .split('&')
        .find_map(|it| it.strip_prefix("Tags.member.1.Value="));
    *world
        .mails
        .entry(tag.unwrap_or_default().to_owned())
        .or_default() += 1;
    let number = world.mails.len();
    let answer = format!(
        r#"<SendRawEmailResponse xmlns="http://ses.amazonaws.com/doc/2010-12-01/"><SendRawEmailResult><MessageId>0100-{number}</MessageId></SendRawEmailResult></SendRawEmailResponse>"#
    );
    ([(CONTENT_TYPE, "text/xml")], answer).into_response()
}

fn secret(id: &str) -> String {
    match id {
        "api-key" => json!({"api_key": "fsk_test_bench"}).to_string(),
        _ => webhook_secrets(),
    }
}

/// The SDKs of the peers check this hash.
fn md5(text: &str) -> String {
    let mut hexadecimal = String::new();
    for byte in Md5::digest(text.as_bytes()) {
        let _ = write!(hexadecimal, "{byte:02x}");
    }
    hexadecimal
}
