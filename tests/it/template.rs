//! Tests that `template.yaml` keeps its promises, and that it agrees with the code and the documents.
//!
//! `make test` checks its syntax by `sam validate --lint` and `cfn-lint`.

use crate::documents::{assert_printed, files, root};
use domain::{
    access::purchase::AccessPolicy,
    receipt::OnUnknown,
    sale::{amounts::PartPayment, restock::RestockPolicy, stock::RenewalStock},
    upkeep::sweep::{EVERY, TRIES, UNFULFILLED},
    values::{mode::Mode, outcome::back_off},
};
use kit::drive;
use serde_json::{Value as Json, json};
use serde_yaml_ng::Value as Yaml;
use std::{
    collections::{BTreeMap, BTreeSet},
    fmt::Write as _,
    fs,
    sync::LazyLock,
    time::Duration,
};
use strum::VariantNames as _;

const FUNCTIONS: [&str; 7] = [
    "Intake",
    "Fulfillment",
    "Receipts",
    "Feedback",
    "Sweep",
    "Reconcile",
    "Announcements",
];

/// The functions that a queue feeds, and the first part of that queue's name.
const WORKERS: [(&str, &str); 3] = [
    ("Fulfillment", "Fulfillment"),
    ("Receipts", "Receipt"),
    ("Feedback", "Feedback"),
];

/// The metrics that sweep measures, and the fields of its line `measured`.
pub(crate) const GAUGES: [(&str, &str); 6] = [
    ("DeadLetters", "dead_letters"),
    ("Failed", "failed"),
    ("Held", "held"),
    ("OldestUnfulfilledSeconds", "oldest_unfulfilled_seconds"),
    ("OldestUnpublishedSeconds", "oldest_unpublished_seconds"),
    ("Parked", "parked"),
];

/// The metrics that count lines of the log, and the lines.
const COUNTS: &str = r#"
DeliveryFailures { $.delivery_failure IS TRUE }
LastTries { ($.outcome = "retry") && ($.receives >= 4) }
OrdersToReview { ($.shortfall IS TRUE) || ($.uncounted IS TRUE) || ($.amounts_differ IS TRUE) || ($.second_order IS TRUE) || ($.lacks_customer IS TRUE) }
Outcomes { $.outcome = * }
Panics { $.outcome = "panic" }
PaymentsToReview { ($.dispute_opened IS TRUE) || ($.dispute_lost IS TRUE) || ($.dispute_unclear IS TRUE) || ($.refund_failed IS TRUE) || ($.partly_paid IS TRUE) || ($.payment_unclear IS TRUE) || ($.restock_unclear IS TRUE) || ($.order_held IS TRUE) || ($.outcome = "not_ours") }
SecretRefreshFailures { $.secret_refresh_failed IS TRUE }
Stalled { $.stalled IS TRUE }
Unreadable { $.outcome = "unreadable" }
"#;

/// The alarms, and the condition of each.
const ALARMS: &str = "
AnnouncementsLateAlarm Maximum OldestUnpublishedSeconds >= 900 in 300 s
AnnouncementsSilentAlarm Sum Outcomes{announcements,announced} < 1 in 1800 s
DeadLetterAlarm Maximum DeadLetters >= 1 in 300 s
DeliveryFailureAlarm Sum DeliveryFailures >= 1 in 300 s
FunctionErrorsAlarm intake + fulfillment + receipts + feedback + sweep + reconcile + panics \
    + throttled_fulfillment + throttled_receipts + throttled_feedback >= 1
GatewayErrorsAlarm Sum 5xx{WebhookApi} >= 5 in 300 s
LastTryAlarm Sum LastTries >= 1 in 300 s
MissingWebhooksAlarm Sum Outcomes{reconcile,missing} >= 1 in 300 s
OrderReviewAlarm Sum OrdersToReview >= 1 in 300 s
ParkedAlarm Maximum Parked >= 1 in 300 s
PaymentReviewAlarm Sum PaymentsToReview >= 1 in 300 s
QueueAgeAlarm (fulfillment >= 900) OR (receipt >= 900) OR (feedback >= 900) >= 1
ReceiptReviewAlarm held + failed >= 1
ReconcileSilentAlarm Sum Outcomes{reconcile,reconciled} < 1 in 10800 s
RefusedRequestsAlarm Sum 4xx{WebhookApi} >= 20 in 300 s
SecretRefreshAlarm Sum SecretRefreshFailures >= 1 in 300 s
StalledAlarm Sum Stalled >= 1 in 300 s
SweepSilentAlarm Sum Outcomes{sweep,swept} < 1 in 1800 s
UnfulfilledAlarm Maximum OldestUnfulfilledSeconds >= 7200 in 300 s
UnreadableAlarm Sum Unreadable >= 1 in 300 s
";

/// Alarms on gauges: they last until a person has decided, and their OK says so.
const DECISIONS: [&str; 4] = [
    "DeadLetterAlarm",
    "ParkedAlarm",
    "ReceiptReviewAlarm",
    "UnfulfilledAlarm",
];

const DAY: u64 = 24 * 60 * 60;

#[test]
fn every_promise_is_kept() {
    let promises = yaml(include_str!("template/promises.yaml"));
    for (claim, values) in object(&promises) {
        for (path, value) in object(values) {
            let (first, rest) = path.split_once('/').unwrap_or((path, ""));
            let resources = if first.starts_with("AWS::") {
                of_type(first)
            } else {
                set(first)
            };
            assert!(!resources.is_empty(), "{claim}: there is no {first}");
            for resource in resources {
                let path = format!("{resource}/{rest}");
                assert_eq!(at(path.trim_end_matches('/')), value, "{claim}: {path}");
            }
        }
    }
}

