//! Checks of AWS: credentials, the stack, its functions and its alarms.

use super::{Check, Seen, check, fix};
use crate::{
    Context,
    backend::{Backend, Flow, Function, Stack},
    commands::{lines_of, ringing_alarms},
    error::Error,
    style::count,
};
use clap::ValueEnum as _;
use domain::values::mode::Mode;
use jiff::{ToSpan, tz::TimeZone};

pub(super) fn checks<B: Backend>() -> Vec<Check<B>> {
    vec![
        check!("aws.credentials", [], credentials),
        check!("stack.status", status),
        check!("stack.parameters", parameters),
        check!("stack.version", version),
        check!("function.flow", ["aws.credentials"], flow),
        check!("function.start", ["aws.credentials"], start),
        check!("alarms.topic", topic),
        check!(
            "alarms.subscriber",
            ["aws.credentials", "alarms.topic"],
            subscriber
        ),
        check!(
            "alarms.on",
            ["aws.credentials"],
            alarms_on,
            "Enable the actions of these alarms",
            fix::alarms
        ),
        check!("alarms.ring", ["aws.credentials"], ringing),
    ]
}

async fn credentials<B: Backend>(on: &Context<'_, B>) -> Result<Seen, Error> {
    Ok(match on.backend.platform().identity().await {
        Ok(identity) => Seen::ok(format!("account {}", identity.account)),
        Err(error) => Seen::fail(
            error.what,
            "Sign in: aws sso login --profile NAME, then add --profile NAME. The SDK asks for no MFA code; use aws \
             configure export-credentials for such a profile.",
        ),
    })
}

fn status<B>(on: &Context<'_, B>) -> Seen {
    let status = &*on.stack.status;
    if status.ends_with("_IN_PROGRESS") {
        Seen::warn(
            format!("the stack is {status}"),
            "Wait for the deployment, then run the checks again.",
        )
    } else if status.contains("ROLLBACK_FAILED") {
        Seen::fail(
            format!("the stack is {status}"),
            format!(
                "aws cloudformation continue-update-rollback --stack-name {}",
                on.stack.name
            ),
        )
    } else if status.contains("FAILED") || status.contains("ROLLBACK") {
        Seen::fail(
            format!("the last deployment failed: the stack is {status}"),
            "Read its events in CloudFormation's console, remove the cause, then run sam deploy.",
        )
    } else {
        Seen::ok(status.to_owned())
    }
}

fn parameters<B>(on: &Context<'_, B>) -> Seen {
    let stack = on.stack;
    let mut wrong = Vec::new();
    let is_live = stack.mode == Mode::Live && !stack.local;
    for name in ["MerchantAddress", "SupportEmail", "ReceiptSender"] {
        if is_live
            && stack
                .parameter(name)
                .is_some_and(|value| value.ends_with(".example"))
        {
            wrong.push(format!("{name} is an example"));
        }
    }
    let zone = stack.parameter("MerchantTimeZone");
    if zone.is_none_or(|zone| TimeZone::get(zone).is_err()) {
        wrong.push("MerchantTimeZone is unknown".to_owned());
    }
    for provider in stack.providers() {
        let url = stack.api_url(provider);
        if is_live && !url.starts_with("https://api.with") {
            wrong.push(format!("the API address of {provider} is {url}"));
        }
    }
    if stack.number("ReconcileDays", 3) == 0 {
        wrong.push("ReconcileDays is 0, so missed webhooks are not recovered".to_owned());
    }
    if wrong.is_empty() {
        return Seen::ok("as expected");
    }
    Seen::warn(
        wrong.join("; "),
        "Correct the parameters in samconfig.toml, then run sam deploy (docs/parameters.md).",
    )
}

fn version<B>(on: &Context<'_, B>) -> Seen {
    let own = env!("CARGO_PKG_VERSION");
    match on.stack.version.as_deref() {
        Some(version) if version == own => Seen::ok(format!("both are {own}")),
        Some(version) => Seen::warn(
            format!("the stack runs {version}, and till is {own}"),
            "Check out the version of the stack and build till again, or deploy this version.",
        ),
        None => Seen::ok("the stack does not state its version"),
    }
}

