//! Cold start of feedback: log, configuration, run.

use aws::{
    SystemClock,
    batch::{self, Invocation},
    client, log,
};
use aws_lambda_events::event::sqs::SqsEvent;
use feedback::{Feedback, config::Config, without_trials};
use lambda_runtime::{Error, LambdaEvent, service_fn};
use std::sync::Arc;

#[tokio::main]
async fn main() -> Result<(), Error> {
    log::start();
    let Config { store, rules } = Config::load(&client::config())?;
    let feedback = Feedback {
        store: store.clone(),
        clock: Arc::new(SystemClock),
    };
    lambda_runtime::run(service_fn(|event: LambdaEvent<SqsEvent>| async {
        let LambdaEvent { payload, context } = event;
        let invocation = Invocation {
            request_id: &context.request_id,
            deadline_ms: context.deadline,
        };
        let batch = without_trials(payload);
        batch::run(batch, invocation, rules, &feedback, &store, &SystemClock)
            .await
            .map_err(Error::from)
    }))
    .await
}