#[test]
fn a_new_account_has_room_for_intake_beside_every_queue() {
    // AWS gives a new account as few as ten.
    let new_account = 10;
    let pollers: u64 = WORKERS
        .iter()
        .map(|(function, _)| {
            let scaling = &source(function)["ScalingConfig"]["MaximumConcurrency"];
            match scaling["Ref"].as_str() {
                Some(parameter) => number(&format!("Parameters/{parameter}/Default")),
                None => scaling.as_u64().unwrap(),
            }
        })
        .sum();
    let sweep_and_reconcile = 2;
    assert!(pollers + sweep_and_reconcile < new_account);
}

#[test]
fn the_kit_plays_by_these_times_and_numbers() {
    let seconds = |path: String| Duration::from_secs(number(&path));
    for (function, lasts) in [
        ("Intake", drive::INTAKE_LASTS),
        ("Fulfillment", drive::WORKER_LASTS),
        ("Receipts", drive::WORKER_LASTS),
        ("Feedback", drive::WORKER_LASTS),
        ("Sweep", drive::SWEEP_LASTS),
        ("Reconcile", drive::RECONCILE_LASTS),
    ] {
        let timeout = seconds(format!("{function}Function/Timeout"));
        assert_eq!(timeout, lasts, "{function}");
    }
    for ((function, queue), batch) in WORKERS.into_iter().zip([
        drive::JOBS_A_BATCH,
        drive::RECEIPTS_A_BATCH,
        drive::REPORTS_A_BATCH,
    ]) {
        let hidden = seconds(format!("{queue}Queue/VisibilityTimeout"));
        assert_eq!(hidden, drive::HIDDEN_FOR, "{queue}");
        assert_eq!(tries(queue), u64::from(drive::MOST_RECEIVES), "{queue}");
        assert_eq!(source(function)["BatchSize"], json!(batch), "{function}");
    }
    let base = seconds("Parameters/RetryBaseSeconds/Default".to_owned());
    assert_eq!(base, drive::RETRY_BASE);
}

#[test]
fn a_message_stays_hidden_for_six_tries() {
    for (function, queue) in WORKERS {
        let timeout = number(&format!("{function}Function/Timeout"));
        let window = source(function)["MaximumBatchingWindowInSeconds"].as_u64();
        let hidden = number(&format!("{queue}Queue/VisibilityTimeout"));
        assert!(hidden >= 6 * timeout + window.unwrap_or(0), "{queue}");
    }
}

#[test]
fn a_function_and_an_alarm_know_which_try_is_the_last() {
    for (function, queue) in WORKERS {
        let known = &settings(function)["MAX_RECEIVES"];
        assert_eq!(known, &json!(tries(queue).to_string()), "{queue}");
        let before = format!("$.receives >= {}", tries(queue) - 1);
        assert!(pattern("LastTries").contains(&before), "{queue}");
    }
}

#[test]
fn a_message_that_was_given_up_is_kept_for_fourteen_days() {
    for (_, queue) in WORKERS {
        let kept = number(&format!("{queue}DeadLetterQueue/MessageRetentionPeriod"));
        assert_eq!(kept, 14 * DAY, "{queue}");
        let before = number(&format!("{queue}Queue/MessageRetentionPeriod"));
        match queue {
            // No row has the feedback, so it waits as long as SQS allows.
            "Feedback" => assert_eq!(before, 14 * DAY),
            // A message keeps its age when it moves.
            _ => assert!(kept - before >= 10 * DAY, "{queue}"),
        }
    }
}

#[test]
fn an_event_is_known_for_longer_than_it_can_come_again() {
    // The provider retries for 28 hours; its last copy may be in a dead-letter queue for 14 days.
    let shortest = number("Parameters/EventRetentionDays/MinValue");
    assert!(shortest * DAY > 14 * DAY + 28 * 60 * 60, "{shortest} days");
    // An event that an operator dropped is known while the provider lists it.
    assert!(number("Parameters/ReconcileDays/MaxValue") < shortest);
}

#[test]
fn the_largest_body_fits_into_its_row() {
    let largest = number("Parameters/MaxBodyBytes/MaxValue");
    assert!(largest <= 300_000, "DynamoDB takes 400 KB per item");
}

#[test]
fn each_function_is_one_binary_and_has_its_own_role() {
    let mut roles = set("ScheduleRole");
    for function in FUNCTIONS {
        let (id, role) = (format!("{function}Function"), format!("{function}Role"));
        let binary = &at(&format!("{id}/Metadata/BuildProperties"))["Binary"];
        assert_eq!(binary, &json!(function.to_lowercase()));
        assert_eq!(at(&id)["Role"], yaml(&format!("!GetAtt {role}.Arn")));
        let trusted = &at(&role)["AssumeRolePolicyDocument"]["Statement"];
        let lambda =
            "{Effect: Allow, Principal: {Service: lambda.amazonaws.com}, Action: sts:AssumeRole}";
        assert_eq!(trusted, &json!([yaml(lambda)]), "{role}");
        roles.insert(role);
    }
    assert_eq!(of_type("AWS::Serverless::Function").len(), FUNCTIONS.len());
    assert_eq!(of_type("AWS::IAM::Role"), roles);
}

