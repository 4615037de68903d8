//! The writes of `till stock`.

use super::{
    stock::sku,
    write::{confirmed, exit, note},
};
use crate::{
    Context,
    args::{ImportMode, StockCommand, WriteArgs},
    backend::Backend,
    danger::Danger,
    error::{Error, Exit},
    output::Answer,
    style::count,
    table::{Column, table},
    time,
};
use domain::{
    ports::{
        Shortfalls as _,
        admin::{MapTo, StockAdmin as _},
    },
    sale::mapping::{Grant, MappingKey},
    values::ids::{PriceId, ProductId, Sku},
};
use jiff::Timestamp;
use operator::stock::{
    self, Adjusted,
    plan::{self, Change, Columns, Counted, Mode, Rejected},
};
use serde_json::{Value, json};
use std::fmt::Write as _;

pub(super) async fn run<B: Backend>(
    on: &Context<'_, B>,
    command: &StockCommand,
) -> Result<Answer, Error> {
    match command {
        StockCommand::Import {
            file,
            counted_at,
            mode,
            columns,
            skip_bad,
            write,
        } => {
            let (good, rejected) = read_file(on, file, columns.as_deref())?;
            let counts = Counts {
                good,
                rejected,
                mode: match mode {
                    ImportMode::Set => Mode::Set,
                    ImportMode::Add => Mode::Add,
                },
                counted_at: moment(on, counted_at.as_deref())?,
                skip_bad: *skip_bad,
                danger: Danger::Bulk,
            };
            import(on, counts, write).await
        }
        StockCommand::Count {
            sku: name,
            units,
            counted_at,
            write,
        } => {
            let counted_at = moment(on, counted_at.as_deref())?;
            one(on, name, *units, Mode::Set, counted_at, write).await
        }
        StockCommand::Receive {
            sku: name,
            units,
            write,
        } => one(on, name, *units, Mode::Add, on.now, write).await,
        StockCommand::Map { .. } => map(on, command).await,
        StockCommand::List { .. }
        | StockCommand::Show { .. }
        | StockCommand::History { .. }
        | StockCommand::Export => Err(Error::usage("not a write")),
    }
}

fn moment<B>(on: &Context<'_, B>, text: Option<&str>) -> Result<Timestamp, Error> {
    let at = match text {
        Some(text) => time::read(text, &on.stack.zone, on.now)?,
        None => on.now,
    };
    if at > on.now {
        return Err(Error::usage("the count is in the future"));
    }
    Ok(at)
}

/// Counts to write.
struct Counts {
    good: Vec<Counted>,
    rejected: Vec<Rejected>,
    mode: Mode,
    counted_at: Timestamp,
    skip_bad: bool,
    danger: Danger,
}

async fn one<B: Backend>(
    on: &Context<'_, B>,
    name: &str,
    units: i64,
    mode: Mode,
    counted_at: Timestamp,
    write: &WriteArgs,
) -> Result<Answer, Error> {
    let counted = Counted {
        row: 1,
        sku: sku(name)?,
        units,
    };
    let counts = Counts {
        good: vec![counted],
        rejected: Vec::new(),
        mode,
        counted_at,
        skip_bad: false,
        danger: Danger::Harmless,
    };
    import(on, counts, write).await
}

/// The valid and the rejected rows of a file. A byte-order mark and semicolons, as Excel writes them, are understood.
fn read_file<B>(
    on: &Context<'_, B>,
    file: &str,
    columns: Option<&str>,
) -> Result<(Vec<Counted>, Vec<Rejected>), Error> {
    let text = if file == "-" {
        on.terminal.input()
    } else {
        std::fs::read_to_string(file)
            .map_err(|error| Error::usage(format!("{file} cannot be read: {error}")))?
    };
    let text = text.trim_start_matches('\u{feff}');
    let head = text.lines().next().unwrap_or_default();
    let separator = if head.contains(';') && !head.contains(',') {
        b';'
    } else {
        b','
    };
    let mut reader = csv::ReaderBuilder::new();
    let mut reader = reader
        .delimiter(separator)
        .flexible(true)
        .from_reader(text.as_bytes());
    let names = columns_of(columns)?;
    let head = reader
        .headers()
        .map_err(|error| Error::usage(error.to_string()))?
        .clone();
    let place = |name: &str| {
        let place = head
            .iter()
            .position(|column| column.trim().eq_ignore_ascii_case(name));
        place.ok_or_else(|| {
            Error::usage(format!("{file} has no column {name:?}"))
                .cured_by("Name it by --columns sku=NAME,on_hand=NAME")
        })
    };
    let (sku_at, units_at) = (place(&names.sku)?, place(&names.units)?);
    let (mut good, mut rejected) = (Vec::new(), Vec::new());
    for record in reader.records() {
        let record = record.map_err(|error| Error::usage(format!("{file}: {error}")))?;
        let row = record.position().map_or(0, csv::Position::line);
        let cell = |at: usize| record.get(at).unwrap_or_default();
        match plan::row(row, cell(sku_at), cell(units_at)) {
            Ok(counted) => good.push(counted),
            Err(bad) => rejected.push(bad),
        }
    }
    let (good, twins) = plan::without_twins(good);
    rejected.extend(twins);
    Ok((good, rejected))
}

