//! `till customer`: export or erase a person's data.

use super::write::{confirmed, note};
use crate::{
    Context,
    answers::{CustomerCounts, CustomerErase, CustomerExport},
    args::{CustomerCommand, WriteArgs},
    backend::Backend,
    danger::Danger,
    error::{Error, Exit},
    output::Answer,
    style::count,
};
use domain::values::ids::{CustomerId, OrderId};
use operator::customer::{Erased, Person, erase, erase_until, export};

pub(super) async fn run<B: Backend>(
    on: &Context<'_, B>,
    command: &CustomerCommand,
) -> Result<Answer, Error> {
    match command {
        CustomerCommand::Export { id, guest } => export_one(on, &person(id, *guest)?).await,
        CustomerCommand::Erase { id, guest, write } => {
            erase_one(on, &person(id, *guest)?, id, *guest, write).await
        }
    }
}

fn person(id: &str, guest: bool) -> Result<Person, Error> {
    Ok(if guest {
        Person::Guest(OrderId::new(id)?)
    } else {
        Person::Customer(CustomerId::new(id)?)
    })
}

async fn export_one<B: Backend>(on: &Context<'_, B>, person: &Person) -> Result<Answer, Error> {
    on.terminal.progress(Some("reads the whole Events table"));
    let found = export(on.backend.store(), person).await;
    on.terminal.progress(None);
    let found = found?;
    let rows = &found.rows;
    let counts = CustomerCounts {
        orders: rows.orders.len(),
        subscriptions: rows.subscriptions.len(),
        entitlements: rows.entitlements.len(),
        payment_methods: rows.payment_methods.len(),
        checkout_sessions: rows.checkout_sessions.len(),
        events: found.events.len(),
    };
    if !on.options.reveal {
        let text = format!(
            "{} and {} hold data of this person.\nThe export holds personal data. To print it:  add --reveal, and \
             redirect it to a file.\n",
            count(rows.orders.len(), "order"),
            count(found.events.len(), "event")
        );
        return Answer::of(&counts, text);
    }
    let export = found.to_json();
    let text = serde_json::to_string_pretty(&export).unwrap_or_default() + "\n";
    Ok(Answer::of(&CustomerExport(export), text)?.raw())
}

async fn erase_one<B: Backend>(
    on: &Context<'_, B>,
    person: &Person,
    id: &str,
    guest: bool,
    args: &WriteArgs,
) -> Result<Answer, Error> {
    let store = on.backend.store();
    let note = note(on, args).await?;
    on.terminal.progress(Some("reads the whole Events table"));
    let planned = erase(store, person, true, &note).await;
    on.terminal.progress(None);
    let planned = planned?;
    if args.dry_run {
        return answer(&planned, id, guest, false);
    }
    let plan = format!("{planned}\nThis cannot be undone. Ids and amounts stay.");
    confirmed(on, Danger::Irreversible, args, &plan, &note)?;
    let done = erase_until(store, person, None, None, &note, || {
        on.terminal.is_interrupted()
    })
    .await?;
    answer(&done, id, guest, on.terminal.is_interrupted())
}

fn answer(done: &Erased, id: &str, guest: bool, interrupted: bool) -> Result<Answer, Error> {
    let again = format!(
        "till customer erase {id}{} --why \"…\"",
        if guest { " --guest" } else { "" }
    );
    let is_left = !done.open.is_empty() || done.next.is_some();
    let commands: Vec<String> = done
        .open
        .iter()
        .map(|event| format!("till why {event}"))
        .chain(is_left.then_some(again))
        .collect();
    let mut text = format!("{done}\n");
    if !commands.is_empty() {
        text += &format!("Next:\n  {}\n", commands.join("\n  "));
    }
    let data = CustomerErase {
        dry_run: done.dry_run,
        orders: done.orders.clone(),
        contact: done.contact,
        checkout_sessions: done.checkout_sessions.clone(),
        events: done.events.clone(),
        open: done.open.clone(),
        next: done.next.clone(),
        commands,
    };
    let exit = match (interrupted && done.next.is_some(), is_left) {
        (true, _) => Exit::Interrupted,
        (false, true) if !done.dry_run => Exit::Failed,
        _ => Exit::Done,
    };
    Ok(Answer::of(&data, text)?.ending(exit))
}
