//! Cold start of sweep: log, settings, clients, run.

use aws::{Queues, Store, SystemClock, Tables, client, log, queue::DeadLetters, settings};
use lambda_runtime::{Error, LambdaEvent, service_fn};
use serde::de::IgnoredAny;
use std::sync::Arc;
use sweep::{Limits, Sweep};

#[tokio::main]
async fn main() -> Result<(), Error> {
    log::start();
    let mut settings = settings::Settings::from(&settings::environment);
    let (events, receipts) = (
        settings.text("EVENTS_TABLE"),
        settings.text("RECEIPTS_TABLE"),
    );
    let queues = (
        settings.text("FULFILLMENT_QUEUE_URL"),
        settings.text("RECEIPT_QUEUE_URL"),
    );
    let dead_letters = [
        settings.text("FULFILLMENT_DEAD_LETTER_QUEUE_URL"),
        settings.text("RECEIPT_DEAD_LETTER_QUEUE_URL"),
        settings.text("FEEDBACK_DEAD_LETTER_QUEUE_URL"),
    ];
    let (
        (Some(events), Some(receipts)),
        (Some(fulfillment_url), Some(receipt_url)),
        [
            Some(fulfillment_dead),
            Some(receipt_dead),
            Some(feedback_dead),
        ],
    ) = ((events, receipts), queues, dead_letters)
    else {
        return Err(settings.stop().into());
    };

    let config = client::config().await;
    let sqs = aws_sdk_sqs::Client::new(&config);
    let tables = Tables {
        events,
        receipts,
        ..Tables::default()
    };
    let queues = Queues {
        fulfillment: fulfillment_url,
        receipts: receipt_url,
        ..Queues::default()
    };
    let sweep = Sweep {
        store: Store::new(&config, tables, queues),
        dead_letters: [fulfillment_dead, receipt_dead, feedback_dead]
            .map(|url| DeadLetters::new(sqs.clone(), url)),
        clock: Arc::new(SystemClock),
        limits: Limits::default(),
    };

    // That it is time is all that the schedule has to say.
    lambda_runtime::run(service_fn(|_: LambdaEvent<IgnoredAny>| async {
        sweep.run().await.map(drop).map_err(Error::from)
    }))
    .await
}