#[test]
fn the_settings_given_are_the_settings_read() {
    for function in FUNCTIONS {
        let folder = format!("functions/{}/src", function.to_lowercase());
        let mut read = BTreeSet::new();
        for file in ["main.rs", "config.rs"].map(|file| root().join(&folder).join(file)) {
            read.extend(setting_names(&fs::read_to_string(file).unwrap_or_default()));
        }
        assert!(read.len() > 2, "{folder} reads no settings");
        // `providers` derives the names of a provider's settings from the provider's name.
        let config = fs::read_to_string(root().join(&folder).join("config.rs"));
        let config = config.unwrap_or_default();
        for (call, names) in [
            ("open_webhooks", &["WEBHOOK_SECRETS_ARN"][..]),
            ("open_apis", &["API_KEY_ARN", "API_BASE_URL"]),
        ] {
            let of = |name: &&str| ["FLEX", "FLINT"].map(|provider| format!("{provider}_{name}"));
            let names = names.iter().flat_map(of);
            read.extend(names.filter(|_| config.contains(call)));
        }
        // Only fulfillment makes receipts due.
        read.extend((function == "Fulfillment").then(|| "FLINT_RECEIPTS".to_owned()));
        if config.contains("shop(") {
            read.extend(set("SHOP_ORIGIN SHOP_METADATA SHOP_REFERENCE_PREFIX"));
        }
        // Not a setting: the compiler gives it.
        read.remove("CARGO_PKG_VERSION");
        if config.contains("Rules::read") {
            read.extend(set("MAX_RECEIVES RETRY_BASE_SECONDS"));
        }
        // The log reads this one.
        read.insert("FUNCTION".to_owned());
        // All functions have this one.
        read.remove("ANNOUNCEMENTS_TABLE");
        let given = settings(function);
        assert_eq!(names(given), read, "{function}");
        assert_eq!(given["FUNCTION"], json!(function.to_lowercase()));
    }
    let log = fs::read_to_string(root().join("shared/aws/src/log.rs")).unwrap();
    assert_eq!(setting_names(&log), set("FUNCTION RUST_LOG"));
}

#[test]
fn no_setting_holds_a_secret() {
    let resolved = TEMPLATE.to_string().contains("{{resolve:");
    assert!(!resolved, "a secret in a setting");
    for (parameter, shape) in object(&TEMPLATE["Parameters"]) {
        assert_eq!(shape["NoEcho"], Json::Null, "{parameter} holds a secret");
    }
}

#[test]
fn intake_answers_before_the_provider_gives_up() {
    let flex_waits_seconds = 15;
    assert!(number("IntakeFunction/Timeout") < flex_waits_seconds);
}

#[test]
fn each_run_is_over_before_the_next() {
    let every = EVERY.as_secs().unsigned_abs();
    for (function, rate, seconds) in [
        ("Sweep", format!("rate({} minutes)", every / 60), every),
        ("Reconcile", "rate(1 hour)".to_owned(), 3600),
    ] {
        let id = format!("{function}Function");
        assert!(number(&format!("{id}/Timeout")) < seconds, "{id}");
        let sample = format!("events/{}.json", function.to_lowercase());
        let sample = fs::read_to_string(root().join(sample)).unwrap();
        let schedule = format!(
            "{{Schedule: {{Type: ScheduleV2, Properties: {{ScheduleExpression: {rate}, OmitName: true,
               RoleArn: !GetAtt ScheduleRole.Arn, Input: '{}',
               RetryPolicy: {{MaximumEventAgeInSeconds: {seconds}}}}}}}}}",
            sample.trim()
        );
        assert_eq!(at(&id)["Events"], yaml(&schedule), "{id}");
    }
    // Both stop by themselves, so they are not cut off between two writes that belong together.
    for (lasts, function) in [
        (sweep::Limits::default().lasts, "Sweep"),
        (announcements::Limits::default().lasts, "Announcements"),
    ] {
        let stops = lasts + Duration::from_secs(15);
        assert!(stops <= Duration::from_secs(number(&format!("{function}Function/Timeout"))));
    }
}

#[test]
fn reconcile_comes_before_fulfillment_gives_up_on_an_event_that_waits_for_its_order() {
    let base = number("Parameters/RetryBaseSeconds/Default");
    let waits: u64 = [1, 4, 16, 60].map(|factor| base * factor).iter().sum();
    assert!(waits > 60 * 60, "{waits} s");
}

#[test]
fn a_job_has_had_its_tries_before_it_is_queued_again() {
    let base = Duration::from_secs(number("Parameters/RetryBaseSeconds/Default"));
    for (function, queue) in WORKERS {
        let tries = u32::try_from(tries(queue)).unwrap();
        let waits = (1..tries).map(|receives| back_off(base, receives, None));
        let timeout = number(&format!("{function}Function/Timeout"));
        let work = Duration::from_secs(timeout) * tries;
        assert!(waits.sum::<Duration>() + work <= TRIES.unsigned_abs());
    }
}

/// The table of permissions: one row for each statement.
fn table_of_permissions() -> String {
    let mut table = "| role | statement | on | may |\n| --- | --- | --- | --- |\n".to_owned();
    for role in of_type("AWS::IAM::Role")
        .iter()
        .map(String::as_str)
        .chain(["KeyPolicy"])
    {
        let may_call = match role {
            "KeyPolicy" => "all functions, with `KmsKeyArn` only",
            role => role,
        };
        for statement in statements(role) {
            let sid = text(&statement["Sid"]);
            let on = called(&statement["Resource"]).join(", ");
            let may = strings(&statement["Action"]).join(", ");
            writeln!(table, "| {may_call} | {sid} | {on} | {may} |").unwrap();
        }
    }
    table
}

