//! `till secrets`: the providers' keys. A value is typed at a prompt without echo, or comes by stdin; outputs show
//! fingerprints only.

mod rules;

pub(crate) use rules::{api_key, check_key, name, print, webhook_secrets};

use super::{
    status::{DELIVERED, last_of},
    write::agreed,
};
use crate::{
    Context,
    answers::{SecretPrint, SecretPut, Secrets},
    args::{SecretKind, SecretsCommand, WriteArgs},
    backend::{Backend, LogLine, SecretText},
    danger::Danger,
    error::{Error, Exit},
    output::Answer,
    time,
};
use rules::{check_webhook, cleaned};
use serde_json::json;
use std::fmt::Write as _;

pub(super) async fn run<B: Backend>(
    on: &Context<'_, B>,
    command: &SecretsCommand,
) -> Result<Answer, Error> {
    match command {
        SecretsCommand::Status => status(on).await,
        SecretsCommand::Put {
            kind,
            provider,
            write,
        } => {
            let value = typed(on, *kind)?;
            let provider = served(on, provider)?;
            match kind {
                SecretKind::ApiKey => put_key(on, provider, &value, write).await,
                SecretKind::Webhook => {
                    put_webhooks(on, provider, &[value], "replaces", write).await
                }
            }
        }
        SecretsCommand::Rotate {
            provider,
            finish: ends,
            anyway,
            write,
        } => {
            let provider = served(on, provider)?;
            if *ends {
                finish(on, provider, *anyway, write).await
            } else {
                rotate(on, provider, write).await
            }
        }
    }
}

