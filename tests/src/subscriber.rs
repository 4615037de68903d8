//! A queue that gets every announcement of the stack's bus, as a merchant's system would.

use crate::play::{Play, PlayError, number};
use aws_sdk_eventbridge::types::Target;
use aws_sdk_sqs::types::QueueAttributeName;
use domain::ports::Announcements as _;
use jiff::Timestamp;
use serde_json::Value;
use std::collections::BTreeMap;

/// The queue, and what it has received.
#[derive(Debug)]
pub struct Subscriber {
    sqs: aws_sdk_sqs::Client,
    url: String,
    /// The events by the ids of their announcements: each once, however often it came.
    pub told: BTreeMap<String, Value>,
    /// How many messages came in all.
    pub messages: usize,
}

fn failed(error: impl std::fmt::Display) -> PlayError {
    PlayError::Queue(error.to_string())
}

impl Subscriber {
    /// Makes a queue, and a rule of the bus that sends everything there.
    pub async fn of(play: &Play) -> Result<Self, PlayError> {
        let config = play.stack.config().await;
        let sqs = aws_sdk_sqs::Client::new(&config);
        let bus = aws_sdk_eventbridge::Client::new(&config);
        let name = format!("announced-{}", number());
        let queue = sqs.create_queue().queue_name(&name).send().await;
        let url = queue.map_err(failed)?.queue_url.unwrap_or_default();
        let arn = QueueAttributeName::QueueArn;
        let get = sqs.get_queue_attributes().queue_url(&url);
        let got = get.attribute_names(arn.clone()).send().await;
        let attributes = got.map_err(failed)?.attributes.unwrap_or_default();
        let arn = attributes.get(&arn).cloned().unwrap_or_default();
        let on = play.stack.event_bus.as_str();
        let rule = bus.put_rule().name(&name).event_bus_name(on);
        let rule = rule.event_pattern(r#"{"source": ["fulfillment"]}"#);
        rule.send().await.map_err(failed)?;
        let target = Target::builder().id("queue").arn(arn).build();
        let targets = bus.put_targets().rule(&name).event_bus_name(on);
        let targets = targets.targets(target.map_err(failed)?);
        targets.send().await.map_err(failed)?;
        Ok(Self {
            sqs,
            url,
            told: BTreeMap::new(),
            messages: 0,
        })
    }

    /// Receives what is there, and returns how many messages came.
    pub async fn receive(&mut self) -> Result<usize, PlayError> {
        let receive = self.sqs.receive_message().queue_url(&self.url);
        let receive = receive.max_number_of_messages(10).wait_time_seconds(1);
        let got = receive.send().await.map_err(failed)?;
        let messages = got.messages.unwrap_or_default();
        for message in &messages {
            let body = message.body.as_deref().unwrap_or_default();
            let event: Value = serde_json::from_str(body).map_err(failed)?;
            let id = event.pointer("/detail/id").and_then(Value::as_str);
            self.told.insert(id.unwrap_or_default().to_owned(), event);
            let handle = message.receipt_handle.clone();
            let delete = self.sqs.delete_message().queue_url(&self.url);
            delete
                .set_receipt_handle(handle)
                .send()
                .await
                .map_err(failed)?;
        }
        self.messages += messages.len();
        Ok(messages.len())
    }

    /// Receives until everything is published and the queue is empty.
    pub async fn receive_all(&mut self, play: &Play) -> Result<(), PlayError> {
        let mut rounds = 0;
        loop {
            let came = self.receive().await?;
            let now = Timestamp::now();
            let waiting = play.tables.store.unpublished(now, None, 1).await?;
            if came == 0 && waiting.is_empty() {
                return Ok(());
            }
            rounds += 1;
            if rounds > 200 {
                return Err(failed("announcements still wait"));
            }
        }
    }
}
