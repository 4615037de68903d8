//! The adapters and the answers of AWS: results, set-up faults, outages, and mails of unknown outcome. AWS
//! is played by a small server that says one thing; queue and mail are also tried on the local SQS and SES.

use aws::{
    Queues, Store, Tables,
    mailer::{Mailer, mime},
};
use aws_config::{Region, SdkConfig};
use aws_sdk_dynamodb::config::Credentials;
use axum::{Router, body::Body, http::StatusCode, response::Response};
use domain::{
    ports::{Commits as _, Delay as _, Orders as _, Queue as _},
    receipt::feedback::tag_value,
};
use kit::drive::merchant;
use kit::prelude::*;
use mail::Mailer as _;
use mail::{Email, Templates, compose};
use mail_parser::MessageParser;
use std::sync::{Arc, Mutex};
use tokio::net::TcpListener;

/// The server's reaction to a request.
#[derive(Debug, Clone, Copy)]
enum Says {
    Answer(u16, &'static str),
    /// The connection is taken and cut before an answer.
    Nothing,
}

/// A server that says one thing first for `times` requests, then the other.
struct Aws {
    url: String,
    /// The body of each request.
    asked: Arc<Mutex<Vec<String>>>,
}

impl Aws {
    async fn saying(first: Says, times: usize, then: Says) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let asked = Arc::new(Mutex::new(Vec::new()));
        let kept = Arc::clone(&asked);
        let answer = move |body: String| {
            let count = {
                let mut kept = kept.lock().unwrap();
                kept.push(body);
                kept.len()
            };
            let says = if count <= times { first } else { then };
            async move {
                match says {
                    Says::Answer(status, body) => Response::builder()
                        .status(StatusCode::from_u16(status).unwrap())
                        .header("content-type", "text/xml")
                        .body(Body::from(body))
                        .unwrap(),
                    // Panicking in a handler makes the server drop the connection.
                    Says::Nothing => panic!("cut, as told"),
                }
            }
        };
        tokio::spawn(axum::serve(listener, Router::new().fallback(answer)).into_future());
        Self { url, asked }
    }

    async fn always(says: Says) -> Self {
        Self::saying(says, usize::MAX, says).await
    }

    fn asked(&self) -> usize {
        self.asked.lock().unwrap().len()
    }

    /// The parameters of the last request, as a form has them.
    fn last_form(&self) -> BTreeMap<String, String> {
        let form = self.asked.lock().unwrap().last().unwrap().clone();
        let url = reqwest::Url::parse(&format!("http://aws/?{form}")).unwrap();
        url.query_pairs().into_owned().collect()
    }
}

async fn config(url: &str) -> SdkConfig {
    aws::client::loader()
        .endpoint_url(url)
        .region(Region::new("us-east-1"))
        .credentials_provider(Credentials::new("test", "test", None, None, "test"))
        .load()
        .await
}

/// An order and its receipt, as the story of the shop makes them.
async fn sold(change: impl FnOnce(&mut Order)) -> (Order, Receipt) {
    let bundle: Bundle = open_shop(OnUnknown::Hold);
    bundle.provider_has(&kit::story::sale(&purchase(1)));
    bundle.take(&Delivery::of(&purchase(1), "fevt_1")).await;
    let _ = bundle.fulfillment.fulfill(&event_id("fevt_1"), 1).await;
    let kept = bundle.world.kept();
    let mut order = kept.orders.values().next().unwrap().clone();
    change(&mut order);
    (order, kept.receipts.values().next().unwrap().clone())
}

async fn mail(change: impl FnOnce(&mut Order)) -> Email {
    let (order, receipt) = sold(change).await;
    compose(
        &order,
        &receipt,
        None,
        &merchant(),
        &Templates::built_in().unwrap(),
    )
    .unwrap()
}

const TAKEN: &str = r#"<SendRawEmailResponse xmlns="http://ses.amazonaws.com/doc/2010-12-01/"><SendRawEmailResult><MessageId>0100-abc</MessageId></SendRawEmailResult></SendRawEmailResponse>"#;

macro_rules! ses_error {
    ($code:literal) => {
        ses_error!($code, "pat@example.com is not welcome")
    };
    ($code:literal, $message:literal) => {
        concat!(
            r#"<ErrorResponse xmlns="http://ses.amazonaws.com/doc/2010-12-01/"><Error><Type>Sender</Type><Code>"#,
            $code,
            "</Code><Message>",
            $message,
            "</Message></Error></ErrorResponse>"
        )
    };
}

