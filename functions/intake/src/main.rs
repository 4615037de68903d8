//! Cold start of intake: log, configuration, run.

use aws::{SystemClock, client, log};
use intake::{Intake, config::Config, http};
use lambda_http::{Error, Request, service_fn};
use std::{sync::Arc, time::Duration};

/// The function has ten seconds; see `IntakeFunction` in the template.
const TIME_LIMIT: Duration = Duration::from_secs(8);

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Error> {
    log::start();
    let config = Config::load(&client::config_beside(&["dynamodb", "sqs"])).await?;
    let intake = &Intake {
        store: config.store,
        providers: config.providers,
        keys: config.keys,
        clock: Arc::new(SystemClock),
        max_body_bytes: config.max_body_bytes,
        time_limit: TIME_LIMIT,
    };
    lambda_http::run(service_fn(|request: Request| async move {
        let started_at = intake.clock.now();
        let answer = http::take(intake, &request).await;
        answer.log(intake.clock.now().duration_since(started_at).unsigned_abs());
        http::response(&answer).map_err(Error::from)
    }))
    .await
}