fn columns_of(text: Option<&str>) -> Result<Columns, Error> {
    let mut columns = Columns::default();
    for part in text.iter().flat_map(|text| text.split(',')) {
        match part.split_once('=') {
            Some(("sku", name)) => name.clone_into(&mut columns.sku),
            Some(("on_hand", name)) => name.clone_into(&mut columns.units),
            _ => return Err(Error::usage("--columns is sku=NAME,on_hand=NAME")),
        }
    }
    Ok(columns)
}

async fn import<B: Backend>(
    on: &Context<'_, B>,
    counts: Counts,
    args: &WriteArgs,
) -> Result<Answer, Error> {
    let store = on.backend.store();
    let skus: Vec<Sku> = counts
        .good
        .iter()
        .map(|counted| counted.sku.clone())
        .collect();
    let mut current = store.counters(&skus).await?;
    let mut changes = Vec::new();
    for counted in &counts.good {
        let movements = stock::history(store, &counted.sku).await?;
        let known = current.remove(&counted.sku);
        changes.push(plan::change(
            counted,
            counts.mode,
            counts.counted_at,
            known,
            &movements,
        ));
    }
    let text = plan_text(on, &counts, &changes);
    let stops = !counts.rejected.is_empty() && !counts.skip_bad;
    if stops {
        let text = format!(
            "{text}Nothing changed. Fix the file, or write only the valid rows with --skip-bad.\n"
        );
        return Ok(answer(&counts, &changes, &[], true, text)?.ending(Exit::Usage));
    }
    if args.dry_run || changes.iter().all(Change::is_none) {
        return answer(
            &counts,
            &changes,
            &[],
            true,
            format!("{text}Nothing changed.\n"),
        );
    }
    let note = note(on, args).await?;
    let plan = format!("{text}By {}: {}", note.by(), note.why());
    confirmed(on, counts.danger, args, &plan)?;
    write(on, &counts, &changes, text).await
}

async fn write<B: Backend>(
    on: &Context<'_, B>,
    counts: &Counts,
    changes: &[Change],
    mut text: String,
) -> Result<Answer, Error> {
    let (mut results, mut undo) = (Vec::new(), Vec::new());
    for change in changes.iter().filter(|change| !change.is_none()) {
        if on.terminal.is_interrupted() {
            break;
        }
        let done = stock::adjust(on.backend.store(), &change.sku, change.current, change.new).await;
        let (line, is_done) = match done {
            Ok(done) => {
                if let Adjusted::Now { from: Some(_), .. } = done {
                    undo.push((&change.sku, change.current.unwrap_or_default() - change.new));
                }
                (
                    done.to_string(),
                    matches!(done, Adjusted::Now { .. } | Adjusted::Unchanged(_)),
                )
            }
            Err(error) => (format!("failed: {error}"), false),
        };
        results.push((change.sku.clone(), line, is_done));
    }
    text += "\n";
    for (sku, line, _) in &results {
        let _ = writeln!(text, "{sku}  {line}");
    }
    let failed = results.iter().filter(|(_, _, is_done)| !is_done).count();
    let planned = changes.iter().filter(|change| !change.is_none()).count();
    let left = planned - results.len();
    let _ = writeln!(
        text,
        "{} written, {failed} failed, {left} not tried.",
        results.len() - failed
    );
    if !undo.is_empty() {
        // Differences, so that sales since then stay subtracted.
        let undone = csv(&undo)?;
        let _ = writeln!(
            text,
            "To undo, put these lines into a file and import it with --mode add:\n{}",
            undone.trim_end()
        );
    }
    if failed + left > 0 {
        let _ = writeln!(
            text,
            "To continue, run the same command again: it plans from the present counters."
        );
    }
    let done = answer(counts, changes, &results, false, text)?;
    Ok(done.ending(exit(failed, left > 0)))
}

/// Rows as CSV that import accepts.
pub(super) fn csv(rows: &[(&Sku, i64)]) -> Result<String, Error> {
    let failed = |_| Error::new(Exit::Failed, "the CSV cannot be written");
    let mut writer = csv::Writer::from_writer(Vec::new());
    writer.write_record(["sku", "on_hand"]).map_err(failed)?;
    for (sku, units) in rows {
        writer
            .write_record([sku.as_str(), &units.to_string()])
            .map_err(failed)?;
    }
    let bytes = writer
        .into_inner()
        .map_err(|_| Error::new(Exit::Failed, "the CSV cannot be written"))?;
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}

