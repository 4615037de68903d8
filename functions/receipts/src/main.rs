//! Cold start of receipts: log, settings, templates, clients, run.

use aws::{
    SystemClock,
    batch::{self, Retries},
    client, log,
    mailer::Mailer,
    orders::Orders,
    queue::Source,
    receipts::Receipts as Rows,
    settings,
};
use aws_lambda_events::event::sqs::SqsEvent;
use domain::{
    ports::Clock,
    receipt::{
        OnUnknown,
        mail::{Merchant, Settings},
    },
};
use lambda_runtime::{Error, LambdaEvent, service_fn};
use receipts::{Receipts, templates};
use std::{path::Path, time::Duration};

#[tokio::main]
async fn main() -> Result<(), Error> {
    log::start();
    let mut settings = settings::Settings::from(&settings::environment);
    let names = (
        settings.text("ORDERS_TABLE"),
        settings.text("RECEIPTS_TABLE"),
        settings.text("RECEIPT_QUEUE_URL"),
        settings.text("RECEIPT_TEMPLATES_DIR"),
    );
    let merchant = (
        settings.text("MERCHANT_NAME"),
        settings.text("MERCHANT_ADDRESS"),
        settings.text("SUPPORT_EMAIL"),
        settings.text("RECEIPT_SENDER"),
        settings.text("TIME_ZONE"),
        settings.text("TEST_RECEIPT_RECIPIENT"),
    );
    let numbers = (
        settings.parsed::<OnUnknown>("RECEIPT_ON_UNKNOWN"),
        settings.parsed::<u64>("RETRY_BASE_SECONDS"),
        settings.parsed::<u32>("MAX_RECEIVES"),
    );
    let (
        (Some(orders), Some(rows), Some(source_url), Some(templates_dir)),
        (Some(name), Some(address), Some(support_email), Some(sender), Some(time_zone), Some(test_recipient)),
        (Some(on_unknown), Some(base), Some(most_receives)),
    ) = (names, merchant, numbers)
    else {
        return Err(settings.stop().into());
    };
    let merchant = Merchant::new(Settings {
        name: &name,
        address: &address,
        support_email: &support_email,
        sender: &sender,
        time_zone: &time_zone,
        test_recipient: Some(&test_recipient),
    });
    let templates = templates::load(Path::new(&templates_dir));
    let (merchant, templates) = match (merchant, templates) {
        (Ok(merchant), Ok(templates)) => (merchant, templates),
        (merchant, templates) => {
            let wrong =
                [merchant.err().map(|bad| bad.to_string()), templates.err().map(|bad| bad.to_string())];
            for problem in wrong.into_iter().flatten() {
                settings.problem(problem);
            }
            return Err(settings.stop().into());
        }
    };

    let config = client::config().await;
    let dynamodb = aws_sdk_dynamodb::Client::new(&config);
    let receipts = Receipts {
        rows: Rows::new(dynamodb.clone(), rows),
        orders: Orders::new(dynamodb, orders),
        mailer: Mailer::new(&config),
        clock: SystemClock,
        merchant,
        templates,
        on_unknown,
    };
    let source = Source::new(aws_sdk_sqs::Client::new(&config), source_url);
    let retries = Retries { base: Duration::from_secs(base), most_receives };

    lambda_runtime::run(service_fn(|event: LambdaEvent<SqsEvent>| async {
        let LambdaEvent { payload, context } = event;
        let time_left = batch::time_left(context.deadline, receipts.clock.now());
        batch::run(payload, &context.request_id, time_left, retries, &receipts, &source)
            .await
            .map_err(Error::from)
    }))
    .await
}
