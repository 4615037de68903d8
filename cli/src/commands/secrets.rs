//! `till secrets`: the providers' keys. A value is typed at a prompt without echo, or comes by stdin; outputs show
//! fingerprints only.

use super::write::{confirmed, note};
use crate::{
    Context,
    args::{SecretKind, SecretsCommand, WriteArgs},
    backend::{Backend, SecretText},
    danger::Danger,
    error::{Error, Exit},
    output::Answer,
    time,
};
use domain::{
    delivery::secrets::ApiKey,
    values::{fingerprint::fingerprint, mode::Mode},
};
use serde_json::{Value, json};
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
            finish,
            write,
        } => rotate(on, served(on, provider)?, *finish, write).await,
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

/// The name of a secret in the template.
pub(crate) fn name(provider: &str, kind: SecretKind) -> &'static str {
    match (provider, kind) {
        ("flint", SecretKind::ApiKey) => "FlintApiKey",
        ("flint", SecretKind::Webhook) => "FlintWebhookSecrets",
        (_, SecretKind::ApiKey) => "FlexApiKey",
        (_, SecretKind::Webhook) => "FlexWebhookSecrets",
    }
}

fn typed<B>(on: &Context<'_, B>, kind: SecretKind) -> Result<String, Error> {
    let question = match kind {
        SecretKind::ApiKey => "API key (hidden):",
        SecretKind::Webhook => "Signing secret (hidden):",
    };
    let value = on
        .terminal
        .ask_hidden(question)
        .unwrap_or_else(|| on.terminal.input());
    cleaned(&value)
}

/// The value without the spaces around it. People paste quotes too.
fn cleaned(value: &str) -> Result<String, Error> {
    let value = value.trim();
    if value.is_empty() {
        return Err(Error::usage("no value was typed"));
    }
    if value.contains(|letter: char| letter.is_whitespace() || letter == '"' || letter == '\'') {
        return Err(
            Error::usage("the value has quotes or spaces inside").cured_by("Paste only the value.")
        );
    }
    Ok(value.to_owned())
}

/// A fingerprint: the kind and the first digits of the SHA-256. It shows nothing of the value.
#[must_use]
pub(crate) fn print(value: &str) -> String {
    const KINDS: [&str; 7] = [
        "fsk_test_",
        "fsk_",
        "fwhsec_",
        "whsec_",
        "flint_test_",
        "flint_live_",
        "flint_",
    ];
    let kind = KINDS
        .iter()
        .find(|kind| value.starts_with(**kind))
        .copied()
        .unwrap_or_default();
    let hash = fingerprint(value.as_bytes());
    format!("{kind} {}", hash.get(..8).unwrap_or_default())
        .trim()
        .to_owned()
}

/// Checks an API key against the provider and the mode of the stack.
pub(crate) fn check_key(provider: &str, value: &str, mode: Mode) -> Result<(), Error> {
    if value.contains("whsec_") {
        return Err(Error::usage("this is a signing secret, not an API key")
            .cured_by("till secrets put webhook"));
    }
    let adapter = providers::unconnected(provider).map_err(Error::usage)?;
    let key = ApiKey::new(value).ok_or_else(|| Error::usage("this is no API key"))?;
    match adapter.key_mode(&key) {
        None => Err(Error::usage(format!(
            "this does not look like an API key of {provider}"
        ))),
        Some(of) if of != mode => Err(Error::usage(format!(
            "this is a {of} key, and the stack is {mode}"
        ))
        .cured_by(format!("Create a {mode} key in the provider's dashboard."))),
        Some(_) => Ok(()),
    }
}

fn check_webhook(provider: &str, value: &str) -> Result<(), Error> {
    if value.starts_with("fsk_") || value.starts_with("flint_") {
        return Err(Error::usage("this is an API key, not a signing secret")
            .cured_by("till secrets put api-key"));
    }
    let adapter = providers::unconnected(provider).map_err(Error::usage)?;
    let key = adapter.signing_key(value);
    key.map(drop)
        .map_err(|error| Error::usage(format!("the signing secret is wrong: {error}")))
}

/// The webhook secrets in a document; none if it has another form.
pub(crate) fn webhook_secrets(document: &SecretText) -> Vec<String> {
    let value: Value = serde_json::from_str(&document.text).unwrap_or_default();
    let list = value.get("webhook_secrets").and_then(Value::as_array);
    let texts = list.into_iter().flatten().filter_map(Value::as_str);
    texts.map(str::to_owned).collect()
}

/// The API key in a document.
pub(crate) fn api_key(document: &SecretText) -> Option<String> {
    let value: Value = serde_json::from_str(&document.text).ok()?;
    Some(value.get("api_key")?.as_str()?.to_owned())
}

