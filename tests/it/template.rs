//! Tests that `template.yaml` keeps its promises, and that it agrees with the code and the documents.
//!
//! `make test` checks its syntax by `sam validate --lint` and `cfn-lint`.

use domain::{
    outcome::back_off,
    sweep::{EVERY, TRIES, UNFULFILLED},
};
use kit::drive;
use serde_json::{Value as Json, json};
use serde_yaml_ng::Value as Yaml;
use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::{Path, PathBuf},
    sync::LazyLock,
    time::Duration,
};

const FUNCTIONS: [&str; 6] = [
    "Intake",
    "Fulfillment",
    "Receipts",
    "Feedback",
    "Sweep",
    "Reconcile",
];

/// The functions that a queue feeds, and the first part of that queue's name.
const WORKERS: [(&str, &str); 3] = [
    ("Fulfillment", "Fulfillment"),
    ("Receipts", "Receipt"),
    ("Feedback", "Feedback"),
];

/// The functions that the scheduler starts.
const SCHEDULED: [&str; 2] = ["Sweep", "Reconcile"];

/// The tables with their keys, and the keys of their index.
const TABLES: [(&str, &str, &str); 6] = [
    ("EventsTable", "event_id", "pending received_at"),
    ("OrdersTable", "order_id", "client_reference_id placed_at"),
    ("LinksTable", "link", ""),
    ("StockTable", "sku entry", ""),
    ("EntitlementsTable", "customer_id entry", "subscription_id"),
    ("ReceiptsTable", "receipt_id", "pending created_at"),
];

/// The metrics that sweep measures, and the fields of its line `measured`.
pub(crate) const GAUGES: [(&str, &str); 5] = [
    ("DeadLetters", "dead_letters"),
    ("Failed", "failed"),
    ("Held", "held"),
    ("OldestUnfulfilledSeconds", "oldest_unfulfilled_seconds"),
    ("Parked", "parked"),
];

