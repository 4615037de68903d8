//! `till webhooks`: the endpoints at the providers.

use super::{
    secrets::{self, served},
    status::{DELIVERED, last},
    webhook_rotate,
    write::agreed,
};
use crate::{
    Context,
    answers::{
        Endpoint, WebhookCreate, WebhookDelete, WebhookList, WebhookTypes, WebhookUrl, Webhooks,
    },
    args::{WebhooksCommand, WriteArgs},
    backend::{ApiRequest, Backend, is_plain},
    danger::Danger,
    error::{Error, Exit},
    output::Answer,
    samples, time,
};
use serde_json::{Value, json};
use std::fmt::Write as _;

pub(super) async fn run<B: Backend>(
    on: &Context<'_, B>,
    command: &WebhooksCommand,
) -> Result<Answer, Error> {
    match command {
        WebhooksCommand::Show => show(on).await,
        WebhooksCommand::List => list(on).await,
        WebhooksCommand::Types { provider, all } => types(provider, *all),
        WebhooksCommand::Create { provider, write } => {
            create(on, served(on, provider)?, write).await
        }
        WebhooksCommand::Delete {
            id,
            provider,
            write,
        } => delete(on, served(on, provider)?, id, write).await,
        WebhooksCommand::Rotate(args) => {
            webhook_rotate::rotate(on, served(on, &args.provider)?, args).await
        }
        WebhooksCommand::Test { provider } => {
            super::webhook_test::test(on, served(on, provider)?).await
        }
    }
}

async fn show<B: Backend>(on: &Context<'_, B>) -> Result<Answer, Error> {
    let mut text = String::new();
    let mut urls = Vec::new();
    for provider in on.stack.providers() {
        let url = on.stack.webhook_url(provider).unwrap_or("none");
        let _ = writeln!(text, "{provider:14}{url}");
        urls.push(WebhookUrl {
            provider,
            url: on.stack.webhook_url(provider).map(str::to_owned),
        });
    }
    let line = last(on, "intake", &DELIVERED).await?;
    let ago = line.as_ref().map_or_else(
        || "none within a day".to_owned(),
        |line| format!("{} ago", time::age(line.at, on.now)),
    );
    let _ = writeln!(
        text,
        "{:14}{ago}\nSelect all events at the endpoint; the least list: till webhooks types",
        "Last delivery"
    );
    let data = Webhooks {
        urls,
        last_delivery_at: line.map(|line| line.at),
    };
    Answer::of(&data, text)
}

/// The address of Flint's endpoints in its API.
pub(super) const ROUTE_OF_FLINT: &str = "/v1/webhook-endpoints";

/// The address of a provider's endpoints in its API.
fn endpoints(provider: &str) -> &'static str {
    if provider == "flint" {
        ROUTE_OF_FLINT
    } else {
        "/v1/webhooks"
    }
}

async fn list<B: Backend>(on: &Context<'_, B>) -> Result<Answer, Error> {
    if !on.stack.providers().contains(&"flint") {
        return Err(Error::usage("Flex's API has no list of endpoints")
            .cured_by("What arrives shows it: till doctor webhook"));
    }
    let rows = endpoints_of_flint(on).await?;
    let mut text = String::new();
    for row in &rows {
        let _ = writeln!(
            text,
            "{}  {}{}{}",
            row.id,
            row.url,
            if row.enabled == Some(false) {
                "  disabled"
            } else {
                ""
            },
            if row.this_stack { "  this stack" } else { "" }
        );
    }
    if rows.is_empty() {
        text += "No endpoints.\n";
    }
    Answer::of(&WebhookList { endpoints: rows }, text)
}

/// The endpoints that Flint lists.
pub(super) async fn endpoints_of_flint<B: Backend>(
    on: &Context<'_, B>,
) -> Result<Vec<Endpoint>, Error> {
    let request = ApiRequest::new("flint", "GET", ROUTE_OF_FLINT, None);
    let answer = on.backend.platform().call_provider(request).await?;
    if answer.status != 200 {
        let what = format!("flint answers {} to a list of endpoints", answer.status);
        return Err(Error::new(Exit::Unavailable, what)
            .cured_by("Open Webhooks in Flint's dashboard. What arrives: till doctor webhook"));
    }
    let all = answer.body.get("data").unwrap_or(&answer.body).as_array();
    let mut rows = Vec::new();
    // Only these members: another one may be a secret.
    for of in all.into_iter().flatten() {
        let word = |name: &str| of.get(name).and_then(Value::as_str).unwrap_or_default();
        let id = if word("webhook_endpoint_id").is_empty() {
            word("id")
        } else {
            word("webhook_endpoint_id")
        };
        let enabled = of.get("enabled").and_then(Value::as_bool);
        let is_ours = Some(word("url")) == on.stack.webhook_url("flint");
        rows.push(Endpoint {
            id: id.to_owned(),
            url: word("url").to_owned(),
            enabled,
            this_stack: is_ours,
        });
    }
    Ok(rows)
}

fn types(provider: &str, all: bool) -> Result<Answer, Error> {
    let mut names: Vec<&str> = samples::types(provider)?
        .into_iter()
        .filter(|(_, kind)| all || *kind != "not_needed")
        .map(|(name, _)| name)
        .collect();
    names.sort_unstable();
    let text = names.join("\n") + "\n";
    let data = WebhookTypes {
        provider: provider.to_owned(),
        types: names,
    };
    Ok(Answer::of(&data, text)?.raw())
}

/// How to add an endpoint where the API does not register one.
#[must_use]
pub(super) fn by_hand(provider: &str, url: &str) -> String {
    format!(
        "Open Webhooks in the dashboard of {provider} and add an endpoint:\n  URL      {url}\n  Events   all"
    )
}

