//! SQS: jobs out, failed messages left alone for a while, and what was given up on.

use crate::failure::classified;
use aws_sdk_sqs::{Client, error::SdkError, types::QueueAttributeName};
use domain::{
    delivery::job::Job,
    ports::{self, DeadLetter, Delay, Queue},
    values::outcome::RetryableError,
};
use std::{marker::PhantomData, time::Duration};

const SERVICE: &str = "SQS";

/// A queue to hand jobs to.
#[derive(Debug)]
pub struct Jobs<J> {
    client: Client,
    url: String,
    kind: PhantomData<fn(J)>,
}

impl<J> Jobs<J> {
    /// The queue at that URL.
    #[must_use]
    pub fn new(client: Client, url: impl Into<String>) -> Self {
        Self {
            client,
            url: url.into(),
            kind: PhantomData,
        }
    }
}

impl<J: Job> Queue<J> for Jobs<J> {
    async fn send(&self, job: &J) -> Result<(), RetryableError> {
        let body = serde_json::to_string(job).map_err(|error| {
            RetryableError::Fault(format!("a job could not be written: {error}"))
        })?;
        let sent = self
            .client
            .send_message()
            .queue_url(&self.url)
            .message_body(body)
            .send()
            .await;
        sent.map(drop).map_err(|error| classified(SERVICE, &error))
    }
}

/// The queue that a function is fed from.
#[derive(Debug)]
pub struct Source {
    client: Client,
    url: String,
}

impl Source {
    /// The queue at that URL.
    #[must_use]
    pub fn new(client: Client, url: impl Into<String>) -> Self {
        Self {
            client,
            url: url.into(),
        }
    }
}

impl Delay for Source {
    async fn delay(&self, receipt_handle: &str, by: Duration) -> Result<(), RetryableError> {
        let changed = self
            .client
            .change_message_visibility()
            .queue_url(&self.url)
            .receipt_handle(receipt_handle)
            .visibility_timeout(seconds(by))
            .send()
            .await;
        changed
            .map(drop)
            .map_err(|error| classified(SERVICE, &error))
    }
}

/// Rounded up: back too early would be one receive wasted.
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
    pub fn new(client: Client, url: impl Into<String>) -> Self {
        Self {
            client,
            url: url.into(),
        }
    }
}

/// What together makes a queue's depth.
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
            .map_err(|error| classified(SERVICE, &error))?
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
            // Without waiting, SQS asks some of its servers only, and says of a short queue that it is empty.
            .wait_time_seconds(1)
            .visibility_timeout(seconds(hidden_for))
            .send()
            .await
            .map_err(|error| classified(SERVICE, &error))?;
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
            // It is deleted, or somebody else has received it since: theirs to delete.
            Err(SdkError::ServiceError(refusal))
                if refusal.err().is_receipt_handle_is_invalid() =>
            {
                Ok(())
            }
            Err(error) => Err(classified(SERVICE, &error)),
        }
    }
}
