//! `till order`.

use crate::{
    Context,
    answers::{OrderForCustomer, OrderList},
    args::OrderArgs,
    backend::{ApiRequest, Backend, LogLine, LogQuery},
    error::{Error, Exit},
    order::{
        customer::paragraph,
        find::{Found, find, of_customer},
        gather::{Rows, gather, open_events},
        missing::missing,
        text::text,
        view::{Known, OrderView, view},
    },
    output::Answer,
    style::count,
};
use domain::{
    sale::order::Order,
    values::ids::{CustomerId, OrderId, PaymentIntentId, SubscriptionId},
};
use jiff::ToSpan;
use serde_json::Value;
use std::collections::BTreeSet;

/// The most log lines for one order.
const MOST_LINES: usize = 200;

pub(super) async fn order<B: Backend>(
    on: &Context<'_, B>,
    args: &OrderArgs,
) -> Result<Answer, Error> {
    let Some(id) = &args.id else {
        return by_email(on, args).await;
    };
    if id.contains('@') {
        return Err(
            Error::usage("an address on the command line stays in the shell's history")
                .cured_by("till order --email asks for it"),
        );
    }
    let found = find(on.backend, id.trim()).await?;
    match found.orders.as_slice() {
        [] => missing(on, id).await,
        [id] => one(on, id, args).await,
        _ => several(&found),
    }
}

async fn one<B: Backend>(
    on: &Context<'_, B>,
    id: &OrderId,
    args: &OrderArgs,
) -> Result<Answer, Error> {
    let rows = gather(on.backend, id).await?;
    let rows =
        rows.ok_or_else(|| Error::not_found(format!("order {id} is linked and not stored")))?;
    let open = open_events(on.backend.store(), &marks(&rows.order)).await?;
    let log = if args.logs {
        log_lines(on, &rows).await
    } else {
        Ok(Vec::new())
    };
    let known = Known {
        rows: &rows,
        open: &open,
        log: log.as_deref().unwrap_or_default(),
    };
    let view = view(known, on.options.reveal, on.now);
    if args.for_customer {
        return for_customer(on, view);
    }
    let text = text(&view, &on.stack.zone, on.now, on.terminal.width());
    let answer = Answer::of(&view, text)?;
    Ok(match (log, args.logs) {
        (Err(error), _) => answer.warned("no_log", format!("the log is not readable: {error}")),
        (Ok(_), true) => answer,
        (Ok(_), false) => answer.warned(
            "no_log",
            "deliveries and duplicates are in the log only; add --logs to read it.",
        ),
    })
}

/// The ids by which an event may name the order.
fn marks(order: &Order) -> Vec<&str> {
    let payments = order.payment_intents.iter().map(PaymentIntentId::as_str);
    let subscription = order.subscription_id.iter().map(SubscriptionId::as_str);
    let ids = std::iter::once(order.order_id.as_str());
    ids.chain(payments).chain(subscription).collect()
}

/// The order as a text to send to its customer.
fn for_customer<B>(on: &Context<'_, B>, view: OrderView) -> Result<Answer, Error> {
    let data = OrderForCustomer {
        text: paragraph(&view, &on.stack.zone),
        order_id: view.order_id,
    };
    let text = crate::style::wrapped(&data.text, on.terminal.width(), 0) + "\n";
    Answer::of(&data, text)
}

/// The log lines that name the order or its payments, within the log's retention.
async fn log_lines<B: Backend>(on: &Context<'_, B>, rows: &Rows) -> Result<Vec<LogLine>, Error> {
    let order = &rows.order;
    let retention = on.stack.number("LogRetentionDays", 30).clamp(1, 400);
    let oldest = on.now - (retention * 24).hours();
    let query = LogQuery {
        gateway: false,
        pattern: format!("\"{}\"", order.order_id),
        since: oldest.max(order.placed_at - 1.hour()),
        before: on.now,
        most: MOST_LINES,
    };
    let platform = on.backend.platform();
    let mut lines = platform.log_lines(&query).await?;
    // Deliveries name their event only, so the events that were decided lead to them.
    let events = lines.iter().filter_map(|line| line.text("event_id"));
    let events: BTreeSet<String> = events.map(str::to_owned).collect();
    for event in events.iter().take(10) {
        let query = LogQuery {
            pattern: format!("\"{event}\""),
            ..query.clone()
        };
        lines.extend(platform.log_lines(&query).await?);
    }
    lines.sort_by_key(|line| line.at);
    lines.dedup();
    Ok(lines)
}

fn several(found: &Found) -> Result<Answer, Error> {
    let ids: Vec<String> = found.orders.iter().map(ToString::to_string).collect();
    let mut text = format!("{} by this {}:\n", count(ids.len(), "order"), found.via);
    for id in &ids {
        text += &format!("  till order {id}\n");
    }
    let data = OrderList {
        via: found.via,
        orders: ids,
    };
    Answer::of(&data, text)
}

/// Finds the orders of an address: the provider knows the customer, and our index the customer's orders. The address is
/// typed at a prompt or comes by stdin, and nothing keeps it.
async fn by_email<B: Backend>(on: &Context<'_, B>, args: &OrderArgs) -> Result<Answer, Error> {
    let email = on.terminal.typed("Customer's address (hidden):");
    if !email.contains('@') {
        return Err(Error::usage("this is not an e-mail address"));
    }
    let mut orders = Vec::new();
    for provider in on.stack.providers() {
        for id in customers(on, provider, &email).await? {
            orders.extend(of_customer(on.backend, &id, |_| true).await?);
        }
    }
    let found = Found {
        orders,
        via: "address",
    };
    match found.orders.as_slice() {
        [] => {
            let text = "No order of a customer with this address.\n  Guests have no customer: ask for the order \
                        number.\n";
            let data = OrderList {
                via: "address",
                orders: Vec::new(),
            };
            Ok(Answer::of(&data, text.to_owned())?.ending(Exit::NotFound))
        }
        [id] => one(on, id, args).await,
        _ => several(&found),
    }
}

/// The provider's customers with an address.
async fn customers<B: Backend>(
    on: &Context<'_, B>,
    provider: &'static str,
    email: &str,
) -> Result<Vec<CustomerId>, Error> {
    let path = format!("/v1/customers?email={}", encoded(email));
    let request = ApiRequest::new(provider, "GET", path, None);
    let answer = on.backend.platform().call_provider(request).await?;
    if answer.status != 200 {
        return Err(Error::new(
            Exit::Unavailable,
            format!(
                "{provider} answers {} to a search for customers",
                answer.status
            ),
        ));
    }
    let list = ["customers", "data"]
        .iter()
        .find_map(|name| answer.body.get(name));
    let list = list.unwrap_or(&answer.body).as_array();
    let list = list.map(Vec::as_slice).unwrap_or_default();
    // A provider that ignores the filter lists everybody.
    let is_theirs = |customer: &&Value| {
        let known = customer.get("email").and_then(Value::as_str);
        known.is_some_and(|known| known.eq_ignore_ascii_case(email))
    };
    let id = |customer: &Value| {
        let id = customer.get("customer_id").or_else(|| customer.get("id"))?;
        CustomerId::new(id.as_str()?).ok()
    };
    Ok(list.iter().filter(is_theirs).filter_map(id).collect())
}

/// Percent-encodes a value of a query.
fn encoded(text: &str) -> String {
    let byte = |byte: u8| {
        if byte.is_ascii_alphanumeric() || b"-_.~".contains(&byte) {
            char::from(byte).to_string()
        } else {
            format!("%{byte:02X}")
        }
    };
    text.bytes().map(byte).collect()
}
