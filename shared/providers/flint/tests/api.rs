//! The client against a server that answers like Flint.
#![expect(
    clippy::panic,
    clippy::unwrap_used,
    reason = "a test fails by panicking, its helpers too"
)]

use domain::{
    delivery::{answer::Answer, event::Change, reference::Reference, secrets::ApiKey},
    ports::Provider as _,
    resource::ResourceChange,
    sale::{payment::PaymentStatus, statement::Sale},
    upkeep::reconcile::{Ask, Listed, Page},
    values::{
        mode::Mode,
        outcome::{ReadError, RetryableError},
        provider::Party,
    },
};
use flint::{Api, Flint, Limits};
use jiff::Timestamp;
use rest::testing::{Heads, Reply, path_of, serve};
use serde_json::{Value, json};
use std::{fmt, sync::Arc, time::Duration};

const LIMITS: Limits = Limits {
    connect: Duration::from_secs(1),
    request: Duration::from_secs(5),
    bytes: 64 * 1024,
};

const ORDER: &str = "/v1/orders/ord_1?expand=customer&expand=payment_intents";
const OF_LIVE: &str = "flint-mode: live\r\nflint-merchant-id: mer_1\r\n";

/// Answers with this resource, as Flint wraps it.
fn ok(data: &Value) -> Reply {
    let body = json!({"data": data, "request_id": "req_1"});
    Reply::Answer(200, OF_LIVE, body.to_string())
}

fn page(data: &Value, next: Option<&str>) -> Reply {
    let body = json!({"data": data, "next_page_token": next, "request_id": "req_1"});
    Reply::Answer(200, OF_LIVE, body.to_string())
}

/// Answers with an error, as Flint writes it.
fn refusal(status: u16, code: &str, retryable: Option<bool>) -> Reply {
    let remediation = retryable.map(|retryable| json!({"next_steps": [], "retryable": retryable}));
    let body = json!({"error": {"type": "any", "code": code, "remediation": remediation}});
    Reply::Answer(status, "retry-after: 7\r\n", body.to_string())
}

fn not_found() -> Reply {
    refusal(404, "RESOURCE_NOT_FOUND", Some(false))
}

fn usd(amount: i64) -> Value {
    json!({"amount": amount, "currency": "USD"})
}

/// An order that names its parts.
fn order() -> Value {
    json!({
        "order_id": "ord_1", "status": "closed", "payment_status": "paid", "customer_id": "cus_1",
        "pricing_amounts": {"total_money": usd(2500)},
        "settlement_amounts": {"paid_money": usd(2500), "outstanding_money": usd(0)},
        "line_items": [
            {"order_line_item_id": "li_1", "name": "Red shirt", "quantity": 1, "total_money": usd(2500)},
        ],
        "payment_intent_ids": ["pi_1"], "refund_ids": ["ref_1", "ref_2"],
        "updated_at": "2026-01-01T00:00:00Z",
    })
}

fn intent() -> Value {
    json!({
        "payment_intent_id": "pi_1", "status": "succeeded", "amount_money": usd(2500), "order_id": "ord_1",
        "fulfillment_hold": {"status": "active"}, "updated_at": "2026-01-01T00:00:00Z",
    })
}

fn customer() -> Value {
    json!({"customer_id": "cus_1", "email": "pat@example.com", "name": "Pat Doe"})
}

/// The parts of the order, read singly.
fn part(path: &str) -> Reply {
    match path {
        "/v1/payment-intents/pi_1" => ok(&intent()),
        "/v1/customers/cus_1" => ok(&customer()),
        _ => not_found(),
    }
}

fn key() -> ApiKey {
    ApiKey::new("flint_live_0123456789").unwrap()
}

fn asked_at() -> Timestamp {
    "2026-01-02T00:00:00Z".parse().unwrap()
}

async fn fetch(url: &str, reference: Reference) -> Result<Answer, ReadError> {
    let flint = Flint {
        api: Some(Arc::new(Api::with_limits(url, LIMITS).unwrap())),
        receipts: Party::Provider,
    };
    flint.fetch(&key(), &reference, asked_at()).await
}

fn id<T: TryFrom<String, Error: fmt::Debug>>(text: &str) -> T {
    text.to_owned().try_into().unwrap()
}

async fn sale(url: &str) -> Result<Sale, ReadError> {
    match fetch(url, Reference::Sale(id("ord_1"))).await? {
        Answer::Sale(sale) => Ok(*sale),
        other => panic!("{other:?}"),
    }
}