/// The metrics that count lines of the log, and the lines.
const COUNTS: [(&str, &str); 8] = [
    ("DeliveryFailures", "{ $.mail_trouble IS TRUE }"),
    (
        "LastTries",
        r#"{ ($.outcome = "retry") && ($.receives >= 4) }"#,
    ),
    (
        "OrdersToReview",
        "{ ($.shortfall IS TRUE) || ($.unmapped IS TRUE) || ($.amounts_differ IS TRUE) || ($.second_order IS TRUE) }",
    ),
    ("Panics", r#"{ $.outcome = "panic" }"#),
    (
        "PaymentsToReview",
        "{ ($.dispute_opened IS TRUE) || ($.dispute_lost IS TRUE) || ($.refund_failed IS TRUE) }",
    ),
    (
        "SecretRefreshFailures",
        "{ $.secret_refresh_failed IS TRUE }",
    ),
    ("Stalled", "{ $.stalled IS TRUE }"),
    ("Unreadable", r#"{ $.outcome = "unreadable" }"#),
];

/// The alarms, and the condition of each.
const ALARMS: [(&str, &str); 18] = [
    ("DeadLetterAlarm", "Maximum DeadLetters >= 1 in 300 s"),
    ("DeliveryFailureAlarm", "Sum DeliveryFailures >= 1 in 300 s"),
    (
        "FunctionErrorsAlarm",
        "intake + fulfillment + receipts + feedback + sweep + reconcile + panics \
         + throttled_fulfillment + throttled_receipts + throttled_feedback >= 1",
    ),
    ("GatewayErrorsAlarm", "Sum 5xx{WebhookApi} >= 5 in 300 s"),
    ("LastTryAlarm", "Sum LastTries >= 1 in 300 s"),
    (
        "MissingWebhooksAlarm",
        "Sum Outcomes{reconcile,missing} >= 1 in 300 s",
    ),
    ("OrderReviewAlarm", "Sum OrdersToReview >= 1 in 300 s"),
    ("ParkedAlarm", "Maximum Parked >= 1 in 300 s"),
    ("PaymentReviewAlarm", "Sum PaymentsToReview >= 1 in 300 s"),
    (
        "QueueAgeAlarm",
        "(fulfillment >= 900) OR (receipt >= 900) OR (feedback >= 900) >= 1",
    ),
    ("ReceiptReviewAlarm", "held + failed >= 1"),
    (
        "ReconcileSilentAlarm",
        "Sum Outcomes{reconcile,reconciled} < 1 in 10800 s",
    ),
    ("RefusedRequestsAlarm", "Sum 4xx{WebhookApi} >= 20 in 300 s"),
    (
        "SecretRefreshAlarm",
        "Sum SecretRefreshFailures >= 1 in 300 s",
    ),
    ("StalledAlarm", "Sum Stalled >= 1 in 300 s"),
    (
        "SweepSilentAlarm",
        "Sum Outcomes{sweep,swept} < 1 in 1800 s",
    ),
    (
        "UnfulfilledAlarm",
        "Maximum OldestUnfulfilledSeconds >= 7200 in 300 s",
    ),
    ("UnreadableAlarm", "Sum Unreadable >= 1 in 300 s"),
];

/// Alarms on gauges: they last until a person has decided, and their OK says so.
const DECISIONS: [&str; 4] = [
    "DeadLetterAlarm",
    "ParkedAlarm",
    "ReceiptReviewAlarm",
    "UnfulfilledAlarm",
];

const DAY: u64 = 24 * 60 * 60;

mod queues {
    use super::*;

    #[test]
    fn each_function_answers_for_every_record_of_its_queue() {
        for (function, queue) in WORKERS {
            let source = at(&format!("{function}Function/Events/Queue/Properties"));
            assert_eq!(source["Queue"], yaml(&format!("!GetAtt {queue}Queue.Arn")));
            assert_eq!(
                source["FunctionResponseTypes"],
                json!(["ReportBatchItemFailures"])
            );
        }
    }

    #[test]
    fn the_owner_sets_the_pace_of_a_backlog() {
        assert_all(&[
            (&pace("Fulfillment"), "!Ref FulfillmentConcurrency"),
            (&pace("Receipts"), "!Ref ReceiptConcurrency"),
        ]);
    }

    fn pace(function: &str) -> String {
        format!("{function}Function/Events/Queue/Properties/ScalingConfig/MaximumConcurrency")
    }

    #[test]
    fn a_new_account_has_room_for_intake_beside_every_queue() {
        // AWS gives a new account as few as ten.
        let new_account = 10;
        let pollers: u64 = WORKERS
            .iter()
            .map(|(function, _)| {
                let most = at(&pace(function));
                match most["Ref"].as_str() {
                    Some(parameter) => number(&format!("Parameters/{parameter}/Default")),
                    None => most.as_u64().unwrap(),
                }
            })
            .sum();
        let scheduled = SCHEDULED.len() as u64;
        assert!(pollers + scheduled < new_account, "{pollers} pollers");
        assert_all(&[
            ("Parameters/IntakeReservedConcurrency/Default", "''"),
            (
                "IntakeFunction/ReservedConcurrentExecutions",
                "!If [HasIntakeReservedConcurrency, !Ref IntakeReservedConcurrency, !Ref AWS::NoValue]",
            ),
        ]);
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
            let size = at(&format!(
                "{function}Function/Events/Queue/Properties/BatchSize"
            ));
            assert_eq!(size, &json!(batch), "{function}");
        }
        let base = seconds("Parameters/RetryBaseSeconds/Default".to_owned());
        assert_eq!(base, drive::RETRY_BASE);
    }

    #[test]
    fn a_message_stays_hidden_for_six_tries() {
        for (function, queue) in WORKERS {
            let timeout = number(&format!("{function}Function/Timeout"));
            let source = at(&format!("{function}Function/Events/Queue/Properties"));
            let window = source["MaximumBatchingWindowInSeconds"].as_u64();
            let hidden = number(&format!("{queue}Queue/VisibilityTimeout"));
            assert!(hidden >= 6 * timeout + window.unwrap_or(0), "{queue}");
        }
    }

    #[test]
    fn a_function_and_an_alarm_know_which_try_is_the_last() {
        for (function, queue) in WORKERS {
            let known = at(&format!(
                "{function}Function/Environment/Variables/MAX_RECEIVES"
            ));
            assert_eq!(known, &json!(tries(queue).to_string()), "{queue}");
            let before = format!("$.receives >= {}", tries(queue) - 1);
            assert!(pattern("LastTries").contains(&before), "{queue}");
        }
    }

    #[test]
    fn a_message_that_was_given_up_is_kept_for_fourteen_days() {
        for (_, queue) in WORKERS {
            let target = at(&format!("{queue}Queue/RedrivePolicy/deadLetterTargetArn"));
            assert_eq!(
                target,
                &yaml(&format!("!GetAtt {queue}DeadLetterQueue.Arn"))
            );
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
    fn every_queue_is_standard_encrypted_and_refuses_callers_without_tls() {
        let policies = of_type("AWS::SQS::QueuePolicy");
        assert_eq!(policies, set("FeedbackQueuePolicy QueuePolicy"));
        let tls = yaml(
            "{Sid: TlsOnly, Effect: Deny, Principal: '*', Action: 'sqs:*', Resource: '*',
              Condition: {Bool: {aws:SecureTransport: 'false'}}}",
        );
        let mut covered = BTreeSet::new();
        for policy in &policies {
            let statements = &at(policy)["PolicyDocument"]["Statement"];
            assert_eq!(statements[0], tls, "{policy}");
            // Only the topic, and only our own roles, may write.
            let others = usize::from(policy == "FeedbackQueuePolicy");
            assert_eq!(statements.as_array().unwrap().len(), 1 + others, "{policy}");
            let queues = at(policy)["Queues"].as_array().unwrap();
            covered.extend(queues.iter().map(|queue| text(&queue["Ref"])));
        }
        assert_eq!(covered, of_type("AWS::SQS::Queue"));
        for queue in covered {
            let by_sqs_or_by_a_key = yaml("!If [HasKmsKey, false, true]");
            assert_eq!(at(&queue)["SqsManagedSseEnabled"], by_sqs_or_by_a_key);
            assert_eq!(at(&queue)["FifoQueue"], Json::Null, "{queue}");
        }
    }
}

/// The path from SES to the feedback queue.
mod feedback {
    use super::*;

    #[test]
    fn ses_reports_everything_that_settles_a_mail() {
        assert_all(&[
            ("MailFeedbackEvents/ConfigurationSetName", "!Ref MailFeedback"),
            (
                "MailFeedbackEvents/EventDestination",
                "{Name: feedback, Enabled: true, SnsDestination: {TopicARN: !Ref FeedbackTopic},
                  MatchingEventTypes: [send, delivery, bounce, complaint, reject, renderingFailure]}",
            ),
            // SES tests the topic at once, so it must have the permission.
            ("MailFeedbackEvents/DependsOn", "FeedbackTopicPolicy"),
            (
                "ReceiptsFunction/Environment/Variables/CONFIGURATION_SET",
                "!Ref MailFeedback",
            ),
        ]);
    }

    #[test]
    fn no_mail_goes_out_before_the_feedback_path_exists() {
        assert_all(&[
            (
                "ReceiptsFunction/DependsOn",
                "[MailFeedbackEvents, FeedbackSubscription, FeedbackQueuePolicy]",
            ),
            ("FeedbackSubscription/DependsOn", "FeedbackQueuePolicy"),
        ]);
    }

    #[test]
    fn only_ses_may_write_to_the_topic_and_only_for_this_stack() {
        let set = "arn:${AWS::Partition}:ses:${AWS::Region}:${AWS::AccountId}:configuration-set/${MailFeedback}";
        let statements = format!(
            "[{{Sid: TakeFromSes, Effect: Allow, Principal: {{Service: ses.amazonaws.com}},
                Action: sns:Publish, Resource: !Ref FeedbackTopic, Condition: {{StringEquals: {{
                  aws:SourceAccount: !Ref AWS::AccountId, aws:SourceArn: !Sub '{set}'}}}}}},
              {}]",
            tls_only("FeedbackTopic")
        );
        assert_all(&[
            ("FeedbackTopicPolicy/Topics", "[!Ref FeedbackTopic]"),
            ("FeedbackTopicPolicy/PolicyDocument/Statement", &statements),
        ]);
    }

    #[test]
    fn the_topic_delivers_raw_messages_to_the_queue_or_its_dead_letter_queue() {
        assert_all(&[
            (
                "FeedbackSubscription",
                "{TopicArn: !Ref FeedbackTopic, Protocol: sqs, Endpoint: !GetAtt FeedbackQueue.Arn,
                  RawMessageDelivery: true,
                  RedrivePolicy: {deadLetterTargetArn: !GetAtt FeedbackDeadLetterQueue.Arn}}",
            ),
            (
                "FeedbackQueuePolicy/Queues",
                "[!Ref FeedbackQueue, !Ref FeedbackDeadLetterQueue]",
            ),
            (
                "FeedbackQueuePolicy/PolicyDocument/Statement/1",
                "{Sid: TakeFromTopic, Effect: Allow, Principal: {Service: sns.amazonaws.com},
                  Action: sqs:SendMessage, Resource: '*',
                  Condition: {ArnEquals: {aws:SourceArn: !Ref FeedbackTopic}}}",
            ),
        ]);
    }
}