async fn status<B: Backend>(on: &Context<'_, B>) -> Result<Answer, Error> {
    let (mut list, mut text, mut missing) = (Vec::new(), String::new(), false);
    for provider in on.stack.providers() {
        for kind in [SecretKind::Webhook, SecretKind::ApiKey] {
            let name = name(provider, kind);
            let document = on.backend.platform().secret(name).await?;
            let prints: Vec<String> = match (&document, kind) {
                (None, _) => Vec::new(),
                (Some(document), SecretKind::Webhook) => webhook_secrets(document)
                    .iter()
                    .map(|value| print(value))
                    .collect(),
                (Some(document), SecretKind::ApiKey) => {
                    api_key(document).iter().map(|value| print(value)).collect()
                }
            };
            missing |= prints.is_empty();
            let changed_at = document.as_ref().and_then(|document| document.changed_at);
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
            list.push(json!({"name": name, "provider": provider, "fingerprints": prints, "changed_at": changed_at}));
        }
    }
    let exit = if missing { Exit::Attention } else { Exit::Done };
    if missing {
        text += "Set what is missing:  till setup\n";
    }
    Ok(Answer::new("till.secrets/1", &json!({"secrets": list}), text)?.ending(exit))
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
    for value in values {
        check_webhook(provider, value)?;
    }
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
    let document = json!({"webhook_secrets": values}).to_string();
    write(on, name, before.as_ref(), &document, &plan, args).await
}

async fn rotate<B: Backend>(
    on: &Context<'_, B>,
    provider: &'static str,
    finish: bool,
    args: &WriteArgs,
) -> Result<Answer, Error> {
    let document = on
        .backend
        .platform()
        .secret(name(provider, SecretKind::Webhook))
        .await?;
    let mut secrets = document.as_ref().map(webhook_secrets).unwrap_or_default();
    match (finish, secrets.len()) {
        (true, 0 | 1) => Err(Error::usage("no rotation is in progress")),
        (true, _) => {
            let newest = secrets.split_off(secrets.len() - 1);
            put_webhooks(on, provider, &newest, "ends the rotation of", args).await
        }
        (false, 2..) => Err(Error::usage("a rotation is in progress").cured_by(
            "Once deliveries with the new secret have come: till secrets rotate --finish",
        )),
        (false, _) => {
            secrets.push(typed(on, SecretKind::Webhook)?);
            put_webhooks(on, provider, &secrets, "stands beside", args).await
        }
    }
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
        let note = note(on, args).await?;
        let shown = format!(
            "{plan}\nThe former value stays as AWSPREVIOUS.\nBy {}: {}",
            note.by(),
            note.why()
        );
        confirmed(on, Danger::Irreversible, args, &shown)?;
        replace(on, name, before, document).await?;
    }
    let end = if args.dry_run {
        "Nothing changed.\n"
    } else {
        "Written. Running functions read it within five minutes, or at the next signature that does not fit.\n"
    };
    let data = json!({"name": name, "dry_run": args.dry_run, "text": plan});
    Answer::new("till.secret_put/1", &data, format!("{plan}\n{end}"))
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

/// Stores webhook secrets, as a part of a plan that is confirmed.
pub(crate) async fn put_confirmed<B: Backend>(
    on: &Context<'_, B>,
    provider: &'static str,
    values: &[String],
) -> Result<(), Error> {
    for value in values {
        check_webhook(provider, value)?;
    }
    let name = name(provider, SecretKind::Webhook);
    let before = on.backend.platform().secret(name).await?;
    let document = json!({"webhook_secrets": values}).to_string();
    replace(on, name, before.as_ref(), &document).await
}

/// Stores a checked API key, as a part of a plan that is confirmed.
pub(crate) async fn put_key_confirmed<B: Backend>(
    on: &Context<'_, B>,
    provider: &'static str,
    value: &str,
) -> Result<(), Error> {
    let name = name(provider, SecretKind::ApiKey);
    let before = on.backend.platform().secret(name).await?;
    replace(
        on,
        name,
        before.as_ref(),
        &json!({"api_key": value}).to_string(),
    )
    .await
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_fingerprint_shows_the_kind_and_nothing_of_the_value() {
        let print = print("fsk_test_verysecret");
        assert!(
            print.starts_with("fsk_test_ ") && !print.contains("secret"),
            "{print}"
        );
        assert_eq!(print.len(), "fsk_test_ ".len() + 8);
    }

    #[test]
    fn swapped_and_foreign_values_are_named() {
        let key = |value| check_key("flex", value, Mode::Live).unwrap_err().what;
        assert!(key("fwhsec_AAAA").contains("signing secret"));
        assert!(key("fsk_test_1").contains("test key"));
        assert!(key("sk_live_1").contains("does not look like"));
        assert!(check_key("flex", "fsk_1", Mode::Live).is_ok());
        let webhook = |value| check_webhook("flex", value).map_err(|error| error.what);
        assert!(webhook("fsk_1").unwrap_err().contains("API key"));
        assert!(webhook("whsec_!").is_err());
        assert!(webhook("whsec_Y2NhZDczMDYtNDEyYi0xMWVlLTg5MTItNGY4Y2E5ZmU1MmI4").is_ok());
        for bad in ["", "  ", "\"fsk_1\"", "fsk_ 1"] {
            assert!(cleaned(bad).is_err(), "{bad}");
        }
    }
}
