//! Cold start of intake: log, settings, clients, run.

use aws::{Queues, Store, SystemClock, Tables, client, log, secrets, settings};
use intake::{
    Intake, http,
    secrets::{Secrets, flex_keys},
};
use lambda_http::{Error, Request, service_fn};
use std::{sync::Arc, time::Duration};

/// Of the function's ten seconds; see `IntakeFunction` in the template.
const TIME_LIMIT: Duration = Duration::from_secs(8);

#[tokio::main]
async fn main() -> Result<(), Error> {
    log::start();
    let mut settings = settings::Settings::from(&settings::environment);
    let events_table = settings.text("EVENTS_TABLE");
    let queue_url = settings.text("FULFILLMENT_QUEUE_URL");
    let flex_secrets = settings.text("FLEX_WEBHOOK_SECRETS_ARN");
    let max_body_bytes = settings.parsed("MAX_BODY_BYTES");
    let retention_days = settings.parsed::<u32>("EVENT_RETENTION_DAYS");
    let config = client::config().await;
    let flex = match &flex_secrets {
        Some(arn) => settings.noted(secrets::open(&config, arn, flex_keys).await),
        None => None,
    };
    let (Some(events_table), Some(queue_url), Some(max_body_bytes), Some(days), Some(flex)) = (
        events_table,
        queue_url,
        max_body_bytes,
        retention_days,
        flex,
    ) else {
        return Err(settings.stop().into());
    };

    let intake = Intake {
        store: Store::new(
            &config,
            Tables {
                events: events_table,
                ..Tables::default()
            },
            Queues {
                fulfillment: queue_url,
                ..Queues::default()
            },
        )
        .with_retention(settings::days(days)),
        keys: Secrets { flex },
        clock: Arc::new(SystemClock),
        max_body_bytes,
        time_limit: TIME_LIMIT,
    };

    let intake = &intake;
    lambda_http::run(service_fn(|request: Request| async move {
        let started_at = intake.clock.now();
        let answer = http::take(intake, &request).await;
        answer.log(intake.clock.now().duration_since(started_at).unsigned_abs());
        http::response(&answer).map_err(Error::from)
    }))
    .await
}
