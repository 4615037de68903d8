use super::*;
use crate::shop::Purchase;
use domain::{
    delivery::secrets::ApiKey,
    sale::statement::Sale,
    values::{
        ids::OrderId,
        outcome::{ReadError, RetryableError},
    },
};
use flex::Api;
use serde_json::json;
use std::time::{Duration, Instant};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
};

const SEED: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../events/flex/stand-in.json");
const SESSION: &str = "/v1/checkout/sessions/*";
const LINES: &str = "/v1/checkout/sessions/*/line_items";

async fn with_sample() -> (StandIn, Purchase) {
    let (stand_in, purchase) = (StandIn::start().await.unwrap(), Purchase::sample());
    stand_in.put_purchase(&purchase);
    (stand_in, purchase)
}

async fn read(stand_in: &StandIn, key: &str, id: &str) -> Result<Sale, ReadError> {
    let (key, order_id) = (ApiKey::new(key).unwrap(), OrderId::new(id).unwrap());
    Api::new(&stand_in.url).unwrap().sale(&key, &order_id).await
}

async fn read_sold(stand_in: &StandIn, purchase: &Purchase) -> Result<Sale, ReadError> {
    read(stand_in, "fsk_test_1", purchase.order_id()).await
}

/// A request by hand: the answer's status and body.
async fn ask(
    stand_in: &StandIn,
    method: &str,
    path: &str,
    key: &str,
    body: &Value,
) -> (u16, Value) {
    let mut stream = TcpStream::connect(stand_in.url.trim_start_matches("http://"))
        .await
        .unwrap();
    let body = body.to_string();
    let request = format!(
        "{method} {path} HTTP/1.1\r\nhost: flex\r\nauthorization: {key}\r\ncontent-type: application/json\r\n\
         content-length: {}\r\nconnection: close\r\n\r\n{body}",
        body.len()
    );
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.unwrap();
    let (head, body) = answer.split_once("\r\n\r\n").unwrap();
    (
        head[9..12].parse().unwrap(),
        serde_json::from_str(body).unwrap_or_default(),
    )
}

async fn get(stand_in: &StandIn, path: &str) -> (u16, Value) {
    ask(stand_in, "GET", path, "Bearer fsk_test_1", &Value::Null).await
}

#[tokio::test]
async fn the_seed_knows_every_session_that_a_sample_event_names() {
    let stand_in = StandIn::seeded(0, Path::new(SEED)).await.unwrap();
    for event in [
        include_str!("../../../events/flex/checkout.session.completed.json"),
        include_str!("../../../events/flex/checkout.session.completed.expanded.json"),
    ] {
        let event: Value = serde_json::from_str(event).unwrap();
        let session = &event["object"]["checkout_session"];
        let sale = read(
            &stand_in,
            "fsk_test_1",
            session["checkout_session_id"].as_str().unwrap(),
        )
        .await
        .unwrap();
        assert_eq!(sale.totals.total, session["amount_total"].as_i64().unwrap());
        let sum: i64 = sale.lines.iter().map(|line| line.amounts.total).sum();
        assert_eq!(sum, sale.totals.total);
        assert!(sale.lines.iter().all(|line| line.sku.is_some()));
    }
}

#[tokio::test]
async fn the_customer_is_an_id_unless_expanded() {
    let (stand_in, purchase) = with_sample().await;
    let path = format!("/v1/checkout/sessions/{}", purchase.order_id());
    let (_, plain) = get(&stand_in, &path).await;
    assert_eq!(plain["checkout_session"], purchase.session);
    let (_, expanded) = get(&stand_in, &format!("{path}?expand_customer=true")).await;
    assert_eq!(expanded["checkout_session"]["customer"], purchase.customer);
    let id = purchase.customer["customer_id"].as_str().unwrap();
    assert_eq!(
        get(&stand_in, &format!("/v1/customers/{id}")).await.1["customer"],
        purchase.customer
    );
}

#[tokio::test]
async fn a_session_put_in_expanded_is_given_out_by_reference() {
    let stand_in = StandIn::start().await.unwrap();
    let mut purchase = Purchase::sample();
    purchase.session["customer"] = purchase.customer.clone();
    stand_in.put_purchase(&purchase);
    let path = format!("/v1/checkout/sessions/{}", purchase.order_id());
    let (_, answer) = get(&stand_in, &path).await;
    let id = &purchase.customer["customer_id"];
    assert_eq!(&answer["checkout_session"]["customer"], id);
}

