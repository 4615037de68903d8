//! Cold start of fulfillment: log, settings, clients, run.

use aws::{
    SystemClock,
    batch::{self, Invocation, Rules},
    client,
    entitlements::Entitlements,
    events::Events,
    ledger::{Ledger, Tables},
    links::FirstMode,
    log,
    queue::{Jobs, Source},
    receipts::Receipts,
    secrets, settings,
};
use aws_lambda_events::event::sqs::SqsEvent;
use domain::{fulfillment::Policy, sale::restock::RestockPolicy, values::mode::Mode};
use fulfillment::{AT_ONCE, Fulfillment};
use jiff::SignedDuration;
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
        settings.text("LINKS_TABLE"),
        settings.text("ENTITLEMENTS_TABLE"),
    );
    let queues = (
        settings.text("FULFILLMENT_QUEUE_URL"),
        settings.text("RECEIPT_QUEUE_URL"),
    );
    let outside = (
        settings.text("FLEX_API_KEY_ARN"),
        settings.text("FLEX_API_BASE_URL"),
    );
    let numbers = (
        settings.parsed::<Mode>("MODE"),
        settings.parsed::<u32>("EVENT_RETENTION_DAYS"),
        settings.parsed::<u64>("RETRY_BASE_SECONDS"),
        settings.parsed::<u32>("MAX_RECEIVES"),
    );
    let choices = (
        settings.parsed::<RestockPolicy>("RESTOCK"),
        settings.parsed::<u32>("GRACE_DAYS"),
        settings.switch("PAYMENT_FAILED_MAIL"),
        settings.switch("TRIAL_ENDS_MAIL"),
    );
    let config = client::config().await;
    let dynamodb = aws_sdk_dynamodb::Client::new(&config);
    let (key_arn, flex_url) = outside;
    let flex = flex_url.and_then(|url| settings.noted(flex::Api::new(&url)));
    let flex_key = async {
        let (arn, mode) = key_arn.as_ref().zip(numbers.0)?;
        Some(secrets::open(&config, arn, providers::read_flex_key(mode)).await)
    };
    let first_mode = async {
        let (links, mode) = names.4.as_ref().zip(numbers.0)?;
        Some(FirstMode::new(dynamodb.clone(), links).check(mode).await)
    };
    let (flex_key, first_mode) = tokio::join!(flex_key, first_mode);
    let flex_key = flex_key.and_then(|tried| settings.noted(tried));
    let first_mode = first_mode.and_then(|tried| settings.noted(tried));
    let (
        (Some(events), Some(orders), Some(stock), Some(receipts), Some(links), Some(entitlements)),
        (Some(source_url), Some(receipt_url)),
        (Some(mode), Some(retention_days), Some(retry_base), Some(most_receives)),
        (Some(restock), Some(grace_days), Some(payment_failed_mail), Some(trial_ends_mail)),
        (Some(flex), Some(flex_key), Some(first_mode)),
    ) = (
        names,
        queues,
        numbers,
        choices,
        (flex, flex_key, first_mode),
    )
    else {
        return Err(settings.stop().into());
    };

    // Only now: a first start that fails must leave the owner free to correct the mode.
    let claim = async || FirstMode::new(dynamodb.clone(), &links).claim(mode).await;
    if first_mode.is_none() && settings.noted(claim().await).is_none() {
        return Err(settings.stop().into());
    }

    let sqs = aws_sdk_sqs::Client::new(&config);
    let tables = Tables {
        events: events.clone(),
        orders,
        stock,
        receipts: receipts.clone(),
        links,
        entitlements: entitlements.clone(),
    };
    let grace = SignedDuration::from_hours(24 * i64::from(grace_days));
    let fulfillment = Fulfillment {
        events: Events::new(dynamodb.clone(), events, settings::days(retention_days)),
        receipts: Receipts::new(dynamodb.clone(), receipts),
        entitlements: Entitlements::new(dynamodb.clone(), entitlements),
        ledger: Ledger::new(dynamodb, tables),
        receipt_queue: Jobs::new(sqs.clone(), receipt_url),
        api: providers::Providers { flex, flex_key },
        clock: SystemClock,
        policy: Policy {
            mode,
            restock,
            grace,
            payment_failed_mail,
            trial_ends_mail,
        },
        most_receives,
    };
    let source = Source::new(sqs, source_url);
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
        batch::run(
            payload,
            invocation,
            rules,
            &fulfillment,
            &source,
            &SystemClock,
        )
        .await
        .map_err(Error::from)
    }))
    .await
}
