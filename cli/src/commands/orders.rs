//! `till orders`: a search for orders by time, newest first.

use crate::{
    Context,
    answers::{OrderLine, Orders},
    args::OrdersArgs,
    backend::Backend,
    error::Error,
    order::view::Amount,
    output::Answer,
    style::count,
    table::{Column, table},
    time,
};
use domain::sale::order::Order;
use operator::list::{self, PlacedOrders, PlacedSearch};

pub(super) async fn orders<B: Backend>(
    on: &Context<'_, B>,
    args: &OrdersArgs,
) -> Result<Answer, Error> {
    let (since, before) = super::events::range(on, &args.range)?;
    let is_wanted = |order: &Order| is_wanted(order, args);
    let search = PlacedSearch {
        since,
        before,
        reads: args.pages,
        most: args.limit,
    };
    let mut progress = |read| {
        let orders = count(read, "order");
        on.terminal.progress(Some(&format!("{orders} read")));
        on.terminal.is_interrupted()
    };
    let found = list::placed(on.backend.store(), &search, &is_wanted, &mut progress).await;
    on.terminal.progress(None);
    let found = found?;
    let data = Orders {
        orders: found.orders.iter().map(line).collect(),
        read: found.read,
        stopped_at: found.stopped_at,
    };
    let answer = Answer::of(&data, text(on, &found))?;
    let answer = answer.cut(found.stopped_at.is_some());
    Ok(match found.stopped_at {
        None => answer,
        Some(at) => answer.warned(
            "incomplete",
            format!(
                "stopped before {}; read on with --before {at}",
                time::full(at, &on.stack.zone)
            ),
        ),
    })
}

fn is_wanted(order: &Order, args: &OrdersArgs) -> bool {
    let state = order.state().to_string();
    let mut shortfalls = order.shortfalls.iter();
    args.state.as_ref().is_none_or(|wanted| *wanted == state)
        && (!args.disputed || order.is_disputed())
        && (!args.short || shortfalls.any(|short| short.filled_at.is_none()))
        && (!args.mail_trouble || !order.delivery_failures.is_empty())
}

fn line(order: &Order) -> OrderLine {
    let amount = |minor| Amount::new(minor, order.currency);
    OrderLine {
        order_id: order.order_id.to_string(),
        reference: order.client_reference_id.clone(),
        placed_at: order.placed_at,
        state: order.state().to_string(),
        disputed: order.is_disputed(),
        total: amount(order.totals.total),
        received: amount(order.paid()),
        refunded: amount(order.refunded()),
    }
}

fn text<B>(on: &Context<'_, B>, found: &PlacedOrders) -> String {
    let cells = |order: &Order| {
        let number = order.client_reference_id.as_deref();
        vec![
            time::full(order.placed_at, &on.stack.zone),
            number.unwrap_or("–").to_owned(),
            order.money(order.totals.total).to_string(),
            order.state().to_string(),
            order.order_id.to_string(),
        ]
    };
    let rows: Vec<_> = found.orders.iter().map(cells).collect();
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
    let (shown, read) = (rows.len(), count(found.read, "order"));
    format!("{list}Showing {shown}; {read} read.\n")
}
