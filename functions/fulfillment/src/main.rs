//! Cold start of fulfillment: log, settings, clients, run.

use aws::{
    SystemClock,
    batch::{self, Retries},
    client,
    events::Events,
    ledger::{Ledger, Tables},
    log,
    orders::Orders,
    queue::{Jobs, Source},
    receipts::Receipts,
    secrets, settings,
};
use aws_lambda_events::event::sqs::SqsEvent;
use domain::{mode::Mode, ports::Clock};
use fulfillment::{Fulfillment, provider};
use lambda_runtime::{Error, LambdaEvent, service_fn};
use std::time::Duration;

#[tokio::main]
async fn main() -> Result<(), Error> {
    log::start();
    let mut settings = settings::Settings::from(&settings::environment);
    let names = (
        settings.text("EVENTS_TABLE"),
        settings.text("ORDERS_TABLE"),
        settings.text("STOCK_TABLE"),
        settings.text("RECEIPTS_TABLE"),
        settings.text("FULFILLMENT_QUEUE_URL"),
        settings.text("RECEIPT_QUEUE_URL"),
        settings.text("PROVIDER_SECRETS"),
        settings.text("FLEX_API_BASE_URL"),
    );
    let numbers = (
        settings.parsed::<Mode>("MODE"),
        settings.parsed::<u32>("EVENT_RETENTION_DAYS"),
        settings.parsed::<u64>("RETRY_BASE_SECONDS"),
        settings.parsed::<u32>("MAX_RECEIVES"),
    );
    let (
        (
            Some(events),
            Some(orders),
            Some(stock),
            Some(receipts),
            Some(source_url),
            Some(receipt_url),
            Some(secret_id),
            Some(flex_url),
        ),
        (Some(mode), Some(retention_days), Some(base), Some(most_receives)),
    ) = (names, numbers)
    else {
        return Err(settings.stop().into());
    };

    let config = client::config().await;
    let flex = match flex::Api::new(&flex_url) {
        Ok(flex) => flex,
        Err(error) => return Err(settings.stop_for(&format!("FLEX_API_BASE_URL: {error}")).into()),
    };
    let store = secrets::SecretsManager::new(aws_sdk_secretsmanager::Client::new(&config), secret_id);
    let keys = match secrets::Cache::open(store, provider::read_keys(mode), SystemClock).await {
        Ok(keys) => keys,
        Err(error) => return Err(settings.stop_for(&error).into()),
    };
    let dynamodb = aws_sdk_dynamodb::Client::new(&config);
    let sqs = aws_sdk_sqs::Client::new(&config);
    let tables = Tables { events: events.clone(), orders: orders.clone(), stock, receipts: receipts.clone() };
    let fulfillment = Fulfillment {
        events: Events::new(dynamodb.clone(), events, settings::days(retention_days)),
        orders: Orders::new(dynamodb.clone(), orders),
        receipts: Receipts::new(dynamodb.clone(), receipts),
        ledger: Ledger::new(dynamodb, tables),
        receipt_queue: Jobs::new(sqs.clone(), receipt_url),
        checkouts: provider::Providers { flex, keys },
        clock: SystemClock,
        mode,
    };
    let source = Source::new(sqs, source_url);
    let retries = Retries { base: Duration::from_secs(base), most_receives };

    lambda_runtime::run(service_fn(|event: LambdaEvent<SqsEvent>| async {
        let LambdaEvent { payload, context } = event;
        let time_left = batch::time_left(context.deadline, fulfillment.clock.now());
        batch::run(payload, &context.request_id, time_left, retries, &fulfillment, &source)
            .await
            .map_err(Error::from)
    }))
    .await
}