/// A statement's resources by their names in the template.
fn called(resource: &Json) -> Vec<String> {
    if let Some(resources) = resource.as_array() {
        return resources.iter().flat_map(called).collect();
    }
    let (function, value) = object(resource).next().unwrap();
    match function.as_str() {
        "If" => called(&json!(value.as_array().unwrap()[1..])),
        "Ref" if value == "AWS::NoValue" => Vec::new(),
        "Ref" => vec![text(value)],
        "GetAtt" => vec![text(value).rsplit_once('.').unwrap().0.to_owned()],
        "Sub" => {
            let arn = value.as_str().or_else(|| value[0].as_str()).unwrap();
            let name = arn.rsplit(':').next().unwrap();
            let table = name.strip_prefix("${").filter(|it| it.contains(".Arn}"));
            vec![table.map_or(name.to_owned(), |it| it.replace(".Arn}", ""))]
        }
        _ => panic!("{resource}"),
    }
}

#[test]
fn the_table_of_permissions_is_printed_from_the_template() {
    assert_printed(
        "docs/permissions.md",
        "permissions",
        &table_of_permissions(),
    );
}

#[test]
fn every_statement_allows_has_a_name_and_no_wildcard() {
    for role in of_type("AWS::IAM::Role") {
        for statement in statements(&role) {
            assert_eq!(statement["Effect"], json!("Allow"), "{role}");
            assert!(statement["Sid"].is_string(), "{role}: {statement}");
            assert!(!statement.to_string().contains('*'), "{role}: {statement}");
        }
    }
}

#[test]
fn each_function_reads_only_the_secret_that_it_needs() {
    let table = table_of_permissions();
    let rows = table.lines().filter(|row| row.contains("GetSecretValue"));
    let read = rows.map(|row| {
        row.split(" | ")
            .step_by(2)
            .take(2)
            .collect::<Vec<_>>()
            .join(" reads ")
    });
    let expected = [
        "| FulfillmentRole reads FlexApiKey, FlintApiKey",
        "| IntakeRole reads FlexWebhookSecrets, FlintWebhookSecrets",
        "| ReconcileRole reads FlexApiKey, FlintApiKey",
    ];
    assert_eq!(read.collect::<Vec<_>>(), expected);
}

#[test]
fn mail_goes_out_under_the_sender_only() {
    let mut statements = statements("ReceiptsRole").into_iter();
    let send = statements.find(|it| it["Sid"] == "SendReceipts").unwrap();
    let sender = "{StringEquals: {ses:FromAddress: !Ref ReceiptSender}}";
    assert_eq!(send["Condition"], yaml(sender));
    let identity = |resource: &Json| {
        let (condition, arn) = match resource["If"].as_array() {
            Some(choice) if choice[0] == "IsLive" => {
                assert_eq!(choice[1], yaml("!Ref AWS::NoValue"));
                ("in a trial", &choice[2])
            }
            Some(choice) => {
                assert_eq!(choice[2], yaml("!Ref AWS::NoValue"));
                (choice[0].as_str().unwrap(), &choice[1])
            }
            None => ("always", resource),
        };
        format!("{condition} {}", called(arn).join(" "))
    };
    let resources = send["Resource"].as_array().unwrap();
    // Our permissions never name a customer; only a trial, in the sandbox, names its recipient.
    assert_eq!(
        resources.iter().map(identity).collect::<Vec<_>>(),
        [
            "always identity/${ReceiptSender}",
            "always identity/${Domain}",
            "always configuration-set/${MailFeedback}",
            "HasSenderIdentity identity/${SenderIdentity}",
            "HasSesConfigurationSet configuration-set/${SesConfigurationSet}",
            "in a trial identity/${Recipient}",
            "in a trial identity/${Domain}",
        ]
    );
    for parameter in ["SenderIdentity", "SesConfigurationSet"] {
        // A list of allowed characters keeps wildcards out.
        let pattern = text(at(&format!("Parameters/{parameter}/AllowedPattern")));
        assert!(!pattern.contains("[^"), "{parameter}: {pattern}");
    }
}

#[test]
fn the_documented_key_policy_names_every_service_that_uses_the_key_by_itself() {
    let document = include_str!("../../docs/parameters.md");
    let policy = document.split("```json\n").nth(1).unwrap();
    let policy: Json = serde_json::from_str(policy.split("```").next().unwrap()).unwrap();
    let statements = policy["Statement"].as_array().unwrap();
    let services: BTreeSet<String> = statements
        .iter()
        .flat_map(|statement| match &statement["Principal"]["Service"] {
            Json::String(one) => vec![one.clone()],
            Json::Array(_) => strings(&statement["Principal"]["Service"]),
            _ => Vec::new(),
        })
        .collect();
    let expected = ["cloudwatch", "logs.us-east-1", "ses", "sns"];
    assert_eq!(
        services,
        expected.map(|name| format!("{name}.amazonaws.com")).into()
    );
}

#[test]
fn the_access_log_tells_a_refusal_of_the_gateway_from_one_of_intake() {
    let format = text(at("WebhookStage/AccessLogSettings/Format"));
    let line: Json = serde_json::from_str(&format).unwrap();
    assert_eq!(line["status"], json!("$context.status"));
    assert_eq!(line["intake_status"], json!("$context.integration.status"));
}

