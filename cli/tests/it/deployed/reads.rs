//! What commands read does not grow with the number of orders: the program's calls, counted between it and AWS.

use super::{ORDER, program, stack, text};
use aws_sdk_dynamodb::types::{AttributeValue, PutRequest, WriteRequest};
use axum::{Router, body::Bytes, extract::State, http::HeaderMap, response::IntoResponse};
use kit::prelude::*;
use std::{
    collections::HashMap,
    fs,
    process::Stdio,
    sync::{Arc, Mutex},
};

/// The calls of a command by their names, and the bytes of all answers.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
struct Reads {
    calls: BTreeMap<String, usize>,
    bytes: usize,
}

/// Stands between the program and AWS, and counts.
#[derive(Clone)]
struct Counter {
    aws: String,
    http: reqwest::Client,
    reads: Arc<Mutex<Reads>>,
}

impl Counter {
    /// A counter in front of AWS, and its own address.
    async fn started(aws: &str) -> (Self, String) {
        // The client takes the process's; another test may have installed it.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let counter = Self {
            aws: aws.to_owned(),
            http: reqwest::Client::builder().no_proxy().build().unwrap(),
            reads: Arc::default(),
        };
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let routes = Router::new().fallback(pass).with_state(counter.clone());
        tokio::spawn(async move { axum::serve(listener, routes).await });
        (counter, url)
    }
}

async fn pass(
    State(counter): State<Counter>,
    method: axum::http::Method,
    uri: axum::http::Uri,
    headers: HeaderMap,
    body: Bytes,
) -> impl IntoResponse {
    let target = headers
        .get("x-amz-target")
        .and_then(|target| target.to_str().ok());
    let name = target.map_or_else(|| uri.path().to_owned(), str::to_owned);
    let request = counter
        .http
        .request(method, format!("{}{uri}", counter.aws));
    let answer = request.headers(headers).body(body).send().await.unwrap();
    let (status, mut headers) = (answer.status(), answer.headers().clone());
    headers.remove("transfer-encoding");
    let body = answer.bytes().await.unwrap();
    let mut reads = counter.reads.lock().unwrap();
    *reads.calls.entry(name).or_default() += 1;
    reads.bytes += body.len();
    (status, headers, body)
}

/// What a command reads.
async fn read_by(counter: &Counter, stack_file: &str, args: &[&str]) -> Reads {
    *counter.reads.lock().unwrap() = Reads::default();
    let mut command = program();
    command
        .args(args)
        .args(["--local", "--json"])
        .env("STACK_FILE", stack_file);
    // The counter must answer meanwhile.
    let run = move || command.stdin(Stdio::null()).output().unwrap();
    let output = tokio::task::spawn_blocking(run).await.unwrap();
    assert!(
        [0, 4].contains(&output.status.code().unwrap()),
        "{args:?}: {}",
        text(&output.stderr)
    );
    counter.reads.lock().unwrap().clone()
}

const COMMANDS: [&[&str]; 5] = [
    &["order", ORDER],
    &["order", "fcs_01K76N0000000000000000000B-order"],
    &["status"],
    &[
        "orders",
        "--since",
        "2025-10-09",
        "--before",
        "2025-10-12",
        "--limit",
        "50",
    ],
    &["mail", "list"],
];

/// Copies the row of the sample's order under other ids.
async fn fill(orders: usize) {
    let stack = stack();
    let client = aws_sdk_dynamodb::Client::new(&stack.config().await);
    let table = &stack.tables.orders;
    let key = AttributeValue::S("fcs_01K76N0000000000000000000B".to_owned());
    let sample = client
        .get_item()
        .table_name(table)
        .key("order_id", key)
        .send()
        .await
        .unwrap();
    let sample = sample.item.unwrap();
    let placed_at: i64 = sample["placed_at"].as_n().unwrap().parse().unwrap();
    let copy = |number: usize| {
        let mut item = sample.clone();
        let id = AttributeValue::S(format!("fcs_copy{number:08}"));
        item.insert("order_id".to_owned(), id);
        let reference = AttributeValue::S(format!("copy-{number}"));
        item.insert("client_reference_id".to_owned(), reference);
        // Earlier on the same day, a few in each second.
        let earlier = placed_at - i64::try_from(number % 30_000).unwrap() - 1;
        item.insert(
            "placed_at".to_owned(),
            AttributeValue::N(earlier.to_string()),
        );
        let put = PutRequest::builder().set_item(Some(item)).build().unwrap();
        WriteRequest::builder().put_request(put).build()
    };
    for first in (0..orders).step_by(25) {
        let batch = (first..orders.min(first + 25)).map(copy).collect();
        let write = client.batch_write_item();
        let write = write.set_request_items(Some(HashMap::from([(table.clone(), batch)])));
        write.send().await.unwrap();
    }
}

#[tokio::test]
#[ignore = "needs a stack with one order: make encrypted, or make encrypted ORDERS=100000"]
async fn no_command_reads_more_where_there_are_more_orders() {
    let orders = std::env::var("ORDERS").map_or(2000, |number| number.parse().unwrap());
    let stack = stack();
    let (counter, url) = Counter::started(&stack.endpoint).await;
    // The same stack, reached by the counter.
    let own = std::env::var("STACK_FILE").unwrap();
    let file = format!("{own}.counted");
    let text = fs::read_to_string(own).unwrap();
    let mut described: Value = serde_json::from_str(&text).unwrap();
    described["endpoint"] = json!(url);
    fs::write(&file, described.to_string()).unwrap();
    let mut before = Vec::new();
    for args in COMMANDS {
        before.push(read_by(&counter, &file, args).await);
    }
    fill(orders).await;
    for (args, before) in COMMANDS.iter().zip(&before) {
        let after = read_by(&counter, &file, args).await;
        println!("{args:?}: {after:?} with {orders} more orders, {before:?} before");
        if args[0] == "orders" {
            // One page, however many orders there are.
            let calls: usize = after.calls.values().sum();
            assert!(calls <= 12 && after.bytes < 1_000_000, "{after:?}");
        } else {
            assert_eq!(&after.calls, &before.calls, "{args:?}");
        }
    }
    fs::remove_file(file).unwrap();
}