mod tables {
    use super::*;

    #[test]
    fn tables_are_on_demand_encrypted_and_can_go_back_in_time() {
        assert_eq!(of_type("AWS::DynamoDB::Table").len(), TABLES.len());
        for (table, ..) in TABLES {
            let properties = at(table);
            assert_eq!(properties["BillingMode"], json!("PAY_PER_REQUEST"));
            assert_eq!(properties["SSESpecification"]["SSEEnabled"], json!(true));
            assert_eq!(
                properties["PointInTimeRecoverySpecification"],
                yaml("{PointInTimeRecoveryEnabled: true}")
            );
        }
    }

    #[test]
    fn a_live_stack_keeps_its_data_and_a_test_stack_leaves_nothing_behind() {
        let by_mode = yaml("!If [IsLive, Retain, Delete]");
        let tables = TABLES.map(|(table, ..)| table);
        for kept in tables.iter().chain(&["FlexWebhookSecrets", "FlexApiKey"]) {
            let resource = &TEMPLATE["Resources"][kept];
            assert_eq!(resource["DeletionPolicy"], by_mode, "{kept}");
            assert_eq!(resource["UpdateReplacePolicy"], by_mode, "{kept}");
        }
        for table in tables {
            let protected = yaml("!If [IsLive, true, false]");
            assert_eq!(at(table)["DeletionProtectionEnabled"], protected, "{table}");
        }
        assert_all(&[
            ("Conditions/IsLive", "!Equals [!Ref Mode, live]"),
            // Otherwise CloudFormation refuses a DeletionPolicy that depends on anything.
            ("Transform/0", "AWS::LanguageExtensions"),
        ]);
    }

    #[test]
    fn keys_and_indexes_are_those_that_the_adapters_use() {
        for (table, key, index_key) in TABLES {
            assert_eq!(keys(&at(table)["KeySchema"]), key, "{table}");
            let Some(indexes) = at(table)["GlobalSecondaryIndexes"].as_array() else {
                assert_eq!(index_key, "", "{table}");
                continue;
            };
            let [index] = &indexes[..] else {
                panic!("{table} has one index")
            };
            assert_eq!(keys(&index["KeySchema"]), index_key, "{table}");
            let name = index_key.split(' ').next();
            assert_eq!(index["IndexName"].as_str(), name, "{table}");
            // An index copies little: each copy is a second write.
            let projection = match table {
                "EventsTable" => "{ProjectionType: INCLUDE, NonKeyAttributes: [subject]}",
                _ => "{ProjectionType: KEYS_ONLY}",
            };
            assert_eq!(index["Projection"], yaml(projection), "{table}");
        }
    }

