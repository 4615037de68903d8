//! Checks of the work: what waits for a person, what is late, and the runs of sweep and reconcile.

use super::{Check, Seen, check, fix};
use crate::{
    Context,
    backend::{Backend, Hop},
    commands::last_line,
    error::Error,
    style::count,
    time,
};
use domain::{
    delivery::stored_event::EventState,
    ports::{DeadLetters as _, OpenRows as _, Shortfalls as _},
    receipt::ReceiptStatus,
};
use jiff::{SignedDuration, ToSpan};
use operator::list;

/// Rows beyond this number are not counted.
const MOST: usize = 1000;

pub(super) fn checks<B: Backend>() -> Vec<Check<B>> {
    vec![
        check!("work.parked", ["aws.credentials"], parked),
        check!("work.mails", ["aws.credentials"], mails),
        check!("work.late", ["aws.credentials"], late),
        check!("work.letters", ["aws.credentials"], letters),
        check!("work.short", ["aws.credentials"], short),
        check!(
            "work.sweep",
            ["aws.credentials"],
            sweep,
            "Run sweep now",
            fix::sweep
        ),
        check!(
            "work.reconcile",
            ["aws.credentials"],
            reconcile,
            "Run reconcile now",
            fix::reconcile
        ),
    ]
}

async fn parked<B: Backend>(on: &Context<'_, B>) -> Result<Seen, Error> {
    let parked = on
        .backend
        .store()
        .count_events(EventState::Parked, MOST)
        .await?;
    Ok(match parked {
        0 => Seen::ok("no event is parked"),
        parked => Seen::warn(
            format!("{} parked for a person", count(parked, "event")),
            "till events",
        ),
    })
}

async fn mails<B: Backend>(on: &Context<'_, B>) -> Result<Seen, Error> {
    let store = on.backend.store();
    let held = store.count_receipts(ReceiptStatus::Held, MOST).await?;
    let failed = store.count_receipts(ReceiptStatus::Failed, MOST).await?;
    Ok(match held + failed {
        0 => Seen::ok("no mail waits for a person"),
        _ => Seen::warn(
            format!("{held} mails held, {failed} failed"),
            "till mail list",
        ),
    })
}

async fn late<B: Backend>(on: &Context<'_, B>) -> Result<Seen, Error> {
    let late = list::stuck(on.backend.store(), on.now - 4.hours(), MOST).await?;
    Ok(match late.first() {
        None => Seen::ok("nothing is older than four hours"),
        Some(oldest) => Seen::fail(
            format!("{} not done within four hours", count(late.len(), "event")),
            format!("till why {}", oldest.event_id),
        ),
    })
}

async fn letters<B: Backend>(on: &Context<'_, B>) -> Result<Seen, Error> {
    let mut full = Vec::new();
    for hop in Hop::ALL {
        let depth = on.backend.letters(hop).depth().await?;
        if depth > 0 {
            full.push((hop.name(), depth));
        }
    }
    if full.is_empty() {
        return Ok(Seen::ok("no dead letters"));
    }
    let says: Vec<String> = full
        .iter()
        .map(|(name, depth)| format!("{depth} of {name}"))
        .collect();
    let cure: Vec<String> = full
        .iter()
        .map(|(name, _)| format!("till redrive {name} --dry-run"))
        .collect();
    Ok(Seen::fail(
        format!(
            "dead letters: {}; each expires after 14 days",
            says.join(", ")
        ),
        cure.join("; "),
    ))
}

async fn short<B: Backend>(on: &Context<'_, B>) -> Result<Seen, Error> {
    let open = on.backend.store().open_shortfalls(MOST).await?;
    Ok(match open.first() {
        None => Seen::ok("no paid order waits for stock"),
        Some(first) => Seen::warn(
            format!(
                "{} for missing stock, the oldest for {}",
                if open.len() == 1 {
                    "1 order waits".to_owned()
                } else {
                    format!("{} orders wait", open.len())
                },
                time::age(first.moved_at, on.now)
            ),
            format!("till stock show {}", first.sku),
        ),
    })
}

async fn sweep<B: Backend>(on: &Context<'_, B>) -> Result<Seen, Error> {
    ran(on, "sweep", "swept", SignedDuration::from_mins(30)).await
}

async fn reconcile<B: Backend>(on: &Context<'_, B>) -> Result<Seen, Error> {
    if on.stack.number("ReconcileDays", 3) == 0 {
        return Ok(Seen::ok("turned off by ReconcileDays=0"));
    }
    ran(on, "reconcile", "reconciled", SignedDuration::from_hours(3)).await
}

async fn ran<B: Backend>(
    on: &Context<'_, B>,
    function: &str,
    outcome: &str,
    within: SignedDuration,
) -> Result<Seen, Error> {
    let cure = format!("Is its schedule on, and is it not paused? To run it now: till {function}");
    Ok(match last_line(on, function, &[outcome]).await? {
        Some(line) if on.now.duration_since(line.at) <= within => {
            Seen::ok(format!("ran {} ago", time::age(line.at, on.now)))
        }
        Some(line) => Seen::fail(
            format!("{function} ran {} ago", time::age(line.at, on.now)),
            cure,
        ),
        None if on.stack.is_younger_than_a_day(on.now) => {
            Seen::ok(format!("{function} has not run yet; the stack is new"))
        }
        None => Seen::fail(format!("{function} did not run within a day"), cure),
    })
}
