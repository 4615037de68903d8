//! Answers of Flex's API, read by the client over HTTP: genuine, or with changed bytes or values.

use super::{
    LONGEST_ERROR, Tally, hold, in_time, made_up,
    mutation::{crossbred, mutant},
};
use axum::{Router, extract::State, http::Uri};
use domain::{delivery::secrets::ApiKey, upkeep::reconcile::Ask};
use kit::prelude::*;
use proptest::{prelude::*, test_runner::TestCaseResult};
use std::{
    fs,
    sync::{Arc, LazyLock, Mutex},
    time::Instant,
};
use tokio::net::TcpListener;

const ORDER: &str = "fcs_01K76N0000000000000000000B";
const PAYMENT: &str = "fpi_01K76N0000000000000000000Z";
const SUBSCRIPTION: &str = "fsub_01k76n0000000000000000000j";

/// The paths that the client asks for. A path precedes its own beginnings.
const PATHS: [&str; 9] = [
    "/v1/checkout/sessions/fcs_01K76N0000000000000000000B/line_items",
    "/v1/checkout/sessions/fcs_01K76N0000000000000000000B",
    "/v1/checkout/sessions",
    "/v1/customers/",
    "/v1/payment_intents",
    "/v1/refunds",
    "/v1/invoices",
    "/v1/subscriptions/",
    "/v1/subscriptions",
];

/// The genuine answers, by path.
static GENUINE: LazyLock<Vec<Vec<Vec<u8>>>> = LazyLock::new(|| {
    let sample = |name: &str| {
        let path = format!("{}/../events/flex/{name}.json", env!("CARGO_MANIFEST_DIR"));
        serde_json::from_str::<Value>(&fs::read_to_string(path).unwrap()).unwrap()
    };
    let [session, subscription] = ["api/session", "api/subscription"].map(sample);
    let mut unexpanded = session.clone();
    unexpanded["checkout_session"]["customer"] = json!("fcus_01K76N0000000000000000000C");
    let refunds: Vec<_> = ["refund", "refund.failed"]
        .map(|name| sample(&format!("api/{name}"))["refund"].take())
        .into_iter()
        .collect();
    let answers = [
        sample("api/line_items"),
        unexpanded,
        json!({"checkout_sessions": [session["checkout_session"]]}),
        sample("api/customer"),
        sample("api/payment_intents"),
        json!({"refunds": refunds}),
        json!({"invoices": [sample("invoice.paid.renewal")["object"]["invoice"]]}),
        subscription.clone(),
        json!({"subscriptions": [subscription["subscription"]]}),
    ];
    answers
        .iter()
        .map(|answer| vec![answer.to_string().into_bytes()])
        .collect()
});

type Answers = Arc<Mutex<Vec<Vec<u8>>>>;

/// A local server with given answers.
async fn server(answers: &Answers) -> String {
    async fn answer(State(answers): State<Answers>, asked: Uri) -> Vec<u8> {
        let place = PATHS
            .iter()
            .position(|path| asked.path().starts_with(path))
            .unwrap();
        answers.lock().unwrap()[place].clone()
    }
    let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let routes = Router::new()
        .fallback(answer)
        .with_state(Arc::clone(answers));
    tokio::spawn(async move { axum::serve(listener, routes).await });
    url
}

fn answers() -> impl Strategy<Value = Vec<Vec<u8>>> {
    let answer = |genuine: &'static Vec<Vec<u8>>| {
        prop_oneof![
            4 => Just(genuine[0].clone()),
            1 => mutant(genuine),
            3 => crossbred(genuine).prop_map(|value| value.to_string().into_bytes()),
        ]
    };
    GENUINE.iter().map(answer).collect::<Vec<_>>()
}

/// Counts successful and failed reads, and checks the limit of the reason.
fn read<T>(
    read: Result<T, ReadError>,
    tally: &Tally,
    [well, badly]: [&'static str; 2],
) -> Result<Option<T>, TestCaseError> {
    match read {
        Ok(read) => {
            tally.count(well);
            Ok(Some(read))
        }
        Err(ReadError::NotUnderstood(why)) => {
            tally.count(badly);
            prop_assert!(why.len() < LONGEST_ERROR, "an error quotes no value: {why}");
            Ok(None)
        }
        Err(other) => Err(TestCaseError::fail(format!(
            "the server is well, and yet: {other}"
        ))),
    }
}

async fn ask(api: &flex::Api, key: &ApiKey, tally: &Tally) -> TestCaseResult {
    let sale = api.sale(key, &OrderId::new(ORDER).unwrap()).await;
    if let Some(sale) = read(sale, tally, ["a sale", "no sale"])? {
        let ids: BTreeSet<_> = sale.payment_intents.iter().collect();
        prop_assert_eq!(
            ids.len(),
            sale.payment_intents.len(),
            "a payment is named twice"
        );
        prop_assert!(
            sale.payments.keys().all(|id| ids.contains(id)),
            "told of a payment that is not its own"
        );
        if !sale.payments.is_empty() {
            tally.count("its payments");
        }
        if sale.customer.name.is_some() {
            tally.count("its customer");
        }
    }
    let payment = PaymentIntentId::new(PAYMENT).unwrap();
    read(
        api.sale_of(key, &payment).await,
        tally,
        ["whose a payment is", "nobody knows whose"],
    )?;
    let of_payment = api.refunds(key, flex::RefundsOf::Payment(&payment)).await;
    if let Some(refunds) = read(of_payment, tally, ["refunds", "no refunds"])? {
        prop_assert!(
            refunds
                .understood
                .iter()
                .all(|refund| refund.facts.payment_intent_id == payment)
        );
    }
    let order_id = OrderId::new(ORDER).unwrap();
    let of_sale = flex::RefundsOf::Sale(&order_id);
    read(
        api.refunds(key, of_sale).await,
        tally,
        ["refunds", "no refunds"],
    )?;
    let subscription = api
        .subscription(key, &SubscriptionId::new(SUBSCRIPTION).unwrap())
        .await;
    read(subscription, tally, ["a subscription", "no subscription"])?;
    let now = Timestamp::from_second(1_763_000_000).unwrap();
    let since = now - SignedDuration::from_hours(24 * 3650);
    for list in [
        "checkouts",
        "invoices",
        "refunds",
        "subscriptions",
        "ended subscriptions",
    ] {
        let page = api
            .list(
                key,
                &Ask {
                    list,
                    since,
                    now,
                    after: None,
                },
            )
            .await;
        for listed in read(page, tally, ["a page", "no page"])?
            .iter()
            .flat_map(|page| &page.listed)
        {
            made_up(listed, now, tally)?;
        }
    }
    Ok(())
}

#[test]
fn no_answer_of_the_api_makes_its_client_panic_or_dawdle() {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(1)
        .enable_all()
        .build()
        .unwrap();
    let served = Answers::default();
    let api = flex::Api::new(&runtime.block_on(server(&served))).unwrap();
    let key = ApiKey::new("fsk_test_0").unwrap();
    let expected = [
        "a sale",
        "no sale",
        "its payments",
        "its customer",
        "whose a payment is",
        "nobody knows whose",
        "refunds",
        "no refunds",
        "a subscription",
        "no subscription",
        "a page",
        "no page",
        "found",
        "of no use",
    ];
    hold(20, answers(), &expected, |answers, tally| {
        let started_at = Instant::now();
        *served.lock().unwrap() = answers;
        runtime.block_on(ask(&api, &key, tally))?;
        in_time(started_at)
    });
}