    #[test]
    fn only_events_expire() {
        for (table, ..) in TABLES {
            let expires = match table {
                "EventsTable" => yaml("{AttributeName: expires_at, Enabled: true}"),
                _ => Json::Null,
            };
            assert_eq!(at(table)["TimeToLiveSpecification"], expires, "{table}");
        }
    }

    #[test]
    fn an_event_is_known_for_longer_than_it_can_come_again() {
        // The provider retries for 28 hours; its last copy may lie in a dead-letter queue for 14 days.
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
}

mod functions {
    use super::*;

    #[test]
    fn each_function_is_one_binary_of_cargo_lambda() {
        assert_eq!(of_type("AWS::Serverless::Function").len(), FUNCTIONS.len());
        for function in FUNCTIONS {
            let (id, binary) = (format!("{function}Function"), function.to_lowercase());
            let metadata =
                format!("{{BuildMethod: rust-cargolambda, BuildProperties: {{Binary: {binary}}}}}");
            assert_eq!(TEMPLATE["Resources"][&id]["Metadata"], yaml(&metadata));
            // All functions share the workspace's build.
            assert_eq!(at(&id)["CodeUri"], json!("."), "{id}");
        }
        assert_all(&[(
            "Globals/Function",
            "{Runtime: provided.al2023, Handler: bootstrap, Architectures: [!Ref Architecture],
              LoggingConfig: {LogGroup: !Ref FunctionLogGroup},
              Environment: {Variables: {RUST_LOG: !Ref LogLevel}}}",
        )]);
    }

    #[test]
    fn the_settings_given_are_the_settings_read() {
        for function in FUNCTIONS {
            let folder = format!("functions/{}/src", function.to_lowercase());
            let sources = ["main.rs", "config.rs"].map(|file| root().join(&folder).join(file));
            let sources = sources
                .iter()
                .filter_map(|file| fs::read_to_string(file).ok());
            let mut read: BTreeSet<String> =
                sources.flat_map(|code| setting_names(&code)).collect();
            assert!(read.len() > 2, "{folder} reads no settings");
            // The log reads this one.
            read.insert("FUNCTION".to_owned());
            let given = at(&format!("{function}Function/Environment/Variables"));
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
    fn each_log_group_has_a_retention() {
        assert_eq!(
            of_type("AWS::Logs::LogGroup"),
            set("FunctionLogGroup WebhookLogGroup")
        );
        assert_all(&[
            ("FunctionLogGroup/RetentionInDays", "!Ref LogRetentionDays"),
            ("WebhookLogGroup/RetentionInDays", "!Ref LogRetentionDays"),
            (
                "WebhookStage/AccessLogSettings/DestinationArn",
                "!GetAtt WebhookLogGroup.Arn",
            ),
        ]);
    }

    #[test]
    fn intake_answers_before_the_provider_gives_up() {
        let flex_waits_seconds = 15;
        assert!(number("IntakeFunction/Timeout") < flex_waits_seconds);
    }
}

mod schedule {
    use super::*;

    #[test]
    fn each_run_is_over_before_the_next_which_is_its_retry() {
        let every = EVERY.as_secs().unsigned_abs();
        for (function, rate, seconds) in [
            ("Sweep", format!("rate({} minutes)", every / 60), every),
            ("Reconcile", "rate(1 hour)".to_owned(), 3600),
        ] {
            let id = format!("{function}Function");
            assert_eq!(names(&at(&id)["Events"]), set("Schedule"));
            let schedule = &at(&id)["Events"]["Schedule"];
            assert_eq!(schedule["Type"], json!("ScheduleV2"));
            let sample = format!("events/{}.json", function.to_lowercase());
            let sample = fs::read_to_string(root().join(sample)).unwrap();
            let sample: Json = serde_json::from_str(&sample).unwrap();
            let properties = format!(
                "{{ScheduleExpression: {rate}, OmitName: true, RoleArn: !GetAtt ScheduleRole.Arn,
                   Input: '{sample}', RetryPolicy: {{MaximumEventAgeInSeconds: {seconds}}}}}"
            );
            assert_eq!(schedule["Properties"], yaml(&properties), "{id}");
            assert!(number(&format!("{id}/Timeout")) < seconds, "{id}");
            assert_eq!(
                at(&id)["EventInvokeConfig"],
                yaml("{MaximumRetryAttempts: 0}")
            );
        }
        // A sweep stops by itself, so it is not cut off between a row's mark and its message.
        let stops = sweep::Limits::default().lasts + Duration::from_secs(15);
        assert!(stops <= Duration::from_secs(number("SweepFunction/Timeout")));
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
}

mod permissions {
    use super::*;

