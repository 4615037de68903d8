//! `till webhooks test`: a signed event without effect, from here to its row.

use super::secrets;
use crate::{
    Context,
    answers::WebhookTest,
    args::SecretKind,
    backend::Backend,
    error::{Error, Exit},
    output::Answer,
    samples::{self, Changes, sign},
};
use domain::{delivery::stored_event::EventState, ports::Events as _, values::ids::EventId};

/// A type without effect.
fn harmless(provider: &str) -> &'static str {
    if provider == "flint" {
        "balance.updated"
    } else {
        "account.updated"
    }
}

/// How often the row of the test event is looked at, a second apart.
const LOOKS: u32 = 30;

/// Posts a signed event without effect, and waits until intake has stored it.
pub(crate) async fn test<B: Backend>(
    on: &Context<'_, B>,
    provider: &'static str,
) -> Result<Answer, Error> {
    let url = on.stack.webhook_url(provider);
    let url =
        url.ok_or_else(|| Error::not_found("the stack has no webhook URL").cured_by("sam deploy"))?;
    let all = secrets::webhooks(on, provider).await?;
    let name = secrets::name(provider, SecretKind::Webhook);
    let secret = all
        .last()
        .ok_or_else(|| Error::not_found(format!("{name} has no secret")).cured_by("till setup"))?;
    let id = samples::own_id(provider, &format!("test{}", on.now.as_millisecond()));
    let changes = Changes {
        set: &[],
        at: Some(on.now),
        id: Some(&id),
    };
    let sample = samples::sample(provider, harmless(provider))?;
    let event = samples::changed(provider, sample, &changes)?;
    let body = samples::body(&event);
    let headers = sign::headers(provider, &event, &body, Some(secret), on.now)?;
    let platform = on.backend.platform();
    let status = platform.post(url, &headers, body.as_bytes()).await?;
    let state = if status == 200 {
        stored_as(on, &EventId::new(&*id)?).await?
    } else {
        None
    };
    tested(provider, url, &id, status, state)
}

/// Waits for the row of an event. Returns its state; `None` if there is no row in time.
async fn stored_as<B: Backend>(
    on: &Context<'_, B>,
    id: &EventId,
) -> Result<Option<EventState>, Error> {
    for _ in 0..LOOKS {
        if let Some(stored) = on.backend.store().event(id).await? {
            return Ok(Some(stored.state));
        }
        if on.terminal.is_interrupted() {
            break;
        }
        on.backend.platform().wait(1).await?;
    }
    Ok(None)
}

fn tested(
    provider: &'static str,
    url: &str,
    id: &str,
    status: u16,
    state: Option<EventState>,
) -> Result<Answer, Error> {
    let (verdict, exit) = match (status, state) {
        (200, Some(state)) => (format!("received, verified and stored as {state}. This type makes no order and no mail."), Exit::Done),
        (200, None) => ("answered, and not stored: does the URL lead to another stack?".to_owned(), Exit::Failed),
        (400..=499, _) => ("refused: the stack runs with another secret. Wait five minutes, or: till secrets status".to_owned(), Exit::Failed),
        (500.., _) => ("intake does not answer: till doctor function.start".to_owned(), Exit::Failed),
        _ => ("not accepted".to_owned(), Exit::Failed),
    };
    let data = WebhookTest {
        provider,
        url: url.to_owned(),
        event_id: id.to_owned(),
        status,
        state: state.map(|state| state.to_string()),
    };
    let text = format!(
        "{status}  {id}\n{verdict}\nThis proves URL and secret, not the subscription at {provider}.\n"
    );
    Ok(Answer::of(&data, text)?.ending(exit))
}
