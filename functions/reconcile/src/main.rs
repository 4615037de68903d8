//! Cold start of reconcile: log, settings, clients, run.

use aws::{
    SystemClock, client,
    entitlements::Entitlements,
    events::Events,
    ledger::{Ledger, Tables},
    links::FirstMode,
    log,
    queue::Jobs,
    secrets, settings,
};
use domain::values::mode::Mode;
use flex::Limits;
use jiff::SignedDuration;
use lambda_runtime::{Error, LambdaEvent, service_fn};
use reconcile::Reconcile;
use serde::de::IgnoredAny;
use std::time::Duration;

/// Of the function's five minutes. A page takes eight seconds at most, and a thousand gaps of each list are made up for
/// in less than a minute.
const READING_TIME: Duration = Duration::from_mins(3);
/// From webhook to committed order it takes a second or two.
const SECOND_LOOK: Duration = Duration::from_secs(20);
/// A hundred checkouts with all that they have.
const LARGEST_PAGE: usize = 8 * 1024 * 1024;

#[tokio::main]
async fn main() -> Result<(), Error> {
    log::start();
    let mut settings = settings::Settings::from(&settings::environment);
    let names = (
        settings.text("EVENTS_TABLE"),
        settings.text("ORDERS_TABLE"),
        settings.text("LINKS_TABLE"),
        settings.text("ENTITLEMENTS_TABLE"),
        settings.text("FULFILLMENT_QUEUE_URL"),
    );
    let outside = (
        settings.text("FLEX_API_KEY_ARN"),
        settings.text("FLEX_API_BASE_URL"),
    );
    let numbers = (
        settings.parsed::<Mode>("MODE"),
        settings.parsed::<u32>("EVENT_RETENTION_DAYS"),
        settings.parsed::<u32>("RECONCILE_DAYS"),
    );
    let config = client::config().await;
    let dynamodb = aws_sdk_dynamodb::Client::new(&config);
    let (key_arn, flex_url) = outside;
    let limits = Limits {
        bytes: LARGEST_PAGE,
        ..Limits::default()
    };
    let flex = flex_url.and_then(|url| settings.noted(flex::Api::with_limits(&url, limits)));
    let flex_key = async {
        let (arn, mode) = key_arn.as_ref().zip(numbers.0)?;
        Some(secrets::open(&config, arn, providers::read_flex_key(mode)).await)
    };
    let first_mode = async {
        let (links, mode) = names.2.as_ref().zip(numbers.0)?;
        Some(FirstMode::new(dynamodb.clone(), links).check(mode).await)
    };
    let (flex_key, first_mode) = tokio::join!(flex_key, first_mode);
    let flex_key = flex_key.and_then(|tried| settings.noted(tried));
    let first_mode = first_mode.and_then(|tried| settings.noted(tried));
    let (
        (Some(events), Some(orders), Some(links), Some(entitlements), Some(queue_url)),
        (Some(mode), Some(retention_days), Some(days)),
        (Some(flex), Some(flex_key), Some(_)),
    ) = (names, numbers, (flex, flex_key, first_mode))
    else {
        return Err(settings.stop().into());
    };

    let tables = Tables {
        events: events.clone(),
        orders,
        links,
        entitlements: entitlements.clone(),
        // Nothing of these is read or written here.
        stock: String::new(),
        receipts: String::new(),
    };
    let reconcile = Reconcile {
        api: providers::Providers { flex, flex_key },
        events: Events::new(dynamodb.clone(), events, settings::days(retention_days)),
        entitlements: Entitlements::new(dynamodb.clone(), entitlements),
        ledger: Ledger::new(dynamodb, tables),
        queue: Jobs::new(aws_sdk_sqs::Client::new(&config), queue_url),
        clock: SystemClock,
        mode,
        look_back: SignedDuration::from_hours(24 * i64::from(days)),
        reading_time: READING_TIME,
        second_look: SECOND_LOOK,
    };

    // The hour itself is all that the schedule has to say.
    lambda_runtime::run(service_fn(|_: LambdaEvent<IgnoredAny>| async {
        reconcile.run().await.map(drop).map_err(Error::from)
    }))
    .await
}
