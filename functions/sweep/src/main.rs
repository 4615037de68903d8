//! Cold start of sweep: log, configuration, run.

use aws::{SystemClock, client, log};
use lambda_runtime::{Error, LambdaEvent, service_fn};
use serde::de::IgnoredAny;
use std::sync::Arc;
use sweep::{Limits, Sweep, config::Config};

#[tokio::main]
async fn main() -> Result<(), Error> {
    log::start();
    let config = Config::load(&client::config())?;
    let sweep = Sweep {
        store: config.store,
        dead_letters: config.dead_letters,
        clock: Arc::new(SystemClock),
        limits: Limits::default(),
        restock: config.restock,
    };
    // The schedule's event says nothing but that it is time.
    lambda_runtime::run(service_fn(|_: LambdaEvent<IgnoredAny>| async {
        sweep.run().await.map(drop).map_err(Error::from)
    }))
    .await
}
