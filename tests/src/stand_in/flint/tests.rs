use super::{super::Fault, *};
use domain::{
    delivery::{answer::Answer, event::Change, reference::Reference, secrets::ApiKey},
    ports::Provider,
    resource::ResourceChange,
    upkeep::reconcile::{Ask, Listed},
    values::{ids::OrderId, outcome::ReadError},
};
use serde_json::json;
use std::sync::Arc;

async fn get(stand_in: &FlintStandIn, path: &str, key: Option<&str>) -> (u16, String, Value) {
    // An error means that another test of this process has made the same call.
    let _ = tokio_rustls::rustls::crypto::ring::default_provider().install_default();
    let mut request = reqwest::Client::new().get(format!("{}{path}", stand_in.url));
    if let Some(key) = key {
        request = request.bearer_auth(key);
    }
    let answer = request.send().await.unwrap();
    let mode = answer.headers().get("flint-mode").cloned();
    let mode = mode.map(|mode| mode.to_str().unwrap().to_owned());
    let status = answer.status().as_u16();
    let body = serde_json::from_slice(&answer.bytes().await.unwrap()).unwrap();
    (status, mode.unwrap_or_default(), body)
}

const LIVE: Option<&str> = Some("flint_live_1");
const TEST: Option<&str> = Some("flint_test_1");

#[tokio::test]
async fn a_key_sees_the_data_of_its_mode_alone_and_an_order_is_expanded_on_request() {
    let stand_in = FlintStandIn::start().await.unwrap();
    let order =
        json!({"order_id": "ord_1", "customer_id": "cus_1", "payment_intent_ids": ["pi_1"]});
    stand_in.put(Mode::Live, Kind::Orders, order);
    let customer = json!({"customer_id": "cus_1", "email": "pat@example.com"});
    stand_in.put(Mode::Live, Kind::Customers, customer);
    let intent = json!({"payment_intent_id": "pi_1", "status": "succeeded"});
    stand_in.put(Mode::Live, Kind::PaymentIntents, intent);
    let path = "/v1/orders/ord_1?expand=customer&expand=payment_intents";
    let (status, mode, body) = get(&stand_in, path, LIVE).await;
    assert_eq!((status, mode.as_str()), (200, "live"));
    assert_eq!(body["data"]["customer"]["email"], "pat@example.com");
    assert_eq!(body["data"]["payment_intents"][0]["status"], "succeeded");
    let (_, _, bare) = get(&stand_in, "/v1/orders/ord_1", LIVE).await;
    assert!(bare["data"].get("customer").is_none());
    for (path, key, status, code) in [
        ("/v1/orders/ord_1", TEST, 404, "ORDER_NOT_FOUND"),
        ("/v1/refunds/ref_1", LIVE, 404, "RESOURCE_NOT_FOUND"),
        ("/v1/orders/ord_1", Some("fsk_1"), 401, "INVALID_API_KEY"),
        ("/v1/orders/ord_1", None, 401, "AUTH_REQUIRED"),
        ("/v1/orders?page_size=101", LIVE, 400, "INVALID_REQUEST"),
    ] {
        let (got, _, body) = get(&stand_in, path, key).await;
        assert_eq!(
            (got, &body["error"]["code"]),
            (status, &json!(code)),
            "{path}"
        );
    }
}

#[tokio::test]
async fn a_list_is_paged_newest_first_and_a_token_fits_its_query_alone() {
    let stand_in = FlintStandIn::start().await.unwrap();
    for n in 0..5 {
        let status = if n == 3 { "delivered" } else { "failed" };
        let event = json!({
            "webhook_event_id": format!("whev_{n}"), "delivery_status": status,
            "created_at": format!("2026-01-0{}T00:00:00Z", n + 1),
        });
        stand_in.put(Mode::Test, Kind::WebhookEvents, event);
    }
    let path =
        "/v1/webhook-events?delivery_status=failed&created_after=2026-01-01T12:00:00Z&page_size=2";
    let (_, _, first) = get(&stand_in, path, TEST).await;
    let ids = |body: &Value| -> Vec<String> {
        let events = body["data"].as_array().unwrap().iter();
        events
            .map(|event| event["webhook_event_id"].as_str().unwrap().to_owned())
            .collect()
    };
    assert_eq!(ids(&first), ["whev_4", "whev_2"]);
    let token = first["next_page_token"].as_str().unwrap();
    let with_token = |path: &str| {
        let mut url = reqwest::Url::parse(&format!("{}{path}", stand_in.url)).unwrap();
        url.query_pairs_mut().append_pair("page_token", token);
        format!("{}?{}", url.path(), url.query().unwrap())
    };
    let next = with_token(path);
    let (_, _, second) = get(&stand_in, &next, TEST).await;
    assert_eq!(ids(&second), ["whev_1"]);
    assert!(second.get("next_page_token").is_none());
    let other = with_token("/v1/webhook-events?page_size=2");
    assert_eq!(get(&stand_in, &other, TEST).await.0, 400);
}

