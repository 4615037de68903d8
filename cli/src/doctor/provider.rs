//! Checks of the providers: secrets, API keys and webhooks.

use super::{Check, Seen, Status, check};
use crate::{
    Context,
    args::SecretKind,
    backend::{ApiRequest, Backend},
    commands::{DELIVERED, api_key, check_key, last_line, secret_name, webhook_secrets},
    error::Error,
    style::count,
    time,
};
use domain::values::class::Class;
use operator::list;

pub(super) fn checks<B: Backend>() -> Vec<Check<B>> {
    vec![
        check!("secret.webhook", ["aws.credentials"], webhook),
        check!("secret.api-key", ["aws.credentials"], key),
        check!("provider.reach", ["secret.api-key"], reach),
        check!("webhook.url", ["secret.webhook"], url),
        check!("webhook.arrives", ["webhook.url"], arrives),
        check!("webhook.verifies", ["webhook.url"], verifies),
        check!("webhook.mode", ["aws.credentials"], other_mode),
    ]
}

/// The worst of several findings.
fn worst(all: Vec<Seen>, good: &str) -> Seen {
    let rank = |seen: &Seen| match seen.status {
        Status::Fail => 2,
        Status::Warn => 1,
        Status::Ok | Status::Skipped => 0,
    };
    all.into_iter()
        .max_by_key(rank)
        .filter(|seen| seen.status != Status::Ok)
        .unwrap_or_else(|| Seen::ok(good))
}

async fn webhook<B: Backend>(on: &Context<'_, B>) -> Result<Seen, Error> {
    let mut all = Vec::new();
    for provider in on.stack.providers() {
        let name = secret_name(provider, SecretKind::Webhook);
        let put = format!("till secrets put webhook --provider {provider}");
        let Some(document) = on.backend.platform().secret(name).await? else {
            all.push(Seen::fail(
                format!("{name} has no value: intake cannot start"),
                put,
            ));
            continue;
        };
        let secrets = webhook_secrets(&document);
        let adapter = providers::unconnected(provider).map_err(Error::usage)?;
        let wrong = secrets
            .iter()
            .find_map(|secret| adapter.signing_key(secret).err());
        all.push(match (secrets.len(), wrong) {
            (0, _) => Seen::fail(format!("{name} has no list webhook_secrets"), put),
            (_, Some(error)) => Seen::fail(format!("{name}: {error}"), put),
            (1, None) => Seen::ok("one secret"),
            (_, None) => Seen::warn(
                format!("{name} has two secrets: a rotation is not finished"),
                format!("Once deliveries with the new one have come: till secrets rotate --provider {provider} --finish"),
            ),
        });
    }
    Ok(worst(all, "each provider has one"))
}

async fn key<B: Backend>(on: &Context<'_, B>) -> Result<Seen, Error> {
    let mut all = Vec::new();
    for provider in on.stack.providers() {
        let name = secret_name(provider, SecretKind::ApiKey);
        let put = format!("till secrets put api-key --provider {provider}");
        let document = on.backend.platform().secret(name).await?;
        all.push(match document.as_ref().map(api_key) {
            None => Seen::fail(
                format!("{name} has no value: fulfillment cannot start"),
                put,
            ),
            Some(None) => Seen::fail(format!("{name} has no text api_key"), put),
            Some(Some(key)) => match check_key(provider, &key, on.stack.mode) {
                Ok(()) => Seen::ok("it fits"),
                Err(error) => Seen::fail(
                    format!("{name}: {}", error.what),
                    format!("{} {put}", error.cure.unwrap_or_default())
                        .trim()
                        .to_owned(),
                ),
            },
        });
    }
    Ok(worst(all, "each key fits the stack's mode"))
}

/// The lists that the functions read.
fn lists(provider: &str) -> &'static [&'static str] {
    if provider == "flint" {
        &[
            "/v1/orders?page_size=1",
            "/v1/subscriptions?page_size=1",
            "/v1/webhook-events?page_size=1",
        ]
    } else {
        &[
            "/v1/checkout/sessions?limit=1",
            "/v1/refunds?limit=1",
            "/v1/subscriptions?limit=1",
            "/v1/invoices?limit=1",
        ]
    }
}

