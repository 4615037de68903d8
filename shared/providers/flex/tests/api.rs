//! The client against a server that answers like Flex, and against a faulty one.
#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "a test fails by panicking, its helpers too"
)]

use domain::{
    access::subscription,
    delivery::{event::Change, secrets::ApiKey},
    sale::{payment, statement::Sale},
    upkeep::reconcile::{Ask, Listed, Page},
    values::{
        ids::{OrderId, PaymentIntentId, RefundId, SubscriptionId},
        outcome::{ReadError, RetryableError},
    },
};
use flex::{Api, BadSetUp, Limits};
use rest::testing::{Heads, Reply, ok, path_of, serve, status};
use serde_json::{Value, json};
use std::{
    sync::LazyLock,
    time::{Duration, Instant},
};
use tokio::net::TcpListener;

const SESSION: &str = include_str!("../../../../events/flex/api/session.json");
const LINES: &str = include_str!("../../../../events/flex/api/line_items.json");
const CUSTOMER: &str = include_str!("../../../../events/flex/api/customer.json");

const SESSION_PATH: &str =
    "/v1/checkout/sessions/fcs_01K76N0000000000000000000B?expand_customer=true";
const LINES_PATH: &str = "/v1/checkout/sessions/fcs_01K76N0000000000000000000B/line_items";
const PAYMENTS_PATH: &str =
    "/v1/payment_intents?checkout_session=fcs_01K76N0000000000000000000B&limit=100";
const CUSTOMER_PATH: &str = "/v1/customers/fcus_01K76N0000000000000000000C";

const FIRST: &str = "fpi_01K76N0000000000000000000D";
const SECOND: &str = "fpi_01K76N0000000000000000000Z";

/// Flex's correct answers.
fn good(path: &str) -> Reply {
    match path {
        SESSION_PATH => ok(&expanded()),
        LINES_PATH => ok(LINES),
        PAYMENTS_PATH => ok(&payments()),
        CUSTOMER_PATH => ok(CUSTOMER),
        _ => status(404),
    }
}

fn resource(file: &str, name: &str) -> Value {
    serde_json::from_str::<Value>(file).unwrap()[name].take()
}

/// The sample session with its customer expanded, as requested.
fn expanded() -> String {
    let mut session = resource(SESSION, "checkout_session");
    session["customer"] = resource(CUSTOMER, "customer");
    json!({"checkout_session": session}).to_string()
}

/// The payments of the sample session, and a canceled one.
fn payments() -> String {
    json!({"payment_intents": [
        {"payment_intent_id": FIRST, "status": "succeeded", "amount": 5169, "amount_received": 5169,
         "payment_card_type": "primary", "test_mode": true},
        {"payment_intent_id": SECOND, "status": "succeeded", "amount": 1825, "amount_received": 1825,
         "payment_card_type": "secondary", "test_mode": true},
        {"payment_intent_id": "fpi_3", "status": "canceled", "amount": 1825},
    ]})
    .to_string()
}

fn key() -> ApiKey {
    ApiKey::new("fsk_test_0123456789").unwrap()
}

fn order_id() -> OrderId {
    OrderId::new("fcs_01K76N0000000000000000000B").unwrap()
}

/// Short enough for a test that waits, long enough for a busy machine.
const LIMITS: Limits = Limits {
    connect: Duration::from_secs(1),
    request: Duration::from_millis(500),
    bytes: 64 * 1024,
};

fn api(url: &str) -> Api {
    Api::with_limits(url, LIMITS).unwrap()
}

async fn read(url: &str) -> Result<Sale, ReadError> {
    api(url).sale(&key(), &order_id()).await
}

/// A server that answers like Flex, but for this path.
async fn serve_but(
    path: &'static str,
    reply: impl Fn() -> Reply + Send + 'static,
) -> (String, Heads) {
    serve(move |asked, _| if asked == path { reply() } else { good(asked) }).await
}

/// A server with the customer apart from this session, and this answer about the customer.
async fn serve_apart(
    session: String,
    customer: impl Fn() -> Reply + Send + 'static,
) -> (String, Heads) {
    serve(move |path, _| match path {
        SESSION_PATH => ok(&session),
        CUSTOMER_PATH => customer(),
        _ => good(path),
    })
    .await
}

