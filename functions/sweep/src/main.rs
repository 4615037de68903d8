//! Cold start of sweep: log, settings, clients, run.

use aws::{SystemClock, client, log, queue::Jobs, receipts::Receipts, settings};
use lambda_runtime::{Error, LambdaEvent, service_fn};
use serde::de::IgnoredAny;
use sweep::Sweep;

#[tokio::main]
async fn main() -> Result<(), Error> {
    log::start();
    let mut settings = settings::Settings::from(&settings::environment);
    let names = (settings.text("RECEIPTS_TABLE"), settings.text("RECEIPT_QUEUE_URL"));
    let (Some(receipts), Some(receipt_url)) = names else { return Err(settings.stop().into()) };

    let config = client::config().await;
    let sweep = Sweep {
        receipts: Receipts::new(aws_sdk_dynamodb::Client::new(&config), receipts),
        queue: Jobs::new(aws_sdk_sqs::Client::new(&config), receipt_url),
        clock: SystemClock,
    };

    // The hour itself is all that the schedule has to say.
    lambda_runtime::run(service_fn(|_: LambdaEvent<IgnoredAny>| async {
        sweep.run().await.map(drop).map_err(Error::from)
    }))
    .await
}
