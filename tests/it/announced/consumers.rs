//! The examples of consumers: their own tests, their signature as an independent library sees it, and all three on the
//! deployed stack.

use crate::{contract::resources::abandoned_on, documents::root, local::stack_py};
use aws::bus::Bus;
use aws_sdk_dynamodb::types::AttributeValue;
use axum::{Router, body::Bytes, extract::State, http::HeaderMap, routing::post};
use domain::{
    announcement::{Announcement, Cause, Entry, Kind, Published, State as ThingState, resource},
    ports::Bus as _,
    resource::Resource,
};
use kit::prelude::*;
use std::{
    fs,
    path::PathBuf,
    process::{Child, Command, Output},
    sync::{Arc, Mutex},
};
use svix::webhooks::Webhook;

const SOON: Duration = Duration::from_mins(1);
/// Has the packages of the examples.
const PYTHON: &str = ".local/tools/examples/bin/python";
const SECRET: &str = "whsec_AAECAwQFBgcICQoLDA0ODxAREhMUFRYX";

/// Runs Python with the packages of the examples.
fn python(arguments: &[&str]) -> Output {
    let python = root().join(PYTHON);
    assert!(
        python.exists(),
        "{} is missing: run this by `make test`",
        python.display()
    );
    Command::new(python)
        .args(arguments)
        .current_dir(root())
        .env("PYTHONDONTWRITEBYTECODE", "1")
        .env("AWS_DEFAULT_REGION", "us-east-1")
        .output()
        .unwrap()
}

#[test]
fn the_examples_pass_their_own_tests() {
    let folder = "examples/announcements";
    let output = python(&["-m", "unittest", "discover", "-s", folder]);
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{said}");
    assert!(said.contains("OK"), "{said}");
}

#[test]
fn svix_accepts_the_signature_of_the_webhook_example_and_refuses_another_body() {
    let program = "import json, sys, time
sys.path.insert(0, 'examples/announcements/webhook/src')
import webhook
announcement = json.load(open('events/announcements/order.paid.json'))['detail']
headers, body = webhook.request(announcement, sys.argv[1], int(time.time()))
print(json.dumps([headers, body.decode()]))";
    let output = python(&["-c", program, SECRET]);
    assert!(output.status.success(), "{output:?}");
    let (headers, body): (BTreeMap<String, String>, String) =
        serde_json::from_slice(&output.stdout).unwrap();
    let headers = headers.iter().map(|(name, value)| {
        let name: axum::http::HeaderName = name.parse().unwrap();
        (name, value.parse().unwrap())
    });
    let headers: HeaderMap = headers.collect();
    let webhook = Webhook::new(SECRET).unwrap();
    assert!(webhook.verify(body.as_bytes(), &headers).is_ok());
    assert!(webhook.verify(b"{}", &headers).is_err());
}

/// Deploys an example beside the stack. Returns its outputs.
fn deployed(name: &str, parameters: &[&str]) -> BTreeMap<String, String> {
    let template = format!("examples/announcements/{name}/template.yaml");
    let mut arguments = vec!["deploy", &template, "--name", name];
    for parameter in parameters {
        arguments.extend(["--parameter", *parameter]);
    }
    let output = stack_py(&arguments);
    let said = String::from_utf8(output.stdout).unwrap();
    let error = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{said}{error}");
    serde_json::from_str(said.trim().lines().last().unwrap()).unwrap()
}

/// The example of a warehouse, as it reads its queue. Each line of its output is a pick list.
struct Warehouse {
    process: Child,
    output: PathBuf,
}

impl Warehouse {
    fn starts(stack: &Stack, queue_url: &str) -> Self {
        let folder = std::env::temp_dir().join(format!("warehouse-{}", number()));
        fs::create_dir(&folder).unwrap();
        let output = folder.join("output");
        let process = Command::new(root().join(PYTHON))
            .arg(root().join("examples/announcements/warehouse/warehouse.py"))
            .arg(folder.join("orders.db"))
            .env("ORDERS_QUEUE_URL", queue_url)
            .env("AWS_ENDPOINT_URL", &stack.endpoint)
            .env("AWS_DEFAULT_REGION", &stack.region)
            .env("AWS_ACCESS_KEY_ID", "test")
            .env("AWS_SECRET_ACCESS_KEY", "test")
            .stdout(fs::File::create(&output).unwrap())
            .spawn()
            .unwrap();
        Self { process, output }
    }

    /// The number of pick lists of an order.
    fn picked(&self, order_id: &str) -> usize {
        let lines = fs::read_to_string(&self.output).unwrap();
        lines.lines().filter(|line| line.contains(order_id)).count()
    }
}

impl Drop for Warehouse {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
        let _ = fs::remove_dir_all(self.output.parent().unwrap());
    }
}

/// The requests that the merchant's endpoint got.
type Requests = Arc<Mutex<Vec<(HeaderMap, Bytes)>>>;

/// The merchant's endpoint, and its address.
async fn endpoint() -> (Requests, String) {
    async fn take(State(requests): State<Requests>, headers: HeaderMap, body: Bytes) {
        requests.lock().unwrap().push((headers, body));
    }
    let requests = Requests::default();
    let app = Router::new().route("/hook", post(take));
    let app = app.with_state(Arc::clone(&requests));
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/hook", listener.local_addr().unwrap());
    tokio::spawn(async move { axum::serve(listener, app).await });
    (requests, url)
}