async fn flow<B: Backend>(on: &Context<'_, B>) -> Result<Seen, Error> {
    let mut paused = Vec::new();
    for &function in Function::value_variants() {
        if on.backend.platform().flow(function).await? == Flow::Paused {
            paused.push(function.name());
        }
    }
    if paused.is_empty() {
        return Ok(Seen::ok("all functions work"));
    }
    let commands: Vec<String> = paused
        .iter()
        .map(|name| format!("till resume {name}"))
        .collect();
    Ok(Seen::fail(
        format!("paused: {}", paused.join(", ")),
        commands.join("; "),
    ))
}

async fn start<B: Backend>(on: &Context<'_, B>) -> Result<Seen, Error> {
    let time = on.now - 1.hour()..on.now + 1.minute();
    let lines = lines_of(on, None, &["cannot_start", "panic"], &time).await?;
    let Some(line) = lines.last() else {
        return Ok(Seen::ok("no failed start within an hour"));
    };
    let field = |name: &str| line.text(name).unwrap_or("unknown");
    let says = format!(
        "{} {}: {}",
        field("function"),
        field("outcome"),
        field("reason")
    );
    let cure = if field("outcome") == "panic" {
        "This is a defect of the bundle: report the line (till logs)."
    } else {
        "The reason names the setting or the secret: till secrets status, or sam deploy."
    };
    Ok(Seen::fail(says, cure))
}

/// The topic or the address that gets the alarms.
fn recipient(stack: &Stack) -> Option<&str> {
    let topic = stack.parameter("AlarmTopicArn");
    topic.or(stack.parameter("AlarmEmail"))
}

fn topic<B>(on: &Context<'_, B>) -> Seen {
    match recipient(on.stack) {
        Some(_) => Seen::ok("alarms have a recipient"),
        None if on.stack.mode == Mode::Live => Seen::fail(
            "no one receives the alarms",
            "Set AlarmEmail or AlarmTopicArn in samconfig.toml, then run sam deploy.",
        ),
        None => Seen::warn(
            "no one receives the alarms",
            "Set AlarmEmail in samconfig.toml before you go live.",
        ),
    }
}

async fn subscriber<B: Backend>(on: &Context<'_, B>) -> Result<Seen, Error> {
    let own = on.stack.resources.get("AlarmTopic").map(String::as_str);
    let Some(topic) = on.stack.parameter("AlarmTopicArn").or(own) else {
        return Ok(Seen::ok("no topic"));
    };
    let (confirmed, open) = on.backend.platform().subscriptions(topic).await?;
    Ok(match (confirmed, open) {
        (1.., _) => Seen::ok(format!("{confirmed} confirmed")),
        (0, 1..) => Seen::fail(
            "the only subscription of the alarms is not confirmed",
            "Open the mail AWS Notification - Subscription Confirmation, and press its link.",
        ),
        (0, 0) => Seen::fail(
            "the topic of the alarms has no subscription",
            format!(
                "aws sns subscribe --protocol email --notification-endpoint ADDRESS --topic-arn {topic}"
            ),
        ),
    })
}

async fn alarms_on<B: Backend>(on: &Context<'_, B>) -> Result<Seen, Error> {
    let alarms = on.backend.platform().alarms().await?;
    let silent: Vec<&str> = alarms
        .iter()
        .filter(|alarm| !alarm.notifies)
        .map(|alarm| &*alarm.name)
        .collect();
    if silent.is_empty() || recipient(on.stack).is_none() {
        return Ok(Seen::ok(count(alarms.len(), "alarm")));
    }
    Ok(Seen::fail(
        format!("alarms notify no one: {}", silent.join(", ")),
        "till doctor alarms.on --fix; if that does not help: sam deploy.",
    ))
}

async fn ringing<B: Backend>(on: &Context<'_, B>) -> Result<Seen, Error> {
    let ringing = ringing_alarms(&on.backend.platform().alarms().await?);
    if ringing.is_empty() {
        return Ok(Seen::ok("no alarm rings"));
    }
    Ok(Seen::warn(
        format!("in alarm: {}", ringing.join(", ")),
        "docs/operations.md has a section for each; till status.",
    ))
}