fn not_understood(why: &str) -> ReadError {
    ReadError::NotUnderstood(why.to_owned())
}

fn permanent(status: u16) -> ReadError {
    ReadError::Permanent { status, code: None }
}

fn requests_for(heads: &Heads, path: &str) -> usize {
    heads
        .lock()
        .unwrap()
        .iter()
        .filter(|head| path_of(head) == path)
        .count()
}

fn is_away(error: &ReadError) -> bool {
    matches!(
        error,
        ReadError::Transient(RetryableError::Away {
            service: "Flex",
            ..
        })
    )
}

#[tokio::test]
async fn a_checkout_is_read_with_its_lines_payments_and_customer() {
    let (url, heads) = serve(|path, _| good(path)).await;
    let sale = read(&url).await.unwrap();
    assert_eq!(sale.order_id, order_id());
    assert_eq!(sale.customer.name.as_deref(), Some("Pat Doe"));
    assert_eq!(sale.lines.len(), 2);
    let payments: Vec<_> = sale
        .payment_intents
        .iter()
        .map(|id| (id, &sale.payments[id]))
        .collect();
    let facts: Vec<_> = payments
        .iter()
        .map(|(id, facts)| (id.as_str(), &facts.status, facts.received))
        .collect();
    let succeeded = &payment::PaymentStatus::Received;
    assert_eq!(
        facts,
        [
            (FIRST, succeeded, Some(5169)),
            (SECOND, succeeded, Some(1825)),
            ("fpi_3", &payment::PaymentStatus::Canceled, None)
        ]
    );
    let heads = heads.lock().unwrap();
    assert_eq!(heads.len(), 3);
    for head in heads.iter().map(|head| head.to_ascii_lowercase()) {
        assert!(
            head.contains("authorization: bearer fsk_test_0123456789\r\n"),
            "{head}"
        );
        assert!(head.contains("user-agent: flex-webhooks/0."), "{head}");
        assert!(head.contains("accept: application/json\r\n"), "{head}");
    }
}

#[tokio::test]
async fn a_base_url_may_have_a_path() {
    let (url, heads) = serve(|_, _| status(404)).await;
    for base in [format!("{url}/flex"), format!("{url}/flex/")] {
        assert!(read(&base).await.is_err());
    }
    for head in heads.lock().unwrap().iter() {
        let path = path_of(head);
        assert!(
            path.starts_with("/flex/v1/checkout/sessions/fcs_")
                || path.starts_with("/flex/v1/payment_intents?")
        );
    }
}

#[tokio::test]
async fn an_id_cannot_reach_another_resource() {
    let (url, heads) = serve(|_, _| status(404)).await;
    let order_id = OrderId::new("../../refunds?a=%2e#").unwrap();
    assert!(api(&url).sale(&key(), &order_id).await.is_err());
    let wanted = "/v1/checkout/sessions/..%2F..%2Frefunds%3Fa=%252e%23";
    let payments =
        "/v1/payment_intents?checkout_session=..%2F..%2Frefunds%3Fa%3D%252e%23&limit=100";
    for head in heads.lock().unwrap().iter() {
        assert!(
            path_of(head).starts_with(wanted) || path_of(head) == payments,
            "{head}"
        );
    }
}

#[tokio::test]
async fn a_customer_that_was_not_expanded_is_read_by_its_id() {
    let (url, heads) = serve_apart(SESSION.to_owned(), || ok(CUSTOMER)).await;
    let name = read(&url).await.unwrap().customer.name;
    assert_eq!(name.as_deref(), Some("Pat Doe"));
    assert_eq!(requests_for(&heads, CUSTOMER_PATH), 1);
}

#[tokio::test]
async fn a_customer_that_flex_does_not_tell_does_not_stop_the_order() {
    for status in [404, 422, 200] {
        let lost = move || Reply::Answer(status, "", "nonsense".to_owned());
        let (url, _) = serve_apart(SESSION.to_owned(), lost).await;
        let customer = read(&url).await.unwrap().customer;
        let found = (customer.name.as_deref(), customer.email.as_deref());
        assert_eq!(found, (None, Some("pat@example.com")), "{status}");
    }
}

