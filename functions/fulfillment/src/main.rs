//! Cold start of fulfillment: log, settings, clients, run.

use aws::{
    Queues, Store, SystemClock, Tables,
    batch::{self, Invocation, Rules},
    client, log, secrets, settings,
};
use aws_lambda_events::event::sqs::SqsEvent;
use domain::{fulfillment::Policy, sale::restock::RestockPolicy, values::mode::Mode};
use fulfillment::{AT_ONCE, Fulfillment};
use jiff::SignedDuration;
use lambda_runtime::{Error, LambdaEvent, service_fn};
use std::{sync::Arc, time::Duration};

fn links_store(config: &client::SdkConfig, links: &str) -> Store {
    let tables = Tables {
        links: links.to_owned(),
        ..Tables::default()
    };
    Store::new(config, tables, Queues::default())
}

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
    let (key_arn, flex_url) = outside;
    let flex = flex_url.and_then(|url| settings.noted(flex::Api::new(&url)));
    let flex_key = async {
        let (arn, mode) = key_arn.as_ref().zip(numbers.0)?;
        Some(secrets::open(&config, arn, providers::read_flex_key(mode)).await)
    };
    let first_mode = async {
        let (links, mode) = names.4.as_ref().zip(numbers.0)?;
        Some(links_store(&config, links).check_mode(mode).await)
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
    let links_only = links_store(&config, &links);
    if first_mode.is_none()
        && settings
            .noted(links_only.begin_in_mode(mode).await)
            .is_none()
    {
        return Err(settings.stop().into());
    }

    let tables = Tables {
        events,
        orders,
        stock,
        receipts,
        links,
        entitlements,
    };
    let queues = Queues {
        receipts: receipt_url,
        source: source_url,
        ..Queues::default()
    };
    let store = Store::new(&config, tables, queues).with_retention(settings::days(retention_days));
    let grace = SignedDuration::from_hours(24 * i64::from(grace_days));
    let fulfillment = Fulfillment {
        store: store.clone(),
        api: providers::Providers { flex, flex_key },
        clock: Arc::new(SystemClock),
        policy: Policy {
            mode,
            restock,
            grace,
            payment_failed_mail,
            trial_ends_mail,
        },
        most_receives,
    };
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
            &store,
            &SystemClock,
        )
        .await
        .map_err(Error::from)
    }))
    .await
}
