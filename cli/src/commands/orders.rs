//! `till orders`: a bounded search in the Orders table.

use crate::{
    Context,
    args::OrdersArgs,
    backend::Backend,
    error::Error,
    output::Answer,
    style::count,
    table::{Column, table},
    time,
};
use domain::{ports::admin::OrderSearch as _, sale::order::Order};
use jiff::Timestamp;
use serde_json::{Value, json};

pub(super) async fn orders<B: Backend>(
    on: &Context<'_, B>,
    args: &OrdersArgs,
) -> Result<Answer, Error> {
    let (since, before) = super::events::range(on, &args.range)?;
    let is_wanted = |order: &Order| {
        let state = order.state().to_string();
        order.placed_at >= since
            && order.placed_at < before
            && args.state.as_ref().is_none_or(|wanted| *wanted == state)
            && (!args.disputed || order.is_disputed())
            && (!args.short
                || order
                    .shortfalls
                    .iter()
                    .any(|short| short.filled_at.is_none()))
            && (!args.mail_trouble || !order.delivery_failures.is_empty())
    };
    let (mut found, mut after, mut read) = (Vec::new(), None, 0);
    let mut complete = false;
    for _ in 0..args.pages {
        let page = on.backend.store().order_page(after.as_ref()).await?;
        read += page.orders.len();
        on.terminal.progress(Some(&format!("{read} orders read")));
        found.extend(page.orders.into_iter().filter(is_wanted));
        after = page.next;
        complete = after.is_none();
        if complete || on.terminal.is_interrupted() {
            break;
        }
    }
    on.terminal.progress(None);
    found.sort_by_key(|order| std::cmp::Reverse((order.placed_at, order.order_id.clone())));
    let matched = found.len();
    found.truncate(args.limit);
    let data = json!({
        "orders": found.iter().map(row).collect::<Vec<Value>>(),
        "matched": matched, "read": read, "complete": complete,
    });
    let text = text(on, &found, matched, read);
    let answer = Answer::new("till.orders/1", &data, text)?.cut(!complete || matched > found.len());
    Ok(if complete {
        answer
    } else {
        answer.warned(
            "incomplete",
            format!(
                "read {} of the table, which has no order in time. Raise --pages to read on.",
                count(read, "order")
            ),
        )
    })
}

fn row(order: &Order) -> Value {
    json!({
        "order_id": order.order_id,
        "reference": order.client_reference_id,
        "placed_at": order.placed_at,
        "state": order.state().to_string(),
        "disputed": order.is_disputed(),
        "total": {"minor": order.totals.total, "currency": order.currency.code()},
        "received": {"minor": order.paid(), "currency": order.currency.code()},
        "refunded": {"minor": order.refunded(), "currency": order.currency.code()},
    })
}

fn text<B>(on: &Context<'_, B>, found: &[Order], matched: usize, read: usize) -> String {
    let cells = |order: &Order| {
        let at: Timestamp = order.placed_at;
        vec![
            time::full(at, &on.stack.zone),
            order
                .client_reference_id
                .clone()
                .unwrap_or_else(|| "–".to_owned()),
            order.money(order.totals.total).to_string(),
            order.state().to_string(),
            order.order_id.to_string(),
        ]
    };
    let rows: Vec<_> = found.iter().map(cells).collect();
    let head = [
        ("placed", Column::Whole),
        ("number", Column::Text),
        ("total", Column::Number),
        ("state", Column::Text),
        ("order", Column::Whole),
    ];
    let list = if rows.is_empty() {
        String::new()
    } else {
        table(&head, &rows, on.terminal.width()) + "\n"
    };
    format!("{list}Showing {} of {matched}; {read} read.\n", found.len())
}
