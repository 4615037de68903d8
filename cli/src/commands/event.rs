//! `till why`, and the readers of `till event`.

use super::event_write::{Action, act};
use crate::{
    Context,
    answers::{self, Event, EventBody},
    args::{EventCommand, WriteArgs},
    backend::Backend,
    error::{Error, Exit},
    order::find::orders_of_event,
    output::Answer,
    samples, time, why,
};
use domain::{
    delivery::stored_event::{EventState, StoredEvent},
    ports::{Events as _, Receipts as _},
    receipt::ReceiptStatus,
    values::ids::{EventId, OrderId, ReceiptId},
};
use jiff::tz::TimeZone;
use operator::events;
use std::{fmt::Write as _, path::Path};

pub(super) async fn run<B: Backend>(
    on: &Context<'_, B>,
    command: &EventCommand,
) -> Result<Answer, Error> {
    match command {
        EventCommand::Show { id } => show(on, id).await,
        EventCommand::Body { id, out, write } => body(on, id, out.as_deref(), write).await,
        EventCommand::Verify { file } => super::verify::verify(on, file).await,
        EventCommand::Release { ids, write } => act(on, Action::Release, ids, write).await,
        EventCommand::Replay { ids, write } => act(on, Action::Replay, ids, write).await,
        EventCommand::Drop { ids, write } => act(on, Action::Drop, ids, write).await,
        EventCommand::New(args) => {
            let secret = if args.sign && on.stack.local {
                Some(super::send::secret(on, &args.provider).await?)
            } else {
                None
            };
            samples::command(args, on.terminal, on.now, Some(on.stack), secret)
        }
        EventCommand::Send(args) => super::send::send(on, args).await,
    }
}

/// The event of that id.
pub(super) async fn stored<B: Backend>(
    on: &Context<'_, B>,
    id: &str,
) -> Result<StoredEvent, Error> {
    let event = match EventId::new(id) {
        Ok(id) => on.backend.store().event(&id).await?,
        Err(_) => None,
    };
    event.ok_or_else(|| {
        Error::not_found(format!("no event {id}")).cured_by(
            "Ended events are kept for EventRetentionDays; the log may still name it: till logs ID",
        )
    })
}

pub(super) async fn why<B: Backend>(on: &Context<'_, B>, id: &str) -> Result<Answer, Error> {
    let (zone, width) = (&on.stack.zone, on.terminal.width());
    let store = on.backend.store();
    if let Ok(event_id) = EventId::new(id)
        && let Some(event) = store.event(&event_id).await?
    {
        let why = why::event(&event, zone, on.now);
        let waits = matches!(event.state, EventState::Parked | EventState::Unreadable);
        return answer(&why, waits, width);
    }
    if let Ok(receipt_id) = ReceiptId::new(id)
        && let Some(receipt) = store.receipt(&receipt_id).await?
    {
        let why = why::mail(&receipt, zone, on.now);
        let status = receipt.state.status();
        let waits = matches!(status, ReceiptStatus::Held | ReceiptStatus::Failed);
        return answer(&why, waits, width);
    }
    Err(
        Error::not_found(format!("no event and no mail {id}")).cured_by(format!(
            "For an order: till order {}",
            super::write::word(id)
        )),
    )
}

fn answer(why: &why::Why, waits: bool, width: usize) -> Result<Answer, Error> {
    let answer = Answer::of(why, why::text(why, width))?;
    Ok(answer.ending_if(waits, Exit::Attention))
}

async fn show<B: Backend>(on: &Context<'_, B>, id: &str) -> Result<Answer, Error> {
    let event = stored(on, id).await?;
    let orders = orders_of_event(on.backend, &event).await?;
    let outbox = event.outbox.iter();
    let data = Event {
        event_id: event.event_id.clone(),
        provider: event.provider.clone(),
        event_type: event.event_type.clone(),
        delivery_id: event.delivery_id.clone(),
        recovered: event.is_recovered(),
        occurred_at: event.occurred_at,
        received_at: event.received_at,
        state: event.state,
        class: event.class,
        reason: event.reason.clone(),
        attempts: event.attempts,
        notes: answers::notes(&event.notes),
        outbox: outbox.map(|handoff| format!("{handoff:?}")).collect(),
        body_bytes: event.body.len(),
        fingerprint: event.fingerprint.clone(),
        orders,
    };
    let text = show_text(&event, &data.orders, &on.stack.zone);
    Answer::of(&data, text)
}

fn show_text(event: &StoredEvent, orders: &[OrderId], zone: &TimeZone) -> String {
    let mut text = String::new();
    let mut line = |label: &str, value: &str| {
        let _ = writeln!(text, "{label:14}{value}");
    };
    line("Event", event.event_id.as_str());
    line("Type", event.event_type.as_deref().unwrap_or("unreadable"));
    line("State", &event.state.to_string());
    if let Some(reason) = &event.reason {
        line("Reason", reason);
    }
    line("Tries", &event.attempts.to_string());
    line("Received", &time::full(event.received_at, zone));
    if let Some(at) = event.occurred_at {
        line("Happened", &time::full(at, zone));
    }
    line("Delivery", event.delivery_id.as_str());
    let (bytes, hash) = (event.body.len(), &event.fingerprint);
    line("Body", &format!("{bytes} bytes, SHA-256 {hash}"));
    for note in event.notes.iter() {
        line("Note", &note.to_string());
    }
    for order in orders {
        line("Order", &format!("till order {order}"));
    }
    text
}

/// The signed bytes. They hold personal data, so a terminal shows them only on request, and the event keeps who read them.
async fn body<B: Backend>(
    on: &Context<'_, B>,
    id: &str,
    out: Option<&Path>,
    args: &WriteArgs,
) -> Result<Answer, Error> {
    if out.is_none() && !on.options.reveal {
        return Err(
            Error::new(Exit::Unconfirmed, "the body holds personal data")
                .cured_by("Add --out FILE, or --reveal to print it"),
        );
    }
    let event = stored(on, id).await?;
    let note = super::write::note(on, args).await?;
    let mut data = EventBody {
        event_id: event.event_id,
        bytes: event.body.len(),
        file: None,
        body: None,
    };
    if args.dry_run {
        let text = format!("Would leave a note of {} on the event.\n", note.by());
        return Answer::of(&data, text);
    }
    let event = events::read_body(on.backend.store(), &data.event_id, &note).await?;
    let event = event.ok_or_else(|| Error::not_found(format!("no event {id}")))?;
    data.bytes = event.body.len();
    let Some(path) = out else {
        let body = String::from_utf8_lossy(&event.body).into_owned();
        let text = format!("{body}\n");
        data.body = Some(body);
        return Ok(Answer::of(&data, text)?.raw());
    };
    let (file, bytes) = (path.display().to_string(), data.bytes);
    std::fs::write(path, &event.body)
        .map_err(|error| Error::new(Exit::Failed, format!("{file} cannot be written: {error}")))?;
    let text = format!("{bytes} bytes written to {file}. They hold personal data.\n");
    data.file = Some(file);
    Answer::of(&data, text)
}