#[tokio::test]
async fn only_a_key_of_flexs_is_let_in() {
    let (stand_in, purchase) = with_sample().await;
    let path = format!("/v1/checkout/sessions/{}", purchase.order_id());
    for key in ["", "Bearer", "Bearer sk_test_1", "fsk_test_1"] {
        let (status, body) = ask(&stand_in, "GET", &path, key, &Value::Null).await;
        assert_eq!(
            (status, &body["error"]["code"]),
            (401, &json!("unauthorized")),
            "{key:?}"
        );
    }
    let error = read(&stand_in, "sk_1", purchase.order_id())
        .await
        .unwrap_err();
    assert_eq!(error, ReadError::KeyRefused { status: 401 });
}

#[tokio::test]
async fn a_live_key_does_not_see_test_data() {
    let (stand_in, purchase) = with_sample().await;
    let code = Some("checkout_session_not_found".to_owned());
    let unknown = ReadError::Permanent { status: 404, code };
    assert_eq!(
        read(&stand_in, "fsk_live_1", purchase.order_id()).await,
        Err(unknown.clone())
    );
    assert_eq!(
        read(&stand_in, "fsk_test_1", "fcs_other").await,
        Err(unknown)
    );
}

#[tokio::test]
async fn errors_come_in_every_shape_that_flex_has() {
    let stand_in = StandIn::start().await.unwrap();
    let (status, body) = get(&stand_in, "/v1/customers/fcus_1").await;
    assert_eq!(status, 404);
    assert_eq!(body["error"]["code"], json!("customer_not_found"));
    let (status, body) = get(&stand_in, "/v1/checkout/sessions?limit=101").await;
    assert_eq!(status, 422);
    assert_eq!(body["detail"][0]["loc"][1], json!("limit"));
    let (status, body) = get(&stand_in, "/v1/refunds?starting_after=fre_1").await;
    assert_eq!(status, 422);
    assert_eq!(body["detail"][0]["loc"][1], json!("starting_after"));
    let (status, body) = get(&stand_in, "/v1/subscriptions/fsub_1").await;
    assert_eq!(status, 404);
    assert_eq!(body["error"]["code"], json!("subscription_not_found"));
    assert_eq!(
        get(&stand_in, "/v1/payouts").await,
        (404, json!({"detail": "Not Found"}))
    );
}

#[tokio::test]
async fn sessions_are_listed_newest_first_and_by_page() {
    let stand_in = StandIn::start().await.unwrap();
    let purchases: Vec<Purchase> = (0..12).map(Purchase::numbered).collect();
    for purchase in &purchases {
        stand_in.put_purchase(purchase);
    }
    let listed = async |query: &str| {
        let (status, body) = get(&stand_in, &format!("/v1/checkout/sessions?{query}")).await;
        assert_eq!(status, 200, "{body}");
        let sessions = body["checkout_sessions"].as_array().unwrap().clone();
        sessions
            .iter()
            .map(|session| session["checkout_session_id"].as_str().unwrap().to_owned())
            .collect::<Vec<_>>()
    };
    let id = |n: usize| purchases[n].order_id().to_owned();
    assert_eq!(listed("").await.len(), 10);
    assert_eq!(listed("limit=2").await, [id(11), id(10)]);
    assert_eq!(
        listed(&format!("limit=2&starting_after={}", id(2))).await,
        [id(1), id(0)]
    );
    assert_eq!(listed("client_reference_id=order-7").await, [id(7)]);
    let second = purchases[5].session["payment_intents"][1].as_str().unwrap();
    assert_eq!(listed(&format!("payment_intent={second}")).await, [id(5)]);
    assert!(listed("client_reference_id=nobody").await.is_empty());
}