#[tokio::test]
async fn payments_that_flex_does_not_tell_do_not_stop_the_order() {
    for (status, body) in [
        (404, ""),
        (405, ""),
        (422, r#"{"detail":[{"type":"value_error"}]}"#),
        (200, "<html>"),
        (200, "{}"),
        (200, r#"{"payment_intents":[7]}"#),
        (
            200,
            r#"{"payment_intents":[{"payment_intent_id":"fpi_9","status":"canceled"}]}"#,
        ),
    ] {
        let odd = move || Reply::Answer(status, "", body.to_owned());
        let (url, _) = serve_but(PAYMENTS_PATH, odd).await;
        let sale = read(&url).await.unwrap();
        let named: Vec<_> = sale
            .payment_intents
            .iter()
            .map(PaymentIntentId::as_str)
            .collect();
        assert_eq!(
            (named.as_slice(), sale.payments.len()),
            (&[FIRST, SECOND][..], 0),
            "{status} {body}"
        );
    }
}

#[tokio::test]
async fn payments_that_cannot_be_read_now_are_waited_for() {
    for code in [408, 429, 500, 503] {
        let (url, _) = serve_but(PAYMENTS_PATH, move || status(code)).await;
        assert!(is_away(&read(&url).await.unwrap_err()), "{code}");
    }
    let (url, _) = serve_but(PAYMENTS_PATH, || status(401)).await;
    let refused = ReadError::KeyRefused { status: 401 };
    assert_eq!(read(&url).await.unwrap_err(), refused);
}

/// The key may have been replaced: the caller must see the refusal to read a newer key.
#[tokio::test]
async fn a_key_that_is_refused_for_the_customer_is_refused() {
    for code in [401, 403] {
        let (url, _) = serve_apart(SESSION.to_owned(), move || status(code)).await;
        let refused = ReadError::KeyRefused { status: code };
        assert_eq!(read(&url).await.unwrap_err(), refused);
    }
}

#[tokio::test]
async fn without_an_address_of_its_own_an_order_waits_for_an_answer_and_not_for_a_lost_customer() {
    let session = SESSION.replace("pat@example.com", "");
    for (status, body) in [(404, ""), (200, "<html>gateway</html>")] {
        let answer = move || Reply::Answer(status, "", body.to_owned());
        let (url, _) = serve_apart(session.clone(), answer).await;
        match read(&url).await {
            Ok(sale) => assert_eq!((status, sale.customer.email), (404, None)),
            Err(error) => assert!(
                matches!(error, ReadError::NotUnderstood(_)) && status == 200,
                "{error:?}"
            ),
        }
    }
}

#[tokio::test]
async fn a_customer_that_cannot_be_read_now_is_waited_for() {
    let (url, _) = serve_apart(SESSION.to_owned(), || status(503)).await;
    assert!(is_away(&read(&url).await.unwrap_err()));
}

#[tokio::test]
async fn a_dropped_connection_is_tried_once_more_and_only_once() {
    let (url, heads) = serve(|path, before| {
        if before == 0 {
            Reply::HangUp
        } else {
            good(path)
        }
    })
    .await;
    assert!(read(&url).await.is_ok());
    for path in [SESSION_PATH, LINES_PATH] {
        assert_eq!(requests_for(&heads, path), 2, "{path}");
    }

    let (url, heads) = serve_but(LINES_PATH, || Reply::HangUp).await;
    assert!(is_away(&read(&url).await.unwrap_err()));
    assert_eq!(requests_for(&heads, LINES_PATH), 2);
}

#[tokio::test]
async fn an_answer_is_never_tried_again_in_place() {
    for code in [400, 401, 404, 408, 429, 500, 502, 503] {
        let (url, heads) = serve_but(LINES_PATH, move || status(code)).await;
        assert!(read(&url).await.is_err());
        assert_eq!(requests_for(&heads, LINES_PATH), 1, "{code}");
    }
}

#[tokio::test]
async fn a_port_where_nobody_listens_is_a_setback() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    drop(listener);
    let error = read(&url).await.unwrap_err();
    assert!(is_away(&error), "{error}");
    assert!(!error.to_string().contains("fcs_"), "{error}");
}

#[tokio::test]
async fn silence_ends_in_time() {
    let (url, heads) = serve(|_, _| Reply::Silence).await;
    let started = Instant::now();
    let error = read(&url).await.unwrap_err();
    assert_eq!(error.to_string(), "Flex is away: no answer in time");
    assert!(started.elapsed() < Duration::from_secs(5));
    assert_eq!(requests_for(&heads, SESSION_PATH), 1);
}

#[tokio::test]
async fn an_answer_that_breaks_off_is_a_setback() {
    let (url, _) = serve_but(LINES_PATH, || Reply::BreakOff).await;
    let error = read(&url).await.unwrap_err();
    assert!(is_away(&error), "{error}");
}

#[tokio::test]
async fn an_answer_without_end_is_dropped() {
    let (url, _) = serve_but(LINES_PATH, || Reply::Endless).await;
    let why = not_understood("the answer is longer than 65536 bytes");
    assert_eq!(read(&url).await.unwrap_err(), why);
}

#[tokio::test]
async fn a_redirect_is_not_followed() {
    let away = || Reply::Answer(302, "location: /elsewhere\r\n", String::new());
    let (url, heads) = serve_but(SESSION_PATH, away).await;
    let error = read(&url).await.unwrap_err();
    assert_eq!(
        error.to_string(),
        "Flex refuses our set-up: answered 302 to a read"
    );
    assert_eq!(requests_for(&heads, "/elsewhere"), 0);
}

#[tokio::test]
async fn a_page_for_people_is_not_an_answer() {
    let page = "<html>pat@example.com</html>".to_owned();
    let answer = page.clone();
    let html = "content-type: text/html\r\n";
    let (url, _) = serve(move |_, _| Reply::Answer(502, html, answer.clone())).await;
    let error = read(&url).await.unwrap_err();
    assert_eq!(error.to_string(), "Flex is away: answered 502");

    let (url, _) = serve_but(LINES_PATH, move || ok(&page)).await;
    let why = not_understood("the answer has no `line_items`");
    assert_eq!(read(&url).await.unwrap_err(), why);
}

#[tokio::test]
async fn a_wait_that_flex_asks_for_is_passed_on() {
    let (url, _) = serve(|_, _| Reply::Answer(429, "retry-after: 30\r\n", String::new())).await;
    let ReadError::Transient(error) = read(&url).await.unwrap_err() else {
        panic!("429 passes")
    };
    assert_eq!(error.retry_after(), Some(Duration::from_secs(30)));
}

#[tokio::test]
async fn a_refusal_names_its_code() {
    let body = r#"{"error":{"code":"checkout_session_not_found","message":"no"}}"#;
    let (url, _) = serve(move |path, _| match path {
        SESSION_PATH => Reply::Answer(404, "", body.to_owned()),
        _ => Reply::Silence,
    })
    .await;
    let code = Some("checkout_session_not_found".to_owned());
    assert_eq!(
        read(&url).await.unwrap_err(),
        ReadError::Permanent { status: 404, code }
    );
    let (url, _) = serve(|_, _| status(401)).await;
    assert_eq!(
        read(&url).await.unwrap_err(),
        ReadError::KeyRefused { status: 401 }
    );
}

#[tokio::test]
async fn another_session_than_the_one_asked_for_is_not_taken() {
    let other = expanded().replace(
        r#""checkout_session_id":"fcs_01K7"#,
        r#""checkout_session_id":"fcs_02K7"#,
    );
    let (url, _) = serve_but(SESSION_PATH, move || ok(&other)).await;
    let why = not_understood("the answer is about another session");
    assert_eq!(read(&url).await.unwrap_err(), why);
}

#[tokio::test]
async fn a_key_that_fits_into_no_header_is_a_fault_of_the_set_up() {
    let (url, heads) = serve(|path, _| good(path)).await;
    let key = ApiKey::new("fsk_test_\n0").unwrap();
    let error = api(&url).sale(&key, &order_id()).await.unwrap_err();
    assert!(
        matches!(error, ReadError::Transient(RetryableError::SetUp { .. })),
        "{error}"
    );
    assert!(heads.lock().unwrap().is_empty());
}

#[test]
fn a_base_url_is_http() {
    for bad in [
        "",
        "api.withflex.com",
        "ftp://api.withflex.com",
        "mailto:a@example.com",
    ] {
        assert!(
            matches!(Api::new(bad), Err(BadSetUp::BaseUrl(_))),
            "{bad:?}"
        );
    }
    assert!(Api::new("https://api.withflex.com").is_ok());
}

/// A server that answers one path, and 404 for all others.
async fn serve_one(path: &'static str, reply: impl Fn() -> Reply + Send + 'static) -> (Api, Heads) {
    let (url, heads) =
        serve(move |asked, _| if asked == path { reply() } else { status(404) }).await;
    (api(&url), heads)
}

fn payment(id: &str) -> PaymentIntentId {
    PaymentIntentId::new(id).unwrap()
}

#[tokio::test]
async fn the_checkout_of_a_payment_is_found() {
    const PATH: &str =
        "/v1/checkout/sessions?payment_intent=fpi_01K76N0000000000000000000Z&limit=100";
    let (api, _) = serve_one(PATH, || {
        ok(&json!({"checkout_sessions": [resource(SESSION, "checkout_session")]}).to_string())
    })
    .await;
    assert_eq!(
        api.sale_of(&key(), &payment(SECOND)).await,
        Ok(Some(order_id()))
    );
    // The server answers 404 for it, as for another account's payment.
    assert_eq!(api.sale_of(&key(), &payment("fpi_9")).await, Ok(None));

    let (api, _) = serve_one(PATH, || ok(r#"{"checkout_sessions":[]}"#)).await;
    assert_eq!(api.sale_of(&key(), &payment(SECOND)).await, Ok(None));
}

#[tokio::test]
async fn a_checkout_that_cannot_be_looked_for_is_an_error() {
    const PATH: &str = "/v1/checkout/sessions?payment_intent=fpi_1&limit=100";
    let (api, _) = serve_one(PATH, || status(422)).await;
    let read = api.sale_of(&key(), &payment("fpi_1")).await;
    assert_eq!(read, Err(permanent(422)));
    let (api, _) = serve_one(PATH, || status(503)).await;
    assert!(is_away(
        &api.sale_of(&key(), &payment("fpi_1")).await.unwrap_err()
    ));
    let (api, _) = serve_one(PATH, || ok("{}")).await;
    let why = not_understood("the answer has no `checkout_sessions`");
    assert_eq!(api.sale_of(&key(), &payment("fpi_1")).await, Err(why));
}

/// A page of refunds with these numbers.
fn refunds(numbers: std::ops::Range<usize>) -> String {
    let refund = |n| {
        json!({
            "refund_id": format!("fre_{n}"), "payment_intent_id": "fpi_1", "amount": n, "status": "succeeded",
            "created_at": "2026-04-19T12:40:00Z", "test_mode": true,
        })
    };
    json!({"refunds": numbers.map(refund).collect::<Vec<_>>()}).to_string()
}

fn of_sale() -> flex::RefundsOf<'static> {
    static ORDER: LazyLock<OrderId> = LazyLock::new(order_id);
    flex::RefundsOf::Sale(&ORDER)
}

#[tokio::test]
async fn all_refunds_are_read_page_by_page() {
    const ALL: &str = "/v1/refunds?checkout_session=fcs_01K76N0000000000000000000B&limit=100";
    let (url, heads) = serve(|path, _| match path.strip_prefix(ALL) {
        Some("") => ok(&refunds(0..100)),
        Some("&starting_after=fre_99") => ok(&refunds(100..200)),
        Some("&starting_after=fre_199") => ok(&refunds(200..203)),
        _ => status(404),
    })
    .await;
    let api = api(&url);
    let found = api.refunds(&key(), of_sale()).await.unwrap();
    let understood = found.understood.iter();
    let amounts: Vec<_> = understood.map(|refund| refund.facts.amount).collect();
    assert_eq!(amounts, (0..203).collect::<Vec<_>>());
    assert_eq!(heads.lock().unwrap().len(), 3);
}

#[tokio::test]
async fn a_refund_that_is_not_understood_hides_no_other() {
    let broken = [
        (json!({"refund_id": "fre_x", "amount": 1}), Some("fre_x")),
        (json!({"refund_id": 7}), None),
        (json!("fre_x"), None),
        (Value::Null, None),
    ];
    for (broken, id) in broken {
        let (url, _) = serve(move |path, _| {
            if path.contains("starting_after") {
                return ok(&refunds(100..102));
            }
            // The broken one is the last of a full page.
            let mut page: Value = serde_json::from_str(&refunds(1..100)).unwrap();
            page["refunds"].as_array_mut().unwrap().push(broken.clone());
            ok(&page.to_string())
        })
        .await;
        let api = api(&url);
        let found = api.refunds(&key(), of_sale()).await.unwrap();
        let unclear_id = found.unclear.unwrap().refund_id;
        assert_eq!(unclear_id.as_ref().map(RefundId::as_str), id);
        assert_eq!(found.understood.len(), 101);
    }
}

#[tokio::test]
async fn a_short_page_is_the_last_one() {
    for (page, expected) in [(0..0, 0), (0..1, 1), (0..99, 99)] {
        let (url, heads) = serve(move |_, _| ok(&refunds(page.clone()))).await;
        let api = api(&url);
        let found = api.refunds(&key(), of_sale()).await.unwrap();
        assert_eq!((found.understood.len(), found.unclear), (expected, None));
        assert_eq!(heads.lock().unwrap().len(), 1);
    }
}

#[tokio::test]
async fn the_same_page_again_is_the_end() {
    let (url, heads) = serve(|_, _| ok(&refunds(0..100))).await;
    let api = api(&url);
    let found = api.refunds(&key(), of_sale()).await.unwrap();
    assert_eq!(found.understood.len(), 100);
    assert_eq!(heads.lock().unwrap().len(), 2);
}

#[tokio::test]
async fn refunds_without_end_are_not_read_for_ever() {
    let (url, heads) = serve(|path, _| {
        let after = path
            .rsplit_once("fre_")
            .map_or(0, |(_, n)| n.parse::<usize>().unwrap() + 1);
        ok(&refunds(after..after + 100))
    })
    .await;
    let limits = Limits {
        request: Duration::from_secs(5),
        ..LIMITS
    };
    let api = Api::with_limits(&url, limits).unwrap();
    let why = not_understood("the list of refunds does not end");
    assert_eq!(api.refunds(&key(), of_sale()).await, Err(why));
    assert_eq!(heads.lock().unwrap().len(), 10);
}

#[tokio::test]
async fn all_pages_together_have_the_time_of_one_answer() {
    let (url, _) = serve(|path, _| {
        if path.contains("starting_after") {
            Reply::Silence
        } else {
            ok(&refunds(0..100))
        }
    })
    .await;
    let api = api(&url);
    let started = Instant::now();
    let error = api.refunds(&key(), of_sale()).await.unwrap_err();
    assert_eq!(error.to_string(), "Flex is away: no answer in time");
    assert!(started.elapsed() < Duration::from_secs(5));
}

#[tokio::test]
async fn refunds_of_a_payment_are_that_payments_alone() {
    const PATH: &str = "/v1/refunds?payment_intent=fpi_1&limit=100";
    let (api, _) = serve_one(PATH, || {
        let other =
            r#"{"refund_id":"fre_9","payment_intent_id":"fpi_2","amount":1,"status":"pending"},"#;
        ok(&refunds(0..2).replacen('[', &format!("[{other}"), 1))
    })
    .await;
    let payment = payment("fpi_1");
    let of = flex::RefundsOf::Payment(&payment);
    let found = api.refunds(&key(), of).await.unwrap();
    let ids: Vec<_> = found
        .understood
        .iter()
        .map(|refund| refund.refund_id.as_str())
        .collect();
    assert_eq!(ids, ["fre_0", "fre_1"]);
}

#[tokio::test]
async fn refunds_that_are_not_told_are_an_error_and_none_is_guessed_at() {
    const PATH: &str = "/v1/refunds?checkout_session=fcs_01K76N0000000000000000000B&limit=100";
    let (api, _) = serve_one(PATH, || status(404)).await;
    let read = api.refunds(&key(), of_sale()).await;
    assert_eq!(read, Err(permanent(404)));
    let (api, _) = serve_one(PATH, || {
        ok(&refunds(0..2).replace(r#""amount":1"#, r#""amount":"0.01""#))
    })
    .await;
    let found = api.refunds(&key(), of_sale()).await.unwrap();
    let why = found.unclear.unwrap().why.to_string();
    assert_eq!(why, "`refund.amount` is a text that is not understood");
    assert_eq!(found.understood.len(), 1);
}

#[tokio::test]
async fn a_subscription_is_read_wrapped_or_bare() {
    let bare = json!({"subscription_id": "fsub_1", "customer": "fcus_1", "status": "active", "test_mode": true});
    for body in [bare.clone(), json!({"subscription": bare})] {
        let (api, _) = serve_one("/v1/subscriptions/fsub_1", move || ok(&body.to_string())).await;
        let read = async |id| {
            api.subscription(&key(), &SubscriptionId::new(id).unwrap())
                .await
        };
        let change = read("fsub_1").await.unwrap();
        assert_eq!(change.snapshot.source, subscription::Source::Read);
        assert_eq!(
            change.snapshot.status,
            subscription::SubscriptionStatus::Active
        );
        assert_eq!(change.customer_id.as_str(), "fcus_1");
        assert_eq!(read("fsub_2").await, Err(permanent(404)));
    }
}

#[tokio::test]
async fn what_is_not_the_subscription_asked_for_is_not_taken() {
    for (body, why) in [
        (
            json!({"subscription_id": "fsub_2", "customer": "fcus_1", "status": "active"}),
            "the answer is about another subscription",
        ),
        (
            json!({"subscription": null}),
            "the answer has no `subscription`",
        ),
        (
            json!({"message": "hello"}),
            "`subscription.subscription_id` is missing",
        ),
        (json!("hello"), "the answer has no `subscription`"),
        (
            json!({"subscription_id": "fsub_1", "status": "active"}),
            "`subscription.customer` is missing",
        ),
    ] {
        let (api, _) = serve_one("/v1/subscriptions/fsub_1", move || ok(&body.to_string())).await;
        let id = SubscriptionId::new("fsub_1").unwrap();
        let error = api.subscription(&key(), &id).await.unwrap_err();
        assert_eq!(error, not_understood(why));
    }
}

/// Reads a page of a list, with the usual limits.
async fn list(url: &str, list: &'static str, after: Option<&str>) -> Result<Page, ReadError> {
    let time = |text: &str| text.parse().unwrap();
    let ask = Ask {
        list,
        since: time("2026-04-17T12:00:00Z"),
        now: time("2026-04-20T12:00:00Z"),
        after,
    };
    Api::new(url).unwrap().list(&key(), &ask).await
}

#[tokio::test]
async fn a_list_is_read_page_by_page_until_one_is_not_full() {
    let (url, heads) = serve(|path, _| match path {
        "/v1/refunds?limit=100" => ok(&refunds(0..100)),
        "/v1/refunds?limit=100&starting_after=fre_99" => ok(&refunds(100..107)),
        _ => status(404),
    })
    .await;
    let first = list(&url, "refunds", None).await.unwrap();
    assert_eq!((first.length, first.next.as_deref()), (100, Some("fre_99")));
    let second = list(&url, "refunds", first.next.as_deref()).await.unwrap();
    assert_eq!(
        (second.length, second.listed.len(), second.next),
        (7, 7, None)
    );
    assert_eq!(heads.lock().unwrap().len(), 2);
}

#[tokio::test]
async fn a_last_thing_without_an_id_does_not_end_the_list() {
    let page_of = |ids: Vec<serde_json::Value>| {
        let refunds: Vec<_> = ids.iter().map(|id| json!({ "refund_id": id })).collect();
        ok(&json!({ "refunds": refunds }).to_string())
    };
    let (url, _) = serve(move |path, _| {
        let named = (0..98).map(|n| json!(format!("fre_{n}")));
        match path {
            "/v1/refunds?limit=100" => page_of(named.chain([json!(7), json!(null)]).collect()),
            _ => page_of(vec![json!(""); 100]),
        }
    })
    .await;
    let first = list(&url, "refunds", None).await.unwrap();
    assert_eq!((first.length, first.next.as_deref()), (100, Some("fre_97")));
    // A full page without ids gives no cursor, but it is not the end of the list either.
    let error = list(&url, "refunds", Some("fre_97")).await.unwrap_err();
    assert_eq!(error, not_understood("`refund_id` is missing"));
}

#[tokio::test]
async fn a_page_that_comes_again_is_the_last() {
    let (url, _) = serve(|_, _| ok(&refunds(0..100))).await;
    let page = list(&url, "refunds", Some("fre_99")).await.unwrap();
    assert_eq!(page.next, None);
}

#[tokio::test]
async fn every_list_is_asked_for_by_its_own_address() {
    let (url, heads) = serve(|path, _| {
        let name = path
            .split(['?', '/'])
            .find(|part| part.ends_with('s'))
            .unwrap();
        let name = if path.contains("sessions") {
            "checkout_sessions"
        } else {
            name
        };
        ok(&json!({ name: [] }).to_string())
    })
    .await;
    for what in [
        "checkouts",
        "invoices",
        "refunds",
        "subscriptions",
        "ended subscriptions",
    ] {
        assert_eq!(
            list(&url, what, Some("f_1")).await.unwrap(),
            Page::default(),
            "{what}"
        );
    }
    let asked: Vec<String> = heads
        .lock()
        .unwrap()
        .iter()
        .map(|head| path_of(head).to_owned())
        .collect();
    let expected = [
        "/v1/checkout/sessions?interval=4&limit=100&starting_after=f_1",
        "/v1/invoices?limit=100&starting_after=f_1",
        "/v1/refunds?limit=100&starting_after=f_1",
        "/v1/subscriptions?limit=100&starting_after=f_1",
        "/v1/subscriptions?status=canceled&limit=100&starting_after=f_1",
    ];
    assert_eq!(asked, expected);
}

#[tokio::test]
async fn one_bad_thing_of_a_list_leaves_the_others_readable() {
    let (url, _) = serve(|_, _| {
        ok(r#"{"refunds":[{"refund_id":"fre_1"},7,{"refund_id":"fre_2","payment_intent_id":"fpi_1","amount":1,"status":"pending","created_at":"2026-04-19T12:40:00Z"}]}"#)
    })
    .await;
    let page = list(&url, "refunds", None).await.unwrap();
    let readable = page
        .listed
        .iter()
        .filter(|listed| matches!(listed, Listed::Found(_)))
        .count();
    assert_eq!((page.length, page.listed.len(), readable), (3, 3, 1));
}

#[tokio::test]
async fn an_invoice_whose_subscription_the_list_leaves_out_is_looked_for() {
    let invoice = |id: &str| {
        json!({
            "invoice_id": id, "status": "paid", "amount_paid": 4999, "test_mode": true,
            "created_at": "2026-04-19T12:40:00Z",
        })
    };
    let (url, heads) = serve(move |path, _| {
        let mut singly = invoice("fin_2");
        singly["subscription"] = json!({"subscription_id": "fsub_2"});
        let mut of_none = invoice("fin_4");
        of_none["subscription"] = json!(null);
        let all = [
            invoice("fin_1"),
            invoice("fin_2"),
            invoice("fin_3"),
            of_none,
        ];
        match path {
            "/v1/invoices?limit=100" => ok(&json!({ "invoices": all }).to_string()),
            "/v1/invoices/fin_2" => ok(&json!({ "invoice": singly }).to_string()),
            "/v1/subscriptions?limit=100" => {
                let newest = json!({"subscription_id": "fsub_1", "latest_invoice": "fin_1"});
                ok(&json!({"subscriptions": [7, newest]}).to_string())
            }
            _ => status(404),
        }
    })
    .await;
    let page = list(&url, "invoices", None).await.unwrap();
    let read: Vec<_> = page
        .listed
        .iter()
        .map(|listed| match listed {
            Listed::Found(found) => match &found.change {
                Change::Invoice(change) => change.subscription_id.as_str(),
                other => panic!("{other:?}"),
            },
            Listed::Unreadable { id, .. } => id.as_deref().unwrap(),
        })
        .collect();
    assert_eq!(read, ["fsub_1", "fsub_2", "fin_3"]);
    assert_eq!(heads.lock().unwrap().len(), 4);
}