    /// The table of permissions: one row for each statement.
    fn table() -> String {
        let mut table = "| role | statement | on | may |\n| --- | --- | --- | --- |\n".to_owned();
        let key = statements("KeyPolicy").into_iter();
        let key =
            key.map(|statement| ("all functions, with `KmsKeyArn` only".to_owned(), statement));
        let roles = of_type("AWS::IAM::Role").into_iter();
        let of_roles = roles.flat_map(|role| {
            let statements = statements(&role).into_iter();
            statements.map(move |statement| (role.clone(), statement))
        });
        for (role, statement) in of_roles.chain(key) {
            let sid = text(&statement["Sid"]);
            let on = called(&statement["Resource"]).join(", ");
            let may = strings(&statement["Action"]).join(", ");
            table += &format!("| {role} | {sid} | {on} | {may} |\n");
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
            "If" => value.as_array().unwrap()[1..]
                .iter()
                .flat_map(called)
                .collect(),
            "Ref" if value == "AWS::NoValue" => Vec::new(),
            "Ref" => vec![text(value)],
            "GetAtt" => vec![text(value).rsplit_once('.').unwrap().0.to_owned()],
            "Sub" => {
                let arn = value.as_str().or_else(|| value[0].as_str()).unwrap();
                let name = arn.rsplit(':').next().unwrap();
                vec![match name
                    .strip_prefix("${")
                    .and_then(|it| it.split_once(".Arn}"))
                {
                    Some((table, index)) => format!("{table}{index}"),
                    None => name.to_owned(),
                }]
            }
            _ => panic!("{resource}"),
        }
    }

    #[test]
    fn the_table_of_permissions_is_printed_from_the_template() {
        crate::documents::assert_printed("docs/permissions.md", "permissions", &table());
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
        let read: Vec<_> = of_type("AWS::IAM::Role")
            .iter()
            .flat_map(|role| {
                statements(role)
                    .into_iter()
                    .map(move |it| (role.clone(), it))
            })
            .filter(|(_, statement)| statement["Action"].to_string().contains("secretsmanager"))
            .map(|(role, statement)| (role, called(&statement["Resource"]).join(" ")))
            .collect();
        let expected = [
            ("FulfillmentRole", "FlexApiKey"),
            ("IntakeRole", "FlexWebhookSecrets"),
            ("ReconcileRole", "FlexApiKey"),
        ];
        assert_eq!(
            read,
            expected.map(|(role, secret)| (role.to_owned(), secret.to_owned()))
        );
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
        // A customer is never an identity of ours; only a trial, in the sandbox, names its recipient.
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
            let given = format!("!Not [!Equals [!Ref {parameter}, '']]");
            let condition = at(&format!("Conditions/Has{parameter}"));
            assert_eq!(condition, &yaml(&given));
            let shape = at(&format!("Parameters/{parameter}"));
            assert_eq!(shape["Default"], json!(""), "{parameter}");
            // A list of allowed characters keeps wildcards out.
            assert!(!text(&shape["AllowedPattern"]).contains("[^"));
        }
    }

    #[test]
    fn each_function_has_its_own_role_and_the_scheduler_has_one_of_this_account() {
        for function in FUNCTIONS {
            let role = format!("{function}Role");
            let given = &at(&format!("{function}Function"))["Role"];
            assert_eq!(given, &yaml(&format!("!GetAtt {role}.Arn")));
            assert_trusted(&role, "Principal: {Service: lambda.amazonaws.com}");
            assert_eq!(at(&format!("{function}Function"))["Policies"], Json::Null);
        }
        assert_trusted(
            "ScheduleRole",
            "Principal: {Service: scheduler.amazonaws.com},
             Condition: {StringEquals: {aws:SourceAccount: !Ref AWS::AccountId}}",
        );
        let roles = FUNCTIONS.map(|function| format!("{function}Role"));
        let all = roles.into_iter().chain(["ScheduleRole".to_owned()]);
        assert_eq!(of_type("AWS::IAM::Role"), all.collect());
    }

    fn assert_trusted(role: &str, principal: &str) {
        assert_eq!(at(role)["ManagedPolicyArns"], Json::Null, "{role}");
        let trusted = format!("[{{Effect: Allow, Action: sts:AssumeRole, {principal}}}]");
        let statement = &at(role)["AssumeRolePolicyDocument"]["Statement"];
        assert_eq!(statement, &yaml(&trusted), "{role}");
    }

    #[test]
    fn only_the_webhook_may_call_intake() {
        assert_all(&[(
            "WebhookPermission",
            "{FunctionName: !Ref IntakeFunction, Action: lambda:InvokeFunction,
              Principal: apigateway.amazonaws.com, SourceArn: !Sub
              'arn:${AWS::Partition}:execute-api:${AWS::Region}:${AWS::AccountId}:${WebhookApi}/*/POST/webhooks/*'}",
        )]);
    }
}

/// One key of the merchant's for everything at rest, or AWS's own keys.
mod key {
    use super::*;

    #[test]
    fn everything_at_rest_takes_the_key_if_it_is_given() {
        let key = yaml("!If [HasKmsKey, !Ref KmsKeyArn, !Ref AWS::NoValue]");
        for (of, property) in [
            ("AWS::DynamoDB::Table", "/SSESpecification/KMSMasterKeyId"),
            ("AWS::Logs::LogGroup", "/KmsKeyId"),
            ("AWS::SNS::Topic", "/KmsMasterKeyId"),
            ("AWS::SQS::Queue", "/KmsMasterKeyId"),
            ("AWS::SecretsManager::Secret", "/KmsKeyId"),
        ] {
            let resources = of_type(of);
            assert!(!resources.is_empty(), "{of}");
            for id in resources {
                assert_eq!(at(&id).pointer(property), Some(&key), "{id}");
            }
        }
        assert_all(&[
            ("Parameters/KmsKeyArn/Default", "''"),
            (
                "Conditions/HasKmsKey",
                "!Not [!Equals [!Ref KmsKeyArn, '']]",
            ),
        ]);
    }

