//! SQS: jobs out, and failed messages left alone for a while.

use crate::failure::setback;
use aws_sdk_sqs::Client;
use domain::{
    job::Job,
    outcome::Setback,
    ports::{Delay, Queue},
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
        Self { client, url: url.into(), kind: PhantomData }
    }
}

impl<J: Job> Queue<J> for Jobs<J> {
    async fn send(&self, job: &J) -> Result<(), Setback> {
        let body = serde_json::to_string(job)
            .map_err(|error| Setback::Fault(format!("a job could not be written: {error}")))?;
        let sent = self.client.send_message().queue_url(&self.url).message_body(body).send().await;
        sent.map(drop).map_err(|error| setback(SERVICE, &error))
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
        Self { client, url: url.into() }
    }
}

impl Delay for Source {
    async fn delay(&self, receipt_handle: &str, by: Duration) -> Result<(), Setback> {
        // Rounded up: back too early would be one receive wasted.
        let seconds = by.as_secs() + u64::from(by.subsec_nanos() > 0);
        let seconds = i32::try_from(seconds).unwrap_or(i32::MAX);
        let changed = self
            .client
            .change_message_visibility()
            .queue_url(&self.url)
            .receipt_handle(receipt_handle)
            .visibility_timeout(seconds)
            .send()
            .await;
        changed.map(drop).map_err(|error| setback(SERVICE, &error))
    }
}