async fn change(url: &str, reference: Reference) -> Change {
    match fetch(url, reference).await.unwrap() {
        Answer::Change(change) => *change,
        other => panic!("{other:?}"),
    }
}

/// The resource with this key.
async fn resource(url: &str, key: &str) -> ResourceChange {
    match change(url, Reference::Resource(key.parse().unwrap())).await {
        Change::Resource(change) => *change,
        other => panic!("{other:?}"),
    }
}

fn paths(heads: &Heads) -> Vec<String> {
    let heads = heads.lock().unwrap();
    let mut paths: Vec<_> = heads.iter().map(|head| path_of(head).to_owned()).collect();
    paths.sort();
    paths
}

#[tokio::test]
async fn an_expanded_order_is_one_request_in_the_known_version() {
    let (url, heads) = serve(|path, _| {
        let mut order = order();
        order["customer"] = customer();
        order["payment_intents"] = json!([intent()]);
        if path == ORDER {
            ok(&order)
        } else {
            not_found()
        }
    })
    .await;
    let sale = sale(&url).await.unwrap();
    assert_eq!(sale.customer.name.as_deref(), Some("Pat Doe"));
    assert_eq!(sale.mode, Mode::Live);
    assert!(sale.payments.values().all(|facts| facts.is_held));
    assert_eq!(paths(&heads), [ORDER]);
    let head = heads.lock().unwrap().remove(0).to_ascii_lowercase();
    for header in [
        "authorization: bearer flint_live_0123456789\r\n",
        "flint-version: 2026-09-07\r\n",
        "accept: application/json\r\n",
    ] {
        assert!(head.contains(header), "{head}");
    }
}

#[tokio::test]
async fn what_the_expansion_leaves_out_or_refuses_is_read_singly() {
    for is_refused in [false, true] {
        let (url, heads) = serve(move |path, _| match path {
            ORDER if is_refused => refusal(400, "INVALID_REQUEST", Some(false)),
            ORDER | "/v1/orders/ord_1" => ok(&order()),
            path => part(path),
        })
        .await;
        let sale = sale(&url).await.unwrap();
        assert_eq!(sale.customer.email.as_deref(), Some("pat@example.com"));
        assert_eq!(sale.payments.len(), 1);
        assert_eq!(paths(&heads).len(), if is_refused { 4 } else { 3 });
    }
}

#[tokio::test]
async fn an_order_waits_for_its_payments_and_not_for_a_lost_customer() {
    let without = |missing: &'static str| {
        serve(move |path, _| match path {
            ORDER => ok(&order()),
            path if path == missing => not_found(),
            path => part(path),
        })
    };
    let (url, _) = without("/v1/customers/cus_1").await;
    assert_eq!(sale(&url).await.unwrap().customer.email, None);
    let (url, _) = without("/v1/payment-intents/pi_1").await;
    let lost = sale(&url).await.unwrap_err();
    assert!(
        matches!(lost, ReadError::Permanent { status: 404, .. }),
        "{lost:?}"
    );
}

#[tokio::test]
async fn an_answer_about_another_order_is_not_taken() {
    let (url, _) = serve(|_, _| {
        let mut order = order();
        order["order_id"] = json!("ord_2");
        ok(&order)
    })
    .await;
    let error = sale(&url).await.unwrap_err();
    let why = "the answer is about another order".to_owned();
    assert_eq!(error, ReadError::NotUnderstood(why));
}

#[tokio::test]
async fn an_answer_in_another_mode_names_the_cure() {
    for mode in ["test", "", "Live"] {
        let headers: &'static str = Box::leak(format!("flint-mode: {mode}\r\n").into_boxed_str());
        let (url, _) =
            serve(move |_, _| Reply::Answer(200, headers, json!({"data": order()}).to_string()))
                .await;
        let error = sale(&url).await.unwrap_err();
        let ReadError::Transient(RetryableError::SetUp {
            service: "Flint",
            cause,
        }) = error
        else {
            panic!("{error:?}")
        };
        assert!(
            cause.contains("live key: set the API's base URL"),
            "{cause}"
        );
    }
}