async fn sent(says: Says) -> (Result<String, SendError>, usize) {
    hand_over(says, &mail(|_| {}).await).await
}

async fn hand_over(says: Says, email: &Email) -> (Result<String, SendError>, usize) {
    let aws = Aws::always(says).await;
    let sent = Mailer::new(&config(&aws.url).await, "set")
        .send(email)
        .await;
    (sent.map(|id| id.to_string()), aws.asked())
}

/// The meaning of a failure for the receipt, in one word.
fn kind(sent: &Result<String, SendError>) -> &'static str {
    match sent {
        Ok(_) => "sent",
        Err(SendError::Refused(_)) => "failed for good",
        Err(SendError::NotSent(RetryableError::SetUp { .. })) => "not sent, set-up",
        Err(SendError::NotSent(_)) => "not sent, later",
        Err(SendError::Unknown(_)) => "unknown",
    }
}

#[tokio::test]
async fn what_ses_says_of_a_mail_is_sorted_and_nothing_is_sent_twice() {
    let answers = |expected, answers: &[(u16, &'static str)]| -> Vec<_> {
        let says = |(status, body): &(u16, &'static str)| (Says::Answer(*status, body), expected);
        answers.iter().map(says).collect()
    };
    let set_up = [
        (400, ses_error!("InvalidParameterValue")),
        (400, ses_error!("ConfigurationSetDoesNotExist")),
        (400, ses_error!("MessageRejected")),
        (400, ses_error!("MailFromDomainNotVerifiedException")),
        (400, ses_error!("AccountSendingPausedException")),
        (403, ses_error!("AccessDenied")),
        (403, ses_error!("InvalidClientTokenId")),
    ];
    let unknown = [
        (500, ses_error!("InternalFailure")),
        (502, "<html>bad gateway</html>"),
        (504, ""),
        (200, "no xml"),
    ];
    let table = [
        answers("sent", &[(200, TAKEN)]),
        answers("not sent, set-up", &set_up),
        answers(
            "not sent, later",
            &[(503, ses_error!("ServiceUnavailable"))],
        ),
        answers("unknown", &unknown),
        vec![(Says::Nothing, "unknown")],
    ]
    .concat();
    for (says, expected) in table {
        let (sent, asked) = sent(says).await;
        assert_eq!((kind(&sent), asked), (expected, 1), "{says:?}: {sent:?}");
        let text = sent.unwrap_or_else(|error| error.to_string());
        assert!(!text.contains("pat@"), "{text}");
    }
}

/// The messages are those that SES is known to answer with.
#[tokio::test]
async fn an_invalid_parameter_fails_a_receipt_only_if_its_recipient_is_certainly_at_fault() {
    macro_rules! invalid {
        ($message:literal) => {
            Says::Answer(400, ses_error!("InvalidParameterValue", $message))
        };
    }
    let (domain, mailbox) = (
        invalid!("Domain contains illegal character"),
        invalid!("Local address contains illegal character"),
    );
    let tag = invalid!(
        "Invalid tag value &lt;pat@example.com&gt;: only alphanumeric ASCII characters, '_', and '-' are allowed."
    );
    let header = invalid!("Duplicate header 'From'.");
    let configuration = invalid!("Invalid configuration set name");
    let unheard_of = invalid!("A message to come");
    let (usual, odd_domain, odd_mailbox) =
        ("pat@example.com", "pat@exam`ple.com", "p/at@example.com");
    let (failed, set_up) = ("failed for good", "not sent, set-up");
    let missing = invalid!("Missing final '@domain'");
    for (says, sender, support, recipient, expected) in [
        (domain, usual, usual, odd_domain, failed),
        (mailbox, usual, usual, odd_mailbox, failed),
        (missing, usual, usual, odd_domain, failed),
        // The rejected part is as every address has it, or the fault may be the merchant's.
        (domain, usual, usual, usual, set_up),
        (domain, usual, usual, odd_mailbox, set_up),
        (mailbox, usual, usual, odd_domain, set_up),
        (domain, odd_domain, usual, odd_domain, set_up),
        (domain, usual, odd_domain, odd_domain, set_up),
        (domain, odd_mailbox, odd_mailbox, odd_domain, failed),
        // Not about an address, or not known to be.
        (tag, usual, usual, odd_domain, set_up),
        (header, usual, usual, odd_domain, set_up),
        (configuration, usual, usual, odd_domain, set_up),
        (unheard_of, usual, usual, odd_domain, set_up),
        (invalid!(""), usual, usual, odd_domain, set_up),
    ] {
        let address = |text: &str| text.parse().unwrap();
        let email = Email {
            from: address(sender),
            reply_to: address(support),
            to: address(recipient),
            ..mail(|_| {}).await
        };
        let (sent, asked) = hand_over(says, &email).await;
        assert_eq!(
            (kind(&sent), asked),
            (expected, 1),
            "{says:?} {sender} {support} {recipient}: {sent:?}"
        );
        assert!(!sent.unwrap_err().to_string().contains('@'));
    }
}

/// The report that SES would make of the mail in this request.
fn report(form: &BTreeMap<String, String>) -> feedback::notice::Notice {
    let sample = include_str!("../../events/ses/delivery.json");
    let mut facts: serde_json::Value = serde_json::from_str(sample).unwrap();
    let tags = (1..).map_while(|n| {
        let member = |what: &str| form.get(&format!("Tags.member.{n}.{what}"));
        Some((
            member("Name")?.clone(),
            serde_json::json!([member("Value")?]),
        ))
    });
    facts["mail"]["tags"] = tags.collect::<serde_json::Map<_, _>>().into();
    serde_json::from_value(facts).unwrap()
}

#[tokio::test]
async fn each_mail_says_where_ses_is_to_tell_of_it_and_of_which_receipt_it_is() {
    let id = |event: &str, resource: &str| {
        let event = sample(event);
        let resource = &event["object"][resource];
        [
            "checkout_session_id",
            "invoice_id",
            "refund_id",
            "subscription_id",
        ]
        .into_iter()
        .find_map(|name| resource[name].as_str())
        .unwrap()
        .to_owned()
    };
    let order = id("checkout.session.completed", "checkout_session");
    let order_id = OrderId::new(order).unwrap();
    let subscription_id =
        SubscriptionId::new(id("customer.subscription.created", "subscription")).unwrap();
    let invoice_id = InvoiceId::new(id("invoice.paid", "invoice")).unwrap();
    let now = jiff::Timestamp::now();
    // One of each kind, since each has another id in its own.
    let kinds = [
        ReceiptKind::Order,
        ReceiptKind::Refund {
            refund_id: RefundId::new(id("refund.created", "refund")).unwrap(),
            amount: 1,
            refunded_at: now,
        },
        ReceiptKind::PaymentFailed {
            subscription_id: subscription_id.clone(),
            invoice_id,
            amount: None,
        },
        ReceiptKind::TrialEnds {
            subscription_id,
            ends_at: now,
        },
    ];
    let email = mail(|_| {}).await;
    for kind in kinds {
        let receipt_id = Receipt::new(&order_id, kind, None, now).unwrap().receipt_id;
        let aws = Aws::always(Says::Answer(200, TAKEN)).await;
        let email = Email {
            receipt_id: receipt_id.clone(),
            ..email.clone()
        };
        Mailer::new(&config(&aws.url).await, "the-set")
            .send(&email)
            .await
            .unwrap();
        let form = aws.last_form();
        assert_eq!(form["ConfigurationSetName"], "the-set");
        assert_eq!(form["Tags.member.1.Name"], "receipt_id");
        assert_eq!(form["Tags.member.1.Value"], tag_value(&receipt_id));
        assert_eq!(report(&form).report().unwrap().receipt_id, receipt_id);
    }
}

#[tokio::test]
async fn a_connection_that_was_never_made_has_sent_nothing() {
    let nobody = TcpListener::bind("127.0.0.1:0")
        .await
        .unwrap()
        .local_addr()
        .unwrap();
    let email = mail(|_| {}).await;
    for url in [
        format!("http://{nobody}"),
        "http://no-such-host.invalid".to_owned(),
    ] {
        let sent = Mailer::new(&config(&url).await, "set")
            .send(&email)
            .await
            .map(|id| id.to_string());
        assert_eq!(kind(&sent), "not sent, later", "{url}: {sent:?}");
    }
}

#[tokio::test]
async fn a_throttled_mail_is_tried_again_at_once_and_then_left_for_later() {
    let throttled = Says::Answer(400, ses_error!("Throttling"));
    let aws = Aws::saying(throttled, 2, Says::Answer(200, TAKEN)).await;
    let mailer = Mailer::new(&config(&aws.url).await, "set");
    assert!(mailer.send(&mail(|_| {}).await).await.is_ok());
    assert_eq!(aws.asked(), 3);
    let (sent, asked) = sent(throttled).await;
    assert_eq!(kind(&sent), "not sent, later");
    assert!((2..20).contains(&asked), "{asked}");
}

#[tokio::test]
async fn what_dynamodb_says_is_sorted() {
    macro_rules! error {
        ($status:literal, $code:literal) => {
            Says::Answer(
                $status,
                concat!(
                    r#"{"__type":"com.amazonaws#"#,
                    $code,
                    r#"","Message":"pat@example.com"}"#
                ),
            )
        };
    }
    let order_id = OrderId::new("fcs_1").unwrap();
    for (says, expected) in [
        (
            error!(400, "ResourceNotFoundException"),
            "DynamoDB refuses our set-up: ResourceNotFoundException",
        ),
        (
            error!(400, "AccessDeniedException"),
            "DynamoDB refuses our set-up: AccessDeniedException",
        ),
        (
            error!(400, "ProvisionedThroughputExceededException"),
            "DynamoDB is away: ProvisionedThroughputExceededException",
        ),
        (
            error!(500, "InternalServerError"),
            "DynamoDB is away: InternalServerError",
        ),
        (Says::Nothing, "DynamoDB is away: no connection"),
    ] {
        let aws = Aws::always(says).await;
        let read = store(&aws).await.order(&order_id).await;
        assert_eq!(read.unwrap_err().to_string(), expected);
    }
}

#[tokio::test]
async fn a_write_that_meets_a_transaction_is_tried_again() {
    let conflict = Says::Answer(
        400,
        r#"{"__type":"com.amazonaws.dynamodb.v20120810#TransactionConflictException"}"#,
    );
    let aws = Aws::saying(conflict, 2, Says::Answer(200, "{}")).await;
    let events = store(&aws).await;
    let id = EventId::new("fevt_1").unwrap();
    let processed = domain::ports::Settlement::Processed;
    let settled =
        domain::ports::Events::settle(&events, &id, &processed, jiff::Timestamp::now()).await;
    assert_eq!(settled, Ok(domain::ports::Changed::Now));
    assert_eq!(aws.asked(), 3);
}

/// The tables on this server.
async fn store(aws: &Aws) -> Store {
    let tables = Tables::named(str::to_owned);
    Store::new(&config(&aws.url).await, tables, Queues::default())
}

/// The result of a commit without rows, and its number of requests.
async fn committed(
    first: Says,
    times: usize,
    then: Says,
) -> (Result<Committed, RetryableError>, usize) {
    let aws = Aws::saying(first, times, then).await;
    let commit = Commit::of(EventId::new("fevt_1").unwrap());
    let committed = store(&aws).await.commit(&commit).await;
    (committed, aws.asked())
}

/// A cancelled transaction, as DynamoDB reports it: a reason for each action, `None` for an action without an
/// objection.
macro_rules! cancelled {
    ($($code:literal),+) => {
        Says::Answer(400, concat!(
            r#"{"__type":"com.amazonaws.dynamodb.v20120810#TransactionCanceledException","Message":"pat@example.com","#,
            r#""CancellationReasons":["#,
            cancelled!(@ $($code),+),
            "]}"
        ))
    };
    (@ $first:literal $(, $more:literal)*) => {
        concat!(r#"{"Code":""#, $first, r#"","Message":"pat@example.com"}"# $(, r#",{"Code":""#, $more, r#""}"#)*)
    };
}

const DONE: Says = Says::Answer(200, "{}");

#[tokio::test]
async fn a_transaction_that_met_another_or_was_throttled_is_tried_again_until_it_goes_through() {
    let in_progress =
        r#"{"__type":"com.amazonaws.dynamodb.v20120810#TransactionInProgressException"}"#;
    let hindrances = [
        cancelled!("None", "TransactionConflict"),
        cancelled!("TransactionConflict", "None"),
        cancelled!("ThrottlingError", "None"),
        cancelled!("None", "ProvisionedThroughputExceeded"),
        cancelled!("RequestLimitExceeded", "TransactionConflict"),
        Says::Answer(400, in_progress),
    ];
    let cases = hindrances
        .into_iter()
        .flat_map(|hindered| [1, 2, 5].map(|times| (hindered, times)));
    // All at once, since between two tries the adapter waits in real time.
    join_all(cases.map(|(hindered, times)| async move {
        let (committed, asked) = committed(hindered, times, DONE).await;
        assert_eq!(
            (committed, asked),
            (Ok(Committed::Now), times + 1),
            "{hindered:?}, {times} times"
        );
    }))
    .await;
}

#[tokio::test]
async fn a_transaction_that_is_always_in_conflict_goes_back_to_the_queue_after_six_tries() {
    let hindrances = [
        cancelled!("None", "TransactionConflict"),
        cancelled!("ThrottlingError", "None"),
    ];
    join_all(hindrances.map(|hindered| async move {
        let (committed, asked) = committed(hindered, usize::MAX, DONE).await;
        let raced = RetryableError::Raced {
            what: "the transaction",
            tries: 6,
        };
        assert_eq!((committed, asked), (Err(raced), 6), "{hindered:?}");
    }))
    .await;
}

#[tokio::test]
async fn one_failed_condition_is_the_answer_whatever_the_other_reasons_are() {
    for refused in [
        cancelled!("ConditionalCheckFailed"),
        cancelled!("None", "ConditionalCheckFailed"),
        cancelled!("TransactionConflict", "ConditionalCheckFailed"),
        cancelled!("ConditionalCheckFailed", "ThrottlingError"),
    ] {
        let (committed, asked) = committed(refused, usize::MAX, DONE).await;
        assert_eq!((committed, asked), (Ok(Committed::Raced), 1), "{refused:?}");
    }
    // First in conflict, then refused.
    let (committed, asked) = committed(
        cancelled!("TransactionConflict", "None"),
        2,
        cancelled!("None", "ConditionalCheckFailed"),
    )
    .await;
    assert_eq!((committed, asked), (Ok(Committed::Raced), 3));
}

#[tokio::test]
async fn a_transaction_that_no_trying_again_will_mend_is_not_tried_again() {
    for (broken, code) in [
        (cancelled!("None", "ValidationError"), "ValidationError"),
        (
            cancelled!("ValidationError", "TransactionConflict"),
            "ValidationError",
        ),
        (
            cancelled!("TransactionConflict", "ItemCollectionSizeLimitExceeded"),
            "ItemCollectionSizeLimitExceeded",
        ),
        (
            Says::Answer(
                400,
                r#"{"__type":"com.amazon.coral.validate#ValidationException"}"#,
            ),
            "ValidationException",
        ),
    ] {
        let (committed, asked) = committed(broken, usize::MAX, DONE).await;
        let set_up = RetryableError::SetUp {
            service: "DynamoDB",
            cause: code.to_owned(),
        };
        assert_eq!((committed, asked), (Err(set_up), 1), "{broken:?}");
    }
    // Nor is one with an unknown result: the next read shows it.
    let (committed, _) = committed(Says::Nothing, usize::MAX, DONE).await;
    assert_eq!(
        committed.unwrap_err().to_string(),
        "DynamoDB is away: no connection"
    );
}

#[tokio::test]
async fn a_first_mode_that_was_left_unread_is_not_taken_for_none() {
    let unread = Says::Answer(
        200,
        r#"{"Responses":{},"UnprocessedKeys":{"links":{"Keys":[{"link":{"S":"stack#mode"}}]}}}"#,
    );
    let aws = Aws::saying(unread, 0, unread).await;
    let first = store(&aws).await;
    let refused = first.check_mode(Mode::Live).await.unwrap_err();
    assert_eq!(refused.to_string(), "DynamoDB is away: keys left unread");
}

/// The result of a read, and its number of requests.
async fn read(
    read_set: &ReadSet,
    first: Says,
    times: usize,
    then: Says,
) -> (Result<Snapshot, RetryableError>, usize) {
    let aws = Aws::saying(first, times, then).await;
    let rows = store(&aws).await.read(read_set).await;
    (rows, aws.asked())
}

/// One row of each table that is read, two of the stock.
fn read_set() -> ReadSet {
    let order_id = OrderId::new("fcs_1").unwrap();
    ReadSet {
        order: Some(order_id.clone()),
        links: vec![PaymentIntentId::new("fpi_1").unwrap()],
        contact: Some(CustomerId::new("fcus_1").unwrap()),
        stock_levels: Some((order_id, vec![Sku::new("TOTE").unwrap()])),
        ..ReadSet::default()
    }
}

#[tokio::test]
async fn rows_of_all_tables_are_read_in_one_call_and_nothing_in_none() {
    let nothing = Says::Answer(200, "{}");
    let rows = async |read_set: &ReadSet| read(read_set, nothing, 0, nothing).await;
    assert_eq!(
        rows(&ReadSet::default()).await,
        (Ok(Snapshot::default()), 0)
    );
    let (read, asked) = rows(&read_set()).await;
    assert_eq!((read.unwrap().stock_levels.len(), asked), (1, 1));
    let skus = |count| {
        (0..count)
            .map(|n| Sku::new(format!("SKU-{n}")).unwrap())
            .collect::<Vec<_>>()
    };
    for (count, calls) in [(48, 1), (49, 2), (98, 2), (99, 3)] {
        // Two keys each, beside an order, a payment and a customer.
        let stock_levels = Some((OrderId::new("fcs_1").unwrap(), skus(count)));
        let (read, asked) = rows(&ReadSet {
            stock_levels,
            ..read_set()
        })
        .await;
        assert_eq!((read.unwrap().stock_levels.len(), asked), (count, calls));
    }
}

#[tokio::test]
async fn keys_that_dynamodb_leaves_unread_are_asked_for_again_and_not_for_ever() {
    let unread = Says::Answer(
        200,
        r#"{"Responses":{},"UnprocessedKeys":{"links":{"Keys":[{"link":{"S":"payment#fpi_1"}}]}}}"#,
    );
    let rest = Says::Answer(
        200,
        r#"{"Responses":{"links":[{"link":{"S":"payment#fpi_1"},"payment_intent_id":{"S":"fpi_1"},"version":{"N":"4"}}]}}"#,
    );
    let (rows, asked) = read(&read_set(), unread, 2, rest).await;
    let versions: Vec<_> = rows
        .unwrap()
        .links
        .values()
        .map(|link| link.version)
        .collect();
    assert_eq!((versions, asked), (vec![4], 3));
    let (rows, asked) = read(&read_set(), unread, usize::MAX, rest).await;
    assert_eq!(
        rows.unwrap_err().to_string(),
        "DynamoDB is away: keys left unread"
    );
    assert!((2..20).contains(&asked), "{asked}");
}

/// The judge is another crate than the one that builds the mail.
#[tokio::test]
async fn a_mail_is_well_formed_and_names_cannot_add_headers() {
    let hostile = "Pat \"Doe\" <x>\r\nBcc: everyone@example.com";
    let email = mail(|order| {
        order.customer.name = Some(hostile.to_owned());
        order.client_reference_id = Some("№ 7\r\nBcc: everyone@example.com".to_owned());
    })
    .await;
    let mime = mime(&email).unwrap();
    let message = MessageParser::default().parse(&mime).unwrap();
    let address = |of: Option<&mail_parser::Address<'_>>| {
        of.unwrap().first().unwrap().address().unwrap().to_owned()
    };
    assert_eq!(address(message.from()), "receipts@harborandpine.example");
    assert_eq!(
        message.from().unwrap().first().unwrap().name(),
        Some("Harbor & Pine Wellness")
    );
    assert_eq!(address(message.reply_to()), "support@harborandpine.example");
    assert_eq!(address(message.to()), "pat@example.com");
    assert!(message.bcc().is_none() && message.header("Bcc").is_none());
    assert!(
        message.subject().unwrap().contains("№ 7"),
        "{:?}",
        message.subject()
    );
    let normal = |text: &str| text.replace("\r\n", "\n").trim_end().to_owned();
    assert_eq!(normal(&message.body_text(0).unwrap()), normal(&email.text));
    assert_eq!(normal(&message.body_html(0).unwrap()), normal(&email.html));
    assert_eq!(message.content_type_is_alternative(), Some(true));
}

trait Alternative {
    fn content_type_is_alternative(&self) -> Option<bool>;
}

impl Alternative for mail_parser::Message<'_> {
    fn content_type_is_alternative(&self) -> Option<bool> {
        use mail_parser::MimeHeaders as _;
        let content_type = self.content_type()?;
        Some(content_type.ctype() == "multipart" && content_type.subtype() == Some("alternative"))
    }
}

/// One promise, two mailers: a mail that is handed over arrives once, whole, at its address.
#[tokio::test]
async fn a_mail_that_is_handed_over_is_there_once_and_whole() {
    let (order, receipt) = sold(|order| {
        order.mode = Mode::Live;
        let unique = jiff::Timestamp::now().as_nanosecond();
        order.order_id = OrderId::new(format!("fcs_mail_{unique}")).unwrap();
    })
    .await;
    let receipt = Receipt {
        order_id: order.order_id.clone(),
        ..receipt
    };
    let email = compose(
        &order,
        &receipt,
        None,
        &merchant(),
        &Templates::built_in().unwrap(),
    )
    .unwrap();

    let world = World::default();
    mail::Mailer::send(&world, &email).await.unwrap();
    assert_eq!(world.kept().mails, std::slice::from_ref(&email));

    let play = play().await;
    let id = Mailer::new(&play.stack.config().await, "set")
        .send(&email)
        .await
        .unwrap();
    assert!(!id.as_str().is_empty());
    let mails = play.mails(order.order_id.as_str()).await.unwrap();
    assert_eq!(mails.len(), 1);
    let normal = |text: &str| text.replace("\r\n", "\n").trim_end().to_owned();
    assert_eq!(
        (mails[0].to.as_slice(), mails[0].subject.as_str()),
        (
            &["Pat Doe <pat@example.com>".to_owned()][..],
            email.subject.as_str()
        )
    );
    assert_eq!(normal(&mails[0].body_text), normal(&email.text));
    assert_eq!(normal(&mails[0].body_html), normal(&email.html));
}

#[tokio::test]
async fn the_local_ses_refuses_a_sender_that_nobody_verified_and_no_receipt_fails_by_it() {
    let play = play().await;
    let email = Email {
        from: "nobody@unverified.example".parse().unwrap(),
        ..mail(|_| {}).await
    };
    let sent = Mailer::new(&play.stack.config().await, "set")
        .send(&email)
        .await
        .map(|id| id.to_string());
    assert_eq!(kind(&sent), "not sent, set-up", "{sent:?}");
}

/// One promise, two queues: a sent message can be received, unchanged.
#[tokio::test]
async fn a_job_that_is_handed_over_is_received_as_it_was_and_can_be_left_alone() {
    let job = FulfillmentJob::V1 {
        event_id: event_id("fevt_1"),
    };
    let world = World::default();
    domain::ports::Queue::send(&world, &job).await.unwrap();
    let queued: Vec<_> = world
        .kept()
        .fulfillment_queue
        .iter()
        .map(|message| message.job.clone())
        .collect();
    assert_eq!(queued, std::slice::from_ref(&job));

    let stack = play().await.stack;
    let sqs = aws_sdk_sqs::Client::new(&stack.config().await);
    let name = format!("contract-{}", jiff::Timestamp::now().as_nanosecond());
    let url = sqs
        .create_queue()
        .queue_name(name)
        .send()
        .await
        .unwrap()
        .queue_url
        .unwrap();
    let urls = Queues {
        fulfillment: url.clone(),
        source: url.clone(),
        ..Queues::default()
    };
    let store = Store::new(&stack.config().await, Tables::default(), urls);
    store.send(&job).await.unwrap();
    let receive = async || {
        sqs.receive_message()
            .queue_url(&url)
            .send()
            .await
            .unwrap()
            .messages
            .unwrap_or_default()
    };
    let message = receive().await.remove(0);
    let body = message.body.unwrap();
    assert_eq!(body, r#"{"version":"1","event_id":"fevt_1"}"#);
    assert_eq!(serde_json::from_str::<FulfillmentJob>(&body).unwrap(), job);

    let handle = message.receipt_handle.unwrap();
    store.delay(&handle, Duration::from_hours(1)).await.unwrap();
    assert!(receive().await.is_empty(), "left alone");
    store.delay(&handle, Duration::ZERO).await.unwrap();
    until("it is back", Duration::from_secs(30), async || {
        Ok(receive().await.pop())
    })
    .await
    .unwrap();
    sqs.delete_queue().queue_url(&url).send().await.unwrap();
}