#[tokio::test]
async fn payment_intents_are_those_given_or_share_what_the_session_came_to() {
    let (stand_in, mut purchase) = with_sample().await;
    let path = format!(
        "/v1/payment_intents?checkout_session={}",
        purchase.order_id()
    );
    let listed = async |members: &[&str]| {
        let (_, answer) = get(&stand_in, &path).await;
        let intents = answer["payment_intents"].as_array().unwrap().clone();
        let facts = |intent: &Value| {
            members
                .iter()
                .map(|member| intent[*member].clone())
                .collect::<Value>()
        };
        intents.iter().map(facts).collect::<Value>()
    };
    let ids = purchase.session["payment_intents"].clone();
    assert_eq!(
        listed(&[
            "payment_intent_id",
            "amount",
            "amount_received",
            "status",
            "payment_card_type"
        ])
        .await,
        json!([
            [ids[0], 3497, 3497, "succeeded", "primary"],
            [ids[1], 3497, 3497, "succeeded", "secondary"],
        ])
    );
    purchase.session["amount_total"] = json!(6995);
    for (received, method, status) in [
        (0, "manual", "requires_capture"),
        (0, "automatic", "processing"),
        (6995, "manual", "succeeded"),
    ] {
        purchase.session["amount_received"] = json!(received);
        purchase.session["capture_method"] = json!(method);
        stand_in.put_purchase(&purchase);
        assert_eq!(
            listed(&["amount", "status"]).await,
            json!([[3498, status], [3497, status]])
        );
    }
    stand_in.put_payment_intents(
        purchase.order_id(),
        json!([{"payment_intent_id": "fpi_1", "test_mode": true}]),
    );
    assert_eq!(listed(&["payment_intent_id"]).await, json!([["fpi_1"]]));

    let nobody = get(&stand_in, "/v1/payment_intents?checkout_session=fcs_other").await;
    assert_eq!(nobody, (200, json!({"payment_intents": []})));
    purchase = Purchase::numbered(1);
    purchase.session["status"] = json!("open");
    stand_in.put_purchase(&purchase);
    let path = format!(
        "/v1/payment_intents?checkout_session={}",
        purchase.order_id()
    );
    assert_eq!(
        get(&stand_in, &path).await.1,
        json!({"payment_intents": []})
    );
}

#[tokio::test]
async fn refunds_are_found_by_what_they_give_back() {
    let (stand_in, purchase) = with_sample().await;
    let intents = &purchase.session["payment_intents"];
    for n in 0..25_usize {
        let id = format!("fre_{n}");
        let refund =
            json!({"refund_id": id, "payment_intent_id": intents[n % 2], "test_mode": true});
        stand_in.put("refund", refund);
    }
    let live =
        json!({"refund_id": "fre_live", "payment_intent_id": intents[0], "test_mode": false});
    stand_in.put("refund", live);
    let listed = async |query: &str| {
        let (status, body) = get(&stand_in, &format!("/v1/refunds?{query}")).await;
        assert_eq!(status, 200, "{body}");
        let id = |refund: &Value| refund["refund_id"].as_str().unwrap().to_owned();
        body["refunds"]
            .as_array()
            .unwrap()
            .iter()
            .map(id)
            .collect::<Vec<_>>()
    };
    let session = format!("checkout_session={}", purchase.order_id());
    let first = listed(&session).await;
    assert_eq!(first.len(), 20);
    assert_eq!(first[0].as_str(), "fre_24");
    assert_eq!(first[19].as_str(), "fre_5");
    let rest = listed(&format!("{session}&starting_after=fre_5")).await;
    assert_eq!(rest, ["fre_4", "fre_3", "fre_2", "fre_1", "fre_0"]);
    let second = intents[1].as_str().unwrap();
    assert_eq!(
        listed(&format!("payment_intent={second}&limit=2")).await,
        ["fre_23", "fre_21"]
    );
    assert!(listed("checkout_session=fcs_other").await.is_empty());

    let again = json!({"refund_id": "fre_23", "payment_intent_id": second, "test_mode": true});
    stand_in.put("refund", json!({"refund": again}));
    assert_eq!(
        listed(&format!("payment_intent={second}&limit=2")).await,
        ["fre_23", "fre_21"]
    );
}

#[tokio::test]
async fn a_planned_fault_strikes_as_often_as_planned() {
    let (stand_in, purchase) = with_sample().await;
    let fault = Fault {
        retry_after: Some("30".to_owned()),
        ..Fault::status(429)
    };
    stand_in.fail_next(LINES, fault.times(2));
    for _ in 0..2 {
        let Err(ReadError::Transient(error)) = read_sold(&stand_in, &purchase).await else {
            panic!("429 passes")
        };
        assert_eq!(error.retry_after(), Some(Duration::from_secs(30)));
    }
    assert!(read_sold(&stand_in, &purchase).await.is_ok());
}

