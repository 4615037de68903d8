//! Holds `template.yaml` to what it promises: nothing is lost, nothing is open, and the code and its
//! surroundings agree.
//!
//! Says nothing of whether AWS accepts it; `sam validate --lint` and `cfn-lint` do, in `make test`.

use domain::{
    upkeep::sweep::{EVERY, TRIES, UNFULFILLED},
    values::outcome::back_off,
};
use kit::drive;
use serde_json::{Value as Json, json};
use serde_yaml_ng::Value as Yaml;
use std::{
    collections::{BTreeMap, BTreeSet},
    path::Path,
    sync::LazyLock,
    time::Duration,
};

/// Every function with the queue that feeds it, if one does, and the settings that its code reads.
const FUNCTIONS: [(&str, &str, Option<&str>, &[&str]); 6] = [
    (
        "intake",
        "IntakeFunction",
        None,
        &[
            "EVENTS_TABLE",
            "EVENT_RETENTION_DAYS",
            "FLEX_WEBHOOK_SECRETS_ARN",
            "FULFILLMENT_QUEUE_URL",
            "MAX_BODY_BYTES",
        ],
    ),
    (
        "fulfillment",
        "FulfillmentFunction",
        Some("FulfillmentQueue"),
        &[
            "ENTITLEMENTS_TABLE",
            "EVENTS_TABLE",
            "EVENT_RETENTION_DAYS",
            "FLEX_API_BASE_URL",
            "FLEX_API_KEY_ARN",
            "FULFILLMENT_QUEUE_URL",
            "GRACE_DAYS",
            "LINKS_TABLE",
            "MAX_RECEIVES",
            "MODE",
            "ORDERS_TABLE",
            "PAYMENT_FAILED_MAIL",
            "RECEIPTS_TABLE",
            "RECEIPT_QUEUE_URL",
            "RESTOCK",
            "RETRY_BASE_SECONDS",
            "STOCK_TABLE",
            "TRIAL_ENDS_MAIL",
        ],
    ),
    (
        "receipts",
        "ReceiptsFunction",
        Some("ReceiptQueue"),
        &[
            "CONFIGURATION_SET",
            "ENTITLEMENTS_TABLE",
            "LINKS_TABLE",
            "MAX_RECEIVES",
            "MERCHANT_ADDRESS",
            "MERCHANT_NAME",
            "ORDERS_TABLE",
            "RECEIPTS_TABLE",
            "RECEIPT_ON_UNKNOWN",
            "RECEIPT_QUEUE_URL",
            "RECEIPT_SENDER",
            "RECEIPT_TEMPLATES_DIR",
            "RETRY_BASE_SECONDS",
            "SUPPORT_EMAIL",
            "TEST_RECEIPT_RECIPIENT",
            "TIME_ZONE",
        ],
    ),
    (
        "feedback",
        "FeedbackFunction",
        Some("FeedbackQueue"),
        &[
            "FEEDBACK_QUEUE_URL",
            "LINKS_TABLE",
            "MAX_RECEIVES",
            "ORDERS_TABLE",
            "RECEIPTS_TABLE",
            "RETRY_BASE_SECONDS",
        ],
    ),
    (
        "sweep",
        "SweepFunction",
        None,
        &[
            "EVENTS_TABLE",
            "FEEDBACK_DEAD_LETTER_QUEUE_URL",
            "FULFILLMENT_DEAD_LETTER_QUEUE_URL",
            "FULFILLMENT_QUEUE_URL",
            "RECEIPTS_TABLE",
            "RECEIPT_DEAD_LETTER_QUEUE_URL",
            "RECEIPT_QUEUE_URL",
        ],
    ),
    (
        "reconcile",
        "ReconcileFunction",
        None,
        &[
            "ENTITLEMENTS_TABLE",
            "EVENTS_TABLE",
            "EVENT_RETENTION_DAYS",
            "FLEX_API_BASE_URL",
            "FLEX_API_KEY_ARN",
            "FULFILLMENT_QUEUE_URL",
            "LINKS_TABLE",
            "MODE",
            "ORDERS_TABLE",
            "RECONCILE_DAYS",
        ],
    ),
];

/// The roles that AWS's scheduler takes; a function takes each of the others.
const SCHEDULE_ROLES: [&str; 2] = ["SweepScheduleRole", "ReconcileScheduleRole"];

const TABLES: [&str; 6] = [
    "EventsTable",
    "OrdersTable",
    "LinksTable",
    "StockTable",
    "EntitlementsTable",
    "ReceiptsTable",
];

const QUEUES: [(&str, &str); 3] = [
    ("FulfillmentQueue", "FulfillmentDeadLetterQueue"),
    ("ReceiptQueue", "ReceiptDeadLetterQueue"),
    ("FeedbackQueue", "FeedbackDeadLetterQueue"),
];

/// What the functions log that a person has to act on: the field, its value, and the metric that counts it.
const NEWS: [(&str, &str, &str); 21] = [
    ("outcome", "conflict", "Intake"),
    ("outcome", "unreadable", "Intake"),
    ("outcome", "refused", "Intake"),
    ("outcome", "unavailable", "Intake"),
    ("outcome", "panic", "Intake"),
    ("outcome", "panic", "Fulfillment"),
    ("secret_refresh_failed", "true", "SecretRefreshFailures"),
    ("shortfall", "true", "Shortfalls"),
    ("amounts_differ", "true", "AmountsDiffering"),
    ("unmapped", "true", "UnmappedLines"),
    ("dispute_opened", "true", "DisputesOpened"),
    ("dispute_lost", "true", "DisputesLost"),
    ("refund_failed", "true", "RefundsFailed"),
    ("second_order", "true", "SecondOrders"),
    ("outcome", "panic", "Receipts"),
    ("mail_trouble", "true", "MailTroubles"),
    ("outcome", "panic", "Feedback"),
    ("stalled", "true", "Stalled"),
    ("outcome", "panic", "Sweep"),
    ("outcome", "unreadable", "Reconcile"),
    ("outcome", "panic", "Reconcile"),
];

/// Alarms that last until a person has decided: their OK tells that all is decided.
const DECISIONS: [&str; 7] = [
    "FeedbackDeadLetterAlarm",
    "FulfillmentDeadLetterAlarm",
    "ParkedAlarm",
    "ReceiptDeadLetterAlarm",
    "ReceiptFailedAlarm",
    "ReceiptHeldAlarm",
    "UnfulfilledAlarm",
];

const DAY: u64 = 24 * 60 * 60;

mod queues {
    use super::*;

    #[test]
    fn each_function_answers_for_every_record_of_its_queue() {
        for (function, queue) in fed_functions() {
            let source = &function["Properties"]["Events"]["Queue"]["Properties"];
            assert_eq!(source["Queue"], json!({ "GetAtt": format!("{queue}.Arn") }));
            assert_eq!(
                source["FunctionResponseTypes"],
                json!(["ReportBatchItemFailures"]),
                "{queue}"
            );
        }
    }

    #[test]
    fn a_backlog_is_worked_off_at_a_pace_that_the_owner_sets() {
        for (function, parameter, queue) in fed_functions()
            .zip(["FulfillmentConcurrency", "ReceiptConcurrency"])
            .map(|((f, q), p)| (f, p, q))
        {
            let pace = &function["Properties"]["Events"]["Queue"]["Properties"]["ScalingConfig"];
            assert_eq!(
                pace["MaximumConcurrency"],
                json!({ "Ref": parameter }),
                "{queue}"
            );
        }
    }

    #[test]
    fn a_new_account_has_room_for_intake_beside_every_queue() {
        // AWS gives a new account as few as ten.
        let new_account = 10;
        let pollers: u64 = fed_functions()
            .map(|(function, _)| {
                let most =
                    &function["Properties"]["Events"]["Queue"]["Properties"]["ScalingConfig"];
                match most["MaximumConcurrency"]["Ref"].as_str() {
                    Some(parameter) => number(&TEMPLATE["Parameters"][parameter]["Default"]),
                    None => number(&most["MaximumConcurrency"]),
                }
            })
            .sum();
        let scheduled = 2;
        assert!(pollers + scheduled < new_account, "{pollers} pollers");
        let reserved = &TEMPLATE["Parameters"]["IntakeReservedConcurrency"];
        assert_eq!(
            (&reserved["Type"], &reserved["Default"]),
            (&json!("String"), &json!(""))
        );
        assert_eq!(
            resource("IntakeFunction")["ReservedConcurrentExecutions"],
            json!({ "If": [
                "HasIntakeReservedConcurrency",
                { "Ref": "IntakeReservedConcurrency" },
                { "Ref": "AWS::NoValue" },
            ] })
        );
    }

