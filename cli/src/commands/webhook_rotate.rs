//! `till webhooks rotate`: replaces the signing secret of an endpoint, with both secrets accepted meanwhile.
//!
//! The stored list is the progress. One secret: the rotation begins. Two: it waits for a delivery that the new one
//! verified alone, and then removes the old one. A stopped run thus goes on where it ended.

use super::{
    secrets,
    webhooks::{self, ROUTE_OF_FLINT},
    write::agreed,
};
use crate::{
    Context,
    answers::WebhookRotate,
    args::RotateArgs,
    backend::{ApiRequest, Backend},
    danger::Danger,
    error::{Error, Exit},
    output::Answer,
    style::wrapped,
};

/// The next step of a rotation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Step {
    /// Makes the new secret and stores it beside the old one.
    Begin,
    /// Nothing to do before a delivery comes.
    Wait,
    /// Removes the old secret.
    Finish,
}

impl Step {
    fn word(self) -> &'static str {
        match self {
            Self::Begin => "begin",
            Self::Wait => "wait",
            Self::Finish => "finish",
        }
    }
}

pub(super) async fn rotate<B: Backend>(
    on: &Context<'_, B>,
    provider: &'static str,
    args: &RotateArgs,
) -> Result<Answer, Error> {
    let stored = secrets::webhooks(on, provider).await?;
    let step = match stored.len() {
        0 => {
            return Err(Error::not_found("no signing secret is stored").cured_by("till setup"));
        }
        1 => Step::Begin,
        _ if args.anyway => Step::Finish,
        _ if secrets::is_verified_by_the_new(on, provider, &stored).await? => Step::Finish,
        _ => Step::Wait,
    };
    let plan = plan(provider, step, &stored);
    if args.write.dry_run || step == Step::Wait {
        return answer(on, provider, (step, false), &stored, plan);
    }
    agreed(on, Danger::Irreversible, &args.write, &plan).await?;
    let Some(newest) = stored.last().filter(|_| step == Step::Finish) else {
        return begin(on, provider, args.endpoint.as_deref(), &stored).await;
    };
    let kept = vec![newest.clone()];
    secrets::put_confirmed(on, provider, &kept).await?;
    let text = format!(
        "The rotation is over: {} alone is left. The former list stays as AWSPREVIOUS.",
        secrets::print(newest)
    );
    answer(on, provider, (step, true), &kept, text)
}

fn plan(provider: &str, step: Step, stored: &[String]) -> String {
    let print = |secret: Option<&String>| secret.map(|secret| secrets::print(secret));
    let old = print(stored.first()).unwrap_or_default();
    let new = print(stored.last()).unwrap_or_default();
    match step {
        Step::Begin => format!(
            "Makes a new signing secret at {provider}, and stores it beside {old}. Intake accepts both. The old one is \
             removed by a later run of this command."
        ),
        Step::Wait => format!(
            "{old} and {new} are accepted. No delivery of {provider} was verified by {new} alone within a day, so {old} \
             stays.{}",
            if provider == "flint" {
                " Flint signs by both for a day."
            } else {
                ""
            }
        ),
        Step::Finish => {
            format!("Removes {old}. From then on deliveries must be signed by {new}.")
        }
    }
}

/// Stores the new secret beside the old one.
async fn begin<B: Backend>(
    on: &Context<'_, B>,
    provider: &'static str,
    endpoint: Option<&str>,
    stored: &[String],
) -> Result<Answer, Error> {
    let made = if provider == "flint" {
        made_by_flint(on, endpoint).await?
    } else {
        None
    };
    let Some(secret) = made.or_else(|| typed(on, provider)) else {
        let text = format!("{}\nNothing changed.", by_hand(on, provider));
        return answer(on, provider, (Step::Begin, false), stored, text);
    };
    if stored.contains(&secret) {
        return Err(
            Error::usage("this is the stored secret").cured_by("Roll it at the provider first.")
        );
    }
    let kept = webhooks::store(on, provider, &secret).await;
    kept.map_err(|error| {
        error.cured_by(format!(
            "The provider may have the new secret {} already, and the stack has not. Repeat this command at once.",
            secrets::print(&secret)
        ))
    })?;
    let mut both = stored.to_vec();
    both.push(secret);
    let text = format!(
        "{} is stored beside {}. Intake accepts both within five minutes.",
        secrets::print(both.last().map_or("", String::as_str)),
        secrets::print(both.first().map_or("", String::as_str)),
    );
    answer(on, provider, (Step::Begin, true), &both, text)
}