#[tokio::test]
async fn a_refusal_is_final_unless_it_says_otherwise() {
    let error = |status, retryable| async move {
        let (url, _) = serve(move |_, _| refusal(status, "ANY_CODE", retryable)).await;
        sale(&url).await.unwrap_err()
    };
    let wait = Some(Duration::from_secs(7));
    let later = [
        (429, None),
        (503, None),
        (409, Some(true)),
        (429, Some(true)),
    ];
    for (status, retryable) in later {
        let error = error(status, retryable).await;
        let ReadError::Transient(RetryableError::Away { retry_after, .. }) = error else {
            panic!("{status}: {error:?}")
        };
        assert_eq!(retry_after, wait, "{status}");
    }
    for (status, retryable) in [(404, None), (500, Some(false)), (422, Some(false))] {
        let code = Some("ANY_CODE".to_owned());
        assert_eq!(
            error(status, retryable).await,
            ReadError::Permanent { status, code }
        );
    }
    for status in [401, 403] {
        assert_eq!(
            error(status, Some(false)).await,
            ReadError::KeyRefused { status }
        );
    }
}

#[tokio::test]
async fn a_payment_and_its_order_are_found() {
    let (url, _) = serve(|path, _| part(path)).await;
    let Change::Payment(payment) = change(&url, Reference::Payment(id("pi_1"))).await else {
        panic!()
    };
    assert_eq!(payment.facts.unwrap().status, PaymentStatus::Received);
    for (payment, order) in [("pi_1", Some(id("ord_1"))), ("pi_2", None)] {
        let answer = fetch(&url, Reference::SaleOfPayment(id(payment))).await;
        assert_eq!(answer, Ok(Answer::SaleOfPayment(order)), "{payment}");
    }
}

fn refund(id: &str) -> Value {
    json!({"refund_id": id, "status": "succeeded", "amount_money": usd(100), "order_id": "ord_1"})
}

#[tokio::test]
async fn a_refund_that_names_no_payment_is_of_the_only_one_of_its_order() {
    let of = |payments: &'static [&'static str]| async move {
        let (url, _) = serve(move |path, _| match path {
            "/v1/refunds/ref_1" => ok(&refund("ref_1")),
            ORDER => {
                let mut order = order();
                order["payment_intent_ids"] = json!(payments);
                ok(&order)
            }
            _ => not_found(),
        })
        .await;
        fetch(&url, Reference::Refund(id("ref_1"))).await
    };
    assert!(of(&["pi_1"]).await.is_ok());
    let why = "`payment_intent_id` is missing".to_owned();
    let expected = Err(ReadError::NotUnderstood(why));
    for payments in [&[][..], &["pi_1", "pi_2"]] {
        assert_eq!(of(payments).await, expected);
    }
}

#[tokio::test]
async fn one_refund_that_is_not_understood_hides_no_other() {
    let (url, _) = serve(|path, _| match path {
        ORDER => ok(&order()),
        "/v1/refunds/ref_1" => ok(&json!({"refund_id": "ref_1"})),
        "/v1/refunds/ref_2" => ok(&refund("ref_2")),
        _ => not_found(),
    })
    .await;
    let reference = Reference::RefundsOfSale(id("ord_1"));
    let Answer::Refunds(refunds) = fetch(&url, reference).await.unwrap() else {
        panic!()
    };
    assert_eq!(refunds.understood.len(), 1);
    let unclear = refunds.unclear.unwrap().refund_id.unwrap();
    assert_eq!(unclear.as_str(), "ref_1");
}

#[tokio::test]
async fn an_invoice_is_read_with_all_pages_of_its_attempts() {
    const ATTEMPTS: &str = "/v1/invoices/inv_1/payment-attempts?page_size=100";
    let attempt = |id: &str| json!([{"invoice_payment_attempt_id": id, "status": "failed"}]);
    let (url, _) = serve(move |path, _| match path {
        "/v1/invoices/inv_1" => ok(&json!({
            "invoice_id": "inv_1", "version": 2, "status": "open", "outstanding_money": usd(100),
        })),
        ATTEMPTS => page(&attempt("invpa_1"), Some("next")),
        path if path == format!("{ATTEMPTS}&page_token=next") => page(&attempt("invpa_2"), None),
        _ => not_found(),
    })
    .await;
    let ResourceChange::Invoice { facts, .. } = resource(&url, "invoice#inv_1").await else {
        panic!()
    };
    assert_eq!((facts.version, facts.attempts.len()), (2, 2));
}

#[tokio::test]
async fn capabilities_belong_to_the_merchant_of_the_key_alone() {
    let (url, _) = serve(|path, _| match path {
        "/v1/merchants/mer_1" => ok(&json!({"merchant_id": "mer_1"})),
        "/v1/merchants/mer_2" => ok(&json!({"merchant_id": "mer_2"})),
        "/v1/capabilities" => page(
            &json!([{"capability": "receive_payouts", "status": "ready"}]),
            None,
        ),
        _ => not_found(),
    })
    .await;
    for (merchant, length) in [("mer_1", 1), ("mer_2", 0)] {
        let key = format!("merchant#{merchant}");
        let ResourceChange::Merchant { facts, .. } = resource(&url, &key).await else {
            panic!()
        };
        assert_eq!(facts.capabilities.len(), length, "{merchant}");
    }
}