fn plan_text<B>(on: &Context<'_, B>, counts: &Counts, changes: &[Change]) -> String {
    let mut text = match counts.mode {
        Mode::Set => format!(
            "Counted at {}\n\n",
            time::full(counts.counted_at, &on.stack.zone)
        ),
        Mode::Add => "Units to add\n\n".to_owned(),
    };
    let cells = |change: &Change| {
        let number = |number: i64| number.to_string();
        let change_text = match change.current {
            None => "new counter".to_owned(),
            Some(current) if current == change.new => "no change".to_owned(),
            Some(current) => format!("{:+}", change.new - current),
        };
        vec![
            number(i64::try_from(change.row).unwrap_or_default()),
            change.sku.to_string(),
            change.current.map_or_else(|| "–".to_owned(), number),
            number(change.counted),
            number(change.sold_since),
            number(change.restocked_since),
            number(change.new),
            change_text,
        ]
    };
    let head = [
        ("row", Column::Number),
        ("SKU", Column::Whole),
        ("now", Column::Number),
        ("units", Column::Number),
        ("sold since", Column::Number),
        ("back since", Column::Number),
        ("new", Column::Number),
        ("", Column::Text),
    ];
    let rows: Vec<_> = changes.iter().map(cells).collect();
    if !rows.is_empty() {
        text += &table(&head, &rows, on.terminal.width());
    }
    for change in changes.iter().filter(|change| change.short > 0) {
        let _ = writeln!(
            text,
            "{}: {} paid and missing. Sweep fills them from the new counter; were they counted as gone?",
            change.sku,
            count(usize::try_from(change.short).unwrap_or_default(), "unit")
        );
    }
    if !counts.rejected.is_empty() {
        let _ = writeln!(text, "\nRejected rows:");
        for bad in &counts.rejected {
            let _ = writeln!(text, "  row {}  {}", bad.row, bad.why);
        }
    }
    text
}

fn answer(
    counts: &Counts,
    changes: &[Change],
    results: &[(Sku, String, bool)],
    dry_run: bool,
    text: String,
) -> Result<Answer, Error> {
    let change = |change: &Change| {
        json!({
            "row": change.row, "sku": change.sku, "current": change.current, "counted": change.counted,
            "sold_since": change.sold_since, "restocked_since": change.restocked_since,
            "missing": change.short, "new": change.new,
        })
    };
    let rejected = |bad: &Rejected| json!({"row": bad.row, "why": bad.why});
    let result =
        |(sku, text, done): &(Sku, String, bool)| json!({"sku": sku, "done": done, "text": text});
    let data = json!({
        "dry_run": dry_run, "counted_at": counts.counted_at,
        "changes": changes.iter().map(change).collect::<Vec<Value>>(),
        "rejected": counts.rejected.iter().map(rejected).collect::<Vec<Value>>(),
        "results": results.iter().map(result).collect::<Vec<Value>>(),
    });
    Answer::new("till.stock_import/1", &data, text)
}

async fn map<B: Backend>(on: &Context<'_, B>, command: &StockCommand) -> Result<Answer, Error> {
    let StockCommand::Map {
        key,
        sku: name,
        untracked,
        grants,
        days,
        write,
    } = command
    else {
        return Err(Error::usage("not a mapping"));
    };
    let of = mapping_key(key)?;
    let bad = |error: domain::values::ids::BadId| Error::usage(error.to_string());
    let grants = match grants {
        Some(product) => Some(Grant {
            name: ProductId::new(product.as_str()).map_err(bad)?,
            days: *days,
        }),
        None => None,
    };
    let to = MapTo {
        sku: name.as_ref().map(|name| sku(name)).transpose()?,
        untracked: *untracked,
        grants,
    };
    let mut says = Vec::new();
    says.extend(to.sku.iter().map(|sku| format!("is counted as {sku}")));
    if to.untracked {
        says.push("is not counted".to_owned());
    }
    says.extend(
        to.grants
            .iter()
            .map(|grant| format!("gives access to {}", grant.name)),
    );
    let says = says.join(" and ");
    let plan = format!("{key} {says}. Its former mapping is replaced; earlier orders keep theirs.");
    if !write.dry_run {
        let note = note(on, write).await?;
        let plan = format!("{plan}\nBy {}: {}", note.by(), note.why());
        confirmed(on, Danger::Harmless, write, &plan)?;
        on.backend.store().put_mapping(&of, &to).await?;
    }
    let data = json!({"key": key, "dry_run": write.dry_run, "text": says});
    let end = if write.dry_run {
        "Nothing changed."
    } else {
        "Written."
    };
    Answer::new("till.stock_map/1", &data, format!("{plan}\n{end}\n"))
}

fn mapping_key(text: &str) -> Result<MappingKey, Error> {
    let bad = |error: domain::values::ids::BadId| Error::usage(error.to_string());
    let product = |id: &str| ProductId::new(id).map(MappingKey::Product).map_err(bad);
    let price = |id: &str| PriceId::new(id).map(MappingKey::Price).map_err(bad);
    match (text.split_once('#'), text) {
        (Some(("product", id)), _) => product(id),
        (Some(("price", id)), _) => price(id),
        (None, id) if id.starts_with("fprod_") => product(id),
        (None, id) if id.starts_with("fprice_") => price(id),
        _ => Err(Error::usage(format!("{text:?} is no product and no price"))
            .cured_by("Write product#ID or price#ID")),
    }
}
