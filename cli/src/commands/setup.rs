//! `till setup`: from a deployed stack to the first processed delivery. Each step looks first and acts only if something
//! is missing, so a stopped run goes on where it ended.

use super::{secrets, webhook_test, webhooks};
use crate::{
    Context,
    answers::{Setup, SetupStep},
    args::{SecretKind, WriteArgs},
    backend::Backend,
    danger::{self, Danger},
    doctor::{self, Line, Status},
    error::{Error, Exit},
    output::Answer,
    style::{labeled, wrapped},
};

fn step(
    name: impl Into<String>,
    done: bool,
    text: impl Into<String>,
    next: impl Into<String>,
) -> SetupStep {
    SetupStep {
        name: name.into(),
        done,
        text: text.into(),
        next: next.into(),
    }
}

pub(super) async fn setup<B: Backend>(
    on: &Context<'_, B>,
    write: &WriteArgs,
) -> Result<Answer, Error> {
    if !write.dry_run {
        let plan = format!(
            "Sets {} up: checks and stores keys, registers webhooks, sends one signed event without effect. It charges nothing \
             and mails no customer.",
            on.stack.name
        );
        let plan = wrapped(&plan, on.terminal.width(), 0);
        danger::confirm(on, Danger::Irreversible, write.yes, &plan)?;
    }
    let mut steps = vec![checked(on, "Stack", &["stack".to_owned()]).await?];
    for provider in on.stack.providers() {
        steps.push(api_key(on, provider, write).await?);
        steps.push(webhook(on, provider, write).await?);
    }
    steps.push(sender(on, write).await?);
    for provider in on.stack.providers() {
        let name = format!("Delivery ({provider})");
        let is_ready = steps
            .iter()
            .all(|step| step.done || !step.name.contains(provider));
        steps.push(if write.dry_run || !is_ready {
            step(
                name,
                false,
                "not tried",
                format!("till webhooks test --provider {provider}"),
            )
        } else {
            delivery(on, provider, name).await?
        });
    }
    if !write.dry_run {
        steps.push(checked(on, "Check", &[]).await?);
    }
    answer(on, &steps)
}

/// The checks of a group as one step.
async fn checked<B: Backend>(
    on: &Context<'_, B>,
    name: &str,
    group: &[String],
) -> Result<SetupStep, Error> {
    Ok(of_checks(name, &doctor::report(on, group, false).await?))
}

/// Findings as one step. Warnings do not stop a setup.
fn of_checks(name: &str, lines: &[Line]) -> SetupStep {
    let failed = lines.iter().find(|line| line.status == Status::Fail);
    let good = lines.iter().filter(|line| line.status == Status::Ok);
    match failed {
        None => {
            let text = format!("{} of {} checks are ok", good.count(), lines.len());
            step(name, true, text, "")
        }
        Some(line) => {
            let text = format!("{}: {}", line.id, line.says);
            step(name, false, text, line.cure.clone())
        }
    }
}

async fn api_key<B: Backend>(
    on: &Context<'_, B>,
    provider: &'static str,
    write: &WriteArgs,
) -> Result<SetupStep, Error> {
    let name = format!("API key ({provider})");
    let secret = secrets::name(provider, SecretKind::ApiKey);
    let document = on.backend.platform().secret(secret).await?;
    let known = document.as_ref().and_then(secrets::api_key);
    let stored = |key: &str| format!("stored: {}", secrets::print(key));
    if let Some(key) = &known
        && secrets::check_key(provider, key, on.stack.mode).is_ok()
    {
        return Ok(step(name, true, stored(key), ""));
    }
    let put = format!("till secrets put api-key --provider {provider}");
    let asked = format!(
        "Create a {} key in {provider}'s dashboard. Key (hidden):",
        on.stack.mode
    );
    let Some(key) = ask(on, write, &asked) else {
        return Ok(step(name, false, "missing", put));
    };
    if let Err(error) = secrets::check_key(provider, &key, on.stack.mode) {
        return Ok(step(name, false, error.what, put));
    }
    secrets::put_key_confirmed(on, provider, &key).await?;
    Ok(step(name, true, stored(&key), ""))
}

/// How often SES is asked whether the link was pressed, and the seconds in between.
const LINK_LOOKS: u32 = 150;
const LINK_SECONDS: u64 = 2;