/// Flint's new secret, which its API states once; `None` if the API has no such call.
async fn made_by_flint<B: Backend>(
    on: &Context<'_, B>,
    endpoint: Option<&str>,
) -> Result<Option<String>, Error> {
    let id = match endpoint {
        Some(id) => webhooks::plain_id(id)?.to_owned(),
        None => our_endpoint(on).await?,
    };
    let path = format!("{ROUTE_OF_FLINT}/{id}/rotate-secret");
    let request = ApiRequest::new("flint", "POST", path, None);
    let answer = on.backend.platform().call_provider(request).await?;
    match answer.status {
        200..=299 => {}
        404 | 405 | 410 => return Ok(None),
        401 | 403 => {
            return Err(
                Error::new(Exit::Denied, "the API key may not change endpoints")
                    .cured_by("Grant it write access to webhook endpoints in Flint's dashboard."),
            );
        }
        status => {
            return Err(Error::new(
                Exit::Unavailable,
                format!("flint answers {status} to the rotation"),
            ));
        }
    }
    let of = answer.body.get("data").unwrap_or(&answer.body);
    let word = ["secret", "signing_secret"]
        .iter()
        .find_map(|name| of.get(*name)?.as_str());
    Ok(word.map(str::to_owned))
}

/// The id of the only endpoint with the stack's URL.
async fn our_endpoint<B: Backend>(on: &Context<'_, B>) -> Result<String, Error> {
    let all = webhooks::endpoints_of_flint(on).await?;
    let ours: Vec<&str> = all
        .iter()
        .filter(|endpoint| endpoint.this_stack)
        .map(|endpoint| &*endpoint.id)
        .collect();
    match ours[..] {
        [one] => Ok(one.to_owned()),
        [] => Err(
            Error::not_found("flint has no endpoint with this stack's URL")
                .cured_by("till webhooks create --provider flint"),
        ),
        _ => Err(
            Error::usage(format!("{} endpoints have this stack's URL", ours.len()))
                .cured_by(format!("Add --endpoint {}", ours.join(" | "))),
        ),
    }
}

fn by_hand<B>(on: &Context<'_, B>, provider: &str) -> String {
    let url = on.stack.webhook_url(provider).unwrap_or("of this stack");
    format!(
        "Open Webhooks in the dashboard of {provider}, choose the endpoint\n  {url}\nand rotate its signing secret. Then \
         repeat this command, and paste the new secret at its prompt."
    )
}

/// The new secret, from the terminal or from stdin.
fn typed<B>(on: &Context<'_, B>, provider: &str) -> Option<String> {
    on.terminal.say(&by_hand(on, provider));
    let typed = on.terminal.typed("New signing secret (hidden):");
    Some(typed).filter(|typed| !typed.is_empty())
}

fn answer<B>(
    on: &Context<'_, B>,
    provider: &'static str,
    (step, done): (Step, bool),
    stored: &[String],
    mut text: String,
) -> Result<Answer, Error> {
    let is_over = step == Step::Finish && done;
    let again = format!(
        "till webhooks rotate --provider {provider} --stack {} --why \"…\"",
        on.stack.name
    );
    let mut commands = Vec::new();
    if !is_over {
        text = wrapped(&text, on.terminal.width(), 0);
        text += &format!("\nTo continue:\n  {again}");
        commands.push(again.clone());
    }
    if step == Step::Wait {
        let anyway = again.replace("rotate", "rotate --anyway");
        text += &format!("\nIf you know that the provider signs by the new one:\n  {anyway}");
        commands.push(anyway);
    }
    let data = WebhookRotate {
        provider,
        step: step.word(),
        done,
        fingerprints: stored.iter().map(|secret| secrets::print(secret)).collect(),
        commands,
    };
    Ok(Answer::of(&data, text + "\n")?.ending_if(!is_over, Exit::Attention))
}