#[test]
fn every_filter_reads_the_lines_that_its_metric_counts_or_measures() {
    let mut expected = BTreeMap::new();
    for (metric, lines) in COUNTS
        .trim()
        .lines()
        .filter_map(|line| line.split_once(' '))
    {
        expected.insert(metric.to_owned(), (lines.to_owned(), "1".to_owned()));
    }
    for (metric, field) in GAUGES {
        // A sum of two gauges needs both.
        let known = match field {
            "held" | "failed" => "($.held >= 0) && ($.failed >= 0)".to_owned(),
            field => format!("($.{field} >= 0)"),
        };
        let lines = format!(r#"{{ ($.outcome = "measured") && {known} }}"#);
        expected.insert(metric.to_owned(), (lines, format!("$.{field}")));
    }
    let filters = of_type("AWS::Logs::MetricFilter").into_iter();
    let found = filters.map(|filter| {
        let metric = &at(&filter)["MetricTransformations"][0];
        assert_eq!(metric["MetricName"], json!(filter));
        let lines = (pattern(&filter), text(&metric["MetricValue"]));
        (filter, lines)
    });
    assert_eq!(found.collect::<BTreeMap<_, _>>(), expected);
}

#[test]
fn every_field_that_a_filter_reads_is_logged_by_the_code() {
    let code = files(&[".rs"]).into_iter();
    let code =
        code.filter(|(path, _)| path.starts_with("functions/") || path.starts_with("shared/"));
    let code: String = code.map(|(_, text)| text).collect();
    let words: BTreeSet<&str> = code
        .split(|c: char| !c.is_alphanumeric() && c != '_')
        .collect();
    for filter in of_type("AWS::Logs::MetricFilter") {
        let pattern = pattern(&filter);
        let fields = pattern.split("$.").skip(1);
        for field in fields.map(|rest| rest.split(' ').next().unwrap()) {
            assert!(
                words.contains(field),
                "no line has {field}, which {filter} reads"
            );
        }
    }
}

/// The condition of an alarm in one line.
fn condition(alarm: &Json) -> String {
    let sign = match alarm["ComparisonOperator"].as_str() {
        Some("GreaterThanOrEqualToThreshold") => ">=",
        Some("LessThanThreshold") => "<",
        other => panic!("{other:?}"),
    };
    let limit = format!("{sign} {}", alarm["Threshold"]);
    assert_eq!(alarm["EvaluationPeriods"], json!(1));
    if let Some(expression) = alarm["Metrics"][0]["Expression"].as_str() {
        return format!("{expression} {limit}");
    }
    let dimensions = alarm["Dimensions"].as_array();
    let values = dimensions.map_or(Vec::new(), |dimensions| {
        let value = |dimension: &Json| match &dimension["Value"] {
            Json::String(text) => text.clone(),
            reference => text(&reference["Ref"]),
        };
        dimensions.iter().map(value).collect()
    });
    let of = if values.is_empty() {
        String::new()
    } else {
        format!("{{{}}}", values.join(","))
    };
    let (statistic, metric) = (text(&alarm["Statistic"]), text(&alarm["MetricName"]));
    format!("{statistic} {metric}{of} {limit} in {} s", alarm["Period"])
}

#[test]
fn every_alarm_has_its_condition() {
    let mut found = String::from("\n");
    for id in of_type("AWS::CloudWatch::Alarm") {
        writeln!(found, "{id} {}", condition(at(&id))).unwrap();
    }
    assert_eq!(found, ALARMS.replace("\\\n    ", ""));
    assert_eq!(UNFULFILLED.as_secs(), 7200);
    assert_eq!(EVERY.as_secs(), 300, "one measurement per period");
    // A scheduled function that stops is noticed; one failed run is not.
    assert!(number("SweepSilentAlarm/Period") >= 3 * 300);
    assert!(number("ReconcileSilentAlarm/Period") >= 3 * 3600);
}

#[test]
fn every_count_and_every_gauge_is_in_an_alarm() {
    let alarms = of_type("AWS::CloudWatch::Alarm").into_iter();
    let alarms: Vec<_> = alarms.map(|alarm| at(&alarm).to_string()).collect();
    for metric in of_type("AWS::Logs::MetricFilter") {
        let name = format!(r#""MetricName":"{metric}""#);
        assert!(alarms.iter().any(|alarm| alarm.contains(&name)), "{metric}");
    }
}

/// The metrics of an alarm on an expression, by their ids.
fn metrics(alarm: &str) -> BTreeMap<String, Json> {
    let metrics = at(alarm)["Metrics"].as_array().unwrap();
    let expression = text(&metrics[0]["Expression"]);
    let inputs = metrics[1..].iter().map(|metric| {
        let id = text(&metric["Id"]);
        let used = expression.split([' ', '(']).any(|word| word == id);
        assert!(used, "{alarm} does not use {id}");
        assert_eq!(metric["ReturnData"], json!(false), "{alarm}");
        (id, metric["MetricStat"].clone())
    });
    let inputs: BTreeMap<_, _> = inputs.collect();
    assert!(inputs.len() <= 10, "{alarm}: CloudWatch takes ten metrics");
    inputs
}

fn metric(period: u64, stat: &str, namespace: &str, name: &str, dimensions: &str) -> Json {
    yaml(&format!(
        "{{Period: {period}, Stat: {stat},
           Metric: {{Namespace: {namespace}, MetricName: {name}{dimensions}}}}}"
    ))
}

#[test]
fn every_function_is_watched() {
    let of_lambda = |function: &str, name: &str| {
        let on = format!(", Dimensions: [{{Name: FunctionName, Value: !Ref {function}Function}}]");
        metric(300, "Sum", "AWS/Lambda", name, &on)
    };
    // CloudWatch adds ten metrics at most. AnnouncementsSilentAlarm watches the seventh function.
    let watched = FUNCTIONS.iter().filter(|name| **name != "Announcements");
    let errors = watched.map(|name| (name.to_lowercase(), of_lambda(name, "Errors")));
    let throttles = WORKERS.map(|(name, _)| {
        let id = format!("throttled_{}", name.to_lowercase());
        (id, of_lambda(name, "Throttles"))
    });
    let panics = metric(300, "Sum", "!Ref AWS::StackName", "Panics", "");
    let all = errors.chain(throttles);
    let all = all.chain([("panics".to_owned(), panics)]);
    assert_eq!(metrics("FunctionErrorsAlarm"), all.collect());
}

