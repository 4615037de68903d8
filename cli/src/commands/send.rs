//! `till event send`: posts signed samples to a local or a test stack.

use super::secrets::{served, webhooks};
use crate::{
    Context,
    answers::{EventSend, SentEvent},
    args::SendArgs,
    backend::Backend,
    error::{Error, Exit},
    output::Answer,
    samples::{self, Changes, sign},
    time,
};
use domain::values::{fingerprint::fingerprint, mode::Mode};
use serde_json::Value;
use std::fmt::Write as _;

pub(super) async fn send<B: Backend>(
    on: &Context<'_, B>,
    args: &SendArgs,
) -> Result<Answer, Error> {
    if on.stack.mode == Mode::Live && !on.stack.local {
        return Err(Error::usage("samples are never sent to a live stack")
            .cured_by("Use --local or a test stack."));
    }
    let provider = served(on, &args.provider)?;
    let url = on.stack.webhook_url(provider);
    let url = url
        .ok_or_else(|| Error::not_found("the stack has no webhook URL"))?
        .to_owned();
    let secret = &secret(on, provider).await?;
    let mut sent = Vec::new();
    for (kind, event) in &chosen(on, provider, args)? {
        if on.terminal.is_interrupted() {
            break;
        }
        let body = samples::body(event);
        let headers = sign::headers(provider, event, &body, Some(secret), on.now)?;
        let platform = on.backend.platform();
        let status = platform.post(&url, &headers, body.as_bytes()).await?;
        let id = event.get(samples::id_member(provider));
        sent.push(SentEvent {
            event_type: (*kind).clone(),
            event_id: id.and_then(Value::as_str).unwrap_or_default().to_owned(),
            status,
        });
    }
    answer(&EventSend { url, sent })
}

/// The samples to send in their order, each with its type.
fn chosen<'a, B>(
    on: &Context<'_, B>,
    provider: &str,
    args: &'a SendArgs,
) -> Result<Vec<(&'a String, Value)>, Error> {
    let at = args.at.as_ref();
    let at = at.map(|text| time::read(text, &on.stack.zone, on.now));
    let at = at.transpose()?;
    let mut events = Vec::new();
    for kind in &args.types {
        for time in 0..args.times {
            let number = events.len() + time;
            // No other event has it.
            let end = format!("{:X}{number}", on.now.as_nanosecond());
            let fresh = args.fresh.then(|| samples::own_id(provider, &end));
            let changes = Changes {
                set: &args.set,
                at,
                id: fresh.as_deref(),
            };
            let sample = samples::sample(provider, kind)?;
            events.push((kind, samples::changed(provider, sample, &changes)?));
        }
    }
    if let Some(seed) = args.shuffle {
        shuffle(&mut events, seed);
    }
    Ok(events)
}

/// The stack's first webhook secret of a provider.
pub(super) async fn secret<B: Backend>(
    on: &Context<'_, B>,
    provider: &str,
) -> Result<String, Error> {
    let secrets = webhooks(on, served(on, provider)?).await?;
    secrets
        .into_iter()
        .next()
        .ok_or_else(|| Error::not_found("the stack has no webhook secret").cured_by("till setup"))
}

fn shuffle<T>(items: &mut Vec<T>, seed: u64) {
    // A hash of seed and place is as random as a test needs.
    let mut places: Vec<(String, usize)> = (0..items.len())
        .map(|place| (fingerprint(format!("{seed}#{place}").as_bytes()), place))
        .collect();
    places.sort();
    let mut ordered: Vec<Option<T>> = items.drain(..).map(Some).collect();
    items.extend(
        places
            .into_iter()
            .filter_map(|(_, place)| ordered.get_mut(place)?.take()),
    );
}

fn answer(data: &EventSend) -> Result<Answer, Error> {
    let mut text = format!("Sent to {}\n", data.url);
    for of in &data.sent {
        let _ = writeln!(text, "  {}  {}  {}", of.status, of.event_id, of.event_type);
    }
    let is_refused = data.sent.iter().any(|of| of.status != 200);
    if is_refused {
        text += "A 4xx was refused, a 5xx is worth another try: till logs --function intake\n";
    } else if let Some(first) = data.sent.first() {
        let _ = writeln!(text, "To follow one:  till why {}", first.event_id);
    }
    Ok(Answer::of(data, text)?.ending_if(is_refused, Exit::Failed))
}
