//! The calls of each class of event, by action: the functions with their real adapters, on the stubs.

use crate::{
    aws::{Aws, Calls},
    delivery::{Signature, delivery, event_id, receipt_id},
    flex::Skus,
};
use aws::{
    Queues, Store, SystemClock, Tables,
    batch::Attempt,
    client::{SdkConfig, loader},
    mailer::Mailer,
    secrets::{Cache, Read, SecretsManager, WebhookSecrets, parse},
    settings::Settings,
};
use aws_config::Region;
use aws_sdk_secretsmanager::{Client, config::Credentials};
use domain::{
    delivery::secrets::Keys,
    fulfillment::Policy,
    ports::Clock,
    receipt::OnUnknown,
    values::{
        ids::{EventId, OwnerToken, ReceiptId},
        mode::Mode,
        outcome::Outcome,
    },
};
use fulfillment::Fulfillment;
use futures_util::future::join_all;
use intake::{Intake, request::Incoming, secrets::Secrets};
use jiff::{SignedDuration, Timestamp};
use kit::drive::{POLICY, merchant};
use mail::Templates;
use providers::Providers;
use receipts::Receipts;
use serde_json::Value;
use std::{
    collections::BTreeMap,
    fmt::Debug,
    sync::{
        Arc,
        atomic::{AtomicI64, Ordering},
    },
    time::Duration,
};

/// The clock of the cache of keys. A delivery's timestamp is checked by the machine's.
#[derive(Debug, Clone, Default)]
struct KeyClock(Arc<AtomicI64>);

impl KeyClock {
    fn pass(&self, seconds: i64) {
        self.0.fetch_add(seconds, Ordering::SeqCst);
    }
}

impl Clock for KeyClock {
    fn now(&self) -> Timestamp {
        Timestamp::from_second(self.0.load(Ordering::SeqCst)).unwrap()
    }
}

/// The functions of one stack on the stubs.
struct Stack {
    stubs: Aws,
    keys: KeyClock,
    intake: Intake<Store, Secrets<SecretsManager, KeyClock>>,
    fulfillment: Fulfillment<Store>,
    receipts: Receipts<Store, Mailer>,
}

fn store(config: &SdkConfig, url: &str) -> Store {
    let queue = |name: &str| format!("{url}/123456789012/{name}");
    let tables = Tables::named(str::to_owned);
    let queues = Queues {
        fulfillment: queue("fulfillment"),
        receipts: queue("receipts"),
        source: queue("receipts"),
    };
    Store::new(config, tables, queues).with_retention(Duration::from_hours(24 * 90))
}

impl Stack {
    async fn start() -> Self {
        let stubs = Aws::start(Duration::ZERO, None).await.unwrap();
        let url = stubs.url.clone();
        let config = loader()
            .endpoint_url(&url)
            .region(Region::new("us-east-1"))
            .credentials_provider(Credentials::new("bench", "bench", None, None, "bench"))
            .load()
            .await;
        let keys = KeyClock::default();
        let flex = providers::unconnected("flex").unwrap();
        let of = Arc::clone(&flex);
        let read: Read<Keys> = Arc::new(move |text: &str| {
            let secrets = parse::<WebhookSecrets>(text)?.webhook_secrets;
            let keys = secrets.iter().map(|secret| of.signing_key(secret));
            Ok(keys.map(Result::unwrap).collect())
        });
        let secret = SecretsManager::new(Client::new(&config), "webhooks");
        let cache = Cache::open(secret, read, keys.clone()).await.unwrap();
        let id = "flex".parse().unwrap();
        let setting = |name: &str| match name {
            "FLEX_API_KEY_ARN" => Some("api-key".to_owned()),
            "FLEX_API_BASE_URL" => Some(url.clone()),
            _ => None,
        };
        let mut settings = Settings::from(&setting);
        let apis = providers::open_apis(&mut settings, &config, Some(Mode::Test), None).await;
        assert!(settings.are_good(), "{settings:?}");
        Self {
            keys,
            intake: Intake {
                store: store(&config, &url),
                providers: Providers::default().with("flex".parse().unwrap(), flex, None),
                keys: Secrets(BTreeMap::from([(id, cache)])),
                clock: Arc::new(SystemClock),
                max_body_bytes: 262_144,
                time_limit: Duration::from_secs(8),
            },
            fulfillment: Fulfillment {
                store: store(&config, &url),
                providers: apis,
                clock: Arc::new(SystemClock),
                policy: Policy {
                    mode: Mode::Test,
                    ..POLICY
                },
                most_receives: 5,
            },
            receipts: Receipts {
                store: store(&config, &url),
                mailer: Mailer::new(&config, "bench"),
                clock: Arc::new(SystemClock),
                merchant: merchant(),
                templates: Templates::built_in().unwrap(),
                on_unknown: OnUnknown::Hold,
            },
            stubs,
        }
    }

    /// Takes in a delivery, changed. Returns the status.
    async fn deliver(&self, number: u64, signature: Signature, without: &str) -> u16 {
        let request = delivery(number, signature);
        let headers = request["headers"].as_object().unwrap();
        let header = |name: &str| {
            let found = headers.get(name).filter(|_| name != without);
            found.and_then(Value::as_str)
        };
        let incoming = Incoming {
            method: "POST",
            provider: "flex",
            header: &header,
            body: request["body"].as_str().unwrap().as_bytes(),
        };
        self.intake.take(&incoming).await.reply().status
    }