/// A provider that the stack serves.
pub(crate) fn served<B>(on: &Context<'_, B>, provider: &str) -> Result<&'static str, Error> {
    let all = on.stack.providers();
    let served = all.iter().find(|known| **known == provider).copied();
    served.ok_or_else(|| {
        Error::usage(format!("this stack does not serve {provider}"))
            .cured_by(format!("It serves {}", all.join(" and ")))
    })
}

fn typed<B>(on: &Context<'_, B>, kind: SecretKind) -> Result<String, Error> {
    let question = match kind {
        SecretKind::ApiKey => "API key (hidden):",
        SecretKind::Webhook => "Signing secret (hidden):",
    };
    cleaned(on.terminal.typed(question))
}

async fn status<B: Backend>(on: &Context<'_, B>) -> Result<Answer, Error> {
    let (mut list, mut text, mut missing) = (Vec::new(), String::new(), false);
    for provider in on.stack.providers() {
        for kind in [SecretKind::Webhook, SecretKind::ApiKey] {
            let name = name(provider, kind);
            let document = on.backend.platform().secret(name).await?;
            let prints = prints(document.as_ref(), kind);
            missing |= prints.is_empty();
            let changed_at = document.and_then(|document| document.changed_at);
            let changed = changed_at.map_or_else(String::new, |at| {
                format!("  changed {}", time::full(at, &on.stack.zone))
            });
            let shown = if prints.is_empty() {
                "not set".to_owned()
            } else {
                prints.join(", ")
            };
            let _ = writeln!(text, "{name:22}{shown}{changed}");
            if prints.len() > 1 {
                let _ = writeln!(
                    text,
                    "{:22}a rotation is in progress: till secrets rotate --provider {provider} --finish",
                    ""
                );
            }
            list.push(SecretPrint {
                name,
                provider,
                fingerprints: prints,
                changed_at,
            });
        }
    }
    if missing {
        text += "Set what is missing:  till setup\n";
    }
    let answer = Answer::of(&Secrets { secrets: list }, text)?;
    Ok(answer.ending_if(missing, Exit::Attention))
}

/// The fingerprints of the values in a document.
fn prints(document: Option<&SecretText>, kind: SecretKind) -> Vec<String> {
    let values = match (document, kind) {
        (None, _) => Vec::new(),
        (Some(document), SecretKind::Webhook) => webhook_secrets(document),
        (Some(document), SecretKind::ApiKey) => api_key(document).into_iter().collect(),
    };
    values.iter().map(|value| print(value)).collect()
}

async fn put_key<B: Backend>(
    on: &Context<'_, B>,
    provider: &'static str,
    value: &str,
    args: &WriteArgs,
) -> Result<Answer, Error> {
    check_key(provider, value, on.stack.mode)?;
    let name = name(provider, SecretKind::ApiKey);
    let before = on.backend.platform().secret(name).await?;
    let old = before.as_ref().and_then(api_key);
    let old = old.map_or_else(|| "nothing".to_owned(), |value| print(&value));
    let plan = format!("{name}: {} replaces {old}.", print(value));
    let document = json!({"api_key": value}).to_string();
    write(on, name, before.as_ref(), &document, &plan, args).await
}

async fn put_webhooks<B: Backend>(
    on: &Context<'_, B>,
    provider: &'static str,
    values: &[String],
    verb: &str,
    args: &WriteArgs,
) -> Result<Answer, Error> {
    let document = webhook_document(provider, values)?;
    let name = name(provider, SecretKind::Webhook);
    let before = on.backend.platform().secret(name).await?;
    let prints = |values: &[String]| {
        let prints: Vec<String> = values.iter().map(|value| print(value)).collect();
        if prints.is_empty() {
            "nothing".to_owned()
        } else {
            prints.join(" and ")
        }
    };
    let old = before.as_ref().map(webhook_secrets).unwrap_or_default();
    let plan = format!("{name}: {} {verb} {}.", prints(values), prints(&old));
    write(on, name, before.as_ref(), &document, &plan, args).await
}

/// The webhook secrets of a provider, the newest last.
pub(super) async fn webhooks<B: Backend>(
    on: &Context<'_, B>,
    provider: &str,
) -> Result<Vec<String>, Error> {
    let name = name(provider, SecretKind::Webhook);
    let document = on.backend.platform().secret(name).await?;
    Ok(document.as_ref().map(webhook_secrets).unwrap_or_default())
}

async fn rotate<B: Backend>(
    on: &Context<'_, B>,
    provider: &'static str,
    args: &WriteArgs,
) -> Result<Answer, Error> {
    let mut secrets = webhooks(on, provider).await?;
    if secrets.len() > 1 {
        return Err(Error::usage("a rotation is in progress").cured_by(
            "Once deliveries with the new secret have come: till secrets rotate --finish",
        ));
    }
    secrets.push(typed(on, SecretKind::Webhook)?);
    put_webhooks(on, provider, &secrets, "stands beside", args).await
}

/// True if the newest secret verified the last delivery of the provider within a day; intake's log names the secret.
/// Intake tries the secrets in their order, so a delivery with both signatures counts for the old one. Deliveries of
/// `till` itself prove nothing about the provider.
pub(super) async fn is_verified_by_the_new<B: Backend>(
    on: &Context<'_, B>,
    provider: &str,
    stored: &[String],
) -> Result<bool, Error> {
    let theirs = |line: &LogLine| {
        let is_ours = line.text("event_id").is_some_and(|id| id.contains("_till"));
        line.text("provider") == Some(provider) && !is_ours
    };
    let line = last_of(on, "intake", &DELIVERED, theirs).await?;
    let key = line.and_then(|line| line.fields.get("key")?.as_u64());
    Ok(key.is_some_and(|key| key + 1 >= stored.len() as u64))
}

/// Removes all secrets but the newest, once that one verified a delivery.
async fn finish<B: Backend>(
    on: &Context<'_, B>,
    provider: &'static str,
    anyway: bool,
    args: &WriteArgs,
) -> Result<Answer, Error> {
    let secrets = webhooks(on, provider).await?;
    let [_, .., newest] = &secrets[..] else {
        return Err(Error::usage("no rotation is in progress"));
    };
    if !anyway && !is_verified_by_the_new(on, provider, &secrets).await? {
        return Err(Error::new(
            Exit::Failed,
            format!("no delivery of {provider} was verified by the new secret alone within a day"),
        )
        .cured_by(
            "Roll the secret at the provider, wait for a delivery, and repeat; or add --anyway",
        ));
    }
    put_webhooks(
        on,
        provider,
        std::slice::from_ref(newest),
        "ends the rotation of",
        args,
    )
    .await
}

/// Writes a document after a confirmation.
async fn write<B: Backend>(
    on: &Context<'_, B>,
    name: &'static str,
    before: Option<&SecretText>,
    document: &str,
    plan: &str,
    args: &WriteArgs,
) -> Result<Answer, Error> {
    if !args.dry_run {
        let shown = format!("{plan}\nThe former value stays as AWSPREVIOUS.");
        agreed(on, Danger::Irreversible, args, &shown).await?;
        replace(on, name, before, document).await?;
    }
    let end = if args.dry_run {
        "Nothing changed.\n"
    } else {
        "Written. Running functions read it within five minutes, or at the next signature that does not fit.\n"
    };
    let data = SecretPut {
        name,
        dry_run: args.dry_run,
        text: plan.to_owned(),
    };
    Answer::of(&data, format!("{plan}\n{end}"))
}

/// Writes a document, unless another writer changed it since it was read. Secrets Manager has no condition, so the gap
/// between the last look and the write is milliseconds and not nothing.
async fn replace<B: Backend>(
    on: &Context<'_, B>,
    name: &'static str,
    before: Option<&SecretText>,
    document: &str,
) -> Result<(), Error> {
    let platform = on.backend.platform();
    let now = platform.secret(name).await?;
    let version = |document: Option<&SecretText>| document.map(|document| document.version.clone());
    if version(now.as_ref()) != version(before) {
        return Err(Error::new(
            Exit::Failed,
            format!("{name} was changed by someone else meanwhile"),
        )
        .cured_by("till secrets status"));
    }
    platform.put_secret(name, document).await?;
    let after = platform.secret(name).await?;
    if after.is_none_or(|after| after.text != document) {
        return Err(
            Error::new(Exit::Failed, format!("{name} does not hold the new value"))
                .cured_by("till secrets status"),
        );
    }
    Ok(())
}

/// The document with webhook secrets, each checked.
fn webhook_document(provider: &str, values: &[String]) -> Result<String, Error> {
    for value in values {
        check_webhook(provider, value)?;
    }
    Ok(json!({"webhook_secrets": values}).to_string())
}

/// Stores webhook secrets, as a part of a plan that is confirmed.
pub(crate) async fn put_confirmed<B: Backend>(
    on: &Context<'_, B>,
    provider: &'static str,
    values: &[String],
) -> Result<(), Error> {
    let document = webhook_document(provider, values)?;
    put(on, name(provider, SecretKind::Webhook), &document).await
}

/// Stores a checked API key, as a part of a plan that is confirmed.
pub(crate) async fn put_key_confirmed<B: Backend>(
    on: &Context<'_, B>,
    provider: &'static str,
    value: &str,
) -> Result<(), Error> {
    let document = json!({"api_key": value}).to_string();
    put(on, name(provider, SecretKind::ApiKey), &document).await
}

async fn put<B: Backend>(
    on: &Context<'_, B>,
    name: &'static str,
    document: &str,
) -> Result<(), Error> {
    let before = on.backend.platform().secret(name).await?;
    replace(on, name, before.as_ref(), document).await
}
