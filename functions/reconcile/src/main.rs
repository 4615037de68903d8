//! Cold start of reconcile: log, configuration, run.

use aws::{SystemClock, client, log};
use lambda_runtime::{Error, LambdaEvent, service_fn};
use reconcile::{Reconcile, config::Config};
use serde::de::IgnoredAny;
use std::{sync::Arc, time::Duration};

/// The function has five minutes. A page takes eight seconds at most, and recovering a thousand events of each list less
/// than a minute.
const READING_TIME: Duration = Duration::from_mins(3);
/// Longer than the second or two from a webhook to its committed order.
const SECOND_LOOK: Duration = Duration::from_secs(20);

#[tokio::main]
async fn main() -> Result<(), Error> {
    log::start();
    let config = Config::load(&client::config()).await?;
    let reconcile = Reconcile {
        store: config.store,
        providers: config.providers,
        clock: Arc::new(SystemClock),
        mode: config.mode,
        shop: config.shop,
        look_back: config.look_back,
        reading_time: READING_TIME,
        second_look: SECOND_LOOK,
    };
    // The schedule's event says nothing but that it is time.
    lambda_runtime::run(service_fn(|_: LambdaEvent<IgnoredAny>| async {
        Box::pin(reconcile.run())
            .await
            .map(drop)
            .map_err(Error::from)
    }))
    .await
}
