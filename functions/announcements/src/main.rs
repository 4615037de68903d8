//! Cold start of announcements: log, configuration, run.

use announcements::{Announcer, Call, Limits, config::Config};
use aws::{SystemClock, client, log};
use lambda_runtime::{Error, LambdaEvent, service_fn};
use std::sync::Arc;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Error> {
    log::start();
    let config = Config::load(&client::config())?;
    let announcer = Announcer {
        store: config.store,
        bus: config.bus,
        clock: Arc::new(SystemClock),
        mode: config.mode,
        announces_contacts: config.announces_contacts,
        limits: Limits::default(),
    };
    let announcer = &announcer;
    lambda_runtime::run(service_fn(|event: LambdaEvent<Call>| async move {
        announcer.answer(&event.payload).await.map_err(Error::from)
    }))
    .await
}