    #[test]
    fn the_kit_plays_by_these_times_and_numbers() {
        let lasts = |function: &str| {
            Duration::from_secs(number(&resource(&format!("{function}Function"))["Timeout"]))
        };
        assert_eq!(lasts("Intake"), drive::INTAKE_LASTS);
        assert_eq!(lasts("Sweep"), drive::SWEEP_LASTS);
        assert_eq!(lasts("Reconcile"), drive::RECONCILE_LASTS);
        for function in ["Fulfillment", "Receipts", "Feedback"] {
            assert_eq!(lasts(function), drive::WORKER_LASTS, "{function}");
        }
        for (queue, _) in QUEUES {
            let hidden = Duration::from_secs(number(&resource(queue)["VisibilityTimeout"]));
            assert_eq!(hidden, drive::HIDDEN_FOR, "{queue}");
            let tries = number(&resource(queue)["RedrivePolicy"]["maxReceiveCount"]);
            assert_eq!(tries, u64::from(drive::MOST_RECEIVES), "{queue}");
        }
        for (function, records) in [
            ("Fulfillment", drive::JOBS_A_BATCH),
            ("Receipts", drive::RECEIPTS_A_BATCH),
            ("Feedback", drive::REPORTS_A_BATCH),
        ] {
            let source = &resource(&format!("{function}Function"))["Events"]["Queue"]["Properties"];
            assert_eq!(source["BatchSize"], json!(records), "{function}");
        }
        let retry_base = number(&TEMPLATE["Parameters"]["RetryBaseSeconds"]["Default"]);
        assert_eq!(Duration::from_secs(retry_base), drive::RETRY_BASE);
    }

    #[test]
    fn a_message_stays_hidden_for_six_tries() {
        for (function, queue) in fed_functions() {
            let timeout = number(&function["Properties"]["Timeout"]);
            let window = &function["Properties"]["Events"]["Queue"]["Properties"]["MaximumBatchingWindowInSeconds"];
            let hidden = number(&resource(queue)["VisibilityTimeout"]);
            assert!(
                hidden >= 6 * timeout + window.as_u64().unwrap_or(0),
                "{queue}: {hidden} s"
            );
        }
    }

    #[test]
    fn a_function_knows_which_try_is_the_last() {
        for (function, queue) in fed_functions() {
            let tries = number(&resource(queue)["RedrivePolicy"]["maxReceiveCount"]);
            assert_eq!(tries, 5, "{queue}");
            let known = &function["Properties"]["Environment"]["Variables"]["MAX_RECEIVES"];
            assert_eq!(known, &json!(tries.to_string()), "{queue}");
        }
    }

    #[test]
    fn somebody_hears_of_a_record_that_has_one_try_left() {
        // SQS leaves what was received three times out of the age of the oldest message.
        for (function, queue) in [
            ("Fulfillment", "FulfillmentQueue"),
            ("Receipts", "ReceiptQueue"),
            ("Feedback", "FeedbackQueue"),
        ] {
            let tries = number(&resource(queue)["RedrivePolicy"]["maxReceiveCount"]);
            let filter = resource(&format!("{function}LastTries"));
            let pattern = format!(
                "{{ ($.outcome = \"retry\") && ($.receives >= {}) }}",
                tries - 1
            );
            assert_eq!(filter["FilterPattern"], json!(pattern));
            assert_eq!(
                filter["LogGroupName"],
                json!({ "Ref": format!("{function}LogGroup") })
            );
            assert!(
                is_alarmed(&format!("{function}LastTries"), &Json::Null),
                "{function}"
            );
        }
    }

    #[test]
    fn what_was_given_up_is_kept_for_fourteen_days() {
        for (queue, dead_letters) in QUEUES {
            assert_eq!(
                resource(queue)["RedrivePolicy"]["deadLetterTargetArn"],
                json!({ "GetAtt": format!("{dead_letters}.Arn") })
            );
            let kept = number(&resource(dead_letters)["MessageRetentionPeriod"]);
            assert_eq!(kept, 14 * DAY, "{dead_letters}");
            let before = number(&resource(queue)["MessageRetentionPeriod"]);
            if queue == "FeedbackQueue" {
                // What SES tells is written down nowhere else, so that it waits as long as anything can.
                assert_eq!(before, 14 * DAY);
            } else {
                // A message takes its age along, so what it spent in the queue is missing here.
                assert!(kept - before >= 10 * DAY, "{queue}");
            }
        }
    }

    #[test]
    fn every_queue_is_standard_and_encrypted() {
        for queue in QUEUES
            .iter()
            .flat_map(|(queue, dead_letters)| [queue, dead_letters])
        {
            let by_sqs = json!({ "If": ["HasKmsKey", false, true] });
            assert_eq!(
                resource(queue)["SqsManagedSseEnabled"],
                by_sqs,
                "{queue}: by SQS or by a key, not by both"
            );
            assert_eq!(resource(queue)["FifoQueue"], Json::Null, "{queue}");
        }
    }

    #[test]
    fn every_queue_refuses_whoever_does_not_speak_tls() {
        for queue in QUEUES
            .iter()
            .flat_map(|(queue, dead_letters)| [queue, dead_letters])
        {
            let policy = resource(&format!("{queue}Policy"));
            assert_eq!(policy["Queues"], json!([{ "Ref": queue }]));
            let statements = policy["PolicyDocument"]["Statement"].as_array().unwrap();
            assert_eq!(
                statements[0],
                json!({
                    "Sid": "TlsOnly",
                    "Effect": "Deny",
                    "Principal": "*",
                    "Action": "sqs:*",
                    "Resource": { "GetAtt": format!("{queue}.Arn") },
                    "Condition": { "Bool": { "aws:SecureTransport": "false" } },
                })
            );
            // The topic writes into the two of feedback. Into all others only our own roles may write.
            assert_eq!(
                statements.len(),
                if queue.starts_with("Feedback") { 2 } else { 1 },
                "{queue}"
            );
        }
    }
}

/// From SES to the queue of feedback, and nobody else's way into it.
mod feedback {
    use super::*;

    #[test]
    fn ses_tells_the_topic_of_everything_that_settles_a_mail() {
        let events = resource("MailFeedbackEvents");
        assert_eq!(
            events["ConfigurationSetName"],
            json!({ "Ref": "MailFeedback" })
        );
        let destination = &events["EventDestination"];
        assert_eq!(destination["Enabled"], json!(true));
        assert_eq!(
            destination["SnsDestination"],
            json!({ "TopicARN": { "Ref": "FeedbackTopic" } })
        );
        let expected = [
            "bounce",
            "complaint",
            "delivery",
            "reject",
            "renderingFailure",
            "send",
        ];
        assert_eq!(strings(&destination["MatchingEventTypes"]), expected);
        // It tries the topic out, and is refused where it may not write to it yet.
        assert_eq!(
            TEMPLATE["Resources"]["MailFeedbackEvents"]["DependsOn"],
            json!("FeedbackTopicPolicy")
        );
        let given = &resource("ReceiptsFunction")["Environment"]["Variables"]["CONFIGURATION_SET"];
        assert_eq!(given, &json!({ "Ref": "MailFeedback" }));
    }

    #[test]
    fn no_mail_goes_out_before_the_way_back_is_there() {
        let after = |name: &str| TEMPLATE["Resources"][name]["DependsOn"].clone();
        assert_eq!(
            after("ReceiptsFunction"),
            json!([
                "MailFeedbackEvents",
                "FeedbackSubscription",
                "FeedbackQueuePolicy"
            ])
        );
        assert_eq!(
            after("FeedbackSubscription"),
            json!(["FeedbackQueuePolicy", "FeedbackDeadLetterQueuePolicy"])
        );
    }

    #[test]
    fn only_this_stacks_mails_are_told_of_and_only_by_ses() {
        let set = "arn:${AWS::Partition}:ses:${AWS::Region}:${AWS::AccountId}:configuration-set/${MailFeedback}";
        let policy = resource("FeedbackTopicPolicy");
        assert_eq!(policy["Topics"], json!([{ "Ref": "FeedbackTopic" }]));
        assert_eq!(
            policy["PolicyDocument"]["Statement"],
            json!([
                {
                    "Sid": "TakeFromSes",
                    "Effect": "Allow",
                    "Principal": { "Service": "ses.amazonaws.com" },
                    "Action": "sns:Publish",
                    "Resource": { "Ref": "FeedbackTopic" },
                    "Condition": { "StringEquals": {
                        "aws:SourceAccount": { "Ref": "AWS::AccountId" },
                        "aws:SourceArn": { "Sub": set },
                    } },
                },
                {
                    "Sid": "TlsOnly",
                    "Effect": "Deny",
                    "Principal": "*",
                    "Action": "sns:Publish",
                    "Resource": { "Ref": "FeedbackTopic" },
                    "Condition": { "Bool": { "aws:SecureTransport": "false" } },
                },
            ])
        );
    }

