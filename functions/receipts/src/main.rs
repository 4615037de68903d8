//! Cold start of receipts: log, configuration, run.

use aws::{
    SystemClock,
    batch::{self, Invocation},
    client, log,
};
use aws_lambda_events::event::sqs::SqsEvent;
use lambda_runtime::{Error, LambdaEvent, service_fn};
use receipts::{Receipts, config::Config};
use std::sync::Arc;

#[tokio::main]
async fn main() -> Result<(), Error> {
    log::start();
    let config = Config::load(&client::config())?;
    let (store, rules) = (config.store, config.rules);
    let receipts = Receipts {
        store: store.clone(),
        mailer: config.mailer,
        clock: Arc::new(SystemClock),
        merchant: config.merchant,
        templates: config.templates,
        on_unknown: config.on_unknown,
    };
    lambda_runtime::run(service_fn(|event: LambdaEvent<SqsEvent>| async {
        let LambdaEvent { payload, context } = event;
        let invocation = Invocation {
            request_id: &context.request_id,
            deadline_ms: context.deadline,
        };
        batch::run(payload, invocation, rules, &receipts, &store, &SystemClock)
            .await
            .map_err(Error::from)
    }))
    .await
}
