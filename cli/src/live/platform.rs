//! The services around the tables, on AWS.

use super::failure::{error, unless};
use crate::{
    args::SecretKind,
    backend::{
        Alarm, ApiAnswer, ApiRequest, Asked, Flow, Function, Identity, LogLine, LogQuery,
        MailAccount, Platform, SecretText, Stack,
    },
    error::{Error, Exit},
};
use aws_config::{SdkConfig, retry::RetryConfig, timeout::TimeoutConfig};
use aws_sdk_lambda::primitives::Blob;
use aws_sdk_secretsmanager::operation::get_secret_value::GetSecretValueError;
use aws_sdk_sesv2::{
    operation::{
        create_email_identity::CreateEmailIdentityError,
        delete_suppressed_destination::DeleteSuppressedDestinationError,
        get_email_identity::GetEmailIdentityError,
    },
    types::SendQuota,
};
use jiff::Timestamp;
use serde_json::{Value, json};
use std::{collections::BTreeMap, fmt, time::Duration};

/// The services of one stack.
pub(super) struct AwsPlatform {
    resources: BTreeMap<String, String>,
    api_urls: BTreeMap<&'static str, String>,
    /// The reserved concurrency that intake was deployed with.
    intake_concurrency: Option<i32>,
    sts: aws_sdk_sts::Client,
    logs: aws_sdk_cloudwatchlogs::Client,
    alarms: aws_sdk_cloudwatch::Client,
    lambda: aws_sdk_lambda::Client,
    /// Waits for the end of a run and never runs twice.
    patient: aws_sdk_lambda::Client,
    secrets: aws_sdk_secretsmanager::Client,
    ses: aws_sdk_sesv2::Client,
    sns: aws_sdk_sns::Client,
    http: Option<reqwest::Client>,
}

impl fmt::Debug for AwsPlatform {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("AwsPlatform(…)")
    }
}

impl AwsPlatform {
    pub(super) fn new(config: &SdkConfig, stack: &Stack) -> Self {
        // The SDK's client and reqwest each bring a provider, unless one is installed for the process.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let http = reqwest::Client::builder()
            .timeout(Duration::from_secs(15))
            .build()
            .ok();
        let long = TimeoutConfig::builder()
            .operation_timeout(Duration::from_mins(6))
            .build();
        let patient = config
            .to_builder()
            .timeout_config(long)
            .retry_config(RetryConfig::disabled())
            .build();
        let concurrency = stack.number("IntakeReservedConcurrency", -1);
        Self {
            resources: stack.resources.clone(),
            api_urls: stack
                .providers()
                .into_iter()
                .map(|of| (of, stack.api_url(of).to_owned()))
                .collect(),
            intake_concurrency: i32::try_from(concurrency).ok().filter(|number| *number > 0),
            sts: aws_sdk_sts::Client::new(config),
            logs: aws_sdk_cloudwatchlogs::Client::new(config),
            alarms: aws_sdk_cloudwatch::Client::new(config),
            lambda: aws_sdk_lambda::Client::new(config),
            patient: aws_sdk_lambda::Client::new(&patient),
            secrets: aws_sdk_secretsmanager::Client::new(config),
            ses: aws_sdk_sesv2::Client::new(config),
            sns: aws_sdk_sns::Client::new(config),
            http,
        }
    }

    fn resource(&self, name: &str) -> Result<&str, Error> {
        let id = self.resources.get(name).map(String::as_str);
        id.ok_or_else(|| Error::not_found(format!("the stack has no {name}")))
    }

    /// The physical name of a function.
    fn name_of(&self, function: Function) -> Result<&str, Error> {
        self.resource(function.logical_id())
    }

    fn http(&self) -> Result<&reqwest::Client, Error> {
        self.http
            .as_ref()
            .ok_or_else(|| Error::new(Exit::Failed, "no HTTP client can be made"))
    }

