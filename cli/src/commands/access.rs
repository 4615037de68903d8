//! `till access`: what a customer may use, until when, and why.

use crate::{
    Context,
    answers::Access,
    backend::Backend,
    error::{Error, Exit},
    order::{
        text,
        view::{self, SubscriptionView},
    },
    output::Answer,
    time,
};
use domain::{
    ports::{EntitlementAdmin as _, Entitlements as _},
    values::ids::{CustomerId, SubscriptionId},
};
use jiff::tz::TimeZone;
use std::fmt::Write as _;

pub(super) async fn access<B: Backend>(on: &Context<'_, B>, id: &str) -> Result<Answer, Error> {
    let store = on.backend.store();
    let customer = match store.customer_of(&SubscriptionId::new(id)?).await? {
        Some(customer) => customer,
        None => CustomerId::new(id)?,
    };
    let rows = store.rows_of(&customer).await?;
    let entitlements = rows.entitlements.iter();
    let data = Access {
        customer_id: customer,
        access: entitlements.map(|row| view::access(row, on.now)).collect(),
        subscriptions: rows.subscriptions.iter().map(view::subscription).collect(),
    };
    if data.access.is_empty() && data.subscriptions.is_empty() {
        let text = format!("No access and no subscription of {id}.\n");
        return Ok(Answer::of(&data, text)?.ending(Exit::NotFound));
    }
    let (zone, width) = (&on.stack.zone, on.terminal.width());
    let mut out = format!("Customer {}\n\n", data.customer_id);
    for row in &data.access {
        let _ = writeln!(out, "{}", text::access(row, zone, width));
    }
    for row in &data.subscriptions {
        let _ = writeln!(out, "{}", subscription(row, zone));
    }
    Answer::of(&data, out)
}

/// One line about a subscription.
fn subscription(row: &SubscriptionView, zone: &TimeZone) -> String {
    let status = row.status.as_deref().unwrap_or("unknown");
    let mut line = format!("{:20}{}  {status}", "Subscription", row.subscription_id);
    for (what, at) in [("paid until", row.paid_through), ("ended", row.ended_at)] {
        if let Some(at) = at {
            let _ = write!(line, ", {what} {}", time::day(at, zone));
        }
    }
    line
}
