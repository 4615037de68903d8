//! The backend on AWS.

mod failure;
mod find;
mod platform;

pub use find::{Found, find};

use crate::backend::{Backend, Hop, Platform, Stack};
use aws::{Queues, Store, Tables, queue::DeadLetters};
use aws_config::SdkConfig;
use domain::{ports::Answering, values::outcome::RetryableError};
use platform::AwsPlatform;
use std::time::Duration;

/// A stack on AWS, or on the local one.
#[derive(Debug)]
pub struct Live {
    store: Store,
    letters: [DeadLetters; 3],
    platform: AwsPlatform,
    sqs: aws_sdk_sqs::Client,
    feedback_url: String,
}

impl Live {
    /// The backend of a stack.
    #[must_use]
    pub fn new(config: &SdkConfig, stack: &Stack) -> Self {
        let of = |name: &str| stack.resources.get(name).cloned().unwrap_or_default();
        let tables = Tables {
            events: of("EventsTable"),
            orders: of("OrdersTable"),
            links: of("LinksTable"),
            stock: of("StockTable"),
            entitlements: of("EntitlementsTable"),
            receipts: of("ReceiptsTable"),
            resources: of("ResourcesTable"),
            announcements: of("AnnouncementsTable"),
        };
        let queues = Queues {
            fulfillment: of("FulfillmentQueue"),
            receipts: of("ReceiptQueue"),
            source: String::new(),
        };
        let days = stack.number("EventRetentionDays", 90).unsigned_abs();
        let retention = Duration::from_hours(24 * days);
        let letters = ["Fulfillment", "Receipt", "Feedback"];
        Self {
            store: Store::new(config, tables, queues).with_retention(retention),
            letters: letters
                .map(|name| DeadLetters::new(config, of(&format!("{name}DeadLetterQueue")))),
            platform: AwsPlatform::new(config, stack),
            sqs: aws_sdk_sqs::Client::new(config),
            feedback_url: of("FeedbackQueue"),
        }
    }
}

impl Backend for Live {
    type Store = Store;
    type Letters = DeadLetters;

    fn store(&self) -> &Store {
        &self.store
    }

    fn letters(&self, hop: Hop) -> &DeadLetters {
        let [fulfillment, receipts, feedback] = &self.letters;
        match hop {
            Hop::Fulfillment => fulfillment,
            Hop::Receipts => receipts,
            Hop::Feedback => feedback,
        }
    }

    fn send_report<'a>(&'a self, body: &'a str) -> Answering<'a, Result<(), RetryableError>> {
        Box::pin(async move {
            let message = self.sqs.send_message().queue_url(&self.feedback_url);
            let sent = message.message_body(body).send().await;
            sent.map(drop).map_err(|error| RetryableError::Away {
                service: "SQS",
                cause: failure::text(&error),
                retry_after: None,
            })
        })
    }

    fn platform(&self) -> &dyn Platform {
        &self.platform
    }
}