#[test]
fn every_queue_and_every_waiting_receipt_is_watched() {
    let ages = WORKERS.map(|(_, queue)| {
        let on =
            format!(", Dimensions: [{{Name: QueueName, Value: !GetAtt {queue}Queue.QueueName}}]");
        let age = metric(
            60,
            "Maximum",
            "AWS/SQS",
            "ApproximateAgeOfOldestMessage",
            &on,
        );
        (queue.to_lowercase(), age)
    });
    assert_eq!(metrics("QueueAgeAlarm"), ages.into());
    let gauges = ["Failed", "Held"].map(|name| {
        let gauge = metric(300, "Maximum", "!Ref AWS::StackName", name, "");
        (name.to_lowercase(), gauge)
    });
    assert_eq!(metrics("ReceiptReviewAlarm"), gauges.into());
}

#[test]
fn every_alarm_says_what_it_means_and_how_to_take_silence() {
    for id in of_type("AWS::CloudWatch::Alarm") {
        assert!(at(&id)["AlarmDescription"].is_string(), "{id}");
        let decision = DECISIONS.contains(&id.as_str());
        let silence = match decision {
            // The last measurement counts until there is a new one.
            true => "ignore",
            false if id.ends_with("SilentAlarm") => "breaching",
            false => "notBreaching",
        };
        assert_eq!(at(&id)["TreatMissingData"], json!(silence), "{id}");
        // An OK after a decision is useful; an OK after a count of five minutes is not.
        let ok = if decision {
            &at(&id)["AlarmActions"]
        } else {
            &Json::Null
        };
        assert_eq!(&at(&id)["OKActions"], ok, "{id}");
    }
}

#[test]
fn the_stack_states_the_version_of_the_bundle() {
    let stated = &TEMPLATE["Outputs"]["BundleVersion"]["Value"];
    assert_eq!(text(stated), env!("CARGO_PKG_VERSION"));
}

#[test]
fn the_names_that_the_command_line_looks_up_are_in_the_template() {
    let code = [
        include_str!("../../cli/src/live.rs"),
        include_str!("../../cli/src/live/platform.rs"),
        include_str!("../../cli/src/backend.rs"),
        include_str!("../../cli/src/commands/secrets/rules.rs"),
    ];
    let ends = [
        "Table", "Queue", "Function", "LogGroup", "Secrets", "ApiKey",
    ];
    let words = code
        .iter()
        .flat_map(|code| code.split('"').skip(1).step_by(2));
    let names: BTreeSet<&str> = words
        .filter(|word| {
            ends.iter()
                .any(|end| word.ends_with(end) && word.len() > end.len())
        })
        .filter(|word| word.bytes().all(|byte| byte.is_ascii_alphanumeric()))
        .collect();
    assert!(names.len() > 15, "{names:?}");
    for name in names {
        assert!(!TEMPLATE["Resources"][name].is_null(), "{name}");
    }
}

#[test]
fn every_alarm_has_its_section_in_the_operators_guide() {
    let guide = include_str!("../../docs/operations.md");
    let headings = guide.lines().filter(|line| line.starts_with("### "));
    let explained: BTreeSet<String> = headings
        .flat_map(|heading| heading.split('`').skip(1).step_by(2))
        .filter(|name| name.ends_with("Alarm"))
        .map(ToOwned::to_owned)
        .collect();
    assert_eq!(explained, of_type("AWS::CloudWatch::Alarm"));
}

/// The value of a rule's condition, by the rules of `CloudFormation`.
fn holds(condition: &Json, parameters: &BTreeMap<&str, &str>) -> bool {
    let value = |operand: &Json| match operand["Ref"].as_str() {
        Some(name) => parameters[name].to_owned(),
        None => text(operand),
    };
    let (function, operands) = object(condition).next().unwrap();
    let operands = operands.as_array().unwrap();
    let mut each = operands.iter().map(|operand| holds(operand, parameters));
    match function.as_str() {
        "Equals" => value(&operands[0]) == value(&operands[1]),
        "Not" => !each.next().unwrap(),
        "And" => each.all(|holds| holds),
        "Or" => each.any(|holds| holds),
        other => panic!("{other}"),
    }
}

#[test]
fn a_live_stack_without_a_recipient_of_its_alarms_is_rejected() {
    let email = "oncall@shop.example";
    let topic = "arn:aws:sns:us-east-1:123456789012:oncall";
    for (mode, email, topic, cure) in [
        ("test", "", "", None),
        ("test", email, "", None),
        ("test", "", topic, None),
        ("test", email, topic, Some("exclude each other")),
        ("live", "", "", Some("set AlarmEmail or AlarmTopicArn")),
        ("live", email, "", None),
        ("live", "", topic, None),
        ("live", email, topic, Some("exclude each other")),
    ] {
        let parameters = BTreeMap::from([
            ("Mode", mode),
            ("AlarmEmail", email),
            ("AlarmTopicArn", topic),
        ]);
        let rules = object(&TEMPLATE["Rules"]).map(|(_, rule)| rule);
        let rejected: Vec<_> = rules
            .filter(|rule| {
                let applies = &rule["RuleCondition"];
                applies.is_null() || holds(applies, &parameters)
            })
            .flat_map(|rule| rule["Assertions"].as_array().unwrap())
            .filter(|assertion| !holds(&assertion["Assert"], &parameters))
            .map(|assertion| text(&assertion["AssertDescription"]))
            .collect();
        assert_eq!(rejected.len(), usize::from(cure.is_some()), "{rejected:?}");
        assert!(cure.is_none_or(|cure| rejected[0].contains(cure)));
    }
}

