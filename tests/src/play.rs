//! Plays a sale on the running local stack, from the outside. It delivers over HTTP, reads tables and queues by the
//! SDK, and reads mails from the local SES. The demo and the tests of the whole flow use it.
#![expect(
    clippy::expect_used,
    clippy::panic,
    reason = "a stack that does not answer must stop the test"
)]

use crate::{
    shop::Purchase,
    signed::Headers,
    stack::{NoStack, Ports, Stack},
};
use aws::{Store, queue::DeadLetters};
use aws_sdk_sqs::types::QueueAttributeName;
use domain::{
    delivery::stored_event::{EventState, StoredEvent},
    ports::{Events as _, Orders as _, Receipts as _},
    receipt::{Receipt, ReceiptState},
    sale::order::Order,
    values::{
        ids::{BadId, EventId, OrderId},
        outcome::RetryableError,
        sku::BadSku,
    },
};
use jiff::Timestamp;
use serde::Deserialize;
use serde_json::{Value, json};
use std::{
    collections::BTreeMap,
    sync::atomic::{AtomicU64, Ordering},
    time::{Duration, Instant},
};

/// How often a condition is looked at.
const LOOK_EVERY: Duration = Duration::from_millis(50);

#[derive(Debug, thiserror::Error)]
pub enum PlayError {
    #[error(transparent)]
    NoStack(#[from] NoStack),
    /// Its stand-in is needed to make up sales.
    #[error("this needs the Flex stand-in, and the stack is pointed at {0}")]
    NoStandIn(String),
    #[error("the stack has no function {0}")]
    NoFunction(String),
    #[error("the local stack does not answer: {0}")]
    Http(#[from] reqwest::Error),
    #[error(transparent)]
    RetryableError(#[from] RetryableError),
    #[error(transparent)]
    BadId(#[from] BadId),
    #[error(transparent)]
    BadSku(#[from] BadSku),
    /// The Stock table does not answer.
    #[error(transparent)]
    Stock(#[from] crate::stack::StockError),
    #[error("SQS: {0}")]
    Queue(String),
    /// An expected state did not come in time.
    #[error("after {0:?} still not so: {1}")]
    TooLate(Duration, String),
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Answer {
    pub status: u16,
    /// The reply asked the sender to stop.
    pub abort: bool,
    /// The reply's body: empty, by promise.
    pub body: String,
    pub took: Duration,
}

/// A mail as the local SES shows it.
#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct Mail {
    pub to: Vec<String>,
    pub subject: String,
    pub body_text: String,
    pub body_html: String,
}

#[derive(Debug, Clone)]
pub struct Play {
    pub stack: Stack,
    pub tables: Ports,
    http: reqwest::Client,
    sqs: aws_sdk_sqs::Client,
}

/// A number that no other run has used.
pub fn number() -> u64 {
    static COUNT: AtomicU64 = AtomicU64::new(0);
    let start = u64::try_from(Timestamp::now().as_microsecond()).unwrap_or_default();
    start * 1000 + COUNT.fetch_add(1, Ordering::Relaxed)
}

/// The deployed stack that `STACK_FILE` names; a test without one fails.
pub async fn play() -> Play {
    let play = Play::on_named_stack().await;
    play.unwrap_or_else(|error| panic!("{error}"))
}

impl Play {
    /// On the stack that `STACK_FILE` names.
    pub async fn on_named_stack() -> Result<Self, PlayError> {
        let stack = Stack::named()?;
        // The SDK's client and this one each bring their own provider, unless one is installed for the process.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let http = reqwest::Client::builder()
            .no_proxy()
            .timeout(Duration::from_mins(1))
            .build()?;
        let sqs = aws_sdk_sqs::Client::new(&stack.config().await);
        Ok(Self {
            tables: stack.tables().await,
            stack,
            http,
            sqs,
        })
    }

    /// Lets Flex's API know something: what the stand-in calls `what`.
    async fn knows(&self, what: &str, body: &Value) -> Result<(), PlayError> {
        let url = format!("{}/_stand-in/{what}", self.stand_in()?);
        let sent = self.http.put(url).json(body).send().await?;
        sent.error_for_status()?;
        Ok(())
    }

    /// Lets Flex's API know a purchase.
    pub async fn sell(&self, purchase: &Purchase) -> Result<(), PlayError> {
        let bundle = json!({"session": purchase.session, "line_items": purchase.line_items, "customer": purchase.customer});
        self.knows("sessions", &bundle).await
    }

    pub async fn knows_subscription(&self, subscription: &Value) -> Result<(), PlayError> {
        let body = json!({"subscription": subscription});
        self.knows("subscriptions", &body).await
    }

    pub async fn knows_invoice(&self, invoice: &Value) -> Result<(), PlayError> {
        self.knows("invoices", &json!({"invoice": invoice})).await
    }

    pub async fn knows_refund(&self, refund: &Value) -> Result<(), PlayError> {
        self.knows("refunds", &json!({"refund": refund})).await
    }

    /// Lets Flint's API know a thing of the stack's mode, of the kind that its path names.
    pub async fn flint_knows(&self, kind: &str, thing: &Value) -> Result<(), PlayError> {
        let mode = self.stack.parameters.get("Mode");
        let mode = mode.map_or("test", String::as_str);
        let url = format!("{}/_stand-in/{mode}/{kind}", self.stack.flint_stand_in_url);
        let sent = self.http.put(url).json(thing).send().await?;
        sent.error_for_status()?;
        Ok(())
    }

    /// Posts an event as Flint does, signed now with the stack's secret.
    pub async fn deliver_by_flint(&self, event: &Value) -> Result<Answer, PlayError> {
        let (body, secret) = (event.to_string(), &self.stack.flint_webhook_secret);
        let id = event.get("webhook_event_id").and_then(Value::as_str);
        let id = id.unwrap_or_default();
        let headers = crate::signed::signed_by_flint(id, secret, &body, Timestamp::now());
        let url = &self.stack.flint_webhook_url;
        self.post(url, body.into_bytes(), &headers).await
    }

    /// Posts a signed delivery, which must be answered with 200.
    pub async fn takes(&self, body: &[u8]) {
        let answer = self.deliver_signed(body).await.expect("an answer");
        assert_eq!(answer.status, 200, "{answer:?}");
    }

    /// The order's own receipt, once it is sent.
    pub async fn sent_receipt(&self, order_id: &str, within: Duration) -> Receipt {
        let sent = until("the receipt is sent", within, async || {
            let order = self.order(order_id).await?;
            let Some(receipt_id) = order.and_then(|order| order.receipt_id) else {
                return Ok(None);
            };
            let receipt = self.tables.store.receipt(&receipt_id).await?;
            Ok(receipt.filter(|receipt| matches!(receipt.state, ReceiptState::Sent { .. })))
        });
        sent.await.expect("a receipt")
    }

    /// How often Flex's API was asked for something with `part` in its path.
    pub async fn asked_for(&self, part: &str) -> Result<usize, PlayError> {
        #[derive(Deserialize)]
        struct Asked {
            requests: Vec<String>,
        }
        let url = self.stand_in()?;
        let asked: Asked = self
            .http
            .get(format!("{url}/_stand-in/requests"))
            .send()
            .await?
            .json()
            .await?;
        Ok(asked
            .requests
            .iter()
            .filter(|request| request.contains(part))
            .count())
    }

    fn stand_in(&self) -> Result<&str, PlayError> {
        let none = || PlayError::NoStandIn(self.stack.flex_base_url.clone());
        self.stack.stand_in_url.as_deref().ok_or_else(none)
    }

    /// Posts a delivery to the stack's webhook of Flex.
    pub async fn deliver(&self, body: Vec<u8>, headers: &Headers) -> Result<Answer, PlayError> {
        self.post(&self.stack.webhook_url, body, headers).await
    }

    async fn post(&self, url: &str, body: Vec<u8>, headers: &Headers) -> Result<Answer, PlayError> {
        let started_at = Instant::now();
        let mut request = self
            .http
            .post(url)
            .header("content-type", "application/json")
            .body(body);
        for (name, value) in headers {
            request = request.header(*name, value);
        }
        let response = request.send().await?;
        let took = started_at.elapsed();
        let status = response.status().as_u16();
        let abort = response
            .headers()
            .get("webhook-delivery")
            .is_some_and(|value| value == "abort-message");
        Ok(Answer {
            status,
            abort,
            body: response.text().await?,
            took,
        })
    }

    /// Posts a delivery, signed now with the stack's secret.
    pub async fn deliver_signed(&self, body: &[u8]) -> Result<Answer, PlayError> {
        let text = String::from_utf8_lossy(body);
        let headers =
            crate::signed::signed_request(&self.stack.webhook_secret, &text, Timestamp::now());
        self.deliver(body.to_vec(), &headers).await
    }

    /// Posts an event as Flint does, which must be answered with 200.
    pub async fn takes_of_flint(&self, event: &Value) {
        let answer = self.deliver_by_flint(event).await.expect("an answer");
        assert_eq!(answer.status, 200, "{answer:?}");
    }

    /// Starts a function as a schedule does, waits for its end, and returns what it answers.
    pub async fn invoke(&self, function: &str) -> Result<String, PlayError> {
        self.invoke_with(function, &json!({})).await
    }

    /// Invokes a function with an input, and returns its answer.
    pub async fn invoke_with(&self, function: &str, input: &Value) -> Result<String, PlayError> {
        let none = || PlayError::NoFunction(function.to_owned());
        let name = self.stack.functions.get(function).ok_or_else(none)?;
        let url = format!(
            "{}/2015-03-31/functions/{name}/invocations",
            self.stack.endpoint
        );
        Ok(self
            .http
            .post(url)
            .json(input)
            .send()
            .await?
            .error_for_status()?
            .text()
            .await?)
    }

    pub async fn event(&self, id: &str) -> Result<Option<StoredEvent>, PlayError> {
        Ok(self.tables.store.event(&EventId::new(id)?).await?)
    }

    pub async fn order(&self, id: &str) -> Result<Option<Order>, PlayError> {
        Ok(self.tables.store.order(&OrderId::new(id)?).await?)
    }

    /// The mails about an order, oldest first.
    pub async fn mails(&self, order_id: &str) -> Result<Vec<Mail>, PlayError> {
        #[derive(Deserialize)]
        struct Mailbox {
            messages: BTreeMap<String, Vec<Mail>>,
        }
        let url = format!("{}/_ministack/ses/messages", self.stack.endpoint);
        let mailbox: Mailbox = self.http.get(url).send().await?.json().await?;
        Ok(mailbox
            .messages
            .into_values()
            .flatten()
            .filter(|mail| mail.body_text.contains(order_id))
            .collect())
    }

    /// How many messages a queue holds, those hidden for the moment among them.
    pub async fn depth(&self, queue_url: &str) -> Result<u64, PlayError> {
        let names = [
            QueueAttributeName::ApproximateNumberOfMessages,
            QueueAttributeName::ApproximateNumberOfMessagesNotVisible,
            QueueAttributeName::ApproximateNumberOfMessagesDelayed,
        ];
        let asked = self
            .sqs
            .get_queue_attributes()
            .queue_url(queue_url)
            .set_attribute_names(Some(names.to_vec()));
        let answer = asked
            .send()
            .await
            .map_err(|error| PlayError::Queue(format!("{error:?}")))?;
        let attributes = answer.attributes.unwrap_or_default();
        Ok(names
            .iter()
            .filter_map(|name| attributes.get(name)?.parse::<u64>().ok())
            .sum())
    }

    /// Puts a message of any kind on a queue.
    pub async fn put_message(&self, queue_url: &str, body: &str) -> Result<(), PlayError> {
        let sent = self
            .sqs
            .send_message()
            .queue_url(queue_url)
            .message_body(body)
            .send()
            .await;
        sent.map(drop)
            .map_err(|error| PlayError::Queue(format!("{error:?}")))
    }

    /// A way to hand jobs to fulfillment.
    pub fn fulfillment_queue(&self) -> Store {
        self.tables.store.clone()
    }

    /// A new queue as a dead-letter queue, and its URL.
    pub async fn queue_of_its_own(&self) -> Result<(String, DeadLetters), PlayError> {
        let client = aws_sdk_sqs::Client::new(&self.stack.config().await);
        let name = format!(
            "own-{}-{}",
            std::process::id(),
            Timestamp::now().as_nanosecond()
        );
        let made = client.create_queue().queue_name(name).send().await;
        let made = made.map_err(|error| PlayError::Queue(format!("{error:?}")))?;
        let url = made.queue_url.unwrap_or_default();
        let letters = DeadLetters::new(&self.stack.config().await, url.clone());
        Ok((url, letters))
    }

    /// The messages on a queue, which stay there.
    pub async fn peek(&self, queue_url: &str) -> Result<Vec<String>, PlayError> {
        let received = self
            .sqs
            .receive_message()
            .queue_url(queue_url)
            .max_number_of_messages(10)
            .visibility_timeout(0)
            .send()
            .await
            .map_err(|error| PlayError::Queue(format!("{error:?}")))?;
        Ok(received
            .messages
            .unwrap_or_default()
            .into_iter()
            .filter_map(|message| message.body)
            .collect())
    }

    /// Waits until an event has ended in that state.
    pub async fn until_event(
        &self,
        id: &str,
        state: EventState,
        within: Duration,
    ) -> Result<StoredEvent, PlayError> {
        let what = format!("event {id} is {state}");
        until(&what, within, async || {
            Ok(self.event(id).await?.filter(|event| event.state == state))
        })
        .await
    }

    /// Waits until both work queues are empty: nothing is waiting, hidden or under way.
    pub async fn until_idle(&self, within: Duration) -> Result<(), PlayError> {
        until("both queues are empty", within, async || {
            let depth = self.depth(&self.stack.queues.fulfillment).await?;
            Ok((depth + self.depth(&self.stack.queues.receipt).await? == 0).then_some(()))
        })
        .await
    }
}

/// Looks again and again until there is something to return.
pub async fn until<T>(
    what: &str,
    within: Duration,
    mut look: impl AsyncFnMut() -> Result<Option<T>, PlayError>,
) -> Result<T, PlayError> {
    let deadline = Instant::now() + within;
    loop {
        if let Some(found) = look().await? {
            return Ok(found);
        }
        if Instant::now() > deadline {
            return Err(PlayError::TooLate(within, what.to_owned()));
        }
        tokio::time::sleep(LOOK_EVERY).await;
    }
}