/// The sender of the receipts: verified already, or by a link that SES mails to it.
async fn sender<B: Backend>(on: &Context<'_, B>, write: &WriteArgs) -> Result<SetupStep, Error> {
    let group = ["mail".to_owned()];
    let lines = doctor::report(on, &group, false).await?;
    let found = of_checks("Sender", &lines);
    let mut failed = lines.iter().filter(|line| line.status == Status::Fail);
    let is_open = failed.any(|line| line.id == "mail.sender");
    let Some(address) = on.stack.parameter("ReceiptSender").filter(|_| is_open) else {
        return Ok(found);
    };
    let question =
        format!("SES has not verified {address}.\nSend it a mail with a link now? [y/N]");
    if write.dry_run || !on.terminal.agrees(&question) {
        return Ok(found);
    }
    on.backend.platform().verify(address).await?;
    let waiting = format!("press the link in the mail to {address}; Ctrl-C goes on without it");
    for _ in 0..LINK_LOOKS {
        if on.backend.platform().is_verified(address).await? == Some(true) {
            on.terminal.progress(None);
            return checked(on, "Sender", &group).await;
        }
        if on.terminal.is_interrupted() {
            break;
        }
        on.terminal.progress(Some(&waiting));
        on.backend.platform().wait(LINK_SECONDS).await?;
    }
    on.terminal.progress(None);
    Ok(step(
        "Sender",
        false,
        "the link is not pressed yet",
        "till setup",
    ))
}

/// A value from the terminal; `None` without one, in a dry run, or for an empty line.
fn ask<B>(on: &Context<'_, B>, write: &WriteArgs, question: &str) -> Option<String> {
    if write.dry_run {
        return None;
    }
    let value = on.terminal.ask_hidden(question)?;
    Some(value.trim().to_owned()).filter(|value| !value.is_empty())
}

async fn webhook<B: Backend>(
    on: &Context<'_, B>,
    provider: &'static str,
    write: &WriteArgs,
) -> Result<SetupStep, Error> {
    let name = format!("Webhook ({provider})");
    let stored = |secret: &str| format!("secret stored: {}", secrets::print(secret));
    if let Some(secret) = secrets::webhooks(on, provider).await?.last() {
        return Ok(step(name, true, stored(secret), ""));
    }
    let Some(url) = on.stack.webhook_url(provider) else {
        let text = "the stack has no webhook URL";
        return Ok(step(name, false, text, "sam deploy"));
    };
    let by_hand = webhooks::all_by_hand(provider, url);
    if write.dry_run {
        return Ok(step(name, false, "no secret is stored", by_hand));
    }
    // Without a key, or against an API that does not answer, the dashboard is the way.
    let registered = webhooks::register(on, provider, url)
        .await
        .unwrap_or_default();
    if let Some((id, secret)) = registered {
        webhooks::store(on, provider, &secret).await?;
        return Ok(step(name, true, format!("registered as {id}"), ""));
    }
    on.terminal.say(&webhooks::by_hand(provider, url));
    let Some(secret) = ask(on, write, "Signing secret (hidden):") else {
        return Ok(step(name, false, "no secret is stored", by_hand));
    };
    Ok(match webhooks::store(on, provider, &secret).await {
        Ok(()) => step(name, true, stored(&secret), ""),
        Err(error) => step(name, false, error.what, by_hand),
    })
}

async fn delivery<B: Backend>(
    on: &Context<'_, B>,
    provider: &'static str,
    name: String,
) -> Result<SetupStep, Error> {
    let tested = webhook_test::test(on, provider).await?;
    let state = tested.data.get("state");
    Ok(match state.and_then(|state| state.as_str()) {
        Some(state) => step(
            name,
            true,
            format!("a signed event is verified and stored ({state})"),
            "",
        ),
        None => step(
            name,
            false,
            "a signed event is not stored",
            format!("till webhooks test --provider {provider}"),
        ),
    })
}

fn answer<B>(on: &Context<'_, B>, steps: &[SetupStep]) -> Result<Answer, Error> {
    let mut text = String::new();
    for (n, step) in steps.iter().enumerate() {
        let sign = if step.done { "ok" } else { "✗" };
        let label = format!("{} {:18}{sign:4}", n + 1, step.name);
        text += &(labeled(&label, 24, &step.text, on.terminal.width()) + "\n");
        for line in step.next.lines() {
            text += &format!("{:24}{line}\n", "");
        }
    }
    let open = steps.iter().filter(|step| !step.done).count();
    text += &match open {
        0 => "\nThe stack is set up. Next: pay once with the test card (README, Deploy), then\n  till status\n".to_owned(),
        open => format!("\n{open} of {} steps are open. Run  till setup  again to go on.\n", steps.len()),
    };
    let data = Setup {
        steps: steps.to_vec(),
        open,
    };
    Ok(Answer::of(&data, text)?.ending_if(open > 0, Exit::Attention))
}
