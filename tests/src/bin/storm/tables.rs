//! Whole tables, as they lie there, and what an operator does by hand, as OPERATIONS.md says it.

use aws_sdk_dynamodb::types::AttributeValue;
use kit::{play::PlayError, stack::Stack};
use std::collections::{BTreeMap, HashMap};

/// What every poison message begins with.
pub(crate) const POISON: &str = "poison";

/// A row.
#[derive(Debug, Clone)]
pub(crate) struct Row(HashMap<String, AttributeValue>);

impl Row {
    pub(crate) fn text(&self, name: &str) -> &str {
        self.0.get(name).and_then(|value| value.as_s().ok()).map_or("", String::as_str)
    }

    pub(crate) fn number(&self, name: &str) -> i64 {
        let number = self.0.get(name).and_then(|value| value.as_n().ok());
        number.and_then(|number| number.parse().ok()).unwrap_or_default()
    }
}

/// The tables and queues of a stack.
#[derive(Debug, Clone)]
pub(crate) struct Desk {
    stack: Stack,
    dynamodb: aws_sdk_dynamodb::Client,
    sqs: aws_sdk_sqs::Client,
}

fn failed(error: impl std::fmt::Debug) -> PlayError {
    PlayError::Queue(format!("{error:?}"))
}

impl Desk {
    pub(crate) async fn at(stack: &Stack) -> Self {
        let config = stack.config().await;
        Self {
            stack: stack.clone(),
            dynamodb: aws_sdk_dynamodb::Client::new(&config),
            sqs: aws_sdk_sqs::Client::new(&config),
        }
    }

    /// All rows of a table.
    pub(crate) async fn rows(&self, table: &str) -> Result<Vec<Row>, PlayError> {
        let pages =
            self.dynamodb.scan().table_name(table).consistent_read(true).into_paginator().items().send();
        let items: Result<Vec<_>, _> = pages.collect().await;
        Ok(items.map_err(failed)?.into_iter().map(Row).collect())
    }

    /// How long a message stays hidden whose function died.
    pub(crate) async fn hide_for(&self, seconds: u32) -> Result<(), PlayError> {
        for queue in [&self.stack.queues.fulfillment, &self.stack.queues.receipt] {
            let set = self.sqs.set_queue_attributes().queue_url(queue);
            let name = aws_sdk_sqs::types::QueueAttributeName::VisibilityTimeout;
            set.attributes(name, seconds.to_string()).send().await.map_err(failed)?;
        }
        Ok(())
    }

    /// Moves what lies in the dead-letter queues back, but for poison. The local AWS has no task for that.
    pub(crate) async fn redrive(&self) -> Result<usize, PlayError> {
        let queues = &self.stack.queues;
        let mut moved = 0;
        for (dead, queue) in [
            (&queues.fulfillment_dead_letter, &queues.fulfillment),
            (&queues.receipt_dead_letter, &queues.receipt),
        ] {
            loop {
                let receive = self.sqs.receive_message().queue_url(dead).max_number_of_messages(10);
                let received = receive.visibility_timeout(5).send().await.map_err(failed)?;
                let messages = received.messages.unwrap_or_default();
                if messages.is_empty() {
                    break;
                }
                for message in messages {
                    let body = message.body.unwrap_or_default();
                    if body.starts_with(POISON) {
                        continue;
                    }
                    self.sqs
                        .send_message()
                        .queue_url(queue)
                        .message_body(body)
                        .send()
                        .await
                        .map_err(failed)?;
                    let delete = self.sqs.delete_message().queue_url(dead);
                    delete.set_receipt_handle(message.receipt_handle).send().await.map_err(failed)?;
                    moved += 1;
                }
            }
        }
        Ok(moved)
    }

    /// Releases all parked events. By their reasons, how many.
    pub(crate) async fn release(&self) -> Result<BTreeMap<String, usize>, PlayError> {
        let mut released = BTreeMap::new();
        for event in self.rows(&self.stack.tables.events).await? {
            if event.text("state") != "parked" {
                continue;
            }
            let event_id = event.text("event_id");
            let text = |text: &str| AttributeValue::S(text.to_owned());
            self.dynamodb
                .update_item()
                .table_name(&self.stack.tables.events)
                .key("event_id", text(event_id))
                .update_expression("SET #state = :stored, #pending = :stored REMOVE #reason, expires_at")
                .condition_expression("#state = :from")
                .expression_attribute_names("#state", "state")
                .expression_attribute_names("#pending", "pending")
                .expression_attribute_names("#reason", "reason")
                .expression_attribute_values(":stored", text("stored"))
                .expression_attribute_values(":from", text("parked"))
                .send()
                .await
                .map_err(failed)?;
            let job = serde_json::json!({"version": "1", "event_id": event_id});
            let send = self.sqs.send_message().queue_url(&self.stack.queues.fulfillment);
            send.message_body(job.to_string()).send().await.map_err(failed)?;
            *released.entry(event.text("reason").to_owned()).or_default() += 1;
        }
        Ok(released)
    }
}