    #[test]
    fn the_topic_delivers_raw_reports_to_the_queue_or_its_dead_letter_queue() {
        assert_eq!(
            resource("FeedbackSubscription"),
            &json!({
                "TopicArn": { "Ref": "FeedbackTopic" },
                "Protocol": "sqs",
                "Endpoint": { "GetAtt": "FeedbackQueue.Arn" },
                "RawMessageDelivery": true,
                "RedrivePolicy": { "deadLetterTargetArn": { "GetAtt": "FeedbackDeadLetterQueue.Arn" } },
            })
        );
        for queue in ["FeedbackQueue", "FeedbackDeadLetterQueue"] {
            assert_eq!(
                resource(&format!("{queue}Policy"))["PolicyDocument"]["Statement"][1],
                json!({
                    "Sid": "TakeFromTopic",
                    "Effect": "Allow",
                    "Principal": { "Service": "sns.amazonaws.com" },
                    "Action": "sqs:SendMessage",
                    "Resource": { "GetAtt": format!("{queue}.Arn") },
                    "Condition": { "ArnEquals": { "aws:SourceArn": { "Ref": "FeedbackTopic" } } },
                })
            );
        }
    }
}

mod tables {
    use super::*;

    #[test]
    fn tables_are_on_demand_encrypted_and_can_go_back_in_time() {
        for table in TABLES {
            let table = resource(table);
            assert_eq!(table["BillingMode"], json!("PAY_PER_REQUEST"));
            assert_eq!(table["SSESpecification"]["SSEEnabled"], json!(true));
            assert_eq!(
                table["PointInTimeRecoverySpecification"],
                json!({ "PointInTimeRecoveryEnabled": true })
            );
        }
    }

    #[test]
    fn a_live_stack_keeps_its_data_and_a_test_stack_leaves_nothing_behind() {
        let by_mode = json!({ "If": ["IsLive", "Retain", "Delete"] });
        for kept in TABLES.iter().chain(&["FlexWebhookSecrets", "FlexApiKey"]) {
            assert_eq!(
                TEMPLATE["Resources"][kept]["DeletionPolicy"], by_mode,
                "{kept}"
            );
            assert_eq!(
                TEMPLATE["Resources"][kept]["UpdateReplacePolicy"], by_mode,
                "{kept}"
            );
        }
        for table in TABLES {
            assert_eq!(
                resource(table)["DeletionProtectionEnabled"],
                json!({ "If": ["IsLive", true, false] }),
                "{table}"
            );
        }
        assert_eq!(
            TEMPLATE["Conditions"]["IsLive"],
            json!({ "Equals": [{ "Ref": "Mode" }, "live"] })
        );
        // Without it, CloudFormation refuses a policy that depends on anything.
        assert_eq!(TEMPLATE["Transform"][0], json!("AWS::LanguageExtensions"));
    }

    #[test]
    fn keys_are_those_that_the_adapters_write() {
        let keys = |table| keys(&resource(table)["KeySchema"]);
        assert_eq!(keys("EventsTable"), ["event_id"]);
        assert_eq!(keys("OrdersTable"), ["order_id"]);
        assert_eq!(keys("LinksTable"), ["link"]);
        assert_eq!(keys("StockTable"), ["sku", "entry"]);
        assert_eq!(keys("EntitlementsTable"), ["customer_id", "entry"]);
        assert_eq!(keys("ReceiptsTable"), ["receipt_id"]);
    }

    #[test]
    fn indexes_hold_little_more_than_keys_and_in_the_order_of_time() {
        for (table, key) in [
            ("EventsTable", &["open", "received_at"][..]),
            ("OrdersTable", &["client_reference_id", "placed_at"]),
            // A subscription is one row: there is nothing to put in order.
            ("EntitlementsTable", &["subscription_id"]),
            ("ReceiptsTable", &["open", "created_at"]),
        ] {
            let [index] = &resource(table)["GlobalSecondaryIndexes"]
                .as_array()
                .unwrap()[..]
            else {
                panic!("{table} has one index")
            };
            assert_eq!(index["IndexName"], json!(key[0]), "{table}");
            assert_eq!(keys(&index["KeySchema"]), key, "{table}");
            let projection = match table {
                "EventsTable" => {
                    json!({ "ProjectionType": "INCLUDE", "NonKeyAttributes": ["subject"] })
                }
                _ => json!({ "ProjectionType": "KEYS_ONLY" }),
            };
            assert_eq!(index["Projection"], projection, "{table}");
        }
    }

    #[test]
    fn only_events_are_forgotten() {
        for table in TABLES {
            let forgets = match table {
                "EventsTable" => json!({ "AttributeName": "expires_at", "Enabled": true }),
                _ => Json::Null,
            };
            assert_eq!(
                resource(table)["TimeToLiveSpecification"],
                forgets,
                "{table}"
            );
        }
    }

    #[test]
    fn an_event_is_known_for_longer_than_it_can_come_again() {
        // The provider retries for 28 hours, and what it sent last may lie in a dead-letter queue for 14 days.
        let shortest = number(&TEMPLATE["Parameters"]["EventRetentionDays"]["MinValue"]);
        assert!(shortest * DAY > 14 * DAY + 28 * 60 * 60, "{shortest} days");
    }

    #[test]
    fn the_largest_body_fits_into_its_row() {
        let largest = number(&TEMPLATE["Parameters"]["MaxBodyBytes"]["MaxValue"]);
        assert!(
            largest <= 300_000,
            "{largest} bytes; DynamoDB takes 400 KB an item, all attributes together"
        );
    }
}

mod functions {
    use super::*;

    #[test]
    fn each_function_is_one_binary_of_cargo_lambda() {
        for (name, id, ..) in FUNCTIONS {
            let function = &TEMPLATE["Resources"][id];
            assert_eq!(
                function["Metadata"],
                json!({ "BuildMethod": "rust-cargolambda", "BuildProperties": { "Binary": name } })
            );
            assert_eq!(
                function["Properties"]["CodeUri"],
                json!("."),
                "{name}: shares the workspace's build"
            );
        }
        let all = &TEMPLATE["Globals"]["Function"];
        assert_eq!(all["Runtime"], json!("provided.al2023"));
        assert_eq!(all["Handler"], json!("bootstrap"));
        assert_eq!(all["Architectures"], json!([{ "Ref": "Architecture" }]));
    }

    #[test]
    fn settings_given_are_the_settings_expected() {
        for (name, id, _, expected) in FUNCTIONS {
            let given = &resource(id)["Environment"]["Variables"];
            assert_eq!(
                names(given),
                expected.iter().map(ToString::to_string).collect(),
                "{name}"
            );
        }
        // The log reads this one, in every function.
        assert_eq!(
            names(&TEMPLATE["Globals"]["Function"]["Environment"]["Variables"]),
            set(&["RUST_LOG"])
        );
    }

    #[test]
    fn settings_expected_are_the_settings_read() {
        for (name, _, _, expected) in FUNCTIONS {
            let main = Path::new(env!("CARGO_MANIFEST_DIR"))
                .join(format!("../functions/{name}/src/main.rs"));
            let source = std::fs::read_to_string(main).unwrap();
            assert_eq!(
                setting_names(&source),
                expected.iter().map(ToString::to_string).collect(),
                "{name}"
            );
        }
    }

    #[test]
    fn no_setting_holds_a_secret() {
        for (name, id, ..) in FUNCTIONS {
            for (setting, value) in object(&resource(id)["Environment"]["Variables"]) {
                assert!(
                    !value.to_string().contains("{{resolve:"),
                    "{name}: {setting}"
                );
            }
        }
        for (parameter, shape) in object(&TEMPLATE["Parameters"]) {
            assert_eq!(
                shape["NoEcho"],
                Json::Null,
                "{parameter}: secrets go into Secrets Manager"
            );
        }
    }

    #[test]
    fn each_function_logs_to_a_group_that_forgets() {
        for (name, id, ..) in FUNCTIONS {
            let group = resource(id)["LoggingConfig"]["LogGroup"]["Ref"]
                .as_str()
                .unwrap();
            assert_eq!(
                resource(group)["RetentionInDays"],
                json!({ "Ref": "LogRetentionDays" }),
                "{name}"
            );
        }
        assert_eq!(
            resource("WebhookStage")["AccessLogSettings"]["DestinationArn"],
            json!({ "GetAtt": "WebhookLogGroup.Arn" })
        );
        assert_eq!(
            resource("WebhookLogGroup")["RetentionInDays"],
            json!({ "Ref": "LogRetentionDays" })
        );
    }