#[tokio::test]
async fn a_dropped_connection_is_a_dropped_connection() {
    let (stand_in, purchase) = with_sample().await;
    stand_in.fail_next(SESSION, Fault::dropped());
    assert!(read_sold(&stand_in, &purchase).await.is_ok());
    assert_eq!(stand_in.requests_for(SESSION), 2);
    assert_eq!(stand_in.requests_for(LINES), 1);
    stand_in.fail_next(SESSION, Fault::dropped().times(2));
    let error = read_sold(&stand_in, &purchase).await.unwrap_err();
    assert!(
        matches!(error, ReadError::Transient(RetryableError::Away { .. })),
        "{error}"
    );
}

#[tokio::test]
async fn a_late_answer_is_late() {
    let (stand_in, purchase) = with_sample().await;
    stand_in.fail_next(SESSION, Fault::late(Duration::from_millis(200)));
    let started = Instant::now();
    assert!(read_sold(&stand_in, &purchase).await.is_ok());
    assert!(started.elapsed() >= Duration::from_millis(200));
}

#[tokio::test]
async fn another_process_steers_it_over_http() {
    let stand_in = StandIn::seeded(0, Path::new(SEED)).await.unwrap();
    let purchase = Purchase::numbered(1);
    let steer = async |method: &str, path: &str, body: Value| {
        ask(&stand_in, method, &format!("/_stand-in/{path}"), "", &body).await
    };
    let status = async |method: &str, path: &str, body: Value| steer(method, path, body).await.0;
    let bundle = json!({"session": purchase.session, "line_items": purchase.line_items, "customer": purchase.customer});
    assert_eq!(status("PUT", "sessions", bundle).await, 204);
    assert!(read_sold(&stand_in, &purchase).await.is_ok());
    assert_eq!(status("PUT", "sessions", json!({"session": {}})).await, 422);

    let session = format!("?checkout_session={}", purchase.order_id());
    let intent = json!({"payment_intent_id": "fpi_1", "test_mode": true});
    let bundle = json!({"session": purchase.session, "payment_intents": [intent]});
    assert_eq!(status("PUT", "sessions", bundle).await, 204);
    let (_, answer) = get(&stand_in, &format!("/v1/payment_intents{session}")).await;
    assert_eq!(answer["payment_intents"], json!([intent]));

    let payment = &purchase.session["payment_intent"];
    let refund = json!({"refund_id": "fre_1", "payment_intent_id": payment, "test_mode": true});
    let wrapped = json!({"refund": refund});
    assert_eq!(status("PUT", "refunds", wrapped).await, 204);
    let (_, answer) = get(&stand_in, &format!("/v1/refunds{session}")).await;
    assert_eq!(answer["refunds"], json!([refund]));
    assert_eq!(status("PUT", "refunds", json!({"refund": {}})).await, 422);

    let subscription = json!({"subscription": {"subscription_id": "fsub_1", "test_mode": true}});
    assert_eq!(
        status("PUT", "subscriptions", subscription.clone()).await,
        204
    );
    assert_eq!(
        get(&stand_in, "/v1/subscriptions/fsub_1").await,
        (200, subscription)
    );
    assert_eq!(
        status("PUT", "subscriptions", json!({"subscription": {}})).await,
        422
    );

    assert_eq!(
        status("POST", "faults", json!({"path": SESSION, "status": 503})).await,
        204
    );
    assert!(read_sold(&stand_in, &purchase).await.is_err());
    let (_, seen) = steer("GET", "requests", Value::Null).await;
    assert_eq!(
        seen["requests"].as_array().unwrap().len(),
        stand_in.requests().len()
    );

    assert_eq!(status("POST", "reset", Value::Null).await, 204);
    assert!(stand_in.requests().is_empty());
    assert!(read_sold(&stand_in, &purchase).await.is_err());
    assert!(
        read(&stand_in, "fsk_test_1", Purchase::sample().order_id())
            .await
            .is_ok()
    );
    assert_eq!(get(&stand_in, "/v1/subscriptions/fsub_1").await.0, 404);
}