    /// The mapping of a queue to its function, and its state.
    async fn mapping(&self, function: Function) -> Result<(String, String), Error> {
        let list = self.lambda.list_event_source_mappings();
        let list = list.function_name(self.name_of(function)?).send().await;
        let list = list.map_err(|failed| error("Lambda", &failed))?;
        let mapping = list.event_source_mappings().first();
        let part = mapping
            .and_then(|mapping| Some((mapping.uuid()?.to_owned(), mapping.state()?.to_owned())));
        part.ok_or_else(|| Error::not_found(format!("{} has no queue", function.name())))
    }

    async fn reserved(&self, function: Function) -> Result<Option<i32>, Error> {
        let asked = self.lambda.get_function_concurrency();
        let asked = asked.function_name(self.name_of(function)?).send().await;
        let asked = asked.map_err(|failed| error("Lambda", &failed))?;
        Ok(asked.reserved_concurrent_executions())
    }

    async fn api_key(&self, provider: &str) -> Result<String, Error> {
        let name = crate::commands::secret_name(provider, SecretKind::ApiKey);
        let document = self.secret(name).await?;
        let key = document.as_ref().and_then(crate::commands::api_key);
        key.ok_or_else(|| {
            Error::not_found(format!("{name} has no key")).cured_by("till secrets put api-key")
        })
    }
}

fn has_queue(function: Function) -> bool {
    matches!(
        function,
        Function::Fulfillment | Function::Receipts | Function::Feedback
    )
}

/// A line of the log. Lambda's own lines are no JSON.
fn line(at: i64, message: &str) -> Option<LogLine> {
    let fields = serde_json::from_str(message).ok().filter(Value::is_object);
    Some(LogLine {
        at: Timestamp::from_millisecond(at).ok()?,
        fields: fields.unwrap_or_else(|| json!({"message": message.trim()})),
    })
}

fn time(at: Option<&aws_sdk_sts::primitives::DateTime>) -> Option<Timestamp> {
    Timestamp::from_second(at?.secs()).ok()
}

/// An error of a request. Its text has no URL, which may hold an address.
fn http_error(what: &str, error: reqwest::Error) -> Error {
    Error::new(
        Exit::Unavailable,
        format!("{what}: {}", error.without_url()),
    )
}