    #[test]
    fn intake_answers_before_the_provider_gives_up() {
        let flex_waits_seconds = 15;
        assert!(number(&resource("IntakeFunction")["Timeout"]) < flex_waits_seconds);
    }
}

mod schedule {
    use super::*;

    #[test]
    fn the_sweep_comes_as_often_as_the_rules_take_it_to() {
        let events = &resource("SweepFunction")["Events"];
        assert_eq!(names(events), set(&["Schedule"]));
        assert_eq!(events["Schedule"]["Type"], json!("ScheduleV2"));
        let schedule = &events["Schedule"]["Properties"];
        let every = format!("rate({} minutes)", EVERY.as_mins());
        assert_eq!(schedule["ScheduleExpression"], json!(every));
        assert_eq!(
            schedule["RoleArn"],
            json!({ "GetAtt": "SweepScheduleRole.Arn" })
        );
        let sample: Json = serde_json::from_str(include_str!("../../events/sweep.json")).unwrap();
        assert_eq!(schedule["Input"], json!(sample.to_string()));
    }

    #[test]
    fn reconcile_comes_every_hour_and_is_over_before_the_next() {
        let events = &resource("ReconcileFunction")["Events"];
        assert_eq!(names(events), set(&["Schedule"]));
        assert_eq!(events["Schedule"]["Type"], json!("ScheduleV2"));
        let schedule = &events["Schedule"]["Properties"];
        assert_eq!(schedule["ScheduleExpression"], json!("rate(1 hour)"));
        assert_eq!(
            schedule["RoleArn"],
            json!({ "GetAtt": "ReconcileScheduleRole.Arn" })
        );
        let sample: Json =
            serde_json::from_str(include_str!("../../events/reconcile.json")).unwrap();
        assert_eq!(schedule["Input"], json!(sample.to_string()));
        let function = resource("ReconcileFunction");
        assert!(number(&function["Timeout"]) < 60 * 60);
        assert_eq!(
            function["EventInvokeConfig"],
            json!({ "MaximumRetryAttempts": 0 }),
            "the next run is the retry"
        );
    }

    #[test]
    fn what_was_dropped_is_known_for_as_long_as_it_is_listed() {
        let of = |name: &str, bound: &str| number(&TEMPLATE["Parameters"][name][bound]);
        assert!(of("ReconcileDays", "MaxValue") < of("EventRetentionDays", "MinValue"));
    }

    #[test]
    fn reconcile_comes_before_fulfillment_gives_up_on_what_waits_for_an_order() {
        let base = number(&TEMPLATE["Parameters"]["RetryBaseSeconds"]["Default"]);
        let waits: u64 = [1, 4, 16, 60].map(|factor| base * factor).iter().sum();
        assert!(waits > 60 * 60, "{waits} s");
    }

    #[test]
    fn the_gap_that_reconcile_finds_is_a_number_and_an_alarm() {
        let filter = resource("MissingWebhooks");
        assert_eq!(
            filter["LogGroupName"],
            json!({ "Ref": "ReconcileLogGroup" })
        );
        assert_eq!(
            filter["FilterPattern"],
            json!("{ $.outcome = \"missing\" }")
        );
        assert_eq!(
            filter["MetricTransformations"][0]["MetricValue"],
            json!("1")
        );
        assert!(is_alarmed("MissingWebhooks", &Json::Null));
    }

    #[test]
    fn one_sweep_is_over_before_the_next() {
        let sweep = resource("SweepFunction");
        let timeout = number(&sweep["Timeout"]);
        assert!(timeout < EVERY.as_secs().unsigned_abs());
        assert_eq!(
            sweep["EventInvokeConfig"],
            json!({ "MaximumRetryAttempts": 0 }),
            "the next run is the retry"
        );
        // It ends by itself, and is not cut off between a row's note and its message.
        assert!(
            sweep::Limits::default().lasts + Duration::from_secs(15)
                <= Duration::from_secs(timeout)
        );
    }

    #[test]
    fn a_job_has_had_its_tries_before_it_is_queued_again() {
        let base = Duration::from_secs(number(
            &TEMPLATE["Parameters"]["RetryBaseSeconds"]["Default"],
        ));
        for (function, queue) in fed_functions() {
            let tries = u32::try_from(number(&resource(queue)["RedrivePolicy"]["maxReceiveCount"]))
                .unwrap();
            let waits: Duration = (1..tries)
                .map(|receives| back_off(base, receives, None))
                .sum();
            let work = Duration::from_secs(number(&function["Properties"]["Timeout"])) * tries;
            assert!(
                waits + work <= TRIES.unsigned_abs(),
                "{queue}: {waits:?} and {work:?}"
            );
        }
    }
}

mod permissions {
    use super::*;

    /// The table of permissions: one row a statement.
    fn table() -> String {
        let row = |role: &str, statement: &Json| {
            let sid = statement["Sid"].as_str().unwrap();
            let (on, may) = (
                called(&statement["Resource"]),
                strings(&statement["Action"]),
            );
            format!(
                "| {role} | {sid} | {} | {} |\n",
                on.join(", "),
                may.join(", ")
            )
        };
        let of_roles = of_type("AWS::IAM::Role").into_iter().flat_map(|role| {
            let rows = statements(&role)
                .into_iter()
                .map(|statement| row(&role, statement));
            rows.collect::<Vec<_>>()
        });
        let of_policies = of_type("AWS::IAM::Policy").into_iter().flat_map(|policy| {
            let statements = resource(&policy)["PolicyDocument"]["Statement"]
                .as_array()
                .unwrap();
            let whose = format!("those of {policy}, with `KmsKeyArn` only");
            statements
                .iter()
                .map(|statement| row(&whose, statement))
                .collect::<Vec<_>>()
        });
        let head = "| role | statement | on | may |\n| --- | --- | --- | --- |\n".to_owned();
        [head]
            .into_iter()
            .chain(of_roles)
            .chain(of_policies)
            .collect()
    }

    /// A statement's resources as the template calls them.
    fn called(resource: &Json) -> Vec<String> {
        let Some((function, value)) = resource.as_object().and_then(|object| object.iter().next())
        else {
            return resource
                .as_array()
                .unwrap()
                .iter()
                .flat_map(called)
                .collect();
        };
        match function.as_str() {
            "If" => value.as_array().unwrap()[1..]
                .iter()
                .flat_map(called)
                .collect(),
            "Ref" if value == "AWS::NoValue" => Vec::new(),
            "Ref" => vec![value.as_str().unwrap().to_owned()],
            "GetAtt" => vec![
                value
                    .as_str()
                    .unwrap()
                    .rsplit_once('.')
                    .unwrap()
                    .0
                    .to_owned(),
            ],
            "Sub" => {
                let text = value.as_str().or_else(|| value[0].as_str()).unwrap();
                let attribute = text
                    .strip_prefix("${")
                    .and_then(|rest| rest.split_once(".Arn}"));
                vec![attribute.map_or_else(
                    || text.rsplit(':').next().unwrap().to_owned(),
                    |(name, rest)| format!("{name}{rest}"),
                )]
            }
            _ => panic!("{resource}"),
        }
    }

    #[test]
    fn the_table_of_permissions_is_printed_from_the_template() {
        crate::documents::assert_printed("ARCHITECTURE.md", "permissions", &table());
    }

    #[test]
    fn every_statement_allows_and_says_what_for() {
        for role in of_type("AWS::IAM::Role") {
            for statement in statements(&role) {
                assert_eq!(statement["Effect"], json!("Allow"), "{role}");
                assert!(statement["Sid"].is_string(), "{role}: {statement}");
            }
        }
    }

    #[test]
    fn each_function_reads_only_the_secret_that_it_needs() {
        let expected = [
            ("FulfillmentRole", "FlexApiKey"),
            ("IntakeRole", "FlexWebhookSecrets"),
            ("ReconcileRole", "FlexApiKey"),
        ];
        let expected = expected
            .map(|(role, secret)| (role.to_owned(), json!({ "GetAtt": format!("{secret}.Id") })));
        assert_eq!(secrets_read(), expected);
    }

