//! Cold start of sweep: log, settings, clients, run.

use aws::{
    SystemClock, client,
    events::Events,
    log,
    queue::{DeadLetters, Jobs},
    receipts::Receipts,
    settings,
};
use lambda_runtime::{Error, LambdaEvent, service_fn};
use serde::de::IgnoredAny;
use std::time::Duration;
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
    let (dynamodb, sqs) = (
        aws_sdk_dynamodb::Client::new(&config),
        aws_sdk_sqs::Client::new(&config),
    );
    let sweep = Sweep {
        // It ends no event, so how long ended ones are kept is all the same to it.
        events: Events::new(dynamodb.clone(), events, Duration::MAX),
        receipts: Receipts::new(dynamodb, receipts),
        fulfillment_queue: Jobs::new(sqs.clone(), fulfillment_url),
        receipt_queue: Jobs::new(sqs.clone(), receipt_url),
        dead_letters: [fulfillment_dead, receipt_dead, feedback_dead]
            .map(|url| DeadLetters::new(sqs.clone(), url)),
        clock: SystemClock,
        limits: Limits::default(),
    };

    // That it is time is all that the schedule has to say.
    lambda_runtime::run(service_fn(|_: LambdaEvent<IgnoredAny>| async {
        sweep.run().await.map(drop).map_err(Error::from)
    }))
    .await
}
