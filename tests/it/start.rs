//! Cold start, by the very binaries that are deployed: what cannot work does not start, and says all that is wrong
//! in one line.

use kit::prelude::*;
use std::{
    path::{Path, PathBuf},
    process::Command,
};

/// The build that `local/stack.py` has deployed.
fn binary(function: &str) -> PathBuf {
    let path = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../.local/build")
        .join(function)
        .join("bootstrap");
    assert!(
        path.exists(),
        "there is no build of {function}: run this by `make test`"
    );
    path
}

/// Starts a function where there is no Lambda, and returns its reason not to start; `None` if it came as far as asking
/// Lambda for work.
fn started(function: &str, settings: &[(&str, &str)]) -> Option<String> {
    let output = Command::new(binary(function))
        .env_clear()
        .envs(settings.iter().copied())
        .output()
        .unwrap();
    assert!(!output.status.success(), "{function} found a Lambda");
    let lines = String::from_utf8(output.stdout).unwrap();
    let mut lines = lines
        .lines()
        .map(|line| serde_json::from_str::<Value>(line).unwrap());
    let end = lines.find(|line| line["level"] == "ERROR").unwrap();
    if end["outcome"] == "panic" {
        // The runtime misses its own settings.
        assert!(
            end["place"].as_str().unwrap().contains("lambda_runtime"),
            "{function}: {end}"
        );
        return None;
    }
    assert_eq!(end["outcome"], "cannot_start");
    Some(end["reason"].as_str().unwrap().to_owned())
}

/// Starts a function and returns the reason that it gives for not starting.
fn reason(function: &str, settings: &[(&str, &str)]) -> String {
    started(function, settings).unwrap_or_else(|| panic!("{function} started"))
}

#[test]
fn every_missing_setting_is_named_at_once() {
    for (function, names) in [
        (
            "IntakeFunction",
            "EVENTS_TABLE ANNOUNCEMENTS_TABLE FULFILLMENT_QUEUE_URL FLEX_WEBHOOK_SECRETS_ARN MAX_BODY_BYTES",
        ),
        (
            "FulfillmentFunction",
            "ORDERS_TABLE STOCK_TABLE FLEX_API_BASE_URL FLEX_API_KEY_ARN MODE MAX_RECEIVES",
        ),
        (
            "ReceiptsFunction",
            "MERCHANT_NAME RECEIPT_SENDER RECEIPT_ON_UNKNOWN TIME_ZONE",
        ),
        (
            "FeedbackFunction",
            "FEEDBACK_QUEUE_URL LINKS_TABLE ORDERS_TABLE RECEIPTS_TABLE",
        ),
        (
            "SweepFunction",
            "EVENTS_TABLE FULFILLMENT_QUEUE_URL RECEIPTS_TABLE FEEDBACK_DEAD_LETTER_QUEUE_URL",
        ),
        (
            "AnnouncementsFunction",
            "ANNOUNCEMENTS_TABLE ORDERS_TABLE STOCK_TABLE EVENT_BUS MODE ANNOUNCE_PERSONAL_DATA ANNOUNCEMENT_RETENTION_DAYS",
        ),
        (
            "ReconcileFunction",
            "EVENTS_TABLE RECONCILE_DAYS FLEX_API_KEY_ARN MODE",
        ),
    ] {
        let reason = reason(function, &[]);
        for name in names.split(' ') {
            assert!(
                reason.contains(&format!("the setting {name} is missing")),
                "{function}: {reason}"
            );
        }
    }
}

/// Creates a secret that no function uses, for as long as the local stack runs.
async fn secret(stack: &Stack, text: &str) -> String {
    let secrets = aws_sdk_secretsmanager::Client::new(&stack.config().await);
    let name = format!("start-{}", jiff::Timestamp::now().as_nanosecond());
    secrets
        .create_secret()
        .name(&name)
        .secret_string(text)
        .send()
        .await
        .unwrap();
    name
}

/// Settings for a function that reaches the local stack.
fn reaching<'a>(stack: &'a Stack, mode: &'a str, flex_url: &'a str) -> Vec<(&'a str, &'a str)> {
    vec![
        ("AWS_ENDPOINT_URL", stack.endpoint.as_str()),
        ("AWS_REGION", stack.region.as_str()),
        ("AWS_ACCESS_KEY_ID", "test"),
        ("AWS_SECRET_ACCESS_KEY", "test"),
        ("MODE", mode),
        ("FLEX_API_BASE_URL", flex_url),
    ]
}