#[test]
fn a_panic_unwinds_in_the_deployed_build() {
    // cargo-lambda adds `panic = "abort"` to a release profile that does not choose.
    let manifest = include_str!("../../Cargo.toml");
    let (_, profile) = manifest.split_once("[profile.release]").unwrap();
    let profile = profile.split("\n[").next().unwrap();
    assert!(profile.lines().any(|line| line == r#"panic = "unwind""#));
}

#[test]
fn every_parameter_is_explained_checked_and_in_a_group() {
    let groups = &TEMPLATE["Metadata"]["AWS::CloudFormation::Interface"]["ParameterGroups"];
    let groups = groups.as_array().unwrap().iter();
    let grouped = groups.flat_map(|group| strings(&group["Parameters"]));
    let grouped: BTreeSet<String> = grouped.collect();
    assert_eq!(grouped, names(&TEMPLATE["Parameters"]));
    for (name, parameter) in object(&TEMPLATE["Parameters"]) {
        assert!(parameter["Description"].is_string(), "{name}");
        let checked = ["AllowedPattern", "AllowedValues", "MaxValue"];
        let checked = checked.iter().any(|check| !parameter[check].is_null());
        assert!(checked, "{name}");
        // CloudFormation says a range or a list by itself, but a pattern only as a pattern.
        let explained = parameter["ConstraintDescription"].is_string();
        assert_eq!(explained, !parameter["AllowedPattern"].is_null(), "{name}");
    }
}

/// The functions read the words by these types.
#[test]
fn a_parameter_allows_the_words_that_its_function_reads() {
    let read = [
        ("Mode", Mode::VARIANTS),
        ("OnFullRefund", AccessPolicy::VARIANTS),
        ("OnLostDispute", AccessPolicy::VARIANTS),
        ("PartPayment", PartPayment::VARIANTS),
        ("ReceiptOnUnknown", OnUnknown::VARIANTS),
        ("RenewalStock", RenewalStock::VARIANTS),
        ("Restock", RestockPolicy::VARIANTS),
    ];
    for (name, words) in read {
        let allowed = strings(&TEMPLATE["Parameters"][name]["AllowedValues"]);
        let allowed: BTreeSet<String> = allowed.into_iter().collect();
        assert_eq!(allowed, set(&words.join(" ")), "{name}");
    }
}

/// Parameter values are text, even those of type Number: a bare number or boolean never equals one.
#[test]
fn every_comparison_is_between_texts() {
    fn compared<'a>(value: &'a Json, found: &mut Vec<&'a Json>) {
        if let Some(operands) = value["Equals"].as_array() {
            found.extend(operands);
        }
        let members = value.as_object().into_iter().flat_map(|it| it.values());
        for member in members.chain(value.as_array().into_iter().flatten()) {
            compared(member, found);
        }
    }
    let mut operands = Vec::new();
    compared(&TEMPLATE, &mut operands);
    assert!(operands.len() >= 14, "{operands:?}");
    for operand in operands {
        let is_text = operand.is_string() || operand["Ref"].is_string();
        assert!(is_text, "{operand}: quote it");
    }
}

#[test]
fn on_and_off_are_words() {
    // CloudFormation reads YAML 1.1, where a bare on or off is a boolean. Our parser does not, so this test reads text.
    let text = include_str!("../../template.yaml");
    for mail in ["PaymentFailedMail", "ShipmentMail", "TrialEndsMail"] {
        let shape = r#"{Type: String, Default: "off", AllowedValues: ["off", "on"],"#;
        assert!(text.contains(&format!("\n  {mail}: {shape}\n")), "{mail}");
    }
}

/// The parameters without a default: values that only the shop can know.
fn required() -> BTreeSet<String> {
    let parameters = object(&TEMPLATE["Parameters"]);
    let required = parameters.filter(|(_, parameter)| parameter["Default"].is_null());
    required.map(|(name, _)| name.clone()).collect()
}

#[test]
fn four_parameters_have_no_default_and_reject_an_empty_value() {
    let expected = set("MerchantAddress MerchantName ReceiptSender SupportEmail");
    assert_eq!(required(), expected);
    for name in required() {
        assert_eq!(number(&format!("Parameters/{name}/MinLength")), 1, "{name}");
    }
}

/// The texts of a section of samconfig.toml, by name.
fn configured(section: &str) -> BTreeMap<String, &'static str> {
    let text = include_str!("../../samconfig.toml");
    let (_, lines) = text.split_once(&format!("[{section}]\n")).unwrap();
    let lines = lines.lines().take_while(|line| !line.starts_with('['));
    lines
        .filter_map(|line| Some((line.split(' ').next()?.to_owned(), line.split('"').nth(1)?)))
        .collect()
}

#[test]
fn each_environment_has_its_own_stack_and_asks_for_no_more_than_six_values() {
    for mode in ["test", "live"] {
        let deployment = configured(&format!("{mode}.deploy.parameters"));
        assert_eq!(deployment["stack_name"], format!("flex-fulfillment-{mode}"));
        assert_eq!(deployment["capabilities"], "CAPABILITY_IAM");
        let given = configured(&format!("{mode}.deploy.parameters.parameter_overrides"));
        assert_eq!(given["Mode"], mode);
        let given_names: BTreeSet<String> = given.keys().cloned().collect();
        assert!(given_names.is_subset(&names(&TEMPLATE["Parameters"])));
        assert!(given_names.is_superset(&required()), "{given_names:?}");
        // With the yes to the change set, six.
        let asked = given.values().filter(|value| value.is_empty()).count();
        assert!(asked < 6, "{given:?}");
        // A rule refuses a live stack without it.
        assert!(given.contains_key("AlarmEmail"));
    }
}

