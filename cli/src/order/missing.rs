//! The answer for an order that does not exist: where it was searched, and what is likely.

use crate::{
    Context,
    backend::{ApiRequest, Backend, is_plain},
    error::{Error, Exit},
    order::gather::open_events,
    output::Answer,
    style::labeled,
};
use domain::delivery::stored_event::EventState;
use schemars::JsonSchema;
use serde::Serialize;

const LABEL: usize = 14;

/// The facts about a missing order.
#[derive(Debug, Clone, Serialize, JsonSchema)]
pub struct Missing {
    asked: String,
    searched: [&'static str; 6],
    /// Open events that name it.
    events: Vec<OpenEvent>,
    /// The provider's answer about one of its ids.
    at_provider: Option<AtProvider>,
    likely: String,
    commands: Vec<String>,
}

#[derive(Debug, Clone, Serialize, JsonSchema)]
pub struct OpenEvent {
    event_id: String,
    event_type: Option<String>,
    state: String,
    reason: Option<String>,
}

#[derive(Debug, Clone, Serialize, JsonSchema)]
pub struct AtProvider {
    provider: &'static str,
    found: bool,
    status: Option<String>,
    payment_status: Option<String>,
}

/// The answer.
pub async fn missing<B: Backend>(on: &Context<'_, B>, asked: &str) -> Result<Answer, Error> {
    let events = open_events(on.backend.store(), &[asked]).await?;
    let at_provider = ask_provider(on, asked).await;
    let open: Vec<OpenEvent> = events
        .iter()
        .map(|event| OpenEvent {
            event_id: event.event_id.to_string(),
            event_type: event.event_type.clone(),
            state: event.state.to_string(),
            reason: event.reason.clone(),
        })
        .collect();
    let is_parked = events.iter().any(|event| event.state == EventState::Parked);
    let data = Missing {
        asked: asked.to_owned(),
        searched: [
            "orders",
            "order numbers",
            "payments",
            "mails and refunds",
            "events",
            "customers",
        ],
        likely: likely(&open, is_parked, at_provider.as_ref()),
        commands: open
            .iter()
            .map(|event| format!("till why {}", event.event_id))
            .collect(),
        events: open,
        at_provider,
    };
    let text = text(&data, on.terminal.width());
    Ok(Answer::of(&data, text)?.ending(Exit::NotFound))
}

fn likely(open: &[OpenEvent], is_parked: bool, at: Option<&AtProvider>) -> String {
    if is_parked {
        return "An event about it waits for a person.".to_owned();
    }
    if !open.is_empty() {
        return "An event about it is in work. Look again in a minute.".to_owned();
    }
    match at {
        Some(AtProvider { found: true, status, .. }) if status.as_deref() == Some("complete") => {
            "The sale is complete at the provider, and its webhook has not come. Reconcile finds it within an hour; run \
             till reconcile to look now."
                .to_owned()
        }
        Some(AtProvider { found: true, .. }) => {
            "The customer did not finish paying. Nothing was charged.".to_owned()
        }
        Some(AtProvider { found: false, .. }) => {
            "The provider does not know it either: perhaps the other mode, or another account.".to_owned()
        }
        None => "The customer did not finish paying, or paid under another number. Ask for the day and the amount."
            .to_owned(),
    }
}

/// Asks the provider about one of its ids. `None` if it does not answer.
async fn ask_provider<B: Backend>(on: &Context<'_, B>, asked: &str) -> Option<AtProvider> {
    let (provider, path, member) = if asked.starts_with("fcs_") {
        (
            "flex",
            format!("/v1/checkout/sessions/{asked}"),
            "checkout_session",
        )
    } else if asked.starts_with("ord_") {
        ("flint", format!("/v1/orders/{asked}"), "order")
    } else {
        return None;
    };
    if !is_plain(asked) || !on.stack.providers().contains(&provider) {
        return None;
    }
    let request = ApiRequest::new(provider, "GET", path, None);
    let answer = on.backend.platform().call_provider(request).await.ok()?;
    if answer.status != 200 && answer.status != 404 {
        return None;
    }
    let body = answer.body.get(member).unwrap_or(&answer.body);
    let word = |name: &str| Some(body.get(name)?.as_str()?.to_owned());
    Some(AtProvider {
        provider,
        found: answer.status == 200,
        status: word("status"),
        payment_status: word("payment_status"),
    })
}

fn text(data: &Missing, width: usize) -> String {
    let mut out = format!("Order {} not found.\n", data.asked);
    let mut line = |label: &str, text: &str| {
        out += &(labeled(&format!("  {label}"), LABEL, text, width) + "\n");
    };
    line("Searched", &data.searched.join(" · "));
    for event in &data.events {
        let kind = event.event_type.as_deref().unwrap_or("unreadable");
        let reason = event.reason.as_deref().unwrap_or("not done yet");
        line("Event", &format!("{kind} is {}: {reason}", event.state));
    }
    if let Some(at) = &data.at_provider {
        let text = match (at.found, &at.status) {
            (false, _) => format!("{} does not know it", at.provider),
            (true, Some(status)) => format!("it is {status} at {}", at.provider),
            (true, None) => format!("{} knows it", at.provider),
        };
        line("Provider", &text);
    }
    line("Likely", &data.likely);
    for command in &data.commands {
        line("Next", command);
    }
    out
}