#[tokio::test]
async fn a_secret_that_is_wrong_and_a_missing_setting_are_named_together() {
    let stack = Stack::named().unwrap();
    let refused = async |function, setting, text| {
        let name = secret(&stack, text).await;
        let mut settings = reaching(&stack, "live", "not an address");
        settings.push((setting, name.as_str()));
        let reason = reason(function, &settings);
        assert!(reason.contains("EVENTS_TABLE is missing"), "{reason}");
        assert!(!reason.contains("Serinus"), "{reason}");
        reason
    };
    for (text, expected) in [
        // As deployed.
        (
            r#"{"webhook_secrets":[]}"#,
            "FlexWebhookSecrets has no webhook_secrets",
        ),
        (
            r#"{"webhook_secrets":["whsec_Serinus!"]}"#,
            "webhook_secrets[0]: a webhook secret is not base64",
        ),
        (
            r#"{"webhook_secrets":["whsec_Serinuss"]}"#,
            "webhook_secrets[0]: a webhook secret has fewer than 24",
        ),
        // Intake must not be able to read the key.
        (
            r#"{"webhook_secrets":["whsec_Serinus!"],"api_key":"fsk_Serinus"}"#,
            r#"a secret is not the JSON document {"webhook_secrets":["…"]}"#,
        ),
    ] {
        let reason = refused("IntakeFunction", "FLEX_WEBHOOK_SECRETS_ARN", text).await;
        assert!(reason.contains(expected), "{reason}");
    }
    for (text, expected) in [
        (r#"{"api_key":""}"#, "FlexApiKey has no api_key"),
        (
            r#"{"api_key":"Serinus"}"#,
            "FlexApiKey does not look like an API key of flex",
        ),
        (
            r#"{"api_key":"fsk_test_Serinus"}"#,
            "FlexApiKey is a test key, and this stack's Mode is live",
        ),
    ] {
        for function in ["FulfillmentFunction", "ReconcileFunction"] {
            let reason = refused(function, "FLEX_API_KEY_ARN", text).await;
            assert!(reason.contains(expected), "{reason}");
        }
    }
}

#[tokio::test]
async fn a_stack_that_began_in_one_mode_does_not_start_in_the_other() {
    let stack = Stack::named().unwrap();
    let suffix = format!("-start-{}", jiff::Timestamp::now().as_nanosecond());
    let copy = stack.with_copied_tables(&suffix).await;
    let links = copy.tables.links.clone();
    let keys = [
        secret(&stack, r#"{"api_key":"fsk_test_1"}"#).await,
        secret(&stack, r#"{"api_key":"fsk_1"}"#).await,
    ];
    let settings = |mode: &'static str, complete: bool| {
        let key = if mode == "test" { &keys[0] } else { &keys[1] };
        let mut settings = reaching(&stack, mode, "https://flex.example");
        settings.extend([
            ("LINKS_TABLE", links.as_str()),
            ("FLEX_API_KEY_ARN", key.as_str()),
        ]);
        if complete {
            let others = [
                "EVENTS_TABLE",
                "ORDERS_TABLE",
                "STOCK_TABLE",
                "RECEIPTS_TABLE",
                "RESOURCES_TABLE",
                "ANNOUNCEMENTS_TABLE",
                "ENTITLEMENTS_TABLE",
                "FULFILLMENT_QUEUE_URL",
                "RECEIPT_QUEUE_URL",
            ];
            settings.extend(others.map(|name| (name, "not asked")));
            settings.extend([
                ("EVENT_RETENTION_DAYS", "90"),
                ("RETRY_BASE_SECONDS", "60"),
                ("MAX_RECEIVES", "5"),
            ]);
            settings.extend([
                ("RESTOCK", "never"),
                ("PART_PAYMENT", "hold"),
                ("GRACE_DAYS", "0"),
                ("ON_FULL_REFUND", "keep"),
                ("ON_LOST_DISPUTE", "keep"),
                ("RENEWAL_STOCK", "move"),
                ("RECONCILE_DAYS", "3"),
            ]);
            let switches = [
                "PAYMENT_FAILED_MAIL",
                "SHIPMENT_MAIL",
                "TRIAL_ENDS_MAIL",
                "RESERVE_STOCK",
            ];
            settings.extend(switches.map(|name| (name, "off")));
        }
        settings
    };
    let first = async || copy.tables().await.store.first_mode().await;
    // A start that fails, and reconcile's, leave the mode open.
    let reason_of_live = reason("FulfillmentFunction", &settings("live", false));
    assert!(!reason_of_live.contains("Mode="), "{reason_of_live}");
    // Without Lambda a function that has started stops at once.
    assert_eq!(started("ReconcileFunction", &settings("live", true)), None);
    assert_eq!(first().await, Ok(None));
    assert_eq!(
        started("FulfillmentFunction", &settings("test", true)),
        None
    );
    assert_eq!(first().await, Ok(Some(Mode::Test)));
    let expected = "cannot start: this stack began with Mode=test and is deployed with Mode=live: \
                    deploy it with Mode=test again, and a second stack with Mode=live";
    for function in ["FulfillmentFunction", "ReconcileFunction"] {
        assert_eq!(
            started(function, &settings("live", true)).as_deref(),
            Some(expected),
            "{function}"
        );
        assert_eq!(
            started(function, &settings("test", true)),
            None,
            "{function}"
        );
    }
    assert_eq!(first().await, Ok(Some(Mode::Test)));
}

#[test]
fn a_template_that_does_not_work_stops_the_start_and_not_a_receipt() {
    let folder = std::env::temp_dir().join(format!("receipt-templates-{}", std::process::id()));
    std::fs::create_dir_all(&folder).unwrap();
    std::fs::write(
        folder.join("body.txt"),
        "Dear customer,\nyou paid {{ total.of.it.all }}\n",
    )
    .unwrap();
    let reason = reason(
        "ReceiptsFunction",
        &[
            ("RECEIPT_TEMPLATES_DIR", folder.to_str().unwrap()),
            ("SUPPORT_EMAIL", "nobody"),
        ],
    );
    std::fs::remove_dir_all(&folder).unwrap();
    assert!(
        reason.contains("body.txt") && reason.contains("line 2"),
        "{reason}"
    );
    assert!(reason.contains("MERCHANT_NAME is missing"), "{reason}");
}