    #[test]
    fn every_function_may_use_the_key_only_through_the_services_that_it_calls() {
        assert_eq!(of_type("AWS::IAM::Policy"), set("KeyPolicy"));
        let roles = FUNCTIONS.map(|function| json!({ "Ref": format!("{function}Role") }));
        assert_eq!(at("KeyPolicy")["Roles"], json!(roles));
        assert_all(&[
            ("KeyPolicy/Condition", "HasKmsKey"),
            (
                "KeyPolicy/PolicyDocument/Statement",
                "[{Sid: UseKey, Effect: Allow, Action: [kms:Decrypt, kms:GenerateDataKey],
                   Resource: !Ref KmsKeyArn, Condition: {StringEquals: {kms:ViaService: [
                     !Sub 'dynamodb.${AWS::Region}.${AWS::URLSuffix}',
                     !Sub 'sqs.${AWS::Region}.${AWS::URLSuffix}',
                     !Sub 'secretsmanager.${AWS::Region}.${AWS::URLSuffix}']}}}]",
            ),
        ]);
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
}

mod webhook {
    use super::*;

    #[test]
    fn there_is_one_route_and_it_is_throttled() {
        assert_eq!(of_type("AWS::ApiGatewayV2::Route"), set("WebhookRoute"));
        assert_all(&[
            ("WebhookRoute/RouteKey", "'POST /webhooks/{provider}'"),
            (
                "WebhookStage/DefaultRouteSettings",
                "{ThrottlingRateLimit: !Ref WebhookRateLimit, ThrottlingBurstLimit: !Ref WebhookBurstLimit}",
            ),
        ]);
    }

    #[test]
    fn the_access_log_tells_a_refusal_of_the_gateway_from_one_of_intake() {
        let format = text(at("WebhookStage/AccessLogSettings/Format"));
        let line: Json = serde_json::from_str(&format).unwrap();
        assert_eq!(line["status"], json!("$context.status"));
        assert_eq!(line["intake_status"], json!("$context.integration.status"));
    }

    #[test]
    fn each_secret_begins_as_an_empty_form() {
        // A change of these texts makes CloudFormation overwrite the secrets of every updated stack.
        assert_all(&[
            (
                "FlexWebhookSecrets/SecretString",
                r#"'{"webhook_secrets":[]}'"#,
            ),
            ("FlexApiKey/SecretString", r#"'{"api_key":""}'"#),
        ]);
        let secrets = of_type("AWS::SecretsManager::Secret");
        assert_eq!(secrets, set("FlexWebhookSecrets FlexApiKey"));
    }
}

mod operation {
    use super::*;