    #[test]
    fn mail_goes_out_under_the_sender_only() {
        let send = statements("ReceiptsRole")
            .into_iter()
            .find(|statement| statement["Sid"] == json!("SendReceipts"))
            .unwrap();
        assert_eq!(
            send["Condition"],
            json!({ "StringEquals": { "ses:FromAddress": { "Ref": "ReceiptSender" } } })
        );
        let resources = send["Resource"].as_array().unwrap();
        let (senders, recipients) = resources.split_at(5);
        let of_sender = [
            "identity/${ReceiptSender}",
            "identity/${Domain}",
            "configuration-set/${MailFeedback}",
        ];
        for (resource, end) in senders.iter().zip(of_sender) {
            assert!(
                resource["Sub"].to_string().contains(&format!(":{end}\"")),
                "{resource}"
            );
        }
        let optional = [
            ("HasSenderIdentity", "identity/${SenderIdentity}"),
            (
                "HasSesConfigurationSet",
                "configuration-set/${SesConfigurationSet}",
            ),
        ];
        for (resource, (condition, end)) in senders[3..].iter().zip(optional) {
            let [given, arn, nothing] = &resource["If"].as_array().unwrap()[..] else {
                panic!("{resource}")
            };
            assert_eq!(
                (given, nothing),
                (&json!(condition), &json!({ "Ref": "AWS::NoValue" }))
            );
            assert!(
                arn["Sub"].as_str().unwrap().ends_with(&format!(":{end}")),
                "{resource}"
            );
        }
        // A customer is never an identity of ours; only a trial, in the sandbox, names its recipient.
        assert!(recipients.iter().all(|identity| {
            identity["If"][0] == json!("IsLive")
                && identity["If"][1] == json!({ "Ref": "AWS::NoValue" })
                && identity.to_string().contains(":identity/${")
        }));
    }

    #[test]
    fn nothing_optional_is_granted_unless_it_is_given() {
        for parameter in ["SenderIdentity", "SesConfigurationSet"] {
            assert_eq!(
                TEMPLATE["Parameters"][parameter]["Default"],
                json!(""),
                "{parameter}"
            );
            let pattern = TEMPLATE["Parameters"][parameter]["AllowedPattern"]
                .as_str()
                .unwrap();
            assert!(
                !pattern.contains("[^"),
                "{parameter}: it names what it takes, so no wildcard gets in"
            );
            let given = &TEMPLATE["Conditions"][format!("Has{parameter}")];
            assert_eq!(
                given,
                &json!({ "Not": [{ "Equals": [{ "Ref": parameter }, ""] }] })
            );
        }
    }

    #[test]
    fn no_permission_has_a_wildcard() {
        for role in of_type("AWS::IAM::Role") {
            let statements = statements(&role);
            assert!(!json!(statements).to_string().contains('*'), "{role}");
        }
    }

    #[test]
    fn each_function_has_a_role_of_its_own() {
        for (name, id, ..) in FUNCTIONS {
            let role = id.replace("Function", "Role");
            assert_eq!(
                resource(id)["Role"],
                json!({ "GetAtt": format!("{role}.Arn") }),
                "{name}"
            );
            assert_eq!(resource(&role)["ManagedPolicyArns"], Json::Null, "{role}");
            assert_eq!(
                resource(id)["Policies"],
                Json::Null,
                "{name}: its policies are the role's"
            );
        }
        let of_functions = FUNCTIONS.map(|(_, id, ..)| id.replace("Function", "Role"));
        let roles = of_functions
            .into_iter()
            .chain(SCHEDULE_ROLES.map(ToOwned::to_owned));
        assert_eq!(of_type("AWS::IAM::Role"), roles.collect());
    }

    #[test]
    fn whoever_takes_a_role_is_a_service_and_the_scheduler_one_of_this_account() {
        for role in of_type("AWS::IAM::Role") {
            let scheduler = SCHEDULE_ROLES.contains(&role.as_str());
            let service = if scheduler {
                "scheduler.amazonaws.com"
            } else {
                "lambda.amazonaws.com"
            };
            let mut trusted = json!({ "Effect": "Allow", "Principal": { "Service": service }, "Action": "sts:AssumeRole" });
            if scheduler {
                trusted["Condition"] =
                    json!({ "StringEquals": { "aws:SourceAccount": { "Ref": "AWS::AccountId" } } });
            }
            assert_eq!(
                resource(&role)["AssumeRolePolicyDocument"]["Statement"],
                json!([trusted]),
                "{role}"
            );
        }
    }

    #[test]
    fn only_the_webhook_may_call_intake() {
        let permission = resource("WebhookPermission");
        assert_eq!(
            permission["FunctionName"],
            json!({ "Ref": "IntakeFunction" })
        );
        assert_eq!(permission["Principal"], json!("apigateway.amazonaws.com"));
        let source = permission["SourceArn"]["Sub"].as_str().unwrap();
        assert!(
            source.ends_with(":${WebhookApi}/*/POST/webhooks/*"),
            "{source}"
        );
    }
}

/// One key of the merchant's for everything at rest, or AWS's own keys.
mod key {
    use super::*;

    /// The property of each type of resource that takes a key.
    const TAKES: [(&str, &str); 5] = [
        ("AWS::DynamoDB::Table", "/SSESpecification/KMSMasterKeyId"),
        ("AWS::Logs::LogGroup", "/KmsKeyId"),
        ("AWS::SNS::Topic", "/KmsMasterKeyId"),
        ("AWS::SQS::Queue", "/KmsMasterKeyId"),
        ("AWS::SecretsManager::Secret", "/KmsKeyId"),
    ];

    #[test]
    fn everything_at_rest_takes_the_key_if_it_is_given() {
        let key = json!({ "If": ["HasKmsKey", { "Ref": "KmsKeyArn" }, { "Ref": "AWS::NoValue" }] });
        for (of, property) in TAKES {
            let resources = of_type(of);
            assert!(!resources.is_empty(), "{of}");
            for id in resources {
                assert_eq!(resource(&id).pointer(property), Some(&key), "{id}");
            }
        }
        assert_eq!(TEMPLATE["Parameters"]["KmsKeyArn"]["Default"], json!(""));
        let given = json!({ "Not": [{ "Equals": [{ "Ref": "KmsKeyArn" }, ""] }] });
        assert_eq!(TEMPLATE["Conditions"]["HasKmsKey"], given);
    }

    #[test]
    fn every_function_may_use_the_key_by_the_services_that_it_calls_and_not_by_itself() {
        assert_eq!(of_type("AWS::IAM::Policy"), set(&["KeyPolicy"]));
        assert_eq!(
            TEMPLATE["Resources"]["KeyPolicy"]["Condition"],
            json!("HasKmsKey")
        );
        let policy = resource("KeyPolicy");
        let functions = FUNCTIONS
            .iter()
            .map(|(_, id, ..)| id.replace("Function", "Role"));
        let roles: Vec<_> = functions.map(|role| json!({ "Ref": role })).collect();
        assert_eq!(policy["Roles"], json!(roles));
        let services = ["dynamodb", "sqs", "secretsmanager"];
        let services = services
            .map(|name| json!({ "Sub": format!("{name}.${{AWS::Region}}.${{AWS::URLSuffix}}") }));
        assert_eq!(
            policy["PolicyDocument"]["Statement"],
            json!([{
                "Sid": "UseKey",
                "Effect": "Allow",
                "Action": ["kms:Decrypt", "kms:GenerateDataKey"],
                "Resource": { "Ref": "KmsKeyArn" },
                "Condition": { "StringEquals": { "kms:ViaService": services } },
            }])
        );
    }

    #[test]
    fn the_documented_key_policy_names_every_service_that_uses_the_key_by_itself() {
        let document = include_str!("../../docs/parameters.md");
        let policy = document
            .split("```json\n")
            .nth(1)
            .unwrap()
            .split("```")
            .next()
            .unwrap();
        let policy: Json = serde_json::from_str(policy).unwrap();
        let statements = policy["Statement"].as_array().unwrap();
        let services: BTreeSet<String> = statements
            .iter()
            .flat_map(|statement| match &statement["Principal"]["Service"] {
                Json::String(one) => vec![one.clone()],
                Json::Array(_) => strings(&statement["Principal"]["Service"]),
                _ => Vec::new(),
            })
            .collect();
        let expected = ["cloudwatch", "logs.us-east-1", "ses", "sns"]
            .map(|name| format!("{name}.amazonaws.com"));
        assert_eq!(services, expected.into_iter().collect());
    }
}

mod webhook {
    use super::*;

    #[test]
    fn there_is_one_door_and_it_is_throttled() {
        assert_eq!(of_type("AWS::ApiGatewayV2::Route"), set(&["WebhookRoute"]));
        assert_eq!(
            resource("WebhookRoute")["RouteKey"],
            json!("POST /webhooks/{provider}")
        );
        assert_eq!(
            resource("WebhookStage")["DefaultRouteSettings"],
            json!({
                "ThrottlingRateLimit": { "Ref": "WebhookRateLimit" },
                "ThrottlingBurstLimit": { "Ref": "WebhookBurstLimit" },
            })
        );
    }

