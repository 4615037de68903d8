//! Cold start of feedback: log, settings, clients, run.

use aws::{
    Queues, Store, SystemClock, Tables,
    batch::{self, Invocation, Rules},
    client, log, settings,
};
use aws_lambda_events::event::sqs::SqsEvent;
use feedback::{AT_ONCE, Feedback, without_trials};
use lambda_runtime::{Error, LambdaEvent, service_fn};
use std::{sync::Arc, time::Duration};

#[tokio::main]
async fn main() -> Result<(), Error> {
    log::start();
    let mut settings = settings::Settings::from(&settings::environment);
    let names = (
        settings.text("ORDERS_TABLE"),
        settings.text("LINKS_TABLE"),
        settings.text("RECEIPTS_TABLE"),
        settings.text("FEEDBACK_QUEUE_URL"),
    );
    let numbers = (
        settings.parsed::<u64>("RETRY_BASE_SECONDS"),
        settings.parsed::<u32>("MAX_RECEIVES"),
    );
    let (
        (Some(orders), Some(links), Some(receipts), Some(source_url)),
        (Some(retry_base), Some(most_receives)),
    ) = (names, numbers)
    else {
        return Err(settings.stop().into());
    };

    let config = client::config().await;
    let tables = Tables {
        orders,
        links,
        receipts,
        ..Tables::default()
    };
    let queues = Queues {
        source: source_url,
        ..Queues::default()
    };
    let store = Store::new(&config, tables, queues);
    let feedback = Feedback {
        store: store.clone(),
        clock: Arc::new(SystemClock),
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
        let batch = without_trials(payload);
        batch::run(batch, invocation, rules, &feedback, &store, &SystemClock)
            .await
            .map_err(Error::from)
    }))
    .await
}
