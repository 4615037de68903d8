//! Files of stock counts: CSV in and out.

use crate::{
    Context,
    error::{Error, Exit},
};
use domain::values::ids::Sku;
use operator::stock::plan::{self, Columns, Counted, Rejected};

/// The valid and the rejected rows of a file. A byte-order mark and semicolons, as Excel writes them, are understood.
pub(super) fn read_file<B>(
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
    let mut reader = csv::ReaderBuilder::new()
        .delimiter(separator(text))
        .flexible(true)
        .from_reader(text.as_bytes());
    let names = columns_of(columns)?;
    let head = reader.headers();
    let head = head.map_err(|error| Error::usage(error.to_string()))?;
    let (sku_at, units_at) = places(head, &names, file)?;
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

/// The separator of a file, by its first line.
fn separator(text: &str) -> u8 {
    let head = text.lines().next().unwrap_or_default();
    if head.contains(';') && !head.contains(',') {
        b';'
    } else {
        b','
    }
}

/// The places of the SKU and of the units in a row.
fn places(head: &csv::StringRecord, names: &Columns, file: &str) -> Result<(usize, usize), Error> {
    let place = |name: &str| {
        let is_it = |column: &str| column.trim().eq_ignore_ascii_case(name);
        head.iter().position(is_it).ok_or_else(|| {
            Error::usage(format!("{file} has no column {name:?}"))
                .cured_by("Name it by --columns sku=NAME,on_hand=NAME")
        })
    };
    Ok((place(&names.sku)?, place(&names.units)?))
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

/// Rows as CSV that import accepts.
pub(super) fn csv(rows: &[(&Sku, i64)]) -> Result<String, Error> {
    let failed = || Error::new(Exit::Failed, "the CSV cannot be written");
    let mut writer = csv::Writer::from_writer(Vec::new());
    let head = writer.write_record(["sku", "on_hand"]);
    head.map_err(|_| failed())?;
    for (sku, units) in rows {
        let row = writer.write_record([sku.as_str(), &units.to_string()]);
        row.map_err(|_| failed())?;
    }
    let bytes = writer.into_inner().map_err(|_| failed())?;
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}
