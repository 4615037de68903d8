//! Cold start of fulfillment: log, configuration, run.

use aws::{
    SystemClock,
    batch::{self, Invocation},
    client, log,
};
use aws_lambda_events::event::sqs::SqsEvent;
use fulfillment::{Fulfillment, config::Config};
use lambda_runtime::{Error, LambdaEvent, service_fn};
use std::sync::Arc;

#[tokio::main]
async fn main() -> Result<(), Error> {
    log::start();
    let config = Config::load(&client::config_beside(&["dynamodb", "sqs"])).await?;
    let (store, rules) = (config.store, config.rules);
    let fulfillment = Fulfillment {
        store: store.clone(),
        providers: config.providers,
        clock: Arc::new(SystemClock),
        policy: config.policy,
        most_receives: rules.most_receives,
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