    #[test]
    fn every_filter_reads_the_lines_that_its_metric_counts_or_measures() {
        let mut expected: BTreeMap<&str, (String, String)> = COUNTS
            .into_iter()
            .map(|(metric, lines)| (metric, (lines.to_owned(), "1".to_owned())))
            .collect();
        for (metric, field) in GAUGES {
            // A sum of two gauges needs both.
            let known = match field {
                "held" | "failed" => "($.held >= 0) && ($.failed >= 0)".to_owned(),
                field => format!("($.{field} >= 0)"),
            };
            let lines = format!(r#"{{ ($.outcome = "measured") && {known} }}"#);
            expected.insert(metric, (lines, format!("$.{field}")));
        }
        let outcomes = ("{ $.outcome = * }".to_owned(), "1".to_owned());
        expected.insert("Outcomes", outcomes);
        let filters = of_type("AWS::Logs::MetricFilter");
        assert_eq!(filters.len(), expected.len());
        for (metric, (lines, value)) in expected {
            assert_eq!(pattern(metric), lines);
            let transformation = &at(metric)["MetricTransformations"][0];
            assert_eq!(transformation["MetricName"], json!(metric));
            assert_eq!(transformation["MetricValue"], json!(value), "{metric}");
            // Two stacks of an account count apart.
            let namespace = yaml("!Ref AWS::StackName");
            assert_eq!(transformation["MetricNamespace"], namespace, "{metric}");
            let group = &at(metric)["LogGroupName"];
            assert_eq!(group, &yaml("!Ref FunctionLogGroup"), "{metric}");
        }
        assert_all(&[(
            "Outcomes/MetricTransformations/0/Dimensions",
            "[{Key: function, Value: $.function}, {Key: outcome, Value: $.outcome}]",
        )]);
    }

    #[test]
    fn every_field_that_a_filter_reads_is_logged_by_the_code() {
        let mut code = String::new();
        for folder in ["functions", "shared"] {
            read_sources(&root().join(folder), &mut code);
        }
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
        let of = match values.is_empty() {
            true => String::new(),
            false => format!("{{{}}}", values.join(",")),
        };
        let (statistic, metric) = (text(&alarm["Statistic"]), text(&alarm["MetricName"]));
        format!("{statistic} {metric}{of} {limit} in {} s", alarm["Period"])
    }

    #[test]
    fn every_alarm_has_its_condition() {
        let alarms = of_type("AWS::CloudWatch::Alarm").into_iter();
        let found: Vec<_> = alarms.map(|id| (id.clone(), condition(at(&id)))).collect();
        let expected = ALARMS.map(|(id, condition)| (id.to_owned(), condition.to_owned()));
        assert_eq!(found, expected);
        assert_eq!(UNFULFILLED.as_secs(), 7200);
        assert_eq!(EVERY.as_secs(), 300, "one measurement per period");
    }

    #[test]
    fn every_count_and_every_gauge_rings() {
        let ours = |alarm: &String| {
            let namespace = at(alarm)["Namespace"] == yaml("!Ref AWS::StackName");
            namespace.then(|| text(&at(alarm)["MetricName"]))
        };
        let alarms = of_type("AWS::CloudWatch::Alarm");
        let mut rung: BTreeSet<String> = alarms.iter().filter_map(ours).collect();
        for (alarm, _) in ALARMS {
            let metrics = at(alarm)["Metrics"].as_array().into_iter().flatten();
            let metrics = metrics.map(|it| &it["MetricStat"]["Metric"]["MetricName"]);
            rung.extend(metrics.filter_map(|name| name.as_str().map(ToOwned::to_owned)));
        }
        for (metric, _) in COUNTS.iter().chain(&GAUGES) {
            assert!(rung.contains(*metric), "no alarm reads {metric}");
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
            let on =
                format!(", Dimensions: [{{Name: FunctionName, Value: !Ref {function}Function}}]");
            metric(300, "Sum", "AWS/Lambda", name, &on)
        };
        let errors = FUNCTIONS.map(|name| (name.to_lowercase(), of_lambda(name, "Errors")));
        let throttles = WORKERS.map(|(name, _)| {
            let id = format!("throttled_{}", name.to_lowercase());
            (id, of_lambda(name, "Throttles"))
        });
        let panics = metric(300, "Sum", "!Ref AWS::StackName", "Panics", "");
        let all = errors.into_iter().chain(throttles);
        let all = all.chain([("panics".to_owned(), panics)]);
        assert_eq!(metrics("FunctionErrorsAlarm"), all.collect());
    }

    #[test]
    fn every_queue_and_every_waiting_receipt_is_watched() {
        let ages = WORKERS.map(|(_, queue)| {
            let on = format!(
                ", Dimensions: [{{Name: QueueName, Value: !GetAtt {queue}Queue.QueueName}}]"
            );
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
        // Sweep adds up the messages of these queues.
        for (_, queue) in WORKERS {
            let name = queue.to_uppercase();
            let given = at(&format!(
                "SweepFunction/Environment/Variables/{name}_DEAD_LETTER_QUEUE_URL"
            ));
            assert_eq!(given, &yaml(&format!("!Ref {queue}DeadLetterQueue")));
        }
    }

    #[test]
    fn a_scheduled_function_that_stops_is_noticed_but_one_failed_run_is_not() {
        for (id, every) in [("SweepSilentAlarm", 300), ("ReconcileSilentAlarm", 3600)] {
            assert!(number(&format!("{id}/Period")) >= 3 * every, "{id}");
        }
        assert_all(&[
            ("ReconcileSilentAlarm/Condition", "Reconciles"),
            (
                "Conditions/Reconciles",
                "!Not [!Equals [!Ref ReconcileDays, '0']]",
            ),
        ]);
    }

    #[test]
    fn every_alarm_says_what_it_means_and_reports_to_the_recipient() {
        let recipient = yaml(
            "[!If [HasAlarmEmail, !Ref AlarmTopic, !If [HasAlarmTopic, !Ref AlarmTopicArn, !Ref AWS::NoValue]]]",
        );
        for (id, _) in ALARMS {
            let alarm = at(id);
            assert!(alarm["AlarmDescription"].is_string(), "{id}");
            let decision = DECISIONS.contains(&id);
            let silence = match id {
                _ if id.ends_with("SilentAlarm") => "breaching",
                // The last measurement counts until there is a new one.
                _ if decision => "ignore",
                _ => "notBreaching",
            };
            assert_eq!(alarm["TreatMissingData"], json!(silence), "{id}");
            assert_eq!(alarm["AlarmActions"], recipient, "{id}");
            // A count that ends after five minutes means nothing.
            let ok = if decision {
                recipient.clone()
            } else {
                Json::Null
            };
            assert_eq!(alarm["OKActions"], ok, "{id}");
        }
    }

    #[test]
    fn every_alarm_has_its_section_in_the_operators_guide() {
        let guide = fs::read_to_string(root().join("docs/operations.md")).unwrap();
        let headings = guide.lines().filter(|line| line.starts_with("### "));
        let explained: BTreeSet<String> = headings
            .flat_map(|heading| heading.split('`').skip(1).step_by(2))
            .filter(|name| name.ends_with("Alarm"))
            .map(ToOwned::to_owned)
            .collect();
        assert_eq!(explained, of_type("AWS::CloudWatch::Alarm"));
    }

    #[test]
    fn an_address_is_subscribed_to_a_topic_that_only_alarms_of_this_account_write_to() {
        for id in ["AlarmTopic", "AlarmTopicPolicy", "AlarmSubscription"] {
            let condition = &TEMPLATE["Resources"][id]["Condition"];
            assert_eq!(condition, &json!("HasAlarmEmail"), "{id}");
        }
        let statements = format!(
            "[{{Sid: TakeFromAlarms, Effect: Allow, Principal: {{Service: cloudwatch.amazonaws.com}},
                Action: sns:Publish, Resource: !Ref AlarmTopic,
                Condition: {{StringEquals: {{aws:SourceAccount: !Ref AWS::AccountId}}}}}},
              {}]",
            tls_only("AlarmTopic")
        );
        assert_all(&[
            (
                "AlarmSubscription",
                "{TopicArn: !Ref AlarmTopic, Protocol: email, Endpoint: !Ref AlarmEmail}",
            ),
            ("AlarmTopicPolicy/Topics", "[!Ref AlarmTopic]"),
            ("AlarmTopicPolicy/PolicyDocument/Statement", &statements),
        ]);
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
}

mod installation {
    use super::*;