    async fn fulfill(&self, number: u64) {
        let id = EventId::new(event_id(number)).unwrap();
        let ended = Box::pin(self.fulfillment.fulfill(&id, 1)).await;
        assert_done(&ended);
    }

    async fn send(&self, number: u64) {
        let id = ReceiptId::new(receipt_id(number)).unwrap();
        let ended = Box::pin(self.receipts.send(&id, &attempt())).await;
        assert_done(&ended);
    }

    /// The calls since the last time, as text.
    fn calls(&self) -> String {
        let calls: Calls = self.stubs.take_calls();
        let calls = calls
            .iter()
            .map(|(action, count)| format!("{action} {count}"));
        calls.collect::<Vec<_>>().join(", ")
    }
}

fn assert_done<Done: Debug, Reason: Debug>(ended: &Outcome<Done, Reason>) {
    let is_done = matches!(ended, Outcome::Accepted(_) | Outcome::Duplicate);
    assert!(is_done, "{ended:?}");
}

fn attempt() -> Attempt {
    Attempt {
        owner: OwnerToken::new("bench").unwrap(),
        receives: 1,
        is_last: false,
        ends_at: Timestamp::now() + SignedDuration::from_secs(27),
    }
}

/// Seconds after which the keys are read again: because of their age, and after a signature that no key fits.
const AGED: i64 = 300;
const REREAD: i64 = 60;
/// The header that an unsigned delivery lacks.
const SIGNATURE: &str = "svix-signature";

#[tokio::test]
async fn a_delivery_makes_two_calls_a_duplicate_one_and_a_forgery_none() {
    use Signature::{Forged, Good};
    let stack = Stack::start().await;
    assert_eq!(
        stack.calls(),
        "GetSecretValue 2",
        "at the start of intake and fulfillment"
    );
    let keys_again = "GetSecretValue 1";
    let kept = (200, "PutItem 1, SendMessage 1");
    let kept_with_keys = (200, "GetSecretValue 1, PutItem 1, SendMessage 1");
    for (class, passes, (number, signature, without), (status, calls)) in [
        // The keys were read at the start. Nothing reads them again within a minute.
        ("forged, cold", 0, (9, Forged, ""), (401, "")),
        ("new, cold", 0, (1, Good, ""), kept),
        ("unfinished duplicate", 0, (1, Good, ""), kept),
        ("forged, later", REREAD, (9, Forged, ""), (401, keys_again)),
        ("forged, again", 0, (9, Forged, ""), (401, "")),
        ("new, after a forgery", 0, (2, Good, ""), kept),
        ("unsigned, aged", AGED, (9, Good, SIGNATURE), (401, "")),
        ("new, aged", 0, (3, Good, ""), kept_with_keys),
        ("new, with the keys read again", 0, (4, Good, ""), kept),
        ("forged, aged", AGED, (9, Forged, ""), (401, keys_again)),
    ] {
        stack.keys.pass(passes);
        let answered = stack.deliver(number, signature, without).await;
        assert_eq!(
            (answered, stack.calls().as_str()),
            (status, calls),
            "{class}"
        );
    }
    stack.stubs.process_events();
    for (class, passes, calls) in [
        ("processed duplicate", 0, "PutItem 1"),
        (
            "processed duplicate, aged",
            AGED,
            "GetSecretValue 1, PutItem 1",
        ),
    ] {
        stack.keys.pass(passes);
        let answered = stack.deliver(1, Good, "").await;
        assert_eq!((answered, stack.calls().as_str()), (200, calls), "{class}");
    }
}

#[tokio::test]
async fn a_checkout_makes_nine_calls_and_its_receipt_six() {
    let stack = Stack::start().await;
    stack.deliver(1, Signature::Good, "").await;
    stack.calls();

    stack.fulfill(1).await;
    let checkout =
        "BatchGetItem 2, Flex GET 3, GetItem 1, SendMessage 1, TransactWriteItems 1, UpdateItem 1";
    assert_eq!(stack.calls(), checkout);
    stack.fulfill(1).await;
    assert_eq!(stack.calls(), "GetItem 1", "a processed event");

    stack.send(1).await;
    assert_eq!(
        stack.calls(),
        "GetItem 3, SendRawEmail 1, TransactWriteItems 1, UpdateItem 1"
    );
    stack.send(1).await;
    assert_eq!(stack.calls(), "GetItem 1", "a sent receipt");
}

/// The first attempts may all meet, so that one succeeds. The others then come one after the other.
#[tokio::test]
async fn ten_orders_of_one_sku_at_once_need_at_most_nineteen_transactions() {
    let stack = Stack::start().await;
    stack.stubs.world().skus = Skus::Same;
    for number in 1..=10 {
        stack.deliver(number, Signature::Good, "").await;
    }
    stack.stubs.take_calls();
    stack.stubs.set_latency(Duration::from_millis(5));
    join_all((1..=10).map(|number| stack.fulfill(number))).await;
    let transactions = stack.stubs.take_calls()["TransactWriteItems"];
    assert!((10..=19).contains(&transactions), "{transactions}");
}
