//! The readers of `till stock`.

use super::{stock_history, stock_map, stock_write};
use crate::{
    Context,
    answers::{self, Counted, Stock, StockExport, StockList},
    args::StockCommand,
    backend::Backend,
    error::{Error, Exit},
    output::Answer,
    style::count,
    table::{Column, table},
};
use domain::{
    ports::Shortfalls as _,
    sale::{
        counter_change::ChangeKind,
        stock::{Counter, Movement},
    },
    values::ids::Sku,
};
use operator::stock;

pub(super) async fn run<B: Backend>(
    on: &Context<'_, B>,
    command: &StockCommand,
) -> Result<Answer, Error> {
    match command {
        StockCommand::List { below } => list(on, *below).await,
        StockCommand::Show { sku } => show(on, sku).await,
        StockCommand::History { sku, limit } => stock_history::history(on, sku, *limit).await,
        StockCommand::Export => export(on).await,
        StockCommand::Import(args) => stock_write::import(on, args).await,
        StockCommand::Count {
            sku,
            units,
            counted_at,
            write,
        } => {
            let counted_at = counted_at.as_deref();
            stock_write::one(on, (sku, *units), ChangeKind::Count, counted_at, write).await
        }
        StockCommand::Receive { sku, units, write } => {
            stock_write::one(on, (sku, *units), ChangeKind::Receive, None, write).await
        }
        StockCommand::Map(args) => stock_map::map(on, args).await,
    }
}

/// A SKU of the command line.
pub(super) fn sku(text: &str) -> Result<Sku, Error> {
    Sku::new(text).map_err(|error| Error::usage(error.to_string()))
}

async fn counters<B: Backend>(on: &Context<'_, B>) -> Result<Vec<Counter>, Error> {
    let mut progress = |read: usize| on.terminal.progress(Some(&format!("{read} counters")));
    let counters = stock::counters(on.backend.store(), &mut progress).await;
    on.terminal.progress(None);
    Ok(counters?)
}

async fn list<B: Backend>(on: &Context<'_, B>, below: Option<i64>) -> Result<Answer, Error> {
    let mut counters = counters(on).await?;
    if let Some(below) = below {
        counters.retain(|counter| counter.on_hand.is_some_and(|on_hand| on_hand < below));
    }
    let counter = |of: &Counter| answers::Counter {
        sku: of.sku.to_string(),
        on_hand: of.on_hand,
        untracked: of.untracked,
    };
    let data = StockList {
        counters: counters.iter().map(counter).collect(),
    };
    let cells = |counter: &Counter| {
        let level = match counter.on_hand {
            Some(on_hand) => on_hand.to_string(),
            None if counter.untracked => "not tracked".to_owned(),
            None => "no counter".to_owned(),
        };
        vec![counter.sku.to_string(), level]
    };
    let rows: Vec<_> = counters.iter().map(cells).collect();
    let head = [("SKU", Column::Whole), ("on hand", Column::Number)];
    let text = if rows.is_empty() {
        "No counters.\n".to_owned()
    } else {
        format!(
            "{}\n{}.\n",
            table(&head, &rows, on.terminal.width()),
            count(rows.len(), "SKU")
        )
    };
    Answer::of(&data, text)
}

async fn show<B: Backend>(on: &Context<'_, B>, name: &str) -> Result<Answer, Error> {
    let sku = sku(name)?;
    let store = on.backend.store();
    let on_hand = stock::counter(store, &sku).await?;
    let open = store.open_shortfalls(1000).await?;
    let open: Vec<&Movement> = open.iter().filter(|moved| moved.sku == sku).collect();
    let short: i64 = open.iter().map(|moved| moved.short()).sum();
    let orders = open.iter().map(|moved| moved.order_id.to_string());
    let data = Stock {
        sku: sku.to_string(),
        on_hand,
        missing: short,
        waiting_orders: orders.collect(),
    };
    let level = on_hand.map_or_else(
        || "no counter".to_owned(),
        |units| format!("{units} on hand"),
    );
    let mut text = format!("{sku}  {level}\n");
    if short > 0 {
        text += &format!(
            "{short} paid and missing, for {}:\n",
            count(data.waiting_orders.len(), "order")
        );
        for order in &data.waiting_orders {
            text += &format!("  till order {order}\n");
        }
    }
    Ok(Answer::of(&data, text)?.ending_if(on_hand.is_none(), Exit::NotFound))
}

async fn export<B: Backend>(on: &Context<'_, B>) -> Result<Answer, Error> {
    let counters = counters(on).await?;
    let counted = counters
        .iter()
        .filter_map(|counter| Some((&counter.sku, counter.on_hand?)));
    let rows: Vec<(&Sku, i64)> = counted.collect();
    let text = super::stock_file::csv(&rows)?;
    let counted = |(sku, on_hand): (&Sku, i64)| Counted {
        sku: sku.to_string(),
        on_hand,
    };
    let data = StockExport {
        counters: rows.into_iter().map(counted).collect(),
    };
    Ok(Answer::of(&data, text)?.raw())
}