#[tokio::test]
async fn every_other_thing_has_its_address() {
    let of = |key: &str| Reference::Resource(key.parse().unwrap());
    let subscription = Reference::Subscription(id("x_1"));
    let fulfillment = Reference::Fulfillment(id("x_1"));
    for (reference, path) in [
        (of("transaction#x_1"), "/v1/balance-transactions/x_1"),
        (of("payment_method#x_1"), "/v1/payment-methods/x_1"),
        (of("checkout_session#x_1"), "/v1/checkout-sessions/x_1"),
        (subscription, "/v1/subscriptions/x_1"),
        (fulfillment, "/v1/fulfillments/x_1?expand=packages"),
    ] {
        let (url, heads) = serve(|_, _| not_found()).await;
        assert!(fetch(&url, reference).await.is_err());
        assert_eq!(paths(&heads), [path]);
    }
    let (url, heads) = serve(|_, _| not_found()).await;
    let odd = of("invoice#../orders?a=%2e#");
    assert!(fetch(&url, odd).await.is_err());
    for path in paths(&heads) {
        assert!(
            path.starts_with("/v1/invoices/..%2Forders%3Fa=%252e%23"),
            "{path}"
        );
    }
}

async fn list(url: &str, list: &'static str, after: Option<&str>) -> Result<Page, ReadError> {
    let ask = Ask {
        list,
        since: "2026-01-01T00:00:00Z".parse().unwrap(),
        now: asked_at(),
        after,
    };
    Api::with_limits(url, LIMITS)
        .unwrap()
        .list(&key(), &ask)
        .await
}

#[tokio::test]
async fn a_list_is_read_by_the_tokens_of_its_pages() {
    let (url, heads) = serve(|path, _| {
        let mut paid = order();
        paid["created_at"] = json!("2026-01-01T12:00:00Z");
        let next = (!path.contains("page_token")).then_some("t1");
        page(
            &json!([paid, {"order_id": "ord_2", "payment_status": 7}]),
            next,
        )
    })
    .await;
    let first = list(&url, "orders", None).await.unwrap();
    assert_eq!((first.length, first.next.as_deref()), (2, Some("t1")));
    assert!(matches!(
        first.listed.as_slice(),
        [Listed::Found(_), Listed::Unreadable { .. }]
    ));
    let last = list(&url, "orders", Some("t1")).await.unwrap();
    assert_eq!(last.next, None);
    let expected = [
        "/v1/orders?page_size=100",
        "/v1/orders?page_size=100&page_token=t1",
    ];
    assert_eq!(paths(&heads), expected);
}

#[tokio::test]
async fn orders_older_than_the_period_end_the_list() {
    let (url, _) = serve(|_, _| {
        let at = |time: &str| json!({"order_id": "ord_1", "created_at": time});
        page(
            &json!([at("2025-12-30T00:00:00Z"), at("2025-12-29T00:00:00Z")]),
            Some("t1"),
        )
    })
    .await;
    assert_eq!(list(&url, "orders", None).await.unwrap().next, None);
}

#[tokio::test]
async fn failed_deliveries_are_read_with_their_payload() {
    const LIST: &str = "/v1/webhook-events?delivery_status=failed\
                        &created_after=2026-01-01T00%3A00%3A00Z&page_size=100";
    let event = |id: &str| {
        json!({
            "webhook_event_id": id, "event_type": "order.paid", "created_at": "2026-01-01T12:00:00Z",
        })
    };
    let (url, _) = serve(move |path, _| match path {
        LIST => page(&json!([event("whev_1"), event("whev_2")]), None),
        "/v1/webhook-events/whev_1" => {
            let mut event = event("whev_1");
            event["payload"] = json!({"order_id": "ord_1"});
            ok(&event)
        }
        _ => not_found(),
    })
    .await;
    let page = list(&url, "failed deliveries", None).await.unwrap();
    let [Listed::Found(first), Listed::Unreadable { id, .. }] = page.listed.as_slice() else {
        panic!("{page:?}")
    };
    assert!(matches!(
        first.change,
        Change::Sale {
            completed: true,
            ..
        }
    ));
    // Its payload has expired, and nothing names its order.
    assert_eq!(id.as_deref(), Some("whev_2"));
}