async fn reach<B: Backend>(on: &Context<'_, B>) -> Result<Seen, Error> {
    let mut all = Vec::new();
    for provider in on.stack.providers() {
        for path in lists(provider) {
            let request = ApiRequest::new(provider, "GET", *path, None);
            let what = path.split('?').next().unwrap_or_default();
            all.push(match on.backend.platform().call_provider(request).await {
                Err(error) => Seen::warn(
                    format!("{provider} does not answer from here: {}", error.what),
                    "The functions may reach it all the same: till status.",
                ),
                Ok(answer) => match answer.status {
                    200 => Seen::ok("it answers"),
                    401 => Seen::fail(
                        format!("{provider} rejects the API key"),
                        format!("It may be revoked. Create another, then: till secrets put api-key --provider {provider}"),
                    ),
                    403 => Seen::fail(
                        format!("the API key may not read {what}"),
                        "Grant it read access in the provider's dashboard; reconcile and refunds need it.",
                    ),
                    429 => Seen::warn(format!("{provider} limits our rate"), "Lower FulfillmentConcurrency if it lasts."),
                    status => Seen::warn(format!("{provider} answers {status} to {what}"), "Try again; till status."),
                },
            });
        }
    }
    Ok(worst(
        all,
        "each provider answers, and the key may read its lists",
    ))
}

/// Posts an unsigned body: intake refuses it, and nothing is called. It counts as one refused request.
async fn url<B: Backend>(on: &Context<'_, B>) -> Result<Seen, Error> {
    let mut all = Vec::new();
    for provider in on.stack.providers() {
        let Some(url) = on.stack.webhook_url(provider) else {
            all.push(Seen::fail(
                format!("the stack has no webhook URL of {provider}"),
                "sam deploy",
            ));
            continue;
        };
        let headers = [("content-type".to_owned(), "application/json".to_owned())];
        all.push(
            match on.backend.platform().post(url, &headers, b"{}").await {
                Err(error) => Seen::fail(
                    format!("{url} is not reachable: {}", error.what),
                    "Check the network; else sam deploy.",
                ),
                Ok(400 | 401) => Seen::ok("intake refuses an unsigned request"),
                Ok(404 | 403) => Seen::fail(
                    format!("{url}: API Gateway has no such route"),
                    "sam deploy",
                ),
                Ok(status @ 500..) => Seen::fail(
                    format!("{url} answers {status}: intake does not start"),
                    "till doctor function.start",
                ),
                Ok(status) => Seen::warn(
                    format!("{url} answers {status} to an unsigned request"),
                    "till logs --function intake",
                ),
            },
        );
    }
    Ok(worst(all, "intake refuses an unsigned request"))
}

async fn arrives<B: Backend>(on: &Context<'_, B>) -> Result<Seen, Error> {
    let delivery = last_line(on, "intake", &DELIVERED).await?;
    let reconciled = last_line(on, "reconcile", &["reconciled"]).await?;
    let missing = reconciled
        .and_then(|line| line.fields.get("missing")?.as_u64())
        .unwrap_or_default();
    Ok(match (delivery, missing) {
        (_, 1..) if on.stack.is_younger_than_a_day(on.now) => Seen::ok(format!(
            "reconcile found {missing} events from before the stack"
        )),
        (_, 1..) => Seen::fail(
            format!("reconcile recovered {missing} events that no webhook brought"),
            "Open the endpoint in the provider's dashboard: is it enabled, is its URL that of till webhooks show, and \
             are all events selected?",
        ),
        (Some(line), 0) => Seen::ok(format!("last delivery {} ago", time::age(line.at, on.now))),
        (None, 0) => Seen::warn(
            "no delivery within a day",
            "On a quiet day this is normal. To try it: till webhooks test",
        ),
    })
}

/// Events of the other mode: an endpoint of the wrong stack.
async fn other_mode<B: Backend>(on: &Context<'_, B>) -> Result<Seen, Error> {
    const MOST: usize = 1000;
    let parked = list::parked(on.backend.store(), MOST).await?;
    let mut others = parked
        .iter()
        .filter(|row| row.class == Some(Class::OtherMode));
    let Some(first) = others.next() else {
        return Ok(Seen::ok("no event of the other mode"));
    };
    Ok(Seen::warn(
        format!(
            "{} of the other mode: an endpoint of another stack sends here",
            count(others.count() + 1, "event")
        ),
        format!(
            "Correct its URL in the provider's dashboard, then: till event drop {} --why \"other mode\"",
            first.event_id
        ),
    ))
}

async fn verifies<B: Backend>(on: &Context<'_, B>) -> Result<Seen, Error> {
    let refused = last_line(on, "intake", &["refused"]).await?;
    let Some(line) = refused else {
        return Ok(Seen::ok("nothing refused within a day"));
    };
    let reason = line.text("reason").unwrap_or("unknown");
    // Our own check above makes one.
    if reason.contains("headers missing") {
        return Ok(Seen::ok("only unsigned requests refused"));
    }
    Ok(Seen::warn(
        format!(
            "a signed request was refused {} ago: {reason}",
            time::age(line.at, on.now)
        ),
        "If it came from the provider, a signing secret was rotated there only: till secrets rotate",
    ))
}
