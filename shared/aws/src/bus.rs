//! The event bus: EventBridge.

use crate::failure::classified;
use aws_config::SdkConfig;
use aws_sdk_eventbridge::{primitives::DateTime, types::PutEventsRequestEntry};
use domain::{announcement::Entry, ports, values::outcome::RetryableError};

const EVENTBRIDGE: &str = "EventBridge";
/// The `source` of every announcement.
pub const SOURCE: &str = "fulfillment";

/// A bus of EventBridge.
#[derive(Debug, Clone)]
pub struct Bus {
    client: aws_sdk_eventbridge::Client,
    /// Its name or ARN.
    name: String,
}

impl Bus {
    /// The bus with this name or ARN.
    #[must_use]
    pub fn new(config: &SdkConfig, name: String) -> Self {
        let client = aws_sdk_eventbridge::Client::new(config);
        Self { client, name }
    }

    fn entry(&self, entry: &Entry) -> PutEventsRequestEntry {
        PutEventsRequestEntry::builder()
            .event_bus_name(&self.name)
            .source(SOURCE)
            .detail_type(entry.kind.as_str())
            .time(DateTime::from_secs(entry.occurred_at.as_second()))
            .detail(&entry.detail)
            .build()
    }
}

impl ports::Bus for Bus {
    async fn publish(&self, entries: &[Entry]) -> Result<Vec<Option<String>>, RetryableError> {
        let all = entries.iter().map(|entry| self.entry(entry)).collect();
        let sent = self.client.put_events().set_entries(Some(all)).send().await;
        let answer = sent.map_err(|error| classified(EVENTBRIDGE, &error))?;
        let answers = answer.entries.unwrap_or_default();
        if answers.len() != entries.len() {
            return Err(RetryableError::Away {
                service: EVENTBRIDGE,
                cause: "it did not answer for each entry".to_owned(),
                retry_after: None,
            });
        }
        // An entry without an id is not on the bus. The code is a word, the message may quote the entry.
        let refused = |answer: aws_sdk_eventbridge::types::PutEventsResultEntry| {
            let code = answer.error_code.unwrap_or_else(|| "no code".to_owned());
            answer.event_id.is_none().then_some(code)
        };
        Ok(answers.into_iter().map(refused).collect())
    }
}
