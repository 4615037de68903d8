//! The deployed stack encrypts with the key that it was given, and names no key without one. The local AWS drops the key of
//! a table; `template::every_promise_is_kept` holds those of tables, logs and topics as text.

use aws_sdk_sqs::types::QueueAttributeName;
use kit::stack::Stack;

#[tokio::test]
async fn queues_and_secret_are_under_the_given_key_or_none() {
    let stack = Stack::named().unwrap();
    let config = stack.config().await;
    let key = stack.parameters.get("KmsKeyArn").map(String::as_str);

    let sqs = aws_sdk_sqs::Client::new(&config);
    let queues = &stack.queues;
    for url in [
        &queues.fulfillment,
        &queues.fulfillment_dead_letter,
        &queues.receipt,
        &queues.receipt_dead_letter,
        &queues.feedback,
        &queues.feedback_dead_letter,
    ] {
        let asked = sqs
            .get_queue_attributes()
            .queue_url(url)
            .attribute_names(QueueAttributeName::All);
        let attributes = asked.send().await.unwrap().attributes.unwrap_or_default();
        let used = attributes
            .get(&QueueAttributeName::KmsMasterKeyId)
            .map(String::as_str);
        assert_eq!(used, key, "{url}");
        let by_sqs = attributes
            .get(&QueueAttributeName::SqsManagedSseEnabled)
            .map(String::as_str);
        assert_eq!(
            by_sqs,
            Some(if key.is_some() { "false" } else { "true" }),
            "{url}"
        );
    }

    let secrets = aws_sdk_secretsmanager::Client::new(&config);
    for arn in &stack.secrets {
        let secret = secrets
            .describe_secret()
            .secret_id(arn)
            .send()
            .await
            .unwrap();
        assert_eq!(secret.kms_key_id(), key, "{arn}");
    }
}