    #[test]
    fn each_secret_begins_as_an_empty_form() {
        // Changing these texts makes CloudFormation overwrite the secrets of every stack that is updated.
        for (secret, form) in [
            ("FlexWebhookSecrets", r#"{"webhook_secrets":[]}"#),
            ("FlexApiKey", r#"{"api_key":""}"#),
        ] {
            assert_eq!(resource(secret)["SecretString"], json!(form), "{secret}");
        }
        assert_eq!(
            of_type("AWS::SecretsManager::Secret"),
            set(&["FlexWebhookSecrets", "FlexApiKey"])
        );
    }
}

mod operation {
    use super::*;

    #[test]
    fn whatever_needs_a_person_is_counted_and_alarmed() {
        let alarms = of_type("AWS::CloudWatch::Alarm");
        for (field, value, metric) in NEWS {
            let pattern = match field {
                "outcome" => "{ $.outcome = * }".to_owned(),
                _ => format!("{{ $.{field} IS TRUE }}"),
            };
            let counted = of_type("AWS::Logs::MetricFilter")
                .into_iter()
                .any(|filter| {
                    let filter = resource(&filter);
                    filter["FilterPattern"] == json!(pattern)
                        && filter["MetricTransformations"][0]["MetricName"] == json!(metric)
                });
            assert!(counted, "nothing counts {field} {value}");
            let alarmed = alarms.iter().any(|alarm| {
                let alarm = resource(alarm);
                let dimension = match field {
                    "outcome" => json!([{ "Name": "outcome", "Value": value }]),
                    _ => Json::Null,
                };
                alarm["MetricName"] == json!(metric) && alarm["Dimensions"] == dimension
            });
            assert!(alarmed, "nobody hears of {field} {value}");
        }
    }

    #[test]
    fn a_failed_refresh_is_counted_in_every_function_that_reads_a_secret() {
        let filters = of_type("AWS::Logs::MetricFilter")
            .into_iter()
            .map(|filter| resource(&filter));
        let counting = filters.filter(|filter| {
            filter["MetricTransformations"][0]["MetricName"] == json!("SecretRefreshFailures")
                && filter["FilterPattern"] == json!("{ $.secret_refresh_failed IS TRUE }")
        });
        let counted: BTreeSet<String> = counting
            .map(|filter| filter["LogGroupName"]["Ref"].as_str().unwrap().to_owned())
            .collect();
        let readers = secrets_read()
            .into_iter()
            .map(|(role, _)| role.replace("Role", "LogGroup"));
        assert_eq!(counted, readers.collect());
        assert_eq!(counted.len(), 3);
    }

    #[test]
    fn counts_of_two_stacks_do_not_mix() {
        for filter in of_type("AWS::Logs::MetricFilter") {
            let metric = &resource(&filter)["MetricTransformations"][0];
            assert_eq!(
                metric["MetricNamespace"],
                json!({ "Ref": "AWS::StackName" }),
                "{filter}"
            );
        }
    }

    #[test]
    fn every_queue_and_every_function_is_watched() {
        for (queue, metric) in [
            (
                "FulfillmentDeadLetterQueue",
                "ApproximateNumberOfMessagesVisible",
            ),
            (
                "ReceiptDeadLetterQueue",
                "ApproximateNumberOfMessagesVisible",
            ),
            (
                "FeedbackDeadLetterQueue",
                "ApproximateNumberOfMessagesVisible",
            ),
            ("FulfillmentQueue", "ApproximateAgeOfOldestMessage"),
            ("ReceiptQueue", "ApproximateAgeOfOldestMessage"),
            ("FeedbackQueue", "ApproximateAgeOfOldestMessage"),
        ] {
            let on = json!([{ "Name": "QueueName", "Value": { "GetAtt": format!("{queue}.QueueName") } }]);
            assert!(is_alarmed(metric, &on), "{queue}");
        }
        for (name, id, ..) in FUNCTIONS {
            let on = json!([{ "Name": "FunctionName", "Value": { "Ref": id } }]);
            assert!(is_alarmed("Errors", &on), "{name}");
            assert!(is_alarmed("Throttles", &on), "{name}");
        }
    }

    #[test]
    fn the_gateway_is_watched_beyond_the_refusals_of_intake() {
        let filter = resource("GatewayRefusals");
        assert_eq!(filter["LogGroupName"], json!({ "Ref": "WebhookLogGroup" }));
        // The gateway writes "-" for what it does not know: here, the answer of an integration that was not asked.
        assert_eq!(
            filter["FilterPattern"],
            json!(r#"{ ($.status = "4*") && ($.intake_status = "-") }"#)
        );
        let format = resource("WebhookStage")["AccessLogSettings"]["Format"]
            .as_str()
            .unwrap();
        let line: Json = serde_json::from_str(format).unwrap();
        assert_eq!(line["status"], json!("$context.status"));
        assert_eq!(line["intake_status"], json!("$context.integration.status"));
        assert!(is_alarmed("GatewayRefusals", &Json::Null));
        assert_eq!(
            resource("GatewayErrorsAlarm")["Namespace"],
            json!("AWS/ApiGateway")
        );
        assert!(is_alarmed(
            "5xx",
            &json!([{ "Name": "ApiId", "Value": { "Ref": "WebhookApi" } }])
        ));
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

    #[test]
    fn what_no_longer_comes_by_its_schedule_is_heard_of() {
        for (id, metric, outcome, every) in [
            ("SweepSilentAlarm", "Sweep", "swept", 5 * 60),
            ("ReconcileSilentAlarm", "Reconcile", "reconciled", 3600),
        ] {
            let alarm = resource(id);
            assert_eq!(alarm["MetricName"], json!(metric), "{id}");
            assert_eq!(
                alarm["Dimensions"],
                json!([{ "Name": "outcome", "Value": outcome }]),
                "{id}"
            );
            assert_eq!(
                (&alarm["Statistic"], &alarm["Threshold"]),
                (&json!("Sum"), &json!(1)),
                "{id}"
            );
            assert_eq!(
                alarm["ComparisonOperator"],
                json!("LessThanThreshold"),
                "{id}"
            );
            let periods = number(&alarm["EvaluationPeriods"]);
            assert!(
                number(&alarm["Period"]) * periods >= 3 * every,
                "{id}: one run that fails rings by itself"
            );
        }
        let days = json!({ "Not": [{ "Equals": [{ "Ref": "ReconcileDays" }, "0"] }] });
        assert_eq!(TEMPLATE["Conditions"]["Reconciles"], days);
        assert_eq!(
            TEMPLATE["Resources"]["ReconcileSilentAlarm"]["Condition"],
            json!("Reconciles")
        );
    }

    #[test]
    fn every_alarm_says_what_it_means_and_reports_where_it_is_told_to() {
        for id in of_type("AWS::CloudWatch::Alarm") {
            let alarm = resource(&id);
            assert!(alarm["AlarmDescription"].is_string(), "{id}");
            let is_gauge = gauges()
                .iter()
                .any(|(metric, _)| alarm["MetricName"] == json!(metric));
            let silence = if id.ends_with("SilentAlarm") {
                "breaching"
            } else if is_gauge {
                // Without a new measurement, the last one counts.
                "ignore"
            } else {
                "notBreaching"
            };
            assert_eq!(
                alarm["TreatMissingData"],
                json!(silence),
                "{id}: elsewhere silence is good news"
            );
            assert_eq!(alarm["AlarmActions"], recipient(), "{id}");
            let ok = if DECISIONS.contains(&id.as_str()) {
                recipient()
            } else {
                Json::Null
            };
            assert_eq!(
                alarm["OKActions"], ok,
                "{id}: the end of a count of five minutes says nothing"
            );
        }
    }

    #[test]
    fn what_waits_for_a_decision_stays_in_alarm_until_it_is_taken() {
        let measured: BTreeSet<String> = gauges().into_iter().map(|(metric, _)| metric).collect();
        let expected = [
            "DeadLetters",
            "Failed",
            "Held",
            "OldestUnfulfilledSeconds",
            "Parked",
            "Stored",
        ];
        assert_eq!(measured, set(&expected));
        let unfulfilled = UNFULFILLED.as_secs().unsigned_abs();
        for (id, metric, threshold) in [
            ("ParkedAlarm", "Parked", 1),
            ("ReceiptHeldAlarm", "Held", 1),
            ("ReceiptFailedAlarm", "Failed", 1),
            ("UnfulfilledAlarm", "OldestUnfulfilledSeconds", unfulfilled),
        ] {
            let alarm = resource(id);
            assert_eq!(alarm["MetricName"], json!(metric), "{id}");
            assert_eq!(
                alarm["Namespace"],
                json!({ "Ref": "AWS::StackName" }),
                "{id}"
            );
            assert_eq!(
                (&alarm["Statistic"], &alarm["Threshold"]),
                (&json!("Maximum"), &json!(threshold)),
                "{id}"
            );
            // One measurement a period, so that each run decides.
            assert_eq!(
                number(&alarm["Period"]),
                EVERY.as_secs().unsigned_abs(),
                "{id}"
            );
        }
    }

    /// The stack's own topic, or the given one, or none.
    fn recipient() -> Json {
        let given = json!({ "If": ["HasAlarmTopic", { "Ref": "AlarmTopicArn" }, { "Ref": "AWS::NoValue" }] });
        json!([{ "If": ["HasAlarmEmail", { "Ref": "AlarmTopic" }, given] }])
    }

    #[test]
    fn an_address_is_subscribed_to_a_topic_that_only_alarms_of_this_account_write_to() {
        for id in ["AlarmTopic", "AlarmTopicPolicy", "AlarmSubscription"] {
            assert_eq!(
                TEMPLATE["Resources"][id]["Condition"],
                json!("HasAlarmEmail"),
                "{id}"
            );
        }
        assert_eq!(
            resource("AlarmSubscription"),
            &json!({
                "TopicArn": { "Ref": "AlarmTopic" }, "Protocol": "email", "Endpoint": { "Ref": "AlarmEmail" },
            })
        );
        let policy = resource("AlarmTopicPolicy");
        assert_eq!(policy["Topics"], json!([{ "Ref": "AlarmTopic" }]));
        assert_eq!(
            policy["PolicyDocument"]["Statement"],
            json!([
                {
                    "Sid": "TakeFromAlarms",
                    "Effect": "Allow",
                    "Principal": { "Service": "cloudwatch.amazonaws.com" },
                    "Action": "sns:Publish",
                    "Resource": { "Ref": "AlarmTopic" },
                    "Condition": { "StringEquals": { "aws:SourceAccount": { "Ref": "AWS::AccountId" } } },
                },
                {
                    "Sid": "TlsOnly",
                    "Effect": "Deny",
                    "Principal": "*",
                    "Action": "sns:Publish",
                    "Resource": { "Ref": "AlarmTopic" },
                    "Condition": { "Bool": { "aws:SecureTransport": "false" } },
                },
            ])
        );
    }

    /// The value of a rule's condition, by the rules of `CloudFormation`.
    fn holds(condition: &Json, parameters: &[(&str, &str)]) -> bool {
        let value = |operand: &Json| match operand["Ref"].as_str() {
            Some(name) => parameters
                .iter()
                .find(|(known, _)| *known == name)
                .unwrap()
                .1
                .to_owned(),
            None => operand.as_str().unwrap().to_owned(),
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
        let (nobody, email, topic) = (
            "",
            "oncall@shop.example",
            "arn:aws:sns:us-east-1:123456789012:oncall",
        );
        for (mode, email, topic, cure) in [
            ("test", nobody, nobody, None),
            ("test", email, nobody, None),
            ("test", nobody, topic, None),
            ("test", email, topic, Some("exclude each other")),
            (
                "live",
                nobody,
                nobody,
                Some("set AlarmEmail or AlarmTopicArn"),
            ),
            ("live", email, nobody, None),
            ("live", nobody, topic, None),
            ("live", email, topic, Some("exclude each other")),
        ] {
            let parameters = [
                ("Mode", mode),
                ("AlarmEmail", email),
                ("AlarmTopicArn", topic),
            ];
            let applies = |rule: &&Json| {
                rule["RuleCondition"].is_null() || holds(&rule["RuleCondition"], &parameters)
            };
            let rules = object(&TEMPLATE["Rules"])
                .map(|(_, rule)| rule)
                .filter(applies);
            let assertions = rules.flat_map(|rule| rule["Assertions"].as_array().unwrap());
            let rejected: Vec<_> = assertions
                .filter(|assertion| !holds(&assertion["Assert"], &parameters))
                .map(|assertion| assertion["AssertDescription"].as_str().unwrap())
                .collect();
            assert_eq!(
                rejected.len(),
                usize::from(cure.is_some()),
                "{parameters:?}: {rejected:?}"
            );
            assert!(
                cure.is_none_or(|cure| rejected[0].contains(cure)),
                "{parameters:?}: {rejected:?}"
            );
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
        assert!(
            profile.lines().any(|line| line == r#"panic = "unwind""#),
            "{profile}"
        );
    }

    #[test]
    fn two_stacks_fit_into_one_account() {
        for (id, resource) in object(&TEMPLATE["Resources"]) {
            for name in [
                "TableName",
                "QueueName",
                "FunctionName",
                "RoleName",
                "AlarmName",
                "TopicName",
                "FilterName",
            ] {
                // A permission has to say whose it is.
                let names_itself = resource["Properties"][name] != Json::Null
                    && resource["Type"] != json!("AWS::Lambda::Permission");
                assert!(!names_itself, "{id}.{name}");
            }
            let owns_name = ["AWS::SecretsManager::Secret", "AWS::Logs::LogGroup"]
                .iter()
                .any(|of| resource["Type"] == json!(of));
            assert!(
                !owns_name || resource["Properties"]["Name"] == Json::Null,
                "{id}"
            );
            let log_group = match id.as_str() {
                "WebhookLogGroup" => json!({ "Sub": "/aws/vendedlogs/${AWS::StackName}/webhooks" }),
                _ => Json::Null,
            };
            assert!(
                !owns_name || resource["Properties"]["LogGroupName"] == log_group,
                "{id}"
            );
        }
        // SAM names a schedule unless it is told not to.
        for function in ["SweepFunction", "ReconcileFunction"] {
            let schedule = &resource(function)["Events"]["Schedule"]["Properties"];
            assert_eq!(
                (&schedule["OmitName"], &schedule["Name"]),
                (&json!(true), &Json::Null),
                "{function}"
            );
        }
    }

    #[test]
    fn every_parameter_is_explained_checked_and_in_a_group() {
        let groups = &TEMPLATE["Metadata"]["AWS::CloudFormation::Interface"]["ParameterGroups"];
        let grouped: BTreeSet<String> = groups
            .as_array()
            .unwrap()
            .iter()
            .flat_map(|group| strings(&group["Parameters"]))
            .collect();
        assert_eq!(grouped, names(&TEMPLATE["Parameters"]));
        for (name, parameter) in object(&TEMPLATE["Parameters"]) {
            assert!(parameter["Description"].is_string(), "{name}");
            assert!(parameter["ConstraintDescription"].is_string(), "{name}");
            let checked = ["AllowedPattern", "AllowedValues", "MaxValue"];
            assert!(
                checked.iter().any(|check| parameter[check] != Json::Null),
                "{name}"
            );
        }
    }

    /// Parameter values are text, even those of type Number: a bare number or boolean may never equal one.
    #[test]
    fn every_comparison_is_between_texts() {
        fn compared<'a>(value: &'a Json, found: &mut Vec<&'a Json>) {
            match value {
                Json::Object(members) => {
                    found.extend(
                        members
                            .get("Equals")
                            .and_then(Json::as_array)
                            .into_iter()
                            .flatten(),
                    );
                    for member in members.values() {
                        compared(member, found);
                    }
                }
                Json::Array(values) => {
                    for value in values {
                        compared(value, found);
                    }
                }
                _ => {}
            }
        }
        let mut operands = Vec::new();
        compared(&TEMPLATE, &mut operands);
        assert!(operands.len() >= 14, "{operands:?}");
        for operand in operands {
            assert!(
                operand.is_string() || operand["Ref"].is_string(),
                "{operand}: quote it"
            );
        }
    }

    #[test]
    fn on_and_off_are_words() {
        // CloudFormation reads YAML 1.1, where a bare on or off is true or false. This parser knows no such words, so
        // the text itself is looked at.
        let text = include_str!("../../template.yaml");
        for mail in ["PaymentFailedMail", "TrialEndsMail"] {
            assert_eq!(
                TEMPLATE["Parameters"][mail]["Default"],
                json!("off"),
                "{mail}: a mail more is asked for"
            );
            assert_eq!(
                TEMPLATE["Parameters"][mail]["AllowedValues"],
                json!(["off", "on"]),
                "{mail}"
            );
            let lines = text
                .lines()
                .skip_while(|line| !line.starts_with(&format!("  {mail}:")))
                .skip(1);
            let lines: Vec<_> = lines.take_while(|line| line.starts_with("    ")).collect();
            for quoted in [
                r#"    Default: "off""#,
                r#"    AllowedValues: ["off", "on"]"#,
            ] {
                assert!(lines.contains(&quoted), "{mail}: {lines:?}");
            }
        }
    }

    #[test]
    fn only_what_nobody_else_can_know_has_no_default() {
        let asked: BTreeSet<String> = object(&TEMPLATE["Parameters"])
            .filter(|(_, parameter)| parameter["Default"] == Json::Null)
            .map(|(name, _)| name.clone())
            .collect();
        assert_eq!(
            asked,
            set(&[
                "MerchantAddress",
                "MerchantName",
                "ReceiptSender",
                "SupportEmail"
            ])
        );
    }

    /// The texts of a section of samconfig.toml, by name.
    fn configured(section: &str) -> BTreeMap<&'static str, &'static str> {
        let text = include_str!("../../samconfig.toml");
        let lines = text
            .lines()
            .skip_while(|line| *line != format!("[{section}]"))
            .skip(1);
        let lines = lines.take_while(|line| !line.starts_with('['));
        lines
            .filter_map(|line| Some((line.split(' ').next()?, line.split('"').nth(1)?)))
            .collect()
    }

    #[test]
    fn each_environment_has_its_own_stack_and_asks_for_no_more_than_six_values() {
        let required: BTreeSet<String> = object(&TEMPLATE["Parameters"])
            .filter(|(_, parameter)| parameter["Default"] == Json::Null)
            .map(|(name, _)| name.clone())
            .collect();
        let known = names(&TEMPLATE["Parameters"]);
        for mode in ["test", "live"] {
            let deployment = configured(&format!("{mode}.deploy.parameters"));
            assert_eq!(deployment["stack_name"], format!("flex-fulfillment-{mode}"));
            assert_eq!(deployment["capabilities"], "CAPABILITY_IAM");
            let given = configured(&format!("{mode}.deploy.parameters.parameter_overrides"));
            assert_eq!(given["Mode"], mode);
            let given_names: BTreeSet<String> = given.keys().map(ToString::to_string).collect();
            assert!(given_names.is_subset(&known), "{given_names:?}");
            assert!(given_names.is_superset(&required), "{given_names:?}");
            let asked: BTreeSet<_> = given.iter().filter(|(_, value)| value.is_empty()).collect();
            // And a yes to the change set.
            assert!(asked.len() < 6, "{asked:?}");
            assert!(
                given.contains_key("AlarmEmail"),
                "a rule refuses a live stack without it"
            );
        }
        // What is not filled in is refused.
        for name in required {
            assert_eq!(
                TEMPLATE["Parameters"][&name]["MinLength"],
                json!(1),
                "{name}"
            );
        }
    }

    #[test]
    fn every_parameter_is_documented_with_its_default() {
        let document = include_str!("../../docs/parameters.md");
        let rows: BTreeSet<String> = document
            .lines()
            .filter(|line| line.starts_with("| `"))
            .map(ToOwned::to_owned)
            .collect();
        let expected: BTreeSet<String> = object(&TEMPLATE["Parameters"])
            .map(|(name, parameter)| {
                let default = match &parameter["Default"] {
                    Json::Null => "required".to_owned(),
                    Json::String(empty) if empty.is_empty() => "empty".to_owned(),
                    Json::String(text) => format!("`{text}`"),
                    other => format!("`{other}`"),
                };
                let meaning = parameter["Description"]
                    .as_str()
                    .unwrap()
                    .trim()
                    .replace('|', "\\|");
                format!("| `{name}` | {default} | {meaning} |")
            })
            .collect();
        assert_eq!(rows, expected);
    }

    #[test]
    fn a_first_stack_is_a_trial() {
        assert_eq!(TEMPLATE["Parameters"]["Mode"]["Default"], json!("test"));
    }

    #[test]
    fn the_outputs_lead_on() {
        let outputs = names(&TEMPLATE["Outputs"]);
        let expected = set(&[
            "EntitlementsTableName",
            "EventsTableName",
            "FeedbackDeadLetterQueueUrl",
            "FeedbackFunctionName",
            "FeedbackQueueUrl",
            "FlexApiKeyName",
            "FlexWebhookSecretsName",
            "FulfillmentDeadLetterQueueUrl",
            "FulfillmentFunctionName",
            "FulfillmentQueueUrl",
            "IntakeFunctionName",
            "LinksTableName",
            "NextStep",
            "OrdersTableName",
            "ReceiptDeadLetterQueueUrl",
            "ReceiptQueueUrl",
            "ReceiptsFunctionName",
            "ReceiptsTableName",
            "ReconcileFunctionName",
            "StockTableName",
            "SweepFunctionName",
            "WebhookUrl",
        ]);
        assert_eq!(outputs, expected);
        let url = TEMPLATE["Outputs"]["WebhookUrl"]["Value"]["Sub"].to_string();
        assert!(url.ends_with("/webhooks/flex\""), "{url}");
    }
}

/// The template as JSON, its tags as objects with one member: `!Ref X` becomes `{"Ref": "X"}`.
pub(crate) static TEMPLATE: LazyLock<Json> = LazyLock::new(|| {
    let text = include_str!("../../template.yaml");
    plain(serde_yaml_ng::from_str(text).unwrap())
});

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

fn resource(id: &str) -> &'static Json {
    let properties = &TEMPLATE["Resources"][id]["Properties"];
    assert!(properties.is_object(), "there is no {id}");
    properties
}

fn of_type(of: &str) -> BTreeSet<String> {
    let resources =
        object(&TEMPLATE["Resources"]).filter(|(_, resource)| resource["Type"] == json!(of));
    resources.map(|(id, _)| id.clone()).collect()
}

fn fed_functions() -> impl Iterator<Item = (&'static Json, &'static str)> {
    FUNCTIONS
        .into_iter()
        .filter_map(|(_, id, queue, _)| Some((&TEMPLATE["Resources"][id], queue?)))
}

fn statements(role: &str) -> Vec<&'static Json> {
    let policies = resource(role)["Policies"].as_array().unwrap();
    policies
        .iter()
        .flat_map(|policy| policy["PolicyDocument"]["Statement"].as_array().unwrap())
        .collect()
}

/// The metrics that a sweep measures, and the fields of its line that they are read from.
pub(crate) fn gauges() -> Vec<(String, String)> {
    let filters = of_type("AWS::Logs::MetricFilter");
    let gauges = filters.iter().filter_map(|id| {
        let filter = resource(id);
        let metric = &filter["MetricTransformations"][0];
        let field = metric["MetricValue"].as_str()?.strip_prefix("$.")?;
        assert_eq!(
            filter["LogGroupName"],
            json!({ "Ref": "SweepLogGroup" }),
            "{id}"
        );
        // A line without the field must not count as zero, and the line of what was queued has a `stored` as well.
        let pattern = format!(r#"{{ ($.outcome = "measured") && ($.{field} >= 0) }}"#);
        assert_eq!(filter["FilterPattern"], json!(pattern), "{id}");
        Some((metric["MetricName"].as_str()?.to_owned(), field.to_owned()))
    });
    gauges.collect()
}

/// Every role that may read a secret, with the secret.
fn secrets_read() -> Vec<(String, Json)> {
    let mut read = Vec::new();
    for role in of_type("AWS::IAM::Role") {
        for statement in statements(&role) {
            if strings(&statement["Action"])
                .iter()
                .any(|action| action == "secretsmanager:GetSecretValue")
            {
                read.push((role.clone(), statement["Resource"].clone()));
            }
        }
    }
    read
}

fn is_alarmed(metric: &str, dimensions: &Json) -> bool {
    of_type("AWS::CloudWatch::Alarm").iter().any(|alarm| {
        let alarm = resource(alarm);
        alarm["MetricName"] == json!(metric) && &alarm["Dimensions"] == dimensions
    })
}

/// The names of a key schema, hash key first.
fn keys(schema: &Json) -> Vec<String> {
    schema
        .as_array()
        .unwrap()
        .iter()
        .map(|key| key["AttributeName"].as_str().unwrap().to_owned())
        .collect()
}

/// Every string literal of a source that is spelled as settings are.
fn setting_names(source: &str) -> BTreeSet<String> {
    let is_setting = |text: &&str| {
        text.len() > 3
            && text.starts_with(|first: char| first.is_ascii_uppercase())
            && text.chars().all(|c| c.is_ascii_uppercase() || c == '_')
    };
    source
        .split('"')
        .skip(1)
        .step_by(2)
        .filter(is_setting)
        .map(ToOwned::to_owned)
        .collect()
}

fn object(json: &Json) -> impl Iterator<Item = (&String, &Json)> {
    json.as_object().unwrap().iter()
}

fn names(json: &Json) -> BTreeSet<String> {
    object(json).map(|(name, _)| name.clone()).collect()
}

fn strings(json: &Json) -> Vec<String> {
    let mut strings: Vec<String> = json
        .as_array()
        .unwrap()
        .iter()
        .map(|value| value.as_str().unwrap().to_owned())
        .collect();
    strings.sort();
    strings
}

fn set(names: &[&str]) -> BTreeSet<String> {
    names.iter().map(ToString::to_string).collect()
}

fn number(json: &Json) -> u64 {
    json.as_u64().unwrap()
}