/// All steps by hand, to the stored secret.
#[must_use]
pub(super) fn all_by_hand(provider: &str, url: &str) -> String {
    format!(
        "{}\nThen store its signing secret:\n  till secrets put webhook --provider {provider}",
        by_hand(provider, url)
    )
}

/// Registers the stack's URL. The signing secret goes from the answer into Secrets Manager, and nowhere else.
async fn create<B: Backend>(
    on: &Context<'_, B>,
    provider: &'static str,
    args: &WriteArgs,
) -> Result<Answer, Error> {
    let url = on.stack.webhook_url(provider);
    let url =
        url.ok_or_else(|| Error::not_found("the stack has no webhook URL").cured_by("sam deploy"))?;
    let plan = format!(
        "Registers {url} at {provider} for all events, and stores its signing secret beside the present one."
    );
    if args.dry_run {
        let text = format!("{plan}\nNothing changed.\n");
        return created((provider, url), true, None, text);
    }
    agreed(on, Danger::Irreversible, args, &plan).await?;
    match register(on, provider, url).await? {
        None => {
            let text = format!(
                "{provider} does not register endpoints through its API.\n{}\n",
                all_by_hand(provider, url)
            );
            Ok(created((provider, url), false, None, text)?.ending(Exit::Failed))
        }
        Some((id, secret)) => {
            store(on, provider, &secret).await.map_err(|error| {
                let cure = format!("The endpoint {id} exists: copy its secret from the dashboard. till secrets put webhook --provider {provider}");
                error.cured_by(cure)
            })?;
            let text = format!(
                "Registered as {id}, and its secret is stored ({}).\nTry it:  till webhooks test --provider {provider}\n",
                secrets::print(&secret)
            );
            created((provider, url), false, Some(id), text)
        }
    }
}

/// The answer of a registration; `id` is that of the new endpoint.
fn created(
    (provider, url): (&'static str, &str),
    dry_run: bool,
    id: Option<String>,
    text: String,
) -> Result<Answer, Error> {
    let data = WebhookCreate {
        provider,
        url: url.to_owned(),
        dry_run,
        created: id.is_some(),
        id,
    };
    Answer::of(&data, text)
}

/// The id and the secret of a new endpoint; `None` if the API does not make one.
pub(super) async fn register<B: Backend>(
    on: &Context<'_, B>,
    provider: &'static str,
    url: &str,
) -> Result<Option<(String, String)>, Error> {
    let body = if provider == "flint" {
        json!({"url": url, "enabled_events": [], "description": "till"})
    } else {
        let types: Vec<&str> = samples::types(provider)?
            .into_iter()
            .map(|(name, _)| name)
            .collect();
        json!({"webhook": {"url": url, "events": types}})
    };
    let request = ApiRequest::new(provider, "POST", endpoints(provider), Some(body));
    let answer = on.backend.platform().call_provider(request).await?;
    if !matches!(answer.status, 200 | 201) {
        return Ok(None);
    }
    // Flex wraps its answer in `webhook`, Flint in `data`.
    let wrapped = ["webhook", "data"];
    let inner = wrapped.iter().find_map(|name| answer.body.get(*name));
    let of = inner.unwrap_or(&answer.body);
    let word = |names: [&str; 2]| {
        let word = names.iter().find_map(|name| of.get(*name)?.as_str());
        word.map(str::to_owned)
    };
    let id = word(["webhook_id", "id"]).or_else(|| word(["webhook_endpoint_id", "id"]));
    let secret = word(["signing_secret", "secret"]);
    Ok(id.zip(secret))
}

/// Stores a secret beside the present one, so that deliveries in flight still verify.
pub(super) async fn store<B: Backend>(
    on: &Context<'_, B>,
    provider: &'static str,
    secret: &str,
) -> Result<(), Error> {
    let mut all = secrets::webhooks(on, provider).await?;
    // At most two: the newest of the present ones, and the new one.
    let newest = all.len().saturating_sub(1);
    all.drain(..newest);
    all.push(secret.to_owned());
    secrets::put_confirmed(on, provider, &all).await
}

/// An id that is safe in an address.
pub(super) fn plain_id(id: &str) -> Result<&str, Error> {
    if is_plain(id) {
        Ok(id)
    } else {
        Err(Error::usage(format!("{id:?} is no id")))
    }
}

async fn delete<B: Backend>(
    on: &Context<'_, B>,
    provider: &'static str,
    id: &str,
    args: &WriteArgs,
) -> Result<Answer, Error> {
    let id = plain_id(id)?;
    let plan =
        format!("Deletes the endpoint {id} at {provider}. Nothing is delivered to it any more.");
    let mut status = None;
    if !args.dry_run {
        agreed(on, Danger::Irreversible, args, &plan).await?;
        let path = format!("{}/{id}", endpoints(provider));
        let request = ApiRequest::new(provider, "DELETE", path, None);
        status = Some(on.backend.platform().call_provider(request).await?.status);
    }
    let (end, exit) = match status {
        None => ("Nothing changed.".to_owned(), Exit::Done),
        Some(200..=299) => ("Deleted.".to_owned(), Exit::Done),
        Some(404) => (format!("{provider} has no such endpoint."), Exit::NotFound),
        Some(status) => (
            format!("{provider} answers {status}: delete it in the dashboard."),
            Exit::Failed,
        ),
    };
    let data = WebhookDelete {
        provider,
        id: id.to_owned(),
        dry_run: args.dry_run,
        deleted: exit == Exit::Done && status.is_some(),
    };
    Ok(Answer::of(&data, format!("{plan}\n{end}\n"))?.ending(exit))
}