/// The product's own client of this stand-in.
fn client(stand_in: &FlintStandIn) -> Arc<dyn Provider> {
    let connection = providers::Connection {
        base_url: stand_in.url.clone(),
        max_bytes: None,
        receipts: None,
    };
    providers::connected("flint", &connection).unwrap()
}

async fn fetch(stand_in: &FlintStandIn, reference: Reference) -> Result<Answer, ReadError> {
    let key = ApiKey::new("flint_test_1").unwrap();
    let now = jiff::Timestamp::now();
    client(stand_in).fetch(&key, &reference, now).await
}

#[tokio::test]
async fn the_products_client_understands_it() {
    let stand_in = FlintStandIn::start().await.unwrap();
    let usd = |amount: i64| json!({"amount": amount, "currency": "USD"});
    for (kind, thing) in [
        (
            Kind::Orders,
            json!({
                "order_id": "ord_1", "status": "closed", "payment_status": "paid", "customer_id": "cus_1",
                "payment_intent_ids": ["pi_1"], "pricing_amounts": {"total_money": usd(500)},
                "line_items": [{"order_line_item_id": "li_1", "name": "Tote", "quantity": 1, "total_money": usd(500)}],
            }),
        ),
        (
            Kind::PaymentIntents,
            json!({
                "payment_intent_id": "pi_1", "status": "succeeded", "amount_money": usd(500),
            }),
        ),
        (
            Kind::Customers,
            json!({"customer_id": "cus_1", "name": "Pat Doe"}),
        ),
        (Kind::Merchants, json!({"merchant_id": "mer_1"})),
        (
            Kind::Capabilities,
            json!({"capability": "receive_payouts", "status": "ready"}),
        ),
        (
            Kind::WebhookEvents,
            json!({
                "webhook_event_id": "whev_1", "event_type": "order.paid", "delivery_status": "failed",
                "created_at": "2026-01-02T00:00:00Z", "payload": {"order_id": "ord_1"},
            }),
        ),
    ] {
        stand_in.put(Mode::Test, kind, thing);
    }
    let order = Reference::Sale(OrderId::new("ord_1").unwrap());
    let Answer::Sale(sale) = fetch(&stand_in, order.clone()).await.unwrap() else {
        panic!()
    };
    assert_eq!(sale.customer.name.as_deref(), Some("Pat Doe"));
    assert_eq!(sale.payments.len(), 1);
    let merchant = Reference::Resource("merchant#mer_1".parse().unwrap());
    let Answer::Change(change) = fetch(&stand_in, merchant).await.unwrap() else {
        panic!()
    };
    let is_whole = |change: &Change| match change {
        Change::Resource(change) => matches!(
            &**change,
            ResourceChange::Merchant { facts, .. } if facts.capabilities.len() == 1
        ),
        _ => false,
    };
    assert!(is_whole(&change), "{change:?}");
    let ask = Ask {
        list: "failed deliveries",
        since: "2026-01-01T00:00:00Z".parse().unwrap(),
        now: "2026-01-08T00:00:00Z".parse().unwrap(),
        after: None,
    };
    let key = ApiKey::new("flint_test_1").unwrap();
    let page = client(&stand_in).list(&key, ask).await.unwrap();
    assert!(
        matches!(page.listed.as_slice(), [Listed::Found(_)]),
        "{page:?}"
    );
    stand_in.fail_next("/v1/orders/*", Fault::status(503));
    assert!(fetch(&stand_in, order.clone()).await.is_err());
    assert!(fetch(&stand_in, order).await.is_ok());
}