/// The entry of the example of a paid order, as another order.
fn paid_order() -> Entry {
    let text = fs::read_to_string(root().join("events/announcements/order.paid.json")).unwrap();
    let event: Value = serde_json::from_str(&text).unwrap();
    let mut published: Published = serde_json::from_value(event["detail"].clone()).unwrap();
    let announcement: &mut Announcement = &mut published.announcement;
    announcement.id = format!("{}-{}", announcement.id, number());
    let ThingState::Order(order) = &mut announcement.state else {
        panic!("{announcement:?}")
    };
    order.order_id = announcement.id.clone();
    published.entry().unwrap()
}

/// The entry of a session's only announcement.
fn announced(row: &Resource, kind: Kind) -> Entry {
    let cause = Cause {
        at: Timestamp::now(),
        provider: None,
        event_id: None,
    };
    let mut all = resource::changed(None, row, cause);
    let announcement = all.pop().unwrap();
    assert_eq!((announcement.kind, all.len()), (kind, 0));
    let published = Published {
        announcement,
        mode: Mode::Test,
        contact: None,
    };
    published.entry().unwrap()
}

/// The state of a sale in the table of the recovery example.
async fn sale_state(play: &Play, table: &str, row: &Resource) -> Option<String> {
    let Resource::CheckoutSession(session) = row else {
        panic!("{row:?}")
    };
    let order_id = session.order_id.get().unwrap();
    let client = aws_sdk_dynamodb::Client::new(&play.stack.config().await);
    let key = AttributeValue::S(format!("order_id#{order_id}"));
    let read = client.get_item().table_name(table).key("sale", key);
    let item = read.consistent_read(true).send().await.unwrap().item?;
    item["state"].as_s().ok().cloned()
}

#[tokio::test]
async fn the_examples_get_their_announcements_on_the_deployed_stack() {
    let play = play().await;
    let (requests, url) = endpoint().await;
    let webhook = deployed("webhook", &[&format!("EndpointUrl={url}")]);
    let recovery = deployed("recovery", &[]);
    let outputs = deployed("warehouse", &[]);
    let warehouse = Warehouse::starts(&play.stack, &outputs["OrdersQueueUrl"]);
    let config = play.stack.config().await;
    let secrets = aws_sdk_secretsmanager::Client::new(&config);
    // The emulator puts punctuation into a generated secret, although the template excludes it.
    let secret = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";
    let put = secrets.put_secret_value();
    let put = put
        .secret_id(&webhook["SigningSecretArn"])
        .secret_string(secret);
    put.send().await.unwrap();

    let bus = Bus::new(&config, outputs["EventBusName"].clone());
    let order = paid_order();
    let [abandoned, _] = abandoned_on(&play.tables).await;
    let [late, paid] = abandoned_on(&play.tables).await;
    let sales = &recovery["SalesTableName"];
    let publish = async |entries: &[Entry]| {
        let answers = bus.publish(entries).await.unwrap();
        assert!(answers.iter().all(Option::is_none), "{answers:?}");
    };
    // Twice, as after a stop between the publication and its mark.
    publish(&[order.clone(), announced(&paid, Kind::CheckoutConverted)]).await;
    publish(std::slice::from_ref(&order)).await;
    until("the payment is known", SOON, async || {
        Ok(sale_state(&play, sales, &late).await)
    })
    .await
    .unwrap();
    let abandonment = announced(&abandoned, Kind::CheckoutAbandoned);
    publish(&[announced(&late, Kind::CheckoutAbandoned), abandonment]).await;

    // Other tests sell as well. Their orders do not count.
    let is_ours = |headers: &HeaderMap| headers["webhook-id"] == order.id;
    until("the endpoint has both publications", SOON, async || {
        let requests = requests.lock().unwrap();
        let ours = requests.iter().filter(|(headers, _)| is_ours(headers));
        Ok((ours.count() == 2).then_some(()))
    })
    .await
    .unwrap();
    until("the warehouse has read its queue", SOON, async || {
        let is_empty = play.depth(&outputs["OrdersQueueUrl"]).await? == 0;
        Ok((is_empty && warehouse.picked(&order.id) > 0).then_some(()))
    })
    .await
    .unwrap();
    assert_eq!(warehouse.picked(&order.id), 1);
    let verifier = Webhook::new(secret).unwrap();
    for (headers, body) in requests.lock().unwrap().iter() {
        verifier.verify(body, headers).unwrap();
        let body: Value = serde_json::from_slice(body).unwrap();
        assert_eq!(headers["webhook-id"], body["data"]["id"].as_str().unwrap());
    }
    until("the abandoned sale has its mail", SOON, async || {
        Ok(sale_state(&play, sales, &abandoned).await)
    })
    .await
    .unwrap();
    let states = [&abandoned, &late].map(|row| sale_state(&play, sales, row));
    let states = join_all(states).await;
    assert_eq!(states, [Some("mailed".to_owned()), Some("paid".to_owned())]);
    // Their queues would take the orders of all other tests.
    for name in ["warehouse", "webhook", "recovery"] {
        let removed = stack_py(&["remove", name]);
        assert!(removed.status.success(), "{removed:?}");
    }
}
