//! The SQS queues: send jobs, hide failed messages, and read dead-letter queues.

use crate::{
    failure::classified,
    store::{SQS, Store},
};
use aws_config::SdkConfig;
use aws_sdk_sqs::{Client, error::SdkError, types::QueueAttributeName};
use domain::{
    delivery::job::{FulfillmentJob, Job, ReceiptJob},
    ports::{self, DeadLetter, Delay, Queue},
    values::outcome::RetryableError,
};
use std::time::Duration;

impl Store {
    async fn send_job(&self, url: &str, job: &impl Job) -> Result<(), RetryableError> {
        let body = serde_json::to_string(job).map_err(|error| {
            RetryableError::Fault(format!("a job could not be written: {error}"))
        })?;
        let message = self.sqs.send_message().queue_url(url).message_body(body);
        let sent = message.send().await;
        sent.map(drop).map_err(|error| classified(SQS, &error))
    }
}

impl Queue<FulfillmentJob> for Store {
    async fn send(&self, job: &FulfillmentJob) -> Result<(), RetryableError> {
        self.send_job(&self.queues.fulfillment, job).await
    }
}

impl Queue<ReceiptJob> for Store {
    async fn send(&self, job: &ReceiptJob) -> Result<(), RetryableError> {
        self.send_job(&self.queues.receipts, job).await
    }
}

impl Delay for Store {
    async fn delay(&self, receipt_handle: &str, by: Duration) -> Result<(), RetryableError> {
        let changed = self
            .sqs
            .change_message_visibility()
            .queue_url(&self.queues.source)
            .receipt_handle(receipt_handle)
            .visibility_timeout(seconds(by))
            .send()
            .await;
        changed.map(drop).map_err(|error| classified(SQS, &error))
    }
}

/// Rounds up, because a message that is visible too early wastes a receive.
fn seconds(duration: Duration) -> i32 {
    let seconds = duration.as_secs() + u64::from(duration.subsec_nanos() > 0);
    i32::try_from(seconds).unwrap_or(i32::MAX)
}

/// A dead-letter queue.
#[derive(Debug, Clone)]
pub struct DeadLetters {
    client: Client,
    url: String,
}

impl DeadLetters {
    /// The queue at that URL.
    #[must_use]
    pub fn new(config: &SdkConfig, url: impl Into<String>) -> Self {
        Self {
            client: Client::new(config),
            url: url.into(),
        }
    }
}

/// The counts that add up to a queue's depth.
const COUNTS: [QueueAttributeName; 3] = [
    QueueAttributeName::ApproximateNumberOfMessages,
    QueueAttributeName::ApproximateNumberOfMessagesNotVisible,
    QueueAttributeName::ApproximateNumberOfMessagesDelayed,
];

impl ports::DeadLetters for DeadLetters {
    async fn depth(&self) -> Result<u64, RetryableError> {
        let asked = self.client.get_queue_attributes().queue_url(&self.url);
        let answer = asked
            .set_attribute_names(Some(COUNTS.to_vec()))
            .send()
            .await;
        let counts = answer
            .map_err(|error| classified(SQS, &error))?
            .attributes
            .unwrap_or_default();
        Ok(COUNTS
            .iter()
            .filter_map(|name| counts.get(name)?.parse::<u64>().ok())
            .sum())
    }

    async fn receive(&self, hidden_for: Duration) -> Result<Vec<DeadLetter>, RetryableError> {
        let received = self
            .client
            .receive_message()
            .queue_url(&self.url)
            .max_number_of_messages(10)
            // Without waiting, SQS asks only some of its servers, and a short queue may look empty.
            .wait_time_seconds(1)
            .visibility_timeout(seconds(hidden_for))
            .send()
            .await
            .map_err(|error| classified(SQS, &error))?;
        let letters = received.messages.unwrap_or_default().into_iter();
        Ok(letters
            .map(|message| DeadLetter {
                message_id: message.message_id.unwrap_or_default(),
                body: message.body.unwrap_or_default(),
                receipt_handle: message.receipt_handle.unwrap_or_default(),
            })
            .collect())
    }

    async fn delete(&self, letter: &DeadLetter) -> Result<(), RetryableError> {
        let delete = self.client.delete_message().queue_url(&self.url);
        match delete.receipt_handle(&letter.receipt_handle).send().await {
            Ok(_) => Ok(()),
            // The message is deleted, or a later receiver has it.
            Err(SdkError::ServiceError(refusal))
                if refusal.err().is_receipt_handle_is_invalid() =>
            {
                Ok(())
            }
            Err(error) => Err(classified(SQS, &error)),
        }
    }
}
