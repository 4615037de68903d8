//! Cold start of receipts: log, settings, templates, clients, run.

use aws::{
    SystemClock,
    batch::{self, Invocation, Rules},
    client,
    entitlements::Entitlements,
    links::Marks,
    log,
    mailer::Mailer,
    orders::Orders,
    queue::Source,
    receipts::Receipts as Rows,
    settings,
};
use aws_lambda_events::event::sqs::SqsEvent;
use domain::receipt::OnUnknown;
use lambda_runtime::{Error, LambdaEvent, service_fn};
use mail::{Merchant, Settings};
use receipts::{AT_ONCE, Receipts, templates};
use std::{path::Path, time::Duration};

#[tokio::main]
async fn main() -> Result<(), Error> {
    log::start();
    let mut settings = settings::Settings::from(&settings::environment);
    let names = (
        settings.text("ORDERS_TABLE"),
        settings.text("ENTITLEMENTS_TABLE"),
        settings.text("LINKS_TABLE"),
        settings.text("RECEIPTS_TABLE"),
        settings.text("RECEIPT_QUEUE_URL"),
        settings.text("RECEIPT_TEMPLATES_DIR"),
        settings.text("CONFIGURATION_SET"),
    );
    let shop = (
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
    let merchant = match &shop {
        (
            Some(name),
            Some(address),
            Some(support_email),
            Some(sender),
            Some(time_zone),
            Some(test_recipient),
        ) => settings.noted(Merchant::new(Settings {
            name,
            address,
            support_email,
            sender,
            time_zone,
            test_recipient: Some(test_recipient),
        })),
        _ => None,
    };
    let (orders, entitlements, links, rows, source_url, templates_dir, configuration_set) = names;
    let templates =
        templates_dir.and_then(|folder| settings.noted(templates::load(Path::new(&folder))));
    let (
        (
            Some(orders),
            Some(entitlements),
            Some(links),
            Some(rows),
            Some(source_url),
            Some(configuration_set),
        ),
        (Some(on_unknown), Some(retry_base), Some(most_receives)),
        (Some(merchant), Some(templates)),
    ) = (
        (
            orders,
            entitlements,
            links,
            rows,
            source_url,
            configuration_set,
        ),
        numbers,
        (merchant, templates),
    )
    else {
        return Err(settings.stop().into());
    };

    let config = client::config().await;
    let dynamodb = aws_sdk_dynamodb::Client::new(&config);
    let receipts = Receipts {
        rows: Rows::new(dynamodb.clone(), rows),
        orders: Orders::new(dynamodb.clone(), orders),
        entitlements: Entitlements::new(dynamodb.clone(), entitlements),
        marks: Marks::new(dynamodb, links),
        mailer: Mailer::new(&config, configuration_set),
        clock: SystemClock,
        merchant,
        templates,
        on_unknown,
    };
    let source = Source::new(aws_sdk_sqs::Client::new(&config), source_url);
    let rules = Rules {
        retry_base: Duration::from_secs(retry_base),
        most_receives,
        at_once: AT_ONCE,
    };

    lambda_runtime::run(service_fn(|event: LambdaEvent<SqsEvent>| async {
        let LambdaEvent { payload, context } = event;
        let invocation = Invocation {
            request_id: &context.request_id,
            deadline_ms: context.deadline,
        };
        batch::run(payload, invocation, rules, &receipts, &source, &SystemClock)
            .await
            .map_err(Error::from)
    }))
    .await
}