    #[test]
    fn a_panic_unwinds_in_the_deployed_build() {
        // cargo-lambda adds `panic = "abort"` to a release profile that does not choose.
        let manifest = include_str!("../../Cargo.toml");
        let (_, profile) = manifest.split_once("[profile.release]").unwrap();
        let profile = profile.split("\n[").next().unwrap();
        assert!(profile.lines().any(|line| line == r#"panic = "unwind""#));
    }

    #[test]
    fn two_stacks_fit_into_one_account() {
        let names =
            "TableName QueueName FunctionName RoleName AlarmName TopicName FilterName LogGroupName";
        for (id, resource) in object(&TEMPLATE["Resources"]) {
            for name in set(names) {
                let allowed = match (id.as_str(), name.as_str()) {
                    // A permission says whose it is.
                    ("WebhookPermission", "FunctionName") => yaml("!Ref IntakeFunction"),
                    ("WebhookLogGroup", "LogGroupName") => {
                        yaml("!Sub '/aws/vendedlogs/${AWS::StackName}/webhooks'")
                    }
                    (_, "LogGroupName") if resource["Type"] == "AWS::Logs::MetricFilter" => {
                        yaml("!Ref FunctionLogGroup")
                    }
                    _ => Json::Null,
                };
                assert_eq!(resource["Properties"][&name], allowed, "{id}.{name}");
            }
        }
        for secret in of_type("AWS::SecretsManager::Secret") {
            assert_eq!(at(&secret)["Name"], Json::Null, "{secret}");
        }
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
        for mail in ["PaymentFailedMail", "TrialEndsMail"] {
            let (_, shape) = text.split_once(&format!("\n  {mail}:\n")).unwrap();
            let lines: Vec<_> = shape.lines().take(4).collect();
            for quoted in [
                r#"    Default: "off""#,
                r#"    AllowedValues: ["off", "on"]"#,
            ] {
                assert!(lines.contains(&quoted), "{mail}: {lines:?}");
            }
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
    fn a_first_stack_is_a_trial() {
        assert_all(&[("Parameters/Mode/Default", "test")]);
    }

    #[test]
    fn the_outputs_are_those_that_the_documents_use() {
        let outputs = names(&TEMPLATE["Outputs"]);
        let expected = set("EntitlementsTableName NextStep StockTableName WebhookUrl");
        assert_eq!(outputs, expected);
        let url = text(at("Outputs/WebhookUrl/Value/Sub"));
        assert!(url.ends_with("/webhooks/flex"), "{url}");
    }
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

/// Asserts the values at several paths, each written as in the template.
fn assert_all(expected: &[(&str, &str)]) {
    for (path, value) in expected {
        assert_eq!(at(path), &yaml(value), "{path}");
    }
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

/// The statement by which a topic refuses callers without TLS.
fn tls_only(topic: &str) -> String {
    format!(
        "{{Sid: TlsOnly, Effect: Deny, Principal: '*', Action: sns:Publish, Resource: !Ref {topic},
           Condition: {{Bool: {{aws:SecureTransport: 'false'}}}}}}"
    )
}

/// How often SQS delivers a message of a queue.
fn tries(queue: &str) -> u64 {
    number(&format!("{queue}Queue/RedrivePolicy/maxReceiveCount"))
}

fn pattern(filter: &str) -> String {
    text(&at(filter)["FilterPattern"])
}

/// The names of a key schema, hash key first.
fn keys(schema: &Json) -> String {
    let keys = schema.as_array().unwrap().iter();
    let names: Vec<_> = keys.map(|key| text(&key["AttributeName"])).collect();
    names.join(" ")
}

/// Every string literal of a source that is spelled as settings are.
fn setting_names(source: &str) -> BTreeSet<String> {
    let is_setting = |text: &&str| {
        text.len() > 3
            && text.starts_with(|first: char| first.is_ascii_uppercase())
            && text.chars().all(|c| c.is_ascii_uppercase() || c == '_')
    };
    let literals = source.split('"').skip(1).step_by(2);
    literals.filter(is_setting).map(ToOwned::to_owned).collect()
}

/// Appends all Rust code below a folder.
fn read_sources(folder: &Path, code: &mut String) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            read_sources(&path, code);
        } else if path.extension().is_some_and(|ending| ending == "rs") {
            code.push_str(&fs::read_to_string(path).unwrap());
        }
    }
}

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
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