impl Platform for AwsPlatform {
    fn identity(&self) -> Asked<'_, Identity> {
        Box::pin(async {
            let found = self.sts.get_caller_identity().send().await;
            let found = found.map_err(|failed| error("STS", &failed))?;
            Ok(Identity {
                account: found.account().unwrap_or_default().to_owned(),
                arn: found.arn().unwrap_or_default().to_owned(),
            })
        })
    }

    fn log_lines<'a>(&'a self, query: &'a LogQuery) -> Asked<'a, Vec<LogLine>> {
        Box::pin(async move {
            let group = if query.gateway {
                "WebhookLogGroup"
            } else {
                "FunctionLogGroup"
            };
            let find = self
                .logs
                .filter_log_events()
                .log_group_name(self.resource(group)?)
                .start_time(query.since.as_millisecond())
                .end_time(query.before.as_millisecond())
                .set_filter_pattern((!query.pattern.is_empty()).then(|| query.pattern.clone()));
            let mut pages = find.into_paginator().send();
            let mut lines = Vec::new();
            while lines.len() < query.most
                && let Some(page) = pages.next().await
            {
                let page = page.map_err(|failed| error("CloudWatch Logs", &failed))?;
                let events = page.events().iter();
                lines.extend(events.filter_map(|of| line(of.timestamp()?, of.message()?)));
            }
            lines.truncate(query.most);
            lines.sort_by_key(|line| line.at);
            Ok(lines)
        })
    }

    fn invoke(&self, function: Function) -> Asked<'_, ()> {
        Box::pin(async move {
            let run = self.patient.invoke().payload(Blob::new("{}"));
            let run = run.function_name(self.name_of(function)?).send().await;
            let run = run.map_err(|failed| error("Lambda", &failed))?;
            let Some(kind) = run.function_error() else {
                return Ok(());
            };
            let name = function.name();
            Err(Error::new(Exit::Failed, format!("{name} failed: {kind}"))
                .cured_by(format!("till logs --function {name}")))
        })
    }

    fn flow(&self, function: Function) -> Asked<'_, Flow> {
        Box::pin(async move {
            if !has_queue(function) {
                let is_zero = self.reserved(function).await? == Some(0);
                return Ok(if is_zero { Flow::Paused } else { Flow::Running });
            }
            let (_, state) = self.mapping(function).await?;
            Ok(match &*state {
                "Enabled" => Flow::Running,
                "Disabled" => Flow::Paused,
                _ => Flow::Changing,
            })
        })
    }

    fn set_flow(&self, function: Function, runs: bool) -> Asked<'_, ()> {
        Box::pin(async move {
            let name = self.name_of(function)?;
            if has_queue(function) {
                let (uuid, _) = self.mapping(function).await?;
                let change = self.lambda.update_event_source_mapping();
                let change = change.uuid(uuid).enabled(runs).send().await;
                return change.map(drop).map_err(|failed| error("Lambda", &failed));
            }
            let reserved = match (runs, function) {
                (false, _) => Some(0),
                (true, Function::Intake) => self.intake_concurrency,
                (true, _) => None,
            };
            if let Some(number) = reserved {
                let put = self.lambda.put_function_concurrency().function_name(name);
                let put = put.reserved_concurrent_executions(number).send().await;
                return put.map(drop).map_err(|failed| error("Lambda", &failed));
            }
            let delete = self.lambda.delete_function_concurrency();
            let delete = delete.function_name(name).send().await;
            delete.map(drop).map_err(|failed| error("Lambda", &failed))
        })
    }

    fn alarms(&self) -> Asked<'_, Vec<Alarm>> {
        Box::pin(async {
            let ours: BTreeMap<&str, &str> = self
                .resources
                .iter()
                .filter(|(logical, _)| logical.ends_with("Alarm"))
                .map(|(logical, physical)| (&**physical, &**logical))
                .collect();
            let names: Vec<String> = ours.keys().map(|name| (*name).to_owned()).collect();
            let found = self
                .alarms
                .describe_alarms()
                .set_alarm_names(Some(names))
                .max_records(100)
                .send()
                .await;
            let found = found.map_err(|failed| error("CloudWatch", &failed))?;
            let alarm = |alarm: &aws_sdk_cloudwatch::types::MetricAlarm| {
                Some(Alarm {
                    name: (*ours.get(alarm.alarm_name()?)?).to_owned(),
                    state: alarm.state_value()?.as_str().to_owned(),
                    notifies: alarm.actions_enabled().unwrap_or(true)
                        && !alarm.alarm_actions().is_empty(),
                })
            };
            Ok(found.metric_alarms().iter().filter_map(alarm).collect())
        })
    }

    fn enable_alarms<'a>(&'a self, names: &'a [String]) -> Asked<'a, ()> {
        Box::pin(async move {
            let mut enable = self.alarms.enable_alarm_actions();
            for name in names {
                enable = enable.alarm_names(self.resource(name)?);
            }
            let enabled = enable.send().await;
            enabled
                .map(drop)
                .map_err(|failed| error("CloudWatch", &failed))
        })
    }

    fn secret<'a>(&'a self, name: &'a str) -> Asked<'a, Option<SecretText>> {
        Box::pin(async move {
            let read = self.secrets.get_secret_value();
            let read = read.secret_id(self.resource(name)?).send().await;
            let is_missing = GetSecretValueError::is_resource_not_found_exception;
            let found = unless(read, "Secrets Manager", is_missing)?;
            Ok(found.and_then(|found| {
                Some(SecretText {
                    text: found.secret_string()?.to_owned(),
                    version: found.version_id().unwrap_or_default().to_owned(),
                    changed_at: time(found.created_date()),
                })
            }))
        })
    }

    fn put_secret<'a>(&'a self, name: &'a str, text: &'a str) -> Asked<'a, ()> {
        Box::pin(async move {
            let put = self.secrets.put_secret_value().secret_string(text);
            let put = put.secret_id(self.resource(name)?).send().await;
            put.map(drop)
                .map_err(|failed| error("Secrets Manager", &failed))
        })
    }

    fn is_verified<'a>(&'a self, identity: &'a str) -> Asked<'a, Option<bool>> {
        Box::pin(async move {
            let found = self.ses.get_email_identity().email_identity(identity);
            let is_unknown = GetEmailIdentityError::is_not_found_exception;
            let found = unless(found.send().await, "SES", is_unknown)?;
            Ok(found.map(|found| found.verified_for_sending_status()))
        })
    }

    fn verify<'a>(&'a self, address: &'a str) -> Asked<'a, ()> {
        Box::pin(async move {
            let create = self.ses.create_email_identity().email_identity(address);
            let is_known = CreateEmailIdentityError::is_already_exists_exception;
            unless(create.send().await, "SES", is_known).map(drop)
        })
    }

    fn mail_account(&self) -> Asked<'_, MailAccount> {
        Box::pin(async {
            let found = self.ses.get_account().send().await;
            let found = found.map_err(|failed| error("SES", &failed))?;
            let quota = found.send_quota();
            Ok(MailAccount {
                production: found.production_access_enabled(),
                sending: found.sending_enabled(),
                enforcement: found.enforcement_status().unwrap_or("HEALTHY").to_owned(),
                sent_last_day: quota.map_or(0.0, SendQuota::sent_last24_hours),
                most_a_day: quota.map_or(0.0, SendQuota::max24_hour_send),
            })
        })
    }

    fn unsuppress<'a>(&'a self, email: &'a str) -> Asked<'a, bool> {
        Box::pin(async move {
            let remove = self.ses.delete_suppressed_destination();
            let remove = remove.email_address(email);
            let is_missing = DeleteSuppressedDestinationError::is_not_found_exception;
            let removed = unless(remove.send().await, "SES", is_missing)?;
            Ok(removed.is_some())
        })
    }

    fn subscriptions<'a>(&'a self, topic: &'a str) -> Asked<'a, (usize, usize)> {
        Box::pin(async move {
            let list = self.sns.list_subscriptions_by_topic();
            let list = list.topic_arn(topic).send().await;
            let list = list.map_err(|failed| error("SNS", &failed))?;
            let all = list.subscriptions();
            let is_open = |of: &&aws_sdk_sns::types::Subscription| {
                of.subscription_arn() == Some("PendingConfirmation")
            };
            let open = all.iter().filter(is_open).count();
            Ok((all.len() - open, open))
        })
    }

    fn call_provider(&self, request: ApiRequest) -> Asked<'_, ApiAnswer> {
        Box::pin(async move {
            let base = self.api_urls.get(request.provider);
            let base = base.ok_or_else(|| {
                Error::usage(format!("this stack does not serve {}", request.provider))
            })?;
            let url = format!("{}{}", base.trim_end_matches('/'), request.path);
            let method = reqwest::Method::from_bytes(request.method.as_bytes())
                .map_err(|_| Error::usage("no such HTTP method"))?;
            let key = self.api_key(request.provider).await?;
            let mut call = self.http()?.request(method, url).bearer_auth(key);
            if let Some(body) = &request.body {
                call = call.json(body);
            }
            let answer = call.send().await;
            let answer = answer.map_err(|failed| http_error(request.provider, failed))?;
            let status = answer.status().as_u16();
            let body = answer.json().await.unwrap_or(Value::Null);
            Ok(ApiAnswer { status, body })
        })
    }

    fn post<'a>(
        &'a self,
        url: &'a str,
        headers: &'a [(String, String)],
        body: &'a [u8],
    ) -> Asked<'a, u16> {
        Box::pin(async move {
            let mut call = self.http()?.post(url).body(body.to_vec());
            for (name, value) in headers {
                call = call.header(name, value);
            }
            let answer = call.send().await;
            let answer = answer.map_err(|failed| http_error("the webhook URL", failed))?;
            Ok(answer.status().as_u16())
        })
    }

    fn wait(&self, seconds: u64) -> Asked<'_, ()> {
        Box::pin(async move {
            tokio::time::sleep(Duration::from_secs(seconds)).await;
            Ok(())
        })
    }
}