#[test]
fn every_parameter_is_documented_with_its_default() {
    let document = include_str!("../../docs/parameters.md");
    let rows = document.lines().filter(|line| line.starts_with("| `"));
    let rows: BTreeSet<String> = rows.map(ToOwned::to_owned).collect();
    let row = |(name, parameter): (&String, &Json)| {
        let default = match &parameter["Default"] {
            Json::Null => "required".to_owned(),
            Json::String(empty) if empty.is_empty() => "empty".to_owned(),
            Json::String(text) => format!("`{text}`"),
            other => format!("`{other}`"),
        };
        let meaning = text(&parameter["Description"]).replace('|', "\\|");
        format!("| `{name}` | {default} | {} |", meaning.trim())
    };
    let expected: BTreeSet<String> = object(&TEMPLATE["Parameters"]).map(row).collect();
    assert_eq!(rows, expected);
}

#[test]
fn the_outputs_are_those_that_the_documents_use() {
    let outputs = names(&TEMPLATE["Outputs"]);
    let expected = set(
        "BundleVersion EntitlementsTableName EventBusName FlintWebhookUrl NextStep ResourcesTableName StockTableName WebhookUrl",
    );
    assert_eq!(outputs, expected);
    let url = text(at("Outputs/WebhookUrl/Value/Sub"));
    assert!(url.ends_with("/webhooks/flex"), "{url}");
    let url = text(at("Outputs/FlintWebhookUrl/Value/Sub"));
    assert!(url.ends_with("/webhooks/flint"), "{url}");
}

/// The template as JSON, its tags as objects with one member: `!Ref X` becomes `{"Ref": "X"}`.
pub(crate) static TEMPLATE: LazyLock<Json> =
    LazyLock::new(|| yaml(include_str!("../../template.yaml")));

fn yaml(text: &str) -> Json {
    plain(serde_yaml_ng::from_str(text).unwrap())
}

fn plain(yaml: Yaml) -> Json {
    match yaml {
        Yaml::Null => Json::Null,
        Yaml::Bool(value) => json!(value),
        Yaml::Number(value) => json!(value),
        Yaml::String(value) => json!(value),
        Yaml::Sequence(values) => values.into_iter().map(plain).collect(),
        Yaml::Mapping(members) => members
            .into_iter()
            .map(|(name, value)| (name.as_str().unwrap().to_owned(), plain(value)))
            .collect::<serde_json::Map<_, _>>()
            .into(),
        Yaml::Tagged(tagged) => {
            let function = tagged.tag.to_string();
            json!({ function.trim_start_matches('!'): plain(tagged.value) })
        }
    }
}

/// The value at a path: below a resource's properties, below the resource itself, or below the template.
fn at(path: &str) -> &'static Json {
    let (first, rest) = path.split_at(path.find('/').unwrap_or(path.len()));
    let resource = &TEMPLATE["Resources"][first];
    [&resource["Properties"], resource, &TEMPLATE[first]]
        .into_iter()
        .filter(|place| !place.is_null())
        .find_map(|place| place.pointer(rest))
        .unwrap_or(&Json::Null)
}

fn of_type(of: &str) -> BTreeSet<String> {
    let resources = object(&TEMPLATE["Resources"]);
    let resources = resources.filter(|(_, resource)| resource["Type"] == json!(of));
    resources.map(|(id, _)| id.clone()).collect()
}

/// The statements of a role, or of a policy.
fn statements(id: &str) -> Vec<&'static Json> {
    let policies = at(id)["Policies"].as_array();
    let policies = policies.map_or(vec![at(id)], |policies| policies.iter().collect());
    policies
        .into_iter()
        .flat_map(|policy| policy["PolicyDocument"]["Statement"].as_array().unwrap())
        .collect()
}

/// A worker's event source.
fn source(function: &str) -> &'static Json {
    at(&format!("{function}Function/Events/Queue/Properties"))
}

/// A function's settings.
fn settings(function: &str) -> &'static Json {
    at(&format!("{function}Function/Environment/Variables"))
}

/// How often SQS delivers a message of a queue.
fn tries(queue: &str) -> u64 {
    number(&format!("{queue}Queue/RedrivePolicy/maxReceiveCount"))
}

fn pattern(filter: &str) -> String {
    text(&at(filter)["FilterPattern"])
}

/// Every string literal of a source that is spelled as settings are.
fn setting_names(source: &str) -> BTreeSet<String> {
    let is_setting = |text: &&str| {
        // Cargo sets these when it compiles.
        !text.starts_with("CARGO_")
            && text.len() > 3
            && text.starts_with(|first: char| first.is_ascii_uppercase())
            && text.chars().all(|c| c.is_ascii_uppercase() || c == '_')
    };
    let literals = source.split('"').skip(1).step_by(2);
    literals.filter(is_setting).map(ToOwned::to_owned).collect()
}

fn object(json: &Json) -> impl Iterator<Item = (&String, &Json)> {
    json.as_object().unwrap().iter()
}

fn names(json: &Json) -> BTreeSet<String> {
    object(json).map(|(name, _)| name.clone()).collect()
}

fn strings(json: &Json) -> Vec<String> {
    let mut strings: Vec<_> = json.as_array().unwrap().iter().map(text).collect();
    strings.sort();
    strings
}

fn text(json: &Json) -> String {
    json.as_str().unwrap_or_else(|| panic!("{json}")).to_owned()
}

fn set(names: &str) -> BTreeSet<String> {
    names.split(' ').map(ToOwned::to_owned).collect()
}

fn number(path: &str) -> u64 {
    at(path).as_u64().unwrap_or_else(|| panic!("{path}"))
}
