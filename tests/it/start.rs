//! Cold start, by the very binaries that are deployed: what cannot work does not start, and says all that is wrong
//! in one line.

use kit::stack::Stack;
use serde_json::Value;
use std::{
    path::{Path, PathBuf},
    process::Command,
};

/// The build that `local/stack.py` has deployed.
fn binary(function: &str) -> PathBuf {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../.local/build").join(function).join("bootstrap");
    assert!(path.exists(), "there is no build of {function}: run this by `make test`");
    path
}

/// Starts a function and returns the reason that it gives for not starting.
fn reason(function: &str, settings: &[(&str, &str)]) -> String {
    let output = Command::new(binary(function)).env_clear().envs(settings.iter().copied()).output().unwrap();
    assert!(!output.status.success(), "{function} started");
    let lines = String::from_utf8(output.stdout).unwrap();
    let mut lines = lines.lines().map(|line| serde_json::from_str::<Value>(line).unwrap());
    let line = lines.find(|line| line["outcome"] == "cannot_start").unwrap();
    assert_eq!(line["level"], "ERROR");
    line["reason"].as_str().unwrap().to_owned()
}

#[test]
fn every_missing_setting_is_named_at_once() {
    for (function, names) in [
        (
            "IntakeFunction",
            &["EVENTS_TABLE", "FULFILLMENT_QUEUE_URL", "PROVIDER_SECRETS", "MAX_BODY_BYTES"][..],
        ),
        (
            "FulfillmentFunction",
            &["ORDERS_TABLE", "STOCK_TABLE", "FLEX_API_BASE_URL", "MODE", "MAX_RECEIVES"],
        ),
        ("ReceiptsFunction", &["MERCHANT_NAME", "RECEIPT_SENDER", "RECEIPT_ON_UNKNOWN", "TIME_ZONE"]),
        ("FeedbackFunction", &["FEEDBACK_QUEUE_URL", "LINKS_TABLE", "ORDERS_TABLE", "RECEIPTS_TABLE"]),
        (
            "SweepFunction",
            &["EVENTS_TABLE", "FULFILLMENT_QUEUE_URL", "RECEIPTS_TABLE", "FEEDBACK_DEAD_LETTER_QUEUE_URL"],
        ),
        ("ReconcileFunction", &["EVENTS_TABLE", "RECONCILE_DAYS", "FLEX_API_BASE_URL", "MODE"]),
    ] {
        let reason = reason(function, &[]);
        for name in names {
            assert!(reason.contains(&format!("the setting {name} is missing")), "{function}: {reason}");
        }
    }
}

#[tokio::test]
async fn an_empty_secret_and_a_missing_setting_are_named_together() {
    let stack = Stack::named().unwrap();
    let secrets = aws_sdk_secretsmanager::Client::new(&stack.config().await);
    let form = r#"{"flex":{"webhook_secrets":[],"api_key":""}}"#;
    let name = format!("as-deployed-{}", jiff::Timestamp::now().as_nanosecond());
    secrets.create_secret().name(&name).secret_string(form).send().await.unwrap();
    let common = [
        ("AWS_ENDPOINT_URL", stack.endpoint.as_str()),
        ("AWS_REGION", stack.region.as_str()),
        ("AWS_ACCESS_KEY_ID", "test"),
        ("AWS_SECRET_ACCESS_KEY", "test"),
        ("PROVIDER_SECRETS", name.as_str()),
        ("MODE", "live"),
        ("FLEX_API_BASE_URL", "not an address"),
    ];
    let intake = reason("IntakeFunction", &common);
    assert!(
        intake.contains("EVENTS_TABLE is missing") && intake.contains("flex.webhook_secrets"),
        "{intake}"
    );
    let fulfillment = reason("FulfillmentFunction", &common);
    for part in ["EVENTS_TABLE is missing", "flex.api_key"] {
        assert!(fulfillment.contains(part), "{fulfillment}");
    }
    secrets
        .put_secret_value()
        .secret_id(&name)
        .secret_string(r#"{"flex":{"webhook_secrets":["whsec_Serinus!"],"api_key":"fsk_test_1"}}"#)
        .send()
        .await
        .unwrap();
    let fulfillment = reason("FulfillmentFunction", &common);
    assert!(fulfillment.contains("a test key, and this stack's Mode is live"), "{fulfillment}");
    let intake = reason("IntakeFunction", &common);
    assert!(intake.contains("flex.webhook_secrets[0]") && !intake.contains("Serinus"), "{intake}");
}

#[test]
fn a_template_that_does_not_work_stops_the_start_and_not_a_receipt() {
    let folder = std::env::temp_dir().join(format!("receipt-templates-{}", std::process::id()));
    std::fs::create_dir_all(&folder).unwrap();
    std::fs::write(folder.join("body.txt"), "Dear customer,\nyou paid {{ total.of.it.all }}\n").unwrap();
    let reason = reason(
        "ReceiptsFunction",
        &[("RECEIPT_TEMPLATES_DIR", folder.to_str().unwrap()), ("SUPPORT_EMAIL", "nobody")],
    );
    std::fs::remove_dir_all(&folder).unwrap();
    assert!(reason.contains("body.txt") && reason.contains("line 2"), "{reason}");
    assert!(reason.contains("MERCHANT_NAME is missing"), "{reason}");
}
