//! `till access`: what a customer may use, until when, and why.

use crate::{
    Context,
    answers::Access,
    backend::Backend,
    error::{Error, Exit},
    order::{text, view},
    output::Answer,
    time,
};
use domain::{
    ports::{EntitlementAdmin as _, Entitlements as _},
    values::ids::{CustomerId, SubscriptionId},
};
use std::fmt::Write as _;

pub(super) async fn access<B: Backend>(on: &Context<'_, B>, id: &str) -> Result<Answer, Error> {
    let store = on.backend.store();
    let bad = |error: domain::values::ids::BadId| Error::usage(error.to_string());
    let of_subscription = store
        .customer_of(&SubscriptionId::new(id).map_err(bad)?)
        .await?;
    let customer = match of_subscription {
        Some(customer) => customer,
        None => CustomerId::new(id).map_err(bad)?,
    };
    let rows = store.rows_of(&customer).await?;
    if rows.entitlements.is_empty() && rows.subscriptions.is_empty() {
        let data = Access {
            customer_id: customer,
            access: Vec::new(),
            subscriptions: Vec::new(),
        };
        let text = format!("No access and no subscription of {id}.\n");
        return Ok(Answer::of(&data, text)?.ending(Exit::NotFound));
    }
    let entitlements: Vec<_> = rows
        .entitlements
        .iter()
        .map(|row| view::access(row, on.now))
        .collect();
    let subscriptions: Vec<_> = rows.subscriptions.iter().map(view::subscription).collect();
    let data = Access {
        customer_id: customer,
        access: entitlements,
        subscriptions,
    };
    let (zone, width) = (&on.stack.zone, on.terminal.width());
    let mut out = format!("Customer {}\n\n", data.customer_id);
    for row in &data.access {
        let _ = writeln!(out, "{}", text::access(row, zone, width));
    }
    for row in &rows.subscriptions {
        let status = row.snapshot.as_ref().map_or_else(
            || "unknown".to_owned(),
            |facts| facts.value.status.to_string(),
        );
        let _ = write!(
            out,
            "{:20}{}  {status}",
            "Subscription", row.subscription_id
        );
        if let Some(until) = row.paid_through {
            let _ = write!(out, ", paid until {}", time::day(until, zone));
        }
        if let Some(ended) = row.ended_at {
            let _ = write!(out, ", ended {}", time::day(ended, zone));
        }
        out.push('\n');
    }
    Answer::of(&data, out)
}
